"""pix2pix: an image from another one, such as a photo from a drawing, learnt from pairs.

Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2017,
https://arxiv.org/abs/1611.07004
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from zoo.errors import InputError
from zoo.model import Model, Rewrites


class Pix2Pix(Model):
    """The U-Net generator of section 3.2.1 and appendix 6.1.1.

    ``down`` halves the map until one pixel is left, ``up`` doubles it again. Each ``up`` but the first also sees the
    map that ``down`` has at its size. Dropout takes the place of a noise input; in eval mode it is off and batch norm
    uses its running statistics, so that an image has one answer. Norms, biases and dropout are where the authors'
    PyTorch code has them.

    Args:
        size: height and width of the images it is built for, a power of two from 4 on.
        in_channels: 1 for grey, 3 for RGB.
        out_channels: the same of the output.
        width: channels of the finest map. They double with each halving of the map.
        widest: channels that no layer's output exceeds; None for 8 * width, as in the paper. Half of that makes a file
            of a third.
        norm: "batch" or "instance".
        dropout: whether half the values in coarse maps of ``up`` are dropped in training.
    """

    rewrites = Rewrites(("fold", "pack"), ("fold", "pack"))

    def __init__(
        self,
        size: int = 256,
        in_channels: int = 3,
        out_channels: int = 3,
        width: int = 64,
        widest: int | None = None,
        norm: str = "batch",
        dropout: bool = True,
    ) -> None:
        super().__init__()
        depth = size.bit_length() - 1
        if size < 4 or 2**depth != size:
            raise ValueError(f"size must be a power of two from 4 on, not {size}.")
        norms: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d}
        if norm not in norms:
            raise ValueError(f"norm must be batch or instance, not {norm}.")
        self.size = size
        bias = norm == "instance"
        channels = [min(width * 2**i, widest or 8 * width) for i in range(depth)]  # of the map at size / 2 ** (i + 1)

        self.down = nn.ModuleList()
        for i in range(depth):
            finest, coarsest = i == 0, i == depth - 1
            c_in, c_out = in_channels if finest else channels[i - 1], channels[i]
            self.down.append(
                _sequence(
                    act=None if finest else nn.LeakyReLU(0.2),
                    conv=nn.Conv2d(c_in, c_out, 4, stride=2, padding=1, bias=bias),
                    norm=None if finest or coarsest else norms[norm](c_out),
                )
            )
        self.up = nn.ModuleList()
        for i in reversed(range(depth)):
            finest, coarsest = i == 0, i == depth - 1
            c_in, c_out = channels[i] * (1 if coarsest else 2), out_channels if finest else channels[i - 1]
            self.up.append(
                _sequence(
                    act=nn.ReLU(inplace=True),
                    conv=nn.ConvTranspose2d(c_in, c_out, 4, stride=2, padding=1, bias=bias or finest),
                    norm=None if finest else norms[norm](c_out),
                    drop=nn.Dropout(0.5) if dropout and 4 <= i < depth - 1 else None,
                )
            )

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``, both in [-1, 1].

        H and W are ``size``, or multiples of it.
        """
        if any(side % self.size for side in x.shape[2:]):
            raise InputError(f"Height and width must be multiples of {self.size}, not {x.shape[2]} and {x.shape[3]}.")
        maps: list[Tensor] = []
        for down in self.down:
            x = down(x)
            maps.append(x)
        x = self.up[0](maps.pop())
        for up in self.up[1:]:
            x = up(torch.cat([maps.pop(), x], 1))
        return torch.tanh(x)


def _sequence(**modules: nn.Module | None) -> nn.Sequential:
    """The modules one after the other under their names, without those that are None."""
    return nn.Sequential(OrderedDict((name, module) for name, module in modules.items() if module is not None))
