"""How the checkpoint of vae was trained: the evidence lower bound, and a discriminator for what the prior makes.

    zoo train vae.fashion-mnist --data fashion_mnist.npz.xz --out runs/vae

The best weights by error on held-out images and distance of samples to training images are kept; the test split is only
measured by `zoo evaluate`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.optim import Adam

import zoo
from zoo.data.batch import ArrayBatches, to_float
from zoo.data.source import Source
from zoo.metrics.baselines import pca_error
from zoo.metrics.features import Features
from zoo.metrics.suites import sample_distances
from zoo.models.vae import VAE
from zoo.registry.facts import Metric
from zoo.training.discriminators import Discriminator
from zoo.training.objective import TrainableNetwork
from zoo.training.schedules import constant_then_linear
from zoo.training.variational import Variational, kl_divergence


def fashion_mnist(
    data: Source,
    features: Features,
    *,
    size: int = 28,
    channels: int = 1,
    latent: int = 32,
    d_width: int = 32,
    adversarial_weight: float = 0.1,
    augment: str = "",
    lr: float = 7e-4,
    batch_size: int = 64,
    steps: int = 10_000,
) -> Variational:
    """28 px, a code of 32 numbers; a thousand images of the training split are held out.

    85 minutes on one core of a CPU without AVX-512.
    """
    x = data.images(size, channels, least=2 * batch_size).x
    x = x[np.random.default_rng(0).permutation(len(x))]
    rest = len(x) - min(1000, max(1, len(x) // 10))
    flat = x.flatten(1).numpy().astype(np.float32) / 255
    torch.manual_seed(0)
    config: dict[str, Any] = {
        "size": size,
        "channels": channels,
        "latent": latent,
        "patch": 2,
        "widths": [32, 96],
        "blocks": 2,
    }
    network = VAE(**config)
    network.start_at_pca(to_float(x[:10_000]))
    network = network.to(memory_format=torch.channels_last)
    d = Discriminator(size, channels, d_width, halvings=(size - 1).bit_length() - 2)
    schedule = constant_then_linear(steps)
    return Variational(
        config,
        TrainableNetwork(network, Adam(network.parameters(), lr, betas=(0.5, 0.99)), schedule),
        TrainableNetwork(d, Adam(d.parameters(), lr, betas=(0.0, 0.99)), schedule),
        ArrayBatches({"target": x[:rest]}),
        ArrayBatches({"target": x[rest:]}),
        pca=pca_error(flat[:rest], flat[rest:], latent),
        features=features.at(96, fast=True),
        adversarial_weight=adversarial_weight,
        augment=augment,
        batch_size=batch_size,
        steps=steps,
        eval_every=min(1_000, max(1, steps // 20)),
    )


@torch.inference_mode()
def evaluate(model: VAE, data: Source, features: Sequence[Features], *, n_samples: int = 1_000) -> list[Metric]:
    """Error and divergence on the test split, beside PCA with as many numbers; distances of samples to it."""
    assert model.entry and model.latent_shape
    size, channels = model.entry.output.size, model.entry.output.channels or 3
    train, test = data.images(size, channels).x, data.images(size, channels, split="test").x
    row: dict[str, Any] = {"split": data.called("test")}
    images = zoo.Images.of(test.permute(0, 2, 3, 1).numpy())
    error = float(np.mean((model.reconstruct(images).numpy() - images.numpy()) ** 2))
    flat_train, flat_test = (x.permute(0, 2, 3, 1).flatten(1).numpy().astype(np.float32) / 255 for x in (train, test))
    latent = model.latent_shape[0]
    baselines = {"pca": round(pca_error(flat_train, flat_test, latent), 5)}
    nats = torch.cat([kl_divergence(*model.posterior(to_float(x))) for x in test.split(250)])
    bits = float(nats.mean()) / latent / math.log(2)
    n = min(n_samples, len(test), len(train))
    samples = model.generate(n, seed=0).tensor * 2 - 1
    return [
        *sample_distances(samples, to_float(train), to_float(test), features, seed=0, **row),
        Metric("mse", round(error, 5), protocol="mse", n=len(test), baselines=baselines, **row),
        Metric("kl", round(bits, 3), protocol="kl-bits", n=len(test), **row),
    ]
