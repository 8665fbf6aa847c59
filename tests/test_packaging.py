"""What a user installs: wheel, sdist and editable, each in an environment of its own, far from the checkout.

Heavy dependencies are borrowed from the environment that runs the tests, through a .pth file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

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
    run(bin_folder / "zoo", "generate", "dcgan", "-n", 4, "--seed", 7, "-o", "grid.png", cwd=far)
    assert (far / "grid.png").read_bytes()[1:4] == b"PNG"
    absent = "import importlib.util as u; assert u.find_spec('cli') is None; import zoo; print(zoo.__file__)"
    assert "zoo" in run(bin_folder / "python", "-c", absent, cwd=far)


def test_wheel_holds_what_is_needed_and_no_more(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"zoo/registry.yaml", "zoo/cli/__init__.py", "zoo/py.typed"} <= set(names)
    assert {f"zoo/checkpoints/{p.name}" for p in (CHECKOUT / "zoo/checkpoints").glob("*.safetensors")} <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"zoo"}
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as file:
        inside = {name.partition("/")[2] for name in file.getnames()}
    assert {"registry.yaml", "setup.py", "cli/__init__.py", "zoo/registry.py"} <= inside


@pytest.mark.parametrize("kind", ["wheel", "sdist", "editable"])
def test_installed(kind: str, built: Path, source: Path, tmp_path: Path) -> None:
    bin_folder = environment(tmp_path / "venv")
    target: list[object] = {
        "wheel": [*built.glob("*.whl")],
        "sdist": [*built.glob("*.tar.gz")],
        "editable": ["--editable", source],
    }[kind]
    python = ["--python", bin_folder / "python"]
    options = ["--quiet", "--no-deps", "--no-build-isolation"]
    run(sys.executable, "-m", "pip", *python, "install", *options, *target, cwd=tmp_path)
    use(bin_folder, tmp_path / "far")


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_a_plugin_beside_an_installed_zoo(kind: str, built: Path, tmp_path: Path) -> None:
    bin_folder = environment(tmp_path / "venv")
    plugin = tmp_path / "plugin"
    shutil.copytree(CHECKOUT / "tests" / "plugin", plugin)
    target = ["--editable", plugin] if kind == "editable" else [plugin]
    pip = [sys.executable, "-m", "pip", "--python", bin_folder / "python", "install", "--quiet", "--no-deps"]
    run(*pip, *built.glob("*.whl"), cwd=tmp_path)
    run(*pip, "--no-build-isolation", *target, cwd=tmp_path)
    listed = run(bin_folder / "zoo", "list", cwd=tmp_path)
    assert "blobs.small" in listed
    assert "zoo-blobs" in listed
    assert "blobs.small: keeps" in run(bin_folder / "zoo", "check", "blobs", cwd=tmp_path)
    run(bin_folder / "zoo", "generate", "blobs", "-n", 2, "-c", "color=blue", "-o", "blue.png", cwd=tmp_path)
    code = (
        "import zoo; a = zoo.load('blobs').generate(1, color='blue').numpy(); print(a[0, 0].max(), a[0, 2].max() > 0.5)"
    )
    assert run(bin_folder / "python", "-c", code, cwd=tmp_path) == "0.0 True\n"
