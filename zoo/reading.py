"""From picture files, PIL pictures and numpy arrays to float32 ``(C, H, W)`` in [0, 1]; see :meth:`zoo.Images.of`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from zoo.errors import InputError, PictureError

Array = npt.NDArray[np.float32]

# What Pillow's decoders raise for damaged files.
DAMAGE = (OSError, ValueError, SyntaxError, EOFError, IndexError, MemoryError)
READS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".ppm", ".pgm")


def files_below(folder: Path, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """The files of a folder and of those inside it, in the order of their names.

    Links to folders are followed, but for those that lead back to one ``above``; an unreadable folder counts as empty.
    """
    try:
        items = sorted(folder.iterdir())
    except PermissionError:
        return
    above |= {os.path.realpath(folder)}
    for path in items:
        if path.is_file():
            yield path
        elif path.is_dir() and os.path.realpath(path) not in above:
            yield from files_below(path, above)


def picture_files(folder: Path) -> list[Path]:
    """The picture files of a folder and of those inside it, hidden ones left out, in the order of their names.

    Raises:
        InputError: if there are none.
    """
    files = [
        path
        for path in files_below(folder)
        if path.suffix.lower() in READS and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not files:
        raise InputError(f"{folder} holds no pictures ({', '.join(READS)}).")
    return files


def named_files(path: Path) -> list[tuple[str, Path]]:
    """Name and path of a picture file, or of each one in a folder: relative to the folder, without the ending."""
    if path.is_dir():
        return [(str(file.relative_to(path).with_suffix("")), file) for file in picture_files(path)]
    return [(path.stem, path)]


def read_file(path: Path, alpha: bool = False) -> Array:
    """One picture file as ``(C, H, W)`` in [0, 1]."""
    try:
        with path.open("rb") as file:
            return decode(file, str(path), path.stat().st_size, alpha)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror or error}.") from None


def decode(file: BinaryIO, what: str, size: int, alpha: bool = False) -> Array:
    """One picture of an open file of ``size`` bytes as ``(C, H, W)`` in [0, 1]; errors call it ``what``."""
    if size == 0:
        raise PictureError(f"{what}: empty (0 bytes): get the file again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)  # Pillow goes on up to twice its limit
            picture = Image.open(file)
        with picture:
            return from_pil(picture, what, alpha)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(
            f"{what}: more than {Image.MAX_IMAGE_PIXELS:,} pixels, as in a decompression bomb: "
            "shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust it."
        ) from None
    except UnidentifiedImageError:
        raise PictureError(
            f"{what}: not a picture, whatever the name says: use PNG, JPEG, WebP, TIFF, GIF or BMP."
        ) from None
    except InputError:
        raise
    except DAMAGE as error:
        raise PictureError(f"{what}: damaged or cut off ({error}): get the file again.") from None


def from_pil(picture: Image.Image, what: str, alpha: bool = False) -> Array:
    """One PIL picture as ``(C, H, W)`` in [0, 1]; errors call it ``what``."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):
        return from_array(np.asarray(picture).astype(np.uint16))[0]
    if picture.mode == "I":  # Pillow's name for 16-bit grey in some files, and for 32 bits in others
        values = np.asarray(picture)
        if values.min() < 0 or values.max() > 65535:
            raise InputError(f"{what}: 32-bit integers have no range to go by: convert it to 8 or 16 bits.")
        return from_array(values.astype(np.uint16))[0]
    if picture.mode == "F":
        return from_array(np.asarray(picture))[0]
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        if not alpha:
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    elif picture.mode in ("1", "L"):
        picture = picture.convert("L")
    else:
        picture = picture.convert("RGB")
    return from_array(np.asarray(picture), alpha)[0]


def opaque(array: Array) -> Array:
    """A picture ``(C, H, W)`` laid on white, if it is transparent anywhere: C = 2 or 4."""
    if array.shape[0] not in (2, 4):
        return array
    colour, alpha = array[:-1], array[-1:]
    made: Array = colour * alpha + (1 - alpha)
    return made


def from_array(values: npt.NDArray[Any], alpha: bool = False) -> list[Array]:
    """``(H, W)``, ``(H, W, C)`` or ``(N, H, W, C)`` of uint8, uint16, bool or float to arrays ``(C, H, W)``.

    With ``alpha`` a picture that is transparent somewhere keeps its last channel; else it is laid on white.
    """
    shape = values.shape
    if values.ndim == 2:
        values = values[None, ..., None]
    elif values.ndim == 3:
        values = values[None]
    if values.ndim != 4 or values.shape[-1] not in (1, 2, 3, 4):
        raise InputError(
            f"An array of pictures is (H, W), (H, W, C) or (N, H, W, C) with C from 1 to 4, not {shape}; "
            "a torch tensor has C before H."
        )
    if 0 in values.shape[1:]:
        raise InputError(f"An array of shape {shape} has no pixels.")
    if values.dtype in (np.uint8, np.uint16):
        floats = values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max)
    elif values.dtype == np.bool_ or np.issubdtype(values.dtype, np.floating):
        _check_range(values)
        floats = np.clip(values.astype(np.float32), 0, 1)
    else:
        raise InputError(f"An array of {values.dtype} has no range to go by: give uint8, uint16, or float in [0, 1].")
    arrays = [np.ascontiguousarray(picture.transpose(2, 0, 1)) for picture in floats]
    return [x if alpha and x.shape[0] in (2, 4) and x[-1].min() < 1 else opaque(x) for x in arrays]


def _check_range(values: npt.NDArray[Any]) -> None:
    if not np.isfinite(values).all():
        raise InputError("The picture has NaN or infinite values: repair it first, with numpy.nan_to_num for instance.")
    low, high = float(values.min(initial=1)), float(values.max(initial=0))
    if low < -1e-3 or high > 1 + 1e-3:  # rounding may leave the range by a little
        raise InputError(
            f"Floats of a picture are in [0, 1], these reach from {low:.4g} to {high:.4g}: rescale them, or give uint8."
        )
