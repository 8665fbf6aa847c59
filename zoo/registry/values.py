"""Values out of YAML and JSON that strangers may have written: each is checked before it is used."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Sequence
from typing import Any

import yaml

from zoo.errors import RegistryError, near

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


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # in C, where there is one
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
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def number(loader: Loader, node: yaml.ScalarNode) -> Any:
    """A number of YAML; `1:1:1...` is one to the base 60, which takes the square of its length to read."""
    if len(node.value) > 100:
        raise yaml.constructor.ConstructorError(None, None, "a number of more than 100 characters", node.start_mark)
    return yaml.SafeLoader.yaml_constructors[node.tag](loader, node)


class Facts:
    """One mapping of a registry, read key by key; every complaint names the file, the place and the key."""

    def __init__(self, raw: Any, where: str) -> None:
        self.where = where
        if not isinstance(raw, dict):
            raise RegistryError(f"{where}: expected a mapping, got {show(raw)}.")
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
            raise RegistryError(f"{self.where}: {key}: expected {_A[kind]}, got {show(value)}.")
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
            raise RegistryError(f"{self.where}: {key}: expected {example}, got {show(value)}.")
        return value

    def positive_number(self, key: str, default: Any = REQUIRED) -> Any:
        value = self.get(key, float, default)
        if value is not None and value <= 0:
            raise RegistryError(f"{self.where}: {key}: expected a number above 0, got {value}.")
        return value

    def one_of(self, key: str, allowed: Sequence[str], default: Any = REQUIRED) -> str:
        value: str = self.get(key, str, default)
        if value not in allowed:
            raise RegistryError(f"{self.where}: {key}: expected one of {', '.join(allowed)}, got {show(value)}.")
        return value

    def list_of(self, key: str, kinds: tuple[type, ...], default: Any = REQUIRED) -> tuple[Any, ...]:
        values = self.get(key, list, default)
        for value in values:
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise RegistryError(
                    f"{self.where}: {key}: expected a list of {_A[kinds[0]]} each, got {show(value)} in it."
                )
        return tuple(values)

    def inner(self, key: str) -> Facts | None:
        value = self.take(key)
        return None if value is None else Facts(value, f"{self.where}: {key}")

    def done(self) -> None:
        """Complain about what nothing has read."""
        for key in self.raw:
            raise RegistryError(f"{self.where}: {key}: unknown key{near(str(key), self.known) or '; delete it.'}")


def show(value: Any) -> str:
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
                    raise RegistryError(f"{where}: the key {show(key)} is no text: put it in quotes.")
                visit(key, depth)
                visit(inner, depth + 1)
        elif isinstance(value, (list, tuple)):
            for inner in value:
                visit(inner, depth + 1)
        elif problem := _problem(value):
            raise RegistryError(f"{where}: {show(value)} {problem}.")

    visit(value, 0)
    return value


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For :func:`json.loads`: an object in which no key comes twice; plain JSON would silently keep the last.

    Raises:
        ValueError: naming the key.
    """
    mapping: dict[str, Any] = {}
    for key, value in pairs:
        if key in mapping:
            raise ValueError(f"the key {key!r} comes twice")
        mapping[key] = value
    return mapping


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


def load(text: str, where: str, trusted: bool) -> Any:
    try:
        if trusted:  # the zoo's own is read at every start
            return yaml.load(text, Loader=Loader)  # noqa: S506 - a safe loader
        _check_events(text, where)
        return bounded(yaml.load(text, Loader=Loader), where)  # noqa: S506 - a safe loader
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
    for event in yaml.parse(text, Loader=Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise RegistryError(f"{where}: nested more than {DEEPEST} deep: that is no registry.")
        values += isinstance(event, yaml.NodeEvent)
        if values > MOST:
            raise RegistryError(f"{where}: more than {MOST:,} values: that is no registry.")
