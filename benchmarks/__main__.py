"""What the zoo's own overhead is, as ratios to the least that the task needs, and how fast its networks are.

``make bench`` prints both, and writes the tables of docs/performance.md. Two processes are run in turn, A B A B ...,
and the ratio of each pair is taken, so that a change of the machine's speed cancels out. The figure is the median of
the ratios. Exits with 1 if one is above its limit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

ZOO = [str(Path(sys.executable).with_name("zoo"))]
PAIRS = 15


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def compare(command: list[str], least: list[str], pairs: int = PAIRS) -> tuple[float, float, float]:
    """Median seconds of both commands and median ratio of pairs, after one run of each that does not count."""
    seconds(command), seconds(least)
    times = [(seconds(command), seconds(least)) for _ in range(pairs)]
    return median(a for a, _ in times), median(b for _, b in times), median(a / b for a, b in times)


def milliseconds(function: Callable[[], object], runs: int = 30) -> float:
    function()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1000 * median(times)


# What a script does that uses torch and torchvision alone, with the network of pytorch/examples at 28 px.
NAIVE = """
import sys
import torch
from torchvision.utils import save_image
from torch import nn

layers = []
for i, (a, b) in enumerate(((100, 256), (256, 128), (128, 64), (64, 1))):
    layers += [nn.ConvTranspose2d(a, b, 4, 2 if i else 1, 1 if i else 0, bias=False)]
    layers += [nn.BatchNorm2d(b), nn.ReLU(True)] if i < 3 else [nn.Tanh()]
network = nn.Sequential(*layers).eval()
path = sys.argv[1] + ".pth"
try:
    network.load_state_dict(torch.load(path))
except OSError:
    torch.save(network.state_dict(), path)
with torch.no_grad():
    made = network(torch.randn(64, 100, 1, 1))[..., 2:30, 2:30]
save_image(made, sys.argv[1], nrow=8, normalize=True, value_range=(-1, 1))
"""


def processes(folder: Path) -> list[tuple[str, float, float]]:
    """Whole processes: name, ratio, limit."""
    from zoo.registry import own_registry

    python = sys.executable
    registry = own_registry()[0]
    read = f"import click, yaml; yaml.load(open({str(registry)!r}), Loader=yaml.CSafeLoader)"
    grid = str(folder / "grid.png")
    generate = [*ZOO, "generate", "dcgan", "-n", "64", "--seed", "7", "-o", grid]
    onnx = [*generate, "--runtime", "onnx"]
    found = []
    for name, command, least_name, least, limit, pairs in (
        ("zoo list", [*ZOO, "list"], "import click, yaml and read the file", [python, "-c", read], 2.0, PAIRS),
        ("zoo --help", [*ZOO, "--help"], "import click, yaml and read the file", [python, "-c", read], 2.0, PAIRS),
        ("import zoo", [python, "-c", "import zoo"], "import yaml", [python, "-c", "import yaml"], 2.0, PAIRS),
        ("zoo generate dcgan -n 64", generate, "import torch", [python, "-c", "import torch"], 1.3, PAIRS // 2),
        ("the same", generate, "torch + torchvision script", [python, "-c", NAIVE, grid], 0.6, PAIRS // 2),
        ("the same, --runtime onnx", onnx, "torch + torchvision script", [python, "-c", NAIVE, grid], 0.1, PAIRS // 2),
    ):
        ours, theirs, ratio = compare(command, least, pairs)
        print(f"{name:<26}{ours:7.3f} s   {least_name:<38}{theirs:7.3f} s   ratio {ratio:5.2f} (at most {limit})")
        found.append((f"{name}, over {least_name}", ratio, limit))
    return found


def load_parts() -> None:
    """From name to model, step by step, beside reading the file."""
    import torch
    from safetensors.torch import load_file

    import zoo
    from zoo import weights
    from zoo.loading import assign, build

    for name in ("dcgan", "conv-ae"):
        entry = zoo.info(name)
        path = entry.embedded

        def fresh(entry: zoo.Entry = entry, path: Path = path) -> None:
            assign(build(entry), load_file(path), path, torch.float32)

        read = milliseconds(path.read_bytes)
        parts = {
            "sha256": milliseconds(partial(weights.sha256_of, path)),
            "open as safetensors": milliseconds(partial(load_file, path)),
            "build on the meta device": milliseconds(partial(build, entry)),
            "build, open, to float32, assign": milliseconds(fresh),
            "all of load": milliseconds(partial(zoo.load, name)),
        }
        print(f"\n{name}: {path.stat().st_size / 1e6:.1f} MB, read in {read:.2f} ms")
        for part, taken in parts.items():
            print(f"  {part:<33}{taken:8.2f} ms   {taken / read:6.1f} times reading")


def load_large(folder: Path) -> tuple[str, float, float]:
    """A file of 67 MB and a network of 445 modules, with every page read, beside the least that torch needs for both.

    That is the network on the meta device, the file opened by safetensors, and ``load_state_dict`` with ``assign``. To
    make the modules takes Python several times as long as safetensors needs for the file.
    """
    import torch
    from safetensors.torch import load_file, save_file

    import zoo
    from zoo.loading import build
    from zoo.models.esrgan import ESRGAN
    from zoo.schema import to_config
    from zoo.weights import sha256_of

    entry = zoo.info("esrgan")
    state = {key: torch.randn(value.shape) for key, value in build(entry).state_dict().items()}
    path = folder / "model.safetensors"
    save_file(state, path)
    facts = replace(entry, hub=None, sha256=sha256_of(path), bytes=path.stat().st_size)
    (folder / "config.json").write_text(to_config(facts))
    os.environ["ZOO_CACHE"] = str(folder / "cache")

    def touched(tensors: Iterable[torch.Tensor]) -> None:
        for tensor in tensors:
            tensor.sum()

    zoo.load(f"local-dir:{folder}")

    def plain() -> None:
        with torch.device("meta"):
            network = ESRGAN()
        network.load_state_dict(load_file(path), assign=True)
        touched(network.state_dict().values())

    def pickled() -> None:
        network = ESRGAN()
        network.load_state_dict(torch.load(folder / "model.pth"))
        touched(network.state_dict().values())

    torch.save(load_file(path), folder / "model.pth")
    hashed = milliseconds(partial(sha256_of, path), 5)
    opened = milliseconds(lambda: touched(load_file(path).values()), 10)
    least, usual = milliseconds(plain, 10), milliseconds(pickled, 5)
    loaded = milliseconds(lambda: touched(zoo.load(f"local-dir:{folder}").state_dict().values()), 10)
    ratio = loaded / least
    print(f"\n{path.stat().st_size / 1e6:.0f} MB, every page read: {opened:.1f} ms as tensors, by safetensors alone")
    print(f"  {least:.1f} ms as a network, by torch; {loaded:.1f} ms by zoo.load, ratio {ratio:.2f} (at most 1.15)")
    print(f"  {usual:.1f} ms by torch.load into a network made as usual, {usual / loaded:.1f} times as long (goal: 4)")
    print(f"  the first time also {hashed:.0f} ms for the hash")
    return "load of a large file", ratio, 1.15


def grid() -> tuple[str, float, float]:
    """A grid of 64 pictures of 64 px to PNG: quarters of the photos in examples/, straight and mirrored."""
    from zoo import Images

    photos = Images.of(Path(__file__).parent.parent / "examples" / "flowers").numpy()
    quarters = [photos[..., y : y + 64, x : x + 64] for y in (0, 64) for x in (0, 64)]
    images = Images([picture for part in quarters for photo in part for picture in (photo, photo[..., ::-1])])
    taken = milliseconds(images.png)
    print(f"\ngrid of {len(images)} RGB photos of 64 px to PNG: {taken:.1f} ms (at most 25)")
    return "grid", taken, 25.0


def tables() -> list[str]:
    """The tables of docs/performance.md; the names of rows that miss a goal."""
    import torch

    from benchmarks import speed
    from zoo.publishing import table

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    parts, missed = [], []
    rows = []
    for row, reached in speed.inference():
        rows.append(" | ".join([*row, "" if reached else "no"]))
        missed += [] if reached else [f"{row[0]}, batch {row[1]}"]
        print(rows[-1], flush=True)
    head = "network | batch | exact | by | agreement | fast | by | agreement | goals reached"
    parts.append(table(head, rows))
    for head, rows_of in (
        ("beside | precision | times as fast | largest difference, of the range", speed.others),
        ("1024 to 4096 px | precision | seconds | peak memory, GB | before, GB", speed.tiles),
    ):
        rows = []
        for row in rows_of():
            rows.append(" | ".join(row))
            print(rows[-1], flush=True)
        parts.append(table(head, rows))
    torch.set_num_threads(threads)
    machine = f"Measured on: {speed.machine()}, torch {torch.__version__}, one thread."
    path = Path(__file__).parent.parent / "docs" / "performance.md"
    before, _, rest = path.read_text("utf-8").partition(BEGIN)
    made = "\n\n".join([machine, *parts])
    path.write_text(f"{before}{BEGIN}\n{made}\n{END}{rest.partition(END)[2]}", "utf-8")
    return missed


BEGIN, END = "<!-- made by `make bench` -->", "<!-- end -->"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = processes(Path(folder))
        found.append(load_large(Path(folder)))
    load_parts()
    found.append(grid())
    missed = tables()
    if missed:
        print(f"Goals not reached: {', '.join(missed)}")
    over = [name for name, value, limit in found if value > limit]
    if over:
        sys.exit(f"Above the limit: {', '.join(over)}")


if __name__ == "__main__":
    main()
