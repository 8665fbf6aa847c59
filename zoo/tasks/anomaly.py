"""Anomalies: what a model that reconstructs what is normal does not give back as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zoo.arrays import Array
from zoo.errors import InputError, VerbError
from zoo.inference.verbs import Verbs
from zoo.media.image_decode import opaque
from zoo.media.image_fit import fit
from zoo.media.images import Images
from zoo.registry.index import code_of
from zoo.tasks import abilities, constants

if TYPE_CHECKING:
    from torch import Tensor


SCALES = (1, 2, 4)  # images are compared at their size, and averaged to a half and a quarter of it
WINDOW = 7  # side of the squares in which they are compared
SPOT = 15  # side of the squares over which a map is averaged before its highest place is the score
C1, C2 = 0.01**2, 0.03**2  # of SSIM, for values in [0, 1]
NORMAL = 0.99  # of the normal images are not above the threshold
LEAST = 10  # normal images for a threshold


class Anomalies(NamedTuple):
    """A result of :func:`score`.

    Attributes:
        scores: of each image, float64 ``(N,)`` in [0, 1]; the higher, the less normal.
        maps: of each image, grey, as large as the model sees it: from 0, as it should be, to 1.
        threshold: above which an image counts as anomalous; None where nobody has set one.
    """

    scores: npt.NDArray[np.float64]
    maps: Images
    threshold: float | None

    @property
    def anomalous(self) -> npt.NDArray[np.bool_] | None:
        """Which images are above the threshold; None without one."""
        return None if self.threshold is None else self.scores > self.threshold


def score(
    model: Verbs,
    inputs: Any,
    *,
    threshold: float | None = None,
    normal: Any = None,
    batch_size: int = 16,
    progress: bool = False,
    **conditions: Any,
) -> Anomalies:
    """How far images are from what a model takes for normal, and where.

    A model with a method ``anomaly_map``, from images ``(N, C, H, W)`` in [-1, 1] to maps ``(N, 1, H, W)`` in [0, 1],
    says where; of others each image is compared with what the model makes of it by :func:`dissimilarity`. The score is
    the highest mean of the map over a square of 15 pixels, so that a small defect counts in a large image as much as in
    a small one.

    >>> scores, maps, threshold = score(zoo.load("anomaly-ae"), "tiles/")

    Args:
        model: one that reconstructs images in their own size.
        inputs: anything that :meth:`zoo.Images.of` takes; of any sizes, if the model takes any.
        threshold: a number from 0 to 1; by default that of ``normal``, or else the one that the checkpoint has.
        normal: normal images, ten or more, of anything that :meth:`zoo.Images.of` takes: the threshold becomes the
            score that 99 % of them do not exceed, with the same conditions. They must not have been trained on.
        batch_size: images that go through the network at once.
        progress: whether to show a bar.
        conditions: as declared in the registry; one value, or a list with one for each image.

    Raises:
        VerbError: for a model that does not reconstruct, or not images of the same size, or needs a condition.
        InputError: for inputs that hold no images, fewer than ten normal ones, and a wrong threshold.
        ZooError: for a result that is not finite.
    """
    scorer_of(model)
    check_threshold(threshold)
    if threshold is not None and normal is not None:
        raise InputError("Give a threshold, or normal images to find one from: one of the two.")
    images = model.processors()[0].read(inputs)
    if not len(images):
        raise InputError("There are no images to score.")
    if normal is not None:
        threshold = threshold_from(model, normal, batch_size=batch_size, progress=progress, **conditions)
    elif threshold is None:
        threshold = threshold_for(model)
    scores, maps = _compared(model, images, batch_size, progress, conditions)
    return Anomalies(np.array(scores), Images(maps, images.names), threshold)


def _compared(
    model: Verbs, images: Images, batch_size: int, progress: bool, conditions: dict[str, Any]
) -> tuple[list[float], list[Array]]:
    scorer = scorer_of(model)
    results = scorer.reconstruct(images, batch_size=batch_size, progress=progress, **conditions)
    pairs = zip(scorer.prepare(images).arrays, results.arrays, strict=True)
    scores, maps = zip(*(compare(scorer, seen, result) for seen, result in pairs), strict=True)
    return list(scores), list(maps)


def scorer_of(model: Verbs) -> Verbs:
    """What images are put through to score them: the model, or one that gives the maps of ``anomaly_map`` as images.

    Raises:
        VerbError: for a model whose results cannot be laid over its inputs, that needs a condition, or that runs
            without its ``anomaly_map``.
    """
    entry = model.entry
    if entry and "copy" not in (able := abilities(entry)):
        if "reconstruct" in able and (needed := [each.name for each in entry.conditions if each.required]):
            raise VerbError(
                f"{entry.model} needs the condition {needed[0]} with each image, so what it makes of images shows no "
                "anomalies: use an autoencoder."
            )
        raise VerbError(
            f"{entry.model} does not give images back in their own size and channels, so what it makes of them shows "
            "no anomalies: use an autoencoder."
        )
    from zoo.model import Model
    from zoo.tasks.anomaly_map import Mapper

    if isinstance(model, Model):
        return Mapper(model) if hasattr(model, "anomaly_map") else model
    if entry and hasattr(code_of(entry.builder, entry), "anomaly_map"):
        raise VerbError(f"{entry.model} has a map of its own, which needs torch: leave out the runtime.")
    return model


def compare(scorer: Verbs, image: Array, result: Array) -> tuple[float, Array]:
    """Score and map ``(1, H, W)`` of an image ``(C, H, W)`` in [0, 1] and of what :func:`scorer_of` made of it."""
    import torch

    from zoo.tasks.anomaly_map import Mapper

    with torch.inference_mode():
        if isinstance(scorer, Mapper):
            maps = torch.from_numpy(result[None, :1])  # transparency is of no interest
        else:
            maps = dissimilarity(torch.from_numpy(image)[None], torch.from_numpy(opaque(result))[None])
        return float(peak(maps)), maps[0].numpy()


def overlay(images: Images, maps: Images) -> Images:
    """Images in grey with their maps in colour over them: from dark red, a little, to yellow, as different as can be.

    Args:
        images: as the model sees them (``model.prepare``), of the sizes of the maps.
        maps: of :class:`Anomalies`.
    """
    painted = []
    for image, heat in zip(images.arrays, maps.arrays, strict=True):
        colour = np.concatenate([np.minimum(0.5 + heat, 1), np.maximum(2 * heat - 1, 0), 0 * heat])
        opacity = np.minimum(2 * heat, 1)
        painted.append((1 - opacity) * fit(image, 1, None) + opacity * colour)
    return Images(painted, images.names, infos=images.infos)


def dissimilarity(x: Tensor, y: Tensor) -> Tensor:
    """How different two images look in each place: 1 - SSIM, at several scales.

    SSIM (Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861) of an image and its copy as an anomaly map:
    Bergmann et al. 2019, https://arxiv.org/abs/1807.02011. It compares textures by what is in them and hardly by how
    strong they are. Several scales, as in Zavrtanik et al. 2021, https://doi.org/10.1016/j.patcog.2020.107706, find
    small and large defects.

    Args:
        x: images ``(N, C, H, W)`` in [0, 1].
        y: others of the same shape.

    Returns:
        ``(N, 1, H, W)``, from 0, the same, to 1; gradients flow.
    """
    import torch
    import torch.nn.functional as F

    size = x.shape[2:]
    maps = []
    for scale in SCALES:
        if scale > 1:
            x, y = (F.avg_pool2d(z, 2, ceil_mode=True, count_include_pad=False) for z in (x, y))
        mean_x, mean_y = _mean(x), _mean(y)
        variance_x, variance_y = _mean(x * x) - mean_x**2, _mean(y * y) - mean_y**2
        covariance = _mean(x * y) - mean_x * mean_y
        alike = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
        ssim = alike / ((mean_x**2 + mean_y**2 + C1) * (variance_x + variance_y + C2))
        maps.append(F.interpolate((1 - ssim.mean(1, keepdim=True)), size, mode="bilinear"))
    return torch.stack(maps).mean(0).clamp(0, 1)


def peak(maps: Tensor) -> Tensor:
    """The scores ``(N,)`` of maps ``(N, 1, H, W)``: the highest mean over a square of 15 pixels."""
    return _mean(maps, SPOT).amax((1, 2, 3))


def _mean(x: Tensor, side: int = WINDOW) -> Tensor:
    """Each pixel the mean of a square around it, as far as that lies in the image."""
    import torch.nn.functional as F

    for window, padding in (((side, 1), (side // 2, 0)), ((1, side), (0, side // 2))):
        x = F.avg_pool2d(x, window, 1, padding, count_include_pad=False)
    return x


def threshold_from(
    model: Verbs,
    normal: Any,
    *,
    batch_size: int = 16,
    progress: bool = False,
    max_pixels: int | None = None,
    **conditions: Any,
) -> float:
    """:func:`threshold_of` the scores of normal images: anything that :meth:`zoo.Images.of` takes.

    Args:
        model: one that reconstructs images in their own size.
        normal: the images.
        batch_size: images that go through the network at once.
        progress: whether to show a bar.
        max_pixels: of an image, as for :meth:`zoo.Images.of`.
        conditions: as declared in the registry, one value of each.

    Raises:
        InputError: for fewer than ten, and a condition with a value for each image.
    """
    for name, value in conditions.items():
        if isinstance(value, list):
            raise InputError(f"{name} has a value for each image, and normal images have none: give one for all.")
    images = model.processors()[0].read(normal, **({} if max_pixels is None else {"max_pixels": max_pixels}))
    _check_enough(len(images))
    return threshold_of(_compared(model, images, batch_size, progress, conditions)[0])


def threshold_of(scores: Sequence[float] | npt.NDArray[np.float64]) -> float:
    """The threshold that 99 % of the scores of normal images do not exceed, to four digits.

    Raises:
        InputError: for fewer than ten.
    """
    _check_enough(len(scores))
    return round(float(np.quantile(scores, NORMAL)), 4)


def _check_enough(n: int) -> None:
    if n < LEAST:
        raise InputError(f"A threshold needs {LEAST} normal images or more, not {n}: add some.")


def threshold_for(model: Verbs) -> float | None:
    """The threshold that a checkpoint has; None where it has none."""
    own: float | None = constants(model.entry, "anomaly").get("threshold")
    check_threshold(own)
    return own


def check_threshold(threshold: Any) -> None:
    """Refuse a threshold that no score can be compared with."""
    number = isinstance(threshold, (int, float, np.floating)) and not isinstance(threshold, bool)
    if threshold is not None and not (number and 0 <= threshold <= 1):  # nor is NaN
        raise InputError(f"threshold must be a number from 0 to 1, not {threshold!r}.")
