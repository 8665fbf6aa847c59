"""How a loaded model computes: an optimised copy of its network where one agrees with it, else the network itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from zoo.backends.optimize import OptimizedForward, optimize
from zoo.backends.peak import OVERHEAD, peak
from zoo.model import Model, to_arrays


class TorchBackend:
    """The optimised copies of one model, a copy for each call.

    Args:
        build: makes the network of the model on the meta device, which tells how much memory it takes.
    """

    def __init__(self, build: Callable[[], nn.Module]) -> None:
        self.build = build
        self.copies: dict[str, OptimizedForward] = {}

    def optimized(self, model: Model, call: str) -> OptimizedForward:
        """How ``decode`` or ``forward`` of a model is computed.

        It is determined at the first call, and anew when weights were loaded or moved since.
        """
        known = self.copies.get(call)
        if known is None or known.precision != model.precision:
            known = optimize(model, call, model.precision, lambda: model.probes(call))
            if known.lasting:
                self.copies[call] = known
        return known

    @torch.inference_mode()
    def run(self, model: Model, call: str, x: Any, conditions: Mapping[str, Any]) -> Any:
        """As :meth:`zoo.model.Model.run_plain`."""
        optimized = self.optimized(model, call)
        if not optimized.run or not optimized.holds(model):
            return model.run_plain(call, x, conditions)
        batch = model.tensor(x), {name: model.tensor(value) for name, value in conditions.items()}
        return to_arrays(optimized.run(batch))

    def peak(self, model: Model, call: str, shape: tuple[int, ...], conditions: Mapping[str, Any]) -> int | None:
        """Bytes of memory that an input ``(1, ...)`` of this shape takes on its way; None where nobody knows."""
        parameter = next(model.parameters(), torch.empty(0))
        try:
            most = peak(getattr(self.build().eval(), call), shape, conditions)
        except Exception:  # a network that cannot be run without computing
            return None
        return int(most * parameter.dtype.itemsize / 4 * (OVERHEAD if parameter.device.type == "cpu" else 1))

    def forget(self) -> None:
        """Drop the copies: the network is another one."""
        self.copies.clear()

    def __getstate__(self) -> dict[str, Any]:
        """All but the copies, which are made again."""
        return {**self.__dict__, "copies": {}}
