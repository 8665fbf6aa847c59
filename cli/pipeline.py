"""Many pictures through a model: they are read, computed and written at the same time, and a bad one costs no other."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import InputError, PictureError

if TYPE_CHECKING:
    from zoo.images import Images
    from zoo.verbs import Verbs

STANDARD = Path("-")


def ahead(sources: Sequence[tuple[str, Path]], batch_size: int, failed: list[str], label: str) -> Iterator[Images]:
    """The pictures of all sources in batches, the next of which are read while one is worked on."""
    chunks = [sources[start : start + batch_size] for start in range(0, len(sources), batch_size)]
    with ThreadPoolExecutor(1) as reader:
        coming = deque(reader.submit(read, chunk, failed) for chunk in chunks[:2])
        for number in _progress(range(len(chunks)), label):
            batch = coming.popleft().result()
            if number + 2 < len(chunks):
                coming.append(reader.submit(read, chunks[number + 2], failed))
            yield batch


def large(model: Verbs, batch: Images) -> Iterator[Images]:
    """Take out of a batch the pictures that go through in tiles: they are written as the tiles come."""
    from zoo.images import Images
    from zoo.tiling import tile_side

    for number in reversed(range(len(batch))):
        if tile_side("auto", model.reach, batch.arrays[number].shape, 1):
            yield Images([batch.arrays.pop(number)], [batch.names.pop(number)])


def through(model: Verbs, batch: Images, options: dict[str, Any], failed: list[str]) -> Iterator[tuple[Images, Images]]:
    """Pictures and what becomes of them; if a batch fails, each alone, so that one bad picture costs no other."""
    if not len(batch):
        return
    try:
        yield batch, model.reconstruct(batch, batch_size=len(batch), **options)
    except InputError as error:
        if len(batch) == 1:
            failed.append(f"{batch.names[0]}: {error}")
        for number in range(len(batch)) if len(batch) > 1 else ():
            yield from through(model, batch[number], options, failed)


def kept(failed: list[str], picture: Images, work: Callable[[], object]) -> bool:
    """Whether work on a picture was done; if not, why, is kept."""
    try:
        work()
    except (InputError, PictureError) as error:
        failed.append(f"{picture.names[0]}: {error}")
        return False
    return True


class Writers:
    """Files are written while the network works on the next; at most a few batches wait.

    Attributes:
        lost: how many pictures could not be written.
    """

    def __init__(self, failed: list[str]) -> None:
        self.failed, self.lost = failed, 0
        self.pool = ThreadPoolExecutor(2)
        self.waiting: deque[tuple[Images, Future[None]]] = deque()

    def save(self, images: Images, folder: Path) -> None:
        """Write pictures into a folder, soon."""
        for number in range(len(images)):
            picture = images[number]
            self.waiting.append((picture, self.pool.submit(picture.save, folder)))
        while len(self.waiting) > 64:
            self._settle()

    def _settle(self) -> None:
        picture, future = self.waiting.popleft()
        self.lost += not kept(self.failed, picture, future.result)

    def __enter__(self) -> Writers:
        return self

    def __exit__(self, *error: object) -> None:
        while self.waiting:
            self._settle()
        self.pool.shutdown()


def read(sources: Sequence[tuple[str, Path]], failed: list[str]) -> Images:
    """The pictures of some sources; the reason of each that cannot be read goes to ``failed``."""
    from zoo.images import Images

    batch = Images([])
    for name, path in sources:
        try:
            batch.arrays += Images.of(sys.stdin.buffer if path == STANDARD else path, alpha=True).arrays
            batch.names.append(name)
        except (PictureError, InputError) as error:
            failed.append(str(error))
    return batch


def _progress(steps: Sequence[int], label: str) -> Iterable[int]:
    """The same steps, with a bar where there are several and someone is looking."""
    if len(steps) < 2 or not sys.stderr.isatty():
        return steps
    from tqdm import tqdm

    return tqdm(steps, desc=label, unit="batch", leave=False)
