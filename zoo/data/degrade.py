"""What is done to images that a network learns to repair."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.batch import Batch, to_float
from zoo.data.source import pixels
from zoo.errors import InputError


def downscale(x: Tensor, scale: int = 4) -> Tensor:
    """A smaller image as MATLAB's ``imresize`` makes it, which super-resolution is measured with.

    That is a cubic kernel (a = -0.5) stretched by ``scale``, with the image mirrored beyond its border.

    Args:
        x: uint8 ``(C, H, W)``; below and to the right it is cropped to a multiple of ``scale``.
        scale: how many times smaller.

    Returns:
        uint8 ``(C, H // scale, W // scale)``.

    Raises:
        InputError: for an image of which no pixel would be left.
    """
    height, width = x.shape[1] // scale, x.shape[2] // scale
    if not height or not width:
        raise InputError(f"An image of {pixels(x)} pixels cannot be made {scale} times smaller: give a larger one.")
    pad = 4 * scale  # twice the reach of the kernel
    values = x[:, : height * scale, : width * scale].numpy().astype(np.float32)
    mirrored = torch.from_numpy(np.pad(values, ((0, 0), (pad, pad), (pad, pad)), mode="symmetric"))
    small = F.interpolate(mirrored[None], size=(height + 8, width + 8), mode="bicubic", antialias=True)[0]
    return small[:, 4:-4, 4:-4].round().clamp(0, 255).to(torch.uint8)


def gaussian_noise(x: Tensor, sigma: float, seed: int) -> Tensor:
    """Images with white Gaussian noise, unclipped: the usual test of denoising.

    Args:
        x: in [-1, 1].
        sigma: standard deviation of the noise in an image of 8 bits, from 0 to 255.
        seed: of the noise.
    """
    noise = np.random.default_rng(seed).standard_normal(x.shape, np.float32)
    return x + torch.from_numpy(noise) * (sigma / 127.5)


def noisy(batch: Batch, most: float, in_file: float, grey: float = 0.0) -> Batch:
    """A batch whose ``input`` is its ``target`` with noise, drawn from torch's random state.

    Args:
        batch: with images ``(N, C, H, W)`` in [-1, 1] as ``target``.
        most: largest standard deviation of the noise, as for :func:`gaussian_noise`; each image has one of its own.
        in_file: share of the images that are clipped and rounded to 8 bits, as a file holds them.
        grey: share of the images that lose their colours, ``target``, too, and have the same noise in each channel.
    """
    target = batch["target"]
    n = len(target)
    noise = torch.randn_like(target) * (torch.rand(n, 1, 1, 1) * (most / 127.5))
    filed, without = (torch.rand(n, 1, 1, 1) < share for share in (in_file, grey))
    target = torch.where(without, target.mean(1, keepdim=True), target)
    x = target + torch.where(without, noise[:, :1], noise)
    return {
        **batch,
        "target": target,
        "input": torch.where(filed, to_float(((x + 1) * 127.5).round().clamp(0, 255)), x),
    }
