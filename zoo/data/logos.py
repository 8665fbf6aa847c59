"""Logos of every colour, composed of drawings in one colour and of logos in many."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.batch import ArrayBatches, Batch, to_float
from zoo.data.colors import COLORS, CONTRAST, background, color_names, inside, main_colors
from zoo.errors import InputError

# One colour of each name, so that there is one where no drawing has it; the other colours are those of the drawings.
BASIC = (
    *((20, 20, 20), (30, 100, 220), (120, 72, 40), (20, 180, 200), (128, 128, 128), (40, 160, 70)),
    *((240, 130, 30), (240, 90, 160), (120, 60, 180), (215, 40, 40), (255, 255, 255), (245, 205, 40)),
)
COMPLETE = 0.4  # largest share of logos as they are among those of a colour
RARE = 200  # logos of a colour for half of that share and more: few would be learnt by heart
PLATES = 0.25  # share of drawings that are white on a plate of the colour
NEAR = 24  # colours of a name that a pixel can go to
WHITE = COLORS.index("white")


class Logos(ArrayBatches):
    """Logos as ``target`` and their main colour as ``label``, each of the twelve as often.

    A drawing is put on white, in a colour of any name: a mixture of two colours that drawings of that name have. Some
    stand in white on a disc or a rounded plate of the colour, and white ones on a ground of any colour. Among them are
    logos in many colours as they are, by their main colour (:func:`zoo.data.colors.main_colors`).

    Every step composes pictures of its own; ``roles`` has ``n`` that stay, for measurements.

    Args:
        logos: in many colours on white, uint8 ``(N, 3, S, S)``.
        drawings: in one colour each on white, in the same form.
        n: how many pictures stay.
        seed: of these.

    Raises:
        InputError: where no drawing shows.
    """

    def __init__(self, logos: Tensor, drawings: Tensor, n: int = 5_000, seed: int = 0) -> None:
        names = main_colors(logos.float() / 255)
        self.logos = [logos[names == i] for i in range(len(COLORS))]
        contrast = 255 - drawings.amin(1)  # of 8 bits
        strongest, where = contrast.flatten(1).max(1)
        clear = strongest >= 2 * CONTRAST * 255
        if not clear.any():
            raise InputError("No drawing differs from white: give drawings in one dark or vivid colour on white.")
        self.shapes = (contrast[clear].float() / strongest[clear, None, None] * 255).round().to(torch.uint8)[:, None]
        colors = drawings.flatten(2)[torch.arange(len(drawings)), :, where][clear]
        palette = torch.cat([torch.tensor(BASIC, dtype=torch.uint8), colors]).float() / 255
        named = color_names(palette)
        self.palettes = [palette[named == i] for i in range(len(COLORS))]
        self.near = torch.stack([_inside(one, i) for i, one in enumerate(self.palettes)])
        self.grounds = palette[(named != WHITE) & (palette.amin(1) < 0.5)]
        rng = torch.Generator().manual_seed(seed)
        made = [self.compose(torch.arange(i, min(i + 500, n)) % len(COLORS), rng) for i in range(0, n, 500)]
        order = torch.randperm(n, generator=rng)
        super().__init__({role: torch.cat([one[role] for one in made])[order] for role in ("target", "label")})

    def batch(self, step: int, size: int, rank: int = 0, world: int = 1) -> Batch:
        rng = torch.Generator().manual_seed(step)
        labels = self.labels(step, size)
        made = self.compose(labels, rng)
        return {"target": to_float(made["target"][rank::world]), "label": labels[rank::world]}

    def labels(self, step: int, size: int) -> Tensor:
        """The colours of a step's batch ``(size,)``, in turn."""
        return (torch.arange(size) + step * size) % len(COLORS)

    def compose(self, labels: Tensor, rng: torch.Generator) -> Batch:
        """Logos of given colours ``(N,)``: ``target``, uint8 ``(N, 3, S, S)``, and ``label``, which is as given."""
        n, size = len(labels), self.shapes.shape[-1]
        shape = self._some(self.shapes, n, rng).float() / 255
        color, white = self._colors(labels, rng)[:, :, None, None], (labels == WHITE)[:, None, None, None]
        ground = torch.where(white, self._some(self.grounds, n, rng)[:, :, None, None], 1.0)
        on_plate = (torch.rand(n, 1, 1, 1, generator=rng) < PLATES) & ~white
        shape = torch.where(on_plate, _smaller(shape), shape)
        x = torch.lerp(ground, color, _plates(n, size, rng) * on_plate)
        x = (torch.lerp(x, torch.where(on_plate, 1.0, color), shape) * 255).round().to(torch.uint8)
        chance = torch.rand(n, generator=rng)
        for i, label in enumerate(labels.tolist()):
            some = self.logos[label]
            if chance[i] < COMPLETE * min(1, len(some) / RARE):
                x[i] = self._some(some, 1, rng)
        return {"target": x, "label": labels}

    def recolored(self, x: Tensor, labels: Tensor, seen: Tensor | None = None) -> Tensor:
        """Pictures ``(N, 3, S, S)`` in [-1, 1] whose pixels have the colour that was asked for ``(N,)``, where they had
        another.

        What differs from the background goes to the nearest colour of the name, and stays where it has that name; edge
        pixels go along. A white logo gets a ground of one colour, up to the border.

        Args:
            x: the pictures.
            labels: the colours that were asked for.
            seen: pictures in the same form; where a pixel of these has another colour, that of ``x`` goes, too.
        """
        x = (x + 1) / 2
        ground = background(x)
        x = torch.lerp(ground.expand_as(x), x, inside(x))
        shown = (x - ground).abs().amax(1, keepdim=True)
        share = shown / F.max_pool2d(shown, 3, stride=1, padding=1).clamp(min=CONTRAST)  # 1 where a pixel is covered

        def covered(image: Tensor) -> Tensor:
            return (ground + (image - ground) / share.clamp(min=0.05)).clamp(0, 1).movedim(1, -1)

        pixels = covered(x)
        wrong = color_names(pixels) != labels[:, None, None]
        if seen is not None:
            wrong |= color_names(covered((seen + 1) / 2)) != labels[:, None, None]
        wrong &= shown[:, 0] >= CONTRAST
        choices = self.near.to(x.device)[labels[:, None, None].expand_as(wrong)[wrong]]  # (W, NEAR, 3)
        nearest = (choices - pixels[wrong][:, None]).square().sum(2).argmin(1)
        pixels[wrong] = choices[torch.arange(len(choices), device=x.device), nearest]
        colored = torch.where(wrong[:, None], ground + share * (pixels.movedim(-1, 1) - ground), x)

        whiteness = ((x.amin(1, keepdim=True) - 0.45) / 0.4).clamp(0, 1) * inside(x)
        dark = whiteness < 0.5
        mean = (x * dark).sum((2, 3), keepdim=True) / dark.sum((2, 3), keepdim=True)
        on_ground = torch.lerp(mean.expand_as(x), torch.ones_like(x), whiteness)
        return torch.where((labels == WHITE)[:, None, None, None], on_ground, colored) * 2 - 1

    def _colors(self, labels: Tensor, rng: torch.Generator) -> Tensor:
        """A colour of each name, ``(N, 3)``, between two of the palette."""
        a, b = (torch.cat([self._some(self.palettes[i], 1, rng) for i in labels.tolist()]) for _ in range(2))
        between = torch.lerp(a, b, torch.rand(len(labels), 1, generator=rng))
        return torch.where((color_names(between) == labels)[:, None], between, a)

    @staticmethod
    def _some(x: Tensor, n: int, rng: torch.Generator) -> Tensor:
        return x[torch.randint(len(x), (n,), generator=rng)]


def _inside(palette: Tensor, label: int) -> Tensor:
    """Some colours of a name ``(NEAR, 3)``, moved a third of the way to the middle of it where they keep the name."""
    some = palette[torch.linspace(0, len(palette) - 1, NEAR).long()]
    moved = torch.lerp(some, palette.mean(0), 1 / 3)
    return torch.where((color_names(moved) == label)[:, None], moved, some)


def _plates(n: int, size: int, rng: torch.Generator) -> Tensor:
    """Masks ``(n, 1, size, size)`` in [0, 1] of discs and rounded squares with a margin, as logos have them."""
    at = (torch.arange(size) + 0.5) / size * 2 - 1
    power = torch.tensor([2.0, 5.0, 12.0])[torch.randint(3, (n,), generator=rng)][:, None, None]
    distance = (at.abs()[:, None] ** power + at.abs()[None, :] ** power) ** (1 / power)
    return ((0.9 - distance) * size / 2 + 0.5).clamp(0, 1)[:, None]


def _smaller(shape: Tensor) -> Tensor:
    """Masks ``(N, 1, S, S)`` with the drawing at 0.6 of its size, in the middle."""
    size = shape.shape[-1]
    inner = round(0.6 * size / 2) * 2
    edge = (size - inner) // 2
    small = F.interpolate(shape, (inner, inner), mode="bilinear", antialias=True, align_corners=False)
    return F.pad(small, (edge, size - inner - edge) * 2)
