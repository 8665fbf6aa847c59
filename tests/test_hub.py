"""Weights from a Hub: the good ways, and every way that fails, with what the user reads and what remains on disk."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hub import TOKEN, Hub, Repo
from safetensors.torch import save

import zoo
from zoo.errors import InputError, ResearchOnly
from zoo.registry.facts import Data
from zoo.registry.index import info, registry
from zoo.registry.licenses import commercial
from zoo.registry.schema import to_config
from zoo.weights import folder

NAME = "generative-zoo/dcgan-fashion-mnist"
GOOD = save({"gain": torch.ones(300_000)})  # 1.2 MB
OTHER = save({"gain": torch.zeros(300_000)})
NETWORK = """
import torch
from zoo.model import Generator


class Ramp(Generator):
    def __init__(self):
        super().__init__()
        self.latent_shape = (1,)
        self.gain = torch.nn.Parameter(torch.ones(300_000))

    def decode(self, z):
        return torch.tanh(self.gain[0] * z[:, :, None, None]).expand(-1, 1, 4, 4)
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A Hub with dcgan, and with `me/ramp`."""
    made = Hub()
    entry = info("dcgan")
    made.repos[NAME] = Repo()
    made.repos[NAME].commit(
        {"model.safetensors": entry.embedded.read_bytes(), "config.json": to_config(entry).encode()}
    )
    made.repos["me/ramp"] = Repo()
    made.repos["me/ramp"].commit({"model.safetensors": GOOD})
    with made.running():
        yield made


class Machine:
    """A computer on which the zoo is used: `ramp` is a model in a folder of its user, without weights."""

    def __init__(self, folder: Path, server: Hub, **facts: Any) -> None:
        self.folder, self.home = folder, folder / "hf"
        (folder / "mine").mkdir()
        (folder / "mine" / "my_ramp_network.py").write_text(NETWORK)
        facts = {
            "output": {"kind": "image", "channels": 1, "size": [4, 4]},
            "license": "MIT",
            "sha256": hashlib.sha256(GOOD).hexdigest(),
            "bytes": len(GOOD),
            "hub": {"repo": "me/ramp"},
            **facts,
        }
        model = {"builder": "my_ramp_network:Ramp", "summary": "Ramps.", "verbs": ["generate"]}
        stanza = {"ramp": {**model, "checkpoints": {"first": facts}}}
        (folder / "mine" / "registry.yaml").write_text(yaml.safe_dump(stanza))
        environment = {
            k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and k != "HF_HUB_OFFLINE"
        }
        self.environment = {
            **environment,
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(self.home),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_ETAG_TIMEOUT": "2",
            "ZOO_CACHE": str(folder / "cache"),
            "ZOO_PATH": str(folder / "mine"),
        }

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from zoo.cli import main; main()", *arguments]
        return subprocess.Popen(
            command,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
        )

    def zoo(self, *arguments: str, fails: bool = False, **environment: str) -> str:
        """What a command says, on the standard error where it fails."""
        process = self.start(*arguments, **environment)
        out, error = process.communicate(timeout=60)
        assert process.returncode == (1 if fails else 0), out + error
        assert "Traceback" not in error
        return error if fails else out

    def files(self) -> list[bytes]:
        """All weights in the Hub's cache, under whatever name."""
        return [path.read_bytes() for path in self.home.rglob("blobs/*") if path.stat().st_size > 100_000]


@pytest.fixture
def machine(tmp_path: Path, hub: Hub) -> Machine:
    return Machine(tmp_path, hub)


def test_download_then_offline_from_the_cache(machine: Machine, hub: Hub) -> None:
    assert str(machine.home) in machine.zoo("download", "ramp")
    asked = len(hub.log)
    machine.zoo("generate", "ramp", "-o", "a.png", HF_HUB_OFFLINE="1")
    machine.zoo("generate", "ramp", "-o", "b.png", HF_ENDPOINT="http://127.0.0.1:1")
    assert len(hub.log) == asked
    assert [row["status"] for row in json.loads(machine.zoo("verify", "ramp", "--json"))] == ["good"]
    assert re.search(r"ramp\.first +1\.2 MB +.* ago +/", machine.zoo("cache", "list"))
    assert machine.zoo("cache", "clear", "ramp") == "Deleted 1.2 MB.\n"
    assert machine.zoo("cache", "list") == "Nothing was downloaded.\n"
    assert machine.files() == []


def test_a_file_is_read_once_for_its_hash(machine: Machine) -> None:
    machine.zoo("download", "ramp")
    memory = json.loads((machine.folder / "cache" / "verified.json").read_text())
    ((path, facts),) = memory.items()
    assert facts[3] == hashlib.sha256(GOOD).hexdigest()
    blob = Path(path)
    blob.write_bytes(OTHER)
    os.utime(blob, ns=(facts[1], facts[1]))  # size, time and inode are what they were
    machine.zoo("generate", "ramp", "-o", "a.png", HF_HUB_OFFLINE="1")
    assert "1 of 1 files is wrong" in machine.zoo("verify", "ramp", fails=True)
    os.utime(blob)
    error = machine.zoo("generate", "ramp", "-o", "a.png", HF_HUB_OFFLINE="1", fails=True)
    assert "is not ramp.first: its sha256 begins" in error
    assert f"It was set aside as {blob}.wrong." in error


def test_a_repository_by_its_own_name(machine: Machine, hub: Hub) -> None:
    commit = next(iter(hub.repos[NAME].commits))
    wanted = (zoo.load("dcgan").generate(1, seed=1).numpy() * 255 + 0.5).astype(np.uint8) / np.float32(255)
    for name in (f"hf-hub:{NAME}", f"hf-hub:{NAME}@{commit}"):
        machine.zoo("generate", name, "-n", "1", "--seed", "1", "-o", "a.png")
        assert np.array_equal(zoo.Images.of(machine.folder / "a.png").numpy(), wanted)
    hub.log.clear()
    machine.zoo("generate", f"hf-hub:{NAME}@{commit}", "-o", "a.png")
    assert hub.log == [], "a commit never changes"


def test_a_connection_that_is_cut_is_taken_up_again(machine: Machine, hub: Hub) -> None:
    hub.cut = [300_000]
    machine.zoo("download", "ramp")
    assert sum(line.startswith("GET /lfs/") for line in hub.log) == 2
    assert machine.files() == [GOOD]


def test_a_file_that_is_too_short_is_no_file(machine: Machine, hub: Hub) -> None:
    hub.short = 1000
    error = machine.zoo("download", "ramp", fails=True)
    assert "me/ramp@main/model.safetensors could not be downloaded: Consistency check failed" in error
    assert "ramp" not in machine.zoo("cache", "list")
    hub.short = 0
    machine.zoo("download", "ramp")
    assert machine.files() == [GOOD]


@pytest.mark.parametrize("status", [500, 429])
def test_a_busy_server_is_asked_again(machine: Machine, hub: Hub, status: int) -> None:
    hub.answers = [status, status]
    machine.zoo("download", "ramp")
    assert machine.files() == [GOOD]


def test_a_changed_file_of_the_same_name_is_refused(machine: Machine, hub: Hub) -> None:
    hub.repos["me/ramp"].commit({"model.safetensors": OTHER})
    error = machine.zoo("download", "ramp", fails=True)
    found, wanted = (hashlib.sha256(x).hexdigest()[:12] for x in (OTHER, GOOD))
    assert f"its sha256 begins {found} ({len(OTHER):,} bytes), not {wanted} ({len(GOOD):,} bytes)" in error
    assert ".wrong." in error
    assert machine.files() == [OTHER], "set aside, for whoever wants to look"
    hub.repos["me/ramp"].commit({"model.safetensors": GOOD})
    machine.zoo("download", "ramp")


def test_a_mirror_is_tried_after_the_hub(tmp_path: Path, hub: Hub) -> None:
    good = hashlib.sha256(GOOD).hexdigest()
    hub.repos["me/other"] = Repo()
    hub.repos["me/other"].commit({"model.safetensors": OTHER})
    bad = f"{hub.url}/lfs/{hashlib.sha256(OTHER).hexdigest()}"
    mirrors = [f"{hub.url}/nothing", bad, f"{hub.url}/lfs/{good}"]
    machine = Machine(tmp_path, hub, hub={"repo": "me/other", "mirrors": mirrors})
    path = Path(machine.zoo("download", "ramp").removeprefix("ramp.first: ").strip())
    assert path == machine.folder / "cache" / "mirrors" / f"{good}.safetensors"
    hub.log.clear()
    machine.zoo("generate", "ramp", "-o", "a.png")
    assert hub.log == [], "it is here"
    path.unlink()
    hub.repos["me/ramp"].commits.clear()
    error = machine.zoo("download", "ramp", fails=True)
    for words in (f"{hub.url}/nothing could not be downloaded: ", f"{bad} is not the file of ramp.first: "):
        assert words in error
    assert list(path.parent.iterdir()) == [], "nothing half downloaded"


@pytest.mark.parametrize(
    ("kind", "token", "words"),
    [
        ("private", "", "The Hub has no me/ramp@main/model.safetensors, or you have no access: check the name"),
        ("gated", "", "me/ramp is open only to users who have agreed to its terms: do so at"),
        ("gated", f"{TOKEN}_other", "me/ramp is open only to users who have agreed to its terms: do so at"),
    ],
)
def test_what_is_not_for_everybody(machine: Machine, hub: Hub, kind: str, token: str, words: str) -> None:
    setattr(hub.repos["me/ramp"], kind, True)
    assert words in machine.zoo("download", "ramp", fails=True, HF_TOKEN=token)
    assert machine.files() == []
    machine.zoo("download", "ramp", HF_TOKEN=TOKEN)
    assert machine.files() == [GOOD]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hf-hub:me/nothing", "The Hub has no me/nothing/config.json"),
        (f"hf-hub:{NAME}@old", f"The Hub has no {NAME}@old/config.json"),
        ("hf-hub:me/ramp", "The Hub has no me/ramp/config.json"),
    ],
)
def test_what_the_hub_does_not_have(machine: Machine, name: str, words: str) -> None:
    assert words in machine.zoo("generate", name, "-o", "a.png", fails=True)
    assert not (machine.folder / "a.png").exists()


def test_without_a_network_it_says_what_to_do_at_once(machine: Machine, hub: Hub) -> None:
    for environment in ({"HF_ENDPOINT": "http://127.0.0.1:1"}, {}):
        hub.delay = 5.0  # longer than HF_HUB_ETAG_TIMEOUT
        start = time.monotonic()
        error = machine.zoo("download", "ramp", fails=True, **environment)
        assert time.monotonic() - start < 10
        size = f"({len(GOOD):,} bytes)"
        assert f"me/ramp@main/model.safetensors {size} is not on this machine and the Hub cannot be reached" in error
        assert "run `zoo download ramp.first --to FOLDER` and set ZOO_WEIGHTS=FOLDER here." in error
    error = machine.zoo("download", "ramp", "--force", fails=True, HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE is set" in error


def test_a_full_disk_loses_nothing(machine: Machine) -> None:
    command = [sys.executable, "-c", "from zoo.cli import main; main()", "download", "ramp"]
    done = subprocess.run(
        command,
        env=machine.environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000)),
    )
    assert done.returncode == 1
    assert "could not be downloaded: " in done.stderr
    assert "Traceback" not in done.stderr
    machine.zoo("download", "ramp")
    assert machine.files() == [GOOD]


def test_a_cache_that_cannot_be_written(machine: Machine) -> None:
    machine.home.write_text("a file where a folder should be")
    error = machine.zoo("download", "ramp", fails=True)
    assert "me/ramp@main/model.safetensors could not be downloaded: " in error


def test_killed_in_the_middle_and_run_again(machine: Machine, hub: Hub) -> None:
    hub.trickle = 0.3
    process = machine.start("download", "ramp")
    while not any(line.startswith("GET /lfs/") for line in hub.log):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    hub.trickle = 0.0
    machine.zoo("download", "ramp")
    assert GOOD in machine.files()


def test_eight_processes_at_once(machine: Machine, hub: Hub) -> None:
    hub.trickle = 0.05
    processes = [machine.start("download", "ramp") for _ in range(8)]
    for process in processes:
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        assert out.startswith("ramp.first: ")
    assert machine.files() == [GOOD]


def test_a_file_without_a_hash_says_what_came(tmp_path: Path, hub: Hub) -> None:
    machine = Machine(tmp_path, hub, sha256=None, bytes=None, verified=False)
    process = machine.start("download", "ramp")
    _, error = process.communicate()
    assert process.returncode == 0
    assert f"no sha256 in the registry: me/ramp@main/model.safetensors has {hashlib.sha256(GOOD).hexdigest()}" in error
    assert "no: the maintainers have never loaded this file" in machine.zoo("info", "ramp")


def test_publish_and_load_again(machine: Machine, hub: Hub) -> None:
    """Bit for bit; what is printed is the stanza of what is there."""
    out = machine.zoo("publish", "dcgan", "--repo", "me/my-dcgan", "--private", HF_TOKEN=TOKEN)
    repo = hub.repos["me/my-dcgan"]
    assert repo.private
    commit, files = list(repo.commits.items())[-1]
    assert f"hub: {{repo: me/my-dcgan, revision: {commit}}}" in out
    assert info("dcgan").sha256 in out
    assert {"model.safetensors", "config.json", "README.md"} <= files.keys()
    assert files["model.safetensors"] == info("dcgan").embedded.read_bytes()
    for name in ("dcgan", f"hf-hub:me/my-dcgan@{commit}"):
        machine.zoo("generate", name, "-n", "2", "--seed", "1", "-o", f"{name[:2]}.png", HF_TOKEN=TOKEN)
    assert (machine.folder / "dc.png").read_bytes() == (machine.folder / "hf.png").read_bytes()
    assert "or you have no access" in machine.zoo("generate", "hf-hub:me/my-dcgan", "-o", "a.png", fails=True)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "The Hub refuses me/x with status 401: log in with `hf auth login`"),
        ({"HF_ENDPOINT": "http://127.0.0.1:1", "HF_TOKEN": TOKEN}, "me/x could not be uploaded: "),
    ],
)
def test_what_cannot_be_published(machine: Machine, hub: Hub, environment: dict[str, str], words: str) -> None:
    assert words in machine.zoo("publish", "dcgan", "--repo", "me/x", fails=True, **environment)
    assert "me/x" not in hub.repos


def test_a_dry_run_writes_what_would_be_uploaded(zoo_command: Any, tmp_path: Path) -> None:
    made = zoo_command("publish", "conv-ae.flowers", "--dry-run", "--to", tmp_path / "out")
    assert made.exit_code == 0, made.stderr
    card = (tmp_path / "out" / "README.md").read_text()
    _, header, text = card.split("---", 2)
    facts = yaml.safe_load(header)
    assert facts["license"] == "cc-by-2.0"
    assert facts["pipeline_tag"] == "image-to-image"
    assert facts["model-index"][0]["results"][0]["metrics"][0]["value"] == info("conv-ae.flowers").metrics[0].value
    for words in ("TensorFlow flower photos", "zoo.recipes.conv_ae:flowers", "`lr=0.001`", "name the authors"):
        assert words in text
    assert zoo.load(f"local-dir:{tmp_path / 'out'}").entry.config == info("conv-ae.flowers").config  # type: ignore
    for arguments, words in (
        (["conv-ae.flowers", "--dry-run", "--to", tmp_path / "out"], "out is not an empty folder: choose another."),
        (["conv-ae.flowers"], "Name the repository with --repo OWNER/NAME, or upload nothing with --dry-run."),
        (["conv-ae.flowers", "--dry-run"], "Name the folder to write with --to."),
        ([], "Name a checkpoint or the folder of a run, or give --all."),
        (["--all", "--repo", "me/x"], "--all uploads each checkpoint to its own repository: leave out --repo."),
        (["conv-ae", "--repo", "x", "--dry-run", "--to", "x"], "'x' is no name of a repository: use OWNER/NAME."),
    ):
        refused = zoo_command("publish", *arguments)
        assert refused.exit_code == 2
        assert words in refused.stderr
    everything = zoo_command("publish", "--all", "--dry-run", "--to", tmp_path / "all")
    assert everything.exit_code == 0, everything.stderr
    embedded = [entry for entry in registry().entries.values() if entry.embedded.is_file()]
    assert len(list((tmp_path / "all").glob("*/README.md"))) == len(embedded)


def test_a_checkpoint_and_a_folder_of_its_name_are_told_apart(
    zoo_command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder.export(info("dcgan.flowers"), info("dcgan.flowers").embedded, tmp_path / "dcgan.flowers")
    Path("dcgan.flowers/samples.png").write_bytes(b"of the run")
    for source, own in (("dcgan.flowers", False), ("local-dir:dcgan.flowers", True)):
        made = zoo_command("publish", source, "--dry-run", "--to", f"{own}")
        assert made.exit_code == 0, made.stderr
        assert (Path(f"{own}/samples.png").read_bytes() == b"of the run") is own
        assert Path(f"{own}/nearest.png").exists() is not own


def test_licences(zoo_command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = zoo_command("licenses", "dcgan", "esrgan").stdout
    assert "dcgan.fashion-mnist: commercial use is allowed\n  code, Apache-2.0: keep the copyright notice" in said
    assert "weights, MIT: keep the copyright notice" in said
    assert all(commercial(info(name)) for name in zoo.list_models(license="commercial"))
    entry = info("dcgan")
    data = Data("images", "CC-BY-NC-4.0", "https://example.org")
    assert commercial(entry)
    for changed in (replace(entry, license="unknown"), replace(entry, license="X-1"), replace(entry, data=data)):
        assert not commercial(changed), "the data count, too"
    monkeypatch.setattr("zoo.loading.find", lambda name, weights: (replace(entry, data=data), entry.embedded))
    with pytest.warns(ResearchOnly, match="dcgan.fashion-mnist is for research: `zoo licenses dcgan.fashion-mnist`"):
        zoo.load("dcgan")


def test_every_command_takes_a_repository_by_its_own_name(machine: Machine, hub: Hub) -> None:
    """Also what a message advises; afterwards the same without a network."""
    hub.repos["me/private-use"] = Repo()
    entry = replace(info("dcgan"), license="CC-BY-NC-4.0", checkpoint="mine")
    files = {"model.safetensors": info("dcgan").embedded.read_bytes(), "config.json": to_config(entry).encode()}
    hub.repos["me/private-use"].commit(files)
    name = "hf-hub:me/private-use"
    assert f"{name}: commercial use is not allowed" in machine.zoo("licenses", name)
    assert "on the Hub, me/private-use" in machine.zoo("info", name)
    folder = machine.folder / "carried"
    assert machine.zoo("download", name, "--to", str(folder)).startswith(f"{name}: {folder}")
    local = f"local-dir:{folder}/dcgan.mine"
    made = machine.start("generate", name, "-n", "1", "-o", "a.png", HF_HUB_OFFLINE="1")
    _, error = made.communicate()
    assert made.returncode == 0, error
    assert f"Warning: {name} is for research: `zoo licenses {name}` says what" in error
    with pytest.warns(ResearchOnly, match=f"{local} is for research: `zoo licenses {local}` says"):
        zoo.load(local)
    for known in (name, local):
        assert machine.zoo("verify", known, HF_HUB_OFFLINE="1").startswith(f"{known}  good")
        assert machine.zoo("licenses", known, HF_HUB_OFFLINE="1").startswith(f"{known}: commercial use is not")
        assert machine.zoo("download", known, HF_HUB_OFFLINE="1").startswith(f"{known}: /")
        assert "dcgan.mine: " in machine.zoo("info", known, HF_HUB_OFFLINE="1")
    both = machine.start("download", name, local, "--to", "two")
    assert f"{name} and {local} would both be two/dcgan.mine: download them to two folders." in both.communicate()[1]
    machine.zoo("cache", "clear", name)
    error = machine.zoo("licenses", name, fails=True, HF_HUB_OFFLINE="1")
    assert f"run `zoo download {name} --to FOLDER` and here load local-dir: and the folder in it." in error


def test_what_was_downloaded_by_commit_is_found_without_a_network(machine: Machine, hub: Hub) -> None:
    """By that commit, by its beginning, and where no branch is named."""
    (commit,) = hub.repos[NAME].commits
    machine.zoo("download", f"hf-hub:{NAME}@{commit}")
    asked = len(hub.log)
    for revision in (f"@{commit}", f"@{commit[:7]}", ""):
        machine.zoo("download", f"hf-hub:{NAME}{revision}", HF_HUB_OFFLINE="1")
    made = machine.start("info", f"hf-hub:{NAME}", HF_ENDPOINT="http://127.0.0.1:1")
    _, error = made.communicate()
    assert f"the commit {commit} is used, the newest on this machine." in error
    assert len(hub.log) == asked
    error = machine.zoo("info", f"hf-hub:{NAME}@v2", fails=True, HF_HUB_OFFLINE="1")
    assert f"Of {NAME}, this machine has @{commit}." in error, "what another branch is, nobody here can say"


@pytest.mark.parametrize("damaged", ["snapshot", "both"])
def test_a_damaged_cache_without_links(machine: Machine, hub: Hub, damaged: str) -> None:
    """As a copy of a cache has it: it is set aside, and the first run succeeds."""
    machine.zoo("download", "ramp")
    (snapshot,) = machine.home.rglob("snapshots/*/model.safetensors")
    blob = snapshot.resolve()
    snapshot.unlink()
    snapshot.write_bytes(OTHER)
    if damaged == "both":
        blob.write_bytes(OTHER)
        assert machine.zoo("download", "ramp").endswith("model.safetensors\n")
    else:
        path = Path(machine.zoo("download", "ramp", HF_HUB_OFFLINE="1").removeprefix("ramp.first: ").strip())
        assert path == blob, "the good copy is found without a network"
    assert snapshot.with_name("model.safetensors.wrong").read_bytes() == OTHER
    assert [row["status"] for row in json.loads(machine.zoo("verify", "ramp", "--json"))] == ["good"]


def test_a_damaged_cache_without_links_and_without_a_network(machine: Machine, hub: Hub) -> None:
    machine.zoo("download", "ramp")
    (snapshot,) = machine.home.rglob("snapshots/*/model.safetensors")
    snapshot.resolve().unlink()
    snapshot.unlink()
    snapshot.write_bytes(OTHER)
    error = machine.zoo("download", "ramp", fails=True, HF_HUB_OFFLINE="1")
    assert error.count("its sha256 begins") == 1
    assert "is not on this machine and the Hub cannot be reached" in error


def test_a_config_of_gigabytes_is_not_downloaded(machine: Machine, hub: Hub) -> None:
    hub.repos[NAME].commit({"config.json": b" " * 5_000_000})
    hub.log.clear()
    error = machine.zoo("info", f"hf-hub:{NAME}", fails=True)
    assert f"{NAME}/config.json has 5,000,000 bytes: that is no config.json." in error
    assert not [line for line in hub.log if line.startswith("GET")]


@pytest.mark.parametrize(
    "name", ["me", "me/x@../../y", "me/x@", "me/x@a b", "../x", "me/x/y", "me/x@-f", "me/a..b", ""]
)
def test_what_is_no_repository(name: str) -> None:
    with pytest.raises(InputError, match="is no repository: use owner/name"):
        zoo.load(f"hf-hub:{name}")


def test_completion_offers_prefixes_and_says_nothing_else(machine: Machine) -> None:
    (machine.folder / "mine" / "registry.yaml").write_text("a: [")  # a plugin that is left out with a warning
    code = "import sys; from zoo.cli import main\ntry: main(prog_name='zoo')\nfinally: print('torch' in sys.modules)"
    for given, wanted in (("l", "local-dir:"), ("h", "hf-hub:"), ("dcg", "dcgan")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={
                **machine.environment,
                "_ZOO_COMPLETE": "bash_complete",
                "COMP_WORDS": f"zoo info {given}",
                "COMP_CWORD": "2",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        assert f"plain,{wanted}\n" in done.stdout
        assert done.stdout.endswith("False\n")
