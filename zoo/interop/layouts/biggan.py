"""Layout of files of BigGAN-deep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zoo.interop.layouts.base import Config, Shapes, count, image
from zoo.registry.facts import Format

_ATTENTION = {"query": "snconv1x1_theta", "key": "snconv1x1_phi", "value": "snconv1x1_g", "out": "snconv1x1_o_conv"}


def biggan_deep(shapes: Shapes) -> Config:
    blocks = count(shapes, r"generator\.layers\.(\d+)\.conv_0\.weight")
    at = next((i for i in range(blocks) if f"generator.layers.{i}.gamma" in shapes), None)
    if blocks % 2 or (at or 0) % 2:
        raise ValueError("there are two blocks for each size of the maps")
    places = list(_places(blocks // 2, at))
    embedding, classes = shapes["embeddings.weight"]
    widths = [shapes[f"generator.layers.{place}.conv_0.weight"][1] for place in places[::2]]
    return {
        "classes": classes,
        "latent": shapes["generator.gen_z.weight"][1] - embedding,
        "embedding": embedding,
        "widths": [*widths, shapes["generator.bn.weight"][0]],
        "attention": 0 if at is None else 4 << at // 2,
        "sets": shapes["generator.bn.running_means"][0],
    }


def _places(levels: int, at: int | None) -> Iterator[int]:
    """Which of the layers the blocks are, if the one of a number is the attention."""
    for i in range(2 * levels):
        yield i + (at is not None and i >= at)


def biggan_deep_formats(config: Config) -> tuple[Format | None, Format]:
    return None, image(3, 4 << (len(config["widths"]) - 1))


def biggan_deep_modules(config: Config) -> Iterator[tuple[str, str]]:
    yield "embedding", "embeddings"
    yield "first", "generator.gen_z"
    levels = len(config["widths"]) - 1
    at = next((2 * i for i in range(levels) if 4 << i == config["attention"]), None)
    if at is not None:
        for ours, theirs in _ATTENTION.items():
            yield f"attention.{at // 2}.{ours}", f"generator.layers.{at}.{theirs}"
        yield f"attention.{at // 2}.gain", f"generator.layers.{at}.gamma"
    for i, place in enumerate(_places(levels, at)):
        ours, theirs = f"levels.{i // 2}.{i % 2}", f"generator.layers.{place}"
        for k in range(4):
            yield f"{ours}.convs.{k}", f"{theirs}.conv_{k}"
            yield f"{ours}.norms.{k}.gain", f"{theirs}.bn_{k}.scale"
            yield f"{ours}.norms.{k}.bias", f"{theirs}.bn_{k}.offset"
            yield from _statistics(f"{ours}.norms.{k}.norm", f"{theirs}.bn_{k}")
    yield from _statistics("last_norm", "generator.bn")
    yield "last_gain", "generator.bn.weight"
    yield "last_bias", "generator.bn.bias"
    yield "last", "generator.conv_to_rgb"


def _statistics(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    yield ours, theirs
    for name in ("running_mean", "running_var"):
        yield f"{ours}.{name}", f"{theirs}.{name}s"


def imagenet_classes(config: Config) -> Mapping[str, tuple[str | int, ...]]:
    """What the classes are called: as timm knows them, with the number behind a name that two have; or by number."""
    if config["classes"] != 1000:
        return {"kind": tuple(range(config["classes"]))}
    from timm.data.imagenet_info import ImageNetInfo  # a second, which only such files pay

    info = ImageNetInfo()
    names = [info.index_to_description(i).split(",")[0] for i in range(1000)]
    return {"kind": tuple(f"{name} {i}" if names.count(name) > 1 else name for i, name in enumerate(names))}
