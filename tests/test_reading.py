"""Files of strangers: what is an image, what its colours are, and what happens where it is none."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import sample_image
from PIL import Image, ImageCms, ImageDraw

import zoo
from zoo import Images
from zoo.errors import InputError, MediaError
from zoo.media import image_decode
from zoo.media.image_decode import read_file
from zoo.media.image_encode import write_bands
from zoo.media.image_fit import colours, fit
from zoo.media.image_paths import format_of, image_files, named_files


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def first_pixel(source: Any) -> list[int]:
    """Of the first image, as 8-bit numbers, transparency included."""
    return [int(value) for value in (Images.of(source, alpha=True).arrays[0][:, 0, 0] * 255).round()]


def icc(space: bytes, tags: dict[bytes, bytes], pcs: bytes = b"XYZ ") -> bytes:
    """A colour profile."""
    tags = {b"wtpt": xyz(0.9642, 1, 0.8249), **tags}
    body, table = b"", struct.pack(">I", len(tags))
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += b"\0" * (-len(content) % 4)
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content
    head = struct.pack(">I", 128 + len(table) + len(body)) + b"test\x02\x40\0\0mntr" + space + pcs + b"\0" * 12
    head += b"acsp" + b"\0" * 28 + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + table + body


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def inks() -> bytes:
    """A table from CMYK to Lab in which cyan is grey, to be told from what is computed without it."""
    corners = b"".join(
        bytes([int(255 * (1 - k) * (1 - c / 2)), 128, 128])
        for c in (0, 1)
        for _ in (0, 1)
        for _ in (0, 1)
        for k in (0, 1)
    )
    even = bytes(range(256))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    return b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix + 4 * even + corners + 3 * even


DISPLAY_P3 = icc(
    b"RGB ",
    {
        b"rXYZ": xyz(0.51512, 0.2412, -0.00105),
        b"gXYZ": xyz(0.29198, 0.69225, 0.04189),
        b"bXYZ": xyz(0.1571, 0.06657, 0.78407),
        **{name: gamma(2.2) for name in (b"rTRC", b"gTRC", b"bTRC")},
    },
)
LINEAR_GREY = icc(b"GRAY", {b"kTRC": gamma(1)})
INKS = icc(b"CMYK", {b"A2B0": inks()}, b"Lab ")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

KINDS = {
    ".png": "PNG",
    ".apng": "PNG",
    ".jpg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".tiff": "TIFF",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".pnm": "PPM",
    ".pbm": "PPM",
    ".avif": "AVIF",
    ".jp2": "JPEG2000",
    ".j2k": "JPEG2000",
    ".tga": "TGA",
    ".ico": "ICO",
    ".dds": "DDS",
}


@pytest.mark.parametrize("ending", KINDS)
def test_a_image_is_read_by_name_and_in_a_folder_whatever_it_is_called(tmp_path: Path, ending: str) -> None:
    image = sample_image(32, 32).convert("1") if ending == ".pbm" else sample_image(32, 32)
    content = encoded(image, KINDS[ending])
    for name in (f"a{ending}", "bare", f"c{ending.upper()}"):
        (tmp_path / name).write_bytes(content)
    if ending != ".tga":  # which has no mark at its beginning
        (tmp_path / "wrong.txt").write_bytes(content)
        (tmp_path / "v1.2").write_bytes(content)
        assert [name for name, _ in named_files(tmp_path / "v1.2")] == ["v1.2"]
    by_name = {path.name for path in tmp_path.iterdir() if len(Images.of(path)) == 1}
    assert {path.name for path in image_files(tmp_path)} == by_name
    assert Images.of(tmp_path / "bare").arrays[0].shape[1:] == (32, 32)
    assert ("a", tmp_path / f"a{ending}") in named_files(tmp_path)


def test_what_is_left_out_of_a_folder_is_told(tmp_path: Path) -> None:
    sample_image(4, 4).save(tmp_path / "a.png")
    (tmp_path / "damaged.jpg").write_bytes(b"")  # called an image: it fails by name, and is not passed over
    (tmp_path / "README").write_text("BM is how I begin")
    (tmp_path / "table.csv").write_text("P1,P2\n1,2\n")
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}" + b"\0" * 64)
    (tmp_path / "w0.safetensors").write_bytes(struct.pack("<Q", 0x20000) + b'{"weight":' + b" " * 64)
    (tmp_path / "phone").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40)
    (tmp_path / "camera.nef").write_bytes(encoded(sample_image(4, 4), "TIFF"))
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    left_out: list[tuple[Path, str]] = []
    assert [path.name for path in image_files(tmp_path, left_out)] == ["a.png", "damaged.jpg"]
    assert {path.name: reason for path, reason in left_out} == {
        "README": "not an image",
        "table.csv": "not an image",
        "w.safetensors": "not an image",
        "w0.safetensors": "not an image",
        "phone": "HEIC, which is not read",
        "camera.nef": "a camera's raw file",
        ".hidden.png": "hidden",
        "gone": "leads nowhere",
        "pipe": "is no file",
    }


@pytest.mark.parametrize(
    "content",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
        b"\xc5\xd0\xd3\xc6" + b"\0" * 60,  # EPS with a preview
        b"%PDF-1.4\n",
        b"\xd7\xcd\xc6\x9a\0\0" + b"\0" * 40,  # WMF
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,  # OLE: FPX, MIC
        b"8BPS\0\1" + b"\0" * 60,
    ],
)
def test_no_other_decoder_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    def started(*_: Any, **__: Any) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", started)
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for source in (path, content, [io.BytesIO(content)]):
        with pytest.raises(MediaError, match="not an image"):
            Images.of(source)
    assert format_of(content) == ""


def test_a_lazy_eps_is_not_started(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with Image.open(path) as lazy, pytest.raises(MediaError, match="EPS is a program, which is not started here"):
        Images.of(lazy)


def test_only_the_beginning_of_files_is_read_in_a_folder(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(1 << 40)
    assert image_files(tmp_path) == [tmp_path / "large"]


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("JPEG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("AVIF", {})]
)
def test_profiles_are_converted_to_srgb(kind: str, options: dict[str, Any]) -> None:
    image = Image.new("RGB", (16, 16), (200, 100, 40))
    plain, made = (first_pixel(encoded(image, kind, **options, **more)) for more in ({}, {"icc_profile": DISPLAY_P3}))
    assert np.abs(np.array(plain) - (200, 100, 40)).max() <= 3
    assert np.abs(np.array(made) - (216, 93, 0)).max() <= 3, "Display P3's is a deeper colour than sRGB has"


def test_profiles_of_other_modes() -> None:
    clear = Image.new("RGBA", (2, 2), (200, 100, 40, 77))
    assert first_pixel(encoded(clear, "PNG", icc_profile=DISPLAY_P3)) == [216, 93, 0, 77]
    grey = Image.new("L", (2, 2), 55)
    assert first_pixel(encoded(grey, "PNG", icc_profile=LINEAR_GREY)) == [128]
    grey.putalpha(100)
    assert first_pixel(encoded(grey, "PNG", icc_profile=LINEAR_GREY)) == [128, 100]
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    assert np.ptp(first_pixel(encoded(cyan, "TIFF", icc_profile=INKS))) <= 2
    assert first_pixel(encoded(cyan, "TIFF")) == [0, 255, 255]


@pytest.mark.parametrize("profile", [SRGB, b"nonsense" * 30, LINEAR_GREY, INKS, DISPLAY_P3[:200], b"\0"])
def test_profiles_that_say_nothing_change_nothing(profile: bytes) -> None:
    image = sample_image(16, 16)
    made = Images.of(encoded(image, "PNG", icc_profile=profile)).arrays[0]
    assert np.array_equal(made, Images.of(image).arrays[0])


def disc(colour: tuple[int, ...], behind: tuple[int, ...]) -> Image.Image:
    image = Image.new("RGBA", (48, 48), behind)
    ImageDraw.Draw(image).ellipse((9, 9, 38, 38), fill=colour)
    return image


@pytest.mark.parametrize(
    ("colour", "behind"), [((255, 255, 255, 255), (0, 0, 0, 0)), ((255, 0, 0, 255), (0, 255, 0, 0))]
)
def test_hidden_colours_stay_hidden(colour: tuple[int, ...], behind: tuple[int, ...]) -> None:
    array = Images.of(disc(colour, behind), alpha=True).arrays[0]
    wanted = np.array(colour[:3], np.float32)[:, None, None] / 255
    assert np.array_equal(colours(array), np.broadcast_to(wanted, (3, 48, 48)))
    for size in ((20, 31), (100, 77), (48, 48)):
        made = fit(array, None, size)
        assert made.shape == (4, *size)
        shown = made[3] > 1 / 255
        assert 0 < shown.mean() < 1
        np.testing.assert_allclose(made[:3, shown], np.broadcast_to(wanted[..., 0], (3, shown.sum())), atol=1e-5)


@pytest.mark.filterwarnings("ignore::zoo.errors.ResearchOnly")
def test_a_network_does_not_see_hidden_colours() -> None:
    made = zoo.load("srgan").reconstruct(
        [disc((255, 255, 255, 255), (0, 0, 0, 0)), disc((255, 0, 0, 255), (0, 255, 0, 0))]
    )
    white, red = (array[:3, array[3] > 1 / 255] for array in made.arrays)
    assert white.min() > 0.98
    assert red[0].min() > 0.98
    assert red[1:].max() < 0.02


def test_the_nearest_visible_colour_is_taken() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        height, width = rng.integers(1, 9, 2)
        array = rng.random((2, height, width), np.float32)
        array[1] = rng.random((height, width)) < rng.random() / 2
        filled, seen = colours(array)[0], np.argwhere(array[1] > 0)
        if not len(seen):
            assert np.array_equal(filled, array[0])
            continue
        for y, x in np.ndindex(height, width):
            far = np.abs(seen - (y, x)).max(1)
            assert filled[y, x] in [array[0, i, j] for i, j in seen[far == far.min()]]


def test_half_transparent_pixels_count_half() -> None:
    array = np.array([[[1, 0]], [[1, 0.25]]], np.float32)  # white, and a quarter of black
    (value,), (alpha,) = fit(array.repeat(8, 2), None, (1, 1))
    assert alpha[0] == pytest.approx(0.625, abs=0.05)
    assert value[0] == pytest.approx(0.8, abs=0.05)


def sixteen(values: np.ndarray) -> bytes:
    """A PNG with 16 bits."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_in_and_out(tmp_path: Path, channels: int) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (7, 9, channels), np.uint16)
    images = Images.of(sixteen(values), alpha=True)
    assert np.array_equal((images.arrays[0] * 65535).round().transpose(1, 2, 0), values)
    images.save(tmp_path / "a.png", bits=16)
    images.save(tmp_path / "folder", bits=16)
    for path in (tmp_path / "a.png", tmp_path / "folder" / "0000.png"):
        assert path.read_bytes()[24] == 16
        assert np.array_equal(Images.of(path, alpha=True).arrays[0], images.arrays[0])
    with pytest.raises(InputError, match="16 bits are written as PNG"):
        images.save(tmp_path / "a.jpg", bits=16)
    with pytest.raises(InputError, match="8 or 16"):
        images.save(tmp_path / "a.png", bits=12)


def with_chunk(png: bytes, chunk: bytes) -> bytes:
    """A PNG with one more chunk behind its header."""
    return png[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]


def formula(*values: float, kind: int = 3) -> bytes:
    return b"para\0\0\0\0" + struct.pack(f">HH{len(values)}i", kind, 0, *(round(value * 65536) for value in values))


CURVES = {
    "gamma": gamma(2.2),
    "line": b"curv\0\0\0\0" + struct.pack(">I", 0),
    "table": b"curv\0\0\0\0" + struct.pack(">I3H", 3, 0, 12000, 65535),
    "power": formula(2.4, kind=0),
    "sRGB": formula(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "lines": formula(2.0, 1.0, -0.1, kind=1),
    "offset": formula(2.0, 1.0, -0.05, 0.0, kind=2),
    "all": formula(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045, 0.0, 0.0, kind=4),
}


def test_broken_curves_cost_nothing() -> None:
    for broken in (
        formula(2.0, 0.0, 1.0, kind=1),
        formula(2.0, kind=0)[:12],
        b"curv\0\0\0\0\xff\xff\xff\xff",
        b"",
        gamma(0),
    ):
        profile = icc(b"GRAY", {b"kTRC": broken})
        for source in (np.full((2, 2, 1), 99), np.full((2, 2, 2), 65535)):
            assert Images.of(with_chunk(sixteen(source), b"iCCPa\0\0" + zlib.compress(profile))).arrays[0].shape[
                1:
            ] == (2, 2)


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("channels", [1, 3])
def test_profiles_are_applied_to_sixteen_bits(name: str, channels: int) -> None:
    """As Pillow applies them to 8, with all levels between."""
    curve = CURVES[name]
    if channels == 1:
        profile = icc(b"GRAY", {b"kTRC": curve})
    else:
        colours = {b"rXYZ": (0.51512, 0.2412, -0.00105), b"gXYZ": (0.29198, 0.69225, 0.04189)}
        colours[b"bXYZ"] = (0.1571, 0.06657, 0.78407)
        tags = {tag: xyz(*value) for tag, value in colours.items()}
        profile = icc(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))
    values = np.random.default_rng(0).integers(0, 256, (32, 64, channels), np.uint8)
    eight = encoded(Image.fromarray(values[..., 0] if channels == 1 else values), "PNG", icc_profile=profile)
    deep = sixteen(values.astype(np.uint16) * 257)
    deep = with_chunk(deep, b"iCCPa\0\0" + zlib.compress(profile))
    wanted, made = Images.of(eight).arrays[0], Images.of(deep).arrays[0]
    assert np.quantile(np.abs(wanted - made), 0.95) < 2 / 255  # 8 bits are coarse in the dark and where a curve bends
    assert np.abs(wanted - made).mean() < 0.6 / 255
    if not (channels == 1 and name in ("sRGB", "all")):  # which is what sRGB has
        assert np.abs(made - values.transpose(2, 0, 1) / 255).max() > 0.02
        assert (np.abs(made * 255 - (made * 255).round()) > 0.1).any()


def test_a_clear_colour_of_sixteen_bits() -> None:
    values = np.array([[[1, 2, 3], [1, 2, 4]]], np.uint16)
    for x, clear in ((values, (1, 2, 3)), (values[..., 2:], (3,))):
        content = sixteen(x)
        chunk = b"tRNS" + struct.pack(f">{len(clear)}H", *clear)
        content = (
            content[:33]
            + struct.pack(">I", len(chunk) - 4)
            + chunk
            + struct.pack(">I", zlib.crc32(chunk))
            + content[33:]
        )
        assert Images.of(content, alpha=True).arrays[0][-1].tolist() == [[0, 1]]


def tiff(values: np.ndarray, bits: int = 16, order: str = "<", **more: int) -> bytes:
    """A TIFF of words, which Pillow reads and does not write."""
    height, width, channels = values.shape
    data = values.astype(f"{order}u2").tobytes() if bits == 16 else values.tobytes()
    data = zlib.compress(data) if more.get("compression") == 8 else data
    tags = {256: width, 257: height, 258: bits, 259: more.get("compression", 1)}
    tags |= {262: more.get("colour", 2 if channels > 1 else 1), 277: channels, 278: height}
    tags |= {273: 8, 279: len(data), 339: more.get("kind", 1)}
    extra = 8 + len(data) + 2 + 12 * len(tags) + 4
    entries = b""
    for tag, value in sorted(tags.items()):
        if tag == 258 and channels > 1:
            entries += struct.pack(f"{order}HHII", 258, 3, channels, extra)
        else:
            entries += struct.pack(f"{order}HHII", tag, 4, 1, value)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(data))
    depth = struct.pack(f"{order}{channels}H", *[bits] * channels)
    return head + data + struct.pack(f"{order}H", len(tags)) + entries + b"\0" * 4 + depth


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("compression", [1, 8])
def test_sixteen_bits_of_tiff(order: str, channels: int, compression: int) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (6, 5, channels), np.uint16)
    made = Images.of(tiff(values, order=order, compression=compression)).arrays[0]
    assert np.array_equal((made * 65535).round().transpose(1, 2, 0), values)


def test_white_may_be_zero_with_sixteen_bits() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (6, 5, 1), np.uint16)
    made = Images.of(tiff(values, colour=0)).arrays[0]
    assert np.array_equal((made * 65535).round().transpose(1, 2, 0), 65535 - values)


def test_planes_of_sixteen_bits_are_refused() -> None:
    """Pillow takes every byte for a value."""
    values = np.random.default_rng(0).integers(0, 65536, (6, 5, 3), np.uint16)
    planes = np.moveaxis(values, -1, 0).tobytes()
    depth, places, lengths = (
        struct.pack("<3H", 16, 16, 16),
        struct.pack("<3I", 8, 68, 128),
        struct.pack("<3I", *[60] * 3),
    )
    tags = {256: (1, 5), 257: (1, 6), 258: (3, 194), 259: (1, 1), 262: (1, 2), 273: (3, 200), 277: (1, 3), 278: (1, 6)}
    tags |= {279: (3, 212), 284: (1, 2)}
    end = b"".join(struct.pack("<HHII", tag, 3 if tag == 258 else 4, *value) for tag, value in tags.items())
    content = b"II" + struct.pack("<HI", 42, 224) + planes + b"\0" * 6 + depth + places + lengths
    content += struct.pack("<H", len(tags)) + end + b"\0" * 4
    with pytest.raises(MediaError, match=r"planes of 16 bits, one behind the other, are not read: save it as PNG\."):
        Images.of(content)


def test_a_kind_that_pillow_does_not_read_is_not_called_damaged() -> None:
    with pytest.raises(MediaError, match=r"of a kind that is not read, .*: save it as PNG\.$"):
        Images.of(tiff(np.zeros((6, 5, 3), np.uint16), kind=3))  # half floats


def test_integers_go_by_the_bits_of_their_file() -> None:
    low = Image.fromarray(np.arange(256, dtype=np.int32).reshape(16, 16))
    assert low.mode == "I"
    assert Images.of(low).arrays[0].max() == 1
    assert Images.of(encoded(low, "TIFF")).arrays[0].max() == 1
    dark = Image.fromarray(np.full((4, 4), 255, np.uint16))
    for source in (dark, encoded(dark, "PNG"), encoded(dark, "TIFF")):  # 16 bits, and dark
        assert Images.of(source).arrays[0].max() == np.float32(255 / 65535)
    twelve = tiff(np.array([[[0xFF], [0xFF], [0xFF]]], np.uint8).reshape(1, 3, 1), bits=12)
    twelve = twelve.replace(struct.pack("<HHII", 256, 4, 1, 3), struct.pack("<HHII", 256, 4, 1, 2))
    assert Images.of(twelve).arrays[0].max() == 1


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own
def test_a_sloppy_exif_tag_costs_nothing() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "maker"
    block = bytearray(exif.tobytes())
    at = block.index(b"\x01\x0f\x00\x02")
    for kind in range(14):
        block[at + 3] = kind
        made = Images.of(encoded(sample_image(40, 24), "JPEG", exif=bytes(block)))
        assert made.arrays[0].shape in ((3, 40, 24), (3, 24, 40))
        assert len(made.png()) > 100


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("x"), struct.error("x"), OverflowError("x"), RuntimeError("x"), KeyError("x"), TypeError("x")],
)
def test_whatever_a_decoder_raises_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from PIL import ImageFile

    def load(*_: Any) -> None:
        raise error

    sample_image(8, 8).save(tmp_path / "a.png")
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(MediaError, match=r"a\.png: damaged or cut off"):
        Images.of([tmp_path / "a.png"])
    with Image.open(tmp_path / "a.png") as lazy, pytest.raises(MediaError, match="Image 0: damaged"):
        Images.of([lazy])


def test_want_of_memory_is_called_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import ImageFile

    def load(*_: Any) -> None:
        raise MemoryError

    large, small = tmp_path / "large.png", tmp_path / "small.png"
    Image.new("L", (2000, 1000)).save(large)
    sample_image(8, 8).save(small)
    with monkeypatch.context() as patch:
        patch.setattr(image_decode, "free_memory", lambda: 20_000_000)
        patch.setattr(ImageFile.ImageFile, "load", load)  # the header is enough
        with pytest.raises(MediaError, match=r"large\.png: needs more memory than is free \(0\.0 GB"):
            Images.of([large])
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(MediaError, match=r"small\.png: needs more memory than is free"):
        Images.of([small])


def test_nan_in_a_file_names_the_file(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(MediaError, match=r"a\.tif has NaN"):
        Images.of([sample_image(4, 4), tmp_path / "a.tif"])
    with pytest.raises(InputError, match="Image 1 has NaN"):
        Images.of([sample_image(4, 4), np.full((4, 4), np.nan)])


def test_pipes_and_open_files_are_read_from_their_beginning(tmp_path: Path) -> None:
    content = encoded(sample_image(8, 8), "PNG")
    wanted = Images.of(content).arrays[0]
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[content])
    writer.start()
    found = [Images.of(tmp_path / "pipe")]
    writer.join()
    for where in (0, 9, len(content)):
        file = io.BytesIO(content)
        file.seek(where)
        found.append(Images.of(file))
    assert all(np.array_equal(images.arrays[0], wanted) for images in found)
    read, write = os.pipe()
    os.write(write, content)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        assert np.array_equal(Images.of(file).arrays[0], wanted)
    for empty in (io.BytesIO(), os.devnull):
        with pytest.raises(MediaError, match="empty"):
            Images.of(empty)
    with pytest.raises(MediaError, match="not an image"):
        Images.of("/dev/zero")  # which has no end
    with Path(__file__).open() as file_of_text:
        for text in (io.StringIO("a"), file_of_text):
            with pytest.raises(InputError, match="'rb'"):
                Images.of(text)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has names that are no text")
def test_names_that_are_no_text_or_no_names(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9.png")
    odd.write_bytes(b"")
    with pytest.raises(MediaError) as caught:
        Images.of(tmp_path)
    assert str(caught.value).isprintable()
    assert r"caf\udce9.png" in str(caught.value)
    odd.write_bytes(encoded(sample_image(4, 4), "PNG"))
    Images.of(tmp_path).save(tmp_path / "out")
    assert [os.fsencode(path.name) for path in (tmp_path / "out").iterdir()] == [b"caf\xe9.png"]
    for name in ("a\0b.png", "a\ud800.png", "a" * 300, f"{odd}/b"):
        with pytest.raises((InputError, MediaError)):
            Images.of(name)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "AVIF", "JPEG2000", "ICO"])
def test_the_limit_of_pixels_can_be_raised_for_one_call(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    content = encoded(sample_image(64, 64), kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert len(Images.of(content, max_pixels=64 * 64)) == 1
    assert Image.MAX_IMAGE_PIXELS == 1000
    for limit in (None, 2000):
        with pytest.raises(MediaError, match=rf"more than {limit or 1000:,} pixels.*max_pixels"):
            Images.of(content, max_pixels=limit)
    with pytest.raises(InputError, match="max_pixels"):
        Images.of(content, max_pixels=0)


def everything() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "maker"
    exif[0x8769] = {0x9003: "2020:01:01 00:00:00", 0xA002: 40}
    return encoded(sample_image(40, 24), "JPEG", exif=exif.tobytes(), dpi=(300, 200), icc_profile=DISPLAY_P3)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("bits", [8, 16])
def test_exif_resolution_and_colour_space_are_carried_over(tmp_path: Path, ending: str, bits: int) -> None:
    if bits == 16 and ending != ".png":
        pytest.skip("16 bits are PNG")
    images = Images.of([sample_image(3, 3), everything()])[1:]
    images.save(tmp_path / f"a{ending}", bits=bits)
    with Image.open(tmp_path / f"a{ending}") as made:
        made.load()
        assert made.size == (24, 40)
        exif = made.getexif()
        assert exif.get(0x0112, 1) == 1
        assert exif[0x010F] == "maker"
        assert exif.get_ifd(0x8769) == {0x9003: "2020:01:01 00:00:00"}
        if ending != ".webp":
            assert made.info["dpi"] == pytest.approx((300, 200), abs=0.1)
        assert made.info["icc_profile"]
    assert np.abs(Images.of(tmp_path / f"a{ending}").arrays[0] - images.arrays[0]).mean() < 0.05
    again = Images.of(tmp_path / f"a{ending}").infos[0]
    assert again.exif and again.srgb


def test_bands_carry_it_too(tmp_path: Path) -> None:
    images = Images.of(everything())
    write_bands([images.arrays[0]], images.arrays[0].shape, tmp_path / "a.png", info=images.infos[0])
    assert Images.of(tmp_path / "a.png").infos[0].exif == images.infos[0].exif
    assert np.abs(Images.of(tmp_path / "a.png").arrays[0] - images.arrays[0]).max() < 1 / 255


def test_the_same_image_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Images.of(everything()).save(tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_read_file(tmp_path: Path) -> None:
    sample_image(5, 4).save(tmp_path / "a.png")
    assert read_file(tmp_path / "a.png").shape == (3, 4, 5)
