"""Commands for compressed photos: compress, decompress."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.errors import InputError, MediaError, ZooError
from zoo.files import STANDARD, atomic_write, read_small
from zoo.jobs.files import ready

from .catalog import as_json, complete_names
from .console import say
from .inputs import check_files, files_of, model_of
from .names import PathType, keep_inputs
from .output import Output, records_of, report, said_of
from .verbs import model_options

if TYPE_CHECKING:
    from zoo.media.images import Images
    from zoo.tasks.compressed import Header

MOST = 1 << 30  # bytes of a compressed file


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...", type=PathType())
@click.option("-o", "--output", type=PathType(), required=True, help="A file, such as photos.zooc, or -.")
@click.option("--quality", type=float, help="From 0 to 100; 20 more halve the steps. [default: 50]")
@click.option("--bits", type=float, help="The most bits a pixel that the file may have, in place of --quality.")
@partial(model_options, leave_out=("conditions", "format", "bits", "engine", "precision", "runtime"))
def compress(
    name: str,
    photos: Sequence[Path],
    output: Path,
    quality: float | None,
    bits: float | None,
    loading: dict[str, Any],
    json_: bool,
) -> None:
    """Put photos, files or folders, into one small file: the codes of an autoencoder, rounded.

    \b
    zoo compress conv-ae photos/ -o photos.zooc
    zoo decompress photos.zooc -o again/
    """  # noqa: D301 - click takes the character itself
    from zoo.media.image_paths import READS

    if quality is not None and bits is not None:
        raise InputError("--quality and --bits both say how large the file becomes: give one of them.")
    if output.is_dir():
        raise InputError(f"{output} is a folder: name a file in it.")
    if output == STANDARD and sys.stdout.isatty():
        raise InputError("The standard output is a terminal, which shows no compressed photos: redirect it.")
    check_files(photos)
    left_out: list[tuple[Path, str]] = []
    named = files_of("image", photos, left_out)
    keep_inputs([output], [path for _, path in named])
    if output.suffix.lower() in READS:
        raise InputError(f"{output}: compressed photos are not written as {output.suffix}: use .zooc.")
    model = ready(verb="reconstruct", **loading)
    from zoo.tasks.compress import compress as pack
    from zoo.tasks.compressed import read

    reader, _ = model.processors()
    images = reader.read([path for _, path in named])
    images.names = [label for label, _ in named]
    content = pack(model, images, bits=bits, **({} if quality is None else {"quality": quality}))
    if output == STANDARD:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        try:
            with atomic_write(output) as aside:
                aside.write_bytes(content)
        except OSError as error:
            raise MediaError(f"{output} cannot be written: {error.strerror or error}.") from None
    header, _ = read(content)
    _warn_of_sizes(name, images, header)
    rate = 8 * len(content) / header.pixels
    others = records_of(left_out)
    if json_ and output != STANDARD:
        facts = {"images": len(images), "bytes": len(content), "bits_per_pixel": rate, "left_out": others}
        as_json({"output": str(output), **facts})
    else:
        noun = "images" if len(images) > 1 else "image"
        more = f", {said_of(others)}" if others else ""
        say(f"{output}: {len(images)} {noun}, {len(content):,} bytes, {rate:.3f} bits a pixel{more}")


def _warn_of_sizes(name: str, images: Images, header: Header) -> None:
    """Say that photos come back in another size than they had, if some do."""
    pairs = [(array.shape[1:], photo) for array, photo in zip(images.arrays, header.photos, strict=True)]
    if others := [(size, photo) for size, photo in pairs if size != photo.size]:
        (height, width), first = others[0]
        more = f" (the first of {len(others)} photos of other sizes)" if len(others) > 1 else ""
        cropped = any(size[0] * photo.size[1] != size[1] * photo.size[0] for size, photo in others)
        say(
            f"Warning: {first.name}{more} has {width} x {height} pixels and comes back with {first.size[1]} x "
            f"{first.size[0]}: {name} works at that size, to which photos are {'cropped at the sides and ' * cropped}"
            "resized."
        )


@click.command()
@click.argument("file", type=PathType())
@click.option("-o", "--output", type=click.Path(), required=True, help="An image, a folder, or -.")
@click.option("--model", "name", shell_complete=complete_names, help="That made FILE, if it has another name now.")
@partial(model_options, leave_out=("conditions", "engine", "precision", "runtime"))
def decompress(
    name: str | None,
    file: Path,
    output: str,
    loading: dict[str, Any],
    format: str | None,
    bits: int | None,
    json_: bool,
) -> None:
    """Get the photos out of a file of `zoo compress`: one image or grid, or a file each if OUTPUT is a folder."""
    from zoo.tasks.compressed import read

    out = Output.of(output, format, bits, "image")
    keep_inputs([out.path], [file])
    if file == STANDARD:
        content = sys.stdin.buffer.read(MOST)
    elif not file.exists():
        raise InputError(f"{file} does not exist.")
    else:
        try:
            content = read_small(file, MOST)
        except OSError as error:
            raise MediaError(f"{file} cannot be read: {error.strerror or error}.") from None
    try:
        header, _ = read(content)
        made_by = model_of(name, header.model)
        model = ready(verb="reconstruct", **{**loading, "name": made_by})
        from zoo.tasks.compress import decompress as unpack

        images = unpack(model, content)
    except ZooError as error:
        raise type(error)(f"{file}: {error}") from None
    if not out.folder:
        out.check_sheet(len(images), images.arrays[0].shape[1:])
    out.deliver(images)
    report(json_, out, len(images), model=made_by)
