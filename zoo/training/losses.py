"""Losses of adversarial training, penalties on D's gradient, and differentiable augmentation.

Scores are logits: D's scores of real and of fake samples, of any shape; losses are scalars.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import InputError, near


@dataclass(frozen=True)
class AdversarialLoss:
    """What D and G minimise.

    Attributes:
        d: D's loss, from its scores of real and of fake samples.
        g: G's loss, from D's scores of fake samples.
        boundary: the score above which D says "real".
    """

    d: Callable[[Tensor, Tensor], Tensor]
    g: Callable[[Tensor], Tensor]
    boundary: float = 0.0


LOSSES = {
    # Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, with G's loss that does not saturate
    "vanilla": AdversarialLoss(
        lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(), lambda fake: F.softplus(-fake).mean()
    ),
    # Mao et al. 2017, https://arxiv.org/abs/1611.04076
    "least-squares": AdversarialLoss(
        lambda real, fake: ((real - 1).square().mean() + fake.square().mean()) / 2,
        lambda fake: (fake - 1).square().mean(),
        boundary=0.5,
    ),
    # Lim, Ye 2017, https://arxiv.org/abs/1705.02894
    "hinge": AdversarialLoss(
        lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(), lambda fake: -fake.mean()
    ),
    # Arjovsky et al. 2017, https://arxiv.org/abs/1701.07875; needs the gradient penalty
    "wasserstein": AdversarialLoss(lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean()),
}


def adversarial_loss(name: str) -> AdversarialLoss:
    """One of :data:`LOSSES` by name."""
    if name not in LOSSES:
        known = ": choose one of " + ", ".join(LOSSES) + "."
        raise InputError(f"loss cannot be {name!r}{near(name, LOSSES) or known}")
    return LOSSES[name]


def accuracy(scores: Tensor, boundary: float, real: bool) -> Tensor:
    """Share of samples that D puts on the right side, for the mean score of each sample."""
    means = scores.detach().flatten(1).mean(1) if scores.ndim > 1 else scores.detach()
    right: Tensor = (means > boundary) == real
    return right.float().mean()


def r1_penalty(d: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Half the mean squared length of D's gradient at real samples.

    Mescheder et al. 2018, https://arxiv.org/abs/1801.04406; multiply by gamma.
    """
    x = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
    penalty: Tensor = gradient.square().flatten(1).sum(1).mean() / 2
    return penalty


def gradient_penalty(d: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Mean of ``(length - 1) ** 2`` of D's gradient between real and fake samples.

    Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028; multiply by lambda, 10 there.
    """
    weight = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = torch.lerp(real.detach().float(), fake.detach().float(), weight).requires_grad_()
    (gradient,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
    penalty: Tensor = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty


def augment(x: Tensor, policy: str) -> Tensor:
    """Differentiable augmentation, the same kind for real and fake samples: D cannot learn small data by heart.

    Zhao et al. 2020, https://arxiv.org/abs/2006.10738.

    Args:
        x: pictures ``(N, C, H, W)`` in [-1, 1].
        policy: names out of ``flip,color,translation,cutout``, joined by commas; empty for none.
    """
    for name in policy.split(",") if policy else ():
        if name not in AUGMENTATIONS:
            raise InputError(f"augment cannot be {name!r}: join names out of {', '.join(AUGMENTATIONS)} by commas.")
        x = AUGMENTATIONS[name](x)
    return x


def _uniform(x: Tensor, low: float, high: float) -> Tensor:
    """One number for each picture, ``(N, 1, 1, 1)``."""
    return torch.empty(len(x), 1, 1, 1, device=x.device, dtype=x.dtype).uniform_(low, high)


def _flip(x: Tensor) -> Tensor:
    return torch.where(torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5, x.flip(3), x)


def _color(x: Tensor) -> Tensor:
    """Brightness by up to a quarter of the range, saturation 0 to 2, contrast 0.5 to 1.5, as in the paper."""
    x = x + _uniform(x, -0.5, 0.5)
    mean = x.mean(1, keepdim=True)
    x = (x - mean) * _uniform(x, 0, 2) + mean
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * _uniform(x, 0.5, 1.5) + mean


def _translation(x: Tensor) -> Tensor:
    """By up to an eighth of the sides, zeros behind."""
    n, _, h, w = x.shape
    far_y, far_x = round(h / 8), round(w / 8)
    dy = torch.randint(-far_y, far_y + 1, (n, 1, 1), device=x.device)
    dx = torch.randint(-far_x, far_x + 1, (n, 1, 1), device=x.device)
    # One pixel of zeros around, to which everything outside is clamped.
    rows = (torch.arange(h, device=x.device)[None, :, None] + dy + 1).clamp(0, h + 1)
    columns = (torch.arange(w, device=x.device)[None, None, :] + dx + 1).clamp(0, w + 1)
    padded = F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    return padded[torch.arange(n, device=x.device)[:, None, None], rows, columns].permute(0, 3, 1, 2)


def _cutout(x: Tensor) -> Tensor:
    """A square of zeros, half as wide as the picture."""
    n, _, h, w = x.shape
    y = torch.randint(0, h + 1, (n, 1, 1), device=x.device)
    left = torch.randint(0, w + 1, (n, 1, 1), device=x.device)
    rows, columns = torch.arange(h, device=x.device)[None, :, None], torch.arange(w, device=x.device)[None, None, :]
    hole = ((rows - y + h // 4) // (h // 2) == 0) & ((columns - left + w // 4) // (w // 2) == 0)
    return x * (~hole)[:, None].to(x.dtype)


AUGMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "flip": _flip,
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
}
