"""Layouts of CycleGAN files."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from zoo.interop.layouts.base import Config, Shapes, count, image, norm
from zoo.registry.facts import Format


def cyclegan(block: str) -> Callable[[Shapes], Config]:
    def config(shapes: Shapes) -> Config:
        blocks = count(shapes, rf"model\.(\d+)\.{block}\.1\.weight")
        resize = block == "block"
        width, channels = shapes["model.1.weight"][:2]
        return {
            "channels": channels,
            "width": width,
            "blocks": blocks,
            "out_channels": shapes[f"model.{blocks + (19 if resize else 17)}.weight"][0],
            "norm": norm(shapes, "model.2.weight"),
            "resize": resize,
        }

    return config


def cyclegan_formats(config: Config) -> tuple[Format | None, Format]:
    return image(config["channels"], multiple=8), image(config["out_channels"])


def dropped(config: Config) -> Iterator[tuple[str, str]]:
    """Dropout stands between the two convolutions of a block, and shifts what follows it."""
    for i in range(10, 10 + config["blocks"]):
        yield f"model.{i}.conv_block.5", f"model.{i}.conv_block.6"
        yield f"model.{i}.conv_block.6", f"model.{i}.conv_block.7"


def dropout_cyclegan(shapes: Shapes) -> Config:
    shapes["model.10.conv_block.6.weight"]  # or it is the layout without dropout
    return cyclegan("conv_block")(shapes)


def huggan_cyclegan(config: Config) -> Iterator[tuple[str, str]]:
    for i in range(10, 10 + config["blocks"]):
        for layer in (1, 5):
            yield f"model.{i}.conv_block.{layer}", f"model.{i}.block.{layer}"
