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

# As the help shows them, with the first sentence of each command's own help. A command's module is imported when it is
# called: `zoo --help` and listing must start fast.
GROUPS = {
    "Find models": {
        "list": ("catalog:list_", "Show the models and checkpoints whose name matches PATTERN, such as '*gan*'."),
        "info": ("catalog:info_", "Show the network, weights, licence, data and metrics of a model or checkpoint."),
        "licenses": ("catalog:licenses_", "Show the obligations from the licences of code, weights and data."),
    },
    "Use models": {
        "generate": (
            "verbs:generate",
            "Draw new samples: one grid if OUTPUT is a file, one file each if it is a folder.",
        ),
        "reconstruct": (
            "verbs:reconstruct",
            "Process images, sound or video with a model: files, folders, or - for the standard input.",
        ),
        "interpolate": (
            "tasks:interpolate",
            "Walk from one key to the next: seeds, images for a model with an encoder, or latents of `zoo project`.",
        ),
        "project": ("tasks:project", "Find the latent whose image is nearest to IMAGE."),
        "edit": (
            "tasks:edit",
            "Add attributes to images, or remove them: 1 adds one, -1 removes it, other numbers do more or less.",
        ),
        "compress": (
            "compress:compress",
            "Put photos, files or folders, into one small file: the codes of an autoencoder, rounded.",
        ),
        "decompress": (
            "compress:decompress",
            "Get the photos out of a file of `zoo compress`: one image or grid, or a file each if OUTPUT is a folder.",
        ),
        "index": ("search:index", "Make an index of the files in folders, by their codes, for `zoo search`."),
        "search": (
            "search:search",
            "Find what is nearest to each QUERY in an INDEX that `zoo index` made; distances are of codes.",
        ),
        "anomaly": ("anomaly:anomaly", "Say how far images are from what a model takes for normal, and show where."),
    },
    "Train and measure models": {
        "train": ("training:train", "Train a model with the recipe of a checkpoint, on its data or your own."),
        "evaluate": ("evaluation:evaluate", "Measure a model as its card says, and compare with the card."),
        "privacy": (
            "privacy:privacy",
            "Say whether a generator of images or molecules gives away what it was trained on.",
        ),
    },
    "Keep weights": {
        "download": (
            "catalog:download",
            "Download weights that are missing on this machine, or copy weights to a folder.",
        ),
        "verify": (
            "catalog:verify",
            "Compare the sha256 of all weights on this machine with the registry, without network.",
        ),
        "cache": ("catalog:cache", "Show or delete downloaded weights of the zoo in the Hub's cache."),
        "import": ("interop:import_", "Convert weights of other code to a folder that local-dir: loads."),
        "export": ("interop:export", "Write a model as a file for other code: the inverse of `zoo import`."),
    },
    "Add models": {
        "new": (
            "authoring:new",
            "Write a plugin with a model called NAME: a package that can be installed and passes its tests.",
        ),
        "embed": ("authoring:embed", "Copy weights into the package of the model NAME."),
        "check": (
            "verbs:check",
            "Test the rules that every model must keep: registry, shapes, seeds, batches, weights.",
        ),
        "publish": ("authoring:publish", "Upload weights to the Hugging Face Hub, with config.json and a model card."),
    },
    "Try models in a browser": {
        "demo": (
            "demo:demo",
            "Serve a page to try models: all whose weights are in the package or a plugin, or those that are named.",
        ),
    },
    "When something does not work": {
        "doctor": (
            "doctor:doctor",
            "Show versions, devices, caches, extras and plugins, and how to mend what is wrong.",
        ),
    },
}
COMMANDS = {name: function for group in GROUPS.values() for name, (function, _) in group.items()}


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
                formatter.write_dl([(name, text) for name, (_, text) in group.items()])

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
