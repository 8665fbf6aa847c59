"""From ``registry.yaml`` files to :class:`Entry` objects: the zoo's own file first, then those of plugins.

Read at every start of the command, so it imports neither torch nor numpy, nor any plugin's code.
"""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from zoo.errors import InputError, RegistryError, UnknownNameError, VerbError, near

VERBS = ("generate", "reconstruct")
KINDS = ("image", "audio", "video", "molecules")
CONDITION_KINDS = ("choice", "integer", "number", "text", "image")
PLUGIN_GROUP = "zoo.plugins"

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # in C, where there is one
    """Safe YAML in which no key comes twice: plain YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is no plain text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} comes twice", key.start_mark
                )
            seen.add(key.value)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


@dataclass(frozen=True)
class Format:
    """What goes into a model or comes out of it.

    Attributes:
        kind: image, audio, video or molecules.
        channels: 1 for grey, 3 for RGB, None where it does not apply.
        size: height and width in pixels, None for any size.
        multiple: height and width of an input must be divisible by this; others are padded.
        scale: how many times larger the output is than the input.
    """

    kind: str = "image"
    channels: int | None = None
    size: tuple[int, int] | None = None
    multiple: int = 1
    scale: int = 1


@dataclass(frozen=True)
class Condition:
    """A named extra input of a verb: the Python keyword, the option ``-c name=value``, and their errors.

    Attributes:
        name: the keyword.
        kind: choice, integer, number, text or image.
        choices: the allowed values of a choice; the network gets their index.
        default: what is used when nothing is given.
        required: whether something must be given.
        help: one line for users.
    """

    name: str
    kind: str
    choices: tuple[str | int, ...] = ()
    default: Any = None
    required: bool = False
    help: str = ""

    def check(self, value: Any) -> Any:
        """The value as the network takes it, or :class:`~zoo.errors.InputError` that says what it may be."""
        if self.kind == "choice":
            for choice in self.choices:
                if str(choice) == str(value):
                    return choice
            allowed = ", ".join(map(str, self.choices))
            raise InputError(f"{self.name} cannot be {value!r}: choose one of {allowed}.")
        if self.kind in ("integer", "number"):
            number = int if self.kind == "integer" else float
            try:
                return number(value)
            except (TypeError, ValueError):
                raise InputError(f"{self.name} must be {_A[number]}, not {value!r}.") from None
        return value


@dataclass(frozen=True)
class Hub:
    """Where a file is on the Hugging Face Hub."""

    repo: str
    file: str = "model.safetensors"
    revision: str = "main"


@dataclass(frozen=True)
class Data:
    """What a checkpoint was trained on."""

    name: str
    license: str
    source: str


@dataclass(frozen=True)
class Metric:
    """A measured figure, and exactly how it was measured."""

    name: str
    value: float
    protocol: str


@dataclass(frozen=True)
class Entry:
    """All facts of one checkpoint and of the model it belongs to.

    Attributes:
        name: ``model.checkpoint``.
        package: the installed package that brings it: ``zoo``, or a plugin's.
        folder: that package's folder; embedded weights lie in its ``checkpoints``.
        builder: the class the weights are loaded into, as ``module:Class``.
        config: keyword arguments of the builder.
        sha256: what identifies the weights, wherever they come from. None for a folder of the user's own.
        bytes: size of the weights.
        license: of the weights, as an SPDX identifier where there is one.
    """

    model: str
    checkpoint: str
    package: str
    folder: Path
    builder: str
    summary: str
    verbs: tuple[str, ...]
    output: Format
    license: str
    paper: str = ""
    aliases: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    input: Format | None = None
    hub: Hub | None = None
    sha256: str | None = None
    bytes: int | None = None
    data: Data | None = None
    recipe: str = ""
    metrics: tuple[Metric, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.model}.{self.checkpoint}"

    @property
    def embedded(self) -> Path:
        """Where the embedded weights are, if the package has them."""
        return self.folder / "checkpoints" / f"{self.name}.safetensors"


_A = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", dict: "a mapping", list: "a list"}
_REQUIRED = object()
_OF_MODEL = ("model", "package", "folder", "builder", "summary", "paper", "aliases", "verbs", "conditions")


class _Facts:
    """One mapping of a registry, read key by key; every complaint names the file, the place and the key."""

    def __init__(self, raw: Any, where: str) -> None:
        self.where = where
        if not isinstance(raw, dict):
            raise RegistryError(f"{where}: expected a mapping, got {_show(raw)}.")
        self.raw = dict(raw)
        self.known: list[str] = []

    def take(self, key: str) -> Any:
        self.known.append(key)
        return self.raw.pop(key, None)

    def get(self, key: str, kind: type, default: Any = _REQUIRED) -> Any:
        value = self.take(key)
        if value is None:
            if default is _REQUIRED:
                raise RegistryError(f"{self.where}: the key {key!r} is missing: expected {_A[kind]}.")
            return default
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise RegistryError(f"{self.where}: {key}: expected {_A[kind]}, got {_show(value)}.")
        return value

    def positive(self, key: str, default: Any = _REQUIRED) -> Any:
        value = self.get(key, int, default)
        if value is not None and value < 1:
            raise RegistryError(f"{self.where}: {key}: expected a whole number from 1, got {value}.")
        return value

    def matching(self, key: str, pattern: str, example: str, default: Any = _REQUIRED) -> Any:
        value = self.get(key, str, default)
        if value and not re.fullmatch(pattern, value):
            raise RegistryError(f"{self.where}: {key}: expected {example}, got {_show(value)}.")
        return value

    def one_of(self, key: str, allowed: Sequence[str], default: Any = _REQUIRED) -> str:
        value: str = self.get(key, str, default)
        if value not in allowed:
            raise RegistryError(f"{self.where}: {key}: expected one of {', '.join(allowed)}, got {_show(value)}.")
        return value

    def list_of(self, key: str, kinds: tuple[type, ...], default: Any = _REQUIRED) -> tuple[Any, ...]:
        values = self.get(key, list, default)
        for value in values:
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise RegistryError(
                    f"{self.where}: {key}: expected a list of {_A[kinds[0]]} each, got {_show(value)} in it."
                )
        return tuple(values)

    def inner(self, key: str) -> _Facts | None:
        value = self.take(key)
        return None if value is None else _Facts(value, f"{self.where}: {key}")

    def done(self) -> None:
        """Complain about what nothing has read."""
        for key in self.raw:
            raise RegistryError(f"{self.where}: {key}: unknown key{near(str(key), self.known) or '; delete it.'}")


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _format(facts: _Facts | None) -> Format | None:
    if facts is None:
        return None
    size = facts.list_of("size", (int,), ())
    if size and (len(size) != 2 or min(size) < 1):
        raise RegistryError(f"{facts.where}: size: expected [height, width] in pixels, got {_show(list(size))}.")
    made = Format(
        kind=facts.one_of("kind", KINDS),
        channels=facts.positive("channels", None),
        size=(size[0], size[1]) if size else None,
        multiple=facts.positive("multiple", 1),
        scale=facts.positive("scale", 1),
    )
    facts.done()
    return made


def _condition(facts: _Facts, name: str) -> Condition:
    choices = facts.list_of("choices", (str, int), ())
    kind = facts.one_of("kind", CONDITION_KINDS, "choice" if choices else _REQUIRED)
    if (kind == "choice") != bool(choices):
        raise RegistryError(f"{facts.where}: a condition has choices exactly if its kind is choice.")
    default = facts.take("default")
    made = Condition(name, kind, choices, default, facts.get("required", bool, False), facts.get("help", str, ""))
    facts.done()
    if default is not None:
        try:
            made.check(default)
        except InputError as error:
            raise RegistryError(f"{facts.where}: default: {error}") from None
    return made


def _hub(facts: _Facts | None) -> Hub | None:
    if facts is None:
        return None
    made = Hub(
        facts.matching("repo", r"[\w.-]+/[\w.-]+", "owner/name"),
        facts.matching(
            "file", r"(?!/)(?!.*\.\.).+\.safetensors", "the path of a .safetensors file", "model.safetensors"
        ),
        facts.get("revision", str, "main"),
    )
    facts.done()
    return made


def _data(facts: _Facts | None) -> Data | None:
    if facts is None:
        return None
    made = Data(facts.get("name", str), facts.get("license", str), facts.get("source", str))
    facts.done()
    return made


def _metric(raw: Any, where: str) -> Metric:
    facts = _Facts(raw, where)
    made = Metric(facts.get("name", str), facts.get("value", float), facts.get("protocol", str))
    facts.done()
    return made


def _check_name(name: Any, where: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise RegistryError(
            f"{where}: {name!r} is no name: expected lower-case letters, digits and hyphens, as in conv-ae."
        )
    return name


def _model(name: str, raw: Any, file: str, package: str, folder: Path) -> list[Entry]:
    facts = _Facts(raw, f"{file}: {name}")
    conditions = facts.inner("conditions")
    checkpoints = facts.inner("checkpoints")
    shared = {
        "model": name,
        "package": package,
        "folder": folder,
        "builder": facts.matching("builder", r"[\w.]+:\w+", "module:Class, as in zoo.models.dcgan:DCGAN"),
        "summary": facts.get("summary", str),
        "paper": facts.get("paper", str, ""),
        "aliases": tuple(_check_name(a, f"{facts.where}: aliases") for a in facts.list_of("aliases", (str,), ())),
        "verbs": facts.list_of("verbs", (str,)),
        "conditions": tuple(
            _condition(_Facts(value, f"{conditions.where}: {key}"), str(key)) for key, value in conditions.raw.items()
        )
        if conditions
        else (),
    }
    if not shared["verbs"] or set(shared["verbs"]) - set(VERBS):
        raise RegistryError(
            f"{facts.where}: verbs: expected a list of {' and '.join(VERBS)}, got {list(shared['verbs'])}."
        )
    facts.done()
    if checkpoints is None or not checkpoints.raw:
        raise RegistryError(f"{facts.where}: checkpoints: expected at least one.")
    return [_checkpoint(key, value, checkpoints.where, shared) for key, value in checkpoints.raw.items()]


def _checkpoint(name: Any, raw: Any, where: str, shared: Mapping[str, Any], known: bool = True) -> Entry:
    """``known``: whether the weights are on record, so that their hash and size must be given."""
    needed = _REQUIRED if known else None
    facts = _Facts(raw, f"{where}: {_check_name(name, where)}")
    output = _format(facts.inner("output"))
    if output is None:
        raise RegistryError(f"{facts.where}: the key 'output' is missing: expected a mapping.")
    metrics = facts.get("metrics", list, [])
    made = Entry(
        **shared,
        checkpoint=name,
        config=facts.get("config", dict, {}),
        input=_format(facts.inner("input")),
        output=output,
        hub=_hub(facts.inner("hub")),
        sha256=facts.matching("sha256", "[0-9a-f]{64}", "64 hexadecimal digits", needed),
        bytes=facts.positive("bytes", needed),
        license=facts.get("license", str),
        data=_data(facts.inner("data")),
        recipe=facts.matching("recipe", r"[\w.]+:\w+", "module:function", ""),
        metrics=tuple(_metric(m, f"{facts.where}: metrics: number {i}") for i, m in enumerate(metrics, 1)),
    )
    if "reconstruct" in made.verbs and made.input is None:
        raise RegistryError(f"{facts.where}: the key 'input' is missing: reconstruct needs it.")
    facts.done()
    return made


def read(path: Path, package: str, folder: Path) -> list[Entry]:
    """The entries of one registry file.

    Args:
        path: the YAML file.
        package: which package it belongs to.
        folder: that package's folder, which has ``checkpoints/``.

    Raises:
        RegistryError: naming the file, the model, the key and what was expected.
    """
    try:
        raw = yaml.load(path.read_text("utf-8"), Loader=_Loader)  # noqa: S506 - a safe loader
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror}; reinstall {package}.") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise RegistryError(f"{path} is not YAML{line}: {getattr(error, 'problem', None) or error}.") from None
    facts = _Facts({} if raw is None else raw, str(path))
    return [
        entry
        for name, model in facts.raw.items()
        for entry in _model(_check_name(name, str(path)), model, str(path), package, folder)
    ]


class Registry:
    """All entries, by name.

    Attributes:
        entries: by ``model.checkpoint``, in the order of the files.
        models: the entries of each model, the default one first.
    """

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.models: dict[str, list[Entry]] = {}
        self.aliases: dict[str, str] = {}

    def add(self, entries: Sequence[Entry]) -> None:
        """Take in all entries of a package, or, if one of its names is taken, none."""
        mine: dict[str, str] = {}
        for entry in entries:
            for name in (entry.model, *entry.aliases):
                owner = self.models.get(self.aliases.get(name, name))
                if owner:
                    raise RegistryError(
                        f"{entry.package}: the name {name} is taken by {owner[0].package}; "
                        "rename it in its registry.yaml."
                    )
                if mine.setdefault(name, entry.model) != entry.model:
                    raise RegistryError(f"{entry.package}: {mine[name]} and {entry.model} both claim the name {name}.")
        for entry in entries:
            self.entries[entry.name] = entry
            self.models.setdefault(entry.model, []).append(entry)
            self.aliases.update(dict.fromkeys(entry.aliases, entry.model))

    def entry(self, name: str) -> Entry:
        """The entry of ``model``, ``model.checkpoint`` or an alias of either.

        Raises:
            UnknownNameError: with the nearest names.
        """
        model, dot, checkpoint = name.partition(".")
        model = self.aliases.get(model, model)
        if model not in self.models:
            known = [*self.models, *self.aliases]
            raise UnknownNameError(f"There is no model {model!r}{near(model, known) or '; `zoo list` shows all.'}")
        if not dot:
            return self.models[model][0]
        if f"{model}.{checkpoint}" not in self.entries:
            names = ", ".join(entry.checkpoint for entry in self.models[model])
            raise UnknownNameError(f"{model} has no checkpoint {checkpoint!r}: it has {names}.")
        return self.entries[f"{model}.{checkpoint}"]


def own_registry() -> tuple[Path, Path]:
    """The zoo's ``registry.yaml`` and the folder of its package."""
    folder = Path(__file__).parent
    inside = folder / "registry.yaml"  # in an installed wheel; in a checkout it lies beside the package
    return (inside if inside.exists() else folder.parent / "registry.yaml"), folder


def _plugins() -> Iterator[tuple[str, str]]:
    """Distribution and package of every installed plugin.

    ``importlib.metadata.entry_points`` parses the metadata of everything that is installed, which takes
    longer than all else that `zoo list` does; here only files that mention the group are parsed.
    """
    group = f"[{PLUGIN_GROUP}]".encode()
    for place in dict.fromkeys(sys.path):
        try:
            found = [item.path for item in os.scandir(place or ".") if item.name.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue
        for path in sorted(found):
            try:
                with open(f"{path}/entry_points.txt", "rb") as file:
                    if group not in file.read():
                        continue
            except OSError:
                continue
            from importlib.metadata import PathDistribution

            distribution = PathDistribution(Path(path))
            for point in distribution.entry_points.select(group=PLUGIN_GROUP):
                yield distribution.metadata["Name"], point.value


def _plugin_folder(package: str) -> Path:
    from importlib.util import find_spec  # finds the package without importing it

    spec = find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise RegistryError(f"the package {package!r} that its entry point names is not installed.")
    return Path(next(iter(spec.submodule_search_locations)))


@cache
def registry() -> Registry:
    """All models that are installed. A plugin that is broken costs a warning, never the others."""
    made = Registry()
    path, folder = own_registry()
    made.add(read(path, "zoo", folder))
    seen = set()
    for distribution, package in _plugins():
        if package in seen:
            continue
        seen.add(package)
        try:
            folder = _plugin_folder(package)
            made.add(read(folder / "registry.yaml", distribution, folder))
        except Exception as error:
            warnings.warn(f"The plugin {distribution} is left out: {error}", stacklevel=2)
    return made


def list_models(pattern: str = "*", *, verb: str | None = None, license: str | None = None) -> list[str]:
    """Names of the models that match, in the order of the registry.

    Args:
        pattern: a shell pattern for ``model`` or ``model.checkpoint``, such as ``*gan*``.
        verb: ``generate`` or ``reconstruct``; None for both.
        license: a shell pattern for the licence of the weights, such as ``MIT`` or ``cc-by*``; case does not matter.
    """
    return list(dict.fromkeys(entry.model for entry in search(pattern, verb=verb, license=license)))


def search(pattern: str = "*", *, verb: str | None = None, license: str | None = None) -> list[Entry]:
    """The entries that match, with the arguments of :func:`list_models`."""
    if verb is not None and verb not in VERBS:
        raise InputError(f"There is no verb {verb!r}: choose generate or reconstruct.")
    return [
        entry
        for entry in registry().entries.values()
        if any(fnmatchcase(name, pattern.lower()) for name in (entry.model, entry.name, *entry.aliases))
        and (verb is None or verb in entry.verbs)
        and (license is None or fnmatchcase(entry.license.lower(), license.lower()))
    ]


def info(name: str) -> Entry:
    """The facts of a model or checkpoint.

    Raises:
        UnknownNameError: if there is none of this name; it names the nearest.
    """
    return registry().entry(name)


def from_config(text: str, where: str) -> Entry:
    """The entry that a ``config.json`` beside weights describes: a registered model, with this configuration.

    Args:
        text: JSON with ``model``, ``config``, ``output`` and, as in the registry, ``input``, ``license``,
            ``sha256``, ``bytes``, ``data``, ``recipe``, ``metrics``. It names a model, never code.
        where: the file's name, for errors.
    """
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise RegistryError(f"{where} is not JSON: {error}.") from None
    facts = _Facts(raw, where)
    model = info(facts.get("model", str))
    shared = {key: getattr(model, key) for key in _OF_MODEL}
    facts.raw.setdefault("license", "unknown")
    return _checkpoint(facts.get("checkpoint", str, "local"), facts.raw, where, shared, known=False)


def to_config(entry: Entry) -> str:
    """The ``config.json`` that :func:`from_config` reads back as the same facts."""
    facts: dict[str, Any] = {"model": entry.model, "checkpoint": entry.checkpoint, "config": dict(entry.config)}
    for key in ("input", "output", "data"):
        value = getattr(entry, key)
        if value is not None:
            facts[key] = {k: v for k, v in asdict(value).items() if v is not None}
    for key in ("sha256", "bytes", "license", "recipe"):
        if getattr(entry, key):
            facts[key] = getattr(entry, key)
    facts["metrics"] = [asdict(metric) for metric in entry.metrics]
    return json.dumps(facts, indent=2) + "\n"


def refusal(model: str, verb: str) -> VerbError:
    """The error for a verb that a model lacks, naming models that have it."""
    others = list_models(verb=verb)
    return VerbError(f"{model} cannot {verb}: {', '.join(others[:5])} can." if others else f"No model can {verb}.")
