"""The work of the verbs on a cluster of two workers: the same images, and none is lost with a worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import Result
from PIL import Image
from safetensors.torch import save_file

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore")
Command = Callable[..., Result]
DIES = '''
import os
from pathlib import Path

from torch import nn

from zoo.model import Model


class Dies(Model):
    """Ends its process the first time. https://arxiv.org/abs/0000.00001"""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        """Images ``(N, 3, H, W)`` to as many."""
        marker = Path(os.environ["MARKER"])
        if not marker.exists():
            marker.touch()
            os._exit(1)
        return self.conv(x)
'''


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two workers, who know a model that kills the first of them."""
    import torch

    folder = tmp_path_factory.mktemp("dies")
    (folder / "dies.py").write_text(DIES)
    (folder / "checkpoints").mkdir()
    layer = torch.nn.Conv2d(3, 3, 1)
    save_file(
        {f"conv.{key}": x for key, x in layer.state_dict().items()}, folder / "checkpoints" / "dies.now.safetensors"
    )
    image = {"kind": "image", "channels": 3}
    stanza = {
        "builder": "dies:Dies",
        "summary": "Dies.",
        "verbs": ["reconstruct"],
        "checkpoints": {"now": {"license": "MIT", "input": image, "output": image}},
    }
    (folder / "registry.yaml").write_text(yaml.safe_dump({"dies": stanza}))
    before = dict(os.environ)
    os.environ.update(ZOO_PATH=str(folder), MARKER=str(folder / "marker"), RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0")
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False, logging_level=40)
    yield folder
    ray.shutdown()
    os.environ.clear()
    os.environ.update(before)


def images(folder: Path) -> dict[str, np.ndarray]:
    found = {}
    for path in sorted(folder.rglob("*.png")):
        with Image.open(path) as image:
            found[path.name] = np.asarray(image)
    return found


def inputs(folder: Path, n: int) -> Path:
    folder.mkdir()
    for number in range(n):
        values = np.random.default_rng(number).integers(0, 256, (16, 12 + number % 2, 3)).astype(np.uint8)
        Image.fromarray(values).save(folder / f"{number:02d}.png")
    return folder


def test_the_same_images_as_on_one_machine(cluster: Path, tmp_path: Path, zoo_command: Command) -> None:
    source = inputs(tmp_path / "in", 20)
    (source / "bad.png").write_bytes(b"no image")
    for engine in ("local", "ray"):
        made = zoo_command("reconstruct", "srgan", source, "-o", tmp_path / engine, "--engine", engine, "--json")
        assert made.exit_code == 1, made.stderr
        assert "1 of 21 inputs failed" in made.stderr
        assert '"images": 20' in made.stdout
        samples = zoo_command(
            "generate", "dcgan", "-n", "150", "--seed", "3", "-o", tmp_path / f"g-{engine}", "--engine", engine
        )
        assert samples.exit_code == 0, samples.stderr
    for kind in ("", "g-"):
        local, remote = (list(images(tmp_path / f"{kind}{engine}").values()) for engine in ("local", "ray"))
        assert len(local) == len(remote) == (150 if kind else 20)
        assert all(np.abs(a.astype(int) - b.astype(int)).max() <= 1 for a, b in zip(local, remote, strict=True))


def test_a_killed_worker_loses_nothing(cluster: Path, tmp_path: Path, zoo_command: Command) -> None:
    from zoo.registry.index import registry

    registry.cache_clear()
    source = inputs(tmp_path / "in", 20)
    made = zoo_command("reconstruct", "dies", source, "-o", tmp_path / "out", "--engine", "ray")
    registry.cache_clear()
    assert made.exit_code == 0, made.stderr
    assert (cluster / "marker").exists(), "a worker has died"
    assert len(images(tmp_path / "out")) == 20


def test_the_same_index_as_on_one_machine(cluster: Path, tmp_path: Path, zoo_command: Command) -> None:
    pytest.importorskip("faiss")
    from zoo.tasks.search import Index

    source = inputs(tmp_path / "in", 70)
    (source / "bad.png").write_bytes(b"no image")
    for engine in ("local", "ray"):
        made = zoo_command("index", "conv-ae", source, "-o", tmp_path / engine, "--engine", engine)
        assert made.exit_code == 1, made.stderr
        assert "1 of 71 files failed, the rest is in the index" in made.stderr
    local, remote = (Index.load(tmp_path / engine) for engine in ("local", "ray"))
    assert local.names == remote.names
    assert local.rows.files == remote.rows.files
    assert (local.rows.digests == remote.rows.digests).all()
    assert np.allclose(local.codes, remote.codes, atol=1e-5)


def test_what_a_cluster_cannot_do_is_said(cluster: Path, tmp_path: Path, zoo_command: Command) -> None:
    made = zoo_command("generate", "dcgan", "-n", "2", "-o", tmp_path / "a.png", "--engine", "ray")
    assert "--engine ray needs a folder as OUTPUT." in made.stderr
    refused = zoo_command("generate", "dcgan", "-n", "2", "-o", tmp_path / "a", "--engine", "ray", "-c", "x=1")
    assert "dcgan has no condition 'x'" in refused.stderr
