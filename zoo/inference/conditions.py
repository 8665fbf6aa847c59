"""Conditions of a model: for each kind, what users may give and what the network gets of it.

The facts of a condition stand in the registry (:class:`zoo.registry.facts.Condition`); a :class:`Space` of its kind is
the only source of what keyword, option, error, test and example are made of.
"""

from __future__ import annotations

import inspect
import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from zoo.arrays import Array
from zoo.errors import ConditionError, InputError, MediaError
from zoo.inference.tiling import Window, cut
from zoo.inference.words import negates, numbered, padded
from zoo.media.base import Prepared, Processor, Samples, processors
from zoo.registry.facts import AS_IT_IS, CONDITION_KINDS, Condition


class Space(ABC):
    """What one condition may be.

    A value goes through :meth:`parse` if it was typed, through :meth:`check`, through :meth:`fit` beside its input, and
    through :meth:`stack` with the others of its batch. Samples without a value are in batches without the condition.

    Attributes:
        condition: its facts.
        is_file: whether users name files on the command.
    """

    is_file: ClassVar[bool] = False

    def __init__(self, condition: Condition) -> None:
        self.condition = condition

    def parse(self, text: str) -> Any:
        """The value of what was typed behind ``-c NAME=``."""
        return text

    @abstractmethod
    def check(self, value: Any) -> Any:
        """The value of one sample, as the network takes it, or as :meth:`fit` does.

        Raises:
            InputError: that says what it may be.
        """

    @abstractmethod
    def holds_several(self, value: Any) -> bool:
        """Whether a value is a sequence with one for each sample."""

    def is_none(self, value: Any) -> bool:
        """Whether a value says that there is none for its sample, of a condition that is optional."""
        return value is None and self.condition.optional

    def each(self, value: Any, n: int) -> list[Any]:
        """The checked values of ``n`` samples, of one value or of a sequence of ``n``; None for samples without one.

        Raises:
            InputError: for a value that cannot be, or another number of them.
        """
        if not self.holds_several(value):
            return [self._checked(value)] * n
        values = [self._checked(one) for one in value]
        self._check_number(len(values), n)
        return values

    def _checked(self, value: Any) -> Any:
        return None if self.is_none(value) else self.check(value)

    def _check_number(self, values: int, n: int) -> None:
        if values != n:
            raise InputError(f"{self.condition.name} has {values} values for {n} samples: give one, or one for each.")

    def check_given(self, value: Any, n: int) -> None:
        """Refuse what :meth:`each` would, but read no file.

        Raises:
            InputError: for a value that cannot be, or another number of them.
        """
        self.each(value, n)

    def fit(self, value: Any, prepared: Prepared[Any] | None, processor: Processor[Any] | None) -> list[Any]:
        """The values for the arrays of an input, if they are not the same for all; one for all in a list of one.

        Args:
            value: what :meth:`check` gave.
            prepared: the input; None for generated samples.
            processor: what prepared it.
        """
        return [value]

    @abstractmethod
    def stack(self, values: Sequence[Any]) -> Any:
        """The values of a batch as a keyword of the network: an array ``(N, ...)``, or a list."""

    def shape(self, value: Any) -> tuple[int, ...]:
        """Of a fitted value; only those of one shape can be in a batch."""
        return getattr(value, "shape", ())

    def window(self, batch: Any, window: Window) -> Any:
        """The part of a batch that belongs to a part of the input."""
        return batch

    @abstractmethod
    def sample(self, rng: np.random.Generator, like: Any = None) -> Any:
        """A random value that a user could give.

        Args:
            rng: where chance comes from.
            like: the sample that it is given with, of length 1; None for generated samples.
        """

    def dynamic_axes(self, any_size: bool) -> tuple[int, ...]:
        """The axes of a batch whose length varies, the first being the samples; ``any_size`` says whether inputs do."""
        return (0,)


class Values(Space):
    """A choice, an integer or a number: an array ``(N,)``, or ``(N, T)`` of one for each frame."""

    dtype: ClassVar[type] = np.int64

    def check(self, value: Any) -> Any:
        """A number, or an array ``(T,)`` of them."""
        if self.condition.per == "frame" and _is_sequence(value):
            return np.array([self._number(one) for one in value], self.dtype)
        return np.asarray(self._number(value), self.dtype)

    def _number(self, value: Any) -> float:
        checked: float = self.condition.check(value)
        return checked

    def is_none(self, value: Any) -> bool:
        """As of every condition; the words "as it is" say so, too."""
        return super().is_none(None if isinstance(value, str) and value.lower() == AS_IT_IS else value)

    def holds_several(self, value: Any) -> bool:
        """A sequence; where there is one for each frame, a sequence of sequences."""
        if self.condition.per == "frame":
            return _is_sequence(value) and len(value) > 0 and all(_is_sequence(one) for one in value)
        return _is_sequence(value)

    def each(self, value: Any, n: int) -> list[Any]:
        """As of every condition; arrays and tensors are sequences, too."""
        return super().each(value.tolist() if hasattr(value, "tolist") else value, n)

    def fit(self, value: Any, prepared: Prepared[Any] | None, processor: Processor[Any] | None) -> list[Any]:
        """One value for each frame, where that is asked for."""
        if self.condition.per == "sample":
            return [value]
        frames = _frames(prepared, processor)
        if value.ndim == 0:
            return [np.full(frames or 1, value)]
        if frames and len(value) != frames:
            raise InputError(
                f"{self.condition.name} has {len(value)} values for {frames} frames: give one, or one for each."
            )
        return [value]

    def stack(self, values: Sequence[Any]) -> Array:
        """``(N,)`` or ``(N, T)``."""
        return np.stack(values)

    def dynamic_axes(self, any_size: bool) -> tuple[int, ...]:
        """The samples, and the frames."""
        return (0, 1) if self.condition.per == "frame" else (0,)


class Choice(Values):
    """One of several words or numbers; the network gets its index, int64."""

    def _number(self, value: Any) -> float:
        return self.condition.choices.index(self.condition.check(value))

    def sample(self, rng: np.random.Generator, like: Any = None) -> Any:
        """Any of the choices."""
        return self.condition.choices[rng.integers(len(self.condition.choices))]


class Integer(Values):
    """A whole number, int64."""

    def sample(self, rng: np.random.Generator, like: Any = None) -> Any:
        """Within the bounds; from 0 to 9 without."""
        low = int(self.condition.minimum if self.condition.minimum is not None else 0)
        high = int(self.condition.maximum if self.condition.maximum is not None else low + 9)
        return int(rng.integers(min(low, high), high + 1))


class Number(Values):
    """A number, float32."""

    dtype = np.float32

    def sample(self, rng: np.random.Generator, like: Any = None) -> Any:
        """Within the bounds; from 0 to 1 without."""
        low = self.condition.minimum if self.condition.minimum is not None else 0.0
        high = self.condition.maximum if self.condition.maximum is not None else low + 1.0
        return float(rng.uniform(min(low, high), high))


class Text(Space):
    """A text; the network gets the numbers of its words, int64 ``(N, T)``, 0 behind the last of each.

    They are counted from 1 in the vocabulary of the network's configuration. One without a vocabulary gets a list of
    texts, and makes numbers of them itself.
    """

    def check(self, value: Any) -> Any:
        """The numbers of the words, ``(T,)``, with a warning of those that are not known; or the text itself."""
        text, name, vocabulary = self.condition.check(value), self.condition.name, self.condition.vocabulary
        if not vocabulary:
            return text
        numbers, unknown = numbered(text, vocabulary)
        if lost := [word for word in unknown if negates(word)]:
            raise InputError(
                f"{name}: {lost[0]!r} is not known, and what it refers to would be drawn: name only what is to be seen."
            )
        words = ", ".join(word for word in vocabulary if word != ",")
        if not any(vocabulary[number - 1] != "," for number in numbers):
            said = f"{text!r:.80} has no word that is known" if unknown else "it is empty"
            raise InputError(f"{name}: {said}: use some of {words}.")
        if unknown:
            said = f"{', '.join(unknown)} {'are' if len(unknown) > 1 else 'is'} not known and left out"
            warnings.warn(f"{name}: {said}; known are {words}", stacklevel=_callers_level())
        return numbers

    def holds_several(self, value: Any) -> bool:
        """Any sequence but a text."""
        return _is_sequence(value)

    def shape(self, value: Any) -> tuple[int, ...]:
        """Texts of any length can be in a batch."""
        return ()

    def stack(self, values: Sequence[Any]) -> Any:
        """``(N, T)``, or a list."""
        return padded(values) if self.condition.vocabulary else list(values)

    def sample(self, rng: np.random.Generator, like: Any = None) -> str:
        """A few words that it knows, or a colour and a thing."""
        if vocabulary := [word for word in self.condition.vocabulary if word != ","]:
            return " ".join(vocabulary[i] for i in rng.integers(len(vocabulary), size=rng.integers(3, 9)))
        colours, things = ("red", "blue", "yellow", "white"), ("flower", "ship", "house", "bird")
        return f"a {colours[rng.integers(4)]} {things[rng.integers(4)]}"

    def dynamic_axes(self, any_size: bool) -> tuple[int, ...]:
        """The samples, and the words."""
        return (0, 1) if self.condition.vocabulary else (0,)


class Keypoints(Space):
    """Points ``(K, 2)``, x and y in pixels of the input; the network gets float32 ``(N, K, 2)``."""

    is_file = True

    def parse(self, text: str) -> Any:
        """``"3,5 7,9"``, or the name of a JSON file with ``[[3, 5], [7, 9]]``."""
        if text.lower().endswith(".json"):
            try:
                return json.loads(Path(text).read_text("utf-8"))
            except (OSError, ValueError, RecursionError) as error:
                reason = getattr(error, "strerror", None) or error
                raise MediaError(f"{self.condition.name}: {text} holds no keypoints: {reason}.") from None
        try:
            return [[float(number) for number in pair.split(",")] for pair in text.split()]
        except ValueError:
            raise InputError(
                f"{self.condition.name} is a JSON file, or points such as '3,5 7,9', not {text!r}."
            ) from None

    def check(self, value: Any) -> Array:
        """``(K, 2)``, float32."""
        value = self.parse(value) if isinstance(value, str) else value
        try:
            points = np.asarray(value, np.float32)
        except (TypeError, ValueError):
            points = np.zeros(0, np.float32)
        if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
            raise InputError(f"{self.condition.name} must be points (K, 2), x and y of each, not {_shown(value)}.")
        self._check_count(len(points))
        return points

    def _check_count(self, n: int) -> None:
        count = self.condition.count
        if count and not count[0] <= n <= count[1]:
            raise InputError(f"{self.condition.name} has {n} points: give {_range(count)}.")

    def holds_several(self, value: Any) -> bool:
        """An array ``(N, K, 2)``, or a list of texts or of ``(K, 2)``."""
        if not _is_sequence(value) or not len(value):
            return False
        return all(isinstance(one, str) or (_is_sequence(one) and len(one) and _is_sequence(one[0])) for one in value)

    def fit(self, value: Any, prepared: Prepared[Any] | None, processor: Processor[Any] | None) -> list[Any]:
        """The points where the crop and the resizing of the input bring them."""
        if not self.condition.aligned or prepared is None or processor is None:
            return [value]
        with _Named(self.condition.name):
            return [processor.align_points(value, prepared)]

    def stack(self, values: Sequence[Any]) -> Array:
        """``(N, K, 2)``."""
        return np.stack(values)

    def window(self, batch: Any, window: Window) -> Any:
        """The points, counted from the corner of the part."""
        if not self.condition.aligned:
            return batch
        return batch - np.array([window[-1].start, window[-2].start], np.float32)

    def sample(self, rng: np.random.Generator, like: Any = None) -> Any:
        """Points of the input, or of 32 x 32 pixels."""
        (least, _), size = self.condition.count or (4, 4), (32, 32)
        if like is not None and hasattr(like, "arrays"):
            size = like.arrays[0].shape[-2:]
        return rng.random((least, 2)) * (np.array(size[::-1]) - 1)

    def dynamic_axes(self, any_size: bool) -> tuple[int, ...]:
        """The samples, and the points."""
        return (0, 1) if self._varies else (0,)

    @property
    def _varies(self) -> bool:
        return self.condition.count is None or self.condition.count[0] != self.condition.count[1]


class Media(Space):
    """Samples of a kind that has a processor: images, audio, video.

    The network gets the batch that it would get of such an input; ``(N, K, ...)`` where one sample takes ``count`` of
    them.
    """

    is_file = True

    def __init__(self, condition: Condition) -> None:
        super().__init__(condition)
        assert condition.format is not None
        self.processor, _ = processors(condition.format, condition.format)

    def parse(self, text: str) -> Any:
        """A file, or a folder of them, that is there."""
        if not text or not Path(text).exists():
            raise InputError(f"{self.condition.name}: {text or 'an empty name'} does not exist: name a file.")
        return str(Path(text).absolute())  # workers elsewhere have other folders

    def each(self, value: Any, n: int) -> list[Any]:
        """As of every condition; samples and folders with one, or with one for each, too."""
        if self.condition.count is not None or self.holds_several(value):
            return super().each(value, n)
        samples = self._read(value)
        if len(samples) == 1:
            return [self._ready(samples)] * n
        return super().each([samples[i] for i in range(len(samples))], n)

    def check_given(self, value: Any, n: int) -> None:
        """A list has the right length, and its files exist."""
        several = self.holds_several(value)
        if several:
            self._check_number(len(value), n)
        for one in value if several else [value]:
            for item in one if isinstance(one, (list, tuple)) else [one]:
                if isinstance(item, (str, Path)):
                    self.parse(str(item))

    def holds_several(self, value: Any) -> bool:
        """A list; where one sample takes several of them, a list of lists, samples, or arrays ``(K, H, W, C)``."""
        if not isinstance(value, (list, tuple)):
            return False
        return self.condition.count is None or all(
            isinstance(one, (list, tuple, Samples)) or getattr(one, "ndim", 0) == 4 for one in value
        )

    def check(self, value: Any) -> Any:
        """One of its samples, or an array ``(K, ...)`` of several; what is aligned waits for its input."""
        samples = self._read(value)
        name, count = self.condition.name, self.condition.count
        if count and not count[0] <= len(samples) <= count[1]:
            raise InputError(f"{name} has {len(samples)} {samples.noun}: give {_range(count)}.")
        if not count and len(samples) != 1:
            raise InputError(f"{name} takes one of {samples.noun} for each sample, not {len(samples)}.")
        return self._ready(samples)

    def _read(self, value: Any) -> Any:
        try:
            samples = self.processor.read(value)
        except InputError as error:
            raise InputError(f"{self.condition.name}: {error}") from None
        except MediaError as error:
            raise ConditionError(f"{self.condition.name}: {error}") from None
        if not len(samples):
            raise InputError(f"{self.condition.name} holds no {samples.noun}.")
        return samples

    def _ready(self, samples: Any) -> Any:
        if self.condition.aligned:
            return samples
        return self._joined([self._array(samples[i]) for i in range(len(samples))])

    def _array(self, sample: Any) -> Any:
        arrays = list(self.processor.prepare(sample).arrays)
        if len(arrays) != 1:
            raise InputError(f"{self.condition.name} goes through in {len(arrays)} parts: give a shorter one.")
        return self._values(arrays[0])

    def _joined(self, arrays: list[Any]) -> Any:
        if self.condition.count is None:
            return arrays[0]
        if len({array.shape for array in arrays}) > 1:
            raise InputError(f"{self.condition.name} has several sizes: make them one.")
        return np.stack(arrays)

    def _values(self, array: Array) -> Array:
        """What the network gets of an array."""
        return array

    nearest: ClassVar[bool] = False

    def fit(self, value: Any, prepared: Prepared[Any] | None, processor: Processor[Any] | None) -> list[Any]:
        """What is aligned with the input, through the same crop, resizing and padding."""
        if not self.condition.aligned:
            return [value]
        if prepared is None or processor is None:
            raise InputError(f"{self.condition.name} belongs to places of an input: generate has none.")
        channels = self.condition.format.channels if self.condition.format else None
        with _Named(self.condition.name):
            aligned = [
                processor.align(value[i], prepared, channels=channels, nearest=self.nearest) for i in range(len(value))
            ]
        return [self._joined([self._values(array) for array in arrays]) for arrays in zip(*aligned, strict=True)]

    def stack(self, values: Sequence[Any]) -> Array:
        """``(N, ...)``."""
        return np.stack(values)

    def window(self, batch: Any, window: Window) -> Any:
        """The same part as that of the input."""
        return cut(batch, window) if self.condition.aligned else batch

    def sample(self, rng: np.random.Generator, like: Any = None) -> Any:
        """As many as are needed, of the size of the input if they are aligned."""
        (least, most) = self.condition.count or (1, 1)
        return self._drawn(rng, min(most, max(2, least)), like)

    def _drawn(self, rng: np.random.Generator, n: int, like: Any) -> Any:
        samples = self.processor.example_samples(n + int(rng.integers(1, 4)))
        return samples[len(samples) - n :]

    def dynamic_axes(self, any_size: bool) -> tuple[int, ...]:
        """The samples, how many of them there are, and their size."""
        count = self.condition.count
        several, vary = count is not None, count is not None and count[0] != count[1]
        sized = any_size if self.condition.aligned else not self.processor.fixed
        sizes = tuple(axis + 1 + several for axis in self.processor.axes) if sized else ()
        return (0, 1, *sizes) if vary else (0, *sizes)


class Image(Media):
    """An image, in [-1, 1]."""

    def _drawn(self, rng: np.random.Generator, n: int, like: Any) -> Any:
        shape = (32, 32)
        if self.condition.aligned and like is not None:
            shape = like.arrays[0].shape[1:]
        elif self.condition.format and self.condition.format.size:
            shape = self.condition.format.size
        return self._pixels(rng, n, shape)

    def _pixels(self, rng: np.random.Generator, n: int, shape: tuple[int, int]) -> Any:
        return rng.random((n, *shape, 3), dtype=np.float32)


class Mask(Image):
    """Where to fill: one channel of 0 and 1, 1 is what is filled."""

    nearest = True

    def fit(self, value: Any, prepared: Prepared[Any] | None, processor: Processor[Any] | None) -> list[Any]:
        """As of every image; a mask of everything is refused, for it leaves nothing to go by."""
        arrays = super().fit(value, prepared, processor)
        if prepared is not None and self.condition.aligned and any(array.all() for array in arrays):
            raise InputError(
                f"{self.condition.name}: all of {prepared.sample.names[0]} is to be filled, and nothing of it is "
                "known: mark a part of it only."
            )
        return arrays

    def _values(self, array: Array) -> Array:
        if -1 < array.max() < 0:
            raise InputError(
                f"{self.condition.name} is {(array.max() + 1) * 127.5:.3g} of 255 where it is brightest: make what is "
                "to be filled white, 255."
            )
        return (array >= 0).astype(np.float32)

    def _pixels(self, rng: np.random.Generator, n: int, shape: tuple[int, int]) -> Any:
        masks = np.zeros((n, *shape, 1), np.float32)
        for mask in masks:
            top, left = (int(rng.integers(0, max(1, length // 2))) for length in shape)
            mask[top : top + max(1, shape[0] // 2), left : left + max(1, shape[1] // 2)] = shape != (1, 1)
        return masks


SPACES: dict[str, type[Space]] = {
    "choice": Choice,
    "integer": Integer,
    "number": Number,
    "text": Text,
    "keypoints": Keypoints,
    "image": Image,
    "mask": Mask,
    "audio": Media,
    "video": Media,
}
assert SPACES.keys() == CONDITION_KINDS.keys()


def space(condition: Condition) -> Space:
    """What a condition of the registry may be."""
    return SPACES[condition.kind](condition)


class _Named:
    """Errors inside the block begin with the name of a condition."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputError):
            raise InputError(f"{self.name}: {error}") from None


def _is_sequence(value: Any) -> bool:
    return (
        hasattr(value, "__len__") and not isinstance(value, (str, bytes, dict)) and getattr(value, "shape", None) != ()
    )


def _callers_level() -> int:
    """The ``stacklevel`` of a warning, for whoever calls this, that shows the line of the user's code."""
    frame, level = inspect.currentframe(), 0
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] == "zoo":
        frame, level = frame.f_back, level + 1
    return level


def _frames(prepared: Prepared[Any] | None, processor: Processor[Any] | None) -> int | None:
    """Frames of an input, or of what is generated, if that is known."""
    if prepared is not None and processor is not None and processor.kind == "video" and len(prepared.lengths) == 3:
        return prepared.lengths[0]
    return processor.output.frames if processor is not None else None


def _range(count: tuple[int, int]) -> str:
    return str(count[0]) if count[0] == count[1] else f"{count[0]} to {count[1]}"


def _shown(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"an array {tuple(shape)}" if shape is not None else f"{value!r:.60}"
