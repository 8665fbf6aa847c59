"""How the checkpoint was trained: `zoo train starry --data images/ --out run`.

The images of each class lie in a folder of their own.
"""

from __future__ import annotations

import torch
from torch.optim import Adam
from zoo.metrics.features import Features
from zoo.data.source import Source
from zoo.training.discriminators import Discriminator
from zoo.training.generation import Adversarial
from zoo.training.objective import Learner
from zoo.training.schedules import falling
from zoo_starry.network import Starry


def train(
    data: Source, features: Features, *, size: int = 32, rate: float = 3e-4, batch: int = 64, steps: int = 20_000
) -> Adversarial:
    """Every keyword is a setting of the command: `--set steps=100`."""
    images = data.images(size, least=batch)
    torch.manual_seed(0)
    classes = len(images.classes)
    g, d = Starry(size, classes), Discriminator(size, 3, classes=classes)
    return Adversarial(
        {"size": size, "classes": classes},
        Learner(g, Adam(g.parameters(), rate, betas=(0.0, 0.99)), falling(steps)),
        Learner(d, Adam(d.parameters(), 2 * rate, betas=(0.0, 0.99)), falling(steps)),
        images,
        features=features.at(96, fast=True),
        condition="label",
        policy="flip,color,translation",
        batch=batch,
        steps=steps,
    )
