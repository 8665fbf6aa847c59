"""Whether a figure that was measured again is the one on record."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zoo.registry.facts import Entry, Metric

if TYPE_CHECKING:
    from zoo.data.source import Source
from zoo.metrics.features import Features


def ratio(value: float, over: float) -> float:
    """One figure over another; NaN, which is on no card, where that is zero."""
    return value / over if over else math.nan


def fingerprint(data: Source, features: Mapping[str, Features], weights: str, settings: Mapping[str, Any]) -> str:
    """A number of all that a figure depends on besides its protocol, as 16 hexadecimal digits.

    Args:
        data: what was read.
        features: what it was compared by, by keyword.
        weights: the sha256 of the model's weights.
        settings: of the evaluation.
    """
    seen = hashlib.sha256(f"{data.fingerprint} {weights} {sorted(settings.items())}".encode())
    for name, one in features.items():
        seen.update(name.encode())
        for key, x in one.network.state_dict().items():
            seen.update(key.encode() + x.cpu().contiguous().numpy().tobytes())
    return seen.hexdigest()[:16]


def verdicts(found: Sequence[Metric], entry: Entry) -> list[dict[str, Any]]:
    """Figures beside those on the card: the same to 1 %, and near zero to 1e-5.

    A figure is called a mismatch only if the card's was measured on the same data, with the same features and weights:
    if the fingerprints say so, or, where the card has none, the protocols of all figures that go together, and all
    that say something of the data alone, such as what real images get. Of other packages' models the zoo does not
    know whether there are such figures, so there it takes fingerprints.

    Returns:
        A mapping with ``name``, ``value``, ``protocol`` and ``card``, which is what to say of it, for each.
    """
    card = {metric.name: metric for metric in entry.metrics}
    pairs = [(metric, card[metric.name]) for metric in found if metric.name in card]
    together = entry.package == "zoo" and all(
        _plain(a.protocol) == _plain(b.protocol) and (not a.anchor or _near(a.value, b.value)) for a, b in pairs
    )
    rows = []
    for metric in found:
        rows.append(
            {
                "name": metric.name,
                "value": metric.value,
                "protocol": metric.protocol,
                "card": _verdict(metric, card.get(metric.name), together),
            }
        )
    return rows


def _verdict(found: Metric, card: Metric | None, together: bool) -> str:
    if card is None:
        return "not on the card"
    said = f"the card has {card.value:g}"
    if _plain(card.protocol) != _plain(found.protocol):
        return f"{said} by another protocol: {card.protocol}"
    if card.fingerprint and found.fingerprint:
        same, other = card.fingerprint == found.fingerprint, "with other data, features, settings or weights"
    else:
        same, other = together, "and does not show that it was measured on the same data, with the same features"
    if not same:
        return f"{said} {other}"
    return f"{'match' if _near(found.value, card.value) else 'mismatch'}: {said}"


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= max(0.01 * abs(b), 1e-5)


def _plain(protocol: str) -> str:
    """Without shares in percent: that of a classifier, which is measured anew, varies a little between machines."""
    return re.sub(r"\d+(\.\d+)?%", "%", protocol)
