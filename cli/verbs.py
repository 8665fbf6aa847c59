"""Commands that run a model: generate, reconstruct, check. torch comes in once the arguments are known to be right."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from zoo.errors import InputError, MediaError, ZooError, check_count, check_natural
from zoo.files import STANDARD
from zoo.jobs.conditions import files_in, keywords, parse_pairs, values_of
from zoo.jobs.files import Job, Work, ready, results, to_files
from zoo.media.image_names import sample_names
from zoo.weights.resolve import entry_of

from .catalog import complete_names, entries_of
from .console import say, table
from .inputs import is_film, progress_bar, sources_of
from .names import (
    PathType,
    default_output,
    forget,
    keep_inputs,
    remember,
    settle,
)
from .output import FORMATS, Output, records_of, report, said
from .terminal import protocol, show

if TYPE_CHECKING:
    from zoo.inference.verbs import Verbs
    from zoo.media.base import Samples

MOST_SHOWN = 256  # images in a terminal
Command = Any  # a function, or the click command that wraps it


def model_options(command: Command, leave_out: Sequence[str] = ()) -> Command:
    """The options that every command with a model takes; those of :func:`ready` come as one argument, ``loading``.

    Args:
        command: a function.
        leave_out: of them, by name, what it does not take.
    """
    options: tuple[Command, ...] = (
        click.option("--json", "json_", is_flag=True, help="Print what was written as JSON."),
        click.option(
            "-c",
            "conditions",
            multiple=True,
            metavar="NAME=VALUE",
            help="A condition: one value; for several inputs also one each (-c again), or a folder of their names.",
        ),
        click.option(
            "--format",
            type=click.Choice(FORMATS, case_sensitive=False),
            help="Of the results; by default what OUTPUT ends in, and png, wav or smi for a folder.",
        ),
        click.option("--bits", type=int, help="16 for PNG with 16 bits; 24 for sound [default: 8, and 16 for sound]."),
        click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True),
        click.option("--runtime", type=click.Choice(["torch", "onnx"]), default="torch", show_default=True),
        click.option("--weights", type=PathType(), help="A folder or file with the weights."),
        click.option(
            "--precision",
            default="exact",
            show_default=True,
            help="exact: float32; fast: bfloat16 if the hardware has it; plain: the unmodified modules.",
        ),
        click.option("--device", default="cpu", show_default=True, help="Such as cpu, cuda, cuda:1 or mps."),
    )

    @wraps(command)
    def loads(
        name: str, weights: Path | None, device: str, precision: str = "exact", runtime: str = "torch", **others: Any
    ) -> Any:
        loading = {"name": name, "weights": weights, "device": device, "precision": precision, "runtime": runtime}
        return command(name=name, loading=loading, **others)

    wrapper: Command = loads
    for option in options:
        wrapper = option(wrapper)
    wrapper.__click_params__ = [option for option in wrapper.__click_params__ if option.name not in leave_out]
    return wrapper


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.option("-n", "n", type=int, default=16, show_default=True, help="Number of samples.")
@click.option("--seed", type=int, help="The same seed gives the same images; by default another each time.")
@click.option("--latents", type=PathType(), help="A .npy file of latents, in place of -n and --seed.")
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    help="A file, a folder, or - [default: the terminal if it shows images, else NAME.png, or .wav, ...]",
)
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
    bits: int | None,
    json_: bool,
) -> None:
    """Draw new samples: one grid if OUTPUT is a file, one file each if it is a folder."""
    check_count("n", n)
    check_count("batch_size", batch_size)
    if seed is not None:
        check_natural("seed", seed)
    kind = entry_of(name).output.kind
    wants_file = output is not None or format or bits or json_ or engine == "ray" or n > MOST_SHOWN
    how = "" if wants_file or kind != "image" else protocol()
    out = Output.of(_default(name, kind, format) if output is None else output, format, bits, kind)
    texts = parse_pairs(conditions)
    read = [*files_in(texts), *([latents] if latents else [])]
    keep_inputs([] if how else [out.path], read)
    if latents:
        if seed is not None or click.get_current_context().get_parameter_source("n") is ParameterSource.COMMANDLINE:
            raise InputError("--latents says how many and which: leave out -n and --seed.")
        if engine == "ray":
            raise InputError("--engine ray takes no --latents: leave out one of them.")
    if engine == "ray":
        seed = secrets.randbits(32) if seed is None else seed
        names = sample_names(n)
        keep_inputs(out.files(names), read)
        done = _on_ray("generate", n, names, out, loading, Work(format=format, bits=bits), texts, seed)[0]
        return report(json_, out, len(done), seed=seed)
    model = ready(verb="generate", **loading)
    z = None
    if latents and model.latent_shape is not None:
        from zoo.inference.latents import to_latents

        z = to_latents(latents, model.latent_shape)
        n = len(z)
    names = sample_names(n) if texts else []  # more samples than memory holds names are refused by the verb
    keep_inputs(out.files(names), read)
    values = keywords(values_of(model.entry, texts, names))
    model.check_conditions(values, n, "decode")  # before they become keywords, beside n and seed
    size = model.entry.output.size if model.entry else None
    if size and kind == "image" and not out.folder:
        out.check_sheet(n, size)
    if kind == "molecules" and not out.folder:
        from zoo.media.molecules import check_drawn

        check_drawn(n, out.ending if out.standard else out.path.suffix.lower())
    shown = sys.stderr.isatty() and n > batch_size
    samples = model.generate(n, seed=seed, latents=z, batch_size=batch_size, progress=shown, **values)
    origin: dict[str, Any] = {"latents": str(latents)} if latents else {"seed": samples.seed}
    if samples.drawn is not None:
        origin["drawn"] = samples.drawn
    if how:
        show(samples.grid(), how)
        return say(f"{n} {kind}{'s' * (n != 1)}{said(origin)}; -o FILE writes a file")
    samples.names = sample_names(n)
    out.deliver(samples)
    return report(json_, out, n, **origin)


def _default(name: str, kind: str, format: str | None) -> str:
    """The output where none is named."""
    from zoo.media.base import samples_class

    return default_output(name, samples_class(kind).ending(format))


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=PathType())
@click.option("-o", "--output", type=click.Path(), required=True, help="A file, a folder, or -.")
@click.option("--compare", is_flag=True, help="Put each input, as the model sees it, before its result.")
@click.option("--skip-existing", is_flag=True, help="Skip inputs that already have a result in the folder OUTPUT.")
@click.option("--tile", default="auto", show_default=True, help="Side of tiles in pixels of the input, auto, or none.")
@click.option("--overlap", type=int, help="Overlap of tiles; by default large enough to avoid seams.")
@click.option("--batch-size", type=int, default=16, show_default=True, help="Batch size, smaller if memory is short.")
@click.option("--max-pixels", type=int, help="Most pixels of an input, to read large scans that you trust.")
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
    bits: int | None,
    json_: bool,
) -> None:
    """Process images, sound or video with a model: files, folders, or - for the standard input.

    If OUTPUT is a folder, each result has the name of its input; if it is a file, several images become one
    grid. Inputs that fail are named at the end, and the others are written. A model for images processes films
    frame by frame, and animations if OUTPUT can move: .gif, .webp, .apng, .mp4, .mov or .webm.
    """
    check_count("batch_size", batch_size)
    if max_pixels is not None:
        check_count("max_pixels", max_pixels)
    entry = entry_of(name)
    taken = entry.input.kind if entry.input else "image"
    out = Output.of(output, format, bits, entry.output.kind, films=taken == "image")
    if skip_existing and not out.folder:
        raise InputError("--skip-existing needs a folder as OUTPUT.")
    if engine == "ray" and STANDARD in inputs:
        raise InputError("--engine ray reads no standard input: give files or folders.")
    left_out: list[tuple[Path, str]] = []
    sources = list(sources_of(inputs, out, taken, left_out))
    films = {path for _, path in sources if taken == "image" and is_film(path, out)}
    _check_films(films, len(sources), out, compare)
    texts = parse_pairs(conditions)
    numbers: dict[Path, int] = {}
    for number, (_, path) in enumerate(sources):
        numbers.setdefault(path, number)
    there: list[tuple[Path, Path]] = []
    if out.folder:
        # Films among images may become folders of images, which have no ending.
        endings = {path: out.film_ending if path in films else out.ending for _, path in sources}
        files: list[tuple[Path, Path]] = []
        for ending in dict.fromkeys(endings.values()):
            chosen = [(label, path) for label, path in sources if endings[path] == ending]
            some, kept = settle(chosen, out.path, ending, skip_existing)
            files, there = files + some, there + kept
        jobs = [Job(numbers[path], path, file, path in films, not endings[path]) for path, file in files]
    else:
        target = out.path if len(sources) == 1 and not out.standard else None
        jobs = [Job(number, path, target, path in films) for number, (_, path) in enumerate(sources)]
    targets = [file for _, file in there] + [job.target or out.path for job in jobs]
    keep_inputs(targets, [path for _, path in sources] + files_in(texts))
    facts: dict[str, Any] = {"skipped": len(there)} if skip_existing else {}
    if left_out:
        facts["left_out"] = records_of(left_out)
    if not jobs:
        return _finish(json_, out, [], [], 0, facts)
    limits = {} if max_pixels is None else {"max_pixels": max_pixels}
    shown = engine != "ray" and len(jobs) == 1 and sys.stderr.isatty()  # several jobs have a bar of their own
    options = {"tile": _tile(tile), "overlap": overlap, "progress": shown}
    work = Work(options, {}, batch_size, compare, format, bits, limits)
    failed: list[str] = []
    names = [name for name, _ in sources]
    if engine == "ray":
        done, failed = _on_ray("reconstruct", jobs, names, out, loading, work, texts)
    else:
        model = ready(verb="reconstruct", **loading)
        work = with_conditions(model, work, texts, names, "forward")
        model.check_tiles(work.options["tile"], overlap)
        with progress_bar(len(jobs), name) as tick:
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
        if sample.kind == writer.kind == reader.kind == "image":
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
    records = [{"input": str(job.source), "output": str(job.target or out.path)} for job in done]
    films = sum(job.film for job in done)
    noun = "videos" if films and films == len(done) else "files" if films else out.samples.noun
    report(json_, out, len(done), noun, failed=failed, **facts, results=records)
    if failed:
        reasons = "".join(f"\n  {reason}" for reason in failed)
        raise ZooError(f"{len(failed)} of {n} inputs failed, the rest is written:{reasons}")


def with_conditions(model: Verbs, work: Work, texts: dict[str, list[str]], names: Sequence[str], call: str) -> Work:
    """The work with the conditions that were typed, if the model takes them."""
    values = values_of(model.entry, texts, names)
    model.check_conditions(keywords(values), len(names), call)
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
    work = with_conditions(model, work, texts, names, "decode" if isinstance(rows, int) else "forward")
    model.check_tiles(work.options.get("tile"), work.options.get("overlap"))
    from zoo.jobs.ray import generate, reconstruct

    if verb == "generate":
        return generate(out.files(names), loading, work, seed), []
    remember([(job.source, job.target) for job in rows], out.path)
    try:
        return reconstruct(rows, loading, work)
    finally:
        forget(out.path)


def _tile(text: str) -> int | str | None:
    """``auto``, ``none`` or a number, as :meth:`zoo.model.Model.reconstruct` takes it."""
    return None if text == "none" else int(text) if text.isdecimal() else text


def _check_films(films: Collection[Path], n: int, out: Output, compare: bool) -> None:
    """Refuse what cannot be done with films.

    Raises:
        InputError: with the cure.
    """
    if not films:
        return
    first = next(iter(films))
    if compare:
        raise InputError("--compare is for images: leave it out where videos go through.")
    if not out.folder and n > 1:
        raise InputError(f"{out.path} takes one video, and these are {n} inputs: give a folder as OUTPUT.")
    if not out.folder and not out.moves:
        raise InputError(f"{first} is a video: write it as .mp4, .mov, .webm, .gif, .webp or .apng, or into a folder.")


@click.command()
@click.argument("names", nargs=-1, shell_complete=complete_names)
@click.option("--rules", "rules", is_flag=True, help="List the rules.")
def check(names: Sequence[str], rules: bool) -> None:
    """Test the rules that every model must keep: registry, shapes, seeds, batches, weights."""
    if not names and not rules:
        raise InputError("Name the models to check, or give --rules to list the rules.")
    from zoo.testing import RULES, complaints

    if rules:
        table([["RULE", "PROMISE"], *([rule.id, rule.promise] for rule in RULES)])
    broken = 0
    for entry in entries_of(names) if names else ():
        messages = complaints(entry.address)
        broken += bool(messages)
        says = f"breaks {len(messages)} of {len(RULES)} rules" if messages else f"keeps {len(RULES)} rules"
        click.echo("\n".join([f"{entry.address}: {says}", *(f"  {complaint}" for complaint in messages)]))
    if broken:
        raise ZooError("The contract is broken: see above.")
