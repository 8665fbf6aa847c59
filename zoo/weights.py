"""From an entry to a verified file: embedded in the package, in a local folder, in the Hub's cache, on the Hub.

Every file is identified by its sha256 and must be safetensors; nothing is ever unpickled. No torch here.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shlex
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from zoo.entry import Entry, Hub, Metric
from zoo.errors import InputError, RegistryError, UnknownNameError, WeightsError
from zoo.files import SMALL, atomic_write, is_file, read_text
from zoo.registry import from_config, info
from zoo.schema import REPO, REVISION, each_once, to_config

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
SAMPLES_FILE = "samples.png"
FOLDER_VARIABLE = "ZOO_WEIGHTS"
CACHE_VARIABLE = "ZOO_CACHE"
COMMIT, SHORT = re.compile("[0-9a-f]{40}"), re.compile("[0-9a-f]{7,40}")
BUSY = (429, 500, 502, 503, 504)  # statuses after which huggingface_hub tries again


def sha256_of(path: Path) -> str:
    """The sha256 of a file, as 64 hexadecimal digits."""
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
        WeightsError: saying what was expected, and what was found.
    """
    try:
        read_header(path)
        size, found = path.stat().st_size, _hash(path, anew) if entry.sha256 else None
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}.") from None
    if found != entry.sha256:
        wanted = f"{str(entry.sha256)[:12]} ({entry.bytes:,} bytes)" if entry.bytes else str(entry.sha256)[:12]
        raise WeightsError(
            f"{path} is not {entry.name}: its sha256 begins {str(found)[:12]} ({size:,} bytes), not {wanted}; {cure}."
        )


def _hash(path: Path, anew: bool) -> str:
    """The sha256 of a file, out of memory where that is the same file as before."""
    facts = path.stat()
    key, now = str(path.resolve()), [facts.st_size, facts.st_mtime_ns, facts.st_ino]
    folder = cache_folder()
    memory = folder / "verified.json" if folder else None
    known = _remembered(memory) if memory else {}
    match known.get(key):
        case [*before, str(digest)] if not anew and before == now and re.fullmatch("[0-9a-f]{64}", digest):
            return digest
    digest = sha256_of(path)
    known.pop(key, None)
    keep(memory, json.dumps({**dict(list(known.items())[-999:]), key: [*now, digest]}).encode())
    return digest


def _remembered(memory: Path) -> dict[str, Any]:
    """What an earlier process has written there; nothing if that cannot be read."""
    try:
        known = json.loads(read_text(memory))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


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


def in_folder(folder: Path, entry: Entry) -> Path | None:
    """Where ``zoo download --to FOLDER`` puts an entry, or the folder's own weights, if either is there."""
    places = (folder / entry.name / WEIGHTS_FILE, folder / f"{entry.name}.safetensors", folder / WEIGHTS_FILE)
    return next((path for path in places if is_file(path)), None)


def on_disk(entry: Entry, folder: Path | None = None) -> Iterator[Path]:
    """The files that claim to be this entry, without network: embedded, local folder, Hub cache.

    Args:
        entry: which.
        folder: a folder of the caller's; else that in the environment variable ``ZOO_WEIGHTS``, if set.
    """
    if local := _local_folder(entry):
        if is_file(local / WEIGHTS_FILE):
            yield local / WEIGHTS_FILE
        return
    if not entry.source:  # what has the name of a checkpoint of ours may be another one
        if is_file(entry.embedded):
            yield entry.embedded
        folder = folder or (Path(os.environ[FOLDER_VARIABLE]) if os.environ.get(FOLDER_VARIABLE) else None)
        if folder and (found := in_folder(folder, entry)):
            yield found
    if entry.hub:
        yield from _cached(entry.hub, entry.sha256)
    if (mirrored := _mirrored(entry)) and is_file(mirrored):
        yield mirrored


def _local_folder(entry: Entry) -> Path | None:
    prefix, _, rest = entry.source.partition(":")
    return Path(os.path.expanduser(rest)) if prefix == "local-dir" else None  # noqa: PTH111 - needs no home


def _cached(hub: Hub, sha256: str | None) -> Iterator[Path]:
    """The files in the Hub's cache that may be this one: at its revision, and the one whose name is its hash."""
    found = _in_cache(hub.repo, hub.file, hub.revision)
    if found:
        yield found
    if sha256:
        blob = _repo_cache(hub.repo) / "blobs" / sha256
        if is_file(blob) and not (found and is_file(found) and found.samefile(blob)):
            yield blob


def _repo_cache(repo: str) -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"


def _in_cache(repo: str, file: str, revision: str | None) -> Path | None:
    """A file in the Hub's cache, by branch, tag or commit; a commit may be cut short."""
    from huggingface_hub import try_to_load_from_cache  # 0.2 s: only where the embedded file is not enough

    try:
        found = try_to_load_from_cache(repo, file, revision=revision)
    except (OSError, ValueError):  # a name that is none, or a damaged cache
        return None
    if isinstance(found, str):
        return Path(found)
    if revision is None or not SHORT.fullmatch(revision):
        return None
    known = [path for commit, path in _snapshots(repo, file).items() if commit.startswith(revision)]
    return known[0] if len(known) == 1 else None


def _snapshots(repo: str, file: str) -> dict[str, Path]:
    """A file at every commit in the Hub's cache, the newest first."""
    try:
        commits = sorted(
            (_repo_cache(repo) / "snapshots").iterdir(), key=lambda path: path.stat().st_mtime, reverse=True
        )
    except OSError:
        return {}
    return {commit.name: commit / file for commit in commits if is_file(commit / file)}


def fetch(entry: Entry, weights: str | os.PathLike[str] | None = None, *, force: bool = False) -> Path:
    """A verified file with the weights of an entry.

    Args:
        entry: which.
        weights: a folder to look in before the Hub, or a file to use instead of any other.
        force: download even if there is a good file on disk.

    Raises:
        WeightsError: if no source has it; the message says what each one lacked.
        InputError: if ``weights`` does not exist.
    """
    if not entry.checkpoint:
        raise WeightsError(f"{entry.name} has no weights here: `zoo import {entry.name} FILE -o FOLDER` takes yours.")
    if local := _local_folder(entry):
        path = local / WEIGHTS_FILE
        if not is_file(path):
            raise WeightsError(f"{local} has no {WEIGHTS_FILE}: get the folder again.")
        check(path, entry, cure="get the folder again")
        return path
    folder = None
    if weights is not None:
        folder = Path(weights)
        if is_file(folder):
            check(folder, entry, cure="weights of your own are for `zoo embed`, or a folder with a config.json")
            return folder
        try:
            problem = "" if folder.is_dir() else "is no file and no folder" if folder.exists() else "does not exist"
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
        if problem:
            raise InputError(f"{folder} {problem}: name a folder with weights or a .safetensors file.")
        # Another network's, or one trained further: to take the embedded weights in its place would be a wrong answer.
        if not is_file(folder / entry.name / WEIGHTS_FILE) and is_file(folder / WEIGHTS_FILE):
            check(folder / WEIGHTS_FILE, entry, cure=f"load local-dir:{folder} for its own weights")
    if force and entry.hub:
        _refuse_offline()
    problems, wrong = [], False
    for path in () if force else on_disk(entry, folder):
        try:
            check(path, entry)
            return path
        except WeightsError as error:
            problems.append(str(error))
            if entry.hub and path.is_relative_to(_repo_cache(entry.hub.repo)):  # which would give it again
                problems.append(_set_aside(path))
                wrong = True
    sources: list[Callable[[], Path]] = []
    if entry.hub:
        hub = entry.hub
        sources.append(lambda: download(hub.repo, hub.file, hub.revision, entry, force or wrong))
        sources += [partial(_from_mirror, url, entry) for url in hub.mirrors]
    for source in sources:
        try:
            return source()
        except WeightsError as error:
            problems.append(str(error))
    raise WeightsError(
        " ".join(problems)
        or f"{entry.name} has no weights: {entry.embedded} does not exist, and its stanza names no `hub`; put the file "
        "there, or name one with `weights`."
    )


def _refuse_offline() -> None:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise WeightsError("HF_HUB_OFFLINE is set, so nothing can be downloaded anew: unset it, or leave out --force.")


def _set_aside(path: Path) -> str:
    """Rename a wrong file in the Hub's cache, so that nobody takes it for the right one; says where it is."""
    blob = path.resolve()
    aside = blob.with_name(f"{blob.name}.wrong")
    try:
        blob.replace(aside)
        path.unlink(missing_ok=True)
    except OSError as error:
        return f"It cannot be set aside: {error.strerror or error}."
    return f"It was set aside as {aside}."


def _mirrored(entry: Entry) -> Path | None:
    """Where a file from a mirror is kept."""
    folder = cache_folder()
    if not folder or not entry.hub or not entry.hub.mirrors or not entry.sha256:
        return None
    return folder / "mirrors" / f"{entry.sha256}.safetensors"


def _from_mirror(url: str, entry: Entry) -> Path:
    """A file from another server: the hash says that it is the same."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import http_get

    path = _mirrored(entry)
    if path is None:
        lacks = (
            f"{entry.name} has no sha256 on record"
            if cache_folder()
            else f"nobody has a home here: set {CACHE_VARIABLE}"
        )
        raise WeightsError(f"{url} cannot be used: {lacks}.")
    if constants.HF_HUB_OFFLINE:
        raise WeightsError(f"{url} is not asked: HF_HUB_OFFLINE is set.")
    try:
        with atomic_write(path) as aside:
            with aside.open("wb") as file:
                http_get(url, file, expected_size=entry.bytes, displayed_filename=entry.name)
            check(aside, entry, anew=True)
    except WeightsError:
        raise WeightsError(f"{url} has another file than {entry.name}.") from None
    except Exception as error:  # which ones depends on the HTTP library behind huggingface_hub
        first = str(error).strip().splitlines()
        raise WeightsError(f"{url} could not be downloaded: {first[0] if first else type(error).__name__}.") from None
    return path


def download(
    repo: str,
    file: str,
    revision: str | None,
    entry: Entry | None = None,
    force: bool = False,
    *,
    name: str = "",
    most: int | None = None,
) -> Path:
    """A file of a Hub repository, from the cache where it is; checked if it is an entry's weights.

    Args:
        repo: ``owner/name``.
        file: its path there.
        revision: branch, tag or commit; None for the branch `main`.
        entry: what the file should be.
        force: download even what is in the cache.
        name: what `zoo download` takes elsewhere, if this machine has no network.
        most: how many bytes it may have.

    Raises:
        WeightsError: saying whether the Hub cannot be reached, lacks the repository or file, keeps it from you, or has
            another one; a wrong file is set aside.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    what = f"{repo}@{revision}/{file}" if revision else f"{repo}/{file}"
    cached = None if force else _in_cache(repo, file, revision)
    path = cached if COMMIT.fullmatch(str(revision)) else None  # a commit never changes
    try:
        if path is None:
            try:
                # Without a network this fails at once; hf_hub_download would try again for 23 seconds.
                facts = get_hf_file_metadata(
                    hf_hub_url(repo, file, revision=revision), timeout=constants.HF_HUB_ETAG_TIMEOUT
                )
                if most and facts.size and facts.size > most:
                    raise WeightsError(f"{what} has {facts.size:,} bytes: that is no {file}.")
            except HfHubHTTPError as error:
                if error.response.status_code not in BUSY:
                    raise
            except WeightsError:
                raise
            except Exception as error:  # which ones depends on the HTTP library behind huggingface_hub
                if isinstance(error, OSError) and error.filename:  # a file here, not the network
                    raise
                path = cached or (None if force else _newest(repo, file, revision))
                if path is None:
                    raise WeightsError(_absent(repo, file, revision, what, entry, name)) from error
        if path is None and constants.HF_HUB_CACHE.startswith("~"):
            raise WeightsError(f"{what} cannot be kept, as this user has no home: set HF_HOME to a folder.")
        path = path or Path(hf_hub_download(repo, file, revision=revision, force_download=force))
    except WeightsError:
        raise
    except HFValidationError:
        raise WeightsError(f"{repo!r} is no name of a repository: use owner/name.") from None
    except GatedRepoError:
        raise WeightsError(
            f"{repo} is open to those only who have agreed to its terms: do so at {constants.ENDPOINT}/{repo}, and log "
            "in with `hf auth login`."
        ) from None
    except (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError):
        raise WeightsError(
            f"The Hub has no {what}, or not for you: check the name, or log in with `hf auth login`."
        ) from None
    except Exception as error:  # which ones depends on the HTTP library behind huggingface_hub
        first = str(error).strip().splitlines()
        raise WeightsError(f"{what} could not be downloaded: {first[0] if first else type(error).__name__}.") from None
    if entry:
        try:
            check(path, entry)
        except WeightsError as error:
            reason = str(error).partition("; delete")[0].rstrip(".")
            raise WeightsError(f"{what} is not what is on record: {reason}. {_set_aside(path)}") from None
        if not entry.sha256:
            warnings.warn(
                f"{entry.address} has no sha256 on record: {what} has {sha256_of(path)}, "
                f"{path.stat().st_size:,} bytes.",
                stacklevel=2,
            )
    return path


def _newest(repo: str, file: str, revision: str | None) -> Path | None:
    """What the cache has of a repository that was downloaded by commit, where nobody can say which one `main` is."""
    if revision not in (None, "main"):
        return None
    commit, path = next(iter(_snapshots(repo, file).items()), ("", None))
    if path:
        warnings.warn(
            f"The Hub cannot be reached: of {repo}, the commit {commit} is used, the newest on this machine.",
            stacklevel=2,
        )
    return path


def _absent(repo: str, file: str, revision: str | None, what: str, entry: Entry | None, name: str) -> str:
    """That a file is not here, and what to do."""
    size = f" ({entry.bytes:,} bytes)" if entry and entry.bytes else ""
    name = (entry.address if entry else name) or f"hf-hub:{repo}"
    use = "here load local-dir: and the folder in it" if ":" in name else f"set {FOLDER_VARIABLE}=FOLDER here"
    here = ", ".join(f"@{commit}" for commit in _snapshots(repo, file))
    return (
        f"{what}{size} is not on this machine and the Hub cannot be reached: connect, or elsewhere "
        f"run `zoo download {shlex.quote(name)} --to FOLDER` and {use}."
    ) + (f" Of {repo}, this machine has {here}." if here else "")


def repository(name: str) -> tuple[str, str | None]:
    """Repository and revision of a name with the prefix ``hf-hub:``.

    Raises:
        InputError: if it names none.
    """
    rest = name.removeprefix("hf-hub:")
    repo, at, revision = rest.partition("@")
    if not re.fullmatch(REPO, repo) or (at and not re.fullmatch(REVISION, revision)):
        raise InputError(
            f"{rest!r} is no repository: use owner/name, as in hf-hub:OWNER/NAME or hf-hub:OWNER/NAME@REVISION."
        )
    return repo, revision or None


def entry_of(name: str) -> Entry:
    """The facts behind a name, without its weights; for ``hf-hub:`` the ``config.json`` is downloaded.

    Args:
        name: as :func:`zoo.load` takes it, with its prefixes.

    Raises:
        InputError: for a name, prefix or folder that does not exist.
        RegistryError: for a ``config.json`` that does not say what it must.
        WeightsError: if the Hub cannot be reached or has no such repository.
    """
    if not isinstance(name, str):
        raise InputError(f"The name of a model is a text, as in 'dcgan', not {name!r}.")
    prefix, colon, rest = name.partition(":")
    if not colon:
        try:
            return info(name)
        except UnknownNameError as error:
            if not is_file(Path(name) / CONFIG_FILE):
                raise
            raise UnknownNameError(f"There is no model {name!r}; for the folder write local-dir:{name}.") from error
    if prefix == "local-dir":
        if not rest:
            raise InputError("local-dir: names no folder: use local-dir:FOLDER.")
        return _local_entry(name, Path(os.path.expanduser(rest)))  # noqa: PTH111 - needs no home
    if prefix == "hf-hub":
        return _hub_entry(name)
    raise InputError(f"{prefix}: is no prefix: use local-dir:FOLDER or hf-hub:OWNER/REPO.")


def _local_entry(name: str, folder: Path) -> Entry:
    config = folder / CONFIG_FILE
    try:
        text = read_text(config)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # the last for a name that no file can have
        reason = "it is no folder" if isinstance(error, NotADirectoryError) else "there is no such folder"
        if folder.is_dir():
            reason = "local-dir: takes a folder that `zoo import`, `zoo train` or `zoo download --to` wrote"
        raise InputError(f"{folder} has no {CONFIG_FILE}: {reason}.") from None
    except OSError as error:
        raise RegistryError(f"{config} cannot be read: {error.strerror}.") from None
    return replace(from_config(text, str(config)), hub=None, source=name)


def _hub_entry(name: str) -> Entry:
    repo, revision = repository(name)
    where = f"{repo}/{CONFIG_FILE}"
    config = download(repo, CONFIG_FILE, revision, name=name, most=SMALL)
    try:
        text = read_text(config)
    except OSError as error:
        raise RegistryError(f"{where} cannot be read: {error.strerror}.") from None
    # Weights and configuration are of one commit, even if another one comes in between.
    commit = config.parent.name if COMMIT.fullmatch(config.parent.name) else revision or "main"
    return replace(from_config(text, where), hub=Hub(repo, WEIGHTS_FILE, commit), source=name)


def find(name: str, weights: str | os.PathLike[str] | None = None) -> tuple[Entry, Path]:
    """The entry of a name, and its verified file.

    Args:
        name: as :func:`zoo.load` takes it, with its prefixes.
        weights: likewise.
    """
    if weights is not None and isinstance(name, str) and name.startswith(("local-dir:", "hf-hub:")):
        raise InputError(f"{name} brings its own weights: leave out `weights`.")
    if not (weights is None or isinstance(weights, (str, os.PathLike))):
        raise InputError(f"weights is the path of a folder or a .safetensors file, not {weights!r}.")
    entry = entry_of(name)
    return entry, fetch(entry, weights)


def add_metrics(folder: Path, entry: Entry, metrics: Iterable[Metric]) -> None:
    """Put figures into the ``config.json`` of a folder; they replace those of the same name."""
    kept = {metric.name: metric for metric in (*entry.metrics, *metrics)}
    with atomic_write(folder / CONFIG_FILE) as aside:
        aside.write_text(to_config(replace(entry, metrics=tuple(kept.values()))), "utf-8")


def export(entry: Entry, source: Path | bytes, folder: Path) -> Path:
    """Put verified weights, a file or its content, into a folder that ``local-dir:`` reads, with ``config.json``."""
    target = folder / WEIGHTS_FILE
    try:
        weights = source if isinstance(source, bytes) else source.read_bytes()
        for name, content in ((WEIGHTS_FILE, weights), (CONFIG_FILE, to_config(entry).encode())):
            with atomic_write(folder / name) as aside:
                aside.write_bytes(content)
    except OSError as error:
        raise WeightsError(f"{target} cannot be written: {error.strerror or error}.") from None
    return target
