"""The same networks, faster: what can be rewritten without another answer, and bfloat16 where that is asked for.

The networks in ``zoo/models`` know nothing of this file. A copy of a network is watched while it runs, so that it is
known which layer hands its result to which; layers that follow each other are then made into one. The copy must answer
as the network does, or it is not used; nor is it once the network is another one than when it was made.
"""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import torch.nn.modules.module as torch_module
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._device import DeviceContext
from torch.utils._pytree import tree_leaves

PRECISIONS = ("exact", "fast", "plain")
EXACT = 1e-5  # of the range: how far a rewritten network may be from the plain one
DECIBEL = 45.0  # how near one in bfloat16 must come
MARGIN = 3.0  # dB by which it must come nearer on what it is tried with, for there are other inputs
_PACK = ("fold", "pack")
_SHUFFLE = ("fold", "shuffle", "pack")
# The rewrites that were measured to pay (docs/performance.md), in float32 and in bfloat16, by builder.
PAYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "zoo.models.dcgan:DCGAN": (_PACK, _PACK),
    "zoo.models.cdcgan:CDCGAN": (_PACK, _PACK),
    "zoo.models.conv_ae:ConvAE": (("fold",), _PACK),
    "zoo.models.pix2pix:Pix2Pix": (_PACK, _PACK),
    "zoo.models.cyclegan:CycleGAN": ((), ("fold", "enlarge", "pack")),
    "zoo.models.srgan:SRGAN": (_SHUFFLE, _SHUFFLE),
    "zoo.models.esrgan:ESRGAN": (("pack",), ("pack",)),
    "zoo.models.srvgg:SRVGG": (("pack",), ("pack",)),
    "zoo.models.taesd:TAESD": (("pack",), ("pack",)),
}

Given = tuple[Tensor, Mapping[str, Any]]  # the first argument of a network, and conditions
Run = Callable[[Given], Tensor]


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is computed by the hardware: emulated, it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


@dataclass
class Quick:
    """A faster way to a network's answer.

    Attributes:
        run: takes and gives what the network does; None where the plain network is used.
        kind: what was done, in words.
        agreement: with the plain network, on the worst of several inputs, in dB of the range; infinite where it is the
            same.
        precision: what was asked for.
        made_of: what the network was when this was made.
        lasting: whether to keep this; a network with hooks or in training mode may lose them.
    """

    run: Run | None
    kind: str
    agreement: float
    precision: str
    made_of: State | None = None
    lasting: bool = True

    def holds(self, network: nn.Module) -> bool:
        """Whether the network is what it was, so that ``run`` answers as it does."""
        return self.made_of is not None and self.made_of.is_that_of(network)


# What a module has of its own accord; all else in it is looked at.
_BARE = frozenset(vars(nn.Module()))
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
# What the zoo keeps in a model; no answer depends on it.
_OURS = frozenset({"_quick", "frozen", "entry", "precision"})
_VALUES = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size)
_FUNCTIONS = (FunctionType, BuiltinFunctionType, type)
_LIBRARIES = ("torch.nn.modules.", "torchvision.", "timm.")
BLOCK = 1024


class _UnusualError(Exception):
    """A network, or what is around it, for which no copy can stand in."""


class State:
    """What a network computes: its modules, their attributes, and the values of its tensors.

    Values are compared by a product of each 1024 neighbours with 1024 different numbers, which takes one pass over the
    memory. In float32 it sees any change of a weight that is more than 1e-5 of the size of its neighbours, a swap or
    another sign. Short tensors are compared one by one. A change in the usual way, which torch counts, is seen without.

    Args:
        network: in eval mode.
        builder: as in the registry.

    Raises:
        _UnusualError: for hooks, training mode, modules or methods that are not of the builder's package or of torch,
            attributes that can change unseen, and where something else listens to what torch does.
    """

    def __init__(self, network: nn.Module, builder: str) -> None:
        self.package = builder.partition(":")[0].partition(".")[0]
        self.structure, self.tensors = self._look(network)  # held, so that no other tensor gets the place of one
        self.blocks: list[Tensor] = []
        self.short: dict[torch.dtype, list[Tensor]] = {}
        for tensor in self.tensors:
            x = tensor.detach()
            if x.dtype == torch.float32 and x.numel() >= 4 * BLOCK and x.is_contiguous():
                whole = x.numel() // BLOCK * BLOCK
                self.blocks.append(x.view(-1)[:whole].view(-1, BLOCK))
                x = x.view(-1)[whole:]
            self.short.setdefault(x.dtype, []).append(x)
        # Whatever device and precision are torch's defaults.
        order = torch.randperm(BLOCK, generator=torch.Generator().manual_seed(0), device="cpu").float()
        factors = (order + 0.5) / BLOCK + 0.5  # all different, none near zero
        self.factors = factors.to(self.blocks[0].device) if self.blocks else factors
        self.values = self._values()

    def is_that_of(self, network: nn.Module) -> bool:
        """Whether a network is still the same."""
        try:
            structure, _ = self._look(network)
        except _UnusualError:
            return False
        return structure == self.structure and all(map(torch.equal, self._values(), self.values))

    def _values(self) -> list[Tensor]:
        values = [torch.cat([x.reshape(-1) for x in group]) for group in self.short.values()]
        return [*values, torch.cat([torch.mv(block, self.factors) for block in self.blocks])] if self.blocks else values

    def _look(self, network: nn.Module) -> tuple[list[Any], list[Tensor]]:
        """All but the values of tensors, and the tensors."""
        if _listened_to():
            raise _UnusualError
        found: list[Any] = [getattr(type(network), name, None) for name in ("encode", "decode")]
        tensors: list[Tensor] = []
        for module in network.modules():
            own = vars(module)
            cls: Any = type(module)
            if module.training or any(own[name] for name in _HOOKS):
                raise _UnusualError
            if not cls.__module__.startswith(_LIBRARIES) and not self._is_ours(cls):
                raise _UnusualError
            found += [cls, cls.forward, getattr(cls, "_conv_forward", None), [*own["_modules"].items()]]
            for held in (own["_parameters"], own["_buffers"]):
                for name, x in held.items():
                    found += [name, self._tensor(x, tensors)]
            for name, value in own.items():
                if name not in _BARE and name not in _OURS:
                    found += [name, self._attribute(name, value, cls, tensors)]
        return found, tensors

    def _is_ours(self, thing: Any) -> bool:
        return str(thing.__module__).partition(".")[0] == self.package

    def _tensor(self, x: Tensor | None, tensors: list[Tensor]) -> Any:
        if x is None:
            return None
        if type(x) not in (Tensor, nn.Parameter) or x.layout != torch.strided:
            raise _UnusualError
        tensors.append(x)
        return id(x), x.data_ptr(), x.shape, x.stride(), x.dtype, x.device, 0 if x.is_inference() else x._version

    def _attribute(self, name: str, value: Any, cls: type, tensors: list[Tensor]) -> Any:
        kind = type(value)
        if kind in _VALUES:
            return value
        if kind in (tuple, list, set, frozenset):
            return kind, [self._attribute("", x, cls, tensors) for x in value]
        if kind is dict:
            return [(key, self._attribute("", x, cls, tensors)) for key, x in value.items()]
        if isinstance(value, Tensor):
            return self._tensor(value, tensors)
        if isinstance(value, nn.Module) or (
            kind in _FUNCTIONS
            and not callable(getattr(cls, name, None))  # a method that was put in the place of the class's
            and (self._is_ours(value) or str(value.__module__).partition(".")[0] == "torch")
        ):
            return value
        raise _UnusualError


def _listened_to() -> bool:
    """Whether hooks for all modules, modes of torch or autocast do more than the network itself."""
    if torch_module._has_any_global_hook() or torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
        return True
    if torch._C._len_torch_dispatch_stack():
        return True
    modes = map(torch._C._get_function_stack_at, range(torch._C._len_torch_function_stack()))
    return any(type(mode) is not DeviceContext for mode in modes)


@torch.inference_mode()
def quicken(
    network: nn.Module, method: str, builder: str, precision: str, probes: Callable[[], Sequence[Given]]
) -> Quick:
    """The fastest way there is to a network's answer.

    Args:
        network: any; one with hooks or in training mode runs as it is.
        method: which of its methods gives the answer: ``forward`` or ``decode``.
        builder: as in the registry.
        precision: "exact", to 1e-5 of the range, "fast", with bfloat16, to 45 dB, or "plain".
        probes: makes arguments of the method, by which the two are compared; the worst sample counts. The network
            itself never sees them.
    """
    plain = Quick(None, "plain", math.inf, precision)
    parameters = list(network.parameters())
    if precision == "plain" or not parameters:
        return plain
    device = parameters[0].device
    if any(x.device != device or x.dtype != torch.float32 for x in parameters):
        return plain
    exact, half = PAYS.get(builder, ((), ())) if device.type == "cpu" else ((), ())
    levels = [(level, half) for level in (HALF, *MIXED) if precision == "fast" and has_bfloat16(device)]
    levels += [(WHOLE, exact)] if exact else []
    if not levels or any(cls.forward is not forward for cls, forward in FORWARDS.items()):
        return plain
    with _same_random_states(device):
        try:
            made_of = State(network, builder)
        except _UnusualError:
            return replace(plain, lasting=False)
        try:
            base = copy.deepcopy(network)
            inputs = [(x.to(device), {name: y.to(device) for name, y in more.items()}) for x, more in probes()]
            wanted = [_call(base, method, torch.float32, given) for given in inputs]
        except Exception:  # a network that these inputs are not for: it may have fewer classes than the registry says
            return plain
        for level, steps in levels:
            try:
                made = _rewritten(base, method, steps, level, inputs[0])
                run = partial(_call, made, method, level.between)
                decibel = _agreement(run, inputs, wanted, level)
            except Exception:  # noqa: S112 - private operations of torch: whatever they say, the plain network goes on
                continue
            if decibel is not None:
                return Quick(run, ", ".join((*steps, *level.words)), decibel, precision, made_of)
    return plain


def _agreement(run: Run, inputs: Sequence[Given], wanted: Sequence[Tensor], level: _Level) -> float | None:
    """The agreement on the worst sample, in dB; None if that is not enough."""
    worst = math.inf
    for given, answer in zip(inputs, wanted, strict=True):
        errors = (run(given) - answer) / 2
        decibels = [_decibel(error) for error in errors]
        near = errors.abs().max() <= EXACT if level is WHOLE else all(x >= DECIBEL + MARGIN for x in decibels)
        if not near:
            return None
        worst = min(worst, *decibels)
    return worst


@contextmanager
def _same_random_states(device: torch.device) -> Iterator[None]:
    """Puts the random states of torch, numpy and Python back in the end."""
    numpys, pythons = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        np.random.set_state(numpys)
        random.setstate(pythons)


@torch.inference_mode()
def measure(name: str, pairs: int = 5) -> Iterator[tuple[str, Quick, float]]:
    """For each precision and call how a model computes, and how many times as fast as plain: a median of pairs."""
    from zoo.loading import load

    for precision in PRECISIONS[:2]:
        model = load(name, precision=precision)
        for call in model.calls:
            quick = model.quick(call)
            title = precision if len(model.calls) == 1 else f"{precision}, {call}"
            x, conditions = model.example(call, 8)  # a picture of 128 x 144 pixels, if the size is free
            given = x[:1], {name: value[:1] for name, value in conditions.items()}
            plain = partial(_call, model, call, torch.float32)
            if quick.run is None:
                yield title, quick, 1.0
                continue
            ratios = []
            for _ in range(pairs + 1):
                start = time.perf_counter()
                plain(given)
                middle = time.perf_counter()
                quick.run(given)
                ratios.append((middle - start) / (time.perf_counter() - middle))
            yield title, quick, median(ratios[1:])


def _decibel(error: Tensor) -> float:
    mean = float(error.double().square().mean())
    return -10 * math.log10(mean) if mean else math.inf


@dataclass(frozen=True)
class _Level:
    """What is computed in which precision: the maps between layers, convolutions, and norms."""

    between: torch.dtype
    convs: torch.dtype
    norms: torch.dtype
    words: tuple[str, ...] = ()


WHOLE = _Level(torch.float32, torch.float32, torch.float32)
HALF = _Level(torch.bfloat16, torch.bfloat16, torch.bfloat16, ("bfloat16",))
# Where that is too rough: norms divide by small numbers, and what goes through many additions is rounded at each.
MIXED = (
    _Level(torch.bfloat16, torch.bfloat16, torch.float32, ("bfloat16", "norms in float32")),
    _Level(torch.float32, torch.bfloat16, torch.float32, ("convolutions in bfloat16",)),
)


def _call(network: nn.Module, method: str, dtype: torch.dtype, given: Given) -> Tensor:
    """The answer in float32 of a network whose maps are of another precision, and lie with their channels last."""
    laid = {name: _laid(x, dtype) for name, x in given[1].items()}
    found: Tensor = getattr(network, method)(_laid(given[0], dtype), **laid)
    return found.float()


def _laid(x: Any, dtype: torch.dtype) -> Any:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        return x
    return x.to(dtype, memory_format=torch.channels_last) if x.ndim == 4 else x.to(dtype)


def _rewritten(
    network: nn.Module,
    method: str,
    steps: Sequence[str],
    level: _Level,
    given: Given,
) -> nn.Module:
    """A copy of a network with some rewrites."""
    made = copy.deepcopy(network)
    given = given[0][:1], {name: x[:1] for name, x in given[1].items()}
    for step in ("fold", "enlarge", "shuffle"):
        if step in steps:
            for chain in _chains(made, method, given):
                STEPS[step](made, chain)
    followers = {chain[0]: chain[1] for chain in _chains(made, method, given)} if "pack" in steps else {}
    made = made.to(level.between).to(memory_format=torch.channels_last)
    for name, module in list(made.named_modules()):
        if isinstance(module, NORMS) and level.norms != level.between:
            _put(made, name, _In(level.norms, module))
        if type(module) in CONVOLUTIONS:
            layer: nn.Module = module.to(level.convs)
            if "pack" in steps and module.padding_mode == "zeros":
                fused = _activation(made.get_submodule(followers[name])) if name in followers else None
                layer = _Packed(module, *(fused or ("none", [])))
                if fused:
                    _put(made, followers[name], nn.Identity())
            _put(made, name, layer if level.convs == level.between else _In(level.convs, layer))
    return made


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

    def before(self, name: str, module: nn.Module, given: tuple[Any, ...]) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1
        for x in given:
            if id(x) in self.made_by:
                self.users.setdefault(self.made_by[id(x)], []).append(name)
        self.inside = True

    def after(self, name: str, module: nn.Module, given: tuple[Any, ...], made: Any) -> None:
        self.inside = False
        self.alive.append(made)
        self.made_by[id(made)] = name

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self.inside:
            for x in tree_leaves((args, kwargs)):
                if id(x) in self.made_by:
                    self.shared.add(self.made_by[id(x)])
        return func(*args, **(kwargs or {}))


def _chains(network: nn.Module, method: str, given: Given) -> list[list[str]]:
    """Names of layers that hand their result to one other layer only, each with all that follow in the same way."""
    watch = _Watch(network)
    try:
        with watch:
            getattr(network, method)(given[0], **given[1])
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
        made: Tensor = self.layer(x.to(self.dtype)).to(x.dtype)
        return made


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
        made: Tensor = self.op(x, self.weight, self.bias, *self.at, self.act, self.scalars, "")
        return made
