"""Where samples are read from and written to, whatever kind they are: paths, folders, open files."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from zoo.errors import InputError, MediaError
from zoo.files import is_file
from zoo.media.image_names import BYTES, encodable
from zoo.media.image_paths import HEAD, LeftOut, bare, files_that
from zoo.memory import free_memory


class FileKind(NamedTuple):
    """Which files hold samples of a kind.

    Attributes:
        noun: what the samples are called in messages, in the plural.
        one: what one sample is called, with its article.
        suffixes: endings of the files that are read, in small letters.
        begins: whether a file that begins with these bytes, 64 or more, is one.
        formats: the formats as messages list them.
    """

    noun: str
    one: str
    suffixes: tuple[str, ...]
    begins: Callable[[bytes], bool]
    formats: str


def named_files(path: Path, kind: FileKind, left_out: LeftOut | None = None) -> list[tuple[str, Path]]:
    """Name and path of a file, or of each one of a kind in a folder: relative to the folder, without the ending.

    Folders are searched to the bottom in the order of names. A file counts if it begins like one of its kind or is
    called like one, so that a damaged file is not passed over; hidden files are left out.

    Args:
        path: a file or a folder.
        kind: which files count.
        left_out: takes the path of every other file, and why it is left out.

    Raises:
        InputError: for a folder without such files.
    """
    if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        return [(bare(Path(path.name), kind.suffixes), path)]

    def why_not(file: Path) -> str:
        counts = file.suffix.lower() in kind.suffixes or kind.begins(_head(file))
        return "" if counts else f"not {kind.one}"

    files = files_that(path, why_not, f"{kind.noun}: give {kind.formats}", left_out)
    return [(bare(file.relative_to(path), kind.suffixes), file) for file in files]


def _head(path: Path) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(HEAD)
    except OSError:
        return b""


@contextmanager
def open_file(path: Path, begins: Callable[[bytes], object]) -> Iterator[BinaryIO]:
    """A file, device or FIFO, open for reading; what cannot go back is read into memory first.

    Args:
        path: of the file.
        begins: whether a file that begins with these bytes is read; one that is not may have no end.

    Raises:
        InputError: if there is none.
        MediaError: if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            yield file if regular else _drained(file, str(path), begins)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except OSError as error:
        raise MediaError(f"{path} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{str(path)!r} is no path: {error}.") from None  # as with a NUL in it


@contextmanager
def opened(path: Path, kind: FileKind) -> Iterator[BinaryIO]:
    """A file of a kind, as :func:`open_file` opens it.

    Raises:
        InputError: if there is none.
        MediaError: if it cannot be read, is empty, or does not begin like its kind.
    """
    with open_file(path, kind.begins) as file:
        check_head(file, str(path), kind)
        yield file


def check_head(file: BinaryIO, what: str, kind: FileKind) -> None:
    """Refuse an open file that does not begin like its kind, and leave it at its beginning.

    Raises:
        MediaError: with the reason; errors call the file ``what``.
    """
    head = file.read(HEAD)
    file.seek(0)
    if not head:
        raise MediaError(f"{what}: empty (0 bytes): get the file again.")
    if not kind.begins(head):
        raise MediaError(f"{what}: not {kind.one}, whatever the name says: use {kind.formats}.")


def _drained(file: BinaryIO, what: str, begins: Callable[[bytes], object]) -> BinaryIO:
    """All of a file that cannot be read twice; what does not begin like its kind may have no end: it is not read on."""
    parts = [head := file.read(HEAD)]
    if begins(head):
        most = free_memory() // 2
        while part := file.read(1 << 20):
            parts.append(part)
            most -= len(part)
            if most < 0:
                raise MediaError(f"{what}: needs more memory than is free: make a file of it.")
    return io.BytesIO(b"".join(parts))


def read_object(source: Any, item: str) -> tuple[str, bytes]:
    """Name and content of an open file, from its beginning if it can go back; errors call it ``item``."""
    name = getattr(source, "name", None)
    what = name if isinstance(name, str) and name else item
    try:
        if hasattr(source, "seek") and getattr(source, "seekable", lambda: True)():
            source.seek(0)
        content = source.read()
    except (OSError, ValueError) as error:  # closed, for writing only, or text of another encoding
        raise InputError(f"{what} cannot be read: {error}: give a file opened with 'rb'.") from None
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise InputError(f"{what} gives {type(content).__name__}, not bytes: open it with 'rb'.")
    return what, bytes(content)


def check_path(path: Any, noun: str) -> Path:
    """The path of an input as one, after what is none was refused.

    Raises:
        InputError: for an address of the network, and an empty path.
    """
    text = os.fspath(path)
    if str(text).startswith(("http://", "https://")):
        raise InputError(f"{text} is an address, and nothing is fetched from the network here: download it first.")
    if not text:  # an unset variable; Path would take it for the current folder
        raise InputError(f"The path of {noun} is empty: name a file, or . for the current folder.")
    return Path(text)


def is_folder(output: str | os.PathLike[str]) -> bool:
    """Whether an output is a folder: it exists as one, has no ending, or is a text that ends in a slash.

    A ``Path`` has lost the slash: give what was typed.
    """
    text = os.fspath(output)
    there = os.path.isdir(text)  # noqa: PTH112 - Path.is_dir raises for a name that is too long
    return there or text.endswith(("/", os.sep)) or not Path(text).suffix


def checked_path(path: Any) -> Path:
    """The path of an output as one, after what is none was refused.

    Raises:
        InputError: for what is no path, and a name that no system takes.
    """
    if not isinstance(path, (str, os.PathLike)) or not isinstance(text := os.fspath(path), str):
        raise InputError(f"A path is a text or a Path, not {path!r}.")
    if not text or "\0" in text or not encodable(text):
        raise InputError(f"{text!r} is no path that can be written to: give another.")
    target = Path(text)
    if any(len(os.fsencode(part)) > BYTES for part in target.parts):
        raise InputError(f"{text} is too long: a name takes at most {BYTES} bytes.")
    return target


def check_home(path: str | os.PathLike[str], folder: bool) -> None:
    """Refuse an output, a file or a folder, for which there is no place.

    Raises:
        MediaError: for a place where nothing may be written.
    """
    target = Path(path)
    home = target if folder and os.path.isdir(target) else target.parent  # noqa: PTH112 - is_dir raises for long names
    while not os.path.lexists(home) and home != home.parent:
        home = home.parent
    if not os.path.isdir(home) or not os.access(home, os.W_OK):  # noqa: PTH112
        raise MediaError(f"{path} cannot be written: {home} is not a folder that you may write to.")


def check_target(path: Any, suffixes: Sequence[str], noun: str) -> bool:
    """Refuse an output that cannot work before any time is spent on it, and say whether it is a folder.

    Args:
        path: a file or folder, as ``save`` takes it.
        suffixes: that a file may end in.
        noun: what is written, in the plural.

    Raises:
        InputError: for a name that cannot be written.
        MediaError: for a place where nothing may be written.
    """
    target, text = checked_path(path), os.fspath(path)
    folder = is_folder(text)
    if not folder and target.suffix.lower() not in suffixes:
        raise InputError(f"{text}: {noun} are not written as {target.suffix}: use {', '.join(suffixes)}, or a folder.")
    if folder and is_file(target):
        raise InputError(f"{text} is a file and no folder: choose another output.")
    check_home(text, folder)
    return folder
