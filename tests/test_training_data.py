"""Training data from every kind of place, as exactly the images that are there, or with a clear error."""

from __future__ import annotations

import io
import lzma
import os
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import sample_image
from PIL import Image

from zoo.data import places
from zoo.data import source as source_module
from zoo.data.batch import batch_indices, to_float
from zoo.data.degrade import downscale, noisy
from zoo.data.source import Source, doubts
from zoo.errors import InputError, MediaError
from zoo.media import image_decode
from zoo.media.audio import Audio
from zoo.media.image_fit import fit
from zoo.media.images import Images

RNG = np.random.default_rng(0)


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    values = np.random.default_rng(width * height).integers(0, 256, (height, width, len(mode)), np.uint8)
    return Image.fromarray(values[..., 0] if mode == "L" else values)


def encoded(image: Image.Image, name: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, Image.registered_extensions()[Path(name).suffix.lower()])
    return buffer.getvalue()


def contents(files: dict[str, Image.Image | bytes | str]) -> dict[str, bytes]:
    return {
        name: encoded(what, name) if isinstance(what, Image.Image) else what.encode() if isinstance(what, str) else what
        for name, what in files.items()
    }


def folder(path: Path, files: dict[str, Any]) -> Path:
    for name, raw in contents(files).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(raw)
    return path


def packed(path: Path, files: dict[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, raw in contents(files).items():
            file.writestr(name, raw)
    return path


def dots(*names: str, side: int = 4) -> dict[str, Image.Image]:
    """Images of one colour each, a different one by the place in the list."""
    return {name: Image.new("RGB", (side, side), (10 * i, 0, 255)) for i, name in enumerate(names)}


def order(x: torch.Tensor) -> list[int]:
    """Which of `dots` the images are."""
    return [value // 10 for value in x[:, 0, 0, 0].tolist()]


Place = Callable[[Path, dict[str, Any]], Path]
BOTH = pytest.mark.parametrize("make", [folder, lambda path, files: packed(path.with_suffix(".zip"), files)])


@BOTH
def test_a_folder_and_a_zip_are_read_in_the_order_of_names(tmp_path: Path, make: Place) -> None:
    hidden = {"__MACOSX/._a.png": b"no", ".hidden/a.png": b"no", "sub/.b.png": b"no", "notes.txt": b"no"}
    place = make(tmp_path / "p", {**dots("b.png", "a.PNG", "c/d.bmp"), **hidden})
    found = Source([place]).images(4)
    assert found.names == ["a", "b", "c/d"]
    assert order(found.x) == [1, 0, 2]
    assert found.x.shape == (3, 3, 4, 4)
    assert found.x.dtype == torch.uint8
    assert found.labels is None
    assert found.classes == ()


def test_a_path_goes_on_inside_a_zip(tmp_path: Path) -> None:
    path = packed(tmp_path / "p.zip", {**dots("train/monet/a.png", "train/photo/b.png", "test/monet/c.png"), "t/": b""})
    assert Source([path / "train" / "monet"]).images(None).names == ["a"]
    assert Source([f"{path}/train/"]).images(None).classes == ("monet", "photo")
    found = Source([path / "train" / "photo" / "b.png"]).images(None)
    assert (found.names, order(found.x)) == (["b"], [1])
    with pytest.raises(
        InputError, match=r"p\.zip has no train/manet: it has t, test/monet, train/monet, train/photo\.$"
    ):
        Source([path / "train" / "manet"]).images(None)
    with pytest.raises(InputError, match="holds no images"):
        Source([path / "t"]).images(None)


def test_one_folder_around_everything_is_looked_through(tmp_path: Path) -> None:
    path = packed(tmp_path / "p.zip", dots("p/in/train/x/a.png", "p/in/train/y/b.png", "p/in/test/x/c.png"))
    found = Source([path]).images(None)
    assert (found.names, found.classes) == (["x/a", "y/b"], ("x", "y"))


@BOTH
def test_labels_csv_says_splits_order_and_classes(tmp_path: Path, make: Place) -> None:
    rows = "x/c.png,rose,train,\nx/b.png,daisy,test,\nx/a.png,daisy,train,\nx/d.png,aster,test,"
    rows = f"\ufefffile,class,split,more\n{rows}"
    place = make(tmp_path / "p", {**dots("x/a.png", "x/b.png", "x/c.png", "x/d.png"), "labels.csv": rows})
    found = Source([place]).images(4)
    assert found.names == ["x/c", "x/a"]
    assert found.classes == ("aster", "daisy", "rose")
    assert found.labels is not None
    assert found.labels.dtype == torch.int64
    assert found.labels.tolist() == [2, 1]
    test = Source([place]).images(4, split="test")
    assert test.labels is not None
    assert test.labels.tolist() == [1, 0]
    with pytest.raises(InputError, match=r"has no images of the split val: it has test, train\.$"):
        Source([place]).images(4, split="val")
    assert [Source([place]).has(split) for split in ("train", "test", "val")] == [True, True, False]


@BOTH
def test_captions_of_labels_csv(tmp_path: Path, make: Place) -> None:
    rows = 'caption,file,class,split\n"red, or so",b.png,x,train\n,a.png,y,train\nblue,c.png,x,test\n'
    place = make(tmp_path / "p", {**dots("a.png", "b.png", "c.png"), "labels.csv": rows})
    captions = [Source([place]).images(4, split=split).captions for split in ("train", "test")]
    assert [x.tolist() for x in captions if x is not None] == [[["red, or so"], [""]], [["blue"]]]
    make(tmp_path / "q", {**dots("a.png"), "labels.csv": "caption,file,class,split\n,a.png,x,train\n"})
    assert Source([next(tmp_path.glob("q*"))]).images(4).captions is None


def test_a_labels_csv_of_something_else_is_no_split(tmp_path: Path) -> None:
    place = folder(tmp_path, {**dots("a.png"), "labels.csv": "file,text\na.png,x\n"})
    assert Source([place]).images(4).labels is None
    (place / "labels.csv").write_bytes(b"file,class,split\n\xff,,\n")
    with pytest.raises(InputError, match=r"labels\.csv cannot be read .*: save it as CSV in UTF-8"):
        Source([place]).images(4)


@pytest.mark.parametrize(
    "table",
    [
        "file,class\na.png,x\n",
        "File,Class,Split\na.png,x,train\n",
        "file, class, split\na.png, x, train\n",
        "file;class;split\na.png;x;train\n",
        "file\tclass\tsplit\na.png\tx\ttrain\n",
    ],
)
def test_columns_of_labels_csv_that_are_nearly_right(tmp_path: Path, table: str) -> None:
    place = folder(tmp_path, {**dots("a.png", "b.png"), "labels.csv": table})
    with pytest.raises(InputError, match=r"labels.csv has the columns '.*': call them file, class and split"):
        places.open_place(str(place), "train")
    (place / "labels.csv").write_text("file,class,split\n")
    with pytest.raises(InputError, match=r"labels.csv has no rows: complete or delete it"):
        places.open_place(str(place), "train")


def test_a_short_row_of_labels_csv(tmp_path: Path) -> None:
    place = folder(tmp_path, {**dots("a.png", "b.png"), "labels.csv": "file,class,split\na.png,x,train\nb.png,y\n"})
    with pytest.raises(InputError, match=r"labels.csv has too few columns in row 3: complete or delete it\."):
        Source([place]).images(8)


def test_a_file_that_labels_csv_names_is_missing(tmp_path: Path) -> None:
    table = {"labels.csv": "file,class,split\na.png,x,train\nb.png,y,train\n"}
    for place in (folder(tmp_path, {**dots("a.png"), **table}), packed(tmp_path / "p.zip", {**dots("a.png"), **table})):
        warned: list[str] = []
        assert Source([place], warn=warned.append).images(4).names == ["a"]
        assert warned == ["1 of 2 images cannot be read and are left out: b.png (missing)"]


@BOTH
def test_folders_are_splits_and_classes(tmp_path: Path, make: Place) -> None:
    names = ("train/b/1.png", "train/c/2.png", "test/c/3.png", "test/a/5.png", "masks/c/3.png")
    place = make(tmp_path / "p", dots(*names))
    warned: list[str] = []
    train, test = (Source([place], warn=warned.append).images(4, split=split) for split in ("train", "test"))
    assert warned == [f"{place}: images beside the splits (1, in masks) are left out"] * 2
    with pytest.raises(InputError, match=r"has images beside the splits \(1, in masks\): move them into a split"):
        Source([place], strict=True).images(4)
    assert (train.names, train.classes) == (["b/1", "c/2"], ("a", "b", "c"))
    assert test.classes == train.classes  # numbers mean the same in both
    assert train.labels is not None
    assert test.labels is not None
    assert (train.labels.tolist(), test.labels.tolist()) == ([1, 2], [0, 2])
    with pytest.raises(InputError, match=r"has no images of the split val: it has test, train\.$"):
        Source([place]).images(4, split="val")


@BOTH
@pytest.mark.parametrize("odd", ["train", "test", "val", "validation"])
def test_a_class_may_be_called_like_a_split(tmp_path: Path, make: Place, odd: str) -> None:
    place = make(tmp_path / "p", dots("bus/1.png", "car/2.png", f"{odd}/3.png"))
    found = Source([place]).images(4)
    assert found.classes == tuple(sorted(["bus", "car", odd]))
    assert len(found.x) == 3


@BOTH
@pytest.mark.parametrize(
    "folders",
    [("training", "testing"), ("train", "validation"), ("Train", "Valid"), ("TRAIN", "TEST"), ("train", "val")],
)
def test_splits_have_several_spellings(tmp_path: Path, make: Place, folders: tuple[str, str]) -> None:
    place = make(tmp_path / "p", dots(f"{folders[0]}/a/1.png", f"{folders[0]}/b/2.png", f"{folders[1]}/a/3.png"))
    found = Source([place]).images(4)
    assert (found.names, found.classes) == (["a/1", "b/2"], ("a", "b"))
    other = "test" if folders[1].lower().startswith("test") else "val"
    assert Source([place]).images(4, split=other).names == ["a/3"]


def test_a_split_beside_what_is_none(tmp_path: Path) -> None:
    place = folder(tmp_path, dots("train/cats/1.png", "train/dogs/2.png", "cats/3.png"))
    with pytest.raises(InputError, match=r"has the folder train, which has folders and so .* beside cats"):
        Source([place]).images(4)


@BOTH
@pytest.mark.parametrize("file", ["../x.png", "/dev/zero", "a/../../x.png", r"..\x.png", r"C:\x.png", "C:x.png"])
def test_labels_csv_stays_in_its_folder(tmp_path: Path, make: Place, file: str) -> None:
    noise(4, 4).save(tmp_path / "x.png")
    place = make(tmp_path / "p", {**dots("a.png"), "labels.csv": f"file,class,split\na.png,x,train\n{file},y,train\n"})
    with pytest.raises(InputError, match=r"labels.csv names .* in row 3, which lies outside its folder"):
        Source([place]).images(4)


def test_labels_csv_with_splits_for_some_rows_only(tmp_path: Path) -> None:
    table = "file,class,split\na.png,x,training\nb.png,y,\n"
    place = folder(tmp_path, {**dots("a.png", "b.png"), "labels.csv": table})
    with pytest.raises(InputError, match=r"has no split in row 3 and one in others: complete or delete it\."):
        Source([place]).images(4)


def test_a_fifo_in_the_data_is_no_image(tmp_path: Path) -> None:
    place = folder(tmp_path, {**dots("a.png"), "labels.csv": "file,class,split\na.png,x,train\nb.png,y,train\n"})
    os.mkfifo(place / "b.png")
    warned: list[str] = []
    assert Source([place], warn=warned.append).images(4).names == ["a"]
    assert warned == ["1 of 2 images cannot be read and are left out: b.png (missing)"]


def npy(shape: str, body: bytes = b"") -> bytes:
    """An array that says it has a shape."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + body


def test_archives_are_bounded_before_they_are_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "lies.npz", "w") as archive:
        archive.writestr("x.npy", npy("(1000000000000, 8, 8)", b"x" * 64))
    with pytest.raises(MediaError, match=r"x\.npy should have 64,000,000,000,000 bytes and has 192\): get the file"):
        Source([tmp_path / "lies.npz"]).images(8, 1)
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((4000, 100, 100), np.uint8))
    with zipfile.ZipFile(tmp_path / "stored.zip", "w") as archive:
        archive.writestr("x.npy", npy("(4000, 100, 100)", bytes(40_000_000)))
    (tmp_path / "bomb.npz.xz").write_bytes(lzma.compress((tmp_path / "stored.zip").read_bytes(), preset=0))
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(40_000_000))
        archive.writestr("b.png", encoded(noise(8, 8), "b.png"))
    monkeypatch.setattr("zoo.data.places.free_memory", lambda: 20_000_000)
    monkeypatch.setattr("zoo.data.places.LARGEST", 1_000_000)
    for name in ("bomb.npz", "bomb.npz.xz"):
        tracemalloc.start()
        with pytest.raises(InputError, match=r"the images need 0\.0 GB of memory and may take half of the 0\.0 GB"):
            Source([tmp_path / name]).images(8, 1)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
        tracemalloc.stop()
    warned: list[str] = []
    assert Source([tmp_path / "bomb.zip"], warn=warned.append).images(8).names == ["b"]
    assert "a.png (cannot be read (0.0 GB, and the limit is 0.0 GB))" in warned[0]


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError("deep"), AttributeError("none")])
def test_a_decoder_may_raise_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """One image fails alone, by name."""
    read_open = image_decode.read_open

    def fails(file: Any, what: str, *options: Any) -> Any:
        if what.endswith("a.png"):
            raise error
        return read_open(file, what, *options)

    monkeypatch.setattr(image_decode, "read_open", fails)
    warned: list[str] = []
    assert Source([folder(tmp_path, dots("a.png", "b.png"))], warn=warned.append).images(4).names == ["b"]
    assert "1 of 2 images cannot be read and are left out: a.png (cannot be read (" in warned[0]


def test_an_empty_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="A place of data is empty: name a path; a variable of the shell"):
        Source([""])


def test_doubts_about_data() -> None:
    varied = torch.randint(256, (6, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert doubts([varied]) == doubts([list(varied)]) == []
    assert doubts([torch.zeros(4, 3, 4, 4, dtype=torch.uint8)]) == [
        "all 4 images are black (values from 0 to 0 of 255)"
    ]
    assert "are white" in doubts([torch.full((4, 1, 4, 4), 255, dtype=torch.uint8)])[0]
    assert "are of one shade (values from 9 to 9" in doubts([varied, torch.full((4, 1, 4, 4), 9, dtype=torch.uint8)])[0]
    assert doubts([varied[:1].expand(5, -1, -1, -1)]) == ["5 of 5 images are the same one"]
    assert doubts([varied[[0, 0, 0, 0, 1, 2]]]) == ["4 of 6 images are the same one"]


@pytest.mark.parametrize("names", [("x/a.png", "b.png"), ("x/a.png", "x/b.png"), ("x/a.png", "y/z/b.png")])
def test_folders_that_are_no_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert Source([folder(tmp_path, dots(*names))]).images(4).labels is None


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_eight_bits_are_resized_as_pillow_does(tmp_path: Path, name: str, mode: str) -> None:
    path = folder(tmp_path, {name: noise(50, 50, mode)}) / name
    with Image.open(path) as file:
        pil = file.convert("RGB")
    for size in (50, 25, 16, 7):
        wanted = np.asarray(pil.resize((size, size), Image.Resampling.BOX))
        found = Source([tmp_path]).images(size).x[0]
        assert np.array_equal(found.permute(1, 2, 0), wanted)
    wanted = np.asarray(pil.resize((80, 80), Image.Resampling.LANCZOS))
    assert np.array_equal(Source([tmp_path]).images(80).x[0].permute(1, 2, 0), wanted)


def test_the_largest_centred_part_is_taken(tmp_path: Path) -> None:
    path = folder(tmp_path, {"a.png": noise(21, 10)})
    values = np.asarray(noise(21, 10)).transpose(2, 0, 1)
    source = Source([path])
    assert np.array_equal(source.images(10).x[0], values[:, :, 5:15])
    assert np.array_equal(source.images((10, 7)).x[0], values[:, :, 7:14])
    assert np.array_equal(source.images((2, 21)).x[0], values[:, 4:6])
    assert source.images((5, 3)).x.shape == (1, 3, 5, 3)


def test_what_zoo_images_does_to_images_is_done(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (4, 2), (255, 0, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    sample_image(4, 2).save(buffer, "PNG", exif=exif)
    path = folder(tmp_path, {"a.png": clear, "b.png": buffer.getvalue(), "c.png": noise(2, 4, "L")})
    shapes = {name: tuple(x.shape) for name, x in Source([path]).photos()}
    assert shapes == {"a": (3, 2, 4), "b": (3, 4, 2), "c": (3, 4, 2)}
    for (_, x), array in zip(Source([path]).photos(), Images.of(path).arrays, strict=True):
        assert np.allclose(x.numpy() / 255, fit(array, 3, None), atol=1e-6)
    for (_, x), array in zip(Source([path]).photos(channels=1), Images.of(path).arrays, strict=True):
        assert np.array_equal(x, np.rint(fit(array, 1, None) * 255))


def test_without_a_size_all_must_have_one(tmp_path: Path) -> None:
    path = folder(tmp_path, {"a.png": noise(4, 6), "b.png": noise(4, 6)})
    assert Source([path]).images(None).x.shape == (2, 3, 6, 4)
    folder(tmp_path, {"c.png": noise(5, 6)})
    with pytest.raises(InputError, match=r"^a\.png has 4x6 pixels and c\.png 5x6: give a size"):
        Source([path]).images(None)


def test_several_places_are_one(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", dots("y/a.png", "z/b.png"))
    two = packed(tmp_path / "two.zip", dots("x/c.png", "z/d.png"))
    found = Source([one, two]).images(4)
    assert found.names == ["y/a", "z/b", "x/c", "z/d"]
    assert found.classes == ("x", "y", "z")
    assert found.labels is not None
    assert found.labels.tolist() == [1, 2, 0, 2]
    plain = folder(tmp_path / "plain", dots("e.png"))
    assert Source([one, plain]).images(4).labels is None
    assert [name for name, _ in Source([one, plain]).photos()] == ["y/a", "z/b", "e"]


def arrays(path: Path, **values: Any) -> Path:
    np.savez(path, **values)
    return path


def test_attributes_of_arrays(tmp_path: Path) -> None:
    x, names = RNG.integers(0, 256, (4, 5, 7), np.uint8), np.array(["hat", "tie"])
    has = np.array([[0, 1], [1, 1], [0, 0], [1, 0]])
    path = arrays(tmp_path / "a.npz", x_train=x, attributes_train=has, x_test=x[:2], attribute_names=names)
    images = Source([path]).images(None)
    assert images.attributes is not None
    assert (images.attribute_names, images.attributes.tolist()) == (("hat", "tie"), has.tolist())
    some = images.take(torch.tensor([True, False, False, True]))
    assert some.attributes is not None
    assert some.attributes.tolist() == [[0, 1], [1, 0]]
    assert Source([path]).images(None, split="test").attributes is None
    twice = Source([path, path]).images(None)
    assert twice.attributes is not None
    assert twice.attributes.shape == (8, 2)
    assert Source([path, arrays(tmp_path / "b.npz", x_train=x)]).images(None).attributes is None
    for wrong in (has[:3], has[:, :1], 2 * has, has.astype(np.float32)):
        arrays(tmp_path / "c.npz", x_train=x, attributes_train=wrong, attribute_names=names)
        with pytest.raises(
            InputError, match="attributes_train must be 0 or 1 for each of the 4 images and each of the 2"
        ):
            Source([tmp_path / "c.npz"]).images(None)


def test_captions_of_arrays(tmp_path: Path) -> None:
    x, has = RNG.integers(0, 256, (3, 5, 7), np.uint8), np.eye(3, 2, dtype=np.uint8)
    texts = np.array([["a hat", "hat"], ["a tie", "tie"], ["none", "nothing at all"]])
    named = np.stack([has, 0 * has], 1)
    beside = {"x_train": x, "attribute_names": ["hat", "tie"]}
    path = arrays(tmp_path / "a.npz", attributes_train=has, captions_train=texts, named_train=named, **beside)
    images = Source([path]).images(None)
    assert images.captions is not None
    assert images.named is not None
    assert images.captions.tolist() == texts.tolist()
    assert images.named.tolist() == named.tolist()
    some = images.take(torch.tensor([False, False, True]))
    assert some.captions is not None
    assert some.captions.tolist() == [["none", "nothing at all"]]
    twice = Source([path, path]).images(None)
    assert (twice.captions.shape, twice.named.shape) == ((6, 2), (6, 2, 2))  # type: ignore[union-attr]
    single = arrays(tmp_path / "b.npz", captions_train=texts[:, 0], **beside)
    assert Source([single]).images(None).captions.shape == (3, 1)  # type: ignore[union-attr]
    assert Source([path, single]).images(None).captions is None
    for wrong, words in (
        ({"captions_train": texts[:2]}, "captions_train must be a text for each of the 3 images, or as many for each"),
        ({"captions_train": named}, "captions_train must be a text for each of the 3 images, or as many for each"),
        ({"captions_train": texts, "named_train": named}, "named_train needs attributes_train and captions_train"),
        (
            {"captions_train": texts, "attributes_train": has, "named_train": has},
            "named_train must be 0 or 1 for each caption of each image and each of the attribute_names",
        ),
    ):
        with pytest.raises(InputError, match=words):
            Source([arrays(tmp_path / "c.npz", **beside, **wrong)]).images(None)


def test_arrays_with_splits(tmp_path: Path) -> None:
    x = RNG.integers(0, 256, (6, 5, 7), np.uint8)
    path = arrays(tmp_path / "a.npz", x_train=x, y_train=np.arange(6, dtype=np.uint8) % 3, x_test=x[:2])
    (tmp_path / "b.npz.xz").write_bytes(lzma.compress(path.read_bytes(), preset=0))
    for source in (Source([path]), Source([tmp_path / "b.npz.xz"])):
        found = source.images(None, channels=1)
        assert np.array_equal(found.x[:, 0], x)
        assert found.labels is not None
        assert (found.labels.dtype, found.labels.tolist()) == (torch.int64, [0, 1, 2, 0, 1, 2])
        assert (found.classes, found.names[-1]) == (("0", "1", "2"), "0005")
        assert source.images((5, 7), split="test").x.shape == (2, 3, 5, 7)
        assert source.images(None, split="test").labels is None
        with pytest.raises(InputError, match="has no array x_val: it has x_train, y_train, x_test"):
            source.images(None, split="val")
        assert [source.has(split) for split in ("train", "test", "val")] == [True, True, False]
    assert len(Source([path, path]).images(None).x) == 12
    assert Source([path, path]).images(None).classes == ("0", "1", "2")


def test_arrays_are_fitted_like_images(tmp_path: Path) -> None:
    x = RNG.integers(0, 256, (3, 8, 8, 3), np.uint8)
    source = Source([arrays(tmp_path / "a.npz", x=x)])
    assert np.array_equal(source.images(8).x.permute(0, 2, 3, 1), x)
    wanted = np.asarray(Image.fromarray(x[1]).resize((4, 4), Image.Resampling.BOX))
    assert np.array_equal(source.images(4).x[1].permute(1, 2, 0), wanted)
    grey = np.rint(fit(x[2].transpose(2, 0, 1).astype(np.float32) / 255, 1, None) * 255)
    assert np.array_equal(source.images(8, channels=1).x[2], grey)
    name, last = source.photos()[2]
    assert (name, np.array_equal(last.permute(1, 2, 0), x[2])) == ("0002", True)
    other = folder(tmp_path / "p", {"a.png": noise(8, 8)})
    assert Source([tmp_path / "a.npz", other]).images(8).names == ["0000", "0001", "0002", "a"]
    big = arrays(tmp_path / "b.npz", x=np.zeros((1, 9, 9), np.uint8))
    with pytest.raises(InputError, match="0000 has 8x8 pixels and 0003 9x9"):
        Source([tmp_path / "a.npz", big]).images(None)


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_that_fit_are_not_taken_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    monkeypatch.setattr(source_module, "_fit", lambda *args: pytest.fail("one image after the other"))
    path = arrays(tmp_path / "a.npz", x=np.zeros((40_000, 14, 14), np.uint8))
    found = Source([path]).images(14, channels=channels).x
    assert found.shape == (40_000, channels, 14, 14)
    assert found.is_contiguous()


def test_which_array_it_is(tmp_path: Path) -> None:
    x = np.zeros((2, 4, 4), np.uint8)
    path = arrays(tmp_path / "a.npz", pics=x, names=np.array(["a", "b"]), y=np.array([[1], [0]]))
    found = Source([path]).images(None)
    assert found.labels is not None
    assert found.labels.tolist() == [1, 0]
    path = arrays(tmp_path / "b.npz", color=x, black=x + 255)
    with pytest.raises(InputError, match=r"has several arrays, color, black: say which, as in .*b\.npz/color\.$"):
        Source([path]).images(None)
    assert Source([path / "black"]).images(None).x.min() == 255
    with pytest.raises(InputError, match="has no array grey: it has color, black"):
        Source([path / "grey"]).images(None)


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('unpickled')",)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"x": np.zeros((2, 4, 4), np.float32)}, "x is an array of float32: save the images as uint8"),
        ({"x": np.array([Trap()], dtype=object)}, "has Python objects, which are not read"),
        ({"x": np.zeros((2, 4, 4, 5), np.uint8)}, r"x is \(2, 4, 4, 5\): images are"),
        ({"x": np.zeros((0, 4, 4), np.uint8)}, r"x is \(0, 4, 4\): images are"),
        ({"z": np.zeros((2, 4), np.uint8)}, "has no array x: it has z"),
        ({}, "has no array x: it has none"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": np.zeros(3, int)}, "y must be the class of each of the 2 images"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": np.array([0, -1])}, "y must be the class"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": np.array(["a", "b"])}, "y must be the class"),
    ],
)
def test_arrays_that_are_no_images(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Source([arrays(tmp_path / "a.npz", **values)]).images(None)


def test_damaged_archives(tmp_path: Path) -> None:
    good = arrays(tmp_path / "a.npz", x=np.zeros((2, 40, 40), np.uint8)).read_bytes()
    short = lzma.compress(good)[:-20]
    for name, raw in {
        "b.npz": good[:100],
        "c.npz": b"",
        "d.npz.xz": short,
        "e.npz.xz": b"no",
        "f.npz": good.replace(b"NUMPY", b"NUMPI"),
        "g.npz": good[:300] + b"?" + good[301:],
    }.items():
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(MediaError, match=rf"{name} cannot be read as arrays \(.*\): get the file again\.$"):
            Source([tmp_path / name]).images(None)
    for raw in (b"", b"PK\x03\x04 and nothing"):
        (tmp_path / "a.zip").write_bytes(raw)
        with pytest.raises(MediaError, match=r"a\.zip cannot be read as a zip file \(.*\): get it again\.$"):
            Source([tmp_path / "a.zip"]).images(4)


@pytest.mark.parametrize("name", ["nothing", "nothing/a.zip", "a.png.zip/x"])
def test_a_missing_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(InputError, match=rf"{name} does not exist\.$"):
        Source([tmp_path / name])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=rf"^{name} does not exist\.$"):
        Source([name])
    with pytest.raises(InputError, match="There is no data: give a folder"):
        Source([])


def test_what_holds_no_images(tmp_path: Path) -> None:
    folder(tmp_path, {"empty/readme.txt": "", "a.tar": b"x"})
    for place in (tmp_path / "empty", packed(tmp_path / "e.zip", {"readme.txt": ""})):
        with pytest.raises(InputError, match=r"holds no images \(\.png, \.jpg"):
            Source([place]).images(4)
    for place in (tmp_path / "a.tar", tmp_path / "empty" / "readme.txt" / "x"):
        with pytest.raises(InputError, match=r"Images cannot be read from .*: give a folder of images, "):
            Source([place]).images(4)


def test_too_few_images(tmp_path: Path) -> None:
    path = folder(tmp_path / "p", {**dots("a.png", "b.png", "c.png"), "d.png": b"damaged"})
    source = Source([path], warn=lambda message: None)
    cure = "add images, or make the batch smaller with --set batch_size=NUMBER."
    wanted = f"{path} holds 3 images and at least 4 are needed: {cure}"
    for read in (lambda n: source.images(4, least=n).x, lambda n: source.photos(least=n)):
        assert len(read(3)) == 3
        with pytest.raises(InputError) as caught:
            read(4)
        assert str(caught.value) == wanted
        with pytest.raises(InputError, match="holds 4 images and at least 16"):  # before anything is read
            read(16)
    x = arrays(tmp_path / "a.npz", x=np.zeros((1, 4, 4), np.uint8))
    with pytest.raises(InputError, match="holds 1 image and at least 2"):
        Source([x]).images(4, least=2)
    with pytest.raises(InputError, match=r"p and .*a\.npz hold 5 images and at least 6"):
        Source([path, x]).images(4, least=6)


@BOTH
def test_damaged_images_are_left_out_with_one_warning(tmp_path: Path, make: Place) -> None:
    cut = encoded(noise(40, 40), "a.jpg")[:900]
    good = {f"g/{i}.png": noise(8, 8) for i in range(3)}
    place = make(
        tmp_path / "p", {**good, "h/a.jpg": cut, "h/b.png": b"", "h/c.png": b"x", "h/d.png": b"", "h/e.png": cut}
    )
    warned: list[str] = []
    found = Source([place], warn=warned.append).images(8)
    assert found.names == ["g/0", "g/1", "g/2"]
    assert found.labels is not None
    assert (len(found.x), found.labels.tolist()) == (3, [0, 0, 0])
    assert len(warned) == 1
    start = "5 of 8 images cannot be read and are left out: h/a.jpg (damaged or cut off (image file is truncated"
    assert warned[0].startswith(start)
    assert warned[0].endswith("), h/b.png (empty (0 bytes)), h/c.png (not an image, whatever the name says), ...")
    with pytest.raises(MediaError, match=r"h/a\.jpg: damaged or cut off"):
        Source([place], strict=True).images(8)
    with pytest.warns(UserWarning, match="5 of 8 images cannot be read"):
        Source([place]).photos()


def test_nothing_readable_is_the_first_error(tmp_path: Path) -> None:
    path = folder(tmp_path, {"a.png": b"", "b.png": b"x"})
    with pytest.raises(MediaError, match=r"a\.png: empty \(0 bytes\): get the file again\.$"):
        Source([path], warn=pytest.fail).images(4)


def test_unreadable_members_and_values(tmp_path: Path) -> None:
    path = packed(tmp_path / "p.zip", dots("a.png", "b.png"))
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"IDAT", b"IDAX", 1))  # the checksum of the zip is wrong now
    warned: list[str] = []
    assert Source([path], warn=warned.append).images(4).names == ["b"]
    assert warned[0].endswith("a.png (cannot be read (Bad CRC-32 for file 'a.png'))")
    wide = Image.fromarray(np.full((4, 4), -1, np.int32))
    place = folder(tmp_path / "p", {**dots("a.png"), "b.tif": wide})
    assert Source([place], warn=warned.append).images(4).names == ["a"]
    assert warned[1].endswith("b.tif (32-bit integers have no range to go by)")
    with pytest.raises(MediaError, match="32-bit integers"):
        Source([place], strict=True).images(4)


def test_too_much_for_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder(tmp_path / "p", dots("a.png", "b.png"))
    x = arrays(tmp_path / "a.npz", x=np.zeros((2, 900, 900), np.uint8))
    for module in (source_module, places):
        monkeypatch.setattr(module, "free_memory", lambda: 2_000_000_000)
    message = "need 2.4 GB of memory and may take half of the 2.0 GB that are free: give a smaller size"
    with pytest.raises(InputError, match=message):
        Source([path]).images(20_000)  # at once: no image is made so large
    with pytest.raises(InputError, match=r"need 4\.8 GB"):
        Source([path, path]).pairs(20_000)
    for module in (source_module, places):
        monkeypatch.setattr(module, "free_memory", lambda: 2_000_000)
    with pytest.raises(InputError, match="memory"):
        Source([x]).images(None)
    for module in (source_module, places):
        monkeypatch.setattr(module, "free_memory", lambda: 100)
    with pytest.raises(InputError, match="memory"):
        Source([path]).photos()
    with pytest.raises(InputError, match="memory"):
        Source([path, path]).pairs(None)


@BOTH
def test_pairs_of_two_places_have_the_same_name(tmp_path: Path, make: Place) -> None:
    a = make(tmp_path / "a", dots("train/x/1.png", "train/x/2.png", "train/3.png", "test/4.png"))
    b = make(tmp_path / "b", dots("3.bmp", "x/2.jpg", "x/1.png"))
    found = Source([a, b]).pairs(4, channels=(3, 1))
    assert found.names == ["3", "x/1", "x/2"]
    assert (found.a.shape, found.b.shape) == ((3, 3, 4, 4), (3, 1, 4, 4))
    assert order(found.a) == [2, 0, 1]
    assert order(Source([a, b]).pairs(None).b) == [0, 2, 1]
    turned = Source([a, b]).pairs(4, channels=(3, 1), reverse=True)
    assert (order(turned.a), turned.b.shape) == ([0, 2, 1], (3, 1, 4, 4))


def test_images_without_a_partner(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", dots(*(f"{i}.png" for i in range(5))))
    b = folder(tmp_path / "b", dots("4.png", "5.png"))
    warned: list[str] = []
    assert Source([a, b], warn=warned.append).pairs(4).names == ["4"]
    wanted = f"5 images of {a} and {b} have no partner of the same name"
    assert warned == [f"{wanted} and are left out: 0.png, 1.png, 2.png, ..."]
    with pytest.raises(
        InputError, match=r"no partner of the same name \(0\.png, 1\.png, 2\.png, \.\.\.\): rename or delete them"
    ):
        Source([a, b], strict=True).pairs(4)
    c = folder(tmp_path / "c", dots("six.png"))
    with pytest.raises(InputError, match=r"have no names in common, one has 0\.png, the other six\.png: give the two"):
        Source([a, c]).pairs(4)
    with pytest.raises(InputError, match="need one place or an even number of places, not 3"):
        Source([a, b, c]).pairs(4)


def test_four_places_are_two_pairs_of_places(tmp_path: Path) -> None:
    for name, n in (("a", 3), ("b", 3), ("c", 2), ("d", 2)):
        np.savez(tmp_path / f"{name}.npz", x=np.full((n, 4, 4), ord(name), np.uint8))
    found = Source([tmp_path / f"{name}.npz" for name in "abcd"]).pairs(4, (1, 1))
    assert found.a[:, 0, 0, 0].tolist() == [ord(c) for c in "aaacc"]
    assert found.b[:, 0, 0, 0].tolist() == [ord(c) for c in "bbbdd"]
    assert found.names == ["0000", "0001", "0002", "0003", "0004"]


def test_pairs_of_arrays_have_the_same_number(tmp_path: Path) -> None:
    x = RNG.integers(0, 256, (4, 6, 6), np.uint8)
    a, b = arrays(tmp_path / "a.npz", x=x), arrays(tmp_path / "b.npz", x=255 - x)
    found = Source([a, b]).pairs(6, channels=(1, 1))
    assert torch.equal(found.a, 255 - found.b)
    short = arrays(tmp_path / "c.npz", x=x[:3])
    with pytest.raises(InputError, match=r"holds 4 images and .*c\.npz 3: the first of one is paired"):
        Source([a, short]).pairs(6)
    with pytest.raises(InputError, match=r"no names in common, one has 0000, the other a\.png"):
        Source([a, folder(tmp_path / "p", dots("a.png"))]).pairs(6)


def test_pairs_of_two_sub_folders(tmp_path: Path) -> None:
    label = Image.new("P", (8, 8), 1)
    label.putpalette([0, 0, 0, 10, 20, 30])
    files = {"train/photo/1.jpg": noise(8, 8), "train/label/1.png": label, "test/photo/2.jpg": noise(8, 8)}
    found = Source([packed(tmp_path / "p.zip", {**files, "test/label/2.png": label})]).pairs(4)
    assert found.names == ["1"]
    assert found.a[0, :, 0, 0].tolist() == [10, 20, 30]  # the label map, first by name
    with Image.open(io.BytesIO(encoded(noise(8, 8), "a.jpg"))) as photo:
        assert np.array_equal(found.b[0].permute(1, 2, 0), photo.resize((4, 4), Image.Resampling.BOX))
    ab = Source([folder(tmp_path / "ab", dots("trainA/1.png", "trainB/1.png"))]).pairs(4)
    assert (order(ab.a), order(ab.b)) == ([0], [1])


def test_pairs_side_by_side(tmp_path: Path) -> None:
    both = noise(16, 8)
    path = folder(tmp_path / "p", {"train/1.png": both, "train/2.png": both, "val/3.png": both})
    found = Source([path]).pairs(8)
    values = np.asarray(both).transpose(2, 0, 1)
    assert np.array_equal(found.a[0], values[:, :, :8])
    assert np.array_equal(found.b[1], values[:, :, 8:])
    turned = Source([path]).pairs(None, reverse=True)
    assert torch.equal(turned.a, found.b)
    assert torch.equal(turned.b, found.a)
    for width in (11, 25, 26, 17):
        wrong = folder(tmp_path / str(width), {"1.png": both, "2.png": noise(width, 8)})
        with pytest.raises(InputError, match=rf"2\.png has {width}x8 pixels, which are not two images side by side"):
            Source([wrong]).pairs(8)


def test_pairs_of_different_sizes_and_damaged_ones(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", {"1.png": noise(8, 8), "2.png": b"", "3.png": noise(8, 8), "4.png": noise(8, 8)})
    b = folder(tmp_path / "b", {"1.png": noise(8, 8), "2.png": noise(8, 8), "3.png": b"x", "4.png": noise(8, 8)})
    warned: list[str] = []
    assert Source([a, b], warn=warned.append).pairs(8).names == ["1", "4"]
    assert warned[0].startswith("2 of 4 pairs cannot be read and are left out: 2.png (empty (0 bytes)), 3.png (not a")
    with pytest.raises(InputError, match="hold 2 pairs and at least 3 are needed: add pairs, or make the batch"):
        Source([a, b], warn=warned.append).pairs(8, least=3)
    with pytest.raises(MediaError, match=r"2\.png: empty"):
        Source([a, b], strict=True).pairs(8)
    folder(b, {"1.png": noise(8, 9)})
    with pytest.raises(InputError, match=r"^The pair 1 of .* has 8x8 and 8x9 pixels: both must have the same size"):
        Source([a, b]).pairs(8)


def test_domains(tmp_path: Path) -> None:
    inside = dots("train/photo/1.png", "train/monet/2.png", "train/photo/3.png", "test/photo/4.png", "test/monet/5.png")
    path = packed(tmp_path / "p.zip", inside)
    a, b = Source([path]).domains(4)
    assert (a.names, order(a.x), b.names, order(b.x)) == (["2"], [1], ["1", "3"], [0, 2])
    assert a.labels is None
    a, b = Source([path / "train" / "photo", path / "train" / "monet"]).domains(4, channels=1)
    assert (a.names, b.names, a.x.shape) == (["1", "3"], ["2"], (2, 1, 4, 4))
    cycle = packed(tmp_path / "c.zip", dots("c/trainA/1.png", "c/trainB/2.png", "c/testA/3.png", "c/testB/4.png"))
    a, b = Source([cycle]).domains(4, split="test")
    assert (order(a.x), order(b.x)) == ([2], [3])
    with pytest.raises(InputError, match=r"p\.zip/monet holds 1 image and at least 2"):
        Source([path]).domains(4, least=2)
    with pytest.raises(InputError, match="does not have just two sub-folders: give two places"):
        Source([folder(tmp_path / "f", dots("a/1.png", "b/1.png", "c/1.png"))]).domains(4)


class Table:
    """A data set of the package datasets, as far as it is used."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self.columns = columns
        label = type("ClassLabel", (), {"names": ["cat", "dog"]})()
        kinds = {"image": type("Image", (), {})(), "label": label, "text": "string"}
        self.features = {column: kinds[column] for column in columns}

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, key: Any) -> Any:
        return self.columns[key] if isinstance(key, str) else {name: c[key] for name, c in self.columns.items()}

    def select_columns(self, names: list[str]) -> Table:
        return Table({name: self.columns[name] for name in names})

    def cast_column(self, name: str, feature: Any) -> Table:
        assert feature == {"decode": False}
        return self


def test_data_sets_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match="needs the package datasets: pip install datasets"):
        Source(["datasets:me/pets"]).images(4)
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace())  # a folder of this name
    with pytest.raises(InputError, match="pip install datasets"):
        Source(["datasets:me/pets"]).images(4)

    path = folder(tmp_path, dots("a.png")) / "a.png"
    images = [{"bytes": None, "path": str(path)}, {"bytes": path.read_bytes(), "path": "b.png"}, None]
    asked = []

    def load(name: str, split: str) -> Table:
        asked.append((name, split))
        if split == "none":
            raise ValueError("Unknown split none.\nMore.")
        if split == "text":
            return Table({"text": ["x"]})
        return Table({"text": ["", "", ""], "image": images, "label": [1, 0 if split == "train" else -1, 1]})

    fake = SimpleNamespace(load_dataset=load, Image=lambda decode: {"decode": decode})
    monkeypatch.setitem(sys.modules, "datasets", fake)
    warned: list[str] = []
    found = Source(["datasets:me/pets"], warn=warned.append).images(4)
    assert warned == ["1 of 3 images cannot be read and are left out: 0002 (empty (0 bytes))"]
    assert found.labels is not None
    assert (found.names, found.classes, found.labels.tolist()) == (["0000", "0001"], ("cat", "dog"), [1, 0])
    assert Source(["datasets:me/pets:valid[:10]"], warn=warned.append).images(4).labels is None
    assert asked == [("me/pets", "train"), ("me/pets", "valid[:10]")]
    assert Source(["datasets:me/pets"]).has("test")
    assert not Source(["datasets:me/pets"]).has("none")
    with pytest.raises(InputError, match=r"me/pets:none: Unknown split none: check the name and the split"):
        Source(["datasets:me/pets:none"]).images(4)
    with pytest.raises(InputError, match="has no column of images: it has text"):
        Source(["datasets:me/pets:text"]).images(4)


def test_to_float_is_the_formula_bit_for_bit() -> None:
    values = np.arange(256, dtype=np.uint8)
    wanted = torch.from_numpy(values.astype(np.float32) / 127.5 - 1)
    assert torch.equal(to_float(torch.from_numpy(values)), wanted)


def test_batches_go_through_all_data_and_depend_on_the_step_alone() -> None:
    epoch = torch.cat([batch_indices(step, 100, 20, seed=0) for step in range(5)])
    assert sorted(epoch.tolist()) == list(range(100))
    assert torch.equal(batch_indices(7, 100, 20, seed=0), batch_indices(7, 100, 20, seed=0))
    assert not torch.equal(batch_indices(5, 100, 20, seed=0), epoch[:20])


def imresize(line: np.ndarray, scale: int) -> np.ndarray:
    """MATLAB's imresize of the last axis by 1 / scale, from its definition."""
    n = line.shape[-1]
    centres = (np.arange(n // scale) + 0.5) * scale - 0.5
    taps = np.floor(centres)[:, None] + np.arange(-2 * scale - 1, 2 * scale + 3)
    t = np.abs(taps - centres[:, None]) / scale
    near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    weights = np.where(t <= 1, near, np.where(t <= 2, far, 0))
    weights /= weights.sum(1, keepdims=True)
    mirror = np.concatenate([np.arange(n), np.arange(n)[::-1]])
    return (line[..., mirror[taps.astype(int) % (2 * n)]] * weights).sum(-1)


@pytest.mark.parametrize(("height", "width", "scale"), [(64, 80, 4), (35, 29, 4), (4, 9, 4), (40, 30, 2), (34, 50, 3)])
def test_downscale_is_matlab_s_imresize(height: int, width: int, scale: int) -> None:
    x = RNG.integers(0, 256, (3, height, width), np.uint8)
    whole = x[:, : height // scale * scale, : width // scale * scale].astype(float)
    wanted = imresize(imresize(whole, scale).swapaxes(1, 2), scale).swapaxes(1, 2)
    wanted = np.clip(np.rint(wanted), 0, 255)
    found = downscale(torch.from_numpy(x), scale)
    assert found.dtype == torch.uint8
    assert found.shape == wanted.shape
    off = np.abs(found.numpy() - wanted)
    assert off.max() <= 1
    assert off.mean() < 0.01
    with pytest.raises(InputError, match=rf"An image of {width}x{height} pixels cannot be made 100 times smaller"):
        downscale(torch.from_numpy(x), 100)


@pytest.mark.parametrize(("offset", "value"), [(6, b"\xff"), (9, b"\x08")], ids=["version", "a name that is no UTF-8"])
def test_a_zip_whose_directory_is_damaged(tmp_path: Path, offset: int, value: bytes) -> None:
    content = bytearray(packed(tmp_path / "a.zip", dots("\xe9.png")).read_bytes().replace("é".encode(), b"\xff\xff"))
    start = content.index(b"PK\1\2")
    content[start + offset : start + offset + 1] = value
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(MediaError, match=r"a\.zip cannot be read as a zip file"):
        Source([tmp_path / "a.zip"]).images(8)


def test_sounds_are_read_from_folders_and_zips(tmp_path: Path) -> None:
    """Each place is a list of its own; other rates are resampled, splits count, and images are no sounds."""
    for name, rate in (("train/a", 8000), ("train/b", 16_000), ("test/c", 8000)):
        Audio.of(np.full((2, rate), 0.25, np.float32), rate).save(tmp_path / "src" / f"{name}.wav")
    place = tmp_path / "src"
    first, second = Source([place, place]).sounds(8000)
    assert [name for name, _ in first] == [name for name, _ in second] == ["a", "b"]
    assert all(x.shape == (2, 8000) and x.dtype == torch.float32 for _, x in first)
    assert [name for name, _ in Source([place]).sounds(8000, "test")[0]] == ["c"]
    archive = tmp_path / "sounds.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(place / "train" / "a.wav", "a.wav")
    assert torch.equal(Source([archive]).sounds(8000)[0][0][1], first[0][1])
    with pytest.raises(InputError, match="Sounds cannot be read from"):
        Source([place / "train" / "a.wav"]).sounds(8000)
    empty = tmp_path / "images"
    empty.mkdir()
    sample_image(8, 8).save(empty / "a.png")
    with pytest.raises(InputError, match="holds no sounds"):
        Source([empty]).sounds(8000)
    array = tmp_path / "x.npz"
    np.savez(array, x=np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(InputError, match=r"Sounds cannot be read from .*: give a folder of sounds, a \.zip of them"):
        Source([array]).sounds(8000)
    (place / "train" / "d.wav").write_bytes(b"RIFF\0\0\0\0WAVEfmt ")
    warnings: list[str] = []
    assert len(Source([place], warn=warnings.append).sounds(8000)[0]) == 2
    assert "1 of 3 sounds cannot be read" in warnings[0]


def test_noise_for_training() -> None:
    torch.manual_seed(0)
    target = torch.rand(64, 3, 16, 16) * 2 - 1
    batch = noisy({"target": target}, most=50, in_file=0.5)
    levels = (batch["input"] - target).std((1, 2, 3)) * 127.5
    assert torch.equal(batch["target"], target)
    assert 0 < levels.min() < 8 < 40 < levels.max() < 55
    values = (batch["input"] + 1) * 127.5
    in_files = (values - values.round()).abs().amax((1, 2, 3)) < 1e-3
    assert 0.3 < in_files.float().mean() < 0.7
    grey = noisy({"target": target}, most=50, in_file=0.5, grey=1)
    assert torch.allclose(grey["target"], target.mean(1, keepdim=True).expand_as(target))
    assert torch.equal(grey["input"], grey["input"][:, :1].expand_as(target)), "one noise for all channels"
