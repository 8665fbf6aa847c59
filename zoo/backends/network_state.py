"""Whether a network is still the one that it was: its modules, attributes, and the values of its tensors."""

from __future__ import annotations

from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch
import torch.nn.modules.module as torch_module
from torch import Tensor, nn
from torch.utils._device import DeviceContext

# What a module has of its own accord; all else in it is looked at.
_BARE = frozenset(vars(nn.Module()))
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
# What the zoo keeps in a model; no answer depends on it.
_OURS = frozenset({"backend", "frozen", "entry", "precision"})
_VALUES = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size)
_FUNCTIONS = (FunctionType, BuiltinFunctionType, type)
_LIBRARIES = ("torch.nn.modules.", "torchvision.", "timm.")
BLOCK = 1024


class UnusualError(Exception):
    """A network, or what is around it, for which no copy can stand in."""


class State:
    """What a network computes: its modules, their attributes, and the values of its tensors.

    Values are compared by a product of each 1024 neighbours with 1024 different numbers, which takes one pass over the
    memory. In float32 it sees any change of a weight that is more than 1e-5 of the size of its neighbours, a swap or
    another sign. Short tensors are compared one by one. A change in the usual way, which torch counts, is seen without.

    Args:
        network: in eval mode.

    Raises:
        UnusualError: for hooks, training mode, modules or methods that are not of the package of its class or of torch,
            attributes that can change unseen, and where something else listens to what torch does.
    """

    def __init__(self, network: nn.Module) -> None:
        self.package = type(network).__module__.partition(".")[0]
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
        except UnusualError:
            return False
        return structure == self.structure and all(map(torch.equal, self._values(), self.values))

    def _values(self) -> list[Tensor]:
        values = [torch.cat([x.reshape(-1) for x in group]) for group in self.short.values()]
        return [*values, torch.cat([torch.mv(block, self.factors) for block in self.blocks])] if self.blocks else values

    def _look(self, network: nn.Module) -> tuple[list[Any], list[Tensor]]:
        """All but the values of tensors, and the tensors."""
        if _listened_to():
            raise UnusualError
        structure: list[Any] = [getattr(type(network), name, None) for name in ("encode", "decode")]
        tensors: list[Tensor] = []
        for module in network.modules():
            own = vars(module)
            cls: Any = type(module)
            if module.training or any(own[name] for name in _HOOKS):
                raise UnusualError
            if not cls.__module__.startswith(_LIBRARIES) and not self._is_ours(cls):
                raise UnusualError
            structure += [cls, cls.forward, getattr(cls, "_conv_forward", None), [*own["_modules"].items()]]
            for held in (own["_parameters"], own["_buffers"]):
                for name, x in held.items():
                    structure += [name, self._tensor(x, tensors)]
            for name, value in own.items():
                if name not in _BARE and name not in _OURS:
                    structure += [name, self._attribute(name, value, cls, tensors)]
        return structure, tensors

    def _is_ours(self, thing: Any) -> bool:
        return str(thing.__module__).partition(".")[0] == self.package

    def _tensor(self, x: Tensor | None, tensors: list[Tensor]) -> Any:
        if x is None:
            return None
        if type(x) not in (Tensor, nn.Parameter) or x.layout != torch.strided:
            raise UnusualError
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
        raise UnusualError


def _listened_to() -> bool:
    """Whether hooks for all modules, modes of torch or autocast do more than the network itself."""
    if torch_module._has_any_global_hook() or torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
        return True
    if torch._C._len_torch_dispatch_stack():
        return True
    modes = map(torch._C._get_function_stack_at, range(torch._C._len_torch_function_stack()))
    return any(type(mode) is not DeviceContext for mode in modes)
