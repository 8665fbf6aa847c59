"""Adversarial training of a generator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from zoo.data.augment import augment
from zoo.data.batch import ArrayBatches, Batch
from zoo.errors import InputError
from zoo.media.base import Samples
from zoo.metrics.features import Features
from zoo.model import Generator
from zoo.training.adversary import Adversary
from zoo.training.discriminators import WholeAndCropDiscriminator
from zoo.training.ema import update_batchnorm
from zoo.training.losses import checkerboard_energy, orthogonal_penalty
from zoo.training.objective import Objective, TrainableNetwork, optimizer_step, sample_metrics
from zoo.training.runtime import Runtime
from zoo.training.schedules import constant_then_linear

REFERENCE = 5_000  # data that samples are compared with
CHUNK = 250


def last_discriminator(
    features: Features, size: int, channels: int, width: int, lr: float, steps: int
) -> TrainableNetwork:
    """A discriminator for the last steps: it looks through a network that has seen many images.

    Args:
        features: that network; it stays as it is.
        size: height and width of the images.
        channels: 1 for grey, 3 for RGB.
        width: of the first maps of the learnt convolutions.
        lr: the learning rate of its first step, which falls linearly to zero.
        steps: how many it learns for.
    """
    d = WholeAndCropDiscriminator(features, size, size // 2, width, channels=channels)
    return TrainableNetwork(d, Adam(d.parameters(), lr, betas=(0.0, 0.99)), constant_then_linear(steps, steps, 1.0))


class Generation(Objective):
    """G against D: samples from noise (Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661).

    A step has five parts: noise, what G makes of it, a mix of real and fake, an update of D on the
    mix, an update of G through D, which is frozen.

    Args:
        config: keyword arguments of G's builder.
        g: a :class:`~zoo.model.Generator`.
        d: a network from samples ``(N, ...)`` (and ``label``, where there are classes) to scores.
        data: real samples as ``target``, and their classes as ``label`` where a class can be asked for.
        features: what samples and data are compared by: the metric is their kernel distance.
        loss: a name in :data:`zoo.training.losses.LOSSES`.
        r1: weight of the R1 penalty; 0 for none.
        gradient_penalty: weight of the penalty of Wasserstein GANs; 0 for none.
        augment: differentiable augmentation, as :func:`zoo.data.augment.augment` takes it.
        checkerboard_weight: weight of the checkerboard energy, with blocks of 8x8 pixels, that samples have beyond the
            data's, in the last ``final_steps``: networks that upsample make texture so.
        final_steps: see there.
        classifier: called when its network is first needed, and gives it: from samples to scores ``(N, classes)``.
        class_weight: weight of the cross-entropy between the classes that samples are asked for and those that the
            classifier names, in the last ``final_steps``; it sees samples as D does, through ``augment``.
        orthogonal_weight: of the orthogonal regularisation of G; 0 for none.
        last_d: a second discriminator, without conditions, that comes in beside D in the last ``last_steps``, with the
            hinge loss.
        last_steps: see there.
        d_steps: updates of D before each of G.
        condition: the keyword of G's ``decode`` that takes the class of a sample, which D takes as ``label``; empty for
            networks without classes.
        classes: names of the data's classes.
        n_samples: how many are measured.
        batchnorm_samples: how many the statistics of batch norm are computed from.
        options: as for :class:`~zoo.training.objective.Objective`.

    Raises:
        InputError: for a condition without labels.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        g: TrainableNetwork,
        d: TrainableNetwork,
        data: ArrayBatches,
        *,
        features: Features,
        loss: str = "hinge",
        r1: float = 0.0,
        gradient_penalty: float = 0.0,
        augment: str = "",
        checkerboard_weight: float = 0.0,
        final_steps: int = 0,
        classifier: Callable[[], nn.Module] | None = None,
        class_weight: float = 0.0,
        orthogonal_weight: float = 0.0,
        last_d: TrainableNetwork | None = None,
        last_steps: int = 0,
        d_steps: int = 1,
        condition: str = "",
        classes: Sequence[str] = (),
        n_samples: int = 2_500,
        batchnorm_samples: int = 10_000,
        **options: Any,
    ) -> None:
        super().__init__(config, {"g": g, "d": d}, ["g"], [data], **options)
        if condition and "label" not in data.roles:
            raise InputError("The data have no classes: put the images of each class into a folder of its own.")
        self.real = data
        self.adversary = Adversary(d, loss, augment=augment, r1=r1, gradient_penalty=gradient_penalty)
        self.last_begins = self.steps - last_steps
        self.last: Adversary | None = None
        if last_d:
            self.networks["last_d"] = last_d
            self.last = Adversary(last_d, "hinge", augment=augment)
        self.checkerboard_weight, self.final_steps = checkerboard_weight, final_steps
        self.train_classifier, self.class_weight = classifier, class_weight
        self.classifier: nn.Module | None = None
        self.orthogonal_weight = orthogonal_weight
        self.d_steps, self.condition = d_steps, condition
        self.n_samples, self.batchnorm_samples = n_samples, batchnorm_samples
        self.choices = {condition: classes} if condition else {}
        self.features = features
        self.protocol = (
            f"unbiased kernel distance (x.y / d + 1) ** 3 of {n_samples:,} samples to {min(REFERENCE, len(data)):,} "
            f"samples of the training data, {features.protocol}"
        )

    def abridge(self) -> None:
        self.n_samples = self.batchnorm_samples = 16

    def start(self, runtime: Runtime) -> None:
        super().start(runtime)
        self.features.to(runtime.device)
        order = torch.randperm(len(self.real), generator=torch.Generator().manual_seed(0))[:REFERENCE]
        self.reference = self.features(self.real.plain(order)["target"])

    def step(self, step: int) -> dict[str, Tensor]:
        g = self.networks["g"].network
        assert isinstance(g, Generator)
        logs: dict[str, Tensor] = {}
        for turn in range(self.d_steps):
            batch = self.batch(step * self.d_steps + turn)
            real = batch["target"]
            noise = torch.randn(len(real), *g.latent_shape).to(self.runtime.device)
            of_real, of_fake = self.labels(batch, noise)
            with self.runtime.autocast():
                fake = g.decode(noise, **self._conditions(of_fake))
            logs = self.adversary.update(self.runtime, real, fake, **of_real)
        loss = loss_g = self.adversary.generator_loss(self.runtime, fake, **of_fake)
        final = step >= self.steps - self.final_steps
        if self.checkerboard_weight and final:
            in_fake, in_real = (checkerboard_energy(x.float(), 8) for x in (fake, real))
            loss = loss + self.checkerboard_weight * F.relu(in_fake - in_real)
        if self.class_weight and final:
            named = self._names_of(augment(fake.float(), self.adversary.augment))
            loss = loss + self.class_weight * self.naming_loss(named, of_fake)
        if self.orthogonal_weight:
            loss = loss + self.orthogonal_weight * orthogonal_penalty(g)
        loss = loss + self.last_loss(step, real, fake)
        optimizer_step(self.runtime, loss, self.networks["g"])
        self.update_ema(step)
        return {"loss_d": logs.pop("loss_d"), "loss_g": loss_g.detach(), **logs}

    def labels(self, batch: Batch, noise: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What D is told of the real samples of a batch, and of those that are drawn from noise ``(N, ...)``."""
        labels = {"label": batch["label"]} if self.condition else {}
        return labels, labels

    def naming_loss(self, named: Tensor, labels: Mapping[str, Tensor]) -> Tensor:
        """How far scores of the classifier are from what samples were asked for: a scalar."""
        return F.cross_entropy(named, labels["label"])

    def _names_of(self, samples: Tensor) -> Tensor:
        """Scores of the classes, from a network that is trained when it is first asked."""
        if self.classifier is None:
            assert self.train_classifier
            with torch.random.fork_rng(devices=[]):  # a run that is resumed goes on as if it had not stopped
                self.classifier = self.train_classifier().to(self.runtime.device).eval().requires_grad_(False)
        scores: Tensor = self.classifier(samples)
        return scores

    def last_loss(self, step: int, real: Tensor, fake: Tensor) -> Tensor | float:
        """One update of the second discriminator, and G's loss through it; 0 before its steps begin."""
        if self.last is None or self._waits(step):
            return 0.0
        self.last.update(self.runtime, real, fake)
        return self.last.generator_loss(self.runtime, fake)

    def update_ema(self, step: int, waiting: Collection[str] = ()) -> None:
        super().update_ema(step, {*waiting, "last_d"} if self._waits(step) else waiting)

    def _waits(self, step: int) -> bool:
        """Whether the second discriminator has not begun to learn."""
        return step < self.last_begins

    def measure(self) -> dict[str, float]:
        network = self.averages["g"].network
        update_batchnorm(network, self._batchnorm_latents())
        return self.metrics_of(torch.cat(list(self._samples(self.n_samples, seed=1))))

    def metrics_of(self, samples: Tensor) -> dict[str, float]:
        """The figures of samples that :meth:`measure` has drawn, ``(N, ...)`` in [-1, 1]."""
        return sample_metrics(self.features(samples), self.reference)

    def sample_grid(self) -> list[Samples]:
        return [self.show(row) for row in torch.cat(list(self._samples(64, seed=2))).split(8)]

    def example(self) -> tuple[Tensor | None, Tensor]:
        return None, next(self._samples(1, seed=2))

    def _conditions(self, labels: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The classes under the name that G knows them by."""
        return {self.condition: labels["label"]} if self.condition else {}

    def _latents(self, n: int, seed: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """Fixed noise, with the classes in the shares that the data have."""
        network = self.averages["g"].network
        assert isinstance(network, Generator)
        noise = torch.randn(n, *network.latent_shape, generator=torch.Generator().manual_seed(seed))
        spread = torch.linspace(0, len(self.real) - 1, n).long()
        for rows in torch.arange(n).split(CHUNK):
            labels = {"label": self.real.roles["label"][spread[rows]].to(self.runtime.device)} if self.condition else {}
            yield noise[rows].to(self.runtime.device), self._conditions(labels)

    def _batchnorm_latents(self) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """What the statistics of batch norm are computed from."""
        return self._latents(self.batchnorm_samples, seed=0)

    @torch.no_grad()
    def _samples(self, n: int, seed: int) -> Iterator[Tensor]:
        network = self.averages["g"].network
        assert isinstance(network, Generator)
        for z, conditions in self._latents(n, seed):
            yield network.decode(z, **conditions).float()
