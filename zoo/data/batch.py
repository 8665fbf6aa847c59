"""Batches for the steps of a training: tensors by role, drawn and augmented together.

Roles: ``input`` (what a network sees), ``target`` (what it is to make), ``mask``, ``label`` (int64 class numbers) and
``text`` (token numbers). The first axis of every tensor counts the samples; nothing is assumed about the others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

Batch = dict[str, Tensor]
ROLES = ("input", "target", "mask", "label", "text", "named", "phrases")


def to_float(x: Tensor) -> Tensor:
    """uint8 to float32 in [-1, 1]."""
    return x.float() / 127.5 - 1


def held_out(n: int, every: int = 20) -> Tensor:
    """A mask ``(n,)`` of the samples that are kept out of training: one in ``every``, and two at least of four."""
    return torch.arange(n) % max(2, min(every, n // 2)) == 0


def batch_indices(step: int, size: int, batch: int, seed: int) -> Tensor:
    """Which of ``size`` samples form the batch of ``step``: every epoch is a new permutation.

    A function of the step alone, so that a resumed run sees the same batches as an unbroken one.
    """
    per_epoch = size // batch
    epoch, position = divmod(step, per_epoch)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
    return order[position * batch : (position + 1) * batch]


class Batches(ABC):
    """Training data that batches are drawn from."""

    @abstractmethod
    def __len__(self) -> int:
        """How many samples there are."""

    @abstractmethod
    def sets(self) -> list[Tensor | Sequence[Tensor]]:
        """All that is trained on, as it is stored: a tensor ``(N, ...)`` for each role, or a list of photos."""

    @abstractmethod
    def batch(self, step: int, size: int, rank: int = 0, world: int = 1) -> Batch:
        """The part of a step's batch of ``size`` samples that falls to process ``rank`` of ``world``.

        Images are in [-1, 1], masks in [0, 1]. The same samples for the same step; how they are augmented is drawn from
        torch's random state.
        """


class ArrayBatches(Batches):
    """Samples of one size, in memory.

    Args:
        roles: tensors by role, ``(N, ...)`` each with the same N. uint8 stands for values in [-1, 1], in ``mask`` for
            [0, 1]; other types stay as they are.
        augment: from a batch to a batch, all roles together; may draw from torch's random state.
        seed: of the order in which samples are drawn.

    Raises:
        ValueError: for an unknown role, and for tensors of different lengths.
    """

    def __init__(
        self, roles: Mapping[str, Tensor], augment: Callable[[Batch], Batch] | None = None, seed: int = 0
    ) -> None:
        if not roles or not set(roles) <= set(ROLES):
            raise ValueError(f"roles must be some of {', '.join(ROLES)}, not {', '.join(roles) or 'none'}.")
        if len({len(x) for x in roles.values()}) > 1:
            lengths = ", ".join(f"{len(x)} of {role}" for role, x in roles.items())
            raise ValueError(f"All roles must have as many samples: {lengths}.")
        self.roles, self.augment, self.seed = dict(roles), augment, seed

    def __len__(self) -> int:
        return len(next(iter(self.roles.values())))

    def sets(self) -> list[Tensor | Sequence[Tensor]]:
        return list(self.roles.values())

    def batch(self, step: int, size: int, rank: int = 0, world: int = 1) -> Batch:
        return self.at(self.rows(step, size, rank, world))

    def rows(self, step: int, size: int, rank: int = 0, world: int = 1) -> Tensor:
        """Indices of the samples in :meth:`batch`."""
        return batch_indices(step, len(self), size, self.seed)[rank::world]

    def at(self, rows: Tensor) -> Batch:
        """The samples ``rows``, augmented."""
        batch = self.plain(rows)
        return self.augment(batch) if self.augment else batch

    def plain(self, rows: Tensor | slice) -> Batch:
        """The samples ``rows`` without augmentation."""
        return {role: _as_float(role, x[rows]) for role, x in self.roles.items()}

    def singles(self) -> list[Batch]:
        """Each sample as a batch of its own, without augmentation: as a translation takes those that are held out."""
        return [self.plain(slice(i, i + 1)) for i in range(len(self))]


def _as_float(role: str, x: Tensor) -> Tensor:
    if x.dtype != torch.uint8:
        return x
    return x.float() / 255 if role == "mask" else to_float(x)
