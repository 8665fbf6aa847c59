"""Figures are what their definitions say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_training import RANDOM, folder, tiles

from zoo.backends.optimize import has_bfloat16
from zoo.data.source import Pairs, Source
from zoo.errors import InputError, WeightsError
from zoo.metrics import baselines, classifier, distribution, fidelity, verdicts
from zoo.metrics.features import Features, default_features
from zoo.model import Generator, Model
from zoo.models.cdcgan import CDCGAN
from zoo.models.dcgan import DCGAN
from zoo.models.pix2pix import Pix2Pix
from zoo.models.srgan import SRGAN
from zoo.recipes import cdcgan, cyclegan, dcgan, pix2pix, srgan
from zoo.registry.facts import Condition, Entry, Format, Metric


def test_kernel_distance() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b, far = (torch.randn(400, 8, generator=generator).double() for _ in range(3))
    assert abs(distribution.kernel_distance(a, b)) < 0.02  # unbiased: about zero for one distribution
    assert distribution.kernel_distance(a, far + 1) > 0.5
    small, other = a[:30], b[:20]
    kernel = lambda x, y: (x @ y.T / 8 + 1) ** 3  # noqa: E731 - as the definition is written
    off = lambda k: (k.sum() - k.trace()) / (len(k) * (len(k) - 1))  # noqa: E731
    wanted = off(kernel(small, small)) + off(kernel(other, other)) - 2 * kernel(small, other).mean()
    assert distribution.kernel_distance(small, other) == pytest.approx(wanted.item())


def test_kernel_distance_of_one_image() -> None:
    with pytest.raises(InputError, match="two or more images in both sets"):
        distribution.kernel_distance(torch.zeros(1, 4), torch.zeros(5, 4))


@pytest.mark.parametrize(("n", "m", "d"), [(60, 50, 8), (12, 15, 40)], ids=["more samples", "more features"])
def test_frechet_distance_is_that_of_torchmetrics(n: int, m: int, d: int) -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    torch.manual_seed(0)
    a, b = torch.randn(n, d, dtype=torch.float64) @ torch.randn(d, d, dtype=torch.float64), torch.randn(m, d) + 0.1
    as_given = torch.nn.Identity()
    as_given.num_features = d  # type: ignore[assignment]
    metric = FrechetInceptionDistance(as_given).set_dtype(torch.float64)
    metric.update(a, real=False)
    metric.update(b.double(), real=True)
    assert distribution.frechet_distance(a, b) == pytest.approx(float(metric.compute()), rel=1e-6)


def test_frechet_distance() -> None:
    a = torch.randn(5000, 4, generator=torch.Generator().manual_seed(0)).double()
    assert distribution.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert distribution.frechet_distance(a, a + 2) == pytest.approx(16)
    # Between N(0, C) and N(0, 9 C): the trace of C (1 - 3) ** 2.
    assert distribution.frechet_distance(a, a * 3) == pytest.approx(
        4 * torch.cov(a.T).trace().item() + 4 * a.mean(0).pow(2).sum().item()
    )


def test_gaussian_samples_have_the_data_s_moments() -> None:
    train = torch.randn(3000, 1, 2, 2, generator=torch.Generator().manual_seed(0)) * 0.1 + 0.2
    train[:, 0, 0, 1] = train[:, 0, 0, 0]
    samples = baselines.gaussian_samples(train, 3000).flatten(1)
    assert samples.mean(0).tolist() == pytest.approx([0.2] * 4, abs=0.02)
    assert torch.allclose(torch.cov(samples.T), torch.cov(train.flatten(1).T), atol=2e-3)
    few = train[:3] * torch.tensor([0.5, 1.0, 1.5])[:, None, None, None]  # fewer than pixels
    samples = baselines.gaussian_samples(few, 20_000).flatten(1)
    assert torch.allclose(samples.mean(0), few.flatten(1).mean(0), atol=0.01)
    assert torch.allclose(torch.cov(samples.T), torch.cov(few.flatten(1).T), atol=5e-3)


def test_pca_error_is_what_is_left() -> None:
    rng = np.random.default_rng(0)
    low = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 10))
    assert baselines.pca_error(low, low, 3) == pytest.approx(0, abs=1e-12)
    assert baselines.pca_error(low, low, 2) > 0.01


def test_the_classifier_learns() -> None:
    y = torch.arange(512) % 10
    x = torch.full((512, 1, 28, 28), -1.0)
    for i, label in enumerate(y.tolist()):
        x[i, 0, 2 * label : 2 * label + 4] = 1
    network = classifier.train_classifier(x, y, epochs=6)
    with torch.inference_mode():
        assert (classifier.classify(network, x) == y).float().mean() > 0.9


def test_both_distances_are_those_of_torchmetrics() -> None:
    from torchmetrics.image.kid import poly_mmd

    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(300, 8, generator=generator).double(), torch.randn(200, 8, generator=generator).double() + 0.3
    assert distribution.kernel_distance(a, b) == pytest.approx(float(poly_mmd(a[:200], b)), rel=0.5)
    assert distribution.kernel_distance(a[:200], b) == pytest.approx(float(poly_mmd(a[:200], b)))


def test_diversity_falls_when_samples_become_alike() -> None:
    x = torch.randn(50, 8, generator=torch.Generator().manual_seed(0)).double()
    assert distribution.diversity(x * 0.5) == pytest.approx(distribution.diversity(x) / 2)
    assert distribution.diversity(x[:1].expand(50, -1)) == 0


def test_luma_is_matlab_s() -> None:
    colours = torch.tensor([[0.0, 0, 0], [255, 255, 255], [255, 0, 0]]).T[None, :, :, None]
    assert fidelity.luma(colours).flatten().tolist() == pytest.approx([16, 235, 81.481])


def test_psnr_and_ssim() -> None:
    x = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 200
    assert fidelity.psnr(x, x + 5) == pytest.approx(20 * np.log10(255 / 5), abs=1e-3)
    assert fidelity.ssim(x, x) == pytest.approx(1)
    assert fidelity.ssim(x, x.flip(3)) < 0.5


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the form of the real ones."""
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = timm.create_model("mobilenetv2_100", pad_type="same")
    path = tmp_path_factory.mktemp("features") / "m.safetensors"
    save_file(network.state_dict(), path)
    return path


def test_features_ignore_the_classifier_and_take_grey(mobilenet: Path) -> None:
    grey = torch.rand(3, 1, 28, 28) * 2 - 1
    features = Features(mobilenet, size=32)
    assert features(grey).shape == (3, 1280)
    assert torch.allclose(features(grey), features(grey.expand(-1, 3, -1, -1)))
    assert "1,280 features of MobileNetV2" in features.protocol
    assert "96 px" in features.at(96, fast=True).protocol
    assert ("bfloat16" in features.at(96, fast=True).protocol) == has_bfloat16(torch.device("cpu"))
    assert "32 px" in features.protocol


@pytest.mark.parametrize("kind", ["random", "mobilenet"])
def test_perceptual_distance_grows_with_noise_and_has_gradients(kind: str, mobilenet: Path) -> None:
    features = Features("random" if kind == "random" else mobilenet)
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(0, 6, 64), torch.linspace(0, 9, 64), indexing="ij")
    clean = (x.sin() * y.cos())[None, None].expand(1, 3, -1, -1)
    noise = torch.randn_like(clean)
    distances = [float(fidelity.perceptual_distance(clean + s * noise, clean, features)) for s in (0, 0.05, 0.2)]
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert distances[0] < distances[1] < distances[2]
    rough = (clean + 0.1 * noise).requires_grad_()
    fidelity.perceptual_distance(rough, clean, features).sum().backward()
    assert rough.grad is not None
    assert rough.grad.abs().max() > 0


def test_random_features_are_always_the_same() -> None:
    x = torch.rand(2, 3, 40, 40) * 2 - 1
    assert torch.equal(Features("random", size=64)(x), Features("random", size=64)(x))


def test_features_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"none\.safetensors does not exist"):
        Features(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(WeightsError, match="holds no weights of timm's mobilenetv2_100"):
        Features(tmp_path / "bad.safetensors")
    with pytest.raises(InputError, match=r"neither a \.safetensors file nor a model of timm"):
        Features("no-such-network")

    with pytest.raises(InputError, match=r"timm has no trained weights of resnet18d\.none"):
        monkeypatch.setattr("timm.get_pretrained_cfg", lambda name: None)
        Features("resnet18d.none")


def test_a_timm_model_comes_from_the_hub_or_not_at_all(mobilenet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network that is said at once; a run is then watched by random features."""
    asked = []

    def here(repo: str, file: str, revision: str | None) -> Path:
        asked.append(f"{repo}/{file}")
        return mobilenet

    monkeypatch.setattr("zoo.metrics.features.download", here)
    features = Features("mobilenetv2_100", size=32)
    assert asked == ["timm/mobilenetv2_100.ra_in1k/model.safetensors"]
    assert features(torch.zeros(2, 3, 40, 40)).shape == (2, 1280)
    assert features.mean == (0.485, 0.456, 0.406)

    def offline(*args: object) -> None:
        raise WeightsError("the Hub cannot be reached")

    monkeypatch.setattr("zoo.metrics.features.download", offline)
    with pytest.raises(WeightsError, match=r"could not be downloaded: name a \.safetensors file"):
        Features("mobilenetv2_100")
    assert default_features().source == "random"


def untrained(network: Model, recipe: str, size: int | None, channels: int = 3, scale: int = 1) -> Model:
    """A network with the facts of a checkpoint."""
    square = (size, size) if size else None
    network.entry = Entry(
        model="toy",
        checkpoint="toy",
        package="zoo",
        folder=Path(),
        builder="",
        summary="",
        verbs=("generate",) if isinstance(network, Generator) else ("reconstruct",),
        input=Format(channels=channels, size=square),
        output=Format(channels=channels, size=square, scale=scale),
        license="MIT",
        recipe=recipe,
    )
    return network.eval()


def values(metrics: list[Metric]) -> dict[str, float]:
    assert all(len(metric.protocol) > 5 and np.isfinite(metric.value) for metric in metrics)
    return {metric.name: metric.value for metric in metrics}


def test_figures_of_a_generator(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = (np.linspace(0, 255, 28)[None, :, None] * rng.random((250, 1, 1)) + np.zeros((1, 1, 28))).astype(np.uint8)
    y = np.arange(250) % 10
    np.savez(tmp_path / "data.npz", x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
    network = untrained(DCGAN(size=28, channels=1, width=4), "", 28, 1)
    found = values(dcgan.evaluate(network, Source([tmp_path / "data.npz"]), RANDOM))  # type: ignore[arg-type]
    assert found["KID of real images, the floor"] < found["KID of the naive way"]
    assert found["FID of real images, the floor"] < found["FID"]
    assert 0 <= found["share of the rarest class"] <= 0.1


def test_figures_of_a_generator_of_classes(tmp_path: Path) -> None:
    """Samples that are right by chance only, and then always."""
    x = np.zeros((300, 28, 28), np.uint8)
    y = np.arange(300) % 2
    x[y == 1] = 200
    x += np.random.default_rng(0).integers(0, 50, x.shape, dtype=np.uint8)
    np.savez(tmp_path / "data.npz", x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
    data = Source([tmp_path / "data.npz"])
    network = CDCGAN(classes=2, size=28, channels=1, width=4, latent=4)
    model = untrained(network, "", 28, 1)
    assert model.entry
    model.entry = replace(model.entry, conditions=(Condition("digit", "choice", (0, 1)),))
    assert values(cdcgan.evaluate(model, data, RANDOM))["right digit"] < 0.7  # type: ignore[arg-type]

    def perfect(z: torch.Tensor, digit: torch.Tensor | None = None) -> torch.Tensor:
        shade = z[:, 0].sign() if digit is None else digit * 2.0 - 1
        return shade[:, None, None, None].expand(-1, 1, 28, 28)

    network.decode = perfect  # type: ignore[method-assign]
    found = values(cdcgan.evaluate(model, data, RANDOM))  # type: ignore[arg-type]
    assert found["right digit"] == found["right digit, worst class"] == 1.0


def test_figures_of_enlarged_photos(tmp_path: Path) -> None:
    """A network that does nothing yet is bilinear enlargement: near to bicubic, and no better."""
    tiles(tmp_path / "Tiles", 2, 64)
    network = SRGAN(width=4, blocks=1, over_bilinear=True)
    torch.nn.init.zeros_(network.tail.weight)
    torch.nn.init.zeros_(network.tail.bias)  # type: ignore[arg-type]
    network.requires_grad_(False)
    found = values(srgan.evaluate(untrained(network, "", None, scale=4), Source([tmp_path / "Tiles"]), RANDOM))
    assert found["PSNR, Tiles"] < found["PSNR of bicubic, Tiles"] < found["PSNR, Tiles"] + 2
    assert found["SSIM, Tiles"] < found["SSIM of bicubic, Tiles"]
    assert found["perceptual distance, Tiles"] > 0


def test_figures_of_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        folder(tmp_path / name, 20, 32, bright=0 if name == "a" else 40)
    data = Source([tmp_path / "a", tmp_path / "b"])
    network = Pix2Pix(size=32, width=4, widest=4, norm="instance").requires_grad_(False)
    whole = pix2pix.evaluate(untrained(network, "zoo.recipes.pix2pix:facades", 32), data, RANDOM)
    assert "results for 20 unsplit pairs of 32 px" in whole[1].protocol
    tenth = pix2pix.evaluate(untrained(network, "zoo.recipes.pix2pix:emoji", 32), data, RANDOM)
    assert "results for 2 test pairs" in tenth[1].protocol
    found = values(whole)
    assert found["L1 over the input's"] == pytest.approx(found["L1"] / float(whole[0].protocol[-7:-1]), rel=0.01)
    model = untrained(network, "zoo.recipes.pix2pix:facades", 32)
    monkeypatch.setattr("zoo.load", lambda name: model)
    beside = pix2pix.evaluate(model, data, RANDOM, without_d="itself")
    assert values(beside) == {"FID over that without D": 1.0, **found, "FID without D": found["FID"]}


def test_figures_of_pairs_with_splits_stand_beside_those_of_real_images(tmp_path: Path) -> None:
    """What as many targets of the training split get is less than what noise gets."""
    for split, n in (("train", 12), ("test", 8)):
        for side, bright in (("a", 0), ("b", 40)):
            folder(tmp_path / split / side, n, 32, bright)
    network = Pix2Pix(size=32, width=4, widest=4, norm="instance").requires_grad_(False)
    model = untrained(network, "zoo.recipes.pix2pix:facades", 32)
    found = values(pix2pix.evaluate(model, Source([tmp_path]), RANDOM))
    assert 0 < found["FID of other real images"] < found["FID"] / 2


def test_labels_are_found_again_where_results_show_them() -> None:
    torch.manual_seed(0)
    colours = torch.tensor([[0, 0, 200], [200, 0, 0], [0, 200, 0]], dtype=torch.uint8)
    labels = colours[torch.randint(3, (40, 4, 4))].permute(0, 3, 1, 2).repeat_interleave(8, 2).repeat_interleave(8, 3)
    photos = 255 - labels.roll(1, 1)
    assert pix2pix._are_labels(labels)
    assert not pix2pix._are_labels(torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)), "a photo"
    train, test = (Pairs(labels[rows], photos[rows], []) for rows in (slice(32), slice(32, 40)))
    shown = test.b.float() / 255
    metrics = pix2pix._found_again(train, test, {"": shown, " of others": shown.roll(1, 0)}, steps=40)
    assert "whose label, of 3," in metrics[0].protocol
    found = values(metrics)
    assert found["labels found again"] > 0.9
    assert found["labels found again, mean of classes"] > 0.9
    assert found["labels found again of others"] < 0.5


def test_figures_of_two_kinds_without_pairs(tmp_path: Path) -> None:
    """A network that changes nothing leaves images as far from the other kind as they were."""
    data = Source([folder(tmp_path / "a", 12, 32), folder(tmp_path / "b", 14, 32, bright=60)])

    class Same(Model):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    found = values(cyclegan.evaluate(untrained(Same(), "", None), data, RANDOM))
    assert list(found)[:2] == ["FID over the inputs', test", "FID, test"]
    assert len(found) == 5, "data without splits are measured once"
    assert found["FID over the inputs', test"] == pytest.approx(1, abs=1e-3)
    assert found["KID, test"] == pytest.approx(found["KID of the inputs, test"], abs=1e-3)

    for split, n in (("train", 14), ("test", 12)):
        for side, bright in (("A", 0), ("B", 60)):
            folder(tmp_path / "split" / f"{split}{side}", n, 32, bright)
    found = values(cyclegan.evaluate(untrained(Same(), "", None), Source([tmp_path / "split"]), RANDOM))
    assert {name.rpartition(", ")[2] for name in found} == {"test", "train"}
    assert 0 < found["FID of real images, the floor, test"] < found["FID, test"] / 2


def on_card(metrics: list[Metric], package: str = "zoo") -> Entry:
    entry = untrained(DCGAN(size=16, channels=1, width=4), "", 16, 1).entry
    assert entry
    return replace(entry, package=package, metrics=tuple(metrics))


def said(found: list[Metric], entry: Entry) -> list[str]:
    return [str(row["card"]).split(":")[0] for row in verdicts.verdicts(found, entry)]


FIGURES = [
    Metric("KID", 0.02, "of 100 test images, by some features"),
    Metric("KID of real images", 0.01, "the same with training images", anchor=True),
    Metric("FID", 20.0, "over the same"),
]


def test_a_figure_is_compared_with_the_card_s_where_all_else_is_the_same() -> None:
    entry = on_card(FIGURES)
    assert said(FIGURES, entry) == ["match"] * 3
    worse = [FIGURES[0], FIGURES[1], replace(FIGURES[2], value=30.0)]
    assert said(worse, entry) == ["match", "match", "mismatch"]
    assert said([Metric("other", 1.0, "p")], entry) == ["not on the card"]


@pytest.mark.parametrize("changed", ["features", "data"])
def test_other_data_or_features_are_no_mismatch(changed: str) -> None:
    """Though the protocol of the figure itself, which refers to others, reads the same."""
    found = [*FIGURES[:2], replace(FIGURES[2], value=30.0)]
    if changed == "features":
        found[0] = replace(FIGURES[0], protocol="of 100 test images, by others")
    else:
        found[1] = replace(FIGURES[1], value=0.02)
    assert said(found, on_card(FIGURES))[2].startswith("the card has 20 and does not show")


def test_fingerprints_say_whether_all_else_is_the_same() -> None:
    card = [Metric("error", 1.0, "mean", fingerprint="aa")]
    for package in ("zoo", "zoo-blobs"):
        assert said([Metric("error", 2.0, "mean", fingerprint="aa")], on_card(card, package)) == ["mismatch"]
        (text,) = said([Metric("error", 2.0, "mean", fingerprint="bb")], on_card(card, package))
        assert text == "the card has 1 with other data, features, settings or weights"
    (text,) = said([Metric("error", 2.0, "mean", fingerprint="bb")], on_card([Metric("error", 1.0, "mean")], "blobs"))
    assert text.startswith("the card has 1 and does not show")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Frechet distance that takes no time: between the means alone."""
    for recipe in (dcgan, pix2pix):
        monkeypatch.setattr(recipe, "frechet_distance", lambda a, b: float((a.mean(0) - b.mean(0)).square().sum()))


@pytest.mark.usefixtures("quick")
def test_black_images_have_no_ratios(tmp_path: Path) -> None:
    """What would be divided by zero is no number; all other figures are there."""
    np.savez(tmp_path / "black.npz", x_train=np.zeros((12, 32, 32), np.uint8), x_test=np.zeros((8, 32, 32), np.uint8))
    data = Source([tmp_path / "black.npz"])
    found = {m.name: m.value for m in dcgan.evaluate(untrained_generator(), data, RANDOM)}
    assert np.isnan(found.pop("way from real to naive, by KID"))
    assert np.isfinite(list(found.values())).all()
    pairs = Source([tmp_path / "black.npz", tmp_path / "black.npz"])
    network = Pix2Pix(size=32, width=4, widest=4, norm="instance").requires_grad_(False)
    model = untrained(network, "zoo.recipes.pix2pix:facades", 32)
    found = {m.name: m.value for m in pix2pix.evaluate(model, pairs, RANDOM)}
    assert np.isnan(found.pop("L1 over the input's"))
    assert np.isfinite(list(found.values())).all()


def untrained_generator() -> Generator:
    model = untrained(DCGAN(size=32, channels=1, width=4), "", 32, 1)
    assert isinstance(model, Generator)
    return model


@pytest.mark.usefixtures("quick")
def test_data_without_splits_are_called_so(tmp_path: Path) -> None:
    found = dcgan.evaluate(untrained_generator(), Source([folder(tmp_path / "a", 8, 32)]), RANDOM)
    assert "against 8 unsplit images" in found[1].protocol
    assert not any("test images" in metric.protocol for metric in found)


def test_a_generator_of_other_classes_is_not_measured(tmp_path: Path) -> None:
    model = untrained(CDCGAN(classes=2, size=28, channels=1, width=4, latent=4), "", 28, 1)
    with pytest.raises(InputError, match="makes images of 0 classes and the data have 0: give data of the same"):
        cdcgan.evaluate(model, Source([folder(tmp_path / "a", 8, 28)]), RANDOM)  # type: ignore[arg-type]
