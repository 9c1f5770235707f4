"""Cached renders and their augmentations: picture and target move together, to the pixel."""

import numpy as np
import pytest

from tddfa.ibug import MIRRORED
from vrnlib.crop import CROP_SIZE, transform_points
from vrnlib.synthetic.faces import FaceRenderer, render_pair
from vrnlib.training.augment import Augmentation, coarsen, cover, similarity_matrix
from vrnlib.training.data import CANVAS, RenderedFaces
from vrnlib.training.fan import LandmarkPairs
from vrnlib.training.vrn import VolumePairs


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> RenderedFaces:
    renderer = FaceRenderer()
    nearly_frontal = (s for s in range(100) if np.abs(render_pair(s, 0, model=renderer).pose).max() < 20)
    faces = RenderedFaces(tmp_path_factory.mktemp("renders"), seed=next(nearly_frontal), count=2)
    faces.render(0)
    return faces


def test_mirroring_twice_is_nothing_and_keeps_the_middle():
    assert np.array_equal(MIRRORED[MIRRORED], np.arange(68))
    assert all(MIRRORED[i] == i for i in (8, 27, 28, 29, 30, 33, 51, 57, 62, 66))
    assert MIRRORED[36] == 45 and MIRRORED[39] == 42 and MIRRORED[48] == 54 and MIRRORED[0] == 16


def test_similarity_keeps_to_the_papers_ranges():
    rng = np.random.default_rng(0)
    matrices = [Augmentation().similarity(rng) for _ in range(2000)]
    determinants = np.array([np.linalg.det(matrix[:, :2]) for matrix in matrices])
    scales = np.sqrt(np.abs(determinants))
    middle = np.array([matrix[:, :2] @ [95.5, 95.5] + matrix[:, 2] - 95.5 for matrix in matrices])
    assert 0.85 <= scales.min() < 0.86 and 1.14 < scales.max() <= 1.15
    assert 14 < np.abs(middle).max() <= 15
    assert 0.15 < (determinants < 0).mean() < 0.25, "a fifth is mirrored"
    upright = Augmentation.none().similarity(rng)
    assert np.allclose(upright, [[1, 0, 0], [0, 1, 0]])


def test_a_similarity_turns_scales_mirrors_and_brings_one_point_to_another():
    matrix = similarity_matrix(30, scale=2, mirrored=True, source=(10, 20), target=(3, 4))
    moved = transform_points(np.array([[10.0, 20], [11, 20], [10, 21]]), matrix) - [3, 4]
    assert np.allclose(moved, [[0, 0], [-(3**0.5), -1], [-1, 3**0.5]], atol=1e-5)


def test_colour_gains_are_per_channel():
    grey = np.full((4, 4, 3), 100, np.uint8)
    image = Augmentation().recolor(grey, np.random.default_rng(1))
    assert len({*image[0, 0]}) == 3 and image.min() >= 60 and image.max() <= 140


def test_a_dot_in_the_picture_moves_with_the_mesh(faces):
    faces.images[1] = 0
    inset = (CANVAS - CROP_SIZE) // 2
    faces.images[1, 70 + inset, 120 + inset] = 255  # crop pixel x=120, y=70
    matrix = Augmentation().similarity(np.random.default_rng(4))
    picture = faces.crop(1, matrix)[..., 0].astype(float)
    y, x = np.mgrid[:CROP_SIZE, :CROP_SIZE]
    found = np.array([(picture * x).sum(), (picture * y).sum()]) / picture.sum()
    expected = transform_points(np.array([[120.0, 70.0, 5.0]]), matrix)[0]
    assert np.abs(found - expected[:2]).max() < 0.5
    assert abs(expected[2]) == pytest.approx(5 * np.sqrt(abs(np.linalg.det(matrix[:, :2]))), rel=1e-5)


def test_target_covers_the_landmarks_of_the_same_augmentation(faces):
    pairs = VolumePairs(faces, augmentation=Augmentation(), seed=3, step=1)
    for epoch in range(3):
        image, solid = pairs[0, epoch]
        matrix = Augmentation().similarity(np.random.default_rng([3, epoch, 0]))
        x, y, _ = transform_points(np.asarray(faces.landmarks[0]), matrix)[[30, 33, 51]].T  # nose tip … upper lip
        assert image.shape == (3, CROP_SIZE, CROP_SIZE) and solid.shape == (200, CROP_SIZE, CROP_SIZE)
        assert solid.any(0)[np.round(y).astype(int), np.round(x).astype(int)].all()


def test_lattice_target_is_the_same_solid_sampled_more_coarsely(faces):
    exact = VolumePairs(faces, augmentation=Augmentation.none(), seed=0, step=1)[0][1].numpy()
    coarse = VolumePairs(faces, augmentation=Augmentation.none(), seed=0, step=4)[0][1].numpy()
    around = exact[:, 1::4, 1::4] & exact[:, 2::4, 2::4]  # solid on both sides of the lattice point
    assert coarse.shape == (200, 48, 48)
    assert (coarse & around).sum() > 0.99 * around.sum()
    assert abs(coarse.mean() / exact.mean() - 1) < 0.03


def test_items_depend_on_seed_epoch_and_index_only(faces):
    pairs = VolumePairs(faces, augmentation=Augmentation(), seed=3)
    first, second = pairs[0, 5], pairs[0, 5]
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert not (pairs[0, 6][0] == first[0]).all()


def test_landmarks_lie_on_the_face_of_the_jittered_square(faces):
    image, points, is_face = LandmarkPairs(faces, seed=0, augment=False)[0]
    low, high = points[:, :2].min(0).values, points[:, :2].max(0).values
    assert is_face and image.shape == (3, 128, 128)
    assert (high - low).max().item() == pytest.approx(128 / 1.4, abs=0.1)
    assert ((low + high) / 2).tolist() == pytest.approx([63.5, 63.5], abs=0.1)
    assert points[:, 2].mean().item() == pytest.approx(0, abs=1e-3)


def test_mirrored_landmarks_keep_the_viewers_left_on_the_left(faces):
    pairs = LandmarkPairs(faces, seed=0)
    original = faces.landmarks[0]
    sign = bool(original[45, 0] > original[36, 0])
    seen = [pairs[0, epoch] for epoch in range(40)]
    upright = [points for _, points, is_face in seen if is_face and (points[8, 1] > points[27, 1])]
    assert len(upright) > 10
    assert np.mean([bool(points[45, 0] > points[36, 0]) == sign for points in upright]) > 0.9
    assert 0 < sum(not is_face for *_, is_face in seen) < 15


def test_a_cover_hides_a_part_and_leaves_the_rest():
    image, other = np.full((128, 128, 3), 40, np.uint8), np.full((256, 256, 3), 200, np.uint8)
    rng = np.random.default_rng(0)
    hidden = np.array([(cover(image, other, rng) == 200).all(axis=2).mean() for _ in range(30)])
    assert hidden.max() < 0.25 and (hidden > 0.003).mean() > 0.7
    assert (cover(image, image.repeat(2, 0).repeat(2, 1), rng) == image).all()


def test_a_coarse_image_shows_as_much_and_no_detail():
    stripes = np.tile(np.uint8([0, 255]), (128, 64))[..., None].repeat(3, 2)
    assert np.abs(coarsen(stripes, 32).astype(int) - 127).max() < 2
    ramp = np.arange(128, dtype=np.uint8)[None, :, None].repeat(128, 0).repeat(3, 2)
    assert np.abs(coarsen(ramp, 32)[:, 4:-4].astype(int) - ramp[:, 4:-4]).max() <= 1, "nothing moves"


def test_a_cache_is_reused_and_a_foreign_one_refused(faces, tmp_path):
    folder = tmp_path / "cache"
    first = RenderedFaces(folder, seed=5, count=1)
    first.render(0)
    image = first.images[0].copy()
    again = RenderedFaces(folder, seed=5, count=1)
    assert again.ready[0] == 1 and np.array_equal(again.images[0], image)
    with pytest.raises(ValueError, match="delete the cache folder"):
        RenderedFaces(folder, seed=5, count=2)
