"""Large images in parts: tiles that overlap so far that what comes together equals the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from zoo.arrays import Array
from zoo.errors import InputError, check_natural

SIDE = 160  # of a tile, without its overlap, in pixels of the input
WHOLE = 512 * 512  # pixels that still go through a network at once


def check_tiles(tile: int | str | None, overlap: int | None, reach: int | None, name: str) -> None:
    """Refuse what a user cannot have.

    Args:
        tile: a side in pixels, "auto", or None for whole.
        overlap: pixels that a tile sees beyond its edges; None for as many as the result needs.
        reach: of the network; None where every pixel depends on the whole image.
        name: of the model.

    Raises:
        InputError: for another word or number, or a network that cannot be run in parts.
    """
    whole_number = hasattr(tile, "__index__") and not isinstance(tile, bool) and int(tile) > 0  # type: ignore[arg-type]
    if not whole_number and tile is not None and not (isinstance(tile, str) and tile == "auto"):
        raise InputError(f'tile must be "auto", None, or a side in pixels, not {tile!r}.')
    if whole_number and reach is None:
        raise InputError(f"{name} cannot be run in tiles: each pixel depends on the whole image. Leave out `tile`.")
    if overlap is not None:
        check_natural("overlap", overlap)


def tile_side(tile: int | str | None, reach: int | None, shape: tuple[int, ...], multiple: int) -> int:
    """How large the tiles of an image ``(C, H, W)`` are; 0 where it goes through the network whole.

    Args:
        tile: as :func:`check_tiles` lets it pass.
        reach: of the network.
        shape: of the image.
        multiple: what sides must be divisible by; tiles are rounded up to it.
    """
    if tile is not None and not isinstance(tile, str):
        side = int(tile)
    elif tile is None or reach is None or shape[1] * shape[2] <= WHOLE:
        return 0
    else:
        side = max(SIDE, 2 * reach)
    return side + -side % multiple


def bands(
    run: Callable[[Array], Array], array: Array, side: int, overlap: int, multiple: int, scale: int
) -> Iterator[Array]:
    """What a network makes of an image, in bands from top to bottom.

    Args:
        run: from ``(1, C, h, w)`` in [-1, 1] to ``(1, C', scale * h, scale * w)`` in [-1, 1].
        array: the image, ``(C, H, W)`` in [0, 1], with sides that the network takes.
        side: of the tiles, divisible by ``multiple``.
        overlap: how far each tile sees beyond its edges. From the network's reach on, the result is that of the whole.
        multiple: tiles begin where this divides: there the strides of a network begin, too.
        scale: how many times larger the result is.

    Yields:
        float32 ``(C', scale * h, scale * W)`` in [0, 1], each as high as a row of tiles.
    """
    overlap += -overlap % multiple
    height, width = array.shape[1:]
    for top in range(0, height, side):
        y0, y1 = max(top - overlap, 0), min(top + side + overlap, height)
        bottom = min(top + side, height)
        row = []
        for left in range(0, width, side):
            x0, x1 = max(left - overlap, 0), min(left + side + overlap, width)
            right = min(left + side, width)
            made = run(array[None, :, y0:y1, x0:x1] * 2 - 1)[0]
            made = made[:, scale * (top - y0) : scale * (bottom - y0), scale * (left - x0) : scale * (right - x0)]
            row.append(np.clip((made + 1) / 2, 0, 1))
        yield np.concatenate(row, 2)
