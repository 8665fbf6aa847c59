r"""How the checkpoints of pix2pix were trained: L1, and a D that sees patches of input and result.

    zoo train pix2pix.facades --data facades.zip --out runs/facades
    zoo train pix2pix.emoji --out runs/emoji \
        --data openmoji_black_64.npz openmoji_color_64.npz extra.npz/black extra.npz/color
    zoo train pix2pix --data pairs/ --out runs/mine --set width=32
    zoo evaluate pix2pix.facades --data facades.zip --set without_d=local-dir:runs/l1  # trained with adversarial=no

Pairs are images side by side, or two folders with the same names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

import zoo
from zoo.backends.optimize import has_bfloat16
from zoo.data.augment import views
from zoo.data.batch import ArrayBatches, batch_indices, held_out, to_float
from zoo.data.source import Pairs, Source
from zoo.media.images import Images
from zoo.metrics.classifier import classify
from zoo.metrics.features import Features
from zoo.metrics.suites import distances
from zoo.model import Model
from zoo.models.pix2pix import Pix2Pix
from zoo.registry.facts import Metric
from zoo.training.discriminators import FeatureDiscriminator, PatchDiscriminator
from zoo.training.objective import TrainableNetwork
from zoo.training.schedules import constant_then_linear
from zoo.training.selection import KernelDistance
from zoo.training.terms import L1, Adversarial, Term
from zoo.training.translation import Translation


def facades(
    data: Source,
    features: Features,
    *,
    size: int = 256,
    width: int = 32,
    widest: int = 120,
    d_width: int = 32,
    adversarial: bool = True,
    unconditional_d_width: int = 64,
    unconditional_d_weight: float = 0.06,
    l1_weight: float = 10.0,
    flip: bool = True,
    shift: int = 15,
    augment: str = "",
    reverse: bool = False,
    lr: float = 2e-4,
    batch_size: int = 4,
    steps: int = 3_200,
) -> Translation:
    """256 px, from label maps to photos. ``adversarial=no`` leaves D out, to see what it is for.

    Two discriminators: the paper's sees patches and what the labels say of them; the other sees windows of the result
    alone, through a network that has seen many images. The gradient of what the second says starts at twenty times
    that of the first and grows, hence its weight; in place of the first it put windows in the same places whatever
    the labels said. At 0.03 and with 360 pairs, kernel distance of results to the test photos was 0.478; at 0.06 and
    with 400 it is 0.355, at the same pixel accuracy (FCN score). The weights of step 1,408 were the nearest to the
    photos held out, at 0.321, before the distance rises; in 2,000 steps, over which the learning rate falls sooner,
    0.371 was nearest.

    D sees no differentiable augmentation: with translation and cutout, after 720 steps kernel distance was one and a
    half times as large. D has 32 channels, half of the paper's. With 48 it takes five times the work of G, and after
    250 steps results were no nearer. 35 minutes on two cores.

    The split ``val`` is held out; without one, every 10th pair.
    """
    torch.manual_seed(0)
    pairs = data.pairs(size, reverse=reverse, least=max(4, 2 * batch_size))
    if data.has("val"):
        train, checked = pairs, data.pairs(size, split="val", least=2, reverse=reverse)
    else:
        out = held_out(len(pairs.a), 10)
        train, checked = pairs.take(~out), pairs.take(out)
    return _translation(
        train,
        checked,
        {"size": size, "in_channels": 3, "out_channels": 3, "width": width, "widest": widest, "norm": "instance"},
        d=PatchDiscriminator(6, d_width) if adversarial else None,
        unconditional_d=FeatureDiscriminator(features, unconditional_d_width)
        if adversarial and unconditional_d_weight
        else None,
        unconditional_d_weight=unconditional_d_weight,
        l1_weight=l1_weight,
        selection=KernelDistance(features.at(224, fast=True)),
        flip=flip,
        shift=shift,
        augment=augment,
        lr=lr,
        d_lr=2 * lr,
        batch_size=batch_size,
        steps=steps,
    )


def emoji(
    data: Source,
    *,
    size: int = 64,
    width: int = 32,
    widest: int = 160,
    d_width: int = 32,
    l1_weight: float = 50.0,
    flip: bool = True,
    shift: int = 4,
    lr: float = 4e-4,
    batch_size: int = 16,
    steps: int = 12_000,
) -> Translation:
    """64 px, from black outlines to colour. Every 10th pair is the test split, every 10th of the others is held out."""
    torch.manual_seed(0)
    pairs = data.pairs(size, channels=(1, 3), least=max(4, 2 * batch_size))
    train = pairs.take(torch.arange(len(pairs.a)) % 10 > 0)
    out = held_out(len(train.a), 10)
    return _translation(
        train.take(~out),
        train.take(out),
        {"size": size, "in_channels": 1, "out_channels": 3, "width": width, "widest": widest, "norm": "instance"},
        d=PatchDiscriminator(4, d_width, halvings=2, norm=False),
        l1_weight=l1_weight,
        flip=flip,
        shift=shift,
        lr=lr,
        d_lr=lr,
        batch_size=batch_size,
        steps=steps,
    )


def _translation(
    train: Pairs,
    checked: Pairs,
    config: dict[str, int | str],
    *,
    d: PatchDiscriminator | None,
    unconditional_d: FeatureDiscriminator | None = None,
    unconditional_d_weight: float = 1.0,
    l1_weight: float,
    flip: bool,
    shift: int,
    augment: str = "",
    lr: float,
    d_lr: float,
    steps: int,
    **options: Any,
) -> Translation:
    """L1 and up to two discriminators: ``d`` sees input and result together, ``unconditional_d`` the result alone."""
    g = Pix2Pix(**config)  # type: ignore[arg-type]

    def trainable(network: nn.Module, lr: float) -> TrainableNetwork:
        return TrainableNetwork(network, Adam(network.parameters(), lr, betas=(0.5, 0.99)), constant_then_linear(steps))

    terms: list[Term] = []
    if d:
        terms += [Adversarial(trainable(d, d_lr), conditional=True, augment=augment)]
    if unconditional_d:
        one = trainable(unconditional_d, d_lr)
        terms += [Adversarial(one, unconditional_d_weight, name="d_unconditional", window=128)]
    return Translation(
        config,
        trainable(g, lr),
        ArrayBatches(train.roles, partial(views, shift=shift, flip=flip)),
        ArrayBatches(checked.roles).singles(),
        terms=[*terms, L1(l1_weight)],
        steps=steps,
        **options,
    )


def evaluate(
    model: Model, data: Source, features: Sequence[Features], *, reverse: bool = False, without_d: str = ""
) -> list[Metric]:
    """Error and distance of results to targets, over the test split.

    ``reverse`` as it was trained; ``without_d`` is one that was trained by ``adversarial=no``, to be measured likewise.
    """
    pairs = _split(model, data, "test", reverse)
    train = _split(model, data, "train", reverse) if data.has("train") else None
    settings = {"reverse": True} if reverse else {}
    return _figures(model, pairs, train, features, without_d, split=data.called("test"), settings=settings)


def evaluate_emoji(model: Model, data: Source, features: Sequence[Features]) -> list[Metric]:
    """As :func:`evaluate`, over the test split of :func:`emoji`: every 10th pair of data that have no splits."""
    pairs = _split(model, data, "test")
    tenth = torch.arange(len(pairs.a)) % 10 == 0
    return _figures(model, pairs.take(tenth), pairs.take(~tenth), features, split="test")


def _split(model: Model, data: Source, split: str, reverse: bool = False) -> Pairs:
    entry = model.entry
    assert entry
    assert entry.input
    channels = (entry.input.channels or 3, entry.output.channels or 3)
    return data.pairs(entry.output.size, channels, split=split, least=2, reverse=reverse)


def _figures(
    model: Model, pairs: Pairs, train: Pairs | None, features: Sequence[Features], without_d: str = "", **row: Any
) -> list[Metric]:
    """All figures of a network over pairs."""
    inputs, target = pairs.a.float() / 255, pairs.b.float() / 255
    n = len(target)

    def results(model: Model) -> Tensor:
        return torch.from_numpy(model.reconstruct(Images(list(inputs.numpy()))).numpy())

    images = {"": results(model), **({"l1_alone": results(zoo.load(without_d))} if without_d else {})}
    baselines = {"input": inputs, **{name: x for name, x in images.items() if name}}
    if train and len(train.a) >= n:
        baselines["real"] = train.b[batch_indices(0, len(train.b), n, seed=0)].float() / 255
    rows = distances(
        images[""] * 2 - 1, target * 2 - 1, features, {name: x * 2 - 1 for name, x in baselines.items()}, **row
    )
    l1 = {name: round(float((x - target).abs().mean()), 4) for name, x in {**images, "input": inputs}.items()}
    rows.append(Metric("l1", l1.pop(""), protocol="l1", n=n, baselines=l1, **row))
    if train and _are_labels(pairs.a):
        rows += _pixel_accuracy(train, pairs, {**images, "real": target}, **row)
    return rows


def _codes(images: Tensor) -> Tensor:
    """The colour of each pixel of ``(N, C, H, W)`` as one number."""
    return (images.long() * 256 ** torch.arange(images.shape[1])[:, None, None]).sum(1)


def _are_labels(images: Tensor) -> bool:
    """Whether these are label maps: colour images of few colours."""
    return images.shape[1] == 3 and 1 < len(_codes(images).unique()) <= 32


def _pixel_accuracy(
    train: Pairs, test: Pairs, images: Mapping[str, Tensor], steps: int = 500, **row: Any
) -> list[Metric]:
    """Whether things are where the labels say: the FCN score of section 4.1 of the paper, with a U-Net.

    ``images`` are in [0, 1]: results, under no name, and baselines for the same labels.
    """
    step = max(1, train.a.shape[-1] // 128)
    colours = _codes(train.a).unique()
    labels, wanted = (
        torch.searchsorted(colours, _codes(x.a[..., ::step, ::step])).clamp(max=len(colours) - 1) for x in (train, test)
    )
    network = _segmenter(len(colours), F.avg_pool2d(to_float(train.b), step), labels, steps)
    shares: dict[str, dict[str, float]] = {"pixel-accuracy": {}, "pixel-accuracy-class-mean": {}}
    for name, x in images.items():
        right = (classify(network, F.avg_pool2d(x * 2 - 1, step)) == wanted).double()
        classes = torch.stack([right[wanted == label].mean() for label in wanted.unique()])
        for metric, value in zip(shares, (right.mean(), classes.mean()), strict=True):
            shares[metric][name] = round(float(value), 4)
    return [
        Metric(metric, values.pop(""), protocol=metric, n=len(wanted), baselines=values, **row)
        for metric, values in shares.items()
    ]


def _segmenter(kinds: int, images: Tensor, labels: Tensor, steps: int, batch: int = 8) -> nn.Module:
    """A U-Net that says of which kind each pixel is: images ``(N, 3, H, W)`` in [-1, 1], labels ``(N, H, W)``."""
    torch.manual_seed(0)
    network = Pix2Pix(images.shape[-1], 3, kinds, width=24, widest=96).to(memory_format=torch.channels_last)
    optimizer = Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for step in range(steps):
        rows = batch_indices(step, len(images), min(batch, len(images)), seed=0)
        x, y = images[rows], labels[rows]
        if step % 2:
            x, y = x.flip(3), y.flip(2)
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16(torch.device("cpu"))):
            scores = network(x.contiguous(memory_format=torch.channels_last))
        optimizer.zero_grad()
        F.cross_entropy(8 * scores.float(), y).backward()  # its scores end at 1
        optimizer.step()
        schedule.step()
    return network.eval().requires_grad_(False)
