"""Names of colours, logos composed in every colour, and what is measured of a network that draws them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_evaluation import untrained, values
from test_training import RANDOM, tiny_logan

from zoo.data.colors import COLORS, NONE, color_names, main_colors
from zoo.data.logos import BASIC, Logos
from zoo.data.source import Source
from zoo.errors import InputError
from zoo.models.logan import LoGAN
from zoo.recipes import logan
from zoo.registry.facts import Condition
from zoo.training.coloring import Coloring
from zoo.training.runtime import Runtime


def picture(ground: tuple[float, ...], *shapes: tuple[tuple[float, ...], int]) -> torch.Tensor:
    """A picture ``(1, 3, 32, 32)``: bars of a height from the top down, with a margin, in colours, over a ground."""
    x = torch.tensor(ground).float()[None, :, None, None].repeat(1, 1, 32, 32)
    row = 3
    for color, height in shapes:
        x[:, :, row : row + height, 3:29] = torch.tensor(color).float()[None, :, None, None]
        row += height
    return x


WHITE, BLACK, RED, BLUE = (1, 1, 1), (0, 0, 0), (0.9, 0.1, 0.1), (0.1, 0.3, 0.9)


def test_every_basic_colour_has_its_name() -> None:
    assert color_names(torch.tensor(BASIC) / 255).tolist() == list(range(12))


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((250, 175, 0), "yellow"),  # hue 42
        ((249, 171, 0), "orange"),
        ((141, 103, 72), "brown"),  # a dark orange
        ((0, 0, 128), "black"),  # as dark as black
        ((1, 26, 106), "blue"),
        ((199, 21, 133), "purple"),  # darker than pink
        ((255, 0, 160), "pink"),
        ((255, 130, 130), "pink"),  # a pale red
        ((255, 107, 107), "red"),
        ((220, 36, 76), "red"),  # hue 347
        ((232, 232, 232), "gray"),
        ((237, 237, 237), "white"),
        ((34, 47, 41), "black"),
        ((79, 67, 60), "gray"),
    ],
)
def test_colours_of_brands(rgb: tuple[int, ...], name: str) -> None:
    """At the borders, as the labels of the data have them, but for the first, which is on the border itself."""
    assert COLORS[int(color_names(torch.tensor(rgb) / 255))] == name


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (picture(WHITE, (RED, 4)), "red"),
        (picture(WHITE, (RED, 4), (BLUE, 8)), "blue"),
        (picture(BLACK, (WHITE, 8)), "white"),  # on a plate over all of the picture
        (picture(RED, (WHITE, 8)), "white"),
        (picture(BLACK, (WHITE, 14), (BLUE, 6)), "blue"),  # white gives way to a fifth
        (picture(BLACK, (WHITE, 22), (BLUE, 3)), "white"),
        (picture(WHITE, (BLACK, 20)), "black"),
    ],
)
def test_the_main_colour_is_beside_the_background(image: torch.Tensor, name: str) -> None:
    assert COLORS[int(main_colors(image))] == name


def test_edges_have_no_vote_and_one_shade_has_no_colour() -> None:
    blurred = torch.nn.functional.avg_pool2d(
        picture(WHITE, (BLACK, 4), (WHITE, 4), (BLACK, 4)), 3, 1, 1, count_include_pad=False
    )
    assert COLORS[int(main_colors(blurred))] == "black"
    assert int(main_colors(picture(RED))) == NONE


def drawings(n: int = 24, size: int = 16) -> torch.Tensor:
    """Bars in one colour each on white, uint8 ``(n, 3, size, size)``."""
    x = torch.full((n, 3, size, size), 255, dtype=torch.uint8)
    for i in range(n):
        x[i, :, 3 + i % 4 : 9 + i % 4, 3:13] = torch.tensor(BASIC[i % 10], dtype=torch.uint8)[:, None, None]
    return x


def test_composed_logos_have_the_colour_of_their_label() -> None:
    data = Logos(drawings(6, 32), drawings(24, 32), n=240)
    x, labels = data.roles["target"], data.roles["label"]
    assert x.dtype == torch.uint8 and x.shape == (240, 3, 32, 32)
    assert torch.bincount(labels).tolist() == [20] * 12
    assert (main_colors(x / 255) == labels).float().mean() > 0.98
    again = Logos(drawings(6, 32), drawings(24, 32), n=240)
    assert torch.equal(again.roles["target"], x)


def test_steps_compose_pictures_of_their_own() -> None:
    data = Logos(drawings(), drawings(), n=24)
    first, second = data.batch(3, 12), data.batch(4, 12)
    assert not torch.equal(first["target"], second["target"])
    assert first["target"].amin() >= -1 and first["target"].amax() <= 1
    assert sorted(first["label"].tolist()) == list(range(12))
    assert torch.equal(data.batch(3, 12, rank=1, world=2)["target"], first["target"][1::2])


def test_pictures_in_the_colour_that_was_asked_for() -> None:
    """Whatever colour they had, edges and white ones, too; what had it stays as it was."""
    data = Logos(drawings(6, 32), drawings(24, 32), n=12)
    labels = torch.arange(12)
    blurred = torch.nn.functional.interpolate(picture(WHITE, (BLUE, 9), (RED, 9)), scale_factor=2.0, mode="bilinear")
    recolored = data.recolored(blurred.repeat(12, 1, 1, 1) * 2 - 1, labels)
    assert main_colors((recolored + 1) / 2).tolist() == labels.tolist()
    red = picture(WHITE, (RED, 9)) * 2 - 1
    assert torch.allclose(data.recolored(red, torch.tensor([COLORS.index("red")])), red, atol=1e-5)


def test_in_the_last_steps_d_rests_and_colours_come_right(tmp_path: Path) -> None:
    objective = tiny_logan(tmp_path, steps=12)
    assert isinstance(objective, Coloring)
    objective.abridge()
    objective.start(Runtime("fp32", "cpu"))
    g, d, average = *(objective.networks[name].network for name in "gd"), objective.averages["g"].network
    assert "loss_d" in objective.step(5)
    with torch.no_grad():
        for x in average.parameters():
            x.zero_()
    before = [x.clone() for x in d.parameters()]
    assert objective.step(6).keys() == {"loss_color"}
    assert all(torch.equal(x, y) for x, y in zip(before, d.parameters(), strict=True))
    assert max(float(x.detach().abs().max()) for x in g.parameters()) < 0.01, "G goes on from the average"
    metrics = objective.measure()
    assert metrics["metric"] > metrics["wrong_color"] > 0
    assert objective.state()["teacher"].keys() == g.state_dict().keys()


def test_drawings_that_do_not_show() -> None:
    pale = torch.full((4, 3, 16, 16), 250, dtype=torch.uint8)
    with pytest.raises(InputError, match="No drawing differs from white: give drawings in one dark"):
        Logos(drawings(), pale, n=12)


def test_figures_of_colours(tmp_path: Path) -> None:
    """A network that draws what is asked for, and one that always draws red."""
    for name in ("many", "one"):
        x = drawings(120, 32).permute(0, 2, 3, 1).numpy()
        np.savez(tmp_path / f"{name}.npz", x_train=x, x_test=x[:60])
    data = Source([tmp_path / "many.npz", tmp_path / "one.npz"])
    network = LoGAN(size=32, width=4, latent=4)
    model = untrained(network, 32, 3)
    assert model.entry
    model.entry = replace(model.entry, conditions=(Condition("color", "choice", COLORS),))
    shapes = picture(WHITE, (BLACK, 12))

    def drawn(z: torch.Tensor, color: torch.Tensor | None = None) -> torch.Tensor:
        color = z[:, 0].long() % 12 if color is None else color
        rgb = torch.tensor(BASIC)[color].float()[:, :, None, None] / 255
        ground = torch.where(color == COLORS.index("white"), 0.0, 1.0)[:, None, None, None]
        return torch.where(shapes > 0.5, ground, rgb) * 2 - 1

    network.decode = drawn  # type: ignore[method-assign]
    found = values(logan.evaluate(model, data, [RANDOM], n_samples=120))  # type: ignore[arg-type]
    assert found["color-accuracy"] == found["color-precision"] == found["color-accuracy-worst"] == 1.0
    assert found["color-accuracy real"] > 0.98
    assert "membership-auroc" in found

    network.decode = lambda z, color=None: drawn(z, torch.full((len(z),), 9))  # type: ignore[method-assign]
    found = values(logan.evaluate(model, data, [RANDOM], n_samples=120))  # type: ignore[arg-type]
    assert found["color-accuracy"] == pytest.approx(1 / 12, abs=1e-4)
    assert found["color-precision"] == pytest.approx(1 / 144, abs=1e-4)
    assert found["color-accuracy-worst"] == 0.0


def test_a_picture_that_is_all_border_has_no_colour() -> None:
    with pytest.raises(ValueError, match="images must be larger than 6 px, not 9x6"):
        main_colors(torch.zeros(1, 3, 6, 9))
