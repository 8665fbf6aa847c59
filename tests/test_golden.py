"""What all checkpoints answer and what every recipe learns in twenty steps stays the same while the code changes.

The files in ``tests/golden`` hold a few values of each result, compared with a tolerance for the last bits, in which
processors differ. Between two commits on one machine nothing may differ at all: ``python tests/test_golden.py digests``
prints a hash of every result to compare. ``python tests/test_golden.py write NAME...`` writes those of checkpoints and
recipes that are new, or whose change is meant, and leaves the others as they are.
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
from zoo.data.masks import central_square
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
        samples = model.generate(3, seed=11, first=5, **conditions)
        values = np.stack(model.processors()[1].values(samples))
        yield "generate", torch.from_numpy(values)
    if "reconstruct" in model.entry.verbs:
        size = model.entry.input.size if model.entry.input else None
        for number, (height, width) in enumerate([size or (40, 56), (37, 51)]):
            inputs = zoo.Images([pattern(height, width)])
            if model.entry.input and model.entry.input.kind == "audio":
                inputs = zoo.Audio([inputs.numpy().reshape(1, -1) - 0.5], model.entry.input.rate)
            masks = {c.name: central_square(height, width) * 1.0 for c in model.entry.conditions if c.kind == "mask"}
            yield f"reconstruct-{number}", torch.from_numpy(model.reconstruct(inputs, **conditions, **masks).numpy())
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


def learnt(name: str, base: Path) -> Iterator[tuple[str, Tensor, Tensor]]:
    """The weights of every network of a recipe before and after twenty steps on tiny data."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums come in another order with more
    try:
        objective = TINY[name](base, steps=STEPS)
        objective.start(Runtime("fp32", "cpu"))
        networks = {key: part.network for key, part in objective.networks.items()}
        networks |= {f"average-{key}": average.network for key, average in objective.averages.items()}
        before = {key: weights(network) for key, network in networks.items()}
        for step in range(STEPS):
            torch.manual_seed(step)
            objective.step(step)
    finally:
        torch.set_num_threads(threads)
    for key, network in networks.items():
        yield key, before[key], weights(network)


def weights(network: torch.nn.Module) -> Tensor:
    """All parameters of a network in a row."""
    return torch.cat([p.detach().flatten() for p in network.parameters()])


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
    """The way from the first weights to the last, as far as processors agree on it.

    Adam divides by the size of a gradient: where that is next to nothing, its last bits decide the direction.
    """
    found = {f"{name}/{part}": (few(start), few(end)) for part, start, end in learnt(name, tmp_path)}
    assert found.keys() == {key for key in golden if key.startswith(f"{name}/")}
    for key, (start, end) in found.items():
        ours, theirs = end - start, golden[key] - start
        assert torch.cosine_similarity(ours, theirs, 0) > 0.97, key
        assert float(ours.norm() / theirs.norm()) == pytest.approx(1, abs=0.05), key


def test_list(zoo_command):
    found = {row["name"]: row for row in json.loads(zoo_command("list", "--json").output)}
    wanted = json.loads((FOLDER / "list.json").read_text("utf-8"))
    for name, facts in wanted.items():
        assert {key: found[name][key] for key in facts} == facts


def everything(base: Path, names: list[str]) -> Iterator[tuple[str, Tensor]]:
    for name in CHECKPOINTS:
        if name in names or not names:
            yield from ((f"{name}/{part}", x) for part, x in answers(name))
    for name in TINY:
        if name in names or not names:
            yield from ((f"{name}/{part}", x) for part, _, x in learnt(name, base / name.replace(":", "-")))


def write(results: dict[str, Tensor]) -> None:
    kept = {key: few(x) for key, x in results.items()}
    for file, names in (("answers", CHECKPOINTS), ("weights", TINY)):
        path = FOLDER / f"{file}.safetensors"
        new = {key: x for key, x in kept.items() if key.split("/")[0] in names}
        replaced = {key.split("/")[0] for key in new}
        old = {key: x for key, x in load_file(path).items() if key.split("/")[0] not in replaced}
        save_file(old | new, path)
    facts = ("model", "checkpoint", "builder", "config", "verbs", "license", "sha256", "bytes", "paper", "aliases")
    rows = {name: {key: getattr(zoo.info(name), key) for key in facts} for name in CHECKPOINTS}
    (FOLDER / "list.json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    action, *chosen = sys.argv[1:]
    with tempfile.TemporaryDirectory() as temporary:
        results = dict(everything(Path(temporary), chosen))
    if action == "write":
        write(results)
    else:
        for key, x in results.items():
            print(hashlib.sha256(x.contiguous().numpy().tobytes()).hexdigest()[:16], key)
