"""Random views: of the data before a network sees them, and of what a discriminator sees, real and fake alike."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.batch import Batch
from zoo.errors import InputError


def views(batch: Batch, shift: int, flip: bool) -> Batch:
    """Random views of a batch: flipped, and moved by up to ``shift`` pixels; edges are mirrored outward.

    All images ``(N, C, H, W)`` of one sample move together, whatever their role; what has other axes stays.

    Raises:
        ValueError: for images of different sizes.
    """
    images = {role: x for role, x in batch.items() if x.ndim == 4}
    if len(sizes := {x.shape[2:] for x in images.values()}) > 1:
        raise ValueError(f"Images of different sizes cannot move together: {sorted(map(tuple, sizes))}.")
    n = len(next(iter(batch.values())))
    x = torch.cat(list(images.values()), 1)
    if flip:
        x = torch.where(torch.rand(n, 1, 1, 1) < 0.5, x.flip(3), x)
    if shift:
        h, w = x.shape[2:]
        padded = F.pad(x, (shift,) * 4, mode="reflect")
        corners = torch.randint(0, 2 * shift + 1, (n, 2)).tolist()
        x = torch.stack([y[:, i : i + h, j : j + w] for y, (i, j) in zip(padded, corners, strict=True)])
    return {**batch, **dict(zip(images, x.split([y.shape[1] for y in images.values()], 1), strict=True))}


def augment(x: Tensor, names: str) -> Tensor:
    """Differentiable augmentation, the same kind for real and fake samples: D cannot learn small data by heart.

    Zhao et al. 2020, https://arxiv.org/abs/2006.10738.

    Args:
        x: images ``(N, C, H, W)`` in [-1, 1].
        names: out of ``flip,color,translation,shift,cutout``, joined by commas; empty for none.

    Raises:
        ValueError: for samples that are no images.
    """
    if names and x.ndim != 4:
        raise ValueError(f"augment takes images (N, C, H, W), not samples with {x.ndim} axes")
    for name in names.split(",") if names else ():
        x = AUGMENTATIONS[name](x)
    return x


def check_augment(names: str) -> str:
    """Refuse what :func:`augment` does not know, before the first step."""
    for name in names.split(",") if names else ():
        if name not in AUGMENTATIONS:
            raise InputError(f"augment cannot be {name!r}: join names out of {', '.join(AUGMENTATIONS)} by commas.")
    return names


def _uniform(x: Tensor, low: float, high: float) -> Tensor:
    """One number for each image, ``(N, 1, 1, 1)``."""
    return torch.empty(len(x), 1, 1, 1, device=x.device, dtype=x.dtype).uniform_(low, high)


def _flip(x: Tensor) -> Tensor:
    return torch.where(torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5, x.flip(3), x)


def _color(x: Tensor) -> Tensor:
    """Brightness by up to a quarter of the range, saturation 0 to 2, contrast 0.5 to 1.5, as in the paper."""
    x = x + _uniform(x, -0.5, 0.5)
    mean = x.mean(1, keepdim=True)
    x = (x - mean) * _uniform(x, 0, 2) + mean
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * _uniform(x, 0.5, 1.5) + mean


def _translation(x: Tensor) -> Tensor:
    """By up to an eighth of the sides, zeros behind."""
    h, w = x.shape[2:]
    return _moved(F.pad(x, (1, 1, 1, 1)), h, w, 8)


def _shift(x: Tensor) -> Tensor:
    """By up to a sixteenth of the sides, the edges repeated."""
    h, w = x.shape[2:]
    return _moved(x, h, w, 16)


def _moved(x: Tensor, h: int, w: int, part: int) -> Tensor:
    """The middle ``(h, w)`` of each image, moved by up to one ``part`` of that; outside it the edges are repeated."""
    n, _, high, wide = x.shape
    far_y, far_x = round(h / part), round(w / part)
    dy = torch.randint(-far_y, far_y + 1, (n, 1, 1), device=x.device)
    dx = torch.randint(-far_x, far_x + 1, (n, 1, 1), device=x.device)
    top, left = (high - h) // 2, (wide - w) // 2
    rows = (torch.arange(h, device=x.device)[None, :, None] + dy + top).clamp(0, high - 1)
    columns = (torch.arange(w, device=x.device)[None, None, :] + dx + left).clamp(0, wide - 1)
    pixels = x.permute(0, 2, 3, 1)
    return pixels[torch.arange(n, device=x.device)[:, None, None], rows, columns].permute(0, 3, 1, 2)


def _cutout(x: Tensor) -> Tensor:
    """A square of zeros, half as wide as the image."""
    n, _, h, w = x.shape
    y = torch.randint(0, h + 1, (n, 1, 1), device=x.device)
    left = torch.randint(0, w + 1, (n, 1, 1), device=x.device)
    rows, columns = torch.arange(h, device=x.device)[None, :, None], torch.arange(w, device=x.device)[None, None, :]
    hole = ((rows - y + h // 4) // (h // 2) == 0) & ((columns - left + w // 4) // (w // 2) == 0)
    return x * (~hole)[:, None].to(x.dtype)


AUGMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "flip": _flip,
    "color": _color,
    "translation": _translation,
    "shift": _shift,
    "cutout": _cutout,
}
