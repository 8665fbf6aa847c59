"""Averages of weights over the steps of a run."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn


class Average:
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
        ours: list[Tensor] = list(self.network.parameters())
        theirs: list[Tensor] = list(network.parameters())
        torch._foreach_lerp_(ours, theirs, weight)
        for mine, other in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(other)


@torch.no_grad()
def settle(network: nn.Module, batches: Iterable[tuple[Tensor, Mapping[str, Tensor]]]) -> None:
    """Measure the statistics of batch norm anew: those that were copied belong to the weights before averaging.

    ``batches`` are inputs with their conditions.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    network.train()
    for x, given in batches:
        network(x, **given)
    network.eval()
