"""`zoo new` and `zoo embed`: what they refuse, and what they leave as it was."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from click.testing import Result
from conftest import broken_rules
from safetensors.torch import load_file, save_file

import zoo
from zoo.authoring.embed import embed
from zoo.authoring.scaffold import KINDS, create
from zoo.errors import InputError, WeightsError
from zoo.registry.index import info, registry
from zoo.testing import check

Command = Callable[..., Result]


@pytest.fixture
def starry(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package that `zoo new starry` writes, registered here; a parameter is its kind."""
    monkeypatch.setattr(sys, "path", [str(tmp_path / "starry"), *sys.path])
    registry.cache_clear()
    package = create("starry", getattr(request, "param", "generator"), tmp_path / "starry") / "zoo_starry"
    zoo.register(package)
    yield package
    registry.cache_clear()
    for name in [name for name in sys.modules if name.startswith("zoo_starry")]:
        del sys.modules[name]


@pytest.mark.parametrize("starry", KINDS, indirect=True)
def test_what_zoo_new_writes_keeps_the_contract(starry: Path) -> None:
    assert not broken_rules("starry")


def trained() -> dict[str, torch.Tensor]:
    return {key: x + 0.01 if x.is_floating_point() else x for key, x in zoo.load("starry").state_dict().items()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Starry"], "'Starry' is no name: use lower-case letters"),
        (["dcgan"], "The name dcgan is taken by zoo: choose another."),
        (["here"], "here exists already: choose another name, or another folder with --to."),
        (["new", "--verb", "generate", "--kind", "autoencoder"], "autoencoder does not generate: choose generator or"),
        (["new", "--to", "here/file/new"], "here/file/new cannot be written: Not a directory."),
    ],
)
def test_new_refuses(
    zoo_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "file").touch()
    made = zoo_command("new", *arguments)
    assert made.exit_code in (1, 2)
    assert made.stderr.startswith(f"Error: {words}")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "cls"),
    [("3d-gan", "Model3dGan"), ("none", "ModelNone"), ("starry-night", "StarryNight"), ("tensor", "ModelTensor")],
)
def test_new_names_a_class_for_every_name(zoo_command: Command, tmp_path: Path, name: str, cls: str) -> None:
    made = zoo_command("new", name, "--verb", "reconstruct", "--to", str(tmp_path / "x"))
    assert made.exit_code == 0, made.stderr
    assert f"cd {tmp_path / 'x'}" in made.stdout
    package = f"zoo_{name.replace('-', '_')}"
    assert f"class {cls}(Model):" in (tmp_path / "x" / package / "network.py").read_text()
    assert f"\n  builder: {package}.network:{cls}\n" in (tmp_path / "x" / package / "registry.yaml").read_text()


def test_what_an_author_reads_on_the_way(starry: Path, zoo_command: Command, tmp_path: Path) -> None:
    """The network is newer than its weights; weights of one's own; a condition that the network needs."""
    save_file(trained(), tmp_path / "mine.safetensors")
    refused = zoo_command("generate", "starry", "--weights", str(tmp_path / "mine.safetensors"), "-o", "x.png").stderr
    assert "weights of your own are for `zoo embed`, or a folder with a config.json." in refused
    text = (starry / "network.py").read_text()
    (starry / "network.py").write_text(
        text.replace("self.layers", "self.steps").replace("z: Tensor)", "z: Tensor, x: Tensor)")
    )
    registry_text = (starry / "registry.yaml").read_text()
    (starry / "registry.yaml").write_text(
        registry_text.replace("  checkpoints:", "  conditions:\n    x: {kind: number}\n  checkpoints:")
    )
    zoo.register(starry)
    for name in [name for name in sys.modules if name.startswith("zoo_starry")]:
        del sys.modules[name]
    assert "`zoo embed starry FILE` brings its weights." in zoo_command("generate", "starry", "-o", "x.png").stderr
    state = {key.replace("layers", "steps"): value for key, value in load_file(info("starry").embedded).items()}
    save_file(state, tmp_path / "mine.safetensors")
    embed("starry", tmp_path / "mine.safetensors")
    zoo.register(starry)
    assert "starry needs the condition x." in zoo_command("generate", "starry", "-o", "x.png").stderr
    assert zoo.load("starry").generate(1, x=0.5)


def test_embed_changes_hash_and_size_only(starry: Path, zoo_command: Command, tmp_path: Path) -> None:
    text = (starry / "registry.yaml").read_text() + "# a remark\n"
    (starry / "registry.yaml").write_text(text)
    before = info("starry")
    save_file(trained(), tmp_path / "trained.safetensors")
    made = zoo_command("embed", "starry", str(tmp_path / "trained.safetensors"))
    assert made.exit_code == 0, made.stderr
    assert "starry.first.safetensors, 126," in made.stdout
    after = (starry / "registry.yaml").read_text().splitlines()
    changed = [new for old, new in zip(text.splitlines(), after, strict=True) if old != new]
    assert [line.split(":")[0].strip() for line in changed] == ["sha256"]
    zoo.register(starry)
    assert info("starry").sha256 != before.sha256
    assert {x.dtype for x in load_file(info("starry").embedded).values()} == {torch.float16, torch.int64}
    check("starry")


@pytest.mark.parametrize("flow", [False, True])
def test_embed_writes_hash_and_size_where_there_were_none(starry: Path, tmp_path: Path, flow: bool) -> None:
    lines = (starry / "registry.yaml").read_text().splitlines()
    kept = [line for line in lines if not line.strip().startswith(("sha256", "bytes"))]
    if flow:
        at = kept.index("    first:")
        kept = [*kept[:at], f"    first: {{{', '.join(line.strip() for line in kept[at + 1 :])}}}"]
    (starry / "registry.yaml").write_text("\n".join(kept) + "\n")
    zoo.register(starry)
    assert info("starry").sha256 is None
    save_file(trained(), tmp_path / "trained.safetensors")
    embed("starry", tmp_path / "trained.safetensors")
    zoo.register(starry)
    assert info("starry").bytes == info("starry").embedded.stat().st_size
    assert zoo.load("starry").generate(1, seed=0)


def test_embed_refuses_what_does_not_fit(starry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, path = trained(), tmp_path / "trained.safetensors"
    before = [file.read_bytes() for file in (starry / "registry.yaml", info("starry").embedded)]
    key = next(iter(state))
    for change, words in (
        ({key: state[key] * 1e9}, "too large for float16"),
        ({key: state[key][:1]}, "does not fit Starry: .*has the config {}: correct that"),
        ({"extra": state[key].clone()}, "has also extra"),
    ):
        save_file({**state, **change}, path)
        with pytest.raises(WeightsError, match=words):
            embed("starry", path)
    with pytest.raises(InputError, match="missing does not exist: name the folder of a run"):
        embed("starry", tmp_path / "missing")
    path.write_bytes(b"PK\x03\x04" + b"0" * 50)
    with pytest.raises(WeightsError, match="is a PyTorch pickle"):
        embed("starry", path)
    monkeypatch.setattr(
        "zoo.authoring.embed.info", lambda name: type("E", (), {"folder": Path("/x/site-packages"), "package": "p"})
    )
    with pytest.raises(InputError, match="p is installed as a copy"):
        embed("starry", path)
    assert before == [
        file.read_bytes() for file in (starry / "registry.yaml", starry / "checkpoints/starry.first.safetensors")
    ]
