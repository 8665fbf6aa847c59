"""Commands about training: train, evaluate."""

from __future__ import annotations

import inspect
import math
import reprlib
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.errors import InputError, RegistryError, ZooError, near
from zoo.registry.facts import Entry, Metric
from zoo.registry.index import code_of, info, registry
from zoo.registry.values import printable

from .catalog import as_json, complete_names

if TYPE_CHECKING:
    from zoo.metrics.features import Features

NEEDS_EXTRA = "training and figures need more packages: pip install 'generative-zoo[train]'"
EXTRA = ("accelerate", "torchmetrics", "sklearn")
DATA_HELP = "Folder, .zip, folder in a .zip, .npz, or datasets:OWNER/NAME; two for recipes with two kinds of images."
FEATURES_HELP = (
    "Feature extractor that compares images: a .safetensors file of timm's mobilenetv2_100, a timm model, or random "
    "[default: timm's mobilenetv2_100 if available, else random]"
)


@click.command()
@click.argument("recipe", shell_complete=complete_names)
@click.argument("more", nargs=-1, metavar="", type=click.Path())
@click.option("--data", multiple=True, required=True, metavar="DATA [DATA]", help=DATA_HELP)
@click.option("--out", type=click.Path(), help="A new folder for the run.")
@click.option("--resume", type=click.Path(), help="The folder of a run to continue.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A setting of the recipe; can be repeated.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Time limit; --resume continues the run.")
@click.option("--features", "source", help=FEATURES_HELP)
@click.option("--precision", default="auto", show_default=True, help="bf16, fp32, or auto: bf16 where supported.")
@click.option("--cpu", is_flag=True, help="Use only the CPU.")
@click.option("--strict", is_flag=True, help="Stop at the first image that cannot be read.")
@click.option("--stop-on-collapse", is_flag=True, help="Stop on mode collapse.")
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
    """Train a model with the recipe of a checkpoint, on its data or your own.

    RECIPE is a model or checkpoint, or the function of a recipe as module:function.

    \b
    zoo train dcgan.fashion-mnist --data fashion_mnist.npz --minutes 45 --out runs/dcgan
    zoo train dcgan.flowers --data photos/ --out runs/mine
    zoo train zoo.recipes.cyclegan:photo2monet --data A/ B/ --resume runs/cycle

    The folder contains the best weights so far, which `local-dir:FOLDER` loads, sample sheets, a log and
    report.html. Ctrl-C stops after the current step; --resume continues to the same result.
    """  # noqa: D301 - click takes the character itself
    if (out is None) == (resume is None):
        raise InputError("Give either --out with a new folder, or --resume with the folder of a run.")
    folder = Path(_given("--resume" if out is None else "--out", resume if out is None else out))
    entry, function, name = _recipe(recipe)
    defaults = _defaults(function, name)
    chosen = _settings(defaults, given, name)
    places = _places(data, more)
    with _extra(), ExitStack() as stack:
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
        say = _say if first else _nothing
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
        _say(f"{end} at step {run.step:,}. See {folder / 'report.html'}")
        if run.best_step:
            _say(f"The best weights are those of step {run.best_step:,}: {_use(entry, folder)}")
        elif run.kept:
            _say(f"The weights are those of step {run.kept:,}: {_use(entry, folder)}")
        if run.failed:
            raise ZooError(run.stopping)
        if not done:
            _say(f"`--resume {folder}` in place of --out goes on.")


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.argument("more", nargs=-1, metavar="", type=click.Path())
@click.option("--data", multiple=True, required=True, metavar="DATA [DATA]", help=DATA_HELP)
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A setting of the figures; again for more.")
@click.option("--features", "source", help=FEATURES_HELP)
@click.option("--device", default="cpu", show_default=True, help="Such as cpu, cuda, cuda:1 or mps.")
@click.option("--strict", is_flag=True, help="Stop at the first image that cannot be read.")
@click.option("--write", is_flag=True, help="Put the figures on the card of a local-dir: model.")
@click.option("--json", "json_", is_flag=True, help="For a script.")
def evaluate(
    name: str,
    more: Sequence[str],
    data: Sequence[str],
    given: Sequence[str],
    source: str | None,
    device: str,
    strict: bool,
    write: bool,
    json_: bool,
) -> None:
    """Measure a model as its card says, and compare with the card.

    \b
    zoo evaluate conv-ae.flowers --data flowers.zip
    zoo evaluate local-dir:runs/mine --data my-test-images/

    Exits with 1 if a figure on the card, measured by the same protocol, is another one.
    """  # noqa: D301 - click takes the character itself
    if write and not name.startswith("local-dir:"):
        raise InputError("--write is for local-dir: models: the cards of others are in their registry.")
    with _extra():
        import torch

        from zoo.data.source import Source
        from zoo.loading import load
        from zoo.metrics.verdicts import fingerprint, verdicts
        from zoo.weights.folder import CONFIG_FILE, add_metrics
        from zoo.weights.resolve import find
        from zoo.weights.verify import sha256_of

        model = load(name, device=device)
        entry = model.entry
        assert entry
        # A config.json may name a recipe of its model, but no other code.
        recipes = [known.recipe for known in registry().models[entry.model]]
        if not any(recipes):
            raise InputError(f"{entry.name} has no recipe, so nothing says how it is measured.")
        recipe = entry.recipe if entry.recipe in recipes else next(filter(None, recipes))
        code_of(recipe, entry)
        function = getattr(sys.modules[recipe.partition(":")[0]], "evaluate", None)
        if function is None:
            raise InputError(f"The recipe {recipe} says nothing about how {entry.name} is measured.")
        settings = _settings(_defaults(function, recipe), given, f"the evaluation of {entry.name}")
        read = Source(_places(data, more), strict=strict, warn=lambda text: _say(f"Warning: {printable(text)}"))
        features = _features(function, source, _say)
        for network in features.values():
            network.to(torch.device(device))
        try:
            metrics: list[Metric] = function(model, read, **settings, **features)
        except ZooError:
            raise
        except Exception as error:  # whatever the data and the settings make of the arithmetic
            raise ZooError(
                f"{entry.name} cannot be measured so: {type(error).__name__}: {error} (`zoo --debug ...` shows where)."
            ) from error
    if any("unsplit" in metric.protocol for metric in metrics):
        _say("Note: the data have no split test, so all their images are measured, trained on or not.")
    if void := [metric.name for metric in metrics if not math.isfinite(metric.value)]:
        _say(f"Note: on these data there is no {', no '.join(void)}: it would be divided by zero.")
    with_what = fingerprint(read, features, entry.sha256 or sha256_of(find(name)[1]), settings)
    metrics = [replace(metric, fingerprint=with_what) for metric in metrics if math.isfinite(metric.value)]
    rows = verdicts(metrics, entry)
    if json_:
        as_json(rows)
    else:
        for row in rows:
            click.echo(f"{row['name']} = {row['value']:g}  ({row['card']})\n  {row['protocol']}")
    if write:
        folder = Path(name.removeprefix("local-dir:")).expanduser()
        try:
            add_metrics(folder, entry, metrics)
        except OSError as error:
            raise ZooError(
                f"{folder / CONFIG_FILE} cannot be written: {error.strerror or error}; the figures are those above."
            ) from None
    wrong = [row["name"] for row in rows if str(row["card"]).startswith("mismatch")]
    if wrong and not write:
        raise ZooError(f"{len(wrong)} of {len(rows)} figures are not those on the card: {', '.join(wrong)}.")


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
        with _extra():
            return entry, code_of(entry.recipe, entry), entry.recipe
    module, _, function = name.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), function)):
        raise InputError(f"{name} is no recipe: name a model or checkpoint, or module:function.")
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` does, for a recipe of one's own
    try:
        with _extra():
            found = getattr(import_module(module), function, None)
    except ModuleNotFoundError as error:
        raise InputError(f"There is no recipe {name}: {error}.") from None
    if not callable(found):
        raise InputError(f"{module} has no recipe {function!r}.")
    return None, found, name


def _places(data: Sequence[str], more: Sequence[str]) -> list[str]:
    """The places after one ``--data``, or after several of them; both at once would lose their order."""
    if len(data) > 1 and more:
        raise InputError(f"{more[0]} stands alone: put all places after one --data, or each after its own.")
    return [_given("--data", place) for place in (*data, *more)]


def _defaults(function: Callable[..., Any], name: str) -> dict[str, Any]:
    """The settings of a recipe."""
    parameters = inspect.signature(function).parameters.values()
    made = {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    for key, default in made.items():
        if not isinstance(default, (bool, int, float, str)):
            raise InputError(f"{name}: the setting {key} must have a number, a text, True or False as its default.")
    return made


def _settings(known: dict[str, Any], given: Sequence[str], name: str) -> dict[str, Any]:
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
def _extra() -> Iterator[None]:
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


def _say(line: str) -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)  # over the line of progress
    click.echo(line, err=True)


def _tick(line: str) -> None:
    width = shutil.get_terminal_size().columns
    click.echo("\r\x1b[K" + line[: width - 1], nl=False, err=True)
