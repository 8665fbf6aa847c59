"""Training of a network from one kind of image to another, with pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.augment import check_policy, views
from zoo.data.batch import to_float
from zoo.data.source import Pairs
from zoo.media.images import Images
from zoo.metrics.features import Features
from zoo.training.losses import adversarial_loss
from zoo.training.objective import Learner, Objective, compared, shown, spread
from zoo.training.runtime import Machine


class Paired(Objective):
    """pix2pix: a network from one side of a pair to the other, against a D that sees both (Isola et al. 2017).

    https://arxiv.org/abs/1611.07004

    Args:
        config: keyword arguments of G's builder.
        g: learner of a network from images to images, ``(N, C, H, W)`` in [-1, 1].
        d: learner of a network from input and target, their channels together, to scores of patches; None to learn
            from the pixels alone.
        look: learner of a second D, from windows of the result alone to scores, if any: whether it looks real, whatever
            the input.
        pairs: the data.
        held_out: pairs that are never trained on: the best weights are chosen by them.
        features: what the results are compared with the targets by; None chooses the best by L1 instead.
        loss: a name in :data:`zoo.training.losses.LOSSES`.
        pixels: weight of L1 between result and target.
        realism: weight of what ``look`` says.
        window: side of the windows that it sees.
        policy: differentiable augmentation of what D sees.
        shift, flip: random views, as :func:`views` makes them.
        options: as for :class:`~zoo.training.objective.Objective`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        g: Learner,
        d: Learner | None,
        pairs: Pairs,
        held_out: Pairs,
        *,
        look: Learner | None = None,
        features: Features | None = None,
        loss: str = "hinge",
        pixels: float = 100.0,
        realism: float = 1.0,
        window: int = 128,
        policy: str = "",
        shift: int = 0,
        flip: bool = True,
        **options: Any,
    ) -> None:
        learners = {"g": g, "d": d, "look": look}
        super().__init__(config, {name: x for name, x in learners.items() if x}, ["g"], **options)
        self.data = [pairs.a, pairs.b]
        self.held_a, self.held_b = to_float(held_out.a), to_float(held_out.b)
        self.features, self.loss, self.policy = features, adversarial_loss(loss), check_policy(policy)
        self.pixels, self.realism, self.window = pixels, realism, window
        self.shift, self.flip = shift, flip
        self.channels = [x.shape[1] for x in self.data]
        n = len(self.held_a)
        self.protocol = (
            f"unbiased kernel distance of results to targets for {n:,} pairs held out, {features.protocol}"
            if features
            else f"mean absolute error of results for {n:,} pairs held out, pixels in [0, 1]"
        )

    def start(self, machine: Machine) -> None:
        super().start(machine)
        if self.features:
            self.features.to(machine.device)
            self.reference = self.features(self.held_b)

    def step(self, step: int) -> dict[str, Tensor]:
        g = self.learners["g"].network
        rows = self.rows(step)
        both = views(to_float(torch.cat([x[rows] for x in self.data], 1)), self.shift, self.flip)
        a, b = (self.to_machine(x) for x in both.split(self.channels, 1))
        with self.machine.autocast():
            made = g(a)
        made = made.float()
        loss_g = torch.zeros((), device=made.device)
        logged: dict[str, Tensor] = {}
        if "d" in self.learners:
            loss_g, logged = self.play(self.loss, torch.cat([a, b], 1), torch.cat([a, made], 1), self.policy)
        if "look" in self.learners:
            real, fake = self._windows(b, made)
            loss_look, said = self.play(self.loss, real, fake, name="look")
            loss_g = loss_g + self.realism * loss_look
            logged |= {f"{key}_look": value for key, value in said.items()}
        loss_pixels = F.l1_loss(made, b)
        self.descend(loss_g + self.pixels * loss_pixels, "g")
        self.follow(step)
        return {**logged, "loss_pixels": loss_pixels.detach()}

    @torch.inference_mode()
    def measure(self) -> dict[str, float]:
        made = torch.cat(list(self._results(self.held_a)))
        l1 = float((made.clamp(-1, 1) - self.held_b).abs().mean()) / 2
        if not self.features:
            return {"figure": l1}
        found = self.features(made)
        return {**compared(found, self.reference), "l1": l1}

    @torch.inference_mode()
    def sheet(self) -> list[Images]:
        """Inputs, results, targets: a row each."""
        some = spread(len(self.held_a))
        made = torch.cat(list(self._results(self.held_a[some])))
        rows = (self.held_a[some], made, self.held_b[some])
        return [shown(x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x) for x in rows]

    @torch.inference_mode()
    def example(self) -> tuple[Tensor | None, Tensor]:
        return self.held_a[:1], next(self._results(self.held_a[:1]))

    def _windows(self, *images: Tensor) -> list[Tensor]:
        """The same window of each."""
        h, w = (max(0, side - self.window) for side in images[0].shape[2:])
        top, left = int(torch.randint(h + 1, ())), int(torch.randint(w + 1, ()))
        return [self.to_machine(x[:, :, top : top + self.window, left : left + self.window]) for x in images]

    def _results(self, images: Tensor) -> Iterator[Tensor]:
        for x in images.split(16):
            yield self.averages["g"].network(x.to(self.machine.device)).float().cpu()
