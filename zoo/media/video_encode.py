"""Frames into files as they come: GIF, APNG and animated WebP, MP4, MOV and WebM, or a folder of images.

Pillow's own writers of animations hold every frame until the last has come; here none is held but the one before.
"""

from __future__ import annotations

import io
import itertools
import os
import secrets
import shutil
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import GifImagePlugin, Image, ImageChops

from zoo.arrays import Array
from zoo.errors import InputError, MediaError
from zoo.files import atomic_write
from zoo.media.image_decode import opaque
from zoo.media.image_encode import to_pil
from zoo.media.image_encode import write as write_image
from zoo.media.sources import check_target
from zoo.media.video_decode import Frame, Source

WRITES = {
    ".gif": "gif", ".apng": "apng", ".webp": "webp", ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".webm": "webm",
}  # fmt: skip
_LARGEST = {"gif": 65_535, "webp": 16_384, "apng": 1 << 31}  # pixels on a side
_TICKS = {"gif": 100, "apng": 1000, "webp": 1000}  # times in a second that a frame can begin at
_SHORTEST = {"gif": 2, "apng": 1, "webp": 1}  # ticks: players show GIF that is faster ten times slower
_MOST_TICKS = {"gif": 65_535, "apng": 65_535, "webp": (1 << 24) - 1}


def ending(format: str | None = None) -> str:
    """With the dot, what files of a format end in; none for a folder of PNG images, the default.

    Raises:
        InputError: for what is no format that moves.
    """
    name = str(format or "png").lower().lstrip(".")
    if name in ("png", "frames"):
        return ""
    if f".{name}" not in WRITES:
        raise InputError(f"{format!r} is no format of videos: use {', '.join(sorted(set(WRITES.values())))}, or png.")
    return f".{name}"


def check_output(path: Any, *, format: str | None = None) -> bool:
    """Refuse an output that cannot work before any time is spent on it, and say whether it is a folder.

    Raises:
        InputError: for a name or format that cannot be written.
        MediaError: for a place where nothing may be written.
        ZooError: for MP4, MOV and WebM if PyAV is not installed.
    """
    folder = check_target(path, tuple(WRITES), "videos")
    suffix = ending(format) if format or folder else Path(path).suffix.lower()
    if not folder and WRITES[Path(path).suffix.lower()] != WRITES.get(suffix):
        raise InputError(f"{path}, and the format is {format}: give {Path(path).stem}{suffix}.")
    if WRITES.get(suffix) in ("mp4", "mov", "webm"):
        from zoo.media.video_av import load_av

        load_av()
    return folder


def write_frames(
    frames: Iterable[Frame], path: Path, *, loop: int = 0, sound: Source | None = None, format: str | None = None
) -> None:
    """Write a clip, aside first, then under its name, one frame in memory at a time.

    Args:
        frames: of one size; they are gone through once.
        path: a file as :data:`WRITES` has them, or a folder for one PNG image for each frame.
        loop: how often an animation is shown; 0 for ever.
        sound: the file whose sound goes into MP4, MOV and WebM.
        format: of the file; by default what its name ends in.

    Raises:
        InputError: for no frames, frames of several sizes, NaN, and sizes that the format cannot hold.
        MediaError: where the disk does not take it.
    """
    kind = WRITES.get(f".{format}" if format else path.suffix.lower())
    if kind is None:
        return _write_folder(_alike(frames, path), path)
    coming = _alike(frames, path)
    try:
        first = next(coming)
        most = _LARGEST.get(kind)
        if most and max(first.array.shape[1:]) >= most:
            raise InputError(f"{path}: {kind} takes less than {most:,} pixels on a side: use .mp4 or .apng.")
        coming = itertools.chain([first], coming)
        with atomic_write(path) as aside:
            if kind in ("mp4", "mov", "webm"):
                from zoo.media.video_av import write_av

                return write_av(coming, aside, kind, sound, path)
            with aside.open("r+b") as file:
                {"gif": _write_gif, "apng": _write_apng, "webp": _write_webp}[kind](_timed(coming, kind), file, loop)
    except OSError as error:
        raise MediaError(f"{path} cannot be written: {error.strerror or error}.") from None
    return None


def _alike(frames: Iterable[Frame], path: Path) -> Iterator[Frame]:
    """The frames, if all have one size, and there is at least one; grey ones and colours may come by turns."""
    size = None
    for number, frame in enumerate(frames):
        size = size or frame.array.shape[1:]
        if frame.array.shape[1:] != size:
            raise InputError(
                f"{path}: frame {number} has {frame.array.shape[2]} x {frame.array.shape[1]} pixels and the first "
                f"{size[1]} x {size[0]}: give all one size."
            )
        yield frame
    if size is None:
        raise InputError(f"{path}: there are no frames to write: give at least one.")


def _timed(frames: Iterable[Frame], kind: str) -> Iterator[tuple[Image.Image, int]]:
    """Images and how many ticks each is shown.

    Ticks are rounded so that no error adds up; a frame too short for the format gives its time to the one before.
    """
    ticks, shortest = _TICKS[kind], _SHORTEST[kind]
    time, shown = 0.0, 0
    waiting: Array | None = None
    for array, seconds in frames:
        begin = round(time * ticks)
        if waiting is not None and begin - shown >= shortest:
            yield to_pil(waiting), min(begin - shown, _MOST_TICKS[kind])
            waiting, shown = array, begin
        elif waiting is None:
            waiting = array
        time += seconds
    if waiting is not None:
        yield to_pil(waiting), min(max(round(time * ticks) - shown, shortest), _MOST_TICKS[kind])


def _write_gif(frames: Iterator[tuple[Image.Image, int]], file: BinaryIO, loop: int) -> None:
    """GIF: each frame with 256 colours of its own, of what has changed in it."""
    before: Image.Image | None = None
    for image, ticks in frames:
        if before is None:
            file.write(b"GIF89a" + struct.pack("<2H3B", *image.size, 0x70, 0, 0))
            if loop != 1:
                file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", max(loop - 1, 0), 0))
        clear = image.mode in ("LA", "RGBA")
        part, at, options = image, (0, 0), {"duration": ticks * 10, "disposal": 2 if clear else 1}
        if before is not None and not clear and before.mode == image.mode:
            box = ImageChops.difference(before, image).getbbox() or (0, 0, 1, 1)
            part, at = image.crop(box), box[:2]
        before = image
        if clear:
            part, options["transparency"] = _with_clear(part), 255
        else:
            part = part.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT)
        for block in GifImagePlugin.getdata(part, at, include_color_table=True, **options):
            file.write(block)
    file.write(b";")


def _with_clear(image: Image.Image) -> Image.Image:
    """An image with transparency in 256 colours, the last of which is clear; half transparent is one or the other."""
    alpha = image.getchannel("A")
    indexed = image.convert("RGB").quantize(255, Image.Quantize.MEDIANCUT)
    palette = (indexed.getpalette() or [])[: 255 * 3]
    indexed.putpalette(palette + [0] * (768 - len(palette)))
    indexed.paste(255, mask=alpha.point(lambda value: 255 if value < 128 else 0))
    return indexed


def _write_apng(frames: Iterator[tuple[Image.Image, int]], file: BinaryIO, loop: int) -> None:
    """APNG: a PNG whose further frames are in chunks that other readers pass over.

    All frames have the mode of the first, with transparency, since a PNG has one.
    """
    numbers = itertools.count()
    count = 0
    for count, (image, ticks) in enumerate(frames, 1):
        image = image.convert("RGBA")
        if count == 1:
            file.write(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">2I5B", *image.size, 8, 6, 0, 0, 0)))
            counted = file.tell()
            file.write(_chunk(b"acTL", struct.pack(">2I", 1, loop)))
        control = struct.pack(">5I2H2B", next(numbers), *image.size, 0, 0, ticks, 1000, 0, 0)
        file.write(_chunk(b"fcTL", control))
        rows = np.asarray(image).reshape(image.height, -1)
        above = np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
        content = zlib.compress(np.pad(rows - above, ((0, 0), (1, 0)), constant_values=2).tobytes(), 6)
        file.write(
            _chunk(b"IDAT", content) if count == 1 else _chunk(b"fdAT", struct.pack(">I", next(numbers)) + content)
        )
    file.write(_chunk(b"IEND", b""))
    file.seek(counted)
    file.write(_chunk(b"acTL", struct.pack(">2I", count, loop)))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _write_webp(frames: Iterator[tuple[Image.Image, int]], file: BinaryIO, loop: int) -> None:
    """Animated WebP: each frame is what a single WebP would be, without its header."""
    file.write(bytes(12))
    for number, (image, ticks) in enumerate(frames):
        width, height = (length - 1 for length in image.size)
        if not number:
            size = struct.pack("<I", width)[:3] + struct.pack("<I", height)[:3]
            file.write(_riff(b"VP8X", struct.pack("<B3x", 0x12) + size))  # moves, and may be transparent
            file.write(_riff(b"ANIM", struct.pack("<IH", 0, loop)))
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=92)
        head = bytes(6) + size + struct.pack("<I", ticks)[:3] + b"\x02"  # laid over nothing
        file.write(_riff(b"ANMF", head + b"".join(_pixels_of(buffer.getvalue()))))
    length = file.tell()
    file.seek(0)
    file.write(b"RIFF" + struct.pack("<I", length - 8) + b"WEBP")


def _pixels_of(content: bytes) -> Iterator[bytes]:
    """The chunks of a WebP that hold its pixels."""
    at = 12
    while at + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, at)
        end = at + 8 + length + length % 2
        if name in (b"ALPH", b"VP8 ", b"VP8L"):
            yield content[at:end]
        at = end


def _riff(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _write_folder(frames: Iterator[Frame], folder: Path) -> None:
    """Each frame as ``0000.png``, ``0001.png``, ... of a folder: all of them, or none."""
    with _aside(folder) as aside:
        count = 0
        for count, frame in enumerate(frames, 1):
            write_image(frame.array, aside / f"{count - 1:04d}.png")
        longer = [old.name for old in folder.glob("*.png") if old.stem.isdecimal() and int(old.stem) >= count]
        if longer:
            raise InputError(f"{folder} holds {min(longer)} of a longer clip: empty it, or choose another folder.")
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(aside.iterdir()):
            file.replace(folder / file.name)


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A hidden folder beside one, deleted at the end."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(os.path.realpath(folder)).with_name(f".{secrets.token_hex(8)}.part")
        aside.mkdir()
        try:
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise MediaError(f"{folder} cannot be written: {error.strerror or error}.") from None


def on_white(array: Array) -> Array:
    """A frame as formats without transparency show it, in three channels."""
    array = opaque(array)
    return np.repeat(array, 3, 0) if len(array) == 1 else array
