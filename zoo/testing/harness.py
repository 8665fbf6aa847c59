"""How the rules of the contract run a model: made-up input, twins, and what else they look at."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from zoo.inference.verbs import CALLS
from zoo.media.images import Images
from zoo.model import Autoencoder, Generator, Model
from zoo.networks import read_model
from zoo.registry.facts import Condition, Entry


def entry_of(model: Model) -> Entry:
    return cast(Entry, model.entry)


def methods(model: Model) -> list[str]:
    """What a contributor writes; conditions go to the last."""
    if isinstance(model, Autoencoder):
        return ["encode", "decode"]
    return ["decode"] if isinstance(model, Generator) else ["forward"]


def example_images(entry: Entry) -> Images:
    """Three made-up images that the model takes: smooth, so that a trained network has something to hold on to."""
    height, width = (entry.input.size if entry.input else None) or (32, 32)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (3 + i)) * np.cos(y / (4 + i)) / 2 + 0.5 for i in range(3)]
    channels = (entry.input.channels if entry.input else None) or 3
    return Images([np.repeat(wave[None], channels, 0).astype(np.float32) for wave in waves])


def values(condition: Condition) -> list[Any]:
    """Two values that the condition may have."""
    if condition.kind == "image":
        return [np.full((32, 32, 3), value, np.float32) for value in (0.5, 0)]
    if condition.kind == "choice":
        return list(condition.choices)
    made: dict[str, list[Any]] = {"integer": [1, 0], "number": [0.5, 0.0], "text": ["a flower", "a ship"]}
    return made[condition.kind]


def required(model: Model) -> dict[str, Any]:
    return {c.name: values(c)[0] for c in entry_of(model).conditions if c.default is None}


def run(model: Model, batch_size: int = 3, n: int = 3, **conditions: Any) -> list[Images]:
    """What each verb makes of fixed input: of the first ``n`` samples or images, of three."""
    entry, made = entry_of(model), []
    conditions = required(model) | conditions
    if "generate" in entry.verbs:
        made.append(model.generate(n, seed=0, batch_size=batch_size, **conditions))
    if "reconstruct" in entry.verbs:
        made.append(model.reconstruct(example_images(entry)[:n], batch_size=batch_size, **conditions))
    return made


@lru_cache(maxsize=1)
def answers(model: Model) -> list[Images]:
    """The same, once for all rules."""
    return run(model)


def keywords(model: Model, n: int) -> dict[str, Any]:
    """Conditions as a network takes them: those that must be given, and defaults."""
    return {name: model.tensor(value) for name, value in model.checked(required(model), n, model.calls[0]).items()}


def calls(model: Model) -> list[tuple[Tensor, Callable[[Tensor], Tensor]]]:
    """Tensors as a verb would make them, and what the verb calls."""
    entry, made = entry_of(model), []
    given = keywords(model, 3)
    if "generate" in entry.verbs and model.latent_shape is not None:
        decode = getattr(model, CALLS["generate"])
        made.append((model.latents(3, 0), lambda z: decode(z, **given)))
    if "reconstruct" in entry.verbs:
        multiple = entry.input.multiple if entry.input else 1
        x = torch.from_numpy(example_images(entry).numpy()) * 2 - 1
        x = torch.nn.functional.pad(x, (0, -x.shape[3] % multiple, 0, -x.shape[2] % multiple), "reflect")
        made.append((x, lambda x: model(x, **given)))
    return made


def raw(model: Model) -> list[Tensor]:
    """What the network itself gives."""
    with torch.inference_mode():
        return [run(x) for x, run in calls(model)]


def twin(model: Model, dtype: torch.dtype) -> Model:
    """Another model with the same weights, by way of a file."""
    entry = entry_of(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_file({key: value.clone().contiguous() for key, value in model.state_dict().items()}, path)
        return read_model(entry, path, dtype=dtype, device=torch.device("cpu"), precision="exact", check=False)


def same(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=0, atol=tolerance, equal_nan=True)


def random_states() -> dict[str, object]:
    numpys: Any = np.random.get_state(legacy=True)
    return {
        "torch": torch.random.get_rng_state().numpy().tobytes(),
        "numpy": (np.asarray(numpys[1]).tobytes(), *numpys[2:]),
        "Python": random.getstate(),
    }


def tensors() -> int:
    gc.collect()
    return sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())


@cache
def import_seconds(module: str, enough: float) -> float:
    """Processor time that a new interpreter needs for a module beyond the zoo; the first of three below ``enough``."""
    if module == "__main__":
        return 0.0
    code = (
        "import time, zoo.media.images, zoo.model; before = time.process_time(); "
        f"import {module}; print(time.process_time() - before)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code]
    found = []
    for _ in range(3):
        done = subprocess.run(  # noqa: S603 - our own interpreter
            command, capture_output=True, text=True, check=False, env=environment
        )
        assert done.returncode == 0, f"It failed: {done.stderr.strip().splitlines()[-1]}"
        found.append(float(done.stdout.split()[-1]))
        if found[-1] < enough:
            break
    return min(found)


def listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
