"""Losses of adversarial training, and penalties on D's gradient.

Scores are logits: D's scores of real and of fake samples, of any shape; losses are scalars.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import InputError, near


@dataclass(frozen=True)
class AdversarialLoss:
    """What D and G minimise.

    Attributes:
        d: D's loss, from its scores of real and of fake samples.
        g: G's loss, from D's scores of fake samples.
        boundary: the score above which D says "real"; None where scores mean nothing by themselves.
    """

    d: Callable[[Tensor, Tensor], Tensor]
    g: Callable[[Tensor], Tensor]
    boundary: float | None = 0.0


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
    "wasserstein": AdversarialLoss(
        lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean(), boundary=None
    ),
}


def adversarial_loss(name: str) -> AdversarialLoss:
    """One of :data:`LOSSES` by name."""
    if name not in LOSSES:
        known = ": choose one of " + ", ".join(LOSSES) + "."
        raise InputError(f"loss cannot be {name!r}{near(name, LOSSES) or known}")
    return LOSSES[name]


def accuracies(on_real: Tensor, on_fake: Tensor, boundary: float | None) -> dict[str, Tensor]:
    """Shares of real and of fake samples that D puts on the right side, by the mean score of each: for the log."""
    if boundary is None:
        return {}
    real, fake = ((x.detach().flatten(1).mean(1) if x.ndim > 1 else x.detach()) > boundary for x in (on_real, on_fake))
    return {"d_real": real.float().mean(), "d_fake": 1 - fake.float().mean()}


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
    weight = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    x = torch.lerp(real.detach().float(), fake.detach().float(), weight).requires_grad_()
    (gradient,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
    penalty: Tensor = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty


def orthogonal_penalty(network: nn.Module) -> Tensor:
    """How much filters of one layer have in common: squared products of different filters, summed over the network.

    Section 3.1 of BigGAN (Brock et al. 2018, https://arxiv.org/abs/1809.11096), where it is multiplied by 1e-4. Layers
    are the convolutions: a linear layer from a short latent to many numbers cannot have filters without such products.
    """
    products = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            filters = module.weight.flatten(1)
            product = filters @ filters.T
            products.append((product - product.diag().diag()).square().sum())
    return torch.stack(products).sum()


def checkerboard_energy(x: Tensor, block: int) -> Tensor:
    """How much blocks of ``block`` by ``block`` pixels have in common beside their mean, as a mean absolute value.

    Blocks are compared in windows of eight by eight blocks. In a photo or a painting that is next to nothing. A network
    that makes texture at a resolution ``block`` times lower repeats itself with every block: a checkerboard.

    Args:
        x: images ``(N, C, H, W)``; pixels beyond the last whole block do not count.
        block: side of a block, at most H and W.
    """
    h, w = (side - side % block for side in x.shape[2:])
    blocks = F.pixel_unshuffle(x[..., :h, :w], block)
    side = min(8, *blocks.shape[2:])
    shared = F.avg_pool2d(blocks, side, stride=max(1, side // 2)).unflatten(1, (-1, block**2))
    energy: Tensor = (shared - shared.mean(2, keepdim=True)).abs().mean()
    return energy
