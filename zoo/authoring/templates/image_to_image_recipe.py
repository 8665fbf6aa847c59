"""How the checkpoint was trained: `zoo train starry --data before/ after/ --out run`.

The two images of a pair have the same name.
"""

from __future__ import annotations

from functools import partial

import torch
from torch.optim import Adam
from zoo.data.augment import views
from zoo.data.batch import ArrayBatches, held_out
from zoo.data.source import Source
from zoo.training.discriminators import PatchDiscriminator
from zoo.training.objective import TrainableNetwork
from zoo.training.schedules import constant_then_linear
from zoo.training.terms import L1, Adversarial
from zoo.training.translation import Translation

from zoo_starry.network import Starry


def train(
    data: Source, *, size: int = 64, width: int = 32, lr: float = 4e-4, batch_size: int = 16, steps: int = 10_000
) -> Translation:
    """Every keyword is a setting of the command: `--set steps=100`."""
    pairs = data.pairs(size, least=2 * batch_size)
    out = held_out(len(pairs.a))
    torch.manual_seed(0)
    g, d = Starry(width), PatchDiscriminator(6, 32, halvings=2)
    adversary = TrainableNetwork(d, Adam(d.parameters(), lr, betas=(0.5, 0.99)), constant_then_linear(steps))
    return Translation(
        {"width": width},
        TrainableNetwork(g, Adam(g.parameters(), lr, betas=(0.5, 0.99)), constant_then_linear(steps)),
        ArrayBatches(pairs.take(~out).roles, partial(views, shift=0, flip=True)),
        ArrayBatches(pairs.take(out).roles).singles(),
        terms=[Adversarial(adversary, conditional=True), L1(50)],
        batch_size=batch_size,
        steps=steps,
    )
