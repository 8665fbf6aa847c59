"""Rules about conditions."""

from __future__ import annotations

from typing import Any

from zoo.errors import InputError, UnknownNameError
from zoo.inference.conditions import space
from zoo.model import Model
from zoo.testing.harness import entry_of, example_samples, numbers, run, same, values
from zoo.testing.rule import Rule, adder

RULES: list[Rule] = []
rule = adder(RULES)


@rule("Let the verbs of Model check the conditions.")
def wrong_conditions(model: Model) -> None:
    """Conditions that are unknown or impossible are refused."""
    wrong: list[tuple[str, Any]] = [("no_such_condition", 1)]
    wrong += [(c.name, "/no such value") for c in entry_of(model).conditions if c.kind != "text"]
    for name, value in wrong:
        try:
            run(model, replaced={name: value})
        except (InputError, UnknownNameError):
            continue
        raise AssertionError(f"{name}={value!r} was not refused.")


@rule("Use the condition in the network, or take it out of registry.yaml.")
def conditions_matter(model: Model) -> None:
    """Another value of a condition gives another result."""
    for condition in entry_of(model).conditions:
        each = space(condition)
        samples = example_samples(model) if "reconstruct" in entry_of(model).verbs else None
        one = values(each, samples, 3, 0)
        draws = (values(each, samples, 3, seed) for seed in range(1, 9))  # of a few choices some may be the same
        other = next((draw for draw in draws if repr(draw) != repr(one)), None)
        if other is None:
            continue
        before, after = (run(model, replaced={condition.name: value})[0] for value in (one, other))
        unchanged = same(numbers(model, before), numbers(model, after), 0)
        assert not unchanged, f"{condition.name} changes nothing."
