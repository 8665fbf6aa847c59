"""What a place that ``--data`` names holds: a folder, a zip file or a folder in one, arrays, a data set on the Hub."""

from __future__ import annotations

import csv
import importlib
import io
import lzma
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.arrays import Array
from zoo.errors import InputError, MediaError, NoSplitError, ZooError
from zoo.media.audio import resample
from zoo.media.audio_decode import SOUNDS, read_sound
from zoo.media.image_decode import decode, from_array
from zoo.media.image_paths import READS, files_below
from zoo.media.molecules import MOLECULES, smiles_of
from zoo.memory import free_memory

Bytes = npt.NDArray[np.uint8]

FILES = "a folder of {}, a .zip of them, or a folder inside a .zip"
ACCEPTED = f"{FILES.format('images')}, an .npz, an .npz.xz, or datasets:OWNER/NAME".replace(" or a", " a", 1)
# The folder of a split; trainA and trainB, as CycleGAN's data sets have them, are the folders A and B of train.
_SPLIT = re.compile(r"(?i:(train)(?:ing)?|(test)(?:ing)?|(val)(?:id|idation)?)([AB]?)")
_HIDDEN = re.compile(r"(^|/)(\.|__MACOSX/)")
# RuntimeError: what zipfile raises for passwords and for compressions that it does not know.
_DAMAGE = (OSError, EOFError, ValueError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
LARGEST = 1 << 30  # bytes of a file with one image: Pillow's limit of pixels, in 16 bits with alpha
TABLE = 100 << 20  # bytes of labels.csv


@dataclass(frozen=True)
class Kind:
    """What sort of files is read.

    Attributes:
        noun: what they are called, in the plural.
        endings: of their names.
        decode: from an open file, and what errors call it, to an array.
    """

    noun: str
    endings: tuple[str, ...]
    decode: Callable[[BinaryIO, str], Array]


def _smiles(file: BinaryIO, what: str) -> Array:
    """The SMILES of a file, as texts."""
    return np.array([smiles for _, smiles in smiles_of(file.read(), what)])


IMAGES = Kind("images", READS, decode)
SMILES = Kind("files of molecules", MOLECULES.suffixes, _smiles)


def sounds(rate: int) -> Kind:
    """Sounds, resampled to ``rate``: float32 ``(C, T)`` in [-1, 1]."""

    def load(file: BinaryIO, what: str) -> Array:
        own, array = read_sound(file, what)
        return resample(array, own, rate, what)

    return Kind("sounds", SOUNDS.suffixes, load)


@dataclass(frozen=True)
class Place:
    """Images, or pairs of them, or sounds, that are not read yet; messages call the place ``where``."""

    where: str
    names: list[str]  # files with their endings; numbers, for an array or a table of the Hub
    load: Callable[[int], tuple[Array, ...]]  # as Kind.decode; a MediaError is `what: reason: cure`
    labels: npt.NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    array: Bytes | None = None  # (N, H, W) or (N, H, W, C)
    attributes: Bytes | None = None  # (N, A), 1 where an image has one
    attribute_names: tuple[str, ...] = ()
    captions: npt.NDArray[np.str_] | None = None  # (N, K), texts of each image
    named: Bytes | None = None  # (N, K, A), 1 where a caption names an attribute
    split: str = ""  # which of several it is
    beside: str = ""  # what is left out, since it lies beside the splits

    def whole(self, channels: int, size: tuple[int, int] | None) -> Tensor | None:
        """All images at once, where they are an array in which nothing has to change but the order of axes."""
        if self.array is None:
            return None
        x = torch.from_numpy(self.array)
        x = x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2)
        if x.shape[1] not in (1, channels) or size not in (None, tuple(x.shape[2:])):
            return None
        return x.expand(-1, channels, -1, -1).contiguous()

    def halves(self) -> list[Place]:
        """The two sub-folders, or nothing where there are not just two with all the images."""
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
    existing = next((part for part in (path, *path.parents) if part.exists()), None)
    if existing is None or (existing != path and not existing.is_file()):
        raise InputError(f"{place} does not exist.")
    return existing, path.relative_to(existing).as_posix() if existing != path else ""


def check_named(option: str, value: str | Path) -> None:
    """Refuse what a shell makes of a variable that is not set: it would mean the folder where one is."""
    if not str(value).strip():
        raise InputError(f"{option} is empty: name a path; a variable of the shell may not be set.")


def open_place(place: str, split: str, kind: Kind = IMAGES) -> Place:
    """What a place holds of a split."""
    if kind is IMAGES and place.startswith("datasets:"):
        return _hub(place, split)
    path, inner = locate(place)
    where = str(Path(place))
    if path.is_dir():
        files = {file.relative_to(path).as_posix() for file in files_below(path)}
        return _files(where, files, lambda name, most: _read(path / name, most), split, kind)
    if kind is IMAGES and path.name.lower().endswith((".npz", ".npz.xz")):
        return _npz(where, path, inner, split)
    if kind is SMILES and path.name.lower().endswith(kind.endings):
        return _files(str(path.parent), {path.name}, lambda name, most: _read(path, most), split, kind)
    if path.suffix.lower() != ".zip":
        accepted = ACCEPTED if kind is IMAGES else FILES.format(kind.noun)
        raise InputError(f"{kind.noun.capitalize()} cannot be read from {where}: give {accepted}.")
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # what a damaged directory of an archive raises is not written down anywhere
        raise MediaError(f"{path} cannot be read as a zip file ({error}): get it again.") from None
    members = set(archive.namelist())
    if inner in members:  # one file
        where, inner, members = str(Path(where).parent), inner.rpartition("/")[0], {inner}
    root = f"{inner}/" if inner else ""
    files = {name.removeprefix(root) for name in members if name.startswith(root)}
    if not files and inner:
        folders = sorted({name.rpartition("/")[0] for name in members if "/" in name and not _HIDDEN.search(name)})
        raise InputError(f"{path} has no {inner}: it has {some(folders, 5) or 'no folders'}.")
    return _files(where, files, lambda name, most: _unpack(archive, root + name, most), split, kind)


Read = Callable[[str, int], bytes]  # a file's path in its folder or zip, and how many bytes it may have


def _read(path: Path, most: int) -> bytes:
    """A file of at most so many bytes."""
    if not path.is_file():  # a device or a FIFO might never end
        raise FileNotFoundError(path)
    _check_bytes(path.stat().st_size, most)
    return path.read_bytes()


def _unpack(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A member of a zip; zipfile unpacks no more than the size that is on record."""
    _check_bytes(archive.getinfo(name).file_size, most)
    return archive.read(name)


def _check_bytes(size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"{size / 1e9:,.1f} GB, and the limit is {most / 1e9:,.1f} GB")


def _files(where: str, files: set[str], read: Read, split: str, kind: Kind) -> Place:
    """The images of a split, or files of another kind, among those of a folder or zip."""
    images = sorted(name for name in files if name.lower().endswith(kind.endings) and not _HIDDEN.search(name))
    if not images:
        raise InputError(f"{where} holds no {kind.noun} ({', '.join(kind.endings)}).")
    base = ""
    while f"{base}labels.csv" not in files:
        tops = {name[len(base) :].partition("/")[:2] for name in images}
        top = "".join(min(tops))
        if len(tops) > 1 or not top.endswith("/") or _split_of(top[:-1]):
            break
        base += top
    # Split, file, name, class and caption of every image.
    rows = _table(where, f"{base}labels.csv", read) if f"{base}labels.csv" in files else []
    listed, beside = bool(rows), ""
    if not listed:
        parts, beside = _splits(where, [file[len(base) :] for file in images])
        for file, (part, name) in zip(images, parts, strict=True):
            rows.append((part, file, name, name.split("/")[0] if name.count("/") == 1 else None, ""))
    splits = sorted({row[0] for row in rows if row[0]})
    if splits and split not in splits:
        raise NoSplitError(f"{where} has no {kind.noun} of the split {split}: it has {', '.join(splits)}.")
    chosen = [row for row in rows if row[0] == (split if splits else "")]
    kinds = [row[3] for row in chosen]
    # Classes of all splits, so that one that a split lacks does not shift the numbers of the others.
    classes = sorted({row[3] for row in rows if row[3] is not None and (row[0] or not splits)})
    if None in kinds or (len(set(kinds)) < 2 and not listed):
        classes = []
    numbers = {kind: i for i, kind in enumerate(classes)}
    labels = np.array([numbers[kind] for kind in kinds if kind is not None]) if classes else None

    def load(k: int) -> tuple[Array, ...]:
        file = chosen[k][1]
        if file not in files:
            cure = "put it there, or take it out of labels.csv"
            raise MediaError(f"{where}/{file}: missing: {cure}.")
        return _decode(lambda: read(file, LARGEST), f"{where}/{file}", kind)

    names, captions = [row[2] for row in chosen], [row[4] for row in chosen]
    return Place(
        where,
        names,
        load,
        labels,
        tuple(classes),
        captions=np.array(captions)[:, None] if any(captions) else None,
        split=split if splits else "",
        beside=beside,
    )


def _split_of(name: str) -> tuple[str, str] | None:
    """The split that a folder's name means, in one of its spellings, and A or B; None for other names."""
    match = _SPLIT.fullmatch(name)
    return ((match[1] or match[2] or match[3]).lower(), match[4]) if match else None


def _splits(where: str, names: list[str]) -> tuple[list[tuple[str, str]], str]:
    """Split and name in it of every image, by the top folders; and what is left out, since it lies beside the splits.

    Folders are splits if all top folders are, or two of them at least. One alone that holds images beside other
    folders is a class of that name.
    """
    tops = {name.partition("/")[0] if "/" in name else "" for name in names}
    splits = {top: part for top in tops if (part := _split_of(top))}
    others = sorted(tops - splits.keys())
    if others and len({split for split, _ in splits.values()}) < 2:
        deep = next((name for name in names if name.split("/")[0] in splits and name.count("/") > 1), None)
        if deep:
            top = deep.split("/")[0]
            raise InputError(
                f"{where} has the folder {top}, which has folders and so looks like a split, beside "
                f"{some([other or 'images' for other in others], 3)}, which are none: give {where}/{top}, or put "
                "all into folders train and test."
            )
        splits = {}
    rows, alone = [], 0
    for name in names:
        top, _, rest = name.partition("/")
        split, side = splits.get(top, ("", "")) if rest else ("", "")
        alone += not split
        rows.append((split, f"{side}/{rest}".lstrip("/") if split else name))
    if not splits or not alone:
        return rows, ""
    where = some([f"in {other}" if other else "in no folder" for other in others], 3)
    return rows, f"images beside the splits ({alone:,}, {where})"


def _table(where: str, file: str, read: Read) -> list[tuple[str, str, str, str | None, str]]:
    """The rows of ``labels.csv``, whose column ``caption`` may be missing; none if it has quite other columns."""
    try:
        table = csv.DictReader(io.StringIO(read(file, TABLE).decode("utf-8-sig"), newline=""))
        rows, columns = list(table), table.fieldnames or []
    except (*_DAMAGE, csv.Error) as error:
        raise InputError(f"{where}/{file} cannot be read ({error}): save it as CSV in UTF-8.") from None
    wanted = {"file", "class", "split"}
    if not wanted <= set(columns):
        if len(wanted & set(re.findall(r"\w+", " ".join(columns).lower()))) < 2:
            return []  # a table of somebody else's
        raise InputError(
            f"{where}/{file} has the columns {some(list(columns), 5)[:80]!r}: call them file, class and split, all "
            "three, divided by commas."
        )
    if not rows:
        raise InputError(f"{where}/{file} has no rows: complete or delete it.")
    short = next((number for number, row in enumerate(rows, 2) if row["file"] is None or row["split"] is None), 0)
    if short:
        raise InputError(f"{where}/{file} has too few columns in row {short}: complete or delete it.")
    images = []
    for number, row in enumerate(rows, 2):
        path = PurePosixPath(row["file"])
        if (
            path.is_absolute()
            or PureWindowsPath(row["file"]).anchor
            or ".." in row["file"].replace("\\", "/").split("/")
        ):
            raise InputError(
                f"{where}/{file} names {row['file']} in row {number}, which lies outside its folder: name files inside."
            )
        known = _split_of(row["split"].strip())
        split = known[0] if known and not known[1] else row["split"]
        said = row["class"] or "", row.get("caption") or ""
        images.append((split, file.removesuffix("labels.csv") + str(path), str(path), *said))
    unsaid = next((number for number, row in enumerate(images, 2) if not row[0]), 0)
    if unsaid and any(row[0] for row in images):
        raise InputError(f"{where}/{file} has no split in row {unsaid} and one in others: complete or delete it.")
    return images


def _npz(where: str, path: Path, key: str, split: str) -> Place:
    try:
        with _unpacked(where, path) as stream:
            _check_arrays(where, stream)
            with np.load(stream, allow_pickle=False) as arrays:
                chosen, key = bool(key), key or _key(where, arrays, split)
                of_split = not chosen and key == f"x_{split}"
                if key not in arrays:
                    kind = NoSplitError if of_split else InputError
                    raise kind(f"{where} has no array {key}: it has {', '.join(arrays) or 'none'}.")
                x = np.ascontiguousarray(arrays[key])
                target = f"y{key[1:]}" if key.startswith("x") else "y"
                y = arrays[target].reshape(-1) if target in arrays else None
                beside = {
                    name: arrays.get(f"{name}{key[1:]}") if key.startswith("x") else None
                    for name in ("attributes", "captions", "named")
                }
                words = arrays["attribute_names"] if "attribute_names" in arrays else np.empty(0, str)
    except ZooError:
        raise
    except Exception as error:  # numpy reads the header as Python: a damaged one can raise anything
        if "Object arrays" in str(error):
            raise InputError(f"{where} has Python objects, which are not read: save uint8 arrays.") from None
        raise MediaError(f"{path} cannot be read as arrays ({error}): get the file again.") from None
    if x.dtype != np.uint8:
        raise InputError(f"{where}: {key} is an array of {x.dtype}: save the images as uint8, from 0 to 255.")
    if x.ndim not in (3, 4) or not x.size or x.shape[3:] not in ((), (1,), (2,), (3,), (4,)):
        raise InputError(f"{where}: {key} is {x.shape}: images are (N, H, W) or (N, H, W, C) with C from 1 to 4.")
    if y is not None and (y.dtype.kind not in "iu" or len(y) != len(x) or y.min() < 0 or y.max() > 65535):
        raise InputError(f"{where}: {target} must be the class of each of the {len(x):,} images, a number from 0.")
    attributes, captions, named = (beside[name] for name in ("attributes", "captions", "named"))
    if attributes is not None:
        what = f"0 or 1 for each of the {len(x):,} images and each of the {len(words)} attribute_names"
        _check_marks(where, f"attributes{key[1:]}", attributes, (len(x), len(words)), what)
    if captions is not None:
        captions = captions[:, None] if captions.ndim == 1 else captions
        if captions.dtype.kind != "U" or captions.ndim != 2 or len(captions) != len(x) or not captions.size:
            raise InputError(
                f"{where}: captions{key[1:]} must be a text for each of the {len(x):,} images, or as many for each, "
                f"not {captions.dtype} {captions.shape}."
            )
    if named is not None:
        if attributes is None or captions is None:
            raise InputError(f"{where}: named{key[1:]} needs attributes{key[1:]} and captions{key[1:]}: add both.")
        what = "0 or 1 for each caption of each image and each of the attribute_names"
        _check_marks(where, f"named{key[1:]}", named, (*captions.shape, len(words)), what)
    labels = None if y is None else y.astype(np.int64)
    return Place(
        where,
        _numbers(len(x)),
        lambda k: tuple(from_array(x[k])),
        labels,
        () if labels is None else tuple(str(i) for i in range(int(labels.max()) + 1)),
        x,
        None if attributes is None else attributes.astype(np.uint8),
        () if attributes is None else tuple(map(str, words)),
        captions,
        None if named is None else named.astype(np.uint8),
        split if of_split else "",
    )


def _check_marks(where: str, name: str, marks: Array, shape: tuple[int, ...], what: str) -> None:
    """Refuse an array that is not of 0 and 1, or not of this shape."""
    if marks.shape != shape or marks.dtype.kind not in "biu" or not np.isin(marks, (0, 1)).all():
        raise InputError(f"{where}: {name} must be {what}, not {marks.dtype} {marks.shape}.")


@contextmanager
def _unpacked(where: str, path: Path) -> Iterator[BinaryIO]:
    """The bytes of an ``.npz``; what an ``.xz`` holds is unpacked up to the memory that it may take, and no further."""
    if path.suffix.lower() != ".xz":
        with path.open("rb") as file:
            yield file
        return
    unpacked, free = io.BytesIO(), free_memory()
    with lzma.open(path) as packed:
        while block := packed.read(1 << 20):
            unpacked.write(block)
            check_memory(where, unpacked.tell(), free)
    unpacked.seek(0)
    yield unpacked


def _check_arrays(where: str, stream: BinaryIO) -> None:
    """Refuse arrays that memory does not hold, or that say they are larger than they are, before any is read."""
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            check_memory(where, info.file_size, free_memory())
            with archive.open(info) as member:
                version = np.lib.format.read_magic(member)
                header = (
                    np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = header(member)
                need = math.prod(shape) * dtype.itemsize
                if need > info.file_size and not dtype.hasobject:
                    raise ValueError(f"{info.filename} should have {need:,} bytes and has {info.file_size:,}")
    stream.seek(0)


def _key(where: str, arrays: Any, split: str) -> str:
    """Which array of an ``.npz`` are the images."""
    if "x_train" in arrays or "x_test" in arrays:
        return f"x_{split}"
    keys = ["x"] if "x" in arrays else [key for key in arrays if np.ndim(arrays[key]) in (3, 4)]
    if len(keys) > 1:
        raise InputError(f"{where} has several arrays, {', '.join(keys)}: say which, as in {where}/{keys[0]}.")
    return keys[0] if keys else "x"


def _hub(where: str, split: str) -> Place:
    _, name, *named_split = where.split(":", 2)
    try:
        datasets: Any = importlib.import_module("datasets")
        load_dataset = datasets.load_dataset  # missing where a folder of that name was imported
    except (ImportError, AttributeError):
        raise InputError(f"{where} needs the package datasets: pip install datasets.") from None
    try:
        data = load_dataset(name, split=named_split[0] if named_split else split)
    except Exception as error:  # of many libraries, without a common class
        reason = (str(error) or repr(error)).splitlines()[0].rstrip(".")
        kind = NoSplitError if reason.startswith("Unknown split") else InputError
        raise kind(f"{where}: {reason}: check the name and the split, and that you are online.") from None
    kinds = {column: type(feature).__name__ for column, feature in data.features.items()}
    columns = [column for column, kind in kinds.items() if kind == "Image"]
    if not columns:
        raise InputError(f"{where} has no column of images: it has {', '.join(kinds)}.")
    column = "image" if "image" in columns else columns[0]
    rows = data.select_columns([column]).cast_column(column, datasets.Image(decode=False))

    def read(k: int) -> bytes:
        cell = rows[k][column] or {"bytes": b""}
        return _read(Path(cell["path"]), LARGEST) if cell["bytes"] is None else cell["bytes"]

    names, labels, classes = _numbers(len(data)), None, ()
    if target := next((column for column, kind in kinds.items() if kind == "ClassLabel"), None):
        labels = np.array([-1 if label is None else label for label in data[target]], np.int64)
        classes = tuple(data.features[target].names)
    if labels is not None and (labels < 0).any():  # the Hub's sign for a class that is kept secret
        labels, classes = None, ()

    def load(k: int) -> tuple[Array, ...]:
        return _decode(lambda: read(k), f"{where}/{names[k]}")

    return Place(where, names, load, labels, classes, split="" if named_split else split)


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
    attributes = _concatenated([one.attributes for one in sets if one.attribute_names == sets[0].attribute_names], sets)
    captions = _concatenated([one.captions for one in sets], sets)
    about = None if attributes is None or captions is None else _concatenated([one.named for one in sets], sets)
    named = any("." in one.names[0] for one in sets)  # images of arrays have numbers for names
    return Place(
        " and ".join(one.where for one in sets),
        [name for one in sets for name in one.names] if named else _numbers(len(items)),
        lambda k: items[k][0].load(items[k][1]),
        np.concatenate(labels) if complete else None,
        classes if complete else (),
        np.concatenate(arrays) if same else None,
        attributes,
        () if attributes is None else sets[0].attribute_names,
        captions,
        about,
    )


def _concatenated(arrays: list[Any], sets: list[Place]) -> Any:
    """One array of all sets; None where some have none, or they do not fit."""
    given = [array for array in arrays if array is not None]
    fit = len(given) == len(sets) and len({array.shape[1:] for array in given}) == 1
    return np.concatenate(given) if fit else None


def _decode(read: Callable[[], bytes], what: str, kind: Kind = IMAGES) -> tuple[Array]:
    """One image or sound; a MediaError for all that can be wrong with it."""
    try:
        raw = read()
        return (kind.decode(io.BytesIO(raw), what),)
    except FileNotFoundError:
        raise MediaError(f"{what}: missing: put it there.") from None
    except ZooError as error:
        raise MediaError(str(error)) from None
    except Exception as error:  # a damaged file makes decoders raise anything
        raise MediaError(f"{what}: cannot be read ({error}): get the file again.") from None


def check_memory(where: str, need: int, free: int, noun: str = "images") -> None:
    if need > free / 2:
        smaller = "a smaller size, or " if noun == "images" else ""
        raise InputError(
            f"{where}: the {noun} need {need / 1e9:,.1f} GB of memory and may take half of the {free / 1e9:,.1f} GB "
            f"that are free: give {smaller}fewer {noun}."
        )


def some(words: list[str], n: int) -> str:
    return ", ".join(words[:n] + ["..."] * (len(words) > n))


def _numbers(n: int) -> list[str]:
    return [f"{i:04d}" for i in range(n)]
