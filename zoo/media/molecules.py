"""Molecules as users hold them: SMILES, atoms and bonds; files, drawings, and whether they can be.

SMILES are read and written here. RDKit (``pip install 'generative-zoo[molecules]'``) says whether valences are right,
draws, and reads and writes SDF.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from zoo.errors import InputError, MediaError, ZooError
from zoo.files import atomic_write, read_small
from zoo.media.base import Samples
from zoo.media.image_encode import WRITES as IMAGES
from zoo.media.image_encode import write as write_image
from zoo.media.image_names import file_names
from zoo.media.rdkit import Rdkit, load_rdkit
from zoo.media.smiles import Graph, parse, write
from zoo.media.sources import FileKind, check_path, check_target, named_files, read_object

_SIDE = 200  # pixels of a drawing
_SHOWN = 64  # molecules of a preview, at most
_DRAWN = 1_000  # molecules of a drawing, at most
_LARGEST = 500_000_000  # bytes of a file
MOLECULES = FileKind(
    "molecules",
    "a molecule",
    (".smi", ".smiles", ".sdf", ".mol"),
    lambda head: False,  # text has no mark at its beginning
    "SMILES as .smi, or .sdf",
)
_KINDS = {".smi": "SMILES", ".smiles": "SMILES", ".sdf": "SDF", **IMAGES}
WRITES = tuple(_KINDS)


class Molecules(Samples):
    """A sequence of molecules.

    Attributes:
        smiles: each as SMILES: as it was given, or written here of atoms and bonds.
        graphs: atoms and bonds of each.
        names: where each came from, or ``0000``, ``0001``, ... .
        seed: the seed that they were generated from; None for others.

    Args:
        molecules: SMILES, or atoms and bonds.
        names: of each.
        seed: likewise.

    Raises:
        InputError: for what is no SMILES, naming the place, and another number of names.
    """

    kind = "molecules"
    noun = "molecules"

    def __init__(
        self, molecules: Iterable[str | Graph], names: Sequence[str] | None = None, seed: int | None = None
    ) -> None:
        molecules = list(molecules)
        self.graphs = [parse(one) if isinstance(one, str) else one for one in molecules]
        self.smiles = [one if isinstance(one, str) else write(one) for one in molecules]
        self._set_names(len(molecules), names)
        self.seed = seed

    @classmethod
    def of(cls, source: Any) -> Molecules:
        """Molecules of anything that holds them.

        Args:
            source: one of these, or a list or tuple of them, which may be mixed:

                - SMILES, such as ``"CCO"``
                - the path of a file that ends in .smi (SMILES and maybe a name on each line) or .sdf, or, as a
                  ``Path``, of a folder
                - the bytes of such a file, or an open file
                - a molecule of RDKit
                - Molecules

        Raises:
            InputError: for what holds no molecules, with the reason.
            MediaError: for a file that is damaged.
            ZooError: for SDF if RDKit is not installed.
        """
        if isinstance(source, Molecules):
            return source
        items = list(_read(source))
        names = [name for name, _ in items]
        return cls([text for _, text in items], names if all(names) else None)

    @classmethod
    def concat(cls, parts: Iterable[Molecules]) -> Molecules:
        """The molecules of several, one after the other, under their names."""
        parts = list(parts)
        molecules = cls([], [])
        for part in parts:
            molecules.graphs += part.graphs
            molecules.smiles += part.smiles
            molecules.names += part.names
        return molecules

    def __len__(self) -> int:
        return len(self.smiles)

    def __iter__(self) -> Iterator[Molecules]:
        return (self[i] for i in range(len(self)))

    def _chosen(self, index: slice) -> Molecules:
        molecules = Molecules([], [], self.seed)
        molecules.graphs, molecules.smiles, molecules.names = self.graphs[index], self.smiles[index], self.names[index]
        return molecules

    @property
    def atoms(self) -> list[tuple[str, ...]]:
        """The symbols of the atoms of each molecule; hydrogens that SMILES leave out are left out."""
        return [graph.atoms for graph in self.graphs]

    @property
    def bonds(self) -> list[tuple[tuple[int, int, int], ...]]:
        """The bonds of each molecule: two atoms and the kind, 1 to 3 for single to triple, 4 for aromatic."""
        return [graph.bonds for graph in self.graphs]

    @property
    def valid(self) -> list[bool]:
        """Whether each can be: its valences are right, and it has an atom.

        Raises:
            ZooError: if RDKit is not installed.
        """
        rdkit = load_rdkit("To say whether molecules are valid needs")
        return [bool(text) and rdkit.mol(text) is not None for text in self.smiles]

    def save(self, path: str | os.PathLike[str], *, format: str | None = None, bits: int = 8) -> None:
        """Write to a file, or into a folder, one file each, under their names; nothing is left half written.

        Args:
            path: a file ends in .smi (SMILES and name on each line), .sdf, or .png and other endings of images for a
                drawing; a folder exists, has no ending, or ends in /.
            format: smi, sdf, png or another of images, for the files in a folder; smi by default.
            bits: of each value of a drawing, 8.

        Raises:
            InputError: for another ending, SDF of a molecule that cannot be, and a drawing of more than 1,000.
            MediaError: where the disk does not take it.
            ZooError: for SDF and drawings if RDKit is not installed.
        """
        folder, target = self.check_output(path, format=format, bits=bits), Path(path)
        if not folder:
            return self._write(target, target.suffix.lower())
        suffix = self.ending(format)
        for one, name in zip(self, file_names(self.names, suffix), strict=True):
            one._write(target / name, suffix)
        return None

    def _write(self, path: Path, suffix: str) -> None:
        if suffix in IMAGES:
            check_drawn(len(self), suffix)
            return write_image(_sheet(self.smiles), path)
        if suffix == ".sdf":
            text = load_rdkit("SDF needs").sdf(self.smiles, self.names)
        else:
            pairs = zip(self.smiles, self.names, strict=True)
            text = "".join(f"{smiles}\t{' '.join(name.split())}\n" for smiles, name in pairs)
        try:
            with atomic_write(path) as aside:
                aside.write_bytes(text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise MediaError(f"{path} cannot be written: {error.strerror or error}.") from None
        return None

    @classmethod
    def check_output(cls, path: str | os.PathLike[str], *, format: str | None = None, bits: int | None = None) -> bool:
        """Refuse what :meth:`save` would, before any time is spent on it, and say whether the path is a folder."""
        if bits not in (None, 8):
            raise InputError(f"{path}: molecules have no bits: leave them out.")
        folder = check_target(path, WRITES, cls.noun)
        typed = Path(path).suffix.lower()
        suffix = cls.ending(format) if folder or format else typed
        if not folder and _KINDS[suffix] != _KINDS[typed]:
            raise InputError(f"{path}, and the format is {format}: give {Path(path).stem}{suffix}.")
        if suffix not in (".smi", ".smiles"):
            load_rdkit("SDF needs" if suffix == ".sdf" else "Drawings of molecules need")
        return folder

    @classmethod
    def ending(cls, format: str | None = None) -> str:
        """With the dot, what files in a folder end in: .smi by default."""
        suffix = f".{str(format or 'smi').lower().lstrip('.')}"
        suffix = ".jpg" if suffix == ".jpeg" else suffix
        if suffix not in WRITES:
            raise InputError(f"{format!r} is no format of molecules: use {', '.join(WRITES)}.")
        return suffix

    def preview(self) -> Image.Image:
        """Drawings of the first 64 molecules, side by side; the SMILES where RDKit is missing, or does not draw one."""
        return _sheet(self.smiles[:_SHOWN])


def check_drawn(n: int, suffix: str) -> None:
    """Refuse a drawing of more molecules than one has room for.

    Args:
        n: how many molecules there are.
        suffix: what the file ends in.
    """
    if suffix in IMAGES and n > _DRAWN:
        raise InputError(f"A drawing shows {_DRAWN:,} molecules at most, not {n:,}: write .smi or .sdf.")


def _sheet(smiles: Sequence[str]) -> Image.Image:
    try:
        rdkit: Rdkit | None = load_rdkit("Drawings of molecules need")
    except ZooError:
        rdkit = None
    columns = max(1, min(len(smiles), max(4, math.ceil(math.sqrt(len(smiles))))))
    rows = max(-(-len(smiles) // columns), 1)
    sheet = Image.new("RGB", (columns * _SIDE, rows * _SIDE), "white")
    for number, text in enumerate(smiles):
        image = (rdkit.drawn(text, _SIDE) if rdkit else None) or _as_text(text)
        sheet.paste(image, (number % columns * _SIDE, number // columns * _SIDE))
    return sheet


def _as_text(smiles: str) -> Image.Image:
    image = Image.new("RGB", (_SIDE, _SIDE), "white")
    lines = [smiles[i : i + 30] for i in range(0, min(len(smiles), 300), 30)]
    ImageDraw.Draw(image).multiline_text((8, 8), "\n".join(lines), fill="black")
    return image


def _read(source: Any, item: str = "") -> Iterator[tuple[str, str | Graph]]:
    """Name (may be empty) and SMILES or graph of every molecule in the source; errors call it ``item``."""
    if isinstance(source, Molecules):
        yield from zip(source.names, source.smiles, strict=True)
    elif isinstance(source, Samples):
        raise InputError(
            f"{item or type(source).__name__} holds {source.noun}, and no molecules: give SMILES, or a path."
        )
    elif isinstance(source, str) and Path(source).suffix.lower() not in MOLECULES.suffixes:
        text = source.strip()
        try:
            parse(text, item or "The SMILES")
        except InputError as error:
            more = " A file of molecules ends in .smi or .sdf." if os.sep in text else ""
            raise InputError(f"{error}{more}") from None
        yield "", text
    elif isinstance(source, (str, os.PathLike)):
        for _, path in named_files(check_path(source, "molecules"), MOLECULES):
            yield from _of_file(path)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        yield from smiles_of(bytes(source), item or "The bytes")
    elif hasattr(source, "GetNumAtoms"):  # RDKit's
        yield "", load_rdkit("Molecules of RDKit need").smiles(source)
    elif hasattr(source, "read"):
        what, content = read_object(source, item or "The file")
        yield from smiles_of(content, what)
    elif isinstance(source, Iterable) and not isinstance(source, (dict, np.ndarray)):
        for number, part in enumerate(source):
            yield from _read(part, f"Molecule {number}")
    else:
        raise InputError(f"{item or type(source).__name__} holds no molecules: give SMILES, or a .smi or .sdf file.")


def _of_file(path: Path) -> Iterator[tuple[str, str]]:
    try:
        content = read_small(path, _LARGEST)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except (OSError, ValueError) as error:
        raise MediaError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    yield from smiles_of(content, str(path))


def smiles_of(content: bytes, what: str) -> Iterator[tuple[str, str]]:
    """Name and SMILES of every molecule of a file, by its content; errors call it ``what``."""
    if not content.strip():
        raise MediaError(f"{what}: holds no molecules: get the file again.")
    if b"M  END" in content or b"$$$$" in content:
        yield from load_rdkit("SDF needs").read(content, what)
        return
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MediaError(f"{what}: no molecules, whatever the name says: use {MOLECULES.formats}.") from None
    for number, line in enumerate(text.splitlines(), 1):
        smiles, _, name = line.strip().partition(" " if "\t" not in line else "\t")
        if not smiles or (number == 1 and smiles.lower() == "smiles"):  # a heading
            continue
        try:
            parse(smiles)
        except InputError as error:
            raise MediaError(f"{what}, line {number}: {error}") from None
        yield name.strip(), smiles
