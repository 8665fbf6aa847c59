"""How the checkpoints of conv-ae were trained: mean squared error, one-cycle Adam, an EMA of the weights.

    zoo train conv-ae.flowers --data flowers.zip --out runs/flowers
    zoo train conv-ae.fashion-mnist --data fashion_mnist.npz.xz --out runs/fashion

The best weights by the error on images held out of the training split are kept; the test split is only measured by
`zoo evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import AdamW

import zoo
from zoo.data.batch import ArrayBatches, held_out, to_float
from zoo.data.source import Source
from zoo.metrics.baselines import error_of, fitted_pca
from zoo.metrics.features import Features
from zoo.metrics.retrieval import retrieval_precision
from zoo.model import Autoencoder
from zoo.models.conv_ae import ConvAE
from zoo.registry.facts import Metric
from zoo.tasks.neighbours import compared, metric_of
from zoo.training.objective import TrainableNetwork
from zoo.training.reconstruction import Reconstruction
from zoo.training.schedules import one_cycle


def fashion_mnist(
    data: Source,
    *,
    size: int = 28,
    channels: int = 1,
    code: int = 32,
    lr: float = 2e-3,
    batch_size: int = 128,
    steps: int = 3_000,
) -> Reconstruction:
    """28 px, a code of 32 numbers; a thousand images of the training split are held out.

    Ten minutes on two cores with AMX, 15 without.
    """
    x = data.images(size, channels, least=2 * batch_size).x
    x = x[np.random.default_rng(0).permutation(len(x))]
    rest = len(x) - min(1000, max(1, len(x) // 10))
    config = {"size": size, "channels": channels, "code": code, "patch": 2, "widths": [64, 128]}
    return _compression(config, ArrayBatches({"target": x[:rest]}), x[rest:], lr, batch_size=batch_size, steps=steps)


def flowers(
    data: Source,
    *,
    size: int = 64,
    channels: int = 3,
    code: int = 256,
    lr: float = 1e-3,
    batch_size: int = 64,
    steps: int = 8_000,
) -> Reconstruction:
    """64 px, a code of 256 numbers; every 20th photo of the training split is held out.

    2,000 photos are few, so every batch is cropped, turned and recoloured anew out of photos of twice the size. 25
    minutes on two cores with AMX, 50 without.
    """
    x = data.images(2 * size, channels, least=2 * batch_size).x
    out = held_out(len(x))
    config = {"size": size, "channels": channels, "code": code, "patch": 4, "widths": [96, 96, 64]}
    small = F.avg_pool2d(x[out].float(), 2).round().byte()
    train = ArrayBatches({"target": x[~out]}, lambda batch: {"target": crops(batch["target"])})
    return _compression(config, train, small, lr, batch_size=batch_size, steps=steps, passes=5)


def _compression(
    config: dict[str, Any],
    train: ArrayBatches,
    held_out: Tensor,
    lr: float,
    *,
    batch_size: int,
    steps: int,
    passes: int = 1,
) -> Reconstruction:
    """A network that starts at PCA of ``passes`` views of the images."""
    torch.manual_seed(0)
    network = ConvAE(**config)
    rows = torch.arange(min(len(train), 10_000)).split(500)
    network.start_at_pca(torch.cat([train.at(some)["target"] for some in rows for _ in range(passes)]))
    return Reconstruction(
        config,
        TrainableNetwork(
            network.train(),
            AdamW(network.parameters(), lr, weight_decay=1e-2),
            one_cycle(lr, steps),
            clip=1.0,
        ),
        train,
        ArrayBatches({"target": held_out}),
        batch_size=batch_size,
        steps=steps,
    )


def crops(photos: Tensor) -> Tensor:
    """Random views ``(N, C, H, W)`` of photos ``(N, C, 2 * H, 2 * W)``, in [-1, 1]: cropped, turned and recoloured."""
    n = len(photos)
    side = torch.empty(n).uniform_(0.6, 1.0)  # of the photo's width
    angle = torch.empty(n).uniform_(-0.3, 0.3) + torch.randint(4, (n,)) * (torch.pi / 2) * (torch.rand(n) < 0.25)
    flip = torch.where(torch.rand(n) < 0.5, 1.0, -1.0)
    room = 1 - side
    matrix = torch.zeros(n, 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = side * angle.cos() * flip, -side * angle.sin()
    matrix[:, 1, 0], matrix[:, 1, 1] = side * angle.sin() * flip, side * angle.cos()
    matrix[:, :, 2] = torch.empty(n, 2).uniform_(-1, 1) * room[:, None]
    # Drawn at the full size and averaged down, so that no crop is aliased.
    grid = F.affine_grid(matrix, list(photos.shape), align_corners=False)
    views = F.grid_sample(photos, grid, padding_mode="reflection", align_corners=False)
    views = F.avg_pool2d(views, 2)
    channels = photos.shape[1]
    gain = torch.empty(n, channels, 1, 1).uniform_(0.8, 1.2)
    shift = torch.empty(n, channels, 1, 1).uniform_(-0.1, 0.1)
    return (views * gain + shift).clamp(-1, 1)


@torch.inference_mode()
def evaluate(model: Autoencoder, data: Source, features: Sequence[Features] = ()) -> list[Metric]:
    """The error on the test split, beside that of PCA with as many numbers; and how well the code finds a class."""
    assert model.entry
    size, channels = model.entry.output.size, model.entry.output.channels or 3
    train, test = (data.images(size, channels, split=split) for split in ("train", "test"))
    pixels = [one.x.permute(0, 2, 3, 1).numpy() for one in (train, test)]
    images = zoo.Images.of(pixels[1])
    error = float(np.mean((model.reconstruct(images).numpy() - images.numpy()) ** 2))
    flat_train, flat_test = (x.reshape(len(x), -1).astype(np.float32) / 255 for x in pixels)
    pca = fitted_pca(flat_train, model.entry.config["code"])
    row: dict[str, Any] = {"split": data.called("test"), "n": len(test.x)}
    rows = [
        Metric("mse", round(error, 5), protocol="mse", baselines={"pca": round(error_of(pca, flat_test), 5)}, **row)
    ]
    if train.labels is None or test.labels is None:
        return rows
    codes = [torch.cat([model.encode(to_float(x)) for x in one.x.split(250)]).numpy() for one in (train, test)]
    seen = {"": codes, "pixels": [flat_train, flat_test], "pca": [pca.transform(x) for x in (flat_train, flat_test)]}
    for extractor in features:
        name = extractor.id.replace("-", "_")
        seen[name] = [extractor.at(96)(to_float(one.x)).float().numpy() for one in (train, test)]
    labels = [one.labels.numpy() for one in (train, test) if one.labels is not None]
    shares, metric = {}, metric_of(model.entry)
    for name, arrays in seen.items():
        fit = compared(arrays[0], metric)
        found, query = map(fit.transformed, arrays)
        shares[name] = round(retrieval_precision(query, labels[1], found, labels[0]), 4)
    value = shares.pop("")
    settings = {} if metric == "cosine" else {"metric": metric}
    return [*rows, Metric("precision", value, protocol="precision-10", baselines=shares, settings=settings, **row)]
