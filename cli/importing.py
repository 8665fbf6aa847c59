"""Commands for the files of other people's code: import, export."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.entry import FORMATS

from .facts import complete_names


@click.command("import")
@click.argument("model")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", "folder", required=True, type=click.Path(path_type=Path), help="A new folder.")
@click.option("--layout", help="Only this layout; docs/import.md lists them.")
@click.option("--key", help="Where in the file the state dict lies, if it has several: netG, or models.generator.")
@click.option("--license", default="unknown", show_default=True, help="Of the weights, as an SPDX identifier.")
def import_(
    model: str, files: tuple[Path, ...], folder: Path, layout: str | None, key: str | None, license: str
) -> None:
    """Turn weights of other people's code into a folder that local-dir: loads. No code in them is run.

    MODEL is one of the zoo's, or auto; FILES are safetensors, or what torch.save wrote.

    \b
    zoo import cyclegan latest_net_G.pth -o horse2zebra
    zoo import auto taesd_encoder.pth taesd_decoder.pth -o taesd
    """  # noqa: D301 - click takes the character itself
    from zoo.importing import convert
    from zoo.layouts import layout_of

    entry = convert(files, folder, model=None if model == "auto" else model, layout=layout, key=key, license=license)
    assert entry.origin
    known = layout_of(entry.origin.layout)
    config = ", ".join(f"{name}={value}" for name, value in entry.config.items())
    verb = "reconstruct" if "reconstruct" in entry.verbs else "generate"
    given = " INPUT" if verb == "reconstruct" else ""
    click.echo(
        f"Wrote {folder}: {entry.model} with {config}.\nThe layout is {known.name}, of {known.code}: it is known by "
        f"{known.mark}, and all other names and shapes are right.\nTry: zoo {verb} local-dir:{folder}{given} -o out.png"
    )


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.option("-o", "--output", "file", required=True, type=click.Path(path_type=Path), help="The file to write.")
@click.option("--format", "form", type=click.Choice(FORMATS), default=FORMATS[0], show_default=True, help="Which kind.")
@click.option("--layout", help="With the names that this layout has; docs/import.md lists them.")
def export(name: str, file: Path, form: str, layout: str | None) -> None:
    """Write a model as a file for other code: the way back from `zoo import`.

    \b
    zoo export dcgan --format state-dict --layout dcgan -o netG.pth
    zoo export dcgan --format onnx -o dcgan.onnx
    """  # noqa: D301 - click takes the character itself
    from zoo.importing import export as write

    for path in write(name, file, form, layout):
        click.echo(f"Wrote {path}, {path.stat().st_size:,} bytes.")
