"""The file of an index: plain arrays in a safetensors file, whole or not there; nothing in it is run or unpickled."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.arrays import Array
from zoo.errors import InputError, MediaError, WeightsError
from zoo.files import atomic_write
from zoo.tasks import METRICS
from zoo.tasks.neighbours import Fit
from zoo.weights.verify import read_header

CURE = "delete it, and build it anew with `zoo index`"
FORMAT = "2"  # of the file; another one is built anew


@dataclass(frozen=True)
class Rows:
    """What is in an index, one row for each sample.

    Attributes:
        names: as results show them.
        files: absolute paths; empty for samples that came from no file.
        stamps: size in bytes and time of the last change in nanoseconds, int64 ``(N, 2)``.
        digests: sha256 of the files, uint8 ``(N, 32)``.
        codes: float32 ``(N, d)``.
    """

    names: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    stamps: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    digests: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 32), np.uint8))
    codes: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def __len__(self) -> int:
        return len(self.names)

    def take(self, which: npt.NDArray[Any]) -> Rows:
        """Some of the rows: by a mask ``(N,)``, or in the order of indices."""
        if which.dtype == bool:
            names, files = list(compress(self.names, which)), list(compress(self.files, which))
        else:
            names, files = [self.names[i] for i in which], [self.files[i] for i in which]
        return Rows(names, files, self.stamps[which], self.digests[which], self.codes[which])


@dataclass(frozen=True)
class Stored:
    """All that the file of an index holds.

    Attributes:
        model: as :func:`zoo.load` takes it; empty for a network without a name.
        weights: sha256 of its weights.
        metric: by which codes are compared: one of :data:`zoo.tasks.METRICS`.
        rows: what is in the index.
        fit: what was learnt from the codes; None for an index that is not yet whole.
    """

    model: str
    weights: str
    metric: str
    rows: Rows
    fit: Fit | None = None


def write(stored: Stored, path: Path) -> None:
    """Write an index to its file.

    Raises:
        MediaError: where the disk does not take it.
    """
    from safetensors.numpy import save_file

    rows, fit = stored.rows, stored.fit
    table = json.dumps([rows.names, rows.files]).encode()
    tensors: dict[str, npt.NDArray[Any]] = {
        "table": np.frombuffer(table, np.uint8),
        "stamps": rows.stamps,
        "digests": rows.digests,
        "codes": rows.codes,
        **(fit.arrays() if fit else {}),
    }
    tensors = {name: np.ascontiguousarray(x) for name, x in tensors.items()}
    facts = {"index": FORMAT, "model": stored.model, "weights": stored.weights, "metric": stored.metric}
    try:
        with atomic_write(path) as aside:
            save_file(tensors, aside, {**facts, "crc32": checksum(facts, tensors)})
    except OSError as error:
        raise MediaError(f"{path} cannot be written: {error.strerror or error}.") from None


def checksum(facts: Mapping[str, str], tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    """The crc32 of all that an index says of itself, but for ``crc32``, and of all its arrays: 8 hexadecimal digits."""
    crc = zlib.crc32(json.dumps(sorted(item for item in facts.items() if item[0] != "crc32")).encode())
    for name, x in sorted(tensors.items()):
        crc = zlib.crc32(x.data, zlib.crc32(f"{name} {x.dtype} {x.shape}".encode(), crc))
    return f"{crc:08x}"


def part_of(path: str | os.PathLike[str]) -> Path:
    """Where a build that is not yet done keeps what it has, beside the index that it will be."""
    return Path(f"{os.fspath(path)}.part")


def check_place(path: str | os.PathLike[str]) -> Path:
    """The path of an index, after something else that is there was refused.

    Raises:
        InputError: for a folder, or a file that is no index.
    """
    target = Path(path)
    if target.is_dir() or (target.exists() and not is_index(target)):
        raise InputError(f"{target} is there and is no index: choose another output.")
    return target


def is_index(path: Path) -> bool:
    """Whether a file says that it is an index, of any format."""
    try:
        facts = read_header(path).get("__metadata__")
    except WeightsError:
        return False
    return isinstance(facts, dict) and "index" in facts


def read(path: Path) -> Stored:
    """An index from its file.

    Raises:
        InputError: if there is none, or what is there is no index, or of another format.
        MediaError: for an index that is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.exists():
        raise InputError(f"{path} does not exist: `zoo index NAME FOLDER -o {path}` makes an index.")
    if not is_index(path):
        raise InputError(f"{path} is no index: name a file that `zoo index` wrote.")
    facts = read_header(path)["__metadata__"]
    if facts["index"] != FORMAT:
        raise InputError(f"{path} is an index of another version of the zoo: {CURE}.")
    try:
        arrays = load_file(path)
        if facts["crc32"] != checksum(facts, arrays):
            raise ValueError("crc32")
        if arrays["table"].ndim != 1:
            raise ValueError("table")
        names, files = json.loads(arrays["table"].tobytes())
        rows = Rows(names, files, arrays["stamps"], arrays["digests"], arrays["codes"])
        _check(rows, facts["metric"])
        fit = Fit.of(facts["metric"], arrays, *rows.codes.shape)
        return Stored(facts["model"], facts["weights"], facts["metric"], rows, fit)
    except (OSError, LookupError, ValueError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is damaged"
        raise MediaError(f"{path} cannot be read, {reason}: {CURE}.") from None


def _check(rows: Rows, metric: str) -> None:
    """Refuse what does not fit together.

    Raises:
        ValueError: for the first of it.
    """
    n = len(rows.names)
    texts = all(isinstance(text, str) for column in (rows.names, rows.files) for text in column)
    shapes = len(rows.files) == n and rows.stamps.shape == (n, 2) and rows.digests.shape == (n, 32)
    types = [x.dtype.name for x in (rows.stamps, rows.digests, rows.codes)] == ["int64", "uint8", "float32"]
    whole = rows.codes.ndim == 2 and len(rows.codes) == n and (not n or rows.codes.size > 0)
    whole = whole and bool(np.isfinite(rows.codes).all())
    if not (texts and shapes and types and whole and metric in METRICS):
        raise ValueError("rows")
