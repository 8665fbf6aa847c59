"""The command ``zoo``: parse, call the zoo, show. Nothing here imports torch before a model is needed."""

from __future__ import annotations

import io
import os
import sys
import warnings
from contextlib import redirect_stderr, suppress
from importlib import import_module
from inspect import cleandoc
from typing import Any

import click

from zoo import __version__
from zoo.errors import ZooError

from .console import say

# As the help shows them. A command's module is imported when it is called: listing must start fast.
GROUPS = {
    "Find models": {
        "list": "catalog:list_",
        "info": "catalog:info_",
        "licenses": "catalog:licenses_",
    },
    "Use models": {
        "generate": "verbs:generate",
        "reconstruct": "verbs:reconstruct",
        "interpolate": "tasks:interpolate",
        "project": "tasks:project",
        "edit": "tasks:edit",
        "compress": "compress:compress",
        "decompress": "compress:decompress",
        "index": "search:index",
        "search": "search:search",
        "anomaly": "anomaly:anomaly",
    },
    "Train and measure models": {
        "train": "training:train",
        "evaluate": "evaluation:evaluate",
        "privacy": "privacy:privacy",
    },
    "Keep weights": {
        "download": "catalog:download",
        "verify": "catalog:verify",
        "cache": "catalog:cache",
        "import": "interop:import_",
        "export": "interop:export",
    },
    "Add models": {
        "new": "authoring:new",
        "embed": "authoring:embed",
        "check": "verbs:check",
        "publish": "authoring:publish",
    },
    "Try models in a browser": {
        "demo": "demo:demo",
    },
    "When something does not work": {
        "doctor": "doctor:doctor",
    },
}
COMMANDS = {name: function for group in GROUPS.values() for name, function in group.items()}


class _Commands(click.Group):
    """The commands of :data:`COMMANDS`; errors as one sentence, with the exit code of their kind."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, function = COMMANDS[name].partition(":")
        command: click.Command = getattr(import_module(f".{module}", __name__), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, group in GROUPS.items():
            with formatter.section(title):
                commands = [(name, self.get_command(ctx, name)) for name in group]
                formatter.write_dl([(name, command.get_short_help_str(200)) for name, command in commands if command])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        _open_streams()
        try:
            if "_ZOO_COMPLETE" not in os.environ:
                return super().main(*args, **kwargs)
            # What is said while the shell completes a line would stand in that line.
            with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return super().main(*args, **kwargs)
        except OSError as error:  # of --help, which click prints before it invokes anything
            if not (text := _unwritten(error)):
                raise
            say(f"Error: {text}")
            sys.exit(1)
        finally:
            _close_streams()

    def invoke(self, ctx: click.Context) -> Any:
        warnings.showwarning = lambda message, *args, **kwargs: say(f"Warning: {message}")
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise  # click's own business, and a reader that has seen enough
        except KeyboardInterrupt:
            say("\nStopped.")
            sys.exit(130)  # 128 and the number of the signal, as shells count
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            from zoo.jobs.files import said

            text = said(error) if isinstance(error, ZooError) else f"{said(error)} (`zoo --debug ...` shows where)"
            if isinstance(error, OSError):
                text = _unwritten(error) or text
            say(f"Error: {text}")
            sys.exit(error.exit_code if isinstance(error, ZooError) else 1)


def _open_streams() -> None:
    """Let output go on whatever the terminal is.

    A stream that the shell has closed leaves its number to the next file that is opened, and what C libraries say would
    be written into that: so its number is taken here. What is said on a closed standard error is lost; what is written
    to a closed standard output is an error. Characters that the encoding does not have are written as Python escapes
    them.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR if number == 2 else os.O_RDONLY)  # gets the lowest number that is free
    if sys.stdout is None:
        sys.stdout = open(os.devnull)  # noqa: SIM115 - to the end of the process
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _unwritten(error: OSError) -> str:
    """What to say of an error if it is of the standard output, closed or full; nothing if it is another's."""
    if error.filename is not None:
        return ""
    if not sys.stdout.writable():
        return "The standard output cannot be written: it is closed."
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError as again:
        return f"The standard output cannot be written: {again.strerror}."
    return ""


def _close_streams() -> None:
    """Write what is left; where that fails, it was said already, and Python need not say it again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(__version__, prog_name="zoo")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def main(ctx: click.Context, debug: bool) -> None:
    """A zoo of autoencoders and GANs with trained weights.

    \b
    zoo list                                         show all models
    zoo info dcgan                                   show what is known about a model
    zoo generate dcgan -n 64 --seed 7 -o grid.png    draw new images
    zoo reconstruct srgan photo.jpg -o large.png     put your own images through a model
    zoo train dcgan --data images/ --out run         train on your own images
    """  # noqa: D301 - click takes the character itself
    if ctx.invoked_subcommand is None:
        click.echo(f"{cleandoc(main.help or '').replace(chr(8) + chr(10), '')}\n")
        click.echo("`zoo --help` shows all commands, `zoo COMMAND --help` one of them with its options.")
