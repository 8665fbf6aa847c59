"""Starry: images through a code whose distribution is known, so that it copies images and draws new ones.

What the network is, in a sentence or two, and the link to its paper, stand here.
"""

from __future__ import annotations

from torch import Tensor, nn
from zoo.model import Autoencoder


class Starry(Autoencoder):
    """A variational autoencoder: a code is standard normal, so that `latent_shape` lets it generate, too.

    Args:
        size: height and width of the images: 8, 16, 32, ...
        width: channels of the first maps.
        code: numbers of a code.
    """

    def __init__(self, size: int = 32, width: int = 32, code: int = 64) -> None:
        super().__init__()
        if size % 8:
            raise ValueError(f"size must be divisible by 8, not {size}.")
        self.latent_shape = (code,)
        shape = (4 * width, size // 8, size // 8)
        numbers = shape[0] * shape[1] * shape[2]
        self.encoder = nn.Sequential(
            *(nn.Conv2d(3, width, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(numbers, 2 * code)),
        )
        self.decoder = nn.Sequential(
            *(nn.Linear(code, numbers), nn.Unflatten(1, shape), nn.ReLU()),
            *(nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.ConvTranspose2d(width, 3, 4, stride=2, padding=1), nn.Tanh()),
        )

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance, ``(N, code)`` each, of the codes of images as in :meth:`encode`."""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        return mean, log_variance

    def encode(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, size, size)`` in [-1, 1] to codes ``(N, code)``: the means of their posteriors."""
        return self.posterior(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        """Codes ``(N, code)``, standard normal for new images, to images ``(N, 3, size, size)`` in [-1, 1]."""
        images: Tensor = self.decoder(z)
        return images
