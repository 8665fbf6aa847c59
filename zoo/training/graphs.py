"""Adversarial training of a generator of molecules: atoms and bonds are classes, and valences count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.data.molecules import GraphBatches, pack, unpack
from zoo.media.base import Samples
from zoo.media.molecules import Molecules
from zoo.media.molecules_processor import MoleculesProcessor
from zoo.media.smiles import VALENCES
from zoo.metrics.molecules import shares
from zoo.model import Generator
from zoo.registry.facts import Format
from zoo.training.adversary import Adversary
from zoo.training.discriminators import minibatch_deviation
from zoo.training.objective import Objective, TrainableNetwork, optimizer_step
from zoo.training.runtime import Runtime

CHUNK = 500
R1_SAMPLES = 32  # of a batch, that the penalty is measured on: on all of 128 a step takes half as long again
BANDWIDTHS = (4.0, 12.0, 36.0)  # of the kernels that compare batches, in places where two molecules differ
SET = 16  # samples that D sees together, for how much they vary


class Valences(nn.Module):
    """What is wrong with molecules, from atoms ``(N, A, 1 + elements)`` and bonds ``(N, 4, A, A)``, with a gradient.

    Args:
        elements: their symbols, in the order of the classes.
    """

    def __init__(self, elements: tuple[str, ...]) -> None:
        super().__init__()
        self.register_buffer("valences", torch.tensor([0.0, *(VALENCES[symbol] for symbol in elements)]))
        self.register_buffer("orders", torch.arange(1.0, GraphBatches.kinds))

    def excess(self, atoms: Tensor, bonds: Tensor) -> Tensor:
        """The sum of the orders of each atom's bonds above its valence ``(N, A)``; below 0, hydrogens are added."""
        orders = torch.einsum("nkij,k->ni", bonds[:, 1:], self.get_buffer("orders"))
        return orders - atoms @ self.get_buffer("valences")

    @staticmethod
    def earlier(bonds: Tensor) -> Tensor:
        """How many earlier atoms each is bonded to ``(N, A)``: in the order of SMILES, all but the first to one."""
        return bonds[:, 1:].sum(1).tril(-1).sum(2)

    def penalty(self, atoms: Tensor, bonds: Tensor) -> Tensor:
        """Excess valences, atoms without an earlier one and gaps between atoms: a number for each molecule ``(N,)``."""
        there = 1 - atoms[..., 0]
        loose = F.relu(there - self.earlier(bonds))[:, 1:]
        gaps = F.relu(there[:, 1:] - there[:, :-1])
        return F.relu(self.excess(atoms, bonds)).sum(1) + loose.sum(1) + gaps.sum(1)


class RelationalDiscriminator(nn.Module):
    """Graph convolutions with weights for each kind of bond, and a gated sum over atoms, as in MolGAN.

    De Cao, Kipf 2018, https://arxiv.org/abs/1805.11973, with the layers of Schlichtkrull et al. 2017,
    https://arxiv.org/abs/1703.06103. Departures: each layer adds to the last; an atom comes with its place, its
    valence, the excess of it and how many earlier atoms it is bonded to; and a score depends on how much the molecules
    around it vary (Karras et al. 2017, https://arxiv.org/abs/1710.10196), against mode collapse.

    Args:
        elements: symbols of the atoms, in the order of the classes.
        atoms: the most of a molecule.
        width: numbers of an atom.
        layers: how many convolutions.
    """

    def __init__(self, elements: tuple[str, ...], atoms: int, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        classes, kinds = 1 + len(elements), GraphBatches.kinds - 1
        self.valences = Valences(elements)
        self.embedding = nn.Linear(classes + 4, width)
        self.places = nn.Parameter(torch.zeros(atoms, width))
        self.own = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.by_kind = nn.ModuleList(nn.Linear(width, kinds * width) for _ in range(layers))
        self.gate, self.value = (nn.Linear(width + classes, 2 * width) for _ in range(2))
        self.score = nn.Sequential(nn.Linear(2 * width + 1, 2 * width), nn.LeakyReLU(0.2), nn.Linear(2 * width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Molecules in the form of :func:`zoo.data.molecules.pack` to scores ``(N,)``."""
        atoms, bonds = unpack(x, GraphBatches.kinds)
        excess = self.valences.excess(atoms, bonds)
        valence = excess + atoms @ self.valences.get_buffer("valences")
        facts = torch.stack([valence / 4, excess, F.relu(excess), self.valences.earlier(bonds)], 2)
        hidden = F.leaky_relu(self.embedding(torch.cat([atoms, facts], 2)) + self.places, 0.2)
        joined = bonds[:, 1:].transpose(1, 2).flatten(2)  # (N, A, kinds * A)
        for own, by_kind in zip(self.own, self.by_kind, strict=True):
            messages = by_kind(hidden).unflatten(2, (-1, hidden.shape[2])).transpose(1, 2).flatten(1, 2)
            hidden = hidden + F.leaky_relu(own(hidden) + joined @ messages, 0.2)
        seen = torch.cat([hidden, atoms], 2)
        graph = (self.gate(seen).sigmoid() * self.value(seen).tanh()).sum(1) / len(self.own)
        varied = minibatch_deviation(graph, SET if len(graph) % SET == 0 else 1)[:, None]
        scores: Tensor = self.score(torch.cat([graph, varied], 1))
        return scores.flatten()


def batch_discrepancy(fake: Tensor, real: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of two batches, but for a constant (Gretton et al. 2012).

    Its gradient drives samples that are alike apart, and towards where the data are: as a loss by itself it is a
    generative moment matching network (Li et al. 2015, https://arxiv.org/abs/1502.02761).

    Args:
        fake: molecules in the form of :func:`zoo.data.molecules.pack`.
        real: likewise.
    """
    x, y = fake.flatten(1), real.flatten(1)
    places = fake.shape[1] * (1 + fake.shape[1])  # a one in each: of atoms, and of pairs in both directions

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        differing = places - a @ b.T
        return sum(((-differing / width).exp() for width in BANDWIDTHS), torch.zeros(()).to(a))

    within = kernel(x, x)
    n = len(x)
    alike: Tensor = (within.sum() - within.diagonal().sum()) / max(1, n * (n - 1)) - 2 * kernel(x, y).mean()
    return alike


class GraphGeneration(Objective):
    """G against D, where samples are molecules (De Cao and Kipf 2018, https://arxiv.org/abs/1805.11973).

    D sees the largest class of each atom and bond, as a user does, and gradients go through the probabilities
    (straight-through, Bengio et al. 2013, https://arxiv.org/abs/1308.3432). G minimises three losses: what it learns
    from D; in place of the paper's reward network, a penalty on what makes a molecule invalid; and, against mode
    collapse, how far its batches are from those of the data. The metric is minus the share of valid molecules times
    that of different ones among them.

    Args:
        config: keyword arguments of G's builder.
        g: a :class:`~zoo.models.molgan.MolGAN`.
        d: a network from molecules in the form of :func:`zoo.data.molecules.pack` to scores.
        data: the molecules.
        format: elements and most atoms.
        loss: a name in :data:`zoo.training.losses.LOSSES`.
        r1: weight of the R1 penalty.
        adversarial_weight: of what G learns from D.
        valence_weight: of :meth:`Valences.penalty`.
        variety_weight: of :func:`batch_discrepancy`, against mode collapse.
        n_samples: how many are measured.
        options: as for :class:`~zoo.training.objective.Objective`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        g: TrainableNetwork,
        d: TrainableNetwork,
        data: GraphBatches,
        *,
        format: Format,
        loss: str = "vanilla",
        r1: float = 10.0,
        adversarial_weight: float = 0.3,
        valence_weight: float = 4.0,
        variety_weight: float = 10.0,
        n_samples: int = 2_500,
        **options: Any,
    ) -> None:
        self.processor = MoleculesProcessor(format, format)
        super().__init__(config, {"g": g, "d": d}, ["g"], [data], **options)
        self.adversary = Adversary(d, loss, r1=r1, r1_samples=R1_SAMPLES)
        self.valences, self.n_samples = Valences(data.elements), n_samples
        self.weights = {"valence": valence_weight, "variety": variety_weight}
        self.adversarial_weight = adversarial_weight
        self.protocol = (
            f"minus the share of valid molecules times that of different ones among these, of {n_samples:,} drawn"
        )

    def abridge(self) -> None:
        self.n_samples = 16

    def start(self, runtime: Runtime) -> None:
        super().start(runtime)
        runtime.place(self.valences)

    def step(self, step: int) -> dict[str, Tensor]:
        g = self.networks["g"].network
        assert isinstance(g, Generator)
        real = self.batch(step)["target"]
        atoms, bonds = g.decode(torch.randn(len(real), *g.latent_shape).to(self.runtime.device))
        atoms, bonds = _straight_through(atoms, 2), _straight_through(bonds[:, : GraphBatches.kinds], 1)
        fake = pack(atoms, bonds)
        loss, logs = self.adversary.adversarial_step(self.runtime, real, fake)
        terms = {"valence": self.valences.penalty(atoms, bonds).mean(), "variety": batch_discrepancy(fake, real)}
        loss = self.adversarial_weight * loss + sum(self.weights[name] * term for name, term in terms.items())
        optimizer_step(self.runtime, loss, self.networks["g"])
        self.update_ema(step)
        return {**logs, **{f"loss_{name}": term.detach() for name, term in terms.items()}}

    def measure(self) -> dict[str, float]:
        valid, unique, _ = shares(Molecules.concat(self._samples(self.n_samples, seed=1)))
        return {"metric": -valid * unique, "valid": valid, "unique": unique, "diversity": unique}

    def sample_grid(self) -> list[Samples]:
        molecules = Molecules.concat(self._samples(24, seed=2))
        return [molecules[first : first + 4] for first in range(0, 24, 4)]

    def example(self) -> tuple[Tensor | None, Tensor]:
        return None, self._decoded(1, seed=2)[0]

    def _samples(self, n: int, seed: int) -> Iterator[Molecules]:
        for pair in zip(*(x.cpu().numpy() for x in self._decoded(n, seed)), strict=True):
            yield self.processor.restore([pair])

    @torch.no_grad()
    def _decoded(self, n: int, seed: int) -> tuple[Tensor, Tensor]:
        """Probabilities of atoms and of bonds of ``n`` samples."""
        network = self.averages["g"].network
        assert isinstance(network, Generator)
        noise = torch.randn(n, *network.latent_shape, generator=torch.Generator().manual_seed(seed))
        parts = [network.decode(z.to(self.runtime.device)) for z in noise.split(CHUNK)]
        atoms, bonds = (torch.cat(part) for part in zip(*parts, strict=True))
        return atoms, bonds


def _straight_through(probabilities: Tensor, dim: int) -> Tensor:
    """One for the largest along an axis and zero for the others, with the gradient of the probabilities."""
    largest = torch.zeros_like(probabilities).scatter_(dim, probabilities.argmax(dim, keepdim=True), 1.0)
    return largest + probabilities - probabilities.detach()
