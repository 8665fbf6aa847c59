"""Models through ONNX Runtime: the same verbs, and torch is not imported."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from zoo import __version__
from zoo.entry import Entry
from zoo.errors import InputError, ZooError
from zoo.files import is_file
from zoo.licenses import note
from zoo.reading import Array
from zoo.schema import to_config
from zoo.verbs import Verbs, calls_of
from zoo.weights import cache_folder, find, keep, sha256_of


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
        files: what :func:`zoo.onnx.export` wrote, by call.
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
            self.reach = facts["reach"]
            self.latent_shape = tuple(facts["latent_shape"]) if facts["latent_shape"] else None

    def required_conditions(self, call: str) -> set[str]:
        """Inputs of the file beside the first."""
        return {given.name for given in self.sessions[call].get_inputs()[1:]}

    def _run(self, call: str, x: Array, conditions: Mapping[str, Any]) -> Array:
        session = self.sessions[call]
        given = {session.get_inputs()[0].name: np.ascontiguousarray(x), **conditions}
        made: Array = session.run(None, given)[0]
        return made


def load(name: str, *, weights: str | os.PathLike[str] | None = None) -> OnnxModel:
    """A model with its trained weights, in ONNX Runtime, on the CPU, in float32.

    The ONNX files are written when a model is first loaded, which takes torch and some seconds, and kept in the zoo's
    cache, if that can be written.

    Args:
        name: as :func:`zoo.load` takes it.
        weights: likewise.

    Raises:
        InputError: as :func:`zoo.load`, and for a generator whose latents are not standard normal.
        WeightsError: as :func:`zoo.load`, and for a network that cannot be written as ONNX.
        ZooError: if ONNX Runtime is not installed.
    """
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        raise ZooError("ONNX needs more packages: pip install 'generative-zoo[onnx]'.") from None
    entry, path = find(name, weights)
    note(entry)
    what = f"{__version__} {to_config(entry)} {entry.sha256 or sha256_of(path)}"
    cache = cache_folder()
    kept = cache and cache / "onnx" / f"{entry.name}-{hashlib.sha256(what.encode()).hexdigest()[:16]}.onnx"
    calls = calls_of(entry.verbs)
    found = files_of(calls, kept) if kept else {}
    if found and all(map(is_file, found.values())):
        try:
            return OnnxModel(entry, found)
        except Exception:  # noqa: S110 - whatever a damaged file causes in ONNX Runtime: it is written anew
            pass
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        _write(name, weights, file)
        written = files_of(calls, file)
        made = OnnxModel(entry, written)
        for call, path in written.items():
            keep(found.get(call), path.read_bytes())
    return made


def _write(name: str, weights: str | os.PathLike[str] | None, file: Path) -> None:
    from zoo.loading import load
    from zoo.onnx import export

    model = load(name, weights=weights)
    if type(model).draw is not Verbs.draw:
        raise InputError(f"{name} draws its latents in its own way, which needs torch: leave out the runtime.")
    export(model, file)
