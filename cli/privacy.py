"""The command about privacy."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.errors import InputError
from zoo.registry.values import printable
from zoo.training.launch import train_extra

from .catalog import as_json, complete_names
from .console import say
from .names import PathType, keep_inputs
from .output import Output
from .training import DATA_HELP, places_of, source_of

if TYPE_CHECKING:
    from zoo.tasks.privacy import Privacy

FOUND = 3  # exit code


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.argument("more", nargs=-1, metavar="", type=click.Path())
@click.option("--data", multiple=True, required=True, metavar="DATA [DATA]", help=DATA_HELP)
@click.option("-n", "n", type=int, default=10_000, show_default=True, help="Number of samples.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the samples, and of the images compared.")
@click.option("-o", "--output", type=click.Path(), help="An image: samples, below each what is nearest in DATA.")
@click.option("--batch-size", type=int, default=64, show_default=True, help="How many at once, if memory holds them.")
@click.option("--weights", type=PathType(), help="A folder or file with the weights.")
@click.option("--device", default="cpu", show_default=True, help="Such as cpu, cuda, cuda:1 or mps.")
@click.option("--strict", is_flag=True, help="Stop at the first image that cannot be read.")
@click.option("--json", "json_", is_flag=True, help="For a script.")
def privacy(
    name: str,
    more: Sequence[str],
    data: Sequence[str],
    n: int,
    seed: int,
    output: str | None,
    batch_size: int,
    weights: Path | None,
    device: str,
    strict: bool,
    json_: bool,
) -> None:
    """Say whether a generator of images or molecules gives away what it was trained on.

    DATA are what it was trained on, with a split test that it was not trained on. Exits with 3 if it remembers.

    \b
    zoo privacy cdcgan --data mnist.npz
    zoo privacy local-dir:runs/mine --data faces/ -o nearest.png
    zoo privacy molgan --data qm9/ -o nearest.png
    """  # noqa: D301 - click takes the character itself
    from zoo.errors import check_count, check_natural

    check_count("batch_size", batch_size)
    check_natural("seed", seed)
    out = Output.of(output, None, None, "image") if output else None
    if out and (out.folder or out.standard):
        raise InputError(f"{output} is no file: name one image, such as nearest.png.")
    if out:
        keep_inputs([out.path], [Path(place) for place in places_of(data, more)])
    with train_extra():
        from zoo.loading import load
        from zoo.tasks import privacy as task

        model = load(name, weights=weights, device=device)
        task.check(model, n)
        source = source_of(data, more, strict)
        result = task.privacy(model, source, n=n, seed=seed, batch_size=batch_size, progress=sys.stderr.isatty())
    if out:
        result.sheet().save(out.path)
    if json_:
        as_json(_facts(name, result, output))
    else:
        for line in _words(printable(name), result, printable(source.name)):
            click.echo(line)
    if result.remembers:
        say(
            f"Warning: {name} remembers {result.shown.noun} that it was trained on. If they show people or secrets, "
            f"give away neither its weights nor its samples; train with more {result.shown.noun}, with augmentation, "
            "or for a shorter time."
        )
        raise click.exceptions.Exit(FOUND)


def _facts(name: str, result: Privacy, output: str | None) -> dict[str, Any]:
    return {
        "model": name,
        "samples": result.samples,
        "images": result.images,
        "accuracy": result.accuracy,
        "real_accuracy": result.real_accuracy,
        "utility": result.utility,
        "without": result.without,
        "distance_ratio": result.distance_ratio,
        "membership_auroc": result.membership_auroc,
        "chance": result.chance,
        "remembers": result.remembers,
        "output": output,
    }


def _words(name: str, result: Privacy, data: str) -> list[str]:
    """The three figures for somebody who answers for data, and not for networks."""
    images, many = f"{result.images:,}", result.shown.noun
    one = many.removesuffix("s")
    lines = [
        f"{result.samples:,} samples of {name} beside {images} {many} of {data} that it was trained on, and {images} "
        "that it was not trained on.",
        "",
        f"Copies: {result.distance_ratio:.3f}",
        f"  The distance of a sample to the nearest training {one}, as a share of that to the nearest other {one}.",
        "  1: it is no more like what it was trained on than like anything else; 0: all samples are copies. As it "
        "should be: 0.95 to 1.05.",
        f"Membership: {result.membership_auroc:.3f}",
        f"  How often somebody who has the samples guesses rightly which of two {many} was trained on.",
        f"  0.5: no better than by a coin; 1: always. As it should be: 0.5 within 0.02 (chance alone moves "
        f"it by up to {result.chance:.3f} with {images} {many}).",
    ]
    if result.utility is None:
        lines += ["Use in place of the data: not measured", f"  {result.without[0].upper()}{result.without[1:]}."]
    else:
        lines += [
            f"Use in place of the data: {result.utility:.3f}",
            f"  A classifier that learnt from samples alone is right on {result.accuracy:.1%} of real images that "
            f"nothing was trained on, one that learnt from as many real images on {result.real_accuracy:.1%}.",
            "  1: samples do as well as the data. As it should be: 0.97 or more.",
        ]
    if not result.remembers:
        lines += ["", f"Nothing here says that {name} remembers the {many} that it was trained on."]
    return lines
