"""Recipes run, resume to the same result, and keep the best; figures are what their definitions say."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import picture
from safetensors.torch import load_file
from torch import Tensor

from zoo import evaluation
from zoo.models.conv_ae import ConvAE
from zoo.recipes import conv_ae, dcgan
from zoo.training import Average, Run, batch_indices, read_npz, read_zip, save_weights, to_tensor


def tiny_fashion(folder: Path, n: int = 300) -> Path:
    gains = np.random.default_rng(0).random((n, 1, 1))
    x = (gains * np.linspace(0, 255, 28)[None, :, None] + np.zeros((1, 1, 28))).astype(np.uint8)
    y = np.arange(n) % 10
    np.savez(folder / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return folder / "data.npz"


def small_run(out: Path, stop_at: int | None = None) -> None:
    """An autoencoder for 50 steps; `stop_at` breaks it off as ctrl-C would."""
    torch.manual_seed(0)
    network = ConvAE(size=8, channels=1, code=4, patch=2, widths=(8, 8))
    pictures = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    calls = 0

    def augment(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if stop_at and calls > stop_at:
            raise KeyboardInterrupt
        return (x + 0.01 * torch.randn_like(x)).clamp(-1, 1)

    conv_ae.train(network, pictures, pictures[:16], augment, out, steps=50, batch=16, rate=1e-2, minutes=None)


def test_a_broken_run_continues_to_the_same_weights(tmp_path: Path) -> None:
    small_run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        small_run(tmp_path / "broken", stop_at=30)
    assert (tmp_path / "broken" / "model.safetensors").exists()
    small_run(tmp_path / "broken")
    whole, broken = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "broken"))
    assert all(torch.equal(whole[key], broken[key]) for key in whole)
    log = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["best"] < log[0]["best"]
    assert log[-1]["best"] == min(line["figure"] for line in log)


def test_a_run_out_of_time_is_saved(tmp_path: Path) -> None:
    network = torch.nn.Linear(1, 1)
    run = Run(tmp_path, steps=10**9, parts={"network": network}, minutes=0.001)
    for _ in run:
        pass
    assert 0 < run.step < 10**9
    assert Run(tmp_path, steps=10**9, parts={"network": network}).step == run.step


def test_the_conv_ae_recipe_for_fashion(tmp_path: Path) -> None:
    conv_ae.fashion_mnist(tiny_fashion(tmp_path, 1200), tmp_path / "run", steps=2)
    assert (tmp_path / "run" / "model.safetensors").stat().st_mode & 0o044 == 0o044


def test_the_conv_ae_recipe_for_flowers(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "flowers.zip", "w") as file:
        names = [f"daisy/{i}.png" for i in range(80)]
        for name in names:
            picture(128, 128).save(tmp_path / "one.png")
            file.write(tmp_path / "one.png", name)
        rows = "\n".join(f"{name},daisy,train,white,x" for name in names)
        file.writestr("labels.csv", f"file,class,split,colour,caption\n{rows}\n")
    conv_ae.flowers(tmp_path / "flowers.zip", tmp_path / "run", steps=2)
    assert load_file(tmp_path / "run" / "model.safetensors")["linear_encoder.weight"].dtype == torch.float16
    assert read_zip(tmp_path / "flowers.zip", names[:2], 64).shape == (2, 64, 64, 3)


def test_the_dcgan_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dcgan, "mobilenet_features", lambda *args, **kwargs: lambda x: x.flatten(1)[:, ::40].double())
    dcgan.fashion_mnist(tiny_fashion(tmp_path), tmp_path / "run", Path("unused"), steps=3)
    state = load_file(tmp_path / "run" / "model.safetensors")
    assert all(torch.isfinite(value).all() for value in state.values())
    settled = state["main.1.running_var"]
    assert not torch.equal(settled, torch.ones_like(settled))


def test_crops_are_in_range_and_differ() -> None:
    torch.manual_seed(0)
    photos = torch.from_numpy(np.asarray(picture(128, 128)).transpose(2, 0, 1).copy())[None].repeat(4, 1, 1, 1)
    views = conv_ae.crops(photos)
    assert views.shape == (4, 3, 64, 64)
    assert views.abs().max() <= 1
    assert (views[0] - views[1]).abs().mean() > 0.01


def test_batches_go_through_all_data_and_depend_on_the_step_alone() -> None:
    epoch = torch.cat([batch_indices(step, 100, 20, seed=0) for step in range(5)])
    assert sorted(epoch.tolist()) == list(range(100))
    assert torch.equal(batch_indices(7, 100, 20, seed=0), batch_indices(7, 100, 20, seed=0))
    assert not torch.equal(batch_indices(5, 100, 20, seed=0), epoch[:20])


def test_average_follows_slowly_and_copies_buffers() -> None:
    network = torch.nn.BatchNorm1d(2)
    average = Average(network, decay=0.9)
    with torch.no_grad():
        network.weight += 1
        network.running_mean += 5  # type: ignore[operator]
    average.update(network, step=1000)
    assert average.network.weight.tolist() == pytest.approx([1.1, 1.1])
    assert average.network.running_mean.tolist() == [5, 5]


def test_data_files(tmp_path: Path) -> None:
    import lzma

    path = tiny_fashion(tmp_path)
    (tmp_path / "data.npz.xz").write_bytes(lzma.compress(path.read_bytes(), preset=0))
    assert np.array_equal(read_npz(path)["x_train"], read_npz(tmp_path / "data.npz.xz")["x_train"])
    tensor = to_tensor(read_npz(path)["x_train"])
    assert tensor.shape == (300, 1, 28, 28)
    assert tensor.min() == -1


def test_saved_weights_are_float16(tmp_path: Path) -> None:
    save_weights(torch.nn.BatchNorm2d(3), tmp_path / "a.safetensors")
    assert {str(t.dtype) for t in load_file(tmp_path / "a.safetensors").values()} == {"torch.float16", "torch.int64"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


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


def test_mobilenet_features_ignore_the_classifier_and_take_grey(tmp_path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = timm.create_model("mobilenetv2_100", pad_type="same")
    save_file(network.state_dict(), tmp_path / "m.safetensors")
    grey = torch.rand(3, 1, 28, 28) * 2 - 1
    features = evaluation.mobilenet_features(tmp_path / "m.safetensors", size=32)
    assert features(grey).shape == (3, 1280)
    assert torch.allclose(features(grey), features(grey.expand(-1, 3, -1, -1)))
