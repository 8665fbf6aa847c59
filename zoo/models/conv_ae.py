"""Convolutional autoencoder: an image through a short code and back.

Hinton, Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", 2006,
https://doi.org/10.1126/science.1127647; convolutional as in Masci et al., "Stacked Convolutional
Auto-Encoders for Hierarchical Feature Extraction", 2011, https://doi.org/10.1007/978-3-642-21735-7_7
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.model import Autoencoder, Rewrites
from zoo.models.blocks import zeroed


class Residual(nn.Module):
    """``x + f(x)`` with two 3x3 convolutions behind their activations (He et al. 2016), maps ``(N, C, H, W)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1, bias=False)),
            *(nn.BatchNorm2d(channels), nn.ReLU(), zeroed(nn.Conv2d(channels, channels, 3, padding=1))),
        )

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = x + self.body(x)
        return maps


class ConvAE(Autoencoder):
    """A convolutional autoencoder whose code is a plain vector: the bottleneck is real.

    The convolutions work on patches (pixel unshuffle, Shi et al. 2016) and halve the map between ``widths``.
    Beside them a linear path at a lower resolution runs into and out of the same code. The best it can do alone
    is PCA, and training starts there (:meth:`start_at_pca`): the convolutions learn what PCA cannot. The last of them
    see the linear path's image and repair it.

    Args:
        size: height and width of the images, divisible by ``patch * 2 ** (len(widths) - 1)``.
        channels: 1 for grey, 3 for RGB.
        code: numbers in the code.
        patch: side of the patches.
        widths: channels at each resolution, from the finest.
        blocks: residual blocks that repair the image at the end.
        reduction: how many times smaller than the images those of the linear path are.

    Raises:
        ValueError: for another size, or no widths.
    """

    rewrites = Rewrites(("fold",), ("fold", "pack"))

    def __init__(
        self,
        size: int = 64,
        channels: int = 3,
        code: int = 256,
        patch: int = 4,
        widths: Sequence[int] = (96, 96, 64),
        blocks: int = 3,
        reduction: int = 2,
    ) -> None:
        super().__init__()
        if not widths or min(patch, reduction) < 1:
            raise ValueError(
                f"widths must name at least one, and patch and reduction be at least 1, not {list(widths)}, {patch} "
                f"and {reduction}."
            )
        divisor = math.lcm(reduction, patch << (len(widths) - 1))
        if size < divisor or size % divisor:
            raise ValueError(f"size must be divisible by {divisor}, not {size}.")
        self.reduction = reduction
        self.coarse = (channels, size // reduction, size // reduction)
        pixels = math.prod(self.coarse)
        side = size // patch >> (len(widths) - 1)
        smallest = (widths[-1], side, side)
        features = widths[-1] * side**2
        depth = channels * patch**2
        self.linear_encoder = nn.Linear(pixels, code)
        self.linear_decoder = nn.Linear(code, pixels)

        encoder: list[nn.Module] = [nn.PixelUnshuffle(patch), nn.Conv2d(depth, widths[0], 3, padding=1)]
        encoder += [Residual(widths[0])]
        for fine, coarse in pairwise(widths):
            encoder += [nn.Conv2d(fine, coarse, 4, stride=2, padding=1), Residual(coarse)]
        encoder += [nn.BatchNorm2d(widths[-1]), nn.ReLU(), nn.Flatten(), zeroed(nn.Linear(features, code))]
        self.encoder = nn.Sequential(*encoder)

        decoder: list[nn.Module] = [nn.Linear(code, features), nn.Unflatten(1, smallest)]
        for coarse, fine in pairwise(reversed(widths)):
            decoder += [Residual(coarse), nn.ConvTranspose2d(coarse, fine, 4, stride=2, padding=1)]
        self.decoder = nn.Sequential(*decoder)

        self.unshuffle = nn.PixelUnshuffle(patch)
        self.refine = nn.Sequential(
            nn.Conv2d(depth + widths[0], widths[0], 3, padding=1),
            *(Residual(widths[0]) for _ in range(blocks)),
            *(nn.BatchNorm2d(widths[0]), nn.ReLU()),
            *(zeroed(nn.Conv2d(widths[0], depth, 3, padding=1)), nn.PixelShuffle(patch)),
        )

    def encode(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, size, size)`` in [-1, 1] to codes ``(N, code)``."""
        codes: Tensor = self.linear_code(x) + self.encoder(x)
        return codes

    def linear_code(self, x: Tensor) -> Tensor:
        """What the linear path puts into the code: ``(N, code)``."""
        codes: Tensor = self.linear_encoder(F.avg_pool2d(x, self.reduction).flatten(1))
        return codes

    def decode(self, z: Tensor) -> Tensor:
        """Codes ``(N, code)`` to images ``(N, channels, size, size)``, about in [-1, 1]."""
        coarse = F.interpolate(
            self.linear_decoder(z).unflatten(1, self.coarse), scale_factor=self.reduction, mode="bilinear"
        )
        images: Tensor = coarse + self.refine(torch.cat([self.unshuffle(coarse), self.decoder(z)], 1))
        return images

    @torch.no_grad()
    def start_at_pca(self, images: Tensor) -> None:
        """Fit PCA to images ``(N, channels, size, size)`` in [-1, 1] and make the linear path PCA.

        It sees them at its own resolution. The numbers of the code start with variance 1.
        """
        pixels = F.avg_pool2d(images, self.reduction).flatten(1)
        mean = pixels.mean(0)
        variances, vectors = torch.linalg.eigh(torch.cov(pixels.T.double()))
        best = slice(-self.linear_encoder.out_features, None)
        components, scales = vectors[:, best].T.float(), variances[best].clamp(min=1e-6).sqrt().float()
        self.linear_encoder.weight.copy_(components / scales[:, None])
        self.linear_encoder.bias.copy_(-self.linear_encoder.weight @ mean)
        self.linear_decoder.weight.copy_(components.T * scales)
        self.linear_decoder.bias.copy_(mean)
