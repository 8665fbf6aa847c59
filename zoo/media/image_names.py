"""Names of files for many images, that every system takes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

BYTES = 255  # that file systems give a name


def sample_names(n: int) -> list[str]:
    """Names of ``n`` samples, which sort as their numbers do."""
    width = max(4, len(str(n - 1)))
    return [f"{number:0{width}d}" for number in range(n)]


def unique(names: Iterable[str]) -> list[str]:
    """The same names, with ``-2``, ``-3``, ... behind those that came before; case does not tell files apart."""
    seen: set[str] = set()
    distinct = []
    for name in names:
        new, number = name, 2
        while new.lower() in seen:
            new, number = f"{name}-{number}", number + 1
        seen.add(new.lower())
        distinct.append(new)
    return distinct


def file_names(names: Iterable[str], ending: str = ".png") -> list[str]:
    """Names of files for results: relative, below the folder they are written to, each another, and short enough.

    Sub-folders stay. ``..``, roots, drives, backslashes and characters that no file system takes are taken out.

    Args:
        names: what the results are called.
        ending: of the files.
    """
    seen: set[str] = set()
    files = []
    for number, name in enumerate(names):
        name = re.sub(r"^[A-Za-z]:|[\0\\]", "_", name)
        if not encodable(name):
            name = re.sub("[\ud800-\udfff]", "_", name)  # halves of characters
        parts = [_shortened(part) for part in name.split("/") if part not in ("", ".", "..")]
        *folders, last = parts or [f"{number:04d}"]
        base, count = last, 1
        while True:
            tail = f"-{count}{ending}" if count > 1 else ending
            file = "/".join([*folders, _shortened(base, tail)])
            if file.lower() not in seen:
                break
            count += 1
        seen.add(file.lower())
        files.append(file)
    return files


def encodable(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def _shortened(name: str, tail: str = "") -> str:
    """A name with its tail in as many bytes as file systems take."""
    room = BYTES - len(os.fsencode(tail))
    while len(os.fsencode(name)) > room:
        name = name[: max(room // 4, len(name) - 8)] if len(name) > 8 else name[:-1]
    return name + tail
