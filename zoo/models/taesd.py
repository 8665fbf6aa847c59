"""TAESD: the tiny autoencoder that stands in for the latent space of Stable Diffusion and its kin.

Ollin Boer Bohan, "Tiny AutoEncoder for Stable Diffusion", 2023, https://github.com/madebyollin/taesd
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.errors import InputError
from zoo.model import Autoencoder, Rewrites

WIDTH = 64  # channels of all maps


class Block(nn.Module):
    """``relu(x + f(x))`` with three 3x3 convolutions; maps ``(N, 64, H, W)``.

    Args:
        pool: whether ``x`` first gets ``g(x)`` added, whose group norm sees the whole image.
    """

    def __init__(self, pool: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *(nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU()),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
        )
        self.pool = (
            nn.Sequential(
                *(nn.Conv2d(WIDTH, 4 * WIDTH, 1, bias=False), nn.GroupNorm(4, 4 * WIDTH), nn.ReLU()),
                nn.Conv2d(4 * WIDTH, WIDTH, 1, bias=False),
            )
            if pool
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(x + self.conv(x))


class Half(nn.Module):
    """The encoder or the decoder: one sequence, called ``layers`` as in diffusers."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.layers(x)
        return output


class TAESD(Autoencoder):
    """Three times halved, three blocks at each size, and the same backwards. The latents are a diffusion model's.

    Modules have the names of diffusers' ``AutoencoderTiny``.

    Args:
        latent_channels: 4 for the latents of Stable Diffusion 1, 2 and XL, 16 for those of FLUX.1 and SD 3, 32
            for those of FLUX.2.
        pool: whether the blocks at an eighth of the size pool, as those for FLUX.2 do.
    """

    rewrites = Rewrites(("pack",), ("pack",))

    def __init__(self, latent_channels: int = 4, pool: bool = False) -> None:
        super().__init__()
        encoder: list[nn.Module] = [nn.Conv2d(3, WIDTH, 3, padding=1), Block()]
        decoder: list[nn.Module] = [nn.Conv2d(latent_channels, WIDTH, 3, padding=1), nn.ReLU()]
        for i in range(3):
            encoder += [nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1, bias=False)]
            encoder += [Block(pool and i == 2) for _ in range(3)]
            decoder += [*(Block(pool and i == 0) for _ in range(3)), nn.Upsample(scale_factor=2)]
            decoder += [nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False)]
        self.encoder = Half(*encoder, nn.Conv2d(WIDTH, latent_channels, 3, padding=1))
        self.decoder = Half(*decoder, Block(), nn.Conv2d(WIDTH, 3, 3, padding=1))
        # Three blocks of three convolutions at an eighth, a quarter and half of the size, and what is between, twice.
        self.receptive_radius = None if pool else 304

    def encode(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` in [-1, 1] to latents ``(N, latent_channels, H / 8, W / 8)``.

        H and W are divisible by 8; the latents are about standard normal.
        """
        if any(side % 8 for side in x.shape[2:]):
            raise InputError(f"Height and width must be divisible by 8, not {x.shape[2]} and {x.shape[3]}.")
        latents: Tensor = self.encoder((x + 1) / 2)
        return latents

    def decode(self, z: Tensor) -> Tensor:
        """Latents ``(N, latent_channels, h, w)`` to images ``(N, 3, 8 * h, 8 * w)`` in [-1, 1]."""
        images: Tensor = self.decoder(3 * torch.tanh(z / 3))  # no latent of an image is far beyond 3
        return 2 * images - 1
