"""Found and well cropped: mistakes of known size, the command on rendered pictures and on a published layout."""

import json
import re

import numpy as np
import pytest
from labelled_faces import render, save_image, save_mat

from vrnlib import cli
from vrnlib.evaluation.crops import evaluate_crops
from vrnlib.evaluation.pictures import CROWD, LabelledPicture, composites, crowds, portraits
from vrnlib.evaluation.report import make_report, markdown
from vrnlib.landmarks import Landmarks
from vrnlib.landmarks.alignment import head_tilts

SIZE = 90.0
FACE = np.stack([np.linspace(0, SIZE, 68), np.abs(np.linspace(-SIZE, SIZE, 68))], axis=1) + [100, 80]
OTHER = FACE + [200, 0]


def picture(*, required=(True, True)) -> LabelledPicture:
    image, yaws = np.zeros((300, 400, 3), np.uint8), np.full(2, np.nan)
    return LabelledPicture(image=image, faces=np.stack([FACE, OTHER]), required=np.array(required), yaws=yaws)


def report(*found: np.ndarray, **options) -> dict:
    faces = [Landmarks.from_points(points) for points in found]
    return evaluate_crops(iter([picture(**options)]), lambda image: faces, progress=False)


def grown(points: np.ndarray, factor: float) -> np.ndarray:
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    return middle + factor * (points - middle)


def test_the_truth_is_perfect():
    figures = report(FACE, OTHER)
    assert (figures["found"], figures["cropped"], figures["false_per_picture"]) == (1, 1, 0)
    assert figures["error_percent"]["mean"] == pytest.approx(0, abs=1e-4) and figures["faces"] == 2
    (bin_of_size,) = figures["size"].items()
    none = pytest.approx(0, abs=1e-4)
    assert bin_of_size == ("64-128", {"faces": 2, "found": 1.0, "cropped": 1.0, "error_percent": none})
    assert figures["yaw"] == {}


@pytest.mark.parametrize(
    ("points", "good"),
    [(FACE + [5.9, 0], 1), (FACE + [0, 6.1], 0), (grown(FACE, 1.1), 1), (grown(FACE, 0.9), 0), (grown(FACE, 1.15), 0)],
)
def test_a_good_crop_has_the_right_scale_and_middle(points, good):
    """The face has 90 pixels here and in the crop, so a pixel is a pixel; the crop's scale is 1 / the box's."""
    figures = report(points, OTHER)
    assert figures["found"] == 1 and figures["cropped"] == (1 + good) / 2
    assert figures["cropped_of_found"] == figures["cropped"]


def test_a_picture_shows_shapes_only():
    assert repr(picture(required=(True, False))) == (
        "LabelledPicture(image=uint8 (300, 400, 3), faces=float64 (2, 68, 2), required=bool (2,), yaws=float64 (2,), "
        "complete=True)"
    )


def test_missed_and_false_faces_are_counted():
    figures = report(FACE + [60, 60])
    assert (figures["found"], figures["cropped"], figures["false_per_picture"]) == (0, 0, 1)
    assert figures["error_percent"] is None and figures["cropped_of_found"] is None
    assert report(FACE, FACE + 1)["false_per_picture"] == 1, "a face found twice"
    figures = report(FACE, OTHER, required=(True, False))
    assert (figures["faces"], figures["found"], figures["false_per_picture"]) == (1, 1, 0)
    with pytest.raises(ValueError, match="got none"):
        report(FACE, required=(False, False))


def test_rendered_pictures():
    """Landmarks lie in the picture, around the same point as the face's own size says; people repeat exactly."""
    one, again = next(portraits(1)), next(portraits(1))
    assert one.image.shape == (450, 450, 3) and np.array_equal(one.image, again.image)
    size = np.sqrt(np.prod(np.ptp(one.faces[0], axis=0)))
    assert 109 < size < 211 and np.allclose((one.faces[0].min(0) + one.faces[0].max(0)) / 2, 224.5, atol=1)
    several = list(composites(4, people=2))
    assert all(truth.image.shape == (384, 384, 3) for truth in several)
    assert sum(len(truth.faces) for truth in several) > 2
    for truth in several:
        assert truth.faces.shape[1:] == (68, 2) and len(truth.required) == len(truth.yaws) == len(truth.faces)


def test_mirrored_people_keep_the_viewers_left_on_the_left():
    faces = np.concatenate([truth.faces for truth in composites(12, people=2)])
    faces = faces[np.abs(head_tilts(faces)) < 40]
    apart = (faces[:, 45, 0] - faces[:, 36, 0]) / np.ptp(faces, axis=1).max(axis=1)  # between the eyes' outer corners
    frontal = np.abs(apart) > 0.4
    assert frontal.sum() > 2 and (apart[frontal] > 0).all()


def test_a_crowd_is_its_composites_side_by_side():
    (crowd,) = crowds(1, people=2)
    parts = list(composites(CROWD[0] * CROWD[1], people=2))
    assert crowd.image.shape == (384 * CROWD[0], 384 * CROWD[1], 3) and len(crowd.required) == len(crowd.faces)
    part = parts[CROWD[1] + 2]  # second row, third column
    np.testing.assert_array_equal(crowd.image[384:768, 768:1152], part.image)
    first = sum(len(one.faces) for one in parts[: CROWD[1] + 2])
    np.testing.assert_array_equal(crowd.faces[first : first + len(part.faces)], part.faces + [768, 384])
    assert crowd.required.sum() == sum(one.required.sum() for one in parts)


def run(out, *arguments) -> dict:
    assert cli.main(["evaluate", "crops", "-o", str(out), *arguments]) == 0
    return json.loads((out / "crops.json").read_text())


def test_the_command(tmp_path, capsys):
    report = run(tmp_path / "out", "--count", "3")
    rows = report["methods"]["open"]
    assert rows["found"]["all"]["mean"] == report["details"]["found"] > 0.6 and rows["found"]["all"]["faces"] == 3
    assert "| open " in capsys.readouterr().out
    for number, sample in enumerate(render(2)):
        save_mat(save_image(tmp_path / f"{number}.png", sample).with_suffix(".mat"), sample)
    figures = run(tmp_path / "out", "--dataset", "aflw2000", "--root", str(tmp_path))["details"]
    assert figures["faces"] == 2 and figures["found"] > 0 and figures["false_per_picture"] is None
    assert sum(part["faces"] for part in figures["yaw"].values()) == 2


def test_the_table_counts_as_missed_whom_any_measure_lacks():
    errors = {"found": np.array([1.0, 0.0, 1.0]), "cropped": np.array([1.0, 0.0, 0.0])}
    errors["error_percent"] = np.array([2.0, np.nan, 3.0])
    made = make_report(
        evaluation="crops", data="3 faces", names=["a", "b", "c"], yaws=np.zeros(3), errors={"open": errors}, options={}
    )
    assert re.search(r"\| open +\| 1 of 3 ", markdown(made))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--dataset", "folder"], "--root"),
        (["--root", "."], "--root"),
        (["--count", "0"], "--count"),
        (["--dataset", "folder", "--root", "nowhere"], "nowhere"),
        (["--fan", "nowhere.safetensors"], "nowhere"),
    ],
)
def test_what_is_wrong_is_a_sentence(arguments, word, capsys):
    assert cli.main(["evaluate", "crops", *arguments]) == 1
    said = capsys.readouterr().err.strip()
    assert word in said and len(said.splitlines()) == 1
