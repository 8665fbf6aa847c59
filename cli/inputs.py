"""Which files a command was given, and how far it has come with them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import InputError
from zoo.files import STANDARD

from .names import RECORD, results_in
from .output import Output


def sources_of(
    inputs: Sequence[Path], out: Output, kind: str, left_out: list[tuple[Path, str]]
) -> Iterator[tuple[str, Path]]:
    """Name for the result and path of every input, folders opened; what they hold else goes to ``left_out``."""
    from zoo.media.inputs import named_inputs

    outputs = results_in(out.path) if out.folder else set()
    for path in inputs:
        if path == STANDARD:
            yield "stdin", path
        elif path.is_dir():
            files = [(name, file) for name, file in _inside(path, out, kind, left_out) if _real(file) not in outputs]
            left_out[:] = [one for one in left_out if one[0].name != RECORD]  # which is ours, and nobody's image
            if not files:
                raise InputError(f"{path} holds no {kind}s but results: give another folder.")
            yield from files
        elif path.exists():
            yield from named_inputs("video" if kind == "image" and is_film(path, out) else kind, path)
        else:
            raise InputError(f"{path} does not exist.")


def _inside(folder: Path, out: Output, kind: str, left_out: list[tuple[Path, str]]) -> list[tuple[str, Path]]:
    """Name and path of each input in a folder; of a model for images, the films among them, too."""
    from zoo.media.inputs import films_below, named_inputs

    if kind != "image":
        return named_inputs(kind, folder, left_out)
    if out.samples.kind == "video":  # the images of a folder are the frames of one
        return named_inputs("video", folder)
    films = films_below(folder)
    try:
        images = named_inputs(kind, folder, left_out)
    except InputError:
        if not films:
            raise
        images = []
    left_out[:] = [one for one in left_out if one[0] not in {path for _, path in films}]
    there = {path for _, path in images}
    return images + [(name, path) for name, path in films if path not in there]


def files_of(kind: str, paths: Sequence[Path], left_out: list[tuple[Path, str]]) -> list[tuple[str, Path]]:
    """Name and path of each file of a kind, folders opened; what they hold else goes to ``left_out``."""
    from zoo.media.inputs import named_inputs

    named = [one for path in paths for one in named_inputs(kind, path, left_out)]
    left_out[:] = [one for one in dict.fromkeys(left_out) if one[0].name != RECORD]
    return named


def is_film(path: Path, out: Output) -> bool:
    """Whether an input goes through a model for images frame by frame."""
    from zoo.media import video_decode

    if out.samples.kind == "video":  # the result can do nothing but move
        return True
    return path != STANDARD and (video_decode.moves(path) if out.moves else video_decode.is_film(path))


def _real(path: Path) -> Path:
    return path.parent.resolve() / path.name


def check_files(paths: Sequence[Path]) -> None:
    """Refuse the standard input, and paths that do not exist."""
    for path in paths:
        if path == STANDARD or not path.exists():
            raise InputError(f"{path} {'is no file' if path == STANDARD else 'does not exist'}: name files or folders.")


def model_of(name: str | None, made_by: str) -> str:
    """The model of a file that names the one that made it, or of ``--model``, ``name``.

    Raises:
        InputError: without ``--model`` for what no registry has: a file must not choose what is loaded from where.
    """
    if not name and (":" in made_by or not made_by):
        model_is = f"--model {made_by}" if made_by else "--model with the folder of its model"
        raise InputError(f"its model has no name in the registry: give {model_is}, if you trust it.")
    return name or made_by


@contextmanager
def progress_bar(n: int, label: str) -> Iterator[Callable[[int], object]]:
    """A bar where there are several images and someone is looking."""
    if n < 2 or not sys.stderr.isatty():
        yield lambda n: None
        return
    from tqdm import tqdm

    with tqdm(total=n, desc=label, unit="image", leave=False) as bar:
        yield bar.update
