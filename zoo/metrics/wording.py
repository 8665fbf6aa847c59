"""The rows of a card in words, for everything that shows them. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

from zoo.metrics.protocols import protocol, short_name
from zoo.registry.datasets import datasets
from zoo.registry.facts import Entry, Metric


def name(row: Metric) -> str:
    """What a figure is called; of a protocol that is none of the zoo's, as its row calls it."""
    known = protocol(row.protocol)
    return known.name if known else row.metric


def sentence(row: Metric) -> str:
    """How a figure is measured; of a protocol that is none of the zoo's, the note of the row."""
    known = protocol(row.protocol)
    return known.sentence if known else row.note or row.protocol


def better(row: Metric) -> str:
    """``higher`` or ``lower``; empty for a protocol that is none of the zoo's."""
    known = protocol(row.protocol)
    return known.better if known else ""


def value(row: Metric) -> str:
    """A figure with its unit: ``31.33 dB``."""
    known = protocol(row.protocol)
    return f"{_number(row.value)} {known.unit}" if known and known.unit else _number(row.value)


def baselines(row: Metric) -> str:
    """What others get: ``real 0, gaussian 1.34575``."""
    return ", ".join(f"{key.replace('_', ' ')} {_number(figure)}" for key, figure in row.baselines.items())


def ahead(row: Metric) -> list[str]:
    """What stands beside a figure and is better, other than what is best by its nature."""
    way = {"higher": 1, "lower": -1}.get(better(row), 0)
    better_ones = (key for key, figure in row.baselines.items() if way * (figure - row.value) > 0)
    return [key.replace("_", " ") for key in better_ones if key not in ("real", "uniform")]


def measured_on(row: Metric) -> str:
    """Which images were measured, and the note: ``Fashion-MNIST test, 10,000 images, seed 0; sandals are blurred``."""
    known, measure = datasets().get(row.dataset), protocol(row.protocol)
    parts = [
        " ".join(filter(None, (known.name if known else row.dataset, row.split))),
        f"{row.n:,} {measure.noun if measure else 'images'}" if row.n else "",
        f"seed {row.seed}" if row.seed is not None else "",
        *(f"{key.replace('_', ' ')} {setting}" for key, setting in row.settings.items()),
    ]
    return "; ".join(filter(None, (", ".join(filter(None, parts)), row.note if measure else "")))


def in_one_line(row: Metric) -> str:
    """``0.01868 (real 0, gaussian 1.34575), Fashion-MNIST test, 10,000 images, seed 0``."""
    beside = f" ({baselines(row)})" if row.baselines else ""
    return ", ".join(filter(None, (value(row) + beside, measured_on(row))))


def by_protocol(rows: Iterable[Metric]) -> list[list[Metric]]:
    """Rows of one protocol together, in the order in which the protocols come first."""
    groups: dict[tuple[str, str], list[Metric]] = {}
    for row in rows:
        groups.setdefault((name(row), sentence(row)), []).append(row)
    return list(groups.values())


def training_note(entry: Entry) -> str:
    """Which feature extractors had a part in training, of which distances are flattered; empty if none had."""
    judged = {known.extractor for row in entry.metrics if (known := protocol(row.protocol)) and known.extractor}
    roles = {"loss": "a loss or a discriminator looked through it", "selection": "the weights were chosen by it"}
    ways: dict[str, list[str]] = {}
    for role, extractor in entry.extractors.items():
        ways.setdefault(extractor, []).append(roles[role])
    if not ways or not judged:
        return ""
    parts = [f"{short_name(extractor)} had a part in training: {', and '.join(x)}" for extractor, x in ways.items()]
    unseen = sorted(short_name(extractor) for extractor in judged - ways.keys())
    none = f" {' and '.join(unseen)} had none." if unseen else ""
    return f"{'; '.join(parts)}. Distances by it flatter this model.{none}"


def _number(x: float) -> str:
    """Without an exponent where it is small."""
    return f"{x:g}" if abs(x) >= 1e-4 or x == 0 else f"{x:.6f}".rstrip("0")
