"""Files of the Hugging Face Hub and of mirrors, through the Hub's cache."""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import InputError, WeightsError
from zoo.files import atomic_write, is_file
from zoo.registry.facts import Entry, Hub
from zoo.registry.values import REPO, REVISION
from zoo.weights.verify import CACHE_VARIABLE, cache_folder, check, sha256_of

FOLDER_VARIABLE = "ZOO_WEIGHTS"
COMMIT, SHORT = re.compile("[0-9a-f]{40}"), re.compile("[0-9a-f]{7,40}")
BUSY = (429, 500, 502, 503, 504)  # statuses after which huggingface_hub tries again


def cached(hub: Hub, sha256: str | None) -> Iterator[Path]:
    """The files in the Hub's cache that may be this one: at its revision, and the one whose name is its hash."""
    path = _in_cache(hub.repo, hub.file, hub.revision)
    if path:
        yield path
    if sha256:
        blob = repo_cache(hub.repo) / "blobs" / sha256
        if is_file(blob) and not (path and is_file(path) and path.samefile(blob)):
            yield blob


def repo_cache(repo: str) -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"


def _in_cache(repo: str, file: str, revision: str | None) -> Path | None:
    """A file in the Hub's cache, by branch, tag or commit; a commit may be cut short."""
    from huggingface_hub import try_to_load_from_cache  # 0.2 s: only where the embedded file is not enough

    try:
        path = try_to_load_from_cache(repo, file, revision=revision)
    except (OSError, ValueError):  # a name that is none, or a damaged cache
        return None
    if isinstance(path, str):
        return Path(path)
    if revision is None or not SHORT.fullmatch(revision):
        return None
    known = [path for commit, path in _snapshots(repo, file).items() if commit.startswith(revision)]
    return known[0] if len(known) == 1 else None


def _snapshots(repo: str, file: str) -> dict[str, Path]:
    """A file at every commit in the Hub's cache, the newest first."""
    try:
        commits = sorted(
            (repo_cache(repo) / "snapshots").iterdir(), key=lambda path: path.stat().st_mtime, reverse=True
        )
    except OSError:
        return {}
    return {commit.name: commit / file for commit in commits if is_file(commit / file)}


def set_aside(path: Path) -> str:
    """Rename a wrong file in the Hub's cache, so that nobody takes it for the right one; says where it is."""
    blob = path.resolve()
    aside = blob.with_name(f"{blob.name}.wrong")
    try:
        blob.replace(aside)
        path.unlink(missing_ok=True)
    except OSError as error:
        return f"It cannot be set aside: {error.strerror or error}."
    return f"It was set aside as {aside}."


def mirror_path(entry: Entry) -> Path | None:
    """Where a file from a mirror is kept."""
    folder = cache_folder()
    if not folder or not entry.hub or not entry.hub.mirrors or not entry.sha256:
        return None
    return folder / "mirrors" / f"{entry.sha256}.safetensors"


def from_mirror(url: str, entry: Entry) -> Path:
    """A file from another server: the hash says that it is the same."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import http_get

    path = mirror_path(entry)
    if path is None:
        lacks = (
            f"{entry.name} has no sha256 in the registry"
            if cache_folder()
            else f"this user has no home folder: set {CACHE_VARIABLE}"
        )
        raise WeightsError(f"{url} cannot be used: {lacks}.")
    if constants.HF_HUB_OFFLINE:
        raise WeightsError(f"{url} is not used: HF_HUB_OFFLINE is set.")
    try:
        with atomic_write(path) as aside:
            with aside.open("wb") as file:
                http_get(url, file, expected_size=entry.bytes, displayed_filename=entry.name)
            check(aside, entry, anew=True)
    except WeightsError:
        raise WeightsError(f"{url} is not the file of {entry.name}: its size or sha256 differs.") from None
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
            raise WeightsError(f"{what} cannot be stored, as this user has no home folder: set HF_HOME to a folder.")
        path = path or Path(hf_hub_download(repo, file, revision=revision, force_download=force))
    except WeightsError:
        raise
    except HFValidationError:
        raise WeightsError(f"{repo!r} is no name of a repository: use owner/name.") from None
    except GatedRepoError:
        raise WeightsError(
            f"{repo} is open only to users who have agreed to its terms: do so at {constants.ENDPOINT}/{repo}, and log "
            "in with `hf auth login`."
        ) from None
    except (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError):
        raise WeightsError(
            f"The Hub has no {what}, or you have no access: check the name, or log in with `hf auth login`."
        ) from None
    except Exception as error:  # which ones depends on the HTTP library behind huggingface_hub
        first = str(error).strip().splitlines()
        raise WeightsError(f"{what} could not be downloaded: {first[0] if first else type(error).__name__}.") from None
    if entry:
        try:
            check(path, entry)
        except WeightsError as error:
            reason = str(error).partition("; delete")[0].rstrip(".")
            raise WeightsError(f"{what} is not the file in the registry: {reason}. {set_aside(path)}") from None
        if not entry.sha256:
            warnings.warn(
                f"{entry.address} has no sha256 in the registry: {what} has {sha256_of(path)}, "
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
