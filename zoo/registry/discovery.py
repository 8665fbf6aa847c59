"""Where registries are: the zoo's own, folders on ``ZOO_PATH``, installed plugins. No plugin's code runs here."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from zoo.errors import RegistryError
from zoo.files import is_file, read_small, read_text
from zoo.registry.facts import Entry
from zoo.registry.schema import read

PLUGIN_GROUP = "zoo.plugins"
PATH_VARIABLE = "ZOO_PATH"  # folders with a registry.yaml, joined as in PATH


def own_registry() -> tuple[Path, Path]:
    """The zoo's ``registry.yaml`` and the folder of its package."""
    folder = Path(__file__).parent.parent
    inside = folder / "registry.yaml"  # in an installed wheel; in a checkout it lies beside the package
    return (inside if inside.exists() else folder.parent / "registry.yaml"), folder


Reader = Callable[[], list[Entry]]


def _plugins() -> Iterator[tuple[str, Reader]]:
    """Name of every installed distribution that says that it is a plugin, and how its entries are read.

    ``importlib.metadata.entry_points`` parses the metadata of everything that is installed, which takes
    longer than all else that `zoo list` does; here only files that mention the group are parsed.
    """
    group = f"[{PLUGIN_GROUP}]".encode()
    seen = set()
    for place in dict.fromkeys(sys.path):
        try:
            paths = [item.path for item in os.scandir(place or ".") if item.name.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue
        for path in sorted(paths):
            try:
                if group not in read_small(f"{path}/entry_points.txt"):
                    continue
            except OSError:
                continue
            name, packages = _distribution(Path(path))
            if (name, packages) not in seen:  # an environment may see the same one in several places
                seen.add((name, packages))
                yield name, partial(_read_plugin, name, packages)


def _distribution(path: Path) -> tuple[str, tuple[str, ...] | RegistryError]:
    """The name of an installed distribution and the packages of its entry points, or what is wrong with it."""
    from importlib.metadata import PathDistribution

    name = path.stem.partition("-")[0]
    try:
        read_text(path / ("METADATA" if path.suffix == ".dist-info" else "PKG-INFO"))  # which may be anything
        distribution = PathDistribution(path)
        stated = distribution.metadata["Name"]
        if not re.fullmatch(r"\w[\w.-]*", stated or ""):
            raise ValueError("its metadata have no Name")
        return stated, tuple(point.value for point in distribution.entry_points.select(group=PLUGIN_GROUP))
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}"
    except Exception as error:  # whatever damaged texts cause in the parsers; a line without = is a TypeError
        reason = str(error)
    return name, RegistryError(f"its metadata in {path} are damaged ({reason}): install it again.")


def _read_plugin(distribution: str, packages: tuple[str, ...] | RegistryError) -> list[Entry]:
    if isinstance(packages, RegistryError):
        raise packages
    folders = [_plugin_folder(package) for package in packages]
    return [entry for folder in folders for entry in read(folder / "registry.yaml", distribution, folder)]


def _plugin_folder(package: str) -> Path:
    """Where a package lies. It is not imported, nor are those above a dotted one."""
    from importlib.util import find_spec

    if not all(part.isidentifier() for part in package.split(".")):
        raise RegistryError(
            f'its entry point names {package!r}: it must name a package that has a registry.yaml, as "zoo_blobs" or '
            '"my.blobs", not an attribute of it.'
        )
    top, *rest = package.split(".")
    spec = find_spec(top)
    places = [Path(place, *rest) for place in (spec and spec.submodule_search_locations) or ()]
    for finder in sys.meta_path if rest else ():  # those of editable installs know a dotted package by its whole name
        dotted_spec = finder.find_spec(package, [])
        places += [Path(place) for place in (dotted_spec and dotted_spec.submodule_search_locations) or ()]
    places = [place for place in places if place.is_dir()]
    if not places:
        raise RegistryError(f"the package {package!r} that its entry point names is not installed.")
    return next((place for place in places if is_file(place / "registry.yaml")), places[0])


def sources() -> Iterator[tuple[str, Reader]]:
    """Name of every folder on ``ZOO_PATH`` and of every plugin, and how its entries are read."""
    for place in filter(None, os.environ.get(PATH_VARIABLE, "").split(os.pathsep)):
        yield Path(place).name or place, partial(read_folder, place)
    yield from _plugins()


def read_folder(place: str | os.PathLike[str], package: str | None = None) -> list[Entry]:
    """The entries of a folder of one's own; its builders are modules in it."""
    folder = Path(os.path.expanduser(place)).absolute()  # noqa: PTH111 - Path's raises where nobody has a home
    if not folder.is_dir():
        raise RegistryError(f"{folder} is no folder: correct {'the path' if package else PATH_VARIABLE}.")
    entries = read(folder / "registry.yaml", package or folder.name, folder)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return entries
