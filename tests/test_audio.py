"""Sound: what it is read from, what is refused, and what is written."""

from __future__ import annotations

import io
import json
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import Result
from conftest import Registry, broken_rules
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import conv1d

import zoo
from zoo.errors import InputError, MediaError, RegistryError, ZooError
from zoo.media import audio_decode
from zoo.media.audio import Audio, resample
from zoo.media.audio_processor import AudioProcessor
from zoo.model import Autoencoder, Generator
from zoo.registry.facts import Format

RATE = 16_000


def tone(seconds: float = 0.5, rate: int = RATE, channels: int = 2, hertz: float = 440) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    return np.stack([np.sin(2 * np.pi * hertz * (c + 1) * t) / 2 for c in range(channels)]).astype(np.float32)


def encoded(array: np.ndarray, kind: str = "WAV", subtype: str | None = None, rate: int = RATE) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, array.T, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "subtype", "error"),
    [
        ("WAV", "PCM_U8", 1 / 127),
        ("WAV", "PCM_16", 1 / 32_000),
        ("WAV", "PCM_24", 1 / 8_000_000),
        ("WAV", "PCM_32", 1e-9),
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 0),
        ("RF64", "PCM_16", 1 / 32_000),
        ("FLAC", "PCM_16", 1 / 32_000),
        ("FLAC", "PCM_24", 1 / 8_000_000),
        ("AIFF", "PCM_16", 1 / 32_000),
        ("OGG", "VORBIS", 0.1),
        ("MP3", "MPEG_LAYER_III", 0.05),
    ],
)
def test_every_file_format_is_read_and_refused_when_cut_off(kind: str, subtype: str, error: float) -> None:
    content = encoded(tone(), kind, subtype)
    sound = Audio.of(content)
    assert sound.arrays[0].dtype == np.float32
    assert (sound.arrays[0].shape, sound.rate) == ((2, 8000), RATE)
    assert np.abs(sound.arrays[0] - tone()).max() <= error
    for length in (40, len(content) // 2, len(content) - 20):
        with pytest.raises(MediaError, match=r"^The bytes: damaged or cut off \(.*\): get the file again\.$"):
            Audio.of(content[:length])


def test_everything_that_holds_sounds(tmp_path: Path) -> None:
    array = tone()
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.wav").write_bytes(encoded(array, subtype="FLOAT"))
    (tmp_path / "in" / "deep" / "b").write_bytes(encoded(array, subtype="FLOAT"))
    (tmp_path / "in" / "notes.txt").write_text("not sound")
    (tmp_path / "in" / ".hidden.wav").write_text("")
    sounds = Audio.of(tmp_path / "in")
    assert sounds.names == ["a", "deep/b"]
    with (tmp_path / "in" / "a.wav").open("rb") as file:
        sources = [tmp_path / "in" / "a.wav", str(tmp_path / "in" / "a.wav"), encoded(array, subtype="FLOAT"), file]
        sources += [(RATE, array), (array, RATE), (torch.from_numpy(array), RATE), sounds[0], [sounds[0]]]
        for source in sources:
            made = Audio.of(source)
            np.testing.assert_array_equal(made.arrays[0], array)
            assert made.rate == RATE
    for values in (array, torch.from_numpy(array), array[None], [array], (array * 32768).astype(np.int16)):
        np.testing.assert_allclose(Audio.of(values, rate=RATE).arrays[0], array, atol=1e-4)
    assert Audio.of(array[0], rate=RATE).arrays[0].shape == (1, 8000)
    assert len(Audio.of(np.stack([array] * 3), rate=RATE)) == 3
    mixed = Audio.of([(8000, array), encoded(array)], rate=RATE)
    assert mixed.rates == [8000, RATE]
    with pytest.raises(InputError, match="several rates"):
        _ = mixed.rate
    assert [len(sound) for sound in mixed] == [1, 1]
    assert Audio.concat([sounds, mixed]).names == ["a", "deep/b", "0000", "0001"]
    assert sounds[1:].names == ["deep/b"]
    with pytest.raises(IndexError, match="there are 2 sounds"):
        _ = sounds[2]


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (tone(), {}, "The array has no rate: say how many samples a second has"),
        (tone().T, {"rate": RATE}, "channels come before time: transpose it|at most 32 channels"),
        (np.zeros((1, 0), "f4"), {"rate": RATE}, "has no samples"),
        (np.full((1, 9), np.nan, "f4"), {"rate": RATE}, "NaN or infinite values: repair it first"),
        (np.full((1, 9), 300.0), {"rate": RATE}, r"must have its floats in \[-1, 1\], and they reach 300"),
        (np.zeros((1, 9), np.int64), {"rate": RATE}, "of int64 has no range to go by"),
        (torch.zeros(1, 9, device="meta"), {"rate": RATE}, "no plain tensor"),
        (tone(), {"rate": 0}, "A rate is a whole number of Hz from 1,000 to 768,000, not 0"),
        (tone(), {"rate": "fast"}, "A rate is a whole number of Hz"),
        ([tone(), tone()], {}, "Sound 0 has no rate"),
        (3, {}, "int holds no sounds"),
        (None, {}, "NoneType holds no sounds"),
        ({"a": 1}, {}, "dict holds no sounds"),
        ("", {}, "The path of a sound is empty"),
        ("https://example.org/a.wav", {}, "is an address"),
        ("missing.wav", {}, "missing.wav does not exist"),
        ("\0.wav", {}, "is no path"),
        (b"", {}, r"The bytes: empty \(0 bytes\)"),
        (b"hello, this is no sound at all", {}, "The bytes: not a sound, whatever the name says: use WAV"),
        (io.StringIO("text"), {}, "gives str, not bytes: open it with 'rb'"),
    ],
)
def test_bad_input_is_one_sentence(source: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ZooError, match=message) as caught:
        Audio.of(source, **options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".") or "plain tensor" in message


def test_folders_without_sound_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no sounds: give WAV, FLAC, OGG, MP3 or AIFF"):
        Audio.of(tmp_path)


def test_floats_of_files_are_looked_at() -> None:
    loud = encoded(tone() * 2.4, subtype="FLOAT")
    assert Audio.of(loud).arrays[0].max() == 1, "clipped, as a player does"
    with pytest.raises(MediaError, match=r"floats reach 1.638e\+04, and sound is in"):
        Audio.of(encoded(tone() * 32768, subtype="FLOAT"))
    array = tone()
    array[0, 7] = np.nan
    with pytest.raises(MediaError, match="has NaN or infinite values"):
        Audio.of(encoded(array, subtype="FLOAT"))


def test_an_hour_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hour = 3600 * 48_000 * 2 * 2
    path = tmp_path / "hour.wav"
    fmt = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 2, 48_000, 192_000, 4, 16)
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", hour + 36) + b"WAVE" + fmt + b"data" + struct.pack("<I", hour))
        file.truncate(44 + hour)  # a sparse file
    monkeypatch.setattr(audio_decode, "free_memory", lambda: 1_000_000_000)
    start = time.monotonic()
    with pytest.raises(MediaError, match=r"needs more memory than is free \(2.8 GB of 1.0 GB\): cut it into shorter"):
        Audio.of(path)
    assert time.monotonic() - start < 1


def test_a_recording_that_was_streamed_has_no_length(tmp_path: Path) -> None:
    content = bytearray(encoded(tone()))
    content[40:44] = b"\xff\xff\xff\xff"
    assert Audio.of(bytes(content)).arrays[0].shape == (2, 8000)


@pytest.mark.parametrize("rate", [1, 2_000_000])
def test_a_rate_that_nothing_has_is_refused(rate: int) -> None:
    content = bytearray(encoded(tone()))
    content[24:28] = struct.pack("<I", rate)
    with pytest.raises(MediaError, match=f"a rate of {rate:,} Hz"):
        Audio.of(bytes(content))


@pytest.mark.parametrize(("old", "new"), [(192_000, 16_000), (8_000, 48_000), (44_100, 16_000), (16_000, 44_100)])
def test_resampling_keeps_the_tone(old: int, new: int) -> None:
    sound = Audio.of(tone(0.5, old, 8), rate=old).resampled(new)
    assert sound.rate == new
    wanted = tone(0.5, new, 8)[:4]
    middle = slice(new // 20, -new // 20)  # the filter rings at the ends
    assert sound.arrays[0].shape == (8, new // 2)
    if new > 2 * 440 * 4:
        np.testing.assert_allclose(sound.arrays[0][:4, middle], wanted[:, middle], atol=2e-3)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 400), st.integers(1_000, 200_000), st.integers(1_000, 200_000))
def test_resampling_gives_as_many_samples_as_the_time_has(length: int, old: int, new: int) -> None:
    made = resample(np.ones((1, length), np.float32), old, new)
    assert made.shape == (1, max(round(length * new / old), 1))
    assert np.isfinite(made).all()
    assert np.abs(made).max() <= 1


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_what_is_written_is_read_again(tmp_path: Path, kind: str) -> None:
    sounds = Audio([tone(), tone(hertz=880)[:, :5000]], RATE, ["a", "../b"])
    sounds.save(tmp_path / "folder", format=kind)
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == [f"a.{kind}", f"b.{kind}"]
    again = Audio.of(tmp_path / "folder")
    assert [array.shape for array in again.arrays] == [(2, 8000), (2, 5000)]
    assert np.abs(again.arrays[0] - tone()).max() < (0.1 if kind == "ogg" else 1 / 32_000)
    sounds.save(tmp_path / f"all.{kind}")
    (both,) = Audio.of(tmp_path / f"all.{kind}").arrays
    assert both.shape == (2, 8000 + RATE // 2 + 5000), "half a second between them"


@pytest.mark.parametrize("bits", [16, 24])
def test_bits_are_kept(tmp_path: Path, bits: int) -> None:
    steps = np.random.default_rng(0).integers(-(1 << bits - 1), 1 << bits - 1, (1, 1000)) / (1 << bits - 1)
    sound = Audio([steps.astype(np.float32)], RATE)
    for name in ("a.wav", "a.flac"):
        sound.save(tmp_path / name, bits=bits)
        np.testing.assert_array_equal(Audio.of(tmp_path / name).arrays[0], sound.arrays[0])
        assert soundfile.info(tmp_path / name).subtype == f"PCM_{bits}"


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("a.mp3", {}, r"a.mp3: sounds are not written as .mp3: use .wav, .flac, .ogg, or a folder"),
        ("a.png", {}, "sounds are not written as .png"),
        ("a.wav", {"format": "flac"}, r"a.wav, and the format is flac: give a.flac"),
        ("folder", {"format": "aac"}, "'aac' is no format that sound is written in"),
        ("a.wav", {"bits": 8}, "bits of sound must be 16 or 24, not 8"),
        ("a.ogg", {"bits": 24}, "24 bits are written as WAV or FLAC"),
        ("", {}, "no path that can be written to"),
        ("a\0.wav", {}, "no path that can be written to"),
        (None, {}, "A path is a text or a Path, not None"),
        (f"{'a' * 300}.wav", {}, "is too long: a name takes at most 255 bytes"),
    ],
)
def test_outputs_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Any, options: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ZooError, match=message):
        Audio([tone()], RATE).save(path, **options)
    assert not list(tmp_path.iterdir())


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="FLAC takes no 9 channels"):
        Audio([tone(0.1, channels=9)], RATE).save(tmp_path / "a.flac")
    with pytest.raises(InputError, match="several rates or channels"):
        Audio([tone(), tone()], [8000, RATE]).save(tmp_path / "a.wav")
    with pytest.raises(InputError, match="no sounds to write"):
        Audio([], []).save(tmp_path / "a.wav")
    broken = Audio([tone()], RATE)
    broken.arrays[0][0, 0] = np.nan
    with pytest.raises(InputError, match="NaN"):
        broken.save(tmp_path / "a.wav")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arrays", "rates", "names"),
    [
        ([np.zeros(9, "f4")], [RATE], None),
        ([np.zeros((1, 9), "i2")], [RATE], None),
        ([np.zeros((1, 9), "f4")], [RATE, RATE], None),
        ([np.zeros((1, 9), "f4")], [RATE], ["a", "b"]),
    ],
)
def test_parts_of_audio_fit_together(arrays: Any, rates: Any, names: Any) -> None:
    with pytest.raises(InputError):
        Audio(arrays, rates, names)


def test_a_notebook_shows_players_and_spectrograms() -> None:
    sounds = Audio([tone(40)] + [tone(0.1)] * 9, RATE, ["<b>"] + ["x"] * 9)
    text = sounds._repr_html_()
    assert text.count("<audio controls") == 8
    assert "2 more" in text
    assert "&lt;b&gt;: 40.0 s, 16,000 Hz, 2 channels, the first 30 s" in text
    image = np.asarray(sounds[0].preview())
    assert image.shape == (160, 640, 3)
    rows = image.sum((1, 2))
    assert abs(int(rows.argmax()) - 160 * (1 - 440 / 8000)) < 8, "the brightest row is that of the tone"
    assert Audio([np.zeros((1, 5), np.float32)], RATE).preview().size == (640, 160), (
        "silence, and shorter than a window"
    )
    assert Audio([], []).preview().size


def through(processor: AudioProcessor, sound: Audio, network: Callable[[np.ndarray], np.ndarray]) -> Audio:
    """A sound by way of a processor and a network that takes one array."""
    prepared = processor.prepare(sound)
    arrays = list(prepared.arrays)
    assert all(array.dtype == np.float32 and np.abs(array).max() <= 1 for array in arrays)
    return processor.restore([network(array) for array in arrays], prepared)


def processor(**facts: Any) -> AudioProcessor:
    facts_of_both = Format(kind="audio", **{"rate": RATE, **facts})
    return AudioProcessor(facts_of_both, facts_of_both)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3000),
    st.sampled_from([1, 2, 3, 8]),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, 64, 500]),
    st.sampled_from([1, 7, 256]),
)
def test_what_a_network_leaves_alone_comes_back(
    time: int, channels: int, taken: int | None, length: int | None, multiple: int
) -> None:
    array = np.random.default_rng(time).uniform(-1, 1, (channels, time)).astype(np.float32)
    subject = processor(channels=taken, length=length, multiple=multiple)
    prepared = subject.prepare(Audio([array], RATE, ["a"]))
    for x in prepared.arrays:
        assert x.shape[0] == (taken or channels)
        assert x.shape[1] == (length or -(-time // multiple) * multiple)
    made = through(subject, Audio([array], RATE, ["a"]), lambda x: x)
    assert (made.arrays[0].shape, made.rate, made.names) == (array.shape, RATE, ["a"])
    np.testing.assert_allclose(made.arrays[0], array, atol=1e-6)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 192_000])
def test_rate_length_and_channels_come_back(rate: int) -> None:
    sound = Audio([tone(0.3, rate, 2)], rate, ["a"])
    made = through(processor(channels=1), sound, lambda x: x)
    assert (made.arrays[0].shape, made.rate) == (sound.arrays[0].shape, rate)
    middle = slice(rate // 20, -rate // 20)
    np.testing.assert_allclose(made.arrays[0][:, middle], sound.arrays[0][:, middle], atol=5e-3)


def test_a_network_for_mono_keeps_stereo_apart() -> None:
    sound = Audio([np.stack([np.full(900, 0.5), np.zeros(900)]).astype(np.float32)], RATE)
    made = through(processor(channels=1, length=256), sound, lambda x: x / 2)
    np.testing.assert_allclose(made.arrays[0], sound.arrays[0] / 2, atol=1e-6)


def test_windows_fade_into_each_other() -> None:
    sound = Audio([np.zeros((1, 1000), np.float32)], RATE)
    answers = iter(np.linspace(-1, 1, 100, dtype=np.float32))
    made = through(processor(length=200), sound, lambda x: x + next(answers))
    steps = np.abs(np.diff(made.arrays[0]))
    assert steps.max() < 2 / 99 / 25, "no step between windows that answer otherwise"
    assert made.arrays[0][0, -1] > made.arrays[0][0, 0]


def test_what_is_longer_than_a_window_goes_through_in_windows() -> None:
    for length, expected in ((300, [300]), (301, [300, 300]), (900, [300] * 4)):
        sound = Audio([np.linspace(-1, 1, length, dtype=np.float32)[None]], RATE)
        subject = processor(channels=1, window=300)
        prepared = subject.prepare(sound)
        lengths = [array.shape[1] for array in prepared.arrays]
        assert (lengths, prepared.lengths, subject.lengths(sound)) == (expected, (300,), (300,))
        assert np.allclose(subject.restore(prepared.arrays, prepared).arrays[0], sound.arrays[0], atol=1e-6)


def test_a_network_may_raise_the_rate() -> None:
    low, high = Format(kind="audio", rate=8_000), Format(kind="audio", rate=16_000)
    for sound in (tone(0.25, 8_000), tone(0.25, 32_000)):
        rate = sound.shape[1] * 4
        made = through(AudioProcessor(low, high), Audio([sound], rate), lambda x: np.repeat(x, 2, 1))
        assert (made.rate, made.arrays[0].shape) == (16_000, (2, 4000))
    with pytest.raises(RegistryError, match="must be a multiple"):
        AudioProcessor(high, low)


def test_what_a_network_overshoots_is_clipped() -> None:
    made = through(processor(), Audio([tone()], RATE), lambda x: 9 * x)
    assert np.abs(made.arrays[0]).max() == 1


def test_examples_are_what_the_network_takes() -> None:
    for facts in ({}, {"length": 300}, {"channels": 2, "multiple": 100}):
        subject = processor(**facts)
        for n in (1, 2):
            made = subject.example_samples(n)
            assert len({array.tobytes() for array in made.arrays}) == n
            assert all(array.shape[1] % facts.get("multiple", 1) == 0 for array in made.arrays)
        for group in subject.probe_samples():
            assert len({array.shape for array in group.arrays}) == 1


class Denoiser(Autoencoder):
    """Toy: a quarter of the samples as code, by averages; sound ``(N, 1, T)`` in [-1, 1] of any length."""

    receptive_radius = 4

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((1, 1, 4), 0.25))

    def encode(self, x: Tensor) -> Tensor:
        """Sound ``(N, 1, T)`` in [-1, 1] to codes ``(N, 1, T / 4)``."""
        return conv1d(x, self.weight, stride=4)

    def decode(self, z: Tensor) -> Tensor:
        """Codes ``(N, 1, T / 4)`` to sound ``(N, 1, T)`` in [-1, 1]."""
        return z.repeat_interleave(4, 2)


class Drums(Generator):
    """Toy: beats of 512 samples, ``(N, 2, 512)`` in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.latent_shape = (3,)
        self.linear = torch.nn.Linear(3, 1024)

    def decode(self, z: Tensor) -> Tensor:
        """Latents ``(N, 3)`` to sound ``(N, 2, 512)`` in [-1, 1]."""
        return torch.tanh(self.linear(z)).unflatten(1, (2, 512))


@pytest.fixture
def sounds(toys: Registry) -> None:
    torch.manual_seed(0)
    mono = {"kind": "audio", "channels": 1, "rate": RATE}
    toys.add(
        "denoiser",
        Denoiser(),
        verbs=["reconstruct"],
        encoder=True,
        checkpoint={"input": {**mono, "multiple": 4}, "output": mono},
    )
    beat = {"kind": "audio", "channels": 2, "rate": 8000, "length": 512}
    toys.add("drums", Drums(), verbs=["generate"], checkpoint={"output": beat})


@pytest.mark.parametrize("name", ["denoiser", "drums"])
def test_models_of_sound_keep_the_contract(sounds: None, name: str) -> None:
    assert not broken_rules(name)


def test_a_model_of_sound(sounds: None, tmp_path: Path) -> None:
    model = zoo.load("denoiser")
    for sound in (Audio([tone(0.2, RATE, 2)], RATE, ["a"]), Audio([tone(0.2, 44_100, 8)], 44_100, ["a"])):
        made = model.reconstruct(sound)
        assert (made.names, made.rate) == (["a"], sound.rate)
        assert made.arrays[0].shape == sound.arrays[0].shape
    long = Audio([np.random.default_rng(0).uniform(-1, 1, (1, 20_001)).astype(np.float32)], RATE)
    whole, parts = (model.reconstruct(long, tile=tile).arrays[0] for tile in (None, 1000))
    np.testing.assert_allclose(whole, parts, atol=1e-6)
    model.reconstruct_to(long, tmp_path / "long.flac")
    np.testing.assert_allclose(Audio.of(tmp_path / "long.flac").arrays[0], whole, atol=1 / 32_000)
    with pytest.raises(InputError, match="Images holds images, and no sounds"):
        model.reconstruct(zoo.Images.of(np.zeros((4, 4, 3), np.uint8)))
    with pytest.raises(InputError, match="has no rate"):
        model.reconstruct(tone())
    beats = zoo.load("drums").generate(5, seed=3)
    assert (len(beats), beats.seed, beats.rate, beats.numpy().shape) == (5, 3, 8000, (5, 2, 512))


def test_the_command_takes_sound(sounds: None, tmp_path: Path, zoo_command: Callable[..., Result]) -> None:
    folder = tmp_path / "in"
    Audio([tone(0.2, 44_100, 2)], 44_100, ["noisy"]).save(folder)
    (folder / "notes.txt").write_text("no sound")
    done = zoo_command("reconstruct", "denoiser", folder / "noisy.wav", "-o", tmp_path / "clean.wav")
    assert (done.exit_code, done.stderr) == (0, f"{tmp_path}/clean.wav: 1 sound\n")
    clean = Audio.of(tmp_path / "clean.wav")
    assert (clean.rate, clean.arrays[0].shape) == (44_100, (2, 8820))
    done = zoo_command("reconstruct", "denoiser", folder, "-o", tmp_path / "out", "--format", "flac", "--json")
    assert (json.loads(done.stdout)["sounds"], json.loads(done.stdout)["left_out"][0]["reason"]) == (1, "not a sound")
    assert Audio.of(tmp_path / "out" / "noisy.flac").rate == 44_100
    wav = (folder / "noisy.wav").read_bytes()
    piped = zoo_command("reconstruct", "denoiser", "-", "-o", "-", "--bits", 24, input=wav)
    assert Audio.of(piped.stdout_bytes).arrays[0].shape == (2, 8820)
    done = zoo_command("generate", "drums", "-n", 3, "--seed", 1, "-o", tmp_path / "beats/")
    assert [path.name for path in sorted((tmp_path / "beats").iterdir())] == ["0000.wav", "0001.wav", "0002.wav"]
    assert zoo_command("generate", "drums", "-n", 2, "-o", tmp_path / "two.ogg").exit_code == 0
    (folder / "broken.wav").write_bytes(wav[:500])
    done = zoo_command("reconstruct", "denoiser", folder, "-o", tmp_path / "again")
    assert done.exit_code == 1
    assert "1 of 2 inputs failed, the rest is written" in done.stderr
    assert "broken.wav: damaged or cut off" in done.stderr
    assert (tmp_path / "again" / "noisy.wav").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.wav", "-o", "a.png"), "sounds are not written as .png: use .wav, .flac, .ogg, or a folder"),
        (("a.wav", "-o", "b.wav", "--bits", "16", "--format", "flac"), "give b.flac"),
        (("missing.wav", "-o", "b.wav"), "missing.wav does not exist"),
        (("a.wav", "-o", "a.wav"), "a.wav is an input and would be overwritten"),
        (("folder", "-o", "b.wav"), "folder holds no sounds: give WAV"),
        (("a.txt", "-o", "b.wav"), "a.txt: not a sound, whatever the name says"),
    ],
)
def test_what_the_command_refuses_of_sound(
    sounds: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    zoo_command: Callable[..., Result],
    arguments: Any,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.txt").write_text("no sound at all")
    Audio([tone(0.1)], RATE).save("a.wav")
    done = zoo_command("reconstruct", "denoiser", *arguments)
    assert done.exit_code in (1, 2)
    assert message in done.stderr
    assert not (tmp_path / "b.wav").exists()
