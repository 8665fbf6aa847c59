"""Rewritten networks answer as the plain ones do; one that does not is not used."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from test_tiling import network
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.flop_counter import FlopCounterMode

import zoo
from zoo.backends import optimize, rewrites
from zoo.backends.optimize import OptimizedForward
from zoo.backends.torch_backend import TorchBackend
from zoo.errors import InputError
from zoo.loading import PRECISIONS
from zoo.model import Generator, Model, Rewrites
from zoo.models.cyclegan import CycleGAN
from zoo.networks import build
from zoo.registry.facts import Format
from zoo.testing.harness import random_states

BFLOAT16 = optimize.has_bfloat16(torch.device("cpu"))
CASES: list[tuple[str, dict[str, Any], int, int]] = [
    ("dcgan", {"size": 28, "channels": 1, "width": 16, "latent": 10}, 1, 1),
    ("conv-ae", {"size": 16, "code": 8, "patch": 2, "widths": (8, 8), "blocks": 1}, 1, 1),
    ("pix2pix", {"size": 32, "width": 8}, 1, 32),
    ("pix2pix", {"size": 32, "width": 8, "norm": "instance"}, 1, 32),
    ("cyclegan", {"width": 8, "blocks": 2}, 1, 4),
    ("cyclegan", {"width": 8, "blocks": 2, "norm": "batch", "resize": True}, 1, 4),
    ("srgan", {"width": 8, "blocks": 2}, 4, 1),
    (
        "srgan",
        {"scale": 8, "width": 8, "blocks": 1, "norm": None, "kernel": 3, "slope": 0.2, "over_bilinear": True},
        8,
        1,
    ),
    ("srgan", {"scale": 2, "width": 8, "blocks": 1, "norm": "instance", "kernel": 5}, 2, 1),
    ("esrgan", {"width": 8, "blocks": 1, "growth": 4}, 4, 1),
    ("srvgg", {"width": 8, "convs": 3}, 4, 1),
    ("taesd", {}, 1, 8),
    ("taesd", {"latent_channels": 32, "pool": True}, 1, 8),
]


def quiet(name: str, config: dict[str, Any], scale: int, multiple: int) -> Model:
    """A random network whose answers are in the range."""
    model = network(name, config, scale, multiple).float()
    model.backend = TorchBackend(partial(build, model.entry))
    if name == "conv-ae":
        assert model.entry
        side = config["size"]
        model.entry = replace(model.entry, input=Format(channels=3, size=(side, side)))
    for key, tensor in model.state_dict().items():
        if key.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim == 1 and tensor.is_floating_point() and not key.endswith("running_mean"):
            tensor.add_(0.1 * torch.randn(tensor.shape))
    with torch.inference_mode():
        loud = plain(model).std()
    last = [tensor for tensor in model.parameters() if tensor.ndim == 4][-1]
    last.data.mul_(0.3 / float(loud))
    return model


@torch.inference_mode()
def plain(model: Model) -> Tensor:
    x, conditions = model.example(model.calls[0])
    return model.decode(x, **conditions) if isinstance(model, Generator) else model(x, **conditions)


def optimized(model: Model) -> OptimizedForward:
    assert isinstance(model.backend, TorchBackend)
    return model.backend.optimized(model, model.calls[0])


@torch.inference_mode()
def quick(model: Model) -> Tensor:
    run = optimized(model).run
    return run(model.example(model.calls[0])) if run else plain(model)


@pytest.mark.parametrize(("name", "config", "scale", "multiple"), CASES)
def test_exact_is_exact(name: str, config: dict[str, Any], scale: int, multiple: int) -> None:
    model = quiet(name, config, scale, multiple)
    wanted = plain(model)
    steps = model.rewrites.exact
    assert optimized(model).kind == (", ".join(steps) or "plain")
    assert (quick(model) - wanted).abs().max() < 2e-5


@pytest.mark.parametrize(("name", "config", "scale", "multiple"), CASES if BFLOAT16 else CASES[:7])
def test_fast_is_near_on_every_image(
    name: str, config: dict[str, Any], scale: int, multiple: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where torch computes bfloat16 without hardware for it, in which only packed weights cannot be had."""
    model = quiet(name, config, scale, multiple)
    if not BFLOAT16:
        monkeypatch.setattr(optimize, "has_bfloat16", lambda device: True)
        exact, half = model.rewrites
        monkeypatch.setattr(type(model), "rewrites", Rewrites(exact, tuple(step for step in half if step != "pack")))
    model.precision = "fast"
    if name == "dcgan":
        assert "bfloat16" in optimized(model).kind
    run = optimized(model).run
    for x, _ in [*model.probes(model.calls[0]), model.example(model.calls[0], 3)]:
        with torch.inference_mode():
            wanted = model.decode(x) if isinstance(model, Generator) else model(x)
            error = ((run((x, {})) if run else wanted) - wanted) / 2
        assert min(map(optimize._decibel, error)) >= 45


def test_fast_is_near_on_flat_images_where_norms_divide_by_their_contrast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimize, "has_bfloat16", lambda device: True)
    monkeypatch.setattr(CycleGAN, "rewrites", Rewrites((), ("fold", "enlarge")))
    model = zoo.load("cyclegan")
    x = np.broadcast_to(np.float32([0, 0.5, 0.65, 1])[:, None, None, None], (4, 32, 32, 3))
    model.precision = "fast"
    fast_one = model.reconstruct(x).numpy()
    model.precision = "plain"
    assert min(map(optimize._decibel, torch.from_numpy(fast_one - model.reconstruct(x).numpy()))) >= 45


@pytest.mark.parametrize(
    "steps", [("fold",), ("enlarge",), ("shuffle",), ("pack",), ("fold", "enlarge", "shuffle", "pack")]
)
@pytest.mark.parametrize(("name", "config", "scale", "multiple"), CASES)
def test_every_rewrite_is_exact_wherever_it_applies(
    name: str,
    config: dict[str, Any],
    scale: int,
    multiple: int,
    steps: tuple[str, ...],
) -> None:
    model = quiet(name, config, scale, multiple)
    with torch.inference_mode():
        given = model.example(model.calls[0])
        made = rewrites.rewritten(model, model.calls[0], steps, rewrites.WHOLE, given)
        found = rewrites.run_network(made, model.calls[0], torch.float32, given)
    assert optimize._decibel((found - plain(model)) / 2) > 100


def test_the_rewrites_take_place() -> None:
    """Batch norms go, activations go, doubled maps are convolved small."""

    def kinds(name: str, config: dict[str, Any], scale: int, multiple: int) -> list[str]:
        model = quiet(name, config, scale, multiple)
        model.precision = "fast"
        with torch.inference_mode():
            call, steps = model.calls[0], model.rewrites.fast
            made = rewrites.rewritten(model, call, steps, rewrites.WHOLE, model.example(call))
        return [type(module).__name__ for module in made.modules()]

    dcgan = kinds(*CASES[0])
    assert dcgan.count("_Packed") == 4
    assert "BatchNorm2d" not in dcgan
    assert not {"ReLU", "Tanh"} & set(dcgan)
    srgan = kinds(*CASES[6])
    assert srgan.count("_Shuffled") == 1
    assert "BatchNorm2d" not in srgan
    assert kinds(*CASES[5]).count("_Enlarging") == 2
    assert kinds(*CASES[1]).count("BatchNorm2d") > 0, "those behind a sum cannot be folded"


@pytest.mark.parametrize("how", ["wrong", "raises", "nan"])
def test_what_is_broken_falls_back(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = quiet(*CASES[0])
    original = rewrites._Packed.forward

    def broken(self: nn.Module, x: Tensor) -> Tensor:
        if how == "raises":
            raise RuntimeError("no such kernel")
        return original(self, x) * (1.001 if how == "wrong" else float("nan"))  # type: ignore[arg-type]

    monkeypatch.setattr(rewrites._Packed, "forward", broken)
    assert optimized(model).run is None
    assert torch.equal(quick(model), plain(model))


def test_a_network_that_random_input_is_not_for_stays_plain() -> None:
    """As one that was trained with fewer classes than the registry's has."""
    entry = replace(zoo.info("cdcgan"), config={"classes": 2, "size": 8, "channels": 1, "width": 4, "latent": 4})
    model = build(entry).to_empty(device="cpu").eval()
    for tensor in model.state_dict().values():
        tensor.zero_()
    model.entry, model.backend = entry, TorchBackend(partial(build, entry))
    assert model.generate(3, seed=0, digit=1).numpy().shape == (3, 1, 8, 8)
    assert optimized(model).kind == "plain"


def halve(model: Model) -> None:
    with torch.no_grad():
        convolution(model).weight.mul_(0.5)


def convolution(model: Model) -> nn.ConvTranspose2d:
    return model.main[-2]  # type: ignore[index,return-value]


def halve_in_inference_mode(model: Model) -> None:
    with torch.inference_mode():
        convolution(model).weight.mul_(0.5)


def swap_two_values(model: Model) -> None:
    x = convolution(model).weight.data.view(-1)
    far = int((x - x[0]).abs().argmax())
    x[0], x[far] = x[far].clone(), x[0].clone()


def average(model: Model) -> None:
    for x in model.parameters():
        x.data.lerp_(torch.randn(x.shape, generator=torch.Generator().manual_seed(0)), 1e-3)


class Loud(nn.Module):
    """Somebody's module."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


# What a user may do to a network after its first use, some of which torch does not count as a change.
EDITS: dict[str, Callable[[Model], object]] = {
    "in place": halve,
    "in inference mode": halve_in_inference_mode,
    "zeroed": lambda m: convolution(m).weight.data.zero_(),
    "a single number": lambda m: convolution(m).weight.data.view(-1)[7].add_(0.5),
    "initialized": lambda m: nn.init.normal_(convolution(m).weight.data),
    "averaged": average,
    "another sign": lambda m: m.main[3].weight.data.neg_(),  # type: ignore[index,union-attr,operator]
    "swapped": swap_two_values,
    "flipped": lambda m: convolution(m).weight.data.copy_(convolution(m).weight.data.flip(-1)),
    "shuffled": lambda m: m.main[3].weight.data.copy_(m.main[3].weight.data.flip(0)),  # type: ignore[index,union-attr,operator]
    "assigned": lambda m: setattr(convolution(m).weight, "data", torch.zeros_like(convolution(m).weight)),
    "a buffer": lambda m: m.main[1].running_mean.data.add_(1),  # type: ignore[index,union-attr,operator]
    "another parameter": lambda m: setattr(m.main[-2], "weight", nn.Parameter(convolution(m).weight * 2)),  # type: ignore[index]
    "a module replaced": lambda m: m.main.__setitem__(5, nn.Identity()),  # type: ignore[operator]
    "a module of somebody": lambda m: m.main.__setitem__(5, Loud()),  # type: ignore[operator]
    "a module added": lambda m: m.main.append(nn.Tanh()),  # type: ignore[operator]
    "a module taken out": lambda m: m.main.__delitem__(2),  # type: ignore[operator]
    "an attribute": lambda m: setattr(m.main[1], "eps", 1.0),  # type: ignore[index]
    "a size": lambda m: setattr(m, "size", 20),
    "a method": lambda m: setattr(m.main[2], "forward", torch.sin),  # type: ignore[index]
    "its own method": lambda m: setattr(m, "decode", lambda z: torch.zeros(len(z), 1, 28, 28)),
    "a hook": lambda m: m.main[2].register_forward_hook(lambda module, x, y: y * 2),  # type: ignore[index,union-attr]
    "a hook before": lambda m: m.main[-1].register_forward_pre_hook(lambda module, x: (x[0] * 2,)),  # type: ignore[index,union-attr]
    "spectral norm": lambda m: parametrizations.spectral_norm(convolution(m)),
    "weight norm and more": lambda m: (
        (parametrizations.weight_norm(convolution(m)), halve(m))
        and convolution(m).parametrizations.weight.original0.data.zero_()
    ),
    "training of a part": lambda m: m.main[1].train(),  # type: ignore[index,union-attr]
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_verbs_run_the_network_as_it_is(edit: Callable[[Model], object]) -> None:
    model = copy.deepcopy(dcgan())
    before = model.generate(2, seed=0).numpy()
    assert optimized(model).run
    edit(model)
    with torch.no_grad():
        wanted = (copy.deepcopy(model).decode(torch.from_numpy(LATENTS)).clamp(-1, 1).numpy() + 1) / 2  # type: ignore[operator]
    after = model.generate(2, seed=0).numpy()
    np.testing.assert_allclose(after, wanted, rtol=0, atol=1e-5)
    assert after.shape != before.shape or np.abs(after - before).max() > 1e-4, "or this edit shows nothing"


def test_verbs_run_whatever_torchs_defaults_are() -> None:
    wanted = copy.deepcopy(dcgan()).generate(2, seed=0).numpy()
    for change, default in ((torch.set_default_dtype, torch.float64), (torch.set_default_device, "meta")):
        before = torch.get_default_dtype() if default is torch.float64 else None
        change(default)  # type: ignore[operator]
        try:
            made = copy.deepcopy(dcgan()).generate(2, seed=0).numpy()
        finally:
            change(before)  # type: ignore[operator]
        np.testing.assert_allclose(made, wanted, rtol=0, atol=1e-5)


def test_another_convolution_for_all_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo.load("conv-ae")
    image = np.full((64, 64, 3), 0.5, np.float32)
    before = model.reconstruct(image).numpy()
    convolve = nn.Conv2d._conv_forward
    monkeypatch.setattr(nn.Conv2d, "_conv_forward", lambda *given: convolve(*given) * 1.1)
    after = model.reconstruct(image).numpy()
    model.precision = "plain"
    np.testing.assert_allclose(after, model.reconstruct(image).numpy(), rtol=0, atol=1e-5)
    assert np.abs(after - before).max() > 1e-3


def test_an_edit_before_the_first_use_is_part_of_the_network() -> None:
    for edit in EDITS.values():
        model = copy.deepcopy(dcgan())
        edit(model)
        with torch.no_grad():
            wanted = (copy.deepcopy(model).decode(torch.from_numpy(LATENTS)).clamp(-1, 1).numpy() + 1) / 2  # type: ignore[operator]
        np.testing.assert_allclose(model.generate(2, seed=0).numpy(), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("used", [False, True])
def test_hooks_fire_once_for_each_batch_and_never_for_a_probe(used: bool) -> None:
    model = copy.deepcopy(dcgan())
    if used:
        model.generate(1)
    seen: list[int] = []
    one = model.main[2].register_forward_hook(lambda module, given, made: seen.append(len(made)))  # type: ignore[index,union-attr]
    for precision in PRECISIONS:
        model.precision = precision
        model.generate(5, batch_size=2)
    assert seen == 3 * [2, 2, 1]
    one.remove()
    everywhere = nn.modules.module.register_module_forward_hook(lambda module, given, made: seen.append(len(given[0])))
    try:
        seen.clear()
        model.generate(3)
        assert seen == (len(model.main) + 1) * [3]  # type: ignore[arg-type]
    finally:
        everywhere.remove()
    model.precision = "exact"
    assert optimized(model).run, "once they are gone, the fast way is taken again"


def test_a_module_of_somebody_sees_no_probe() -> None:
    seen: list[int] = []

    class Spy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(len(x))
            return x

    model = copy.deepcopy(dcgan())
    model.main.append(Spy())  # type: ignore[operator]
    model.generate(3)
    assert seen == [3]


def test_the_fast_way_is_looked_for_without_a_trace() -> None:
    model = copy.deepcopy(dcgan())
    buffers = copy.deepcopy(dict(model.named_buffers()))
    states = random_states()
    model.generate(1, seed=0)
    assert optimized(model).run
    assert random_states() == states
    assert all(torch.equal(x, buffers[name]) for name, x in model.named_buffers())


def test_autocast_and_modes_are_kept() -> None:
    model = copy.deepcopy(dcgan())
    model.generate(1, seed=0)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.generate(2, seed=0).numpy()
        with torch.inference_mode():
            wanted = (model.decode(torch.from_numpy(LATENTS)).float().numpy() + 1) / 2  # type: ignore[operator]
    np.testing.assert_allclose(rough, wanted, rtol=0, atol=1e-6)
    with FlopCounterMode(display=False) as counted:
        model.generate(1, seed=0)
    assert counted.get_total_flops() > 1e6


def test_plain_runs_the_modules_alone() -> None:
    model = zoo.load("dcgan", precision="plain")
    assert optimized(model).run is None
    assert np.array_equal(model.generate(2, seed=0).numpy(), (plain_of(model) + 1) / 2)


def test_loaded_and_moved_weights_are_computed_fast_again() -> None:
    model = copy.deepcopy(dcgan())
    before = model.generate(2, seed=0).numpy()
    halve(model)
    after = model.generate(2, seed=0).numpy()
    assert np.abs(after - (plain_of(model) + 1) / 2).max() < 1e-5
    model.load_state_dict(copy.deepcopy(dcgan().state_dict()), assign=True)
    assert np.array_equal(model.generate(2, seed=0).numpy(), before)
    model.train()
    assert np.abs(model.generate(2, seed=0).numpy() - before).max() > 1e-3
    model.eval()  # with the statistics of the two samples
    assert np.abs(model.generate(2, seed=0).numpy() - before).max() > 1e-3
    model.load_state_dict(dcgan().state_dict())
    assert optimized(model).run
    model.double()
    assert optimized(model).run is None
    assert np.abs(model.generate(2, seed=0).numpy() - before).max() < 1e-5


@cache
def dcgan() -> Model:
    return zoo.load("dcgan")


LATENTS = np.stack([np.random.default_rng((0, i)).standard_normal(100, dtype=np.float32) for i in range(2)])


def plain_of(model: Model) -> np.ndarray:
    assert isinstance(model, Generator)
    with torch.inference_mode():
        return model.decode(model.latents(2, 0)).numpy()


def test_copies_and_pickles_leave_the_rewritten_one_behind() -> None:
    model = zoo.load("dcgan")
    wanted = model.generate(2, seed=0).numpy()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert isinstance(other.backend, TorchBackend)
        assert not other.backend.copies
        assert np.array_equal(other.generate(2, seed=0).numpy(), wanted)
    assert list(model.state_dict()) == list(zoo.load("dcgan").state_dict())


def test_the_command_takes_a_precision(tmp_path: Any, zoo_command: Callable[..., Result]) -> None:
    made = zoo_command("generate", "dcgan", "-n", "2", "--seed", "1", "--precision", "fast", "-o", tmp_path / "a.png")
    assert made.exit_code == 0, made.stderr
    with pytest.raises(InputError, match="precision cannot be 'double': choose exact, fast or plain"):
        zoo.load("dcgan", precision="double")
    shown = zoo_command("info", "dcgan", "--speed")
    assert shown.exit_code == 0, shown.stderr
    assert "exact: fold, pack; " in shown.stdout
    assert "times as fast" in shown.stdout
    assert "exact: plain; 1.00 times as fast, the same" in zoo_command("info", "cyclegan", "--speed").stdout
