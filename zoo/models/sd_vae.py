"""The autoencoder of latent diffusion: images to an eighth of their size in four channels, and back.

Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", 2022, https://arxiv.org/abs/2112.10752
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import InputError
from zoo.model import Autoencoder

GROUPS = 32  # of every group norm


class Block(nn.Module):
    """``x + f(x)`` with two 3x3 convolutions behind group norm and SiLU; maps ``(N, C, H, W)``."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(GROUPS, c_in, eps=1e-6), nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(GROUPS, c_out, eps=1e-6), nn.Conv2d(c_out, c_out, 3, padding=1)
        if c_in != c_out:
            self.conv_shortcut = nn.Conv2d(c_in, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = self.conv1(F.silu(self.norm1(x)))
        maps = self.conv2(F.silu(self.norm2(maps)))
        return maps + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class Attention(nn.Module):
    """Every pixel looks at all others, with one head; maps ``(N, C, H, W)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.group_norm = nn.GroupNorm(GROUPS, channels, eps=1e-6)
        self.query, self.key, self.value, self.proj_attn = (nn.Linear(channels, channels) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        rows = self.group_norm(x).flatten(2).transpose(1, 2)
        heads = (layer(rows)[:, None] for layer in (self.query, self.key, self.value))  # one, which ONNX wants named
        attended: Tensor = self.proj_attn(F.scaled_dot_product_attention(*heads)[:, 0]).transpose(1, 2)
        return x + attended.reshape(x.shape)


class Resize(nn.Module):
    """Half the size by a strided convolution, or twice the size by repeating pixels before one."""

    def __init__(self, channels: int, up: bool) -> None:
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(channels, channels, 3, padding=1) if up else nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        # As trained: halving pads to the right and below only.
        maps: Tensor = self.conv(F.interpolate(x, scale_factor=2.0) if self.up else F.pad(x, (0, 1, 0, 1)))
        return maps


class Level(nn.Module):
    """Blocks at one size, then another size, except at the last level."""

    def __init__(self, c_in: int, c_out: int, blocks: int, up: bool, last: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(Block(c_in if i == 0 else c_out, c_out) for i in range(blocks))
        if not last:
            self.add_module("upsamplers" if up else "downsamplers", nn.ModuleList([Resize(c_out, up)]))

    def forward(self, x: Tensor) -> Tensor:
        for module in self.children():
            for step in module.children():
                x = step(x)
        return x


class Middle(nn.Module):
    """A block, attention, and a block, at the smallest size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([Attention(channels)])
        self.resnets = nn.ModuleList(Block(channels, channels) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = self.resnets[1](self.attentions[0](self.resnets[0](x)))
        return maps


class Encoder(nn.Module):
    """Images ``(N, 3, H, W)`` to means and log-variances ``(N, 2 * latent, H / 8, W / 8)``."""

    def __init__(self, widths: list[int], blocks: int, latent: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        pairs = zip([widths[0], *widths], widths, strict=False)
        self.down_blocks = nn.Sequential(
            *(Level(a, b, blocks, up=False, last=i == len(widths) - 1) for i, (a, b) in enumerate(pairs))
        )
        self.mid_block = Middle(widths[-1])
        self.conv_norm_out = nn.GroupNorm(GROUPS, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], 2 * latent, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mid_block(self.down_blocks(self.conv_in(x)))
        moments: Tensor = self.conv_out(F.silu(self.conv_norm_out(x)))
        return moments


class Decoder(nn.Module):
    """Latents ``(N, latent, h, w)`` to images ``(N, 3, 8 * h, 8 * w)``."""

    def __init__(self, widths: list[int], blocks: int, latent: int) -> None:
        super().__init__()
        back = widths[::-1]
        self.conv_in = nn.Conv2d(latent, back[0], 3, padding=1)
        pairs = zip([back[0], *back], back, strict=False)
        self.up_blocks = nn.Sequential(
            *(Level(a, b, blocks + 1, up=True, last=i == len(back) - 1) for i, (a, b) in enumerate(pairs))
        )
        self.mid_block = Middle(back[0])
        self.conv_norm_out = nn.GroupNorm(GROUPS, back[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(back[-1], 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.up_blocks(self.mid_block(self.conv_in(z)))
        images: Tensor = self.conv_out(F.silu(self.conv_norm_out(x)))
        return images


class SDVAE(Autoencoder):
    """The variational autoencoder of Stable Diffusion 1 and 2; its latent is the mean, which is the same each time.

    Modules have the names of diffusers' ``AutoencoderKL`` as the file on the Hub has them.

    Args:
        widths: channels at each size; every size is half of the one before.
        blocks: residual blocks at each size of the encoder; the decoder has one more.
        latent: channels of the latent.
        scaling: what latents are multiplied by, so that they are about standard normal.
    """

    def __init__(
        self, widths: tuple[int, ...] = (128, 256, 512, 512), blocks: int = 2, latent: int = 4, scaling: float = 0.18215
    ) -> None:
        super().__init__()
        self.factor, self.scaling = 2 ** (len(widths) - 1), scaling
        self.encoder, self.decoder = Encoder([*widths], blocks, latent), Decoder([*widths], blocks, latent)
        self.quant_conv = nn.Conv2d(2 * latent, 2 * latent, 1)
        self.post_quant_conv = nn.Conv2d(latent, latent, 1)

    def encode(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` in [-1, 1], H and W divisible by 8, to latents ``(N, latent, H / 8, W / 8)``."""
        if any(side % self.factor for side in x.shape[2:]):
            raise InputError(f"Height and width must be divisible by {self.factor}, not {x.shape[2]} and {x.shape[3]}.")
        mean: Tensor = self.quant_conv(self.encoder(x)).chunk(2, 1)[0]
        return mean * self.scaling

    def decode(self, z: Tensor) -> Tensor:
        """Latents ``(N, latent, h, w)`` to images ``(N, 3, 8 * h, 8 * w)`` in [-1, 1]."""
        images: Tensor = self.decoder(self.post_quant_conv(z / self.scaling))
        return images
