"""Folder in, folder of exact solids out: resumable, nothing half-written, the input untouched, failures told."""

import csv
import errno
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import tarfile
import time
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from labelled_faces import render, save_image, save_mat, save_model
from PIL import Image

from tddfa import load_volume, save_volume, voxelize
from tddfa.crop import crop_matrix, transform_points
from tddfa.fitters import CropFitter, Fit, FitterChoice, NoFaceError, PhotoFitter
from tddfa.geometry import decompose, project
from tddfa.images import read_photo
from tddfa.morphable import MorphableModel
from tddfa.target_folder import find_pairs
from tddfa.targets import make_targets
from vrnlib import cli
from vrnlib.metrics import iou
from vrnlib.training.augment import Augmentation
from vrnlib.training.pairs import PairMaker, ShardPairs

COUNT = 3


@lru_cache(maxsize=1)
def open_model() -> MorphableModel:
    return MorphableModel.open()


@dataclass(frozen=True)
class TruthChoice:
    """Fits by looking up the vertices of a rendered face; a stand-in for the networks, picklable like the real one."""

    folder: Path
    cropped: bool = False
    mark: str = "truth"

    def build(self):
        return TruthFitter(self)


class TruthFitter:
    companion = None

    def __init__(self, choice):
        self.folder, self.cropped = choice.folder, choice.cropped
        self.settings = {"mark": choice.mark}
        self.model = open_model()
        self.coefficients = np.zeros(self.model.w_shp.shape[1]), np.zeros(self.model.w_exp.shape[1])

    def __call__(self, image, path):
        truth = self.folder / f"{path.stem}.npy"
        if not truth.exists():
            raise NoFaceError(f"Expected a face in {path.name}, found none.")
        return Fit(np.load(truth), *self.coefficients)


@dataclass(frozen=True)
class DeadlyChoice(TruthChoice):
    """Its fitter takes the worker process down with it."""

    def build(self):
        return DeadlyFitter(self)


class DeadlyFitter(TruthFitter):
    def __call__(self, image, path):
        os._exit(3)


@pytest.fixture(scope="module")
def samples():
    return render(COUNT)


@pytest.fixture(scope="module")
def truth(samples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("truth")
    for number, sample in enumerate(samples):
        np.save(folder / f"face{number}.npy", sample.vertices)
    return folder


@pytest.fixture
def photos(samples, tmp_path):
    """Photos as in 300W-LP: a subfolder, pictures beside other files."""
    folder = tmp_path / "photos"
    for number, sample in enumerate(samples):
        save_image(folder / ("AFW" if number % 2 else "") / f"face{number}.png", sample)
    (folder / "readme.txt").write_text("about")
    return folder


def snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file's hash and time."""
    return {
        path.relative_to(folder).as_posix(): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def make(photos, out, choice, **options):
    pictures = [path for path in photos.rglob("*") if path.suffix in (".png", ".jpg")]
    return make_targets(pictures, out, root=photos, read=read_photo, choice=choice, progress=False, **options)


def table(path: Path) -> list[tuple[str, ...]]:
    with open(path, newline="") as file:
        return [tuple(row) for row in csv.reader(file)]


def test_targets_are_the_exact_solids_of_the_crops(photos, samples, truth, tmp_path):
    before, out = snapshot(photos), tmp_path / "out"
    summary = make(photos, out, TruthChoice(truth))
    assert len(summary.made) == COUNT and not summary.kept and not summary.failures
    for number, sample in enumerate(samples):
        name = f"{'AFW/' if number % 2 else ''}face{number}"
        volume, offset, meta = load_volume(out / f"{name}.npz")
        assert volume.shape == (200, 192, 192) and np.isfinite(offset)
        assert iou(volume, sample.volume()) > 0.998  # the crop's scale is 1 but for rounding
        crop = np.asarray(Image.open(out / f"{name}.png")).astype(int)
        assert np.abs(crop - sample.crop().image).mean() < 0.5
        assert np.abs(np.array(meta["landmarks"]) - sample.crop().landmarks)[:, :2].max() < 0.01
        assert np.allclose(meta["matrix"], [[1, 0, -32], [0, 1, -32]], atol=0.01)
    assert snapshot(photos) == before
    assert table(out / "failures.csv") == [("picture", "reason")] and not (out / "pairs.csv").exists()


def test_a_targets_parameters_give_its_landmarks_back(photos, samples, truth, tmp_path, monkeypatch):
    model, matrix = open_model(), np.array([[0.6, 0.1, 0, 95], [0.1, -0.6, 0.05, 90], [0, 0, 0.6, 3]])
    _, shape, expression = decompose(samples[0].parameters)
    fit = Fit(model.reconstruct(shape, expression) @ matrix[:, :3].T + matrix[:, 3], shape, expression)
    monkeypatch.setattr(TruthFitter, "__call__", lambda self, image, path: fit)
    make(photos, tmp_path / "out", TruthChoice(truth))
    meta = load_volume(tmp_path / "out" / "face0.npz")[2]
    found = decompose(np.float32(meta["parameters"]))
    face = model.landmarks(model.reconstruct(found.shape, found.expression))
    assert np.allclose(face @ found.matrix[:, :3].T + found.matrix[:, 3], meta["landmarks"], atol=0.01)


def test_a_second_run_keeps_what_is_valid_and_makes_the_rest(photos, samples, truth, tmp_path):
    out, choice = tmp_path / "out", TruthChoice(truth)
    make(photos, out, choice)
    first = snapshot(out)
    assert len(make(photos, out, choice).kept) == COUNT
    assert {k: v for k, v in snapshot(out).items() if k != "failures.csv"} == {
        k: v for k, v in first.items() if k != "failures.csv"
    }
    whole = (out / "face0.npz").read_bytes()
    (out / "face0.npz").write_bytes(whole[: len(whole) // 2])  # cut off
    save_image(photos / "AFW" / "face1.png", samples[1].crop())  # another picture
    summary = make(photos, out, choice)
    assert summary.made == ["AFW/face1.png", "face0.png"] and summary.kept == ["face2.png"]
    assert (out / "face0.npz").read_bytes() == whole
    (out / "face2.png").write_bytes(b"not the crop")
    assert make(photos, out, choice).made == ["face2.png"]
    assert len(make(photos, out, TruthChoice(truth, mark="other settings")).made) == COUNT


def test_failures_are_listed_and_retried(photos, samples, truth, tmp_path):
    out, choice = tmp_path / "out", TruthChoice(truth)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    save_image(photos / "stranger.png", samples[0])
    summary = make(photos, out, choice, keep_pairs=True)
    assert len(summary.made) == COUNT
    listed = dict(table(out / "failures.csv")[1:])
    assert set(listed) == set(summary.failures) == {"broken.jpg", "stranger.png"}
    assert "broken.jpg" in listed["broken.jpg"] and "found none" in listed["stranger.png"]
    assert len(table(out / "pairs.csv")) == 1 + COUNT
    (photos / "broken.jpg").unlink()
    (photos / "stranger.png").rename(photos / "face0b.png")
    make(photos, out, choice)
    assert set(dict(table(out / "failures.csv")[1:])) == {"face0b.png"}


def test_a_picture_that_turns_bad_leaves_no_old_target(photos, truth, tmp_path):
    out, choice = tmp_path / "out", TruthChoice(truth)
    make(photos, out, choice)
    (photos / "face0.png").write_bytes(b"damaged")
    assert list(make(photos, out, choice).failures) == ["face0.png"]
    assert not (out / "face0.npz").exists() and not (out / "face0.png").exists()


def test_interrupted_and_started_again(photos, truth, tmp_path, monkeypatch):
    out, seen = tmp_path / "out", []
    plain = TruthFitter.__call__

    def stopped(self, image, path):
        seen.append(path)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return plain(self, image, path)

    (photos / "AFW" / "broken.jpg").write_bytes(b"no picture")
    monkeypatch.setattr(TruthFitter, "__call__", stopped)
    with pytest.raises(KeyboardInterrupt):
        make(photos, out, TruthChoice(truth), keep_pairs=True)
    assert len(list(out.rglob("*.npz"))) == 2 and not list(out.rglob("*.part"))
    assert [row[0] for row in table(out / "failures.csv")] == ["picture", "AFW/broken.jpg"]
    assert len(table(out / "pairs.csv")) == 3
    monkeypatch.setattr(TruthFitter, "__call__", plain)
    summary = make(photos, out, TruthChoice(truth))
    assert (len(summary.kept), len(summary.made), len(summary.failures)) == (2, COUNT - 2, 1)


def test_a_full_disk_stops_the_run_with_a_sentence(photos, truth, tmp_path, monkeypatch):
    write = Path.write_bytes

    def full(path, data):
        write(path, data[: len(data) // 2])
        if ".npz" in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        make(photos, tmp_path / "out", TruthChoice(truth))
    assert not list((tmp_path / "out").rglob("*.npz")) and not list((tmp_path / "out").rglob("*.part"))


def test_workers_write_the_same_bytes(photos, truth, tmp_path):
    (photos / "broken.jpg").write_bytes(b"no picture")
    make(photos, tmp_path / "one", TruthChoice(truth), keep_pairs=True)
    summary = make(photos, tmp_path / "two", TruthChoice(truth), keep_pairs=True, workers=2)
    assert len(summary.made) == COUNT and list(summary.failures) == ["broken.jpg"]
    one, two = snapshot(tmp_path / "one"), snapshot(tmp_path / "two")
    assert {name: mark for name, (mark, _) in one.items()} == {name: mark for name, (mark, _) in two.items()}


def test_targets_go_into_shards(photos, truth, tmp_path):
    pytest.importorskip("webdataset", reason="the extra 'train' is not installed")
    out = tmp_path / "out"
    (photos / "broken.jpg").write_bytes(b"nothing")
    make(photos, out, TruthChoice(truth), shards=2)
    first = snapshot(out / "shards")
    assert list(first) == ["000000.tar", "000001.tar"]
    with tarfile.open(out / "shards" / "000000.tar") as tar:
        assert tar.getnames() == [f"00000000{k}.{ending}" for k in range(2) for ending in ("json", "npz", "png")]
        assert tar.extractfile("000000000.npz").read() == (out / "AFW" / "face1.npz").read_bytes()
        assert len(json.load(tar.extractfile("000000000.json"))["landmarks"]) == 68
    image, solid = ShardPairs(str(out / "shards"), PairMaker(augmentation=Augmentation.none(), seed=0))[0]
    assert image.shape == (3, 192, 192) and solid.any()
    make(photos, out, TruthChoice(truth), shards=4)
    assert list(snapshot(out / "shards")) == ["000000.tar"]
    make(photos, out, TruthChoice(truth), shards=2)
    assert {name: mark for name, (mark, _) in snapshot(out / "shards").items()} == {
        name: mark for name, (mark, _) in first.items()
    }
    with pytest.raises(ValueError, match="at least one pair to a shard"):
        make(photos, out, TruthChoice(truth), shards=0)


class SlowFitter(TruthFitter):
    def __call__(self, image, path):
        (self.folder / f"{os.getpid()}.pid").touch()
        time.sleep(60)


@dataclass(frozen=True)
class SlowChoice(TruthChoice):
    """Its fitter takes its time, and says who it is."""

    def build(self):
        return SlowFitter(self)


def _run_slowly(photos, truth, out):
    make(photos, out, SlowChoice(truth), workers=2)


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="asks Linux which processes run")
def test_workers_end_with_their_parent(photos, tmp_path):
    """Killed, a parent has no time to stop its workers."""
    marks = tmp_path / "marks"
    marks.mkdir()
    for number in range(12):  # more than one worker takes at once
        shutil.copy(photos / "face0.png", photos / f"more{number}.png")
    parent = multiprocessing.get_context("spawn").Process(target=_run_slowly, args=(photos, marks, tmp_path / "out"))
    parent.start()
    until = time.monotonic() + 300
    while len(list(marks.glob("*.pid"))) < 2 and time.monotonic() < until:
        time.sleep(0.1)
    workers = [int(path.stem) for path in marks.glob("*.pid")]
    assert len(workers) == 2
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    until = time.monotonic() + 10
    while (alive := [pid for pid in workers if _is_alive(pid)]) and time.monotonic() < until:
        time.sleep(0.1)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    assert not alive


def _is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody asks about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("files", [["face0.png"], ["face0.npz"], ["letter.txt", "AFW/face1.png"]])
def test_a_folder_of_others_is_left_alone(photos, truth, tmp_path, files):
    out = tmp_path / "out"
    for name in files:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(b"somebody's only copy")
    with pytest.raises(ValueError, match="holds other files"):
        make(photos, out, TruthChoice(truth))
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.*")} == set(files)
    assert all((out / name).read_bytes() == b"somebody's only copy" for name in files)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"",
        b"a,b\n1,2\n",
        b"picture,reason\nonly\n",
        b"picture,reason\n" + b"x" * 200_000 + b",y\n",
        b"a\0b",
    ],
)
def test_an_odd_table_of_failures_is_told(photos, truth, tmp_path, content):
    out = tmp_path / "out"
    out.mkdir()
    (out / "failures.csv").write_bytes(content)
    with pytest.raises(ValueError, match="failures.csv of an earlier run"):
        make(photos, out, TruthChoice(truth))
    assert (out / "failures.csv").read_bytes() == content


def test_odd_targets_of_the_folder_are_made_anew(photos, samples, truth, tmp_path):
    out = tmp_path / "out"
    make(photos, out, TruthChoice(truth))
    volume, offset, _ = load_volume(out / "face0.npz")
    for meta in (["a", "list"], "words", 3):
        save_volume(out / "face0.npz", volume, offset=offset, meta=meta)
        assert make(photos, out, TruthChoice(truth)).made == ["face0.png"]
    np.savez(out / "face0.npz", voxels=np.zeros(3))
    assert make(photos, out, TruthChoice(truth)).made == ["face0.png"]
    assert np.array_equal(load_volume(out / "face0.npz")[0], samples[0].volume())


def test_a_dead_worker_is_told(photos, truth, tmp_path):
    with pytest.raises(OSError, match="worker process died"):
        make(photos, tmp_path / "out", DeadlyChoice(truth), workers=2)
    assert (tmp_path / "out" / "failures.csv").is_file()


def test_crops_keep_their_frame(samples, truth, tmp_path):
    crops, out = tmp_path / "crops", tmp_path / "out"
    folder = tmp_path / "moved"
    folder.mkdir()
    for number, sample in enumerate(samples):
        save_image(crops / f"face{number}.png", sample.crop())
        np.save(folder / f"face{number}.npy", sample.crop().vertices)
    make(crops, out, TruthChoice(folder, cropped=True), keep_pairs=True)
    for number, sample in enumerate(samples):
        assert np.array_equal(load_volume(out / f"face{number}.npz")[0], sample.volume())
    assert not list(out.glob("*.png"))
    rows = table(out / "pairs.csv")[1:]
    assert find_pairs(out) == [(out / picture, out / volume) for picture, volume in rows]
    assert rows[0] == ("../crops/face0.png", "face0.npz")
    assert all((out / picture).is_file() and (out / volume).is_file() for picture, volume in rows)


def test_pairs_of_photos_name_the_crops(photos, truth, tmp_path):
    make(photos, tmp_path / "out", TruthChoice(truth), keep_pairs=True)
    assert table(tmp_path / "out" / "pairs.csv")[1] == ("AFW/face1.png", "AFW/face1.npz")


def test_pairs_are_found_in_one_way(tmp_path):
    for name in ("b.npz", "b.PNG", "sub/a.npz", "sub/a.bmp", "alone.npz", "photo.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    b, a = (tmp_path / "b.PNG", tmp_path / "b.npz"), (tmp_path / "sub" / "a.bmp", tmp_path / "sub" / "a.npz")
    assert find_pairs(tmp_path) == [b, a]
    (tmp_path / "pairs.csv").write_text("picture,volume\nsub/a.bmp,b.npz\n")
    assert find_pairs(tmp_path) == [(a[0], b[1])]
    for damaged in ("", "name,reason\na,b\n", "picture,volume\na.bmp\n", "picture,volume\n"):
        (tmp_path / "pairs.csv").write_text(damaged)
        with pytest.raises(ValueError, match="found none|damaged") as caught:
            find_pairs(tmp_path)
        assert "\n" not in str(caught.value)


def test_folders_must_lie_apart(photos, truth, tmp_path):
    before = snapshot(photos)
    for out in (photos, photos / "volumes", tmp_path):
        with pytest.raises(ValueError, match="apart"):
            make(photos, out, TruthChoice(truth))
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        make(photos, tmp_path / "file", TruthChoice(truth))
    assert snapshot(photos) == before


def test_pictures_of_one_name_keep_their_ending(photos, samples, truth, tmp_path):
    save_image(photos / "face0.jpg", samples[0])
    make(photos, tmp_path / "out", TruthChoice(truth))
    assert {path.stem for path in (tmp_path / "out").glob("face0*.npz")} == {"face0_png", "face0_jpg"}
    save_image(photos / "face0_jpg.png", samples[0])
    np.save(truth / "face0_jpg.npy", samples[0].vertices)
    make(photos, tmp_path / "out", TruthChoice(truth))
    names = {path.stem for path in (tmp_path / "out").glob("face0*.npz")}
    assert names == {"face0_png", "face0_jpg", "face0_jpg_png"}


# --- the fitters ------------------------------------------------------------------------------------------------------


class Regressor:
    """Answers with a known face, wherever it looks; its "parameters" carry the squares that it was shown."""

    def __init__(self, vertices, tmp_path):
        self.model, self.vertices, self.looks = open_model(), vertices, []
        self.path = tmp_path / "weights.pth"
        self.path.write_bytes(b"weights")

    def __call__(self, image, boxes, *, crop_policy):
        self.looks.append((crop_policy, np.asarray(boxes[0])))
        return np.zeros((1, 62), np.float32), np.zeros((1, 4))

    def reconstruct(self, params, rois, *, dense=True):
        return (self.vertices if dense else self.model.landmarks(self.vertices))[None]


def test_a_photo_is_fitted_twice_in_its_largest_face(samples, tmp_path):
    regressor = Regressor(samples[0].vertices, tmp_path)
    boxes = np.array([[0, 0, 20, 20, 0.99], [60, 60, 200, 200, 0.8]], np.float32)
    found = PhotoFitter(regressor, lambda image: boxes)(samples[0].image, Path("a.jpg"))
    assert np.array_equal(found.vertices, samples[0].vertices) and len(found.shape) == 40
    (first, box), (second, points) = regressor.looks
    assert (first, second) == ("box", "landmark") and np.array_equal(box, boxes[1])
    assert np.array_equal(points, samples[0].landmarks)
    with pytest.raises(NoFaceError, match="a.jpg"):
        PhotoFitter(regressor, lambda image: boxes[:0])(samples[0].image, Path("a.jpg"))
    with pytest.raises(NoFaceError, match="slipped"):
        PhotoFitter(regressor, lambda image: boxes[:1])(samples[0].image, Path("a.jpg"))


def test_a_crop_needs_no_detector_but_its_face_in_the_middle(samples, tmp_path):
    sample = samples[0].crop()
    regressor = Regressor(sample.vertices, tmp_path)
    assert np.array_equal(CropFitter(regressor)(sample.image, Path("a.png")).vertices, sample.vertices)
    policy, corners = regressor.looks[0]
    assert policy == "landmark" and np.allclose(corners, [[50.5, 50.5], [140.5, 140.5]])
    with pytest.raises(ValueError, match="192 x 192"):
        CropFitter(regressor)(samples[0].image, Path("a.png"))
    for wrong in (sample.vertices * np.float32(0.5), sample.vertices + np.float32([40, 0, 0])):
        with pytest.raises(NoFaceError, match="in the middle"):
            CropFitter(Regressor(wrong, tmp_path))(sample.image, Path("a.png"))


def test_unknown_ways_and_missing_models_are_told(tmp_path):
    with pytest.raises(ValueError, match="photo, crop, mat"):
        FitterChoice(how="guess").build()
    with pytest.raises(FileNotFoundError, match="none.pkl"):
        FitterChoice(how="mat", model=str(tmp_path / "none.pkl")).build()


# --- the command ------------------------------------------------------------------------------------------------------


def test_300w_lp_as_downloaded(samples, tmp_path, capsys):
    """Subfolders, flipped copies, landmarks in a folder of their own, one .mat that is missing and one that is cut."""
    root, out = tmp_path / "300W_LP", tmp_path / "out"
    for number, sample in enumerate(samples):
        path = save_image(root / ("AFW_Flip" if number % 2 else "AFW") / f"AFW_{number}_0.jpg", sample)
        save_mat(path.with_suffix(".mat"), sample, points="pt2d")
    save_mat((root / "landmarks").with_suffix(".mat"), samples[0])
    save_image(root / "AFW" / "AFW_9_0.jpg", samples[0])
    cut = save_image(root / "AFW" / "AFW_8_0.jpg", samples[0]).with_suffix(".mat")
    cut.write_bytes(save_mat(cut, samples[0]).read_bytes()[:2000])
    (root / "Code.txt").write_text("no photo")
    bfm = save_model(tmp_path / "model.pkl")
    before, model = snapshot(root), MorphableModel.load(bfm)
    command = ["targets", str(root), "-o", str(out), "--mat", "--bfm", str(bfm), "--keep-pairs"]
    assert cli.main(command) == 0
    said = capsys.readouterr()
    assert f"{COUNT} targets made, 0 were there, 2 failed" in said.out
    assert "left out: Code.txt (no picture)\n" in said.err  # and not the .mat files
    for number, sample in enumerate(samples):
        volume, _, meta = load_volume(out / ("AFW_Flip" if number % 2 else "AFW") / f"AFW_{number}_0.npz")
        p = sample.parameters
        vertices = project(p[:12].reshape(3, 4), model.reconstruct(p[12:52], p[52:]))
        matrix = crop_matrix(model.landmarks(vertices))
        solid, _ = voxelize(*model.close(transform_points(vertices, matrix)))
        assert iou(volume, solid) > 0.995
        assert np.abs(np.array(meta["landmarks"]) - sample.crop().landmarks)[:, :2].mean() < 4
        assert meta["settings"]["how"] == "mat"
    for row, name, said in zip(table(out / "failures.csv")[1:], "89", ("damaged", "no such file"), strict=True):
        assert row[0] == f"AFW/AFW_{name}_0.jpg" and said in row[1] and not row[1].endswith("..")
    assert snapshot(root) == before
    assert Counter(path.suffix for path in out.rglob("*.*")) == {".npz": COUNT, ".png": COUNT, ".csv": 2}
    save_mat(root / "AFW" / "AFW_0_0.mat", samples[1], points="pt2d")  # other parameters: the target is stale
    assert cli.main(command) == 0
    assert f"1 targets made, {COUNT - 1} were there" in capsys.readouterr().out


def test_the_command_tells_what_is_wrong(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    start, end = ["targets"], ["-o", str(tmp_path / "out")]
    for arguments, word in (
        ([str(tmp_path / "none")], "none"),
        ([str(tmp_path / "empty")], "no photos"),
        ([str(tmp_path / "empty"), "-j", "0"], "at least one worker"),
    ):
        assert cli.main([*start, *arguments, *end]) == 1
        said = capsys.readouterr().err.strip()
        assert word in said and len(said.splitlines()) == 1
    with pytest.raises(SystemExit):
        cli.main(["targets", str(tmp_path), *end, "--crops", "--mat"])


@pytest.mark.parametrize("how", ["photo", "crop"])
def test_official_networks_make_targets(assets, samples, tmp_path, how):
    """MobileNet x0.5 and the stand-in of its face model on rendered faces; no detector for crops."""
    shown = {0: samples[0], 2: samples[2]}  # face 1 hides behind its hair
    for number, sample in shown.items():
        save_image(tmp_path / "in" / f"face{number}.png", sample.crop() if how == "crop" else sample)
    weights, model = assets / "official/weights/mb05_120x120.pth", assets / "official/configs/bfm_noneck_v3.standin.pkl"
    summary = make(tmp_path / "in", tmp_path / "out", FitterChoice(how=how, weights=str(weights), model=str(model)))
    assert not summary.failures
    for number, sample in shown.items():
        volume, _, meta = load_volume(tmp_path / "out" / f"face{number}.npz")
        assert np.abs(np.array(meta["landmarks"]) - sample.crop().landmarks)[:, :2].mean() < 8
        assert 0.03 < volume.mean() < 0.3
