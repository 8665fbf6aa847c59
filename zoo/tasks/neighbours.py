"""The nearest of many codes, by faiss: exactly among few, through an inverted file among many.

What is learnt from codes is kept as plain arrays: faiss' own files are read by code that trusts them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.arrays import Array
from zoo.errors import InputError, ZooError
from zoo.registry.facts import Entry
from zoo.tasks import METRICS, constants

EXACT = 100_000  # codes, up to which all are compared
RECALL = 0.99  # of the ten nearest, that a search among more must find
TRIED = 256  # codes that recall is measured with
LEARNT = 64  # codes for each list, that its centre is learnt from
EPSILON = 1e-6  # of the mean variance, added to each: directions without any would come out infinite


def _none() -> Array:
    return np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class Fit:
    """What was learnt from codes.

    Attributes:
        metric: one of :data:`zoo.tasks.METRICS`.
        mean: of the codes, ``(1, d)``, and
        matrix: ``(d, d)``, by which what differs from it is multiplied to be white; both empty but for "mahalanobis".
        centres: of the lists of an inverted file, ``(L, d)``; empty where all codes are compared.
        lists: the list of each code, int64 ``(N,)``; likewise.
        probes: lists that are looked through for a query.
        recall: share of the ten nearest that is found so.
        learnt: how many codes there were when mean, matrix and centres were learnt.
    """

    metric: str
    mean: Array = field(default_factory=_none)
    matrix: Array = field(default_factory=_none)
    centres: Array = field(default_factory=_none)
    lists: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    probes: int = 0
    recall: float = 1.0
    learnt: int = 0

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All of it as arrays by name, which :meth:`of` takes."""
        numbers = np.array([self.probes, self.recall, self.learnt], np.float64)
        return {
            "mean": self.mean,
            "matrix": self.matrix,
            "centres": self.centres,
            "lists": self.lists,
            "numbers": numbers,
        }

    @classmethod
    def of(cls, metric: str, arrays: Mapping[str, npt.NDArray[Any]], n: int, length: int) -> Fit | None:
        """From arrays by name, for ``n`` codes of ``length`` numbers; None if they are not there.

        Raises:
            ValueError: for arrays that do not fit together; likewise the other errors of a wrong structure.
        """
        if "numbers" not in arrays:
            return None
        mean, matrix, centres, lists = (arrays[name] for name in ("mean", "matrix", "centres", "lists"))
        probes, recall, learnt = map(float, arrays["numbers"])
        white = (mean.shape, matrix.shape) == ((1, length), (length, length))
        white = white if metric == "mahalanobis" else mean.size == matrix.size == 0
        many = len(centres)
        listed = centres.shape == (many, length) and lists.shape == (n,) and bool(((lists >= 0) & (lists < many)).all())
        floats = all(x.dtype == np.float32 and np.isfinite(x).all() for x in (mean, matrix, centres))
        sound = floats and lists.dtype == np.int64 and 0 <= recall <= 1 and 0 <= learnt <= 2**53
        if not (white and (listed or centres.size == lists.size == 0) and sound and 0 <= probes <= many):
            raise ValueError("fit")
        return cls(metric, mean, matrix, centres, lists, int(probes), recall, int(learnt))

    def transformed(self, codes: Array) -> Array:
        """Codes ``(N, d)`` as they are compared by Euclidean distance."""
        if self.metric == "mahalanobis":
            codes = np.asarray((codes - self.mean) @ self.matrix, np.float32)
        lengths = np.linalg.norm(codes, axis=1, keepdims=True) if self.metric == "cosine" else 1
        return np.ascontiguousarray(codes / np.maximum(lengths, 1e-30), np.float32)


def metric_of(entry: Entry | None, metric: str | None = None) -> str:
    """By which metric an index compares codes.

    Args:
        entry: of the model.
        metric: that somebody asks for, if any.

    Raises:
        InputError: for one that there is not.
    """
    chosen = constants(entry, "index").get("metric", "cosine") if metric is None else metric
    if chosen not in METRICS:
        raise InputError(f"metric cannot be {chosen!r}: choose one of {', '.join(METRICS)}.")
    return str(chosen)


def compared(codes: Array, metric: str) -> Fit:
    """What is to be learnt from codes ``(N, d)`` so that they can be compared by a metric, all with all."""
    mean, matrix = _whitening(codes) if metric == "mahalanobis" else (_none(), _none())
    return Fit(metric, mean, matrix, learnt=len(codes))


def fitted(codes: Array, metric: str, before: Fit | None = None) -> Fit:
    """What is to be learnt from codes ``(N, d)``.

    Args:
        codes: all of them.
        metric: one of :data:`zoo.tasks.METRICS`.
        before: what was learnt before there were more or fewer codes: of it all stays, as long as there are not more
            than twice as many or less than half.

    Raises:
        ZooError: if faiss is not installed.
    """
    n = len(codes)
    if before is None or not _still_holds(before, n, metric):
        before = compared(codes, metric)
        if n > EXACT:
            before = replace(before, centres=_centres(before.transformed(codes)))
    if not len(before.centres):
        return before
    seen = before.transformed(codes)
    lists = _nearest_centre(before.centres, seen)
    probes, recall = _probes(seen, replace(before, lists=lists))
    return replace(before, lists=lists, probes=probes, recall=recall)


def _still_holds(before: Fit, n: int, metric: str) -> bool:
    """Whether what was learnt from other codes does for ``n``."""
    alike = before.learnt <= 2 * n and n <= 2 * before.learnt
    return alike and before.metric == metric and bool(len(before.centres)) == (n > EXACT)


class Neighbours:
    """Finds the nearest of codes.

    Args:
        codes: ``(N, d)``.
        fit: what was learnt from them.

    Raises:
        ZooError: if faiss is not installed.
    """

    def __init__(self, codes: Array, fit: Fit) -> None:
        self.fit = fit
        self.index = _built(fit.transformed(codes), fit)

    def search(self, codes: Array, k: int) -> tuple[Array, npt.NDArray[np.int64]]:
        """Distances and places of the nearest ``k``, ``(N, k)`` each, the nearest first; k is not more than there are.

        Where the lists that are looked through hold fewer than k, all are.
        """
        seen = self.fit.transformed(codes)
        squares, rows = self.index.search(seen, k)
        if (few := (rows < 0).any(1)).any():
            probes, self.index.nprobe = self.index.nprobe, len(self.fit.centres)
            squares[few], rows[few] = self.index.search(seen[few], k)
            self.index.nprobe = probes
        squares = np.maximum(squares, 0)
        return (squares / 2 if self.fit.metric == "cosine" else np.sqrt(squares)), rows


def faiss() -> Any:
    """The library."""
    try:
        import faiss
    except ImportError:
        raise ZooError("Search needs more packages: pip install 'generative-zoo[search]'.") from None
    return faiss


def _built(seen: Array, fit: Fit) -> Any:
    """The index of faiss of codes as they are compared."""
    flat = faiss().IndexFlatL2(seen.shape[1])
    if not len(fit.centres):
        flat.add(seen)
        return flat
    flat.add(fit.centres)
    index = faiss().IndexIVFFlat(flat, seen.shape[1], len(fit.centres))
    index.is_trained, index.nprobe = True, max(1, fit.probes)
    pointer, rows = faiss().swig_ptr, np.arange(len(seen))
    index.add_core(len(seen), pointer(seen), pointer(rows), pointer(np.ascontiguousarray(fit.lists)))
    return index


def _whitening(codes: Array) -> tuple[Array, Array]:
    """Mean ``(1, d)`` and matrix ``(d, d)`` of PCA whitening."""
    mean = codes.mean(0, keepdims=True, dtype=np.float64)
    centred = codes - mean.astype(np.float32)
    variances, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64) / max(1, len(codes) - 1))
    if len(codes) and variances.mean() <= 1e-20:
        raise InputError("Mahalanobis distances need images that differ: add some, or choose euclidean or cosine.")
    floor = EPSILON * float(variances.mean())
    return mean.astype(np.float32), (vectors / np.sqrt(np.maximum(variances, 0) + floor)).astype(np.float32)


def _centres(seen: Array) -> Array:
    """Centres of the lists by k-means, twice as many as the root of the number of codes."""
    many = 2 * math.isqrt(len(seen))
    some = np.random.default_rng(0).permutation(len(seen))[: LEARNT * many]
    means = faiss().Kmeans(seen.shape[1], many, niter=10, seed=0)
    means.train(np.ascontiguousarray(seen[some]))
    return np.asarray(means.centroids, np.float32)


def _nearest_centre(centres: Array, seen: Array) -> npt.NDArray[np.int64]:
    flat = faiss().IndexFlatL2(centres.shape[1])
    flat.add(centres)
    return np.asarray(flat.search(seen, 1)[1][:, 0], np.int64)


def _probes(seen: Array, fit: Fit) -> tuple[int, float]:
    """How many lists must be looked through to find as much as :data:`RECALL`, and what is found so.

    Measured with some of the codes themselves, each among the others.
    """
    flat, index = _built(seen, Fit("euclidean")), _built(seen, fit)
    some = np.random.default_rng(1).permutation(len(seen))[:TRIED]
    queries = np.ascontiguousarray(seen[some])
    right = flat.search(queries, 11)[1][:, 1:]  # the first is the code itself
    probes = 1
    while True:
        index.nprobe = probes
        found = index.search(queries, 11)[1]
        recall = float(np.mean([np.isin(a, b).mean() for a, b in zip(right, found, strict=True)]))
        if recall >= RECALL or probes >= len(fit.centres):
            return probes, recall
        probes = min(2 * probes, len(fit.centres))
