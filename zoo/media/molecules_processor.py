"""Between molecules and a network: atoms and bonds as one-hot tensors, as MolGAN has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.arrays import Array
from zoo.errors import InputError, RegistryError
from zoo.media.base import Prepared, Processor
from zoo.media.molecules import Molecules
from zoo.media.smiles import KINDS, VALENCES, Graph, is_valid
from zoo.registry.facts import Format


class MoleculesProcessor(Processor[Molecules]):
    """Molecules for a network that takes and gives two tensors, as MolGAN does (De Cao and Kipf 2018).

    Atoms are ``(N, atoms, 1 + elements)``: the first class is "no atom", since molecules have fewer than the most, then
    come the elements in the order of the registry. Bonds are ``(N, 5, atoms, atoms)``: none, single, double, triple,
    aromatic. Of what a network gives, the largest class counts, and bonds are made symmetric first.

    Raises:
        RegistryError: for a format without elements or atoms.
    """

    kind = "molecules"
    unit = "atoms"

    def __init__(self, input: Format, output: Format) -> None:
        super().__init__(input, output)
        declared = input if input.elements else output  # one that only generates has no input
        if not declared.elements or not declared.atoms:
            raise RegistryError("A network for molecules needs the elements and the most atoms in its format.")
        self.elements, self.atoms = tuple(declared.elements), declared.atoms
        if self.selects and not set(self.elements) <= VALENCES.keys():
            raise RegistryError(
                f"Only molecules of {', '.join(VALENCES)} can be promised to be valid: leave valid out."
            )

    def read(self, source: Any, **limits: Any) -> Molecules:
        """As :meth:`zoo.Molecules.of`."""
        return Molecules.of(source)

    def prepare(self, sample: Molecules) -> Prepared[Molecules]:
        """Atoms and bonds as two arrays of zeros and ones.

        Raises:
            InputError: for more atoms than the network takes, and an element that it does not know.
        """
        (graph,), (smiles,) = sample.graphs, sample.smiles
        if len(graph.atoms) > self.atoms:
            raise InputError(
                f"{smiles!r} has {len(graph.atoms)} atoms, and the network takes at most {self.atoms}: leave it out."
            )
        atoms = np.zeros((self.atoms, 1 + len(self.elements)), np.float32)
        bonds = np.zeros((len(KINDS), self.atoms, self.atoms), np.float32)
        for number in range(self.atoms):
            atoms[number, self._class(graph, number, smiles)] = 1
        bonds[0] = 1
        for a, b, kind in graph.bonds:
            bonds[0, [a, b], [b, a]] = 0
            bonds[kind, [a, b], [b, a]] = 1
        return Prepared(sample, [(atoms, bonds)], ())

    def _class(self, graph: Graph, number: int, smiles: str) -> int:
        if number >= len(graph.atoms):
            return 0
        if graph.atoms[number] not in self.elements:
            known = ", ".join(self.elements)
            raise InputError(
                f"{smiles!r} has the element {graph.atoms[number]}, and the network knows {known}: leave it out."
            )
        return 1 + self.elements.index(graph.atoms[number])

    def seen(self, samples: Molecules) -> Molecules:
        """The same molecules."""
        return samples

    def restore(self, outputs: Sequence[Any], prepared: Prepared[Any] | None = None) -> Molecules:
        """The molecule that a network gave as scores of atoms and of bonds."""
        atoms, bonds = (np.asarray(array) for array in outputs[0])
        graph = self._graph(atoms.argmax(-1), (bonds + bonds.swapaxes(-1, -2)).argmax(0))
        return Molecules([graph], prepared.sample.names if prepared else None)

    @property
    def selects(self) -> bool:
        """Whether the registry promises valid molecules."""
        return bool(self.output.valid)

    def accepts(self, sample: Molecules) -> bool:
        """Whether valences are right and all is one piece, by own rules: results are the same without RDKit."""
        return not self.selects or all(map(is_valid, sample.graphs))

    def _graph(self, atoms: Any, bonds: Any) -> Graph:
        there = np.flatnonzero(atoms).tolist()
        pairs = [(i, j, int(bonds[a, b])) for i, a in enumerate(there) for j, b in enumerate(there) if i < j]
        return Graph(tuple(self.elements[atoms[a] - 1] for a in there), tuple(pair for pair in pairs if pair[2]))

    def lengths(self, sample: Molecules) -> tuple[int, ...]:
        """None: a molecule goes through the network whole."""
        return ()

    def values(self, samples: Molecules) -> list[Array]:
        """The tensors of each molecule."""
        arrays = [next(iter(self.prepare(one).arrays)) for one in samples]
        return [np.concatenate([atoms.ravel(), bonds.ravel()]) for atoms, bonds in arrays]

    def positions(self, lengths: Sequence[int]) -> int:
        """Pairs of atoms, on which a network's memory depends."""
        return self.atoms**2

    def result_values(self, lengths: Sequence[int]) -> int:
        """Values of the two arrays of one molecule."""
        return self.atoms * (1 + len(self.elements)) + len(KINDS) * self.atoms**2

    def generated_positions(self) -> int | None:
        """Pairs of atoms."""
        return self.atoms**2

    def held(self, sample: Molecules) -> int:
        """Atoms in memory."""
        return sum(map(len, sample.atoms))

    def example_samples(self, n: int) -> Molecules:
        """Chains with single bonds, of which no two have the same length and elements."""
        chains = []
        for number in range(n):
            length = 1 + number % self.atoms
            first = number // self.atoms
            symbols = tuple(self.elements[(first + i // 2) % len(self.elements)] for i in range(length))
            chains.append(Graph(symbols, tuple((i, i + 1, 1) for i in range(length - 1))))
        return Molecules(chains)
