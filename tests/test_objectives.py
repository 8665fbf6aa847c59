"""Objectives are patterns: they train samples of any number of axes, batches by role, and any sum of terms."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from test_training import RANDOM, folder, run, tiny_biggan, tiny_progan
from torch import Tensor, nn
from torch.optim import Adam

import zoo
from zoo.data.batch import ArrayBatches, Batch
from zoo.data.source import ImageSet, Pairs, Source
from zoo.errors import InputError
from zoo.model import Autoencoder, Generator
from zoo.models.biggan import BigGAN
from zoo.models.progan import EqualizedConv2d, ProGAN, as_grown
from zoo.models.vae import VAE, Flow
from zoo.recipes import conv_ae, progan
from zoo.training.adversary import Adversary
from zoo.training.discriminators import GrowingDiscriminator, PatchDiscriminator
from zoo.training.generation import Generation
from zoo.training.growing import Growing, grown_at
from zoo.training.objective import TrainableNetwork, to_images
from zoo.training.reconstruction import Reconstruction
from zoo.training.runtime import Runtime
from zoo.training.selection import PSNR
from zoo.training.terms import L1, Adversarial, Checkerboard, Perceptual
from zoo.training.translation import Translation
from zoo.training.variational import kl_divergence, sample


def trainable(network: nn.Module, lr: float = 1e-2) -> TrainableNetwork:
    return TrainableNetwork(network, Adam(network.parameters(), lr))


def tones(n: int = 32) -> Tensor:
    """Sine waves ``(n, 1, 64)`` of several frequencies."""
    frequency = torch.linspace(1, 6, n)[:, None, None]
    return torch.sin(frequency * torch.linspace(0, 6, 64)) * 0.8


class SoundAE(Autoencoder):
    """Toy: sound ``(N, 1, T)`` through maps of a quarter of its length."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv1d(1, 8, 8, stride=4, padding=2), nn.BatchNorm1d(8), nn.Tanh())
        self.up = nn.ConvTranspose1d(8, 1, 8, stride=4, padding=2)

    def encode(self, x: Tensor) -> Tensor:
        return self.down(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.up(z)


class SoundGenerator(Generator):
    """Toy: sound ``(N, 1, 64)``, with batch norm."""

    latent_shape = (4,)

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 8 * 16)
        self.up = nn.Sequential(nn.BatchNorm1d(8), nn.ReLU(), nn.ConvTranspose1d(8, 1, 8, stride=4, padding=2))

    def decode(self, z: Tensor) -> Tensor:
        return torch.tanh(self.up(self.linear(z).unflatten(1, (8, 16))))


def drawing(sound: Tensor) -> zoo.Images:
    """Sound ``(N, 1, T)`` as images of one row of pixels."""
    return to_images(sound[:, :, None])


def test_an_autoencoder_of_sound_trains(tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = ArrayBatches({"target": tones()})
    objective = Reconstruction(
        {}, trainable(SoundAE()), data, ArrayBatches({"target": tones(6)}), batch_size=8, steps=40, show=drawing
    )
    finished = run(objective, tmp_path / "run")
    assert finished.train()
    assert objective.counts() == [32]
    assert finished.log[-1]["metric"] < 0.5 * finished.log[0]["metric"]
    assert finished.log[-1]["loss"] < 0.5 * finished.log[0]["loss"]
    assert (tmp_path / "run" / "samples.png").exists()


def test_a_gan_of_sound_trains(tmp_path: Path) -> None:
    torch.manual_seed(0)
    d = nn.Sequential(nn.Conv1d(1, 8, 8, stride=4), nn.LeakyReLU(0.2), nn.Flatten(), nn.LazyLinear(1))
    d(tones())
    spectrum: Any = SimpleNamespace(  # what sounds are compared by
        to=lambda device: None, protocol="spectra", name="spectra"
    )
    features: Any = type("Spectra", (), {"__call__": lambda self, x: torch.fft.rfft(x.flatten(1)).abs().double()})()
    features.__dict__.update(vars(spectrum))
    objective = Generation(
        {},
        trainable(SoundGenerator(), 2e-3),
        trainable(d, 2e-3),
        ArrayBatches({"target": tones()}),
        features=features,
        loss="wasserstein",
        gradient_penalty=10.0,
        n_samples=16,
        batch_size=8,
        steps=20,
        show=drawing,
    )
    before = objective.networks["g"].network.linear.weight.clone()  # type: ignore[union-attr, operator]
    finished = run(objective, tmp_path / "run")
    assert finished.train()
    assert not torch.equal(before, objective.networks["g"].network.linear.weight)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"augment takes images \(N, C, H, W\), not samples with 3 axes"):
        Adversary(trainable(d), augment="flip").update(objective.runtime, tones(), tones())


def test_only_images_and_2d_convolutions_are_channels_last() -> None:
    runtime = Runtime("fp32", "cpu")
    for network in (nn.Conv1d(3, 8, 3), nn.Conv3d(3, 8, 3), nn.Conv2d(3, 8, 3)):
        runtime.place(network)
    assert network.weight.is_contiguous(memory_format=torch.channels_last)
    for shape in ((2, 3, 8), (2, 3, 8, 8, 8), (2, 3, 8, 8)):
        assert torch.equal(runtime.to_device(x := torch.rand(shape)), x)
    assert runtime.to_device(torch.rand(2, 3, 8, 8)).is_contiguous(memory_format=torch.channels_last)


def test_roles_are_drawn_together() -> None:
    images = torch.randint(256, (10, 3, 4, 4), dtype=torch.uint8)
    data = ArrayBatches({"target": images, "mask": images[:, :1], "label": torch.arange(10)})
    batch = data.batch(3, 4)
    assert torch.equal(batch["target"], images[batch["label"]].float() / 127.5 - 1)
    assert torch.equal(batch["mask"], images[batch["label"], :1].float() / 255)
    whole, parts = data.batch(5, 4), [data.batch(5, 4, rank, 2) for rank in (0, 1)]
    assert set(whole["label"].tolist()) == {x for part in parts for x in part["label"].tolist()}
    assert all(len(part["label"]) == 2 for part in parts)
    assert ImageSet(images, torch.arange(10), ("a",), []).roles.keys() == {"target", "label"}
    assert Pairs(images, images, []).roles.keys() == {"input", "target"}
    with pytest.raises(ValueError, match=r"roles must be some of input, target, mask, label, .*, not picture"):
        ArrayBatches({"picture": images})
    with pytest.raises(ValueError, match="as many samples: 10 of input, 9 of target"):
        ArrayBatches({"input": images, "target": images[1:]})


class Painter(nn.Module):
    """Toy: fills what a mask names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x * (1 - mask) + torch.tanh(self.conv(torch.cat([x, mask], 1))) * mask


def inpainting(terms: list[Any], steps: int = 30) -> Translation:
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 16), torch.linspace(-1, 1, 16), indexing="ij")
    target = torch.stack([torch.stack([x * a, y * a, x * y]) for a in torch.linspace(-1, 1, 24)])
    mask = torch.zeros(24, 1, 16, 16)
    mask[:, :, 4:12, 4:12] = 1
    data = ArrayBatches({"input": target * (1 - mask), "target": target, "mask": mask})
    held_out: list[Batch] = [data.plain(slice(i, i + 1)) for i in (3, 7)]
    return Translation(
        {}, trainable(Painter()), data, held_out, terms=terms, conditions=["mask"], batch_size=8, steps=steps
    )


def test_a_translation_is_a_sum_of_terms(tmp_path: Path) -> None:
    """Inpainting with a mask as a condition, under every term at once; each D is trained and saved."""
    d, other = PatchDiscriminator(6, 4, halvings=1), PatchDiscriminator(3, 4, halvings=1)
    terms = [
        L1(10),
        Checkerboard(0.1, block=4),
        Perceptual(RANDOM, 0.01, roll=2),
        Adversarial(trainable(d), 0.1, conditional=True, augment="flip"),
        Adversarial(trainable(other), 0.1, name="d_local", window=8),
    ]
    objective = inpainting(terms)
    before = [p.clone() for p in (*d.parameters(), *other.parameters())]
    finished = run(objective, tmp_path / "run")
    assert finished.train()
    assert {"loss_l1", "loss_checkerboard", "loss_perceptual", "loss_d", "loss_g", "d_real", "loss_d_local"} <= set(
        finished.log[0]
    )
    assert finished.log[-1]["loss_l1"] < 0.8 * finished.log[0]["loss_l1"]
    assert all(not torch.equal(a, b) for a, b in zip(before, (*d.parameters(), *other.parameters()), strict=True))
    assert set(torch.load(tmp_path / "run" / "state.pt")["networks"]) == {"g", "d", "d_local"}


def test_a_weight_scales_its_term() -> None:
    """With gradient descent, twice the weight is twice the step."""
    changes = []
    for weight in (0.5, 1.0):
        objective = inpainting([L1(weight)])
        network = objective.networks["g"].network
        objective.networks["g"].optimizer = torch.optim.SGD(network.parameters(), 0.1)
        objective.start(Runtime("fp32", "cpu"))
        before = network.conv.weight.clone()  # type: ignore[union-attr, operator]
        objective.step(0)
        changes.append(network.conv.weight.detach() - before)  # type: ignore[union-attr, operator]
    assert torch.allclose(2 * changes[0], changes[1], atol=1e-7)


def test_terms_that_do_not_fit() -> None:
    d = PatchDiscriminator(3, 4, halvings=1)
    with pytest.raises(ValueError, match="Two networks are called d: give each Adversarial a name of its own"):
        inpainting([Adversarial(trainable(d)), Adversarial(trainable(d))])
    with pytest.raises(ValueError, match="at least one term"):
        inpainting([])
    with pytest.raises(InputError, match="loss cannot be 'hingd'; did you mean hinge"):
        Adversarial(trainable(d), loss="hingd")


def test_d_is_updated_alone_and_g_through_a_frozen_d() -> None:
    torch.manual_seed(0)
    d, runtime = PatchDiscriminator(3, 4, halvings=1, norm=False), Runtime("fp32", "cpu")
    adversary = Adversary(trainable(d))
    real, fake = torch.rand(4, 3, 16, 16), (-torch.rand(4, 3, 16, 16)).requires_grad_()
    logs = [adversary.update(runtime, real, fake) for _ in range(30)]
    assert fake.grad is None
    assert logs[-1]["loss_d"] < 0.5 * logs[0]["loss_d"]
    assert float(logs[-1]["d_real"]) == float(logs[-1]["d_fake"]) == 1.0
    for p in d.parameters():
        p.grad = None
    loss_g, logged = adversary.adversarial_step(runtime, real, fake)
    for p in d.parameters():
        p.grad = None
    loss_g.backward()
    assert fake.grad is not None
    assert fake.grad.abs().sum() > 0
    assert all(p.grad is None and p.requires_grad for p in d.parameters())
    assert logged["loss_g"] == loss_g


def test_grids_of_large_or_uneven_images_show_their_middles() -> None:
    objective = inpainting([L1()])
    photos = [torch.rand(1, 3, h, w) for h, w in ((80, 60), (50, 100))]
    objective.held_out = [
        {"input": x, "target": x.repeat_interleave(4, 2).repeat_interleave(4, 3), "mask": x[:, :1]} for x in photos
    ]
    objective.selection = PSNR(4)
    objective.averages["g"].network = Upsampler()
    objective.runtime = Runtime("fp32", "cpu")
    objective.selection.start(objective.runtime, [batch["target"] for batch in objective.held_out])
    rows = objective.sample_grid()
    assert [x.shape for row in rows for x in row.arrays] == 6 * [(3, 192, 192)]  # type: ignore[attr-defined]
    inputs, outputs, targets = (torch.from_numpy(row.numpy()) for row in rows)  # type: ignore[attr-defined]
    assert torch.equal(outputs, targets)
    assert (inputs - targets).abs().mean() < 0.2, "of the same place"
    assert objective.measure()["psnr"] > 45  # targets in 8 bits


class Upsampler(nn.Module):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return nn.functional.interpolate(x, scale_factor=4)


def test_kl_divergence_is_that_of_torch() -> None:
    from torch.distributions import Normal
    from torch.distributions import kl_divergence as reference

    torch.manual_seed(0)
    mean, log_variance = torch.randn(2, 5, 7)
    wanted = reference(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(kl_divergence(mean, log_variance, mean), wanted)
    assert torch.equal(kl_divergence(*torch.zeros(3, 2, 3)), torch.zeros(2))


def test_a_flow_is_inverted_and_knows_its_derivative() -> None:
    torch.manual_seed(0)
    flow, x = Flow(5, 3), torch.randn(4, 5)
    assert torch.equal(flow(x)[0], x)  # before training
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    z, log_determinant = flow(x)
    assert (z - x).abs().max() > 0.1
    torch.testing.assert_close(flow.inverse(z), x, atol=1e-4, rtol=1e-4)
    for i in range(4):
        derivative = torch.autograd.functional.jacobian(lambda row: flow(row[None])[0][0], x[i])
        torch.testing.assert_close(torch.linalg.slogdet(derivative)[1], log_determinant[i], atol=1e-4, rtol=1e-4)


def test_divergence_through_a_flow() -> None:
    """On average over samples it is that of torch, for a flow that shifts and scales."""
    from torch.distributions import AffineTransform, Normal, TransformedDistribution

    torch.manual_seed(0)
    flow = Flow(2, 2)
    for coupling in flow.couplings:
        torch.nn.init.constant_(coupling.network[-1].bias, 0.5)
    scale = float((2 * torch.tanh(torch.tensor(0.25))).exp())  # z = w * scale + 0.5
    prior = TransformedDistribution(Normal(0.0, 1.0), AffineTransform(-0.5 / scale, 1 / scale))
    mean, log_variance = torch.tensor([[0.3, -0.4]]), torch.tensor([[-1.0, -2.0]])
    posterior = Normal(mean, (0.5 * log_variance).exp())
    w = posterior.sample((200_000,))[:, 0]
    wanted = (posterior.log_prob(w) - prior.log_prob(w)).sum(1).mean()
    estimated = kl_divergence(mean.expand(len(w), -1), log_variance.expand(len(w), -1), w, flow).mean()
    torch.testing.assert_close(estimated, wanted, atol=0.02, rtol=0.01)


def test_codes_of_a_posterior_have_its_mean_and_variance() -> None:
    torch.manual_seed(0)
    mean, log_variance = torch.tensor([1.0, -2.0]), torch.tensor([0.0, -2.0])
    codes = sample(mean.expand(20_000, 2), log_variance.expand(20_000, 2))
    torch.testing.assert_close(codes.mean(0), mean, atol=0.03, rtol=0)
    torch.testing.assert_close(codes.var(0).log(), log_variance, atol=0.05, rtol=0)


def test_a_vae_codes_by_the_mean_and_generates() -> None:
    network = VAE(16, 1, 4, widths=(4, 8), blocks=1).eval()
    x = torch.rand(2, 1, 16, 16)
    with torch.inference_mode():
        mean, log_variance = network.posterior(x)
        torch.testing.assert_close(network.encode(x), mean)
        assert torch.allclose(log_variance, torch.full((2, 4), -3.0))
        assert network.decode(network.latents(3, seed=0)).shape == (3, 1, 16, 16)


def test_training_in_python(tmp_path: Path) -> None:
    """What the command does, with values and functions in place of texts."""
    photos = folder(tmp_path / "photos", 20, 32)
    said: list[str] = []
    options: dict[str, Any] = {"size": 16, "code": 8, "batch_size": 8, "steps": 4, "lr": 1}
    finished = zoo.train("conv-ae.flowers", photos, out=tmp_path / "run", device="cpu", say=said.append, **options)
    assert finished.out == tmp_path / "run"
    assert (finished.step, finished.best_step in (1, 2, 3, 4)) == (4, True)
    assert finished.best == min(line["metric"] for line in finished.log)
    assert finished.plan.settings["lr"] == 1.0
    assert said[-1].startswith("The best weights are those of step")
    assert zoo.load(f"local-dir:{finished.out}").reconstruct(photos / "000.png").tensor.shape == (1, 3, 16, 16)
    again = zoo.train("conv-ae.flowers", [str(photos)], resume=finished.out, device="cpu", say=said.append)
    assert again.best == finished.best
    ours = zoo.train(conv_ae.flowers, photos, out=tmp_path / "two", device="cpu", say=said.append, **options)
    assert ours.best == finished.best
    assert ours.plan.recipe == "zoo.recipes.conv_ae:flowers"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"out": "run", "batch": 8}, "no setting 'batch'; did you mean batch_size"),
        ({"out": "run", "steps": 2.5}, "steps must be a whole number from 1, not 2.5"),
        ({"out": "run", "steps": True}, "steps must be a whole number from 1, not True"),
        ({"out": "run", "lr": float("nan")}, "lr must be a number from 0, not nan"),
        ({"out": "run", "lr": None}, "lr must be a number from 0, not None"),
        ({}, "Give either --out with a new folder, or --resume"),
        ({"out": ""}, "--out is empty"),
        ({"out": "run", "device": "abacus"}, "The device 'abacus' cannot be used"),
        ({"out": "run", "device": "cuda:77"}, "cannot be used"),
    ],
)
def test_wrong_options_in_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "photos", 2)
    with pytest.raises(InputError, match=words):
        zoo.train("conv-ae.flowers", "photos", say=lambda line: None, **options)
    assert not (tmp_path / "run").exists()


def test_settings_that_options_hide(tmp_path: Path) -> None:
    def mine(data: Any, *, device: str = "x") -> None: ...

    with pytest.raises(InputError, match=r"the setting device has the name of an option of zoo\.train: rename it"):
        zoo.train(mine, tmp_path, out=tmp_path / "run")


def test_convolutions_that_resample_are_those_after_or_before_it() -> None:
    x = torch.randn(2, 3, 8, 8)
    for resample, size in (("up", 16), ("down", 4)):
        torch.manual_seed(0)
        layer = EqualizedConv2d(3, 5, resample=resample)
        plain = EqualizedConv2d(3, 5)
        plain.load_state_dict(layer.state_dict())
        wanted = plain(F.interpolate(x, scale_factor=2.0)) if resample == "up" else F.avg_pool2d(plain(x), 2)
        assert layer(x).shape == (2, 5, size, size)
        torch.testing.assert_close(layer(x), wanted, rtol=1e-4, atol=1e-5)


def test_each_level_takes_as_many_steps_and_is_faded_in() -> None:
    stages = [grown_at(step, steps=8, levels=2) for step in range(10)]
    assert stages == [0, 0, 0, 0.5, 1, 1, 1, 1.5, 2, 2]
    assert grown_at(0, steps=0, levels=2) == 2


def test_a_level_is_blended_with_the_one_below() -> None:
    network, z, x = ProGAN(1, 6, (8, 8, 4)), torch.randn(4, 6), torch.randn(4, 1, 16, 16)
    d = GrowingDiscriminator(1, (8, 8, 4))

    def at(grown: float) -> tuple[Tensor, Tensor]:
        network.grown = d.grown = grown
        with torch.no_grad():
            return network.decode(z), d(x)

    images = {grown: at(grown)[0] for grown in (0.0, 1.0, 1.25, 2.0)}
    torch.testing.assert_close(images[1.25], torch.lerp(images[1.0], images[2.0], 0.25))
    for grown in (0.0, 1.0, 2.0):
        assert images[grown].shape == (4, 1, 16, 16)
        torch.testing.assert_close(as_grown(images[grown], 2, grown), images[grown])  # no more detail than that
    assert len(images[0.0][0].unique()) == 16
    torch.testing.assert_close(at(1.0)[1], d(as_grown(x, 2, 1.0)))
    scores = [at(grown)[1] for grown in (1.0, 1.001, 1.999, 2.0)]
    assert (scores[0] - scores[1]).abs().max() < 0.1 * (scores[0] - scores[3]).abs().max()
    assert (scores[2] - scores[3]).abs().max() < 0.1 * (scores[0] - scores[3]).abs().max()


def test_samples_that_are_alike_give_a_generator_away() -> None:
    torch.manual_seed(0)
    d = GrowingDiscriminator(3, (8, 8))
    x = torch.randn(8, 3, 8, 8)
    alike = x[:1].expand(4, -1, -1, -1)
    scores = d(torch.cat([x[:4], alike]))
    torch.testing.assert_close(scores[:4], d(x[:4]), msg="groups are neighbours, so real and fake do not mix")
    assert (scores[4] - scores[0]).abs() > 1e-3, "one image, among others and among its like"


def test_a_second_discriminator_comes_in_last(tmp_path: Path) -> None:
    objective = tiny_progan(tmp_path, steps=10)
    objective.start(Runtime("fp32", "cpu"))
    networks = {name: objective.networks[name].network for name in ("g", "d", "last_d")}
    for step, learning in ((4, {"g", "d"}), (5, {"g", "d", "last_d"})):
        before = {name: copy.deepcopy(network.state_dict()) for name, network in networks.items()}
        objective.step(step)
        changed = {
            name
            for name, network in networks.items()
            if any(not torch.equal(x, before[name][key]) for key, x in network.state_dict().items())
        }
        assert changed == learning


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"widths": []}, "widths must have a number of channels for each level"),
        ({"widths": [4, 4], "grown": 2}, "grown must be a number from 0 to 1"),
        ({"latent": 1, "shares": [[0.5, 0.5], [0.2, 0.8]]}, "latent must be 2 or more, a number for each"),
    ],
)
def test_a_progan_that_cannot_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ProGAN(**options)


def test_what_is_kept_of_a_network_that_is_not_grown_says_so(tmp_path: Path) -> None:
    """Layers that were never used stay out of its images, when it is loaded, too."""
    objective = tiny_progan(tmp_path, steps=12, growing=1.0)
    objective.start(Runtime("fp32", "cpu"))
    networks = {name: objective.networks[name].network for name in ("g", "d")}
    before = {name: {key: x.clone() for key, x in network.state_dict().items()} for name, network in networks.items()}
    objective.step(5)
    assert objective.config["grown"] == pytest.approx(2 / 3)
    unused = {"g": ("levels.2", "to_rgb.2"), "d": ("levels.1", "from_rgb.2")}
    for name, network in networks.items():
        for key, x in network.state_dict().items():
            assert torch.equal(x, before[name][key]) == key.startswith(unused[name]), key
    z = torch.randn(2, 8)
    again = ProGAN(**objective.config)
    again.load_state_dict(networks["g"].state_dict())
    assert torch.equal(again.decode(z), networks["g"].decode(z))  # type: ignore[operator]
    objective.step(12)
    assert "grown" not in objective.config


def test_settings_that_cannot_grow(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="size must be 8, 16, 32, 64 or another power of two, not 48"):
        tiny_progan(tmp_path, size=48)
    with pytest.raises(InputError, match="growing is the share of the steps in which the networks grow, from 0 to 1"):
        tiny_progan(tmp_path, growing=1.5)


def test_numbers_of_a_latent_stand_for_values_of_attributes() -> None:
    network = ProGAN(3, 5, (4, 4), shares=[[0.2, 0.5, 0.3], [0.9, 0.1]])
    z = torch.randn(20_000, 5, generator=torch.Generator().manual_seed(0))
    assert ProGAN(3, 1, (4, 4), shares=[[0.0, 1.0, 0.0]]).one_hots(z)[0].mean(0).tolist() == [0, 1, 0]
    shade, half = network.one_hots(z)
    assert torch.equal(shade.sum(1), torch.ones(20_000))
    torch.testing.assert_close(shade.mean(0), torch.tensor([0.2, 0.5, 0.3]), atol=0.01, rtol=0)
    torch.testing.assert_close(half.mean(0), torch.tensor([0.9, 0.1]), atol=0.01, rtol=0)
    images = network.decode(torch.tensor([[first, 0, 0.5, 1, -1] for first in (-0.2, 0.2, 1)]))
    assert torch.equal(images[0], images[1]), "the value counts, not the number"
    assert not torch.allclose(images[0], images[2], atol=1e-3)


def test_a_progan_is_taught_attributes_that_go_together(tmp_path: Path) -> None:
    """D learns those of the data, G those that its latents stand for, unless the data never have two of them at once.

    Here bright images are never on the right.
    """
    folder(tmp_path / "a", 32)
    x = np.stack([np.asarray(Image.open(path)) for path in sorted((tmp_path / "a").iterdir())])
    shade, half = np.arange(32) % 2, np.arange(32) % 4 // 2 * (1 - np.arange(32) % 2)
    ones = np.concatenate([np.eye(2, dtype=np.uint8)[shade], np.eye(2, dtype=np.uint8)[half]], 1)
    names = ["shade=dark", "shade=bright", "half=left", "half=right"]
    np.savez(tmp_path / "a.npz", x_train=x, attributes_train=ones, attribute_names=names)
    options: dict[str, Any] = {"size": 16, "latent": 8, "width": 8, "widest": 12, "top": 8, "last_width": 8}
    objective = progan.avatars(
        Source([tmp_path / "a.npz"]), RANDOM, batch_size=8, steps=12, attribute_weight=3, **options
    )
    assert isinstance(objective, Growing)
    assert objective.config["shares"] == [[0.5, 0.5], [0.75, 0.25]]
    objective.start(Runtime("fp32", "cpu"))
    objective.grow(11)
    batch = objective.batch(0)
    noise = torch.tensor([[a, b, 0, 0, 0, 0, 0, 0] for a in (-1.0, 1.0) for b in (-1.0, 1.0)])
    of_real, of_fake = objective.labels(batch, noise)
    assert torch.equal(of_real["attributes"], batch["label"])
    assert of_fake["attributes"].tolist() == [[0, 0], [0, 1], [1, 0], [-100, -100]]
    d = objective.networks["d"].network
    for weight, learns in ((0.0, False), (3.0, True)):
        objective.adversary.attribute_weight = weight
        before = d.get_parameter("attributes.weight").clone()
        objective.step(11)
        assert torch.equal(before, d.get_parameter("attributes.weight")) != learns


def test_statistics_are_measured_for_each_truncation(tmp_path: Path) -> None:
    objective = tiny_biggan(tmp_path)
    objective.start(Runtime("fp32", "cpu"))
    objective.step(0)
    objective.measure()
    network = objective.averages["g"].network
    assert isinstance(network, BigGAN)
    norm = network.blocks[0].get_submodule("norm1.norm")
    assert norm.num_batches_tracked.tolist() == [1] * 5
    spread = norm.running_var.mean(1)  # type: ignore[operator, union-attr]
    assert spread[0] < 1e-9, "of one latent"
    assert (spread.diff() > 0).all(), "the more latents vary, the more maps do"
