"""Commands for the files of other people's code: import, export."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.registry.facts import FORMATS

from .catalog import complete_names
from .names import PathType


def complete_models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """For the shell's completion: auto, and the models that a layout is known for."""
    from zoo.interop.layouts.table import LAYOUTS

    names = dict.fromkeys(["auto", *(layout.model for layout in LAYOUTS)])
    return [name for name in names if name.startswith(incomplete)]


def complete_layouts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """For the shell's completion: the names of layouts."""
    from zoo.interop.layouts.table import LAYOUTS

    return [layout.name for layout in LAYOUTS if layout.name.startswith(incomplete)]


@click.command("import")
@click.argument("model", shell_complete=complete_models)
@click.argument("files", nargs=-1, required=True, type=PathType())
@click.option("-o", "--output", "folder", required=True, type=PathType(), help="A new folder.")
@click.option("--layout", shell_complete=complete_layouts, help="Use this layout; docs/import.md lists all.")
@click.option("--key", help="Prefix of the tensor names, if a file has several networks: netG, models.generator.")
@click.option("--license", default="unknown", show_default=True, help="Licence of the weights, as an SPDX identifier.")
def import_(
    model: str, files: tuple[Path, ...], folder: Path, layout: str | None, key: str | None, license: str
) -> None:
    """Convert weights of other code to a folder that local-dir: loads. Code in the files is never run.

    MODEL is a model of the zoo, or auto. FILES are safetensors, an index of shards, or files of torch.save. If a file
    also has an EMA of the weights, the EMA is imported. The output lists what was left out.

    \b
    zoo import cyclegan latest_net_G.pth -o horse2zebra
    zoo import auto taesd_encoder.pth taesd_decoder.pth -o taesd
    """  # noqa: D301 - click takes the character itself
    from zoo.interop.convert import convert
    from zoo.interop.layouts.table import layout_of
    from zoo.interop.recognise import is_averaged

    entry = convert(files, folder, model=None if model == "auto" else model, layout=layout, key=key, license=license)
    assert entry.origin
    known = layout_of(entry.origin.layout)
    config = ", ".join(f"{name}={value}" for name, value in entry.config.items())
    verb = "reconstruct" if "reconstruct" in entry.verbs else "generate"
    argument = " INPUT" if verb == "reconstruct" else ""
    for file, where in entry.origin.taken.items():
        averaged = ", which are averaged" if is_averaged(where) else ""
        click.echo(f"Of {file}: the weights in {where}{averaged}.")
    for file, left in entry.origin.left_out.items():
        click.echo(f"Left out of {file}: {left}.")
    click.echo(
        f"Wrote {folder}: {entry.model} with {config}.\nThe layout is {known.name}, of {known.code}: it is known by "
        f"{known.mark}, and all other names and shapes are right.\n"
        f"Try: zoo {verb} local-dir:{folder}{argument} -o out.png"
    )


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.option("-o", "--output", "file", required=True, type=PathType(), help="The file to write.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default=FORMATS[0], show_default=True, help="File format."
)
@click.option(
    "--layout", shell_complete=complete_layouts, help="Use the tensor names of this layout; docs/import.md lists all."
)
def export(name: str, file: Path, form: str, layout: str | None) -> None:
    """Write a model as a file for other code: the inverse of `zoo import`.

    \b
    zoo export dcgan --format state-dict --layout dcgan -o netG.pth
    zoo export dcgan --format onnx -o dcgan.onnx
    """  # noqa: D301 - click takes the character itself
    from zoo.interop.convert import export as write

    for path in write(name, file, form, layout):
        click.echo(f"Wrote {path}, {path.stat().st_size:,} bytes.")
