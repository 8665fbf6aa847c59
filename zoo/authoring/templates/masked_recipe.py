"""How the checkpoint was trained: `zoo train starry --data images/ --out run`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Adam
from zoo.data.batch import ArrayBatches, Batch, held_out
from zoo.data.source import Source
from zoo.training.objective import TrainableNetwork
from zoo.training.schedules import cosine
from zoo.training.terms import L1
from zoo.training.translation import Translation

from zoo_starry.network import Starry


def train(
    data: Source, *, size: int = 64, width: int = 32, lr: float = 1e-3, batch_size: int = 16, steps: int = 10_000
) -> Translation:
    """Every keyword is a setting of the command: `--set steps=100`."""
    x = data.images(size, least=2 * batch_size).x
    out = held_out(len(x))
    torch.manual_seed(0)
    network = Starry(width)
    tests = ArrayBatches({"target": x[out], "mask": masks(x[out])}).singles()
    return Translation(
        {"width": width},
        TrainableNetwork(network, Adam(network.parameters(), lr), cosine(steps)),
        ArrayBatches({"target": x[~out], "mask": masks(x[~out])}, with_hole),
        [with_hole(batch, anew=False) for batch in tests],
        terms=[L1(1)],
        conditions=["mask"],
        batch_size=batch_size,
        steps=steps,
    )


def masks(x: Tensor) -> Tensor:
    """Draw a square hole in each of N images: uint8 ``(N, 1, H, W)``, 255 where to fill."""
    n, _, height, width = x.shape
    holes = torch.zeros(n, 1, height, width, dtype=torch.uint8)
    for hole in holes:
        top, left = (int(torch.randint(1 + side // 2, ())) for side in (height, width))
        hole[:, top : top + height // 2, left : left + width // 2] = 255
    return holes


def with_hole(batch: Batch, anew: bool = True) -> Batch:
    """Add the input to a batch: the target without what the mask marks; in training each time under a new mask."""
    target = batch["target"]
    mask = masks(target).to(target) / 255 if anew else batch["mask"]
    return {"input": target * (1 - mask), "target": target, "mask": mask}
