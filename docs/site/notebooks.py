"""Notebooks as pages, with what their cells give: they are kept without."""

from __future__ import annotations

import posixpath
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter


def rendered(path: Path, uri: str, run: bool) -> dict[str, str | bytes]:
    """The page of a notebook at ``uri``, and its pictures; ``run`` says whether its cells are run first."""
    notebook = nbformat.read(path, as_version=4)
    if run:
        NotebookClient(
            notebook, timeout=600, startup_timeout=600, resources={"metadata": {"path": path.parent}}
        ).execute()
    folder = path.stem
    resources = {"output_files_dir": folder, "unique_key": folder}
    body, found = MarkdownExporter().from_notebook_node(notebook, resources)
    pictures = {posixpath.join(posixpath.dirname(uri), name): data for name, data in found["outputs"].items()}
    return {uri: body, **pictures}
