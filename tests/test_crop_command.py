"""`vrn crop`: what it writes, what it skips and why, and that it never touches a file of anybody else's."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tddfa.files import write_bytes
from vrnlib import cli
from vrnlib.commands import crop as crop_command
from vrnlib.crop import crop_face
from vrnlib.export import _foreign

GRID = [(i, j) for i in range(8) for j in range(8)]


def grid_points(x, y, size) -> np.ndarray:
    """68 points: a grid of 8 x 8 inside a square, and the square's corners."""
    inside = [(x + size * (i + 1) / 9, y + size * (j + 1) / 9) for i, j in GRID]
    return np.array([*inside, (x, y), (x + size, y), (x, y + size), (x + size, y + size)], np.float32)


def dotted_photo(points, *, shape=(400, 500), radius=3.0) -> np.ndarray:
    """A photo with a soft white dot at each of 64 points."""
    light = np.zeros(shape)
    reach = int(5 * radius)
    for x, y in points[:64]:
        rows, columns = np.mgrid[int(y) - reach : int(y) + reach + 1, int(x) - reach : int(x) + reach + 1]
        light[rows, columns] += np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * radius**2))
    return np.repeat(np.rint(255 * light)[:, :, None], 3, axis=2).astype(np.uint8)


@pytest.fixture
def photo(tmp_path):
    """A photo and, beside its folder, its points."""
    (tmp_path / "photos").mkdir()
    points = grid_points(120.3, 90.8, 240)
    path = tmp_path / "photos" / "dots.png"
    Image.fromarray(dotted_photo(points)).save(path)
    np.save(tmp_path / "points.npy", points)
    return path


def crop(photo, out, *options) -> int:
    points = out.parent / "points.npy"
    if photo.is_dir():  # the same points for each of its photos
        for path in photo.iterdir():
            (out.parent / "points").mkdir(exist_ok=True)
            np.save(out.parent / "points" / f"{path.stem}.npy", np.load(points))
        points = out.parent / "points"
    return cli.main(["crop", str(photo), "-o", str(out), "--detector", "points", "--points", str(points), *options])


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def one_sentence(capsys) -> str:
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("vrn: ")]
    assert len(lines) == 1 and "Traceback" not in lines[0]
    return lines[0]


def listed(out) -> list[dict]:
    with open(out / "skipped.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("size", [192, 96])
def test_dots_of_the_photo_are_found_at_the_landmarks_of_the_json(photo, tmp_path, size, capsys):
    out = tmp_path / "new" / "out"
    (tmp_path / "new").mkdir()
    (tmp_path / "points.npy").rename(tmp_path / "new" / "points.npy")
    assert crop(photo, out, "--size", str(size)) == 0
    assert capsys.readouterr().out.split() == [str(out / "dots_0.png")]
    assert sorted(contents(out)) == ["dots_0.json", "dots_0.png"]
    about = json.loads((out / "dots_0.json").read_text())
    picture = np.array(Image.open(out / "dots_0.png"))
    assert picture.shape == (size, size, 3) and about["crop_size"] == size
    assert (about["photo"], about["photo_size"], about["crop"]) == ("dots.png", [500, 400], "dots_0.png")
    assert (about["detector"], about["score"], about["face"]) == ("points", 1.0, 0)
    assert about["crop_matrix"][0][0] == pytest.approx(90 / 240 * size / 192, rel=1e-6)
    points = np.load(out.parent / "points.npy")
    assert np.abs(np.array(about["landmarks"]) - points).max() < 1e-3
    assert about["box"] == pytest.approx([*points[64], *points[67]], abs=2e-3)
    reach = round(size / 192 * 4)
    for x, y in np.array(about["crop_landmarks"])[:64]:
        column, row = round(x), round(y)
        part = picture[row - reach : row + reach + 1, column - reach : column + reach + 1, 1].astype(float)
        found = ndimage.center_of_mass(part)
        assert np.hypot(found[1] + column - reach - x, found[0] + row - reach - y) < 0.2


def test_the_crop_is_kept_without_loss(photo, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (400, 500, 3), dtype=np.uint8)
    Image.fromarray(noise).save(photo)
    assert crop(photo, tmp_path / "out") == 0
    expected = crop_face(noise, np.load(tmp_path / "points.npy")).image
    assert np.array_equal(np.array(Image.open(tmp_path / "out" / "dots_0.png")), expected)


def test_every_face_has_its_crop_the_largest_first(photo, tmp_path):
    np.save(tmp_path / "points.npy", np.stack([grid_points(40, 50, 90), grid_points(200, 80, 150)]))
    assert crop(photo, tmp_path / "out") == 0
    assert sorted(contents(tmp_path / "out")) == ["dots_0.json", "dots_0.png", "dots_1.json", "dots_1.png"]
    boxes = [json.loads((tmp_path / "out" / f"dots_{k}.json").read_text())["box"] for k in (0, 1)]
    assert [round(box[2] - box[0]) for box in boxes] == [150, 90]


def test_a_folder_goes_on_and_lists_what_was_skipped(photo, tmp_path, capsys):
    folder, out = photo.parent, tmp_path / "out"
    whole = photo.read_bytes()
    Image.open(photo).save(folder / "dots.jpg")
    (folder / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("no picture, really")
    (folder / "notes.txt").write_text("no photo")
    Image.new("RGB", (40, 40)).save(folder / "small.png")
    before = contents(folder)
    assert crop(folder, out) == 0
    assert sorted(contents(out)) == [
        "dots_jpg_0.json",
        "dots_jpg_0.png",
        "dots_png_0.json",
        "dots_png_0.png",
        "skipped.csv",
    ]
    rows = listed(out)
    assert [row["photo"] for row in rows] == ["notes.txt", "broken.jpg", "small.png", "text.png"]
    words = ("no picture", "cut off", "photo of 40 x 40", "not a picture")
    for row, word in zip(rows, words, strict=True):
        assert word in row["reason"] and "\n" not in row["reason"]
    captured = capsys.readouterr()
    assert "2 of 5 photos" in captured.out and "skipped.csv" in captured.out
    assert captured.err.count("skipped: ") == 3 and "notes.txt (no picture)" in captured.err
    assert contents(folder) == before
    for name in ("broken.jpg", "small.png", "text.png"):  # mended: the list is empty again
        Image.open(photo).save(folder / name)
    assert crop(folder, out) == 0
    assert [row["photo"] for row in listed(out)] == ["notes.txt"]


def test_results_in_the_folder_of_the_photos(photo, tmp_path):
    folder = photo.parent
    (tmp_path / "points.npy").rename(folder / "dots.npy")
    arguments = ["crop", str(folder), "-o", str(folder), "--detector", "points", "--points", str(folder)]
    before = contents(folder)
    assert cli.main(arguments) == 0
    once = contents(folder)
    assert set(once) - set(before) == {"dots_0.json", "dots_0.png", "skipped.csv"}
    assert all(once[name] == data for name, data in before.items())
    assert cli.main(arguments) == 0  # its own crops are no photos, and are replaced
    again = contents(folder)
    assert b"dots_0.png,a result of this program" in again.pop("skipped.csv")
    assert again == {name: data for name, data in once.items() if name != "skipped.csv"}
    assert cli.main([*arguments, "--size", "96"]) == 0
    assert Image.open(folder / "dots_0.png").size == (96, 96)


@pytest.mark.parametrize("name", ["dots_0.png", "dots_0.json"])
def test_a_photo_with_the_name_of_a_result_stays(photo, tmp_path, capsys, name):
    """dots_0.png may well be a photo of the series to which dots.png belongs."""
    folder = photo.parent
    taken = folder / name
    if name.endswith(".png"):
        Image.fromarray(dotted_photo(np.load(tmp_path / "points.npy"))).save(taken)
    else:
        taken.write_text('{"software": "another"}')
    points = tmp_path / "points"
    points.mkdir()
    for stem in ("dots", "dots_0"):
        np.save(points / f"{stem}.npy", np.load(tmp_path / "points.npy"))
    before = contents(folder)
    arguments = ["-o", str(folder), "--detector", "points", "--points", str(points)]
    assert cli.main(["crop", str(photo), *arguments]) == 1
    assert f"{name} exists" in one_sentence(capsys)
    assert contents(folder) == before
    code = cli.main(["crop", str(folder), *arguments])
    after = contents(folder)
    assert all(after[name] == data for name, data in before.items())
    assert [row["photo"] for row in listed(folder) if row["reason"] != "no picture"] == ["dots.png"]
    assert code == (0 if name.endswith(".png") else 1)  # the photo dots_0.png itself gave dots_0_0.png
    assert ("dots_0_0.png" in after) == name.endswith(".png")


def test_nothing_cropped_is_an_error(photo, tmp_path, capsys):
    out = tmp_path / "out"
    Image.new("RGB", (200, 180), (128, 100, 90)).save(photo)
    assert cli.main(["crop", str(photo), "-o", str(out)]) == 1
    assert "No face was found" in one_sentence(capsys)
    assert not out.exists()
    assert cli.main(["crop", str(photo.parent), "-o", str(out)]) == 1
    assert "None of the 1 photos" in one_sentence(capsys)
    assert "No face" in listed(out)[0]["reason"] and sorted(contents(out)) == ["skipped.csv"]


def test_bad_photos_and_arguments_are_sentences(photo, tmp_path, capsys):
    out = tmp_path / "out"
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:300])
    (tmp_path / "empty").mkdir()
    for given, word in (
        (tmp_path / "cut.png", "cut.png is damaged"),
        (tmp_path / "none.jpg", "does not exist"),
        (tmp_path / "points.npy", "not a picture"),
        (tmp_path / "empty", "no photos"),
    ):
        assert crop(given, out) == 1
        assert word in one_sentence(capsys)
    for size in ("0", "-5", "100000"):
        assert crop(photo, out, "--size", size) == 1
        assert "--size" in one_sentence(capsys)
    assert crop(photo, tmp_path / "cut.png") == 1
    assert "a folder was expected" in one_sentence(capsys)
    assert cli.main(["crop", str(photo), "-o", str(out), "--fan", str(tmp_path / "no.safetensors")]) == 1
    assert "no.safetensors" in one_sentence(capsys)
    assert not out.exists()


def test_a_list_of_somebody_else_stays(photo, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "skipped.csv").write_text("name,mark\nAda,1\n")
    assert crop(photo.parent, out) == 1
    assert "skipped.csv" in one_sentence(capsys)
    assert contents(out) == {"skipped.csv": b"name,mark\nAda,1\n"}


def test_a_full_disk_stops_in_a_sentence(photo, tmp_path, capsys, monkeypatch):
    def fills_up(path, data):
        if path.suffix == ".json":
            raise OSError(28, "No space left on device")
        return write_bytes(path, data)

    monkeypatch.setattr(crop_command, "write_bytes", fills_up)
    assert crop(photo.parent, tmp_path / "out") == 1
    assert "No space left" in one_sentence(capsys)
    assert not any(path.name.startswith(".") for path in (tmp_path / "out").iterdir())


def test_vrn_reconstruct_does_not_replace_crops(photo, tmp_path):
    assert crop(photo, tmp_path / "out") == 0
    assert _foreign(tmp_path / "out", "dots_0") == tmp_path / "out" / "dots_0.json"


@pytest.mark.parametrize("detector", ["open", "tddfa"])
def test_the_astronaut(tmp_path, detector):
    from skimage.data import astronaut

    Image.fromarray(astronaut()).save(tmp_path / "astronaut.png")
    out = tmp_path / "out"
    assert cli.main(["crop", str(tmp_path / "astronaut.png"), "-o", str(out), "--detector", detector]) == 0
    assert sorted(contents(out)) == ["astronaut_0.json", "astronaut_0.png"]
    about = json.loads((out / "astronaut_0.json").read_text())
    assert about["detector"] == detector and 0 < about["score"] <= 1
    assert np.shape(about["landmarks"]) == np.shape(about["crop_landmarks"]) == (68, 3)
    middle = np.mean(np.array(about["crop_landmarks"])[:, :2], axis=0)
    assert np.abs(middle - 95.5).max() < 15


def test_another_photo_of_the_same_name_is_no_result_of_before(photo, tmp_path, capsys):
    """In another run, from another folder: --resume does not take it for done, and its replacing is told."""
    out = tmp_path / "out"
    assert crop(photo, out) == 0
    first = contents(out)
    assert crop(photo, out, "--resume") == 0
    assert crop(photo, out) == 0  # the same photo again: nothing to tell
    assert capsys.readouterr().err == "" and contents(out) == first
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / photo.name
    Image.fromarray(255 - np.asarray(Image.open(photo))).save(other)
    assert crop(other, out, "--resume") == 0
    assert "the results of another dots.png" in capsys.readouterr().err
    assert contents(out)["dots_0.png"] != first["dots_0.png"]
    about = json.loads((out / "dots_0.json").read_text())
    del about["photo_sha256"]  # as older versions wrote it
    (out / "dots_0.json").write_text(json.dumps(about))
    assert crop(photo, out, "--resume") == 0 and capsys.readouterr().err == ""
