"""Search: the samples whose codes are nearest to that of a query, among any number of them."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.arrays import Array
from zoo.errors import InputError, MediaError, UnknownNameError, check_count, near
from zoo.files import is_file
from zoo.inference.codes import check_encoder, codes_of, common_size, name_of
from zoo.inference.verbs import Verbs
from zoo.jobs.codes import Encoder, encode
from zoo.jobs.files import Job, Work
from zoo.loading import load
from zoo.media.image_names import sample_names
from zoo.tasks.identity import address_of, weights_of
from zoo.tasks.index_file import Rows, Stored, check_place, part_of, read, write
from zoo.tasks.index_rows import Changes, Hit, files_of, joined, new_row, recognise, stacked, without_files
from zoo.tasks.neighbours import Fit, Neighbours, fitted, metric_of

EVERY = 60.0  # seconds between two writings of what a build has done


class Index:
    """Codes of many samples, and which of them are nearest to others.

    Up to 100,000 codes the nearest are found exactly; of more by an inverted file (Jegou, Douze, Schmid, "Product
    Quantization for Nearest Neighbor Search", 2011, https://doi.org/10.1109/TPAMI.2010.57), whose recall is measured
    when it is made: :mod:`zoo.tasks.neighbours`. Needs the extra ``[search]``.

    Attributes:
        address: the model, as :func:`zoo.load` takes it; empty for a network without a name.
        weights: sha256 of its weights.
        metric: "euclidean" for the length of the difference of two codes, "cosine" for 1 minus the cosine of the angle
            between them, "mahalanobis" for the length of their difference after PCA whitening.
        rows: names, files and codes.

    Args:
        model: one with an encoder.
        metric: as above; by default as the model's stanza says under ``tasks: {index: {metric: euclidean}}``, else
            "cosine".

    Raises:
        VerbError: for a model without an encoder.
        InputError: for another metric.
    """

    def __init__(self, model: Verbs, *, metric: str | None = None) -> None:
        check_encoder(model, "search")
        self.address, self.weights = address_of(model), weights_of(model)
        self.metric = metric_of(model.entry, metric)
        self.rows = Rows()
        self._model: Verbs | None = model
        self._fit: Fit | None = None
        self._stale = True  # what was learnt from other rows
        self._neighbours: Neighbours | None = None

    @classmethod
    def build(
        cls,
        model: Verbs,
        source: Any,
        *,
        names: Sequence[str] | None = None,
        path: str | os.PathLike[str] | None = None,
        metric: str | None = None,
        batch_size: int = 64,
        progress: bool = False,
        warn: Callable[[str], None] = warnings.warn,
    ) -> Index:
        """An index of samples.

        Args:
            model: one with an encoder.
            source: anything that holds samples of the kind that the model takes, such as all that
                :meth:`zoo.Images.of` takes. Files are read as they are encoded, so folders may be larger than memory.
            names: of samples that come from no file; by default their numbers.
            path: where the index is saved. If it is there, it is brought up to date: files that are in it are not
                encoded again, and those that ``source`` does not have leave it. If a build into it broke off, this one
                goes on where that was.
            metric: as for :class:`Index`.
            batch_size: samples that go through the encoder at once.
            progress: whether to show a bar.
            warn: takes a text for each file that is left out since it cannot be read.

        Raises:
            VerbError: for a model without an encoder.
            InputError: for no samples, codes of several sizes, or a ``path`` that is an index of another model.
            MediaError: if no file can be read, or the disk does not take the index.
        """
        check_count("batch_size", batch_size)
        index = cls(model, metric=metric) if path is None else cls.resume(path, model, metric=metric)
        files = files_of(source, model)
        if files is None:
            index._change(Rows())
            index.add(source, names=names, batch_size=batch_size)
        else:
            if names is not None:
                raise InputError("Files have names: leave out `names`.")
            work = partial(encode, model=model, work=Work(batch_size=batch_size))
            for line in index.update(files, work, path, progress=progress).failed:
                warn(f"left out: {line}")
        if path is not None:
            index.save(path)
        return index

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: Verbs | None = None) -> Index:
        """An index from its file.

        Args:
            path: as :meth:`save` wrote it.
            model: that made it; by default it is loaded when it is first needed.

        Raises:
            InputError: for a file that is none, and for another model or other weights.
            MediaError: for a file that is damaged.
        """
        stored = read(Path(path))
        index = cls.__new__(cls)
        index.address, index.weights, index.metric = stored.model, stored.weights, stored.metric
        index.rows, index._model, index._neighbours = stored.rows, None, None
        index._fit, index._stale = stored.fit, stored.fit is None
        if model is not None:
            index.use(model, str(path))
        return index

    @classmethod
    def resume(cls, path: str | os.PathLike[str], model: Verbs, *, metric: str | None = None) -> Index:
        """What there is at a path: what a build that broke off has done, else an index, else an empty one.

        Raises:
            InputError: for another file, and an index of another model.
        """
        target = check_place(path)
        there = next((file for file in (part_of(target), target) if is_file(file)), None)
        index = cls.load(there, model) if there else cls(model, metric=metric)
        if metric is not None and metric != index.metric:
            index.metric, index._fit = metric_of(model.entry, metric), None
        return index

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to one file, whole or not at all.

        Raises:
            InputError: for a file that is there and is no index.
            MediaError: where the disk does not take it.
        """
        target = check_place(path)
        self._write(target, self._fitted())
        part_of(target).unlink(missing_ok=True)

    def _write(self, path: Path, fit: Fit | None) -> None:
        write(Stored(self.address, self.weights, self.metric, self.rows, fit), path)

    # What is in it.

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<index of {len(self):,} codes of {self.address or 'a network'}>"

    @property
    def names(self) -> list[str]:
        """The name of each sample."""
        return self.rows.names

    @property
    def codes(self) -> Array:
        """The code of each sample, as the model gives it, flattened: float32 ``(N, d)``."""
        return self.rows.codes

    def add(self, source: Any, *, names: Sequence[str] | None = None, batch_size: int = 64) -> None:
        """Put samples in.

        Args:
            source: as for :meth:`build`. A file that is in the index is encoded again if it has changed.
            names: of samples that come from no file; by default numbers that go on. Names need not be unique.
            batch_size: samples that go through the encoder at once.

        Raises:
            InputError: for no samples, or codes of another length than those that are there.
            MediaError: for a file that cannot be read.
        """
        check_count("batch_size", batch_size)
        files = files_of(source, self.model)
        if files is not None:
            if names is not None:
                raise InputError("Files have names: leave out `names`.")
            work = partial(encode, model=self.model, work=Work(batch_size=batch_size))
            if failed := self.update(files, work, others=True).failed:
                raise MediaError(failed[0])
            return
        samples = self._read(source)
        if names is None:
            names = samples.names
            if names == sample_names(len(samples)):  # those without names go on counting
                names = sample_names(len(self) + len(samples))[len(self) :]
        elif len(names) != len(samples):
            raise InputError(f"There are {len(names)} names for {len(samples)} {samples.noun}: give each a name.")
        self._change(joined(self.rows, [without_files(names, self._codes(samples, batch_size))]))

    def remove(self, names: str | Iterable[str]) -> int:
        """Take samples out, by their names or the absolute paths of their files; how many there were.

        Raises:
            UnknownNameError: for a name that is not in the index.
        """
        wanted = {names} if isinstance(names, str) else set(names)
        pairs = list(zip(self.rows.names, self.rows.files, strict=True))
        out = np.array([name in wanted or file in wanted for name, file in pairs], bool)
        if unknown := wanted - {text for pair in pairs for text in pair if text}:
            first = sorted(unknown)[0]
            raise UnknownNameError(f"The index holds no {first!r}{near(first, self.rows.names) or '.'}")
        self._change(self.rows.take(~out))
        return int(out.sum())

    def update(
        self,
        files: Sequence[tuple[str, Path]],
        encode: Encoder,
        path: str | os.PathLike[str] | None = None,
        others: bool = False,
        progress: bool = False,
    ) -> Changes:
        """Make it the index of just these files; only those that are new or changed are encoded.

        A file is as it was if its size and time are, or else its content. A new one with the content of one that is no
        longer there has moved. Other files leave the index. Samples that came from no file stay.

        Args:
            files: name and path of each.
            encode: from files to codes: :func:`zoo.jobs.codes.encode` or :func:`zoo.jobs.ray.encode`.
            path: where the index will be saved: every minute, and when something breaks off, what is done so far is
                written beside it.
            others: whether other files that are in the index stay.
            progress: whether to show a bar.

        Raises:
            InputError: for no files, or codes of several sizes.
            MediaError: if none of the files can be read.
        """
        from tqdm import tqdm

        wanted = {str(file): name for name, file in ((name, file.absolute()) for name, file in files)}
        if not wanted:
            raise InputError("There are no files to put into an index: name a folder with some.")
        changes = Changes()
        rows, todo = recognise(self.rows, wanted, changes, others)
        if rows is not self.rows:
            self._change(rows)
        before = {file for file, old in todo.items() if old}
        jobs = [Job(number, Path(file)) for number, file in enumerate(todo)]
        encoded: list[Rows] = []
        last = time.monotonic()
        try:
            with tqdm(total=len(jobs), unit="file", leave=False, disable=not progress or len(jobs) < 2) as bar:
                for one in encode(jobs, changes.failed, bar.update):
                    file = str(one.job.source)
                    encoded.append(new_row(wanted[file], one))
                    (changes.changed if file in before else changes.new).append(file)
                    if path is not None and time.monotonic() - last > EVERY:
                        self._change(joined(self.rows, encoded))
                        self._write(part_of(path), None)
                        encoded, last = [], time.monotonic()
        except BaseException:
            self._change(joined(self.rows, encoded))
            if path is not None and changes.new + changes.changed:
                self._write(part_of(path), None)
            raise
        self._change(joined(self.rows, encoded))
        if not any(self.rows.files):
            raise MediaError(changes.failed[0])
        order = {file: number for number, file in enumerate(wanted)}
        places = np.array([order.get(file, -1) for file in self.rows.files])
        if (np.diff(places) < 0).any():
            self._change(self.rows.take(np.argsort(places, kind="stable")))
        return changes

    # Search.

    def query(self, inputs: Any, k: int = 10) -> list[list[Hit]]:
        """The nearest samples of the index to each of some others, the nearest first.

        Args:
            inputs: anything that holds samples of the kind that the model takes.
            k: how many.

        Raises:
            InputError: for an index of another model's, one without samples, or inputs that hold none.
            ZooError: if faiss is not installed.
        """
        return self.hits(self._codes(self._read(inputs)), k)

    def hits(self, codes: Array, k: int = 10) -> list[list[Hit]]:
        """As :meth:`query`, for codes ``(N, d)`` as the model gives them."""
        names, files = self.rows.names, self.rows.files
        distances, rows = self.nearest(codes, k)
        return [
            [Hit(names[r], files[r], d, r) for d, r in zip(*one, strict=True)]
            for one in zip(distances.tolist(), rows.tolist(), strict=True)
        ]

    def nearest(self, codes: Array, k: int = 10) -> tuple[Array, npt.NDArray[np.int64]]:
        """The nearest codes of the index to each of some others, the nearest first.

        Args:
            codes: float32 ``(N, d)``, as the model gives them.
            k: how many; of a smaller index all.

        Returns:
            Distances, float32 ``(N, k)``, and the places of the codes in the index, int64 ``(N, k)``.

        Raises:
            InputError: for an index without samples, and codes of another length.
            ZooError: if faiss is not installed.
        """
        check_count("k", k)
        if not len(self):
            raise InputError("The index is empty: add samples first.")
        codes = np.asarray(codes, np.float32)
        length = self.rows.codes.shape[1]
        if codes.ndim != 2 or codes.shape[1] != length:
            raise InputError(
                f"The codes of this index have {length} numbers, and these are {codes.shape}: (N, {length})."
            )
        if self._neighbours is None:
            self._neighbours = Neighbours(self.rows.codes, self._fitted())
        return self._neighbours.search(codes, min(int(k), len(self)))

    @property
    def recall(self) -> float:
        """Share of the ten nearest that a search finds: 1 where it is exact, else as measured with codes of its own."""
        return self._fitted().recall

    @property
    def model(self) -> Verbs:
        """The model that made the codes.

        Raises:
            InputError: if its name stands for other weights now, or it has no name.
        """
        if self._model is None:
            if not self.address:
                raise InputError("The index is of a network without a name: give it, Index.load(path, model).")
            self.use(load(self.address))
        assert self._model is not None
        return self._model

    def use(self, model: Verbs, what: str = "The index") -> None:
        """Encode queries with a model.

        Args:
            model: that made the codes.
            what: the index is called in messages.

        Raises:
            VerbError: for a model without an encoder.
            InputError: for another model, or other weights.
        """
        check_encoder(model, "search")
        if (other := weights_of(model)) != self.weights:
            ours = f"{self.address or 'a network without a name'} (sha256 {self.weights[:12]}...)"
            theirs = f"{address_of(model) or name_of(model)} (sha256 {other[:12]}...)"
            raise InputError(
                f"{what} is of {ours}, whose codes and those of {theirs} cannot be compared: use that model, or make "
                "another index."
            )
        self._model = model

    def _fitted(self) -> Fit:
        """What is learnt from the codes, anew if they have changed."""
        if self._stale or self._fit is None:
            self._fit, self._stale = fitted(self.rows.codes, self.metric, self._fit), False
        return self._fit

    # Samples and rows.

    def _read(self, source: Any) -> Any:
        reader, _ = self.model.processors(source)
        samples = reader.read(source)
        if not len(samples):
            raise InputError(f"There are no {samples.noun} to encode.")
        return samples

    def _codes(self, samples: Any, batch_size: int = 64) -> Array:
        """Flattened codes ``(N, d)`` of samples."""
        codes = codes_of(self.model, samples, common_size(self.model), batch_size)
        return stacked([code.reshape(1, -1) for code in codes])

    def _change(self, rows: Rows) -> None:
        if rows is self.rows:
            return
        self.rows = rows
        self._stale, self._neighbours = True, None
