"""From audio files to float32 ``(channels, time)`` in [-1, 1] and a rate; see :meth:`zoo.Audio.of`."""

from __future__ import annotations

import io
import re
import struct
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from zoo.arrays import Array
from zoo.errors import InputError, MediaError
from zoo.media.sources import FileKind
from zoo.memory import free_memory

RATES = (1_000, 768_000)  # samples per second, from telephones of the past to the fastest converters
CHANNELS = 32  # at most: more is an array that lies the other way round
# How far floats of a file may go beyond 1: loud music leaves decoders of MP3 a little above, and what has never been
# scaled lies in the thousands.
HEADROOM = 4.0
_BLOCK = 1 << 20  # values that are decoded at a time
_STREAMED = 0x7F000000  # from here on, writers that could not go back have not said how long a chunk is
_MAGIC = re.compile(
    rb"(RIFF|RIFX|RF64)....WAVE|fLaC|OggS\0|ID3[\2-\4]|FORM....AIF[FC]|\xff[\xe2-\xe7\xf2-\xf7\xfa\xfb][\x10-\xee]",
    re.DOTALL,
)
SOUNDS = FileKind(
    "sounds",
    "a sound",
    (".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff"),
    lambda head: bool(_MAGIC.match(head)),
    "WAV, FLAC, OGG, MP3 or AIFF",
)


class _Rewindable:
    """A file as libsndfile reads it: seeking before its beginning stays there.

    Looking for tags, libsndfile does that in short files, and an error in a callback would be printed.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.readinto, self.tell, self.file = file.readinto, file.tell, file  # type: ignore[attr-defined]

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self.file.seek(offset, whence)
        except (ValueError, OSError):
            return self.file.tell()

    def read(self, size: int = -1) -> bytes:
        return self.file.read(size)


def read_sound(file: BinaryIO, what: str) -> tuple[int, Array]:
    """The rate and the samples ``(channels, time)`` of an open file that stands at its beginning.

    Raises:
        MediaError: if it is damaged, or needs more memory than is free; errors call it ``what``.
    """
    import soundfile

    if reason := _cut_off(file):
        raise _damaged(what, reason)
    file.seek(0)
    try:
        with soundfile.SoundFile(_Rewindable(file)) as sound:
            rate, channels, frames, kind = sound.samplerate, sound.channels, sound.frames, sound.format
            if not RATES[0] <= rate <= RATES[1]:
                raise _damaged(what, f"a rate of {rate:,} Hz")
            if channels > CHANNELS:
                raise MediaError(
                    f"{what}: {channels} channels are more than the {CHANNELS} that are read: mix it down."
                )
            check_memory(what, channels * frames * 2)  # the blocks, and the whole
            blocks = list(_blocks(sound))
    except MemoryError:
        raise MediaError(f"{what}: needs more memory than is free: cut it into shorter ones.") from None
    except soundfile.LibsndfileError as error:
        raise _damaged(what, error.error_string) from None
    array: Array = np.concatenate(blocks, 1) if blocks else np.empty((channels, 0), np.float32)
    if not array.shape[1]:
        raise MediaError(f"{what}: has no samples: get the file again.")
    if kind == "FLAC" and array.shape[1] < frames:
        raise _damaged(what, f"{array.shape[1]:,} of {frames:,} samples")
    if not np.isfinite(array).all():
        raise MediaError(f"{what}: has NaN or infinite values: repair it first, with numpy.nan_to_num for instance.")
    peak = float(np.abs(array).max())
    if peak > HEADROOM:
        raise MediaError(f"{what}: its floats reach {peak:,.4g}, and sound is in [-1, 1]: divide it by its range.")
    return rate, np.clip(array, -1, 1, out=array)


def _blocks(sound: Any) -> Any:
    """The samples of an open sound, ``(channels, time)`` each, in order."""
    size = max(_BLOCK // sound.channels, 1)
    while len(block := sound.read(size, dtype="float32", always_2d=True)):
        yield np.ascontiguousarray(block.T)


def _damaged(what: str, reason: str) -> MediaError:
    reason = " ".join(reason.split()).removeprefix("Error : ").rstrip(".")
    if "does not exist" in reason:  # what libsndfile says where MP3 has no frame
        reason = "nothing in it decodes"
    return MediaError(f"{what}: damaged or cut off ({reason}): get the file again.")


def check_memory(what: str, values: int) -> None:
    """Refuse sound of that many floats, if memory does not hold them.

    Raises:
        MediaError: with what is needed and what there is.
    """
    need = 4 * values
    if need > 10_000_000 and need > (free := free_memory()):
        raise MediaError(
            f"{what}: needs more memory than is free ({need / 1e9:,.1f} GB of {free / 1e9:,.1f} GB): "
            "cut it into shorter ones."
        )


def _cut_off(file: BinaryIO) -> str:
    """Why a file is not whole, as far as it says how long it should be; libsndfile takes what is there.

    FLAC is missing: what is left of it does not decode.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(4096)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM"):
        return _chunks_beyond(file, size, head)
    if head[:4] == b"OggS":
        return _last_page_beyond(file, size)
    if match := re.search(rb"(Xing|Info)\0\0\0[\0-\xff]", head):
        flags, at = head[match.end() - 1], match.end() + 4 * (head[match.end() - 1] & 1)
        if flags & 2 and len(head) >= at + 4:
            (stated,) = struct.unpack_from(">I", head, at)  # from the frame that says so to the end
            if stated > size:
                return f"{size:,} of {stated:,} bytes"
    return ""


def _chunks_beyond(file: BinaryIO, size: int, head: bytes) -> str:
    """Whether the chunk with the samples of a WAV or AIFF goes beyond the end of the file."""
    order, at = "<" if head[:4] in (b"RIFF", b"RF64") else ">", 12
    while at + 8 <= size:
        file.seek(at)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        if name in (b"data", b"SSND"):
            there = size - at - 8
            if head[12:16] == b"ds64" and len(head) >= 36:  # in RF64, whose lengths take 64 bits
                (length,) = struct.unpack_from("<Q", head, 28)
                return f"{there:,} of {length:,} bytes of samples" if there < length else ""
            return f"{there:,} of {length:,} bytes of samples" if there < length < _STREAMED else ""
        at += 8 + length + length % 2
    return "no samples"


def _last_page_beyond(file: BinaryIO, size: int) -> str:
    """Whether the last page of an OGG goes beyond the end of the file."""
    file.seek(max(size - 66_000, 0))  # more than the largest page
    tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return "no end"
    lengths = tail[at + 27 : at + 27 + tail[at + 26]]
    whole = len(lengths) == tail[at + 26] and at + 27 + len(lengths) + sum(lengths) <= len(tail)
    return "" if whole else "the last page is not whole"


def from_array(values: npt.NDArray[Any], what: str) -> list[Array]:
    """``(T,)``, ``(C, T)`` or ``(N, C, T)`` of uint8, int16, int32 or float in [-1, 1] to arrays ``(C, T)``.

    Raises:
        InputError: for what is no sound; errors call the array ``what``.
    """
    shape = values.shape
    if values.ndim == 1:
        values = values[None, None]
    elif values.ndim == 2:
        values = values[None]
    if values.ndim != 3 or not 1 <= values.shape[1] <= CHANNELS:
        turned = values.ndim == 3 and values.shape[2] <= CHANNELS
        cure = "channels come before time: transpose it" if turned else f"there are at most {CHANNELS} channels"
        raise InputError(
            f"{what} of sound must be (time,), (channels, time) or (N, channels, time), not {shape}; {cure}."
        )
    if not values.shape[2]:
        raise InputError(f"{what} of shape {shape} has no samples: give sound that lasts.")
    if values.dtype == np.uint8:
        scaled = (values.astype(np.float32) - 128) / 128
    elif values.dtype in (np.int16, np.int32):
        scaled = (values / -float(np.iinfo(values.dtype).min)).astype(np.float32)
    elif np.issubdtype(values.dtype, np.floating):
        _check_range(values, what)
        scaled = np.clip(values.astype(np.float32), -1, 1)
    else:
        raise InputError(f"{what} of {values.dtype} has no range to go by: give int16, int32, or float in [-1, 1].")
    return list(np.ascontiguousarray(scaled))


def _check_range(values: npt.NDArray[Any], what: str) -> None:
    if not np.isfinite(values).all():
        raise InputError(f"{what} has NaN or infinite values: repair it first, with numpy.nan_to_num for instance.")
    peak = float(np.abs(values).max())
    if peak > 1 + 1e-3:  # rounding may leave the range by a little
        raise InputError(
            f"{what} must have its floats in [-1, 1], and they reach {peak:.4g}: divide it by its range, or give int16."
        )


def check_rate(rate: Any, what: str) -> int:
    """A rate as an integer.

    Raises:
        InputError: for what is none.
    """
    if rate is None:
        raise InputError(
            f"{what} has no rate: say how many samples a second has, as in zoo.Audio.of(array, rate=16000)."
        )
    whole = hasattr(rate, "__index__") or (isinstance(rate, float) and rate.is_integer())
    if isinstance(rate, bool) or not whole or not RATES[0] <= int(rate) <= RATES[1]:
        raise InputError(f"A rate is a whole number of Hz from {RATES[0]:,} to {RATES[1]:,}, not {rate!r}.")
    return int(rate)
