"""Figures are what their definitions say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_training import RANDOM, folder, tiles

import zoo
from zoo.backends.optimize import has_bfloat16
from zoo.data.source import Pairs, Source
from zoo.errors import InputError, WeightsError
from zoo.metrics import (
    attributes,
    baselines,
    classifier,
    distribution,
    fidelity,
    protocols,
    suites,
    verdicts,
    wording,
)
from zoo.metrics.features import Features, default_features, default_judges
from zoo.model import Generator, Model
from zoo.models.biggan import BigGAN
from zoo.models.cdcgan import CDCGAN
from zoo.models.dcgan import DCGAN
from zoo.models.gan import GAN
from zoo.models.pix2pix import Pix2Pix
from zoo.models.progan import ProGAN
from zoo.models.srgan import SRGAN
from zoo.recipes import biggan, cdcgan, conv_ae, cyclegan, dcgan, gan, pix2pix, progan, srgan
from zoo.registry.datasets import datasets
from zoo.registry.facts import Condition, Entry, Format, Metric
from zoo.registry.index import registry


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
    assert [x.source for x in default_judges()] == ["random"]


def untrained(network: Model, size: int | None, channels: int = 3, scale: int = 1) -> Model:
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
    )
    return network.eval()


def values(metrics: Sequence[Metric]) -> dict[str, float]:
    """Figures and baselines by ``protocol`` and ``protocol baseline``, with random features at 32 px left out of it."""
    figures: dict[str, float] = {}
    for metric in metrics:
        assert protocols.protocol(metric.protocol), metric
        name = metric.protocol.replace("-random-32", "")
        figures[name] = metric.value
        figures |= {f"{name} {key}": value for key, value in metric.baselines.items()}
    assert np.isfinite(list(figures.values())).all()
    return figures


def test_figures_of_a_generator(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = (np.linspace(0, 255, 28)[None, :, None] * rng.random((250, 1, 1)) + np.zeros((1, 1, 28))).astype(np.uint8)
    y = np.arange(250) % 10
    np.savez(tmp_path / "data.npz", x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
    network = untrained(DCGAN(size=28, channels=1, width=4), 28, 1)
    found = values(dcgan.evaluate(network, Source([tmp_path / "data.npz"]), [RANDOM]))  # type: ignore[arg-type]
    assert found["kid real"] < found["kid gaussian"]
    assert found["fid real"] < found["fid"]
    assert 0 <= found["rarest-class-share"] <= found["rarest-class-share uniform"] == 0.1


def halves(has: torch.Tensor, seed: int) -> torch.Tensor:
    """Images ``(N, 1, 16, 16)`` with noise, whose left and right half are bright where they have an attribute."""
    shades = (has.float() * 2 - 1)[:, None, None, :].repeat_interleave(8, 3).expand(-1, 1, 16, -1) * 0.5
    return shades + 0.1 * torch.randn(shades.shape, generator=torch.Generator().manual_seed(seed))


def test_samples_have_attributes_as_often_and_in_as_many_combinations() -> None:
    train = torch.randint(2, (600, 2), generator=torch.Generator().manual_seed(0))
    test = torch.arange(4).repeat(5)[:, None] // torch.tensor([1, 2]) % 2  # all combinations, five times

    def measured(samples: torch.Tensor) -> list[tuple[float, float]]:
        rows = attributes.diversity_metrics(halves(train, 1), train, halves(samples, 2), halves(test, 3), split="test")
        assert [row.protocol for row in rows] == ["attribute-shares", "attribute-entropy", "attribute-combinations"]
        assert all(protocols.protocol(row.protocol) and row.n == 20 for row in rows)
        return [(row.value, row.baselines["real"]) for row in rows]

    shares, entropy, combinations = measured(test)
    assert shares[0] == shares[1] < 0.05
    assert entropy == (1, 1)
    assert combinations == (0.2, 0.2)
    shares, entropy, combinations = measured(torch.ones_like(test) * torch.tensor([1, 0]))
    assert 0.45 < shares[0] < 0.55
    assert (entropy[0], combinations[0]) == (0, 0.05)


def test_figures_of_a_generator_that_grew(tmp_path: Path) -> None:
    has = torch.randint(2, (120, 2), generator=torch.Generator().manual_seed(0))
    x = ((halves(has, 0).expand(-1, 3, -1, -1) + 1) * 127).clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    arrays = {"x_train": x[:100], "x_test": x[100:]}
    np.savez(tmp_path / "plain.npz", **arrays)
    names = {"attributes_train": has[:100], "attributes_test": has[100:], "attribute_names": ["left", "right"]}
    np.savez(tmp_path / "named.npz", **arrays, **names)
    network = untrained(ProGAN(3, 8, (8, 8, 4)), 16, 3)
    plain, named = (
        progan.evaluate(network, Source([tmp_path / f"{which}.npz"]), [RANDOM])  # type: ignore[arg-type]
        for which in ("plain", "named")
    )
    assert [row.metric for row in plain] == ["kid", "fid", "nearest-distance-ratio", "membership-auroc"]
    found = values(named)
    assert found["kid"] > found["kid gaussian"]
    assert found["nearest-distance-ratio"] == pytest.approx(1, abs=0.1)
    assert found["attribute-combinations real"] == 0.2


def test_figures_of_the_first_gan(tmp_path: Path) -> None:
    """The share of each class, and what the samples say of the training images."""
    x = np.random.default_rng(0).integers(0, 255, (250, 28, 28), dtype=np.uint8)
    y = np.arange(250) % 10
    np.savez(tmp_path / "data.npz", x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
    network = untrained(GAN(widths=(8,), latent=4), 28, 1)
    rows = gan.evaluate(network, Source([tmp_path / "data.npz"]), [RANDOM])  # type: ignore[arg-type]
    shares = {row.settings["class"]: row.value for row in rows if row.metric == "class-share"}
    assert list(shares) == [str(number) for number in range(10)]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    found = values(rows)
    assert found["rarest-class-share"] == min(shares.values())
    assert found["nearest-distance-ratio"] == pytest.approx(1, abs=0.05)
    assert found["membership-auroc"] == pytest.approx(0.5, abs=0.15)
    assert "synthetic-accuracy" not in found


def test_figures_of_a_generator_of_classes(tmp_path: Path) -> None:
    """Samples that are right by chance only, and then always."""
    x = np.zeros((300, 28, 28), np.uint8)
    y = np.arange(300) % 2
    x[y == 1] = 200
    x += np.random.default_rng(0).integers(0, 50, x.shape, dtype=np.uint8)
    np.savez(tmp_path / "data.npz", x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
    data = Source([tmp_path / "data.npz"])
    network = CDCGAN(classes=2, size=28, channels=1, width=4, latent=4)
    model = untrained(network, 28, 1)
    assert model.entry
    model.entry = replace(model.entry, conditions=(Condition("digit", "choice", (0, 1)),))
    assert values(cdcgan.evaluate(model, data, [RANDOM]))["class-accuracy"] < 0.7  # type: ignore[arg-type]

    def perfect(z: torch.Tensor, digit: torch.Tensor | None = None) -> torch.Tensor:
        shade = z[:, 0].sign() if digit is None else digit * 2.0 - 1
        return shade[:, None, None, None].expand(-1, 1, 28, 28)

    network.decode = perfect  # type: ignore[method-assign]
    found = values(cdcgan.evaluate(model, data, [RANDOM]))  # type: ignore[arg-type]
    assert found["class-accuracy"] == found["class-accuracy-worst"] == 1.0
    assert found["synthetic-accuracy"] == found["synthetic-accuracy real"] == 1.0
    assert found["membership-auroc"] == pytest.approx(0.5, abs=0.1)


def test_kinds_by_a_linear_classifier() -> None:
    """Right samples, wrong ones, and halves of both; real images stand beside them."""
    labels = torch.arange(80) % 2
    x = (labels * 1.0 - 0.5)[:, None, None, None] + 0.2 * torch.randn(80, 3, 16, 16)
    for asked, share in ((labels, 1.0), (1 - labels, 0.0), (torch.arange(80) // 2 % 2, 0.5)):
        accuracy, worst = suites.kind_metrics(x, asked, (x[:40], labels[:40]), (x[40:], labels[40:]), [RANDOM])
        assert accuracy.protocol == "class-accuracy-random-32"
        assert worst.protocol == "class-accuracy-worst-random-32"
        assert (accuracy.value, worst.value, accuracy.baselines) == (share, share, {"real": 1.0})


def test_precision_is_fidelity_and_recall_diversity() -> None:
    torch.manual_seed(0)
    real, other = torch.randn(2, 300, 8).double()
    near, far = distribution.precision_recall(0.3 * other, real), distribution.precision_recall(other + 9, real)
    assert near[0] > 0.98 and near[1] < 0.05 and far == (0, 0)
    assert min(distribution.precision_recall(other, real)) > 0.7
    line = torch.arange(5)[:, None].double()
    assert distribution.precision_recall(line + 0.5, line, k=1) == (1, 1)
    assert distribution.precision_recall(line + 4.5, line, k=1) == (0.2, 0.2)
    with pytest.raises(InputError, match="need 4 or more images"):
        distribution.precision_recall(line, line[:3])


def test_figures_of_photos_of_a_kind(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name, bright in (("cat", 0), ("dog", 100)):
            folder(tmp_path / split / name, 10, bright=bright)
    model = untrained(BigGAN(2, 3, 4, 4, (8, 4, 4)), 16, 3)
    assert model.entry
    conditions = (Condition("kind", "choice", ("cat", "dog")), Condition("truncation", "number", default=1))
    model.entry = replace(model.entry, conditions=conditions)
    rows = biggan.evaluate(model, Source([tmp_path]), [RANDOM])  # type: ignore[arg-type]
    assert {"kid", "fid", "class-accuracy", "class-accuracy-worst", "membership-auroc"} <= {row.metric for row in rows}
    curve = [row for row in rows if row.metric in ("precision", "recall")]
    assert [row.settings for row in curve] == [{"truncation": t} for t in biggan.TRUNCATIONS for _ in range(2)]
    assert all(row.protocol == f"{row.metric}-random-32" and "real" in row.baselines for row in curve)


def test_figures_of_enlarged_photos(tmp_path: Path) -> None:
    """A network that does nothing yet is bilinear enlargement: near to bicubic, and no better."""
    tiles(tmp_path / "Tiles", 2, 64)
    network = SRGAN(width=4, blocks=1, over_bilinear=True)
    torch.nn.init.zeros_(network.tail.weight)
    torch.nn.init.zeros_(network.tail.bias)  # type: ignore[arg-type]
    network.requires_grad_(False)
    found = values(srgan.evaluate(untrained(network, None, scale=4), Source([tmp_path / "Tiles"]), [RANDOM]))
    assert found["psnr-y-x4"] < found["psnr-y-x4 bicubic"] < found["psnr-y-x4"] + 2
    assert found["ssim-y-x4"] < found["ssim-y-x4 bicubic"]
    assert found["perceptual-random-x4"] > 0


def test_figures_of_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        folder(tmp_path / name, 20, 32, bright=0 if name == "a" else 40)
    data = Source([tmp_path / "a", tmp_path / "b"])
    network = Pix2Pix(size=32, width=4, widest=4, norm="instance").requires_grad_(False)
    model = untrained(network, 32)
    whole = pix2pix.evaluate(model, data, [RANDOM])
    assert {(metric.split, metric.n) for metric in whole} == {("unsplit", 20)}
    tenth = pix2pix.evaluate_emoji(model, data, [RANDOM])
    assert {(metric.split, metric.n) for metric in tenth} == {("test", 2)}
    found = values(whole)
    assert 0 < found["l1 input"] < 1
    monkeypatch.setattr("zoo.load", lambda name: model)
    beside = values(pix2pix.evaluate(model, data, [RANDOM], without_d="itself"))
    assert beside == {**found, **{f"{name} l1_alone": found[name] for name in ("kid", "fid", "l1")}}


def test_figures_of_pairs_with_splits_stand_beside_those_of_real_images(tmp_path: Path) -> None:
    """What as many targets of the training split get is less than what noise gets."""
    for split, n in (("train", 12), ("test", 8)):
        for side, bright in (("a", 0), ("b", 40)):
            folder(tmp_path / split / side, n, 32, bright)
    network = Pix2Pix(size=32, width=4, widest=4, norm="instance").requires_grad_(False)
    model = untrained(network, 32)
    found = values(pix2pix.evaluate(model, Source([tmp_path]), [RANDOM]))
    assert 0 < found["fid real"] < found["fid"] / 2


def test_pixels_have_the_labels_that_results_show() -> None:
    torch.manual_seed(0)
    colours = torch.tensor([[0, 0, 200], [200, 0, 0], [0, 200, 0]], dtype=torch.uint8)
    labels = colours[torch.randint(3, (40, 4, 4))].permute(0, 3, 1, 2).repeat_interleave(8, 2).repeat_interleave(8, 3)
    photos = 255 - labels.roll(1, 1)
    assert pix2pix._are_labels(labels)
    assert not pix2pix._are_labels(torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)), "a photo"
    train, test = (Pairs(labels[rows], photos[rows], []) for rows in (slice(32), slice(32, 40)))
    shown = test.b.float() / 255
    found = values(pix2pix._pixel_accuracy(train, test, {"": shown, "others": shown.roll(1, 0)}, steps=40))
    assert found["pixel-accuracy"] > 0.9
    assert found["pixel-accuracy-class-mean"] > 0.9
    assert found["pixel-accuracy others"] < 0.5


def test_figures_of_two_kinds_without_pairs(tmp_path: Path) -> None:
    """A network that changes nothing leaves images as far from the other kind as they were."""
    data = Source([folder(tmp_path / "a", 12, 32), folder(tmp_path / "b", 14, 32, bright=60)])

    class Same(Model):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    found = cyclegan.evaluate(untrained(Same(), None), data, [RANDOM])
    assert [metric.metric for metric in found] == ["kid", "fid"], "data without splits are measured once"
    assert values(found)["fid"] == pytest.approx(values(found)["fid input"], rel=1e-3)
    assert values(found)["kid"] == pytest.approx(values(found)["kid input"], abs=1e-3)

    for split, n in (("train", 14), ("test", 12)):
        for side, bright in (("A", 0), ("B", 60)):
            folder(tmp_path / "split" / f"{split}{side}", n, 32, bright)
    found = cyclegan.evaluate(untrained(Same(), None), Source([tmp_path / "split"]), [RANDOM])
    assert {metric.split for metric in found} == {"test", "train"}
    assert found[0].settings == {"size": 128, "references": 12}
    figures = values([metric for metric in found if metric.split == "test"])
    assert 0 < figures["fid real"] < figures["fid"] / 2


def test_every_extractor_measures_and_is_named_in_the_protocol(mobilenet: Path) -> None:
    a, b = (torch.rand(6, 3, 16, 16) * 2 - 1 for _ in range(2))
    features = [RANDOM, Features(mobilenet, size=32)]
    rows = suites.distances(a, b, features, {"input": b}, split="test")
    assert [row.protocol for row in rows] == [
        "kid-random-32",
        "fid-random-32",
        "kid-mobilenetv2-32",
        "fid-mobilenetv2-32",
    ]
    assert [row.features for row in rows] == [x.fingerprint for x in features for _ in range(2)]
    assert all(row.baselines["input"] <= row.value and row.n == 6 for row in rows)


@pytest.mark.parametrize("extractor", ["mobilenetv2", "efficientnet-lite0"])
def test_a_file_of_weights_is_known_by_its_tensors(tmp_path: Path, extractor: str) -> None:
    """In float16, too, and whatever the file is called."""
    import timm
    from safetensors.torch import save_file

    known = protocols.EXTRACTORS[extractor]
    network = timm.create_model(known.timm, **known.options)
    save_file({key: x.half() for key, x in network.state_dict().items()}, tmp_path / "x.safetensors")
    features = Features(tmp_path / "x.safetensors", size=32)
    assert (features.id, features.name) == (extractor, known.name)
    assert features(torch.zeros(1, 3, 32, 32)).shape == (1, 1280)


ROW = Metric("kid", 0.02, "", "kid-random-224", "mine", "test", 100, 0, features="aa", data="bb", weights="cc")


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({"value": 0.0201}, "match: the card has 0.02"),
        ({"value": 0.03}, "mismatch: the card has 0.02"),
        ({"value": 0.03, "note": "other words", "baselines": {"real": 1.0}}, "mismatch: the card has 0.02"),
        ({"value": 0.03, "features": ""}, "mismatch: the card has 0.02"),
        ({"n": 50}, "the card has 0.02, of which these differ: number of images"),
        ({"seed": 1, "split": "train"}, "the card has 0.02, of which these differ: split, seed"),
        ({"features": "dd"}, "the card has 0.02, of which these differ: weights of the feature extractor"),
        ({"data": "dd"}, "the card has 0.02, of which these differ: images"),
        ({"settings": {"size": 64}}, "the card has 0.02, of which these differ: settings"),
        ({"protocol": "kid-mobilenetv2-224"}, "not on the card"),
    ],
    ids=str,
)
def test_a_verdict_compares_identifiers_and_parameters(changed: dict[str, Any], verdict: str) -> None:
    (said,) = verdicts.verdicts([replace(ROW, **changed)], [replace(ROW, dataset="other", value=9), ROW])
    assert said["card"] == verdict
    assert said["verdict"] == {"ma": "match", "mi": "mismatch", "no": "new", "th": "other"}[verdict[:2]]


def test_figures_in_words() -> None:
    row = replace(ROW, dataset="fashion-mnist", n=10_000, baselines={"real": -0.00004, "l1_alone": 2.0})
    assert wording.in_one_line(row) == ("0.02 (real -0.00004, l1 alone 2), Fashion-MNIST test, 10,000 images, seed 0")
    noted = replace(row, note="sandals are blurred, dark ones most")
    assert wording.measured_on(noted) == (
        "Fashion-MNIST test, 10,000 images, seed 0; sandals are blurred, dark ones most"
    )
    psnr = Metric("psnr", 31.3, protocol="psnr-y-x4")
    assert (wording.name(psnr), wording.value(psnr), wording.better(psnr)) == ("PSNR", "31.3 dB", "higher")
    assert "4 times smaller" in wording.sentence(psnr)
    own = Metric("roundness", 0.5, "by eye")
    assert (wording.name(own), wording.sentence(own), wording.in_one_line(own)) == ("roundness", "by eye", "0.5")
    assert wording.by_protocol([row, psnr, row]) == [[row, row], [psnr]]


def test_a_card_says_which_extractor_had_a_part_in_training() -> None:
    entry = untrained(DCGAN(size=16, channels=1, width=4), 16, 1).entry
    assert entry
    judged = [replace(ROW, protocol=f"kid-{x}-224") for x in ("mobilenetv2", "efficientnet-lite0")]
    assert wording.training_note(replace(entry, metrics=judged)) == ""
    seen = {"loss": "mobilenetv2", "selection": "mobilenetv2"}
    assert wording.training_note(replace(entry, extractors=seen)) == ""
    assert wording.training_note(replace(entry, extractors=seen, metrics=judged)) == (
        "MobileNetV2 had a part in training: a loss or a discriminator looked through it, and the weights were chosen "
        "by it. Distances by it flatter this model. EfficientNet-Lite0 had none."
    )


@pytest.mark.parametrize("entry", [e for e in registry().entries.values() if e.package == "zoo"], ids=lambda e: e.name)
def test_rows_of_the_zoos_cards(entry: Entry) -> None:
    """Each has a protocol and a data set that are explained, and was measured on the weights that are there."""
    for row in entry.metrics:
        known = protocols.protocol(row.protocol)
        assert known and known.better and known.sentence.endswith(".")
        assert row.metric.split("-")[0] in row.protocol
        assert row.dataset in datasets()
        assert row.split in ("test", "train") and row.n
        assert row.baselines.keys() <= protocols.BASELINES.keys()
        assert row.weights == (entry.sha256 or "")[:8]
        assert bool(row.features) == bool(known.extractor)
    keys = [(row.protocol, row.dataset, row.split, *row.settings.items()) for row in entry.metrics]
    assert len(set(keys)) == len(keys)
    if "kid-efficientnet-lite0-224" in (row.protocol for row in entry.metrics):
        assert "efficientnet-lite0" not in entry.extractors.values(), "it judges, so it may not train"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Frechet distance that takes no time: between the means alone."""
    monkeypatch.setattr(suites, "frechet_distance", lambda a, b: float((a.mean(0) - b.mean(0)).square().sum()))


@pytest.mark.usefixtures("quick")
def test_black_images_have_figures(tmp_path: Path) -> None:
    np.savez(tmp_path / "black.npz", x_train=np.zeros((12, 32, 32), np.uint8), x_test=np.zeros((8, 32, 32), np.uint8))
    values(dcgan.evaluate(untrained_generator(), Source([tmp_path / "black.npz"]), [RANDOM]))
    pairs = Source([tmp_path / "black.npz", tmp_path / "black.npz"])
    network = Pix2Pix(size=32, width=4, widest=4, norm="instance").requires_grad_(False)
    values(pix2pix.evaluate(untrained(network, 32), pairs, [RANDOM]))


def untrained_generator() -> Generator:
    model = untrained(DCGAN(size=32, channels=1, width=4), 32, 1)
    assert isinstance(model, Generator)
    return model


@pytest.mark.usefixtures("quick")
def test_data_without_splits_are_called_so(tmp_path: Path) -> None:
    found = dcgan.evaluate(untrained_generator(), Source([folder(tmp_path / "a", 8, 32)]), [RANDOM])
    assert {metric.split for metric in found} == {"unsplit"}


def test_a_generator_of_other_classes_is_not_measured(tmp_path: Path) -> None:
    model = untrained(CDCGAN(classes=2, size=28, channels=1, width=4, latent=4), 28, 1)
    with pytest.raises(InputError, match="makes images of 0 classes and the data have 0: give data of the same"):
        cdcgan.evaluate(model, Source([folder(tmp_path / "a", 8, 28)]), [RANDOM])  # type: ignore[arg-type]


def test_conv_ae_finds_its_classes(tmp_path: Path) -> None:
    """Bright and dark images of two classes; without classes there is no figure."""
    rng = np.random.default_rng(0)
    shades = {"train": np.arange(40) % 2, "test": np.arange(10) % 2}
    images = {
        f"x_{split}": (rng.integers(0, 30, (len(y), 28, 28)) + 200 * y[:, None, None]).astype(np.uint8)
        for split, y in shades.items()
    }
    model = zoo.load("conv-ae.fashion-mnist")
    np.savez(tmp_path / "plain.npz", **images)
    assert [row.metric for row in conv_ae.evaluate(model, Source([tmp_path / "plain.npz"]))] == ["mse"]
    np.savez(tmp_path / "data.npz", **images, **{f"y_{split}": y for split, y in shades.items()})
    _, row = conv_ae.evaluate(model, Source([tmp_path / "data.npz"]), [RANDOM])
    assert (row.protocol, row.n, row.value) == ("precision-10", 10, 1)
    assert set(row.baselines) == {"pixels", "pca", "random"}
    assert protocols.protocol(row.protocol).name == "precision of 10 nearest"
