r"""How the checkpoints of dcgan were trained: hinge loss, spectral norm in D, an average of G's weights.

    python -m zoo.recipes.dcgan fashion-mnist --data fashion_mnist.npz.xz --out runs/dcgan \
        --features mobilenetv2_100.safetensors

The best weights by kernel distance to training pictures are kept; the test split is only measured at the end.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

import zoo
from zoo.evaluation import (
    classify,
    frechet_distance,
    gaussian_samples,
    kernel_distance,
    mobilenet_features,
    train_classifier,
)
from zoo.models.dcgan import DCGAN
from zoo.training import Average, Run, batch_indices, main, read_npz, to_tensor


class Discriminator(nn.Module):
    """Convolutions with spectral norm, as in SNGAN (Miyato et al. 2018, https://arxiv.org/abs/1802.05957).

    At each size a 3x3 convolution, then a 4x4 one with stride 2. In one run each of 3.5 minutes on two cores, kernel
    distance to training pictures fell to 0.18 of that of a Gaussian's samples with this D of width 48, and to 0.29
    with a D of width 64 that has only the strided ones, as in the paper.

    Pictures ``(N, channels, 28, 28)`` in [-1, 1] to scores ``(N,)``.
    """

    def __init__(self, channels: int = 1, width: int = 48) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c_in = channels
        for c_out in (width, 2 * width, 4 * width):
            layers += [spectral_norm(nn.Conv2d(c_in, max(c_in, width), 3, padding=1)), nn.LeakyReLU(0.1)]
            layers += [spectral_norm(nn.Conv2d(max(c_in, width), c_out, 4, stride=2, padding=1)), nn.LeakyReLU(0.1)]
            c_in = c_out
        layers += [nn.Flatten(), spectral_norm(nn.Linear(c_in * 3 * 3, 1))]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.layers(x)
        return scores.flatten()


def fashion_mnist(data: Path, out: Path, features: Path, steps: int = 20_000, minutes: float | None = None) -> None:
    """28 px; the rates stay for half the run and then fall to zero. Under 40 minutes on two cores."""
    batch, rate_g, rate_d = 64, 3e-4, 6e-4
    real = to_tensor(read_npz(data)["x_train"]).contiguous(memory_format=torch.channels_last)
    measure = mobilenet_features(features, size=96, fast=True)
    reference = measure(real[torch.randperm(len(real), generator=torch.Generator().manual_seed(0))[:5000]])

    torch.manual_seed(0)
    g = DCGAN(size=28, channels=1, width=64).to(memory_format=torch.channels_last)
    d = Discriminator().to(memory_format=torch.channels_last)
    for module in g.modules():  # section 3 of the paper
        if isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0, 0.02)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.02)
    average = Average(g, 0.999)
    adam_g = torch.optim.Adam(g.parameters(), rate_g, betas=(0.0, 0.99))
    adam_d = torch.optim.Adam(d.parameters(), rate_d, betas=(0.0, 0.99))
    parts = {"g": g, "d": d, "average": average.network, "adam_g": adam_g, "adam_d": adam_d}
    run = Run(out, steps, parts, minutes)
    for step in run:
        fade = min(1.0, 2 * (1 - step / steps))
        adam_g.param_groups[0]["lr"], adam_d.param_groups[0]["lr"] = rate_g * fade, rate_d * fade
        x = real[batch_indices(step, len(real), batch, seed=0)]
        with torch.autocast("cpu", torch.bfloat16):
            fake = g.decode(torch.randn(batch, 100))
            on_real, on_fake = d(torch.cat([x, fake.detach().to(x.dtype)])).float().chunk(2)
        loss_d = F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean()
        adam_d.zero_grad()
        loss_d.backward()
        adam_d.step()

        d.requires_grad_(False)
        with torch.autocast("cpu", torch.bfloat16):
            loss_g = -d(fake).float().mean()
        adam_g.zero_grad()
        loss_g.backward()
        adam_g.step()
        d.requires_grad_(True)
        average.update(g, step)

        if (step + 1) % 1000 == 0 or step + 1 == steps:
            settle(average.network)
            samples = sample(average.network, 2500)
            distance = kernel_distance(measure(samples), reference) if math.isfinite(loss_g.item()) else math.inf
            run.keep_best(average.network, distance, loss_d=loss_d.item(), loss_g=loss_g.item())
            run.save()


@torch.no_grad()
def settle(network: nn.Module) -> None:
    """Measure the statistics of batch norm anew: those that were copied belong to the weights before averaging."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    network.train()
    noise = torch.Generator().manual_seed(0)
    for _ in range(40):
        network(torch.randn(250, 100, generator=noise))
    network.eval()


@torch.no_grad()
def sample(network: nn.Module, n: int) -> Tensor:
    """Pictures ``(n, 1, 28, 28)`` in [-1, 1] from fixed noise."""
    noise = torch.randn(n, 100, generator=torch.Generator().manual_seed(1))
    return torch.cat([network(z) for z in noise.split(250)])


def measure_fashion_mnist(data: Path, features: Path) -> None:
    """Print the figures of the checkpoint in the zoo, between two anchors.

    The floor is what 10,000 training pictures get, "naive" a Gaussian fitted to the training pixels. All pictures
    are rounded to 8 bits.
    """
    file = read_npz(data)
    train, test = to_tensor(file["x_train"]), to_tensor(file["x_test"])
    some = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:10_000]
    sets = {
        "floor": train[some],
        "naive": gaussian_samples(train, 10_000),
        "dcgan": zoo.load("dcgan.fashion-mnist").generate(10_000, seed=0).tensor * 2 - 1,
    }
    sets = {name: ((x + 1) * 127.5).round() / 127.5 - 1 for name, x in sets.items()}
    extract = mobilenet_features(features)
    reference = extract(test)
    kernel, frechet = {}, {}
    for name, pictures in sets.items():
        found = extract(pictures)
        kernel[name], frechet[name] = kernel_distance(found, reference), frechet_distance(found, reference)
        print(f"{name}: kernel distance {kernel[name]:.6f}, Frechet distance {frechet[name]:.3f}", flush=True)
    for name, by in (("kernel", kernel), ("Frechet", frechet)):
        print(f"by {name} distance {(by['dcgan'] - by['floor']) / (by['naive'] - by['floor']):.4f} of the way")

    classifier = train_classifier(train, torch.from_numpy(file["y_train"]).long())
    with torch.inference_mode():
        right = classify(classifier, test) == torch.from_numpy(file["y_test"]).long()
        shares = torch.bincount(classify(classifier, sets["dcgan"]), minlength=10) / 10_000
    print(f"classifier: {right.float().mean():.4f} of the test pictures right; samples of each class:")
    print(" ".join(f"{share:.4f}" for share in shares))


if __name__ == "__main__":
    main({"fashion-mnist": (fashion_mnist, measure_fashion_mnist)}, __doc__)
