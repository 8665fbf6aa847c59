"""Which weights a model has, for files that only the same weights can read."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from zoo.weights.resolve import find
from zoo.weights.verify import sha256_of


def address_of(model: Any) -> str:
    """The name under which :func:`zoo.load` finds a model from any folder; empty for one that was built by hand."""
    if not model.entry:
        return ""
    prefix, colon, folder = model.entry.address.partition(":")
    if prefix == "local-dir":
        return f"{prefix}:{os.path.abspath(os.path.expanduser(folder))}"  # noqa: PTH100, PTH111 - needs no home
    return f"{prefix}{colon}{folder}"


def weights_of(model: Any) -> str:
    """The sha256 of the file of a loaded model; of its tensors, if it was built by hand or trained since.

    64 hexadecimal digits.
    """
    if model.entry and model.frozen:
        return str(model.entry.sha256 or sha256_of(find(model.entry.address)[1]))
    seen = hashlib.sha256()
    for key, x in model.state_dict().items():
        seen.update(key.encode() + x.detach().cpu().float().contiguous().numpy().tobytes())
    return seen.hexdigest()
