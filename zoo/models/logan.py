"""LoGAN: logos whose main colour one asks for, from noise.

Mino, Spanakis, "LoGAN: Generating Logos with a Generative Adversarial Neural Network Conditioned on Color", 2018,
https://arxiv.org/abs/1810.10395
"""

from __future__ import annotations

from torch import Tensor

from zoo.models.cdcgan import CDCGAN


class LoGAN(CDCGAN):
    """A :class:`~zoo.models.cdcgan.CDCGAN` whose classes are colours.

    The paper makes images of 32 px with convolutions of the same kind. Arguments are those of
    :class:`~zoo.models.cdcgan.CDCGAN`.
    """

    def __init__(self, classes: int = 12, size: int = 64, channels: int = 3, width: int = 48, latent: int = 58) -> None:
        super().__init__(classes, size, channels, width, latent)

    def decode(self, z: Tensor, color: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent)`` and colours ``(N,)`` to images ``(N, channels, size, size)`` in [-1, 1].

        Without a colour the latent chooses one, each equally often: by its first number.
        """
        return self.of_class(z, color)
