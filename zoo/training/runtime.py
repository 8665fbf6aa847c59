"""Where and in which precision training computes."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from zoo.backends.optimize import has_bfloat16
from zoo.errors import InputError
from zoo.networks import to_device

PRECISIONS = ("auto", "bf16", "fp32")


class Runtime:
    """Device, precision and processes of a run.

    Hugging Face accelerate finds the devices, and the other processes of ``accelerate launch``.

    Args:
        precision: ``bf16`` computes in bfloat16 where that is safe, ``fp32`` in float32; ``auto`` is bfloat16 where the
            hardware has it.
        device: such as ``cpu``, ``cuda`` or ``cuda:1``; None for the GPU if there is one. Of several processes each
            takes a GPU of its own, so that only ``cpu`` can be asked for.

    Attributes:
        rank: number of this process, from 0; only the first writes files.
        world: how many processes there are.

    Raises:
        InputError: for another precision, and a device that cannot be used.
    """

    def __init__(self, precision: str = "auto", device: str | None = None) -> None:
        from accelerate import Accelerator

        if precision not in PRECISIONS:
            raise InputError(f"precision cannot be {precision!r}: choose one of {', '.join(PRECISIONS)}.")
        wanted = None if device is None else to_device(device)
        # Its choice of a device lasts as long as the process, so one process alone makes its own.
        launched = int(os.environ.get("WORLD_SIZE", "1")) > 1
        self.accelerator = Accelerator(
            mixed_precision="no", cpu=launched and wanted is not None and wanted.type == "cpu"
        )
        self.rank: int = self.accelerator.process_index
        self.world: int = self.accelerator.num_processes
        if self.world > 1:
            atexit.register(_leave)  # or threads of the group may abort a process that has ended well
        if wanted is not None and wanted.type != "cpu" and self.world > 1:
            raise InputError(f"device cannot be {device!r} for {self.world} processes: each takes a GPU of its own.")
        self.device: torch.device = wanted or self.accelerator.device
        try:
            torch.zeros(1, device=self.device)
        except (RuntimeError, AssertionError, ImportError) as error:  # torch says so in several ways
            raise InputError(f"The device {device!r} cannot be used: {str(error).splitlines()[0]}") from None
        self.precision = ("bf16" if has_bfloat16(self.device) else "fp32") if precision == "auto" else precision

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def to_device(self, x: Tensor) -> Tensor:
        """A batch where the networks are; images ``(N, C, H, W)`` in the memory format channels last."""
        x = x.to(self.device, non_blocking=True)
        return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x

    def place(self, network: nn.Module) -> None:
        """Move a network to the device; one with 2-D convolutions in the memory format channels last."""
        network.to(self.device)
        if any(isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) for module in network.modules()):
            for x in chain(network.parameters(), network.buffers()):
                if x.ndim == 4:
                    x.data = x.data.to(memory_format=torch.channels_last)

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by their mean over the processes, all in one message."""
        if self.world > 1:
            parts = list(tensors)
            flat = self.accelerator.reduce(torch.cat([x.flatten() for x in parts]), reduction="mean")
            for mine, mean in zip(parts, flat.split([x.numel() for x in parts]), strict=True):
                mine.copy_(mean.view_as(mine))

    def any(self, here: bool) -> bool:
        """Whether it is so in any process."""
        if self.world == 1:
            return here
        return bool(self.accelerator.reduce(torch.tensor(float(here), device=self.device), reduction="sum") > 0)

    def share(self, batch_size: int) -> int:
        """The part of a batch that falls to each process.

        Raises:
            InputError: if it cannot be shared out evenly.
        """
        if batch_size % self.world:
            raise InputError(f"A batch of {batch_size} cannot be shared by {self.world} processes: choose a multiple.")
        return batch_size // self.world


def _leave() -> None:
    """Leave the group of processes."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
