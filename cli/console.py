"""What the commands say to whoever is looking: lines and tables, in colour where a terminal shows it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

import click

from zoo.registry.values import UNPRINTABLE, printable

NARROWEST = 60  # columns of a terminal that a table is fitted to: in fewer, cells of a letter a line would stand
COLOURS = {"Error": "red", "Warning": "yellow"}


def has_colours(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours, and nobody has set ``NO_COLOR`` (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def say(text: str) -> None:
    """A line for whoever is looking, without what a terminal would obey; that nobody can look is no failure."""
    text = UNPRINTABLE.sub("?", text)
    head, colon, rest = text.partition(":")
    if head in COLOURS and has_colours(sys.stderr):
        text = f"{click.style(head + colon, fg=COLOURS[head], bold=True)}{rest}"
    with suppress(OSError):
        click.echo(text, err=True)


def heading(text: str) -> str:
    """A word that begins a line, bold where that can be seen."""
    return click.style(text, bold=True) if has_colours(sys.stdout) else text


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns, the first row as heading: fitted to a terminal of some width, else a row is a line."""
    rows = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        import shutil  # with compressions that a plain list has no use for

        if shutil.get_terminal_size().columns >= NARROWEST:
            return _fitted_table(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return None


def _fitted_table(rows: Sequence[Sequence[str]]) -> None:
    """A table whose cells are wrapped; rich knows how, and about terminals."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    fitted = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, title in enumerate(rows[0]):
        fitted.add_column(title, no_wrap=number == 0, overflow="fold", style="cyan" if number == 0 else None)
    for row in rows[1:]:
        fitted.add_row(*map(Text, row))
    Console(highlight=False, color_system="auto" if has_colours(sys.stdout) else None).print(fitted)
