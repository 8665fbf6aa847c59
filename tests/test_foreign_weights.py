"""Files with weights as strangers write them: what of them is taken, what is said of the rest, and what is refused."""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import pickle
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from safetensors.torch import load_file, save_file
from test_importing import SMALLEST, assert_equal, saved, theirs
from torch import Tensor, nn
from zoo.cli import main

from zoo.errors import InputError, WeightsError, ZooError
from zoo.interop.convert import convert
from zoo.interop.foreign import read
from zoo.interop.recognise import is_averaged
from zoo.weights.resolve import find

Command = Callable[..., Result]
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def plain() -> State:
    """A small generator, as training left it."""
    return theirs("dcgan", SMALLEST)


@pytest.fixture(scope="module")
def averaged(plain: State) -> State:
    return {key: value / 2 if value.is_floating_point() else value.clone() for key, value in plain.items()}


@pytest.fixture(scope="module")
def critic() -> State:
    return {"main.0.weight": torch.zeros(4, 1, 4, 4), "main.2.weight": torch.zeros(1, 4, 4, 4)}


def behind(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


def weights(folder: Path) -> State:
    return load_file(folder / "model.safetensors")


PAIRS: list[tuple[str, str]] = [
    ("state_dict", "ema_state_dict"),
    ("state_dict", "state_dict_ema"),
    ("state_dict", "ema"),
    ("model", "model_ema"),
    ("netG", "netG_ema"),
    ("model", "ema_model"),
    ("params", "params_ema"),
    ("G", "G_ema"),
    ("g", "g_ema"),
    ("generator", "generator_ema"),
    ("netG", "avgG"),
    ("generator", "g_running"),
    ("online_model", "ema_model"),
    ("G", "Gs"),
    ("G", "GE"),
    ("netG", "netGEMA"),
    ("model", "swa_model"),
]


@pytest.mark.parametrize(
    ("name", "better", "how", "averaged_first"),
    [
        *((name, better, "dicts", i % 2 == 0) for i, (name, better) in enumerate(PAIRS)),
        *(
            ("generator", "generator_ema", how, first)
            for how in ("nested", "flat", "list", "safetensors")
            for first in (0, 1)
        ),
    ],
)
def test_averaged_weights_are_preferred_and_the_others_named(
    name: str,
    better: str,
    how: str,
    averaged_first: bool,
    plain: State,
    averaged: State,
    critic: State,
    tmp_path: Path,
    zoo_command: Command,
) -> None:
    pairs = [(name, plain), (better, averaged)][:: -1 if averaged_first else 1]
    flat = {f"{where}.{key}": x for where, state in [*pairs, ("critic", critic)] for key, x in state.items()}
    within = {"dicts": "", "nested": "models.", "flat": "state_dict.", "list": "nets.0.", "safetensors": ""}[how]
    content: Any = {
        "dicts": {**dict(pairs), "critic": critic, "epoch": 3, "optimizer": {"state": {}, "lr": 0.1}},
        "nested": {"models": {**dict(pairs), "critic": critic}, "epoch": 3, "optimizer": {"lr": 0.1}},
        "flat": {"state_dict": OrderedDict(flat), "epoch": 3, "optimizer": {"lr": 0.1}},
        "list": {"nets": [{**dict(pairs), "critic": critic}], "epoch": 3, "optimizer": [1, 2]},
        "safetensors": flat,
    }[how]
    path = saved(tmp_path, content, "a.safetensors" if how == "safetensors" else "a.pth")
    done = zoo_command("import", "auto", path, "-o", tmp_path / "mine")
    assert done.exit_code == 0, done.stderr
    assert_equal(weights(tmp_path / "mine"), averaged)
    assert f"the weights in {within}{better}, which are averaged" in done.stdout
    (left,) = [line for line in done.stdout.splitlines() if line.startswith("Left out of ")]
    items = left.removeprefix(f"Left out of {path.name}: ").removesuffix(".").split(", ")
    rest = [] if how == "safetensors" else ["epoch", "optimizer"]
    assert sorted(items) == sorted([f"{within}{name} ({len(plain)} tensors)", f"{within}critic (2 tensors)", *rest])
    entry, _ = find(f"local-dir:{tmp_path / 'mine'}")
    assert entry.origin
    assert entry.origin.taken == {path.name: within + better}
    assert entry.origin.left_out == {path.name: ", ".join(items)}
    for i, (key, wanted) in enumerate(((name, plain), (better, averaged), (within + name, plain))):
        convert([path], tmp_path / str(i), key=key)
        assert_equal(weights(tmp_path / str(i)), wanted)


def test_words_that_mean_an_average() -> None:
    for where in ("G_ema", "netGEma", "emaG", "EMA", "models.ema_0.999", "avgG", "model.averaged_model", "gema"):
        assert is_averaged(where), where
    others = ("", "netG", "generator", "params", "G_A", "gs.main", "memory", "image", "model.remap", "ema.online_model")
    for where in others:
        assert not is_averaged(where), where


@pytest.mark.parametrize("how", ["list", "dotless", "dotless within", "named", "named within"])
def test_averages_without_the_networks_names(how: str, plain: State, averaged: State, tmp_path: Path) -> None:
    """A list in the order of the parameters, names without dots, or the names; statistics have no averages there."""
    parameters = {key: x for key, x in averaged.items() if "running" not in key and "num_batches" not in key}
    if how == "list":
        content: Any = {"model": plain, "ema": {"decay": 0.9, "shadow_params": list(parameters.values())}, "step": 1}
        place, where = "ema.shadow_params", "model"
    elif how.startswith("named"):
        place, where = "shadow.module" if how.endswith("within") else "shadow", "model"
        content = {"model": plain, "shadow": behind(place[7:] + "." if place[7:] else "", parameters), "step": 1}
    else:
        inside = "net" if how.endswith("within") else ""
        names = {f"model_ema.{inside}{key.replace('.', '')}": x for key, x in parameters.items()}
        content = {"state_dict": {**behind("net.", plain), **names, "model_ema.decay": torch.tensor(0.9)}}
        place, where = "state_dict.model_ema", "state_dict.net"
    path = saved(tmp_path, content)
    entry = convert([path], tmp_path / "mine")
    assert_equal(weights(tmp_path / "mine"), {**plain, **parameters})
    assert entry.origin
    assert entry.origin.taken == {"netG.pth": f"{place}, with the statistics in {where}"}
    left = entry.origin.left_out["netG.pth"].split(", ")
    assert left[0] == f"{where} before averaging ({len(parameters)} tensors)"
    rest = {"list": ["ema", "step"], "named": ["step"], "named within": ["step"]}
    assert left[1:] == rest.get(how, ["state_dict.model_ema (1 tensor)"])
    convert([path], tmp_path / "plain", key=where)
    assert_equal(weights(tmp_path / "plain"), plain)


def test_the_same_weights_twice_are_no_question(plain: State, tmp_path: Path) -> None:
    path = saved(tmp_path, {"model": plain, "best": {key: x.clone() for key, x in plain.items()}})  # type: ignore[dict-item]
    entry = convert([path], tmp_path / "mine")
    assert entry.origin
    assert entry.origin.left_out == {"netG.pth": f"best ({len(plain)} tensors)"}


def test_an_average_that_is_saved_with_what_it_is_of(plain: State, averaged: State, tmp_path: Path) -> None:
    """As lucidrains' code does: the state dict of the average has both."""
    both = {**behind("online_model.", plain), **behind("ema_model.", averaged), "initted": torch.tensor(True)}
    path = saved(tmp_path, {"model": plain, "ema": both, "step": 9})  # type: ignore[dict-item]
    entry = convert([path], tmp_path / "mine")
    assert_equal(weights(tmp_path / "mine"), averaged)
    assert entry.origin
    assert entry.origin.taken == {"netG.pth": "ema.ema_model"}


@pytest.mark.parametrize("key", ["netG", "netG.", "nets.netG.", ".netG"])
def test_a_key_may_end_with_the_dot_of_the_names(key: str, plain: State, averaged: State, tmp_path: Path) -> None:
    path = saved(tmp_path, {"nets": {"netG": plain, "netG_ema": averaged}})  # type: ignore[dict-item]
    convert([path], tmp_path / "mine", key=key)
    assert_equal(weights(tmp_path / "mine"), plain)


@pytest.mark.parametrize("name", ["a\nb\x1b[31m", "\ud800", "\u202e", "x" * 5000])
def test_what_is_written_can_be_loaded_whatever_a_file_calls_it(name: str, plain: State, tmp_path: Path) -> None:
    """Names from a file, and its own, go into config.json, which takes no control characters."""
    path = saved(tmp_path, {name: plain, f"{name}2": 1}, f"{name[:5].replace(chr(0xD800), chr(0xDCFF))}.pth")  # type: ignore[dict-item]
    convert([path], tmp_path / "mine")
    entry, _ = find(f"local-dir:{tmp_path / 'mine'}")
    assert entry.origin
    assert len(entry.origin.taken) == len(entry.origin.files) == 1
    with pytest.raises(ZooError, match=r"the licence: .* has control characters"):
        convert([path], tmp_path / "other", license="MIT\x1b")
    assert not (tmp_path / "other").exists()


def test_two_averages_are_a_question(plain: State, averaged: State, tmp_path: Path) -> None:
    path = saved(tmp_path, {"A_ema": plain, "B_ema": averaged})  # type: ignore[dict-item]
    with pytest.raises(InputError, match="has the networks A_ema, B_ema: choose one with --key"):
        convert([path], tmp_path / "mine")


def test_an_average_of_another_network_is_a_question(plain: State, tmp_path: Path) -> None:
    other = theirs("dcgan", {"size": 16, "width": 2})
    path = saved(tmp_path, {"faces": plain, "cats_ema": other})  # type: ignore[dict-item]
    with pytest.raises(InputError, match="has the networks faces, cats_ema: choose one with --key"):
        convert([path], tmp_path / "mine")


def test_all_that_is_not_used_is_named(plain: State, tmp_path: Path) -> None:
    """Values in the state dict itself, statistics of norms that have none, metadata."""
    convert([saved(tmp_path, {**plain, "iteration": 7})], tmp_path / "a")  # type: ignore[dict-item]
    entry, _ = find(f"local-dir:{tmp_path / 'a'}")
    assert entry.origin
    assert entry.origin.left_out == {"netG.pth": "iteration"}
    assert entry.origin.taken == {}
    state = theirs("cyclegan", {"width": 4, "blocks": 2, "out_channels": 3})
    state |= {"model.2.running_mean": torch.zeros(4), "model.2.running_var": torch.ones(4)}
    made = convert([saved(tmp_path, state)], tmp_path / "b")
    assert made.origin
    assert made.origin.left_out == {"netG.pth": "2 running statistics that the layers do not use"}
    save_file(plain, tmp_path / "c.safetensors", {"format": "pt", "ss_epoch": "9"})
    made = convert([tmp_path / "c.safetensors"], tmp_path / "c")
    assert made.origin
    assert made.origin.left_out == {"c.safetensors": "metadata"}


def test_names_from_a_file_are_shown_without_what_a_terminal_obeys(
    plain: State, tmp_path: Path, zoo_command: Command
) -> None:
    path = saved(tmp_path, {"netG": plain, "\x1b[2Jevil\n": 1, "x" * 10_000: 2})  # type: ignore[dict-item]
    done = zoo_command("import", "dcgan", path, "-o", tmp_path / "mine")
    assert done.exit_code == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "?[2Jevil?" in done.stdout
    assert len(done.stdout) < 1000


@pytest.mark.parametrize(
    "prefix",
    [
        "gen.",
        "net_G.",
        "G_AB.",
        "_forward_module.",
        "model.generator.",
        "module.netG.",
        "_orig_mod.module.",
        "a.b.c.d.e.f.",
        "0.",
    ],
)
@pytest.mark.parametrize("beside", [{}, {"disc.main.0.weight": torch.zeros(4, 3, 4, 4), "loss.scale": torch.ones(1)}])
def test_any_prefix_is_taken_off(prefix: str, beside: State, plain: State, tmp_path: Path) -> None:
    entry = convert([saved(tmp_path, {**beside, **behind(prefix, plain)})], tmp_path / "mine")
    assert_equal(weights(tmp_path / "mine"), plain)
    assert entry.origin
    assert entry.origin.taken == {"netG.pth": prefix[:-1]}
    assert entry.origin.left_out == ({"netG.pth": "disc (1 tensor), loss (1 tensor)"} if beside else {})


def test_a_stray_tensor_beside_state_dicts(plain: State, tmp_path: Path) -> None:
    convert([saved(tmp_path, {"step": torch.tensor(3), "netG": plain})], tmp_path / "mine")  # type: ignore[dict-item]
    assert_equal(weights(tmp_path / "mine"), plain)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e39])
def test_weights_that_are_not_finite_are_refused(value: float, plain: State, tmp_path: Path) -> None:
    """Or would not be in float32."""
    state = {key: x.double() if key == "main.3.weight" else x for key, x in plain.items()}
    state["main.3.weight"][0, 0, 0, 0] = value
    words = "has numbers up to .* too large for float32" if abs(value) < math.inf else "holds NaN or infinity"
    with pytest.raises(WeightsError, match=rf"netG\.pth: main\.3\.weight {words}"):
        convert([saved(tmp_path, state)], tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
    convert([saved(tmp_path, {"netG": plain, "netD": state})], tmp_path / "ok", key="netG")  # type: ignore[dict-item]


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, torch.bool, torch.float8_e4m3fn])
def test_weights_that_are_no_floats_are_refused(dtype: torch.dtype, plain: State, tmp_path: Path) -> None:
    state = {**plain, "main.3.weight": plain["main.3.weight"].to(dtype)}
    with pytest.raises(WeightsError, match=rf"main\.3\.weight is of {dtype}, not torch\.float32"):
        convert([saved(tmp_path, state)], tmp_path / "mine")


def test_counts_that_were_halved_with_the_weights(plain: State, tmp_path: Path) -> None:
    convert([saved(tmp_path, {key: x.half() for key, x in plain.items()})], tmp_path / "mine")
    for key, x in weights(tmp_path / "mine").items():
        assert x.dtype == (torch.int64 if key.endswith("num_batches_tracked") else torch.float16)


# What is not weights.


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("/tmp/zoo-was-here", "w"))


class Call:
    """A pickle that calls something with arguments."""

    def __init__(self, function: Any, *given: Any) -> None:
        self.made = (function, given)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.made


def scripted(path: Path) -> None:
    with pytest.warns(FutureWarning, match="deprecated"):
        torch.jit.script(nn.Linear(2, 2)).save(path)


def cyclic(path: Path) -> None:
    content: dict[str, Any] = {}
    content["state_dict"] = {"model": content}
    torch.save(content, path)


def deep(path: Path) -> None:
    content: Any = {"a": torch.zeros(1)}
    for _ in range(200):
        content = {"state_dict": content}
    torch.save(content, path)


def laughs(path: Path) -> None:
    content: Any = {"a": torch.zeros(1)}
    for _ in range(20):
        content = {str(i): content for i in range(10)}
    torch.save(content, path)


def deflated(path: Path) -> None:
    """An archive that is far larger than it looks."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)


def overlapping(path: Path) -> None:
    """Many members that are the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02N.")
        archive.writestr("a/data/0", bytes(100_000))
        for i in range(1, 100):
            again = zipfile.ZipInfo(f"a/data/{i}")
            first = archive.infolist()[1]
            again.header_offset, again.file_size, again.compress_size = first.header_offset, 100_000, 100_000
            again.CRC = first.CRC
            archive.filelist.append(again)
    path.write_bytes(buffer.getvalue())


def member_declared(size: int) -> Callable[[Path], None]:
    """A member that claims to be larger than the file."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", b"\x80\x02N.")
            archive.writestr("a/data/0", bytes(8))
            archive.filelist[1].file_size = archive.filelist[1].compress_size = size

    return write


def storage_declared(path: Path, **options: Any) -> None:
    """A storage that claims to be larger than the file."""
    torch.save({"a": torch.zeros(4)}, path, **options)
    if options:
        content = path.read_bytes()
    else:
        with zipfile.ZipFile(path) as archive:
            items = {item.filename: archive.read(item) for item in archive.infolist()}
        content = items[f"{path.stem}/data.pkl"]
    many = b"J" + struct.pack("<i", 2_000_000_000)
    content = content.replace(b"K\x04tq", many + b"tq", 1).replace(b"K\x04Ntq", many + b"Ntq", 1)
    if options:
        path.write_bytes(content)
        return
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in items.items():
            archive.writestr(name, content if name.endswith("data.pkl") else data)


def doubled(path: Path) -> None:
    """Two bytes, doubled fifty times."""
    import _codecs

    text: Any = Call(_codecs.encode, "ab", "latin1")
    for _ in range(50):
        text = Call(_codecs.encode, text, "hex")
    torch.save({"a": torch.zeros(1), "b": text}, path)


REFUSED: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: torch.save(nn.Linear(2, 2), path), r"more than tensors \(torch.nn.modules.linear.Linear\)"),
    (lambda path: path.write_bytes(pickle.dumps(Evil())), "holds a pickle of another program"),
    (lambda path: torch.save({"a": torch.zeros(2), "b": Evil()}, path), r"holds more than tensors \(io\.open\)"),
    (lambda path: torch.save({"a": torch.zeros(2), "b": defaultdict(dict)}, path), "more than tensors"),
    (scripted, "holds a TorchScript program"),
    (deflated, "is an archive that torch.save did not write"),
    (overlapping, "declares more than its"),
    (member_declared(6_000_000_000), "declares more than its|is cut off or damaged"),
    (member_declared(2_000), "declares more than its|is cut off or damaged"),
    (storage_declared, "declares a storage of 2,000,000,000 values and has"),
    (
        lambda path: storage_declared(path, _use_new_zipfile_serialization=False),
        "declares a storage of 2,000,000,000 values and has",
    ),
    (lambda path: torch.save({"a": torch.zeros(1).expand(10**12)}, path), "declares a tensor of 1,000,000,000,000"),
    (lambda path: torch.save({"a": torch.zeros(1).expand(200)}, path), "a is no plain tensor"),
    (lambda path: torch.save({"a": Call(bytearray, 10**10)}, path), r"more than tensors \(builtins\.bytearray\)"),
    (lambda path: torch.save({"a": Call(torch.FloatTensor, 10**10)}, path), "more than tensors"),
    (lambda path: torch.save({"a": Call(set, torch.zeros(1).expand(1000))}, path), "a call of builtins.set"),
    (lambda path: torch.save({"a": torch.eye(3).to_sparse()}, path), "sparse, quantized or otherwise special"),
    (doubled, "bytes that are computed"),
    (cyclic, "holds a dict that contains itself"),
    (deep, "too deeply nested dicts and lists"),
    (laughs, "too deeply nested dicts and lists"),
    (lambda path: path.write_bytes(b"\x80\x02" + b"(" * 100_000), "holds a pickle of another program"),
    (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid"), "is a Git LFS pointer, not the"),
    (lambda path: path.write_text("\n <!DOCTYPE html><html>"), "is a web page, not the file itself"),
    (lambda path: path.write_text("<HTML><body>Sign in"), "is a web page, not the file itself"),
    (lambda path: path.write_text("Entry not found"), "is text that begins 'Entry not found', not weights"),
    (lambda path: path.write_text('{"error": "no"}'), "is text that begins"),
    (lambda path: path.write_bytes(b"\x1f\x8b\x08" + bytes(99)), "is a gzip archive: unpack it"),
    (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)), "is an HDF5 file"),
    (lambda path: path.write_bytes(b"\x08\x07\x12\x07pytorch"), "is neither safetensors nor what torch.save writes"),
    (lambda path: path.write_bytes(b""), "is empty: get it again"),
    (lambda path: path.write_bytes(b"PK\x03\x04 and then nothing"), "is cut off or damaged"),
    (lambda path: path.write_bytes(b"\x80\x02 and then nothing"), "cannot be read"),
    (lambda path: path.write_bytes(b"\x80\x02N"), "cannot be read"),
    (lambda path: torch.save([torch.zeros(2)], path), "holds list, no state dict"),
    (lambda path: torch.save(torch.zeros(2), path), "holds Tensor, no state dict"),
    (lambda path: torch.save(None, path), "holds NoneType, no state dict"),
    (lambda path: torch.save({"a": 1}, path), "has a: it is no state dict"),
    (lambda path: torch.save({}, path), "has nothing: it is no state dict"),
    (lambda path: path.mkdir(), "is a folder: name a file in it, if there is one"),
    (lambda path: os.mkfifo(path), "is no regular file"),
    (lambda path: path.symlink_to("/dev/zero"), "is no regular file"),
    (lambda path: path.symlink_to("nowhere"), "does not exist"),
    (lambda path: path.symlink_to(path), "cannot be read"),
    (lambda path: None, "does not exist"),
]


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
@pytest.mark.parametrize(("write", "words"), REFUSED)
def test_what_is_refused(write: Callable[[Path], object], words: str, ending: str, tmp_path: Path) -> None:
    """In one sentence, at once, in little memory, whatever the file is called."""
    path = tmp_path / f"weights.{ending}"
    write(path)
    start = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(ZooError, match=words) as caught:
            convert([path], tmp_path / "mine")
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    assert time.monotonic() - start < 20
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "mine").exists()
    assert not Path("/tmp/zoo-was-here").exists()


@pytest.mark.parametrize("protocol", [0, 1, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False])
def test_other_pickle_protocols_are_called_by_name(protocol: int, zipped: bool, plain: State, tmp_path: Path) -> None:
    path = tmp_path / "netG.pth"
    torch.save(plain, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    if protocol == 3:  # torch reads what of it a state dict needs
        convert([path], tmp_path / "mine")
        return
    with pytest.raises(WeightsError) as caught:
        convert([path], tmp_path / "mine")
    said = f"pickle protocol {protocol}" if protocol else "neither safetensors|pickle protocol 0"
    assert "pickle protocol" in str(caught.value) or "is text" in str(caught.value) or "neither" in str(caught.value), (
        said
    )
    if protocol > 3:
        assert f"was saved with pickle protocol {protocol}, which torch reads only where it may run code" in str(
            caught.value
        )
        assert "again with the default protocol" in str(caught.value)


def test_plain_values_beside_weights_are_passed_over_and_named(plain: State, tmp_path: Path) -> None:
    """Numpy's values, argparse's options, paths: none of them is made, and what torch allows stays as it was."""
    content = {
        "netG": plain,
        "loss": np.float64(3),
        "history": np.arange(3),
        "args": argparse.Namespace(lr=np.float32(1), out=Path("x")),
        "milestones": Counter([1, 2]),
        "rng": torch.get_rng_state(),
        "tags": {"a", "b"},
        "raw": b"abc",
    }
    before = set(torch.serialization.get_safe_globals())
    for legacy in (False, True):
        path = tmp_path / f"{legacy}.pth"
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
        entry = convert([path], tmp_path / str(legacy))
        assert_equal(weights(tmp_path / str(legacy)), plain)
        assert entry.origin
        left = entry.origin.left_out[path.name]
        assert "loss (numpy" in left
        assert "args (argparse.Namespace)" in left
        assert "rng (1 tensor)" in left
        assert "milestones" in left
    assert set(torch.serialization.get_safe_globals()) == before


def test_headers_whose_length_looks_like_another_kind(plain: State, tmp_path: Path) -> None:
    """A safetensors header of 128 bytes begins as pickles do, one of 0x4B50 bytes as archives do."""
    for first in (b"\x80\x02", b"PK\x03\x00"):
        length = int.from_bytes(first, "little")
        header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).ljust(length).encode()
        (tmp_path / "a.safetensors").write_bytes(length.to_bytes(8, "little") + header + bytes(4))
        assert list(read(tmp_path / "a.safetensors").tensors) == ["a"]


def test_a_pickle_named_safetensors_is_read_as_what_it_is(plain: State, tmp_path: Path) -> None:
    torch.save(plain, tmp_path / "model.safetensors")
    convert([tmp_path / "model.safetensors"], tmp_path / "mine")
    assert_equal(weights(tmp_path / "mine"), plain)


def test_a_folder_with_one_file_names_it(plain: State, tmp_path: Path) -> None:
    path = saved(tmp_path / "run", plain)
    with pytest.raises(InputError, match=rf"is a folder: name the file in it, {path}\."):
        convert([tmp_path / "run"], tmp_path / "mine")
    saved(tmp_path / "run", plain, "netD.pth")
    with pytest.raises(InputError, match=r"is a folder: name a file in it: netD\.pth, netG\.pth\."):
        convert([tmp_path / "run"], tmp_path / "mine")


# Files in several parts.


def sharded(folder: Path, state: State, count: int = 3, ending: str = "safetensors") -> Path:
    folder.mkdir()
    names = [f"model-{i + 1:05}-of-{count:05}.{ending}" for i in range(count)]
    places = {key: names[i % count] for i, key in enumerate(state)}
    for name in names:
        saved(folder, {key: state[key] for key, place in places.items() if place == name}, name)
    index = folder / f"model.{ending}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return index


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_weights_in_shards(ending: str, plain: State, tmp_path: Path) -> None:
    index = sharded(tmp_path / "a", plain, ending=ending)
    for i, named in enumerate((index, index.parent)):
        entry = convert([named], tmp_path / f"mine{i}")
        assert_equal(weights(tmp_path / f"mine{i}"), plain)
        assert entry.origin
        assert len(entry.origin.files) == 4
    shard = index.parent / f"model-00002-of-00003.{ending}"
    with pytest.raises(InputError, match="is one of 3 shards: name their index, or their folder"):
        convert([shard], tmp_path / "mine")
    shard.unlink()
    with pytest.raises(WeightsError, match=rf"names files that are missing: model-00002-of-00003\.{ending}; get them"):
        convert([index.parent], tmp_path / "mine")


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ({"a": "../secret.safetensors"}, "names a file that is not in its folder"),
        ({"a": "/etc/passwd"}, "names a file that is not in its folder"),
        ({"a": "x/../../y"}, "names a file that is not in its folder"),
        ({"a": "..\\y"}, "names a file that is not in its folder"),
        ({"a": "C:y"}, "names a file that is not in its folder"),
        ({"a": ""}, "names a file that is not in its folder"),
        ({"lost": "model-00001-of-00001.safetensors"}, "names tensors that its files lack: lost"),
        ([1], "is no index of weights"),
        (None, "is no index of weights"),
    ],
)
def test_an_index_that_lies(places: Any, words: str, tmp_path: Path) -> None:
    index = sharded(tmp_path / "a", {"a": torch.zeros(1)}, 1)
    save_file({"a": torch.zeros(1)}, tmp_path / "secret.safetensors")
    index.write_text(json.dumps({"weight_map": places}))
    with pytest.raises(WeightsError, match=words):
        convert([index], tmp_path / "mine")
    index.write_text("[" * 100_000)
    with pytest.raises(WeightsError, match="is no index of weights"):
        convert([index.parent], tmp_path / "mine")
    index.write_text(json.dumps({"weight_map": {"a": index.name}}))
    with pytest.raises(WeightsError, match="is text that begins"):
        convert([index.parent], tmp_path / "mine")


def test_a_tensor_is_that_of_the_shard_that_the_index_names(plain: State, averaged: State, tmp_path: Path) -> None:
    index = sharded(tmp_path / "a", plain)
    first = next(iter(plain))
    shard = index.parent / "model-00003-of-00003.safetensors"
    save_file({**load_file(shard), first: averaged[first]}, shard)
    places = json.loads(index.read_text())["weight_map"]
    for name, state in ((places[first], plain), (shard.name, {**plain, first: averaged[first]})):
        index.write_text(json.dumps({"weight_map": {**places, first: name}}))
        made = convert([index], tmp_path / name)
        assert_equal(weights(tmp_path / name), state)
        assert made.origin
        assert made.origin.left_out
    index.write_text(json.dumps({"weight_map": {}}))
    save_file({}, tmp_path / "nothing.safetensors", {"format": "pt"})
    for path in (tmp_path / "nothing.safetensors", index):
        with pytest.raises(InputError, match="has no tensors: it is no state dict"):
            convert([path], tmp_path / "mine")


@pytest.fixture(scope="module")
def halves() -> tuple[State, State]:
    state = theirs("taesd", {})
    return tuple(  # type: ignore[return-value]
        {key.removeprefix(part): x for key, x in state.items() if key.startswith(part)}
        for part in ("encoder.", "decoder.")
    )


def test_one_half_asks_for_the_other(halves: tuple[State, State], tmp_path: Path) -> None:
    encoder, decoder = (saved(tmp_path, half, f"{i}.pth") for i, half in enumerate(halves))
    for path, own, other in ((encoder, "encoder", "decoder"), (decoder, "decoder", "encoder")):
        for options in ({}, {"model": "taesd"}, {"layout": "taesd"}):
            with pytest.raises(InputError, match=f"is the {own} of taesd alone: give the {other}, too"):
                convert([path], tmp_path / "mine", **options)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=f"are each the {own} of taesd: give one of them, and the {other}"):
            convert([path, path], tmp_path / "mine")
    whole = {**behind("encoder.", halves[0]), **behind("decoder.", halves[1])}
    del whole["decoder.19.bias"]
    with pytest.raises(
        WeightsError, match=r"nearest layout is taesd, with latent_channels=4, but:\n  decoder\.19\.bias is"
    ):
        convert([saved(tmp_path, whole, "whole.pth")], tmp_path / "mine")
    with pytest.raises(WeightsError, match=r"x\.pth has no layout that the zoo knows: its tensors are x"):
        convert([encoder, saved(tmp_path, {"x": torch.zeros(1)}, "x.pth")], tmp_path / "mine")
    with pytest.raises(InputError, match="No layout consists of 3 files: give one"):
        convert([encoder, decoder, decoder], tmp_path / "mine")


def test_two_files_of_one_name_are_both_named(halves: tuple[State, State], tmp_path: Path) -> None:
    paths = [saved(tmp_path / part, state) for part, state in zip(("a", "b"), halves, strict=True)]
    made = convert(paths, tmp_path / "mine")
    assert made.origin
    assert made.origin.files.keys() == {"a/netG.pth", "b/netG.pth"}


@pytest.mark.parametrize("prefix", ["", "module.", "net.module."])
def test_halves_in_any_order_wrapped_or_together(prefix: str, halves: tuple[State, State], tmp_path: Path) -> None:
    encoder, decoder = (
        saved(tmp_path, {"ema": behind(prefix, half), "step": 1}, f"{i}.pth")  # type: ignore[dict-item]
        for i, half in enumerate(halves)
    )
    convert([decoder, encoder], tmp_path / "a")
    critic = {"0.weight": torch.zeros(1), "state": {0: {"exp_avg": torch.zeros(1)}}}
    content: Any = {"encoder": halves[0], "decoder": halves[1], "step": 1, "critic": critic}
    entry = convert([saved(tmp_path, content, "both.pth")], tmp_path / "b")
    assert entry.origin
    assert entry.origin.left_out == {"both.pth": "critic (2 tensors), step"}
    flat = {
        f"{prefix}{half}.{key}": x
        for half, state in zip(("encoder", "decoder"), halves, strict=True)
        for key, x in state.items()
    }
    convert([saved(tmp_path, flat, "flat.pth")], tmp_path / "c")
    for other in "bc":
        assert_equal(weights(tmp_path / "a"), weights(tmp_path / other))


# The command.


def test_completion_of_import(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Models that have a layout, then files; layouts."""

    def complete(*words: str) -> list[str]:
        monkeypatch.setenv("COMP_WORDS", " ".join(["zoo", "import", *words]))
        monkeypatch.setenv("COMP_CWORD", str(1 + len(words)))
        with pytest.raises(SystemExit):
            main(prog_name="zoo", complete_var="_ZOO_COMPLETE")
        out, err = capsys.readouterr()
        assert not err
        return out.split()

    monkeypatch.setenv("_ZOO_COMPLETE", "bash_complete")
    assert complete("dc") == ["plain,dcgan"]
    assert complete("au") == ["plain,auto"]
    assert complete("conv") == []
    assert complete("dcgan", "net") == ["file,net"]
    assert complete("dcgan", "net.pth", "--layout", "srg") == [
        f"plain,srgan-{x}" for x in ("leftthomas", "lornatang", "twtygqyy")
    ]


def test_completion_of_import_needs_no_torch() -> None:
    code = "import sys, zoo.cli.interop as i; i.complete_models(None, None, ''); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert not done.stderr
