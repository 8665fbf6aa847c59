"""Rows and batches: the arrays that go through a network, each with its conditions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby, islice
from typing import Any

import numpy as np

from zoo.inference.conditions import Space
from zoo.media.base import Input, Prepared, Processor, Samples


@dataclass(frozen=True)
class Row:
    """One array on its way through a network.

    Attributes:
        number: of the sample that it belongs to.
        name: of that sample, for messages.
        array: without the axis of the batch; a tuple of arrays for graphs.
        conditions: one fitted value for each.
        prepared: the sample, prepared; None for a latent.
    """

    number: int
    name: str
    array: Input
    conditions: Mapping[str, Any] = field(default_factory=dict)
    prepared: Prepared[Any] | None = None


def rows_of(
    samples: Samples, processor: Processor[Any], spaces: Mapping[str, Space], values: Mapping[str, Sequence[Any]]
) -> Iterator[Row]:
    """Samples as a network takes them, one after the other.

    Args:
        samples: what a user gave.
        processor: of the network's input.
        spaces: the conditions of the model.
        values: for each condition that is used, one checked value for each sample, or None for a sample without it.
    """
    for number in range(len(samples)):
        sample = samples[number]
        prepared = processor.prepare(sample)
        given = {name: each[number] for name, each in values.items() if each[number] is not None}
        fitted = {name: spaces[name].fit(value, prepared, processor) for name, value in given.items()}
        for index, array in enumerate(prepared.arrays):
            conditions = {name: value[index if len(value) > 1 else 0] for name, value in fitted.items()}
            yield Row(number, sample.names[0], array, conditions, prepared)


def latent_conditions(
    index: int, spaces: Mapping[str, Space], values: Mapping[str, Sequence[Any]], processor: Processor[Any]
) -> dict[str, Any]:
    """The conditions of a latent, as a row has them; arguments as for :func:`rows_of`, the processor of the output."""
    given = {name: each[index] for name, each in values.items() if each[index] is not None}
    return {name: spaces[name].fit(value, None, processor)[0] for name, value in given.items()}


def shape_of(row: Row, spaces: Mapping[str, Space]) -> tuple[Any, ...]:
    """What two rows must have in common to be in one batch."""
    arrays = row.array if isinstance(row.array, tuple) else (row.array,)
    conditions = tuple((name, spaces[name].shape(value)) for name, value in row.conditions.items())
    return tuple(array.shape for array in arrays), conditions


def stacked(rows: Sequence[Row], spaces: Mapping[str, Space]) -> tuple[Any, dict[str, Any]]:
    """A batch of rows of one shape: the first argument of a network, and its conditions."""
    first = rows[0]
    if isinstance(first.array, tuple):
        x: Any = tuple(np.stack(parts) for parts in zip(*(row.array for row in rows), strict=True))
    else:
        x = np.stack([row.array for row in rows])
    return x, {name: spaces[name].stack([row.conditions[name] for row in rows]) for name in first.conditions}


def outputs_of(y: Any) -> list[Any]:
    """What a network gave, without the axis of the batch: an array for each row, or a tuple of them."""
    return list(zip(*y, strict=True)) if isinstance(y, tuple) else list(y)


def alike(rows: Iterable[Row], spaces: Mapping[str, Space]) -> Iterator[tuple[Row, Iterator[Row]]]:
    """Neighbours of one shape: the first of them, and all of them, to be gone through before the next group."""
    for _, group in groupby(rows, key=lambda row: shape_of(row, spaces)):
        first = next(group)
        yield first, chain([first], group)  # noqa: B031 - the first and the others


def chunks(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Neighbours, ``size`` at a time."""
    remaining = iter(rows)
    while chunk := list(islice(remaining, size)):
        yield chunk
