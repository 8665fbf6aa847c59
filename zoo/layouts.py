"""How the files of other people's code are laid out: what each is recognised by, and which of our networks it fills.

A layout says what a network's configuration is, read from the names and shapes of its tensors, and which modules have
another name there; parameters inside a module are named alike everywhere. Files are read and written by it in
:mod:`zoo.importing`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zoo.entry import Format
from zoo.errors import InputError, near

Shapes = Mapping[str, tuple[int, ...]]
Config = dict[str, Any]


def _same(config: Config) -> Iterator[tuple[str, str]]:
    """No module has another name."""
    return iter(())


@dataclass(frozen=True)
class Layout:
    """One way in which a network is written to a file.

    Attributes:
        name: for ``--layout``.
        model: the registered model that its weights go into.
        code: whose code writes such files.
        files: what these are usually called; several names where a network is in several files.
        mark: a tensor that every such file has, and by which a person knows it.
        config: the builder's keywords, from the names and shapes of the tensors; raises KeyError, ValueError or
            IndexError for what is another layout.
        formats: what goes in and what comes out, by that configuration; no input for a generator.
        modules: pairs of our name and theirs, for modules that are called differently.
        parts: the files that make up one network, each with the prefix that its tensors get; one without by default.
        unseen: keywords that no tensor shows.
    """

    name: str
    model: str
    code: str
    files: str
    mark: str
    config: Callable[[Shapes], Config]
    formats: Callable[[Config], tuple[Format | None, Format]]
    modules: Callable[[Config], Iterator[tuple[str, str]]] = _same
    parts: tuple[str, ...] = ("",)
    unseen: tuple[str, ...] = ()


def _count(shapes: Shapes, pattern: str) -> int:
    """How many different numbers stand in the names that match; the pattern has one group."""
    found = {match[1] for key in shapes if (match := re.fullmatch(pattern, key))}
    return len(found)


def _norm(shapes: Shapes, key: str) -> str:
    """Batch norm has weights in these networks, instance norm has none."""
    return "batch" if key in shapes else "instance"


def _image(channels: int, side: int | None = None, multiple: int = 1, scale: int = 1) -> Format:
    return Format(channels=channels, size=(side, side) if side else None, multiple=multiple, scale=scale)


# DCGAN


def _dcgan(sequence: str) -> Callable[[Shapes], Config]:
    def config(shapes: Shapes) -> Config:
        last = 3 * (_count(shapes, rf"{sequence}\.(\d+)\.weight") // 2)
        latent = shapes[f"{sequence}.0.weight"][0]
        width, channels = shapes[f"{sequence}.{last}.weight"][:2]
        return {"size": 4 * 2 ** (last // 3), "channels": channels, "width": width, "latent": latent}

    return config


def _dcgan_formats(config: Config) -> tuple[Format | None, Format]:
    return None, _image(config["channels"], config["size"])


def _layers_of_dcgan(config: Config) -> int:
    """Transposed convolutions after the first."""
    return int((config["size"] - 1).bit_length() - 2)


def _dcgan_renamed(sequence: str) -> Callable[[Config], Iterator[tuple[str, str]]]:
    def modules(config: Config) -> Iterator[tuple[str, str]]:
        for i in range(3 * _layers_of_dcgan(config) + 1):
            yield f"main.{i}", f"{sequence}.{i}"

    return modules


def _gan_zoo(shapes: Shapes) -> Config:
    width, channels = shapes["main.outlayer.weight"][:2]
    doublings = 1 + _count(shapes, r"main\.convTranspose(\d+)\.weight")
    latent = shapes["formatLayer.weight"][0]
    return {"size": 4 * 2**doublings, "channels": channels, "width": width, "latent": latent}


def _gan_zoo_modules(config: Config) -> Iterator[tuple[str, str]]:
    last = _layers_of_dcgan(config)
    yield "main.0", "formatLayer"
    for i in range(last):
        yield f"main.{3 * i + 1}", f"main.batchNorm{i}"
    for i in range(1, last):
        yield f"main.{3 * i}", f"main.convTranspose{i}"
    yield f"main.{3 * last}", "main.outlayer"


# pix2pix


def _pix2pix(shapes: Shapes) -> Config:
    down = [re.fullmatch(r"model\.model\.1\.model((?:\.3\.model)*)\.1\.weight", key) for key in shapes]
    depth = 2 + max(match[1].count("3") for match in down if match)
    width, in_channels = shapes["model.model.0.weight"][:2]
    return {
        "size": 2**depth,
        "in_channels": in_channels,
        "out_channels": shapes["model.model.3.weight"][1],
        "width": width,
        "norm": _norm(shapes, "model.model.1.model.2.weight"),
    }


def _pix2pix_modules(config: Config) -> Iterator[tuple[str, str]]:
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


def _pix2pix_formats(config: Config) -> tuple[Format | None, Format]:
    return _image(config["in_channels"], config["size"]), _image(config["out_channels"], config["size"])


def _pytorch_gan_unet(shapes: Shapes) -> Config:
    width, in_channels = shapes["down1.model.0.weight"][:2]
    return {"in_channels": in_channels, "out_channels": shapes["final.2.weight"][0], "width": width}


def _pytorch_gan_unet_formats(config: Config) -> tuple[Format | None, Format]:
    return _image(config["in_channels"], 256), _image(config["out_channels"], 256)


# CycleGAN


def _cyclegan(block: str) -> Callable[[Shapes], Config]:
    def config(shapes: Shapes) -> Config:
        blocks = _count(shapes, rf"model\.(\d+)\.{block}\.1\.weight")
        resize = block == "block"
        width, channels = shapes["model.1.weight"][:2]
        return {
            "channels": channels,
            "width": width,
            "blocks": blocks,
            "out_channels": shapes[f"model.{blocks + (19 if resize else 17)}.weight"][0],
            "norm": _norm(shapes, "model.2.weight"),
            "resize": resize,
        }

    return config


def _cyclegan_formats(config: Config) -> tuple[Format | None, Format]:
    return _image(config["channels"], multiple=8), _image(config["out_channels"])


def _dropped(config: Config) -> Iterator[tuple[str, str]]:
    """Dropout stands between the two convolutions of a block, and shifts what follows it."""
    for i in range(10, 10 + config["blocks"]):
        yield f"model.{i}.conv_block.5", f"model.{i}.conv_block.6"
        yield f"model.{i}.conv_block.6", f"model.{i}.conv_block.7"


def _dropout_cyclegan(shapes: Shapes) -> Config:
    shapes["model.10.conv_block.6.weight"]  # or it is the layout without dropout
    return _cyclegan("conv_block")(shapes)


def _huggan_cyclegan(config: Config) -> Iterator[tuple[str, str]]:
    for i in range(10, 10 + config["blocks"]):
        for layer in (1, 5):
            yield f"model.{i}.conv_block.{layer}", f"model.{i}.block.{layer}"


# SRGAN and its kin


def _enlarging(config: Config) -> tuple[Format | None, Format]:
    return _image(config["channels"]), _image(config["channels"], scale=config["scale"])


def _leftthomas(shapes: Shapes) -> Config:
    doublings = _count(shapes, r"block8\.(\d+)\.conv\.weight")
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


def _leftthomas_modules(config: Config) -> Iterator[tuple[str, str]]:
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


def _lornatang(shapes: Shapes) -> Config:
    width, channels, kernel, _ = shapes["conv1.0.weight"]
    return {
        "scale": 2 ** _count(shapes, r"upsampling\.(\d+)\.upsample_block\.0\.weight"),
        "channels": channels,
        "width": width,
        "blocks": _count(shapes, r"trunk\.(\d+)\.rcb\.0\.weight"),
        "kernel": kernel,
        "unit": True,
    }


def _lornatang_modules(config: Config) -> Iterator[tuple[str, str]]:
    yield from (("head.0", "conv1.0"), ("head.1", "conv1.1"), ("neck.0", "conv2.0"), ("neck.1", "conv2.1"))
    yield "tail", "conv3"
    for i in range(config["blocks"]):
        for layer, ours in enumerate(("conv1", "norm1", "act", "conv2", "norm2")):
            yield f"blocks.{i}.{ours}", f"trunk.{i}.rcb.{layer}"
    for i in range(config["scale"].bit_length() - 1):
        for layer in (0, 2):
            yield f"up.{i}.{layer}", f"upsampling.{i}.upsample_block.{layer}"


def _twtygqyy(shapes: Shapes) -> Config:
    width, channels, kernel, _ = shapes["conv_input.weight"]
    return {
        "scale": 4,
        "channels": channels,
        "width": width,
        "blocks": _count(shapes, r"residual\.(\d+)\.conv1\.weight"),
        "norm": "instance",
        "kernel": kernel,
        "slope": 0.2,
        "bias": False,
        "unit": True,
    }


def _twtygqyy_modules(config: Config) -> Iterator[tuple[str, str]]:
    yield from (("head.0", "conv_input"), ("neck.0", "conv_mid"), ("neck.1", "bn_mid"), ("tail", "conv_output"))
    yield from (("up.0.0", "upscale4x.0"), ("up.1.0", "upscale4x.3"))
    for i in range(config["blocks"]):
        for ours, theirs in (("conv1", "conv1"), ("norm1", "in1"), ("conv2", "conv2"), ("norm2", "in2")):
            yield f"blocks.{i}.{ours}", f"residual.{i}.{theirs}"


def _msrresnet(shapes: Shapes) -> Config:
    width, channels = shapes["conv_first.weight"][:2]
    step = round((shapes["upconv1.weight"][0] / width) ** 0.5)
    blocks = _count(shapes, r"body\.(\d+)\.conv1\.weight")
    return {
        "scale": step * (2 if "upconv2.weight" in shapes else 1),
        "width": width,
        "blocks": blocks,
        "channels": channels,
    }


# ESRGAN and its kin


def _rrdbnet(first: str, dense: str, last: str) -> Callable[[Shapes], Config]:
    """By the names of the first and the last convolution, and of the first in each block."""

    def config(shapes: Shapes) -> Config:
        width, folded = shapes[f"{first}.weight"][:2]
        channels = shapes[f"{last}.weight"][0]
        return {
            "scale": {1: 4, 4: 2, 16: 1}[folded // channels],
            "width": width,
            "blocks": _count(shapes, re.escape(dense).replace(r"\{\}", r"(\d+)") + r"\.weight"),
            "growth": shapes[f"{dense.format(0)}.weight"][0],
            "channels": channels,
        }

    return config


def _esrgan_formats(config: Config) -> tuple[Format | None, Format]:
    scale = config["scale"]
    return _image(config["channels"], multiple=4 // scale), _image(config["channels"], scale=scale)


def _rrdbs(config: Config, name: str) -> Iterator[tuple[str, str]]:
    """Every convolution in the blocks, with their name for it by its numbers."""
    for i in range(config["blocks"]):
        for j in range(1, 4):
            for k in range(1, 6):
                yield f"body.{i}.rdb{j}.conv{k}", name.format(i, j, k)


def _rrdbnet_old(config: Config) -> Iterator[tuple[str, str]]:
    yield from (("conv_body", "trunk_conv"), ("conv_up1", "upconv1"), ("conv_up2", "upconv2"), ("conv_hr", "HRconv"))
    yield from _rrdbs(config, "RRDB_trunk.{}.RDB{}.conv{}")


def _rrdbnet_first(config: Config) -> Iterator[tuple[str, str]]:
    yield from (("conv_first", "model.0"), ("conv_body", f"model.1.sub.{config['blocks']}"), ("conv_up1", "model.3"))
    yield from (("conv_up2", "model.6"), ("conv_hr", "model.8"), ("conv_last", "model.10"))
    yield from _rrdbs(config, "model.1.sub.{}.RDB{}.conv{}.0")


def _srvgg(shapes: Shapes) -> Config:
    convs = _count(shapes, r"body\.(\d+)\.bias") - 2
    width, channels = shapes["body.0.weight"][:2]
    scale = round((shapes[f"body.{2 * convs + 2}.weight"][0] / channels) ** 0.5)
    return {"scale": scale, "width": width, "convs": convs, "channels": channels}


# TAESD


def _taesd(encoder_last: str, encoder_block: str, decoder_first: str, decoder_block: str) -> Callable[[Shapes], Config]:
    """By the names of the layers that show the latents, in either half, and of a block that pools if any does."""

    def config(shapes: Shapes) -> Config:
        decoder, encoder = shapes.get(f"{decoder_first}.weight"), shapes.get(f"{encoder_last}.weight")
        latents = decoder[1] if decoder else encoder[0] if encoder else shapes[f"{decoder_first}.weight"][1]
        pools = any(f"{block}.pool.0.weight" in shapes for block in (encoder_block, decoder_block))
        return {"latent_channels": latents} | ({"pool": True} if pools else {})

    return config


def _taesd_formats(config: Config) -> tuple[Format | None, Format]:
    return _image(3, multiple=8), _image(3)


def _taesd_modules(config: Config) -> Iterator[tuple[str, str]]:
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


_JUNYANZ = "https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix"
_BASICSR = "https://github.com/XPixelGroup/BasicSR"
_HUGGAN = "https://github.com/huggingface/community-events"
_ESRGAN = "https://github.com/xinntao/ESRGAN"
LAYOUTS = (
    Layout(
        "dcgan",
        "dcgan",
        "https://github.com/pytorch/examples/tree/main/dcgan",
        "netG_epoch_24.pth",
        "main.0.weight",
        _dcgan("main"),
        _dcgan_formats,
        unseen=("size",),  # a network for 28 pixels is one for 32 whose centre is cut out
    ),
    Layout(
        "dcgan-huggan",
        "dcgan",
        _HUGGAN,
        "pytorch_model.bin",
        "model.0.weight",
        _dcgan("model"),
        _dcgan_formats,
        _dcgan_renamed("model"),
        unseen=("size",),
    ),
    Layout(
        "dcgan-gan-zoo",
        "dcgan",
        "https://github.com/facebookresearch/pytorch_GAN_zoo",
        "DCGAN_fashionGen.pth",
        "formatLayer.weight",
        _gan_zoo,
        _dcgan_formats,
        _gan_zoo_modules,
        unseen=("size",),
    ),
    Layout(
        "pix2pix",
        "pix2pix",
        _JUNYANZ,
        "latest_net_G.pth",
        "model.model.0.weight",
        _pix2pix,
        _pix2pix_formats,
        _pix2pix_modules,
        unseen=("dropout",),
    ),
    Layout(
        "pytorch-gan-unet",
        "pytorch-gan-unet",
        "https://github.com/eriklindernoren/PyTorch-GAN",
        "pytorch_model.bin",
        "down1.model.0.weight",
        _pytorch_gan_unet,
        _pytorch_gan_unet_formats,
    ),
    Layout(
        "cyclegan",
        "cyclegan",
        _JUNYANZ,
        "latest_net_G.pth",
        "model.10.conv_block.5.weight",
        _cyclegan("conv_block"),
        _cyclegan_formats,
    ),
    Layout(
        "cyclegan-dropout",
        "cyclegan",
        _JUNYANZ,
        "latest_net_G_A.pth",
        "model.10.conv_block.6.weight",
        _dropout_cyclegan,
        _cyclegan_formats,
        _dropped,
    ),
    Layout(
        "cyclegan-huggan",
        "cyclegan",
        _HUGGAN,
        "pytorch_model.bin",
        "model.10.block.1.weight",
        _cyclegan("block"),
        _cyclegan_formats,
        _huggan_cyclegan,
    ),
    Layout(
        "srgan-leftthomas",
        "srgan",
        "https://github.com/leftthomas/SRGAN",
        "netG_epoch_4_100.pth",
        "block1.0.weight",
        _leftthomas,
        _enlarging,
        _leftthomas_modules,
    ),
    Layout(
        "srgan-lornatang",
        "srgan",
        "https://github.com/Lornatang/SRGAN-PyTorch",
        "SRGAN_x4.pth.tar",
        "trunk.0.rcb.0.weight",
        _lornatang,
        _enlarging,
        _lornatang_modules,
    ),
    Layout(
        "srgan-twtygqyy",
        "srgan",
        "https://github.com/twtygqyy/pytorch-SRResNet",
        "srresnet.pth",
        "residual.0.conv1.weight",
        _twtygqyy,
        _enlarging,
        _twtygqyy_modules,
    ),
    Layout("msrresnet", "msrresnet", _BASICSR, "MSRResNet_x4.pth", "body.0.conv1.weight", _msrresnet, _enlarging),
    Layout(
        "esrgan",
        "esrgan",
        _BASICSR,
        "RealESRGAN_x4plus.pth",
        "body.0.rdb1.conv1.weight",
        _rrdbnet("conv_first", "body.{}.rdb1.conv1", "conv_last"),
        _esrgan_formats,
    ),
    Layout(
        "esrgan-old",
        "esrgan",
        _ESRGAN,
        "RRDB_ESRGAN_x4.pth",
        "RRDB_trunk.0.RDB1.conv1.weight",
        _rrdbnet("conv_first", "RRDB_trunk.{}.RDB1.conv1", "conv_last"),
        _esrgan_formats,
        _rrdbnet_old,
    ),
    Layout(
        "esrgan-first",
        "esrgan",
        _ESRGAN,
        "RRDB_ESRGAN_x4_old_arch.pth",
        "model.1.sub.0.RDB1.conv1.0.weight",
        _rrdbnet("model.0", "model.1.sub.{}.RDB1.conv1.0", "model.10"),
        _esrgan_formats,
        _rrdbnet_first,
    ),
    Layout(
        "srvgg",
        "srvgg",
        "https://github.com/xinntao/Real-ESRGAN",
        "realesr-animevideov3.pth",
        "body.1.weight",
        _srvgg,
        _enlarging,
    ),
    Layout(
        "taesd",
        "taesd",
        "https://github.com/madebyollin/taesd",
        "taesd_encoder.pth taesd_decoder.pth",
        "encoder.1.conv.0.weight",
        _taesd("encoder.14", "encoder.11", "decoder.1", "decoder.3"),
        _taesd_formats,
        _taesd_modules,
        parts=("encoder.", "decoder."),
    ),
    Layout(
        "taesd-diffusers",
        "taesd",
        "https://github.com/huggingface/diffusers",
        "diffusion_pytorch_model.safetensors",
        "encoder.layers.0.weight",
        _taesd("encoder.layers.14", "encoder.layers.11", "decoder.layers.0", "decoder.layers.2"),
        _taesd_formats,
    ),
)


def layout_of(name: str) -> Layout:
    """A layout by its name.

    Raises:
        InputError: if there is none of this name; it names the nearest.
    """
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    names = [layout.name for layout in LAYOUTS]
    raise InputError(f"There is no layout {name!r}{near(name, names) or ': there are ' + ', '.join(names) + '.'}")
