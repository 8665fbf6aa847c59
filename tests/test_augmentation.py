"""Whether generated images help a classifier: a study whose answer is known, and its parts."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from test_evaluation import untrained
from test_training import RANDOM

from zoo.data.source import Source
from zoo.errors import InputError
from zoo.metrics import augmentation
from zoo.metrics.protocols import BASELINES, protocol
from zoo.models.brain_gan import BrainGAN
from zoo.recipes import brain_gan
from zoo.registry.facts import Condition


def test_generated_images_help_a_classifier_that_has_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the study: the class is a place, which few noisy images do not show; samples show it, or are noise."""
    monkeypatch.setattr(augmentation, "DRAWS", 320)
    rng = torch.Generator().manual_seed(0)

    def shown(kinds: torch.Tensor) -> torch.Tensor:
        x = torch.randn(len(kinds), 1, 16, 16, generator=rng) * 0.5
        for one, (rows, columns) in enumerate(((slice(8), slice(8)), (slice(8), slice(8, 16)))):
            x[kinds == one, :, rows, columns] += 0.3
        return x.clamp(-1, 1)

    y = torch.arange(400) % 2
    train, test = (shown(y), y), (shown(y), y)
    options: dict[str, Any] = {"real": 4, "generated": 40, "seeds": 2, "split": "test"}
    rows = augmentation.augmentation_study(lambda kinds, seed: shown(kinds), train, test, **options)
    assert [(row.metric, row.settings["augmentation"]) for row in rows] == [
        (metric, how) for metric in ("sensitivity", "specificity") for how in ("generated", "generated and classical")
    ]
    helped = rows[0]
    assert helped.n == 160 and helped.value > helped.baselines["real_alone"] + 0.05
    assert helped.baselines["all_real"] > helped.baselines["real_alone"] + 0.05
    words = r"deviation over seeds [\d.]+ \(real alone [\d.]+, classical [\d.]+, all real [\d.]+\)"
    assert re.fullmatch(rf"more than real alone, by (less|more) than the deviation; {words}", helped.note)
    assert all(protocol(row.protocol) and set(row.baselines) <= BASELINES.keys() for row in rows)


def test_what_generated_images_add_in_words() -> None:
    assert augmentation.verdict(-0.01, 0.02, "real_alone") == "no more than real alone"
    assert augmentation.verdict(0.01, 0.02, "classical") == "more than classical, by less than the deviation"
    assert augmentation.verdict(0.03, 0.02, "classical") == "more than classical, by more than the deviation"


def test_sensitivity_and_specificity() -> None:
    labels, named = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2]), torch.tensor([0, 0, 0, 1, 1, 1, 2, 0])
    sensitivity, specificity = augmentation.sensitivity_and_specificity(named, labels)
    assert sensitivity == pytest.approx((3 / 4 + 1 + 1 / 2) / 3)
    assert specificity == pytest.approx((3 / 4 + 5 / 6 + 1) / 3)


def test_classical_views_are_for_learning_alone() -> None:
    torch.manual_seed(0)
    views = augmentation.ClassicalViews()
    x = torch.full((64, 1, 16, 16), -1.0)
    x[:, :, :, :4] = 0.0
    seen = views(x)
    left = (seen[:, 0, :, :8] > -0.9).float().mean((1, 2)) > 0.1
    assert 16 < left.sum() < 48, "half of them mirrored"
    assert len(seen.flatten(1).amax(1).unique()) > 50, "brighter or darker"
    assert seen.min() == -1, "black stays black"
    assert torch.equal(views.eval()(x), x)


def test_figures_of_slices_of_the_brain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "DRAWS", 64)
    study = partial(augmentation.augmentation_study, real=8, generated=16, seeds=2)
    monkeypatch.setattr(brain_gan, "augmentation_study", study)
    rng = np.random.default_rng(0)
    for split, name in itertools.product(("train", "test"), ("cat", "dog")):
        (tmp_path / split / name).mkdir(parents=True)
        for i in range(60):
            pixels = rng.integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / split / name / f"{i}.png")
    model = untrained(BrainGAN(2, 1, 4, (6, 4, 4)), 16, 1)
    assert model.entry
    model.entry = replace(model.entry, conditions=(Condition("kind", "choice", ("cat", "dog")),))
    rows = brain_gan.evaluate(model, Source([tmp_path]), [RANDOM])  # type: ignore[arg-type]
    names = [row.metric for row in rows]
    assert names[:4] == ["sensitivity"] * 2 + ["specificity"] * 2
    assert {"class-accuracy", "kid", "membership-auroc", "synthetic-accuracy"} <= {*names}
    (tmp_path / "train" / "cat").rename(tmp_path / "train" / "cow")
    (tmp_path / "test" / "cat").rename(tmp_path / "test" / "cow")
    with pytest.raises(InputError, match="makes images of cat, dog: give data with a folder for each"):
        brain_gan.evaluate(model, Source([tmp_path]), [RANDOM])  # type: ignore[arg-type]
