"""Anomalies: maps and scores, the task over any model, the command, drawn defects, a recipe on images of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from conftest import Registry
from PIL import Image
from torch import Tensor

import zoo
from zoo.data.crops import CropBatches
from zoo.data.defects import draw_defects
from zoo.errors import InputError, VerbError
from zoo.metrics.detection import auroc, pca_patches
from zoo.model import Model
from zoo.models.anomaly_ae import AnomalyAE
from zoo.tasks import tasks_of
from zoo.tasks.anomaly import dissimilarity, overlay, peak, score, threshold_from, threshold_of

Command = Callable[..., Result]
GREY = {"kind": "image", "channels": 1}


class Smoother(Model):
    """Toy: takes small spots out of grey images of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        smooth = torch.nn.functional.avg_pool2d(x, 9, 1, 4, count_include_pad=False)
        return torch.where((x - smooth).abs() > 0.3, smooth, x) + self.shift


def tile(seed: int, spot: bool, size: tuple[int, int] = (40, 56)) -> Image.Image:
    """A grey image with faint stripes, and a dark spot if asked for."""
    rng = np.random.default_rng(seed)
    image = 0.5 + 0.05 * np.sin(np.arange(size[1]) / 2)[None] + rng.normal(0, 0.01, size)
    if spot:
        image[20:25, 30:35] = 0
    return Image.fromarray((image * 255).astype(np.uint8))


@pytest.fixture
def smoother(toys: Registry) -> str:
    add(toys)
    return "smoother"


def add(toys: Registry, **facts: object) -> None:
    toys.add("smoother", Smoother(), verbs=["reconstruct"], checkpoint={"input": GREY, "output": GREY, **facts})


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    """Three tiles, of which ``b`` has a spot; sizes differ."""
    folder = tmp_path / "tiles"
    folder.mkdir()
    for number, name in enumerate("abc"):
        tile(number, name == "b", (40 + number, 56)).save(folder / f"{name}.png")
    return folder


def test_dissimilarity_is_zero_for_the_same_and_one_for_the_opposite() -> None:
    x = torch.rand(2, 1, 40, 40)
    assert float(dissimilarity(x, x).abs().max()) < 1e-5
    assert float(dissimilarity(x, 1 - x).mean()) > 0.9
    y = x.clone()
    y[:, :, 10:20, 10:20] = 0.5
    maps = dissimilarity(x, y)
    assert maps.shape == (2, 1, 40, 40)
    assert float(maps[:, :, 12:18, 12:18].mean()) > 10 * float(maps[:, :, 35:, 35:].mean())
    assert torch.equal(peak(maps) > 0.1, torch.tensor([True, True]))


def test_dissimilarity_takes_one_pixel() -> None:
    assert dissimilarity(torch.rand(1, 3, 1, 1), torch.rand(1, 3, 1, 1)).shape == (1, 1, 1, 1)


def test_scores_tell_what_has_a_spot(smoother: str, tiles: Path) -> None:
    scores, maps, threshold = score(zoo.load(smoother), tiles)
    assert threshold is None
    assert scores.argmax() == 1
    assert scores[1] > 2 * max(scores[0], scores[2])
    assert maps.names == ["a", "b", "c"]
    assert [m.shape for m in maps.arrays] == [(1, 40, 56), (1, 41, 56), (1, 42, 56)]
    y, x = np.unravel_index(maps.arrays[1][0].argmax(), (41, 56))
    assert 14 <= y <= 30
    assert 24 <= x <= 41
    shown = overlay(zoo.load(smoother).prepare(tiles), maps)
    assert [array.shape[0] for array in shown.arrays] == [3, 3, 3]


class Mapped(Smoother):
    """Toy: has a map of its own, the brightness."""

    receptive_radius = 4

    def anomaly_map(self, x: Tensor) -> Tensor:
        return (x + 1) / 2


def test_a_map_of_the_models_own_comes_first(toys: Registry, tiles: Path) -> None:
    toys.add("mapped", Mapped(), verbs=["reconstruct"], checkpoint={"input": GREY, "output": GREY})
    model, images = zoo.load("mapped"), zoo.Images.of(tiles)
    scores, maps, _ = score(model, images)
    for image, heat in zip(images.arrays, maps.arrays, strict=True):
        assert np.abs(image - heat).max() < 1e-6
    assert scores.max() < 0.6
    large = np.random.default_rng(0).random((700, 600)).astype(np.float32)  # goes through in tiles
    assert np.abs(score(model, large).maps.arrays[0][0] - large).max() < 1e-6
    clear = Image.new("RGBA", (32, 32), (255, 255, 255, 0))
    assert score(model, clear).scores[0] > 0.99


def test_a_threshold_comes_of_normal_images(smoother: str, tiles: Path) -> None:
    model, normal = zoo.load(smoother), [tile(seed, False) for seed in range(10, 22)]
    result = score(model, tiles, normal=normal)
    assert result.threshold == threshold_from(model, normal)
    with pytest.raises(InputError, match="mouth has a value for each image, and normal images have none: give one"):
        threshold_from(model, normal, mouth=["smile"] * 12)
    assert result.anomalous is not None
    assert result.anomalous.tolist() == [False, True, False]
    assert score(model, tiles, threshold=1.0).anomalous.tolist() == [False] * 3
    assert score(model, tiles).anomalous is None


def test_the_threshold_of_a_checkpoint_is_the_default(toys: Registry, tiles: Path) -> None:
    add(toys, tasks={"anomaly": {"threshold": 0.3}})
    assert score(zoo.load("smoother"), tiles).threshold == 0.3
    wrong = zoo.load("smoother")
    assert wrong.entry
    wrong.entry = replace(wrong.entry, tasks={"anomaly": {"threshold": 3}})
    with pytest.raises(InputError, match="threshold must be a number from 0 to 1, not 3"):
        score(wrong, tiles)


def test_what_cannot_be_scored(smoother: str, tiles: Path) -> None:
    model = zoo.load(smoother)
    for wrong in (float("nan"), -0.1, 2, True, "0.5"):
        with pytest.raises(InputError, match="threshold must be a number from 0 to 1"):
            score(model, tiles, threshold=wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="one of the two"):
        score(model, tiles, threshold=0.5, normal=tiles)
    with pytest.raises(InputError, match="needs 10 normal images or more, not 3: add some"):
        score(model, tiles, normal=tiles)
    with pytest.raises(InputError, match="no images to score"):
        score(model, [])
    with pytest.raises(InputError, match="10 normal images"):
        threshold_of([0.1])
    with pytest.raises(VerbError, match="in their own size and channels"):
        score(zoo.load("doubler"), tiles)
    with pytest.raises(VerbError, match="in their own size"):
        score(zoo.load("dcgan"), tiles)
    assert "anomaly" not in [task.name for task in tasks_of(zoo.info("context-encoder"))]
    with pytest.raises(VerbError, match="context-encoder needs the condition mask with each image, so what it"):
        score(zoo.load("context-encoder"), tiles)


def test_the_command_says_and_shows(smoother: str, tiles: Path, tmp_path: Path, zoo_command: Command) -> None:
    done = zoo_command("anomaly", smoother, tiles, "-o", tmp_path / "maps", "--threshold", "0.1")
    assert done.exit_code == 3, done.stderr
    assert "anomalous" in done.stdout
    assert "1 of 3 is above the threshold, 0.1." in done.stderr
    assert {path.name for path in (tmp_path / "maps").glob("*.png")} == {"a.png", "b.png", "c.png"}
    with Image.open(tmp_path / "maps" / "b.png") as image:
        assert image.mode == "RGB"
    done = zoo_command("anomaly", smoother, tiles / "b.png", "--json", "--plain", "-o", tmp_path / "b.png")
    facts = json.loads(done.stdout)
    assert done.exit_code == 0
    assert facts["threshold"] is None
    assert facts["results"][0]["anomalous"] is None
    with Image.open(tmp_path / "b.png") as image:
        assert image.mode == "L"
    done = zoo_command("anomaly", smoother, tiles)
    assert "There is no threshold: give --threshold, or --normal" in done.stderr
    normal = tmp_path / "good"
    normal.mkdir()
    for seed in range(10):
        tile(20 + seed, False).save(normal / f"{seed}.png")
    done = zoo_command("anomaly", smoother, tiles / "a.png", "--normal", normal)
    assert done.exit_code == 0, done.stderr
    assert "0 of 1 are above the threshold" in done.stderr
    (normal / "list.txt").write_text("no image")
    done = zoo_command("anomaly", smoother, tiles / "a.png", "--normal", normal)
    assert "Note: left out 1 file: list.txt (not an image)\n" in done.stderr
    (tiles / "notes.txt").write_text("no image")
    assert "Note: left out 1 file: notes.txt (not an image)\n" in zoo_command("anomaly", smoother, tiles).stderr


def test_one_bad_file_costs_no_other(smoother: str, tiles: Path, zoo_command: Command) -> None:
    (tiles / "d.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = zoo_command("anomaly", smoother, tiles, "--json")
    assert done.exit_code == 1
    facts = json.loads(done.stdout)
    assert len(facts["results"]) == 3
    assert "d.png" in facts["failed"][0]
    assert "1 of 4 inputs failed, the rest is scored" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--threshold", "nan"], "threshold must be a number from 0 to 1, not nan"),
        (["--threshold", "0.5", "--normal", "{tiles}"], "one of the two"),
        (["--normal", "{empty}"], "holds no images"),
        (["--normal", "nodir"], "--normal: nodir does not exist: name a folder of normal images."),
        (["--normal", "{tiles}"], "needs 10 normal images or more, not 3"),
        (["-o", "-"], "name a folder or a file for the maps"),
        (["-o", "one.png"], "takes one map, and these are 3 inputs: give a folder"),
        (["-o", "{tiles}/a.png"], "takes one map"),
        (["-o", "{normal}", "--normal", "{normal}"], "normal/b.png is an input and would be overwritten"),
        (["--batch-size", "0"], "batch_size must be"),
    ],
)
def test_what_the_command_refuses(
    smoother: str, tiles: Path, tmp_path: Path, zoo_command: Command, options: list[str], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "normal").mkdir()
    tile(9, False).save(tmp_path / "normal" / "b.png")
    places = {"tiles": tiles, "empty": tmp_path / "empty", "normal": tmp_path / "normal"}
    texts = [option.format_map(places) for option in options]
    done = zoo_command("anomaly", smoother, tiles, *texts)
    assert done.exit_code == 2
    assert message in done.stderr


def test_drawn_defects_are_where_the_masks_are() -> None:
    torch.manual_seed(0)
    x = torch.rand(12, 1, 64, 48) * 0.2
    y, masks = draw_defects(x, share=1.0)
    assert y.shape == x.shape
    assert masks.shape == (12, 1, 64, 48)
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    assert float(y.abs().max()) <= 1
    changed = (y - x).abs()
    assert float(changed[masks > 0].mean()) > 20 * float(changed[masks == 0].mean())
    clean, none = draw_defects(x, share=0.0)
    assert torch.equal(clean, x)
    assert not none.any()
    alone, _ = draw_defects(torch.rand(1, 3, 32, 32), share=1.0)
    assert alone.shape == (1, 3, 32, 32)


def test_crops_come_of_photos_of_any_size() -> None:
    photos = [torch.randint(256, (1, 40 + i, 60), dtype=torch.uint8) for i in range(5)]
    batches = CropBatches(photos, 32)
    batch = batches.batch(3, 4)["target"]
    assert batch.shape == (4, 1, 32, 32)
    assert torch.equal(batch, batches.batch(3, 4)["target"])
    with pytest.raises(InputError, match="has 60x40 pixels, and crops of 48 are trained on"):
        CropBatches(photos, 48)


def test_normal_comes_back_as_it_is_before_training() -> None:
    network = AnomalyAE(widths=[8, 8], patch=2).eval()
    x = torch.rand(1, 1, 16, 20)
    assert torch.equal(network(x), x)
    with pytest.raises(ValueError, match="widths must name at least one"):
        AnomalyAE(widths=[])


def test_auroc_and_the_baseline_of_patches() -> None:
    assert auroc(np.array([0.1, 0.2, 0.3]), np.array([False, False, True])) == 1.0
    with pytest.raises(InputError, match="give both"):
        auroc(np.array([0.1, 0.2]), np.array([True, True]))
    rng = torch.Generator().manual_seed(0)
    train = [0.5 + 0.01 * torch.randn(1, 32, 32, generator=rng) for _ in range(4)]
    spot = train[0].clone()
    spot[:, 8:12, 8:12] = 1
    plain, spotted = pca_patches(train, [train[1], spot])
    assert spotted.shape == (32, 32)
    assert float(spotted.max()) > 5 * float(plain.max())


def test_a_recipe_on_ones_own_images_keeps_its_threshold(tmp_path: Path, zoo_command: Command) -> None:
    good = tmp_path / "good"
    good.mkdir()
    for seed in range(120):
        tile(seed, False, (40, 44)).save(good / f"{seed:03d}.png")
    settings = "size=32 width=8 batch_size=4 steps=2"
    options = [word for setting in settings.split() for word in ("--set", setting)]
    done = zoo_command("train", "anomaly-ae", "--data", good, "--out", tmp_path / "run", *options)
    assert done.exit_code == 0, done.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    threshold = config["tasks"]["anomaly"]["threshold"]
    assert 0 <= threshold <= 1
    done = zoo_command("anomaly", f"local-dir:{tmp_path / 'run'}", good / "000.png", "--json")
    assert json.loads(done.stdout)["threshold"] == threshold
