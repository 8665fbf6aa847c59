"""Starry: fills the parts of an image that a mask names.

What the network is, in a sentence or two, and the link to its paper, stand here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from zoo.model import Model


class Starry(Model):
    """Convolutions at half the resolution, which see the image with holes, and the mask.

    Args:
        width: channels of the maps.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(4, width, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, padding=1), nn.ReLU()),
            *(nn.ConvTranspose2d(width, 3, 4, stride=2, padding=1), nn.Tanh()),
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` in [-1, 1] and masks ``(N, 1, H, W)``, 1 where to fill, to images like those given.

        H and W are even: `multiple: 2` in registry.yaml sees to that. `aligned: true` there says that the mask is
        cropped, padded and cut into tiles as the image is.
        """
        known = x * (1 - mask)
        filled: Tensor = self.layers(torch.cat([known, mask], 1))
        return known + filled * mask
