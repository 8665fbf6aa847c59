"""What keeps a training from spoiling its data, its folder, its log and its card."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from test_training import folder, run, tiny_conv_ae

import zoo
from zoo.authoring import publish as publishing
from zoo.errors import InputError, RegistryError, ZooError
from zoo.networks import build
from zoo.registry.facts import Data, Metric
from zoo.registry.index import registry
from zoo.training.report import write_report
from zoo.training.run import alone, check_apart, open_folder
from zoo.training.trial import fitting
from zoo.weights.resolve import find

Command = Callable[..., Result]
SMALL = ("--set", "size=16", "--set", "code=8", "--set", "batch_size=8", "--set", "steps=4", "--cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("data") / "photos", 20, 32)


def refused(made: Result, words: str) -> None:
    assert made.exit_code in (1, 2), made.output
    assert made.stderr.startswith("Error: ")
    assert len(made.stderr.strip().splitlines()) == 1
    assert words in made.stderr


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("data", "data is the folder of the data"),
        ("link", "link is the folder of the data"),
        ("data/run", "data/run lies in data"),
        ("link/run", "link/run lies in data"),
        ("data/../data/x", "lies in data"),
        (".", "data lies in ."),
        ("beside", "beside lies in data"),
        ("", "--out is empty: name a folder; a variable of the shell may not be set"),
        ("  ", "--out is empty"),
    ],
)
def test_a_run_and_its_data_keep_apart(
    zoo_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "data", 2)
    (tmp_path / "link").symlink_to("data")
    (tmp_path / "beside").mkdir()
    (tmp_path / "data" / "more").symlink_to("../beside")  # which is read with the data
    before = sorted(tmp_path.rglob("*"))
    refused(zoo_command("train", "conv-ae", "--data", "data", "--out", out), words)
    assert sorted(tmp_path.rglob("*")) == before


def test_data_that_hold_a_run(tmp_path: Path) -> None:
    folder(tmp_path / "data" / "old", 1)
    check_apart(tmp_path / "out", [str(tmp_path / "data"), "datasets:me/pets"])
    for name in ("state.pt", "samples.png"):
        (tmp_path / "data" / "old" / name).touch()
    with pytest.raises(InputError, match="old, in the data, is the folder of a run, whose sample grids"):
        check_apart(tmp_path / "out", [str(tmp_path / "data")])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "", "--out", "run"], "--data is empty"),
        (["--data", ".", "", "--out", "run"], "--data is empty"),
        (["--data", ".", "--resume", ""], "--resume is empty"),
        (["--data", "x" * 300, "--out", "run"], "is no path: File name too long"),
    ],
)
def test_a_variable_that_is_not_set(zoo_command: Command, arguments: list[str], words: str) -> None:
    refused(zoo_command("train", "conv-ae", *arguments), words)


def test_names_of_images_are_shown_without_what_a_terminal_obeys(
    zoo_command: Command, tmp_path: Path, photos: Path
) -> None:
    shutil.copytree(photos, tmp_path / "data")
    (tmp_path / "data" / "\x1b[2Jevil\n.png").write_bytes(b"no image")
    options = [part for setting in ("size=16", "code=8", "batch_size=4", "steps=1") for part in ("--set", setting)]
    places = ("--data", tmp_path / "data", "--out", tmp_path / "run")
    made = zoo_command("train", "conv-ae", "--cpu", *places, *options, color=True)
    assert "?[2Jevil .png (not an image" in made.stderr
    assert "\x1b" not in made.stderr


def test_two_runs_in_one_folder(zoo_command: Command, tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "deep" / "run"
    with alone(out):
        for option in ("--out", "--resume"):
            refused(zoo_command("train", "conv-ae", "--data", photos, option, out), "run is in use by another run")
    assert not (tmp_path / "deep").exists(), "what nothing came into"


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from zoo.training.run import alone
with alone(Path({str(tmp_path)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with alone(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_log_of_a_killed_run_is_that_of_an_unbroken_one(tmp_path: Path) -> None:
    """To the last digit, wherever it is killed: an interval counts once."""

    def log(out: str) -> list[dict[str, Any]]:
        lines = (tmp_path / out / "log.jsonl").read_text().splitlines()
        return [{**json.loads(line), "seconds": 0} for line in lines]

    def objective() -> Any:
        made = tiny_conv_ae(tmp_path)
        made.eval_every = 4
        return made

    run(objective(), tmp_path / "whole").train()
    broken = objective()
    step = broken.step

    def killed(number: int) -> dict[str, torch.Tensor]:
        if number == 6:
            raise KeyboardInterrupt  # nothing is saved after this
        return step(number)

    broken.step = killed
    with pytest.raises(KeyboardInterrupt):
        run(broken, tmp_path / "broken").train()
    second = run(objective(), tmp_path / "broken", resume=True)
    assert second.step == 4
    assert second.train()
    assert log("broken") == log("whole")


def test_a_run_that_ends_before_its_first_measurement_keeps_weights(tmp_path: Path) -> None:
    """And goes on as if nothing had been measured."""
    entry, out = zoo.info("conv-ae.flowers"), tmp_path / "run"
    said: list[str] = []
    first = run(tiny_conv_ae(tmp_path, steps=50), out, entry=entry, say=said.append)
    first.objective.eval_every = 40
    assert not first.train(minutes=1e-9)
    assert (first.kept, first.best_step, first.log) == (1, 0, [])
    assert "ended before its first measurement, which is at step 40: the weights of step 1 are kept" in said[-1]
    assert (out / "samples.png").exists()
    model = zoo.load(f"local-dir:{out}")
    assert model.entry
    assert np.isfinite(model.entry.metrics[0].value)
    state = open_folder(out, True)
    assert state
    assert (state["best_step"], state["log"]) == (0, [])


def test_the_command_says_that_nothing_was_measured(zoo_command: Command, tmp_path: Path, photos: Path) -> None:
    settings = ("--set", "size=16", "--set", "code=8", "--set", "batch_size=8", "--set", "steps=100", "--cpu")
    out = tmp_path / "run"
    made = zoo_command("train", "conv-ae", "--data", photos, "--out", out, *settings, "--minutes", "1e-9")
    assert made.exit_code == 0, made.stderr
    assert f"The weights are those of step 1: `zoo reconstruct local-dir:{out}" in made.stderr


def test_data_that_nothing_can_be_learnt_from(zoo_command: Command, tmp_path: Path) -> None:
    for i in range(20):
        (tmp_path / "black").mkdir(exist_ok=True)
        Image.new("RGB", (32, 32)).save(tmp_path / "black" / f"{i}.png")
    made = zoo_command("train", "conv-ae", "--data", tmp_path / "black", "--out", tmp_path / "run", *SMALL)
    assert "Warning: black: all 18 images are black (values from 0 to 0 of 255): nothing can be" in made.stderr


# Settings that fit and are small, and odd ones in their place.
SMALLEST = {
    "conv-ae": {"size": 16, "code": 8},
    "dcgan": {"size": 16, "width": 4, "d_width": 4},
    "cdcgan": {"size": 16, "width": 4, "d_width": 4},
    "srgan.x4-mse": {"width": 4, "blocks": 1, "patch": 8},
    "pix2pix": {"size": 32, "width": 4, "widest": 8, "d_width": 4, "unconditional_d_width": 4, "shift": 1},
}
ODD = [
    ("conv-ae", "size=20", "with size=20, code=8, batch_size=4 cannot be set so:"),
    ("conv-ae", "size=1", "cannot be set so:"),
    ("conv-ae", "code=300", "cannot be set so:"),
    ("conv-ae", "lr=nan", "lr must be a number from 0, not 'nan'"),
    ("dcgan", "size=3", "cannot be set so:"),
    ("dcgan", "width=60000", "cannot be set so:"),
    ("dcgan", "channels=5", "cannot be set so: images have 1 channel or 3, not 5"),
    ("conv-ae", "channels=2000", "cannot be set so: images have 1 channel or 3, not 2000"),
    ("conv-ae", "batch_size=1000000", "holds 20 images and at least 2000000 are needed"),
    ("dcgan", "size=99999999", "GB of memory"),
    ("dcgan", "lr=inf", "lr must be a number from 0, not 'inf'"),
    ("dcgan", "steps=" + "9" * 5000, "steps must be a whole number from 1"),
    ("dcgan", "loss=hinges", "loss cannot be 'hinges'"),
    ("cdcgan", "size=2", "cannot be set so:"),
    ("srgan.x4-mse", "scale=3", "cannot be set so:"),
    ("srgan.x4-mse", "blocks=1000000", "choose smaller settings"),
    ("pix2pix", "size=48", "cannot be set so:"),
]


@pytest.mark.parametrize(("recipe", "setting", "words"), ODD, ids=[f"{a} {b[:16]}" for a, b, _ in ODD])
def test_settings_that_do_not_fit(
    zoo_command: Command, tmp_path: Path, photos: Path, recipe: str, setting: str, words: str
) -> None:
    """One sentence, before the data are read, and nothing is left behind."""
    key, _, value = setting.partition("=")
    given = {**SMALLEST[recipe], "batch_size": 4, key: value}
    options = [part for k, v in given.items() for part in ("--set", f"{k}={v}")]
    options += [] if recipe in ("conv-ae", "srgan.x4-mse") else ["--features", "random"]
    refused(zoo_command("train", recipe, "--data", photos, "--out", tmp_path / "run", *options, "--cpu"), words)
    assert not (tmp_path / "run").exists()


def test_networks_that_memory_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.training.trial.free_memory", lambda: 1_000_000)
    with (
        pytest.raises(InputError, match=r"mine with width=256: training networks of 1 tensors and 0\.0 GB or more"),
        fitting("mine", {"width": 256}),
    ):
        torch.nn.Linear(256, 256)
    torch.nn.Linear(256, 256)


def test_only_settings_are_blamed() -> None:
    with pytest.raises(ZeroDivisionError), fitting("mine", {}):
        raise ZeroDivisionError
    with (
        pytest.raises(InputError, match=r"mine with a=1, b=x cannot be set so: ZeroDivisionError\."),
        fitting("mine", {"a": 1, "b": "x"}),
    ):
        raise ZeroDivisionError
    with pytest.raises(ZooError, match="full disk"), fitting("mine", {"a": 1}):
        raise ZooError("full disk")


@pytest.mark.parametrize("state", [{}, {"plan": {}}, {"step": 1}, 3])
def test_a_state_that_is_none(tmp_path: Path, state: object) -> None:
    torch.save(state, tmp_path / "state.pt")
    with pytest.raises(InputError, match=r"state\.pt is damaged .*: the run cannot be resumed"):
        open_folder(tmp_path, True)


def test_a_state_of_other_networks(tmp_path: Path) -> None:
    run(tiny_conv_ae(tmp_path), tmp_path / "run").train(minutes=1e-9)
    state = torch.load(tmp_path / "run" / "state.pt")
    state["networks"] = {"network": {}}
    torch.save(state, tmp_path / "run" / "state.pt")
    with pytest.raises(InputError, match=r"state\.pt is damaged"):
        run(tiny_conv_ae(tmp_path), tmp_path / "run", resume=True)


def test_a_damaged_sample_grid_is_left_out_of_the_report(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0")
    Image.new("RGB", (8, 8)).save(tmp_path / "2.png")
    grids = [(step, tmp_path / f"{step}.png") for step in (1, 2)]
    text = write_report(tmp_path, "t", {}, [], [], grids, 2).read_text()
    assert "Step 2, the best" in text
    assert "Step 1" not in text


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A small run."""
    from zoo.cli import main

    out = tmp_path_factory.mktemp("runs") / "run"
    arguments = ["train", "conv-ae", "--data", str(photos), "--out", str(out), *SMALL]
    with pytest.raises(SystemExit) as ended:
        main(arguments, prog_name="zoo")
    assert ended.value.code == 0
    return out


def card(zoo_command: Command, source: Path, to: Path) -> str:
    made = zoo_command("publish", source, "--dry-run", "--to", to)
    assert made.exit_code == 0, made.stderr
    return (to / "README.md").read_text()


def test_the_card_of_a_run_says_what_the_run_was(zoo_command: Command, trained: Path, tmp_path: Path) -> None:
    text = card(zoo_command, trained, tmp_path / "repo")
    for words in (
        "`size=16`",
        "`batch_size=8`",
        "`steps=4`",
        "`zoo.recipes.conv_ae:flowers`",
        "`photos`",
        "`images`: `18`",
    ):
        assert words in text
    for words in ("2,000", "10,000", "`lr=0.001`, `batch_size=64`", "8_000", "8000", "64 px, a code"):
        assert words not in text
    again = find(f"local-dir:{tmp_path / 'repo'}")[0].training
    assert again == find(f"local-dir:{trained}")[0].training, "what is published says so, too"
    assert (again["steps"], again["settings"]["size"], again["precision"] in ("bf16", "fp32")) == (4, 16, True)


def test_a_recipe_without_a_record_says_nothing(zoo_command: Command, trained: Path, tmp_path: Path) -> None:
    """And what a config.json names is not imported."""
    config = tmp_path / "copy" / "config.json"
    config.parent.mkdir()
    (config.parent / "model.safetensors").write_bytes((trained / "model.safetensors").read_bytes())
    facts = json.loads((trained / "config.json").read_text())
    del facts["training"]
    config.write_text(json.dumps(facts))
    text = card(zoo_command, config.parent, tmp_path / "one")
    assert "With which settings it was trained is not on record." in text
    assert "2,000" not in text
    config.write_text(json.dumps({**facts, "recipe": "antigravity:fly"}))
    card(zoo_command, config.parent, tmp_path / "two")
    config.write_text(json.dumps({**facts, "training": {"data": "a](http://x) `\n# Free"}}))
    assert "\n# Free" not in card(zoo_command, config.parent, tmp_path / "three")
    assert "antigravity" not in sys.modules


def test_a_config_that_is_not_utf_8(zoo_command: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((trained / "model.safetensors").read_bytes())
    (tmp_path / "config.json").write_bytes(b'{"model": "\xff"}')
    made = zoo_command("evaluate", f"local-dir:{tmp_path}", "--data", trained)
    refused(made, "config.json cannot be read: it is not UTF-8")


def test_figures_that_cannot_be_written_are_shown(
    zoo_command: Command, trained: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.recipes.conv_ae.evaluate", lambda model, data: [Metric("error", 0.5, "mean")])

    def full(*arguments: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("zoo.weights.folder.add_metrics", full)
    made = zoo_command("evaluate", f"local-dir:{trained}", "--data", photos, "--write")
    assert made.exit_code == 1
    assert "error = 0.5" in made.stdout
    assert "config.json cannot be written: Read-only file system; the figures are those above." in made.stderr


def test_arithmetic_that_fails_is_a_sentence(
    zoo_command: Command, trained: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(model: object, data: object) -> list[Metric]:
        return [Metric("error", 1 / 0, "mean")]

    monkeypatch.setattr("zoo.recipes.conv_ae.evaluate", fails)
    made = zoo_command("evaluate", f"local-dir:{trained}", "--data", photos)
    refused(made, "cannot be measured so: ZeroDivisionError: division by zero")


def test_what_is_no_number_is_on_no_card(
    zoo_command: Command, trained: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        Metric("ratio", float("nan"), "one over another"),
        Metric("error", 0.5, "mean", split="unsplit", baselines={"input": math.nan}),
    ]
    monkeypatch.setattr("zoo.recipes.conv_ae.evaluate", lambda model, data: found)
    made = zoo_command("evaluate", f"local-dir:{trained}", "--data", photos, "--json")
    assert made.exit_code == 0, made.stderr
    (row,) = json.loads(made.stdout)
    assert row["name"] == "error"
    assert "baselines" not in row
    assert "on these data there is no ratio: it would be divided by zero" in made.stderr
    assert "the data have no split test, so all their images are measured" in made.stderr


BOOM = """
from zoo.model import Generator

def called(**options):
    raise SystemExit("called")

class Ends(Generator):
    def __init__(self, **options):
        raise SystemExit(0)

class Other(Generator):
    def __new__(cls, **options):
        return 3
"""


@pytest.mark.parametrize(
    ("builder", "words"),
    [
        ("os:system", "the builder os:system is no zoo.model.Model"),
        ("boom:called", "the builder boom:called is no zoo.model.Model"),
        ("boom:Ends", "the builder boom:Ends failed: SystemExit"),
        ("boom:Other", "the builder boom:Other failed: TypeError: it made int"),
        ("ends:Any", "ends:Any cannot be imported: SystemExit"),
        ("antigravity:fly", "antigravity:fly is not imported: its module is not in the package or folder"),
        ("json.tool:main", "json.tool:main is not imported"),
    ],
)
def test_a_builder_is_known_to_be_a_network_before_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: str, words: str
) -> None:
    stanza = {
        "builder": builder,
        "summary": "x",
        "verbs": ["generate"],
        "checkpoints": {"a": {"license": "MIT", "config": {"command": "touch gone"}, "output": {"kind": "image"}}},
    }
    (tmp_path / "registry.yaml").write_text(json.dumps({"odd": stanza}))
    (tmp_path / "boom.py").write_text(BOOM)
    (tmp_path / "ends.py").write_text("raise SystemExit(0)")
    registry.cache_clear()
    monkeypatch.setattr(sys, "path", list(sys.path))
    try:
        assert zoo.register(tmp_path) == ["odd"]
        with pytest.raises(RegistryError, match=words):
            build(zoo.info("odd"))
    finally:
        registry.cache_clear()
        sys.modules.pop("boom", None)
    assert "antigravity" not in sys.modules


def test_texts_of_a_config_are_only_words_on_the_card() -> None:
    """No link, heading, HTML or cell of the table comes out of the names in a downloaded folder."""
    evil = "a](http://evil) ![b](http://evil) <script>\n# Heading\n| c | `d"
    entry = replace(
        registry().entry("dcgan"),
        checkpoint="imported",
        license=evil,
        data=Data(evil, evil, "javascript:alert(1)"),
        metrics=(Metric(evil, 1.0, evil),),
    )
    body = publishing.card(entry, "owner/name").split("---\n", 2)[2]
    assert not re.search(r"\]\((http://evil|javascript)|<script|^# Heading|^\| c", body, re.MULTILINE)
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 5 for line in body.splitlines() if line.startswith("|"))
