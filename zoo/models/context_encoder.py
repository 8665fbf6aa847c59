"""Context encoder: what is missing of an image, from what is around it.

Pathak, Krähenbühl, Donahue, Darrell, Efros, "Context Encoders: Feature Learning by Inpainting", 2016,
https://arxiv.org/abs/1604.07379
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.model import Model, Rewrites
from zoo.models.blocks import zeroed


class ContextEncoder(Model):
    """An encoder and a decoder, with dilated convolutions between them, that correct a smooth fill.

    The fully connected layer in the middle of the paper's network sees the whole of an image of one size. Dilated
    convolutions, as in Iizuka et al. 2017 (https://doi.org/10.1145/3072959.3073659), see far in an image of any size.
    The network starts from a fill that is as smooth as what surrounds a hole allows (:func:`smooth_fill`), sees it with
    the mask, and adds what is lacking. The encoder begins at half the resolution, to which pixels are unshuffled, and
    ends at a sixteenth; the decoder sees its maps on the way back. There is no norm.

    Args:
        widths: channels at a half, a quarter, an eighth and a sixteenth of the resolution.
        dilations: of the residual blocks at each of these, before the coarser ones and after; at the coarsest there is
            one run of them.
    """

    rewrites = Rewrites(("pack",), ("pack",))

    def __init__(
        self,
        widths: Sequence[int] = (32, 48, 96, 192),
        dilations: Sequence[Sequence[int]] = ((1,), (1,), (1, 2, 1), (1, 2)),
    ) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(16, widths[0], 3, padding=1))
        self.before = nn.ModuleList(_blocks(width, each) for width, each in zip(widths, dilations, strict=True))
        self.after = nn.ModuleList(
            _blocks(width, each[::-1]) for width, each in zip(widths[:-1], dilations, strict=False)
        )
        steps = list(pairwise(widths))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in steps)
        self.up = nn.ModuleList(nn.Sequential(nn.Conv2d(b, 4 * a, 1), nn.PixelShuffle(2)) for a, b in steps)
        self.tail = nn.Sequential(nn.LeakyReLU(0.2), zeroed(nn.Conv2d(widths[0], 12, 3, padding=1)), nn.PixelShuffle(2))
        strides = [2 ** (i + 1) for i in range(len(widths))]
        reach = 2 * sum(stride * sum(each) for stride, each in zip(strides, dilations, strict=True))
        self.receptive_radius = reach + sum(strides) + 2 * strides[0] + 2 * strides[-1] + REACH

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` in [-1, 1] and masks ``(N, 1, H, W)``, 1 where to fill, to images like those given.

        What the mask does not name is returned as it is. H and W are multiples of 16.
        """
        known = x * (1 - mask)
        smooth = smooth_fill(known, 1 - mask)
        y = self.before[0](self.head(torch.cat([smooth, mask], 1)))
        maps: list[Tensor] = []
        for down, blocks in zip(self.down, list(self.before)[1:], strict=True):
            maps.append(y)
            y = blocks(down(y))
        for up, blocks in zip(reversed(self.up), reversed(self.after), strict=True):
            y = blocks(up(y) + maps.pop())
        filled: Tensor = known + (smooth + self.tail(y)) * mask
        return filled


HALVINGS, SPREADS, RELAXATIONS = 4, 4, 2
# How far a pixel of a smooth fill depends on others: at each size by what is done there, and by where its cells lie.
REACH = 2**HALVINGS * (SPREADS + RELAXATIONS + 1) + sum((RELAXATIONS + 1) * 2**i for i in range(HALVINGS))


def smooth_fill(known: Tensor, weight: Tensor) -> Tensor:
    """Fill holes smoothly from their edges, from coarse to fine, as multigrid solvers of Laplace's equation do.

    Args:
        known: images ``(N, C, H, W)``, 0 where nothing is known; H and W are multiples of 16.
        weight: ``(N, 1, H, W)``, 1 where something is known, else 0.

    Returns:
        ``(N, C, H, W)``. Further than 64 px from anything known there is 0.
    """
    tiny = torch.finfo(known.dtype).tiny
    sizes = [(known, weight)]
    for _ in range(HALVINGS):
        sizes.append((F.avg_pool2d(sizes[-1][0], 2), F.avg_pool2d(sizes[-1][1], 2)))
    coarse, seen = sizes[-1]
    for _ in range(SPREADS):  # to neighbours, each time by a cell
        around, weights = (F.avg_pool2d(value, 3, 1, 1) for value in (coarse, seen))
        empty = (seen == 0).to(seen.dtype)
        coarse, seen = coarse + empty * around, seen + empty * weights
    y = coarse / seen.clamp(min=tiny)
    for size, (total, weight) in enumerate(reversed(sizes)):
        if size:
            y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
        unknown = (weight == 0).to(y.dtype)
        mean = total / weight.clamp(min=tiny)
        y = mean * (1 - unknown) + y * unknown
        for _ in range(RELAXATIONS):
            y = mean * (1 - unknown) + F.avg_pool2d(y, 3, 1, 1, count_include_pad=False) * unknown
    return y


class _DilatedBlock(nn.Module):
    """``x + f(x)`` with a dilated 3x3 convolution and a 1x1 convolution that starts at zero."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.LeakyReLU(0.2), nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)),
            *(nn.LeakyReLU(0.2), zeroed(nn.Conv2d(channels, channels, 1))),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.layers(x)
        return y


def _blocks(channels: int, dilations: Sequence[int]) -> nn.Sequential:
    return nn.Sequential(*(_DilatedBlock(channels, dilation) for dilation in dilations))
