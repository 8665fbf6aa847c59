"""Layouts of DCGAN files."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from zoo.interop.layouts.base import Config, Shapes, count, image
from zoo.registry.facts import Format


def dcgan(sequence: str) -> Callable[[Shapes], Config]:
    def config(shapes: Shapes) -> Config:
        last = 3 * (count(shapes, rf"{sequence}\.(\d+)\.weight") // 2)
        latent = shapes[f"{sequence}.0.weight"][0]
        width, channels = shapes[f"{sequence}.{last}.weight"][:2]
        return {"size": 4 * 2 ** (last // 3), "channels": channels, "width": width, "latent": latent}

    return config


def dcgan_formats(config: Config) -> tuple[Format | None, Format]:
    return None, image(config["channels"], config["size"])


def _layers_of_dcgan(config: Config) -> int:
    """Transposed convolutions after the first."""
    return int((config["size"] - 1).bit_length() - 2)


def dcgan_renamed(sequence: str) -> Callable[[Config], Iterator[tuple[str, str]]]:
    def modules(config: Config) -> Iterator[tuple[str, str]]:
        for i in range(3 * _layers_of_dcgan(config) + 1):
            yield f"main.{i}", f"{sequence}.{i}"

    return modules


def gan_zoo(shapes: Shapes) -> Config:
    width, channels = shapes["main.outlayer.weight"][:2]
    doublings = 1 + count(shapes, r"main\.convTranspose(\d+)\.weight")
    latent = shapes["formatLayer.weight"][0]
    return {"size": 4 * 2**doublings, "channels": channels, "width": width, "latent": latent}


def gan_zoo_modules(config: Config) -> Iterator[tuple[str, str]]:
    last = _layers_of_dcgan(config)
    yield "main.0", "formatLayer"
    for i in range(last):
        yield f"main.{3 * i + 1}", f"main.batchNorm{i}"
    for i in range(1, last):
        yield f"main.{3 * i}", f"main.convTranspose{i}"
    yield f"main.{3 * last}", "main.outlayer"
