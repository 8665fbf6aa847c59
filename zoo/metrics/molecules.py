"""Figures of molecules: which can be, which differ, which are new; and how their properties are distributed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from zoo.arrays import Array
from zoo.media.molecules import Molecules
from zoo.media.rdkit import load_rdkit


def canonical(molecules: Molecules) -> list[str]:
    """The valid ones as RDKit writes them: it sanitises them, and they are one piece."""
    rdkit = load_rdkit("To measure molecules needs")
    mols = [rdkit.mol(smiles) for smiles in molecules.smiles if smiles and "." not in smiles]
    return [rdkit.smiles(mol) for mol in mols if mol is not None]


def shares(molecules: Molecules, known: Collection[str] = ()) -> tuple[float, float, float]:
    """Shares of the valid ones, of different ones among these, and of new ones among the different ones.

    Args:
        molecules: as they were drawn.
        known: those that are not new, as RDKit writes them.
    """
    valid = canonical(molecules)
    unique = set(valid)
    new = sum(smiles not in known for smiles in unique)
    return len(valid) / len(molecules), len(unique) / max(1, len(valid)), new / max(1, len(unique))


def properties(smiles: Sequence[str]) -> Array:
    """The logP and QED of valid molecules, ``(N, 2)``."""
    rdkit = load_rdkit("To measure molecules needs")
    return np.array([rdkit.properties(one) for one in smiles]).reshape(-1, 2)


def fingerprints(smiles: Sequence[str]) -> Array:
    """Which atoms with which neighbours valid molecules have: Morgan fingerprints, uint8 ``(N, 1024)`` of 0 and 1.

    Of neighbourhoods up to two bonds from an atom: Rogers, Hahn, "Extended-Connectivity Fingerprints", 2010,
    https://doi.org/10.1021/ci100050t
    """
    rdkit = load_rdkit("To compare molecules needs")
    return np.array([rdkit.fingerprint(one) for one in smiles], np.uint8)


def wasserstein(a: Array, b: Array) -> float:
    """The 1-Wasserstein distance of two sets of numbers: the area between their distribution functions."""
    both = np.sort(np.concatenate([a, b]))
    shares = (np.searchsorted(np.sort(x), both[:-1], side="right") / len(x) for x in (a, b))
    first, second = shares
    return float(np.sum(np.abs(first - second) * np.diff(both)))
