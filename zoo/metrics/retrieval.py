"""How often what is nearest to an image is of its class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zoo.arrays import Array
from zoo.errors import InputError

Labels = npt.NDArray[np.int64]


def retrieval_precision(queries: Array, query_labels: Labels, codes: Array, labels: Labels, k: int = 10) -> float:
    """Share of the ``k`` nearest codes by Euclidean distance that have the class of a query, averaged over queries.

    Args:
        queries: ``(M, d)``.
        query_labels: the class of each, ``(M,)``.
        codes: that are searched, ``(N, d)``.
        labels: the class of each, ``(N,)``.
        k: how many count.

    Raises:
        InputError: for fewer codes than ``k``.
    """
    from sklearn.neighbors import NearestNeighbors

    if len(codes) < k:
        raise InputError(f"The {k} nearest of {len(codes)} images cannot be looked for: give at least {k}.")
    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(codes)
    rows = search.kneighbors(queries, return_distance=False)
    return float(np.mean(labels[rows] == query_labels[:, None]))
