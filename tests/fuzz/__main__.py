"""The command: cases in processes of their own, which may hang, crash, and are started again."""

from __future__ import annotations

import argparse
import faulthandler
import json
import multiprocessing as mp
import os
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from .watch import READ, REFUSED, Watch, scratch

CALM = 40  # undamaged cases with which every process begins


def settle(folder: Path) -> None:
    """An environment in which nothing is the user's, and a file beside the folder of cases."""
    (folder / "outside.png").write_bytes(b"not yours")
    for name in ("HOME", "XDG_CACHE_HOME", "HF_HOME", "ZOO_CACHE", "TMPDIR"):
        os.environ[name] = str(folder / "case")
    os.environ |= {"ZOO_PLUGINS": "none", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    for name in ("ZOO_WEIGHTS", "ZOO_PATH"):
        os.environ.pop(name, None)


def case_of(target: str, seed: int, number: int, calm: bool = False) -> Any:
    from .mutate import Chance
    from .targets import FAULTS, TARGETS

    rng = Chance(f"{target} {seed} {number}")
    rng.calm = calm
    return {**TARGETS, **FAULTS}[target](rng)


def put(files: dict[str, bytes], folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def attempt(watch: Watch, target: str, seed: int, number: int, calm: bool = False) -> tuple[str, str, int]:
    """Outcome, details and size of a case."""
    case = case_of(target, seed, number, calm)
    folder = put(case.files, Path(watch.folder))
    outcome, text = watch.run(lambda: case.read(folder))
    return outcome, text, sum(map(len, case.files.values()))


def guarded(target: str, seconds: float, folder: Path) -> Watch:
    """A process that is watched, and has read undamaged files."""
    import warnings

    import torch
    from PIL import Image

    from .targets import FAULTS

    torch.set_num_threads(1)
    Image.MAX_IMAGE_PIXELS = 1_000_000  # what is larger is refused as a bomb; at Pillow's limit it takes a second
    settle(folder)
    watch = Watch(folder / "case", seconds)
    warnings.simplefilter("ignore")
    if target not in FAULTS:
        found = [attempt(watch, target, 0, number, calm=True) for number in range(CALM)]
        bad = [item for item in found if item[0] != READ]
        if len(bad) > CALM // 4:
            sys.exit(f"{target}: {len(bad)} of {CALM} undamaged cases are not read: {bad[0]}")
    watch.learn()
    return watch


def work(target: str, seed: int, numbers: range, seconds: float, folder: Path, now: Any, log: Path) -> None:
    """Run cases, with failures in the log; ``now`` is where it is: the case, since when, how many were read."""
    watch = guarded(target, seconds, folder)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff and others speak to the terminal
    with log.open("a") as lines:
        for number in numbers:
            now[0], now[1] = number, time.monotonic()
            outcome, text, size = attempt(watch, target, seed, number)
            now[2] += outcome == READ
            if outcome not in (READ, REFUSED):
                lines.write(json.dumps([outcome, number, size, text[-3000:]]) + "\n")
                lines.flush()
    now[0] = -1


def fuzz(target: str, seed: int, cases: int, jobs: int, seconds: float, folder: Path) -> tuple[list[Any], int]:
    """All cases of a target: the failures (outcome, case, size, details), and how many were read."""
    log = folder / f"{target}.log"
    log.touch()
    context = mp.get_context("fork")
    waiting = [range(job, cases, jobs) for job in range(min(jobs, cases))]
    running: list[tuple[Any, Any, range]] = []
    lost: list[Any] = []
    count = 0
    while waiting or running:
        for numbers in waiting:
            now = context.Array("d", [numbers.start, time.monotonic() + 60, 0], lock=False)
            place = folder / f"{target}-{time.monotonic_ns()}"
            place.mkdir()
            process = context.Process(target=work, args=(target, seed, numbers, seconds, place, now, log), daemon=True)
            process.start()
            running.append((process, now, numbers))
        waiting = []
        time.sleep(0.05)
        for item in list(running):
            process, now, numbers = item
            late = time.monotonic() - now[1] > 10 * seconds
            if process.is_alive() and not late:
                continue
            if process.is_alive():
                process.kill()
            process.join()
            running.remove(item)
            count += int(now[2])
            if now[0] == -1:
                continue
            if process.exitcode == 1:
                raise SystemExit(f"{target}: the fuzzer itself failed at case {int(now[0])}, see --case {int(now[0])}")
            how = signal.Signals(-process.exitcode).name if process.exitcode < 0 else process.exitcode
            name = "hung without end" if late else f"ended the process with {how}"
            lost.append([name, int(now[0]), 0, ""])
            rest = range(int(now[0]) + numbers.step, numbers.stop, numbers.step)
            waiting += [rest] * bool(rest)
    return [*map(json.loads, log.read_text().splitlines()), *lost], count


def show(target: str, seed: int, failures: list[Any], keep: Path) -> None:
    """Every kind of failure with its smallest case, whose files are kept."""
    counts = Counter(kind for kind, *_ in failures)
    for kind, count in counts.most_common():
        _, number, _, text = min((item for item in failures if item[0] == kind), key=lambda item: item[2])
        folder = put(case_of(target, seed, number).files, keep / f"{target}-{seed}-{number}")
        (folder / "error.txt").write_text(f"{kind}\n\n{text}", "utf-8", "surrogateescape")
        last = text.strip().splitlines()[-1][:150] if text.strip() else ""
        print(f"  {count} x {kind}: {last}\n    {folder}: python -m tests.fuzz {target} --seed {seed} --case {number}")


def main() -> int:
    parser = argparse.ArgumentParser(
        "python -m tests.fuzz", description="Reads damaged files: only a ZooError is right."
    )
    parser.add_argument("targets", nargs="*", help="headers, pickles, zips, images, json, yaml, arrays, labels")
    parser.add_argument("--cases", type=int, default=100_000, help="of each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--case", type=int, help="only this one, with all that is known of it")
    parser.add_argument("--seconds", type=float, default=3, help="of computing for a case; it may wait ten times that")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="a folder for the files of failures")
    options = parser.parse_args()
    folder = scratch()
    try:
        settle(folder)  # before the zoo is imported
        from .targets import FAULTS, TARGETS

        if unknown := set(options.targets) - {*TARGETS, *FAULTS}:
            parser.error(f"no target {', '.join(unknown)}: there are {', '.join(TARGETS)}")
        if options.case is not None:
            faulthandler.enable()
            watch = guarded(options.targets[0], options.seconds, folder)
            outcome, text, size = attempt(watch, options.targets[0], options.seed, options.case)
            print(f"{outcome} ({size:,} bytes)\n{text}")
            return outcome not in (READ, REFUSED)
        failed = 0
        for target in options.targets or TARGETS:
            start = time.monotonic()
            failures, count = fuzz(target, options.seed, options.cases, options.jobs, options.seconds, folder)
            rate = options.cases / (time.monotonic() - start)
            print(f"{target}: {options.cases:,} cases, {count:,} read, {len(failures):,} wrong; {rate:,.0f} a second")
            show(target, options.seed, failures, options.keep)
            failed += len(failures)
        return min(failed, 1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
