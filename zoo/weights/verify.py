"""Whether a file is a whole safetensors file, and the one on record: header, size, sha256."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.errors import WeightsError
from zoo.files import atomic_write, read_text
from zoo.registry.facts import Entry
from zoo.registry.schema import to_config
from zoo.registry.values import each_once
from zoo.version import __version__

CACHE_VARIABLE = "ZOO_CACHE"


def sha256_of(path: Path) -> str:
    """The sha256 of a file, as 64 hexadecimal digits."""
    import hashlib  # which listing does without

    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: name to dtype, shape and offsets; the values are not read.

    Raises:
        WeightsError: if the file is anything else, which an extension does not tell, or is damaged or cut off.
    """
    try:
        if not path.is_file():  # to open a FIFO would wait for ever
            what = "is a folder" if path.is_dir() else "is no file" if path.exists() else "does not exist"
            raise WeightsError(f"{path} {what}: name a .safetensors file.")
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(512)
            length = int.from_bytes(start[:8], "little")
            if start[8:9] != b"{" and (said := _other_kind(start)):
                raise WeightsError(f"{path} is {said}")
            if len(start) < 10 or not 2 <= length <= min(size - 8, LONGEST_HEADER):
                raise WeightsError(f"{path} is no safetensors file, or it is cut off: get it again.")
            file.seek(8)
            text = file.read(length)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}.") from None
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=each_once)
        end = _end(header)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError):
        raise WeightsError(f"{path} has no readable safetensors header: get it again.") from None
    if 8 + length + end != size:
        raise WeightsError(f"{path} should have {8 + length + end:,} bytes and has {size:,}: get it again.")
    return dict(header)


LONGEST_HEADER = 100_000_000  # bytes, as in the safetensors library
MOST_TENSORS = 100_000  # in a file
# Bits of a number, by its kind as safetensors names it.
BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I8", "U8", "BOOL"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}


def _other_kind(start: bytes) -> str:
    """What a file is that begins like this and is no safetensors file, and what to do; nothing if it is not known."""
    pickled = "whatever its name says, and pickles can run code: `zoo import` reads what it can without running any."
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start[:1] == b"\x80" and start[1:2] in b"\x01\x02\x03\x04\x05":
        return f"a pickle, {pickled}"
    if start[:2] == b"PK":
        return f"a PyTorch pickle or another zip archive, {pickled}"
    if text.startswith(b"version ") and b"git-lfs" in text:
        return "a Git LFS pointer, not the file itself: run `git lfs pull`."
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page, not the file that it speaks of: download the file itself."
    if (
        start[:2] == b"\x1f\x8b"
        or start[:4] == b"\x28\xb5\x2f\xfd"
        or start[:6] == b"\xfd7zXZ\x00"
        or start[:3] == b"BZh"
    ):
        return "a compressed file: unpack it."
    if start[257:262] == b"ustar":
        return "a tar archive: unpack it."
    if start.startswith((b"GGUF", b"\x89HDF\r\n\x1a\n", b"\x93NUMPY")):
        return "no safetensors file but one of another program (GGUF, HDF5 or NumPy): convert it."
    if text[:1] == b"{":
        return "JSON, not weights: name the .safetensors file."
    return ""


def _end(header: Any) -> int:
    """Where the last tensor ends; each must have the bytes that its shape and kind make, and begin where one ends.

    Raises:
        ValueError: if that is not so; likewise the other errors of a wrong structure.
    """
    facts = [value for key, value in header.items() if key != "__metadata__"]
    if len(facts) > MOST_TENSORS:
        raise ValueError("too many")
    end = 0
    for begin, after, shape, dtype in sorted((*one["data_offsets"], one["shape"], one["dtype"]) for one in facts):
        if type(shape) is not list or len(shape) > 64:  # a text without letters is a shape, too, to a loop
            raise ValueError("not a shape")
        if not all(type(n) is int and 0 <= n < 1 << 60 for n in (begin, after, *shape)):
            raise ValueError("not a number of bytes")
        if begin != end or (after - begin) * 8 != math.prod(shape) * BITS[dtype]:
            raise ValueError("a gap, an overlap, or another size")
        end = after
    return end


def check(
    path: Path, entry: Entry, *, anew: bool = False, cure: str = "delete the file and `zoo download` it again"
) -> None:
    """Make sure that a file is what the registry says: safetensors, of the size and the sha256 that are on record.

    A file is read once: its hash is remembered for as long as size, time and inode stay the same.

    Args:
        path: the file.
        entry: what it should be.
        anew: read it again, whatever is remembered.
        cure: what to do where it is another file.

    Raises:
        WeightsError: stating the hash and size that were expected, and those of the file.
    """
    try:
        read_header(path)
        size, digest = path.stat().st_size, _hash(path, anew) if entry.sha256 else None
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}.") from None
    if digest != entry.sha256:
        wanted = f"{str(entry.sha256)[:12]} ({entry.bytes:,} bytes)" if entry.bytes else str(entry.sha256)[:12]
        raise WeightsError(
            f"{path} is not {entry.name}: its sha256 begins {str(digest)[:12]} ({size:,} bytes), not {wanted}; {cure}."
        )


def _hash(path: Path, anew: bool) -> str:
    """The sha256 of a file, out of memory where that is the same file as before."""
    facts = path.stat()
    key, now = str(path.resolve()), [facts.st_size, facts.st_mtime_ns, facts.st_ino]
    match _remembered("verified.json").get(key):
        case [*before, str(digest)] if not anew and before == now and re.fullmatch("[0-9a-f]{64}", digest):
            return digest
    digest = sha256_of(path)
    _remember("verified.json", key, [*now, digest])
    return digest


def once(entry: Entry, test: Callable[[], None]) -> None:
    """Make a test of a network that passes for ever: of the zoo's own code, with a configuration and weights on record.

    Any other is tested each time; so is everything for a user without a cache.

    Args:
        entry: what is tested.
        test: raises an error if it fails.
    """
    import hashlib

    facts = f"{__version__} {to_config(replace(entry, metrics=()))}"
    key = hashlib.sha256(facts.encode()).hexdigest()
    kept = entry.sha256 is not None and entry.package == "zoo"
    if kept and _remembered("tested.json").get(key) is True:
        return
    test()
    if kept:
        _remember("tested.json", key, True)


def _remembered(name: str) -> dict[str, Any]:
    """What an earlier process has written to a file of the cache; nothing if that cannot be read."""
    folder = cache_folder()
    try:
        known = json.loads(read_text(folder / name)) if folder else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(name: str, key: str, value: Any) -> None:
    """Add something to a file of the cache, which keeps the last thousand."""
    folder, known = cache_folder(), _remembered(name)
    known.pop(key, None)
    keep(folder and folder / name, json.dumps({**dict(list(known.items())[-999:]), key: value}).encode())


def keep(path: Path | None, content: bytes) -> None:
    """Put something that can be had again into the cache, if there is one and it takes it."""
    try:
        if path and (path.is_file() or not path.exists()):  # writing into a FIFO may never end
            with atomic_write(path) as aside:
                aside.write_bytes(content)
    except OSError:
        pass


def cache_folder() -> Path | None:
    """Where the zoo keeps what can be had again: ``ZOO_CACHE``, or a folder in the user's cache.

    None for a user without a home, as in a container that runs under any number.
    """
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "generative-zoo"
    except RuntimeError:
        return None
