"""Memory: batches are as large as it allows, what has no room is refused before, and results are numbers."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Registry

import zoo
from zoo.backends.peak import peak
from zoo.errors import InputError, ZooError
from zoo.model import Model

MB = 1_000_000


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many went through a network at once, each time."""
    seen: list[int] = []
    original = Model._run

    def watched(self: Model, call: str, x: np.ndarray, conditions: Any) -> np.ndarray:
        seen.append(len(x))
        return original(self, call, x, conditions)

    monkeypatch.setattr(Model, "_run", watched)
    return seen


def test_the_peak_is_what_lives_at_once() -> None:
    with torch.device("meta"):
        network = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 1), torch.nn.Conv2d(8, 4, 1), torch.nn.Conv2d(4, 1, 1))
    assert peak(network, (1, 1, 100, 100), {}) in range(4 * 12 * 100 * 100, 4 * 14 * 100 * 100)


@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN])
def test_the_peak_of_recurrent_layers_is_known_without_their_time_steps(kind: Any) -> None:
    with torch.device("meta"):
        layer = kind(8, 16, 2, batch_first=True, bidirectional=True)
    begin = time.process_time()
    most = peak(lambda x: layer(x)[0], (1, 1_000_000, 8), {})
    assert time.process_time() - begin < 2
    assert most > 4 * 1_000_000 * (8 + 32)


@pytest.mark.parametrize(("free", "expected"), [(1 << 60, [6]), (400 * MB, [1] * 6), (900 * MB, [2, 2, 2])])
def test_batches_are_bounded_by_memory(
    free: int, expected: list[int], sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = zoo.load("srgan")
    monkeypatch.setattr("zoo.model.free_memory", lambda: free)
    x = np.zeros((6, 96, 96, 3), np.uint8)
    assert len(model.reconstruct(x)) == 6
    assert sizes == expected


def test_tiles_are_made_where_memory_is_short(sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo.load("srgan")
    x = np.random.default_rng(0).integers(0, 256, (200, 240, 3), np.uint8)
    whole = model.reconstruct(x).numpy()
    assert sizes == [1]
    monkeypatch.setattr("zoo.model.free_memory", lambda: 1500 * MB)
    monkeypatch.setattr("zoo.media.image_processor.ImageProcessor.part", 64)
    assert np.abs(model.reconstruct(x).numpy() - whole).max() < 1e-5
    assert len(sizes) > 4


def test_samples_are_bounded_by_memory(sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo.load("dcgan")
    every = model.generate(10, seed=1).numpy()
    monkeypatch.setattr("zoo.model.free_memory", lambda: 5 * MB)
    assert np.allclose(model.generate(10, seed=1).numpy(), every, atol=1e-6)
    assert sizes[0] == 10
    assert 1 < max(sizes[1:]) < 10


def test_what_has_no_room_is_refused_before_it_is_tried(sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo.load("cyclegan")
    monkeypatch.setattr("zoo.model.free_memory", lambda: 20 * MB)
    with pytest.raises(InputError, match=r"cyclegan needs about 0.\d GB of memory for 0000 and 0.0 GB are free: make"):
        model.reconstruct(np.zeros((256, 256, 3), np.uint8))
    assert not sizes


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes."),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_too_little_memory_is_said(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise error

    monkeypatch.setattr(Model, "_run", full)
    with pytest.raises(InputError, match="conv-ae has too little memory for 0000 and 1 more: give fewer at once"):
        zoo.load("conv-ae").reconstruct(np.zeros((2, 8, 8, 3), np.uint8))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_results_that_are_no_numbers_are_refused(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Model._run

    def broken(self: Model, call: str, x: np.ndarray, conditions: Any) -> np.ndarray:
        y = original(self, call, x, conditions).copy()
        y[-1, 0, 0, 0] = value
        return y

    monkeypatch.setattr(Model, "_run", broken)
    with pytest.raises(ZooError, match="dcgan makes NaN or infinite values of sample 7 of seed 3: its weights are"):
        zoo.load("dcgan").generate(4, seed=3, first=4)
    x = np.zeros((2, 24, 24, 3), np.uint8)
    for options in ({}, {"tile": 16}):
        with pytest.raises(ZooError, match="srgan makes NaN or infinite values of 000"):
            zoo.load("srgan").reconstruct(x, **options)


def test_narrow_numbers_that_overflow_are_refused(toys: Registry) -> None:
    model = zoo.load("doubler", dtype=torch.float16)
    model.gain.data.fill_(60000)
    with pytest.raises(ZooError, match=r"dtype=torch\.float32"):
        with torch.inference_mode():
            model.gain.mul_(60000)
        model.reconstruct(np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize("first", [-1, 1.5, True, "2"])
def test_first_is_a_whole_number(first: Any) -> None:
    with pytest.raises(InputError, match="first must be a whole number from 0"):
        zoo.load("dcgan").generate(1, first=first)


def test_numbers_of_numpy_are_numbers() -> None:
    one = zoo.load("dcgan").generate(np.int64(3), seed=np.int32(1), first=np.uint8(2), batch_size=np.int16(2))
    assert np.allclose(one.numpy(), zoo.load("dcgan").generate(3, seed=1, first=2).numpy(), atol=1e-6)
    x = np.zeros((40, 40, 3), np.uint8)
    assert len(zoo.load("srgan").reconstruct(x, tile=np.int64(20), overlap=np.int64(4), batch_size=np.int64(1))) == 1
