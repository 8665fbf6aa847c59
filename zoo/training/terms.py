"""The terms that the loss of a translation is a weighted sum of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.batch import Batch
from zoo.metrics.features import Features
from zoo.metrics.fidelity import perceptual_distance
from zoo.training.adversary import Adversary
from zoo.training.losses import checkerboard_energy
from zoo.training.objective import TrainableNetwork
from zoo.training.runtime import Runtime

Logs = dict[str, Tensor]


class Term(ABC):
    """One term of a loss.

    Args:
        weight: of the term in the sum.
        begin: the step that it counts from.

    Attributes:
        networks: what the term trains beside the network, by name.
    """

    networks: Mapping[str, TrainableNetwork] = {}

    def __init__(self, weight: float = 1.0, begin: int = 0) -> None:
        self.weight, self.begin = weight, begin

    def start(self, runtime: Runtime) -> None:
        """Move to the device."""
        self.runtime = runtime

    @abstractmethod
    def loss(self, output: Tensor, batch: Batch, step: int) -> tuple[Tensor, Logs]:
        """The term without its weight, and what is to be logged.

        Args:
            output: what the network makes of the batch, ``(N, ...)`` as ``batch["target"]``, float32 in [-1, 1].
            batch: the roles ``input`` and ``target``, and others of the data.
            step: number of the step.
        """


class L1(Term):
    """Mean absolute error."""

    def loss(self, output: Tensor, batch: Batch, step: int) -> tuple[Tensor, Logs]:
        loss = F.l1_loss(output, batch["target"])
        return loss, {"loss_l1": loss.detach()}


class Distortion(Term):
    """Minus the ratio of signal to distortion in decibel, averaged over samples ``(N, C, T)``."""

    def loss(self, output: Tensor, batch: Batch, step: int) -> tuple[Tensor, Logs]:
        target = batch["target"]
        signal, distortion = (x.square().sum((1, 2)) + 1e-6 for x in (target, output - target))
        loss = 10 * (distortion / signal).log10().mean()
        return loss, {"loss_distortion": loss.detach()}


class Spectral(Term):
    """Distance of magnitudes in spectrograms of several resolutions (Yamamoto et al. 2020).

    https://arxiv.org/abs/1910.11480: spectral convergence and the mean absolute difference of logarithms.

    Args:
        weight: of the term.
        windows: of the Fourier transforms, in samples; they move by a quarter.
    """

    def __init__(self, weight: float = 1.0, *, windows: Sequence[int] = (512, 256, 128)) -> None:
        super().__init__(weight)
        self.windows = windows

    def loss(self, output: Tensor, batch: Batch, step: int) -> tuple[Tensor, Logs]:
        losses = []
        for size in self.windows:
            window = torch.hann_window(size, device=output.device)
            ours, theirs = (
                torch.stft(x.flatten(0, 1), size, size // 4, window=window, return_complex=True).abs().clamp(min=1e-4)
                for x in (output, batch["target"])
            )
            losses.append((theirs - ours).norm() / theirs.norm() + (theirs.log() - ours.log()).abs().mean())
        loss = torch.stack(losses).mean()
        return loss, {"loss_spectral": loss.detach()}


class Checkerboard(Term):
    """Checkerboard energy of the error, which a network that enlarges has too much of.

    Args:
        weight: of the term.
        block: side of the blocks that repeat, in pixels of the output.
    """

    def __init__(self, weight: float = 1.0, *, block: int) -> None:
        super().__init__(weight)
        self.block = block

    def loss(self, output: Tensor, batch: Batch, step: int) -> tuple[Tensor, Logs]:
        loss = checkerboard_energy(output - batch["target"], self.block)
        return loss, {"loss_checkerboard": loss.detach()}


class Perceptual(Term):
    """Distance of the maps of a network that has seen many images (Johnson et al. 2016).

    https://arxiv.org/abs/1603.08155

    Args:
        features: the network; it stays as it is.
        weight: of the term.
        roll: images are rolled by random offsets below this, the same for output and target. Features halve maps at
            even pixels, and networks that enlarge shuffle pixels in blocks: where the two always meet in the same way,
            what the one takes for detail is a checkerboard of the other.
    """

    def __init__(self, features: Features, weight: float = 1.0, *, roll: int = 0) -> None:
        super().__init__(weight)
        self.features, self.roll = features, roll

    def start(self, runtime: Runtime) -> None:
        super().start(runtime)
        self.features.to(runtime.device)

    def loss(self, output: Tensor, batch: Batch, step: int) -> tuple[Tensor, Logs]:
        output, target = _rolled(self.roll, step, output, batch["target"])
        with self.runtime.autocast():
            loss = perceptual_distance(output, target, self.features).mean()
        return loss, {"loss_perceptual": loss.detach()}


class Adversarial(Term):
    """What a discriminator says of the output; the discriminator is updated first.

    Args:
        d: a network from samples to scores, of patches or of whole samples.
        weight: of the term.
        conditional: whether D sees input and output together, their channels joined, as in pix2pix (Isola et al. 2017,
            https://arxiv.org/abs/1611.07004), and so whether the one belongs to the other; otherwise it sees the output
            alone.
        name: of D, beside others of the same translation; the logs of a D that is called ``d_NAME`` end in ``_NAME``.
        loss: a name in :data:`zoo.training.losses.LOSSES`.
        augment: differentiable augmentation of what D sees, as :func:`zoo.data.augment.augment` takes it.
        window: D sees a random window of this side; 0 for everything.
        roll: as for :class:`Perceptual`.
        begin: the step that the term, D and the schedule of its learning rate begin at.
    """

    def __init__(
        self,
        d: TrainableNetwork,
        weight: float = 1.0,
        *,
        conditional: bool = False,
        name: str = "d",
        loss: str = "hinge",
        augment: str = "",
        window: int = 0,
        roll: int = 0,
        begin: int = 0,
    ) -> None:
        super().__init__(weight, begin)
        self.adversary = Adversary(d, loss, augment=augment)
        self.networks, self.suffix = {name: d}, name.removeprefix("d")
        self.conditional, self.window, self.roll = conditional, window, roll

    def loss(self, output: Tensor, batch: Batch, step: int) -> tuple[Tensor, Logs]:
        real, fake = _rolled(self.roll, step, batch["target"], output)
        if self.conditional:
            real, fake = (torch.cat([batch["input"], x], 1) for x in (real, fake))
        if self.window:
            real, fake = (self.runtime.to_device(x) for x in _windows(self.window, real, fake))
        loss, logs = self.adversary.adversarial_step(self.runtime, real, fake)
        return loss, {f"{key}{self.suffix}": value for key, value in logs.items()}


def _rolled(roll: int, step: int, *images: Tensor) -> list[Tensor]:
    """Images ``(N, C, H, W)`` rolled by offsets below ``roll`` that the step decides."""
    if not roll:
        return list(images)
    offsets = np.random.default_rng((1, step)).integers(roll, size=2).tolist()
    return [x.roll(offsets, (2, 3)) for x in images]


def _windows(side: int, *images: Tensor) -> list[Tensor]:
    """The same random window of each batch of images ``(N, C, H, W)``."""
    h, w = (max(0, length - side) for length in images[0].shape[2:])
    top, left = int(torch.randint(h + 1, ())), int(torch.randint(w + 1, ()))
    return [x[:, :, top : top + side, left : left + side] for x in images]
