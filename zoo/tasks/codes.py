"""Samples to codes and back, for tasks: through the processors of a model, with its conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from zoo.arrays import Array
from zoo.errors import InputError, VerbError, out_of_memory
from zoo.inference.batches import Row, alike, chunks, latent_conditions, outputs_of, stacked
from zoo.inference.codes import codes_of, name_of
from zoo.inference.conditions import Space, space
from zoo.inference.verbs import Verbs
from zoo.media.base import Prepared
from zoo.media.image_decode import opaque
from zoo.media.image_fit import fit
from zoo.media.images import Images


def generates(model: Verbs) -> bool:
    """Whether latents can be drawn for a model."""
    return model.latent_shape is not None and (model.entry is None or "generate" in model.entry.verbs)


def encode_samples(model: Verbs, source: Any) -> tuple[Array, Prepared[Any]]:
    """Codes ``(N, ...)`` of samples, and the first of them as it went through; images are fitted to its size.

    Raises:
        VerbError: for a model without encoder.
        InputError: for no samples, and for codes of several sizes.
        ZooError: for a code that is not finite.
    """
    from zoo.model import Model

    if not hasattr(model, "encode"):
        cure = "give seeds, or latents that `zoo project` found" if generates(model) else "use an autoencoder"
        if not isinstance(model, Model):
            cure = "leave out the runtime"
        raise VerbError(f"{name_of(model)} has no encoder for images: {cure}.")
    reader, _ = model.processors(source)
    samples = reader.read(source)
    if not len(samples):
        raise InputError(f"There are no {samples.noun} to encode.")
    if isinstance(samples, Images):
        height, width = samples.arrays[0].shape[1:]
        samples = Images([fit(opaque(array), None, (height, width)) for array in samples.arrays], samples.names)
    codes = codes_of(model, samples)
    if len({code.shape for code in codes}) > 1:
        raise InputError(
            f"{name_of(model)} makes codes of several sizes of these {samples.noun}: give some of one size."
        )
    return np.stack(codes), reader.prepare(samples[0])


def decode_codes(
    model: Any,
    codes: Array,
    prepared: Prepared[Any] | None,
    batch_size: int,
    progress: bool,
    conditions: Mapping[str, Any],
) -> Any:
    """What an autoencoder decodes, cut to the size of what was encoded before its padding."""
    from tqdm import tqdm

    _, writer = model.processors(prepared.sample if prepared else None)
    results: list[Any] = []
    with tqdm(total=len(codes), unit="image", leave=False, disable=not progress) as bar:
        rows, spaces = latent_rows(model, codes, conditions)
        for batch in (batch for _, group in alike(rows, spaces) for batch in chunks(group, batch_size)):
            try:
                y = model.run_plain("decode", *stacked(batch, spaces))
            except Exception as error:
                if not out_of_memory(error):
                    raise
                raise InputError(f"{name_of(model)} has too little memory: give smaller ones or batches.") from error
            results += [writer.restore([output], prepared) for output in outputs_of(y)]
            bar.update(len(batch))
    samples = type(results[0]).concat(results)
    if isinstance(samples, Images):
        samples = Images(samples.arrays)  # without the EXIF of the first
    return samples.numbered(None)


def latent_rows(model: Verbs, latents: Array, conditions: Mapping[str, Any]) -> tuple[Iterator[Row], dict[str, Space]]:
    """Latents with their conditions, as they go through a network."""
    _, writer = model.processors()
    spaces = {condition.name: space(condition) for condition in model.entry.conditions} if model.entry else {}
    values = model.prepare_conditions(conditions, len(latents), "decode")

    def rows() -> Iterator[Row]:
        for index, z in enumerate(latents):
            yield Row(index, f"latent {index}", z, latent_conditions(index, spaces, values, writer))

    return rows(), spaces
