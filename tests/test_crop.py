"""The crop is the contract's: scale, middle, borders, area-correct, and no drift between pixels and points."""

import numpy as np
import pytest
from scipy import ndimage

from vrnlib.crop import crop_face, crop_matrix, describe_crop, invert_matrix, transform_points, warp_similarity
from vrnlib.landmarks import Landmarks


def landmarks_in_box(x0, y0, x1, y1, *, seed=0, depth=True) -> np.ndarray:
    """68 random points whose bounding box is exactly this one."""
    rng = np.random.default_rng(seed)
    points = rng.uniform([x0, y0, -30], [x1, y1, 30], (68, 3))
    points[0, :2], points[1, :2] = [x0, y0], [x1, y1]
    return points[:, : 3 if depth else 2].astype(np.float32)


BOXES = [(40, 50, 130, 140), (100.5, 20.25, 180.5, 141.75), (-50, -30, 900, 800), (3, 4, 20, 25)]


@pytest.mark.parametrize("box", BOXES)
def test_scale_and_middle(box):
    points = landmarks_in_box(*box)
    matrix = crop_matrix(points)
    x0, y0, x1, y1 = box
    assert matrix[0, 0] == pytest.approx(90 / np.sqrt((x1 - x0) * (y1 - y0)), rel=1e-6)
    assert matrix[0, 0] == matrix[1, 1]
    assert matrix[0, 1] == matrix[1, 0] == 0
    middle = transform_points(np.array([[(x0 + x1) / 2, (y0 + y1) / 2]]), matrix)
    assert np.allclose(middle, 95.5, atol=1e-4)


def test_the_face_is_90_pixels_large_in_the_crop():
    """The original's crops, saved with a plot's margins, showed faces of 49 pixels."""
    image = np.full((600, 700, 3), 255, np.uint8)
    image[150:451, 200:401] = (255, 0, 0)
    crop = crop_face(image, landmarks_in_box(200, 150, 400, 450))
    assert crop.image.shape == (192, 192, 3)
    red = (crop.image[:, :, 0].astype(int) - crop.image[:, :, 2]) > 127
    rows, columns = np.where(red.any(axis=1))[0], np.where(red.any(axis=0))[0]
    size = np.sqrt((np.ptp(rows) + 1) * (np.ptp(columns) + 1))
    assert abs(size - 90) < 1
    assert abs((rows[0] + rows[-1]) / 2 - 95.5) < 0.6


def test_colours_stay_rgb():
    image = np.zeros((300, 300, 3), np.uint8)
    image[...] = (250, 120, 10)
    crop = crop_face(image, landmarks_in_box(100, 100, 180, 200))
    assert np.abs(crop.image.astype(int) - [250, 120, 10]).max() <= 1


@pytest.mark.parametrize("face", [40, 60, 90, 130, 400, 1100, 2500])
def test_dots_are_found_where_the_landmarks_are(face):
    """Render dots at random points, crop, find the dots again: no drift, also for strong downsampling."""
    rng = np.random.default_rng(face)
    height, width = int(face * 1.7) + 41, int(face * 1.6) + 52
    low = np.array([0.2 * width, 0.25 * height])
    high = low + face
    radius = face / 45 if face > 45 else 1.0
    grid = [low + (high - low) * (np.array([i, j]) + 0.5) / 4 for i in range(4) for j in range(4)]
    points = np.array(grid) + rng.uniform(-0.04, 0.04, (16, 2)) * face
    image = np.zeros((height, width, 3), np.uint8)
    for x, y in points:
        reach = int(4 * radius) + 2
        rows, columns = np.mgrid[int(y) - reach : int(y) + reach + 1, int(x) - reach : int(x) + reach + 1]
        value = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * radius**2))
        image[rows, columns] = np.maximum(image[rows, columns], np.rint(255 * value)[..., None].astype(np.uint8))
    landmarks = np.concatenate([np.array([low, high]), points, np.tile(points[:1], (50, 1))]).astype(np.float32)
    crop = crop_face(image, landmarks)
    assert crop.landmarks.shape == (68, 2)
    for x, y in crop.landmarks[2:18]:
        column, row = round(float(x)), round(float(y))
        reach = 6 if face > 45 else 10
        part = crop.image[row - reach : row + reach + 1, column - reach : column + reach + 1, 1].astype(float)
        found = ndimage.center_of_mass(part)
        assert np.hypot(found[1] + column - reach - x, found[0] + row - reach - y) < 0.15


def test_downsampling_takes_every_pixel_into_account():
    """A checkerboard of single pixels becomes even grey; point sampling would give stripes."""
    board = (np.indices((1800, 1800)).sum(axis=0) % 2 * 255).astype(np.uint8)
    image = np.repeat(board[:, :, None], 3, axis=2)
    for side in (300.0, 777.0, 1500.0):
        crop = crop_face(image, landmarks_in_box(100, 100, 100 + side, 100 + side))
        assert np.abs(crop.image.astype(int) - 127.5).max() < 26  # 127 without


def test_area_mean_is_exact_for_whole_factors():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 255, (48, 48, 3), dtype=np.uint8)
    for factor in (2, 3, 4, 12):
        matrix = np.array([[1 / factor, 0, (1 / factor - 1) / 2], [0, 1 / factor, (1 / factor - 1) / 2]])
        size = 48 // factor
        mean = image.reshape(size, factor, size, factor, 3).mean(axis=(1, 3))
        assert np.abs(warp_similarity(image, matrix, size) - mean).max() <= 0.51


def test_identity_and_mirrored_borders():
    image = np.random.default_rng(2).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    shift = np.array([[1.0, 0, 10], [0, 1, 7]])
    moved = warp_similarity(image, shift, 64)
    padded = np.pad(image, ((7, 17), (10, 4), (0, 0)), mode="symmetric")
    assert np.array_equal(moved, padded)


@pytest.mark.parametrize("box", [(2, 3, 60, 70), (150, 100, 199, 149), (-10, 60, 70, 160)])
def test_a_face_at_the_border_sees_the_photo_mirrored(box):
    """The crop is that of a photo that goes on beyond its borders, mirrored, the edge pixels repeated."""
    image = np.random.default_rng(8).integers(0, 255, (150, 200, 3), dtype=np.uint8)
    wide = np.pad(image, ((140, 140), (140, 140), (0, 0)), mode="symmetric")
    points = landmarks_in_box(*box, depth=False)
    crop, expected = crop_face(image, points), crop_face(wide, points + 140)
    assert np.abs(crop.image.astype(int) - expected.image).max() <= 1
    assert np.allclose(crop.landmarks, expected.landmarks, atol=1e-4)


def test_a_face_larger_than_the_photo_is_mirrored_not_black():
    image = np.full((64, 64, 3), 90, np.uint8)
    crop = crop_face(image, landmarks_in_box(-20, -20, 90, 90))
    assert (crop.image == 90).all()


def test_round_trip():
    points = landmarks_in_box(300, 200, 520, 470)
    crop = crop_face(np.zeros((700, 800, 3), np.uint8), points)
    assert np.allclose(crop.to_photo(crop.landmarks), points, atol=1e-3)
    assert np.allclose(crop.to_crop(points[:, :2]), crop.landmarks[:, :2], atol=1e-4)
    assert np.ptp(crop.landmarks[:, 2]) == pytest.approx(np.ptp(points[:, 2]) * crop.scale, rel=1e-5)
    both = np.vstack([crop.matrix, [0, 0, 1]]) @ np.vstack([invert_matrix(crop.matrix), [0, 0, 1]])
    assert np.allclose(both, np.eye(3))


def test_other_sizes_scale_everything():
    points = landmarks_in_box(300, 200, 520, 470)
    image = np.zeros((700, 800, 3), np.uint8)
    small, normal = crop_face(image, points, 96), crop_face(image, points)
    assert small.image.shape == (96, 96, 3)
    assert np.allclose((small.landmarks[:, :2] + 0.5) * 2 - 0.5, normal.landmarks[:, :2], atol=1e-3)


@pytest.mark.parametrize("points", [np.zeros((68, 2)), np.full((68, 3), np.nan), np.zeros((68, 5)), np.zeros(68)])
def test_points_without_a_box_are_refused(points):
    with pytest.raises(ValueError, match="Expected landmarks"):
        crop_face(np.zeros((64, 64, 3), np.uint8), points)


def test_a_turning_matrix_is_refused():
    with pytest.raises(ValueError, match="rotation"):
        warp_similarity(np.zeros((64, 64, 3), np.uint8), np.array([[0.0, -1, 60], [1, 0, 0]]), 64)


@pytest.mark.parametrize("box", [(300, 20, 350, 70), (-90, 20, -5, 70), (20, 130, 60, 160), (-9e8, -9e8, 9e8, 9e8)])
def test_landmarks_of_another_photo_are_refused(box):
    with pytest.raises(ValueError, match="photo of 200 x 100 pixels"):
        crop_face(np.zeros((100, 200, 3), np.uint8), landmarks_in_box(*box))


def test_the_description_of_a_crop_leads_back():
    face = Landmarks.from_points(landmarks_in_box(300, 200, 520, 470), score=0.75, source="open")
    crop = crop_face(np.zeros((700, 800, 3), np.uint8), face, 96)
    about = describe_crop(crop, face, photo_name="a.jpg", photo_size=(800, 700), number=1)
    assert {key: about[key] for key in ("photo", "photo_size", "face", "score", "detector", "crop_size")} == {
        "photo": "a.jpg",
        "photo_size": [800, 700],
        "face": 1,
        "score": 0.75,
        "detector": "open",
        "crop_size": 96,
    }
    there = transform_points(np.array(about["landmarks"]), np.array(about["crop_matrix"]))
    assert np.allclose(there, about["crop_landmarks"], atol=2e-3)
    assert np.allclose(about["box"], [300, 200, 520, 470])
