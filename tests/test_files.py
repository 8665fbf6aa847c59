"""Files that are whole or not there."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zoo.files import atomic_write


def put(path: Path, content: bytes = b"new") -> None:
    with atomic_write(path) as aside:
        aside.write_bytes(content)


def test_an_error_leaves_what_was_there(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as aside:
        aside.write_bytes(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("length", [248, 251, 255])
def test_names_as_long_as_the_file_system_takes(tmp_path, length):
    path = tmp_path / ("a" * length)
    put(path)
    assert path.read_bytes() == b"new"


def test_threads_do_not_share_a_name(tmp_path):
    path = tmp_path / "a"
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(put, path, bytes([i]) * 100) for i in range(200)]:
            done.result()
    assert len(set(path.read_bytes())) == 1 and list(tmp_path.iterdir()) == [path]


def test_a_planted_file_is_neither_followed_nor_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda n: "guessed")
    (tmp_path / "victim").write_bytes(b"old")
    (tmp_path / ".guessed.part").symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError):
        put(tmp_path / "a")
    assert (tmp_path / "victim").read_bytes() == b"old" and (tmp_path / ".guessed.part").is_symlink()


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "there" / "file")
    put(link)
    assert link.is_symlink() and (tmp_path / "there" / "file").read_bytes() == b"new"


def test_a_device_is_written_to_and_stays(tmp_path):
    put(Path(os.devnull))
    assert Path(os.devnull).is_char_device()


def test_the_umask_decides_who_may_read(tmp_path):
    before = os.umask(0o027)
    try:
        put(tmp_path / "a")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
