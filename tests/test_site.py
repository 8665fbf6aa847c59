"""The site: its pages say what registry and cards say, its links lead somewhere, and it needs no other site."""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from click.testing import Result
from PIL import Image
from test_docs import TOP, workplace  # noqa: F401

import zoo
from zoo.registry.facts import Entry
from zoo.tasks import TASKS

SITE = TOP / "docs" / "site"
pages = SimpleNamespace(**runpy.run_path(str(SITE / "pages.py")))
ENTRIES = pages.checkpoints()


def test_every_checkpoint_has_a_page() -> None:
    names = {path.stem for path in (TOP / "zoo" / "checkpoints").glob("*.safetensors")}
    made = pages.pages()
    assert {name for name in made if name.startswith("models/")} == {f"models/{name}.md" for name in names}
    for name in names:
        assert f"(models/{name}.md)" in made["gallery.md"] and f"(models/{name}.md)" in made["models.md"]
        assert f"(docs/models/{name}.md)" in pages.home(ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_page_says_all_about_a_checkpoint(entry: Entry) -> None:
    page = pages.model_page(entry)
    for part in ("Try it", "Figures", "Limits", "How it was trained", "Licence"):
        assert f"\n## {part}\n" in page
    for said in (entry.summary, entry.paper, entry.license, entry.recipe, entry.data.source):
        assert said in page
    assert (TOP / "docs" / "gallery" / f"{entry.name}.png").is_file()
    assert page.count("\n| ") == len(entry.metrics) + 2, "a row for each figure, below the heading"


@pytest.fixture
def place(workplace: Path) -> Path:  # noqa: F811
    """A folder with two of the examples of each kind: all of them take some networks half a minute."""
    (workplace / "examples").unlink()
    for folder in (TOP / "examples").iterdir():
        (workplace / "examples" / folder.name).mkdir(parents=True)
        for path in sorted(path for path in folder.iterdir() if path.suffix != ".md")[:2]:
            (workplace / "examples" / folder.name / path.name).symlink_to(path)
    return workplace


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_what_a_page_tells_to_try_runs(
    entry: Entry,
    place: Path,
    zoo_command: Callable[..., Result],
) -> None:
    python, commands = re.findall(r"```\w+\n(.*?)```", pages.tries(entry), re.DOTALL)
    if "mask.png" in python:
        size = zoo.Images.of(f"examples/{entry.example}")[0].preview().size
        mask = Image.new("L", size)
        mask.paste(255, (40, 40, 80, 80))
        mask.save("mask.png")
    before = set(place.iterdir())
    exec(python, {})
    made = set(place.iterdir()) - before
    assert len(made) == len(entry.verbs)
    for line in commands.splitlines():
        done = zoo_command(*shlex.split(line)[1:])
        assert done.exit_code == 0, f"{line}: {done.output}"
    assert set(place.iterdir()) - before == made, "both give the same files"


def test_limits_name_what_is_better() -> None:
    (entry,) = (entry for entry in ENTRIES if entry.name == "anomaly-ae.magnetic-tile")
    assert "- image AUROC: mobilenetv2 patches" in pages.publish.limits(entry)
    (entry,) = (entry for entry in ENTRIES if entry.name == "srgan.x4")
    assert "Others are better" not in pages.publish.limits(entry)


def test_limits_begin_with_what_is_dangerous() -> None:
    (entry,) = (entry for entry in ENTRIES if entry.name == "brain-gan.mri")
    assert pages.publish.limits(entry).startswith("Not for clinical use.")
    assert "**Not for clinical use." in (TOP / "docs" / "models.md").read_text("utf-8")


def test_the_guide_has_a_section_for_each_task() -> None:
    text = (TOP / "docs" / "guide.md").read_text("utf-8")
    headings = {line.lower().replace(" ", "-") for line in re.findall(r"^##+ (.*)$", text, re.MULTILINE)}
    assert {pages.SECTIONS.get(name, name) for name in TASKS} <= headings


def test_the_api_has_every_network_and_recipe() -> None:
    made = pages.api()
    for folder, page in (("models", "api/networks.md"), ("recipes", "api/recipes.md")):
        names = {path.stem for path in (TOP / "zoo" / folder).glob("*.py")} - {"__init__"}
        assert {f"zoo.{folder}.{name}" for name in names} == set(re.findall(r"^::: (\S+)$", made[page], re.MULTILINE))


def test_the_first_steps(place: Path, zoo_command: Callable[..., Result]) -> None:
    text = (TOP / "docs" / "start.md").read_text("utf-8")
    for command in re.findall(r"^    zoo (.*)$", text, re.MULTILINE):
        assert zoo_command(*command.split()).exit_code == 0, command
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(code, {})
    assert zoo.Images.of("large.png").arrays[0].shape == (3, 512, 512)


def test_what_is_cited_is_this_version() -> None:
    cited = yaml.safe_load((TOP / "CITATION.cff").read_text("utf-8"))
    assert (cited["version"], cited["license"]) == (zoo.__version__, "Apache-2.0")


@pytest.mark.parametrize("path", [*sorted(TOP.glob(".github/**/*.yml")), TOP / ".pre-commit-config.yaml"], ids=str)
def test_what_machines_of_others_read_is_yaml(path: Path) -> None:
    read = yaml.safe_load(path.read_text("utf-8"))
    for target in re.findall(r"\bmake (\w+)", str(read)):
        assert re.search(rf"^{target}:", (TOP / "Makefile").read_text("utf-8"), re.MULTILINE), f"no make {target}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as it is built, without the results of notebooks."""
    if not all(importlib.util.find_spec(name) for name in ("mkdocs", "mkdocstrings", "material")):
        pytest.skip("the extra [site] is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]  # --quiet would hide from it what is wrong
    done = subprocess.run(
        [*command, "--config-file", str(SITE / "mkdocs.yml"), "--site-dir", str(folder)],
        env={**os.environ, "ZOO_SITE_NOTEBOOKS": "false", "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_has_its_pages(site: Path) -> None:
    for name in ("index", "start", "guide", "gallery", "models", "training", "plugins", "comparison", "CONTRIBUTING"):
        assert (site / f"{name}.html").is_file(), name
    assert {path.stem for path in (site / "models").glob("*.html")} == {entry.name for entry in ENTRIES}
    assert {path.stem for path in (site / "notebooks").glob("*.html")} == {
        path.stem for path in TOP.glob("docs/notebooks/*.ipynb")
    }
    assert 'id="zoo.load"' in (site / "api" / "zoo.html").read_text("utf-8")
    assert "<blockquote>" not in (site / "api" / "zoo.html").read_text("utf-8"), "examples are code"
    assert ":func:" not in "".join(path.read_text("utf-8") for path in (site / "api").glob("*.html"))
    assert not list(site.rglob("*.py"))


def test_the_site_needs_no_other(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text("utf-8")
        fetched = re.findall(r'<(?:script|img|iframe|source)[^>]*\ssrc="(?:https?:)?//[^"]+"', text)
        fetched += [tag for tag in re.findall(r"<link[^>]+>", text) if '="http' in tag and "canonical" not in tag]
        assert not fetched, f"{path}: {fetched}"


def test_local_files_are_where_pages_want_them(site: Path) -> None:
    """Also what mkdocs does not look at: pictures and scripts. The page of a server for what is missing has roots."""
    for path in set(site.rglob("*.html")) - {site / "404.html"}:
        for target in re.findall(r'(?:src|href)="([^":?#]+)(?:#[^"]*)?"', path.read_text("utf-8")):
            assert (path.parent / target).exists(), f"{path.relative_to(site)}: {target}"


def test_search_works_without_a_server(site: Path) -> None:
    assert (site / "search" / "search_index.js").read_text("utf-8").startswith("var __index = {")
    assert "unpkg.com" not in (site / "index.html").read_text("utf-8")
