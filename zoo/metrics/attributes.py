"""Whether edits change what they are to change, and samples are as varied as data, by a classifier of attributes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.data.source import ImageSet
from zoo.errors import InputError
from zoo.metrics.classifier import fit
from zoo.metrics.fidelity import rounded
from zoo.registry.facts import Metric

RELATED = 0.1  # correlation in the training data from which an attribute is not expected to stay when another changes


class AttributeClassifier(nn.Module):
    """A small network that says which attributes an image has.

    Args:
        channels: of the images.
        size: height and width, divisible by 8.
        scores: logits of each attribute: 1 of what an image has or not, else one for each value.
    """

    def __init__(self, channels: int, size: int, scores: Sequence[int]) -> None:
        super().__init__()
        self.scores = tuple(scores)
        self.layers = nn.Sequential(
            *(nn.Conv2d(channels, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
            *(nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.Conv2d(64, 128, 3, stride=2, padding=1), nn.BatchNorm2d(128), nn.ReLU()),
            *(nn.Conv2d(128, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU()),
            *(nn.Flatten(), nn.Dropout(0.3), nn.Linear(128 * (size // 8) ** 2, sum(scores))),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, size, size)`` in [-1, 1] to logits ``(N, sum of scores)``, attribute by attribute."""
        logits: Tensor = self.layers(x)
        return logits


def attribute_loss(logits: Tensor, attributes: Tensor, scores: Sequence[int]) -> Tensor:
    """Cross-entropy, averaged over attributes: a scalar.

    Args:
        logits: as :class:`AttributeClassifier` gives them.
        attributes: the value of each, ``(N, A)``; -100, of attributes with several values, where any is right.
        scores: logits of each attribute.
    """
    if set(scores) == {1}:
        return F.binary_cross_entropy_with_logits(logits, attributes.float())
    parts = zip(logits.split(list(scores), 1), attributes.unbind(1), strict=True)
    losses = [
        F.cross_entropy(part, wanted, reduction="none").mean()
        if part.shape[1] > 1
        else F.binary_cross_entropy_with_logits(part[:, 0], wanted.to(part.dtype))
        for part, wanted in parts
    ]
    return torch.stack(losses).mean()


def likeliest(logits: Tensor, scores: Sequence[int]) -> Tensor:
    """The value of each attribute that logits as in :func:`attribute_loss` say: int64 ``(N, A)``."""
    parts = logits.split(list(scores), 1)
    return torch.stack([part.argmax(1) if part.shape[1] > 1 else (part[:, 0] > 0).long() for part in parts], 1)


def train_attribute_classifier(
    x: Tensor, attributes: Tensor, scores: Sequence[int] = (), epochs: int = 5, seed: int = 0
) -> AttributeClassifier:
    """A classifier trained on images ``(N, C, S, S)`` in [-1, 1] and the values of their attributes, ``(N, A)``.

    ``scores`` as for :class:`AttributeClassifier`; by default all values are 0 or 1.
    """
    torch.manual_seed(seed)
    scores = scores or [1] * attributes.shape[1]
    network = AttributeClassifier(x.shape[1], x.shape[2], scores)
    wanted = attributes.long()
    fit(
        network,
        x,
        lambda logits, rows: attribute_loss(logits, wanted[rows], scores),
        lr=3e-3,
        batch_size=64,
        epochs=epochs,
    )
    return network


@torch.inference_mode()
def attributes_seen(network: AttributeClassifier, images: Tensor) -> Tensor:
    """The values of the attributes of images ``(N, C, S, S)`` in [-1, 1], rounded to 8 bits first: int64 ``(N, A)``."""
    return torch.cat([likeliest(network(rounded(batch)), network.scores) for batch in images.split(250)])


def attribute_columns(names: Sequence[str]) -> dict[str, list[int]]:
    """The numbers of the columns of each attribute: of one with several values they are called ``hair_color=blond``."""
    columns: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        columns.setdefault(name.partition("=")[0], []).append(number)
    return columns


def values_of(images: ImageSet) -> tuple[dict[str, tuple[str, ...]], Tensor]:
    """The values of each attribute by its name, and which of them each image has, int64 ``(N, A)``.

    Raises:
        InputError: for columns that are not called as they should be, attributes with one value only, and images with
            none or two of an attribute's values.
    """
    if images.attributes is None:
        raise InputError("The data have no attributes: give an .npz with attributes_train and attribute_names.")
    for text in images.attribute_names:
        name, _, value = text.partition("=")
        if not value or not name.isidentifier():
            raise InputError(f"The attribute {text!r} has no value: call columns like hair_color=blond.")
    columns = attribute_columns(images.attribute_names)
    words = [text.partition("=")[2] for text in images.attribute_names]
    names = {name: tuple(words[column] for column in chosen) for name, chosen in columns.items()}
    labels = []
    for name, chosen in columns.items():
        if len(chosen) < 2:
            raise InputError(f"The attribute {name} has one value only: leave it out, or add columns of others.")
        ones = images.attributes[:, chosen]
        if wrong := int((ones.sum(1) != 1).sum()):
            raise InputError(f"{wrong:,} images do not have just one {name}: put a 1 into one of its columns.")
        labels.append(ones.argmax(1))
    return names, torch.stack(labels, 1).long()


def unrelated(attributes: Tensor) -> Tensor:
    """Which attributes are independent of which in the data, numbers of values ``(N, A)``: bool ``(A, A)``.

    That is by correlation, or, where some have several values, by :func:`cramers_v`.
    """
    if attributes.max() <= 1:
        return torch.corrcoef(attributes.T.float()).abs() < RELATED
    columns = attributes.long().unbind(1)
    return torch.tensor([[cramers_v(a, b) < RELATED for b in columns] for a in columns])


def cramers_v(a: Tensor, b: Tensor) -> float:
    """How much two attributes depend on each other, int64 ``(N,)`` each: Cramer's V, from 0 to 1.

    That of two attributes of two values each is the absolute value of their correlation.
    """
    first, second = F.one_hot(a).double(), F.one_hot(b).double()
    expected = torch.outer(first.sum(0), second.sum(0)) / len(a)
    square = (first.T @ second - expected).square() / expected.clamp(min=1e-9)
    return float((square.sum() / len(a) / max(1, min(square.shape) - 1)).sqrt())


def edit_metrics(
    train: Tensor,
    train_attributes: Tensor,
    test: Tensor,
    test_attributes: Tensor,
    copies: Tensor,
    edited: Callable[[int, Tensor], Tensor],
    names: Mapping[str, Sequence[str]] | None = None,
    **row: Any,
) -> list[Metric]:
    """How often edits reach the attribute that they are to change, and how often the others stay.

    Beside both stand real images, as often as the classifier sees the values that they have, and the copies, as often
    as it sees in them what was asked for (reached) or the values that the images have (kept).

    Args:
        train: images to train the classifier on, ``(N, C, S, S)`` in [-1, 1].
        train_attributes: theirs, 0 or 1 or numbers of their values, ``(N, A)``.
        test: images that are edited, in the same form.
        test_attributes: theirs.
        copies: what the model makes of them without a change.
        edited: of the number of an attribute and its new value for each image, the images that have it.
        names: of the attributes' values, by attribute; None for attributes that an image has or not.
        row: other facts of the rows.
    """
    values = [len(words) for words in names.values()] if names else [2] * train_attributes.shape[1]
    network = train_attribute_classifier(train, train_attributes, values if names else ())
    before, others = test_attributes.long(), unrelated(train_attributes)
    real, unedited = (attributes_seen(network, x) for x in (test, copies))
    reached, same, already = [], [], []
    for number, n in enumerate(values):
        # Where there are several other values, one image gets the first, the next image the second, and so on.
        wanted = (before[:, number] + 1 + torch.arange(len(before)) % (n - 1)) % n
        after = attributes_seen(network, edited(number, wanted))
        reached.append((after[:, number] == wanted).float().mean())
        already.append(unedited[:, number] == wanted)
        same.append(after == before)
    kept = [x[:, others[number]].float().mean() for number, x in enumerate(same)]
    as_before = {"real": real == before, "unedited": unedited == before}
    as_asked = {**as_before, "unedited": torch.stack(already, 1)}

    def figure(
        metric: str, protocol: str, value: Tensor, beside: Mapping[str, Tensor], attribute: int | None = None
    ) -> Metric:
        baselines = {key: x if attribute is None else x[:, attribute] for key, x in beside.items()}
        return Metric(
            metric,
            round(float(value), 4),
            protocol=protocol,
            n=len(test) if protocol.endswith("-worst") else len(test) * len(values),
            baselines={key: round(float(x.float().mean()), 4) for key, x in baselines.items()},
            settings={} if attribute is None else {"attribute": list(names or ())[attribute]},
            **row,
        )

    reaches, keeps = torch.stack(reached), torch.stack(kept)
    if names is None:
        return [
            figure("reached", "attribute-reached", reaches.mean(), {}),
            figure("reached", "attribute-reached-worst", reaches.min(), {}),
            figure("kept", "attributes-kept", keeps.mean(), as_before),
        ]
    stays = torch.stack([torch.stack(same)[others[:, j], :, j].float().mean() for j in range(len(values))])
    return [
        figure("reached", "value-reached", reaches.mean(), as_asked),
        figure("reached", "value-reached-worst", reaches.min(), as_asked, int(reaches.argmin())),
        figure("kept", "values-kept", keeps.mean(), as_before),
        figure("kept", "values-kept-worst", stays.min(), as_before, int(stays.argmin())),
    ]


def diversity_metrics(
    train: Tensor, train_attributes: Tensor, samples: Tensor, test: Tensor, **row: Any
) -> list[Metric]:
    """Whether samples have the attributes of the data, as often and in as many combinations.

    Args:
        train: images to train the classifier on, ``(N, C, S, S)`` in [-1, 1].
        train_attributes: theirs, 0 or 1, ``(N, A)``.
        samples: of the model, in the same form.
        test: real images that the classifier was not trained on, which stand beside the samples, as many or more.
        row: other facts of the rows.
    """
    network = train_attribute_classifier(train, train_attributes)
    wanted, ours, real = (attributes_seen(network, x) for x in (train, samples, test[: len(samples)]))
    measures: tuple[tuple[str, Callable[[Tensor], float]], ...] = (
        ("attribute-shares", lambda seen: float((seen.float().mean(0) - wanted.float().mean(0)).abs().mean())),
        ("attribute-entropy", _entropy),
        ("attribute-combinations", lambda seen: len(seen.unique(dim=0)) / len(seen)),
    )
    return [
        Metric(name, round(of(ours), 4), protocol=name, n=len(samples), baselines={"real": round(of(real), 4)}, **row)
        for name, of in measures
    ]


def _entropy(seen: Tensor) -> float:
    """Of each attribute in bits, 1 where half of the images ``(N, A)`` have it; averaged over attributes."""
    share = seen.double().mean(0)
    bits = -(torch.special.xlogy(share, share) + torch.special.xlogy(1 - share, 1 - share)) / math.log(2)
    return float(bits.mean())
