"""An autoencoder that gives back what is normal and repairs what is not: the difference shows an anomaly.

Trained on normal images with drawn defects, as in Zavrtanik et al., "DRAEM: A discriminatively trained reconstruction
embedding for surface anomaly detection", 2021, https://arxiv.org/abs/2108.07610, in place of masks alone as in
"Reconstruction by inpainting for visual anomaly detection" (RIAD), 2021, https://doi.org/10.1016/j.patcog.2020.107706
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from zoo.model import Model, Rewrites
from zoo.models.blocks import zeroed
from zoo.models.conv_ae import Residual

# Of a sum, what goes on. Norms follow, so it changes nothing but how large their statistics become in training: weights
# are kept in float16, which holds variances up to 65,504.
SHARE = 1 / 16


class AnomalyAE(Model):
    """A U-Net over patches (pixel unshuffle, Shi et al. 2016) that changes an image only where it opens a gate.

    The output is ``x + gate * change``, the gate between 0 and 1 for every pixel. What is normal comes back as it is,
    and the gate says where that is not so: it is the anomaly map, which DRAEM has a second network for.

    Args:
        channels: 1 for grey, 3 for RGB.
        patch: side of the patches.
        widths: channels at each resolution, from the finest; each is half as fine as the one before.
        blocks: residual blocks at each resolution, on the way down and on the way up.

    Raises:
        ValueError: for no widths, or a patch of no pixels.
    """

    rewrites = Rewrites(("fold",), ("fold", "pack"))

    def __init__(
        self, channels: int = 1, patch: int = 4, widths: Sequence[int] = (48, 96, 96), blocks: int = 1
    ) -> None:
        super().__init__()
        if not widths or patch < 1:
            raise ValueError(f"widths must name at least one, and patch be at least 1, not {list(widths)} and {patch}.")
        depth = channels * patch**2

        def residuals(width: int) -> nn.Sequential:
            return nn.Sequential(*(Residual(width) for _ in range(blocks)))

        self.head = nn.Sequential(nn.PixelUnshuffle(patch), nn.Conv2d(depth, widths[0], 3, padding=1))
        self.encoder = nn.ModuleList(residuals(width) for width in widths)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths))
        self.decoder = nn.ModuleList(residuals(width) for width in widths)
        self.norm = nn.Sequential(nn.BatchNorm2d(widths[0]), nn.ReLU())
        self.change = nn.Sequential(zeroed(nn.Conv2d(widths[0], depth, 3, padding=1)), nn.PixelShuffle(patch))
        self.gate = nn.Sequential(nn.Conv2d(widths[0], patch**2, 3, padding=1), nn.PixelShuffle(patch))
        # A residual block sees 2 positions to each side, and there are two of them; a position is as wide as it says.
        cells = [patch << level for level in range(len(widths))]
        self.receptive_radius = sum(cell * (4 * blocks + 1) for cell in cells) + 2 * patch

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, H, W)`` in [-1, 1] to repaired ones, about in that range.

        H and W are divisible by ``patch * 2 ** (len(widths) - 1)``.
        """
        return self.repair(x)[0]

    def repair(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What :meth:`forward` gives, and the gate ``(N, 1, H, W)`` before its sigmoid."""
        features = self.head(x)
        skips = []
        for level, blocks in enumerate(self.encoder):
            features = blocks(self.down[level - 1](features) if level else features)
            skips.append(features)
        for level in reversed(range(len(skips))):
            if level < len(skips) - 1:
                features = SHARE * (skips[level] + self.up[level](features))
            features = self.decoder[level](features)
        features = self.norm(features)
        gate: Tensor = self.gate(features)
        return x + gate.sigmoid() * self.change(features), gate

    def anomaly_map(self, x: Tensor) -> Tensor:
        """Images as in :meth:`forward` to ``(N, 1, H, W)`` in [0, 1]: how sure it is that a pixel is not normal."""
        return self.repair(x)[1].sigmoid()
