"""`zoo train` and `zoo evaluate`: what a user sees, and what is said of bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from test_training import folder

import zoo

Command = Callable[..., Result]
SMALL = ("--set", "size=16", "--set", "code=8", "--set", "batch=8", "--set", "steps=4", "--cpu")


def test_training_on_ones_own_images_with_one_command(zoo_command: Command, tmp_path: Path) -> None:
    folder(tmp_path / "mine", 40, 32)
    (tmp_path / "mine" / "bad.jpg").write_bytes(b"no image")
    out = tmp_path / "run"
    made = zoo_command("train", "conv-ae", "--data", str(tmp_path / "mine"), "--out", str(out), *SMALL)
    assert made.exit_code == 0, made.stderr
    assert "1 of 41 images cannot be read and are left out: bad.jpg" in made.stderr
    assert "step 4: loss" in made.stderr
    assert f"`zoo reconstruct local-dir:{out} INPUT -o OUTPUT`" in made.stderr
    names = {path.name for path in out.iterdir()}
    assert names == {
        "config.json",
        "log.jsonl",
        "model.safetensors",
        "report.html",
        "samples.png",
        "samples",
        "state.pt",
    }
    result = zoo_command(
        "reconstruct", f"local-dir:{out}", str(tmp_path / "mine" / "000.png"), "-o", str(tmp_path / "o.png")
    )
    assert result.exit_code == 0, result.stderr
    info = json.loads((out / "config.json").read_text())
    assert info["license"] == "unknown"
    assert "held out" in info["metrics"][0]["protocol"]
    again = zoo_command("train", "conv-ae", "--data", str(tmp_path / "mine"), "--out", str(out), *SMALL)
    assert again.exit_code == 2
    assert "holds a run already" in again.stderr


def test_ctrl_c_and_resume_say_how_to_go_on(zoo_command: Command, tmp_path: Path) -> None:
    data = str(folder(tmp_path / "mine", 40, 32))
    out = str(tmp_path / "run")
    made = zoo_command("train", "conv-ae", "--data", data, "--out", out, *SMALL, "--minutes", "0.0000001")
    assert made.exit_code == 0
    assert "Stopped: the time is over, at step 1" in made.stderr
    assert f"`--resume {out}` in place of --out goes on." in made.stderr
    made = zoo_command("train", "conv-ae", "--data", data, "--resume", out, "--cpu", "--set", "steps=5")
    assert made.exit_code == 2
    assert "is a run with the settings" in made.stderr
    made = zoo_command("train", "conv-ae", "--data", data, "--resume", out, "--cpu")  # settings are those of the run
    assert made.exit_code == 0
    assert "Done at step 4" in made.stderr


def test_a_run_is_resumed_by_its_own_recipe_only(zoo_command: Command, tmp_path: Path) -> None:
    data, out = str(folder(tmp_path / "mine", 40, 32)), str(tmp_path / "run")
    assert zoo_command("train", "conv-ae", "--data", data, "--out", out, *SMALL, "--minutes", "1e-9").exit_code == 0
    made = zoo_command("train", "dcgan", "--data", data, "--resume", out)
    assert made.exit_code == 2
    assert "is a run of zoo.recipes.conv_ae:flowers, not of zoo.recipes.dcgan:fashion_mnist" in made.stderr


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    """In the folder where one is, as the command of the shell finds it."""
    folder(tmp_path / "photos", 40, 32)
    (tmp_path / "my_recipe.py").write_text(
        "from zoo.recipes import conv_ae\n"
        "def mine(data, *, batch=8):\n"
        "    return conv_ae.flowers(data, size=16, code=8, batch=batch, steps=4)\n"
    )
    command = [
        Path(sys.executable).parent / "zoo",
        "train",
        "my_recipe:mine",
        "--data",
        "photos",
        "--out",
        "run",
        "--cpu",
    ]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert "its model is in no registry yet" in made.stderr
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_two_places_follow_data(zoo_command: Command, tmp_path: Path) -> None:
    a, b = (str(folder(tmp_path / name, 6, 32, bright)) for name, bright in (("A", 0), ("B", 50)))
    settings = [
        part
        for item in ("size=32", "width=8", "widest=8", "d_width=8", "batch=2", "steps=2", "shift=1")
        for part in ("--set", item)
    ]
    out = str(tmp_path / "run")
    made = zoo_command(
        "train", "zoo.recipes.pix2pix:facades", "--data", a, b, "--out", out, "--features", "random", "--cpu", *settings
    )
    assert made.exit_code == 0, made.stderr
    assert "Done at step 2" in made.stderr
    settings[settings.index("size=32")] = "size=33"
    made = zoo_command("train", "zoo.recipes.pix2pix:facades", "--data", a, b, "--out", f"{out}2", "--cpu", *settings)
    assert made.exit_code == 2
    assert "cannot be set so: size must be a power of two" in made.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["conv-ae", "--data", "none", "--out", "run"], "none does not exist"),
        (["conv-ae", "--data", "empty", "--out", "run"], "empty holds no images"),
        (["conv-ae", "--data", "few", "--out", "run"], "few holds 3 images and at least 128 are needed"),
        (["conv-ae", "--data", "few"], "Give either --out with a new folder, or --resume"),
        (["conv-ae", "--data", "few", "--resume", "none"], "none holds no run that could be resumed"),
        (["conv-ea", "--data", "few", "--out", "run"], "did you mean conv-ae"),
        (["no.such:recipe", "--data", "few", "--out", "run"], "There is no recipe no.such:recipe"),
        (["zoo.recipes.dcgan:flower", "--data", "few", "--out", "run"], "has no recipe 'flower'"),
        (["conv-ae", "--data", "few", "--out", "run", "--set", "batsh=3"], "no setting 'batsh'; did you mean batch"),
        (["conv-ae", "--data", "few", "--out", "run", "--set", "batch"], "--set takes NAME=VALUE, not 'batch'"),
        (
            ["conv-ae", "--data", "few", "--out", "run", "--set", "batch=0"],
            "batch must be a whole number from 1, not '0'",
        ),
        (["conv-ae", "--data", "few", "--out", "run", "--set", "rate=x"], "rate must be a number from 0, not 'x'"),
        (["conv-ae", "--data", "few", "--out", "run", "--set", "rate=-1"], "rate must be a number from 0, not '-1'"),
        (["conv-ae", "--data", "few", "--out", "run", "--precision", "fp8"], "precision cannot be 'fp8'"),
        (["dcgan", "--data", "few", "--out", "run", "--set", "bounded=2"], "bounded must be yes or no, not '2'"),
        (["dcgan", "--data", "few", "--out", "run", "--features", "x.safetensors"], "x.safetensors does not exist"),
        (["conv-ae", "--data", "bad", "--out", "run", "--strict"], "not an image"),
        (["conv-ae", "--data", "few", "--out", "run", "--features", "random"], "--features random is of no use here"),
        (["conv-ae", "--data", "few", "x", "--data", "bad", "--out", "run"], "x stands alone"),
        ([":mine", "--data", "few", "--out", "run"], ":mine is no recipe"),
        (
            ["conv-ae", "--data", "few", "--out", "few/run"],
            "few/run lies in few, so its sample sheets would be trained",
        ),
        (["conv-ae", "--data", "few", "--out", "held"], "held holds a model already, which the run would overwrite"),
        (["conv-ae", "--data", "few", "--out", "bad/000.png"], "bad/000.png is not a folder that you may write to"),
    ],
)
def test_bad_input_gets_one_sentence(
    zoo_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "few", 3)
    folder(tmp_path / "bad", 140)
    (tmp_path / "bad" / "000.png").write_bytes(b"no image")
    (tmp_path / "empty").mkdir()
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "model.safetensors").touch()
    made = zoo_command("train", *arguments)
    assert made.exit_code in (1, 2)
    assert made.stderr.startswith("Error: ")
    assert len(made.stderr.strip().splitlines()) == 1
    assert reason in made.stderr
    assert not (tmp_path / "run").exists()


def test_evaluate_measures_and_compares_with_the_card(
    zoo_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    base = np.kron(rng.integers(0, 255, (60, 7, 7)), np.ones((4, 4))).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x_train=base[:40], x_test=base[40:])
    made = zoo_command("evaluate", "conv-ae.fashion-mnist", "--data", str(tmp_path / "data.npz"), "--json")
    assert made.exit_code == 0, made.stderr
    rows = json.loads(made.stdout)
    assert [row["name"] for row in rows] == [metric.name for metric in zoo.info("conv-ae.fashion-mnist").metrics]
    assert all(row["card"].startswith("the card has") and "by another protocol" in row["card"] for row in rows)

    from zoo.registry.facts import Metric

    wrong = [Metric(m.name, m.value * 1.1, m.protocol) for m in zoo.info("conv-ae.fashion-mnist").metrics]
    monkeypatch.setattr("zoo.recipes.conv_ae.evaluate", lambda model, data: wrong)
    made = zoo_command("evaluate", "conv-ae.fashion-mnist", "--data", str(tmp_path / "data.npz"))
    assert made.exit_code == 1
    assert "2 of 2 figures are not those on the card: error over PCA's, mean squared error." in made.stderr


def test_evaluate_writes_the_card_of_ones_own_model(zoo_command: Command, tmp_path: Path) -> None:
    data = folder(tmp_path / "mine" / "train", 40, 32).parent
    folder(data / "test", 20, 32)
    out = tmp_path / "run"
    assert zoo_command("train", "conv-ae", "--data", str(data), "--out", str(out), *SMALL).exit_code == 0
    measure = ("evaluate", f"local-dir:{out}", "--data", str(data))
    assert "not on the card" in zoo_command(*measure, "--write").stdout
    made = zoo_command(*measure)
    assert made.stdout.count("match: the card has") == 2, made.stdout + made.stderr
    published = zoo_command("publish", str(out), "--dry-run", "--to", str(tmp_path / "repo"))
    assert published.exit_code == 0, published.stderr
    assert "README.md, config.json, model.safetensors, samples.png" in published.stdout
    assert "| error over PCA's | " in (tmp_path / "repo" / "README.md").read_text()
    refused = zoo_command("evaluate", "conv-ae", "--data", str(data), "--write")
    assert refused.exit_code == 2
    assert "--write is for local-dir: models" in refused.stderr


def test_a_config_names_no_code(zoo_command: Command, tmp_path: Path) -> None:
    """What a config.json gives as its recipe is only followed if the registry knows it."""
    assert zoo_command("download", "conv-ae.fashion-mnist", "--to", str(tmp_path)).exit_code == 0
    config = tmp_path / "conv-ae.fashion-mnist" / "config.json"
    config.write_text(config.read_text().replace("zoo.recipes.conv_ae", "antigravity"))
    noise = np.random.default_rng(0).integers(0, 255, (80, 28, 28)).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x_train=noise[:40], x_test=noise[40:])
    made = zoo_command("evaluate", f"local-dir:{config.parent}", "--data", str(tmp_path / "data.npz"))
    assert "antigravity" not in sys.modules
    assert "mean squared error" in made.stdout


def test_evaluate_refuses_what_it_cannot_measure(zoo_command: Command, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    for name, reason in (
        ("nothing", "There is no model"),
        (f"local-dir:{tmp_path}", "has no config.json"),
        ("conv-ae --set size=3", "conv-ae.flowers has no setting 'size'. Its settings: none."),
        (
            "conv-ae.flowers",
            "PCA with 256 components needs as many training images and pixels, not 1 images of 12,288",
        ),
    ):
        made = zoo_command("evaluate", *name.split(), "--data", str(tmp_path))
        assert made.exit_code == 2
        assert reason in made.stderr
