"""From image files, PIL images and numpy arrays to float32 ``(C, H, W)`` in [0, 1]; see :meth:`zoo.Images.of`."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from zoo.arrays import Array
from zoo.errors import InputError, MediaError
from zoo.media.image_color import managed, to_srgb
from zoo.media.image_paths import FORMATS, HEAD, format_of, refusal
from zoo.media.sources import open_file
from zoo.memory import free_memory

# What is said of an image beside its pixels, in EXIF: description, make, model, resolution and its unit, software,
# date, artist, copyright.
_TAGS = (0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x8298)
_EXIF, _GPS = 0x8769, 0x8825
# The maker's note breaks where it is moved; the others describe the pixels that were.
_STALE = (0x927C, 0xA001, 0xA002, 0xA003, 0xA005)


class Info(NamedTuple):
    """What a file says of its image beside the pixels, and what is written into the file of a result.

    Attributes:
        exif: a block of EXIF without rotation and thumbnail; empty where there is none.
        dpi: pixels per inch, across and down.
        srgb: whether the file had a colour profile: the colours are converted to sRGB, and the result says so.
    """

    exif: bytes = b""
    dpi: tuple[float, float] | None = None
    srgb: bool = False


def read_file(path: Path, alpha: bool = False, max_pixels: int | None = None) -> Array:
    """One image file as ``(C, H, W)`` in [0, 1]; see :func:`read_path`."""
    return read_path(path, alpha, max_pixels)[0]


def read_path(path: Path, alpha: bool = False, max_pixels: int | None = None) -> tuple[Array, Info]:
    """One image file, device or FIFO as ``(C, H, W)`` in [0, 1], and what it says beside.

    Args:
        path: of the file.
        alpha: as for :meth:`zoo.Images.of`.
        max_pixels: likewise.

    Raises:
        InputError: if there is none.
        MediaError: if it cannot be read.
    """
    with open_file(path, format_of) as file:
        return read_open(file, str(path), alpha, max_pixels)


def read_open(file: BinaryIO, what: str, alpha: bool = False, max_pixels: int | None = None) -> tuple[Array, Info]:
    """One image of an open file as ``(C, H, W)`` in [0, 1], and what it says beside; errors call it ``what``.

    The file is read from its beginning, wherever it stands.
    """
    file.seek(0)
    head = file.read(HEAD)
    name = Path(what).name
    if not head:
        raise MediaError(f"{what}: empty (0 bytes): get the file again.")
    kind = format_of(head, name)
    if not kind:
        raise MediaError(f"{what}: {refusal(head, name)}, whatever the name says: use {FORMATS}.")
    limit = max_pixels or Image.MAX_IMAGE_PIXELS
    try:
        with _allowing(max_pixels), open_image(file, kind) as image:
            pixels = image.width * image.height
            if limit and pixels > limit:
                raise Image.DecompressionBombError
            _check_memory(image, what)
            return _convert(image, what, alpha, _words(image, file, kind))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise MediaError(
            f"{what}: more than {limit:,} pixels, as in a decompression bomb: shrink it, or, if you trust it, "
            "raise max_pixels (--max-pixels)."
        ) from None
    except MemoryError:
        raise MediaError(f"{what}: needs more memory than is free: shrink it.") from None
    except InputError as error:
        raise MediaError(str(error)) from None
    except MediaError:
        raise
    except KeyError as error:
        if error.args != (kind,):
            raise damaged(what, error) from None
        raise MediaError(f"{what}: this Pillow reads no {kind}: pip install --upgrade pillow.") from None
    except Exception as error:  # of all kinds: decoders do not agree on what they raise for damaged files
        raise damaged(what, error) from None


def damaged(what: str, error: Exception) -> MediaError:
    reason = " ".join(str(error).split()) or type(error).__name__
    if re.search("unknown|unsupported|not supported|unimplemented|cannot handle", reason, re.IGNORECASE):
        return MediaError(f"{what}: of a kind that is not read, or damaged ({reason}): save it as PNG.")
    return MediaError(f"{what}: damaged or cut off ({reason}): get the file again.")


def decode(file: BinaryIO, what: str, *, alpha: bool = False, max_pixels: int | None = None) -> Array:
    """One image of an open file as ``(C, H, W)`` in [0, 1]; errors call it ``what``."""
    return read_open(file, what, alpha, max_pixels)[0]


def open_image(file: BinaryIO, kind: str) -> Image.Image:
    """An image whose header is read, by the one decoder that is meant.

    ``Image.open`` does the same, and warns of large images; nothing can stop that in one thread alone.
    """
    Image.preinit()
    if kind not in Image.OPEN:
        Image.init()
    file.seek(0)
    return Image.OPEN[kind][0](file, "")


_raising = threading.Lock()


@contextmanager
def _allowing(max_pixels: int | None) -> Iterator[None]:
    """Lets the decoders that compare with Pillow's limit themselves take a larger image."""
    if not max_pixels or not Image.MAX_IMAGE_PIXELS or max_pixels <= Image.MAX_IMAGE_PIXELS:
        yield
        return
    with _raising:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _check_memory(image: Image.Image, what: str) -> None:
    """Refuse by its header what does not fit: a byte and a float for each value."""
    need = image.width * image.height * max(3, len(image.getbands())) * 5
    if need > 10_000_000 and need > (free := free_memory()):
        raise MediaError(
            f"{what}: needs more memory than is free ({need / 1e9:,.1f} GB of {free / 1e9:,.1f} GB): shrink it."
        )


def _words(image: Image.Image, file: BinaryIO, kind: str) -> npt.NDArray[np.uint16] | None:
    """The 16 bits ``(H, W, C)`` of colour images, of which Pillow keeps 8; None where there are no more than these.

    Pillow's unpackers take the high bytes of words in one order. Those of the other order take the low bytes.
    """
    layout = re.fullmatch(r"(LA|RGBA?);16([BLN])", _rawmode(image))
    if kind not in ("PNG", "TIFF") or not layout:
        return None
    if layout[1] == "LA":  # the words lie as four bytes
        _unpack(image, "RGBA")
        return np.asarray(image).view(">u2").astype(np.uint16)
    order = layout[2].replace("N", sys.byteorder[0].upper())
    high = np.asarray(image).astype(np.uint16)
    with open_image(file, kind) as again:
        _unpack(again, f"{layout[1]};16{'L' if order == 'B' else 'B'}")
        words: npt.NDArray[np.uint16] = high << 8 | np.asarray(again)
    return words


def _planes_of_words(image: Image.Image) -> bool:
    """Whether a TIFF is laid out so that Pillow would take each byte of its words for a value."""
    tags: Any = getattr(image, "tag_v2", {})
    tiles: Any = getattr(image, "tile", ())
    planes = tags.get(284) == 2 and len(image.getbands()) > 1
    return planes and bool(tiles) and tiles[0][0] == "raw" and _bits(image) > 8


def _rawmode(image: Image.Image) -> str:
    """How the file lays out its values, where Pillow decodes all of it in one way."""
    modes = {tile[3] if isinstance(tile[3], str) else (tile[3] or ("",))[0] for tile in getattr(image, "tile", ())}
    return str(modes.pop()) if len(modes) == 1 else ""


def _unpack(image: Any, rawmode: str) -> None:
    """Have Pillow take the values of a file in another way."""
    tiles = []
    for tile in image.tile:
        values = (*tile[:3], rawmode if isinstance(tile[3], str) else (rawmode, *tile[3][1:]))
        tiles.append(tile._make(values) if hasattr(tile, "_make") else values)  # a named tuple in newer Pillows
    image.tile = tiles


def from_pil(image: Image.Image, what: str, alpha: bool = False) -> tuple[Array, Info]:
    """One PIL image as ``(C, H, W)`` in [0, 1], and what it says beside; errors call it ``what``."""
    if image.format == "EPS" and getattr(image, "tile", None):
        raise MediaError(f"{what}: EPS is a program, which is not started here: save it as PNG.")
    try:
        _check_memory(image, what)
        return _convert(image, what, alpha)
    except MemoryError:
        raise MediaError(f"{what}: needs more memory than is free: shrink it.") from None
    except (InputError, MediaError):
        raise
    except Exception as error:  # it may come from a file that is read only here
        raise damaged(what, error) from None


def _convert(
    image: Image.Image, what: str, alpha: bool, words: npt.NDArray[np.uint16] | None = None
) -> tuple[Array, Info]:
    if _planes_of_words(image):
        raise InputError(f"{what}: planes of 16 bits, one behind the other, are not read: save it as PNG.")
    image.load()
    turn, info = _facts(image)
    values = _values(image, what) if words is None else managed(words, image.info)
    return from_array(_upright(values, turn), alpha, what)[0], info


def _values(image: Image.Image, what: str) -> npt.NDArray[Any]:
    """The values ``(H, W)`` or ``(H, W, C)`` of an image in grey or sRGB: uint8, uint16 or float."""
    if image.mode.startswith("I;16"):
        words = np.asarray(image).astype(np.uint16)
        bits = _bits(image)
        if getattr(image, "tag_v2", {}).get(262) == 0:  # white is zero, which Pillow turns for 8 bits alone
            words = np.uint16(2**bits - 1) - words
        return words / np.float32(2**bits - 1) if bits < 16 else managed(words[..., None], image.info)
    if image.mode == "I":  # integers whose range no file tells
        numbers = np.asarray(image)
        if numbers.min() < 0 or numbers.max() > 65535:
            raise InputError(f"{what}: 32-bit integers have no range to go by: convert it to 8 or 16 bits.")
        return numbers.astype(np.uint16 if numbers.max() > 255 or _bits(image) == 16 else np.uint8)
    if image.mode == "F":
        return np.asarray(image)
    transparency = None
    if image.mode == "La":  # which Pillow converts to nothing else
        image = image.convert("LA")
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        transparency = np.asarray(clear.getchannel("A"))
        image, profile = clear.getchannel("R") if grey else clear.convert("RGB"), image.info.get("icc_profile")
    else:
        profile = image.info.get("icc_profile")
        if image.mode not in ("L", "RGB", "CMYK"):
            image = image.convert("L" if grey else "RGB")
    if profile:
        image = to_srgb(image, profile)
    values = np.asarray(image.convert("RGB") if image.mode == "CMYK" else image)
    return values if transparency is None else np.dstack([values, transparency])


def _bits(image: Image.Image) -> int:
    """How many bits a value has in the file of an image; 32 where that is not known."""
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(258, (32,))
        return int(bits[0] if isinstance(bits, tuple) else bits)
    return 16 if image.format in ("PNG", "PPM", "JPEG2000") or image.mode != "I" else 32


def _facts(image: Image.Image) -> tuple[int, Info]:
    """How an image is to be turned (EXIF's orientation), and its info. What is not well formed counts as missing."""
    turn, block = 1, b""
    try:
        exif = image.getexif()
        turn = exif.get(0x0112, 1)
        kept = Image.Exif()
        for tag in _TAGS:
            if tag in exif:
                kept[tag] = exif[tag]
        for tag in (_EXIF, _GPS):
            if entries := {key: value for key, value in exif.get_ifd(tag).items() if key not in _STALE}:
                kept[tag] = entries
        block = kept.tobytes() if len(kept) else b""
    except Exception:  # of all kinds, by tags of all kinds
        block = b""
    dpi = image.info.get("dpi")
    try:
        across, down = (float(value) for value in dpi)  # type: ignore[union-attr]
        dots = (across, down) if 1 <= across < 1 << 16 and 1 <= down < 1 << 16 else None
    except (TypeError, ValueError, ZeroDivisionError):
        dots = None
    return turn if turn in range(1, 9) else 1, Info(block, dots, bool(image.info.get("icc_profile")))


def _upright(values: npt.NDArray[Any], turn: int) -> npt.NDArray[Any]:
    """Values ``(H, W, ...)``, turned or mirrored as EXIF's orientation asks."""
    if turn in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        values = values[::-1]
    if turn in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values


def opaque(array: Array) -> Array:
    """An image ``(C, H, W)`` laid on white, if it is transparent anywhere: C = 2 or 4."""
    if array.shape[0] not in (2, 4):
        return array
    colour, alpha = array[:-1], array[-1:]
    blended: Array = np.minimum(colour * alpha + (1 - alpha), 1)
    return blended


def from_array(values: npt.NDArray[Any], alpha: bool = False, what: str = "The array") -> list[Array]:
    """``(H, W)``, ``(H, W, C)`` or ``(N, H, W, C)`` of uint8, uint16, bool or float to arrays ``(C, H, W)``.

    With ``alpha`` an image that is transparent somewhere keeps its last channel; else it is laid on white. Errors call
    the array ``what``.
    """
    shape = values.shape
    if values.ndim == 2:
        values = values[None, ..., None]
    elif values.ndim == 3:
        values = values[None]
    if values.ndim != 4 or values.shape[-1] not in (1, 2, 3, 4):
        raise InputError(
            f"{what} of images must be (H, W), (H, W, C) or (N, H, W, C) with C from 1 to 4, not {shape}; "
            "a torch tensor has C before H."
        )
    if 0 in values.shape[1:]:
        raise InputError(f"{what} of shape {shape} has no pixels.")
    floats = values.dtype == np.bool_ or np.issubdtype(values.dtype, np.floating)
    if floats:
        _check_range(values, what)
    elif values.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{what} of {values.dtype} has no range to go by: give uint8, uint16, or float in [0, 1].")
    arrays = []
    for image in values.transpose(0, 3, 1, 2):
        x: Array = np.empty(image.shape, np.float32)
        if floats:
            np.clip(image.astype(np.float32), 0, 1, out=x)
        else:
            np.divide(image, np.float32(np.iinfo(values.dtype).max), out=x)
        arrays.append(x if alpha and x.shape[0] in (2, 4) and x[-1].min() < 1 else opaque(x))
    return arrays


def _check_range(values: npt.NDArray[Any], what: str) -> None:
    if not np.isfinite(values).all():
        raise InputError(f"{what} has NaN or infinite values: repair it first, with numpy.nan_to_num for instance.")
    low, high = float(values.min(initial=1)), float(values.max(initial=0))
    if low < -1e-3 or high > 1 + 1e-3:  # rounding may leave the range by a little
        raise InputError(
            f"{what} must have its floats in [0, 1], and they reach from {low:.4g} to {high:.4g}: rescale them, give "
            "uint8, or zoo.Images.from_network for what a network made in [-1, 1]."
        )
