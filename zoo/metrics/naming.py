"""Whether images have the attributes that their texts name, by a classifier of attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.metrics.attributes import attribute_columns, train_attribute_classifier
from zoo.metrics.fidelity import rounded
from zoo.registry.facts import Metric


def naming_metrics(
    train: Tensor,
    train_attributes: Tensor,
    names: Sequence[str],
    samples: Tensor,
    named: Tensor,
    real: Tensor,
    counted: Sequence[str] = (),
    **row: Any,
) -> list[Metric]:
    """How often what a text names is in its image: of the attributes that count, of the worst of them, and of all.

    Attributes with several values have one column for each, called ``hair_color=blond``: an image has the likeliest.

    Args:
        train: images to train the classifier on, ``(N, C, S, S)`` in [-1, 1].
        train_attributes: theirs, 0 or 1, ``(N, A)``.
        names: of the columns.
        samples: images of the model for M texts, in the same form.
        named: which columns each text names, 0 or 1, ``(M, A)``.
        real: real images for the same texts; M is a multiple of their number, and they are taken over and over.
        counted: names of the attributes that count, without their values; all by default.
        row: other facts of the rows.
    """
    classifier = train_attribute_classifier(train, train_attributes)
    columns = attribute_columns(names)
    wanted = named.bool()
    ours, theirs = (_seen(classifier, x, list(columns.values())) for x in (samples, real))
    found = wanted & ours, wanted & theirs.repeat(len(wanted) // len(theirs), 1)

    def shares(chosen: Sequence[str]) -> list[float]:
        numbers = [number for name in chosen for number in columns[name]]
        return [round(float(x[:, numbers].sum() / wanted[:, numbers].sum()), 4) for x in found]

    def figure(protocol: str, chosen: Sequence[str], settings: dict[str, Any]) -> Metric:
        value, of_real = shares(chosen)
        beside = {"real": of_real}
        return Metric(
            "named-attributes", value, protocol=protocol, n=len(samples), baselines=beside, settings=settings, **row
        )

    every = [name for name, numbers in columns.items() if wanted[:, numbers].any()]
    chosen = [name for name in every if name in counted] or every
    worst = min(chosen, key=lambda name: shares([name])[0])
    rows = [
        figure("named-attributes", chosen, {"attributes": len(chosen)}),
        figure("named-attributes-worst", [worst], {"attribute": worst}),
    ]
    return [*rows, figure("named-attributes", every, {"attributes": len(every)})] if len(chosen) < len(every) else rows


@torch.inference_mode()
def _seen(classifier: torch.nn.Module, images: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """Which columns images ``(N, C, S, S)`` in [-1, 1] have, rounded to 8 bits first: bool ``(N, A)``."""
    logits = torch.cat([classifier(rounded(batch)) for batch in images.split(250)])
    seen = logits > 0
    for group in groups:
        if len(group) > 1:
            likeliest = logits[:, list(group)].argmax(1, keepdim=True)
            seen[:, list(group)] = torch.arange(len(group)) == likeliest
    return seen
