"""What a user installs: wheel, sdist and editable, each in an environment of its own, far from the checkout.

Heavy dependencies are borrowed from the environment that runs the tests, through a .pth file.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from zoo.authoring.scaffold import KINDS
from zoo.testing import RULES

CHECKOUT = Path(__file__).parent.parent
PROJECT = [
    "zoo",
    "cli",
    "registry.yaml",
    "pyproject.toml",
    "setup.py",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
]

pytestmark = pytest.mark.skipif(not (CHECKOUT / "setup.py").exists(), reason="not in a checkout")


def run(*command: object, cwd: Path) -> str:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project: building writes into the tree."""
    made = tmp_path_factory.mktemp("source")
    for name in PROJECT:
        origin = CHECKOUT / name
        if origin.is_dir():
            shutil.copytree(origin, made / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(origin, made)
    return made


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel made out of it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, cwd=source)
    return out


def environment(folder: Path) -> Path:
    """A new environment that sees the dependencies, but nothing editable, of this one; its bin folder."""
    venv.create(folder)
    paths = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return folder / ("Scripts" if os.name == "nt" else "bin")


def use(bin_folder: Path, far: Path) -> None:
    """What the README promises, from a folder that has nothing to do with the project."""
    far.mkdir()
    assert "dcgan.fashion-mnist" in run(bin_folder / "zoo", "list", cwd=far)
    assert "Fashion-MNIST test, 10,000 images" in run(bin_folder / "zoo", "info", "dcgan", cwd=far)
    run(bin_folder / "zoo", "generate", "dcgan", "-n", 4, "--seed", 7, "-o", "grid.png", cwd=far)
    assert (far / "grid.png").read_bytes()[1:4] == b"PNG"
    absent = "import importlib.util as u; assert u.find_spec('cli') is None; import zoo; print(zoo.__file__)"
    assert "zoo" in run(bin_folder / "python", "-c", absent, cwd=far)


def test_wheel_holds_what_is_needed_and_no_more(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert wheel.stat().st_size < 95_000_000, "PyPI takes 100 MB"
    names = zipfile.ZipFile(wheel).namelist()
    assert {"zoo/registry.yaml", "zoo/cli/__init__.py", "zoo/py.typed", "zoo/data/datasets.yaml"} <= set(names)
    assert {f"zoo/cards/{p.name}" for p in (CHECKOUT / "zoo/cards").glob("*.yaml")} <= set(names)
    assert {f"zoo/checkpoints/{p.name}" for p in (CHECKOUT / "zoo/checkpoints").glob("*.safetensors")} <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"zoo"}
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as file:
        inside = {name.partition("/")[2] for name in file.getnames()}
    assert {"registry.yaml", "setup.py", "cli/__init__.py", "zoo/registry/index.py", "zoo/cards/dcgan.yaml"} <= inside


@pytest.mark.parametrize("kind", ["wheel", "sdist", "editable"])
def test_installed(kind: str, built: Path, source: Path, tmp_path: Path) -> None:
    bin_folder = environment(tmp_path / "venv")
    target: list[object] = {
        "wheel": [*built.glob("*.whl")],
        "sdist": [*built.glob("*.tar.gz")],
        "editable": ["--editable", source],
    }[kind]
    install(bin_folder, *target)
    use(bin_folder, tmp_path / "far")


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with the zoo's wheel."""
    bin_folder = environment(tmp_path_factory.mktemp("installed") / "venv")
    install(bin_folder, *built.glob("*.whl"))
    return bin_folder


def test_what_autoencoders_are_for(installed: Path, tmp_path: Path) -> None:
    """Noise, holes, anomalies, search, compression: all commands in one process, far from the checkout."""
    mask = Image.new("L", (128, 128))
    mask.paste(255, (40, 40, 80, 80))
    mask.save(tmp_path / "mask.png")
    said = run(installed / "python", "-c", AUTOENCODERS, CHECKOUT / "examples", cwd=tmp_path)
    assert "daisy-10437929963.jpg" in said
    for name in ("clean.png", "clean.wav", "filled.png", "maps", "flowers.index", "flowers.zooc", "again"):
        assert (tmp_path / name).exists(), name
    assert len(list((tmp_path / "again").glob("*.png"))) == 8


AUTOENCODERS = """
import sys
from pathlib import Path

from click.testing import CliRunner

import zoo
from zoo.cli import main

examples = Path(sys.argv[1])
assert examples.parent not in Path(zoo.__file__).parents
flowers = examples / "flowers"
for command in (
    ["reconstruct", "denoise-ae", examples / "noisy" / "tulips-3143110904-noise-25.png", "-o", "clean.png"],
    ["reconstruct", "audio-ae", examples / "speech" / "0_george_00-noise-5-170338-A.wav", "-o", "clean.wav"],
    ["reconstruct", "context-encoder", flowers / "roses-5050969148.jpg", "-c", "mask=mask.png", "-o", "filled.png"],
    ["anomaly", "anomaly-ae", examples / "surfaces", "-o", "maps/"],
    ["index", "conv-ae.flowers", flowers, "-o", "flowers.index"],
    ["search", "flowers.index", flowers / "daisy-10437929963.jpg", "-k", "2"],
    ["compress", "conv-ae.flowers", flowers, "-o", "flowers.zooc"],
    ["decompress", "flowers.zooc", "-o", "again/"],
):
    done = CliRunner().invoke(main, list(map(str, command)))
    assert done.exit_code == (3 if command[0] == "anomaly" else 0), (command, done.output, done.exception)
    print(done.output)
"""


def install(bin_folder: Path, *targets: object) -> None:
    pip = [sys.executable, "-m", "pip", "--python", bin_folder / "python", "install"]
    run(*pip, "--quiet", "--no-deps", "--no-build-isolation", *targets, cwd=bin_folder)


def test_what_zoo_new_writes(installed: Path, tmp_path: Path) -> None:
    """All kinds pass ruff and mypy as they come, train, and take the weights; one runs its own tests, installed."""
    from test_training import folder

    python, zoo = installed / "python", installed / "zoo"
    names = [f"my-{kind}" for kind in KINDS]
    for name, kind in zip(names, KINDS, strict=True):
        run(zoo, "new", name, "--kind", kind, cwd=tmp_path)
    install(installed, *(part for name in names for part in ("--editable", tmp_path / name)))
    ruff, mypy = (sys.executable, "-m", "ruff"), (sys.executable, "-m", "mypy")
    for name in names:
        run(*ruff, "check", "--select", SELECTED, "--ignore", "D107,D203,D213,D413", ".", cwd=tmp_path / name)
        run(*ruff, "format", "--check", ".", cwd=tmp_path / name)
    packages = [tmp_path / name / f"zoo_{name.replace('-', '_')}" for name in names]
    recipes = [name for name, package in zip(names, packages, strict=True) if (package / "recipe.py").exists()]
    assert len(recipes) == 6
    # With the settings and the cache of the checkout, in which torch has been read before.
    options = ["--config-file", CHECKOUT / "pyproject.toml", "--cache-dir", CHECKOUT / ".mypy_cache"]
    options += ["--python-executable", python]
    assert f"no issues found in {2 * len(names) + len(recipes)} source files" in run(
        *mypy, *options, *packages, cwd=tmp_path
    )
    rules = len(RULES)
    passed = run(
        python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", names[0], cwd=tmp_path
    )
    assert f"{rules} passed" in passed
    assert f"keeps {rules} rules" in run(zoo, "check", names[0], cwd=tmp_path)
    for kind in ("day", "night"):
        folder(tmp_path / "images" / kind, 8, 32)
    for side in ("before", "after"):
        folder(tmp_path / side, 8, 32)
    before = run(zoo, "info", *names[:1], cwd=tmp_path)
    run(python, "-c", TRAIN, *recipes, cwd=tmp_path)
    assert run(zoo, "info", *names[:1], cwd=tmp_path) != before
    run(zoo, "verify", *names, cwd=tmp_path)


TRAIN = """
import sys
from pathlib import Path

import zoo
from zoo.authoring.embed import embed
from zoo.training.objective import Objective


def start(objective, runtime, begin=Objective.start):
    objective.abridge()  # thousands of samples would be measured after two steps
    begin(objective, runtime)


Objective.start = start
for name in sys.argv[1:]:
    data = ["before", "after"] if name == "my-image-to-image" else "images"
    zoo.train(name, data, out=f"run-{name}", steps=2, batch_size=4, device="cpu")
    embed(name, Path(f"run-{name}"))
"""
SELECTED = "B,C4,D,E,F,I,N,PIE,PTH,RET,RUF,SIM,UP,W"


def test_the_tutorial(installed: Path, tmp_path: Path) -> None:
    """Every command and snippet of docs/plugins.md, in order, far from the checkout; its files are tests/plugin."""
    text = (CHECKOUT / "docs" / "plugins.md").read_text("utf-8")
    place, ran = tmp_path, 0
    for kind, title, content in re.findall(r"^```(\w+)(?: title=(\S+))?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if title:
            if "/" in title:
                assert content == (CHECKOUT / "tests" / "plugin" / title).read_text("utf-8"), title
            (place / title).write_text(content)
        elif kind == "python":
            (place / "notebook.py").write_text(content)
            run(installed / "python", "notebook.py", cwd=place)
        else:
            for line in content.splitlines():
                name, *rest = shlex.split(line)
                ran += 1
                if name == "cd":
                    place = place / rest[0]
                elif line.startswith("pip install"):
                    install(installed, *(part if part.startswith("-") else place for part in rest[1:]))
                elif name == "pip":
                    run(sys.executable, "-m", "pip", *rest, "--no-build-isolation", cwd=place)
                elif name == "pytest":
                    run(installed / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=place)
                elif name == "rm":
                    (place / rest[0]).unlink()
                else:
                    run(installed / name, *rest, cwd=place)
    assert ran >= 10
    ours, theirs = CHECKOUT / "tests" / "plugin", place
    for path in ("pyproject.toml", "tests/test_blobs.py", "zoo_blobs/__init__.py"):
        assert (ours / path).read_text() == (theirs / path).read_text(), path
    weights = "zoo_blobs/checkpoints/blobs.first.safetensors"
    assert (ours / weights).read_bytes() == (theirs / weights).read_bytes()
    assert list((theirs / "dist").glob("zoo_blobs-*.whl"))
    listed = run(installed / "zoo", "list", cwd=place)
    assert "blobs.first" in listed
    os.environ["ZOO_PLUGINS"] = "none"
    try:
        assert "blobs.first" not in run(installed / "zoo", "list", cwd=place)
    finally:
        del os.environ["ZOO_PLUGINS"]


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_a_plugin_beside_an_installed_zoo(kind: str, built: Path, tmp_path: Path) -> None:
    bin_folder = environment(tmp_path / "venv")
    plugin = tmp_path / "plugin"
    shutil.copytree(CHECKOUT / "tests" / "plugin", plugin)
    target = ["--editable", plugin] if kind == "editable" else [plugin]
    install(bin_folder, *built.glob("*.whl"))
    install(bin_folder, *target)
    listed = run(bin_folder / "zoo", "list", cwd=tmp_path)
    assert "blobs.first" in listed
    assert "zoo-blobs" in listed
    assert "blobs.first: keeps" in run(bin_folder / "zoo", "check", "blobs", cwd=tmp_path)
    run(bin_folder / "zoo", "generate", "blobs", "-n", 2, "-c", "color=blue", "-o", "blue.png", cwd=tmp_path)
    code = (
        "import zoo; a = zoo.load('blobs').generate(1, color='blue').numpy(); print(a[0, 0].max(), a[0, 2].max() > 0.5)"
    )
    assert run(bin_folder / "python", "-c", code, cwd=tmp_path) == "0.0 True\n"
