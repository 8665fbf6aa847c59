"""Sound into files: WAV, FLAC and OGG; and as an image."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoo.arrays import Array
from zoo.errors import InputError, MediaError
from zoo.files import atomic_write
from zoo.media.sources import check_target

WRITES = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG"}
_MOST = {"WAV": (1024, 1 << 32), "FLAC": (8, 655_350), "OGG": (255, 200_000)}  # channels, and Hz below that
_BLOCK = 1 << 16  # libsndfile lays what Vorbis gets at once on the stack
_FLOOR = 80  # dB below the loudest that are still drawn
# Black by violet and orange to near white, as spectrograms are usually drawn.
_COLOURS = np.array([[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]], np.float32)


def ending(format: str | None = None) -> str:
    """With the dot, what files of a format end in: wav by default.

    Raises:
        InputError: for what is no format of sound.
    """
    suffix = f".{str(format or 'wav').lower().lstrip('.')}"
    if suffix not in WRITES:
        raise InputError(f"{format!r} is no format that sound is written in: use wav, flac or ogg.")
    return suffix


def check_output(path: Any, *, format: str | None = None, bits: int = 16) -> bool:
    """Refuse an output that cannot work before any time is spent on it, and say whether it is a folder.

    Raises:
        InputError: for a name, format or number of bits that cannot be written.
        MediaError: for a place where nothing may be written.
    """
    folder = check_target(path, tuple(WRITES), "sounds")
    suffix = ending(format) if format or folder else Path(path).suffix.lower()
    if not folder and Path(path).suffix.lower() != suffix:
        raise InputError(f"{path}, and the format is {format}: give {Path(path).stem}{suffix}.")
    if bits not in (16, 24) or isinstance(bits, bool):
        raise InputError(f"bits of sound must be 16 or 24, not {bits!r}.")
    if bits == 24 and suffix == ".ogg":
        raise InputError(
            f"{path}: 24 bits are written as WAV or FLAC, not as OGG: use .wav or .flac, or leave bits out."
        )
    return folder


def write(array: Array, rate: int, path: Path, bits: int = 16) -> None:
    """Write one sound, aside first, then under its name.

    Args:
        array: ``(channels, time)`` in [-1, 1].
        rate: samples per second.
        path: ends in .wav, .flac or .ogg.
        bits: of each value, 16 or 24; OGG has none.

    Raises:
        InputError: for NaN, and for channels, a rate or a length that the format cannot say.
        MediaError: where the disk does not take it.
    """
    kind = WRITES[path.suffix.lower()]
    channels, fastest = _MOST[kind]
    if len(array) > channels or rate >= fastest:
        raise InputError(f"{path}: {kind} takes no {len(array)} channels of {rate:,} Hz: use .wav.")
    if kind == "WAV" and array.size * bits // 8 >= 1 << 32:
        raise InputError(f"{path}: WAV holds less than 4 GB: use .flac.")
    try:
        with atomic_write(path) as aside, aside.open("wb") as file:
            encode(array, rate, file, kind, bits)
    except OSError as error:
        raise MediaError(f"{path} cannot be written: {error.strerror or error}.") from None


def encode(array: Array, rate: int, file: Any, kind: str = "WAV", bits: int = 16) -> None:
    """Write a sound into an open file."""
    import soundfile

    if not np.isfinite(array).all():
        raise InputError("A sound has NaN or infinite values: repair it first, with numpy.nan_to_num for instance.")
    subtype = "VORBIS" if kind == "OGG" else f"PCM_{bits}"
    try:
        with soundfile.SoundFile(file, "w", rate, len(array), subtype, format=kind) as sound:
            for start in range(0, array.shape[1], _BLOCK):
                block = np.clip(array[:, start : start + _BLOCK].T, -1, 1)
                sound.write(block if kind == "OGG" else _integers(block, bits))
    except soundfile.LibsndfileError as error:
        said = error.error_string.rstrip(".")
        raise MediaError(f"The sound cannot be written as {kind} ({said}): use .wav.") from None


def _integers(block: Array, bits: int) -> Any:
    """Rounded to the nearest of 16 or 24 bits: what was read from a file is written as it was."""
    step = float(1 << (bits - 1))
    whole = np.clip(np.rint(block.astype(np.float64) * step), -step, step - 1)
    return whole.astype(np.int16) if bits == 16 else whole.astype(np.int32) << 8


def wav_bytes(array: Array, rate: int) -> bytes:
    """A sound as the bytes of a WAV file with 16 bits."""
    buffer = io.BytesIO()
    encode(array, rate, buffer)
    return buffer.getvalue()


def spectrogram(array: Array, width: int = 640, height: int = 160) -> Image.Image:
    """A sound ``(channels, time)`` as an image: time to the right, frequency up to half the rate, loudness as colour.

    Each column is one window of 1,024 samples, however long the sound is; the loudest value is the lightest, and 80 dB
    below it is black.
    """
    mono = np.pad(array.mean(0), 512)
    starts = np.linspace(0, len(mono) - 1024, width).astype(np.int64)
    windows = mono[starts[:, None] + np.arange(1024)] * np.hanning(1024).astype(np.float32)
    power = 20 * np.log10(np.abs(np.fft.rfft(windows, axis=1)) + 1e-9).T[:0:-1]
    shown = np.clip((power - max(float(power.max()), -100)) / _FLOOR + 1, 0, 1)
    position = shown * (len(_COLOURS) - 1)
    low = np.minimum(position.astype(np.int64), len(_COLOURS) - 2)
    part = (position - low)[..., None]
    colours = _COLOURS[low] * (1 - part) + _COLOURS[low + 1] * part
    return Image.fromarray((colours + 0.5).astype(np.uint8)).resize((width, height), Image.Resampling.BOX)
