"""How the checkpoints of cyclegan were trained: two networks, there and back, one run for both.

    zoo train cyclegan --data monet2photo.zip/train/photo monet2photo.zip/train/monet --out runs/monet

The folder of the run is the network from the first kind to the second, its folder `reverse` the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Adam

import zoo
from zoo.entry import Metric
from zoo.evaluation import Features, frechet_distance, kernel_distance, rounded
from zoo.images import Images
from zoo.model import Model
from zoo.models.conv_ae import zeroed
from zoo.models.cyclegan import CycleGAN
from zoo.registry import registry
from zoo.training.cycle import Cycle
from zoo.training.data import Source, held_out, to_float
from zoo.training.networks import PatchDiscriminator
from zoo.training.objective import Learner, falling


def photo2monet(
    data: Source,
    features: Features,
    *,
    size: int = 128,
    width: int = 32,
    blocks: int = 6,
    d_width: int = 48,
    cycle: float = 1.0,
    identity: float = 0.5,
    augment: str = "translation",
    rate: float = 2e-4,
    d_rate: float = 8e-4,
    batch: int = 1,
    steps: int = 8_000,
) -> Cycle:
    """128 px, from photos to paintings, and back; every 10th picture of both is held out. 45 minutes on two cores.

    The last convolutions start at zero, and so both networks at pictures that do not change.
    """
    a, b = data.domains(size, least=10 * batch)
    rows_a, rows_b = (held_out(len(x.x), 10) for x in (a, b))
    torch.manual_seed(0)
    config: dict[str, Any] = {"channels": 3, "width": width, "blocks": blocks, "resize": True, "over_input": True}
    forth, back = CycleGAN(**config), CycleGAN(**config)
    for network in (forth, back):
        zeroed(network.model[-2])
    d_a, d_b = PatchDiscriminator(3, d_width), PatchDiscriminator(3, d_width)

    def learner(network: nn.Module, rate: float) -> Learner:
        return Learner(network, Adam(network.parameters(), rate, betas=(0.5, 0.999)), falling(steps))

    return Cycle(
        config,
        learner(forth, rate),
        learner(back, rate),
        learner(d_a, d_rate),
        learner(d_b, d_rate),
        a.take(~rows_a),
        b.take(~rows_b),
        (a.x[rows_a], b.x[rows_b]),
        features=features.at(128, fast=True),
        cycle=cycle,
        identity=identity,
        policy=augment,
        shift=size // 8,
        batch=batch,
        steps=steps,
    )


def evaluate(model: Model, data: Source, features: Features, *, size: int = 128) -> list[Metric]:
    """How near translated pictures are to real ones of the other kind, beside what they were before; the cycle's error.

    The data are pictures to translate, and real ones of the other kind.
    """
    a, b = data.domains(size, split="test", least=2)
    before = a.x.numpy().astype(np.float32) / 255
    made = model.reconstruct(Images(list(before)))
    real = features(to_float(b.x))
    found = {
        "": features(rounded(torch.from_numpy(made.numpy()) * 2 - 1)),
        " of the inputs": features(torch.from_numpy(before) * 2 - 1),
    }
    frechet = {kind: frechet_distance(x, real) for kind, x in found.items()}
    kernel = {kind: kernel_distance(x, real) for kind, x in found.items()}
    shared = f"{len(made)} pictures of {size} px, 8 bits, against {len(b.x)} real ones of the other kind"
    metrics = [
        Metric("FID over the inputs'", round(frechet[""] / frechet[" of the inputs"], 3), "the next two, divided")
    ]
    for kind in found:
        protocol = f"Frechet distance, {shared}, {features.protocol}"
        metrics.append(Metric(f"FID{kind}", round(frechet[kind], 2), protocol))
    for kind in found:
        protocol = f"unbiased, kernel (x.y / d + 1) ** 3, {shared}, likewise"
        metrics.append(Metric(f"KID{kind}", round(kernel[kind], 4), protocol))
    name = _way_back(model)
    if name:
        error = float(np.abs(zoo.load(name).reconstruct(made).numpy() - before).mean())
        protocol = f"mean absolute error of the {len(made)} pictures after {name}, pixels in [0, 1]"
        metrics.append(Metric("cycle L1", round(error, 4), protocol))
    return metrics


def _way_back(model: Model) -> str:
    """The checkpoint that goes the other way, if there is one: ``a2b`` and ``b2a``."""
    if not model.entry:
        return ""
    name = f"{model.entry.model}.{'2'.join(reversed(model.entry.checkpoint.split('2')))}"
    return name if name in registry().entries and name != model.entry.name else ""
