"""Plugins as their authors need them: a new one that works, and trained weights put into it."""

from __future__ import annotations

import hashlib
import keyword
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from zoo.errors import InputError, UnknownNameError, ZooError
from zoo.networks import halved
from zoo.registry.index import info
from zoo.registry.values import NAME

TEMPLATES = Path(__file__).parent / "templates"
_SIDE = 32
_IMAGE = f"{{kind: image, channels: 3, size: [{_SIDE}, {_SIDE}]}}"
# What a stanza of each kind says beyond what all say: lines of the model, and lines of its checkpoint.
KINDS: dict[str, tuple[str, str]] = {
    "generator": ("verbs: [generate]", f"output: {_IMAGE}"),
    "conditional": (
        "verbs: [generate]\n  conditions:\n    label: {choices: [day, night], default: day, help: when it is}",
        f"config: {{size: {_SIDE}, classes: 2}}\n      output: {_IMAGE}",
    ),
    "autoencoder": ("verbs: [reconstruct]\n  encoder: true", f"input: {_IMAGE}\n      output: {_IMAGE}"),
    "image-to-image": (
        "verbs: [reconstruct]",
        "input: {kind: image, channels: 3, multiple: 2}\n      output: {kind: image, channels: 3}",
    ),
    "vae": ("verbs: [generate, reconstruct]\n  encoder: true", f"input: {_IMAGE}\n      output: {_IMAGE}"),
    "masked": (
        "verbs: [reconstruct]\n"
        "  conditions:\n    mask: {kind: mask, aligned: true, required: true, help: what to fill}",
        "input: {kind: image, channels: 3, multiple: 2}\n      output: {kind: image, channels: 3}",
    ),
    "text": (
        "verbs: [generate]\n  conditions:\n    text: {kind: text, required: true, help: what is to be seen}",
        f"output: {_IMAGE}",
    ),
    "audio": (
        "verbs: [reconstruct]",
        "input: {kind: audio, channels: 1, rate: 16000, multiple: 4}\n"
        "      output: {kind: audio, channels: 1, rate: 16000}",
    ),
}
_STANZA = """starry:
  builder: zoo_starry.network:Starry
  summary: What it does, in a sentence for `zoo list`.
  {model}
  checkpoints:
    first:
      {checkpoint}
      {recipe}license: CC0-1.0
      sha256: "{sha256}"
      bytes: {bytes}
"""


# What the README says of kinds that bring no recipe.
_WITH_RECIPE = (
    "Weights come from its recipe, `zoo_starry/recipe.py`:\n\n    zoo train starry --data images/ --out run\n"
)
_WITHOUT_RECIPE = "Trained weights come in with:\n\n"


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
    stem = kind.replace("-", "_")
    files = {
        f"{package}/network.py": f"{stem}.py",
        f"{package}/recipe.py": f"{stem}_recipe.py",
        f"tests/test_{package.removeprefix('zoo_')}.py": "test_starry.py",
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        ".gitignore": "gitignore",
    }
    recipe = (TEMPLATES / f"{stem}_recipe.py").is_file()
    if not recipe:
        del files[f"{package}/recipe.py"]
    templates = {file: (TEMPLATES / origin).read_text("utf-8") for file, origin in files.items()}
    words = {} if recipe else {_WITH_RECIPE: _WITHOUT_RECIPE}
    words |= {"zoo_starry": package, "zoo-starry": f"zoo-{name}", "starry": name}
    words["Starry"] = _class_name(name, " ".join(templates.values()).replace("Starry", ""))
    texts = {file: _renamed(text, words) for file, text in templates.items()}
    weights = _first_weights(texts[f"{package}/network.py"], words["Starry"])
    model, checkpoint = KINDS[kind]
    stanza = _STANZA.format(
        model=model,
        checkpoint=checkpoint,
        recipe="recipe: zoo_starry.recipe:train\n      " if recipe else "",
        sha256=hashlib.sha256(weights).hexdigest(),
        bytes=len(weights),
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


def _class_name(name: str, code: str) -> str:
    """The name of a model as that of a class, which must be no other name in the code."""
    joined = "".join(part.capitalize() for part in name.split("-"))
    free = joined.isidentifier() and not keyword.iskeyword(joined) and not re.search(rf"\b{joined}\b", code)
    return joined if free else f"Model{joined}"


def _renamed(text: str, words: dict[str, str]) -> str:
    """All words in one pass, for the new ones may have old ones in them; the longer ones come first."""
    return re.sub("|".join(map(re.escape, words)), lambda match: words[match[0]], text)


def _first_weights(code: str, cls: str) -> bytes:
    """Random weights of a network, as a safetensors file."""
    names: dict[str, Any] = {"__name__": "network"}
    exec(code, names)  # noqa: S102 - our own template
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return save(halved(names[cls]().state_dict()))
