"""Adversarial training of a generator of logos, which learns in the end to keep to the colour."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.colors import main_colors
from zoo.data.logos import Logos
from zoo.model import Generator
from zoo.training.ema import update_batchnorm
from zoo.training.generation import Generation
from zoo.training.objective import TrainableNetwork, optimizer_step

DECAY = 0.98  # of the averaged weights in the last steps, which are few


class Coloring(Generation):
    """D learns with G what logos are; in the last steps D rests, and G learns to keep to the colour.

    There G begins with its averaged weights and statistics that stay. What these weights draw, with the colour put
    right (:meth:`zoo.data.logos.Logos.recolored`), is what G is to draw: so shapes stay.

    Args:
        config: keyword arguments of G's builder.
        g: a :class:`~zoo.models.logan.LoGAN`.
        d: a discriminator of classes.
        data: logos and their colours.
        color_steps: how many are the last steps.
        options: as for :class:`~zoo.training.generation.Generation`; the metric is the kernel distance plus the share
            of samples whose main colour is not the one asked for.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        g: TrainableNetwork,
        d: TrainableNetwork,
        data: Logos,
        *,
        color_steps: int,
        **options: Any,
    ) -> None:
        super().__init__(config, g, d, data, **options)
        self.logos, self.first = data, self.steps - color_steps
        self.teacher: Generator | None = None  # G as it was before the last steps
        self.protocol += ", plus the share of samples whose main colour is not the one asked for"

    def state(self) -> dict[str, Any]:
        return {"teacher": self.teacher.state_dict()} if self.teacher else {}

    def restore(self, state: Mapping[str, Any]) -> None:
        if "teacher" in state:
            self._begin(state["teacher"])

    def step(self, step: int) -> dict[str, Tensor]:
        if step < self.first:
            return super().step(step)
        if step == self.first:
            average = self.averages["g"].network
            update_batchnorm(average, self._latents(self.batchnorm_samples, seed=0))
            self.networks["g"].network.load_state_dict(average.state_dict())
            self._begin(average.state_dict())
        g = self.networks["g"].network
        assert isinstance(g, Generator) and self.teacher is not None
        part = slice(self.runtime.rank, None, self.runtime.world)
        noise = torch.randn(self.batch_size, *g.latent_shape)[part].to(self.runtime.device)
        labels = self.logos.labels(step, self.batch_size)[part].to(self.runtime.device)
        with self.runtime.autocast():
            with torch.no_grad():
                before = self.teacher.decode(noise, **{self.condition: labels}).float()
            drawn = g.decode(noise, **{self.condition: labels}).float()
        loss = F.l1_loss(drawn, self.logos.recolored(before, labels, drawn.detach()))
        optimizer_step(self.runtime, loss, self.networks["g"])
        self.update_ema(step)
        return {"loss_color": loss.detach()}

    def metrics_of(self, samples: Tensor) -> dict[str, float]:
        metrics = super().metrics_of(samples)
        labels = torch.cat([conditions[self.condition] for _, conditions in self._latents(self.n_samples, seed=1)])
        wrong = float((main_colors((samples.clamp(-1, 1) + 1) / 2) != labels).float().mean())
        return {**metrics, "metric": metrics["metric"] + wrong, "wrong_color": wrong}

    def _begin(self, state: Mapping[str, Tensor]) -> None:
        """Keep G as it was, and the statistics of its norms."""
        g = self.networks["g"].network.eval()
        assert isinstance(g, Generator)
        self.teacher = copy.deepcopy(g).requires_grad_(False)
        self.teacher.load_state_dict(state)
        self.averages["g"].decay = DECAY
