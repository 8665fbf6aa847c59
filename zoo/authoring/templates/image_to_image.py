"""Starry: one kind of image into another, of any size.

What the network is, in a sentence or two, and the link to its paper, stand here.
"""

from __future__ import annotations

from torch import Tensor, nn
from zoo.model import Model


class Starry(Model):
    """Convolutions at half the resolution, between one that halves and one that doubles.

    Args:
        width: channels of the maps.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, width, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, padding=1), nn.ReLU()),
            *(nn.ConvTranspose2d(width, 3, 4, stride=2, padding=1), nn.Tanh()),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` to as many of the same size, all in [-1, 1].

        H and W are even: `multiple: 2` in registry.yaml sees to that.
        """
        images: Tensor = self.layers(x)
        return images
