"""How the checkpoint of gan was trained: two perceptrons, the loss of the first GAN, an R1 penalty on D.

    zoo train gan.mnist --data mnist.npz.xz --out runs/gan

The best weights by kernel distance to training images are kept; the test split is only measured by `zoo evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Adam

from zoo.data.batch import ArrayBatches, to_float
from zoo.data.source import Source
from zoo.metrics.features import Features
from zoo.metrics.suites import class_shares, sample_distances
from zoo.model import Generator
from zoo.models.gan import GAN
from zoo.registry.facts import Metric
from zoo.tasks.privacy import compared
from zoo.training.discriminators import PerceptronDiscriminator
from zoo.training.generation import Generation
from zoo.training.objective import TrainableNetwork
from zoo.training.schedules import constant_then_linear


def mnist(
    data: Source,
    features: Features,
    *,
    size: int = 28,
    channels: int = 1,
    width: int = 512,
    latent: int = 64,
    d_width: int = 512,
    spectral_norm: bool = False,
    loss: str = "vanilla",
    r1: float = 0.5,
    augment: str = "shift",
    lr: float = 5e-4,
    batch_size: int = 128,
    steps: int = 16_000,
) -> Generation:
    """28 px; the learning rates are constant for half the run, then linear to zero. 26 minutes on one core without AMX.

    The known fault of perceptrons are specks. G begins with the mean of the data, where the edges are black. Adam
    divides by the size of a gradient, so that noise would move the weights of pixels that are always black: its eps is
    as large as their gradients. And D sees images shifted, so that it cannot learn single pixels by heart.

    ``spectral_norm=yes``, ``r1=0`` and ``loss=hinge`` bound D in another way, to compare.
    """
    images = data.images(size, channels, least=batch_size)
    torch.manual_seed(0)
    config: dict[str, Any] = {"size": size, "channels": channels, "widths": [width // 2, width], "latent": latent}
    g = GAN(**config)
    g.start_at(to_float(images.x).mean(0))
    d = PerceptronDiscriminator(size, channels, (d_width, d_width // 2), norm=spectral_norm)
    schedule = constant_then_linear(steps)
    return Generation(
        config,
        TrainableNetwork(g, Adam(g.parameters(), lr, betas=(0.0, 0.99), eps=1e-6, fused=True), schedule),
        TrainableNetwork(d, Adam(d.parameters(), lr, betas=(0.0, 0.99), eps=1e-6, fused=True), schedule),
        ArrayBatches({"target": images.x}),
        features=features.at(96, fast=True),
        loss=loss,
        r1=r1,
        augment=augment,
        batch_size=batch_size,
        steps=steps,
        eval_every=max(1, steps // 16),
    )


def evaluate(model: Generator, data: Source, features: Sequence[Features]) -> list[Metric]:
    """Distances of samples to the test split, which classes are there, and whether training images are remembered."""
    assert model.entry
    size, channels = model.entry.output.size, model.entry.output.channels or 3
    train, test = data.images(size, channels), data.images(size, channels, split="test")
    row: dict[str, Any] = {"split": data.called("test"), "seed": 0}
    samples = model.generate(min(2_500, len(test.x), len(train.x)), seed=0).tensor * 2 - 1
    rows = sample_distances(samples, to_float(train.x), to_float(test.x), features, **row)
    if train.labels is not None and test.labels is not None:
        labelled = (to_float(train.x), train.labels), (to_float(test.x), test.labels)
        rows += class_shares(samples, *labelled, train.classes, **row)
    if row["split"] == "test":
        rows += compared(model, train, test).rows(**row)
    return rows
