"""Progressive GAN: images from noise, with a generator that learns small images first and grows.

Karras, Aila, Laine, Lehtinen, "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2017,
https://arxiv.org/abs/1710.10196
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import NormalDist

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.model import Generator
from zoo.models.blocks import Smoothing

RARE = 1e-9  # a share of this and less is as good as none


def spread(weight: Tensor) -> Tensor:
    """The 4x4 kernels that do what 3x3 kernels ``(..., 3, 3)`` do with the sums of 2x2 neighbours."""
    padded = F.pad(weight, (1, 1, 1, 1))
    return padded[..., 1:, 1:] + padded[..., 1:, :-1] + padded[..., :-1, 1:] + padded[..., :-1, :-1]


def enlarging_conv(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The nearest-neighbour enlargement of maps ``(N, C, H, W)``, then a 3x3 convolution: ``(N, D, 2 H, 2 W)``.

    In one transposed convolution, which takes 2.25 times fewer multiplications.
    """
    return F.conv_transpose2d(x, spread(weight).flip(2, 3).transpose(0, 1), bias, stride=2, padding=1)


class EqualizedConv2d(nn.Conv2d):
    """A convolution with an equalised learning rate (section 4.1 of the paper): He's constant multiplies at run time.

    Weights are standard normal at first, so that Adam moves them all at one speed. As in pytorch_GAN_zoo, the constant
    multiplies the bias, too.

    Args:
        c_in: channels of the maps ``(N, c_in, H, W)`` that it takes.
        c_out: of those that it gives.
        kernel: its side, 1 or 3.
        resample: ``up`` for the nearest-neighbour enlargement of what it takes to ``(2 H, 2 W)``, ``down`` for the mean
            of 2x2 pixels of what it gives; either in one with the convolution, which takes 2.25 times fewer
            multiplications than one after the other.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int = 3, resample: str = "") -> None:
        super().__init__(c_in, c_out, kernel, padding=kernel // 2)
        self.resample, self.constant = resample, math.sqrt(2 / (c_in * kernel**2))
        nn.init.normal_(self.weight)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        assert self.bias is not None
        weight, bias = self.weight * self.constant, self.bias * self.constant
        if not self.resample:
            maps: Tensor = self._conv_forward(x, weight, bias)
            return maps
        if self.resample == "up":
            return enlarging_conv(x, weight, bias)
        return F.conv2d(x, spread(weight) / 4, bias, stride=2, padding=1)


class EqualizedLinear(nn.Linear):
    """The same for vectors ``(N, c_in)`` to ``(N, c_out)``."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(c_in, c_out)
        self.constant = math.sqrt(2 / c_in)
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.constant, self.bias * self.constant)


def pixel_norm(x: Tensor) -> Tensor:
    """Features of each sample or pixel, ``(N, C, ...)``, at a mean square of one (section 4.2)."""
    return F.rms_norm(x.movedim(1, -1), x.shape[1:2], eps=1e-8).movedim(-1, 1)


def as_grown(x: Tensor, levels: int, grown: float) -> Tensor:
    """Images ``(N, C, size, size)`` with no more detail than a network of ``levels`` above 4x4 has at this stage.

    Args:
        x: images, whose size is ``4 * 2 ** levels``.
        levels: of a network that has grown up.
        grown: as in :class:`ProGAN`.
    """

    def at(level: int) -> Tensor:
        times = 1 << (levels - level)
        return F.interpolate(F.avg_pool2d(x, times), scale_factor=float(times)) if times > 1 else x

    last = math.ceil(grown)
    return at(last) if grown == last else torch.lerp(at(last - 1), at(last), 1 - last + grown)


class ProGAN(Generator):
    """The generator of Karras et al. 2017.

    A latent vector becomes a map at 4x4, and each further level doubles it; two 3x3 convolutions a level, with leaky
    ReLU and pixel norm behind each, and a 1x1 convolution from the maps of every level to colours. While it grows, the
    colours of the newest level are blended with the enlarged ones of the level below.

    Args:
        channels: 1 for grey, 3 for RGB.
        latent: length of the latent vector, standard normal.
        widths: channels of the maps at 4x4, 8x8, and so on; their number says how large images are.
        grown: levels that the network has grown by above 4x4; a fraction is the share of the newest in the colours.
            None for all. Images of a network that is not grown yet are enlarged to their size.
        smoothing: of images that are drawn, a difference of colours as :class:`~zoo.models.blocks.Smoothing` takes it,
            which they go through once; 0 for none.
        shares: of attributes that have some values each, such as colours of hair, the shares of these. Each attribute
            takes one of the latent's numbers, from the first on: which value that stands for is what the network sees
            of it. None by default.

    Attributes:
        size: height and width of the images, ``4 * 2 ** (len(widths) - 1)``.
        grown: the same as the argument.

    Raises:
        ValueError: for no widths, for more levels than there are, and for a latent that is shorter than the attributes
            are many.
    """

    def __init__(
        self,
        channels: int = 3,
        latent: int = 512,
        widths: Sequence[int] = (512, 512, 512, 512, 256, 128, 64),
        grown: float | None = None,
        smoothing: float = 0.0,
        shares: Sequence[Sequence[float]] = (),
    ) -> None:
        super().__init__()
        if not widths:
            raise ValueError("widths must have a number of channels for each level, one or more.")
        most = len(widths) - 1
        if grown is not None and not 0 <= grown <= most:
            raise ValueError(f"grown must be a number from 0 to {most}, the levels above 4x4, not {grown}.")
        if len(shares) > latent:
            raise ValueError(f"latent must be {len(shares)} or more, a number for each attribute, not {latent}.")
        self.widths, self.size, self.latent_shape = tuple(widths), 4 << most, (latent,)
        self.grown: float = most if grown is None else grown
        self.values = tuple(map(len, shares))
        self.borders = [
            [NormalDist().inv_cdf(min(max(x, RARE), 1 - RARE)) for x in accumulate(of[:-1])] for of in shares
        ]
        self.first = EqualizedLinear(latent - len(shares) + sum(self.values), 16 * widths[0])
        self.levels = nn.ModuleList([nn.ModuleList([EqualizedConv2d(widths[0], widths[0])])])
        for wide, narrow in pairwise(widths):
            self.levels.append(
                nn.ModuleList([EqualizedConv2d(wide, narrow, resample="up"), EqualizedConv2d(narrow, narrow)])
            )
        self.to_rgb = nn.ModuleList(EqualizedConv2d(width, channels, 1) for width in widths)
        self.smoothing = Smoothing(smoothing, passes=1) if smoothing else nn.Identity()

    def one_hots(self, z: Tensor) -> list[Tensor]:
        """Which value of each attribute latents ``(N, latent)`` stand for: 1 for that, else 0, ``(N, values)`` each."""
        above = [(z[:, i, None] > z.new_tensor(borders)).to(z.dtype) for i, borders in enumerate(self.borders)]
        return [F.pad(x, (1, 0), value=1.0) - F.pad(x, (0, 1)) for x in above]

    def decode(self, z: Tensor) -> Tensor:
        """Latents ``(N, latent)`` to images ``(N, channels, size, size)``, in [-1, 1] for the most part."""
        of_values = [one_hot * math.sqrt(one_hot.shape[1]) for one_hot in self.one_hots(z)]  # a mean square of one
        x = F.leaky_relu(self.first(pixel_norm(torch.cat([*of_values, z[:, len(of_values) :]], 1))), 0.2)
        x = pixel_norm(x.unflatten(1, (-1, 4, 4)).contiguous(memory_format=torch.channels_last))
        last = math.ceil(self.grown)
        below = x
        for level in self.levels[: last + 1]:
            below = x
            for conv in level.children():
                x = pixel_norm(F.leaky_relu(conv(x), 0.2))
        rgb: Tensor = self.to_rgb[last](x)
        if self.grown < last:
            rgb = torch.lerp(F.interpolate(self.to_rgb[last - 1](below), scale_factor=2.0), rgb, 1 - last + self.grown)
        rgb = F.interpolate(rgb, (self.size, self.size)) if rgb.shape[-1] < self.size else rgb
        smooth: Tensor = self.smoothing(rgb)
        return smooth
