"""From an entry to a verified file: embedded in the package, in a local folder, in the Hub's cache, on the Hub.

Every file is identified by its sha256 and must be safetensors; nothing is ever unpickled. No torch here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from zoo.entry import Entry, Metric
from zoo.errors import InputError, WeightsError
from zoo.files import atomic_write
from zoo.registry import from_config, info
from zoo.schema import to_config

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
SAMPLES_FILE = "samples.png"
FOLDER_VARIABLE = "ZOO_WEIGHTS"
CACHE_VARIABLE = "ZOO_CACHE"
COMMIT = re.compile("[0-9a-f]{40}")
BUSY = (429, 500, 502, 503, 504)  # statuses after which huggingface_hub tries again


def sha256_of(path: Path) -> str:
    """The sha256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: name to dtype, shape and offsets.

    Raises:
        WeightsError: if the file is anything else; an extension proves nothing.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        # A header's length may begin with these bytes, too; but then the header itself follows.
        if (start[:4] == b"PK\x03\x04" or start[:1] == b"\x80") and file.read(1) != b"{":
            raise WeightsError(
                f"{path} is a PyTorch pickle, whatever its name says, and pickles can run code: "
                "convert it to safetensors where you trust it."
            )
        if start.startswith(b"version "):
            raise WeightsError(f"{path} is a Git LFS pointer, not the file itself: run `git lfs pull`.")
        if len(start) < 8 or not 2 <= length <= min(size - 8, 100_000_000):
            raise WeightsError(f"{path} is no safetensors file, or it is cut off: get it again.")
        try:
            file.seek(8)
            header = json.loads(file.read(length))
            end = max((facts["data_offsets"][1] for key, facts in header.items() if key != "__metadata__"), default=0)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            raise WeightsError(f"{path} has no readable safetensors header: get it again.") from None
    if not isinstance(end, int) or 8 + length + end != size:
        raise WeightsError(f"{path} should have {8 + length + end} bytes and has {size}: get it again.")
    return dict(header)


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
    memory = cache_folder() / "verified.json"
    try:
        known = json.loads(memory.read_text("utf-8"))
        if not anew and known[key][:3] == now and re.fullmatch("[0-9a-f]{64}", known[key][3]):
            return str(known[key][3])
    except (OSError, ValueError, LookupError, TypeError):
        known = {}
    digest = sha256_of(path)
    try:
        with atomic_write(memory) as aside:
            aside.write_text(json.dumps({**dict(list(known.items())[-999:]), key: [*now, digest]}), "utf-8")
    except OSError:
        pass  # where nothing can be written, it is read again each time
    return digest


def cache_folder() -> Path:
    """Where the zoo keeps what can be had again: ``ZOO_CACHE``, or a folder in the user's cache."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "generative-zoo"


def in_folder(folder: Path, entry: Entry) -> Path | None:
    """Where ``zoo download --to FOLDER`` puts an entry, or the folder's own weights, if either is there."""
    places = (folder / entry.name / WEIGHTS_FILE, folder / f"{entry.name}.safetensors", folder / WEIGHTS_FILE)
    return next((path for path in places if path.is_file()), None)


def on_disk(entry: Entry, folder: Path | None = None) -> Iterator[Path]:
    """The files that claim to be this entry, without network: embedded, local folder, Hub cache.

    Args:
        entry: which.
        folder: a folder of the caller's; else that in the environment variable ``ZOO_WEIGHTS``, if set.
    """
    if entry.embedded.is_file():
        yield entry.embedded
    folder = folder or (Path(os.environ[FOLDER_VARIABLE]) if os.environ.get(FOLDER_VARIABLE) else None)
    local = in_folder(folder, entry) if folder else None
    if local:
        yield local
    if entry.hub:
        from huggingface_hub import try_to_load_from_cache  # 0.2 s: only where the embedded file is not enough

        cached = try_to_load_from_cache(entry.hub.repo, entry.hub.file, revision=entry.hub.revision)
        if isinstance(cached, str):
            yield Path(cached)
    if (mirrored := _mirrored(entry)) and mirrored.is_file():
        yield mirrored


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
    folder = None
    if weights is not None:
        given = Path(weights)
        if given.is_file():
            check(given, entry, cure="weights of your own are for `zoo embed`, or a folder with a config.json")
            return given
        if not given.is_dir():
            raise InputError(f"{given} does not exist: name a folder with weights or a .safetensors file.")
        folder = given
    problems = []
    for path in () if force else on_disk(entry, folder):
        try:
            check(path, entry)
            return path
        except WeightsError as error:
            problems.append(str(error))
            if "blobs" in path.resolve().parts:  # the Hub's cache would give it again
                problems.append(_set_aside(path))
    sources: list[Callable[[], Path]] = []
    if entry.hub:
        hub = entry.hub
        sources.append(lambda: download(hub.repo, hub.file, hub.revision, entry, force))
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
    if not entry.hub or not entry.hub.mirrors or not entry.sha256:
        return None
    return cache_folder() / "mirrors" / f"{entry.sha256}.safetensors"


def _from_mirror(url: str, entry: Entry) -> Path:
    """A file from another server: the hash says that it is the same."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import http_get

    path = _mirrored(entry)
    if path is None:
        raise WeightsError(f"{url} cannot be used: {entry.name} has no sha256 on record.")
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


def download(repo: str, file: str, revision: str | None, entry: Entry | None = None, force: bool = False) -> Path:
    """A file of a Hub repository, from the cache where it is; checked if it is an entry's weights.

    Raises:
        WeightsError: saying whether the Hub cannot be reached, lacks the repository or file, keeps it from you, or has
            another one; a wrong file is set aside.
    """
    from huggingface_hub import (
        constants,
        get_hf_file_metadata,
        hf_hub_download,
        hf_hub_url,
        try_to_load_from_cache,
    )
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    what = f"{repo}@{revision}/{file}" if revision else f"{repo}/{file}"
    if force and constants.HF_HUB_OFFLINE:
        raise WeightsError("HF_HUB_OFFLINE is set, so nothing can be downloaded anew: unset it, or leave out --force.")
    try:
        cached = None if force else try_to_load_from_cache(repo, file, revision=revision)
        path = Path(cached) if isinstance(cached, str) and COMMIT.fullmatch(str(revision)) else None  # never changes
        if path is None:
            try:
                # Without a network this fails at once; hf_hub_download would try again for 23 seconds.
                get_hf_file_metadata(hf_hub_url(repo, file, revision=revision), timeout=constants.HF_HUB_ETAG_TIMEOUT)
            except HfHubHTTPError as error:
                if error.response.status_code not in BUSY:
                    raise
            except Exception as error:  # which ones depends on the HTTP library behind huggingface_hub
                if isinstance(error, OSError) and error.filename:  # a file here, not the network
                    raise
                if not isinstance(cached, str):
                    size = f" ({entry.bytes:,} bytes)" if entry and entry.bytes else ""
                    raise WeightsError(
                        f"{what}{size} is not on this machine and the Hub cannot be reached: connect, or elsewhere "
                        f"run `zoo download {entry.name if entry else 'NAME'} --to FOLDER` and set "
                        f"{FOLDER_VARIABLE}=FOLDER here."
                    ) from error
                path = Path(cached)
        path = path or Path(hf_hub_download(repo, file, revision=revision, force_download=force))
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
    except (HfHubHTTPError, OSError, ValueError) as error:
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
                f"{entry.name} has no sha256 on record: {what} has {sha256_of(path)}, {path.stat().st_size:,} bytes.",
                stacklevel=2,
            )
    return path


def local_entry(folder: Path) -> tuple[Entry, Path]:
    """Entry and verified weights of a folder with ``config.json`` and ``model.safetensors``."""
    config = folder / CONFIG_FILE
    if not config.is_file():
        raise InputError(f"{folder} has no {CONFIG_FILE}: local-dir: takes a folder that `zoo download --to` wrote.")
    entry = from_config(config.read_bytes(), str(config))
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise WeightsError(f"{folder} has no {WEIGHTS_FILE}: download it again.")
    check(path, entry)
    return entry, path


def hub_entry(repo: str, revision: str | None) -> tuple[Entry, Path]:
    """Entry and verified weights of a Hub repository with ``config.json`` and ``model.safetensors``."""
    config = download(repo, CONFIG_FILE, revision)
    entry = from_config(config.read_bytes(), f"{repo}/{CONFIG_FILE}")
    return entry, download(repo, WEIGHTS_FILE, revision, entry)


def find(name: str, weights: str | os.PathLike[str] | None = None) -> tuple[Entry, Path]:
    """The entry of a name, and its verified file.

    Args:
        name: as :func:`zoo.load` takes it, with its prefixes.
        weights: likewise.
    """
    prefix, colon, rest = name.partition(":")
    if colon:
        if weights is not None:
            raise InputError(f"{name} brings its own weights: leave out `weights`.")
        if prefix == "local-dir":
            return local_entry(Path(rest).expanduser())
        if prefix == "hf-hub":
            repo, _, revision = rest.partition("@")
            return hub_entry(repo, revision or None)
        raise InputError(f"{prefix}: is no prefix: use local-dir:FOLDER or hf-hub:OWNER/REPO.")
    entry = info(name)
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
