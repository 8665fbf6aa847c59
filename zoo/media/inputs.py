"""Which files are inputs of a kind: the paths among a command's arguments, folders opened."""

from __future__ import annotations

import os
from pathlib import Path

from zoo.media import image_paths
from zoo.media.image_paths import LeftOut
from zoo.media.sources import named_files


def named_inputs(kind: str, path: Path, left_out: LeftOut | None = None) -> list[tuple[str, Path]]:
    """Name and path of a file, or of each of a kind in a folder: relative to the folder, without the ending.

    A folder of images is one video, if no clips are in it.

    Args:
        kind: of the samples.
        path: a file or a folder.
        left_out: takes the path of other files in a folder, and why they are left out.

    Raises:
        InputError: for a folder that holds none.
    """
    if kind == "audio":
        from zoo.media.audio_decode import SOUNDS

        return named_files(path, SOUNDS, left_out)
    if kind == "molecules":
        from zoo.media.molecules import MOLECULES

        return named_files(path, MOLECULES, left_out)
    if kind == "video":
        from zoo.media.video_decode import clip_name, clips_below

        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
            return clips_below(path) or [(path.resolve().name, path)]
        return [(clip_name(path), path)]
    return image_paths.named_files(path, left_out)


def films_below(folder: Path) -> list[tuple[str, Path]]:
    """Name and path of each file of video in a folder that is no animation: MP4 and the like."""
    from zoo.media.video_decode import clips_below, is_film

    return [(name, path) for name, path in clips_below(folder) if is_film(path)]
