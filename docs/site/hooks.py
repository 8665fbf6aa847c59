"""What mkdocs calls while it builds the site: it adds the pages that are made, and leads links to them."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from notebooks import rendered
from pages import API, DOCS, TOP, checkpoints, home, pages

# Files outside docs/ that are on the site; the README is its home.
OUTSIDE = [*TOP.glob("*.md"), TOP / "LICENSE", *TOP.glob("examples/*/CREDITS.md")]
_LINK = re.compile(r'(?<=\]\()([^)#:\s]+)|(?<=src=")([^":]+)')
_made: set[str] = set()  # pages that no file holds
_origins: dict[str, Path] = {}  # the folder that links of a page start from


def uri(path: Path) -> str:
    """Where a file is on the site."""
    if path == TOP / "README.md":
        return "index.md"
    return path.relative_to(DOCS if path.is_relative_to(DOCS) else TOP).as_posix().replace(".ipynb", ".md")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add pages of models, of the API, of notebooks, and what is outside docs/."""
    made: dict[str, str | bytes] = {**pages()}
    for path in OUTSIDE:
        made[uri(path)] = home(checkpoints()) if path.name == "README.md" else path.read_text("utf-8")
        _origins[uri(path)] = path.parent
    for path in sorted(DOCS.glob("notebooks/*.ipynb")):
        files.remove(files.src_uris[uri(path).replace(".md", ".ipynb")])
        made |= rendered(path, uri(path), run=config.extra["notebooks"])
    _made.update(made)
    for name, content in made.items():
        if name in files.src_uris:
            files.remove(files.src_uris[name])
        files.append(File.generated(config, name, content=content))
    return files


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name the pages of models, notebooks and the API in the navigation."""
    lists = {
        "Models": [{entry.name: f"models/{entry.name}.md"} for entry in checkpoints()],
        "Notebooks": [uri(path) for path in sorted(DOCS.glob("notebooks/*.ipynb"))],
        "Python": [{title: f"api/{title.lower().replace(' ', '-')}.md"} for title in API],
    }
    _fill(config.nav, lists)
    return config


def _fill(nav: list[Any], lists: dict[str, list[Any]]) -> None:
    """Put lists behind what the sections of their titles have."""
    for item in nav:
        for title, inner in item.items():
            if isinstance(inner, list):
                inner += lists.get(title, [])
                _fill([one for one in inner if isinstance(one, dict)], lists)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to where on the site the files are that they lead to on GitHub."""
    here = page.file.src_uri
    origin = _origins.get(here, (DOCS / here).parent)

    def place(match: re.Match[str]) -> str:
        target = (origin / match[0]).resolve()
        if not target.is_relative_to(TOP) or not (target.is_file() or uri(target) in _made):
            return match[0]  # no link, or a dead one, which mkdocs finds
        return posixpath.relpath(uri(target), posixpath.dirname(here))

    return _LINK.sub(place, markdown)
