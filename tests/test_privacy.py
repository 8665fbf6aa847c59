"""Privacy: the figures of generators that remember and that do not, the command, and what cannot be measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from conftest import Registry
from PIL import Image
from torch import Tensor

import zoo
from zoo.data.source import Source
from zoo.errors import InputError, VerbError
from zoo.metrics.protocols import protocol
from zoo.model import Generator
from zoo.tasks.privacy import LEAST, compared, nearest, privacy, tanimoto

Command = Callable[..., Result]
GREY = {"output": {"kind": "image", "channels": 1, "size": [12, 12]}}
SIDES = {"side": {"choices": [0, 1]}}


def spots(places: Tensor, sides: Tensor) -> Tensor:
    """Images ``(N, 1, 12, 12)`` in [-1, 1] with a bright spot, at places ``(N, 2)`` of the left or the right half."""
    grid = torch.arange(12.0)
    y = (6 + 2 * places[:, :1] - grid).square()[:, :, None]
    x = (3 + 6 * sides[:, None] + places[:, 1:] - grid).square()[:, None, :]
    return 2 * torch.exp(-(y + x) / 4)[:, None] - 1


class Honest(Generator):
    """Toy: draws spots as the data have them."""

    def __init__(self) -> None:
        super().__init__()
        self.latent_shape = (3,)
        self.shift = torch.nn.Parameter(torch.zeros(1))

    def decode(self, z: Tensor, side: Tensor | None = None) -> Tensor:
        return spots(z[:, :2], (z[:, 2] > 0).float() if side is None else side.float()) + self.shift


class Parrot(Generator):
    """Toy: gives back what it was trained on."""

    def __init__(self, images: Tensor | None = None) -> None:
        super().__init__()
        self.latent_shape = (1,)
        self.images = torch.nn.Parameter(torch.zeros(400, 1, 12, 12) if images is None else images)

    def decode(self, z: Tensor) -> Tensor:
        return self.images[(torch.special.ndtr(z[:, 0].float()) * 400).long().clamp(max=399)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """400 training and 300 test images of spots, with their sides as classes."""
    rng = torch.Generator().manual_seed(0)
    arrays = {}
    for split, n in (("train", 400), ("test", 300)):
        sides = torch.arange(n) % 2
        x = spots(torch.randn(n, 2, generator=rng), sides.float())
        arrays |= {f"x_{split}": ((x[:, 0] + 1) * 127.5).byte().numpy(), f"y_{split}": sides.numpy()}
    np.savez(tmp_path / "spots.npz", **arrays)
    return tmp_path / "spots.npz"


def add_parrot(toys: Registry, data: Path) -> None:
    images = torch.from_numpy(np.load(data)["x_train"]).float()[:, None] / 127.5 - 1
    toys.add("parrot", Parrot(images), verbs=["generate"], checkpoint=GREY)


def test_a_generator_of_its_own_images_gives_nothing_away(toys: Registry, data: Path) -> None:
    toys.add("honest", Honest(), verbs=["generate"], conditions=SIDES, checkpoint=GREY)
    before = torch.random.get_rng_state()
    result = privacy(zoo.load("honest"), data, n=600)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (result.samples, result.images) == (600, 300)
    assert 0.9 < result.distance_ratio < 1.1
    assert abs(result.membership_auroc - 0.5) < result.chance
    assert not result.remembers
    assert result.accuracy is not None
    assert result.utility is not None
    assert result.accuracy > 0.95
    assert 0.95 < result.utility < 1.05
    assert not result.without
    assert privacy(zoo.load("honest"), data, n=100, seed=10**30).samples == 100
    again = privacy(zoo.load("honest"), [data], n=600)
    assert (again.distance_ratio, again.membership_auroc) == (result.distance_ratio, result.membership_auroc)


def test_a_generator_of_what_it_was_trained_on_gives_all_away(toys: Registry, data: Path) -> None:
    add_parrot(toys, data)
    result = privacy(zoo.load("parrot"), data, n=600)
    assert result.distance_ratio < 0.3  # 300 of 400 images are compared
    assert result.membership_auroc > 0.8
    assert result.remembers
    assert result.accuracy is result.utility is None
    assert result.without == "the model takes no class"
    difference = np.abs(result.shown.numpy() - result.nearest.numpy())
    assert difference.max() < 1 / 255


def test_either_figure_is_enough_to_be_warned(toys: Registry, data: Path) -> None:
    toys.add("honest", Honest(), verbs=["generate"], checkpoint=GREY)
    fair = replace(privacy(zoo.load("honest"), data, n=100), distance_ratio=1.0, membership_auroc=0.5, images=10_000)
    assert not fair.remembers
    assert replace(fair, distance_ratio=0.94).remembers
    assert replace(fair, membership_auroc=0.53).remembers
    assert not replace(fair, membership_auroc=0.53, images=300).remembers  # chance makes as much of so few


def test_classes_are_drawn_as_the_data_have_them(toys: Registry, data: Path) -> None:
    arrays = dict(np.load(data))
    left = arrays["y_train"] == 0
    np.savez(data, **arrays | {"x_train": arrays["x_train"][left], "y_train": arrays["y_train"][left]})
    toys.add("honest", Honest(), verbs=["generate"], conditions=SIDES, checkpoint=GREY)
    with pytest.warns(UserWarning, match="spots has the classes 0, and side of honest is one of 0, 1: if it was"):
        result = privacy(zoo.load("honest"), data, n=100)
    assert result.without == "the model's side is not what the classes of the data are"
    arrays["y_train"][40:] = 1
    np.savez(data, **arrays)
    result = privacy(zoo.load("honest"), data, n=400)
    bright = np.stack([image[0, :, :6].max() > image[0, :, 6:].max() for image in result.shown.arrays])
    assert bright.mean() < 0.3


def test_large_images_are_compared_at_32_px(toys: Registry) -> None:
    class Large(Honest):
        def decode(self, z: Tensor, side: Tensor | None = None) -> Tensor:
            return super().decode(z, side).repeat(1, 3, 4, 6)

    Large.__module__, Large.__qualname__ = __name__, "Large"
    globals()["Large"] = Large
    toys.add(
        "large",
        Large(),
        verbs=["generate"],
        checkpoint={"output": {"kind": "image", "channels": 3, "size": [48, 72]}},
    )
    images = Large().decode(torch.randn(LEAST, 3, generator=torch.Generator().manual_seed(0)))
    pixels = ((images + 1) * 127.5).byte().permute(0, 2, 3, 1).numpy()
    from zoo.data.source import ImageSet

    one = ImageSet(torch.from_numpy(pixels).permute(0, 3, 1, 2), None, (), [])
    result = compared(zoo.load("large"), one, one, n=LEAST)
    assert result.distance_ratio == pytest.approx(1, abs=1e-6)
    sheet = zoo.Images.of(result.sheet())
    assert sheet.arrays[0].shape == (3, 48, 72)
    assert len(sheet) == 64


def test_the_nearest_is_found() -> None:
    a = torch.rand(7, 1, 4, 4)
    distances, rows = nearest(a[[3, 5]] + 0.001, a)
    assert rows.tolist() == [3, 5]
    assert distances == pytest.approx([0.004, 0.004], abs=1e-3)
    bits = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 1]], dtype=torch.uint8)
    assert tanimoto(bits, bits).tolist() == [[0, 0.75], [0.75, 0]]


def test_rows_of_a_card_have_protocols(toys: Registry, data: Path) -> None:
    toys.add("honest", Honest(), verbs=["generate"], conditions=SIDES, checkpoint=GREY)
    rows = privacy(zoo.load("honest"), data, n=100).rows(split="test", seed=0)
    assert [row.metric for row in rows] == ["synthetic-accuracy", "nearest-distance-ratio", "membership-auroc"]
    assert all(protocol(row.protocol) and row.split == "test" and row.n == 100 for row in rows)
    assert rows[0].baselines.keys() == {"real"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_test": None, "y_test": None}, "spots has nothing that was not trained on: give data with the splits"),
        ({"x_test": 20, "y_test": 20}, "holds 20 images and at least 100 are needed: add images"),
        ({"x_train": 99, "y_train": 99}, "holds 99 images and at least 100 are needed: add images"),
    ],
)
def test_data_that_say_too_little(toys: Registry, data: Path, change: dict[str, Any], message: str) -> None:
    arrays = dict(np.load(data))
    for key, n in change.items():
        arrays[key] = arrays[key][: n or 0]
    np.savez(data, **{key: x for key, x in arrays.items() if len(x)})
    toys.add("honest", Honest(), verbs=["generate"], checkpoint=GREY)
    with pytest.raises(InputError, match=message):
        privacy(zoo.load("honest"), data, n=100)


def test_data_without_classes_leave_one_figure_out(toys: Registry, data: Path) -> None:
    arrays = np.load(data)
    np.savez(data, x_train=arrays["x_train"], x_test=arrays["x_test"])
    toys.add("honest", Honest(), verbs=["generate"], conditions=SIDES, checkpoint=GREY)
    assert privacy(zoo.load("honest"), data, n=100).without == "the data have no classes"


def test_other_classes_are_said_before_images_are_read(toys: Registry, data: Path) -> None:
    toys.add("honest", Honest(), verbs=["generate"], conditions={"side": {"choices": ["up", "down"]}}, checkpoint=GREY)
    before: list[str] = []
    source = Source([data], warn=lambda text: before.append(source.fingerprint))
    fresh = source.fingerprint
    privacy(zoo.load("honest"), source, n=100)
    assert before == [fresh]


def test_what_cannot_be_measured(toys: Registry, data: Path) -> None:
    toys.add("honest", Honest(), verbs=["generate"], checkpoint=GREY)
    honest = zoo.load("honest")
    with pytest.raises(VerbError, match="only reconstructs and has no samples to compare: name one that generates"):
        privacy(zoo.load("doubler"), data)
    with pytest.raises(InputError, match="without strength, which the data do not have"):
        privacy(zoo.load("dots"), data, n=100)
    for wrong in (0, 99, 1.5, True):
        with pytest.raises(InputError, match="n must be a whole number from 100"):
            privacy(honest, data, n=wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="There is no data"):
        privacy(honest, [])
    assert honest.entry
    honest.entry = replace(honest.entry, output=replace(honest.entry.output, kind="audio"))
    with pytest.raises(InputError, match="makes audio: only images and molecules can be compared so"):
        privacy(honest, data)
    honest.entry = replace(honest.entry, output=replace(honest.entry.output, kind="image", size=None))
    with pytest.raises(InputError, match="does not say in its registry which size"):
        privacy(honest, data)


def test_the_command_says_it_in_words(toys: Registry, data: Path, tmp_path: Path, zoo_command: Command) -> None:
    toys.add("honest", Honest(), verbs=["generate"], conditions=SIDES, checkpoint=GREY)
    done = zoo_command("privacy", "honest", "--data", data, "-n", 400, "-o", tmp_path / "near.png")
    assert done.exit_code == 0, done.stderr
    assert (
        "400 samples of honest beside 300 images of spots that it was trained on, and 300 that it was not"
        in done.stdout
    )
    assert "A classifier that learnt from samples alone is right on" in done.stdout
    assert "Nothing here says that honest remembers the images that it was trained on." in done.stdout
    with Image.open(tmp_path / "near.png") as image:
        assert image.size == (8 * 12 + 7 * 2, 8 * 12 + 7 * 2)
        samples, copies = (np.asarray(image, float)[top : top + 12] for top in (0, 14))
    assert 0 < np.abs(samples - copies).mean() < 30
    add_parrot(toys, data)
    done = zoo_command("privacy", "parrot", "--data", data, "-n", 400)
    assert done.exit_code == 3
    assert "Use in place of the data: not measured\n  The model takes no class." in done.stdout
    assert "Warning: parrot remembers images that it was trained on." in done.stderr
    done = zoo_command("privacy", "parrot", "--data", data, "-n", 400, "--json")
    facts = json.loads(done.stdout)
    assert done.exit_code == 3
    assert facts["remembers"] is True
    assert facts["utility"] is None
    assert facts["images"] == 300


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["honest"], "Missing option '--data'"),
        (
            ["honest", "--data", "{data}", "-n", "5"],
            "n must be a whole number from 100, not 5: fewer samples say nothing",
        ),
        (["honest", "--data", "nowhere.npz"], "nowhere.npz"),
        (["honest", "--data", "{data}", "-o", "folder/"], "folder/ is no file: name one image, such as nearest.png"),
        (
            ["honest", "--data", "{data.parent}/images", "-o", "{data.parent}/images/train/0.png"],
            "train/0.png is an input and would be overwritten",
        ),
        (["honest", "--data", "{data}", "--seed", "-1"], "seed must be a whole number from 0"),
        (["doubler", "--data", "{data}"], "doubler only reconstructs and has no samples to compare"),
    ],
)
def test_what_the_command_refuses(
    toys: Registry, data: Path, zoo_command: Command, options: list[str], message: str
) -> None:
    toys.add("honest", Honest(), verbs=["generate"], checkpoint=GREY)
    (data.parent / "images" / "train").mkdir(parents=True)
    (data.parent / "images" / "train" / "0.png").write_bytes(b"an image")
    done = zoo_command("privacy", *(option.format(data=data) for option in options))
    assert done.exit_code == 2
    assert message in done.stderr


def test_what_the_training_read_is_what_is_compared(toys: Registry, data: Path) -> None:
    toys.add("honest", Honest(), verbs=["generate"], checkpoint=GREY)
    source = Source([data])
    train, test = (source.images(12, 1, split) for split in ("train", "test"))
    ours = compared(zoo.load("honest"), train, test, n=100)
    assert ours.distance_ratio == privacy(zoo.load("honest"), data, n=100).distance_ratio
