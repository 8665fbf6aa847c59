"""Between clips and networks: those for video, and those for images, through which a clip goes frame by frame."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.arrays import Array
from zoo.media.base import Prepared, Processor
from zoo.media.image_fit import fit
from zoo.media.image_names import file_names
from zoo.media.image_processor import ImageProcessor
from zoo.media.images import Images
from zoo.media.video import Video, checked
from zoo.media.video_decode import FPS, ArrayClip, Clip, Frame
from zoo.media.video_encode import check_output, ending, on_white, write_frames
from zoo.registry.facts import Format

_LEAST = 16  # pixels on a side of made-up clips


class FrameProcessor(Processor[Video]):
    """Clips through a network for images: each frame as an image, written when it has come through.

    Frames are read from the file when a batch has room for them, so that memory does not grow with the length of the
    clip. What the network does not see, transparency and the times of the frames, is read again beside its answers.
    """

    kind = "video"
    axes = ImageProcessor.axes
    part = ImageProcessor.part
    whole = ImageProcessor.whole
    unit = ImageProcessor.unit
    layout = ImageProcessor.layout

    def __init__(self, input: Format, output: Format) -> None:
        super().__init__(input, output)
        self.images = ImageProcessor(input, output)

    def read(self, source: Any, **limits: Any) -> Video:
        """As :meth:`zoo.Video.of`."""
        return Video.of(source)

    def prepare(self, sample: Video) -> Prepared[Video]:
        """The frames of a clip, one after the other, each as an image is prepared."""
        return Prepared(sample, self._arrays(sample), self.lengths(sample))

    def _arrays(self, sample: Video) -> Iterator[Array]:
        for image in _images(sample):
            yield from self.images.prepare(image).arrays

    def seen(self, samples: Video) -> Video:
        """Clips with the channels and, if that is fixed, the size that the network takes, computed as they are read."""
        return Video([_Seen(clip, self.images) for clip in samples.clips], samples.names)

    def align(
        self, samples: Any, prepared: Prepared[Video], *, channels: int | None = None, nearest: bool = False
    ) -> Sequence[Array]:
        """An image of the size of the frames, such as a mask, which goes with each of them."""
        first = next(_images(prepared.sample))
        return self.images.align(samples, self.images.prepare(first), channels=channels, nearest=nearest)

    def align_points(self, points: Array, prepared: Prepared[Video]) -> Array:
        """Points in the pixels of the frames, in the pixels of what the network takes."""
        return self.images.align_points(points, self.images.prepare(next(_images(prepared.sample))))

    def restore(self, outputs: Sequence[Any], prepared: Prepared[Any] | None = None) -> Video:
        """A clip in memory of the answers for all frames."""
        assert prepared is not None
        sample = prepared.sample
        frames = list(checked(self._frames(iter(outputs), sample, prepared.lengths), sample.clip.what))
        clip = ArrayClip([frame.array for frame in frames], sample.fps, sample.clip.what, [f.seconds for f in frames])
        clip.loop, clip.sound = sample.clip.loop, sample.clip.sound
        return Video([clip], sample.names)

    def _frames(self, outputs: Iterator[Array], sample: Video, lengths: tuple[int, ...]) -> Iterator[Frame]:
        """The answer for each frame, with its transparency and its time."""
        height = lengths[0] * self.output.scale
        for image, frame in zip(_images(sample), sample.frames(), strict=True):
            output = next(outputs)
            while output.shape[1] < height:  # of a clip with one frame, the result may come in bands
                output = np.concatenate([output, next(outputs)], 1)
            yield Frame(self.images.restore([output], Prepared(image, [], lengths)).arrays[0], frame.seconds)

    def write(
        self, outputs: Iterator[Array], prepared: Prepared[Any], path: str | os.PathLike[str], **options: Any
    ) -> None:
        """Write frames as they come: the sound of the clip goes with them where the format holds it."""
        sample, target, format_ = prepared.sample, Path(path), options.get("format")
        if check_output(path, format=format_):
            suffix = ending(format_)
            (name,) = file_names(sample.names, suffix)
            target, format_ = target / name, suffix[1:] or "png"
        frames = self._frames(outputs, sample, prepared.lengths)
        write_frames(frames, target, loop=sample.clip.loop, sound=sample.clip.sound, format=format_)

    def streams(self, sample: Video, path: str | os.PathLike[str], **options: Any) -> bool:
        """All formats of video are written as frames come."""
        return True

    def check_target(self, sample: Video, path: str | os.PathLike[str], **options: Any) -> None:
        """Refuse a file that cannot be written as video."""
        Video.check_output(path, **options)

    def lengths(self, sample: Video) -> tuple[int, ...]:
        """Height and width of a frame as the network sees it, without padding."""
        return self.input.size or sample.size

    def values(self, samples: Video) -> list[Array]:
        """The frames of each clip."""
        return [one.numpy() for one in samples]

    def example_samples(self, n: int) -> Video:
        """Clips of one frame each."""
        return Video([ArrayClip([array]) for array in self.images.example_samples(n).arrays])


class _Seen(Clip):
    """A clip as a network for images sees it."""

    def __init__(self, clip: Clip, images: ImageProcessor) -> None:
        self.clip, self.images = clip, images
        self.what, self.fps, self.loop, self.sound = clip.what, clip.fps, clip.loop, clip.sound
        self.size = images.input.size or clip.size

    def frames(self) -> Iterator[Frame]:
        for array, seconds in self.clip.frames():
            yield Frame(self.images.seen(Images([array])).arrays[0], seconds)

    def count(self) -> int | None:
        return self.clip.count()


def _images(sample: Video) -> Iterator[Images]:
    """The frames of a clip as images that errors name."""
    for number, frame in enumerate(sample.frames()):
        yield Images([frame.array], [f"frame {number} of {sample.names[0]}"])


class VideoProcessor(Processor[Video]):
    """Clips for a network that takes ``(N, T, C, H, W)`` in [-1, 1].

    Frames are fitted as images are. Where the network has an ``fps`` of its own, the frames are those shown at its
    moments, and the result has it, too. A network for a fixed number of ``frames`` gets one stretch after the other,
    the last of which ends with the clip; a clip that is shorter is filled with its last frame.
    """

    kind = "video"
    axes = (0, 2, 3)
    part = 160
    whole = 16 * 512 * 512
    unit = "pixels"
    layout = "(N, T, C, H, W)"

    def read(self, source: Any, **limits: Any) -> Video:
        """As :meth:`zoo.Video.of`."""
        return Video.of(source)

    def prepare(self, sample: Video) -> Prepared[Video]:
        """Arrays ``(T, C, H, W)`` in [-1, 1]; all frames of the clip are in memory."""
        frames = [frame.array for frame in self._fitted(sample)]
        array = np.stack(frames) * 2 - 1
        bottom, right = (-length % self.input.multiple for length in array.shape[2:])
        if bottom or right:
            array = np.pad(array, ((0, 0), (0, 0), (0, bottom), (0, right)), "reflect")
        n = self.input.frames
        if not n:
            return Prepared(sample, [array], (len(frames), *frames[0].shape[1:]))
        array = np.concatenate([array, np.repeat(array[-1:], max(n - len(array), 0), 0)])
        return Prepared(sample, [array[i : i + n] for i in _stretches(len(array), n)], (n, *frames[0].shape[1:]))

    def _fitted(self, sample: Video) -> Iterator[Frame]:
        """The frames that the network sees, with their times."""
        frames = checked(self._timed(sample.frames()), sample.clip.what)
        for array, seconds in frames:
            yield Frame(fit(on_white(array), self.input.channels, self.input.size), seconds)

    def _timed(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Frames as they are, or those that are shown at the moments of the network's fps."""
        if not self.input.fps:
            yield from frames
            return
        step = 1 / self.input.fps
        shown = end = 0.0
        for array, seconds in frames:
            end += seconds
            while shown < end - 1e-6:
                yield Frame(array, step)
                shown += step

    def seen(self, samples: Video) -> Video:
        """Clips with the frames, channels and size that the network sees."""
        clips = []
        for sample in samples:
            frames = list(self._fitted(sample))
            clips.append(
                ArrayClip([f.array for f in frames], sample.fps, sample.clip.what, [f.seconds for f in frames])
            )
        return Video(clips, samples.names)

    def restore(self, outputs: Sequence[Any], prepared: Prepared[Any] | None = None) -> Video:
        """A clip of the answers, about in [-1, 1]: networks overshoot."""
        sample = prepared.sample if prepared else None
        if not isinstance(sample, Video):
            clip = ArrayClip(list(_to_frames(outputs[0])), self.output.fps or FPS)
            return Video([clip], sample.names if sample else None)
        assert prepared is not None
        times = [frame.seconds for frame in self._timed(_without_pixels(sample))]
        height, width = (length * self.output.scale for length in prepared.lengths[-2:])
        total = max(len(times), self.input.frames or 0)
        frames: list[Any] = [None] * total
        for start, output in zip(_stretches(total, len(outputs[0])), outputs, strict=True):
            for number, frame in enumerate(_to_frames(output[..., :height, :width]), start):
                frames[number] = frame
        clip = ArrayClip(frames[: len(times)], self.input.fps or sample.fps, sample.clip.what, times)
        clip.loop, clip.sound = sample.clip.loop, sample.clip.sound
        return Video([clip], sample.names)

    def check_target(self, sample: Video, path: str | os.PathLike[str], **options: Any) -> None:
        """Refuse a file that cannot be written as video."""
        Video.check_output(path, **options)

    def lengths(self, sample: Video) -> tuple[int, ...]:
        """Frames, height and width as the network sees them, without padding."""
        n = self.input.frames or sum(1 for _ in self._timed(_without_pixels(sample)))
        return (n, *(self.input.size or sample.size))

    @property
    def multiples(self) -> tuple[int, ...]:
        """Height and width of a frame must be divisible; any number of frames goes."""
        return (1, self.input.multiple, self.input.multiple)

    @property
    def scales(self) -> tuple[int, ...]:
        """Frames become larger, and no more."""
        return (1, self.output.scale, self.output.scale)

    def generated_positions(self) -> int | None:
        """Pixels of all frames of a generated clip."""
        size, frames = self.output.size, self.output.frames
        return size[0] * size[1] * frames if size and frames else None

    def output_shape(self, lengths: Sequence[int] | None) -> tuple[int | None, ...] | None:
        """Frames, channels, height and width."""
        frames, size = self.output.frames, self.output.size
        if lengths:
            count, height, width = lengths
            frames, size = frames or count, size or (height * self.output.scale, width * self.output.scale)
        return (frames, self.output.channels, *size) if size else None

    def mismatch(self, sample: Video, original: Video | None = None) -> str:
        """Whether a clip has another size or number of frames than are declared, or than its original."""
        count, _, *size = sample.numpy().shape
        wanted, frames = self.output.size, self.output.frames
        if original is not None:
            height, width = original.size
            wanted = wanted or (height * self.output.scale, width * self.output.scale)
            frames = sum(1 for _ in self._timed(_without_pixels(original)))
        if wanted not in (None, tuple(size)):
            return f"A video has {tuple(size)} pixels."
        return f"A video has {count} frames." if frames not in (None, count) else ""

    def values(self, samples: Video) -> list[Array]:
        """The frames of each clip."""
        return [one.numpy() for one in samples]

    def example_samples(self, n: int) -> Video:
        """Waves that move, each at its own pace."""
        least = _LEAST + -_LEAST % self.input.multiple
        height, width = self.input.size or (least * n, least * (n + 1))
        count = self.input.frames or 4 + n
        y, x = np.mgrid[0:height, 0:width]
        clips = []
        for i in range(n):
            waves = [np.sin(x / (3 + i) + t * (1 + i) / 4) * np.cos(y / (4 + i)) / 2 + 0.5 for t in range(count)]
            frames = [np.repeat(wave[None], self.input.channels or 3, 0).astype(np.float32) for wave in waves]
            clips.append(ArrayClip(frames, self.input.fps))
        return Video(clips)

    def odd_samples(self) -> list[Video]:
        """One frame, and narrow ones."""
        return [_noise(1, 9, 9), _noise(3, 7, 50)]

    def noise_sample(self, lengths: Sequence[int]) -> Video:
        """Colourful noise."""
        return _noise(*lengths)


def _noise(frames: int, height: int, width: int) -> Video:
    random = np.random.default_rng(0)
    return Video([ArrayClip([random.random((3, height, width), dtype=np.float32) for _ in range(frames)])])


def _to_frames(output: Array) -> Array:
    frames: Array = np.ascontiguousarray(np.clip((np.asarray(output) + 1) / 2, 0, 1), np.float32)
    return frames


def _without_pixels(sample: Video) -> Iterator[Frame]:
    """The times of a clip's frames."""
    return (Frame(np.empty((1, 1, 1), np.float32), seconds) for _, seconds in sample.frames())


def _stretches(total: int, length: int) -> list[int]:
    """Where stretches of this length begin that follow each other; the last one ends with the clip."""
    return [min(start, total - length) for start in range(0, total, length)]
