"""How stackgan is trained: both stages side by side, a matching-aware D for each, attributes where the data have some.

    zoo train stackgan --data avatars_text.npz --out runs/avatars
    zoo train stackgan.flowers --data flowers.zip --out runs/flowers

The best weights by kernel distance to training images are kept; the test split is only measured by `zoo evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam

from zoo.data.batch import ArrayBatches, to_float
from zoo.data.source import ImageSet, Source, check_least
from zoo.errors import InputError
from zoo.inference.words import numbered, padded, vocabulary_of, words_of
from zoo.metrics.features import Features
from zoo.metrics.naming import naming_metrics
from zoo.metrics.petals import petal_metrics
from zoo.metrics.suites import kind_metrics, sample_distances
from zoo.models.stackgan import StackGAN
from zoo.registry.facts import Metric
from zoo.tasks.privacy import compared
from zoo.training.discriminators import ProjectedTextDiscriminator, TextDiscriminator
from zoo.training.generation import last_discriminator
from zoo.training.objective import TrainableNetwork
from zoo.training.schedules import constant_then_linear
from zoo.training.stacked import Judges, Phrases, Stacked

# What the captions of a face say most often; eyes, eyebrows, length of hair and kind of clothes come beside them.
EIGHT = ("skin", "hair_color", "hair_top", "mouth", "facial_hair", "glasses", "clothes_color", "background")


def avatars(
    data: Source,
    features: Features,
    *,
    size: int = 64,
    channels: int = 3,
    latent: int = 64,
    embedding: int = 128,
    condition: int = 64,
    width: int = 32,
    refined: int = 64,
    blocks: int = 2,
    d_width: int = 32,
    divergence_weight: float = 0.05,
    attribute_weight: float = 2.0,
    reading_weight: float = 5.0,
    r1: float = 0.3,
    r1_every: int = 8,
    augment: str = "",
    lr: float = 4e-4,
    batch_size: int = 16,
    last_steps: int = 3_500,
    last_width: int = 48,
    smoothing: float = 0.15,
    steps: int = 13_500,
) -> Stacked:
    """64 px, or another power of two; the vocabulary is what the captions of the training split have.

    In the paper the encoder of the text is finished before the GANs are trained, and Stage I before Stage II: here all
    learn side by side. Attributes, and which of them each caption names, are used where the data have both; half of the
    texts are put together of phrases of the captions then. Without these, a text such as "a face with long red hair and
    sunglasses", which is no caption, gave blurred faces in false colours. In the ``last_steps``, a third of the steps
    at most, a D that sees images through a network that has seen many comes in beside the others: kernel distance to
    the training images was 6.1 before, and 0.9 after.

    ``smoothing`` is for images that are drawn, 0 for photos: by MobileNetV2 at 224 px, kernel distance of 500 samples
    to as many training images is 0.200 without it and 0.160 with.

    The checkpoint took 10,000 steps with the captions alone, then 4,000 with such texts, at learning rates that had
    fallen to 0.57 by then, and then the last 1,500, in which the other D saw images only whole: 62 minutes of one core
    of a CPU with bfloat16.
    """
    images, captions = _captioned(data, size, channels, batch_size)
    vocabulary, text = _numbers(captions)
    roles = {"target": images.x, "text": text}
    attributes, phrases = 0, None
    if images.attributes is not None and images.named is not None:
        roles |= {"label": images.attributes.bool(), "named": images.named.bool()}
        attributes, phrases = len(images.attribute_names), Phrases(captions, roles["named"], vocabulary)
        roles["phrases"] = phrases.of_images
    config: dict[str, Any] = {
        "vocabulary": list(vocabulary),
        "size": size,
        "channels": channels,
        "latent": latent,
        "embedding": embedding,
        "condition": condition,
        "width": width,
        "refined": refined,
        "blocks": blocks,
        "smoothing": smoothing,
    }
    torch.manual_seed(0)
    g = StackGAN(**config)
    stages = [TextDiscriminator(side, channels, d_width, embedding, attributes) for side in (size // 2, size)]
    last_steps = min(last_steps, steps // 3)
    last_d = last_discriminator(features, size, channels, last_width, lr, last_steps)
    return _stacked(
        config,
        g,
        Judges(stages, embedding, attributes),
        roles,
        features=features,
        phrases=phrases,
        last_d=last_d,
        last_steps=last_steps,
        divergence_weight=divergence_weight,
        attribute_weight=attribute_weight,
        reading_weight=reading_weight,
        r1=r1,
        r1_every=r1_every,
        augment=augment,
        lr=lr,
        d_lr=1.5 * lr,
        batch_size=batch_size,
        steps=steps,
        eval_every=max(1, steps // 30),
        ema_decay=0.998,
    )


def flowers(
    data: Source,
    features: Features,
    *,
    size: int = 64,
    latent: int = 64,
    embedding: int = 64,
    condition: int = 32,
    width: int = 44,
    refined: int = 80,
    blocks: int = 2,
    d_width: int = 48,
    seen: int = 80,
    sketch_seen: int = 64,
    divergence_weight: float = 0.05,
    attribute_weight: float = 1.0,
    reading_weight: float = 5.0,
    diversity_weight: float = 4.0,
    augment: str = "flip,translation",
    lr: float = 4e-4,
    batch_size: int = 24,
    steps: int = 6_000,
) -> Stacked:
    """64 px from 2,000 photos with a caption each, which both discriminators see through a network that knows photos.

    The words that some captions have and others have not are the attributes: discriminators learn to see them, and G to
    show them. Every second text that G is given is these words alone, for it to need no whole sentence.

    G draws two images for a text, and loses where their sketches are alike. Without that, all samples of a text were
    the same after 600 steps, at a kernel distance of 1.59 to training images; 75 steps with it later, that was 1.25.

    Augmentation leaves colours as they are, since captions name them: 93 % of the training photos are in the colour of
    their caption by ``zoo.metrics.petals``, 91 % when they are moved, and 72 % after ``color``.

    80 minutes of one core of a CPU with bfloat16, beside another training. The metric that the best weights are chosen
    by was 0.63 after 1,200 steps, 0.46 after 2,400, 0.36 after 3,600, 0.32 after 4,800, which are the checkpoint, and
    0.46 at the end, with fine squares all over the samples.
    """
    images, captions = _captioned(data, size, 3, batch_size)
    captions = _phrased(captions)
    vocabulary, text = _numbers(captions)
    said = _said(captions, _telling(captions))
    config: dict[str, Any] = {
        "vocabulary": list(vocabulary),
        "size": size,
        "channels": 3,
        "latent": latent,
        "embedding": embedding,
        "condition": condition,
        "width": width,
        "refined": refined,
        "blocks": blocks,
    }
    attributes = said.shape[2]
    torch.manual_seed(0)
    g = StackGAN(**config)
    stages = [
        ProjectedTextDiscriminator(features, side, d_width, enlarged, 3, embedding, attributes)
        for side, enlarged in ((size // 2, sketch_seen), (size, seen))
    ]
    return _stacked(
        config,
        g,
        Judges(stages, embedding, attributes),
        {"target": images.x, "text": text, "label": said.any(1), "named": said},
        features=features,
        divergence_weight=divergence_weight,
        attribute_weight=attribute_weight,
        reading_weight=reading_weight,
        diversity_weight=diversity_weight,
        r1=0.0,
        augment=augment,
        lr=lr,
        d_lr=lr,
        batch_size=batch_size,
        steps=steps,
        eval_every=max(1, steps // 5),
        ema_decay=0.995,
    )


def _stacked(
    config: dict[str, Any],
    g: StackGAN,
    d: Judges,
    roles: dict[str, Tensor],
    *,
    features: Features,
    lr: float,
    d_lr: float,
    steps: int,
    last_steps: int = 0,
    **options: Any,
) -> Stacked:
    """Adam for G, for both D, and for the encoder of the text, with learning rates that fall to zero."""
    g.hold(roles["text"][:, 0])
    rest = [parameter for name, parameter in g.named_parameters() if not name.startswith("text.")]
    schedule = constant_then_linear(steps, last_steps)
    return Stacked(
        config,
        TrainableNetwork(g, Adam(rest, lr, betas=(0.0, 0.99)), schedule),
        TrainableNetwork(d, Adam(d.parameters(), d_lr, betas=(0.0, 0.99)), schedule),
        TrainableNetwork(g.text, Adam(g.text.parameters(), 2 * lr), schedule),
        ArrayBatches(roles),
        features=features.at(96, fast=True),
        n_samples=1_000,
        steps=steps,
        last_steps=last_steps,
        **options,
    )


def evaluate(model: StackGAN, data: Source, features: Sequence[Features], *, n_samples: int = 500) -> list[Metric]:
    """Which attributes of the test captions the images have; distances of images for them to test images; privacy."""
    assert model.entry
    size, channels = model.entry.output.size, model.entry.output.channels or 3
    train_set, test_set = (data.images(size, channels, split=split) for split in ("train", "test"))
    captions = _captions(test_set)
    texts = [str(text) for text in captions.T.ravel()]  # the first of each image, then the second of each, ...
    samples = model.generate(len(texts), seed=0, text=texts).tensor * 2 - 1
    train, test = to_float(train_set.x), to_float(test_set.x)
    row: dict[str, Any] = {"split": data.called("test"), "seed": 0}
    rows = []
    if test_set.named is not None and train_set.attributes is not None:
        named, names = test_set.named.transpose(0, 1).flatten(0, 1), train_set.attribute_names
        rows = naming_metrics(train, train_set.attributes, names, samples, named, test, EIGHT, **row)
    numbers = torch.arange(len(test))  # an image for each test image, for its first text, its second, ... in turn
    drawn = samples[numbers % captions.shape[1] * len(test) + numbers]
    rows += sample_distances(drawn[: min(n_samples, len(train))], train, test, features, **row)
    return rows + compared(model, train_set, test_set, n=4_000).rows(**row)


def evaluate_flowers(
    model: StackGAN, data: Source, features: Sequence[Features], *, per_kind: int = 100
) -> list[Metric]:
    """Whether images for the test captions have the kind and the colour that these name; distances; and privacy.

    Captions of each kind are taken over and over, ``per_kind`` in all. Distances are of one image for each caption.
    """
    assert model.entry
    size = model.entry.output.size
    train_set, test_set = (data.images(size, split=split) for split in ("train", "test"))
    if train_set.labels is None or test_set.labels is None:
        raise InputError("The data have no kinds of flowers: give images with a labels.csv that has a column class.")
    texts, train_texts = (_captions(images)[:, 0].tolist() for images in (test_set, train_set))
    train, test = to_float(train_set.x), to_float(test_set.x)
    row: dict[str, Any] = {"split": data.called("test"), "seed": 0}
    each = [(test_set.labels == kind).nonzero().flatten() for kind in test_set.labels.unique()]
    chosen = torch.cat([rows.repeat(-(-per_kind // len(rows)))[:per_kind] for rows in each])
    asked = [texts[i] for i in chosen.tolist()]
    samples = model.generate(len(asked), seed=0, text=asked).tensor * 2 - 1
    rows = [
        *kind_metrics(
            samples, test_set.labels[chosen], (train, train_set.labels), (test, test_set.labels), features, **row
        ),
        *petal_metrics(samples, asked, (test, texts), (train, train_texts), **row),
    ]
    drawn = model.generate(len(texts), seed=0, text=texts).tensor * 2 - 1
    rows += sample_distances(drawn[: len(train)], train, test, features, **row)
    return rows + compared(model, train_set, test_set, n=4_000).rows(**row)


def _captioned(data: Source, size: int, channels: int, batch_size: int) -> tuple[ImageSet, Any]:
    """Images to train on and their texts; that there are no texts is said before that images are too few."""
    images = data.images(size, channels)
    captions = _captions(images)
    check_least(" and ".join(data.paths), len(images.x), batch_size, "images")
    return images, captions


def _captions(images: ImageSet) -> Any:
    """The texts of images, ``(N, K)``."""
    if images.captions is None:
        raise InputError(
            "The data have no texts: give an .npz with x_train and captions_train, a text for each image, or images "
            "with a labels.csv that has a column caption."
        )
    return images.captions


def _numbers(captions: Any) -> tuple[tuple[str, ...], Tensor]:
    """The words of texts ``(N, K)``, and the texts as their numbers ``(N, K, T)``."""
    vocabulary = vocabulary_of(captions.ravel())
    numbers = padded([numbered(text, vocabulary)[0] for text in captions.ravel()])
    return vocabulary, torch.from_numpy(numbers.reshape(*captions.shape, -1))


def _telling(captions: Any) -> list[str]:
    """The words that some of the texts ``(N, K)`` have and others have not, in the order of the alphabet."""
    each = [set(words_of(" ".join(texts))) for texts in captions]
    return sorted(each[0].union(*each) - each[0].intersection(*each))


def _phrased(captions: Any) -> Any:
    """Texts ``(N, K)`` with the words that tell them from others behind them, ``(N, 2 K)``."""
    telling = set(_telling(captions))
    short = [[" ".join(word for word in words_of(text) if word in telling) for text in texts] for texts in captions]
    return np.concatenate([captions, np.array(short)], 1)


def _said(captions: Any, words: Sequence[str]) -> Tensor:
    """Which of some words the texts ``(N, K)`` have: bool ``(N, K, words)``."""
    return torch.tensor([[[word in words_of(text) for word in words] for text in texts] for texts in captions])
