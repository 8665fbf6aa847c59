"""Learning rates over the steps of a run."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

Schedule = Callable[[Optimizer], LRScheduler]


def falling(steps: int, finish: int = 0) -> Schedule:
    """The rate stays for half the run and then falls to zero, in a line.

    With ``finish``, that is its course before the last so many steps; in these it begins anew at one half and falls.
    """
    first = steps - finish

    def factor(step: int) -> float:
        if step < first:
            return min(1.0, 2 * (1 - step / first))
        return 0.5 * (steps - step) / finish if finish else 0.0

    return lambda optimizer: LambdaLR(optimizer, factor)


def cosine(steps: int) -> Schedule:
    """The rate rises over the first 200 steps and falls along a cosine."""
    warmup = min(200, steps // 10 + 1)

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / warmup) * (0.5 + 0.5 * math.cos(math.pi * min(step / steps, 1)))

    return lambda optimizer: LambdaLR(optimizer, factor)
