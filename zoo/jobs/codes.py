"""Codes of many files: they are read and encoded at the same time, and a bad one costs no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.arrays import Array
from zoo.files import is_file
from zoo.inference.codes import codes_of, common_size
from zoo.jobs.files import Batch, Job, Work, each_alone, read_ahead
from zoo.weights.verify import sha256_of

if TYPE_CHECKING:
    from zoo.inference.verbs import Verbs


class Fingerprint(NamedTuple):
    """By what a file is known again.

    Attributes:
        size: in bytes; 0 for a folder, such as the frames of a video.
        modified: nanoseconds since 1970.
        sha256: of its content; all zeros for a folder.
    """

    size: int
    modified: int
    sha256: str


@dataclass(frozen=True)
class Encoded:
    """The code of a file.

    Attributes:
        job: the file.
        code: float32, of the shape that the network gives.
        file: by what the file is known again.
    """

    job: Job
    code: Array
    file: Fingerprint


def stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change in nanoseconds, which need no reading.

    Raises:
        OSError: if there is no such file.
    """
    facts = path.stat()
    return (facts.st_size if is_file(path) else 0), facts.st_mtime_ns


def fingerprint(path: Path) -> Fingerprint:
    """By what a file is known again.

    Raises:
        OSError: if it cannot be read.
    """
    return Fingerprint(*stamp(path), sha256_of(path) if is_file(path) else "0" * 64)


Encoder = Callable[[Sequence[Job], list[str], Callable[[int], object]], Iterator[Encoded]]


def encode(
    jobs: Sequence[Job], failed: list[str], tick: Callable[[int], object], *, model: Verbs, work: Work
) -> Iterator[Encoded]:
    """The codes of files, in batches of neighbours; those that fail are left out.

    Args:
        jobs: the files.
        failed: takes a line for each that could not be done.
        tick: is called with how many more were tried.
        model: one with an encoder.
        work: how many at once, and the limits of what is read.
    """

    def run(batch: Batch) -> list[Encoded]:
        files = [fingerprint(job.source) for job, _ in batch]
        samples: list[Any] = [sample for _, sample in batch]
        inputs = type(samples[0]).concat(samples)
        inputs.names = [job.name for job, _ in batch]
        codes = codes_of(model, inputs, common_size(model), len(batch))
        return [Encoded(job, code, file) for (job, _), code, file in zip(batch, codes, files, strict=True)]

    for batch in read_ahead(model, jobs, work, failed):
        yield from each_alone(batch, run, failed)
        tick(len(batch))
