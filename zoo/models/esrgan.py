"""ESRGAN: photos larger, by dense residual blocks without batch norm.

Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", 2018, https://arxiv.org/abs/1809.00219,
with the networks for factors 1 and 2 of Wang et al., "Real-ESRGAN", 2021, https://arxiv.org/abs/2107.10833
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import InputError
from zoo.model import Model, Rewrites

RESIDUAL = 0.2  # section 3.1: what a block adds is scaled down, or deep networks do not train


def activate(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


class DenseBlock(nn.Module):
    """Five 3x3 convolutions, each of which sees the input and all before it; maps ``(N, C, H, W)``."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, growth, 3, padding=1)
        self.conv2 = nn.Conv2d(width + growth, growth, 3, padding=1)
        self.conv3 = nn.Conv2d(width + 2 * growth, growth, 3, padding=1)
        self.conv4 = nn.Conv2d(width + 3 * growth, growth, 3, padding=1)
        self.conv5 = nn.Conv2d(width + 4 * growth, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen = torch.cat([seen, activate(conv(seen))], 1)
        maps: Tensor = x + RESIDUAL * self.conv5(seen)
        return maps


class RRDB(nn.Module):
    """Residual in residual: three dense blocks around which the input goes, too; maps ``(N, C, H, W)``."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(width, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = x + RESIDUAL * self.rdb3(self.rdb2(self.rdb1(x)))
        return maps


class ESRGAN(Model):
    """The generator of ESRGAN, whose convolutions all work at a quarter of the output's size or more.

    For factors below 4 the input is first folded, pixels into channels (Real-ESRGAN, section 3.4). Modules have the
    names of BasicSR's RRDBNet.

    Args:
        scale: how many times larger: 1, 2 or 4.
        width: channels of the maps.
        blocks: RRDBs.
        growth: channels that each convolution adds in a dense block.
        channels: 1 for grey, 3 for RGB.

    Raises:
        ValueError: for another scale.
    """

    rewrites = Rewrites(("pack",), ("pack",))

    def __init__(self, scale: int = 4, width: int = 64, blocks: int = 23, growth: int = 32, channels: int = 3) -> None:
        super().__init__()
        if scale not in (1, 2, 4):
            raise ValueError(f"scale must be 1, 2 or 4, not {scale}.")
        self.fold = 4 // scale
        self.conv_first = nn.Conv2d(channels * self.fold**2, width, 3, padding=1)
        self.body = nn.Sequential(*(RRDB(width, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(width, width, 3, padding=1)
        self.conv_up1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv_up2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv_hr = nn.Conv2d(width, width, 3, padding=1)
        self.conv_last = nn.Conv2d(width, channels, 3, padding=1)
        self.receptive_radius = self.fold * (
            15 * blocks + 4
        )  # five convolutions three times in a block; first, after, enlarged

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, H, W)`` to ``(N, channels, scale * H, scale * W)``, both in [-1, 1].

        H and W are divisible by ``4 / scale``. The output is not bounded: a network that was trained stays near.
        """
        if any(side % self.fold for side in x.shape[2:]):
            raise InputError(f"Height and width must be divisible by {self.fold}, not {x.shape[2]} and {x.shape[3]}.")
        x = self.conv_first(F.pixel_unshuffle((x + 1) / 2, self.fold))  # trained for pixels in [0, 1]
        x = x + self.conv_body(self.body(x))
        for conv in (self.conv_up1, self.conv_up2):
            x = activate(conv(F.interpolate(x, scale_factor=2.0)))
        images: Tensor = self.conv_last(activate(self.conv_hr(x)))
        return 2 * images - 1
