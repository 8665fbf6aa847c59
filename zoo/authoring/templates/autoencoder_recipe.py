"""How the checkpoint was trained: `zoo train starry --data images/ --out run`."""

from __future__ import annotations

import torch
from torch.optim import Adam
from zoo.data.batch import held_out
from zoo.data.source import Source
from zoo.training.objective import Learner
from zoo.training.schedules import cosine
from zoo.training.reconstruction import Reconstruction
from zoo_starry.network import Starry


def train(data: Source, *, size: int = 32, rate: float = 1e-3, batch: int = 64, steps: int = 5_000) -> Reconstruction:
    """Every keyword is a setting of the command: `--set steps=100`."""
    x = data.images(size, least=2 * batch).x
    out = held_out(len(x))
    torch.manual_seed(0)
    network = Starry(size)
    return Reconstruction(
        {"size": size},
        Learner(network, Adam(network.parameters(), rate), cosine(steps)),
        x[~out],
        x[out],
        batch=batch,
        steps=steps,
    )
