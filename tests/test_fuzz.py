"""The fuzzer in its short form, and that it can fail; ``python -m tests.fuzz`` is the long one."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.targets import FAULTS, TARGETS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the fuzzer's limits are those of Linux")


ROOT = Path(__file__).parents[1]


def run(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz", *map(str, args)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    result = run("--cases", 250, "--keep", tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count(" 0 wrong") == len(TARGETS)


def test_the_fuzzer_catches_what_a_case_may_not_do(tmp_path: Path) -> None:
    result = run(*FAULTS, "--cases", 1, "--seconds", 0.5, "--keep", tmp_path)
    assert result.returncode == 1, result.stderr
    said = {line.partition(":")[0]: line for line in result.stdout.replace("\n  1 x", " 1 x").splitlines()}
    for name, what in {
        "raw": "IndexError",
        "hang": "took more than 0.5 s",
        "blocked": "hung without end",
        "crash": "SIGSEGV",
        "memory": "MiB of memory",
        "write": "wrote outside",
        "delete": "os.remove",
        "look": "opened what is outside",
        "import": "imported antigravity",
        "command": "os.system",
        "program": "subprocess.Popen",
        "code": "ran code",
    }.items():
        assert what in said[f"fault-{name}"]
    assert len(FAULTS) == result.stdout.count("1 wrong")


DIGESTS = """
import hashlib
from tests.fuzz.__main__ import case_of
from tests.fuzz.targets import TARGETS

def digests(numbers):
    cases = {(target, n): sorted(case_of(target, 7, n).files.items()) for n in numbers for target in TARGETS}
    return {key: hashlib.sha256(repr(files).encode()).hexdigest() for key, files in sorted(cases.items())}
"""


def test_a_case_is_made_from_its_number_alone() -> None:
    def digests(order: str, hash_seed: str) -> str:
        script = DIGESTS + f"print(digests({order}))"
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert not done.returncode, done.stderr
        return done.stdout

    found = digests("range(20)", "1")
    assert found == digests("reversed(range(20))", "7")
    values = list(ast.literal_eval(found).values())
    assert len(set(values)) > 0.8 * len(values)
