"""How progan is trained: progressive growing, the loss that does not saturate, R1, an EMA of G's weights.

    zoo train progan --data avatars.npz --out runs/avatars
    zoo train progan --data my-photos/ --out runs/mine --set size=32 --set smoothing=0

The best weights by kernel distance to training images are kept; the test split is only measured by `zoo evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Adam

from zoo.data.batch import ArrayBatches, to_float
from zoo.data.source import Source
from zoo.errors import InputError, check_doubled
from zoo.metrics.attributes import diversity_metrics, train_attribute_classifier, values_of
from zoo.metrics.features import Features
from zoo.metrics.suites import sample_distances
from zoo.models.progan import ProGAN
from zoo.registry.facts import Metric
from zoo.tasks.privacy import compared
from zoo.training.discriminators import GrowingDiscriminator
from zoo.training.generation import last_discriminator
from zoo.training.growing import Growing
from zoo.training.objective import TrainableNetwork
from zoo.training.schedules import constant_then_linear


def avatars(
    data: Source,
    features: Features,
    *,
    size: int = 64,
    channels: int = 3,
    latent: int = 128,
    width: int = 32,
    widest: int = 128,
    top: int = 16,
    d_width: int = 24,
    d_top: int = 12,
    growing: float = 0.35,
    last_steps: int = 6_000,
    last_width: int = 48,
    smoothing: float = 0.15,
    r1: float = 1.0,
    r1_every: int = 8,
    attribute_weight: float = 0.0,
    class_weight: float = 12.0,
    augment: str = "",
    lr: float = 6e-3,
    batch_size: int = 24,
    steps: int = 13_000,
) -> Growing:
    """64 px, or any power of two from 8; attributes of the data do not matter unless ``attribute_weight`` is above 0.

    The paper has WGAN-GP in place of the loss that does not saturate with R1, and networks of equal width: here D has
    fewer channels than G, since a step goes through D more often. ``growing`` is the share of the steps in which the
    networks grow.

    In the ``last_steps``, half of the steps at most, another D comes in beside the one that grew, which sees images
    through a network that has seen many, with convolutions of ``last_width`` channels and more: half of them whole, and
    of the others a square, enlarged. Alone, and with all images whole, it brought kernel distance to the training
    images, by MobileNetV2 at 96 px, from 7.6 to 0.97 in 1,375 steps, but skin, hair and grounds lost their colours.

    ``width`` is the number of channels of G's maps at half of the size; each level below has twice as many, up to
    ``widest``; at full size, where maps are largest, it is ``top``. ``d_width`` and ``d_top`` are those of D. Minibatch
    deviation takes groups of four, so ``batch_size`` should be a multiple of it.

    Weights of equalised layers have a deviation of one, so the paper's learning rate of 0.001 moves them by a
    thousandth a step, which is for millions of images. With 0.02 they move so far in the 500 steps that the EMA of G
    averages that the average is no generator any more: its samples were of one colour, while G's own were right. With
    0.006 that was so only where a new level came in.

    ``smoothing`` is for images that are drawn, 0 for photos: areas of one colour come out slightly uneven, which it
    takes away.

    By MobileNetV2 at 224 px, kernel distance of 1,000 samples to the training images was 0.86 before the last D came
    in, 0.14 after 1,450 steps with it, and 0.090 after 3,400, the least; then both D know the training images, and it
    rises, to 0.108 after 4,700, where the run of the checkpoint ended. With a last D that sees all images whole, it was
    0.119 after 2,800 steps, the least. 63 minutes of one core of a CPU with bfloat16 for the 10,400 steps of the
    checkpoint.

    With an ``attribute_weight``, attributes of several values (columns called ``hair_color=blond``) are taught. Each
    takes a number of the latent, which stands for one of its values. D has an auxiliary classifier, as the paper's code
    has for classes; in the last steps one that knows the same images teaches, too, by ``class_weight``, and ``augment``
    should not move what it sees: where it did, for 1,080 steps, mouths came no nearer. A run of this took
    ``attribute_weight=3``, ``latent=64``, ``d_width=32``, ``d_top=16`` and ``augment=translation`` for 10,400 steps,
    then 650 without it and with that classifier: kernel distance was 0.132, and grounds of two colours, which some
    samples of the checkpoint have, were gone. A third classifier saw what latents stand for in 1,200 samples: skin,
    colours of hair and clothes, and grounds in 99 %, glasses in 84 % (74 % before the 650 steps), mouths in 33 % (22
    %); in test images it sees 98 % or more of each of these.
    """
    check_doubled("size", size)
    if growing > 1:
        raise InputError(f"growing is the share of the steps in which the networks grow, from 0 to 1, not {growing}.")
    images = data.images(size, channels, least=batch_size)
    torch.manual_seed(0)
    levels = size.bit_length() - 3
    widths, d_widths = ([min(widest, half << i) for i in reversed(range(levels))] for half in (width, d_width))
    shares, roles = [], images.roles
    if attribute_weight:
        names, roles["label"] = values_of(images)
        each = zip(roles["label"].unbind(1), names.values(), strict=True)
        shares = [[round(float((x == i).float().mean()), 3) for i in range(len(words))] for x, words in each]
    config: dict[str, Any] = {
        "channels": channels,
        "latent": latent,
        "widths": [*widths, top],
        "smoothing": smoothing,
    }
    if shares:
        config["shares"] = shares
    g, d = ProGAN(**config), GrowingDiscriminator(channels, [*d_widths, d_top], sum(map(len, shares)))
    last_steps = min(last_steps, steps // 2)
    schedule = constant_then_linear(steps, last_steps, again=0.4)
    last_d = last_discriminator(features, size, channels, last_width, 4e-4, last_steps)
    return Growing(
        config,
        TrainableNetwork(g, Adam(g.parameters(), lr, betas=(0.0, 0.99)), schedule),
        TrainableNetwork(d, Adam(d.parameters(), lr, betas=(0.0, 0.99)), schedule),
        ArrayBatches(roles),
        features=features.at(224, fast=True),
        growing_steps=int(growing * steps),
        last_d=last_d,
        last_steps=last_steps,
        loss="vanilla",
        r1=r1,
        r1_every=r1_every,
        attribute_weight=attribute_weight,
        classifier=lambda: train_attribute_classifier(
            to_float(images.x), roles["label"], [len(of) for of in shares], epochs=4, seed=1
        ),
        class_weight=class_weight if shares else 0.0,
        final_steps=last_steps,
        augment=augment,
        n_samples=1_000,
        batch_size=batch_size,
        steps=steps,
        eval_every=min(1_000, max(1, steps // 20)),
        ema_decay=0.998,
    )


def evaluate(model: ProGAN, data: Source, features: Sequence[Features], *, n_samples: int = 1_200) -> list[Metric]:
    """Distances of samples to the test split, beside two baselines; their attributes; how far from copies they are."""
    assert model.entry
    size, channels = model.entry.output.size, model.entry.output.channels or 3
    train_set, test_set = (data.images(size, channels, split=split) for split in ("train", "test"))
    train, test = to_float(train_set.x), to_float(test_set.x)
    n = min(n_samples, len(test), len(train))
    samples = model.generate(n, seed=0).tensor * 2 - 1
    row: dict[str, Any] = {"split": data.called("test"), "seed": 0}
    rows = sample_distances(samples, train, test, features, **row)
    if train_set.attributes is not None:
        rows += diversity_metrics(train, train_set.attributes, samples, test, **row)
    return rows + compared(model, train_set, test_set).rows(**row)
