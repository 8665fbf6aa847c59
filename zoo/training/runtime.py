"""Where and in which precision training computes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from zoo.backends.optimize import has_bfloat16
from zoo.errors import InputError

PRECISIONS = ("auto", "bf16", "fp32")


class Machine:
    """Devices, precision and processes of a run.

    Args:
        precision: ``bf16`` computes in bfloat16 where that is safe, ``fp32`` in float32; ``auto`` is bfloat16 where the
            hardware has it.
        cpu: whether to stay on the CPU.

    Attributes:
        rank: number of this process, from 0; only the first writes files.
        world: how many processes there are.
    """

    def __init__(self, precision: str = "auto", cpu: bool = False) -> None:
        from accelerate import Accelerator

        if precision not in PRECISIONS:
            raise InputError(f"precision cannot be {precision!r}: choose one of {', '.join(PRECISIONS)}.")
        self.accelerator = Accelerator(mixed_precision="no", cpu=cpu)
        self.device: torch.device = self.accelerator.device
        self.precision = ("bf16" if has_bfloat16(self.device) else "fp32") if precision == "auto" else precision
        self.rank: int = self.accelerator.process_index
        self.world: int = self.accelerator.num_processes

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by their mean over the processes, all in one message."""
        if self.world > 1:
            given = list(tensors)
            flat = self.accelerator.reduce(torch.cat([t.flatten() for t in given]), reduction="mean")
            for mine, mean in zip(given, flat.split([t.numel() for t in given]), strict=True):
                mine.copy_(mean.view_as(mine))

    def any(self, here: bool) -> bool:
        """Whether it is so in any process."""
        if self.world == 1:
            return here
        return bool(self.accelerator.reduce(torch.tensor(float(here), device=self.device), reduction="sum") > 0)

    def share(self, batch: int) -> int:
        """The part of a batch that falls to each process."""
        if batch % self.world:
            raise InputError(f"A batch of {batch} cannot be shared by {self.world} processes: choose a multiple.")
        return batch // self.world
