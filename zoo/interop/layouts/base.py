"""What a layout is: which tensors a file of other people's code has, and what they are here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zoo.registry.facts import Format

Shapes = Mapping[str, tuple[int, ...]]
Config = dict[str, Any]


def _registered(config: Config) -> Mapping[str, tuple[str | int, ...]]:
    """Choices as the model has them in the registry."""
    return {}


def _same(config: Config) -> Iterator[tuple[str, str]]:
    """No module has another name."""
    return iter(())


@dataclass(frozen=True)
class Layout:
    """One way in which a network is written to a file.

    Attributes:
        name: for ``--layout``.
        model: the registered model that its weights go into.
        code: whose code writes such files.
        files: what these are usually called; several names where a network is in several files.
        mark: a tensor that every such file has, and by which a person knows it.
        config: the builder's keywords, from the names and shapes of the tensors; raises KeyError, ValueError or
            IndexError for what is another layout.
        formats: what goes in and what comes out, by that configuration; no input for a generator.
        modules: pairs of our name and theirs, for modules, and tensors, that are called differently.
        parts: the files that make up one network, each with the prefix that its tensors get; one without by default.
        unseen: keywords that no tensor shows.
        choices: what the model's conditions with choices have, by name, where that depends on the file.
    """

    name: str
    model: str
    code: str
    files: str
    mark: str
    config: Callable[[Shapes], Config]
    formats: Callable[[Config], tuple[Format | None, Format]]
    modules: Callable[[Config], Iterator[tuple[str, str]]] = _same
    parts: tuple[str, ...] = ("",)
    unseen: tuple[str, ...] = ()
    choices: Callable[[Config], Mapping[str, tuple[str | int, ...]]] = _registered


def count(shapes: Shapes, pattern: str) -> int:
    """How many different numbers stand in the names that match; the pattern has one group."""
    numbers = {match[1] for key in shapes if (match := re.fullmatch(pattern, key))}
    return len(numbers)


def norm(shapes: Shapes, key: str) -> str:
    """Batch norm has weights in these networks, instance norm has none."""
    return "batch" if key in shapes else "instance"


def image(channels: int, side: int | None = None, multiple: int = 1, scale: int = 1) -> Format:
    return Format(channels=channels, size=(side, side) if side else None, multiple=multiple, scale=scale)
