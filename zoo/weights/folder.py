"""A folder with ``config.json`` and ``model.safetensors``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from zoo.errors import WeightsError
from zoo.files import atomic_write
from zoo.registry.cards import merged
from zoo.registry.facts import Entry, Metric
from zoo.registry.schema import to_config

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
SAMPLES_FILE = "samples.png"


def add_metrics(folder: Path, entry: Entry, metrics: Iterable[Metric]) -> None:
    """Put figures into the ``config.json`` of a folder; they replace those of the same protocol, data set and split."""
    with atomic_write(folder / CONFIG_FILE) as aside:
        aside.write_text(to_config(replace(entry, metrics=merged(entry.metrics, metrics))), "utf-8")


def export(entry: Entry, source: Path | bytes, folder: Path) -> Path:
    """Put verified weights, a file or its content, into a folder that ``local-dir:`` reads, with ``config.json``."""
    target = folder / WEIGHTS_FILE
    try:
        weights = source if isinstance(source, bytes) else source.read_bytes()
        for name, content in ((WEIGHTS_FILE, weights), (CONFIG_FILE, to_config(entry).encode())):
            with atomic_write(folder / name) as aside:
                aside.write_bytes(content)
    except OSError as error:
        raise WeightsError(f"{target} cannot be written: {error.strerror or error}.") from None
    return target
