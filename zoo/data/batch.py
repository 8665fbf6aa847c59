"""Batches of images for a step of training."""

from __future__ import annotations

import torch
from torch import Tensor


def to_float(x: Tensor) -> Tensor:
    """uint8 to float32 in [-1, 1]."""
    return x.float() / 127.5 - 1


def held_out(n: int, every: int = 20) -> Tensor:
    """A mask ``(n,)`` of the samples that are kept out of training: one in ``every``, and two at least of four."""
    return torch.arange(n) % max(2, min(every, n // 2)) == 0


def batch_indices(step: int, size: int, batch: int, seed: int) -> Tensor:
    """Which of ``size`` images form the batch of ``step``: every epoch is a new permutation.

    A function of the step alone, so that a resumed run sees the same batches as an unbroken one.
    """
    per_epoch = size // batch
    epoch, position = divmod(step, per_epoch)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
    return order[position * batch : (position + 1) * batch]
