"""How the checkpoint of brain-gan was trained: hinge loss, class-conditional D, differentiable augmentation.

    zoo train brain-gan.mri --data brain_mri.zip --out runs/brain

The best weights by kernel distance to training images are kept; the test split is only measured by `zoo evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam

from zoo.data.batch import ArrayBatches, to_float
from zoo.data.source import Source
from zoo.errors import check_doubled
from zoo.metrics.augmentation import augmentation_study, train_small_classifier
from zoo.metrics.features import Features
from zoo.metrics.suites import kind_metrics, of_classes, sample_distances
from zoo.model import Generator
from zoo.models.brain_gan import BrainGAN
from zoo.registry.facts import Metric
from zoo.tasks.privacy import compared
from zoo.training.discriminators import ProjectedDiscriminator
from zoo.training.generation import Generation, last_discriminator
from zoo.training.objective import TrainableNetwork
from zoo.training.schedules import constant_then_linear


def mri(
    data: Source,
    features: Features,
    *,
    size: int = 64,
    channels: int = 1,
    latent: int = 100,
    width: int = 16,
    d_width: int = 32,
    seen: int = 80,
    augment: str = "flip,translation,cutout",
    lr: float = 4e-4,
    batch_size: int = 24,
    last_steps: int = 1_600,
    last_width: int = 48,
    class_weight: float = 1.0,
    steps: int = 10_600,
) -> Generation:
    """64 px, or any power of two from 8; grey, or with ``channels=3`` in colour. 73 minutes on one core.

    D sees images through a network that has seen many and at its pixels, with the class projected in each of its
    scores: after 280 steps with batches of 32, samples show heads. Real and fake images are mirrored and moved, and
    lose a square, before D sees them, since D would learn so few by heart. Heads look to either side in the data, so
    mirrored ones are among them.

    In the ``last_steps`` another D comes in beside the first, which knows no classes and sees half of the images whole
    and of the others a square, enlarged; and a small classifier, trained on the same images, says how far samples are
    from being of their class. By MobileNetV2 at 224 px, kernel distance of 1,000 samples to the training images was
    0.052 before these steps, and 0.042 after 1,000 of them, the least: the weights of the checkpoint.

    Few real slices with samples beside them do as well as without, whatever was done: a sensitivity of 0.682 without,
    0.672 with samples of a run of 3,500 steps, 0.665 with those of 9,000 steps, 0.682 with 1,000 more and the
    classifier at a weight of 0.3, and 0.685 as it is now. For the classes of samples are easier to tell apart than
    those of slices: a small classifier that learns from 4,000 samples names 99.98 % of fresh ones right, but 57 % of
    the training images (40 % where the run had 3,500 steps); one that learns from half of these names 86 % of the other
    half. Matching what small classifiers see of samples and of slices (Zhao, Bilen 2021,
    https://arxiv.org/abs/2110.04181) for 400 steps more left that at 57 %, and added nothing.

    ``width`` is the number of channels of G's maps at full size; each level below has twice as many, up to 224.
    """
    check_doubled("size", size)
    images = data.images(size, channels, least=batch_size)
    torch.manual_seed(0)
    classes = len(images.classes)
    widths = [min(224, width << i) for i in reversed(range(size.bit_length() - 2))]
    config: dict[str, Any] = {"classes": classes, "channels": channels, "latent": latent, "widths": widths}
    g = BrainGAN(**config)
    d = ProjectedDiscriminator(features, size, d_width, seen, channels, classes)
    g.init_weights()
    last_steps = min(last_steps, steps // 2)
    schedule = constant_then_linear(steps, last_steps)
    return Generation(
        config,
        TrainableNetwork(g, Adam(g.parameters(), lr, betas=(0.0, 0.99)), schedule),
        TrainableNetwork(d, Adam(d.parameters(), lr, betas=(0.0, 0.99)), schedule),
        ArrayBatches(images.roles),
        features=features.at(224, fast=True),
        augment=augment,
        classifier=lambda: train_small_classifier(to_float(images.x), images.roles["label"], seed=1),
        class_weight=class_weight,
        final_steps=last_steps,
        last_d=last_discriminator(features, size, channels, last_width, lr, last_steps),
        last_steps=last_steps,
        condition="kind",
        classes=images.classes,
        n_samples=1_000,
        batchnorm_samples=2_000,
        batch_size=batch_size,
        steps=steps,
        eval_every=min(500, max(1, steps // 6)),
    )


def evaluate(model: Generator, data: Source, features: Sequence[Features]) -> list[Metric]:
    """What samples add to few real images; whether they are of the class asked for; distances; and privacy."""
    assert model.entry
    size, channels = model.entry.output.size, model.entry.output.channels or 3
    train_set, test_set = (data.images(size, channels, split=split) for split in ("train", "test"))
    kinds, (train, test) = of_classes(model.entry, "kind", train_set, test_set)

    def generate(asked: Tensor, seed: int) -> Tensor:
        samples: Tensor = model.generate(len(asked), seed=seed, kind=[kinds[i] for i in asked.tolist()]).tensor * 2 - 1
        return samples

    row: dict[str, Any] = {"split": data.called("test"), "seed": 0}
    rows = augmentation_study(generate, train, test, **row)
    asked = torch.arange(1_000) % len(kinds)
    rows += kind_metrics(generate(asked, 0), asked, train, test, features, **row)
    n = min(10_000, len(test_set.x), len(train_set.x))
    drawn = model.generate(n, seed=0).tensor * 2 - 1  # of classes as the noise has them
    rows += sample_distances(drawn, train[0], test[0], features, **row)
    return rows + compared(model, train_set, test_set).rows(**row)
