"""How the checkpoint was trained: `zoo train starry --data images/ --out run`."""

from __future__ import annotations

import numpy as np
import torch
from torch.optim import Adam
from zoo.data.batch import ArrayBatches, held_out
from zoo.data.source import Source
from zoo.metrics.baselines import pca_error
from zoo.metrics.features import Features
from zoo.training.discriminators import Discriminator
from zoo.training.objective import TrainableNetwork
from zoo.training.schedules import constant_then_linear
from zoo.training.variational import Variational

from zoo_starry.network import Starry


def train(
    data: Source,
    features: Features,
    *,
    size: int = 32,
    code: int = 64,
    lr: float = 5e-4,
    batch_size: int = 64,
    steps: int = 10_000,
) -> Variational:
    """Every keyword is a setting of the command: `--set steps=100`."""
    x = data.images(size, least=2 * batch_size).x
    out = held_out(len(x))
    flat = x.flatten(1).numpy().astype(np.float32) / 255
    torch.manual_seed(0)
    network, d = Starry(size, code=code), Discriminator(size, 3, 32)
    adam = Adam(d.parameters(), lr, betas=(0.0, 0.99))
    return Variational(
        {"size": size, "code": code},
        TrainableNetwork(network, Adam(network.parameters(), lr, betas=(0.5, 0.99)), constant_then_linear(steps)),
        TrainableNetwork(d, adam, constant_then_linear(steps)),
        ArrayBatches({"target": x[~out]}),
        ArrayBatches({"target": x[out]}),
        pca=pca_error(flat[~out], flat[out], min(code, int((~out).sum()) - 1)),
        features=features.at(96),
        batch_size=batch_size,
        steps=steps,
    )
