"""Rewritten networks answer as the plain ones do; one that does not is not used."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from test_tiling import network
from torch import Tensor, nn

import zoo
from zoo import fast
from zoo.entry import Format
from zoo.errors import InputError
from zoo.loading import build
from zoo.model import Generator, Model

BFLOAT16 = fast.has_bfloat16(torch.device("cpu"))
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
    x, conditions = model.example()
    return model.decode(x, **conditions) if isinstance(model, Generator) else model(x, **conditions)


@torch.inference_mode()
def quick(model: Model) -> Tensor:
    run = model.quick.run
    return run(model.example()) if run else plain(model)


@pytest.mark.parametrize(("name", "config", "scale", "multiple"), CASES)
def test_exact_is_exact_and_fast_is_near(name: str, config: dict[str, Any], scale: int, multiple: int) -> None:
    model = quiet(name, config, scale, multiple)
    wanted = plain(model)
    steps = fast.PAYS[model.entry.builder][0]  # type: ignore[union-attr]
    assert model.quick.kind == (", ".join(steps) or "plain")
    assert (quick(model) - wanted).abs().max() < 2e-5
    model.precision = "fast"
    if BFLOAT16:
        assert "bfloat16" in model.quick.kind
    error = (quick(model) - wanted) / 2
    assert -10 * torch.log10(error.square().mean() + 1e-20) >= 45


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
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = quiet(name, config, scale, multiple)
    monkeypatch.setitem(fast.PAYS, model.entry.builder, (steps, ()))  # type: ignore[union-attr]
    assert model.quick.kind == ", ".join(steps), "or the answer was another, and the plain network is used"
    assert model.quick.agreement > 100


def test_the_rewrites_take_place() -> None:
    """Batch norms go, activations go, doubled maps are convolved small."""

    def kinds(name: str, config: dict[str, Any], scale: int, multiple: int) -> list[str]:
        model = quiet(name, config, scale, multiple)
        model.precision = "fast"
        with torch.inference_mode():
            made = fast._rewritten(model, model._method, fast.PAYS[model.entry.builder][1], fast.WHOLE, model.example())  # type: ignore[union-attr]
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
    original = fast._Packed.forward

    def broken(self: nn.Module, x: Tensor) -> Tensor:
        if how == "raises":
            raise RuntimeError("no such kernel")
        return original(self, x) * (1.001 if how == "wrong" else float("nan"))  # type: ignore[arg-type]

    monkeypatch.setattr(fast._Packed, "forward", broken)
    assert model.quick.run is None
    assert torch.equal(quick(model), plain(model))


def test_a_network_that_random_input_is_not_for_stays_plain() -> None:
    """As one that was trained with fewer classes than the registry's has."""
    entry = replace(zoo.info("cdcgan"), config={"classes": 2, "size": 8, "channels": 1, "width": 4, "latent": 4})
    model = build(entry).to_empty(device="cpu").eval()
    for tensor in model.state_dict().values():
        tensor.zero_()
    model.entry = entry
    assert model.generate(3, seed=0, digit=1).numpy().shape == (3, 1, 8, 8)
    assert model.quick.kind == "plain"


def test_new_weights_are_seen() -> None:
    """However they got there: in place, by assignment, by another precision; and training is always plain."""
    model = zoo.load("dcgan")
    before = model.generate(2, seed=0).numpy()
    with torch.no_grad():
        model.main[-2].weight.mul_(0.5)  # type: ignore[index,union-attr,operator]
    after = model.generate(2, seed=0).numpy()
    assert np.abs(before - after).max() > 0.05
    assert np.abs(after - (plain_of(model) + 1) / 2).max() < 1e-5
    model.load_state_dict(zoo.load("dcgan").state_dict(), assign=True)
    assert np.array_equal(model.generate(2, seed=0).numpy(), before)
    model.train()
    assert np.abs(model.generate(2, seed=0).numpy() - before).max() > 1e-3
    model.eval()  # with the statistics of the two samples
    assert np.abs(model.generate(2, seed=0).numpy() - before).max() > 1e-3
    model.load_state_dict(zoo.load("dcgan").state_dict())
    model.double()
    assert np.abs(model.generate(2, seed=0).numpy() - before).max() < 1e-5


def plain_of(model: Model) -> np.ndarray:
    assert isinstance(model, Generator)
    with torch.inference_mode():
        return model.decode(model.latents(2, 0)).numpy()


def test_copies_and_pickles_leave_the_rewritten_one_behind() -> None:
    model = zoo.load("dcgan")
    wanted = model.generate(2, seed=0).numpy()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert "_quick" not in other.__dict__
        assert np.array_equal(other.generate(2, seed=0).numpy(), wanted)
    assert list(model.state_dict()) == list(zoo.load("dcgan").state_dict())


def test_the_command_takes_a_precision(tmp_path: Any, zoo_command: Callable[..., Result]) -> None:
    made = zoo_command("generate", "dcgan", "-n", "2", "--seed", "1", "--precision", "fast", "-o", tmp_path / "a.png")
    assert made.exit_code == 0, made.stderr
    with pytest.raises(InputError, match="precision cannot be 'double': choose exact or fast"):
        zoo.load("dcgan", precision="double")
    shown = zoo_command("info", "dcgan", "--speed")
    assert shown.exit_code == 0, shown.stderr
    assert "exact: fold, pack; " in shown.stdout
    assert "times as fast" in shown.stdout
    assert "exact: plain; 1.00 times as fast, the same" in zoo_command("info", "cyclegan", "--speed").stdout
