"""What is done to images that a network learns to repair."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

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
