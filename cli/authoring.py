"""Commands for the authors of models: new, embed, publish."""

from __future__ import annotations

import re
from pathlib import Path

import click

from zoo.errors import InputError
from zoo.registry.facts import VERBS
from zoo.registry.index import registry
from zoo.registry.values import REPO

from .catalog import complete_names
from .names import PathType

# The kinds of each verb; the first is what the verb alone means.
KINDS = {
    "generate": ("generator", "conditional", "text", "vae"),
    "reconstruct": ("image-to-image", "autoencoder", "masked", "audio", "vae"),
}


@click.command()
@click.argument("name")
@click.option("--verb", type=click.Choice(VERBS), help="Verb of the model: generate [default] or reconstruct.")
@click.option("--kind", type=click.Choice(list(dict.fromkeys(sum(KINDS.values(), ())))), help="Which network.")
@click.option("--to", "folder", type=PathType(), help="Folder to write; by default a new folder NAME.")
def new(name: str, verb: str | None, kind: str | None, folder: Path | None) -> None:
    """Write a plugin with a model called NAME: a package that can be installed and passes its tests.

    \b
    zoo new starry --verb generate
    zoo new denoiser --kind autoencoder
    """  # noqa: D301 - click takes the character itself
    if verb and kind and kind not in KINDS[verb]:
        raise InputError(f"{kind} does not {verb}: choose {' or '.join(KINDS[verb])}.")
    from zoo.authoring.scaffold import create

    plugin = create(name, kind or KINDS[verb or "generate"][0], folder)
    click.echo(f"Wrote {plugin}. Next:\n  cd {plugin}\n  pip install -e '.[dev]'\n  pytest\n  zoo check {name}")


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.argument("source", type=PathType())
def embed(name: str, source: Path) -> None:
    """Copy weights into the package of the model NAME. SOURCE is the folder of a run or a safetensors file."""
    from zoo.authoring.embed import embed as put

    path = put(name, source)
    click.echo(f"Wrote {path}, {path.stat().st_size:,} bytes in float16, and its hash into registry.yaml.")


@click.command()
@click.argument("source", required=False, shell_complete=complete_names)
@click.option("--repo", help="OWNER/NAME on the Hugging Face Hub.")
@click.option(
    "--all", "all_", is_flag=True, help="Upload each checkpoint of the package to its repository in the registry."
)
@click.option("--private", is_flag=True, help="Create the repository as private.")
@click.option("--dry-run", is_flag=True, help="Write the folder that would be uploaded, and upload nothing.")
@click.option(
    "--to", "folder", type=PathType(), help="Folder to write: needed with --dry-run, else by default a temporary one."
)
def publish(
    source: str | None, repo: str | None, all_: bool, private: bool, dry_run: bool, folder: Path | None
) -> None:
    """Upload weights to the Hugging Face Hub, with config.json and a model card.

    SOURCE is a checkpoint or the folder of a run. After the upload the lines for registry.yaml are printed.
    """
    if all_ == bool(source):
        raise InputError("Name a checkpoint or the folder of a run, or give --all.")
    if all_ and repo:
        raise InputError("--all uploads each checkpoint to its own repository: leave out --repo.")
    if repo and not re.fullmatch(REPO, repo):
        raise InputError(f"{repo!r} is no name of a repository: use OWNER/NAME.")
    if source and not repo and not dry_run:
        raise InputError("Name the repository with --repo OWNER/NAME, or upload nothing with --dry-run.")
    if dry_run and not folder:
        raise InputError("Name the folder to write with --to.")
    names = [(source, repo or "OWNER/NAME")] if source else _embedded()
    import tempfile

    from zoo.authoring.publish import prepare, stanza
    from zoo.authoring.publish import publish as upload

    with tempfile.TemporaryDirectory() as temporary:
        for name, place in names:
            target = (folder or Path(temporary)) / ("" if source and folder else place.replace("/", "--"))
            entry = prepare(name, target, place)
            if dry_run:
                click.echo(f"Wrote {target}: {', '.join(sorted(path.name for path in target.iterdir()))}")
                continue
            commit = upload(target, place, private=private)
            click.echo(f"Published {entry.name} as {place}. For registry.yaml, under {entry.model}: checkpoints:\n")
            click.echo(stanza(entry, target, place, commit))


def _embedded() -> list[tuple[str, str]]:
    entries = registry().entries.values()
    return [(entry.name, entry.hub.repo) for entry in entries if entry.hub and entry.embedded.is_file()]
