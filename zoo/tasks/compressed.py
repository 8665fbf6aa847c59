"""The file of ``zoo compress``: what it says of itself, and the rounded codes of an autoencoder in few bytes.

``ZOOC``, a crc32 of all that follows, the length of the header, the header (JSON, packed by zlib), then all symbols
from a range coder of the package constriction. The coder takes each symbol as drawn from a normal distribution, which
reader and writer learn from the symbols before it; that takes whole numbers and correctly rounded arithmetic alone, so
that every machine comes to the same.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.arrays import Array
from zoo.errors import InputError, MediaError, ZooError
from zoo.files import SMALL

Integers = npt.NDArray[np.int32]

MAGIC = b"ZOOC"
PREFIX = struct.Struct("<4sII")  # magic, crc32 of what follows, length of the header
LARGEST = 1 << 20  # a symbol
STEPS = 200  # the largest k of a step of 2 ** (k / 2), and the smallest below zero
PRIOR = 2  # how many symbols the variance in the header counts for
LEAST = 0.02  # variance of symbols, however often they were the same


@dataclass(frozen=True)
class Photo:
    """A photo in a compressed file.

    Attributes:
        name: of its file, without the ending.
        size: height and width as the model saw it, without padding.
        shape: of its code.
    """

    name: str
    size: tuple[int, int]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Header:
    """What a compressed file says of itself.

    Attributes:
        model: the name under which :func:`zoo.load` finds the model; empty for one that was built by hand.
        weights: a sha256 of its weights.
        photos: in their order.
        steps: for each channel of the codes ``k`` of the steps ``2 ** (k / 2)`` in which its numbers are counted.
        variance: of all numbers of the codes.
        largest: of the symbols, without their signs.
    """

    model: str
    weights: str
    photos: tuple[Photo, ...]
    steps: tuple[int, ...]
    variance: float
    largest: int

    @property
    def pixels(self) -> int:
        """Of all photos together."""
        return sum(height * width for height, width in (photo.size for photo in self.photos))

    @property
    def rows(self) -> int:
        """How many places all codes have together: one for a code that is a vector."""
        return sum(math.prod(photo.shape[1:]) for photo in self.photos)


def write(header: Header, symbols: Integers) -> bytes:
    """The bytes of a file.

    Args:
        header: what it says of itself.
        symbols: ``(rows, channels)``.

    Raises:
        InputError: for more photos than a header has room for.
    """
    photos = [[photo.name, *photo.size, list(photo.shape)] for photo in header.photos]
    facts = {**vars(header), "photos": photos}
    text = json.dumps(facts, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")
    if len(text) > SMALL:
        raise InputError(f"{len(header.photos):,} photos are too many for one file: put them into several.")
    packed = zlib.compress(text, 9)
    encoder = _constriction().stream.queue.RangeEncoder()
    learner = _Learner(header)
    for block in _blocks(len(symbols)):
        encoder.encode(symbols[block].ravel(), learner.family, *learner.distributions(symbols[block].shape[0]))
        learner.learn(symbols[block])
    coded: bytes = encoder.get_compressed().astype("<u4").tobytes()
    body = packed + coded
    return PREFIX.pack(MAGIC, zlib.crc32(len(packed).to_bytes(4, "little") + body), len(packed)) + body


def read(content: bytes) -> tuple[Header, bytes]:
    """What a file says of itself, and its coded symbols; all bytes are checked.

    Raises:
        MediaError: for a file that is none, or damaged.
    """
    if len(content) < PREFIX.size or content[:4] != MAGIC:
        raise MediaError("it is no file that `zoo compress` wrote: name one.")
    _, checksum, length = PREFIX.unpack_from(content)
    if zlib.crc32(content[8:]) != checksum or length > len(content) - PREFIX.size:
        raise MediaError("it is damaged, its bytes do not have the checksum that they had when written: get it again.")
    body = content[PREFIX.size :]
    try:
        unpacker = zlib.decompressobj()
        facts = json.loads(unpacker.decompress(body[:length], SMALL))
        photos = tuple(
            Photo(str(name), (_count(height), _count(width)), tuple(map(_count, shape)))
            for name, height, width, shape in facts["photos"]
        )
        steps = tuple(int(step) for step in facts["steps"])
        header = Header(
            str(facts["model"]),
            str(facts["weights"]),
            photos,
            steps,
            float(facts["variance"]),
            _count(facts["largest"]),
        )
        whole = unpacker.eof and photos and math.isfinite(header.variance) and header.variance >= 0
        if not whole or header.largest > LARGEST or max(map(abs, steps)) > STEPS:
            raise ValueError
        if {photo.shape[0] for photo in photos} != {len(steps)} or not all(all(photo.size) for photo in photos):
            raise ValueError
    except (zlib.error, ValueError, KeyError, TypeError, IndexError, RecursionError, OverflowError):
        raise MediaError(
            "its header cannot be read: get it again, or a zoo that is as new as the one that wrote it."
        ) from None
    return header, body[length:]


def symbols_of(header: Header, coded: bytes) -> Integers:
    """The symbols of a file, ``(rows, channels)``.

    Raises:
        MediaError: for bytes that hold none.
    """
    channels, symbols, learner = len(header.steps), [], _Learner(header)
    try:
        decoder = _constriction().stream.queue.RangeDecoder(np.frombuffer(coded, "<u4").astype(np.uint32))
        for block in _blocks(header.rows):
            rows = block.stop - block.start
            some = decoder.decode(learner.family, *learner.distributions(rows)).reshape(rows, channels)
            learner.learn(some)
            symbols.append(some)
    except (ValueError, AssertionError) as error:  # crafted bytes; damaged ones do not come so far
        raise MediaError(f"its codes cannot be read ({error}): get it again.") from None
    return np.concatenate(symbols)


class _Learner:
    """What is known of the symbols to come: for each channel a normal distribution."""

    def __init__(self, header: Header) -> None:
        family = _constriction().stream.model.QuantizedGaussian
        self.family = family(-max(1, header.largest), max(1, header.largest))
        self.prior = np.ldexp(header.variance, -np.array(header.steps))  # of symbols
        self.sums, self.squares = np.zeros((2, len(header.steps)), np.int64)
        self.seen = 0

    def distributions(self, rows: int) -> tuple[Array, Array]:
        """Mean and standard deviation of each symbol of some rows, one after the other."""
        mean = self.sums / (self.seen + PRIOR)
        variance = (self.squares + PRIOR * self.prior) / (self.seen + PRIOR) - mean * mean
        deviation = np.sqrt(np.clip(variance, LEAST, LARGEST**2))
        return np.tile(mean, rows), np.tile(deviation, rows)

    def learn(self, symbols: Integers) -> None:
        """Take rows into account."""
        whole = symbols.astype(np.int64)
        self.sums += whole.sum(0)
        self.squares += (whole * whole).sum(0)
        self.seen += len(symbols)


def _blocks(rows: int) -> Iterator[slice]:
    """Rows that are coded by what is known before the first of them: few at first, then an eighth of those before."""
    start = 0
    while start < rows:
        stop = min(rows, start + 1 + start // 8)
        yield slice(start, stop)
        start = stop


def _count(value: Any) -> int:
    """A whole number from 0, as JSON has it."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError
    return value


def _constriction() -> Any:
    try:
        import constriction
    except ImportError:
        raise ZooError(
            "Compressed files need the package constriction: pip install 'generative-zoo[compress]'."
        ) from None
    return constriction
