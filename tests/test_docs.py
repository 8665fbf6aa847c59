"""The documentation says what is true: made texts are up to date, links lead somewhere, examples run."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from zoo.registry.index import registry

TOP = Path(__file__).parent.parent
TEXTS = [*TOP.glob("*.md"), *TOP.glob("docs/*.md"), *TOP.glob("examples/*/*.md")]


def blocks(path: Path, pattern: str) -> list[str]:
    return re.findall(pattern, path.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_what_is_made_from_the_registry_is_up_to_date() -> None:
    for path, text in runpy.run_path(str(TOP / "docs" / "build.py"))["texts"]().items():
        assert path.read_text("utf-8") == text, f"{path.name} is not what the registry says: run `make docs`"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(TOP)))
def test_links_lead_to_files(path: Path) -> None:
    for target in blocks(path, r"\]\(([^)#:]+)\)") + blocks(path, r'src="([^"]+)"'):
        assert (path.parent / target).exists(), target


def test_training_images_stand_beside_the_samples_of_every_generator() -> None:
    for entry in registry().entries.values():
        if entry.package == "zoo" and "generate" in entry.verbs and entry.output.kind == "image":
            sheet = TOP / "docs" / "gallery" / f"{entry.name}.nearest.png"
            cure = f"run `zoo privacy {entry.name} --data DATA -o {sheet.relative_to(TOP)}`"
            assert sheet.is_file() or not entry.embedded.is_file(), cure


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "examples").symlink_to(TOP / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_tour_in_python(workplace: Path) -> None:
    (tour,) = blocks(TOP / "README.md", r"```python\n(.*?)```")
    exec(tour, {})
    assert (workplace / "flowers.png").exists()
    assert (workplace / "large.png").exists()
    assert len(list((workplace / "copies").glob("*.png"))) == 10


def test_the_tour_as_commands(workplace: Path, zoo_command: Callable[..., Result]) -> None:
    commands = blocks(TOP / "README.md", r"^    zoo (.*?)$")
    assert len(commands) >= 6
    for command in commands:
        done = zoo_command(*shlex.split(command))
        assert done.exit_code == 0, f"zoo {command}: {done.output}"
    assert (workplace / "sevens.png").exists()
    assert (workplace / "weights" / "dcgan.fashion-mnist" / "config.json").exists()


@pytest.mark.parametrize(
    "heading",
    [
        "Denoise",
        "Sound",
        "Video",
        "Molecules",
        "Interpolate",
        "Project",
        "Edit",
        "Edit by name",
        "Compress",
        "Search",
        "Find anomalies",
        "Save and share",
    ],
)
def test_a_section_of_the_guide_runs(workplace: Path, heading: str) -> None:
    (section,) = blocks(TOP / "docs" / "guide.md", rf"^## {heading}\n(.*?)(?=^## )")
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    exec(f"import numpy as np, zoo\n{code}", {})
    assert [path for path in workplace.iterdir() if path.name != "examples"]


def test_every_command_in_the_guide_exists(zoo_command: Callable[..., Result]) -> None:
    for command in set(blocks(TOP / "docs" / "guide.md", r"^    zoo (\w+)")):
        text = zoo_command(command, "--help").output
        for line in blocks(TOP / "docs" / "guide.md", rf"^    zoo ({command} .*?)$"):
            for option in re.findall(r"--[a-z-]+", line):
                assert option in text or command == "cache", f"zoo {command} has no {option}"


def test_the_recipe_in_the_docs_trains(tmp_path: Path) -> None:
    from test_training import RANDOM, folder, run

    from zoo.data.source import Source

    (text,) = blocks(TOP / "docs" / "training.md", r"```python\n(.*?)```")
    names: dict[str, Any] = {}
    exec(text, names)
    objective = names["mine"](Source([folder(tmp_path / "photos", 8)]), RANDOM, size=16, width=8, batch_size=4, steps=2)
    objective.n_samples = 16
    assert run(objective, tmp_path / "run").train()


def test_the_commands_in_the_docs_of_training_exist(zoo_command: Callable[..., Result]) -> None:
    found = blocks(TOP / "docs" / "training.md", r"^zoo ([^\n#]+)")
    assert len(found) >= 5
    for line in found:
        text = zoo_command(line.split()[0], "--help").output
        assert all(option in text for option in re.findall(r"--[a-z-]+", line)), line


def test_the_registry_in_the_docs_is_read(tmp_path: Path) -> None:
    from zoo.registry.schema import read

    (text,) = blocks(TOP / "docs" / "registry.md", r"```yaml\n(.*?)```")
    (tmp_path / "registry.yaml").write_text(text.replace("9f86d081...", "0" * 64))
    (entry,) = read(tmp_path / "registry.yaml", "zoo_blobs", tmp_path)
    assert entry.aliases == ("bubbles",)
    assert [condition.name for condition in entry.conditions] == ["color", "size"]
