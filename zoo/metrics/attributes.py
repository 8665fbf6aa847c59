"""Whether edits change what they are to change, and samples are as varied as data, by a classifier of attributes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.metrics.classifier import fit
from zoo.metrics.fidelity import rounded
from zoo.registry.facts import Metric

RELATED = 0.1  # correlation in the training data from which an attribute is not expected to stay when another changes


class AttributeClassifier(nn.Module):
    """A small network that says which attributes an image has.

    Args:
        channels: of the images.
        size: height and width, divisible by 8.
        attributes: how many.
    """

    def __init__(self, channels: int, size: int, attributes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(channels, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
            *(nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.Conv2d(64, 128, 3, stride=2, padding=1), nn.BatchNorm2d(128), nn.ReLU()),
            *(nn.Conv2d(128, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU()),
            *(nn.Flatten(), nn.Dropout(0.3), nn.Linear(128 * (size // 8) ** 2, attributes)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, size, size)`` in [-1, 1] to logits ``(N, attributes)``."""
        logits: Tensor = self.layers(x)
        return logits


def train_attribute_classifier(x: Tensor, attributes: Tensor, epochs: int = 5, seed: int = 0) -> AttributeClassifier:
    """A classifier trained on images ``(N, C, S, S)`` in [-1, 1] and their attributes, 0 or 1, ``(N, A)``."""
    torch.manual_seed(seed)
    network = AttributeClassifier(x.shape[1], x.shape[2], attributes.shape[1])
    wanted = attributes.float()
    fit(
        network,
        x,
        lambda logits, rows: F.binary_cross_entropy_with_logits(logits, wanted[rows]),
        lr=3e-3,
        batch_size=64,
        epochs=epochs,
    )
    return network


@torch.inference_mode()
def attributes_seen(network: nn.Module, images: Tensor) -> Tensor:
    """Which attributes images ``(N, C, S, S)`` in [-1, 1] have, rounded to 8 bits first: bool ``(N, A)``."""
    return torch.cat([network(rounded(batch)) > 0 for batch in images.split(250)])


def unrelated(attributes: Tensor) -> Tensor:
    """Which attributes are independent of which in the data, 0 or 1, ``(N, A)``: bool ``(A, A)``."""
    correlation = torch.corrcoef(attributes.T.float())
    return correlation.abs() < RELATED


def edit_metrics(
    train: Tensor,
    train_attributes: Tensor,
    test: Tensor,
    test_attributes: Tensor,
    copies: Tensor,
    edited: Callable[[int], Tensor],
    **row: Any,
) -> list[Metric]:
    """How often edits reach the attribute that they are to change, and how often the others stay.

    Args:
        train: images to train the classifier on, ``(N, C, S, S)`` in [-1, 1].
        train_attributes: theirs, 0 or 1, ``(N, A)``.
        test: images that are edited, in the same form.
        test_attributes: theirs.
        copies: what the model makes of them without a change.
        edited: of the number of an attribute the images with it where it was not, and without it where it was.
        row: other facts of the rows.
    """
    network = train_attribute_classifier(train, train_attributes)
    before, others = test_attributes.bool(), unrelated(train_attributes)
    reached, kept = [], []
    for number in range(before.shape[1]):
        after = attributes_seen(network, edited(number))
        reached.append((after[:, number] != before[:, number]).float().mean())
        kept.append((after == before)[:, others[number]].float().mean())
    real, copy = (float((attributes_seen(network, x) == before).float().mean()) for x in (test, copies))
    baselines = {"real": round(real, 4), "unedited": round(copy, 4)}
    n = len(test) * before.shape[1]
    return [
        Metric("reached", round(float(torch.stack(reached).mean()), 4), protocol="attribute-reached", n=n, **row),
        Metric(
            "reached",
            round(float(torch.stack(reached).min()), 4),
            protocol="attribute-reached-worst",
            n=len(test),
            **row,
        ),
        Metric(
            "kept",
            round(float(torch.stack(kept).mean()), 4),
            protocol="attributes-kept",
            n=n,
            baselines=baselines,
            **row,
        ),
    ]


def diversity_metrics(
    train: Tensor, train_attributes: Tensor, samples: Tensor, test: Tensor, **row: Any
) -> list[Metric]:
    """Whether samples have the attributes of the data, as often and in as many combinations.

    Args:
        train: images to train the classifier on, ``(N, C, S, S)`` in [-1, 1].
        train_attributes: theirs, 0 or 1, ``(N, A)``.
        samples: of the model, in the same form.
        test: real images that the classifier was not trained on, which stand beside the samples, as many or more.
        row: other facts of the rows.
    """
    network = train_attribute_classifier(train, train_attributes)
    wanted, ours, real = (attributes_seen(network, x) for x in (train, samples, test[: len(samples)]))
    measures: tuple[tuple[str, Callable[[Tensor], float]], ...] = (
        ("attribute-shares", lambda seen: float((seen.float().mean(0) - wanted.float().mean(0)).abs().mean())),
        ("attribute-entropy", _entropy),
        ("attribute-combinations", lambda seen: len(seen.unique(dim=0)) / len(seen)),
    )
    return [
        Metric(name, round(of(ours), 4), protocol=name, n=len(samples), baselines={"real": round(of(real), 4)}, **row)
        for name, of in measures
    ]


def _entropy(seen: Tensor) -> float:
    """Of each attribute in bits, 1 where half of the images ``(N, A)`` have it; averaged over attributes."""
    share = seen.double().mean(0)
    bits = -(torch.special.xlogy(share, share) + torch.special.xlogy(1 - share, 1 - share)) / math.log(2)
    return float(bits.mean())
