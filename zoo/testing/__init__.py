"""The contract of a model: what users rely on, as rules that anybody can run over a model of the zoo or of a plugin.

>>> zoo.testing.check("starry")                    # or `zoo check starry`

In the tests of a plugin, each rule as a test of its own:

>>> test_contract = zoo.testing.contract("starry")

A rule is a function that takes a loaded model and asserts. Its docstring is the promise, which a user reads; its remedy
is what to do when it is broken.
"""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch

from zoo.errors import InputError, UnknownNameError, VerbError
from zoo.loading import load
from zoo.model import Autoencoder, Model
from zoo.tasks import TASKS, unknown_constants
from zoo.testing.harness import (
    answers,
    calls,
    entry_of,
    example_images,
    import_seconds,
    keywords,
    listed,
    methods,
    random_states,
    raw,
    required,
    run,
    same,
    tensors,
    twin,
    values,
)

TOLERANCE = 1e-4  # of the range: kernels differ in the last bits with the size of a batch
ROUGH = 0.03  # of the range, on average: what bfloat16 may cost
IMPORT_SECONDS = 0.05

Test = Callable[[Model], None]


@dataclass(frozen=True)
class Rule:
    """One promise.

    Attributes:
        id: its name.
        promise: what a user relies on.
        remedy: what to do where it is broken.
        test: raises if a model breaks it.
        runs: whether the test runs the network.
    """

    id: str
    promise: str
    remedy: str
    test: Test
    runs: bool = True

    def complaint(self, model: Model) -> str:
        """What is wrong and what to do, or nothing."""
        if not __debug__:
            raise InputError("The contract is made of assertions, which `python -O` leaves out: run it without -O.")
        try:
            self.test(model)
        except Exception as error:  # whatever a builder raises breaks the rule
            text = str(error).strip() if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            return f"{self.id}: {self.promise} {text.rstrip('.')}. Remedy: {self.remedy}"
        return ""


RULES: list[Rule] = []


def check(name: str) -> None:
    """Test that a model keeps the contract.

    Args:
        name: as for :func:`zoo.load`.

    Raises:
        ZooError: if it cannot be loaded.
        AssertionError: naming every rule that is broken, what was seen, and the remedy, in a line each.
    """
    broken = complaints(name)
    assert not broken, "\n".join([f"{name} breaks {len(broken)} of {len(RULES)} rules.", *broken])


def complaints(name: str) -> list[str]:
    """What :func:`check` says, a line for each rule that is broken."""
    model = load(name)
    try:
        found = []
        for rule in RULES:
            if complaint := rule.complaint(model):
                found.append(complaint)
                if rule.id == "verbs_run":  # nothing that runs the network can say more
                    break
        return found
    finally:
        answers.cache_clear()


def contract(*names: str) -> Callable[[Rule, str], None]:
    """A test for pytest, with a case for every rule and every model of these names."""
    import pytest

    @pytest.mark.parametrize("name", names)
    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
    def test_contract(rule: Rule, name: str) -> None:
        model = _loaded(name)
        if rule.runs and rule.id != "verbs_run" and _verbs_run_rule().complaint(model):
            pytest.skip("The network does not run: see verbs_run.")
        complaint = rule.complaint(model)
        assert not complaint, complaint

    return cast(Callable[[Rule, str], None], test_contract)


@lru_cache(maxsize=1)
def _loaded(name: str) -> Model:
    return load(name)


def _verbs_run_rule() -> Rule:
    return next(rule for rule in RULES if rule.id == "verbs_run")


def _rule(remedy: str, runs: bool = True) -> Callable[[Test], Test]:
    def add(test: Test) -> Test:
        RULES.append(Rule(test.__name__.strip("_"), " ".join(str(test.__doc__).split()), remedy, test, runs))
        return test

    return add


# What the registry says.


@_rule("Make `verbs` in registry.yaml what the class can do: generate needs latent_shape and decode.", runs=False)
def _verbs(model: Model) -> None:
    """The model has the verbs that the registry declares, and refuses the other."""
    entry = entry_of(model)
    assert ("generate" in entry.verbs) <= (model.latent_shape is not None), "It has no latent_shape."
    for verb in {"generate", "reconstruct"} - set(entry.verbs):
        try:
            getattr(model, verb)(1)
        except VerbError:
            continue
        raise AssertionError(f"{verb} was not refused.")


@_rule("Write `encoder: true` where the class has encode(x) and decode(z), and name tasks of zoo.tasks.", runs=False)
def _tasks(model: Model) -> None:
    """The registry says whether the network has an encoder, and what it sets for tasks is what they take."""
    entry = entry_of(model)
    has = hasattr(model, "encode") and hasattr(model, "decode")
    assert entry.encoder == has, f"It has {'one' if has else 'none'}, and the registry says otherwise."
    for task, found in entry.tasks.items():
        unknown = unknown_constants(task, found)
        assert task in TASKS and not unknown, f"{task} takes no {unknown[0] if unknown else 'constants'}."


@_rule("Write an identifier of spdx.org/licenses, LicenseRef-NAME for another licence, or unknown.", runs=False)
def _license(model: Model) -> None:
    """The licence of the weights is an SPDX identifier, so that a program can filter by it."""
    found = entry_of(model).license
    word = r"\(*(LicenseRef-)?[A-Za-z0-9.+-]+\)*"
    assert re.fullmatch(rf"{word}( (AND|OR|WITH) {word})*", found), f"It is {found!r}."


@_rule("Write the link that registry.yaml has into the docstring of the builder or of its module.", runs=False)
def _paper(model: Model) -> None:
    """The paper that the registry names stands in the docstring of the network."""
    paper = entry_of(model).paper
    doc = f"{sys.modules[type(model).__module__].__doc__} {type(model).__doc__}"
    assert paper.rstrip("/").rpartition("/")[2] in doc, f"{paper} is not there."


@_rule(
    "Say what each argument is under `Args:`, and shapes such as (N, 3, H, W) of what goes in and comes out.",
    runs=False,
)
def _docstrings(model: Model) -> None:
    """Docstrings say what every argument of the builder is, and the shapes that the network takes and gives."""
    cls = type(model)
    docs = " ".join(str(base.__doc__) for base in cls.__mro__ if base.__module__ != Model.__module__)
    lacking = [name for name in inspect.signature(cls).parameters if not re.search(rf"\b{name}\b", docs)]
    assert not lacking, f"{cls.__name__} does not explain {', '.join(lacking)}."
    for name in methods(model):
        doc = str(getattr(cls, name).__doc__)
        assert "(N" in doc, f"{cls.__name__}.{name} gives no shapes."


@_rule("Declare every condition in registry.yaml, and take each as a keyword of `decode` or `forward`.", runs=False)
def _keywords(model: Model) -> None:
    """The conditions in the registry are the keywords that the network takes."""
    method = getattr(type(model), methods(model)[-1])
    parameters = list(inspect.signature(method).parameters.values())[2:]  # after self and the tensor
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    ours, theirs = {c.name for c in entry_of(model).conditions}, {p.name for p in parameters}
    assert ours == theirs, f"The registry has {listed(ours)}, the network {listed(theirs)}."


@_rule("Load data and build networks in functions, and import large packages where they are used.", runs=False)
def _import_time(model: Model) -> None:
    """Importing the network takes less than 50 ms beyond torch: every start pays for it."""
    seconds = import_seconds(type(model).__module__, IMPORT_SECONDS / 2)
    assert seconds < IMPORT_SECONDS, f"{type(model).__module__} took {1000 * seconds:.0f} ms of the processor."


@_rule("`zoo embed` writes sha256 and bytes into registry.yaml.", runs=False)
def _recorded(model: Model) -> None:
    """Hash and size of the weights are on record, so that a wrong or damaged file is never loaded."""
    entry = entry_of(model)
    lacking = [key for key in ("sha256", "bytes") if getattr(entry, key) is None]
    assert not lacking, f"The registry has no {' and no '.join(lacking)}."


# What comes out.


@_rule(
    "A Generator has latent_shape and decode(z), an Autoencoder encode(x) and decode(z), another Model forward(x); "
    "conditions come as keywords. Where a result is not finite, look for divisions by zero and logarithms."
)
def _verbs_run(model: Model) -> None:
    """The verbs run, and every result is finite."""
    answers(model)


@_rule("Make the network and `output` in registry.yaml agree; `scale` is for outputs larger than the input.")
def _output(model: Model) -> None:
    """Results have the channels and the size that the registry declares."""
    entry = entry_of(model)
    for y in raw(model):
        assert y.ndim == 4, f"The network gives {tuple(y.shape)} instead of (N, C, H, W)."
    for images in answers(model):
        for array in images.arrays:
            assert entry.output.channels in (None, array.shape[0]), f"An image has {array.shape[0]} channels."
            assert entry.output.size in (None, array.shape[1:]), f"An image has {array.shape[1:]} pixels."


@_rule("End in tanh, or scale what the network gives: black is -1 and white is 1.")
def _range(model: Model) -> None:
    """The network gives images in [-1, 1]; a little beyond is cut off."""
    for y in raw(model):
        outside = float(((y < -1.1) | (y > 1.1)).float().mean())
        assert outside < 0.1, f"{outside:.0%} of the values lie outside."


@_rule("Check that the weights are those of this network, and that it uses its input.")
def _inputs_matter(model: Model) -> None:
    """Other images give other results."""
    if "reconstruct" not in entry_of(model).verbs:
        return
    made = answers(model)[-1].arrays
    assert not any(np.array_equal(made[0], other) for other in made[1:]), "Different images gave the same."


@_rule("Write y = x * a in place of x *= a: the input belongs to the caller.")
def _inputs_kept(model: Model) -> None:
    """The network does not change the tensor that it is given."""
    for x, call in calls(model):
        before = x.clone()
        call(x)
        assert torch.equal(x, before), "It was changed."


@_rule("Declare `multiple` if sides must be divisible, or `size` if only one size is possible.")
def _any_image(model: Model) -> None:
    """Images of any size and colour are taken, and the size of the result is as declared."""
    entry = entry_of(model)
    if "reconstruct" not in entry.verbs or entry.input is None or entry.input.kind != "image":
        return
    rng = np.random.default_rng(0)
    for shape in ((1, 1, 3), (7, 50), (65, 33, 4)):
        made = model.reconstruct(rng.random(shape, dtype=np.float32), **required(model)).numpy()
        size = entry.input.size or shape[:2]
        wanted = entry.output.size or (size[0] * entry.output.scale, size[1] * entry.output.scale)
        assert made.shape[2:] == wanted, f"An image of {shape} became {made.shape[2:]} instead of {wanted}."


@_rule("Set `reach` to the pixels that an output pixel depends on, to each side, or leave it None.")
def _tiles(model: Model) -> None:
    """Where the network has a reach, an image in tiles becomes what it becomes as a whole."""
    given = entry_of(model).input
    if model.reach is None or given is None or given.size:
        return
    side = 8 * given.multiple
    x = np.random.default_rng(0).random((2 * side + model.reach + 3, side + 5, 3), dtype=np.float32)
    whole, tiled = (model.reconstruct(x, tile=tile, **required(model)).numpy() for tile in (None, side))
    far = float(np.abs(whole - tiled).max())
    assert far <= TOLERANCE, f"With a reach of {model.reach} they differ by {far:.2g}."


@_rule("Make the code smaller, and let forward be decode after encode.")
def _codes(model: Model) -> None:
    """An autoencoder's code has one row for each image, fewer numbers than the image, and decodes to its copy."""
    if not isinstance(model, Autoencoder):
        return
    x = torch.from_numpy(example_images(entry_of(model)).numpy()) * 2 - 1
    with torch.inference_mode():
        z = model.encode(x)
        assert len(z) == len(x), "The code has another number of rows."
        assert z[0].numel() < x[0].numel(), "The code is no smaller than the image."
        given = keywords(model, len(x))
        assert torch.allclose(model.decode(z, **given), model(x, **given), atol=2 * TOLERANCE), (
            "decode(encode(x)) is not forward(x)."
        )


# That it is always the same.


@_rule("Draw noise in `draw(rng)` and from that rng only.")
def _seeds(model: Model) -> None:
    """A seed always gives the same samples, another seed gives others, and few are the first of many."""
    if "generate" not in entry_of(model).verbs:
        return
    conditions = required(model)
    one, again, other = (model.generate(3, seed=seed, batch_size=1, **conditions).numpy() for seed in (1, 1, 2))
    assert np.array_equal(one, again, equal_nan=True), "The same seed gave other samples."
    assert not np.array_equal(one, other, equal_nan=True), "Another seed gave the same samples."
    first = model.generate(1, seed=1, **conditions).numpy()
    assert same(first, one[:1], TOLERANCE), "One is not the first of three."


@_rule("Take no statistics over the batch: use batch norm's running ones, or another norm.")
def _batches(model: Model) -> None:
    """A sample does not depend on what else is in its batch."""
    for few, many in zip(run(model, batch_size=1), answers(model), strict=True):
        assert same(few.numpy(), many.numpy(), TOLERANCE), "Batches of 1 and of 3 gave different samples."


@_rule("Take random numbers from `draw(rng)`, or from a generator of the model's own.")
def _random_state(model: Model) -> None:
    """The random states of torch, numpy and Python are neither used nor changed."""
    before = random_states()
    run(model)
    changed = [name for name, state in random_states().items() if state != before[name]]
    assert not changed, f"That of {listed(set(changed))} was changed."


@_rule("Do not call train() or eval() in decode or forward.")
def _eval_mode(model: Model) -> None:
    """A loaded model is in eval mode, and a verb does not change that."""
    try:
        run(model)
        lively = [name or "itself" for name, module in model.named_modules() if module.training]
        assert not lively, f"In training mode: {', '.join(lively[:3])}."
    finally:
        model.eval()


@_rule("Keep every tensor that matters as a parameter or buffer, and leave state_dict() as torch has it.")
def _strict(model: Model) -> None:
    """Every parameter is in the file of weights."""
    lacking = sorted({name for name, _ in model.named_parameters(remove_duplicate=False)} - set(model.state_dict()))
    assert not lacking, f"Not there: {', '.join(lacking[:3])}."


@_rule("Set what a network needs from its arguments and its weights alone.")
def _weights(model: Model) -> None:
    """Saved and loaded again, the weights give the same answer."""
    for ours, theirs in zip(answers(model), run(twin(model, torch.float32)), strict=True):
        assert same(ours.numpy(), theirs.numpy(), 0), "The answer changed."


@_rule("Compute from the parameters each time, and keep nothing made of them in the model.")
def _edits(model: Model) -> None:
    """When its weights are changed, the verbs answer as the changed network does."""
    edited = copy.deepcopy(model)
    before = run(edited)
    for x in edited.parameters():
        x.data.mul_(-0.5)
    after = run(edited)
    edited.precision = "plain"
    for old, new, plain in zip(before, after, run(edited), strict=True):
        same_as_before = all(np.array_equal(a, b) for a, b in zip(old.arrays, new.arrays, strict=True))
        assert not same_as_before or not list(edited.parameters()), "The answer is the old one."
        assert same(new.numpy(), plain.numpy(), TOLERANCE), "The answer is not that of the modules."


@_rule("Make new tensors with the dtype and device of those that come in.")
def _precision(model: Model) -> None:
    """In bfloat16 the network gives about the same as in float32."""
    # One sample: processors without bfloat16 compute it a hundred times slower than float32.
    for ours, theirs in zip(run(model, n=1), run(twin(model, torch.bfloat16), n=1), strict=True):
        worst = float(np.abs(ours.arrays[0] - theirs.arrays[0]).mean())
        assert worst <= ROUGH or np.isnan(worst), f"It differs by {worst:.3f} of the range."


@_rule("Keep no lambda, file or thread in the model, or say in the class's docstring that it cannot be pickled.")
def _pickles(model: Model) -> None:
    """Pickled and unpickled, for another process, it gives the same answer."""
    if "cannot be pickled" in str(type(model).__doc__):
        return
    again = pickle.loads(pickle.dumps(model))  # noqa: S301 - what we have just pickled ourselves
    for ours, theirs in zip(answers(model), run(again), strict=True):
        assert same(ours.numpy(), theirs.numpy(), 0), "The answer changed."


@_rule("Keep no results in the model.")
def _memory(model: Model) -> None:
    """Using a model again and again does not fill the memory."""
    run(model)
    before = tensors()
    for _ in range(3):
        run(model)
    grown = tensors() - before
    assert grown < 3, f"After three more runs there are {grown} more tensors."


# Conditions.


@_rule("Let the verbs of Model check the conditions.")
def _wrong_conditions(model: Model) -> None:
    """Conditions that are unknown or impossible are refused."""
    wrong: list[tuple[str, Any]] = [("no_such_condition", 1)]
    kinds = ("choice", "integer", "number")
    wrong += [(c.name, "no such choice") for c in entry_of(model).conditions if c.kind in kinds]
    for name, value in wrong:
        try:
            run(model, **{name: value})
        except (InputError, UnknownNameError):
            continue
        raise AssertionError(f"{name}={value!r} was not refused.")


@_rule("Use the condition in the network, or take it out of registry.yaml.")
def _conditions_matter(model: Model) -> None:
    """Another value of a condition gives another result."""
    for condition in entry_of(model).conditions:
        two = values(condition)[:2]
        if len(two) > 1:
            one, other = (run(model, **{condition.name: value})[0].numpy() for value in two)
            assert not np.array_equal(one, other, equal_nan=True), f"{condition.name} changes nothing."
