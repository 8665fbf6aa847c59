"""Holes that a network learns to fill: squares and brush strokes, as masks that are True where to fill."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def central_square(height: int, width: int) -> Mask:
    """A square of half the shorter side in the middle, as in Pathak et al. 2016 (https://arxiv.org/abs/1604.07379)."""
    side = min(height, width) // 2
    return _square(height, width, (height - side) // 2, (width - side) // 2, side)


def random_square(rng: np.random.Generator, height: int, width: int) -> Mask:
    """A square anywhere, its side from a quarter to 0.55 of the shorter one of the image."""
    side = max(1, round(min(height, width) * rng.uniform(0.25, 0.55)))
    top, left = (int(rng.integers(length - side + 1)) for length in (height, width))
    return _square(height, width, top, left, side)


def brush_strokes(rng: np.random.Generator, height: int, width: int, share: float = 0.3) -> Mask:
    """Strokes of a round brush, as in Yu et al. 2019 (https://arxiv.org/abs/1806.03589), without their code.

    Strokes are drawn until they cover ``share`` of the image. Each begins anywhere, has two to five straight parts that
    turn by up to a radian, each 0.1 to 0.3 of the shorter side long, and is 0.03 to 0.1 of it wide.

    Args:
        rng: where chance comes from.
        height: in pixels.
        width: in pixels.
        share: from 0 to 1; the last part goes some way beyond.
    """
    mask = np.zeros((height, width), np.bool_)
    side = min(height, width)
    while mask.mean() < share:
        place = rng.random(2) * (height, width)
        angle, radius = rng.uniform(0, 2 * math.pi), side * rng.uniform(0.015, 0.05)
        for _ in range(rng.integers(2, 6)):
            angle += rng.uniform(-1, 1)
            move = side * rng.uniform(0.1, 0.3) * np.array([math.sin(angle), math.cos(angle)])
            _draw_line(mask, place, move, radius)
            if mask.mean() >= share:
                break
            place = place + move
    return mask


def _square(height: int, width: int, top: int, left: int, side: int) -> Mask:
    mask = np.zeros((height, width), np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def _draw_line(mask: Mask, place: npt.NDArray[np.float64], move: npt.NDArray[np.float64], radius: float) -> None:
    """Mark the pixels less than ``radius`` from a straight line that goes from ``place``, (y, x), by ``move``."""
    ends = np.stack([place, place + move])
    first, last = np.floor(ends.min(0) - radius), np.ceil(ends.max(0) + radius)
    (top, bottom), (left, right) = np.clip([first, last + 1], 0, mask.shape).astype(int).T
    y, x = np.ogrid[top:bottom, left:right]
    dy, dx = y - place[0], x - place[1]
    along = np.clip((dy * move[0] + dx * move[1]) / (move @ move), 0, 1)
    mask[top:bottom, left:right] |= (dy - along * move[0]) ** 2 + (dx - along * move[1]) ** 2 < radius**2
