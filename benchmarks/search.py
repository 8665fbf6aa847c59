"""Search among a million codes: how long a query takes and how much of the nearest it finds, by each index of faiss.

The codes are standard normal, as those of a variational autoencoder: nothing lies in clusters, so that more lists must
be looked through than among codes of images. Queries are others of the same distribution, one at a time, in processor
time on one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import faiss
import numpy as np

from zoo.tasks.neighbours import Neighbours, fitted

HEAD = "index | seconds to make | ms for a query | recall of the ten nearest"
CODES, LENGTH, QUERIES = 1_000_000, 32, 200
LISTS = 2_000
# Factory of faiss, and how much of the index a query looks at.
OTHERS: tuple[tuple[str, str, str, int], ...] = (
    ("IVF-PQ, 16 bytes for a code", f"IVF{LISTS},PQ16", "nprobe", 128),
    ("HNSW, 32 links", "HNSW32", "efSearch", 256),
)


def search() -> Iterator[list[str]]:
    """A row for each index: seconds to make it, milliseconds for a query, recall of the ten nearest."""
    faiss.omp_set_num_threads(1)
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((CODES, LENGTH), dtype=np.float32)
    queries = rng.standard_normal((QUERIES, LENGTH), dtype=np.float32)
    start = time.process_time()
    flat = faiss.IndexFlatL2(LENGTH)
    flat.add(codes)
    made = time.process_time() - start
    right = flat.search(queries, 10)[1]

    def row(name: str, made: float, ask: Callable[[Any], Any]) -> list[str]:
        start = time.process_time()
        rows = [ask(query[None])[1][0] for query in queries]
        each = (time.process_time() - start) / len(queries)
        recall = np.mean([np.isin(a, b).mean() for a, b in zip(right, rows, strict=True)])
        return [name, f"{made:.1f}", f"{1000 * each:.2f}", f"{recall:.3f}"]

    yield row("all compared", made, lambda query: flat.search(query, 10))
    start = time.process_time()
    ours = Neighbours(codes, fit := fitted(codes, "euclidean"))
    name = f"the zoo's: {len(fit.centres):,} lists, {fit.probes} looked through"
    yield row(name, time.process_time() - start, lambda query: ours.search(query, 10))
    for title, factory, setting, value in OTHERS:
        start = time.process_time()
        index = faiss.index_factory(LENGTH, factory)
        index.train(codes[: 64 * LISTS])
        index.add(codes)
        faiss.ParameterSpace().set_index_parameter(index, setting, value)
        yield row(
            f"{title}, {setting} {value}",
            time.process_time() - start,
            lambda query, index=index: index.search(query, 10),  # type: ignore[misc]
        )


if __name__ == "__main__":
    for cells in search():
        print(" | ".join(cells), flush=True)
