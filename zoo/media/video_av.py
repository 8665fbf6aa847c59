"""MP4, MOV, WebM, MKV and AVI through PyAV, which brings FFmpeg: ``pip install 'generative-zoo[video]'``."""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from zoo.errors import InputError, MediaError, ZooError
from zoo.media.image_encode import to_bytes
from zoo.media.video_decode import FPS, Clip, Frame, Source, container_of, open_source

# Codecs that write each container, the first that this FFmpeg has; all of them play everywhere.
_CODECS = {
    "mp4": (("libx264", {"crf": "18"}), ("mpeg4", {"qscale": "3"})),
    "mov": (("libx264", {"crf": "18"}), ("mpeg4", {"qscale": "3"})),
    "webm": (("libvpx-vp9", {"crf": "24", "b": "0", "row-mt": "1"}), ("libvpx", {"crf": "8", "b": "8M"})),
}
# A second in the units of time that are written: 23.976, 24, 25, 29.97, 30, 50, 60, 100 and 1,000 all divide it.
_SECOND = 120_000
_LONGEST = 3600.0  # a frame: what is shown longer has lost its times
_BT709 = 1  # FFmpeg's number for the colours of HD, by which players show everything that is written here


def load_av() -> Any:
    """PyAV.

    Raises:
        ZooError: if it is not installed.
    """
    try:
        import av
    except ImportError:
        raise ZooError("MP4, MOV, WebM, MKV and AVI need PyAV: pip install 'generative-zoo[video]'.") from None
    return av


class AvClip(Clip):
    """A clip that FFmpeg decodes; its rotation, as phones write it, is applied.

    Args:
        source: the file.
        what: what messages call it.
        container: as :func:`~zoo.media.video_decode.container_of` tells it.
    """

    def __init__(self, source: Source, what: str, container: str) -> None:
        self.source, self.what, self.container = source, what, container
        with self._opened() as (_, stream):
            rate = stream.average_rate or stream.guessed_rate
            self.fps = float(rate) if rate else FPS
            self.total = int(stream.frames) or None
            if stream.container.streams.audio:
                self.sound = source
        first = next(self.frames(), None)
        if first is None:
            raise MediaError(f"{what}: has no frames: get the file again.")
        self.size = (first.array.shape[1], first.array.shape[2])

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        """The container and its stream of video."""
        av = load_av()
        with open_source(self.source) as file:
            if _cut_off(file, self.container):
                raise _damaged(self.what, "it ends before it should")
            file.seek(0)
            try:
                with av.open(file, format=self.container) as container:
                    if not container.streams.video:
                        raise MediaError(f"{self.what}: holds no video: zoo.Audio.of reads sound.")
                    stream = container.streams.video[0]
                    stream.thread_type = "AUTO"
                    yield container, stream
            except av.error.FFmpegError as error:
                raise _damaged(self.what, str(error)) from None

    def frames(self) -> Iterator[Frame]:
        with self._opened() as (container, stream):
            shown, before, last = None, 0.0, 1 / self.fps
            for frame in container.decode(stream):
                time = float(frame.pts * frame.time_base) if frame.pts is not None else before + last
                if shown is not None:
                    seconds = time - before
                    last = seconds if 0 < seconds < _LONGEST else 1 / self.fps
                    yield Frame(self._array(shown), last)
                if frame.duration and frame.time_base:
                    last = float(frame.duration * frame.time_base)
                shown, before = frame, time
            if shown is not None:
                yield Frame(self._array(shown), last)

    def _array(self, frame: Any) -> Any:
        values = upright(frame.to_ndarray(format="rgb24"), _matrix(frame))
        return np.ascontiguousarray(values.transpose(2, 0, 1)) / np.float32(255)

    def count(self) -> int | None:
        return self.total


def _damaged(what: str, reason: str) -> MediaError:
    reason = re.sub(r"^\[Errno \d+\] ", "", " ".join(reason.split())).partition(":")[0].rstrip(".")
    return MediaError(f"{what}: damaged or cut off ({reason}): get the file again.")


def _matrix(frame: Any) -> tuple[int, int, int, int]:
    """How a frame is to be turned: x' = a x + c y and y' = b x + d y, as the container's display matrix says."""
    matrix = next((part for part in frame.side_data if "DISPLAYMATRIX" in str(part.type)), None)
    if matrix is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    return a, b, c, d


def upright(values: npt.NDArray[Any], matrix: tuple[int, int, int, int]) -> npt.NDArray[Any]:
    """A frame ``(H, W, ...)`` turned by quarters and mirrored as a display matrix (a, b, c, d) says."""
    a, b, c, d = matrix
    if abs(b) > abs(a):
        values, a, d = values.swapaxes(0, 1), c, b
    if d < 0:
        values = values[::-1]
    return values[:, ::-1] if a < 0 else values


def _cut_off(file: BinaryIO, container: str) -> bool:
    """Whether a file ends before the parts that it is made of do: FFmpeg plays what is there."""
    size = file.seek(0, io.SEEK_END)
    at = 0
    if container == "matroska":
        file.seek(0)
        return _segment_end(file.read(4096)) > size
    while at + 8 <= size:  # boxes of MP4 and MOV, chunks of AVI
        file.seek(at)
        head = file.read(16)
        if container == "avi":
            at += 8 + struct.unpack("<I", head[4:8])[0]
        else:
            length = struct.unpack(">I", head[:4])[0]
            length = struct.unpack(">Q", head[8:16])[0] if length == 1 and len(head) == 16 else length or size - at
            at += max(length, 8)
    return at > size


def _segment_end(head: bytes) -> int:
    """Where the segment of a WebM or MKV ends; 0 where the file does not say, as in what was streamed."""
    at = head.find(b"\x18\x53\x80\x67")
    if at < 0 or len(head) <= at + 4 or not head[at + 4]:
        return 0
    length = 9 - head[at + 4].bit_length()
    value = int.from_bytes(head[at + 4 : at + 4 + length], "big") & ((1 << 7 * length) - 1)
    return 0 if value == (1 << 7 * length) - 1 else at + 4 + length + value


def write_av(frames: Iterator[Frame], path: Path, container: str, sound: Source | None, name: Path) -> None:
    """Write frames as they come, with the sound of the file they are made from, if the container takes it as it is.

    H.264 and VP8 to VP9 hold colours of two by two pixels as one (4:2:0), which is what all players take. VP9 takes odd
    sizes; for H.264 the last row or column of an odd size is written twice.

    Args:
        frames: of one size.
        path: of the file to write to.
        container: mp4, mov or webm.
        sound: the file to copy it from.
        name: what messages call the file.
    """
    av = load_av()
    codec, options = next(((c, o) for c, o in _CODECS[container] if c in av.codecs_available), ("", {}))
    if not codec:
        raise ZooError(f"{name}: this FFmpeg has no encoder for it: pip install --upgrade av.")
    first = next(frames)
    odd = container != "webm"
    height, width = (length + (length % 2 if odd else 0) for length in first.array.shape[1:])
    try:
        with ExitStack() as stack:
            output = stack.enter_context(av.open(str(path), "w", format=container))
            rate = Fraction(1 / first.seconds).limit_denominator(1001)
            stream = output.add_stream(codec, rate=rate, options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.time_base = Fraction(1, _SECOND)
            stream.codec_context.flags |= av.codec.context.Flags.frame_duration  # each frame has its own
            stream.codec_context.colorspace, stream.codec_context.color_range = _BT709, 1
            stream.codec_context.color_primaries, stream.codec_context.color_trc = _BT709, _BT709
            packets = _sound_packets(stack, sound, output, name)
            waiting = next(packets, None)
            time = 0.0
            for array, seconds in _chained(first, frames):
                while waiting is not None and _time(waiting) <= time:
                    output.mux(waiting)
                    waiting = next(packets, None)
                output.mux(stream.encode(_frame(av, array, height, width, time, seconds)))
                time += seconds
            output.mux(stream.encode())
            while waiting is not None and _time(waiting) <= time:
                output.mux(waiting)
                waiting = next(packets, None)
    except av.error.FFmpegError as error:
        if isinstance(error, OSError) and error.errno in (28, 13, 5, 27):
            raise  # of the disk
        said = re.sub(r"^\[Errno \d+\] ", "", str(error))
        raise InputError(
            f"{name}: {width} x {height} pixels cannot be written as {container} ({said}): use .gif or .webp."
        ) from None


def _chained(first: Frame, frames: Iterator[Frame]) -> Iterator[Frame]:
    yield first
    yield from frames


def _frame(av: Any, array: Any, height: int, width: int, time: float, seconds: float) -> Any:
    values = to_bytes(array)
    if values.shape[2] == 1:
        values = np.repeat(values, 3, 2)
    values = np.pad(values, ((0, height - values.shape[0]), (0, width - values.shape[1]), (0, 0)), "edge")
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(values), format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
    frame.pts, frame.time_base = round(time * _SECOND), Fraction(1, _SECOND)
    frame.duration = round((time + seconds) * _SECOND) - frame.pts
    return frame


def _time(packet: Any) -> float:
    return float((packet.pts if packet.pts is not None else packet.dts or 0) * packet.time_base)


def _sound_packets(stack: ExitStack, source: Source | None, output: Any, name: Path) -> Iterator[Any]:
    """The packets of the sound to copy, for a stream that is added to the output here; none with a word of why."""
    if source is None:
        return iter(())
    av = load_av()
    file = stack.enter_context(open_source(source))
    head = file.read(64)
    file.seek(0)
    container = stack.enter_context(av.open(file, format=container_of(head)))
    stream = next(iter(container.streams.audio), None)
    if stream is None:
        return iter(())
    if stream.codec_context.name not in output.supported_codecs:
        warnings.warn(
            f"{name} has no sound: {name.suffix} does not hold that of the input ({stream.codec_context.name}), which "
            "is copied and never encoded again: write .mp4, or .mov.",
            UserWarning,
            stacklevel=2,
        )
        return iter(())
    copy = output.add_stream_from_template(stream)
    video = container.streams.video[0]
    begin = float((video.start_time or 0) * video.time_base)
    return _copied(container, stream, copy, begin)


def _copied(container: Any, stream: Any, copy: Any, begin: float) -> Iterator[Any]:
    shift = round(begin / stream.time_base)
    for packet in container.demux(stream):
        if packet.dts is None:  # the one that ends the stream
            continue
        packet.pts = packet.pts - shift if packet.pts is not None else None
        packet.dts -= shift
        if packet.dts >= 0 or not shift:  # what begins before the first frame, as AAC does by nature, is kept
            packet.stream = copy
            yield packet
