"""What all kinds of samples share: images, audio, video, molecules."""

from __future__ import annotations

import io
import operator
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from PIL import Image

from zoo.errors import InputError

if TYPE_CHECKING:
    from typing_extensions import Self


class Samples(ABC):
    """A sequence of samples of one kind: what users give to a model and get from it.

    Attributes:
        kind: as formats in the registry name it: image, audio, video or molecules.
        noun: what one of them is called in messages, in the plural.
        names: where each came from, relative to the folder it was in, or ``0000``, ``0001``, ... .
        seed: the seed that they were generated from; None for others.
    """

    kind: ClassVar[str]
    noun: ClassVar[str]
    names: list[str]
    seed: int | None

    def _set_names(self, n: int, names: Sequence[str] | None) -> None:
        """Give each of ``n`` samples a name: those given, or numbers that sort as names."""
        width = max(4, len(str(n - 1)))
        self.names = [f"{i:0{width}d}" for i in range(n)] if names is None else [str(name) for name in names]
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
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to a file, or to a folder, one file each, under their names; nothing is left half written."""

    @abstractmethod
    def preview(self) -> Image.Image:
        """An image of the samples, as a notebook shows them."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.preview().save(buffer, "PNG")
        return buffer.getvalue()
