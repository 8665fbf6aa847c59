"""denoise-ae on noise that it was not trained on; and beside CBM3D (Dabov et al. 2007).

    python -m benchmarks.denoising
    pip install bm3d  # for non-commercial use
    python -m benchmarks.denoising --data CBSD68/ --every 7 --most 6

Writes the tables of docs/performance.md: of several sorts of noise in examples/landscapes; and, with ``--data``, of
CBM3D, https://doi.org/10.1109/ICIP.2007.4378954, on photos with the noise of the card. CBM3D is told how strong that
is, the network is not, and takes twenty seconds of one core for a photo.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import zoo
from benchmarks.__main__ import write
from zoo.authoring.publish import table
from zoo.data.batch import to_float
from zoo.data.degrade import gaussian_noise
from zoo.data.source import Source
from zoo.metrics.fidelity import psnr, rounded
from zoo.recipes.denoise_ae import denoised

PHOTOS = Path(__file__).parent.parent / "examples" / "landscapes"
NAME, SIGMA = "denoise-ae.photos", 25
COUNTS = 60  # of photons where a photo is white


def white(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x + rng.normal(0, SIGMA / 255, x.shape)


def grey(x: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """A photo without its colours, with white noise if ``rng`` is given."""
    noise = 0 if rng is None else rng.normal(0, SIGMA / 255, x.shape[:2])
    return np.repeat((x.mean(2) + noise)[..., None], 3, 2)


def shot(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.poisson(x * COUNTS) / COUNTS


def bayer(x: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """A photo as a sensor behind a colour filter sees it, with shot noise if ``rng`` is given; interpolated."""
    import cv2

    mosaic = x[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = x[::2, ::2, 0], x[1::2, 1::2, 2]
    seen = np.clip(mosaic if rng is None else shot(mosaic, rng), 0, 1)
    return cv2.cvtColor((seen * 65535).astype(np.uint16), cv2.COLOR_BayerRGGB2RGB) / 65535


def grains(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    chance = rng.random(x.shape[:2])[..., None]
    return np.where(chance < 0.03, 0, np.where(chance > 0.97, 1, x))


def jpeg(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    file = BytesIO()
    Image.fromarray((x * 255).round().astype(np.uint8)).save(file, "JPEG", quality=10)
    return np.asarray(Image.open(file)) / 255


CHANGED = (grey, bayer)  # these do more than noise, and are compared with what they give without
NOISES: dict[str, Callable[..., np.ndarray]] = {
    f"white noise of {SIGMA}, another in each channel": white,
    f"shot noise, {COUNTS} photons where it is white": shot,
    f"white noise of {SIGMA} in a grey photo": grey,
    "shot noise of a sensor behind a colour filter (Bayer), interpolated": bayer,
    "black and white pixels, 6 %": grains,
    "JPEG, quality 10": jpeg,
}


def noises(model: zoo.model.Model) -> str:
    """A table: PSNR of photos with noise, in 8 bits, and of what the model makes of them."""
    photos = [array.transpose(1, 2, 0).astype(np.float64) for array in zoo.Images.of(PHOTOS).arrays]
    rows = []
    for name, add in NOISES.items():
        true = [add(x, None) for x in photos] if add in CHANGED else photos
        seen = [np.clip(add(x, np.random.default_rng(i)), 0, 1) for i, x in enumerate(photos)]
        images = zoo.Images.of([(x * 255).round().astype(np.uint8) for x in seen])
        ways = (images, model.reconstruct(images))
        ratios = [np.mean([ratio(y, x) for y, x in zip(way.arrays, true, strict=True)]) for way in ways]
        rows.append(f"{name} | {ratios[0]:.2f} | {ratios[1]:.2f}")
    return table("noise | PSNR with it, dB | PSNR after denoise-ae, dB", rows)


def ratio(array: np.ndarray, photo: np.ndarray) -> float:
    """PSNR of an image ``(3, H, W)`` beside a photo ``(H, W, 3)``."""
    return float(-10 * np.log10(np.mean((array.transpose(1, 2, 0) - photo) ** 2)))


def cbm3d(x: Tensor) -> Tensor:
    """A noisy image ``(1, 3, H, W)`` in [-1, 1], clean, by the authors' package with its defaults."""
    from bm3d import bm3d_rgb

    clean = bm3d_rgb((x[0].permute(1, 2, 0).double().numpy() + 1) / 2, SIGMA / 255)
    return torch.from_numpy(np.asarray(clean)).float().permute(2, 0, 1)[None] * 2 - 1


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", help="The photos of CBSD68, to compare with CBM3D.")
    parser.add_argument("--every", type=int, default=1, help="Measure every Nth photo.")
    parser.add_argument("--most", type=int, help="So many of these.")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = zoo.load(NAME)
    write("noises", noises(model), by="python -m benchmarks.denoising")
    if args.data:
        photos = list(enumerate(Source([args.data]).photos(split="test")))[:: args.every][: args.most]
        write("denoising", beside(model, photos), by="python -m benchmarks.denoising")


def beside(model: zoo.model.Model, photos: list[tuple[int, tuple[str, Tensor]]]) -> str:
    """A table of ways to denoise some of the photos of a test set, each with its number in it."""
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "the noisy photo": lambda x: x,
        NAME: lambda x: denoised(model, x),
        f"CBM3D, bm3d {version('bm3d')}": cbm3d,
    }
    ratios: dict[str, list[float]] = {way: [] for way in ways}
    for number, (name, photo) in photos:
        target = to_float(photo)[None]
        x = gaussian_noise(target, SIGMA, number)
        for way, clean in ways.items():
            ratios[way].append(psnr((rounded(clean(x)) + 1) * 127.5, (target + 1) * 127.5))
        print(name, *(f"{values[-1]:.2f}" for values in ratios.values()), flush=True)
    rows = [f"{way} | {np.mean(values):.2f}" for way, values in ratios.items()]
    return table(f"by | PSNR of {len(photos)} photos, dB", rows)


if __name__ == "__main__":
    main()
