"""Commands that run a model: generate, reconstruct, check. torch comes in once the arguments are known to be right."""

from __future__ import annotations

import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from zoo.errors import InputError, MediaError, ZooError, check_count, check_natural
from zoo.files import STANDARD
from zoo.jobs.conditions import files_in, parse_pairs, values_of
from zoo.jobs.files import Each, Job, Work, ready, results, to_files

from .catalog import as_json, complete_names, entries_of, table
from .console import say
from .names import (
    RECORD,
    PathType,
    default_output,
    forget,
    keep_inputs,
    remember,
    results_in,
    sample_names,
    settle,
)

if TYPE_CHECKING:
    from zoo.inference.verbs import Verbs
    from zoo.media.base import Samples

Command = Any  # a function or what click made of it


def model_options(command: Command, leave_out: Sequence[str] = ()) -> Command:
    """The options that every command with a model takes; those of :func:`ready` come as one argument, ``loading``.

    Args:
        command: a function.
        leave_out: of them, by name, what it does not take.
    """
    options: tuple[Command, ...] = (
        click.option("--json", "json_", is_flag=True, help="Say what was written as JSON on the standard output."),
        click.option(
            "-c",
            "conditions",
            multiple=True,
            metavar="NAME=VALUE",
            help="A condition: one value, one for each input (-c again, in order), or a folder whose file names match.",
        ),
        click.option(
            "--format",
            type=click.Choice(["png", "jpeg", "webp", "tiff", "bmp", "gif"], case_sensitive=False),
            help="Of the images; by default what OUTPUT ends in, and png for a folder.",
        ),
        click.option("--bits", type=int, default=8, show_default=True, help="16 for PNG with 16 bits."),
        click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True),
        click.option("--runtime", type=click.Choice(["torch", "onnx"]), default="torch", show_default=True),
        click.option("--weights", type=PathType(), help="A folder or file with the weights."),
        click.option(
            "--precision",
            default="exact",
            show_default=True,
            help="exact; fast: bfloat16 where there is hardware for it; or plain: the modules as they are.",
        ),
        click.option("--device", default="cpu", show_default=True, help="Such as cpu, cuda, cuda:1 or mps."),
    )

    @wraps(command)
    def loads(
        name: str, weights: Path | None, device: str, precision: str, runtime: str = "torch", **others: Any
    ) -> Any:
        loading = {"name": name, "weights": weights, "device": device, "precision": precision, "runtime": runtime}
        return command(name=name, loading=loading, **others)

    made: Command = loads
    for option in options:
        made = option(made)
    made.__click_params__ = [option for option in made.__click_params__ if option.name not in leave_out]
    return made


@dataclass(frozen=True)
class Output:
    """Where images go.

    Attributes:
        path: a file, a folder, or ``-`` for the standard output.
        folder: whether it is a folder.
        format: of the files; None to go by their names.
        bits: of each value in them.
    """

    path: Path
    folder: bool
    format: str | None
    bits: int

    @classmethod
    def of(cls, text: str, format: str | None, bits: int) -> Output:
        """What a user typed, if it can work: that is said before any time is spent on it."""
        from zoo.media.image_encode import check_output, ending, is_folder

        if text == "-":
            if not sys.stdout.writable():
                raise MediaError("The standard output is closed: redirect it to a file.")
            if sys.stdout.isatty():
                raise InputError("The standard output is a terminal, which shows no images: redirect it to a file.")
            check_output(f"image{ending(format)}", format=format, bits=bits)
            return cls(STANDARD, False, format, bits)
        check_output(text, format=format, bits=bits)
        folder = is_folder(text)
        if folder and Path(text).exists() and not Path(text).is_dir():
            raise InputError(f"{text} is a file and no folder: choose another output.")
        return cls(Path(text), folder, format, bits)

    @property
    def standard(self) -> bool:
        """Whether images go to the standard output."""
        return not self.folder and self.path == STANDARD

    @property
    def ending(self) -> str:
        """What files in a folder end in."""
        from zoo.media.image_encode import ending

        return ending(self.format)

    def check_sheet(self, n: int, size: tuple[int, ...]) -> None:
        """Refuse a grid of ``n`` images of this height and width if the format cannot hold it."""
        from zoo.media.image_encode import check_output
        from zoo.media.images import grid_size

        path = f"image{self.ending}" if self.standard else self.path
        check_output(path, size=grid_size(n, *size), format=self.format, bits=self.bits)

    def deliver(self, images: Samples) -> None:
        """Write images to the file, into the folder, or to the standard output."""
        if not self.standard:
            return images.save(f"{self.path}/" if self.folder else self.path, format=self.format, bits=self.bits)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"image{self.ending}"
            images.save(file, format=self.format, bits=self.bits)
            content = file.read_bytes()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return None


def report(json_: bool, output: Output, n: int, **facts: Any) -> None:
    """Say what was written: as JSON on the standard output, or in words on the standard error."""
    if json_ and not output.standard:
        as_json({"output": str(output.path), "images": n, **facts})
        return
    more = "".join(f", {name.replace('_', ' ')} {value}" for name, value in facts.items() if isinstance(value, int))
    if left_out := facts.get("left_out"):
        some = ", ".join(f"{Path(one['file']).name} ({one['reason']})" for one in left_out[:3])
        more += f", left out {len(left_out)} file{'s' * (len(left_out) > 1)}: {some}{', ...' * (len(left_out) > 3)}"
    say(f"{output.path}: {n} image{'s' * (n != 1)}{more}")


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.option("-n", "n", type=int, default=16, show_default=True, help="How many.")
@click.option("--seed", type=int, help="The same seed gives the same images; by default another each time.")
@click.option("--latents", type=PathType(), help="A .npy file of latents, in place of -n and --seed.")
@click.option("-o", "--output", type=click.Path(), help="An image, a folder, or - [default: NAME.png]")
@click.option("--batch-size", type=int, default=64, show_default=True, help="How many at once, if memory holds them.")
@model_options
def generate(
    name: str,
    n: int,
    seed: int | None,
    latents: Path | None,
    output: str | None,
    batch_size: int,
    loading: dict[str, Any],
    engine: str,
    conditions: Sequence[str],
    format: str | None,
    bits: int,
    json_: bool,
) -> None:
    """Draw new samples: one grid if OUTPUT is a file, one file each if it is a folder."""
    check_count("n", n)
    check_count("batch_size", batch_size)
    if seed is not None:
        check_natural("seed", seed)
    out = Output.of(_default(name, format) if output is None else output, format, bits)
    texts = parse_pairs(conditions)
    keep_inputs([out.path], [*files_in(texts), *([latents] if latents else [])])
    if latents:
        if seed is not None or click.get_current_context().get_parameter_source("n") is ParameterSource.COMMANDLINE:
            raise InputError("--latents says how many and which: leave out -n and --seed.")
        if engine == "ray":
            raise InputError("--engine ray takes no --latents: leave out one of them.")
    if engine == "ray":
        seed = secrets.randbits(32) if seed is None else seed
        done = _on_ray("generate", n, sample_names(n), out, loading, Work(format=format, bits=bits), texts, seed)[0]
        return report(json_, out, len(done), seed=seed)
    model = ready(verb="generate", **loading)
    z = None
    if latents and model.latent_shape is not None:
        from zoo.inference.latents import to_latents

        z = to_latents(latents, model.latent_shape)
        n = len(z)
    values = values_of(model.entry, texts, sample_names(n))
    given: dict[str, Any] = {name: value.values if isinstance(value, Each) else value for name, value in values.items()}
    model.check_conditions(given, n, "decode")  # before they become keywords, beside n and seed
    size = model.entry.output.size if model.entry else None
    if size and not out.folder:
        out.check_sheet(n, size)
    shown = sys.stderr.isatty() and n > batch_size
    images = model.generate(n, seed=seed, latents=z, batch_size=batch_size, progress=shown, **given)
    images.names = sample_names(n)
    out.deliver(images)
    return report(json_, out, n, **({"latents": str(latents)} if latents else {"seed": images.seed}))


def _default(name: str, format: str | None) -> str:
    """The output where none is named."""
    from zoo.media.image_encode import ending

    return default_output(name, ending(format))


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=PathType())
@click.option("-o", "--output", type=click.Path(), required=True, help="An image, a folder, or -.")
@click.option("--compare", is_flag=True, help="Put each input, as the model sees it, before its result.")
@click.option("--skip-existing", is_flag=True, help="Leave out inputs whose result is in OUTPUT, a folder, already.")
@click.option("--tile", default="auto", show_default=True, help="Side of tiles in pixels of the input, auto, or none.")
@click.option("--overlap", type=int, help="Of tiles; by default as much as makes them equal the whole.")
@click.option("--batch-size", type=int, default=16, show_default=True, help="How many at once, if memory holds them.")
@click.option("--max-pixels", type=int, help="Pixels that an input may have, for scans that you trust.")
@model_options
def reconstruct(
    name: str,
    inputs: Sequence[Path],
    output: str,
    compare: bool,
    skip_existing: bool,
    tile: str,
    overlap: int | None,
    batch_size: int,
    max_pixels: int | None,
    loading: dict[str, Any],
    engine: str,
    conditions: Sequence[str],
    format: str | None,
    bits: int,
    json_: bool,
) -> None:
    """Put images through a model: files, folders, or - for the standard input.

    If OUTPUT is a folder, each result gets the name that its input has in its own folder; if it is a file,
    several results become one grid. Inputs that fail are named at the end, and the rest is written.
    """
    check_count("batch_size", batch_size)
    if max_pixels is not None:
        check_count("max_pixels", max_pixels)
    out = Output.of(output, format, bits)
    if skip_existing and not out.folder:
        raise InputError("--skip-existing needs a folder as OUTPUT.")
    if engine == "ray" and STANDARD in inputs:
        raise InputError("--engine ray reads no standard input: give files or folders.")
    left_out: list[tuple[Path, str]] = []
    sources = list(_sources(inputs, out, left_out))
    texts = parse_pairs(conditions)
    numbers: dict[Path, int] = {}
    for number, (_, path) in enumerate(sources):
        numbers.setdefault(path, number)
    there: list[tuple[Path, Path]] = []
    if out.folder:
        files, there = settle(sources, out.path, out.ending, skip_existing)
        jobs = [Job(numbers[path], path, file) for path, file in files]
    else:
        target = out.path if len(sources) == 1 and not out.standard else None
        jobs = [Job(number, path, target) for number, (_, path) in enumerate(sources)]
    targets = [file for _, file in there] + [job.target or out.path for job in jobs]
    keep_inputs(targets, [path for _, path in sources] + files_in(texts))
    facts: dict[str, Any] = {"skipped": len(there)} if skip_existing else {}
    if left_out:
        facts["left_out"] = [{"file": str(path), "reason": reason} for path, reason in left_out]
    if not jobs:
        return _finish(json_, out, [], [], 0, facts)
    limits = {} if max_pixels is None else {"max_pixels": max_pixels}
    work = Work({"tile": _tile(tile), "overlap": overlap}, {}, batch_size, compare, format, bits, limits)
    failed: list[str] = []
    names = [name for name, _ in sources]
    if engine == "ray":
        done, failed = _on_ray("reconstruct", jobs, names, out, loading, work, texts)
    else:
        model = ready(verb="reconstruct", **loading)
        work = _with_conditions(model, work, texts, names, "forward")
        model.check_tiles(work.options["tile"], overlap)
        with _progress(len(jobs), name) as tick:
            if jobs[0].target:
                done = _into_files(model, jobs, out, work, failed, tick)
            else:
                done = _onto_a_sheet(model, jobs, out, work, failed, tick)
    return _finish(json_, out, done, failed, len(jobs), facts)


def _into_files(
    model: Verbs, jobs: Sequence[Job], out: Output, work: Work, failed: list[str], tick: Callable[[int], object]
) -> list[Job]:
    """Each result in a file of its own."""
    if not out.folder:
        return to_files(model, jobs, work, failed, tick)
    remember([(job.source, job.target) for job in jobs if job.target], out.path)
    try:
        return to_files(model, jobs, work, failed, tick)
    finally:
        forget(out.path)


def _onto_a_sheet(
    model: Verbs, jobs: Sequence[Job], out: Output, work: Work, failed: list[str], tick: Callable[[int], object]
) -> list[Job]:
    """All results on one grid, or the only one on the standard output."""
    n = len(jobs) * (2 if work.compare else 1)
    sheet: list[Samples] = []
    done = []

    reader, writer = model.processors()

    def check(sample: Samples) -> None:
        if writer.kind == reader.kind == "image":
            height, width = reader.lengths(sample)
            out.check_sheet(n, (height * reader.scales[0], width * reader.scales[1]))

    for job, result in results(model, jobs, work, failed, tick, check):
        assert result is not None
        sheet.append(result)
        done.append(job)
    if sheet:
        out.deliver(type(sheet[0]).concat(sheet))
    return done


def _finish(json_: bool, out: Output, done: list[Job], failed: list[str], n: int, facts: dict[str, Any]) -> None:
    """Say what was written, and what failed."""
    if failed and not done:
        more = f" (the first of {len(failed)} that failed)" if len(failed) > 1 else ""
        raise MediaError(f"{failed[0]}{more}")
    made = [{"input": str(job.source), "output": str(job.target or out.path)} for job in done]
    report(json_, out, len(done), failed=failed, **facts, results=made)
    if failed:
        reasons = "".join(f"\n  {reason}" for reason in failed)
        raise ZooError(f"{len(failed)} of {n} inputs failed, the rest is written:{reasons}")


def _with_conditions(model: Verbs, work: Work, texts: dict[str, list[str]], names: Sequence[str], call: str) -> Work:
    """The work with the conditions that were typed, if the model takes them."""
    values = values_of(model.entry, texts, names)
    given = {name: value.values if isinstance(value, Each) else value for name, value in values.items()}
    model.check_conditions(given, len(names), call)
    return replace(work, conditions=values)


def _on_ray(
    verb: str,
    rows: Any,
    names: Sequence[str],
    out: Output,
    loading: dict[str, Any],
    work: Work,
    texts: dict[str, list[str]],
    seed: int = 0,
) -> tuple[list[Any], list[str]]:
    """The work of a verb on a cluster; what the local engine would refuse is refused here, too."""
    if not out.folder:
        raise InputError("--engine ray needs a folder as OUTPUT.")
    model = ready(verb=verb, **loading)
    work = _with_conditions(model, work, texts, names, "decode" if isinstance(rows, int) else "forward")
    model.check_tiles(work.options.get("tile"), work.options.get("overlap"))
    from zoo.jobs.ray import generate, reconstruct

    if verb == "generate":
        files = [out.path / f"{name}{out.ending}" for name in names]
        return generate(files, loading, work, seed), []
    remember([(job.source, job.target) for job in rows], out.path)
    try:
        return reconstruct(rows, loading, work)
    finally:
        forget(out.path)


def _tile(text: str) -> int | str | None:
    """``auto``, ``none`` or a number, as :meth:`zoo.model.Model.reconstruct` takes it."""
    return None if text == "none" else int(text) if text.isdecimal() else text


def _sources(inputs: Sequence[Path], out: Output, left_out: list[tuple[Path, str]]) -> Iterator[tuple[str, Path]]:
    """Name for the result and path of every input, folders opened; what they hold else goes to ``left_out``."""
    from zoo.media.image_paths import named_files

    made = results_in(out.path) if out.folder else set()
    for path in inputs:
        if path == STANDARD:
            yield "stdin", path
        elif path.is_dir():
            found = [(name, file) for name, file in named_files(path, left_out) if not made or _real(file) not in made]
            left_out[:] = [one for one in left_out if one[0].name != RECORD]  # which is ours, and nobody's image
            if not found:
                raise InputError(f"{path} holds no images but results: give another folder.")
            yield from found
        elif path.exists():
            yield from named_files(path)
        else:
            raise InputError(f"{path} does not exist.")


def _real(path: Path) -> Path:
    return path.parent.resolve() / path.name


@contextmanager
def _progress(n: int, label: str) -> Iterator[Callable[[int], object]]:
    """A bar where there are several images and someone is looking."""
    if n < 2 or not sys.stderr.isatty():
        yield lambda n: None
        return
    from tqdm import tqdm

    with tqdm(total=n, desc=label, unit="image", leave=False) as bar:
        yield bar.update


@click.command()
@click.argument("names", nargs=-1, shell_complete=complete_names)
@click.option("--rules", "rules", is_flag=True, help="Show what is promised.")
def check(names: Sequence[str], rules: bool) -> None:
    """Test that models keep the contract: what the registry says, shapes, seeds, batches, weights."""
    if not names and not rules:
        raise InputError("Name the models to check, or give --rules to see the contract.")
    from zoo.testing import RULES, complaints

    if rules:
        table([["RULE", "PROMISE"], *([rule.id, rule.promise] for rule in RULES)])
    broken = 0
    for entry in entries_of(names) if names else ():
        found = complaints(entry.address)
        broken += bool(found)
        says = f"breaks {len(found)} of {len(RULES)} rules" if found else f"keeps {len(RULES)} rules"
        click.echo("\n".join([f"{entry.address}: {says}", *(f"  {complaint}" for complaint in found)]))
    if broken:
        raise ZooError("The contract is broken: see above.")
