"""Blocks that several networks share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

NORMS: dict[str | None, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "instance": partial(nn.InstanceNorm2d, affine=True),
    None: lambda channels: nn.Identity(),
}


class ResidualBlock(nn.Module):
    """``x + f(x)`` with two 3x3 convolutions, maps ``(N, C, H, W)``; section 2.1 of SRGAN (https://arxiv.org/abs/1609.04802)."""

    def __init__(self, channels: int, norm: str | None, act: nn.Module, bias: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.norm1 = NORMS[norm](channels)
        self.act = act
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.norm2 = NORMS[norm](channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))
        return y


def zeroed(layer: nn.Module) -> nn.Module:
    """The layer with parameters of zero: what it belongs to adds nothing until it has learnt."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
