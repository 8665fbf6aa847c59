"""Training of a network from inputs to targets that belong to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.batch import Batch, Batches
from zoo.media.base import Samples
from zoo.training.objective import Objective, TrainableNetwork, evenly_spaced, optimizer_step
from zoo.training.runtime import Runtime
from zoo.training.selection import L1Error, Selection
from zoo.training.terms import Term

GRID_SIDE = 256  # pixels of targets in a sample grid: of larger ones, and of several sizes, it shows the middle


class Translation(Objective):
    """A network from inputs to targets, by a weighted sum of terms.

    With ``[L1(1)]`` it is regression; with ``[Adversarial(d, conditional=True), L1(100)]`` pix2pix (Isola et al. 2017,
    https://arxiv.org/abs/1611.07004); with ``[L1(1), Perceptual(features, 0.005), Adversarial(d, 0.005)]``
    super-resolution as in SRGAN (Ledig et al. 2017, https://arxiv.org/abs/1609.04802), of inputs that are smaller.

    Args:
        config: keyword arguments of the network's builder.
        g: a network from inputs ``(N, ...)`` to outputs of the targets' shape, in [-1, 1].
        data: samples as ``input`` and ``target``, and as other roles what ``conditions`` name.
        held_out: batches of one sample each that are never trained on: the best weights are chosen by them.
        terms: of the loss, in the order in which they are computed.
        selection: the metric that the best weights are chosen by; by default L1.
        conditions: roles that the network takes as keywords of the same names, such as ``mask``.
        options: as for :class:`~zoo.training.objective.Objective`.

    Raises:
        ValueError: if there are no terms, none begins at step 0, or two discriminators have the same name.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        g: TrainableNetwork,
        data: Batches,
        held_out: Sequence[Batch],
        *,
        terms: Sequence[Term],
        selection: Selection | None = None,
        conditions: Sequence[str] = (),
        **options: Any,
    ) -> None:
        networks = {"g": g}
        for term in terms:
            if taken := networks.keys() & term.networks.keys():
                raise ValueError(
                    f"Two networks are called {', '.join(taken)}: give each Adversarial a name of its own."
                )
            networks |= term.networks
        if not terms:
            raise ValueError("A translation needs at least one term.")
        if min(term.begin for term in terms):
            raise ValueError("One term of a translation at least must begin at step 0.")
        super().__init__(config, networks, ["g"], [data], **options)
        self.held_out, self.terms, self.conditions = list(held_out), list(terms), tuple(conditions)
        self.selection = selection or L1Error()
        self.protocol = self.selection.protocol(len(self.held_out))

    def start(self, runtime: Runtime) -> None:
        super().start(runtime)
        for term in self.terms:
            term.start(runtime)
        self.selection.start(runtime, [batch["target"] for batch in self.held_out])

    def step(self, step: int) -> dict[str, Tensor]:
        batch = self.batch(step)
        with self.runtime.autocast():
            output = self.networks["g"].network(batch["input"], **{role: batch[role] for role in self.conditions})
        output = output.float()
        total: Tensor | None = None
        logs: dict[str, Tensor] = {}
        begun = [term for term in self.terms if step >= term.begin]
        for term in begun:
            loss, more = term.loss(output, batch, step)
            total = term.weight * loss if total is None else total + term.weight * loss
            logs |= more
        assert total is not None
        optimizer_step(self.runtime, total, self.networks["g"])
        self.update_ema(step, waiting={name for term in self.terms if term not in begun for name in term.networks})
        return logs

    def measure(self) -> dict[str, float]:
        return self.selection.measure([self._output(batch) for batch in self.held_out])

    def sample_grid(self) -> list[Samples]:
        """Inputs, outputs, targets: a row each."""
        batches = [self.held_out[i] for i in evenly_spaced(len(self.held_out)).tolist()]
        if batches[0]["target"].ndim == 4:
            batches = _middles(batches)
        outputs = [self._output(batch) for batch in batches]
        targets = [batch["target"] for batch in batches]
        inputs = [_like_target(batch["input"], target) for batch, target in zip(batches, targets, strict=True)]
        return [self.show(torch.cat(row)) for row in (inputs, outputs, targets)]

    def example(self) -> tuple[Tensor | None, Tensor]:
        return self.held_out[0]["input"], self._output(self.held_out[0])

    @torch.inference_mode()
    def _output(self, batch: Batch) -> Tensor:
        x, *conditions = (batch[role].to(self.runtime.device) for role in ("input", *self.conditions))
        output: Tensor = self.averages["g"].network(x, **dict(zip(self.conditions, conditions, strict=True)))
        return output.float().cpu()


def _middles(batches: Sequence[Batch]) -> list[Batch]:
    """The middles of images, as large as all have them and a sample grid shows them."""
    scale = batches[0]["target"].shape[-1] // batches[0]["input"].shape[-1]
    sides = [min(batch["input"].shape[axis] for batch in batches) for axis in (2, 3)]
    if all(list(batch["input"].shape[2:]) == sides for batch in batches) and max(sides) * scale <= GRID_SIDE:
        return list(batches)
    # A multiple of 16, where there are as many pixels, is a size that most networks take.
    sides = [min(side, GRID_SIDE // scale) for side in sides]
    sides = [side - side % 16 if side >= 16 else side for side in sides]
    middles = []
    for batch in batches:
        top, left = ((batch["input"].shape[axis] - side) // 2 for axis, side in zip((2, 3), sides, strict=True))
        middle = dict(batch)
        for role, x in batch.items():
            if x.ndim == 4:
                k = x.shape[-1] // batch["input"].shape[-1]
                middle[role] = x[:, :, k * top : k * (top + sides[0]), k * left : k * (left + sides[1])]
        middles.append(middle)
    return middles


def _like_target(x: Tensor, target: Tensor) -> Tensor:
    """An input as large and as colourful as its target, to stand in the same grid."""
    if x.ndim != 4:
        return x
    if x.shape[2:] != target.shape[2:]:
        x = F.interpolate(x, target.shape[2:], mode="bicubic")
    return x.expand(-1, target.shape[1], -1, -1) if x.shape[1] == 1 else x
