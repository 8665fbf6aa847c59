"""Images into files: formats, limits, and PNG that is written in bands."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from zoo.arrays import Array
from zoo.errors import InputError, MediaError
from zoo.files import atomic_write
from zoo.media.image_decode import Info, from_pil
from zoo.media.sources import check_home, checked_path, is_folder

WRITES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
}
# Level 1 with zlib's strategy RLE (3) wrote a sheet of photos 2.2 times as fast as Pillow's default, and smaller.
_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {"compress_level": 1, "compress_type": 3},
    "JPEG": {"quality": 92},
    "WEBP": {"quality": 92},
}
# Pixels on a side that a format can say. libjpeg stops before the 65,535 of the standard.
_LARGEST = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535}


def ending(format: str | None = None) -> str:
    """With the dot, what files of a format end in: png by default.

    Raises:
        InputError: for what is no format.
    """
    kind = _kind(format or "png")
    return {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp", "GIF": ".gif"}[kind]


def _kind(format: str) -> str:
    """Pillow's name of a format that a user named."""
    kind = WRITES.get(f".{str(format).lower().lstrip('.')}")
    if not kind:
        known = ", ".join(sorted({name.lower() for name in WRITES.values()}))
        raise InputError(f"{format!r} is no image format: use {known}.")
    return kind


def check_output(
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    format: str | None = None,
    bits: int = 8,
) -> None:
    """Refuse an output that cannot work before any time is spent on it.

    Args:
        path: a file or folder, as :meth:`Images.save` takes it.
        size: width and height of what will be written, in pixels, if that is known.
        format: as for :meth:`Images.save`.
        bits: likewise.

    Raises:
        InputError: for a name, format or size that cannot be written.
        MediaError: for a place where nothing may be written.
    """
    target = checked_path(path)
    folder, suffix = is_folder(path), target.suffix.lower()
    if not folder and not format and suffix not in WRITES:
        raise InputError(f"{path}: {suffix} is no image format: use {', '.join(WRITES)}, or a folder.")
    kind = _kind(format or ("png" if folder else suffix))
    if not folder and WRITES.get(suffix, kind) != kind:
        raise InputError(f"{path} ends in {suffix}, and the format is {format}: give {target.stem}{ending(format)}.")
    if bits not in (8, 16) or isinstance(bits, bool):
        raise InputError(f"bits must be 8 or 16, not {bits!r}.")
    if bits == 16 and kind != "PNG":
        raise InputError(f"{path}: 16 bits are written as PNG, not as {kind}: use .png, or 8 bits.")
    if size:
        _check_size(str(path), kind, size)
    check_home(path, folder)


def _check_size(what: str, kind: str, size: tuple[int, int]) -> None:
    most = _LARGEST.get(kind)
    large = max(size) > most if most else kind in ("TIFF", "BMP") and size[0] * size[1] * 4 >= 1 << 32
    if large:
        limit = f"at most {most:,} pixels on a side" if most else "less than 4 GB"
        cure = "use .png or .tif" if most else "use .png"
        raise InputError(
            f"{what}: {size[0]:,} x {size[1]:,} pixels are too many for {kind}, which takes {limit}: {cure}."
        )


def write(
    image: Image.Image | Array,
    path: Path,
    *,
    format: str | None = None,
    bits: int = 8,
    info: Info | None = None,
) -> None:
    """Write one image, aside first, then under its name.

    Args:
        image: of PIL, or ``(C, H, W)`` in [0, 1].
        path: the file.
        format: as for :meth:`Images.save`.
        bits: likewise.
        info: what to write beside the pixels.

    Raises:
        InputError: for a name, format or size that cannot be written.
        MediaError: where the disk does not take it.
    """
    if bits == 16 and isinstance(image, Image.Image):
        image, _ = from_pil(image, "The image", alpha=True)
    size = image.size if isinstance(image, Image.Image) else (image.shape[2], image.shape[1])
    check_output(path, size=size, format=format, bits=bits)
    if bits == 16 and not isinstance(image, Image.Image):
        return write_bands([image], image.shape, path, bits=16, info=info)
    kind = _kind(format or path.suffix)
    try:
        content = encode(image if isinstance(image, Image.Image) else to_pil(image), kind, info or Info())
        with atomic_write(path) as aside:
            aside.write_bytes(content)
    except OSError as error:
        raise MediaError(f"{path} cannot be written: {error.strerror or error}.") from None
    except MemoryError:
        raise MediaError(f"{path} cannot be written: it needs more memory than is free.") from None
    return None


def write_bands(
    bands: Iterable[Array], shape: tuple[int, ...], path: Path, *, bits: int = 8, info: Info | None = None
) -> None:
    """Write an image that comes from top to bottom, and that memory need not hold, as PNG.

    Args:
        bands: ``(C, h, W)`` in [0, 1] each.
        shape: ``(C, H, W)`` of the whole.
        path: the file; it gets its name when all of it is there.
        bits: of each value, 8 or 16.
        info: what to write beside the pixels.

    Raises:
        MediaError: where the disk does not take it.
    """
    check_output(path, format="png", bits=bits)
    channels, height, width = shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    # As in _OPTIONS: runs of equal bytes, in the difference of each row to the one above.
    packer = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    above = np.zeros((1, width * channels * bits // 8), np.uint8)
    try:
        with atomic_write(path) as aside, aside.open("wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n")
            file.write(_chunk(b"IHDR", struct.pack(">2I5B", width, height, bits, colour_type, 0, 0, 0)))
            for kind, content in _chunks(info or Info(), channels):
                file.write(_chunk(kind, content))
            for band in bands:
                values = to_bytes(band) if bits == 8 else _to_words(band).view(np.uint8)
                rows = values.reshape(band.shape[1], -1)
                filtered = np.pad(rows - np.concatenate([above, rows[:-1]]), ((0, 0), (1, 0)), constant_values=2)
                file.write(_chunk(b"IDAT", packer.compress(filtered.tobytes())))
                above = rows[-1:]
            file.write(_chunk(b"IDAT", packer.flush()))
            file.write(_chunk(b"IEND", b""))
    except OSError as error:
        raise MediaError(f"{path} cannot be written: {error.strerror or error}.") from None


def _chunks(info: Info, channels: int) -> Iterator[tuple[bytes, bytes]]:
    """What is written beside the pixels, as PNG has it."""
    if info.srgb and channels > 2:
        yield b"iCCP", b"sRGB\0\0" + zlib.compress(_srgb())
    if info.dpi:
        yield b"pHYs", struct.pack(">2IB", *(round(dots / 0.0254) for dots in info.dpi), 1)  # for each metre
    if info.exif:
        yield b"eXIf", info.exif.removeprefix(b"Exif\0\0")


@cache
def _srgb() -> bytes:
    """The profile of sRGB, without the time at which it was made, so that the same image is the same file."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + bytes(12) + profile[36:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def to_bytes(array: Array) -> npt.NDArray[np.uint8]:
    """``(C, H, W)`` in [0, 1] to uint8 ``(H, W, C)``, rounded to the nearest."""
    return _scaled(array, 255).astype(np.uint8)


def _to_words(array: Array) -> npt.NDArray[np.uint16]:
    """``(C, H, W)`` in [0, 1] to ``(H, W, C)`` of 16 bits, the high byte first, rounded to the nearest."""
    return np.ascontiguousarray(_scaled(array, 65535).astype(">u2"))


def _scaled(array: Array, most: int) -> Array:
    """``(C, H, W)`` in [0, 1] to ``(H, W, C)`` from 0 to ``most`` and a half; what lies beyond, by arithmetic, is cut.

    Raises:
        InputError: for NaN, of which integers make anything.
    """
    if not np.isfinite(array).all():
        raise InputError("An image has NaN or infinite values: repair it first, with numpy.nan_to_num for instance.")
    scaled: Array = np.clip(array, 0, 1).transpose(1, 2, 0) * most + 0.5
    return scaled


def to_pil(array: Array) -> Image.Image:
    values = to_bytes(array)
    return Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)


def encode(image: Image.Image, kind: str, info: Info) -> bytes:
    buffer = io.BytesIO()
    if kind in ("JPEG", "BMP", "GIF") and image.mode in ("LA", "RGBA"):  # which know no half transparency
        image = to_pil(from_pil(image, "The image")[0])
    options = dict(_OPTIONS.get(kind, {}))
    if info.dpi:
        options["dpi"] = info.dpi
    # The segment of a JPEG holds 64 KiB.
    if info.exif and kind in ("PNG", "JPEG", "WEBP", "TIFF") and len(info.exif) < 65_000:
        options["exif"] = info.exif
    if info.srgb and kind in ("PNG", "JPEG", "WEBP", "TIFF") and image.mode in ("RGB", "RGBA"):
        options["icc_profile"] = _srgb()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
