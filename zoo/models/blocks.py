"""Blocks that several networks share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import InputError, near

NORMS: dict[str | None, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "instance": partial(nn.InstanceNorm2d, affine=True),
    None: lambda channels: nn.Identity(),
}


class ResidualBlock(nn.Module):
    """``x + f(x)`` with two 3x3 convolutions, maps ``(N, C, H, W)``.

    Section 2.1 of SRGAN (Ledig et al. 2017, https://arxiv.org/abs/1609.04802).
    """

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


class ConditionalNorm(nn.Module):
    """Batch norm whose gain and bias depend on a vector (de Vries et al. 2017, https://arxiv.org/abs/1707.00683).

    Args:
        channels: of the maps ``(N, channels, H, W)``.
        length: of the vectors ``(N, length)``.
    """

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.style = nn.Linear(length, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Maps, and vectors that gain and bias are linear functions of, to maps."""
        gain, bias = self.style(style)[:, :, None, None].chunk(2, 1)
        return torch.addcmul(bias, self.norm(x), 1 + gain)


def zeroed(layer: nn.Module) -> nn.Module:
    """The layer with parameters of zero: what it belongs to adds nothing until it has learnt."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class TimmEncoder(nn.Module):
    """A network of timm as an encoder: maps of several depths, for a decoder that goes back up.

    Attributes:
        channels: of the maps, from the finest to the coarsest.
        reductions: how many times smaller than the images the maps are.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        facts: Any = network.feature_info
        self.channels: list[int] = facts.channels()
        self.reductions: list[int] = facts.reduction()

    def forward(self, x: Tensor) -> list[Tensor]:
        """Images ``(N, channels_in, H, W)`` in [-1, 1] to maps ``(N, channels[i], H / reductions[i], ...)``.

        Sides that are not divisible are rounded up.
        """
        maps: list[Tensor] = self.network(x)
        return maps


def timm_encoder(name: str, channels_in: int = 3, depths: Sequence[int] | None = None) -> TimmEncoder:
    """An encoder for a model whose point is another part: any convolutional network of timm, with random weights.

    Args:
        name: as timm knows it, such as ``mobilenetv3_small_050``.
        channels_in: of the images.
        depths: which of the network's depths give maps, such as ``(0, 1, 2)``; None for all.

    Raises:
        InputError: for a name that timm does not know, and a network that has no maps of several depths.
    """
    import timm  # a second, which only models with such an encoder pay

    if not timm.is_model(name):
        hint = near(name, timm.list_models()) or ": `timm.list_models()` names them all."
        raise InputError(f"timm has no network {name!r}{hint}")
    try:
        # The getter drops the layers behind the last map. Nothing is downloaded.
        indices: dict[str, Any] = {} if depths is None else {"out_indices": tuple(depths)}
        network = timm.create_model(
            name, pretrained=False, features_only=True, feature_cls="getter", in_chans=channels_in, **indices
        )
    except (RuntimeError, AttributeError, AssertionError, IndexError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"timm's {name} cannot be an encoder ({reason}): choose another network.") from None
    encoder = TimmEncoder(network)
    if sorted(set(encoder.reductions)) != encoder.reductions:
        raise InputError(f"timm's {name} cannot be an encoder (its maps have one size): choose another network.")
    return encoder


class Smoothing(nn.Module):
    """Averages each pixel with neighbours of nearly its colour: areas become flat, and edges stay (a bilateral filter).

    For images that are drawn: a network makes areas of one colour slightly uneven. It has an effect in evaluation mode
    only, so that what learns gets to see all that a network makes. Tomasi, Manduchi, "Bilateral filtering for gray and
    color images", 1998, https://doi.org/10.1109/ICCV.1998.710815

    Args:
        difference: standard deviation of the weights over the difference of colours, summed over channels.
        radius: in pixels; the standard deviation of the weights over distances is as large.
        passes: how many times.
    """

    def __init__(self, difference: float, radius: int = 3, passes: int = 2) -> None:
        super().__init__()
        self.difference, self.radius, self.passes = difference, radius, passes
        near = range(-radius, radius + 1)
        self.places = [(i, j) for i in near for j in near if i * i + j * j <= radius * radius]

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` to smooth ones; in training mode they stay as they are."""
        for _ in range(0 if self.training else self.passes):
            x = self._pass(x)
        return x

    def _pass(self, x: Tensor) -> Tensor:
        r, (height, width) = self.radius, x.shape[2:]
        padded = F.pad(x, (r, r, r, r), mode="replicate")
        total, weights = torch.zeros_like(x), torch.zeros_like(x[:, :1])
        for i, j in self.places:
            other = padded[:, :, r + i : r + i + height, r + j : r + j + width]
            apart = (other - x).abs().sum(1, keepdim=True) / self.difference
            weight = torch.exp(-(apart.square() + (i * i + j * j) / r**2) / 2)
            total, weights = total + weight * other, weights + weight
        return total / weights
