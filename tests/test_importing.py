"""Files of other people's code: answers of references, every layout in and out, wrappers, and what is refused."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import zoo
from zoo.backends.onnx_export import export as export_onnx
from zoo.errors import InputError, WeightsError, ZooError
from zoo.interop.convert import convert, export
from zoo.interop.foreign import State, read
from zoo.interop.layouts.table import LAYOUTS, layout_of
from zoo.interop.recognise import all_keywords, foreign_names
from zoo.model import Autoencoder, Generator
from zoo.networks import build
from zoo.registry.facts import Format
from zoo.registry.index import info
from zoo.weights import folder

Command = Callable[..., Result]
PARITY = Path(__file__).parent / "parity"


def reference_state(name: str) -> tuple[State, Tensor]:
    """A reference's state dict and input, made by the formulas of tests/parity/README.md."""
    facts = json.loads((PARITY / f"{name}.json").read_text())
    seed, given = facts["seed"], facts["input"]
    state = {key: torch.from_numpy(formula(seed, key, shape)) for key, shape in facts["keys"].items()}
    for name in [key for key in state if key.endswith("weight_orig")]:
        rows, u = state[name].flatten(1), state[name.replace("_orig", "_u")]
        for _ in range(10):
            v = nn.functional.normalize(rows.T @ u, dim=0)
            u = nn.functional.normalize(rows @ v, dim=0)
        state |= {name.replace("_orig", "_u"): u, name.replace("_orig", "_v"): v}
    random = np.random.default_rng(1000 * seed)
    x = random.standard_normal(given["shape"]) if given["kind"] == "randn" else random.random(given["shape"])
    return state, torch.from_numpy(2 * x - 1 if given["kind"] == "sym" else x).float()


def formula(seed: int, key: str, shape: list[int]) -> np.ndarray:
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    a = np.random.default_rng(zlib.crc32(f"{seed}:{key}".encode())).standard_normal(shape)
    if "running_var" in key:
        a = 1 + 0.1 * np.abs(a)
    elif len(shape) >= 2:
        a = a / np.sqrt(np.prod(shape[1:]))
    else:
        a = 1 + 0.1 * a if key.endswith("weight") else 0.1 * a
    return a.astype(np.float32)


def assert_same_answer(name: str, answer: Tensor, largest: float = 0.0) -> None:
    """To 1e-4 of the largest value."""
    wanted = load_file(PARITY / f"{name}.safetensors")
    parts = {"output": answer, "output_corner": answer[..., :24, :24]}
    parts["output_mean8"] = nn.functional.adaptive_avg_pool2d(answer, 32)
    for part, value in wanted.items():
        assert (parts[part] - value).abs().max() <= 1e-4 * max(largest, float(value.abs().max())), part


def saved(folder: Path, state: State, name: str = "netG.pth") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if name.endswith(".safetensors"):
        save_file(state, folder / name)
    else:
        torch.save(state, folder / name)
    return folder / name


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("dcgan", "dcgan"),
        ("huggan_dcgan_nc1", "dcgan-huggan"),
        ("pix2pix_unet128", "pix2pix"),
        ("pix2pix_unet256", "pix2pix"),
        ("huggan_pix2pix", "pytorch-gan-unet"),
        ("cyclegan_resnet6", "cyclegan"),
        ("cyclegan_resnet9", "cyclegan"),
        ("cyclegan_resnet9_dropout_bn", "cyclegan-dropout"),
        ("huggan_cyclegan", "cyclegan-huggan"),
        ("srgan_leftthomas_x2", "srgan-leftthomas"),
        ("srgan_leftthomas_x4", "srgan-leftthomas"),
        ("srgan_leftthomas_x8", "srgan-leftthomas"),
        ("srgan_lornatang", "srgan-lornatang"),
        ("srresnet_twtygqyy", "srgan-twtygqyy"),
        ("msrresnet", "msrresnet"),
        ("rrdbnet_x4", "esrgan"),
        ("rrdbnet_x4_6b", "esrgan"),
        ("srvgg_16", "srvgg"),
        ("progan_256", "progan"),
    ],
)
def test_an_imported_file_answers_as_the_reference_does(name: str, layout: str, tmp_path: Path) -> None:
    state, x = reference_state(name)
    entry = convert([saved(tmp_path, state)], tmp_path / "mine")
    assert entry.origin
    assert entry.origin.layout == layout
    network = zoo.load(f"local-dir:{tmp_path / 'mine'}")
    with torch.inference_mode():
        if isinstance(network, Generator):
            answer = network.decode(x.flatten(1))
        elif json.loads((PARITY / f"{name}.json").read_text())["input"]["kind"] == "rand":  # pixels in [0, 1]
            answer = (network(2 * x - 1) + 1) / 2
        else:
            answer = network(x)
    if layout == "srgan-lornatang":
        # It ends in a clamp, and ours leaves that to what makes images; before, its values reach 327.
        assert_same_answer(name, answer.clamp(0, 1), float(answer.abs().max()))
    else:
        assert_same_answer(name, answer)


@pytest.mark.parametrize("channels", [4, 16, 32])
def test_the_two_files_of_taesd_answer_as_the_reference_does(channels: int, tmp_path: Path) -> None:
    """In either order; the reference's decoder counts a clamp that has no weights, and its images are in [0, 1]."""
    encoder, x = reference_state("taesd_encoder_32" if channels == 32 else "taesd_encoder_4")
    if channels == 16:
        for key, shape in (("14.weight", [16, 64, 3, 3]), ("14.bias", [16])):
            encoder[key] = torch.from_numpy(formula(1, key, shape))
    decoder, z = reference_state(f"taesd_decoder_{channels}")
    files = [saved(tmp_path, decoder, "taesd_decoder.pth"), saved(tmp_path, encoder, "taesd_encoder.pth")]
    entry = convert(files, tmp_path / "mine", license="MIT")
    assert entry.license == "MIT"
    network = zoo.load(f"local-dir:{tmp_path / 'mine'}")
    assert isinstance(network, Autoencoder)
    with torch.inference_mode():
        assert_same_answer(f"taesd_decoder_{channels}", (network.decode(z) + 1) / 2)
        if channels != 16:
            assert_same_answer(f"taesd_encoder_{channels}", network.encode(2 * x - 1))
    written = export(f"local-dir:{tmp_path / 'mine'}", tmp_path / "out" / "taesd.pth", "state-dict", "taesd")
    assert [path.name for path in written] == ["taesd-encoder.pth", "taesd-decoder.pth"]
    for path, state in zip(written, (encoder, decoder), strict=True):
        assert_equal(torch.load(path), state)


def test_biggan_deep_answers_as_the_reference_does(tmp_path: Path) -> None:
    """With spectral norm folded into the weights; its latents are truncated before they go in."""
    state, z = reference_state("biggan_deep_small")
    entry = convert([saved(tmp_path, state)], tmp_path / "mine")
    assert entry.origin
    assert (entry.origin.layout, entry.origin.left_out) == ("biggan-deep", {})
    network = zoo.load(f"local-dir:{tmp_path / 'mine'}")
    assert isinstance(network, Generator)
    with torch.inference_mode():
        answer = network.decode(z.clamp(-2, 2), torch.tensor([3, 7]), torch.tensor([0.4, 0.4]))
    assert_same_answer("biggan_deep_small", answer)
    assert len(network.generate(2, kind=7, truncation=0.41, seed=0)) == 2


def test_biggan_deep_knows_the_classes_of_imagenet_by_name(tmp_path: Path) -> None:
    state = theirs("biggan-deep", {"latent": 4, "embedding": 3, "widths": [8, 8], "attention": 0, "sets": 2})
    convert([saved(tmp_path, state)], tmp_path / "mine")
    network = zoo.load(f"local-dir:{tmp_path / 'mine'}")
    assert len(network.generate(1, kind="golden retriever", seed=0)) == 1
    with pytest.raises(InputError, match=r"kind cannot be 'goldn retriever'; did you mean golden retriever"):
        network.generate(1, kind="goldn retriever")
    with pytest.raises(InputError, match=r"kind cannot be '0': choose one of 1,000, such as tench or goldfish\."):
        network.generate(1, kind="0")


@pytest.mark.parametrize("lacking", ["weight_u", "weight_v"])
def test_spectral_norm_without_its_vectors_is_not_folded(lacking: str, tmp_path: Path) -> None:
    state, _ = reference_state("biggan_deep_small")
    state = {key: x for key, x in state.items() if key != f"generator.gen_z.{lacking}"}
    with pytest.raises(WeightsError, match=r"generator\.gen_z\.weight_orig"):
        convert([saved(tmp_path, state)], tmp_path / "mine")


def assert_equal(a: State, b: State) -> None:
    assert a.keys() == b.keys()
    for key in a:
        assert a[key].dtype == b[key].dtype, key
        assert torch.equal(a[key], b[key]), key


# One or two small networks of every layout, by the keywords of the builder that are not its default.
SMALL: dict[str, list[dict[str, Any]]] = {
    "dcgan": [{"size": 16, "channels": 1, "width": 4, "latent": 6}, {"size": 128, "width": 2}],
    "dcgan-huggan": [{"size": 32, "width": 4}],
    "dcgan-gan-zoo": [{"size": 32, "width": 4, "latent": 5}],
    "progan": [{"channels": 1, "latent": 6, "widths": [8, 4, 2]}, {"widths": [4]}],
    "progan-short": [{"latent": 5, "widths": [6, 4]}],
    "biggan-deep": [
        {"classes": 3, "latent": 4, "embedding": 3, "widths": [16, 8, 8, 4], "attention": 8, "sets": 3},
        {"classes": 3, "latent": 4, "embedding": 3, "widths": [8, 8], "attention": 0, "sets": 2},
    ],
    "pix2pix": [{"size": 16, "in_channels": 1, "width": 4}, {"size": 32, "width": 3, "norm": "instance"}],
    "pytorch-gan-unet": [{"in_channels": 1, "width": 2}],
    "cyclegan": [
        {"width": 4, "blocks": 6, "out_channels": 3},
        {"channels": 1, "out_channels": 3, "width": 2, "norm": "batch"},
    ],
    "cyclegan-dropout": [
        {"width": 4, "blocks": 2, "out_channels": 3},
        {"width": 4, "out_channels": 3, "norm": "batch"},
    ],
    "cyclegan-huggan": [{"width": 4, "blocks": 3, "out_channels": 1, "resize": True}],
    "srgan-leftthomas": [{"scale": 2, "width": 4, "blocks": 5, "bias": True, "unit": True, "tanh": True}],
    "srgan-lornatang": [{"scale": 8, "channels": 1, "width": 4, "blocks": 3, "unit": True}],
    "srgan-twtygqyy": [{"width": 4, "blocks": 2, "norm": "instance", "slope": 0.2, "bias": False, "unit": True}],
    "msrresnet": [{"scale": scale, "width": 4, "blocks": 2} for scale in (2, 3, 4)],
    "esrgan": [{"scale": scale, "width": 4, "blocks": 2, "growth": 3} for scale in (1, 2, 4)],
    "esrgan-old": [{"width": 4, "blocks": 2, "growth": 3, "channels": 1}],
    "esrgan-first": [{"width": 4, "blocks": 12, "growth": 2}],
    "srvgg": [{"scale": 3, "width": 4, "convs": 5}],
    "taesd": [{}, {"latent_channels": 32, "pool": True}],
    "taesd-diffusers": [{"latent_channels": 16}, {"latent_channels": 32, "pool": True}],
}
# Of each layout whose parity no file proves, the names of some modules, as its code has them.
NAMES = {
    "dcgan-gan-zoo": [
        "formatLayer.weight",
        "main.batchNorm0.bias",
        "main.convTranspose2.weight",
        "main.outlayer.weight",
    ],
    "progan-short": [
        "formatLayer.weight",
        "groupScale0.0.bias",
        "scaleLayers.0.1.weight",
        "toRGBLayers.1.bias",
    ],
    "esrgan-old": [
        "conv_first.bias",
        "RRDB_trunk.1.RDB3.conv5.weight",
        "trunk_conv.bias",
        "upconv2.bias",
        "HRconv.bias",
    ],
    "esrgan-first": ["model.0.bias", "model.1.sub.11.RDB1.conv1.0.bias", "model.1.sub.12.bias", "model.10.weight"],
    "taesd-diffusers": ["encoder.layers.14.bias", "decoder.layers.0.weight", "decoder.layers.17.conv.4.bias"],
}


def theirs(name: str, config: dict[str, Any]) -> State:
    """A random network's state dict under the names of a layout."""
    layout = layout_of(name)
    entry = replace(zoo.info(layout.model), config=config)
    shapes = build(entry).state_dict()
    names = foreign_names(layout, all_keywords(entry), shapes)
    return {names[key]: torch.from_numpy(formula(1, key, list(x.shape))) for key, x in shapes.items()}


@pytest.mark.parametrize("name", [layout.name for layout in LAYOUTS])
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_every_layout_goes_in_and_out_bit_for_bit(name: str, ending: str, tmp_path: Path) -> None:
    layout = layout_of(name)
    for number, config in enumerate(SMALL[name]):
        state = theirs(name, config)
        assert set(NAMES.get(name, [])) <= set(state)
        files = []
        for part in layout.parts:
            mine = {key.removeprefix(part): x for key, x in state.items() if key.startswith(part)}
            files.append(saved(tmp_path / str(number), mine, f"{part}net.{ending}"))
        entry = convert(files, tmp_path / f"mine{number}")
        assert entry.origin
        assert entry.origin.layout == name
        assert {**all_keywords(entry)} == all_keywords(replace(entry, config=config))
        form = "safetensors" if ending == "safetensors" else "state-dict"
        written = export(f"local-dir:{tmp_path / f'mine{number}'}", tmp_path / f"out{number}.{ending}", form, name)
        for path, origin in zip(written, files, strict=True):
            assert_equal(read(path).tensors, read(origin).tensors)


def test_provenance_is_kept_and_shown(tmp_path: Path, zoo_command: Command) -> None:
    file = saved(tmp_path, theirs("dcgan-gan-zoo", {"size": 16, "width": 4}), "celeba.pth")
    made = zoo_command("import", "dcgan", file, "-o", tmp_path / "mine", "--license", "CC-BY-NC-4.0")
    assert made.exit_code == 0, made.stderr
    assert "The layout is dcgan-gan-zoo, of https://github.com/facebookresearch/pytorch_GAN_zoo" in made.stdout
    assert f"Try: zoo generate local-dir:{tmp_path / 'mine'} -o out.png" in made.stdout
    shown = zoo_command("info", f"local-dir:{tmp_path / 'mine'}").stdout
    assert re.search(r"From     celeba\.pth \(sha256 [0-9a-f]{12}\.\.\.\), in the layout dcgan-gan-zoo", shown)
    assert "CC-BY-NC-4.0" in shown
    origin = json.loads((tmp_path / "mine" / "config.json").read_text())["origin"]
    assert origin["renamed"]["main.0"] == "formatLayer"
    out = zoo_command("generate", f"local-dir:{tmp_path / 'mine'}", "-n", "2", "-o", tmp_path / "a.png")
    assert out.exit_code == 0, out.stderr


def test_a_file_of_pytorch_gan_zoo_has_both_networks_and_an_average(tmp_path: Path) -> None:
    """And a network that is not grown yet has no such file."""
    config = {"channels": 3, "latent": 4, "widths": [4, 4, 2]}
    state = theirs("progan", config)
    average = {key: x / 2 for key, x in state.items()}
    critic = {key.replace("toRGB", "fromRGB"): x.clone() for key, x in state.items() if "format" not in key}
    path = saved(tmp_path, {"config": "", "netG": state, "netD": critic, "avgG": average, "alpha": 0})  # type: ignore[dict-item]
    entry = convert([path], tmp_path / "mine")
    assert entry.origin
    assert entry.origin.taken == {"netG.pth": "avgG"}
    assert entry.config == config
    folder = tmp_path / "mine" / "config.json"
    folder.write_text(folder.read_text().replace('"latent": 4', '"latent": 4, "grown": 1.5'))
    with pytest.raises(InputError, match=r"has grown=1\.5, which the code of .* does not have"):
        export(f"local-dir:{tmp_path / 'mine'}", tmp_path / "out.pth", "state-dict", "progan")


SMALLEST = {"size": 16, "channels": 1, "width": 4, "latent": 6}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {
            "epoch": 3,
            "state_dict": {f"module.{key}": x for key, x in state.items()},
            "optimizer": {"lr": 1},
        },
        lambda state: {"params": {"a": torch.zeros(2)}, "params_ema": state},
        lambda state: {"model": {"netG": {f"_orig_mod.{key}": x for key, x in state.items()}}},
        lambda state: {
            "state_dict": {"discriminator.a": torch.zeros(2), **{f"generator.{k}": x for k, x in state.items()}}
        },
        lambda state: {"step": 1, "whatever": state},
        lambda state: {key: x for key, x in state.items() if "num_batches" not in key},
    ],
)
def test_wrappers_and_prefixes_are_taken_off(wrap: Callable[[State], Any], tmp_path: Path) -> None:
    state = theirs("dcgan", SMALLEST)
    convert([saved(tmp_path, wrap(state))], tmp_path / "mine")
    got = zoo.load(f"local-dir:{tmp_path / 'mine'}").state_dict()
    assert_equal(
        {key: x for key, x in got.items() if "num_batches" not in key},
        {k: x for k, x in state.items() if "num_batches" not in k},
    )


def test_statistics_of_old_instance_norms_are_dropped(tmp_path: Path) -> None:
    state = theirs("cyclegan", {"width": 4, "blocks": 2, "out_channels": 3})
    for layer in ("2", "10.conv_block.2"):
        state |= {f"model.{layer}.running_mean": torch.zeros(4), f"model.{layer}.running_var": torch.ones(4)}
    entry = convert([saved(tmp_path, state)], tmp_path / "mine")
    assert entry.config["norm"] == "instance"


def test_files_written_before_zip_archives_are_read(tmp_path: Path) -> None:
    state = theirs("dcgan", SMALLEST)
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert_equal(read(tmp_path / "old.pth").tensors, state)


def test_several_networks_need_a_key(tmp_path: Path) -> None:
    state, other = theirs("dcgan", SMALLEST), theirs("dcgan", {"size": 16, "width": 2})
    path = saved(tmp_path, {"A2B": state, "B2A": other})  # type: ignore[dict-item]
    with pytest.raises(InputError, match="has the networks A2B, B2A: choose one with --key"):
        convert([path], tmp_path / "mine")
    convert([path], tmp_path / "mine", key="A2B")
    assert_equal(zoo.load(f"local-dir:{tmp_path / 'mine'}").state_dict(), state)
    with pytest.raises(InputError, match="has no 'C': it has A2B, B2A"):
        convert([path], tmp_path / "other", key="C")


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    state = theirs("dcgan", SMALLEST)
    state["main.1.bias"] = torch.zeros(3)
    del state["main.1.weight"]
    state["attention.gamma"] = torch.zeros(1)
    with pytest.raises(WeightsError) as caught:
        convert([saved(tmp_path, state)], tmp_path / "mine")
    assert str(caught.value).splitlines() == [
        "The nearest layout is dcgan, with size=16, channels=1, width=4, latent=6, but:",
        "  main.1.weight is missing",
        "  main.1.bias is [3], not [8]",
        "  attention.gamma is not known",
        "docs/import.md lists the layouts.",
    ]


def convolutions(*names: str, bias: bool = True) -> State:
    state = {f"{name}.weight": torch.zeros(8, 8, 3, 3) for name in names}
    return state | ({f"{name}.bias": torch.zeros(8) for name in names} if bias else {})


@pytest.mark.parametrize(
    "state",
    [
        convolutions("conv1", "conv2", "fc1", "fc2", "fc3"),  # LeNet
        convolutions(*(f"model.{2 * i}" for i in range(17))),  # DnCNN of KAIR
        convolutions(*(f"dncnn.{i}" for i in range(17)), bias=False),  # DnCNN
        convolutions("fea_conv", "upsampler.0", *(f"IMDB{i}.c{j}" for i in range(1, 7) for j in range(1, 6))),  # IMDN
        convolutions("entry.0", "exit.0", *(f"b{i}.b1.body.{j}" for i in range(1, 4) for j in (0, 2))),  # CARN
        convolutions(*(f"features.{i}" for i in (0, 3, 6, 8)), "classifier.1", "classifier.4"),  # AlexNet
        convolutions(*(f"layer{i}.{j}.conv{k}" for i in range(1, 5) for j in (0, 1) for k in (1, 2)), "conv1"),
        {f"blocks.{i}.weight": torch.zeros(2) for i in range(40)} | {"body.0.rdb1.conv1.weight": torch.zeros(3)},
        {"x": torch.zeros(3)},
    ],
)
def test_what_is_near_no_layout_is_told_so(state: State, tmp_path: Path) -> None:
    for wrapped in (state, {"state_dict": {f"module.{key}": value for key, value in state.items()}}):
        with pytest.raises(WeightsError) as caught:
            convert([saved(tmp_path, wrapped)], tmp_path / "mine")  # type: ignore[arg-type]
        said = str(caught.value)
        assert "netG.pth has no layout that the zoo knows: its tensors are" in said
        assert next(iter(state)) in said
        assert said.endswith("docs/import.md lists the layouts.")
        assert "\n" not in said


@pytest.mark.parametrize("prefix", ["", "module.netG."])
def test_a_layout_is_near_if_it_shares_most_names(prefix: str, tmp_path: Path) -> None:
    """With the configuration that the file has, if it shows one; whatever stands before the names."""
    state = theirs("esrgan", {"width": 4, "blocks": 2, "growth": 3})
    for lost, config in (
        ("conv_hr.bias", ", with scale=4, width=4, blocks=2, growth=3, channels=3,"),
        ("body.0.rdb1.conv1.bias", ", with scale=4, width=4, blocks=2, growth=3, channels=3,"),
        ("conv_last.weight", ""),
    ):
        kept = {f"{prefix}{key}": x for key, x in state.items() if key != lost}
        with pytest.raises(WeightsError) as caught:
            convert([saved(tmp_path, kept)], tmp_path / "mine")
        lines = str(caught.value).splitlines()
        assert lines[0] == f"The nearest layout is esrgan{config} but:"
        assert f"  {lost} is missing" in lines or not config
    state = theirs("cyclegan", {"width": 4, "blocks": 2, "out_channels": 3})
    del state["model.10.conv_block.5.weight"]  # by which it is known
    with pytest.raises(
        WeightsError, match=r"nearest layout is cyclegan, .*, but:\n  model\.10\.conv_block\.5\.weight is"
    ):
        convert([saved(tmp_path, {f"{prefix}{key}": x for key, x in state.items()})], tmp_path / "mine")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "dcgn"}, "did you mean dcgan"),
        ({"layout": "dcgan-hugan"}, "There is no layout 'dcgan-hugan'; did you mean"),
        ({"model": "biggan"}, "No layout is known for biggan; did you mean biggan-deep?"),
        ({"model": "conv-ae"}, "No layout is known for conv-ae: there are some for dcgan, progan, biggan-deep"),
        ({"model": "srgan"}, "has the layout dcgan: import it as dcgan"),
        ({"layout": "pix2pix"}, "has the layout dcgan: import it as dcgan"),
    ],
)
def test_wrong_words(options: dict[str, str], words: str, tmp_path: Path) -> None:
    path = saved(tmp_path, theirs("dcgan", SMALLEST))
    with pytest.raises(ZooError, match=words):
        convert([path], tmp_path / "mine", **options)  # type: ignore[arg-type]


def test_a_folder_with_content_is_kept(tmp_path: Path) -> None:
    path = saved(tmp_path, theirs("dcgan", SMALLEST))
    with pytest.raises(InputError, match="is not an empty folder"):
        convert([path], tmp_path)


@pytest.mark.parametrize(
    ("target", "form"),
    [("model.safetensors", "state-dict"), ("model.safetensors", "onnx"), ("config.json", "safetensors")],
)
def test_an_export_keeps_what_it_reads(tmp_path: Path, zoo_command: Command, target: str, form: str) -> None:
    folder.export(info("dcgan"), info("dcgan").embedded, tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    done = zoo_command("export", f"local-dir:{tmp_path}/run", "-o", tmp_path / "run" / target, "--format", form)
    assert done.exit_code == 2
    assert f"{target} is an input and would be overwritten: choose another output." in done.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_export_of_what_we_train(tmp_path: Path, zoo_command: Command) -> None:
    """Dcgan in the names of pytorch/examples, in float32 or float16; and no file that other code would misread."""
    made = zoo_command(
        "export", "dcgan", "-o", tmp_path / "g.pth", "--format", "state-dict", "--layout", "dcgan-huggan"
    )
    assert made.exit_code == 0, made.stderr
    state = torch.load(tmp_path / "g.pth")
    assert "model.0.weight" in state
    assert (
        zoo_command("export", "dcgan", "-o", tmp_path / "g.safetensors", "--format", "safetensors-fp16").exit_code == 0
    )
    assert load_file(tmp_path / "g.safetensors")["main.0.weight"].dtype == torch.float16
    for name, layout, words in (
        (
            "srgan.x4-mse",
            "srgan-lornatang",
            "srgan.x4-mse has such layers, which the code of https://github.com/Lornatang",
        ),
        ("dcgan", "pix2pix", "pix2pix is a layout of pix2pix, not of dcgan: leave out the layout"),
    ):
        refused = zoo_command("export", name, "-o", tmp_path / "x.pth", "--layout", layout)
        assert refused.exit_code == 2
        assert words in refused.stderr
        assert not (tmp_path / "x.pth").exists()


@pytest.mark.parametrize("name", ["dcgan", "cdcgan", "conv-ae.fashion-mnist"])
def test_onnx_answers_as_torch_does(name: str, tmp_path: Path, zoo_command: Command) -> None:
    """With another number of samples than it was written with."""
    runtime = pytest.importorskip("onnxruntime")
    made = zoo_command("export", name, "--format", "onnx", "-o", tmp_path / "a.onnx")
    assert made.exit_code == 0, made.stderr
    model = zoo.load(name)
    x, conditions = model.example(model.calls[0], 5)
    given = {"x" if name.startswith("conv") else "z": x, **conditions}
    session = runtime.InferenceSession(str(tmp_path / "a.onnx"), providers=["CPUExecutionProvider"])
    assert [x.name for x in session.get_inputs()] == list(given)
    (found,) = session.run(None, {key: x.numpy() for key, x in given.items()})
    with torch.inference_mode():
        wanted = model.decode(x, **conditions) if isinstance(model, Generator) else model(x)
    assert np.abs(found - wanted.numpy()).max() < 1e-4
    refused = zoo_command("export", name, "--format", "onnx", "--layout", "dcgan", "-o", tmp_path / "b.onnx")
    assert "An ONNX file has no layout" in refused.stderr


@pytest.mark.parametrize(
    ("model", "config", "sides"),
    [
        ("pix2pix", {"size": 16, "width": 2}, (16, 16)),
        ("cyclegan", {"width": 2, "blocks": 1}, None),
        ("srgan", {"width": 2, "blocks": 1}, None),
        ("esrgan", {"scale": 2, "width": 4, "blocks": 1, "growth": 2}, None),
        ("sd-vae", {"widths": (32, 32)}, None),
    ],
)
def test_every_network_can_be_onnx(
    model: str, config: dict[str, Any], sides: tuple[int, int] | None, tmp_path: Path
) -> None:
    """And takes images of any size where the network does: export itself runs it at two."""
    pytest.importorskip("onnxruntime")
    entry = replace(zoo.info(model), config=config, input=Format(channels=3, size=sides, multiple=1 if sides else 8))
    network = build(entry).to_empty(device="cpu").eval()
    torch.manual_seed(0)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.1, 0.3)
    network.entry = entry
    export_onnx(network, tmp_path / "a.onnx")
    assert (tmp_path / "a.onnx").stat().st_size > 1000
