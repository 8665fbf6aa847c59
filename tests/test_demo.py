"""The page of `zoo demo`: what its controls give a model, what a Space needs, and the page where there is Chromium."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from zoo.registry.facts import Condition
from zoo.registry.index import info

gradio = pytest.importorskip("gradio", reason="the extra [demo] is not installed")
from zoo.demo import controls, page  # noqa: E402

Command = Callable[..., Result]


@pytest.mark.parametrize(
    ("condition", "kind", "value", "given"),
    [
        (Condition("digit", "choice", choices=(1, 2), default=2), gradio.Dropdown, "1", 1),
        (Condition("color", "choice", choices=("red",)), gradio.Dropdown, controls.AS_IT_IS, None),
        (Condition("strength", "number", minimum=0, maximum=2), gradio.Slider, 0.5, 0.5),
        (Condition("steps", "integer"), gradio.Number, 3, 3),
        (Condition("text", "text"), gradio.Textbox, "a face", "a face"),
        (Condition("text", "text"), gradio.Textbox, "", None),
        (Condition("points", "keypoints"), gradio.Textbox, "3,5 7,9", [[3, 5], [7, 9]]),
        (Condition("like", "image"), gradio.Image, "a.png", "a.png"),
        (Condition("frames", "image", count=(1, 8)), gradio.File, ["a.png", "b.png"], ["a.png", "b.png"]),
    ],
)
def test_a_control_for_every_condition(condition: Condition, kind: type, value: object, given: object) -> None:
    assert isinstance(controls.control(condition), kind)
    keywords = controls.given([condition], [value])
    assert (keywords == {}) if given is None else np.array_equal(keywords[condition.name], given)


def test_a_painted_mask() -> None:
    photo, layer = Image.new("RGBA", (8, 6), "red"), Image.new("RGBA", (8, 6))
    assert controls.painted({"background": None, "layers": []}) == (None, None)
    assert controls.painted({"background": photo, "layers": [layer]}) == (photo, None)
    layer.putpixel((3, 2), (255, 255, 255, 128))
    mask = controls.painted({"background": photo, "layers": [layer]})[1]
    assert np.argwhere(np.asarray(mask) == 255).tolist() == [[2, 3]]


def test_generating_says_how_to_do_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    entry = info("cdcgan")
    shown, file, python, command = page._generate(entry, entry.conditions, 4, 7, "exact", "3")
    assert command == "zoo generate cdcgan.mnist -n 4 --seed 7 -c digit=3 -o out.png"
    monkeypatch.chdir(tmp_path)
    exec(python, {})
    assert Path(shown).read_bytes() == Path(file).read_bytes() == Path("out.png").read_bytes()


def test_a_wrong_input_is_one_sentence() -> None:
    entry = info("conv-ae")
    with pytest.raises(gradio.Error, match="There is no input yet: upload one, or click an example"):
        page._safely(page._reconstruct)(entry, None, [], None, None, "exact")


def test_a_space(zoo_command: Command, tmp_path: Path) -> None:
    done = zoo_command("demo", "dcgan", "--export", tmp_path / "space")
    assert done.exit_code == 0, done.output
    assert 'launch(["dcgan"])' in (tmp_path / "space" / "app.py").read_text()
    assert "generative-zoo[demo]==" in (tmp_path / "space" / "requirements.txt").read_text()
    assert f"sdk_version: {gradio.__version__}\n" in (tmp_path / "space" / "README.md").read_text()
    assert "is not an empty folder" in zoo_command("demo", "--export", tmp_path / "space").stderr
    assert "--export serves nothing" in zoo_command("demo", "--export", tmp_path / "x", "--port", "1").stderr
    assert "There is no model 'nothing'" in zoo_command("demo", "nothing").stderr


@pytest.fixture
def address() -> Iterator[str]:
    """Of a page that is served."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = subprocess.Popen(
        [sys.executable, "-m", "zoo", "demo", "dcgan", "conv-ae", "--port", str(port)],
        env={**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    place = f"http://127.0.0.1:{port}/"
    for _ in range(300):
        time.sleep(0.2)
        try:
            urlopen(place).close()
            break
        except OSError:
            assert served.poll() is None
    yield place
    served.terminate()
    served.wait()


def test_in_a_browser(address: str, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not (chromium := shutil.which("chromium")):
        pytest.skip("Chromium is not installed")
    elsewhere: list[str] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.on("request", lambda one: one.url.startswith((address, "data:", "blob:")) or elsewhere.append(one.url))
        tab.goto(address)
        result = tab.locator("img[src*='images.png']")

        tab.get_by_role("button", name="Generate", exact=True).click()
        first = result.first.get_attribute("src", timeout=60_000)
        tab.get_by_label("Seed", exact=True).fill("1")
        tab.get_by_role("button", name="Generate", exact=True).click()
        tab.locator(f"img[src='{first}']").wait_for(state="detached", timeout=60_000)
        assert result.first.get_attribute("src", timeout=60_000)
        browser.close()
    assert not elsewhere
