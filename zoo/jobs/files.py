"""Many files through a model: they are read, computed and written at the same time, and a bad one costs no other."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from zoo.errors import ConditionError, InputError, ZooError, out_of_memory
from zoo.files import STANDARD
from zoo.loading import load
from zoo.registry.index import info, refusal

if TYPE_CHECKING:
    from concurrent.futures import Future

    from zoo.inference.verbs import Verbs
    from zoo.media.base import Samples

# Positions (pixels, moments) that are read ahead, or wait to be written, beside the one that passes the limit.
HELD = 4096 * 4096


@dataclass(frozen=True)
class Job:
    """One file to put through a model.

    Attributes:
        number: of the input, from 0.
        source: its path, or ``-``.
        target: the file for its result; None if that goes into one file with others.
        film: whether it goes through a model for images frame by frame.
        frames: whether the target is a folder of images, one for each frame.
    """

    number: int
    source: Path
    target: Path | None = None
    film: bool = False
    frames: bool = False

    @property
    def name(self) -> str:
        """What users call the input."""
        return "<stdin>" if self.source == STANDARD else str(self.source)

    def place(self, sample: Samples) -> Path | str | None:
        """Where a sample, or the result for it, is saved; frames go into a folder under the sample's name."""
        if self.target is None or not self.frames:
            return self.target
        sample.names = [self.target.name]
        return f"{self.target.parent}/"


@dataclass(frozen=True)
class Work:
    """How to do all jobs of a command.

    Attributes:
        options: tile, overlap and progress of :meth:`zoo.inference.verbs.Verbs.reconstruct`.
        conditions: one value for all inputs, or :class:`Each` with one for each.
        batch_size: inputs that go through the network at once, at most.
        compare: whether each result becomes a pair of the model's input and its output.
        format: of the files; None to go by their names.
        bits: of each value in the files; None for what is usual.
        limits: of what is read, such as ``max_pixels`` of images.
    """

    options: dict[str, Any] = field(default_factory=dict)
    conditions: dict[str, Any] = field(default_factory=dict)
    batch_size: int = 16
    compare: bool = False
    format: str | None = None
    bits: int | None = None
    limits: dict[str, Any] = field(default_factory=dict)

    def of(self, jobs: Sequence[Job]) -> dict[str, Any]:
        """Options and conditions of some jobs."""
        chosen = {
            name: [value.values[job.number] for job in jobs] if isinstance(value, Each) else value
            for name, value in self.conditions.items()
        }
        return {**self.options, **chosen}

    @property
    def saving(self) -> dict[str, Any]:
        """Keywords of ``save``: what is not left to its defaults, which each kind has of its own."""
        saving = {"format": self.format, "bits": self.bits}
        return {name: value for name, value in saving.items() if value is not None}


@dataclass(frozen=True)
class Each:
    """Values of a condition, one for each input, by their numbers."""

    values: list[Any]


Batch = list[tuple[Job, "Samples"]]


def results(
    model: Verbs,
    jobs: Sequence[Job],
    work: Work,
    failed: list[str],
    tick: Callable[[int], object] = lambda n: None,
    check: Callable[[Samples], object] = lambda sample: None,
) -> Iterator[tuple[Job, Samples | None]]:
    """Each job that was done, and its result; None if that is in its file already.

    Args:
        model: to put them through.
        jobs: in their order.
        work: how.
        failed: takes a line for each job that could not be done.
        tick: is called with how many more were tried.
        check: is called with each sample before it is put through; what it raises ends all.
    """
    for batch in read_ahead(model, jobs, work, failed):
        small: Batch = []
        for job, sample in batch:
            check(sample)
            place = job.place(sample)
            if place and not work.compare and model.streams(sample, place, **work.saving):
                make = partial(model.reconstruct_to, sample, place, **work.saving)
                if kept(failed, job, partial(make, **work.of([job]))):
                    yield job, None
            else:
                small.append((job, sample))
        yield from _through(model, small, work, failed)
        tick(len(batch))


def to_files(
    model: Verbs, jobs: Sequence[Job], work: Work, failed: list[str], tick: Callable[[int], object] = lambda n: None
) -> list[Job]:
    """Do jobs that have a file each; those that were done, in the order of their numbers."""
    done = []
    with Writers(model, failed, work) as writers:
        for job, result in results(model, jobs, work, failed, tick):
            done.append(job)
            if result is not None:
                writers.save(job, result)
    return sorted(set(done) - set(writers.lost), key=lambda job: job.number)


def read_ahead(model: Verbs, jobs: Sequence[Job], work: Work, failed: list[str]) -> Iterator[Batch]:
    """The samples of all jobs in batches, the next of which is read while one is worked on."""
    from concurrent.futures import ThreadPoolExecutor  # which listing does without

    rest = iter(jobs)

    def batch() -> Batch:
        read: Batch = []
        held = 0
        for job in rest:
            if (sample := _read(model, job, work, failed)) is not None:
                read.append((job, sample))
                held += model.processors(sample)[0].held(sample)
            if len(read) >= work.batch_size or held >= HELD:
                break
        return read

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(batch)
        while read := coming.result():
            coming = pool.submit(batch)
            yield read


def _read(model: Verbs, job: Job, work: Work, failed: list[str]) -> Samples | None:
    """The sample of a job, fitted to a network of fixed size, so that no large ones are held; None if it fails."""
    samples: list[Samples] = []
    aligned = model.entry is not None and any(c.aligned for c in model.entry.conditions if c.name in work.conditions)

    def read() -> None:
        if job.source == STANDARD and sys.stdin is None:
            raise InputError("The standard input is closed: redirect a file to it.")
        source = sys.stdin.buffer if job.source == STANDARD else job.source
        if job.film:
            from zoo.media.base import samples_class  # numpy comes in with the first file

            samples.append(samples_class("video").of(source))
            return
        reader, _ = model.processors()
        sample = reader.read(source, **work.limits)
        if len(sample) != 1:
            raise InputError(f"it holds {len(sample)} {sample.noun}, and the command takes files of one.")
        # What is aligned with an input must see it before it is cropped.
        samples.append(reader.seen(sample) if reader.fixed and not aligned else sample)

    return samples[0] if kept(failed, job, read) else None


def _through(model: Verbs, batch: Batch, work: Work, failed: list[str]) -> Iterator[tuple[Job, Samples]]:
    """What becomes of samples."""
    fits: Batch = [one for one in batch if kept(failed, one[0], partial(_check_target, model, *one, work))]
    yield from each_alone(fits, partial(_reconstructed, model, work=work), failed)


T = TypeVar("T")


def each_alone(batch: Batch, run: Callable[[Batch], list[T]], failed: list[str]) -> Iterator[T]:
    """What becomes of a batch; if it fails, of each sample alone, so that one that is bad costs no other.

    Args:
        batch: jobs with their samples.
        run: puts some of them through a model.
        failed: takes a line for each that could not be done.
    """
    if len(batch) > 1:
        try:
            yield from run(batch)
        except Exception:  # whatever it is: each alone says what it has
            for one in batch:
                yield from each_alone([one], run, failed)
    elif batch:
        results: list[T] = []
        if kept(failed, batch[0][0], lambda: results.extend(run(batch))):
            yield from results


def _check_target(model: Verbs, job: Job, sample: Samples, work: Work) -> None:
    """Refuse what would be too large for the format of its file."""
    if job.target:
        _, writer = model.processors(sample)
        writer.check_target(sample, job.target, **work.saving)


def _reconstructed(model: Verbs, batch: Batch, *, work: Work) -> list[tuple[Job, Samples]]:
    """Samples through the network, all together."""
    jobs, samples = [job for job, _ in batch], [sample for _, sample in batch]
    inputs = type(samples[0]).concat(samples)
    inputs.names = [job.name for job in jobs]
    results = model.reconstruct(inputs, batch_size=len(batch), **work.of(jobs))
    if not work.compare:
        return [(job, results[number]) for number, job in enumerate(jobs)]
    seen = [model.prepare(sample) for sample in samples]
    return [(job, type(results).concat([seen[number], results[number]])) for number, job in enumerate(jobs)]


def said(error: BaseException) -> str:
    """An error in one line."""
    if isinstance(error, ZooError):
        return str(error)
    if out_of_memory(error):
        return "there is too little memory for it: make it smaller, or give smaller tiles."
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def kept(failed: list[str], job: Job, work: Callable[[], object]) -> bool:
    """Whether work on a file was done; if not, why, is kept under its name, or that of a condition."""
    try:
        work()
    except Exception as error:  # a decoder, a network, a disk: whatever it raises costs this file alone
        text, name = said(error), str(ZooError(job.name))
        named = name in text or isinstance(error, ConditionError)
        failed.append(text if named else f"{name}: {text}")
        return False
    return True


class Writers:
    """Files are written while the network works on the next; few of them wait.

    Attributes:
        lost: jobs whose file could not be written.
    """

    def __init__(self, model: Verbs, failed: list[str], work: Work) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self.failed, self.work = failed, work
        _, self.writer = model.processors()
        self.lost: list[Job] = []
        self.pool = ThreadPoolExecutor(2)
        self.waiting: deque[tuple[Job, int, Future[None]]] = deque()
        self.held = 0

    def save(self, job: Job, samples: Samples) -> None:
        """Write the result of a job, soon."""
        assert job.target is not None
        held = sum(self.writer.held(samples[i]) for i in range(len(samples)))
        write = partial(samples.save, job.place(samples) or job.target, **self.work.saving)
        self.waiting.append((job, held, self.pool.submit(write)))
        self.held += held
        while self.held > HELD:
            self._settle()

    def _settle(self) -> None:
        job, held, future = self.waiting.popleft()
        self.held -= held
        if not kept(self.failed, job, future.result):
            self.lost.append(job)

    def __enter__(self) -> Writers:
        return self

    def __exit__(self, *error: object) -> None:
        while self.waiting:
            self._settle()
        self.pool.shutdown()


def ready(
    name: str,
    verb: str,
    weights: Path | None = None,
    device: str = "cpu",
    precision: str = "exact",
    runtime: str = "torch",
) -> Verbs:
    """A loaded model; what it cannot do is said before anything is downloaded or torch imported."""
    if ":" not in name and verb not in info(name).verbs:
        raise refusal(info(name).model, verb)
    if runtime == "onnx":
        if device != "cpu" or precision != "exact":
            raise InputError("ONNX Runtime computes in float32 on the CPU: leave out --device and --precision.")
        return load(name, runtime="onnx", weights=weights)
    return load(name, device=device, precision=precision, weights=weights)
