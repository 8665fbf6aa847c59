"""Whether generated images help a classifier that has few real ones.

The study of Frid-Adar et al., "GAN-based synthetic medical image augmentation for increased CNN performance in liver
lesion classification", 2018, https://arxiv.org/abs/1803.01229: sensitivity and specificity without and with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.metrics.classifier import classify, fit
from zoo.metrics.fidelity import rounded
from zoo.registry.facts import Metric

REAL, GENERATED = 100, 1_000  # of each class
SEEDS = 5
DRAWS = 8_000  # images that each classifier is shown in an epoch, whatever it learns from
EPOCHS = 4


class ClassicalViews(nn.Module):
    """Classical augmentation while training: mirrored, turned, moved, and brighter or darker; nothing afterwards.

    Args:
        angle: the largest turn, in radians.
        shift: the largest move, as a share of the sides.
        brightness: the largest change, as a share.
    """

    def __init__(self, angle: float = 0.17, shift: float = 1 / 16, brightness: float = 0.2) -> None:
        super().__init__()
        self.angle, self.shift, self.brightness = angle, shift, brightness

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1]; brightness counts from black, -1."""
        if not self.training:
            return x
        n = len(x)
        angle, sign = self.angle * _symmetric(n), _symmetric(n).sign()
        turns = torch.stack([angle.cos() * sign, -angle.sin(), angle.sin() * sign, angle.cos()], 1).view(n, 2, 2)
        moves = 2 * self.shift * _symmetric(n, 2, 1)  # the grid is two wide
        grid = F.affine_grid(torch.cat([turns, moves], 2), list(x.shape), align_corners=False)
        x = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
        return (x + 1) * (1 + self.brightness * _symmetric(n, 1, 1, 1)) - 1


def _symmetric(*shape: int) -> Tensor:
    """Uniform between -1 and 1."""
    return 2 * torch.rand(shape) - 1


class SmallClassifier(nn.Module):
    """A network that is small enough to learn from a few hundred images.

    Args:
        classes: how many there are.
        channels: 1 for grey, 3 for RGB.
        views: whether it sees classical augmentation while it learns.
    """

    def __init__(self, classes: int, channels: int, views: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = [ClassicalViews()] if views else []
        c_in = channels
        for c_out, stride in ((16, 2), (32, 2), (64, 2), (64, 1)):
            layers += [nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()]
            c_in = c_out
        self.layers = nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.25), nn.Linear(16 * c_in, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, H, W)`` in [-1, 1], 64 px or so, to scores ``(N, classes)``."""
        scores: Tensor = self.layers(x)
        return scores


def train_small_classifier(x: Tensor, y: Tensor, views: bool = False, seed: int = 0) -> SmallClassifier:
    """A :class:`SmallClassifier` trained on images ``(N, C, H, W)`` in [-1, 1] and labels ``(N,)``.

    It takes as many steps for any number of images: they are repeated until there are 8,000, or some are left out.
    """
    torch.manual_seed(seed)
    network = SmallClassifier(int(y.max()) + 1, x.shape[1], views)
    rows = torch.cat([torch.randperm(len(x)) for _ in range(-(-DRAWS // len(x)))])[:DRAWS]
    shown, labels = x[rows], y[rows]
    fit(network, shown, lambda scores, i: F.cross_entropy(scores, labels[i]), lr=3e-3, batch_size=32, epochs=EPOCHS)
    return network


def sensitivity_and_specificity(predicted: Tensor, labels: Tensor) -> tuple[float, float]:
    """Shares of a class that are named so, and of all others that are not, each class against the rest, averaged.

    Args:
        predicted: classes ``(N,)``.
        labels: the true ones ``(N,)``; every class of them counts as much as another.
    """
    shares = []
    for one in labels.unique():
        named, is_one = predicted == one, labels == one
        shares.append(torch.stack([named[is_one].float().mean(), (~named[~is_one]).float().mean()]))
    sensitivity, specificity = torch.stack(shares).mean(0).tolist()
    return sensitivity, specificity


def augmentation_study(
    generate: Callable[[Tensor, int], Tensor],
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    *,
    real: int = REAL,
    generated: int = GENERATED,
    seeds: int = SEEDS,
    **row: Any,
) -> list[Metric]:
    """Sensitivity and specificity of a classifier that learns from few real images and from generated ones.

    Every seed draws other real and other generated images. Generated images are half of what the classifier is shown.
    Beside it stand the same classifier without them, with classical augmentation in their place, and one that has all
    training images, as the generator had.

    Args:
        generate: from classes ``(N,)`` and a seed to images ``(N, C, H, W)`` in [-1, 1].
        train: images in the same form and their classes ``(N,)``.
        test: others, which are measured on.
        real: training images of each class that the classifier has; of a class with fewer, all.
        generated: generated images of each class.
        seeds: how many times all is done again.
        row: other facts of the rows, such as ``split``.

    Returns:
        Sensitivity, then specificity, with generated images, and with generated images and classical augmentation.
    """
    x, y = train
    classes = int(y.max()) + 1
    figures: dict[str, list[tuple[float, float]]] = {}
    for seed in range(seeds):
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
        few = torch.cat([order[y[order] == one][:real] for one in range(classes)])
        asked = torch.arange(classes).repeat_interleave(generated)
        again = few.repeat(-(-len(asked) // len(few)))[: len(asked)]
        both = torch.cat([x[again], rounded(generate(asked, seed))]), torch.cat([y[again], asked])
        sets = {
            "generated": (*both, False),
            "generated and classical": (*both, True),
            "real_alone": (x[few], y[few], False),
            "classical": (x[few], y[few], True),
            "all_real": (x, y, False),
        }
        for name, (images, labels, views) in sets.items():
            seen = classify(train_small_classifier(images, labels, views, seed), test[0])
            figures.setdefault(name, []).append(sensitivity_and_specificity(seen, test[1]))
    ways = {name: torch.tensor(pairs, dtype=torch.float64) for name, pairs in figures.items()}  # (seeds, 2)
    means = {name: x.mean(0).tolist() for name, x in ways.items()}
    deviations = {name: x.std(0).tolist() for name, x in ways.items()}  # over the number of seeds less one
    beside = ("real_alone", "classical", "all_real")
    rows = []
    for i, metric in enumerate(("sensitivity", "specificity")):
        others = ", ".join(f"{name.replace('_', ' ')} {deviations[name][i]:.4f}" for name in beside)
        says = {
            name: verdict(means[name][i] - means[other][i], max(deviations[name][i], deviations[other][i]), other)
            for name, other in (("generated", "real_alone"), ("generated and classical", "classical"))
        }
        rows += [
            Metric(
                metric,
                round(means[name][i], 4),
                f"{says[name]}; deviation over seeds {deviations[name][i]:.4f} ({others})",
                protocol=f"augmentation-{metric}",
                n=seeds * generated * classes,
                baselines={key: round(means[key][i], 4) for key in beside},
                settings={"augmentation": name},
                **row,
            )
            for name in says
        ]
    return rows


def verdict(more: float, deviation: float, than: str) -> str:
    """Whether generated images add to a figure, in words: ``more than classical, by less than the deviation``."""
    than = than.replace("_", " ")
    if more <= 0:
        return f"no more than {than}"
    return f"more than {than}, by {'less' if more < deviation else 'more'} than the deviation"
