"""From the name of a recipe and places of data to a run: :func:`zoo.train`, which `zoo train` calls."""

from __future__ import annotations

import inspect
import math
import os
import platform
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import InputError, RegistryError, ZooError, near
from zoo.registry.facts import Entry
from zoo.registry.index import code_of, info
from zoo.registry.values import printable
from zoo.version import __version__

if TYPE_CHECKING:
    from zoo.metrics.features import Features
    from zoo.training.run import Run

NEEDS_EXTRA = "training and figures need more packages: pip install 'generative-zoo[train]'"
EXTRA = ("accelerate", "torchmetrics", "sklearn")
Place = str | os.PathLike[str]
Say = Callable[[str], None]


def train(
    recipe: str | Callable[..., Any],
    data: Place | Sequence[Place],
    *,
    out: Place | None = None,
    resume: Place | None = None,
    minutes: float | None = None,
    features: str | None = None,
    device: str | None = None,
    precision: str = "auto",
    strict: bool = False,
    stop_on_collapse: bool = False,
    say: Say = print,
    progress: Say | None = None,
    **settings: Any,
) -> Run:
    """Train a model with the recipe of a checkpoint, on its data or your own.

    The folder contains the best weights so far, which ``zoo.load("local-dir:FOLDER")`` loads, sample grids, a log and
    ``report.html``. Ctrl-C stops after the current step; ``resume`` continues to the same result.

    >>> run = zoo.train("pix2pix", data=["A", "B"], out="runs/mine", steps=2_000, lr=1e-4)
    >>> run.out, run.best, run.best_step

    Args:
        recipe: a model or checkpoint, whose recipe is used; ``module:function``; or the function.
        data: a folder, .zip, folder in a .zip, .npz, or ``datasets:OWNER/NAME``; two for recipes with two domains.
        out: a new folder for the run.
        resume: the folder of a run to continue, in place of ``out``.
        minutes: time limit; None for none.
        features: feature extractor that compares images: a .safetensors file of timm's ``mobilenetv2_100``, a timm
            model, or ``random``; None for timm's ``mobilenetv2_100`` if available, else ``random``.
        device: such as ``cpu``, ``cuda`` or ``cuda:1``; None for the GPU if there is one.
        precision: ``bf16``, ``fp32``, or ``auto``: ``bf16`` where supported.
        strict: stop at the first image that cannot be read.
        stop_on_collapse: stop once the samples have collapsed.
        say: takes each line of text for the user.
        progress: takes the line that shows progress, every second or so; None to show none.
        settings: of the recipe: its keyword arguments.

    Returns:
        The run, whose ``out`` is its folder, ``best`` the metric of the best weights (smaller is better) and ``log``
        all measurements.

    Raises:
        InputError: for settings, data, folders and devices that do not fit.
        ZooError: if a loss is no number, samples have collapsed with ``stop_on_collapse``, or the disk is full.
    """
    if (out is None) == (resume is None):
        raise InputError("Give either --out with a new folder, or --resume with the folder of a run.")
    folder = Path(check_path("--out", out) if resume is None else check_path("--resume", resume))
    entry, function, name = _recipe(recipe)
    defaults = defaults_of(function, name)
    if taken := defaults.keys() & inspect.signature(train).parameters.keys():
        raise InputError(f"{name}: the setting {min(taken)} has the name of an option of zoo.train: rename it.")
    chosen = settings_of(defaults, settings, name)
    places = [check_path("--data", place) for place in ([data] if isinstance(data, (str, os.PathLike)) else data)]
    with train_extra(), ExitStack() as stack:
        from zoo.data.source import Source
        from zoo.training.run import Plan, Run, alone, check_apart, open_folder
        from zoo.training.runtime import Runtime
        from zoo.training.trial import check_settings, fitting

        check_apart(folder, places)
        runtime = Runtime(precision, device)
        if runtime.rank:  # one process speaks
            say, progress = _nothing, None
        else:
            stack.enter_context(alone(folder))
        saved = open_folder(folder, resume is not None)
        if saved:
            plan = saved["plan"]
            if plan["recipe"] != name:
                raise InputError(f"{folder} is a run of {plan['recipe']}, not of {name}: name that one.")
            defaults = plan["settings"]
        all_settings = {**defaults, **chosen}
        source = Source(places, strict=strict, warn=lambda text: say(f"Warning: {printable(text)}"))
        notes: list[str] = []
        extractor = features_of(function, features, notes.append)
        if chosen and not saved:
            check_settings(function, name, defaults, chosen, extractor, runtime)
        with fitting(name, chosen):
            objective = function(source, **all_settings, **extractor)
            compared = extractor["features"].name if extractor else ""
            run = Run(
                objective,
                folder,
                Plan(name, all_settings, objective.fingerprint(), runtime.precision, compared),
                runtime,
                entry=entry,
                saved=saved,
                facts={"data": ", ".join(Path(place).name for place in places), "versions": _versions()},
                say=say,
                tick=progress or _nothing,
            )
            for note in notes:  # not before: what is wrong with the data comes alone
                say(note)
            done = run.train(minutes, stop_on_collapse)
    end = "Done" if done else "Stopped" if run.failed else f"Stopped: {run.stopping},"
    say(f"{end} at step {run.step:,}. See {folder / 'report.html'}")
    if run.best_step:
        say(f"The best weights are those of step {run.best_step:,}: {_use(entry, folder)}")
    elif run.kept:
        say(f"The weights are those of step {run.kept:,}: {_use(entry, folder)}")
    if run.failed:
        raise ZooError(run.stopping)
    if not done:
        say(f"`--resume {folder}` in place of --out goes on.")
    return run


def check_path(option: str, value: Place | None) -> str:
    """The same as a text, if it names something: an empty text is what a shell makes of a variable that is not set."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else ""
    if not text.strip():
        raise InputError(f"{option} is empty: name a folder; a variable of the shell may not be set.")
    try:
        Path(text).stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # as a new folder, or what is inside a zip file
    except (OSError, ValueError) as error:  # too long, or a NUL in it
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{option} {reprlib.repr(text)} is no path: {reason}.") from None
    return text


def _recipe(recipe: str | Callable[..., Any]) -> tuple[Entry | None, Callable[..., Any], str]:
    """The entry that a recipe belongs to, its function, and ``module:function``."""
    if callable(recipe):
        return None, recipe, f"{recipe.__module__}:{recipe.__qualname__}"
    if ":" not in recipe:
        entry = info(recipe)
        if not entry.recipe:
            raise InputError(f"{entry.name} has no recipe: its registry names none under `recipe`, as module:function.")
        with train_extra():
            return entry, code_of(entry.recipe, entry), entry.recipe
    module, _, name = recipe.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        raise InputError(f"{recipe} is no recipe: name a model or checkpoint, or module:function.")
    try:
        with train_extra():
            function = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        raise InputError(f"There is no recipe {recipe}: {error}.") from None
    if not callable(function):
        raise InputError(f"{module} has no recipe {name!r}.")
    return None, function, recipe


def defaults_of(function: Callable[..., Any], name: str) -> dict[str, Any]:
    """The settings of a recipe, or of what measures a model: its keywords with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    for key, default in defaults.items():
        if not isinstance(default, (bool, int, float, str)):
            raise InputError(f"{name}: the setting {key} must have a number, a text, True or False as its default.")
    return defaults


def settings_of(known: Mapping[str, Any], chosen: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Settings that were chosen, each as a value of the type of its default, or as the text of one.

    Raises:
        InputError: for one that ``known`` does not have, and for another type.
    """
    for key in chosen:
        if key not in known:
            options = ", ".join(f"{k}={v}" for k, v in known.items()) or "none"
            raise InputError(f"{name} has no setting {key!r}{near(key, known) or '.'} Its settings: {options}.")
    return {key: _value(key, value, known[key]) for key, value in chosen.items()}


def _value(key: str, value: Any, default: Any) -> Any:
    """A value of the default's type; whole numbers count things, so they begin at 1."""
    wanted = type(default)
    try:
        if wanted is bool:
            words = {"yes": True, "true": True, "no": False, "false": False}
            return value if isinstance(value, bool) else words[value.lower()]
        if isinstance(value, bool) or (wanted is str and not isinstance(value, str)):
            raise TypeError
        converted = wanted(value)
        if wanted is int and (converted < 1 or (isinstance(value, float) and converted != value)):
            raise ValueError
        if wanted is float and not 0 <= converted < math.inf:
            raise ValueError
        return converted
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        what = {bool: "yes or no", int: "a whole number from 1", float: "a number from 0", str: "a text"}[wanted]
        raise InputError(f"{key} must be {what}, not {reprlib.repr(value)}.") from None


def features_of(function: Callable[..., Any], source: str | None, say: Say) -> dict[str, Features]:
    """The keyword ``features``, where a function takes it."""
    if "features" not in inspect.signature(function).parameters:
        if source:
            raise InputError(f"--features {source} is of no use here, nothing is compared by features: leave it out.")
        return {}
    from zoo.metrics.features import Features, default_features

    features = Features(source) if source else default_features()
    if features.source == "random" and source != "random":
        say(
            "Note: images are compared by random features, because timm's mobilenetv2_100 cannot be had here; "
            "--features names a file."
        )
    return {"features": features}


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
    import torch

    return f"generative-zoo {__version__}, torch {torch.__version__}, Python {platform.python_version()}"


def _nothing(line: str) -> None:
    """What the other processes say."""
