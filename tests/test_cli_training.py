"""`zoo train` and `zoo evaluate`: what a user sees, and what is said of bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from click.testing import Result
from PIL import Image
from safetensors.torch import save_file
from test_training import folder

import zoo
from zoo.errors import RegistryError
from zoo.registry.index import code_of, evaluate_of, registry

Command = Callable[..., Result]
SMALL = ("--set", "size=16", "--set", "code=8", "--set", "batch_size=8", "--set", "steps=4", "--cpu")


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
    assert "held out" in info["metrics"][0]["note"]
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
        "def mine(data, *, batch_size=8):\n"
        "    return conv_ae.flowers(data, size=16, code=8, batch_size=batch_size, steps=4)\n"
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
        for item in ("size=32", "width=8", "widest=8", "d_width=8", "batch_size=2", "steps=2", "shift=1")
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
        (["progan", "--data", "few", "--out", "run"], "few holds 3 images and at least 24 are needed"),
        (["stackgan", "--data", "few", "--out", "run"], "The data have no texts: give an .npz with x_train"),
        (["conv-ae", "--data", "few"], "Give either --out with a new folder, or --resume"),
        (["conv-ae", "--data", "few", "--resume", "none"], "none holds no run that could be resumed"),
        (["conv-ea", "--data", "few", "--out", "run"], "did you mean conv-ae"),
        (["no.such:recipe", "--data", "few", "--out", "run"], "There is no recipe no.such:recipe"),
        (["zoo.recipes.dcgan:flower", "--data", "few", "--out", "run"], "has no recipe 'flower'"),
        (
            ["conv-ae", "--data", "few", "--out", "run", "--set", "batch_sise=3"],
            "no setting 'batch_sise'; did you mean batch_size",
        ),
        (["conv-ae", "--data", "few", "--out", "run", "--set", "batch"], "--set takes NAME=VALUE, not 'batch'"),
        (
            ["conv-ae", "--data", "few", "--out", "run", "--set", "batch_size=0"],
            "batch_size must be a whole number from 1, not '0'",
        ),
        (["conv-ae", "--data", "few", "--out", "run", "--set", "lr=x"], "lr must be a number from 0, not 'x'"),
        (["conv-ae", "--data", "few", "--out", "run", "--set", "lr=-1"], "lr must be a number from 0, not '-1'"),
        (["conv-ae", "--data", "few", "--out", "run", "--precision", "fp8"], "precision cannot be 'fp8'"),
        (
            ["dcgan", "--data", "few", "--out", "run", "--set", "spectral_norm=2"],
            "spectral_norm must be yes or no, not '2'",
        ),
        (["dcgan", "--data", "few", "--out", "run", "--features", "x.safetensors"], "x.safetensors does not exist"),
        (["conv-ae", "--data", "bad", "--out", "run", "--strict"], "not an image"),
        (["conv-ae", "--data", "few", "--out", "run", "--features", "random"], "--features random is of no use here"),
        (["conv-ae", "--data", "few", "x", "--data", "bad", "--out", "run"], "x stands alone"),
        ([":mine", "--data", "few", "--out", "run"], ":mine is no recipe"),
        (
            ["conv-ae", "--data", "few", "--out", "few/run"],
            "few/run lies in few, so its sample grids would be trained",
        ),
        (["conv-ae", "--data", "few", "--out", "held"], "held holds a model already, which the run would overwrite"),
        (
            ["conv-ae", "--data", "few", "--out", "logged"],
            "logged holds a model already, which the run would overwrite",
        ),
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
    (tmp_path / "logged").mkdir()
    (tmp_path / "logged" / "log.jsonl").touch()
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
    (row,) = json.loads(made.stdout)
    assert row["metric"] == row["protocol"] == "mse"
    assert row["n"] == 20 and row["dataset"] == "data" and row["sentence"].startswith("Mean squared error")
    assert row["verdict"] == "other"
    assert row["card"] == "the card has 0.00577, of which these differ: data set, number of images"

    right = next(row for row in zoo.info("conv-ae.fashion-mnist").metrics if row.metric == "mse")
    monkeypatch.setattr("zoo.recipes.conv_ae.evaluate", lambda model, data: [replace(right, value=0.0065)])
    made = zoo_command("evaluate", "conv-ae.fashion-mnist", "--data", str(tmp_path / "data.npz"))
    assert made.exit_code == 1
    assert "1 of 1 figures are not those on the card: mean squared error." in made.stderr


def test_evaluate_writes_the_card_of_ones_own_model(zoo_command: Command, tmp_path: Path) -> None:
    data = folder(tmp_path / "mine" / "train", 40, 32).parent
    folder(data / "test", 20, 32)
    out = tmp_path / "run"
    assert zoo_command("train", "conv-ae", "--data", str(data), "--out", str(out), *SMALL).exit_code == 0
    measure = ("evaluate", f"local-dir:{out}", "--data", str(data))
    assert "not on the card" in zoo_command(*measure, "--write").stdout
    made = zoo_command(*measure)
    assert made.stdout.count("(match: the card has") == 1, made.stdout + made.stderr
    published = zoo_command("publish", str(out), "--dry-run", "--to", str(tmp_path / "repo"))
    assert published.exit_code == 0, published.stderr
    assert "README.md, config.json, model.safetensors, samples.png" in published.stdout
    assert "| mean squared error | " in (tmp_path / "repo" / "README.md").read_text()


def test_a_card_shows_the_nearest_training_images(zoo_command: Command, tmp_path: Path) -> None:
    assert zoo_command("publish", "dcgan", "--dry-run", "--to", tmp_path / "repo").exit_code == 0
    assert "training images nearest to them](nearest.png)" in (tmp_path / "repo" / "README.md").read_text()
    drawn = Path(__file__).parents[1] / "docs" / "gallery" / "dcgan.fashion-mnist.nearest.png"
    assert (tmp_path / "repo" / "nearest.png").read_bytes() == drawn.read_bytes()


@pytest.fixture
def ramps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on ZOO_PATH with a model and a function that measures it."""
    home = tmp_path / "mine"
    (home / "checkpoints").mkdir(parents=True)
    (home / "ramps.py").write_text(RAMPS)
    (home / "registry.yaml").write_text(STANZA)
    save_file({"gain": torch.ones(1)}, home / "checkpoints" / "ramp.first.safetensors")
    monkeypatch.setenv("ZOO_PATH", str(home))
    monkeypatch.setattr(sys, "path", list(sys.path))
    registry.cache_clear()
    yield home
    registry.cache_clear()
    sys.modules.pop("ramps", None)


RAMPS = """
import torch
from zoo.model import Generator
from zoo.registry.facts import Metric

class Ramp(Generator):
    latent_shape = (1,)
    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))
    def decode(self, z):
        return torch.tanh(self.gain * z[:, :, None, None] + torch.linspace(-1, 1, 16).view(1, 1, 4, 4))

def evaluate(model, data, *, times: float = 1.0):
    x = data.images(4, 1, split="test").x
    return [Metric("roundness", times * float(x.float().mean()), "by eye", n=len(x), split=data.called("test"))]
"""
STANZA = """ramp:
  builder: ramps:Ramp
  summary: Ramps.
  verbs: [generate]
  checkpoints:
    first: {license: MIT, output: {kind: image, channels: 1, size: [4, 4]}, evaluate: "ramps:evaluate"}
"""


def test_evaluate_writes_the_card_of_a_registered_model(zoo_command: Command, ramps: Path) -> None:
    """The file cards/MODEL.yaml beside its registry, whose other rows and first comment stay."""
    data = folder(ramps.parent / "some" / "test", 4, 4).parent
    card = ramps / "cards" / "ramp.yaml"
    card.parent.mkdir()
    card.write_text("# Mine.\nother:\n- {metric: error, value: 1}\n")
    measure = ("evaluate", "ramp", "--data", str(data), "--dataset", "dots")
    written = zoo_command(*measure, "--write")
    assert written.exit_code == 0, written.stderr
    assert "(not on the card)" in written.stdout
    head, *lines = card.read_text().splitlines()
    assert head == "# Mine."
    assert lines[:2] == ["other:", "  - {metric: error, value: 1.0}"]
    assert zoo.info("ramp").metrics[0].dataset == "dots"
    registry.cache_clear()
    made = zoo_command("evaluate", "ramp", "--data", str(data))
    assert "(match: the card has" in made.stdout, "the same images, so the same data set"
    assert zoo_command("evaluate", "ramp", "--data", str(data), "--set", "times=2").exit_code == 1
    assert zoo_command(*measure, "--set", "times=2", "--write").exit_code == 0
    assert len(zoo.info("ramp").metrics) == 1, "the old row is replaced"


def test_write_refuses_before_it_measures(
    zoo_command: Command, ramps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = str(folder(tmp_path / "some", 4, 4))
    monkeypatch.setattr("zoo.loading.load", lambda *args, **options: pytest.fail("loaded"))
    stanza = yaml.safe_load(STANZA)
    stanza["ramp"]["checkpoints"]["first"]["metrics"] = [{"metric": "roundness", "value": 1}]
    (ramps / "registry.yaml").write_text(yaml.safe_dump(stanza))
    made = zoo_command("evaluate", "ramp", "--data", data, "--write")
    assert made.exit_code == 2
    assert "ramp.first stand under `metrics` in its registry: move them to cards/ramp.yaml." in made.stderr
    copied = replace(zoo.info("conv-ae"), folder=tmp_path / "site-packages" / "zoo")
    monkeypatch.setattr("zoo.weights.resolve.entry_of", lambda name: copied)
    made = zoo_command("evaluate", "conv-ae", "--data", data, "--write")
    assert made.exit_code == 2
    assert "zoo is installed as a copy: `pip install -e` its folder, and measure again." in made.stderr


def test_only_what_a_registry_names_measures(zoo_command: Command, ramps: Path, tmp_path: Path) -> None:
    data = str(folder(tmp_path / "some", 4, 4))
    (ramps / "registry.yaml").write_text(STANZA.replace(', evaluate: "ramps:evaluate"', ""))
    made = zoo_command("evaluate", "ramp", "--data", data)
    assert made.exit_code == 2
    assert "Nothing says how ramp.first is measured: its registry names no function under `evaluate`" in made.stderr
    with pytest.raises(RegistryError, match="names the code 'ramps:evaluate', which is not in its registry"):
        code_of("ramps:evaluate", zoo.info("ramp"))
    emoji = replace(zoo.info("pix2pix.emoji"), evaluate="antigravity:fly")
    assert evaluate_of(emoji) == "zoo.recipes.pix2pix:evaluate_emoji", "that of the checkpoint with its recipe"
    assert evaluate_of(replace(emoji, recipe="")) == "zoo.recipes.pix2pix:evaluate", "that of the first"


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
        ("conv-ae --dataset Mine!", "--dataset 'Mine!' is no name: use lower-case letters, digits and hyphens."),
        ("denoise-ae --features random", "--features random is of no use here"),
        ("conv-ae --set size=3", "conv-ae.flowers has no setting 'size'. Its settings: none."),
        (
            "conv-ae.flowers",
            "PCA with 256 components needs as many training images and pixels, not 1 images of 12,288",
        ),
    ):
        made = zoo_command("evaluate", *name.split(), "--data", str(tmp_path))
        assert made.exit_code == 2
        assert reason in made.stderr
