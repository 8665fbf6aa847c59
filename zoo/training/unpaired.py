"""Training of two networks between two kinds of image, without pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.augment import augment, check_policy, views
from zoo.data.batch import to_float
from zoo.data.source import ImageSet
from zoo.media.images import Images
from zoo.metrics.features import Features
from zoo.training.losses import accuracies, adversarial_loss, repeated
from zoo.training.objective import Learner, Objective, compared, shown, spread
from zoo.training.runtime import Machine


class Pool:
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


class Cycle(Objective):
    """CycleGAN: two networks, there and back, between two sets that have no pairs (Zhu et al. 2017).

    https://arxiv.org/abs/1703.10593. The first product goes from A to B, the second, in the folder ``reverse``, back.

    Args:
        config: keyword arguments of the builder of both networks.
        forth, back: learners of networks from images to images, ``(N, C, H, W)`` in [-1, 1]: A to B, B to A.
        d_a, d_b: learners of networks from images to scores of patches.
        a, b: the two sets.
        held_out: images of A and of B that are never trained on.
        features: what painted images are compared with real ones by.
        loss: a name in :data:`zoo.training.losses.LOSSES`.
        cycle: weight of L1 between an image and its way there and back.
        grid: weight of L1 between what repeats with each 4x4 pixels in an image and in its translation, for the second
            half of the steps: networks that work at a quarter of the size make up texture so.
        identity: weight of L1 between an image and what the network to its own kind makes of it, as part of ``cycle``.
        d_batch: images of each kind that a discriminator sees in a step: the new fakes, and old ones of its pool.
        policy: differentiable augmentation of what the discriminators see.
        shift: random views, as :func:`views` makes them; they are flipped too.
        options: as for :class:`~zoo.training.objective.Objective`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        forth: Learner,
        back: Learner,
        d_a: Learner,
        d_b: Learner,
        a: ImageSet,
        b: ImageSet,
        held_out: tuple[Tensor, Tensor],
        *,
        features: Features,
        loss: str = "least-squares",
        cycle: float = 10.0,
        identity: float = 0.5,
        grid: float = 0.0,
        d_batch: int = 4,
        policy: str = "",
        shift: int = 16,
        **options: Any,
    ) -> None:
        learners = {"forth": forth, "reverse": back, "d_a": d_a, "d_b": d_b}
        super().__init__(config, learners, ["forth", "reverse"], **options)
        self.data = [a.x, b.x]
        self.held = tuple(to_float(x) for x in held_out)
        self.features, self.loss, self.policy, self.shift = (
            features,
            adversarial_loss(loss),
            check_policy(policy),
            shift,
        )
        self.cycle, self.identity, self.d_batch = cycle, identity, max(d_batch, self.batch)
        self.grid = grid
        self.pools = {"d_a": Pool(), "d_b": Pool()}
        self.protocol = (
            f"mean over both directions of the unbiased kernel distance of {len(held_out[0]):,} and "
            f"{len(held_out[1]):,} translated images held out to the real ones trained on, {features.protocol}"
        )

    def start(self, machine: Machine) -> None:
        super().start(machine)
        machine.share(self.d_batch)
        self.features.to(machine.device)
        self.references = [self.features(to_float(x)) for x in self.data]

    def step(self, step: int) -> dict[str, Tensor]:
        forth, back = self.learners["forth"].network, self.learners["reverse"].network
        d_a, d_b = self.learners["d_a"].network, self.learners["d_b"].network
        a, b = (self._views(i, self.rows(step, i)) for i in range(2))

        for d in (d_a, d_b):
            d.requires_grad_(False)
        n = len(a)
        with self.machine.autocast():
            if self.identity:  # together with the images that are to be left alone
                fake_b, same_b = forth(torch.cat([a, b])).split([n, len(b)])
                fake_a, same_a = back(torch.cat([b, a])).split([len(b), n])
            else:
                fake_b, fake_a = forth(a), back(b)
            again_a, again_b = back(fake_b), forth(fake_a)
            on_b, on_a = d_b(augment(fake_b, self.policy)), d_a(augment(fake_a, self.policy))
        loss_g = self.loss.g(on_b.float()) + self.loss.g(on_a.float())
        loss_cycle = F.l1_loss(again_a.float(), a) + F.l1_loss(again_b.float(), b)
        loss = loss_g + self.cycle * loss_cycle
        if self.grid and step >= self.steps // 2:
            added = (repeated(fake.float() - x, 4) for fake, x in ((fake_b, a), (fake_a, b)))
            loss = loss + self.grid * sum(added)
        if self.identity:
            loss_identity = F.l1_loss(same_a.float(), a) + F.l1_loss(same_b.float(), b)
            loss = loss + self.cycle * self.identity * loss_identity
        self.descend(loss, "forth", "reverse")
        for d in (d_a, d_b):
            d.requires_grad_(True)

        loss_d = torch.zeros((), device=a.device)
        right: dict[str, list[Tensor]] = {}
        n = self.machine.share(self.d_batch)
        for i, (name, fake) in enumerate((("d_a", fake_a), ("d_b", fake_b))):
            fakes = self.pools[name].mix(fake.float(), n)
            real = self._views(i, self.rows(step, i, self.d_batch)[: len(fakes)])  # fewer while the pool is filling
            mix = augment(torch.cat([real, fakes.to(real)]), self.policy)
            with self.machine.autocast():
                on_real, on_fake = self.learners[name].network(mix).float().split([len(real), len(fakes)])
            loss_d = loss_d + self.loss.d(on_real, on_fake)
            for key, share in accuracies(on_real, on_fake, self.loss.boundary).items():
                right.setdefault(key, []).append(share)
        self.descend(loss_d, "d_a", "d_b")
        self.follow(step)
        return {
            "loss_d": loss_d.detach() / 2,
            "loss_g": loss_g.detach() / 2,
            "loss_cycle": loss_cycle.detach() / 2,
            **{name: torch.stack(values).mean() for name, values in right.items()},
        }

    @torch.inference_mode()
    def measure(self) -> dict[str, float]:
        forth, back = (
            compared(self.features(torch.cat(list(self._results(name, x)))), reference)
            for name, x, reference in zip(self.averages, self.held, reversed(self.references), strict=True)
        )
        return {
            "figure": (forth["figure"] + back["figure"]) / 2,
            "forth": forth["figure"],
            "back": back["figure"],
            "diversity": min(forth["diversity"], back["diversity"]),
        }

    @torch.inference_mode()
    def sheet(self) -> list[Images]:
        """Images of A, what becomes of them, images of B, and what becomes of them: a row each."""
        rows = []
        for name, x in zip(self.averages, self.held, strict=True):
            some = x[spread(len(x))]
            rows += [shown(some), shown(torch.cat(list(self._results(name, some))))]
        return rows

    @torch.inference_mode()
    def example(self) -> tuple[Tensor | None, Tensor]:
        return self.held[0][:1], next(self._results("forth", self.held[0][:1]))

    def state(self) -> dict[str, Any]:
        return {name: pool.images for name, pool in self.pools.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, pool in self.pools.items():
            pool.images = [x.to(self.machine.device) for x in state[name]]

    def _views(self, which: int, rows: Tensor) -> Tensor:
        return self.to_machine(views(to_float(self.data[which][rows]), self.shift, flip=True))

    def _results(self, name: str, images: Tensor) -> Iterator[Tensor]:
        for x in images.split(8):
            yield self.averages[name].network(x.to(self.machine.device)).float().cpu()
