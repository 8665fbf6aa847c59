"""Layouts of files of progressive GANs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from zoo.interop.layouts.base import Config, Shapes, count, image
from zoo.registry.facts import Format


def progan(inside: str) -> Callable[[Shapes], Config]:
    """By what stands between the name of a layer and those of its tensors: nothing, or ``.module``."""

    def config(shapes: Shapes) -> Config:
        levels = count(shapes, rf"toRGBLayers\.(\d+){inside}\.weight")
        colours = [shapes[f"toRGBLayers.{i}{inside}.weight"] for i in range(levels)]
        latent = shapes[f"formatLayer{inside}.weight"][1]
        return {"channels": colours[0][0], "latent": latent, "widths": [shape[1] for shape in colours]}

    return config


def progan_formats(config: Config) -> tuple[Format | None, Format]:
    return None, image(config["channels"], 4 << (len(config["widths"]) - 1))


def progan_modules(inside: str) -> Callable[[Config], Iterator[tuple[str, str]]]:
    def modules(config: Config) -> Iterator[tuple[str, str]]:
        yield "first", f"formatLayer{inside}"
        yield "levels.0.0", f"groupScale0.0{inside}"
        for i in range(len(config["widths"])):
            yield f"to_rgb.{i}", f"toRGBLayers.{i}{inside}"
            for j in range(2 if i else 0):
                yield f"levels.{i}.{j}", f"scaleLayers.{i - 1}.{j}{inside}"

    return modules
