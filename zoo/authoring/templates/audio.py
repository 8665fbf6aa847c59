"""Starry: one sound into another, of any length.

What the network is, in a sentence or two, and the link to its paper, stand here.
"""

from __future__ import annotations

from torch import Tensor, nn
from zoo.model import Model


class Starry(Model):
    """Convolutions at a quarter of the rate, between one that goes down and one that comes back.

    Args:
        width: channels of the maps.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv1d(1, width, 8, stride=4, padding=2), nn.ReLU()),
            *(nn.Conv1d(width, width, 3, padding=1), nn.ReLU()),
            *(nn.ConvTranspose1d(width, 1, 8, stride=4, padding=2), nn.Tanh()),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Mono sounds ``(N, 1, T)`` in [-1, 1] to as many of the same length.

        T is divisible by four: `multiple: 4` in registry.yaml sees to that. Each channel of stereo comes alone.
        """
        sounds: Tensor = self.layers(x)
        return sounds
