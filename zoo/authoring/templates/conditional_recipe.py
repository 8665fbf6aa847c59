"""How the checkpoint was trained: `zoo train starry --data images/ --out run`.

The images of each class lie in a folder of their own.
"""

from __future__ import annotations

import torch
from torch.optim import Adam
from zoo.data.batch import ArrayBatches
from zoo.data.source import Source
from zoo.metrics.features import Features
from zoo.training.discriminators import Discriminator
from zoo.training.generation import Generation
from zoo.training.objective import TrainableNetwork
from zoo.training.schedules import constant_then_linear

from zoo_starry.network import Starry


def train(
    data: Source, features: Features, *, size: int = 32, lr: float = 3e-4, batch_size: int = 64, steps: int = 20_000
) -> Generation:
    """Every keyword is a setting of the command: `--set steps=100`."""
    images = data.images(size, least=batch_size)
    torch.manual_seed(0)
    classes = len(images.classes)
    g, d = Starry(size, classes), Discriminator(size, 3, classes=classes)
    return Generation(
        {"size": size, "classes": classes},
        TrainableNetwork(g, Adam(g.parameters(), lr, betas=(0.0, 0.99)), constant_then_linear(steps)),
        TrainableNetwork(d, Adam(d.parameters(), 2 * lr, betas=(0.0, 0.99)), constant_then_linear(steps)),
        ArrayBatches(images.roles),
        features=features.at(96, fast=True),
        condition="label",
        classes=images.classes,
        augment="flip,color,translation",
        batch_size=batch_size,
        steps=steps,
    )
