"""All models by name."""

from __future__ import annotations

import json
import os
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from zoo.errors import InputError, RegistryError, UnknownNameError, VerbError, near
from zoo.files import is_file
from zoo.registry.discovery import own_registry, read_folder, sources
from zoo.registry.facts import VERBS, Entry, with_choices
from zoo.registry.licenses import commercial
from zoo.registry.schema import OF_MODEL, checkpoint, parse, read
from zoo.registry.values import Facts, bounded, each_once, printable

PLUGINS_VARIABLE = "ZOO_PLUGINS"  # `none`, or the only ones to take, joined by commas
REGISTERED = "this process"  # the package of what :func:`register` adds


class Registry:
    """All entries, by name.

    Attributes:
        entries: by ``model.checkpoint``, in the order of the files.
        models: the entries of each model, the default one first; one without a checkpoint where there are no weights.
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
                        f"{entry.package}: the name {name} is taken by {owner[0].package}; choose another."
                    )
                if mine.setdefault(name, entry.model) != entry.model:
                    raise RegistryError(f"{entry.package}: {mine[name]} and {entry.model} both claim the name {name}.")
        for entry in entries:
            if entry.checkpoint:
                self.entries[entry.name] = entry
            self.models.setdefault(entry.model, []).append(entry)
            self.aliases.update(dict.fromkeys(entry.aliases, entry.model))

    def drop(self, models: Sequence[str]) -> None:
        """Forget models, with their checkpoints and aliases."""
        self.models = {name: entries for name, entries in self.models.items() if name not in models}
        self.entries = {name: entry for name, entry in self.entries.items() if entry.model not in models}
        self.aliases = {alias: name for alias, name in self.aliases.items() if name not in models}

    def entry(self, name: str) -> Entry:
        """The entry of ``model``, ``model.checkpoint`` or an alias of either.

        Raises:
            UnknownNameError: with the nearest names.
        InputError: for what is no text.
        """
        if not isinstance(name, str):
            raise InputError(f"The name of a model is a text, such as 'dcgan', not {name!r}.")
        model, dot, checkpoint = name.partition(".")
        model = self.aliases.get(model, model)
        if model not in self.models:
            known = [*self.models, *self.aliases]
            raise UnknownNameError(f"There is no model {model!r}{near(model, known) or '; `zoo list` shows all.'}")
        if not dot:
            return self.models[model][0]
        if f"{model}.{checkpoint}" not in self.entries:
            names = ", ".join(entry.checkpoint for entry in self.models[model]) or "none"
            raise UnknownNameError(f"{model} has no checkpoint {checkpoint!r}: it has {names}.")
        return self.entries[f"{model}.{checkpoint}"]


def _read_all() -> Registry:
    index = Registry()
    path, folder = own_registry()
    index.add(read(path, "zoo", folder))
    chosen = os.environ.get(PLUGINS_VARIABLE)
    wanted = None if chosen is None else {_normal(name) for name in chosen.split(",")} - {"none", ""}
    if wanted is not None and not wanted:
        return index
    names = []
    for name, entries in sources():
        names.append(printable(name))
        if wanted is not None and _normal(name) not in wanted:
            continue
        try:
            index.add(entries())
        except Exception as error:
            warnings.warn(f"The plugin {printable(name)} is left out: {printable(str(error))}", stacklevel=2)
    if unknown := (wanted or set()) - {_normal(name) for name in names}:
        there = f"there are {', '.join(names)}" if names else "there are none"
        said = printable(", ".join(sorted(unknown)))
        warnings.warn(f"{PLUGINS_VARIABLE} names {said}: {there}.", stacklevel=2)
    return index


class _Once:
    """All models there are, read by whichever thread asks first, until ``cache_clear()``.

    A plugin or folder that is broken costs a warning, never the others.
    """

    def __init__(self) -> None:
        self._lock, self._read = threading.RLock(), cache(_read_all)
        self.cache_clear = self._read.cache_clear

    def __call__(self) -> Registry:
        with self._lock:
            return self._read()


registry = _Once()


def _normal(name: str) -> str:
    """As pip compares names."""
    return name.strip().lower().replace("_", "-").replace(".", "-")


def register(stanza: Mapping[str, Any] | str | os.PathLike[str]) -> list[str]:
    """Add models for as long as this process lives, as in a notebook; what it added before is replaced.

    Args:
        stanza: the form of ``registry.yaml``, as a mapping or as YAML text, or a folder that has one. A builder may be
            a class of the notebook: ``__main__:Class``. ``sha256`` and ``bytes`` may be left out; weights lie in the
            folder's ``checkpoints``, or are passed to :func:`zoo.load`.

    Returns:
        The names of the models.

    Raises:
        RegistryError: naming what is wrong, or the package that has a name already; nothing is added then.
    """
    if isinstance(stanza, Mapping) or (isinstance(stanza, str) and "\n" in stanza):
        entries = parse(stanza, "the stanza", REGISTERED, Path.cwd())
    else:
        entries = read_folder(stanza, REGISTERED)
    here = registry()
    names = list(dict.fromkeys(entry.model for entry in entries))
    before = {name: here.models[name] for name in names if name in here.models}
    mine = [name for name, models in before.items() if models[0].package == REGISTERED]
    here.drop(mine)
    try:
        here.add(entries)
    except RegistryError:
        here.add([entry for name in mine for entry in before[name]])
        raise
    return names


def list_models(pattern: str = "*", *, verb: str | None = None, license: str | None = None) -> list[str]:
    """Names of what matches, in the order of the registry, as :func:`load` takes them.

    A model's name alone means its first checkpoint: where that does not match, those that do are named in full.

    Args:
        pattern: a shell pattern for ``model`` or ``model.checkpoint``, such as ``*gan*``.
        verb: ``generate`` or ``reconstruct``; None for both.
        license: a shell pattern for the licence of the weights, such as ``MIT`` or ``cc-by*``; case does not matter.
            The word ``commercial`` stands for all that allow commercial use, those of the data, too.
    """
    entries = search(pattern, verb=verb, license=license)
    firsts = {entry.model for entry in entries if entry is info(entry.model)}
    return list(dict.fromkeys(entry.model if entry.model in firsts else entry.name for entry in entries))


def search(pattern: str = "*", *, verb: str | None = None, license: str | None = None) -> list[Entry]:
    """The entries that match, with the arguments of :func:`list_models`."""
    if not isinstance(pattern, str):
        raise InputError(f"A pattern is a text, such as '*gan*', not {pattern!r}.")
    if verb is not None and verb not in VERBS:
        raise InputError(f"There is no verb {verb!r}: choose generate or reconstruct.")
    return [
        entry
        for entry in registry().entries.values()
        if any(fnmatchcase(name, pattern.lower()) for name in (entry.model, entry.name, *entry.aliases))
        and (verb is None or verb in entry.verbs)
        and (license is None or _licensed(entry, license.lower()))
    ]


def _licensed(entry: Entry, wanted: str) -> bool:
    return commercial(entry) if wanted == "commercial" else fnmatchcase(entry.license.lower(), wanted)


def info(name: str) -> Entry:
    """The facts of a model or checkpoint.

    Raises:
        UnknownNameError: if there is none of this name; it names the nearest.
    """
    return registry().entry(name)


def code_of(name: str, entry: Entry) -> Any:
    """What ``module:attribute`` is, code that a file names: the one way in which such a name is imported.

    The name must stand in the registry file that has the model, as its builder or as ``recipe`` or ``evaluate`` of a
    checkpoint: a ``config.json`` may repeat it, and names nothing else. The module must be of the zoo, of a plugin, or
    of a folder that the user registered, or be there already.

    Args:
        name: as the registry or a ``config.json`` has it.
        entry: the model that it belongs to.

    Raises:
        RegistryError: for other names, and if it cannot be imported.
    """
    module, _, attribute = name.partition(":")
    known = registry().models.get(entry.model, [entry])
    if name not in {text for one in known for text in (one.builder, one.recipe, one.evaluate)}:
        raise RegistryError(f"{entry.name} names the code {name!r}, which is not in its registry: it is not imported.")
    keys = "`builder`, `recipe`, `evaluate` or the code"
    cure = "." if entry.package == "zoo" else f"; {entry.package} has to correct {keys}."
    if module not in sys.modules and not _is_registered(module):
        raise RegistryError(
            f"{entry.name}: {name} is not imported: its module is not in the package or folder of a registry{cure}"
        )
    try:
        return getattr(import_module(module), attribute)
    except (Exception, SystemExit) as error:  # a plugin's code can raise anything, and a script ends the process
        raise RegistryError(
            f"{entry.name}: {name} cannot be imported: {type(error).__name__}: {str(error).rstrip('.')}{cure}"
        ) from error


def evaluate_of(entry: Entry) -> str:
    """The function that measures a model, as ``module:function``.

    A ``config.json`` may name one that the registry has for its model, and no other; where it names none, it is that of
    the checkpoint with the same recipe, or else of the first.

    Raises:
        InputError: if the registry names none.
    """
    known = [one for one in registry().models[entry.model] if one.evaluate]
    if not known:
        raise InputError(
            f"Nothing says how {entry.name} is measured: its registry names no function under `evaluate`, as "
            "module:function."
        )
    if entry.evaluate in {one.evaluate for one in known}:
        return entry.evaluate
    return next((one for one in known if one.recipe == entry.recipe), known[0]).evaluate


def _is_registered(module: str) -> bool:
    """Whether a module is in the package, or in the folder, of a registry that was read; it is not imported."""
    from importlib.util import find_spec

    top = module.partition(".")[0]
    try:
        spec = find_spec(top) if top.isidentifier() else None
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    places = [Path(place) for place in [*(spec.submodule_search_locations or ()), *filter(None, [spec.origin])]]
    homes = {os.path.realpath(entries[0].folder) for entries in registry().models.values()}
    return any(os.path.realpath(place) in homes or os.path.realpath(place.parent) in homes for place in places)


def from_config(text: str, where: str) -> Entry:
    """The entry that a ``config.json`` beside weights describes: a registered model, with this configuration.

    Args:
        text: JSON with ``model``, ``config``, ``output`` and, as in the registry, ``input``, ``license``, ``sha256``,
            ``bytes``, ``data``, ``recipe``, ``evaluate``, ``training``, ``metrics``. It names a model, never code.
        where: the file's name, for errors.
    """
    try:
        raw = json.loads(text, object_pairs_hook=each_once)
    except (ValueError, RecursionError) as error:
        raise RegistryError(f"{where} is not JSON: {error}.") from None
    facts = Facts(bounded(raw, where), where)
    model = info(facts.get("model", str))
    shared = {key: getattr(model, key) for key in OF_MODEL}
    if isinstance(choices := facts.raw.get("choices"), dict) and all(
        isinstance(name, str) and name.isidentifier() and isinstance(values, list) for name, values in choices.items()
    ):
        shared["conditions"] = with_choices(model.conditions, choices)
    facts.raw.setdefault("license", "unknown")
    return checkpoint(facts.get("checkpoint", str, "local"), facts.raw, where, shared)


def refusal(model: str, verb: str) -> VerbError:
    """The error for a verb that a model lacks, naming models that have it."""
    able = search(verb=verb)
    others = list(dict.fromkeys(e.model for e in able if is_file(e.embedded))) or [e.model for e in able]
    return VerbError(f"{model} cannot {verb}: {', '.join(others[:5])} can." if others else f"No model can {verb}.")
