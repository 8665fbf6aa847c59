"""BrainGAN: small grey images of a class that one asks for, for the augmentation of small medical data.

Frid-Adar et al., "GAN-based synthetic medical image augmentation for increased CNN performance in liver lesion
classification", 2018, https://arxiv.org/abs/1803.01229, with one network for all classes, which sets the gains of every
layer by class and latent (Brock et al. 2018, https://arxiv.org/abs/1809.11096), in place of one DCGAN for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.model import Generator
from zoo.models.blocks import ConditionalNorm, zeroed
from zoo.models.cdcgan import with_class


class BrainGAN(Generator):
    """A generator with two convolutions a level, each behind a norm that class and latent set.

    Args:
        classes: how many there are.
        channels: 1 for grey, 3 for RGB.
        latent: length of the latent vector, standard normal.
        widths: channels of the maps at 4x4, 8x8, and so on; their number says how large images are.

    Attributes:
        size: height and width of the images, ``4 * 2 ** (len(widths) - 1)``.

    Raises:
        ValueError: for no widths.
    """

    def __init__(
        self,
        classes: int = 4,
        channels: int = 1,
        latent: int = 100,
        widths: Sequence[int] = (256, 160, 80, 40, 20),
    ) -> None:
        super().__init__()
        if not widths:
            raise ValueError("widths must have a number of channels for each level, one or more.")
        self.classes, self.latent_shape, self.size = classes, (latent,), 4 << (len(widths) - 1)
        length = latent + classes
        self.first = nn.Linear(length, 16 * widths[0], bias=False)
        self.first_norm = _norm(widths[0], length)
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        for wide, narrow in pairwise(widths):
            self.convs.append(nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=False))
            self.convs.append(nn.Conv2d(narrow, narrow, 3, padding=1, bias=False))
            self.norms.extend(_norm(narrow, length) for _ in range(2))
        self.last = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def init_weights(self) -> None:
        """Random weights of convolutions as in DCGAN: normal with deviation 0.02."""
        for module in [self.first, *self.convs, self.last]:
            nn.init.normal_(module.weight, 0, 0.02)

    def decode(self, z: Tensor, kind: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent)`` and classes ``(N,)`` to images ``(N, channels, size, size)`` in [-1, 1].

        Without a class the latent chooses one, each equally often: by its first number.
        """
        style = with_class(z, kind, self.classes)
        x = self.first(style).unflatten(1, (-1, 4, 4)).contiguous(memory_format=torch.channels_last)
        x = F.leaky_relu(self.first_norm(x, style), 0.2)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x), style), 0.2)
        return torch.tanh(self.last(x))


def _norm(channels: int, length: int) -> ConditionalNorm:
    """A norm that no vector changes until it has learnt."""
    norm = ConditionalNorm(channels, length)
    zeroed(norm.style)
    return norm
