"""Attributes added to samples or removed from them, by arithmetic of codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.arrays import Array
from zoo.errors import InputError, UnknownNameError, near
from zoo.inference.codes import check_encoder, codes_of, name_of
from zoo.inference.verbs import Verbs
from zoo.registry.index import registry
from zoo.tasks.codes import decode_codes, encode_samples

if TYPE_CHECKING:
    from torch import Tensor

EXAMPLES = "samples with it and samples without it (towards and away in Python, --towards and --from in the command)"


def edit(
    model: Verbs,
    inputs: Any,
    *,
    towards: Any = None,
    away: Any = None,
    strength: float = 1.0,
    progress: bool = False,
    **changes: Any,
) -> Any:
    """Samples with attributes added or removed: ``edit(model, "face.png", glasses=1, smiling=-1)``.

    To the code of each sample is added what distinguishes the mean code of samples with an attribute from that of
    samples without: Larsen et al., "Autoencoding beyond pixels using a learned similarity metric", 2016,
    https://arxiv.org/abs/1512.09300, section 4.2. A model has such directions for the attributes that it names; others
    are computed from samples with and without.

    Args:
        model: an autoencoder.
        inputs: anything that ``of`` of the model's samples takes, such as :meth:`zoo.Images.of`.
        towards: samples that have what is to be added; all are fitted to the size of the first.
        away: samples that do not have it.
        strength: how many times the way from ``away`` to ``towards`` is gone; below 0 it is gone backwards.
        progress: whether to show a bar.
        changes: for each attribute of the model how much of it is added: 1 for the way from samples without it to those
            with it, -1 for the way back. Conditions that the registry declares are taken, too, one value each.

    Returns:
        One sample for each input, in their order and under their names, float32 in [0, 1] for images.

    Raises:
        VerbError: for a model without encoder.
        UnknownNameError: for an attribute that the model does not have.
        InputError: for nothing to change, a wrong number, and one of ``towards`` and ``away`` without the other.
        ZooError: for a code or result that is not finite.
    """
    check_encoder(model, "an edit")
    known = attributes_of(model)
    amounts = {name: check_amount(name, value) for name, value in changes.items() if name in known}
    conditions = {name: value for name, value in changes.items() if name not in known}
    declared = [condition.name for condition in model.entry.conditions] if model.entry else []
    for name in conditions:
        if name not in declared:
            raise UnknownNameError(_unknown(model, name, known))
    if (towards is None) != (away is None):
        raise InputError("Give both towards and away: samples with what is to be added, and samples without it.")
    if towards is None and not amounts:
        if conditions:
            name, value = next(iter(conditions.items()))
            raise InputError(
                f"{name} is a condition of {name_of(model)}, and no attribute to add or remove: `reconstruct` sets it, "
                f"as in `zoo reconstruct {name_of(model)} INPUT -c {name}={value} -o OUTPUT`."
            )
        some = f"it has {', '.join(known)}" if known else f"it has no attributes of its own; give {EXAMPLES}"
        raise InputError(f"Say what {name_of(model)} is to add or remove: {some}.")
    way: Any = 0
    for name, amount in amounts.items():
        way = way + amount * known[name]
    if towards is not None:
        way = way + check_amount("strength", strength) * direction(model, towards, away)
    reader, _ = model.processors(inputs)
    samples = reader.read(inputs)
    if not len(samples):
        raise InputError(f"There are no {samples.noun} to edit.")
    codes = codes_of(model, samples)
    results = []
    from tqdm import tqdm

    for number, code in enumerate(tqdm(codes, unit="sample", leave=False, disable=not progress)):
        if code.shape != way.shape:
            raise InputError(
                f"{samples.names[number]} has a code of {code.shape} and the direction one of {way.shape}: give "
                f"{samples.noun} of the size of those that the direction comes from."
            )
        prepared = reader.prepare(samples[number])
        results.append(decode_codes(model, (code + way)[None], prepared, 1, False, conditions))
    edited = type(results[0]).concat(results)
    edited.names = list(samples.names)
    return edited


def attributes_of(model: Any) -> dict[str, Array]:
    """The directions of the attributes that a model names itself, float32, by name."""
    names = getattr(model, "attributes", ())
    if not names:
        return {}
    return dict(zip(names, model.directions.float().cpu().numpy(), strict=True))


def direction(model: Verbs, towards: Any, away: Any) -> Array:
    """The mean code of some samples minus that of others, float32.

    Args:
        model: an autoencoder.
        towards: samples as for :func:`edit`.
        away: others.

    Raises:
        InputError: for codes of several sizes.
    """
    a, b = (encode_samples(model, source)[0].mean(0) for source in (towards, away))
    if a.shape != b.shape:
        raise InputError(f"{name_of(model)} makes codes of {a.shape} and of {b.shape}: give samples of one size.")
    return np.asarray(a - b, np.float32)


def attribute_directions(codes: Tensor, attributes: Tensor) -> Tensor:
    """The mean code of samples with an attribute minus that of those without, for each attribute.

    Args:
        codes: ``(N, ...)``.
        attributes: 0 or 1, ``(N, A)``.

    Returns:
        ``(A, ...)``.

    Raises:
        InputError: for an attribute that all samples have, or none.
    """
    import torch

    directions = []
    for number, has in enumerate(attributes.bool().T):
        if has.all() or not has.any():
            raise InputError(
                f"{'All' if has.all() else 'None'} of {len(has):,} samples have attribute {number}: a direction needs "
                "samples with it and samples without it."
            )
        directions.append(codes[has].mean(0) - codes[~has].mean(0))
    return torch.stack(directions)


def check_amount(name: str, value: Any) -> float:
    """How much of something is added, as a number.

    Raises:
        InputError: for what is none, or not finite.
    """
    try:
        amount = float(value)
    except (TypeError, ValueError):
        amount = math.nan
    if isinstance(value, bool) or not math.isfinite(amount):
        raise InputError(f"{name} must be a number, such as 1 to add it or -1 to remove it, not {value!r}.")
    return amount


def _unknown(model: Verbs, name: str, known: Mapping[str, Array]) -> str:
    said = f"{model.entry.name if model.entry else name_of(model)} has no attribute {name!r}"
    if meant := near(name, known):
        return said + meant
    own = {entry.name: entry.config.get("attributes") for entry in registry().entries.values()}
    others = [entry for entry, names in own.items() if isinstance(names, (list, tuple)) and name in names]
    cures = [f"use {' or '.join(others)}"] if others else []
    cures += [f"choose one of {', '.join(known)}"] if known else []
    return f"{said}: {', '.join([*cures, f'or give {EXAMPLES}' if cures else f'give {EXAMPLES}'])}."
