"""ROC curves of anomaly-ae by defect, and PaDiM (Defard et al. 2021, https://arxiv.org/abs/2011.08785) beside it.

    pip install anomalib
    python -m benchmarks.anomalies --data magnetic_tile.zip --features mobilenetv2_100.safetensors

Draws docs/gallery/anomaly-ae.magnetic-tile.roc.png, of images and of pixels, and writes the table of
docs/performance.md: PaDiM is measured, the others stand on the card. Without ``--features`` only the picture is made.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import zoo
from benchmarks.__main__ import write
from zoo.authoring.publish import table
from zoo.data.source import Source
from zoo.metrics import wording
from zoo.metrics.detection import auroc
from zoo.metrics.features import Features
from zoo.recipes.anomaly_ae import folder_of, masks_of
from zoo.tasks.anomaly import score

NAME = "anomaly-ae.magnetic-tile"
PICTURE = Path(__file__).parent.parent / "docs" / "gallery" / f"{NAME}.roc.png"
DEPTHS, NUMBERS = [1, 2, 3], 100  # maps of a quarter, an eighth and a sixteenth of the image; numbers for each patch
POINTS = np.linspace(0, 1, 501)  # of a curve


def roc(values: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """The share that is found at each share of false alarms of ``POINTS``."""
    from sklearn.metrics import roc_curve

    false, found, _ = roc_curve(positive, values)
    return np.interp(POINTS, false, found)


class Maps(nn.Module):
    """The maps of an extractor that patches are described by."""

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.network = features.network

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.network.forward_intermediates(x, indices=DEPTHS, intermediates_only=True)


@torch.inference_mode()
def padim(train: Sequence[Tensor], test: Sequence[Tensor], features: Features) -> list[Tensor]:
    """Maps ``(H, W)`` of test images by anomalib's PaDiM; images are ``(C, H, W)`` in [0, 1], all of one size.

    The backbone is MobileNetV2 with the given weights; with ResNet-18, the default, the maps have the same sizes.
    """
    from anomalib.models.image.padim.torch_model import PadimModel

    torch.manual_seed(0)
    model = PadimModel("mobilenetv2_100", DEPTHS, pre_trained=False, n_features=NUMBERS)
    model.feature_extractor.feature_extractor = Maps(features)

    def batches(images: Sequence[Tensor]) -> list[Tensor]:
        return [features.prepare(some * 2 - 1) for some in DataLoader(images, 16)]

    model.train()
    for batch in batches(train):
        model(batch)
    model.fit()
    model.eval()
    return [x[0] for batch in batches(test) for x in model(batch).anomaly_map]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, help="The crops of the magnetic tiles, with train, test and masks.")
    parser.add_argument("--features", help="Weights of timm's mobilenetv2_100, for PaDiM.")
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = Source([args.data])
    train, test = data.photos(1), data.photos(1, split="test")
    kinds = np.array([folder_of(name) for name, _ in test])
    defective = ~np.isin(kinds, [folder_of(name) for name, _ in train])
    masks = np.stack([mask.numpy() for mask in masks_of(data, "masks", test, defective)])
    model = zoo.load(NAME)
    scores, maps, threshold = score(model, [x.permute(1, 2, 0).numpy() for _, x in test])
    draw(scores, np.concatenate(maps.arrays), kinds, defective, masks, threshold)
    if args.features:
        known, new = ([x.float() / 255 for _, x in photos] for photos in (train, test))
        others = torch.stack(padim(known, new, Features(args.features))).numpy()
        compare(model.entry, auroc(others.max((1, 2)), defective), auroc(others.ravel(), masks.ravel()))


def draw(
    scores: np.ndarray,
    maps: np.ndarray,
    kinds: np.ndarray,
    defective: np.ndarray,
    masks: np.ndarray,
    threshold: float | None,
) -> None:
    """Curves of scores ``(N,)`` and of maps ``(N, H, W)``: of all defects, and of each beside the normal images."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, sides = plt.subplots(1, 2, figsize=(9, 4.5), dpi=120)
    for number, kind in enumerate(("", *sorted(set(kinds[defective].tolist())))):
        chosen = (kinds == kind) | ~defective if kind else np.ones(len(kinds), bool)
        style = {"color": f"C{number - 1}", "linewidth": 1.2} if kind else {"color": "black", "linewidth": 2}
        pairs = ((scores[chosen], defective[chosen]), (maps[chosen].ravel(), masks[chosen].ravel()))
        for axes, (values, positive) in zip(sides, pairs, strict=True):
            axes.plot(POINTS, roc(values, positive), **style, label=f"{kind or 'all'}, {auroc(values, positive):.3f}")
        if threshold is not None:
            found, false = ((scores[some] > threshold).mean() for some in (chosen & defective, ~defective))
            sides[0].plot(false, found, "o", color=style["color"], markersize=4 if kind else 6)
    sides[0].plot([], [], "o", color="grey", markersize=4, label=f"above the threshold, {threshold}")
    for axes, what in zip(sides, ("images", "pixels"), strict=True):
        axes.plot([0, 1], [0, 1], ":", color="grey", linewidth=1, label="by guessing, 0.5")
        axes.set(
            xlabel=f"normal {what} taken for defective", ylabel=f"defective {what} found", xlim=(0, 1), ylim=(0, 1)
        )
        axes.set(title=f"{what}: area under the curve", aspect="equal")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(PICTURE)


def compare(entry: zoo.registry.facts.Entry | None, images: float, pixels: float) -> None:
    """Write the table: figures of all defects, by what the card has and by PaDiM."""
    from anomalib import __version__

    assert entry
    whole = {row.metric: row for row in entry.metrics if not row.settings}
    both = [whole["image-auroc"], whole["pixel-auroc"]]
    ways = {NAME: [row.value for row in both]}
    ways |= {way.replace("_", " "): [row.baselines[way] for row in both] for way in both[0].baselines}
    ways[f"PaDiM, anomalib {__version__}, MobileNetV2"] = [images, pixels]
    rows = [f"{way} | {' | '.join(f'{value:.3f}' for value in values)}" for way, values in ways.items()]
    head = f"by | {' | '.join(map(wording.name, both))}"
    write("anomalies", table(head, rows), by="python -m benchmarks.anomalies")


if __name__ == "__main__":
    main()
