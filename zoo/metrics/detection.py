"""How well scores tell what is anomalous from what is normal, and what simple ways to score images get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import InputError
from zoo.metrics.features import Features

PATCH, STEP, COMPONENTS = 16, 4, 16  # of PCA: side of the patches, pixels from one to the next, numbers for each
SOME = 20_000  # patches that PCA is fitted to, and features of patches that others are compared with
DEPTHS = slice(2, 4)  # of the maps of a feature extractor: an eighth and a sixteenth of the image


def auroc(scores: npt.NDArray[Any], positive: npt.NDArray[Any]) -> float:
    """Area under the ROC curve, by scikit-learn.

    It is the chance that an anomalous one has a higher score than a normal one; 0.5 by guessing.

    Args:
        scores: ``(N,)``.
        positive: which of them are anomalous, ``(N,)`` of bool.

    Raises:
        InputError: if all are, or none is.
    """
    from sklearn.metrics import roc_auc_score

    if positive.all() or not positive.any():
        raise InputError("An ROC curve needs normal and anomalous images: give both.")
    if not np.isfinite(scores).all():
        return float("nan")
    return float(roc_auc_score(positive, scores))


def pca_patches(train: Sequence[Tensor], test: Sequence[Tensor]) -> list[Tensor]:
    """Mean squared errors of PCA of patches of 16 pixels, fitted to normal images: a map ``(H, W)`` for each test one.

    Images are ``(C, H, W)`` in [0, 1], of 16 pixels on a side or more.
    """
    from sklearn.decomposition import PCA

    each = max(1, SOME // len(train))
    rng = torch.Generator().manual_seed(0)
    chosen = torch.cat([_some(_patches(x), each, rng) for x in train])
    pca = PCA(min(COMPONENTS, *chosen.shape), random_state=0).fit(chosen.numpy())
    maps = []
    for x in test:
        p = _patches(x).numpy()
        errors = ((pca.inverse_transform(pca.transform(p)) - p) ** 2).mean(1)
        rows = (x.shape[1] - PATCH) // STEP + 1
        maps.append(_spread(torch.from_numpy(errors).float().reshape(rows, -1), x))
    return maps


def _patches(x: Tensor) -> Tensor:
    """Patches of an image, ``(N, C * 256)``."""
    return F.unfold(x[None], PATCH, stride=STEP)[0].T


@torch.inference_mode()
def nearest_patches(train: Sequence[Tensor], test: Sequence[Tensor], features: Features) -> list[Tensor]:
    """Distances of the features of patches to the nearest of normal images: a map ``(H, W)`` for each test image.

    The idea of PatchCore (Roth et al. 2022, https://arxiv.org/abs/2106.08265), with features drawn at random in place
    of a coreset. Images are ``(C, H, W)`` in [0, 1].
    """
    each = max(1, SOME // len(train))
    rng = torch.Generator().manual_seed(0)
    bank = torch.cat([_some(_embedded(x, features).flatten(1).T, each, rng) for x in train])
    maps = []
    for x in test:
        own = _embedded(x, features)
        nearest = torch.cdist(own.flatten(1).T, bank).amin(1)
        maps.append(_spread(nearest.reshape(own.shape[1:]), x))
    return maps


def _spread(grid: Tensor, x: Tensor) -> Tensor:
    """Numbers ``(h, w)`` of patches, for each pixel of an image ``(C, H, W)``: ``(H, W)``."""
    return F.interpolate(grid[None, None], x.shape[1:], mode="bilinear")[0, 0]


def _some(rows: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """At most ``n`` of the rows, drawn without replacement."""
    return rows[torch.randperm(len(rows), generator=rng)[:n]]


def _embedded(x: Tensor, features: Features) -> Tensor:
    """Features of each patch, its neighbours among them: ``(D, H / 8, W / 8)``."""
    maps = [F.avg_pool2d(m, 3, 1, 1) for m in features.maps(x[None] * 2 - 1)[DEPTHS]]
    size = maps[0].shape[2:]
    return torch.cat([F.interpolate(m, size, mode="bilinear") for m in maps], 1)[0]
