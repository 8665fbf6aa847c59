"""The two verbs, ``generate`` and ``reconstruct``: everything between what users give and what a network takes.

Nothing here knows what computes the network: :class:`~zoo.model.Model` does it with torch, and
:class:`~zoo.backends.onnx_backend.OnnxModel` without.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoo.arrays import Array
from zoo.errors import InputError, UnknownNameError, ZooError, check_count, check_natural, near, out_of_memory
from zoo.inference.latents import to_latents
from zoo.inference.tiling import SIDE, bands, check_tiles, tile_side
from zoo.media.image_encode import check_output, is_folder, write_bands
from zoo.media.image_fit import colours, fit
from zoo.media.images import Images
from zoo.memory import free_memory
from zoo.registry.facts import Condition, Entry, Format
from zoo.registry.index import refusal

# Bytes for each pixel of the input or the output, whichever has more: twice the most that a network of the zoo was seen
# to take (sd-vae). What has room by this rule is run without finding out how much it really takes.
AMPLE = 8192
# Which method of a network each verb calls.
CALLS = {"generate": "decode", "reconstruct": "forward"}


def calls_of(verbs: Collection[str]) -> list[str]:
    """The methods of a network that these verbs call."""
    return [call for verb, call in CALLS.items() if verb in verbs]


class Verbs:
    """What a user does with a model.

    Attributes:
        entry: the facts from the registry; None for a network that was built by hand.
        reach: for a network from image to image of any size: how many pixels of the input, to each side, a pixel of
            the output depends on, so that large images can go through in tiles. None where it depends on all of them.
        latent_shape: shape of one latent; None for a model that makes no samples.
    """

    entry: Entry | None = None
    reach: int | None = None
    latent_shape: tuple[int, ...] | None = None

    @property
    def calls(self) -> list[str]:
        """The methods of the network that its verbs call: ``decode`` to generate, ``forward`` to reconstruct."""
        return calls_of(self.entry.verbs if self.entry else ["generate" if self.latent_shape else "reconstruct"])

    def _run(self, call: str, x: Array, conditions: Mapping[str, Any]) -> Array:
        """Latents ``(N, ...)``, or images ``(N, C, H, W)`` in [-1, 1], through the network: images, about there."""
        raise NotImplementedError

    def _peak(self, call: str, shape: tuple[int, ...], conditions: Mapping[str, Any]) -> int | None:
        """Bytes of memory that an input ``(1, ...)`` of this shape takes on its way; None where nobody knows."""
        return None

    def _free_memory(self) -> int:
        """Bytes that are free where the network computes."""
        return free_memory()

    def required_conditions(self, call: str) -> set[str]:
        """Conditions without which a method of the network cannot be called."""
        return set()

    def draw(self, rng: np.random.Generator) -> Array:
        """One latent of shape ``latent_shape``; standard normal unless a subclass says otherwise."""
        assert self.latent_shape is not None
        return rng.standard_normal(self.latent_shape, dtype=np.float32)

    def generate(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        first: int = 0,
        latents: Any = None,
        batch_size: int = 64,
        progress: bool = False,
        **conditions: Any,
    ) -> Images:
        """New samples.

        Args:
            n: how many.
            seed: a whole number from 0; the same seed gives the same images on every device, and the first of
                many images are the same as few. By default another one each time, found in ``.seed`` of the result.
            first: number of the first sample: ``generate(4, seed=7, first=100)`` are samples 100 to 103 of that seed.
            latents: in place of ``n`` and ``seed``: an array or tensor ``(N, *latent_shape)``, or the path of a .npy
                file with one, as ``zoo project`` writes.
            batch_size: samples that go through the network at once, fewer where memory is short; the result does not
                depend on it.
            progress: whether to show a bar.
            conditions: as declared in the registry; one value, or a list with one for each sample.

        Returns:
            n images, float32 in [0, 1].

        Raises:
            VerbError: for a model that only reconstructs.
            InputError: for a wrong number, seed or condition, or more samples than memory holds.
            ZooError: for a sample that is not finite.
        """
        if self.latent_shape is None or (self.entry and "generate" not in self.entry.verbs):
            raise refusal(self._name, "generate")
        if latents is not None:
            latents = to_latents(latents, self.latent_shape)
            if seed is not None or n not in (1, len(latents)):
                raise InputError(f"{len(latents)} latents make as many samples: leave out n and seed.")
            n, seed = len(latents), 0
        check_count("n", n)
        check_count("batch_size", batch_size)
        if seed is None:
            seed = secrets.randbits(32)
        check_natural("seed", seed)
        check_natural("first", first)
        if self.entry:
            _check_memory(n, self.entry.output)
        values = self.checked(conditions, n, "decode")
        size = self.entry.output.size if self.entry else None
        shape = (1, *self.latent_shape)
        pixels = size[0] * size[1] if size else None
        wanted = min(int(n), int(batch_size))
        at_once = self._at_once("decode", shape, pixels, _take(values, [0]), "a sample", wanted)
        made: list[Array] = []
        with _Progress(n, progress) as tick:
            for rows in _chunks(range(n), at_once):
                if latents is None:
                    z = np.stack([self.draw(np.random.default_rng((int(seed), int(first) + i))) for i in rows])
                    names = [f"sample {int(first) + i} of seed {int(seed)}" for i in rows]
                else:
                    z, names = latents[rows[0] : rows[-1] + 1], [f"latent {i}" for i in rows]
                made += _to_arrays(self._checked_run("decode", z, _take(values, rows), names))
                tick(len(rows))
        return Images(made, seed=int(seed) if latents is None else None)

    def reconstruct(
        self,
        inputs: Any,
        *,
        batch_size: int = 16,
        tile: int | str | None = "auto",
        overlap: int | None = None,
        progress: bool = False,
        **conditions: Any,
    ) -> Images:
        """Images through the model: an autoencoder's copy, a larger photo, a painted one.

        Args:
            inputs: anything that :meth:`zoo.Images.of` takes. For a network of fixed size the largest centred part
                of the right shape is resized to it; a network that takes any size returns what it was given,
                times its scale.
            batch_size: images that go through the network at once, fewer where memory is short; the result does not
                depend on it.
            tile: "auto" for tiles where the network can be run in parts and an image has more than 512 x 512 pixels,
                or takes more than half of the free memory; None to run it whole; a number for tiles of that many pixels
                of the input, one after the other.
            overlap: pixels that a tile sees beyond its edges; by default as many as the result needs to equal that of
                the whole image, to about 1e-6.
            progress: whether to show a bar.
            conditions: as declared in the registry; one value, or a list with one for each image.

        Returns:
            One image for each input, in their order and under their names, float32 in [0, 1]. Where a network takes
            images of any size, transparency is enlarged beside the colours, and the result has it, too.

        Raises:
            VerbError: for a model that only generates.
            InputError: for inputs that hold no images, a wrong condition, tiles where the network takes none, or a
                image that needs more memory than there is.
            ZooError: for a result that is not finite.
        """
        if self.entry and "reconstruct" not in self.entry.verbs:
            raise refusal(self._name, "reconstruct")
        check_count("batch_size", batch_size)
        self.check_tiles(tile, overlap)
        images = Images.of(inputs, alpha=self._input.size is None)
        arrays = [self._fit(colours(array)) for array in images.arrays]
        multiple = self._input.multiple
        values = self.checked(conditions, len(arrays), "forward")
        made: list[Array] = []
        with _Progress(len(arrays), progress) as tick:
            # Only neighbours of one shape can share a batch; order is kept.
            for shape, group in groupby(range(len(arrays)), key=lambda i: arrays[i].shape):
                ready = list(group)
                side = self._side(tile, shape, _take(values, ready[:1]))
                if side:
                    for i in ready:
                        self._check_result(shape, images.names[i])
                        found = list(self._bands(arrays[i], side, overlap, _take(values, [i]), images.names[i]))
                        made.append(np.concatenate(found, 1))
                        tick(1)
                    continue
                _, height, width = padded = _pad(arrays[ready[0]], multiple).shape
                pixels = height * width * self._scale**2
                given, name = _take(values, ready[:1]), images.names[ready[0]]
                wanted = min(int(batch_size), len(ready))
                at_once = self._at_once("forward", (1, *padded), pixels, given, name, wanted)
                for rows in _chunks(ready, at_once):
                    x = np.stack([_pad(arrays[i], multiple) for i in rows])
                    y = self._checked_run("forward", x * 2 - 1, _take(values, rows), [images.names[i] for i in rows])
                    made += _to_arrays(y[..., : shape[1] * self._scale, : shape[2] * self._scale])
                    tick(len(rows))
        made = [_with_alpha(y, x) for y, x in zip(made, images.arrays, strict=True)]
        return Images(made, images.names, infos=images.infos)

    def reconstruct_to(
        self,
        source: Any,
        path: str | os.PathLike[str],
        *,
        tile: int | str | None = "auto",
        overlap: int | None = None,
        format: str | None = None,
        bits: int = 8,
        **conditions: Any,
    ) -> None:
        """One image through the model and into a file, as :meth:`reconstruct` and :meth:`zoo.Images.save` would do.

        If it goes through in tiles and the file is a PNG, it is written as the tiles come, and takes no memory for the
        result: that may be larger than memory.

        Args:
            source: one image of anything that :meth:`zoo.Images.of` takes.
            path: the file.
            tile: as for :meth:`reconstruct`.
            overlap: likewise.
            format: as for :meth:`zoo.Images.save`.
            bits: likewise.
            conditions: as for :meth:`reconstruct`.

        Raises:
            InputError: as :meth:`reconstruct`, for more or less than one image, and for a result that is too large
                for its format.
            MediaError: where the disk does not take it.
        """
        self.check_tiles(tile, overlap)
        images = Images.of(source, alpha=self._input.size is None)
        if len(images) != 1:
            raise InputError(f"One image goes into a file, not {len(images)}: use reconstruct(...).save(FOLDER).")
        (x,) = images.arrays
        array = self._fit(colours(x))
        height, width = self.result_size(array.shape[1:])
        check_output(path, size=(width, height), format=format, bits=bits)
        target = Path(path)
        values = self.checked(conditions, 1, "forward")
        side = self._side(tile, array.shape, values)
        png = (format or target.suffix[1:]).lower().lstrip(".") == "png"
        if not side or not png or x.shape[0] in (2, 4) or is_folder(path):
            made = self.reconstruct(images, tile=tile, overlap=overlap, **conditions)
            return made.save(path, format=format, bits=bits)
        bands = self._bands(array, side, overlap, values, images.names[0])
        first = next(bands)
        shape = (len(first), height, width)
        return write_bands(chain([first], bands), shape, target, bits=bits, info=images[0].infos[0])

    def _bands(
        self, array: Array, side: int, overlap: int | None, conditions: Mapping[str, Any], name: str
    ) -> Iterator[Array]:
        """The result for one image, in bands from top to bottom."""
        multiple, scale = self._input.multiple, self._scale
        overlap = (self.reach or 0) if overlap is None else overlap
        height, width = (min(length, side + 2 * overlap) for length in array.shape[1:])
        self._at_once("forward", (1, len(array), height, width), height * width * scale**2, conditions, name, 1)

        def run(x: Array) -> Array:
            return self._checked_run("forward", x, conditions, [name])

        left, width = scale * array.shape[1], scale * array.shape[2]
        for band in bands(run, _pad(array, multiple), side, overlap, multiple, scale):
            yield band[:, :left, :width]
            left -= band.shape[1]

    def check_tiles(self, tile: int | str | None, overlap: int | None) -> None:
        """Refuse what :meth:`reconstruct` does not take as ``tile`` and ``overlap``.

        Raises:
            InputError: for a wrong word or number, or tiles where the network takes none.
        """
        check_tiles(tile, overlap, self.reach, self._name)

    def _at_once(
        self,
        call: str,
        shape: tuple[int, ...],
        pixels: int | None,
        conditions: Mapping[str, Any],
        name: str,
        wanted: int,
    ) -> int:
        """How many inputs go through the network together: those that are wanted, or as many as half the memory holds.

        Args:
            call: the method of the network.
            shape: of one input, ``(1, ...)``.
            pixels: of the input or its result, whichever has more; None if nobody knows.
            conditions: of one input.
            name: of one input.
            wanted: the most.

        Raises:
            InputError: if not even one has room.
        """
        need, free = self._need(call, shape, pixels, conditions, wanted), self._free_memory()
        if need > free:
            cure = "run it in smaller tiles, or make it smaller" if self.reach is not None else "make it smaller"
            raise InputError(
                f"{self._name} needs about {need / 1e9:,.1f} GB of memory for {name} and {free / 1e9:,.1f} GB are "
                f"free: {cure}."
            )
        return max(1, min(wanted, int(free / 2 / need))) if need else wanted

    def _need(
        self, call: str, shape: tuple[int, ...], pixels: int | None, conditions: Mapping[str, Any], wanted: int
    ) -> int:
        """Bytes of memory that one input takes on its way; 0 if there is ample room for all that are wanted."""
        if pixels and wanted * pixels * AMPLE <= self._free_memory() / 2:
            return 0
        found = self._peak(call, shape, conditions)
        return (pixels or 0) * AMPLE // 2 if found is None else found

    def _side(self, tile: int | str | None, shape: tuple[int, ...], conditions: Mapping[str, Any]) -> int:
        """How large the tiles of an image ``(C, H, W)`` are; 0 for none. Where memory is short, "auto" makes some."""
        multiple = self._input.multiple
        side = tile_side(tile, self.reach, shape, multiple)
        if side or self.reach is None or tile is None:
            return side
        height, width = (length + -length % multiple for length in shape[1:])
        need = self._need("forward", (1, shape[0], height, width), height * width * self._scale**2, conditions, 1)
        return (
            tile_side(max(SIDE, 2 * self.reach), self.reach, shape, multiple) if need > self._free_memory() / 2 else 0
        )

    def _check_result(self, shape: tuple[int, ...], name: str) -> None:
        """Refuse a result that comes in bands and that memory does not hold."""
        need, free = 2 * 4 * shape[0] * shape[1] * shape[2] * self._scale**2, free_memory()
        if need > free:
            raise InputError(
                f"The result for {name} needs {need / 1e9:,.1f} GB of memory and {free / 1e9:,.1f} GB are free: write "
                "it as PNG, which takes none (reconstruct_to in Python), or make the image smaller."
            )

    def _checked_run(self, call: str, x: Array, conditions: Mapping[str, Any], names: Sequence[str]) -> Array:
        """What :meth:`_run` gives, if it is finite and memory was enough."""
        try:
            y = self._run(call, x, conditions)
        except Exception as error:  # torch and ONNX Runtime say it in their own ways
            if not out_of_memory(error):
                raise
            raise InputError(
                f"{self._name} has too little memory for {names[0]}{f' and {len(names) - 1} more' * (len(names) > 1)}: "
                "give fewer at once, smaller ones, or smaller tiles."
            ) from error
        for name, image in zip(names, y, strict=True):
            if not (np.isfinite(image.min()) and np.isfinite(image.max())):
                raise ZooError(
                    f"{self._name} makes NaN or infinite values of {name}: its weights are damaged, or what it "
                    "computes in is too narrow for it: get them again, or load it with dtype=torch.float32."
                )
        return y

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """Height and width of the images that the network takes; None for any."""
        return self._input.size

    def result_size(self, size: tuple[int, ...]) -> tuple[int, int]:
        """Height and width of what :meth:`reconstruct` makes of an image of this height and width."""
        height, width = self.fixed_size or size
        return height * self._scale, width * self._scale

    @property
    def _scale(self) -> int:
        return self.entry.output.scale if self.entry else 1

    def prepare(self, inputs: Any) -> Images:
        """Images as the network sees them: with its channels and, if that is fixed, its size.

        Args:
            inputs: anything that :meth:`zoo.Images.of` takes.
        """
        images = Images.of(inputs)
        return Images([self._fit(array) for array in images.arrays], images.names, infos=images.infos)

    def _fit(self, array: Array) -> Array:
        return fit(array, self._input.channels, self._input.size)

    @property
    def _input(self) -> Format:
        return self.entry.input if self.entry and self.entry.input else Format()

    @property
    def _name(self) -> str:
        return self.entry.model if self.entry else type(self).__name__

    def checked(self, given: Mapping[str, Any], n: int, call: str) -> dict[str, Any]:
        """Conditions as a method of the network takes them: arrays, or lists of texts, of length ``n``.

        Raises:
            InputError: for a condition that is wrong, unknown or missing.
        """
        declared = {c.name: c for c in self.entry.conditions} if self.entry else {}
        for name in given:
            if name not in declared:
                known = f"it takes {', '.join(declared)}" if declared else "it takes none"
                raise UnknownNameError(f"{self._name} has no condition {name!r}{near(name, declared) or f': {known}.'}")
        required = self.required_conditions(call)
        made = {}
        for name, condition in declared.items():
            value = given.get(name, condition.default)
            if value is None:
                if condition.required or name in required:
                    raise InputError(f"{self._name} needs the condition {name}{_hint(condition)}.")
                continue
            made[name] = self._condition(condition, value, n)
        return made

    def _condition(self, condition: Condition, value: Any, n: int) -> Any:
        if condition.kind != "image" and hasattr(value, "tolist"):  # labels as an array or a tensor
            value = value.tolist()
        several = not isinstance(value, (str, bytes)) and hasattr(value, "__len__")
        if condition.kind == "image":
            arrays = Images.of(value).arrays
            if len(arrays) == 1:
                arrays = arrays * n
            size = arrays[0].shape[1:] if arrays else None
            values: list[Any] = [fit(array, array.shape[0], size) for array in arrays]
        else:
            values = [condition.check(v) for v in value] if several else [condition.check(value)] * n
        if len(values) != n:
            raise InputError(f"{condition.name} has {len(values)} values for {n} samples: give one, or one for each.")
        if condition.kind == "image":
            return np.stack(values) * 2 - 1
        if condition.kind == "choice":
            values = [condition.choices.index(v) for v in values]
        if condition.kind == "text":
            return values
        return np.array(values, np.float32 if condition.kind == "number" else np.int64)


def _hint(condition: Condition) -> str:
    return f": one of {', '.join(map(str, condition.choices))}" if condition.choices else ""


def _check_memory(n: int, output: Format) -> None:
    if output.kind != "image" or not output.size:
        return
    each = 4 * (output.channels or 3) * output.size[0] * output.size[1]
    free = free_memory()
    if n * each > free:
        raise InputError(
            f"{n:,} samples need {n * each / 1e9:,.1f} GB of memory and {free / 1e9:,.1f} GB are free: "
            f"ask for at most {free // each:,} at a time."
        )


def _chunks(rows: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (rows[i : i + size] for i in range(0, len(rows), size))


def _take(conditions: Mapping[str, Any], rows: Sequence[int]) -> dict[str, Any]:
    """The conditions of some samples, which are neighbours."""
    return {name: values[rows[0] : rows[-1] + 1] for name, values in conditions.items()}


def _pad(array: Array, multiple: int) -> Array:
    """Mirror an image outward, to the right and below, until height and width are divisible."""
    bottom, right = -array.shape[1] % multiple, -array.shape[2] % multiple
    return np.pad(array, ((0, 0), (0, bottom), (0, right)), "reflect") if bottom or right else array


def _with_alpha(made: Array, given: Array) -> Array:
    """A result with the transparency of what it was made from."""
    if given.shape[0] not in (2, 4):
        return made
    height, width = made.shape[1:]
    alpha = Image.fromarray(given[-1]).resize((width, height), Image.Resampling.BICUBIC)
    return np.concatenate([made, np.clip(np.asarray(alpha), 0, 1)[None]])


def _to_arrays(y: Array) -> list[Array]:
    """Network output ``(N, C, H, W)`` in [-1, 1] to images in [0, 1]."""
    return list(np.ascontiguousarray(np.clip((y + 1) / 2, 0, 1)))


class _Progress:
    """A bar on the standard error, or nothing."""

    def __init__(self, total: int, shown: bool) -> None:
        self.bar = None
        if shown:
            from tqdm import tqdm

            self.bar = tqdm(total=total, unit="image", leave=False)

    def __enter__(self) -> Callable[[int], object]:
        return self.bar.update if self.bar else lambda n: None

    def __exit__(self, *error: object) -> None:
        if self.bar:
            self.bar.close()
