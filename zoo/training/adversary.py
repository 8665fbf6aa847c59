"""The update of a discriminator D, and what a generator G learns from it: the same in every objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from zoo.data.augment import augment, check_augment
from zoo.metrics.attributes import attribute_loss
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

    Attributes:
        values: how many values each attribute has, where D has an auxiliary classifier of some: it returns scores and
            logits then.
        attribute_weight: of what that classifier learns and teaches.

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
        self.values: Sequence[int] = ()
        self.attribute_weight = 0.0

    def update(
        self, runtime: Runtime, real: Tensor, fake: Tensor, attributes: Tensor | None = None, **conditions: Tensor
    ) -> dict[str, Tensor]:
        """One update of D on a batch of real and fake samples, as many each where there are conditions.

        Gradients do not flow to ``fake``. ``attributes`` are the values that real samples have, int64 ``(N, A)``.
        Returns what is to be logged: D's loss, and its accuracies.
        """
        fake = fake.detach()
        with runtime.autocast():
            mixed = torch.cat([real, fake.to(real.dtype)])
            scores, logits = self._seen(mixed, {name: torch.cat([x, x]) for name, x in conditions.items()})
        on_real, on_fake = scores.float().split([len(real), len(fake)])
        loss = self.loss.d(on_real, on_fake) + self._of_attributes(logits, attributes)
        if self.r1:
            n = self.r1_samples or len(real)
            some = {name: x[:n] for name, x in conditions.items()}
            loss = loss + self.r1 * r1_penalty(lambda x: self._seen(x, some)[0], real[:n])
        if self.gradient_penalty:
            penalty = gradient_penalty(lambda x: self._seen(x, conditions)[0], real, fake)
            loss = loss + self.gradient_penalty * penalty
        optimizer_step(runtime, loss, self.d)
        return {"loss_d": loss.detach(), **accuracies(on_real, on_fake, self.loss.boundary)}

    def generator_loss(
        self, runtime: Runtime, fake: Tensor, attributes: Tensor | None = None, **conditions: Tensor
    ) -> Tensor:
        """G's loss through D, which is frozen: a scalar, from which gradients flow to ``fake``.

        ``attributes`` are the values that samples are to have, int64 ``(N, A)``, -100 for any.
        """
        self.d.network.requires_grad_(False)
        with runtime.autocast():
            scores, logits = self._seen(fake, conditions)
        self.d.network.requires_grad_(True)
        return self.loss.g(scores.float()) + self._of_attributes(logits, attributes)

    def adversarial_step(
        self, runtime: Runtime, real: Tensor, fake: Tensor, **conditions: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One update of D, then G's loss, still to be minimised; and what is to be logged."""
        logs = self.update(runtime, real, fake, **conditions)
        loss_g = self.generator_loss(runtime, fake, **conditions)
        return loss_g, logs | {"loss_g": loss_g.detach()}

    def _seen(self, x: Tensor, conditions: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """Scores, and logits of attributes where D has some."""
        seen = self.d.network(augment(x, self.augment), **conditions)
        return seen if isinstance(seen, tuple) else (seen, None)

    def _of_attributes(self, logits: Tensor | None, attributes: Tensor | None) -> Tensor | float:
        """The loss of as many logits as there are attributes."""
        if logits is None or attributes is None:
            return 0.0
        return self.attribute_weight * attribute_loss(logits[: len(attributes)].float(), attributes, self.values)
