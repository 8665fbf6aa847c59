"""Commands about training: train."""

from __future__ import annotations

import inspect
import math
import reprlib
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.errors import InputError, RegistryError, ZooError, near
from zoo.registry.facts import Entry
from zoo.registry.index import code_of, info
from zoo.registry.values import printable

from .catalog import complete_names

if TYPE_CHECKING:
    from zoo.metrics.features import Features

NEEDS_EXTRA = "training and figures need more packages: pip install 'generative-zoo[train]'"
EXTRA = ("accelerate", "torchmetrics", "sklearn")
DATA_HELP = "Folder, .zip, folder in a .zip, .npz, or datasets:OWNER/NAME; two where there are two kinds."
FEATURES_HELP = (
    "What images are compared by: a .safetensors file of timm's mobilenetv2_100, a timm model, or random "
    "[default: timm's mobilenetv2_100 if it can be had, else random]"
)


@click.command()
@click.argument("recipe", shell_complete=complete_names)
@click.argument("more", nargs=-1, metavar="", type=click.Path())
@click.option("--data", multiple=True, required=True, metavar="DATA [DATA]", help=DATA_HELP)
@click.option("--out", type=click.Path(), help="A new folder for the run.")
@click.option("--resume", type=click.Path(), help="The folder of a run to go on with.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A setting of the recipe; again for more.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Stop after so long; --resume goes on.")
@click.option("--features", "source", help=FEATURES_HELP)
@click.option("--precision", default="auto", show_default=True, help="bf16, fp32, or auto: bf16 where it is fast.")
@click.option("--cpu", is_flag=True, help="Stay on the CPU.")
@click.option("--strict", is_flag=True, help="Stop at the first image that cannot be read.")
@click.option("--stop-on-collapse", is_flag=True, help="Stop once the samples have collapsed.")
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
    """Train a model: by the recipe of a checkpoint, on its data or your own.

    RECIPE is a model or checkpoint, or the function of a recipe as module:function.

    \b
    zoo train dcgan.fashion-mnist --data fashion_mnist.npz --minutes 45 --out runs/dcgan
    zoo train dcgan.flowers --data photos/ --out runs/mine
    zoo train zoo.recipes.cyclegan:photo2monet --data A/ B/ --resume runs/cycle

    The folder gets the best weights so far, which `local-dir:FOLDER` loads everywhere, sample sheets, a log and
    report.html. Ctrl-C stops after the step; --resume goes on to the same result.
    """  # noqa: D301 - click takes the character itself
    if (out is None) == (resume is None):
        raise InputError("Give either --out with a new folder, or --resume with the folder of a run.")
    folder = Path(_given("--resume" if out is None else "--out", resume if out is None else out))
    entry, function, name = _recipe(recipe)
    defaults = defaults_of(function, name)
    chosen = settings_of(defaults, given, name)
    places = places_of(data, more)
    with train_extra(), ExitStack() as stack:
        from zoo.data.source import Source
        from zoo.training.run import Plan, Run, alone, check_apart, open_folder
        from zoo.training.runtime import Machine
        from zoo.training.trial import check_settings, fitting

        check_apart(folder, places)
        machine = Machine(precision, cpu)
        first = machine.rank == 0
        if first:
            stack.enter_context(alone(folder))
        saved = open_folder(folder, resume is not None)
        if saved:
            plan = saved["plan"]
            if plan["recipe"] != name:
                raise InputError(f"{folder} is a run of {plan['recipe']}, not of {name}: name that one.")
            defaults = plan["settings"]
        settings = {**defaults, **chosen}
        say = say_above if first else _nothing
        read = Source(places, strict=strict, warn=lambda text: say(f"Warning: {printable(text)}"))
        features = _features(function, source, say)
        if chosen and not saved:
            check_settings(function, name, defaults, chosen, features, machine)
        with fitting(name, chosen):
            objective = function(read, **settings, **features)
            compared = features["features"].name if features else ""
            run = Run(
                objective,
                folder,
                Plan(name, settings, objective.fingerprint(), machine.precision, compared),
                machine,
                entry=entry,
                saved=saved,
                facts={"data": ", ".join(Path(place).name for place in places), "versions": _versions()},
                say=say,
                tick=_tick if first and sys.stderr.isatty() else _nothing,
            )
            done = run.train(minutes, stop_on_collapse)
    if first:
        end = "Done" if done else "Stopped" if run.failed else f"Stopped: {run.stopping},"
        say_above(f"{end} at step {run.step:,}. See {folder / 'report.html'}")
        if run.best_step:
            say_above(f"The best weights are those of step {run.best_step:,}: {_use(entry, folder)}")
        elif run.kept:
            say_above(f"The weights are those of step {run.kept:,}: {_use(entry, folder)}")
        if run.failed:
            raise ZooError(run.stopping)
        if not done:
            say_above(f"`--resume {folder}` in place of --out goes on.")


def _given(option: str, value: str | None) -> str:
    """The same, if it names something: an empty text is what the shell makes of a variable that is not set."""
    if not value or not value.strip():
        raise InputError(f"{option} is empty: name a folder; a variable of the shell may not be set.")
    try:
        Path(value).stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # as a new folder, or what is inside a zip file
    except (OSError, ValueError) as error:  # too long, or a NUL in it
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{option} {reprlib.repr(value)} is no path: {reason}.") from None
    return value


def _recipe(name: str) -> tuple[Entry | None, Callable[..., Any], str]:
    """The entry that a recipe belongs to, its function, and ``module:function``."""
    if ":" not in name:
        entry = info(name)
        if not entry.recipe:
            raise InputError(f"{entry.name} has no recipe: its registry names none under `recipe`, as module:function.")
        with train_extra():
            return entry, code_of(entry.recipe, entry), entry.recipe
    module, _, function = name.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), function)):
        raise InputError(f"{name} is no recipe: name a model or checkpoint, or module:function.")
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` does, for a recipe of one's own
    try:
        with train_extra():
            found = getattr(import_module(module), function, None)
    except ModuleNotFoundError as error:
        raise InputError(f"There is no recipe {name}: {error}.") from None
    if not callable(found):
        raise InputError(f"{module} has no recipe {function!r}.")
    return None, found, name


def places_of(data: Sequence[str], more: Sequence[str]) -> list[str]:
    """The places after one ``--data``, or after several of them; both at once would lose their order."""
    if len(data) > 1 and more:
        raise InputError(f"{more[0]} stands alone: put all places after one --data, or each after its own.")
    return [_given("--data", place) for place in (*data, *more)]


def defaults_of(function: Callable[..., Any], name: str) -> dict[str, Any]:
    """The settings of a recipe."""
    parameters = inspect.signature(function).parameters.values()
    made = {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    for key, default in made.items():
        if not isinstance(default, (bool, int, float, str)):
            raise InputError(f"{name}: the setting {key} must have a number, a text, True or False as its default.")
    return made


def settings_of(known: dict[str, Any], given: Sequence[str], name: str) -> dict[str, Any]:
    """``NAME=VALUE`` as keywords of a recipe, each of the type of its default."""
    made: dict[str, Any] = {}
    for item in given:
        key, equals, value = item.partition("=")
        key = key.replace("-", "_")
        if not equals:
            raise InputError(f"--set takes NAME=VALUE, not {item!r}.")
        if key not in known:
            options = ", ".join(f"{k}={v}" for k, v in known.items()) or "none"
            raise InputError(f"{name} has no setting {key!r}{near(key, known) or '.'} Its settings: {options}.")
        made[key] = _value(key, value, known[key])
    return made


def _value(key: str, text: str, default: Any) -> Any:
    """A text as a value of the default's type; whole numbers count things, so they begin at 1."""
    kind = type(default)
    try:
        if kind is bool:
            return {"yes": True, "true": True, "no": False, "false": False}[text.lower()]
        value = kind(text)
        if (kind is int and value < 1) or (kind is float and not 0 <= value < math.inf):
            raise ValueError
        return value
    except (KeyError, ValueError):
        what = {bool: "yes or no", int: "a whole number from 1", float: "a number from 0"}[kind]
        raise InputError(f"{key} must be {what}, not {reprlib.repr(text)}.") from None


def _features(function: Callable[..., Any], source: str | None, say: Callable[[str], None]) -> dict[str, Features]:
    """The keyword ``features``, where a function takes it."""
    if "features" not in inspect.signature(function).parameters:
        if source:
            raise InputError(f"--features {source} is of no use here, nothing is compared by features: leave it out.")
        return {}
    from zoo.metrics.features import Features, default_features

    made = Features(source) if source else default_features()
    if made.source == "random" and source != "random":
        say(
            "Note: images are compared by random features, because timm's mobilenetv2_100 cannot be had here; "
            "--features names a file."
        )
    return {"features": made}


@contextmanager
def train_extra() -> Iterator[None]:
    """Name the extra where one of its packages is missing."""
    try:
        yield
    except (ModuleNotFoundError, RegistryError) as error:
        missing = error if isinstance(error, ModuleNotFoundError) else error.__cause__
        if isinstance(missing, ModuleNotFoundError) and missing.name in EXTRA:
            raise InputError(f"{NEEDS_EXTRA} ({missing.name} is missing).") from None
        raise


def _use(entry: Entry | None, folder: Path) -> str:
    if entry is None:
        return f"{folder / 'model.safetensors'} (its model is in no registry yet, so nothing loads it by name)"
    verb = (
        f"generate local-dir:{folder} -n 16" if "generate" in entry.verbs else f"reconstruct local-dir:{folder} INPUT"
    )
    return f"`zoo {verb} -o OUTPUT`"


def _versions() -> str:
    import platform

    import torch

    from zoo import __version__

    return f"generative-zoo {__version__}, torch {torch.__version__}, Python {platform.python_version()}"


def _nothing(line: str) -> None:
    """What the other processes say."""


def say_above(line: str) -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)  # over the line of progress
    click.echo(line, err=True)


def _tick(line: str) -> None:
    width = shutil.get_terminal_size().columns
    click.echo("\r\x1b[K" + line[: width - 1], nl=False, err=True)
