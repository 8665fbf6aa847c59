"""Names, facts and errors of registry files; plugins."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from click.testing import Result
from conftest import Registry
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import zoo
from zoo.authoring.publish import example_conditions
from zoo.errors import InputError, RegistryError, UnknownNameError, WeightsError
from zoo.inference.words import numbered
from zoo.networks import build
from zoo.registry import discovery, index
from zoo.registry.cards import Card, merged
from zoo.registry.datasets import caution, datasets
from zoo.registry.facts import Entry, Metric
from zoo.registry.index import from_config, info, list_models, registry
from zoo.registry.schema import parse, read, to_config

GOOD: dict[str, Any] = {
    "toy": {
        "builder": "toys:Toy",
        "summary": "A toy.",
        "verbs": ["generate", "reconstruct"],
        "conditions": {"digit": {"choices": [0, 1], "default": 0}},
        "checkpoints": {
            "x4": {
                "config": {"width": 8},
                "input": {"kind": "image", "channels": 3},
                "output": {"kind": "image", "channels": 3, "size": [8, 8], "scale": 4},
                "hub": {"repo": "me/toy", "file": "a/model.safetensors", "revision": "abc"},
                "sha256": "0" * 64,
                "bytes": 10,
                "license": "MIT",
                "choices": {"digit": ["none", "many"]},
                "data": {"name": "Toys", "license": "CC0-1.0", "source": "https://example.org"},
                "metrics": [{"metric": "error", "value": 1, "protocol": "by-eye", "baselines": {"real": 0}, "n": 4}],
            }
        },
    }
}


def entries(content: Any, folder: Path) -> list[Entry]:
    path = folder / "registry.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return read(path, "toys", folder)


def test_a_good_registry(tmp_path: Path) -> None:
    (entry,) = entries(GOOD, tmp_path)
    assert entry.name == "toy.x4"
    assert entry.output.scale == 4
    assert entry.input is not None
    assert entry.input.size is None
    assert entry.metrics[0].value == 1.0
    (condition,) = entry.conditions
    assert condition.choices == ("none", "many"), "those of the checkpoint"
    assert condition.default is None
    del (other := copy.deepcopy(GOOD))["toy"]["checkpoints"]["x4"]["choices"]
    (condition,) = entries(other, tmp_path)[0].conditions
    assert condition.check("1") == 1
    assert condition.default == 0


# Where a change is made, what to, and what the error must name.
BAD = [
    ("toy", None, "toy: expected a mapping"),
    ("toy.builder", "no colon", "toy: builder: expected module:Class"),
    ("toy.builder", 3, "toy: builder: expected module:Class, as in zoo.models.dcgan:DCGAN, got 3"),
    ("toy.summary", ..., "toy: the key 'summary' is missing"),
    ("toy.verbs", ["draw"], "toy: verbs: expected a list of generate and reconstruct"),
    ("toy.verbs", "generate", "toy: verbs: expected a list"),
    ("toy.verbs", [], "toy: verbs"),
    ("toy.aliases", ["Not A Name"], "toy: aliases: 'Not A Name' is no name"),
    ("toy.sumary", "x", "toy: sumary: unknown key; did you mean summary?"),
    ("toy.checkpoints", {}, "toy: checkpoints: expected at least one"),
    ("toy.checkpoints.Bad.Name", {}, "toy: checkpoints: 'Bad.Name' is no name"),
    ("toy.checkpoints.x4.sha256", "abc", "checkpoints: x4: sha256: expected 64 hexadecimal digits"),
    ("toy.checkpoints.x4.bytes", True, "x4: bytes: expected a whole number, got True"),
    ("toy.checkpoints.x4.bytes", -1, "x4: bytes: expected a whole number from 1, got -1"),
    ("toy.checkpoints.x4.license", ..., "x4: the key 'license' is missing"),
    ("toy.checkpoints.x4.output", ..., "x4: the key 'output' is missing"),
    ("toy.checkpoints.x4.input", ..., "x4: the key 'input' is missing: reconstruct needs it"),
    ("toy.checkpoints.x4.output.kind", "smell", "x4: output: kind: expected one of image, audio"),
    ("toy.checkpoints.x4.output.size", [8], "output: size: expected [height, width]"),
    ("toy.checkpoints.x4.output.size", [8, "a"], "output: size: expected a list of a whole number"),
    ("toy.checkpoints.x4.output.channels", 0, "output: channels: expected a whole number from 1"),
    ("toy.checkpoints.x4.output.scael", 2, "output: scael: unknown key; did you mean scale"),
    ("toy.checkpoints.x4.hub.repo", "nobody", "hub: repo: expected owner/name"),
    ("toy.checkpoints.x4.hub.file", "model.bin", "hub: file: expected the path of a .safetensors file"),
    ("toy.checkpoints.x4.hub.file", "../model.safetensors", "hub: file: expected"),
    ("toy.checkpoints.x4.data.license", ..., "data: the key 'license' is missing"),
    ("toy.checkpoints.x4.data", {"id": "mnits"}, "data: id: there is no data set 'mnits'; did you mean mnist?"),
    ("toy.checkpoints.x4.data", {"part": "half"}, "data: the key 'name' is missing"),
    ("toy.checkpoints.x4.metrics", [{"name": "a", "value": 1}], "metrics: number 1: the key 'protocol' is missing"),
    ("toy.checkpoints.x4.metrics", [{"metric": "a"}], "metrics: number 1: the key 'value' is missing"),
    ("toy.checkpoints.x4.metrics", [{"metric": "a", "value": 1, "n": 0}], "n: expected a whole number from 1, got 0"),
    (
        "toy.checkpoints.x4.metrics",
        [{"metric": "a", "value": 1, "baselines": {"real": "x"}}],
        "number 1: baselines: real: expected a number, got 'x'",
    ),
    (
        "toy.checkpoints.x4.input",
        {"kind": "audio", "rate": 8000, "multiple": 64, "window": 100},
        "input: window: 100 is not divisible by 64, multiple",
    ),
    ("toy.checkpoints.x4.evaluate", "somewhere", "evaluate: expected module:function"),
    ("toy.checkpoints.x4.example", "../x", "example: expected the name of a folder in examples/"),
    ("toy.checkpoints.x4.extractors", {"lose": "a"}, "extractors: lose: unknown key; did you mean loss?"),
    ("toy.checkpoints.x4.recipe", "somewhere", "recipe: expected module:function"),
    ("toy.checkpoints.x4.config", [1], "config: expected a mapping"),
    ("toy.checkpoints.x4.choices", {"digits": [1]}, "choices: digits: unknown key; did you mean digit?"),
    ("toy.checkpoints.x4.choices", {"digit": [1.5]}, "choices: digit: expected a list of a text each, got 1.5"),
    ("toy.conditions.digit.default", 7, "digit: default: digit cannot be 7: choose one of 0, 1"),
    ("toy.conditions.digit.kind", "text", "digit: a condition has choices exactly if its kind is choice"),
    ("toy.conditions.digit.choices", ..., "digit: the key 'kind' is missing"),
]


def changed(content: Any, place: str, value: Any) -> Any:
    """A copy of the content with one value set, or deleted where the value is `...`."""
    made = copy.deepcopy(content)
    at = made
    keys = place.split(".", 2 if place.endswith("Bad.Name") else -1)
    for key in keys[:-1]:
        at = at[key]
    if value is ...:
        del at[keys[-1]]
    else:
        at[keys[-1]] = value
    return made


@pytest.mark.parametrize(("place", "value", "words"), BAD, ids=lambda x: x if isinstance(x, str) else None)
def test_errors_name_file_model_key_and_what_was_expected(tmp_path: Path, place: str, value: Any, words: str) -> None:
    with pytest.raises(RegistryError) as error:
        entries(changed(GOOD, place, value), tmp_path)
    assert words in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "registry.yaml"))


@pytest.mark.parametrize(
    "content", ["a: [", "- a\n- b", "7", "a: &x [*x]", "!!python/object:os.system {}", "\x00", "a: 1\na: 2", "[a]: 1"]
)
def test_what_is_no_registry(tmp_path: Path, content: str) -> None:
    with pytest.raises(RegistryError, match=r"registry\.yaml"):
        entries(content, tmp_path)


def test_an_empty_file_has_no_models(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"registry\.yaml has no model\."):
        entries("", tmp_path)


PLACES = sorted({place for place, _, _ in BAD if not place.endswith("Bad.Name")} - {"toy.sumary"})
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
JUNK = st.recursive(SCALARS, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=5), x, max_size=3))


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(PLACES), value=JUNK)
def test_any_value_anywhere_is_taken_or_a_registry_error(
    tmp_path_factory: pytest.TempPathFactory, place: str, value: Any
) -> None:
    base = copy.deepcopy(GOOD)
    try:
        entries(changed(base, place, value), tmp_path_factory.getbasetemp())
    except RegistryError:
        pass
    except KeyError:  # the place is one that only exists in a bad file
        assert place.rpartition(".")[2] not in str(base)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=80) | st.text(alphabet="abc:-[]{}&*!\n '\"", max_size=40))
def test_any_text_is_a_registry_or_a_registry_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, "utf-8", errors="replace")
    try:
        assert isinstance(read(path, "toys", path.parent), list)
    except RegistryError as error:
        assert str(path) in str(error)


def test_names_aliases_and_near_names(toys: Registry) -> None:
    assert info("dcgan").name == "dcgan.fashion-mnist"
    assert info("dcgan") is info("dcgan.fashion-mnist")
    assert info("points") is info("dots.toy")
    assert info("points.toy") is info("dots")
    with pytest.raises(UnknownNameError, match="did you mean dcgan"):
        info("dcgna")
    with pytest.raises(UnknownNameError, match="zoo list"):
        info("xyzzy")
    with pytest.raises(UnknownNameError, match="fashion-mnist"):
        info("dcgan.fashion")


def test_a_checkpoint_of_the_zoo_takes_fifteen_lines() -> None:
    lines = discovery.own_registry()[0].read_text("utf-8").splitlines()
    starts = [i for i, line in enumerate(lines) if re.fullmatch(r"    [a-z0-9-]+:", line)]
    assert len(starts) > 15
    for start in starts:
        taken = next((i for i, line in enumerate(lines[start + 1 :]) if not line.startswith("      ")), 0)
        assert taken < 15, lines[start]


def test_every_checkpoint_has_a_summary_and_an_example_of_its_own() -> None:
    ours = [entry for entry in registry().entries.values() if entry.package == "zoo"]
    assert len({entry.summary for entry in ours}) == len(ours)
    for entry in ours:
        if entry.embedded.is_file():
            assert callable(index.code_of(entry.evaluate, entry))
            assert bool(entry.example) == ("reconstruct" in entry.verbs)
            assert not entry.example or (discovery.own_registry()[1].parent / "examples" / entry.example).is_dir()


def test_data_sets_stand_once_and_the_registry_names_them() -> None:
    for dataset in datasets().values():
        assert dataset.source.startswith("https://") and dataset.get
    assert caution(info("brain-gan").data).startswith("Not for clinical use.")
    assert not caution(info("dcgan").data) and not caution(None)
    data = info("dcgan").data
    assert data is not None
    assert data.id == "fashion-mnist"
    assert data.name == "Fashion-MNIST, 4,000 training images of each class"
    assert (data.license, data.source) == ("MIT", datasets()["fashion-mnist"].source)


CARD = "# Ours.\nx4:\n- {metric: error, value: 2, protocol: by-eye, dataset: mine, split: test}\n"


def carded(tmp_path: Path, text: str) -> Entry:
    """The entry of a plugin whose figures are in a card."""
    stanza = copy.deepcopy(GOOD)
    del stanza["toy"]["checkpoints"]["x4"]["metrics"]
    (tmp_path / "cards").mkdir(exist_ok=True)
    (tmp_path / "cards" / "toy.yaml").write_text(text)
    (entry,) = entries(stanza, tmp_path)
    return entry


def test_figures_are_read_from_the_card_when_they_are_asked_for(tmp_path: Path) -> None:
    entry = carded(tmp_path, "x4: [")
    (tmp_path / "cards" / "toy.yaml").write_text(CARD)
    assert [row.value for row in entry.metrics] == [2.0]
    assert entry.metrics == (Metric("error", 2.0, protocol="by-eye", dataset="mine", split="test"),)
    assert "by-eye" in repr(entry.metrics)
    assert len(carded(tmp_path, "other: []").metrics) == 0
    (tmp_path / "cards" / "toy.yaml").unlink()
    assert not entries(changed(GOOD, "toy.checkpoints.x4.metrics", ...), tmp_path)[0].metrics


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x4: [", "is not YAML"),
        ("x4: 3", "x4: expected a list, got 3"),
        ("x4: [{metric: 3}]", "x4: number 1: metric: expected a text, got 3"),
        ("x4: [{metric: a, value: .nan}]", "nan is no finite number"),
        ("x4: [{metric: a, value: 1, vlaue: 2}]", "number 1: vlaue: unknown key; did you mean value?"),
        ('x4: [{metric: "\\e[31m", value: 1}]', "control characters"),
    ],
)
def test_a_broken_card_is_one_sentence_and_costs_the_figures_only(tmp_path: Path, text: str, words: str) -> None:
    entry = carded(tmp_path, text)
    with pytest.raises(RegistryError, match=re.escape(words)) as error:
        list(entry.metrics)
    assert str(error.value).startswith(str(tmp_path / "cards" / "toy.yaml"))


def test_a_card_is_written_row_by_row(tmp_path: Path) -> None:
    entry = carded(tmp_path, CARD + "x8:\n- {metric: error, value: 3}\n")
    assert isinstance(entry.metrics, Card)
    rows = [Metric("kid", -4e-5, protocol="kid-random-224", n=10, baselines={"real": 0.0}, weights="12345678")]
    entry.metrics.write(merged(entry.metrics, rows))
    text = (tmp_path / "cards" / "toy.yaml").read_text()
    assert text.startswith("# Ours.\nx4:\n")
    assert len(text.splitlines()) == 6, "a line each"
    again = carded(tmp_path, text)
    assert again.metrics == entry.metrics
    assert again.metrics[1] == rows[0]
    better = replace(rows[0], value=0.0, n=20)
    assert merged(again.metrics, [better]) == [again.metrics[0], better], "of the same protocol, data set and split"
    noted = replace(rows[0], note="dark ones are blurred")
    assert merged([noted], [better]) == [replace(better, note=noted.note)], "of the same weights"
    other = replace(better, weights="87654321")
    assert merged([noted], [other]) == [other], "what was said of the old weights"
    assert merged([noted], [replace(better, note="new")])[0].note == "new"


def test_listing_reads_no_card(zoo_command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.registry.cards.read_text", lambda path: pytest.fail(f"{path} is read"))
    registry.cache_clear()
    for arguments in (["list"], ["list", "--json"], ["licenses", "dcgan"]):
        done = zoo_command(*arguments)
        assert done.exit_code == 0, done.output


def test_a_config_has_the_attributes_that_a_network_was_trained_on() -> None:
    raw = json.loads(to_config(info("icgan.avatars")))
    raw["choices"] = {"mouth": ["smile", "none"], "hat": ["none", "cap"]}
    entry = from_config(json.dumps(raw), "config.json")
    assert {c.name: c.choices for c in entry.conditions} == {"mouth": ("smile", "none"), "hat": ("none", "cap")}
    assert entry.conditions[0].help == next(c.help for c in info("icgan").conditions if c.name == "mouth")
    assert from_config(to_config(entry), "config.json") == entry


def test_texts_that_a_checkpoint_is_shown_with() -> None:
    stanza = {"builder": "a.b:C", "summary": "x", "verbs": ["generate"], "conditions": {"text": {"kind": "text"}}}
    facts: dict[str, Any] = {"output": {"kind": "image", "channels": 3, "size": [8, 8]}, "license": "MIT"}
    facts["texts"] = {"text": ["red"]}
    (entry,) = parse({"one": {**stanza, "checkpoints": {"small": facts}}}, "r.yaml", "p", Path())
    assert entry.conditions[0].examples == ("red",)
    assert example_conditions(entry) == {"text": "red"}
    assert json.loads(to_config(entry))["texts"] == {"text": ["red"]}
    facts["texts"] = {"words": ["red"]}
    with pytest.raises(RegistryError, match="texts: words: unknown key"):
        parse({"one": {**stanza, "checkpoints": {"small": facts}}}, "r.yaml", "p", Path())


def test_models_know_the_words_that_they_are_shown_with() -> None:
    for name in list_models():
        for condition in info(name).conditions:
            for text in condition.examples:
                assert not numbered(text, condition.vocabulary)[1], text


def test_a_config_with_figures_in_words_is_read() -> None:
    """As those of versions before there were cards."""
    raw = json.loads(to_config(info("conv-ae.fashion-mnist")))
    raw["metrics"] = [{"name": "error over PCA's", "value": 0.4, "protocol": "mean of copies", "fingerprint": "ab"}]
    del raw["summary"], raw["evaluate"], raw["data"]["id"], raw["example"]
    entry = from_config(json.dumps(raw), "config.json")
    assert entry.metrics == (Metric("error over PCA's", 0.4, "mean of copies"),)
    assert entry.summary == info("conv-ae").model_summary
    assert from_config(to_config(entry), "config.json") == entry
    assert index.evaluate_of(entry) == "zoo.recipes.conv_ae:evaluate"


def test_list_models(toys: Registry) -> None:
    assert list_models()[:3] == ["dcgan", "cdcgan", "gan"]
    assert "dcgan" in zoo.list_models("*gan*", verb="generate")
    assert list_models("conv-ae", verb="generate") == []
    assert list_models("*.toy") == ["dots", "doubler"]
    assert "conv-ae" in list_models(license="cc-by*")
    assert list_models("conv-ae.fashion*") == ["conv-ae.fashion-mnist"], "the name alone would mean the flowers"
    assert list_models("pix2pix*", license="commercial") == ["pix2pix.emoji"]
    assert "cyclegan" not in list_models(license="cc-by*")
    with pytest.raises(InputError, match="choose generate or reconstruct"):
        list_models(verb="draw")


def test_a_taken_name_is_refused_and_nothing_of_its_package_is_taken_in(tmp_path: Path) -> None:
    made = index.Registry()
    made.add(entries(GOOD, tmp_path))
    other = {"new": GOOD["toy"], "other": {**GOOD["toy"], "aliases": ["toy"]}}
    with pytest.raises(RegistryError, match="the name toy is taken by toys"):
        made.add(entries(other, tmp_path))
    assert list(made.models) == ["toy"]
    with pytest.raises(RegistryError, match="both claim the name twin"):
        made.add(entries({"twin": GOOD["toy"], "other": {**GOOD["toy"], "aliases": ["twin"]}}, tmp_path))


def test_config_round_trip() -> None:
    for entry in registry().entries.values():
        assert from_config(to_config(entry), "config.json") == replace(entry, hub=None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "expected a mapping"),
        ('{"model": "dcgna"}', "did you mean dcgan"),
        ('{"model": "dcgan", "builder": "os:system"}', "the key 'output' is missing"),
        ('{"model": "dcgan", "output": {"kind": "image"}, "builder": "os:system"}', "builder: unknown key"),
    ],
)
def test_config_errors(text: str, words: str) -> None:
    with pytest.raises((RegistryError, UnknownNameError), match=words):
        from_config(text, "config.json")


def make_plugin(site: Path, name: str, registry_text: str | None, package: str | None = None) -> None:
    """What pip leaves behind for an installed plugin."""
    package = package or name
    (site / package).mkdir(parents=True)
    (site / package / "__init__.py").write_text("raise RuntimeError('listing must not import a plugin')")
    if registry_text is not None:
        (site / package / "registry.yaml").write_text(registry_text)
    info_folder = site / f"{name}-1.0.dist-info"
    info_folder.mkdir()
    (info_folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info_folder / "entry_points.txt").write_text(f"[zoo.plugins]\n{name} = {package}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    registry.cache_clear()
    yield folder
    registry.cache_clear()


def test_a_plugin_is_listed_and_not_imported(site: Path) -> None:
    make_plugin(site, "zoo_toys", yaml.safe_dump(GOOD))
    assert info("toy").package == "zoo_toys"
    assert info("toy").folder == site / "zoo_toys"
    assert "zoo_toys" not in sys.modules


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "is not YAML"),
        (None, "cannot be read"),
        (yaml.safe_dump({"dcgan": GOOD["toy"]}), "the name dcgan is taken by zoo"),
        (yaml.safe_dump({"toy": {}}), "the key 'builder' is missing"),
    ],
)
def test_a_broken_plugin_costs_a_warning_and_nothing_else(site: Path, text: str | None, words: str) -> None:
    make_plugin(site, "zoo_broken", text)
    make_plugin(site, "zoo_toys", yaml.safe_dump({"fine": GOOD["toy"]}))
    with pytest.warns(UserWarning, match=f"The plugin zoo_broken is left out: .*{words}"):
        models = list_models()
    assert {"dcgan", "conv-ae", "fine"} <= set(models)


def test_an_entry_point_without_its_package_is_a_warning(site: Path) -> None:
    make_plugin(site, "zoo_gone", "{}", package="zoo_gone")
    (site / "zoo_gone").rename(site / "elsewhere")
    with pytest.warns(UserWarning, match="'zoo_gone' that its entry point names is not installed"):
        assert "dcgan" in list_models()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (">=99", "zoo_broken needs version >=99 of the zoo, and this is .*: update one of them"),
        ("new", "requires: expected versions of the zoo, as in '>=0.1,<1', got 'new'"),
        (">=0." + 5001 * "9", "requires: expected versions of the zoo, as in '>=0.1,<1', got '>=0.9"),
    ],
)
def test_a_plugin_says_which_zoo_it_needs(site: Path, text: str, words: str) -> None:
    """Before anything else in the file, which a newer zoo may read in another way."""
    make_plugin(site, "zoo_broken", yaml.safe_dump({"toy": {"newkey": 1}, "requires": text}))
    make_plugin(site, "zoo_toys", yaml.safe_dump({"toy": GOOD["toy"], "requires": ">=0.1"}))
    with pytest.warns(UserWarning, match=f"The plugin zoo_broken is left out: .*{words}"):
        assert "toy" in list_models()


def test_a_builder_that_cannot_be_imported_costs_its_model_only(site: Path) -> None:
    make_plugin(site, "zoo_toys", yaml.safe_dump({"toy": {**GOOD["toy"], "builder": "zoo_toys.network:Toy"}}))
    with pytest.raises(RegistryError, match=r"listing must not import a plugin; zoo_toys has to correct `builder`"):
        build(info("toy"))
    assert zoo.load("dcgan").generate(1, seed=0)


def test_zoo_plugins_chooses(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("zoo_one", "zoo_two"):
        make_plugin(site, name, yaml.safe_dump({name.replace("_", "-"): GOOD["toy"]}))
    folder = site.parent / "folder"
    folder.mkdir()
    (folder / "registry.yaml").write_text(yaml.safe_dump({"mine": GOOD["toy"]}))
    monkeypatch.setenv("ZOO_PATH", str(folder))
    foreign = {}
    for chosen in ("none", "zoo-one", "zoo_two, folder"):
        monkeypatch.setenv("ZOO_PLUGINS", chosen)
        registry.cache_clear()
        foreign[chosen] = [name for name in list_models() if info(name).package != "zoo"]
    assert foreign == {"none": [], "zoo-one": ["zoo-one"], "zoo_two, folder": ["mine", "zoo-two"]}
    monkeypatch.setenv("ZOO_PLUGINS", "zoo_too")
    registry.cache_clear()
    with pytest.warns(UserWarning, match="ZOO_PLUGINS names zoo-too: there are folder, zoo_one, zoo_two"):
        list_models()


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder of one's own with a network, its weights and a registry.yaml that says no more than it must."""
    folder = tmp_path / "mine"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "my_ramp.py").write_text(RAMP)
    facts = {"license": "MIT", "output": {"kind": "image", "channels": 1, "size": [4, 4]}}
    stanza = {"builder": "my_ramp:Ramp", "summary": "Ramps.", "verbs": ["generate"], "checkpoints": {"first": facts}}
    (folder / "registry.yaml").write_text(yaml.safe_dump({"ramp": stanza}))
    save_file({"gain": torch.ones(1)}, folder / "checkpoints" / "ramp.first.safetensors")
    monkeypatch.setattr(sys, "path", list(sys.path))
    registry.cache_clear()
    yield folder
    registry.cache_clear()
    sys.modules.pop("my_ramp", None)


RAMP = """
import torch
from zoo.model import Generator


class Ramp(Generator):
    def __init__(self):
        super().__init__()
        self.latent_shape = (1,)
        self.gain = torch.nn.Parameter(torch.ones(1))

    def decode(self, z):
        return torch.tanh(self.gain * z[:, :, None, None] + torch.linspace(-1, 1, 16).view(1, 1, 4, 4))
"""


def test_a_folder_on_zoo_path(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_PATH", f"{mine}{os.pathsep}{mine.parent / 'missing'}")
    with pytest.warns(UserWarning, match="The plugin missing is left out: .*missing is no folder: correct ZOO_PATH"):
        assert "ramp" in list_models()
    assert info("ramp").package == "mine"
    assert zoo.load("ramp").generate(2, seed=0).numpy().shape == (2, 1, 4, 4)


def test_threads_share_a_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that reads it, and the one that asks meanwhile."""
    registry.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda _: id(registry()), range(8))]
    assert len(set(found)) == 1
    for call in (zoo.info, zoo.list_models):
        with pytest.raises(InputError, match="is a text, such as"):
            call(None)  # type: ignore[operator]


def test_register_a_folder_a_mapping_or_yaml(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = mine / "checkpoints" / "ramp.first.safetensors"
    assert zoo.register(mine) == ["ramp"]
    first = zoo.load("ramp").generate(2, seed=0).numpy()
    text = (mine / "registry.yaml").read_text()
    assert zoo.register(text) == ["ramp"], "what was registered before is replaced"
    assert np.array_equal(zoo.load("ramp", weights=weights).generate(2, seed=0).numpy(), first)
    with pytest.raises(WeightsError, match=r"ramp.first has no weights: .* put the file there, or name one"):
        zoo.load("ramp")
    stanza = yaml.safe_load(text)
    assert zoo.register({"slope": {**stanza["ramp"], "aliases": ["hill"]}}) == ["slope"]
    assert info("hill").package == "this process"
    with pytest.raises(RegistryError, match="the name dcgan is taken by zoo"):
        zoo.register({"slope": {**stanza["ramp"], "aliases": ["dcgan"]}})
    assert info("hill").model == "slope", "a refused stanza changes nothing"
    with pytest.raises(RegistryError, match="the stanza: slope: the key 'builder' is missing"):
        zoo.register({"slope": {}})
    with pytest.raises(RegistryError, match="nowhere is no folder"):
        zoo.register("nowhere")


@pytest.mark.parametrize("code", ["import zoo; zoo.list_models()", "from zoo.cli import main; main(['list'])"])
def test_listing_imports_nothing_heavy(code: str) -> None:
    heavy = [
        "torch",
        "timm",
        "torchvision",
        "numpy",
        "PIL",
        "huggingface_hub",
        "safetensors",
        "tqdm",
        "importlib.metadata",
    ]
    check = f"import sys, atexit; atexit.register(lambda: print([m for m in {heavy} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", f"{check}; {code}"], capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr


def test_a_network_without_checkpoints_is_for_weights_that_users_bring(zoo_command: Callable[..., Result]) -> None:
    assert "srvgg" not in list_models()
    assert "Networks without weights, for `zoo import`: biggan-deep, pytorch-gan-unet, " in zoo_command("list").stdout
    assert zoo_command("list", "sr*g").stdout == "Networks without weights, for `zoo import`: srvgg\n"
    assert "srvgg" not in zoo_command("list", "--verb", "generate").stdout
    assert info("srvgg").name == "srvgg"
    with pytest.raises(WeightsError, match=re.escape("srvgg has no weights: `zoo import srvgg FILE -o FOLDER`")):
        zoo.load("srvgg")
    with pytest.raises(UnknownNameError, match="srvgg has no checkpoint 'x4': it has none"):
        info("srvgg.x4")
    assert "Weights  none: `zoo import`\n" in zoo_command("info", "srvgg").stdout


@pytest.mark.usefixtures("toys")
def test_a_network_without_checkpoints_may_have_a_recipe(zoo_command: Callable[..., Result]) -> None:
    stanza = {"builder": "a.b:C", "summary": "x", "verbs": ["generate"], "recipe": "a.b:c"}
    registry().add(parse(yaml.safe_dump({"one": stanza}), "r.yaml", "p", Path()))
    assert info("one").recipe == "a.b:c"
    assert "Weights  none: `zoo import` or `zoo train`\n" in zoo_command("info", "one").stdout
    output = {"kind": "image", "channels": 3, "size": [8, 8]}
    both = {**stanza, "checkpoints": {"small": {"output": output, "license": "MIT"}}}
    with pytest.raises(RegistryError, match="recipe"):
        parse(yaml.safe_dump({"one": both}), "r.yaml", "p", Path())


# What stands in entry_points.txt of some.
POINTS = {
    "no equals sign": "[zoo.plugins]\nzoo_broken\n",
    "no equals sign elsewhere": "[console_scripts]\nx\n[zoo.plugins]\nzoo_broken = zoo_broken\n",
    "an attribute": "[zoo.plugins]\nzoo_broken = zoo_broken:plugin\n",
    "a path": "[zoo.plugins]\nzoo_broken = ../zoo_broken\n",
    "nothing": "[zoo.plugins]\nzoo_broken =\n",
    "a module": "[zoo.plugins]\nzoo_broken = json.decoder\n",
}


def break_plugin(name: str, site: Path) -> None:
    """Damage an installed plugin in the way that a name says."""
    folder = site / "zoo_broken-1.0.dist-info"
    metadata, points = folder / "METADATA", folder / "entry_points.txt"
    if name == "no metadata":
        metadata.unlink()
    elif name == "no name":
        metadata.write_text("Metadata-Version: 2.1\nVersion: 1.0\n")
    elif name == "an escape as name":
        metadata.write_text("Metadata-Version: 2.1\nName: \x1b[31mred\nVersion: 1.0\n")
    elif name == "empty metadata":
        metadata.write_text("")
    elif name == "latin-1 metadata":
        metadata.write_bytes("Name: zoo_broken\nAuthor: Müller\n".encode("latin-1"))
    elif name == "latin-1 entry points":
        points.write_bytes("[zoo.plugins]\nmüller = zoo_broken\n".encode("latin-1"))
    elif name == "a folder as metadata":
        metadata.unlink()
        metadata.mkdir()
    elif name == "a fifo as metadata":
        metadata.unlink()
        os.mkfifo(metadata)
    elif name == "a broken link as metadata":
        metadata.unlink()
        metadata.symlink_to("nowhere")
    elif name in POINTS:
        points.write_text(POINTS[name])
    else:
        registry_file = site / "zoo_broken" / "registry.yaml"
        registry_file.unlink()
        if name == "a fifo as registry":
            os.mkfifo(registry_file)
        elif name == "a device as registry":
            registry_file.symlink_to("/dev/zero")
        elif name == "a folder as registry":
            registry_file.mkdir()
        elif name == "an enormous registry":
            with registry_file.open("wb") as file:
                file.truncate(10**9)
        elif name == "latin-1 registry":
            registry_file.write_bytes("a: ü".encode("latin-1"))
        else:
            registry_file.symlink_to("registry.yaml")  # a loop


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no metadata", "METADATA: No such file"),
        ("no name", "its metadata have no Name"),
        ("an escape as name", "its metadata have no Name"),
        ("empty metadata", "its metadata have no Name"),
        ("latin-1 metadata", "METADATA: it is not UTF-8"),
        ("latin-1 entry points", "can't decode|not in list"),
        ("a folder as metadata", "METADATA: Is a directory"),
        ("a fifo as metadata", "METADATA: it is no regular file"),
        ("a broken link as metadata", "METADATA: No such file"),
        ("no equals sign", "are damaged"),
        ("no equals sign elsewhere", "are damaged"),
        ("an attribute", "'zoo_broken:plugin': it must name a package that has a registry.yaml"),
        ("a path", "'../zoo_broken': it must name a package"),
        ("nothing", "'': it must name a package"),
        ("a module", "'json.decoder' that its entry point names is not installed"),
        ("a fifo as registry", "registry.yaml cannot be read: it is no regular file"),
        ("a device as registry", "registry.yaml cannot be read: it is no regular file"),
        ("a folder as registry", "registry.yaml cannot be read: Is a directory"),
        ("an enormous registry", "registry.yaml cannot be read: it has more than 4,000,000 bytes"),
        ("latin-1 registry", "registry.yaml cannot be read: it is not UTF-8 at byte 3"),
        ("a loop as registry", "registry.yaml cannot be read: Too many levels"),
    ],
)
def test_a_damaged_plugin_costs_one_warning_and_nothing_where_it_is_not_chosen(
    site: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    make_plugin(site, "zoo_broken", yaml.safe_dump({"gone": GOOD["toy"]}))
    make_plugin(site, "zoo_toys", yaml.safe_dump({"fine": GOOD["toy"]}))
    break_plugin(name, site)
    with pytest.warns(UserWarning) as warned:
        models = list_models()
    assert "fine" in models
    assert "gone" not in models
    (warning,) = warned
    assert re.search(f"^The plugin zoo_broken is left out: .*({words})", str(warning.message))
    assert "\x1b" not in str(warning.message)
    for chosen in ("none", "zoo-toys"):
        monkeypatch.setenv("ZOO_PLUGINS", chosen)
        registry.cache_clear()
        assert ("fine" in list_models()) == (chosen == "zoo-toys")


def test_what_only_looks_like_a_distribution_costs_nothing(site: Path) -> None:
    make_plugin(site, "zoo_toys", yaml.safe_dump({"fine": GOOD["toy"]}))
    (site / "file-1.0.dist-info").touch()
    (site / "loop-1.0.dist-info").symlink_to("loop-1.0.dist-info")
    (site / "gone-1.0.dist-info").symlink_to("nowhere")
    (site / "a-1.0.dist-info" / "entry_points.txt").mkdir(parents=True)
    (site / "b-1.0.dist-info").mkdir()
    os.mkfifo(site / "b-1.0.dist-info" / "entry_points.txt")
    assert "fine" in list_models()


def test_with_plugins_none_nothing_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_PLUGINS", "none")
    monkeypatch.setenv("ZOO_PATH", "~nobody/x:nowhere")
    monkeypatch.setattr("os.scandir", lambda path: pytest.fail(f"{path} is looked at"))
    registry.cache_clear()
    try:
        assert {entry.package for entry in registry().entries.values()} == {"zoo"}
    finally:
        registry.cache_clear()


@pytest.mark.parametrize("above", ["my", "my.own"])
def test_a_dotted_package_is_found_and_nothing_of_it_is_imported(site: Path, above: str) -> None:
    """The packages above it may be namespaces, without an __init__.py."""
    make_plugin(site, "zoo_dotted", None, package=f"{above}.toys")
    (site / f"{above}.toys").rename(site / "toys")
    (site / above.replace(".", "/")).mkdir(parents=True)
    (site / "toys").rename(site / above.replace(".", "/") / "toys")
    (site / above.replace(".", "/") / "toys" / "registry.yaml").write_text(yaml.safe_dump({"fine": GOOD["toy"]}))
    assert info("fine").folder == site / above.replace(".", "/") / "toys"
    assert "my" not in sys.modules


@pytest.mark.parametrize(
    "text",
    [
        "a: .nan",
        "a: [.inf]",
        "a: 2020-01-01",
        "a: 2020-99-99",
        "a: 99999999999999999999",
        f"a: {'9' * 6000}",
        f"a: 0x{'f' * 6000}",
        "a: !!bool maybe",
        "a: !!int ''",
        "a: !!int {}",
        "a: !!timestamp x",
        "a: !!binary aGk=",
        "a: !!set {x}",
        "a: !!omap [x: 1]",
        "a: !!python/name:os.system",
        "a: !<tag:example.org,2002:y> 1",
        "~: {}",
        "1: {}",
        "on: {}",
        "2020-01-01: {}",
        "{a: 1}: {}",
        "<<: x",
        "&a {b: *a}",
        "&a {<<: *a, b: 1}",
        'a: "\\e[31m"',
        'a: "\\0"',
        'a: "\\ud800"',
        'a: "\\u202e"',
        f"a: [{', '.join([':'.join(['59'] * 3300)] * 390)}]",  # to the base 60
        f"a: !!float '{':'.join(['59'] * 400_000)}'",
        f"a: [{'{},' * 300_000}]",
        "".join(f"k{i}: 1\n" for i in range(200_000)),
        "a0: &a0 {x: 1, y: 2}\n"
        + "\n".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 12)),
        "a0: &a0 {x: 1}\n" + "\n".join(f"a{i}: &a{i} {{<<: *a{i - 1}}}" for i in range(1, 5000)),
        "a: 1\n---\nb: 2",
        "%YAML 9.9\n---\na: 1",
    ],
    ids=lambda text: text[:30],
)
def test_yaml_that_nobody_writes_is_one_sentence_soon(text: str) -> None:
    start = time.process_time()
    with pytest.raises(RegistryError) as error:
        parse(text, "registry.yaml", "toys", Path())
    assert time.process_time() - start < 5
    assert str(error.value).startswith("registry.yaml")
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("file", ["../x.safetensors", "/x.safetensors", "a\\b.safetensors", "C:x.safetensors", "./x.safetensors"]),
        ("file", ["a/../b.safetensors", "a//b.safetensors", "a/./b.safetensors", "x.pth", "a\nb.safetensors"]),
        ("revision", ["", "..", "../x", "/x", "x/", "a b", "-x", "a\nb", "a/../b", "a?b", "a#b", "\x1b[0m"]),
        ("repo", ["me/a--b", "me/a..b", "../x", "me", "a/b/c", "me/x\n", "https://huggingface.co/me/x"]),
        ("mirrors", [["file:///etc/passwd"], ["ftp://a/b"], ["https://"], ["https:///x"], ["https://a/ b"], ["//a/b"]]),
    ],
)
def test_names_of_the_hub_that_lead_elsewhere_are_refused(tmp_path: Path, key: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(RegistryError):
            entries(changed(GOOD, f"toy.checkpoints.x4.hub.{key}", value), tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"model": "dcgan", "model": "srgan"}', "not JSON: the key 'model' comes twice"),
        (b'{"model": "dcgan", "config": {"a": NaN}}', "nan is no finite number"),
        (b'{"model": "dcgan", "config": {"a": 1e999}}', "inf is no finite number"),
        (b'{"model": "dcgan", "license": "\\ud800"}', "control characters"),
        (b'{"model": "dcgan", "license": "\\u001b[31m"}', "control characters"),
        (b'{"model": "d\xfcgan"}', "it is not UTF-8 at byte 12"),
        ('{"model": "dcgan"}'.encode("utf-16"), "it is not UTF-8 at byte 0"),
        (b"[" * 100_000, "not JSON"),
        (b"[" * 60 + b"]" * 60, "nested more than 50 deep"),
        (b"[" + b"{}," * 1_000_000 + b"{}]", "more than 100,000 values"),
        (b" " * 5_000_000, "it has more than 4,000,000 bytes"),
        (b"\xef\xbb\xbf{}", "the key 'model' is missing"),
    ],
    ids=lambda x: str(x)[:30],
)
def test_a_config_that_strangers_wrote_is_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(RegistryError, match=re.escape(words)) as error:
        zoo.load(f"local-dir:{tmp_path}")
    assert str(tmp_path / "config.json") in str(error.value)
    assert str(error.value).isprintable()


def test_the_zoos_own_registry_keeps_the_rules_for_strangers() -> None:
    """They are not checked when it is read, which is at every start."""
    path, folder = discovery.own_registry()
    assert len(parse(path.read_text("utf-8"), "registry.yaml", "a stranger", folder)) > 10


def test_a_dotted_package_that_only_an_editable_install_knows(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its finder knows the package by its whole name, and what is above it has no folder."""
    make_plugin(site, "zoo_dotted", None, package="far.toys")
    elsewhere = site.parent / "elsewhere"
    (site / "far.toys").rename(elsewhere)
    (elsewhere / "registry.yaml").write_text(yaml.safe_dump({"fine": GOOD["toy"]}))

    class Finder:
        @staticmethod
        def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
            if name != "far.toys":
                return None
            return spec_from_file_location(name, elsewhere / "__init__.py", submodule_search_locations=[str(elsewhere)])

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert info("fine").folder == elsewhere
