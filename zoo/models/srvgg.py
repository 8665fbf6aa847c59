"""SRVGGNetCompact: photos and drawings larger, by a plain chain of convolutions at the input's size.

Wang et al., "Real-ESRGAN", 2021, https://arxiv.org/abs/2107.10833, whose code has it as a small network for videos
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.model import Model, Rewrites


class SRVGG(Model):
    """3x3 convolutions and PReLUs, then pixels out of channels, added to the repeated pixels of the input.

    Modules have the names of Real-ESRGAN's SRVGGNetCompact.

    Args:
        scale: how many times larger.
        width: channels of the maps.
        convs: convolutions between the first and the last.
        channels: 1 for grey, 3 for RGB.
    """

    rewrites = Rewrites(("pack",), ("pack",))

    def __init__(self, scale: int = 4, width: int = 64, convs: int = 16, channels: int = 3) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.PReLU(width)]
        for _ in range(convs):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.PReLU(width)]
        self.body = nn.Sequential(*layers, nn.Conv2d(width, channels * scale**2, 3, padding=1))
        self.receptive_radius = convs + 2

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, H, W)`` in [-1, 1] to ``(N, channels, scale * H, scale * W)``, about that range."""
        x = (x + 1) / 2  # trained for pixels in [0, 1]
        images = F.pixel_shuffle(self.body(x), self.scale) + F.interpolate(x, scale_factor=self.scale)
        return 2 * images - 1
