"""How the checkpoints of srgan were trained: by L1 first, then against D with a perceptual loss.

    zoo train srgan.x4-mse --data sr_photos.zip/BSD_train200 --out runs/mse
    zoo train srgan.x4 --data sr_photos.zip/BSD_train200 --out runs/x4

Every 20th photo is held out, to choose the best weights by; Set5, Set14 and BSD100 are only measured by `zoo evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import compress
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam

import zoo
from zoo.data.batch import Batch, held_out, to_float
from zoo.data.degrade import downscale
from zoo.data.patches import PatchBatches, degraded_pair
from zoo.data.source import Source
from zoo.errors import InputError
from zoo.metrics.features import Features
from zoo.metrics.fidelity import luma, perceptual_distance, psnr, rounded, ssim
from zoo.model import Model
from zoo.models.blocks import ResidualBlock, zeroed
from zoo.models.srgan import SRGAN
from zoo.registry.facts import Metric
from zoo.training.discriminators import Discriminator
from zoo.training.objective import TrainableNetwork
from zoo.training.schedules import cosine
from zoo.training.selection import PSNR, PerceptualDistance
from zoo.training.terms import L1, Adversarial, Checkerboard, Perceptual
from zoo.training.translation import Translation


def x4_mse(
    data: Source,
    *,
    scale: int = 4,
    width: int = 64,
    blocks: int = 16,
    patch: int = 32,
    lr: float = 5e-4,
    batch_size: int = 16,
    steps: int = 14_000,
) -> Translation:
    """SRResNet without batch norm, what it adds to bilinear enlargement, by L1. 70 minutes on two cores.

    The last convolution, and that of every block, start at zero: so does the network, at bilinear enlargement.
    """
    torch.manual_seed(0)
    config: dict[str, Any] = {
        "scale": scale,
        "width": width,
        "blocks": blocks,
        "norm": None,
        "kernel": 3,
        "slope": 0.2,
        "over_bilinear": True,
    }
    network = SRGAN(**config)
    for layer in (network.tail, *(block.conv2 for block in network.blocks if isinstance(block, ResidualBlock))):
        zeroed(layer)
    return Translation(
        config,
        TrainableNetwork(network, Adam(network.parameters(), lr, betas=(0.9, 0.99)), cosine(steps), clip=1.0),
        *_photos(data, scale, patch),
        terms=[L1(1)],
        selection=PSNR(scale),
        batch_size=batch_size,
        steps=steps,
        eval_every=min(500, max(1, steps // 25)),
    )


def x4(
    data: Source,
    features: Features,
    *,
    start: str = "srgan.x4-mse",
    d_width: int = 32,
    patch: int = 24,
    l1_weight: float = 1.0,
    checkerboard_weight: float = 5.0,
    perceptual_weight: float = 0.005,
    adversarial_weight: float = 0.005,
    lr: float = 1e-4,
    batch_size: int = 16,
    steps: int = 2_000,
) -> Translation:
    """From a network that was trained by L1 (``start``): details that L1 averages away, made up plausibly.

    A quarter of an hour on two cores.
    """
    network = zoo.load(start).requires_grad_(True).train()
    if not isinstance(network, SRGAN) or not network.entry:
        raise InputError(
            f"start={start} is no srgan: name a checkpoint of srgan, or local-dir: and the folder of a run."
        )
    torch.manual_seed(0)
    scale = network.scale
    d = Discriminator(patch * scale, 3, d_width, halvings=(patch * scale).bit_length() - 3)
    adversary = TrainableNetwork(d, Adam(d.parameters(), 2 * lr, betas=(0.5, 0.99)), cosine(steps))
    terms = [
        L1(l1_weight),
        Checkerboard(checkerboard_weight, block=scale),
        Perceptual(features, perceptual_weight, roll=scale),
        Adversarial(adversary, adversarial_weight, roll=scale),
    ]
    return Translation(
        network.entry.config,
        TrainableNetwork(network, Adam(network.parameters(), lr, betas=(0.9, 0.99)), cosine(steps), clip=1.0),
        *_photos(data, scale, patch),
        terms=[term for term in terms if term.weight],
        selection=PerceptualDistance(features, scale),
        batch_size=batch_size,
        steps=steps,
    )


def _photos(data: Source, scale: int, patch: int) -> tuple[PatchBatches, list[Batch]]:
    """Patches of photos to train on, and the photos held out."""
    photos = [x for _, x in data.photos(least=2)]
    out = held_out(len(photos))
    degrade = partial(downscale, scale=scale)
    train = PatchBatches(list(compress(photos, ~out)), degrade, scale=scale, patch=patch)
    pairs = [degraded_pair(photo, degrade, scale) for photo in compress(photos, out)]
    return train, [{"input": to_float(x)[None], "target": to_float(y)[None]} for x, y in pairs]


def evaluate(model: Model, data: Source, features: Sequence[Features]) -> list[Metric]:
    """PSNR, SSIM and perceptual distance of enlarged photos, and of bicubic enlargement.

    Data without splits are a test set, as Set5 is.
    """
    assert model.entry
    scale = model.entry.output.scale
    protocols = {"psnr-y": "psnr", "ssim-y": "ssim", "psnr-rgb": "psnr"}
    protocols |= {f"perceptual-{extractor.id}": "perceptual-distance" for extractor in features}
    prints = {f"perceptual-{extractor.id}": extractor.fingerprint for extractor in features}
    values: dict[tuple[str, str], list[float]] = {}  # of each photo, by protocol and way
    photos = data.photos(split="test")
    for _, photo in photos:
        small = downscale(photo, scale)
        target = photo[:, : small.shape[1] * scale, : small.shape[2] * scale]
        results = {
            "": torch.from_numpy(model.reconstruct(small.permute(1, 2, 0).numpy()).arrays[0]) * 2 - 1,
            "bicubic": to_float(_bicubic(small, scale)),
        }
        for way, image in results.items():
            both = torch.stack([rounded(image), to_float(target)])
            rgb = ((both.double() + 1) * 127.5)[..., scale:-scale, scale:-scale].split(1)
            y = [luma(x) for x in rgb]
            figures = {"psnr-y": psnr(*y), "ssim-y": ssim(*y), "psnr-rgb": psnr(*rgb)}
            for extractor in features:
                distance = perceptual_distance(both[:1], both[1:], extractor)
                figures[f"perceptual-{extractor.id}"] = float(distance)
            for name, value in figures.items():
                values.setdefault((name, way), []).append(value)

    def mean(name: str, way: str) -> float:
        return round(float(np.mean(values[name, way])), 2 if "psnr" in name else 4)

    return [
        Metric(
            metric,
            mean(name, ""),
            protocol=f"{name}-x{scale}",
            split="test",
            n=len(photos),
            baselines={"bicubic": mean(name, "bicubic")},
            features=prints.get(name, ""),
        )
        for name, metric in protocols.items()
    ]


def _bicubic(small: Tensor, scale: int) -> Tensor:
    """Pillow's bicubic enlargement, uint8 ``(C, H, W)``."""
    from PIL import Image

    image = Image.fromarray(small.permute(1, 2, 0).numpy())
    enlarged = image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(enlarged)).permute(2, 0, 1)
