"""Adversarial training of a generator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.augment import augment, check_policy
from zoo.data.batch import to_float
from zoo.data.source import ImageSet
from zoo.errors import InputError
from zoo.media.images import Images
from zoo.metrics.features import Features
from zoo.model import Generator
from zoo.training.ema import settle
from zoo.training.losses import accuracies, adversarial_loss, gradient_penalty, r1_penalty, repeated
from zoo.training.objective import Learner, Objective, compared, shown
from zoo.training.runtime import Machine

REFERENCE = 5_000  # data that samples are compared with
SETTLING = 10_000  # samples that the statistics of batch norm are measured on
CHUNK = 250


class Adversarial(Objective):
    """G against D: images from noise (Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661).

    A step has the five parts of the lecture: noise, what G makes of it, a mix of real and fake, an update of D on the
    mix, an update of G through D, which is frozen.

    Args:
        config: keyword arguments of G's builder.
        g: learner of a :class:`~zoo.model.Generator`.
        d: learner of a network from images ``(N, C, H, W)`` (and ``label``, where there are classes) to scores.
        images: the data, of G's size.
        features: what samples and data are compared by.
        loss: a name in :data:`zoo.training.losses.LOSSES`.
        r1: weight of the R1 penalty; 0 for none.
        penalty: weight of the penalty of Wasserstein GANs; 0 for none.
        policy: differentiable augmentation, as :func:`zoo.data.augment.augment` takes it.
        grid: weight of what repeats with each 8x8 pixels in samples more than in the data, for the last ``finish``
            steps: networks that enlarge make up texture so.
        d_steps: updates of D before each of G.
        condition: the keyword of G's ``decode`` that takes the class of a sample, which D takes as ``label``; empty for
            networks without classes.
        samples: how many are measured.
        options: as for :class:`~zoo.training.objective.Objective`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        g: Learner,
        d: Learner,
        images: ImageSet,
        *,
        features: Features,
        loss: str = "hinge",
        r1: float = 0.0,
        penalty: float = 0.0,
        policy: str = "",
        grid: float = 0.0,
        finish: int = 0,
        d_steps: int = 1,
        condition: str = "",
        samples: int = 2_500,
        **options: Any,
    ) -> None:
        super().__init__(config, {"g": g, "d": d}, ["g"], **options)
        if condition and images.labels is None:
            raise InputError("The data have no classes: put the images of each class into a folder of its own.")
        self.labels, self.data, self.size = images.labels, [images.x], len(images.x)
        self.loss, self.r1, self.penalty, self.policy = adversarial_loss(loss), r1, penalty, check_policy(policy)
        self.grid, self.finish = grid, finish
        self.d_steps, self.condition, self.samples, self.settling = d_steps, condition, samples, SETTLING
        self.choices = {condition: images.classes} if condition else {}
        self.features = features
        self.protocol = (
            f"unbiased kernel distance (x.y / d + 1) ** 3 of {samples:,} samples to {min(REFERENCE, self.size):,} "
            f"images of the training data, {features.protocol}"
        )

    def abridge(self) -> None:
        self.samples = self.settling = 16

    def start(self, machine: Machine) -> None:
        super().start(machine)
        self.features.to(machine.device)
        order = torch.randperm(self.size, generator=torch.Generator().manual_seed(0))[:REFERENCE]
        self.reference = self.features(to_float(self.data[0][order]))

    def step(self, step: int) -> dict[str, Tensor]:
        g, d = self.learners["g"].network, self.learners["d"].network
        assert isinstance(g, Generator)
        share = self.machine.share(self.batch)
        for turn in range(self.d_steps):
            rows = self.rows(step * self.d_steps + turn)
            real = self.to_machine(to_float(self.data[0][rows]))
            given = self._labels(rows, "label")
            with self.machine.autocast():
                noise = torch.randn(share, *g.latent_shape).to(self.machine.device)  # 1, 2: noise, and G
                fake = g.decode(noise, **self._labels(rows, self.condition))
                mix = augment(torch.cat([real, fake.detach().to(real.dtype)]), self.policy)  # 3
                scores = d(mix, **{key: torch.cat([value, value]) for key, value in given.items()}).float()
            on_real, on_fake = scores.chunk(2)
            loss_d = self.loss.d(on_real, on_fake)
            if self.r1:
                loss_d = loss_d + self.r1 * r1_penalty(partial(self._scores, given), real)
            if self.penalty:
                loss_d = loss_d + self.penalty * gradient_penalty(partial(self._scores, given), real, fake)
            self.descend(loss_d, "d")  # 4

        d.requires_grad_(False)
        with self.machine.autocast():
            loss_g = self.loss.g(d(augment(fake, self.policy), **given).float())
        loss = loss_g
        if self.grid and step >= self.steps - self.finish:
            in_fake, in_real = (repeated(x.float(), 8) for x in (fake, real))
            loss = loss + self.grid * F.relu(in_fake - in_real)
        self.descend(loss, "g")  # 5
        d.requires_grad_(True)
        self.follow(step)
        return {
            "loss_d": loss_d.detach(),
            "loss_g": loss_g.detach(),
            **accuracies(on_real, on_fake, self.loss.boundary),
        }

    def measure(self) -> dict[str, float]:
        network = self.averages["g"].network
        settle(network, self._latents(self.settling, seed=0))
        found = self.features(torch.cat(list(self._samples(self.samples, seed=1))))
        return compared(found, self.reference)

    def sheet(self) -> list[Images]:
        return [shown(row) for row in torch.cat(list(self._samples(64, seed=2))).split(8)]

    def example(self) -> tuple[Tensor | None, Tensor]:
        return None, next(self._samples(1, seed=2))

    def _scores(self, given: Mapping[str, Tensor], x: Tensor) -> Tensor:
        scores: Tensor = self.learners["d"].network(augment(x, self.policy), **given)
        return scores

    def _labels(self, rows: Tensor, keyword: str) -> dict[str, Tensor]:
        if not self.condition:
            return {}
        assert self.labels is not None
        return {keyword: self.labels[rows].to(self.machine.device)}

    def _latents(self, n: int, seed: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """Fixed noise, with the classes of the data in turn."""
        network = self.averages["g"].network
        assert isinstance(network, Generator)
        noise = torch.randn(n, *network.latent_shape, generator=torch.Generator().manual_seed(seed))
        spread = torch.linspace(0, self.size - 1, n).long()  # classes in the shares that the data have
        for rows in torch.arange(n).split(CHUNK):
            yield noise[rows].to(self.machine.device), self._labels(spread[rows], self.condition)

    @torch.no_grad()
    def _samples(self, n: int, seed: int) -> Iterator[Tensor]:
        network = self.averages["g"].network
        assert isinstance(network, Generator)
        for z, given in self._latents(n, seed):
            yield network.decode(z, **given).float()
