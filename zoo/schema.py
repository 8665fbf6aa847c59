"""The form of ``registry.yaml`` and ``config.json``: what may stand where, and the error for what may not."""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml

from zoo.entry import CONDITION_KINDS, KINDS, VERBS, Condition, Data, Entry, Format, Hub, Metric, Origin
from zoo.errors import InputError, RegistryError, near
from zoo.files import read_text

MOST, DEEPEST = 100_000, 50  # values in a registry or configuration, and how deep they are nested
LARGEST = 2**63 - 1
# A terminal obeys control characters, and shows text out of order after the marks for right-to-left script; half a
# surrogate pair cannot be printed or saved.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
REPO = r"(?!.*(\.\.|--))\w[\w.-]*/\w[\w.-]*"
REVISION = r"(?!.*\.\.)\w[\w.+-]*(/\w[\w.+-]*)*"
FILE = r"(?!.*\.\.)[^./\\:\s][^/\\:\n\t]*(/[^./\\:\s][^/\\:\n\t]*)*\.safetensors"
LINK = re.compile(r"https?://[^\s/?#@\\]+/\S*")
_A = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", dict: "a mapping", list: "a list"}
REQUIRED = object()
OF_MODEL = ("model", "package", "folder", "builder", "summary", "paper", "aliases", "verbs", "conditions")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # in C, where there is one
    """Safe YAML in which no key comes twice, as plain YAML would silently keep the last, and merging has an end."""

    merged = 0

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)  # which comes back here for each mapping that a key `<<` copies
        self.merged += len(node.value)
        if self.merged > MOST:
            raise yaml.constructor.ConstructorError(None, None, f"more than {MOST:,} keys", node.start_mark)

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


def _number(loader: _Loader, node: yaml.ScalarNode) -> Any:
    """A number of YAML; `1:1:1...` is one to the base 60, which takes the square of its length to read."""
    if len(node.value) > 100:
        raise yaml.constructor.ConstructorError(None, None, "a number of more than 100 characters", node.start_mark)
    return yaml.SafeLoader.yaml_constructors[node.tag](loader, node)


for _tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
    _Loader.add_constructor(_tag, _number)


class Facts:
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

    def get(self, key: str, kind: type, default: Any = REQUIRED) -> Any:
        value = self.take(key)
        if value is None:
            if default is REQUIRED:
                typed = near(key, map(str, self.raw)) or "."
                raise RegistryError(f"{self.where}: the key {key!r} is missing: expected {_A[kind]}{typed}")
            return default
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise RegistryError(f"{self.where}: {key}: expected {_A[kind]}, got {_show(value)}.")
        return value

    def positive(self, key: str, default: Any = REQUIRED) -> Any:
        value = self.get(key, int, default)
        if value is not None and value < 1:
            raise RegistryError(f"{self.where}: {key}: expected a whole number from 1, got {value}.")
        return value

    def matching(self, key: str, pattern: str, example: str, default: Any = REQUIRED) -> Any:
        value = self.take(key)
        if value is None and default is not REQUIRED:
            return default
        if value is None:
            raise RegistryError(f"{self.where}: the key {key!r} is missing: expected {example}.")
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise RegistryError(f"{self.where}: {key}: expected {example}, got {_show(value)}.")
        return value

    def one_of(self, key: str, allowed: Sequence[str], default: Any = REQUIRED) -> str:
        value: str = self.get(key, str, default)
        if value not in allowed:
            raise RegistryError(f"{self.where}: {key}: expected one of {', '.join(allowed)}, got {_show(value)}.")
        return value

    def list_of(self, key: str, kinds: tuple[type, ...], default: Any = REQUIRED) -> tuple[Any, ...]:
        values = self.get(key, list, default)
        for value in values:
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise RegistryError(
                    f"{self.where}: {key}: expected a list of {_A[kinds[0]]} each, got {_show(value)} in it."
                )
        return tuple(values)

    def inner(self, key: str) -> Facts | None:
        value = self.take(key)
        return None if value is None else Facts(value, f"{self.where}: {key}")

    def done(self) -> None:
        """Complain about what nothing has read."""
        for key in self.raw:
            raise RegistryError(f"{self.where}: {key}: unknown key{near(str(key), self.known) or '; delete it.'}")


def _show(value: Any) -> str:
    text = reprlib.repr(value)  # which stops early: what is shown may be enormous
    return text if len(text) <= 60 else text[:57] + "..."


def bounded(value: Any, where: str) -> Any:
    """The same, if somebody may have written it, and JSON has it: mappings, lists, texts, numbers, true, false, null.

    Raises:
        RegistryError: for other values, numbers that are not finite, control characters, keys that are no text, and
            more values than ``MOST``: aliases of YAML make much out of little.
    """
    left = MOST

    def visit(value: Any, depth: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise RegistryError(f"{where}: more than {MOST:,} values: that is no registry.")
        if depth > DEEPEST:
            raise RegistryError(f"{where}: nested more than {DEEPEST} deep: that is no registry.")
        if isinstance(value, dict):
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise RegistryError(f"{where}: the key {_show(key)} is no text: put it in quotes.")
                visit(key, depth)
                visit(inner, depth + 1)
        elif isinstance(value, (list, tuple)):
            for inner in value:
                visit(inner, depth + 1)
        elif problem := _problem(value):
            raise RegistryError(f"{where}: {_show(value)} {problem}.")

    visit(value, 0)
    return value


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For :func:`json.loads`: an object in which no key comes twice; plain JSON would silently keep the last.

    Raises:
        ValueError: naming the key.
    """
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise ValueError(f"the key {key!r} comes twice")
        made[key] = value
    return made


def printable(text: str) -> str:
    """A text that strangers wrote, on one line, without what a terminal would obey."""
    return UNPRINTABLE.sub("?", " ".join(text.split()))


def _problem(value: Any) -> str:
    """What is wrong with a text, a number or another single value."""
    if isinstance(value, str):
        return "has control characters: delete them" if UNPRINTABLE.search(value) else ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else "is no finite number"
    if isinstance(value, int):
        return "" if abs(value) <= LARGEST else "is too large a number"
    return "" if value is None else f"is a {type(value).__name__}, no text or number: put it in quotes"


def _format(facts: Facts | None) -> Format | None:
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


def _condition(facts: Facts, name: str) -> Condition:
    choices = facts.list_of("choices", (str, int), ())
    kind = facts.one_of("kind", CONDITION_KINDS, "choice" if choices else REQUIRED)
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


def _hub(facts: Facts | None) -> Hub | None:
    if facts is None:
        return None
    made = Hub(
        facts.matching("repo", REPO, "owner/name"),
        facts.matching("file", FILE, "the path of a .safetensors file", "model.safetensors"),
        facts.matching("revision", REVISION, "a branch, tag or commit", "main"),
        facts.list_of("mirrors", (str,), ()),
    )
    if bad := [url for url in made.mirrors if not LINK.fullmatch(url)]:
        raise RegistryError(f"{facts.where}: mirrors: expected links, got {_show(bad[0])}.")
    facts.done()
    return made


def _data(facts: Facts | None) -> Data | None:
    if facts is None:
        return None
    made = Data(facts.get("name", str), facts.get("license", str), facts.get("source", str))
    facts.done()
    return made


def _origin(facts: Facts | None) -> Origin | None:
    if facts is None:
        return None
    made = Origin(
        facts.get("files", dict),
        facts.get("layout", str),
        facts.get("renamed", dict, {}),
        facts.get("taken", dict, {}),
        facts.get("left_out", dict, {}),
    )
    for key in ("files", "renamed", "taken", "left_out"):
        if not all(isinstance(text, str) for pair in getattr(made, key).items() for text in pair):
            raise RegistryError(f"{facts.where}: {key}: expected a text for each name.")
    facts.done()
    return made


def _metric(raw: Any, where: str) -> Metric:
    facts = Facts(raw, where)
    made = Metric(
        facts.get("name", str), facts.get("value", float), facts.get("protocol", str), facts.get("fingerprint", str, "")
    )
    facts.done()
    return made


def _check_name(name: Any, where: str) -> str:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise RegistryError(
            f"{where}: {name!r} is no name: expected lower-case letters, digits and hyphens, as in conv-ae."
        )
    return name


def _model(name: str, raw: Any, file: str, package: str, folder: Path) -> list[Entry]:
    facts = Facts(raw, f"{file}: {name}")
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
            _condition(Facts(value, f"{conditions.where}: {key}"), str(key)) for key, value in conditions.raw.items()
        )
        if conditions
        else (),
    }
    if not shared["verbs"] or set(shared["verbs"]) - set(VERBS):
        raise RegistryError(
            f"{facts.where}: verbs: expected a list of {' and '.join(VERBS)}, got {list(shared['verbs'])}."
        )
    facts.done()
    if checkpoints is None:  # a network alone, for weights that users bring
        return [Entry(**shared, checkpoint="", output=Format(), license="unknown")]
    if not checkpoints.raw:
        raise RegistryError(f"{facts.where}: checkpoints: expected at least one.")
    return [checkpoint(key, value, checkpoints.where, shared) for key, value in checkpoints.raw.items()]


def _chosen(facts: Facts | None, conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """Conditions with the choices that a checkpoint has in place of its model's."""
    if facts is None:
        return conditions
    made = []
    for condition in conditions:
        choices = facts.list_of(condition.name, (str, int), ()) if condition.choices else ()
        default = condition.default if not choices or condition.default in choices else None
        made.append(replace(condition, choices=choices or condition.choices, default=default))
    facts.done()
    return tuple(made)


def checkpoint(name: Any, raw: Any, where: str, shared: Mapping[str, Any]) -> Entry:
    """The entry of a checkpoint, with the facts of its model in ``shared``."""
    facts = Facts(raw, f"{where}: {_check_name(name, where)}")
    shared = {**shared, "conditions": _chosen(facts.inner("choices"), shared["conditions"])}
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
        sha256=facts.matching("sha256", "[0-9a-f]{64}", "64 hexadecimal digits", None),
        bytes=facts.positive("bytes", None),
        license=facts.get("license", str),
        data=_data(facts.inner("data")),
        recipe=facts.matching("recipe", r"[\w.]+:\w+", "module:function", ""),
        metrics=tuple(_metric(m, f"{facts.where}: metrics: number {i}") for i, m in enumerate(metrics, 1)),
        verified=facts.get("verified", bool, True),
        origin=_origin(facts.inner("origin")),
        training=facts.get("training", dict, {}),
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
        text = read_text(path)
    except OSError as error:
        raise RegistryError(
            f"{path} cannot be read: {error.strerror}; put it there, or install {package} again."
        ) from None
    return parse(text, str(path), package, folder)


def parse(raw: Any, where: str, package: str, folder: Path) -> list[Entry]:
    """The entries of what a registry file holds, as :func:`read`; ``raw`` is a mapping or YAML text from ``where``."""
    raw = _load(raw, where, trusted=package == "zoo") if isinstance(raw, str) else bounded(raw, where)
    facts = Facts({} if raw is None else raw, where)
    _check_version(facts, package)
    if not facts.raw:
        raise RegistryError(f"{where} has no model.")
    return [
        entry
        for name, model in facts.raw.items()
        for entry in _model(_check_name(name, where), model, where, package, folder)
    ]


def _load(text: str, where: str, trusted: bool) -> Any:
    try:
        if trusted:  # the zoo's own is read at every start
            return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
        _check_events(text, where)
        return bounded(yaml.load(text, Loader=_Loader), where)  # noqa: S506 - a safe loader
    except RegistryError:
        raise
    except Exception as error:  # yaml lets whatever a value causes through: for `!!bool maybe` a KeyError
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        said = getattr(error, "problem", None) or (error if isinstance(error, ValueError) else repr(error))
        raise RegistryError(f"{where} is not YAML{line}: {printable(str(said)[:200])}.") from None


def _check_events(text: str, where: str) -> None:
    """Refuse what is nested so deeply that the loader, which calls itself, would end the process, or would be large."""
    depth = values = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise RegistryError(f"{where}: nested more than {DEEPEST} deep: that is no registry.")
        values += isinstance(event, yaml.NodeEvent)
        if values > MOST:
            raise RegistryError(f"{where}: more than {MOST:,} values: that is no registry.")


def _check_version(facts: Facts, package: str) -> None:
    """Refuse what was written for another version of the zoo: the key ``requires``, as in ``requires: ">=0.2,<1"``."""
    wanted = facts.get("requires", str, "")
    if not wanted:
        return
    from packaging.specifiers import SpecifierSet  # which huggingface-hub needs, too

    from zoo import __version__

    try:
        fits = __version__ in SpecifierSet(wanted, prereleases=True)
    except ValueError:  # InvalidSpecifier is one, and so is what a number of thousands of digits raises
        raise RegistryError(
            f"{facts.where}: requires: expected versions of the zoo, as in '>=0.1,<1', got {_show(wanted)}."
        ) from None
    if not fits:
        raise RegistryError(
            f"{package} needs version {wanted} of the zoo, and this is {__version__}: update one of them, with "
            "`pip install -U`."
        )


def to_config(entry: Entry) -> str:
    """The ``config.json`` that :func:`from_config` reads back as the same facts."""
    facts: dict[str, Any] = {"model": entry.model, "checkpoint": entry.checkpoint, "config": dict(entry.config)}
    for key in ("input", "output", "data", "origin"):
        value = getattr(entry, key)
        if value is not None:
            facts[key] = {k: v for k, v in asdict(value).items() if v is not None}
    choices = {condition.name: list(condition.choices) for condition in entry.conditions if condition.choices}
    if choices:
        facts["choices"] = choices
    for key in ("sha256", "bytes", "license", "recipe"):
        if getattr(entry, key):
            facts[key] = getattr(entry, key)
    if not entry.verified:
        facts["verified"] = False
    if entry.training:
        facts["training"] = dict(entry.training)
    facts["metrics"] = [
        {k: getattr(metric, k) for k in ("name", "value", "protocol", "fingerprint") if getattr(metric, k) != ""}
        for metric in entry.metrics
    ]
    return json.dumps(facts, indent=2) + "\n"
