"""How icgan is trained: copies with their own attributes, and edits with those of other images.

    zoo train icgan.avatars --data avatars_values.npz --out runs/icgan

Attributes with several values stand in the data as one column of 0 and 1 for each value, called ``hair_color=blond``.
The best weights by error of copies and attributes of edits on held-out images are kept; the test split is only measured
by `zoo evaluate`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam

import zoo
from zoo.data.batch import ArrayBatches, to_float
from zoo.data.source import Source
from zoo.errors import InputError
from zoo.metrics.attributes import edit_metrics, values_of
from zoo.metrics.baselines import pca_error
from zoo.metrics.features import Features
from zoo.models.icgan import IcGAN
from zoo.registry.facts import Metric
from zoo.training.discriminators import FeatureDiscriminator
from zoo.training.editing import Editing
from zoo.training.objective import TrainableNetwork
from zoo.training.schedules import constant_then_linear


def avatars(
    data: Source,
    features: Features,
    *,
    size: int = 64,
    channels: int = 3,
    latent: int = 32,
    width: int = 48,
    widest: int = 96,
    encoder_width: int = 32,
    d_width: int = 48,
    adversarial_weight: float = 0.03,
    attribute_weight: float = 0.3,
    divergence_weight: float = 40.0,
    adversarial_begin: float = 0.4,
    augment: str = "",
    lr: float = 1e-3,
    batch_size: int = 16,
    steps: int = 6_000,
) -> Editing:
    """64 px, a code of 32 numbers beside the attributes that the data name; 500 images are held out.

    D sees edits, through the feature extractor, from ``adversarial_begin`` of the steps on. 43 minutes on one core of a
    CPU with AVX-512.
    """
    images = data.images(size, channels, least=2 * batch_size)
    names, labels = values_of(images)
    order = np.random.default_rng(0).permutation(len(images.x))
    rest = len(order) - min(500, max(1, len(order) // 10))
    roles = {"target": images.x[order], "label": labels[order]}
    flat = roles["target"].flatten(1).numpy().astype(np.float32) / 255
    levels = min(4, size.bit_length() - 2)
    config: dict[str, Any] = {
        "values": {name: len(words) for name, words in names.items()},
        "size": size,
        "channels": channels,
        "latent": latent,
        "widths": [min(width << i, widest) for i in range(levels)],
        "encoder_widths": [min(encoder_width << i, widest) for i in range(levels)],
    }
    torch.manual_seed(0)
    network = IcGAN(**config)
    d = FeatureDiscriminator(features, d_width)
    begin = int(adversarial_begin * steps)
    return Editing(
        config,
        TrainableNetwork(network, Adam(network.parameters(), lr, betas=(0.5, 0.99)), constant_then_linear(steps)),
        TrainableNetwork(d, Adam(d.parameters(), lr, betas=(0.0, 0.99)), constant_then_linear(steps - begin)),
        ArrayBatches({role: x[:rest] for role, x in roles.items()}),
        ArrayBatches({role: x[rest:] for role, x in roles.items()}),
        names=names,
        pca=pca_error(flat[:rest], flat[rest:], network.code),
        adversarial_weight=adversarial_weight,
        attribute_weight=attribute_weight,
        divergence_weight=divergence_weight,
        adversarial_begin=begin,
        augment=augment,
        batch_size=batch_size,
        steps=steps,
        eval_every=max(1, steps // 6),
        ema_decay=0.995,  # which forgets the first steps of a short run, too
    )


@torch.no_grad()
def evaluate(model: IcGAN, data: Source, *, n_edited: int = 1_200) -> list[Metric]:
    """Edits of test images by a classifier of attributes; error of copies, beside PCA with as many numbers."""
    assert model.entry
    size, channels = model.entry.output.size, model.entry.output.channels or 3
    train, test = (data.images(size, channels, split=split) for split in ("train", "test"))
    (names, labels), (test_names, test_labels) = values_of(train), values_of(test)
    wanted = {condition.name: tuple(map(str, condition.choices)) for condition in model.entry.conditions}
    if not names == test_names == wanted:
        raise InputError(f"{model.entry.name} has other attributes than the data: give data with {', '.join(wanted)}.")
    row: dict[str, Any] = {"split": data.called("test")}
    images = zoo.Images.of(test.x.permute(0, 2, 3, 1).numpy())
    error = float(np.mean((model.reconstruct(images).numpy() - images.numpy()) ** 2))
    flat, flat_test = (x.permute(0, 2, 3, 1).flatten(1).numpy().astype(np.float32) / 255 for x in (train.x, test.x))
    baselines = {"pca": round(pca_error(flat, flat_test, model.code), 5)}
    some, some_labels = to_float(test.x[:n_edited]), test_labels[:n_edited]
    codes = torch.cat([model.encode(x) for x in some.split(250)])

    def edited(number: int, values: Tensor) -> Tensor:
        name = list(names)[number]
        parts = zip(codes.split(250), values.split(250), strict=True)
        return torch.cat([model.decode(z, **{name: value}) for z, value in parts])

    copies = torch.cat([model.decode(z) for z in codes.split(250)])
    return [
        *edit_metrics(to_float(train.x), labels, some, some_labels, copies, edited, names, **row),
        Metric("mse", round(error, 5), protocol="mse", n=len(test.x), baselines=baselines, **row),
    ]
