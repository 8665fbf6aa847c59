"""Many files on many machines: the work of the verbs and of encoders on Ray Data, with a model on each device.

Every result of a verb is a file of its own in a folder that all machines see. It is whole or not there, so what a lost
worker had begun is done again by another. Codes come back to who asked for them.
"""

from __future__ import annotations

import json
import logging
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.jobs.codes import Encoded, Fingerprint
from zoo.jobs.codes import encode as encode_here
from zoo.jobs.files import Job, Work, ready, said, to_files

INPUTS, SAMPLES, ENCODED = 16, 64, 64  # that a worker takes at once


class Worker:
    """A model in a process of its own; Ray Data calls it with batches of one row."""

    def __init__(self, verb: str, loading: dict[str, Any], work: Work, seed: int) -> None:
        self.verb, self.work, self.seed = verb, work, seed
        self.model = ready(verb="reconstruct" if verb == "encode" else verb, **loading)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The numbers of what was done, with codes where they are wanted, and why the rest was not."""
        (row,) = batch["jobs"]
        jobs = [
            Job(number, Path(source), Path(target), *facts) for number, source, target, *facts in json.loads(str(row))
        ]
        failed: list[str] = []
        done: list[Any]
        if self.verb == "encode":
            done = [
                (one.job.number, one.file, one.code.shape, b64encode(one.code.tobytes()).decode())
                for one in encode_here(jobs, failed, lambda n: None, model=self.model, work=self.work)
            ]
        elif self.verb == "generate":
            done = self._samples(jobs, failed)
        else:
            done = [job.number for job in to_files(self.model, jobs, self.work, failed)]
        return {"done": [json.dumps(done)], "failed": [json.dumps(failed)]}

    def _samples(self, jobs: Sequence[Job], failed: list[str]) -> list[int]:
        """Samples with neighbouring numbers."""
        first, n = jobs[0].number, len(jobs)
        conditions: dict[str, Any] = self.work.of(jobs)
        try:
            samples = self.model.generate(n, seed=self.seed, first=first, **conditions)
            for number, job in enumerate(jobs):
                samples[number].save(job.target, **self.work.saving)
        except Exception as error:  # said by the command, not by the machinery between
            failed.append(said(error))
            return []
        return [job.number for job in jobs]


def generate(files: Sequence[Path], loading: dict[str, Any], work: Work, seed: int) -> list[int]:
    """Samples into files, on a Ray cluster: the one that ``RAY_ADDRESS`` names, or this machine.

    Args:
        files: one for each sample, in a folder that all machines see under this path.
        loading: arguments of :func:`zoo.jobs.files.ready`.
        work: conditions and format.
        seed: of the samples.

    Returns:
        The numbers of those that were written: all.

    Raises:
        ZooError: if Ray is not installed, or a sample could not be generated.
    """
    jobs = [Job(number, Path(), file) for number, file in enumerate(files)]
    done, failed = _collected(_rows("generate", jobs, loading, work, seed, SAMPLES))
    if failed:
        raise ZooError(failed[0])
    return done


def reconstruct(jobs: Sequence[Job], loading: dict[str, Any], work: Work) -> tuple[list[Job], list[str]]:
    """Files through a model, likewise.

    Args:
        jobs: whose files all machines see under these paths.
        loading: arguments of :func:`zoo.jobs.files.ready`.
        work: how.

    Returns:
        The jobs that were done, and why others were not.

    Raises:
        ZooError: if Ray is not installed.
    """
    done, failed = _collected(_rows("reconstruct", jobs, loading, work, 0, INPUTS))
    numbers = set(done)
    return [job for job in jobs if job.number in numbers], failed


def encode(
    jobs: Sequence[Job], failed: list[str], tick: Callable[[int], object], *, loading: dict[str, Any], work: Work
) -> Iterator[Encoded]:
    """The codes of files, as :func:`zoo.jobs.codes.encode` gives them, in the order in which workers finish.

    Args:
        jobs: whose files all machines see under these paths; their numbers are their places in this sequence.
        failed: takes a line for each that could not be done.
        tick: is called with how many more were tried.
        loading: arguments of :func:`zoo.jobs.files.ready`.
        work: how.

    Raises:
        ZooError: if Ray is not installed.
    """
    for row in _rows("encode", jobs, loading, work, 0, ENCODED):
        done, wrong = json.loads(row["done"]), json.loads(row["failed"])
        failed += wrong
        for number, file, shape, code in done:
            values = np.frombuffer(b64decode(code), np.float32)
            yield Encoded(jobs[number], values.reshape(shape), Fingerprint(*file))
        tick(len(done) + len(wrong))


def _collected(rows: Iterator[dict[str, Any]]) -> tuple[list[int], list[str]]:
    """The numbers of all that was done, and why the rest was not."""
    done, failed = [], []
    for row in rows:
        done += json.loads(row["done"])
        failed += json.loads(row["failed"])
    return sorted(done), failed


def _rows(
    verb: str, jobs: Sequence[Job], loading: dict[str, Any], work: Work, seed: int, at_once: int
) -> Iterator[dict[str, Any]]:
    """What the workers gave, each part when it is done."""
    try:
        import ray
        import ray.data
    except ImportError:
        raise ZooError("Ray needs more packages: pip install 'generative-zoo[ray]'.") from None
    started = not ray.is_initialized()
    if started:
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        gpus = int(there.get("GPU", 0)) if loading["device"].startswith("cuda") else 0
        workers = gpus or max(1, int(there.get("CPU", 1)))
        items = [{"jobs": _row(jobs[start : start + at_once])} for start in range(0, len(jobs), at_once)]
        # Items that lie in memory need no tasks of their own, which would wait for the processors that workers hold.
        yield from (
            ray.data.from_items(items, override_num_blocks=min(len(items), 4 * workers))
            .map_batches(
                Worker,
                fn_constructor_args=(verb, loading, work, seed),
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=workers),
                num_gpus=1 if gpus else 0,
                max_restarts=-1,
                max_task_retries=-1,
            )
            .iter_rows()
        )
    finally:
        if started:
            ray.shutdown()


def _row(jobs: Sequence[Job]) -> str:
    """Jobs for Arrow, which takes no halves of characters: as JSON, with absolute paths, since workers have others."""
    return json.dumps(
        [
            (job.number, str(job.source.absolute()), str((job.target or Path()).absolute()), job.film, job.frames)
            for job in jobs
        ]
    )
