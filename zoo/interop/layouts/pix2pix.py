"""Layouts of U-Net files: pix2pix and its kin."""

from __future__ import annotations

import re
from collections.abc import Iterator

from zoo.interop.layouts.base import Config, Shapes, image, norm
from zoo.registry.facts import Format


def pix2pix(shapes: Shapes) -> Config:
    down = [re.fullmatch(r"model\.model\.1\.model((?:\.3\.model)*)\.1\.weight", key) for key in shapes]
    depth = 2 + max(match[1].count("3") for match in down if match)
    width, in_channels = shapes["model.model.0.weight"][:2]
    return {
        "size": 2**depth,
        "in_channels": in_channels,
        "out_channels": shapes["model.model.3.weight"][1],
        "width": width,
        "norm": norm(shapes, "model.model.1.model.2.weight"),
    }


def pix2pix_modules(config: Config) -> Iterator[tuple[str, str]]:
    """Each level is a sequence with the next one in its middle; what is before goes down, what is after goes up."""
    depth = config["size"].bit_length() - 1
    for level in range(depth):
        inside = "model.model" + ".1.model" * (level > 0) + ".3.model" * (level - 1)
        finest, coarsest = level == 0, level == depth - 1
        up = f"up.{depth - 1 - level}"
        yield f"down.{level}.conv", f"{inside}.{0 if finest else 1}"
        yield f"{up}.conv", f"{inside}.{3 if finest or coarsest else 5}"
        if not finest and not coarsest:
            yield f"down.{level}.norm", f"{inside}.2"
        if not finest:
            yield f"{up}.norm", f"{inside}.{4 if coarsest else 6}"


def pix2pix_formats(config: Config) -> tuple[Format | None, Format]:
    return image(config["in_channels"], config["size"]), image(config["out_channels"], config["size"])


def pytorch_gan_unet(shapes: Shapes) -> Config:
    width, in_channels = shapes["down1.model.0.weight"][:2]
    return {"in_channels": in_channels, "out_channels": shapes["final.2.weight"][0], "width": width}


def pytorch_gan_unet_formats(config: Config) -> tuple[Format | None, Format]:
    return image(config["in_channels"], 256), image(config["out_channels"], 256)
