"""Starry: images of a class that one asks for, from noise.

What the network is, in a sentence or two, and the link to its paper, stand here.
"""

from __future__ import annotations

from torch import Tensor, nn
from zoo.model import Generator


class Starry(Generator):
    """Convolutions that double a map of 4x4 until it is an image; the class scales the latent.

    Args:
        size: height and width of the images: 8, 16, 32, ...
        classes: how many there are.
        width: channels of the maps.
        latent: numbers of a latent.
    """

    def __init__(self, size: int = 32, classes: int = 2, width: int = 32, latent: int = 64) -> None:
        super().__init__()
        if size < 8 or size & (size - 1):
            raise ValueError(f"size must be 8, 16, 32, ..., not {size}.")
        self.latent_shape = (latent,)
        self.classes = nn.Embedding(classes, latent)
        layers: list[nn.Module] = [nn.Linear(latent, 16 * width), nn.Unflatten(1, (width, 4, 4)), nn.ReLU()]
        for _ in range(size.bit_length() - 3):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, padding=1)]
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 3, 3, padding=1), nn.Tanh())

    def decode(self, z: Tensor, label: Tensor) -> Tensor:
        """Latents ``(N, latent)`` and classes ``(N,)`` to images ``(N, 3, size, size)`` in [-1, 1].

        ``label`` is the condition of this name in registry.yaml, as the index of the choice.
        """
        images: Tensor = self.layers(z * self.classes(label))
        return images
