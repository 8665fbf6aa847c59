"""What several test files make: an environment without a network, images, a registry of the test's own."""

from __future__ import annotations

import os

# Tests run side by side, see Makefile: each process takes one core. Read when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner, Result
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from zoo.cli import main

from zoo.loading import load
from zoo.model import Generator, Model
from zoo.registry import index
from zoo.registry.schema import read

# The same examples in every run; `python -m tests.fuzz` looks for others.
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees what the machine's user has downloaded."""
    cache = tmp_path_factory.mktemp("hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(cache), raising=False)
    monkeypatch.setenv("ZOO_CACHE", str(cache / "zoo"))
    monkeypatch.delenv("ZOO_WEIGHTS", raising=False)


@pytest.fixture
def zoo_command() -> Callable[..., Result]:
    """The command, run in this process."""

    def run(*args: object, **options: object) -> Result:
        return CliRunner().invoke(main, [str(arg) for arg in args], prog_name="zoo", **options)  # type: ignore[arg-type]

    return run


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A colourful image of 96x64 pixels as a file."""
    path = tmp_path / "photo.png"
    sample_image(96, 64).save(path)
    return path


def sample_image(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    values = np.stack([x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x + y) % 256], -1)
    return Image.fromarray(values.astype(np.uint8))


class Dots(Generator):
    """Toy: a class-conditional generator, with images ``(N, 1, 8, 8)`` in [-1, 1]."""

    def __init__(self, latent: int = 4) -> None:
        super().__init__()
        self.latent_shape = (latent,)
        self.linear = torch.nn.Linear(latent, 64)

    def decode(self, z: Tensor, digit: Tensor, strength: Tensor) -> Tensor:
        shift = (digit.to(z.dtype) / 10 + strength)[:, None]
        return torch.tanh(self.linear(z) + shift).unflatten(1, (1, 8, 8))


class Doubler(Model):
    """Toy: twice as large, any size that is divisible by 4, RGB; `mask` is an image."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if x.shape[-1] % 4 or x.shape[-2] % 4:
            raise ValueError("not divisible by 4")
        y = torch.nn.functional.interpolate(x * self.gain, scale_factor=2)
        return y if mask is None else y * (mask.mean((1, 2, 3), keepdim=True) / 2 + 0.5)


def broken_rules(name: str) -> list[str]:
    """The rules of the contract that a toy breaks; how long it takes to import a file of tests does not count."""
    from zoo.testing import RULES
    from zoo.testing.harness import answers

    model = load(name)
    try:
        return [text for rule in RULES if rule.id != "import_time" and (text := rule.complaint(model))]
    finally:
        answers.cache_clear()


class Registry:
    """A registry that a test writes: entries of toy models with their weights."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "checkpoints").mkdir(parents=True)

    def add(self, name: str, network: Model, **facts: object) -> None:
        path = self.folder / "checkpoints" / f"{name}.toy.safetensors"
        save_file(network.state_dict(), path)
        checkpoint = {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
            "license": "MIT",
            "output": {"kind": "image"},
            **facts.pop("checkpoint", {}),  # type: ignore[dict-item]
        }
        cls = type(network)
        model = {
            "builder": f"{cls.__module__}:{cls.__name__}",
            "summary": "A toy.",
            **facts,
            "checkpoints": {"toy": checkpoint},
        }
        path = self.folder / "registry.yaml"
        path.write_text(yaml.safe_dump({name: model}))
        index.registry().add(read(path, "toys", self.folder))


@pytest.fixture
def toys(tmp_path: Path) -> Iterator[Registry]:
    """The registry with two toys added: `dots` with conditions, `doubler` for any size."""
    torch.manual_seed(0)
    made = Registry(tmp_path / "toys")
    index.registry.cache_clear()
    made.add(
        "dots",
        Dots(),
        verbs=["generate"],
        aliases=["points"],
        conditions={
            "digit": {"choices": list(range(10)), "default": 0, "help": "which digit"},
            "strength": {"kind": "number", "required": True},
        },
        checkpoint={"output": {"kind": "image", "channels": 1, "size": [8, 8]}},
    )
    made.add(
        "doubler",
        Doubler(),
        verbs=["reconstruct"],
        conditions={"mask": {"kind": "image"}},
        checkpoint={
            "input": {"kind": "image", "channels": 3, "multiple": 4},
            "output": {"kind": "image", "channels": 3, "scale": 2},
        },
    )
    yield made
    index.registry.cache_clear()
