"""What all kinds share: ``Samples``, which users hold, and ``Processor``, between samples and a network."""

from __future__ import annotations

import io
import math
import operator
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from PIL import Image

from zoo.arrays import Array
from zoo.errors import InputError
from zoo.media.image_names import sample_names
from zoo.registry.facts import Format

if TYPE_CHECKING:
    from typing_extensions import Self

# What a network takes of one sample, without the axis of the batch: an array, or several, as for graphs.
Input = Any


class Samples(ABC):
    """A sequence of samples of one kind: what users give to a model and get from it.

    Attributes:
        kind: as formats in the registry name it: image, audio, video or molecules.
        noun: what one of them is called in messages, in the plural.
        names: where each came from, relative to the folder it was in, or ``0000``, ``0001``, ... .
        seed: the seed that they were generated from; None for others.
        drawn: how many were drawn to get these, where a model leaves invalid ones out; None for others.
    """

    kind: ClassVar[str]
    noun: ClassVar[str]
    names: list[str]
    seed: int | None
    drawn: int | None = None

    def _set_names(self, n: int, names: Sequence[str] | None) -> None:
        """Give each of ``n`` samples a name: one of ``names``, or numbers that sort as names."""
        self.names = sample_names(n) if names is None else [str(name) for name in names]
        if len(self.names) != n:
            raise InputError(f"There are {len(self.names)} names for {n} {self.noun}: give each a name.")

    @classmethod
    @abstractmethod
    def of(cls, source: Any) -> Self:
        """Samples of anything that holds such samples: a path, a folder, bytes, arrays, or a list of these.

        Raises:
            InputError: for what holds none, with the reason.
            FileError: for a file that is damaged.
        """

    @classmethod
    @abstractmethod
    def concat(cls, parts: Iterable[Self]) -> Self:
        """The samples of several, one after the other, under their names."""

    @abstractmethod
    def __len__(self) -> int: ...

    def __repr__(self) -> str:
        return f"<{len(self)} {self.noun}{f' of {self.drawn} drawn' if self.drawn else ''}>"

    @abstractmethod
    def _chosen(self, index: slice) -> Self:
        """Some of the samples, which are neighbours."""

    def __getitem__(self, index: int | slice) -> Self:
        """Some of the samples, as samples of the same kind."""
        if isinstance(index, slice):
            return self._chosen(index)
        number = operator.index(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"there are {len(self)} {self.noun}: no number {number}")
        return self._chosen(slice(number, number + 1 or None))

    @abstractmethod
    def save(self, path: str | os.PathLike[str], *, format: str | None = None, bits: int = 8) -> None:
        """Write to a file, or to a folder, one file each, under their names; nothing is left half written."""

    @classmethod
    @abstractmethod
    def check_output(cls, path: str | os.PathLike[str], *, format: str | None = None, bits: int | None = None) -> bool:
        """Refuse what :meth:`save` would, before any time is spent on it, and say whether the path is a folder.

        Raises:
            InputError: for a name, format or number of bits that cannot be written.
            MediaError: for a place where nothing may be written.
        """

    @classmethod
    @abstractmethod
    def ending(cls, format: str | None = None) -> str:
        """With the dot, what files of a format in a folder end in; by default the format that is usual.

        Raises:
            InputError: for what is no format of this kind.
        """

    @abstractmethod
    def preview(self) -> Image.Image:
        """An image of the samples, as a notebook shows them."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.preview().save(buffer, "PNG")
        return buffer.getvalue()

    def numbered(self, seed: int | None, drawn: int | None = None) -> Self:
        """These samples, named by numbers and marked with the seed that they were generated from."""
        self._set_names(len(self), None)
        self.seed, self.drawn = seed, drawn
        return self


S = TypeVar("S", bound=Samples)


@dataclass(frozen=True)
class Prepared(Generic[S]):
    """One sample on its way through a network.

    Attributes:
        sample: what the user gave, of length 1.
        arrays: what goes through the network, each without the axis of the batch. It is one array for an image; several
            where a sample goes through piece by piece: the channels of stereo sound through a network for mono, the
            windows of long sound through one of fixed length, the frames of a video through one for images. An iterable
            that is gone through once, so that it may read a file as it goes.
        lengths: of the axes :attr:`Processor.axes` of each array, before padding.
    """

    sample: S
    arrays: Iterable[Input]
    lengths: tuple[int, ...]


class Processor(ABC, Generic[S]):
    """What stands between samples of one kind and a network; range, size, padding and rate are settled here.

    A model has one for its input and one for its output, which are the same object where both are of one kind.

    Args:
        input: what the network takes; of this kind, if it is used to prepare.
        output: what it gives; of this kind, if it is used to restore.

    Attributes:
        kind: as formats in the registry name it.
        axes: the axes of an array without the axis of the batch that may be padded, and along which it can go through a
            network in parts that overlap: ``(1, 2)`` of ``(C, H, W)``, ``(1,)`` of ``(C, T)``. Results come band by
            band along the first of them.
        part: length of a part along each axis, by default.
        whole: positions (pixels, moments) that still go through a network at once.
        unit: what a position is called in messages, in the plural.
        layout: of a batch, in words; empty where a network takes several arrays.
    """

    kind: ClassVar[str]
    layout: ClassVar[str] = ""
    axes: ClassVar[tuple[int, ...]] = ()
    part: ClassVar[int] = 0
    whole: ClassVar[int] = 0
    unit: ClassVar[str] = "values"

    def __init__(self, input: Format, output: Format) -> None:
        self.input, self.output = input, output

    # From samples to a network.

    @abstractmethod
    def read(self, source: Any, **limits: Any) -> S:
        """Samples of anything that holds them, with all that :meth:`restore` needs of them, such as transparency.

        Args:
            source: as for ``of`` of the samples.
            limits: as for ``of`` of the samples: ``max_pixels`` of images.

        Raises:
            InputError: for what holds none, with the reason.
            MediaError: for a file that is damaged.
        """

    @abstractmethod
    def prepare(self, sample: S) -> Prepared[S]:
        """One sample as arrays in the range, channels, size and rate that the network takes, padded to ``multiple``."""

    @abstractmethod
    def seen(self, samples: S) -> S:
        """Samples as the network sees them, in the range of samples and without padding; to show beside results."""

    def align(
        self, samples: Any, prepared: Prepared[S], *, channels: int | None = None, nearest: bool = False
    ) -> Sequence[Input]:
        """Another sample put through the crop, resizing and padding of ``prepared``: one array for each of its arrays.

        Args:
            samples: of length 1 and of the size of ``prepared.sample``: an image or a mask beside the input.
            prepared: what it must fit.
            channels: of the result; None for those of ``samples``.
            nearest: whether values are taken as they are and not mixed, as for masks.

        Raises:
            InputError: for another size: the rest of a sentence that begins with the name of a condition.
        """
        raise InputError(f"nothing can be aligned with {prepared.sample.noun}.")

    def align_points(self, points: Array, prepared: Prepared[S]) -> Array:
        """Points ``(K, 2)``, x and y in the pixels of ``prepared.sample``, in the pixels of what the network takes."""
        raise InputError(f"there are no points in {prepared.sample.noun}.")

    def without_transparency(self, samples: S) -> tuple[S, Any]:
        """Opaque samples with the same colours, and masks of what was transparent in each, white there.

        Raises:
            InputError: for a sample that is opaque everywhere: the rest of a sentence about a mask that is lacking.
        """
        raise InputError(f"the transparency of {samples.noun} is not looked at")

    # From a network to samples.

    @abstractmethod
    def restore(self, outputs: Sequence[Input], prepared: Prepared[Any] | None = None) -> S:
        """One sample, of what a network gave.

        Args:
            outputs: without the axis of the batch, one for each of ``prepared.arrays``; padding is still there.
            prepared: the input that they were computed from, maybe of another kind; None for generated samples. Its
                sample has the name of the result.
        """

    @property
    def selects(self) -> bool:
        """Whether :meth:`accepts` refuses any."""
        return False

    def accepts(self, sample: S) -> bool:
        """Whether a generated sample is delivered; another is drawn in place of one that is not."""
        return True

    def write(
        self, outputs: Iterator[Input], prepared: Prepared[Any], path: str | os.PathLike[str], **options: Any
    ) -> None:
        """Write a result to a file as it comes, where :meth:`streams` says so.

        Args:
            outputs: parts along the first of :attr:`axes`, without padding, of each of ``prepared.arrays``.
            prepared: the input that they are computed from.
            path: the file.
            options: as for ``save`` of the samples.
        """
        raise NotImplementedError

    def streams(self, sample: S, path: str | os.PathLike[str], **options: Any) -> bool:
        """Whether the result of a sample can be written to this file in parts, by :meth:`write`."""
        return False

    def check_target(self, sample: S, path: str | os.PathLike[str], **options: Any) -> None:
        """Refuse a file whose format does not hold the result of a sample, before any time is spent on it.

        Raises:
            InputError: with the cure.
        """

    # Sizes.

    @abstractmethod
    def lengths(self, sample: S) -> tuple[int, ...]:
        """As :attr:`Prepared.lengths`, without preparing the sample."""

    @property
    def multiples(self) -> tuple[int, ...]:
        """What the length of each of :attr:`axes` must be divisible by; parts begin where it divides."""
        return (self.input.multiple,) * len(self.axes)

    @property
    def scales(self) -> tuple[int, ...]:
        """How many times longer the result is along each of :attr:`axes`."""
        return (self.output.scale,) * len(self.axes)

    @property
    def fixed(self) -> bool:
        """Whether the network takes one size only, so that samples can be made smaller before they are kept."""
        return self.input.size is not None

    def positions(self, lengths: Sequence[int]) -> int:
        """Positions (pixels, moments) of an array of these lengths along :attr:`axes`, or of its result if it has more.

        Memory that a network takes is about in proportion to it.
        """
        return math.prod(lengths) * max(1, math.prod(self.scales))

    def result_values(self, lengths: Sequence[int]) -> int:
        """Values of the result of one array of these lengths."""
        return math.prod(lengths) * math.prod(self.scales) * (self.output.channels or self.input.channels or 3)

    def generated_positions(self) -> int | None:
        """Positions of a generated sample; None if the registry does not say."""
        return None

    def held(self, sample: S) -> int:
        """Positions of a sample as it lies in memory, by which files are read ahead; 0 for what is read as it goes."""
        return 0

    # What the contract of a model looks at.

    def output_shape(self, lengths: Sequence[int] | None) -> tuple[int | None, ...] | None:
        """Shape of what a network gives for one input, None where it is free; None if nothing is declared.

        Args:
            lengths: of the input along :attr:`axes`; None for a latent, or an input of another kind.
        """
        return None

    def mismatch(self, sample: S, original: S | None = None) -> str:
        """What of a result is not as the formats say, as a sentence; empty if all is.

        Args:
            sample: the result.
            original: the input that it was computed from, where its size is to be looked at.
        """
        return ""

    def values(self, samples: S) -> list[Array]:
        """The numbers of each sample, by which results are compared."""
        arrays: list[Array] = getattr(samples, "arrays")  # noqa: B009 - where they are called so
        return arrays

    # Made-up samples.

    @abstractmethod
    def example_samples(self, n: int) -> S:
        """Made-up samples that the model takes, all different: smooth, so that a trained network has a hold on them.

        They are of another size for another ``n``, if the network takes any size.
        """

    def smallest_sample(self) -> S:
        """One sample, as small as tells whether the formats are right."""
        return self.example_samples(1)[:1]

    def odd_samples(self) -> list[S]:
        """One sample each of unusual sizes, which a model must take."""
        return []

    def noise_sample(self, lengths: Sequence[int]) -> S:
        """Noise of these lengths along :attr:`axes`; only for kinds that can go through in parts."""
        raise NotImplementedError

    def probe_samples(self) -> list[S]:
        """Groups of samples of the kinds that occur, by which two ways to compute are compared; one size in a group."""
        return [self.example_samples(4)]


_SAMPLES = {
    "image": "zoo.media.images:Images",
    "audio": "zoo.media.audio:Audio",
    "video": "zoo.media.video:Video",
    "molecules": "zoo.media.molecules:Molecules",
}
# Imported where a model needs it: soundfile, PyAV and RDKit are no business of a model of images.
_PROCESSORS = {
    "image": "zoo.media.image_processor:ImageProcessor",
    "audio": "zoo.media.audio_processor:AudioProcessor",
    "video": "zoo.media.video_processor:VideoProcessor",
    "molecules": "zoo.media.molecules_processor:MoleculesProcessor",
}
# For samples of one kind given to a network of another: frame by frame.
_ADAPTERS = {("video", "image"): "zoo.media.video_processor:FrameProcessor"}


def processors(input: Format | None, output: Format, kind: str | None = None) -> tuple[Processor[Any], Processor[Any]]:
    """The processors of a model for its input and its output; the same one where both are of one kind.

    Args:
        input: None for a model that only generates.
        output: what the network gives.
        kind: of the samples that a user gave; a video goes through a network for images frame by frame.
    """
    taken = input or output
    if kind and (kind, taken.kind) in _ADAPTERS and taken.kind == output.kind:
        both = _class(_ADAPTERS[kind, taken.kind])(taken, output)
        return both, both
    first = _class(_PROCESSORS[taken.kind])(taken, output)
    return first, first if output.kind == taken.kind else _class(_PROCESSORS[output.kind])(taken, output)


def samples_class(kind: str) -> type[Samples]:
    """The class of the samples of a kind."""
    samples: type[Samples] = _class(_SAMPLES[kind])
    return samples


def _class(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
