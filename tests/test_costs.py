"""Fixed costs: what a start imports, and what the package weighs. Counted, not timed: `make bench` has the seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent.parent
HEAVY = {"torch", "numpy", "PIL", "tqdm", "huggingface_hub", "safetensors"}
# Of Python itself, what takes milliseconds and is not needed to list.
SLOW = {
    "concurrent.futures",
    "logging",
    "tempfile",
    "hashlib",
    "secrets",
    "subprocess",
    "importlib.metadata",
    "asyncio",
}
WHEEL = 95_000_000  # bytes
EACH = 4_000_000  # bytes of new weights
LARGER = {  # weights that were embedded before there was a limit
    "conv-ae.flowers",
    "dcgan.flowers",
    "pix2pix.emoji",
    "pix2pix.facades",
}


def imported(code: str) -> set[str]:
    """The modules that are there after some code in a new interpreter."""
    command = (
        f"import json, sys\ntry:\n    {code}\nfinally:\n    print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False, cwd=HERE)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    ["import zoo", "from zoo.cli import main; main(['list'])", "from zoo.cli import main; main(['info', 'dcgan'])"],
)
def test_a_start_imports_little(code: str) -> None:
    found = imported(code)
    assert not found & HEAVY
    if "info" not in code:
        assert not found & SLOW


def test_listing_imports_few_modules() -> None:
    least = imported("import click, yaml, json")
    ours = imported("from zoo.cli import main; main(['list'])")
    rooms = {name for name in ours if name.partition(".")[0] == "zoo"}
    assert not {name for name in rooms if name.startswith("zoo.cli.")} - {
        *("zoo.cli.catalog", "zoo.cli.console", "zoo.cli.names")
    }
    assert len(rooms) <= 30, sorted(rooms)
    others = {name for name in ours - least - rooms if not name.startswith("__editable__")}
    assert len(others) <= 12, sorted(others)


def test_weights_are_small() -> None:
    files = list((HERE / "zoo" / "checkpoints").glob("*.safetensors"))
    assert files
    assert sum(path.stat().st_size for path in files) < WHEEL
    for path in files:
        assert path.stat().st_size < EACH or path.stem in LARGER, f"{path.name}: new weights have less than 4 MB"
    assert {path.stem for path in files} >= LARGER, "weights that are gone need no exception"
