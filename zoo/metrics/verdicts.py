"""Whether a figure that was measured again is the one on the card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.registry.facts import Metric

# What two rows of the same protocol must share to be one figure, and how a difference is called.
SAME = {
    "dataset": "data set",
    "split": "split",
    "n": "number of images",
    "seed": "seed",
    "settings": "settings",
    "data": "images",
    "features": "weights of the feature extractor",
    "weights": "weights of the model",
}
_OPTIONAL = ("data", "features", "weights")  # fingerprints, which a row need not have


def verdicts(measured: Sequence[Metric], card: Sequence[Metric]) -> list[dict[str, Any]]:
    """What to say of each figure beside those of the same protocol on the card: the same to 1 %, and near zero to 1e-5.

    A figure is a match or a mismatch only if the card's has the same protocol, data set, split, number of images, seed
    and settings, and the same fingerprints of images, feature extractor and weights as far as both have them.

    Returns:
        A mapping with ``verdict`` (``match``, ``mismatch``, ``other`` or ``new``) and ``card``, what to say, for each.
    """
    return [_verdict(figure, [row for row in card if _name(row) == _name(figure)]) for figure in measured]


def _verdict(figure: Metric, rows: Sequence[Metric]) -> dict[str, Any]:
    if not rows:
        return {"verdict": "new", "card": "not on the card"}
    row = min(rows, key=lambda row: len(_differences(figure, row)))
    said = f"the card has {row.value:g}"
    if different := _differences(figure, row):
        return {"verdict": "other", "card": f"{said}, of which these differ: {', '.join(different)}"}
    verdict = "match" if abs(figure.value - row.value) <= max(0.01 * abs(row.value), 1e-5) else "mismatch"
    return {"verdict": verdict, "card": f"{verdict}: {said}"}


def _name(row: Metric) -> str:
    return row.protocol or row.metric


def _differences(a: Metric, b: Metric) -> list[str]:
    """What two rows of one protocol do not share."""
    different = []
    for key, words in SAME.items():
        x, y = getattr(a, key), getattr(b, key)
        if x != y and not (key in _OPTIONAL and "" in (x, y)):
            different.append(words)
    return different
