"""Where weights come from, and what is refused; with a server on this machine that speaks the Hub's protocol."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pickle
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Registry
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save, save_file

import zoo
from zoo.errors import InputError, RegistryError, WeightsError
from zoo.networks import build
from zoo.registry.index import info, registry
from zoo.registry.schema import to_config
from zoo.weights import folder, resolve, verify

EMBEDDED = [name for name, entry in registry().entries.items() if entry.package == "zoo" and entry.embedded.is_file()]


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_files_are_small_float16_and_as_recorded(name: str) -> None:
    entry = info(name)
    verify.check(entry.embedded, entry)
    assert entry.embedded.stat().st_size == entry.bytes
    assert entry.bytes < 8_000_000
    assert {str(t.dtype) for t in load_file(entry.embedded).values()} <= {"torch.float16", "torch.int16", "torch.int64"}


def test_all_embedded_files_are_under_95_mb_and_all_are_in_the_registry() -> None:
    files = set(info("dcgan").embedded.parent.glob("*.safetensors"))
    assert files == {info(name).embedded for name in EMBEDDED}
    assert sum(file.stat().st_size for file in files) < 95_000_000  # so that a wheel fits PyPI


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps({"a": 1}), "pickle"),
        (b"PK\x03\x04" + bytes(100), "pickle"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"", "no safetensors file"),
        (b"\x10", "no safetensors file"),
        ((1 << 60).to_bytes(8, "little") + b"{}", "no safetensors file"),
        ((2).to_bytes(8, "little") + b"[]", "no readable safetensors header"),
        ((8).to_bytes(8, "little") + b'{"a": 1}', "no readable safetensors header"),
        (save({"a": torch.zeros(9)})[:-4], "should have"),
        (save({"a": torch.zeros(9)}) + b"more", "should have"),
    ],
)
def test_what_is_no_safetensors_file(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=words):
        verify.read_header(path)
    with pytest.raises(WeightsError, match=words):
        zoo.load("dcgan", weights=path)


def test_a_header_whose_length_looks_like_a_pickle(tmp_path: Path) -> None:
    """One in 32 files begins with the byte 0x80, as pickles do."""
    text = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).ljust(0x80).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    assert path.read_bytes()[:1] == b"\x80"
    assert list(verify.read_header(path)) == ["a"]
    assert load_file(path)["a"].shape == (2,)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(tmp_path / "ran"),))

    path = tmp_path / "model.safetensors"
    torch.save(Bomb(), path)
    with pytest.raises(WeightsError, match="pickle"):
        zoo.load("dcgan", weights=path)
    assert not (tmp_path / "ran").exists()


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_damage_to_a_file_is_noticed_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    good = save({"a": torch.zeros(3), "b": torch.ones(2, 2)})
    place = data.draw(st.integers(0, len(good) - 1))
    bad = good[:place] + data.draw(st.binary(max_size=12)) + good[place + data.draw(st.integers(0, 12)) :]
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(bad)
    entry = replace(info("dcgan"), sha256=hashlib.sha256(good).hexdigest())
    try:
        verify.check(path, entry)
    except WeightsError:
        assert bad != good
    else:
        assert bad == good


def test_a_foreign_checkpoint_is_named(tmp_path: Path) -> None:
    other = info("conv-ae.fashion-mnist").embedded
    with pytest.raises(WeightsError, match=r"is not dcgan\.fashion-mnist: its sha256"):
        zoo.load("dcgan", weights=other)


def test_keys_and_shapes_that_do_not_fit_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    state = load_file(info("dcgan").embedded)
    state["main.0.weight"] = state["main.0.weight"][:50]
    state["extra"] = state.pop("main.1.weight").clone()
    save_file(state, folder / "model.safetensors")
    config = {"model": "dcgan", "config": dict(info("dcgan").config), "output": {"kind": "image"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError) as error:
        zoo.load(f"local-dir:{folder}")
    for words in ("lacks main.1.weight", "has also extra", "main.0.weight is (50,", "instead of (100,"):
        assert words in str(error.value)


def test_local_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = info("dcgan")
    path = folder.export(entry, entry.embedded, tmp_path / entry.name)
    gone = replace(entry, folder=tmp_path / "nowhere", hub=None)
    with pytest.raises(WeightsError, match=r"has no weights: .* does not exist, and its stanza names no `hub`"):
        resolve.fetch(gone)
    assert resolve.fetch(gone, tmp_path) == path
    assert resolve.fetch(gone, tmp_path / entry.name) == path
    monkeypatch.setenv("ZOO_WEIGHTS", str(tmp_path))
    assert resolve.fetch(gone) == path
    ours = zoo.load("dcgan").generate(2, seed=3).numpy()
    theirs = zoo.load(f"local-dir:{tmp_path / entry.name}").generate(2, seed=3).numpy()
    assert np.array_equal(ours, theirs)
    assert oct(path.stat().st_mode & 0o044) == "0o44"


def test_a_damaged_local_file_is_passed_over_for_a_good_one(tmp_path: Path) -> None:
    entry = info("dcgan")
    damaged = tmp_path / "package" / "checkpoints" / f"{entry.name}.safetensors"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(entry.embedded.read_bytes()[:-1] + b"x")
    good = folder.export(entry, entry.embedded, tmp_path / "local")
    assert resolve.fetch(replace(entry, folder=tmp_path / "package"), tmp_path / "local") == good
    with pytest.raises(WeightsError, match="its sha256 begins"):
        resolve.fetch(replace(entry, folder=tmp_path / "package", hub=None))


@pytest.mark.parametrize(
    ("name", "options", "error", "words"),
    [
        ("dcgan", {"weights": "no/such/folder"}, InputError, "does not exist"),
        ("local-dir:no/such/folder", {}, InputError, "has no config.json"),
        ("local-dir:.", {"weights": "x"}, InputError, "leave out"),
        ("file:x", {}, InputError, "no prefix"),
        ("hf-hub:me/mine", {}, WeightsError, "Hub cannot be reached"),
        ("hf-hub:not a repo", {}, InputError, "use owner/name"),
        ("dcgan", {"device": "abacus"}, InputError, "'abacus' cannot be used"),
        ("dcgan", {"device": "cuda:99"}, InputError, "'cuda:99' cannot be used"),
    ],
)
def test_bad_loads(name: str, options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        zoo.load(name, **options)


def test_a_builder_that_fails_is_named(toys: Registry, tmp_path: Path) -> None:
    for builder, words in (
        ("no_such_module:X", "no_such_module"),
        ("conftest:Nothing", "Nothing"),
        ("builtins:dict", "no zoo.model.Model"),
    ):
        entry = replace(info("doubler"), builder=builder, model="x")
        with pytest.raises(RegistryError, match=words):
            build(entry)


def test_a_failed_export_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    entry = info("dcgan")
    with pytest.raises(WeightsError, match="No space left"):
        folder.export(entry, entry.embedded, tmp_path / "w")
    assert list((tmp_path / "w").iterdir()) == []


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, bad: float) -> None:
    state = load_file(info("dcgan").embedded)
    state["main.1.running_var"][3] = bad
    with pytest.raises(WeightsError, match=r"main\.1\.running_var holds NaN or infinity"):
        zoo.load(f"local-dir:{folder_of(tmp_path / 'w', 'dcgan', state)}")


def test_weights_that_a_type_does_not_hold_are_refused(tmp_path: Path) -> None:
    state = {key: x.float() if x.is_floating_point() else x for key, x in load_file(info("dcgan").embedded).items()}
    state["main.0.weight"][0, 0] = 1e6
    name = f"local-dir:{folder_of(tmp_path / 'w', 'dcgan', state)}"
    with pytest.raises(WeightsError, match=r"main\.0\.weight has numbers up to 1e\+06, too large for float16"):
        zoo.load(name, dtype=torch.float16)
    assert zoo.load(name, dtype=torch.bfloat16).generate(1, seed=0).numpy().shape[1:] == (1, 28, 28)


def folder_of(folder: Path, model: str, state: dict[str, torch.Tensor], **changed: Any) -> Path:
    """A folder for ``local-dir:`` as a stranger writes it: the facts of a model, some of them others."""
    folder.mkdir()
    save_file(state, folder / "model.safetensors")
    facts = json.loads(to_config(replace(info(model), sha256=None, bytes=None))) | changed
    (folder / "config.json").write_text(json.dumps(facts))
    return folder


@pytest.mark.parametrize(
    ("model", "changed", "words"),
    [
        ("srgan", {"scale": 1}, "`output` declares"),
        ("srgan", {"scale": 3}, "`output` declares"),
        ("srgan", {"output": {"channels": 1}}, "`output` declares"),
        ("srgan", {"input": {"channels": 1}}, "declares an input that the network does not take"),
        ("srgan", {"input": {"size": [10**6, 10**6]}}, "size or multiple of more than"),
        ("srgan", {"input": {"multiple": 10**6}}, "size or multiple of more than"),
        ("conv-ae", {"input": {"size": [32, 32]}}, "does not take"),
        ("conv-ae", {"output": {"size": [32, 32]}}, "`output` declares"),
        ("cyclegan", {"input": {"multiple": 1}}, "Height and width must be divisible by 4"),
        ("pix2pix.emoji", {"input": {"size": [48, 48]}}, "Height and width must be multiples of 64"),
        ("dcgan", {"output": {"size": [64, 64]}}, "`output` declares"),
        ("dcgan", {"output": {"channels": 3}}, "`output` declares"),
        ("srgan", {"config": {"blocks": 10**9}}, "far more than the"),
        ("srgan", {"config": {"blocks": 1}}, "has also"),
        ("conv-ae", {"config": {"widths": [8] * 30_000}}, "far more than the|failed"),
        ("dcgan", {"config": {"latent": 10**9}}, "instead of"),
        ("dcgan", {"config": {"width": 10**30}}, "too large a number"),
        ("dcgan", {"config": {"size": "64"}}, "size in `config` must be of the type int, not '64'"),
        ("dcgan", {"config": {"size": 2**31 - 1, "width": "x"}}, "width in `config` must be of the type int"),
        ("conv-ae", {"input": {"kind": "image", "channels": 2**31 - 1, "size": [9, 11]}}, "of more than"),
    ],
)
def test_a_config_that_does_not_belong_to_the_weights(
    tmp_path: Path, model: str, changed: dict[str, Any], words: str
) -> None:
    entry = info(model)
    facts = json.loads(to_config(entry))
    if "scale" in changed:
        changed = {"output": changed}
    changed = {key: {**facts[key], **value} for key, value in changed.items()}
    folder = folder_of(tmp_path / "w", model, load_file(entry.embedded), **changed)
    start = time.perf_counter()
    with pytest.raises((WeightsError, RegistryError), match=words) as error:
        zoo.load(f"local-dir:{folder}")
    assert time.perf_counter() - start < 5
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int8, torch.float8_e4m3fn, torch.bool])
def test_numbers_of_another_kind_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    state = load_file(info("dcgan").embedded)
    state["main.0.weight"] = state["main.0.weight"].to(dtype)
    with pytest.raises(WeightsError, match=r"main\.0\.weight (is|has the type) "):
        zoo.load(f"local-dir:{folder_of(tmp_path / 'w', 'dcgan', state)}")


def test_a_file_that_shrinks_under_a_process_harms_it_not(tmp_path: Path) -> None:
    state = {key: x.float() if x.is_floating_point() else x for key, x in load_file(info("dcgan").embedded).items()}
    folder = folder_of(tmp_path / "w", "dcgan", state)
    code = (
        "import os, sys, zoo; model = zoo.load('local-dir:' + sys.argv[1]); "
        "os.truncate(sys.argv[1] + '/model.safetensors', 0); print(model.generate(1, seed=0).numpy().shape)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "(1, 1, 28, 28)\n"), done.stderr


def header_of(facts: str | bytes, data: int = 0) -> bytes:
    text = facts if isinstance(facts, bytes) else facts.encode()
    return len(text).to_bytes(8, "little") + text + bytes(data)


ONE = '{"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps([1] * 999, 2), "a pickle"),
        (pickle.dumps({"a": 1}, 4), "a pickle"),
        (b"PK\x03\x04{" + bytes(100), "zip archive"),
        (b"\n<!DOCTYPE html><html>" + bytes(100), "web page"),
        (b"<html><head>" + bytes(100), "web page"),
        (gzip.compress(bytes(100), mtime=0), "compressed file: unpack it"),
        (b"BZh91AY" + bytes(100), "compressed file: unpack it"),
        (bytes(257) + b"ustar" + bytes(300), "tar archive"),
        (b"GGUF" + bytes(100), "another program"),
        (b'{"a": 1}' + bytes(100), "JSON, not weights"),
        (header_of("{}"), ""),
        (header_of(f'{{"a": {ONE}}}', 8), ""),
        (header_of(f'{{"a": {ONE}, "a": {ONE}}}', 8), "no readable"),
        (header_of(f'{{"a": {ONE}, "b": {ONE}}}', 8), "no readable"),
        (header_of('{"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}}', 16), "no readable"),
        (header_of('{"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}}'), "no readable"),
        (header_of('{"a": {"dtype": "F32", "shape": [-2, -1], "data_offsets": [0, 8]}}', 8), "no readable"),
        (header_of('{"a": {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]}}', 8), "no readable"),
        (header_of('{"a": {"dtype": "F32", "shape": [true, 2], "data_offsets": [0, 8]}}', 8), "no readable"),
        (header_of('{"a": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 8]}}', 8), "no readable"),
        (
            header_of('{"a": {"dtype": "F32", "shape": [1152921504606846977], "data_offsets": [0, 8]}}', 8),
            "no readable",
        ),
        (header_of('{"a": {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]}}', 8), "no readable"),
        (header_of('{"a": {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]}}', 8), "no readable"),
        (header_of('{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0]}}', 8), "no readable"),
        (header_of('{"a": {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}}', 8), "no readable"),
        (header_of('{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 12]}}', 12), "no readable"),
        (header_of('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"), "no readable"),
        (header_of(b'{"\xff": 1}'), "no readable"),
        (header_of('{"a": null}'), "no readable"),
        (header_of('{"a": {"dtype": "I64", "shape": "", "data_offsets": [0, 8]}}') + bytes(8), "no readable"),
        (header_of('{"a": {"dtype": "I64", "shape": {}, "data_offsets": [0, 8]}}') + bytes(8), "no readable"),
    ],
)
def test_headers_of_strangers(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    if not words:
        verify.read_header(path)
        return
    with pytest.raises(WeightsError, match=words):
        verify.read_header(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, words in ((tmp_path, "is a folder"), (tmp_path / "no", "does not exist"), (tmp_path / "fifo", "no file")):
        with pytest.raises(WeightsError, match=words):
            verify.read_header(path)
