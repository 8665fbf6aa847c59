"""CycleGAN: from one kind of image to another, such as from horse to zebra, learnt without pairs.

Zhu, Park, Isola, Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017,
https://arxiv.org/abs/1703.10593
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from zoo.errors import InputError
from zoo.model import Model, Rewrites

NORMS: dict[str, Callable[[int], nn.Module]] = {"instance": nn.InstanceNorm2d, "batch": nn.BatchNorm2d}


class Residual(nn.Module):
    """``x + f(x)`` with two 3x3 convolutions, maps ``(N, C, H, W)``: the paper's ``R256``."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        norm_layer, bias = NORMS[norm], norm == "instance"
        self.conv_block = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=bias), norm_layer(channels), nn.ReLU(True)),
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=bias), norm_layer(channels)),
        )

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = x + self.conv_block(x)
        return maps


class CycleGAN(Model):
    """The generator of appendix 7.2, in one direction: a pair of directions is two checkpoints.

    Two convolutions halve the map, residual blocks work at a quarter of the resolution, two transposed convolutions
    double it again. Modules stand in one sequence called ``model``, so that the keys of the state dict are those of the
    authors' PyTorch code.

    Args:
        channels: 1 for grey, 3 for RGB.
        width: channels at full resolution; the blocks have four times as many.
        blocks: residual blocks; the paper has 6 for 128 px and 9 from 256 px on.
        out_channels: channels of the output; None for as many as go in.
        norm: "instance", as in the paper, or "batch".
        resize: double the map by repeating pixels before a convolution, which makes no checkerboards (Odena et al.
            2016, https://doi.org/10.23915/distill.00003), in place of transposed convolutions.
        over_input: give what is to be added to the input, so that a network whose last convolution is zero starts at
            images that do not change.

    Raises:
        ValueError: for ``over_input`` with another number of channels out than in, and for another norm.
    """

    rewrites = Rewrites((), ("fold", "enlarge", "pack"))

    def __init__(
        self,
        channels: int = 3,
        width: int = 64,
        blocks: int = 9,
        out_channels: int | None = None,
        norm: str = "instance",
        resize: bool = False,
        over_input: bool = False,
    ) -> None:
        super().__init__()
        if over_input and out_channels not in (None, channels):
            raise ValueError(f"over_input needs as many channels out as in, not {channels} and {out_channels}.")
        if norm not in NORMS:
            raise ValueError(f"norm must be instance or batch, not {norm}.")
        self.over_input = over_input
        normed, bias = NORMS[norm], norm == "instance"
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7, bias=bias)]  # c7s1-64
        layers += [normed(width), nn.ReLU(True)]
        for c in (width, 2 * width):  # d128, d256
            layers += [nn.Conv2d(c, 2 * c, 3, stride=2, padding=1, bias=bias), normed(2 * c), nn.ReLU(True)]
        layers += [Residual(4 * width, norm) for _ in range(blocks)]
        for c in (2 * width, width):  # u128, u64
            if resize:
                layers += [nn.Upsample(scale_factor=2), nn.Conv2d(2 * c, c, 3, padding=1, bias=bias)]
            else:
                layers += [nn.ConvTranspose2d(2 * c, c, 3, stride=2, padding=1, output_padding=1, bias=bias)]
            layers += [normed(c), nn.ReLU(True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels or channels, 7), nn.Tanh()]  # c7s1-3
        self.model = nn.Sequential(*layers)
        if norm == "batch":
            self.receptive_radius = (
                8 * blocks + 16
            )  # blocks work at a quarter of the size; the rest comes to 15 pixels at most

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, H, W)`` to ``(N, out_channels, H, W)``, both in [-1, 1].

        H and W are divisible by 4 and at least 8.
        """
        if any(side % 4 or side < 8 for side in x.shape[2:]):
            sides = f"{x.shape[2]} and {x.shape[3]}"
            raise InputError(f"Height and width must be divisible by 4 and at least 8, not {sides}.")
        output: Tensor = self.model(x)
        return (x + output).clamp(-1, 1) if self.over_input else output
