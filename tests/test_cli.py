"""The command: what it prints and writes, and what it says of bad input. Never a traceback."""

from __future__ import annotations

import io
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click import Context
from click.testing import Result
from conftest import Registry, sample_image
from PIL import Image
from zoo.cli import GROUPS, main

import zoo
from zoo.metrics import wording
from zoo.registry.index import registry

EMBEDDED = [entry for entry in registry().entries.values() if entry.embedded.is_file()]
Command = Callable[..., Result]


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_help_lists_all_commands(zoo_command: Command) -> None:
    text = zoo_command("--help").output
    for command in ("list", "info", "generate", "reconstruct", "download", "verify", "cache", "check"):
        assert f"\n  {command} " in text
        assert zoo_command(command, "--help").exit_code == 0
    for command in ((), ("train",), ("evaluate",)):  # examples keep their lines
        assert "\n  zoo " in zoo_command(*command, "--help").output
    for group in GROUPS.values():  # without importing any of them: `zoo --help` must start fast
        for command, (_, line) in group.items():
            found = main.get_command(Context(main), command)
            assert found and line == found.get_short_help_str(200)
    assert zoo_command("--version").output == f"zoo, version {zoo.__version__}\n"


def test_list(zoo_command: Command) -> None:
    text = zoo_command("list").output
    assert all(name in text for name in registry().entries)
    facts = json.loads(zoo_command("list", "*gan*", "--verb", "generate", "--json").output)
    assert facts[0]["name"] == "dcgan.fashion-mnist"
    assert facts[0]["embedded"]
    assert "conv-ae" not in zoo_command("list", "--verb", "generate").output
    assert "dcgan.fashion" not in zoo_command("list", "--license", "cc-by*").output


def test_list_shows_where_a_plugins_model_comes_from(zoo_command: Command, toys: Registry) -> None:
    assert "toys" in zoo_command("list").output


@pytest.mark.parametrize("name", ["dcgan", "conv-ae", "conv-ae.fashion-mnist"])
def test_info(zoo_command: Command, name: str) -> None:
    entry = zoo.info(name)
    text = zoo_command("info", name).output
    for fact in (entry.name, entry.paper, entry.license, entry.sha256, wording.sentence(entry.metrics[0])):
        assert str(fact) in text
    assert json.loads(zoo_command("info", name, "--json").output)["config"] == json.loads(json.dumps(entry.config))


def test_generate(zoo_command: Command, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    done = zoo_command("generate", "dcgan", "-n", 4, "--seed", 7, "-o", out, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"output": str(out), "images": 4, "seed": 7}
    assert size(out) == (58, 58)
    assert out.read_bytes() == zoo.load("dcgan").generate(4, seed=7).png()
    again = zoo_command("generate", "dcgan", "-n", 4, "--seed", 7, "-o", "-")
    assert again.stdout_bytes == out.read_bytes()
    zoo_command("generate", "dcgan.fashion-mnist", "-n", 3, "-o", tmp_path / "folder", "--batch-size", 2)
    assert len(list((tmp_path / "folder").iterdir())) == 3


def test_the_default_output_is_the_models_name(
    zoo_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = zoo_command("generate", "dcgan", "-n", 1)
    assert size(tmp_path / "dcgan.png") == (28, 28)
    assert "dcgan.png: 1 image, seed " in done.stderr


def test_reconstruct_one_file(zoo_command: Command, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy.jpg"
    done = zoo_command("reconstruct", "conv-ae", photo, "-o", out)
    assert done.exit_code == 0, done.output
    assert size(out) == (64, 64)
    zoo_command("reconstruct", "conv-ae", photo, "-o", tmp_path / "pair.png", "--compare")
    assert size(tmp_path / "pair.png") == (130, 64)


def test_reconstruct_standard_input_to_output(zoo_command: Command, photo: Path) -> None:
    done = zoo_command("reconstruct", "conv-ae", "-", "-o", "-", input=photo.read_bytes())
    assert done.exit_code == 0, done.output
    assert Image.open(io.BytesIO(done.stdout_bytes)).size == (64, 64)


def test_reconstruct_a_folder_keeps_its_tree(zoo_command: Command, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("a.png", "a.jpg", "deep/b.png"):
        sample_image(9, 9).save(tmp_path / "in" / name)
    done = zoo_command("reconstruct", "conv-ae", tmp_path / "in", "-o", tmp_path / "out", "--batch-size", 2)
    assert done.exit_code == 0, done.output
    written = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png")}
    assert written == {"a.png", "a-2.png", "deep/b.png"}


def test_one_bad_file_among_many_is_left_out(zoo_command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(3):
        sample_image(9, 9).save(folder / f"{i}.png")
    (folder / "1.png").write_text("no image")
    done = zoo_command("reconstruct", "conv-ae", folder, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["0.png", "2.png"]
    assert "Error: 1 of 3 inputs failed, the rest is written:\n" in done.stderr
    assert "1.png: not an image" in done.stderr


def test_inputs_are_never_overwritten(zoo_command: Command, photo: Path) -> None:
    before = photo.read_bytes()
    for output in (photo.parent, photo):
        done = zoo_command("reconstruct", "conv-ae", photo, "-o", output)
        assert done.exit_code == 2
        assert "would be overwritten" in done.stderr
        assert photo.read_bytes() == before


def test_download_and_use_elsewhere(zoo_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = zoo_command("download", "--all", "--to", tmp_path / "w")
    assert done.exit_code == 1
    assert "taesd.sd: madebyollin/taesd@" in done.stderr, (
        "what is on the Hub cannot be had here, and does not stop the rest"
    )
    assert f"{len(registry().entries) - len(EMBEDDED)} of {len(registry().entries)} were not downloaded" in done.stderr
    assert len(list((tmp_path / "w").glob("*/config.json"))) == len(EMBEDDED)
    for extra in (["--weights", tmp_path / "w"], []):
        name = "dcgan" if extra else f"local-dir:{tmp_path}/w/dcgan.fashion-mnist"
        done = zoo_command("generate", name, "-n", 1, "--seed", 1, "-o", tmp_path / "a.png", *extra)
        assert done.exit_code == 0, done.output
    assert "embedded" in zoo_command("info", "dcgan").output
    assert "zoo/checkpoints" in zoo_command("download", "dc*").output


def test_verify(zoo_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = zoo_command("verify")
    assert done.exit_code == 0, done.output
    assert done.output.count("good") == len(EMBEDDED)
    assert done.output.count("absent") == len(registry().entries) - len(EMBEDDED)
    bad = tmp_path / "dcgan.fashion-mnist" / "model.safetensors"
    bad.parent.mkdir()
    bad.write_bytes(b"nonsense")
    monkeypatch.setenv("ZOO_WEIGHTS", str(tmp_path))
    done = zoo_command("verify", "dcgan")
    assert done.exit_code == 1
    assert "wrong" in done.output
    assert "1 of 2 files is wrong" in done.stderr


def test_cache_is_empty_here(zoo_command: Command) -> None:
    assert zoo_command("cache", "list").output == "Nothing was downloaded.\n"
    assert zoo_command("cache", "clear", "--all").output == "Deleted nothing.\n"


def test_conditions(zoo_command: Command, toys: Registry, tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    args = ("generate", "dots", "-n", 2, "--seed", 1, "-o", out, "-c", "strength=0.5")
    assert zoo_command(*args, "-c", "digit=7").exit_code == 0
    seven = out.read_bytes()
    assert zoo_command(*args, "-c", "digit=7", "-c", "digit=1").exit_code == 0
    assert out.read_bytes() != seven
    assert "-c digit=... (0, 1, 2" in zoo_command("info", "dots").output
    assert zoo_command("reconstruct", "doubler", out, "-o", tmp_path / "b.png", "-c", f"mask={out}").exit_code == 0
    assert size(tmp_path / "b.png") == (36, 16)
    for wrong, words in (("digit=x", "choose one of"), ("digit", "NAME=VALUE"), ("digti=1", "did you mean digit")):
        done = zoo_command(*args, "-c", wrong)
        assert done.exit_code == 2
        assert words in done.stderr


def test_completion(zoo_command: Command) -> None:
    done = zoo_command(env={"_ZOO_COMPLETE": "bash_complete", "COMP_WORDS": "zoo info con", "COMP_CWORD": "2"})
    assert "conv-ae.flowers" in done.output


# Arguments, exit code, words that the one line on the standard error must have.
BAD = [
    (["info", "dcgna"], 2, "There is no model 'dcgna'; did you mean dcgan"),
    (["generate", "dcgan.x"], 2, "dcgan has no checkpoint 'x': it has fashion-mnist"),
    (["generate", "conv-ae"], 2, "conv-ae cannot generate: dcgan"),
    (["reconstruct", "dcgan", "{photo}", "-o", "{tmp}/a.png"], 2, "dcgan cannot reconstruct: conv-ae"),
    (["reconstruct", "conv-ae", "{tmp}/none.png", "-o", "{tmp}/a.png"], 2, "none.png does not exist"),
    (["reconstruct", "conv-ae", "{tmp}/empty", "-o", "{tmp}/a.png"], 2, "holds no images"),
    (["reconstruct", "conv-ae", "{tmp}/text.png", "-o", "{tmp}/a.png"], 1, "text.png: not an image"),
    (["reconstruct", "conv-ae", "{tmp}/cut.jpg", "-o", "{tmp}/a.png"], 1, "cut.jpg: damaged or cut off"),
    (["reconstruct", "conv-ae", "{tmp}/zero.png", "-o", "{tmp}/a.png"], 1, "zero.png: empty (0 bytes)"),
    (["reconstruct", "conv-ae", "{photo}", "-o", "{tmp}/a.xyz"], 2, ".xyz is no image format"),
    (["reconstruct", "conv-ae", "{photo}", "-o", "{tmp}/text.png/a.png"], 1, "cannot be written"),
    (["reconstruct", "conv-ae", "{photo}", "-o", "{tmp}/a.png", "--batch-size", "0"], 2, "batch_size must be"),
    (["reconstruct", "conv-ae", "{photo}", "-o", "{tmp}/a.png", "-c", "x=1"], 2, "has no condition 'x'"),
    (["generate", "dcgan", "-n", "0", "-o", "{tmp}/a.png"], 2, "n must be a whole number from 1, not 0"),
    (["generate", "dcgan", "-n", "-1", "-o", "{tmp}/a.png"], 2, "n must be a whole number from 1, not -1"),
    (["generate", "dcgan", "-n", "1000000000", "-o", "{tmp}/a.png"], 2, "GB of memory"),
    (["generate", "dcgan", "--seed", "-3", "-o", "{tmp}/a.png"], 2, "seed must be"),
    (["generate", "dcgan", "-o", "{tmp}/a.doc"], 2, ".doc is no image format"),
    (["generate", "dcgan", "-o", "{tmp}/a.png", "--device", "abacus"], 2, "'abacus' cannot be used"),
    (["generate", "dcgan", "-o", "{tmp}/a.png", "--weights", "{tmp}/text.png"], 1, "no safetensors file"),
    (["generate", "local-dir:{tmp}", "-o", "{tmp}/a.png"], 2, "has no config.json"),
    (["download"], 2, "Name what to download"),
    (["download", "nothing*"], 2, "No model matches"),
    (["list", "nothing"], 2, "No model matches"),
    (["cache", "clear"], 2, "Name what to delete"),
]


@pytest.mark.parametrize(("args", "code", "words"), BAD, ids=lambda x: " ".join(x) if isinstance(x, list) else None)
def test_bad_input(zoo_command: Command, photo: Path, tmp_path: Path, args: list[str], code: int, words: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("I am no image at all")
    (tmp_path / "zero.png").write_bytes(b"")
    buffer = io.BytesIO()
    sample_image(200, 200).save(buffer, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(buffer.getvalue()[:900])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    done = zoo_command(*[arg.format(photo=photo, tmp=tmp_path) for arg in args])
    assert done.exit_code == code, done.output
    assert words in done.stderr
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before, "something was written"


def test_a_one_pixel_image_works(zoo_command: Command, tmp_path: Path) -> None:
    sample_image(1, 1).save(tmp_path / "dot.png")
    assert zoo_command("reconstruct", "conv-ae", tmp_path / "dot.png", "-o", tmp_path / "a.png").exit_code == 0
    assert size(tmp_path / "a.png") == (64, 64)


def test_an_unforeseen_error_is_one_line_and_debug_shows_it(
    zoo_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr("zoo.model.Model._run", broken)
    done = zoo_command("generate", "dcgan", "-o", "-")
    assert done.exit_code == 1
    assert done.stderr == "Error: RuntimeError: the sky fell (`zoo --debug ...` shows where)\n"
    assert isinstance(zoo_command("--debug", "generate", "dcgan", "-o", "-").exception, RuntimeError)


def test_a_broken_plugin_is_one_line(
    zoo_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    from test_registry import make_plugin

    make_plugin(tmp_path, "zoo_broken", "a: [")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.cache_clear()
    try:
        done = zoo_command("list")
        assert done.exit_code == 0
        assert done.stderr.startswith("Warning: The plugin zoo_broken is left out: ")
        assert "dcgan" in done.stdout
    finally:
        registry.cache_clear()


def test_a_broken_registry_is_one_line(zoo_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "registry.yaml").write_text("dcgan: {builder: 3}")
    monkeypatch.setattr("zoo.registry.index.own_registry", lambda: (tmp_path / "registry.yaml", tmp_path))
    registry.cache_clear()
    try:
        done = zoo_command("list")
        assert done.exit_code == 1
        expected = "expected module:Class, as in zoo.models.dcgan:DCGAN, got 3."
        assert done.stderr == f"Error: {tmp_path}/registry.yaml: dcgan: builder: {expected}\n"
    finally:
        registry.cache_clear()


def test_written_files_have_the_users_usual_permissions(zoo_command: Command, tmp_path: Path) -> None:
    zoo_command("generate", "dcgan", "-n", 1, "-o", tmp_path / "a.png")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o666 & ~umask
    assert np.asarray(Image.open(tmp_path / "a.png")).any()
