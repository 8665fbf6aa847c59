"""Molecules: SMILES with and without RDKit, files, drawings, and the two tensors of a network."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from conftest import Registry, broken_rules
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import zoo
from zoo.errors import InputError, MediaError, RegistryError, ZooError
from zoo.media.molecules import Molecules
from zoo.media.molecules_processor import MoleculesProcessor
from zoo.media.smiles import Graph, parse, write
from zoo.model import Generator, Model
from zoo.registry.facts import Format

MANY = [
    "CCO",
    "c1ccccc1",
    "CC(=O)Oc1ccccc1C(=O)O",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "C[C@@H](C(=O)O)N",
    "c1ccccc1-c1ccccc1",
    "[NH4+].[Cl-]",
    "C1CC2CCC1CC2",
    "OC(=O)/C=C/C(=O)O",
    "C#N",
    "c1ccc2c(c1)[nH]c1ccccc12",
    "[13CH4]",
    "O=S(=O)(N)c1ccc(cc1)Br",
    "C12C3C4C1C5C4C3C25",
    "CC%12CCCCC%12",
    "[2H]O[2H]",
    "[Fe+2]",
    "*C",
]


@pytest.fixture
def no_rdkit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdkit", None)


def same(a: Graph, b: Graph) -> bool:
    """Whether two graphs are the same molecule, by RDKit: bonds as they are, nothing implied."""
    from rdkit import Chem

    kinds = [None, Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE, Chem.BondType.QUADRUPLE]

    def canonical(graph: Graph) -> str:
        mol = Chem.RWMol()
        for symbol in graph.atoms:
            mol.AddAtom(Chem.Atom(symbol))
        for first, second, kind in graph.bonds:
            mol.AddBond(first, second, kinds[kind])
        return Chem.MolToSmiles(mol)

    return canonical(a) == canonical(b)


@pytest.mark.parametrize("smiles", MANY)
def test_smiles_are_read_as_rdkit_reads_them_and_written_back(smiles: str) -> None:
    from rdkit import Chem

    graph = parse(smiles)
    mol = Chem.MolFromSmiles(smiles, sanitize=False)
    assert [atom.GetSymbol() for atom in mol.GetAtoms()] == list(graph.atoms)
    numbers = {1.0: 1, 2.0: 2, 3.0: 3, 1.5: 4}
    bonds = [
        (*sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())), numbers[bond.GetBondTypeAsDouble()])
        for bond in mol.GetBonds()
    ]
    assert sorted(bonds) == sorted(graph.bonds)
    assert same(parse(write(graph)), graph)


def test_rings_that_hang_together_by_one_bond_are_two() -> None:
    assert (5, 6, 1) in parse("c1ccccc1c1ccccc1").bonds, "which is no aromatic bond"


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    n = draw(st.integers(1, 12))
    atoms = tuple(draw(st.lists(st.sampled_from(["C", "N", "O", "Se", "Cl"]), min_size=n, max_size=n)))
    pairs = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda pair: pair[0] < pair[1])
    bonds = (
        draw(st.lists(st.tuples(pairs, st.integers(1, 3)), unique_by=lambda one: one[0], max_size=20)) if n > 1 else []
    )
    return Graph(atoms, tuple((a, b, kind) for (a, b), kind in bonds))


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_any_graph_is_written_and_read(graph: Graph) -> None:
    assert same(parse(write(graph)), graph)


@settings(max_examples=200, deadline=None)
@given(st.text("CNOc1(2)=#[]+-.%@Hl/\\ \n\0é", max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        graph = parse(text)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert graph.atoms


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        ("", "The SMILES is empty: give at least one atom"),
        ("C(", "wrong at character 2: a ( that is not closed"),
        ("C)", "wrong at character 2: a ) that closes no branch"),
        ("CC1CC", "wrong at character 3: ring 1 is not closed"),
        ("CX", "wrong at character 2: 'X' is no atom, bond, branch or ring"),
        ("C=", "wrong at character 2: a bond with no atom behind it"),
        ("=C", "wrong at character 1: a bond with no atom before it"),
        ("C11", "wrong at character 3: a bond that joins an atom with itself"),
        ("C=1CC#1", "wrong at character 7: ring 1 is closed with another bond"),
        ("C[Xx]", "wrong at character 2: there is no element 'Xx'"),
        ("C..C", "wrong at character 3: '.' with no atom before it"),
        ("C.", "wrong at character 2: a dot with no atom behind it"),
        ("[C", "wrong at character 1"),
        ("molecules/a", "A file of molecules ends in .smi or .sdf"),
    ],
)
def test_what_is_no_smiles_is_refused_with_its_place(smiles: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Molecules.of(smiles)
    assert message in str(caught.value)


def test_everything_that_holds_molecules(tmp_path: Path) -> None:
    from rdkit import Chem

    (tmp_path / "a.smi").write_text("smiles\tname\nCCO\tethanol\n\nC#N hydrogen cyanide\n")
    (tmp_path / "b.smi").write_text("c1ccccc1")
    molecules = Molecules.of(tmp_path / "a.smi")
    assert (molecules.smiles, molecules.names) == (["CCO", "C#N"], ["ethanol", "hydrogen cyanide"])
    assert Molecules.of(tmp_path).smiles == ["CCO", "C#N", "c1ccccc1"]
    assert Molecules.of(str(tmp_path / "a.smi")).smiles == molecules.smiles
    with (tmp_path / "a.smi").open("rb") as file:
        mixed = Molecules.of(["CCO", molecules, file, Chem.MolFromSmiles("OCC"), b"N\nO\n"])
    assert mixed.smiles == ["CCO", "CCO", "C#N", "CCO", "C#N", "CCO", "N", "O"]
    assert [one.smiles for one in molecules] == [["CCO"], ["C#N"]]
    assert molecules[1:].names == ["hydrogen cyanide"]
    assert Molecules.concat([molecules, mixed[:1]]).smiles == ["CCO", "C#N", "CCO"]
    assert molecules.atoms[0] == ("C", "C", "O")
    assert molecules.bonds[1] == ((0, 1, 3),)
    assert Molecules.of("CCO").smiles == ["CCO"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3, "int holds no molecules: give SMILES"),
        (None, "NoneType holds no molecules"),
        (np.zeros(3), "ndarray holds no molecules"),
        (["CCO", 3], "Molecule 1 holds no molecules"),
        (["CCO", "CX"], "Molecule 1 'CX' is wrong at character 2"),
        ("missing.smi", "missing.smi does not exist"),
        (b"", "The bytes: holds no molecules"),
        (b"CCO\nCX bad\n", "The bytes, line 2: The SMILES 'CX' is wrong at character 2"),
        (b"\xff\xfe\x00", "no molecules, whatever the name says: use SMILES as .smi, or .sdf"),
        (io.StringIO("CCO"), "gives str, not bytes"),
    ],
)
def test_bad_input_is_one_sentence(source: Any, message: str) -> None:
    with pytest.raises(ZooError) as caught:
        Molecules.of(source)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    molecules = Molecules(["CCO", "c1ccccc1"], ["ethanol", "a b\tc"])
    molecules.save(tmp_path / "m.smi")
    assert (tmp_path / "m.smi").read_text() == "CCO\tethanol\nc1ccccc1\ta b c\n"
    molecules.save(tmp_path / "m.sdf")
    again = Molecules.of(tmp_path / "m.sdf")
    assert (again.smiles, again.names) == (["CCO", "c1ccccc1"], ["ethanol", "a b c"])
    molecules.save(tmp_path / "m.png")
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")
    molecules.save(tmp_path / "folder")
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["a b\tc.smi", "ethanol.smi"]
    molecules.save(tmp_path / "drawings", format="png")
    assert sorted(path.suffix for path in (tmp_path / "drawings").iterdir()) == [".png", ".png"]
    wrong = Molecules(["C(C)(C)(C)(C)C"], ["five bonds"])
    assert wrong.valid == [False]
    with pytest.raises(InputError, match=r"five bonds, .* cannot be: its valences are wrong: write \.smi"):
        wrong.save(tmp_path / "wrong.sdf")
    with pytest.raises(InputError, match=r"molecules are not written as \.wav"):
        wrong.save(tmp_path / "wrong.wav")
    content = (tmp_path / "m.sdf").read_bytes()
    with pytest.raises(MediaError, match="molecule 1 is damaged, or its valences are wrong"):
        Molecules.of(content.replace(b"V2000", b"V2x00", 1))
    assert not list(tmp_path.glob("wrong*"))
    assert capfd.readouterr() == ("", ""), "RDKit is quiet"


def test_without_rdkit_smiles_still_work(tmp_path: Path, no_rdkit: None) -> None:
    molecules = Molecules.of(["CCO", "C#N"])
    molecules.save(tmp_path / "m.smi")
    assert Molecules.of(tmp_path / "m.smi").smiles == molecules.smiles
    assert molecules.preview().size == (400, 200), "the text"
    for needs in (
        lambda: molecules.valid,
        lambda: molecules.save(tmp_path / "m.sdf"),
        lambda: molecules.save(tmp_path / "m.png"),
        lambda: Molecules.of(b"\n\n\n  0  0\nM  END\n$$$$\n"),
    ):
        with pytest.raises(ZooError, match=r"need.? RDKit: pip install 'generative-zoo\[molecules\]'\.$"):
            needs()
    assert [path.name for path in tmp_path.iterdir()] == ["m.smi"]


def test_drawings() -> None:
    many = Molecules(["CCO", "C(C)(C)(C)(C)C", "c1ccccc1", "N", "O"])
    image = many.preview()
    assert image.size == (800, 400)
    assert np.asarray(image)[:200, :200].min() < 255
    assert Molecules([]).preview().size


ELEMENTS = ("C", "N", "O", "F")


def processor(**facts: Any) -> MoleculesProcessor:
    both = Format(kind="molecules", **{"elements": ELEMENTS, "atoms": 9, **facts})
    return MoleculesProcessor(both, both)


@pytest.mark.parametrize("smiles", ["CCO", "C", "c1ccncc1", "C#CC(=O)N", "FC1CC1", "C.O"])
def test_molecules_go_to_tensors_and_back(smiles: str) -> None:
    subject = processor()
    prepared = subject.prepare(Molecules([smiles], ["a"]))
    ((atoms, bonds),) = prepared.arrays
    assert (atoms.shape, bonds.shape) == ((9, 5), (5, 9, 9))
    assert (atoms.sum(1) == 1).all()
    assert (bonds.sum(0) == 1).all()
    np.testing.assert_array_equal(bonds, bonds.swapaxes(1, 2))
    made = subject.restore([(atoms, bonds)], prepared)
    assert made.names == ["a"]
    assert same(made.graphs[0], parse(smiles))


def test_scores_of_a_network_are_made_symmetric() -> None:
    atoms, bonds = np.zeros((9, 5)), np.zeros((5, 9, 9))
    atoms[:, 0] = 1
    atoms[[2, 5], [1, 3]] = 5  # C and O, with nothing between
    bonds[0] = 1
    bonds[2, 2, 5] = 9  # in one direction
    assert processor().restore([(atoms, bonds)]).smiles == ["C=O"]
    assert processor().restore([(np.eye(5)[[0] * 9], bonds)]).smiles == [""], "no atom at all"


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        ("CCCCCCCCCC", "has 10 atoms, and the network takes at most 9: leave it out"),
        ("CCl", "has the element Cl, and the network knows C, N, O, F"),
    ],
)
def test_molecules_that_the_network_does_not_take(smiles: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        processor().prepare(Molecules([smiles]))


def test_a_format_says_elements_and_atoms() -> None:
    with pytest.raises(RegistryError, match="needs the elements and the most atoms"):
        processor(elements=None)


def test_examples_are_what_the_network_takes() -> None:
    subject = processor()
    made = subject.example_samples(20)
    assert len(set(made.smiles)) == 20
    for one in made:
        subject.prepare(one)


class Chemist(Generator):
    """Toy: molecules of up to 9 atoms of 4 elements, ``(N, 9, 5)`` and ``(N, 5, 9, 9)``."""

    def __init__(self) -> None:
        super().__init__()
        self.latent_shape = (4,)
        self.linear = torch.nn.Linear(4, 45 + 405)

    def decode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Latents ``(N, 4)`` to scores of atoms ``(N, 9, 5)`` and of bonds ``(N, 5, 9, 9)``."""
        atoms, bonds = self.linear(z).split([45, 405], 1)
        return atoms.unflatten(1, (9, 5)), bonds.unflatten(1, (5, 9, 9))


class Mirror(Model):
    """Toy: the molecule that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Atoms ``(N, 9, 5)`` and bonds ``(N, 5, 9, 9)`` to the same."""
        return x[0] * self.weight, x[1] * self.weight


@pytest.fixture
def chemists(toys: Registry) -> None:
    torch.manual_seed(0)
    both = {"kind": "molecules", "elements": list(ELEMENTS), "atoms": 9}
    toys.add("chemist", Chemist(), verbs=["generate"], checkpoint={"output": both})
    toys.add("mirror", Mirror(), verbs=["reconstruct"], checkpoint={"input": both, "output": both})


def test_models_of_molecules(chemists: None, tmp_path: Path, zoo_command: Callable[..., Result]) -> None:
    molecules = zoo.load("chemist").generate(5, seed=1)
    assert (len(molecules), molecules.seed, len(set(molecules.smiles))) == (5, 1, 5)
    molecules.save(tmp_path / "m.smi")
    again = Molecules.of(tmp_path / "m.smi")
    assert again.smiles == molecules.smiles
    assert zoo.load("chemist").generate(2, seed=1).smiles == molecules.smiles[:2]
    some = Molecules.of(["CCO", "C#N", "c1ccncc1"])
    made = zoo.load("mirror").reconstruct(some)
    assert made.names == some.names
    assert all(same(a, b) for a, b in zip(made.graphs, some.graphs, strict=True))
    done = zoo_command("generate", "chemist", "-n", 5, "--seed", 1, "-o", tmp_path / "c.smi")
    assert (done.exit_code, done.stderr) == (0, f"{tmp_path}/c.smi: 5 molecules, seed 1\n")
    assert Molecules.of(tmp_path / "c.smi").smiles == molecules.smiles
    (tmp_path / "one.smi").write_text("CCO\n")
    done = zoo_command("reconstruct", "mirror", tmp_path / "one.smi", "-o", tmp_path / "d.smi")
    assert Molecules.of(tmp_path / "d.smi").smiles == ["CCO"], done.output
    done = zoo_command("reconstruct", "mirror", tmp_path / "m.smi", "-o", tmp_path / "e.smi")
    assert "it holds 5 molecules, and the command takes files of one" in done.stderr


@pytest.mark.parametrize("name", ["chemist", "mirror"])
def test_models_of_molecules_keep_the_contract(chemists: None, name: str) -> None:
    assert not broken_rules(name)


def test_samples_say_how_many_they_are() -> None:
    assert repr(Molecules.of(["CCO", "C"])) == "<2 molecules>"
