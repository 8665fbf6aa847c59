"""Models through ONNX Runtime: the same verbs, and torch is not imported."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.arrays import Array
from zoo.inference.verbs import Verbs
from zoo.registry.facts import Entry


def files_of(calls: Sequence[str], path: Path) -> dict[str, Path]:
    """The ONNX files of a model by call: ``path`` for one call, and beside it for the two of a model with both verbs.

    ``vae.onnx`` becomes ``vae-decode.onnx``, for ``generate``, and ``vae-forward.onnx``, for ``reconstruct``.
    """
    if len(calls) == 1:
        return {calls[0]: path}
    return {call: path.with_name(f"{path.stem}-{call}{path.suffix}") for call in calls}


class OnnxModel(Verbs):
    """A model in ONNX Runtime, with the verbs of :class:`zoo.model.Model`.

    Args:
        entry: the facts of the model.
        files: what :func:`zoo.backends.onnx_export.export` wrote, by call.
    """

    def __init__(self, entry: Entry, files: Mapping[str, Path]) -> None:
        import onnxruntime

        self.entry = entry
        self.sessions = {
            call: onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            for call, path in files.items()
        }
        for session in self.sessions.values():  # all say the same
            facts = json.loads(session.get_modelmeta().custom_metadata_map["zoo"])
            self.receptive_radius = facts["reach"]
            self.latent_shape = tuple(facts["latent_shape"]) if facts["latent_shape"] else None

    why_required = " in ONNX Runtime, where none is left to the network"

    def required_conditions(self, call: str) -> set[str]:
        """Inputs of the file beside the first."""
        return {one.name for one in self.sessions[call].get_inputs()[1:]}

    def _run(self, call: str, x: Any, conditions: Mapping[str, Any]) -> Any:
        session = self.sessions[call]
        inputs = {session.get_inputs()[0].name: x, **conditions}
        inputs = {name: np.ascontiguousarray(value) for name, value in inputs.items()}
        outputs: list[Array] = session.run(None, inputs)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)
