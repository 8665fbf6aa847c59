"""Training of a variational autoencoder, with a discriminator for what it makes of the prior."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.batch import ArrayBatches
from zoo.media.base import Samples
from zoo.metrics.baselines import gaussian_samples
from zoo.metrics.distribution import kernel_distance
from zoo.metrics.features import Features
from zoo.tasks.edit import attribute_directions
from zoo.training.adversary import Adversary
from zoo.training.ema import update_batchnorm
from zoo.training.objective import Objective, TrainableNetwork, optimizer_step, sample_metrics
from zoo.training.runtime import Runtime

REFERENCE = 5_000  # images of the data that samples are compared with
BATCHNORM_IMAGES = 5_000  # images that the statistics of batch norm are computed from
DESCRIBED = 5_000  # images that the directions of attributes are computed from
CHUNK = 250


class VariationalNetwork(Protocol):
    """What a variational autoencoder has beside the methods of a torch module.

    If a normalizing flow, ``flow``, lies between posterior and prior, ``decode_posterior`` is ``decode`` without it.

    Attributes:
        latent_shape: shape of one latent; the prior is standard normal.
        directions: ``(A, *latent_shape)``, of attributes; needed if the data have some.
    """

    latent_shape: tuple[int, ...]
    directions: Tensor

    def encode(self, x: Tensor) -> Tensor:
        """Images to the means of their posteriors."""
        ...

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the posterior, ``(N, *latent_shape)`` each."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """Latents to images in [-1, 1]."""
        ...

    def __call__(self, x: Tensor) -> Tensor:
        """Images through the mean of their posterior, and back."""
        ...


def sample(mean: Tensor, log_variance: Tensor) -> Tensor:
    """A code of each posterior, ``(N, latent)``, through which gradients flow (section 2.4 of the paper)."""
    return mean + torch.randn_like(mean) * (0.5 * log_variance).exp()


def kl_divergence(mean: Tensor, log_variance: Tensor, w: Tensor, flow: Any = None) -> Tensor:
    """Divergence of each posterior from the prior, in nats: ``(N,)``.

    Exact for a standard normal prior (appendix B of the paper), estimated from one sample of each where a flow lies
    between posterior and prior.

    Args:
        mean: of each posterior, ``(N, latent)``.
        log_variance: of each posterior, ``(N, latent)``.
        w: a sample of each, ``(N, latent)``.
        flow: from what posteriors are of to what the prior is of, with the log determinant of its derivative.
    """
    if flow is None:
        return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    z, log_determinant = flow(w)
    divergence: Tensor = 0.5 * (z.square() - 1 - log_variance).sum(1) - log_determinant
    return divergence


class Variational(Objective):
    """The evidence lower bound, and a GAN loss on half as many images decoded from the prior (VAE-GAN).

    Kingma, Welling 2014, https://arxiv.org/abs/1312.6114, with the variance of the pixels that is best for each batch
    (Rybkin et al. 2021, https://arxiv.org/abs/2006.13202): no weight has to be chosen between error and divergence.
    Such a network blurs what it draws from the prior; a discriminator sees that (Larsen et al. 2016,
    https://arxiv.org/abs/1512.09300).

    Args:
        config: keyword arguments of the network's builder.
        network: a model that is a :class:`VariationalNetwork`, such as :class:`zoo.models.vae.VAE`.
        d: a network from images ``(N, C, H, W)`` to scores.
        data: images as ``target``; if their attributes, 0 or 1, stand beside them as ``label`` ``(N, A)``, the
            directions of these in the code are kept in the network.
        held_out: images as ``target``, never trained on.
        pca: mean squared error of PCA with as many numbers as the code has, on ``held_out``, pixels in [0, 1].
        features: what samples and data are compared by.
        adversarial_weight: of the GAN loss beside the bound in nats a pixel.
        augment: differentiable augmentation of what D sees, as :func:`zoo.data.augment.augment` takes it.
        n_samples: how many are measured.
        options: as for :class:`~zoo.training.objective.Objective`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        network: TrainableNetwork,
        d: TrainableNetwork,
        data: ArrayBatches,
        held_out: ArrayBatches,
        *,
        pca: float,
        features: Features,
        adversarial_weight: float = 0.1,
        augment: str = "",
        n_samples: int = 2_500,
        **options: Any,
    ) -> None:
        super().__init__(config, {"network": network, "d": d}, ["network"], [data], **options)
        self.real, self.held_out = data, held_out.plain(slice(None))["target"]
        self.pca, self.features, self.n_samples = pca, features, n_samples
        self.adversary, self.adversarial_weight = Adversary(d, "hinge", augment=augment), adversarial_weight
        self.protocol = (
            f"mean squared error over that of PCA ({pca:.5f}) on {len(held_out):,} held-out images, plus the kernel "
            f"distance of {n_samples:,} samples to {min(REFERENCE, len(data)):,} training images over that of a "
            f"Gaussian's samples, {features.protocol}"
        )

    def abridge(self) -> None:
        self.n_samples = 16

    def start(self, runtime: Runtime) -> None:
        super().start(runtime)
        self.features.to(runtime.device)
        order = torch.randperm(len(self.real), generator=torch.Generator().manual_seed(0))[:REFERENCE]
        images = self.real.plain(order)["target"]
        self.reference = self.features(images)
        self.naive = kernel_distance(self.features(gaussian_samples(images, self.n_samples)), self.reference)

    def step(self, step: int) -> dict[str, Tensor]:
        network = cast(VariationalNetwork, self.networks["network"].network)
        real = self.batch(step)["target"]
        with self.runtime.autocast():
            mean, log_variance = network.posterior(real)
            prior = torch.randn_like(_half(mean))
            # In one batch, so that batch norm sees both in the same shares as its running statistics.
            w = sample(mean, log_variance)
            decoded = _decoded(network, w, prior).float()
            copies, fake = decoded.split([len(real), len(prior)])
        logs = self.adversary.update(self.runtime, _half(real), fake)
        error = F.mse_loss(copies, real)
        divergence = kl_divergence(mean.float(), log_variance.float(), w.float(), _flow(network)).mean()
        bound = 0.5 * (error + 1e-6).log() + divergence / real[0].numel()
        loss_g = self.adversary.generator_loss(self.runtime, fake)
        optimizer_step(self.runtime, bound + self.adversarial_weight * loss_g, self.networks["network"])
        self.update_ema(step)
        return {
            "error": error.detach() / 4,
            "divergence": divergence.detach(),
            "loss_g": loss_g.detach(),
            **{key: value for key, value in logs.items() if key != "loss_d"},
        }

    def measure(self) -> dict[str, float]:
        network = self._network()
        update_batchnorm(_BothBranches(network), self._batchnorm_batches())
        if "label" in self.real.roles:
            self._set_directions(network)
        error = self._error()
        with torch.inference_mode():
            latents = self._prior(self.n_samples, 1).split(CHUNK)
            samples = torch.cat([network.decode(z.to(self.runtime.device)).float().cpu() for z in latents])
        metrics = sample_metrics(self.features(samples), self.reference)
        distance = metrics["metric"] / self.naive
        return {
            "metric": error / self.pca + max(distance, 0.0),
            "held_out_error": error / self.pca,
            "distance": distance,
            "diversity": metrics["diversity"],
        }

    @torch.inference_mode()
    def sample_grid(self) -> list[Samples]:
        """Held-out images, their copies, then samples."""
        network = self._network()
        x = self.held_out[:8].to(self.runtime.device)
        samples = network.decode(self._prior(4 * len(x), 2).to(self.runtime.device))
        return [self.show(x), self.show(network(x)), *(self.show(row) for row in samples.split(len(x)))]

    @torch.inference_mode()
    def example(self) -> tuple[Tensor | None, Tensor]:
        x = self.held_out[:1].to(self.runtime.device)
        return x, self._network()(x)

    def _network(self) -> VariationalNetwork:
        return cast(VariationalNetwork, self.averages["network"].network)

    def _batchnorm_batches(self) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """Images, and noise for the codes of each: copies and samples in the shares that a step has."""
        noise = torch.Generator().manual_seed(0)
        for rows in torch.arange(0, len(self.real), max(1, len(self.real) // BATCHNORM_IMAGES)).split(CHUNK):
            x = self.real.plain(rows)["target"].to(self.runtime.device)
            shape = self._latent_shape(len(x))
            posterior, prior = (torch.randn(shape, generator=noise).to(x) for _ in range(2))
            yield x, {"posterior": posterior, "prior": _half(prior)}

    @torch.no_grad()
    def _set_directions(self, network: VariationalNetwork) -> None:
        described = self.real.plain(slice(DESCRIBED))
        codes = [network.encode(x.to(self.runtime.device)).float().cpu() for x in described["target"].split(CHUNK)]
        network.directions.copy_(attribute_directions(torch.cat(codes), described["label"]))

    @torch.inference_mode()
    def _error(self) -> float:
        total = 0.0
        for x in self.held_out.split(CHUNK):
            total += float((self._network()(x.to(self.runtime.device)).cpu() - x).square().sum())
        return total / 4 / self.held_out.numel()

    def _prior(self, n: int, seed: int) -> Tensor:
        return torch.randn(self._latent_shape(n), generator=torch.Generator().manual_seed(seed))

    def _latent_shape(self, n: int) -> tuple[int, ...]:
        return (n, *self._network().latent_shape)


def _half(x: Tensor) -> Tensor:
    """The first half of a batch: samples of the prior are half as many as copies."""
    return x[: max(1, len(x) // 2)]


def _flow(network: VariationalNetwork) -> Any:
    """The flow between posterior and prior; None for none."""
    return getattr(network, "flow", None)


def _decoded(network: VariationalNetwork, w: Tensor, prior: Tensor) -> Tensor:
    """Samples of posteriors and of the prior in one batch of images; the flow learns from the bound alone."""
    if _flow(network) is None:
        return network.decode(torch.cat([w, prior]))
    with torch.no_grad():
        prior = _flow(network).inverse(prior)
    images: Tensor = network.decode_posterior(torch.cat([w, prior]))  # type: ignore[attr-defined]
    return images


class _BothBranches(torch.nn.Module):
    """Copies of images and samples of the prior in one batch, as a step decodes them; the noise is an input."""

    def __init__(self, network: VariationalNetwork) -> None:
        super().__init__()
        self.network = network  # a submodule, so that modules() of this one reaches its batch norm

    def forward(self, x: Tensor, posterior: Tensor, prior: Tensor) -> Tensor:
        mean, log_variance = self.network.posterior(x)
        return _decoded(self.network, mean + posterior * (0.5 * log_variance).exp(), prior)
