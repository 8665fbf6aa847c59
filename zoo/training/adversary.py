"""The update of a discriminator D, and what a generator G learns from it: the same in every objective."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from zoo.data.augment import augment, check_augment
from zoo.training.losses import accuracies, adversarial_loss, gradient_penalty, r1_penalty
from zoo.training.objective import TrainableNetwork, optimizer_step
from zoo.training.runtime import Runtime


class Adversary:
    """A discriminator and the game that it plays (Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661).

    Args:
        d: a network from samples ``(N, ...)`` and, as keywords, their conditions ``(N, ...)`` to scores ``(N, ...)``.
        loss: a name in :data:`zoo.training.losses.LOSSES`.
        augment: differentiable augmentation of what D sees, as :func:`zoo.data.augment.augment` takes it.
        r1: weight of the R1 penalty; 0 for none.
        r1_samples: how many samples of a batch it is measured on, which saves time; 0 for all.
        gradient_penalty: weight of the penalty of Wasserstein GANs; 0 for none.

    Raises:
        InputError: for an unknown loss or augmentation.
    """

    def __init__(
        self,
        d: TrainableNetwork,
        loss: str = "hinge",
        *,
        augment: str = "",
        r1: float = 0.0,
        r1_samples: int = 0,
        gradient_penalty: float = 0.0,
    ) -> None:
        self.d, self.loss, self.augment = d, adversarial_loss(loss), check_augment(augment)
        self.r1, self.r1_samples, self.gradient_penalty = r1, r1_samples, gradient_penalty

    def update(self, runtime: Runtime, real: Tensor, fake: Tensor, **conditions: Tensor) -> dict[str, Tensor]:
        """One update of D on a batch of real and fake samples, as many each where there are conditions.

        Gradients do not flow to ``fake``. Returns what is to be logged: D's loss, and its accuracies.
        """
        fake = fake.detach()
        with runtime.autocast():
            mixed = torch.cat([real, fake.to(real.dtype)])
            scores = self._scores(mixed, {name: torch.cat([x, x]) for name, x in conditions.items()})
        on_real, on_fake = scores.float().split([len(real), len(fake)])
        loss = self.loss.d(on_real, on_fake)
        if self.r1:
            n = self.r1_samples or len(real)
            some = {name: x[:n] for name, x in conditions.items()}
            loss = loss + self.r1 * r1_penalty(lambda x: self._scores(x, some), real[:n])
        if self.gradient_penalty:
            penalty = gradient_penalty(lambda x: self._scores(x, conditions), real, fake)
            loss = loss + self.gradient_penalty * penalty
        optimizer_step(runtime, loss, self.d)
        return {"loss_d": loss.detach(), **accuracies(on_real, on_fake, self.loss.boundary)}

    def generator_loss(self, runtime: Runtime, fake: Tensor, **conditions: Tensor) -> Tensor:
        """G's loss through D, which is frozen: a scalar, from which gradients flow to ``fake``."""
        self.d.network.requires_grad_(False)
        with runtime.autocast():
            scores = self._scores(fake, conditions)
        self.d.network.requires_grad_(True)
        return self.loss.g(scores.float())

    def adversarial_step(
        self, runtime: Runtime, real: Tensor, fake: Tensor, **conditions: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One update of D, then G's loss, still to be minimised; and what is to be logged."""
        logs = self.update(runtime, real, fake, **conditions)
        loss_g = self.generator_loss(runtime, fake, **conditions)
        return loss_g, logs | {"loss_g": loss_g.detach()}

    def _scores(self, x: Tensor, conditions: Mapping[str, Tensor]) -> Tensor:
        scores: Tensor = self.d.network(augment(x, self.augment), **conditions)
        return scores
