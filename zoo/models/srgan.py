"""SRGAN and its generator SRResNet: photos, four times larger.

Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", 2017,
https://arxiv.org/abs/1609.04802
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.model import Model


class Block(nn.Module):
    """``x + f(x)`` with two 3x3 convolutions, maps ``(N, C, H, W)``; section 2.1 of the paper."""

    def __init__(self, channels: int, norm: bool, act: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=not norm)
        self.norm1 = nn.BatchNorm2d(channels) if norm else nn.Identity()
        self.act = act
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=not norm)
        self.norm2 = nn.BatchNorm2d(channels) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x + self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))
        return made


class SRGAN(Model):
    """The generator of figure 4: residual blocks at the input's resolution, then sub-pixel convolutions.

    Args:
        scale: how many times larger the output is: 2, 4 or 8.
        channels: 1 for grey, 3 for RGB.
        width: channels of the maps.
        blocks: residual blocks.
        norm: batch norm in the blocks, as in the paper. EDSR (https://arxiv.org/abs/1707.02921) does better without.
        kernel: size of the first and the last convolution, odd.
        slope: of the activations for negative numbers; None for PReLU, which learns it, as in the paper. A fixed one
            trains twice as fast on a CPU.
        over_bilinear: whether what the network makes is added to the bilinear enlargement, so that it need not learn
            to pass the picture through.
    """

    def __init__(
        self,
        scale: int = 4,
        channels: int = 3,
        width: int = 64,
        blocks: int = 16,
        norm: bool = True,
        kernel: int = 9,
        slope: float | None = None,
        over_bilinear: bool = False,
    ) -> None:
        super().__init__()
        if scale not in (2, 4, 8):
            raise ValueError(f"scale must be 2, 4 or 8, not {scale}.")
        self.scale, self.over_bilinear = scale, over_bilinear

        def act() -> nn.Module:
            return nn.PReLU() if slope is None else nn.LeakyReLU(slope, inplace=True)

        self.head = nn.Sequential(nn.Conv2d(channels, width, kernel, padding=kernel // 2), act())
        self.blocks = nn.Sequential(*(Block(width, norm, act()) for _ in range(blocks)))
        self.neck = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=not norm), nn.BatchNorm2d(width) if norm else nn.Identity()
        )
        self.up = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), act())
                for _ in range(scale.bit_length() - 1)
            )
        )
        self.tail = nn.Conv2d(width, channels, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures ``(N, channels, H, W)`` in [-1, 1] to ``(N, channels, scale * H, scale * W)``, about that range."""
        features = self.head(x)
        made: Tensor = self.tail(self.up(features + self.neck(self.blocks(features))))
        if self.over_bilinear:
            made = made + F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return made
