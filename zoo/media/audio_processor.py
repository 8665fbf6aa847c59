"""Between sounds and a network: rate, channels, windows of fixed length, padding."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.arrays import Array
from zoo.errors import RegistryError
from zoo.media.audio import Audio, resample
from zoo.media.base import Prepared, Processor
from zoo.registry.facts import Format

_UNITS = ("channels", "moments", "Hz")
RATE = 16_000  # of a network that was built by hand, about which no registry says anything


class AudioProcessor(Processor[Audio]):
    """Sounds of any rate, length and number of channels for a network that takes ``(N, channels, time)`` in [-1, 1].

    A sound is resampled to the network's rate, and what comes back to the rate of the sound. Each channel goes through
    a network for mono of its own, so that stereo stays stereo; a network for more channels than a sound has, or fewer,
    gets each channel repeated, and the mean of its answer is taken. A network that takes any length gets the sound,
    mirrored at its end until ``multiple`` divides it; one of fixed length gets windows that overlap by a quarter and
    are cross-faded, as does one with a ``window`` where a sound is longer than that. The result has the rate, length
    and channels of the sound; where a network raises the rate, its own.

    Raises:
        RegistryError: where the rate of the output is no multiple of that of the input.
    """

    kind = "audio"
    axes = (1,)
    part = 1 << 18
    whole = 1 << 20
    unit = "moments"
    layout = "(N, C, T)"

    def __init__(self, input: Format, output: Format) -> None:
        super().__init__(input, output)
        self.rate = input.rate or output.rate or RATE
        self.result_rate = output.rate or self.rate
        if input.kind == output.kind and self.result_rate % self.rate:
            raise RegistryError(
                f"A network for sound gives {self.result_rate:,} Hz for {self.rate:,} Hz: the rate of the output must "
                "be a multiple of that of the input."
            )

    def read(self, source: Any, **limits: Any) -> Audio:
        """As :meth:`zoo.Audio.of`; there are no limits beside that of memory."""
        return Audio.of(source)

    def prepare(self, sample: Audio) -> Prepared[Audio]:
        """Arrays ``(channels, time)`` at the network's rate: those of each channel, and of each window of it."""
        array = self._at_rate(sample).arrays[0]
        groups = self._groups(array)
        length = self._window(array.shape[1])
        if not length:
            return Prepared(sample, [_longer(group, self.input.multiple) for group in groups], (array.shape[1],))
        starts = _starts(array.shape[1], length)
        windows = [_to_length(group[:, start : start + length], length) for group in groups for start in starts]
        return Prepared(sample, windows, (length,))

    def _window(self, length: int) -> int | None:
        """The length of the windows that a sound of some length goes through in; None where it goes as a whole."""
        window = self.input.window
        return self.input.length or (window if window and length > window else None)

    def _at_rate(self, samples: Audio) -> Audio:
        return samples.resampled(self.rate)

    def _groups(self, array: Array) -> list[Array]:
        """What goes through the network together: all channels, or each of its own."""
        channels = self.input.channels
        if channels in (None, len(array)):
            return [array]
        return [np.repeat(channel[None], channels or 1, 0) for channel in array]

    def seen(self, samples: Audio) -> Audio:
        """Sounds at the network's rate."""
        return self._at_rate(samples)

    def restore(self, outputs: Sequence[Any], prepared: Prepared[Any] | None = None) -> Audio:
        """A sound in [-1, 1] of the network's answers; louder is clipped."""
        sample = prepared.sample if prepared else None
        if not isinstance(sample, Audio):  # generated, or made of something else
            return Audio([_clipped(outputs[0])], self.result_rate, sample.names if sample else None)
        old = sample.rates[0]
        length = round(sample.arrays[0].shape[1] * self.rate / old) or 1
        joined = self._joined(outputs, length)
        if len(joined) > 1:
            channels = np.concatenate([group.mean(0, keepdims=True) for group in joined])
        else:
            channels = joined[0] if self._alone(sample) else joined[0].mean(0, keepdims=True)
        rate = old if self.result_rate == self.rate else self.result_rate
        sound = resample(_clipped(channels), self.result_rate, rate)
        return Audio([_to_length(sound, sample.arrays[0].shape[1])] if rate == old else [sound], rate, sample.names)

    def _alone(self, sample: Audio) -> bool:
        """Whether all channels of a sound went through the network together."""
        return self.input.channels in (None, len(sample.arrays[0]))

    def _joined(self, outputs: Sequence[Array], length: int) -> list[Array]:
        """The answer for each group of channels, without padding, its windows cross-faded."""
        scale, window = self.result_rate // self.rate, self._window(length)
        if not window:
            return [output[:, : length * scale] for output in outputs]
        starts = _starts(length, window)
        size = window * scale
        fade = np.minimum(np.arange(1, size + 1), np.arange(size, 0, -1)).astype(np.float32)
        fade = np.minimum(fade / (size // 4 + 1), 1)
        groups = []
        for first in range(0, len(outputs), len(starts)):
            total = np.zeros((len(outputs[first]), max(length, window) * scale), np.float32)
            weight = np.zeros(total.shape[1], np.float32)
            for start, output in zip(starts, outputs[first : first + len(starts)], strict=True):
                total[:, start * scale : start * scale + size] += output * fade
                weight[start * scale : start * scale + size] += fade
            groups.append((total / weight)[:, : length * scale])
        return groups

    def check_target(self, sample: Audio, path: str | os.PathLike[str], **options: Any) -> None:
        """Refuse a file whose name or bits are none of sound."""
        Audio.check_output(path, **options)

    def lengths(self, sample: Audio) -> tuple[int, ...]:
        """Moments at the network's rate."""
        length = round(sample.arrays[0].shape[1] * self.rate / sample.rates[0]) or 1
        return (self._window(length) or length,)

    @property
    def scales(self) -> tuple[int, ...]:
        """How many times longer the result is: a network may raise the rate."""
        return (self.result_rate // self.rate,) if self.input.kind == self.output.kind else (1,)

    @property
    def fixed(self) -> bool:
        """Whether the network takes one length only."""
        return self.input.length is not None

    def result_values(self, lengths: Sequence[int]) -> int:
        """Values of the result of one array of these lengths."""
        return math.prod(lengths) * self.scales[0] * (self.output.channels or self.input.channels or 2)

    def generated_positions(self) -> int | None:
        """Moments of a generated sound."""
        return self.output.length

    def held(self, sample: Audio) -> int:
        """Values of a sound in memory."""
        return sum(array.size for array in sample.arrays)

    def output_shape(self, lengths: Sequence[int] | None) -> tuple[int | None, ...] | None:
        """Channels and length."""
        length = self.output.length or (lengths[0] * self.scales[0] if lengths else None)
        return (self.output.channels, length) if length else None

    def mismatch(self, sample: Audio, original: Audio | None = None) -> str:
        """Whether a sound has other channels, another length or rate than are declared, or than its original."""
        channels, length = sample.arrays[0].shape
        wanted = (self.output.channels, self.output.length, self.result_rate)
        if original is not None:
            (array,), (rate,) = original.arrays, original.rates
            wanted = (len(array) if self.output.channels == self.input.channels else None, array.shape[1], rate)
            if self.result_rate != self.rate:
                wanted = (wanted[0], round(self.lengths(original)[0] * self.scales[0]), self.result_rate)
        for value, right, unit in zip((channels, length, sample.rates[0]), wanted, _UNITS, strict=True):
            if right not in (None, value):
                return f"A sound has {value:,} {unit} instead of {right:,}."
        return ""

    def example_samples(self, n: int) -> Audio:
        """Chords, each of other notes, that swell and fade."""
        length = self.input.length or _rounded(2048 * n, self.input.multiple)
        t = np.arange(length) / self.rate
        swell = np.sin(np.pi * (np.arange(length) + 0.5) / length)
        chords = [sum(np.sin(2 * np.pi * f * (1 + i / 3) * t) for f in (220, 330, 440)) / 4 for i in range(n)]
        channels = self.input.channels or 1
        return Audio(
            [np.stack([chord * swell / (1 + c) for c in range(channels)]).astype(np.float32) for chord in chords],
            self.rate,
        )

    def odd_samples(self) -> list[Audio]:
        """One moment, stereo of a compact disc, and three channels as of a telephone."""
        random = np.random.default_rng(0)
        shapes = (((1, 1), self.rate), ((2, 997), 44_100), ((3, 500), 8_000))
        return [Audio([random.uniform(-1, 1, shape).astype(np.float32)], rate) for shape, rate in shapes]

    def noise_sample(self, lengths: Sequence[int]) -> Audio:
        """Noise at the network's rate."""
        shape = (self.input.channels or 1, *lengths)
        return Audio([np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)], self.rate)

    def probe_samples(self) -> list[Audio]:
        """Chords, noise, clicks, a square, something quiet, silence and the loudest there is, in one length."""
        chords = self.example_samples(2).arrays
        shape, random = chords[0].shape, np.random.default_rng(0)
        noise = random.uniform(-1, 1, shape).astype(np.float32)
        clicks = np.where(np.arange(shape[1]) % 199 == 0, np.float32(1), np.float32(0)) + 0 * noise
        square = np.sign(np.sin(np.arange(shape[1]) / 30)).astype(np.float32) + 0 * noise
        kinds = [*chords, noise, clicks, square, 0.01 * noise, 0 * noise, np.ones_like(noise)]
        return [Audio(kinds, self.rate)]


def _clipped(values: Any) -> Array:
    """What a network gave, in the range of sound."""
    clipped: Array = np.clip(np.asarray(values, np.float32), -1, 1)
    return clipped


def _rounded(length: int, multiple: int) -> int:
    return length + -length % multiple


def _longer(array: Array, multiple: int) -> Array:
    """Mirror a sound ``(channels, time)`` at its end until its length is divisible."""
    more = -array.shape[1] % multiple
    return np.pad(array, ((0, 0), (0, more)), "reflect") if more else array


def _to_length(array: Array, length: int) -> Array:
    """A sound cut, or made longer by silence."""
    return np.pad(array[:, :length], ((0, 0), (0, max(length - array.shape[1], 0))))


def _starts(total: int, length: int) -> list[int]:
    """Where windows begin that overlap by a quarter or more; the last ends with the sound."""
    if total <= length:
        return [0]
    count = math.ceil((total - length) / max(length - length // 4, 1)) + 1
    return [round(i * (total - length) / (count - 1)) for i in range(count)]
