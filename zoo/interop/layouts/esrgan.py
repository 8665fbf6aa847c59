"""Layouts of ESRGAN and Real-ESRGAN files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from zoo.interop.layouts.base import Config, Shapes, count, image
from zoo.registry.facts import Format


def rrdbnet(first: str, dense: str, last: str) -> Callable[[Shapes], Config]:
    """By the names of the first and the last convolution, and of the first in each block."""

    def config(shapes: Shapes) -> Config:
        width, folded = shapes[f"{first}.weight"][:2]
        channels = shapes[f"{last}.weight"][0]
        return {
            "scale": {1: 4, 4: 2, 16: 1}[folded // channels],
            "width": width,
            "blocks": count(shapes, re.escape(dense).replace(r"\{\}", r"(\d+)") + r"\.weight"),
            "growth": shapes[f"{dense.format(0)}.weight"][0],
            "channels": channels,
        }

    return config


def esrgan_formats(config: Config) -> tuple[Format | None, Format]:
    scale = config["scale"]
    return image(config["channels"], multiple=4 // scale), image(config["channels"], scale=scale)


def _rrdbs(config: Config, name: str) -> Iterator[tuple[str, str]]:
    """Every convolution in the blocks, with their name for it by its numbers."""
    for i in range(config["blocks"]):
        for j in range(1, 4):
            for k in range(1, 6):
                yield f"body.{i}.rdb{j}.conv{k}", name.format(i, j, k)


def rrdbnet_old(config: Config) -> Iterator[tuple[str, str]]:
    yield from (("conv_body", "trunk_conv"), ("conv_up1", "upconv1"), ("conv_up2", "upconv2"), ("conv_hr", "HRconv"))
    yield from _rrdbs(config, "RRDB_trunk.{}.RDB{}.conv{}")


def rrdbnet_first(config: Config) -> Iterator[tuple[str, str]]:
    yield from (("conv_first", "model.0"), ("conv_body", f"model.1.sub.{config['blocks']}"), ("conv_up1", "model.3"))
    yield from (("conv_up2", "model.6"), ("conv_hr", "model.8"), ("conv_last", "model.10"))
    yield from _rrdbs(config, "model.1.sub.{}.RDB{}.conv{}.0")


def srvgg(shapes: Shapes) -> Config:
    convs = count(shapes, r"body\.(\d+)\.bias") - 2
    width, channels = shapes["body.0.weight"][:2]
    scale = round((shapes[f"body.{2 * convs + 2}.weight"][0] / channels) ** 0.5)
    return {"scale": scale, "width": width, "convs": convs, "channels": channels}
