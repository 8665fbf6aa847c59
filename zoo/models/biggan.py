"""BigGAN: images of a class that one asks for, as varied or as typical as one asks for.

Brock, Donahue, Simonyan, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2018,
https://arxiv.org/abs/1809.11096
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.model import Generator
from zoo.models.cdcgan import chosen_class
from zoo.models.progan import enlarging_conv


def truncated(z: Tensor, truncation: Tensor | None) -> tuple[Tensor, Tensor]:
    """Latents ``(N, latent)`` multiplied by their truncations ``(N,)`` from 0 to 1, all 1 by default; and these."""
    truncation = torch.ones(len(z), device=z.device) if truncation is None else truncation
    return z * truncation[:, None].to(z.dtype), truncation


class TruncatedNorm(nn.BatchNorm2d):
    """Batch norm with statistics for each of several truncations, and linear interpolation between them.

    What is typical of maps depends on how far from zero latents are (section 3.1 of the paper). In training mode maps
    are normalised by their own statistics, which also go into the set whose truncation is nearest to the first
    sample's.

    Args:
        channels: of the maps ``(N, channels, H, W)``.
        sets: how many sets of statistics, for truncations at equal distances from 0 to 1; 1 for one set for all.
        eps: added to variances.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int, sets: int, eps: float = 1e-5) -> None:
        super().__init__(channels, eps, affine=False)
        self.sets = sets
        self.running_mean, self.running_var = torch.zeros(sets, channels), torch.ones(sets, channels)
        self.num_batches_tracked = torch.zeros(sets, dtype=torch.long)

    def forward(self, x: Tensor, gain: Tensor, bias: Tensor, truncation: Tensor) -> Tensor:  # type: ignore[override]
        """Maps, their gains and biases ``(N, channels)``, or one for all, and truncations ``(N,)``, to maps."""
        place = truncation * (self.sets - 1)
        if self.training:
            i = round(float(place[0]))
            self.num_batches_tracked[i] += 1
            share = 1 / float(self.num_batches_tracked[i]) if self.momentum is None else self.momentum
            x = F.batch_norm(x, self.running_mean[i], self.running_var[i], training=True, momentum=share, eps=self.eps)
            return torch.addcmul(bias[:, :, None, None], x, gain[:, :, None, None])
        below = place.floor().clamp(0, self.sets - 1)
        weight, low = (place - below)[:, None].to(self.running_mean.dtype), below.long()
        high = (low + 1).clamp(max=self.sets - 1)
        mean, variance = (torch.lerp(y[low], y[high], weight) for y in (self.running_mean, self.running_var))
        scale = gain * (variance + self.eps).rsqrt()
        return torch.addcmul((bias - mean * scale)[:, :, None, None], x, scale[:, :, None, None])


class StyledNorm(nn.Module):
    """A :class:`TruncatedNorm` whose gain and bias are linear functions of a vector, of class and latent; then ReLU.

    Args:
        channels: of the maps.
        length: of the vectors ``(N, length)``.
        sets: of statistics.
        eps: added to variances.
    """

    def __init__(self, channels: int, length: int, sets: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm = TruncatedNorm(channels, sets, eps)
        self.gain, self.bias = (nn.Linear(length, channels, bias=False) for _ in range(2))

    def forward(self, x: Tensor, style: Tensor, truncation: Tensor) -> Tensor:
        """Maps ``(N, channels, H, W)``, vectors and truncations ``(N,)`` to maps."""
        return F.relu(self.norm(x, 1 + self.gain(style), self.bias(style), truncation))


class SelfAttention(nn.Module):
    """Each place of the maps looks at all others (Zhang et al. 2018, https://arxiv.org/abs/1805.08318).

    What it sees is halved by the largest of 2x2 places, as in the paper's code, and adds nothing until it has learnt.

    Args:
        channels: of the maps ``(N, channels, H, W)``, 2 or more.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key = (nn.Conv2d(channels, max(1, channels // 8), 1, bias=False) for _ in range(2))
        self.value = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.out = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        query = self.query(x).flatten(2).transpose(1, 2)
        key, value = (F.max_pool2d(layer(x), 2).flatten(2) for layer in (self.key, self.value))
        seen = value @ torch.softmax(query @ key, 2).transpose(1, 2)
        y: Tensor = x + self.gain * self.out(seen.unflatten(2, x.shape[2:]))
        return y


class Block(nn.Module):
    """Maps to twice their size: two 3x3 convolutions, with norm and ReLU before each, beside a 1x1 convolution.

    Figure 15 of the paper; enlargement is nearest-neighbour.
    """

    def __init__(self, c_in: int, c_out: int, length: int, sets: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = StyledNorm(c_in, length, sets), StyledNorm(c_out, length, sets)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, bias=False)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.skip = nn.Conv2d(c_in, c_out, 1)

    def forward(self, x: Tensor, style: Tensor, truncation: Tensor) -> Tensor:
        """Maps ``(N, c_in, H, W)``, vectors and truncations to maps ``(N, c_out, 2 H, 2 W)``."""
        y = enlarging_conv(self.norm1(x, style, truncation), self.conv1.weight)
        y = self.conv2(self.norm2(y, style, truncation))
        wide: Tensor = y + F.interpolate(self.skip(x), scale_factor=2.0)
        return wide


class BigGAN(Generator):
    """The generator of Brock et al. 2018, section 3 and appendix B, without the spectral norm of its layers.

    The latent is cut into pieces. The first becomes maps of 4x4; each block takes one more, with the embedding of the
    class that all blocks share, for the gains and biases of its norms.

    Args:
        classes: how many there are.
        channels: 1 for grey, 3 for RGB.
        latent: numbers of each piece of the latent.
        embedding: length of the embedding of a class.
        widths: channels of the maps at 4x4, 8x8, and so on, two or more; their number says how large images are.
        attention: side of the maps that have self-attention; 0 for none.
        sets: of statistics, as in :class:`TruncatedNorm`.

    Attributes:
        latent_shape: ``(latent * len(widths),)``, standard normal.
        size: height and width of the images, ``4 * 2 ** (len(widths) - 1)``.

    Raises:
        ValueError: for fewer widths, and no sets.
    """

    def __init__(
        self,
        classes: int = 5,
        channels: int = 3,
        latent: int = 20,
        embedding: int = 32,
        widths: Sequence[int] = (256, 192, 128, 64, 32),
        attention: int = 16,
        sets: int = 5,
    ) -> None:
        super().__init__()
        if len(widths) < 2 or sets < 1:
            raise ValueError("widths must be two or more, and sets one or more.")
        self.classes, self.size = classes, 4 << (len(widths) - 1)
        self.latent, self.latent_shape = latent, (latent * len(widths),)
        self.embedding = nn.Embedding(classes, embedding)
        self.first = nn.Linear(latent, 16 * widths[0], bias=False)
        self.blocks = nn.ModuleList(Block(wide, narrow, latent + embedding, sets) for wide, narrow in pairwise(widths))
        self.attention = nn.ModuleDict(
            {str(i): SelfAttention(c) for i, c in enumerate(widths[1:]) if 8 << i == attention}
        )
        self.last_norm = TruncatedNorm(widths[-1], sets)
        self.last_gain, self.last_bias = nn.Parameter(torch.ones(widths[-1])), nn.Parameter(torch.zeros(widths[-1]))
        self.last = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def init_weights(self) -> None:
        """Random weights: orthogonal convolutions as in the paper, and little influence of classes on the norms.

        With Adam each weight moves as fast as another. Embeddings of numbers near 1 would have each step move the gains
        of a class by the sum of them all: classes would drown the latent before it has learnt to say anything.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.orthogonal_(module.weight)
            if isinstance(module, StyledNorm):
                for layer in (module.gain, module.bias):
                    nn.init.normal_(layer.weight, 0, 0.02)
        nn.init.normal_(self.embedding.weight, 0, 0.1)
        nn.init.normal_(self.first.weight, 0, self.latent**-0.5)

    def decode(self, z: Tensor, kind: Tensor | None = None, truncation: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent * len(widths))`` to images ``(N, channels, size, size)`` in [-1, 1].

        Args:
            z: the latents.
            kind: classes ``(N,)``; without one the latent chooses, each equally often: by its first number.
            truncation: ``(N,)`` from 0 to 1, by which latents are multiplied: the less, the more typical the image and
                the less varied; all 1 by default.
        """
        style = self.embedding(chosen_class(z, kind, self.classes))
        z, truncation = truncated(z, truncation)
        first, *others = z.split(self.latent, 1)
        x = self.first(first).unflatten(1, (4, 4, -1)).permute(0, 3, 1, 2)
        for i, (block, part) in enumerate(zip(self.blocks, others, strict=True)):
            x = block(x, torch.cat([part, style], 1), truncation)
            if str(i) in self.attention:
                x = self.attention[str(i)](x)
        x = F.relu(self.last_norm(x, self.last_gain[None], self.last_bias[None], truncation))
        return torch.tanh(self.last(x))
