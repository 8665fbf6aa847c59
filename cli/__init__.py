"""The command ``zoo``: parse, call the zoo, show. Nothing here imports torch before a model is needed."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import click

from zoo import __version__
from zoo.errors import ZooError

from . import facts, importing, plugins, training, verbs


class _Commands(click.Group):
    """Commands in the order they were added; errors as one sentence, with the exit code of their kind."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        warnings.showwarning = lambda message, *args, **kwargs: click.echo(f"Warning: {message}", err=True)
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise  # click's own business, and a reader that has seen enough
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            said = isinstance(error, ZooError)
            text = str(error) if said else f"{type(error).__name__}: {error} (`zoo --debug ...` shows where)"
            click.echo(f"Error: {text}", err=True)
            sys.exit(error.exit_code if isinstance(error, ZooError) else 1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="zoo")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """A zoo of autoencoders and GANs with trained weights.

    \b
    zoo list                                       what there is
    zoo generate dcgan -n 64 --seed 7 -o grid.png  new pictures
    zoo reconstruct conv-ae photo.jpg -o copy.png  a picture through a model
    zoo train dcgan --data pictures/ --out run     the same network, on your own pictures
    """  # noqa: D301 - click takes the character itself


for _command in (
    facts.list_,
    facts.info_,
    facts.licenses_,
    verbs.generate,
    verbs.reconstruct,
    training.train,
    training.evaluate,
    facts.download,
    facts.verify,
    facts.cache,
    importing.import_,
    importing.export,
    verbs.check,
    plugins.new,
    plugins.embed,
    plugins.publish,
):
    main.add_command(_command)
