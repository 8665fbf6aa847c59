"""Commands that run a model: generate, reconstruct, check. torch comes in once the arguments are known to be right."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.errors import InputError, PictureError, ZooError, check_count
from zoo.registry import info, refusal

from .facts import as_json, complete_names, entries_of, table
from .pipeline import STANDARD, Writers, ahead, kept, large, through

if TYPE_CHECKING:
    from zoo.images import Images
    from zoo.verbs import Verbs

Command = Any  # a function or what click made of it


def model_options(command: Command) -> Command:
    """The options that every command with a model takes; those of :func:`ready` come as one argument, ``loading``."""
    options: tuple[Command, ...] = (
        click.option("--json", "json_", is_flag=True, help="Say what was written as JSON on the standard output."),
        click.option("-c", "conditions", multiple=True, metavar="NAME=VALUE", help="A condition; again for more."),
        click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True),
        click.option("--runtime", type=click.Choice(["torch", "onnx"]), default="torch", show_default=True),
        click.option("--weights", type=click.Path(path_type=Path), help="A folder or file with the weights."),
        click.option(
            "--precision",
            default="exact",
            show_default=True,
            help="exact; fast: bfloat16 where there is hardware for it; or plain: the modules as they are.",
        ),
        click.option("--device", default="cpu", show_default=True, help="Such as cpu, cuda, cuda:1 or mps."),
    )

    @wraps(command)
    def loads(name: str, weights: Path | None, device: str, precision: str, runtime: str, **others: Any) -> Any:
        loading = {"name": name, "weights": weights, "device": device, "precision": precision, "runtime": runtime}
        return command(name=name, loading=loading, **others)

    made: Command = loads
    for option in options:
        made = option(made)
    return made


def parse_conditions(given: Sequence[str]) -> dict[str, Any]:
    """``NAME=VALUE`` to keywords; a name that comes more than once has one value for each sample."""
    made: dict[str, list[str]] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise InputError(f"-c takes NAME=VALUE, not {item!r}.")
        made.setdefault(name.replace("-", "_"), []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in made.items()}


def ready(
    name: str,
    verb: str,
    weights: Path | None = None,
    device: str = "cpu",
    precision: str = "exact",
    runtime: str = "torch",
) -> Verbs:
    """A loaded model; what it cannot do is said before anything is downloaded or torch imported."""
    if ":" not in name and verb not in info(name).verbs:
        raise refusal(info(name).model, verb)
    if runtime == "onnx":
        if device != "cpu" or precision != "exact":
            raise InputError("ONNX Runtime computes in float32 on the CPU: leave out --device and --precision.")
        from zoo.onnx_runtime import load as load_onnx

        return load_onnx(name, weights=weights)
    from zoo.loading import load

    return load(name, device=device, precision=precision, weights=weights)


def check_output(output: Path) -> None:
    """Refuse an output that cannot work before any time is spent on it."""
    from zoo.images import check_output

    if output != STANDARD:
        check_output(output)
    elif sys.stdout.isatty():
        raise InputError("The standard output is a terminal, which shows no pictures: redirect it to a file.")


def deliver(images: Images, output: Path) -> None:
    """Write pictures to a file, a folder, or ``-``, the standard output."""
    if output == STANDARD:
        sys.stdout.buffer.write(images.png())
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
    loading: dict[str, Any],
    engine: str,
    conditions: Sequence[str],
    json_: bool,
) -> None:
    """Draw new samples: one grid if OUTPUT is a file, one file each if it is a folder."""
    output = output or Path(f"{name.rpartition(':')[2].replace('/', '-')}.png")
    check_output(output)
    check_count("n", n)
    check_count("batch_size", batch_size)
    given = parse_conditions(conditions)
    if engine == "ray":
        seed = secrets.randbits(32) if seed is None else seed
        done, _ = _on_ray("generate", n, output, loading, {"seed": seed, **given})
        return report(json_, output, done, seed=seed)
    model = ready(verb="generate", **loading)
    shown = sys.stderr.isatty() and n > batch_size
    images = model.generate(n, seed=seed, batch_size=batch_size, progress=shown, **given)
    deliver(images, output)
    return report(json_, output, n, seed=images.seed)


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="A picture, a folder, or -.")
@click.option("--compare", is_flag=True, help="Put each input, as the model sees it, before its result.")
@click.option("--skip-existing", is_flag=True, help="Leave out what is in OUTPUT, a folder, already.")
@click.option("--tile", default="auto", show_default=True, help="Side of tiles in pixels of the input, auto, or none.")
@click.option("--overlap", type=int, help="Of tiles; by default as much as makes them equal the whole.")
@click.option("--batch-size", type=int, default=16, show_default=True, help="How many at once.")
@model_options
def reconstruct(
    name: str,
    inputs: Sequence[Path],
    output: Path,
    compare: bool,
    skip_existing: bool,
    tile: str,
    overlap: int | None,
    batch_size: int,
    loading: dict[str, Any],
    engine: str,
    conditions: Sequence[str],
    json_: bool,
) -> None:
    """Put pictures through a model: files, folders, or - for the standard input.

    If OUTPUT is a folder, each result gets the name that its input has in its own folder; if it is a file,
    several results become one grid. Inputs that fail are named at the end, and the rest is written.
    """
    from zoo.images import Images, is_folder

    check_count("batch_size", batch_size)
    sources = list(_sources(inputs))
    check_output(output)
    folder = output != STANDARD and is_folder(output)
    if skip_existing and not folder:
        raise InputError("--skip-existing needs a folder as OUTPUT.")
    targets = {name: output / f"{name}.png" if folder else output for name, _ in sources}
    _keep_inputs(list(targets.values()), sources)
    there = {name for name, target in targets.items() if skip_existing and target.exists()}
    sources = [source for source in sources if source[0] not in there]
    if not sources:
        return report(json_, output, 0, failed=[], skipped=len(there))
    given = parse_conditions(conditions)
    options = {"tile": _tile(tile), "overlap": overlap, **given}
    skipped = {"skipped": len(there)} if skip_existing else {}
    if engine == "ray":
        if compare:
            raise InputError("--compare is for the local engine.")
        return _finish(json_, output, *_on_ray("reconstruct", sources, output, loading, options), len(sources), skipped)
    model = ready(verb="reconstruct", **loading)
    model.checked(given, len(sources))
    model.check_tiles(options["tile"], overlap)
    alone = folder or (len(sources) == 1 and output != STANDARD)
    results = Images([], [])
    failed: list[str] = []
    done = 0
    with Writers(failed) as writers:
        for batch in ahead(sources, batch_size, failed, name):
            for picture in large(model, batch) if alone and not compare else ():
                target = targets[picture.names[0]]
                done += kept(failed, picture, partial(model.reconstruct_to, picture, target, **options))
            for before, after in through(model, batch, options, failed):
                done += len(after)
                made = _pairs(model.prepare(before), after) if compare else after
                if folder:
                    writers.save(made, output)
                else:
                    results.arrays += made.arrays
                    results.names += made.names
    if results.arrays:
        deliver(results, output)
    return _finish(json_, output, done - writers.lost, failed, len(sources), skipped)


def _finish(json_: bool, output: Path, done: int, failed: list[str], n: int, skipped: dict[str, int]) -> None:
    """Say what was written, and what failed."""
    if failed and not done:
        more = f" (the first of {len(failed)} that failed)" if len(failed) > 1 else ""
        raise PictureError(f"{failed[0]}{more}")
    report(json_, output, done, failed=failed, **skipped)
    if failed:
        reasons = "".join(f"\n  {reason}" for reason in failed)
        raise ZooError(f"{len(failed)} of {n} inputs failed, the rest is written:{reasons}")


def _on_ray(
    verb: str, rows: Any, output: Path, loading: dict[str, Any], options: dict[str, Any]
) -> tuple[int, list[str]]:
    """The work of a verb on a cluster; what the local engine would refuse is refused here, too."""
    from zoo.images import is_folder

    if output == STANDARD or not is_folder(output):
        raise InputError("--engine ray needs a folder as OUTPUT.")
    model = ready(verb=verb, **loading)
    model.checked({k: v for k, v in options.items() if k not in ("seed", "tile", "overlap")}, 1)
    model.check_tiles(options.get("tile"), options.get("overlap"))
    from .ray_engine import run

    return run(verb, rows, output, loading, options)


def _tile(text: str) -> int | str | None:
    """``auto``, ``none`` or a number, as :meth:`zoo.model.Model.reconstruct` takes it."""
    return None if text == "none" else int(text) if text.isdigit() else text


def _sources(inputs: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Name for the result and path of every input, folders opened; no two names are the same."""
    from zoo.images import unique
    from zoo.reading import named_files

    found: list[tuple[str, Path]] = []
    for path in inputs:
        if path == STANDARD:
            found.append(("stdin", path))
        elif path.exists():
            found += named_files(path)
        else:
            raise InputError(f"{path} does not exist.")
    return zip(unique(name for name, _ in found), [path for _, path in found], strict=True)


def _keep_inputs(targets: Sequence[Path], sources: Sequence[tuple[str, Path]]) -> None:
    """Refuse to write over what is read."""
    read = {path.resolve() for _, path in sources}
    for target in targets:
        if target != STANDARD and target.resolve() in read:
            raise InputError(f"{target} is an input and would be overwritten: choose another output.")


def _pairs(inputs: Images, results: Images) -> Images:
    """Each input before its result."""
    from zoo.images import Images

    pairs = Images([])
    for name, before, after in zip(results.names, inputs.arrays, results.arrays, strict=True):
        pairs.arrays += [before, after]
        pairs.names += [f"{name}-input", name]
    return pairs


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
