"""Plugins as their authors need them: a new one that works, and trained weights put into it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save

from zoo.entry import Entry
from zoo.errors import InputError, UnknownNameError, WeightsError, ZooError
from zoo.files import atomic_write
from zoo.loading import assign, build, check_finite, halved, read_state
from zoo.registry import info, own_registry
from zoo.schema import NAME, parse
from zoo.weights import WEIGHTS_FILE, read_header

TEMPLATES = Path(__file__).parent / "templates"
_SIDE = 32
_PICTURE = f"{{kind: image, channels: 3, size: [{_SIDE}, {_SIDE}]}}"
# What a stanza of each kind says beyond what all say: lines of the model, and lines of its checkpoint.
KINDS: dict[str, tuple[str, str]] = {
    "generator": ("verbs: [generate]", f"output: {_PICTURE}"),
    "conditional": (
        "verbs: [generate]\n  conditions:\n    label: {choices: [day, night], default: day, help: when it is}",
        f"config: {{size: {_SIDE}, classes: 2}}\n      output: {_PICTURE}",
    ),
    "autoencoder": ("verbs: [reconstruct]", f"input: {_PICTURE}\n      output: {_PICTURE}"),
    "image-to-image": (
        "verbs: [reconstruct]",
        "input: {kind: image, channels: 3, multiple: 2}\n      output: {kind: image, channels: 3}",
    ),
}
_STANZA = """starry:
  builder: zoo_starry.network:Starry
  summary: What it does, in a sentence for `zoo list`.
  {model}
  checkpoints:
    first:
      {checkpoint}
      recipe: zoo_starry.recipe:train
      license: CC0-1.0
      sha256: "{sha256}"
      bytes: {bytes}
"""


def create(name: str, kind: str = "generator", folder: Path | None = None) -> Path:
    """Write a plugin: a package with a network, its recipe, its stanza, random weights and its tests.

    Args:
        name: of the model: lower-case letters, digits and hyphens.
        kind: a key of :data:`KINDS`.
        folder: where it goes; by default a new one of that name, here.

    Returns:
        The folder.

    Raises:
        InputError: for a name that is none or is taken, another kind, or a folder that is there already.
        ZooError: if the folder cannot be written.
    """
    if not NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name: use lower-case letters, digits and hyphens, as in conv-ae.")
    if kind not in KINDS:
        raise InputError(f"There is no kind {kind!r}: choose one of {', '.join(KINDS)}.")
    try:
        raise InputError(f"The name {name} is taken by {info(name).package}: choose another.")
    except UnknownNameError:
        pass
    folder = folder or Path(name)
    if folder.exists():
        raise InputError(f"{folder} exists already: choose another name, or another folder with --to.")
    package = f"zoo_{name.replace('-', '_')}"
    words = {"zoo_starry": package, "zoo-starry": f"zoo-{name}", "Starry": _class_name(name), "starry": name}
    stem = kind.replace("-", "_")
    files = {
        f"{package}/network.py": f"{stem}.py",
        f"{package}/recipe.py": f"{stem}_recipe.py",
        f"tests/test_{package.removeprefix('zoo_')}.py": "test_starry.py",
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        ".gitignore": "gitignore",
    }
    texts = {file: _renamed((TEMPLATES / origin).read_text("utf-8"), words) for file, origin in files.items()}
    weights = _first_weights(texts[f"{package}/network.py"], words["Starry"])
    model, checkpoint = KINDS[kind]
    stanza = _STANZA.format(
        model=model, checkpoint=checkpoint, sha256=hashlib.sha256(weights).hexdigest(), bytes=len(weights)
    )
    texts[f"{package}/registry.yaml"] = _renamed(stanza, words)
    texts[f"{package}/__init__.py"] = f'"""{words["Starry"]}, a model for the zoo."""\n'
    texts[f"{package}/py.typed"] = ""
    contents = {file: text.encode() for file, text in texts.items()}
    contents[f"{package}/checkpoints/{name}.first.safetensors"] = weights
    try:
        for file, content in contents.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise ZooError(f"{folder} cannot be written: {error.strerror or error}.") from None
    return folder


def _class_name(name: str) -> str:
    made = "".join(part.capitalize() for part in name.split("-"))
    return made if made[0].isalpha() else f"Model{made}"


def _renamed(text: str, words: dict[str, str]) -> str:
    for word, other in words.items():  # the longer ones come first
        text = text.replace(word, other)
    return text


def _first_weights(code: str, cls: str) -> bytes:
    """Random weights of a network, as a safetensors file."""
    names: dict[str, Any] = {"__name__": "network"}
    exec(code, names)  # noqa: S102 - our own template
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return save(halved(names[cls]().state_dict()))


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
