"""Rules about what the registry says and the network declares."""

from __future__ import annotations

import inspect
import re
import sys

from zoo.errors import VerbError
from zoo.model import Model
from zoo.tasks import TASKS, unknown_constants
from zoo.testing.harness import entry_of, import_seconds, listed, methods
from zoo.testing.rule import Rule, adder

IMPORT_SECONDS = 0.05
RULES: list[Rule] = []
rule = adder(RULES)


@rule("Make `verbs` in registry.yaml what the class can do: generate needs latent_shape and decode.", runs=False)
def verbs(model: Model) -> None:
    """The model has the verbs that the registry declares, and refuses the other."""
    entry = entry_of(model)
    assert ("generate" in entry.verbs) <= (model.latent_shape is not None), "It has no latent_shape."
    for verb in {"generate", "reconstruct"} - set(entry.verbs):
        try:
            getattr(model, verb)(1)
        except VerbError:
            continue
        raise AssertionError(f"{verb} was not refused.")


@rule("Write `encoder: true` where the class has encode(x) and decode(z), and name tasks of zoo.tasks.", runs=False)
def tasks(model: Model) -> None:
    """The registry says whether the network has an encoder, and what it sets for tasks is what they take."""
    entry = entry_of(model)
    has = hasattr(model, "encode") and hasattr(model, "decode")
    assert entry.encoder == has, f"It has {'one' if has else 'none'}, and the registry says otherwise."
    for task, constants in entry.tasks.items():
        unknown = unknown_constants(task, constants)
        assert task in TASKS and not unknown, f"{task} takes no {unknown[0] if unknown else 'constants'}."


@rule("Write an identifier of spdx.org/licenses, LicenseRef-NAME for another licence, or unknown.", runs=False)
def license_(model: Model) -> None:
    """The licence of the weights is an SPDX identifier, so that a program can filter by it."""
    identifier = entry_of(model).license
    word = r"\(*(LicenseRef-)?[A-Za-z0-9.+-]+\)*"
    assert re.fullmatch(rf"{word}( (AND|OR|WITH) {word})*", identifier), f"It is {identifier!r}."


@rule("Write the link that registry.yaml has into the docstring of the builder or of its module.", runs=False)
def paper(model: Model) -> None:
    """The paper that the registry names stands in the docstring of the network."""
    paper = entry_of(model).paper
    doc = f"{sys.modules[type(model).__module__].__doc__} {type(model).__doc__}"
    assert paper.rstrip("/").rpartition("/")[2] in doc, f"{paper} is not there."


@rule(
    "Say what each argument is under `Args:`, and shapes such as (N, 3, H, W) of what goes in and comes out.",
    runs=False,
)
def docstrings(model: Model) -> None:
    """Docstrings say what every argument of the builder is, and the shapes that the network takes and gives."""
    cls = type(model)
    docs = " ".join(str(base.__doc__) for base in cls.__mro__ if base.__module__ != Model.__module__)
    lacking = [name for name in inspect.signature(cls).parameters if not re.search(rf"\b{name}\b", docs)]
    assert not lacking, f"{cls.__name__} does not explain {', '.join(lacking)}."
    for name in methods(model):
        doc = str(getattr(cls, name).__doc__)
        assert "(N" in doc, f"{cls.__name__}.{name} gives no shapes."


@rule("Declare every condition in registry.yaml, and take each as a keyword of `decode` or `forward`.", runs=False)
def keywords(model: Model) -> None:
    """The conditions in the registry are the keywords that the network takes."""
    method = getattr(type(model), methods(model)[-1])
    parameters = list(inspect.signature(method).parameters.values())[2:]  # after self and the tensor
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    ours, theirs = {c.name for c in entry_of(model).conditions}, {p.name for p in parameters}
    assert ours == theirs, f"The registry has {listed(ours)}, the network {listed(theirs)}."


@rule("Load data and build networks in functions, and import large packages where they are used.", runs=False)
def import_time(model: Model) -> None:
    """Importing the network takes less than 50 ms beyond torch: every start pays for it."""
    seconds = import_seconds(type(model).__module__, IMPORT_SECONDS / 2)
    assert seconds < IMPORT_SECONDS, f"{type(model).__module__} took {1000 * seconds:.0f} ms of the processor."


@rule("`zoo embed` writes sha256 and bytes into registry.yaml.", runs=False)
def recorded(model: Model) -> None:
    """Hash and size of the weights are on record, so that a wrong or damaged file is never loaded."""
    entry = entry_of(model)
    lacking = [key for key in ("sha256", "bytes") if getattr(entry, key) is None]
    assert not lacking, f"The registry has no {' and no '.join(lacking)}."
