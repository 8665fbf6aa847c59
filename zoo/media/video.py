"""Clips as users hold them: what they are read from, film strips, files. Frames are read when they are asked for."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoo.arrays import Array
from zoo.errors import InputError, MediaError
from zoo.media.base import Samples
from zoo.media.image_encode import to_pil
from zoo.media.image_names import file_names
from zoo.media.image_paths import HEAD, format_of
from zoo.media.images import Images
from zoo.media.sources import check_head, check_path, opened, read_object
from zoo.media.video_av import AvClip
from zoo.media.video_decode import (
    CLIPS,
    AnimatedClip,
    ArrayClip,
    Clip,
    FolderClip,
    Frame,
    Source,
    clip_name,
    clips_below,
    container_of,
    from_value,
    open_source,
)
from zoo.media.video_encode import check_output, ending, on_white, write_frames
from zoo.memory import free_memory

_STRIP = 8  # frames of a film strip
_HIGH = 96  # pixels


class Video(Samples):
    """A sequence of clips, which are read from their files frame by frame.

    Attributes:
        clips: what the frames are read from, each.
        names: where each came from, relative to the folder it was in, or ``0000``, ``0001``, ... .
        seed: the seed that they were generated from; None for others.
    """

    kind = "video"
    noun = "videos"

    def __init__(self, clips: Iterable[Clip], names: Sequence[str] | None = None, seed: int | None = None) -> None:
        self.clips = list(clips)
        self._set_names(len(self.clips), names)
        self.seed = seed

    @classmethod
    def of(cls, source: Any, fps: float | None = None) -> Video:
        """Clips of anything that holds clips. Of a file, the header and the first frame are read, and no more.

        Args:
            source: one of these, or a list or tuple of them, which may be mixed:

                - the path of a GIF, APNG or animated WebP, or, with PyAV, of MP4, MOV, WebM, MKV or AVI
                - the path of a folder: if it holds such files, down to its bottom, each is a clip; if not, its images
                  are the frames of one, in the order of their names, numbers by their value
                - the bytes of a file, or an open binary file, which is read from its beginning
                - a numpy array ``(T, H, W)``, ``(T, H, W, C)`` or ``(N, T, H, W, C)``: uint8, or float in [0, 1]
                - a torch tensor ``(T, C, H, W)`` or ``(N, T, C, H, W)``: uint8, or float in [0, 1]
                - Images, or a list of PIL images: the frames of one clip
                - Video
            fps: frames in a second of arrays, images and folders of images, which do not say theirs; 25 by default.

        Clips come out upright: a phone's rotation is applied. Frames last as long as the file says, each its own time.
        Animations keep their transparency.

        Raises:
            InputError: for what holds no clips, with the reason.
            MediaError: for a file that is damaged.
            ZooError: for a format that needs PyAV if that is not installed.
        """
        if isinstance(source, Video):
            return source
        _check_fps(fps)
        items = list(_read(source, fps))
        names = [name for name, _ in items]
        return cls([clip for _, clip in items], names if all(names) else None)

    @classmethod
    def concat(cls, parts: Iterable[Video]) -> Video:
        """The clips of several, one after the other, under their names."""
        parts = list(parts)
        return cls([clip for part in parts for clip in part.clips], [name for part in parts for name in part.names])

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[Video]:
        return (self[i] for i in range(len(self)))

    def _chosen(self, index: slice) -> Video:
        return Video(self.clips[index], self.names[index], self.seed)

    @property
    def clip(self) -> Clip:
        """The only clip.

        Raises:
            InputError: if there are several, or none.
        """
        if len(self.clips) != 1:
            raise InputError(f"There are {len(self)} videos, and this is of one: choose it, as in video[0].")
        return self.clips[0]

    @property
    def fps(self) -> float:
        """Frames in a second of the only clip, on average; of an animation, by its first frame."""
        return self.clip.fps

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the only clip in pixels."""
        return self.clip.size

    def frames(self) -> Iterator[Frame]:
        """The frames of the only clip, one after the other: ``array``, ``(C, H, W)`` in [0, 1], and ``seconds``.

        None is held here; a long clip takes no more memory than a short one.
        """
        return self.clip.frames()

    def numpy(self) -> Array:
        """The only clip as float32 ``(T, C, H, W)`` in [0, 1], all of it in memory; transparency is laid on white.

        Raises:
            MediaError: if memory does not hold it.
        """
        return np.stack([on_white(frame.array) for frame in checked(self.clip.frames(), self.clip.what)])

    @staticmethod
    def write(
        frames: Iterable[Frame | Array],
        path: str | os.PathLike[str],
        fps: float | None = None,
        *,
        loop: int = 0,
        sound: Video | None = None,
    ) -> None:
        """Write frames as they come, none of which is held; the file gets its name when it is whole.

        Args:
            frames: arrays ``(C, H, W)`` in [0, 1], or what :meth:`frames` gives, of one size.
            path: a file that ends in .gif, .apng, .webp, .mp4, .mov or .webm, or a folder for an image for each frame.
            fps: frames in a second. What :meth:`frames` gives has its own times, which hold without it; 25 for arrays.
            loop: how often an animation is shown; 0 for ever.
            sound: a clip whose sound is copied into MP4, MOV and WebM.

        Raises:
            InputError: for no frames, frames of several sizes, and what the format cannot hold.
            MediaError: where the disk does not take it.
            ZooError: for MP4, MOV and WebM if PyAV is not installed.
        """
        check_output(path)
        _check_fps(fps)
        timed = (
            Frame(frame.array, 1 / fps if fps else frame.seconds)
            if isinstance(frame, Frame)
            else Frame(frame, 1 / (fps or 25))
            for frame in frames
        )
        write_frames(timed, Path(path), loop=loop, sound=sound.clip.sound if sound else None)

    def save(self, path: str | os.PathLike[str], *, format: str | None = None, bits: int = 8) -> None:
        """Write to a file, or into a folder, each clip under its name; nothing is left half written.

        Args:
            path: a file ends in .gif, .apng, .webp, .mp4, .mov or .webm; a folder exists, has no ending, or ends in /.
            format: gif, apng, webp, mp4, mov or webm for files of these in a folder; by default each clip becomes a
                folder of PNG images in it.
            bits: of each value, 8.

        Raises:
            InputError: for an ending that is no format of videos, several clips for one file, and what the format
                cannot hold.
            MediaError: where the disk does not take it.
        """
        folder, target = self.check_output(path, format=format, bits=bits), Path(path)
        if not folder:
            if len(self) != 1:
                raise InputError(f"{path} is one file, and there are {len(self)} videos: save them in a folder.")
            return write_frames(self.frames(), target, loop=self.clip.loop, sound=self.clip.sound)
        suffix = ending(format)
        for clip, name in zip(self.clips, file_names(self.names, suffix), strict=True):
            write_frames(clip.frames(), target / name, loop=clip.loop, sound=clip.sound, format=suffix[1:] or "png")
        return None

    @classmethod
    def check_output(cls, path: str | os.PathLike[str], *, format: str | None = None, bits: int | None = None) -> bool:
        """Refuse what :meth:`save` would, before any time is spent on it, and say whether the path is a folder."""
        if bits not in (None, 8):
            raise InputError(f"{path}: videos have 8 bits, not {bits!r}: leave bits out.")
        return check_output(path, format=format)

    @classmethod
    def ending(cls, format: str | None = None) -> str:
        """With the dot, what files in a folder end in: nothing by default, for folders of PNG images."""
        return ending(format)

    def preview(self) -> Image.Image:
        """A film strip: frames of the first clips from their beginning on, one clip below the other."""
        rows = [_strip(clip) for clip in self.clips[:_STRIP]]
        width = max((row.width for row in rows), default=1)
        sheet = Image.new("RGB", (width, max(sum(row.height + 4 for row in rows) - 4, 1)), "white")
        top = 0
        for row in rows:
            sheet.paste(row, (0, top))
            top += row.height + 4
        return sheet


def _strip(clip: Clip) -> Image.Image:
    """Up to eight frames of a clip, side by side: evenly chosen where their number is known, else the first."""
    count = clip.count() or _STRIP
    wanted = {round(i * (count - 1) / (_STRIP - 1)) for i in range(_STRIP)} if count <= 500 else set(range(_STRIP))
    height = min(_HIGH, clip.size[0])
    width = max(clip.size[1] * height // clip.size[0], 1)
    images = []
    for number, frame in enumerate(clip.frames()):
        if number in wanted:
            images.append(to_pil(on_white(frame.array)).resize((width, height), Image.Resampling.BILINEAR))
        if number >= max(wanted):
            break
    strip = Image.new("RGB", (len(images) * (width + 2) - 2, height), "white")
    for number, image in enumerate(images):
        strip.paste(image, (number * (width + 2), 0))
    return strip


def checked(frames: Iterable[Frame], what: str) -> Iterator[Frame]:
    """Frames that are kept in memory, as long as there is room for them.

    Raises:
        MediaError: where there is none.
    """
    held, free = 0, free_memory()
    for frame in frames:
        held += 2 * frame.array.nbytes
        if held > free:
            raise MediaError(
                f"{what}: its frames need more memory than is free ({free / 1e9:,.1f} GB): write the result to a file "
                "as it comes (reconstruct_to in Python), or cut the clip into shorter ones."
            )
        yield frame


def _check_fps(fps: float | None) -> None:
    if fps is not None and (isinstance(fps, bool) or not isinstance(fps, (int, float)) or not 0 < fps <= 1000):
        raise InputError(f"fps is a number of frames in a second, up to 1,000, not {fps!r}.")


def _read(source: Any, fps: float | None, item: str = "") -> Iterator[tuple[str, Clip]]:
    """Name (may be empty) of every clip in the source and what it is read from; errors call it ``item``."""
    if isinstance(source, Video):
        yield from zip(source.names, source.clips, strict=True)
    elif isinstance(source, (str, os.PathLike)):
        path = check_path(source, "a video")
        if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
            yield clip_name(path), _of_file(path)
        elif files := clips_below(path):
            for name, file in files:
                yield name, clip_of(file, str(file))
        else:
            yield path.resolve().name, FolderClip(path, fps)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        yield "", _of_bytes(bytes(source), item or "The bytes")
    elif isinstance(source, Images):
        yield "", ArrayClip(source.arrays, fps, item or "The video")
    elif isinstance(source, Samples):
        raise InputError(f"{item or type(source).__name__} holds {source.noun}, and no videos: give a path, or frames.")
    elif hasattr(source, "detach") and hasattr(source, "movedim"):  # a torch tensor, torch not imported
        if source.ndim not in (4, 5):
            raise InputError(
                f"{item or 'A tensor'} of video is (T, C, H, W) or (N, T, C, H, W), not {tuple(source.shape)}."
            )
        tensor = source.detach().cpu()
        values = np.moveaxis(np.asarray(tensor.float() if tensor.is_floating_point() else tensor), -3, -1)
        yield from _of_array(values, fps, item or "The tensor")
    elif isinstance(source, np.ndarray):
        yield from _of_array(source, fps, item or "The array")
    elif hasattr(source, "read"):
        what, content = read_object(source, item or "The file")
        yield "", _of_bytes(content, what)
    elif isinstance(source, (list, tuple)) and source and all(isinstance(part, Image.Image) for part in source):
        yield "", ArrayClip(source, fps, item or "The video", convert=from_value)
    elif isinstance(source, Iterable) and not isinstance(source, (dict, Image.Image)):
        for number, part in enumerate(source):
            yield from _read(part, fps, f"Video {number}")
    else:
        raise InputError(
            f"{item or type(source).__name__} holds no videos: give a path, bytes, an array, or a list of images."
        )


def clip_of(source: Source, what: str) -> Clip:
    """The clip of a file: its header and its first frame are read.

    Raises:
        InputError: for an image that does not move.
        MediaError: for what is no video, or damaged.
    """
    with open_source(source) as file:
        head = file.read(HEAD)
    if container := container_of(head):
        return AvClip(source, what, container)
    return AnimatedClip(source, what, format_of(head))


def _of_file(path: Path) -> Clip:
    """The clip of a file. What cannot be read twice, as a pipe, is read into memory."""
    source: Source = path
    if path.exists() and not path.is_file():
        with opened(path, CLIPS) as file:
            source = file.read()
    return clip_of(source, str(path))


def _of_bytes(content: bytes, what: str) -> Clip:
    check_head(io.BytesIO(content), what, CLIPS)
    return clip_of(content, what)


def _of_array(values: Any, fps: float | None, what: str) -> Iterator[tuple[str, Clip]]:
    if values.ndim not in (3, 4, 5) or 0 in values.shape:
        raise InputError(
            f"{what} of video must be (T, H, W), (T, H, W, C) or (N, T, H, W, C) without zeros, not {values.shape}."
        )
    for clip in values if values.ndim == 5 else [values]:
        yield "", ArrayClip(clip, fps, what, convert=from_value)
