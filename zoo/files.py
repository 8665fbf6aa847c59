"""Files that are whole or not there, and small files that strangers wrote."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STANDARD = Path("-")  # standard input or output
SMALL = 4_000_000  # bytes: a hundred times what such files have


def read_small(path: str | os.PathLike[str], most: int = SMALL) -> bytes:
    """The content of a small file that a stranger may have written.

    Raises:
        OSError: if it cannot be read, has more bytes than ``most``, or is no regular file: reading a FIFO or a device
            may never end. Its ``strerror`` says which.
    """
    with open(path, "rb", opener=_at_once) as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        content = b"" if facts.st_size > most else file.read(most + 1)
        if max(len(content), facts.st_size) > most:
            raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return content


def _at_once(path: str, flags: int) -> int:
    """Opening a FIFO would wait for who writes to it. Windows has neither FIFOs nor this flag."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_text(path: str | os.PathLike[str], most: int = SMALL) -> str:
    """The text of a small file in UTF-8, as :func:`read_small`; a byte order mark is left out."""
    try:
        return read_small(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise OSError(errno.EILSEQ, f"it is not UTF-8 at byte {error.start:,}", str(path)) from None


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether a regular file can be seen there. ``Path.is_file`` raises where a folder cannot be entered."""
    return os.path.isfile(path)  # noqa: PTH113


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A name to write to, in the same folder; it becomes ``path`` when the block ends well, and is deleted if not.

    The folder is created if missing. A file that is there is replaced in one go; where ``path`` is a link, the file
    that it leads to. A device or a FIFO is written to directly.
    """
    import secrets  # which imports what listing does without

    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Nobody can guess the name and plant a link under it, and no thread shares it; it is short, since the name of
    # ``path`` may be as long as the file system allows. torch.save refuses names that are all ending, such as ".1234".
    aside = path.with_name(f".{secrets.token_hex(8)}.part")
    os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield aside
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
