"""SRGAN and its generator SRResNet: photos, four times larger.

Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", 2017,
https://arxiv.org/abs/1609.04802
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.model import Model, Rewrites
from zoo.models.blocks import NORMS, ResidualBlock


class SRGAN(Model):
    """The generator of figure 4: residual blocks at the input's resolution, then sub-pixel convolutions.

    Args:
        scale: how many times larger the output is: 2, 4 or 8.
        channels: 1 for grey, 3 for RGB.
        width: channels of the maps.
        blocks: residual blocks.
        norm: "batch", as in the paper, "instance", or None, as in EDSR (https://arxiv.org/abs/1707.02921), which does
            better without.
        kernel: size of the first and the last convolution, odd.
        slope: of the activations for negative numbers; None for PReLU, which learns it, as in the paper. A fixed one
            trains twice as fast on a CPU.
        over_bilinear: whether what the network makes is added to the bilinear enlargement, so that it need not learn
            to pass the image through.
        bias: whether convolutions have one; None for those alone that no norm follows.
        unit: whether the network was trained for pixels in [0, 1].
        tanh: whether the output goes through tanh, and so to [-1, 1] whatever ``unit`` is.

    Raises:
        ValueError: for another scale or norm.
    """

    rewrites = Rewrites(("fold", "shuffle", "pack"), ("fold", "shuffle", "pack"))

    def __init__(
        self,
        scale: int = 4,
        channels: int = 3,
        width: int = 64,
        blocks: int = 16,
        norm: str | None = "batch",
        kernel: int = 9,
        slope: float | None = None,
        over_bilinear: bool = False,
        bias: bool | None = None,
        unit: bool = False,
        tanh: bool = False,
    ) -> None:
        super().__init__()
        if scale not in (2, 4, 8):
            raise ValueError(f"scale must be 2, 4 or 8, not {scale}.")
        if norm not in NORMS:
            raise ValueError(f"norm must be batch, instance or None, not {norm}.")
        self.scale, self.over_bilinear, self.unit, self.tanh = scale, over_bilinear, unit, tanh
        inner, outer = norm is None if bias is None else bias, bias is not False

        def act() -> nn.Module:
            return nn.PReLU() if slope is None else nn.LeakyReLU(slope, inplace=True)

        self.head = nn.Sequential(nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=outer), act())
        self.blocks = nn.Sequential(*(ResidualBlock(width, norm, act(), inner) for _ in range(blocks)))
        self.neck = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=inner), NORMS[norm](width))
        self.up = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(width, 4 * width, 3, padding=1, bias=outer), nn.PixelShuffle(2), act())
                for _ in range(scale.bit_length() - 1)
            )
        )
        self.tail = nn.Conv2d(width, channels, kernel, padding=kernel // 2, bias=outer)
        if norm != "instance":
            enlarged = sum(0.5**i for i in range(len(self.up))) + kernel // 2 / scale
            self.receptive_radius = math.ceil(kernel // 2 + 2 * blocks + 1 + enlarged)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, H, W)`` in [-1, 1] to ``(N, channels, scale * H, scale * W)``, about that range."""
        if self.unit:
            x = (x + 1) / 2
        features = self.head(x)
        images: Tensor = self.tail(self.up(features + self.neck(self.blocks(features))))
        if self.over_bilinear:
            images = images + F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        if self.tanh:
            return images.tanh()
        return 2 * images - 1 if self.unit else images
