"""What is fuzzed: each target makes the files of a case, and says what reads them.

What is read is looked at, too: an image with values beyond [0, 1] or a tensor without memory is as wrong as an error.
"""

from __future__ import annotations

import ctypes
import io
import json
import lzma
import os
import struct
import subprocess
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from PIL import Image, ImageCms, features
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.torch import load, save

import zoo
from zoo.data.source import Source
from zoo.interop.foreign import read as read_foreign
from zoo.interop.recognise import recognise
from zoo.networks import build, read_state
from zoo.registry import schema
from zoo.registry.discovery import own_registry
from zoo.registry.index import from_config, info
from zoo.tasks.compressed import PREFIX, Header, Photo, symbols_of
from zoo.tasks.compressed import read as read_compressed
from zoo.tasks.compressed import write as write_compressed
from zoo.tasks.index_file import checksum
from zoo.tasks.index_file import read as read_index
from zoo.weights.resolve import entry_of
from zoo.weights.verify import read_header

from . import words
from .mutate import Chance, as_json, chunked, damaged, opcodes, repickled, retagged, shaken, with_tokens, zipped

Image.init()  # all plugins, which are imported when they are needed


class Case(NamedTuple):
    files: dict[str, bytes]  # by their name in the folder of the case
    read: Callable[[Path], object]  # takes that folder


TINY: dict[str, dict[str, Any]] = {
    "dcgan": {"size": 8, "channels": 1, "width": 1, "latent": 2},
    "srgan": {"width": 1, "blocks": 1, "kernel": 3},
    "conv-ae": {"size": 8, "channels": 1, "code": 2, "patch": 4, "widths": [4]},
}


@cache
def networks() -> dict[str, tuple[dict[str, Any], bytes]]:
    """Configuration and weights of small networks, by name."""
    made = {}
    for name, config in TINY.items():
        entry = replace(info(name), config={**info(name).config, **config}, sha256=None, bytes=None, metrics=())
        state = {key: torch.zeros(x.shape, dtype=x.dtype) for key, x in build(entry).state_dict().items()}
        made[name] = (
            json.loads(schema.to_config(replace(entry, checkpoint="local", hub=None))),
            save(state, {"format": "pt"}),
        )
    return made


# Headers of safetensors.


def headers(rng: Chance) -> Case:
    """Safetensors files, alone and as the weights of a folder."""
    config, whole = networks()[rng.pick(("dcgan", "srgan"))]
    end = 8 + int.from_bytes(whole[:8], "little")
    header, body = json.loads(whole[8:end]), whole[end:]
    if not rng.calm and rng.one_in(3):  # other types and shapes, that agree with each other
        body = b""
        for facts in (facts for key, facts in header.items() if key != "__metadata__" and rng.one_in(2)):
            facts["dtype"] = rng.choice(list(words.DTYPES))
            facts["shape"] = [rng.choice((1, 1, 2, 0, 3)) for _ in facts["shape"][rng.randrange(2) :]]
        for facts in (facts for key, facts in header.items() if key != "__metadata__"):
            new = rng.randbytes(words.DTYPES[facts["dtype"]] * int(np.prod(facts["shape"])))
            facts["data_offsets"], body = [len(body), len(body) + len(new)], body + new
        text = as_json(header, rng)
    else:
        text = as_json(shaken(rng, header), rng)
        text = with_tokens(rng, text, words.JSON) if rng.one_in(4) else text
    content = struct.pack("<Q", len(text)) + text + body
    content = damaged(rng, content, [whole]) if rng.one_in(3) else content
    deep = rng.one_in(6)

    def read(folder: Path) -> None:
        if deep:
            zoo.load(f"local-dir:{folder}")
        else:
            path = folder / "model.safetensors"
            assert isinstance(read_header(path), dict)
            sound_state(read_state(path))

    return Case({"model.safetensors": content, "config.json": json.dumps(config).encode()}, read)


def sound_state(state: dict[str, torch.Tensor]) -> None:
    for name, tensor in state.items():
        assert isinstance(name, str)
        tensor.clone()


# Files of torch.save.


_SOUND = 4  # of the files of torch.save, those that are state dicts; the others are what else people save


@cache
def pickled() -> tuple[list[dict[str, bytes]], list[list[bytes]], list[bytes]]:
    """Members of zip archives, opcodes of files before those, and all opcodes there are."""
    plain = {"a.weight": torch.ones(2, 3), "b": torch.arange(3), "c": torch.nn.Parameter(torch.ones(1))}
    endless: dict[str, Any] = {"epoch": 1}
    endless["state_dict"] = endless
    saved: list[Any] = [
        dict(sorted(load(networks()["dcgan"][1]).items())),
        {"state_dict": plain, "epoch": 3, "best": 0.5, "names": ["x"]},
        {"netG": {"module.x": torch.ones(2)}},
        {"x": torch.ones(4).half()[::2], "y": torch.ones(2, 2).T, "z": torch.ones(2).bfloat16()},
        *(endless, torch.nn.Tanh(), {"best": np.float64(1), "G": plain}, [plain], {1: plain, (2, 3): plain}),
        *({"x": torch.eye(2).to_sparse()}, {"step": torch.ones(1), "netG": plain, "netD": {}}, torch.ones(1), "x"),
        *({"x": torch.full((2,), float("nan")), "y": torch.ones(2) * 1j, "z": torch.empty(2, device="meta")}, {}),
    ]
    one = torch.arange(9.0)  # files before zips name memory by its address: all tensors share one, renamed below
    old = [
        {"a": one[:6].view(2, 3), "b": one[6:]},
        {"state_dict": {"a": one}, "epoch": 1},
        {"netG": {"a": one[::2]}},
        {"params": {"a": one}},
    ]
    archives, files = [], []
    for i, (found, legacy) in enumerate(zip(saved, [*old, *saved[4:5], *old * 9], strict=False)):
        stream, protocol = io.BytesIO(), 2 if i < _SOUND else 2 + i % 4
        torch.save(found, stream, pickle_protocol=protocol)
        with zipfile.ZipFile(stream) as archive:
            archives.append({name: archive.read(name) for name in archive.namelist()})
        stream = io.BytesIO()
        torch.save(legacy, stream, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
        address = str(one.untyped_storage()._cdata).encode()
        files.append([op.replace(address, b"1" * len(address)) for op in opcodes(stream.getvalue())])
    inner = [op for archive in archives for op in opcodes(next(archive[n] for n in archive if n.endswith("data.pkl")))]
    return archives, files, sorted({*inner, *(op for ops in files for op in ops if len(op) < 99)})


def pickles(rng: Chance) -> Case:
    """Pickles of torch.save: opcodes of those that it writes, and others."""
    archives, files, pool = pickled()
    kind = rng.randrange(2 if rng.calm else 3)
    if kind == 0:
        members = dict(rng.pick(archives[:_SOUND], archives[_SOUND:]))
        name = next(name for name in members if name.endswith("data.pkl"))
        members[name] = repickled(rng, opcodes(members[name]), pool)
        content = zipped(rng.quiet(), members, stored=True)
    elif kind == 1:
        content = repickled(rng, rng.pick(files[:_SOUND], files[_SOUND:]), pool)
    else:
        content = b"\x80\x02" + repickled(rng, [rng.choice(pool) for _ in range(rng.randrange(1, 30))], pool) + b"."
    key = rng.pick((None,), ("state_dict", "netG", "a.b", "", "x" * 99))
    return Case({"net.pth": content}, partial(_import, key))


def _import(key: str | None, folder: Path) -> None:
    contents = read_foreign(folder / "net.pth")
    sound_state(contents.tensors)
    if key is not None:
        recognise([contents], key=key)


def zips(rng: Chance) -> Case:
    """Zip archives: of torch.save, and of images."""
    if rng.one_in(2):
        content = zipped(rng, dict(rng.pick(pickled()[0][:_SOUND])), stored=not rng.one_in(9) or rng.calm)
        return Case({"net.pth": content}, partial(_import, None))
    content = zipped(rng, {f"{name}/{i}.png": png for i, (name, png) in enumerate(_IMAGES)})
    inner = rng.pick(("",), ("/train", "/a", "/train/0.png", "/x", "/.."))
    return Case({"data.zip": content}, partial(_train, f"data.zip{inner}", rng.randrange(9)))


def _train(place: str, kind: int, folder: Path) -> None:
    source = Source([f"{folder}/{place}"], warn=lambda text: None, strict=kind == 0)
    if kind == 1:
        source.has("train")
    elif kind == 2:
        source.pairs(8)
    elif kind == 3:
        source.photos()
    else:
        found = source.images(None if kind == 4 else 8, channels=1 if kind == 5 else 3)
        assert found.x.dtype == torch.uint8 and found.x.ndim == 4 and len(found.x) == len(found.names) > 0
        assert found.labels is None or len(found.labels) == len(found.x)


# Images.


def _encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def _gradient() -> Image.Image:
    y, x = np.mgrid[0:9, 0:12]
    return Image.fromarray(np.stack([x * 21, y * 28, x * y], -1).astype(np.uint8))


def _tiled(bits: int) -> bytes:
    """A TIFF of 20x20 grey pixels in tiles of 16, which Pillow does not write."""
    tags = {256: 20, 257: 20, 258: bits, 259: 1, 262: 1, 277: 1, 322: 16, 323: 16, 324: 200, 325: 216}
    size = 256 * bits // 8
    entries = b"".join(struct.pack("<HHII", tag, 4, 4 if tag > 323 else 1, value) for tag, value in tags.items())
    start = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    return (
        start.ljust(200, b"\0")
        + struct.pack("<8I", *(232 + i * size for i in range(4)), *[size] * 4)
        + bytes(range(256)) * (size // 64)
    )


_MAIN = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000", "ICO", "TGA", "DDS")


@cache
def seeds() -> tuple[list[bytes], list[bytes]]:
    """Images of the formats that people have, and of all others that Pillow writes."""
    main, others, image = [], [], _gradient()
    exif = Image.Exif()
    exif.update({274: 6, 271: "maker", 282: 72.0, 34665: {33434: 0.01, 36867: "2001:01:01 00:00:00"}})
    extra = {"exif": exif.tobytes(), "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}
    extra["icc_profile"] = extra["icc_profile"][:24] + bytes(12) + extra["icc_profile"][36:]  # without the time
    for form in (*_MAIN, *sorted(set(Image.SAVE) - {*_MAIN, "PDF", "ICNS", "IM"})):
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"):
            try:
                grey = image.convert("L") if mode in ("I;16", "I", "F") else image
                (main if form in _MAIN else others).append(_encoded(grey.convert(mode), form))
            except (OSError, ValueError, KeyError, SystemError):
                continue  # a mode that the format has not
    for form in ("PNG", "JPEG", "WEBP", "TIFF", *["AVIF"] * features.check("avif")):
        main += [_encoded(image, form, **extra)] * 3
    for form in ("PNG", "WEBP", "GIF", "TIFF"):
        main.append(_encoded(image, form, save_all=True, append_images=[image.rotate(90)]))
    main += [_encoded(image, "TIFF", compression=c) for c in ("jpeg", "tiff_lzw", "tiff_adobe_deflate", "packbits")]
    main += [_encoded(image.convert("1"), "TIFF", compression="group4"), _tiled(8), _tiled(16)]
    main += [_encoded(image, "JPEG", progressive=True), _encoded(image, "WEBP", lossless=True)]
    main += [_encoded(image, "PNG", transparency=(0, 0, 0)), _encoded(image, "TGA", compression="tga_rle")]
    main += [_encoded(image, "DDS", pixel_format="DXT1"), b"P3 2 1 255 1 2 3 4 5 6", b"P2 2 1 65535 1 60000"]
    others.append(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) run\n")
    return main, others


def images(rng: Chance) -> Case:
    """Images of many formats, with EXIF and profiles."""
    main, others = seeds()
    content = rng.pick(main, others)
    if content[:4] == b"\x89PNG" and not rng.one_in(4):
        content = chunked(rng, content, words.PNG_CHUNKS)
    elif (b"II*\0" in content or b"MM\0*" in content) and not rng.one_in(3):
        content = retagged(rng, content)
    else:
        content = damaged(rng, content, main)
    alpha, named = rng.one_in(2), rng.one_in(8)

    def read(folder: Path) -> None:
        for x in zoo.Images.of(folder / "a.png" if named else content, alpha=alpha).arrays:
            assert (
                x.dtype == np.float32 and x.ndim == 3 and x.shape[0] in ((1, 2, 3, 4) if alpha else (1, 3)) and x.size
            )
            assert x.min() >= 0 and x.max() <= 1

    return Case({"a.png": content}, read)


# Configurations and registries.


@cache
def configs() -> list[dict[str, Any]]:
    entries = list(zoo.registry.index.registry().entries.values())
    short = [replace(entry, metrics=entry.metrics[:1], sha256=None) for entry in entries]  # weights of any content
    return [json.loads(schema.to_config(entry)) for entry in short]


def json_(rng: Chance) -> Case:
    """Files config.json, alone and with weights."""
    deep, inside = rng.one_in(5), rng.one_in(2)
    config, weights = networks()[rng.pick(list(TINY))]
    tree = config if deep else rng.pick(configs())
    tree = dict(tree) if inside else shaken(rng, tree)
    if inside and isinstance(tree, dict) and isinstance(tree.get("config"), dict):
        tree["config"] = shaken(rng, tree["config"])
    text = as_json(tree, rng)
    text = with_tokens(rng, text, words.JSON) if rng.one_in(4) else text
    text = damaged(rng, text) if rng.one_in(6) else text
    strict = rng.one_in(2)

    def read(folder: Path) -> object:
        if deep:
            return zoo.load(f"local-dir:{folder}")
        if strict:
            return from_config(text.decode("utf-8", "replace"), "config.json")
        return entry_of(f"local-dir:{folder}")

    return Case({"config.json": text, "model.safetensors": weights if deep else b"\2".ljust(8, b"\0") + b"{}"}, read)


def _yaml(tree: Any) -> bytes:
    try:
        return bytes(yaml.dump(tree, Dumper=yaml.CSafeDumper, encoding="utf-8", allow_unicode=True))
    except (UnicodeError, yaml.YAMLError):  # texts that YAML cannot hold
        return json.dumps(tree).encode()


@cache
def stanzas() -> list[tuple[Any, bytes]]:
    """Small registries, and their text: a checkpoint or two of each model of the zoo, and one with all keys."""
    made = []
    for name, model in yaml.load(own_registry()[0].read_bytes(), yaml.CSafeLoader).items():
        kept = dict(list(model.get("checkpoints", {}).items())[:2])
        short = {key: {**facts, "metrics": facts.get("metrics", [])[:1]} for key, facts in kept.items()}
        made.append({name: {**model, "checkpoints": short} if short else model})
    conditions = {"digit": {"choices": [0, 1], "default": 0}, "mask": {"kind": "image", "required": True, "help": "x"}}
    origin = {"files": {"a.pth": "0" * 64}, "layout": "x", "renamed": {"a": "b"}}
    facts = {"license": "MIT", "output": {"kind": "image", "size": [8, 8]}, "choices": {"digit": [0]}, "origin": origin}
    model = {"builder": "a.b:C", "summary": "x", "verbs": ["generate"], "aliases": ["b"], "conditions": conditions}
    made += [{"requires": ">=0.0.1", "toy": {**model, "checkpoints": {"one": facts}}}] * 3
    return [(tree, _yaml(tree)) for tree in made]


def yaml_(rng: Chance) -> Case:
    """Files registry.yaml."""
    if rng.one_in(2):
        text = rng.pick([text for _, text in stanzas()])
    elif rng.one_in(2):
        text = as_json(shaken(rng, rng.pick(stanzas())[0]), rng)
    else:
        text = _yaml(shaken(rng, rng.pick(stanzas())[0]))
    text = with_tokens(rng, text, words.YAML) if rng.one_in(2) else text
    text = damaged(rng, text) if rng.one_in(6) else text
    named = rng.one_in(4)

    def read(folder: Path) -> None:
        if named:
            schema.read(folder / "registry.yaml", "fuzz", folder)
        else:
            schema.parse(text.decode("utf-8", "surrogateescape"), "registry.yaml", "fuzz", folder)

    return Case({"registry.yaml": text}, read)


# Training data: arrays and tables; zips are above.


def _npy(rng: Chance, array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    whole = stream.getvalue()
    start = 10 + int.from_bytes(whole[8:10], "little")
    facts = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": list(array.shape)}
    if rng.calm or rng.one_in(2):
        return damaged(rng, whole)
    facts = shaken(rng, facts)
    if isinstance(facts, dict) and isinstance(facts.get("shape"), list):
        facts["shape"] = tuple(facts["shape"])
    if isinstance(facts, dict) and rng.one_in(4):
        facts["descr"] = rng.choice(words.NUMPY_DTYPES)
    text = repr(facts).encode("utf-8", "surrogatepass")[:60000]
    return (
        b"\x93NUMPY" + bytes([rng.choice((1, 1, 1, 2, 3, 9)), 0]) + struct.pack("<H", len(text)) + text + whole[start:]
    )


def arrays(rng: Chance) -> Case:
    """Files .npz and .npz.xz of training data."""
    x = np.arange(3 * 8 * 8 * 3, dtype=np.uint8).reshape(3, 8, 8, 3)
    y = np.array([0, 1, 1])
    parts = rng.pick(
        ({"x": x, "y": y}, {"x_train": x, "y_train": y, "x_test": x[:1], "y_test": y[:1]}, {"images": x[..., 0]}),
        (
            {"x": x.astype(np.float32)},
            {"x": np.array([{}], object)},
            {"x": x[:0]},
            {"x": x, "y": y - 9},
            {"x": x, "y": y / 0.3},
        ),
    )
    inside, around = (rng, rng.quiet()) if rng.one_in(2) else (rng.quiet(), rng)
    content = zipped(around, {f"{name}.npy": _npy(inside, array) for name, array in parts.items()})
    name = rng.pick(("data.npz", "data.npz.xz"))
    if name.endswith("xz"):
        content = lzma.compress(content, preset=0)
        content = damaged(rng, content) if rng.one_in(4) else content
    inner = rng.pick(("",), ("/x", "/y", "/x_test", "/z", "/a/b"))
    return Case({name: content}, partial(_train, f"{name}{inner}", rng.choice((1, 3, 4, 5, 6, 7, 8))))


_IMAGES = [
    (name, _encoded(_gradient().rotate(90 * i), "PNG")) for i, name in enumerate(("train/a", "train/b", "test/a"))
]


def labels(rng: Chance) -> Case:
    """Tables labels.csv in a folder or a zip."""
    files = {f"{i}.png": png for i, (_, png) in enumerate(_IMAGES)}
    rows = [[f"{i}.png", kind, "train" if i < 2 else "test"] for i, kind in enumerate(("cat", "dog", "cat"))]
    table = [["file", "class", "split"], *rows]
    if not rng.calm:
        other = shaken(rng, table)
        for row in other if isinstance(other, list) and rng.one_in(2) else []:
            table.append([str(cell)[:9999] for cell in row] if isinstance(row, list) else [str(row)[:9999]])
        for _ in rng.rounds():
            rng.choice(table[1:])[0:1] = [rng.choice(words.PLACES)]
    text = "\n".join(",".join(row) for row in table).encode("utf-8", "surrogatepass")
    text = with_tokens(rng, text, words.CSV) if rng.one_in(2) else text
    files["labels.csv"] = damaged(rng, text) if rng.one_in(4) else text
    kind = rng.choice((1, 3, 4, 5, 6, 7, 8))
    if rng.one_in(3):
        return Case({"data.zip": zipped(rng.quiet(), files)}, partial(_train, "data.zip", kind))
    return Case(files, partial(_train, "", kind))


# Compressed photos.


def compressed(rng: Chance) -> Case:
    """Files of `zoo compress`, with a checksum that is right."""
    photos = tuple(Photo(name, (8, 8), (2, 2, 1)) for name in ("a", "b"))
    symbols = np.array([[1, -2], [0, 5], [3, 3], [-4, 0]], np.int32)
    whole = write_compressed(Header("toy.toy", "0" * 64, photos, (1, -3), 2.0, 5), symbols)
    end = PREFIX.size + PREFIX.unpack_from(whole)[2]
    header = as_json(shaken(rng, json.loads(zlib.decompress(whole[PREFIX.size : end]))), rng)
    packed = zlib.compress(header) if rng.one_in(2) else damaged(rng, zlib.compress(header))
    rest = len(packed).to_bytes(4, "little") + packed + damaged(rng, whole[end:])
    content = whole[:4] + zlib.crc32(rest).to_bytes(4, "little") + rest

    def look(folder: Path) -> None:
        facts, coded = read_compressed((folder / "photos.zooc").read_bytes())
        if facts.rows * len(facts.steps) < 10_000:  # a model says how many there may be
            found = symbols_of(facts, coded)
            assert found.shape == (facts.rows, len(facts.steps))
            assert np.abs(found).max() <= max(1, facts.largest)

    return Case({"photos.zooc": content}, look)


@cache
def index_bytes() -> bytes:
    """An index of four codes, compared whitened, in two lists."""
    floats = {name: np.ones(shape, np.float32) for name, shape in (("mean", (1, 3)), ("matrix", (3, 3)))}
    tensors = {
        "table": np.frombuffer(json.dumps([["a", "b", "c", "d"], ["", "/a/b.png", "", ""]]).encode(), np.uint8),
        "stamps": np.ones((4, 2), np.int64),
        "digests": np.ones((4, 32), np.uint8),
        "codes": np.arange(12, dtype=np.float32).reshape(4, 3),
        "centres": np.eye(2, 3, dtype=np.float32),
        "lists": np.array([0, 1, 0, 1]),
        "numbers": np.array([1.0, 0.5, 4.0]),
        **floats,
    }
    facts = {"index": "2", "model": "conv-ae.flowers", "weights": "0" * 64, "metric": "mahalanobis"}
    return _summed(save({name: torch.from_numpy(x.copy()) for name, x in tensors.items()}, facts))


def _summed(content: bytes) -> bytes:
    """The file of an index with the checksum that is right for it; what cannot be read so far stays as it is."""
    end = 8 + int.from_bytes(content[:8], "little")
    try:
        tensors, header = load_arrays(content), json.loads(content[8:end])
        facts = header["__metadata__"]
        facts["crc32"] = checksum(facts, tensors)
    except (SafetensorError, LookupError, ValueError, TypeError, AttributeError):
        return content
    text = json.dumps(header, sort_keys=True).encode()  # safetensors writes the facts in any order
    return struct.pack("<Q", len(text)) + text + content[end:]


def indexes(rng: Chance) -> Case:
    """Files of `zoo index`, most with a checksum that is right."""
    whole = index_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8:end])
    text = as_json(shaken(rng, header) if rng.one_in(2) else header, rng.quiet())
    content = struct.pack("<Q", len(text)) + text + whole[end:]
    content = damaged(rng, content, [whole]) if rng.one_in(2) else content
    content = content if rng.one_in(4) else _summed(content)

    def read(folder: Path) -> None:
        stored = read_index(folder / "a.index")
        assert len(stored.rows.codes) == len(stored.rows.names)
        assert np.isfinite(stored.rows.codes).all()

    return Case({"a.index": content}, read)


TARGETS: dict[str, Callable[[Chance], Case]] = {
    "headers": headers,
    "pickles": pickles,
    "zips": zips,
    "images": images,
    "json": json_,
    "yaml": yaml_,
    "arrays": arrays,
    "labels": labels,
    "compressed": compressed,
    "indexes": indexes,
}

# What must be caught: `python -m tests.fuzz fault-hang --cases 1` fails, or the fuzzer does.
_FAULTS: dict[str, Callable[[Path], object]] = {
    "raw": lambda folder: [][0],
    "hang": lambda folder: [None for _ in iter(int, 1)],
    "blocked": lambda folder: time.sleep(999),
    "crash": lambda folder: ctypes.string_at(1),
    "memory": lambda folder: bytearray(b"x") * (5 << 27),
    "write": lambda folder: (folder.parent / "planted").write_text("x"),
    "delete": lambda folder: (folder.parent / "outside.png").unlink(),
    "look": lambda folder: (folder / "../outside.png").read_bytes(),
    "import": lambda folder: __import__("antigravity"),
    "command": lambda folder: os.system("true"),
    "program": lambda folder: subprocess.run(["true"], check=False),
    "code": lambda folder: eval("1 + 1"),
}
FAULTS = {f"fault-{name}": lambda rng, run=run: Case({}, run) for name, run in _FAULTS.items()}
