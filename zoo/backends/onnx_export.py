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
from zoo.errors import WeightsError, ZooError
from zoo.files import atomic_write
from zoo.inference.conditions import space
from zoo.model import Model

CLOSE = 1e-4  # of the largest value: as near as an answer of ONNX Runtime must come to that of torch


class _Answer(nn.Module):
    """What a model answers, with conditions in the order they are declared."""

    def __init__(self, model: Model, call: str) -> None:
        super().__init__()
        self.model, self.call = model, call
        assert model.entry
        self.names = [condition.name for condition in model.entry.conditions]

    def forward(self, x: Tensor, *conditions: Tensor) -> tuple[Tensor, ...]:
        output = getattr(self.model, self.call)(x, **dict(zip(self.names, conditions, strict=True)))
        return output if isinstance(output, tuple) else (output,)


def export(model: Model, path: Path) -> list[Path]:
    """Write a network as ONNX, for any number of samples, of any size where it takes them.

    Inputs are ``z (N, ...)`` of ``decode``, ``x`` of ``forward``, such as ``(N, C, H, W)`` in [-1, 1], and the
    conditions under their names, all as the network takes them; the output is ``y``, and ``y_1``, ... where there are
    several. ONNX Runtime must give what torch gives, at two sizes.

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


def _dynamic_axes(model: Model, call: str) -> list[tuple[int, ...]]:
    """The axes that vary, of the first input and of each condition."""
    reader, _ = model.processors()
    any_size = call == "forward" and not reader.fixed
    first = (0, *(axis + 1 for axis in reader.axes)) if any_size else (0,)
    conditions = model.entry.conditions if model.entry else ()
    return [first, *(space(condition).dynamic_axes(any_size) for condition in conditions)]


def _export(model: Model, call: str, path: Path) -> None:
    import onnxruntime

    assert model.entry
    network = _Answer(model, call)
    examples = (model.example(call, 2), model.example(call, 3))
    first, second = ((x, *conditions.values()) for x, conditions in examples)
    names = ["z" if call == "decode" else "x", *network.names]
    for name, value in zip(names, first, strict=True):
        if not isinstance(value, Tensor):
            what = "texts" if isinstance(value, list) else "several tensors"
            raise WeightsError(f"{model.entry.name} cannot be written as ONNX: {name} is made of {what}: use torch.")
    dims = [dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in _dynamic_axes(model, call)]
    with torch.inference_mode():
        several = len(network(*first))
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
                output_names=["y", *(f"y_{number}" for number in range(1, several))],
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
            for inputs in (first, second):
                with torch.inference_mode():
                    wanted = [y.numpy() for y in network(*inputs)]
                outputs = session.run(None, {name: x.numpy() for name, x in zip(names, inputs, strict=True)})
                pairs = zip(wanted, outputs, strict=True)
                if any(np.abs(ours - y).max() > CLOSE * np.abs(ours).max() for ours, y in pairs):
                    raise WeightsError(
                        f"{model.entry.name}: the outputs of ONNX Runtime and torch differ; nothing is written."
                    )
    except OSError as error:
        raise WeightsError(f"{path} cannot be written: {error.strerror or error}.") from None
