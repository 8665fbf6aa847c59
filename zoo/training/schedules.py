"""Learning rates over the steps of a run."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

Schedule = Callable[[Optimizer], LRScheduler]


def constant_then_linear(steps: int, final_steps: int = 0, again: float = 0.5) -> Schedule:
    """Constant for half the run, then linear to zero.

    With ``final_steps``, that is the course before the last so many steps; in these the learning rate starts again at
    ``again`` of what it was and falls linearly to zero.
    """
    first = steps - final_steps

    def factor(step: int) -> float:
        if step < first:
            return min(1.0, 2 * (1 - step / first))
        return again * max(0, steps - step) / final_steps if final_steps else 0.0

    return lambda optimizer: LambdaLR(optimizer, factor)


def cosine(steps: int) -> Schedule:
    """Linear warm-up over the first 200 steps, then along a cosine to zero."""
    warmup = min(200, steps // 10 + 1)

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / warmup) * (0.5 + 0.5 * math.cos(math.pi * min(step / steps, 1)))

    return lambda optimizer: LambdaLR(optimizer, factor)


def one_cycle(lr: float, steps: int) -> Schedule:
    """Up to ``lr`` in the first tenth of the run, then down to next to nothing (Smith, Topin 2018).

    https://arxiv.org/abs/1708.07120
    """
    return lambda optimizer: OneCycleLR(optimizer, lr, total_steps=max(20, steps), pct_start=0.1)
