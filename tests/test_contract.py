"""The contract of a model: good models keep it, and every rule catches what breaks it, alone."""

from __future__ import annotations

import gc
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import mutants
import pytest
import torch
from click.testing import Result
from safetensors.torch import save_file
from slow_mutant import ImportTime

import zoo
from zoo.model import Model
from zoo.registry.index import registry
from zoo.testing import RULES, check, complaints, contract, declared
from zoo.testing.harness import import_seconds as measured

BUILT_IN = [name for name, entry in registry().entries.items() if entry.package == "zoo" and entry.embedded.is_file()]
MUTANTS: dict[str, type[Model]] = {
    mutants.name_of(cls).replace("-", "_"): cls
    for cls in [*vars(mutants).values(), ImportTime]
    if isinstance(cls, type) and issubclass(cls, mutants.GOOD) and cls not in mutants.GOOD
}

test_the_zoo_s_own_models_keep_the_contract = contract(*BUILT_IN)

# What the rule import_time measures of each module by itself, after torch was read once for all.
IMPORTS = """
import os, sys, time
from importlib import import_module
import zoo.media.images, zoo.model
for name in 2 * sys.argv[1:]:
    if not os.fork():
        before = time.process_time()
        import_module(name)
        print(name, time.process_time() - before, flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module", autouse=True)
def _fast() -> Iterator[None]:
    """One interpreter in place of one for each network, and no search of what was there before the first test."""
    modules = {registry().entries[name].builder.partition(":")[0] for name in BUILT_IN}
    done = subprocess.run([sys.executable, "-c", IMPORTS, *modules], capture_output=True, text=True, check=True)
    seconds: dict[str, float] = {}
    for line in done.stdout.splitlines():
        module, taken = line.split()
        seconds[module] = min(float(taken), seconds.get(module, math.inf))
    assert seconds.keys() == modules
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            declared, "import_seconds", lambda module, enough: seconds.get(module) or measured(module, enough)
        )
        gc.collect()
        gc.freeze()
        yield
        gc.unfreeze()


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All good and all broken models, registered with weights."""
    folder = tmp_path_factory.mktemp("mutants")
    (folder / "checkpoints").mkdir()
    torch.manual_seed(0)
    classes = [*mutants.GOOD, *MUTANTS.values()]
    for cls in classes:
        save_file(cls().state_dict(), folder / "checkpoints" / f"{mutants.name_of(cls)}.toy.safetensors")
    registry.cache_clear()
    import yaml

    (folder / "registry.yaml").write_text(yaml.safe_dump(mutants.stanza(classes, folder / "checkpoints")))
    zoo.register(folder)
    yield
    registry.cache_clear()


@pytest.mark.parametrize("name", [mutants.name_of(cls) for cls in mutants.GOOD])
def test_good_models_keep_the_contract(toys: None, name: str) -> None:
    check(name)


def test_every_rule_has_its_mutant() -> None:
    assert sorted(MUTANTS) == sorted(rule.id for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_catches_its_mutant_and_the_others_do_not(toys: None, rule: zoo.testing.Rule) -> None:
    found = complaints(mutants.name_of(MUTANTS[rule.id]))
    assert [line.partition(":")[0] for line in found] == [rule.id], found
    assert found[0].startswith(f"{rule.id}: {rule.promise} ")
    assert found[0].endswith(f". Remedy: {rule.remedy}")


def test_check_raises_with_all_that_is_broken(toys: None) -> None:
    with pytest.raises(AssertionError, match=r"^seeds breaks 1 of \d+ rules\.\nseeds: A seed always .* Remedy: Draw"):
        check("seeds")


def test_the_command_says_what_is_broken(toys: None, zoo_command: Callable[..., Result]) -> None:
    made = zoo_command("check", "draws", "memory")
    assert made.exit_code == 1
    assert f"draws.toy: keeps {len(RULES)} rules\nmemory.toy: breaks 1 of {len(RULES)} rules\n  memory: " in made.stdout
    assert "Remedy: Keep no results in the model." in made.stdout
    assert made.stderr == "Error: The contract is broken: see above.\n"
    listed = zoo_command("check", "--rules").stdout
    assert all(rule.id in listed and rule.promise in listed for rule in RULES)
    assert "Name the models to check" in zoo_command("check").stderr


def test_what_cannot_be_loaded_says_so(toys: None, tmp_path: Path) -> None:
    with pytest.raises(zoo.ZooError, match="There is no model"):
        check("nothing")
