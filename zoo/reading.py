"""From picture files, PIL pictures and numpy arrays to float32 ``(C, H, W)`` in [0, 1]; see :meth:`zoo.Images.of`."""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from zoo.errors import InputError, PictureError
from zoo.memory import free_memory

Array = npt.NDArray[np.float32]

# Endings of pictures that are read; in folders, files with other endings or none are looked into.
# fmt: off
READS = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".ppm", ".pgm", ".pbm",
    ".pnm", ".pfm", ".avif", ".avifs", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".tga", ".icb", ".vda", ".vst",
    ".ico", ".dds", ".apng",
)
# What TIFF readers take for a picture, and in which they find a thumbnail.
_RAW = (
    ".dng", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".cr2", ".pef", ".srw", ".3fr", ".iiq", ".erf", ".kdc", ".dcr",
    ".mos", ".rw2", ".orf",
)
# fmt: on
_HEAD = 64  # bytes that tell what a file is
# A prefix for each format; those of AVIF, JPEG 2000, BMP, ICO and TGA need a closer look.
_MAGIC = (
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"RIFF....WEBP", "WEBP"),
    (rb"GIF8[79]a", "GIF"),
    (rb"II[*+]\0|MM\0[*+]", "TIFF"),
    (rb"P[1-6]\s+(#[^\n]*\s+)*[0-9#]|Pf\s+[0-9]", "PPM"),
    (rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (rb"DDS \x7c\0\0\0", "DDS"),
    (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", "BMP"),
    (rb"....ftyp(avif|avis|(mif1|msf1).{4,44}(avif|avis))", "AVIF"),
    (rb"\0\0\x01\0[\x01-\xff]\0..[^\0]?\0", "ICO"),
    # No map of colours and a kind without one, or a map and a kind with one; depth, and descriptor without rare bits.
    (rb".(\0[\x02\x03\x0a\x0b]\0{5}|\x01[\x01\x09].{5}).{4}(?!\0\0)..(?!\0\0)..[\x08\x0f\x10\x18\x20][\0-\x2f]", "TGA"),
)
_MAGICS = tuple((re.compile(pattern, re.DOTALL), kind) for pattern, kind in _MAGIC)
_FORMATS = "PNG, JPEG, WebP, AVIF, TIFF, GIF, BMP, PNM, JPEG 2000, TGA, ICO or DDS"

# What is said of a picture beside its pixels, in EXIF: description, make, model, resolution and its unit, software,
# date, artist, copyright.
_TAGS = (0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x8298)
_EXIF, _GPS = 0x8769, 0x8825
# The maker's note breaks where it is moved; the others describe the pixels that were.
_STALE = (0x927C, 0xA001, 0xA002, 0xA003, 0xA005)


class Info(NamedTuple):
    """What a file says of its picture beside the pixels, and what is written into the file of a result.

    Attributes:
        exif: a block of EXIF without rotation and thumbnail; empty where there is none.
        dpi: pixels per inch, across and down.
        srgb: whether the file had a colour profile: the colours are converted to sRGB, and the result says so.
    """

    exif: bytes = b""
    dpi: tuple[float, float] | None = None
    srgb: bool = False


LeftOut = list[tuple[Path, str]]


def files_below(folder: Path, above: frozenset[str] = frozenset(), left_out: LeftOut | None = None) -> Iterator[Path]:
    """The files of a folder and of those inside it, in the order of their names.

    Links to folders are followed, but for those that lead back to one ``above``; an unreadable folder counts as empty.

    Args:
        folder: where to look.
        above: the real paths of the folders that led here.
        left_out: takes the path of all that is neither file nor folder, or cannot be read, and why.
    """
    try:
        with os.scandir(folder) as found:
            items = sorted(found, key=lambda item: item.name)
    except PermissionError:
        if left_out is not None:
            left_out.append((folder, "may not be read"))
        return
    above |= {os.path.realpath(folder)}
    for item in items:
        path = folder / item.name
        if item.is_file():
            yield path
        elif item.is_dir():
            if os.path.realpath(path) not in above:
                yield from files_below(path, above, left_out)
        elif left_out is not None:
            left_out.append((path, "leads nowhere" if item.is_symlink() else "is no file"))


def picture_files(folder: Path, left_out: LeftOut | None = None) -> list[Path]:
    """The picture files of a folder and of those inside it, hidden ones left out, in the order of their names.

    A picture is what begins like one, whatever it is called, and what is called like one, whatever it holds: so a
    damaged picture is not passed over.

    Args:
        folder: where to look.
        left_out: takes the path of every other file, and why it is none.

    Raises:
        InputError: if there are none.
    """
    skipped: LeftOut = []
    files = []
    depth = len(folder.parts)
    for path in files_below(folder, left_out=skipped):
        if any(part.startswith(".") for part in path.parts[depth:]):
            skipped.append((path, "hidden"))
        elif path.suffix.lower() in READS:
            files.append(path)
        elif reason := _no_picture(path):
            skipped.append((path, reason))
        else:
            files.append(path)
    if left_out is not None:
        left_out += skipped
    if not files:
        raise InputError(f"{folder} holds no pictures: give {_FORMATS}.")
    return files


def _no_picture(path: Path) -> str:
    """Why a file is no picture; empty if it is one."""
    try:
        with path.open("rb", buffering=0) as file:
            head = file.read(_HEAD)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return "" if format_of(head, path.name) else _refusal(head, path.name)


def _refusal(head: bytes, name: str) -> str:
    """Why what begins with ``head`` is not read."""
    if not head:
        return "empty (0 bytes)"
    if Path(name).suffix.lower() in _RAW:
        return "a camera's raw file"
    if re.match(rb"....ftyp(hei|hev|mif1|msf1)", head, re.DOTALL):
        return "HEIC, which is not read"
    return "not a picture"


def format_of(head: bytes, name: str = "") -> str:
    """Pillow's name for the format of a file, by its content; empty if it is none that is read.

    Only what is found here is given to Pillow, and only to that decoder: others start programs (EPS) or are little
    tested.

    Args:
        head: the first 64 bytes, or more.
        name: of the file. TGA has no mark at its beginning: it is believed where the name ends so, or has no ending.
    """
    ending = Path(name).suffix.lower()
    if ending in _RAW:
        return ""
    for pattern, kind in _MAGICS:
        if pattern.match(head) and (kind != "TGA" or ending in (".tga", ".icb", ".vda", ".vst", "")):
            return kind
    return ""


def named_files(path: Path, left_out: LeftOut | None = None) -> list[tuple[str, Path]]:
    """Name and path of a picture file, or of each one in a folder: relative to the folder, without the ending.

    Args:
        path: a file or a folder.
        left_out: as for :func:`picture_files`.
    """
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        return [(_bare(file.relative_to(path)), file) for file in picture_files(path, left_out)]
    return [(_bare(Path(path.name)), path)]


def _bare(path: Path) -> str:
    """A path without the ending of a picture: ``v1.2`` keeps all of its name."""
    return str(path.with_suffix("") if path.suffix.lower() in READS else path)


def read_file(path: Path, alpha: bool = False, max_pixels: int | None = None) -> Array:
    """One picture file as ``(C, H, W)`` in [0, 1]; see :func:`read_path`."""
    return read_path(path, alpha, max_pixels)[0]


def read_path(path: Path, alpha: bool = False, max_pixels: int | None = None) -> tuple[Array, Info]:
    """One picture file, device or FIFO as ``(C, H, W)`` in [0, 1], and what it says beside.

    Args:
        path: of the file.
        alpha: as for :meth:`zoo.Images.of`.
        max_pixels: likewise.

    Raises:
        InputError: if there is none.
        PictureError: if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            return read_open(file if regular else _drained(file, str(path)), str(path), alpha, max_pixels)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{str(path)!r} is no path: {error}.") from None  # as with a NUL in it


def _drained(file: BinaryIO, what: str) -> BinaryIO:
    """All of a file that cannot be read twice; what begins like no picture may have no end, and is not read on."""
    parts = [head := file.read(_HEAD)]
    if format_of(head):
        most = free_memory() // 2
        while part := file.read(1 << 20):
            parts.append(part)
            most -= len(part)
            if most < 0:
                raise PictureError(f"{what}: needs more memory than is free: make a file of it.")
    return io.BytesIO(b"".join(parts))


def read_open(file: BinaryIO, what: str, alpha: bool = False, max_pixels: int | None = None) -> tuple[Array, Info]:
    """One picture of an open file as ``(C, H, W)`` in [0, 1], and what it says beside; errors call it ``what``.

    The file is read from its beginning, wherever it stands.
    """
    file.seek(0)
    head = file.read(_HEAD)
    name = Path(what).name
    if not head:
        raise PictureError(f"{what}: empty (0 bytes): get the file again.")
    kind = format_of(head, name)
    if not kind:
        raise PictureError(f"{what}: {_refusal(head, name)}, whatever the name says: use {_FORMATS}.")
    limit = max_pixels or Image.MAX_IMAGE_PIXELS
    try:
        with _allowing(max_pixels), _opened(file, kind) as picture:
            pixels = picture.width * picture.height
            if limit and pixels > limit:
                raise Image.DecompressionBombError
            _check_memory(picture, what)
            return _convert(picture, what, alpha, _words(picture, file, kind))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(
            f"{what}: more than {limit:,} pixels, as in a decompression bomb: shrink it, or, if you trust it, "
            "raise max_pixels (--max-pixels)."
        ) from None
    except MemoryError:
        raise PictureError(f"{what}: needs more memory than is free: shrink it.") from None
    except InputError as error:
        raise PictureError(str(error)) from None
    except PictureError:
        raise
    except KeyError as error:
        if error.args != (kind,):
            raise _damaged(what, error) from None
        raise PictureError(f"{what}: this Pillow reads no {kind}: pip install --upgrade pillow.") from None
    except Exception as error:  # of all kinds: decoders do not agree on what they raise for damaged files
        raise _damaged(what, error) from None


def _damaged(what: str, error: Exception) -> PictureError:
    reason = " ".join(str(error).split()) or type(error).__name__
    if re.search("unknown|unsupported|not supported|unimplemented|cannot handle", reason, re.IGNORECASE):
        return PictureError(f"{what}: of a kind that is not read, or damaged ({reason}): save it as PNG.")
    return PictureError(f"{what}: damaged or cut off ({reason}): get the file again.")


def decode(file: BinaryIO, what: str, *, alpha: bool = False, max_pixels: int | None = None) -> Array:
    """One picture of an open file as ``(C, H, W)`` in [0, 1]; errors call it ``what``."""
    return read_open(file, what, alpha, max_pixels)[0]


def _opened(file: BinaryIO, kind: str) -> Image.Image:
    """A picture whose header is read, by the one decoder that is meant.

    ``Image.open`` does the same, and warns of large pictures; nothing can stop that in one thread alone.
    """
    Image.preinit()
    if kind not in Image.OPEN:
        Image.init()
    file.seek(0)
    return Image.OPEN[kind][0](file, "")


_raising = threading.Lock()


@contextmanager
def _allowing(max_pixels: int | None) -> Iterator[None]:
    """Lets the decoders that compare with Pillow's limit themselves take a larger picture."""
    if not max_pixels or not Image.MAX_IMAGE_PIXELS or max_pixels <= Image.MAX_IMAGE_PIXELS:
        yield
        return
    with _raising:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _check_memory(picture: Image.Image, what: str) -> None:
    """Refuse by its header what does not fit: a byte and a float for each value."""
    need = picture.width * picture.height * max(3, len(picture.getbands())) * 5
    if need > 10_000_000 and need > (free := free_memory()):
        raise PictureError(
            f"{what}: needs more memory than is free ({need / 1e9:,.1f} GB of {free / 1e9:,.1f} GB): shrink it."
        )


def _words(picture: Image.Image, file: BinaryIO, kind: str) -> npt.NDArray[np.uint16] | None:
    """The 16 bits ``(H, W, C)`` of colour pictures, of which Pillow keeps 8; None where there are no more than these.

    Pillow's unpackers take the high bytes of words in one order. Those of the other order take the low bytes.
    """
    layout = re.fullmatch(r"(LA|RGBA?);16([BLN])", _rawmode(picture))
    if kind not in ("PNG", "TIFF") or not layout:
        return None
    if layout[1] == "LA":  # the words lie as four bytes
        _unpack(picture, "RGBA")
        return np.asarray(picture).view(">u2").astype(np.uint16)
    order = layout[2].replace("N", sys.byteorder[0].upper())
    high = np.asarray(picture).astype(np.uint16)
    with _opened(file, kind) as again:
        _unpack(again, f"{layout[1]};16{'L' if order == 'B' else 'B'}")
        words: npt.NDArray[np.uint16] = high << 8 | np.asarray(again)
    return words


def _planes_of_words(picture: Image.Image) -> bool:
    """Whether a TIFF is laid out so that Pillow would take each byte of its words for a value."""
    tags: Any = getattr(picture, "tag_v2", {})
    tiles: Any = getattr(picture, "tile", ())
    planes = tags.get(284) == 2 and len(picture.getbands()) > 1
    return planes and bool(tiles) and tiles[0][0] == "raw" and _bits(picture) > 8


def _rawmode(picture: Image.Image) -> str:
    """How the file lays out its values, where Pillow decodes all of it in one way."""
    found = {tile[3] if isinstance(tile[3], str) else (tile[3] or ("",))[0] for tile in getattr(picture, "tile", ())}
    return str(found.pop()) if len(found) == 1 else ""


def _unpack(picture: Any, rawmode: str) -> None:
    """Have Pillow take the values of a file in another way."""
    made = []
    for tile in picture.tile:
        values = (*tile[:3], rawmode if isinstance(tile[3], str) else (rawmode, *tile[3][1:]))
        made.append(tile._make(values) if hasattr(tile, "_make") else values)  # a named tuple in newer Pillows
    picture.tile = made


def from_pil(picture: Image.Image, what: str, alpha: bool = False) -> tuple[Array, Info]:
    """One PIL picture as ``(C, H, W)`` in [0, 1], and what it says beside; errors call it ``what``."""
    if picture.format == "EPS" and getattr(picture, "tile", None):
        raise PictureError(f"{what}: EPS is a program, which is not started here: save it as PNG.")
    try:
        _check_memory(picture, what)
        return _convert(picture, what, alpha)
    except MemoryError:
        raise PictureError(f"{what}: needs more memory than is free: shrink it.") from None
    except (InputError, PictureError):
        raise
    except Exception as error:  # it may come from a file that is read only here
        raise _damaged(what, error) from None


def _convert(
    picture: Image.Image, what: str, alpha: bool, words: npt.NDArray[np.uint16] | None = None
) -> tuple[Array, Info]:
    if _planes_of_words(picture):
        raise InputError(f"{what}: planes of 16 bits, one behind the other, are not read: save it as PNG.")
    picture.load()
    turn, info = _facts(picture)
    values = _values(picture, what) if words is None else _managed(words, picture.info)
    return from_array(_upright(values, turn), alpha, what)[0], info


def _values(picture: Image.Image, what: str) -> npt.NDArray[Any]:
    """The values ``(H, W)`` or ``(H, W, C)`` of a picture in grey or sRGB: uint8, uint16 or float."""
    if picture.mode.startswith("I;16"):
        words = np.asarray(picture).astype(np.uint16)
        bits = _bits(picture)
        if getattr(picture, "tag_v2", {}).get(262) == 0:  # white is zero, which Pillow turns for 8 bits alone
            words = np.uint16(2**bits - 1) - words
        return words / np.float32(2**bits - 1) if bits < 16 else _managed(words[..., None], picture.info)
    if picture.mode == "I":  # integers whose range no file tells
        numbers = np.asarray(picture)
        if numbers.min() < 0 or numbers.max() > 65535:
            raise InputError(f"{what}: 32-bit integers have no range to go by: convert it to 8 or 16 bits.")
        return numbers.astype(np.uint16 if numbers.max() > 255 or _bits(picture) == 16 else np.uint8)
    if picture.mode == "F":
        return np.asarray(picture)
    transparency = None
    if picture.mode == "La":  # which Pillow converts to nothing else
        picture = picture.convert("LA")
    grey = picture.mode in ("1", "L", "LA")
    if picture.has_transparency_data:
        clear = picture.convert("RGBA")
        transparency = np.asarray(clear.getchannel("A"))
        picture, profile = clear.getchannel("R") if grey else clear.convert("RGB"), picture.info.get("icc_profile")
    else:
        profile = picture.info.get("icc_profile")
        if picture.mode not in ("L", "RGB", "CMYK"):
            picture = picture.convert("L" if grey else "RGB")
    if profile:
        picture = _to_srgb(picture, profile)
    values = np.asarray(picture.convert("RGB") if picture.mode == "CMYK" else picture)
    return values if transparency is None else np.dstack([values, transparency])


def _bits(picture: Image.Image) -> int:
    """How many bits a value has in the file of a picture; 32 where that is not known."""
    if picture.format == "TIFF":
        found = getattr(picture, "tag_v2", {}).get(258, (32,))
        return int(found[0] if isinstance(found, tuple) else found)
    return 16 if picture.format in ("PNG", "PPM", "JPEG2000") or picture.mode != "I" else 32


def _facts(picture: Image.Image) -> tuple[int, Info]:
    """How a picture is to be turned (EXIF's orientation), and its info. What is not well formed counts as missing."""
    turn, block = 1, b""
    try:
        exif = picture.getexif()
        turn = exif.get(0x0112, 1)
        kept = Image.Exif()
        for tag in _TAGS:
            if tag in exif:
                kept[tag] = exif[tag]
        for tag in (_EXIF, _GPS):
            if found := {key: value for key, value in exif.get_ifd(tag).items() if key not in _STALE}:
                kept[tag] = found
        block = kept.tobytes() if len(kept) else b""
    except Exception:  # of all kinds, by tags of all kinds
        block = b""
    dpi = picture.info.get("dpi")
    try:
        across, down = (float(value) for value in dpi)  # type: ignore[union-attr]
        dots = (across, down) if 1 <= across < 1 << 16 and 1 <= down < 1 << 16 else None
    except (TypeError, ValueError, ZeroDivisionError):
        dots = None
    return turn if turn in range(1, 9) else 1, Info(block, dots, bool(picture.info.get("icc_profile")))


def _upright(values: npt.NDArray[Any], turn: int) -> npt.NDArray[Any]:
    """Values ``(H, W, ...)``, turned or mirrored as EXIF's orientation asks."""
    if turn in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        values = values[::-1]
    if turn in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values


def _to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """A picture (L, RGB or CMYK) from the colours of its profile to sRGB; as it is if the profile is broken."""
    transform = _transform(profile, picture.mode)
    if not transform:
        return picture
    if picture.mode != "L":
        return transform.apply(picture)
    made = transform.apply(picture.convert(transform.input_mode))
    return made.getchannel("G")


@lru_cache(16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From the colours of a profile to sRGB; None where that changes nothing, or is not possible."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        taken = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}[source.profile.xcolor_space.strip()]
        if taken != mode and (taken, mode) != ("RGB", "L"):
            return None
        transform = ImageCms.ImageCmsTransform(
            source,
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            taken,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        steps = np.arange(0, 256, 17, dtype=np.uint8)
        cube = Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), -1).reshape(16, 256, 3))
        same = taken != "CMYK" and _distance(transform.apply(cube.convert(taken)), cube.convert(taken)) <= 1
        return None if same else transform
    except Exception:  # a profile is optional, and may be broken in any way; so is Pillow's support of them
        return None


def _distance(a: Image.Image, b: Image.Image) -> int:
    return int(np.abs(np.asarray(a.convert("RGB"), np.int16) - np.asarray(b.convert("RGB"), np.int16)).max())


def _managed(words: npt.NDArray[np.uint16], info: dict[Any, Any]) -> npt.NDArray[np.uint16]:
    """Words ``(H, W, C)`` in sRGB, with transparency where the file names a colour that is clear."""
    clear = info.get("transparency")
    if isinstance(clear, (int, tuple)) and words.shape[2] == (1 if isinstance(clear, int) else len(clear)):
        seen = (words != np.array(clear)).any(2, keepdims=True)
        words = np.concatenate([words, seen * np.uint16(65535)], 2)
    return _words_to_srgb(words, info.get("icc_profile"))


def _words_to_srgb(words: npt.NDArray[np.uint16], profile: bytes | None) -> npt.NDArray[np.uint16]:
    """Words ``(H, W, C)`` from the colours of their profile to sRGB.

    Pillow converts 8 bits alone. Profiles that are curves and a matrix, as those of cameras and editors are, are
    computed here with all bits; others, which are tables, go through 8.
    """
    grey = words.shape[2] < 3
    if not profile or not _transform(profile, "L" if grey else "RGB"):
        return words
    colour, rest = np.split(words, [1 if grey else 3], 2)
    try:
        made = _by_matrix(colour, profile)
    except (LookupError, ValueError, ArithmeticError, struct.error):
        eight = (colour // 257).astype(np.uint8)
        picture = _to_srgb(Image.fromarray(eight[..., 0] if grey else eight), profile)
        made = np.asarray(picture).reshape(colour.shape).astype(np.uint16) * 257
    return np.concatenate([made, rest], 2)


def _by_matrix(colour: npt.NDArray[np.uint16], profile: bytes) -> npt.NDArray[np.uint16]:
    """Colours ``(H, W, 1 or 3)`` by the curves and the matrix of a profile.

    Raises:
        LookupError, ValueError, ArithmeticError, struct.error: if it has none, or they are broken.
    """
    (count,) = struct.unpack_from(">I", profile, 128)
    table = [struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(min(count, 100))]
    tags = {name: profile[start : start + size] for name, start, size in table}
    if b"A2B0" in tags:
        raise KeyError("A2B0")  # a table, which comes before a matrix
    if colour.shape[2] == 1:
        linear = _curve(tags[b"kTRC" if b"kTRC" in tags else b"gTRC"])[colour]
    else:
        each = [_curve(tags[name])[colour[..., i]] for i, name in enumerate((b"rTRC", b"gTRC", b"bTRC"))]
        to_xyz = np.array([struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]) / 65536
        linear = np.stack(each, -1) @ (to_xyz @ _TO_SRGB).astype(np.float32)
    linear = np.clip(linear, 0, 1)
    made = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    words: npt.NDArray[np.uint16] = (made * 65535 + 0.5).astype(np.uint16)
    return words


# XYZ under D50, in which profiles say their colours, as rows, to linear sRGB.
_TO_SRGB = np.array(
    [
        [3.1338561, -0.9787684, 0.0719453],
        [-1.6168667, 1.9161415, -0.2289914],
        [-0.4906146, 0.0334540, 1.4052427],
    ]
)


def _curve(tag: bytes) -> Array:
    """The light of each of 65,536 levels, from 0 to 1, by a tag of a profile: a gamma, a table or a formula."""
    x = np.linspace(0, 1, 65536)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        points = np.frombuffer(tag, ">u2", count, 12)
        y = x if not count else x ** (points[0] / 256) if count == 1 else _between(x, points)
    elif tag[:4] == b"para":
        (kind,) = struct.unpack_from(">H", tag, 8)
        g, *more = (float(value) / 65536 for value in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12))
        a, b, c, d, e, f = (more + [1.0, 0.0, 0.0, 0.0, 0.0, 0.0][len(more) :])[:6]
        if kind in (1, 2):  # a line below -b / a
            d, e, f, c = -b / a, c, c, 0.0
        with np.errstate(all="ignore"):  # what comes of nonsense is looked at below
            y = np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)
    else:
        raise ValueError("no curve")
    if not np.isfinite(y).all():
        raise ValueError("no curve")
    return y.astype(np.float32)


def _between(x: npt.NDArray[np.float64], points: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.interp(x, np.linspace(0, 1, len(points)), points / 65535)


def opaque(array: Array) -> Array:
    """A picture ``(C, H, W)`` laid on white, if it is transparent anywhere: C = 2 or 4."""
    if array.shape[0] not in (2, 4):
        return array
    colour, alpha = array[:-1], array[-1:]
    made: Array = np.minimum(colour * alpha + (1 - alpha), 1)
    return made


def from_array(values: npt.NDArray[Any], alpha: bool = False, what: str = "The array") -> list[Array]:
    """``(H, W)``, ``(H, W, C)`` or ``(N, H, W, C)`` of uint8, uint16, bool or float to arrays ``(C, H, W)``.

    With ``alpha`` a picture that is transparent somewhere keeps its last channel; else it is laid on white. Errors call
    the array ``what``.
    """
    shape = values.shape
    if values.ndim == 2:
        values = values[None, ..., None]
    elif values.ndim == 3:
        values = values[None]
    if values.ndim != 4 or values.shape[-1] not in (1, 2, 3, 4):
        raise InputError(
            f"{what} of pictures must be (H, W), (H, W, C) or (N, H, W, C) with C from 1 to 4, not {shape}; "
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
    for picture in values.transpose(0, 3, 1, 2):
        x: Array = np.empty(picture.shape, np.float32)
        if floats:
            np.clip(picture.astype(np.float32), 0, 1, out=x)
        else:
            np.divide(picture, np.float32(np.iinfo(values.dtype).max), out=x)
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
