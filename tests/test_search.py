"""Search: what is nearest, files that change, builds that break off, indexes of others."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from conftest import Dots, Registry
from PIL import Image
from safetensors.numpy import load_file, save_file
from test_tasks import GREY, AnySize, Tiny

import zoo
from zoo.errors import InputError, MediaError, UnknownNameError, VerbError, ZooError
from zoo.jobs import codes as codes_of_files
from zoo.jobs.codes import Encoded
from zoo.jobs.files import Work
from zoo.media.inputs import named_inputs
from zoo.metrics.retrieval import retrieval_precision
from zoo.registry import index as registry_index
from zoo.tasks import neighbours, search
from zoo.tasks.index_file import checksum, part_of
from zoo.tasks.index_rows import state_of
from zoo.tasks.search import Index

pytest.importorskip("faiss")
Command = Callable[..., Result]


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """The registry with `tiny`, `white`, whose codes are compared whitened, `any-size`, and `dots` without encoder."""
    made = Registry(tmp_path_factory.mktemp("toys") / "toys")
    registry_index.registry.cache_clear()
    both = {"input": GREY, "output": GREY}
    made.add("tiny", Tiny(), verbs=["reconstruct"], encoder=True, checkpoint=both)
    other = Tiny()
    torch.nn.init.ones_(other.down.weight)
    white = {"tasks": {"index": {"metric": "mahalanobis"}}}
    made.add("white", other, verbs=["reconstruct"], encoder=True, checkpoint={**both, **white})
    free = {"input": {"kind": "image", "channels": 3, "multiple": 2}, "output": {"kind": "image", "channels": 3}}
    made.add("any-size", AnySize(), verbs=["reconstruct"], encoder=True, checkpoint=free)
    made.add("dots", Dots(), verbs=["generate"], checkpoint={"output": GREY})
    yield made
    registry_index.registry.cache_clear()


@pytest.fixture
def model(toys: Registry) -> Any:
    return zoo.load("tiny")


def draw(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8)).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed in range(6):
        draw(tmp_path / "photos" / f"{seed}.png", seed)
    return tmp_path / "photos"


def grey(n: int, seed: int = 0) -> zoo.Images:
    return zoo.Images(list(np.random.default_rng(seed).random((n, 1, 8, 8), dtype=np.float32)))


def counted(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all files that are encoded from now on."""
    seen: list[str] = []
    plain = codes_of_files.encode

    def encode(*args: Any, **keywords: Any) -> Iterator[Encoded]:
        for one in plain(*args, **keywords):
            seen.append(one.job.source.name)
            yield one

    monkeypatch.setattr(search, "encode", encode)
    return seen


# What is nearest.


def test_the_nearest_are_those_with_the_least_distance(model: Any) -> None:
    images, queries = grey(200), grey(7, 1)
    index = Index.build(model, images, metric="euclidean")
    with torch.inference_mode():
        codes, wanted = (model.encode(x.tensor * 2 - 1).numpy() for x in (images, queries))
    distances = np.linalg.norm(codes[None] - wanted[:, None], axis=2)
    results = index.query(queries, 5)
    for row, hits in zip(distances, results, strict=True):
        assert [hit.row for hit in hits] == np.argsort(row)[:5].tolist()
        assert np.allclose([hit.distance for hit in hits], np.sort(row)[:5], atol=1e-4)
        assert [hit.name for hit in hits] == [f"{hit.row:04d}" for hit in hits]
        assert {hit.file for hit in hits} == {""}
        assert state_of(index.rows, hits[0]) == ""
    assert len(index.query(images[3], 1000)[0]) == 200
    assert index.recall == 1


def test_the_angle_between_codes(model: Any) -> None:
    index = Index.build(model, grey(50))
    assert index.metric == "cosine"
    query = index._codes(grey(1, 5))[0]
    cosines = index.codes @ query / np.linalg.norm(index.codes, axis=1) / np.linalg.norm(query)
    (hits,) = index.hits(3 * query[None], 5)
    assert [hit.row for hit in hits] == np.argsort(-cosines)[:5].tolist()
    assert np.allclose([hit.distance for hit in hits], np.sort(1 - cosines)[:5], atol=1e-6)


def test_whitened_distances(toys: Registry) -> None:
    index = Index.build(zoo.load("tiny"), grey(300), metric="mahalanobis")
    fit = index._fitted()
    seen = fit.transformed(index.codes)
    assert np.allclose(np.cov(seen.T), np.eye(5), atol=1e-3)
    (hits,) = index.query(grey(1, 5), 3)
    query = fit.transformed(index._codes(grey(1, 5)))
    assert hits[0].distance == pytest.approx(float(np.linalg.norm(seen - query, axis=1).min()), abs=1e-4)
    white = Index.build(zoo.load("white"), grey(4))
    assert white.metric == "mahalanobis", "as the stanza says"
    assert np.isfinite([hit.distance for hit in white.query(grey(2), 4)[0]]).all(), "with one direction only"
    assert Index.build(zoo.load("white"), grey(4), metric="cosine").metric == "cosine"
    with pytest.raises(InputError, match="Mahalanobis distances need images that differ: add some"):
        Index.build(zoo.load("tiny"), grey(1), metric="mahalanobis").query(grey(1))
    with pytest.raises(InputError, match="metric cannot be 'manhattan': choose one of euclidean, cosine, mahalanobis"):
        Index(zoo.load("tiny"), metric="manhattan")


def test_many_codes_are_searched_in_lists(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "EXACT", 1_000)
    index = Index.build(model, grey(3_000), metric="euclidean")
    assert index.recall >= neighbours.RECALL
    assert len(index._fitted().centres) == 2 * 54
    index.save(tmp_path / "a.index")
    queries = index._codes(grey(50, 1))
    exact = np.argsort(np.linalg.norm(index.codes[None] - queries[:, None], axis=2), 1)[:, :10]
    rows = index.nearest(queries)[1]
    assert np.mean([np.isin(a, b).mean() for a, b in zip(exact, rows, strict=True)]) > 0.95
    assert (index.nearest(queries, 3_000)[1] >= 0).all(), "more than some lists hold"
    monkeypatch.setattr(neighbours, "_centres", None)  # nothing is learnt again
    again = Index.load(tmp_path / "a.index", model)
    assert (again.nearest(queries)[1] == rows).all()
    again.add(grey(100, 2))
    assert again.hits(again.codes[3_050:3_051], 1)[0][0].row == 3_050


def test_an_index_takes_arrays_with_and_without_names(model: Any) -> None:
    index = Index.build(model, grey(3).numpy().transpose(0, 2, 3, 1), names=["a", "b", "c"])
    index.add(grey(2, 1))
    assert index.names == ["a", "b", "c", "0003", "0004"]
    assert index.remove("b") == 1
    assert index.remove(["a", "0003"]) == 2
    assert index.names == ["c", "0004"]
    assert index.query(grey(2, 1)[1], 1)[0][0].name == "0004"
    for wrong, said in (("d", "holds no 'd'"), (["c", "x"], "holds no 'x'")):
        with pytest.raises(UnknownNameError, match=said):
            index.remove(wrong)
    with pytest.raises(InputError, match=r"There are 1 names for 2 images"):
        index.add(grey(2), names=["a"])


def test_images_of_several_sizes_through_a_network_of_any_size(toys: Registry) -> None:
    images = zoo.Images.of([np.random.default_rng(n).random((20 + 10 * n, 40, 3)) for n in range(3)])
    index = Index.build(zoo.load("any-size"), images)
    assert index.codes.shape == (3, 3 * 64 * 64)
    assert index.query(images[1], 1)[0][0].row == 1


def test_precision() -> None:
    codes = np.array([[0.0], [1.0], [2.0], [10.0], [11.0]], np.float32)
    labels = np.array([0, 0, 1, 1, 1])
    assert retrieval_precision(codes[:1], labels[:1], codes, labels, 3) == pytest.approx(2 / 3)
    assert retrieval_precision(codes[3:], labels[3:], codes, labels, 3) == 1
    with pytest.raises(InputError, match="give at least 6"):
        retrieval_precision(codes, labels, codes, labels, 6)


# Files.


def test_only_what_is_new_or_changed_is_encoded(
    model: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.index"
    seen = counted(model, monkeypatch)
    first = Index.build(model, photos, path=path)
    assert len(seen) == 6
    Index.build(model, photos, path=path)
    os.utime(photos / "0.png", ns=(1, 1))  # another time, the same content
    Index.build(model, photos, path=path)
    assert len(seen) == 6
    draw(photos / "1.png", 100)
    draw(photos / "6.png", 6)
    (photos / "sub").mkdir()
    (photos / "2.png").rename(photos / "sub" / "moved.png")
    (photos / "3.png").unlink()
    index = Index.load(path, model)
    changes = index.update(named_inputs("image", photos), partial(search.encode, model=model, work=Work()))
    assert seen[6:] == ["1.png", "6.png"]
    assert changes.changed == [str(photos / "1.png")]
    assert changes.new == [str(photos / "6.png")]
    assert changes.moved == {str(photos / "sub" / "moved.png"): str(photos / "2.png")}
    assert changes.gone == [str(photos / "3.png")]
    assert changes.kept == 3
    fresh = Index.build(model, photos)
    assert index.names == fresh.names == ["0", "1", "4", "5", "6", "sub/moved"]
    assert np.allclose(index.codes, fresh.codes, atol=1e-6)
    assert first.names == ["0", "1", "2", "3", "4", "5"]


def test_files_are_added_and_taken_out(model: Any, photos: Path) -> None:
    index = Index.build(model, [photos / "0.png", photos / "1.png"])
    index.add(photos / "2.png")
    (photos / "0.png").unlink()  # which stays in the index
    index.add([photos / "3.png", photos / "2.png"])
    assert sorted(index.names) == ["0", "1", "2", "3"]
    assert index.remove(str(photos / "0.png")) == 1
    with pytest.raises(InputError, match="Files have names"):
        index.add(photos, names=["a"])
    (photos / "bad.png").write_bytes(b"no image")
    with pytest.raises(MediaError, match=r"bad.png"):
        index.add(photos)


def test_a_build_that_broke_off_goes_on(
    model: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.index"
    plain = codes_of_files.encode

    def breaks(jobs: Any, failed: Any, tick: Any, **keywords: Any) -> Iterator[Encoded]:
        for number, one in enumerate(plain(jobs, failed, tick, **keywords)):
            if number == 4:
                raise KeyboardInterrupt
            yield one

    monkeypatch.setattr(search, "encode", breaks)
    with pytest.raises(KeyboardInterrupt):
        Index.build(model, photos, path=path)
    assert not path.exists()
    monkeypatch.setattr(search, "encode", plain)
    seen = counted(model, monkeypatch)
    index = Index.build(model, photos, path=path)
    assert seen == ["4.png", "5.png"]
    assert not part_of(path).exists()
    fresh = Index.build(model, photos)
    assert index.names == fresh.names
    assert np.allclose(index.codes, fresh.codes, atol=1e-6)


def test_what_is_done_is_written_now_and_then(
    model: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "EVERY", 0.0)
    sizes = []
    plain = search.write
    monkeypatch.setattr(search, "write", lambda stored, path: (sizes.append(len(stored.rows)), plain(stored, path)))
    Index.build(model, photos, path=tmp_path / "a.index")
    assert sizes == [1, 2, 3, 4, 5, 6, 6]


def test_a_bad_file_costs_no_other(model: Any, photos: Path) -> None:
    (photos / "2.png").write_bytes(b"no image")
    said: list[str] = []
    index = Index.build(model, photos, warn=said.append)
    assert index.names == ["0", "1", "3", "4", "5"]
    assert len(said) == 1
    assert "2.png" in said[0]
    for path in photos.iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(MediaError, match=r"0.png"):
        Index.build(model, photos)


def test_workers_make_the_same_index(model: Any, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes to workers on a cluster and comes back; tests/test_ray.py has a cluster."""
    from zoo.jobs import ray

    def rows(verb: str, jobs: Any, loading: Any, work: Any, seed: int, at_once: int) -> Iterator[dict[str, Any]]:
        worker = ray.Worker(verb, loading, work, seed)
        for part in (jobs[3:], jobs[:3]):  # as they are done
            yield {key: column[0] for key, column in worker({"jobs": [ray._row(part)]}).items()}

    monkeypatch.setattr(ray, "_rows", rows)
    (photos / "2.png").write_bytes(b"no image")
    encode = partial(ray.encode, loading={"name": "tiny"}, work=Work())
    index = Index(model)
    changes = index.update(named_inputs("image", photos), encode)
    assert len(changes.failed) == 1
    assert "2.png" in changes.failed[0]
    local = Index.build(model, photos, warn=lambda text: None)
    assert index.names == local.names
    assert (index.rows.digests == local.rows.digests).all()
    assert np.allclose(index.codes, local.codes, atol=1e-6)


# The file.


def test_an_index_is_saved_and_loaded(model: Any, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.index"
    made = Index.build(model, photos, metric="mahalanobis")
    made.save(path)
    again = Index.load(path)
    assert again.names == made.names
    assert again.metric == "mahalanobis"
    assert again.weights == zoo.info("tiny").sha256
    assert [hit[:3] for hit in again.query(photos / "3.png", 3)[0]] == [
        hit[:3] for hit in made.query(photos / "3.png", 3)[0]
    ]
    assert again.query(photos / "3.png", 1)[0][0].file == str(photos / "3.png")
    assert repr(again) == "<index of 6 codes of tiny.toy>"


def test_another_model_is_refused(toys: Registry, model: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.index"
    Index.build(model, grey(3), path=path)
    other = zoo.load("white")
    said = (
        rf"a\.index is of tiny\.toy \(sha256 {zoo.info('tiny').sha256[:12]}\.\.\.\).* white\.toy .*make another index"
    )
    for refused in (partial(Index.load, path, other), partial(Index.build, other, grey(3), path=path)):
        with pytest.raises(InputError, match=said):
            refused()
    trained = zoo.load("tiny").train().eval()
    with torch.no_grad():
        trained.down.weight += 1
    with pytest.raises(InputError, match="cannot be compared"):
        Index.load(path, trained)
    with pytest.raises(VerbError, match="dots has no encoder here, which search needs"):
        Index.build(zoo.load("dots"), grey(3))


def test_a_network_without_a_name(tmp_path: Path) -> None:
    network = AnySize().eval()
    index = Index.build(network, grey(3), path=tmp_path / "a.index")
    assert index.address == ""
    with pytest.raises(InputError, match="give it, Index"):
        Index.load(tmp_path / "a.index").query(grey(1))
    assert len(Index.load(tmp_path / "a.index", network).query(grey(1))[0]) == 3


def test_what_is_no_index_is_refused_and_kept(model: Any, tmp_path: Path) -> None:
    photo = draw(tmp_path / "a.png", 0)
    with pytest.raises(InputError, match="is no index: name a file"):
        Index.load(photo)
    with pytest.raises(InputError, match="does not exist: `zoo index NAME FOLDER"):
        Index.load(tmp_path / "b.index")
    index = Index.build(model, grey(2))
    for place in (photo, tmp_path):
        with pytest.raises(InputError, match="is there and is no index"):
            index.save(place)
    with Image.open(photo) as kept:
        assert kept.size == (8, 8)


@pytest.mark.parametrize(
    "name", ["table", "stamps", "digests", "codes", "mean", "matrix", "lists", "centres", "numbers"]
)
def test_a_damaged_index_is_said(name: str, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors import safe_open

    monkeypatch.setattr(neighbours, "EXACT", 20)
    path = tmp_path / "a.index"
    Index.build(model, grey(40), path=path, metric="mahalanobis")
    arrays = load_file(path)
    with safe_open(path, "numpy") as file:
        facts = file.metadata()
    for wrong in (arrays[name][:-1], arrays[name].astype(np.float64) * np.nan, arrays[name][None]):
        crafted = {**arrays, name: np.ascontiguousarray(wrong)}
        save_file(crafted, path, {**facts, "crc32": checksum(facts, crafted)})
        with pytest.raises(MediaError, match="cannot be read, it is damaged: delete it, and build it anew"):
            Index.load(path)
    save_file(arrays, path, {**facts, "index": "1"})  # which has no checksum
    with pytest.raises(InputError, match="another version of the zoo: delete it, and build it anew with `zoo index`"):
        Index.load(path)


def test_any_damage_of_an_index_is_seen(model: Any, tmp_path: Path, zoo_command: Command) -> None:
    path, photo = tmp_path / "a.index", draw(tmp_path / "a.png", 0)
    Index.build(model, grey(3), path=path)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for place in range(header, len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(bytes(damaged))
        with pytest.raises(MediaError, match="it is damaged"):
            Index.load(path)
    path.write_bytes(content.replace(b'"cosine"', b'"kosine"'))
    asked = zoo_command("search", path, photo)
    assert asked.exit_code == 1
    assert "it is damaged: delete it, and build it anew with `zoo index`." in asked.stderr


def test_wrong_numbers_and_empty_indexes(model: Any) -> None:
    index = Index(model)
    with pytest.raises(InputError, match="The index is empty: add samples first"):
        index.query(grey(1))
    index.add(grey(2))
    with pytest.raises(InputError, match="k must be a whole number from 1, not 0"):
        index.query(grey(1), 0)
    with pytest.raises(InputError, match=r"codes of this index have 5 numbers"):
        index.nearest(np.zeros((1, 4), np.float32))
    with pytest.raises(InputError, match="does not exist"):
        index.add("nowhere/photo.png")


def test_faiss_is_asked_for(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(ZooError, match=r"pip install 'generative-zoo\[search\]'"):
        Index.build(model, grey(2)).query(grey(1))


# The commands.


def test_the_commands(toys: Registry, photos: Path, tmp_path: Path, zoo_command: Command) -> None:
    path = tmp_path / "photos" / "a.index"  # in the folder itself: it is no image
    (photos / "note.txt").write_text("no image")
    made = zoo_command("index", "tiny", photos, "-o", path)
    assert made.exit_code == 0, made.stderr
    assert made.stderr == f"{path}: 6 codes of 5 numbers, 6 new, left out 1 file\n"
    draw(photos / "1.png", 100)
    (photos / "2.png").rename(photos / "7.png")
    asked = zoo_command("search", path, photos / "0.png", photos / "7.png", "-k", "6", "-o", tmp_path / "near.png")
    assert asked.exit_code == 0, asked.stderr
    assert asked.stdout.splitlines()[1].split() == ["0.0000", str(photos / "0.png")]
    assert f"{photos / '1.png'} (changed)" in asked.stderr
    assert f"{photos / '2.png'} (gone)" in asked.stderr
    with Image.open(tmp_path / "near.png") as sheet:
        assert sheet.size == (7 * 10 - 2, 2 * 10 - 2)
    again = zoo_command("index", "tiny", photos, "-o", path, "--json")
    facts = json.loads(again.stdout)
    assert (facts["changed"], facts["new"], facts["kept"]) == ([str(photos / "1.png")], [], 4)
    assert facts["moved"] == {str(photos / "7.png"): str(photos / "2.png")}
    asked = zoo_command("search", path, photos / "7.png", "-k", "1", "--json")
    (result,) = json.loads(asked.stdout)["results"]
    assert result["query"] == str(photos / "7.png")
    assert result["hits"] == [
        {"name": "7", "file": str(photos / "7.png"), "distance": pytest.approx(0, abs=1e-4), "state": ""}
    ]


def test_files_of_other_folders_are_not_called_gone(
    toys: Registry, photos: Path, tmp_path: Path, zoo_command: Command
) -> None:
    path, other = tmp_path / "a.index", tmp_path / "other"
    draw(other / "6.png", 6)
    (other / "copy.png").write_bytes((photos / "0.png").read_bytes())
    zoo_command("index", "tiny", photos, "-o", path)
    (photos / "1.png").unlink()
    made = zoo_command("index", "tiny", other, "-o", path)
    assert made.stderr.splitlines()[0] == f"{path}: 2 codes of 5 numbers, 2 new, 1 gone, 5 no longer indexed"
    assert f"  gone: {photos / '1.png'}\n" in made.stderr
    assert f"  no longer indexed: {photos / '0.png'}\n" in made.stderr
    assert "moved" not in made.stderr
    facts = json.loads(zoo_command("index", "tiny", photos, "-o", path, "--json").stdout)
    assert (facts["gone"], facts["moved"]) == ([], {})
    assert sorted(facts["dropped"]) == [str(other / "6.png"), str(other / "copy.png")]


def test_a_bad_file_is_named_at_the_end(toys: Registry, photos: Path, tmp_path: Path, zoo_command: Command) -> None:
    (photos / "2.png").write_bytes(b"no image")
    made = zoo_command("index", "tiny", photos, "-o", tmp_path / "a.index")
    assert made.exit_code == 1
    assert "1 of 6 files failed, the rest is in the index:" in made.stderr
    assert len(Index.load(tmp_path / "a.index")) == 5
    asked = zoo_command("search", tmp_path / "a.index", photos, "-k", "1")
    assert asked.exit_code == 1
    assert "1 of 6 queries failed" in asked.stderr


def test_what_a_folder_of_queries_holds_else_is_said(
    toys: Registry, photos: Path, tmp_path: Path, zoo_command: Command
) -> None:
    path = tmp_path / "a.index"
    zoo_command("index", "tiny", photos, "-o", path)
    (photos / "note.txt").write_text("no image")
    (photos / ".zoo-inputs.json").write_text("{}")
    assert "Note: left out 1 file: note.txt (not an image)\n" in zoo_command("search", path, photos).stderr
    facts = json.loads(zoo_command("search", path, photos, "--json").stdout)
    assert facts["left_out"] == [{"file": str(photos / "note.txt"), "reason": "not an image"}]


def test_an_index_does_not_choose_what_is_loaded_from_where(
    toys: Registry, photos: Path, tmp_path: Path, zoo_command: Command
) -> None:
    index = Index.build(zoo.load("tiny"), photos)
    index.address = "hf-hub:some/body"
    index.save(tmp_path / "far.index")
    asked = zoo_command("search", tmp_path / "far.index", photos / "0.png")
    assert asked.exit_code == 2
    assert "far.index: its model has no name in the registry: give --model hf-hub:some/body, if you" in asked.stderr
    assert zoo_command("search", tmp_path / "far.index", photos / "0.png", "--model", "tiny").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("index", "dots", "photos", "-o", "b.index"), "dots has no encoder, which search needs: use an autoencoder."),
        (("index", "white", "photos", "-o", "a.index"), "a.index is of tiny.toy"),
        (("index", "tiny", "nowhere", "-o", "b.index"), "nowhere does not exist."),
        (("index", "tiny", "-", "-o", "b.index"), "Search reads no standard input"),
        (("index", "tiny", "photos", "-o", "photos"), "photos is there and is no index: choose another output."),
        (("index", "tiny", "photos", "-o", "photos/0.png"), "photos/0.png is an input and would be overwritten"),
        (("index", "tiny", "photos", "-o", "b.index", "--batch-size", "0"), "batch_size must be a whole number"),
        (("search", "photos/0.png", "photos/0.png"), "photos/0.png is no index: name a file that `zoo index` wrote."),
        (("search", "b.index", "photos/0.png"), "b.index does not exist: `zoo index NAME FOLDER -o b.index`"),
        (("search", "a.index", "photos/0.png", "-k", "0"), "k must be a whole number from 1, not 0."),
        (("search", "a.index", "photos/0.png", "-o", "out/"), "-o takes the name of one image here"),
        (("search", "a.index", "nowhere.png"), "nowhere.png does not exist."),
        (("search", "a.index", "photos", "-o", "photos/0.png"), "photos/0.png is an input and would be overwritten"),
    ],
)
def test_bad_input(
    arguments: tuple[str, ...],
    said: str,
    toys: Registry,
    photos: Path,
    tmp_path: Path,
    zoo_command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Index.build(zoo.load("tiny"), "photos", path="a.index")
    done = zoo_command(*arguments)
    assert done.exit_code == 2, done.stderr
    assert said in done.stderr
    assert not Path("b.index").exists()
