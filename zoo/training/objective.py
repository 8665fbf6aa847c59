"""What every kind of training shares: learners, averaged weights, and the machine they run on.

Hugging Face accelerate finds the devices, the precision and the other processes of ``accelerate launch``. Gradients are
averaged over the processes by hand: DistributedDataParallel does not take a discriminator that is frozen every other
time, nor penalties on gradients.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zoo.data.augment import augment
from zoo.data.batch import batch_indices
from zoo.errors import InputError
from zoo.media.images import Images
from zoo.metrics.distribution import diversity, kernel_distance
from zoo.training.ema import Average
from zoo.training.losses import AdversarialLoss, accuracies
from zoo.training.runtime import Machine
from zoo.training.schedules import Schedule


class Learner:
    """A network with its optimizer, and the schedule of its rate.

    Args:
        network: what is trained.
        optimizer: over its parameters.
        schedule: makes a scheduler, which is stepped after every step of the run; none keeps the rate.
        clip: longest gradient.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Optimizer,
        schedule: Schedule | None = None,
        clip: float | None = None,
    ) -> None:
        self.network, self.optimizer, self.clip = network, optimizer, clip
        self.schedule = schedule(optimizer) if schedule else None

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        parts = {"network": self.network, "optimizer": self.optimizer, "schedule": self.schedule}
        return {name: part for name, part in parts.items() if part}


def shown(images: Tensor) -> Images:
    """What networks give, ``(N, C, H, W)`` in [-1, 1], as images."""
    return Images(((images + 1) / 2).clamp(0, 1).cpu().numpy())


def compared(found: Tensor, data: Tensor) -> dict[str, float]:
    """Figures of samples by their features and those of data, ``(N, d)``: kernel distance, and relative diversity."""
    if not torch.isfinite(found).all():
        return {"figure": math.inf, "diversity": math.nan}
    varied = diversity(data)
    return {"figure": kernel_distance(found, data), "diversity": diversity(found) / varied if varied else math.nan}


def spread(n: int) -> Tensor:
    """Eight of n samples at most, evenly spread, for a row of a sheet."""
    return torch.linspace(0, n - 1, min(n, 8)).long()


class Objective:
    """One kind of training. A subclass has learners, makes a step, and says how good its averaged networks are.

    Args:
        config: keyword arguments of the builder, for ``config.json``.
        learners: what is trained, by name.
        products: names of the learners whose averaged networks become checkpoints; the first is the run's own.
        steps: length of the whole run.
        batch: samples in a step, over all processes.
        every: steps between two measurements; by default 25 in a run.
        decay: of the averages.

    Attributes:
        protocol: how the figure was measured that the best checkpoint is chosen by.
        data: what is trained on; the first dimension of the first counts the samples, see :meth:`rows`.
        choices: names of the data's classes, for the condition that asks for one.
    """

    protocol: str
    data: Sequence[Tensor]
    choices: Mapping[str, Sequence[str]] = {}

    def __init__(
        self,
        config: Mapping[str, Any],
        learners: Mapping[str, Learner],
        products: Iterable[str],
        *,
        steps: int,
        batch: int,
        every: int | None = None,
        decay: float = 0.999,
    ) -> None:
        for name, value in (("steps", steps), ("batch", batch)):
            if value < 1:
                raise InputError(f"{name} must be at least 1, not {value}.")
        self.config, self.learners = dict(config), dict(learners)
        self.averages = {name: Average(self.learners[name].network, decay) for name in products}
        self.steps, self.batch, self.every = steps, batch, every or max(1, steps // 25)

    def start(self, machine: Machine) -> None:
        """Move to the machine; every process starts from the same weights."""
        self.machine = machine
        machine.share(self.batch)
        for network in (part.network for parts in (self.learners, self.averages) for part in parts.values()):
            network.to(machine.device).to(memory_format=torch.channels_last)
            machine.average([x for x in network.state_dict().values() if x.is_floating_point()])

    def abridge(self) -> None:
        """Measure on few samples, to see only whether that works."""

    def step(self, step: int) -> dict[str, Tensor]:
        """Train on one batch; the losses, and whatever else is to be logged."""
        raise NotImplementedError

    def measure(self) -> dict[str, float]:
        """Figures of the averaged networks. ``figure`` is what the best is chosen by: smaller is better."""
        raise NotImplementedError

    def sheet(self) -> list[Images]:
        """What the averaged network makes of fixed input, for people to look at: rows of equal length."""
        raise NotImplementedError

    def example(self) -> tuple[Tensor | None, Tensor]:
        """One input ``(1, C, H, W)`` of the first product, None for noise, and its output."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """What else must survive a break."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state` gave."""

    def counts(self) -> list[int]:
        """How many samples each set of the data has."""
        return [len(self.data)] if self.data[0].ndim == 3 else [len(x) for x in self.data]

    def fingerprint(self) -> int:
        """A number that changes with the data, to notice a run that is resumed with others."""
        value = 0
        for x in self.data:
            value = zlib.crc32(x.contiguous().numpy().data, value)
        return value

    def rows(self, step: int, which: int = 0, batch: int | None = None) -> Tensor:
        """Which samples of ``data[which]`` form this process's part of the batch of a step."""
        rows = batch_indices(step, len(self.data[which]), batch or self.batch, seed=which)
        return rows[self.machine.rank :: self.machine.world]

    def to_machine(self, x: Tensor) -> Tensor:
        """A batch of images where the networks are, channels last."""
        return x.to(self.machine.device, non_blocking=True).contiguous(memory_format=torch.channels_last)

    def descend(self, loss: Tensor, *names: str) -> None:
        """One update of some learners down the gradient of a loss."""
        learners = [self.learners[name] for name in names]
        for learner in learners:
            learner.optimizer.zero_grad()
        loss.backward()
        for learner in learners:
            parameters = [p for p in learner.network.parameters() if p.grad is not None]
            self.machine.average([p.grad for p in parameters if p.grad is not None])
            if learner.clip:
                torch.nn.utils.clip_grad_norm_(parameters, learner.clip)
            learner.optimizer.step()

    def play(
        self, loss: AdversarialLoss, real: Tensor, fake: Tensor, policy: str = "", name: str = "d"
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One update of the learner ``name`` on a mix of real and fake samples; then G's loss through it, frozen.

        ``policy`` augments what D sees. Returns G's loss, still to be descended, and what is to be logged.
        """
        d = self.learners[name].network
        with self.machine.autocast():
            on_real, on_fake = d(augment(torch.cat([real, fake.detach()]), policy)).float().chunk(2)
        loss_d = loss.d(on_real, on_fake)
        self.descend(loss_d, name)
        d.requires_grad_(False)
        with self.machine.autocast():
            loss_g = loss.g(d(augment(fake, policy)).float())
        d.requires_grad_(True)
        logged = {"loss_d": loss_d.detach(), "loss_g": loss_g.detach()}
        return loss_g, logged | accuracies(on_real, on_fake, loss.boundary)

    def follow(self, step: int) -> None:
        """Move the averages and the schedules on: once a step, however many updates it had."""
        for learner in self.learners.values():
            if learner.schedule:
                learner.schedule.step()
        for name, average in self.averages.items():
            average.update(self.learners[name].network, step)
