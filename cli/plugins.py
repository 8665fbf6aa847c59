"""Commands for the authors of models: new, embed."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.entry import VERBS
from zoo.errors import InputError

from .facts import complete_names

# The kinds of each verb; the first is what the verb alone means.
KINDS = {"generate": ("generator", "conditional"), "reconstruct": ("image-to-image", "autoencoder")}


@click.command()
@click.argument("name")
@click.option("--verb", type=click.Choice(VERBS), help="What it does: generate [default], or reconstruct.")
@click.option("--kind", type=click.Choice([kind for kinds in KINDS.values() for kind in kinds]), help="Which network.")
@click.option("--to", "folder", type=click.Path(path_type=Path), help="Where; by default a new folder of that name.")
def new(name: str, verb: str | None, kind: str | None, folder: Path | None) -> None:
    """Write a plugin for a model called NAME: a package that installs, loads and passes its tests.

    \b
    zoo new starry --verb generate
    zoo new denoiser --kind autoencoder
    """  # noqa: D301 - click takes the character itself
    if verb and kind and kind not in KINDS[verb]:
        raise InputError(f"{kind} does not {verb}: choose {' or '.join(KINDS[verb])}.")
    from zoo.plugins import create

    made = create(name, kind or KINDS[verb or "generate"][0], folder)
    click.echo(f"Wrote {made}. Next:\n  cd {made}\n  pip install -e '.[dev]'\n  pytest\n  zoo check {name}")


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.argument("source", type=click.Path(path_type=Path))
def embed(name: str, source: Path) -> None:
    """Put the weights in SOURCE, a run or a safetensors file, into the package of the model NAME."""
    from zoo.plugins import embed as put

    path = put(name, source)
    click.echo(f"Wrote {path}, {path.stat().st_size:,} bytes in float16, and its hash into registry.yaml.")
