"""Conditions as they are typed: ``-c NAME=VALUE`` for all inputs or once for each, or a folder whose names match."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import InputError
from zoo.jobs.files import Each
from zoo.registry.facts import Entry

if TYPE_CHECKING:
    from zoo.inference.conditions import Space


def parse_pairs(pairs: Sequence[str]) -> dict[str, list[str]]:
    """The texts behind each ``NAME=``, in their order."""
    texts: dict[str, list[str]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InputError(f"-c takes NAME=VALUE, not {pair!r}.")
        texts.setdefault(name.replace("-", "_"), []).append(value)
    return texts


def files_in(texts: Mapping[str, Sequence[str]]) -> list[Path]:
    """The files that may be meant, with those of folders: they are inputs, and never written over."""
    files: list[Path] = []
    for value in (value for values in texts.values() for value in values):
        if "\0" in value:
            continue
        path = Path(value)
        files += _below(path) if value and os.path.isdir(path) else [path]  # noqa: PTH112 - of any text
    return files


def values_of(entry: Entry | None, texts: Mapping[str, Sequence[str]], names: Sequence[str]) -> dict[str, Any]:
    """Values for the verbs of a model: one for all inputs, or :class:`Each` with one for each.

    Args:
        entry: the facts of the model.
        texts: what was typed, by name of the condition.
        names: of the inputs, without endings, in their order.

    Raises:
        InputError: for what cannot be read, another number of values, or a folder that lacks one for an input.
    """
    from zoo.inference.conditions import space  # numpy, which listing does without

    declared = {condition.name: condition for condition in entry.conditions} if entry else {}
    values: dict[str, Any] = {}
    for name, typed in texts.items():
        if name not in declared:  # an attribute of an edit; others are refused by the verbs
            if len(typed) > 1:
                raise InputError(f"{name} is given {len(typed)} times: give it once.")
            values[name] = typed[0]
            continue
        values[name] = _value(space(declared[name]), typed, names)
    return values


def keywords(values: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`values_of` gives as keywords of a verb for all inputs."""
    return {name: value.values if isinstance(value, Each) else value for name, value in values.items()}


def _value(each: Space, texts: Sequence[str], names: Sequence[str]) -> Any:
    several = each.condition.count is not None and each.condition.kind != "keypoints"
    folder = Path(texts[0])
    if each.is_file and len(texts) == 1 and texts[0] and "\0" not in texts[0] and folder.is_dir():
        inner = {path.name: path for path in folder.iterdir() if path.is_dir()} if several else {}
        if not several or inner:
            files = inner or {_stem(path.relative_to(folder)): path for path in _below(folder)}
            return Each([each.parse(str(_match(each, folder, files, name))) for name in names])
    parsed = [each.parse(text) for text in texts]
    if several and len(parsed) > 1:
        return parsed
    return parsed[0] if len(parsed) == 1 else Each(_as_many(each, parsed, len(names)))


def _as_many(each: Space, values: list[Any], n: int) -> list[Any]:
    if len(values) != n and n == 1:
        raise InputError(f"{each.condition.name} is given {len(values)} times, for one input: give it once.")
    if len(values) != n:
        raise InputError(
            f"{each.condition.name} has {len(values)} values for {n} inputs: give one, one for each, or a folder whose "
            "file names match."
        )
    return values


def _match(each: Space, folder: Path, files: Mapping[str, Path], name: str) -> Path:
    """The file of a folder that has the name of an input, below the same folders or alone."""
    for key in (name, Path(name).name):
        if key in files:
            return files[key]
    raise InputError(f"{each.condition.name}: {folder} has no file called {name}: name one for each input.")


def _stem(path: Path) -> str:
    return str(path.with_suffix(""))


def _below(folder: Path) -> list[Path]:
    """The files in a folder and those below, in the order of their names, but for hidden ones."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
