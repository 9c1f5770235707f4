"""Poses, the 62 parameters, roi boxes: round trips, hand-made cases and the original's own numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tddfa import geometry
from tddfa.morphable import MorphableModel


@pytest.fixture(scope="module")
def standin(assets) -> MorphableModel:
    path = assets / "official" / "configs" / "bfm_noneck_v3.standin.pkl"
    if not path.is_file():
        pytest.skip("no stand-in of the official model here")
    return MorphableModel.load(path)


def test_rotation_turns_nose_the_documented_way():
    nose = np.array([0.0, 0.0, 1.0])
    assert (geometry.rotation_matrix(30, 0, 0) @ nose)[0] > 0.49
    assert (geometry.rotation_matrix(0, 30, 0) @ nose)[1] < -0.49
    top = geometry.rotation_matrix(0, 0, 30) @ np.array([0.0, 1.0, 0.0])
    assert top[0] < -0.49
    r = geometry.rotation_matrix(50, -20, 10)
    np.testing.assert_allclose(r @ r.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(r) == pytest.approx(1.0)


def test_angles_invert_the_rotation():
    rng = np.random.default_rng(0)
    for angles in rng.uniform([-179, -89, -179], [179, 89, 179], (200, 3)):
        np.testing.assert_allclose(geometry.rotation_angles(geometry.rotation_matrix(*angles)), angles, atol=1e-9)
    for pitch in (90, -90):
        r = geometry.rotation_matrix(25, pitch, 0)
        back = geometry.rotation_matrix(*geometry.rotation_angles(r))
        np.testing.assert_allclose(back, r, atol=1e-7)


@pytest.mark.parametrize("y_down", [False, True])
def test_pose_round_trip(y_down):
    r = geometry.rotation_matrix(-70, 12, 5)
    matrix = geometry.pose_matrix(0.62, r, np.array([4.0, -7.0, 2.0]))
    matrix = geometry.flip_y(matrix) if y_down else matrix
    scale, rotation, translation = geometry.split_pose(matrix)
    assert scale == pytest.approx(0.62)
    np.testing.assert_allclose(rotation, r, atol=1e-12)
    np.testing.assert_allclose(translation, matrix[:, 3])


def test_flip_y_twice_is_nothing():
    matrix = np.random.default_rng(1).normal(size=(3, 4))
    np.testing.assert_allclose(geometry.flip_y(geometry.flip_y(matrix, height=120), height=120), matrix)
    points = np.random.default_rng(2).normal(size=(5, 3))
    flipped = geometry.project(geometry.flip_y(matrix, height=120), points)
    np.testing.assert_allclose(flipped[:, 1], 120 - geometry.project(matrix, points)[:, 1])


def test_compose_decompose():
    rng = np.random.default_rng(3)
    matrix, shape, expression = rng.normal(size=(3, 4)), rng.normal(size=40), rng.normal(size=10)
    parameters = geometry.compose(matrix, shape, expression)
    assert parameters.shape == (62,) and parameters.dtype == np.float32
    assert parameters[3] == np.float32(matrix[0, 3])
    back = geometry.decompose(parameters)
    for given, found in zip((matrix, shape, expression), back, strict=True):
        np.testing.assert_allclose(found, given, rtol=1e-6)
    assert geometry.compose(matrix, shape[:3], expression[:0])[15:].max() == 0
    with pytest.raises(ValueError, match="40 shape"):
        geometry.compose(matrix, rng.normal(size=41), expression)
    with pytest.raises(ValueError, match="at least 52"):
        geometry.decompose(np.zeros(51))


@pytest.mark.parametrize("y_down", [False, True])
def test_fit_pose_finds_the_pose(y_down):
    rng = np.random.default_rng(4)
    points = rng.normal(size=(30, 3)) * 50
    matrix = geometry.pose_matrix(0.7, geometry.rotation_matrix(40, -10, 8), np.array([95.0, 90.0, 3.0]))
    matrix = geometry.flip_y(matrix, height=192) if y_down else matrix
    found = geometry.fit_pose(points, geometry.project(matrix, points), y_down=y_down)
    np.testing.assert_allclose(found, matrix, atol=1e-9)
    with pytest.raises(ValueError, match="line"):
        geometry.fit_pose(np.outer(np.arange(4.0), np.ones(3)), np.outer(np.arange(4.0), np.ones(3)))


def test_roi_of_a_box_by_hand():
    left, top, right, bottom = geometry.roi_from_box([100, 200, 200, 320, 0.9])
    assert right - left == bottom - top == int(110 * 1.58)
    assert (left + right) / 2 == 150
    assert (top + bottom) / 2 == pytest.approx(260 + 0.14 * 110)


def test_roi_of_landmarks_by_hand():
    roi = geometry.roi_from_landmarks(np.array([[10.0, 20.0], [50.0, 40.0]]))
    np.testing.assert_allclose(roi, (30 - 20 * 2**0.5, 30 - 20 * 2**0.5, 30 + 20 * 2**0.5, 30 + 20 * 2**0.5))


def test_crop_rounds_half_to_even_and_pads_black():
    image = np.arange(1, 26, dtype=np.uint8).reshape(5, 5)
    crop = geometry.crop_roi(image, (-1.5, 0.5, 2.5, 3.5))
    assert crop.shape == (4, 4)
    np.testing.assert_array_equal(crop[:, :2], 0)
    np.testing.assert_array_equal(crop[:, 2:], image[0:4, 0:2])
    assert geometry.crop_roi(image, (10, 10, 12, 12)).sum() == 0
    with pytest.raises(ValueError, match="left < right"):
        geometry.crop_roi(image, (3, 0, 3, 2))


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"\(3, 4\)"):
        geometry.split_pose(np.eye(3))
    with pytest.raises(ValueError, match="singular"):
        geometry.split_pose(np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"\('N', 3\)"):
        geometry.project(np.eye(3, 4), np.zeros((3, 7)))


@pytest.mark.parametrize("name", ["emma", "trump_hillary", "JianzhuGuo", "astronaut"])
def test_same_faces_as_the_original(standin, reference, name):
    file = reference / f"{name}.npz"
    if not file.is_file():
        pytest.skip("the original's numbers are not here")
    with np.load(file) as numbers:
        boxes, rois, params = numbers["boxes"], numbers["roi"], numbers["params"]
        sparse, dense, pose = numbers["sparse"], numbers["dense"], numbers["pose_deg"]
    for i in range(len(boxes)):
        np.testing.assert_allclose(geometry.roi_from_box(boxes[i]), rois[i], atol=1e-3)
        matrix, shape, expression = geometry.decompose(params[i])
        np.testing.assert_allclose(geometry.official_angles(matrix), pose[i], atol=1e-3)
        crop = geometry.project(matrix, standin.reconstruct(shape, expression))
        found = geometry.image_from_roi(crop, tuple(rois[i]))
        for ours, theirs in ((found, dense[i].T), (standin.landmarks(found), sparse[i].T)):
            ours = ours - [0, 0, ours[:, 2].min()]
            np.testing.assert_allclose(ours, theirs, atol=0.02)


def test_near_a_profile_the_original_prints_ninety_degrees():
    for yaw, expected in ((-85, (85, 5)), (-88, (90, 0)), (88, (-90, 0))):
        found = geometry.official_angles(geometry.rotation_matrix(yaw, 0, 5))
        np.testing.assert_allclose(found[::2], expected, atol=1e-6)
