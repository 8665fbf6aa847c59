"""What a place that ``--data`` names holds: a folder, a zip file or a folder in one, arrays, a data set on the Hub."""

from __future__ import annotations

import csv
import importlib
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.errors import InputError, NoSplitError, PictureError, ZooError
from zoo.memory import free_memory
from zoo.reading import READS, Array, decode, files_below, from_array

Bytes = npt.NDArray[np.uint8]

ACCEPTED = "a folder of pictures, a .zip of them, a folder inside a .zip, an .npz, an .npz.xz, or datasets:OWNER/NAME"
# The folder of a split; trainA and trainB, as CycleGAN's data sets have them, are the folders A and B of train.
_SPLIT = re.compile(r"(train|test|val)([AB]?)/")
_HIDDEN = re.compile(r"(^|/)(\.|__MACOSX/)")
# RuntimeError: what zipfile raises for passwords and for compressions that it does not know.
_DAMAGE = (OSError, EOFError, ValueError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


@dataclass(frozen=True)
class Place:
    """Pictures, or pairs of them, that are not read yet; messages call the place ``where``."""

    where: str
    names: list[str]  # files with their endings; numbers, for an array or a table of the Hub
    load: Callable[[int], tuple[Array, ...]]  # float32 (C, H, W) in [0, 1]; a PictureError is `what: reason: cure`
    labels: npt.NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    array: Bytes | None = None  # (N, H, W) or (N, H, W, C)
    split: str = ""  # which of several it is

    def whole(self, channels: int, size: tuple[int, int] | None) -> Tensor | None:
        """All pictures at once, where they are an array in which nothing has to change but the order of axes."""
        if self.array is None:
            return None
        x = torch.from_numpy(self.array)
        x = x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2)
        if x.shape[1] not in (1, channels) or size not in (None, tuple(x.shape[2:])):
            return None
        return x.expand(-1, channels, -1, -1).contiguous()

    def halves(self) -> list[Place]:
        """The two sub-folders, or nothing where there are not just two with all the pictures."""
        tops = sorted({name.split("/")[0] for name in self.names})
        if len(tops) != 2 or not all("/" in name for name in self.names):
            return []
        return [self._half(f"{top}/") for top in tops]

    def _half(self, top: str) -> Place:
        rows = [i for i, name in enumerate(self.names) if name.startswith(top)]
        names = [self.names[i].removeprefix(top) for i in rows]
        return Place(f"{self.where}/{top[:-1]}", names, lambda k: self.load(rows[k]))


def locate(place: str) -> tuple[Path, str]:
    """The longest part of a path that exists, and the rest, which is inside that file."""
    path = Path(place)
    found = next((part for part in (path, *path.parents) if part.exists()), None)
    if found is None or (found != path and not found.is_file()):
        raise InputError(f"{place} does not exist.")
    return found, path.relative_to(found).as_posix() if found != path else ""


def open_place(place: str, split: str) -> Place:
    """What a place holds of a split."""
    if place.startswith("datasets:"):
        return _hub(place, split)
    path, inner = locate(place)
    where = str(Path(place))
    if path.is_dir():
        files = {file.relative_to(path).as_posix() for file in files_below(path)}
        return _files(where, files, lambda name: (path / name).read_bytes(), split)
    if path.name.lower().endswith((".npz", ".npz.xz")):
        return _npz(where, path, inner, split)
    if path.suffix.lower() != ".zip":
        raise InputError(f"{where} is not what pictures are read from: give {ACCEPTED}.")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise PictureError(f"{path} cannot be read as a zip file ({error}): get it again.") from None
    members = set(archive.namelist())
    if inner in members:  # one file
        where, inner, members = str(Path(where).parent), inner.rpartition("/")[0], {inner}
    root = f"{inner}/" if inner else ""
    files = {name.removeprefix(root) for name in members if name.startswith(root)}
    if not files and inner:
        folders = sorted({name.rpartition("/")[0] for name in members if "/" in name and not _HIDDEN.search(name)})
        raise InputError(f"{path} has no {inner}: it has {some(folders, 5) or 'no folders'}.")
    return _files(where, files, lambda name: archive.read(root + name), split)


def _files(where: str, files: set[str], read: Callable[[str], bytes], split: str) -> Place:
    """The pictures of a split among the files of a folder or zip; ``read`` takes a file's path in it."""
    pictures = sorted(name for name in files if name.lower().endswith(READS) and not _HIDDEN.search(name))
    if not pictures:
        raise InputError(f"{where} holds no pictures ({', '.join(READS)}).")
    base = ""
    while f"{base}labels.csv" not in files:
        tops = {name[len(base) :].partition("/")[:2] for name in pictures}
        top = "".join(min(tops))
        if len(tops) > 1 or not top.endswith("/") or _SPLIT.match(top):
            break
        base += top
    # Split, file, name and class of every picture.
    rows = _table(where, f"{base}labels.csv", read) if f"{base}labels.csv" in files else []
    listed = bool(rows)
    for file in [] if listed else pictures:
        name = file[len(base) :]
        part = _SPLIT.match(name)
        if part:
            name = f"{part[2]}/{name[part.end() :]}".lstrip("/")
        rows.append((part[1] if part else "", file, name, name.split("/")[0] if name.count("/") == 1 else None))
    splits = sorted({row[0] for row in rows if row[0]})
    if splits and split not in splits:
        raise NoSplitError(f"{where} has no pictures of the split {split}: it has {', '.join(splits)}.")
    chosen = [row for row in rows if row[0] == (split if splits else "")]
    kinds = [row[3] for row in chosen]
    # Classes of all splits, so that one that a split lacks does not shift the numbers of the others.
    classes = sorted({row[3] for row in rows if row[3] is not None and (row[0] or not splits)})
    if None in kinds or (len(set(kinds)) < 2 and not listed):
        classes = []
    numbers = {kind: i for i, kind in enumerate(classes)}
    labels = np.array([numbers[kind] for kind in kinds if kind is not None]) if classes else None

    def load(k: int) -> tuple[Array, ...]:
        return _decode(lambda: read(chosen[k][1]), f"{where}/{chosen[k][1]}")

    return Place(where, [row[2] for row in chosen], load, labels, tuple(classes), split=split if splits else "")


def _table(where: str, file: str, read: Callable[[str], bytes]) -> list[tuple[str, str, str, str | None]]:
    """The rows of ``labels.csv``; none if it has other columns."""
    try:
        rows = list(csv.DictReader(io.StringIO(read(file).decode("utf-8-sig"), newline="")))
    except (*_DAMAGE, csv.Error) as error:
        raise InputError(f"{where}/{file} cannot be read ({error}): save it as CSV in UTF-8.") from None
    if not rows or not {"file", "class", "split"} <= rows[0].keys():
        return []
    short = next((number for number, row in enumerate(rows, 2) if row["file"] is None or row["split"] is None), 0)
    if short:
        raise InputError(f"{where}/{file} has too few columns in row {short}: complete or delete it.")
    base = file.removesuffix("labels.csv")
    return [(row["split"], base + row["file"], row["file"], row["class"] or "") for row in rows]


def _npz(where: str, path: Path, key: str, split: str) -> Place:
    try:
        raw = path.read_bytes()
        stream = io.BytesIO(lzma.decompress(raw) if path.suffix.lower() == ".xz" else raw)
        with zipfile.ZipFile(stream) as archive:
            check_memory(where, max((info.file_size for info in archive.infolist()), default=0), free_memory())
        stream.seek(0)
        with np.load(stream, allow_pickle=False) as arrays:
            given, key = bool(key), key or _key(where, arrays, split)
            named = not given and key == f"x_{split}"
            if key not in arrays:
                kind = NoSplitError if named else InputError
                raise kind(f"{where} has no array {key}: it has {', '.join(arrays) or 'none'}.")
            x = np.ascontiguousarray(arrays[key])
            target = f"y{key[1:]}" if key.startswith("x") else "y"
            y = arrays[target].reshape(-1) if target in arrays else None
    except ZooError:
        raise
    except _DAMAGE as error:
        if "Object arrays" in str(error):
            raise InputError(f"{where} has Python objects, which are not read: save uint8 arrays.") from None
        raise PictureError(f"{path} cannot be read as arrays ({error}): get the file again.") from None
    if x.dtype != np.uint8:
        raise InputError(f"{where}: {key} is an array of {x.dtype}: save the pictures as uint8, from 0 to 255.")
    if x.ndim not in (3, 4) or not x.size or x.shape[3:] not in ((), (1,), (2,), (3,), (4,)):
        raise InputError(f"{where}: {key} is {x.shape}: pictures are (N, H, W) or (N, H, W, C) with C from 1 to 4.")
    if y is not None and (y.dtype.kind not in "iu" or len(y) != len(x) or y.min() < 0 or y.max() > 65535):
        raise InputError(f"{where}: {target} must be the class of each of the {len(x):,} pictures, a number from 0.")
    labels = None if y is None else y.astype(np.int64)
    classes = () if labels is None else tuple(str(i) for i in range(int(labels.max()) + 1))
    return Place(where, _numbers(len(x)), lambda k: tuple(from_array(x[k])), labels, classes, x, split if named else "")


def _key(where: str, arrays: Any, split: str) -> str:
    """Which array of an ``.npz`` are the pictures."""
    if "x_train" in arrays or "x_test" in arrays:
        return f"x_{split}"
    found = ["x"] if "x" in arrays else [key for key in arrays if np.ndim(arrays[key]) in (3, 4)]
    if len(found) > 1:
        raise InputError(f"{where} has several arrays, {', '.join(found)}: say which, as in {where}/{found[0]}.")
    return found[0] if found else "x"


def _hub(where: str, split: str) -> Place:
    _, name, *given = where.split(":", 2)
    try:
        datasets: Any = importlib.import_module("datasets")
        load_dataset = datasets.load_dataset  # missing where a folder of that name was imported
    except (ImportError, AttributeError):
        raise InputError(f"{where} needs the package datasets: pip install datasets.") from None
    try:
        data = load_dataset(name, split=given[0] if given else split)
    except Exception as error:  # of many libraries, without a common class
        reason = (str(error) or repr(error)).splitlines()[0].rstrip(".")
        kind = NoSplitError if reason.startswith("Unknown split") else InputError
        raise kind(f"{where}: {reason}: check the name and the split, and that you are online.") from None
    kinds = {column: type(feature).__name__ for column, feature in data.features.items()}
    found = [column for column, kind in kinds.items() if kind == "Image"]
    if not found:
        raise InputError(f"{where} has no column of pictures: it has {', '.join(kinds)}.")
    column = "image" if "image" in found else found[0]
    rows = data.select_columns([column]).cast_column(column, datasets.Image(decode=False))

    def read(k: int) -> bytes:
        cell = rows[k][column] or {"bytes": b""}
        return Path(cell["path"]).read_bytes() if cell["bytes"] is None else cell["bytes"]

    names, labels, classes = _numbers(len(data)), None, ()
    if target := next((column for column, kind in kinds.items() if kind == "ClassLabel"), None):
        labels = np.array([-1 if label is None else label for label in data[target]], np.int64)
        classes = tuple(data.features[target].names)
    if labels is not None and (labels < 0).any():  # the Hub's sign for a class that is kept secret
        labels, classes = None, ()

    def load(k: int) -> tuple[Array, ...]:
        return _decode(lambda: read(k), f"{where}/{names[k]}")

    return Place(where, names, load, labels, classes, split="" if given else split)


def join(sets: list[Place]) -> Place:
    """Several sets as one; it has classes if all have."""
    if len(sets) == 1:
        return sets[0]
    items = [(one, i) for one in sets for i in range(len(one.names))]
    arrays = [one.array for one in sets if one.array is not None]
    same = len(arrays) == len(sets) and len({array.shape[1:] for array in arrays}) == 1
    classes = max((one.classes for one in sets), key=len)
    if any(one.classes != classes[: len(one.classes)] for one in sets):
        classes = tuple(sorted({kind for one in sets for kind in one.classes}))
    labels = [np.array([classes.index(c) for c in one.classes])[one.labels] for one in sets if one.labels is not None]
    complete = len(labels) == len(sets)
    named = any("." in one.names[0] for one in sets)  # pictures of arrays have numbers for names
    return Place(
        " and ".join(one.where for one in sets),
        [name for one in sets for name in one.names] if named else _numbers(len(items)),
        lambda k: items[k][0].load(items[k][1]),
        np.concatenate(labels) if complete else None,
        classes if complete else (),
        np.concatenate(arrays) if same else None,
    )


def _decode(read: Callable[[], bytes], what: str) -> tuple[Array]:
    """One picture; a PictureError for all that can be wrong with it."""
    try:
        raw = read()
        return (decode(io.BytesIO(raw), what),)
    except (KeyError, FileNotFoundError):
        raise PictureError(f"{what}: missing: put it there, or take it out of labels.csv.") from None
    except ZooError as error:
        raise PictureError(str(error)) from None
    except _DAMAGE as error:
        raise PictureError(f"{what}: cannot be read ({error}): get the file again.") from None


def check_memory(where: str, need: int, free: int) -> None:
    if need > free / 2:
        raise InputError(
            f"{where}: the pictures need {need / 1e9:,.1f} GB of memory and may take half of the {free / 1e9:,.1f} GB "
            "that are free: give a smaller size, or fewer pictures."
        )


def some(words: list[str], n: int) -> str:
    return ", ".join(words[:n] + ["..."] * (len(words) > n))


def _numbers(n: int) -> list[str]:
    return [f"{i:04d}" for i in range(n)]
