"""The data sets that checkpoints were trained on and measured with: ``zoo/data/datasets.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from zoo.files import read_text
from zoo.registry.facts import Data
from zoo.registry.values import Facts, load

DATASETS = Path(__file__).parent.parent / "data" / "datasets.yaml"


@dataclass(frozen=True)
class Dataset:
    """A data set.

    Attributes:
        id: what the registry and the rows of a card call it.
        name: what people call it.
        license: as an SPDX identifier where there is one.
        source: a link to its authors' page.
        get: how to get it, and the form that ``--data`` takes.
        hub: ``owner/name`` on the Hugging Face Hub, if it is there.
        sha256: of the files that were measured with, by name, where they are fixed.
        caution: what models of these data must not be used for, and what is wrong with them; empty where nothing is.
    """

    id: str
    name: str
    license: str
    source: str
    get: str
    hub: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)
    caution: str = ""


@cache
def datasets() -> Mapping[str, Dataset]:
    """All data sets by their identifiers."""
    where = str(DATASETS)
    facts = Facts(load(read_text(DATASETS), where, trusted=True), where)
    return {key: _dataset(key, Facts(raw, f"{where}: {key}")) for key, raw in facts.raw.items()}


def caution(data: Data | None) -> str:
    """What must be known before a model of these data is used; empty for data of others, and where nothing is."""
    known = datasets().get(data.id) if data else None
    return known.caution if known else ""


def _dataset(id: str, facts: Facts) -> Dataset:
    texts = {key: facts.get(key, str) for key in ("name", "license", "source", "get")}
    more = {key: facts.get(key, str, "") for key in ("hub", "caution")}
    dataset = Dataset(id, **texts, **more, sha256=facts.get("sha256", dict, {}))
    facts.done()
    return dataset
