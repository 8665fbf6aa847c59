"""Training of a network to give back its input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.batch import ArrayBatches, Batches
from zoo.errors import InputError
from zoo.media.base import Samples
from zoo.training.objective import Objective, TrainableNetwork, optimizer_step


def _probabilities(y: Tensor) -> Tensor:
    """Values in [-1, 1] as probabilities, as in Hinton, Salakhutdinov 2006; those outside still have a gradient."""
    p = (y + 1) / 2
    return p + (p.clamp(1e-3, 1 - 1e-3) - p).detach()


ERRORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "bce": lambda y, x: F.binary_cross_entropy(_probabilities(y), (x + 1) / 2),
}


class Reconstruction(Objective):
    """An autoencoder: the target is the input, which may be corrupted before the network sees it.

    Vincent et al. 2008, https://doi.org/10.1145/1390156.1390294, for the corrupted ones.

    Args:
        config: keyword arguments of the network's builder.
        network: a network from samples to samples of the same shape, ``(N, ...)`` in [-1, 1].
        data: samples as ``target``.
        held_out: samples that are never trained on, as ``target``: the best weights are chosen by their error.
        loss: ``mse``, ``l1`` or ``bce``.
        corrupt: from targets to what the network sees; None for the targets themselves.
        options: as for :class:`~zoo.training.objective.Objective`.

    Raises:
        InputError: for another loss.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        network: TrainableNetwork,
        data: Batches,
        held_out: ArrayBatches,
        *,
        loss: str = "mse",
        corrupt: Callable[[Tensor], Tensor] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(config, {"network": network}, ["network"], [data], **options)
        if loss not in ERRORS:
            raise InputError(f"loss cannot be {loss!r}: choose one of {', '.join(ERRORS)}.")
        self.held_out = held_out.plain(slice(None))["target"]
        self.loss, self.corrupt = ERRORS[loss], corrupt
        self.protocol = f"mean squared error on {len(held_out):,} samples held out of the training data, in [0, 1]"

    def step(self, step: int) -> dict[str, Tensor]:
        target = self.batch(step)["target"]
        with self.runtime.autocast():
            copies = self.networks["network"].network(self.corrupt(target) if self.corrupt else target)
        loss = self.loss(copies.float(), target)
        optimizer_step(self.runtime, loss, self.networks["network"])
        self.update_ema(step)
        return {"loss": loss.detach()}

    @torch.inference_mode()
    def measure(self) -> dict[str, float]:
        total = 0.0
        for x, y in self._copies(self.held_out):
            total += float(F.mse_loss(y.clamp(-1, 1), x, reduction="sum"))
        return {"metric": total / 4 / self.held_out.numel()}

    @torch.inference_mode()
    def sample_grid(self) -> list[Samples]:
        """Above what the network sees, below what it makes of it."""
        pairs = list(self._copies(self.held_out[:8]))
        return [
            self.show(torch.cat([self._corrupted(x) for x, _ in pairs])),
            self.show(torch.cat([y for _, y in pairs])),
        ]

    @torch.inference_mode()
    def example(self) -> tuple[Tensor | None, Tensor]:
        return next(self._copies(self.held_out[:1]))

    def _copies(self, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Targets where the network is, and their copies."""
        network = self.averages["network"].network
        for x in targets.split(250):
            x = x.to(self.runtime.device)
            yield x, network(self._corrupted(x)).float()

    def _corrupted(self, x: Tensor) -> Tensor:
        """What the network sees, the same each time."""
        if not self.corrupt:
            return x
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.corrupt(x)
