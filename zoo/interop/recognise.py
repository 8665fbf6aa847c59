"""Which model a file of other people's code is for, and what of it is left out."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import permutations
from typing import Any

import torch
from torch import Tensor

from zoo.errors import InputError, WeightsError
from zoo.interop.foreign import Contents, State, shown, some
from zoo.interop.layouts.base import Config, Layout
from zoo.interop.layouts.table import LAYOUTS, layout_of
from zoo.networks import build
from zoo.registry.facts import Entry
from zoo.registry.index import info

# Words in the name of a state dict that mean averaged weights: `G_ema`, `avgG`, `swa_model`, `g_running`.
AVERAGED = frozenset(("ema", "avg", "average", "averaged", "swa", "shadow", "polyak", "running", "smooth", "smoothed"))
COUNT, STATISTICS = "num_batches_tracked", ("running_mean", "running_var", "num_batches_tracked")
SHOWN = 10  # lines of an error
LEFT_OUT = 1000  # items that are named
NETWORKS = 20  # of a layout in a file that are tried
NEAR = 0.5  # the share of names, of the file's and of the layout's, from which on a layout is near


@dataclass
class Fit:
    """How well a state dict fits a layout.

    Attributes:
        layout: which.
        config: keywords of the builder.
        names: their name of every tensor of our network.
        problems: what does not fit, a line each; empty if all does.
        near: the share of names that both have, of those of the one that has more.
    """

    layout: Layout
    config: Config
    names: dict[str, str]
    problems: list[str]
    near: float


def fit(layout: Layout, state: Mapping[str, Tensor], part: str = "") -> Fit | None:
    """How well a state dict fits a layout, or a part of it; None if not even a configuration can be read from it."""
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    try:
        config = layout.config(shapes)
        wanted = build(replace(info(layout.model), config=config)).state_dict()
    except Exception:  # shapes of other networks can be wrong in any way
        return None
    names = {ours: name for ours, name in foreign_names(layout, config, wanted).items() if name.startswith(part)}
    problems, alike = [], 0
    for ours, theirs in names.items():
        if theirs not in shapes:
            problems += [f"{theirs} is missing"] * (not theirs.endswith(COUNT))  # which files before 2018 lack
            continue
        alike += len(shapes[theirs]) == wanted[ours].ndim
        if shapes[theirs] != tuple(wanted[ours].shape):
            problems.append(f"{theirs} is {list(shapes[theirs])}, not {list(wanted[ours].shape)}")
        elif wanted[ours].is_floating_point() and not _computed_with(state[theirs]):
            problems.append(f"{theirs} is of {state[theirs].dtype}, not {wanted[ours].dtype}")
    used = set(names.values())
    problems += [f"{shown(key)} is not known" for key in shapes if key not in used and not _left_over(key, shapes)]
    return Fit(layout, config, names, problems, alike / max(len(names), len(shapes)))


def foreign_names(layout: Layout, config: Config, wanted: Iterable[str]) -> dict[str, str]:
    """Their name of every tensor of ours."""
    modules = dict(layout.modules(config))
    split = {key: key.rpartition(".") for key in wanted}
    return {
        key: modules.get(key, f"{modules.get(module, module)}.{tensor}") for key, (module, _, tensor) in split.items()
    }


def _computed_with(tensor: Tensor) -> bool:
    """Whether networks can have such numbers; those of 8 bits need scales that only their own code knows."""
    return tensor.is_floating_point() and tensor.itemsize > 1


def _left_over(key: str, shapes: Mapping[str, Any]) -> bool:
    """Statistics of an instance norm without weights, which files from before PyTorch 0.4 have and nothing uses."""
    module, _, tensor = key.rpartition(".")
    return tensor in STATISTICS and f"{module}.weight" not in shapes


@dataclass(eq=False)  # tensors do not compare to one answer
class Taken:
    """A network in a file.

    Attributes:
        contents: the file.
        prefix: what the names of its tensors begin with.
        state: its tensors, without that.
        fit: the layout that it has.
        averages: the names of its tensors that stand, averaged, in a place that has no statistics.
        place: that place.
    """

    contents: Contents
    prefix: str
    state: State
    fit: Fit
    averages: tuple[str, ...] = ()
    place: str = ""

    @property
    def where(self) -> str:
        """Where it lies; nothing for the whole of a file."""
        return self.prefix.rstrip(".")

    @property
    def words(self) -> str:
        """Where it lies, with its averages, for people."""
        if not self.averages:
            return shown(self.where)
        return f"{shown(self.place)}, with the statistics in {shown(self.where) or 'the network'}"

    def left_out(self) -> str:
        """What else the file holds, an item for all that lies together."""
        names = {name.removeprefix(part) for part in self.fit.layout.parts for name in self.fit.names.values()}
        used = {self.prefix + name for name in self.state if name in names or name in self.fit.names.values()}
        unused = [self.prefix + name for name in self.state if self.prefix + name not in used]
        left = self.contents.left_out(self.prefix, [*used, *unused, *self.averages])
        if self.averages:
            left.insert(0, f"{shown(self.where) or 'the network'} before averaging ({len(self.averages)} tensors)")
        left += [f"{len(unused)} running statistics that the layers do not use"] * bool(unused)
        return ", ".join(left[:LEFT_OUT]) + f" and {len(left) - LEFT_OUT:,} more" * (len(left) > LEFT_OUT)


def recognise(
    files: Sequence[Contents], layouts: Sequence[Layout] = LAYOUTS, key: str | None = None
) -> tuple[Fit, list[Taken]]:
    """The layout that files have together, and what of each belongs to it, in the order of the layout's parts.

    Averaged weights go before others, where a file has both.

    Args:
        files: one, or as many as the layout has parts.
        layouts: which ones to try.
        key: where the network lies in each file: what its names begin with, or a part of that.

    Raises:
        InputError: if nothing lies there, or several networks, or one half of a network is missing.
        WeightsError: if no layout fits; it lists how the nearest differs, or says that none is near.
    """
    key = key and key.strip(".")
    names = [_under(contents, key) for contents in files]
    if len(files) == 1:
        networks, tried = _whole(files[0], names[0], layouts)
        if networks:
            taken = _chosen_of(networks, key)
            return taken.fit, [taken if key or is_averaged(taken.where) else _with_averages(taken)]
    else:
        tried = []
    halves = [_halves(contents, mine, layouts, key) for contents, mine in zip(files, names, strict=True)]
    for layout in layouts:
        if len(layout.parts) != len(files):
            continue
        for order in permutations(halves):
            chosen = [
                half[layout.name, part]
                for part, half in zip(layout.parts, order, strict=True)
                if (layout.name, part) in half
            ]
            if len(chosen) == len(files):
                joined = fit(layout, join_parts(layout, chosen))
                if joined and not joined.problems:
                    return joined, chosen
                tried += [joined] if joined else []
    raise _unknown(files, names, layouts, halves, tried)


def join_parts(layout: Layout, chosen: Sequence[Taken]) -> State:
    """The tensors of all parts of a network under the layout's names."""
    parts = layout.parts if len(chosen) == len(layout.parts) else ("",)
    return {
        f"{part}{key}": value for part, taken in zip(parts, chosen, strict=True) for key, value in taken.state.items()
    }


def _under(contents: Contents, key: str | None) -> list[str]:
    """The names of the tensors that lie where a key says: at the start of their names if any do, else further in."""
    if not key:
        return list(contents.tensors)
    inner = [name for name in contents.tensors if f".{key}." in f".{name}"]
    if not inner:
        raise InputError(f"{contents.path} has no {key!r}: it has {contents.top()}.")
    return [name for name in inner if name.startswith(f"{key}.")] or inner


def _whole(contents: Contents, names: Sequence[str], layouts: Sequence[Layout]) -> tuple[list[Taken], list[Fit]]:
    """Every network in a file that a layout fits, and how those differ whose mark is there and that do not fit."""
    networks: dict[str, Taken] = {}
    tried = []
    for layout in layouts:
        marks = [name for name in names if f".{name}".endswith(f".{layout.mark}")]
        for name in marks[:NETWORKS]:
            prefix = name[: -len(layout.mark)]
            state = {key: x for key, x in contents.under(prefix, name).items() if key.startswith(layout.parts)}
            fitted = None if prefix in networks else fit(layout, state)
            if fitted and not fitted.problems:
                networks[prefix] = Taken(contents, prefix, state, fitted)
            elif fitted:
                tried.append(fitted)
    return list(networks.values()), tried


def _chosen_of(networks: Sequence[Taken], key: str | None) -> Taken:
    """The one network that is meant: the only one, or the averaged one of two."""
    different: list[Taken] = []
    for taken in sorted(networks, key=lambda taken: not is_averaged(taken.where)):
        if not any(_equal(taken.state, other.state) for other in different):
            different.append(taken)
    exact = [taken for taken in different if taken.where == key]
    averaged = [taken for taken in different if is_averaged(taken.where)]
    for choice, others in ((exact, []), (averaged, [taken for taken in different if taken not in averaged])):
        kinds = {(taken.fit.layout.name, repr(taken.fit.config)) for taken in (*choice, *others)}
        if len(choice) == 1 and len(others) <= 1 and len(kinds) == 1:
            return choice[0]
    if len(different) == 1:
        return different[0]
    names = some([taken.where for taken in networks if taken in different], SHOWN)
    raise InputError(f"{networks[0].contents.path} has the networks {names}: choose one with --key.")


def _with_averages(taken: Taken) -> Taken:
    """A network with the averages that a file keeps of its parameters alone, if it does.

    Some code lists them in the order of the parameters, some leaves out the dots.
    """
    parameters = [name for name in taken.state if name.rpartition(".")[2] not in STATISTICS]
    inside = taken.prefix.removeprefix(taken.contents.holders[taken.prefix + parameters[0]])
    first = f".{parameters[0]}"
    for place in dict.fromkeys(
        name.removesuffix(first) if name.endswith(first) else name.rpartition(".")[0] for name in taken.contents.tensors
    ):
        if is_averaged(place):
            for names in (
                parameters,
                [str(i) for i in range(len(parameters))],
                [name.replace(".", "") for name in parameters],
                [f"{inside}{name}".replace(".", "") for name in parameters],
            ):
                tensors = [taken.contents.tensors.get(f"{place}.{name}") for name in names]
                state = {name: x for name, x in zip(parameters, tensors, strict=True) if x is not None}
                if len(state) == len(parameters) and all(_alike(x, taken.state[name]) for name, x in state.items()):
                    averages = tuple(f"{place}.{name}" for name in names)
                    return replace(taken, state={**taken.state, **state}, averages=averages, place=place)
    return taken


def _alike(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.is_floating_point() == b.is_floating_point()


def _equal(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(a[key].dtype == b[key].dtype and torch.equal(a[key], b[key]) for key in a)


def is_averaged(where: str) -> bool:
    """Whether the name of a state dict says that its weights are averages over training."""
    parts = where.split(".")
    words = [word.lower() for part in parts for word in re.findall("[A-Z]+(?![a-z])|[A-Z]?[a-z]+", part)]
    return "online" not in words and (  # `ema.online_model` is what `ema.ema_model` is the average of
        not AVERAGED.isdisjoint(words)
        or any(word.startswith("ema") or word.endswith("ema") for word in words)
        or not {"Gs", "GE"}.isdisjoint(parts)  # of StyleGAN and ProGAN, and of lucidrains' code
    )


def _halves(
    contents: Contents, names: Sequence[str], layouts: Sequence[Layout], key: str | None
) -> dict[tuple[str, str], Taken]:
    """Which parts of layouts of several files a file is, by the names of layout and part."""
    halves = {}
    for layout in layouts:
        for part in layout.parts if len(layout.parts) > 1 else ():
            networks = []
            for prefix, first in _prefixes(contents, names):
                state = contents.under(prefix, first)
                fitted = fit(layout, {f"{part}{name}": value for name, value in state.items()}, part)
                if fitted and not fitted.problems:
                    networks.append(Taken(contents, prefix, state, fitted))
            if networks:
                halves[layout.name, part] = _chosen_of(networks, key)
    return halves


def _prefixes(contents: Contents, names: Sequence[str]) -> list[tuple[str, str]]:
    """What at least a quarter of the names of a state dict begin with, up to a dot; and the first such name."""
    first: dict[str, str] = {}
    count, held = Counter[str](), Counter(contents.holders[name] for name in names)
    for name in names:
        holder = contents.holders[name]
        ends = [match.end() for match in re.finditer(r"\.", name) if match.end() > len(holder)]
        for prefix in (holder, *(name[:end] for end in ends[:5])):
            first.setdefault(prefix, name)
            count[prefix] += 1
    kept = [(prefix, name) for prefix, name in first.items() if count[prefix] * 4 > held[contents.holders[name]]]
    return kept[:NETWORKS]


def _unknown(
    files: Sequence[Contents],
    names: Sequence[Sequence[str]],
    layouts: Sequence[Layout],
    halves: Sequence[Mapping[tuple[str, str], Taken]],
    tried: Sequence[Fit],
) -> WeightsError | InputError:
    """What to say of files that no layout fits."""
    nearest = max(tried, key=lambda fitted: fitted.near, default=None)
    if nearest and nearest.near > NEAR:
        return WeightsError(_differences(nearest))
    known = next((half for half in halves if half), None)
    if known:
        name, part = next(iter(known))
        layout = layout_of(name)
        other = " and ".join(other.rstrip(".") for other in layout.parts if other != part)
        own = part.rstrip(".")
        if len(files) == 1:
            return InputError(f"{files[0].path} is the {own} of {name} alone: give the {other}, too.")
        if all((name, part) in half for half in halves):
            paths = " and ".join(str(contents.path) for contents in files)
            return InputError(f"{paths} are each the {own} of {name}: give one of them, and the {other}.")
    if len(files) == 1:
        near = [fitted for fitted in _nearest(files[0], names[0], layouts) if fitted.near > NEAR]
        if near:  # what is read from the file goes before what is only alike
            return WeightsError(_differences(max(near, key=lambda fitted: (bool(fitted.config), fitted.near))))
    elif not any(len(layout.parts) == len(files) for layout in layouts):
        return InputError(f"No layout consists of {len(files)} files: give one file.")
    if len(files) == 1 and layouts is not LAYOUTS:
        fitting, _ = _whole(files[0], names[0], LAYOUTS)
        if fitting:
            right = fitting[0].fit.layout
            return WeightsError(f"{files[0].path} has the layout {right.name}: import it as {right.model}.")
    at = next((i for i, half in enumerate(halves) if not half), 0)
    shard = re.search(r"-\d+-of-0*(\d+)\.\w+$", files[at].path.name)
    if shard:
        return InputError(f"{files[at].path} is one of {shard[1]} shards: name their index, or their folder.")
    some_names = some(list(names[at]), SHOWN // 2)
    which = "the zoo knows" if layouts is LAYOUTS else f"is looked for ({', '.join(layout.name for layout in layouts)})"
    return WeightsError(
        f"{files[at].path} has no layout that {which}: its tensors are {some_names}; docs/import.md lists the layouts."
    )


def _nearest(contents: Contents, names: Sequence[str], layouts: Sequence[Layout]) -> Iterator[Fit]:
    """How a file differs from the layouts that it shares names with."""
    for prefix, first in _prefixes(contents, names):
        state = contents.under(prefix, first)
        kinds = _kinds(state)
        for layout in layouts:
            if not kinds.isdisjoint(_kinds([layout.mark])):
                if fitted := fit(layout, state):
                    yield fitted
                else:
                    yield _by_default(layout, state)


def _by_default(layout: Layout, state: State) -> Fit:
    """How a state dict differs from a layout with the builder's defaults, where it shows no configuration."""
    names = _default_names(layout)
    problems = [f"{name} is missing" for name in sorted(names - state.keys())[: SHOWN // 2]]
    problems += [f"{shown(key)} is not known" for key in sorted(state.keys() - names)]
    mine, theirs = _kinds(names), _kinds(state)
    return Fit(layout, {}, {}, problems, len(mine & theirs) / max(len(mine), len(theirs)))


def _differences(fitted: Fit) -> str:
    config = f", with {_words(fitted.config)}," if fitted.config else ""
    more = f"\n  and {len(fitted.problems) - SHOWN} more" * (len(fitted.problems) > SHOWN)
    head = f"The nearest layout is {fitted.layout.name}{config} but:"
    return "\n  ".join([head, *fitted.problems[:SHOWN]]) + more + "\ndocs/import.md lists the layouts."


def _words(config: Config) -> str:
    return ", ".join(f"{key}={value}" for key, value in config.items())


def _kinds(names: Iterable[str]) -> set[str]:
    """Names, whatever the numbers in them are."""
    return {re.sub(r"\d+", "N", name) for name in names}


@cache
def _default_names(layout: Layout) -> frozenset[str]:
    """The names of the tensors of a network as the builder makes it by default."""
    entry = replace(info(layout.model), config={})
    network = build(entry)
    return frozenset(foreign_names(layout, all_keywords(entry), network.state_dict()).values())


def all_keywords(entry: Entry) -> Config:
    """The keywords of an entry's builder, those with their default, too."""
    defaults = {name: p.default for name, p in inspect.signature(type(build(entry))).parameters.items()}
    return {**defaults, **entry.config}
