"""Figures: rows of ``cards/MODEL.yaml`` beside a registry, and of ``config.json``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import yaml

from zoo.errors import RegistryError
from zoo.files import atomic_write, read_text
from zoo.registry.facts import Metric
from zoo.registry.values import Facts, load, show

_TEXTS = ("note", "protocol", "dataset", "split", "features", "data", "weights")
_HEAD = "# Measured figures. docs/registry.md explains the keys; `zoo evaluate NAME --data ... --write` writes rows.\n"


class Card(Sequence[Metric]):
    """The rows of a checkpoint in ``cards/MODEL.yaml``; the file is read when somebody asks for one.

    Args:
        path: the file, which need not be there.
        checkpoint: the key of its rows.

    Raises:
        RegistryError: from all methods, naming the file, the place and what was expected.
    """

    def __init__(self, path: Path, checkpoint: str) -> None:
        self.path, self.checkpoint = path, checkpoint

    @cached_property
    def rows(self) -> tuple[Metric, ...]:
        return _read(self.path).get(self.checkpoint, ())

    def write(self, rows: Sequence[Metric]) -> None:
        """Put rows in the place of all that there are, in the file, too."""
        cards = {**_read(self.path), self.checkpoint: tuple(rows)}
        head = ""
        if self.path.exists():
            lines = read_text(self.path).splitlines(keepends=True)
            head = "".join(lines[: next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))])
        with atomic_write(self.path) as aside:
            aside.write_text((head or _HEAD) + "".join(_text(*card) for card in cards.items()), "utf-8")
        self.rows = tuple(rows)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Metric: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Metric, ...]: ...
    def __getitem__(self, index: int | slice) -> Metric | tuple[Metric, ...]:
        return self.rows[index]

    def __iter__(self) -> Iterator[Metric]:
        return iter(self.rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self.rows == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # as other mutable sequences

    def __repr__(self) -> str:
        return repr(self.rows)


def metric(raw: Any, where: str) -> Metric:
    """A row. One of the old form, ``{name, value, protocol}`` with a protocol in words, is read, too.

    Raises:
        RegistryError: naming the place, the key and what was expected.
    """
    facts = Facts(raw, where)
    if "name" in facts.raw and "metric" not in facts.raw:
        row = Metric(facts.get("name", str), facts.get("value", float), note=facts.get("protocol", str))
        facts.take("fingerprint")
    else:
        baselines, settings = facts.get("baselines", dict, {}), facts.get("settings", dict, {})
        for name, value in baselines.items():
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                raise RegistryError(f"{where}: baselines: {name}: expected a number, got {show(value)}.")
        row = Metric(
            facts.get("metric", str),
            facts.get("value", float),
            **{key: facts.get(key, str, "") for key in _TEXTS},
            n=facts.positive("n", None),
            seed=facts.get("seed", int, None),
            baselines={name: float(value) for name, value in baselines.items()},
            settings=settings,
        )
    facts.done()
    return row


def row_of(figure: Metric) -> dict[str, Any]:
    """What :func:`metric` reads back as the same figure: all that is not empty."""
    values = {field.name: getattr(figure, field.name) for field in fields(figure)}
    return {
        key: dict(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if value not in ("", None, {})
    }


def merged(old: Iterable[Metric], new: Iterable[Metric]) -> list[Metric]:
    """Old rows with new ones in the place of those of the same protocol, data set, split and settings.

    A new row without a note keeps that of the old one, as long as both are of the same weights.
    """
    rows = {_place(x): x for x in old}
    for row in new:
        before = rows.get(_place(row))
        if before and row.weights and row.weights == before.weights:
            row = replace(row, note=row.note or before.note)
        rows[_place(row)] = row
    return list(rows.values())


def _place(row: Metric) -> tuple[str, ...]:
    """Which row of a card a figure is."""
    return row.protocol or row.metric, row.dataset, row.split, repr(sorted(row.settings.items()))


def _read(path: Path) -> dict[str, tuple[Metric, ...]]:
    """The rows of all checkpoints of a model."""
    try:
        text = read_text(path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror}.") from None
    facts = Facts(load(text, str(path), trusted=False) or {}, str(path))
    return {
        name: tuple(
            metric(raw, f"{path}: {name}: number {number}") for number, raw in enumerate(facts.get(name, list), 1)
        )
        for name in list(facts.raw)
    }


def _text(checkpoint: str, rows: Sequence[Metric]) -> str:
    """Rows as YAML, one a line."""
    lines = [yaml.safe_dump(row_of(x), default_flow_style=True, width=10**6, sort_keys=False).strip() for x in rows]
    return f"{checkpoint}:\n" + "".join(f"  - {line}\n" for line in lines) if lines else f"{checkpoint}: []\n"
