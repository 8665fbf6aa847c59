"""What every recipe shares: data, batches, averaged weights, and a run that can be broken off and resumed.

A recipe is run as ``python -m zoo.recipes.NAME CHECKPOINT --data FILE --out FOLDER``. Nothing here is
needed to use a model.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import lzma
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from zoo.files import whole


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file, also inside xz (``.npz.xz``)."""
    raw = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    with np.load(io.BytesIO(raw)) as file:
        return dict(file)


def read_zip(path: Path, names: list[str], size: int) -> np.ndarray:
    """Square RGB pictures of a ``.zip``, resized (by averaging): uint8 ``(N, size, size, 3)``."""
    with zipfile.ZipFile(path) as file:
        pictures = (Image.open(io.BytesIO(file.read(name))).convert("RGB") for name in names)
        return np.stack([np.asarray(p.resize((size, size), Image.Resampling.BOX)) for p in pictures])


def to_tensor(pictures: np.ndarray) -> Tensor:
    """uint8 ``(N, H, W)`` or ``(N, H, W, C)`` to float ``(N, C, H, W)`` in [-1, 1]."""
    if pictures.ndim == 3:
        pictures = pictures[..., None]
    return torch.from_numpy(pictures.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)


def batch_indices(step: int, size: int, batch: int, seed: int) -> Tensor:
    """Which of ``size`` pictures form the batch of ``step``: every epoch is a new permutation.

    A function of the step alone, so that a resumed run sees the same batches as an unbroken one.
    """
    per_epoch = size // batch
    epoch, position = divmod(step, per_epoch)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
    return order[position * batch : (position + 1) * batch]


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


def save_weights(network: nn.Module, path: Path) -> None:
    """Write the state dict as float16 safetensors; a file that is there is replaced in one go."""
    state = {
        key: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for key, value in network.state_dict().items()
    }
    with whole(path) as aside:
        save_file(state, aside, metadata={"format": "pt"})
        aside.chmod(0o644)  # safetensors writes files that only their owner can read


class Run:
    """One training run in a folder: ``model.safetensors`` (the best so far), ``log.jsonl``, ``state.pt``.

    Args:
        out: the folder; made if it is missing. If it holds ``state.pt``, the run continues from there.
        steps: length of the whole run.
        parts: what has a ``state_dict`` and must survive a break, by name.
        minutes: stop after so long, with the state saved; the schedule stays that of ``steps``.
    """

    def __init__(self, out: Path, steps: int, parts: Mapping[str, Any], minutes: float | None = None) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.steps, self.parts = out, steps, parts
        self.deadline = time.monotonic() + 60 * minutes if minutes else float("inf")
        self.step, self.best = 0, float("inf")
        self.state = out / "state.pt"
        if self.state.exists():
            saved = torch.load(self.state, weights_only=True)
            self.step, self.best = saved["step"], saved["best"]
            for name, part in parts.items():
                part.load_state_dict(saved[name])

    def __iter__(self) -> Iterator[int]:
        """The steps still to do; each seeds torch by itself, so that a break changes nothing."""
        while self.step < self.steps and time.monotonic() < self.deadline:
            torch.manual_seed(self.step)
            self.step += 1  # what is saved while a step is at work counts it as done
            yield self.step - 1
        self.save()

    def save(self) -> None:
        states = {name: part.state_dict() for name, part in self.parts.items()}
        with whole(self.state) as aside:
            torch.save({"step": self.step, "best": self.best, **states}, aside)

    def keep_best(self, network: nn.Module, figure: float, **facts: float) -> None:
        """Log the figure (smaller is better), save the network if it is the best so far."""
        if figure < self.best:
            self.best = figure
            save_weights(network, self.out / "model.safetensors")
        line = {"step": self.step, "figure": figure, "best": self.best, **facts}
        with (self.out / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def main(recipes: Mapping[str, tuple[Callable[..., None], Callable[..., None]]], description: str | None) -> None:
    """The command line of a recipe file.

    Args:
        recipes: for each checkpoint a function that trains it and one that measures the trained one.
        description: for ``--help``.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkpoint", choices=recipes)
    parser.add_argument("--data", type=Path, required=True, help="the data file")
    parser.add_argument("--features", type=Path, help="MobileNetV2 weights, where the recipe measures with them")
    parser.add_argument("--measure", action="store_true", help="print the figures of the zoo's checkpoint instead")
    parser.add_argument("--out", type=Path, help="folder of the run; a run that is there continues")
    parser.add_argument("--steps", type=int, help="length of the run, instead of the recipe's")
    parser.add_argument("--minutes", type=float, help="stop after so long; run again to continue")
    given = {key: value for key, value in vars(parser.parse_args()).items() if value is not None}
    train, measure = recipes[given.pop("checkpoint")]
    if given.pop("measure"):
        measure(**given)
    elif "out" not in given:
        parser.error("--out is needed to train")
    else:
        train(**given)
