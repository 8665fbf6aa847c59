"""Sound as users hold it: what it is read from, players, files.

A sound is a float32 array ``(channels, time)`` in [-1, 1] and the rate of its samples.
"""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoo.arrays import Array
from zoo.errors import InputError
from zoo.media.audio_decode import SOUNDS, check_memory, check_rate, from_array, read_sound
from zoo.media.audio_encode import check_output, ending, spectrogram, wav_bytes, write
from zoo.media.base import Samples
from zoo.media.image_names import file_names
from zoo.media.sources import check_head, check_path, named_files, opened, read_object

_PAUSE = 0.5  # seconds between sounds that are written into one file
_PLAYED = 30  # seconds of each sound that a notebook holds
_SHOWN = 8  # sounds that a notebook shows


class Audio(Samples):
    """A sequence of sounds, of one length, rate and number of channels or of several.

    Attributes:
        arrays: float32 ``(channels, time)`` in [-1, 1] each.
        rates: samples per second of each.
        names: where each came from, relative to the folder it was in, or ``0000``, ``0001``, ... .
        seed: the seed that they were generated from; None for others.

    Raises:
        InputError: for arrays of another shape or kind, or another number of rates or names.
    """

    kind = "audio"
    noun = "sounds"

    def __init__(
        self,
        arrays: Iterable[Array],
        rate: int | Sequence[int],
        names: Sequence[str] | None = None,
        seed: int | None = None,
    ) -> None:
        self.arrays = list(arrays)
        rates = [rate] * len(self.arrays) if isinstance(rate, (int, np.integer)) else list(rate)
        self.rates = [check_rate(each, "Audio") for each in rates]
        self._set_names(len(self.arrays), names)
        self._check()
        self.seed = seed

    def _check(self) -> None:
        for array in self.arrays:
            if array.ndim != 2 or 0 in array.shape or array.dtype.kind != "f":
                raise InputError(
                    f"The arrays of Audio are floats (channels, time), not {array.dtype} {array.shape}: zoo.Audio.of "
                    "takes others."
                )
        if not len(self.rates) == len(self.names) == len(self.arrays):
            raise InputError(
                f"There are {len(self.rates)} rates and {len(self.names)} names for {len(self.arrays)} sounds: give "
                "each its own."
            )

    @property
    def rate(self) -> int:
        """Samples per second, where all sounds have the same.

        Raises:
            InputError: where they differ; ``rates`` has that of each.
        """
        if len(set(self.rates)) != 1:
            raise InputError("The sounds have several rates, or there are none: resampled(rate) gives them one.")
        return self.rates[0]

    @classmethod
    def of(cls, source: Any, rate: int | None = None) -> Audio:
        """Sounds of anything that holds sounds.

        Args:
            source: one of these, or a list or tuple of them, which may be mixed:

                - the path of a WAV, FLAC, OGG, MP3 or AIFF file, or of a folder, which is searched to the bottom in
                  the order of names
                - the bytes of a file, or an open binary file, which is read from its beginning
                - a numpy array or torch tensor ``(time,)``, ``(channels, time)`` or ``(N, channels, time)``: int16,
                  int32, uint8, or float in [-1, 1]; it needs its ``rate``
                - an array with its rate, as ``(rate, array)`` or ``(array, rate)``
                - Audio
            rate: samples per second of the arrays; files say theirs.

        Files of 8 to 32 bits and of floats become float32. Samples beyond [-1, 1], which decoders of MP3 and OGG leave,
        are clipped. Channels are never mixed here: a network's processor does that.

        Raises:
            InputError: for what holds no sounds, and arrays without a rate.
            MediaError: for a file that is damaged, or needs more memory than is free.
        """
        if isinstance(source, Audio):
            return source
        if rate is not None:
            check_rate(rate, "")
        sounds = list(_read(source, rate))
        names = [name for name, _, _ in sounds]
        return cls([array for *_, array in sounds], [each for _, each, _ in sounds], names if all(names) else None)

    def __len__(self) -> int:
        return len(self.arrays)

    def __iter__(self) -> Iterator[Audio]:
        return (self[i] for i in range(len(self)))

    def _chosen(self, index: slice) -> Audio:
        return Audio(self.arrays[index], self.rates[index], self.names[index], self.seed)

    @classmethod
    def concat(cls, parts: Iterable[Audio]) -> Audio:
        """The sounds of several, one after the other, under their names."""
        parts = list(parts)
        return cls(
            [array for part in parts for array in part.arrays],
            [rate for part in parts for rate in part.rates],
            [name for part in parts for name in part.names],
        )

    @property
    def seconds(self) -> list[float]:
        """How long each sound is."""
        return [array.shape[1] / rate for array, rate in zip(self.arrays, self.rates, strict=True)]

    def numpy(self) -> Array:
        """All sounds as float32 ``(N, channels, time)`` in [-1, 1].

        Raises:
            InputError: if they have several shapes.
        """
        if len({array.shape for array in self.arrays}) != 1:
            raise InputError("The sounds have several lengths or channels: take .arrays, which has each.")
        return np.stack(self.arrays)

    def resampled(self, rate: int) -> Audio:
        """The same sounds at another rate, by a band-limited filter (soxr); as long in seconds, to half a sample.

        Args:
            rate: samples per second.
        """
        rate = check_rate(rate, "")
        parts = zip(self.arrays, self.rates, self.names, strict=True)
        return Audio([resample(array, old, rate, name) for array, old, name in parts], rate, self.names, self.seed)

    def save(self, path: str | os.PathLike[str], *, format: str | None = None, bits: int = 16) -> None:
        """Write to a file or a folder (one file each, under their names); nothing is left half written.

        Several sounds of one rate and number of channels go into one file one after the other, with half a second of
        silence between.

        Args:
            path: a file ends in .wav, .flac or .ogg; a folder exists, has no ending, or ends in /.
            format: wav, flac or ogg; by default what the file's name ends in, and wav in a folder.
            bits: 16, or 24 for WAV and FLAC.

        Raises:
            InputError: for an ending that is no format of sound, or what the format cannot hold.
            MediaError: where the disk does not take it.
        """
        self._check()  # again: lists can be changed
        folder = check_output(path, format=format, bits=bits)
        target = Path(path)
        if not folder:
            return write(self._joined(), self.rate, target, bits)
        names = file_names(self.names, ending(format))
        for array, rate, name in zip(self.arrays, self.rates, names, strict=True):
            write(array, rate, target / name, bits)
        return None

    def _joined(self) -> Array:
        """All sounds one after the other."""
        if not self.arrays:
            raise InputError("There are no sounds to write: give at least one.")
        if len({len(array) for array in self.arrays}) > 1 or len(set(self.rates)) > 1:
            raise InputError("The sounds have several rates or channels, and a file has one: save them in a folder.")
        pause = np.zeros((len(self.arrays[0]), int(_PAUSE * self.rate)), np.float32)
        parts = [part for array in self.arrays for part in (pause, array)][1:]
        return np.concatenate(parts, 1)

    @classmethod
    def check_output(cls, path: str | os.PathLike[str], *, format: str | None = None, bits: int | None = None) -> bool:
        """Refuse what :meth:`save` would, before any time is spent on it, and say whether the path is a folder."""
        return check_output(path, format=format, bits=16 if bits is None else bits)

    @classmethod
    def ending(cls, format: str | None = None) -> str:
        """With the dot, what files in a folder end in: .wav by default."""
        return ending(format)

    def preview(self) -> Image.Image:
        """The spectrogram of each of the first eight sounds, one below the other."""
        images = [spectrogram(array) for array in self.arrays[:_SHOWN]]
        width, height = images[0].size if images else (1, 0)
        sheet = Image.new("RGB", (width, max(len(images) * (height + 4) - 4, 1)), "white")
        for number, image in enumerate(images):
            sheet.paste(image, (0, number * (height + 4)))
        return sheet

    def _repr_html_(self) -> str:
        """Players for a notebook: the first half minute of each of the first eight sounds, over its spectrogram."""
        parts: list[str] = []
        for array, rate, name, seconds in zip(self.arrays, self.rates, self.names, self.seconds, strict=True):
            if len(parts) == _SHOWN:
                parts.append(f"<p>{len(self) - _SHOWN} more</p>")
                break
            start = array[:, : _PLAYED * rate]
            cut = f", the first {_PLAYED} s" if array.shape[1] > start.shape[1] else ""
            image = io.BytesIO()
            spectrogram(start).save(image, "PNG")
            parts.append(
                f"<p>{html.escape(name)}: {seconds:.1f} s, {rate:,} Hz, {len(array)} channels{cut}<br>"
                f'<img alt="spectrogram" src="data:image/png;base64,{base64.b64encode(image.getvalue()).decode()}"><br>'
                f'<audio controls src="data:audio/wav;base64,{base64.b64encode(wav_bytes(start, rate)).decode()}">'
                "</audio></p>"
            )
        return "".join(parts)


def resample(array: Array, old: int, new: int, what: str = "The sound") -> Array:
    """A sound ``(channels, time)`` at another rate."""
    if old == new:
        return array
    import soxr

    check_memory(what, 2 * int(array.size * (1 + new / old)))
    # Very short sounds and steep ratios may leave nothing.
    sound = soxr.resample(np.ascontiguousarray(array.T), old, new)
    length = max(round(array.shape[1] * new / old), 1)
    sound = np.pad(sound[:length], ((0, length - len(sound[:length])), (0, 0)))
    resampled: Array = np.clip(np.ascontiguousarray(sound.T), -1, 1)
    return resampled


def _read(source: Any, rate: int | None, item: str = "") -> Iterator[tuple[str, int, Array]]:
    """Name (may be empty), rate and array of every sound in the source; errors call what has no name ``item``."""
    if isinstance(source, Audio):
        yield from zip(source.names, source.rates, source.arrays, strict=True)
    elif isinstance(source, Samples):
        raise InputError(
            f"{item or type(source).__name__} holds {source.noun}, and no sounds: give a path, or an array."
        )
    elif isinstance(source, (str, os.PathLike)):
        for name, path in named_files(check_path(source, "a sound"), SOUNDS):
            with opened(path, SOUNDS) as file:
                yield name, *read_sound(file, str(path))
    elif isinstance(source, (bytes, bytearray, memoryview)):
        yield "", *_of_bytes(bytes(source), item or "The bytes")
    elif _is_array(source):
        what = item or "The array"
        yield from (("", check_rate(rate, what), array) for array in from_array(_numpy(source, what), what))
    elif hasattr(source, "read"):
        what, content = read_object(source, item or "The file")
        yield "", *_of_bytes(content, what)
    elif (
        isinstance(source, (tuple, list))
        and len(source) == 2
        and sum(map(_is_array, source)) == 1
        and any(isinstance(part, (int, float, np.number)) for part in source)
    ):
        array, own = source if _is_array(source[0]) else source[::-1]
        yield from _read(array, check_rate(own, item), item)
    elif isinstance(source, Iterable) and not isinstance(source, dict):
        for number, part in enumerate(source):
            yield from _read(part, rate, f"Sound {number}")
    else:
        raise InputError(
            f"{item or type(source).__name__} holds no sounds: give a path, bytes, or an array with its rate."
        )


def _of_bytes(content: bytes, what: str) -> tuple[int, Array]:
    file = io.BytesIO(content)
    check_head(file, what, SOUNDS)
    return read_sound(file, what)


def _is_array(source: Any) -> bool:
    return isinstance(source, np.ndarray) or (hasattr(source, "detach") and hasattr(source, "movedim"))


def _numpy(values: Any, what: str) -> Any:
    """A tensor of any device and precision as an array, torch not imported."""
    if isinstance(values, np.ndarray):
        return values
    try:
        values = values.detach().cpu()
        return np.asarray(values.float() if values.is_floating_point() else values)
    except (RuntimeError, TypeError, ValueError) as error:  # sparse, quantized or on the meta device
        raise InputError(f"{what} is no plain tensor: {str(error).splitlines()[0]}") from None
