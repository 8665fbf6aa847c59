"""Layouts of SRGAN files."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.interop.layouts.base import Config, Shapes, count, image
from zoo.registry.facts import Format


def enlarging(config: Config) -> tuple[Format | None, Format]:
    return image(config["channels"]), image(config["channels"], scale=config["scale"])


def leftthomas(shapes: Shapes) -> Config:
    doublings = count(shapes, r"block8\.(\d+)\.conv\.weight")
    width, channels, kernel, _ = shapes["block1.0.weight"]
    return {
        "scale": 2**doublings,
        "channels": channels,
        "width": width,
        "blocks": 5,
        "kernel": kernel,
        "bias": True,
        "unit": True,
        "tanh": True,
    }


def leftthomas_modules(config: Config) -> Iterator[tuple[str, str]]:
    yield from (("head.0", "block1.0"), ("head.1", "block1.1"), ("neck.0", "block7.0"), ("neck.1", "block7.1"))
    for i in range(config["blocks"]):
        for ours, theirs in (
            ("conv1", "conv1"),
            ("norm1", "bn1"),
            ("act", "prelu"),
            ("conv2", "conv2"),
            ("norm2", "bn2"),
        ):
            yield f"blocks.{i}.{ours}", f"block{i + 2}.{theirs}"
    doublings = config["scale"].bit_length() - 1
    for i in range(doublings):
        yield f"up.{i}.0", f"block8.{i}.conv"
        yield f"up.{i}.2", f"block8.{i}.prelu"
    yield "tail", f"block8.{doublings}"


def lornatang(shapes: Shapes) -> Config:
    width, channels, kernel, _ = shapes["conv1.0.weight"]
    return {
        "scale": 2 ** count(shapes, r"upsampling\.(\d+)\.upsample_block\.0\.weight"),
        "channels": channels,
        "width": width,
        "blocks": count(shapes, r"trunk\.(\d+)\.rcb\.0\.weight"),
        "kernel": kernel,
        "unit": True,
    }


def lornatang_modules(config: Config) -> Iterator[tuple[str, str]]:
    yield from (("head.0", "conv1.0"), ("head.1", "conv1.1"), ("neck.0", "conv2.0"), ("neck.1", "conv2.1"))
    yield "tail", "conv3"
    for i in range(config["blocks"]):
        for layer, ours in enumerate(("conv1", "norm1", "act", "conv2", "norm2")):
            yield f"blocks.{i}.{ours}", f"trunk.{i}.rcb.{layer}"
    for i in range(config["scale"].bit_length() - 1):
        for layer in (0, 2):
            yield f"up.{i}.{layer}", f"upsampling.{i}.upsample_block.{layer}"


def twtygqyy(shapes: Shapes) -> Config:
    width, channels, kernel, _ = shapes["conv_input.weight"]
    return {
        "scale": 4,
        "channels": channels,
        "width": width,
        "blocks": count(shapes, r"residual\.(\d+)\.conv1\.weight"),
        "norm": "instance",
        "kernel": kernel,
        "slope": 0.2,
        "bias": False,
        "unit": True,
    }


def twtygqyy_modules(config: Config) -> Iterator[tuple[str, str]]:
    yield from (("head.0", "conv_input"), ("neck.0", "conv_mid"), ("neck.1", "bn_mid"), ("tail", "conv_output"))
    yield from (("up.0.0", "upscale4x.0"), ("up.1.0", "upscale4x.3"))
    for i in range(config["blocks"]):
        for ours, theirs in (("conv1", "conv1"), ("norm1", "in1"), ("conv2", "conv2"), ("norm2", "in2")):
            yield f"blocks.{i}.{ours}", f"residual.{i}.{theirs}"


def msrresnet(shapes: Shapes) -> Config:
    width, channels = shapes["conv_first.weight"][:2]
    step = round((shapes["upconv1.weight"][0] / width) ** 0.5)
    blocks = count(shapes, r"body\.(\d+)\.conv1\.weight")
    return {
        "scale": step * (2 if "upconv2.weight" in shapes else 1),
        "width": width,
        "blocks": blocks,
        "channels": channels,
    }
