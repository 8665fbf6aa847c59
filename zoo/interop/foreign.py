"""Checkpoints of other people's code, read without running code from them; memory is bounded by the file's size."""

from __future__ import annotations

import json
import re
import stat
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

import torch
from torch import Tensor

from zoo.errors import InputError, WeightsError
from zoo.interop.pickles import CODE, PassedOver, is_torch, look_through, stand_ins
from zoo.networks import read_state
from zoo.weights.verify import read_header

State = dict[str, Tensor]
ENDINGS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar")  # of files with weights
INDEX_BYTES = 50_000_000
DEPTH, AGAIN = 50, 1000  # of dicts and lists: in each other, and one in many places
SHOWN = 10  # items of a list in a sentence
# What files begin with that are taken for weights by mistake.
OTHERS = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself: run `git lfs pull`."),
    (b"\x1f\x8b", "is a gzip archive: unpack it, and name the file in it."),
    (b"7z\xbc\xaf", "is a 7z archive: unpack it, and name the file in it."),
    (b"Rar!", "is a RAR archive: unpack it, and name the file in it."),
    (b"\xfd7zXZ", "is an xz archive: unpack it, and name the file in it."),
    (b"BZh", "is a bzip2 archive: unpack it, and name the file in it."),
    (b"\x28\xb5\x2f\xfd", "is a zstd archive: unpack it, and name the file in it."),
    (b"\x89HDF", "is an HDF5 file, as Keras writes: let its own program save the weights as safetensors."),
)
PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|\?xml|script)", re.IGNORECASE)


@dataclass
class Contents:
    """The tensors of a file by where they lie in it, and what else there is.

    Attributes:
        path: the file.
        files: all that were read: it alone, or an index and its shards.
        tensors: by the names that lead there, joined by dots: ``netG.main.0.weight``.
        holders: what those names begin with that is no name in a state dict itself: ``netG.``, or nothing.
        others: where values lie that are no tensors, with a word on what they are where that is not plain.
    """

    path: Path
    files: tuple[Path, ...] = ()
    tensors: State = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    def add(self, holder: str, name: str, tensor: Tensor) -> None:
        """Take in a tensor, if it is a plain one of its own."""
        full = holder + name
        plain = type(tensor) in (Tensor, torch.nn.Parameter) and not (
            tensor.is_sparse or tensor.is_quantized or tensor.is_meta or tensor.layout != torch.strided
        )
        if full in self.tensors:
            self.others[f"{full} (again)"] = "another tensor of this name"
        elif not plain or tensor.nbytes > tensor.untyped_storage().nbytes():
            self.others[full] = "no plain tensor"
        else:
            self.tensors[full] = tensor.detach()
            self.holders[full] = holder

    def under(self, prefix: str, full: str) -> State:
        """The tensors whose names begin with a prefix, without it.

        Those of one state dict, if the prefix leads into the one that ``full`` is in; else those of all below it.
        """
        holder = self.holders[full]
        inside = holder if prefix.startswith(holder) else None
        return {
            key.removeprefix(prefix): value
            for key, value in self.tensors.items()
            if key.startswith(prefix) and inside in (None, self.holders[key])
        }

    def left_out(self, prefix: str, used: Iterable[str]) -> list[str]:
        """All that is not used of a file, where what is used lies behind a prefix; what lies together is one item.

        Each is the name that leads there, and how many tensors lie there, or what it is.
        """
        way = prefix.rstrip(".").split(".") if prefix else []
        taken = set(used)
        tensors, places = Counter[str](), dict[str, list[str]]()
        for key in (*self.tensors, *self.others):
            if key in taken:
                continue
            parts = key.split(".")
            same = next((i for i, pair in enumerate(zip(parts, way, strict=False)) if pair[0] != pair[1]), len(way))
            place = ".".join(parts[: same + 1])
            tensors[place] += key in self.tensors
            places.setdefault(place, []).append(key)
        items = []
        for place, keys in places.items():
            words = self.others.get(place) if keys == [place] else ""
            count = f"{tensors[place]} tensor{'s' * (tensors[place] != 1)}" if tensors[place] else ""
            note = words or count
            items.append(shown(place) + (f" ({note})" if note else ""))
        return items

    def top(self) -> str:
        """What there is at the top, for an error."""
        names = dict.fromkeys(key.partition(".")[0] for key in (*self.tensors, *self.others))
        return some(list(names), SHOWN) or "nothing"


def shown(name: str) -> str:
    """A name out of a file, for a terminal: short, and nothing but what can be printed."""
    text = "".join(letter if letter.isprintable() else "?" for letter in name[:81])
    return text if len(name) <= 80 else f"{text[:80]}..."


def some(names: list[str], count: int) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - count:,} more" * (len(names) > count)
    return ", ".join(map(shown, names[:count])) + more


def read(path: Path) -> Contents:
    """What is in a file: safetensors, an index of several such files, or what ``torch.save`` wrote.

    Args:
        path: the file; or a folder with an index of safetensors or of files of ``torch.save``.

    Raises:
        InputError: if there is no such file.
        WeightsError: if it is of another kind, damaged, or holds more than tensors and plain values.
    """
    try:
        if path.is_dir():
            contents = _read_index(_index_in(path))
        elif path.suffix == ".json" and path.is_file():
            contents = _read_index(path)
        else:
            contents = _read(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    _fold_spectral_norms(contents)
    if not contents.tensors:
        raise InputError(f"{path} has no tensors: it is no state dict.")
    return contents


def _fold_spectral_norms(contents: Contents) -> None:
    """Put the weights of layers with spectral norm in place of what ``torch.nn.utils.spectral_norm`` keeps of them.

    That is a matrix and two vectors, whose product with it is what the matrix is divided by.
    """
    tensors = contents.tensors
    for name in [key.removesuffix("_orig") for key in tensors if key.endswith(".weight_orig")]:
        matrix, left, right = (tensors.get(f"{name}_{part}") for part in ("orig", "u", "v"))
        if matrix is None or left is None or right is None or name in tensors:
            continue
        rows = matrix.float().flatten(1)
        if left.ndim == right.ndim == 1 and rows.shape == (len(left), len(right)):
            norm = left.float() @ rows @ right.float()
            holder = contents.holders[f"{name}_orig"]
            for part in ("orig", "u", "v"):
                del tensors[f"{name}_{part}"], contents.holders[f"{name}_{part}"]
            contents.add(holder, name.removeprefix(holder), (matrix.float() / norm).to(matrix.dtype))


def _read(path: Path) -> Contents:
    """What is in one file."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path} does not exist: name a file with weights.") from None
    except ValueError as error:  # a NUL in it
        raise InputError(f"{str(path)!r} is no path: {error}.") from None
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is no regular file: save what comes out of it, and name that.")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(300)
    # The length of a header stands first, and may look like the start of any other kind.
    if start[8:9] == b"{" and start[4:8] == bytes(4):
        return _read_safetensors(path)
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _contents(path, _read_zip(path, size))
    if start[:1] == b"\x80":
        return _contents(path, _read_legacy(path, size))
    raise WeightsError(f"{path} {_kind(start)}")


def _kind(start: bytes) -> str:
    """What a file is that is none, by its first bytes, and what to do."""
    if not start:
        return "is empty: get it again."
    for magic, words in OTHERS:
        if start.startswith(magic):
            return words
    if PAGE.match(start):
        return (
            "is a web page, not the file itself: take the link to the file (`raw` on GitHub, `resolve` on the Hub), "
            "and log in where you must."
        )
    if start[257:262] == b"ustar":
        return "is a tar archive: unpack it, and name the file in it."
    text = start.decode("utf-8", "replace")
    if "\ufffd" not in text[:-4] and text[:40].replace("\n", " ").replace("\t", " ").isprintable():
        return f"is text that begins {shown(text[:40])!r}, not weights: get the file itself."
    return (
        "is neither safetensors nor what torch.save writes: where its own program can read it, let that save the state "
        "dict."
    )


def _index_in(folder: Path) -> Path:
    """The index in a folder; an error that says which file to name if there is none."""
    names = sorted(item.name for item in folder.iterdir())
    indices = [name for name in names if name.endswith(".index.json")]
    if len(indices) == 1:
        return folder / indices[0]
    files = indices or [name for name in names if name.endswith(ENDINGS)]
    if len(files) == 1:
        raise InputError(f"{folder} is a folder: name the file in it, {folder / files[0]}.")
    there = f": {some(files, SHOWN)}" if files else ", if there is one: it has none with weights"
    raise InputError(f"{folder} is a folder: name a file in it{there}.")


def _read_index(path: Path) -> Contents:
    """The tensors of all files that an index names; all must lie beside it."""
    if path.stat().st_size > INDEX_BYTES:
        raise WeightsError(f"{path} is too large for an index of weights.")
    try:
        places = json.loads(path.read_bytes())["weight_map"]
        wanted = {str(name): str(file) for name, file in places.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise WeightsError(f"{path} is no index of weights: it has no `weight_map`.") from None
    shards = sorted(set(wanted.values()))
    for name in shards:
        if not name or "\\" in name or ":" in name or PurePosixPath(name).is_absolute() or ".." in name.split("/"):
            raise WeightsError(f"{path} names a file that is not in its folder: {shown(name)}.")
    missing = [name for name in shards if not (path.parent / name).is_file()]
    if missing:
        raise WeightsError(f"{path} names files that are missing: {some(missing, SHOWN)}; get them, too.")
    contents = Contents(path, (path, *(path.parent / name for name in shards)))
    for name in shards:
        part = _read(path.parent / name)
        for key, tensor in part.tensors.items():
            if wanted.get(key, name) == name:
                contents.add(part.holders[key], key.removeprefix(part.holders[key]), tensor)
            else:
                contents.others[f"{key} in {name}"] = "which the index takes from another file"
        contents.others.update(part.others)
    lacking = [key for key in wanted if key not in contents.tensors]
    if lacking:
        raise WeightsError(f"{path} names tensors that its files lack: {some(lacking, SHOWN)}; get them again.")
    return contents


def _read_safetensors(path: Path) -> Contents:
    contents = Contents(path, (path,))
    metadata = read_header(path).get("__metadata__", {})
    for name, tensor in read_state(path).items():
        contents.add("", name, tensor)
    contents.others.update(dict.fromkeys([f"metadata.{key}" for key in metadata if key != "format"], ""))
    return contents


def _read_zip(path: Path, size: int) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            items = archive.infolist()
            pickles = [item for item in items if item.filename.rpartition("/")[2] == "data.pkl"]
            if any(item.filename.rpartition("/")[2] == "constants.pkl" for item in items):
                raise WeightsError(CODE.format(path, "a TorchScript program"))
            if any(item.compress_type for item in items) or len(pickles) != 1:
                raise WeightsError(f"{path} is an archive that torch.save did not write: extract the weights from it.")
            if sum(item.file_size for item in items) > size or len({item.filename for item in items}) < len(items):
                raise WeightsError(f"{path} declares more than its {size:,} bytes can hold: get it again.")
            with archive.open(pickles[0]) as file:
                names = _looked_through(file, path, size)
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError, EOFError) as error:
        raise WeightsError(f"{path} is cut off or damaged ({error}): get it again.") from None
    return _load(path, names)


def _read_legacy(path: Path, size: int) -> Any:
    """What ``torch.save`` wrote before it wrote archives: five pickles, then the storages."""
    names: set[str] = set()
    with path.open("rb") as file:
        try:
            torchs = is_torch(file)
        except Exception as error:  # what is damaged can raise anything
            raise _unreadable(path, error) from None
        if not torchs:
            raise WeightsError(CODE.format(path, "a pickle of another program"))
        for _ in range(4):
            names |= _looked_through(file, path, size)
    return _load(path, names)


def _looked_through(file: IO[bytes], path: Path, size: int) -> set[str]:
    try:
        return look_through(file, path, size)
    except WeightsError:
        raise
    except Exception as error:  # what is damaged can raise anything
        raise _unreadable(path, error) from None


def _load(path: Path, names: set[str]) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(stand_ins(names)), path.open("rb") as file:
            warnings.simplefilter("ignore")  # an error says it all
            # An open file, since of a path torch believes the ending.
            return torch.load(file, map_location="cpu", weights_only=True, mmap=False)
    except Exception as error:  # what is damaged can raise anything
        text = str(error)
        named = re.search(r"GLOBAL ([\w.]+)", text) or re.search(r"(?:type|class) <class '([\w.]+)'>", text)
        if named:
            raise WeightsError(CODE.format(path, f"more than tensors ({named[1]})")) from None
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> WeightsError:
    text = str(error)
    reason = (text.rpartition("WeightsUnpickler error:")[2].strip() or type(error).__name__).partition("\n")[0]
    return WeightsError(f"{path} cannot be read ({shown(reason).rstrip('.')}): get it again.")


def _contents(path: Path, checkpoint: Any) -> Contents:
    contents = Contents(path, (path,))
    for holder, name, value in _leaves(checkpoint, path):
        if isinstance(value, Tensor):
            contents.add(holder, name, value)
        else:
            contents.others[holder + name] = type(value).__name__ if isinstance(value, PassedOver) else ""
    if not isinstance(checkpoint, Mapping) and not any(isinstance(item, Mapping) for item in _items(checkpoint)):
        raise WeightsError(f"{path} holds {type(checkpoint).__name__}, no state dict.")
    if not contents.tensors:
        if odd := next((place for place, words in contents.others.items() if "tensor" in words), None):
            raise WeightsError(f"{path}: {shown(odd)} is no plain tensor: save the state dict of the plain network.")
        raise InputError(f"{path} has {contents.top()}: it is no state dict.")
    return contents


def _items(value: Any) -> list[Any] | tuple[Any, ...]:
    return value if isinstance(value, (list, tuple)) else ()


def _leaves(checkpoint: Any, path: Path) -> Iterator[tuple[str, str, Any]]:
    """All that is in dicts and lists, with the names that lead to where it lies, and its own."""
    stack: list[tuple[str, str, Any, tuple[int, ...]]] = [("", "", checkpoint, ())]
    visits = Counter[int]()
    while stack:
        holder, name, value, above = stack.pop()
        inner = isinstance(value, (Mapping, list, tuple))
        if not inner or not value or (isinstance(value, (list, tuple)) and not any(map(_holds, value))):
            yield holder, name, value
            continue
        visits[id(value)] += 1
        if id(value) in above:
            raise WeightsError(f"{path} holds a {type(value).__name__} that contains itself: it is no checkpoint.")
        if len(above) > DEPTH or visits[id(value)] > AGAIN:
            raise WeightsError(f"{path} holds too deeply nested dicts and lists: save the state dict alone.")
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        place = f"{holder}{name}." if holder or name else ""
        stack += [(place, _word(key), item, (*above, id(value))) for key, item in pairs][::-1]


def _holds(value: Any) -> bool:
    return isinstance(value, (Tensor, Mapping, list, tuple))


def _word(key: Any) -> str:
    return str(key) if isinstance(key, (str, int, float)) else type(key).__name__
