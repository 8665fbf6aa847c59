"""Rules about what comes out of a model."""

from __future__ import annotations

import numpy as np
import torch

from zoo.model import Autoencoder, Model
from zoo.testing.harness import answers, calls, conditions_for, entry_of, numbers, raw
from zoo.testing.rule import TOLERANCE, Rule, adder

RULES: list[Rule] = []
rule = adder(RULES)


@rule(
    "A Generator has latent_shape and decode(z), an Autoencoder encode(x) and decode(z), another Model forward(x); "
    "conditions come as keywords. Where a result is not finite, look for divisions by zero and logarithms."
)
def verbs_run(model: Model) -> None:
    """The verbs run, and every result is finite."""
    answers(model)


@rule("Make the network and `output` in registry.yaml agree; `scale` is for outputs larger than the input.")
def output(model: Model) -> None:
    """Results have the channels and the size that the registry declares."""
    _, writer = model.processors()
    for y in raw(model):
        if writer.layout:
            right = len(y) == 1 and y[0].ndim == writer.layout.count(",") + 1
            assert right, (
                f"The network gives {' and '.join(str(tuple(x.shape)) for x in y)} instead of {writer.layout}."
            )
    for samples in answers(model):
        for i in range(len(samples)):
            mismatch = writer.mismatch(samples[i])
            assert not mismatch, mismatch


@rule("End in tanh, or scale what the network gives: of images, black is -1 and white is 1.")
def value_range(model: Model) -> None:
    """The network gives images, sound and video in [-1, 1]; a little beyond is cut off."""
    _, writer = model.processors()
    for parts in raw(model) if writer.layout else ():
        for y in parts:
            outside = float(((y < -1.1) | (y > 1.1)).float().mean())
            assert outside < 0.1, f"{outside:.0%} of the values lie outside."


@rule("Check that the weights are those of this network, and that it uses its input.")
def inputs_matter(model: Model) -> None:
    """Other inputs give other results."""
    if "reconstruct" not in entry_of(model).verbs:
        return
    first, *others = numbers(model, answers(model)[-1])
    assert not any(np.array_equal(first, other) for other in others), "Different inputs gave the same."


@rule("Write y = x * a in place of x *= a: the input belongs to the caller.")
def inputs_kept(model: Model) -> None:
    """The network does not change the tensor that it is given."""
    for x, call in calls(model):
        tensors = x if isinstance(x, tuple) else (x,)
        before = [tensor.clone() for tensor in tensors]
        call(x)
        assert all(map(torch.equal, tensors, before)), "It was changed."


@rule("Declare `multiple` if sides must be divisible, or `size` if only one size is possible.")
def any_size(model: Model) -> None:
    """Inputs of any size and colour are taken, and the size of the result is as declared."""
    if "reconstruct" not in entry_of(model).verbs:
        return
    reader, writer = model.processors()
    for sample in reader.odd_samples():
        result = model.reconstruct(sample, **conditions_for(model, sample, 1))
        mismatch = writer.mismatch(result, sample)
        assert not mismatch, f"Of {sample!r}: {mismatch}"


@rule("Set `receptive_radius` to how far an output depends on the input, to each side, or leave it None.")
def tiles(model: Model) -> None:
    """Where the network has a receptive radius, an input in tiles becomes what it becomes as a whole."""
    reader, _ = model.processors()
    radius = model.receptive_radius
    if radius is None or reader.fixed or not reader.axes:
        return
    side = 8 * max(reader.multiples)
    sample = reader.noise_sample((2 * side + radius + 3, *(side + 5 for _ in reader.axes[1:])))
    conditions = conditions_for(model, sample, 1)
    whole, tiled = (numbers(model, model.reconstruct(sample, tile=tile, **conditions))[0] for tile in (None, side))
    far = float(np.abs(whole - tiled).max())
    assert far <= TOLERANCE, f"With a receptive radius of {radius} they differ by {far:.2g}."


@rule("Make the code smaller, and let forward be decode after encode.")
def codes(model: Model) -> None:
    """An autoencoder's code has one row for each input, fewer numbers than it, and decodes to its copy."""
    if not isinstance(model, Autoencoder):
        return
    x, conditions = model.example_batch("forward", 3)
    x, conditions = model.tensor(x), {name: model.tensor(value) for name, value in conditions.items()}
    with torch.inference_mode():
        z = model.encode(x)
        assert len(z) == len(x), "The code has another number of rows."
        assert z[0].numel() < x[0].numel(), "The code is no smaller than the input."
        assert torch.allclose(model.decode(z, **conditions), model(x, **conditions), atol=2 * TOLERANCE), (
            "decode(encode(x)) is not forward(x)."
        )
