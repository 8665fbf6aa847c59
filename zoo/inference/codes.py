"""Codes of samples: what the encoder of a model makes of them, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from zoo.arrays import Array
from zoo.errors import InputError, VerbError, ZooError, out_of_memory
from zoo.inference.batches import Row, alike, chunks, rows_of, stacked
from zoo.media.base import Samples
from zoo.media.image_decode import opaque
from zoo.media.image_fit import fit
from zoo.media.images import Images

SIDE = 128  # pixels: images for a network of any size become squares of this side, so that their codes are alike


def name_of(model: Any) -> str:
    """What a model is called in messages."""
    return model.entry.model if model.entry else type(model).__name__


def check_encoder(model: Any, purpose: str) -> None:
    """Refuse a model without an encoder.

    Args:
        model: any.
        purpose: what its codes are wanted for, such as "search".

    Raises:
        VerbError: with the cure.
    """
    if not hasattr(model, "encode"):
        runtime = not hasattr(model, "run_plain")
        cure = "leave out the runtime" if runtime else "use an autoencoder; `zoo info NAME` lists what a model can do"
        raise VerbError(f"{name_of(model)} has no encoder here, which {purpose} needs: {cure}.")


def common_size(model: Any) -> tuple[int, int] | None:
    """The size that images are brought to, so that their codes have one length; None where the network does it."""
    reader, _ = model.processors()
    return None if reader.fixed else (SIDE, SIDE)


def codes_of(model: Any, samples: Samples, size: tuple[int, int] | None = None, batch_size: int = 64) -> list[Array]:
    """The code of each sample, float32, without the axis of the batch.

    Args:
        model: one with ``encode``; its modules run as they are, whatever the precision of its verbs.
        samples: of the kind that it takes.
        size: images are cropped and resized to this height and width first; None to leave them as they are.
        batch_size: samples that go through the encoder at once.

    Raises:
        InputError: for a sample that goes through the network in parts, and where memory is too little.
        ZooError: for codes that are not finite.
    """
    if size and isinstance(samples, Images):
        samples = Images([fit(opaque(array), None, size) for array in samples.arrays], samples.names)
    reader, _ = model.processors(samples)
    codes: list[Array] = []
    for _, group in alike(_whole(rows_of(samples, reader, {}, {}), model), {}):
        for batch in chunks(group, batch_size):
            codes.extend(_encoded(model, batch))
    return codes


def _whole(rows: Iterator[Row], model: Any) -> Iterator[Row]:
    """Rows, of which each sample must have one."""
    last = -1
    for row in rows:
        if row.number == last:
            raise InputError(f"{row.name} goes through {name_of(model)} in parts: give shorter ones.")
        last = row.number
        yield row


def _encoded(model: Any, batch: list[Row]) -> Array:
    x, _ = stacked(batch, {})
    try:
        codes: Array = model.run_plain("encode", x, {})
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise InputError(f"{name_of(model)} has too little memory: give smaller ones or batches.") from error
    for row, code in zip(batch, codes, strict=True):
        if not np.isfinite(code).all():
            raise ZooError(f"{name_of(model)} makes NaN or infinite values of {row.name}: its weights are damaged.")
    return codes
