"""Pix2Pix, CycleGAN and SRGAN are the networks of their papers: answers of references, sizes, shapes, ranges."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_importing import PARITY, reference_state

from zoo.errors import InputError
from zoo.model import Model
from zoo.models.biggan import BigGAN
from zoo.models.biggan_deep import BigGANDeep
from zoo.models.blocks import Smoothing, timm_encoder
from zoo.models.brain_gan import BrainGAN, ConditionalNorm
from zoo.models.cdcgan import CDCGAN, chosen_class
from zoo.models.cyclegan import CycleGAN
from zoo.models.denoise_ae import DenoiseAE
from zoo.models.esrgan import ESRGAN
from zoo.models.gan import GAN
from zoo.models.pix2pix import Pix2Pix
from zoo.models.sd_vae import SDVAE
from zoo.models.srgan import SRGAN
from zoo.models.taesd import TAESD
from zoo.training.ema import update_batchnorm
from zoo.training.run import save_weights


def test_the_first_gan_begins_with_the_mean_of_the_data() -> None:
    mean = torch.linspace(-1, 1, 64).reshape(1, 8, 8)
    torch.manual_seed(0)
    network = GAN(size=8, widths=(16, 32), latent=4)
    z = torch.randn(50, 4)
    before = network.decode(z).std(0).mean()
    network.start_at(mean)
    images = network.decode(z)
    assert images.shape == (50, 1, 8, 8)
    assert (images.mean(0) - mean).abs().max() < 0.1
    assert images[:, 0, 0, 0].max() < -0.99
    assert images.std(0).mean() < before / 2
    for wrong in ({"size": 0}, {"widths": ()}):
        with pytest.raises(ValueError, match="one hidden layer at least"):
            GAN(**wrong)  # type: ignore[arg-type]


def test_sd_vae_answers_as_diffusers_does() -> None:
    state, x = reference_state("sd_vae_small")
    network = SDVAE(widths=(32, 64, 64)).eval()
    network.load_state_dict(state)
    wanted = load_file(PARITY / "sd_vae_small.safetensors")
    with torch.inference_mode():
        latent = network.encode(x)
        answer = network.decode(latent)
    for ours, theirs in ((latent / 0.18215, wanted["latent"]), (answer, wanted["output"])):
        assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max()


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (Pix2Pix, 54_413_955),
        (lambda: Pix2Pix(size=128), 41_828_995),
        (CycleGAN, 11_378_179),
        (lambda: CycleGAN(blocks=6), 7_837_699),
        (SRGAN, 1_547_350),  # Lornatang/SRGAN-PyTorch
        (ESRGAN, 16_697_987),
        (TAESD, 2_445_063),
        (lambda: TAESD(32, pool=True), 2_677_027),  # of taef2
        (SDVAE, 83_653_863),
    ],
)
def test_number_of_parameters_is_the_references(build: Callable[[], Model], parameters: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in build().parameters()) == parameters


@pytest.mark.parametrize(
    ("build", "before", "after"),
    [
        (lambda: Pix2Pix(32, width=4), (3, 32, 32), (3, 32, 32)),
        (lambda: Pix2Pix(32, width=4), (3, 64, 32), (3, 64, 32)),
        (lambda: Pix2Pix(64, 1, 3, width=4, widest=6, norm="instance"), (1, 64, 64), (3, 64, 64)),
        (lambda: Pix2Pix(4, 3, 1, width=4, dropout=False), (3, 4, 4), (1, 4, 4)),
        (lambda: CycleGAN(width=4, blocks=1), (3, 8, 20), (3, 8, 20)),
        (lambda: CycleGAN(1, width=4, blocks=2), (1, 16, 12), (1, 16, 12)),
        (lambda: CycleGAN(1, width=4, blocks=0, out_channels=3), (1, 12, 8), (3, 12, 8)),
        (lambda: CycleGAN(width=4, blocks=1, resize=True, over_input=True), (3, 8, 20), (3, 8, 20)),
        (lambda: SRGAN(width=4, blocks=1), (3, 5, 7), (3, 20, 28)),
        (lambda: SRGAN(2, 1, width=4, blocks=1, norm=None, kernel=3), (1, 5, 7), (1, 10, 14)),
        (lambda: SRGAN(8, width=4, blocks=1, slope=0.1, over_bilinear=True), (3, 1, 1), (3, 8, 8)),
    ],
)
def test_shapes_ranges_and_batches(build: Callable[[], Model], before: tuple[int, ...], after: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = build().eval()
    x = torch.rand(3, *before) * 2 - 1
    with torch.inference_mode():
        y = network(x)
        alone = network(x[:1])
        loud = network(1e3 * x)
    assert y.shape == (3, *after)
    assert torch.isfinite(y).all()
    assert torch.allclose(y[:1], alone, atol=1e-5)
    assert torch.equal(y, network(x))
    if not isinstance(network, SRGAN):
        assert loud.abs().max() <= 1


def test_pix2pix_has_the_layers_of_the_paper() -> None:
    with torch.device("meta"):
        network = Pix2Pix()
    down = [layer.conv.out_channels for layer in network.down]
    up = [layer.conv.in_channels for layer in network.up]
    assert down == [64, 128, 256, 512, 512, 512, 512, 512]
    assert up == [512, 1024, 1024, 1024, 1024, 512, 256, 128]
    assert [hasattr(layer, "drop") for layer in network.up] == [False, True, True, True, False, False, False, False]
    assert [hasattr(layer, "norm") for layer in network.down] == [False, *[True] * 6, False]
    assert [hasattr(layer, "norm") for layer in network.up] == [*[True] * 7, False]


def test_widest_caps_the_channels() -> None:
    network = Pix2Pix(size=64, width=8, widest=20)
    assert [layer.conv.out_channels for layer in network.down] == [8, 16, 20, 20, 20, 20]
    assert [layer.conv.out_channels for layer in network.up] == [20, 20, 20, 16, 8, 3]


def test_dropout_is_for_training() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        for dropout in (True, False):
            network = Pix2Pix(64, width=4, dropout=dropout).train()
            assert torch.equal(network(x), network(x)) != dropout


@pytest.mark.parametrize(
    "build",
    [
        lambda: Pix2Pix(32, width=4),
        lambda: Pix2Pix(32, width=4, norm="instance"),
        lambda: CycleGAN(width=4, blocks=1),
        lambda: SRGAN(width=4, blocks=1),
        lambda: SRGAN(width=4, blocks=1, norm=None, slope=0.1, over_bilinear=True),
    ],
)
def test_gradients_reach_every_parameter(build: Callable[[], Model]) -> None:
    """With one image in the batch, as in the papers of pix2pix and CycleGAN."""
    network = build().train()
    network(torch.rand(1, 3, 32, 32)).square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Pix2Pix(size=100), "size must be a power of two from 4 on, not 100."),
        (lambda: Pix2Pix(size=2), "size must be a power of two from 4 on, not 2."),
        (lambda: Pix2Pix(norm="group"), "norm must be batch or instance, not group."),
        (lambda: Pix2Pix(8, width=4)(torch.zeros(1, 3, 8, 9)), "Height and width must be multiples of 8, not 8 and 9."),
        (
            lambda: CycleGAN(width=4, blocks=1)(torch.zeros(1, 3, 8, 10)),
            "Height and width must be divisible by 4 and at least 8, not 8 and 10.",
        ),
        (
            lambda: CycleGAN(width=4, blocks=1)(torch.zeros(1, 3, 4, 8)),
            "Height and width must be divisible by 4 and at least 8, not 4 and 8.",
        ),
        (lambda: CycleGAN(norm="group"), "norm must be instance or batch, not group."),
        (lambda: SRGAN(scale=3), "scale must be 2, 4 or 8, not 3."),
        (lambda: SRGAN(scale=1), "scale must be 2, 4 or 8, not 1."),
        (lambda: ESRGAN(scale=3), "scale must be 1, 2 or 4, not 3."),
        (lambda: ESRGAN(2, 8, 1, 4)(torch.zeros(1, 3, 8, 9)), "Height and width must be divisible by 2, not 8 and 9."),
        (lambda: TAESD().encode(torch.zeros(1, 3, 8, 9)), "Height and width must be divisible by 8, not 8 and 9."),
        (
            lambda: SDVAE((32, 32)).encode(torch.zeros(1, 3, 8, 9)),
            "Height and width must be divisible by 2, not 8 and 9.",
        ),
    ],
)
def test_wrong_sizes(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        call()


def test_cyclegan_over_its_input_starts_at_it() -> None:
    network = CycleGAN(width=4, blocks=1, resize=True, over_input=True)
    torch.nn.init.zeros_(network.model[-2].weight)
    torch.nn.init.zeros_(network.model[-2].bias)
    x = torch.rand(2, 3, 8, 12) * 2 - 1
    assert torch.equal(network(x), x)
    with pytest.raises(ValueError, match="as many channels out as in, not 1 and 3"):
        CycleGAN(1, out_channels=3, over_input=True)


def test_denoise_ae_answers_grey_in_grey_and_leaves_colours_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = DenoiseAE(widths=(8, 12), blocks=1).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    radius, edge = network.receptive_radius or 0, 120
    x = torch.rand(3, 3, 64, 200) * 2 - 1
    x[0], x[1, :, :, :edge] = x[0, :1], x[1, :1, :, :edge]  # grey, grey at the left, and in colour
    with torch.inference_mode():
        y, part = network(x), network(x[..., 40:])
        monkeypatch.setattr(network, "_grey", lambda x: torch.zeros(1, dtype=torch.bool))
        plain = network(x)
    assert torch.equal(y[0], y[0, :1].expand(3, -1, -1))
    assert not torch.allclose(plain[0], y[0], atol=0.1)
    assert torch.equal(y[1, :, :, : edge - radius], y[1, :1, :, : edge - radius].expand(3, -1, -1))
    assert torch.equal(y[1, :, :, edge:], plain[1, :, :, edge:])
    assert torch.equal(y[2], plain[2])
    assert torch.allclose(part[..., radius:], y[..., 40 + radius :], atol=1e-5), "a tile equals the whole"


def test_cdcgan_takes_a_class_or_chooses_one() -> None:
    network = CDCGAN(classes=10, size=28, channels=1, width=4, latent=8).eval()
    z = torch.randn(2000, 8)
    with torch.inference_mode():
        sevens = network.decode(z[:4], torch.full((4,), 7))
        assert sevens.shape == (4, 1, 28, 28)
        assert not torch.equal(sevens, network.decode(z[:4], torch.full((4,), 1)))
        chosen = (torch.special.ndtr(z[:, 0]) * 10).long()
        assert torch.equal(network.decode(z[:4]), network.decode(z[:4], chosen[:4]))
    assert torch.bincount(chosen, minlength=10).min() > 150, "each class as often"


def test_brain_gan_takes_a_class_or_chooses_one() -> None:
    torch.manual_seed(0)
    network = BrainGAN(classes=4, channels=1, latent=8, widths=(8, 6, 4)).eval()
    z = torch.randn(4, 8)
    for norm in network.modules():
        if isinstance(norm, ConditionalNorm):
            torch.nn.init.normal_(norm.style.weight)
    with torch.inference_mode():
        images = network.decode(z, torch.full((4,), 2))
        assert images.shape == (4, 1, 16, 16) and images.abs().max() <= 1
        assert not torch.equal(images, network.decode(z, torch.full((4,), 1)))
        chosen = (torch.special.ndtr(z[:, 0]) * 4).long()
        assert torch.equal(network.decode(z), network.decode(z, chosen))
    with pytest.raises(ValueError, match="widths must have a number of channels for each level"):
        BrainGAN(widths=())


def small_biggan() -> BigGAN:
    """Random, with statistics of batch norm that differ from truncation to truncation."""
    torch.manual_seed(0)
    network = BigGAN(classes=4, latent=6, embedding=5, widths=(12, 8, 8), attention=8, sets=3)
    network.init_weights()
    torch.nn.init.ones_(network.attention["0"].get_parameter("gain"))
    sets = ((z, {"truncation": torch.full((64,), t)}) for t in (0.0, 0.5, 1.0) for z in torch.randn(2, 64, 18))
    update_batchnorm(network, sets)
    return network


def test_biggan_has_statistics_for_each_truncation_and_between() -> None:
    network = small_biggan()
    norm = network.last_norm
    assert norm.num_batches_tracked.tolist() == [2, 2, 2]
    assert len(norm.running_var[:, 0].unique()) == 3
    x, one = torch.randn(4, 8, 5, 5), torch.ones(4, 8)
    with torch.inference_mode():
        for truncation, (a, b) in ((0.25, (0, 1)), (0.5, (1, 1)), (0.75, (1, 2)), (1.0, (2, 2))):
            mean, variance = ((y[a] + y[b])[:, None, None] / 2 for y in (norm.running_mean, norm.running_var))
            wanted = (x - mean) / (variance + 1e-5).sqrt() * 3 + 0.5
            answer = norm(x, 3 * one, 0.5 * one, torch.full((4,), truncation))
            torch.testing.assert_close(answer, wanted)
        z, kind, truncations = torch.randn(4, 18), torch.arange(4), torch.tensor([0.0, 0.3, 0.5, 1.0])
        together = network.decode(z, kind, truncations)
        alone = [network.decode(z[i : i + 1], kind[i : i + 1], truncations[i : i + 1]) for i in range(4)]
        torch.testing.assert_close(together, torch.cat(alone))


def test_biggan_takes_a_class_or_chooses_one() -> None:
    network = small_biggan()
    z = torch.randn(4, 18)
    with torch.inference_mode():
        images = network.decode(z, torch.full((4,), 2))
        assert images.shape == (4, 3, 16, 16) and images.abs().max() <= 1
        assert not torch.equal(images, network.decode(z, torch.full((4,), 1)))
        assert torch.equal(network.decode(z), network.decode(z, chosen_class(z, None, 4), torch.ones(4)))
        varied, typical, same = (
            network.decode(torch.randn(64, 18), torch.zeros(64, dtype=torch.long), torch.full((64,), t)).std(0).mean()
            for t in (1.0, 0.25, 0.0)
        )
        assert varied > typical and same < 1e-5
    for wrong in ({"widths": (8,)}, {"sets": 0}):
        with pytest.raises(ValueError, match="widths must be two or more, and sets one or more"):
            BigGAN(**wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="widths must be two or more, and sets one or more"):
            BigGANDeep(**wrong)  # type: ignore[arg-type]


def test_biggan_deep_draws_latents_within_bounds_that_choose_every_class() -> None:
    network = BigGANDeep(classes=10, latent=3, embedding=2, widths=(8, 4), sets=2)
    z = network.latents(2000, seed=0)
    assert 1.9 < z.abs().max() <= 2
    assert 0.85 < z.std() < 0.91  # of a normal distribution without what is beyond two deviations: 0.88
    assert torch.bincount(chosen_class(z, None, 10, 2.0), minlength=10).min() > 150


class Sketch(Model):
    """Toy: a decoder over any encoder of timm, images ``(N, 3, H, W)`` to ``(N, 1, H, W)`` of any size, in [-1, 1]."""

    def __init__(self, encoder: str = "mobilenetv3_small_050") -> None:
        super().__init__()
        self.encoder = timm_encoder(encoder, 3, depths=(0, 1, 2))
        self.heads = torch.nn.ModuleList(torch.nn.Conv2d(c, 1, 1) for c in self.encoder.channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = [head(maps) for head, maps in zip(self.heads, self.encoder(x), strict=True)]
        large = [torch.nn.functional.interpolate(score, x.shape[2:], mode="bilinear") for score in scores]
        return torch.tanh(torch.stack(large).sum(0))


def test_a_network_of_timm_is_an_encoder_of_any_model(tmp_path: Path) -> None:
    """Any size, gradients everywhere, built on the meta device, and the same after a round trip through a file."""
    torch.manual_seed(0)
    network = Sketch()
    assert (network.encoder.channels, network.encoder.reductions) == ([16, 8, 16], [2, 4, 8])
    network(torch.rand(2, 3, 32, 32) * 2 - 1).square().mean().backward()
    assert all(p.grad is not None for p in network.parameters()), "without layers that no map needs"
    network.eval()
    x = torch.rand(1, 3, 37, 51) * 2 - 1
    with torch.inference_mode():
        y = network(x)
        assert y.shape == (1, 1, 37, 51)
        assert not torch.equal(y, network(-x))
        save_weights(network, tmp_path / "a.safetensors")
        with torch.device("meta"):
            other = Sketch()
        state = load_file(tmp_path / "a.safetensors")
        state = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
        other.load_state_dict(state, assign=True)
        assert torch.allclose(other.eval()(x), y, atol=1e-2)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mobilenetv3_smal_050", "has no network 'mobilenetv3_smal_050'; did you mean mobilenetv3_small_050"),
        ("qqqq", "has no network 'qqqq': `timm.list_models()` names them all."),
        ("vit_tiny_patch16_224", "cannot be an encoder (its maps have one size): choose another network."),
    ],
)
def test_encoders_that_timm_does_not_have(name: str, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        timm_encoder(name)


def test_smoothing_makes_areas_flat_and_keeps_edges() -> None:
    torch.manual_seed(0)
    drawn = torch.full((1, 3, 20, 24), -0.8)
    drawn[..., 12:] = 0.6
    uneven = drawn + 0.02 * torch.randn_like(drawn)
    smooth = Smoothing(0.15)
    assert smooth(uneven) is uneven, "what learns gets to see all"
    even = smooth.eval()(uneven)
    assert (even - drawn).abs().mean() < (uneven - drawn).abs().mean() / 3
    assert torch.allclose(smooth(drawn), drawn, atol=1e-6)
    assert even[0, :, :, 11].amax() < -0.7 and even[0, :, :, 12].amin() > 0.5
