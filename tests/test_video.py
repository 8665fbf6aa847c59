"""Clips: what they are read from, frame by frame, what is refused, and what is written as it comes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from click.testing import Result
from conftest import Registry, broken_rules
from PIL import Image
from torch import Tensor

import zoo
from zoo.errors import InputError, MediaError, ZooError
from zoo.media import video
from zoo.media.audio import Audio
from zoo.media.images import Images
from zoo.media.molecules import Molecules
from zoo.media.video import Video
from zoo.media.video_av import upright
from zoo.media.video_decode import Frame, moves
from zoo.media.video_processor import FrameProcessor, VideoProcessor
from zoo.model import Generator, Model
from zoo.registry.facts import Format

ANIMATIONS = ["gif", "apng", "webp"]
FILMS = ["mp4", "mov", "webm"]


def frames(n: int = 6, height: int = 30, width: int = 40) -> Iterator[np.ndarray]:
    """A square that wanders over a gradient that changes."""
    y, x = np.mgrid[0:height, 0:width]
    for i in range(n):
        array = np.stack([x / width, y / height, np.full(x.shape, i / n)]).astype(np.float32)
        array[:, 3 + i : 9 + i, 3 + i : 9 + i] = 1
        yield array


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., Path]:
    def write(kind: str, n: int = 6, fps: float = 25, **size: int) -> Path:
        path = tmp_path / f"clip.{kind}"
        Video.write(frames(n, **size), path, fps)
        return path

    return write


def with_sound(path: Path, codec: str = "aac", n: int = 25) -> None:
    """A second of video with a tone."""
    with av.open(str(path), "w") as output:
        picture = output.add_stream("libx264" if path.suffix == ".mp4" else "libvpx", rate=25)
        picture.width, picture.height, picture.pix_fmt = 40, 30, "yuv420p"
        sound = output.add_stream(codec, rate=48_000, layout="mono")
        for i in range(n):
            frame = av.VideoFrame.from_ndarray(np.full((30, 40, 3), 5 * i, np.uint8), "rgb24")
            output.mux(picture.encode(frame))
        tone = np.sin(np.arange(48_000) / 10).astype(np.float32) / 2
        for start in range(0, 48_000, 960):
            part = av.AudioFrame.from_ndarray(tone[None, start : start + 960], "fltp", "mono")
            part.sample_rate, part.pts, part.time_base = 48_000, start, Fraction(1, 48_000)
            output.mux(sound.encode(part))
        output.mux(picture.encode())
        output.mux(sound.encode())


@pytest.mark.parametrize("kind", ANIMATIONS + FILMS)
def test_what_is_written_is_read(clip: Callable[..., Path], kind: str) -> None:
    made = Video.of(clip(kind))
    assert (len(made), made.names, made.size) == (1, ["clip"], (30, 40))
    assert made.numpy().shape == (6, 3, 30, 40)
    assert np.abs(made.numpy() - np.stack(list(frames()))).mean() < 0.03
    assert made.fps == pytest.approx(25)
    assert [frame.seconds for frame in made.frames()] == pytest.approx([0.04] * 6)
    assert made.clip.loop == 0


@pytest.mark.parametrize("kind", ANIMATIONS + FILMS)
def test_each_frame_keeps_its_time(tmp_path: Path, kind: str) -> None:
    times = [0.1, 0.05, 0.2, 0.33, 0.04]
    Video.write((Frame(x, t) for x, t in zip(frames(5), times, strict=True)), tmp_path / f"a.{kind}")
    made = [frame.seconds for frame in Video.of(tmp_path / f"a.{kind}").frames()]
    assert made[:4] == pytest.approx(times[:4], abs=1e-3)
    if kind not in FILMS:  # which say when frames begin
        assert made[4] == pytest.approx(0.04, abs=1e-3)


@pytest.mark.parametrize("fps", [0, -5, float("nan"), True])
def test_rates_that_cannot_be(tmp_path: Path, fps: float) -> None:
    with pytest.raises(InputError, match="fps is a number of frames in a second, up to 1,000, not"):
        Video.write(frames(3), tmp_path / "a.gif", fps)
    assert not (tmp_path / "a.gif").exists()


@pytest.mark.parametrize(("fps", "count"), [(30, 30), (60, 60), (240, 240)])
def test_rounding_of_times_does_not_add_up(tmp_path: Path, fps: int, count: int) -> None:
    Video.write(frames(count, 12, 12), tmp_path / "a.gif", fps)
    made = [frame.seconds for frame in Video.of(tmp_path / "a.gif").frames()]
    assert sum(made) == pytest.approx(1, abs=0.03)
    assert min(made) >= 0.02, "players slow down what is faster"


@pytest.mark.parametrize("kind", ANIMATIONS + FILMS)
def test_files_that_are_cut_off_are_refused(clip: Callable[..., Path], kind: str) -> None:
    content = clip(kind, n=12).read_bytes()
    assert Video.of(content).numpy().shape[0] == 12
    for length in (20, 60, len(content) // 2, len(content) - 30):
        with pytest.raises(MediaError, match=r"damaged or cut off \(.*\): get the file again\.$"):
            Video.of(content[:length]).numpy()


def test_a_clip_is_not_decoded_before_its_frames_are_asked_for(
    clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clip("mp4", n=100)
    decoded: list[int] = []

    from zoo.media import video_av

    take = video_av.AvClip._array

    def counted(self: Any, frame: Any) -> Any:
        decoded.append(1)
        return take(self, frame)

    monkeypatch.setattr(video_av.AvClip, "_array", counted)
    made = Video.of(path)
    assert len(decoded) <= 1
    coming = made.frames()
    next(coming)
    assert len(decoded) <= 3


def test_everything_that_holds_clips(clip: Callable[..., Path], tmp_path: Path) -> None:
    path = clip("gif")
    wanted = Video.of(path).numpy()
    with path.open("rb") as file:
        for source in (path, str(path), path.read_bytes(), file, Video.of(path), [path]):
            np.testing.assert_array_equal(Video.of(source).numpy(), wanted)
    array = np.stack(list(frames()))
    pixels = (array.transpose(0, 2, 3, 1) * 255 + 0.5).astype(np.uint8)
    images = [Image.fromarray(frame) for frame in pixels]
    for source in (
        pixels,
        torch.from_numpy(array),
        images,
        Images([*array]),
        pixels[None],
        torch.from_numpy(array)[None],
    ):
        made = Video.of(source, fps=10)
        assert (len(made), made.fps) == (1, 10)
        assert np.abs(made.numpy() - array).max() <= 1 / 255
    assert len(Video.of(np.stack([pixels] * 2))) == 2
    assert Video.of(pixels).fps == 25
    assert Video.of(pixels[..., 0]).numpy().shape == (6, 3, 30, 40)
    both = Video.concat([Video.of(path), Video.of(pixels)])
    assert (both.names, len(both[1:])) == (["clip", "0000"], 1)
    with pytest.raises(InputError, match="There are 2 videos, and this is of one"):
        both.frames()


def test_a_folder_holds_clips_or_frames(clip: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    for number, array in enumerate(frames(12)):
        Images([array]).save(folder / f"frame{number}.png")
    made = Video.of(folder, fps=12)
    assert (made.names, made.fps, made.clip.count()) == (["in"], 12, 12)
    np.testing.assert_allclose(made.numpy(), np.stack(list(frames(12))), atol=1 / 255, err_msg="2 comes before 10")
    for kind in ("gif", "webp"):
        clip(kind).rename(folder / "deep" / f"b.{kind}")
    made = Video.of(folder)
    assert made.names == ["deep/b", "deep/b"], "images are no clips"
    Images([np.zeros((3, 9, 9), np.float32)]).save(tmp_path / "frames" / "0.png")
    Images([np.zeros((3, 9, 8), np.float32)]).save(tmp_path / "frames" / "1.png")
    with pytest.raises(InputError, match=r"1\.png has 8 x 9 pixels and the first frame 9 x 9"):
        Video.of(tmp_path / "frames").numpy()
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="holds no videos, and no images as frames"):
        Video.of(tmp_path / "none")


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (3, {}, "int holds no videos: give a path"),
        (None, {}, "NoneType holds no videos"),
        (["a.gif", 3], {}, "a.gif does not exist"),
        ("", {}, "The path of a video is empty"),
        ("http://example.org/a.mp4", {}, "is an address"),
        ("missing.mp4", {}, "missing.mp4 does not exist"),
        (b"", {}, r"The bytes: empty \(0 bytes\)"),
        (b"neither film nor animation, whatever it is", {}, "The bytes: not a video, whatever the name says"),
        (np.zeros((4, 4), np.uint8), {}, r"must be \(T, H, W\)"),
        (np.zeros((0, 4, 4, 3), np.uint8), {}, "without zeros"),
        (np.full((2, 4, 4, 3), np.nan), {}, "NaN or infinite values"),
        (np.full((2, 4, 4, 3), 255.0), {}, r"must have its floats in \[0, 1\]"),
        (torch.zeros(4, 4), {}, r"is \(T, C, H, W\) or \(N, T, C, H, W\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), {"fps": 0}, "fps is a number of frames in a second"),
        (np.zeros((2, 4, 4, 3), np.uint8), {"fps": "fast"}, "fps is a number of frames in a second"),
    ],
)
def test_bad_input_is_one_sentence(source: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ZooError, match=message) as caught:
        Video.of(source, **options)
    assert "\n" not in str(caught.value)


def test_images_that_do_not_move_are_none(tmp_path: Path) -> None:
    for kind in ("gif", "png", "webp"):
        path = tmp_path / f"still.{kind}"
        Images([next(frames())]).save(path)
        assert not moves(path)
        with pytest.raises(InputError, match=r"is a single image, which does not move: take it as one"):
            Video.of(path)
    assert not moves(tmp_path / "missing.gif")
    assert not moves(tmp_path)


def test_files_that_move(clip: Callable[..., Path]) -> None:
    assert all(moves(clip(kind)) for kind in ANIMATIONS + FILMS)
    assert moves(clip("gif").read_bytes())


def test_a_film_without_frames_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as output:
        sound = output.add_stream("aac", rate=48_000, layout="mono")
        part = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), "fltp", "mono")
        part.sample_rate = 48_000
        output.mux(sound.encode(part))
        output.mux(sound.encode())
    with pytest.raises(MediaError, match=r"holds no video: zoo\.Audio\.of reads sound"):
        Video.of(path)


def test_playlists_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    with pytest.raises(MediaError, match="not a video"):
        Video.of(tmp_path / "a.m3u8")


def test_without_pyav_animations_still_work(
    clip: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, animation = clip("mp4"), clip("gif")
    monkeypatch.setitem(sys.modules, "av", None)
    assert Video.of(animation).numpy().shape == (6, 3, 30, 40)
    for needs in (lambda: Video.of(film), lambda: Video.write(frames(), tmp_path / "b.mp4")):
        with pytest.raises(ZooError, match=r"need PyAV: pip install 'generative-zoo\[video\]'\.$"):
            needs()
    assert not (tmp_path / "b.mp4").exists()


@pytest.mark.parametrize(
    ("degrees", "mirrored", "corner"),
    [(0, False, (0, 0)), (90, False, (1, 0)), (180, False, (1, 1)), (-90, False, (0, 1)), (0, True, (0, 1))],
)
def test_a_phones_rotation_is_applied(tmp_path: Path, degrees: int, mirrored: bool, corner: tuple[int, int]) -> None:
    path = tmp_path / "phone.mp4"
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:16, :16] = 255  # at the top left
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        stream.set_display_rotation(degrees, hflip=mirrored)
        for _ in range(3):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        output.mux(stream.encode())
    made = Video.of(path)
    assert made.size == ((64, 32) if abs(degrees) == 90 else (32, 64))
    image = made.numpy()[0].mean(0)
    height, width = image.shape
    bright = {(y, x) for y in (0, 1) for x in (0, 1) if image[y * (height - 1), x * (width - 1)] > 0.5}
    assert bright == {corner}


def test_matrices_of_all_turns() -> None:
    image = np.arange(6).reshape(2, 3)
    assert upright(image, (1, 0, 0, 1)).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert upright(image, (0, 1, -1, 0)).tolist() == [[3, 0], [4, 1], [5, 2]], "a quarter to the right"
    assert upright(image, (-1, 0, 0, -1)).tolist() == [[5, 4, 3], [2, 1, 0]]
    assert upright(image, (0, -1, 1, 0)).tolist() == [[2, 5], [1, 4], [0, 3]], "a quarter to the left"
    assert upright(image, (-1, 0, 0, 1)).tolist() == [[2, 1, 0], [5, 4, 3]]


@pytest.mark.parametrize(
    ("kind", "size"), [("mp4", (32, 42)), ("mov", (32, 42)), ("webm", (31, 41)), ("gif", (31, 41))]
)
def test_odd_sizes(clip: Callable[..., Path], kind: str, size: tuple[int, int]) -> None:
    made = Video.of(clip(kind, height=31, width=41)).numpy()
    assert made.shape[2:] == size
    assert np.abs(made[:, :, :31, :41] - np.stack(list(frames(6, 31, 41)))).mean() < 0.04


@pytest.mark.parametrize("kind", FILMS)
@pytest.mark.parametrize("colour", [(200, 30, 60), (20, 180, 90), (240, 240, 20)])
def test_colours_of_films_are_right(tmp_path: Path, kind: str, colour: tuple[int, int, int]) -> None:
    array = np.broadcast_to(np.array(colour, np.float32)[:, None, None] / 255, (3, 16, 16))
    Video.write([array] * 3, tmp_path / f"a.{kind}")
    assert np.abs(Video.of(tmp_path / f"a.{kind}").numpy() - array).max() < 0.03


@pytest.mark.parametrize("kind", ANIMATIONS)
def test_transparency_is_kept(tmp_path: Path, kind: str) -> None:
    arrays = []
    for array in frames():
        alpha = np.zeros((1, 30, 40), np.float32)
        alpha[:, 5:20, 5:20] = 1
        arrays.append(np.concatenate([array, alpha]))
    Video.write(arrays, tmp_path / f"a.{kind}")
    made = [frame.array for frame in Video.of(tmp_path / f"a.{kind}").frames()]
    for array, wanted in zip(made, arrays, strict=True):
        np.testing.assert_array_equal(array[3], wanted[3])
    on_white = Video.of(tmp_path / f"a.{kind}").numpy()
    assert (on_white[:, :, 0, 0] == 1).all()


def test_frames_are_laid_over_those_before(tmp_path: Path) -> None:
    """As Pillow writes them: only what changes, and disposal by the background or what was there."""
    images = [Image.new("RGBA", (20, 20), (0, 0, 0, 0)) for _ in range(4)]
    for i, image in enumerate(images):
        image.paste((255, 0, 0, 255), (4 * i, 4 * i, 4 * i + 4, 4 * i + 4))
    for disposal in (2, 1):
        images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], disposal=disposal, duration=100)
        made = [frame.array for frame in Video.of(tmp_path / "a.gif").frames()]
        for i, array in enumerate(made):
            assert array[3, 4 * i, 4 * i] == 1
            assert array[3, 0, 0] == (i == 0 or disposal == 1)


@pytest.mark.parametrize("kind", ANIMATIONS)
@pytest.mark.parametrize("loop", [0, 1, 3])
def test_loops_are_kept(tmp_path: Path, kind: str, loop: int) -> None:
    Video.write(frames(), tmp_path / f"a.{kind}", loop=loop)
    made = Video.of(tmp_path / f"a.{kind}")
    assert made.clip.loop == loop
    made.save(tmp_path / f"b.{kind}")
    assert Video.of(tmp_path / f"b.{kind}").clip.loop == loop


def sound_of(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.codec_context.name for stream in container.streams.audio]


def test_sound_is_copied(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    with_sound(source)
    made = Video.of(source)
    made.save(tmp_path / "b.mp4")
    made.save(tmp_path / "b.mov")
    Video.write(made.frames(), tmp_path / "c.mp4", sound=made)
    Video.write(made.frames(), tmp_path / "silent.mp4")
    assert [sound_of(tmp_path / name) for name in ("b.mp4", "b.mov", "c.mp4", "silent.mp4")] == [["aac"]] * 3 + [[]]
    with av.open(str(source)) as before, av.open(str(tmp_path / "b.mp4")) as after:
        packets = [[bytes(packet) for packet in each.demux(audio=0) if packet.size] for each in (before, after)]
    assert packets[0][:40] == packets[1][:40], "copied, not encoded again"
    with pytest.warns(UserWarning, match=r"d\.webm has no sound: \.webm does not hold that of the input \(aac\)"):
        made.save(tmp_path / "d.webm")
    assert sound_of(tmp_path / "d.webm") == []
    with_sound(tmp_path / "a.webm", "libopus")
    Video.of(tmp_path / "a.webm").save(tmp_path / "e.webm")
    assert sound_of(tmp_path / "e.webm") == ["opus"]
    made.save(tmp_path / "silent.gif")


def test_saving(clip: Callable[..., Path], tmp_path: Path) -> None:
    made = Video.of([clip("gif"), np.zeros((3, 8, 8, 3), np.uint8)])
    made.names = ["a", "../b"]
    made.save(tmp_path / "films", format="mp4")
    made.save(tmp_path / "frames")
    assert sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "films").rglob("*")) == [
        "films/a.mp4",
        "films/b.mp4",
    ]
    assert len(list((tmp_path / "frames" / "a").iterdir())) == 6
    assert len(list((tmp_path / "frames" / "b").iterdir())) == 3
    np.testing.assert_array_equal(Video.of(tmp_path / "frames" / "a").numpy(), made[0].numpy())
    made[0].save(tmp_path / "frames")  # again: the same names
    shorter = made[1]
    shorter.names = ["a"]
    with pytest.raises(InputError, match=r"holds 0003\.png of a longer clip: empty it"):
        shorter.save(tmp_path / "frames")
    with pytest.raises(InputError, match="is one file, and there are 2 videos"):
        made.save(tmp_path / "both.mp4")
    assert not list(tmp_path.rglob(".*")), "nothing is left aside"


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("a.wmv", {}, r"videos are not written as \.wmv: use \.gif"),
        ("a.png", {}, r"videos are not written as \.png"),
        ("a.gif", {"format": "mp4"}, r"a\.gif, and the format is mp4: give a\.mp4"),
        ("folder", {"format": "wmv"}, "'wmv' is no format of videos: use apng, gif"),
        ("a.gif", {"bits": 16}, "videos have 8 bits, not 16"),
        ("", {}, "no path that can be written to"),
    ],
)
def test_outputs_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, options: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ZooError, match=message):
        Video.of(np.zeros((3, 8, 8, 3), np.uint8)).save(path, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["gif", "apng", "webp", "mp4", "webm", ""])
def test_what_breaks_off_leaves_nothing(tmp_path: Path, kind: str) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield from frames(3)
        raise RuntimeError("the network")

    path = tmp_path / (f"a.{kind}" if kind else "folder")
    with pytest.raises(RuntimeError, match="the network"):
        Video.write(broken(), path)
    with pytest.raises(InputError, match="there are no frames to write"):
        Video.write([], path)
    with pytest.raises(InputError, match="frame 1 has 9 x 8 pixels and the first 8 x 8"):
        Video.write([np.zeros((3, 8, 8), np.float32), np.zeros((3, 8, 9), np.float32)], path)
    with pytest.raises(InputError, match="NaN"):
        Video.write([np.full((3, 8, 8), np.nan, np.float32)] * 2, path)
    assert not list(tmp_path.iterdir())


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    import tracemalloc

    def peak(n: int, kind: str) -> int:
        tracemalloc.start()
        Video.write(frames(n, 60, 80), tmp_path / f"a.{kind}")
        for _ in Video.of(tmp_path / f"a.{kind}").frames():
            pass
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    for kind in ("gif", "apng", "mp4"):
        peak(2, kind)
        assert peak(24, kind) < peak(8, kind) + 60 * 80 * 3 * 4 * 4, kind


def test_all_frames_in_memory_are_refused_where_it_is_short(
    clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Video.of(clip("gif"))
    monkeypatch.setattr(video, "free_memory", lambda: 50_000)
    with pytest.raises(MediaError, match="its frames need more memory than is free"):
        made.numpy()
    assert sum(1 for _ in made.frames()) == 6


def test_a_film_strip(clip: Callable[..., Path]) -> None:
    made = Video.of([clip("gif", n=20), clip("mp4", n=3)])
    assert made.preview().size == (8 * 42 - 2, 64)
    assert made._repr_png_().startswith(b"\x89PNG")
    assert Video([]).preview().size


def test_no_kind_is_taken_for_another(clip: Callable[..., Path]) -> None:
    kinds = [
        Images([next(frames())]),
        Audio([np.zeros((1, 9), np.float32)], 8000),
        Video.of(clip("gif")),
        Molecules(["C"]),
    ]
    for one in kinds:
        for other in {type(kind) for kind in kinds} - {type(one)}:
            if (type(one), other) != (Images, Video):  # which are frames
                with pytest.raises(InputError, match=f"{type(one).__name__} holds {one.noun}, and no "):
                    other.of(one)


class Fader(Model):
    """Toy: each frame mixed with the one before; video ``(N, T, 3, H, W)`` in [-1, 1], twice as large."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        """Video ``(N, T, 3, H, W)`` in [-1, 1] to ``(N, T, 3, 2 H, 2 W)`` in [-1, 1]."""
        mixed = self.weight * x + (1 - self.weight) * torch.cat([x[:, :1], x[:, :-1]], 1)
        return mixed.repeat_interleave(2, 3).repeat_interleave(2, 4)


class Lights(Generator):
    """Toy: clips of four frames, ``(N, 4, 1, 8, 8)`` in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.latent_shape = (3,)
        self.linear = torch.nn.Linear(3, 256)

    def decode(self, z: Tensor) -> Tensor:
        """Latents ``(N, 3)`` to video ``(N, 4, 1, 8, 8)`` in [-1, 1]."""
        return torch.tanh(self.linear(z)).unflatten(1, (4, 1, 8, 8))


@pytest.fixture
def videos(toys: Registry) -> None:
    torch.manual_seed(0)
    film = {"kind": "video", "channels": 3}
    checkpoint = {"input": {**film, "multiple": 4}, "output": {**film, "scale": 2}}
    toys.add("fader", Fader(), verbs=["reconstruct"], checkpoint=checkpoint)
    lights = {"kind": "video", "channels": 1, "size": [8, 8], "frames": 4, "fps": 8}
    toys.add("lights", Lights(), verbs=["generate"], checkpoint={"output": lights})


@pytest.mark.parametrize("name", ["fader", "lights"])
def test_models_of_video_keep_the_contract(videos: None, name: str) -> None:
    assert not broken_rules(name)


def test_models_of_video(videos: None, clip: Callable[..., Path], tmp_path: Path) -> None:
    source = Video.of(clip("gif", height=30, width=41))
    made = zoo.load("fader").reconstruct(source)
    before = source.numpy()
    mixed = (before + np.concatenate([before[:1], before[:-1]])) / 2
    np.testing.assert_allclose(made.numpy(), mixed.repeat(2, 2).repeat(2, 3), atol=1e-6)
    assert (made.names, made.fps, [frame.seconds for frame in made.frames()]) == (["clip"], 25, [0.04] * 6)
    zoo.load("fader").reconstruct_to(source, tmp_path / "a.webm")
    assert Video.of(tmp_path / "a.webm").numpy().shape == (6, 3, 60, 82)
    lights = zoo.load("lights").generate(3, seed=1)
    assert (len(lights), lights.seed, lights[2].fps, lights[2].numpy().shape) == (3, 1, 8, (4, 3, 8, 8))
    lights.save(tmp_path / "lights", format="gif")
    assert len(Video.of(tmp_path / "lights")) == 3


@pytest.mark.parametrize("frames_taken", [None, 4, 10])
@pytest.mark.parametrize("fps", [None, 10, 50])
def test_what_a_network_for_video_leaves_alone_comes_back(frames_taken: int | None, fps: float | None) -> None:
    both = Format(kind="video", channels=3, frames=frames_taken, fps=fps, multiple=8)
    subject = VideoProcessor(both, both)
    array = np.stack(list(frames(7)))
    sample = Video.of(torch.from_numpy(array), fps=25)
    prepared = subject.prepare(sample)
    arrays = list(prepared.arrays)
    assert all(x.shape[0] in (frames_taken or len(x),) and x.shape[2:] == (32, 40) for x in arrays)
    made = subject.restore(arrays, prepared)
    assert sum(frame.seconds for frame in made.frames()) == pytest.approx(7 / 25, abs=0.1)
    if fps is None:
        np.testing.assert_allclose(made.numpy(), array, atol=1 / 255)


def test_a_network_for_images_takes_clips_frame_by_frame(
    toys: Registry, clip: Callable[..., Path], tmp_path: Path
) -> None:
    model = zoo.load("doubler")
    source = Video.of(clip("gif"))
    images = model.reconstruct(Images([frame.array for frame in source.frames()])).numpy()
    made = model.reconstruct(source, batch_size=4)
    np.testing.assert_allclose(made.numpy(), images, atol=1e-6)
    assert [frame.seconds for frame in made.frames()] == [frame.seconds for frame in source.frames()]
    model.receptive_radius = 2
    model.reconstruct_to(source, tmp_path / "b.apng", tile=16)
    np.testing.assert_allclose(Video.of(tmp_path / "b.apng").numpy(), images, atol=1 / 255)
    one = Video.of([Image.fromarray(np.zeros((40, 50, 3), np.uint8))])
    model.reconstruct_to(one, tmp_path / "one.apng", tile=16)
    mask = np.full((30, 40, 1), 0.25, np.float32)
    masked = model.reconstruct(source, mask=mask)
    assert masked.numpy().shape == images.shape


def test_only_a_batch_of_frames_is_in_memory(toys: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo.load("doubler")
    Video.write(frames(60), tmp_path / "a.gif")
    read: list[int] = []
    written: list[int] = []
    ahead: list[int] = []
    take, put = FrameProcessor._arrays, FrameProcessor._frames

    def arrays(self: Any, sample: Video) -> Iterator[Any]:
        for array in take(self, sample):
            read.append(1)
            ahead.append(len(read) - len(written))
            yield array

    def results(self: Any, *arguments: Any) -> Iterator[Any]:
        for frame in put(self, *arguments):
            written.append(1)
            yield frame

    monkeypatch.setattr(FrameProcessor, "_arrays", arrays)
    monkeypatch.setattr(FrameProcessor, "_frames", results)
    model.reconstruct_to(Video.of(tmp_path / "a.gif"), tmp_path / "b.gif")
    assert len(written) == 60
    assert max(ahead) <= 34, "two batches, and one that is looked at"


def test_results_that_memory_does_not_hold_are_refused(
    toys: Registry, clip: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.inference import verbs

    model = zoo.load("doubler")
    source = Video.of(clip("gif"))
    model.reconstruct(source)
    monkeypatch.setattr(verbs, "free_memory", lambda: 500_000)
    with pytest.raises(InputError, match=r"The result for clip needs more memory than is free .* reconstruct_to"):
        model.reconstruct(source)
    model.reconstruct_to(source, tmp_path / "a.gif")


def test_the_command_takes_clips(
    toys: Registry, clip: Callable[..., Path], tmp_path: Path, zoo_command: Callable[..., Result]
) -> None:
    def run(*arguments: object, **options: Any) -> Result:
        return zoo_command("reconstruct", "doubler", *arguments, **options)

    animation, out = clip("gif"), tmp_path / "out"
    for kind in ("mp4", "webm", "gif", "webp", "apng"):
        done = run(animation, "-o", tmp_path / f"large.{kind}")
        assert (done.exit_code, done.stderr) == (0, f"{tmp_path}/large.{kind}: 1 video\n")
        assert Video.of(tmp_path / f"large.{kind}").numpy().shape == (6, 3, 60, 80)
    assert run(animation, "-o", tmp_path / "still.png").stderr.endswith("1 image\n")
    assert Images.of(tmp_path / "still.png").arrays[0].shape == (3, 60, 80), "the first frame"
    assert run(tmp_path / "large.mp4", "-o", out).stderr == f"{out}: 1 video\n"
    assert len(list((out / "large").glob("*.png"))) == 6
    assert run(out / "large", "-o", tmp_path / "again.mp4").exit_code == 0
    assert Video.of(tmp_path / "again.mp4").numpy().shape == (6, 3, 240, 320)
    Images([next(frames())]).save(tmp_path / "single.gif")
    assert run(tmp_path / "single.gif", "-o", tmp_path / "b.gif").stderr.endswith("1 image\n")
    inputs = (animation, tmp_path / "large.mp4", tmp_path / "single.gif")
    assert run(*inputs, "-o", tmp_path / "mixed", "--format", "webp").stderr.endswith("3 files\n")
    assert len(Video.of(tmp_path / "mixed")) == 2
    piped = run("-", "-o", "-", "--format", "apng", input=animation.read_bytes())
    assert Video.of(piped.stdout_bytes).numpy().shape == (6, 3, 60, 80)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.mp4", "-o", "b.jpg"), "a.mp4 is a video: write it as .mp4"),
        (("a.mp4", "a.gif", "-o", "b.mp4"), "takes one video, and these are 2 inputs: give a folder"),
        (("a.png", "-o", "b.mp4"), "a.png is a single image, which does not move"),
        (("a.mp4", "-o", "b.mp4", "--compare"), "--compare is for images"),
        (("a.gif", "-o", "b.mp4", "--bits", "16"), "videos have 8 bits"),
        (("a.mp4", "-o", "a.mp4"), "would be overwritten"),
        (("cut.mp4", "-o", "b.mp4"), "cut.mp4: damaged or cut off (it ends before it should)"),
        (("cut.gif", "-o", "b.mp4"), "damaged or cut off"),
    ],
)
def test_what_the_command_refuses_of_clips(
    toys: Registry,
    clip: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    zoo_command: Callable[..., Result],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for kind in ("gif", "mp4"):
        content = clip(kind).rename(f"a.{kind}").read_bytes()
        Path(f"cut.{kind}").write_bytes(content[: 2 * len(content) // 3])
    Images([next(frames())]).save("a.png")
    done = zoo_command("reconstruct", "doubler", *arguments)
    assert done.exit_code in (1, 2)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("b.*"))
