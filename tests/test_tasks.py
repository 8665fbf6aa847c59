"""Tasks over the contract: interpolation, projection, and what each needs of a model."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from conftest import Dots, Doubler, Registry, sample_image
from PIL import Image
from torch import Tensor

import zoo
from zoo.errors import InputError, RegistryError, VerbError, ZooError
from zoo.inference.latents import save_latents, to_latents
from zoo.model import Autoencoder, Generator, Model
from zoo.registry import index
from zoo.registry.index import info, registry
from zoo.registry.schema import parse
from zoo.tasks import TASKS, tasks_of
from zoo.tasks.latent import interpolate, linear, multiscale, project, spherical

Command = Callable[..., Result]


class Tiny(Autoencoder):
    """Toy: an autoencoder for grey images of 8x8, and, with ``latent_shape``, a variational one."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.down, self.up = torch.nn.Linear(64, 5), torch.nn.Linear(5, 64)

    def encode(self, x: Tensor) -> Tensor:
        return self.down(x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        return torch.tanh(self.up(z)).unflatten(1, (1, 8, 8))


class TinyVAE(Tiny):
    """Toy: generates, too."""

    latent_shape = (5,)


class AnySize(Autoencoder):
    """Toy: an autoencoder whose code is the image at half its size, for sides that are divisible by 2."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def encode(self, x: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(x * self.gain, 2)

    def decode(self, z: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(z, scale_factor=2)


class Uniform(Generator):
    """Toy: latents are uniform in [2, 4], and the image is the latent."""

    latent_shape = (64,)

    def __init__(self) -> None:
        super().__init__()
        self.shift = torch.nn.Parameter(torch.zeros(1))

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(2, 4, self.latent_shape).astype(np.float32)

    def decode(self, z: Tensor) -> Tensor:
        return (z - 3 + self.shift).unflatten(1, (1, 8, 8))


GREY = {"kind": "image", "channels": 1, "size": [8, 8]}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The registry with toys: `tiny`, `tiny-vae`, `any-size`, `uniform`, `dots` with conditions, and `doubler`."""
    torch.manual_seed(0)
    toys = Registry(tmp_path_factory.mktemp("toys") / "toys")
    index.registry.cache_clear()
    both = {"input": GREY, "output": GREY}
    toys.add("tiny", Tiny(), verbs=["reconstruct"], encoder=True, checkpoint=both)
    constants = {"tasks": {"project": {"steps": 7, "restarts": 2}}}
    toys.add("tiny-vae", TinyVAE(), verbs=["generate", "reconstruct"], encoder=True, checkpoint={**both, **constants})
    free = {"input": {"kind": "image", "channels": 3, "multiple": 2}, "output": {"kind": "image", "channels": 3}}
    toys.add("any-size", AnySize(), verbs=["reconstruct"], encoder=True, checkpoint=free)
    toys.add("uniform", Uniform(), verbs=["generate"], checkpoint={"output": GREY})
    conditions = {"digit": {"choices": list(range(10))}, "strength": {"kind": "number", "required": True}}
    toys.add("dots", Dots(), verbs=["generate"], conditions=conditions, checkpoint={"output": GREY})
    larger = {"input": {**free["input"], "multiple": 4}, "output": {**free["output"], "scale": 2}}
    toys.add("doubler", Doubler(), verbs=["reconstruct"], conditions={"mask": {"kind": "image"}}, checkpoint=larger)
    yield
    index.registry.cache_clear()


def grey(n: int, seed: int = 0) -> zoo.Images:
    return zoo.Images(list(np.random.default_rng(seed).random((n, 1, 8, 8), dtype=np.float32)))


# Latents.


def test_spherical_keeps_the_length_and_the_angle() -> None:
    a, b = np.random.default_rng(0).standard_normal((2, 3, 4, 5), dtype=np.float32)
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    t = np.linspace(0, 1, 5)
    found = spherical(a, b, t).reshape(5, -1)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    angles = np.arccos(np.clip((found[1:] * found[:-1]).sum(1), -1, 1))
    assert np.allclose(angles, angles[0], atol=1e-4)
    assert np.array_equal(found[0], a.ravel())
    assert np.allclose(found[-1], b.ravel(), atol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0, 0.0])
def test_spherical_is_straight_where_there_is_no_arc(factor: float) -> None:
    a = np.arange(1, 5, dtype=np.float32)
    t = np.linspace(0, 1, 3)
    assert np.allclose(spherical(a, factor * a, t), linear(a, factor * a, t))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (np.zeros((2, 3)), r"must have the shape \(N, 4\), not \(2, 3\)"),
        (np.zeros((0, 4)), r"must have the shape \(N, 4\), not \(0, 4\)"),
        (np.full((1, 4), np.nan), "some values are NaN or infinite"),
        (np.array(["a"] * 4), "must be numbers"),
        ([[1, 2, 3, 4], [1]], "cannot be read as an array"),
        (torch.zeros(1, 4, device="meta"), "cannot be read as an array"),
        ("missing.npy", "missing.npy does not exist"),
    ],
)
def test_latents_that_are_none(source: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        to_latents(source, (4,))


def test_files_of_latents(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    z = np.arange(8, dtype=np.float32).reshape(2, 4)
    save_latents(z, path)
    assert np.array_equal(to_latents(path, (4,)), z)
    assert np.array_equal(to_latents(z[0], (4,)), z[:1])
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"a\.npy is no .npy file of numbers, or it is cut off"):
        to_latents(path, (4,))
    np.save(path, np.array([print]), allow_pickle=True)
    with pytest.raises(InputError, match=r"no \.npy file of numbers"):
        to_latents(path, (4,))


def test_generate_from_latents(tiny: None) -> None:
    model = zoo.load("tiny-vae")
    z = model.latents(3, 5)
    assert np.array_equal(model.generate(latents=z).numpy(), model.generate(3, seed=5).numpy())
    assert model.generate(latents=z).seed is None
    with pytest.raises(InputError, match="3 latents make as many samples: leave out n and seed"):
        model.generate(4, latents=z)


# Interpolation.


@pytest.mark.parametrize(("name", "given"), [("dcgan", {}), ("cdcgan", {"digit": 3}), ("cdcgan", {"digit": None})])
def test_between_seeds(name: str, given: dict[str, object]) -> None:
    model = zoo.load(name)
    images = interpolate(model, seeds=[3, 7, 19], steps=4, **given)
    assert len(images) == 9
    for number, seed in ((0, 3), (4, 7), (8, 19)):
        assert np.allclose(images.arrays[number], model.generate(1, seed=seed, **given).arrays[0], atol=1e-5)
    assert not np.allclose(images.arrays[1], images.arrays[0], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "such"),
    [("cdcgan", "digit=0"), ("biggan", "kind='daisy'"), ("stackgan.flowers", "text='a red rose'")],
)
def test_a_walk_stays_with_what_its_latents_would_choose(name: str, such: str) -> None:
    with pytest.raises(InputError, match=f"chooses its own, .*: give one for the whole walk, such as {such}"):
        interpolate(zoo.load(name), seeds=[1, 2], steps=2)


def test_between_images(tiny: None) -> None:
    model, photos = zoo.load("tiny"), grey(3)
    images = interpolate(model, photos, steps=2)
    assert len(images) == 5
    for number in range(3):
        assert np.allclose(images.arrays[2 * number], model.reconstruct(photos[number]).arrays[0], atol=1e-5)
    with torch.inference_mode():
        codes = model.encode(photos[:2].tensor * 2 - 1)
        middle = model.decode(codes.mean(0, keepdim=True))
    assert np.allclose(images.arrays[1], (middle[0].numpy() + 1) / 2, atol=1e-5), "codes of an autoencoder: linear"
    same = interpolate(model, latents=codes, steps=2)
    assert np.allclose(same.numpy(), images.numpy()[:3], atol=1e-5)


def test_a_variational_autoencoder_takes_images_and_seeds(tiny: None) -> None:
    model = zoo.load("tiny-vae")
    images = interpolate(model, grey(2), steps=2)
    assert np.allclose(images.arrays[2], model.reconstruct(grey(2)[1]).arrays[0], atol=1e-5)
    straight = interpolate(model, grey(2), steps=2, mode="linear")
    assert not np.allclose(images.arrays[1], straight.arrays[1], atol=1e-3), "latents are standard normal: spherical"
    assert len(interpolate(model, seeds=[1, 2], steps=1)) == 2


def test_images_of_any_size_are_fitted_to_the_first(tiny: None) -> None:
    first, second = np.random.default_rng(0).random((7, 9, 3)), np.random.default_rng(1).random((20, 30, 3))
    images = interpolate(zoo.load("any-size"), [first, second], steps=2)
    assert {array.shape for array in images.arrays} == {(3, 7, 9)}
    assert np.allclose(images.arrays[0], zoo.load("any-size").reconstruct(first).arrays[0], atol=1e-5)


def test_latents_that_are_not_normal_go_straight(tiny: None) -> None:
    model = zoo.load("uniform")
    images = interpolate(model, seeds=[1, 2], steps=2)
    a, b = (model.draw(np.random.default_rng((seed, 0))) for seed in (1, 2))
    assert np.allclose(images.arrays[1].ravel(), np.clip(((a + b) / 2 - 2) / 2, 0, 1), atol=1e-5)


def test_conditions_pass_through_an_interpolation(tiny: None) -> None:
    model = zoo.load("dots")
    images = interpolate(model, seeds=[1, 2], steps=3, digit=7, strength=0.5)
    assert np.allclose(images.arrays[0], model.generate(1, seed=1, digit=7, strength=0.5).arrays[0], atol=1e-5)
    with pytest.raises(InputError, match="dots needs the condition digit"):
        interpolate(model, seeds=[1, 2])


@pytest.mark.parametrize(
    ("name", "keys", "error", "said"),
    [
        ("tiny-vae", {}, InputError, "as images, as seeds, or as latents: one of the three"),
        ("tiny-vae", {"seeds": [1, 2], "latents": np.zeros((2, 5))}, InputError, "one of the three"),
        ("tiny-vae", {"seeds": [1]}, InputError, "give two or more, not 1"),
        ("tiny-vae", {"seeds": []}, InputError, "give two or more, not 1"),
        ("tiny-vae", {"seeds": [1, -2]}, InputError, "A seed must be a whole number from 0, not -2"),
        ("tiny-vae", {"seeds": [1, 2], "steps": 0}, InputError, "steps must be a whole number from 1"),
        ("tiny-vae", {"seeds": [1, 2], "mode": "round"}, InputError, "mode cannot be 'round': choose spherical or"),
        ("tiny-vae", {"latents": np.zeros((2, 6))}, InputError, r"must have the shape \(N, 5\)"),
        ("tiny", {"seeds": [1, 2]}, VerbError, "tiny draws no latents, so it has no seeds: give images"),
        ("uniform", {"images": np.zeros((2, 8, 8, 1))}, VerbError, "uniform has no encoder for images: give seeds"),
        ("doubler", {"images": np.zeros((2, 8, 8, 3))}, VerbError, "doubler has no encoder .*: use an autoencoder"),
        ("doubler", {"seeds": [1, 2]}, VerbError, "doubler draws no latents, .*: use a model that generates"),
        ("doubler", {"latents": np.zeros((2, 5))}, VerbError, "doubler takes no latents"),
        ("tiny", {"images": []}, InputError, "no images to encode"),
    ],
)
def test_an_interpolation_that_is_none(
    tiny: None, name: str, keys: dict[str, object], error: type[ZooError], said: str
) -> None:
    with pytest.raises(error, match=said):
        interpolate(zoo.load(name), **keys)  # type: ignore[arg-type]


def test_codes_that_are_not_finite(tiny: None) -> None:
    model = zoo.load("tiny")
    with torch.no_grad():
        model.down.bias.fill_(float("nan"))  # type: ignore[union-attr]
    with pytest.raises(ZooError, match="tiny makes NaN or infinite values of 0000"):
        interpolate(model, grey(2))


# Projection.


def test_a_sample_is_found_again_and_a_seed_gives_the_same(tiny: None) -> None:
    model = zoo.load("tiny-vae")
    sample = model.generate(1, seed=5)
    parameter = next(model.parameters())
    random = torch.random.get_rng_state()
    one, again, other = (project(model, sample, steps=60, restarts=2, seed=seed) for seed in (0, 0, 1))
    assert one.error < 0.02 < project(model, sample, steps=1, restarts=1).error
    assert np.array_equal(one.latents, again.latents)
    assert not np.array_equal(one.latents, other.latents)
    assert one.latents.shape == (1, 5)
    assert np.allclose(model.generate(latents=one.latents).numpy(), one.images.numpy(), atol=1e-5)
    assert np.isclose(one.error, np.sqrt(np.mean((one.images.numpy() - one.target.numpy()) ** 2)))
    assert parameter.grad is None
    assert not parameter.requires_grad
    assert torch.equal(random, torch.random.get_rng_state())


def test_restarts_do_not_disturb_each_other(tiny: None) -> None:
    model, photo = zoo.load("uniform"), grey(1)
    alone = project(model, photo, steps=5, restarts=1)
    several = project(model, photo, steps=5, restarts=4)
    assert several.error <= alone.error + 1e-6


def test_the_prior_keeps_latents_near(tiny: None) -> None:
    model, white = zoo.load("tiny-vae"), np.ones((8, 8, 1), np.float32)
    lengths = [
        np.square(project(model, white, steps=80, restarts=2, prior=prior).latents).mean() for prior in (0, 0.1, 10)
    ]
    assert lengths[0] > lengths[1] > lengths[2]
    assert lengths[2] < 1.7
    uniform = zoo.load("uniform")
    far = project(uniform, white, steps=80, restarts=2, prior=0).latents
    near = project(uniform, white, steps=80, restarts=2, prior=10).latents
    assert np.abs(near - 3).mean() < np.abs(far - 3).mean(), "the prior is that of the model's own latents"


def test_an_encoder_is_one_of_the_starts(tiny: None) -> None:
    model = zoo.load("tiny-vae")
    with torch.no_grad():  # an encoder that is right
        model.up.bias.zero_()  # type: ignore[union-attr]
        model.down.weight.copy_(torch.linalg.pinv(model.up.weight))  # type: ignore[union-attr]
        model.down.bias.zero_()  # type: ignore[union-attr]
        z = model.latents(1, 3) / 20
        image = zoo.Images.from_network(model.decode(z))
    assert project(model, image, steps=1, restarts=1).error < 0.02


def test_a_photo_is_cut_and_resized_as_for_a_network(tiny: None) -> None:
    found = project(zoo.load("dcgan"), sample_image(40, 60), steps=2, restarts=1)
    assert found.target.arrays[0].shape == found.images.arrays[0].shape == (1, 28, 28)
    assert found.images.infos[0].exif is None or not found.images.infos[0].exif


def test_conditions_pass_through_a_projection(tiny: None) -> None:
    model = zoo.load("dots")
    sample = model.generate(1, seed=5, digit=7, strength=0.5)
    right, wrong = (project(model, sample, steps=2, restarts=2, digit=d, strength=0.5).error for d in (7, 0))
    assert right != wrong
    with pytest.raises(InputError, match="dots needs the condition digit"):
        project(model, sample)


def test_constants_of_a_checkpoint_stand_for_what_is_left_open(tiny: None) -> None:
    model, photo = zoo.load("tiny-vae"), grey(1)
    assert np.array_equal(project(model, photo).latents, project(model, photo, steps=7, restarts=2).latents)
    assert not np.array_equal(project(model, photo).latents, project(model, photo, steps=8).latents)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("tiny", {}, "tiny has no latents to search: `reconstruct` puts an image through it"),
        ("uniform", {"steps": 0}, "steps must be"),
        ("uniform", {"restarts": 0}, "restarts must be"),
        ("uniform", {"prior": -1}, "prior must be a number from 0, not -1"),
        ("uniform", {"prior": float("nan")}, "prior must be"),
        ("uniform", {"seed": -1}, "seed must be"),
        ("uniform", {"image": np.zeros((2, 8, 8, 1))}, "One image is projected, not 2"),
        ("uniform", {"image": []}, "One image is projected, not 0"),
        ("uniform", {"digit": 3}, "uniform has no condition 'digit'"),
    ],
)
def test_a_projection_that_is_none(tiny: None, name: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        project(zoo.load(name), **{"image": grey(1), **options})  # type: ignore[arg-type]


def test_a_projection_wants_a_whole_model_in_eval_mode(tiny: None) -> None:
    model = zoo.load("uniform")
    with pytest.raises(InputError, match="uniform is in training mode: call eval"):
        project(model.train(), grey(1))
    with torch.no_grad():
        model.eval().shift.fill_(float("nan"))  # type: ignore[union-attr]
    with pytest.raises(ZooError, match="uniform makes NaN or infinite values: its weights are damaged"):
        project(model, grey(1), steps=1)


def test_projection_inside_inference_mode(tiny: None) -> None:
    model = zoo.load("uniform")
    with torch.inference_mode():
        found = project(model, grey(1), steps=2)
    assert np.array_equal(found.latents, project(model, grey(1), steps=2).latents)


def test_the_loss_sees_scales() -> None:
    target = torch.zeros(1, 1, 16, 16)
    stripes, flat = torch.ones(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    stripes[..., ::2] = -1
    fine, coarse = multiscale(torch.cat([stripes, flat]), target)
    assert fine < coarse == 1


# What of a model each needs.


def test_tasks_of_models(tiny: None) -> None:
    names = {name: [task.name for task in tasks_of(info(name))] for name in registry().models}
    assert names["dcgan"] == ["interpolate", "project", "privacy"]
    assert names["molgan"] == ["interpolate", "privacy"], "a projection is of an image"
    assert {"interpolate", "project", "edit", "compress", "index", "anomaly"} <= set(names["tiny-vae"])
    assert (
        names["tiny"] == names["conv-ae"] == [name for name in names["tiny-vae"] if name not in ("project", "privacy")]
    )
    assert names["srgan"] == names["doubler"] == []


def test_every_task_is_there() -> None:
    from importlib import import_module
    from inspect import signature

    for task in TASKS.values():
        module, _, name = task.function.partition(":")
        function = getattr(import_module(module), name)
        assert set(task.constants) <= set(signature(function).parameters)


def test_an_encoder_is_declared_where_there_is_one() -> None:
    from zoo.registry.index import code_of

    for name, entries in registry().models.items():
        builder = code_of(entries[0].builder, entries[0])
        assert entries[0].encoder == issubclass(builder, Autoencoder), name


STANZA = {
    "blob": {
        "builder": "zoo.models.dcgan:DCGAN",
        "summary": "A toy.",
        "verbs": ["generate"],
        "checkpoints": {"toy": {"license": "MIT", "output": {"kind": "image"}, "tasks": {}}},
    }
}


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        (["project"], "blob: checkpoints: toy: tasks: expected a mapping"),
        ({"project": 3}, "tasks: project: expected a mapping"),
        ({"Project": {}}, "tasks: 'Project' is no name"),
        ({"anomaly": {"threshold": [1]}}, "tasks: anomaly: threshold: expected a text, a number, true or false"),
    ],
)
def test_the_schema_checks_constants(tasks: object, said: str) -> None:
    stanza = json.loads(json.dumps(STANZA))
    stanza["blob"]["checkpoints"]["toy"]["tasks"] = tasks
    with pytest.raises(RegistryError, match=said):
        parse(stanza, "the stanza", "toys", Path())


def test_constants_go_into_config_and_back(tiny: None, tmp_path: Path) -> None:
    from zoo.registry.index import from_config
    from zoo.registry.schema import to_config

    entry = info("tiny-vae")
    again = from_config(to_config(entry), "config.json")
    assert (again.tasks, again.encoder) == (entry.tasks, True) == ({"project": {"steps": 7, "restarts": 2}}, True)


def test_a_constant_that_no_task_has(tiny: None) -> None:
    from dataclasses import replace

    model = zoo.load("uniform")
    assert model.entry
    model.entry = replace(model.entry, tasks={"project": {"stepps": 3}})
    with pytest.raises(InputError, match="project has no constant 'stepps': correct `tasks` in the stanza of uniform"):
        project(model, grey(1))


# The command.


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    for name, shade in (("a.png", 40), ("b.png", 200)):
        Image.new("L", (8, 8), shade).save(name)
    return place


def frames(path: Path) -> tuple[str | None, int]:
    with Image.open(path) as file:
        return file.format, getattr(file, "n_frames", 1)


@pytest.mark.parametrize(("name", "format"), [("w.gif", "GIF"), ("w.apng", "PNG"), ("w.webp", "WEBP")])
def test_a_walk_as_an_animation(tiny: None, here: Path, zoo_command: Command, name: str, format: str) -> None:
    done = zoo_command("interpolate", "dcgan", "--seeds", 3, 7, 19, "--steps", 3, "-o", name)
    assert done.exit_code == 0, done.output
    assert done.stderr == f"{name}: 7 images\n"
    assert frames(here / name) == (format, 7)
    with Image.open(here / name) as file:
        file.seek(1)
        file.load()
        assert 80 <= file.info["duration"] <= 90
        assert file.info["loop"] == 0


def test_a_walk_as_a_film(here: Path, tiny: None, zoo_command: Command) -> None:
    pytest.importorskip("av")
    done = zoo_command("interpolate", "dcgan", "--seeds", 3, 7, "--steps", 4, "-o", "w.mp4")
    assert done.exit_code == 0, done.output
    assert len(list(zoo.Video.of(here / "w.mp4").frames())) == 5


def test_a_walk_as_a_grid_and_as_files(tiny: None, here: Path, zoo_command: Command) -> None:
    assert zoo_command("interpolate", "tiny", "a.png", "b.png", "--steps", 3, "-o", "w.png").exit_code == 0
    assert frames(here / "w.png") == ("PNG", 1)
    made = zoo_command("interpolate", "tiny", "a.png", "b.png", "--steps", 3, "-o", "out", "--json")
    assert json.loads(made.stdout) == {"output": "out", "images": 4}
    assert sorted(path.name for path in (here / "out").iterdir()) == ["0000.png", "0001.png", "0002.png", "0003.png"]


def test_a_walk_into_its_own_folder_keeps_the_images_there(tiny: None, here: Path, zoo_command: Command) -> None:
    (here / "keys").mkdir()
    for name in ("a", "b"):
        (here / f"{name}.png").rename(here / "keys" / f"{name}.png")
    (here / "keys" / "notes.txt").write_text("no image")
    made = zoo_command("interpolate", "tiny", "keys", "--steps", 1, "-o", "out")
    assert made.stderr == "out: 2 images, left out 1 file: notes.txt (not an image)\n"
    before = (here / "keys" / "a.png").rename(here / "keys" / "0001.png").read_bytes()
    refused = zoo_command("interpolate", "tiny", "keys", "--steps", 1, "-o", "keys")
    assert (refused.exit_code, (here / "keys" / "0001.png").read_bytes()) == (2, before)
    assert "0001.png is an input and would be overwritten" in refused.stderr


def test_a_walk_to_the_standard_output_and_to_the_default(tiny: None, here: Path, zoo_command: Command) -> None:
    made = zoo_command("interpolate", "tiny-vae", "--seeds", 1, "--seeds", 2, "--format", "gif", "-o", "-")
    with Image.open(io.BytesIO(made.stdout_bytes)) as file:
        assert (file.format, file.n_frames) == ("GIF", 17)  # type: ignore[attr-defined]
    assert zoo_command("interpolate", "tiny-vae", "--seeds", 1, 2, "--steps", 1).exit_code == 0
    assert (here / "tiny-vae.gif").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tiny-vae",), "Say between what: --seeds 3 7 19, or two or more images or latents"),
        (("tiny-vae", "--seeds", 1, "a.png"), "--seeds takes whole numbers from 0, not 'a.png'"),
        (("tiny-vae", "--seeds", 1, "--seeds", 2, 3), "3 stands alone: put all seeds after one --seeds"),
        (("tiny-vae", "a.png", "z.npy"), "z.npy holds latents, and other keys are images: give one sort of keys"),
        (("tiny-vae", "a.png", "none.png"), "none.png does not exist"),
        (("tiny-vae", "a.png", "-"), "An interpolation reads no standard input"),
        (("tiny-vae", "a.png", "b.png", "-o", "b.png"), "b.png is an input and would be overwritten"),
        (("tiny-vae", ".", "-o", "b.png"), "b.png is an input and would be overwritten"),
        (("tiny-vae", "a.png", "b.png", "--fps", 0), "fps must be a number from 0.1 to 100, not 0.0"),
        (("tiny-vae", "a.png", "b.png", "--bits", 16, "-o", "w.apng"), "w.apng: videos have 8 bits, not 16"),
        (("tiny-vae", "a.png", "b.png", "-o", "w.xyz"), ".xyz is no image format"),
        (("tiny", "--seeds", 1, 2), "tiny cannot generate: "),
        (("doubler", "a.png", "b.png"), "doubler has no encoder for images"),
        (("cdcgan", "--seeds", 1, 2, "-c", "steps=3"), "cdcgan has no condition 'steps'"),
        (("cdcgan", "--seeds", 1, 2, "-c", "digit=11"), "digit cannot be '11'"),
        (("cdcgan", "--seeds", 1, 2), "Without digit each latent of cdcgan chooses its own"),
    ],
)
def test_what_interpolate_refuses(
    tiny: None, here: Path, zoo_command: Command, arguments: tuple[object, ...], said: str
) -> None:
    before = sorted(here.iterdir())
    done = zoo_command("interpolate", *arguments)
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert sorted(here.iterdir()) == before


def test_projections_are_kept_with_their_latents(tiny: None, here: Path, zoo_command: Command) -> None:
    done = zoo_command("project", "tiny-vae", "a.png", "-o", "rose.png")
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith("rose.png, and its latent in rose.npy: error 0.")
    made = zoo_command("project", "tiny-vae", "b.png", "--json", "--compare", "--steps", 3)
    facts = json.loads(made.stdout)
    assert (facts["output"], facts["latents"], facts["input"]) == ("b-tiny-vae.png", "b-tiny-vae.npy", "b.png")
    assert frames(here / "b-tiny-vae.png")[1] == 1
    with Image.open(here / "b-tiny-vae.png") as pair:
        assert pair.size == (18, 8)
    assert zoo_command("generate", "tiny-vae", "--latents", "rose.npy", "-o", "again.png").exit_code == 0
    with Image.open(here / "again.png") as again, Image.open(here / "rose.png") as rose:
        assert np.abs(np.asarray(again, int) - np.asarray(rose, int)).max() <= 1
    walk = zoo_command("interpolate", "tiny-vae", "rose.npy", "b-tiny-vae.npy", "--steps", 2, "-o", "w.gif")
    assert walk.exit_code == 0, walk.output
    assert frames(here / "w.gif") == ("GIF", 3)


def test_projections_into_a_folder_and_to_the_standard_output(tiny: None, here: Path, zoo_command: Command) -> None:
    (here / "more").mkdir()
    Image.new("L", (8, 8), 7).save(here / "more" / "a.png")
    for image in ("a.png", "more/a.png", "a.png"):
        assert zoo_command("project", "tiny-vae", image, "--steps", 1, "-o", "out").exit_code == 0
    assert sorted(path.name for path in (here / "out").iterdir() if path.name[0] != ".") == [
        *("a-2.npy", "a-2.png", "a.npy", "a.png")
    ]
    content = (here / "a.png").read_bytes()
    made = zoo_command("project", "tiny-vae", "-", "--steps", 1, "-o", "-", input=content)
    with Image.open(io.BytesIO(made.stdout_bytes)) as file:
        assert file.size == (8, 8)
    assert "tiny-vae: error 0." in made.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tiny-vae", "none.png"), "none.png does not exist"),
        (("tiny-vae", "."), ". is a folder: name an image"),
        (("tiny-vae", "a.png", "-o", "a.png"), "a.png is an input and would be overwritten"),
        (("tiny", "a.png"), "tiny cannot generate"),
        (("tiny-vae", "a.png", "-o", "mine.png"), "mine.npy is there and is no latent of tiny-vae: choose another"),
        (("tiny-vae", "a.png", "--steps", 0, "-o", "mine.png"), "steps must be a whole number from 1, not 0"),
        (("molgan", "a.png", "-o", "mine.png"), "molgan gives molecules: a projection is of an image"),
        (("tiny-vae", "a.png", "--runtime", "onnx"), "No such option"),
        (("cdcgan", "a.png", "-c", "seed=3"), "cdcgan has no condition 'seed'"),
        (("cdcgan", "a.png", "-c", "digit=3", "-c", "digit=4"), "digit is given 2 times, for one input: give it once"),
    ],
)
def test_what_project_refuses(
    tiny: None, here: Path, zoo_command: Command, arguments: tuple[object, ...], said: str
) -> None:
    np.save(here / "mine.npy", np.zeros(3))
    before = sorted(here.iterdir())
    done = zoo_command("project", *arguments)
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert sorted(here.iterdir()) == before
    assert np.array_equal(np.load(here / "mine.npy"), np.zeros(3))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-n", 2), "leave out -n and --seed"),
        (("--seed", 2), "leave out -n and --seed"),
        (("--engine", "ray"), "--engine ray takes no --latents"),
        (("-o", "z.npy"), ".npy is no image format"),
    ],
)
def test_what_generate_refuses_beside_latents(
    tiny: None, here: Path, zoo_command: Command, arguments: tuple[object, ...], said: str
) -> None:
    np.save(here / "z.npy", np.zeros((1, 5), np.float32))
    done = zoo_command("generate", "tiny-vae", "--latents", "z.npy", *arguments)
    assert done.exit_code == 2, done.output
    assert said in done.stderr


def test_info_lists_tasks(tiny: None, zoo_command: Command) -> None:
    shown = zoo_command("info", "tiny-vae").stdout
    assert "zoo interpolate: Samples on the way" in shown
    assert "zoo project: The latent whose image is nearest to a given image. (restarts 2, steps 7)" in shown
    assert "zoo interpolate" not in zoo_command("info", "doubler").stdout
    facts = json.loads(zoo_command("info", "tiny-vae", "--json").stdout)
    assert facts["tasks"]["project"] == {"steps": 7, "restarts": 2}
    assert (
        facts["tasks"]["interpolate"]
        == facts["tasks"]["edit"]
        == facts["tasks"]["index"]
        == facts["tasks"]["anomaly"]
        == {}
    )


def test_models_built_by_hand() -> None:
    torch.manual_seed(0)
    model = Uniform().eval()
    assert isinstance(model, Model)
    assert len(interpolate(model, seeds=[1, 2], steps=2)) == 3
    assert project(model, grey(1), steps=2).images.arrays[0].shape == (1, 8, 8)
