"""Training of a network that takes defects out of images and says where they were.

Batches have the roles ``input`` (images, some with drawn defects), ``target`` (the same without) and ``mask``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.batch import Batch, Batches
from zoo.media.base import Samples
from zoo.metrics.detection import auroc
from zoo.tasks.anomaly import LEAST, peak, threshold_of
from zoo.training.objective import Objective, TrainableNetwork, evenly_spaced, optimizer_step


class Repair(Objective):
    """The sum of L1 between the repaired image and the target, and of the cross-entropy between gate and mask.

    The best weights are those with the highest AUROC, and the threshold of the scores of the normal images held out is
    kept with them.

    Args:
        config: keyword arguments of the network's builder.
        network: a :class:`~zoo.models.anomaly_ae.AnomalyAE`, or another with its ``repair``.
        data: batches with ``input``, ``target`` and ``mask``.
        held_out: batches of one sample each that are never trained on, some of them without a defect.
        l1_weight: of the first term.
        options: as for :class:`~zoo.training.objective.Objective`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        network: TrainableNetwork,
        data: Batches,
        held_out: Sequence[Batch],
        *,
        l1_weight: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(config, {"network": network}, ["network"], [data], **options)
        self.held_out, self.l1_weight = list(held_out), l1_weight
        self.defective = np.array([bool(batch["mask"].any()) for batch in held_out])
        self.protocol = (
            f"1 minus the mean of image and pixel AUROC on {len(self.held_out):,} held-out images, half of them with "
            "drawn defects"
        )

    def step(self, step: int) -> dict[str, Tensor]:
        batch = self.batch(step)
        with self.runtime.autocast():
            images, gates = self.networks["network"].network.repair(batch["input"])  # type: ignore[operator]
        l1 = F.l1_loss(images.float(), batch["target"])
        entropy = F.binary_cross_entropy_with_logits(gates.float(), batch["mask"])
        optimizer_step(self.runtime, self.l1_weight * l1 + entropy, self.networks["network"])
        self.update_ema(step)
        return {"loss_l1": l1.detach(), "loss_maps": entropy.detach()}

    def measure(self) -> dict[str, float]:
        maps = [self._repaired(batch)[1] for batch in self.held_out]
        scores = np.array([float(peak(x)) for x in maps])
        images = auroc(scores, self.defective)
        pixels = auroc(_flat(maps), _flat([batch["mask"] for batch in self.held_out]) > 0.5)
        metrics = {"metric": 1 - (images + pixels) / 2, "image_auroc": images, "pixel_auroc": pixels}
        normal = scores[~self.defective]
        if len(normal) < LEAST:
            return metrics
        threshold = threshold_of(normal)
        self.tasks = {"anomaly": {"threshold": threshold}}
        return {**metrics, "threshold": threshold}

    def sample_grid(self) -> list[Samples]:
        """Inputs, what the network makes of them, maps and masks: a row each."""
        defective = np.flatnonzero(self.defective)
        batches = [self.held_out[i] for i in defective[evenly_spaced(len(defective)).numpy()]]
        repaired = [self._repaired(batch) for batch in batches]
        rows = (
            [batch["input"] for batch in batches],
            [images for images, _ in repaired],
            [2 * maps - 1 for _, maps in repaired],
            [2 * batch["mask"] - 1 for batch in batches],
        )
        return [self.show(torch.cat([x.expand(-1, rows[0][0].shape[1], -1, -1) for x in row])) for row in rows]

    def example(self) -> tuple[Tensor | None, Tensor]:
        return self.held_out[0]["input"], self._repaired(self.held_out[0])[0]

    @torch.inference_mode()
    def _repaired(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the averaged network makes of a sample, and its map in [0, 1], on the CPU."""
        x = batch["input"].to(self.runtime.device)
        images, gates = self.averages["network"].network.repair(x)  # type: ignore[operator]
        return images.float().cpu(), gates.float().sigmoid().cpu()


def _flat(maps: Sequence[Tensor]) -> Any:
    """All pixels of some maps, as one array."""
    return torch.cat([x.flatten() for x in maps]).numpy()
