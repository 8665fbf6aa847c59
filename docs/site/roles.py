"""Docstrings as Markdown: roles, such as those for functions and classes, become links, and examples code."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, NameResolutionError, Object

_ROLE = re.compile(r":(?:func|class|meth|mod|data|attr):`(~?)([\w.]+)`")
_EXAMPLE = re.compile(r"(?:^>>> .*$\n?)+", re.MULTILINE)


class Roles(Extension):
    """Before docstrings are shown, ``:func:`zoo.load``` becomes a link, if what it names is on a page."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Rewrite the docstring of an object."""
        if obj.docstring:
            text = _ROLE.sub(lambda match: _link(obj, match[1], match[2]), obj.docstring.value)
            obj.docstring.value = _EXAMPLE.sub(lambda match: f"```pycon\n{match[0].rstrip()}\n```\n", text)

    def on_package(self, *, pkg: Object, **kwargs: Any) -> None:
        """The same for the package, which is no member of anything."""
        self.on_object(obj=pkg)


def _link(obj: Object, short: str, name: str) -> str:
    try:
        path = obj.resolve(name)
    except NameResolutionError:
        path = name
    shown = name.rpartition(".")[2] if short else name
    return f'<autoref optional identifier="{path}"><code>{shown}</code></autoref>'
