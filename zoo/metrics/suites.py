"""What several recipes measure: the distances of two sets of images by every extractor, beside those of baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.data.batch import to_float
from zoo.data.source import ImageSet
from zoo.errors import InputError
from zoo.metrics.baselines import gaussian_samples
from zoo.metrics.classifier import LinearClassifier, accuracy, classify, train_classifier
from zoo.metrics.distribution import frechet_distance, kernel_distance, precision_recall
from zoo.metrics.features import Features
from zoo.metrics.fidelity import rounded
from zoo.registry.facts import Entry, Metric


def distances(
    images: Tensor,
    reference: Tensor,
    features: Sequence[Features],
    baselines: Mapping[str, Tensor],
    **row: Any,
) -> list[Metric]:
    """KID and FID of images to real ones, by each extractor; both are rounded to 8 bits first.

    Args:
        images: of the model, ``(N, C, H, W)`` in [-1, 1].
        reference: real images, ``(M, C, H, W)`` in [-1, 1].
        features: the extractors.
        baselines: what stands beside the value, images in the same form.
        row: other facts of the rows, such as ``split``.
    """
    rows = []
    for extractor in features:
        real = extractor(rounded(reference))
        seen = {name: extractor(rounded(x)) for name, x in {"": images, **baselines}.items()}
        measures: tuple[tuple[str, Callable[[Tensor, Tensor], float], int], ...] = (
            ("kid", kernel_distance, 5),
            ("fid", frechet_distance, 3),
        )
        for metric, distance, digits in measures:
            values = {name: round(distance(x, real), digits) for name, x in seen.items()}
            value = values.pop("")
            rows.append(
                Metric(
                    metric,
                    value,
                    protocol=f"{metric}-{extractor.id}-{extractor.size}",
                    n=len(images),
                    baselines=values,
                    features=extractor.fingerprint,
                    **row,
                )
            )
    return rows


def sample_distances(
    samples: Tensor, train: Tensor, test: Tensor, features: Sequence[Features], **row: Any
) -> list[Metric]:
    """:func:`distances` of a generator's samples to test images, beside training images and a Gaussian of their pixels.

    Args:
        samples: ``(N, C, H, W)`` in [-1, 1].
        train: training images, as many or more, in the same form.
        test: test images, as many or more.
        features: the extractors.
        row: other facts of the rows.
    """
    n = len(samples)
    baselines = {"real": _some(train, n), "gaussian": gaussian_samples(train, n)}
    return distances(samples, _some(test, n) if n < len(test) else test, features, baselines, **row)


def truncation_curve(
    generate: Callable[[int, float], Tensor],
    truncations: Sequence[float],
    n: int,
    train: Tensor,
    test: Tensor,
    features: Sequence[Features],
    **row: Any,
) -> list[Metric]:
    """Fidelity and diversity of samples by how far latents are truncated, beside those of training images.

    Args:
        generate: from a number and a truncation to so many samples ``(n, C, H, W)`` in [-1, 1].
        truncations: which ones.
        n: samples, and real images.
        train: training images, ``n`` or more, in the same form.
        test: test images, likewise, which samples are compared with.
        features: the extractors.
        row: other facts of the rows, such as ``split``.
    """
    rows = []
    samples = {truncation: rounded(generate(n, truncation)) for truncation in truncations}
    for extractor in features:
        real = extractor(rounded(_some(test, n)))
        trained = precision_recall(extractor(rounded(_some(train, n))), real)
        facts: dict[str, Any] = {"n": n, "features": extractor.fingerprint, **row}
        for truncation, images in samples.items():
            pair = precision_recall(extractor(images), real)
            for metric, value, beside in zip(("precision", "recall"), pair, trained, strict=True):
                rows.append(
                    Metric(
                        metric,
                        round(value, 3),
                        protocol=f"{metric}-{extractor.id}-{extractor.size}",
                        baselines={"real": round(beside, 3)},
                        settings={"truncation": truncation},
                        **facts,
                    )
                )
    return rows


def class_shares(
    samples: Tensor, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], classes: Sequence[str], **row: Any
) -> list[Metric]:
    """How often each class comes among a generator's samples, the rarest first by itself, by a classifier.

    Args:
        samples: ``(N, C, H, W)`` in [-1, 1].
        train: images in the same form and their classes ``(N,)``, which the classifier learns from.
        test: others, which say how often it is right.
        classes: their names.
        row: other facts of the rows, such as ``split``.
    """
    classifier = train_classifier(*train)
    right = accuracy(classifier, *test)
    facts: dict[str, Any] = {"n": len(samples), **row}
    shares, real = (
        torch.bincount(labels, minlength=len(classes)) / len(labels)
        for labels in (classify(classifier, rounded(samples)), test[1])
    )
    rarest = Metric(
        "rarest-class-share",
        round(float(shares.min()), 4),
        f"the classifier is right on {right:.1%} of the {row.get('split', 'test')} images",
        "rarest-class-share",
        baselines={"uniform": round(1 / len(classes), 4)},
        **facts,
    )
    each = (
        Metric(
            "class-share",
            round(float(share), 4),
            protocol="class-share",
            baselines={"real": round(float(in_data), 4)},
            settings={"class": name},
            **facts,
        )
        for name, share, in_data in zip(classes, shares, real, strict=True)
    )
    return [rarest, *each]


def class_accuracies(
    samples: Tensor, asked: Tensor, classifier: nn.Module, test: tuple[Tensor, Tensor], protocol: str = "", **row: Any
) -> list[Metric]:
    """How many of a generator's samples are of the class that was asked for, of all and of the worst class.

    Args:
        samples: ``(N, C, H, W)`` in [-1, 1].
        asked: their classes ``(N,)``.
        classifier: one that learnt from the training split.
        test: real images in the same form and their classes, which it did not see.
        protocol: what follows the metric's name in that of the protocol, where another network than usual classifies.
        row: other facts of the rows, such as ``split``.
    """
    agrees = (classify(classifier, rounded(samples)) == asked).float()
    worst = min(float(agrees[asked == one].mean()) for one in asked.unique())
    metric, both = "class-accuracy", {"real": round(accuracy(classifier, *test), 3)}
    facts: dict[str, Any] = {"n": len(samples), **row}
    return [
        Metric(metric, round(float(agrees.mean()), 4), protocol=metric + protocol, baselines=both, **facts),
        Metric(f"{metric}-worst", round(worst, 4), protocol=f"{metric}-worst{protocol}", **facts),
    ]


def kind_metrics(
    samples: Tensor,
    asked: Tensor,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    features: Sequence[Features],
    **row: Any,
) -> list[Metric]:
    """:func:`class_accuracies` by a linear classifier over the features of each extractor.

    For photos, of which there are too few to train a classifier from nothing.

    Args:
        samples: ``(N, C, H, W)`` in [-1, 1].
        asked: their classes ``(N,)``.
        train: real images in the same form and their classes ``(N,)``, which the classifiers learn from.
        test: others.
        features: the extractors.
        row: other facts of the rows, such as ``split``.
    """
    rows = []
    for extractor in features:
        classifier, protocol = LinearClassifier(extractor, *train), f"-{extractor.id}-{extractor.size}"
        rows += class_accuracies(samples, asked, classifier, test, protocol, features=extractor.fingerprint, **row)
    return rows


def of_classes(
    entry: Entry, condition: str, *sets: ImageSet
) -> tuple[tuple[str | int, ...], list[tuple[Tensor, Tensor]]]:
    """The classes that a generator makes images of, and sets of images in [-1, 1] with their classes.

    Args:
        entry: facts of the generator.
        condition: its condition that takes the class.
        sets: of the data.

    Raises:
        InputError: if the data have other classes, or none.
    """
    kinds = next((each.choices for each in entry.conditions if each.name == condition), ())
    labelled = [(to_float(one.x), one.labels) for one in sets if one.labels is not None]
    if len(labelled) < len(sets) or any(one.classes != tuple(map(str, kinds)) for one in sets):
        raise InputError(
            f"{entry.name} makes images of {', '.join(map(str, kinds))}: give data with a folder for each."
        )
    return kinds, labelled


def _some(images: Tensor, n: int) -> Tensor:
    """``n`` images, drawn without replacement: data are often sorted by class."""
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:n]]
