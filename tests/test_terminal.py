"""What the command shows in a terminal, and plainly elsewhere: colours, tables, images."""

from __future__ import annotations

import base64
import io
import os
import re
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from conftest import sample_image
from PIL import Image
from zoo.cli import doctor, terminal

import zoo

pty = pytest.importorskip("pty", reason="pseudo-terminals are of Unix")
termios = pytest.importorskip("termios")
Command = Callable[..., Result]
CLEAN = {"TERM_PROGRAM": "", "LC_TERMINAL": "", "KITTY_WINDOW_ID": "", "NO_COLOR": "", "TERM": "xterm"}


def in_terminal(*args: str, answer: bytes = b"", columns: int = 80, cwd: Path | None = None, **environment: str) -> str:
    """What `zoo` writes to a terminal, which answers the question for its attributes."""
    lead, end = pty.openpty()
    termios.tcsetwinsize(end, (24, columns))
    command = [sys.executable, "-m", "zoo", *args]
    own = {key: value for key, value in os.environ.items() if key != "COLUMNS"}  # which would stand for the width
    run = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, cwd=cwd, env={**own, **CLEAN, **environment})
    os.close(end)
    written = b""
    while True:
        ready = select.select([lead], [], [], 0.1)[0]
        try:
            block = os.read(lead, 1 << 16) if ready else b""
        except OSError:  # how Linux says that all ends are closed
            break
        if ready and not block:
            break
        written += block
        if b"\x1b[c" in block and answer:
            os.write(lead, answer)
    os.close(lead)
    run.wait()
    return written.decode().replace("\r\n", "\n")


@pytest.fixture(scope="module")
def grid() -> Image.Image:
    sheet = zoo.load("dcgan").generate(4, seed=7).grid()
    times = 480 // max(sheet.size)
    return sheet.resize((sheet.width * times, sheet.height * times), Image.Resampling.NEAREST).convert("RGB")


def same(content: bytes, expected: Image.Image) -> bool:
    with Image.open(io.BytesIO(content)) as image:
        return np.array_equal(np.asarray(image.convert("RGB")), np.asarray(expected))


GENERATE = ("generate", "dcgan", "-n", "4", "--seed", "7")


def test_kitty(grid: Image.Image, tmp_path: Path) -> None:
    written = in_terminal(*GENERATE, cwd=tmp_path, TERM="xterm-kitty")
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", written)
    assert parts[0][0].startswith("a=T,f=100,")
    assert [keys[-1] for keys, _ in parts] == ["1"] * (len(parts) - 1) + ["0"]
    assert max(len(text) for _, text in parts) <= 4096
    assert same(base64.b64decode("".join(text for _, text in parts)), grid)
    assert written.endswith("4 images, seed 7; -o FILE writes a file\n")
    assert not list(tmp_path.iterdir())


def test_iterm(grid: Image.Image, tmp_path: Path) -> None:
    written = in_terminal(*GENERATE, cwd=tmp_path, TERM_PROGRAM="iTerm.app")
    size, text = re.search(r"\x1b\]1337;File=inline=1;size=(\d+):([^\a]*)\a", written).groups()  # type: ignore[union-attr]
    content = base64.b64decode(text)
    assert len(content) == int(size)
    assert same(content, grid)


def test_sixel_where_the_terminal_says_so(grid: Image.Image, tmp_path: Path) -> None:
    written = in_terminal(*GENERATE, cwd=tmp_path, answer=b"\x1b[?62;4;22c")
    drawn = decoded(re.search(r"\x1bP.*?\x1b\\", written, re.S)[0])  # type: ignore[index]
    assert np.abs(drawn - np.asarray(grid, int)).max() <= 3  # of 255: Sixel has colours in hundredths
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("answer", [b"\x1b[?62;22c", b""], ids=["without sixel", "silent"])
def test_a_file_where_no_image_can_be_shown(grid: Image.Image, tmp_path: Path, answer: bytes) -> None:
    written = in_terminal(*GENERATE, cwd=tmp_path, answer=answer)
    assert "dcgan.png: 4 images, seed 7" in written
    assert (tmp_path / "dcgan.png").is_file()


def test_a_file_where_one_is_named(tmp_path: Path) -> None:
    assert "\x1b_G" not in in_terminal(*GENERATE, "-o", "mine.png", cwd=tmp_path, TERM="xterm-kitty")
    assert (tmp_path / "mine.png").is_file()


def decoded(text: str) -> np.ndarray:
    """The picture of a Sixel text."""
    width, height = map(int, re.match(r'\x1bPq"1;1;(\d+);(\d+)', text).groups())  # type: ignore[union-attr]
    colours = {int(i): [int(v) * 255 / 100 for v in rgb] for i, *rgb in re.findall(r"#(\d+);2;(\d+);(\d+);(\d+)", text)}
    picture = np.full((height + 6, width, 3), -1000.0)
    body = re.sub(r"#\d+;2;\d+;\d+;\d+", "", text.partition(f";{width};{height}")[2].removesuffix("\x1b\\"))
    for band, line in enumerate(body.split("-")):
        for colour, runs in re.findall(r"#(\d+)([^#$]*)\$", line):
            x = 0
            for n, sign in re.findall(r"!(\d+)(.)", runs):
                for row in range(6):
                    if (ord(sign) - 63) >> row & 1:
                        picture[6 * band + row, x : x + int(n)] = colours[int(colour)]
                x += int(n)
            assert x == width
    return picture[:height]


def test_sixel_has_every_pixel(capsys: pytest.CaptureFixture[str]) -> None:
    image = sample_image(500, 31).quantize(64).convert("RGB")  # a height that is not six times anything
    terminal.show(image, "sixel")
    assert np.abs(decoded(capsys.readouterr().out.rstrip("\n")) - np.asarray(image, int)).max() <= 3


def test_tables_keep_the_width_of_a_terminal() -> None:
    written = in_terminal("list", "*gan*", columns=70)
    assert "\x1b[" in written
    plain = re.sub(r"\x1b\[[\d;]*m", "", written).partition("Networks without weights")[0]
    assert max(map(len, plain.splitlines())) <= 70
    assert "dcgan.fashion-mnist" in plain
    assert "…" not in plain


def test_no_colours_where_nobody_wants_them() -> None:
    assert "\x1b[" not in in_terminal("list", "dcgan*", NO_COLOR="1", TERM="xterm-256color")
    assert "\x1b[" not in in_terminal("info", "nothing", NO_COLOR="1")
    assert "\x1b[31m\x1b[1mError:\x1b[0m There is no model" in in_terminal("info", "nothing")


def test_zoo_alone_shows_five_commands(zoo_command: Command) -> None:
    shown = zoo_command()
    assert shown.exit_code == 0
    assert re.findall(r"^zoo (\w+)", shown.output, re.M) == ["list", "info", "generate", "reconstruct", "train"]
    assert "zoo --help" in shown.output


def test_doctor(zoo_command: Command) -> None:
    shown = zoo_command("doctor")
    assert shown.exit_code == 0, shown.output
    for word in (
        f"{zoo.__version__}, Python",
        "torch ",
        "device cpu",
        "cache of the Hub",
        "embedded weights",
        "[onnx]",
    ):
        assert word in shown.output


def test_doctor_says_what_is_wrong(zoo_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "broken").mkdir()
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setenv("ZOO_PATH", str(tmp_path / "broken"))
    versions = {"click": "0.1", "faiss-cpu": None}

    def version(name: str) -> str:
        if (given := versions.get(name, "99")) is None:
            raise doctor.metadata.PackageNotFoundError(name)
        return given

    monkeypatch.setattr(doctor.metadata, "version", version)
    try:
        shown = zoo_command("doctor")
    finally:
        zoo.registry.index.registry.cache_clear()
    assert shown.exit_code == 1
    lines = shown.stdout.splitlines()
    for what, state, words in (
        ("click", "wrong", "click 0.1 is not >=8.1: pip install 'click>=8.1'"),
        ("cache of the zoo", "wrong", "cannot be written: set ZOO_CACHE to another folder"),
        ("[search]", "absent", "faiss-cpu is missing: pip install 'generative-zoo[search]'"),
        ("plugins", "wrong", "broken is left out"),
        ("ZOO_PATH", "good", str(tmp_path)),
    ):
        line = next(line for line in lines if line.startswith(what))
        assert state in line
        assert words in line, line
    assert "Wrong: click, cache of the zoo, plugins." in shown.stderr


def test_a_row_is_a_line_in_a_terminal_too_narrow_for_a_table() -> None:
    written = in_terminal("list", "dcgan*", columns=40)
    assert len(written.splitlines()) == 3
    assert "Small photos of flowers from noise." in written
