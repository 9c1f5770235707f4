"""Other looks at a photo: changed where no face was seen, beside a refused box, turned where heads lie or stand."""

import json
import warnings

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from tddfa.console import Note
from tddfa.ibug import MIRRORED
from vrnlib.cli import main
from vrnlib.crop import crop_face, describe_crop
from vrnlib.landmarks import Landmarks
from vrnlib.landmarks.alignment import mirrored_points
from vrnlib.landmarks.detectors import GivenPoints, OpenDetector, TDDFADetector
from vrnlib.landmarks.retries import look_again, nearby_boxes, upright

SHAPE = np.column_stack([np.linspace(-8, 8, 68), 6 * np.cos(np.arange(68)), np.arange(68) / 10])
"""A face's points about its middle; no two are alike."""


def marked(size=(90, 120)) -> np.ndarray:
    """A grey photo with a dark spot."""
    image = np.full((*size, 3), 120, np.uint8)
    image[30:40, 70:84] = 10
    return image


def spot(image: np.ndarray) -> np.ndarray:
    """The middle of the spot: x, y."""
    rows, columns = np.nonzero(image[:, :, 0] < image[0, 0, 0] / 2)
    return np.array([columns.mean(), rows.mean()])


def seen_at(number: int, views: list):
    """A look that sees the spot's face in the so-manieth view only; it keeps the views."""

    def look(image):
        views.append(image)
        if len(views) != number:
            return []
        scale = image.shape[1] / 120
        return [Landmarks.from_points(scale * SHAPE + [*spot(image), 0], score=0.5)]

    return look


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_every_view_leads_back_to_the_photo(number):
    image, views = marked(), []
    (face,) = look_again(image, seen_at(number, views))
    shape = SHAPE[MIRRORED] * [-1, 1, 1] if number == 1 else SHAPE
    assert np.abs(face.points - (shape + [*spot(image), 0])).max() < 0.3  # whole pixels of the smaller view
    assert len(views) == number and face.score == 0.5


def test_the_views_are_mirrored_brighter_larger_and_smaller():
    image, views = marked(), []
    assert look_again(image, seen_at(9, views)) == []
    mirrored, brighter, larger, smaller = views
    assert (mirrored == image[:, ::-1]).all()
    assert (brighter[0, 0] > image[0, 0]).all() and brighter.shape == image.shape
    assert larger.shape[:2] == (180, 240) and smaller.shape[:2] == (63, 84)


def test_a_large_photo_is_made_as_small_as_a_face_detector_sees_it():
    views = []
    look_again(np.zeros((1440, 2160, 3), np.uint8), seen_at(9, views))
    assert [view.shape[:2] for view in views] == [(1440, 2160)] * 2 + [(504, 756)]


def test_mirroring_twice_changes_nothing():
    assert np.allclose(mirrored_points(mirrored_points(SHAPE, 120), 120), SHAPE)


def test_boxes_about_a_refused_box():
    boxes = nearby_boxes(np.array([[10.0, 20, 50, 60, 0.9]]))[0]
    assert boxes[:, 4].tolist() == [0.9] * len(boxes)
    assert [2, 20, 42, 60] in boxes[:, :4].tolist()  # a fifth to the left
    assert [15, 25, 45, 55] in boxes[:, :4].tolist()  # a quarter smaller


def test_a_box_that_the_face_detector_believes_is_looked_at_again(monkeypatch):
    asked = []

    def align(image, boxes, fan, *, min_score):
        asked.append(np.array(boxes))
        good = np.asarray(boxes)[:, 0] < 95 if len(boxes) else np.zeros(0, bool)
        points = np.repeat((3 * SHAPE + [120, 120, 0])[None], len(boxes), axis=0).astype(np.float32)
        return points, np.where(good, 0.6, 0.1)

    monkeypatch.setattr("vrnlib.landmarks.open_detector.align", align)
    image = np.zeros((300, 300, 3), np.uint8)

    def found(score):
        asked.clear()
        return OpenDetector(object(), face_detector=lambda _: np.array([[100.0, 100, 160, 160, score]]))(image)

    (face,) = found(0.9)
    assert face.score == pytest.approx(0.6) and len(asked) == 2
    assert found(0.5) == []
    assert all(len(boxes) <= 1 for boxes in asked)


# --- photos that lie or stand on their head ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photo():
    return astronaut()[:300, 70:370]


@pytest.mark.parametrize("kind", [OpenDetector, TDDFADetector])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_photo_is_turned_upright_and_said_so(photo, kind, turns):
    with pytest.warns(Note, match="turn"):
        image, faces = upright(np.rot90(photo, turns), kind())
    assert (image == photo).all()
    assert faces[0].turned == 4 - turns
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same, (face,) = upright(photo, kind())
    assert same is photo or (same == photo).all()
    assert face.turned == 0 and np.abs(face.points - faces[0].points).max() < 1


def face_at(degrees: float, score: float) -> Landmarks:
    """A face whose head leans by so many degrees to the right of the picture."""
    points = np.zeros((68, 2))
    points[:, 0] = np.linspace(-20, 20, 68)
    points[36:48, 1], points[7:10, 1] = -20, 30
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return Landmarks.from_points(points @ turn.T + 50, score=score)


class Turning:
    """A detector that says what it is told to of the photo, and of the photo after each quarter turn to the left."""

    name = "open"

    def __init__(self, *answers):
        self.answers, self.calls = answers, 0

    def __call__(self, image):
        turns = int(np.argmax([image[0, 0, 0], image[0, -1, 0], image[-1, -1, 0], image[-1, 0, 0]]))
        # a white corner at the upper left, seen after a quarter turn to the left at the lower left
        self.calls += 1
        return self.answers[{0: 0, 3: 1, 2: 2, 1: 3}[turns]]


CORNER = np.zeros((100, 100, 3), np.uint8)
CORNER[0, 0] = 255


@pytest.mark.parametrize(
    ("answers", "turned", "calls"),
    [
        ([[face_at(0, 0.8)], [], [], []], 0, 1),  # sure at once
        ([[face_at(0, 0.5)], [face_at(0, 0.55)], [], []], 0, 4),  # not so much better that an upright photo is turned
        ([[face_at(0, 0.45)], [], [face_at(0, 0.7)], []], 2, 4),
        ([[face_at(85, 0.9)], [face_at(-5, 0.75)], [], []], 1, 4),  # it lies: sure of it or not
        ([[], [], [], [face_at(3, 0.5)]], 3, 4),
    ],
)
def test_which_way_is_up(answers, turned, calls):
    detector = Turning(*answers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Note)
        image, faces = upright(CORNER, detector)
    assert [face.turned for face in faces] == [turned] and detector.calls == calls
    assert (image == np.rot90(CORNER, turned)).all()


def test_faceboxes_own_score_must_be_higher_to_be_sure():
    answers = [face_at(0, 0.8)], [], [face_at(0, 0.95)], []
    for name, calls, turned in (("open", 1, 0), ("tddfa", 4, 2)):
        detector = Turning(*answers)
        detector.name = name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Note)
            _, (face,) = upright(CORNER, detector)
        assert (detector.calls, face.turned) == (calls, turned)


def test_a_lying_face_that_no_turn_shows_upright_is_refused():
    assert upright(CORNER, Turning([face_at(85, 0.9)], [], [], []))[1] == []
    assert upright(CORNER, Turning([], [], [], []))[1] == []


def test_given_points_are_taken_as_they_are():
    points = face_at(90, 1).points
    image, (face,) = upright(CORNER, GivenPoints(points))
    assert face.turned == 0 and (image == CORNER).all() and np.array_equal(face.points, points)


def test_crops_of_a_turned_photo_say_so(photo, tmp_path, capsys):
    Image.fromarray(np.rot90(photo)).save(tmp_path / "lying.png")
    assert main(["crop", str(tmp_path / "lying.png"), "-o", str(tmp_path / "out")]) == 0
    assert "note: The photo was given a quarter turn to the right" in capsys.readouterr().err
    about = json.loads((tmp_path / "out/lying_0.json").read_text())
    assert about["photo_turned"] == 270
    crop = np.asarray(Image.open(tmp_path / "out/lying_0.png")).astype(int)
    face = OpenDetector()(photo)[0]
    assert np.abs(crop - crop_face(photo, face).image).mean() < 2
    assert describe_crop(crop_face(photo, face), face, photo_name="", photo_size=(1, 1), number=0)["photo_turned"] == 0
