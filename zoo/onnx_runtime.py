"""Models through ONNX Runtime: the same verbs, and torch is not imported."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
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
from zoo.verbs import Verbs
from zoo.weights import cache_folder, find, keep, sha256_of


class OnnxModel(Verbs):
    """A model in ONNX Runtime, with the verbs of :class:`zoo.model.Model`.

    Args:
        entry: the facts of the model.
        path: a file that :func:`zoo.onnx.export` wrote.
    """

    def __init__(self, entry: Entry, path: Path) -> None:
        import onnxruntime

        self.entry = entry
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        facts = json.loads(self.session.get_modelmeta().custom_metadata_map["zoo"])
        self.reach = facts["reach"]
        self.latent_shape = tuple(facts["latent_shape"]) if facts["latent_shape"] else None
        self.inputs = [given.name for given in self.session.get_inputs()]

    @property
    def _needed(self) -> set[str]:
        return set(self.inputs[1:])

    def _answer(self, x: Array, conditions: Mapping[str, Any]) -> Array:
        given = {self.inputs[0]: np.ascontiguousarray(x), **conditions}
        made: Array = self.session.run(None, given)[0]
        return made


def load(name: str, *, weights: str | os.PathLike[str] | None = None) -> OnnxModel:
    """A model with its trained weights, in ONNX Runtime, on the CPU, in float32.

    The ONNX file is written when a model is first loaded, which takes torch and some seconds, and kept in the zoo's
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
    if kept and is_file(kept):
        try:
            return OnnxModel(entry, kept)
        except Exception:  # noqa: S110 - whatever a damaged file causes in ONNX Runtime: it is written anew
            pass
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        _write(name, weights, file)
        made = OnnxModel(entry, file)
        keep(kept, file.read_bytes())
    return made


def _write(name: str, weights: str | os.PathLike[str] | None, file: Path) -> None:
    from zoo.loading import load
    from zoo.onnx import export

    model = load(name, weights=weights)
    if type(model).draw is not Verbs.draw:
        raise InputError(f"{name} draws its latents in its own way, which needs torch: leave out the runtime.")
    export(model, file)
