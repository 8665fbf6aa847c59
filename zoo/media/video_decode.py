"""Clips that are read frame by frame: animations through Pillow, folders of images, arrays; see :mod:`.video_av`."""

from __future__ import annotations

import io
import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from PIL import Image

from zoo.arrays import Array
from zoo.errors import InputError, MediaError, ZooError
from zoo.files import is_file
from zoo.media.image_decode import damaged, from_array, from_pil, open_image, read_path
from zoo.media.image_paths import HEAD, files_below, format_of, image_files
from zoo.media.sources import FileKind, opened

FPS = 25.0  # of what says none: folders of frames, arrays
# Players show frames of 10 ms and less, which old tools wrote for "as fast as you can", for 100.
_FASTEST, _USUAL = 0.01, 0.1
_CONTAINERS = (
    (re.compile(rb"....ftyp(?!avi[fs]|mif1|msf1|hei|hev|M4A)", re.DOTALL), "mov"),
    (re.compile(rb"....(moov|mdat|wide|free|skip)", re.DOTALL), "mov"),
    (re.compile(rb"\x1aE\xdf\xa3"), "matroska"),
    (re.compile(rb"RIFF....AVI ", re.DOTALL), "avi"),
)


class Frame(NamedTuple):
    """One frame of a clip.

    Attributes:
        array: float32 ``(C, H, W)`` in [0, 1], C as for :class:`zoo.Images`.
        seconds: how long it is shown.
    """

    array: Array
    seconds: float


class Clip(ABC):
    """A clip that is read when its frames are asked for.

    Attributes:
        what: what messages call it.
        size: height and width in pixels, upright.
        fps: frames in a second, on average; of an animation, by its first frame.
        loop: how many times players show it, one after the other; 0 for ever.
        sound: the file whose sound belongs to it; None for silent ones.
    """

    what: str
    size: tuple[int, int]
    fps: float
    loop: int = 0
    sound: Source | None = None

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """The frames from the first to the last, one after the other; again with every call.

        Raises:
            MediaError: at a frame that is damaged, and where a file ends before it should.
        """

    def count(self) -> int | None:
        """How many frames there are; None if only reading them all tells."""
        return None


Source = Path | bytes  # of a file: bytes for what cannot be read twice


@contextmanager
def open_source(source: Source) -> Iterator[BinaryIO]:
    """A file that stands at its beginning."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    else:
        with opened(source, CLIPS) as file:
            yield file


def container_of(head: bytes) -> str:
    """FFmpeg's name for the format of a file of video, by its first bytes; empty if it is none that is read.

    Only that reader is used: others fetch what a file names, from the disk or the network.
    """
    return next((name for pattern, name in _CONTAINERS if pattern.match(head)), "")


def moves(source: Source) -> bool:
    """Whether a file is a video or an animation; False for a single image, and what is neither or cannot be read."""
    if isinstance(source, Path) and not is_file(source):  # opening a FIFO would wait for who writes to it
        return False
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            head = file.read(4096)
            file.seek(0)
            return bool(container_of(head[:HEAD])) or _animated(head, file)
    except (OSError, ValueError):
        return False


def _animated(head: bytes, file: BinaryIO) -> bool:
    kind = format_of(head)
    if kind == "PNG":
        return b"acTL" in head.partition(b"IDAT")[0]
    if kind == "WEBP":
        return head[12:16] == b"VP8X" and bool(head[20] & 2)
    if kind != "GIF":
        return False
    try:
        with open_image(file, "GIF") as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # a damaged one counts as an image: that says what is wrong with it
        return False


CLIPS = FileKind(
    "videos",
    "a video",
    (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".gif", ".apng"),
    lambda head: bool(container_of(head)) or format_of(head) in ("GIF", "PNG", "WEBP"),
    "MP4, MOV, WebM, MKV, AVI, GIF, APNG, animated WebP, or a folder of images",
)


def clips_below(folder: Path) -> list[tuple[str, Path]]:
    """Name and path of each file that moves in a folder and those inside it; hidden ones are left out."""
    depth = len(folder.parts)
    files = [path for path in files_below(folder) if not any(part.startswith(".") for part in path.parts[depth:])]
    named = [(path, path.suffix.lower() in CLIPS.suffixes[:-2] or moves(path)) for path in files]
    return [(str(path.relative_to(folder).with_suffix("")), path) for path, clip in named if clip]


def clip_name(path: Path) -> str:
    """The name of a file of video without its ending."""
    return path.stem if path.suffix.lower() in (*CLIPS.suffixes, ".webp", ".png") else path.name


def is_film(path: Path) -> bool:
    """Whether a file is MP4, MOV, WebM, MKV or AVI, by its content."""
    if not is_file(path):  # opening a FIFO would wait for who writes to it
        return False
    try:
        with path.open("rb") as file:
            return bool(container_of(file.read(HEAD)))
    except (OSError, ValueError):
        return False


def clip_of(source: Source, what: str) -> Clip:
    """The clip of a file: its header and its first frame are read.

    Raises:
        InputError: for an image that does not move.
        MediaError: for what is no video, or damaged.
    """
    with open_source(source) as file:
        head = file.read(HEAD)
    if container := container_of(head):
        from zoo.media.video_av import AvClip

        return AvClip(source, what, container)
    return AnimatedClip(source, what, format_of(head))


class AnimatedClip(Clip):
    """A GIF, APNG or animated WebP, read by Pillow, which lays each frame over those before as the file says."""

    def __init__(self, source: Source, what: str, kind: str) -> None:
        self.source, self.what, self.kind = source, what, kind
        with self._opened() as image:
            pixels, limit = image.width * image.height, Image.MAX_IMAGE_PIXELS
            if limit and pixels > limit:
                raise MediaError(f"{what}: more than {limit:,} pixels, as in a decompression bomb: shrink it.")
            stated = image.info.get("loop")
            self.loop = int(stated or 0)
            if kind == "GIF":  # says how many times it is shown again, and nothing where it is shown once
                self.loop = 1 if stated is None else self.loop and self.loop + 1
        first = next(self.frames())
        self.size, self.fps = (first.array.shape[1], first.array.shape[2]), 1 / first.seconds
        if len(list(itertools.islice(self.frames(), 2))) < 2:
            raise InputError(f"{what} is a single image, which does not move: take it as one, as zoo.Images.of does.")

    @contextmanager
    def _opened(self) -> Iterator[Image.Image]:
        with open_source(self.source) as file:
            try:
                with open_image(file, self.kind) as image:
                    yield image
            except (ZooError, GeneratorExit):
                raise
            except Exception as error:  # of all kinds: decoders do not agree on what they raise for damaged files
                raise damaged(self.what, error) from None

    def frames(self) -> Iterator[Frame]:
        with self._opened() as image:
            for number in itertools.count():
                try:
                    image.seek(number)
                except EOFError:
                    return
                array, _ = from_pil(image, f"{self.what}, frame {number}", alpha=True)
                seconds = float(image.info.get("duration") or 0) / 1000
                yield Frame(array, seconds if seconds > _FASTEST else _USUAL)


class FolderClip(Clip):
    """A folder of images as frames, in the order of their names, numbers by their value: 2 comes before 10."""

    def __init__(self, folder: Path, fps: float | None) -> None:
        self.what, self.fps = str(folder), fps or FPS
        try:
            self.files = sorted(image_files(folder), key=_natural)
        except InputError:
            raise InputError(f"{folder} holds no videos, and no images as frames: give {CLIPS.formats}.") from None
        first, _ = read_path(self.files[0], alpha=True)
        self.size = (first.shape[1], first.shape[2])

    def frames(self) -> Iterator[Frame]:
        for file in self.files:
            array, _ = read_path(file, alpha=True)
            if array.shape[1:] != self.size:
                raise InputError(
                    f"{file} has {array.shape[2]} x {array.shape[1]} pixels and the first frame "
                    f"{self.size[1]} x {self.size[0]}: give the frames of a clip one size."
                )
            yield Frame(array, 1 / self.fps)

    def count(self) -> int:
        return len(self.files)


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path)) if part]


class ArrayClip(Clip):
    """Frames in memory.

    Args:
        frames: of any type.
        fps: frames in a second; 25 if nobody says.
        what: what messages call the clip.
        durations: seconds of each frame, where they differ.
        convert: from a frame, and what to call it, to ``(C, H, W)`` in [0, 1]; called when the frame is asked for.
    """

    def __init__(
        self,
        frames: Sequence[Any],
        fps: float | None = None,
        what: str = "The video",
        durations: Sequence[float] | None = None,
        convert: Callable[[Any, str], Array] = lambda frame, what: frame,
    ) -> None:
        self.held, self.what, self.fps, self.convert = frames, what, fps or FPS, convert
        self.durations = [1 / self.fps] * len(frames) if durations is None else list(durations)
        if not len(frames):
            raise InputError(f"{what} has no frames: give at least one.")
        if len(self.durations) != len(frames):
            raise InputError(f"{what} has {len(frames)} frames and {len(self.durations)} durations: give each its own.")
        first = next(self.frames()).array
        self.size = (first.shape[1], first.shape[2])

    def frames(self) -> Iterator[Frame]:
        for number, seconds in enumerate(self.durations):
            yield Frame(self.convert(self.held[number], f"Frame {number} of {self.what}"), seconds)

    def count(self) -> int:
        return len(self.durations)


def from_value(value: Any, what: str) -> Array:
    """A PIL image, or an array ``(H, W)`` or ``(H, W, C)`` as :class:`zoo.Images` take it, as ``(C, H, W)``."""
    if isinstance(value, Image.Image):
        return from_pil(value, what, alpha=True)[0]
    return from_array(value, alpha=True, what=what)[0]
