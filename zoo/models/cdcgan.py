"""CDCGAN: images of a class that one asks for, from noise.

Mirza, Osindero, "Conditional Generative Adversarial Nets", 2014, https://arxiv.org/abs/1411.1784, with the convolutions
of DCGAN.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.models.dcgan import DCGAN


def chosen_class(z: Tensor, label: Tensor | None, classes: int, bound: float = math.inf) -> Tensor:
    """The classes ``(N,)`` that are asked for, or those that latents choose.

    Args:
        z: latents ``(N, latent)``, standard normal.
        label: classes ``(N,)``; None for those that the first number of each latent chooses, each equally often.
        classes: how many there are.
        bound: beyond which latents have no numbers.
    """
    if label is not None:
        return label
    beyond = math.erfc(bound / math.sqrt(2)) / 2  # the share on each side
    place = (torch.special.ndtr(z[:, 0].float()) - beyond) / (1 - 2 * beyond)
    chosen: Tensor = (place * classes).long().clamp(0, classes - 1)
    return chosen


def with_class(z: Tensor, label: Tensor | None, classes: int) -> Tensor:
    """Latents ``(N, latent)`` with the class of each beside them, a vector with a one in its place.

    Arguments are those of :func:`chosen_class`.
    """
    return torch.cat([z, F.one_hot(chosen_class(z, label, classes), classes).to(z.dtype)], 1)


class CDCGAN(DCGAN):
    """A :class:`~zoo.models.dcgan.DCGAN` whose latent has the class beside it, as in section 3.2 of the paper.

    Args:
        classes: how many there are; the class is a vector with a one in its place.
        size: height and width of the images, at least 8.
        channels: 1 for grey, 3 for RGB.
        width: channels of the last hidden map.
        latent: length of the latent vector, standard normal.
    """

    def __init__(
        self, classes: int = 10, size: int = 64, channels: int = 3, width: int = 128, latent: int = 100
    ) -> None:
        super().__init__(size, channels, width, latent + classes)
        self.classes, self.latent_shape = classes, (latent,)

    def decode(self, z: Tensor, digit: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent)`` and classes ``(N,)`` to images ``(N, channels, size, size)`` in [-1, 1].

        Without a class the latent chooses one, each equally often: by its first number.
        """
        return self.of_class(z, digit)

    def of_class(self, z: Tensor, label: Tensor | None) -> Tensor:
        """What :meth:`decode` does, whatever it calls the class."""
        return super().decode(with_class(z, label, self.classes))
