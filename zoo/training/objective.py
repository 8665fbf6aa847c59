"""What every kind of training shares: networks with their optimizers, averaged weights, and the runtime they are on.

Gradients are averaged over the processes of ``accelerate launch`` by hand: DistributedDataParallel does not take a
discriminator that is frozen every other time, nor penalties on gradients.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zoo.data.batch import Batch, Batches
from zoo.errors import InputError
from zoo.media.base import Samples
from zoo.media.images import Images
from zoo.metrics.distribution import diversity, kernel_distance
from zoo.training.ema import EMA
from zoo.training.runtime import Runtime
from zoo.training.schedules import Schedule


class TrainableNetwork:
    """A network with its optimizer and the schedule of its learning rate.

    Args:
        network: what is trained.
        optimizer: over its parameters.
        schedule: makes a scheduler, which is stepped after every step of the run; None keeps the learning rate.
        clip: largest norm of the gradient; None for any.
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


def optimizer_step(runtime: Runtime, loss: Tensor, *trained: TrainableNetwork) -> None:
    """One update of some networks down the gradient of a loss, averaged over the processes."""
    for one in trained:
        one.optimizer.zero_grad()
    loss.backward()
    for one in trained:
        parameters = [p for p in one.network.parameters() if p.grad is not None]
        runtime.average([p.grad for p in parameters if p.grad is not None])
        if one.clip:
            torch.nn.utils.clip_grad_norm_(parameters, one.clip)
        one.optimizer.step()


def to_images(x: Tensor) -> Images:
    """What networks give, ``(N, C, H, W)`` in [-1, 1], as images."""
    return Images(((x + 1) / 2).clamp(0, 1).cpu().numpy())


def sample_metrics(features: Tensor, data: Tensor) -> dict[str, float]:
    """Kernel distance and relative diversity of samples, by their features and those of data, ``(N, d)`` each."""
    if not torch.isfinite(features).all():
        return {"metric": math.inf, "diversity": math.nan}
    of_data = diversity(data)
    varied = diversity(features) / of_data if of_data else math.nan
    return {"metric": kernel_distance(features, data), "diversity": varied}


def evenly_spaced(n: int, most: int = 8) -> Tensor:
    """Indices of at most ``most`` of ``n`` samples, for a row of a sample grid."""
    return torch.linspace(0, n - 1, min(n, most)).long()


class Objective:
    """A pattern of training. A subclass makes a step, and says how good its averaged networks are.

    Args:
        config: keyword arguments of the builder, for ``config.json``.
        networks: what is trained, by name.
        products: names of the networks whose averages become checkpoints; the first is the run's own.
        data: what is trained on.
        steps: length of the whole run.
        batch_size: samples in a step, over all processes.
        eval_every: steps between two measurements; by default 25 measurements in a run.
        ema_decay: of the averaged weights.
        show: from a batch of what the networks give to samples, for the sample grids.

    Attributes:
        protocol: how the metric was measured that the best weights are chosen by.
        choices: names of the data's classes, for the condition that asks for one.
        tasks: arguments of tasks that were found out for the networks as they were last measured.

    Raises:
        InputError: for fewer than one step or sample, and for data that do not fill a batch.
    """

    protocol: str
    choices: Mapping[str, Sequence[str]] = {}
    tasks: Mapping[str, Mapping[str, Any]] = {}

    def __init__(
        self,
        config: Mapping[str, Any],
        networks: Mapping[str, TrainableNetwork],
        products: Iterable[str],
        data: Sequence[Batches],
        *,
        steps: int,
        batch_size: int,
        eval_every: int | None = None,
        ema_decay: float = 0.999,
        show: Callable[[Tensor], Samples] = to_images,
    ) -> None:
        for name, value in (("steps", steps), ("batch_size", batch_size)):
            if value < 1:
                raise InputError(f"{name} must be at least 1, not {value}.")
        self.config, self.networks, self.data = dict(config), dict(networks), list(data)
        self.averages = {name: EMA(self.networks[name].network, ema_decay) for name in products}
        self.steps, self.batch_size, self.eval_every = steps, batch_size, eval_every or max(1, steps // 25)
        self.show = show

    def start(self, runtime: Runtime) -> None:
        """Move to the device; every process starts from the same weights."""
        self.runtime = runtime
        runtime.share(self.batch_size)
        for network in (part.network for parts in (self.networks, self.averages) for part in parts.values()):
            runtime.place(network)
            runtime.average([x for x in network.state_dict().values() if x.is_floating_point()])

    def abridge(self) -> None:
        """Measure on few samples, to see only whether that works."""

    def step(self, step: int) -> dict[str, Tensor]:
        """Train on one batch; the losses, and whatever else is to be logged."""
        raise NotImplementedError

    def measure(self) -> dict[str, float]:
        """Metrics of the averaged networks. The best weights are those of the smallest ``metric``."""
        raise NotImplementedError

    def sample_grid(self) -> list[Samples]:
        """What the averaged network makes of fixed inputs, for people to look at: rows of equal length."""
        raise NotImplementedError

    def example(self) -> tuple[Tensor | None, Tensor]:
        """One input ``(1, ...)`` of the first product, None for noise, and its output."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """What else must survive a break."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state` gave."""

    def counts(self) -> list[int]:
        """How many samples each set of the data has."""
        return [len(data) for data in self.data]

    def fingerprint(self) -> int:
        """A number that changes with the data, to notice a run that is resumed with others."""
        value = 0
        for data in self.data:
            for one in data.sets():
                for x in [one] if isinstance(one, Tensor) else one:
                    value = zlib.crc32(x.contiguous().numpy().data, value)
        return value

    def batch(self, step: int) -> Batch:
        """This process's part of the batch of a step, on the device."""
        batch = self.data[0].batch(step, self.batch_size, self.runtime.rank, self.runtime.world)
        return {role: self.runtime.to_device(x) for role, x in batch.items()}

    def update_ema(self, step: int, waiting: Collection[str] = ()) -> None:
        """Update the averages and step the schedules: once a step, however many updates it had.

        Networks that are ``waiting`` have not begun to learn, and their schedules wait with them.
        """
        for name, one in self.networks.items():
            if one.schedule and name not in waiting:
                one.schedule.step()
        for name, average in self.averages.items():
            average.update(self.networks[name].network, step)
