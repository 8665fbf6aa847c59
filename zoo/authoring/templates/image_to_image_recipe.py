"""How the checkpoint was trained: `zoo train starry --data before/ after/ --out run`.

The two images of a pair have the same name.
"""

from __future__ import annotations

import torch
from torch.optim import Adam
from zoo.data.batch import held_out
from zoo.data.source import Source
from zoo.training.discriminators import PatchDiscriminator
from zoo.training.objective import Learner
from zoo.training.schedules import falling
from zoo.training.paired import Paired
from zoo_starry.network import Starry


def train(
    data: Source, *, size: int = 64, width: int = 32, rate: float = 4e-4, batch: int = 16, steps: int = 10_000
) -> Paired:
    """Every keyword is a setting of the command: `--set steps=100`."""
    pairs = data.pairs(size, least=2 * batch)
    out = held_out(len(pairs.a))
    torch.manual_seed(0)
    g, d = Starry(width), PatchDiscriminator(6, 32, halvings=2)
    return Paired(
        {"width": width},
        Learner(g, Adam(g.parameters(), rate, betas=(0.5, 0.99)), falling(steps)),
        Learner(d, Adam(d.parameters(), rate, betas=(0.5, 0.99)), falling(steps)),
        pairs.take(~out),
        pairs.take(out),
        pixels=50.0,
        batch=batch,
        steps=steps,
    )
