"""``python -m zoo.cli``: the command for ``accelerate launch -m``."""

from . import main

main(prog_name="zoo")
