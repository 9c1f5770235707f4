"""Numbers about results, on solids and points whose values are known."""

import numpy as np
import pytest
import torch

from vrnlib.metrics import interocular_distance, iou, landmark_error_percent, nme, surface_distance
from vrnlib.training.batches import landmark_error_percents


def test_iou_of_known_boxes():
    a, b = np.zeros((10, 12, 14), bool), np.zeros((10, 12, 14), bool)
    a[2:6, 2:6, 2:6] = True
    b[4:8, 2:6, 2:6] = True
    assert iou(a, b) == pytest.approx(32 / 96)
    assert iou(a, a) == 1
    assert iou(a, ~a) == 0
    assert iou(a * 0.6, b * 0.9) == pytest.approx(32 / 96)
    assert iou(a & False, b & False) == 1


def test_iou_refuses_swapped_axes():
    with pytest.raises(ValueError, match="z, y, x"):
        iou(np.zeros((200, 192, 192), bool), np.zeros((192, 192, 200), bool))


def test_nme_is_relative_to_the_outer_eye_corners():
    landmarks = np.random.default_rng(0).normal(size=(68, 3)) * 30
    landmarks[36], landmarks[45] = (-30, 0, 0), (30, 0, 80)
    assert interocular_distance(landmarks) == pytest.approx(100)
    assert interocular_distance(landmarks[:, :2]) == pytest.approx(60)
    moved = landmarks + [3, 0, 4]
    assert nme(moved, landmarks, interocular_distance(landmarks)) == pytest.approx(0.05)
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ValueError):
            nme(moved, landmarks, wrong)
    with pytest.raises(ValueError):
        nme(moved[:10], landmarks, 1)
    with pytest.raises(ValueError):
        interocular_distance(landmarks[:67])


def test_landmark_error_is_relative_to_the_box():
    truth = np.zeros((68, 2))
    truth[0], truth[1] = [10, 20], [110, 45]  # with the zeros: a box of 110 x 45
    points = truth + [3, 4]
    points[0] = truth[0]
    assert landmark_error_percent(points, truth) == pytest.approx(100 * 5 * 67 / 68 / np.sqrt(110 * 45))
    several = torch.from_numpy(np.stack([points, truth]))
    assert landmark_error_percents(several, torch.from_numpy(np.stack([truth, truth]))).tolist() == pytest.approx(
        [landmark_error_percent(points, truth), 0]
    )
    with pytest.raises(ValueError, match="without area"):
        landmark_error_percent(points, np.zeros((68, 2)))
    with pytest.raises(ValueError, match="68, 2"):
        landmark_error_percent(points[:67], truth)


def test_surface_distance_is_to_faces_not_to_vertices():
    vertices = np.array([[0, 0, 0], [10, 0, 0], [10, 10, 0], [0, 10, 0]], float)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    points = np.array([[5, 5, 2], [3, 1, -1], [13, 14, 0], [5, -2, 0], [0, 0, 0]], float)
    assert np.allclose(surface_distance(points, vertices, faces), [2, 1, 5, 2, 0])
