"""Many images through a model: they are read, computed and written at the same time, and a bad one costs no other."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import InputError, ZooError, out_of_memory
from zoo.files import STANDARD
from zoo.loading import load
from zoo.registry.index import info, refusal

if TYPE_CHECKING:
    from concurrent.futures import Future

    from zoo.inference.verbs import Verbs
    from zoo.media.images import Images

HELD = 4096 * 4096  # pixels that are read ahead, or wait to be written, beside the one that passes the limit


@dataclass(frozen=True)
class Job:
    """One image to put through a model.

    Attributes:
        number: of the input, from 0.
        source: its path, or ``-``.
        target: the file for its result; None if that goes on a sheet with others.
    """

    number: int
    source: Path
    target: Path | None = None

    @property
    def name(self) -> str:
        """What users call the input."""
        return "<stdin>" if self.source == STANDARD else str(self.source)


@dataclass(frozen=True)
class Work:
    """How to do all jobs of a command.

    Attributes:
        options: tile and overlap of :meth:`zoo.inference.verbs.Verbs.reconstruct`.
        conditions: for all inputs; a list has one value for each.
        batch_size: images that go through the network at once, at most.
        compare: whether results become pairs of what the model saw and what it made.
        format: of the files; None to go by their names.
        bits: of each value in the files.
        max_pixels: that an image may have; None for the usual limit.
    """

    options: dict[str, Any] = field(default_factory=dict)
    conditions: dict[str, Any] = field(default_factory=dict)
    batch_size: int = 16
    compare: bool = False
    format: str | None = None
    bits: int = 8
    max_pixels: int | None = None

    def of(self, jobs: Sequence[Job]) -> dict[str, Any]:
        """Options and conditions of some jobs."""
        chosen = {
            name: [value[job.number] for job in jobs] if isinstance(value, list) else value
            for name, value in self.conditions.items()
        }
        return {**self.options, **chosen}


Batch = list[tuple[Job, "Images"]]


def results(
    model: Verbs,
    jobs: Sequence[Job],
    work: Work,
    failed: list[str],
    tick: Callable[[int], object] = lambda n: None,
    check: Callable[[tuple[int, ...]], object] = lambda size: None,
) -> Iterator[tuple[Job, Images | None]]:
    """Each job that was done, and its result; None if that is in its file already.

    Args:
        model: to put them through.
        jobs: in their order.
        work: how.
        failed: takes a line for each job that could not be done.
        tick: is called with how many more were tried.
        check: is called with height and width of each image before it is put through; what it raises ends all.
    """
    from zoo.inference.tiling import tile_side

    for batch in _ahead(model, jobs, work, failed):
        small: Batch = []
        for job, image in batch:
            check(image.arrays[0].shape[1:])
            # What goes through in tiles is written as they come.
            if job.target and not work.compare and tile_side("auto", model.reach, image.arrays[0].shape, 1):
                make = partial(model.reconstruct_to, image, job.target, format=work.format, bits=work.bits)
                if kept(failed, job, partial(make, **work.of([job]))):
                    yield job, None
            else:
                small.append((job, image))
        yield from _through(model, small, work, failed)
        tick(len(batch))


def to_files(
    model: Verbs, jobs: Sequence[Job], work: Work, failed: list[str], tick: Callable[[int], object] = lambda n: None
) -> list[Job]:
    """Do jobs that have a file each; those that were done, in the order of their numbers."""
    done = []
    with Writers(failed, work) as writers:
        for job, made in results(model, jobs, work, failed, tick):
            done.append(job)
            if made is not None:
                writers.save(job, made)
    return sorted(set(done) - set(writers.lost), key=lambda job: job.number)


def _ahead(model: Verbs, jobs: Sequence[Job], work: Work, failed: list[str]) -> Iterator[Batch]:
    """The images of all jobs in batches, the next of which is read while one is worked on."""
    from concurrent.futures import ThreadPoolExecutor  # which listing does without

    rest = iter(jobs)

    def batch() -> Batch:
        found: Batch = []
        pixels = 0
        for job in rest:
            if (image := _read(model, job, work, failed)) is not None:
                found.append((job, image))
                pixels += image.arrays[0][0].size
            if len(found) >= work.batch_size or pixels >= HELD:
                break
        return found

    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(batch)
        while found := coming.result():
            coming = reader.submit(batch)
            yield found


def _read(model: Verbs, job: Job, work: Work, failed: list[str]) -> Images | None:
    """The image of a job, fitted to a network of fixed size, so that no large ones are held; None if it fails."""
    from zoo.media.images import Images

    made: list[Images] = []

    def read() -> None:
        if job.source == STANDARD and sys.stdin is None:
            raise InputError("The standard input is closed: redirect an image to it.")
        source = sys.stdin.buffer if job.source == STANDARD else job.source
        image = Images.of(source, alpha=True, max_pixels=work.max_pixels)
        if model.fixed_size:
            image = model.prepare(image)
        made.append(image)

    return made[0] if kept(failed, job, read) else None


def _through(model: Verbs, batch: Batch, work: Work, failed: list[str]) -> Iterator[tuple[Job, Images]]:
    """What becomes of images; if a batch fails, each alone, so that one bad image costs no other."""
    fits: Batch = [one for one in batch if kept(failed, one[0], partial(_check_result, model, *one, work))]
    if len(fits) > 1:
        try:
            yield from _made(model, fits, work)
        except Exception:  # whatever it is: each alone says what it has
            for one in fits:
                yield from _through(model, [one], work, failed)
    elif fits:
        made: list[tuple[Job, Images]] = []
        if kept(failed, fits[0][0], lambda: made.extend(_made(model, fits, work))):
            yield from made


def _check_result(model: Verbs, job: Job, image: Images, work: Work) -> None:
    """Refuse what would be too large for the format of its file."""
    from zoo.media.image_encode import check_output

    if job.target:
        height, width = model.result_size(image.arrays[0].shape[1:])
        check_output(job.target, size=(width, height), format=work.format, bits=work.bits)


def _made(model: Verbs, batch: Batch, work: Work) -> list[tuple[Job, Images]]:
    """Images through the network, all together."""
    from zoo.media.images import Images

    jobs, images = [job for job, _ in batch], [image for _, image in batch]
    given = Images.of(images, alpha=True)
    given.names = [job.name for job in jobs]
    made = model.reconstruct(given, batch_size=len(batch), **work.of(jobs))
    if not work.compare:
        return [(job, made[number]) for number, job in enumerate(jobs)]
    seen = [model.prepare(image) for image in images]
    return [(job, Images.of([seen[number], made[number]], alpha=True)) for number, job in enumerate(jobs)]


def said(error: BaseException) -> str:
    """An error in one line."""
    if isinstance(error, ZooError):
        return str(error)
    if out_of_memory(error):
        return "there is too little memory for it: make it smaller, or give smaller tiles."
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def kept(failed: list[str], job: Job, work: Callable[[], object]) -> bool:
    """Whether work on an image was done; if not, why, is kept under its name."""
    try:
        work()
    except Exception as error:  # a decoder, a network, a disk: whatever it raises costs this image alone
        text, name = said(error), str(ZooError(job.name))
        failed.append(text if name in text else f"{name}: {text}")
        return False
    return True


class Writers:
    """Files are written while the network works on the next; few of them wait.

    Attributes:
        lost: jobs whose file could not be written.
    """

    def __init__(self, failed: list[str], work: Work) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self.failed, self.work = failed, work
        self.lost: list[Job] = []
        self.pool = ThreadPoolExecutor(2)
        self.waiting: deque[tuple[Job, int, Future[None]]] = deque()
        self.pixels = 0

    def save(self, job: Job, images: Images) -> None:
        """Write the result of a job, soon."""
        pixels = sum(array[0].size for array in images.arrays)
        write = partial(images.save, job.target, format=self.work.format, bits=self.work.bits)  # type: ignore[arg-type]
        self.waiting.append((job, pixels, self.pool.submit(write)))
        self.pixels += pixels
        while self.pixels > HELD:
            self._settle()

    def _settle(self) -> None:
        job, pixels, future = self.waiting.popleft()
        self.pixels -= pixels
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
