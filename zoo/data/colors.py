"""Names of colours, and the main colour of a picture: one of the twelve of LoGAN (Mino and Spanakis 2018)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

COLORS = ("black", "blue", "brown", "cyan", "gray", "green", "orange", "pink", "purple", "red", "white", "yellow")
NONE = -1  # the main colour of a picture of one shade, which shows nothing
# Where hues begin, in degrees of HSL; red is on both sides of zero.
HUES = (
    *((0, "red"), (14, "orange"), (42, "yellow"), (66, "green"), (165, "cyan"), (198, "blue"), (252, "purple")),
    *((293, "pink"), (346, "red")),
)
BLACK, DARK_GRAY, LIGHT_GRAY = 14.0, 22.0, 92.4  # lightness L* from 0 to 100
COLORLESS = 10.9  # chroma C* below which a colour is black, gray or white
BRIGHTEST_BROWN, DARKEST_PINK, PALE_RED = 0.64, 44.9, 0.73  # value of HSV, L*, lightness of HSL
BORDER = 3  # pixels: margins of logos are as wide
CONTRAST = 0.1  # of the range: what differs from the background by less does not show
COVERED = 0.9  # an edge pixel has less of the contrast around it than this
LEAST = 0.2  # share from which any other colour goes before white


def color_names(rgb: Tensor) -> Tensor:
    """The name of every colour ``(..., 3)`` in [0, 1], as indices ``(...)`` into :data:`COLORS`.

    Colours are named by hue; what has little chroma C* or lightness L* (CIELAB of sRGB, D65) is black, gray or white.
    Dark orange is brown, dark pink purple, pale red pink.
    """
    lightness, chroma = _lightness_and_chroma(rgb)
    high, low = rgb.amax(-1), rgb.amin(-1)
    starts = torch.tensor([start for start, _ in HUES[1:]], device=rgb.device)
    names = torch.tensor([COLORS.index(name) for _, name in HUES], device=rgb.device)
    found = names[torch.bucketize(hues(rgb), starts, right=True)]
    colorless = chroma < COLORLESS
    for old, where, new in (
        ("orange", high < BRIGHTEST_BROWN, "brown"),
        ("pink", lightness < DARKEST_PINK, "purple"),
        ("red", (high + low) / 2 > PALE_RED, "pink"),
        ("", colorless, "gray"),
        ("", colorless & (lightness > LIGHT_GRAY), "white"),
        ("", (lightness < BLACK) | colorless & (lightness < DARK_GRAY), "black"),
    ):
        changed = where & (found == COLORS.index(old)) if old else where
        found = torch.where(changed, COLORS.index(new), found)
    return found


def hues(rgb: Tensor) -> Tensor:
    """The hue of every colour ``(..., 3)``, in degrees from 0 to 360; 0 for greys."""
    red, green, blue = rgb.unbind(-1)
    high, low = rgb.amax(-1), rgb.amin(-1)
    span = (high - low).clamp(min=1e-6)
    hue = torch.where(high == green, (blue - red) / span + 2, (red - green) / span + 4)
    return 60 * torch.where(high == red, (green - blue) / span % 6, hue)


def main_colors(images: Tensor) -> Tensor:
    """The colour that most of each picture ``(N, 3, H, W)`` in [0, 1] has, beside its background.

    The background is the median of the border, three pixels wide, which has no vote. Neither have edge pixels, where a
    shape covers a pixel in part. White wins only where no other colour has a fifth of the votes.

    Labels of the logos by coverage, hue, saturation and lightness, which this rule was fitted to, agree with it on
    99.9 % of 3,232 colours of brands, and on 93 % of 1,259 pictures in many colours, whose coverage it does not know.

    Returns:
        Indices ``(N,)`` into :data:`COLORS`; -1 where nothing differs from the background.

    Raises:
        ValueError: for pictures of 6 px or less on a side, which are all border.
    """
    if min(images.shape[2:]) <= 2 * BORDER:
        raise ValueError(f"images must be larger than {2 * BORDER} px, not {images.shape[3]}x{images.shape[2]}.")
    return torch.cat([_main_colors(some) for some in images.split(250)])


def background(images: Tensor) -> Tensor:
    """The median of the border of each picture ``(N, 3, H, W)``, as ``(N, 3, 1, 1)``."""
    border = inside(images)[0, 0] == 0
    return images[:, :, border].median(2).values[:, :, None, None]


def inside(images: Tensor) -> Tensor:
    """1 where pictures ``(N, 3, H, W)`` are no border, else 0: ``(1, 1, H, W)``."""
    return F.pad(torch.ones_like(images[:1, :1, BORDER:-BORDER, BORDER:-BORDER]), (BORDER,) * 4)


def _main_colors(images: Tensor) -> Tensor:
    contrast = (images - background(images)).abs().amax(1) * inside(images)[:, 0]
    around = F.max_pool2d(contrast, 3, stride=1, padding=1)
    shown = (contrast >= CONTRAST) & (contrast >= COVERED * around)
    names = color_names(images.movedim(1, -1))
    votes = torch.stack([((names == i) & shown).flatten(1).sum(1) for i in range(len(COLORS))], 1)
    total = votes.sum(1)
    others = votes.clone()
    others[:, COLORS.index("white")] = 0
    most = torch.where(others.amax(1) >= LEAST * total, others.argmax(1), COLORS.index("white"))
    return torch.where(total > 0, most, NONE)


def _lightness_and_chroma(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """L* from 0 to 100 and C* of sRGB colours ``(..., 3)`` in [0, 1]."""
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = torch.tensor(  # of sRGB's primaries, divided by white
        [[0.43395, 0.37621, 0.18983], [0.21267, 0.71515, 0.07218], [0.01776, 0.10947, 0.87276]], device=rgb.device
    )
    xyz = linear @ to_xyz.T
    x, y, z = torch.where(xyz > 0.008856, xyz.clamp(min=1e-6) ** (1 / 3), 7.787 * xyz + 16 / 116).unbind(-1)
    return 116 * y - 16, torch.hypot(500 * (x - y), 200 * (y - z))
