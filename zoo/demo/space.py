"""What a Space on the Hugging Face Hub needs to serve the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import gradio

from zoo.demo.page import entries_of
from zoo.errors import InputError
from zoo.files import atomic_write
from zoo.version import __version__

APP = """from zoo.demo.page import launch

launch({names})
"""
README = """---
title: {title}
sdk: gradio
sdk_version: {gradio}
app_file: app.py
license: apache-2.0
---

{summary}

Licences of weights: {licences}.
"""


def export(folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """Write ``app.py``, ``requirements.txt`` and ``README.md`` into a new or empty folder.

    Args:
        folder: for the files.
        names: of the models on the page, as :func:`zoo.demo.page.page` takes them.

    Raises:
        InputError: for a folder that holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not an empty folder: choose another.")
    entries = entries_of(names)
    title = ", ".join(dict.fromkeys(entry.model for entry in entries)) if names else "zoo"
    files = {
        "app.py": APP.format(names=json.dumps(list(names))),
        "requirements.txt": f"generative-zoo[demo]=={__version__}\n",
        "README.md": README.format(
            title=title[:60],
            gradio=gradio.__version__,
            summary="\n".join(f"- {entry.name}: {entry.summary}" for entry in entries),
            licences=", ".join(dict.fromkeys(entry.license for entry in entries)),
        ),
    }
    for name, text in files.items():
        with atomic_write(folder / name) as aside:
            aside.write_text(text, "utf-8")
    return [folder / name for name in files]
