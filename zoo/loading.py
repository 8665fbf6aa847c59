"""``load``: from a name to a model that is ready to use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zoo.entry import Entry
from zoo.errors import InputError, RegistryError, WeightsError
from zoo.fast import PRECISIONS
from zoo.licenses import note
from zoo.model import Model
from zoo.registry import code_of
from zoo.weights import find

if TYPE_CHECKING:
    from zoo.onnx_runtime import OnnxModel


@overload
def load(
    name: str,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    precision: str = "exact",
    runtime: Literal["torch"] = "torch",
    weights: str | os.PathLike[str] | None = None,
) -> Model: ...
@overload
def load(name: str, *, runtime: Literal["onnx"], weights: str | os.PathLike[str] | None = None) -> OnnxModel: ...
def load(
    name: str,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    precision: str = "exact",
    runtime: str = "torch",
    weights: str | os.PathLike[str] | None = None,
) -> Model | OnnxModel:
    """A model with its trained weights, in eval mode.

    Args:
        name: ``model`` (its first checkpoint), ``model.checkpoint``, ``local-dir:FOLDER``, or
            ``hf-hub:OWNER/REPO[@REVISION]``. The last two name a ``config.json`` that says which registered
            model it is.
        device: where the model computes, such as ``cpu``, ``cuda`` or ``mps``.
        dtype: what it computes in.
        precision: how the verbs compute in float32. "exact" for rewrites that agree with the plain network to 1e-5 of
            the range, "fast" for bfloat16 as well, where the hardware has it and 45 dB of agreement are kept.
        runtime: "torch", or "onnx" for ONNX Runtime on the CPU in float32, for which the three above do not count;
            :func:`zoo.onnx_runtime.load` is the same without importing torch.
        weights: a folder to look in before the Hub, or a safetensors file to load instead.

    Returns:
        A :class:`~zoo.model.Model`; its ``entry`` has the facts.

    Raises:
        InputError: for a name, device or file that does not exist.
        WeightsError: if the weights cannot be had, are corrupted or do not fit.
    """
    if runtime == "onnx":
        from zoo.onnx_runtime import load

        return load(name, weights=weights)
    if runtime != "torch":
        raise InputError(f"runtime cannot be {runtime!r}: choose torch or onnx.")
    if precision not in PRECISIONS:
        raise InputError(f"precision cannot be {precision!r}: choose {' or '.join(PRECISIONS)}.")
    entry, path = find(name, weights)
    note(entry)
    model = build(entry)
    try:
        assign(model, read_state(path), path, dtype)
    except WeightsError as error:
        if entry.package == "zoo" or path != entry.embedded:
            raise
        raise WeightsError(
            f"{error} If the network is newer, `zoo embed {entry.model} FILE` brings its weights."
        ) from None
    model.entry, model.precision = entry, precision
    try:
        return model.eval() if torch.device(device).type == "cpu" else model.eval().to(device)
    except (RuntimeError, AssertionError) as error:  # torch says so in several ways
        raise InputError(f"The device {str(device)!r} cannot be used: {str(error).splitlines()[0]}") from None


def build(entry: Entry) -> Model:
    """The network of an entry, without memory for its weights.

    Raises:
        RegistryError: if the builder cannot be imported, is no class of a network, or does not take the configuration.
    """
    builder = code_of(entry.builder, entry)
    if not (isinstance(builder, type) and issubclass(builder, Model)):  # before it is called: it may be any function
        raise RegistryError(
            f"{entry.name}: the builder {entry.builder} is no zoo.model.Model: derive it from Generator, Autoencoder "
            "or Model."
        )
    try:
        with torch.device("meta"), _NoInit():
            model = builder(**entry.config)
    except Exception as error:  # a plugin's code can raise anything
        raise RegistryError(
            f"{entry.name}: the builder {entry.builder} failed: {type(error).__name__}: {str(error).rstrip('.')}"
            + ("." if entry.package == "zoo" else f"; {entry.package} has to correct `builder`, `config` or the code.")
        ) from error
    return model


class _NoInit(TorchFunctionMode):
    """Leaves out the random first weights, on which the meta device spends a third of its time for nothing."""

    left_out = frozenset(f for name, f in vars(nn.init).items() if name.endswith("_") and callable(f))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in self.left_out:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        WeightsError: if it is damaged inside.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is no sound safetensors file ({error}): get it again.") from None


def halved(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as weight files hold them: in float16, contiguous, on the CPU."""
    return {key: (x.half() if x.is_floating_point() else x).contiguous().cpu() for key, x in state.items()}


def assign(model: Model, state: dict[str, Tensor], path: Path, dtype: torch.dtype) -> None:
    """Give a model on the meta device its tensors; all must be there, none too many, every shape right."""
    floats = {key: value.to(dtype) if value.is_floating_point() else value for key, value in state.items()}
    try:
        model.load_state_dict(floats, strict=True, assign=True)
    except RuntimeError as error:
        said = _misfit(model.state_dict(), state) or f"it is refused ({str(error).splitlines()[0]})"
        raise WeightsError(f"{path} does not fit {type(model).__name__}: {said}.") from None
    for key, tensor in chain(model.named_parameters(), model.named_buffers()):
        if tensor.is_meta:
            raise WeightsError(f"{type(model).__name__}.{key} is not in the state dict: make it a persistent buffer.")
        tensor.requires_grad_(False)


def _misfit(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """What is wrong with a state dict, in words; nothing if its names and shapes are right."""
    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    wrong = [
        f"{key} is {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted.keys() & state.keys()
        if state[key].shape != wanted[key].shape
    ]
    parts = [f"it lacks {_some(missing)}"] * bool(missing) + [f"it has also {_some(extra)}"] * bool(extra)
    parts += [f"it has other shapes: {_some(sorted(wrong))}"] * bool(wrong)
    return "; ".join(parts)


def _some(words: list[str]) -> str:
    return ", ".join(words[:5]) + (f" and {len(words) - 5} more" if len(words) > 5 else "")
