"""A network whose module counts to ten million when it is imported.

Paper: https://arxiv.org/abs/0000.00001
"""

from __future__ import annotations

from mutants import Draws

TEN_MILLION = sum(1 for _ in range(10_000_000))


class ImportTime(Draws):
    """Works, after a while."""
