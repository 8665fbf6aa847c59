"""What the zoo keeps to be faster next time: it may be damaged, forbidden or nowhere, and everything works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import zoo
from zoo import networks
from zoo.backends import onnx_export as onnx
from zoo.errors import InputError, RegistryError
from zoo.files import read_small, read_text
from zoo.registry.index import info
from zoo.weights import folder, resolve, verify

CODE = """
import os, pwd, sys
def nobody(*args): raise KeyError("no such user")
pwd.getpwuid = pwd.getpwnam = nobody
from zoo.cli import main
for words in sys.stdin.read().splitlines():
    print("zoo", words)
    sys.argv[1:] = words.split()
    try:
        main(prog_name="zoo")
    except SystemExit as ended:
        print("exit", ended.code)
"""


def test_a_user_without_a_home(tmp_path: Path) -> None:
    """As in a container that runs under any number: no HOME, and no entry for the user."""
    good = [
        *("list", "info dcgan", "licenses dcgan", "verify dcgan", "download dcgan", "cache list", "cache clear --all"),
        *("generate dcgan -n 1 -o a.png", "export dcgan -o a.safetensors", "publish dcgan --dry-run --to out"),
        *("info local-dir:out", "generate dcgan -n 1 --weights out -o b.png"),
    ]
    bad = [
        "generate local-dir:~/x -o c.png",
        "generate dcgan --weights ~/x -o c.png",
        "download esrgan",
        "info hf-hub:a/b",
    ]
    gone = ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME", "XDG_CACHE_HOME", "ZOO_CACHE", "HF_HOME", "ZOO_PATH")
    environment = {key: value for key, value in os.environ.items() if key not in gone}
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        input="\n".join([*good, *bad]),
        env={**environment, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    codes = [line for line in done.stdout.splitlines() if line.startswith("exit ")]
    assert codes == ["exit 0"] * len(good) + ["exit 2", "exit 2", "exit 1", "exit 1"], done.stdout + done.stderr
    assert "Could not determine home" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "b.png", "a.safetensors", "out"}, (
        "no folder called ~"
    )


def spoil(memory: Path, how: str) -> None:
    """Put something into the place of the remembered hashes."""
    memory.parent.mkdir(parents=True, exist_ok=True)
    if how == "a folder":
        memory.mkdir()
    elif how == "a fifo":
        os.mkfifo(memory)
    elif how == "a full device":
        memory.symlink_to("/dev/full")
    elif how == "endless":
        memory.symlink_to("/dev/zero")
    elif how == "a loop":
        memory.symlink_to(memory.name)
    elif how == "enormous":
        with memory.open("wb") as file:
            file.truncate(10**10)
    elif how == "a file for its folder":
        memory.parent.rmdir()
        memory.parent.touch()
    else:
        memory.write_bytes(how.encode("latin-1"))


@pytest.mark.parametrize(
    "how",
    [
        *("a folder", "a fifo", "a full device", "endless", "a loop", "enormous", "a file for its folder"),
        *("", "{", "\xff\xfe", "[]", "7", "null", '"text"', "[" * 100_000, '{"a": ' * 100_000, "{}", '{"a": 1}'),
        *("{KEY: 7}", "{KEY: []}", "{KEY: [1, 2]}", "{KEY: {}}", "{KEY: [SIZE, TIME, INODE]}", '{KEY: ["a", 1, 2, 3]}'),
        *("{KEY: [SIZE, TIME, INODE, 7]}", '{KEY: [SIZE, TIME, INODE, "x"]}', "{KEY: [SIZE, TIME, INODE, [1]]}"),
    ],
    ids=lambda how: how[:20],
)
def test_a_spoilt_memory_costs_nothing(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = info("dcgan").embedded
    facts = path.stat()
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    for word, value in (
        ("KEY", str(path)),
        ("SIZE", facts.st_size),
        ("TIME", facts.st_mtime_ns),
        ("INODE", facts.st_ino),
    ):
        how = how.replace(word, json.dumps(value))
    spoil(tmp_path / "cache" / "verified.json", how)
    verify.check(path, info("dcgan"))
    verify.check(path, info("dcgan"), anew=True)


def test_the_memory_knows_more_than_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    entries = [info("dcgan"), info("conv-ae.fashion-mnist")]
    for entry in entries:
        verify.check(entry.embedded, entry)
    monkeypatch.setattr("zoo.weights.verify.sha256_of", lambda path: pytest.fail(f"{path} is read again"))
    for entry in entries:
        verify.check(entry.embedded, entry)
    assert len(json.loads((tmp_path / "verified.json").read_text())) == 2


def test_the_memory_with_many_writers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    failed = []

    def use() -> None:
        try:
            for _ in range(20):
                verify.check(info("dcgan").embedded, info("dcgan"), anew=True)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert [path.name for path in tmp_path.iterdir()] == ["verified.json"]


def test_a_folder_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "mine"
    zoo.load("dcgan").save_pretrained(folder)
    tried: list[str] = []
    whole = networks.check_formats
    monkeypatch.setattr(networks, "check_formats", lambda model, entry: (tried.append(entry.name), whole(model, entry)))
    for _ in range(2):
        zoo.load(f"local-dir:{folder}")
    assert len(tried) == 1
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "summary": "Another one."}))
    zoo.load(f"local-dir:{folder}")
    assert len(tried) == 2
    del config["sha256"]  # so nothing says which weights those are
    (folder / "config.json").write_text(json.dumps(config))
    for _ in range(2):
        zoo.load(f"local-dir:{folder}")
    assert len(tried) == 4


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file of dcgan, which takes some seconds to write."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = tmp_path_factory.mktemp("onnx") / "dcgan.onnx"
    onnx.export(zoo.load("dcgan"), path)
    return path


@pytest.mark.parametrize("how", ["absent", "damaged", "a folder", "a fifo", "forbidden", "nowhere"])
def test_a_spoilt_cache_of_onnx_files_costs_nothing(
    how: str, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def write(model: object, path: Path) -> None:
        written.append(path)
        shutil.copy(exported, path)

    monkeypatch.setattr("zoo.backends.onnx_export.export", write)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    if how == "nowhere":
        monkeypatch.setattr("zoo.loading.cache_folder", lambda: None)
    elif how == "forbidden":
        (tmp_path / "cache").touch()
    elif how != "absent":
        zoo.load("dcgan", runtime="onnx")
        (file,) = (tmp_path / "cache" / "onnx").iterdir()
        file.unlink()
        if how == "damaged":
            file.write_bytes(exported.read_bytes()[:1000])
        elif how == "a folder":
            file.mkdir()
        else:
            os.mkfifo(file)
        written.clear()
    for _ in range(2):
        assert zoo.load("dcgan", runtime="onnx").generate(1, seed=1).numpy().shape == (1, 1, 28, 28)
    assert len(written) == (1 if how in ("absent", "damaged") else 2), "what can be kept is written once"


def test_small_files_are_bounded_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfabc")
    assert read_text(path) == "abc"
    assert read_small(path, 6) == b"\xef\xbb\xbfabc"
    with pytest.raises(OSError, match="it has more than 5 bytes"):
        read_small(path, 5)
    path.write_bytes(b"ab\xff")
    with pytest.raises(OSError, match="it is not UTF-8 at byte 2"):
        read_text(path)
    os.mkfifo(tmp_path / "fifo")
    for other in (tmp_path / "fifo", "/dev/zero"):
        with pytest.raises(OSError, match="it is no regular file"):
            read_small(other)
    with pytest.raises(IsADirectoryError):
        read_small(tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("{tmp}", "has no config.json: local-dir: takes a folder that `zoo import`"),
        ("{tmp}/gone", "has no config.json: there is no such folder"),
        ("{tmp}/file", "has no config.json: it is no folder"),
        ("{tmp}/" + "x" * 5000, "cannot be read: File name too long"),
        ("{tmp}/\0", "has no config.json: there is no such folder"),
        ("{tmp}/fifo", "config.json cannot be read: it is no regular file"),
        ("{tmp}/device", "config.json cannot be read: it is no regular file"),
        ("{tmp}/folder", "config.json cannot be read: Is a directory"),
        ("{tmp}/large", "config.json cannot be read: it has more than 4,000,000 bytes"),
        ("", "local-dir: names no folder"),
    ],
    ids=lambda x: x[:20],
)
def test_local_folders_that_are_none(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").touch()
    for kind in ("fifo", "device", "folder", "large"):
        (tmp_path / kind).mkdir()
    os.mkfifo(tmp_path / "fifo" / "config.json")
    (tmp_path / "device" / "config.json").symlink_to("/dev/zero")
    (tmp_path / "folder" / "config.json").mkdir()
    with (tmp_path / "large" / "config.json").open("wb") as file:
        file.truncate(10**9)
    with pytest.raises((InputError, RegistryError), match=words):
        zoo.load(f"local-dir:{name.format(tmp=tmp_path)}")


def test_a_folder_without_its_prefix_is_named_with_it(tmp_path: Path) -> None:
    folder.export(info("dcgan"), info("dcgan").embedded, tmp_path / "mine")
    with pytest.raises(InputError, match=f"for the folder write local-dir:{tmp_path / 'mine'}"):
        zoo.load(str(tmp_path / "mine"))
    with pytest.raises(InputError, match="The name of a model is a text"):
        zoo.load(tmp_path / "mine")  # type: ignore[call-overload]


def test_what_a_config_says_of_the_hub_is_not_looked_at(tmp_path: Path) -> None:
    """A folder's weights are the folder's, and a name of ours in it does not stand for our weights."""
    entry = replace(info("dcgan"), sha256=None, bytes=None)
    folder.export(entry, info("dcgan").embedded, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["hub"] = {"repo": "me/x", "mirrors": ["https://example.org/x"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").unlink()
    found = resolve.entry_of(f"local-dir:{tmp_path}")
    assert found.hub is None
    assert list(resolve.on_disk(found)) == []
    with pytest.raises(zoo.ZooError, match=r"has no model\.safetensors: get the folder again"):
        zoo.load(f"local-dir:{tmp_path}")


@pytest.mark.parametrize("given", ["x" * 5000, "{tmp}/fifo"])
def test_weights_that_are_no_file(tmp_path: Path, given: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InputError, match=r"cannot be read|is no file and no folder"):
        zoo.load("dcgan", weights=given.format(tmp=tmp_path))


def test_names_in_commands(tmp_path: Path, zoo_command: Callable[..., object]) -> None:
    """Two folders with the same model in them are two; a folder's name may have what a pattern has."""
    for name in ("a", "[b]"):
        folder.export(replace(info("srgan"), checkpoint="imported"), info("srgan").embedded, tmp_path / name)
    names = [f"local-dir:{tmp_path}/{name}" for name in ("a", "[b]")]
    rows = json.loads(zoo_command("licenses", *names, "--json").stdout)  # type: ignore[attr-defined]
    assert [row["name"] for row in rows] == names
    shown = json.loads(zoo_command("info", names[1], "--json").stdout)  # type: ignore[attr-defined]
    assert shown["source"] == names[1]
    assert shown["embedded"] is False
