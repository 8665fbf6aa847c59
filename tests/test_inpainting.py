"""Holes are filled, everything else stays bit for bit, and a mask may be the transparent part of an image."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from conftest import Registry
from PIL import Image
from test_training import RANDOM, folder, tiny_context_encoder
from torch import Tensor

import zoo
from zoo.data.masks import brush_strokes, central_square, random_square
from zoo.data.source import Source
from zoo.errors import InputError, MediaError, RegistryError
from zoo.model import Model
from zoo.models.context_encoder import ContextEncoder, smooth_fill
from zoo.recipes import context_encoder
from zoo.training.runtime import Runtime
from zoo.training.terms import L1
from zoo.training.translation import Translation

Command = Callable[..., Result]
MASK = {"kind": "mask", "aligned": True, "transparency": True, "required": True}
RGB = {"kind": "image", "channels": 3}
SMALL = (4, 6, 8, 12)


@pytest.fixture
def filler(toys: Registry) -> Model:
    """A small network with random weights, far from what it would answer untrained."""
    torch.manual_seed(0)
    network = ContextEncoder(SMALL)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    given = {"input": {**RGB, "multiple": 16}, "output": RGB, "config": {"widths": list(SMALL)}}
    toys.add("filler", network, verbs=["reconstruct"], conditions={"mask": MASK}, checkpoint=given)
    return zoo.load("filler")


def photo(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def hole(height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[height // 3 : height // 2 + 1, width // 4 : width // 2 + 1] = 255
    return mask


@pytest.mark.parametrize("tile", [None, 32, "auto"])
@pytest.mark.parametrize("size", [(64, 64), (45, 83), (1, 9), (530, 520)])
def test_known_pixels_come_back_bit_for_bit(filler: Model, size: tuple[int, int], tile: Any, tmp_path: Path) -> None:
    if max(size) > 500 and tile == 32:
        pytest.skip("many tiles")
    before, mask = photo(*size), hole(*size)
    for source in (before, Image.fromarray(before)):
        filler.reconstruct(source, mask=mask, tile=tile).save(tmp_path / "out.png")
        after = np.asarray(Image.open(tmp_path / "out.png"))
        assert np.array_equal(after[mask == 0], before[mask == 0])
        assert (after[mask > 0] != before[mask > 0]).any()
    filler.reconstruct_to(before, tmp_path / "streamed.png", mask=mask, tile=tile)
    streamed = np.asarray(Image.open(tmp_path / "streamed.png"))
    assert np.abs(streamed.astype(int) - after).max() <= 1
    assert np.array_equal(streamed[mask == 0], before[mask == 0])


def test_what_is_hidden_is_not_seen(filler: Model) -> None:
    before, mask = photo(48, 64), hole(48, 64)
    other = before.copy()
    other[mask > 0] = 0
    results = [filler.reconstruct(x, mask=mask).arrays[0] for x in (before, other)]
    assert np.array_equal(*results)


def test_the_mask_may_be_what_is_transparent(filler: Model, tmp_path: Path, zoo_command: Command) -> None:
    before, mask = photo(40, 50), hole(40, 50)
    alpha = np.where(mask > 0, np.arange(50, dtype=np.uint8)[None], 255).astype(np.uint8)
    cut_out = tmp_path / "cut-out.png"
    Image.fromarray(np.dstack([before, alpha])).save(cut_out)
    wanted = filler.reconstruct(before, mask=mask).arrays[0]
    assert np.array_equal(filler.reconstruct(cut_out).arrays[0], wanted)
    made = zoo_command("reconstruct", "filler", cut_out, "-o", tmp_path / "filled.png")
    assert made.exit_code == 0, made.stderr
    after = Image.open(tmp_path / "filled.png")
    assert after.mode == "RGB"
    assert np.array_equal(np.asarray(after)[mask == 0], before[mask == 0])
    filler.reconstruct_to(cut_out, tmp_path / "streamed.png", tile=32)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "streamed.png"))[mask == 0], before[mask == 0])
    # With a mask of its own, an image keeps its transparency.
    kept = filler.reconstruct(cut_out, mask=mask).arrays[0]
    assert np.array_equal(np.rint(kept[3] * 255).astype(np.uint8), alpha)


def test_a_smooth_fill_goes_on_from_the_edges() -> None:
    y, x = np.mgrid[0:64, 0:96].astype(np.float32) / 96
    ramp = torch.from_numpy(np.stack([x, y, 0.5 - x]))[None]
    weight = torch.ones(1, 1, 64, 96)
    weight[..., 20:44, 30:60] = 0
    filled = smooth_fill(ramp * weight, weight)
    assert torch.equal(filled * weight, ramp * weight)
    assert float((filled - ramp).abs().max()) < 0.08
    far = smooth_fill(torch.zeros(1, 3, 512, 512), torch.zeros(1, 1, 512, 512))
    assert torch.equal(far, torch.zeros_like(far)), "where nothing is known it is grey"


def test_a_black_mask_changes_nothing(filler: Model, tmp_path: Path) -> None:
    before = photo(30, 41)
    filler.reconstruct(before, mask=np.zeros((30, 41), np.uint8)).save(tmp_path / "out.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), before)


def test_masks_that_cannot_be(filler: Model, tmp_path: Path, zoo_command: Command) -> None:
    Image.fromarray(photo(20, 30)).save(tmp_path / "photo.png")
    Image.fromarray(photo(20, 30, 4) // 2).save(tmp_path / "faint.png")
    Image.fromarray(hole(30, 20)).save(tmp_path / "large.png")
    Image.fromarray(np.full((20, 30), 255, np.uint8)).save(tmp_path / "white.png")
    (tmp_path / "noise.png").write_bytes(b"RIFF----WAVEfmt ")
    for file, mask, words in (
        ("photo", "large", "mask: it is 20 x 30 pixels and photo is 30 x 20: give it the size of the input."),
        ("photo", "white", "mask: all of photo is to be filled, and nothing of it is known: mark a part of it only."),
        ("faint", "", "mask: all of faint is to be filled, and nothing of it is known: mark a part of it only."),
        ("photo", "noise", f"mask: {tmp_path}/noise.png: not an image, whatever the name says"),
        ("photo", "", "filler needs the condition mask, for photo is transparent nowhere: give a mask that is white"),
    ):
        conditions = {"mask": tmp_path / f"{mask}.png"} if mask else {}
        with pytest.raises((InputError, MediaError)) as error:
            filler.reconstruct(tmp_path / f"{file}.png", **conditions)
        assert str(error.value).startswith(words)
        typed = ["-c", f"mask={tmp_path / mask}.png"] if mask else []
        made = zoo_command("reconstruct", "filler", tmp_path / f"{file}.png", "-o", tmp_path / "out.png", *typed)
        assert made.exit_code == 1
        assert made.stderr.startswith(f"Error: {words.replace(file, str(tmp_path / f'{file}.png'))}")
        assert not (tmp_path / "out.png").exists()
    typed = ["-c", f"mask={tmp_path / 'none.png'}"]  # whatever the photo is
    assert (
        zoo_command("reconstruct", "filler", tmp_path / "photo.png", "-o", tmp_path / "out.png", *typed).exit_code == 2
    )


def test_transparency_is_for_aligned_masks(toys: Registry) -> None:
    with pytest.raises(RegistryError, match="transparency: expected a mask that is aligned"):
        toys.add("wrong", ContextEncoder(SMALL), verbs=["reconstruct"], conditions={"mask": {**MASK, "aligned": False}})


@pytest.mark.parametrize("size", [(128, 128), (60, 100), (9, 8)])
def test_holes_are_drawn_by_the_seed_and_cover_what_they_should(size: tuple[int, int]) -> None:
    square = central_square(*size)
    assert square.sum() == (min(size) // 2) ** 2
    if all(side % 4 == 0 for side in size):
        assert np.array_equal(square, square[::-1])
    for draw in (random_square, brush_strokes):
        one, again, other = (draw(np.random.default_rng(seed), *size) for seed in (1, 1, 2))
        assert one.shape == size
        assert np.array_equal(one, again)
        assert not np.array_equal(one, other)
    shares = [float(brush_strokes(np.random.default_rng((0, k)), *size).mean()) for k in range(20)]
    assert min(shares) >= 0.3
    assert max(shares) < 0.6
    if size == (128, 128):
        assert 0.3 <= np.mean(shares) <= 0.32


def test_the_training_hides_what_it_asks_for(tmp_path: Path) -> None:
    objective = tiny_context_encoder(tmp_path, steps=10)
    objective.start(Runtime("fp32", "cpu"))
    torch.manual_seed(0)
    batch = objective.batch(0)
    assert set(batch["mask"].unique().tolist()) == {0, 1}
    assert torch.equal(batch["input"], batch["target"] * (1 - batch["mask"]))
    assert len({tuple(mask.flatten().tolist()) for mask in batch["mask"]}) == len(batch["mask"])
    d = objective.networks["d"].network
    before = [parameter.clone() for parameter in d.parameters()]
    assert "loss_d" not in objective.step(5)
    assert all(map(torch.equal, before, d.parameters()))
    assert "loss_d" in objective.step(6)
    assert not all(map(torch.equal, before, d.parameters()))


def test_one_term_begins_at_once(tmp_path: Path) -> None:
    objective: Any = tiny_context_encoder(tmp_path)
    with pytest.raises(ValueError, match="must begin at step 0"):
        Translation({}, objective.networks["g"], objective.data[0], objective.held_out, terms=[L1(1, begin=1)])


class Fake:
    """What of OpenCV is used: holes become black, and grey."""

    INPAINT_TELEA, INPAINT_NS = 1, 0

    @staticmethod
    def inpaint(image: np.ndarray, mask: np.ndarray, radius: float, way: int) -> np.ndarray:
        return np.where(mask[..., None] > 0, 120 * (way == Fake.INPAINT_NS), image).astype(np.uint8)


@pytest.fixture
def opencv(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "cv2", Fake)  # type: ignore[arg-type]
    yield


@pytest.mark.usefixtures("opencv")
def test_figures(filler: Model, tmp_path: Path) -> None:
    data = Source([folder(tmp_path / "a", 6, 64)])
    rows = context_encoder.evaluate(filler, data, [RANDOM], size=64)  # type: ignore[arg-type]
    assert [(row.metric, row.settings["holes"]) for row in rows] == [
        *(("psnr", "square"), ("kid", "square"), ("fid", "square")),
        *(("psnr", "strokes"), ("kid", "strokes"), ("fid", "strokes")),
    ]
    assert all(set(row.baselines) == {"telea", "navier_stokes"} and row.n == 6 for row in rows)
    (square, *_) = rows
    target = data.images(64).x.double()[:, :, 16:48, 16:48]
    black = [float(10 * torch.log10(255**2 / image.square().mean())) for image in target]
    assert square.baselines["telea"] == pytest.approx(np.mean(black), abs=0.006)


def test_figures_need_opencv(filler: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match=r"pip install 'generative-zoo\[baselines\]'"):
        context_encoder.evaluate(filler, Source([folder(tmp_path / "a", 2, 32)]), [], size=32)


def test_the_receptive_radius_is_enough(filler: Model) -> None:
    radius = filler.receptive_radius
    assert radius
    network: Any = ContextEncoder(SMALL).double()
    for parameter in network.parameters():
        parameter.data.normal_(0, 0.3)
    side = 32 * (radius // 16 + 2)
    x = torch.zeros(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    mask = torch.zeros(1, 1, side, side, dtype=torch.float64)
    middle = side // 2
    mask[..., middle - 50 : middle + 50, middle - 50 : middle + 50] = 1
    y: Tensor = network(x, mask)
    y[..., middle, middle].sum().backward()
    assert x.grad is not None
    seen = x.grad.abs().sum((0, 1)).nonzero()
    assert int((seen - middle).abs().max()) <= radius
    assert int((seen - middle).abs().max()) > radius // 3
