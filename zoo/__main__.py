"""``python -m zoo``: the command."""

from zoo.cli import main

main(prog_name="zoo")
