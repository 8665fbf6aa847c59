"""How the files of other people's code are laid out: what each is recognised by, and which of our networks it fills.

A layout says what a network's configuration is, read from the names and shapes of its tensors, and which modules have
another name there; parameters inside a module are named alike nearly everywhere. Files are read and written by it in
:mod:`zoo.interop.convert`.
"""

from __future__ import annotations

from zoo.errors import InputError, near
from zoo.interop.layouts.base import Layout
from zoo.interop.layouts.biggan import biggan_deep, biggan_deep_formats, biggan_deep_modules, imagenet_classes
from zoo.interop.layouts.cyclegan import cyclegan, cyclegan_formats, dropout_cyclegan, dropped, huggan_cyclegan
from zoo.interop.layouts.dcgan import dcgan, dcgan_formats, dcgan_renamed, gan_zoo, gan_zoo_modules
from zoo.interop.layouts.esrgan import esrgan_formats, rrdbnet, rrdbnet_first, rrdbnet_old, srvgg
from zoo.interop.layouts.pix2pix import (
    pix2pix,
    pix2pix_formats,
    pix2pix_modules,
    pytorch_gan_unet,
    pytorch_gan_unet_formats,
)
from zoo.interop.layouts.progan import progan, progan_formats, progan_modules
from zoo.interop.layouts.srgan import (
    enlarging,
    leftthomas,
    leftthomas_modules,
    lornatang,
    lornatang_modules,
    msrresnet,
    twtygqyy,
    twtygqyy_modules,
)
from zoo.interop.layouts.taesd import taesd, taesd_formats, taesd_modules

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
        dcgan("main"),
        dcgan_formats,
        unseen=("size",),  # a network for 28 pixels is one for 32 whose centre is cut out
    ),
    Layout(
        "dcgan-huggan",
        "dcgan",
        _HUGGAN,
        "pytorch_model.bin",
        "model.0.weight",
        dcgan("model"),
        dcgan_formats,
        dcgan_renamed("model"),
        unseen=("size",),
    ),
    Layout(
        "dcgan-gan-zoo",
        "dcgan",
        "https://github.com/facebookresearch/pytorch_GAN_zoo",
        "DCGAN_fashionGen.pth",
        "formatLayer.weight",
        gan_zoo,
        dcgan_formats,
        gan_zoo_modules,
        unseen=("size",),
    ),
    Layout(
        "progan",
        "progan",
        "https://github.com/facebookresearch/pytorch_GAN_zoo",
        "celebaHQ_s6_i80000.pth",
        "toRGBLayers.0.module.weight",
        progan(".module"),
        progan_formats,
        progan_modules(".module"),
    ),
    Layout(
        "progan-short",
        "progan",
        "https://github.com/facebookresearch/pytorch_GAN_zoo",
        "celeba_s5_i96000.pth",
        "toRGBLayers.0.weight",
        progan(""),
        progan_formats,
        progan_modules(""),
    ),
    Layout(
        "biggan-deep",
        "biggan-deep",
        "https://github.com/huggingface/pytorch-pretrained-BigGAN",
        "pytorch_model.bin",
        "generator.gen_z.weight",
        biggan_deep,
        biggan_deep_formats,
        biggan_deep_modules,
        choices=imagenet_classes,
    ),
    Layout(
        "pix2pix",
        "pix2pix",
        _JUNYANZ,
        "latest_net_G.pth",
        "model.model.0.weight",
        pix2pix,
        pix2pix_formats,
        pix2pix_modules,
        unseen=("dropout",),
    ),
    Layout(
        "pytorch-gan-unet",
        "pytorch-gan-unet",
        "https://github.com/eriklindernoren/PyTorch-GAN",
        "pytorch_model.bin",
        "down1.model.0.weight",
        pytorch_gan_unet,
        pytorch_gan_unet_formats,
    ),
    Layout(
        "cyclegan",
        "cyclegan",
        _JUNYANZ,
        "latest_net_G.pth",
        "model.10.conv_block.5.weight",
        cyclegan("conv_block"),
        cyclegan_formats,
    ),
    Layout(
        "cyclegan-dropout",
        "cyclegan",
        _JUNYANZ,
        "latest_net_G_A.pth",
        "model.10.conv_block.6.weight",
        dropout_cyclegan,
        cyclegan_formats,
        dropped,
    ),
    Layout(
        "cyclegan-huggan",
        "cyclegan",
        _HUGGAN,
        "pytorch_model.bin",
        "model.10.block.1.weight",
        cyclegan("block"),
        cyclegan_formats,
        huggan_cyclegan,
    ),
    Layout(
        "srgan-leftthomas",
        "srgan",
        "https://github.com/leftthomas/SRGAN",
        "netG_epoch_4_100.pth",
        "block1.0.weight",
        leftthomas,
        enlarging,
        leftthomas_modules,
    ),
    Layout(
        "srgan-lornatang",
        "srgan",
        "https://github.com/Lornatang/SRGAN-PyTorch",
        "SRGAN_x4.pth.tar",
        "trunk.0.rcb.0.weight",
        lornatang,
        enlarging,
        lornatang_modules,
    ),
    Layout(
        "srgan-twtygqyy",
        "srgan",
        "https://github.com/twtygqyy/pytorch-SRResNet",
        "srresnet.pth",
        "residual.0.conv1.weight",
        twtygqyy,
        enlarging,
        twtygqyy_modules,
    ),
    Layout("msrresnet", "msrresnet", _BASICSR, "MSRResNet_x4.pth", "body.0.conv1.weight", msrresnet, enlarging),
    Layout(
        "esrgan",
        "esrgan",
        _BASICSR,
        "RealESRGAN_x4plus.pth",
        "body.0.rdb1.conv1.weight",
        rrdbnet("conv_first", "body.{}.rdb1.conv1", "conv_last"),
        esrgan_formats,
    ),
    Layout(
        "esrgan-old",
        "esrgan",
        _ESRGAN,
        "RRDB_ESRGAN_x4.pth",
        "RRDB_trunk.0.RDB1.conv1.weight",
        rrdbnet("conv_first", "RRDB_trunk.{}.RDB1.conv1", "conv_last"),
        esrgan_formats,
        rrdbnet_old,
    ),
    Layout(
        "esrgan-first",
        "esrgan",
        _ESRGAN,
        "RRDB_ESRGAN_x4_old_arch.pth",
        "model.1.sub.0.RDB1.conv1.0.weight",
        rrdbnet("model.0", "model.1.sub.{}.RDB1.conv1.0", "model.10"),
        esrgan_formats,
        rrdbnet_first,
    ),
    Layout(
        "srvgg",
        "srvgg",
        "https://github.com/xinntao/Real-ESRGAN",
        "realesr-animevideov3.pth",
        "body.1.weight",
        srvgg,
        enlarging,
    ),
    Layout(
        "taesd",
        "taesd",
        "https://github.com/madebyollin/taesd",
        "taesd_encoder.pth taesd_decoder.pth",
        "encoder.1.conv.0.weight",
        taesd("encoder.14", "encoder.11", "decoder.1", "decoder.3"),
        taesd_formats,
        taesd_modules,
        parts=("encoder.", "decoder."),
    ),
    Layout(
        "taesd-diffusers",
        "taesd",
        "https://github.com/huggingface/diffusers",
        "diffusion_pytorch_model.safetensors",
        "encoder.layers.0.weight",
        taesd("encoder.layers.14", "encoder.layers.11", "decoder.layers.0", "decoder.layers.2"),
        taesd_formats,
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
