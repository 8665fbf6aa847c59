"""Files that are whole or not there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A name to write to, in the same folder; it becomes ``path`` when the block ends well, and is deleted if not.

    The folder is made if it is missing. A file that is there is replaced in one go; where ``path`` is a link, the file
    that it leads to. A device or a FIFO is written to directly.
    """
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
