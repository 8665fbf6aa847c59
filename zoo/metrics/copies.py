"""Whether a generator gives back the images that it was trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from zoo.metrics.fidelity import rounded
from zoo.registry.facts import Metric


def nearest(images: Tensor, train: Tensor) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The training image that is nearest to each image by its pixels: root mean squared differences and rows, ``(N,)``.

    Both sets are ``(N, C, H, W)`` in [-1, 1]; differences are those of pixels in [0, 1].
    """
    from sklearn.neighbors import NearestNeighbors

    flat, others = (((x + 1) / 2).flatten(1).numpy() for x in (images, train))
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(others)
    distances, rows = search.kneighbors(flat)
    return (distances[:, 0] / flat.shape[1] ** 0.5).astype(np.float32), rows[:, 0]


def copy_metrics(samples: Tensor, train: Tensor, test: Tensor, **row: Any) -> list[Metric]:
    """How far samples are from the training images, beside how far new images are.

    Args:
        samples: of the model, ``(N, C, H, W)`` in [-1, 1].
        train: what it was trained on, in the same form.
        test: real images that it was not trained on, likewise.
        row: other facts of the rows.
    """
    ours, real = (nearest(rounded(x), train)[0].astype(float) for x in (samples, test[: len(samples)]))
    return [
        Metric(name, round(float(of(ours) / of(real)), 4), protocol=name, n=len(samples), **row)
        for name, of in (("nearest-training", np.mean), ("nearest-training-least", np.min))
    ]
