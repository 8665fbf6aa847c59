"""Networks as ONNX files, which run without torch."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.entry import Entry
from zoo.errors import WeightsError, ZooError
from zoo.files import whole
from zoo.model import Generator, Model

CLOSE = 1e-4  # of the largest value: as near as an answer of ONNX Runtime must come to that of torch


class _Decode(nn.Module):
    """A generator as a network from latents to pictures."""

    def __init__(self, model: Generator) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, **conditions: Tensor) -> Tensor:
        made: Tensor = self.model.decode(z, **conditions)
        return made


def export(model: Model, path: Path) -> None:
    """Write a network as ONNX, for any number of samples, and pictures of any size where it takes them.

    Inputs are ``z (N, ...)`` for a generator, ``x (N, C, H, W)`` in [-1, 1] otherwise, and the conditions of choice as
    the index ``(N,)``, int64; the output is ``y (N, C, H, W)``. ONNX Runtime must give what torch gives, at two sizes.

    Args:
        model: in float32, on the CPU.
        path: the file.

    Raises:
        ZooError: if onnx, onnxscript and onnxruntime are not installed.
        WeightsError: if the network cannot be written as ONNX or answers otherwise, or the file not be written.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 - torch.onnx needs it
    except ImportError:
        raise ZooError("ONNX needs more packages: pip install 'generative-zoo[onnx]'.") from None
    assert model.entry
    network = _Decode(model) if isinstance(model, Generator) else model
    first, second = (example(model, n) for n in (2, 3))
    dims = {name: _dynamic(name, x, model.entry) for name, x in first.items()}
    if isinstance(network, _Decode):  # which torch.export asks for as its forward has them
        (z, *_), conditions = first, {name: dims[name] for name in list(first)[1:]}
        shapes: dict[str, Any] = {z: dims[z], **({"conditions": conditions} if conditions else {})}
    else:
        shapes = dims
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                kwargs=first,
                dynamo=True,
                dynamic_shapes=shapes,
                input_names=list(first),
                output_names=["y"],
                verbose=False,
            )
    except Exception as error:  # whatever a network's code makes of symbols in place of sizes
        inner: BaseException = error
        while inner.__cause__:
            inner = inner.__cause__
        reason = next(iter(str(inner).strip().splitlines()), type(inner).__name__)
        raise WeightsError(f"{model.entry.name} cannot be written as ONNX: {reason[:300]}") from None
    try:
        with whole(path) as aside:
            assert program is not None
            program.save(str(aside))
            session = onnxruntime.InferenceSession(str(aside), providers=["CPUExecutionProvider"])
            for given in (first, second):
                with torch.inference_mode():
                    wanted = network(**given).numpy()
                found = session.run(None, {name: x.numpy() for name, x in given.items()})[0]
                if np.abs(wanted - found).max() > CLOSE * np.abs(wanted).max():
                    raise WeightsError(
                        f"{model.entry.name}: ONNX Runtime answers otherwise than torch; nothing is written."
                    )
    except OSError as error:
        raise WeightsError(f"{path} cannot be written: {error.strerror or error}.") from None


def example(model: Model, n: int) -> dict[str, Tensor]:
    """Inputs for ``n`` samples, random ones; pictures of another size for another ``n``, where any size is taken."""
    assert model.entry
    random = torch.Generator().manual_seed(n)
    if isinstance(model, Generator):
        made = {"z": torch.randn(n, *model.latent_shape, generator=random)}
    else:
        given = model.entry.input
        assert given is not None
        sides = given.size or (8 * given.multiple * n, 8 * given.multiple * (n + 1))
        made = {"x": torch.rand(n, given.channels or 3, *sides, generator=random) * 2 - 1}
    for condition in model.entry.conditions:
        if condition.kind != "choice":
            raise WeightsError(f"{model.entry.name} cannot be written as ONNX: {condition.name} is no choice.")
        made[condition.name] = torch.randint(len(condition.choices), (n,), generator=random)
    return made


def _dynamic(name: str, x: Tensor, entry: Entry) -> dict[int, Any]:
    """Which dimensions of an input may differ."""
    free = (0, 2, 3) if name == "x" and entry.input and not entry.input.size else (0,)
    return dict.fromkeys(free, torch.export.Dim.DYNAMIC)
