"""Weights into the package that has the model."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save

from zoo.errors import InputError, WeightsError
from zoo.files import atomic_write
from zoo.networks import assign, build, check_finite, halved, read_state
from zoo.registry.discovery import own_registry
from zoo.registry.facts import Entry
from zoo.registry.index import info
from zoo.registry.schema import parse
from zoo.weights.folder import WEIGHTS_FILE
from zoo.weights.verify import read_header


def embed(name: str, source: Path) -> Path:
    """Put trained weights into the package of a model, in float16, with their hash and size in its ``registry.yaml``.

    Args:
        name: of the model or checkpoint.
        source: a safetensors file, or the folder of a run.

    Returns:
        The file in the package.

    Raises:
        InputError: for a package that is not installed as editable, or a source that does not exist.
        WeightsError: for weights of another network or configuration, or values that float16 does not hold.
    """
    entry = info(name)
    if "site-packages" in entry.folder.parts:
        raise InputError(f"{entry.package} is installed as a copy: `pip install -e` its folder, and embed again.")
    path = source / WEIGHTS_FILE if source.is_dir() else source
    if not path.is_file():
        raise InputError(f"{path} does not exist: name the folder of a run, or a safetensors file.")
    read_header(path)
    state = read_state(path)
    check_finite(state, path, torch.float16)
    state = halved(state)
    try:
        assign(build(entry), dict(state), path, torch.float32)
    except WeightsError as error:
        config = ", ".join(f"{key}: {value}" for key, value in entry.config.items())
        raise WeightsError(
            f"{error} registry.yaml has the config {{{config}}}: correct that, if the network was trained with another."
        ) from None
    content = save(state)
    registry = own_registry()[0] if entry.package == "zoo" else entry.folder / "registry.yaml"
    text = _stamped(registry, entry, hashlib.sha256(content).hexdigest(), len(content))
    for file, data in ((entry.embedded, content), (registry, text.encode())):
        with atomic_write(file) as aside:
            aside.write_bytes(data)
    return entry.embedded


def _stamped(registry: Path, entry: Entry, sha256: str, size: int) -> str:
    """The text of a registry file with another hash and size of a checkpoint, and all else as it stands."""
    text = registry.read_text("utf-8")
    node: Any = yaml.compose(text)
    for key in (entry.model, "checkpoints", entry.checkpoint):
        node = next(value for k, value in node.value if k.value == key)
    values = {"sha256": f'"{sha256}"', "bytes": str(size)}
    places = [
        (value.start_mark.index, value.end_mark.index, values.pop(k.value))
        for k, value in node.value
        if k.value in values
    ]
    if values:  # a file of one's own need not have them
        first = node.value[0][0].start_mark
        between = ", " if node.flow_style else "\n" + " " * first.column
        places.append((first.index, first.index, "".join(f"{key}: {value}{between}" for key, value in values.items())))
    for start, end, value in sorted(places, reverse=True):
        text = text[:start] + value + text[end:]
    parse(text, str(registry), entry.package, entry.folder)  # that it is still right
    return text
