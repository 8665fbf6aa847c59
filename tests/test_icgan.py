"""IcGAN: what is named changes and what is not named stays; attributes of several values in data and figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_evaluation import untrained
from torch import Tensor

from zoo.data.source import ImageSet, Source
from zoo.errors import InputError
from zoo.metrics import attributes, protocols
from zoo.models.icgan import IcGAN
from zoo.recipes import icgan
from zoo.registry.facts import Condition
from zoo.training.editing import Editing

VALUES = {"shade": 3, "half": 2}
WORDS = {"shade": ("dark", "grey", "bright"), "half": ("left", "right")}


def network() -> IcGAN:
    torch.manual_seed(0)
    made = IcGAN(VALUES, 16, 3, latent=4, widths=(8, 8), encoder_widths=(8, 8)).eval()
    for parameter in made.parameters():  # those that start at zero hide what they do
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def test_the_code_has_a_latent_and_one_value_of_each_attribute() -> None:
    model = network()
    x = torch.rand(5, 3, 16, 16) * 2 - 1
    mean, log_variance, scores = model.posterior(x)
    assert mean.shape == log_variance.shape == (5, 4)
    code = model.encode(x)
    assert code.shape == (5, model.code) == (5, 9)
    torch.testing.assert_close(code[:, :4], mean)
    assert torch.equal(code[:, 4:7].argmax(1), scores[:, :3].argmax(1))
    assert torch.equal(code[:, 4:].sum(1), torch.full((5,), 2.0))


def test_what_is_named_replaces_what_was_seen_and_the_rest_stays() -> None:
    model = network()
    code = model.encode(torch.rand(3, 3, 16, 16))
    code[:, 4:7] = torch.tensor([1.0, 0, 0])
    other = code.clone()
    other[:, 4:7] = torch.tensor([0.0, 0, 1])
    edited = model.decode(code, shade=torch.full((3,), 2))
    torch.testing.assert_close(edited, model.decode(other))
    assert not torch.allclose(edited, model.decode(code))
    torch.testing.assert_close(model.decode(code, shade=torch.zeros(3, dtype=torch.long)), model.decode(code))


@pytest.mark.parametrize(
    "wrong",
    [{"values": {}}, {"values": {"hair color": 3}}, {"values": {"hair": 1}}, {"size": 20}, {"widths": ()}],
)
def test_a_network_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        IcGAN(**{"values": VALUES, "size": 16, **wrong})  # type: ignore[arg-type]


def images(names: tuple[str, ...], ones: Tensor) -> ImageSet:
    return ImageSet(torch.zeros(len(ones), 3, 16, 16, dtype=torch.uint8), None, (), [], ones, names)


def test_columns_of_data_are_values_of_attributes() -> None:
    ones = torch.tensor([[1, 0, 0, 0, 1], [0, 0, 1, 1, 0]], dtype=torch.uint8)
    names = ("shade=dark", "shade=grey", "shade=bright", "half=left", "half=right")
    found, labels = attributes.values_of(images(names, ones))
    assert found == WORDS
    assert labels.tolist() == [[0, 1], [2, 0]]
    with pytest.raises(InputError, match="call columns like hair_color=blond"):
        attributes.values_of(images(("dark", *names[1:]), ones))
    with pytest.raises(InputError, match="2 images do not have just one shade"):
        attributes.values_of(images(names, torch.ones_like(ones)))
    with pytest.raises(InputError, match="shade has one value only"):
        attributes.values_of(images(names[:1], torch.ones(2, 1, dtype=torch.uint8)))
    with pytest.raises(InputError, match="no attributes"):
        attributes.values_of(ImageSet(ones, None, (), []))


def drawn(values: Tensor, seed: int = 0) -> Tensor:
    """Images ``(N, 3, 16, 16)`` with noise, of one of three shades, with a bright left or right half."""
    shade, half = values.unbind(1)
    x = (shade.float() * 0.5 - 0.5)[:, None, None, None].expand(-1, 3, 16, 16).clone()
    x[..., :8] += (half == 0)[:, None, None, None] * 0.4
    x[..., 8:] += (half == 1)[:, None, None, None] * 0.4
    return x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))


def some(n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(k, (n,), generator=generator) for k in VALUES.values()], 1)


def test_edits_are_measured_by_the_value_that_was_asked_for() -> None:
    train, test = some(600, 0), some(60, 1)
    kinds = ["value-reached", "value-reached-worst", "values-kept", "values-kept-worst"]

    def measured(change: bool, keep: bool) -> list[float]:
        def edited(number: int, wanted: Tensor) -> Tensor:
            values = test.clone()
            if change:
                values[:, number] = wanted
            if not keep:
                values[:, 1 - number] = 0
            return drawn(values, 2)

        rows = attributes.edit_metrics(
            drawn(train), train, drawn(test, 1), test, drawn(test, 3), edited, WORDS, split="test"
        )
        assert [row.protocol for row in rows] == kinds
        assert all(protocols.protocol(row.protocol) and row.baselines["real"] == 1 for row in rows)
        assert rows[1].settings["attribute"] in WORDS
        assert [row.baselines["unedited"] for row in rows] == [0, 0, 1, 1], "no copy has the value that is asked for"
        return [row.value for row in rows]

    assert measured(change=True, keep=True) == [1, 1, 1, 1]
    assert measured(change=False, keep=True)[:3] == [0, 0, 1]
    assert measured(change=True, keep=False)[3] == pytest.approx(float((test[:, 0] == 0).float().mean()), abs=1e-4)


def test_attributes_of_several_values_are_related_by_cramers_v() -> None:
    both = some(4_000, 0)
    same = torch.cat([both, both[:, :1] // 2], 1)
    assert attributes.unrelated(same).tolist() == [[False, True, False], [True, False, True], [False, True, False]]
    two = torch.stack([both[:, 1], (both[:, 1] + (torch.arange(4_000) % 3 == 0)) % 2], 1)
    correlation = torch.corrcoef(two.T.float())[0, 1].abs()
    assert correlation == pytest.approx(attributes.cramers_v(two[:, 0], two[:, 1]), abs=1e-4)


def test_exchanged_values_come_from_other_images() -> None:
    labels = some(1_000, 0)
    other = Editing._exchanged(labels, torch.Generator().manual_seed(0))
    for number, n in enumerate(VALUES.values()):
        changed = (other[:, number] != labels[:, number]).float().mean()
        assert changed == pytest.approx(0.5 * (1 - 1 / n), abs=0.05)


def test_figures_of_edits(tmp_path: Path) -> None:
    values = some(260, 0)
    x = ((drawn(values) + 1) * 127.5).clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    ones = torch.cat([torch.nn.functional.one_hot(values[:, i], n) for i, n in enumerate(VALUES.values())], 1).numpy()
    names = [f"{name}={word}" for name, words in WORDS.items() for word in words]
    np.savez(
        tmp_path / "a.npz",
        x_train=x[:200],
        x_test=x[200:],
        attributes_train=ones[:200],
        attributes_test=ones[200:],
        attribute_names=names,
    )
    model = untrained(network(), 16)
    assert model.entry
    conditions = tuple(Condition(name, "choice", words) for name, words in WORDS.items())
    model.entry = replace(model.entry, conditions=conditions)
    rows = icgan.evaluate(model, Source([tmp_path / "a.npz"]))  # type: ignore[arg-type]
    assert [row.metric for row in rows] == ["reached", "reached", "kept", "kept", "mse"]
    assert rows[0].value < 0.7
    assert rows[-1].value > rows[-1].baselines["pca"]
    with pytest.raises(InputError, match="other attributes than the data"):
        icgan.evaluate(untrained(network(), 16), Source([tmp_path / "a.npz"]))  # type: ignore[arg-type]
