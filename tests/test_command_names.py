"""What the command reads and writes: names tied to inputs, one failure among many, odd names, streams and formats."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from conftest import sample_image
from PIL import Image
from zoo.cli.names import RECORD, default_output

import zoo
from zoo.media.image_names import sample_names
from zoo.media.images import Images
from zoo.model import Generator, Model

Command = Callable[..., Result]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Of inputs, and of outputs, which is not there."""
    (tmp_path / "in").mkdir()
    return tmp_path / "in", tmp_path / "out"


def draw(path: Path, shade: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (shade, shade, shade)).save(path)
    return path


def level(path: Path) -> float:
    with Image.open(path) as found:
        return float(np.asarray(found, np.float32).mean())


def outputs(result: Result) -> dict[str, str]:
    facts = json.loads(result.stdout)
    return {Path(one["input"]).name: Path(one["output"]).name for one in facts["results"]}


def test_a_result_is_never_taken_for_that_of_another_input(zoo_command: Command, folders: tuple[Path, Path]) -> None:
    source, out = folders
    command = ("reconstruct", "conv-ae", source, "-o", out, "--skip-existing", "--json")
    draw(source / "a.png", 255)
    assert outputs(zoo_command(*command)) == {"a.png": "a.png"}
    draw(source / "a.jpg", 0)
    first = (out / "a.png").stat().st_mtime_ns
    assert outputs(zoo_command(*command)) == {"a.jpg": "a-2.png"}
    assert (out / "a.png").stat().st_mtime_ns == first
    assert level(out / "a.png") > 200 > 60 > level(out / "a-2.png")
    for listing in ([source], [source / "a.jpg"], [source / "a.png", source / "a.jpg"], [source / "a.png"]):
        made = zoo_command("reconstruct", "conv-ae", *listing, "-o", out, "--skip-existing", "--json")
        assert json.loads(made.stdout)["images"] == 0, listing
    (out / "a.png").unlink()
    assert outputs(zoo_command(*command)) == {"a.png": "a.png"}
    other = draw(source.parent / "other" / "a.png", 0)
    made = zoo_command("reconstruct", "conv-ae", other.parent, "-o", out, "--skip-existing", "--json")
    assert outputs(made) == {"a.png": "a-3.png"}
    again = zoo_command("reconstruct", "conv-ae", source, "-o", out, "--json")
    assert outputs(again) == {"a.png": "a.png", "a.jpg": "a-2.png"}, "without --skip-existing the names are the same"


def test_a_renamed_input_is_another_one(zoo_command: Command, folders: tuple[Path, Path]) -> None:
    source, out = folders
    Image.new("RGB", (8, 8)).save(draw(source / "a.png", 255).with_suffix(".bmp"))
    (source / "a.bmp").unlink()
    zoo_command("reconstruct", "conv-ae", source, "-o", out)
    (source / "a.png").unlink()
    draw(source / "a.bmp", 0)
    made = zoo_command("reconstruct", "conv-ae", source, "-o", out, "--skip-existing", "--json")
    assert outputs(made) == {"a.bmp": "a-2.png"}


def test_what_no_run_has_recorded(zoo_command: Command, folders: tuple[Path, Path]) -> None:
    """It is of the input with its name, if there is just one; else it is left alone."""
    source, out = folders
    draw(source / "a.png", 255)
    draw(source / "b.png", 255)
    draw(source / "b.jpg", 0)
    for name in ("a.png", "b.png"):
        draw(out / name, 7)
    made = zoo_command("reconstruct", "conv-ae", source, "-o", out, "--skip-existing", "--json")
    assert outputs(made) == {"b.jpg": "b-2.png", "b.png": "b-3.png"}
    assert level(out / "a.png") == level(out / "b.png") == 7


@pytest.mark.parametrize("content", ["[", "3", "[" * 100_000, '{"a.png": 5}', '{"../in/a.png": "x"}', "\xff"])
def test_a_damaged_record_is_none(zoo_command: Command, folders: tuple[Path, Path], content: str) -> None:
    source, out = folders
    draw(source / "a.png", 255)
    out.mkdir()
    (out / RECORD).write_text(content, "latin-1")
    made = zoo_command("reconstruct", "conv-ae", source, "-o", out, "--skip-existing", "--json")
    assert outputs(made) == {"a.png": "a.png"}
    assert "a.png" in json.loads((out / RECORD).read_text())


def test_a_planted_record_is_not_written_through(zoo_command: Command, folders: tuple[Path, Path]) -> None:
    source, out = folders
    draw(source / "a.png", 255)
    out.mkdir()
    victim = source.parent / "victim"
    victim.write_text("precious")
    (out / RECORD).symlink_to(victim)
    assert zoo_command("reconstruct", "conv-ae", source, "-o", out).exit_code == 0
    assert victim.read_text() == "precious"


def test_results_beside_their_inputs_are_no_inputs(zoo_command: Command, folders: tuple[Path, Path]) -> None:
    source, _ = folders
    draw(source / "a.jpg", 255)
    for _ in range(2):
        made = zoo_command("reconstruct", "conv-ae", source, "-o", source, "--json")
        assert outputs(made) == {"a.jpg": "a.png"}
    inner = source / "results"
    for _ in range(2):
        made = zoo_command("reconstruct", "conv-ae", source / "a.jpg", source, "-o", inner, "--json")
        assert set(outputs(made)) == {"a.jpg", "a.png"}


def test_comparing_makes_no_other_names(zoo_command: Command, folders: tuple[Path, Path]) -> None:
    source, out = folders
    for name in ("a.png", "a-input.png"):
        draw(source / name, 90)
    made = zoo_command("reconstruct", "conv-ae", source, "-o", out, "--compare", "--json")
    assert outputs(made) == {"a.png": "a.png", "a-input.png": "a-input.png"}
    for name in ("a.png", "a-input.png"):
        with Image.open(out / name) as pair:
            assert pair.size == (130, 64)
    draw(source / "b.jpg", 90)
    before = draw(source / "b-input.png", 91).read_bytes()
    made = zoo_command("reconstruct", "conv-ae", source / "b.jpg", "-o", source, "--compare")
    assert made.exit_code == 0, made.stderr
    assert (source / "b-input.png").read_bytes() == before


def test_inputs_are_kept_by_whatever_name(zoo_command: Command, tmp_path: Path, toys: Any) -> None:
    photo = draw(tmp_path / "a.png", 9)
    (tmp_path / "link.png").symlink_to(photo)
    (tmp_path / "hard.png").hardlink_to(photo)
    for output in ("link.png", "hard.png"):
        made = zoo_command("reconstruct", "conv-ae", photo, "-o", tmp_path / output)
        assert made.exit_code == 2
        assert "is an input and would be overwritten" in made.stderr
    mask = draw(tmp_path / "mask.png", 200)
    made = zoo_command("reconstruct", "doubler", photo, "-o", mask, "-c", f"mask={mask}")
    assert "mask.png is an input and would be overwritten" in made.stderr


class Masked(Generator):
    """Toy: a generator whose samples are as bright as an image."""

    latent_shape = (4,)

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 64)

    def decode(self, z: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.linear(z)).unflatten(1, (1, 8, 8)) * mask.mean((1, 2, 3), keepdim=True)


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_samples_keep_the_images_in_their_folder(zoo_command: Command, tmp_path: Path, toys: Any, engine: str) -> None:
    made = {"output": {"kind": "image", "channels": 1, "size": [8, 8]}}
    mask = {"mask": {"kind": "image", "required": True}}
    toys.add("masked", Masked(), verbs=["generate"], conditions=mask, checkpoint=made)
    photo = draw(tmp_path / "0001.png", 200)
    before = photo.read_bytes()
    done = zoo_command("generate", "masked", "-n", 2, "-o", tmp_path, "-c", f"mask={photo}", "--engine", engine)
    assert (done.exit_code, photo.read_bytes()) == (2, before)
    assert "0001.png is an input and would be overwritten" in done.stderr


def test_an_output_that_is_a_link_is_written_through(zoo_command: Command, tmp_path: Path) -> None:
    photo = draw(tmp_path / "a.png", 9)
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.png").symlink_to(tmp_path / "deep" / "c.png")
    assert zoo_command("reconstruct", "conv-ae", photo, "-o", tmp_path / "b.png").exit_code == 0
    assert (tmp_path / "b.png").is_symlink()
    assert (tmp_path / "deep" / "c.png").is_file()


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a sloppy tag"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 12 bytes."),
        ZeroDivisionError("division by zero"),
        RecursionError("maximum recursion depth exceeded"),
    ],
)
@pytest.mark.parametrize("where", ["read", "compute", "write"])
def test_whatever_one_file_raises_costs_no_other(
    zoo_command: Command,
    folders: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    where: str,
) -> None:
    source, out = folders
    for number in range(4):
        draw(source / f"{number}.png", 200 if number == 2 else 0)
    originals = {"read": Images.of, "compute": Model._run, "write": Images.save}

    def read(given: Any, *args: Any, **options: Any) -> Images:
        if given == source / "2.png":
            raise error
        return originals["read"](given, *args, **options)  # type: ignore[no-any-return]

    def compute(self: Model, call: str, x: np.ndarray, conditions: Any) -> Any:
        if x.max() > 0:
            raise error
        return originals["compute"](self, call, x, conditions)

    def write(self: Images, path: Any, **options: Any) -> None:
        if Path(path).name == "2.png":
            raise error
        originals["write"](self, path, **options)

    replaced = {"read": (Images, "of", read), "compute": (Model, "_run", compute), "write": (Images, "save", write)}
    monkeypatch.setattr(*replaced[where])
    made = zoo_command("reconstruct", "conv-ae", source, "-o", out, "--json")
    assert made.exit_code == 1
    assert sorted(path.name for path in out.glob("*.png")) == ["0.png", "1.png", "3.png"]
    assert set(outputs(made)) == {"0.png", "1.png", "3.png"}
    assert "1 of 4 inputs failed, the rest is written:\n" in made.stderr
    last = made.stderr.splitlines()[-1]
    assert str(source / "2.png") in last
    assert ("too little memory" in last) == ("emory" in repr(error)), last
    assert "damaged" not in last


def test_large_images_for_a_small_network_are_not_held(
    zoo_command: Command, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = folders
    for number in range(4):
        sample_image(300, 200).save(source / f"{number}.png")
    seen = []
    original = Model.reconstruct
    monkeypatch.setattr(
        Model,
        "reconstruct",
        lambda self, images, **options: (seen.extend(images.arrays), original(self, images, **options))[1],
    )
    assert zoo_command("reconstruct", "conv-ae", source, "-o", out).exit_code == 0
    assert {array.shape for array in seen} == {(3, 64, 64)}


def test_few_pixels_are_held(zoo_command: Command, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = folders
    for number in range(6):
        sample_image(10, 10).save(source / f"{number}.png")
    monkeypatch.setattr("zoo.jobs.files.HELD", 150)
    seen = []
    original = Model.reconstruct
    monkeypatch.setattr(
        Model,
        "reconstruct",
        lambda self, images, **options: (seen.append(len(images)), original(self, images, **options))[1],
    )
    assert zoo_command("reconstruct", "srgan", source, "-o", out).exit_code == 0
    assert seen == [2, 2, 2]


def test_a_image_without_room_is_named_and_the_rest_written(
    zoo_command: Command, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = folders
    sample_image(640, 640).save(source / "large.png")
    sample_image(16, 16).save(source / "small.png")
    monkeypatch.setattr("zoo.model.free_memory", lambda: 100_000_000)
    made = zoo_command("reconstruct", "cyclegan", source, "-o", out)
    assert made.exit_code == 1
    assert "cyclegan needs about 0.3 GB of memory for " in made.stderr
    assert "large.png and 0.1 GB are free: make it smaller." in made.stderr
    assert [path.name for path in out.glob("*.png")] == ["small.png"]


def test_conditions_stay_with_their_images(zoo_command: Command, toys: Any, folders: tuple[Path, Path]) -> None:
    source, out = folders
    (source / "0.png").write_bytes(b"no image")
    for number in (1, 2):
        draw(source / f"{number}.png", 200)
    masks = [draw(source.parent / f"mask{shade}.png", shade) for shade in (0, 0, 255)]
    values = [word for mask in masks for word in ("-c", f"mask={mask}")]
    made = zoo_command("reconstruct", "doubler", source, "-o", out, *values)
    assert "1 of 3 inputs failed" in made.stderr
    assert level(out / "2.png") - level(out / "1.png") > 40


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dcgan.flowers", "dcgan.flowers.png"),
        ("local-dir:./w/mine", "mine.png"),
        ("local-dir:w/mine/", "mine.png"),
        ("local-dir:/a/mine/.", "mine.png"),
        ("local-dir:/a/mine/x/..", "mine.png"),
        ("local-dir:/a/.hidden", "hidden.png"),
        ("local-dir:/", "samples.png"),
        ("local-dir:/a/b:c", "b:c.png"),
        ("hf-hub:owner/repo", "repo.png"),
        ("hf-hub:owner/repo@refs/pr/1", "repo.png"),
        ("../x", "-x.png"),
    ],
)
def test_default_outputs_are_visible_files_here(name: str, expected: str) -> None:
    assert default_output(name) == expected


def test_samples_sort(zoo_command: Command, tmp_path: Path) -> None:
    assert sample_names(12)[-1] == "0011"
    names = sample_names(20_000)
    assert sorted(names) == names
    assert len(set(names)) == 20_000
    out = f"{tmp_path}/my.results/"
    assert zoo_command("generate", "dcgan", "-n", 3, "-o", out).exit_code == 0
    assert sorted(path.name for path in Path(out).iterdir()) == ["0000.png", "0001.png", "0002.png"]


def test_a_dotted_folder(zoo_command: Command, folders: tuple[Path, Path], tmp_path: Path) -> None:
    source, _ = folders
    draw(source / "a.png", 3)
    made = zoo_command("reconstruct", "conv-ae", source, "-o", f"{tmp_path}/my.results/")
    assert made.exit_code == 0, made.stderr
    assert (tmp_path / "my.results" / "a.png").is_file()
    refused = zoo_command("reconstruct", "conv-ae", source, "-o", f"{source / 'a.png'}/")
    assert refused.exit_code == 2
    assert "is a file and no folder" in refused.stderr
    empty = zoo_command("reconstruct", "conv-ae", source, "-o", "")
    assert empty.exit_code == 2
    assert "is no path" in empty.stderr


@pytest.mark.parametrize(("format", "ending", "kind"), [("jpeg", "jpg", "JPEG"), ("webp", "webp", "WEBP")])
def test_formats(zoo_command: Command, folders: tuple[Path, Path], format: str, ending: str, kind: str) -> None:
    source, out = folders
    draw(source / "a.png", 3)
    assert zoo_command("reconstruct", "conv-ae", source, "-o", out, "--format", format).exit_code == 0
    assert zoo_command("generate", "dcgan", "-n", 1, "-o", out, "--format", format).exit_code == 0
    for name in ("a", "0000"):
        with Image.open(out / f"{name}.{ending}") as found:
            assert found.format == kind
    made = zoo_command("generate", "dcgan", "-o", "-", "--format", format)
    assert made.stdout_bytes[:4] in (b"RIFF", b"\xff\xd8\xff\xe0")
    wrong = zoo_command("generate", "dcgan", "-o", out / "b.png", "--format", format)
    assert wrong.exit_code == 2
    assert "ends in .png" in wrong.stderr


def test_sixteen_bits(zoo_command: Command, tmp_path: Path) -> None:
    photo = draw(tmp_path / "a.png", 3)
    assert zoo_command("reconstruct", "srgan", photo, "-o", tmp_path / "b.png", "--bits", 16).exit_code == 0
    head = (tmp_path / "b.png").read_bytes()[24]
    assert head == 16
    assert "16 bits are written as PNG" in zoo_command("generate", "dcgan", "-o", "a.jpg", "--bits", 16).stderr
    assert "bits must be 8 or 16" in zoo_command("generate", "dcgan", "-o", "a.png", "--bits", 12).stderr


def test_what_a_format_cannot_hold_is_refused_before(
    zoo_command: Command, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = folders
    sample_image(5000, 8).save(source / "wide.png")
    sample_image(8, 8).save(source / "small.png")
    ran = []
    original = Model._run
    monkeypatch.setattr(Model, "_run", lambda *args: (ran.append(args[2].shape), original(*args))[1])
    for arguments in (
        (source / "wide.png", "-o", source.parent / "a.webp"),
        (source, "-o", source.parent / "b.webp"),
        (source / "wide.png", "-o", "-", "--format", "webp"),
    ):
        made = zoo_command("reconstruct", "srgan", *arguments)
        assert made.exit_code in (1, 2)
        assert "are too many for WEBP" in made.stderr
    assert not any(shape[-1] > 8 for shape in ran)
    made = zoo_command("reconstruct", "srgan", source, "-o", out, "--format", "webp")
    assert "1 of 2 inputs failed" in made.stderr
    assert [path.name for path in out.glob("*.webp")] == ["small.webp"]
    ran.clear()
    made = zoo_command("generate", "dcgan", "-n", 400_000, "-o", source.parent / "c.webp")
    assert "are too many for WEBP" in made.stderr
    assert not ran


def test_many_pixels_need_leave(zoo_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    photo = tmp_path / "a.png"
    sample_image(40, 40).save(photo)
    refused = zoo_command("reconstruct", "conv-ae", photo, "-o", tmp_path / "b.png")
    assert "--max-pixels" in refused.stderr
    assert zoo_command("reconstruct", "conv-ae", photo, "-o", tmp_path / "b.png", "--max-pixels", 1600).exit_code == 0


def test_what_a_folder_holds_else_is_counted(zoo_command: Command, folders: tuple[Path, Path]) -> None:
    source, out = folders
    draw(source / "a.png", 3)
    (source / "notes.txt").write_text("hello")
    made = zoo_command("reconstruct", "conv-ae", source, "-o", out)
    assert "out: 1 image, left out 1 file: notes.txt (not an image)\n" in made.stderr
    made = zoo_command("reconstruct", "conv-ae", source, "-o", out, "--json")
    assert json.loads(made.stdout)["left_out"] == [{"file": str(source / "notes.txt"), "reason": "not an image"}]


def test_where_all_fails_nothing_is_left(zoo_command: Command, folders: tuple[Path, Path]) -> None:
    source, out = folders
    (source / "a.png").write_bytes(b"no image")
    assert zoo_command("reconstruct", "conv-ae", source, "-o", out).exit_code == 1
    assert not out.exists()


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A line of the shell, in which ``zoo`` is the command."""
    line = line.replace("zoo ", f"{sys.executable} -m zoo ")
    return subprocess.run(["bash", "-c", line], capture_output=True, env={**os.environ, **environment}, check=False)


def test_streams_that_are_closed_or_full(tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    assert shell(f"zoo generate dcgan -n 1 -o {out} 2>&-").returncode == 0
    assert out.read_bytes()[:4] == b"\x89PNG"
    out.unlink()
    assert shell(f"zoo generate dcgan -n 1 -o {out} <&- >&- 2>&-").returncode == 0
    assert out.read_bytes()[:4] == b"\x89PNG"
    assert shell(f"zoo generate dcgan -n 1 -o {out} 2>/dev/full").returncode == 0
    for line, reason in (
        ("zoo list > /dev/full", "No space left on device"),
        ("zoo list >&-", "it is closed"),
        ("zoo --help > /dev/full", "No space left on device"),
        ("zoo generate dcgan -n 1 -o - > /dev/full", "No space left on device"),
    ):
        done = shell(line)
        assert done.returncode == 1
        assert done.stderr.decode() == f"Error: The standard output cannot be written: {reason}.\n", line
    closed = shell("zoo generate dcgan -n 1 -o - >&-")
    assert closed.stderr == b"Error: The standard output is closed: redirect it to a file.\n"
    assert shell("zoo list --json | head -c 10").stderr == b""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_terminals_of_few_characters(folders: tuple[Path, Path], encoding: str) -> None:
    source, _ = folders
    names = {"\U0001f600é.png", os.fsdecode(b"\xff.png")}
    for name in names:
        sample_image(8, 8).save(source / name)
    line = f"cd {source.parent} && zoo reconstruct conv-ae in -o out --json && zoo info $'\\xff'"
    done = shell(line, PYTHONIOENCODING=encoding)
    assert done.returncode == 2, done.stderr
    assert {Path(one["input"]).name for one in json.loads(done.stdout)["results"]} == names
    assert b"Error: There is no model " in done.stderr
    assert b"Traceback" not in done.stderr


def test_completion_says_nothing_but_names(tmp_path: Path, zoo_command: Command) -> None:
    (tmp_path / "registry.yaml").write_text("a: [")
    code = (
        "import os, sys; sys.argv = ['zoo']; from zoo.cli import main\n"
        "try: main(prog_name='zoo')\n"
        "finally: assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "_ZOO_COMPLETE": "bash_complete",
            "COMP_WORDS": "zoo info con",
            "COMP_CWORD": "2",
            "ZOO_PATH": str(tmp_path),
        },
        capture_output=True,
        check=False,
    )
    assert done.stderr == b""
    assert b"conv-ae.flowers" in done.stdout


def test_a_module_runs_the_command() -> None:
    for module in ("zoo", "zoo.cli"):
        done = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, check=False)
        assert done.stdout.decode() == f"zoo, version {zoo.__version__}\n"


@pytest.mark.parametrize(
    "line",
    [
        ("reconstruct", "conv-ae", "", "-o", "x.png"),
        ("generate", "dcgan", "--weights", "", "-o", "x.png"),
        ("download", "dcgan", "--to", " "),
        ("import", "auto", "", "-o", "x"),
        ("export", "dcgan", "-o", ""),
        ("embed", "dcgan", ""),
        ("new", "nothing", "--to", ""),
        ("publish", "dcgan", "--dry-run", "--to", ""),
    ],
)
def test_a_variable_of_the_shell_that_is_not_set(
    zoo_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "a.png", 255)
    result = zoo_command(*line)
    assert (result.exit_code, "is empty: name a path" in result.stderr) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_file_that_is_called_like_the_standard_input(
    zoo_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "a.png", 255).rename(tmp_path / "-")
    result = zoo_command("reconstruct", "conv-ae", "./-", "-o", "out.png")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", ["n", "seed", "progress", "batch_size", "self"])
def test_a_condition_called_like_an_argument(zoo_command: Command, tmp_path: Path, name: str) -> None:
    result = zoo_command("generate", "cdcgan", "-c", f"{name}=1", "-o", tmp_path / "a.png")
    assert result.exit_code == 2
    assert f"no condition '{name}'" in result.stderr


def test_a_name_of_no_characters_is_said_once(zoo_command: Command, folders: tuple[Path, Path]) -> None:
    source, out = folders
    draw(source / "a.png", 255)
    (source / os.fsdecode(b"\xffbad.png")).write_bytes(b"no image")
    assert zoo_command("reconstruct", "conv-ae", source, "-o", out).stderr.count("bad.png") == 1


def test_a_name_that_a_terminal_would_obey(zoo_command: Command, folders: tuple[Path, Path]) -> None:
    source, out = folders
    draw(source / "a.png", 255)
    (source / "\x1b[31mred.png").write_bytes(b"no image")
    for name in (source, source / "\x1b[31mred.png", source / "\x1b[31mabsent.png"):
        made = zoo_command("reconstruct", "conv-ae", name, "-o", out)
        assert "?[31m" in made.stderr
        assert "\x1b" not in made.stderr


def test_the_record_of_results_is_not_left_out(zoo_command: Command, folders: tuple[Path, Path]) -> None:
    source, _ = folders
    draw(source / "a.png", 255)
    for _ in range(2):
        result = zoo_command("reconstruct", "conv-ae", source, "-o", source / "out", "--json")
        assert "left_out" not in json.loads(result.stdout)


def test_interrupted(zoo_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Model, "generate", interrupt)
    result = zoo_command("generate", "dcgan", "-o", tmp_path / "a.png")
    assert (result.exit_code, result.stderr.strip()) == (130, "Stopped.")


@pytest.mark.parametrize("form", ["safetensors", "state-dict"])
def test_a_full_disk_while_exporting(tmp_path: Path, form: str) -> None:
    done = shell(f"ulimit -f 100; zoo export dcgan --format {form} -o {tmp_path}/a.pth")
    assert (done.returncode, b"a.pth cannot be written: " in done.stderr) == (1, True), done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_with_weights_of_another_model(zoo_command: Command, tmp_path: Path) -> None:
    """Those that are embedded are not taken in their place."""
    assert zoo_command("download", "cdcgan", "--to", tmp_path).exit_code == 0
    given = ("--weights", tmp_path / "cdcgan.mnist", "-o", tmp_path / "a.png")
    result = zoo_command("generate", "dcgan", *given)
    assert (result.exit_code, "load local-dir:" in result.stderr) == (1, True)
    assert zoo_command("generate", "cdcgan", *given).exit_code == 0
