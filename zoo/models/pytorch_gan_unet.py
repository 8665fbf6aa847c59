"""The U-Net that the collection PyTorch-GAN has for pix2pix, and with it huggan's checkpoints on the Hub.

After Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2017,
https://arxiv.org/abs/1611.07004. It differs from the paper's in where activations stand, and in its last layer, which
enlarges and convolves.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo.errors import InputError
from zoo.model import Model


class Half(nn.Module):
    """One layer, which halves or doubles the map; called ``model`` as in the original."""

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(*modules)

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = self.model(x)
        return maps


class PyTorchGANUNet(Model):
    """Eight layers that halve the map, seven that double it and see the halved map of their size, and an enlargement.

    Args:
        in_channels: 1 for grey, 3 for RGB.
        out_channels: the same of the output.
        width: channels of the finest map; the paper has 64.
    """

    def __init__(self, in_channels: int = 3, out_channels: int = 3, width: int = 64) -> None:
        super().__init__()
        widths = [width * min(2**i, 8) for i in range(8)]
        for number, (c_in, c_out) in enumerate(pairwise([in_channels, *widths]), 1):
            halve = nn.Conv2d(c_in, c_out, 4, stride=2, padding=1, bias=False)
            norm = [nn.InstanceNorm2d(c_out)] if 1 < number < 8 else []
            drop = [nn.Dropout(0.5)] if number > 3 else []
            self.add_module(f"down{number}", Half(halve, *norm, nn.LeakyReLU(0.2), *drop))
        c_in = widths[-1]
        for number, c_out in enumerate(reversed(widths[:-1]), 1):
            double = nn.ConvTranspose2d(c_in, c_out, 4, stride=2, padding=1, bias=False)
            drop = [nn.Dropout(0.5)] if number < 5 else []
            self.add_module(f"up{number}", Half(double, nn.InstanceNorm2d(c_out), nn.ReLU(True), *drop))
            c_in = 2 * c_out
        self.final = nn.Sequential(
            nn.Upsample(scale_factor=2),
            nn.ZeroPad2d((1, 0, 1, 0)),
            nn.Conv2d(c_in, out_channels, 4, padding=1),
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``, both in [-1, 1].

        H and W are multiples of 256.
        """
        if any(side % 256 for side in x.shape[2:]):
            raise InputError(f"Height and width must be multiples of 256, not {x.shape[2]} and {x.shape[3]}.")
        layers = dict(self.named_children())
        maps = []
        for number in range(1, 9):
            x = layers[f"down{number}"](x)
            maps.append(x)
        x = maps.pop()
        for number in range(1, 8):
            x = torch.cat([layers[f"up{number}"](x), maps.pop()], 1)
        images: Tensor = self.final(x)
        return images
