"""Pictures outside the networks: what holds them, grids, writing, fitting to a network; ``reading`` opens them.

Outside the networks a picture is a float32 array ``(C, H, W)`` in [0, 1], with C = 1 (grey) or 3 (RGB).
"""

from __future__ import annotations

import io
import math
import operator
import os
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageOps

from zoo.errors import InputError, PictureError, check_count
from zoo.files import atomic_write
from zoo.reading import Array, Info, from_array, from_pil, named_files, opaque, read_open, read_path

if TYPE_CHECKING:
    import torch

WRITES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
}
# Level 1 with zlib's strategy RLE (3) wrote a sheet of photos 2.2 times as fast as Pillow's default, and smaller.
_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {"compress_level": 1, "compress_type": 3},
    "JPEG": {"quality": 92},
    "WEBP": {"quality": 92},
}


# Pixels on a side that a format can say. libjpeg stops before the 65,535 of the standard.
_LARGEST = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535}
_BYTES = 255  # that file systems give a name


class Images:
    """A sequence of pictures, of one size or several; iterating gives PIL pictures.

    Attributes:
        arrays: float32 ``(C, H, W)`` in [0, 1] each: C is 1 for grey, 3 for RGB, one more where there is transparency.
        names: where each came from, relative to the folder it was in, or ``0000``, ``0001``, ... .
        seed: the seed that made them, for generated pictures.
        infos: what the file of each said beside the pixels: EXIF and resolution. :meth:`save` writes it into results.

    Raises:
        InputError: for arrays of another shape or kind, or another number of names.
    """

    def __init__(
        self,
        arrays: Iterable[Array],
        names: Sequence[str] | None = None,
        seed: int | None = None,
        infos: Sequence[Info] | None = None,
    ) -> None:
        self.arrays = list(arrays)
        width = max(4, len(str(len(self.arrays) - 1)))  # so that names sort as numbers do
        self.names = [str(name) for name in names or ()]
        if names is None:
            self.names = [f"{i:0{width}d}" for i in range(len(self.arrays))]
        self._check()
        self.seed = seed
        self.infos = list(infos) if infos is not None else [Info()] * len(self.arrays)

    def _check(self) -> None:
        for array in self.arrays:
            if array.ndim != 3 or array.shape[0] not in (1, 2, 3, 4) or array.dtype.kind != "f":
                raise InputError(
                    f"The arrays of Images are floats (C, H, W), C from 1 to 4, not {array.dtype} {array.shape}: "
                    "zoo.Images.of takes others."
                )
        if len(self.names) != len(self.arrays):
            raise InputError(f"There are {len(self.names)} names for {len(self.arrays)} pictures: give each a name.")

    @classmethod
    def of(cls, source: Any, alpha: bool = False, max_pixels: int | None = None) -> Images:
        """Pictures of anything that holds pictures.

        Args:
            source: one of these, or a list or tuple of them, which may be mixed:

                - the path of a picture, or of a folder, which is searched to the bottom in the order of names; what is
                  no picture is left out (:func:`zoo.reading.picture_files` says what)
                - the bytes of a file, or an open binary file, which is read from its beginning
                - a PIL picture
                - a numpy array ``(H, W)``, ``(H, W, C)`` or ``(N, H, W, C)``: uint8, uint16, or float in [0, 1]
                - a torch tensor ``(C, H, W)`` or ``(N, C, H, W)``: uint8, or float in [0, 1]
                - Images
            alpha: whether pictures that are transparent somewhere keep that, as their last channel.
            max_pixels: more pixels in a file are refused as a decompression bomb; ``PIL.Image.MAX_IMAGE_PIXELS``
                (89 million) by default.

        Colour comes out as grey or RGB: transparency is laid on white unless ``alpha`` is set, palettes and CMYK are
        converted, a colour profile is applied and gives sRGB, 16 bits are kept, the rotation in a camera's EXIF is
        applied, and of an animation the first frame is taken.

        Raises:
            InputError: for what holds no pictures, with the reason.
            PictureError: for a picture file that is damaged, or needs more memory than is free.
        """
        if isinstance(source, Images):
            return source if alpha else cls(map(opaque, source.arrays), source.names, source.seed, source.infos)
        if max_pixels is not None:
            check_count("max_pixels", max_pixels)
        found = list(_read(source, alpha, max_pixels))
        names = [name for name, _, _ in found]
        return cls([array for _, array, _ in found], names if all(names) else None, None, [info for *_, info in found])

    @classmethod
    def from_network(cls, output: Any) -> Images:
        """What a network made: a torch tensor or numpy array ``(N, C, H, W)`` or ``(C, H, W)``, about in [-1, 1].

        Values beyond are clipped: networks overshoot.

        Raises:
            InputError: for another shape, or NaN and infinite values.
        """
        values = _numpy(output, "What a network made")
        if values.ndim not in (3, 4) or values.shape[-3] not in (1, 2, 3, 4) or 0 in values.shape:
            raise InputError(f"A network's pictures are (N, C, H, W) or (C, H, W), C from 1 to 4, not {values.shape}.")
        if not np.issubdtype(values.dtype, np.floating):
            raise InputError(f"A network's pictures are floats in [-1, 1], not {values.dtype}: use zoo.Images.of.")
        if not np.isfinite(values).all():
            raise InputError("A network's pictures have NaN or infinite values: its weights or its input are broken.")
        pictures = values.astype(np.float32).reshape(-1, *values.shape[-3:])
        return cls(list(np.clip((pictures + 1) / 2, 0, 1)))

    def __len__(self) -> int:
        return len(self.arrays)

    def __iter__(self) -> Iterator[Image.Image]:
        return (_to_pil(array) for array in self.arrays)

    def __getitem__(self, index: int | slice) -> Images:
        """Some of the pictures, as Images."""
        if isinstance(index, slice):
            chosen = index
        else:
            number = operator.index(index)
            if not -len(self) <= number < len(self):
                raise IndexError(f"there are {len(self)} pictures: no number {number}")
            chosen = slice(number, number + 1 or None)
        return Images(self.arrays[chosen], self.names[chosen], self.seed, self._infos()[chosen])

    def _infos(self) -> list[Info]:
        """One for each picture, also where ``arrays`` has been changed by hand."""
        return (self.infos + [Info()] * len(self.arrays))[: len(self.arrays)]

    def __repr__(self) -> str:
        sizes = sorted({array.shape for array in self.arrays})
        shapes = ", ".join("x".join(map(str, size)) for size in sizes[:3])
        return f"<{len(self)} pictures of {shapes}{', ...' if len(sizes) > 3 else ''}>"

    def numpy(self) -> Array:
        """All pictures as one float32 array ``(N, C, H, W)`` in [0, 1]; they must be of one size."""
        if len({array.shape for array in self.arrays}) > 1:
            raise InputError("These pictures have several sizes: use .arrays, or take them one by one.")
        return np.stack(self.arrays)

    @property
    def tensor(self) -> torch.Tensor:
        """All pictures as one float32 tensor ``(N, C, H, W)`` in [0, 1]; they must be of one size."""
        import torch

        return torch.from_numpy(self.numpy())

    def grid(self, columns: int | None = None, padding: int = 2) -> Image.Image:
        """All pictures on one sheet, white between them.

        Args:
            columns: how many side by side; as square as it goes by default.
            padding: pixels between the pictures.
        """
        if not self.arrays:
            raise InputError("There are no pictures to lay out.")
        columns = columns or math.ceil(math.sqrt(len(self)))
        height, width = (max(array.shape[i] for array in self.arrays) + padding for i in (1, 2))
        rows = math.ceil(len(self) / columns)
        arrays = [opaque(array) for array in self.arrays]
        channels = max(array.shape[0] for array in arrays)
        sheet = np.full((rows * height - padding, columns * width - padding, channels), 255, np.uint8)
        for i, array in enumerate(arrays):
            top, left = i // columns * height, i % columns * width
            sheet[top : top + array.shape[1], left : left + array.shape[2]] = _to_bytes(array)
        return Image.fromarray(sheet[..., 0] if channels == 1 else sheet)

    def save(self, path: str | os.PathLike[str], *, format: str | None = None, bits: int = 8) -> None:
        """Write to a file (several pictures become one grid) or a folder (one file each, under their names).

        Nothing is left half written: a file gets its name when it is whole. EXIF and resolution of the picture that
        each was made from are written, too, where the format has a place for them. Whatever the names are, nothing is
        written outside of the folder: :func:`file_names`.

        Args:
            path: a file ends in .png, .jpg, .webp, .tif, .bmp or .gif; a folder exists, has no ending, or ends in /.
            format: png, jpeg, webp, tiff, bmp or gif; by default what the file's name ends in, and png in a folder.
            bits: 16 for PNG with 16 bits.

        Raises:
            InputError: for an ending that is no picture format, or pictures too large for it.
            PictureError: where the disk does not take it.
        """
        self._check()  # again: lists can be changed
        check_output(path, format=format, bits=bits)
        target = Path(path)
        if not is_folder(path):
            info = self._infos()[0] if len(self) == 1 else Info()
            picture: Array | Image.Image = self.arrays[0] if len(self) == 1 else self._grid_checked(target, format)
            return write(picture, target, format=format, bits=bits, info=info)
        names = file_names(self.names, ending(format))
        for array, name, info in zip(self.arrays, names, self._infos(), strict=True):
            write(array, target / name, format=format, bits=bits, info=info)
        return None

    def _grid_checked(self, path: Path, format: str | None) -> Image.Image:
        """The grid, if the format can hold it."""
        if self.arrays:
            height, width = (max(array.shape[i] for array in self.arrays) for i in (1, 2))
            check_output(path, size=grid_size(len(self), height, width), format=format)
        return self.grid()

    def png(self) -> bytes:
        """The picture, or the grid of several, as the bytes of a PNG file."""
        return _encode(_to_pil(self.arrays[0]) if len(self) == 1 else self.grid(), "PNG", Info())

    def _repr_png_(self) -> bytes:
        return self.png()


def grid_size(n: int, height: int, width: int) -> tuple[int, int]:
    """Width and height of the grid of ``n`` pictures, as :meth:`Images.grid` lays them out, in pixels."""
    columns = math.ceil(math.sqrt(n))
    return columns * (width + 2) - 2, math.ceil(n / columns) * (height + 2) - 2


def unique(names: Iterable[str]) -> list[str]:
    """The same names, with ``-2``, ``-3``, ... behind those that came before; case does not tell files apart."""
    seen: set[str] = set()
    made = []
    for name in names:
        new, number = name, 2
        while new.lower() in seen:
            new, number = f"{name}-{number}", number + 1
        seen.add(new.lower())
        made.append(new)
    return made


def file_names(names: Iterable[str], ending: str = ".png") -> list[str]:
    """Names of files for results: relative, below the folder they are written to, each another, and short enough.

    Sub-folders stay. ``..``, roots, drives, backslashes and characters that no file system takes are taken out.

    Args:
        names: what the results are called.
        ending: of the files.
    """
    seen: set[str] = set()
    made = []
    for number, name in enumerate(names):
        name = re.sub(r"^[A-Za-z]:|[\0\\]", "_", name)
        if not _encodable(name):
            name = re.sub("[\ud800-\udfff]", "_", name)  # halves of characters
        parts = [_shortened(part) for part in name.split("/") if part not in ("", ".", "..")]
        *folders, last = parts or [f"{number:04d}"]
        base, count = last, 1
        while True:
            tail = f"-{count}{ending}" if count > 1 else ending
            file = "/".join([*folders, _shortened(base, tail)])
            if file.lower() not in seen:
                break
            count += 1
        seen.add(file.lower())
        made.append(file)
    return made


def _encodable(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def _shortened(name: str, tail: str = "") -> str:
    """A name with its tail in as many bytes as file systems take."""
    room = _BYTES - len(os.fsencode(tail))
    while len(os.fsencode(name)) > room:
        name = name[: max(room // 4, len(name) - 8)] if len(name) > 8 else name[:-1]
    return name + tail


def is_folder(output: str | os.PathLike[str]) -> bool:
    """Whether an output is a folder: it exists as one, has no ending, or is a text that ends in a slash.

    A ``Path`` has lost the slash: give what was typed.
    """
    text = os.fspath(output)
    there = os.path.isdir(text)  # noqa: PTH112 - Path.is_dir raises for a name that is too long
    return there or text.endswith(("/", os.sep)) or not Path(text).suffix


def ending(format: str | None = None) -> str:
    """With the dot, what files of a format end in: png by default.

    Raises:
        InputError: for what is no format.
    """
    kind = _kind(format or "png")
    return {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp", "GIF": ".gif"}[kind]


def _kind(format: str) -> str:
    """Pillow's name of a format that a user named."""
    kind = WRITES.get(f".{str(format).lower().lstrip('.')}")
    if not kind:
        known = ", ".join(sorted({name.lower() for name in WRITES.values()}))
        raise InputError(f"{format!r} is no picture format: use {known}.")
    return kind


def check_output(
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    format: str | None = None,
    bits: int = 8,
) -> None:
    """Refuse an output that cannot work before any time is spent on it.

    Args:
        path: a file or folder, as :meth:`Images.save` takes it.
        size: width and height of what will be written, in pixels, if that is known.
        format: as for :meth:`Images.save`.
        bits: likewise.

    Raises:
        InputError: for a name, format or size that cannot be written.
        PictureError: for a place where nothing may be written.
    """
    if not isinstance(path, (str, os.PathLike)) or not isinstance(text := os.fspath(path), str):
        raise InputError(f"A path is a text or a Path, not {path!r}.")
    if not text or "\0" in text or not _encodable(text):
        raise InputError(f"{text!r} is no path that can be written to: give another.")
    target, suffix = Path(path), Path(path).suffix.lower()
    if any(len(os.fsencode(part)) > _BYTES for part in target.parts):
        raise InputError(f"{path} is too long: a name takes at most {_BYTES} bytes.")
    folder = is_folder(path)
    if not folder and not format and suffix not in WRITES:
        raise InputError(f"{path}: {suffix} is no picture format: use {', '.join(WRITES)}, or a folder.")
    kind = _kind(format or ("png" if folder else suffix))
    if not folder and WRITES.get(suffix, kind) != kind:
        raise InputError(f"{path} ends in {suffix}, and the format is {format}: give {target.stem}{ending(format)}.")
    if bits not in (8, 16) or isinstance(bits, bool):
        raise InputError(f"bits must be 8 or 16, not {bits!r}.")
    if bits == 16 and kind != "PNG":
        raise InputError(f"{path}: 16 bits are written as PNG, not as {kind}: use .png, or 8 bits.")
    if size:
        _check_size(str(path), kind, size)
    home = target if folder and os.path.isdir(target) else target.parent  # noqa: PTH112 - is_dir raises for long names
    while not os.path.lexists(home) and home != home.parent:
        home = home.parent
    if not os.path.isdir(home) or not os.access(home, os.W_OK):  # noqa: PTH112
        raise PictureError(f"{path} cannot be written: {home} is not a folder that you may write to.")


def _check_size(what: str, kind: str, size: tuple[int, int]) -> None:
    most = _LARGEST.get(kind)
    large = max(size) > most if most else kind in ("TIFF", "BMP") and size[0] * size[1] * 4 >= 1 << 32
    if large:
        limit = f"at most {most:,} pixels on a side" if most else "less than 4 GB"
        cure = "use .png or .tif" if most else "use .png"
        raise InputError(
            f"{what}: {size[0]:,} x {size[1]:,} pixels are too many for {kind}, which takes {limit}: {cure}."
        )


def write(
    picture: Image.Image | Array,
    path: Path,
    *,
    format: str | None = None,
    bits: int = 8,
    info: Info | None = None,
) -> None:
    """Write one picture, aside first, then under its name.

    Args:
        picture: of PIL, or ``(C, H, W)`` in [0, 1].
        path: the file.
        format: as for :meth:`Images.save`.
        bits: likewise.
        info: what to write beside the pixels.

    Raises:
        InputError: for a name, format or size that cannot be written.
        PictureError: where the disk does not take it.
    """
    if bits == 16 and isinstance(picture, Image.Image):
        picture, _ = from_pil(picture, "The picture", alpha=True)
    size = picture.size if isinstance(picture, Image.Image) else (picture.shape[2], picture.shape[1])
    check_output(path, size=size, format=format, bits=bits)
    if bits == 16 and not isinstance(picture, Image.Image):
        return write_bands([picture], picture.shape, path, bits=16, info=info)
    kind = _kind(format or path.suffix)
    try:
        content = _encode(picture if isinstance(picture, Image.Image) else _to_pil(picture), kind, info or Info())
        with atomic_write(path) as aside:
            aside.write_bytes(content)
    except OSError as error:
        raise PictureError(f"{path} cannot be written: {error.strerror or error}.") from None
    except MemoryError:
        raise PictureError(f"{path} cannot be written: it needs more memory than is free.") from None
    return None


def write_bands(
    bands: Iterable[Array], shape: tuple[int, ...], path: Path, *, bits: int = 8, info: Info | None = None
) -> None:
    """Write a picture that comes from top to bottom, and that memory need not hold, as PNG.

    Args:
        bands: ``(C, h, W)`` in [0, 1] each.
        shape: ``(C, H, W)`` of the whole.
        path: the file; it gets its name when all of it is there.
        bits: of each value, 8 or 16.
        info: what to write beside the pixels.

    Raises:
        PictureError: where the disk does not take it.
    """
    check_output(path, format="png", bits=bits)
    channels, height, width = shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    # As in _OPTIONS: runs of equal bytes, in the difference of each row to the one above.
    packer = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    above = np.zeros((1, width * channels * bits // 8), np.uint8)
    try:
        with atomic_write(path) as aside, aside.open("wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n")
            file.write(_chunk(b"IHDR", struct.pack(">2I5B", width, height, bits, colour_type, 0, 0, 0)))
            for kind, content in _chunks(info or Info(), channels):
                file.write(_chunk(kind, content))
            for band in bands:
                values = _to_bytes(band) if bits == 8 else _to_words(band).view(np.uint8)
                rows = values.reshape(band.shape[1], -1)
                filtered = np.pad(rows - np.concatenate([above, rows[:-1]]), ((0, 0), (1, 0)), constant_values=2)
                file.write(_chunk(b"IDAT", packer.compress(filtered.tobytes())))
                above = rows[-1:]
            file.write(_chunk(b"IDAT", packer.flush()))
            file.write(_chunk(b"IEND", b""))
    except OSError as error:
        raise PictureError(f"{path} cannot be written: {error.strerror or error}.") from None


def _chunks(info: Info, channels: int) -> Iterator[tuple[bytes, bytes]]:
    """What is written beside the pixels, as PNG has it."""
    if info.srgb and channels > 2:
        yield b"iCCP", b"sRGB\0\0" + zlib.compress(_srgb())
    if info.dpi:
        yield b"pHYs", struct.pack(">2IB", *(round(dots / 0.0254) for dots in info.dpi), 1)  # for each metre
    if info.exif:
        yield b"eXIf", info.exif.removeprefix(b"Exif\0\0")


@cache
def _srgb() -> bytes:
    """The profile of sRGB, without the time at which it was made, so that the same picture is the same file."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + bytes(12) + profile[36:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def colours(array: Array) -> Array:
    """A picture ``(C, H, W)`` without its transparency, C = 1 or 3.

    A pixel that is not seen at all gets the colour of the nearest one that is: what it has is chance, often black, and
    would run into the edges wherever pixels are mixed.
    """
    if array.shape[0] not in (2, 4):
        return array
    colour, seen = array[:-1], array[-1] > 0
    if seen.all() or not seen.any():
        return colour
    height, width = seen.shape
    nearest = _nearest(seen)
    filled: Array = colour.reshape(len(colour), -1)[:, nearest.reshape(-1)].reshape(-1, height, width)
    return filled


def _nearest(seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """For each pixel ``(H, W)`` the number of the nearest one that is seen; a step to any neighbour counts one.

    Rows are gone through down and up: what is nearest comes from the row before or from the same row.
    """
    height, width = seen.shape
    step = np.int64(height * width)  # distance and number in one: the least of them is the nearest
    keys = np.where(seen, np.arange(height * width).reshape(height, width), step * (height + width))
    along = step * np.arange(width)

    def spread(row: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        right = np.minimum.accumulate(row - along) + along
        left = (np.minimum.accumulate((row + along)[::-1]))[::-1] - along
        found: npt.NDArray[np.int64] = np.minimum(right, left)
        return found

    for order in (range(height), range(height - 1, -1, -1)):
        before = None
        for y in order:
            if before is not None:
                wide = np.pad(before, 1, mode="edge")
                near = np.minimum(np.minimum(wide[:-2], wide[2:]), before)
                keys[y] = np.minimum(keys[y], near + step)
            keys[y] = before = spread(keys[y])
    nearest: npt.NDArray[np.int64] = keys % step
    return nearest


def fit(array: Array, channels: int | None, size: tuple[int, int] | None) -> Array:
    """A picture ``(C, H, W)`` with the channels and size that a network takes.

    Colour becomes grey by its luma (ITU-R BT.601); grey becomes colour by repetition; transparency is laid on white,
    and stays if ``channels`` is None. For another size the largest centred part of the right shape is resized
    (Lanczos), each pixel counting as much as it is seen.
    """
    if channels:
        array = opaque(array)
    if channels == 1 and array.shape[0] == 3:
        array = np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), array, 1)[None]
    elif channels == 3 and array.shape[0] == 1:
        array = np.repeat(array, 3, 0)
    if size and array.shape[1:] != size:
        if array.shape[0] in (2, 4):
            *colour, alpha = _resized(np.concatenate([colours(array) * array[-1:], array[-1:]]), size)
            plain = _resized(colours(array), size)
            shown = alpha > 1 / 512
            mixed = np.where(shown, np.stack(colour) / np.where(shown, alpha, 1), plain)
            array = np.concatenate([mixed, alpha[None]])
        else:
            array = _resized(array, size)
        array = np.clip(array, 0, 1)
    return array


def _resized(array: Array, size: tuple[int, int]) -> Array:
    planes = [ImageOps.fit(Image.fromarray(plane), size[::-1], Image.Resampling.LANCZOS) for plane in array]
    return np.stack([np.asarray(plane) for plane in planes])


def _read(source: Any, alpha: bool, max_pixels: int | None, item: str = "") -> Iterator[tuple[str, Array, Info]]:
    """Name (may be empty), array and info of every picture in the source; errors call what has no name ``item``."""
    if isinstance(source, Images):
        made = Images.of(source, alpha)
        yield from zip(made.names, made.arrays, made._infos(), strict=True)
    elif isinstance(source, str) and source.startswith(("http://", "https://")):
        raise InputError(f"{source} is an address, and nothing is fetched from the network here: download it first.")
    elif isinstance(source, (str, os.PathLike)):
        if not os.fspath(source):  # an unset variable; Path would take it for the current folder
            raise InputError("The path of a picture is empty: name a file, or . for the current folder.")
        for name, file in named_files(Path(source)):
            yield name, *read_path(file, alpha, max_pixels)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        yield "", *read_open(io.BytesIO(source), item or "The bytes", alpha, max_pixels)
    elif isinstance(source, Image.Image):
        yield "", *from_pil(source, item or "The picture", alpha)
    elif isinstance(source, np.ndarray):
        yield from (("", array, Info()) for array in from_array(source, alpha, item or "The array"))
    elif hasattr(source, "detach") and hasattr(source, "movedim"):  # a torch tensor, torch not imported
        if source.ndim not in (3, 4):
            raise InputError(
                f"{item or 'A tensor'} of pictures is (C, H, W) or (N, C, H, W), not {tuple(source.shape)}."
            )
        values = np.moveaxis(_numpy(source, item or "The tensor"), -3, -1)
        yield from (("", array, Info()) for array in from_array(values, alpha, item or "The tensor"))
    elif hasattr(source, "read"):
        yield "", *_read_file_object(source, item, alpha, max_pixels)
    elif isinstance(source, Iterable):
        for number, part in enumerate(source):
            yield from _read(part, alpha, max_pixels, f"Picture {number}")
    else:
        raise InputError(
            f"{type(source).__name__} holds no pictures: give a path, bytes, a PIL picture, an array or a tensor."
        )


def _numpy(values: Any, what: str) -> npt.NDArray[Any]:
    """A tensor of any device and precision as an array; errors call it ``what``."""
    try:
        if hasattr(values, "detach"):
            values = values.detach().cpu()
            values = values.float() if values.is_floating_point() else values
        return np.asarray(values)
    except (RuntimeError, TypeError, ValueError) as error:  # sparse, quantized, on the meta device, or no numbers
        raise InputError(f"{what} is no plain tensor or array: {str(error).splitlines()[0]}") from None


def _read_file_object(source: Any, item: str, alpha: bool, max_pixels: int | None) -> tuple[Array, Info]:
    """One picture of an open file, from its beginning if it can go back."""
    name = getattr(source, "name", None)
    what = name if isinstance(name, str) and name else item or "The file"
    try:
        if hasattr(source, "seek") and getattr(source, "seekable", lambda: True)():
            source.seek(0)
        content = source.read()
    except (OSError, ValueError) as error:  # closed, for writing only, or text of another encoding
        raise InputError(f"{what} cannot be read: {error}: give a file opened with 'rb'.") from None
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise InputError(f"{what} gives {type(content).__name__}, not bytes: open it with 'rb'.")
    return read_open(io.BytesIO(content), what, alpha, max_pixels)


def _to_bytes(array: Array) -> npt.NDArray[np.uint8]:
    """``(C, H, W)`` in [0, 1] to uint8 ``(H, W, C)``, rounded to the nearest."""
    return _scaled(array, 255).astype(np.uint8)


def _to_words(array: Array) -> npt.NDArray[np.uint16]:
    """``(C, H, W)`` in [0, 1] to ``(H, W, C)`` of 16 bits, the high byte first, rounded to the nearest."""
    return np.ascontiguousarray(_scaled(array, 65535).astype(">u2"))


def _scaled(array: Array, most: int) -> Array:
    """``(C, H, W)`` in [0, 1] to ``(H, W, C)`` from 0 to ``most`` and a half; what lies beyond, by arithmetic, is cut.

    Raises:
        InputError: for NaN, of which integers make anything.
    """
    if not np.isfinite(array).all():
        raise InputError("A picture has NaN or infinite values: repair it first, with numpy.nan_to_num for instance.")
    scaled: Array = np.clip(array, 0, 1).transpose(1, 2, 0) * most + 0.5
    return scaled


def _to_pil(array: Array) -> Image.Image:
    values = _to_bytes(array)
    return Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)


def _encode(picture: Image.Image, kind: str, info: Info) -> bytes:
    buffer = io.BytesIO()
    if kind in ("JPEG", "BMP", "GIF") and picture.mode in ("LA", "RGBA"):  # which know no half transparency
        picture = _to_pil(from_pil(picture, "The picture")[0])
    options = dict(_OPTIONS.get(kind, {}))
    if info.dpi:
        options["dpi"] = info.dpi
    # The segment of a JPEG holds 64 KiB.
    if info.exif and kind in ("PNG", "JPEG", "WEBP", "TIFF") and len(info.exif) < 65_000:
        options["exif"] = info.exif
    if info.srgb and kind in ("PNG", "JPEG", "WEBP", "TIFF") and picture.mode in ("RGB", "RGBA"):
        options["icc_profile"] = _srgb()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
