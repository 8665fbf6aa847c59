"""Training of networks from one kind of picture to another: with pairs, or with two sets that have none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.evaluation import Features, diversity, kernel_distance
from zoo.images import Images
from zoo.training.data import Pairs, Pictures, to_float
from zoo.training.losses import accuracy, adversarial_loss, augment
from zoo.training.objective import Learner, Machine, Objective, shown


def views(pictures: Tensor, shift: int, flip: bool, warp: float = 0.0) -> Tensor:
    """Random views of pictures ``(N, C, H, W)``: flipped, warped, and moved by up to ``shift`` pixels.

    What lies in the channels of one picture moves together: put both sides of a pair there. Warping turns by up to
    ``warp`` radians, and makes either side up to ``warp`` larger or smaller; the pixels at the edges are repeated
    outward. Moving mirrors them.
    """
    n, _, h, w = pictures.shape
    if flip:
        pictures = torch.where(torch.rand(n, 1, 1, 1) < 0.5, pictures.flip(3), pictures)
    if warp:
        angle, *stretch = torch.empty(3, n).uniform_(-warp, warp)
        rows = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(n, 2, 2)
        matrix = F.pad(rows * (1 + torch.stack(stretch, 1))[:, :, None], (0, 1))
        grid = F.affine_grid(matrix, list(pictures.shape), align_corners=False)
        pictures = F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    if not shift:
        return pictures
    padded = F.pad(pictures, (shift,) * 4, mode="reflect")
    corners = torch.randint(0, 2 * shift + 1, (n, 2)).tolist()
    return torch.stack([x[:, i : i + h, j : j + w] for x, (i, j) in zip(padded, corners, strict=True)])


def _spread(n: int) -> Tensor:
    """Eight of n samples at most, evenly spread."""
    return torch.linspace(0, n - 1, min(n, 8)).long()


class Paired(Objective):
    """pix2pix: a network from one side of a pair to the other, against a D that sees both (Isola et al. 2017).

    https://arxiv.org/abs/1611.07004

    Args:
        config: keyword arguments of G's builder.
        g: learner of a network from pictures to pictures, ``(N, C, H, W)`` in [-1, 1].
        d: learner of a network from input and target, their channels together, to scores of patches; None to learn
            from the pixels alone.
        pairs: the data.
        held_out: pairs that are never trained on: the best weights are chosen by them.
        features: what the results are compared with the targets by; None chooses the best by L1 instead.
        loss: a name in :data:`zoo.training.losses.LOSSES`.
        pixels: weight of L1 between result and target.
        policy: differentiable augmentation of what D sees.
        shift, flip, warp: random views, as :func:`views` makes them.
        options: as for :class:`~zoo.training.objective.Objective`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        g: Learner,
        d: Learner | None,
        pairs: Pairs,
        held_out: Pairs,
        *,
        features: Features | None = None,
        loss: str = "hinge",
        pixels: float = 100.0,
        policy: str = "",
        shift: int = 0,
        flip: bool = True,
        warp: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(config, {"g": g, **({"d": d} if d else {})}, ["g"], **options)
        self.data = [pairs.a, pairs.b]
        self.held_a, self.held_b = to_float(held_out.a), to_float(held_out.b)
        self.features, self.loss, self.pixels, self.policy = features, adversarial_loss(loss), pixels, policy
        self.shift, self.flip, self.warp = shift, flip, warp
        self.channels = [x.shape[1] for x in self.data]
        n = len(self.held_a)
        self.protocol = (
            f"unbiased kernel distance of results to targets for {n:,} pairs held out, {features.protocol}"
            if features
            else f"mean absolute error of results for {n:,} pairs held out, pixels in [0, 1]"
        )

    def start(self, machine: Machine) -> None:
        super().start(machine)
        if self.features:
            self.features.to(machine.device)
            self.reference = self.features(self.held_b)

    def step(self, step: int) -> dict[str, Tensor]:
        g = self.learners["g"].network
        rows = self.rows(step)
        both = views(to_float(torch.cat([x[rows] for x in self.data], 1)), self.shift, self.flip, self.warp)
        a, b = (self.to_machine(x) for x in both.split(self.channels, 1))
        with self.machine.autocast():
            made = g(a)
        made = made.float()
        logged: dict[str, Tensor] = {}
        loss_g = torch.zeros((), device=made.device)
        if "d" in self.learners:
            d = self.learners["d"].network
            seen = torch.cat([torch.cat([a, b], 1), torch.cat([a, made], 1)])
            seen = augment(seen.detach(), self.policy)
            with self.machine.autocast():
                on_real, on_fake = d(seen).float().chunk(2)
            loss_d = self.loss.d(on_real, on_fake)
            self.descend(loss_d, "d")
            d.requires_grad_(False)
            with self.machine.autocast():
                loss_g = self.loss.g(d(augment(torch.cat([a, made], 1), self.policy)).float())
            d.requires_grad_(True)
            logged = {
                "loss_d": loss_d.detach(),
                "loss_g": loss_g.detach(),
                "d_real": accuracy(on_real, self.loss.boundary, real=True),
                "d_fake": accuracy(on_fake, self.loss.boundary, real=False),
            }
        loss_pixels = F.l1_loss(made, b)
        self.descend(loss_g + self.pixels * loss_pixels, "g")
        self.follow(step)
        return {**logged, "loss_pixels": loss_pixels.detach()}

    @torch.inference_mode()
    def measure(self) -> dict[str, float]:
        made = torch.cat(list(self._results(self.held_a)))
        l1 = float((made.clamp(-1, 1) - self.held_b).abs().mean()) / 2
        if not self.features:
            return {"figure": l1}
        found = self.features(made)
        return {
            "figure": kernel_distance(found, self.reference),
            "diversity": diversity(found) / diversity(self.reference),
            "l1": l1,
        }

    @torch.inference_mode()
    def sheet(self) -> list[Images]:
        """Inputs, results, targets: a row each."""
        some = _spread(len(self.held_a))
        made = torch.cat(list(self._results(self.held_a[some])))
        rows = (self.held_a[some], made, self.held_b[some])
        return [shown(x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x) for x in rows]

    @torch.inference_mode()
    def example(self) -> tuple[Tensor | None, Tensor]:
        return self.held_a[:1], next(self._results(self.held_a[:1]))

    def _results(self, pictures: Tensor) -> Iterator[Tensor]:
        for x in pictures.split(16):
            yield self.averages["g"].network(x.to(self.machine.device)).float().cpu()


class Pool:
    """The last fakes: D sees an old one half of the time, and so does not forget them (section 4 of CycleGAN)."""

    def __init__(self, size: int = 50) -> None:
        self.size = size
        self.pictures: list[Tensor] = []

    def swap(self, fakes: Tensor) -> Tensor:
        """Each fake, or an older one in its place."""
        made = []
        for fake in fakes.detach():
            if len(self.pictures) < self.size:
                self.pictures.append(fake.clone())  # a view would keep its whole batch
            elif torch.rand(()) < 0.5:
                i = int(torch.randint(self.size, ()))
                fake, self.pictures[i] = self.pictures[i], fake.clone()
            made.append(fake)
        return torch.stack(made)


class Cycle(Objective):
    """CycleGAN: two networks, there and back, between two sets that have no pairs (Zhu et al. 2017).

    https://arxiv.org/abs/1703.10593. The first product goes from A to B, the second, in the folder ``reverse``, back.

    Args:
        config: keyword arguments of the builder of both networks.
        forth, back: learners of networks from pictures to pictures, ``(N, C, H, W)`` in [-1, 1]: A to B, B to A.
        d_a, d_b: learners of networks from pictures to scores of patches.
        a, b: the two sets.
        held_out: pictures of A and of B that are never trained on.
        features: what painted pictures are compared with real ones by.
        loss: a name in :data:`zoo.training.losses.LOSSES`.
        cycle: weight of L1 between a picture and its way there and back.
        identity: weight of L1 between a picture and what the network to its own kind makes of it, as part of ``cycle``.
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
        a: Pictures,
        b: Pictures,
        held_out: tuple[Tensor, Tensor],
        *,
        features: Features,
        loss: str = "least-squares",
        cycle: float = 10.0,
        identity: float = 0.5,
        policy: str = "",
        shift: int = 16,
        **options: Any,
    ) -> None:
        learners = {"forth": forth, "reverse": back, "d_a": d_a, "d_b": d_b}
        super().__init__(config, learners, ["forth", "reverse"], **options)
        self.data = [a.x, b.x]
        self.held = tuple(to_float(x) for x in held_out)
        self.features, self.loss, self.policy, self.shift = features, adversarial_loss(loss), policy, shift
        self.cycle, self.identity = cycle, identity
        self.pools = {"d_a": Pool(), "d_b": Pool()}
        self.protocol = (
            f"mean over both directions of the unbiased kernel distance of {len(held_out[0]):,} and "
            f"{len(held_out[1]):,} translated pictures held out to the real ones trained on, {features.protocol}"
        )

    def start(self, machine: Machine) -> None:
        super().start(machine)
        self.features.to(machine.device)
        self.references = [self.features(to_float(x)) for x in self.data]

    def step(self, step: int) -> dict[str, Tensor]:
        forth, back = self.learners["forth"].network, self.learners["reverse"].network
        d_a, d_b = self.learners["d_a"].network, self.learners["d_b"].network
        a, b = (
            self.to_machine(views(to_float(x[self.rows(step, i)]), self.shift, flip=True))
            for i, x in enumerate(self.data)
        )

        for d in (d_a, d_b):
            d.requires_grad_(False)
        n = len(a)
        with self.machine.autocast():
            # Pictures of both kinds go through a network together: those to be translated, and those to be left alone.
            fake_b, same_b = forth(torch.cat([a, b])).split([n, len(b)])
            fake_a, same_a = back(torch.cat([b, a])).split([len(b), n])
            again_a, again_b = back(fake_b), forth(fake_a)
            on_b, on_a = d_b(augment(fake_b, self.policy)), d_a(augment(fake_a, self.policy))
        loss_g = self.loss.g(on_b.float()) + self.loss.g(on_a.float())
        loss_cycle = F.l1_loss(again_a.float(), a) + F.l1_loss(again_b.float(), b)
        loss_identity = F.l1_loss(same_a.float(), a) + F.l1_loss(same_b.float(), b)
        self.descend(loss_g + self.cycle * (loss_cycle + self.identity * loss_identity), "forth", "reverse")
        for d in (d_a, d_b):
            d.requires_grad_(True)

        loss_d = torch.zeros((), device=a.device)
        right: dict[str, list[Tensor]] = {"d_real": [], "d_fake": []}
        for name, real, fake in (("d_a", a, fake_a), ("d_b", b, fake_b)):
            old = self.pools[name].swap(fake.float())
            mix = augment(torch.cat([real, old.to(real)]), self.policy)
            with self.machine.autocast():
                on_real, on_fake = self.learners[name].network(mix).float().split([len(real), len(old)])
            loss_d = loss_d + self.loss.d(on_real, on_fake)
            right["d_real"].append(accuracy(on_real, self.loss.boundary, real=True))
            right["d_fake"].append(accuracy(on_fake, self.loss.boundary, real=False))
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
        distances, varied = [], []
        for name, x, reference in zip(self.averages, self.held, reversed(self.references), strict=True):
            found = self.features(torch.cat(list(self._results(name, x))))
            distances.append(kernel_distance(found, reference))
            varied.append(diversity(found) / diversity(reference))
        return {"figure": sum(distances) / 2, "forth": distances[0], "back": distances[1], "diversity": min(varied)}

    @torch.inference_mode()
    def sheet(self) -> list[Images]:
        """Pictures of A, what becomes of them, pictures of B, and what becomes of them: a row each."""
        rows = []
        for name, x in zip(self.averages, self.held, strict=True):
            some = x[_spread(len(x))]
            rows += [shown(some), shown(torch.cat(list(self._results(name, some))))]
        return rows

    @torch.inference_mode()
    def example(self) -> tuple[Tensor | None, Tensor]:
        return self.held[0][:1], next(self._results("forth", self.held[0][:1]))

    def state(self) -> dict[str, Any]:
        return {name: pool.pictures for name, pool in self.pools.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, pool in self.pools.items():
            pool.pictures = [x.to(self.machine.device) for x in state[name]]

    def _results(self, name: str, pictures: Tensor) -> Iterator[Tensor]:
        for x in pictures.split(8):
            yield self.averages[name].network(x.to(self.machine.device)).float().cpu()
