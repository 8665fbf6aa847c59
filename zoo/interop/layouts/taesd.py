"""Layouts of TAESD files."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from zoo.interop.layouts.base import Config, Shapes, image
from zoo.registry.facts import Format


def taesd(encoder_last: str, encoder_block: str, decoder_first: str, decoder_block: str) -> Callable[[Shapes], Config]:
    """By the names of the layers that show the latents, in either half, and of a block that pools if any does."""

    def config(shapes: Shapes) -> Config:
        decoder, encoder = shapes.get(f"{decoder_first}.weight"), shapes.get(f"{encoder_last}.weight")
        latents = decoder[1] if decoder else encoder[0] if encoder else shapes[f"{decoder_first}.weight"][1]
        pools = any(f"{block}.pool.0.weight" in shapes for block in (encoder_block, decoder_block))
        return {"latent_channels": latents} | ({"pool": True} if pools else {})

    return config


def taesd_formats(config: Config) -> tuple[Format | None, Format]:
    return image(3, multiple=8), image(3)


def taesd_modules(config: Config) -> Iterator[tuple[str, str]]:
    """Two plain sequences; the decoder's begins with a clamp, which has no weights."""
    for i in range(15):
        yield from _taesd_layer("encoder", i, i)
    for i in range(19):
        yield from _taesd_layer("decoder", i, i + 1)


def _taesd_layer(half: str, ours: int, theirs: int) -> Iterator[tuple[str, str]]:
    yield f"{half}.layers.{ours}", f"{half}.{theirs}"
    for conv in (0, 2, 4):
        yield f"{half}.layers.{ours}.conv.{conv}", f"{half}.{theirs}.conv.{conv}"
    for layer in (0, 1, 3):
        yield f"{half}.layers.{ours}.pool.{layer}", f"{half}.{theirs}.pool.{layer}"
