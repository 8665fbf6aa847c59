"""What a user can get wrong. Every message is one sentence that says what is wrong and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class ZooError(Exception):
    """Something went wrong: a corrupted file, an unreachable Hub, a full disk. The command exits with 1."""

    exit_code = 1

    def __str__(self) -> str:
        """What is wrong; bytes of file names that are no text come as escapes, since no terminal takes them."""
        return super().__str__().encode("utf-8", "backslashreplace").decode()


class InputError(ZooError, ValueError):
    """What the caller asked for is wrong: a name, a path, a value. The command exits with 2."""

    exit_code = 2


class UnknownNameError(InputError, LookupError):
    """No model, checkpoint or condition has this name."""


class VerbError(InputError, AttributeError):
    """The model does not have this verb."""


class NoSplitError(InputError):
    """Training data have splits, and none of this name."""


class RegistryError(ZooError):
    """A ``registry.yaml`` or ``config.json`` does not say what it must."""


class MediaError(ZooError):
    """An image file cannot be read, or an image cannot be written."""


class ConditionError(MediaError):
    """A file that is given as a condition cannot be read; its message begins with the name of the condition."""


class WeightsError(ZooError):
    """Weights cannot be had, are corrupted, or do not fit the network."""


class ResearchOnly(UserWarning):
    """The weights that were loaded are not for commercial use."""


def near(word: str, words: Iterable[str]) -> str:
    """``; did you mean A or B?``, or nothing where no word is near, as for a number; case does not matter."""
    from difflib import get_close_matches  # only when something is wrong: listing must start fast

    names = {name.lower(): name for name in words if word.lower() != word.upper()}
    found = [names[name] for name in get_close_matches(word.lower(), names, n=3, cutoff=0.5)]
    return f"; did you mean {' or '.join(found)}?" if found else ""


def check_count(name: str, value: Any) -> None:
    """Refuse what is no whole number from 1."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise InputError(f"{name} must be a whole number from 1, not {value!r}.")


def check_natural(name: str, value: Any) -> None:
    """Refuse what is no whole number from 0."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 0:
        raise InputError(f"{name} must be a whole number from 0, not {value!r}.")


def check_doubled(name: str, value: int) -> None:
    """Refuse a size that maps of 4 px do not come to by doubling, once or more."""
    if value < 8 or value & (value - 1):
        raise InputError(f"{name} must be 8, 16, 32, 64 or another power of two, not {value}.")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was too little."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(
        words in said
        for words in ("not enough memory", "out of memory", "bad_alloc", "can't allocate", "allocate memory")
    )
