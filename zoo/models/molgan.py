"""MolGAN: molecules from noise, all atoms and all bonds at once.

De Cao, Kipf, "MolGAN: An implicit generative model for small molecular graphs", 2018, https://arxiv.org/abs/1805.11973
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.model import Generator

ORDERS = 4  # no bond, single, double, triple: molecules are in the form of Kekulé, without aromatic bonds
SHARPNESS = 1.5  # of the scores of a class


class MolGAN(Generator):
    """The generator of the paper: perceptrons from a latent vector to the classes of atoms and of bonds.

    Departures: layer norm and GELU between the layers in place of tanh, one score for each pair of atoms, so that bonds
    are symmetric by design, no aromatic bonds, and scores of a class at a fixed length: softmax never comes so close to
    zero or one that nothing is learnt any more. The largest score is the class: no noise is added when sampling.

    Args:
        atoms: the most of a molecule.
        elements: how many there are.
        latent: length of the latent vector, standard normal.
        widths: of the hidden layers.
    """

    def __init__(
        self, atoms: int = 9, elements: int = 4, latent: int = 32, widths: Sequence[int] = (128, 256, 512)
    ) -> None:
        super().__init__()
        self.atoms, self.latent_shape = atoms, (latent,)
        self.pairs = atoms * (atoms - 1) // 2
        layers: list[nn.Module] = []
        for before, after in pairwise((latent, *widths)):
            layers += [nn.Linear(before, after), nn.LayerNorm(after), nn.GELU()]
        self.layers = nn.Sequential(*layers)
        self.atom_scores = nn.Linear(widths[-1], atoms * (1 + elements))
        self.bond_scores = nn.Linear(widths[-1], self.pairs * ORDERS)
        numbers = {pair: number for number, pair in enumerate(combinations(range(atoms), 2))}
        # The pair of each two atoms; one more for an atom and itself. No tensor, which would belong to the weights.
        self.places = [[numbers.get((min(a, b), max(a, b)), self.pairs) for b in range(atoms)] for a in range(atoms)]

    @torch.no_grad()
    def init_scores(self, atoms: Tensor, bonds: Tensor) -> None:
        """Begin with the shares that classes have in the data.

        Args:
            atoms: share of each class ``(atoms, 1 + elements)`` at each place.
            bonds: share of each order ``(atoms, atoms, 4)`` between each two.
        """
        first, second = torch.triu_indices(self.atoms, self.atoms, 1)
        self.atom_scores.bias.add_(atoms.clamp_min(1e-3).log().flatten())
        self.bond_scores.bias.add_(bonds[first, second].clamp_min(1e-3).log().flatten())

    def decode(self, z: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]  # a graph is two tensors
        """Latents ``(N, latent)`` to probabilities of atoms ``(N, atoms, 1 + elements)`` and bonds.

        Of atoms, class 0 is "no atom". Bonds are ``(N, 5, atoms, atoms)``, symmetric: none, single, double, triple, and
        aromatic, whose probability is 0.
        """
        hidden = self.layers(z)
        atoms = _probabilities(self.atom_scores(hidden).unflatten(1, (self.atoms, -1)))
        pairs = _probabilities(self.bond_scores(hidden).unflatten(1, (self.pairs, ORDERS)))
        alone = F.one_hot(pairs.new_zeros(len(pairs), 1, dtype=torch.long), ORDERS).to(pairs.dtype)
        places = torch.tensor(self.places, device=pairs.device)
        bonds = F.pad(torch.cat([pairs, alone], 1), (0, 1))[:, places]
        return atoms, bonds.permute(0, 3, 1, 2)


def _probabilities(scores: Tensor) -> Tensor:
    """Scores ``(..., classes)``, brought to mean 0 and deviation :data:`SHARPNESS`, through softmax."""
    probabilities: Tensor = (SHARPNESS * F.layer_norm(scores, scores.shape[-1:])).softmax(-1)
    return probabilities
