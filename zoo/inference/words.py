"""Texts as the numbers of their words in a vocabulary; no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]

NEGATIONS = frozenset({"cannot", "neither", "never", "no", "non", "none", "nor", "not", "without"})
_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*|,")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, and its commas; other marks are left out."""
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def vocabulary_of(texts: Iterable[str]) -> tuple[str, ...]:
    """All words that occur in some texts, in the order of the alphabet."""
    return tuple(sorted({word for text in texts for word in words_of(text)}))


def numbered(text: str, vocabulary: Sequence[str]) -> tuple[Numbers, list[str]]:
    """The numbers of the words that a vocabulary has, from 1, int64 ``(T,)``; and the words that it does not have.

    An unknown word is taken as its singular, where that is known; else one with hyphens is taken as several words.
    """
    numbers = {word: number for number, word in enumerate(vocabulary, 1)}
    words = []
    for word in words_of(text):
        words += [_known(part, numbers) for part in ([word] if _known(word, numbers) in numbers else word.split("-"))]
    known = np.array([numbers[word] for word in words if word in numbers], np.int64)
    return known, [word for word in dict.fromkeys(words) if word not in numbers and word != ","]


def negates(word: str) -> bool:
    """Whether a word says that something is not there: without it, that would be drawn."""
    return word in NEGATIONS or word.endswith("n't")


def _known(word: str, numbers: Mapping[str, int]) -> str:
    """A word, or its singular where that alone is known: ``roses``, ``boxes``, ``daisies``."""
    singulars = [
        word.removesuffix(ending) + singular
        for ending, singular in (("s", ""), ("es", ""), ("ies", "y"))
        if word.endswith(ending) and len(word) > len(ending) + 2  # "as" is no "a"
    ]
    return next((form for form in (word, *singulars) if form in numbers), word)


def padded(texts: Sequence[Numbers]) -> Numbers:
    """Numbers of several texts with zeros behind the shorter ones: int64 ``(N, T)``."""
    batch = np.zeros((len(texts), max(map(len, texts), default=0)), np.int64)
    for row, text in zip(batch, texts, strict=True):
        row[: len(text)] = text
    return batch
