"""Training of two networks between two domains, without pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.batch import ArrayBatches
from zoo.media.base import Samples
from zoo.metrics.features import Features
from zoo.training.adversary import Adversary
from zoo.training.losses import checkerboard_energy
from zoo.training.objective import Objective, TrainableNetwork, evenly_spaced, optimizer_step, sample_metrics
from zoo.training.runtime import Runtime


class ImagePool:
    """The last fakes: D sees old ones, too, and so does not forget them (section 4 of CycleGAN)."""

    def __init__(self, size: int = 50) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def mix(self, fakes: Tensor, n: int) -> Tensor:
        """The fakes, and random older ones up to ``n``; each new one takes the place of an old one."""
        old = [self.images[i] for i in torch.randperm(len(self.images))[: max(0, n - len(fakes))]]
        for fake in fakes.detach():
            if len(self.images) < self.size:
                self.images.append(fake.clone())  # a view would keep its whole batch
            else:
                self.images[int(torch.randint(self.size, ()))] = fake.clone()
        return torch.stack([*fakes.detach(), *old])


class Unpaired(Objective):
    """CycleGAN: networks from A to B and from B to A, for two sets that have no pairs (Zhu et al. 2017).

    https://arxiv.org/abs/1703.10593. The first product is the network from A to B, the second, in the folder ``b2a``,
    the network from B to A.

    Args:
        config: keyword arguments of the builder of both networks.
        a2b, b2a: networks from samples to samples, ``(N, ...)`` in [-1, 1].
        d_a, d_b: networks from samples of A and of B to scores.
        a, b: the two sets, as ``input``; of different seeds, so that they are not drawn in the same order.
        held_out: samples of A and of B, as ``input``, that are never trained on.
        features: what translated samples are compared with real ones by.
        loss: a name in :data:`zoo.training.losses.LOSSES`.
        cycle_weight: weight of L1 between a sample and its way there and back.
        identity_weight: weight of L1 between a sample and what the network to its own domain makes of it, as part of
            ``cycle_weight``.
        checkerboard_weight: weight of the checkerboard energy, with blocks of 4x4 pixels, of what a translation
            changes, for the second half of the steps: networks that work at a quarter of the resolution make texture
            so.
        d_batch_size: samples of each domain that a discriminator sees in a step: new fakes, and old ones of its pool.
        augment: differentiable augmentation of what the discriminators see.
        options: as for :class:`~zoo.training.objective.Objective`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        a2b: TrainableNetwork,
        b2a: TrainableNetwork,
        d_a: TrainableNetwork,
        d_b: TrainableNetwork,
        a: ArrayBatches,
        b: ArrayBatches,
        held_out: tuple[ArrayBatches, ArrayBatches],
        *,
        features: Features,
        loss: str = "least-squares",
        cycle_weight: float = 10.0,
        identity_weight: float = 0.5,
        checkerboard_weight: float = 0.0,
        d_batch_size: int = 4,
        augment: str = "",
        **options: Any,
    ) -> None:
        networks = {"a2b": a2b, "b2a": b2a, "d_a": d_a, "d_b": d_b}
        super().__init__(config, networks, ["a2b", "b2a"], [a, b], **options)
        self.domains = (a, b)
        self.held_out = tuple(x.plain(slice(None))["input"] for x in held_out)
        self.adversaries = {name: Adversary(networks[name], loss, augment=augment) for name in ("d_a", "d_b")}
        self.pools = {name: ImagePool() for name in self.adversaries}
        self.features = features
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        self.checkerboard_weight, self.d_batch_size = checkerboard_weight, max(d_batch_size, self.batch_size)
        self.protocol = (
            f"mean over both directions of the unbiased kernel distance of {len(held_out[0]):,} and "
            f"{len(held_out[1]):,} translated held-out samples to the real ones trained on, {features.protocol}"
        )

    def start(self, runtime: Runtime) -> None:
        super().start(runtime)
        runtime.share(self.d_batch_size)
        self.features.to(runtime.device)
        self.references = [self.features(domain.plain(slice(None))["input"]) for domain in self.domains]

    def step(self, step: int) -> dict[str, Tensor]:
        a2b, b2a = self.networks["a2b"].network, self.networks["b2a"].network
        a, b = (self._real(i, self._rows(step, i, self.batch_size)) for i in range(2))
        with self.runtime.autocast():
            if self.identity_weight:  # in one batch with the samples that are to stay as they are
                fake_b, same_b = a2b(torch.cat([a, b])).split([len(a), len(b)])
                fake_a, same_a = b2a(torch.cat([b, a])).split([len(b), len(a)])
            else:
                fake_b, fake_a = a2b(a), b2a(b)
            cycled_a, cycled_b = b2a(fake_b), a2b(fake_a)
        loss_g = self.adversaries["d_b"].generator_loss(self.runtime, fake_b)
        loss_g = loss_g + self.adversaries["d_a"].generator_loss(self.runtime, fake_a)
        loss_cycle = F.l1_loss(cycled_a.float(), a) + F.l1_loss(cycled_b.float(), b)
        loss = loss_g + self.cycle_weight * loss_cycle
        if self.checkerboard_weight and step >= self.steps // 2:
            energies = (checkerboard_energy(fake.float() - x, 4) for fake, x in ((fake_b, a), (fake_a, b)))
            loss = loss + self.checkerboard_weight * sum(energies)
        if self.identity_weight:
            loss_identity = F.l1_loss(same_a.float(), a) + F.l1_loss(same_b.float(), b)
            loss = loss + self.cycle_weight * self.identity_weight * loss_identity
        optimizer_step(self.runtime, loss, self.networks["a2b"], self.networks["b2a"])

        n = self.runtime.share(self.d_batch_size)
        logs: list[dict[str, Tensor]] = []
        for i, (name, fake) in enumerate((("d_a", fake_a), ("d_b", fake_b))):
            fakes = self.pools[name].mix(fake.float(), n)
            # Fewer while the pool is filling.
            real = self._real(i, self._rows(step, i, self.d_batch_size)[: len(fakes)])
            logs.append(self.adversaries[name].update(self.runtime, real, fakes))
        self.update_ema(step)
        means = {key: torch.stack([log[key] for log in logs]).mean() for key in logs[0]}
        return {
            "loss_d": means.pop("loss_d"),
            "loss_g": loss_g.detach() / 2,
            "loss_cycle": loss_cycle.detach() / 2,
            **means,
        }

    @torch.inference_mode()
    def measure(self) -> dict[str, float]:
        a2b, b2a = (
            sample_metrics(self.features(torch.cat(list(self._outputs(name, x)))), reference)
            for name, x, reference in zip(self.averages, self.held_out, reversed(self.references), strict=True)
        )
        return {
            "metric": (a2b["metric"] + b2a["metric"]) / 2,
            "a2b": a2b["metric"],
            "b2a": b2a["metric"],
            "diversity": min(a2b["diversity"], b2a["diversity"]),
        }

    @torch.inference_mode()
    def sample_grid(self) -> list[Samples]:
        """Samples of A, their translations, samples of B, and their translations: a row each."""
        rows = []
        for name, x in zip(self.averages, self.held_out, strict=True):
            some = x[evenly_spaced(len(x))]
            rows += [self.show(some), self.show(torch.cat(list(self._outputs(name, some))))]
        return rows

    @torch.inference_mode()
    def example(self) -> tuple[Tensor | None, Tensor]:
        return self.held_out[0][:1], next(self._outputs("a2b", self.held_out[0][:1]))

    def state(self) -> dict[str, Any]:
        return {name: pool.images for name, pool in self.pools.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, pool in self.pools.items():
            pool.images = [x.to(self.runtime.device) for x in state[name]]

    def _rows(self, step: int, which: int, size: int) -> Tensor:
        return self.domains[which].rows(step, size, self.runtime.rank, self.runtime.world)

    def _real(self, which: int, rows: Tensor) -> Tensor:
        return self.runtime.to_device(self.domains[which].at(rows)["input"])

    def _outputs(self, name: str, samples: Tensor) -> Iterator[Tensor]:
        for x in samples.split(8):
            yield self.averages[name].network(x.to(self.runtime.device)).float().cpu()
