"""The colour of a flower in a photo, by a rule, and whether samples have the one that their text names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.data.colors import hues
from zoo.inference.words import words_of
from zoo.metrics.fidelity import rounded
from zoo.registry.facts import Metric

PETALS = ("orange", "pink", "purple", "red", "white", "yellow")
NONE = -1  # where no pixel has one of these colours, and for texts that name none
DARK, PALE = 0.35, 0.25  # value of HSV below which, and saturation below which a pixel has no colour
WHITE = 0.6  # value of a pale pixel above which it is white
PALE_RED = 0.6  # saturation below which red is pink
# Where hues begin, in degrees of HSV; leaves and the sky are between yellow and purple.
HUES = ((0, "red"), (20, "orange"), (40, "yellow"), (62, ""), (240, "purple"), (290, "pink"), (345, "red"))
MIDDLE = 0.3125  # of the side: deviation of the Gaussian that pixels are weighted by


def petal_colors(images: Tensor) -> Tensor:
    """The colour that most of the middle of each photo ``(N, 3, H, W)`` in [0, 1] has, but for green, blue and dark.

    Pixels are named by hue, saturation and value of HSV and weighted by a Gaussian about the middle. The numbers were
    fitted to the colours that the captions of the 2,109 training photos of flowers name.

    Returns:
        Indices ``(N,)`` into :data:`PETALS`; -1 where no pixel has one of these.
    """
    value = images.amax(1)
    saturation = (value - images.amin(1)) / value.clamp(min=1e-6)
    starts = torch.tensor([start for start, _ in HUES[1:]], device=images.device)
    names = torch.tensor([PETALS.index(name) if name else NONE for _, name in HUES], device=images.device)
    found = names[torch.bucketize(hues(images.movedim(1, -1)), starts, right=True)]
    found[(found == PETALS.index("red")) & (saturation < PALE_RED)] = PETALS.index("pink")
    found[saturation < PALE] = NONE
    found[(saturation < PALE) & (value > WHITE)] = PETALS.index("white")
    found[value < DARK] = NONE
    far = [(torch.arange(side, device=images.device) + 0.5) / side - 0.5 for side in images.shape[2:]]
    weights = torch.exp(-(far[0][:, None].square() + far[1].square()) / (2 * MIDDLE**2))
    votes = torch.stack([((found == i) * weights).sum((1, 2)) for i in range(len(PETALS))], 1)
    return torch.where(votes.amax(1) > 0, votes.argmax(1), NONE)


def named_colors(texts: Sequence[str]) -> Tensor:
    """The first colour that each text names: indices ``(N,)`` into :data:`PETALS`, -1 for none."""
    found = ([PETALS.index(word) for word in words_of(text) if word in PETALS] for text in texts)
    return torch.tensor([colors[0] if colors else NONE for colors in found])


def agreement(images: Tensor, texts: Sequence[str]) -> float:
    """The share of images ``(N, 3, H, W)`` in [-1, 1] in the colour of their texts, of those whose text names one."""
    asked = named_colors(texts)
    found = torch.cat([petal_colors((rounded(some) + 1) / 2) for some in images.split(250)])
    return float((found == asked)[asked != NONE].float().mean())


def petal_metrics(
    samples: Tensor,
    texts: Sequence[str],
    real: tuple[Tensor, Sequence[str]],
    train: tuple[Tensor, Sequence[str]],
    **row: Any,
) -> list[Metric]:
    """How often samples have the colour that their text names, beside real photos and their captions.

    Args:
        samples: ``(N, 3, S, S)`` in [-1, 1].
        texts: theirs.
        real: photos in the same form, and their captions.
        train: training photos and their captions, which tell how often the rule agrees with captions.
        row: other facts of the rows, such as ``split``.
    """
    return [
        Metric(
            "petal-color",
            round(agreement(samples, texts), 4),
            f"the rule agrees with {agreement(*train):.1%} of the captions of the training photos",
            "petal-color",
            n=int((named_colors(texts) != NONE).sum()),
            baselines={"real": round(agreement(*real), 4)},
            **row,
        )
    ]
