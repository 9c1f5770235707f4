"""Other people's folders: what `vrn crop` and `vrn reconstruct` do alike with many photos."""

import csv
import json
import os
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from vrnlib import cli
from vrnlib.reconstruct import Networks


def block_vrn(crops):
    logits = torch.full((1, 200, 192, 192), -6.0)
    logits[0, 80:120, 50:140, 60:130] = 6.0
    return logits


@pytest.fixture(autouse=True)
def networks(monkeypatch):
    monkeypatch.setattr("vrnlib.reconstruct.open_networks", lambda **_: Networks(block_vrn))


def square(x: float, y: float, size: float) -> np.ndarray:
    """68 points in a square of photo pixels."""
    return np.random.default_rng(0).uniform((x, y), (x + size, y + size), (68, 2)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """Two photos with their points in `places`."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "places").mkdir()
    for name in ("ann", "bob"):
        Image.new("RGB", (300, 300), (90, 120, 140)).save(tmp_path / "photos" / f"{name}.png")
        np.save(tmp_path / "places" / f"{name}.npy", np.stack([square(100, 100, 90), square(10, 20, 60)]))
    return tmp_path / "photos"


def run(command, *arguments) -> int:
    return cli.main([command, *map(str, arguments), "--detector", "points"])


def listed(out) -> dict[str, str]:
    with open(out / "skipped.csv", newline="", encoding="utf-8") as file:
        return {row["photo"]: row["reason"] for row in csv.DictReader(file)}


both = pytest.mark.parametrize("command", ["crop", "reconstruct"])


@both
def test_one_file_of_points_is_not_put_on_many_photos(command, folder, tmp_path, capsys):
    out = tmp_path / "out"
    for photos in ([folder], [folder / "ann.png", folder / "bob.png"]):
        assert run(command, *photos, "-o", out, "--points", tmp_path / "places" / "ann.npy") == 1
        assert "holds the points of one photo" in capsys.readouterr().err
    assert not out.exists()


def test_a_file_without_a_face_in_it_is_no_photo_without_a_face(folder, tmp_path, capsys):
    np.save(tmp_path / "none.npy", np.zeros((0, 68, 2), np.float32))
    assert run("crop", folder / "ann.png", "-o", tmp_path / "out", "--points", tmp_path / "none.npy") == 1
    assert "an array without a face" in capsys.readouterr().err


@both
def test_several_photos_and_folders_on_one_line(command, folder, tmp_path, capsys):
    other = tmp_path / "other"
    (other / "deep").mkdir(parents=True)
    Image.open(folder / "ann.png").save(other / "ann.jpg")
    Image.open(folder / "ann.png").save(other / "deep" / "bob.png")
    out = tmp_path / "out"
    places = ["--points", tmp_path / "places"]
    assert run(command, folder, other / "ann.jpg", "-o", out, *places) == 0
    assert {path.stem for path in out.glob("*.json")} == {
        f"{n}_{k}" for n in ("ann_png", "ann_jpg", "bob") for k in (0, 1)
    }
    assert listed(out) == {}
    assert run(command, other, "--recursive", "-o", tmp_path / "deep", *places) == 0
    assert (tmp_path / "deep" / "deep" / "bob_0.json").is_file()
    assert (tmp_path / "deep" / "ann_0.json").is_file()


@both
def test_what_is_there_is_not_made_again(command, folder, tmp_path, capsys):
    arguments = [folder, "-o", tmp_path / "out", "--points", tmp_path / "places", "--resume"]
    assert run(command, *arguments) == 0
    (tmp_path / "out" / "bob_0.json").unlink()
    for path in tmp_path.glob("out/bob_*"):
        path.unlink()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("ann_*")}
    assert run(command, *arguments) == 0
    assert "1 of them before" in capsys.readouterr().out
    assert (tmp_path / "out" / "bob_1.json").is_file()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("ann_*")} == before


@both
def test_results_of_faces_that_are_gone_do_not_stay(command, folder, tmp_path):
    out, mine = tmp_path / "out", tmp_path / "out" / "ann_2.json"
    arguments = [folder / "ann.png", "-o", out, "--points", tmp_path / "places"]
    assert run(command, *arguments) == 0
    mine.write_text('{"software": "mine", "photo": "ann.png"}')
    assert any(out.glob("ann_1.*"))
    assert run(command, *arguments, "--max-faces", 1) == 0
    assert any(out.glob("ann_0.*"))
    assert not any(out.glob("ann_1.*"))
    assert mine.is_file()


@both
def test_a_strangers_file_or_an_odd_name_ends_nothing(command, folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "ann_0.png").write_bytes(b"mine")
    long = "l" * 250 + ".png"
    Image.open(folder / "ann.png").save(folder / long)
    np.save(tmp_path / "places" / ("l" * 250 + ".npy"), square(100, 100, 90))
    if sys.platform == "linux":
        odd = os.fsdecode(b"odd\xff.png")
        Image.open(folder / "ann.png").save(folder / odd)
    assert run(command, folder, "-o", out, "--points", tmp_path / "places") == 0
    assert (out / "ann_0.png").read_bytes() == b"mine"
    assert (out / "bob_0.png").is_file()
    skipped = listed(out)
    assert "ann.png" in skipped and long in skipped
    if sys.platform == "linux":
        assert "odd\\xff.png" in skipped


@both
def test_only_the_faces_that_are_wanted(command, folder, tmp_path, capsys):
    arguments = [folder / "ann.png", "-o", tmp_path / "out", "--points", tmp_path / "places"]
    assert run(command, *arguments, "--max-faces", 1) == 0
    assert not (tmp_path / "out" / "ann_1.json").exists()
    assert json.loads((tmp_path / "out" / "ann_0.json").read_text())["face"] == 0
    for wrong in (["--max-faces", 0], ["--min-score", 2]):
        assert run(command, *arguments, *wrong) == 1
        assert wrong[0] in capsys.readouterr().err
