"""Commands about training: train."""

from __future__ import annotations

import inspect
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.errors import InputError
from zoo.registry.values import printable
from zoo.training.launch import check_path

from .catalog import complete_names

if TYPE_CHECKING:
    from zoo.data.source import Source

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


def places_of(data: Sequence[str], more: Sequence[str]) -> list[str]:
    """The places after one ``--data``, or after several of them; both at once would lose their order."""
    if len(data) > 1 and more:
        raise InputError(f"{more[0]} stands alone: put all places after one --data, or each after its own.")
    return [check_path("--data", place) for place in (*data, *more)]


def source_of(data: Sequence[str], more: Sequence[str], strict: bool) -> Source:
    """The data of ``--data``; what is left out of them is said."""
    from zoo.data.source import Source

    return Source(places_of(data, more), strict=strict, warn=lambda text: say_above(f"Warning: {printable(text)}"))


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
