"""How the checkpoints of conv-ae were trained: mean squared error, one-cycle Adam, an average of the weights.

    python -m zoo.recipes.conv_ae fashion-mnist --data fashion_mnist.npz.xz --out runs/conv-ae-fashion
    python -m zoo.recipes.conv_ae flowers --data flowers.zip --out runs/conv-ae-flowers

The best weights by the error on pictures held out of the training split are kept; the test split is only measured
at the end, with --measure.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from zoo.evaluation import pca_error
from zoo.models.conv_ae import ConvAE
from zoo.training import Average, Run, batch_indices, main, read_npz, read_zip, to_tensor


def train(
    network: ConvAE,
    pictures: Tensor,
    held_out: Tensor,
    augment: Callable[[Tensor], Tensor],
    out: Path,
    *,
    steps: int,
    batch: int,
    rate: float,
    minutes: float | None,
    passes: int = 1,
) -> None:
    """Train on ``pictures``, measure on ``held_out``; both ``(N, C, H, W)`` in [-1, 1]."""
    start_at_pca(network, torch.cat([augment(x) for x in pictures[:10_000].split(500) for _ in range(passes)]))
    network.to(memory_format=torch.channels_last)
    print("held out, at the start:", error(network.eval(), held_out))
    network.train()
    average = Average(network, 0.999)
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    parts = {"network": network, "average": average.network, "optimizer": optimizer, "schedule": schedule}
    run = Run(out, steps, parts, minutes)
    every = max(1, steps // 25)
    for step in run:
        x = augment(pictures[batch_indices(step, len(pictures), batch, seed=0)])
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            copies = network(x)
        loss = F.mse_loss(copies.float(), x)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        average.update(network, step)
        if (step + 1) % every == 0 or step + 1 == steps:
            run.keep_best(average.network, error(average.network, held_out), loss=loss.item() / 4)
            run.save()


def start_at_pca(network: ConvAE, pictures: Tensor) -> None:
    """Fit PCA to pictures at half size and start the network's linear path there."""
    pixels = F.avg_pool2d(pictures, 2).flatten(1)
    mean = pixels.mean(0)
    variances, vectors = torch.linalg.eigh(torch.cov(pixels.T.double()))
    best = slice(-network.linear_encoder.out_features, None)
    network.start_at_pca(mean, vectors[:, best].T.float(), variances[best].clamp(min=1e-6).sqrt().float())


@torch.inference_mode()
def error(network: nn.Module, pictures: Tensor) -> float:
    """Mean squared error of copies, for pixels in [0, 1]."""
    total = sum(float(F.mse_loss(network(x).clamp(-1, 1), x, reduction="sum")) for x in pictures.split(250))
    return total / 4 / pictures.numel()


def fashion_mnist(data: Path, out: Path, steps: int = 3_000, minutes: float | None = None) -> None:
    """28 px, a code of 32 numbers; 1,000 pictures of the training split are held out. Ten minutes on two cores."""
    x = read_npz(data)["x_train"]
    pictures = to_tensor(x[np.random.default_rng(0).permutation(len(x))])
    torch.manual_seed(0)
    network = ConvAE(size=28, channels=1, code=32, patch=2, widths=(64, 128))
    train(
        network,
        pictures[:-1000],
        pictures[-1000:],
        lambda x: x,
        out,
        steps=steps,
        batch=128,
        rate=2e-3,
        minutes=minutes,
    )


def flowers(data: Path, out: Path, steps: int = 8_000, minutes: float | None = None) -> None:
    """64 px, a code of 256 numbers; every 20th photo of the training split is held out. 25 minutes on two cores.

    2,000 photos are few, so every batch is cropped, turned and recoloured anew out of the 128 px photos.
    """
    names = flower_names(data, "train")
    held_out = set(names[::20])
    photos = torch.from_numpy(read_zip(data, [n for n in names if n not in held_out], 128).transpose(0, 3, 1, 2).copy())
    torch.manual_seed(0)
    network = ConvAE(size=64, channels=3, code=256, patch=4, widths=(96, 96, 64))
    check = to_tensor(read_zip(data, sorted(held_out), 64))
    train(network, photos, check, crops, out, steps=steps, batch=64, rate=1e-3, minutes=minutes, passes=5)


def flower_names(data: Path, split: str) -> list[str]:
    """Names of the photos of a split."""
    with zipfile.ZipFile(data) as file:
        rows = csv.DictReader(io.StringIO(file.read("labels.csv").decode()))
        return [row["file"] for row in rows if row["split"] == split]


def crops(photos: Tensor) -> Tensor:
    """Random views of uint8 photos ``(N, 3, 128, 128)``: ``(N, 3, 64, 64)`` in [-1, 1]."""
    n = len(photos)
    side = torch.empty(n).uniform_(0.6, 1.0)  # of the photo's width
    angle = torch.empty(n).uniform_(-0.3, 0.3) + torch.randint(4, (n,)) * (torch.pi / 2) * (torch.rand(n) < 0.25)
    flip = torch.where(torch.rand(n) < 0.5, 1.0, -1.0)
    room = 1 - side
    matrix = torch.zeros(n, 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = side * angle.cos() * flip, -side * angle.sin()
    matrix[:, 1, 0], matrix[:, 1, 1] = side * angle.sin() * flip, side * angle.cos()
    matrix[:, :, 2] = torch.empty(n, 2).uniform_(-1, 1) * room[:, None]
    # Drawn at 128 px and averaged down, so that no crop is aliased.
    grid = F.affine_grid(matrix, [n, 3, 128, 128], align_corners=False)
    views = F.grid_sample(photos.float() / 127.5 - 1, grid, padding_mode="reflection", align_corners=False)
    views = F.avg_pool2d(views, 2)
    gain = torch.empty(n, 3, 1, 1).uniform_(0.8, 1.2)
    shift = torch.empty(n, 3, 1, 1).uniform_(-0.1, 0.1)
    return (views * gain + shift).clamp(-1, 1)


def measure(name: str, train: np.ndarray, test: np.ndarray) -> None:
    """Print the error of a checkpoint in the zoo on test pictures, beside that of PCA with as many numbers.

    Args:
        name: of the checkpoint.
        train: uint8 ``(N, H, W)`` or ``(N, H, W, C)``, of the network's size; PCA is fitted to these.
        test: likewise.
    """
    copies = zoo.load(name).reconstruct(test).numpy()
    pictures = zoo.Images.of(test).numpy()
    found = float(np.mean((copies - pictures) ** 2))
    flat_train, flat_test = (x.reshape(len(x), -1).astype(np.float32) / 255 for x in (train, test))
    pca = pca_error(flat_train, flat_test, zoo.info(name).config["code"])
    print(f"{name}: error {found:.5f}, PCA {pca:.5f}, ratio {found / pca:.3f}")


def measure_fashion_mnist(data: Path) -> None:
    """The whole test split."""
    file = read_npz(data)
    measure("conv-ae.fashion-mnist", file["x_train"][..., None], file["x_test"][..., None])


def measure_flowers(data: Path) -> None:
    """The whole test split, averaged down from 128 to 64 px."""
    splits = [read_zip(data, flower_names(data, split), 64) for split in ("train", "test")]
    measure("conv-ae.flowers", *splits)


if __name__ == "__main__":
    main({"fashion-mnist": (fashion_mnist, measure_fashion_mnist), "flowers": (flowers, measure_flowers)}, __doc__)
