"""From a name to a verified file: embedded, in a local folder, in the Hub's cache, on the Hub."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from zoo.errors import InputError, RegistryError, UnknownNameError, WeightsError
from zoo.files import SMALL, is_file, read_text
from zoo.registry.facts import Entry, Hub
from zoo.registry.index import from_config, info
from zoo.weights.folder import CONFIG_FILE, WEIGHTS_FILE
from zoo.weights.hub import (
    COMMIT,
    FOLDER_VARIABLE,
    cached,
    download,
    from_mirror,
    mirror_path,
    repo_cache,
    repository,
    set_aside,
)
from zoo.weights.verify import check


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
        if folder and (path := in_folder(folder, entry)):
            yield path
    if entry.hub:
        yield from cached(entry.hub, entry.sha256)
    if (mirrored := mirror_path(entry)) and is_file(mirrored):
        yield mirrored


def _local_folder(entry: Entry) -> Path | None:
    prefix, _, rest = entry.source.partition(":")
    return Path(os.path.expanduser(rest)) if prefix == "local-dir" else None  # noqa: PTH111 - needs no home


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
        raise WeightsError(f"{entry.name} has no weights: `zoo import {entry.name} FILE -o FOLDER` imports yours.")
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
            if entry.hub and path.is_relative_to(repo_cache(entry.hub.repo)):  # which would give it again
                problems.append(set_aside(path))
                wrong = True
    sources: list[Callable[[], Path]] = []
    if entry.hub:
        hub = entry.hub
        sources.append(lambda: download(hub.repo, hub.file, hub.revision, entry, force or wrong))
        sources += [partial(from_mirror, url, entry) for url in hub.mirrors]
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
