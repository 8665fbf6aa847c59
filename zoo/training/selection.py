"""By which metric the best weights of a translation are chosen: of what a network makes of samples that are held out.

Outputs and targets are tensors ``(1, ...)`` in [-1, 1] on the CPU, one for each sample held out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from zoo.metrics.features import Features
from zoo.metrics.fidelity import luma, perceptual_distance, psnr, rounded, si_sdr
from zoo.training.objective import sample_metrics
from zoo.training.runtime import Runtime


class Selection(ABC):
    """A metric, of which smaller is better."""

    def start(self, runtime: Runtime, targets: Sequence[Tensor]) -> None:
        """Take up what outputs will be compared with."""
        self.targets = targets

    @abstractmethod
    def protocol(self, n: int) -> str:
        """How it is measured with ``n`` samples held out, for people."""

    @abstractmethod
    def measure(self, outputs: Sequence[Tensor]) -> dict[str, float]:
        """The ``metric``, and others for the log."""


class L1Error(Selection):
    """Mean absolute error."""

    def protocol(self, n: int) -> str:
        return f"mean absolute error of results for {n:,} held-out pairs, in [0, 1]"

    def measure(self, outputs: Sequence[Tensor]) -> dict[str, float]:
        return {"metric": _l1(outputs, self.targets)}


class KernelDistance(Selection):
    """Unbiased kernel distance of outputs to targets, in the space of features; all images have one size."""

    def __init__(self, features: Features) -> None:
        self.features = features

    def start(self, runtime: Runtime, targets: Sequence[Tensor]) -> None:
        super().start(runtime, targets)
        self.features.to(runtime.device)
        self.reference = self.features(torch.cat(list(targets)))

    def protocol(self, n: int) -> str:
        return f"unbiased kernel distance of results to targets for {n:,} held-out pairs, {self.features.protocol}"

    def measure(self, outputs: Sequence[Tensor]) -> dict[str, float]:
        features = self.features(torch.cat(list(outputs)))
        return {**sample_metrics(features, self.reference), "l1": _l1(outputs, self.targets)}


class PSNR(Selection):
    """Peak signal-to-noise ratio, 8 bits; the metric is its negative.

    Args:
        border: pixels that do not count at each edge.
        luma: whether that of the Y channel, or of all channels.
    """

    def __init__(self, border: int, luma: bool = True) -> None:
        self.border, self.luma = border, luma

    def protocol(self, n: int) -> str:
        where = f"{'Y channel' if self.luma else 'all channels'} without {self.border} pixels at each edge"
        return f"minus the PSNR in dB of {n:,} held-out photos, {where}"

    def measure(self, outputs: Sequence[Tensor]) -> dict[str, float]:
        cut = slice(self.border, -self.border) if self.border else slice(None)
        ratios = []
        for output, target in zip(outputs, self.targets, strict=True):
            images = [((x + 1) * 127.5)[..., cut, cut] for x in (rounded(output), target)]
            ratios.append(psnr(*map(luma, images) if self.luma else images))
        ratio = float(np.mean(ratios))
        return {"metric": -ratio, "psnr": ratio}


class PerceptualDistance(PSNR):
    """Distance of the maps of a network that has seen many images; beside it the PSNR."""

    def __init__(self, features: Features, border: int) -> None:
        super().__init__(border)
        self.features = features

    def start(self, runtime: Runtime, targets: Sequence[Tensor]) -> None:
        super().start(runtime, targets)
        self.features.to(runtime.device)

    def protocol(self, n: int) -> str:
        return f"perceptual distance to {n:,} held-out photos, maps of {self.features.name}"

    def measure(self, outputs: Sequence[Tensor]) -> dict[str, float]:
        distances = [
            float(perceptual_distance(rounded(output), target, self.features))
            for output, target in zip(outputs, self.targets, strict=True)
        ]
        return {**super().measure(outputs), "metric": float(np.mean(distances))}


class SignalToDistortion(Selection):
    """Scale-invariant ratio of signal to distortion of sounds; the metric is its negative."""

    def protocol(self, n: int) -> str:
        return f"minus the SI-SDR in dB of {n:,} held-out sounds"

    def measure(self, outputs: Sequence[Tensor]) -> dict[str, float]:
        ratio = float(np.mean([si_sdr(y, x) for y, x in zip(outputs, self.targets, strict=True)]))
        return {"metric": -ratio, "si_sdr": ratio}


def _l1(outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> float:
    """Mean over samples of the same weight, whatever their size, in [0, 1]."""
    errors = [float((y.clamp(-1, 1) - x).abs().mean()) for y, x in zip(outputs, targets, strict=True)]
    return float(np.mean(errors)) / 2
