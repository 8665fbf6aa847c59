"""Training of a network to give back its input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.batch import to_float
from zoo.errors import InputError
from zoo.media.images import Images
from zoo.training.objective import Learner, Objective, shown


def _probabilities(y: Tensor) -> Tensor:
    """Pixels in [-1, 1] as probabilities, as in Hinton, Salakhutdinov 2006; those outside still have a gradient."""
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
        network: learner of a network from images to images, ``(N, C, H, W)`` in [-1, 1].
        images: uint8 ``(N, C, H, W)``.
        held_out: the same, never trained on: the best weights are chosen by their error.
        loss: ``mse``, ``l1`` or ``bce``.
        augment: from a batch of uint8 images to what is learnt, float in [-1, 1]; may draw from torch's random state.
        corrupt: from such a batch to what the network sees.
        options: as for :class:`~zoo.training.objective.Objective`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        network: Learner,
        images: Tensor,
        held_out: Tensor,
        *,
        loss: str = "mse",
        augment: Callable[[Tensor], Tensor] = to_float,
        corrupt: Callable[[Tensor], Tensor] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(config, {"network": network}, ["network"], **options)
        if loss not in ERRORS:
            raise InputError(f"loss cannot be {loss!r}: choose one of {', '.join(ERRORS)}.")
        self.data = [images]
        self.held_out = to_float(held_out)
        self.loss, self.augment, self.corrupt = ERRORS[loss], augment, corrupt
        self.protocol = (
            f"mean squared error on {len(held_out):,} images held out of the training data, pixels in [0, 1]"
        )

    def step(self, step: int) -> dict[str, Tensor]:
        x = self.to_machine(self.augment(self.data[0][self.rows(step)]))
        with self.machine.autocast():
            copies = self.learners["network"].network(self.corrupt(x) if self.corrupt else x)
        loss = self.loss(copies.float(), x)
        self.descend(loss, "network")
        self.follow(step)
        return {"loss": loss.detach()}

    @torch.inference_mode()
    def measure(self) -> dict[str, float]:
        total = 0.0
        for x, y in self._copies(self.held_out):
            total += float(F.mse_loss(y.clamp(-1, 1), x, reduction="sum"))
        return {"figure": total / 4 / self.held_out.numel()}

    @torch.inference_mode()
    def sheet(self) -> list[Images]:
        """Above what the network sees, below what it makes of it."""
        pairs = list(self._copies(self.held_out[:8]))
        return [shown(torch.cat([self._seen(x) for x, _ in pairs])), shown(torch.cat([y for _, y in pairs]))]

    @torch.inference_mode()
    def example(self) -> tuple[Tensor | None, Tensor]:
        return next(self._copies(self.held_out[:1]))

    def _copies(self, images: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Images where the network is, and their copies."""
        network = self.averages["network"].network
        for x in images.split(250):
            x = x.to(self.machine.device)
            yield x, network(self._seen(x)).float()

    def _seen(self, x: Tensor) -> Tensor:
        """The corrupted input, the same one each time."""
        if not self.corrupt:
            return x
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.corrupt(x)
