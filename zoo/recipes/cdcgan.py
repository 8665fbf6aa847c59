"""How the checkpoint of cdcgan was trained: as dcgan, with the class beside the latent, and projected in D.

    zoo train cdcgan.mnist --data mnist.npz.xz --out runs/mnist

The best weights by kernel distance to training images are kept; the test split is only measured by `zoo evaluate`.
"""

from __future__ import annotations

import torch

from zoo.data.source import Source
from zoo.errors import InputError
from zoo.metrics.classifier import classify
from zoo.metrics.features import Features
from zoo.metrics.fidelity import rounded
from zoo.model import Generator
from zoo.models.cdcgan import CDCGAN
from zoo.recipes.dcgan import distances, judge, splits, training
from zoo.registry.facts import Metric
from zoo.training.discriminators import Discriminator
from zoo.training.generation import Adversarial


def mnist(
    data: Source,
    features: Features,
    *,
    size: int = 28,
    channels: int = 1,
    width: int = 48,
    latent: int = 64,
    d_width: int = 48,
    rate: float = 3e-4,
    batch: int = 64,
    steps: int = 8_000,
) -> Adversarial:
    """28 px, ten classes. A quarter of an hour on two cores."""
    images = data.images(size, channels, least=batch)
    torch.manual_seed(0)
    classes = len(images.classes)
    config = {"classes": classes, "size": size, "channels": channels, "width": width, "latent": latent}
    halvings = (size - 1).bit_length() - 2
    return training(
        config,
        CDCGAN(**config),
        lambda: Discriminator(size, channels, d_width, halvings=halvings, classes=classes),
        images,
        features=features,
        condition="digit",
        rate=rate,
        d_rate=2 * rate,
        batch=batch,
        steps=steps,
    )


def evaluate(model: Generator, data: Source, features: Features) -> list[Metric]:
    """Whether samples are of the class that was asked for; and distances to the test split, as for dcgan."""
    assert model.entry
    train, test = splits(model.entry, data)
    kinds = next((c.choices for c in model.entry.conditions if c.name == "digit"), ())
    if train.labels is None or test.labels is None or len(train.classes) != len(kinds):
        raise InputError(
            f"{model.entry.name} makes images of {len(kinds)} classes and the data have {len(train.classes)}: give "
            "data of the same classes."
        )
    classifier, right = judge(train, test)
    n = 10_000
    asked = torch.arange(n) % len(kinds)
    samples = model.generate(n, seed=0, digit=[kinds[i] for i in asked.tolist()]).tensor * 2 - 1
    agrees = (classify(classifier, rounded(samples)) == asked).float()
    worst = min(float(agrees[asked == digit].mean()) for digit in range(len(kinds)))
    named = data.called("test")
    by = f"by a classifier that is right on {right:.1%} of the {named} images"
    return [
        Metric(
            "right digit", round(float(agrees.mean()), 4), f"of {n:,} samples of seed 0, as many of each class, {by}"
        ),
        Metric("right digit, worst class", round(worst, 4), "the same, of the class with the least"),
        *distances(model, train, test, features, named),
    ]
