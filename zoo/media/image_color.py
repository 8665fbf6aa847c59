"""Colour profiles: from what a file says its numbers mean to sRGB."""

from __future__ import annotations

import io
import struct
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from zoo.arrays import Array


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """An image (L, RGB or CMYK) from the colours of its profile to sRGB; as it is if the profile is broken."""
    transform = _transform(profile, image.mode)
    if not transform:
        return image
    if image.mode != "L":
        return transform.apply(image)
    rgb = transform.apply(image.convert(transform.input_mode))
    return rgb.getchannel("G")


@lru_cache(16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From the colours of a profile to sRGB; None where that changes nothing, or is not possible."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        taken = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}[source.profile.xcolor_space.strip()]
        if taken != mode and (taken, mode) != ("RGB", "L"):
            return None
        transform = ImageCms.ImageCmsTransform(
            source,
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            taken,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        steps = np.arange(0, 256, 17, dtype=np.uint8)
        cube = Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), -1).reshape(16, 256, 3))
        same = taken != "CMYK" and _distance(transform.apply(cube.convert(taken)), cube.convert(taken)) <= 1
        return None if same else transform
    except Exception:  # a profile is optional, and may be broken in any way; so is Pillow's support of them
        return None


def _distance(a: Image.Image, b: Image.Image) -> int:
    return int(np.abs(np.asarray(a.convert("RGB"), np.int16) - np.asarray(b.convert("RGB"), np.int16)).max())


def managed(words: npt.NDArray[np.uint16], info: dict[Any, Any]) -> npt.NDArray[np.uint16]:
    """Words ``(H, W, C)`` in sRGB, with transparency where the file names a colour that is clear."""
    clear = info.get("transparency")
    if isinstance(clear, (int, tuple)) and words.shape[2] == (1 if isinstance(clear, int) else len(clear)):
        seen = (words != np.array(clear)).any(2, keepdims=True)
        words = np.concatenate([words, seen * np.uint16(65535)], 2)
    return _words_to_srgb(words, info.get("icc_profile"))


def _words_to_srgb(words: npt.NDArray[np.uint16], profile: bytes | None) -> npt.NDArray[np.uint16]:
    """Words ``(H, W, C)`` from the colours of their profile to sRGB.

    Pillow converts 8 bits alone. Profiles that are curves and a matrix, as those of cameras and editors are, are
    computed here with all bits; others, which are tables, go through 8.
    """
    grey = words.shape[2] < 3
    if not profile or not _transform(profile, "L" if grey else "RGB"):
        return words
    colour, rest = np.split(words, [1 if grey else 3], 2)
    try:
        converted = _by_matrix(colour, profile)
    except (LookupError, ValueError, ArithmeticError, struct.error):
        eight = (colour // 257).astype(np.uint8)
        image = to_srgb(Image.fromarray(eight[..., 0] if grey else eight), profile)
        converted = np.asarray(image).reshape(colour.shape).astype(np.uint16) * 257
    return np.concatenate([converted, rest], 2)


def _by_matrix(colour: npt.NDArray[np.uint16], profile: bytes) -> npt.NDArray[np.uint16]:
    """Colours ``(H, W, 1 or 3)`` by the curves and the matrix of a profile.

    Raises:
        LookupError, ValueError, ArithmeticError, struct.error: if it has none, or they are broken.
    """
    (count,) = struct.unpack_from(">I", profile, 128)
    table = [struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(min(count, 100))]
    tags = {name: profile[start : start + size] for name, start, size in table}
    if b"A2B0" in tags:
        raise KeyError("A2B0")  # a table, which comes before a matrix
    if colour.shape[2] == 1:
        linear = _curve(tags[b"kTRC" if b"kTRC" in tags else b"gTRC"])[colour]
    else:
        each = [_curve(tags[name])[colour[..., i]] for i, name in enumerate((b"rTRC", b"gTRC", b"bTRC"))]
        to_xyz = np.array([struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]) / 65536
        linear = np.stack(each, -1) @ (to_xyz @ _TO_SRGB).astype(np.float32)
    linear = np.clip(linear, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    words: npt.NDArray[np.uint16] = (encoded * 65535 + 0.5).astype(np.uint16)
    return words


# XYZ under D50, in which profiles say their colours, as rows, to linear sRGB.
_TO_SRGB = np.array(
    [
        [3.1338561, -0.9787684, 0.0719453],
        [-1.6168667, 1.9161415, -0.2289914],
        [-0.4906146, 0.0334540, 1.4052427],
    ]
)


def _curve(tag: bytes) -> Array:
    """The light of each of 65,536 levels, from 0 to 1, by a tag of a profile: a gamma, a table or a formula."""
    x = np.linspace(0, 1, 65536)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        points = np.frombuffer(tag, ">u2", count, 12)
        y = x if not count else x ** (points[0] / 256) if count == 1 else _between(x, points)
    elif tag[:4] == b"para":
        (kind,) = struct.unpack_from(">H", tag, 8)
        g, *more = (float(value) / 65536 for value in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12))
        a, b, c, d, e, f = (more + [1.0, 0.0, 0.0, 0.0, 0.0, 0.0][len(more) :])[:6]
        if kind in (1, 2):  # a line below -b / a
            d, e, f, c = -b / a, c, c, 0.0
        with np.errstate(all="ignore"):  # what comes of nonsense is looked at below
            y = np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)
    else:
        raise ValueError("no curve")
    if not np.isfinite(y).all():
        raise ValueError("no curve")
    return y.astype(np.float32)


def _between(x: npt.NDArray[np.float64], points: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.interp(x, np.linspace(0, 1, len(points)), points / 65535)
