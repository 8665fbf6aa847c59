"""Commands for search: index, search."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.errors import InputError, MediaError, VerbError, ZooError, check_count
from zoo.files import STANDARD
from zoo.jobs.files import Job, Work, ready
from zoo.registry.facts import Entry
from zoo.registry.values import printable
from zoo.tasks import METRICS, tasks_of
from zoo.weights.resolve import entry_of

from .catalog import as_json, complete_names
from .console import say
from .inputs import files_of, model_of
from .names import PathType, keep_inputs
from .output import Output, records_of, said_of
from .verbs import model_options

if TYPE_CHECKING:
    from zoo.inference.verbs import Verbs
    from zoo.tasks.index_rows import Changes, Hit
    from zoo.tasks.search import Index

NAMED = 10  # files of each sort that are named; --json names all


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.argument("inputs", nargs=-1, required=True, metavar="FOLDER...", type=PathType())
@click.option("-o", "--output", type=PathType(), required=True, help="The file of the index.")
@click.option("--metric", type=click.Choice(METRICS), help="By which codes are compared. [default: as the model says]")
@click.option("--batch-size", type=int, default=64, show_default=True, help="How many at once.")
@partial(model_options, leave_out=("conditions", "format", "bits", "precision", "runtime"))
def index(
    name: str,
    inputs: Sequence[Path],
    output: Path,
    metric: str | None,
    batch_size: int,
    loading: dict[str, Any],
    engine: str,
    json_: bool,
) -> None:
    """Make an index of the files in folders, by their codes, for `zoo search`.

    An index that is there is brought up to date with the FOLDERs: only files that are new or have changed are encoded,
    all that are not in the FOLDERs leave it, and one that has moved is known again. If a build breaks off, the same
    command goes on where it was.

    \b
    zoo index conv-ae.flowers photos/ -o flowers.index
    zoo search flowers.index rose.jpg -k 5
    """  # noqa: D301 - click takes the character itself
    check_count("batch_size", batch_size)
    entry = entry_of(name)
    if "index" not in [task.name for task in tasks_of(entry)]:
        raise VerbError(f"{entry.model} has no encoder, which search needs: use an autoencoder.")
    left_out: list[tuple[Path, str]] = []
    files = _files(inputs, entry, left_out)
    keep_inputs([output], [file for _, file in files])
    from zoo.media.sources import check_home
    from zoo.tasks.index_file import check_place, part_of
    from zoo.tasks.neighbours import faiss

    check_home(check_place(output), False)
    faiss()  # that it is missing is said before anything is encoded
    ours = {output.resolve(), part_of(output).resolve()}
    left_out = [one for one in left_out if one[0].resolve() not in ours]
    model = ready(verb="reconstruct", **loading)
    from zoo.tasks.search import Index

    made = Index.resume(output, model, metric=metric)
    work = Work(batch_size=batch_size)
    if engine == "ray":
        from zoo.jobs import ray

        encode = partial(ray.encode, loading=loading, work=work)
    else:
        from zoo.jobs import codes

        encode = partial(codes.encode, model=model, work=work)
    changes = made.update(files, encode, output, progress=sys.stderr.isatty())
    made.save(output)
    _report(json_, made, output, changes, left_out)


def _files(paths: Sequence[Path], entry: Entry, left_out: list[tuple[Path, str]]) -> list[tuple[str, Path]]:
    """Name and path of each input of a model, folders opened."""
    if STANDARD in paths:
        raise InputError("Search reads no standard input: give files or folders.")
    if missing := [path for path in paths if not path.exists()]:
        raise InputError(f"{missing[0]} does not exist.")
    return files_of(entry.input.kind if entry.input else "image", paths, left_out)


def _report(json_: bool, made: Index, output: Path, changes: Changes, left_out: list[tuple[Path, str]]) -> None:
    """Say what is in an index, and what has changed; which files failed is an error."""
    sorts = {sort: getattr(changes, sort) for sort in ("new", "changed", "moved", "gone", "dropped")}
    words = {"dropped": "no longer indexed"}
    if json_:
        facts = {
            "output": str(output),
            "model": made.address,
            "weights": made.weights,
            "codes": len(made),
            "length": made.codes.shape[1],
            "metric": made.metric,
            "recall": made.recall,
            "kept": changes.kept,
            **sorts,
            "failed": changes.failed,
            "left_out": records_of(left_out),
        }
        as_json(facts)
    else:
        counts = [f"{len(files)} {words.get(sort, sort)}" for sort, files in sorts.items() if files]
        counts += [f"left out {len(left_out)} file{'s' * (len(left_out) > 1)}"] if left_out else []
        say(f"{output}: {', '.join([f'{len(made):,} codes of {made.codes.shape[1]:,} numbers', *counts])}")
        for sort in ("changed", "moved", "gone", "dropped"):
            for file in list(sorts[sort])[:NAMED]:
                was = f"{changes.moved[file]} -> " if sort == "moved" else ""
                say(f"  {words.get(sort, sort)}: {was}{file}")
            if len(sorts[sort]) > NAMED:
                say(f"  {words.get(sort, sort)}: {len(sorts[sort]) - NAMED} more, which --json names")
        if changes.dropped:
            say("An index holds the files of the folders that are named with it: name all of them to have all in it.")
    if changes.failed:
        reasons = "".join(f"\n  {reason}" for reason in changes.failed)
        total = len(changes.failed) + len(changes.new) + len(changes.changed) + len(changes.moved) + changes.kept
        raise ZooError(f"{len(changes.failed)} of {total} files failed, the rest is in the index:{reasons}")


@click.command()
@click.argument("path", metavar="INDEX", type=PathType())
@click.argument("queries", nargs=-1, required=True, metavar="QUERY...", type=PathType())
@click.option("-k", "k", type=int, default=10, show_default=True, help="How many for each query.")
@click.option("-o", "--output", type=click.Path(), help="An image: each query, and beside it what is near, in a row.")
@click.option("--model", "name", shell_complete=complete_names, help="That made INDEX, if it has another name now.")
@partial(model_options, leave_out=("conditions", "engine", "precision", "runtime"))
def search(
    name: str | None,
    path: Path,
    queries: Sequence[Path],
    k: int,
    output: str | None,
    loading: dict[str, Any],
    format: str | None,
    bits: int | None,
    json_: bool,
) -> None:
    """Find what is nearest to each QUERY in an INDEX that `zoo index` made; distances are of codes.

    \b
    zoo search flowers.index rose.jpg -k 5
    zoo search flowers.index photos/ -o near.png
    """  # noqa: D301 - click takes the character itself
    check_count("k", k)
    from zoo.jobs.codes import encode
    from zoo.tasks.index_rows import stacked, state_of
    from zoo.tasks.neighbours import faiss
    from zoo.tasks.search import Index

    faiss()
    index = Index.load(path)
    if not name and not index.address:
        raise InputError(f"{path} is of a network without a name: search it in Python, Index.load(path, model).")
    try:
        made_by = model_of(name, index.address)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    entry = entry_of(made_by)
    out = _output(output, format, bits, entry, queries)
    left_out: list[tuple[Path, str]] = []
    files = _files(queries, entry, left_out)
    model = ready(verb="reconstruct", **{**loading, "name": made_by})
    index.use(model, str(path))
    jobs = [Job(number, file) for number, (_, file) in enumerate(files)]
    failed: list[str] = []
    encoded = list(encode(jobs, failed, lambda n: None, model=model, work=Work()))
    if not encoded:
        raise MediaError(failed[0])
    nearest = index.hits(stacked([one.code.reshape(1, -1) for one in encoded]), k)
    found = [(one.job.source, hits) for one, hits in zip(encoded, nearest, strict=True)]
    states = {hit.row: state_of(index.rows, hit) for _, hits in found for hit in hits}
    others = records_of(left_out)
    if json_:
        results = [{"query": str(query), "hits": [_facts(hit, states) for hit in hits]} for query, hits in found]
        as_json({"failed": failed, "left_out": others, "results": results})
    else:
        for query, hits in found:
            click.echo(printable(str(query)))
            for hit in hits:
                state = f" ({states[hit.row]})" if states[hit.row] else ""
                click.echo(f"  {hit.distance:10.4f}  {printable(hit.file or hit.name)}{state}")
        if others:
            say(f"Note: {said_of(others)}")
    if out:
        _draw(model, found, out)
    stale = [f"{hit.file} ({states[hit.row]})" for _, hits in found for hit in hits if states[hit.row]]
    if stale := list(dict.fromkeys(stale)):
        more = f" and {len(stale) - NAMED} more" if len(stale) > NAMED else ""
        say(
            f"Note: not as they were indexed are {', '.join(stale[:NAMED])}{more}: `zoo index` with the same folders "
            "brings the index up to date."
        )
    if failed:
        reasons = "".join(f"\n  {reason}" for reason in failed)
        raise ZooError(f"{len(failed)} of {len(files)} queries failed:{reasons}")


def _output(output: str | None, format: str | None, bits: int | None, entry: Entry, queries: Sequence[Path]) -> Any:
    """Where the image goes; None where none is wanted."""
    if output is None:
        return None
    kind = entry.input.kind if entry.input else "image"
    if kind != "image":
        raise InputError(f"-o draws images, and this index is of {kind}: leave it out.")
    out = Output.of(output, format, bits, kind)
    if out.folder or out.standard:
        raise InputError(f"-o takes the name of one image here, such as near.png, not {output}.")
    keep_inputs([out.path], queries)
    return out


def _facts(hit: Hit, states: dict[int, str]) -> dict[str, Any]:
    return {"name": hit.name, "file": hit.file, "distance": hit.distance, "state": states[hit.row]}


def _draw(model: Verbs, found: Sequence[tuple[Path, list[Hit]]], out: Output) -> None:
    """Write each query and what is near to it as a row of one image; what cannot be read is white."""
    import numpy as np

    from zoo.inference.codes import common_size
    from zoo.media.image_fit import fit
    from zoo.media.images import Images

    def small(file: str | Path) -> Any:
        image = model.prepare(file).arrays[0]
        return fit(image, 3, common_size(model))

    tiles = []
    for query, hits in found:
        first = small(query)
        tiles.append(first)
        for hit in hits:
            try:
                tiles.append(small(hit.file))
            except (ZooError, OSError):
                tiles.append(np.ones_like(first))
    columns = 1 + max(len(hits) for _, hits in found)
    out.deliver(Images.of(Images(tiles).grid(columns=columns)))
