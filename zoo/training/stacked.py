"""Adversarial training of a generator that draws what a text says, in two stages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.data.augment import augment
from zoo.data.batch import ArrayBatches
from zoo.inference.words import numbered, padded
from zoo.metrics.features import Features
from zoo.models.stackgan import StackGAN
from zoo.training.discriminators import ProjectedTextDiscriminator, TextDiscriminator
from zoo.training.generation import CHUNK, Generation
from zoo.training.losses import accuracies, r1_penalty
from zoo.training.objective import TrainableNetwork, optimizer_step
from zoo.training.variational import kl_divergence

Judge = TextDiscriminator | ProjectedTextDiscriminator
ALIKE = 0.75  # two images of one text are to be as far apart as two real ones, times this
MOST = 6  # phrases of a text that is put together


class Phrases:
    """What the texts of images say, for other texts that say less of it, in any order.

    Phrases are what stands between commas and "and" in all texts of an image. What a phrase names are the attributes
    that every text with this phrase names.

    Args:
        captions: texts ``(N, K)``.
        named: attributes that they name, bool ``(N, K, A)``.
        vocabulary: their words.

    Attributes:
        of_images: int64 ``(N, P)``, the numbers of the phrases of each image, from 1, and 0 behind the last.
    """

    def __init__(self, captions: Any, named: Tensor, vocabulary: Sequence[str]) -> None:
        known: dict[str, int] = {}
        names: list[Tensor] = [torch.zeros_like(named[0, 0])]
        images = []
        for texts, sets in zip(captions, named, strict=True):
            here: dict[int, None] = {}
            for text, attributes in zip(texts, sets, strict=True):
                for phrase in filter(None, re.split(r" *, *| and ", str(text).strip())):
                    number = known.setdefault(phrase, len(known) + 1)
                    if number == len(names):
                        names.append(attributes)
                    names[number] = names[number] & attributes
                    here[number] = None
            images.append(np.array(list(here)))
        self.of_images = torch.from_numpy(padded(images))
        self.names = torch.stack(names)
        self.words = [torch.from_numpy(numbered(phrase, vocabulary)[0]) for phrase in ("", *known)]
        self.comma = torch.from_numpy(numbered(",", vocabulary)[0])

    def texts(self, phrases: Tensor) -> tuple[Tensor, Tensor]:
        """Texts of one to six phrases of images ``(N, P)``: word numbers ``(N, T)``, and attributes ``(N, A)``."""
        texts, named = [], []
        for row in phrases:
            all_of_it = row[row > 0] if row.any() else row[:1]  # number 0 is a phrase of no word
            n = int(torch.randint(1, min(MOST, len(all_of_it)) + 1, ()))
            some = all_of_it[torch.randperm(len(all_of_it))[:n]]
            words = [part for number in some.tolist() for part in (self.comma, self.words[number])]
            texts.append(torch.cat(words[1:]))
            named.append(self.names[some].any(0))
        return nn.utils.rnn.pad_sequence(texts, batch_first=True), torch.stack(named)


class Judges(nn.Module):
    """What learns with D: a discriminator for each stage, and which attributes a text names.

    Args:
        stages: the discriminators, of sketches and of images.
        text: length of the embedding of a text.
        attributes: how many; 0 for none.
    """

    def __init__(self, stages: Sequence[Judge], text: int, attributes: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.names = nn.Linear(text, attributes) if attributes else None

    def __iter__(self) -> Iterator[Judge]:
        return iter(cast("list[Judge]", list(self.stages)))


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
            ``(N, K, A)``, 0 or 1; as ``phrases``, where there are some, those of each image, ``(N, P)``.
        phrases: every second text is put together of some; None for the texts of the data alone.
        divergence_weight: of the augmentation's divergence.
        attribute_weight: of the attributes that G is to show.
        reading_weight: of those that discriminators and encoder learn to see and to read.
        diversity_weight: of how much nearer two sketches of one text are to each other than real images are (Yang et
            al. 2019, https://arxiv.org/abs/1901.09024); where it is not 0, G draws two images for every second text.
        r1: weight of the R1 penalty.
        r1_every: as for :class:`~zoo.training.growing.Growing`.
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
        phrases: Phrases | None = None,
        divergence_weight: float = 0.05,
        attribute_weight: float = 1.0,
        reading_weight: float = 5.0,
        diversity_weight: float = 0.0,
        r1: float = 0.3,
        r1_every: int = 8,
        **options: Any,
    ) -> None:
        # Statistics of batch norm take as many texts as samples.
        super().__init__(config, g, d, data, features=features, loss="vanilla", batchnorm_samples=2_000, **options)
        self.networks["text"] = text
        self.phrases = phrases
        self.divergence_weight = divergence_weight
        self.attribute_weight, self.reading_weight = attribute_weight, reading_weight
        self.diversity_weight = diversity_weight
        self.r1, self.r1_every = r1, r1_every

    def step(self, step: int) -> dict[str, Tensor]:
        g, d = cast(StackGAN, self.networks["g"].network), cast(Judges, self.networks["d"].network)
        batch = self.batch(step)
        real = batch["target"]
        rows, chosen = torch.arange(len(real)), torch.randint(batch["text"].shape[1], (len(real),))
        text = batch["text"][rows, chosen]
        named = batch["named"][rows, chosen].float() if d.names else None
        if self.phrases and named is not None:
            part, of_part = (x.to(real.device) for x in self.phrases.texts(batch["phrases"][::2].cpu()))
            length = max(text.shape[1], part.shape[1])
            text, part = (F.pad(x, (0, length - x.shape[1])) for x in (text, part))
            text[::2], named[::2] = part, of_part.float()
        with self.runtime.autocast():
            embedding = g.text(text)
            given, wanted = embedding, named
            if self.diversity_weight:
                given, wanted = given[rows // 2 * 2], None if named is None else named[rows // 2 * 2]
            gaussians = g.gaussians(given.detach())
            fakes = g.stages(torch.randn(len(real), *g.latent_shape, device=real.device), gaussians)
        reals = F.avg_pool2d(real, 2), real
        logs = self._update_d(step, d, reals, fakes, embedding, given, batch.get("label"), named)
        d.requires_grad_(False)
        # For each number, so that the weight does not depend on how many there are.
        divergences = [kl_divergence(mean.float(), log.float(), mean) / mean.shape[1] for mean, log in gaussians]
        loss_g = self.divergence_weight * torch.stack(divergences).mean(1).sum()
        if self.diversity_weight:
            closeness = F.relu(1 - _apart(fakes[0]) / (ALIKE * _apart(reals[0])))
            loss_g, logs["closeness"] = loss_g + self.diversity_weight * closeness, closeness.detach()
        with self.runtime.autocast():
            for stage, fake in zip(d, fakes, strict=True):
                seen = stage.features(augment(fake, self.adversary.augment))
                loss_g = loss_g + self.adversary.loss.g(stage.score(seen, given.detach()).float())
                if stage.attributes and wanted is not None:
                    missing = (wanted * F.softplus(-stage.attributes(seen).float())).sum() / wanted.sum().clamp(min=1)
                    loss_g, logs["missing"] = loss_g + self.attribute_weight * missing, missing.detach()
        d.requires_grad_(True)
        loss_g = loss_g + self.last_loss(step, real, fakes[1])
        optimizer_step(self.runtime, loss_g, self.networks["g"])
        self.update_ema(step)
        return {"loss_d": logs.pop("loss_d"), "loss_g": loss_g.detach(), **logs}

    def _update_d(
        self,
        step: int,
        d: Judges,
        reals: Sequence[Tensor],
        fakes: Sequence[Tensor],
        embedding: Tensor,
        given: Tensor,
        attributes: Tensor | None,
        named: Tensor | None,
    ) -> dict[str, Tensor]:
        """One update of both discriminators and of the encoder of the text; what is to be logged.

        Args:
            step: its number.
            d: the discriminators.
            reals: images of both sizes.
            fakes: what G made.
            embedding: of the texts of real images.
            given: of the texts that G had.
            attributes: of the real images, 0 or 1, ``(N, A)``.
            named: those that the texts name.
        """
        logs: dict[str, Tensor] = {}
        loss = self.adversary.loss
        total = embedding.new_zeros((), dtype=torch.float32)
        with self.runtime.autocast():
            for stage, x, fake in zip(d, reals, fakes, strict=True):
                mixed = augment(torch.cat([x, fake.detach().to(x.dtype)]), self.adversary.augment)
                of_real, of_fake = stage.features(mixed).chunk(2)
                on_real, on_fake = stage.score(of_real, embedding), stage.score(of_fake, given)
                on_wrong = stage.score(of_real, embedding.roll(1, 0))
                total = total + loss.d(on_real.float(), torch.cat([on_fake, on_wrong]).float())
                logs |= accuracies(on_real, on_fake, loss.boundary)  # of images, which come last
                if stage.attributes and attributes is not None:
                    total = total + self.reading_weight * _error(stage.attributes(of_real), attributes)
            if d.names and named is not None:
                total = total + self.reading_weight * _error(d.names(embedding), named)
        if self.r1 and step % self.r1_every == 0:
            for stage, x in zip(d, reals, strict=True):
                penalty = r1_penalty(partial(_scored, stage, embedding.detach().float()), x)
                total = total + self.r1 * self.r1_every * penalty
        optimizer_step(self.runtime, total, self.networks["d"], self.networks["text"])
        return {"loss_d": total.detach(), **logs}

    def _latents(self, n: int, seed: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """Fixed noise, with texts of the data."""
        texts = self.real.roles["text"]
        spread = torch.linspace(0, len(texts) - 1, n).long()
        chosen = texts[spread, torch.arange(n) % texts.shape[1]].to(self.runtime.device)
        for (z, _), text in zip(super()._latents(n, seed), chosen.split(CHUNK), strict=True):
            yield z, {"text": text}


def _scored(d: Judge, text: Tensor, x: Tensor) -> Tensor:
    """Scores of images with the embeddings of texts."""
    return d.score(d.features(x), text)


def _apart(images: Tensor) -> Tensor:
    """Mean absolute difference of an image ``(N, C, H, W)`` and the next, in pairs: a scalar."""
    n = len(images) // 2
    return F.l1_loss(images[: 2 * n : 2].float(), images[1 : 2 * n : 2].float())


def _error(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy of attributes ``(N, A)``, averaged."""
    return F.binary_cross_entropy_with_logits(logits.float(), wanted.float())
