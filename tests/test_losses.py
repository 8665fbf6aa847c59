"""Losses, penalties, augmentation, discriminators and pools are what their papers say."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from zoo.data.augment import AUGMENTATIONS, augment, views
from zoo.metrics.features import Features, _precisely
from zoo.training.discriminators import (
    Discriminator,
    FeatureDiscriminator,
    PatchDiscriminator,
    ProjectedDiscriminator,
    ProjectedTextDiscriminator,
    WholeAndCropDiscriminator,
)
from zoo.training.losses import (
    LOSSES,
    accuracies,
    checkerboard_energy,
    gradient_penalty,
    orthogonal_penalty,
    r1_penalty,
)
from zoo.training.unpaired import ImagePool


@pytest.mark.parametrize(
    ("name", "undecided_d", "undecided_g"),
    [
        ("vanilla", 2 * math.log(2), math.log(2)),
        ("least-squares", 0.5, 1.0),
        ("hinge", 2.0, 0.0),
        ("wasserstein", 0, 0),
    ],
)
def test_losses_of_a_d_that_knows_nothing(name: str, undecided_d: float, undecided_g: float) -> None:
    zero = torch.zeros(4)
    assert float(LOSSES[name].d(zero, zero)) == pytest.approx(undecided_d)
    assert float(LOSSES[name].g(zero)) == pytest.approx(undecided_g)


@pytest.mark.parametrize("name", LOSSES)
def test_d_gains_by_telling_apart_and_g_by_fooling(name: str) -> None:
    high, low = torch.full((4,), 0.9), torch.full((4,), 0.1)
    assert LOSSES[name].d(high, low) < LOSSES[name].d(low, high)
    assert LOSSES[name].g(high) < LOSSES[name].g(low)


def test_accuracy_counts_samples_by_the_mean_of_their_patches() -> None:
    scores = torch.tensor([[1.0, 2.0], [-3.0, 1.0], [0.1, 0.1]])
    found = accuracies(scores, scores - 0.15, 0)
    assert {key: round(float(value), 4) for key, value in found.items()} == {"d_real": 0.6667, "d_fake": 0.6667}
    assert float(accuracies(torch.tensor([0.4, 0.6]), scores, 0.5)["d_real"]) == pytest.approx(0.5)
    assert accuracies(scores, scores, LOSSES["wasserstein"].boundary) == {}  # a critic's scores have no zero


def test_penalties_of_a_linear_d() -> None:
    weight = torch.zeros(1, 3, 4, 4)
    weight[0, 0, 0, :2] = torch.tensor([3.0, 4.0])

    def d(x: Tensor) -> Tensor:
        return (x * weight).sum((1, 2, 3))

    real, fake = torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4)
    assert float(r1_penalty(d, real)) == pytest.approx(25 / 2)
    assert float(gradient_penalty(d, real, fake)) == pytest.approx(16)
    assert float(gradient_penalty(lambda x: d(x) / 5, real, fake)) == pytest.approx(0, abs=1e-9)


def test_filters_that_have_nothing_in_common_cost_nothing() -> None:
    conv = torch.nn.Conv2d(2, 3, 2)
    torch.nn.init.orthogonal_(conv.weight)
    network = torch.nn.Sequential(conv, torch.nn.Embedding(5, 2), torch.nn.Linear(1, 7))
    with torch.no_grad():
        assert float(orthogonal_penalty(network)) < 1e-9
        conv.weight[1] = 2 * conv.weight[0]
        assert float(orthogonal_penalty(network)) == pytest.approx(2 * 2**2)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentation_is_random_by_seed_and_lets_gradients_through(name: str) -> None:
    x = (torch.rand(8, 3, 16, 16) * 2 - 1).requires_grad_()
    torch.manual_seed(0)
    one = augment(x, name)
    torch.manual_seed(0)
    assert torch.equal(one, augment(x, name))
    torch.manual_seed(1)
    assert not torch.equal(one, augment(x, name))
    assert one.shape == x.shape
    one.square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_translation_moves_and_fills_with_zeros() -> None:
    torch.manual_seed(3)
    x = torch.ones(50, 1, 16, 16)
    moved = augment(x, "translation")
    assert set(moved.unique().tolist()) == {0.0, 1.0}
    rows = moved.sum((1, 3)).ne(0).sum(1)  # how many rows are left of each
    assert rows.min() == 14  # an eighth of 16 is the farthest
    assert rows.max() == 16


def test_shift_moves_and_repeats_the_edges() -> None:
    torch.manual_seed(3)
    x = torch.arange(16.0).expand(50, 1, 16, 16)
    moved = augment(x, "shift")
    assert set((moved - x)[..., 8].unique().tolist()) == {-1.0, 0.0, 1.0}  # a sixteenth of 16 is the farthest
    assert torch.equal(moved[:, :, :1], moved[:, :, -1:])
    assert moved[..., 0].min() == 0
    assert moved[..., -1].max() == 15


def test_cutout_takes_a_quarter_at_most() -> None:
    torch.manual_seed(0)
    left = augment(torch.ones(200, 1, 16, 16), "cutout").mean((1, 2, 3))
    assert left.min() == pytest.approx(1 - 64 / 256)
    assert left.max() > 0.9


def test_all_roles_of_a_sample_move_together() -> None:
    torch.manual_seed(0)
    x = torch.rand(6, 3, 12, 12)
    labels = torch.arange(6)
    both = views({"input": x, "target": -x[:, :1], "mask": x[:, 1:2], "label": labels}, shift=3, flip=True)
    assert torch.equal(both["input"][:, :1], -both["target"])
    assert torch.equal(both["input"][:, 1:2], both["mask"])
    assert torch.equal(both["label"], labels)
    assert not torch.equal(both["input"], x)
    with pytest.raises(ValueError, match="different sizes cannot move together"):
        views({"input": x, "target": x[..., :6]}, shift=0, flip=True)


def test_a_pool_gives_old_fakes_half_of_the_time() -> None:
    torch.manual_seed(0)
    pool = ImagePool(20)
    assert torch.equal(pool.mix(torch.zeros(20, 1), 40), torch.zeros(20, 1)), "there are no old ones yet"
    made = [pool.mix(torch.ones(1, 1), 4) for _ in range(20)]
    assert all(len(mix) == 4 and mix[0] == 1 for mix in made), "the new one first"
    assert 20 <= sum(int((mix == 0).sum()) for mix in made) <= 55
    assert len(pool.images) == 20


@pytest.mark.parametrize(("halvings", "patch"), [(1, 16), (2, 34), (3, 70)])
def test_patches_have_the_papers_size(halvings: int, patch: int) -> None:
    d = PatchDiscriminator(3, 4, halvings, norm=False)  # which would see the whole image
    x = torch.zeros(1, 3, 128, 128, requires_grad=True)
    scores = d(x)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    assert x.grad is not None
    assert int(x.grad.abs().sum((0, 1, 2)).ne(0).sum()) == patch


def test_spectral_norm_bounds_d() -> None:
    torch.manual_seed(0)
    x = torch.rand(4, 3, 16, 16)
    bounded, free = (Discriminator(16, 3, 8, halvings=2, norm=norm) for norm in (True, False))
    for d in (bounded, free):
        for parameter in d.parameters():
            parameter.data *= 10
    for _ in range(30):
        bounded(x)  # the power method settles
    assert bounded(x).abs().max() < 1e-3 * free(x).abs().max()


def test_a_discriminator_that_looks_through_features_learns_its_heads_alone() -> None:
    torch.manual_seed(0)
    features = Features("random")
    d = FeatureDiscriminator(features, 4)
    depths = len(features.maps(torch.zeros(1, 3, 32, 32)))
    assert all(key.startswith("heads.") for key in d.state_dict())
    x = torch.rand(2, 3, 32, 32, requires_grad=True)
    scores = d(x)
    assert scores.shape[:2] == (2, depths)
    for depth in range(depths):
        (gradient,) = torch.autograd.grad(scores[:, depth].sum(), x, retain_graph=True)
        assert gradient.abs().sum() > 0, "each depth speaks"
    assert not torch.equal(d(x), d(x)), "from another place each time"


def test_a_projected_discriminator_sees_the_whole_image_at_each_depth() -> None:
    torch.manual_seed(0)
    features = Features("random")
    d = ProjectedDiscriminator(features, 32, 8, seen=48)
    fixed = {name: value.clone() for name, value in d.named_buffers() if "mix_" in name}
    depths = len(fixed)
    assert depths == len(features.maps(torch.zeros(1, 3, 48, 48))) - 1
    x = torch.rand(2, 3, 32, 32, requires_grad=True)
    scores = d(x)
    assert scores.shape == (2, depths + 1), "and the pixels"
    for which in range(depths + 1):
        (gradient,) = torch.autograd.grad(scores[0, which], x, retain_graph=True)
        seen = gradient[0].abs().sum(0) > 0
        assert seen[4:-4, 4:-4].all(), "every part of the image"
        assert not gradient[1].any()
    d.requires_grad_(True)  # as a step does
    optimizer = torch.optim.Adam(d.parameters(), 0.1)
    scores.sum().backward()
    optimizer.step()
    assert all(torch.equal(value, d.get_buffer(name)) for name, value in fixed.items()), "what mixes does not learn"


def test_a_discriminator_sees_half_of_the_images_whole_and_a_square_of_the_others() -> None:
    torch.manual_seed(0)
    d = WholeAndCropDiscriminator(Features("random"), 16, 8, 4, seen=32).eval()
    x = torch.rand(5, 3, 16, 16, requires_grad=True)
    places = set()
    for _ in range(20):
        scores = d(x)
        for i in range(len(x)):
            (gradient,) = torch.autograd.grad(scores[i].sum(), x, retain_graph=True)
            seen = [bool(one.any()) for one in gradient]
            assert seen == [i == other for other in range(len(x))], "scores are in the order of the images"
            rows, columns = (gradient[i].abs().sum(0).sum(axis).nonzero().flatten() for axis in (1, 0))
            assert len(rows) == len(columns) == (8 if i % 2 else 16)
            places |= {(int(rows[0]), int(columns[0]))} if i % 2 else set()
    assert len(places) > 10


def test_a_projected_discriminator_scores_the_class_that_is_named() -> None:
    torch.manual_seed(0)
    d = ProjectedDiscriminator(Features("random"), 16, 4, seen=32, channels=1, classes=3).eval()
    x = torch.rand(3, 1, 16, 16)
    zeros, kinds = (d(x, label) for label in (torch.zeros(3, dtype=torch.long), torch.arange(3)))
    assert torch.allclose(zeros[0], kinds[0], atol=1e-6)
    assert (zeros[1:] != kinds[1:]).all(), "at every depth, and by the pixels"


def test_a_projected_discriminator_of_texts() -> None:
    torch.manual_seed(0)
    d = ProjectedTextDiscriminator(
        Features("random"), 16, 4, seen=32, channels=3, text=5, attributes=2, hidden=6
    ).eval()
    x, text = torch.rand(2, 3, 16, 16), torch.rand(2, 5)
    known = d.features(x)
    scores = d.score(known, text)
    depths = len(d.mixed.sides)
    assert (known.shape, scores.shape) == ((2, 6 * (depths + 1)), (2, depths + 1))
    assert d.attributes is not None
    assert d.attributes(known).shape == (2, 2)
    others = d.score(known, text.roll(1, 0))
    assert (scores != others).all(), "the text counts at each depth, and by the pixels"
    torch.testing.assert_close(d.score(known[1:], text[1:]), scores[1:])
    assert ProjectedTextDiscriminator(Features("random"), 16, 4, 32, 3, 5).attributes is None


def test_depthwise_convolutions_with_stride_are_precise_where_gradients_are_wanted() -> None:
    conv, x = torch.nn.Conv2d(4, 4, 3, stride=2, groups=4), torch.rand(1, 4, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        plain, precise = _precisely(conv.forward, x), _precisely(conv.forward, x.requires_grad_())
    assert (plain.dtype, precise.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(plain.float(), precise, atol=0.02, rtol=0.02)


def test_checkerboards_have_energy() -> None:
    """A checkerboard is, whatever lies under it; a ramp of colours, noise and a shade are not, or hardly."""
    torch.manual_seed(0)
    board = torch.zeros(1, 3, 64, 64)
    board[:, :, ::2, ::4] = 0.4
    plain = {
        "shade": torch.full((1, 3, 64, 64), 0.7),
        "ramp": torch.linspace(-1, 1, 64).expand(1, 3, 64, 64),
        "noise": 0.4 * torch.randn(1, 3, 64, 64),
    }
    seen = float(checkerboard_energy(board, 4))
    assert seen > 0.05
    for name, x in plain.items():
        assert checkerboard_energy(x, 4) < 0.6 * seen, name
        assert checkerboard_energy(x + board, 4) > 0.8 * seen, name
    assert float(checkerboard_energy(board[..., :63, :62], 4)) == pytest.approx(seen), "sides need not be multiples"
