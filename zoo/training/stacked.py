"""Adversarial training of a generator that draws what a text says, in two stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.data.batch import ArrayBatches
from zoo.metrics.features import Features
from zoo.models.stackgan import StackGAN
from zoo.training.discriminators import TextDiscriminator
from zoo.training.generation import CHUNK, Generation
from zoo.training.losses import accuracies
from zoo.training.objective import TrainableNetwork, optimizer_step

SILENT = 16  # one sample in so many has no text, so that the generator can do without


class Judges(nn.Module):
    """What learns with D: a discriminator for each stage, and which attributes a text names.

    Args:
        stages: the discriminators, of sketches and of images.
        text: length of the embedding of a text.
        attributes: how many; 0 for none.
    """

    def __init__(self, stages: list[TextDiscriminator], text: int, attributes: int) -> None:
        super().__init__()
        self.stages, self.names = nn.ModuleList(stages), nn.Linear(text, attributes)


class Stacked(Generation):
    """Both stages of StackGAN side by side (Zhang et al. 2016, https://arxiv.org/abs/1612.03242).

    Each stage has a discriminator to which a real image with another image's text is fake, too, and a divergence that
    keeps its conditioning augmentation near a standard normal distribution. Stage II takes the sketch without a
    gradient. The encoder of the text learns with the discriminators, which have to tell what belongs together.

    Where the data have attributes and say which of them a text names, the discriminators learn to see them in real
    images, G learns to show those that are named, and the encoder to read them.

    Args:
        config: keyword arguments of G's builder.
        g: a :class:`~zoo.models.stackgan.StackGAN`; its optimizer leaves out the encoder of the text.
        d: a :class:`Judges`.
        text: the encoder of G.
        data: real images as ``target``; as ``text`` the numbers of the words of K texts of each, ``(N, K, T)``; where
            there are attributes, as ``label`` those of the images, ``(N, A)``, and as ``named`` those of the texts,
            ``(N, K, A)``, 0 or 1.
        divergence_weight: of the augmentation's divergence.
        attribute_weight: of the attributes that G is to show.
        reading_weight: of those that discriminators and encoder learn to see and to read.
        options: as for :class:`~zoo.training.generation.Generation`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        g: TrainableNetwork,
        d: TrainableNetwork,
        text: TrainableNetwork,
        data: ArrayBatches,
        *,
        features: Features,
        divergence_weight: float = 0.05,
        attribute_weight: float = 1.0,
        reading_weight: float = 10.0,
        **options: Any,
    ) -> None:
        super().__init__(config, g, d, data, features=features, **options)
        self.networks["text"] = text
        self.batchnorm_samples = 2_000  # with as many texts
        self.divergence_weight = divergence_weight
        self.attribute_weight, self.reading_weight = attribute_weight, reading_weight

    def step(self, step: int) -> dict[str, Tensor]:
        g, d = cast(StackGAN, self.networks["g"].network), cast(Judges, self.networks["d"].network)
        batch = self.batch(step)
        real, rows = batch["target"], torch.arange(len(batch["target"]))
        chosen = torch.randint(batch["text"].shape[1], (len(real),))
        text, loss = batch["text"][rows, chosen], self.adversary.loss
        silent = len(real) // SILENT
        text[:silent] = 0
        reals = F.avg_pool2d(real, 2), real
        with self.runtime.autocast():
            embedding = g.text(text)
            noise = torch.randn(len(real), *g.latent_shape, device=real.device)
            gaussians = g.gaussians(embedding.detach())
            fakes = g.stages(noise, gaussians)
        if "named" in batch:
            attributes, named = batch["label"].float(), batch["named"][rows, chosen].float()
            named[:silent] = 0
        logs: dict[str, Tensor] = {}
        loss_d = real.new_zeros(())
        with self.runtime.autocast():
            for stage, x, fake in zip(d.stages, reals, fakes, strict=True):
                of_real, of_fake = stage.features(torch.cat([x, fake.detach().to(x.dtype)])).chunk(2)
                on_real, on_fake = stage.score(of_real, embedding), stage.score(of_fake, embedding)
                on_wrong = stage.score(of_real[silent:], embedding[silent:].roll(1, 0))
                loss_d = loss_d + loss.d(on_real.float(), torch.cat([on_fake, on_wrong]).float())
                logs |= accuracies(on_real, on_fake, loss.boundary)  # of images, which come last
                if "named" in batch:
                    seen = stage.attributes(of_real).float()
                    loss_d = loss_d + self.reading_weight * F.binary_cross_entropy_with_logits(seen, attributes)
            if "named" in batch:
                read = d.names(embedding).float()
                loss_d = loss_d + self.reading_weight * F.binary_cross_entropy_with_logits(read, named)
        optimizer_step(self.runtime, loss_d, self.networks["d"], self.networks["text"])
        d.requires_grad_(False)
        loss_g = real.new_zeros(())
        with self.runtime.autocast():
            for stage, fake, gaussian in zip(d.stages, fakes, gaussians, strict=True):
                of_fake = stage.features(fake)
                loss_g = loss_g + loss.g(stage.score(of_fake, embedding.detach()).float())
                loss_g = loss_g + self.divergence_weight * _divergence(*gaussian)
                if "named" in batch:
                    missing = (named * F.softplus(-stage.attributes(of_fake).float())).sum() / named.sum()
                    loss_g = loss_g + self.attribute_weight * missing
                    logs["missing"] = missing.detach()
        d.requires_grad_(True)
        optimizer_step(self.runtime, loss_g, self.networks["g"])
        self.update_ema(step)
        return {"loss_d": loss_d.detach(), "loss_g": loss_g.detach(), **logs}

    def _latents(self, n: int, seed: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """Fixed noise, with texts of the data."""
        texts = self.real.roles["text"]
        spread = torch.linspace(0, len(texts) - 1, n).long()
        chosen = texts[spread, torch.arange(n) % texts.shape[1]].to(self.runtime.device)
        for (z, _), text in zip(super()._latents(n, seed), chosen.split(CHUNK), strict=True):
            yield z, {"text": text}


def _divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Of Gaussians from a standard normal one, in nats for each number, averaged."""
    mean, log_variance = mean.float(), log_variance.float()
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
