"""Patches of photos and of their degraded copies, such as smaller ones: batches for restoration."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.batch import Batch, Batches, to_float
from zoo.errors import InputError

MIXED = 0.3  # of the patches in a batch are mixed with another one


class PatchBatches(Batches):
    """Random patches of photos: ``target``, and the part of the degraded photo that belongs to it as ``input``.

    Patches are turned and mirrored, and may be recoloured: colours change places, contrast and brightness vary, and a
    patch may be mixed with another one. All of this is linear: where the degradation is linear, too, input and target
    stay those that belong together.

    Args:
        photos: uint8 ``(C, H, W)``, of any sizes.
        degrade: from a photo to uint8 ``(C, H // scale, W // scale)``; None for the photo itself.
        scale: how many times larger targets are than inputs.
        patch: side of the inputs.
        recolour: whether patches are recoloured.
        augment: from a batch to a batch, as for :class:`~zoo.data.batch.ArrayBatches`.
        sizes: each photo is also used at these sizes, relative to its own.

    Raises:
        InputError: if no photo is large enough for a patch.
    """

    def __init__(
        self,
        photos: Sequence[Tensor],
        degrade: Callable[[Tensor], Tensor] | None = None,
        *,
        scale: int = 1,
        patch: int,
        sizes: Sequence[float] = (1.0, 0.8, 0.6),
        recolour: bool = True,
        augment: Callable[[Batch], Batch] | None = None,
    ) -> None:
        self.photos, self.scale, self.patch = photos, scale, patch
        self.recolour, self.augment = recolour, augment
        pairs = [degraded_pair(_resized(x, factor), degrade, scale) for x in photos for factor in sizes]
        self.pairs = [pair for pair in pairs if min(pair[0].shape[1:]) >= patch]
        if not self.pairs:
            raise InputError(
                f"No photo has {patch * scale} pixels on both sides, which a patch of {patch} needs: give "
                "larger photos, or make the patch smaller with --set patch=NUMBER."
            )

    def __len__(self) -> int:
        return len(self.photos)

    def sets(self) -> list[Tensor | Sequence[Tensor]]:
        return [self.photos]

    def batch(self, step: int, size: int, rank: int = 0, world: int = 1) -> Batch:
        rng = np.random.default_rng((0, step))
        side, scale = self.patch, self.scale
        inputs: list[Tensor] = []
        targets: list[Tensor] = []
        for number in range(size):
            small, large = self.pairs[rng.integers(len(self.pairs))]
            i, j = (int(rng.integers(n - side + 1)) for n in small.shape[1:])
            mirrored, upside_down, turned = (bool(rng.random() < 0.5) for _ in range(3))
            colours, gain, shift = rng.permutation(small.shape[0]), rng.uniform(0.7, 1.0), rng.uniform(-0.3, 0.3)
            if number % world != rank:  # another process has it
                continue
            part = small[:, i : i + side, j : j + side]
            whole = large[:, scale * i : scale * (i + side), scale * j : scale * (j + side)]
            for x, patches in ((part, inputs), (whole, targets)):
                x = x.flip(2) if mirrored else x
                x = x.flip(1) if upside_down else x
                x = x.transpose(1, 2) if turned else x
                patches.append(to_float(x[colours]) * gain + shift * (1 - gain) if self.recolour else to_float(x))
        x, y = torch.stack(inputs), torch.stack(targets)
        if self.recolour:
            own = np.where(rng.random(len(inputs)) < MIXED, rng.uniform(0.5, 1, len(inputs)), 1)
            weight = torch.from_numpy(own).float()[:, None, None, None]
            x, y = (torch.lerp(patches.roll(1, 0), patches, weight) for patches in (x, y))
        batch = {"input": x, "target": y}
        return self.augment(batch) if self.augment else batch


def degraded_pair(photo: Tensor, degrade: Callable[[Tensor], Tensor] | None, scale: int) -> tuple[Tensor, Tensor]:
    """A uint8 photo ``(C, H, W)`` after ``degrade``, and the part of the photo that this shows."""
    small = degrade(photo) if degrade else photo
    return small, photo[:, : small.shape[1] * scale, : small.shape[2] * scale]


def _resized(photo: Tensor, factor: float) -> Tensor:
    """Another size of a uint8 photo, by bicubic interpolation that blurs as it shrinks."""
    if factor == 1:
        return photo
    resized = F.interpolate(photo[None].float(), scale_factor=factor, mode="bicubic", antialias=True)[0]
    return resized.round().clamp(0, 255).byte()
