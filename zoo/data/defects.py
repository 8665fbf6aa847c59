"""Defects drawn into normal images, so that a network learns what normal is without having seen a real defect.

As in DRAEM (Zavrtanik et al. 2021, https://arxiv.org/abs/2108.07610): a region of a random shape is filled with what
does not belong there. All is drawn from torch's random state.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

FAINT = 0.03  # mean change, in [-1, 1], below which nobody would see that there is a defect


def draw_defects(images: Tensor, share: float = 0.5) -> tuple[Tensor, Tensor]:
    """Defects in some of the images.

    Args:
        images: normal ones, ``(N, C, H, W)`` in [-1, 1]; some of them lend their texture to others.
        share: of the images that get a defect, about: one that comes out too faint to be seen is left away.

    Returns:
        The images with their defects, and masks ``(N, 1, H, W)`` of 0 and 1 where these are.
    """
    results, masks = [], []
    for number, x in enumerate(images):
        y, mask = x, torch.zeros_like(x[:1])
        if torch.rand(()) < share:
            other = images[(number + 1 + _whole(0, max(1, len(images) - 1))) % len(images)]
            for _ in range(_whole(1, 3)):
                drawn, shape = _defect(y, other)
                if (drawn - y)[:, shape[0] > 0.5].abs().mean() > FAINT:  # NaN, of an empty shape, is not
                    y, mask = drawn, torch.maximum(mask, (shape > 0.5).float())
        results.append(y)
        masks.append(mask)
    return torch.stack(results), torch.stack(masks)


def _defect(x: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """An image ``(C, H, W)`` with one defect, and the opacity of that, ``(1, H, W)``."""
    shape = _pick(SHAPES)(*x.shape[1:])
    blur = _whole(0, 3)
    if blur:
        shape = _mean(shape, 2 * blur + 1)
    fill = _pick(FILLS)(x, other)
    return (x + shape * _between(0.4, 1) * (fill - x)).clamp(-1, 1), shape


# Shapes: opacity (1, H, W) in [0, 1].


def _region(height: int, width: int) -> Tensor:
    """Islands of smooth noise, inside an ellipse or anywhere."""
    noise = _noise(height, width, _whole(2, 9))
    level = torch.quantile(noise, _between(0.5, 0.95))
    inside = _ellipse(height, width, 0.15, 0.6) if torch.rand(()) < 0.5 else 1.0
    return (noise > level).float() * inside


def _line(height: int, width: int) -> Tensor:
    """A thin curve: where smooth noise passes zero."""
    noise = _noise(height, width, _whole(2, 6))[0]
    slopes = torch.gradient(noise)
    steepness = (slopes[0].square() + slopes[1].square()).sqrt()
    curve = (noise.abs() < steepness * _between(0.6, 2.5)).float()[None]
    return curve * _ellipse(height, width, 0.1, 0.6)


def _spots(height: int, width: int) -> Tensor:
    """One or a few small ellipses."""
    spots = [_ellipse(height, width, 0.012, 0.09) for _ in range(_whole(1, 4))]
    return torch.stack(spots).amax(0)


def _side(height: int, width: int) -> Tensor:
    """All that lies on one side of a wavy line."""
    angle, offset = _between(0, 2 * math.pi), _between(-0.1, 0.42)  # the smaller side, mostly: what is rare is a defect
    y, x = _axes(height, width)
    distance = x * math.cos(angle) + y * math.sin(angle) + _between(0, 0.12) * _noise(height, width, _whole(3, 12))[0]
    return (distance > offset).float()[None]


SHAPES: tuple[Callable[[int, int], Tensor], ...] = (_region, _region, _line, _spots, _side)


# Fills: an image (C, H, W) whose part will be seen inside a shape.


def _tone(x: Tensor, other: Tensor) -> Tensor:
    """The image itself, darker or lighter, evenly or not."""
    step = torch.full_like(x[:1], _sign() * (0.06 + 0.84 * _between(0, 1) ** 2))  # faint ones are harder: more of them
    if torch.rand(()) < 0.3:
        step *= _noise(x.shape[1], x.shape[2], _whole(2, 5))
    return x + step


def _flat(x: Tensor, other: Tensor) -> Tensor:
    """One shade with a little noise of some grain."""
    shade = x.mean((1, 2), keepdim=True) + _sign() * 0.9 * _between(0, 1) ** 2
    return shade + _between(0, 0.25) * _noise(x.shape[1], x.shape[2], _whole(8, 64))


def _texture(x: Tensor, other: Tensor) -> Tensor:
    """Another image, turned or mirrored, at its own brightness or at that of this image."""
    if x.shape[1] == x.shape[2] and torch.rand(()) < 0.5:
        other = other.transpose(1, 2)
    if torch.rand(()) < 0.5:
        other = other.flip(1)
    if torch.rand(()) < 0.5:
        return other
    own, mean = x.mean((1, 2), keepdim=True), other.mean((1, 2), keepdim=True)
    return (other - mean) * _between(0.5, 2.5) + own + _sign() * _between(0, 0.3)


def _smooth(x: Tensor, other: Tensor) -> Tensor:
    """The image without its texture, or with more of it than it has."""
    mean = _mean(x, 2 * _whole(2, 8) + 1)
    return mean if torch.rand(()) < 0.5 else mean + (x - mean) * _between(2, 4)


FILLS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (_tone, _tone, _flat, _flat, _texture, _texture, _smooth)


def _noise(height: int, width: int, cells: int) -> Tensor:
    """Smooth noise ``(1, H, W)`` of variance about 1, with so many cells on a side."""
    grid = torch.randn(1, 1, cells + 1, cells + 1)
    noise = F.interpolate(grid, (height, width), mode="bicubic", align_corners=True)[0]
    return noise / noise.std().clamp(min=1e-3)


def _ellipse(height: int, width: int, least: float, most: float) -> Tensor:
    """A turned ellipse ``(1, H, W)`` anywhere, its axes a random share of the image."""
    y, x = _axes(height, width)
    x, y = x - _between(-0.5, 0.5), y - _between(-0.5, 0.5)
    angle, a, b = _between(0, math.pi), _between(least, most), _between(least, most)
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    return ((along / a).square() + (across / b).square() < 1).float()[None]


def _axes(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Rows ``(H, 1)`` and columns ``(1, W)`` from -0.5 to 0.5."""
    return torch.linspace(-0.5, 0.5, height)[:, None], torch.linspace(-0.5, 0.5, width)[None]


def _mean(x: Tensor, side: int) -> Tensor:
    """Each pixel the mean of a square around it, as far as that lies in the image."""
    return F.avg_pool2d(x[None], side, 1, side // 2, count_include_pad=False)[0]


def _pick(options: tuple[Callable[..., Tensor], ...]) -> Callable[..., Tensor]:
    return options[_whole(0, len(options))]


def _whole(low: int, high: int) -> int:
    """A whole number from ``low`` to ``high - 1``."""
    return int(torch.randint(low, high, ()))


def _between(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))


def _sign() -> float:
    return 1.0 if torch.rand(()) < 0.5 else -1.0
