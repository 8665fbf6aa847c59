"""BigGAN-deep: images of a class of ImageNet that one asks for, as varied or as typical as one asks for.

Brock, Donahue, Simonyan, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2018,
https://arxiv.org/abs/1809.11096
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.arrays import Array
from zoo.model import Generator
from zoo.models.biggan import SelfAttention, StyledNorm, TruncatedNorm, truncated
from zoo.models.cdcgan import chosen_class
from zoo.models.progan import enlarging_conv

BOUND = 2.0  # of each number of a latent
EPS = 1e-4


class DeepBlock(nn.Module):
    """Convolutions of 1x1, 3x3, 3x3 and 1x1, with norm and ReLU before each, added to what they take.

    Figure 16 of the paper. Those in the middle have a quarter of the channels. Where the block has fewer channels to
    give than to take, the first ones of what it takes are kept.

    Args:
        c_in: channels of the maps ``(N, c_in, H, W)``.
        c_out: of those that it gives, at most as many.
        length: of the vectors that norms depend on.
        sets: of statistics, as in :class:`~zoo.models.biggan.TruncatedNorm`.
        up: whether maps are enlarged to ``(2 H, 2 W)``.
    """

    def __init__(self, c_in: int, c_out: int, length: int, sets: int, up: bool) -> None:
        super().__init__()
        self.c_out, self.up = c_out, up
        widths = (c_in, *[c_in // 4] * 3, c_out)
        self.norms = nn.ModuleList(StyledNorm(width, length, sets, EPS) for width in widths[:-1])
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, kernel, padding=kernel // 2)
            for (a, b), kernel in zip(pairwise(widths), (1, 3, 3, 1), strict=True)
        )

    def forward(self, x: Tensor, style: Tensor, truncation: Tensor) -> Tensor:
        """Maps, vectors ``(N, length)`` and truncations ``(N,)`` to maps."""
        y = x
        for i, (norm, conv) in enumerate(zip(self.norms, self.convs, strict=True)):
            y = norm(y, style, truncation)
            if self.up and i == 1:
                y = enlarging_conv(y, conv.get_parameter("weight"), conv.get_parameter("bias"))
            else:
                y = conv(y)
        kept = x[:, : self.c_out]
        return y + (F.interpolate(kept, scale_factor=2.0) if self.up else kept)


class BigGANDeep(Generator):
    """The deep generator of Brock et al. 2018, appendix B, as the authors trained it on ImageNet.

    Latent and embedding of the class go to the first layer and to all norms. Weights hold the spectral norm.

    Args:
        classes: how many there are.
        latent: numbers of the latent.
        embedding: numbers of the embedding of a class.
        widths: channels of the maps at 4x4, 8x8, and so on, two or more, none more than the one before; their number
            says how large images are.
        attention: side of the maps that have self-attention.
        sets: of statistics, as in :class:`~zoo.models.biggan.TruncatedNorm`.

    Attributes:
        latent_shape: ``(latent,)``; standard normal, without numbers beyond 2 and -2.
        size: height and width of the images, ``4 * 2 ** (len(widths) - 1)``.

    Raises:
        ValueError: for fewer widths, and no sets.
    """

    def __init__(
        self,
        classes: int = 1000,
        latent: int = 128,
        embedding: int = 128,
        widths: Sequence[int] = (2048, 2048, 1024, 512, 256, 128),
        attention: int = 64,
        sets: int = 51,
    ) -> None:
        super().__init__()
        if len(widths) < 2 or sets < 1:
            raise ValueError("widths must be two or more, and sets one or more.")
        self.classes, self.size, self.latent_shape = classes, 4 << (len(widths) - 1), (latent,)
        length = latent + embedding
        self.embedding = nn.Linear(classes, embedding, bias=False)
        self.first = nn.Linear(length, 16 * widths[0])
        self.levels = nn.ModuleList(
            nn.ModuleList([DeepBlock(wide, wide, length, sets, False), DeepBlock(wide, narrow, length, sets, True)])
            for wide, narrow in pairwise(widths)
        )
        self.attention = nn.ModuleDict(
            {str(i): SelfAttention(c) for i, c in enumerate(widths[:-1]) if 4 << i == attention}
        )
        self.last_norm = TruncatedNorm(widths[-1], sets, EPS)
        self.last_gain, self.last_bias = nn.Parameter(torch.ones(widths[-1])), nn.Parameter(torch.zeros(widths[-1]))
        self.last = nn.Conv2d(widths[-1], widths[-1], 3, padding=1)  # of whose maps three are used

    def draw(self, rng: np.random.Generator) -> Array:
        """One latent ``(latent,)``: standard normal, with what lies beyond the bound drawn again."""
        z = super().draw(rng)
        while (beyond := np.abs(z) > BOUND).any():
            z[beyond] = rng.standard_normal(beyond.sum(), dtype=np.float32)
        return z

    def decode(self, z: Tensor, kind: Tensor | None = None, truncation: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent)`` to images ``(N, 3, size, size)`` in [-1, 1].

        Args:
            z: the latents.
            kind: classes ``(N,)``; without one the latent chooses, each equally often: by its first number.
            truncation: ``(N,)`` from 0 to 1, by which latents are multiplied: the less, the more typical the image and
                the less varied; all 1 by default.
        """
        of_class = self.embedding(F.one_hot(chosen_class(z, kind, self.classes, BOUND), self.classes).to(z.dtype))
        z, truncation = truncated(z, truncation)
        style = torch.cat([z, of_class], 1)
        x = self.first(style).unflatten(1, (4, 4, -1)).permute(0, 3, 1, 2)
        for i, level in enumerate(self.levels):
            if str(i) in self.attention:
                x = self.attention[str(i)](x)
            for block in level.children():
                x = block(x, style, truncation)
        x = F.relu(self.last_norm(x, self.last_gain[None], self.last_bias[None], truncation))
        weight, bias = (self.last.get_parameter(name)[:3] for name in ("weight", "bias"))
        return torch.tanh(F.conv2d(x, weight, bias, padding=1))
