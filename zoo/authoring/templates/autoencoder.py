"""Starry: an image through a short code and back.

What the network is, in a sentence or two, and the link to its paper, stand here.
"""

from __future__ import annotations

from torch import Tensor, nn
from zoo.model import Autoencoder


class Starry(Autoencoder):
    """Convolutions that halve the image three times, a code, and the same backwards.

    Args:
        size: height and width of the images: 8, 16, 32, ...
        width: channels of the first maps.
        code: numbers of a code.
    """

    def __init__(self, size: int = 32, width: int = 32, code: int = 64) -> None:
        super().__init__()
        if size % 8:
            raise ValueError(f"size must be divisible by 8, not {size}.")
        shape = (4 * width, size // 8, size // 8)
        numbers = shape[0] * shape[1] * shape[2]
        self.encoder = nn.Sequential(
            *(nn.Conv2d(3, width, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(numbers, code)),
        )
        self.decoder = nn.Sequential(
            *(nn.Linear(code, numbers), nn.Unflatten(1, shape), nn.ReLU()),
            *(nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.ConvTranspose2d(width, 3, 4, stride=2, padding=1), nn.Tanh()),
        )

    def encode(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, size, size)`` in [-1, 1] to codes ``(N, code)``."""
        codes: Tensor = self.encoder(x)
        return codes

    def decode(self, z: Tensor) -> Tensor:
        """Codes ``(N, code)`` to images ``(N, 3, size, size)`` in [-1, 1]."""
        images: Tensor = self.decoder(z)
        return images
