"""Starry: images of what a text says, from noise.

What the network is, in a sentence or two, and the link to its paper, stand here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from zoo.model import Generator


class Starry(Generator):
    """Convolutions that double a map of 4x4 until it is an image; the mean of its bytes stands for a text.

    Args:
        size: height and width of the images: 8, 16, 32, ...
        width: channels of the maps.
        latent: numbers of a latent.
    """

    def __init__(self, size: int = 32, width: int = 32, latent: int = 64) -> None:
        super().__init__()
        if size < 8 or size & (size - 1):
            raise ValueError(f"size must be 8, 16, 32, ..., not {size}.")
        self.latent_shape = (latent,)
        self.bytes = nn.Embedding(256, latent)
        layers: list[nn.Module] = [nn.Linear(latent, 16 * width), nn.Unflatten(1, (width, 4, 4)), nn.ReLU()]
        for _ in range(size.bit_length() - 3):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, padding=1)]
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 3, 3, padding=1), nn.Tanh())

    def decode(self, z: Tensor, text: list[str]) -> Tensor:
        """Latents ``(N, latent)`` and N texts to images ``(N, 3, size, size)`` in [-1, 1]."""
        images: Tensor = self.layers(z + torch.stack([self._embedded(one, z) for one in text]))
        return images

    def _embedded(self, text: str, z: Tensor) -> Tensor:
        numbers = torch.tensor(list(text.encode()) or [0], device=z.device)
        mean: Tensor = self.bytes(numbers).mean(0)
        return mean
