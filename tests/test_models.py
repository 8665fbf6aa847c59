"""The contract over every checkpoint of the registry, and what the networks themselves must be."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from conftest import Registry
from torch import Tensor

import zoo
from zoo import Images
from zoo.errors import InputError, UnknownNameError, VerbError
from zoo.inference.verbs import Verbs
from zoo.model import Autoencoder, Model
from zoo.models.cdcgan import CDCGAN
from zoo.models.conv_ae import ConvAE
from zoo.models.dcgan import DCGAN
from zoo.networks import build
from zoo.registry.index import info, registry

BUILT_IN = [name for name, entry in registry().entries.items() if entry.package == "zoo" and entry.embedded.is_file()]


@pytest.mark.parametrize("name", BUILT_IN)
def test_facts_that_a_stranger_asks_for(name: str) -> None:
    entry = info(name)
    assert entry.paper.startswith("https://")
    assert entry.data is not None
    assert entry.data.source.startswith("https://")
    assert entry.metrics, "a checkpoint without a figure"
    assert entry.hub is not None
    module, _, function = entry.recipe.partition(":")
    assert callable(getattr(__import__(module, fromlist=[function]), function))
    doc = getattr(__import__(entry.builder.partition(":")[0], fromlist=["x"]), entry.builder.partition(":")[2]).__doc__
    assert len(str(doc)) > 200


@pytest.mark.parametrize(
    ("size", "channels", "width", "hidden"),
    [
        (64, 3, 128, [1024, 512, 256, 128]),
        (64, 3, 64, [512, 256, 128, 64]),
        (28, 1, 64, [256, 128, 64]),
        (8, 1, 4, [4]),
    ],
)
def test_dcgan_is_the_network_of_the_paper(size: int, channels: int, width: int, hidden: list[int]) -> None:
    network = DCGAN(size, channels, width, latent=10)
    norms = [module.num_features for module in network.main if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms == hidden
    assert network.decode(torch.zeros(2, 10)).shape == (2, channels, size, size)


def test_conv_ae_goes_through_its_code_and_starts_at_pca() -> None:
    torch.manual_seed(0)
    network = ConvAE(size=16, channels=1, code=5, patch=2, widths=(8, 8)).eval()
    x = torch.rand(40, 1, 16, 16) * 2 - 1
    pixels = torch.nn.functional.avg_pool2d(x, 2).flatten(1)
    mean = pixels.mean(0)
    components = torch.linalg.svd(pixels - mean, full_matrices=False).Vh[:5]
    network.start_at_pca(x)
    with torch.inference_mode():
        codes = network.encode(x)
        copies = network.linear_decoder(codes)
        assert codes.shape == (40, 5)
        wanted = (pixels - mean) @ components.T @ components + mean
        assert torch.allclose(copies, wanted, atol=1e-5)
        upsampled = torch.nn.functional.interpolate(copies.unflatten(1, (1, 8, 8)), scale_factor=2, mode="bilinear")
        assert torch.allclose(network(x), upsampled, atol=1e-5)


def test_seed_is_kept_and_random_by_default() -> None:
    model = zoo.load("dcgan")
    one, two = model.generate(1), model.generate(1)
    assert one.seed != two.seed
    assert np.array_equal(model.generate(1, seed=one.seed).numpy(), one.numpy())


def test_loading_gives_what_was_asked_for() -> None:
    model = zoo.load("dcgan", dtype=torch.bfloat16)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert model.entry is info("dcgan")
    difference = model.generate(4, seed=0).numpy() - zoo.load("dcgan").generate(4, seed=0).numpy()
    assert np.abs(difference).mean() < 0.02


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 0}, "n must be a whole number from 1, not 0"),
        ({"n": -1}, "n must be"),
        ({"n": 2.5}, "n must be"),
        ({"n": True}, "n must be"),
        ({"n": 10**9}, "GB of memory"),
        ({"n": 1, "seed": -1}, "seed must be a whole number from 0"),
        ({"n": 1, "seed": "x"}, "seed must be"),
        ({"n": 1, "batch_size": 0}, "batch_size must be"),
        ({"n": 1, "colour": "red"}, "dcgan has no condition 'colour': it takes none"),
    ],
)
def test_bad_arguments_of_generate(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        zoo.load("dcgan").generate(**options)  # type: ignore[arg-type]


def test_verbs_that_are_lacking() -> None:
    with pytest.raises(VerbError, match="dcgan cannot reconstruct: conv-ae"):
        zoo.load("dcgan").reconstruct("photo.jpg")
    with pytest.raises(VerbError, match="conv-ae cannot generate: dcgan"):
        zoo.load("conv-ae").generate(1)


def test_conditions(toys: Registry) -> None:
    model = zoo.load("dots")
    sevens = model.generate(3, seed=0, digit=7, strength=0.5).numpy()
    mixed = model.generate(3, seed=0, digit=[1, 7, 2], strength=[0.0, 0.5, 1.0], batch_size=2).numpy()
    assert np.array_equal(sevens[1], mixed[1])
    assert not np.array_equal(sevens[0], mixed[0])
    plain = model.generate(3, seed=0, strength="0.5").numpy()
    assert np.array_equal(plain, model.generate(3, seed=0, strength=0.5, digit=0).numpy())
    for wrong, words in (
        ({"strength": 0, "digit": 10}, "choose one of 0, 1, 2"),
        ({"strength": "much"}, "strength must be a number, not 'much'"),
        ({}, "needs the condition strength"),
        ({"strength": [0.0, 1.0]}, "strength has 2 values for 3 samples"),
    ):
        with pytest.raises(InputError, match=words):
            model.generate(3, seed=0, **wrong)
    with pytest.raises(UnknownNameError, match="did you mean digit"):
        model.generate(3, digits=1, strength=0)


def test_sizes_are_padded_and_cropped_back(toys: Registry) -> None:
    model = zoo.load("doubler")
    rng = np.random.default_rng(0)
    images = [rng.random((h, w, 3), dtype=np.float32) for h, w in ((8, 8), (5, 7), (5, 7), (1, 1), (8, 8))]
    made = model.reconstruct(images, batch_size=2)
    for before, after in zip(images, made.arrays, strict=True):
        np.testing.assert_allclose(after, before.transpose(2, 0, 1).repeat(2, 1).repeat(2, 2), atol=1e-6)


def test_a_image_as_condition(toys: Registry) -> None:
    model = zoo.load("doubler")
    white = model.reconstruct(np.ones((4, 4, 3)), mask=np.zeros((2, 2, 3))).numpy()
    np.testing.assert_allclose(white, 0.5, atol=1e-6)


def test_reconstruct_keeps_order_and_names(tmp_path: Path) -> None:
    Images.of(np.random.default_rng(0).random((3, 10, 10, 3))).save(tmp_path)
    copies = zoo.load("conv-ae").reconstruct([tmp_path])
    assert copies.names == ["0000", "0001", "0002"]
    assert copies.numpy().shape == (3, 3, 64, 64)


def test_building_takes_no_memory_for_weights() -> None:
    assert all(tensor.is_meta for tensor in build(info("dcgan")).state_dict().values())


def test_cdcgan_draws_the_digit_that_is_asked_for() -> None:
    model = zoo.load("cdcgan")
    one = model.generate(10, seed=1, digit=7)
    mixed = model.generate(10, seed=1, digit=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert np.allclose(one.numpy()[7], mixed.numpy()[7], atol=1e-4)
    assert not np.allclose(one.numpy()[6], mixed.numpy()[6], atol=1e-2)
    assert len({image.tobytes() for image in model.generate(8, seed=1).arrays}) == 8, "without one, it chooses"
    with pytest.raises(InputError, match="digit cannot be 10: choose one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"):
        model.generate(1, digit=10)


def test_a_loaded_model_learns_as_the_guide_says() -> None:
    text = (Path(__file__).parent.parent / "docs" / "guide.md").read_text("utf-8")
    (block,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "optimizer" in block]
    names: dict[str, Any] = {"zoo": zoo}
    exec(block, names)
    before = zoo.load("dcgan")
    first = (before.decode(names["z"]) - 1).square().mean()  # type: ignore[operator]
    assert names["loss"] < first
    images = before.generate(8, seed=0).numpy()
    assert (names["images"].numpy() - images).mean() > 0.01, "whiter"


def test_what_is_frozen_after_train_stays_so() -> None:
    model = zoo.load("dcgan")
    assert not any(x.requires_grad for x in model.parameters())
    assert all(x.requires_grad for x in model.train().parameters())
    model.main[0].requires_grad_(False)  # type: ignore[index,union-attr,operator]
    model.eval()
    model.train()
    assert [name for name, x in model.named_parameters() if not x.requires_grad] == ["main.0.weight"]
    assert not model.generate(1).tensor.requires_grad


def test_a_part_that_was_made_trainable_before_train_learns_alone() -> None:
    model = zoo.load("dcgan")
    model.main[0].requires_grad_(True)  # type: ignore[index,union-attr,operator]
    model.train()
    assert [name for name, x in model.named_parameters() if x.requires_grad] == ["main.0.weight"]


def test_what_is_loaded_in_inference_mode_learns() -> None:
    with torch.inference_mode():
        model = zoo.load("dcgan")
    model.train()
    assert model.decode(model.latents(1, 0)).mean().backward() is None  # type: ignore[operator,union-attr]
    assert all(x.grad is not None for x in model.parameters())


@pytest.mark.parametrize("dtype", ["float16", "torch.bfloat16", "float64", torch.float16])
def test_types_by_name(dtype: Any) -> None:
    model = zoo.load("dcgan", dtype=dtype)
    assert {str(x.dtype) for x in model.parameters()} == {f"torch.{str(dtype).removeprefix('torch.')}"}


@pytest.mark.parametrize("dtype", ["half", "int8", torch.int64, torch.complex64, np.float32, None, 16, "", "FLOAT16"])
def test_types_that_are_none(dtype: Any) -> None:
    with pytest.raises(InputError, match=r"dtype cannot be .*: choose float32, bfloat16, float16 or float64\."):
        zoo.load("dcgan", dtype=dtype)


@pytest.mark.parametrize("weights", [3, b"weights", ["weights"]])
def test_weights_that_are_no_path(weights: Any) -> None:
    with pytest.raises(InputError, match="weights is the path of a folder or a"):
        zoo.load("dcgan", weights=weights)


@pytest.mark.parametrize("digits", [torch.tensor([1, 2]), np.array([1, 2]), np.array([1, 2], np.uint8), (1, 2)])
def test_labels_may_be_arrays_and_tensors(digits: Any) -> None:
    model = zoo.load("cdcgan")
    wanted = model.generate(2, seed=0, digit=[1, 2]).numpy()
    assert np.array_equal(model.generate(2, seed=0, digit=digits).numpy(), wanted)
    assert np.array_equal(model.generate(1, seed=0, digit=digits[0]).numpy(), wanted[:1])


@pytest.mark.parametrize("device", [None, 0, -1, ["cpu"], b"cpu", "", "cpu:x", "gpu", "meta", "hpu"])
def test_devices_that_are_none(device: Any) -> None:
    with pytest.raises(InputError, match=r"^The device .* cannot be used: "):
        zoo.load("dcgan", device=device)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: DCGAN(size=3), "size must be a whole number from 8"),
        (lambda: ConvAE(size=20), "size must be divisible by 16"),
        (lambda: ConvAE(widths=()), "widths"),
        (lambda: CDCGAN(size=3), "size must be a whole number from 8"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_words(build: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build()


class Both(Autoencoder):
    """Toy: a code of four numbers, which are drawn, too; images ``(N, 1, 8, 8)`` in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.latent_shape = (4,)
        self.encoder, self.decoder = torch.nn.Linear(64, 4), torch.nn.Linear(4, 64)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x.flatten(1))

    def decode(self, z: Tensor, level: Tensor) -> Tensor:
        return torch.tanh(self.decoder(z) + level.to(z.dtype)[:, None]).unflatten(1, (1, 8, 8))


@pytest.fixture
def both(toys: Registry) -> Model:
    """A model that generates and reconstructs."""
    size = {"kind": "image", "channels": 1, "size": [8, 8]}
    toys.add(
        "both",
        Both(),
        verbs=["generate", "reconstruct"],
        conditions={"level": {"choices": ["low", "high"]}},
        checkpoint={"input": size, "output": size},
    )
    return zoo.load("both")


def test_a_model_with_both_verbs(both: Model, zoo_command: Callable[..., Result], tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((3, 8, 8), dtype=np.float32)[..., None]
    assert both.calls == ["decode", "forward"]
    with torch.inference_mode():
        high = torch.ones(3, dtype=torch.int64)
        made = (both.decode(both.latents(3, 7), high) + 1) / 2
        copies = (both(torch.from_numpy(images).permute(0, 3, 1, 2) * 2 - 1, level=high) + 1) / 2
    runtimes: list[Verbs] = [both]
    if find_spec("onnxscript") and find_spec("onnxruntime"):
        runtimes.append(zoo.load("both", runtime="onnx"))
        written = zoo_command("export", "both", "--format", "onnx", "-o", tmp_path / "both.onnx")
        assert written.exit_code == 0, written.stderr
        assert {path.name for path in tmp_path.glob("*.onnx")} == {"both-decode.onnx", "both-forward.onnx"}
    for model in runtimes:
        for _ in range(2):  # one verb after the other, each again
            assert np.allclose(model.generate(3, seed=7, level="high").numpy(), made.numpy(), atol=1e-5)
            assert np.allclose(model.reconstruct(images, level="high").numpy(), copies.numpy(), atol=1e-5)
        for verb, given in (("generate", 1), ("reconstruct", images)):
            with pytest.raises(zoo.ZooError, match=r"both needs the condition level.*: one of low, high"):
                getattr(model, verb)(given)
