"""Feature extractors: networks by whose features images are compared.

The extractor of a distance is a parameter: figures measured with different extractors, or at different sizes, must not
be compared. Needs the extra ``[train]``.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.backends.optimize import has_bfloat16
from zoo.errors import InputError, WeightsError
from zoo.metrics.protocols import EXTRACTORS, extractor_name
from zoo.weights.hub import download

DEFAULT_FEATURES = "mobilenetv2_100"  # what training looks through and chooses weights by
JUDGE = "tf_efficientnet_lite0"  # only measures: nothing is trained through it or chosen by it


class Features:
    """What images are compared by: a network that was trained to name what it sees, or one with random weights.

    Attributes:
        id: the extractor's name in the identifiers of protocols, such as ``mobilenetv2``.
        name: what it is, for people.

    Args:
        source: a safetensors file with ImageNet weights of timm's ``mobilenetv2_100`` or ``tf_efficientnet_lite0``
            (both for inputs in [-1, 1], in any precision); the name of a timm model, which comes from the Hub; or
            ``random`` for a small network with fixed random weights, which needs no file and sees less.
        size: images are resized to this (bilinear, antialiased) first; 224 is what ImageNet's networks see.
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
            self.id, self.network = "random", _random_network()
        elif Path(source).suffix == ".safetensors":
            self.id, self.network = _from_file(Path(source))
        else:
            self.id, self.network, self.mean, self.std = _from_timm(self.source)
        self.name = extractor_name(self.id)
        self.network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        for module in self.network.modules():
            if isinstance(module, nn.Conv2d) and module.groups > 1 and max(module.stride) > 1:
                module.forward = partial(_precisely, module.forward)  # type: ignore[method-assign]

    @property
    def fingerprint(self) -> str:
        """The first eight hexadecimal digits of a sha256 of the weights."""
        seen = hashlib.sha256()
        for key, x in self.network.state_dict().items():
            seen.update(key.encode() + x.cpu().contiguous().numpy().tobytes())
        return seen.hexdigest()[:8]

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
    def __call__(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1] to float64 features ``(N, d)`` on the CPU."""
        # On a CPU, maps of more than 32 MB come anew from the system for each layer: in batches of 50, images of
        # 224 px take 2.5 times as long as in batches of 5.
        features = []
        for batch in images.split(5 if self._device.type == "cpu" else 50):
            batch = F.interpolate(self.prepare(batch), (self.size, self.size), mode="bilinear", antialias=True)
            with torch.autocast(batch.device.type, torch.bfloat16, enabled=self._bfloat16):
                features.append(self.network(batch.contiguous(memory_format=torch.channels_last)).cpu().double())
        return torch.cat(features)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Maps of several depths at the images' own size, for perceptual losses; gradients flow to the images."""
        maps: list[Tensor] = self.network.forward_intermediates(self.prepare(images), intermediates_only=True)  # type: ignore[operator]
        return maps

    def prepare(self, images: Tensor) -> Tensor:
        """Images as the network takes them: three channels, on its device, normalised as it was trained."""
        x = images.to(self._device)
        x = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        mean, std = (torch.tensor(value, device=x.device)[:, None, None] for value in (self.mean, self.std))
        return ((x + 1) / 2 - mean) / std


def default_features() -> Features:
    """What a run is watched by where nothing was named: timm's MobileNetV2 if it can be had, else random features."""
    return _first_of(DEFAULT_FEATURES)


def default_judges() -> tuple[Features, ...]:
    """What figures are measured by where nothing was named: by both of timm's extractors, else random features."""
    try:
        return Features(DEFAULT_FEATURES), Features(JUDGE)
    except WeightsError:
        return (_first_of(DEFAULT_FEATURES, JUDGE),)


def _first_of(*names: str) -> Features:
    """The first of timm's models that can be had, else random features."""
    for name in names:
        try:
            return Features(name)
        except WeightsError:
            continue
    return Features("random")


def _precisely(forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A depthwise convolution with stride in float32 where gradients are wanted: CPUs have no fast one in bfloat16.

    For 24 maps of 576 channels, 7x7, forward and back take 0.7 ms in float32, and 23 ms in bfloat16.
    """
    if not x.requires_grad or x.device.type != "cpu":
        return forward(x)
    with torch.autocast(x.device.type, enabled=False):
        return forward(x.float())


def _from_file(path: Path) -> tuple[str, nn.Module]:
    """Identifier and network of the extractor whose weights a safetensors file holds."""
    import timm

    names = " or ".join(extractor.timm for extractor in EXTRACTORS.values() if extractor.timm)
    if not path.is_file():
        raise InputError(f"{path} does not exist: name the safetensors weights of timm's {names}, or a timm model.")
    try:
        state = {key: value for key, value in load_file(path).items() if not key.startswith("classifier")}
        for name, extractor in EXTRACTORS.items():
            if extractor.timm:
                network: nn.Module = timm.create_model(extractor.timm, **extractor.options, num_classes=0)
                if network.state_dict().keys() == state.keys():
                    network.load_state_dict(state)
                    return name, network
    except (RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{path} holds no weights of timm's {names}: {str(error).splitlines()[0]}") from None
    raise WeightsError(f"{path} holds no weights of timm's {names}: its tensors have other names.")


def _from_timm(name: str) -> tuple[str, nn.Module, tuple[float, ...], tuple[float, ...]]:
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
    tag = facts.tag if facts.tag and "." not in name else ""
    return f"timm/{name}{tag and f'.{tag}'}", network, facts.mean, facts.std


class _Random(nn.Module):
    """Global mean and standard deviation of the maps of four convolutions."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 128, 256)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        features = [torch.cat([m.mean((2, 3)), m.std((2, 3))], 1) for m in self.maps(x)]
        return torch.cat(features, 1)

    def maps(self, x: Tensor) -> list[Tensor]:
        maps = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return maps

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
