"""Blobs: round spots from noise, made by a formula with two trained numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from zoo.model import Generator


class Blobs(Generator):
    """One round spot in each image.

    Args:
        size: height and width of the images.
    """

    def __init__(self, size: int = 16) -> None:
        super().__init__()
        self.latent_shape = (2,)
        self.size = size
        self.sharpness = nn.Parameter(torch.tensor(4.0))
        self.spread = nn.Parameter(torch.tensor(0.3))

    def decode(self, z: Tensor, color: Tensor) -> Tensor:
        """Latents ``(N, 2)``, the spot's place, and ``color`` ``(N,)`` to ``(N, 3, size, size)`` in [-1, 1]."""
        line = torch.linspace(-1, 1, self.size, device=z.device, dtype=z.dtype)
        place = self.spread * z
        across = (line[None, :] - place[:, :1]) ** 2
        down = (line[None, :] - place[:, 1:]) ** 2
        spot = torch.exp(-self.sharpness * (down[:, :, None] + across[:, None, :]))
        return nn.functional.one_hot(color, 3)[:, :, None, None] * spot[:, None] * 2 - 1
