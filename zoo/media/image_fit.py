"""Images in the channels and size that a network takes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from zoo.arrays import Array
from zoo.media.image_decode import opaque


def colours(array: Array) -> Array:
    """An image ``(C, H, W)`` without its transparency, C = 1 or 3.

    A pixel that is not seen at all gets the colour of the nearest one that is: what it has is chance, often black, and
    would run into the edges wherever pixels are mixed.
    """
    if array.shape[0] not in (2, 4):
        return array
    colour, seen = array[:-1], array[-1] > 0
    if seen.all() or not seen.any():
        return colour
    height, width = seen.shape
    nearest = _nearest(seen)
    filled: Array = colour.reshape(len(colour), -1)[:, nearest.reshape(-1)].reshape(-1, height, width)
    return filled


def _nearest(seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """For each pixel ``(H, W)`` the number of the nearest one that is seen; a step to any neighbour counts one.

    Rows are gone through down and up: what is nearest comes from the row before or from the same row.
    """
    height, width = seen.shape
    step = np.int64(height * width)  # distance and number in one: the least of them is the nearest
    keys = np.where(seen, np.arange(height * width).reshape(height, width), step * (height + width))
    along = step * np.arange(width)

    def spread(row: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        right = np.minimum.accumulate(row - along) + along
        left = (np.minimum.accumulate((row + along)[::-1]))[::-1] - along
        nearest: npt.NDArray[np.int64] = np.minimum(right, left)
        return nearest

    for order in (range(height), range(height - 1, -1, -1)):
        before = None
        for y in order:
            if before is not None:
                wide = np.pad(before, 1, mode="edge")
                near = np.minimum(np.minimum(wide[:-2], wide[2:]), before)
                keys[y] = np.minimum(keys[y], near + step)
            keys[y] = before = spread(keys[y])
    nearest: npt.NDArray[np.int64] = keys % step
    return nearest


def crop_box(height: int, width: int, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the largest centred part of an image that has the shape of ``size``."""
    shape = size[1] / size[0]
    columns, rows = (float(width), float(height))
    if width / height > shape:
        columns = shape * height
    elif width / height < shape:
        rows = width / shape
    left, top = (width - columns) * 0.5, (height - rows) * 0.5
    return left, top, left + columns, top + rows


def fit(array: Array, channels: int | None, size: tuple[int, int] | None, nearest: bool = False) -> Array:
    """An image ``(C, H, W)`` with the channels and size that a network takes.

    Colour becomes grey by its luma (ITU-R BT.601); grey becomes colour by repetition; transparency is laid on white,
    and stays if ``channels`` is None. For another size the largest centred part of the right shape is resized
    (Lanczos), each pixel counting as much as it is seen. With ``nearest``, values are taken as they are, as for masks.
    """
    if channels:
        array = opaque(array)
    if channels == 1 and array.shape[0] == 3:
        array = np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), array, 1)[None]
    elif channels == 3 and array.shape[0] == 1:
        array = np.repeat(array, 3, 0)
    if size and array.shape[1:] != size:
        if nearest:
            array = _resized(array, size, Image.Resampling.NEAREST)
        elif array.shape[0] in (2, 4):
            *colour, alpha = _resized(np.concatenate([colours(array) * array[-1:], array[-1:]]), size)
            plain = _resized(colours(array), size)
            shown = alpha > 1 / 512
            mixed = np.where(shown, np.stack(colour) / np.where(shown, alpha, 1), plain)
            array = np.concatenate([mixed, alpha[None]])
        else:
            array = _resized(array, size)
        array = np.clip(array, 0, 1)
    return array


def _resized(array: Array, size: tuple[int, int], resampling: Image.Resampling = Image.Resampling.LANCZOS) -> Array:
    height, width = array.shape[1:]
    box = crop_box(height, width, size)
    planes = [Image.fromarray(plane).resize(size[::-1], resampling, box) for plane in array]
    return np.stack([np.asarray(plane) for plane in planes])
