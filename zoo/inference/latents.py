"""Latents as users keep them: arrays, tensors, and .npy files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from zoo.arrays import Array
from zoo.errors import InputError, MediaError
from zoo.files import atomic_write, is_file

ENDING = ".npy"


def to_latents(source: Any, shape: tuple[int, ...]) -> Array:
    """Latents ``(N, *shape)`` as float32.

    Args:
        source: an array or a tensor ``(N, *shape)`` or ``(*shape)``, or the path of a .npy file with such an array.
        shape: of one latent.

    Raises:
        InputError: for another shape, no numbers, or values that are not finite.
    """
    what = "The latents" if not isinstance(source, (str, os.PathLike)) else str(source)
    try:
        if isinstance(source, (str, os.PathLike)):
            values = _read(Path(source))
        else:
            values = np.asarray(source.detach().cpu().float() if hasattr(source, "detach") else source)
    except (RuntimeError, TypeError, ValueError) as error:  # sparse, on the meta device, lists of several lengths
        raise InputError(f"{what} cannot be read as an array: {str(error).splitlines()[0].rstrip('.')}.") from None
    if values.dtype.kind not in "fiu":
        raise InputError(f"{what} must be numbers, not of the type {values.dtype}.")
    if values.shape == shape:
        values = values[None]
    if values.shape[1:] != shape or not len(values):
        raise InputError(f"{what} must have the shape (N, {', '.join(map(str, shape))}), not {values.shape}.")
    if not np.isfinite(values).all():
        raise InputError(f"{what} must be finite: some values are NaN or infinite.")
    return values.astype(np.float32)


def _read(path: Path) -> Array:
    """The array of a .npy file; nothing is unpickled."""
    if not is_file(path):
        raise InputError(f"{path} {'is no file' if path.exists() else 'does not exist'}: name a .npy file of latents.")
    try:
        with path.open("rb") as file:
            values: Array = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError, MemoryError):
        raise InputError(f"{path} is no .npy file of numbers, or it is cut off: name one with latents.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    return values


def save_latents(latents: Array, path: Path) -> None:
    """Write latents ``(N, ...)`` to a .npy file.

    Raises:
        MediaError: where the disk does not take it.
    """
    try:
        with atomic_write(path) as aside, aside.open("wb") as file:
            np.lib.format.write_array(file, latents, allow_pickle=False)
    except OSError as error:
        raise MediaError(f"{path} cannot be written: {error.strerror or error}.") from None
