"""Networks as ONNX files, which run without torch."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from zoo.backends.onnx_backend import files_of
from zoo.errors import InputError, WeightsError, ZooError
from zoo.files import atomic_write
from zoo.model import Model

CLOSE = 1e-4  # of the largest value: as near as an answer of ONNX Runtime must come to that of torch


class _Answer(nn.Module):
    """What a model answers, with conditions in the order they are declared."""

    def __init__(self, model: Model, call: str) -> None:
        super().__init__()
        self.model, self.call = model, call
        assert model.entry
        self.names = [condition.name for condition in model.entry.conditions]

    def forward(self, x: Tensor, *conditions: Tensor) -> Tensor:
        made: Tensor = getattr(self.model, self.call)(x, **dict(zip(self.names, conditions, strict=True)))
        return made


def export(model: Model, path: Path) -> list[Path]:
    """Write a network as ONNX, for any number of samples, and images of any size where it takes them.

    Inputs are ``z (N, ...)`` of ``decode``, ``x (N, C, H, W)`` in [-1, 1] of ``forward``, and the conditions of choice
    as the index ``(N,)``, int64; the output is ``y (N, C, H, W)``. ONNX Runtime must give what torch gives, at two
    sizes.

    Args:
        model: in float32, on the CPU.
        path: the file; :func:`zoo.backends.onnx_backend.files_of` says which ones they are of a model with both verbs.

    Returns:
        What was written.

    Raises:
        ZooError: if onnx, onnxscript and onnxruntime are not installed.
        WeightsError: if the network cannot be written as ONNX or answers otherwise, or the file not be written.
    """
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401 - torch.onnx needs it
    except ImportError:
        raise ZooError("ONNX needs more packages: pip install 'generative-zoo[onnx]'.") from None
    files = files_of(model.calls, path)
    for call, file in files.items():
        _export(model, call, file)
    return list(files.values())


def _export(model: Model, call: str, path: Path) -> None:
    import onnxruntime

    assert model.entry
    network = _Answer(model, call)
    try:
        examples = (model.example(call, 2), model.example(call, 3))
        first, second = ((x, *conditions.values()) for x, conditions in examples)
    except InputError as error:
        raise WeightsError(f"{model.entry.name} cannot be written as ONNX: {error}") from None
    names = ["z" if call == "decode" else "x", *network.names]
    any_size = names[0] == "x" and model.entry.input is not None and not model.entry.input.size
    dims = [dict.fromkeys((0, 2, 3) if any_size and x.ndim == 4 else (0,), torch.export.Dim.DYNAMIC) for x in first]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                first,
                dynamo=True,
                dynamic_shapes=(dims[0], *([tuple(dims[1:])] if dims[1:] else [])),
                input_names=names,
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
        with atomic_write(path) as aside:
            assert program is not None
            facts = {"name": model.entry.name, "reach": model.receptive_radius, "latent_shape": model.latent_shape}
            program.model.metadata_props["zoo"] = json.dumps(facts)
            program.save(str(aside))
            session = onnxruntime.InferenceSession(str(aside), providers=["CPUExecutionProvider"])
            for given in (first, second):
                with torch.inference_mode():
                    wanted = network(*given).numpy()
                found = session.run(None, {name: x.numpy() for name, x in zip(names, given, strict=True)})[0]
                if np.abs(wanted - found).max() > CLOSE * np.abs(wanted).max():
                    raise WeightsError(
                        f"{model.entry.name}: ONNX Runtime answers otherwise than torch; nothing is written."
                    )
    except OSError as error:
        raise WeightsError(f"{path} cannot be written: {error.strerror or error}.") from None
