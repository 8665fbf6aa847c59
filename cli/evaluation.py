"""Commands about figures: evaluate."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.errors import InputError, ZooError
from zoo.metrics import wording
from zoo.registry.cards import Card, merged, row_of
from zoo.registry.facts import Entry, Metric
from zoo.registry.index import code_of, evaluate_of
from zoo.registry.values import NAME, printable
from zoo.training.launch import defaults_of, settings_of, train_extra

from .catalog import as_json, complete_names
from .training import DATA_HELP, named_values, say_above, source_of

if TYPE_CHECKING:
    from zoo.metrics.features import Features

JUDGES_HELP = (
    "What images are compared by; again for several: a .safetensors file of timm's mobilenetv2_100 or "
    "tf_efficientnet_lite0, a timm model, or random [default: both of timm's if they can be had, else random]"
)


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.argument("more", nargs=-1, metavar="", type=click.Path())
@click.option("--data", multiple=True, required=True, metavar="DATA [DATA]", help=DATA_HELP)
@click.option("--dataset", help="What the data are called on the card [default: as there, else their own name].")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A setting of the figures; again for more.")
@click.option("--features", "sources", multiple=True, help=JUDGES_HELP)
@click.option("--device", default="cpu", show_default=True, help="Such as cpu, cuda, cuda:1 or mps.")
@click.option("--strict", is_flag=True, help="Stop at the first image that cannot be read.")
@click.option("--write", is_flag=True, help="Put the figures on the card.")
@click.option("--json", "json_", is_flag=True, help="For a script.")
def evaluate(
    name: str,
    more: Sequence[str],
    data: Sequence[str],
    dataset: str | None,
    given: Sequence[str],
    sources: Sequence[str],
    device: str,
    strict: bool,
    write: bool,
    json_: bool,
) -> None:
    """Measure a model as its card says, and compare with the card.

    \b
    zoo evaluate conv-ae.flowers --data flowers.zip
    zoo evaluate local-dir:runs/mine --data my-test-images/ --write

    Exits with 1 if a figure on the card, measured by the same protocol on the same data, is another one. The card is
    config.json of a local-dir: model, and cards/MODEL.yaml of one in a checkout or an editable plugin.
    """  # noqa: D301 - click takes the character itself
    if dataset is not None and not NAME.fullmatch(dataset):
        raise InputError(f"--dataset {dataset!r} is no name: use lower-case letters, digits and hyphens.")
    with train_extra():
        import torch

        from zoo.loading import load
        from zoo.metrics.verdicts import verdicts
        from zoo.weights.resolve import entry_of, find
        from zoo.weights.verify import sha256_of

        if write:
            _check_writable(entry_of(name))
        model = load(name, device=device)
        entry = model.entry
        assert entry
        card = tuple(entry.metrics)  # one that cannot be read is said before anything is measured
        measure = evaluate_of(entry)
        function = code_of(measure, entry)
        settings = settings_of(defaults_of(function, measure), named_values(given), f"the evaluation of {entry.name}")
        read = source_of(data, more, strict)
        features = _extractors(function, sources)
        for network in features.get("features", ()):
            network.to(torch.device(device))
        try:
            metrics: list[Metric] = function(model, read, **settings, **features)
        except ZooError:
            raise
        except Exception as error:  # whatever the data and the settings make of the arithmetic
            raise ZooError(
                f"{entry.name} cannot be measured so: {type(error).__name__}: {error} (`zoo --debug ...` shows where)."
            ) from error
        weights = (entry.sha256 or sha256_of(find(name)[1]))[:8]
    if any(metric.split == "unsplit" for metric in metrics):
        say_above("Note: the data have no split test, so all their images are measured, trained on or not.")
    if void := [wording.name(metric) for metric in metrics if not math.isfinite(metric.value)]:
        say_above(f"Note: on these data there is no {', no '.join(void)}: it would be divided by zero.")
    images = read.fingerprint[:8]
    dataset = dataset or _dataset(entry, images, read.name)
    metrics = [
        replace(
            metric,
            dataset=metric.dataset or dataset,
            data=images,
            weights=weights,
            baselines={key: x for key, x in metric.baselines.items() if math.isfinite(x)},
        )
        for metric in metrics
        if math.isfinite(metric.value)
    ]
    rows = [
        {**row_of(metric), "name": wording.name(metric), "sentence": wording.sentence(metric), **verdict}
        for metric, verdict in zip(metrics, verdicts(metrics, card), strict=True)
    ]
    if json_:
        as_json(rows)
    else:
        for metric, row in zip(metrics, rows, strict=True):
            click.echo(printable(f"{row['name']} = {wording.in_one_line(metric)} ({row['card']})"))
            click.echo(f"  {printable(row['sentence'])}")
    if write:
        _write(entry, name, metrics)
    wrong = [row["name"] for row in rows if row["verdict"] == "mismatch"]
    if wrong and not write:
        raise ZooError(f"{len(wrong)} of {len(metrics)} figures are not those on the card: {', '.join(wrong)}.")


def _extractors(function: Callable[..., Any], sources: Sequence[str]) -> dict[str, tuple[Features, ...]]:
    """The keyword ``features``, where a function takes it."""
    if "features" not in inspect.signature(function).parameters:
        if sources:
            raise InputError(
                f"--features {sources[0]} is of no use here, nothing is compared by features: leave it out."
            )
        return {}
    from zoo.metrics.features import Features, default_judges

    features = tuple(map(Features, sources)) if sources else default_judges()
    if not sources and features[0].source == "random":
        say_above(
            "Note: images are compared by random features, because timm's mobilenetv2_100 and tf_efficientnet_lite0 "
            "cannot be had here; --features names a file."
        )
    return {"features": features}


def _dataset(entry: Entry, images: str, name: str) -> str:
    """What data are called: as on the card where the same images were measured, else by the name of their place."""
    known = (metric.dataset for metric in entry.metrics if metric.data == images)
    return next(known, re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"))


def _check_writable(entry: Entry) -> None:
    """Refuse before anything is measured what could not be written afterwards."""
    if entry.source.startswith("local-dir:"):
        return
    if entry.source:
        raise InputError("--write does not change what is on the Hub: `zoo download` it, and name its local-dir:.")
    if not isinstance(entry.metrics, Card):
        raise InputError(
            f"The figures of {entry.name} stand under `metrics` in its registry: move them to cards/{entry.model}.yaml."
        )
    if "site-packages" in entry.folder.parts:
        raise InputError(f"{entry.package} is installed as a copy: `pip install -e` its folder, and measure again.")


def _write(entry: Entry, name: str, metrics: Sequence[Metric]) -> None:
    """Put figures on the card."""
    from zoo.weights.folder import CONFIG_FILE, add_metrics

    folder = Path(name.removeprefix("local-dir:")).expanduser()
    card = entry.metrics
    path = card.path if isinstance(card, Card) else folder / CONFIG_FILE
    try:
        if isinstance(card, Card):
            card.write(merged(card, metrics))
        else:
            add_metrics(folder, entry, metrics)
    except OSError as error:
        raise ZooError(f"{path} cannot be written: {error.strerror or error}; the figures are those above.") from None
