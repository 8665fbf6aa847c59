"""SMILES, the line notation of molecules (Weininger 1988, OpenSMILES): to atoms and bonds, and back."""

from __future__ import annotations

import re
from typing import NamedTuple

from zoo.errors import InputError

KINDS = ("none", "single", "double", "triple", "aromatic")  # of bonds, by their numbers
_BONDS = {"-": 1, "/": 1, "\\": 1, "=": 2, "#": 3, ":": 4}
_SYMBOLS = ("", "-", "=", "#", ":")
_ORGANIC = {"B", "C", "N", "O", "P", "S", "F", "Cl", "Br", "I"}  # that need no brackets
_AROMATIC = {"b", "c", "n", "o", "p", "s"}
# Of uncharged atoms, the most bonds that RDKit takes, for elements that have but one such number.
VALENCES = {"C": 4, "N": 3, "O": 2, "F": 1}
_TABLE = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc
Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi
Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og *
"""
_ELEMENTS = frozenset(_TABLE.split())
_TOKEN = re.compile(
    r"(?P<atom>Cl|Br|[BCNOPSFI]|[bcnops]|\*)"
    r"|\[(?P<isotope>\d*)(?P<inside>[A-Z][a-z]?|[a-z][a-z]?|\*)(?:@@?(?:[A-Z]{2}\d+)?)?(?:H\d*)?"
    r"(?P<charge>\++|-+|[+-]\d+)?(?::\d+)?\]"
    r"|(?P<bond>[-=#:/\\])|(?P<ring>\d|%\d\d|%\(\d+\))|(?P<open>\()|(?P<close>\))|(?P<dot>\.)"
)


class Graph(NamedTuple):
    """A molecule as atoms and bonds; hydrogens that SMILES leave out are left out.

    Attributes:
        atoms: the symbol of each.
        bonds: two atoms by their numbers, the lower first, and the number of the kind in :data:`KINDS`.
    """

    atoms: tuple[str, ...]
    bonds: tuple[tuple[int, int, int], ...]


def parse(text: str, what: str = "The SMILES") -> Graph:
    """Atoms and bonds of SMILES. Whether the valences are right is not looked at.

    Raises:
        InputError: for what is no SMILES, naming the place; messages call it ``what``.
    """
    atoms: list[str] = []
    aromatic: list[bool] = []
    bonds: dict[tuple[int, int], int] = {}
    implied: set[tuple[int, int]] = set()
    rings: dict[int, tuple[int, int, int]] = {}  # number to atom, bond and place
    branches: list[tuple[int | None, int]] = []  # atom and place
    last: int | None = None
    bond = at = 0

    def fail(place: int, reason: str) -> InputError:
        return InputError(f"{what} {text!r} is wrong at character {place + 1}: {reason}.")

    def join(a: int, b: int, kind: int, place: int) -> None:
        pair = (min(a, b), max(a, b))
        if a == b or pair in bonds:
            raise fail(place, "a bond that joins an atom with itself or two atoms twice")
        if not kind and aromatic[a] and aromatic[b]:
            implied.add(pair)
        bonds[pair] = kind or (4 if pair in implied else 1)

    while at < len(text):
        token = _TOKEN.match(text, at)
        if not token:
            raise fail(at, f"{text[at]!r} is no atom, bond, branch or ring")
        kind, value = token.lastgroup, token[0]
        if symbol := token["atom"] or token["inside"]:
            if (name := symbol[0].upper() + symbol[1:]) not in _ELEMENTS:
                raise fail(at, f"there is no element {symbol!r}")
            atoms.append(name)
            aromatic.append(symbol[0].islower())
            if last is not None:
                join(last, len(atoms) - 1, bond, at)
            elif bond:
                raise fail(at - 1, "a bond with no atom before it")
            last, bond = len(atoms) - 1, 0
        elif bond and kind != "ring":
            raise fail(at, "a bond with no atom behind it")
        elif kind == "bond":
            bond = _BONDS[value]
        elif last is None and kind != "close":
            raise fail(at, f"{value!r} with no atom before it")
        elif kind == "ring" and last is not None:
            number = int(value.strip("%()"))
            if number in rings:
                other, before, _ = rings.pop(number)
                if bond and before and bond != before:
                    raise fail(at, f"ring {number} is closed with another bond than it was opened with")
                join(other, last, bond or before, at)
            else:
                rings[number] = (last, bond, at)
            bond = 0
        elif kind == "open":
            branches.append((last, at))
        elif kind == "close":
            if not branches or text[at - 1] == "(":
                raise fail(at, "a ) that closes no branch")
            last = branches.pop()[0]
        else:
            last = None
        at = token.end()
    if not atoms:
        raise InputError(f"{what} is empty: give at least one atom, such as C.")
    if last is None:
        raise fail(len(text) - 1, "a dot with no atom behind it")
    if bond:
        raise fail(len(text) - 1, "a bond with no atom behind it")
    if branches:
        raise fail(branches[-1][1], "a ( that is not closed")
    if rings:
        number, (*_, place) = next(iter(rings.items()))
        raise fail(place, f"ring {number} is not closed")
    for pair in implied:  # two rings may hang together by a single bond
        if not _in_ring(pair, bonds):
            bonds[pair] = 1
    return Graph(tuple(atoms), tuple((a, b, kind) for (a, b), kind in bonds.items()))


def is_valid(graph: Graph) -> bool:
    """Whether a molecule of the elements in :data:`VALENCES` can be: one piece, and no atom with too many bonds.

    Atoms are uncharged and have the hydrogens that they lack. With bonds of the kinds single, double and triple RDKit
    takes what is valid, and beside it only nitrogen with five bonds, as in ``C=N#N``, which it reads as charged atoms.
    """
    used = [0] * len(graph.atoms)
    neighbours: list[dict[int, int]] = [{} for _ in graph.atoms]
    for a, b, kind in graph.bonds:
        used[a], used[b] = used[a] + kind, used[b] + kind
        neighbours[a][b] = neighbours[b][a] = kind
    if any(bonds > VALENCES[symbol] for bonds, symbol in zip(used, graph.atoms, strict=True)):
        return False
    order, tree = _visit(neighbours)
    return len(order) - len(tree) == 1


def _in_ring(pair: tuple[int, int], bonds: dict[tuple[int, int], int]) -> bool:
    """Whether there is another way between the atoms of a bond."""
    seen, todo = {pair[0]}, [pair[0]]
    while todo:
        atom = todo.pop()
        for one in bonds:
            if atom in one and one != pair and (other := sum(one) - atom) not in seen:
                seen.add(other)
                todo.append(other)
    return pair[1] in seen


def write(graph: Graph) -> str:
    """SMILES of atoms and bonds, from the first atom on; parts that hang together are divided by dots.

    Atoms with an aromatic bond are written as aromatic ones.
    """
    neighbours: list[dict[int, int]] = [{} for _ in graph.atoms]
    for a, b, kind in graph.bonds:
        neighbours[a][b] = neighbours[b][a] = kind
    aromatic = [4 in near.values() and graph.atoms[i].lower() in _AROMATIC for i, near in enumerate(neighbours)]
    order, tree = _visit(neighbours)
    rings = [(a, b) for a, b, _ in graph.bonds if tree.get(b) != a and tree.get(a) != b]
    closures: dict[int, list[tuple[int, int]]] = {}
    for number, (a, b) in enumerate(sorted(rings, key=lambda pair: sorted((order[pair[0]], order[pair[1]]))), 1):
        for one, other in ((a, b), (b, a)):
            closures.setdefault(one, []).append((number, other))

    def symbol(a: int, b: int) -> str:
        kind = neighbours[a][b]
        if kind == 4 and aromatic[a] and aromatic[b]:
            return ""
        return "-" if kind == 1 and aromatic[a] and aromatic[b] else _SYMBOLS[kind] if kind > 1 else ""

    def atom(i: int) -> str:
        name = graph.atoms[i].lower() if aromatic[i] else graph.atoms[i]
        text = name if graph.atoms[i] in _ORGANIC or graph.atoms[i] == "*" else f"[{name}]"
        for number, other in closures.get(i, []):
            opened = symbol(i, other) if order[i] < order[other] else ""
            text += opened + (str(number) if number < 10 else f"%{number}" if number < 100 else f"%({number})")
        return text

    children: dict[int, list[int]] = {}
    for child in sorted(tree, key=lambda i: order[i]):
        children.setdefault(tree[child], []).append(child)
    parts = []
    for root in (i for i in range(len(graph.atoms)) if i not in tree):
        text, todo = "", [(root, "", "")]
        while todo:
            i, before, behind = todo.pop()
            if i < 0:
                text += behind
                continue
            text += before + atom(i)
            branches = children.get(i, [])
            for rank, child in reversed(list(enumerate(branches))):
                last = rank == len(branches) - 1
                if not last:
                    todo.append((-1, "", ")"))
                todo.append((child, ("" if last else "(") + symbol(i, child), ""))
        parts.append(text)
    return ".".join(parts)


def _visit(neighbours: list[dict[int, int]]) -> tuple[dict[int, int], dict[int, int]]:
    """In which order atoms are come to, deep first, and from which atom each; first atoms come from none."""
    order: dict[int, int] = {}
    tree: dict[int, int] = {}
    for root in range(len(neighbours)):
        todo = [(root, -1)]
        while todo:
            i, parent = todo.pop()
            if i in order:
                continue
            order[i] = len(order)
            if parent >= 0:
                tree[i] = parent
            todo += [(j, i) for j in sorted(neighbours[i], reverse=True) if j not in order]
    return order, tree
