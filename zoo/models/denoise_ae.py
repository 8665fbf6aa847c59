"""Denoising autoencoder for photos: a noisy image through an encoder and a decoder, whose answer is the noise.

Vincent et al., "Extracting and Composing Robust Features with Denoising Autoencoders", 2008,
https://doi.org/10.1145/1390156.1390294. The network is a residual U-Net as DRUNet (Zhang et al. 2021,
https://arxiv.org/abs/2008.13751), with pixel-unshuffled input as FFDNet (Zhang et al. 2018,
https://arxiv.org/abs/1710.04026), that predicts the noise as DnCNN (Zhang et al. 2017,
https://arxiv.org/abs/1608.03981).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.model import Model, Rewrites
from zoo.models.blocks import ResidualBlock, zeroed


class DenoiseAE(Model):
    """A residual U-Net without biases: what it takes for noise is subtracted from the image.

    Without biases the network scales with its input, so it cleans noise of other levels than it was trained for (Mohan
    et al. 2020, https://arxiv.org/abs/1906.05478), and needs not be told the level.

    Args:
        channels: 1 for grey, 3 for RGB.
        widths: channels of the maps at each resolution, from the finest; each is half as fine as the one before.
        blocks: residual blocks on the way down and on the way up, and at the coarsest resolution, of each width.
        patch: side of the patches of pixels that the finest maps are made of.

    Raises:
        ValueError: for no widths, and patches without pixels.
    """

    rewrites = Rewrites(("shuffle", "pack"), ("shuffle", "pack"))

    def __init__(
        self, channels: int = 3, widths: Sequence[int] = (48, 96, 144), blocks: int = 2, patch: int = 2
    ) -> None:
        super().__init__()
        if not widths or patch < 1:
            raise ValueError(f"widths must name at least one, and patch be at least 1, not {list(widths)} and {patch}.")
        depth = channels * patch**2

        def residual(width: int) -> nn.Sequential:
            stack = [ResidualBlock(width, None, nn.ReLU(inplace=True), bias=False) for _ in range(blocks)]
            for block in stack:
                zeroed(block.conv2)
            return nn.Sequential(*stack)

        def coarser(fine: int, coarse: int) -> nn.Module:
            return nn.Conv2d(fine, coarse, 2, stride=2, bias=False)

        def finer(coarse: int, fine: int) -> nn.Module:
            return nn.ConvTranspose2d(coarse, fine, 2, stride=2, bias=False)

        self.head = nn.Sequential(nn.PixelUnshuffle(patch), nn.Conv2d(depth, widths[0], 3, padding=1, bias=False))
        self.down: Any = nn.ModuleList(
            nn.ModuleList([residual(fine), coarser(fine, coarse)]) for fine, coarse in pairwise(widths)
        )
        self.middle = residual(widths[-1])
        self.up: Any = nn.ModuleList(
            nn.ModuleList([finer(coarse, fine), residual(fine)]) for coarse, fine in pairwise(reversed(widths))
        )
        self.tail = nn.Sequential(zeroed(nn.Conv2d(widths[0], depth, 3, padding=1, bias=False)), nn.PixelShuffle(patch))
        # In pixels of the input: two 3x3 convolutions a block, down and up, a 3x3 convolution at both ends, and what a
        # pixel sees of its patch at the coarsest resolution.
        steps = [patch << level for level in range(len(widths))]
        radius = sum(4 * blocks * step for step in steps[:-1]) + (2 * blocks + 1) * steps[-1] + 2 * patch
        self.receptive_radius = radius
        # Where it looks for colour: in patches of the coarsest resolution, as many to each side as that radius holds.
        self.cell, self.cells = steps[-1], (radius + 1) // steps[-1] - 1

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, H, W)``, in [-1, 1] before the noise came, to clean ones of that shape.

        H and W are divisible by ``patch * 2 ** (len(widths) - 1)``.
        """
        maps = self.head(x)
        skips = []
        for residual, coarser in self.down:
            maps = residual(maps)
            skips.append(maps)
            maps = coarser(maps)
        maps = self.middle(maps)
        for finer, residual in self.up:
            maps = residual(finer(maps) + skips.pop())
        noise = self.tail(maps + skips[0] if skips else maps)
        return x - torch.where(self._grey(x), noise.mean(1, keepdim=True), noise)

    def _grey(self, x: Tensor) -> Tensor:
        """Where nothing in the field of view is in colour, bool ``(N, 1, H, W)``: there the answer is grey, too.

        To look at the whole image would be to look farther than the receptive radius: tiles would not equal the whole.
        """
        colour = F.max_pool2d((x - x[:, :1]).abs().amax(1, keepdim=True), self.cell)
        colour = F.max_pool2d(colour, 2 * self.cells + 1, 1, self.cells)
        return F.interpolate(colour, scale_factor=self.cell) == 0
