"""Large inputs in parts: they overlap so far that what comes together equals the whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from zoo.arrays import Array
from zoo.errors import InputError, check_natural

Window = Mapping[int, slice]  # what is taken of an array, by axis; axes count from the last one, which is -1


def cut(array: Array, window: Window) -> Array:
    """A copy of the part of an array inside a window: parts overlap, and a network may write on what it gets."""
    index = [slice(None)] * array.ndim
    for axis, chosen in window.items():
        index[axis] = chosen
    part: Array = array[tuple(index)].copy()
    return part


def check_tiles(tile: int | str | None, overlap: int | None, receptive_radius: int | None, name: str) -> None:
    """Refuse what a user cannot have.

    Args:
        tile: a length in pixels or moments, "auto", or None for whole.
        overlap: how far a part sees beyond its edges; None for as far as the result needs.
        receptive_radius: of the network; None where every value depends on the whole input.
        name: of the model.

    Raises:
        InputError: for another word or number, or a network that cannot be run in parts.
    """
    whole_number = hasattr(tile, "__index__") and not isinstance(tile, bool) and int(tile) > 0  # type: ignore[arg-type]
    if not whole_number and tile is not None and not (isinstance(tile, str) and tile == "auto"):
        raise InputError(f'tile must be "auto", None, or a side in pixels, not {tile!r}.')
    if whole_number and receptive_radius is None:
        raise InputError(f"{name} cannot be run in tiles: each pixel depends on the whole image. Leave out `tile`.")
    if overlap is not None:
        check_natural("overlap", overlap)


def bands(
    run: Callable[[Window], Any],
    lengths: Sequence[int],
    axes: Sequence[int],
    side: int,
    overlap: int,
    multiples: Sequence[int],
    scales: Sequence[int],
) -> Iterator[Any]:
    """What a network makes of an input, in bands along the first of its axes.

    Args:
        run: the result for a window of the input.
        lengths: of the input along each axis; the network takes them.
        axes: which ones, counted from the last one, which is -1.
        side: of the parts.
        overlap: how far each part sees beyond its edges. From the network's receptive radius on, the result is that of
            the whole.
        multiples: for each axis: parts begin where it divides; there the strides of a network begin, too.
        scales: for each axis: how many times longer the result is.

    Yields:
        The whole result from one part to the next of the first axis.
    """
    parts = [
        list(_parts(length, side + -side % multiple, overlap + -overlap % multiple))
        for length, multiple in zip(lengths, multiples, strict=True)
    ]
    for first in parts[0]:
        results = []
        for chosen in product([first], *parts[1:]):
            window = {axis: slice(part.start, part.stop) for axis, part in zip(axes, chosen, strict=True)}
            kept = {
                axis: slice(scale * (part.inner - part.start), scale * (part.end - part.start))
                for axis, part, scale in zip(axes, chosen, scales, strict=True)
            }
            results.append(cut(run(window), kept))
        for axis, others in zip(reversed(axes[1:]), reversed(parts[1:]), strict=True):
            n = len(others)
            results = [np.concatenate(results[i : i + n], axis) for i in range(0, len(results), n)]
        yield results[0]


def count(lengths: Sequence[int], side: int, multiples: Sequence[int]) -> int:
    """How many parts :func:`bands` makes; arguments as there."""
    return math.prod(-(-length // (side + -side % n)) for length, n in zip(lengths, multiples, strict=True))


class _Part:
    """Where a part lies along an axis: ``inner`` to ``end``, and what it sees, ``start`` to ``stop``."""

    def __init__(self, inner: int, end: int, start: int, stop: int) -> None:
        self.inner, self.end, self.start, self.stop = inner, end, start, stop


def _parts(length: int, side: int, overlap: int) -> Iterator[_Part]:
    for inner in range(0, length, side):
        end = min(inner + side, length)
        yield _Part(inner, end, max(inner - overlap, 0), min(inner + side + overlap, length))
