"""Pictures outside the networks: what holds them, grids, writing, fitting to a network; ``reading`` opens them.

Outside the networks a picture is a float32 array ``(C, H, W)`` in [0, 1], with C = 1 (grey) or 3 (RGB).
"""

from __future__ import annotations

import io
import math
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from zoo.errors import InputError, PictureError
from zoo.files import atomic_write
from zoo.reading import Array, decode, from_array, from_pil, named_files, opaque, read_file

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


class Images:
    """A sequence of pictures, of one size or several; iterating gives PIL pictures.

    Attributes:
        arrays: float32 ``(C, H, W)`` in [0, 1] each: C is 1 for grey, 3 for RGB, one more where there is transparency.
        names: where each came from, relative to the folder it was in, or ``0000``, ``0001``, ... .
        seed: the seed that made them, for generated pictures.
    """

    def __init__(self, arrays: Iterable[Array], names: Sequence[str] | None = None, seed: int | None = None) -> None:
        self.arrays = list(arrays)
        self.names = list(names) if names is not None else [f"{i:04d}" for i in range(len(self.arrays))]
        self.seed = seed

    @classmethod
    def of(cls, source: Any, alpha: bool = False) -> Images:
        """Pictures of anything that holds pictures.

        Args:
            source: one of these, or a list or tuple of them, which may be mixed:

                - the path of a picture, or of a folder, which is searched to the bottom in the order of names
                - the bytes of a file, or an open binary file
                - a PIL picture
                - a numpy array ``(H, W)``, ``(H, W, C)`` or ``(N, H, W, C)``: uint8, uint16, or float in [0, 1]
                - a torch tensor ``(C, H, W)`` or ``(N, C, H, W)``: uint8, or float in [0, 1]
                - Images
            alpha: whether pictures that are transparent somewhere keep that, as their last channel.

        Colour comes out as grey or RGB: transparency is laid on white unless ``alpha`` is set, palettes and CMYK are
        converted, 16 bits are kept, the rotation in a camera's EXIF is applied, and of an animation the first frame is
        taken.

        Raises:
            InputError: for what holds no pictures, with the reason.
            PictureError: for a picture file that is damaged.
        """
        if isinstance(source, Images):
            return source if alpha else cls(map(opaque, source.arrays), source.names, source.seed)
        pairs = list(_read(source, alpha))
        names = [name for name, _ in pairs]
        return cls([array for _, array in pairs], names if all(names) else None)

    def __len__(self) -> int:
        return len(self.arrays)

    def __iter__(self) -> Iterator[Image.Image]:
        return (_to_pil(array) for array in self.arrays)

    def __getitem__(self, index: int | slice) -> Images:
        """Some of the pictures, as Images."""
        one = slice(index, index + 1 or None) if isinstance(index, int) else index
        if isinstance(index, int) and not -len(self) <= index < len(self):
            raise IndexError(f"there are {len(self)} pictures: no number {index}")
        return Images(self.arrays[one], self.names[one], self.seed)

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
        rows = math.ceil(len(self) / columns)
        height = max(array.shape[1] for array in self.arrays) + padding
        width = max(array.shape[2] for array in self.arrays) + padding
        arrays = [opaque(array) for array in self.arrays]
        channels = max(array.shape[0] for array in arrays)
        sheet = np.full((rows * height - padding, columns * width - padding, channels), 255, np.uint8)
        for i, array in enumerate(arrays):
            top, left = i // columns * height, i % columns * width
            sheet[top : top + array.shape[1], left : left + array.shape[2]] = _to_bytes(array)
        return Image.fromarray(sheet[..., 0] if channels == 1 else sheet)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to a file (several pictures become one grid) or a folder (one PNG each, under their names).

        Nothing is left half written: a file gets its name when it is whole.

        Args:
            path: a file ends in .png, .jpg, .webp, .tif, .bmp or .gif; a folder exists or has no ending.

        Raises:
            InputError: for an ending that is no picture format.
            PictureError: where the disk does not take it.
        """
        target = Path(path)
        if is_folder(target):
            for name, picture in zip(unique(self.names), self, strict=True):
                write(picture, target / f"{name}.png")
        else:
            write(self._sheet(), target)

    def png(self) -> bytes:
        """The picture, or the grid of several, as the bytes of a PNG file."""
        return _encode(self._sheet(), "PNG")

    def _sheet(self) -> Image.Image:
        return _to_pil(self.arrays[0]) if len(self) == 1 else self.grid()

    def _repr_png_(self) -> bytes:
        return self.png()


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


def is_folder(output: Path) -> bool:
    """Whether an output is a folder: it exists as one, or has no ending."""
    return output.is_dir() or not output.suffix


def check_output(path: Path) -> None:
    """Refuse an output that cannot work before any time is spent on it."""
    if not is_folder(path) and path.suffix.lower() not in WRITES:
        raise InputError(f"{path}: {path.suffix} is no picture format: use {', '.join(WRITES)}, or a folder.")
    home = path if path.is_dir() else path.parent
    while not home.exists():
        home = home.parent
    if not home.is_dir() or not os.access(home, os.W_OK):
        raise PictureError(f"{path} cannot be written: {home} is not a folder that you may write to.")


def write(picture: Image.Image, path: Path) -> None:
    """Write one picture in the format of its ending, aside first, then under its name."""
    check_output(path)
    try:
        with atomic_write(path) as aside:
            aside.write_bytes(_encode(picture, WRITES[path.suffix.lower()]))
    except OSError as error:
        raise PictureError(f"{path} cannot be written: {error.strerror or error}.") from None


def write_bands(bands: Iterable[Array], shape: tuple[int, ...], path: Path) -> None:
    """Write a picture that comes from top to bottom, and that memory need not hold, as PNG.

    Args:
        bands: ``(C, h, W)`` in [0, 1] each.
        shape: ``(C, H, W)`` of the whole.
        path: the file; it gets its name when all of it is there.

    Raises:
        PictureError: where the disk does not take it.
    """
    check_output(path)
    channels, height, width = shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    # As in _OPTIONS: runs of equal bytes, in the difference of each row to the one above.
    packer = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    above = np.zeros((1, width * channels), np.uint8)
    try:
        with atomic_write(path) as aside, aside.open("wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n")
            file.write(_chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, colour_type, 0, 0, 0)))
            for band in bands:
                rows = _to_bytes(band).reshape(band.shape[1], -1)
                filtered = np.pad(rows - np.concatenate([above, rows[:-1]]), ((0, 0), (1, 0)), constant_values=2)
                file.write(_chunk(b"IDAT", packer.compress(filtered.tobytes())))
                above = rows[-1:]
            file.write(_chunk(b"IDAT", packer.flush()))
            file.write(_chunk(b"IEND", b""))
    except OSError as error:
        raise PictureError(f"{path} cannot be written: {error.strerror or error}.") from None


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def fit(array: Array, channels: int | None, size: tuple[int, int] | None) -> Array:
    """A picture ``(C, H, W)`` with the channels and size that a network takes.

    Colour becomes grey by its luma (ITU-R BT.601); grey becomes colour by repetition. For another size the
    largest centred part of the right shape is resized (Lanczos).
    """
    if channels == 1 and array.shape[0] == 3:
        array = np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), array, 1)[None]
    elif channels == 3 and array.shape[0] == 1:
        array = np.repeat(array, 3, 0)
    if size and array.shape[1:] != size:
        planes = [ImageOps.fit(Image.fromarray(plane), size[::-1], Image.Resampling.LANCZOS) for plane in array]
        array = np.clip(np.stack([np.asarray(plane) for plane in planes]), 0, 1)
    return array


def _read(source: Any, alpha: bool) -> Iterator[tuple[str, Array]]:
    """Name (may be empty) and array of every picture in the source."""
    if isinstance(source, Images):
        yield from zip(source.names, Images.of(source, alpha).arrays, strict=True)
    elif isinstance(source, str) and source.startswith(("http://", "https://")):
        raise InputError(f"{source} is an address, and nothing is fetched from the network here: download it first.")
    elif isinstance(source, (str, os.PathLike)):
        yield from ((name, read_file(file, alpha)) for name, file in named_files(Path(source)))
    elif isinstance(source, (bytes, bytearray, memoryview)):
        yield "", decode(io.BytesIO(source), "The bytes", len(source), alpha)
    elif isinstance(source, Image.Image):
        yield "", from_pil(source, "The picture", alpha)
    elif isinstance(source, np.ndarray):
        yield from (("", array) for array in from_array(source, alpha))
    elif hasattr(source, "detach") and hasattr(source, "movedim"):  # a torch tensor, torch not imported
        if source.ndim not in (3, 4):
            raise InputError(f"A tensor of pictures is (C, H, W) or (N, C, H, W), not {tuple(source.shape)}.")
        tensor = source.detach().cpu()
        values = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        yield from (("", array) for array in from_array(np.moveaxis(values, -3, -1), alpha))
    elif hasattr(source, "read"):
        yield from _read(source.read(), alpha)
    elif isinstance(source, Iterable):
        for item in source:
            yield from _read(item, alpha)
    else:
        raise InputError(
            f"{type(source).__name__} holds no pictures: give a path, bytes, a PIL picture, an array or a tensor."
        )


def _to_bytes(array: Array) -> npt.NDArray[np.uint8]:
    """``(C, H, W)`` in [0, 1] to uint8 ``(H, W, C)``, rounded to the nearest."""
    values: npt.NDArray[np.uint8] = (array.transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8)
    return values


def _to_pil(array: Array) -> Image.Image:
    values = _to_bytes(array)
    return Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)


def _encode(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind in ("JPEG", "BMP", "GIF") and picture.mode in ("LA", "RGBA"):  # which know no half transparency
        picture = _to_pil(from_pil(picture, "The picture"))
    picture.save(buffer, kind, **_OPTIONS.get(kind, {}))
    return buffer.getvalue()
