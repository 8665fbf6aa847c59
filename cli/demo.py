"""The command that serves a page to try models."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.errors import InputError, ZooError

from .catalog import complete_names
from .names import PathType


@click.command()
@click.argument("names", nargs=-1, shell_complete=complete_names)
@click.option("--host", help="Where to listen; 0.0.0.0 lets other machines in. [default: this machine only]")
@click.option("--port", type=click.IntRange(1, 65535), help="[default: the first free one from 7860]")
@click.option("--open", "browser", is_flag=True, help="Open the page in a browser.")
@click.option("--export", "folder", type=PathType(), help="Write what a Space on the Hub needs, and serve nothing.")
def demo(names: tuple[str, ...], host: str | None, port: int | None, browser: bool, folder: Path | None) -> None:
    """Serve a page to try models: all whose weights are in the package or a plugin, or those that are named.

    Ctrl-C ends it.

    \b
    zoo demo --open
    zoo demo dcgan.flowers srgan --port 8000
    zoo demo --export space/
    """  # noqa: D301 - click takes the character itself
    if folder is not None and (host or port or browser):
        raise InputError("--export serves nothing: leave out --host, --port and --open.")
    try:
        import gradio  # noqa: F401
    except ImportError:
        raise ZooError("The page needs gradio: pip install 'generative-zoo[demo]'.") from None
    if folder is not None:
        from zoo.demo.space import export

        for path in export(folder, names):
            click.echo(str(path))
        return
    from zoo.demo.page import launch

    launch(names, host=host, port=port, browser=browser)
