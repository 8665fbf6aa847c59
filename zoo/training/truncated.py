"""Adversarial training of a generator whose latents can be truncated."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from zoo.training.generation import Generation


class Truncated(Generation):
    """A :class:`~zoo.training.generation.Generation` that measures statistics of batch norm for each truncation.

    As in section 3.1 of BigGAN (Brock et al. 2018, https://arxiv.org/abs/1809.11096), G learns from latents that are
    not truncated. G is a :class:`~zoo.models.biggan.BigGAN`; ``batchnorm_samples`` are those of one truncation.
    """

    def _batchnorm_latents(self) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        for truncation in torch.linspace(1, 0, self.config["sets"]):
            for z, conditions in super()._batchnorm_latents():
                yield z, {**conditions, "truncation": truncation.expand(len(z)).to(z.device)}
