"""Monitors see what goes wrong, in words, and are silent where nothing does."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_training import RANDOM, run

from zoo.data.source import Source
from zoo.recipes import dcgan
from zoo.training.monitors import check

HEALTHY = {"loss_d": 1.0, "loss_g": 0.5, "metric": 0.1, "diversity": 0.9, "d_real": 0.8, "d_fake": 0.7}


def log(*changes: dict[str, float], every: int = 100) -> list[dict[str, float]]:
    return [{**HEALTHY, **change, "step": float(every * (i + 1))} for i, change in enumerate(changes)]


def seen(*changes: dict[str, float], steps: int = 1000) -> list[str]:
    return [alarm.text for alarm in check(log(*changes), steps) if alarm.new]


def test_a_healthy_run_raises_no_alarm() -> None:
    """Distances that fall, D near one half, losses that wander, diversity that overshoots and comes back."""
    lines = [{"metric": 0.5 / i, "loss_g": 0.1 * i, "diversity": 1.6 - 0.06 * i} for i in range(1, 11)]
    for n in range(1, 11):
        assert not seen(*lines[:n])
    assert not check([], 1000)


def test_mode_collapse() -> None:
    (alarm,) = check(log({}, {"diversity": 1.0}, {"diversity": 0.6}), 1000)
    assert alarm.text == "samples have become 40% less varied than at step 200: mode collapse."
    assert alarm.collapse
    assert not alarm.fatal
    assert alarm.step == 300
    assert seen({"diversity": 0.1}) == ["samples are only 10% as varied as the data: mode collapse."]


def test_nothing_is_said_twice_in_a_row_but_again_after_a_pause() -> None:
    low, high = {"diversity": 0.3}, {"diversity": 0.9}
    assert seen(high, low)
    assert not seen(high, low, low)
    assert seen(high, low, high, low)


def test_the_first_tenth_of_a_run_is_not_looked_at() -> None:
    assert not seen({"diversity": 0.01}, steps=1001)
    assert not seen({"metric": 0.01}, {"metric": 0.1}, steps=1001)


def test_a_run_that_is_resumed_after_its_end_ends_again() -> None:
    alarms = check(log({}, {"loss_d": math.nan}, {"loss_d": math.nan}), 1000)
    assert [(alarm.fatal, alarm.new) for alarm in alarms] == [(True, False)]


def test_a_saturated_discriminator() -> None:
    right = {"d_real": 0.995, "d_fake": 1.0}
    assert not seen({}, right, right)
    (text,) = seen({}, right, right, right)
    assert text.startswith("D has told more than 99% of real and fake samples apart since step 200: D is saturated")
    assert not seen(right, right, {**right, "d_fake": 0.9})


def test_a_run_that_gets_worse() -> None:
    (text,) = seen({"metric": 0.02}, {"metric": 0.031})
    assert text.startswith("the distance to the data is 1.6 times that of step 100, whose weights are kept")
    assert not seen({"metric": 0.02}, {"metric": 0.029})


def test_losses_that_explode() -> None:
    assert "loss_g is 200 times what it usually was" in seen({}, {}, {}, {"loss_g": -100.0})[0]
    assert not seen({}, {}, {}, {"loss_g": -10.0})
    assert "loss_d is 500 times what is usual" in seen({"loss_d": 500.0})[0]
    assert not seen({"loss_d": 50.0})


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("key", ["loss_d", "metric"])
def test_numbers_that_are_none(key: str, value: float) -> None:
    (alarm,) = check(log({key: value}), 100_000)
    assert alarm.fatal
    assert alarm.text.startswith(f"{key} is no finite number any more")


def test_a_run_made_to_collapse_is_flagged_and_stopped(tmp_path: Path) -> None:
    """No spectral norm, high rates: the alarm comes before the distance has doubled; as in the recipe, none."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:16, 0:16] / 16
    spots = [np.exp(-20 * ((x - a) ** 2 + (y - b) ** 2))[..., None] for a, b in rng.random((256, 2))]
    images = np.stack([spot * rng.uniform(60, 250, 3) for spot in spots]).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x=images)
    data = Source([tmp_path / "data.npz"])

    def trained(name: str, **settings: Any) -> Any:
        objective = dcgan.fashion_mnist(
            data, RANDOM, size=16, channels=3, width=16, d_width=16, batch_size=32, steps=200, **settings
        )
        objective.n_samples = objective.batchnorm_samples = 250
        made = run(objective, tmp_path / name)
        made.train(stop_on_collapse=name == "stopped")
        return made

    healthy = trained("healthy", augment="flip,color,translation")
    assert not healthy.alarms
    stopped = trained("stopped", spectral_norm=False, lr=5e-3)
    assert any(alarm.collapse for alarm in stopped.alarms)
    assert stopped.step < 200
    best = math.inf
    for line in stopped.log[:-1]:
        best = min(best, line["metric"])
        assert line["step"] < 20 or line["metric"] <= 2 * best
    assert (tmp_path / "stopped" / "model.safetensors").exists()
