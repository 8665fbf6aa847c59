"""Rewrites of a network that leave its answer the same: layers that follow each other are merged into one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

Given = tuple[Tensor, Mapping[str, Any]]  # the first argument of a network, and conditions


@dataclass(frozen=True)
class Level:
    """What is computed in which precision: the maps between layers, convolutions, and norms."""

    between: torch.dtype
    convs: torch.dtype
    norms: torch.dtype
    words: tuple[str, ...] = ()


WHOLE = Level(torch.float32, torch.float32, torch.float32)
HALF = Level(torch.bfloat16, torch.bfloat16, torch.bfloat16, ("bfloat16",))
# Where that is too rough: norms divide by small numbers, and what goes through many additions is rounded at each.
MIXED = (
    Level(torch.bfloat16, torch.bfloat16, torch.float32, ("bfloat16", "norms in float32")),
    Level(torch.float32, torch.bfloat16, torch.float32, ("convolutions in bfloat16",)),
)


def run_network(network: nn.Module, method: str, dtype: torch.dtype, given: Given) -> Tensor:
    """The answer in float32 of a network whose maps are of another precision, and lie with their channels last."""
    laid = {name: _laid(x, dtype) for name, x in given[1].items()}
    output: Tensor = getattr(network, method)(_laid(given[0], dtype), **laid)
    return output.float()


def _laid(x: Any, dtype: torch.dtype) -> Any:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        return x
    return x.to(dtype, memory_format=torch.channels_last) if x.ndim == 4 else x.to(dtype)


def rewritten(
    network: nn.Module,
    method: str,
    steps: Sequence[str],
    level: Level,
    given: Given,
) -> nn.Module:
    """A copy of a network with some rewrites."""
    network = copy.deepcopy(network)
    arguments = given[0][:1], {name: x[:1] for name, x in given[1].items()}
    for step in ("fold", "enlarge", "shuffle"):
        if step in steps:
            for chain in _chains(network, method, arguments):
                STEPS[step](network, chain)
    followers = {chain[0]: chain[1] for chain in _chains(network, method, arguments)} if "pack" in steps else {}
    network = network.to(level.between).to(memory_format=torch.channels_last)
    for name, module in list(network.named_modules()):
        if isinstance(module, NORMS) and level.norms != level.between:
            _put(network, name, _In(level.norms, module))
        if type(module) in CONVOLUTIONS:
            layer: nn.Module = module.to(level.convs)
            if "pack" in steps and module.padding_mode == "zeros":
                fused = _activation(network.get_submodule(followers[name])) if name in followers else None
                layer = _Packed(module, *(fused or ("none", [])))
                if fused:
                    _put(network, followers[name], nn.Identity())
            _put(network, name, layer if level.convs == level.between else _In(level.convs, layer))
    return network


CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
NORMS: tuple[type[nn.Module], ...] = (nn.InstanceNorm2d, nn.GroupNorm)
# What the rewrites take these modules to do; who has given a class another method wants that one.
FORWARDS: dict[Any, Any] = {
    cls: getattr(cls, "forward")  # noqa: B009 - mypy takes the classes for plain types
    for cls in (
        *(*CONVOLUTIONS, nn.BatchNorm2d, *NORMS, nn.Upsample, nn.PixelShuffle),
        *(nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Tanh, nn.Sigmoid),
    )
}


class _Watch(TorchFunctionMode):
    """Notes which layer hands its result to which, and which results the code between the layers uses, too."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.made_by: dict[int, str] = {}
        self.users: dict[str, list[str]] = {}
        self.calls: dict[str, int] = {}
        self.shared: set[str] = set()
        self.alive: list[Any] = []  # or ids would come twice
        self.inside = False
        self.handles = []
        for name, module in network.named_modules():
            if not list(module.children()) and not isinstance(module, nn.Identity):
                self.handles.append(module.register_forward_pre_hook(partial(self.before, name)))
                self.handles.append(module.register_forward_hook(partial(self.after, name)))

    def before(self, name: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1
        for x in inputs:
            if id(x) in self.made_by:
                self.users.setdefault(self.made_by[id(x)], []).append(name)
        self.inside = True

    def after(self, name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self.inside = False
        self.alive.append(output)
        self.made_by[id(output)] = name

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self.inside:
            for x in tree_leaves((args, kwargs)):
                if id(x) in self.made_by:
                    self.shared.add(self.made_by[id(x)])
        return func(*args, **(kwargs or {}))


def _chains(network: nn.Module, method: str, arguments: Given) -> list[list[str]]:
    """Names of layers that hand their result to one other layer only, each with all that follow in the same way."""
    watch = _Watch(network)
    try:
        with watch:
            getattr(network, method)(arguments[0], **arguments[1])
    finally:
        for handle in watch.handles:
            handle.remove()
    single = {
        a: b[0]
        for a, b in watch.users.items()
        if len(b) == 1 and a not in watch.shared and watch.calls[a] == watch.calls[b[0]] == 1
    }
    chains = []
    for name in single:
        chain = [name]
        while chain[-1] in single:
            chain.append(single[chain[-1]])
        chains.append(chain)
    return chains


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)


def _fold(network: nn.Module, chain: list[str]) -> None:
    """Batch norm after a convolution: into its weights."""
    conv, norm = (network.get_submodule(name) for name in chain[:2])
    if not isinstance(conv, CONVOLUTIONS) or not isinstance(norm, nn.BatchNorm2d):
        return
    if type(conv) not in CONVOLUTIONS or type(norm) is not nn.BatchNorm2d:
        return
    if norm.running_var is None or norm.running_mean is None:
        return
    factor: Tensor = (norm.running_var.double() + norm.eps).rsqrt()
    factor = factor * norm.weight.double() if norm.weight is not None else factor
    shift = -norm.running_mean.double() * factor
    shift = shift + norm.bias.double() if norm.bias is not None else shift
    if conv.bias is not None:
        shift = shift + conv.bias.double() * factor
    shape = (1, -1, 1, 1) if isinstance(conv, nn.ConvTranspose2d) else (-1, 1, 1, 1)
    conv.weight = nn.Parameter((conv.weight.double() * factor.reshape(shape)).float(), requires_grad=False)
    conv.bias = nn.Parameter(shift.float(), requires_grad=False)
    _put(network, chain[1], nn.Identity())


def _enlarge(network: nn.Module, chain: list[str]) -> None:
    """Pixels repeated 2 x 2, then a 3x3 convolution: 2x2 convolutions of the small map, one for each place in a block.

    With two taps in place of three in each direction that is four ninths of the work.
    """
    double, conv = (network.get_submodule(name) for name in chain[:2])
    if type(double) is not nn.Upsample or double.mode != "nearest" or double.scale_factor not in (2, 2.0):
        return
    if type(conv) is not nn.Conv2d or (conv.kernel_size, conv.padding, conv.stride, conv.dilation, conv.groups) != (
        *((3, 3), (1, 1), (1, 1), (1, 1)),
        1,
    ):
        return
    _put(network, chain[0], nn.Identity())
    _put(network, chain[1], _Enlarging(conv))


class _Enlarging(nn.Module):
    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        c_out, c_in = conv.weight.shape[:2]
        taps = torch.tensor([[[1.0, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])  # place, tap, tap of the 3x3 one
        weight = torch.einsum("pak,qbl,oikl->opqiab", taps, taps, conv.weight).reshape(4 * c_out, c_in, 2, 2)
        self.conv = nn.Conv2d(c_in, 4 * c_out, 2, padding=1, bias=conv.bias is not None)
        self.conv.weight = nn.Parameter(weight, requires_grad=False)
        if conv.bias is not None:
            self.conv.bias = nn.Parameter(conv.bias.repeat_interleave(4), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        y = self.conv(x).unflatten(1, (-1, 2, 2))
        rows = torch.stack([y[:, :, i, :, i : i + h] for i in range(2)], 3)  # (N, C, q, p, h, w + 1)
        both = torch.stack([rows[:, :, j, :, :, j : j + w] for j in range(2)], 5)  # (N, C, p, h, w, q)
        return both.permute(0, 1, 3, 2, 4, 5).reshape(n, -1, 2 * h, 2 * w)


def _shuffle(network: nn.Module, chain: list[str]) -> None:
    """Sub-pixels to pixels, an activation, then a convolution to few channels: the convolution first."""
    modules = [network.get_submodule(name) for name in chain[:3]]
    act = modules.pop(1) if len(modules) == 3 and _activation(modules[1]) else None
    shuffle, conv = modules[0], modules[1]
    if type(shuffle) is not nn.PixelShuffle or shuffle.upscale_factor != 2 or type(conv) is not nn.Conv2d:
        return
    side = conv.kernel_size[0]
    if conv.kernel_size != (side, side) or conv.padding != (side // 2, side // 2) or conv.out_channels > 4:
        return
    if (conv.stride, conv.dilation, conv.groups) != ((1, 1), (1, 1), 1):
        return
    _put(network, chain[0], nn.Identity())
    _put(network, chain[2 if act else 1], _Shuffled(conv))


class _Shuffled(nn.Module):
    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        c_out, c_in, side, _ = conv.weight.shape
        reach = side // 2
        far = (reach + 1) // 2
        # From a place in a block, a tap of the old kernel leads to a place in a block that a tap of the new one sees.
        taps = torch.zeros(2, 2, 2 * far + 1, side)
        for p in range(2):
            for d in range(-reach, reach + 1):
                taps[p, (p + d) % 2, (p + d) // 2 + far, d + reach] = 1
        weight = torch.einsum("pqak,rsbl,oikl->opriqsab", taps, taps, conv.weight)
        self.conv = nn.Conv2d(4 * c_in, 4 * c_out, 2 * far + 1, padding=far, bias=conv.bias is not None)
        self.conv.weight = nn.Parameter(
            weight.reshape(4 * c_out, 4 * c_in, 2 * far + 1, 2 * far + 1), requires_grad=False
        )
        if conv.bias is not None:
            self.conv.bias = nn.Parameter(conv.bias.repeat_interleave(4), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x), 2)


STEPS: dict[str, Callable[[nn.Module, list[str]], None]] = {"fold": _fold, "enlarge": _enlarge, "shuffle": _shuffle}


def _activation(module: nn.Module | None) -> tuple[str, list[float]] | None:
    """An activation as oneDNN knows it."""
    if type(module) is nn.ReLU:
        return "relu", []
    if type(module) is nn.LeakyReLU:
        return "leaky_relu", [module.negative_slope]
    if type(module) is nn.PReLU and module.weight.numel() == 1:
        return "leaky_relu", [float(module.weight)]
    if type(module) is nn.Tanh:
        return "tanh", []
    if type(module) is nn.Sigmoid:
        return "sigmoid", []
    return None


class _In(nn.Module):
    """A layer that computes in a precision of its own."""

    def __init__(self, dtype: torch.dtype, layer: nn.Module) -> None:
        super().__init__()
        self.dtype, self.layer = dtype, layer.to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.layer(x.to(self.dtype)).to(x.dtype)
        return output


class _Packed(nn.Module):
    """A convolution whose weights lie as oneDNN takes them, with the activation behind it."""

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d, act: str, scalars: list[float]) -> None:
        super().__init__()
        ops = torch.ops.mkldnn
        self.act, self.scalars, self.bias = act, scalars, conv.bias
        weight = conv.weight.detach().contiguous()
        if isinstance(conv, nn.ConvTranspose2d):
            at: tuple[Any, ...] = (conv.padding, conv.output_padding, conv.stride, conv.dilation, conv.groups)
            self.op = ops._convolution_transpose_pointwise
            self.weight = ops._reorder_convolution_transpose_weight(weight, *at)
        else:
            at = (conv.padding, conv.stride, conv.dilation, conv.groups)
            self.op = ops._convolution_pointwise
            self.weight = ops._reorder_convolution_weight(weight, *at)
        self.at = at

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.op(x, self.weight, self.bias, *self.at, self.act, self.scalars, "")
        return output
