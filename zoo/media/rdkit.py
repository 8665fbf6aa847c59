"""RDKit, an optional package: whether molecules can be, what they are like, drawings and SDF."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image

from zoo.arrays import Array
from zoo.errors import InputError, MediaError, ZooError
from zoo.media.smiles import Graph


class Rdkit:
    """The few things of RDKit that are needed; what it says on the standard error is kept quiet."""

    def __init__(self) -> None:
        from rdkit import Chem, rdBase
        from rdkit.Chem import QED, Crippen, Draw, rdDepictor, rdFingerprintGenerator

        self.chem: Any = Chem
        self.draw: Any = Draw
        self.depict: Any = rdDepictor
        self.log_p: Any = getattr(Crippen, "MolLogP")  # noqa: B009 - its stubs lack it
        self.qed: Any = QED.qed
        self.morgan: Any = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)
        self.quiet = rdBase.BlockLogs

    def mol(self, smiles: str) -> Any:
        """RDKit's molecule; None if it cannot be."""
        with self.quiet():
            return self.chem.MolFromSmiles(smiles)

    def smiles(self, mol: Any) -> str:
        return str(self.chem.MolToSmiles(mol))

    def plain(self, smiles: str) -> Graph | None:
        """Atoms and bonds without aromatic ones; None for charges, radicals, and what cannot be."""
        mol = self.mol(smiles)
        if mol is None or any(atom.GetFormalCharge() or atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
            return None
        self.chem.Kekulize(mol, clearAromaticFlags=True)
        bonds = [
            (*sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())), int(bond.GetBondTypeAsDouble()))
            for bond in mol.GetBonds()
        ]
        return Graph(tuple(atom.GetSymbol() for atom in mol.GetAtoms()), tuple(bonds))

    def properties(self, smiles: str) -> tuple[float, float]:
        """The logP (Wildman and Crippen 1999) and QED (Bickerton et al. 2012) of a molecule that can be."""
        mol = self.mol(smiles)
        return float(self.log_p(mol)), float(self.qed(mol))

    def fingerprint(self, smiles: str) -> Array:
        """The Morgan fingerprint of a molecule that can be, 1024 values of 0 or 1."""
        bits: Array = self.morgan.GetFingerprintAsNumPy(self.mol(smiles))
        return bits

    def drawn(self, smiles: str, side: int) -> Image.Image | None:
        """A drawing of ``side`` pixels, of what cannot be, too; None if there is none."""
        with self.quiet():
            try:
                mol = self.chem.MolFromSmiles(smiles) or self.chem.MolFromSmiles(smiles, sanitize=False)
                image: Image.Image = self.draw.MolToImage(mol, size=(side, side), kekulize=False)
            except (RuntimeError, ValueError):  # of all that C++ throws
                return None
            return image.convert("RGB")

    def sdf(self, smiles: Sequence[str], names: Sequence[str]) -> str:
        """All molecules as SDF, laid out in the plane."""
        blocks = []
        for text, name in zip(smiles, names, strict=True):
            mol = self.mol(text)
            if mol is None:
                raise InputError(f"{name}, {text!r}, cannot be: its valences are wrong: write .smi, or leave it out.")
            with self.quiet():
                self.depict.Compute2DCoords(mol)
                mol.SetProp("_Name", " ".join(name.split()))
                blocks.append(f"{self.chem.MolToMolBlock(mol)}$$$$\n")
        return "".join(blocks)

    def read(self, content: bytes, what: str) -> Iterator[tuple[str, str]]:
        """Name and SMILES of every molecule of an SDF."""
        with self.quiet():
            for number, mol in enumerate(self.chem.ForwardSDMolSupplier(io.BytesIO(content)), 1):
                if mol is None:
                    raise MediaError(
                        f"{what}: molecule {number} is damaged, or its valences are wrong: repair it, or leave it out."
                    )
                yield mol.GetProp("_Name") if mol.HasProp("_Name") else "", self.smiles(mol)


def load_rdkit(what: str) -> Rdkit:
    """RDKit.

    Raises:
        ZooError: if it is not installed; ``what`` is needed for, as in "SDF needs".
    """
    try:
        return Rdkit()
    except ImportError:
        raise ZooError(f"{what} RDKit: pip install 'generative-zoo[molecules]'.") from None
