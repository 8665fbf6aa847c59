"""Figures of merit, each with a protocol that says how it is measured.

Needs the extra ``[train]``. The feature extractor of the two distances is a parameter: figures measured
with different extractors, or at different sizes, must not be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Features = Callable[[Tensor], Tensor]


def mobilenet_features(weights: Path, size: int = 224, fast: bool = False) -> Features:
    """A function from pictures ``(N, C, H, W)`` in [-1, 1] to float64 features ``(N, 1280)``.

    Args:
        weights: safetensors of timm's ``mobilenetv2_100`` (ImageNet, inputs normalised to [-1, 1]).
        size: pictures are resized to this (bilinear, antialiased) first; 224 is what it was trained at.
        fast: bfloat16, about twice as fast, for watching a training run.
    """
    import timm
    from safetensors.torch import load_file

    network = timm.create_model("mobilenetv2_100", pad_type="same", num_classes=0)
    state = {k: v for k, v in load_file(weights).items() if not k.startswith("classifier")}
    network.load_state_dict(state)
    network.eval().to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def features(pictures: Tensor) -> Tensor:
        found = []
        for batch in pictures.split(50):
            if batch.shape[1] == 1:
                batch = batch.expand(-1, 3, -1, -1)
            batch = F.interpolate(batch, (size, size), mode="bilinear", antialias=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=fast):
                found.append(network(batch.contiguous(memory_format=torch.channels_last)).double())
        return torch.cat(found)

    return features


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """Unbiased squared MMD with the kernel ``(x.y / d + 1) ** 3`` over all pairs (KID).

    Binkowski et al. 2018, https://arxiv.org/abs/1801.01401. ``a`` and ``b`` are features ``(N, d)``.
    """
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

    Heusel et al. 2017, https://arxiv.org/abs/1706.08500.
    """
    mean = (a.mean(0) - b.mean(0)).pow(2).sum()
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
    # The trace of the square root of cov_a cov_b, over a symmetric matrix with the same eigenvalues.
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    both = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    return float(mean + cov_a.trace() + cov_b.trace() - 2 * both)


def gaussian_samples(train: Tensor, n: int, seed: int = 0) -> Tensor:
    """Samples of a full-covariance Gaussian fitted to the pixels: the naive generator.

    ``train`` is ``(N, C, H, W)`` in [-1, 1]; the samples are clipped to that range.
    """
    pixels = train.flatten(1).double()
    values, vectors = torch.linalg.eigh(torch.cov(pixels.T))
    noise = torch.randn(n, len(values), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    samples: Tensor = noise * values.clamp(min=0).sqrt() @ vectors.T + pixels.mean(0)
    return samples.clamp(-1, 1).float().reshape(n, *train.shape[1:])


def pca_error(train: np.ndarray, test: np.ndarray, components: int) -> float:
    """Mean squared error on ``test`` of PCA with so many numbers, fitted on ``train`` (both ``(N, pixels)``)."""
    from sklearn.decomposition import PCA

    pca = PCA(components, svd_solver="full").fit(train)
    return float(np.mean((pca.inverse_transform(pca.transform(test)) - test) ** 2))


class Classifier(nn.Module):
    """A small network that names the class of a 28 px grey picture."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(64, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Dropout(0.3), nn.Linear(128 * 9, classes)),
        )

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.layers(x)
        return scores


def train_classifier(x: Tensor, y: Tensor, epochs: int = 4, seed: int = 0) -> Classifier:
    """A :class:`Classifier` trained on pictures ``(N, 1, 28, 28)`` in [-1, 1] and labels ``(N,)``."""
    torch.manual_seed(seed)
    network = Classifier().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * (len(x) // 128))
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(128)[: len(x) // 128]:
            loss = F.cross_entropy(network(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def classify(network: nn.Module, pictures: Tensor) -> Tensor:
    """The class of each picture: int64 ``(N,)``."""
    return torch.cat([network(batch).argmax(1) for batch in pictures.split(500)])
