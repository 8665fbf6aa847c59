"""Every notebook in docs/notebooks runs from its first cell to its last, and is kept without results."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code), "clear its results before it is committed"
    before = set(path.parent.iterdir())
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": path.parent}}).execute()
    assert set(path.parent.iterdir()) == before, "it writes beside itself: use tempfile"
