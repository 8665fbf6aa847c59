"""How the checkpoint of audio-ae was trained: speech under noise, by the ratio of signal to distortion.

    zoo train audio-ae --data speech/ --data noise/ --out runs/speech
    zoo evaluate audio-ae --data speech/ --data noise/

The first place has speech, the second noise, both with train and test. One sound in twenty is held out, to choose the
best weights by; the test splits are only measured by `zoo evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import AdamW

import zoo
from zoo.data.batch import held_out
from zoo.data.sounds import NoisySounds, at_snr, looped
from zoo.data.source import Source
from zoo.errors import InputError
from zoo.metrics.fidelity import si_sdr, stoi
from zoo.model import Model
from zoo.models.audio_ae import AudioAE
from zoo.registry.facts import Metric
from zoo.training.objective import TrainableNetwork
from zoo.training.schedules import cosine
from zoo.training.selection import SignalToDistortion
from zoo.training.terms import Distortion, Spectral
from zoo.training.translation import Translation

RATE = 8_000
RATIOS = (0, 5)  # of signal to noise in dB, that figures are given for
JOINED = 10  # sounds that STOI is measured over, since a short one has too few frames


def speech(
    data: Source,
    *,
    rate: int = RATE,
    width: int = 32,
    seconds: float = 0.768,
    quietest: float = 5.0,
    loudest: float = 15.0,
    spectral_weight: float = 1.0,
    lr: float = 6e-4,
    batch_size: int = 16,
    steps: int = 6_000,
) -> Translation:
    """Speech at 8 kHz, ``quietest`` dB below the noise to ``loudest`` dB above it.

    Half an hour on one core of a CPU with AVX-512.
    """
    speech, noise = _places(data, rate, "train")
    out = held_out(len(speech))
    kept, unheard = list(compress(speech, ~out)), list(compress(speech, out))
    torch.manual_seed(0)
    widths = [width, 2 * width, 4 * width, 6 * width]
    config: dict[str, Any] = {"widths": widths, "strides": [2, 4, 4, 2], "hidden": 4 * width, "layers": 2}
    network = AudioAE(**config)
    length = round(seconds * rate / 64) * 64
    tests = NoisySounds(unheard, noise, length=length, snr=(min(RATIOS), max(RATIOS)))
    return Translation(
        config,
        TrainableNetwork(network, AdamW(network.parameters(), lr, betas=(0.9, 0.99)), cosine(steps), clip=5.0),
        NoisySounds(kept, noise, length=length, snr=(-quietest, loudest)),
        [tests.batch(number, 1) for number in range(min(150, 2 * len(unheard)))],
        terms=[Distortion(1), Spectral(spectral_weight)],
        selection=SignalToDistortion(),
        batch_size=batch_size,
        steps=steps,
        show=lambda x: zoo.Audio(list(x.clamp(-1, 1).cpu().numpy()), rate),
    )


def _places(data: Source, rate: int, split: str) -> tuple[list[Tensor], list[Tensor]]:
    """The sounds of the two places."""
    if len(data.paths) != 2:
        raise InputError(f"Speech and noise are two places, not {len(data.paths)}: --data speech/ --data noise/")
    speech, noise = data.sounds(rate, split)
    return [x for _, x in speech], [x for _, x in noise]


@torch.inference_mode()
def evaluate(model: Model, data: Source) -> list[Metric]:
    """SI-SDR and STOI of test sounds under noise, beside those of the noisy sounds and of spectral gating."""
    assert model.entry
    rate = model.entry.output.rate or RATE
    speech, noise = _places(data, rate, "test")
    rows = []
    for snr in RATIOS:
        clean, noisy = zip(*(_mixture(x, noise, number, snr) for number, x in enumerate(speech)), strict=True)
        results = {
            "": [x[0] for x in model.reconstruct(zoo.Audio([x[None] for x in noisy], rate)).arrays],
            "input": noisy,
            "spectral_gating": [_gated(x, rate) for x in noisy],
        }
        for metric, digits in (("si-sdr", 2), ("stoi", 3)):
            figure = _mean_si_sdr if metric == "si-sdr" else _mean_stoi
            values = {name: round(figure(sounds, clean, rate), digits) for name, sounds in results.items()}
            value = values.pop("")
            protocol = f"{metric}-snr{snr}"
            row = Metric(metric, value, protocol=protocol, split=data.called("test"), n=len(clean), baselines=values)
            rows.append(row)
    return rows


def _mixture(speech: Tensor, noises: Sequence[Tensor], number: int, snr: float) -> tuple[Any, Any]:
    """A sound and the same under noise ``(T,)``, both quieter where the sum would be beyond [-1, 1]."""
    clean, noise = speech.mean(0).numpy(), noises[number % len(noises)].mean(0).numpy()
    start = int(np.random.default_rng(number).integers(len(noise)))
    noisy = clean + at_snr(clean, looped(noise, len(clean), start), snr)
    loudest = max(1.0, float(np.abs(noisy).max()))
    return clean / loudest, noisy / loudest


def _gated(x: Any, rate: int) -> Any:
    """Spectral gating by noisereduce with its defaults."""
    try:
        from noisereduce import reduce_noise
    except ImportError:
        raise InputError("The baseline needs one more package: pip install 'generative-zoo[baselines]'.") from None
    return reduce_noise(x, rate).astype(np.float32)


def _mean_si_sdr(sounds: Sequence[Any], clean: Sequence[Any], rate: int) -> float:
    pairs = ((torch.from_numpy(y), torch.from_numpy(x)) for y, x in zip(sounds, clean, strict=True))
    return float(np.mean([si_sdr(y, x) for y, x in pairs]))


def _mean_stoi(sounds: Sequence[Any], clean: Sequence[Any], rate: int) -> float:
    values = []
    for first in range(0, len(clean), JOINED):
        y, x = (torch.from_numpy(np.concatenate(one[first : first + JOINED])) for one in (sounds, clean))
        values.append(stoi(y, x, rate))
    return float(np.mean(values))
