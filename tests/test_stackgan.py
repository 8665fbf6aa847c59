"""Texts as word numbers, and a generator that draws what they say in two stages."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import Result
from test_training import RANDOM, run, tiny_stackgan, tiny_stackgan_flowers

import zoo
from zoo.data.source import Source
from zoo.errors import InputError
from zoo.inference.conditions import space
from zoo.inference.words import numbered, padded, vocabulary_of, words_of
from zoo.metrics.naming import naming_metrics
from zoo.metrics.petals import PETALS, agreement, named_colors, petal_colors
from zoo.models.stackgan import StackGAN
from zoo.recipes import stackgan
from zoo.registry.facts import Condition
from zoo.training.runtime import Runtime
from zoo.training.stacked import Phrases, _apart

Command = Callable[..., Result]
WORDS = (",", "blue", "grey-green", "hair", "red")
TEXT = Condition("text", "text", vocabulary=WORDS)
SMALL: dict[str, Any] = {"size": 16, "latent": 4, "embedding": 8, "condition": 4, "width": 8, "refined": 8, "blocks": 1}


def network(**more: Any) -> StackGAN:
    torch.manual_seed(0)
    return StackGAN(**{"vocabulary": WORDS, **SMALL, **more}).eval()


def test_words() -> None:
    assert words_of("Red hair,grey-green EYES; (a wink)!") == ["red", "hair", ",", "grey-green", "eyes", "a", "wink"]
    assert vocabulary_of(["red hair , blue", "Blue!"]) == (",", "blue", "hair", "red")
    numbers, unknown = numbered("red HAT, hair; a hat", WORDS)
    assert (numbers.tolist(), unknown) == ([5, 1, 4], ["hat", "a"])
    assert padded([numbers, numbers[:1]]).tolist() == [[5, 1, 4], [5, 0, 0]]
    numbers, unknown = numbered("a red-hair, grey-green blue-ish", WORDS)
    assert (numbers.tolist(), unknown) == ([5, 4, 1, 3, 2], ["a", "ish"])
    numbers, unknown = numbered("boxes, t-shirts, Daisies, reds as ass", ["a", "as", "box", "daisy", "red", "t-shirt"])
    assert (numbers.tolist(), unknown) == ([3, 6, 4, 5, 2], ["ass"])
    assert numbered("no red hair", ["hair", "no", "red"])[1] == [], "captions may have such words"


def test_a_text_becomes_word_numbers() -> None:
    text = space(TEXT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = text.each(["red hair", "grey-green"], 2)
    assert text.stack(values).tolist() == [[5, 4], [3, 0]]
    with pytest.warns(UserWarning, match="text: hat, a are not known and left out; known are blue, grey-") as seen:
        assert text.check("hat, a red Hat").tolist() == [1, 5]
    assert seen[0].filename == __file__, "the line of whoever gave the text"
    for wrong, words in (
        ("", "text: it is empty: use some of blue, grey-green, hair, red."),
        (" , ", "text: it is empty: use some of blue"),
        ("red hair, no hat", "text: 'no' is not known, and what it refers to would be drawn: name only what is to be"),
        ("hair that isn\u2019t red", '"isn\'t" is not known, and what it refers to would be drawn'),
        ("a hat", "text: 'a hat' has no word that is known: use some of blue, grey-green, hair, red."),
        (3, "text must be a text, not 3"),
    ):
        with pytest.raises(InputError, match=words):
            text.check(wrong)
    assert text.dynamic_axes(any_size=False) == (0, 1)
    drawn = [text.check(text.sample(np.random.default_rng(seed))) for seed in range(5)]
    assert len({len(one) for one in drawn}) > 1
    assert text.stack(drawn).shape == (5, max(map(len, drawn)))


def test_padding_changes_nothing() -> None:
    g, z = network(), torch.randn(2, 8)
    text = torch.tensor([[5, 4], [2, 0]])
    plain = g.decode(z, text)
    torch.testing.assert_close(g.decode(z, F.pad(text, (0, 7))), plain)
    torch.testing.assert_close(g.decode(z[1:], text[1:, :1]), plain[1:])


def test_without_a_text_the_noise_chooses_one() -> None:
    g, z = network(), torch.randn(4, 8)
    torch.testing.assert_close(g.decode(z), g.decode(z, torch.zeros(4, 3, dtype=torch.long)))
    g.hold(torch.tensor([[5], [3], [2], [4], [1]]))
    assert g.texts[:, :2].tolist() == [[5, 0], [3, 0], [2, 0], [1, 0]]
    texts = g.texts[z[:, :4].argmax(1)].long()
    assert len(texts.unique(dim=0)) > 1
    torch.testing.assert_close(g.decode(z), g.decode(z, texts))
    g.hold(torch.full((4, 70), 5))
    assert g.texts.tolist() == [[5] * 64] * 4


def test_phrases_are_put_together_in_any_order() -> None:
    captions = np.array([["red hair , a hat and blue eyes", "a hat , red hair"], ["blue eyes", "a hat"]])
    named = torch.tensor([[[1, 1, 1], [1, 1, 0]], [[0, 0, 1], [0, 1, 1]]]).bool()
    vocabulary = vocabulary_of(captions.ravel())
    phrases = Phrases(captions, named, vocabulary)
    assert phrases.of_images.tolist() == [[1, 2, 3], [3, 2, 0]]
    assert phrases.names.int().tolist() == [[0, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]]
    torch.manual_seed(0)
    seen = set()
    for _ in range(50):
        texts, attributes = phrases.texts(phrases.of_images[:1])
        words = " ".join(vocabulary[i - 1] for i in texts[0].tolist())
        named_by = {"red hair": [1, 1, 0], "a hat": [0, 1, 0], "blue eyes": [0, 0, 1]}
        wanted = torch.tensor([named_by[phrase] for phrase in words.split(" , ")]).any(0)
        assert torch.equal(attributes[0], wanted)
        seen.add(words)
    assert len(seen) == 15, "all orders of one, two and three phrases"


def test_an_image_without_a_text_has_a_phrase_of_no_word() -> None:
    captions, named = np.array([["red hair"], [""]]), torch.tensor([[[1]], [[0]]]).bool()
    phrases = Phrases(captions, named, vocabulary_of(captions.ravel()))
    texts, attributes = phrases.texts(phrases.of_images)
    assert (texts.tolist(), attributes.tolist()) == ([[2, 1], [0, 0]], [[True], [False]])


def test_phrases_stand_anywhere() -> None:
    """What is five words apart or more has no order."""
    encoder, apart = network().text, [1] * 9
    orders = ([5, 4], [2, 3]), ([2, 3], [5, 4])
    one, other = (torch.tensor([[*apart, *first, *apart, *second, *apart]]) for first, second in orders)
    torch.testing.assert_close(encoder(one), encoder(other))
    assert not torch.allclose(encoder(torch.tensor([[5, 4]])), encoder(torch.tensor([[4, 5]])))


def test_stages() -> None:
    g, z, text = network(), torch.randn(2, 8), torch.tensor([[5, 4], [2, 4]])
    sketch, images = g.stages(z, g.gaussians(g.text(text)))
    assert (sketch.shape, images.shape) == ((2, 3, 8, 8), (2, 3, 16, 16))
    first, second = g.decode(z, text, torch.tensor([1, 2]))
    torch.testing.assert_close(first[:, ::2, ::2], sketch[0])
    torch.testing.assert_close(second, images[1])
    images.sum().backward()
    assert g.first.weight.grad is None, "Stage II does not change the sketch"
    with pytest.raises(ValueError, match="size must be 16, 32, 64 or another power of two, not 24"):
        network(size=24)


@pytest.mark.filterwarnings("default:text")
def test_the_text_decides_what_is_drawn(tmp_path: Path, zoo_command: Command) -> None:
    objective = tiny_stackgan(tmp_path, steps=8)
    run(objective, tmp_path / "run", entry=zoo.info("stackgan")).train()
    model = zoo.load(f"local-dir:{tmp_path / 'run'}")
    assert model.entry
    assert [c.vocabulary for c in model.entry.conditions if c.kind == "text"] == [model.vocabulary]
    texts = ["a dark image", "a bright image", "one disc"]
    together = model.generate(3, seed=0, text=texts)
    for number, text in enumerate(texts):
        alone = model.generate(1, seed=0, first=number, text=text)
        np.testing.assert_allclose(together.numpy()[number], alone.numpy()[0], atol=1e-5)
    assert not np.allclose(model.generate(1, seed=0, text=texts[1]).numpy(), together.numpy()[:1])
    sketch = model.generate(1, seed=0, stage=1).numpy()[0]
    np.testing.assert_array_equal(sketch[:, ::2, ::2], sketch[:, 1::2, 1::2])
    out = tmp_path / "out.png"
    address = f"local-dir:{tmp_path / 'run'}"
    made = zoo_command("generate", address, "-n", 2, "-c", "text=a bright hat", "-o", out)
    assert made.exit_code == 0, made.stderr
    assert "Warning: text: hat is not known and left out; known are a, bright, colour, dark" in made.stderr
    made = zoo_command("generate", address, "-c", "text=", "-o", out)
    assert made.exit_code == 2
    assert "text: it is empty: use some of a, bright" in made.stderr


def test_a_step_with_and_without_attributes(tmp_path: Path) -> None:
    objective = tiny_stackgan(tmp_path, steps=2)
    arrays = dict(np.load(tmp_path / "t.npz"))
    for key in ("named_train", "named_test"):
        del arrays[key]
    np.savez(tmp_path / "plain.npz", **arrays)
    plain = stackgan.avatars(Source([tmp_path / "plain.npz"]), RANDOM, size=16, batch_size=16, steps=2)
    logs = []
    for each in (objective, plain):
        each.start(Runtime("fp32", "cpu"))
        logs.append(each.step(0))
    assert set(logs[0]) - set(logs[1]) == {"missing"}
    assert all(torch.isfinite(value).all() for log in logs for value in log.values())
    for key in ("captions_train", "captions_test"):
        del arrays[key]
    np.savez(tmp_path / "mute.npz", **arrays)
    with pytest.raises(InputError, match="The data have no texts: give an"):
        stackgan.avatars(Source([tmp_path / "mute.npz"]), RANDOM, batch_size=1_000)
    with pytest.raises(InputError, match=r"t\.npz holds \d+ images and at least 1000 are needed"):
        stackgan.avatars(Source([tmp_path / "t.npz"]), RANDOM, size=16, batch_size=1_000)


def test_a_discriminator_of_images_comes_in_last(tmp_path: Path) -> None:
    objective = tiny_stackgan(tmp_path, steps=5)
    objective.start(Runtime("fp32", "cpu"))
    last, d = (objective.networks[name].network for name in ("last_d", "d"))
    for step, learns in ((3, False), (4, True)):
        before = [[x.clone() for x in network.parameters()] for network in (last, d)]
        objective.step(step)
        moved = [
            not all(map(torch.equal, network.parameters(), old)) for network, old in zip((last, d), before, strict=True)
        ]
        assert moved == [learns, True]


def halves(has: torch.Tensor) -> torch.Tensor:
    """Images ``(N, 3, 16, 16)``: the left half is red, green or blue, the right one bright or not."""
    colours = F.one_hot(has[:, 0], 3).float()[:, :, None, None].expand(-1, -1, 16, 8)
    bright = has[:, 1].float()[:, None, None, None].expand(-1, 3, 16, 8)
    return 1.6 * torch.cat([colours, bright], 3) - 0.8


def test_figures_of_named_attributes() -> None:
    rng = torch.Generator().manual_seed(0)
    has = torch.stack([torch.randint(3, (192,), generator=rng), torch.randint(2, (192,), generator=rng)], 1)
    columns = torch.cat([F.one_hot(has[:, 0], 3), has[:, 1:]], 1)
    names = ("color=red", "color=green", "color=blue", "bright")
    x, some = halves(has), slice(0, 30)
    named = torch.cat([columns[some], columns[some] * torch.tensor([1, 1, 1, 0])])
    swapped = has[some].clone()
    swapped[:15, 0] = (swapped[:15, 0] + 1) % 3  # half of the images for the first texts have another colour
    samples = torch.cat([halves(swapped), x[some]])
    whole, worst, every = naming_metrics(x, columns, names, samples, named, x[some], ["color"], split="test")
    assert (whole.value, whole.baselines, whole.n) == (0.75, {"real": 1.0}, 60)
    assert (worst.value, worst.settings) == (0.75, {"attribute": "color"})
    assert every.settings == {"attributes": 2}
    assert every.value == pytest.approx(float((45 + named[:, 3].sum()) / (60 + named[:, 3].sum())), abs=1e-3)


def test_evaluation(tmp_path: Path) -> None:
    objective = tiny_stackgan(tmp_path, steps=1)
    run(objective, tmp_path / "run", entry=zoo.info("stackgan")).train()
    model: Any = zoo.load(f"local-dir:{tmp_path / 'run'}")
    rows = stackgan.evaluate(model, Source([tmp_path / "t.npz"]), [RANDOM])
    assert [row.metric for row in rows[:4]] == ["named-attributes", "named-attributes", "kid", "fid"]
    assert rows[0].n == 128
    assert rows[0].settings == {"attributes": 1}


def test_words_that_tell_images_apart_are_attributes(tmp_path: Path) -> None:
    objective = tiny_stackgan_flowers(tmp_path)
    roles = objective.data[0].roles  # type: ignore[attr-defined]
    vocabulary = objective.config["vocabulary"]
    assert vocabulary == ["a", "red", "rose", "tulip", "white"]
    whole, short = ([vocabulary[i - 1] for i in text if i] for text in roles["text"][1].tolist())
    assert (whole, short) == (["a", "white", "tulip"], ["white", "tulip"])
    # red, rose, tulip, white: "a" is in all captions
    assert roles["label"][:3].int().tolist() == [[1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 0, 0]]
    assert torch.equal(roles["named"][:, 0], roles["label"])
    assert torch.equal(roles["named"][:, 1], roles["label"])
    torch.manual_seed(0)
    objective.start(Runtime("fp32", "cpu"))
    logs = objective.step(0)
    assert {"missing", "closeness"} <= set(logs)
    assert all(torch.isfinite(value).all() for value in logs.values())


def test_pairs_of_images_are_compared() -> None:
    images = torch.tensor([0.0, 0.5, 1.0, 1.0, 7.0])[:, None, None, None].expand(-1, 3, 2, 2)
    assert _apart(images) == 0.25


def shades(*colors: tuple[float, float, float]) -> torch.Tensor:
    """Discs of some colours on leaves, ``(N, 3, 32, 32)`` in [0, 1]."""
    far = (torch.arange(32) - 15.5).square()
    disc = far[:, None] + far < 80
    leaves = torch.tensor([0.2, 0.6, 0.1])[:, None, None]
    return torch.stack([torch.where(disc, torch.tensor(color)[:, None, None], leaves) for color in colors])


def test_colours_of_petals() -> None:
    colors = {
        "white": (0.9, 0.9, 0.85),
        "yellow": (0.9, 0.8, 0.1),
        "orange": (0.9, 0.5, 0.1),
        "red": (0.8, 0.1, 0.1),
        "pink": (0.9, 0.5, 0.6),
        "purple": (0.5, 0.2, 0.7),
    }
    found = petal_colors(shades(*colors.values()))
    assert [PETALS[i] for i in found.tolist()] == list(colors)
    dark, leaf, grey = (0.2, 0.0, 0.0), (0.2, 0.6, 0.1), (0.5, 0.5, 0.5)
    assert petal_colors(shades(dark, leaf, grey)).tolist() == [-1, -1, -1]
    texts = ["a red rose", "a rose", "an orange or red tulip"]
    assert [PETALS[i] if i >= 0 else "" for i in named_colors(texts).tolist()] == ["red", "", "orange"]
    images = 2 * shades(colors["red"], colors["white"], colors["pink"]) - 1
    assert agreement(images, texts) == 0.5


def test_evaluation_of_flowers(tmp_path: Path) -> None:
    objective = tiny_stackgan_flowers(tmp_path, steps=1)
    run(objective, tmp_path / "run", entry=zoo.info("stackgan")).train()
    model: Any = zoo.load(f"local-dir:{tmp_path / 'run'}")
    rows = stackgan.evaluate_flowers(model, Source([tmp_path / "a"]), [RANDOM], per_kind=20)
    assert [row.metric for row in rows[:5]] == ["class-accuracy", "class-accuracy-worst", "petal-color", "kid", "fid"]
