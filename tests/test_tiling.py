"""Large images: in tiles they equal the whole, in bands they go to disk, and transparency is carried along."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from zoo.errors import InputError
from zoo.media.image_encode import write_bands
from zoo.model import Model
from zoo.networks import build
from zoo.registry.facts import Format

# Networks small enough to see where their tiles meet.
NETWORKS: list[tuple[str, dict[str, Any], int, int]] = [
    ("srgan", {"width": 8, "blocks": 2}, 4, 1),
    ("srgan", {"width": 8, "blocks": 3, "norm": None, "kernel": 3, "slope": 0.2, "over_bilinear": True}, 4, 1),
    ("srgan", {"scale": 2, "width": 8, "blocks": 1}, 2, 1),
    ("srgan", {"scale": 8, "width": 8, "blocks": 1, "bias": True, "unit": True, "tanh": True}, 8, 1),
    *(("esrgan", {"scale": scale, "width": 8, "blocks": 1, "growth": 4}, scale, 4 // scale) for scale in (1, 2, 4)),
    *(("msrresnet", {"scale": scale, "width": 8, "blocks": 2}, scale, 1) for scale in (2, 3, 4)),
    ("srvgg", {"width": 8, "convs": 3}, 4, 1),
    ("cyclegan", {"width": 8, "blocks": 2, "norm": "batch"}, 1, 4),
    ("cyclegan", {"width": 8, "blocks": 2, "norm": "batch", "resize": True}, 1, 4),
    ("taesd", {}, 1, 8),
]


def network(name: str, config: dict[str, Any], scale: int = 1, multiple: int = 1) -> Model:
    """A random one, loud enough that what is far away is seen."""
    given, made = Format(channels=3, multiple=multiple), Format(channels=3, scale=scale)
    entry = replace(zoo.info(name), config=config, input=given, output=made)
    model = build(entry).to_empty(device="cpu").double().eval()
    torch.manual_seed(0)
    for key, tensor in model.state_dict().items():
        if tensor.ndim > 1:
            torch.nn.init.kaiming_normal_(tensor)
        elif tensor.is_floating_point():
            tensor.fill_(1.0 if key.endswith(("running_var", "norm.weight", "weight")) else 0.01)
    model.entry = entry
    return model


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).random((height, width, channels)).astype(np.float32)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize(("name", "config", "scale", "multiple"), NETWORKS)
def test_tiles_equal_the_whole_and_the_reach_is_no_more_than_that_takes(
    name: str, config: dict[str, Any], scale: int, multiple: int
) -> None:
    model = network(name, config, scale, multiple)
    assert model.receptive_radius is not None
    side = 8 * multiple
    x = noise(model.receptive_radius + 2 * side + 3, 27)  # no multiple of anything
    whole = model.reconstruct(x, tile=None).numpy()
    tiled = model.reconstruct(x, tile=side).numpy()
    assert whole.shape == tiled.shape == (1, 3, scale * x.shape[0], scale * x.shape[1])
    assert np.abs(whole - tiled).max() < 1e-6
    less = model.reconstruct(x, tile=side, overlap=model.receptive_radius // 3).numpy()
    assert np.abs(whole - less).max() > 1e-5, "or the image is too small to tell"


def test_auto_runs_small_images_whole_and_large_ones_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network("srvgg", {"width": 4, "convs": 1, "scale": 2}, 2)
    monkeypatch.setattr("zoo.media.image_processor.ImageProcessor.whole", 32 * 32)
    monkeypatch.setattr("zoo.media.image_processor.ImageProcessor.part", 20)
    seen: list[tuple[int, ...]] = []
    model.body.register_forward_pre_hook(lambda module, given: seen.append(tuple(given[0].shape[2:])))  # type: ignore[operator,union-attr]
    small, large = noise(32, 32), noise(40, 41)
    made = model.reconstruct([small, large, small])
    assert [array.shape[1:] for array in made.arrays] == [(64, 64), (80, 82), (64, 64)]
    assert seen == [(32, 32), *[(23, w) for w in (23, 24, 4)], *[(23, w) for w in (23, 24, 4)], (32, 32)]
    assert np.array_equal(made.arrays[0], made.arrays[2])
    assert np.abs(made.arrays[1] - model.reconstruct(large, tile=None).arrays[0]).max() < 1e-5


def test_what_depends_on_the_whole_image_is_run_whole_or_refused() -> None:
    model = network("cyclegan", {"width": 4, "blocks": 1}, multiple=4)
    assert model.receptive_radius is None
    x = noise(16, 20)
    assert model.reconstruct(x).numpy().shape == (1, 3, 16, 20)
    with pytest.raises(InputError, match="cyclegan cannot be run in tiles: each pixel depends on the whole image"):
        model.reconstruct(x, tile=8)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tile": 0}, 'tile must be "auto", None, or a side in pixels, not 0'),
        ({"tile": "large"}, "not 'large'"),
        ({"tile": True}, "not True"),
        ({"tile": 8, "overlap": -1}, "overlap must be a whole number from 0, not -1"),
    ],
)
def test_wrong_tiles(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        network("srvgg", {"width": 4, "convs": 1}, 4).reconstruct(noise(16, 16), **options)


def test_wrong_tiles_are_said_once_and_before_any_work(tmp_path: Path, zoo_command: Any) -> None:
    for number in range(2):
        Image.fromarray((noise(16, 16) * 255).astype(np.uint8)).save(tmp_path / f"{number}.png")
    for name, options, words in (
        ("srgan", ("--tile", "large"), "tile must be \"auto\", None, or a side in pixels, not 'large'."),
        ("srgan", ("--overlap", "-1"), "overlap must be a whole number from 0, not -1."),
        ("cyclegan", ("--tile", "8"), "cyclegan cannot be run in tiles"),
    ):
        made = zoo_command("reconstruct", name, tmp_path, "-o", tmp_path / "out", *options)
        assert made.exit_code == 2
        assert made.stderr.count(words) == 1
        assert "inputs failed" not in made.stderr
        assert not (tmp_path / "out").exists()


def test_a_bar_counts_tiles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = network("srvgg", {"width": 4, "convs": 1, "scale": 2}, 2)
    for work in (partial(model.reconstruct_to, path=tmp_path / "a.png"), model.reconstruct):
        work(noise(50, 37), tile=16, progress=True)
        assert "/12 [" in capsys.readouterr().err
    model.reconstruct(noise(50, 37), progress=True)
    assert not capsys.readouterr().err


def test_bands_go_to_disk_as_they_come(tmp_path: Path) -> None:
    """The file equals that of the whole image, and a failure on the way leaves none."""
    model = network("srvgg", {"width": 4, "convs": 1, "scale": 2}, 2)
    x = noise(50, 37)
    model.reconstruct_to(x, tmp_path / "a.png", tile=16)
    model.reconstruct(x, tile=16).save(tmp_path / "b.png")
    assert np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))
    model.reconstruct_to(x, tmp_path / "a.jpg", tile=16)
    assert pixels(tmp_path / "a.jpg").shape == (100, 74, 3)
    with pytest.raises(InputError, match="A file takes one result, and these are 2 images"):
        model.reconstruct_to([x, x], tmp_path / "c.png")

    def broken() -> Any:
        yield noise(4, 3).transpose(2, 0, 1)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_bands(broken(), (3, 8, 3), tmp_path / "d.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "a.png", "b.png"]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_rows_are_png_of_every_kind(channels: int, tmp_path: Path) -> None:
    x = (noise(33, 20, channels) * 255).round() / 255
    array = x.transpose(2, 0, 1).astype(np.float32)
    write_bands([array[:, :1], array[:, 1:20], array[:, 20:]], array.shape, tmp_path / "a.png")
    found = pixels(tmp_path / "a.png")
    assert np.array_equal(found.reshape(x.shape), (x * 255).round().astype(np.uint8))


def test_transparency_is_carried_along(tmp_path: Path) -> None:
    """Colours are those of the network, not mixed with white, where any size goes through it."""
    model = network("srvgg", {"width": 4, "convs": 1, "scale": 2}, 2)
    x = noise(12, 10, 4)
    x[:6, :, 3] = 1 / 255
    x[6:, :, 3] = 1
    image = Image.fromarray((x * 255).round().astype(np.uint8))
    made = model.reconstruct(image)
    assert made.arrays[0].shape == (4, 24, 20)
    plain = model.reconstruct(image.convert("RGB")).arrays[0]
    assert np.array_equal(made.arrays[0][:3, 20:], plain[:, 20:]), "away from the edge of what is transparent"
    assert made.arrays[0][3, :8].max() < 0.01
    assert made.arrays[0][3, -8:].min() > 0.99
    made.save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png").shape == (24, 20, 4)
    made.save(tmp_path / "a.jpg")
    assert pixels(tmp_path / "a.jpg")[:8].min() > 240, "white behind"
    assert made.grid().mode == "RGB"
    model.reconstruct_to(image, tmp_path / "b.png", tile=4)
    assert np.abs(pixels(tmp_path / "b.png").astype(int) - pixels(tmp_path / "a.png")).max() <= 1
    fixed = zoo.load("conv-ae.flowers").reconstruct(image)
    assert fixed.arrays[0].shape == (3, 64, 64)


def test_a_folder_with_bad_large_and_finished_images(
    tmp_path: Path, zoo_command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bad ones are named, the large one is streamed, and a second run does only what is missing."""
    monkeypatch.setattr("zoo.media.image_processor.ImageProcessor.whole", 32 * 32)
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(5):
        Image.fromarray((noise(16, 20 + number % 2) * 255).astype(np.uint8)).save(source / f"{number}.png")
    Image.fromarray((noise(40, 41) * 255).astype(np.uint8)).save(source / "large.png")
    (source / "3b.png").write_bytes(b"no image")
    streamed = []
    original = Model.reconstruct_to
    monkeypatch.setattr(Model, "reconstruct_to", lambda *args, **kw: (streamed.append(args[2]), original(*args, **kw)))
    command = ("reconstruct", "srgan", source, "-o", out, "--batch-size", "2", "--json")
    made = zoo_command(*command)
    assert made.exit_code == 1
    assert "1 of 7 inputs failed, the rest is written:" in made.stderr
    assert "3b.png: not an image" in made.stderr
    assert sorted(path.name for path in out.glob("*.png")) == ["0.png", "1.png", "2.png", "3.png", "4.png", "large.png"]
    assert streamed == [out / "large.png"]
    assert pixels(out / "large.png").shape == (160, 164, 3)
    whole = zoo.load("srgan").reconstruct(source / "large.png", tile=None).arrays[0].transpose(1, 2, 0)
    assert np.abs(pixels(out / "large.png") / 255 - whole).max() < 0.51 / 255
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}
    (out / "2.png").unlink()
    (source / "3b.png").unlink()
    again = zoo_command(*command, "--skip-existing")
    assert again.exit_code == 0, again.stderr
    assert '"images": 1' in again.stdout
    assert '"skipped": 5' in again.stdout
    after = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert {name for name in after if after[name] == before[name]} == after.keys() - {"2.png"}
    assert zoo_command(*command, "--skip-existing").exit_code == 0, "with nothing left to do"
    assert (
        "needs a folder"
        in zoo_command("reconstruct", "srgan", source, "-o", tmp_path / "a.png", "--skip-existing").stderr
    )


def test_a_image_that_the_network_refuses_costs_no_other(
    tmp_path: Path, zoo_command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        Image.fromarray((noise(16, 16) * 255).astype(np.uint8)).save(tmp_path / f"{number}.png")
    Image.fromarray((noise(9, 16) * 255).astype(np.uint8)).save(tmp_path / "1b.png")
    original = zoo.models.srgan.SRGAN.forward

    def picky(self: Any, x: torch.Tensor) -> torch.Tensor:
        if x.shape[2] == 9:
            raise InputError("Nine is too few.")
        return original(self, x)

    monkeypatch.setattr(zoo.models.srgan.SRGAN, "forward", picky)
    made = zoo_command("reconstruct", "srgan", tmp_path, "-o", tmp_path / "out", "--batch-size", "3")
    assert made.exit_code == 1
    assert made.stderr.endswith(f"1 of 5 inputs failed, the rest is written:\n  {tmp_path}/1b.png: Nine is too few.\n")
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.png")) == ["0", "1", "2", "3"]
