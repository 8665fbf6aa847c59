"""Where results of a command go: a file, a folder or the standard output; and what is said of them."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import InputError, MediaError
from zoo.files import STANDARD

from .catalog import as_json
from .console import say

if TYPE_CHECKING:
    from zoo.media.base import Samples

FORMATS = (
    *("png", "jpeg", "webp", "tiff", "bmp", "gif", "apng", "mp4", "mov", "webm"),
    *("wav", "flac", "ogg", "smi", "sdf"),
)


@dataclass(frozen=True)
class Output:
    """Where samples go.

    Attributes:
        path: a file, a folder, or ``-`` for the standard output.
        folder: whether it is a folder.
        format: of the files; None to go by their names.
        bits: of each value in them; None for what is usual.
        samples: the class of what is written.
        films: whether animations and films go through the model frame by frame, so that its results may move.
    """

    path: Path
    folder: bool
    format: str | None
    bits: int | None
    samples: type[Samples]
    films: bool = False

    @classmethod
    def of(cls, text: str, format: str | None, bits: int | None, kind: str, films: bool = False) -> Output:
        """What a user typed, if it can work: that is said before any time is spent on it.

        Args:
            text: the path.
            format: of the files.
            bits: of each value in them.
            kind: of what the model gives.
            films: whether it takes films frame by frame.
        """
        from zoo.media.base import samples_class
        from zoo.media.image_encode import WRITES as IMAGES

        suffix = f".{format}" if format else Path(text).suffix.lower()
        films = films and kind == "image"
        samples = samples_class("video" if films and suffix in _movable() and suffix not in IMAGES else kind)
        if text == "-":
            if not sys.stdout.writable():
                raise MediaError("The standard output is closed: redirect it to a file.")
            if sys.stdout.isatty():
                raise InputError(f"The standard output is a terminal, which shows no {samples.noun}: redirect it.")
            samples.check_output(f"samples{samples.ending(format)}", format=format, bits=bits)
            return cls(STANDARD, False, format, bits, samples, films)
        folder = samples.check_output(text, format=format, bits=bits)
        if folder and Path(text).exists() and not Path(text).is_dir():
            raise InputError(f"{text} is a file and no folder: choose another output.")
        return cls(Path(text), folder, format, bits, samples, films)

    @property
    def standard(self) -> bool:
        """Whether samples go to the standard output."""
        return not self.folder and self.path == STANDARD

    @property
    def moves(self) -> bool:
        """Whether what is written can move: then animations go through a model for images frame by frame."""
        return self.films and (f".{self.format}" if self.format else self.path.suffix.lower()) in _movable()

    @property
    def ending(self) -> str:
        """What files in a folder end in."""
        return self.samples.ending(self.format)

    @property
    def film_ending(self) -> str:
        """What the results of films end in; empty for folders of images."""
        from zoo.media.video_encode import ending

        return ending(self.format)

    @property
    def saving(self) -> dict[str, Any]:
        """Keywords of ``save``."""
        return {key: value for key, value in (("format", self.format), ("bits", self.bits)) if value is not None}

    def files(self, names: Sequence[str]) -> list[Path]:
        """What samples of these names are written into, if that is a folder."""
        return [self.path / f"{name}{self.ending}" for name in names] if self.folder else []

    def check_sheet(self, n: int, size: tuple[int, ...]) -> None:
        """Refuse a grid of ``n`` images of this height and width if the format cannot hold it."""
        from zoo.media.image_encode import check_output
        from zoo.media.images import grid_size

        path = f"image{self.ending}" if self.standard else self.path
        check_output(path, size=grid_size(n, *size), **self.saving)

    def deliver(self, samples: Samples) -> None:
        """Write samples to the file, into the folder, or to the standard output."""
        if not self.standard:
            return samples.save(f"{self.path}/" if self.folder else self.path, **self.saving)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"samples{samples.ending(self.format)}"
            samples.save(file, **self.saving)
            content = file.read_bytes()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return None


def _movable() -> set[str]:
    from zoo.media.video_encode import WRITES

    return set(WRITES)


def said(facts: Mapping[str, Any]) -> str:
    """The numbers among some facts, as the end of a sentence."""
    return "".join(f", {name.replace('_', ' ')} {value}" for name, value in facts.items() if isinstance(value, int))


def report(json_: bool, output: Output, n: int, noun: str = "", **facts: Any) -> None:
    """Say what was written: as JSON on the standard output, or in words on the standard error.

    Args:
        json_: which of them.
        output: where to.
        n: how many.
        noun: what they are called, in the plural, if not as the output says.
        facts: what else there is to say.
    """
    noun = noun or output.samples.noun
    if json_ and not output.standard:
        as_json({"output": str(output.path), noun: n, **facts})
        return
    left_out = said_of(facts.get("left_out", ()))
    more = said(facts) + (f", {left_out}" if left_out else "")
    say(f"{output.path}: {n} {noun if n != 1 else noun.removesuffix('s')}{more}")


def records_of(left_out: Sequence[tuple[Path, str]]) -> list[dict[str, str]]:
    """Files of folders that are left out, and why, as JSON has them."""
    return [{"file": str(path), "reason": reason} for path, reason in left_out]


def said_of(left_out: Sequence[Mapping[str, str]]) -> str:
    """The records of files that are left out in words; empty for none."""
    if not left_out:
        return ""
    some = ", ".join(f"{Path(one['file']).name} ({one['reason']})" for one in left_out[:3])
    return f"left out {len(left_out)} file{'s' * (len(left_out) > 1)}: {some}{', ...' * (len(left_out) > 3)}"
