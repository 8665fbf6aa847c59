"""What a network has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.errors import InputError

if TYPE_CHECKING:
    from sklearn.decomposition import PCA


def gaussian_samples(train: Tensor, n: int, seed: int = 0) -> Tensor:
    """Samples of a full-covariance Gaussian fitted to the pixels: the naive generator.

    ``train`` is ``(N, C, H, W)`` in [-1, 1]; the samples are clipped to that range.
    """
    pixels = train.flatten(1).double()
    if len(pixels) < pixels.shape[1]:  # their own differences from the mean are a root of the covariance, for nothing
        root = (pixels - pixels.mean(0)) / (len(pixels) - 1) ** 0.5
    else:
        values, vectors = torch.linalg.eigh(torch.cov(pixels.T))
        root = values.clamp(min=0).sqrt()[:, None] * vectors.T
    noise = torch.randn(n, len(root), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    samples: Tensor = noise @ root + pixels.mean(0)
    return samples.clamp(-1, 1).float().reshape(n, *train.shape[1:])


def fitted_pca(train: np.ndarray, components: int) -> PCA:
    """PCA with so many numbers of images ``(N, pixels)``.

    Raises:
        InputError: for fewer images or pixels than ``components``.
    """
    from sklearn.decomposition import PCA

    if components > min(train.shape):
        raise InputError(
            f"PCA with {components} components needs as many training images and pixels, not {len(train):,} images of "
            f"{train.shape[1]:,}: give more of them."
        )
    # Both are exact to float32; of thousands of images and of pixels, one of them computes a few components in seconds.
    solver = "arpack" if 20 * components < min(train.shape) else "full"
    return PCA(components, svd_solver=solver, random_state=0).fit(train)


def pca_error(train: np.ndarray, test: np.ndarray, components: int) -> float:
    """Mean squared error on ``test`` of PCA with so many numbers, fitted on ``train`` (both ``(N, pixels)``).

    Raises:
        InputError: for fewer images or pixels than ``components``.
    """
    return error_of(fitted_pca(train, components), test)


def error_of(pca: PCA, test: np.ndarray) -> float:
    """Mean squared error of PCA on images ``(N, pixels)``."""
    return float(np.mean((pca.inverse_transform(pca.transform(test)) - test) ** 2))
