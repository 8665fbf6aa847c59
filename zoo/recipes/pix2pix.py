r"""How the checkpoints of pix2pix were trained: L1, and a D that sees patches of input and result.

    zoo train pix2pix.facades --data facades.zip --out runs/facades
    zoo train pix2pix.emoji --out runs/emoji \
        --data openmoji_black_64.npz openmoji_color_64.npz extra.npz/black extra.npz/color
    zoo train pix2pix --data pairs/ --out runs/mine --set width=32
    zoo evaluate pix2pix.facades --data facades.zip --set without_d=local-dir:runs/l1  # trained with adversarial=no

Pairs are pictures side by side, or two folders with the same names.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Adam

import zoo
from zoo.entry import Metric
from zoo.evaluation import Features, frechet_distance, kernel_distance, rounded
from zoo.images import Images
from zoo.model import Model
from zoo.models.pix2pix import Pix2Pix
from zoo.training.data import Pairs, Source, held_out
from zoo.training.networks import PatchDiscriminator
from zoo.training.objective import Learner, falling
from zoo.training.paired import Paired


def facades(
    data: Source,
    features: Features,
    *,
    size: int = 256,
    width: int = 32,
    widest: int = 120,
    d_width: int = 32,
    adversarial: bool = True,
    pixels: float = 10.0,
    flip: bool = True,
    shift: int = 15,
    augment: str = "",
    reverse: bool = False,
    rate: float = 2e-4,
    batch: int = 4,
    steps: int = 6_000,
) -> Paired:
    """256 px, from label maps to photos. ``adversarial=no`` leaves D out, to see what it is for.

    45 minutes on two cores. D sees no differentiable augmentation: with translation and cutout, after 720 steps the
    kernel distance of results to photos was one and a half times as large. Without it, D learns the few pairs by heart:
    of 6,000 steps, the weights of step 4,320 came nearest to photos held out. D is half as wide as in the paper: it
    takes five times the work of G at the width of 48, and after 250 steps results were no nearer with that. With a D
    that looks through the network that measures, the distance fell to a third within 640 steps, and windows stood in
    the same places whatever the labels said: so here it would measure nothing.

    Every 10th pair of the training split is held out.
    """
    torch.manual_seed(0)
    pairs = data.pairs(size, reverse=reverse, least=max(4, 2 * batch))
    out = held_out(len(pairs.a), 10)
    return _training(
        pairs.take(~out),
        pairs.take(out),
        {"size": size, "in_channels": 3, "out_channels": 3, "width": width, "widest": widest, "norm": "instance"},
        d=PatchDiscriminator(6, d_width) if adversarial else None,
        features=features.at(224, fast=True),
        pixels=pixels,
        flip=flip,
        shift=shift,
        policy=augment,
        rate=rate,
        d_rate=2 * rate,
        batch=batch,
        steps=steps,
    )


def emoji(
    data: Source,
    *,
    size: int = 64,
    width: int = 32,
    widest: int = 160,
    d_width: int = 32,
    pixels: float = 50.0,
    flip: bool = True,
    shift: int = 4,
    rate: float = 4e-4,
    batch: int = 16,
    steps: int = 12_000,
) -> Paired:
    """64 px, from black outlines to colour. Every 10th pair is the test split, every 10th of the others is held out."""
    torch.manual_seed(0)
    pairs = data.pairs(size, channels=(1, 3), least=max(4, 2 * batch))
    train = pairs.take(torch.arange(len(pairs.a)) % 10 > 0)
    out = held_out(len(train.a), 10)
    return _training(
        train.take(~out),
        train.take(out),
        {"size": size, "in_channels": 1, "out_channels": 3, "width": width, "widest": widest, "norm": "instance"},
        d=PatchDiscriminator(4, d_width, halvings=2, norm=False),
        pixels=pixels,
        flip=flip,
        shift=shift,
        rate=rate,
        d_rate=rate,
        batch=batch,
        steps=steps,
    )


def _training(
    train: Pairs,
    checked: Pairs,
    config: dict[str, int | str],
    *,
    d: PatchDiscriminator | None,
    d_rate: float,
    rate: float,
    steps: int,
    **options: object,
) -> Paired:
    g = Pix2Pix(**config)  # type: ignore[arg-type]

    return Paired(
        config,
        Learner(g, Adam(g.parameters(), rate, betas=(0.5, 0.99)), falling(steps)),
        Learner(d, Adam(d.parameters(), d_rate, betas=(0.5, 0.99)), falling(steps)) if d else None,
        train,
        checked,
        steps=steps,
        **options,  # type: ignore[arg-type]
    )


def evaluate(
    model: Model, data: Source, features: Features, *, reverse: bool = False, without_d: str = ""
) -> list[Metric]:
    """Error and distance of results to targets, over the test split.

    ``reverse`` as it was trained; ``without_d`` is one that was trained by ``adversarial=no``, to be measured likewise.
    """
    entry = model.entry
    assert entry
    assert entry.input
    pairs = data.pairs(
        entry.output.size,
        (entry.input.channels or 3, entry.output.channels or 3),
        split="test",
        least=2,
        reverse=reverse,
    )
    if entry.recipe.endswith(":emoji"):  # the test split of that recipe
        pairs = pairs.take(torch.arange(len(pairs.a)) % 10 == 0)
    given, target = pairs.a.float() / 255, pairs.b.float() / 255
    wanted = features(target * 2 - 1)

    def results(model: Model) -> tuple[Tensor, Tensor]:
        made = torch.from_numpy(model.reconstruct(Images(list(given.numpy()))).numpy())
        return made, features(rounded(made * 2 - 1))

    made, found = results(model)
    l1, plain = float((made - target).abs().mean()), float((given - target).abs().mean())
    distance = frechet_distance(found, wanted)
    shared = f"results for {len(target):,} test pairs of {target.shape[-1]} px against the targets"
    metrics = [
        Metric(
            "L1 over the input's", round(l1 / plain, 3), f"the next, over that of the inputs themselves ({plain:.4f})"
        ),
        Metric("L1", round(l1, 4), f"mean absolute error, {shared}, pixels in [0, 1]"),
        Metric("FID", round(distance, 2), f"Frechet distance, {shared}, 8 bits, {features.protocol}"),
        Metric(
            "KID", round(kernel_distance(found, wanted), 4), f"unbiased, kernel (x.y / d + 1) ** 3, {shared}, likewise"
        ),
    ]
    if without_d:
        other = frechet_distance(results(zoo.load(without_d))[1], wanted)
        protocol = f"FID as below, over that of a network that was trained as long by L1 alone ({other:.2f})"
        metrics.insert(0, Metric("FID over that without D", round(distance / other, 3), protocol))
    return metrics
