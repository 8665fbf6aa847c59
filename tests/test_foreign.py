"""Files that somebody else made: nothing is run, no more memory is taken than they have, one clear error."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import zoo
from zoo.errors import RegistryError, WeightsError, ZooError
from zoo.networks import read_state
from zoo.registry.index import from_config, info
from zoo.registry.schema import parse, to_config
from zoo.weights import verify

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ANYTHING = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
)
KEYS = ("model", "checkpoint", "config", "input", "output", "hub", "sha256", "bytes", "license", "data", "metrics")


def header(facts: dict[str, Any], data: bytes = b"") -> bytes:
    text = json.dumps(facts).encode()
    return len(text).to_bytes(8, "little") + text + data


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        header({"a": {**ENTRY, "data_offsets": [0, 1 << 60]}}, bytes(8)),
        header({"a": {**ENTRY, "shape": [1 << 40]}}, bytes(8)),
        header({"a": {**ENTRY, "data_offsets": [-8, 8]}}, bytes(8)),
        header({"a": {**ENTRY, "data_offsets": [8, 0]}}, bytes(8)),
        header({"a": ENTRY, "b": ENTRY}, bytes(8)),
        header({"a": ENTRY, "b": {**ENTRY, "data_offsets": [4, 12]}}, bytes(12)),
        header({"a": {**ENTRY, "data_offsets": [8, 16]}}, bytes(16)),
        header({"a": {**ENTRY, "dtype": "F33"}}, bytes(8)),
        header({"a": {**ENTRY, "dtype": "F64"}}, bytes(8)),
        header({"a": {**ENTRY, "shape": "two"}}, bytes(8)),
        header({"a": [1, 2]}, bytes(8)),
        header({"__metadata__": {"a": 1}, "a": ENTRY}, bytes(8)),
        (99_000_000).to_bytes(8, "little") + b"{}",
        (8).to_bytes(8, "little") + b"[" * 8,
        (4000).to_bytes(8, "little") + b"[" * 4000,
        b"",
    ],
)
def test_headers_that_lie(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=r"model\.safetensors"):
            verify.read_header(path)
            read_state(path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@settings(max_examples=300, deadline=None)
@given(facts=st.dictionaries(st.sampled_from(KEYS), ANYTHING))
def test_any_config_is_read_or_refused(facts: dict[str, Any]) -> None:
    good = json.loads(to_config(info("dcgan")))
    text = json.dumps({**good, **facts})
    try:
        from_config(text, "config.json")
    except ZooError as error:
        assert len(str(error)) < 600


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=200) | ANYTHING.map(lambda value: yaml.safe_dump(value, allow_unicode=True)))
def test_any_registry_is_read_or_refused(text: str) -> None:
    try:
        parse(text, "registry.yaml", "p", Path())
    except RegistryError as error:
        assert str(error).startswith("registry.yaml")


def test_yaml_and_json_bombs() -> None:
    laughs = "\n".join(
        ["a0: &a0 [lol, lol]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12))]
    )
    deep = "nested more than 50 deep: that is no registry|exceeded maximum nesting depth"  # ours, or libyaml's own
    for text, words in (
        (laughs, "more than 100,000 values: that is no registry"),
        ("[" * 60, "nested more than 50 deep: that is no registry"),
        ("[" * 100_000, deep),
        ("- " * 100_000, deep),
        ("? " * 100_000, deep),
        ("a: !!python/object/apply:os.system [exit]", "is not YAML"),
    ):
        with pytest.raises(RegistryError, match=words):
            parse(text, "registry.yaml", "p", Path())
    with pytest.raises(RegistryError, match=r"config\.json is not JSON"):
        from_config("[" * 100_000, "config.json")


@pytest.mark.parametrize(
    "hub",
    [
        {"repo": "../etc"},
        {"repo": "me/mine/more"},
        {"repo": "me/mine", "file": "../../model.safetensors"},
        {"repo": "me/mine", "file": "/etc/model.safetensors"},
        {"repo": "me/mine", "file": "model.bin"},
        {"repo": "me/mine", "mirrors": ["file:///etc/passwd"]},
    ],
)
def test_names_that_lead_elsewhere(hub: dict[str, Any]) -> None:
    facts = {**json.loads(to_config(info("dcgan"))), "hub": hub}
    with pytest.raises(RegistryError, match="hub: "):
        from_config(json.dumps(facts), "config.json")
    for name in ("../../x", "a/b", ".hidden", "A", ""):
        with pytest.raises(RegistryError, match="is no name"):
            from_config(json.dumps({**facts, "hub": None, "checkpoint": name}), "config.json")


def test_a_folder_with_links_out_of_it_is_only_read(tmp_path: Path) -> None:
    """Weights that are a link are read if they are what the config says, and never written."""
    outside = tmp_path / "outside.safetensors"
    save_file({key: value.clone() for key, value in load_file(info("dcgan").embedded).items()}, outside)
    before = outside.read_bytes()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "model.safetensors").symlink_to(outside)
    facts = json.loads(to_config(info("dcgan")))
    (folder / "config.json").write_text(json.dumps({**facts, "sha256": None, "bytes": None}))
    assert zoo.load(f"local-dir:{folder}").generate(1, seed=0)
    (folder / "config.json").write_text(json.dumps({**facts, "sha256": "0" * 64}))
    with pytest.raises(WeightsError, match="its sha256 begins"):
        zoo.load(f"local-dir:{folder}")
    assert outside.read_bytes() == before


def test_a_pickle_under_any_name_is_refused(tmp_path: Path) -> None:
    for name in ("model.safetensors", "x.safetensors"):
        torch.save({"a": torch.zeros(2)}, tmp_path / name)
        with pytest.raises(WeightsError, match="is a PyTorch pickle"):
            zoo.load("dcgan", weights=tmp_path / name)
