"""Rules that a model gives the same answer every time, everywhere."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import torch

from zoo.model import Model
from zoo.testing.harness import (
    answers,
    conditions_for,
    entry_of,
    listed,
    numbers,
    random_states,
    run,
    same,
    tensors,
    twin,
)
from zoo.testing.rule import TOLERANCE, Rule, adder

ROUGH = 0.03  # of the range, on average: what bfloat16 may cost
RULES: list[Rule] = []
rule = adder(RULES)


@rule("Draw noise in `draw(rng)` and from that rng only.")
def seeds(model: Model) -> None:
    """A seed always gives the same samples, another seed gives others, and few are the first of many."""
    if "generate" not in entry_of(model).verbs:
        return
    conditions = conditions_for(model)
    one, again, other = (numbers(model, model.generate(3, seed=seed, batch_size=1, **conditions)) for seed in (1, 1, 2))
    assert same(one, again, 0), "The same seed gave other samples."
    assert not same(one, other, 0), "Another seed gave the same samples."
    first = model.generate(1, seed=1, **{name: value[:1] for name, value in conditions.items()})
    assert same(numbers(model, first), one[:1], TOLERANCE), "One is not the first of three."


@rule("Take no statistics over the batch: use batch norm's running ones, or another norm.")
def batches(model: Model) -> None:
    """A sample does not depend on what else is in its batch."""
    for few, many in zip(run(model, batch_size=1), answers(model), strict=True):
        assert same(numbers(model, few), numbers(model, many), TOLERANCE), (
            "Batches of 1 and of 3 gave different samples."
        )


@rule("Take random numbers from `draw(rng)`, or from a generator of the model's own.")
def random_state(model: Model) -> None:
    """The random states of torch, numpy and Python are neither used nor changed."""
    before = random_states()
    run(model)
    changed = [name for name, state in random_states().items() if state != before[name]]
    assert not changed, f"That of {listed(set(changed))} was changed."


@rule("Do not call train() or eval() in decode or forward.")
def eval_mode(model: Model) -> None:
    """A loaded model is in eval mode, and a verb does not change that."""
    try:
        run(model)
        lively = [name or "itself" for name, module in model.named_modules() if module.training]
        assert not lively, f"In training mode: {', '.join(lively[:3])}."
    finally:
        model.eval()


@rule("Keep every tensor that matters as a parameter or buffer, and leave state_dict() as torch has it.")
def strict(model: Model) -> None:
    """Every parameter is in the file of weights."""
    lacking = sorted({name for name, _ in model.named_parameters(remove_duplicate=False)} - set(model.state_dict()))
    assert not lacking, f"Not there: {', '.join(lacking[:3])}."


@rule("Set what a network needs from its arguments and its weights alone.")
def weights(model: Model) -> None:
    """Saved and loaded again, the weights give the same answer."""
    for ours, theirs in zip(answers(model), run(twin(model, torch.float32)), strict=True):
        assert same(numbers(model, ours), numbers(model, theirs), 0), "The answer changed."


@rule("Compute from the parameters each time, and keep nothing made of them in the model.")
def edits(model: Model) -> None:
    """When its weights are changed, the verbs answer as the changed network does."""
    edited = copy.deepcopy(model)
    before = run(edited)
    for x in edited.parameters():
        x.data.mul_(-0.5)
    after = run(edited)
    edited.precision = "plain"
    for old, new, plain in zip(before, after, run(edited), strict=True):
        unchanged = same(numbers(model, old), numbers(model, new), 0)
        assert not unchanged or not list(edited.parameters()), "The answer is the old one."
        assert same(numbers(model, new), numbers(model, plain), TOLERANCE), "The answer is not that of the modules."


@rule("Make new tensors with the dtype and device of those that come in.")
def precision(model: Model) -> None:
    """In bfloat16 the network gives about the same as in float32."""
    # One sample: processors without bfloat16 compute it a hundred times slower than float32.
    for ours, theirs in zip(run(model, n=1), run(twin(model, torch.bfloat16), n=1), strict=True):
        worst = float(np.abs(numbers(model, ours)[0] - numbers(model, theirs)[0]).mean())
        assert worst <= ROUGH or np.isnan(worst), f"It differs by {worst:.3f} of the range."


@rule("Keep no lambda, file or thread in the model, or say in the class's docstring that it cannot be pickled.")
def pickles(model: Model) -> None:
    """Pickled and unpickled, for another process, it gives the same answer."""
    if "cannot be pickled" in str(type(model).__doc__):
        return
    again = pickle.loads(pickle.dumps(model))  # noqa: S301 - what we have just pickled ourselves
    for ours, theirs in zip(answers(model), run(again), strict=True):
        assert same(numbers(model, ours), numbers(model, theirs), 0), "The answer changed."


@rule("Keep no results in the model.")
def memory(model: Model) -> None:
    """Using a model again and again does not fill the memory."""
    run(model)
    before = tensors()
    for _ in range(3):
        run(model)
    grown = tensors() - before
    assert grown < 3, f"After three more runs there are {grown} more tensors."
