"""Molecules: SMILES with and without RDKit, files, drawings, and the two tensors of a network."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from conftest import Registry, broken_rules
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

import zoo
from zoo.data.molecules import GraphBatches, pack, unpack
from zoo.data.source import Source
from zoo.errors import InputError, MediaError, RegistryError, ZooError
from zoo.media.molecules import Molecules
from zoo.media.molecules_processor import MoleculesProcessor
from zoo.media.rdkit import load_rdkit
from zoo.media.smiles import Graph, is_valid, parse, write
from zoo.metrics.molecules import canonical, properties, shares, wasserstein
from zoo.metrics.protocols import protocol
from zoo.model import Generator, Model
from zoo.recipes import molgan
from zoo.registry.facts import Format
from zoo.tasks.latent import interpolate
from zoo.tasks.privacy import privacy
from zoo.training.graphs import RelationalDiscriminator, Valences, batch_discrepancy

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
def graphs(draw: st.DrawFn, elements: Sequence[str] = ("C", "N", "O", "Se", "Cl"), most: int = 12) -> Graph:
    n = draw(st.integers(1, most))
    atoms = tuple(draw(st.lists(st.sampled_from(elements), min_size=n, max_size=n)))
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
    for name, kind in (("m.jpeg", "jpeg"), ("m.tif", "tiff"), ("m.smiles", "smi")):
        molecules.save(tmp_path / name, format=kind)
        assert (tmp_path / name).is_file()
    with pytest.raises(InputError, match=r"m\.smi, and the format is sdf: give m\.sdf"):
        molecules.save(tmp_path / "m.smi", format="sdf")
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


def test_a_file_has_all_drawings_and_a_preview_some(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    many = Molecules(["C"] * 65)
    many.save(tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as drawing:
        assert drawing.size == (9 * 200, 8 * 200)
    assert many.preview().size == (8 * 200, 8 * 200)
    with pytest.raises(InputError, match=r"A drawing shows 1,000 molecules at most, not 1,001: write \.smi or \.sdf"):
        Molecules(["C"] * 1_001).save(tmp_path / "m.png")


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


@settings(max_examples=300, deadline=None)
@example(Graph(("C", "N", "N"), ((0, 1, 2), (1, 2, 3))))  # C=N#N, which RDKit reads as C=[N+]=[N-]
@given(graphs(("C", "N", "O", "F"), 5))
def test_own_rules_call_valid_what_rdkit_does(graph: Graph) -> None:
    smiles = write(graph)
    valid = Molecules([smiles]).valid[0]
    uncharged = valid and load_rdkit("The test needs").plain(smiles) is not None
    assert is_valid(graph) == (uncharged and "." not in smiles)
    if valid and not uncharged:
        bonds = [sum(kind for *pair, kind in graph.bonds if i in pair) for i in range(len(graph.atoms))]
        assert ("N", 5) in zip(graph.atoms, bonds, strict=True)


def test_no_atoms_are_no_valid_molecule() -> None:
    assert not is_valid(Graph((), ()))


@pytest.mark.parametrize(
    ("smiles", "bonds"), [("c1ccccc1", [1, 1, 1, 2, 2, 2]), ("c1cc[nH]c1", [1, 1, 1, 2, 2]), ("C[NH3+]", None)]
)
def test_rdkit_gives_single_and_double_bonds_for_aromatic_ones(smiles: str, bonds: list[int] | None) -> None:
    graph = load_rdkit("The test needs").plain(smiles)
    assert (None if graph is None else sorted(kind for *_, kind in graph.bonds)) == bonds
    if graph:
        assert canonical(Molecules([graph])) == canonical(Molecules([smiles]))


class Careless(Chemist):
    """Toy: chains of carbon with a triple bond at the end, in the middle of which there are three oxygens at times."""

    def __init__(self) -> None:
        super().__init__()
        self.latent_shape = (1,)

    def decode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Latents ``(N, 1)`` to atoms ``(N, 9, 5)`` and bonds ``(N, 5, 9, 9)``; wrong where a latent is negative."""
        atoms = torch.nn.functional.one_hot(torch.tensor([1] * 9), 5).float().expand(len(z), -1, -1).clone()
        atoms[:, 8, 3] = (z[:, 0] > 1) * 2.0  # an oxygen tells some from others
        bonds = torch.zeros(len(z), 5, 9, 9)
        bonds[:, 0] = 0.25
        bonds[:, 1] = torch.ones(9).diag_embed(1)[:9, :9]
        bonds[:, 3, 0, 2:5] = (z < 0).float() * 2
        return atoms, bonds + 0 * self.linear.bias.sum()


@pytest.fixture
def careless(toys: Registry) -> None:
    output = {"kind": "molecules", "elements": list(ELEMENTS), "atoms": 9, "valid": True}
    toys.add("careless", Careless(), verbs=["generate"], checkpoint={"output": output})


def test_invalid_molecules_are_drawn_again(careless: None, tmp_path: Path, zoo_command: Callable[..., Result]) -> None:
    model = zoo.load("careless")
    molecules = model.generate(20, seed=1)
    assert all(molecules.valid)
    assert molecules.drawn is not None
    assert 25 < molecules.drawn < 70, "half of all are invalid"
    assert repr(molecules) == f"<20 molecules of {molecules.drawn} drawn>"
    raw = model.generate(latents=model.latents(20, 1))
    assert raw.drawn is None
    assert sum(raw.valid) < 20, "those of latents are as they are"
    kept = [i for i, valid in enumerate(raw.valid) if valid]
    assert [molecules.smiles[i] for i in kept] == [raw.smiles[i] for i in kept], "valid ones are not drawn again"
    assert model.generate(7, seed=1, first=5, batch_size=2).smiles == molecules.smiles[5:12]
    done = zoo_command("generate", "careless", "-n", 20, "--seed", 1, "-o", tmp_path / "m.smi")
    assert done.stderr == f"{tmp_path}/m.smi: 20 molecules, seed 1, drawn {molecules.drawn}\n"
    assert Molecules.of(tmp_path / "m.smi").smiles == molecules.smiles


def test_a_walk_begins_at_the_molecules_of_its_seeds(careless: None) -> None:
    model = zoo.load("careless")
    seeds = [1, 2, 3, 4, 5]
    walk = interpolate(model, seeds=seeds, steps=1)
    assert walk.smiles == [model.generate(1, seed=seed).smiles[0] for seed in seeds]


def test_the_same_molecules_come_without_rdkit(careless: None, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = zoo.load("careless").generate(9, seed=2).smiles
    monkeypatch.setitem(sys.modules, "rdkit", None)
    assert zoo.load("careless").generate(9, seed=2).smiles == wanted


def test_a_model_that_makes_nothing_valid_says_so(careless: None, monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo.load("careless")
    monkeypatch.setattr(model, "draw", lambda rng: -np.ones(1, np.float32))
    with pytest.raises(ZooError, match="careless made 3 of 3 samples invalid 100 times in a row: train it longer"):
        model.generate(3, seed=0)


def test_molecules_that_are_remembered(careless: None, tmp_path: Path, zoo_command: Callable[..., Result]) -> None:
    own, others = set(zoo.load("careless").generate(40, seed=1).smiles), ["c1ccccc1", "C#N", "CC(=O)N"]
    for split, smiles in (("train", own), ("test", others)):
        (tmp_path / "data" / split).mkdir(parents=True)
        (tmp_path / "data" / split / "a.smi").write_text("\n".join([*smiles] * 60))
    result = privacy(zoo.load("careless"), tmp_path / "data", n=100)
    assert (result.distance_ratio, result.membership_auroc, result.accuracy) == (0, 1, None)
    assert result.shown.smiles == result.nearest.smiles  # type: ignore[attr-defined]
    assert all(protocol(row.protocol) for row in result.rows())
    options = ("privacy", "careless", "--data", tmp_path / "data", "-n", 100)
    done = zoo_command(*options, "-o", tmp_path / "near.png")
    assert done.exit_code == 3
    assert "100 samples of careless beside 120 molecules of data that it was trained on" in done.stdout
    assert "Copies: 0.000\n  The distance of a sample to the nearest training molecule," in done.stdout
    assert "Molecules have no classes." in done.stdout
    assert "Warning: careless remembers molecules that it was trained on." in done.stderr
    with Image.open(tmp_path / "near.png") as image:
        assert image.size == (8 * 200, 8 * 200)
    (tmp_path / "data" / "train").rename(tmp_path / "data" / "old")
    (tmp_path / "data" / "test").rename(tmp_path / "data" / "train")
    (tmp_path / "data" / "old").rename(tmp_path / "data" / "test")
    assert zoo_command(*options).exit_code == 0
    (tmp_path / "data" / "test" / "a.smi").write_text("\n".join(["CN(C)(C)C"] * 120))
    assert "0 of 120 test molecules are valid: 100 at least are needed" in zoo_command(*options).stderr


def test_figures_of_a_generator_of_molecules(tmp_path: Path) -> None:
    """On data that are as its own samples."""
    model = zoo.load("molgan")
    smiles = canonical(model.generate(240, seed=5))
    for split, some in (("train", smiles[:120]), ("test", smiles[120:])):
        (tmp_path / split).mkdir()
        (tmp_path / split / "a.smi").write_text("\n".join(some))
    rows = {row.metric: row for row in molgan.evaluate(model, Source([tmp_path]), n=100)}  # type: ignore[arg-type]
    assert all(protocol(row.protocol) and row.n == 100 for row in rows.values())
    assert rows["valid"].value > 0.6
    assert rows["novel"].value > 0.5
    assert rows["wasserstein-logp"].value < 1
    assert rows["nearest-distance-ratio"].value == pytest.approx(1, abs=0.1)
    assert rows["membership-auroc"].value == pytest.approx(0.5, abs=0.1)


def test_only_molecules_of_known_valences_are_promised_to_be_valid() -> None:
    with pytest.raises(RegistryError, match="Only molecules of C, N, O, F can be promised to be valid"):
        processor(elements=("C", "S"), valid=True)


def test_molecules_as_data(tmp_path: Path) -> None:
    for split, lines in (("train", "CCO\nC#N\n"), ("test", "N\n")):
        (tmp_path / split).mkdir()
        (tmp_path / split / "a.smi").write_text(lines)
    data = Source([tmp_path])
    assert data.molecules() == ["CCO", "C#N"]
    before = data.fingerprint
    assert data.molecules("test") == ["N"]
    assert data.fingerprint != before
    assert data.called("test") == "test"
    assert Source([tmp_path / "train" / "a.smi"]).molecules("test") == ["CCO", "C#N"]
    with pytest.raises(InputError, match="holds 2 molecules and at least 3 are needed: add molecules"):
        data.molecules(least=3)
    (tmp_path / "train" / "a.smi").write_text("CX\n")
    with pytest.raises(MediaError, match="line 1: The SMILES 'CX' is wrong at character 2"):
        data.molecules()


def batches(*smiles: str) -> GraphBatches:
    return GraphBatches([parse(one) for one in smiles], ELEMENTS, 4)


def test_batches_of_molecules() -> None:
    data = batches("CC#N", "O=C", "F")
    atoms, bonds = data.at(slice(None))
    assert atoms.argmax(2).tolist() == [[1, 1, 2, 0], [3, 1, 0, 0], [4, 0, 0, 0]]
    assert bonds.argmax(1)[0].tolist() == [[0, 1, 0, 0], [1, 0, 3, 0], [0, 3, 0, 0], [0, 0, 0, 0]]
    packed = data.batch(0, 3)["target"]
    assert packed.shape == (3, 4, 5 + 4 * 4)
    for part, back in zip((atoms, bonds), unpack(pack(atoms, bonds), 4), strict=True):
        assert torch.equal(part, back)
    drawn = data.independent(200)
    assert {len(graph.atoms) for graph in drawn} == {1, 2, 3}
    assert {symbol for graph in drawn for symbol in graph.atoms[:1]} == {"C", "O", "F"}


@pytest.mark.parametrize(
    ("smiles", "penalty"),
    [("CC#N", 0), ("C=C=O", 0), ("F", 0), ("CF=C", 2), ("C#C#C", 2), ("C.C", 1), ("CC.CC", 1)],
)
def test_what_is_wrong_with_a_molecule_has_a_price(smiles: str, penalty: float) -> None:
    atoms, bonds = batches(smiles).at(slice(None))
    assert Valences(ELEMENTS).penalty(atoms, bonds).tolist() == [penalty]


def test_the_discriminator_sees_whether_molecules_vary() -> None:
    torch.manual_seed(0)
    d = RelationalDiscriminator(ELEMENTS, 4, width=8)
    one, others = batches("CC#N"), batches("CC#N", *["CCO"] * 15)
    alike, varied = (pack(*data.at(torch.arange(16) % len(data))) for data in (one, others))
    assert torch.equal(alike[0], varied[0])
    with torch.no_grad():
        assert float((d(alike)[0] - d(varied)[0]).abs()) > 1e-5


def test_batches_that_collapse_or_miss_the_data_have_a_price() -> None:
    data = batches("CC#N", "CCO", "C=O", "OC=C", "NC=O", "CC=C")
    real = pack(*data.at(slice(None)))
    strange = pack(*batches("FN=O", "C", "N#N", "F", "OCF", "NF").at(slice(None)))
    fake = real[:1].repeat(6, 1, 1).requires_grad_()
    price = batch_discrepancy(fake, real)
    assert batch_discrepancy(real, real) < batch_discrepancy(strange, real) < price.detach()
    price.backward()
    assert fake.grad is not None
    assert float(fake.grad.abs().sum()) > 0


def test_figures_of_molecules() -> None:
    some = Molecules(["CCO", "OCC", "C#N", "C.C", "C(C)(C)(C)(C)C"])
    assert shares(some, known={"CCO"}) == (0.6, pytest.approx(2 / 3), 0.5)
    assert shares(Molecules([Graph((), ())])) == (0, 0, 0)
    values = properties(["CCO", "c1ccccc1"])
    assert values[:, 0] == pytest.approx([-0.0014, 1.6866])
    assert values[:, 1] == pytest.approx([0.4068, 0.4426], abs=1e-3)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=400), rng.normal(1, 2, 400)
    assert wasserstein(a, b) == pytest.approx(np.abs(np.sort(a) - np.sort(b)).mean())
    assert wasserstein(a, np.concatenate([a, a])) == pytest.approx(0)
