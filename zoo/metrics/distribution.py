"""How far apart two sets of images are, by their features."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import InputError


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """Unbiased squared MMD with the kernel ``(x.y / d + 1) ** 3`` over all pairs (KID).

    Binkowski et al. 2018, https://arxiv.org/abs/1801.01401. ``a`` and ``b`` are features ``(N, d)``. torchmetrics draws
    random subsets, or holds a matrix of all pairs in memory; this goes through all pairs row by row.
    """
    if min(len(a), len(b)) < 2:
        raise InputError("A kernel distance needs two or more images in both sets: give more.")
    d = a.shape[1]

    def mean_kernel(x: Tensor, y: Tensor, same: bool) -> float:
        total = 0.0
        for rows in x.split(1000):
            total += ((rows @ y.T) / d + 1).pow(3).sum().item()
        if not same:
            return total / (len(x) * len(y))
        diagonal = (x.pow(2).sum(1) / d + 1).pow(3).sum().item()
        return (total - diagonal) / (len(x) * (len(x) - 1))

    return mean_kernel(a, a, True) + mean_kernel(b, b, True) - 2 * mean_kernel(a, b, False)


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Squared Frechet distance between Gaussians fitted to features ``(N, d)`` (FID).

    Heusel et al. 2017, https://arxiv.org/abs/1706.08500. It falls with the number of samples: compare figures of equal
    numbers only. The trace of the root of the product of both covariances is the sum of the singular values of the
    product of their roots, which the centred features are: exact, and faster than the eigenvalues that torchmetrics
    takes, above all for fewer samples than features.
    """
    roots = [(x - x.mean(0)) / (len(x) - 1) ** 0.5 for x in (a.double(), b.double())]
    roots = [torch.linalg.qr(x, mode="r").R if len(x) > x.shape[1] else x for x in roots]
    traces = sum(float(x.square().sum()) for x in roots)
    shared = float(torch.linalg.svdvals(roots[0] @ roots[1].T).sum())
    return float((a.double().mean(0) - b.double().mean(0)).square().sum()) + traces - 2 * shared


def precision_recall(samples: Tensor, real: Tensor, k: int = 3) -> tuple[float, float]:
    """The shares of samples that look like real images, and of real images that samples look like.

    Kynkaanniemi et al. 2019, https://arxiv.org/abs/1904.06991: one image looks like a set if, for any image of the set,
    it is as near as the ``k``-th nearest of the same set. The first is fidelity, the second diversity.

    Args:
        samples: features ``(N, d)``, ``k + 1`` or more.
        real: features ``(M, d)``, likewise.
        k: which neighbour says how far a set reaches.

    Raises:
        InputError: for fewer images.
    """
    if min(len(samples), len(real)) <= k:
        raise InputError(f"Precision and recall need {k + 1} or more images in both sets: give more.")

    def covered(points: Tensor, centres: Tensor) -> float:
        reach = torch.cdist(centres, centres).kthvalue(k + 1).values  # the nearest is the image itself
        return float((torch.cdist(points, centres) <= reach).any(1).double().mean())

    return covered(samples, real), covered(real, samples)


def diversity(features: Tensor, most: int = 1_000) -> float:
    """Mean distance between two samples in feature space, over all pairs of the first ``most`` features ``(N, d)``."""
    some = features[:most]
    return float(torch.pdist(some).mean())
