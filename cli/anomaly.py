"""The command about anomalies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from zoo.errors import InputError, MediaError, ZooError, check_count
from zoo.files import STANDARD
from zoo.jobs.conditions import files_in, keywords, parse_pairs
from zoo.jobs.files import Job, Work, ready, results

from .catalog import as_json, complete_names
from .console import say, table
from .inputs import files_of, is_film, progress_bar, sources_of
from .names import PathType, forget, keep_inputs, remember, settle
from .output import Output, records_of, said_of
from .verbs import model_options, with_conditions

FOUND = 3  # exit code


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=PathType())
@click.option("-o", "--output", type=click.Path(), help="A folder for the maps, or a file for one [default: none]")
@click.option("--plain", is_flag=True, help="Write grey maps, from 0 to 1, in place of colour over the image.")
@click.option("--threshold", type=float, help="Above it an image is anomalous [default: that of the checkpoint].")
@click.option("--normal", type=PathType(), help="A folder of normal images, not trained on, to find a threshold from.")
@click.option("--batch-size", type=int, default=16, show_default=True, help="Batch size, smaller if memory is short.")
@click.option("--max-pixels", type=int, help="Most pixels of an input, to read large scans that you trust.")
@partial(model_options, leave_out=("engine",))
def anomaly(
    name: str,
    inputs: Sequence[Path],
    output: str | None,
    plain: bool,
    threshold: float | None,
    normal: Path | None,
    batch_size: int,
    max_pixels: int | None,
    loading: dict[str, Any],
    conditions: Sequence[str],
    format: str | None,
    bits: int | None,
    json_: bool,
) -> None:
    """Say how far images are from what a model takes for normal, and show where.

    The scores go from 0 to 1. With a threshold, an image whose score is above it is anomalous, and the command exits
    with 3 if one is.

    \b
    zoo anomaly anomaly-ae tiles/ -o maps/
    zoo anomaly local-dir:runs/mine part.png --json
    zoo anomaly conv-ae photos/ --normal known-good/
    """  # noqa: D301 - click takes the character itself
    from zoo.media.images import Images
    from zoo.tasks.anomaly import check_threshold, compare, overlay, scorer_of, threshold_for, threshold_from

    check_count("batch_size", batch_size)
    check_threshold(threshold)
    limits = {}
    if max_pixels is not None:
        check_count("max_pixels", max_pixels)
        limits = {"max_pixels": max_pixels}
    if threshold is not None and normal is not None:
        raise InputError("Give --threshold, or --normal to find one: one of the two.")
    if normal is not None and not normal.exists():
        raise InputError(f"--normal: {normal} does not exist: name a folder of normal images.")
    if output == "-":
        raise InputError("The scores go to the standard output: name a folder or a file for the maps.")
    out = Output.of(output, format, bits, "image") if output else Output(STANDARD, False, format, bits, Images)
    left_out: list[tuple[Path, str]] = []
    sources = list(sources_of(inputs, out, "image", left_out))
    if films := [path for _, path in sources if is_film(path, out)]:
        raise InputError(f"{films[0]} is a video: give images, such as its frames.")
    texts = parse_pairs(conditions)
    targets: dict[Path, Path] = {}
    if output and out.folder:
        targets = dict(settle(sources, out.path, out.ending, False)[0])
    elif output:
        if len(sources) > 1:
            raise InputError(f"{out.path} takes one map, and these are {len(sources)} inputs: give a folder.")
        targets = {sources[0][1]: out.path}
    read = [path for _, path in sources] + ([normal] if normal else []) + files_in(texts)
    keep_inputs([*targets.values()], read)
    if normal is not None:
        files_of("image", [normal], left_out)
    model = ready(verb="reconstruct", **loading)
    scorer = scorer_of(model)
    names = [label for label, _ in sources]
    work = with_conditions(model, Work({}, {}, batch_size, True, format, bits, limits), texts, names, "forward")
    if normal is not None:
        given = keywords(work.conditions)
        threshold = threshold_from(model, normal, batch_size=batch_size, max_pixels=max_pixels, **given)
    elif threshold is None:
        threshold = threshold_for(model)
    failed: list[str] = []
    rows: list[dict[str, Any]] = []
    jobs = [Job(number, path) for number, (_, path) in enumerate(sources)]  # without targets: only maps are written
    if targets and out.folder:
        remember([*targets.items()], out.path)
    try:
        with progress_bar(len(jobs), name) as tick:
            for job, pair in results(scorer, jobs, work, failed, tick):
                assert isinstance(pair, Images)
                value, heat = compare(scorer, *pair.arrays)
                target = targets.get(job.source)
                if target:
                    shown = Images([heat], pair.names[:1])
                    (shown if plain else overlay(pair[:1], shown)).save(target, **out.saving)
                rows.append(
                    {
                        "input": str(job.source),
                        "score": round(value, 4),
                        "anomalous": None if threshold is None else value > threshold,
                        "map": str(target) if target else None,
                    }
                )
    finally:
        if targets and out.folder:
            forget(out.path)
    _report(json_, rows, threshold, failed, left_out)
    if any(row["anomalous"] for row in rows):
        raise click.exceptions.Exit(FOUND)


def _report(
    json_: bool,
    rows: list[dict[str, Any]],
    threshold: float | None,
    failed: list[str],
    left_out: Sequence[tuple[Path, str]],
) -> None:
    """The scores, and what could not be scored."""
    if failed and not rows:
        raise MediaError(failed[0])
    others = records_of(left_out)
    if json_:
        as_json({"threshold": threshold, "failed": failed, "left_out": others, "results": rows})
    else:
        words = {True: "anomalous", False: "normal", None: ""}
        cells = [[row["input"], f"{row['score']:.4f}", words[row["anomalous"]], row["map"] or ""] for row in rows]
        table([["IMAGE", "SCORE", "", ""], *cells])
        if threshold is None:
            say("There is no threshold: give --threshold, or --normal with a folder of normal images to find one.")
        else:
            anomalous = sum(row["anomalous"] for row in rows)
            say(f"{anomalous} of {len(rows)} {'is' if anomalous == 1 else 'are'} above the threshold, {threshold:g}.")
        if others:
            say(f"Note: {said_of(others)}")
    if failed:
        reasons = "".join(f"\n  {reason}" for reason in failed)
        raise ZooError(f"{len(failed)} of {len(failed) + len(rows)} inputs failed, the rest is scored:{reasons}")
