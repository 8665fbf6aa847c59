"""Whether settings of a recipe fit together, tested on random images before the data are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from zoo.data.places import IMAGES, Kind, check_memory
from zoo.data.source import ImageSet, Pairs, Size, Source
from zoo.errors import InputError, ZooError
from zoo.memory import free_memory
from zoo.training.objective import Objective
from zoo.training.runtime import Runtime

COPIES = 5  # of each weight: itself, its gradient, two of Adam, the EMA
MOST_TENSORS = 5_000  # of all networks of a run
LARGEST_BATCH = 16  # that is tried
_NAME = "random images"


class TooLargeError(InputError):
    """Networks that memory does not hold."""


class Sample(Source):
    """Random images of the size and number that a recipe asks for, in two classes, with a text each."""

    def __init__(self) -> None:
        self.paths, self.strict, self.warn, self.splits = [_NAME], False, lambda text: None, {}

    def has(self, split: str, kind: Kind = IMAGES) -> bool:
        return False

    def images(self, size: Size, channels: int = 3, split: str = "train", least: int = 1) -> ImageSet:
        n = max(least, 8)
        labels, names = torch.arange(n) % 2, [str(i) for i in range(n)]
        texts = np.array([[f"image {name}"] for name in names])
        return ImageSet(_random(n, channels, size), labels, ("a", "b"), names, captions=texts)

    def photos(self, channels: int = 3, split: str = "train", least: int = 1) -> list[tuple[str, Tensor]]:
        return [(str(i), x) for i, x in enumerate(_random(max(least, 2), channels, 1024))]

    def pairs(
        self,
        size: Size,
        channels: tuple[int, int] = (3, 3),
        split: str = "train",
        least: int = 1,
        reverse: bool = False,
    ) -> Pairs:
        n = max(least, 8)
        a, b = (_random(n, c, size) for c in channels)
        return Pairs(a, b, [str(i) for i in range(n)])

    def domains(self, size: Size, channels: int = 3, split: str = "train", least: int = 1) -> tuple[ImageSet, ImageSet]:
        return self.images(size, channels, split, least), self.images(size, channels, split, least)


def _random(n: int, channels: int, size: Size) -> Tensor:
    if channels not in (1, 3):
        raise ValueError(f"images have 1 channel or 3, not {channels}")
    height, width = (size, size) if isinstance(size, int) else size or (64, 64)
    check_memory(_NAME, n * channels * height * width, free_memory())
    return torch.randint(256, (n, channels, height, width), dtype=torch.uint8)


def check_settings(
    recipe: Callable[..., Objective],
    name: str,
    defaults: Mapping[str, Any],
    chosen: Mapping[str, Any],
    features: Mapping[str, Any],
    runtime: Runtime,
) -> None:
    """Build what a recipe builds, on random images, and make one step and one small measurement.

    What fails with the settings and not with the defaults is due to the settings. Errors that are sentences are left to
    the run itself, since they may be about images.

    Raises:
        InputError: naming the settings.
    """
    try:
        with torch.random.fork_rng(devices=[]), fitting(name, chosen):
            _try(recipe, {**defaults, **chosen, **features}, runtime)
    except TooLargeError:
        raise
    except InputError as error:
        if error.__cause__ is None:
            return
        if recipe.__module__.startswith("zoo."):  # random images suit the zoo's own recipes
            raise
        try:
            with torch.random.fork_rng(devices=[]):
                _try(recipe, {**defaults, **features}, runtime)
        except Exception:
            return  # a recipe that random images do not suit
        raise
    except ZooError:
        return


def _try(recipe: Callable[..., Objective], options: dict[str, Any], runtime: Runtime) -> None:
    # What does not fit does not fit in a small batch either, and a large one takes long.
    if isinstance(options.get("batch_size"), int):
        options["batch_size"] = min(options["batch_size"], LARGEST_BATCH)
    objective = recipe(Sample(), **options)
    objective.abridge()
    objective.start(runtime)
    objective.step(0)
    objective.measure()
    objective.sample_grid()
    objective.example()


@contextmanager
def fitting(name: str, chosen: Mapping[str, Any]) -> Iterator[None]:
    """Say of errors inside that they come of settings, if some were chosen; and bound the size of networks built there.

    Raises:
        TooLargeError: before memory is used, for networks that it would not hold.
        InputError: for whatever else is no error of the zoo's; that one is the cause.
    """
    settings = ", ".join(f"{key}={value}" for key, value in chosen.items())
    used, tensors, free = 0, 0, free_memory()

    def count(module: nn.Module, key: str, parameter: nn.Parameter) -> None:
        nonlocal used, tensors
        used, tensors = used + parameter.nbytes, tensors + 1
        if COPIES * used > free or tensors > MOST_TENSORS:
            raise TooLargeError(
                f"{name} with {settings or 'its defaults'}: training networks of {tensors:,} tensors and "
                f"{used / 1e9:,.1f} GB or more takes {COPIES} times as much memory as they have, and "
                f"{free / 1e9:,.1f} GB are free: choose smaller settings."
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    except ZooError:
        raise
    except Exception as error:  # torch, and the builders of networks, have errors of many kinds
        if not chosen:
            raise
        text = (str(error).strip().splitlines() or [""])[0].rstrip(".")
        said = text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}".rstrip(": ")
        raise InputError(f"{name} with {settings} cannot be set so: {said}.") from error
    finally:
        hook.remove()
