"""The anomaly maps of a network that has them, as images that go through the verbs as others do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from zoo.model import Model


class Mapper(Model):
    """From images to the anomaly maps of another model, in batches and tiles, whatever is too large for it.

    Args:
        model: with a method ``anomaly_map``.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        self.receptive_radius = model.receptive_radius
        self.training = model.training
        if model.entry:
            self.entry = replace(model.entry, output=replace(model.entry.output, channels=1))

    def forward(self, x: Tensor, **conditions: Any) -> Tensor:
        """Images ``(N, C, H, W)`` to maps ``(N, 1, H, W)``, both in [-1, 1]."""
        maps: Tensor = getattr(self.model, "anomaly_map")(x, **conditions)  # noqa: B009 - not declared
        return 2 * maps - 1
