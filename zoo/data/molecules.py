"""Molecules that a network for graphs is trained on: atoms and bonds as numbers, in batches as zeros and ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.batch import Batch, Batches, batch_indices
from zoo.media.smiles import Graph


def pack(atoms: Tensor, bonds: Tensor) -> Tensor:
    """Atoms ``(N, A, C)`` and bonds ``(N, K, A, A)`` as one tensor ``(N, A, C + K * A)``: a row is an atom's all."""
    return torch.cat([atoms, bonds.transpose(1, 2).flatten(2)], 2)


def unpack(x: Tensor, kinds: int) -> tuple[Tensor, Tensor]:
    """Back from :func:`pack`, for ``kinds`` of bonds."""
    count = x.shape[1]
    atoms, bonds = x.split([x.shape[2] - kinds * count, kinds * count], 2)
    return atoms, bonds.unflatten(2, (kinds, count)).transpose(1, 2)


class GraphBatches(Batches):
    """Molecules as ``target``, in the form of :func:`pack`.

    Args:
        graphs: with single, double and triple bonds.
        elements: their symbols, in the order of the network's classes.
        atoms: the most that one has.
    """

    kinds = 4  # none, single, double, triple

    def __init__(self, graphs: Sequence[Graph], elements: Sequence[str], atoms: int) -> None:
        classes = {symbol: number for number, symbol in enumerate(elements, 1)}
        numbers = np.zeros((len(graphs), atoms, 1 + atoms), np.int8)
        for row, graph in zip(numbers, graphs, strict=True):
            row[: len(graph.atoms), 0] = [classes[symbol] for symbol in graph.atoms]
            for first, second, kind in graph.bonds:
                row[first, 1 + second] = row[second, 1 + first] = kind
        self.numbers, self.elements = torch.from_numpy(numbers), tuple(elements)

    def __len__(self) -> int:
        return len(self.numbers)

    def sets(self) -> list[Tensor | Sequence[Tensor]]:
        return [self.numbers]

    def batch(self, step: int, size: int, rank: int = 0, world: int = 1) -> Batch:
        atoms, bonds = self.at(batch_indices(step, len(self), size, 0)[rank::world])
        return {"target": pack(atoms, bonds)}

    def at(self, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Atoms ``(N, A, 1 + elements)`` and bonds ``(N, 4, A, A)`` of some, zeros and ones."""
        numbers = self.numbers[rows].long()
        atoms = F.one_hot(numbers[..., 0], 1 + len(self.elements)).float()
        return atoms, F.one_hot(numbers[..., 1:], self.kinds).permute(0, 3, 1, 2).float()

    def independent(self, n: int, seed: int = 0) -> list[Graph]:
        """Molecules whose atoms and bonds are drawn each by itself, with their shares at each place in the data."""
        table = self.numbers.flatten(1)
        rows = torch.randint(len(table), (n, table.shape[1]), generator=torch.Generator().manual_seed(seed))
        drawn = table[rows, torch.arange(table.shape[1])].unflatten(1, self.numbers.shape[1:])
        return [self._graph(one) for one in drawn]

    def _graph(self, numbers: Tensor) -> Graph:
        """A molecule of its atoms' classes and the bonds above the diagonal ``(A, 1 + A)``; others are left out."""
        there = numbers[:, 0].nonzero().flatten()
        bonds = numbers[there][:, 1 + there].triu(1)
        pairs = ((*pair, int(bonds[tuple(pair)])) for pair in bonds.nonzero().tolist())
        return Graph(tuple(self.elements[number - 1] for number in numbers[there, 0].tolist()), tuple(pairs))
