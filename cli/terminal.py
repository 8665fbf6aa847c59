"""Images in a terminal: by kitty's protocol, by iTerm2's, or as Sixel, whichever it knows."""

from __future__ import annotations

import base64
import io
import os
import re
import sys
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

KITTY = {"xterm-kitty", "xterm-ghostty"}  # values of TERM
ITERM = {"iTerm.app", "WezTerm", "mintty"}  # values of TERM_PROGRAM
CHUNK = 4096  # characters that kitty takes at once
SMALLEST = 480  # pixels of the longer side of what is shown: 28 px are a speck
PATIENCE = 0.3  # seconds that a terminal has to answer


def protocol() -> str:
    """How the terminal behind the standard output shows images: ``kitty``, ``iterm``, ``sixel``, or "" for not at all.

    Kitty and iTerm2 are known by the environment; whether another knows Sixel, it is asked.
    """
    environment = os.environ
    if not sys.stdout.isatty() or environment.get("TERM", "dumb").startswith(("dumb", "screen")):
        return ""
    if environment.get("TERM") in KITTY or environment.get("KITTY_WINDOW_ID"):
        return "kitty"
    if environment.get("TERM_PROGRAM") in ITERM or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm"
    return "sixel" if "4" in _attributes() else ""


def show(image: Image, how: str) -> None:
    """Write an image to the standard output, small ones enlarged without smoothing.

    Args:
        image: RGB or grey.
        how: one of :func:`protocol`.
    """
    from PIL.Image import Resampling

    times = max(1, SMALLEST // max(image.size))
    image = image.resize((image.width * times, image.height * times), Resampling.NEAREST).convert("RGB")
    sys.stdout.write({"kitty": _kitty, "iterm": _iterm, "sixel": _sixel}[how](image) + "\n")
    sys.stdout.flush()


def _attributes() -> list[str]:
    """What a terminal says that it can do, by numbers (DA1); 4 is Sixel. Empty where it does not answer."""
    try:
        import select
        import termios
        import tty
    except ImportError:  # on Windows
        return []
    if not sys.stdin.isatty():
        return []
    stream = sys.stdin.fileno()
    answer = b""
    before = termios.tcgetattr(stream)
    try:
        tty.setcbreak(stream)  # or the answer would wait for Enter, and be echoed
        sys.stdout.write("\x1b[c")
        sys.stdout.flush()
        while not answer.endswith(b"c") and select.select([stream], [], [], PATIENCE)[0]:
            answer += os.read(stream, 64)
    finally:
        termios.tcsetattr(stream, termios.TCSANOW, before)
    said = re.search(rb"\x1b\[\?([\d;]*)c", answer)
    return said[1].decode().split(";")[1:] if said else []


def _png(image: Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _kitty(image: Image) -> str:
    """https://sw.kovidgoyal.net/kitty/graphics-protocol/"""
    text = base64.b64encode(_png(image)).decode()
    parts = [text[i : i + CHUNK] for i in range(0, len(text), CHUNK)]
    keys = ["a=T,f=100,", *[""] * (len(parts) - 1)]
    more = [1] * (len(parts) - 1) + [0]
    return "".join(f"\x1b_G{key}m={m};{part}\x1b\\" for key, m, part in zip(keys, more, parts, strict=True))


def _iterm(image: Image) -> str:
    """https://iterm2.com/documentation-images.html"""
    content = _png(image)
    return f"\x1b]1337;File=inline=1;size={len(content)}:{base64.b64encode(content).decode()}\a"


def _sixel(image: Image) -> str:
    """https://vt100.net/docs/vt3xx-gp/chapter14.html: bands of six rows, one color after another."""
    import numpy as np

    reduced = image.quantize(256)
    colors = np.asarray(reduced.getpalette("RGB"), int).reshape(-1, 3) * 100 // 255
    pixels = np.asarray(reduced)
    parts = [f'\x1bPq"1;1;{image.width};{image.height}']
    parts += [f"#{i};2;{r};{g};{b}" for i, (r, g, b) in enumerate(colors)]
    for top in range(0, image.height, 6):
        band = pixels[top : top + 6]
        weights = 1 << np.arange(len(band))[:, None]
        for color in np.unique(band):
            signs = ((band == color) * weights).sum(0)
            runs = ((63 + sign, len(list(run))) for sign, run in groupby(signs.tolist()))
            parts.append(f"#{color}" + "".join(f"!{n}{chr(sign)}" for sign, n in runs) + "$")
        parts.append("-")
    return "".join([*parts, "\x1b\\"])
