"""DCGAN: images from noise with a fully convolutional generator.

Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", 2015, https://arxiv.org/abs/1511.06434
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo.model import Generator, Rewrites


class DCGAN(Generator):
    """The generator of Radford et al. 2015, for any image size.

    A latent vector is projected to a 4x4 map; each further layer doubles the map and halves the channels,
    with batch norm and ReLU (section 3 of the paper); the last one ends in tanh. Modules stand in one
    sequence called ``main``, so that the keys of the state dict are those of pytorch/examples.

    Args:
        size: height and width of the images, at least 8. The network works at the next power of two and
            the centre is cut out, so that 28 needs no resized data.
        channels: 1 for grey, 3 for RGB.
        width: channels of the last hidden map; the map at 4x4 has ``width * 2 ** (doublings - 1)``.
            64 px and width 128 are the network in figure 1 of the paper.
        latent: length of the latent vector, standard normal.

    Raises:
        ValueError: for a smaller size.
    """

    rewrites = Rewrites(("fold", "pack"), ("fold", "pack"))

    def __init__(self, size: int = 64, channels: int = 3, width: int = 128, latent: int = 100) -> None:
        super().__init__()
        if size < 8:
            raise ValueError(f"size must be a whole number from 8, not {size}.")
        doublings = (size - 1).bit_length() - 2  # 4 * 2 ** doublings >= size
        self.size = size
        self.latent_shape = (latent,)
        hidden = [width * 2**i for i in reversed(range(doublings))]
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, hidden[0], 4, bias=False)]
        for wide, narrow in pairwise(hidden):
            layers += [nn.BatchNorm2d(wide), nn.ReLU(True)]
            layers += [nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(width), nn.ReLU(True)]
        layers += [nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def init_weights(self) -> None:
        """Random weights as in section 3 of the paper: normal with deviation 0.02, those of batch norm around 1."""
        self.to(memory_format=torch.channels_last)  # the order in which random weights are laid down
        for module in self.modules():
            if isinstance(module, nn.ConvTranspose2d):
                nn.init.normal_(module.weight, 0, 0.02)
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1, 0.02)

    def decode(self, z: Tensor) -> Tensor:
        """Latents ``(N, latent)`` to images ``(N, channels, size, size)`` in [-1, 1]."""
        x: Tensor = self.main(z[:, :, None, None])
        edge = (x.shape[-1] - self.size) // 2
        return x[..., edge : edge + self.size, edge : edge + self.size]
