"""Training of a network that changes attributes of images, and leaves the others as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.data.batch import ArrayBatches
from zoo.media.base import Samples
from zoo.metrics.attributes import attribute_loss, likeliest
from zoo.training.adversary import Adversary
from zoo.training.ema import update_batchnorm
from zoo.training.objective import Objective, TrainableNetwork, optimizer_step
from zoo.training.runtime import Runtime
from zoo.training.variational import kl_divergence, sample

BATCHNORM_IMAGES = 2_000  # images that the statistics of batch norm are computed from
CHUNK = 250


class EditingNetwork(Protocol):
    """What an editing network has beside the methods of a torch module, such as :class:`zoo.models.icgan.IcGAN`.

    Attributes:
        values: how many values each attribute has, by name.
        encoder: the part of it that sees images.
    """

    values: Mapping[str, int]
    encoder: nn.Module

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and logarithm of the variance of the latents ``(N, L)``, and scores of values ``(N, V)``."""
        ...

    def encode(self, x: Tensor) -> Tensor:
        """Images to codes: means of latents, and a one for the likeliest value of each attribute, ``(N, L + V)``."""
        ...

    def decode(self, z: Tensor, **values: Tensor) -> Tensor:
        """Codes to images in [-1, 1], with other values ``(N,)`` of some attributes."""
        ...

    def __call__(self, x: Tensor) -> Tensor:
        """Images through their codes, and back."""
        ...


class Editing(Objective):
    """Copies like the images, and edits that look real and have the attributes that were asked for.

    A network as in IcGAN (Perarnau et al. 2016, https://arxiv.org/abs/1611.06355), encoders and generator together, as
    in AttGAN (He et al. 2017, https://arxiv.org/abs/1711.10678): the generator sees a sample of the latent's posterior
    and the true attributes, and the copy's error counts; then attributes of half of the batch are exchanged for those
    of other images, and a discriminator and the encoder of attributes see what comes of that. The latent shall not hold
    what attributes say: that costs divergence from a standard normal distribution, and edits that fail.

    The error is that of a Laplace distribution whose scale is the best for each batch, so that it keeps its weight
    while it falls (as :class:`~zoo.training.variational.Variational` has it for a normal one).

    Args:
        config: keyword arguments of the network's builder.
        network: a model that is an :class:`EditingNetwork`.
        d: a network from images ``(N, C, H, W)`` to scores.
        data: images as ``target``, and numbers of their attributes' values as ``label``, int64 ``(N, A)``.
        held_out: the same, never trained on.
        names: of the values of each attribute, in the order of ``network.values``.
        pca: mean squared error of PCA with as many numbers as the code has, on ``held_out``, pixels in [0, 1].
        adversarial_weight: of what D says of edits.
        attribute_weight: of what the encoder of attributes says of edits.
        divergence_weight: of the divergence, beside the error in nats a pixel; 1 is the evidence lower bound.
        adversarial_begin: the step that D and the schedule of its learning rate begin at.
        augment: differentiable augmentation of what D sees, as :func:`zoo.data.augment.augment` takes it.
        options: as for :class:`~zoo.training.objective.Objective`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        network: TrainableNetwork,
        d: TrainableNetwork,
        data: ArrayBatches,
        held_out: ArrayBatches,
        *,
        names: Mapping[str, Sequence[str]],
        pca: float,
        adversarial_weight: float = 0.03,
        attribute_weight: float = 0.3,
        divergence_weight: float = 40.0,
        adversarial_begin: int = 0,
        augment: str = "",
        **options: Any,
    ) -> None:
        super().__init__(config, {"network": network, "d": d}, ["network"], [data], **options)
        self.real, self.pca, self.choices = data, pca, dict(names)
        held = held_out.plain(slice(None))
        self.held_out, self.labels = held["target"], held["label"]
        self.wanted = self._exchanged(self.labels, torch.Generator().manual_seed(0))
        self.adversary, self.adversarial_weight = Adversary(d, "hinge", augment=augment), adversarial_weight
        self.attribute_weight, self.divergence_weight = attribute_weight, divergence_weight
        self.adversarial_begin = adversarial_begin
        self.protocol = (
            f"mean squared error over that of PCA ({pca:.5f}) on {len(held_out):,} held-out images, plus the share of "
            "attributes that the network itself sees wrong once half of them are exchanged"
        )

    def start(self, runtime: Runtime) -> None:
        super().start(runtime)
        self.values = list(self._network().values.values())

    def step(self, step: int) -> dict[str, Tensor]:
        network = cast(EditingNetwork, self.networks["network"].network)
        batch = self.batch(step)
        real, labels = batch["target"], batch["label"]
        half = max(1, len(real) // 2)
        wanted = self._exchanged(labels)[:half]
        with self.runtime.autocast():
            mean, log_variance, scores = network.posterior(real)
            latents = sample(mean, log_variance)
            codes = torch.cat([latents, latents[:half]])
            attributes = self._ones(torch.cat([labels, wanted])).to(codes)
            images = network.decode(torch.cat([codes, attributes], 1)).float()
        copies, edits = images.split([len(real), half])
        error = F.l1_loss(copies, real)
        divergence = kl_divergence(mean.float(), log_variance.float(), latents.float()).mean()
        seen = attribute_loss(scores.float(), labels, self.values)
        network.encoder.requires_grad_(False)
        with self.runtime.autocast():
            scores_of_edits = network.posterior(edits)[2]
        network.encoder.requires_grad_(True)
        missed = attribute_loss(scores_of_edits.float(), wanted, self.values)
        loss = (error + 1e-6).log() + self.divergence_weight * divergence / real[0].numel() + seen
        loss = loss + self.attribute_weight * missed
        logs: dict[str, Tensor] = {}
        if step >= self.adversarial_begin:
            loss_g, logs = self.adversary.adversarial_step(self.runtime, real[-half:], edits)
            loss = loss + self.adversarial_weight * loss_g
        optimizer_step(self.runtime, loss, self.networks["network"])
        self.update_ema(step, waiting=() if logs else ("d",))
        return {
            "error": error.detach() / 2,
            "divergence": divergence.detach(),
            "loss_attributes": seen.detach(),
            "loss_edits": missed.detach(),
            **{key: value for key, value in logs.items() if key != "loss_d"},
        }

    def measure(self) -> dict[str, float]:
        network = self._network()
        update_batchnorm(cast(nn.Module, network), self._batchnorm_batches())
        total, right, reached = 0.0, 0, 0
        with torch.inference_mode():
            for rows in torch.arange(len(self.held_out)).split(CHUNK):
                x = self.held_out[rows].to(self.runtime.device)
                codes = network.encode(x)
                total += float((network.decode(codes) - x).square().sum())
                edits = network.decode(codes, **self._keywords(self.wanted[rows]))
                right += self._right(x, self.labels[rows])
                reached += self._right(edits, self.wanted[rows])
        error = total / 4 / self.held_out.numel() / self.pca
        return {
            "metric": error + 1 - reached / self.labels.numel(),
            "held_out_error": error,
            "attributes_right": right / self.labels.numel(),
            "edits_right": reached / self.labels.numel(),
        }

    @torch.inference_mode()
    def sample_grid(self) -> list[Samples]:
        """Held-out images, their copies, then a row for each attribute, which has its next value there."""
        network = self._network()
        x, labels = self.held_out[:8].to(self.runtime.device), self.labels[:8]
        codes = network.encode(x)
        rows = [x, network.decode(codes)]
        for number, (name, n) in enumerate(network.values.items()):
            rows.append(network.decode(codes, **{name: ((labels[:, number] + 1) % n).to(x.device)}))
        return [self.show(row.float()) for row in rows]

    @torch.inference_mode()
    def example(self) -> tuple[Tensor | None, Tensor]:
        x = self.held_out[:1].to(self.runtime.device)
        return x, self._network()(x)

    def _network(self) -> EditingNetwork:
        return cast(EditingNetwork, self.averages["network"].network)

    def _right(self, images: Tensor, labels: Tensor) -> int:
        """How many attributes the network sees in images as the labels say."""
        scores = self._network().posterior(images)[2].float()
        return int((likeliest(scores, self.values).cpu() == labels).sum())

    @staticmethod
    def _exchanged(labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Values ``(N, A)``, each by chance of one half that of another image."""
        others = labels[torch.randperm(len(labels), generator=generator).to(labels.device)]
        swap = torch.rand(labels.shape, generator=generator).to(labels.device) < 0.5
        return torch.where(swap, others, labels)

    def _ones(self, labels: Tensor) -> Tensor:
        """Values ``(N, A)`` as a code has them, ``(N, V)``."""
        return torch.cat([F.one_hot(x, n) for x, n in zip(labels.unbind(1), self.values, strict=True)], 1)

    def _keywords(self, labels: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.choices, labels.to(self.runtime.device).unbind(1), strict=True))

    def _batchnorm_batches(self) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        for rows in torch.arange(0, len(self.real), max(1, len(self.real) // BATCHNORM_IMAGES)).split(CHUNK):
            yield self.real.plain(rows)["target"].to(self.runtime.device), {}
