"""Variational autoencoder: images through a code whose distribution is known, so that new images can be drawn from it.

Kingma, Welling, "Auto-Encoding Variational Bayes", 2014, https://arxiv.org/abs/1312.6114
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.models.conv_ae import ConvAE


class VAE(ConvAE):
    """A convolutional variational autoencoder with a diagonal Gaussian posterior and a standard normal prior.

    Encoder and decoder are those of :class:`~zoo.models.conv_ae.ConvAE`; beside the code, which is the mean of the
    posterior, the encoder gives its variance.

    Args:
        size: height and width of the images, divisible by ``patch * 2 ** (len(widths) - 1)``.
        channels: 1 for grey, 3 for RGB.
        latent: numbers in the code.
        patch: side of the patches that the convolutions work on.
        widths: channels at each resolution, from the finest.
        blocks: residual blocks at the end of the decoder.
        reduction: how many times smaller than the images those of the linear path are.
        attributes: names of what can be added to images or removed from them, words that Python takes as keywords.

    Attributes:
        attributes: the same.
        directions: what is added to a code for each attribute, ``(attributes, latent)``.

    Raises:
        ValueError: for another size, no widths, and other names.
    """

    directions: Tensor

    def __init__(
        self,
        size: int = 28,
        channels: int = 1,
        latent: int = 32,
        patch: int = 2,
        widths: Sequence[int] = (48, 96),
        blocks: int = 2,
        reduction: int = 2,
        attributes: Sequence[str] = (),
    ) -> None:
        super().__init__(size, channels, latent, patch, widths, blocks, reduction)
        self.latent_shape = (latent,)
        self.attributes = tuple(attributes)
        if wrong := [name for name in self.attributes if not name.isidentifier() or attributes.count(name) > 1]:
            raise ValueError(f"attributes must be different words of letters, digits and _, not {wrong[0]!r}.")
        if attributes:
            self.register_buffer("directions", torch.zeros(len(attributes), latent))
        side = size // patch >> (len(widths) - 1)
        self.log_variance = nn.Linear(widths[-1] * side**2, latent)
        nn.init.zeros_(self.log_variance.weight)
        nn.init.constant_(self.log_variance.bias, -3)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of ``q(z | x)``, ``(N, latent)`` each, for images as in :meth:`encode`."""
        *body, to_code = self.encoder
        features = x
        for layer in body:
            features = layer(features)
        mean = self.linear_code(x) + to_code(features)
        # Beyond these, exp() leaves what float16 and an optimizer can work with.
        log_variance: Tensor = self.log_variance(features)
        return mean, log_variance.clamp(-12, 6)

    def decode(self, z: Tensor) -> Tensor:
        """Codes ``(N, latent)``, standard normal for new images, to images ``(N, channels, size, size)`` in [-1, 1]."""
        return super().decode(z)
