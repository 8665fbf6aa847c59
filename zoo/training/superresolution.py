"""Training of networks that enlarge photos: by pixels first, then adversarially."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.batch import to_float
from zoo.data.degrade import downscale
from zoo.errors import InputError
from zoo.media.images import Images
from zoo.metrics.features import Features
from zoo.metrics.fidelity import luma, perceptual_distance, psnr, rounded
from zoo.training.losses import adversarial_loss, repeated
from zoo.training.objective import Learner, Objective, shown
from zoo.training.runtime import Machine

MIXED = 0.3  # of the patches in a batch are mixed with another one


class SuperResolution(Objective):
    """From a photo made smaller back to the photo, as SRResNet and SRGAN (Ledig et al. 2017).

    https://arxiv.org/abs/1609.04802. Small photos are made as MATLAB's bicubic imresize makes them.

    Args:
        config: keyword arguments of the network's builder.
        network: learner of a network from images ``(N, C, H, W)`` to ``(N, C, scale * H, scale * W)``, in [-1, 1].
        photos: uint8 ``(C, H, W)``, of any sizes.
        held_out: photos that are never trained on: the best weights are chosen by them.
        d: learner of a network from large patches to scores; None for pixels alone.
        features: for the perceptual loss, and the perceptual distance the best is chosen by; None to choose by PSNR.
        scale: how many times larger.
        patch: side of the small patches.
        sizes: each photo is also used at these sizes, relative to its own.
        pixels, grid, perceptual, adversarial: weights of the losses: L1, L1 of what repeats with every small pixel,
            perceptual distance, and G's.
        loss: a name in :data:`zoo.training.losses.LOSSES`.
        options: as for :class:`~zoo.training.objective.Objective`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        network: Learner,
        photos: Sequence[Tensor],
        held_out: Sequence[Tensor],
        *,
        d: Learner | None = None,
        features: Features | None = None,
        scale: int = 4,
        patch: int = 32,
        sizes: Sequence[float] = (1.0, 0.8, 0.6),
        pixels: float = 1.0,
        grid: float = 0.0,
        perceptual: float = 0.0,
        adversarial: float = 0.0,
        loss: str = "hinge",
        **options: Any,
    ) -> None:
        super().__init__(config, {"network": network, **({"d": d} if d else {})}, ["network"], **options)
        self.data, self.scale, self.patch = photos, scale, patch
        self.pairs = [self._pair(_resized(x, f)) for x in photos for f in sizes]
        self.pairs = [pair for pair in self.pairs if min(pair[0].shape[1:]) >= patch]
        if not self.pairs:
            raise InputError(
                f"No photo has {patch * scale} pixels on both sides, which a patch of {patch} needs: give "
                "larger photos, or make the patch smaller with --set patch=NUMBER."
            )
        self.held = [self._pair(x) for x in held_out]
        self.features, self.loss = features, adversarial_loss(loss)
        self.pixels, self.grid, self.perceptual, self.adversarial = pixels, grid, perceptual, adversarial
        self.protocol = (
            f"perceptual distance to {len(held_out)} photos held out, maps of {features.name}"
            if features
            else f"minus the PSNR in dB of {len(held_out)} photos held out, Y channel without {scale} pixels all around"
        )

    def start(self, machine: Machine) -> None:
        super().start(machine)
        if self.features:
            self.features.to(machine.device)

    def step(self, step: int) -> dict[str, Tensor]:
        small, large = self._patches(step)
        with self.machine.autocast():
            made = self.learners["network"].network(small)
        made = made.float()
        loss_pixels = F.l1_loss(made, large)
        loss = self.pixels * loss_pixels
        if self.grid:
            loss = loss + self.grid * repeated(made - large, self.scale)
        # Features halve maps at even pixels, and networks shuffle pixels in blocks of ``scale``: where the two always
        # meet in the same way, what pleases the one is a checkerboard of the other.
        shift = np.random.default_rng((1, step)).integers(self.scale, size=2).tolist()
        made, large = (x.roll(shift, (2, 3)) for x in (made, large))
        logged = {"loss_pixels": loss_pixels.detach()}
        if self.perceptual:
            assert self.features
            with self.machine.autocast():
                loss_perceptual = perceptual_distance(made, large, self.features).mean()
            logged["loss_perceptual"] = loss_perceptual.detach()
            loss = loss + self.perceptual * loss_perceptual
        if "d" in self.learners:
            loss_g, played = self.play(self.loss, large, made)
            loss = loss + self.adversarial * loss_g
            logged |= played
        self.descend(loss, "network")
        self.follow(step)
        return logged

    @torch.inference_mode()
    def measure(self) -> dict[str, float]:
        ratios, distances = [], []
        for small, large in self.held:
            made = self._enlarge(small)
            target = to_float(large)[None]
            ratios.append(
                psnr(
                    *(
                        luma((x + 1) * 127.5)[..., self.scale : -self.scale, self.scale : -self.scale]
                        for x in (made, target)
                    )
                )
            )
            if self.features:
                distances.append(float(perceptual_distance(made, target, self.features)))
        ratio = float(np.mean(ratios))
        if self.features:
            return {"figure": float(np.mean(distances)), "psnr": ratio}
        return {"figure": -ratio, "psnr": ratio}

    @torch.inference_mode()
    def sheet(self) -> list[Images]:
        """The middles of four photos: enlarged by bicubic interpolation, by the network, and as they are."""
        rows: list[list[Tensor]] = [[], [], []]
        for small, large in self.held[:4]:
            side = min(48, *small.shape[1:])
            top, left = ((n - side) // 2 for n in small.shape[1:])
            part = small[:, top : top + side, left : left + side]
            plain = F.interpolate(to_float(part)[None], scale_factor=self.scale, mode="bicubic")[0]
            rows[0].append(plain)
            for row, x in zip(rows[1:], (self._enlarge(small)[0], to_float(large)), strict=True):
                y, x_ = self.scale * top, self.scale * left
                row.append(x[:, y : y + self.scale * side, x_ : x_ + self.scale * side])
        return [Images([array for x in row for array in shown(x[None]).arrays]) for row in rows]

    @torch.inference_mode()
    def example(self) -> tuple[Tensor | None, Tensor]:
        x = to_float(self.held[0][0])[None]
        return x, self._enlarge(self.held[0][0])

    def _pair(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        """A photo made smaller, and the part of it that this shows."""
        small = downscale(photo, self.scale)
        return small, photo[:, : small.shape[1] * self.scale, : small.shape[2] * self.scale]

    def _patches(self, step: int) -> tuple[Tensor, Tensor]:
        """A batch of small and of large patches: turned, mirrored, and recoloured.

        Colours change places, contrast and brightness vary, and a patch may be mixed with another one. All of this is
        linear, as making smaller is: so the small patch stays the one that belongs to the large one.
        """
        rng = np.random.default_rng((0, step))
        side, scale = self.patch, self.scale
        smalls: list[Tensor] = []
        larges: list[Tensor] = []
        for number in range(self.batch):
            small, large = self.pairs[rng.integers(len(self.pairs))]
            i, j = (int(rng.integers(n - side + 1)) for n in small.shape[1:])
            mirrored, upside_down, turned = (bool(rng.random() < 0.5) for _ in range(3))
            colours, gain, shift = rng.permutation(small.shape[0]), rng.uniform(0.7, 1.0), rng.uniform(-0.3, 0.3)
            if number % self.machine.world != self.machine.rank:  # another process has it
                continue
            part = small[:, i : i + side, j : j + side]
            whole = large[:, scale * i : scale * (i + side), scale * j : scale * (j + side)]
            for x, found in ((part, smalls), (whole, larges)):
                x = x.flip(2) if mirrored else x
                x = x.flip(1) if upside_down else x
                x = x.transpose(1, 2) if turned else x
                found.append(to_float(x[colours]) * gain + shift * (1 - gain))
        own = np.where(rng.random(len(smalls)) < MIXED, rng.uniform(0.5, 1, len(smalls)), 1)
        weight = torch.from_numpy(own).float()[:, None, None, None]
        both = (torch.stack(patches) for patches in (smalls, larges))
        x, y = (self.to_machine(torch.lerp(patches.roll(1, 0), patches, weight)) for patches in both)
        return x, y

    def _enlarge(self, small: Tensor) -> Tensor:
        """``(C, H, W)`` uint8 to ``(1, C, scale * H, scale * W)`` in [-1, 1], rounded to 8 bits."""
        x = to_float(small)[None].to(self.machine.device)
        return rounded(self.averages["network"].network(x).float().cpu())


def _resized(photo: Tensor, factor: float) -> Tensor:
    """Another size of a uint8 photo, by bicubic interpolation that blurs as it shrinks."""
    if factor == 1:
        return photo
    made = F.interpolate(photo[None].float(), scale_factor=factor, mode="bicubic", antialias=True)[0]
    return made.round().clamp(0, 255).byte()
