"""How the checkpoint of biggan was trained: hinge loss, class-conditional D, differentiable augmentation.

    zoo train biggan.flowers --data flowers.zip --out runs/flowers

The best weights by kernel distance to training images are kept; the test split is only measured by `zoo evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam

from zoo.data.batch import ArrayBatches
from zoo.data.source import Source
from zoo.errors import check_doubled
from zoo.metrics.features import Features
from zoo.metrics.suites import kind_metrics, of_classes, sample_distances, truncation_curve
from zoo.model import Generator
from zoo.models.biggan import BigGAN
from zoo.registry.facts import Metric
from zoo.tasks.privacy import compared
from zoo.training.discriminators import ProjectedDiscriminator
from zoo.training.objective import TrainableNetwork
from zoo.training.schedules import constant_then_linear
from zoo.training.truncated import Truncated

TRUNCATIONS = (0.25, 0.5, 0.75, 1.0)  # whose fidelity and diversity are measured


def flowers(
    data: Source,
    features: Features,
    *,
    size: int = 64,
    channels: int = 3,
    latent: int = 20,
    width: int = 24,
    most: int = 256,
    sets: int = 5,
    d_width: int = 48,
    seen: int = 80,
    augment: str = "flip,color,translation",
    checkerboard_weight: float = 10.0,
    orthogonal_weight: float = 1e-4,
    lr: float = 4e-4,
    batch_size: int = 24,
    steps: int = 11_000,
) -> Truncated:
    """64 px, or any power of two from 8, from few photos in folders of classes. Two hours on one core with bfloat16.

    D sees images through a network that has seen many and at its pixels, with the class projected in each of its
    scores. In the last fifth the learning rates start again at one half, and checkerboard energy beyond that of the
    data adds to the loss. The metric that the best weights are chosen by was 0.44 after 2,750 steps, 0.27 after 5,500,
    0.25 after 8,250, which are the checkpoint, and 0.27 at the end.

    With embeddings of classes drawn from a standard normal distribution, and a bias behind the first layer, all samples
    of a class were one image after 820 steps: the metric that the best weights are chosen by stood at 3.3 then, and at
    2.4 after 500 steps as it is now. Statistics of each truncation are better than one set for all: at 0.8, of the
    checkpoint after 3,375 steps, 250 samples had a kernel distance of 0.56 to training photos with, and of 0.95
    without; at 1, where both are the same, 0.61.

    ``width`` is the number of channels of G's maps at full size; each level below has twice as many, up to ``most``.
    ``sets`` are those of statistics, as in ``zoo.models.biggan.TruncatedNorm``.
    """
    check_doubled("size", size)
    images = data.images(size, channels, least=batch_size)
    torch.manual_seed(0)
    classes = len(images.classes)
    widths = [min(most, width << i) for i in reversed(range(size.bit_length() - 2))]
    config: dict[str, Any] = {
        "classes": classes,
        "channels": channels,
        "latent": latent,
        "widths": widths,
        "sets": sets,
    }
    g = BigGAN(**config)
    d = ProjectedDiscriminator(features, size, d_width, seen, channels, classes)
    g.init_weights()
    final_steps = steps // 5
    schedule = constant_then_linear(steps, final_steps)
    return Truncated(
        config,
        TrainableNetwork(g, Adam(g.parameters(), lr, betas=(0.0, 0.99)), schedule),
        TrainableNetwork(d, Adam(d.parameters(), lr, betas=(0.0, 0.99)), schedule),
        ArrayBatches(images.roles),
        features=features.at(96, fast=True),
        augment=augment,
        checkerboard_weight=checkerboard_weight,
        final_steps=final_steps,
        orthogonal_weight=orthogonal_weight,
        condition="kind",
        classes=images.classes,
        n_samples=1_000,
        batchnorm_samples=400,
        batch_size=batch_size,
        steps=steps,
        eval_every=max(1, steps // 4),
    )


def evaluate(model: Generator, data: Source, features: Sequence[Features]) -> list[Metric]:
    """Distances to the test split; whether samples are of the kind asked for; fidelity and diversity; and privacy."""
    assert model.entry
    size, channels = model.entry.output.size, model.entry.output.channels or 3
    train_set, test_set = (data.images(size, channels, split=split) for split in ("train", "test"))
    kinds, (train, test) = of_classes(model.entry, "kind", train_set, test_set)
    n = min(10_000, len(test_set.x), len(train_set.x))

    def generate(n: int, truncation: float = 1.0) -> Tensor:  # of classes as the noise has them
        drawn: Tensor = model.generate(n, seed=0, truncation=truncation).tensor * 2 - 1
        return drawn

    row: dict[str, Any] = {"split": data.called("test"), "seed": 0}
    rows = sample_distances(generate(n), train[0], test[0], features, **row)
    asked = torch.arange(100 * len(kinds)) % len(kinds)
    samples = model.generate(len(asked), seed=0, kind=[kinds[i] for i in asked.tolist()]).tensor * 2 - 1
    rows += kind_metrics(samples, asked, train, test, features, **row)
    rows += truncation_curve(generate, TRUNCATIONS, min(n, 250), train[0], test[0], features, **row)
    if row["split"] == "test":
        rows += compared(model, train_set, test_set, n=2_000).rows(**row)
    return rows
