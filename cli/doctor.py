"""The command that says what is there and what is missing: versions, devices, caches, extras, plugins."""

from __future__ import annotations

import os
import platform
import sys
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import click

from zoo.errors import WeightsError, ZooError
from zoo.files import is_file
from zoo.memory import free_memory
from zoo.registry.discovery import PATH_VARIABLE
from zoo.registry.index import PLUGINS_VARIABLE, registry
from zoo.registry.values import printable
from zoo.version import __version__
from zoo.weights.hub import FOLDER_VARIABLE
from zoo.weights.verify import CACHE_VARIABLE, cache_folder, check

from .catalog import as_json
from .console import table

DISTRIBUTION = "generative-zoo"
VARIABLES = (
    *(PATH_VARIABLE, PLUGINS_VARIABLE, FOLDER_VARIABLE, CACHE_VARIABLE),
    *("HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE", "OMP_NUM_THREADS", "NO_COLOR"),
)


class Finding(NamedTuple):
    """A line of the report.

    Attributes:
        what: that was looked at.
        state: ``good``, ``absent`` where something optional is not there, or ``wrong``.
        detail: what was seen, and the cure if it is wrong.
    """

    what: str
    state: str
    detail: str


@click.command()
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def doctor(json_: bool) -> None:
    """Show versions, devices, caches, extras and plugins, and how to mend what is wrong.

    Exits with 1 if something is wrong. Nothing is downloaded, and nothing is sent anywhere.
    """
    findings = [*_packages(), *_devices(), *_folders(), *_weights(), *_extras(), *_plugins(), *_variables()]
    if json_:
        as_json([finding._asdict() for finding in findings])
    else:
        table([["WHAT", "STATE", "DETAIL"], *findings])
    if wrong := [finding.what for finding in findings if finding.state == "wrong"]:
        raise ZooError(f"Wrong: {', '.join(wrong)}. The cure stands beside each.")


def _requirements() -> Iterator[Any]:
    """What this package needs, as its metadata say; extras that only repeat other extras are left out."""
    from packaging.requirements import Requirement

    for text in metadata.requires(DISTRIBUTION) or ():
        requirement = Requirement(text)
        if requirement.name != DISTRIBUTION:
            yield requirement


def _lacks(requirement: Any) -> str:
    """What is wrong with a required package; nothing if it is there in a version that does."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is missing"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} {version} is not {requirement.specifier}"
    return ""


def _packages() -> Iterator[Finding]:
    system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield Finding("zoo", "good", f"{__version__}, {system}, {Path(__file__).parent.parent}")
    for requirement in _requirements():
        if requirement.marker is None:
            lacking = _lacks(requirement)
            cure = f"{lacking}: pip install '{requirement}'" if lacking else metadata.version(requirement.name)
            yield Finding(requirement.name, "wrong" if lacking else "good", cure)


def _devices() -> Iterator[Finding]:
    try:
        import torch

        from zoo.backends.optimize import has_bfloat16
    except Exception as error:  # whatever a broken installation of torch raises
        yield Finding("device cpu", "wrong", f"torch cannot be imported: {error}; install it again")
        return
    found = {"cpu": f"{torch.get_num_threads()} threads, {free_memory() / 1e9:.1f} GB of memory free"}
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(number)
            name = torch.cuda.get_device_name(number)
            found[f"cuda:{number}"] = f"{name}, {free / 1e9:.1f} of {total / 1e9:.1f} GB of memory free"
    if torch.backends.mps.is_available():
        found["mps"] = "of this Mac"
    for device, detail in found.items():
        half = "bfloat16" if has_bfloat16(torch.device(device)) else "no bfloat16, so --precision fast is exact"
        yield Finding(f"device {device}", "good", f"{detail}, {half}")


def _folders() -> Iterator[Finding]:
    from huggingface_hub import constants

    own, hub = cache_folder(), Path(constants.HF_HUB_CACHE)
    for what, folder, variable in (("cache of the zoo", own, CACHE_VARIABLE), ("cache of the Hub", hub, "HF_HOME")):
        if folder is None:
            yield Finding(what, "absent", f"this user has no home folder: set {variable} to a folder")
            continue
        there = next((parent for parent in (folder, *folder.parents) if parent.exists()), folder)
        if there.is_dir() and os.access(there, os.W_OK):
            yield Finding(what, "good", f"{folder}" + ("" if folder.exists() else " (written when it is needed)"))
        else:
            yield Finding(what, "wrong", f"{folder} cannot be written: set {variable} to another folder")


def _weights() -> Iterator[Finding]:
    entries = [entry for entry in registry().entries.values() if is_file(entry.embedded)]
    wrong = []
    for entry in entries:
        try:
            check(entry.embedded, entry)
        except WeightsError as error:
            wrong.append(Finding(entry.name, "wrong", str(error)))
    yield Finding("embedded weights", "good", f"{len(entries) - len(wrong)} files have the sha256 on record")
    yield from wrong


def _extras() -> Iterator[Finding]:
    needed = [one for one in _requirements() if one.marker and not one.marker.evaluate({"extra": ""})]
    for extra in sorted(set(metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or ()) - {"dev"}):
        own = [one for one in needed if one.marker.evaluate({"extra": extra})]
        lacking = list(filter(None, map(_lacks, own)))
        cure = f"{', '.join(lacking)}: pip install '{DISTRIBUTION}[{extra}]'"
        yield Finding(f"[{extra}]", "absent" if lacking else "good", cure if lacking else "installed")


def _plugins() -> Iterator[Finding]:
    registry.cache_clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        entries = registry().entries.values()
    for package in dict.fromkeys(entry.package for entry in entries):
        if package != "zoo":
            names = ", ".join(entry.name for entry in entries if entry.package == package)
            yield Finding(f"plugin {package}", "good", printable(names))
    for warning in said:
        yield Finding("plugins", "wrong", str(warning.message))


def _variables() -> Iterator[Finding]:
    for name in VARIABLES:
        if name in os.environ:
            yield Finding(name, "good", printable(os.environ[name]) or "empty")
    if sys.prefix == sys.base_prefix:
        yield Finding("environment", "absent", f"no virtual environment: packages go into {sys.prefix}")
