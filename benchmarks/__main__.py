"""What the zoo's own overhead is, as ratios to the least that the task needs, and how fast its networks are.

``make bench`` prints both, and writes the tables of docs/performance.md. Two processes are run in turn, A B A B ...,
and the ratio of each pair is taken, so that a change of the machine's speed cancels out. The figure is the median of
the ratios. Exits with 1 if one is above its limit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import NamedTuple

ZOO = [str(Path(sys.executable).with_name("zoo"))]
PAIRS = 15


class Row(NamedTuple):
    """Ours beside the least that the task needs, or what one would do without the zoo; in seconds."""

    name: str
    ours: float
    least_name: str
    least: float
    ratio: float
    limit: float
    goal: str = ""  # if it is another one

    def __str__(self) -> str:
        return (
            f"{self.name:<26}{self.ours:8.3f} s   {self.least_name:<38}{self.least:8.3f} s   ratio {self.ratio:5.2f} "
            f"(at most {self.limit})"
        )

    def cells(self) -> str:
        goal = self.goal or f"{self.limit:g}"
        return f"{self.name} | {self.ours:.3g} | {self.least_name} | {self.least:.3g} | {self.ratio:.2f} | {goal}"


def run(command: list[str]) -> None:
    # With compiled modules, which an installation has and Python writes, unless the shell says otherwise.
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(
    name: str,
    ours: Callable[[], object],
    least_name: str,
    least: Callable[[], object],
    limit: float,
    goal: str = "",
    pairs: int = PAIRS,
) -> Row:
    """Median seconds of both and median ratio of pairs, after one run of each that does not count."""
    ours(), least()
    times = [(seconds(ours), seconds(least)) for _ in range(pairs)]
    a, b = (median(column) for column in zip(*times, strict=True))
    row = Row(name, a, least_name, b, median(x / y for x, y in times), limit, goal)
    print(row, flush=True)
    return row


def milliseconds(function: Callable[[], object], runs: int = 30) -> float:
    function()
    return 1000 * median(seconds(function) for _ in range(runs))


# What a script does that uses torch and torchvision alone, with the network of pytorch/examples at 28 px.
NAIVE = """
import sys
import torch
from torchvision.utils import save_image
from torch import nn

layers = []
for i, (a, b) in enumerate(((100, 256), (256, 128), (128, 64), (64, 1))):
    layers += [nn.ConvTranspose2d(a, b, 4, 2 if i else 1, 1 if i else 0, bias=False)]
    layers += [nn.BatchNorm2d(b), nn.ReLU(True)] if i < 3 else [nn.Tanh()]
network = nn.Sequential(*layers).eval()
path = sys.argv[1] + ".pth"
try:
    network.load_state_dict(torch.load(path))
except OSError:
    torch.save(network.state_dict(), path)
with torch.no_grad():
    images = network(torch.randn(64, 100, 1, 1))[..., 2:30, 2:30]
save_image(images, sys.argv[1], nrow=8, normalize=True, value_range=(-1, 1))
"""


# The command over another registry than the zoo's own.
LISTING = """
import sys
from pathlib import Path
import zoo.registry.index as index

home = index.own_registry()[1]
index.own_registry = lambda: (Path(sys.argv[1]), home)
from zoo.cli import main
main(["list"])
"""


def enlarged(folder: Path, checkpoints: int) -> Path:
    """A registry of at least so many checkpoints: that of the zoo, and its models again under other names."""
    import yaml

    from zoo.registry.discovery import own_registry

    models = yaml.safe_load(own_registry()[0].read_text("utf-8"))
    stanzas, n = dict(models), sum(len(model.get("checkpoints", {})) for model in models.values())
    while n < checkpoints:
        for name, model in models.items():
            if n < checkpoints and "checkpoints" in model:
                stanzas[f"{name}-{len(stanzas)}"] = {key: value for key, value in model.items() if key != "aliases"}
                n += len(model["checkpoints"])
    path = folder / "registry.yaml"
    dumper = type("Dumper", (yaml.SafeDumper,), {"ignore_aliases": lambda *values: True})
    path.write_text(yaml.dump(stanzas, Dumper=dumper, sort_keys=False, width=120), "utf-8")
    return path


def processes(folder: Path) -> list[Row]:
    """Whole processes."""
    from zoo.registry.discovery import own_registry

    python = sys.executable
    registry = own_registry()[0]
    reading = "import click, yaml; yaml.load(open({!r}), Loader=yaml.CSafeLoader)"
    read = reading.format(str(registry))
    forty = str(enlarged(folder, 40))
    listing, read_forty = [python, "-c", LISTING, forty], [python, "-c", reading.format(forty)]
    grid = str(folder / "grid.png")
    generate = [*ZOO, "generate", "dcgan", "-n", "64", "--seed", "7", "-o", grid]
    onnx = [*generate, "--runtime", "onnx"]
    rows = []
    for name, command, least_name, least, limit, goal, pairs in (
        ("zoo list", [*ZOO, "list"], "import click, yaml, read the registry", [python, "-c", read], 2.0, "", PAIRS),
        ("zoo list, 40 checkpoints", listing, "import click, yaml, read that registry", read_forty, 2.0, "1.5", PAIRS),
        ("zoo --help", [*ZOO, "--help"], "import click, yaml, read the registry", [python, "-c", read], 2.0, "", PAIRS),
        ("import zoo", [python, "-c", "import zoo"], "import yaml", [python, "-c", "import yaml"], 2.0, "", PAIRS),
        ("zoo generate dcgan -n 64", generate, "import torch", [python, "-c", "import torch"], 1.3, "", PAIRS // 2),
        ("the same", generate, "torch and torchvision script", [python, "-c", NAIVE, grid], 0.6, "0.5", PAIRS // 2),
        ("the same, --runtime onnx", onnx, "the same script", [python, "-c", NAIVE, grid], 0.1, "", PAIRS // 2),
    ):
        rows.append(compare(name, partial(run, command), least_name, partial(run, least), limit, goal, pairs))
    return rows


def load_parts() -> None:
    """From name to model, step by step, beside reading the file."""
    import torch
    from safetensors.torch import load_file

    import zoo
    from zoo.networks import assign, build
    from zoo.weights import verify

    for name in ("dcgan", "conv-ae"):
        entry = zoo.info(name)
        path = entry.embedded

        def fresh(entry: zoo.Entry = entry, path: Path = path) -> None:
            assign(build(entry), load_file(path), path, torch.float32)

        read = milliseconds(path.read_bytes)
        parts = {
            "sha256": milliseconds(partial(verify.sha256_of, path)),
            "open as safetensors": milliseconds(partial(load_file, path)),
            "build on the meta device": milliseconds(partial(build, entry)),
            "build, open, to float32, assign": milliseconds(fresh),
            "all of load": milliseconds(partial(zoo.load, name)),
        }
        print(f"\n{name}: {path.stat().st_size / 1e6:.1f} MB, read in {read:.2f} ms")
        for part, taken in parts.items():
            print(f"  {part:<33}{taken:8.2f} ms   {taken / read:6.1f} times reading")


def load_large(folder: Path) -> list[Row]:
    """A file of 67 MB and a network of 445 modules, with every page read, beside other ways from the one to the other.

    The least that torch needs is the network on the meta device, the file opened by safetensors, and
    ``load_state_dict`` with ``assign``. To make the modules takes Python several times as long as safetensors needs for
    the file.
    """
    import torch
    from safetensors.torch import load_file, save_file
    from spandrel import ModelLoader

    import zoo
    from zoo.models.esrgan import ESRGAN
    from zoo.networks import build
    from zoo.registry.schema import to_config
    from zoo.weights.verify import sha256_of

    entry = zoo.info("esrgan")
    state = {key: torch.randn(value.shape) for key, value in build(entry).state_dict().items()}
    path = folder / "model.safetensors"
    save_file(state, path)
    facts = replace(entry, hub=None, sha256=sha256_of(path), bytes=path.stat().st_size)
    (folder / "config.json").write_text(to_config(facts))
    os.environ["ZOO_CACHE"] = str(folder / "cache")

    def touched(tensors: Iterable[torch.Tensor]) -> None:
        for tensor in tensors:
            tensor.sum()

    zoo.load(f"local-dir:{folder}")

    def plain() -> None:
        with torch.device("meta"):
            network = ESRGAN()
        network.load_state_dict(load_file(path), assign=True)
        touched(network.state_dict().values())

    def pickled() -> None:
        network = ESRGAN()
        network.load_state_dict(torch.load(folder / "model.pth"))
        touched(network.state_dict().values())

    def ours() -> None:
        touched(zoo.load(f"local-dir:{folder}").state_dict().values())

    def theirs() -> None:
        touched(ModelLoader().load_from_file(path).model.state_dict().values())

    torch.save(load_file(path), folder / "model.pth")
    hashed = milliseconds(partial(sha256_of, path), 5)
    opened = milliseconds(lambda: touched(load_file(path).values()), 10)
    print(f"\n{path.stat().st_size / 1e6:.0f} MB, every page read: {opened:.1f} ms as tensors, by safetensors alone")
    print(f"  the first time also {hashed:.0f} ms for the hash")
    return [
        compare("zoo.load", ours, "meta device, safetensors, assign", plain, 1.15),
        compare("zoo.load", ours, "torch.load into a network", pickled, 0.5, "0.25"),
        compare("zoo.load", ours, "spandrel's ModelLoader", theirs, 0.5),
    ]


def grid() -> Row:
    """64 images of 64 px as one PNG, beside torchvision: quarters of the photos in examples/, and mirrored."""
    import torch
    from torchvision.utils import make_grid, save_image

    from zoo import Images

    photos = Images.of(Path(__file__).parent.parent / "examples" / "flowers").numpy()
    quarters = [photos[..., y : y + 64, x : x + 64] for y in (0, 64) for x in (0, 64)]
    images = Images([image for part in quarters for photo in part for image in (photo, photo[..., ::-1])])
    stacked = torch.from_numpy(images.numpy())
    return compare(
        f"PNG of {len(images)} images, 64 px",
        images.png,
        "torchvision",
        lambda: save_image(make_grid(stacked), BytesIO(), "png"),
        0.5,
    )


def tables() -> list[str]:
    """The tables of docs/performance.md; the names of rows that miss a goal."""
    import torch

    from benchmarks import speed
    from zoo.authoring.publish import table

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    parts, missed = [], []
    rows = []
    for row, reached in speed.inference():
        rows.append(" | ".join([*row, "" if reached else "no"]))
        missed += [] if reached else [f"{row[0]}, batch {row[1]}"]
        print(rows[-1], flush=True)
    head = "network | batch | exact | by | agreement | fast | by | agreement | goals reached"
    parts.append(table(head, rows))
    for head, rows_of in (
        ("beside | precision | times as fast | largest difference, of the range", speed.others),
        ("1024 to 4096 px | precision | seconds | peak memory, GB | before, GB", speed.tiles),
    ):
        rows = []
        for row in rows_of():
            rows.append(" | ".join(row))
            print(rows[-1], flush=True)
        parts.append(table(head, rows))
    torch.set_num_threads(threads)
    machine = f"Measured on: {speed.machine()}, torch {torch.__version__}, one thread."
    write("networks", "\n\n".join([machine, *parts]))
    return missed


def write(name: str, made: str, by: str = "make bench") -> None:
    """Replace one of the parts of docs/performance.md that this program, or the one of ``by``, writes."""
    begin, end = f"<!-- {name}, made by `{by}` -->", "<!-- end -->"
    path = Path(__file__).parent.parent / "docs" / "performance.md"
    before, _, rest = path.read_text("utf-8").partition(begin)
    path.write_text(f"{before}{begin}\n{made}\n{end}{rest.partition(end)[2]}", "utf-8")


def main() -> None:
    from benchmarks import speed
    from benchmarks.search import HEAD, search
    from zoo.authoring.publish import table

    with tempfile.TemporaryDirectory() as folder:
        rows = [*processes(Path(folder)), *load_large(Path(folder))]
    rows.append(grid())
    write("start", table("what | seconds | beside | seconds | ratio | goal", [row.cells() for row in rows]))
    load_parts()
    write("search", f"Measured on: {speed.machine()}, one thread.\n\n{table(HEAD, list(map(' | '.join, search())))}")
    missed = tables()
    if missed:
        print(f"Goals not reached: {', '.join(missed)}")
    over = [f"{row.name}, over {row.least_name}" for row in rows if row.ratio > row.limit]
    if over:
        sys.exit(f"Above the limit: {', '.join(over)}")


if __name__ == "__main__":
    main()
