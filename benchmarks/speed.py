"""How fast the networks are beside the way that their references run them, in one process on one thread.

The reference is the same network in plain PyTorch: eager, float32, one operation after the other. Weights are random,
and scaled so that answers are in the range. Both are run in turn, the processor time of each pair is divided, and the
figure is the median.
"""

from __future__ import annotations

import math
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

import zoo
from zoo.backends.torch_backend import TorchBackend
from zoo.model import Generator, Model
from zoo.networks import build
from zoo.registry.facts import Format

PAIRS = 7
SECONDS = 6.0  # for a row, about
# Name, model, configuration, side of the input, and the goals for exact and fast.
NETWORKS: tuple[tuple[str, str, dict[str, Any], int, float, float], ...] = (
    ("dcgan, 64 px, width 64", "dcgan", {"width": 64}, 0, 1.5, 2.5),
    ("pix2pix, 256 px", "pix2pix", {}, 256, 1.2, 2.5),
    ("srgan, 64 to 256 px", "srgan", {}, 64, 1.5, 2.5),
    ("cyclegan, 9 blocks, 128 px", "cyclegan", {}, 128, 0.97, 1.8),
    ("esrgan, 23 blocks, 48 to 192 px", "esrgan", {}, 48, 0.97, 1.8),
    ("srvgg, 64 to 256 px", "srvgg", {}, 64, 0.97, 0.97),
    ("taesd, 128 px", "taesd", {}, 128, 0.97, 0.97),
    ("conv-ae, 64 px", "conv-ae", {}, 64, 0.97, 0.97),
)


def machine() -> str:
    """The processor's name, and what it has for bfloat16."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor()
    name = re.search(r"model name\s*: (.*)", text)
    units = [word for word in ("amx_bf16", "avx512_bf16") if word in text]
    return ", ".join([name[1] if name else platform.machine(), *units])


def random_model(name: str, config: dict[str, Any], side: int) -> tuple[Model, Tensor]:
    """A network with random weights, and one input for it."""
    entry = replace(zoo.info(name), config=config, input=Format(channels=3, size=(side, side)) if side else None)
    model = build(entry).to_empty(device="cpu").eval()
    torch.manual_seed(0)
    for key, tensor in model.state_dict().items():
        if tensor.ndim > 1:
            nn.init.kaiming_normal_(tensor)
        elif tensor.is_floating_point():
            tensor.fill_(1.0 if key.endswith(("running_var", "norm.weight", "weight")) else 0.0)
    model.entry, model.backend = entry, TorchBackend(partial(build, entry))
    x, _ = model.example(model.calls[0], 1)
    with torch.inference_mode():
        loud = float(plain(model)(x).std())
        last = [tensor for tensor in model.parameters() if tensor.ndim == 4][-1]
        last.mul_(0.3 / max(loud, 0.3))
    return model, x


def plain(model: Model) -> Callable[[Tensor], Tensor]:
    return model.decode if isinstance(model, Generator) else model


def ratio(a: Callable[[], object], b: Callable[[], object]) -> float:
    """How many times as long the first takes: the median of pairs, in processor time."""
    a(), b()
    ratios: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(ratios) < 3 or (len(ratios) < PAIRS and time.perf_counter() < end):
        start = time.process_time()
        a()
        middle = time.process_time()
        b()
        ratios.append((middle - start) / max(time.process_time() - middle, 1e-9))
    return median(ratios)


@torch.inference_mode()
def inference() -> Iterator[tuple[list[str], bool]]:
    """A row for each network and batch size, and whether its goals are reached."""
    for title, name, config, side, *goals in NETWORKS:
        model, x = random_model(name, config, side)
        for batch in (1, 16):
            if batch == 16 and name == "esrgan":
                continue  # half a minute for one answer
            many = x.repeat(batch, *[1] * (x.ndim - 1))
            row, reached = [title, str(batch)], True
            for precision, goal in zip(("exact", "fast"), goals, strict=True):
                model.precision = precision
                quick = model.backend.optimized(model, model.calls[0])
                speedup = ratio(lambda: plain(model)(many), lambda: quick.run((many, {}))) if quick.run else 1.0  # noqa: B023
                row += [f"{speedup:.2f}", quick.kind, _near(quick.agreement) if quick.run else ""]
                reached &= speedup >= goal
            yield row, reached


def _near(decibel: float) -> str:
    return "the same" if decibel == math.inf else f"{decibel:.0f} dB"


@torch.inference_mode()
def others() -> Iterator[list[str]]:
    """Beside other libraries with the same weights."""
    from diffusers import AutoencoderTiny
    from spandrel import ModelLoader

    model, x = random_model("esrgan", {"blocks": 6}, 48)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    theirs = ModelLoader().load_from_state_dict(state).model.eval()
    yield from _beside("spandrel, RRDBNet with 6 blocks", model, x, lambda: theirs((x + 1) / 2) * 2 - 1)
    model, x = random_model("taesd", {}, 128)
    tiny = AutoencoderTiny().eval()
    tiny.load_state_dict(model.state_dict())
    yield from _beside("diffusers, AutoencoderTiny", model, x, lambda: tiny.decode(tiny.encode(x).latents).sample)


def _beside(title: str, model: Model, x: Tensor, theirs: Callable[[], Tensor]) -> Iterator[list[str]]:
    for precision in ("exact", "fast"):
        model.precision = precision
        run = model.backend.optimized(model, model.calls[0]).run
        assert run is not None
        far = float((run((x, {})) - theirs()).abs().max()) / 2
        yield [title, precision, f"{ratio(theirs, lambda: run((x, {}))):.2f}", f"{far:.1e}"]  # noqa: B023


TILES = """
import sys, time, torch, zoo, numpy as np

def memory(key):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key)) / 1e6

torch.set_num_threads(1)
tile, precision, path = sys.argv[1:]
model = zoo.load("srgan.x4-mse", precision=precision)
model.reconstruct(np.zeros((16, 16, 3), np.float32))
x = np.random.default_rng(0).random((1024, 1024, 3), dtype=np.float32)
before = memory("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew: a new process has inherited its parent's
start = time.process_time()
model.reconstruct_to(x, path, tile=None if tile == "none" else "auto")
print(time.process_time() - start, memory("VmHWM"), before)
"""


def tiles() -> Iterator[list[str]]:
    """srgan.x4-mse from 1024 to 4096 px into a PNG: whole, and in tiles."""
    with tempfile.TemporaryDirectory() as folder:
        for tile, precision in (("none", "exact"), ("auto", "exact"), ("auto", "fast")):
            command = [sys.executable, "-W", "ignore", "-c", TILES, tile, precision, str(Path(folder) / "a.png")]
            done = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            taken, peak, before = map(float, done)
            yield [{"none": "whole", "auto": "tiles"}[tile], precision, f"{taken:.1f}", f"{peak:.2f}", f"{before:.2f}"]
