"""Averages of weights over the steps of a run."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn


class EMA:
    """Exponential moving average of a network's parameters; its buffers are copied.

    Args:
        network: the network that is trained.
        decay: weight of the past; it starts lower, at ``(1 + step) / (10 + step)``.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        averages: list[Tensor] = list(self.network.parameters())
        parameters: list[Tensor] = list(network.parameters())
        torch._foreach_lerp_(averages, parameters, weight)
        for average, buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            average.copy_(buffer)


@torch.no_grad()
def update_batchnorm(network: nn.Module, batches: Iterable[tuple[Tensor, Mapping[str, Tensor]]]) -> None:
    """Recompute the batch-norm statistics of a network, as averaged weights need: the copied ones do not fit them.

    ``batches`` are inputs with their conditions. The network is in eval mode afterwards.
    """
    norms = [m for m in network.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d))]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    network.train()
    for x, conditions in batches:
        network(x, **conditions)
    network.eval()
