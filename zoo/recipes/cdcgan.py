"""How the checkpoint of cdcgan was trained: as dcgan, with the class beside the latent, and projected in D.

    zoo train cdcgan.mnist --data mnist.npz.xz --out runs/mnist

The best weights by kernel distance to training images are kept; the test split is only measured by `zoo evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Adam

from zoo.data.batch import ArrayBatches, to_float
from zoo.data.source import Source
from zoo.errors import InputError
from zoo.metrics.classifier import train_classifier
from zoo.metrics.features import Features
from zoo.metrics.suites import class_accuracies, sample_distances
from zoo.model import Generator
from zoo.models.cdcgan import CDCGAN
from zoo.registry.facts import Metric
from zoo.tasks.privacy import compared
from zoo.training.discriminators import Discriminator
from zoo.training.generation import Generation
from zoo.training.objective import TrainableNetwork
from zoo.training.schedules import constant_then_linear


def mnist(
    data: Source,
    features: Features,
    *,
    size: int = 28,
    channels: int = 1,
    width: int = 48,
    latent: int = 64,
    d_width: int = 48,
    lr: float = 3e-4,
    batch_size: int = 64,
    steps: int = 8_000,
) -> Generation:
    """28 px, ten classes. A quarter of an hour on two cores."""
    images = data.images(size, channels, least=batch_size)
    torch.manual_seed(0)
    classes = len(images.classes)
    config = {"classes": classes, "size": size, "channels": channels, "width": width, "latent": latent}
    g = CDCGAN(**config)
    d = Discriminator(size, channels, d_width, halvings=(size - 1).bit_length() - 2, classes=classes)
    g.init_weights()
    schedule = constant_then_linear(steps)
    return Generation(
        config,
        TrainableNetwork(g, Adam(g.parameters(), lr, betas=(0.0, 0.99)), schedule),
        TrainableNetwork(d, Adam(d.parameters(), 2 * lr, betas=(0.0, 0.99)), schedule),
        ArrayBatches(images.roles),
        features=features.at(96, fast=True),
        condition="digit",
        classes=images.classes,
        batch_size=batch_size,
        steps=steps,
        eval_every=min(1_000, max(1, steps // 20)),
    )


def evaluate(model: Generator, data: Source, features: Sequence[Features]) -> list[Metric]:
    """Whether samples are of the class that was asked for; distances to the test split, as for dcgan; and privacy."""
    assert model.entry
    size, channels = model.entry.output.size, model.entry.output.channels or 3
    train, test = data.images(size, channels), data.images(size, channels, split="test")
    kinds = next((c.choices for c in model.entry.conditions if c.name == "digit"), ())
    if train.labels is None or test.labels is None or len(train.classes) != len(kinds):
        raise InputError(
            f"{model.entry.name} makes images of {len(kinds)} classes and the data have {len(train.classes)}: give "
            "data of the same classes."
        )
    classifier = train_classifier(to_float(train.x), train.labels)
    n = 10_000
    asked = torch.arange(n) % len(kinds)
    samples = model.generate(n, seed=0, digit=[kinds[i] for i in asked.tolist()]).tensor * 2 - 1
    row: dict[str, Any] = {"split": data.called("test"), "seed": 0}
    drawn = model.generate(min(n, len(test.x), len(train.x)), seed=0).tensor * 2 - 1  # of classes as the noise has them
    return [
        *class_accuracies(samples, asked, classifier, (to_float(test.x), test.labels), **row),
        *sample_distances(drawn, to_float(train.x), to_float(test.x), features, **row),
        *(compared(model, train, test).rows(**row) if row["split"] == "test" else ()),
    ]
