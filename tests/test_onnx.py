"""ONNX Runtime: the same images as torch makes, without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

import zoo
from zoo.errors import InputError

pytest.importorskip("onnxruntime")
Command = Callable[..., Result]
PROGRAM = """
import sys
import zoo
model = zoo.load("cdcgan", runtime="onnx")
made = model.generate(5, seed=3, digit=[1, 2, 3, 4, 5])
print(made.numpy().sum(), "torch" in sys.modules)
"""


def test_generate_needs_no_torch_and_gives_the_same_images(tmp_path: Path) -> None:
    """The first time the file is written, with torch; from then on it is there."""
    environment = {**os.environ, "ZOO_CACHE": str(tmp_path)}
    lines = [
        subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, capture_output=True, text=True)
        for _ in range(2)
    ]
    (first, with_torch), (second, without) = (line.stdout.split() for line in lines)
    assert (with_torch, without) == ("True", "False")
    assert first == second
    wanted = zoo.load("cdcgan").generate(5, seed=3, digit=[1, 2, 3, 4, 5]).numpy()
    assert abs(float(first) - wanted.sum()) < 1e-2
    made = zoo.load("cdcgan", runtime="onnx").generate(5, seed=3, digit=[1, 2, 3, 4, 5], batch_size=2).numpy()
    assert np.abs(made - wanted).max() < 1e-4


def test_reconstruct_gives_the_same_images(tmp_path: Path, zoo_command: Command, photo: Path) -> None:
    """Of several sizes, whole and in tiles."""
    model, plain = zoo.load("srgan", runtime="onnx"), zoo.load("srgan")
    noise = np.random.default_rng(0).random((70, 19, 3)).astype(np.float32)
    for options in ({"tile": None}, {"tile": 16}):
        for x in (photo, noise):
            found, wanted = (m.reconstruct(x, **options).arrays[0] for m in (model, plain))  # type: ignore[arg-type]
            assert np.abs(found - wanted).max() < 1e-4
    assert model.receptive_radius == plain.receptive_radius
    made = zoo_command("reconstruct", "srgan", photo, "-o", tmp_path / "a.png", "--runtime", "onnx", "--json")
    assert made.exit_code == 0, made.stderr
    assert json.loads(made.stdout)["images"] == 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: zoo.load("dcgan", runtime="tensorrt"), "runtime cannot be 'tensorrt': choose torch or onnx"),
        (lambda: zoo.load("cdcgan", runtime="onnx").generate(1), "cdcgan needs the condition digit in ONNX Runtime"),
        (
            lambda: zoo.load("icgan", runtime="onnx").reconstruct(np.zeros((64, 64, 3))),
            "needs the condition skin in ONNX",
        ),
        (lambda: zoo.load("dcgan", runtime="onnx").generate(1, digit=1), "dcgan has no condition 'digit'"),
    ],
)
def test_what_is_wrong_is_said(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()


def test_options_that_onnx_runtime_does_not_know(zoo_command: Command, tmp_path: Path, photo: Path) -> None:
    made = zoo_command("generate", "dcgan", "--runtime", "onnx", "--precision", "fast", "-o", tmp_path / "a.png")
    assert made.exit_code == 2
    assert "leave out --device and --precision" in made.stderr
    refused = zoo_command("reconstruct", "dcgan", photo, "--runtime", "onnx", "-o", tmp_path / "a.png")
    assert "dcgan cannot reconstruct" in refused.stderr


def test_molecules_are_the_same_by_onnx() -> None:
    wanted = zoo.load("molgan").generate(20, seed=3)
    found = zoo.load("molgan", runtime="onnx").generate(20, seed=3, batch_size=7)
    assert (found.smiles, found.drawn) == (wanted.smiles, wanted.drawn)
