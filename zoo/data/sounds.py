"""Sounds under noise: batches for denoising, and mixtures that figures are measured with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from zoo.arrays import Array
from zoo.data.batch import Batch, Batches

SPEEDS = (0.85, 1.2)  # how much faster noise is played, which makes it another noise
BOTH = 0.3  # of the mixtures have two noises


def looped(noise: Array, length: int, start: int) -> Array:
    """``length`` samples of a sound ``(T,)`` from ``start`` on, which begins again where it ends."""
    part: Array = np.take(noise, np.arange(start, start + length), mode="wrap")
    return part


def at_snr(clean: Array, noise: Array, snr: float) -> Array:
    """Noise so loud that ``clean`` stands ``snr`` decibel above it, both ``(T,)``; silent where one of them is."""
    power = float(np.mean(noise**2))
    wanted = float(np.mean(clean**2)) / 10 ** (snr / 10)
    scaled: Array = noise * np.float32(np.sqrt(wanted / power) if power else 0)
    return scaled


class NoisySounds(Batches):
    """Parts of sounds, one after the other without pause, as ``target``, and the same under noise as ``input``.

    Args:
        sounds: each ``(C, T)`` in [-1, 1]; of several channels the mean is taken.
        noises: in the same form.
        length: of the parts.
        snr: how many decibel sounds stand above the noise, from and to.
    """

    def __init__(
        self, sounds: Sequence[Tensor], noises: Sequence[Tensor], *, length: int, snr: tuple[float, float]
    ) -> None:
        self.sounds, self.noises = ([x.mean(0).numpy() for x in one] for one in (sounds, noises))
        self.length, self.snr = length, snr

    def __len__(self) -> int:
        return len(self.sounds)

    def sets(self) -> list[Tensor | Sequence[Tensor]]:
        return [[torch.from_numpy(x) for x in one] for one in (self.sounds, self.noises)]

    def batch(self, step: int, size: int, rank: int = 0, world: int = 1) -> Batch:
        pairs = [self._pair(np.random.default_rng((0, step, number))) for number in range(rank, size, world)]
        x, y = (torch.from_numpy(np.stack(one))[:, None] for one in zip(*pairs, strict=True))
        return {"input": x, "target": y}

    def _pair(self, rng: np.random.Generator) -> tuple[Array, Array]:
        clean = self._speech(rng)
        noise = self._noise(rng)
        if rng.random() < BOTH:
            noise = noise + at_snr(noise, self._noise(rng), rng.uniform(-5, 5))
        noise = at_snr(clean, noise, rng.uniform(*self.snr))
        mixed = clean + noise
        gain = np.float32(10 ** rng.uniform(-1.5, 0) / max(float(np.abs(mixed).max()), 1e-3) * rng.choice([-1, 1]))
        return mixed * gain, clean * gain

    def _speech(self, rng: np.random.Generator) -> Array:
        """Sounds of various loudness, joined, from a random place in the first on."""
        parts: list[Array] = []
        start, total = 0, 0
        while total < self.length:
            sound = self.sounds[rng.integers(len(self.sounds))]
            start = int(rng.integers(max(1, len(sound) // 2))) if not parts else 0
            part = sound[start:] * np.float32(rng.uniform(0.5, 1))
            parts.append(part)
            total += len(part)
        joined: Array = np.concatenate(parts)[: self.length]
        return joined

    def _noise(self, rng: np.random.Generator) -> Array:
        """Part of a noise, faster or slower than it was."""
        noise = self.noises[rng.integers(len(self.noises))]
        speed = rng.uniform(*SPEEDS)
        part = looped(noise, int(self.length * speed) + 2, int(rng.integers(len(noise))))
        places = np.arange(self.length) * speed
        played: Array = np.interp(places, np.arange(len(part)), part).astype(np.float32)
        return played
