"""GAN: small images from noise, with a perceptron.

Goodfellow et al., "Generative Adversarial Networks", 2014, https://arxiv.org/abs/1406.2661
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo.model import Generator


class GAN(Generator):
    """The generator of the first GAN: a perceptron with several layers, without any convolution.

    As in the paper each layer sees all of the one before. Later than the paper are batch norm and leaky ReLU in the
    hidden layers, and tanh at the end.

    Args:
        size: height and width of the images.
        channels: 1 for grey, 3 for RGB.
        widths: units of the hidden layers, one or more.
        latent: length of the latent vector, standard normal.

    Raises:
        ValueError: for no hidden layer, and sizes below 1.
    """

    def __init__(self, size: int = 28, channels: int = 1, widths: Sequence[int] = (256, 512), latent: int = 64) -> None:
        super().__init__()
        if size < 1 or not widths:
            raise ValueError(f"size must be 1 or more with one hidden layer at least, not {size} with {list(widths)}.")
        self.shape = (channels, size, size)
        self.latent_shape = (latent,)
        layers: list[nn.Module] = []
        for narrow, wide in pairwise((latent, *widths)):
            layers += [nn.Linear(narrow, wide, bias=False), nn.BatchNorm1d(wide), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(widths[-1], channels * size * size)

    @torch.no_grad()
    def start_at(self, mean: Tensor) -> None:
        """Begin with the mean of the data ``(channels, size, size)`` in [-1, 1], and small differences from it.

        What is always black then is black from the first step on, and stays so.
        """
        self.output.bias.copy_(torch.atanh(0.999 * mean).flatten())
        self.output.weight.mul_(0.1)

    def decode(self, z: Tensor) -> Tensor:
        """Latents ``(N, latent)`` to images ``(N, channels, size, size)`` in [-1, 1]."""
        images: Tensor = torch.tanh(self.output(self.layers(z))).unflatten(1, self.shape)
        return images
