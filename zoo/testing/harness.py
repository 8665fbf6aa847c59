"""How the rules of the contract run a model: made-up input, twins, and what else they look at."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from zoo.inference.conditions import Space, space
from zoo.inference.verbs import CALLS
from zoo.media.base import Samples
from zoo.model import Autoencoder, Generator, Model
from zoo.networks import read_model
from zoo.registry.facts import Entry


def entry_of(model: Model) -> Entry:
    return cast(Entry, model.entry)


def methods(model: Model) -> list[str]:
    """What a contributor writes; conditions go to the last."""
    if isinstance(model, Autoencoder):
        return ["encode", "decode"]
    return ["decode"] if isinstance(model, Generator) else ["forward"]


def example_samples(model: Model, n: int = 3) -> Samples:
    """Made-up samples that the model takes."""
    reader, _ = model.processors()
    samples: Samples = reader.example_samples(n)
    return samples


def conditions_for(model: Model, samples: Samples | None = None, n: int = 3, seed: int = 0) -> dict[str, Any]:
    """A value of each condition that has no default, for each of ``n`` samples, as users give them."""
    spaces = [space(condition) for condition in entry_of(model).conditions if condition.default is None]
    return {each.condition.name: values(each, samples, n, seed) for each in spaces}


def values(each: Space, samples: Samples | None, n: int, seed: int) -> list[Any]:
    """A value of a condition for each of ``n`` samples; another for another seed."""
    rng = np.random.default_rng(seed)
    return [each.sample(rng, samples[i] if samples is not None else None) for i in range(n)]


def run(
    model: Model, batch_size: int = 3, n: int = 3, seed: int = 0, replaced: Mapping[str, Any] | None = None
) -> list[Samples]:
    """What each verb makes of fixed input.

    Args:
        model: a loaded one.
        batch_size: of the verbs.
        n: the first samples, of three.
        seed: of made-up values of conditions.
        replaced: values of conditions in place of those that are made up.
    """
    entry, results = entry_of(model), []
    if "generate" in entry.verbs:
        conditions = {**conditions_for(model, None, 3, seed), **(replaced or {})}
        # By latents, whose samples come as they are: of weights that a rule has changed none may be valid.
        latents = model.latents(n, seed=0)
        results.append(model.generate(latents=latents, batch_size=batch_size, **_first(conditions, n)))
    if "reconstruct" in entry.verbs:
        samples = example_samples(model)
        conditions = {**conditions_for(model, samples, 3, seed), **(replaced or {})}
        results.append(model.reconstruct(samples[:n], batch_size=batch_size, **_first(conditions, n)))
    return results


def _first(conditions: Mapping[str, Any], n: int) -> dict[str, Any]:
    return {name: value[:n] if isinstance(value, list) else value for name, value in conditions.items()}


@lru_cache(maxsize=1)
def answers(model: Model) -> list[Samples]:
    """The same, once for all rules."""
    return run(model)


def numbers(model: Model, samples: Samples) -> list[np.ndarray]:
    """The values of each result."""
    _, writer = model.processors()
    return writer.values(samples)


def calls(model: Model) -> list[tuple[Any, Callable[[Any], Any]]]:
    """Tensors as a verb would make them, and what the verb calls with them."""
    batches: list[tuple[Any, Callable[[Any], Any]]] = []
    for verb in entry_of(model).verbs:
        x, conditions = model.example_batch(CALLS[verb], 3)
        keywords = {name: model.tensor(value) for name, value in conditions.items()}
        batches.append((model.tensor(x), partial(getattr(model, CALLS[verb]), **keywords)))
    return batches


def raw(model: Model) -> list[tuple[Tensor, ...]]:
    """What the network itself gives: a tensor, or several."""
    with torch.inference_mode():
        results = [run(x) for x, run in calls(model)]
    return [y if isinstance(y, tuple) else (y,) for y in results]


def twin(model: Model, dtype: torch.dtype) -> Model:
    """Another model with the same weights, by way of a file."""
    entry = entry_of(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_file({key: value.clone().contiguous() for key, value in model.state_dict().items()}, path)
        return read_model(entry, path, dtype=dtype, device=torch.device("cpu"), precision="exact", check=False)


def same(a: Sequence[np.ndarray], b: Sequence[np.ndarray], tolerance: float) -> bool:
    """Whether two lists of arrays are equal, but for a tolerance."""
    return len(a) == len(b) and all(
        x.shape == y.shape and np.allclose(x, y, rtol=0, atol=tolerance, equal_nan=True)
        for x, y in zip(a, b, strict=True)
    )


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
    seconds = []
    for _ in range(3):
        done = subprocess.run(  # noqa: S603 - our own interpreter
            command, capture_output=True, text=True, check=False, env=environment
        )
        assert done.returncode == 0, f"It failed: {done.stderr.strip().splitlines()[-1]}"
        seconds.append(float(done.stdout.split()[-1]))
        if seconds[-1] < enough:
            break
    return min(seconds)


def listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
