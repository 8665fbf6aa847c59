"""Commands about training: train, evaluate."""

from __future__ import annotations

import inspect
import math
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from zoo.errors import InputError, ZooError
from zoo.registry.facts import Metric
from zoo.registry.index import code_of, registry
from zoo.registry.values import printable
from zoo.training.launch import check_path, defaults_of, features_of, settings_of, train_extra

from .catalog import as_json, complete_names

DATA_HELP = "Folder, .zip, folder in a .zip, .npz, or datasets:OWNER/NAME; two for recipes with two kinds of images."
FEATURES_HELP = (
    "Feature extractor that compares images: a .safetensors file of timm's mobilenetv2_100, a timm model, or random "
    "[default: timm's mobilenetv2_100 if available, else random]"
)


@click.command()
@click.argument("recipe", shell_complete=complete_names)
@click.argument("more", nargs=-1, metavar="", type=click.Path())
@click.option("--data", multiple=True, required=True, metavar="DATA [DATA]", help=DATA_HELP)
@click.option("--out", type=click.Path(), help="A new folder for the run.")
@click.option("--resume", type=click.Path(), help="The folder of a run to continue.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A setting of the recipe; can be repeated.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Time limit; --resume continues the run.")
@click.option("--features", "source", help=FEATURES_HELP)
@click.option("--precision", default="auto", show_default=True, help="bf16, fp32, or auto: bf16 where supported.")
@click.option("--cpu", is_flag=True, help="Use only the CPU.")
@click.option("--strict", is_flag=True, help="Stop at the first image that cannot be read.")
@click.option("--stop-on-collapse", is_flag=True, help="Stop on mode collapse.")
def train(
    recipe: str,
    more: Sequence[str],
    data: Sequence[str],
    out: str | None,
    resume: str | None,
    given: Sequence[str],
    minutes: float | None,
    source: str | None,
    precision: str,
    cpu: bool,
    strict: bool,
    stop_on_collapse: bool,
) -> None:
    """Train a model with the recipe of a checkpoint, on its data or your own.

    RECIPE is a model or checkpoint, or the function of a recipe as module:function.

    \b
    zoo train dcgan.fashion-mnist --data fashion_mnist.npz --minutes 45 --out runs/dcgan
    zoo train dcgan.flowers --data photos/ --out runs/mine
    zoo train zoo.recipes.cyclegan:photo2monet --data A/ B/ --resume runs/cycle

    The folder contains the best weights so far, which `local-dir:FOLDER` loads, sample grids, a log and
    report.html. Ctrl-C stops after the current step; --resume continues to the same result.
    """  # noqa: D301 - click takes the character itself
    import zoo

    settings = named_values(given)
    if options := settings.keys() & inspect.signature(zoo.train).parameters.keys():
        raise InputError(f"{min(options)} is no setting of a recipe: see `zoo train --help`.")
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` does, for a recipe of one's own
    zoo.train(
        recipe,
        places_of(data, more),
        out=out,
        resume=resume,
        minutes=minutes,
        features=source,
        device="cpu" if cpu else None,
        precision=precision,
        strict=strict,
        stop_on_collapse=stop_on_collapse,
        say=say_above,
        progress=_show_progress if sys.stderr.isatty() else None,
        **settings,
    )


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.argument("more", nargs=-1, metavar="", type=click.Path())
@click.option("--data", multiple=True, required=True, metavar="DATA [DATA]", help=DATA_HELP)
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A setting of the figures; again for more.")
@click.option("--features", "source", help=FEATURES_HELP)
@click.option("--device", default="cpu", show_default=True, help="Such as cpu, cuda, cuda:1 or mps.")
@click.option("--strict", is_flag=True, help="Stop at the first image that cannot be read.")
@click.option("--write", is_flag=True, help="Put the figures on the card of a local-dir: model.")
@click.option("--json", "json_", is_flag=True, help="For a script.")
def evaluate(
    name: str,
    more: Sequence[str],
    data: Sequence[str],
    given: Sequence[str],
    source: str | None,
    device: str,
    strict: bool,
    write: bool,
    json_: bool,
) -> None:
    """Measure a model as its card says, and compare with the card.

    \b
    zoo evaluate conv-ae.flowers --data flowers.zip
    zoo evaluate local-dir:runs/mine --data my-test-images/

    Exits with 1 if a figure on the card, measured by the same protocol, is another one.
    """  # noqa: D301 - click takes the character itself
    if write and not name.startswith("local-dir:"):
        raise InputError("--write is for local-dir: models: the cards of others are in their registry.")
    with train_extra():
        import torch

        from zoo.data.source import Source
        from zoo.loading import load
        from zoo.metrics.verdicts import fingerprint, verdicts
        from zoo.weights.folder import CONFIG_FILE, add_metrics
        from zoo.weights.resolve import find
        from zoo.weights.verify import sha256_of

        model = load(name, device=device)
        entry = model.entry
        assert entry
        # A config.json may name a recipe of its model, but no other code.
        recipes = [known.recipe for known in registry().models[entry.model]]
        if not any(recipes):
            raise InputError(f"{entry.name} has no recipe, so nothing says how it is measured.")
        recipe = entry.recipe if entry.recipe in recipes else next(filter(None, recipes))
        code_of(recipe, entry)
        function = getattr(sys.modules[recipe.partition(":")[0]], "evaluate", None)
        if function is None:
            raise InputError(f"The recipe {recipe} says nothing about how {entry.name} is measured.")
        settings = settings_of(defaults_of(function, recipe), named_values(given), f"the evaluation of {entry.name}")
        read = Source(places_of(data, more), strict=strict, warn=lambda text: say_above(f"Warning: {printable(text)}"))
        features = features_of(function, source, say_above)
        for network in features.values():
            network.to(torch.device(device))
        try:
            metrics: list[Metric] = function(model, read, **settings, **features)
        except ZooError:
            raise
        except Exception as error:  # whatever the data and the settings make of the arithmetic
            raise ZooError(
                f"{entry.name} cannot be measured so: {type(error).__name__}: {error} (`zoo --debug ...` shows where)."
            ) from error
    if any("unsplit" in metric.protocol for metric in metrics):
        say_above("Note: the data have no split test, so all their images are measured, trained on or not.")
    if void := [metric.name for metric in metrics if not math.isfinite(metric.value)]:
        say_above(f"Note: on these data there is no {', no '.join(void)}: it would be divided by zero.")
    with_what = fingerprint(read, features, entry.sha256 or sha256_of(find(name)[1]), settings)
    metrics = [replace(metric, fingerprint=with_what) for metric in metrics if math.isfinite(metric.value)]
    rows = verdicts(metrics, entry)
    if json_:
        as_json(rows)
    else:
        for row in rows:
            click.echo(f"{row['name']} = {row['value']:g}  ({row['card']})\n  {row['protocol']}")
    if write:
        folder = Path(name.removeprefix("local-dir:")).expanduser()
        try:
            add_metrics(folder, entry, metrics)
        except OSError as error:
            raise ZooError(
                f"{folder / CONFIG_FILE} cannot be written: {error.strerror or error}; the figures are those above."
            ) from None
    wrong = [row["name"] for row in rows if str(row["card"]).startswith("mismatch")]
    if wrong and not write:
        raise ZooError(f"{len(wrong)} of {len(rows)} figures are not those on the card: {', '.join(wrong)}.")


def places_of(data: Sequence[str], more: Sequence[str]) -> list[str]:
    """The places after one ``--data``, or after several of them; both at once would lose their order."""
    if len(data) > 1 and more:
        raise InputError(f"{more[0]} stands alone: put all places after one --data, or each after its own.")
    return [check_path("--data", place) for place in (*data, *more)]


def named_values(items: Sequence[str]) -> dict[str, str]:
    """``NAME=VALUE`` of ``--set`` by name; the last of a name counts."""
    values = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"--set takes NAME=VALUE, not {item!r}.")
        values[key.replace("-", "_")] = value
    return values


def say_above(line: str) -> None:
    """A line for the user, over the line of progress."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)
    click.echo(line, err=True)


def _show_progress(line: str) -> None:
    width = shutil.get_terminal_size().columns
    click.echo("\r\x1b[K" + line[: width - 1], nl=False, err=True)
