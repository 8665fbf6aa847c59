"""A rule of the contract: a promise to users, a test, and a remedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from zoo.errors import InputError
from zoo.model import Model

TOLERANCE = 1e-4  # of the range: kernels differ in the last bits with the size of a batch

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


def adder(rules: list[Rule]) -> Callable[..., Callable[[Test], Test]]:
    """A decorator that adds functions to a list of rules: their name is the id, their docstring the promise.

    It takes the remedy, and whether the test runs the network.
    """

    def rule(remedy: str, runs: bool = True) -> Callable[[Test], Test]:
        def add(test: Test) -> Test:
            promise = " ".join(str(test.__doc__).split())
            rules.append(Rule(test.__name__.strip("_"), promise, remedy, test, runs))
            return test

        return add

    return rule
