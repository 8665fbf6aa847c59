"""The form of ``registry.yaml`` and ``config.json``: what may stand where, and the error for what may not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from zoo.errors import InputError, RegistryError, near
from zoo.files import read_text
from zoo.registry.cards import Card, metric, row_of
from zoo.registry.datasets import datasets
from zoo.registry.facts import (
    CONDITION_KINDS,
    FORMAT_KEYS,
    KINDS,
    VERBS,
    Condition,
    Data,
    Entry,
    Format,
    Hub,
    Origin,
)
from zoo.registry.values import FILE, LINK, NAME, REPO, REQUIRED, REVISION, Facts, Loader, bounded, load, number, show

OF_MODEL = (
    "model",
    "package",
    "folder",
    "builder",
    "model_summary",
    "paper",
    "aliases",
    "verbs",
    "conditions",
    "encoder",
)
CODE = r"[\w.]+:\w+"
ROLES = ("loss", "selection")  # of a feature extractor in training


for _tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
    Loader.add_constructor(_tag, number)


def _format(facts: Facts | None) -> Format | None:
    if facts is None:
        return None
    parsed = _format_of(facts, facts.one_of("kind", KINDS))
    facts.done()
    for item in fields(Format):
        if item.name not in ("kind", *FORMAT_KEYS[parsed.kind]) and getattr(parsed, item.name) != item.default:
            allowed = ", ".join(FORMAT_KEYS[parsed.kind])
            raise RegistryError(f"{facts.where}: {item.name}: {parsed.kind} has no such key, but {allowed}.")
    return parsed


def _format_of(facts: Facts, kind: str) -> Format:
    size = facts.list_of("size", (int,), ())
    if size and (len(size) != 2 or min(size) < 1):
        raise RegistryError(f"{facts.where}: size: expected [height, width] in pixels, got {show(list(size))}.")
    parsed = Format(
        kind=kind,
        channels=facts.positive("channels", None),
        size=(size[0], size[1]) if size else None,
        multiple=facts.positive("multiple", 1),
        scale=facts.positive("scale", 1),
        rate=facts.positive("rate", None),
        length=facts.positive("length", None),
        window=facts.positive("window", None),
        fps=facts.positive_number("fps", None),
        frames=facts.positive("frames", None),
        elements=facts.list_of("elements", (str,), ()) or None,
        atoms=facts.positive("atoms", None),
        valid=facts.get("valid", bool, None),
    )
    if (parsed.window or 0) % parsed.multiple:
        raise RegistryError(f"{facts.where}: window: {parsed.window} is not divisible by {parsed.multiple}, multiple.")
    for key in {"audio": ("rate",), "molecules": ("elements", "atoms")}.get(parsed.kind, ()):
        if getattr(parsed, key) is None:
            raise RegistryError(f"{facts.where}: the key {key!r} is missing: {parsed.kind} needs it.")
    return parsed


def _format_facts(format: Format) -> dict[str, Any]:
    """What a ``config.json`` says of a format."""
    keys = ("kind", *FORMAT_KEYS[format.kind])
    return {key: getattr(format, key) for key in keys if getattr(format, key) is not None}


def _condition(facts: Facts, name: str) -> Condition:
    choices = facts.list_of("choices", (str, int), ())
    kind = facts.one_of("kind", tuple(CONDITION_KINDS), "choice" if choices else REQUIRED)
    if (kind == "choice") != bool(choices):
        raise RegistryError(f"{facts.where}: a condition has choices exactly if its kind is choice.")
    default = facts.take("default")
    condition = Condition(
        name,
        kind,
        choices,
        default,
        required=facts.get("required", bool, False),
        help=facts.get("help", str, ""),
        **_condition_options(facts, kind),
    )
    facts.done()
    if default is not None:
        if CONDITION_KINDS[kind] or kind == "keypoints":
            raise RegistryError(f"{facts.where}: default: {kind} has none: leave it out, or set required.")
        try:
            condition.check(default)
        except InputError as error:
            raise RegistryError(f"{facts.where}: default: {error}") from None
    return condition


def _condition_options(facts: Facts, kind: str) -> dict[str, Any]:
    """Facts that conditions of a kind have beside those that all have."""
    options: dict[str, Any] = {}
    if kind in ("integer", "number"):
        options = {key: facts.get(key, float, None) for key in ("minimum", "maximum")}
        low, high = options.values()
        if low is not None and high is not None and low > high:
            raise RegistryError(f"{facts.where}: minimum: expected at most the maximum, {high:g}, got {low:g}.")
    if kind in ("image", "mask", "keypoints"):
        options["aligned"] = facts.get("aligned", bool, False)
    if kind == "mask":
        options["transparency"] = facts.get("transparency", bool, False)
        if options["transparency"] and not options["aligned"]:
            raise RegistryError(f"{facts.where}: transparency: expected a mask that is aligned.")
    if kind in ("image", "keypoints"):
        count = facts.list_of("count", (int,), ())
        if count and not (len(count) == 2 and 1 <= count[0] <= count[1]):
            raise RegistryError(f"{facts.where}: count: expected [least, most], from 1, got {show(list(count))}.")
        options["count"] = (count[0], count[1]) if count else None
    if kind in ("choice", "integer", "number"):
        options["per"] = facts.one_of("per", ("sample", "frame"), "sample")
    if format_kind := CONDITION_KINDS[kind]:
        keys = {key: facts.take(key) for key in FORMAT_KEYS[format_kind] if key in facts.raw}
        if kind == "mask":
            keys["channels"] = 1
        elif kind == "image":
            keys.setdefault("channels", 3)
        options["format"] = _format_of(Facts(keys, facts.where), format_kind)
    return options


def _hub(facts: Facts | None) -> Hub | None:
    if facts is None:
        return None
    hub = Hub(
        facts.matching("repo", REPO, "owner/name"),
        facts.matching("file", FILE, "the path of a .safetensors file", "model.safetensors"),
        facts.matching("revision", REVISION, "a branch, tag or commit", "main"),
        facts.list_of("mirrors", (str,), ()),
    )
    if bad := [url for url in hub.mirrors if not LINK.fullmatch(url)]:
        raise RegistryError(f"{facts.where}: mirrors: expected links, got {show(bad[0])}.")
    facts.done()
    return hub


def _data(facts: Facts | None) -> Data | None:
    if facts is None:
        return None
    key, name = facts.get("id", str, ""), facts.get("name", str, "") or None
    if name is None and key:
        known = datasets().get(key)
        if known is None:
            raise RegistryError(f"{facts.where}: id: there is no data set {show(key)}{near(key, datasets()) or '.'}")
        part = facts.get("part", str, "")
        data = Data(f"{known.name}, {part}" if part else known.name, known.license, known.source, key)
    else:
        facts.raw["name"] = name
        data = Data(facts.get("name", str), facts.get("license", str), facts.get("source", str), key)
    facts.done()
    return data


def _origin(facts: Facts | None) -> Origin | None:
    if facts is None:
        return None
    origin = Origin(
        facts.get("files", dict),
        facts.get("layout", str),
        facts.get("renamed", dict, {}),
        facts.get("taken", dict, {}),
        facts.get("left_out", dict, {}),
    )
    for key in ("files", "renamed", "taken", "left_out"):
        if not all(isinstance(text, str) for pair in getattr(origin, key).items() for text in pair):
            raise RegistryError(f"{facts.where}: {key}: expected a text for each name.")
    facts.done()
    return origin


def _extractors(facts: Facts | None) -> dict[str, str]:
    if facts is None:
        return {}
    roles = {role: facts.get(role, str, "") for role in ROLES}
    facts.done()
    return {role: extractor for role, extractor in roles.items() if extractor}


def _tasks(facts: Facts | None) -> dict[str, dict[str, Any]]:
    """Constants of tasks; whether there is such a task, and takes them, is for the contract."""
    if facts is None:
        return {}
    tasks = {_check_name(task, facts.where): dict(facts.get(task, dict)) for task in list(facts.raw)}
    for task, constants in tasks.items():
        for name, value in constants.items():
            if not isinstance(value, (str, int, float)):
                raise RegistryError(
                    f"{facts.where}: {task}: {name}: expected a text, a number, true or false, got {show(value)}."
                )
    return tasks


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
        "builder": facts.matching("builder", CODE, "module:Class, as in zoo.models.dcgan:DCGAN"),
        "model_summary": facts.get("summary", str),
        "paper": facts.get("paper", str, ""),
        "aliases": tuple(_check_name(a, f"{facts.where}: aliases") for a in facts.list_of("aliases", (str,), ())),
        "verbs": facts.list_of("verbs", (str,)),
        "conditions": tuple(
            _condition(Facts(value, f"{conditions.where}: {key}"), str(key)) for key, value in conditions.raw.items()
        )
        if conditions
        else (),
        "encoder": facts.get("encoder", bool, False),
    }
    if not shared["verbs"] or set(shared["verbs"]) - set(VERBS):
        raise RegistryError(
            f"{facts.where}: verbs: expected a list of {' and '.join(VERBS)}, got {list(shared['verbs'])}."
        )
    if checkpoints is None:  # a network alone, for weights that users bring or train
        alone = Entry(
            **shared,
            summary=shared["model_summary"],
            checkpoint="",
            output=Format(),
            license="unknown",
            **_functions(facts),
        )
        facts.done()
        return [alone]
    facts.done()
    if not checkpoints.raw:
        raise RegistryError(f"{facts.where}: checkpoints: expected at least one.")
    card = folder / "cards" / f"{name}.yaml"
    return [checkpoint(key, value, checkpoints.where, shared, card) for key, value in checkpoints.raw.items()]


def _functions(facts: Facts) -> dict[str, Any]:
    """What trains a model, and what measures it."""
    return {key: facts.matching(key, CODE, "module:function", "") for key in ("recipe", "evaluate")}


def _chosen(facts: Facts | None, conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """Conditions with the choices that a checkpoint has in place of its model's."""
    if facts is None:
        return conditions
    chosen = []
    for condition in conditions:
        choices = facts.list_of(condition.name, (str, int), ()) if condition.choices else ()
        default = condition.default if not choices or condition.default in choices else None
        chosen.append(replace(condition, choices=choices or condition.choices, default=default))
    facts.done()
    return tuple(chosen)


def _worded(config: Facts, examples: Facts | None, conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """Conditions of which texts have the vocabulary of the network, if its configuration has one, and examples."""
    worded = []
    for each in conditions:
        if each.kind == "text":
            texts = examples.list_of(each.name, (str,), ()) if examples else ()
            each = replace(each, vocabulary=config.list_of("vocabulary", (str,), ()), examples=texts)
        worded.append(each)
    if examples:
        examples.done()
    return tuple(worded)


def checkpoint(name: Any, raw: Any, where: str, shared: Mapping[str, Any], card: Path | None = None) -> Entry:
    """The entry of a checkpoint, with the facts of its model in ``shared``.

    Its figures are those under ``metrics``; where there are none, those of the file ``card``.
    """
    facts = Facts(raw, f"{where}: {_check_name(name, where)}")
    conditions = _chosen(facts.inner("choices"), shared["conditions"])
    config = facts.get("config", dict, {})
    conditions = _worded(Facts(config, f"{facts.where}: config"), facts.inner("texts"), conditions)
    shared = {**shared, "conditions": conditions}
    output = _format(facts.inner("output"))
    if output is None:
        raise RegistryError(f"{facts.where}: the key 'output' is missing: expected a mapping.")
    rows = facts.get("metrics", list, [])
    figures = tuple(metric(raw, f"{facts.where}: metrics: number {i}") for i, raw in enumerate(rows, 1))
    entry = Entry(
        **shared,
        checkpoint=name,
        summary=facts.get("summary", str, shared["model_summary"]),
        config=config,
        input=_format(facts.inner("input")),
        output=output,
        hub=_hub(facts.inner("hub")),
        sha256=facts.matching("sha256", "[0-9a-f]{64}", "64 hexadecimal digits", None),
        bytes=facts.positive("bytes", None),
        license=facts.get("license", str),
        data=_data(facts.inner("data")),
        **_functions(facts),
        extractors=_extractors(facts.inner("extractors")),
        metrics=figures if figures or card is None else Card(card, name),
        example=facts.matching("example", NAME.pattern, "the name of a folder in examples/", ""),
        verified=facts.get("verified", bool, True),
        origin=_origin(facts.inner("origin")),
        training=facts.get("training", dict, {}),
        tasks=_tasks(facts.inner("tasks")),
    )
    if "reconstruct" in entry.verbs and entry.input is None:
        raise RegistryError(f"{facts.where}: the key 'input' is missing: reconstruct needs it.")
    facts.done()
    return entry


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
    raw = load(raw, where, trusted=package == "zoo") if isinstance(raw, str) else bounded(raw, where)
    facts = Facts({} if raw is None else raw, where)
    _check_version(facts, package)
    if not facts.raw:
        raise RegistryError(f"{where} has no model.")
    return [
        entry
        for name, model in facts.raw.items()
        for entry in _model(_check_name(name, where), model, where, package, folder)
    ]


def _check_version(facts: Facts, package: str) -> None:
    """Refuse what was written for another version of the zoo: the key ``requires``, as in ``requires: ">=0.2,<1"``."""
    wanted = facts.get("requires", str, "")
    if not wanted:
        return
    from packaging.specifiers import SpecifierSet  # which huggingface-hub needs, too

    from zoo.version import __version__

    try:
        fits = __version__ in SpecifierSet(wanted, prereleases=True)
    except ValueError:  # InvalidSpecifier is one, and so is what a number of thousands of digits raises
        raise RegistryError(
            f"{facts.where}: requires: expected versions of the zoo, as in '>=0.1,<1', got {show(wanted)}."
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
        if isinstance(value, Format):
            facts[key] = _format_facts(value)
        elif value is not None:
            facts[key] = {k: v for k, v in asdict(value).items() if v is not None and v != ""}
    choices = {condition.name: list(condition.choices) for condition in entry.conditions if condition.choices}
    if choices:
        facts["choices"] = choices
    texts = {condition.name: list(condition.examples) for condition in entry.conditions if condition.examples}
    if texts:
        facts["texts"] = texts
    if entry.summary != entry.model_summary:
        facts["summary"] = entry.summary
    for key in ("sha256", "bytes", "license", "recipe", "evaluate", "example"):
        if getattr(entry, key):
            facts[key] = getattr(entry, key)
    if entry.extractors:
        facts["extractors"] = dict(entry.extractors)
    if not entry.verified:
        facts["verified"] = False
    if entry.training:
        facts["training"] = dict(entry.training)
    if entry.tasks:
        facts["tasks"] = {task: dict(constants) for task, constants in entry.tasks.items()}
    facts["metrics"] = [row_of(figure) for figure in entry.metrics]
    return json.dumps(facts, indent=2) + "\n"
