"""Images as the frames of an animation: GIF, APNG, WebP."""

from __future__ import annotations

import io
import os
from pathlib import Path

from zoo.errors import InputError, MediaError
from zoo.files import atomic_write
from zoo.media.image_decode import opaque
from zoo.media.image_encode import check_output, to_pil
from zoo.media.images import Images

ANIMATED = {".gif": "GIF", ".apng": "PNG", ".webp": "WEBP"}
FASTEST = 100.0  # frames in a second: GIF counts time in hundredths


def is_animated(path: str | os.PathLike[str]) -> bool:
    """Whether a file of this name holds an animation."""
    return Path(path).suffix.lower() in ANIMATED


def check_fps(fps: float) -> None:
    """Refuse a number of frames in a second that no format has.

    Raises:
        InputError: saying what it may be.
    """
    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not 0.1 <= fps <= FASTEST:
        raise InputError(f"fps must be a number from 0.1 to {FASTEST:g}, not {fps!r}.")


def to_animation(images: Images, ending: str, fps: float) -> bytes:
    """The bytes of an animation that begins again at its end.

    Args:
        images: the frames, in order, of one size. Transparency is laid on white.
        ending: of the file, one of :data:`ANIMATED`.
        fps: frames in a second.

    Raises:
        InputError: for no images, images of several sizes, or a number of frames in a second that no format has.
    """
    check_fps(fps)
    if len({array.shape[1:] for array in images.arrays}) != 1:
        raise InputError(f"The frames of an animation have one size: these {len(images)} images do not.")
    height, width = images.arrays[0].shape[1:]
    check_output(f"animation{ending.replace('apng', 'png')}", size=(width, height))
    first, *others = (to_pil(opaque(array)) for array in images.arrays)
    buffer = io.BytesIO()
    options = {"quality": 92} if ending == ".webp" else {}
    duration = round(1000 / fps)
    first.save(buffer, ANIMATED[ending], save_all=True, append_images=others, duration=duration, loop=0, **options)
    return buffer.getvalue()


def write_animation(images: Images, path: Path, fps: float) -> None:
    """Write an animation, aside first, then under its name; arguments as for :func:`to_animation`.

    Raises:
        InputError: likewise.
        MediaError: where the disk does not take it.
    """
    content = to_animation(images, path.suffix.lower(), fps)
    try:
        with atomic_write(path) as aside:
            aside.write_bytes(content)
    except OSError as error:
        raise MediaError(f"{path} cannot be written: {error.strerror or error}.") from None
