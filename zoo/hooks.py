"""What is called from below and stands above: ``zoo/__init__.py`` sets it, so that nothing has to import upwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Gives the module behind `save_pretrained`, `from_pretrained` and `push_to_hub` of a model.
pretrained: Callable[[], Any]
