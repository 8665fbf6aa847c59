"""The contract of a model: what users rely on, as rules that anybody can run over a model of the zoo or of a plugin.

>>> zoo.testing.check("starry")                    # or `zoo check starry`

In the tests of a plugin, each rule as a test of its own:

>>> test_contract = zoo.testing.contract("starry")

A rule is a function that takes a loaded model and asserts. Its docstring is the promise, which a user reads; its remedy
is what to do when it is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import cast

from zoo.loading import load
from zoo.model import Model
from zoo.testing import conditions, declared, results, stable
from zoo.testing.harness import answers
from zoo.testing.rule import Rule

__all__ = ["RULES", "Rule", "check", "complaints", "contract"]

# In the order in which they are tried and shown.
RULES = [*declared.RULES, *results.RULES, *stable.RULES, *conditions.RULES]


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
        broken = []
        for rule in RULES:
            if complaint := rule.complaint(model):
                broken.append(complaint)
                if rule.id == "verbs_run":  # nothing that runs the network can say more
                    break
        return broken
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
