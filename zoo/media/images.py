"""Images as users hold them: what they are read from, grids, files.

An image is a float32 array ``(C, H, W)`` in [0, 1], with C = 1 (grey) or 3 (RGB), and one more for transparency.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from zoo.arrays import Array
from zoo.errors import InputError, check_count
from zoo.media.base import Samples
from zoo.media.image_decode import Info, from_array, from_pil, opaque, read_open, read_path
from zoo.media.image_encode import check_output, encode, ending, to_bytes, to_pil, write
from zoo.media.image_names import file_names
from zoo.media.image_paths import named_files
from zoo.media.sources import check_path, is_folder, read_object

if TYPE_CHECKING:
    import torch


class Images(Samples):
    """A sequence of images, of one size or several; iterating gives PIL images.

    Attributes:
        arrays: float32 ``(C, H, W)`` in [0, 1] each: C is 1 for grey, 3 for RGB, one more where there is transparency.
        names: where each came from, relative to the folder it was in, or ``0000``, ``0001``, ... .
        seed: the seed that they were generated from; None for others.
        infos: what the file of each said beside the pixels: EXIF and resolution. :meth:`save` writes it into results.

    Raises:
        InputError: for arrays of another shape or kind, or another number of names.
    """

    kind = "image"
    noun = "images"

    def __init__(
        self,
        arrays: Iterable[Array],
        names: Sequence[str] | None = None,
        seed: int | None = None,
        infos: Sequence[Info] | None = None,
    ) -> None:
        self.arrays = list(arrays)
        self._set_names(len(self.arrays), names)
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
            raise InputError(f"There are {len(self.names)} names for {len(self.arrays)} images: give each a name.")

    @classmethod
    def of(cls, source: Any, alpha: bool = False, max_pixels: int | None = None) -> Images:
        """Images of anything that holds images.

        Args:
            source: one of these, or a list or tuple of them, which may be mixed:

                - the path of an image, or of a folder, which is searched to the bottom in the order of names; what is
                  no image is left out (:func:`zoo.media.image_paths.image_files` says what)
                - the bytes of a file, or an open binary file, which is read from its beginning
                - a PIL image
                - a numpy array ``(H, W)``, ``(H, W, C)`` or ``(N, H, W, C)``: uint8, uint16, or float in [0, 1]
                - a torch tensor ``(C, H, W)`` or ``(N, C, H, W)``: uint8, or float in [0, 1]
                - Images
            alpha: whether images that are transparent somewhere keep that, as their last channel.
            max_pixels: more pixels in a file are refused as a decompression bomb; ``PIL.Image.MAX_IMAGE_PIXELS``
                (89 million) by default.

        Colour comes out as grey or RGB: transparency is laid on white unless ``alpha`` is set, palettes and CMYK are
        converted, a colour profile is applied and gives sRGB, 16 bits are kept, the rotation in a camera's EXIF is
        applied, and of an animation the first frame is taken.

        Raises:
            InputError: for what holds no images, with the reason.
            MediaError: for an image file that is damaged, or needs more memory than is free.
        """
        if isinstance(source, Images):
            return source if alpha else cls(map(opaque, source.arrays), source.names, source.seed, source.infos)
        if max_pixels is not None:
            check_count("max_pixels", max_pixels)
        items = list(_read(source, alpha, max_pixels))
        names = [name for name, _, _ in items]
        return cls([array for _, array, _ in items], names if all(names) else None, None, [info for *_, info in items])

    @classmethod
    def from_network(cls, output: Any) -> Images:
        """Images of a network's output: a tensor or numpy array ``(N, C, H, W)`` or ``(C, H, W)``, about in [-1, 1].

        Values beyond are clipped: networks overshoot.

        Raises:
            InputError: for another shape, or NaN and infinite values.
        """
        values = _numpy(output, "What a network made")
        if values.ndim not in (3, 4) or values.shape[-3] not in (1, 2, 3, 4) or 0 in values.shape:
            raise InputError(f"A network's images are (N, C, H, W) or (C, H, W), C from 1 to 4, not {values.shape}.")
        if not np.issubdtype(values.dtype, np.floating):
            raise InputError(f"A network's images are floats in [-1, 1], not {values.dtype}: use zoo.Images.of.")
        if not np.isfinite(values).all():
            raise InputError("A network's images have NaN or infinite values: its weights or its input are broken.")
        images = values.astype(np.float32).reshape(-1, *values.shape[-3:])
        return cls(list(np.clip((images + 1) / 2, 0, 1)))

    def __len__(self) -> int:
        return len(self.arrays)

    def __iter__(self) -> Iterator[Image.Image]:
        return (to_pil(array) for array in self.arrays)

    def _chosen(self, index: slice) -> Images:
        return Images(self.arrays[index], self.names[index], self.seed, self._infos()[index])

    @classmethod
    def concat(cls, parts: Iterable[Images]) -> Images:
        """The images of several, one after the other, under their names."""
        parts = list(parts)
        return cls(
            [array for part in parts for array in part.arrays],
            [name for part in parts for name in part.names],
            infos=[info for part in parts for info in part._infos()],
        )

    def _infos(self) -> list[Info]:
        """One for each image, also where ``arrays`` has been changed by hand."""
        return (self.infos + [Info()] * len(self.arrays))[: len(self.arrays)]

    def __repr__(self) -> str:
        sizes = sorted({array.shape for array in self.arrays})
        shapes = ", ".join("x".join(map(str, size)) for size in sizes[:3])
        return f"<{len(self)} images of {shapes}{', ...' if len(sizes) > 3 else ''}>"

    def numpy(self) -> Array:
        """All images as one float32 array ``(N, C, H, W)`` in [0, 1]; they must be of one size."""
        if len({array.shape for array in self.arrays}) > 1:
            raise InputError("These images have several sizes: use .arrays, or take them one by one.")
        return np.stack(self.arrays)

    @property
    def tensor(self) -> torch.Tensor:
        """All images as one float32 tensor ``(N, C, H, W)`` in [0, 1]; they must be of one size."""
        import torch

        return torch.from_numpy(self.numpy())

    def grid(self, columns: int | None = None, padding: int = 2) -> Image.Image:
        """All images on one sheet, white between them.

        Args:
            columns: how many side by side; as square as it goes by default.
            padding: pixels between the images.
        """
        if not self.arrays:
            raise InputError("There are no images to lay out.")
        columns = columns or math.ceil(math.sqrt(len(self)))
        height, width = (max(array.shape[i] for array in self.arrays) + padding for i in (1, 2))
        rows = math.ceil(len(self) / columns)
        arrays = [opaque(array) for array in self.arrays]
        channels = max(array.shape[0] for array in arrays)
        sheet = np.full((rows * height - padding, columns * width - padding, channels), 255, np.uint8)
        for i, array in enumerate(arrays):
            top, left = i // columns * height, i % columns * width
            sheet[top : top + array.shape[1], left : left + array.shape[2]] = to_bytes(array)
        return Image.fromarray(sheet[..., 0] if channels == 1 else sheet)

    def save(self, path: str | os.PathLike[str], *, format: str | None = None, bits: int = 8) -> None:
        """Write to a file (several images become one grid) or a folder (one file each, under their names).

        Nothing is left half written: a file gets its name when it is whole. EXIF and resolution of the image that
        each was made from are written, too, where the format has a place for them. Whatever the names are, nothing is
        written outside of the folder: :func:`file_names`.

        Args:
            path: a file ends in .png, .jpg, .webp, .tif, .bmp or .gif; a folder exists, has no ending, or ends in /.
            format: png, jpeg, webp, tiff, bmp or gif; by default what the file's name ends in, and png in a folder.
            bits: 16 for PNG with 16 bits.

        Raises:
            InputError: for an ending that is no image format, or images too large for it.
            MediaError: where the disk does not take it.
        """
        self._check()  # again: lists can be changed
        check_output(path, format=format, bits=bits)
        target = Path(path)
        if not is_folder(path):
            info = self._infos()[0] if len(self) == 1 else Info()
            image: Array | Image.Image = self.arrays[0] if len(self) == 1 else self._grid_checked(target, format)
            return write(image, target, format=format, bits=bits, info=info)
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
        """The image, or the grid of several, as the bytes of a PNG file."""
        return encode(self.preview(), "PNG", Info())

    @classmethod
    def check_output(cls, path: str | os.PathLike[str], *, format: str | None = None, bits: int | None = None) -> bool:
        """Refuse what :meth:`save` would, before any time is spent on it, and say whether the path is a folder."""
        check_output(path, format=format, bits=8 if bits is None else bits)
        return is_folder(path)

    @classmethod
    def ending(cls, format: str | None = None) -> str:
        """With the dot, what files in a folder end in: .png by default."""
        return ending(format)

    def preview(self) -> Image.Image:
        """The image, or the grid of several."""
        return to_pil(self.arrays[0]) if len(self) == 1 else self.grid()

    def _repr_png_(self) -> bytes:
        return self.png()


def grid_size(n: int, height: int, width: int) -> tuple[int, int]:
    """Width and height of the grid of ``n`` images, as :meth:`Images.grid` lays them out, in pixels."""
    columns = math.ceil(math.sqrt(n))
    return columns * (width + 2) - 2, math.ceil(n / columns) * (height + 2) - 2


def _read(source: Any, alpha: bool, max_pixels: int | None, item: str = "") -> Iterator[tuple[str, Array, Info]]:
    """Name (may be empty), array and info of every image in the source; errors call what has no name ``item``."""
    if isinstance(source, Images):
        images = Images.of(source, alpha)
        yield from zip(images.names, images.arrays, images._infos(), strict=True)
    elif isinstance(source, Samples):
        raise InputError(
            f"{item or type(source).__name__} holds {source.noun}, and no images: give a path, or an array."
        )
    elif isinstance(source, (str, os.PathLike)):
        for name, file in named_files(check_path(source, "an image")):
            yield name, *read_path(file, alpha, max_pixels)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        yield "", *read_open(io.BytesIO(source), item or "The bytes", alpha, max_pixels)
    elif isinstance(source, Image.Image):
        yield "", *from_pil(source, item or "The image", alpha)
    elif isinstance(source, np.ndarray):
        yield from (("", array, Info()) for array in from_array(source, alpha, item or "The array"))
    elif hasattr(source, "detach") and hasattr(source, "movedim"):  # a torch tensor, torch not imported
        if source.ndim not in (3, 4):
            raise InputError(f"{item or 'A tensor'} of images is (C, H, W) or (N, C, H, W), not {tuple(source.shape)}.")
        values = np.moveaxis(_numpy(source, item or "The tensor"), -3, -1)
        yield from (("", array, Info()) for array in from_array(values, alpha, item or "The tensor"))
    elif hasattr(source, "read"):
        what, content = read_object(source, item or "The file")
        yield "", *read_open(io.BytesIO(content), what, alpha, max_pixels)
    elif isinstance(source, Iterable):
        for number, part in enumerate(source):
            yield from _read(part, alpha, max_pixels, f"Image {number}")
    else:
        raise InputError(
            f"{type(source).__name__} holds no images: give a path, bytes, a PIL image, an array or a tensor."
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
