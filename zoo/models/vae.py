"""Variational autoencoder: images through a code whose distribution is known, so that new images can be drawn from it.

Kingma, Welling, "Auto-Encoding Variational Bayes", 2014, https://arxiv.org/abs/1312.6114
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.models.blocks import Smoothing, zeroed
from zoo.models.conv_ae import ConvAE


class Coupling(nn.Module):
    """An affine coupling: half of the numbers say how the others are scaled and shifted, so that it can be inverted.

    Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", 2017, https://arxiv.org/abs/1605.08803

    Args:
        numbers: of what is transformed, ``(N, numbers)``.
        width: of the hidden layers.
        second: whether the second half is changed by the first, not the first by the second.
    """

    def __init__(self, numbers: int, width: int, second: bool) -> None:
        super().__init__()
        self.second = second
        self.halves = (numbers // 2, numbers - numbers // 2)
        seen, changed = self.halves if second else self.halves[::-1]
        self.network = nn.Sequential(
            *(nn.Linear(seen, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()),
            zeroed(nn.Linear(width, 2 * changed)),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The transformed numbers, and the logarithm of the determinant of the derivative, ``(N,)``."""
        kept, changed, log_scale, shift = self._parts(x)
        return self._joined(kept, changed * log_scale.exp() + shift), log_scale.sum(1)

    def inverse(self, y: Tensor) -> Tensor:
        """From the transformed numbers back."""
        kept, changed, log_scale, shift = self._parts(y)
        return self._joined(kept, (changed - shift) * (-log_scale).exp())

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        kept, changed = x.split(self.halves, 1) if self.second else reversed(x.split(self.halves, 1))
        log_scale, shift = self.network(kept).chunk(2, 1)
        return kept, changed, 2 * torch.tanh(log_scale / 2), shift  # bounded, or early steps overflow

    def _joined(self, kept: Tensor, changed: Tensor) -> Tensor:
        return torch.cat([kept, changed] if self.second else [changed, kept], 1)


class Flow(nn.Module):
    """Couplings one after the other, which change the two halves in turn; they begin as the identity.

    Args:
        numbers: of what is transformed.
        couplings: how many.
        width: of their hidden layers.
    """

    def __init__(self, numbers: int, couplings: int, width: int = 128) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(numbers, width, bool(i % 2)) for i in range(couplings))

    def forward(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers ``(N, numbers)`` transformed, and the logarithm of the determinant of the derivative ``(N,)``."""
        log_determinant = torch.zeros_like(w[:, 0])
        for coupling in self.couplings:
            w, part = coupling(w)
            log_determinant = log_determinant + part
        return w, log_determinant

    def inverse(self, z: Tensor) -> Tensor:
        """From what the flow gives back."""
        for coupling in reversed(self.couplings):
            assert isinstance(coupling, Coupling)
            z = coupling.inverse(z)
        return z


class VAE(ConvAE):
    """A convolutional variational autoencoder with a diagonal Gaussian posterior and a standard normal prior.

    Encoder and decoder are those of :class:`~zoo.models.conv_ae.ConvAE`; beside the code, which is the mean of the
    posterior, the encoder gives its variance. With ``couplings``, a normalizing flow lies between codes and prior (Chen
    et al. 2017, https://arxiv.org/abs/1611.02731): where the attributes of images are a few values each, codes form
    clusters, and the decoder has never seen what a normal distribution draws between them.

    Args:
        size: height and width of the images, divisible by ``patch * 2 ** (len(widths) - 1)``.
        channels: 1 for grey, 3 for RGB.
        latent: numbers in the code.
        patch: side of the patches that the convolutions work on.
        widths: channels at each resolution, from the finest.
        blocks: residual blocks at the end of the decoder.
        reduction: how many times smaller than the images those of the linear path are.
        couplings: affine couplings of the flow between codes and prior; 0 for none.
        smoothing: of images that are drawn, a difference of colours as :class:`~zoo.models.blocks.Smoothing` takes it;
            0 for none.
        attributes: names of what can be added to images or removed from them, words that Python takes as keywords.

    Attributes:
        attributes: the same.
        flow: between what posteriors are of and codes; None for none.
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
        couplings: int = 0,
        smoothing: float = 0.0,
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
        self.flow = Flow(latent, couplings) if couplings else None
        self.smoothing = Smoothing(smoothing) if smoothing else nn.Identity()

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the posterior, ``(N, latent)`` each, for images as in :meth:`encode`.

        It is of codes, or, where there is a flow, of what the flow makes codes of.
        """
        *body, to_code = self.encoder
        features = x
        for layer in body:
            features = layer(features)
        mean = self.linear_code(x) + to_code(features)
        # Beyond these, exp() leaves what float16 and an optimizer can work with.
        log_variance: Tensor = self.log_variance(features)
        return mean, log_variance.clamp(-12, 6)

    def encode(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, size, size)`` in [-1, 1] to codes ``(N, latent)``, the means of posteriors."""
        mean = super().encode(x)
        return mean if self.flow is None else self.flow(mean)[0]

    def decode(self, z: Tensor) -> Tensor:
        """Codes ``(N, latent)``, standard normal for new images, to images ``(N, channels, size, size)`` in [-1, 1]."""
        return self.decode_posterior(z if self.flow is None else self.flow.inverse(z))

    def decode_posterior(self, w: Tensor) -> Tensor:
        """What posteriors are of, ``(N, latent)``, to images: :meth:`decode` without the flow."""
        images: Tensor = self.smoothing(super().decode(w))
        return images
