"""Commands for tasks: interpolate, project, edit."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.errors import InputError
from zoo.files import STANDARD
from zoo.jobs.conditions import files_in, keywords, parse_pairs, values_of
from zoo.jobs.files import ready
from zoo.media.image_names import sample_names
from zoo.registry.index import info
from zoo.weights.resolve import entry_of

from .catalog import as_json, complete_names
from .console import say
from .inputs import check_files, files_of
from .names import PathType, default_output, keep_inputs, remember, settle
from .output import Output, records_of, report
from .verbs import model_options

if TYPE_CHECKING:
    from zoo.inference.verbs import Verbs

LATENTS = ".npy"


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.argument("inputs", nargs=-1, metavar="[INPUT]...", type=PathType())
@click.option("--seeds", multiple=True, metavar="N [N]...", help="Keys as seeds, instead of INPUTs.")
@click.option("--steps", type=int, help="Images from one key to the next. [default: 16]")
@click.option("--mode", type=click.Choice(["spherical", "linear"]), help="By default what fits the latents.")
@click.option("--fps", type=float, default=12.0, show_default=True, help="Images in a second of an animation.")
@click.option("-o", "--output", type=click.Path(), help="An animation, an image, a folder, or - [default: NAME.gif]")
@click.option("--batch-size", type=int, default=16, show_default=True, help="How many at once.")
@partial(model_options, leave_out=("engine",))
def interpolate(
    name: str,
    inputs: Sequence[Path],
    seeds: Sequence[str],
    steps: int | None,
    mode: str | None,
    fps: float,
    output: str | None,
    batch_size: int,
    loading: dict[str, Any],
    conditions: Sequence[str],
    format: str | None,
    bits: int | None,
    json_: bool,
) -> None:
    """Walk from one key to the next: seeds, images for a model with an encoder, or latents of `zoo project`.

    OUTPUT is an animation if it ends in .gif, .apng, .webp, .mp4, .mov or .webm, one grid if it is another image, and
    one file each if it is a folder.

    \b
    zoo interpolate dcgan.flowers --seeds 3 7 19 -o walk.gif
    zoo interpolate conv-ae a.png b.png -o walk.gif
    zoo interpolate dcgan.flowers rose.npy tulip.npy -o walk.gif
    """  # noqa: D301 - click takes the character itself
    from zoo.media.video import Video
    from zoo.media.video_encode import WRITES

    if not 0.1 <= fps <= 100:
        raise InputError(f"fps must be a number from 0.1 to 100, not {fps}.")
    keys = _keys(inputs, seeds)
    text = default_output(name, ".gif") if output is None else output
    suffix = f".{format}" if text == "-" and format else Path(text).suffix.lower()
    kind = entry_of(name).output.kind
    animated = kind == "image" and suffix in WRITES and not text.endswith("/") and not Path(text).is_dir()
    out = Output.of(text, format, bits, "video" if animated else kind)
    texts = parse_pairs(conditions)
    left_out: list[tuple[Path, str]] = []
    read = [*(path for _, path in files_of("image", inputs, left_out)), *files_in(texts)]
    keep_inputs([out.path], read)
    verb = "generate" if "seeds" in keys or ":" in name else info(name).verbs[0]
    model = ready(verb=verb, **loading)
    from zoo.tasks.latent import interpolate as walk

    values = _conditions(model, texts)
    samples = walk(model, **keys, steps=steps, mode=mode, batch_size=batch_size, progress=sys.stderr.isatty(), **values)
    samples.names = sample_names(len(samples))
    keep_inputs(out.files(samples.names), read)
    if kind == "image" and not animated and not out.folder:
        out.check_sheet(len(samples), samples.arrays[0].shape[1:])
    out.deliver(Video.of(samples, fps=fps) if animated else samples)
    facts: dict[str, Any] = {"seeds": keys["seeds"]} if "seeds" in keys else {}
    if left_out:
        facts["left_out"] = records_of(left_out)
    report(json_, out, len(samples), samples.noun, **facts)


def _conditions(model: Verbs, texts: dict[str, list[str]]) -> dict[str, Any]:
    """Conditions, one value each; they are checked before they become keywords, beside those of a task."""
    values = values_of(model.entry, texts, sample_names(1))
    conditions = keywords(values)
    if conditions:
        model.check_conditions(conditions, 1, "decode")
    return conditions


def _keys(inputs: Sequence[Path], seeds: Sequence[str]) -> dict[str, Any]:
    """What an interpolation goes between, as the keyword that it is."""
    if seeds:  # the shell's words after `--seeds 3` come as inputs
        if len(seeds) > 1 and inputs:
            raise InputError(f"{inputs[0]} stands alone: put all seeds after one --seeds, or each after its own.")
        words = [*seeds, *map(str, inputs)]
        if wrong := [word for word in words if not (word.isascii() and word.isdecimal())]:
            raise InputError(f"--seeds takes whole numbers from 0, not {wrong[0]!r}: give seeds or files.")
        return {"seeds": [int(word) for word in words]}
    if not inputs:
        raise InputError("Say between what: --seeds 3 7 19, or two or more images or latents.")
    latents = [path for path in inputs if path.suffix.lower() == LATENTS]
    if latents and len(latents) < len(inputs):
        raise InputError(f"{latents[0]} holds latents, and other keys are images: give one sort of keys.")
    if missing := [path for path in inputs if path != STANDARD and not path.exists()]:
        raise InputError(f"{missing[0]} does not exist.")
    if STANDARD in inputs:
        raise InputError("An interpolation reads no standard input: give files.")
    return {"latents": latents} if latents else {"images": list(inputs)}


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.argument("image", metavar="IMAGE", type=PathType())
@click.option("--steps", type=int, help="Of the search. [default: 300]")
@click.option("--restarts", type=int, help="Starts, of which the best is taken. [default: 8]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the starts: the same gives the same result.")
@click.option("-o", "--output", type=click.Path(), help="An image, a folder, or - [default: IMAGE-NAME.png]")
@click.option("--compare", is_flag=True, help="Put the image, as the model sees it, before its result.")
@partial(model_options, leave_out=("engine", "runtime"))
def project(
    name: str,
    image: Path,
    steps: int | None,
    restarts: int | None,
    seed: int,
    output: str | None,
    compare: bool,
    loading: dict[str, Any],
    conditions: Sequence[str],
    format: str | None,
    bits: int | None,
    json_: bool,
) -> None:
    """Find the latent whose image is nearest to IMAGE.

    The latent is written beside OUTPUT, in a file of the same name that ends in .npy, unless OUTPUT is the standard
    output. `zoo generate NAME --latents` and `zoo interpolate` take it.
    """
    from zoo.media.image_encode import ending
    from zoo.media.images import Images

    if image != STANDARD and not image.is_file():
        raise InputError(f"{image} {'is a folder: name an image' if image.is_dir() else 'does not exist'}.")
    stem = "stdin" if image == STANDARD else image.stem
    text = f"{stem}-{default_output(name, ending(format))}" if output is None else output
    out = Output.of(text, format, bits, "image")
    texts = parse_pairs(conditions)
    if out.folder:
        ((_, target),), _ = settle([(stem, image)], out.path, out.ending, False)
    else:
        target = out.path
    latents = None if out.standard else target.with_suffix(LATENTS)
    keep_inputs([target, *([latents] if latents else [])], [image, *files_in(texts)])
    model = ready(verb="generate", **loading)
    from zoo.inference.latents import save_latents, to_latents
    from zoo.tasks.latent import check_projection
    from zoo.tasks.latent import project as search

    check_projection(model, steps, restarts, seed=seed)
    if latents and latents.exists() and model.latent_shape is not None:
        try:  # a file of the user's that only shares the name would be lost
            to_latents(latents, model.latent_shape)
        except InputError:
            raise InputError(f"{latents} is there and is no latent of {name}: choose another output.") from None
    values = _conditions(model, texts)
    source = Images.of(sys.stdin.buffer if image == STANDARD else image)
    projection = search(
        model, source, steps=steps, restarts=restarts, seed=seed, progress=sys.stderr.isatty(), **values
    )
    shown = Images.concat([projection.target, projection.images]) if compare else projection.images
    replace(out, path=target, folder=False).deliver(shown)
    if latents:
        save_latents(projection.latents, latents)
    if out.folder:
        remember([(image, target)], out.path)
    if out.standard:
        say(f"{name}: error {projection.error:.4f}")
    elif json_:
        facts = {"output": str(target), "images": 1, "latents": str(latents), "error": projection.error, "seed": seed}
        as_json({**facts, "input": str(image)})
    else:
        say(f"{target}, and its latent in {latents}: error {projection.error:.4f}, seed {seed}")


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=PathType())
@click.option("--towards", multiple=True, type=PathType(), help="Images that have what is to be added, or a folder.")
@click.option("--from", "away", multiple=True, type=PathType(), help="Images that do not have it, or a folder.")
@click.option("--strength", type=float, help="How far from --from to --towards; below 0 backwards. [default: 1]")
@click.option("-o", "--output", type=click.Path(), help="An image, a folder, or - [default: IMAGE-NAME.png]")
@click.option("--compare", is_flag=True, help="Put each image, as the model sees it, before its result.")
@partial(model_options, leave_out=("engine", "precision", "runtime"))
def edit(
    name: str,
    images: Sequence[Path],
    towards: Sequence[Path],
    away: Sequence[Path],
    strength: float | None,
    output: str | None,
    compare: bool,
    loading: dict[str, Any],
    conditions: Sequence[str],
    format: str | None,
    bits: int | None,
    json_: bool,
) -> None:
    """Add attributes to images, or remove them: 1 adds one, -1 removes it, other numbers do more or less.

    The attributes of a model stand in `zoo info NAME`; others are learnt from images with and without.

    \b
    zoo edit vae.fashion-mnist shirt.png --towards light/ --from dark/ -o edited.png
    zoo edit vae.avatars face.png -c glasses=2 -c smiling=-2 -o edited.png
    """  # noqa: D301 - click takes the character itself
    from zoo.media.image_encode import ending
    from zoo.media.images import Images
    from zoo.tasks import check_able

    check_able(entry_of(name), "edit")

    if bool(towards) != bool(away) or (strength is not None and not towards):
        raise InputError("--towards, --from and --strength belong together: give images with and images without.")
    check_files([*images, *towards, *away])
    left_out: list[tuple[Path, str]] = []
    named = files_of("image", images, left_out)
    towards, away = ([path for _, path in files_of("image", paths, left_out)] for paths in (towards, away))
    single = f"{named[0][0].rpartition('/')[2]}-" if len(named) == 1 else ""
    out = Output.of(
        f"{single}{default_output(name, ending(format))}" if output is None else output, format, bits, "image"
    )
    texts = parse_pairs(conditions)
    jobs = settle(named, out.path, out.ending, False)[0] if out.folder else [(path, out.path) for _, path in named]
    keep_inputs([target for _, target in jobs], [path for path, _ in jobs] + [*towards, *away, *files_in(texts)])
    model = ready(verb="reconstruct", **loading)
    from zoo.tasks.edit import edit as change

    values = keywords(values_of(model.entry, texts, sample_names(1)))
    if towards:
        values |= {"towards": towards, "away": away, "strength": 1.0 if strength is None else strength}
    seen = model.prepare([path for path, _ in jobs])
    edited = change(model, seen, progress=sys.stderr.isatty(), **values)
    shown = [Images.concat([seen[i], edited[i]]) if compare else edited[i] for i in range(len(jobs))]
    if out.folder:
        for (_, target), result in zip(jobs, shown, strict=True):
            replace(out, path=target, folder=False).deliver(result)
        remember(jobs, out.path)
    else:
        out.check_sheet(len(jobs) * (1 + compare), shown[0].arrays[0].shape[1:])
        out.deliver(Images.concat(shown))
    records = [{"input": str(path), "output": str(target)} for path, target in jobs]
    report(json_, out, len(jobs), left_out=records_of(left_out), results=records)
