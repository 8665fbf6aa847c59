"""Files of other people's code, in and out: recognised, renamed, and written; ``foreign`` reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from zoo.errors import InputError, WeightsError, near
from zoo.files import atomic_write
from zoo.interop.foreign import State, read, shown
from zoo.interop.layouts.base import Layout
from zoo.interop.layouts.table import LAYOUTS, layout_of
from zoo.interop.recognise import all_keywords, fit, foreign_names, join_parts, recognise
from zoo.loading import load
from zoo.networks import build, check_finite, halved, read_state
from zoo.registry.facts import FORMATS, Entry, Origin, with_choices
from zoo.registry.index import info
from zoo.registry.values import bounded
from zoo.weights.folder import CONFIG_FILE
from zoo.weights.folder import export as put
from zoo.weights.resolve import find
from zoo.weights.verify import sha256_of


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
        files: safetensors, their index, or what ``torch.save`` wrote; one file, or as many as the layout has parts.
        folder: a new folder, or an empty one.
        model: only layouts of this registered model.
        layout: the name of a layout: only this one.
        key: where in a file the network lies, if it has several: ``netG``, ``models.generator``, or what the names of
            its tensors begin with. Without it, averaged weights go before others.
        license: of the weights, as an SPDX identifier.

    Returns:
        The facts of what was written; its ``origin`` says what was taken of each file, and what was left out.

    Raises:
        InputError: for a model or layout that does not exist, a file without a state dict, or a folder with content.
        WeightsError: for a file that is no such file, has no known layout, or has weights that are not finite.
    """
    layouts = _chosen(model, layout)
    bounded(license, "the licence")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not an empty folder: choose another.")
    fitted, taken = recognise([read(path) for path in files], layouts, key)
    theirs = join_parts(fitted.layout, taken)
    for each in taken:
        named = {shown(each.prefix + name): tensor for name, tensor in each.state.items()}
        check_finite(named, each.contents.path, torch.float32)
    entry = info(fitted.layout.model)
    conditions = with_choices(entry.conditions, fitted.layout.choices(fitted.config))
    entry = replace(entry, config=fitted.config, conditions=conditions)
    network = build(entry).state_dict()
    state = {
        ours: _as_held(theirs[name], network[ours]) if name in theirs else torch.zeros_like(network[ours], device="cpu")
        for ours, name in fitted.names.items()
    }
    content = save({ours: tensor.clone().contiguous() for ours, tensor in state.items()}, {"format": "pt"})
    input_format, output_format = fitted.layout.formats(fitted.config)
    called = _called([path for each in taken for path in each.contents.files])
    entry = replace(
        entry,
        checkpoint="imported",
        input=input_format,
        output=output_format,
        hub=None,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        license=license,
        summary=entry.model_summary,
        example="",
        extractors={},
        data=None,
        recipe="",
        evaluate="",
        metrics=(),
        verified=True,
        origin=Origin(
            {name: sha256_of(path) for path, name in called.items()},
            fitted.layout.name,
            {ours: name for ours, name in fitted.layout.modules(fitted.config) if ours != name},
            {called[each.contents.path]: each.words for each in taken if each.words},
            {called[each.contents.path]: each.left_out() for each in taken if each.left_out()},
        ),
    )
    put(entry, content, folder)
    return entry


def _called(files: Sequence[Path]) -> dict[Path, str]:
    """What files are called: by their names, with as many of their folders as tell them apart."""
    most = max(len(path.parts) for path in files)
    for count in range(1, most + 1):
        names = {path: shown("/".join(path.parts[-count:])) for path in files}
        if len(set(names.values())) == len(names):
            break
    return names


def _as_held(tensor: Tensor, wanted: Tensor) -> Tensor:
    """A tensor in its own precision; counts, which some files hold as floats, as whole numbers."""
    return tensor if wanted.is_floating_point() else tensor.to(wanted.dtype)


def _chosen(model: str | None, layout: str | None) -> Sequence[Layout]:
    """The layouts that a user's words leave."""
    if layout:
        return [layout_of(layout)]
    if not model:
        return LAYOUTS
    model = info(model).model
    layouts = [known for known in LAYOUTS if known.model == model]
    if not layouts:
        known = list(dict.fromkeys(known.model for known in LAYOUTS))
        some = f": there are some for {', '.join(known)}."
        guess = near(model, [name for name in known if name.startswith(f"{model}-")])
        raise InputError(f"No layout is known for {model}{guess or some}")
    return layouts


def export(name: str, target: Path, form: str = "safetensors", layout: str | None = None) -> list[Path]:
    """Weights of a model as a file for other code.

    Args:
        name: as :func:`zoo.load` takes it.
        target: the file; a layout of several files puts their names before its ending.
        form: ``safetensors`` or ``safetensors-fp16``, ``state-dict`` for a file of ``torch.save``, or ``onnx`` for the
            network and its weights, as :func:`zoo.backends.onnx_export.export` writes it.
        layout: whose names the tensors get; None for ours.

    Returns:
        What was written.

    Raises:
        InputError: for a form or layout that does not exist, a layout whose code has no such network, or a target that
            is read.
        WeightsError: if the weights cannot be had.
    """
    if form not in FORMATS:
        raise InputError(f"There is no format {form!r}: choose one of {', '.join(FORMATS)}.")
    if form == "onnx":
        if layout:
            raise InputError("An ONNX file has no layout: leave out --layout.")
        from zoo.backends.onnx_export import export as write

        _keep([target], find(name)[1])
        return write(load(name), target)
    entry, path = find(name)
    state = read_state(path)
    parts: tuple[str, ...] = ("",)
    if layout:
        chosen = layout_of(layout)
        state, parts = _renamed(entry, state, chosen), chosen.parts
    if form == "safetensors-fp16":
        state = halved(state)
    files = [target.with_name(f"{target.stem}-{part.rstrip('.')}{target.suffix}") if part else target for part in parts]
    _keep(files, path)
    for part, file in zip(parts, files, strict=True):
        mine = {key.removeprefix(part): value for key, value in state.items() if key.startswith(part)}
        # In memory first: on a full disk, what torch and safetensors raise is no OSError.
        content = BytesIO()
        if form == "state-dict":
            torch.save(mine, content)
        else:
            content.write(save(mine, {"format": "pt"}))
        try:
            with atomic_write(file) as aside:
                aside.write_bytes(content.getbuffer())
        except OSError as error:
            raise WeightsError(f"{file} cannot be written: {error.strerror or error}.") from None
    return files


def _keep(targets: Sequence[Path], weights: Path) -> None:
    """Refuse to write over weights, and over what stands beside them and says what they are."""
    for source in (weights, weights.with_name(CONFIG_FILE)):
        for target in targets:
            if source.exists() and target.exists() and target.samefile(source):
                raise InputError(f"{target} is an input and would be overwritten: choose another output.")


def _renamed(entry: Entry, state: State, layout: Layout) -> State:
    """Our tensors under the names of a layout, if its code makes the same network of them."""
    if entry.model != layout.model:
        raise InputError(f"{layout.name} is a layout of {layout.model}, not of {entry.model}: leave out the layout.")
    mine = all_keywords(entry)
    try:
        names = foreign_names(layout, mine, state)
    except (KeyError, TypeError, ValueError):
        names = {}
    theirs = {names.get(key, key): value for key, value in state.items()}
    fitted = fit(layout, theirs)
    if fitted and not fitted.problems:
        others = all_keywords(replace(entry, config=fitted.config))
        different = [key for key in mine if mine[key] != others[key] and key not in layout.unseen]
        if not different:
            return theirs
        words = ", ".join(f"{key}={mine[key]}" for key in different)
    else:
        words = "such layers"
    raise InputError(f"{entry.name} has {words}, which the code of {layout.code} does not have: leave out the layout.")
