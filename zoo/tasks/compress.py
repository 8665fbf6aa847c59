"""Photos in the bytes of a file and back, by any autoencoder: its codes are rounded, and an entropy coder stores them.

Balle et al., "End-to-end Optimized Image Compression", 2017, https://arxiv.org/abs/1611.01704, with networks that were
not trained for it. Needs the extra ``[compress]``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.arrays import Array
from zoo.errors import InputError, MediaError, VerbError
from zoo.inference.codes import check_encoder, codes_of, name_of
from zoo.inference.verbs import Verbs
from zoo.media.image_decode import opaque
from zoo.media.images import Images
from zoo.memory import free_memory
from zoo.tasks.codes import decode_codes
from zoo.tasks.compressed import LARGEST, STEPS, Header, Photo, read, symbols_of, write
from zoo.tasks.identity import weights_of

PROBES = 32  # random directions in which it is tried what a number of a code does to a photo


def compress(model: Verbs, photos: Any, *, quality: float = 50, bits: float | None = None) -> bytes:
    """Photos as the bytes of one file, of which :func:`decompress` makes photos again.

    The numbers of a code are rounded to steps that all change the photo by as much.

    Args:
        model: an autoencoder for images, in eval mode.
        photos: anything that :meth:`zoo.Images.of` takes; what is transparent becomes white. For a network of fixed
            size the largest centred part of the right shape is resized to it.
        quality: from 0 to 100; 20 more halve the steps.
        bits: the most bits a pixel that the file may have, header and all, in place of ``quality``.

    Raises:
        VerbError: for a model without encoder, or not for images.
        InputError: for no photos, a wrong number, or fewer bits than quality 0 takes.
    """
    reader = _reader(model)
    if not _is_number(quality) or not 0 <= quality <= 100:
        raise InputError(f"quality must be a number from 0 to 100, not {quality!r}.")
    if bits is not None and (not _is_number(bits) or bits <= 0):
        raise InputError(f"bits must be a number above 0, not {bits!r}.")
    images = reader.read(photos)
    if not len(images):
        raise InputError("There are no photos to compress.")
    images = Images([opaque(array) for array in images.arrays], images.names)
    codes, entries = codes_of(model, images), []
    for number, code in enumerate(codes):
        height, width = reader.lengths(images[number])
        entries.append(Photo(images.names[number], (height, width), code.shape))
    if len({code.shape[0] for code in codes}) > 1:
        raise InputError(f"{name_of(model)} makes codes of several kinds of these photos: compress each by itself.")
    effects, weights = _effects(model, codes), weights_of(model)
    name = model.entry.address if model.entry else ""
    rows = [np.moveaxis(code, 0, -1).reshape(-1, len(code)) for code in codes]
    variance = float(np.float32(np.mean([np.mean(row.astype(np.float64) ** 2) for row in rows])))

    def file(quality: float) -> bytes:
        steps = np.clip(np.rint(2 * np.log2(2 ** (-3 - quality / 20) / effects)), -STEPS, STEPS).astype(int)
        symbols = np.rint(np.concatenate(rows) / np.exp2(steps / 2))
        largest = int(np.abs(symbols).max())
        if largest > LARGEST:
            raise InputError(f"quality {quality:g} is too fine for the codes of {name_of(model)}: choose a lower one.")
        header = Header(name, weights, tuple(entries), tuple(steps.tolist()), variance, largest)
        return write(header, symbols.astype(np.int32))

    if bits is None:
        return file(quality)
    most = bits * sum(height * width for height, width in (entry.size for entry in entries)) / 8
    if len(file(0)) > most:
        raise InputError(
            f"{bits:g} bits a pixel allow {most:,.0f} bytes and quality 0 takes {len(file(0)):,}: allow more, or put "
            "more photos into one file."
        )
    low, high = 0, 101  # the best that fits, and the first that need not be tried
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if len(file(middle)) <= most else (low, middle)
    return file(low)


def decompress(model: Verbs, content: bytes) -> Images:
    """The photos of a file that :func:`compress` made, under their names, at the size that the model saw.

    Args:
        model: the one that made the file.
        content: the bytes of the file.

    Raises:
        VerbError: for a model without encoder, or not for images.
        InputError: for another model, or other weights, and for more photos than memory holds.
        MediaError: for a file that is none, or damaged.
    """
    reader = _reader(model)
    header, coded = read(content)
    if (weights := weights_of(model)) != header.weights:
        raise InputError(
            f"The file was made by {header.model or 'a model without a name'} with the weights {header.weights[:8]}, "
            f"and {name_of(model)} has the weights {weights[:8]}: load those that made it."
        )
    need, free = 24 * header.rows * len(header.steps) + 24 * header.pixels, free_memory()
    if need > free:
        raise InputError(
            f"The photos need {need / 1e9:,.1f} GB of memory and {free / 1e9:,.1f} GB are free: use a larger machine."
        )
    blanks = {size: _blank(reader, size) for size in {photo.size for photo in header.photos}}
    shapes = {size: codes_of(model, blank)[0].shape for size, blank in blanks.items()}
    if wrong := [photo for photo in header.photos if photo.shape != shapes[photo.size]]:
        raise MediaError(
            f"{wrong[0].name} has a code of {wrong[0].shape}, which is not its model's: get the file again."
        )
    numbers = (symbols_of(header, coded) * np.exp2(np.array(header.steps) / 2)).astype(np.float32)
    images, first = [], 0
    for photo in header.photos:
        rows = math.prod(photo.shape[1:])
        code = np.moveaxis(numbers[first : first + rows].reshape(*photo.shape[1:], photo.shape[0]), -1, 0)
        first += rows
        prepared = reader.prepare(blanks[photo.size])
        images.append(decode_codes(model, np.ascontiguousarray(code)[None], prepared, 1, False, {}))
    return Images([image.arrays[0] for image in images], [photo.name for photo in header.photos])


def _reader(model: Verbs) -> Any:
    """The processor of a model's input, if it can compress photos."""
    check_encoder(model, "compression")
    reader, writer = model.processors()
    if not reader.kind == writer.kind == "image" or writer.output.scale != 1:
        raise VerbError(f"{name_of(model)} gives back no photo as it was: use an autoencoder for images.")
    return reader


def _blank(reader: Any, size: tuple[int, int]) -> Images:
    """A black image as the model takes it."""
    return Images(np.zeros((1, reader.input.channels or 3, *size), np.float32))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _effects(model: Any, codes: Sequence[Array]) -> Array:
    """How much a photo changes with a number in each channel of its code, ``(C,)``.

    That is the root mean square change of its values in [-1, 1] for a change by 1, as if the number had only its share
    of the photo: all of it for a code that is a vector. The derivatives of the decoder, weighed with random signs, have
    it as theirs.
    """
    import torch

    random = torch.Generator().manual_seed(0)
    chosen = np.linspace(0, len(codes) - 1, min(len(codes), PROBES)).astype(int)
    probes = PROBES if codes[0].ndim == 1 else len(chosen)  # a code with many places has many probes in one
    squares = np.zeros(len(codes[0]))
    with torch.inference_mode(False), torch.enable_grad():
        for probe in range(probes):
            code = codes[chosen[probe % len(chosen)]]
            z = model.tensor(code[None].copy()).requires_grad_()
            y = model.decode(z)
            signs = (torch.randint(2, y.shape, generator=random) * 2 - 1).to(y)
            (gradient,) = torch.autograd.grad((y * signs).sum(), z)
            share = y.numel() / math.prod(code.shape[1:])
            squares += gradient[0].double().reshape(len(code), -1).square().mean(1).cpu().numpy() / share
    return np.sqrt(np.maximum(squares, max(1e-6 * squares.max(), 1e-30)) / probes)
