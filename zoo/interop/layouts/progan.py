"""The layout of files of progressive GANs."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.interop.layouts.base import Config, Shapes, count, image
from zoo.registry.facts import Format


def progan(shapes: Shapes) -> Config:
    levels = count(shapes, r"toRGBLayers\.(\d+)\.module\.weight")
    colours = [shapes[f"toRGBLayers.{i}.module.weight"] for i in range(levels)]
    latent = shapes["formatLayer.module.weight"][1]
    return {"channels": colours[0][0], "latent": latent, "widths": [shape[1] for shape in colours]}


def progan_formats(config: Config) -> tuple[Format | None, Format]:
    return None, image(config["channels"], 4 << (len(config["widths"]) - 1))


def progan_modules(config: Config) -> Iterator[tuple[str, str]]:
    yield "first", "formatLayer.module"
    yield "levels.0.0", "groupScale0.0.module"
    for i in range(len(config["widths"])):
        yield f"to_rgb.{i}", f"toRGBLayers.{i}.module"
        for j in range(2 if i else 0):
            yield f"levels.{i}.{j}", f"scaleLayers.{i - 1}.{j}.module"
