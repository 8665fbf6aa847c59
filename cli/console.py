"""What the commands say to whoever is looking."""

from __future__ import annotations

from contextlib import suppress

import click

from zoo.registry.values import UNPRINTABLE


def say(text: str) -> None:
    """A line for whoever is looking, without what a terminal would obey; that nobody can look is no failure."""
    with suppress(OSError):
        click.echo(UNPRINTABLE.sub("?", text), err=True)
