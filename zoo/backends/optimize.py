"""A copy of a network that answers the same in less time: rewritten, and in bfloat16 where that is asked for.

The networks in ``zoo/models`` know nothing of this file; ``rewrites`` of a model's class says which rewrites make it
faster. The copy must answer as the network does, or it is not used; nor is it once the network has changed.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from zoo.backends.network_state import State, UnusualError
from zoo.backends.rewrites import FORWARDS, HALF, MIXED, WHOLE, Given, Level, rewritten, run_network
from zoo.model import Model, Rewrites

EXACT = 1e-5  # of the range: how far a rewritten network may be from the plain one
DECIBEL = 45.0  # how near one in bfloat16 must come
MARGIN = 3.0  # dB by which it must come nearer on what it is tried with, for there are other inputs
Run = Callable[[Given], Tensor]


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is computed by the hardware: emulated, it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


@dataclass
class OptimizedForward:
    """A faster way to a network's answer.

    Attributes:
        run: takes and gives what the network does; None where the plain network is used.
        kind: what was done, in words.
        agreement: with the plain network, on the worst of several inputs, in dB of the range; infinite where it is the
            same.
        precision: what was asked for.
        made_of: the state of the network when it was optimized.
        lasting: whether to keep this; a network with hooks or in training mode may lose them.
    """

    run: Run | None
    kind: str
    agreement: float
    precision: str
    made_of: State | None = None
    lasting: bool = True

    def holds(self, network: nn.Module) -> bool:
        """Whether the network is what it was, so that ``run`` answers as it does."""
        return self.made_of is not None and self.made_of.is_that_of(network)


@torch.inference_mode()
def optimize(network: Model, method: str, precision: str, probes: Callable[[], Sequence[Given]]) -> OptimizedForward:
    """The fastest way there is to a network's answer.

    Args:
        network: any; one with hooks or in training mode runs as it is.
        method: which of its methods gives the answer: ``forward`` or ``decode``.
        precision: "exact", to 1e-5 of the range, "fast", with bfloat16, to 45 dB, or "plain".
        probes: makes arguments of the method, by which the two are compared; the worst sample counts. The network
            itself never sees them.
    """
    plain = OptimizedForward(None, "plain", math.inf, precision)
    parameters = list(network.parameters())
    if precision == "plain" or not parameters:
        return plain
    device = parameters[0].device
    if any(x.device != device or x.dtype != torch.float32 for x in parameters):
        return plain
    exact, half = network.rewrites if device.type == "cpu" else Rewrites()
    levels = [(level, half) for level in (HALF, *MIXED) if precision == "fast" and has_bfloat16(device)]
    levels += [(WHOLE, exact)] if exact else []
    if not levels or any(cls.forward is not forward for cls, forward in FORWARDS.items()):
        return plain
    with _same_random_states(device):
        try:
            state = State(network)
        except UnusualError:
            return replace(plain, lasting=False)
        try:
            base = copy.deepcopy(network)
            inputs = [tree_map(lambda value: _on(value, device), probe) for probe in probes()]
            wanted = [run_network(base, method, torch.float32, arguments) for arguments in inputs]
        except Exception:  # a network that these inputs are not for: it may have fewer classes than the registry says
            return plain
        for level, steps in levels:
            try:
                candidate = rewritten(base, method, steps, level, inputs[0])
                run = partial(run_network, candidate, method, level.between)
                decibel = _agreement(run, inputs, wanted, level)
            except Exception:  # noqa: S112 - private operations of torch: whatever they say, the plain network goes on
                continue
            if decibel is not None:
                return OptimizedForward(run, ", ".join((*steps, *level.words)), decibel, precision, state)
    return plain


def _agreement(run: Run, inputs: Sequence[Given], wanted: Sequence[Tensor], level: Level) -> float | None:
    """The agreement on the worst sample, in dB; None if that is not enough."""
    worst = math.inf
    for arguments, answer in zip(inputs, wanted, strict=True):
        errors = (run(arguments) - answer) / 2
        decibels = [_decibel(error) for error in errors]
        near = errors.abs().max() <= EXACT if level is WHOLE else all(x >= DECIBEL + MARGIN for x in decibels)
        if not near:
            return None
        worst = min(worst, *decibels)
    return worst


@contextmanager
def _same_random_states(device: torch.device) -> Iterator[None]:
    """Puts the random states of torch, numpy and Python back in the end."""
    numpys, pythons = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        np.random.set_state(numpys)
        random.setstate(pythons)


def _on(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value


def _decibel(error: Tensor) -> float:
    mean = float(error.double().square().mean())
    return -10 * math.log10(mean) if mean else math.inf
