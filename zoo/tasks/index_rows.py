"""Which rows of an index are still those of their files, and new ones."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zoo.arrays import Array
from zoo.errors import InputError
from zoo.files import is_file
from zoo.inference.verbs import Verbs
from zoo.jobs.codes import Encoded, fingerprint, stamp
from zoo.media.inputs import named_inputs
from zoo.media.sources import check_path
from zoo.tasks.index_file import Rows


class Hit(NamedTuple):
    """A sample of an index that is near to a query.

    Attributes:
        name: as it was put in.
        file: its absolute path; empty for a sample that came from no file.
        distance: Euclidean, of codes, or of whitened codes if the index has those.
        row: its place in the index.
    """

    name: str
    file: str
    distance: float
    row: int


@dataclass
class Changes:
    """What :meth:`zoo.tasks.search.Index.update` did, by absolute paths.

    Attributes:
        new: files that were not in it.
        changed: files that were encoded again, since they hold something else than before.
        moved: files that are where they were not before, by where they were.
        gone: files that are no longer there, and left the index.
        dropped: files that are still there, and left the index since they are no longer asked for.
        kept: how many are as they were.
        failed: a line for each file that could not be encoded.
    """

    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    kept: int = 0
    failed: list[str] = field(default_factory=list)


def files_of(source: Any, model: Verbs) -> list[tuple[str, Path]] | None:
    """Name and path of each file of a source, folders opened; None for a source of something else.

    Args:
        source: a path, or several.
        model: whose samples the files hold.

    Raises:
        InputError: for a path that does not exist, or a folder without samples.
    """
    parts = list(source) if isinstance(source, (list, tuple)) else [source]
    if not parts or not all(isinstance(part, (str, os.PathLike)) for part in parts):
        return None
    reader, _ = model.processors()
    paths = [check_path(part, f"the {reader.kind}") for part in parts]
    if missing := [path for path in paths if not path.exists()]:
        raise InputError(f"{missing[0]} does not exist.")
    return [one for path in paths for one in named_inputs(reader.kind, path)]


def recognise(rows: Rows, wanted: Mapping[str, str], changes: Changes, others: bool) -> tuple[Rows, dict[str, bool]]:
    """The rows of files that are as they were or have moved, and of samples without a file.

    Args:
        rows: of an index.
        wanted: absolute path of each file that is to be in it, and its name.
        changes: takes what has moved, is gone or dropped, what is a copy of that, and how many are as they were.
        others: whether the rows of other files stay.

    Returns:
        The rows, and the files that must be encoded, with whether each was in the index before.
    """
    place = {file: row for row, file in enumerate(rows.files) if file}
    rest: dict[int, list[int]] = defaultdict(list)  # rows that nobody asks for, by the size of their files
    for file, row in place.items():
        if file not in wanted and not others:
            rest[int(rows.stamps[row, 0])].append(row)
    keep = np.array([not file or (others and file not in wanted) for file in rows.files], bool)
    names, files, stamps = list(rows.names), list(rows.files), rows.stamps.copy()
    todo: dict[str, bool] = {}
    for file, name in wanted.items():
        old: int | None = place.get(file)
        try:
            now = stamp(Path(file))
            if old is not None:
                same = now == tuple(rows.stamps[old]) or same_content(rows, old, file)
                new = old if same else None
            else:
                candidates = rest.get(now[0], [])
                new = next((row for row in candidates if same_content(rows, row, file)), None)
                if new is not None:
                    candidates.remove(new)
                    if is_file(files[new]):  # a copy
                        changes.new.append(file)
                        changes.dropped.append(files[new])
                    else:
                        changes.moved[file] = files[new]
        except OSError:  # whoever reads the file says what it has
            new = None
        if new is None:
            todo[file] = old is not None
            continue
        keep[new] = True
        names[new], files[new], stamps[new] = name, file, now
        changes.kept += old is not None
    for file in (files[row] for group in rest.values() for row in group):
        (changes.dropped if is_file(file) else changes.gone).append(file)
    if keep.all() and files == rows.files and names == rows.names and (stamps == rows.stamps).all():
        return rows, todo
    return Rows(names, files, stamps, rows.digests, rows.codes).take(keep), todo


def state_of(rows: Rows, hit: Hit) -> str:
    """What has become of the file of a hit: "gone", "changed", or nothing if it is as it was or there was none."""
    if not hit.file:
        return ""
    try:
        same = stamp(Path(hit.file)) == tuple(rows.stamps[hit.row]) or same_content(rows, hit.row, hit.file)
    except OSError:
        return "gone"
    return "" if same else "changed"


def same_content(rows: Rows, row: int, file: str) -> bool:
    """Whether a file has the content that a row was made of.

    Raises:
        OSError: if it cannot be read.
    """
    digest: str = rows.digests[row].tobytes().hex()
    return fingerprint(Path(file)).sha256 == digest


def new_row(name: str, one: Encoded) -> Rows:
    """A file that was encoded, as a row of an index."""
    size, modified, sha256 = one.file
    digest = np.frombuffer(bytes.fromhex(sha256), np.uint8)
    stamps = np.array([[size, modified]], np.int64)
    return Rows([name], [str(one.job.source)], stamps, digest[None], one.code.reshape(1, -1))


def joined(rows: Rows, parts: Sequence[Rows]) -> Rows:
    """Rows, and after them others.

    Raises:
        InputError: if their codes have several lengths.
    """
    parts = [rows, *parts] if len(rows) else parts
    if len(parts) < 2:
        return parts[0] if parts else rows
    return Rows(
        [name for part in parts for name in part.names],
        [file for part in parts for file in part.files],
        np.concatenate([part.stamps for part in parts]),
        np.concatenate([part.digests for part in parts]),
        stacked([part.codes for part in parts]),
    )


def without_files(names: Sequence[str], codes: Array) -> Rows:
    """Rows of samples that came from no file."""
    n = len(names)
    return Rows([*map(str, names)], [""] * n, np.zeros((n, 2), np.int64), np.zeros((n, 32), np.uint8), codes)


def stacked(codes: Sequence[Array]) -> Array:
    """Codes ``(N, d)`` of one length, one after the other.

    Raises:
        InputError: if they have several lengths.
    """
    if len(lengths := sorted({code.shape[1] for code in codes})) > 1:
        raise InputError(
            f"The codes have several lengths, {lengths[0]:,} and {lengths[-1]:,} numbers: give samples of one size."
        )
    return np.concatenate(codes)
