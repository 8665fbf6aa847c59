"""Figures are what their definitions say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from zoo import evaluation
from zoo.errors import InputError, WeightsError
from zoo.evaluation import Features


def test_kernel_distance() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b, far = (torch.randn(400, 8, generator=generator).double() for _ in range(3))
    assert abs(evaluation.kernel_distance(a, b)) < 0.02  # unbiased: about zero for one distribution
    assert evaluation.kernel_distance(a, far + 1) > 0.5
    small, other = a[:30], b[:20]
    kernel = lambda x, y: (x @ y.T / 8 + 1) ** 3  # noqa: E731 - as the definition is written
    off = lambda k: (k.sum() - k.trace()) / (len(k) * (len(k) - 1))  # noqa: E731
    wanted = off(kernel(small, small)) + off(kernel(other, other)) - 2 * kernel(small, other).mean()
    assert evaluation.kernel_distance(small, other) == pytest.approx(wanted.item())


def test_frechet_distance() -> None:
    a = torch.randn(5000, 4, generator=torch.Generator().manual_seed(0)).double()
    assert evaluation.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert evaluation.frechet_distance(a, a + 2) == pytest.approx(16)
    # Between N(0, C) and N(0, 9 C): the trace of C (1 - 3) ** 2.
    assert evaluation.frechet_distance(a, a * 3) == pytest.approx(
        4 * torch.cov(a.T).trace().item() + 4 * a.mean(0).pow(2).sum().item()
    )


def test_gaussian_samples_have_the_data_s_moments() -> None:
    train = torch.randn(3000, 1, 2, 2, generator=torch.Generator().manual_seed(0)) * 0.1 + 0.2
    train[:, 0, 0, 1] = train[:, 0, 0, 0]
    samples = evaluation.gaussian_samples(train, 3000).flatten(1)
    assert samples.mean(0).tolist() == pytest.approx([0.2] * 4, abs=0.02)
    assert torch.allclose(torch.cov(samples.T), torch.cov(train.flatten(1).T), atol=2e-3)


def test_pca_error_is_what_is_left() -> None:
    rng = np.random.default_rng(0)
    low = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 10))
    assert evaluation.pca_error(low, low, 3) == pytest.approx(0, abs=1e-12)
    assert evaluation.pca_error(low, low, 2) > 0.01


def test_the_classifier_learns() -> None:
    y = torch.arange(512) % 10
    x = torch.full((512, 1, 28, 28), -1.0)
    for i, label in enumerate(y.tolist()):
        x[i, 0, 2 * label : 2 * label + 4] = 1
    network = evaluation.train_classifier(x, y, epochs=6)
    with torch.inference_mode():
        assert (evaluation.classify(network, x) == y).float().mean() > 0.9


def test_both_distances_are_those_of_torchmetrics() -> None:
    from torchmetrics.image.kid import poly_mmd

    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(300, 8, generator=generator).double(), torch.randn(200, 8, generator=generator).double() + 0.3
    assert evaluation.kernel_distance(a, b) == pytest.approx(float(poly_mmd(a[:200], b)), rel=0.5)
    assert evaluation.kernel_distance(a[:200], b) == pytest.approx(float(poly_mmd(a[:200], b)))


def test_diversity_falls_when_samples_become_alike() -> None:
    x = torch.randn(50, 8, generator=torch.Generator().manual_seed(0)).double()
    assert evaluation.diversity(x * 0.5) == pytest.approx(evaluation.diversity(x) / 2)
    assert evaluation.diversity(x[:1].expand(50, -1)) == 0


def test_luma_is_matlab_s() -> None:
    colours = torch.tensor([[0.0, 0, 0], [255, 255, 255], [255, 0, 0]]).T[None, :, :, None]
    assert evaluation.luma(colours).flatten().tolist() == pytest.approx([16, 235, 81.481])


def test_psnr_and_ssim() -> None:
    x = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 200
    assert evaluation.psnr(x, x + 5) == pytest.approx(20 * np.log10(255 / 5), abs=1e-3)
    assert evaluation.ssim(x, x) == pytest.approx(1)
    assert evaluation.ssim(x, x.flip(3)) < 0.5


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
    assert "bfloat16" in features.at(96, fast=True).protocol
    assert "32 px" in features.protocol


@pytest.mark.parametrize("kind", ["random", "mobilenet"])
def test_perceptual_distance_grows_with_noise_and_has_gradients(kind: str, mobilenet: Path) -> None:
    features = Features("random" if kind == "random" else mobilenet)
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(0, 6, 64), torch.linspace(0, 9, 64), indexing="ij")
    clean = (x.sin() * y.cos())[None, None].expand(1, 3, -1, -1)
    noise = torch.randn_like(clean)
    distances = [float(evaluation.perceptual_distance(clean + s * noise, clean, features)) for s in (0, 0.05, 0.2)]
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert distances[0] < distances[1] < distances[2]
    rough = (clean + 0.1 * noise).requires_grad_()
    evaluation.perceptual_distance(rough, clean, features).sum().backward()
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

    def offline(*args: object, **options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("timm.create_model", offline)
    with pytest.raises(WeightsError, match="cannot be downloaded: name a file with --features"):
        Features("mobilenetv2_100")
    assert evaluation.default_features().source == "random"
