"""The page about a training is whole, valid, says what it must, and draws whatever a log may hold."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import sample_image
from hypothesis import given
from hypothesis import strategies as st

from zoo.training.report import _labels, compact, nice_ticks, write_report

SVG = "{http://www.w3.org/2000/svg}"
VOID = {"meta", "img"}


class Page(HTMLParser):
    """What a page holds; fails where tags are not closed in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text("utf-8")
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.tags if name == tag and attributes.items() <= found.items()]

    def charts(self) -> Iterator[ET.Element]:
        for chart in re.findall(r"<svg.*?</svg>", self.source, re.DOTALL):
            yield ET.fromstring(chart)

    def chart(self, words: str) -> ET.Element:
        (found,) = (chart for chart in self.charts() if words in chart.findtext(f"{SVG}title", ""))
        return found


def lines_of(chart: ET.Element) -> list[str]:
    return [path.attrib["d"] for path in chart.iter(f"{SVG}path") if path.get("fill") == "none"]


def report(out: Path, **given: Any) -> Page:
    defaults: dict[str, Any] = {"title": "A run", "facts": {}, "log": [], "warnings": [], "grids": [], "best_step": 0}
    path = write_report(out, **defaults | given)
    assert path == out / "report.html"
    return Page(path)


def grids(folder: Path, n: int) -> list[tuple[int, Path]]:
    made = [(1000 * i, folder / "samples" / f"{i}.png") for i in range(n)]
    (folder / "samples").mkdir()
    for _, path in made:
        sample_image(40, 20).save(path)
    return made


LOG: list[dict[str, Any]] = [
    {"step": 100, "metric": 300, "loss_d": 1.2, "loss_g": 0.8, "d_real": 0.9, "rate": 2e-4, "seconds": 5.0},
    {"step": 200, "metric": 80.5, "loss_d": 1.3, "loss_g": None, "d_real": 0.8, "rate": 2e-4, "kept": True},
    {"step": 300, "metric": math.inf, "loss_d": 1.1, "loss_g": 0.9, "d_real": 0.7, "rate": 2e-4, "notes": ["a"]},
    {"step": 400, "metric": 91.26, "loss_d": 0.9, "loss_g": 1.0, "d_fake": 0.2, "rate": 2e-4, "word": "b"},
]


def test_everything_from_outside_is_said_and_escaped(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script> & \"more\""
    page = report(
        tmp_path,
        title=evil,
        facts={"data & seed": "7 < 8", evil: "\udcff.npz"},
        log=[{"step": 1, "<b>_&": 1.0, "<b>_'": 2.0}],
        warnings=[(1200, "The discriminator wins."), (1300, evil)],
    )
    assert not page.all("script")
    assert page.text.count(evil) == 4  # title, heading, fact, warning
    for words in ("Step 1,200: The discriminator wins.", "data & seed", "7 < 8", "?.npz", "<b>_&", "<b>_'"):
        assert words in page.text
    assert "No warnings" not in page.text


def test_nothing_yet(tmp_path: Path) -> None:
    page = report(tmp_path)
    assert "No warnings." in page.text
    assert "Nothing was measured yet." in page.text
    assert not page.all("svg")
    assert not page.all("img")


def test_the_page_needs_nothing_else_and_leaves_nothing_else(tmp_path: Path) -> None:
    made = grids(tmp_path, 3)
    (tmp_path / "report.html").write_text("an older one")
    page = report(tmp_path, log=LOG, grids=made, best_step=1000)
    assert "http" not in page.source.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "samples"]
    assert page.source == report(tmp_path, log=LOG, grids=made, best_step=1000).source
    assert page.source.startswith("<!DOCTYPE html>")
    assert [meta["charset"] for meta in page.all("meta") if "charset" in meta] == ["utf-8"]


def test_keys_with_one_beginning_share_a_chart(tmp_path: Path) -> None:
    page = report(tmp_path, log=LOG, best_step=200)
    charts = list(page.charts())
    titles = [chart.findtext(f"{SVG}title", "") for chart in charts]
    assert titles == [
        "metric at the end: 91.3",
        "loss_d at the end: 0.9; loss_g at the end: 1",
        "d_real at the end: 0.7; d_fake at the end: 0.2",
        "rate at the end: 2e-4",
    ]
    assert [len(lines_of(chart)) for chart in charts] == [1, 2, 2, 1]
    assert all(chart[0].tag == f"{SVG}title" for chart in charts)


def test_gaps_are_gaps(tmp_path: Path) -> None:
    page = report(tmp_path, log=LOG, best_step=200)
    d, g = lines_of(page.chart("loss"))
    assert d.count("M") == 1
    assert d.count("L") == 3
    assert g.count("M") == 2  # a dot, and a line
    assert len(list(page.chart("loss").iter(f"{SVG}circle"))) == 3
    assert not re.search(r"\b(nan|inf)\b", page.source, re.IGNORECASE)
    again = report(tmp_path / "again", log=json.loads(json.dumps(LOG).replace("Infinity", "null")), best_step=200)
    assert again.source == page.source
    lost = report(tmp_path, log=[{"step": 1, "loss": math.nan}, {"step": 2, "loss": -math.inf}])
    assert lines_of(lost.chart("loss at the end: no number")) == [""]


def test_a_repeated_step_counts_once(tmp_path: Path) -> None:
    log = [{"step": 10, "loss": 1.0}, {"step": 20, "loss": 9.0}, {"step": 20, "loss": 2.0}, {"step": 30, "loss": 3.0}]
    page = report(tmp_path, log=log)
    assert page.source == report(tmp_path, log=log[:1] + log[2:]).source


@pytest.mark.parametrize("values", [[3.0], [0.0], [5, 5, 5], [-2.0, -2.0], [1e-30, 1e30], [10**400, 1], [5e-324, 0]])
def test_few_equal_and_extreme_values_draw(tmp_path: Path, values: list[float]) -> None:
    page = report(tmp_path, log=[{"step": i, "loss": value} for i, value in enumerate(values)])
    (chart,) = page.charts()
    for dot in chart.iter(f"{SVG}circle"):
        assert 10 <= float(dot.attrib["cy"]) <= 164
        assert 52 <= float(dot.attrib["cx"]) <= 344
    assert len(list(chart.iter(f"{SVG}circle"))) > 0


def test_best_step_and_warnings_are_marked(tmp_path: Path) -> None:
    page = report(tmp_path, log=LOG, best_step=200, warnings=[(50, "a"), (300, "b"), (300, "c")])
    for chart in page.charts():
        marks = [(p.get("class"), p.attrib["d"].split()[0]) for p in chart.iter(f"{SVG}path") if p.get("class")]
        assert marks == [("warning", "M88.5"), ("warning", "M271.0"), ("best", "M198.0")]
    assert "best step, 200" in page.text


def test_the_best_grid_is_large_and_few_others_small(tmp_path: Path) -> None:
    made = grids(tmp_path, 40)
    page = report(tmp_path, grids=[*made, (99_000, tmp_path / "missing.png")], best_step=17_000)
    images = page.all("img")
    assert images[0]["alt"] == "Samples at step 17,000"
    assert images[0]["width"] == "640"
    steps = [int((found["alt"] or "").rpartition(" ")[2].replace(",", "")) for found in images[1:]]
    assert len(steps) == 12
    assert (steps[0], steps[-1]) == (0, 39_000)
    assert {b - a for a, b in pairwise(steps)} <= {3000, 4000}
    assert all((found["src"] or "").startswith("data:image/png;base64,iVBOR") for found in images)
    assert "Step 17,000, the best" in page.text
    last = report(tmp_path, grids=made[:5], best_step=17_000).all("img")
    assert [found["alt"] for found in last] == [
        f"Samples at step {step}" for step in ("4,000", 0, "1,000", "2,000", "3,000")
    ]


NUMBERS = st.floats(-1e100, 1e100)


@given(NUMBERS, NUMBERS)
def test_ticks_are_few_round_and_around(one: float, two: float) -> None:
    low, high = sorted((one, two))
    ticks = nice_ticks(low, high)
    step = ticks[1] - ticks[0]
    assert 3 <= len(ticks) <= 5
    assert ticks[0] - 1e-3 * step <= low
    assert high <= ticks[-1] + 1e-3 * step
    assert [b - a for a, b in pairwise(ticks)] == pytest.approx([step] * (len(ticks) - 1), 1e-3)
    assert f"{step:.1e}"[:3] in ("1.0", "2.0", "2.5", "5.0")
    assert len(set(_labels(ticks))) == len(ticks)


def test_ticks() -> None:
    assert nice_ticks(0, 1) == [0, 0.25, 0.5, 0.75, 1]
    assert nice_ticks(0.3, 0.7) == [0.3, 0.4, 0.5, 0.6, 0.7]
    assert nice_ticks(12, 310) == [0, 100, 200, 300, 400]
    assert nice_ticks(-0.9, 1.1) == [-1, 0, 1, 2]
    assert nice_ticks(0, 0) == [-1, -0.5, 0, 0.5, 1]
    assert nice_ticks(1e-322, 1e-322) == [-1, -0.5, 0, 0.5, 1]
    assert nice_ticks(100, 100) == [90, 95, 100, 105, 110]
    assert _labels([0.998, 0.9985, 0.999]) == ["0.998", "0.9985", "0.999"]
    assert _labels([0, 20_000, 40_000]) == ["0", "20k", "40k"]


def test_numbers_are_compact() -> None:
    shown = {
        0.0: "0",
        0.69314: "0.693",
        -12: "-12",
        999.6: "1k",
        12345: "12.3k",
        2e-5: "2e-5",
        2.5e6: "2.5M",
        1e-12: "1e-12",
    }
    assert {value: compact(value) for value in shown} == shown
    assert compact(3.4e38) == "3.4e38"
    assert compact(-5e-324) == "-4.94e-324"
    assert _labels([0, 5e-5, 1e-4, 1.5e-4]) == ["0", "5e-5", "1e-4", "1.5e-4"]
