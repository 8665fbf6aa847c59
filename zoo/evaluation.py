"""Figures of merit, each with a protocol that says how it is measured.

Needs the extra ``[train]``. The feature extractor of the two distances is a parameter: figures measured
with different extractors, or at different sizes, must not be compared.
"""

from __future__ import annotations

import copy
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.entry import Entry, Metric
from zoo.errors import InputError, WeightsError
from zoo.fast import has_bfloat16
from zoo.weights import download

if TYPE_CHECKING:
    from zoo.training.data import Source

DEFAULT_FEATURES = "mobilenetv2_100"


class Features:
    """What pictures are compared by: a network that was trained to name what it sees, or one with random weights.

    Figures by different features, or at different sizes, must not be compared: :attr:`protocol` says which they are.

    Args:
        source: a safetensors file with the ImageNet weights of timm's ``mobilenetv2_100`` (made for
            ``pad_type="same"`` and inputs in [-1, 1]); the name of a timm model, which comes from the Hub; or
            ``random`` for a small network with fixed random weights, which needs no file and sees less.
        size: pictures are resized to this (bilinear, antialiased) first; 224 is what ImageNet's networks see.
        fast: bfloat16 where the hardware has it, about twice as fast, for watching a training run.

    Raises:
        InputError: if there is no such file or model.
        WeightsError: if the weights cannot be had or do not fit.
    """

    def __init__(self, source: str | Path, size: int = 224, fast: bool = False) -> None:
        self.source, self.size, self.fast = str(source), size, fast
        self.mean: tuple[float, ...] = (0.5, 0.5, 0.5)
        self.std: tuple[float, ...] = (0.5, 0.5, 0.5)
        if self.source == "random":
            self.network: nn.Module = _random_network()
            name = "global mean and deviation of the maps of four random convolutions (seed 0)"
        elif Path(source).suffix == ".safetensors":
            self.network = _mobilenet(Path(source))
            name = "1,280 features of MobileNetV2 (ImageNet, timm mobilenetv2_100 with pad_type=same)"
        else:
            self.network, self.mean, self.std = _from_timm(self.source)
            name = f"features of timm's {self.source}, pretrained"
        self.network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.name = name

    @property
    def protocol(self) -> str:
        """How features are computed, for the protocol of a figure."""
        precision = "bfloat16" if self._bfloat16 else "float32"
        return f"resized to {self.size} px (bilinear, antialiased), {self.name}, {precision}"

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def _bfloat16(self) -> bool:
        return self.fast and has_bfloat16(self._device)

    def at(self, size: int, fast: bool = False) -> Features:
        """The same network for another size or precision."""
        other = copy.copy(self)
        other.size, other.fast = size, fast
        return other

    def to(self, device: torch.device) -> None:
        self.network.to(device)

    @torch.inference_mode()
    def __call__(self, pictures: Tensor) -> Tensor:
        """Pictures ``(N, C, H, W)`` in [-1, 1] to float64 features ``(N, d)`` on the CPU."""
        # On a CPU, maps of more than 32 MB come anew from the system for each layer: in batches of 50, pictures of
        # 224 px take 2.5 times as long as in batches of 5.
        found = []
        for batch in pictures.split(5 if self._device.type == "cpu" else 50):
            batch = F.interpolate(self.prepare(batch), (self.size, self.size), mode="bilinear", antialias=True)
            with torch.autocast(batch.device.type, torch.bfloat16, enabled=self._bfloat16):
                found.append(self.network(batch.contiguous(memory_format=torch.channels_last)).cpu().double())
        return torch.cat(found)

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """Maps of several depths at the pictures' own size, for perceptual losses; gradients flow to the pictures."""
        made: list[Tensor] = self.network.forward_intermediates(self.prepare(pictures), intermediates_only=True)  # type: ignore[operator]
        return made

    def prepare(self, pictures: Tensor) -> Tensor:
        """Pictures as the network takes them: three channels, on its device, normalised as it was trained."""
        x = pictures.to(self._device)
        x = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        mean, std = (torch.tensor(value, device=x.device)[:, None, None] for value in (self.mean, self.std))
        return ((x + 1) / 2 - mean) / std


def ratio(value: float, over: float) -> float:
    """One figure over another; NaN, which is on no card, where that is zero."""
    return value / over if over else math.nan


def fingerprint(data: Source, features: Mapping[str, Features], weights: str, settings: Mapping[str, Any]) -> str:
    """A number of all that a figure depends on besides its protocol, as 16 hexadecimal digits.

    Args:
        data: what was read.
        features: what it was compared by, by keyword.
        weights: the sha256 of the model's weights.
        settings: of the evaluation.
    """
    seen = hashlib.sha256(f"{data.fingerprint} {weights} {sorted(settings.items())}".encode())
    for name, one in features.items():
        seen.update(name.encode())
        for key, x in one.network.state_dict().items():
            seen.update(key.encode() + x.cpu().contiguous().numpy().tobytes())
    return seen.hexdigest()[:16]


def verdicts(found: Sequence[Metric], entry: Entry) -> list[dict[str, Any]]:
    """Figures beside those on the card: the same to 1 %, and near zero to 1e-5.

    A figure is called a mismatch only if the card's was measured on the same data, with the same features and weights:
    if the fingerprints say so, or, where the card has none, the protocols of all figures that go together, and all
    that say something of the data alone, such as what real pictures get. Of other packages' models the zoo does not
    know whether there are such figures, so there it takes fingerprints.

    Returns:
        A mapping with ``name``, ``value``, ``protocol`` and ``card``, which is what to say of it, for each.
    """
    card = {metric.name: metric for metric in entry.metrics}
    pairs = [(metric, card[metric.name]) for metric in found if metric.name in card]
    together = entry.package == "zoo" and all(
        _plain(a.protocol) == _plain(b.protocol) and (not a.anchor or _near(a.value, b.value)) for a, b in pairs
    )
    rows = []
    for metric in found:
        rows.append(
            {
                "name": metric.name,
                "value": metric.value,
                "protocol": metric.protocol,
                "card": _verdict(metric, card.get(metric.name), together),
            }
        )
    return rows


def _verdict(found: Metric, card: Metric | None, together: bool) -> str:
    if card is None:
        return "not on the card"
    said = f"the card has {card.value:g}"
    if _plain(card.protocol) != _plain(found.protocol):
        return f"{said} by another protocol: {card.protocol}"
    if card.fingerprint and found.fingerprint:
        same, other = card.fingerprint == found.fingerprint, "with other data, features, settings or weights"
    else:
        same, other = together, "and does not show that it was measured on the same data, with the same features"
    if not same:
        return f"{said} {other}"
    return f"{'match' if _near(found.value, card.value) else 'mismatch'}: {said}"


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= max(0.01 * abs(b), 1e-5)


def _plain(protocol: str) -> str:
    """Without shares in percent: that of a classifier, which is measured anew, varies a little between machines."""
    return re.sub(r"\d+(\.\d+)?%", "%", protocol)


def default_features() -> Features:
    """What a run is watched by where nothing was named: timm's MobileNetV2 if it can be had, else random features."""
    try:
        return Features(DEFAULT_FEATURES)
    except WeightsError:
        return Features("random")


def _mobilenet(path: Path) -> nn.Module:
    import timm

    if not path.is_file():
        raise InputError(
            f"{path} does not exist: name the safetensors weights of timm's mobilenetv2_100, or a timm model."
        )
    network: nn.Module = timm.create_model("mobilenetv2_100", pad_type="same", num_classes=0)
    try:
        state = {key: value for key, value in load_file(path).items() if not key.startswith("classifier")}
        network.load_state_dict(state)
    except (RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{path} holds no weights of timm's mobilenetv2_100: {str(error).splitlines()[0]}") from None
    return network


def _from_timm(name: str) -> tuple[nn.Module, tuple[float, ...], tuple[float, ...]]:
    import timm

    if not timm.is_model(name.split(".")[0]):
        raise InputError(f"{name} is neither a .safetensors file nor a model of timm, nor random.")
    facts = timm.get_pretrained_cfg(name)
    if facts is None or not facts.hf_hub_id:
        raise InputError(f"timm has no trained weights of {name} on the Hub: name another of its models.")
    try:  # timm's own download would try again for a minute before it says that the Hub cannot be reached
        path = download(facts.hf_hub_id, "model.safetensors", None)
    except WeightsError as error:
        raise WeightsError(
            f"timm's {name} is not here and could not be downloaded: name a .safetensors file with --features."
        ) from error
    network: nn.Module = timm.create_model(
        name, pretrained=True, pretrained_cfg_overlay={"file": str(path)}, num_classes=0
    )
    return network, facts.mean, facts.std


class _Random(nn.Module):
    """Global mean and standard deviation of the maps of four convolutions."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 128, 256)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        found = [torch.cat([m.mean((2, 3)), m.std((2, 3))], 1) for m in self.maps(x)]
        return torch.cat(found, 1)

    def maps(self, x: Tensor) -> list[Tensor]:
        made = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            made.append(x)
        return made

    def forward_intermediates(self, x: Tensor, intermediates_only: bool = True) -> list[Tensor]:
        return self.maps(x)


def _random_network() -> nn.Module:
    network = _Random()
    source = torch.Generator().manual_seed(0)
    for layer in network.layers:
        assert isinstance(layer, nn.Conv2d)
        nn.init.kaiming_normal_(layer.weight, 0.2, generator=source)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return network


def rounded(pictures: Tensor) -> Tensor:
    """Pictures in [-1, 1] as a file of 8 bits holds them."""
    return ((pictures + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """Unbiased squared MMD with the kernel ``(x.y / d + 1) ** 3`` over all pairs (KID).

    Binkowski et al. 2018, https://arxiv.org/abs/1801.01401. ``a`` and ``b`` are features ``(N, d)``. torchmetrics draws
    random subsets, or holds a matrix of all pairs in memory; this goes through all pairs row by row.
    """
    if min(len(a), len(b)) < 2:
        raise InputError("A kernel distance needs two pictures or more on both sides: give more.")
    d = a.shape[1]

    def mean_kernel(x: Tensor, y: Tensor, same: bool) -> float:
        total = 0.0
        for rows in x.split(1000):
            total += ((rows @ y.T) / d + 1).pow(3).sum().item()
        if not same:
            return total / (len(x) * len(y))
        diagonal = (x.pow(2).sum(1) / d + 1).pow(3).sum().item()
        return (total - diagonal) / (len(x) * (len(x) - 1))

    return mean_kernel(a, a, True) + mean_kernel(b, b, True) - 2 * mean_kernel(a, b, False)


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Squared Frechet distance between Gaussians fitted to features ``(N, d)`` (FID).

    Heusel et al. 2017, https://arxiv.org/abs/1706.08500. It falls with the number of samples: compare figures of equal
    numbers only. The trace of the root of the product of both covariances is the sum of the singular values of the
    product of their roots, which the centred features are: exact, and faster than the eigenvalues that torchmetrics
    takes, above all for fewer samples than features.
    """
    roots = [(x - x.mean(0)) / (len(x) - 1) ** 0.5 for x in (a.double(), b.double())]
    roots = [torch.linalg.qr(x, mode="r").R if len(x) > x.shape[1] else x for x in roots]
    traces = sum(float(x.square().sum()) for x in roots)
    shared = float(torch.linalg.svdvals(roots[0] @ roots[1].T).sum())
    return float((a.double().mean(0) - b.double().mean(0)).square().sum()) + traces - 2 * shared


def diversity(features: Tensor, most: int = 1_000) -> float:
    """Mean distance between two samples in feature space, over all pairs of the first ``most`` features ``(N, d)``."""
    some = features[:most]
    return float(torch.pdist(some).mean())


def luma(pictures: Tensor) -> Tensor:
    """Y of ITU-R BT.601 as MATLAB has it, 16 to 235, of RGB ``(N, 3, H, W)`` in [0, 255]: ``(N, 1, H, W)``."""
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=pictures.dtype) / 255
    return (pictures * weights[:, None, None]).sum(1, keepdim=True) + 16


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal to noise ratio in dB of pictures ``(N, C, H, W)`` in [0, 255], by torchmetrics."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    return float(peak_signal_noise_ratio(a, b, data_range=255.0))


def ssim(a: Tensor, b: Tensor) -> float:
    """Structural similarity of pictures ``(N, C, H, W)`` in [0, 255], by torchmetrics.

    Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861: a Gaussian window of 11 pixels, sigma 1.5, where it fits.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    value = structural_similarity_index_measure(a, b, data_range=255.0)
    assert isinstance(value, Tensor)
    return float(value)


def perceptual_distance(a: Tensor, b: Tensor, features: Features) -> Tensor:
    """How far pictures ``(N, C, H, W)`` in [-1, 1] are apart for a network: ``(N,)``; gradients flow.

    Squared distance of the maps at every depth, each pixel's features at unit length, averaged over pixels and summed
    over depths: LPIPS (Zhang et al. 2018, https://arxiv.org/abs/1801.03924) without its learned weights.
    """
    distances = []
    for maps in zip(features.maps(a), features.maps(b), strict=True):
        x, y = (F.normalize(m.float(), dim=1, eps=1e-6) for m in maps)
        distances.append((x - y).square().sum(1).mean((1, 2)))
    return torch.stack(distances).sum(0)


def gaussian_samples(train: Tensor, n: int, seed: int = 0) -> Tensor:
    """Samples of a full-covariance Gaussian fitted to the pixels: the naive generator.

    ``train`` is ``(N, C, H, W)`` in [-1, 1]; the samples are clipped to that range.
    """
    pixels = train.flatten(1).double()
    if len(pixels) < pixels.shape[1]:  # their own differences from the mean are a root of the covariance, for nothing
        root = (pixels - pixels.mean(0)) / (len(pixels) - 1) ** 0.5
    else:
        values, vectors = torch.linalg.eigh(torch.cov(pixels.T))
        root = values.clamp(min=0).sqrt()[:, None] * vectors.T
    noise = torch.randn(n, len(root), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    samples: Tensor = noise @ root + pixels.mean(0)
    return samples.clamp(-1, 1).float().reshape(n, *train.shape[1:])


def pca_error(train: np.ndarray, test: np.ndarray, components: int) -> float:
    """Mean squared error on ``test`` of PCA with so many numbers, fitted on ``train`` (both ``(N, pixels)``).

    Raises:
        InputError: for fewer pictures or pixels than ``components``.
    """
    from sklearn.decomposition import PCA

    if components > min(train.shape):
        raise InputError(
            f"PCA with {components} numbers needs as many training pictures and pixels, not {len(train):,} pictures of "
            f"{train.shape[1]:,}: give more of them."
        )
    pca = PCA(components, svd_solver="full").fit(train)
    return float(np.mean((pca.inverse_transform(pca.transform(test)) - test) ** 2))


class Classifier(nn.Module):
    """A small network that names the class of a 28 px grey picture."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(64, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Dropout(0.3), nn.Linear(128 * 9, classes)),
        )

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.layers(x)
        return scores


def train_classifier(x: Tensor, y: Tensor, epochs: int = 4, seed: int = 0) -> Classifier:
    """A :class:`Classifier` trained on pictures ``(N, 1, 28, 28)`` in [-1, 1] and labels ``(N,)``."""
    torch.manual_seed(seed)
    network = Classifier(int(y.max()) + 1).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters())
    batch = min(128, len(x))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * (len(x) // batch))
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch)[: len(x) // batch]:
            loss = F.cross_entropy(network(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def classify(network: nn.Module, pictures: Tensor) -> Tensor:
    """The class of each picture: int64 ``(N,)``."""
    return torch.cat([network(batch).argmax(1) for batch in pictures.split(500)])
