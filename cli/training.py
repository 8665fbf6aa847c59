"""Commands about training: train, evaluate."""

from __future__ import annotations

import inspect
import math
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.entry import Entry, Metric
from zoo.errors import InputError, ZooError, near
from zoo.registry import info, registry

from .facts import as_json, complete_names

if TYPE_CHECKING:
    from zoo.evaluation import Features

NEEDS_EXTRA = "training and figures need more packages: pip install 'generative-zoo[train]'"
EXTRA = ("accelerate", "torchmetrics", "sklearn")
DATA_HELP = "Folder, .zip, folder in a .zip, .npz, or datasets:OWNER/NAME; two where there are two kinds."
FEATURES_HELP = (
    "What pictures are compared by: a .safetensors file of timm's mobilenetv2_100, a timm model, or random "
    "[default: timm's mobilenetv2_100 if it can be had, else random]"
)


@click.command()
@click.argument("recipe", shell_complete=complete_names)
@click.argument("more", nargs=-1, metavar="", type=click.Path())
@click.option("--data", multiple=True, required=True, metavar="DATA [DATA]", help=DATA_HELP)
@click.option("--out", type=click.Path(path_type=Path), help="A new folder for the run.")
@click.option("--resume", type=click.Path(path_type=Path), help="The folder of a run to go on with.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A setting of the recipe; again for more.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Stop after so long; --resume goes on.")
@click.option("--features", "source", help=FEATURES_HELP)
@click.option("--precision", default="auto", show_default=True, help="bf16, fp32, or auto: bf16 where it is fast.")
@click.option("--cpu", is_flag=True, help="Stay on the CPU.")
@click.option("--strict", is_flag=True, help="Stop at the first picture that cannot be read.")
@click.option("--stop-on-collapse", is_flag=True, help="Stop once the samples have collapsed.")
def train(
    recipe: str,
    more: Sequence[str],
    data: Sequence[str],
    out: Path | None,
    resume: Path | None,
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
    folder = out or resume
    assert folder
    entry, function, name = _recipe(recipe)
    defaults = _defaults(function)
    chosen = _settings(defaults, given, name)
    places = _places(data, more)
    if inside := next((place for place in places if Path(place).resolve() in folder.resolve().parents), None):
        raise InputError(f"{folder} lies in {inside}, so its sample sheets would be trained on: choose another --out.")
    with _extra():
        from zoo.training.data import Source
        from zoo.training.objective import Machine
        from zoo.training.run import Plan, Run, open_folder

        saved = open_folder(folder, resume is not None)
        if saved:
            plan = saved["plan"]
            if plan["recipe"] != name:
                raise InputError(f"{folder} is a run of {plan['recipe']}, not of {name}: name that one.")
            defaults = plan["settings"]
        settings = {**defaults, **chosen}
        machine = Machine(precision, cpu)
        first = machine.rank == 0
        say = _say if first else _nothing
        read = Source(places, strict=strict, warn=lambda text: say(f"Warning: {text}"))
        features = _features(function, source, say)
        try:
            objective = function(read, **settings, **features)
        except ZooError:
            raise
        except ValueError as error:  # what the builder of a network says of its arguments
            raise InputError(f"{name} cannot be set so: {error}") from None
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
@click.option("--strict", is_flag=True, help="Stop at the first picture that cannot be read.")
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
    zoo evaluate local-dir:runs/mine --data my-test-pictures/

    Exits with 1 if a figure on the card, measured by the same protocol, is another one.
    """  # noqa: D301 - click takes the character itself
    if write and not name.startswith("local-dir:"):
        raise InputError("--write is for local-dir: models: the cards of others are in their registry.")
    with _extra():
        import torch

        from zoo.loading import load
        from zoo.training.data import Source
        from zoo.weights import add_metrics

        model = load(name, device=device)
        entry = model.entry
        assert entry
        # A config.json may name a recipe of its model, but no other code.
        recipes = [known.recipe for known in registry().models[entry.model]]
        if not any(recipes):
            raise InputError(f"{entry.name} has no recipe, so nothing says how it is measured.")
        recipe = entry.recipe if entry.recipe in recipes else next(filter(None, recipes))
        function = getattr(import_module(recipe.partition(":")[0]), "evaluate", None)
        if function is None:
            raise InputError(f"The recipe {recipe} says nothing about how {entry.name} is measured.")
        settings = _settings(_defaults(function), given, f"the evaluation of {entry.name}")
        read = Source(_places(data, more), strict=strict, warn=lambda text: _say(f"Warning: {text}"))
        features = _features(function, source, _say)
        for network in features.values():
            network.to(torch.device(device))
        metrics: list[Metric] = function(model, read, **settings, **features)
    card = {metric.name: metric for metric in entry.metrics}
    if write:
        add_metrics(Path(name.removeprefix("local-dir:")), entry, metrics)
    rows = [_verdict(metric, card.get(metric.name)) for metric in metrics]
    if json_:
        as_json(rows)
    else:
        for row in rows:
            click.echo(f"{row['name']} = {row['value']:g}  ({row['card']})\n  {row['protocol']}")
    wrong = [row["name"] for row in rows if str(row["card"]).startswith("mismatch")]
    if wrong and not write:
        raise ZooError(f"{len(wrong)} of {len(rows)} figures are not those on the card: {', '.join(wrong)}.")


def _verdict(found: Metric, card: Metric | None) -> dict[str, Any]:
    """A figure beside the card's: the same to 1 %, and near zero to 1e-5."""
    if card is None:
        said = "not on the card"
    elif card.protocol != found.protocol:
        said = f"the card has {card.value:g} by another protocol: {card.protocol}"
    elif abs(found.value - card.value) <= max(0.01 * abs(card.value), 1e-5):
        said = f"match: the card has {card.value:g}"
    else:
        said = f"mismatch: the card has {card.value:g}"
    return {"name": found.name, "value": found.value, "protocol": found.protocol, "card": said}


def _recipe(name: str) -> tuple[Entry | None, Callable[..., Any], str]:
    """The entry that a recipe belongs to, its function, and ``module:function``."""
    path, entry = name, None
    if ":" not in name:
        entry = info(name)
        path = entry.recipe
        if not path:
            raise InputError(f"{entry.name} has no recipe: its registry names none under `recipe`, as module:function.")
    module, _, function = path.partition(":")
    if not module or not function:
        raise InputError(f"{path} is no recipe: name a model or checkpoint, or module:function.")
    if entry is None:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` does, for a recipe of one's own
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name in EXTRA:
            raise InputError(f"{NEEDS_EXTRA} ({error.name} is missing).") from None
        raise InputError(f"There is no recipe {path}: {error}.") from None
    if not callable(getattr(found, function, None)):
        raise InputError(f"{module} has no recipe {function!r}.")
    return entry, getattr(found, function), path


def _places(data: Sequence[str], more: Sequence[str]) -> list[str]:
    """The places after one ``--data``, or after several of them; both at once would lose their order."""
    if len(data) > 1 and more:
        raise InputError(f"{more[0]} stands alone: put all places after one --data, or each after its own.")
    return [*data, *more]


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """The settings of a recipe."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


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
        raise InputError(f"{key} must be {what}, not {text!r}.") from None


def _features(function: Callable[..., Any], source: str | None, say: Callable[[str], None]) -> dict[str, Features]:
    """The keyword ``features``, where a function takes it."""
    if "features" not in inspect.signature(function).parameters:
        if source:
            raise InputError(f"--features {source} is of no use here, nothing is compared by features: leave it out.")
        return {}
    from zoo.evaluation import Features, default_features

    made = Features(source) if source else default_features()
    if made.source == "random" and source != "random":
        say(
            "Note: pictures are compared by random features, because timm's mobilenetv2_100 cannot be had here; "
            "--features names a file."
        )
    return {"features": made}


@contextmanager
def _extra() -> Iterator[None]:
    """Name the extra where one of its packages is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name in EXTRA:
            raise InputError(f"{NEEDS_EXTRA} ({error.name} is missing).") from None
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
