"""``load``: from a name to a model that is ready to use. torch is imported where it is needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from zoo.errors import InputError, ZooError
from zoo.files import is_file
from zoo.registry.licenses import note
from zoo.registry.schema import to_config
from zoo.version import __version__
from zoo.weights.resolve import find
from zoo.weights.verify import cache_folder, keep, sha256_of

if TYPE_CHECKING:
    import torch

    from zoo.backends.onnx_backend import OnnxModel
    from zoo.model import Model

PRECISIONS = ("exact", "fast", "plain")


@overload
def load(
    name: str,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | str = "float32",
    precision: str = "exact",
    runtime: Literal["torch"] = "torch",
    weights: str | os.PathLike[str] | None = None,
) -> Model: ...
@overload
def load(name: str, *, runtime: Literal["onnx"], weights: str | os.PathLike[str] | None = None) -> OnnxModel: ...
def load(
    name: str,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | str = "float32",
    precision: str = "exact",
    runtime: str = "torch",
    weights: str | os.PathLike[str] | None = None,
) -> Model | OnnxModel:
    """A model with its trained weights, in eval mode. ``train()`` makes its parameters trainable.

    Args:
        name: ``model`` (its first checkpoint), ``model.checkpoint``, ``local-dir:FOLDER``, or
            ``hf-hub:OWNER/REPO[@REVISION]``. The last two name a ``config.json`` that says which registered
            model it is.
        device: where the model computes, such as ``cpu``, ``cuda`` or ``mps``.
        dtype: what it computes in: float32, bfloat16, float16 or float64, as torch's or as a name.
        precision: how the verbs compute in float32. "exact" for rewrites that agree with the plain network to 1e-5 of
            the range, "fast" for bfloat16 as well, where the hardware has it and 45 dB of agreement are kept, "plain"
            for the modules as they are.
        runtime: "torch", or "onnx" for ONNX Runtime on the CPU in float32, for which the three above do not count: the
            ONNX files are written when a model is first loaded, which takes torch and some seconds, and kept in the
            zoo's cache; later calls do not import torch.
        weights: a folder to look in before the Hub, or a safetensors file to load instead.

    Returns:
        A :class:`~zoo.model.Model`; its ``entry`` has the facts.

    Raises:
        InputError: for a name, device or file that does not exist.
        WeightsError: if the weights cannot be had, are corrupted or do not fit, or the network cannot be written as
            ONNX.
        ZooError: for ONNX Runtime if it is not installed.
    """
    if runtime == "onnx":
        return _load_onnx(name, weights)
    if runtime != "torch":
        raise InputError(f"runtime cannot be {runtime!r}: choose torch or onnx.")
    if precision not in PRECISIONS:
        raise InputError(f"precision cannot be {precision!r}: choose exact, fast or plain.")
    from zoo.networks import read_model, to_device, to_dtype

    chosen, place = to_dtype(dtype), to_device(device)
    entry, path = find(name, weights)
    note(entry)
    # Others than those with a prefix were checked when they were registered.
    return read_model(entry, path, dtype=chosen, device=place, precision=precision, check=":" in name)


def _load_onnx(name: str, weights: str | os.PathLike[str] | None) -> OnnxModel:
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        raise ZooError("ONNX needs more packages: pip install 'generative-zoo[onnx]'.") from None
    import hashlib
    from tempfile import TemporaryDirectory

    from zoo.backends.onnx_backend import OnnxModel, files_of
    from zoo.inference.verbs import Verbs, calls_of

    entry, path = find(name, weights)
    note(entry)
    what = f"{__version__} {to_config(entry)} {entry.sha256 or sha256_of(path)}"
    cache = cache_folder()
    kept = cache and cache / "onnx" / f"{entry.name}-{hashlib.sha256(what.encode()).hexdigest()[:16]}.onnx"
    calls = calls_of(entry.verbs)
    files = files_of(calls, kept) if kept else {}
    if files and all(map(is_file, files.values())):
        try:
            return OnnxModel(entry, files)
        except Exception:  # noqa: S110 - whatever a damaged file causes in ONNX Runtime: it is written anew
            pass
    from zoo.backends.onnx_export import export

    network = load(name, weights=weights)
    if type(network).draw is not Verbs.draw:
        raise InputError(f"{name} draws its latents in its own way, which needs torch: leave out the runtime.")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        export(network, file)
        written = files_of(calls, file)
        model = OnnxModel(entry, written)
        for call, path in written.items():
            keep(files.get(call), path.read_bytes())
    return model
