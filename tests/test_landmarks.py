"""Faces are found, refined, deduplicated and rejected; boxes, crops and points agree to a fraction of a pixel."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vrnlib.landmarks import LandmarkError, Landmarks, align, box_matrix, detect, find_frontal_faces


def template() -> np.ndarray:
    """68 points in the unit square that touch all four sides."""
    points = np.random.default_rng(5).uniform(0, 1, (68, 2))
    points[0], points[1], points[2], points[3] = (0, 0.5), (1, 0.5), (0.5, 0), (0.5, 1)
    return points.astype(np.float32)


class RedSquareFAN:
    """A stand-in FAN: its 'faces' are red squares, the landmarks a fixed pattern in them."""

    config = SimpleNamespace(size=128)

    def __call__(self, crops):
        images = crops.permute(0, 2, 3, 1).numpy()
        assert images.dtype == np.float32
        assert images.max() <= 1.0
        points, scores = [], []
        for image in images:
            red = np.clip(image[:, :, 0] - image[:, :, 2], 0, 1)
            if red.max() < 0.5:
                points.append(np.full((68, 3), 63.5, np.float32) + np.random.default_rng(0).normal(size=(68, 3)))
                scores.append(0.02)
                continue
            weight = red.sum()
            x = (red.sum(axis=0) * np.arange(128)).sum() / weight
            y = (red.sum(axis=1) * np.arange(128)).sum() / weight
            corner = np.array([x, y]) - np.sqrt(weight) / 2
            where = corner + template() * np.sqrt(weight)
            points.append(np.column_stack([where, template()[:, 0] * 10]).astype(np.float32))
            scores.append(0.9)
        return SimpleNamespace(
            points=torch.tensor(np.array(points, np.float32)), scores=torch.tensor(scores)[:, None].repeat(1, 68)
        )


def photo_with_squares(*squares: tuple[int, int, int], size=(400, 600)) -> np.ndarray:
    image = np.full((*size, 3), 60, np.uint8)
    for x, y, side in squares:
        image[y : y + side, x : x + side] = (255, 0, 0)
    return image


def test_points_come_back_in_photo_pixels_whatever_the_box():
    image = photo_with_squares((200, 120, 90))
    truth = np.array([199.5, 119.5]) + template() * 90
    for box in [(200, 120, 290, 210), (190, 110, 305, 225), (203, 108, 290, 198)]:
        points, scores = align(image, np.array([box]), RedSquareFAN())
        assert np.abs(points[0, :, :2] - truth).max() < 0.3
        assert scores[0] == pytest.approx(0.9)
        scale = box_matrix(np.array(box), size=128)[0, 0]
        assert np.ptp(points[0, :, 2]) == pytest.approx(10 / scale, rel=1e-3)


def test_every_face_is_found_once_largest_first():
    image = photo_with_squares((40, 60, 40), (300, 100, 160), (150, 300, 60))
    boxes = [(35, 58, 80, 95), (310, 90, 450, 250), (300, 120, 470, 270), (155, 295, 215, 355), (500, 300, 560, 360)]
    faces = detect(image, fan=RedSquareFAN(), finder=lambda _: np.array(boxes, float))
    assert [round(face.size) for face in faces] == [160, 60, 40]
    x0, y0, x1, y1 = faces[0].box
    assert np.allclose([x0, y0, x1, y1], [299.5, 99.5, 459.5, 259.5], atol=0.5)
    assert all(face.source == "open" and face.points.shape == (68, 3) for face in faces)
    assert all(face.points.dtype == np.float32 and 0 <= face.score <= 1 for face in faces)


def test_a_box_without_a_face_is_rejected():
    image = photo_with_squares()
    boxes = np.array([[100, 100, 200, 200], [300, 50, 420, 170]], float)
    assert detect(image, fan=RedSquareFAN(), finder=lambda _: boxes) == []


def test_points_that_run_away_are_rejected():
    image = photo_with_squares((200, 120, 90))
    finder = lambda _: np.array([[200, 120, 290, 210]], float)  # noqa: E731
    assert len(detect(image, fan=RedSquareFAN(), finder=finder)) == 1
    assert detect(image, fan=RunawayFAN(), finder=finder) == []


class RunawayFAN(RedSquareFAN):
    """Always says that the face is a quarter to the right of where it looked, and is sure of it."""

    def __call__(self, crops):
        points = 20 + 90 * template() + [35, 0]
        points = np.column_stack([points, np.zeros(68)]).astype(np.float32)
        return SimpleNamespace(
            points=torch.tensor(points)[None].repeat(len(crops), 1, 1), scores=torch.full((len(crops), 68), 0.9)
        )


def test_no_box_needs_no_network(monkeypatch):
    monkeypatch.setattr("vrnlib.landmarks._open_fan", None)
    assert detect(np.full((200, 200, 3), 128, np.uint8)) == []


def test_the_cascade_finds_the_astronaut():
    from skimage.data import astronaut

    boxes = find_frontal_faces(astronaut())
    truth = np.array([178.8, 80.5, 273.0, 171.5])  # the box of the official landmarks
    errors = np.abs(boxes - truth).max(axis=1)
    assert errors.min() < 20
    assert find_frontal_faces(np.full((100, 120, 3), 90, np.uint8)).shape == (0, 4)


def test_given_points(tmp_path):
    image = np.zeros((100, 100, 3), np.uint8)
    points = (template() * 50 + 20).astype(np.float32)
    np.save(tmp_path / "p.npy", points)
    lines = "\n".join(f"{x + 1:.4f} {y + 1:.4f}" for x, y in points)
    (tmp_path / "p.pts").write_text(f"version: 1\nn_points: 68\n{{\n{lines}\n}}\n")
    for given in (points, tmp_path / "p.npy", str(tmp_path / "p.pts"), Landmarks.from_points(points)):
        (face,) = detect(image, detector="points", points=given)
        assert np.abs(face.points - points).max() < 1e-3
        assert face.source == "points"
        assert face.box == pytest.approx((20, 20, 70, 70), abs=1e-3)
    two = detect(image, detector="points", points=np.stack([points * 0.5, points]))
    assert [round(face.size) for face in two] == [50, 25]


def test_wrong_points_are_sentences(tmp_path):
    image = np.zeros((100, 100, 3), np.uint8)
    (tmp_path / "p.txt").write_text("1 2")
    (tmp_path / "p.pts").write_text("no braces")
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    wrongs = [None, np.zeros((67, 2)), np.full((68, 2), np.nan)]
    wrongs += [tmp_path / name for name in ("p.txt", "p.pts", "pickled.npy", "missing.npy")]
    for wrong in wrongs:
        with pytest.raises(LandmarkError) as caught:
            detect(image, detector="points", points=wrong)
        assert "\n" not in str(caught.value)
    with pytest.raises(LandmarkError, match="open"):
        detect(image, detector="dlib")


def test_missing_official_package_or_weights_are_sentences(monkeypatch, tmp_path):
    image = np.zeros((100, 100, 3), np.uint8)
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    with pytest.raises(LandmarkError, match="pip install face-alignment"):
        detect(image, detector="fan")

    def unreachable(*arguments, **options):
        raise OSError("no network")

    fake = SimpleNamespace(FaceAlignment=unreachable, LandmarksType=SimpleNamespace(TWO_D=1))
    monkeypatch.setitem(sys.modules, "face_alignment", fake)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(LandmarkError, match="2DFAN4-11f355bf06") as caught:
        detect(image, detector="fan")
    assert str(tmp_path) in str(caught.value)
