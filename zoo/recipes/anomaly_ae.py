"""How the checkpoint of anomaly-ae was trained: defects are drawn into normal images, and the network takes them out.

    zoo train anomaly-ae --data magnetic_tile.zip --out runs/tiles
    zoo train anomaly-ae --data good/ --out runs/mine

Only normal images are needed. A tenth of them is held out, in runs of neighbours by name, since neighbours are often
alike: the best weights and the threshold are chosen on these, with and without drawn defects. The test split is only
measured by `zoo evaluate`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.optim import AdamW

from zoo.data.batch import ArrayBatches, Batch, to_float
from zoo.data.crops import CropBatches, middle
from zoo.data.defects import draw_defects
from zoo.data.source import Source
from zoo.errors import InputError
from zoo.metrics.detection import auroc, nearest_patches, pca_patches
from zoo.metrics.features import Features
from zoo.metrics.protocols import EXTRACTORS
from zoo.model import Model
from zoo.models.anomaly_ae import AnomalyAE
from zoo.registry.facts import Metric
from zoo.tasks.anomaly import LEAST, score
from zoo.training.anomaly import Repair
from zoo.training.objective import TrainableNetwork
from zoo.training.schedules import one_cycle

RUN = 8  # neighbours that are held out together


def magnetic_tile(
    data: Source,
    *,
    size: int = 128,
    channels: int = 1,
    width: int = 48,
    lr: float = 3e-3,
    batch_size: int = 16,
    steps: int = 5_000,
) -> Repair:
    """Crops of 128 px at the resolution of the images; a tenth of these is held out.

    20 minutes on one core of a CPU with AVX-512.
    """
    photos = [photo for _, photo in data.photos(channels, least=2 * batch_size)]
    config: dict[str, Any] = {"channels": channels, "patch": 4, "widths": [width, 2 * width, 2 * width], "blocks": 1}
    torch.manual_seed(0)
    network = AnomalyAE(**config).to(memory_format=torch.channels_last)
    out = rows_held_out(len(photos))
    train = CropBatches([x for number, x in enumerate(photos) if number not in out], size, with_defects)
    held = [middle(photos[number], size) for number in sorted(out)]
    return Repair(
        config,
        TrainableNetwork(
            network.train(),
            AdamW(network.parameters(), lr, weight_decay=1e-2),
            one_cycle(lr, steps),
            clip=1.0,
        ),
        train,
        held_out(to_float(torch.stack(held))),
        l1_weight=2.0,
        batch_size=batch_size,
        steps=steps,
        eval_every=max(1, steps // 15),
    )


def rows_held_out(n: int) -> set[int]:
    """A tenth of ``n`` rows, ten at least where that leaves enough, in runs of neighbours."""
    wanted = min(max(LEAST, n // 10), max(1, n // 3))
    runs = max(1, wanted // RUN)
    each = math.ceil(wanted / runs)
    ends = [(number + 1) * n // runs for number in range(runs)]
    return {row for end in ends for row in range(end - each, end)}


def with_defects(batch: Batch) -> Batch:
    """Most of the images with drawn defects as ``input``, where these are as ``mask``; brightness and contrast vary."""
    x = batch["target"]
    gain, shift = (torch.empty(len(x), 1, 1, 1).uniform_(*span) for span in ((0.9, 1.1), (-0.1, 0.1)))
    x = (x * gain + shift).clamp(-1, 1)
    images, masks = draw_defects(x, share=0.7)
    return {"input": images, "target": x, "mask": masks}


def held_out(x: torch.Tensor) -> list[Batch]:
    """Each of some images ``(N, C, H, W)`` in [-1, 1] twice: as it is, and with a defect; the same ones each time."""
    clean = torch.zeros_like(x[:, :1])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn, masks = draw_defects(x, share=1.0)
    roles = {"input": torch.cat([x, drawn]), "target": torch.cat([x, x]), "mask": torch.cat([clean, masks])}
    return ArrayBatches(roles).singles()


def evaluate(
    model: Model, data: Source, features: Sequence[Features], *, normal: str = "", masks: str = "masks"
) -> list[Metric]:
    """AUROC of images and of pixels on the test split, for all defects together and for each.

    Args:
        model: one that reconstructs.
        data: a split ``test`` with a folder for each class; the class that the split ``train`` has is normal.
        features: those that the baselines look through.
        normal: the normal class, where the training split does not say it.
        masks: the folder of the masks, beside the splits; without one only images are measured.
    """
    assert model.entry and model.entry.input
    channels = model.entry.input.channels or 3
    train, test = data.photos(channels), data.photos(channels, split="test")
    good = {normal} if normal else {folder_of(name) for name, _ in train}
    kinds = np.array([folder_of(name) for name, _ in test])
    defective = ~np.isin(kinds, sorted(good))
    if defective.all() or not defective.any():
        raise InputError(
            "The test split needs normal and defective images, in a folder for each class, and normal is "
            f"{' and '.join(good)}: name another with --set normal=NAME, or add images."
        )
    scores, maps, threshold = score(model, [x.permute(1, 2, 0).numpy() for _, x in test])
    ways = {"": (scores, [torch.from_numpy(x[0]) for x in maps.arrays])}
    known, new = ([x.float() / 255 for _, x in photos] for photos in (train, test))
    others = {"pca_patches": pca_patches(known, new)}
    for extractor in features:
        if extractor.id in EXTRACTORS and extractor.source != "random":
            others[f"{extractor.id.replace('-', '_')}_patches"] = nearest_patches(known, new, extractor)
    for name, each in others.items():
        ways[name] = (np.array([float(x.max()) for x in each]), each)
    wanted = masks_of(data, masks, test, defective)
    rows = []
    for kind in ("", *sorted(set(kinds[defective].tolist()))):
        chosen = np.flatnonzero((kinds == kind) | ~defective if kind else np.ones(len(kinds), bool))
        row: dict[str, Any] = {"split": data.called("test"), "n": len(chosen)}
        row |= {"settings": {"defect": kind}} if kind else {}
        values = {name: round(auroc(s[chosen], defective[chosen]), 4) for name, (s, _) in ways.items()}
        rows.append(_row("image-auroc", values, row))
        if wanted:
            pixels = torch.cat([wanted[i].flatten() for i in chosen]).numpy()
            values = {
                name: round(auroc(torch.cat([m[i].flatten() for i in chosen]).numpy(), pixels), 4)
                for name, (_, m) in ways.items()
            }
            rows.append(_row("pixel-auroc", values, row))
        if threshold is not None:
            share = float((scores[chosen] > threshold)[defective[chosen]].mean())
            row["n"] = int(defective[chosen].sum())
            rows.append(Metric("detected", round(share, 4), protocol="detected", **row))
    if threshold is not None:
        row = {"split": data.called("test"), "n": int((~defective).sum())}
        share = float((scores > threshold)[~defective].mean())
        rows.append(Metric("false-alarms", round(share, 4), protocol="false-alarms", **row))
    return rows


def _row(protocol: str, values: dict[str, float], row: dict[str, Any]) -> Metric:
    """A figure with its baselines; the model's own is the one without a name."""
    baselines = {name: value for name, value in values.items() if name}
    return Metric(protocol, values[""], protocol=protocol, baselines=baselines, **row)


def folder_of(name: str) -> str:
    return name.rpartition("/")[0]


def masks_of(
    data: Source, folder: str, test: Sequence[tuple[str, torch.Tensor]], defective: np.ndarray
) -> list[torch.Tensor]:
    """The mask ``(H, W)`` of each test image; none if there is no such folder.

    Raises:
        InputError: for a defective image without a mask, or one of another size.
    """
    try:
        masks = Source([f"{path}/{folder}" for path in data.paths], warn=data.warn).photos(1)
    except InputError:
        return []
    known = {name.removesuffix("_mask"): mask[0] > 127 for name, mask in masks}
    wanted = []
    for (name, x), bad in zip(test, defective, strict=True):
        mask = known.get(name, torch.zeros(x.shape[1:], dtype=torch.bool))
        if (bad and name not in known) or mask.shape != x.shape[1:]:
            raise InputError(f"{folder} has no mask of the size of {name}: put one there, with the same name.")
        wanted.append(mask)
    return wanted
