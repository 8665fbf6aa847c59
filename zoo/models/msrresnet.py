"""MSRResNet: SRResNet as ESRGAN's authors changed it, without batch norm and without the long skip.

Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", 2018, https://arxiv.org/abs/1809.00219;
the network is in their code, BasicSR
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.model import Model
from zoo.models.blocks import ResidualBlock


class MSRResNet(Model):
    """Residual blocks at the input's size, sub-pixel convolutions, and all of it added to the bilinear enlargement.

    Modules have the names of BasicSR's MSRResNet.

    Args:
        scale: how many times larger: 2, 3 or 4.
        width: channels of the maps.
        blocks: residual blocks.
        channels: 1 for grey, 3 for RGB.

    Raises:
        ValueError: for another scale.
    """

    def __init__(self, scale: int = 4, width: int = 64, blocks: int = 16, channels: int = 3) -> None:
        super().__init__()
        if scale not in (2, 3, 4):
            raise ValueError(f"scale must be 2, 3 or 4, not {scale}.")
        self.scale = scale
        step = 3 if scale == 3 else 2
        self.conv_first = nn.Conv2d(channels, width, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(width, None, nn.ReLU(True), bias=True) for _ in range(blocks)))
        self.upconv1 = nn.Conv2d(width, step**2 * width, 3, padding=1)
        if scale == 4:
            self.upconv2 = nn.Conv2d(width, step**2 * width, 3, padding=1)
        self.shuffle = nn.PixelShuffle(step)
        self.conv_hr = nn.Conv2d(width, width, 3, padding=1)
        self.conv_last = nn.Conv2d(width, channels, 3, padding=1)
        self.act = nn.LeakyReLU(0.1, True)
        self.receptive_radius = (
            2 * blocks + 3
        )  # the first convolution, and those behind the blocks, which come to two pixels at most

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, H, W)`` in [-1, 1] to ``(N, channels, scale * H, scale * W)``, about that range."""
        x = (x + 1) / 2  # trained for pixels in [0, 1]
        maps = self.body(self.act(self.conv_first(x)))
        maps = self.act(self.shuffle(self.upconv1(maps)))
        if self.scale == 4:
            maps = self.act(self.shuffle(self.upconv2(maps)))
        images: Tensor = self.conv_last(self.act(self.conv_hr(maps)))
        images = images + F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return 2 * images - 1
