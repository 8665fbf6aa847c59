"""How the checkpoint was trained: `zoo train starry --data images/ --out run`."""

from __future__ import annotations

import torch
from torch.optim import Adam
from zoo.data.batch import ArrayBatches, held_out
from zoo.data.source import Source
from zoo.training.objective import TrainableNetwork
from zoo.training.reconstruction import Reconstruction
from zoo.training.schedules import cosine

from zoo_starry.network import Starry


def train(
    data: Source, *, size: int = 32, lr: float = 1e-3, batch_size: int = 64, steps: int = 5_000
) -> Reconstruction:
    """Every keyword is a setting of the command: `--set steps=100`."""
    x = data.images(size, least=2 * batch_size).x
    out = held_out(len(x))
    torch.manual_seed(0)
    network = Starry(size)
    return Reconstruction(
        {"size": size},
        TrainableNetwork(network, Adam(network.parameters(), lr), cosine(steps)),
        ArrayBatches({"target": x[~out]}),
        ArrayBatches({"target": x[out]}),
        batch_size=batch_size,
        steps=steps,
    )
