"""Which files are images: folders, and names."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from zoo.errors import InputError

# Endings of images that are read; in folders, files with other endings or none are looked into.
# fmt: off
READS = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".ppm", ".pgm", ".pbm",
    ".pnm", ".pfm", ".avif", ".avifs", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".tga", ".icb", ".vda", ".vst",
    ".ico", ".dds", ".apng",
)
# What TIFF readers take for an image, and in which they find a thumbnail.
_RAW = (
    ".dng", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".cr2", ".pef", ".srw", ".3fr", ".iiq", ".erf", ".kdc", ".dcr",
    ".mos", ".rw2", ".orf",
)
# fmt: on
HEAD = 64  # bytes that tell what a file is
FORMATS = "PNG, JPEG, WebP, AVIF, TIFF, GIF, BMP, PNM, JPEG 2000, TGA, ICO or DDS"
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
        with os.scandir(folder) as entries:
            items = sorted(entries, key=lambda item: item.name)
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


def image_files(folder: Path, left_out: LeftOut | None = None) -> list[Path]:
    """The image files of a folder and of those inside it, hidden ones left out, in the order of their names.

    An image is what begins like one, whatever it is called, and what is called like one, whatever it holds: so a
    damaged image is not passed over.

    Args:
        folder: where to look.
        left_out: takes the path of every other file, and why it is none.

    Raises:
        InputError: if there are none.
    """
    return files_that(
        folder,
        lambda path: "" if path.suffix.lower() in READS else _no_image(path),
        f"images: give {FORMATS}",
        left_out,
    )


def files_that(folder: Path, why_not: Callable[[Path], str], wanted: str, left_out: LeftOut | None) -> list[Path]:
    """The wanted files of a folder and of those inside it, hidden ones left out, in the order of their names.

    Args:
        folder: where to look.
        why_not: why a file is not wanted; empty if it is.
        wanted: the files, and the cure, for the error.
        left_out: takes the path of every other file, and why it is left out.

    Raises:
        InputError: if there are none.
    """
    skipped: LeftOut = []
    files = []
    depth = len(folder.parts)
    for path in files_below(folder, left_out=skipped):
        hidden = any(part.startswith(".") for part in path.parts[depth:])
        if reason := "hidden" if hidden else why_not(path):
            skipped.append((path, reason))
        else:
            files.append(path)
    if left_out is not None:
        left_out += skipped
    if not files:
        raise InputError(f"{folder} holds no {wanted}.")
    return files


def _no_image(path: Path) -> str:
    """Why a file is no image; empty if it is one."""
    try:
        with path.open("rb", buffering=0) as file:
            head = file.read(HEAD)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return "" if format_of(head, path.name) else refusal(head, path.name)


def refusal(head: bytes, name: str) -> str:
    """Why what begins with ``head`` is not read."""
    if not head:
        return "empty (0 bytes)"
    if Path(name).suffix.lower() in _RAW:
        return "a camera's raw file"
    if re.match(rb"....ftyp(hei|hev|mif1|msf1)", head, re.DOTALL):
        return "HEIC, which is not read"
    return "not an image"


def format_of(head: bytes, name: str = "") -> str:
    """Pillow's name for the format of a file, by its content; empty if it is none that is read.

    Pillow opens only the formats that are detected here, with that decoder alone: others start programs (EPS) or are
    little tested.

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
    """Name and path of an image file, or of each one in a folder: relative to the folder, without the ending.

    Args:
        path: a file or a folder.
        left_out: as for :func:`image_files`.
    """
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        return [(bare(file.relative_to(path), READS), file) for file in image_files(path, left_out)]
    return [(bare(Path(path.name), READS), path)]


def bare(path: Path, suffixes: Sequence[str]) -> str:
    """A path without its ending, if that is one of these: ``v1.2`` keeps all of its name."""
    return str(path.with_suffix("") if path.suffix.lower() in suffixes else path)
