"""Rate and distortion of compressed photos beside JPEG and WebP.

    python -m benchmarks.compression --data flowers.zip

Draws docs/gallery/compression.png and writes the table of docs/performance.md. The photos are those of the test split
at 64 px. Bits are counted twice: of whole files, and of what holds the photo alone, without our header, the tables of
JPEG (all before its scan) or the container of WebP.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

import zoo
from zoo.data.source import Source
from zoo.tasks.compress import compress, decompress
from zoo.tasks.compressed import read

TOP = Path(__file__).parent.parent
NAME, SIDE, ALONE = "conv-ae.flowers", 64, 25  # every 25th photo is also compressed into a file of its own
BEGIN, END = "<!-- compression, made by `python -m benchmarks.compression` -->", "<!-- end -->"


class Point(NamedTuple):
    """One way to compress, at one quality: bits a pixel of whole files and without headers, and mean PSNR in dB."""

    way: str
    quality: int
    whole: float
    bare: float
    psnr: float


def psnr(result: np.ndarray, photo: np.ndarray) -> float:
    """Of photos ``(H, W, 3)`` in 8 bits, over all three channels."""
    return float(-10 * np.log10(np.mean((result / 255.0 - photo / 255.0) ** 2)))


def by_pillow(photos: np.ndarray, name: str, quality: int, header: Callable[[bytes], int]) -> Point:
    """A file for each photo."""
    options = {"optimize": True} if name == "JPEG" else {"method": 6}
    whole, bare, ratios = [], [], []
    for photo in photos:
        buffer = BytesIO()
        Image.fromarray(photo).save(buffer, name, quality=quality, **options)
        whole.append(len(buffer.getvalue()))
        bare.append(whole[-1] - header(buffer.getvalue()))
        with Image.open(buffer) as image:
            ratios.append(psnr(np.asarray(image.convert("RGB")), photo))
    bits = 8 / SIDE**2
    return Point(
        {"WebP": "WebP"}.get(name, name), quality, bits * np.mean(whole), bits * np.mean(bare), np.mean(ratios)
    )


def by_code(model: zoo.model.Model, photos: np.ndarray, quality: int, alone: bool) -> Point:
    """All photos in one file, or a file for each."""
    whole, bare, ratios = 0, 0, []
    for some in photos[:, None] if alone else [photos]:
        content = compress(model, zoo.Images.of(some), quality=quality)
        whole += len(content)
        bare += len(read(content)[1])
        results = decompress(model, content)
        ratios += [psnr(np.asarray(image), photo) for image, photo in zip(results, some, strict=True)]
    way = f"{NAME}, a file each" if alone else f"{NAME}, one file of {len(photos)}"
    bits = 8 / SIDE**2 / len(photos)
    return Point(way, quality, bits * whole, bits * bare, float(np.mean(ratios)))


def draw(points: list[Point], path: Path) -> None:
    """The curves, whole files with lines and bare ones dashed."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5), dpi=120)
    for number, way in enumerate(dict.fromkeys(point.way for point in points)):
        some = [point for point in points if point.way == way]
        y = [point.psnr for point in some]
        axes.plot([p.whole for p in some], y, "o-", color=f"C{number}", markersize=3, label=way)
        axes.plot([p.bare for p in some], y, "--", color=f"C{number}", linewidth=1)
    axes.plot([], [], "--", color="grey", linewidth=1, label="without headers")
    axes.set(xscale="log", xlabel="bits a pixel", ylabel="PSNR, dB")
    axes.set_xticks(ticks := [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2], [f"{tick:g}" for tick in ticks])
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)


def write(points: list[Point]) -> None:
    """Replace the table in docs/performance.md."""
    path = TOP / "docs" / "performance.md"
    rows = [f"| {p.way} | {p.quality} | {p.whole:.3f} | {p.bare:.3f} | {p.psnr:.2f} |" for p in points]
    head = ["| by | quality | bits a pixel | without headers | PSNR, dB |", "| --- | --- | --- | --- | --- |"]
    before, _, rest = path.read_text("utf-8").partition(BEGIN)
    path.write_text("\n".join([before + BEGIN, *head, *rows, END]) + rest.partition(END)[2], "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, help="The flower photos, with a test split.")
    photos = Source([parser.parse_args().data]).images(SIDE, split="test").x.permute(0, 2, 3, 1).numpy()
    model = zoo.load(NAME)
    points = [by_code(model, photos, quality, False) for quality in (0, 20, 40, 60, 80, 100)]
    points += [by_code(model, photos[::ALONE], quality, True) for quality in (0, 30, 60, 100)]
    points += [
        by_pillow(photos, "JPEG", quality, lambda content: content.rindex(b"\xff\xda"))
        for quality in (1, 5, 10, 20, 40)
    ]
    points += [by_pillow(photos, "WebP", quality, lambda content: 20) for quality in (0, 2, 5, 10, 20, 40)]
    for point in points:
        print(*point, sep="  ")
    draw(points, TOP / "docs" / "gallery" / "compression.png")
    write(points)


if __name__ == "__main__":
    main()
