"""Every recipe trains on tiny data, resumes to the same result bit for bit, and writes what `local-dir:` loads."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import sample_image
from PIL import Image
from safetensors.torch import load_file

import zoo
from zoo.data.batch import ArrayBatches, held_out, to_float
from zoo.data.source import ImageSet, Source
from zoo.errors import InputError, ZooError
from zoo.metrics.features import Features
from zoo.model import Generator
from zoo.models.dcgan import DCGAN
from zoo.recipes import (
    anomaly_ae,
    audio_ae,
    biggan,
    brain_gan,
    cdcgan,
    context_encoder,
    conv_ae,
    cyclegan,
    dcgan,
    denoise_ae,
    gan,
    icgan,
    logan,
    molgan,
    pix2pix,
    progan,
    srgan,
    stackgan,
    vae,
)
from zoo.registry.facts import Entry
from zoo.registry.index import registry
from zoo.training.discriminators import Discriminator
from zoo.training.ema import EMA
from zoo.training.generation import Generation
from zoo.training.losses import checkerboard_energy
from zoo.training.objective import Objective, TrainableNetwork
from zoo.training.reconstruction import ERRORS
from zoo.training.run import Plan, Run, open_folder, save_weights
from zoo.training.runtime import Runtime
from zoo.training.schedules import constant_then_linear

RANDOM = Features("random", size=32)


def folder(path: Path, n: int, size: int = 16, bright: int = 0) -> Path:
    """Images of one disc each, at varying places, in varying colours."""
    rng = np.random.default_rng(bright)
    path.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0:size, 0:size] / size
    for i in range(n):
        a, b = rng.random(2)
        spot = ((x - a) ** 2 + (y - b) ** 2 < 0.06)[..., None]
        pixels = (bright + spot * rng.uniform(60, 200, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(path / f"{i:03d}.png")
    return path


def tiles(path: Path, n: int, size: int) -> Path:
    """Images of many sharp edges, from which something is to be learnt about enlarging."""
    rng = np.random.default_rng(0)
    path.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        squares = np.kron(rng.integers(0, 2, (size // 16, size // 16, 1)), np.ones((16, 16, 3)))
        Image.fromarray((60 + 130 * squares).astype(np.uint8)).save(path / f"{i}.png")
    return path


def tiny_generator(recipe: Callable[..., Generation], base: Path, **more: Any) -> Objective:
    settings = {"size": 16, "width": 8, "d_width": 8, "batch_size": 8, "steps": 12, **more}
    objective = recipe(Source([folder(base / "a", 32)]), RANDOM, **settings)
    objective.n_samples = 64
    return objective


def tiny_dcgan(base: Path, **more: Any) -> Objective:
    return tiny_generator(dcgan.fashion_mnist, base, channels=3, **more)


def tiny_flowers(base: Path, **more: Any) -> Objective:
    return tiny_generator(dcgan.flowers, base, latent=8, **more)


def kinds(base: Path) -> Source:
    """Images of two classes, in a folder each."""
    for name, bright in (("one", 0), ("two", 50)):
        folder(base / "kinds" / name, 16, bright=bright)
    return Source([base / "kinds"])


def tiny_cdcgan(base: Path, steps: int = 12) -> Objective:
    options: dict[str, Any] = {"size": 16, "width": 8, "d_width": 8, "latent": 8, "batch_size": 8, "steps": steps}
    objective = cdcgan.mnist(kinds(base), RANDOM, **options)
    objective.n_samples = 64
    return objective


def tiny_brain_gan(base: Path, steps: int = 12) -> Objective:
    options: dict[str, Any] = {"size": 16, "width": 4, "d_width": 4, "seen": 32, "latent": 8, "batch_size": 8}
    objective = brain_gan.mri(kinds(base), RANDOM, steps=steps, **options)
    objective.n_samples = objective.batchnorm_samples = 64
    return objective


def tiny_biggan(base: Path, steps: int = 12) -> Objective:
    options: dict[str, Any] = {"size": 16, "width": 8, "d_width": 4, "seen": 32, "latent": 4, "batch_size": 8}
    objective = biggan.flowers(kinds(base), RANDOM, steps=steps, **options)
    objective.n_samples = objective.batchnorm_samples = 64
    return objective


def tiny_logan(base: Path, steps: int = 12) -> Objective:
    data = Source([folder(base / "many", 24, bright=150), folder(base / "one", 24, bright=150)])
    options: dict[str, Any] = {"size": 16, "width": 8, "d_width": 8, "latent": 8, "batch_size": 8, "steps": steps}
    objective = logan.logos(data, RANDOM, composed=240, **options)
    objective.n_samples = 64
    return objective


def tiny_gan(base: Path, **more: Any) -> Objective:
    return tiny_generator(gan.mnist, base, latent=8, **more)


def tiny_conv_ae(base: Path, steps: int = 12) -> Objective:
    return conv_ae.flowers(Source([folder(base / "a", 40, 32)]), size=16, code=8, batch_size=8, steps=steps)


def tiny_grey_ae(base: Path, steps: int = 12) -> Objective:
    return conv_ae.fashion_mnist(Source([folder(base / "a", 40, 32)]), size=16, code=8, batch_size=8, steps=steps)


def tiny_srgan(base: Path, steps: int = 12) -> Objective:
    return srgan.x4_mse(
        Source([tiles(base / "a", 5, 128)]), width=8, blocks=2, patch=8, lr=5e-3, batch_size=4, steps=steps
    )


def tiny_adversarial_srgan(base: Path, steps: int = 12) -> Objective:
    start = base / "start"
    if not start.exists():
        run(tiny_srgan(base, steps=1), start, entry=zoo.info("srgan.x4-mse")).train()
    data = Source([tiles(base / "a", 5, 128)])
    return srgan.x4(data, RANDOM, start=f"local-dir:{start}", d_width=4, patch=8, batch_size=4, steps=steps)


def tiny_pix2pix(base: Path, steps: int = 12) -> Objective:
    data = Source([folder(base / "a", 24, 32), folder(base / "b", 24, 32, bright=50)])
    return pix2pix.facades(data, RANDOM, size=32, width=8, widest=16, d_width=8, shift=2, batch_size=4, steps=steps)


def tiny_emoji(base: Path, steps: int = 12) -> Objective:
    data = Source([folder(base / "a", 24, 32), folder(base / "b", 24, 32, bright=50)])
    return pix2pix.emoji(data, size=32, width=8, widest=16, d_width=8, shift=2, batch_size=4, steps=steps)


def tiny_cyclegan(base: Path, steps: int = 12) -> Objective:
    data = Source([folder(base / "a", 24, 32), folder(base / "b", 22, 32, bright=50)])
    return cyclegan.photo2monet(data, RANDOM, size=32, width=4, blocks=1, d_width=4, batch_size=2, steps=steps)


def tiny_vae(base: Path, steps: int = 12) -> Objective:
    options: dict[str, Any] = {"size": 16, "channels": 3, "latent": 4, "d_width": 8, "batch_size": 8, "steps": steps}
    objective = vae.fashion_mnist(Source([folder(base / "a", 64, 32)]), RANDOM, **options)
    objective.n_samples = 64
    return objective


def tiny_denoise_ae(base: Path, steps: int = 12) -> Objective:
    data = Source([tiles(base / "a", 5, 64)])
    return denoise_ae.photos(data, width=8, blocks=1, patch=16, batch_size=4, steps=steps)


def sounds(path: Path, n: int, seconds: float = 0.3) -> Path:
    """Tones, a different one in each file, at 8 kHz."""
    for split in ("train", "test"):
        for i in range(n):
            times = np.arange(int(seconds * 8000)) / 8000
            tone = 0.5 * np.sin(2 * np.pi * (200 + 90 * i) * times) * np.hanning(len(times))
            zoo.Audio.of(tone.astype(np.float32)[None], 8000).save(path / split / f"{i:02d}.wav")
    return path


def noises(path: Path, n: int = 3) -> Path:
    """White noise, at 8 kHz."""
    for split in ("train", "test"):
        for i in range(n):
            noise = np.random.default_rng(i).uniform(-0.5, 0.5, (1, 3000)).astype(np.float32)
            zoo.Audio.of(noise, 8000).save(path / split / f"{i}.wav")
    return path


def tiny_audio_ae(base: Path, steps: int = 12) -> Objective:
    data = Source([sounds(base / "speech", 8), noises(base / "noise")])
    return audio_ae.speech(data, width=4, seconds=0.128, batch_size=4, steps=steps)


def tiny_avatars(base: Path, steps: int = 12) -> Objective:
    folder(base / "a", 64)
    images = np.stack([np.asarray(Image.open(base / "a" / f"{i:03d}.png")) for i in range(64)])
    bright = (images.mean((1, 2, 3)) > images.mean())[:, None]
    np.savez(base / "a.npz", x_train=images, attributes_train=bright, attribute_names=["bright"])
    options: dict[str, Any] = {"size": 16, "latent": 4, "d_width": 8, "batch_size": 8, "steps": steps}
    objective = vae.avatars(Source([base / "a.npz"]), RANDOM, **options)
    objective.n_samples = 64
    return objective


def molecules(path: Path) -> Path:
    """Chains of carbon with an oxygen or nitrogen somewhere, a double bond at an end, a ring, and one with charges."""
    chains = ["C" * i + middle + "C" * (7 - i) for i in range(1, 7) for middle in ("O", "N", "C=C", "C1CC1")]
    for split in ("train", "test"):
        (path / split).mkdir(parents=True, exist_ok=True)
        (path / split / "a.smi").write_text("\n".join([*chains, "C[NH+](C)CC([O-])=O"]))
    return path


def tiny_molgan(base: Path, steps: int = 12, **more: Any) -> Objective:
    options: dict[str, Any] = {"atoms": 10, "latent": 4, "width": 16, "d_width": 8, "batch_size": 16, **more}
    objective = molgan.qm9(Source([molecules(base / "m")]), steps=steps, **options)
    objective.n_samples = 64
    return objective


def tiny_context_encoder(base: Path, steps: int = 12) -> Objective:
    data = Source([folder(base / "a", 24, 32)])
    return context_encoder.photos(data, RANDOM, size=32, d_width=8, shift=2, batch_size=4, steps=steps)


def tiny_anomaly_ae(base: Path, steps: int = 12) -> Objective:
    data = Source([folder(base / "a", 16, 32)])
    return anomaly_ae.magnetic_tile(data, size=32, channels=3, width=8, batch_size=4, steps=steps)


def tiny_progan(base: Path, steps: int = 12, **more: Any) -> Objective:
    """Two levels: they grow in the first steps."""
    data = Source([folder(base / "a", 32)])
    options: dict[str, Any] = {"size": 16, "latent": 8, "width": 8, "widest": 12, "top": 8, "last_width": 8, **more}
    objective = progan.avatars(data, RANDOM, batch_size=8, steps=steps, **options)
    objective.n_samples = 64
    return objective


def tiny_icgan(base: Path, steps: int = 12) -> Objective:
    """Faces of two attributes: how bright they are, of three values, and whether they are turned round."""
    folder(base / "a", 64)
    images = np.stack([np.asarray(Image.open(base / "a" / f"{i:03d}.png")) for i in range(64)])
    shades, turned = np.arange(64) % 3, np.arange(64) // 3 % 2
    images = (images // 2 + 50 * shades[:, None, None, None]).astype(np.uint8)
    images = np.where(turned[:, None, None, None], images[:, ::-1], images)
    ones = np.concatenate([np.eye(3, dtype=np.uint8)[shades], np.eye(2, dtype=np.uint8)[turned]], 1)
    names = ["shade=dark", "shade=grey", "shade=bright", "turned=no", "turned=yes"]
    np.savez(base / "a.npz", x_train=images, attributes_train=ones, attribute_names=names)
    options: dict[str, Any] = {"size": 16, "latent": 4, "width": 8, "encoder_width": 8, "d_width": 8, "batch_size": 8}
    return icgan.avatars(Source([base / "a.npz"]), RANDOM, steps=steps, **options)


def tiny_stackgan(base: Path, steps: int = 12) -> Objective:
    """Two texts for each image, of which the first says which half of the images it is in."""
    folder(base / "a", 64)
    images = np.stack([np.asarray(Image.open(base / "a" / f"{i:03d}.png")) for i in range(64)])
    bright = images.mean((1, 2, 3)) > images.mean()
    values = np.stack([~bright, bright], 1)
    texts = np.array([[f"a {'bright' if each else 'dark'} image", "a disc, of one colour"] for each in bright])
    named = np.stack([values, np.zeros_like(values)], 1)
    names = ["light=dark", "light=bright"]
    arrays = {"x": images, "attributes": values, "captions": texts, "named": named}
    splits = {f"{key}_{split}": x for key, x in arrays.items() for split in ("train", "test")}
    np.savez(base / "t.npz", attribute_names=names, **splits)
    widths: dict[str, Any] = {"latent": 4, "embedding": 8, "condition": 4, "width": 8, "refined": 8, "d_width": 8}
    objective = stackgan.avatars(
        Source([base / "t.npz"]), RANDOM, size=16, batch_size=16, last_width=8, steps=steps, **widths
    )
    objective.n_samples = 64
    return objective


def tiny_stackgan_flowers(base: Path, steps: int = 12) -> Objective:
    """A caption for each image, which says its kind and mostly its colour."""
    folder(base / "a", 64)
    kinds, colors = ("rose", "tulip"), ("red ", "white ", "")
    rows = [
        f"{i:03d}.png,{kinds[i % 2]}s,{split},a {colors[i % 3]}{kinds[i % 2]}"
        for split, numbers in (("train", range(32)), ("test", range(32, 64)))
        for i in numbers
    ]
    (base / "a" / "labels.csv").write_text("\n".join(["file,class,split,caption", *rows]))
    widths: dict[str, Any] = {"latent": 4, "embedding": 8, "condition": 4, "width": 8, "refined": 8, "d_width": 8}
    data = Source([base / "a"])
    options: dict[str, Any] = {"size": 16, "seen": 32, "sketch_seen": 32, "batch_size": 16, "steps": steps, **widths}
    objective = stackgan.flowers(data, RANDOM, **options)
    objective.n_samples = 64
    return objective


TINY: dict[str, Callable[..., Objective]] = {
    "context_encoder:photos": tiny_context_encoder,
    "dcgan:fashion_mnist": tiny_dcgan,
    "dcgan:flowers": tiny_flowers,
    "cdcgan:mnist": tiny_cdcgan,
    "brain_gan:mri": tiny_brain_gan,
    "biggan:flowers": tiny_biggan,
    "gan:mnist": tiny_gan,
    "icgan:avatars": tiny_icgan,
    "logan:logos": tiny_logan,
    "conv_ae:fashion_mnist": tiny_grey_ae,
    "conv_ae:flowers": tiny_conv_ae,
    "srgan:x4_mse": tiny_srgan,
    "srgan:x4": tiny_adversarial_srgan,
    "pix2pix:facades": tiny_pix2pix,
    "pix2pix:emoji": tiny_emoji,
    "cyclegan:photo2monet": tiny_cyclegan,
    "progan:avatars": tiny_progan,
    "stackgan:avatars": tiny_stackgan,
    "stackgan:flowers": tiny_stackgan_flowers,
    "vae:avatars": tiny_avatars,
    "vae:fashion_mnist": tiny_vae,
    "denoise_ae:photos": tiny_denoise_ae,
    "audio_ae:speech": tiny_audio_ae,
    "anomaly_ae:magnetic_tile": tiny_anomaly_ae,
    "molgan:qm9": tiny_molgan,
}


def known() -> list[Entry]:
    """All checkpoints, and networks without any."""
    return [entry for entries in registry().models.values() for entry in entries]


def test_every_recipe_is_tried() -> None:
    recipes = {entry.recipe for entry in known() if entry.package == "zoo" and entry.recipe}
    assert recipes <= {f"zoo.recipes.{name}" for name in TINY}


def run(objective: Objective, out: Path, resume: bool = False, **options: Any) -> Run:
    plan = Plan("test", {}, objective.fingerprint(), "fp32")
    options.setdefault("say", lambda line: None)
    return Run(objective, out, plan, Runtime("fp32", "cpu"), saved=open_folder(out, resume), **options)


def test_pixels_as_probabilities_have_a_gradient_everywhere() -> None:
    made = torch.tensor([-1.5, -0.5, 1.5], requires_grad=True)
    ERRORS["bce"](made, torch.tensor([1.0, -0.5, 0.0])).backward()
    assert made.grad is not None
    assert made.grad[0] < 0
    assert float(made.grad[1]) == pytest.approx(0, abs=1e-6)
    assert made.grad[2] > 0


@pytest.mark.parametrize("name", TINY)
def test_a_broken_run_continues_to_the_same_weights(name: str, tmp_path: Path) -> None:
    """Bit for bit, wherever it was broken off; what it writes is loaded by its folder."""
    objective = TINY[name](tmp_path)
    objective.eval_every = 4
    entry = next((x for x in known() if x.recipe == f"zoo.recipes.{name}"), None)
    run(objective, tmp_path / "whole", entry=entry).train()

    broken = TINY[name](tmp_path)
    broken.eval_every = 4
    first = run(broken, tmp_path / "broken", entry=entry)
    steps, step = 0, broken.step

    def stop_after_six(number: int) -> dict[str, torch.Tensor]:
        nonlocal steps
        steps += 1
        if steps == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return step(number)

    broken.step = stop_after_six  # type: ignore[method-assign]
    assert not first.train()
    assert first.step == 6
    again = TINY[name](tmp_path)
    again.eval_every = 4
    second = run(again, tmp_path / "broken", entry=entry, resume=True)
    assert second.step == 6
    assert second.train()

    files = [path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.safetensors")]
    assert files
    for file in files:
        whole, resumed = (load_file(tmp_path / kind / file) for kind in ("whole", "broken"))
        assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    whole_state, resumed_state = (torch.load(tmp_path / kind / "state.pt") for kind in ("whole", "broken"))
    assert same(whole_state["networks"], resumed_state["networks"])
    logs = [(tmp_path / kind / "log.jsonl").read_text().splitlines() for kind in ("whole", "broken")]
    lines = [[{**json.loads(line), "seconds": 0} for line in log] for log in logs]
    assert lines[0] == lines[1]
    assert [line["step"] for line in lines[0]] == [4, 8, 12]
    sheet = tmp_path / "whole" / "samples" / f"{whole_state['best_step']:07d}.png"
    assert (tmp_path / "whole" / "samples.png").read_bytes() == sheet.read_bytes()
    assert "<svg" in (tmp_path / "whole" / "report.html").read_text()
    if entry:
        model = zoo.load(f"local-dir:{tmp_path / 'whole'}")
        assert model.entry
        assert model.entry.config == objective.config
        assert {c.name: c.choices for c in model.entry.conditions if c.choices} == objective.choices, (
            "the classes of the data"
        )
        if model.entry.output.kind == "molecules":
            assert len(model.generate(2, seed=0)) == 2
        elif "generate" in model.entry.verbs:
            assert model.generate(2, seed=0).numpy().shape == (2, objective.config["channels"], 16, 16)
        elif model.entry.output.kind == "audio":
            assert model.reconstruct((np.zeros((1, 700), np.float32), 8000)).arrays[0].shape == (1, 700)
        else:
            image = sample_image(40, 24)
            masks = {c.name: Image.new("L", image.size) for c in model.entry.conditions if c.kind == "mask"}
            model.reconstruct(image, **masks)


def test_a_run_that_is_broken_while_a_level_is_faded_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TINY, "progan:avatars", partial(tiny_progan, growing=0.9))
    test_a_broken_run_continues_to_the_same_weights("progan:avatars", tmp_path)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@pytest.mark.parametrize(
    ("name", "loss"), [("conv_ae:flowers", "loss"), ("srgan:x4_mse", "loss_l1"), ("pix2pix:facades", "loss_l1")]
)
def test_losses_fall(name: str, loss: str, tmp_path: Path) -> None:
    objective = TINY[name](tmp_path, steps=61)
    objective.start(Runtime("fp32", "cpu"))
    seen = []
    for step in (*range(60), 0):  # the last batch is the first once more
        torch.manual_seed(step)
        seen.append(float(objective.step(step)[loss]))
    assert seen[-1] < 0.9 * seen[0]


@pytest.mark.parametrize("loss", ["vanilla", "least-squares", "hinge", "wasserstein"])
@pytest.mark.parametrize("penalty", ["", "r1", "gradient"])
def test_every_loss_and_penalty_trains(loss: str, penalty: str, tmp_path: Path) -> None:
    objective = tiny_dcgan(
        tmp_path, loss=loss, r1=1.0 if penalty == "r1" else 0.0, augment="flip,color,translation,cutout"
    )
    objective.adversary.gradient_penalty = 10.0 if penalty == "gradient" else 0.0  # type: ignore[attr-defined]
    objective.start(Runtime("fp32", "cpu"))
    before = {k: v.clone() for k, v in objective.networks["g"].network.state_dict().items()}
    losses = [objective.step(step) for step in range(2)]
    assert all(math.isfinite(float(value)) for line in losses for value in line.values())
    after = objective.networks["g"].network.state_dict()
    assert any(not torch.equal(before[key], after[key]) for key in before)


def test_samples_that_repeat_themselves_more_than_the_data_cost_in_the_end(tmp_path: Path) -> None:
    before, found = [], []
    for weight in (0.0, 1_000.0):
        objective = tiny_flowers(tmp_path, checkerboard_weight=weight, steps=25)
        objective.real.roles["target"].fill_(128)  # type: ignore[attr-defined]  # nothing repeats
        objective.start(Runtime("fp32", "cpu"))
        g = objective.networks["g"].network
        assert isinstance(g, DCGAN)
        for step in range(25):
            torch.manual_seed(step)
            objective.step(step)
            if step == 19:
                before.append(g.main[0].weight.clone())
        with torch.no_grad():
            found.append(float(checkerboard_energy(g.decode(torch.randn(64, 8)), 8)))
    assert torch.equal(*before)
    assert found[1] < 0.8 * found[0]


@pytest.mark.parametrize(
    ("last", "rates"),
    [((), [1, 1, 0.8, 0.4, 0.0]), ((20,), [1, 1, 0.5, 0.5, 0.0]), ((20, 1.5), [1, 1, 0.5, 1.5, 0.0])],
    ids=["once", "anew", "higher"],
)
def test_rates_fall_and_begin_anew_for_the_end(last: tuple[Any, ...], rates: list[float]) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    schedule = constant_then_linear(100, *last)(optimizer)
    found = {}
    for step in range(101):
        found[step] = optimizer.param_groups[0]["lr"]
        optimizer.step()
        schedule.step()
    assert [found[step] for step in (0, 40, 60, 80, 100)] == pytest.approx(rates)


class OfTwoKinds(Generator):
    """Toy: class-conditional, images ``(N, 1, 8, 8)``."""

    latent_shape = (4,)

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(2, 64)
        self.linear = torch.nn.Linear(4, 64)

    def decode(self, z: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.linear(z) + self.embed(label)).unflatten(1, (1, 8, 8))


def test_classes_are_learnt(tmp_path: Path) -> None:
    """With dark images of one class and bright ones of the other, samples of the classes come out so."""
    for name, value in (("bright", 220), ("dark", 30)):
        (tmp_path / name).mkdir()
        for i in range(16):
            Image.new("L", (8, 8), value + i).save(tmp_path / name / f"{i}.png")
    images = Source([tmp_path]).images(8, 1)
    torch.manual_seed(0)
    g, d = OfTwoKinds(), Discriminator(8, 1, 8, halvings=1, classes=2)
    networks = [TrainableNetwork(n, torch.optim.Adam(n.parameters(), 1e-2, betas=(0.0, 0.99))) for n in (g, d)]
    options = {"features": RANDOM, "condition": "label", "n_samples": 50, "batch_size": 16, "steps": 200}
    options |= {"ema_decay": 0.9, "classes": images.classes}
    objective = Generation({}, *networks, ArrayBatches(images.roles), **options)
    run(objective, tmp_path / "run").train()
    network = objective.averages["g"].network
    means = [float(network(torch.zeros(1, 4), label=torch.tensor([k])).mean()) for k in (0, 1)]  # bright, dark
    assert means[0] > means[1] + 0.5
    plain = ImageSet(images.x, None, (), images.names)
    with pytest.raises(InputError, match="The data have no classes"):
        Generation({}, *networks, ArrayBatches(plain.roles), **options)


class Brightness(torch.nn.Module):
    """Names the first of two classes where an image is bright."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((1, 2, 3))
        return torch.stack([mean, -mean], 1)


def test_a_classifier_teaches_the_classes_in_the_last_steps() -> None:
    images = ArrayBatches({"target": torch.zeros(8, 1, 8, 8), "label": torch.arange(8) % 2})
    torch.manual_seed(0)
    g, d = OfTwoKinds(), Discriminator(8, 1, 8, halvings=1, classes=2)
    networks = [TrainableNetwork(n, torch.optim.SGD(n.parameters(), 0.1)) for n in (g, d)]
    options: dict[str, Any] = {"features": RANDOM, "condition": "label", "classes": ("bright", "dark"), "steps": 20}
    options |= {"batch_size": 8, "final_steps": 10, "classifier": Brightness, "class_weight": 100.0}
    objective = Generation({}, *networks, images, **options)
    objective.start(Runtime("fp32", "cpu"))

    def between() -> float:
        with torch.no_grad():
            bright, dark = g.decode(torch.zeros(2, 4), torch.arange(2)).mean((1, 2, 3))
        return float(bright - dark)

    before = between()
    objective.step(9)
    untaught = between()
    objective.step(10)
    assert between() - untaught > 0.05 > 5 * abs(untaught - before)


def test_wrong_settings(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"loss cannot be 'hinges'.*hinge"):
        tiny_dcgan(tmp_path, loss="hinges")
    with pytest.raises(InputError, match=r"augment cannot be 'colour'.*color"):
        tiny_dcgan(tmp_path, augment="colour")
    with pytest.raises(InputError, match="precision cannot be 'fp8'"):
        Runtime("fp8")


def test_a_run_out_of_time_is_saved(tmp_path: Path) -> None:
    first = run(tiny_conv_ae(tmp_path), tmp_path / "run")
    assert not first.train(minutes=1e-9)
    assert first.step == 1
    assert run(tiny_conv_ae(tmp_path), tmp_path / "run", resume=True).step == 1


def test_small_patches_belong_to_the_large_ones(tmp_path: Path) -> None:
    """However they are turned, recoloured and mixed: made smaller, the large ones are the small ones."""
    objective = tiny_srgan(tmp_path)
    objective.start(Runtime("fp32", "cpu"))
    for step in range(5):
        batch = objective.batch(step)
        small, large = batch["input"], batch["target"]
        made = torch.nn.functional.interpolate(large, scale_factor=0.25, mode="bicubic", antialias=True)
        assert (made - small).abs()[..., 2:-2, 2:-2].max() < 0.02  # steps of 8 bits are 0.008


def test_what_may_not_be_resumed(tmp_path: Path) -> None:
    objective = tiny_conv_ae(tmp_path)
    run(objective, tmp_path / "run").train(minutes=1e-9)
    with pytest.raises(InputError, match="holds a run already: `--resume"):
        run(objective, tmp_path / "run")
    with pytest.raises(InputError, match="holds no run that could be resumed"):
        run(objective, tmp_path / "other", resume=True)
    for plan, reason in (
        (Plan("another", {}, objective.fingerprint(), "fp32"), "the recipe test, not another"),
        (Plan("test", {"steps": 7}, objective.fingerprint(), "fp32"), "the settings none, not steps=7"),
        (Plan("test", {}, 1, "fp32"), "other data"),
        (Plan("test", {}, objective.fingerprint(), "bf16"), "the precision fp32, not bf16"),
    ):
        with pytest.raises(InputError, match=reason):
            Run(objective, tmp_path / "run", plan, Runtime("fp32", "cpu"), saved=open_folder(tmp_path / "run", True))


def test_a_damaged_state(tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(b"no state")
    with pytest.raises(
        InputError, match=r"state\.pt is damaged .*: the run cannot be resumed; its best weights are in"
    ):
        run(tiny_conv_ae(tmp_path), tmp_path, resume=True)


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objective = tiny_conv_ae(tmp_path)
    objective.eval_every = 4
    first = run(objective, tmp_path / "run")
    step = objective.step

    def full_after_four(number: int) -> dict[str, torch.Tensor]:
        if number == 4:

            def full(*args: object, **options: object) -> None:
                raise OSError(28, "No space left on device")

            monkeypatch.setattr("torch.save", full)
        return step(number)

    objective.step = full_after_four  # type: ignore[method-assign]
    with pytest.raises(ZooError, match=r"cannot be written at step 8: No space left on device.*--resume"):
        first.train()
    monkeypatch.undo()
    assert run(tiny_conv_ae(tmp_path), tmp_path / "run", resume=True).step == 4


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_best(tmp_path: Path) -> None:
    objective = tiny_conv_ae(tmp_path)
    objective.eval_every = 4
    step = objective.step

    def broken(number: int) -> dict[str, torch.Tensor]:
        return {"loss": torch.tensor(math.nan)} if number >= 4 else step(number)

    objective.step = broken  # type: ignore[method-assign]
    said: list[str] = []
    made = run(objective, tmp_path / "run", say=said.append)
    assert not made.train()
    assert made.step == 8
    assert made.best_step == 4
    assert any("loss is no finite number any more" in line for line in said)
    assert json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])["loss"] is None


def test_a_schedule_ends_at_zero_however_many_updates_a_step_has(tmp_path: Path) -> None:
    objective = tiny_dcgan(tmp_path, steps=4)
    objective.d_steps = 2  # type: ignore[attr-defined]
    objective.start(Runtime("fp32", "cpu"))
    rates = []
    for step in range(4):
        rates.append([network.optimizer.param_groups[0]["lr"] for network in objective.networks.values()])
        objective.step(step)
    assert rates == [[pytest.approx(3e-4 * f), pytest.approx(6e-4 * f)] for f in (1, 1, 1, 0.5)]


def test_something_is_held_out_of_the_fewest_images_that_are_taken(tmp_path: Path) -> None:
    objective = conv_ae.fashion_mnist(Source([folder(tmp_path / "a", 8, 16)]), size=16, code=4, batch_size=4, steps=1)
    objective.start(Runtime("fp32", "cpu"))
    assert math.isfinite(objective.measure()["metric"])


def test_what_is_held_out() -> None:
    for n in (2, 3, 10, 1000):
        assert 1 <= int(held_out(n).sum()) < n
    assert int(held_out(1000).sum()) == 50


def test_average_follows_slowly_and_copies_buffers() -> None:
    network = torch.nn.BatchNorm1d(2)
    average = EMA(network, decay=0.9)
    with torch.no_grad():
        network.weight += 1
        network.running_mean += 5  # type: ignore[operator]
    average.update(network, step=1000)
    assert average.network.weight.tolist() == pytest.approx([1.1, 1.1])
    assert average.network.running_mean.tolist() == [5, 5]


def test_saved_weights_are_float16_and_readable_by_all(tmp_path: Path) -> None:
    save_weights(torch.nn.BatchNorm2d(3), tmp_path / "a.safetensors")
    assert {str(t.dtype) for t in load_file(tmp_path / "a.safetensors").values()} == {"torch.float16", "torch.int64"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o044 == 0o044


def test_crops_are_in_range_and_differ() -> None:
    torch.manual_seed(0)
    photos = torch.from_numpy(np.asarray(sample_image(128, 128)).transpose(2, 0, 1).copy())[None].repeat(4, 1, 1, 1)
    views = conv_ae.crops(to_float(photos))
    assert views.shape == (4, 3, 64, 64)
    assert views.abs().max() <= 1
    assert (views[0] - views[1]).abs().mean() > 0.01


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    """``accelerate launch`` with two CPU processes: gradients are averaged, so the weights come out the same."""
    folder(tmp_path / "a", 40, 32)
    options = ["--data", str(tmp_path / "a"), "--set", "size=16", "--set", "code=8", "--set", "batch_size=8"]
    options += ["--set", "steps=4", "--precision", "fp32", "--cpu"]
    accelerate = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
    accelerate += ["--mixed_precision", "no", "--dynamo_backend", "no", "-m"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    for launcher, out in ((accelerate, "two"), ([], "one")):
        command = [sys.executable, "-m", *launcher, "zoo.cli", "train", "conv-ae.flowers", *options]
        made = subprocess.run(
            [*command, "--out", str(tmp_path / out)], capture_output=True, text=True, env=environment, check=False
        )
        assert made.returncode == 0, made.stderr
        assert made.stderr.count("Done at step 4") == 1
    one, two = (load_file(tmp_path / out / "model.safetensors") for out in ("one", "two"))
    linear = "linear_encoder.weight"  # crops are drawn from other seeds in the two processes, so only near
    assert torch.allclose(one[linear].float(), two[linear].float(), atol=2e-2)
    facts = [json.loads((tmp_path / out / "log.jsonl").read_text().splitlines()[-1]) for out in ("one", "two")]
    assert facts[0]["metric"] == pytest.approx(facts[1]["metric"], rel=0.05)
