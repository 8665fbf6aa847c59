"""Conditions of every kind: what users may give, what the network gets, and what follows the input."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
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
from zoo.errors import InputError, RegistryError
from zoo.inference.conditions import SPACES, space
from zoo.model import Generator, Model
from zoo.registry.facts import CONDITION_KINDS, Condition, Format

Command = Callable[..., Result]
IMAGE = {"kind": "image", "channels": 3}
FORMATS = {
    "image": Format("image", channels=3),
    "mask": Format("image", channels=1),
    "audio": Format("audio", channels=1, rate=8000, length=64),
    "video": Format("video", channels=3, size=(16, 16), frames=3),
}


def condition(kind: str, **facts: Any) -> Condition:
    choices = ("red", "blue") if kind == "choice" else ()
    return Condition(kind, kind, choices, **{"format": FORMATS.get(kind), **facts})


class Holes(Model):
    """Toy: what a mask names becomes white, and the pixels of keypoints black."""

    receptive_radius = 1

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, mask: Tensor, points: Tensor | None = None) -> Tensor:
        y = (x * (1 - mask) + mask) * self.gain
        for image, each in zip(y, points if points is not None else [], strict=False):
            for column, row in each.round().long().tolist():
                if 0 <= row < image.shape[1] and 0 <= column < image.shape[2]:
                    image[:, row, column] = -1
        return y


class Mean(Model):
    """Toy: the mean of several images takes the place of the input; ``(N, K, 3, H, W)``."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, examples: Tensor) -> Tensor:
        return torch.zeros_like(x) + examples.mean((1, 3, 4))[..., None, None] * self.gain


class Says(Generator):
    """Toy: as bright as a text is long, times a number."""

    latent_shape = (1,)

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def decode(self, z: Tensor, text: list[str], strength: Tensor) -> Tensor:
        level = torch.tensor([len(one) / 10 for one in text]) * strength * self.gain
        return level[:, None, None, None].expand(-1, 1, 8, 8)


@pytest.fixture
def holes(toys: Registry) -> Model:
    """Sides that 8 divides; any size."""
    conditions = {
        "mask": {"kind": "mask", "aligned": True, "required": True},
        "points": {"kind": "keypoints", "aligned": True},
    }
    given = {"input": {**IMAGE, "multiple": 8}, "output": IMAGE}
    toys.add("holes", Holes(), verbs=["reconstruct"], conditions=conditions, checkpoint=given)
    return zoo.load("holes")


def photo(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 0.25, np.float32)


def half(height: int, width: int) -> np.ndarray:
    """The lower right quarter."""
    mask = np.zeros((height, width), np.float32)
    mask[height // 2 :, width // 2 :] = 1
    return mask


def test_every_kind_has_a_space() -> None:
    assert SPACES.keys() == CONDITION_KINDS.keys()


@pytest.mark.parametrize("tile", [None, 8, 16])
@pytest.mark.parametrize("size", [(32, 32), (21, 35)])
def test_a_mask_is_padded_and_cut_as_its_image_is(holes: Model, size: tuple[int, int], tile: int | None) -> None:
    result = holes.reconstruct(photo(*size), mask=half(*size), tile=tile).arrays[0]
    assert result.shape == (3, *size)
    np.testing.assert_allclose(result[0], np.where(half(*size) > 0, 1, 0.25), atol=1e-6)


@pytest.mark.parametrize("tile", [None, 8])
def test_keypoints_stay_on_their_pixels(holes: Model, tile: int | None) -> None:
    result = holes.reconstruct(photo(20, 30), mask=0 * half(20, 30), points=[[3, 5], [29, 19]], tile=tile).arrays[0]
    black = np.argwhere(result[0] < 0.1).tolist()
    assert black == [[5, 3], [19, 29]]


def test_a_mask_and_keypoints_are_cropped_and_resized_with_their_image(
    toys: Registry, tmp_path: Path, zoo_command: Command
) -> None:
    conditions = {"mask": {"kind": "mask", "aligned": True}, "points": {"kind": "keypoints", "aligned": True}}
    fixed = {**IMAGE, "size": [8, 8]}
    toys.add(
        "fixed", Holes(), verbs=["reconstruct"], conditions=conditions, checkpoint={"input": fixed, "output": fixed}
    )
    mask = np.zeros((32, 64), np.float32)
    mask[:, :16] = 1  # which the crop takes away
    mask[16:, 32:] = 1
    result = zoo.load("fixed").reconstruct(photo(32, 64), mask=mask, points=[[17.5, 1.5]]).arrays[0][0]
    wanted = np.full((8, 8), 0.25)
    wanted[4:, 4:] = 1
    wanted[0, 0] = 0
    np.testing.assert_allclose(result, wanted, atol=1e-6)
    assert set(np.unique(result.round(3))) == {0, 0.25, 1}, "nothing between: masks are not mixed"
    x, hole = save(tmp_path / "x" / "x.png", photo(32, 64)), save(tmp_path / "mask" / "x.png", mask)
    made = zoo_command(
        "reconstruct", "fixed", x, "-o", tmp_path / "y.png", "-c", f"mask={hole}", "-c", "points=17.5,1.5"
    )
    assert made.exit_code == 0, made.stderr
    written = np.asarray(Image.open(tmp_path / "y.png"))[..., 0] / 255
    np.testing.assert_allclose(written, wanted, atol=0.01)


def test_what_does_not_fit_its_input_is_refused(holes: Model) -> None:
    for wrong, words in (
        ({"mask": half(10, 10)}, "mask: it is 10 x 10 pixels and 0000 is 30 x 20: give it the size of the input"),
        ({}, "holes needs the condition mask"),
        ({"mask": half(20, 30), "points": [1, 2, 3]}, r"points must be points \(K, 2\)"),
        ({"mask": half(20, 30), "points": "a,b"}, "points is a JSON file, or points such as '3,5 7,9'"),
        ({"mask": [half(20, 30)] * 2}, "mask has 2 values for 1 samples"),
        (
            {"mask": half(20, 30).astype(np.uint8)},
            "mask is 1 of 255 where it is brightest: make what is to be",
        ),
        ({"mask": "no/such/file.png"}, "mask: "),
    ):
        with pytest.raises((InputError, zoo.ZooError), match=words):
            holes.reconstruct(photo(20, 30), **wrong)


def test_several_images_for_each_sample(toys: Registry) -> None:
    toys.add(
        "mean",
        Mean(),
        verbs=["reconstruct"],
        conditions={"examples": {"kind": "image", "size": [8, 8], "count": [1, 3], "required": True}},
        checkpoint={"input": IMAGE, "output": IMAGE},
    )
    model = zoo.load("mean")
    levels = [np.full((9, 12, 3), level, np.float32) for level in (0.2, 0.4, 0.9)]
    one_for_all = model.reconstruct([photo(8, 8)] * 2, examples=levels[:2])
    np.testing.assert_allclose(one_for_all.numpy(), 0.3, atol=1e-6)
    each = model.reconstruct([photo(8, 8)] * 2, examples=[levels[:1], levels])
    assert [round(float(array.mean()), 3) for array in each.arrays] == [0.2, 0.5]
    with pytest.raises(InputError, match="examples has 4 images: give 1 to 3"):
        model.reconstruct(photo(8, 8), examples=[*levels, levels[0]])


def test_texts_and_numbers(toys: Registry) -> None:
    toys.add(
        "says",
        Says(),
        verbs=["generate"],
        conditions={
            "text": {"kind": "text"},
            "strength": {"kind": "number", "default": 1.0, "minimum": 0, "maximum": 2},
        },
        checkpoint={"output": {"kind": "image", "channels": 1, "size": [8, 8]}},
    )
    model = zoo.load("says")
    bright = model.generate(2, text=["ab", "abcdef"], strength=0.5).numpy().mean((1, 2, 3))
    np.testing.assert_allclose(bright, [0.55, 0.65], atol=1e-6)
    assert model.generate(2, text="abcd").numpy()[0].mean() == pytest.approx(0.7)
    for wrong, words in (
        ({"text": 3}, "text must be a text, not 3"),
        ({"text": "a", "strength": 3}, "strength must be a number from 0 to 2, not 3"),
        ({"text": "a", "strength": float("nan")}, "strength must be a number, not nan"),
    ):
        with pytest.raises(InputError, match=words):
            model.generate(1, **wrong)


def test_words_that_are_nearly_choices() -> None:
    colour = space(Condition("color", "choice", ("black", "gray", "roses")))
    assert [int(colour.check(word)) for word in ("Gray", "BLACK")] == [1, 0]
    for word, guess in (("grey", "gray"), ("GREY", "gray"), ("rose", "roses")):
        with pytest.raises(InputError, match=f"color cannot be '{word}'; did you mean {guess}.* Choose one of black, "):
            colour.check(word)
    with pytest.raises(InputError, match="color cannot be 'teal': choose one of black, gray, roses"):
        colour.check("teal")


def test_a_whole_number_has_no_fraction() -> None:
    number = Condition("n", "integer")
    assert [number.check(value) for value in (3, "3", 3.0, np.float32(3))] == [3, 3, 3, 3]
    for wrong in (3.7, np.float32(2.9), True, "3.7", np.nan):
        with pytest.raises(InputError, match="n must be a whole number, not"):
            number.check(wrong)
    with pytest.raises(InputError, match="x must be a number, not True"):
        Condition("x", "number").check(True)


def test_samples_without_a_value(zoo_command: Command, tmp_path: Path) -> None:
    model = zoo.load("cdcgan")
    left_out, asked = model.generate(3, seed=0).numpy(), model.generate(3, seed=0, digit=7).numpy()
    some = model.generate(3, seed=0, digit=[None, "as it is", 7]).numpy()
    np.testing.assert_allclose(some, np.concatenate([left_out[:2], asked[2:]]), atol=1e-5)
    assert space(Condition("digit", "choice", (1, 2))).each("As it is", 2) == [None, None]
    for wrong in (None, "as it is"):
        with pytest.raises(InputError, match="digit cannot be"):
            space(Condition("digit", "choice", (1, 2), default=1)).each([wrong, 1], 2)
    made = zoo_command("generate", "cdcgan", "-n", 1, "-c", "digit=as it is", "-o", tmp_path / "a.png")
    assert made.exit_code == 0, made.stderr


@pytest.mark.parametrize("kind", CONDITION_KINDS)
def test_random_values_pass_their_own_check(kind: str) -> None:
    each = space(condition(kind))
    values = [each.check(each.sample(np.random.default_rng(seed))) for seed in range(3)]
    batch = each.stack([each.fit(value, None, None)[0] for value in values])
    assert len(batch) == 3
    if kind != "text":
        assert len(each.dynamic_axes(any_size=True)) <= batch.ndim
        assert {"image": 4, "mask": 4, "video": 5, "audio": 3, "keypoints": 3}.get(kind, 1) == batch.ndim
    if kind == "mask":
        assert set(np.unique(batch)) == {0, 1}
        assert batch.shape[1] == 1


@pytest.mark.parametrize("kind", ["choice", "integer", "number"])
def test_one_value_for_each_frame(kind: str) -> None:
    each = space(condition(kind, per="frame"))
    values = ["red", "blue", "red"] if kind == "choice" else [1, 2, 3]
    one = each.each(values, 2)
    assert [value.shape for value in one] == [(3,), (3,)]
    assert each.stack(one).shape == (2, 3)
    assert [value.tolist() for value in each.each([values, values[::-1]], 2)][1] == one[0][::-1].tolist()


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"kind": "number", "minimum": 2, "maximum": 1}, "minimum: expected at most the maximum"),
        ({"kind": "number", "minimum": 0, "default": -1}, "default: x must be a number from 0, not -1"),
        ({"kind": "image", "count": [3, 1]}, r"count: expected \[least, most\]"),
        ({"kind": "mask", "default": "a.png"}, "default: mask has none"),
        ({"kind": "text", "aligned": True}, "aligned: unknown key"),
        ({"kind": "audio"}, "the key 'rate' is missing"),
        ({"kind": "number", "per": "hour"}, "per: expected one of sample, frame"),
    ],
)
def test_facts_that_cannot_be(toys: Registry, facts: dict[str, Any], words: str) -> None:
    with pytest.raises(RegistryError, match=words):
        toys.add("wrong", Holes(), verbs=["generate"], conditions={"x": facts})


def save(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray((values * 255).round().astype(np.uint8)).save(path)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Photos of two sizes, and a mask for each under its name: the second is all but full, the others are empty."""
    for number, size in enumerate([(16, 16), (9, 20), (16, 16)]):
        save(tmp_path / "photos" / f"{number}.png", photo(*size))
        mask = np.full(size, float(number == 1))
        mask[0, 0] = 0
        save(tmp_path / "masks" / f"{number}.png", mask)
    return tmp_path


def brightness(folder: Path) -> list[int]:
    return [int(np.asarray(Image.open(path)).mean()) for path in sorted(folder.glob("*.png"))]


def test_a_folder_of_masks_by_name_and_masks_in_order(holes: Model, folders: Path, zoo_command: Command) -> None:
    photos, masks, out = folders / "photos", folders / "masks", folders / "out"
    made = zoo_command("reconstruct", "holes", photos, "-o", out, "-c", f"mask={masks}")
    assert made.exit_code == 0, made.stderr
    assert brightness(out) == [64, 253, 64]
    in_order = [word for number in range(3) for word in ("-c", f"mask={masks / f'{number}.png'}")]
    (out / "1.png").unlink()
    made = zoo_command("reconstruct", "holes", photos, "-o", out, *in_order, "--skip-existing")
    assert made.exit_code == 0, made.stderr
    assert brightness(out) == [64, 253, 64], "a mask stays with its photo where others are left out"
    (masks / "2.png").unlink()
    made = zoo_command("reconstruct", "holes", photos, "-o", out, "-c", f"mask={masks}")
    assert made.exit_code == 2
    assert f"mask: {masks} has no file called 2: name one for each input." in made.stderr
    made = zoo_command("reconstruct", "holes", photos, "-o", out, *in_order[:4])
    assert "mask has 2 values for 3 inputs: give one, one for each, or a folder" in made.stderr
    made = zoo_command("reconstruct", "holes", photos / "0.png", "-o", masks / "0.png", "-c", f"mask={masks / '0.png'}")
    assert "is an input and would be overwritten" in made.stderr


@pytest.mark.skipif(not (find_spec("onnxscript") and find_spec("onnxruntime")), reason="needs onnx")
def test_onnx_files_take_masks(holes: Model, toys: Registry) -> None:
    class_, model = type(holes), zoo.load("doubler", runtime="onnx")
    assert class_ is Holes
    mask = np.full((12, 9, 3), 0.5, np.float32)
    mask[:6] = 0.49
    x = photo(13, 18)
    np.testing.assert_allclose(
        model.reconstruct(x, mask=mask).numpy(), zoo.load("doubler").reconstruct(x, mask=mask).numpy(), atol=1e-5
    )
