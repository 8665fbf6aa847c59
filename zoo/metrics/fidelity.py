"""How near an image or a sound comes to the one that it should be."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.metrics.features import Features


def rounded(images: Tensor) -> Tensor:
    """Images in [-1, 1] as a file of 8 bits holds them."""
    return ((images + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1


def luma(images: Tensor) -> Tensor:
    """Y of ITU-R BT.601 as MATLAB has it, 16 to 235, of RGB ``(N, 3, H, W)`` in [0, 255]: ``(N, 1, H, W)``."""
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=images.dtype) / 255
    return (images * weights[:, None, None]).sum(1, keepdim=True) + 16


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal to noise ratio in dB of images ``(N, C, H, W)`` in [0, 255], by torchmetrics."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    return float(peak_signal_noise_ratio(a, b, data_range=255.0))


def ssim(a: Tensor, b: Tensor) -> float:
    """Structural similarity of images ``(N, C, H, W)`` in [0, 255], by torchmetrics.

    Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861: a Gaussian window of 11 pixels, sigma 1.5, where it fits.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    value = structural_similarity_index_measure(a, b, data_range=255.0)
    assert isinstance(value, Tensor)
    return float(value)


def perceptual_distance(a: Tensor, b: Tensor, features: Features) -> Tensor:
    """How far images ``(N, C, H, W)`` in [-1, 1] are apart for a network: ``(N,)``; gradients flow.

    Squared distance of the maps at every depth, each pixel's features at unit length, averaged over pixels and summed
    over depths: LPIPS (Zhang et al. 2018, https://arxiv.org/abs/1801.03924) without its learned weights.
    """
    distances = []
    for maps in zip(features.maps(a), features.maps(b), strict=True):
        x, y = (F.normalize(m.float(), dim=1, eps=1e-6) for m in maps)
        distances.append((x - y).square().sum(1).mean((1, 2)))
    return torch.stack(distances).sum(0)


def si_sdr(estimate: Tensor, target: Tensor) -> float:
    """Scale-invariant ratio of signal to distortion in dB of sounds ``(..., T)``, by torchmetrics; their mean.

    Le Roux et al. 2019, https://arxiv.org/abs/1811.02508.
    """
    from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

    return float(scale_invariant_signal_distortion_ratio(estimate, target).mean())


def stoi(estimate: Tensor, target: Tensor, rate: int) -> float:
    """Short-time objective intelligibility of speech ``(T,)``, from 0 to 1, by pystoi.

    Taal et al. 2011, https://doi.org/10.1109/TASL.2011.2114881.
    """
    from pystoi import stoi as measure

    return float(measure(target.numpy(), estimate.numpy(), rate))
