"""Arithmetic of codes, and photos in compressed files."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from conftest import Registry
from torch import Tensor

import zoo
from zoo.errors import InputError, MediaError, UnknownNameError, VerbError
from zoo.metrics.attributes import edit_metrics
from zoo.metrics.protocols import protocol
from zoo.model import Autoencoder
from zoo.models.vae import VAE
from zoo.registry import index
from zoo.tasks.compress import compress, decompress
from zoo.tasks.compressed import PREFIX, read
from zoo.tasks.edit import attribute_directions, direction, edit

Command = Callable[..., Result]


class Plain(Autoencoder):
    """Toy: the code of a grey image of 8x8 is its pixels, which have two attributes: bright, and bright at the left."""

    attributes = ("bright", "left")

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.linspace(0.5, 2, 64))
        left = torch.zeros(8, 8)
        left[:, :4] = 0.5
        self.register_buffer("directions", torch.stack([torch.full((64,), 0.5), left.flatten()]))

    def encode(self, x: Tensor) -> Tensor:
        return x.flatten(1) * self.gain

    def decode(self, z: Tensor) -> Tensor:
        return (z / self.gain).unflatten(1, (1, 8, 8))


class Halved(Autoencoder):
    """Toy: the code is the image at half its size, for sides that are divisible by 2."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(3.0))

    def encode(self, x: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(x * self.gain, 2)

    def decode(self, z: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(z / self.gain, scale_factor=2)


GREY = {"kind": "image", "channels": 1, "size": [8, 8]}


@pytest.fixture(scope="module")
def coders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The registry with `plain`, whose code is a vector, and `halved`, whose code has places."""
    registry = Registry(tmp_path_factory.mktemp("toys") / "toys")
    index.registry.cache_clear()
    both = {"input": GREY, "output": GREY}
    registry.add("plain", Plain(), verbs=["reconstruct"], encoder=True, checkpoint=both)
    free = {"input": {"kind": "image", "channels": 3, "multiple": 2}, "output": {"kind": "image", "channels": 3}}
    registry.add("halved", Halved(), verbs=["reconstruct"], encoder=True, checkpoint=free)
    yield
    index.registry.cache_clear()


def smooth(n: int, channels: int = 1, size: tuple[int, int] = (8, 8)) -> zoo.Images:
    y, x = np.mgrid[0 : size[0], 0 : size[1]] / 8
    phases = np.random.default_rng(0).random((n, channels))
    waves = [[np.sin(3 * x + 6 * phase) * np.cos(2 * y) / 4 + 0.5 for phase in row] for row in phases]
    return zoo.Images([np.array(wave, np.float32) for wave in waves], [f"wave-{i}" for i in range(n)])


# Edits.


def test_an_attribute_is_added_and_removed(coders: None) -> None:
    model, photos = zoo.load("plain"), smooth(3)
    brighter = edit(model, photos, bright=0.25)
    change = brighter.numpy() - photos.numpy()
    assert np.allclose(change, (0.25 * 0.5 / model.gain.detach().numpy() / 2).reshape(8, 8), atol=1e-6)
    assert brighter.names == photos.names
    back = edit(model, brighter, bright="-0.25")
    assert np.allclose(back.numpy(), photos.numpy(), atol=1e-6)
    both = edit(model, photos, bright=0.1, left=0.2).numpy() - photos.numpy()
    assert (both[..., :4] > 0.02).all()
    assert np.allclose(both[..., 7, 4:], 0.1 * 0.25 / model.gain.detach().numpy()[60:], atol=1e-6)


def test_a_direction_comes_from_images_with_and_without(coders: None) -> None:
    model, photos = zoo.load("plain"), smooth(2)
    with_it = zoo.Images([array + 0.1 for array in smooth(5).arrays])
    way = direction(model, with_it, smooth(5))
    assert np.allclose(way, 0.2 * model.gain.detach().numpy(), atol=1e-5)
    edited = edit(model, photos, towards=with_it, away=smooth(5), strength=-0.5)
    assert np.allclose(edited.numpy(), photos.numpy() - 0.05, atol=1e-5)
    odd = smooth(1, 3, (7, 5))
    shifted = edit(zoo.load("halved"), odd, towards=zoo.Images([odd.arrays[0] + 0.1]), away=odd)
    assert shifted.arrays[0].shape == (3, 7, 5)
    assert np.allclose(shifted.numpy().mean() - odd.numpy().mean(), 0.1, atol=0.01)


def test_directions_are_differences_of_means() -> None:
    codes = torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 3.0]])
    has = torch.tensor([[1, 0], [0, 0], [0, 1]])
    assert torch.equal(attribute_directions(codes, has), torch.tensor([[-3.0, -1.0], [3.0, 2.0]]))
    with pytest.raises(InputError, match="None of 3 samples have attribute 1: a direction needs samples with it"):
        attribute_directions(codes, torch.tensor([[1, 0], [0, 0], [0, 0]]))


@pytest.mark.parametrize(
    ("name", "options", "kind", "words"),
    [
        ("plain", {}, InputError, "Say what plain is to add or remove: it has bright, left"),
        (
            "halved",
            {},
            InputError,
            "Say what halved is to add or remove: it has no attributes of its own; give samples",
        ),
        ("plain", {"brght": 1}, UnknownNameError, "plain.toy has no attribute 'brght'; did you mean bright"),
        (
            "plain",
            {"hat": 1},
            UnknownNameError,
            "plain.toy has no attribute 'hat': choose one of bright, left, or give",
        ),
        (
            "halved",
            {"hat": 1},
            UnknownNameError,
            r"halved.toy has no attribute 'hat': give samples with it and samples without it \(towards and away in "
            r"Python, --towards and --from in the command\)\.$",
        ),
        (
            "halved",
            {"glasses": 1},
            UnknownNameError,
            "no attribute 'glasses': use vae.avatars, or give samples with it",
        ),
        ("plain", {"bright": "much"}, InputError, "bright must be a number, such as 1 to add it or -1"),
        ("plain", {"bright": float("nan")}, InputError, "bright must be a number"),
        ("plain", {"bright": True}, InputError, "bright must be a number"),
        ("plain", {"towards": smooth(1)}, InputError, "Give both towards and away"),
        ("plain", {"towards": smooth(1), "away": smooth(2), "strength": None}, InputError, "strength must be a number"),
    ],
)
def test_wrong_edits(coders: None, name: str, options: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        edit(zoo.load(name), smooth(1, 3) if name == "halved" else smooth(1), **options)


def test_a_model_without_a_code_cannot_be_edited(zoo_command: Command, tmp_path: Path) -> None:
    with pytest.raises(VerbError, match="has no encoder here, which an edit needs"):
        edit(zoo.load("pix2pix.emoji"), smooth(1), bright=1)
    smooth(1).save(tmp_path / "a.png")
    done = zoo_command("edit", "progan", tmp_path / "a.png", "-c", "glasses=2", "-o", tmp_path / "b.png")
    assert done.exit_code == 2
    assert "progan cannot edit: conv-ae, vae, icgan" in done.stderr


def test_a_condition_is_no_attribute_to_add() -> None:
    with pytest.raises(
        InputError, match=r"mouth is a condition of icgan, .* `zoo reconstruct icgan INPUT -c mouth=smi"
    ):
        edit(zoo.load("icgan"), smooth(1, 3), mouth="smile")


def test_attributes_of_a_vae_are_words() -> None:
    network = VAE(16, 1, 4, widths=(4, 8), blocks=1, attributes=["hat", "red_tie"])
    assert network.directions.shape == (2, 4)
    assert "directions" not in VAE(16, 1, 4, widths=(4, 8), blocks=1).state_dict()
    for wrong in (["red tie"], ["hat", "hat"]):
        with pytest.raises(ValueError, match="attributes must be different words"):
            VAE(16, 1, 4, widths=(4, 8), attributes=wrong)


def test_edits_are_measured() -> None:
    """Images of two halves, dark or bright: an edit that does what it should, one that does nothing, one too much."""
    generator = torch.Generator().manual_seed(0)
    attributes = torch.randint(2, (600, 2), generator=generator)

    def images(has: Tensor) -> Tensor:
        halves = (has.float() * 2 - 1)[:, None, None, :].repeat_interleave(8, 3).expand(-1, 1, 16, -1) * 0.5
        return halves + 0.1 * torch.randn(halves.shape, generator=generator)

    train, test = attributes[:500], attributes[500:]

    def measured(edited: Callable[[int, Tensor], Tensor]) -> list[float]:
        rows = edit_metrics(images(train), train, images(test), test, images(test), edited, split="test")
        assert [row.protocol for row in rows] == ["attribute-reached", "attribute-reached-worst", "attributes-kept"]
        assert all(protocol(row.protocol) for row in rows)
        assert rows[2].baselines == {"real": 1.0, "unedited": 1.0}
        assert rows[0].n == 200
        return [row.value for row in rows]

    flipped = torch.eye(2, dtype=torch.long)
    assert measured(lambda number, values: images(test ^ flipped[number])) == [1, 1, 1]
    assert measured(lambda number, values: images(test)) == [0, 0, 1]
    assert measured(lambda number, values: images(1 - test if number else test ^ flipped[0])) == [1, 1, 0.5]


# Compressed files.


@pytest.mark.parametrize("name", ["plain", "halved"])
def test_photos_come_back_from_a_file(coders: None, name: str) -> None:
    model = zoo.load(name)
    photos = smooth(7) if name == "plain" else smooth(7, 3, (13, 18))
    wanted = model.reconstruct(photos).numpy()
    before, errors = b"", []
    for quality in (0, 40, 80, 100):
        content = compress(model, photos, quality=quality)
        copies = decompress(model, content)
        assert (copies.names, copies.arrays[0].shape) == (photos.names, photos.arrays[0].shape)
        assert len(content) > len(before)
        before = content
        errors.append(float(np.abs(copies.numpy() - wanted).mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.006
    assert compress(model, photos, quality=100) == before
    header, _ = read(before)
    assert (header.model, header.weights) == (f"{name}.toy", model.entry.sha256)
    assert header.pixels == sum(array.shape[1] * array.shape[2] for array in photos.arrays)


def test_photos_of_several_sizes_in_one_file(coders: None) -> None:
    model = zoo.load("halved")
    photos = zoo.Images([*smooth(2, 3, (6, 4)).arrays, *smooth(1, 3, (9, 11)).arrays])
    copies = decompress(model, compress(model, photos, quality=90))
    assert [array.shape for array in copies.arrays] == [(3, 6, 4), (3, 6, 4), (3, 9, 11)]
    assert np.allclose(copies.arrays[2], model.reconstruct(photos).arrays[2], atol=0.02)


def test_the_steps_are_finer_where_the_photo_changes_more(coders: None) -> None:
    """The toy divides by its gain, so what has a large one may be rounded to large steps."""
    header, _ = read(compress(zoo.load("plain"), smooth(4)))
    gain = zoo.load("plain").gain.detach().numpy()
    assert np.allclose(np.array(header.steps), np.round(2 * np.log2(gain * 2.0**-5.5 * 8)), atol=1)
    assert np.corrcoef(header.steps, np.log(gain))[0, 1] > 0.95


def test_the_bits_are_kept(coders: None) -> None:
    model, photos = zoo.load("plain"), smooth(40)
    for bits in (2.0, 3.5):
        content = compress(model, photos, bits=bits)
        assert 0.8 * bits < 8 * len(content) / read(content)[0].pixels <= bits
    assert len(compress(model, photos, bits=50)) == len(compress(model, photos, quality=100))
    with pytest.raises(InputError, match=r"0\.01 bits a pixel allow 3 bytes and quality 0 takes"):
        compress(model, photos, bits=0.01)


def test_any_damage_is_seen(coders: None) -> None:
    content = compress(zoo.load("plain"), smooth(3))
    for place in range(len(content)):
        for value in (1, 128):
            damaged = bytearray(content)
            damaged[place] ^= value
            with pytest.raises(MediaError, match=r"it is damaged|it is no file that"):
                read(bytes(damaged))
    for part in (b"", content[:3], content[:20], content[:-1], content + b"\0", content[:-4]):
        with pytest.raises(MediaError, match=r"it is damaged|it is no file that"):
            read(part)


def crafted(content: bytes, **changes: Any) -> bytes:
    """A file with another header and the right checksum."""
    _, _, length = PREFIX.unpack_from(content)
    facts = json.loads(zlib.decompress(content[PREFIX.size : PREFIX.size + length])) | changes
    packed = zlib.compress(json.dumps(facts).encode())
    body = len(packed).to_bytes(4, "little") + packed + content[PREFIX.size + length :]
    return content[:4] + zlib.crc32(body).to_bytes(4, "little") + body


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": [1, 2]},
        {"steps": [10**6] * 64},
        {"steps": "many"},
        {"photos": []},
        {"photos": [["a", 8, 8, [-64]]]},
        {"photos": [["a", 8, 8, []]]},
        {"photos": [["a", 8]]},
        {"photos": [["a", 0, 8, [64]]]},
        {"variance": float("nan")},
        {"variance": -1},
        {"largest": 10**9},
        {"largest": 1.5},
        {"model": None, "weights": None, "photos": 3},
    ],
)
def test_crafted_headers_are_refused(coders: None, changes: dict[str, Any]) -> None:
    content = crafted(compress(zoo.load("plain"), smooth(1)), **changes)
    with pytest.raises(MediaError, match="its header cannot be read"):
        read(content)


def test_crafted_sizes_take_no_memory(coders: None) -> None:
    model = zoo.load("halved")
    content = compress(model, smooth(1, 3))
    huge = crafted(content, photos=[["a", 8, 8, [3, 10**6, 10**6]]])
    with pytest.raises(InputError, match=r"The photos need 72,000.0 GB of memory and"):
        decompress(model, huge)
    huge = crafted(content, photos=[["a", 10**6, 10**6, [3, 4, 4]]])
    with pytest.raises(InputError, match="GB of memory"):
        decompress(model, huge)
    for shape in ([3, 1, 1], [3, 4, 4, 2], [3]):
        with pytest.raises(MediaError, match=r"a has a code of \(3.* which is not its model's"):
            decompress(model, crafted(content, photos=[["a", 8, 8, shape]]))


def test_other_weights_are_refused(coders: None) -> None:
    content = compress(zoo.load("plain"), smooth(1))
    other = zoo.load("plain").train()
    with torch.no_grad():
        other.gain += 1
    with pytest.raises(InputError, match=r"made by plain.toy with the weights \w{8}, and plain has the weights \w{8}"):
        decompress(other.eval(), content)
    with pytest.raises(InputError, match="load those that made it"):
        decompress(zoo.load("halved"), content)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"quality": -1}, "quality must be a number from 0 to 100, not -1"),
        ({"quality": "best"}, "quality must be a number from 0 to 100"),
        ({"bits": 0}, "bits must be a number above 0, not 0"),
        ({"bits": float("inf")}, "bits must be a number above 0"),
    ],
)
def test_wrong_compression(coders: None, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        compress(zoo.load("plain"), smooth(1), **options)


def test_what_gives_back_no_photo_compresses_none() -> None:
    with pytest.raises(VerbError, match="has no encoder here, which compression needs"):
        compress(zoo.load("srgan"), smooth(1, 3))


# The command.


@pytest.fixture
def here(coders: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with four photos in `in`, of which one has `bright` added to it."""
    monkeypatch.chdir(tmp_path)
    smooth(4).save("in/")
    return tmp_path


def test_compress_and_decompress(zoo_command: Command, here: Path) -> None:
    done = zoo_command("compress", "plain", "in", "-o", "photos.zooc", "--json")
    facts = json.loads(done.stdout)
    assert facts["images"] == 4
    assert facts["bytes"] == (here / "photos.zooc").stat().st_size
    assert facts["bits_per_pixel"] == 8 * facts["bytes"] / 256
    assert "4 images" in zoo_command("decompress", "photos.zooc", "-o", "out/").stderr
    assert sorted(path.stem for path in (here / "out").glob("*.png")) == [f"wave-{i}" for i in range(4)]
    assert zoo_command("decompress", "photos.zooc", "-o", "sheet.png", "--model", "plain").exit_code == 0
    Path("in/notes.txt").write_text("no photo")
    again = zoo_command("compress", "plain", "in", "-o", "photos.zooc")
    assert again.stderr.endswith(" bits a pixel, left out 1 file: notes.txt (not an image)\n")
    more = json.loads(zoo_command("compress", "plain", "in", "-o", "photos.zooc", "--json").stdout)
    assert more == {**facts, "left_out": [{"file": "in/notes.txt", "reason": "not an image"}]}
    piped = zoo_command("compress", "plain", "in/wave-0.png", "--bits", 40, "-o", "-")
    assert piped.stdout_bytes.startswith(b"ZOOC")
    assert zoo_command("decompress", "-", "-o", "one.png", input=piped.stdout_bytes).exit_code == 0
    assert np.allclose(zoo.Images.of("one.png").numpy(), zoo.Images.of("in/wave-0.png").numpy(), atol=0.03)


def test_that_photos_come_back_in_another_size_is_said(zoo_command: Command, here: Path) -> None:
    assert "Warning" not in zoo_command("compress", "plain", "in", "-o", "same.zooc").stderr
    smooth(1, size=(16, 16)).save("in/large.png")
    smooth(1, size=(16, 24)).save("in/wide.png")
    for photo, words in (
        ("in/large.png", "large has 16 x 16 pixels and comes back with 8 x 8: plain works at that size, to which"),
        ("in/large.png", "to which photos are resized."),
        ("in/wide.png", "wide has 24 x 16 pixels and comes back with 8 x 8"),
        ("in/wide.png", "to which photos are cropped at the sides and resized."),
        ("in", "large (the first of 2 photos of other sizes) has 16 x 16 pixels"),
    ):
        assert words in zoo_command("compress", "plain", photo, "-o", "a.zooc").stderr
    assert "Warning" not in zoo_command("compress", "halved", "in/wide.png", "-o", "a.zooc").stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("compress", "plain", "in", "-o", "in"), "in is a folder: name a file in it"),
        (("compress", "plain", "in", "-o", "in/wave-0.png"), "is an input and would be overwritten"),
        (("compress", "plain", "in", "-o", "a.png"), "a.png: compressed photos are not written as .png: use .zooc"),
        (("compress", "plain", "none.png", "-o", "a.zooc"), "none.png does not exist: name files or folders"),
        (("compress", "plain", "-", "-o", "a.zooc"), "- is no file: name files or folders"),
        (("compress", "plain", "in", "-o", "a.zooc", "--bits", 1, "--quality", 5), "give one of them"),
        (("compress", "dcgan", "in", "-o", "a.zooc"), "dcgan cannot reconstruct"),
        (("decompress", "none.zooc", "-o", "a.png"), "none.zooc does not exist"),
        (("decompress", "in/wave-0.png", "-o", "a.png"), "in/wave-0.png: it is no file that `zoo compress` wrote"),
        (("decompress", "in", "-o", "a.png"), "in cannot be read"),
        (("decompress", "good.zooc", "-o", "good.zooc"), "is no image format"),
        (("decompress", "good.zooc", "-o", "a.png", "--model", "halved"), "load those that made it"),
        (
            ("decompress", "far.zooc", "-o", "a.png"),
            "far.zooc: its model has no name in the registry: give --model",
        ),
        (("edit", "plain", "in/wave-0.png"), "Say what plain is to add or remove"),
        (("edit", "plain", "in/wave-0.png", "-c", "brigth=1"), "did you mean bright"),
        (("edit", "plain", "none.png", "-c", "bright=1"), "none.png does not exist"),
        (("edit", "plain", "in/wave-0.png", "-c", "bright=1", "-c", "bright=2"), "bright is given 2 times"),
        (("edit", "plain", "in", "--towards", "in"), "--towards, --from and --strength belong together"),
        (("edit", "plain", "in", "--strength", 1, "-c", "bright=1"), "belong together"),
        (("edit", "plain", "in/wave-0.png", "-c", "bright=1", "-o", "in/wave-0.png"), "would be overwritten"),
        (
            ("edit", "plain", "in/wave-0.png", "--towards", "in", "--from", "in/wave-1.png", "-o", "in/wave-2.png"),
            "in/wave-2.png is an input and would be overwritten",
        ),
    ],
)
def test_wrong_commands(zoo_command: Command, here: Path, arguments: tuple[object, ...], words: str) -> None:
    content = compress(zoo.load("plain"), smooth(1))
    Path("good.zooc").write_bytes(content)
    Path("far.zooc").write_bytes(crafted(content, model="hf-hub:some/body"))
    done = zoo_command(*arguments)
    assert done.exit_code in (1, 2)
    assert words in done.stderr
    assert not Path("a.zooc").exists()
    assert not Path("a.png").exists()


def test_edit_on_the_command_line(zoo_command: Command, here: Path) -> None:
    assert zoo_command("edit", "plain", "in/wave-1.png", "-c", "bright=0.5").exit_code == 0
    photo, edited = zoo.Images.of("in/wave-1.png").numpy(), zoo.Images.of("wave-1-plain.png").numpy()
    assert (edited > photo).all()
    done = zoo_command("edit", "plain", "in", "-c", "left=0.5", "--compare", "-o", "out/", "--json")
    records = json.loads(done.stdout)["results"]
    assert [Path(one["output"]).name for one in records] == [f"wave-{i}.png" for i in range(4)]
    assert zoo.Images.of("out/wave-2.png").arrays[0].shape[2] > 16
    zoo.Images([array + 0.2 for array in smooth(2).arrays]).save("bright/")
    learnt = zoo_command(
        "edit", "plain", "in", "--towards", "bright", "--from", "in", "--strength", "0.5", "-o", "a.png"
    )
    assert learnt.exit_code == 0, learnt.stderr
    assert "4 images" in learnt.stderr
    Path("in/notes.txt").write_text("no photo")
    done = zoo_command("edit", "plain", "in", "-c", "left=0.5", "-o", "out/")
    assert "out: 4 images, left out 1 file: notes.txt (not an image)\n" in done.stderr
