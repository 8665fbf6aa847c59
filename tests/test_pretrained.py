"""``save_pretrained``, ``from_pretrained`` and ``push_to_hub``: the Hub's habits over the zoo's folders."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Registry
from hub import TOKEN, Hub
from torch import Tensor

import zoo
from zoo.errors import InputError, RegistryError, UnknownNameError, WeightsError
from zoo.model import Autoencoder, Generator, Model
from zoo.models.cdcgan import CDCGAN
from zoo.models.conv_ae import ConvAE
from zoo.models.dcgan import DCGAN
from zoo.models.pix2pix import Pix2Pix
from zoo.models.srgan import SRGAN
from zoo.weights.verify import sha256_of


def changed(name: str = "dcgan") -> Model:
    """A checkpoint, a little trained further."""
    model = zoo.load(name)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.01)
    return model


def answers(model: Model) -> np.ndarray:
    if "generate" in model.entry.verbs:  # type: ignore[union-attr]
        return model.generate(2, seed=3).numpy()
    return model.reconstruct(np.random.default_rng(0).random((28, 28, 3))).numpy()


@pytest.mark.parametrize("name", ["dcgan", "conv-ae", "cdcgan", "srgan"])
def test_what_is_saved_is_what_is_loaded(name: str, tmp_path: Path) -> None:
    model = changed(name)
    assert model.save_pretrained(tmp_path / "mine") == tmp_path / "mine"
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {"README.md", "config.json", "model.safetensors"}
    again = type(model).from_pretrained(tmp_path / "mine")
    assert np.array_equal(answers(again), answers(model))
    assert not again.training
    facts = json.loads((tmp_path / "mine" / "config.json").read_text())
    assert facts["sha256"] == sha256_of(tmp_path / "mine" / "model.safetensors")
    assert facts["metrics"] == [], "figures are of the weights that it started from"
    assert facts["training"]["started from"] == zoo.info(name).name
    assert "started from" in (tmp_path / "mine" / "README.md").read_text("utf-8")


def test_weights_that_are_unchanged_are_the_same_file(tmp_path: Path) -> None:
    model = DCGAN.from_pretrained("dcgan")
    model.save_pretrained(tmp_path / "mine")
    entry = zoo.load(f"local-dir:{tmp_path / 'mine'}").entry
    assert entry
    assert entry.sha256 == zoo.info("dcgan").sha256
    assert len(entry.metrics) == len(zoo.info("dcgan").metrics) > 0
    again = Model.from_pretrained(tmp_path / "mine")
    again.save_pretrained(tmp_path / "mine")
    assert sha256_of(tmp_path / "mine" / "model.safetensors") == entry.sha256


@pytest.mark.parametrize(("dtype", "size"), [("float16", 2), (torch.bfloat16, 2), ("float32", 4)])
def test_precision_of_the_file(dtype: str, size: int, tmp_path: Path) -> None:
    model = changed()
    numbers = sum(x.numel() for x in model.parameters())
    model.save_pretrained(tmp_path / "mine", dtype=dtype)
    written = (tmp_path / "mine" / "model.safetensors").stat().st_size
    assert abs(written - size * numbers) < 10_000
    again = DCGAN.from_pretrained(tmp_path / "mine")
    assert np.abs(answers(again) - answers(model)).max() < 0.05


def test_facts_of_ones_own(tmp_path: Path) -> None:
    model = changed()
    model.save_pretrained(tmp_path / "mine", license="CC-BY-4.0", checkpoint="roses")
    entry = Model.from_pretrained(tmp_path / "mine").entry
    assert entry
    assert (entry.license, entry.name) == ("CC-BY-4.0", "dcgan.roses")
    assert "license: cc-by-4.0" in (tmp_path / "mine" / "README.md").read_text("utf-8")
    model.save_pretrained(tmp_path / "mine", license="MIT")
    assert "license: mit" in (tmp_path / "mine" / "README.md").read_text("utf-8"), "a card of ours is written anew"
    (tmp_path / "mine" / "README.md").write_text("my own words")
    model.save_pretrained(tmp_path / "mine", license="CC0-1.0")
    assert (tmp_path / "mine" / "README.md").read_text() == "my own words"


@pytest.mark.parametrize(
    ("facts", "error", "said"),
    [
        ({"sha256": "0" * 64}, InputError, "sha256 follows from the model: leave it out"),
        ({"config": {}}, InputError, "config follows from the model"),
        ({"licence": "MIT"}, RegistryError, "licence: unknown key"),
        ({"license": 3}, RegistryError, "license: expected a text"),
        ({"data": {1, 2}}, InputError, "data, cannot be written as JSON"),
        ({"dtype": "int8"}, InputError, "dtype cannot be 'int8'"),
        ({"output": {"kind": "image", "channels": 3, "size": [9, 9]}}, WeightsError, "does not fit the network"),
    ],
)
def test_facts_that_are_wrong(facts: dict[str, object], error: type[Exception], said: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=said):
        changed().save_pretrained(tmp_path / "mine", **facts)  # type: ignore[arg-type]
    assert not (tmp_path / "mine").exists()


def test_weights_that_cannot_be_saved(tmp_path: Path) -> None:
    model = changed()
    with torch.no_grad():
        next(model.parameters()).mul_(1e6)
    with pytest.raises(
        WeightsError, match=r"main\.0\.weight has values that are NaN, infinite, or too large for torch"
    ):
        model.save_pretrained(tmp_path / "mine", dtype="float16")
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(WeightsError, match=r"main\.0\.weight has values that are NaN"):
        model.save_pretrained(tmp_path / "mine")
    model = changed()
    model.main = model.main[:3]  # type: ignore[index]
    with pytest.raises(WeightsError, match="this DCGAN does not fit DCGAN: it lacks main"):
        model.save_pretrained(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(InputError, match="holds something, and no saved model: choose another folder"):
        changed().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="is no folder: choose another"):
        changed().save_pretrained(tmp_path / "README.md")
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


# Networks built by hand.


@pytest.mark.parametrize(
    ("build", "given", "output"),
    [
        (lambda: DCGAN(32, channels=1, width=8), None, (1, (32, 32), 1)),
        (lambda: CDCGAN(4, size=16, width=8), None, (3, (16, 16), 1)),
        (lambda: ConvAE(size=32, channels=1, widths=(8, 8), code=6), (1, (32, 32)), (1, (32, 32), 1)),
    ],
)
def test_a_network_that_was_built_by_hand(build, given, output, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    model = build()
    model.save_pretrained(tmp_path / "mine")
    with pytest.warns(zoo.errors.ResearchOnly):
        again = type(model).from_pretrained(tmp_path / "mine")
    assert again.entry
    made = again.entry.output
    assert (made.channels, made.size, made.scale) == output
    assert (again.entry.input and (again.entry.input.channels, again.entry.input.size)) == given
    assert all(torch.equal(x, again.state_dict()[key]) for key, x in model.state_dict().items())
    assert (again.entry.license, again.entry.data, again.entry.recipe) == ("unknown", None, "")
    model.save_pretrained(tmp_path / "free", license="MIT")
    assert Model.from_pretrained(tmp_path / "free").entry.license == "MIT"  # type: ignore[union-attr]


def test_formats_that_are_found_out_and_those_that_are_said(toys: Registry, tmp_path: Path) -> None:
    from conftest import Doubler

    Doubler().save_pretrained(tmp_path / "mine")
    entry = zoo.load(f"local-dir:{tmp_path / 'mine'}").entry
    assert entry
    assert entry.input
    assert (entry.output.scale, entry.input.multiple) == (2, 4)
    with pytest.raises(InputError, match=r"srgan does not take .*: say what it takes and gives, with `input`"):
        SRGAN().save_pretrained(tmp_path / "wrong", input={"kind": "image", "channels": 1})
    assert not (tmp_path / "wrong").exists()


def test_the_training_mode_stays(tmp_path: Path) -> None:
    model = DCGAN(16, width=8).train()
    before = copy.deepcopy(model.state_dict())
    model.save_pretrained(tmp_path / "mine")
    assert model.training
    assert all(torch.equal(x, before[key]) for key, x in model.state_dict().items())


class Stranger(Generator):
    """Toy that no registry has."""

    latent_shape = (2,)

    def decode(self, z: Tensor) -> Tensor:
        return z[:, :, None, None]


def test_a_class_that_no_registry_has(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Stranger is the builder of no registered model"):
        Stranger().save_pretrained(tmp_path / "mine")


def test_arguments_are_remembered_and_survive_copies() -> None:
    model = DCGAN(16, width=8)
    for other in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.arguments == ((16,), {"width": 8})
    assert Stranger().arguments == ((), {})


# Names.


def test_names_of_checkpoints_folders_and_prefixes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    zoo.load("cdcgan").save_pretrained("dcgan")
    assert DCGAN.from_pretrained("dcgan").entry.name == "dcgan.fashion-mnist"  # type: ignore[union-attr]
    for name in ("./dcgan", Path("dcgan"), tmp_path / "dcgan", "local-dir:dcgan"):
        assert Model.from_pretrained(name).entry.model == "cdcgan"  # type: ignore[union-attr]
    assert Autoencoder.from_pretrained("conv-ae").entry.model == "conv-ae"  # type: ignore[union-attr]
    half = DCGAN.from_pretrained("dcgan.flowers", dtype="bfloat16", precision="plain")
    assert (next(half.parameters()).dtype, half.precision) == (torch.bfloat16, "plain")


@pytest.mark.parametrize(
    ("cls", "name", "options", "error", "said"),
    [
        (DCGAN, "srgan", {}, InputError, r"srgan is of the class SRGAN, not DCGAN: use that class, or zoo\.load"),
        (CDCGAN, "dcgan", {}, InputError, "dcgan is of the class DCGAN, not CDCGAN"),
        (Generator, "conv-ae", {}, InputError, "conv-ae is of the class ConvAE, not Generator"),
        (DCGAN, "dgcan", {}, UnknownNameError, "did you mean dcgan"),
        (DCGAN, "./a/b", {}, InputError, r"a/b has no config\.json: there is no such folder"),
        (DCGAN, Path("nothing"), {}, InputError, r"nothing has no config\.json"),
        (DCGAN, "", {}, InputError, "There is no model ''"),
        (DCGAN, 3, {}, InputError, "takes owner/repo, a folder or the name of a checkpoint, not 3"),
        (
            DCGAN,
            "dcgan",
            {"revision": "main"},
            InputError,
            "A revision is of a repository on the Hub, and dcgan is none",
        ),
        (DCGAN, "dcgan", {"dtype": "int8"}, InputError, "dtype cannot be"),
    ],
)
def test_names_that_are_wrong(  # type: ignore[no-untyped-def]
    cls: type[Model], name, options, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        cls.from_pretrained(name, **options)


def test_another_class_is_refused_before_its_weights_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo.load("dcgan").save_pretrained(tmp_path / "mine")
    (tmp_path / "mine" / "model.safetensors").unlink()
    with pytest.raises(InputError, match="is of the class DCGAN, not Pix2Pix"):
        Pix2Pix.from_pretrained(tmp_path / "mine")


# The Hub.


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    with made.running():
        yield made


def python(code: str, hub: Hub, folder: Path, **environment: str) -> str:
    """What a new interpreter prints: huggingface_hub reads its settings when it is imported."""
    variables = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and k != "HF_HUB_OFFLINE"}
    variables |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1", **environment}
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, cwd=folder, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


PUSH = """
import torch, zoo
model = zoo.load("dcgan")
with torch.no_grad():
    next(model.parameters()).mul_(1.01)
print(model.push_to_hub("me/roses", private=True, token={token!r}, dtype="float16", license="MIT"))
"""


def test_push_and_load_again(hub: Hub, tmp_path: Path) -> None:
    commit = python(PUSH.format(token=TOKEN), hub, tmp_path).strip()
    repo = hub.repos["me/roses"]
    assert repo.private
    files = repo.commits[commit]
    assert {"README.md", "config.json", "model.safetensors"} <= files.keys()
    assert 'zoo.load("hf-hub:me/roses")' in files["README.md"].decode()
    load = f"""
import zoo
from zoo.errors import InputError
from zoo.models.dcgan import DCGAN
from zoo.models.srgan import SRGAN
for options in ({{}}, {{"revision": {commit!r}}}):
    model = DCGAN.from_pretrained("me/roses", **options)
print(model.entry.sha256, model.entry.training["started from"])
try:
    SRGAN.from_pretrained("me/roses")
except InputError as error:
    print(error)
"""
    first, second = python(load, hub, tmp_path, HF_TOKEN=TOKEN).splitlines()
    assert first == f"{json.loads(files['config.json'])['sha256']} dcgan.fashion-mnist"
    assert second.startswith(
        "me/roses is of the class DCGAN, not SRGAN: use that class, or zoo.load('hf-hub:me/roses')"
    )


def test_a_push_that_is_refused(hub: Hub, tmp_path: Path) -> None:
    code = """
import zoo
from zoo.errors import ZooError
model = zoo.load("dcgan")
for repo, token in (("roses", None), ("me/a b", None), ("me/roses", None), ("me/roses", "hf_wrong")):
    try:
        model.push_to_hub(repo, token=token)
    except ZooError as error:
        print(error)
"""
    lines = python(code, hub, tmp_path).splitlines()
    assert lines[:2] == [f"{name!r} is no name of a repository: use owner/name." for name in ("roses", "me/a b")]
    assert all("refuses me/roses with status 401: log in" in line for line in lines[2:])
    assert len(lines) == 4
    assert hub.repos == {}
