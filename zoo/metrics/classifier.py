"""Classifiers that say what is in an image: a small network, and a linear one over features."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.metrics.features import Features
from zoo.metrics.fidelity import rounded


class Classifier(nn.Module):
    """A small network that names the class of a small image.

    Args:
        classes: how many there are.
        channels: 1 for grey, 3 for RGB.
    """

    def __init__(self, classes: int = 10, channels: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(channels, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(64, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Dropout(0.3), nn.Linear(128 * 9, classes)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, H, W)`` in [-1, 1] to scores ``(N, classes)``."""
        scores: Tensor = self.layers(x)
        return scores


def train_classifier(x: Tensor, y: Tensor, epochs: int = 4, seed: int = 0) -> Classifier:
    """A :class:`Classifier` trained on images ``(N, C, H, W)`` in [-1, 1], 28 px or so, and labels ``(N,)``."""
    torch.manual_seed(seed)
    network = Classifier(int(y.max()) + 1, x.shape[1])
    fit(network, x, lambda scores, rows: F.cross_entropy(scores, y[rows]), lr=4e-3, batch_size=128, epochs=epochs)
    return network


class LinearClassifier(nn.Module):
    """Multinomial logistic regression over an extractor's features, each with mean 0 and deviation 1 in training.

    Args:
        features: the extractor; it stays as it is.
        x: training images ``(N, C, H, W)`` in [-1, 1].
        y: their classes ``(N,)``.
        decay: weight of half the squared length of the weights, beside the mean cross-entropy.
    """

    def __init__(self, features: Features, x: Tensor, y: Tensor, decay: float = 0.03) -> None:
        super().__init__()
        self.features = [features]  # in a list: no part of what is trained
        seen = features(rounded(x))
        self.mean, self.deviation = seen.mean(0), seen.std(0) + 1e-6
        self.layer = nn.Linear(seen.shape[1], int(y.max()) + 1, dtype=torch.float64)
        for parameter in self.layer.parameters():
            nn.init.zeros_(parameter)
        self._fit((seen - self.mean) / self.deviation, y, decay)

    @torch.enable_grad()
    def _fit(self, seen: Tensor, y: Tensor, decay: float) -> None:
        optimizer = torch.optim.LBFGS(self.layer.parameters(), max_iter=100, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(self.layer(seen), y) + decay / 2 * self.layer.weight.square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)

    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1] to scores ``(N, classes)``."""
        scores: Tensor = self.layer((self.features[0](x) - self.mean) / self.deviation)
        return scores


def fit(
    network: nn.Module,
    x: Tensor,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    *,
    lr: float,
    batch_size: int,
    epochs: int,
) -> None:
    """Train a network on all of ``x`` some times over, and put it into eval mode.

    Args:
        network: from ``x[rows]`` to scores.
        x: inputs ``(N, ...)``.
        loss_of: from the scores of a batch and its rows, int64 ``(B,)``, to the loss.
        lr: the highest learning rate.
        batch_size: samples in a step.
        epochs: how many times.
    """
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters())
    batch = min(batch_size, len(x))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * (len(x) // batch))
    with torch.enable_grad():
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).split(batch)[: len(x) // batch]:
                loss = loss_of(network(x[rows]), rows)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    network.eval()


def classify(network: nn.Module, images: Tensor) -> Tensor:
    """The class of each image: int64 ``(N,)``."""
    return torch.cat([network(batch).argmax(1) for batch in images.split(500)])


def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images whose class is named rightly."""
    return float((classify(network, images) == labels).float().mean())
