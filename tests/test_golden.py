"""What all checkpoints answer and what every recipe learns in twenty steps stays the same while the code changes.

The files in ``tests/golden`` hold a few values of each result, compared with a tolerance for the last bits, in which
processors differ. Between two commits on one machine nothing may differ at all: ``python tests/test_golden.py digests``
prints a hash of every result to compare, and ``python tests/test_golden.py write`` writes the files anew where a change
of answers is meant.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_training import TINY
from torch import Tensor

import zoo
from zoo.model import Model
from zoo.registry.index import registry
from zoo.training.runtime import Runtime

FOLDER = Path(__file__).parent / "golden"
STEPS, KEPT = 20, 256  # steps of a recipe; values of a result that the files hold
CHECKPOINTS = [e.name for e in registry().entries.values() if e.package == "zoo" and e.embedded.is_file()]


def answers(name: str) -> Iterator[tuple[str, Tensor]]:
    """What the verbs of a checkpoint give for fixed seeds and images, at the edges of what they take, too."""
    model = zoo.load(name)
    assert isinstance(model, Model) and model.entry
    conditions = {c.name: c.choices[-1] for c in model.entry.conditions if c.choices}
    if "generate" in model.entry.verbs:
        yield "generate", model.generate(3, seed=11, first=5, **conditions).tensor
    if "reconstruct" in model.entry.verbs:
        size = model.entry.input.size if model.entry.input else None
        for number, (height, width) in enumerate([size or (40, 56), (37, 51)]):
            images = zoo.Images([pattern(height, width)])
            yield f"reconstruct-{number}", model.reconstruct(images, **conditions).tensor
    if hasattr(model, "encode"):
        assert model.entry.input and model.entry.input.size
        x = torch.from_numpy(pattern(*model.entry.input.size))[None, : model.entry.input.channels] * 2 - 1
        with torch.inference_mode():
            yield "encode", model.encode(x)


def pattern(height: int, width: int) -> np.ndarray:
    """A colourful image ``(3, H, W)`` in [0, 1] with smooth parts, an edge, and texture."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = np.stack([np.sin(9 * x + 4 * y), np.cos(7 * y), np.sin(40 * x * y)]) / 2 + 0.5
    waves[:, height // 2 :, width // 3 : width // 2] = [[[0.9]], [[0.2]], [[0.1]]]
    return waves.astype(np.float32)


def learnt(name: str, base: Path) -> Iterator[tuple[str, Tensor]]:
    """The weights of every network of a recipe after twenty steps on tiny data."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums come in another order with more
    try:
        objective = TINY[name](base, steps=STEPS)
        objective.start(Runtime("fp32", "cpu"))
        for step in range(STEPS):
            torch.manual_seed(step)
            objective.step(step)
    finally:
        torch.set_num_threads(threads)
    for network, part in objective.networks.items():
        yield network, torch.cat([p.detach().flatten() for p in part.network.parameters()])
    for product, average in objective.averages.items():
        yield f"average-{product}", torch.cat([p.detach().flatten() for p in average.network.parameters()])


def few(x: Tensor) -> Tensor:
    """Values at even distances."""
    flat = x.detach().flatten().float()
    return flat[torch.linspace(0, len(flat) - 1, min(KEPT, len(flat))).long()].clone()


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    return load_file(FOLDER / "answers.safetensors") | load_file(FOLDER / "weights.safetensors")


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_answers(name, golden):
    found = {f"{name}/{part}": few(x) for part, x in answers(name)}
    assert found.keys() == {key for key in golden if key.startswith(f"{name}/")}
    for key, x in found.items():
        torch.testing.assert_close(x, golden[key], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", TINY)
def test_weights_after_twenty_steps(name, golden, tmp_path):
    found = {f"{name}/{part}": few(x) for part, x in learnt(name, tmp_path)}
    assert found.keys() == {key for key in golden if key.startswith(f"{name}/")}
    for key, x in found.items():
        # Adam divides by the size of a gradient: where that is next to nothing, its last bits decide the direction.
        far = (x - golden[key]).abs() > 1e-4 + 1e-3 * golden[key].abs()
        assert far.float().mean() <= 0.05, key


def test_list(zoo_command):
    found = {row["name"]: row for row in json.loads(zoo_command("list", "--json").output)}
    wanted = json.loads((FOLDER / "list.json").read_text("utf-8"))
    for name, facts in wanted.items():
        assert {key: found[name][key] for key in facts} == facts


def everything(base: Path) -> Iterator[tuple[str, Tensor]]:
    for name in CHECKPOINTS:
        yield from ((f"{name}/{part}", x) for part, x in answers(name))
    for name in TINY:
        yield from ((f"{name}/{part}", x) for part, x in learnt(name, base / name.replace(":", "-")))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        results = dict(everything(Path(temporary)))
    if sys.argv[1:] == ["write"]:
        kept = {key: few(x) for key, x in results.items()}
        save_file(
            {key: x for key, x in kept.items() if key.split("/")[0] in CHECKPOINTS}, FOLDER / "answers.safetensors"
        )
        save_file({key: x for key, x in kept.items() if key.split("/")[0] in TINY}, FOLDER / "weights.safetensors")
        facts = ("model", "checkpoint", "builder", "config", "verbs", "license", "sha256", "bytes", "paper", "aliases")
        rows = {name: {key: getattr(zoo.info(name), key) for key in facts} for name in CHECKPOINTS}
        (FOLDER / "list.json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    else:
        for key, x in results.items():
            print(hashlib.sha256(x.contiguous().numpy().tobytes()).hexdigest()[:16], key)
