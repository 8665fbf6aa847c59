"""How fast a model computes on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from statistics import median

import torch

from zoo.backends.optimize import OptimizedForward
from zoo.backends.rewrites import run_network
from zoo.backends.torch_backend import TorchBackend
from zoo.loading import PRECISIONS, load


@torch.inference_mode()
def measure(name: str, pairs: int = 5) -> Iterator[tuple[str, OptimizedForward, float]]:
    """For each precision and call how a model computes, and how many times as fast as plain: a median of pairs."""
    for precision in PRECISIONS[:2]:
        model = load(name, precision=precision)
        backend = model.backend
        assert isinstance(backend, TorchBackend)
        for call in model.calls:
            optimized = backend.optimized(model, call)
            title = precision if len(model.calls) == 1 else f"{precision}, {call}"
            x, conditions = model.example(call, 8)  # an image of 128 x 144 pixels, if the size is free
            batch = x[:1], {name: value[:1] for name, value in conditions.items()}
            plain = partial(run_network, model, call, torch.float32)
            if optimized.run is None:
                yield title, optimized, 1.0
                continue
            ratios = []
            for _ in range(pairs + 1):
                start = time.perf_counter()
                plain(batch)
                middle = time.perf_counter()
                optimized.run(batch)
                ratios.append((middle - start) / (time.perf_counter() - middle))
            yield title, optimized, median(ratios[1:])
