"""Tasks: what can be done with every model that has the methods for it, a plugin's too.

Each is a function or a class over the contract of :mod:`zoo.model`, written once. A checkpoint may set values for a
task that its caller leaves open, in its stanza: ``tasks: {project: {steps: 600}}``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from zoo.errors import InputError, VerbError
from zoo.files import is_file
from zoo.registry import index
from zoo.registry.facts import Entry


@dataclass(frozen=True)
class Task:
    """A task, with what it asks of a model.

    Attributes:
        name: as the command and the stanza of a checkpoint have it.
        function: ``module:function``, or a class.
        needs: what a model must have: all of one of these sets. The words are "latent" for latents that can be drawn,
            "image" for what is made, "encode" and "decode" for the methods, "reconstruct" for the verb, and "copy" for
            images that come back in their own size and channels without a condition that must be given.
        summary: one line for users.
        constants: the arguments that a stanza may set.
    """

    name: str
    function: str
    needs: tuple[frozenset[str], ...]
    summary: str
    constants: tuple[str, ...] = ()


# How far codes are from each other: by their difference, by the angle between them (1 - cosine), or by their difference
# after PCA whitening, that is by Mahalanobis distance.
METRICS = ("euclidean", "cosine", "mahalanobis")

TASKS = {
    task.name: task
    for task in (
        Task(
            "interpolate",
            "zoo.tasks.latent:interpolate",
            (frozenset({"latent"}), frozenset({"encode", "decode"})),
            "Samples on the way between latents, or between images where there is an encoder.",
            ("steps", "mode"),
        ),
        Task(
            "project",
            "zoo.tasks.latent:project",
            (frozenset({"latent", "image"}),),
            "The latent whose image is nearest to a given image.",
            ("steps", "restarts", "prior"),
        ),
        Task(
            "edit",
            "zoo.tasks.edit:edit",
            (frozenset({"encode", "decode"}),),
            "Attributes added to images or removed from them: those of examples, or those that the model names.",
        ),
        Task(
            "compress",
            "zoo.tasks.compress:compress",
            (frozenset({"encode", "decode"}),),
            "Photos in one small file, of which `zoo decompress` makes photos again.",
        ),
        Task(
            "index",
            "zoo.tasks.search:Index",
            (frozenset({"encode"}),),
            "An index of many images by their codes, in which `zoo search` finds those that are alike.",
            ("metric",),
        ),
        Task(
            "anomaly",
            "zoo.tasks.anomaly:score",
            (frozenset({"copy"}),),
            "How far images are from what the model takes for normal, and where.",
            ("threshold",),
        ),
        Task(
            "privacy",
            "zoo.tasks.privacy:privacy",
            (frozenset({"latent"}),),
            "Whether the model gives away what it was trained on.",
        ),
    )
}


def abilities(entry: Entry) -> frozenset[str]:
    """What a model has, in the words of :attr:`Task.needs`, by its facts alone."""
    has = {"latent", "decode"} if "generate" in entry.verbs else set()
    has |= {"image"} if entry.output.kind == "image" else set()
    has |= {"encode", "decode"} if entry.encoder else set()
    alone = not any(condition.required for condition in entry.conditions)
    has |= {"copy"} if "reconstruct" in entry.verbs and _alike(entry) and alone else set()
    return frozenset(has | ({"reconstruct"} & set(entry.verbs)))


def _alike(entry: Entry) -> bool:
    """Whether a model makes images of the same size and channels as those that it takes."""
    x, y = entry.input, entry.output
    if x is None or not x.kind == y.kind == "image":
        return False
    return y.scale == 1 and x.size == y.size and x.channels == y.channels


def tasks_of(entry: Entry) -> list[Task]:
    """The tasks that can be done with a model."""
    return [task for task in TASKS.values() if any(needs <= abilities(entry) for needs in task.needs)]


def check_able(entry: Entry, task: str) -> None:
    """Refuse a model with which a task cannot be done.

    Raises:
        VerbError: naming models with which it can.
    """
    if TASKS[task] in tasks_of(entry):
        return
    able = [one for one in index.search() if TASKS[task] in tasks_of(one)]
    others = list(dict.fromkeys(one.model for one in able if is_file(one.embedded)))
    raise VerbError(f"{entry.model} cannot {task}: {', '.join(others) or 'no model'} can.")


def constants(entry: Entry | None, task: str) -> dict[str, Any]:
    """The arguments of a task that the stanza of a checkpoint sets.

    Raises:
        InputError: for one that the task does not have.
    """
    arguments = dict(entry.tasks.get(task, {})) if entry else {}
    if entry and (unknown := unknown_constants(task, arguments)):
        raise InputError(f"{task} has no constant {unknown[0]!r}: correct `tasks` in the stanza of {entry.name}.")
    return arguments


def unknown_constants(task: str, names: Iterable[str]) -> list[str]:
    """Those that a task does not have; all of them for a task that does not exist."""
    return [name for name in names if task not in TASKS or name not in TASKS[task].constants]
