"""The contract of a model as a test, for the zoo's own and for plugins: ``check("my-model")``.

Each rule is a function that takes a loaded model and asserts; its docstring is the sentence that a user reads.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from zoo.entry import Condition, Entry
from zoo.errors import InputError, UnknownNameError, VerbError
from zoo.images import Images
from zoo.loading import assign, build, load
from zoo.model import Autoencoder, Generator, Model

TOLERANCE = 1e-4  # of the range: kernels differ in the last bits with the size of a batch


def check(name: str) -> None:
    """Test that a model keeps the contract.

    Raises:
        AssertionError: naming every rule that is broken.
    """
    model = load(name)
    broken = []
    for rule in RULES:
        try:
            rule(model)
        except Exception as error:  # whatever a builder raises breaks the rule
            reason = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            broken.append(f"{rule.__name__}: {rule.__doc__} {reason}".strip())
    assert not broken, f"{name} breaks the contract. " + " ".join(broken)


def verbs(model: Model) -> None:
    """The model has the verbs that the registry declares, and refuses the other."""
    entry = _entry(model)
    assert ("generate" in entry.verbs) <= isinstance(model, Generator), "generate needs a Generator."
    for verb in {"generate", "reconstruct"} - set(entry.verbs):
        try:
            getattr(model, verb)(1)
        except VerbError:
            continue
        raise AssertionError(f"{verb} was not refused.")


def output(model: Model) -> None:
    """What comes out has the declared channels and size and is finite, in [0, 1]."""
    entry = _entry(model)
    for images in _run(model):
        values = images.numpy()
        assert np.isfinite(values).all(), "There are NaN or infinite values."
        assert values.min() >= 0, "There are values below 0."
        assert values.max() <= 1, "There are values above 1."
        assert values.std() > 0, "All values are the same."
        assert entry.output.channels in (None, values.shape[1]), f"It has {values.shape[1]} channels."
        assert entry.output.size in (None, values.shape[2:]), f"It has {values.shape[2:]} pixels."


def seeds(model: Model) -> None:
    """A seed always gives the same samples, another seed gives others, and few are the first of many."""
    if "generate" not in _entry(model).verbs:
        return
    conditions = _conditions(model)
    one, again, other = (model.generate(3, seed=seed, **conditions).numpy() for seed in (1, 1, 2))
    assert np.array_equal(one, again), "The same seed gave other samples."
    assert not np.array_equal(one, other), "Another seed gave the same samples."
    assert np.allclose(model.generate(1, seed=1, **conditions).numpy(), one[:1], atol=TOLERANCE), (
        "One is not the first of three."
    )


def batches(model: Model) -> None:
    """A sample does not depend on what else is in its batch."""
    for few, many in zip(_run(model, batch_size=1), _run(model, batch_size=8), strict=True):
        worst = np.abs(few.numpy() - many.numpy()).max()
        assert worst <= TOLERANCE, f"It differs by {worst:.2g} between batches of 1 and 8; is it in eval mode?"


def random_state(model: Model) -> None:
    """Global random state is neither used nor changed."""
    before = torch.random.get_rng_state()
    _run(model)
    assert torch.equal(before, torch.random.get_rng_state()), "torch's global random state was changed."


def weights(model: Model) -> None:
    """Saved and loaded again, the weights give the same answer."""
    entry = _entry(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
        twin = build(entry)
        assign(twin, load_file(path), path, torch.float32)
    twin.entry = entry
    twin.eval()
    for ours, theirs in zip(_run(model), _run(twin), strict=True):
        assert np.array_equal(ours.numpy(), theirs.numpy()), "The answer changed."


def any_picture(model: Model) -> None:
    """Pictures of any size and colour are taken, and the size of the answer is as declared."""
    entry = _entry(model)
    if "reconstruct" not in entry.verbs or entry.input is None or entry.input.kind != "image":
        return
    rng = np.random.default_rng(0)
    for shape in ((1, 1, 3), (7, 50), (65, 33, 4)):
        made = model.reconstruct(rng.random(shape, dtype=np.float32), **_conditions(model)).numpy()
        size = entry.input.size or shape[:2]
        wanted = entry.output.size or (size[0] * entry.output.scale, size[1] * entry.output.scale)
        assert made.shape[2:] == wanted, f"A picture of {shape} became {made.shape[2:]} instead of {wanted}."


def codes(model: Model) -> None:
    """An autoencoder's code has one row for each picture, fewer numbers than the picture, and decodes to its copy."""
    if not isinstance(model, Autoencoder):
        return
    x = torch.from_numpy(_pictures(_entry(model)).numpy()) * 2 - 1
    z = model.encode(x)
    assert len(z) == len(x), "The code has another number of rows."
    assert z[0].numel() < x[0].numel(), "The code is no smaller than the picture."
    assert torch.allclose(model.decode(z), model(x), atol=2 * TOLERANCE), "decode(encode(x)) is not forward(x)."


def conditions(model: Model) -> None:
    """Conditions that are unknown or impossible are refused."""
    entry = _entry(model)
    call = (lambda **c: model.generate(1, **c)) if "generate" in entry.verbs else None
    call = call or (lambda **c: model.reconstruct(_pictures(entry), **c))
    wrong: list[tuple[str, object]] = [("no_such_condition", 1)]
    wrong += [(c.name, "no such choice") for c in entry.conditions if c.kind in ("choice", "integer", "number")]
    for name, value in wrong:
        try:
            call(**{**_conditions(model), name: value})
        except (InputError, UnknownNameError):
            continue
        raise AssertionError(f"{name}={value!r} was not refused.")


RULES: tuple[Callable[[Model], None], ...] = (
    *(verbs, output, seeds, batches, random_state, weights, any_picture, codes, conditions),
)


def _entry(model: Model) -> Entry:
    return cast(Entry, model.entry)


def _pictures(entry: Entry) -> Images:
    """Three made-up pictures that the model takes: smooth, so that a trained network has something to hold on to."""
    height, width = (entry.input.size if entry.input else None) or (32, 32)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (3 + i)) * np.cos(y / (4 + i)) / 2 + 0.5 for i in range(3)]
    channels = (entry.input.channels if entry.input else None) or 3
    return Images([np.repeat(wave[None], channels, 0).astype(np.float32) for wave in waves])


def _condition(condition: Condition) -> object:
    if condition.kind == "image":
        return np.full((32, 32, 3), 0.5, np.float32)
    return {"choice": (condition.choices or (0,))[0], "integer": 1, "number": 0.5, "text": "a flower"}[condition.kind]


def _conditions(model: Model) -> dict[str, Any]:
    return {c.name: _condition(c) for c in _entry(model).conditions if c.default is None}


def _run(model: Model, batch_size: int = 3) -> list[Images]:
    """What each verb makes of fixed input."""
    entry, made = _entry(model), []
    if "generate" in entry.verbs:
        made.append(model.generate(3, seed=0, batch_size=batch_size, **_conditions(model)))
    if "reconstruct" in entry.verbs:
        made.append(model.reconstruct(_pictures(entry), batch_size=batch_size, **_conditions(model)))
    return made
