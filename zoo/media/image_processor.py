"""Between images and a network: channels, crop, size, padding, range, transparency."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoo.arrays import Array
from zoo.errors import InputError
from zoo.media.base import Prepared, Processor
from zoo.media.image_encode import check_output, write_bands
from zoo.media.image_fit import colours, crop_box, fit
from zoo.media.images import Images
from zoo.media.sources import is_folder


class ImageProcessor(Processor[Images]):
    """Images ``(C, H, W)`` in [0, 1] to arrays in [-1, 1] and back.

    For a network of fixed size the largest centred part of the right shape is resized. For one of any size the image is
    mirrored at the right and below until its sides are divisible by ``multiple``, and the result is cropped; its
    transparency is enlarged beside the colours.
    """

    kind = "image"
    axes = (1, 2)
    part = 160
    whole = 512 * 512
    unit = "pixels"
    layout = "(N, C, H, W)"

    def read(self, source: Any, **limits: Any) -> Images:
        """Images of anything that :meth:`zoo.Images.of` takes; with transparency, where any size is taken."""
        return Images.of(source, alpha=not self.fixed, **limits)

    def prepare(self, sample: Images) -> Prepared[Images]:
        """As the network takes it: ``(C, H, W)`` in [-1, 1]."""
        array = fit(colours(sample.arrays[0]), self.input.channels, self.input.size)
        return Prepared(sample, [self._to_network(array)], array.shape[1:])

    def seen(self, samples: Images) -> Images:
        """Images with the channels and, if that is fixed, the size that the network takes."""
        images = Images.of(samples)
        arrays = [fit(array, self.input.channels, self.input.size) for array in images.arrays]
        return Images(arrays, images.names, infos=images.infos)

    def align(
        self, samples: Images, prepared: Prepared[Images], *, channels: int | None = None, nearest: bool = False
    ) -> Sequence[Array]:
        """Another image put through the crop, resizing and padding of an input, in [-1, 1]."""
        (image,), (original,) = samples.arrays, prepared.sample.arrays
        if image.shape[1:] != original.shape[1:]:
            (height, width), (rows, columns) = original.shape[1:], image.shape[1:]
            raise InputError(
                f"it is {columns} x {rows} pixels and {prepared.sample.names[0]} is {width} x {height}: give it the "
                "size of the input."
            )
        array = fit(image, channels, (prepared.lengths[0], prepared.lengths[1]), nearest=nearest)
        return [self._to_network(array)]

    def align_points(self, points: Array, prepared: Prepared[Images]) -> Array:
        """Points ``(K, 2)``, x and y: that of the pixel ``array[:, y, x]`` of the input, at the place it comes to."""
        height, width = prepared.sample.arrays[0].shape[1:]
        rows, columns = prepared.lengths
        left, top, right, bottom = crop_box(height, width, (rows, columns))
        corner, scale = (left, top), (columns / (right - left), rows / (bottom - top))
        moved: Array = ((points + 0.5 - np.array(corner)) * np.array(scale) - 0.5).astype(np.float32)
        return moved

    def without_transparency(self, samples: Images) -> tuple[Images, list[Images]]:
        """Opaque images with the same colours, and masks of all pixels that were not opaque, white there."""
        for array, name in zip(samples.arrays, samples.names, strict=True):
            if array.shape[0] not in (2, 4):
                raise InputError(f"{name} is transparent nowhere")
        opaque = Images([array[:-1] for array in samples.arrays], samples.names, samples.seed, samples.infos)
        return opaque, [Images([(array[-1:] < 1).astype(np.float32)]) for array in samples.arrays]

    def _to_network(self, array: Array) -> Array:
        bottom, right = (-length % self.input.multiple for length in array.shape[1:])
        if bottom or right:
            array = np.pad(array, ((0, 0), (0, bottom), (0, right)), "reflect")
        return array * 2 - 1

    def restore(self, outputs: Sequence[Array], prepared: Prepared[Any] | None = None) -> Images:
        """One image of what a network gave, about in [-1, 1]: networks overshoot."""
        (y,) = outputs
        if prepared is None or not isinstance(prepared.sample, Images):
            return Images([_to_image(y)], prepared.sample.names if prepared else None)
        height, width = (length * self.output.scale for length in prepared.lengths)
        original = prepared.sample.arrays[0]
        array = _with_alpha(_to_image(y[..., :height, :width]), original)
        return Images([array], prepared.sample.names, infos=prepared.sample.infos)

    def write(
        self, outputs: Iterator[Array], prepared: Prepared[Any], path: str | os.PathLike[str], **options: Any
    ) -> None:
        """Write a PNG from top to bottom, as bands of it come."""
        first = next(outputs)
        height, width = (length * self.output.scale for length in prepared.lengths)
        bands = (_to_image(band) for band in chain([first], outputs))
        (info,) = prepared.sample.infos
        write_bands(bands, (len(first), height, width), Path(path), bits=options.get("bits", 8), info=info)

    def streams(self, sample: Images, path: str | os.PathLike[str], **options: Any) -> bool:
        """PNG files without transparency are written as they come."""
        ending = (options.get("format") or Path(path).suffix[1:]).lower().lstrip(".")
        return ending == "png" and not is_folder(path) and sample.arrays[0].shape[0] not in (2, 4)

    def check_target(self, sample: Images, path: str | os.PathLike[str], **options: Any) -> None:
        """Refuse a format that does not hold so many pixels."""
        height, width = (length * self.output.scale for length in self.lengths(sample))
        check_output(path, size=(width, height), **options)

    def lengths(self, sample: Images) -> tuple[int, ...]:
        """Height and width of an image as the network sees it, without padding."""
        return self.input.size or sample.arrays[0].shape[1:]

    def generated_positions(self) -> int | None:
        """Pixels of a generated image."""
        size = self.output.size
        return size[0] * size[1] if size else None

    def held(self, sample: Images) -> int:
        """Pixels of an image."""
        height, width = sample.arrays[0].shape[1:]
        return int(height * width)

    def output_shape(self, lengths: Sequence[int] | None) -> tuple[int | None, ...] | None:
        """Channels, height and width."""
        if self.output.size:
            return (self.output.channels, *self.output.size)
        return (self.output.channels, *(length * self.output.scale for length in lengths or ())) if lengths else None

    def mismatch(self, sample: Images, original: Images | None = None) -> str:
        """Whether an image has other channels or another size than are declared."""
        (array,), wanted = sample.arrays, self.output.size
        if original is None:
            if self.output.channels not in (None, array.shape[0]):
                return f"An image has {array.shape[0]} channels."
        elif not wanted:
            height, width = self.lengths(original)
            wanted = height * self.output.scale, width * self.output.scale
        return f"An image has {array.shape[1:]} pixels." if wanted not in (None, array.shape[1:]) else ""

    def example_samples(self, n: int) -> Images:
        """Waves; of a network that takes any size, their sides are at least 16 pixels."""
        least = self._least_side
        height, width = self.input.size or (least * max(1, n - 1), least * n)
        y, x = np.mgrid[0:height, 0:width]
        waves = [np.sin(x / (3 + i)) * np.cos(y / (4 + i)) / 2 + 0.5 for i in range(n)]
        return Images([np.repeat(wave[None], self._channels, 0).astype(np.float32) for wave in waves])

    def smallest_sample(self) -> Images:
        """Noise; its sides are odd multiples, and two different ones, so that no more than is declared divides them."""
        multiple = self.input.multiple
        return self.noise_sample(self.input.size or [multiple * (4 // multiple * 2 + odd) for odd in (1, 3)])

    def odd_samples(self) -> list[Images]:
        """One pixel high, narrow, and partly transparent."""
        random = np.random.default_rng(0)
        shapes = ((3, 1, 1), (3, 7, 50), (4, 65, 33))
        return [Images([random.random(shape, dtype=np.float32)]) for shape in shapes]

    def noise_sample(self, lengths: Sequence[int]) -> Images:
        """Colourful noise."""
        return Images([np.random.default_rng(0).random((3, *lengths), dtype=np.float32)])

    def probe_samples(self) -> list[Images]:
        """Noise, a texture, edges, a gradient, low contrast, black, grey and white; the first two larger, too."""
        rng = np.random.default_rng(0)
        if self.input.size:
            return [self._probes(*self.input.size, rng)]
        least = self._least_side
        return [self._probes(least, least, rng), self._probes(3 * least, 3 * least, rng)[:2]]

    def _probes(self, height: int, width: int, rng: np.random.Generator) -> Images:
        noise = rng.random((self._channels, height, width), dtype=np.float32)
        y, x = np.mgrid[0:height, 0:width] / max(height - 1, width - 1, 1)
        coarse = [_enlarged(noise[:, ::i, ::i], height, width) for i in (1, 2, 4, 8)]
        texture = np.clip((np.sum(coarse, 0) - 2) * 2 / 3 + 0.5, 0, 1)
        edges = np.broadcast_to((3 * x > y) ^ (y > 0.6), noise.shape)
        gradient = np.broadcast_to((x + y) / 2, noise.shape)
        flat = [np.full_like(noise, value) for value in (0, 0.5, 1)]
        low_contrast = 0.35 + 0.02 * (coarse[2] - 0.5)
        return Images([x.astype(np.float32) for x in (noise, texture, edges, gradient, low_contrast, *flat)])

    @property
    def _channels(self) -> int:
        return self.input.channels or 3

    @property
    def _least_side(self) -> int:
        """A side that a network of any size takes: from 16 pixels on."""
        return 16 + -16 % self.input.multiple


def _to_image(y: Array) -> Array:
    """Network output ``(C, H, W)`` in [-1, 1] to an image in [0, 1]."""
    return np.ascontiguousarray(np.clip((y + 1) / 2, 0, 1))


def _with_alpha(result: Array, original: Array) -> Array:
    """A result with the transparency of what it was made from."""
    if original.shape[0] not in (2, 4):
        return result
    height, width = result.shape[1:]
    alpha = Image.fromarray(original[-1]).resize((width, height), Image.Resampling.BICUBIC)
    return np.concatenate([result, np.clip(np.asarray(alpha), 0, 1)[None]])


def _enlarged(array: Array, height: int, width: int) -> Array:
    planes = [Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR) for plane in array]
    return np.stack([np.asarray(plane) for plane in planes])
