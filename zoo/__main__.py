"""``python -m zoo``: the command."""

from zoo.cli import main  # type: ignore[import-not-found]  # made of cli/ when it is installed

main(prog_name="zoo")
