"""From the facts of a model and a file with its weights to a network that computes."""

from __future__ import annotations

import inspect
import math
import reprlib
import threading
from collections.abc import Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.overrides import TorchFunctionMode

from zoo.backends.torch_backend import TorchBackend
from zoo.errors import InputError, RegistryError, WeightsError, ZooError
from zoo.model import Model, to_arrays
from zoo.registry.facts import Entry, Format
from zoo.registry.index import code_of
from zoo.weights.verify import once, read_header

LARGEST = 4096  # pixels of a side to which every image is padded or resized
MOST_VALUES = 3 * LARGEST**2  # of such an image
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def to_dtype(wanted: Any) -> torch.dtype:
    """One of :data:`DTYPES`, or its name, as torch's."""
    for dtype in DTYPES:
        if wanted == dtype or (isinstance(wanted, str) and wanted.removeprefix("torch.") == str(dtype)[6:]):
            return dtype
    raise InputError(f"dtype cannot be {wanted!r}: choose float32, bfloat16, float16 or float64.")


def to_device(wanted: Any) -> torch.device:
    """A device, or its name, that holds numbers."""
    try:
        if not isinstance(wanted, (str, torch.device)):
            raise TypeError("give a name such as cpu, cuda or mps")
        device = torch.device(wanted)
        if device.type == "meta":
            raise TypeError("it holds no numbers; give cpu, cuda or mps")
        return device
    except (RuntimeError, TypeError) as error:
        raise InputError(f"The device {str(wanted)!r} cannot be used: {str(error).splitlines()[0]}") from None


@torch.inference_mode(False)  # or its tensors could never learn
def read_model(
    entry: Entry, path: Path, *, dtype: torch.dtype, device: torch.device, precision: str, check: bool
) -> Model:
    """The model of an entry with the weights of a file; see :func:`zoo.load`.

    Args:
        entry: the facts.
        path: a verified safetensors file.
        dtype: what the model computes in.
        device: where it computes.
        precision: as :func:`zoo.load` takes it.
        check: whether the network is run, to see that it takes and gives what ``entry`` declares; once for good, where
            code, configuration and weights are of a known version.

    Raises:
        InputError: if the device cannot be used.
        WeightsError: if the weights are corrupted or do not fit.
    """
    try:
        header = described(path)
        model = build(entry, len(header))
        check_fit(model, header, path)
        assign(model, read_state(path), path, dtype)
    except WeightsError as error:
        if entry.package == "zoo" or path != entry.embedded:
            raise
        raise WeightsError(
            f"{error} If the network is newer, `zoo embed {entry.model} FILE` brings its weights."
        ) from None
    model.entry, model.precision, model.frozen = entry, precision, True
    model.backend = TorchBackend(partial(build, entry))
    model.eval()
    if check:
        once(entry, partial(check_formats, model, entry))
    try:
        return model if device.type == "cpu" else model.to(device)
    except (RuntimeError, AssertionError, ImportError) as error:  # torch says so in several ways
        raise InputError(f"The device {str(device)!r} cannot be used: {str(error).splitlines()[0]}") from None


def build(entry: Entry, tensors: int | None = None) -> Model:
    """The network of an entry, without memory for its weights.

    Args:
        entry: which.
        tensors: how many a file has for it; a network that grows far beyond that is not built to its end. None for any
            number.

    Raises:
        RegistryError: if the builder cannot be imported, is no class of a network, or does not take the configuration.
        WeightsError: if the network has far more tensors than ``tensors``.
    """
    builder = code_of(entry.builder, entry)
    if not (isinstance(builder, type) and issubclass(builder, Model)):  # before it is called: it may be any function
        raise RegistryError(
            f"{entry.name}: the builder {entry.builder} is no zoo.model.Model: derive it from Generator, Autoencoder "
            "or Model."
        )
    _check_types(builder, entry)
    try:
        with torch.device("meta"), _NoInit(), _Bounded(tensors):
            network: Any = builder(**entry.config)
            if not isinstance(network, Model):  # as a class may decide
                raise TypeError(f"it made {type(network).__name__}")
    except _TooLargeError:
        raise WeightsError(
            f"{entry.name}: the configuration makes a network of far more than the {tensors:,} tensors of the file: "
            "correct config.json, or take the file that belongs to it."
        ) from None
    except (Exception, SystemExit) as error:  # a plugin's code can raise anything
        said = str(error).strip().rstrip(".")
        said = said if len(said) < 300 else f"{said[:300]}..."
        raise RegistryError(
            f"{entry.name}: the builder {entry.builder} failed: {type(error).__name__}: {said}"
            + ("." if entry.package == "zoo" else f"; {entry.package} has to correct `builder`, `config` or the code.")
        ) from error
    return network


class _TooLargeError(BaseException):  # which no builder catches
    """A network with far more tensors than its file."""


class _Bounded:
    """Stops a builder that registers far more tensors or modules than a file with so many tensors is for."""

    def __init__(self, tensors: int | None) -> None:
        self.left = None if tensors is None else 20 * tensors + 2000
        self.thread = threading.get_ident()
        self.handles: list[Any] = []

    def __enter__(self) -> None:
        if self.left is not None:
            self.handles = [
                register_module_parameter_registration_hook(self.count),
                register_module_buffer_registration_hook(self.count),
                register_module_module_registration_hook(self.count),
            ]

    def __exit__(self, *error: object) -> None:
        for handle in self.handles:
            handle.remove()

    def count(self, module: nn.Module, name: str, registered: Any) -> None:
        if self.left is not None and threading.get_ident() == self.thread:  # the hooks are those of all threads
            self.left -= 1
            if self.left < 0:
                raise _TooLargeError


_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}


def _check_types(builder: type[Model], entry: Entry) -> None:
    """Refuse values of a configuration that are of another type than the builder's annotations say.

    A builder would go on with them for a while: a text times a large number is a large text.
    """
    for name, parameter in inspect.signature(builder).parameters.items():
        wanted, value = _TYPES.get(str(parameter.annotation)), entry.config.get(name)
        if wanted is None or name not in entry.config:
            continue
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            raise RegistryError(
                f"{entry.name}: {name} in `config` must be of the type {parameter.annotation}, not "
                f"{reprlib.repr(value)}: correct it."
            )


class _NoInit(TorchFunctionMode):
    """Leaves out the random first weights, on which the meta device spends a third of its time for nothing."""

    left_out = frozenset(f for name, f in vars(nn.init).items() if name.endswith("_") and callable(f))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in self.left_out:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def described(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file without their values, on the meta device.

    Raises:
        WeightsError: if it is no safetensors file.
    """
    tensors = {}
    for key, facts in read_header(path).items():
        if key == "__metadata__":
            continue
        if facts["dtype"] not in _STORED:
            raise WeightsError(
                f"{path}: {key} has the type {facts['dtype']}, which is not supported: "
                "save the weights in float32 or float16."
            )
        tensors[key] = torch.empty(facts["shape"], dtype=_STORED[facts["dtype"]], device="meta")
    return tensors


# By their names in safetensors.
_STORED = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, in memory of their own: what becomes of the file matters no more.

    Raises:
        WeightsError: if it is damaged inside.
    """
    try:
        return parse(path.read_bytes())
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} is no valid safetensors file ({error}): get it again.") from None


def check_finite(state: Mapping[str, Tensor], path: Path, dtype: torch.dtype | None = None) -> None:
    """Refuse weights that are not numbers, of which a network makes images that are none.

    Args:
        state: the tensors of a file by name.
        path: the file, for the message.
        dtype: what they will be cast to; None for what they are in.

    Raises:
        WeightsError: naming the first tensor that holds NaN or infinity, or would in ``dtype``.
    """
    for key, x in state.items():
        if not x.is_floating_point() or not x.numel():
            continue
        low, high = (float(value) for value in torch.aminmax(x if x.itemsize > 1 else x.float()))  # or NaN, both
        if not math.isfinite(low) or not math.isfinite(high):
            raise WeightsError(f"{path}: {key} holds NaN or infinity: get the file again, or take another checkpoint.")
        if dtype and max(-low, high) > torch.finfo(dtype).max:
            raise WeightsError(
                f"{path}: {key} has numbers up to {max(-low, high):.3g}, too large for "
                f"{str(dtype).removeprefix('torch.')}: float32 and bfloat16 hold up to 3.4e+38."
            )


def halved(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as weight files hold them: in float16, contiguous, on the CPU."""
    return {key: (x.half() if x.is_floating_point() else x).contiguous().cpu() for key, x in state.items()}


def check_fit(model: Model, state: Mapping[str, Tensor], path: Path) -> None:
    """Make sure that tensors are those of a network: all there, none too many, and of its shapes and kinds.

    Args:
        model: may be on the meta device.
        state: likewise.
        path: the file, for the message.

    Raises:
        WeightsError: naming what does not fit.
    """
    if said := _misfit(model.state_dict(), state):
        raise WeightsError(f"{path} does not fit {type(model).__name__}: {said}.")


@torch.inference_mode()
def check_formats(model: Model, entry: Entry) -> None:
    """Make sure that a network takes and gives what its ``config.json`` declares.

    Each of its calls is run once, on the smallest input.

    Args:
        model: in eval mode.
        entry: what is declared.

    Raises:
        WeightsError: saying what was declared, and what the network does.
    """
    where = f"{entry.name}: config.json"
    _check_bounds(entry, where)
    reader, writer = model.processors()
    for call in model.calls:
        if call == "decode" and model.latent_shape is None:
            continue
        try:
            x, conditions = model.smallest_batch(call)
        except ZooError as error:
            raise WeightsError(f"{where} declares what cannot be: {error}") from None
        keywords = {name: model.tensor(value) for name, value in conditions.items()}
        try:
            outputs = to_arrays(getattr(model, call)(model.tensor(x), **keywords))
        except Exception as error:  # whatever a network's code makes of it
            said = next(iter(str(error).splitlines()), type(error).__name__)[:200]
            taken = getattr(x, "shape", None)
            raise WeightsError(f"{where} declares an input that the network does not take, {taken}: {said}") from None
        lengths = [x.shape[axis + 1] for axis in reader.axes] if call == "forward" and reader is writer else None
        wanted = writer.output_shape(lengths)
        if wanted is None or isinstance(outputs, tuple):
            continue
        shape = outputs.shape[1:]
        fits = len(shape) == len(wanted) and all(b in (None, a) for a, b in zip(shape, wanted, strict=True))
        if not fits:
            declared = (1, *("any" if length is None else length for length in wanted))
            raise WeightsError(
                f"{where} does not fit the network: for {x.shape} it returns {outputs.shape}, and `output` declares "
                f"{declared}."
            )


def _check_bounds(entry: Entry, where: str) -> None:
    """Refuse sizes that no network has, before memory is taken for them."""
    formats = [entry.input or Format(), entry.output, *(c.format for c in entry.conditions if c.format)]
    for one in formats:
        sides = (*(one.size or ()), one.frames or 0)
        if max(one.multiple, *sides) > LARGEST or max(one.length or 0, one.multiple) > MOST_VALUES:
            raise WeightsError(f"{where} has a size or multiple of more than {LARGEST:,} pixels: correct it.")
        area = math.prod(one.size or (10 * one.multiple,) * 2) if one.kind != "audio" else one.length or 1
        if area * (one.channels or 3) * (one.frames or 1) > MOST_VALUES:
            raise WeightsError(f"{where} declares inputs of more than {MOST_VALUES:,} values: correct `input`.")


def assign(model: Model, state: dict[str, Tensor], path: Path, dtype: torch.dtype) -> None:
    """Give a model on the meta device its tensors; all must be there, none too many, every shape and kind right."""
    check_fit(model, state, path)
    check_finite(state, path, dtype)
    cast = {key: value.to(dtype) if value.is_floating_point() else value for key, value in state.items()}
    try:
        model.load_state_dict(cast, strict=True, assign=True)
    except RuntimeError as error:
        said = str(error).splitlines()[0]
        raise WeightsError(f"{path} does not fit {type(model).__name__}: it is refused ({said}).") from None
    for key, tensor in chain(model.named_parameters(), model.named_buffers()):
        if tensor.is_meta:
            raise WeightsError(f"{type(model).__name__}.{key} is not in the state dict: make it a persistent buffer.")
        tensor.requires_grad_(False)


def _misfit(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """What is wrong with a state dict, in words; nothing if its names, shapes and kinds of numbers are right."""
    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    wrong = [
        f"{key} is {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted.keys() & state.keys()
        if state[key].shape != wanted[key].shape
    ]
    kinds = [
        f"{key} is {str(state[key].dtype)[6:]}"
        for key in wanted.keys() & state.keys()
        if state[key].is_floating_point() != wanted[key].is_floating_point() or state[key].is_complex()
    ]
    parts = [f"it lacks {_some(missing)}"] * bool(missing) + [f"it has also {_some(extra)}"] * bool(extra)
    parts += [f"it has other shapes: {_some(sorted(wrong))}"] * bool(wrong)
    parts += [f"it has numbers of another kind: {_some(sorted(kinds))}"] * bool(kinds)
    return "; ".join(parts)


def _some(words: list[str]) -> str:
    return ", ".join(words[:5]) + (f" and {len(words) - 5} more" if len(words) > 5 else "")
