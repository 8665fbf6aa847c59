"""Texts as the numbers of their words in a vocabulary; no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]

_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*|,")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, and its commas; other marks are left out."""
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def vocabulary_of(texts: Iterable[str]) -> tuple[str, ...]:
    """All words that occur in some texts, in the order of the alphabet."""
    return tuple(sorted({word for text in texts for word in words_of(text)}))


def numbered(text: str, vocabulary: Sequence[str]) -> tuple[Numbers, list[str]]:
    """The numbers of the words that a vocabulary has, from 1, int64 ``(T,)``; and the words that it does not have.

    An unknown word with hyphens is taken as several words.
    """
    numbers = {word: number for number, word in enumerate(vocabulary, 1)}
    words = [part for word in words_of(text) for part in ([word] if word in numbers else word.split("-"))]
    known = np.array([numbers[word] for word in words if word in numbers], np.int64)
    return known, [word for word in dict.fromkeys(words) if word not in numbers and word != ","]


def padded(texts: Sequence[Numbers]) -> Numbers:
    """Numbers of several texts with zeros behind the shorter ones: int64 ``(N, T)``."""
    batch = np.zeros((len(texts), max(map(len, texts), default=0)), np.int64)
    for row, text in zip(batch, texts, strict=True):
        row[: len(text)] = text
    return batch
