"""What is trained on: images of folders, zip files, arrays and the Hub as uint8 ``(N, C, H, W)``; their batches."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from zoo.arrays import Array
from zoo.data.places import (
    ACCEPTED,
    IMAGES,
    SMILES,
    Bytes,
    Kind,
    Place,
    check_memory,
    check_named,
    join,
    locate,
    open_place,
    some,
    sounds,
)
from zoo.errors import InputError, MediaError, NoSplitError
from zoo.media.image_fit import fit
from zoo.memory import free_memory

Size = int | tuple[int, int] | None
FAINT = 4  # of 255: images that differ by less show nothing


@dataclass(frozen=True)
class ImageSet:
    """Images of one size.

    Attributes:
        x: uint8 ``(N, C, H, W)``.
        labels: int64 ``(N,)``, each an index into ``classes``; None where the data have no classes.
        classes: their names.
        names: where each image came from: its path without the folder of the split and without the ending.
        attributes: uint8 ``(N, A)``, 1 where an image has an attribute; None where the data say nothing of them.
        attribute_names: their names.
        captions: K texts of each image, ``(N, K)``; None where the data have none.
        named: uint8 ``(N, K, A)``, 1 where a caption names an attribute; None where the data do not say.
    """

    x: Tensor
    labels: Tensor | None
    classes: tuple[str, ...]
    names: list[str]
    attributes: Tensor | None = None
    attribute_names: tuple[str, ...] = ()
    captions: npt.NDArray[np.str_] | None = None
    named: Tensor | None = None

    @property
    def roles(self) -> dict[str, Tensor]:
        """The images as ``target``, their classes as ``label`` where the data have some: see :mod:`zoo.data.batch`."""
        return {"target": self.x} if self.labels is None else {"target": self.x, "label": self.labels}

    def take(self, rows: Tensor) -> ImageSet:
        """Some of them; ``rows`` is a mask ``(N,)``."""
        names = [self.names[i] for i in rows.nonzero().flatten().tolist()]
        labels, attributes, named = (None if x is None else x[rows] for x in (self.labels, self.attributes, self.named))
        captions = None if self.captions is None else self.captions[rows.numpy()]
        x = self.x[rows]
        return replace(self, x=x, labels=labels, names=names, attributes=attributes, captions=captions, named=named)


@dataclass(frozen=True)
class Pairs:
    """Images ``a`` and ``b``, both uint8 ``(N, C, H, W)``, that belong together; names as in :class:`ImageSet`."""

    a: Tensor
    b: Tensor
    names: list[str]

    @property
    def roles(self) -> dict[str, Tensor]:
        """``a`` as ``input`` and ``b`` as ``target``: see :mod:`zoo.data.batch`."""
        return {"input": self.a, "target": self.b}

    def take(self, rows: Tensor) -> Pairs:
        """Some of them; ``rows`` is a mask ``(N,)``."""
        return Pairs(self.a[rows], self.b[rows], [self.names[i] for i in rows.nonzero().flatten().tolist()])


class Source:
    """Training data, read when it is asked for.

    Images are read as :meth:`zoo.Images.of` does and kept in 8 bits. For a size, ``(H, W)`` or the side of a square,
    the largest centred part of the right shape is resized: by averaging (BOX) where it shrinks, maps of labels too,
    and with Lanczos where it grows. An image that has the size stays as it is.

    Which images a split has is said by ``labels.csv`` (columns file, class and split, and caption where there are
    texts) at the top of a folder or zip, or by folders ``train``, ``test`` and ``val`` there (also ``training``,
    ``testing``, ``valid``, ``validation``, or ``trainA``, ``trainB``, ...), if there are no others, or two of these at
    least: then what lies beside them is left out with a warning. One of these names beside other folders of images is a
    class. Without splits it is all images, in the order of their names. Classes are those of ``labels.csv``, or else
    the folders, if every image is in one and there are two or more; all splits number them alike. One folder around
    everything is looked through.

    An ``.npz`` has uint8 ``(N, H, W)`` or ``(N, H, W, C)`` under ``x_train`` and ``x_test``, or ``x``, or is the only
    array of images; classes are whole numbers under ``y_train``, ... . ``FILE.npz/KEY`` takes the array of that name.
    Attributes that an image has or not are 0 or 1 in ``attributes_train`` ``(N, A)``, ..., with ``attribute_names``.
    Captions are texts in ``captions_train``, ..., one for each image ``(N,)`` or K ``(N, K)``, and ``named_train``
    ``(N, K, A)`` is 1 where a caption names an attribute.

    Args:
        paths: one or several of: a folder, a ``.zip``, a path into one (``photos.zip/train/monet``), an ``.npz`` or
            ``.npz.xz``, or ``datasets:OWNER/NAME`` (``datasets:OWNER/NAME:SPLIT``) for a data set on the Hugging Face
            Hub, for which the package ``datasets`` must be installed.
        strict: refuse what is otherwise left out with a warning: damaged files, and images without a partner.
        warn: takes the warnings.

    Raises:
        InputError: from here, for a path that does not exist. From all methods, for what holds no images or too few,
            does not have the split, or does not fit into half of the free memory.
        MediaError: from all methods, for a damaged zip or array, or if no image can be read.
    """

    def __init__(
        self, paths: Sequence[str | Path], *, strict: bool = False, warn: Callable[[str], None] = warnings.warn
    ) -> None:
        if not paths:
            raise InputError(f"There is no data: give {ACCEPTED}.")
        self.paths, self.strict, self.warn = [str(path) for path in paths], strict, warn
        self.splits: dict[str, bool] = {}  # of what was read: whether the data have it, or were taken whole for it
        self._seen = hashlib.sha256()
        for path in self.paths:
            check_named("A place of data", path)
            if not path.startswith("datasets:"):
                locate(path)

    @property
    def name(self) -> str:
        """The last part of each path, for people."""
        return " and ".join(Path(path).name.split(".")[0] for path in self.paths)

    def called(self, split: str) -> str:
        """What sort of images were read for a split: of its name, or "unsplit" where the data have no splits."""
        return split if self.splits.get(split, True) else "unsplit"

    @property
    def fingerprint(self) -> str:
        """A number of all that was read so far, to tell other data by."""
        return self._seen.hexdigest()

    def has(self, split: str, kind: Kind = IMAGES) -> bool:
        """Whether a part of the data has this name: without splits, the answer is no, and each is all of them."""
        try:
            return all(open_place(path, split, kind).split for path in self.paths)
        except NoSplitError:
            return False

    def classes(self, split: str = "train") -> tuple[str, ...]:
        """The names of the classes of a split, none where it has none; no image is decoded."""
        return join([open_place(path, split) for path in self.paths]).classes

    def images(self, size: Size, channels: int = 3, split: str = "train", least: int = 1) -> ImageSet:
        """All images of all places.

        Args:
            size: ``(H, W)``, the side of a square, or None if all images have one size.
            channels: 1 for grey, 3 for RGB.
            split: which part of the data, where they are split.
            least: how many are needed, such as one batch.

        Raises:
            InputError: also for images of several sizes without ``size``.
        """
        return self._images(join(self._open(split)), size, channels, least)

    def photos(self, channels: int = 3, split: str = "train", least: int = 1) -> list[tuple[str, Tensor]]:
        """Name and uint8 ``(C, H, W)`` of every image, each at its own size; arguments as for :meth:`images`."""
        (photos,) = self._each([join(self._open(split))], least, IMAGES, lambda x: _fit(x, channels, None))
        return photos

    def sounds(self, rate: int, split: str = "train", least: int = 1) -> list[list[tuple[str, Tensor]]]:
        """Name and float32 ``(C, T)`` in [-1, 1] of every sound, for each place a list.

        Args:
            rate: in Hz; sounds of another are resampled.
            split: as for :meth:`images`.
            least: how many sounds are needed in each place.

        Raises:
            InputError: also for places that are neither folders nor zips.
        """
        kind = sounds(rate)
        return self._each(self._open(split, kind), least, kind, lambda x: x)

    def molecules(self, split: str = "train", least: int = 1) -> list[str]:
        """The SMILES of all molecules of all places, in the order of the files.

        Args:
            split: as for :meth:`images`.
            least: how many molecules are needed.

        Raises:
            InputError: also for places that are neither folders, zips nor files of molecules.
        """
        one = join(self._open(split, SMILES))
        smiles = [str(text) for _, (texts,) in self._usable(one, 1, SMILES.noun) for text in texts]
        check_least(one.where, len(smiles), least, "molecules")
        self._seen.update("\n".join(smiles).encode())
        return smiles

    def _each(
        self, places: Sequence[Place], least: int, kind: Kind, convert: Callable[[Array], Array | Bytes]
    ) -> list[list[tuple[str, Tensor]]]:
        """Name and tensor of all that can be read, as it is after ``convert``, for each place a list."""
        free, used, lists = free_memory(), 0, []
        for one in places:
            read: list[tuple[str, Tensor]] = []
            for k, (x,) in self._usable(one, least, kind.noun):
                values = convert(x)
                used += values.nbytes
                check_memory(one.where, used, free, kind.noun)
                read.append((_stem(one.names[k]), torch.from_numpy(values)))
            self._note(x for _, x in read)
            lists.append(read)
        return lists

    def pairs(
        self,
        size: Size,
        channels: tuple[int, int] = (3, 3),
        split: str = "train",
        least: int = 1,
        reverse: bool = False,
    ) -> Pairs:
        """Pairs of images: of the same name in two places, in two sub-folders of one, or side by side in each file.

        In two arrays it is the same number. Of two sub-folders, ``a`` is the first by name. Of four places,
        the third and the fourth add to the first and the second.

        Args:
            size: as for :meth:`images`.
            channels: of ``a`` and of ``b``, as they are returned.
            split: as for :meth:`images`.
            least: how many pairs are needed.
            reverse: whether ``a`` and ``b`` change places.

        Raises:
            InputError: also for the two of a pair that differ in size, if no names are the same, and for images that
                are not two side by side.
        """
        a, *others = self._sides(split)
        rows = self._partners(a, others[0]) if others else [(k, k) for k in range(len(a.names))]
        where = " and ".join(one.where for one in (a, *others))
        names = [a.names[i] for i, _ in rows]

        def load(k: int) -> tuple[Array, ...]:
            i, j = rows[k]
            x, y = a.load(i) + others[0].load(j) if others else _cut(a.load(i)[0], f"{where}/{names[k]}")
            if x.shape[1:] != y.shape[1:]:
                raise InputError(
                    f"The pair {_stem(names[k])} of {where} has {pixels(x)} and {pixels(y)} pixels: "
                    "both must have the same size."
                )
            return (y, x) if reverse else (x, y)

        (first, second), kept = self._stack(Place(where, names, load), channels, _hw(size), least, "pairs")
        self._note((first, second))
        return Pairs(first, second, [_stem(names[k]) for k in kept])

    def domains(self, size: Size, channels: int = 3, split: str = "train", least: int = 1) -> tuple[ImageSet, ImageSet]:
        """Two sets of images that are no pairs: of two places, or of the two sub-folders of one, by name.

        Arguments as for :meth:`images`; ``least`` is for each of the two.
        """
        sets = self._sides(split)
        if len(sets) == 1:
            raise InputError(f"{sets[0].where} does not have just two sub-folders: give two places.")
        a, b = (self._images(one, size, channels, least) for one in sets)
        return a, b

    def _open(self, split: str, kind: Kind = IMAGES) -> list[Place]:
        """The places of a split; what lies beside the splits is named."""
        places = [open_place(path, split, kind) for path in self.paths]
        self.splits[split] = all(one.split for one in places)
        for one in places:
            if one.beside and self.strict:
                raise InputError(f"{one.where} has {one.beside}: move them into a split, or out of the data.")
            if one.beside:
                self.warn(f"{one.where}: {one.beside} are left out")
        return places

    def _note(self, images: Iterable[Tensor]) -> None:
        """Take what was read into the fingerprint."""
        for x in images:
            self._seen.update(str(tuple(x.shape)).encode())
            self._seen.update(np.ascontiguousarray(x.numpy()).data)

    def _sides(self, split: str) -> list[Place]:
        """Two sets, or one that has no halves."""
        if len(self.paths) > 2 and len(self.paths) % 2:
            raise InputError(f"Two sets of images need one place or an even number of places, not {len(self.paths)}.")
        sets = self._open(split)
        return [join(sets[::2]), join(sets[1::2])] if len(sets) > 1 else sets[0].halves() or sets

    def _images(self, one: Place, size: Size, channels: int, least: int) -> ImageSet:
        x = one.whole(channels, _hw(size))
        kept = list(range(len(one.names)))
        if x is None:
            (x,), kept = self._stack(one, (channels,), _hw(size), least, "images")
        check_least(one.where, len(x), least, "images")
        self._note([x])
        of_rows = (one.labels, one.attributes, one.named)
        labels, attributes, named = (None if a is None else torch.from_numpy(a[kept]) for a in of_rows)
        names = [_stem(one.names[k]) for k in kept]
        captions = None if one.captions is None else one.captions[kept]
        return ImageSet(x, labels, one.classes, names, attributes, one.attribute_names, captions, named)

    def _stack(
        self, one: Place, channels: tuple[int, ...], size: tuple[int, int] | None, least: int, noun: str
    ) -> tuple[list[Tensor], list[int]]:
        """The images, or the first and the second ones of pairs; and the indices of those that can be read."""
        n, free = len(one.names), free_memory()
        if size:
            check_memory(one.where, n * sum(channels) * size[0] * size[1], free)
        stacks: list[Bytes] = []
        kept: list[int] = []
        for k, images in self._usable(one, least, noun):
            arrays = [_fit(x, c, size) for x, c in zip(images, channels, strict=True)]
            if not stacks:
                check_memory(one.where, n * sum(array.nbytes for array in arrays), free)
                stacks = [np.empty((n, *array.shape), np.uint8) for array in arrays]
            for stack, array in zip(stacks, arrays, strict=True):
                if array.shape != stack.shape[1:]:
                    raise InputError(
                        f"{one.names[kept[0]]} has {pixels(stack[0])} pixels and {one.names[k]} {pixels(array)}: "
                        "give a size, and all are cropped and resized to it."
                    )
                stack[len(kept)] = array
            kept.append(k)
        return [torch.from_numpy(stack[: len(kept)]) for stack in stacks], kept

    def _usable(self, one: Place, least: int, noun: str) -> Iterator[tuple[int, tuple[Array, ...]]]:
        """Index and images of all that can be read, one after the other: threads gained nothing on two busy cores."""
        where, names = one.where, one.names
        check_least(where, len(names), least, noun)
        bad: list[MediaError] = []
        reasons = []
        for k, name in enumerate(names):
            try:
                images = one.load(k)
            except MediaError as error:
                if self.strict:
                    raise
                bad.append(error)
                reasons.append(f"{name} ({str(error).partition(': ')[2].rpartition(': ')[0]})")
            else:
                yield k, images
        if bad and len(bad) == len(names):
            raise bad[0]
        if bad:
            self.warn(f"{len(bad)} of {len(names)} {noun} cannot be read and are left out: {some(reasons, 3)}")
        check_least(where, len(names) - len(bad), least, noun)

    def _partners(self, a: Place, b: Place) -> list[tuple[int, int]]:
        """Rows of the two sets whose names are the same."""
        if len(a.names) != len(b.names) and not any("." in one.names[0] for one in (a, b)):
            raise InputError(
                f"{a.where} holds {len(a.names):,} images and {b.where} {len(b.names):,}: "
                "the first of one is paired with the first of the other, so give both as many."
            )
        ours, theirs = ({_stem(name): i for i, name in enumerate(one.names)} for one in (a, b))
        rows = [(i, theirs[name]) for name, i in ours.items() if name in theirs]
        if not rows:
            raise InputError(
                f"{a.where} and {b.where} have no names in common, one has {a.names[0]}, the other {b.names[0]}: "
                "give the two of a pair the same name."
            )
        used = [set(column) for column in zip(*rows, strict=True)]
        alone = [
            name for one, kept in zip((a, b), used, strict=True) for i, name in enumerate(one.names) if i not in kept
        ]
        if alone:
            message = f"{len(alone)} images of {a.where} and {b.where} have no partner of the same name"
            if self.strict:
                raise InputError(f"{message} ({some(alone, 3)}): rename or delete them.")
            self.warn(f"{message} and are left out: {some(alone, 3)}")
        return rows


def doubts(sets: Iterable[Tensor | Sequence[Tensor]]) -> list[str]:
    """What makes it doubtful that something can be learnt from images: all are of one shade, or the same image.

    ``sets`` are sets of images, each uint8 ``(N, C, H, W)``, or a sequence of ``(C, H, W)``; others are left out.
    """
    reasons = []
    for images in sets:
        if not len(images) or images[0].dtype != torch.uint8 or images[0].ndim != 3:
            continue
        arrays = [x.numpy() for x in images]
        low, high = min(int(x.min()) for x in arrays), max(int(x.max()) for x in arrays)
        copies = max(Counter(hashlib.sha256(np.ascontiguousarray(x).data).digest() for x in arrays).values())
        if high - low < FAINT:
            shade = "black" if high < FAINT else "white" if low > 255 - FAINT else "of one shade"
            reasons.append(f"all {len(arrays):,} images are {shade} (values from {low} to {high} of 255)")
        elif 2 * copies > max(2, len(arrays)):
            reasons.append(f"{copies:,} of {len(arrays):,} images are the same one")
    return reasons


def _fit(image: Array, channels: int, size: tuple[int, int] | None) -> Bytes:
    """uint8 ``(channels, *size)`` of an image: 8 bits come back exactly, and are what is resized."""
    values: Bytes = np.rint(fit(image, channels, None) * 255).astype(np.uint8)
    if size is None or values.shape[1:] == size:
        return values
    height, width = values.shape[1:]
    scale = min(height / size[0], width / size[1])
    high, wide = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    top, left = (height - high) // 2, (width - wide) // 2
    method = Image.Resampling.BOX if high >= size[0] and wide >= size[1] else Image.Resampling.LANCZOS
    planes = [Image.fromarray(plane[top : top + high, left : left + wide]) for plane in values]
    return np.stack([np.asarray(plane.resize(size[::-1], method)) for plane in planes])


def _cut(image: Array, what: str) -> tuple[Array, Array]:
    """The left and the right half."""
    _, height, width = image.shape
    if width % 2 or not 1.5 * height <= width <= 3 * height:
        raise InputError(
            f"{what} has {pixels(image)} pixels, which are not two images side by side: "
            "give two places, or one with two sub-folders."
        )
    return image[:, :, : width // 2], image[:, :, width // 2 :]


def check_least(where: str, n: int, least: int, noun: str) -> None:
    """Refuse fewer samples than are needed.

    Args:
        where: the data, for the error.
        n: how many there are.
        least: how many are needed, such as one batch.
        noun: what they are called, in the plural.

    Raises:
        InputError: with the cure.
    """
    if n < least:
        raise InputError(
            f"{where} hold{'' if ' and ' in where else 's'} {n} {noun if n != 1 else noun[:-1]} and at least {least} "
            f"are needed: add {noun}{', or make the batch smaller with --set batch_size=NUMBER' if least > 2 else ''}."
        )


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _hw(size: Size) -> tuple[int, int] | None:
    return (size, size) if isinstance(size, int) else size


def pixels(x: Array | Bytes | Tensor) -> str:
    return f"{x.shape[2]}x{x.shape[1]}"
