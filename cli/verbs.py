"""Commands that run a model: generate, reconstruct, check. torch comes in once the arguments are known to be right."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.errors import InputError, PictureError, VerbError, ZooError
from zoo.registry import info, search
from zoo.weights import find

from .facts import as_json, complete_names, entries_of

if TYPE_CHECKING:
    from zoo.images import Images
    from zoo.model import Model

Command = Any  # a function or what click made of it
STANDARD = Path("-")


def model_options(command: Command) -> Command:
    """The options that every command with a model takes."""
    options: tuple[Command, ...] = (
        click.option("--json", "json_", is_flag=True, help="Say what was written as JSON on the standard output."),
        click.option("-c", "conditions", multiple=True, metavar="NAME=VALUE", help="A condition; again for more."),
        click.option("--weights", type=click.Path(path_type=Path), help="A folder or file with the weights."),
        click.option("--device", default="cpu", show_default=True, help="Such as cpu, cuda, cuda:1 or mps."),
    )
    for option in options:
        command = option(command)
    return command


def parse_conditions(given: Sequence[str]) -> dict[str, Any]:
    """``NAME=VALUE`` to keywords; a name that comes more than once has one value for each sample."""
    made: dict[str, list[str]] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise InputError(f"-c takes NAME=VALUE, not {item!r}.")
        made.setdefault(name.replace("-", "_"), []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in made.items()}


def ready(name: str, verb: str, weights: Path | None, device: str) -> Model:
    """A loaded model; what it cannot do is said before anything is downloaded or torch imported."""
    if ":" not in name:
        entry = info(name)
        if verb not in entry.verbs:
            able = list(dict.fromkeys(e.model for e in search(verb=verb)))
            raise VerbError(f"{entry.model} cannot {verb}: {', '.join(able[:5])} can.")
    find(name, weights)
    from zoo.loading import load

    return load(name, device=device, weights=weights)


def deliver(images: Images, output: Path) -> None:
    """Write pictures to a file, a folder, or ``-``, the standard output."""
    if output == STANDARD:
        click.get_binary_stream("stdout").write(images.png())
    else:
        images.save(output)


def report(json_: bool, output: Path, n: int, **facts: Any) -> None:
    """Say what was written: as JSON on the standard output, or in words on the standard error."""
    if json_ and output != STANDARD:
        as_json({"output": str(output), "pictures": n, **facts})
    else:
        more = "".join(f", {name} {value}" for name, value in facts.items() if isinstance(value, int))
        click.echo(f"{output}: {n} picture{'s' * (n != 1)}{more}", err=True)


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.option("-n", "n", type=int, default=16, show_default=True, help="How many.")
@click.option("--seed", type=int, help="The same seed gives the same pictures; by default another each time.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A picture, a folder, or - [default: NAME.png]")
@click.option("--batch-size", type=int, default=64, show_default=True, help="How many at once.")
@model_options
def generate(
    name: str,
    n: int,
    seed: int | None,
    output: Path | None,
    batch_size: int,
    device: str,
    weights: Path | None,
    conditions: Sequence[str],
    json_: bool,
) -> None:
    """Draw new samples: one grid if OUTPUT is a file, one file each if it is a folder."""
    from zoo.images import check_output

    output = output or Path(f"{name.rpartition(':')[2].replace('/', '-')}.png")
    if output != STANDARD:
        check_output(output)
    if n < 1:
        raise InputError(f"n must be a whole number from 1, not {n}.")
    model = ready(name, "generate", weights, device)
    shown = sys.stderr.isatty() and n > batch_size
    images = model.generate(n, seed=seed, batch_size=batch_size, progress=shown, **parse_conditions(conditions))
    deliver(images, output)
    report(json_, output, n, seed=images.seed)


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="A picture, a folder, or - for standard output.",
)
@click.option("--compare", is_flag=True, help="Put each input, as the model sees it, before its result.")
@click.option("--batch-size", type=int, default=16, show_default=True, help="How many at once.")
@model_options
def reconstruct(
    name: str,
    inputs: Sequence[Path],
    output: Path,
    compare: bool,
    batch_size: int,
    device: str,
    weights: Path | None,
    conditions: Sequence[str],
    json_: bool,
) -> None:
    """Put pictures through a model: files, folders, or - for the standard input.

    If OUTPUT is a folder, each result gets the name that its input has in its own folder; if it is a file,
    several results become one grid. Inputs that cannot be read are named at the end, and the rest is written.
    """
    from zoo.images import Images, check_output, fit, unique

    folder = output != STANDARD and (output.is_dir() or not output.suffix)
    if output != STANDARD:
        check_output(output)
    files = list(_files(inputs))
    names = unique(name for name, _ in files)
    if folder:
        _keep_inputs(output, names, [path for _, path in files])
    model = ready(name, "reconstruct", weights, device)
    given = parse_conditions(conditions)
    several = next((key for key, value in given.items() if isinstance(value, list)), None)
    if several:
        raise InputError(f"-c {several} was given more than once: all inputs of a command share one value.")
    kept: list[Images] = []
    failed: list[str] = []
    done = 0
    with click.progressbar(
        length=len(files), label=name, file=sys.stderr, hidden=not sys.stderr.isatty() or len(files) <= batch_size
    ) as bar:
        for start in range(0, len(files), batch_size):
            batch = Images([])
            for (_, path), out_name in list(zip(files, names, strict=True))[start : start + batch_size]:
                try:
                    source = click.get_binary_stream("stdin").read() if path == STANDARD else path
                    array = Images.of(source).arrays[0]
                except (PictureError, InputError) as error:
                    failed.append(str(error))
                    continue
                batch.arrays.append(array)
                batch.names.append(out_name)
            results = model.reconstruct(batch, batch_size=batch_size, **given)
            if compare:
                taken = model.entry.input if model.entry else None
                seen = [fit(a, taken.channels, taken.size) if taken else a for a in batch.arrays]
                pairs = [array for pair in zip(seen, results.arrays, strict=True) for array in pair]
                results = Images(pairs, [n for name in results.names for n in (f"{name}-input", name)])
            if folder:
                results.save(output)
            else:
                kept.append(results)
            done += len(batch)
            bar.update(min(batch_size, len(files) - start))
    whole = Images([a for r in kept for a in r.arrays])
    if len(whole):
        deliver(whole, output)
    if failed and not done:
        raise PictureError(
            failed[0] if len(failed) == 1 else f"None of {len(failed)} inputs could be read: {failed[0]}"
        )
    report(json_, output, done, failed=failed)
    if failed:
        for text in failed:
            click.echo(f"Left out: {text}", err=True)
        raise ZooError(f"{len(failed)} of {len(files)} inputs could not be read.")


def _files(inputs: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Name without ending and path of every input; folders are opened."""
    from zoo.images import picture_files

    for path in inputs:
        if path.is_dir():
            for file in picture_files(path):
                yield str(file.relative_to(path).with_suffix("")), file
        elif path == STANDARD:
            yield "stdin", path
        elif not path.exists():
            raise InputError(f"{path} does not exist.")
        else:
            yield path.stem, path


def _keep_inputs(output: Path, names: Sequence[str], files: Sequence[Path]) -> None:
    """Refuse to write over what is read."""
    read = {file.resolve() for file in files}
    for name in names:
        target = output / f"{name}.png"
        if target.resolve() in read:
            raise InputError(f"{target} is an input and would be overwritten: choose another folder.")


@click.command()
@click.argument("names", nargs=-1, required=True, shell_complete=complete_names)
def check(names: Sequence[str]) -> None:
    """Test that models keep the contract: shapes, seeds, batches, weights, verbs."""
    from zoo.testing import RULES
    from zoo.testing import check as check_one

    for entry in entries_of(names):
        check_one(entry.name)
        click.echo(f"{entry.name}: keeps {len(RULES)} rules")
