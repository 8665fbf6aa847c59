"""Adversarial training of a generator that grows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.batch import ArrayBatches, Batch
from zoo.metrics.attributes import attribute_loss
from zoo.models.progan import ProGAN, as_grown
from zoo.training.discriminators import GrowingDiscriminator
from zoo.training.generation import Generation
from zoo.training.objective import TrainableNetwork


def grown_at(step: int, steps: int, levels: int) -> float:
    """Levels that networks have grown by at a step; all from step ``steps`` on.

    Each level takes as many steps: in the first half of them the networks stay as they are, in the second the next
    level is faded in.
    """
    if step >= steps:
        return float(levels)
    whole, rest = divmod(step * levels / steps, 1)
    return whole + max(0.0, 2 * rest - 1)


class Growing(Generation):
    """Progressive growing: both networks learn 4 px images first, then level by level twice as large ones.

    Karras et al. 2017, https://arxiv.org/abs/1710.10196. How far they have grown depends on the number of the step
    alone, so that a run can be resumed in the middle of a level. Data and samples have their full size throughout: what
    G makes is enlarged, D averages what it sees, and data have no more detail than G can make. Layers that are not in
    use yet get no gradients, and wait with their optimizer's moments.

    Where G has attributes, D has an auxiliary classifier, which learns to see them in the data, and G learns to show
    those that its latents stand for: but not where the data have no image with both of two of them.

    Args:
        config: keyword arguments of G's builder.
        g: a :class:`~zoo.models.progan.ProGAN`.
        d: a :class:`~zoo.training.discriminators.GrowingDiscriminator`.
        data: real images as ``target``; where G has attributes, as ``label`` the values of each image, int64
            ``(N, A)``.
        growing_steps: steps until they have their full size.
        r1: weight of the R1 penalty, on images of the size that D has grown to.
        r1_every: the penalty is computed in one step of so many, with so many times the weight, as in StyleGAN2
            (Karras et al. 2020, https://arxiv.org/abs/1912.04958).
        attribute_weight: of what the auxiliary classifier learns and teaches.
        options: as for :class:`~zoo.training.generation.Generation`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        g: TrainableNetwork,
        d: TrainableNetwork,
        data: ArrayBatches,
        *,
        growing_steps: int,
        r1: float = 0.0,
        r1_every: int = 1,
        attribute_weight: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(config, g, d, data, **options)
        assert isinstance(g.network, ProGAN)
        if values := g.network.values:
            self.adversary.values, self.adversary.attribute_weight = values, attribute_weight
            has = [F.one_hot(x, n) for x, n in zip(data.roles["label"].unbind(1), values, strict=True)]
            seen = torch.cat(has, 1).float()
            self.never = (seen.T @ seen == 0).float()  # which values no image has both of
        self.growing_steps, self.r1, self.r1_every = growing_steps, r1, r1_every

    def grow(self, step: int) -> None:
        """Bring all networks, and the configuration of G, to the stage of a step."""
        for network in (*(self.networks[name].network for name in ("g", "d")), self.averages["g"].network):
            assert isinstance(network, (ProGAN, GrowingDiscriminator))
            self.levels = len(network.widths) - 1
            self.grown = network.grown = grown_at(step, self.growing_steps, self.levels)
        self.config.pop("grown", None)
        if self.grown < self.levels:
            self.config["grown"] = self.grown

    def step(self, step: int) -> dict[str, Tensor]:
        self.grow(step)
        # Of n pixels that D averages, each has 1 / n of the gradient, and their squares add up to 1 / n of its square.
        averaged = 4 ** (self.levels - math.ceil(self.grown))
        self.adversary.r1 = 0.0 if step % self.r1_every else self.r1 * self.r1_every * averaged
        return super().step(step)

    def labels(self, batch: Batch, noise: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        g = self.networks["g"].network
        assert isinstance(g, ProGAN)
        if not g.values:
            return super().labels(batch, noise)
        one_hots = g.one_hots(noise)
        against = (torch.cat(one_hots, 1) @ self.never.to(noise.device)).split(g.values, 1)
        asked = [
            one_hot.argmax(1).masked_fill((one_hot * others).sum(1) > 0, -100)
            for one_hot, others in zip(one_hots, against, strict=True)
        ]
        return {"attributes": batch["label"]}, {"attributes": torch.stack(asked, 1)}

    def naming_loss(self, named: Tensor, labels: Mapping[str, Tensor]) -> Tensor:
        return attribute_loss(named, labels["attributes"], self.adversary.values)

    def batch(self, step: int) -> Batch:
        batch = super().batch(step)
        return {**batch, "target": as_grown(batch["target"], self.levels, self.grown)}
