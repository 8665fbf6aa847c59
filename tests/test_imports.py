"""Imports run down: a module imports what stands below its room, and no private name crosses a file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# From the lowest floor to the highest. A room may import rooms of lower floors, and modules of its own.
FLOORS = (
    {"zoo.errors", "zoo.arrays", "zoo.version", "zoo.hooks", "zoo.checkpoints"},
    {"zoo.files", "zoo.memory"},
    {"zoo.registry"},
    {"zoo.media"},
    {"zoo.weights", "zoo.inference"},
    {"zoo.model"},
    {"zoo.models", "zoo.backends"},
    {"zoo.networks"},
    {"zoo.loading"},
    {"zoo"},
    {"zoo.data", "zoo.jobs", "zoo.interop"},
    {"zoo.metrics"},
    {"zoo.tasks"},
    {"zoo.testing"},
    {"zoo.training"},
    {"zoo.recipes"},
    {"zoo.authoring"},
    {"zoo.demo"},
    {"zoo.cli"},
    {"zoo.__main__"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def modules() -> dict[str, Path]:
    """Every module of the package by name; ``cli`` is installed as ``zoo.cli``."""
    paths = [path for path in ROOT.glob("zoo/**/*.py") if "templates" not in path.parts] + list(ROOT.glob("cli/*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return {f"zoo.{name}" if name.startswith("cli") else name: path for name, path in zip(names, paths, strict=True)}


MODULES = modules()


def room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def imports(module: str) -> Iterator[tuple[str, str]]:
    """Module and name of everything that a module of the package imports from the package when it runs."""
    path = MODULES[module]
    tree = ast.parse(path.read_text("utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.partition(".")[0] == "zoo")
        if isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                base = module if path.name == "__init__.py" else module.rpartition(".")[0]
                source = f"{base}.{source}".rstrip(".")
            for alias in node.names:
                if f"{source}.{alias.name}" in MODULES:
                    yield f"{source}.{alias.name}", ""
                elif source.partition(".")[0] == "zoo":
                    yield source, alias.name


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_down(module: str) -> None:
    assert room(module) in FLOOR, f"{room(module)} is new: give it a floor"
    for source, name in imports(module):
        if room(source) != room(module):
            assert FLOOR[room(source)] < FLOOR[room(module)], f"{module} imports {source}, which is not below it"
        assert not name.startswith("_") or name == "__version__", f"{module} imports the private {name} of {source}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    edges = {module: {source for source, _ in imports(module)} for module in MODULES}
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way[way.index(module) :], module))
        if module not in done:
            for source in sorted(edges[module]):
                visit(source, (*way, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


def test_recipes_are_islands() -> None:
    for module in MODULES:
        if room(module) == "zoo.recipes":
            others = [source for source, _ in imports(module) if room(source) == "zoo.recipes"]
            assert not others, f"{module} imports the recipe {others[0]}"
