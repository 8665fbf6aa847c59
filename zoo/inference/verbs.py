"""The two verbs, ``generate`` and ``reconstruct``: seeds, batches and progress.

What the samples are is the business of a :class:`~zoo.media.base.Processor`, what conditions are of a
:class:`~zoo.inference.conditions.Space`, and what computes the network of :class:`~zoo.model.Model`, which does it with
torch, or of :class:`~zoo.backends.onnx_backend.OnnxModel`, which does it without.
"""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Any

import numpy as np

from zoo.arrays import Array
from zoo.errors import InputError, UnknownNameError, ZooError, check_count, check_natural, near, out_of_memory
from zoo.inference import tiling
from zoo.inference.batches import Row, alike, chunks, latent_conditions, outputs_of, rows_of, stacked
from zoo.inference.conditions import Space, space
from zoo.inference.latents import to_latents
from zoo.inference.tiling import Window, check_tiles, cut
from zoo.media.base import Processor, Samples, processors
from zoo.memory import free_memory
from zoo.registry.facts import Entry, Format
from zoo.registry.index import refusal

# Bytes for each position (pixel, moment) of the input or the output, whichever has more: twice the most that a network
# of the zoo was seen to take (sd-vae). What has room by this rule is run without finding out how much it really takes.
AMPLE = 8192
# How often a sample is drawn until it is valid, where the model promises that: one in ten is in 99.997 % of the cases.
ATTEMPTS = 100
# Which method of a network each verb calls.
CALLS = {"generate": "decode", "reconstruct": "forward"}


def calls_of(verbs: Collection[str]) -> list[str]:
    """The methods of a network that these verbs call."""
    return [call for verb, call in CALLS.items() if verb in verbs]


class Verbs:
    """What a user does with a model.

    Attributes:
        entry: the facts from the registry; None for a network that was built by hand.
        receptive_radius: for a network that takes any size and gives the same kind: how many pixels or moments of the
            input, to each side, a value of the output depends on, so that large inputs can go through in tiles. None
            where it depends on all of them.
        latent_shape: shape of one latent; None for a model that makes no samples.
    """

    entry: Entry | None = None
    receptive_radius: int | None = None
    latent_shape: tuple[int, ...] | None = None

    @property
    def calls(self) -> list[str]:
        """The methods of the network that its verbs call: ``decode`` to generate, ``forward`` to reconstruct."""
        return calls_of(self.entry.verbs if self.entry else ["generate" if self.latent_shape else "reconstruct"])

    # What a subclass provides.

    def _run(self, call: str, x: Any, conditions: Mapping[str, Any]) -> Any:
        """Latents ``(N, ...)``, or a batch of inputs, through the network: a batch of what it gives, float32."""
        raise NotImplementedError

    def _peak(self, call: str, shape: tuple[int, ...], conditions: Mapping[str, Any]) -> int | None:
        """Bytes of memory that an input ``(1, ...)`` of this shape takes on its way; None where nobody knows."""
        return None

    def _free_memory(self) -> int:
        """Bytes that are free where the network computes."""
        return free_memory()

    why_required = ""  # said of a condition that only required_conditions asks for

    def required_conditions(self, call: str) -> set[str]:
        """Conditions without which a method of the network cannot be called."""
        return set()

    def draw(self, rng: np.random.Generator) -> Array:
        """One latent of shape ``latent_shape``; standard normal unless a subclass says otherwise."""
        assert self.latent_shape is not None
        return rng.standard_normal(self.latent_shape, dtype=np.float32)

    # The verbs.

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
    ) -> Any:
        """New samples.

        Args:
            n: how many.
            seed: a whole number from 0; the same seed gives the same samples on every device, and the first of
                many samples are the same as few. By default another one each time, found in ``.seed`` of the result.
            first: number of the first sample: ``generate(4, seed=7, first=100)`` are samples 100 to 103 of that seed.
            latents: in place of ``n`` and ``seed``: an array or tensor ``(N, *latent_shape)``, or the path of a .npy
                file with one, as ``zoo project`` writes. Their samples are returned as they are, valid or not.
            batch_size: samples that go through the network at once, fewer where memory is short; the result does not
                depend on it.
            progress: whether to show a bar.
            conditions: as declared in the registry; one value, or a list with one for each sample, where None stands
                for none.

        Returns:
            n samples of the kind that the model gives, such as :class:`zoo.Images`. Where the registry says that
            molecules are valid, invalid ones are drawn again, each from its own stream, and ``.drawn`` of the result is
            how many were drawn in all.

        Raises:
            VerbError: for a model that only reconstructs.
            InputError: for a wrong number, seed or condition, or more samples than memory holds.
            ZooError: for a sample that is not finite, or is not valid after 100 draws.
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
        _, writer = self.processors()
        _check_memory(n, writer)
        spaces, values = self._spaces(), self.prepare_conditions(conditions, n, "decode")
        draws = _Draws(int(seed), int(first), latents)
        results: dict[int, Any] = {}
        left: Sequence[int] = range(int(n))
        with _Progress(n, progress) as tick:
            positions = writer.generated_positions()
            while left:
                if draws.attempt == ATTEMPTS:
                    raise ZooError(
                        f"{self._name} made {len(left):,} of {int(n):,} samples invalid {ATTEMPTS} times in a row: "
                        "train it longer, or give latents, whose samples are returned as they are."
                    )
                rows, again = self._latent_rows(left, draws, spaces, values, writer), []
                for row, output in self._through("decode", rows, spaces, positions, min(len(left), int(batch_size))):
                    sample = writer.restore([output])
                    if latents is None and not writer.accepts(sample):
                        again.append(row.number)
                        continue
                    results[row.number] = sample
                    tick(1)
                draws.count, draws.attempt, left = draws.count + len(left), draws.attempt + 1, again
        samples = type(results[0]).concat(results[number] for number in range(int(n)))
        if latents is not None:
            return samples.numbered(None)
        return samples.numbered(int(seed), draws.count if writer.selects else None)

    def reconstruct(
        self,
        inputs: Any,
        *,
        batch_size: int = 16,
        tile: int | str | None = "auto",
        overlap: int | None = None,
        progress: bool = False,
        **conditions: Any,
    ) -> Any:
        """Samples through the model: an autoencoder's copy, a larger photo, a painted one.

        Args:
            inputs: anything that ``of`` of the model's samples takes, such as :meth:`zoo.Images.of`. For a network of
                fixed size the largest centred part of the right shape is resized to it; a network that takes any size
                returns the size of its input, times its scale.
            batch_size: inputs that go through the network at once, fewer where memory is short; the result does not
                depend on it.
            tile: "auto" for tiles where the network can be run in parts and an image has more than 512 x 512 pixels,
                or takes more than half of the free memory; None to run it whole; a number for tiles of that many pixels
                of the input, one after the other.
            overlap: pixels that a tile sees beyond its edges; by default as many as the result needs to equal that of
                the whole image, to about 1e-6.
            progress: whether to show a bar, of samples and of the tiles of each.
            conditions: as declared in the registry; one value, or a list with one for each input, where None stands for
                none: what it says stays as it is.

        Returns:
            One sample for each input, in their order and under their names, of the kind that the model gives. Where a
            network takes images of any size, transparency is enlarged beside the colours, and the result has it, too.

        Raises:
            VerbError: for a model that only generates.
            InputError: for inputs that hold no samples, a wrong condition, tiles where the network takes none, or an
                input that needs more memory than there is.
            ZooError: for a result that is not finite.
        """
        if self.entry and "reconstruct" not in self.entry.verbs:
            raise refusal(self._name, "reconstruct")
        check_count("batch_size", batch_size)
        self.check_tiles(tile, overlap)
        reader, writer = self.processors(inputs)
        samples, conditions = self._with_masks(reader, reader.read(inputs), conditions)
        values = self.prepare_conditions(conditions, len(samples), "forward")
        results: list[Any] = []
        with _Progress(len(samples), progress) as tick:
            stream = self._outputs(reader, samples, values, int(batch_size), tile, overlap, progress)
            for _, group in groupby(stream, key=lambda each: each[0].number):
                outputs = list(_in_memory(group))
                results.append(writer.restore([output for _, output in outputs], outputs[0][0].prepared))
                tick(1)
        return type(results[0]).concat(results) if results else samples

    def reconstruct_to(
        self,
        source: Any,
        path: str | os.PathLike[str],
        *,
        tile: int | str | None = "auto",
        overlap: int | None = None,
        format: str | None = None,
        bits: int = 8,
        progress: bool = False,
        **conditions: Any,
    ) -> None:
        """One sample through the model and into a file, as :meth:`reconstruct` and ``save`` would do.

        If it goes through in parts and the file can be written as they come, as PNG can, it takes no memory for the
        result: that may be larger than memory.

        Args:
            source: one sample of anything that :meth:`reconstruct` takes.
            path: the file.
            tile: as for :meth:`reconstruct`.
            overlap: likewise.
            format: as for ``save`` of the result.
            bits: likewise.
            progress: whether to show a bar of the tiles.
            conditions: as for :meth:`reconstruct`.

        Raises:
            InputError: as :meth:`reconstruct`, for more or less than one sample, and for a result that is too large
                for its format.
            MediaError: where the disk does not take it.
        """
        self.check_tiles(tile, overlap)
        reader, writer = self.processors(source)
        samples = reader.read(source)
        if len(samples) != 1:
            raise InputError(
                f"A file takes one result, and these are {len(samples)} {samples.noun}: use "
                "reconstruct(...).save(FOLDER)."
            )
        samples, conditions = self._with_masks(reader, samples, conditions)
        options: dict[str, Any] = {"format": format} if format else {}
        options |= {"bits": bits} if bits != 8 else {}
        writer.check_target(samples, path, **options)
        values = self.prepare_conditions(conditions, 1, "forward")
        if writer.streams(samples, path, **options):
            spaces = self._spaces()
            rows = rows_of(samples, reader, spaces, values)
            row = next(rows)
            side = self._side(tile, row, reader, spaces)
            second = next(rows, None)
            assert row.prepared is not None
            if second:
                stream = self._through_tiles(chain([row, second], rows), reader, tile, overlap, 16, progress=progress)
                return writer.write((output for _, output in stream), row.prepared, path, **options)
            if side:
                self._check_part(row, reader, side, overlap)
                bands = self._bands(row, reader, side, overlap, spaces, progress)
                return writer.write(bands, row.prepared, path, **options)
        result = self.reconstruct(samples, tile=tile, overlap=overlap, progress=progress, **conditions)
        result.save(path, **options)
        return None

    def streams(self, sample: Samples, path: str | os.PathLike[str], **options: Any) -> bool:
        """Whether :meth:`reconstruct_to` writes the result of a sample as it comes, for it is large."""
        reader, writer = self.processors(sample)
        if not writer.streams(sample, path, **options):
            return False
        large = self.receptive_radius is not None and math.prod(reader.lengths(sample)) > reader.whole
        return large or sample.kind != self._formats[0].kind

    # What goes into the verbs.

    def processors(self, inputs: Any = None) -> tuple[Processor[Any], Processor[Any]]:
        """What stands between samples and the network: of its input, which ``inputs`` go through, and of its output."""
        kind = inputs.kind if isinstance(inputs, Samples) else None
        return processors(*self._formats, kind)

    @property
    def _formats(self) -> tuple[Format, Format]:
        output = self.entry.output if self.entry else Format()
        return (self.entry.input if self.entry and self.entry.input else Format(kind=output.kind)), output

    @property
    def _name(self) -> str:
        return self.entry.model if self.entry else type(self).__name__

    def prepare(self, inputs: Any) -> Any:
        """Samples as the network sees them: with its channels and, if that is fixed, its size.

        Args:
            inputs: anything that :meth:`reconstruct` takes.
        """
        reader, _ = self.processors(inputs)
        return reader.seen(reader.read(inputs))

    def _spaces(self) -> dict[str, Space]:
        return {condition.name: space(condition) for condition in self.entry.conditions} if self.entry else {}

    def prepare_conditions(self, conditions: Mapping[str, Any], n: int, call: str) -> dict[str, list[Any]]:
        """One checked value of each condition for each of ``n`` samples; None for a sample without one.

        Args:
            conditions: what a user gave, by name.
            n: how many samples there are.
            call: the method of the network that will take them.

        Raises:
            InputError: for a condition that is wrong, unknown or missing.
        """
        return {name: each.each(value, n) for name, (each, value) in self._chosen_conditions(conditions, call).items()}

    def check_conditions(self, conditions: Mapping[str, Any], n: int, call: str) -> None:
        """Refuse what :meth:`prepare_conditions` would, but read no file.

        Raises:
            InputError: for a condition that is wrong, unknown or missing.
        """
        for each, value in self._chosen_conditions(conditions, call).values():
            each.check_given(value, n)

    def _chosen_conditions(self, conditions: Mapping[str, Any], call: str) -> dict[str, tuple[Space, Any]]:
        spaces = self._spaces()
        for name in conditions:
            if name not in spaces:
                known = f"it takes {', '.join(spaces)}" if spaces else "it takes none"
                raise UnknownNameError(f"{self._name} has no condition {name!r}{near(name, spaces) or f': {known}.'}")
        required = self.required_conditions(call)
        chosen = {}
        for name, each in spaces.items():
            value = conditions.get(name, each.condition.default)
            needed = each.condition.required or name in required
            if value is not None:
                chosen[name] = space(replace(each.condition, required=needed)), value
            elif needed and not each.condition.transparency:
                choices = ", ".join(map(str, each.condition.choices))
                given = self.why_required if not each.condition.required else ""
                raise InputError(
                    f"{self._name} needs the condition {name}{given}{f': one of {choices}' if choices else ''}."
                )
        return chosen

    def _with_masks(
        self, reader: Processor[Any], samples: Any, conditions: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """Samples and conditions, what is transparent being the mask where none is given and the model says so."""
        lacking = [
            name
            for name, each in self._spaces().items()
            if each.condition.transparency and conditions.get(name) is None
        ]
        if not lacking:
            return samples, dict(conditions)
        try:
            opaque, masks = reader.without_transparency(samples)
        except InputError as error:
            raise InputError(
                f"{self._name} needs the condition {lacking[0]}, for {error}: give a mask that is white where to fill, "
                "or an image that is transparent there."
            ) from None
        return opaque, {**conditions, **dict.fromkeys(lacking, masks)}

    def check_tiles(self, tile: int | str | None, overlap: int | None) -> None:
        """Refuse what :meth:`reconstruct` does not take as ``tile`` and ``overlap``.

        Raises:
            InputError: for a wrong word or number, or tiles where the network takes none.
        """
        check_tiles(tile, overlap, self.receptive_radius, self._name)

    # Through the network.

    def _latent_rows(
        self,
        indices: Iterable[int],
        draws: _Draws,
        spaces: Mapping[str, Space],
        values: Mapping[str, Sequence[Any]],
        writer: Processor[Any],
    ) -> Iterator[Row]:
        for index in indices:
            z, name = draws.latent(self, index)
            yield Row(index, name, z, latent_conditions(index, spaces, values, writer))

    def _outputs(
        self,
        reader: Processor[Any],
        samples: Samples,
        values: Mapping[str, Sequence[Any]],
        batch_size: int,
        tile: int | str | None,
        overlap: int | None,
        progress: bool,
    ) -> Iterator[tuple[Row, Any]]:
        """What the network makes of samples, row by row."""
        rows = rows_of(samples, reader, self._spaces(), values)
        yield from self._through_tiles(rows, reader, tile, overlap, batch_size, len(samples), progress)

    def _through_tiles(
        self,
        rows: Iterable[Row],
        reader: Processor[Any],
        tile: int | str | None,
        overlap: int | None,
        batch_size: int,
        n: int | None = None,
        progress: bool = False,
    ) -> Iterator[tuple[Row, Any]]:
        """What the network makes of rows, in batches of neighbours of one shape, or each in tiles; order is kept."""
        spaces = self._spaces()
        for first, group in alike(rows, spaces):
            assert first.prepared is not None
            side = self._side(tile, first, reader, spaces)
            if not side:
                # Of one sample there may be several rows, of which nobody knows how many there are.
                single = isinstance(first.prepared.arrays, Sequence) and len(first.prepared.arrays) == 1
                wanted = min(batch_size, n - first.number) if n is not None and single else batch_size
                positions = reader.positions(self._lengths(first, reader))
                yield from self._through("forward", group, spaces, positions, wanted)
                continue
            for row in group:
                self._check_result(row, reader)
                self._check_part(row, reader, side, overlap)
                axis = self._axes(row, reader)[0]
                yield row, np.concatenate(list(self._bands(row, reader, side, overlap, spaces, progress)), axis)

    def _through(
        self, call: str, rows: Iterable[Row], spaces: Mapping[str, Space], positions: int | None, wanted: int
    ) -> Iterator[tuple[Row, Any]]:
        """What a method of the network makes of rows that follow each other, in as large batches as memory allows.

        Args:
            call: the method.
            rows: those of one shape share batches.
            spaces: of the conditions.
            positions: of each input or its result, whichever has more; None if nobody knows.
            wanted: the most in a batch.
        """
        for first, group in alike(rows, spaces):
            at_once = self._at_once(call, first, spaces, positions, wanted)
            for batch in chunks(group, at_once):
                x, conditions = stacked(batch, spaces)
                y = self._checked_run(call, x, conditions, [row.name for row in batch])
                yield from zip(batch, outputs_of(y), strict=True)

    @staticmethod
    def _axes(row: Row, reader: Processor[Any]) -> list[int]:
        """The axes along which a row can be cut, counted from the last one."""
        return [axis - row.array.ndim for axis in reader.axes]

    @classmethod
    def _lengths(cls, row: Row, reader: Processor[Any]) -> tuple[int, ...]:
        """Of a row along the axes of its processor, with padding."""
        return tuple(row.array.shape[axis] for axis in reader.axes)

    def _bands(
        self,
        row: Row,
        reader: Processor[Any],
        side: int,
        overlap: int | None,
        spaces: Mapping[str, Space],
        progress: bool,
    ) -> Iterator[Array]:
        """The result for one row, without padding, in bands along the first axis."""
        assert row.prepared is not None
        x, conditions = stacked([row], spaces)
        axes = self._axes(row, reader)
        wanted = [length * scale for length, scale in zip(row.prepared.lengths, reader.scales, strict=True)]
        others = {axis: slice(0, length) for axis, length in zip(axes[1:], wanted[1:], strict=True)}

        def run(window: Window) -> Array:
            part = {name: spaces[name].window(value, window) for name, value in conditions.items()}
            result: Array = self._checked_run("forward", cut(x, window), part, [row.name])[0]
            tick(1)
            return result

        overlap = (self.receptive_radius or 0) if overlap is None else int(overlap)
        left = wanted[0]
        lengths = self._lengths(row, reader)
        with _Progress(tiling.count(lengths, side, reader.multiples), progress, "tile") as tick:
            for band in tiling.bands(run, lengths, axes, side, overlap, reader.multiples, reader.scales):
                yield cut(band, {axes[0]: slice(0, left), **others})
                left -= band.shape[axes[0]]
                if left <= 0:
                    return

    # Memory.

    def _at_once(self, call: str, row: Row, spaces: Mapping[str, Space], positions: int | None, wanted: int) -> int:
        """How many rows go through the network together: those that are wanted, or as many as half the memory holds.

        Raises:
            InputError: if not even one has room.
        """
        need, free = self._need(call, row, spaces, positions, wanted), self._free_memory()
        if need > free:
            name = row.name if row.prepared else "a sample"
            cure = "make it smaller"
            if self.receptive_radius is not None:
                cure = "run it in smaller tiles, or make it smaller"
            raise InputError(
                f"{self._name} needs about {need / 1e9:,.1f} GB of memory for {name} and {free / 1e9:,.1f} GB are "
                f"free: {cure}."
            )
        return max(1, min(wanted, int(free / 2 / need))) if need else wanted

    def _need(self, call: str, row: Row, spaces: Mapping[str, Space], positions: int | None, wanted: int) -> int:
        """Bytes of memory that one row takes on its way; 0 if there is ample room for all that are wanted."""
        if positions and wanted * positions * AMPLE <= self._free_memory() / 2:
            return 0
        x, conditions = stacked([row], spaces)
        peak = None if isinstance(x, tuple) else self._peak(call, x.shape, conditions)
        return (positions or 0) * AMPLE // 2 if peak is None else peak

    def _side(self, tile: int | str | None, row: Row, reader: Processor[Any], spaces: Mapping[str, Space]) -> int:
        """How large the tiles of a row are; 0 for none. Where memory is short, "auto" makes some."""
        radius = self.receptive_radius
        if tile is None or radius is None or not reader.axes or row.prepared is None:
            return 0
        multiple = max(reader.multiples)
        side = int(tile) if not isinstance(tile, str) else max(reader.part, 2 * radius)
        side += -side % multiple
        if not isinstance(tile, str) or math.prod(row.prepared.lengths) > reader.whole:
            return side
        positions = reader.positions(self._lengths(row, reader))
        return side if self._need("forward", row, spaces, positions, 1) > self._free_memory() / 2 else 0

    def _check_part(self, row: Row, reader: Processor[Any], side: int, overlap: int | None) -> None:
        """Refuse tiles of which memory does not hold one."""
        overlap = (self.receptive_radius or 0) if overlap is None else int(overlap)
        lengths = [min(length, side + 2 * overlap) for length in self._lengths(row, reader)]
        window = {axis: slice(0, length) for axis, length in zip(self._axes(row, reader), lengths, strict=True)}
        spaces = self._spaces()
        conditions = {name: spaces[name].window(value, window) for name, value in row.conditions.items()}
        part = Row(row.number, row.name, cut(row.array, window), conditions, row.prepared)
        self._at_once("forward", part, spaces, reader.positions(lengths), 1)

    def _check_result(self, row: Row, reader: Processor[Any]) -> None:
        """Refuse a result that comes in parts and that memory does not hold."""
        assert row.prepared is not None
        need, free = 2 * 4 * reader.result_values(row.prepared.lengths), free_memory()
        if need > free:
            raise InputError(
                f"The result for {row.name} needs {need / 1e9:,.1f} GB of memory and {free / 1e9:,.1f} GB are free: "
                "write it as PNG, which takes none (reconstruct_to in Python), or make the image smaller."
            )

    def _checked_run(self, call: str, x: Any, conditions: Mapping[str, Any], names: Sequence[str]) -> Any:
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
        for part in y if isinstance(y, tuple) else (y,):
            for name, values in zip(names, part, strict=True):
                if not (np.isfinite(values.min()) and np.isfinite(values.max())):
                    raise ZooError(
                        f"{self._name} makes NaN or infinite values of {name}: its weights are damaged, or what it "
                        "computes in is too narrow for it: get them again, or load it with dtype=torch.float32."
                    )
        return y

    # Made-up inputs.

    def example_batch(self, call: str, n: int = 2) -> tuple[Any, dict[str, Any]]:
        """Made-up input of ``decode`` or ``forward`` for ``n`` samples, and all conditions, as :meth:`_run` takes them.

        Inputs are of another size for another ``n``, if the network takes any.
        """
        rng = np.random.default_rng(n)
        if call == "decode":
            latents = [self.draw(np.random.default_rng((n, i))) for i in range(n)]
            return self._latent_batch(np.stack(latents), rng)
        reader, _ = self.processors()
        return self._sample_batch(reader, reader.example_samples(n), rng)

    def smallest_batch(self, call: str) -> tuple[Any, dict[str, Any]]:
        """As :meth:`example_batch` for one sample, of the smallest size that tells whether formats are right."""
        rng = np.random.default_rng(0)
        if call == "decode":
            return self._latent_batch(self.draw(rng)[None], rng)
        reader, _ = self.processors()
        return self._sample_batch(reader, reader.smallest_sample(), rng)

    def probe_batches(self, call: str) -> list[tuple[Any, dict[str, Any]]]:
        """Batches of the kinds of input that occur, by which two ways to compute are compared.

        They are as those of :meth:`example_batch`.

        Of latents: four, one between two of them, the mean of all, and one three times as far as usual.
        """
        rng = np.random.default_rng(0)
        if call == "decode":
            z = np.stack([self.draw(rng) for _ in range(5)])
            return [self._latent_batch(np.concatenate([z[:4], (z[:1] + z[1:2]) / 2, 0 * z[:1], 3 * z[4:]]), rng)]
        reader, _ = self.processors()
        return [self._sample_batch(reader, samples, rng) for samples in reader.probe_samples()]

    def _latent_batch(self, z: Array, rng: np.random.Generator) -> tuple[Any, dict[str, Any]]:
        spaces, (_, writer) = self._spaces(), self.processors()
        rows = [
            Row(i, "", z[i], {name: s.fit(s.check(s.sample(rng)), None, writer)[0] for name, s in spaces.items()})
            for i in range(len(z))
        ]
        return stacked(rows, spaces)

    def _sample_batch(
        self, reader: Processor[Any], samples: Samples, rng: np.random.Generator
    ) -> tuple[Any, dict[str, Any]]:
        spaces = self._spaces()
        values = {
            name: [each.check(each.sample(rng, samples[i])) for i in range(len(samples))]
            for name, each in spaces.items()
        }
        return stacked(list(rows_of(samples, reader, spaces, values)), spaces)


def _check_memory(n: int, writer: Processor[Any]) -> None:
    """Refuse more samples than memory holds."""
    each = 4 * (writer.generated_positions() or 0) * (writer.output.channels or 3)
    free = free_memory()
    if n * each > free:
        raise InputError(
            f"{n:,} samples need {n * each / 1e9:,.1f} GB of memory and {free / 1e9:,.1f} GB are free: "
            f"ask for at most {free // each:,} at a time."
        )


def _in_memory(results: Iterable[tuple[Row, Any]]) -> Iterator[tuple[Row, Any]]:
    """The results of one sample, which are kept until it is whole, as long as there is room for them: and for it.

    Raises:
        InputError: where there is none.
    """
    held, free = 0, free_memory()
    for row, output in results:
        held += 3 * sum(part.nbytes for part in (output if isinstance(output, tuple) else (output,)))
        if held > free:
            raise InputError(
                f"The result for {row.name} needs more memory than is free ({free / 1e9:,.1f} GB): write it to a file "
                "as it comes, with the command or reconstruct_to."
            )
        yield row, output


@dataclass
class _Draws:
    """Where the latents of samples come from: each has a random stream of its own, or all are given.

    Attributes:
        seed: of the streams.
        first: number of the first sample.
        latents: that are given; None for random ones.
        attempt: how often the samples that are left were drawn before.
        count: how many samples were drawn in all.
    """

    seed: int
    first: int
    latents: Array | None
    attempt: int = 0
    count: int = 0

    def latent(self, model: Verbs, index: int) -> tuple[Array, str]:
        """The latent of a sample, and what messages call it."""
        if self.latents is not None:
            return self.latents[index], f"latent {index}"
        rng = np.random.default_rng((self.seed, self.first + index))
        for _ in range(self.attempt):
            model.draw(rng)
        return model.draw(rng), f"sample {self.first + index} of seed {self.seed}"


class _Progress:
    """A bar on the standard error where there are several things, or nothing."""

    def __init__(self, total: int, shown: bool, unit: str = "sample") -> None:
        self.bar = None
        if shown and total > 1:
            from tqdm import tqdm

            self.bar = tqdm(total=total, unit=unit, leave=False)

    def __enter__(self) -> Callable[[int], object]:
        return self.bar.update if self.bar else lambda n: None

    def __exit__(self, *error: object) -> None:
        if self.bar:
            self.bar.close()
