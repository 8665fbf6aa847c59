"""Privacy: whether a generator makes samples of its own, or gives back those that it was trained on."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import InputError, VerbError
from zoo.inference.codes import name_of
from zoo.inference.verbs import Verbs
from zoo.media.base import Samples
from zoo.media.images import Images
from zoo.registry.facts import Condition, Entry, Metric
from zoo.tasks.codes import generates

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.data.source import ImageSet, Source
    from zoo.media.molecules import Molecules

LEAST = 100  # of each sort: fewer say nothing
MOST = 10_000  # of each split that are compared
SIDE = 32  # pixels that larger images are averaged to before they are compared
SHOWN = 32  # samples that are shown beside what is nearest in the training data
CLOSE = 0.95  # below this, samples are nearer to training data than to others
TOLD_APART = 0.52  # above this AUROC, samples tell what was trained on


@dataclass(frozen=True)
class Privacy:
    """A result of :func:`privacy`, of images or molecules.

    Attributes:
        samples: how many samples of the model were looked at.
        images: how many training images or molecules were compared, and as many held-out ones.
        distance_ratio: mean distance of samples to the nearest training image over that to the nearest held-out one; 1
            where nothing is remembered, less where samples are like training images.
        membership_auroc: chance that of a training image and a held-out one the first is nearer to a sample: 0.5 where
            samples tell nothing about who was trained on, 1 where they tell all.
        accuracy: share of held-out images that a classifier names rightly which was trained on samples alone; None for
            a model or data without classes.
        real_accuracy: the same of a classifier that was trained on as many real training images.
        without: why there is no accuracy; empty where there is one.
        shown: the first samples, and
        nearest: the training image that is nearest to each.
    """

    samples: int
    images: int
    distance_ratio: float
    membership_auroc: float
    accuracy: float | None
    real_accuracy: float | None
    without: str
    shown: Samples
    nearest: Samples

    @property
    def utility(self) -> float | None:
        """The accuracy by samples over that by real images."""
        return self.accuracy / self.real_accuracy if self.accuracy is not None and self.real_accuracy else None

    @property
    def chance(self) -> float:
        """What chance alone adds to an AUROC of 0.5 or takes from it: two standard deviations for so many images."""
        return 2 * math.sqrt((2 * self.images + 1) / (12 * self.images**2))

    @property
    def remembers(self) -> bool:
        """Whether the model gives away images that it was trained on."""
        told = self.membership_auroc > max(TOLD_APART, 0.5 + self.chance)
        return told or self.distance_ratio < CLOSE

    def sheet(self, columns: int = 8) -> Samples:
        """Samples in rows, and below each row what is nearest in the training data; ``save`` has eight in a row."""
        rows = [
            some[first : first + columns]
            for first in range(0, len(self.shown), columns)
            for some in (self.shown, self.nearest)
        ]
        return type(self.shown).concat(rows)

    def rows(self, **row: Any) -> list[Metric]:
        """The figures as rows of a card.

        Args:
            row: other facts of the rows, such as ``split``.
        """
        figures = {"nearest-distance-ratio": self.distance_ratio, "membership-auroc": self.membership_auroc}
        by = "-tanimoto" if self.shown.kind == "molecules" else ""
        rows = [
            Metric(name, round(value, 4), protocol=f"{name}{by}", n=self.samples, **row)
            for name, value in figures.items()
        ]
        if self.accuracy is not None and self.real_accuracy is not None:
            name, real = "synthetic-accuracy", {"real": round(self.real_accuracy, 4)}
            rows.insert(0, Metric(name, round(self.accuracy, 4), protocol=name, n=self.samples, baselines=real, **row))
        return rows


def privacy(
    model: Verbs,
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Source,
    *,
    n: int = 10_000,
    seed: int = 0,
    batch_size: int = 64,
    progress: bool = False,
) -> Privacy:
    """Whether a generator of images gives away those that it was trained on, and whether its samples can replace them.

    Images are compared by the Euclidean distance of their pixels, larger ones averaged to 32 px on a side. Molecules
    are compared by the Tanimoto distance of their Morgan fingerprints, as
    :func:`~zoo.metrics.molecules.fingerprints` has them, and have no third figure. As many training images as held-out
    ones are compared, since among more images the nearest is nearer. The distance of a training image to the nearest
    sample as a guess of who was trained on is the attack of Chen et al., "GAN-Leaks", 2020,
    https://arxiv.org/abs/1909.03935; training on samples and testing on real images is from Esteban et al. 2017,
    https://arxiv.org/abs/1706.02633.

    >>> result = privacy(zoo.load("cdcgan"), "mnist.npz")
    >>> result.distance_ratio, result.membership_auroc, result.utility, result.remembers

    Args:
        model: one that generates images or molecules.
        data: what it was trained on, as ``zoo train`` takes it, with the splits train and test.
        n: samples that are looked at. Where the model has a condition whose choices are the classes of the data, the
            classes are drawn as often as the training images have them.
        seed: of the samples, and of which images are compared.
        batch_size: samples that go through the network at once.
        progress: whether to show a bar.

    Raises:
        VerbError: for a model that only reconstructs.
        InputError: for samples of another kind, a condition that the data cannot fill, data without a test split, and
            fewer than 100 images or samples.
        ZooError: for molecules if RDKit is not installed.
    """
    check(model, n)
    molecules = bool(model.entry and model.entry.output.kind == "molecules")
    source = _source(data, molecules)
    if molecules:
        known, new = (source.molecules(split, LEAST) for split in ("train", "test"))
        return compared_molecules(model, known, new, n=n, seed=seed, batch_size=batch_size)
    size, channels = _format(model)
    _warn_of_classes(model, source)
    train, test = (source.images(size, channels, split, LEAST) for split in ("train", "test"))
    return compared(model, train, test, n=n, seed=seed, batch_size=batch_size, progress=progress)


def compared(
    model: Verbs,
    train: ImageSet,
    test: ImageSet,
    *,
    n: int = 10_000,
    seed: int = 0,
    batch_size: int = 64,
    progress: bool = False,
) -> Privacy:
    """As :func:`privacy`, with images that were read already, of the size and channels of the model's."""
    import torch

    check(model, n)
    labelled = train.labels is not None and test.labels is not None
    condition, without = _class_condition(model.entry, train.classes if labelled else ())
    rng = torch.Generator().manual_seed(seed % 2**63)  # of any length, as for generate
    order = torch.randperm(len(train.x), generator=rng)
    given = None
    if condition is not None and train.labels is not None:
        given = train.labels[order].repeat(-(-n // len(order)))[:n]
    samples, shown = _samples(model, n, seed, batch_size, progress, condition, train.classes, given)
    known, new = _small(train.x), _small(test.x)
    m = min(len(known), len(new), MOST)
    members, others = known[order[:m]], new[torch.randperm(len(new), generator=rng)[:m]]
    accuracy = real_accuracy = None
    if given is not None and train.labels is not None and test.labels is not None:
        k = min(n, len(order))
        sets = (samples[:k], given[:k]), (known[order[:k]], train.labels[order[:k]])
        accuracy, real_accuracy = (_accuracy(x, labels, new, test.labels) for x, labels in sets)
    return Privacy(
        n,
        m,
        *_given_away(samples, members, others, euclidean),
        accuracy,
        real_accuracy,
        without,
        shown,
        Images([x.numpy() / np.float32(255) for x in train.x[nearest(samples[:SHOWN], known)[1]]]),
    )


def compared_molecules(
    model: Verbs, train: Sequence[str], test: Sequence[str], *, n: int = 10_000, seed: int = 0, batch_size: int = 64
) -> Privacy:
    """As :func:`privacy`, with molecules that were read already, as SMILES."""
    import torch

    from zoo.media.molecules import Molecules
    from zoo.metrics.molecules import canonical, fingerprints

    def those(smiles: Sequence[str], what: str) -> tuple[Molecules, Tensor]:
        some = Molecules(canonical(Molecules(smiles)))
        if len(some) < LEAST:
            raise InputError(f"{len(some)} of {len(smiles):,} {what} are valid: {LEAST} at least are needed.")
        return some, torch.from_numpy(fingerprints(some.smiles))

    check(model, n)
    made = model.generate(n, seed=seed, batch_size=batch_size).smiles
    generated, samples = those(made, f"samples of {name_of(model)}")
    (whole, known), (_, new) = those(train, "training molecules"), those(test, "test molecules")
    rng = np.random.default_rng(seed)
    m = min(len(known), len(new), MOST)
    members, others = (some[torch.from_numpy(rng.permutation(len(some))[:m])] for some in (known, new))
    rows = nearest(samples[:SHOWN], known, tanimoto)[1].tolist()
    return Privacy(
        len(samples),
        m,
        *_given_away(samples, members, others, tanimoto),
        None,
        None,
        "molecules have no classes",
        generated[:SHOWN],
        Molecules([whole.smiles[row] for row in rows]),
    )


def check(model: Verbs, n: int) -> None:
    """Refuse a model that makes no images of its own, and too few samples."""
    entry = model.entry
    if not generates(model):
        raise VerbError(f"{name_of(model)} only reconstructs and has no samples to compare: name one that generates.")
    if entry and entry.output.kind not in ("image", "molecules"):
        raise InputError(f"{name_of(model)} makes {entry.output.kind}: only images and molecules can be compared so.")
    if isinstance(n, bool) or not hasattr(n, "__index__") or n < LEAST:
        raise InputError(f"n must be a whole number from {LEAST}, not {n!r}: fewer samples say nothing.")


Distance = Callable[["Tensor", "Tensor"], "Tensor"]  # of each of (N, ...) to each of (M, ...), (N, M)


def euclidean(images: Tensor, others: Tensor) -> Tensor:
    """Distances of the values of images ``(N, C, H, W)`` to those of others ``(M, C, H, W)``."""
    import torch

    return torch.cdist(images.flatten(1), others.flatten(1))


def tanimoto(fingerprints: Tensor, others: Tensor) -> Tensor:
    """Of fingerprints ``(N, bits)`` to others ``(M, bits)``: 1 less the share of the bits of either that both have."""
    a, b = fingerprints.float(), others.float()
    common = a @ b.T
    return 1 - common / (a.sum(1)[:, None] + b.sum(1) - common)


def nearest(samples: Tensor, others: Tensor, distance: Distance = euclidean) -> tuple[Tensor, Tensor]:
    """Distance of each sample to the nearest of others, and which that is: ``(N,)`` each."""
    import torch

    found = [distance(some, others).min(1) for some in samples.split(500)]
    return torch.cat([each.values for each in found]), torch.cat([each.indices for each in found])


def _given_away(samples: Tensor, members: Tensor, others: Tensor, distance: Distance) -> tuple[float, float]:
    """Distance of samples to members over that to others, and the AUROC of guessing the members by it."""
    import torch

    from zoo.metrics.detection import auroc

    to_members, to_others = (float(nearest(samples, some, distance)[0].mean()) for some in (members, others))
    closeness = -torch.cat([nearest(some, samples, distance)[0] for some in (members, others)])
    told = auroc(closeness.numpy(), np.arange(len(closeness)) < len(members))
    return to_members / to_others if to_others else 1.0, told


def _source(data: Any, molecules: bool) -> Source:
    """The data, if they say what was trained on and what was not."""
    from zoo.data.places import IMAGES, SMILES
    from zoo.data.source import Source

    places: Any = [data] if isinstance(data, (str, os.PathLike)) else data
    source = places if isinstance(places, Source) else Source(places)
    if not all(source.has(split, SMILES if molecules else IMAGES) for split in ("train", "test")):
        raise InputError(
            f"{source.name} has nothing that was not trained on: give data with the splits train and test."
        )
    return source


def _format(model: Verbs) -> tuple[tuple[int, int], int]:
    """Height, width and channels of what a model makes."""
    size, channels = (model.entry.output.size, model.entry.output.channels) if model.entry else (None, None)
    if size is None or channels is None:
        raise InputError(f"{name_of(model)} does not say in its registry which size and channels its images have.")
    return size, channels


def _warn_of_classes(model: Verbs, source: Source) -> None:
    """Say before images are read, which takes minutes where there are many, that the data may be others."""
    from zoo.data.places import some

    choices = [condition for condition in (model.entry.conditions if model.entry else ()) if condition.choices]
    classes = source.classes() if choices else ()
    if classes and _class_condition(model.entry, classes)[0] is None:
        theirs, ours = some(list(classes), 5), some([str(choice) for choice in choices[0].choices], 5)
        source.warn(
            f"{source.name} has the classes {theirs}, and {choices[0].name} of {name_of(model)} is one of {ours}: if "
            "it was trained on other data, the figures say nothing."
        )


def _class_condition(entry: Entry | None, classes: Sequence[str]) -> tuple[Condition | None, str]:
    """The condition that takes the classes of the data, or why there is none.

    Raises:
        InputError: for another condition that must be given.
    """
    choices = [condition for condition in (entry.conditions if entry else ()) if condition.choices]
    fitting = [one for one in choices if {*map(str, one.choices)} == {*classes}]
    chosen = fitting[0] if fitting else None
    for condition in entry.conditions if entry else ():
        if condition.required and condition is not chosen:
            raise InputError(f"No sample can be drawn without {condition.name}, which the data do not have.")
    if not choices:
        return None, "the model takes no class"
    if not classes:
        return None, "the data have no classes"
    if chosen is None:
        return None, f"the model's {choices[0].name} is not what the classes of the data are"
    return chosen, ""


def _samples(
    model: Verbs,
    n: int,
    seed: int,
    batch_size: int,
    progress: bool,
    condition: Condition | None,
    classes: Sequence[str],
    labels: Tensor | None,
) -> tuple[Tensor, Images]:
    """Samples as they are compared, and the first as they are; a few hundred at a time, since memory holds no more."""
    import torch
    from tqdm import tqdm

    value_of = {str(choice): choice for choice in condition.choices} if condition else {}
    small, shown = [], None
    with tqdm(total=n, unit="image", leave=False, disable=not progress) as bar:
        for rows in torch.arange(n).split(512):
            values: dict[str, Any] = {}
            if condition and labels is not None:
                values = {condition.name: [value_of[classes[i]] for i in labels[rows].tolist()]}
            made = model.generate(len(rows), seed=seed, first=int(rows[0]), batch_size=batch_size, **values)
            shown = made[:SHOWN] if shown is None else shown
            small.append(_small((made.tensor * 255).round().clamp(0, 255)))
            bar.update(len(rows))
    assert shown is not None
    return torch.cat(small), shown


def _small(images: Tensor) -> Tensor:
    """Images ``(N, C, H, W)`` of 8 bits as they are compared: float32 in [-1, 1], at most 32 px on a side."""
    import torch
    import torch.nn.functional as F

    size = (min(images.shape[2], SIDE), min(images.shape[3], SIDE))
    return torch.cat([F.adaptive_avg_pool2d(some.float(), size) for some in images.split(512)]) / 127.5 - 1


def _accuracy(x: Tensor, y: Tensor, test: Tensor, labels: Tensor) -> float:
    """Share of test images that a classifier names rightly which was trained on other images."""
    import torch

    from zoo.metrics.classifier import accuracy, train_classifier

    with torch.random.fork_rng(devices=[]):  # the caller's random numbers go on as they would
        return accuracy(train_classifier(x, y), test, labels)
