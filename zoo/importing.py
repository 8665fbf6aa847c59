"""Files of other people's code, in and out: read without running anything, recognised, renamed, and written again."""

from __future__ import annotations

import hashlib
import inspect
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save, save_file
from torch import Tensor

from zoo.entry import FORMATS, Entry, Origin
from zoo.errors import InputError, WeightsError
from zoo.files import atomic_write
from zoo.layouts import LAYOUTS, Config, Layout, layout_of
from zoo.loading import build, halved, load, read_state
from zoo.registry import info
from zoo.weights import export as put
from zoo.weights import find, read_header, sha256_of

# Where a state dict lies in what a training script saved, the better one first.
WRAPPERS = ("params_ema", "G_ema", "g_ema", "params", "state_dict", "netG", "generator", "G", "model")
# What stands before all names where a network was wrapped, compiled, or part of a larger one.
PREFIXES = ("module.", "_orig_mod.", "model.", "netG.", "net_g.", "generator.", "G.")
COUNT, STATISTICS = "num_batches_tracked", ("running_mean", "running_var", "num_batches_tracked")
SHOWN = 10  # lines of an error
State = dict[str, Tensor]


def read(path: Path, key: str | None = None) -> State:
    """The state dict in a file: safetensors, or what ``torch.save`` wrote. No code in it is ever run.

    Args:
        path: the file.
        key: where the state dict lies, if there are several: ``netG``, or ``models.generator``.

    Raises:
        InputError: if there is no such file, or it has several state dicts, or none.
        WeightsError: if it is of another kind, damaged, or holds more than tensors.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist: name a file with weights.")
    with path.open("rb") as file:
        start = file.read(10)
    if start[:2] == b"PK" or start[:1] == b"\x80":
        return _state_dict(_unpickled(path, zipped=start[:2] == b"PK"), path, key)
    if start[:3] == b"\x08\x07\x12" or start[8:9] != b"{":
        raise WeightsError(
            f"{path} is neither safetensors nor what torch.save writes: where its own program can read it, let that "
            "save the state dict."
        )
    read_header(path)
    return read_state(path)


def _unpickled(path: Path, zipped: bool) -> Any:
    """What ``torch.save`` wrote, as long as it is made of tensors and plain values."""
    if zipped:
        try:
            with zipfile.ZipFile(path) as archive:
                items = archive.infolist()
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise WeightsError(f"{path} is cut off or damaged ({error}): get it again.") from None
        names = {item.filename.rpartition("/")[2] for item in items}
        if "constants.pkl" in names:
            raise _code(path, "a TorchScript program")
        if any(item.compress_type for item in items) or "data.pkl" not in names:
            raise WeightsError(f"{path} is an archive, but none that torch.save wrote: take the weights out of it.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an error says it all
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # a damaged file can raise anything
        text = str(error)
    named = re.search(r"GLOBAL ([\w.]+)", text) or re.search(r"(?:type|class) <class '([\w.]+)'>", text)
    if named or "Unsupported operand" in text:
        raise _code(path, f"more than tensors ({named[1]})" if named else "a pickle of another program")
    reason = text.rpartition("WeightsUnpickler error:")[2].strip().partition("\n")[0] or "no reason given"
    raise WeightsError(f"{path} cannot be read ({reason.rstrip('.')[:200]}): get it again.")


def _code(path: Path, what: str) -> WeightsError:
    return WeightsError(
        f"{path} holds {what}, and to read that would run code from the file. Where you trust it, load it with the "
        "code it was made with, save `model.state_dict()` alone, and import that."
    )


def _state_dict(found: Any, path: Path, key: str | None) -> State:
    """The tensors by name, inside of whatever a training script put around them."""
    where = ""
    for part in key.split(".") if key else ():
        if not isinstance(found, Mapping) or part not in found:
            raise InputError(f"{path} has no {part!r}{where}: it has {_keys(found)}.")
        found, where = found[part], f" in {part}"
    while isinstance(found, Mapping) and not any(isinstance(value, Tensor) for value in found.values()):
        inner = [name for name, value in found.items() if isinstance(value, Mapping) and value]
        known = [name for name in WRAPPERS if name in inner]
        if not inner or not (known or len(inner) == 1):
            cure = "say with --key which one it is" if inner else "it is no state dict"
            raise InputError(f"{path} has {_keys(found)}{where}: {cure}.")
        name = (known or inner)[0]
        found, where = found[name], f" in {name}"
    if not isinstance(found, Mapping):
        raise WeightsError(f"{path} holds {type(found).__name__}, no state dict.")
    state = {str(name): value.detach() for name, value in found.items() if isinstance(value, Tensor)}
    for name, tensor in state.items():
        if tensor.is_sparse or tensor.is_quantized or tensor.nbytes > tensor.untyped_storage().nbytes():
            raise WeightsError(f"{path}: {name} is no plain tensor: save the state dict of the plain network.")
    return state


def _keys(found: Any) -> str:
    if not isinstance(found, Mapping):
        return type(found).__name__
    return ", ".join(map(str, list(found)[:SHOWN])) or "nothing"


def _views(state: State, depth: int = 3) -> Iterator[State]:
    """The tensors under the names they have, and under those behind one to three prefixes."""
    yield state
    for prefix in PREFIXES if depth else ():
        inner = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        if inner:
            yield from _views(inner, depth - 1)


@dataclass
class Fit:
    """How well a state dict fits a layout.

    Attributes:
        layout: which.
        config: keywords of the builder.
        names: their name of every tensor of our network.
        problems: what does not fit, a line each; empty if all does.
    """

    layout: Layout
    config: Config
    names: dict[str, str]
    problems: list[str]


def fit(layout: Layout, state: Mapping[str, Tensor]) -> Fit | None:
    """How well a state dict fits a layout; None if not even a configuration can be read from it."""
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    try:
        config = layout.config(shapes)
        wanted = build(replace(info(layout.model), config=config)).state_dict()
    except Exception:  # shapes of other networks can be wrong in any way
        return None
    names = _names(layout, config, wanted)
    problems = []
    for ours, theirs in names.items():
        if theirs not in shapes:
            problems += [f"{theirs} is missing"] * (not theirs.endswith(COUNT))  # which files before 2018 lack
        elif shapes[theirs] != tuple(wanted[ours].shape):
            problems.append(f"{theirs} is {list(shapes[theirs])}, not {list(wanted[ours].shape)}")
    used = set(names.values())
    problems += [f"{key} is not known" for key in shapes if key not in used and not _left_over(key, shapes)]
    return Fit(layout, config, names, problems)


def _names(layout: Layout, config: Config, wanted: Iterable[str]) -> dict[str, str]:
    """Their name of every tensor of ours."""
    modules = dict(layout.modules(config))
    split = {key: key.rpartition(".") for key in wanted}
    return {key: f"{modules.get(module, module)}.{tensor}" for key, (module, _, tensor) in split.items()}


def _left_over(key: str, shapes: Mapping[str, Any]) -> bool:
    """Statistics of an instance norm without weights, which files from before PyTorch 0.4 have and nothing uses."""
    module, _, tensor = key.rpartition(".")
    return tensor in STATISTICS and f"{module}.weight" not in shapes


def recognise(states: Sequence[State], layouts: Sequence[Layout] = LAYOUTS) -> tuple[Fit, State]:
    """The layout that state dicts have, one for each file, and their tensors under that layout's names.

    Raises:
        WeightsError: if none fits; it lists the nearest, and how they differ.
    """
    tried: list[tuple[int, Fit]] = []
    merged: list[State] = []
    for layout in layouts:
        if len(layout.parts) != len(states):
            continue
        for ordered in permutations(states):
            for views in zip(*(list(_views(state)) for state in ordered), strict=False):
                pairs = zip(layout.parts, views, strict=True)
                state = {f"{part}{key}": value for part, view in pairs for key, value in view.items()}
                found = fit(layout, state)
                if found and not found.problems:
                    return found, state
                if found:
                    tried.append((len(found.problems), found))
                merged.append(state)
    raise WeightsError(_nearest(states, layouts, tried))


def _nearest(states: Sequence[State], layouts: Sequence[Layout], tried: Sequence[tuple[int, Fit]]) -> str:
    """What to say of files that no layout fits."""
    if tried:
        found = min(tried, key=lambda item: item[0])[1]
        lines = found.problems
        head = f"The nearest layout is {found.layout.name}, with {_words(found.config)}, but:"
    else:
        keys = {key for state in states for key in state}
        layout = max(layouts, key=lambda layout: _likeness(keys, layout))
        files = f" (in {len(layout.parts)} files)" if len(layout.parts) > 1 else ""
        lines = [f"{name} is missing" for name in sorted(_default_names(layout) - keys)[: SHOWN // 2]]
        lines += [f"{key} is not known" for key in sorted(keys - _default_names(layout))]
        head = f"No layout is near; the least far is {layout.name}{files}, but:"
    more = f"\n  and {len(lines) - SHOWN} more" * (len(lines) > SHOWN)
    return "\n  ".join([head, *lines[:SHOWN]]) + more + "\ndocs/import.md lists what is known."


def _words(config: Config) -> str:
    return ", ".join(f"{key}={value}" for key, value in config.items())


@cache
def _default_names(layout: Layout) -> frozenset[str]:
    """The names of the tensors of a network as the builder makes it by default."""
    entry = replace(info(layout.model), config={})
    network = build(entry)
    return frozenset(_names(layout, _all_keywords(entry), network.state_dict()).values())


def _all_keywords(entry: Entry) -> Config:
    """The keywords of an entry's builder, those with their default, too."""
    defaults = {name: p.default for name, p in inspect.signature(type(build(entry))).parameters.items()}
    return {**defaults, **entry.config}


def _likeness(keys: Iterable[str], layout: Layout) -> float:
    """The share of names that two have in common, whatever the numbers in them are."""
    a, b = ({re.sub(r"\d+", "N", key) for key in names} for names in (keys, _default_names(layout)))
    return len(a & b) / len(a | b)


def convert(
    files: Sequence[Path],
    folder: Path,
    *,
    model: str | None = None,
    layout: str | None = None,
    key: str | None = None,
    license: str = "unknown",
) -> Entry:
    """Weights of other people's code, as a folder that ``local-dir:`` loads.

    Args:
        files: safetensors, or what ``torch.save`` wrote; one file, or as many as the layout has parts.
        folder: a new folder, or an empty one.
        model: only layouts of this registered model.
        layout: the name of a layout: only this one.
        key: where in a file the state dict lies, if it has several.
        license: of the weights, as an SPDX identifier.

    Returns:
        The facts of what was written, with where it is from.

    Raises:
        InputError: for a model or layout that does not exist, a file without a state dict, or a folder with content.
        WeightsError: for a file that is no such file, or has no known layout.
    """
    layouts = _chosen(model, layout)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not an empty folder: choose another.")
    found, theirs = recognise([read(path, key) for path in files], layouts)
    entry = replace(info(found.layout.model), config=found.config)
    network = build(entry).state_dict()
    state = {
        ours: theirs[name] if name in theirs else torch.zeros_like(network[ours], device="cpu")
        for ours, name in found.names.items()
    }
    content = save({ours: tensor.clone().contiguous() for ours, tensor in state.items()}, {"format": "pt"})
    given, made = found.layout.formats(found.config)
    entry = replace(
        entry,
        checkpoint="imported",
        input=given,
        output=made,
        hub=None,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        license=license,
        data=None,
        recipe="",
        metrics=(),
        verified=True,
        origin=Origin(
            {path.name: sha256_of(path) for path in files},
            found.layout.name,
            {ours: name for ours, name in found.layout.modules(found.config) if ours != name},
        ),
    )
    put(entry, content, folder)
    return entry


def _chosen(model: str | None, layout: str | None) -> Sequence[Layout]:
    """The layouts that a user's words leave."""
    if layout:
        return [layout_of(layout)]
    if not model:
        return LAYOUTS
    model = info(model).model
    found = [known for known in LAYOUTS if known.model == model]
    if not found:
        known = ", ".join(dict.fromkeys(known.model for known in LAYOUTS))
        raise InputError(f"No layout is known for {model}: there are some for {known}.")
    return found


def export(name: str, target: Path, form: str = "safetensors", layout: str | None = None) -> list[Path]:
    """Weights of a model as a file for other code.

    Args:
        name: as :func:`zoo.load` takes it.
        target: the file; a layout of several files puts their names before its ending.
        form: ``safetensors`` or ``safetensors-fp16``, ``state-dict`` for a file of ``torch.save``, or ``onnx`` for the
            network and its weights, as :func:`zoo.onnx.export` writes it.
        layout: whose names the tensors get; None for ours.

    Returns:
        What was written.

    Raises:
        InputError: for a form or layout that does not exist, or a layout whose code has no such network.
        WeightsError: if the weights cannot be had.
    """
    if form not in FORMATS:
        raise InputError(f"There is no format {form!r}: choose one of {', '.join(FORMATS)}.")
    if form == "onnx":
        if layout:
            raise InputError("An ONNX file has no layout: leave out --layout.")
        from zoo.onnx import export as write

        write(load(name), target)
        return [target]
    entry, path = find(name)
    state = read_state(path)
    parts: tuple[str, ...] = ("",)
    if layout:
        chosen = layout_of(layout)
        state, parts = _renamed(entry, state, chosen), chosen.parts
    if form == "safetensors-fp16":
        state = halved(state)
    written = []
    for part in parts:
        mine = {key.removeprefix(part): value for key, value in state.items() if key.startswith(part)}
        file = target.with_name(f"{target.stem}-{part.rstrip('.')}{target.suffix}") if part else target
        try:
            with atomic_write(file) as aside:
                if form == "state-dict":
                    torch.save(mine, aside)
                else:
                    save_file(mine, aside, {"format": "pt"})
                    aside.chmod(0o644)  # safetensors writes files that only their owner can read
        except OSError as error:
            raise WeightsError(f"{file} cannot be written: {error.strerror or error}.") from None
        written.append(file)
    return written


def _renamed(entry: Entry, state: State, layout: Layout) -> State:
    """Our tensors under the names of a layout, if its code makes the same network of them."""
    if entry.model != layout.model:
        raise InputError(f"{layout.name} is a layout for {layout.model}, and {entry.name} is none.")
    mine = _all_keywords(entry)
    try:
        names = _names(layout, mine, state)
    except (KeyError, TypeError, ValueError):
        names = {}
    theirs = {names.get(key, key): value for key, value in state.items()}
    found = fit(layout, theirs)
    if found and not found.problems:
        others = _all_keywords(replace(entry, config=found.config))
        different = [key for key in mine if mine[key] != others[key] and key not in layout.unseen]
        if not different:
            return theirs
        words = ", ".join(f"{key}={mine[key]}" for key in different)
    else:
        words = "such layers"
    raise InputError(f"{entry.name} has {words}, which the code of {layout.code} has not: leave out the layout.")
