"""What results are called: settled once, before anything is read, and tied to the input that each is made from."""

from __future__ import annotations

import json
import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from zoo.errors import InputError, MediaError
from zoo.files import STANDARD, atomic_write


class PathType(click.Path):
    """A path as it was typed: ``-`` is :data:`STANDARD`, ``./-`` a file, and an empty text an error."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Refuse what a shell makes of a variable that is not set: for Python it is the current folder."""
        text = os.fsdecode(super().convert(value, param, ctx))
        if not text.strip():
            what = param.get_error_hint(ctx) if param else "The path"
            raise InputError(f"{what} is empty: name a path; a variable of the shell may not be set.")
        path = Path(text)
        return path.absolute() if path == STANDARD and text != "-" else path


# In a folder of results: which input each was made from, as paths relative to the folder. A result of a.png is so never
# taken for that of a.jpg, whichever came first and whatever else is there.
RECORD = ".zoo-inputs.json"


def default_output(name: str, ending: str = ".png") -> str:
    """The image that ``zoo generate NAME`` writes where no other is named: a visible file in the current folder."""
    scheme, colon, rest = name.partition(":")
    if colon and scheme == "hf-hub":
        rest = rest.partition("@")[0].rstrip("/")
    last = os.path.basename(os.path.abspath(rest)) if colon else name.replace("/", "-")  # noqa: PTH100, PTH119
    return f"{last.lstrip('.') or 'samples'}{ending}"


def settle(
    inputs: Sequence[tuple[str, Path]], folder: Path, ending: str, keep: bool
) -> tuple[list[tuple[Path, Path]], list[tuple[Path, Path]]]:
    """A file in a folder for each input.

    An input keeps the file that an earlier run wrote for it. Another gets its own name, or ``NAME-2``, ... where that
    belongs to an input already. An input that is named twice counts once.

    Args:
        inputs: name of the result, without an ending, and path of each.
        folder: for the results.
        ending: of the files, such as ``.png``.
        keep: whether files that are there are to be left alone. Of those that no run has recorded it is believed that
            they are of the input with their name, if there is just one.

    Returns:
        Input and file of each result that is to be written, and of each that exists already.
    """
    from zoo.media.image_names import file_names

    root = Path(os.path.realpath(folder))
    record = {name: origin for name, origin in _read(root).items() if (root / name).is_file()}
    of_input = {origin: name for name, origin in record.items() if name.endswith(ending)}
    taken = {_key(root / name) for name in record}
    origins: dict[str, tuple[str, Path]] = {}
    for name, path in inputs:
        origins.setdefault(_origin(path, root), (name, path))
    wanted = Counter(_key(root / name) for origin, (name, _) in origins.items() if origin not in of_input)
    to_make: list[tuple[Path, Path]] = []
    there: list[tuple[Path, Path]] = []
    for origin, (name, path) in origins.items():
        result, there_already = of_input.get(origin), origin in of_input
        number = 1
        while result is None:
            (file,) = file_names([f"{name}-{number}" if number > 1 else name], ending)
            stranger = keep and (root / file).exists()
            alone = number == 1 and wanted[_key(root / name)] == 1
            if _key(root / file) not in taken and (alone or not stranger):
                result, there_already = file, stranger and path != STANDARD and path.is_file()
            number += 1
        taken.add(_key(root / result))
        (there if keep and there_already else to_make).append((path, folder / result))
    return to_make, there


def remember(files: Sequence[tuple[Path, Path]], folder: Path) -> None:
    """Write down which input each file in a folder is made from.

    Raises:
        MediaError: where the disk does not take it.
    """
    root = Path(os.path.realpath(folder))
    before = _read(root)
    record = {name: origin for name, origin in before.items() if (root / name).is_file()}
    record |= {str(file.relative_to(folder)): _origin(path, root) for path, file in files if path.is_file()}
    if record == before:
        return
    target = root / RECORD
    try:
        if target.is_symlink():  # nobody has asked to write where it leads
            target.unlink()
        with atomic_write(target) as aside:
            aside.write_text(json.dumps(record, indent=0))
    except OSError as error:
        raise MediaError(f"{target} cannot be written: {error.strerror or error}.") from None


def forget(folder: Path) -> None:
    """Take the record away where nothing came of it, and the folder if it holds nothing else."""
    root = Path(os.path.realpath(folder))
    if not any((root / name).is_file() for name in _read(root)):
        with suppress(OSError):
            (root / RECORD).unlink(missing_ok=True)
            root.rmdir()


def results_in(folder: Path) -> set[Path]:
    """The real paths of the files in a folder that are results."""
    root = Path(os.path.realpath(folder))
    return {root / name for name in _read(root)}


def keep_inputs(targets: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Refuse to write over what is read, by whatever name; of a folder that is all files in it.

    Raises:
        InputError: naming the first.
    """
    from zoo.media.image_paths import files_below

    there = {_identity(target): target for target in targets}
    there.pop(None, None)
    for given in inputs if there else ():
        for path in (given, *(files_below(given) if os.path.isdir(given) else ())):  # noqa: PTH112 - of any text
            if target := there.get(_identity(path)):
                raise InputError(f"{target} is an input and would be overwritten: choose another output.")


def _identity(path: Path) -> tuple[int, int] | None:
    """The file itself, which can have several names; None if there is no such file."""
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return None
    return (stat.st_dev, stat.st_ino) if path != STANDARD else None


def _read(root: Path) -> dict[str, str]:
    """The record of a folder; empty if there is none that can be read."""
    path = root / RECORD
    try:
        record = json.loads(path.read_text()) if path.is_file() and not path.is_symlink() else {}
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(record, dict):
        return {}
    return {name: origin for name, origin in record.items() if isinstance(origin, str) and _below(name)}


def _below(name: str) -> bool:
    """Whether a name from a record is of a file in its folder."""
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name and len(name) < 4096


def _origin(path: Path, root: Path) -> str:
    """An input as the record of a folder has it: by its place, whichever way leads there."""
    if path == STANDARD:
        return "-"
    place = os.path.join(os.path.realpath(path.parent), path.name)  # noqa: PTH118
    try:
        return os.path.relpath(place, root)
    except ValueError:  # on another drive
        return place


def _key(path: Path) -> str:
    """What tells files apart on every file system: the file that a link leads to, without case."""
    return unicodedata.normalize("NFC", os.path.realpath(path)).casefold()
