"""Interpolation between latents or images, and projection of an image into a generator."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zoo.arrays import Array
from zoo.errors import InputError, VerbError, ZooError, check_count, check_natural
from zoo.inference.batches import stacked
from zoo.inference.codes import name_of
from zoo.inference.latents import to_latents
from zoo.inference.verbs import Verbs
from zoo.media.image_fit import fit
from zoo.media.images import Images
from zoo.tasks import constants
from zoo.tasks.codes import decode_codes, encode_samples, generates, latent_rows

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.model import Model

Places = npt.NDArray[np.float64]
MODES = ("spherical", "linear")


def interpolate(
    model: Verbs,
    images: Any = None,
    *,
    seeds: Sequence[int] | None = None,
    latents: Any = None,
    steps: int | None = None,
    mode: str | None = None,
    batch_size: int = 16,
    progress: bool = False,
    **conditions: Any,
) -> Any:
    """Images on the way from one key to the next: of seeds, of latents, or of images where there is an encoder.

    Spherical interpolation keeps latents as long as standard normal ones are: White, "Sampling Generative Networks",
    2016, https://arxiv.org/abs/1609.04468.

    Args:
        model: one that generates, or an autoencoder.
        images: keys as anything that :meth:`zoo.Images.of` takes; all are fitted to the size of the first.
        seeds: keys as seeds: each stands for the first sample of ``generate(seed=...)``.
        latents: keys as latents or codes ``(N, ...)``, as the path of a .npy file with them, or as a list of these.
        steps: images from one key to the next; 16 by default. The last key comes on top, so that K keys give
            ``(K - 1) * steps + 1`` images, with the keys among them.
        mode: "spherical" or "linear"; by default spherical for standard normal latents, linear for codes of an
            autoencoder and latents that are drawn in another way.
        batch_size: images that go through the network at once.
        progress: whether to show a bar.
        conditions: as declared in the registry; one value, or a list with one for each image of the result. What the
            latents would choose must be given, such as a class or a text; None leaves it to them.

    Returns:
        One image for each step, in order, float32 in [0, 1].

    Raises:
        InputError: for fewer than two keys, keys of more than one sort, or a wrong number, mode or condition, or one
            that is left out and that each latent would choose for itself.
        VerbError: for images if the model has no encoder, and for seeds if it does not generate.
        ZooError: for a result that is not finite.
    """
    own = constants(model.entry, "interpolate")
    steps = own.get("steps", 16) if steps is None else steps
    mode = mode or own.get("mode") or ("spherical" if generates(model) and _is_normal(model) else "linear")
    check_count("steps", steps)
    check_count("batch_size", batch_size)
    if mode not in MODES:
        raise InputError(f"mode cannot be {mode!r}: choose spherical or linear.")
    if sum(key is not None for key in (images, seeds, latents)) != 1:
        raise InputError("Give the keys of an interpolation as images, as seeds, or as latents: one of the three.")
    if generates(model):
        _check_walk(model, conditions)
    prepared = None
    if seeds is not None:
        keys = _of_seeds(model, seeds)
    elif latents is not None:
        parts = latents if isinstance(latents, (list, tuple)) else [latents]
        keys = np.concatenate([to_latents(part, _shape(model)) for part in parts])
    else:
        keys, prepared = encode_samples(model, images)
    if len(keys) < 2:
        raise InputError(f"An interpolation goes from one key to another: give two or more, not {len(keys)}.")
    path = np.concatenate([_between(a, b, steps, mode) for a, b in pairwise(keys)] + [keys[-1:]])
    if generates(model):
        return model.generate(len(path), latents=path, batch_size=batch_size, progress=progress, **conditions)
    return decode_codes(model, path, prepared, batch_size, progress, conditions)


def _check_walk(model: Verbs, conditions: Mapping[str, Any]) -> None:
    """Refuse to leave out what each latent would choose for itself, a class or a text: a walk would jump."""
    given = {*conditions, *model.required_conditions("decode")}
    for one in model.entry.conditions if model.entry else ():
        if one.optional and one.kind in ("choice", "integer", "text") and one.name not in given:
            known = one.choices or one.examples
            such = f", such as {one.name}={known[0]!r}" if known else ""
            raise InputError(
                f"Without {one.name} each latent of {name_of(model)} chooses its own, and images jump from one to the "
                f"next: give one for the whole walk{such}."
            )


def _is_normal(model: Verbs) -> bool:
    """Whether latents are standard normal."""
    return type(model).draw is Verbs.draw


def spherical(a: Array, b: Array, t: Places) -> Array:
    """Points on the great circle from one latent to another (Shoemake 1985), their lengths in proportion.

    Args:
        a: one latent, of any shape.
        b: another of that shape.
        t: places from 0, for ``a``, to 1, for ``b``: ``(T,)``.

    Returns:
        Latents ``(T, *shape)``. Where the two point in one direction, or in opposite ones, between which no great
        circle is shorter than others, those on the straight line.
    """
    x, y = a.astype(np.float64), b.astype(np.float64)
    length = np.linalg.norm(x) * np.linalg.norm(y)
    angle = math.acos(np.clip((x * y).sum() / length, -1, 1)) if length else 0.0
    if math.sin(angle) < 1e-6:
        return linear(a, b, t)
    t = t.reshape(-1, *[1] * a.ndim)
    latents = (np.sin((1 - t) * angle) * x + np.sin(t * angle) * y) / math.sin(angle)
    return np.asarray(latents, np.float32)


def linear(a: Array, b: Array, t: Places) -> Array:
    """Points on the straight line from one latent to another, with the arguments of :func:`spherical`."""
    t = t.reshape(-1, *[1] * a.ndim)
    return np.asarray((1 - t) * a + t * b, np.float32)


def _between(a: Array, b: Array, steps: int, mode: str) -> Array:
    t = np.arange(steps) / steps
    return spherical(a, b, t) if mode == "spherical" else linear(a, b, t)


def _shape(model: Verbs) -> tuple[int, ...]:
    """Of one latent or code."""
    if model.latent_shape is not None:
        return model.latent_shape
    reader, _ = model.processors()
    if not hasattr(model, "encode") or not reader.fixed:
        raise VerbError(f"{name_of(model)} takes no latents: give what they are of, or use a model that generates.")
    return encode_samples(model, reader.example_samples(1))[0].shape[1:]


def _of_seeds(model: Verbs, seeds: Any) -> Array:
    if not generates(model):
        cure = "give images" if hasattr(model, "encode") else "use a model that generates"
        raise VerbError(f"{name_of(model)} draws no latents, so it has no seeds: {cure}.")
    seeds = list(seeds) if hasattr(seeds, "__iter__") else [seeds]
    for seed in seeds:
        check_natural("A seed", seed)
    return np.stack([_of_seed(model, int(seed)) for seed in seeds] or [np.empty(0, np.float32)])


def _of_seed(model: Verbs, seed: int) -> Array:
    """The latent of the first sample of ``generate(seed=seed)``, which draws again where a sample is invalid."""
    rng, (_, writer) = np.random.default_rng((seed, 0)), model.processors()
    z = model.draw(rng)
    if writer.selects:
        model.generate(1, seed=seed)  # refuses a model that makes nothing valid
        while not writer.accepts(model.generate(latents=z[None])):
            z = model.draw(rng)
    return z


@dataclass(frozen=True)
class Projection:
    """A result of :func:`project`.

    Attributes:
        images: the result, one image.
        latents: its latent, ``(1, *latent_shape)``, float32; ``generate(latents=...)`` makes the result of it.
        target: the image that was looked for, as the generator sees it.
        error: root of the mean squared difference between the two, of values in [0, 1].
    """

    images: Images
    latents: Array
    target: Images
    error: float


def project(
    model: Verbs,
    image: Any,
    *,
    steps: int | None = None,
    restarts: int | None = None,
    prior: float | None = None,
    seed: int = 0,
    progress: bool = False,
    **conditions: Any,
) -> Projection:
    """The latent whose image is nearest to a given one, by gradient search from several starts.

    As in Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", 2016,
    https://arxiv.org/abs/1609.03552, with differences of pixels at several scales in place of a network's features. All
    starts are searched in one batch, with Adam, and the latent with the least loss on their ways is taken. If the model
    has an encoder, the code of the image is one of the starts.

    Args:
        model: one that generates, in eval mode.
        image: one image of anything that :meth:`zoo.Images.of` takes; it is cut and resized as for a network of the
            generator's size.
        steps: of Adam; 300 by default.
        restarts: starts; 8 by default.
        prior: weight of the penalty on latents that are longer than most that are drawn; 0.1 by default.
        seed: of the starts; the same seed gives the same result.
        progress: whether to show a bar.
        conditions: as declared in the registry, one value each.

    Raises:
        VerbError: for a model that does not generate.
        InputError: for no image or several, a wrong number or condition, or a model without gradients.
        ZooError: for a result that is not finite.
    """
    import torch

    from zoo.model import Model

    steps, restarts, prior = check_projection(model, steps, restarts, prior, seed)
    assert isinstance(model, Model)
    images = Images.of(image)
    if len(images) != 1:
        raise InputError(f"One image is projected, not {len(images)}: project each by itself.")
    with torch.inference_mode(False):
        starts = model.latents(restarts, int(seed)).numpy()
        rows, spaces = latent_rows(model, starts, conditions)
        keywords = {name: model.tensor(value) for name, value in stacked(list(rows), spaces)[1].items()}
        z = torch.from_numpy(starts).to(next(model.parameters(), torch.empty(0)).device)
        with torch.no_grad():
            channels, height, width = _images_of(model, z, keywords).shape[1:]
        target = fit(images.arrays[0], channels, (height, width))
        if hasattr(model, "encode"):
            z[0] = torch.from_numpy(encode_samples(model, images)[0][0])
        wanted = (torch.from_numpy(target)[None] * 2 - 1).to(z.device)
        z = _search(model, z, wanted, keywords, steps, prior, progress)
        with torch.no_grad():
            y = _images_of(model, z, {name: value[:1] for name, value in keywords.items()})
    projected = Images(Images.from_network(y).arrays, images.names)
    error = float(np.sqrt(np.mean((projected.arrays[0] - target) ** 2)))
    return Projection(projected, z.cpu().numpy(), Images([target], images.names), error)


def check_projection(
    model: Verbs, steps: int | None = None, restarts: int | None = None, prior: float | None = None, seed: int = 0
) -> tuple[int, int, float]:
    """Refuse what :func:`project` does not take, with its arguments and errors, and fill in those that are left out."""
    from zoo.model import Model

    own = {"steps": 300, "restarts": 8, "prior": 0.1} | constants(model.entry, "project")
    steps = own["steps"] if steps is None else steps
    restarts = own["restarts"] if restarts is None else restarts
    prior = own["prior"] if prior is None else prior
    check_count("steps", steps)
    check_count("restarts", restarts)
    check_natural("seed", seed)
    if not isinstance(prior, (int, float)) or isinstance(prior, bool) or not 0 <= prior < math.inf:
        raise InputError(f"prior must be a number from 0, not {prior!r}.")
    if not generates(model):
        raise VerbError(f"{name_of(model)} has no latents to search: `reconstruct` puts an image through it.")
    if not isinstance(model, Model):
        raise InputError("A projection needs gradients, which ONNX Runtime does not have: leave out the runtime.")
    if any(module.training for module in model.modules()):
        raise InputError(f"{name_of(model)} is in training mode: call eval() before a projection.")
    if model.entry and model.entry.output.kind != "image":
        raise InputError(f"{name_of(model)} gives {model.entry.output.kind}: a projection is of an image.")
    return steps, restarts, prior


RATE = 0.4  # of Adam, for latents of variance 1; it falls to 0 as a cosine


def _search(
    model: Model, z: Tensor, wanted: Tensor, keywords: Mapping[str, Any], steps: int, prior: float, progress: bool
) -> Tensor:
    """The latent ``(1, ...)`` with the least loss on the ways from some starts ``(N, ...)``."""
    import torch
    from tqdm import tqdm

    center, scale = _prior(model)
    usual = 1 + math.sqrt(2 / z[0].numel())  # mean and standard deviation of a mean of squares
    z = z.clone().requires_grad_()
    optimizer = torch.optim.Adam([z], lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    kept, least = z.detach().clone(), torch.full((len(z),), math.inf, device=z.device)
    with torch.enable_grad():
        for step in tqdm(range(steps + 1), unit="step", leave=False, disable=not progress):
            excess = ((z - center) / scale).square().flatten(1).mean(1) - usual
            loss = multiscale(_images_of(model, z, keywords), wanted) + prior * excess.clamp(min=0).square()
            better = loss.detach() < least
            kept[better], least[better] = z.detach()[better], loss.detach()[better]
            if step < steps:
                (z.grad,) = torch.autograd.grad(loss.sum(), z)
                optimizer.step()
                schedule.step()
    best = int(least.argmin())
    if not math.isfinite(least[best]):
        raise ZooError(f"{name_of(model)} makes NaN or infinite values: its weights are damaged.")
    return kept[best : best + 1]


def _images_of(model: Model, z: Tensor, keywords: Mapping[str, Any]) -> Tensor:
    """What the network decodes, ``(N, C, H, W)`` in float32, in the precision that it computes in."""
    parameter = next(model.parameters(), z)
    images: Tensor = getattr(model, "decode")(z.to(parameter.dtype), **keywords).float()  # noqa: B009 - not declared
    return images


def _prior(model: Model) -> tuple[Any, Any]:
    """Mean and standard deviation of each number of a latent, of shape ``(1, *latent_shape)`` or plain numbers."""
    import torch

    if _is_normal(model):
        return 0.0, 1.0
    drawn = np.stack([model.draw(np.random.default_rng((0, i))) for i in range(512)])
    device = next(model.parameters(), torch.empty(0)).device
    mean, deviation = (torch.from_numpy(x)[None].to(device) for x in (drawn.mean(0), drawn.std(0)))
    return mean, deviation.clamp(min=1e-6)


def multiscale(x: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of pixels, and of their means over squares of 2, 4, 8, ... pixels, averaged over scales.

    Args:
        x: images ``(N, C, H, W)``.
        target: an image ``(1, C, H, W)``.

    Returns:
        ``(N,)``.
    """
    import torch
    import torch.nn.functional as F

    difference = x - target
    losses = [difference.square().flatten(1).mean(1)]
    while min(difference.shape[2:]) >= 8:
        difference = F.avg_pool2d(difference, 2)  # the mean of a difference is the difference of means
        losses.append(difference.square().flatten(1).mean(1))
    return torch.stack(losses).mean(0)
