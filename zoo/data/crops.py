"""Random crops of photos of any sizes: batches of images of one size, at the resolution that the photos have."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from zoo.data.batch import Batch, Batches, batch_indices, to_float
from zoo.errors import InputError


class CropBatches(Batches):
    """Crops of photos as ``target``, each from a random place, mirrored at random across both axes.

    Args:
        photos: uint8 ``(C, H, W)``, of any sizes from ``side`` on.
        side: of the crops.
        augment: from a batch to a batch, as for :class:`~zoo.data.batch.ArrayBatches`.

    Raises:
        InputError: for a photo that is smaller.
    """

    def __init__(self, photos: Sequence[Tensor], side: int, augment: Callable[[Batch], Batch] | None = None) -> None:
        for photo in photos:
            if min(photo.shape[1:]) < side:
                raise InputError(
                    f"An image has {photo.shape[2]}x{photo.shape[1]} pixels, and crops of {side} are trained on: leave "
                    "it out, or make them smaller with --set size=NUMBER."
                )
        self.photos, self.side, self.augment = photos, side, augment

    def __len__(self) -> int:
        return len(self.photos)

    def sets(self) -> list[Tensor | Sequence[Tensor]]:
        return [self.photos]

    def batch(self, step: int, size: int, rank: int = 0, world: int = 1) -> Batch:
        rng = np.random.default_rng((0, step, rank))
        crops = []
        for row in batch_indices(step, len(self.photos), size, 0)[rank::world].tolist():
            photo = self.photos[row]
            top, left = (int(rng.integers(length - self.side + 1)) for length in photo.shape[1:])
            crop = photo[:, top : top + self.side, left : left + self.side]
            crops.append(crop.flip([axis for axis in (1, 2) if rng.random() < 0.5]))
        batch = {"target": to_float(torch.stack(crops))}
        return self.augment(batch) if self.augment else batch


def middle(photo: Tensor, side: int) -> Tensor:
    """The crop ``(C, side, side)`` in the middle of a photo ``(C, H, W)``."""
    top, left = ((length - side) // 2 for length in photo.shape[1:])
    return photo[:, top : top + side, left : left + side]
