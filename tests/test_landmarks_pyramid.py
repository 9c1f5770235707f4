"""Large photos are seen at more than one scale, and small faces in them are found."""

import numpy as np
import pytest

from tddfa.faceboxes import LARGEST
from vrnlib.landmarks.detectors import OpenDetector
from vrnlib.landmarks.pyramid import SMALL, FaceBoxesPyramid
from vrnlib.notebook import frontal_sample


class Answers:
    """A stand-in for FaceBoxes: the boxes to give at each level, and what it was asked for."""

    def __init__(self, *levels):
        self.levels, self.asked = [np.array(boxes, np.float32).reshape(-1, 5) for boxes in levels], []

    def __call__(self, image, *, largest=LARGEST):
        self.asked.append(largest[0] // LARGEST[0])
        return self.levels[len(self.asked) - 1]


@pytest.mark.parametrize(
    ("size", "levels"),
    [
        ((720, 1080), [1]),
        ((720, 1280), [1]),
        ((1080, 1920), [1, 2]),
        ((2000, 3000), [1, 2]),
        ((3000, 4000), [1, 2, 4]),
        ((9000, 9000), [1, 2, 4]),
    ],
)
def test_larger_photos_get_more_levels(size, levels):
    answers = Answers([], [], [])
    assert FaceBoxesPyramid(answers)(np.zeros((*size, 3), np.uint8)).shape == (0, 5)
    assert answers.asked == levels


def test_a_further_level_adds_small_faces_only():
    """At a third of the size a face of 300 pixels has 100 there; the box of a part of it would be a false one."""
    seen = [100, 100, 500, 500, 0.9]
    small, again, large = [1000, 1000, 1060, 1060, 0.6], [110, 100, 500, 490, 0.8], [2000, 900, 2400, 1300, 0.95]
    tiny = [1500, 1500, 1540, 1540, 0.7]
    answers = Answers([seen], [small, again, large], [tiny, [1001, 1000, 1060, 1061, 0.5]])
    boxes = FaceBoxesPyramid(answers)(np.zeros((2160, 3240, 3), np.uint8))
    np.testing.assert_array_equal(boxes, np.float32([seen, tiny, small]))
    assert 3 * SMALL < 400


def test_small_faces_of_a_large_photo_are_found():
    photo = np.full((2000, 3000, 3), 120, np.uint8)
    face = frontal_sample(7).image[::3, ::3]  # a crop whose face has 90 pixels becomes one of 30
    places = [(200, 300), (900, 2500), (1500, 1200)]
    for y, x in places:
        photo[y : y + 64, x : x + 64] = face
    detector = OpenDetector()
    found = detector(photo)
    middles = {(round((face.box[1] - 32) / 100), round((face.box[0] - 32) / 100)) for face in found}
    assert middles == {(2, 3), (9, 25), (15, 12)}
    assert not len(detector.face_detector.face_boxes(photo)), "one level alone does not see them"
