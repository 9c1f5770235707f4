"""Cached renders and their augmentations: picture and target move together, to the pixel."""

import errno
import json
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tddfa.ibug import MIRRORED
from tddfa.voxelizer import voxelize
from vrnlib.crop import CROP_SIZE, transform_points
from vrnlib.synthetic.damage import coarsen
from vrnlib.synthetic.faces import FaceRenderer, render_pair
from vrnlib.training.augment import Augmentation, cover, similarity_matrix
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


def test_a_dot_in_the_picture_moves_with_the_mesh(faces, monkeypatch):
    dot, inset = np.zeros((CANVAS, CANVAS, 3), np.uint8), (CANVAS - CROP_SIZE) // 2
    dot[70 + inset, 120 + inset] = 255  # crop pixel x=120, y=70
    monkeypatch.setattr(faces, "image", lambda index: dot)
    matrix = Augmentation().similarity(np.random.default_rng(4))
    picture = faces.crop(1, matrix)[..., 0].astype(float)
    y, x = np.mgrid[:CROP_SIZE, :CROP_SIZE]
    found = np.array([(picture * x).sum(), (picture * y).sum()]) / picture.sum()
    expected = transform_points(np.array([[120.0, 70.0, 5.0]]), matrix)[0]
    assert np.abs(found - expected[:2]).max() < 0.5
    assert abs(expected[2]) == pytest.approx(5 * np.sqrt(abs(np.linalg.det(matrix[:, :2]))), rel=1e-5)


def test_an_augmented_target_is_the_moved_mesh_voxelised_and_its_picture_moves_along(faces, monkeypatch):
    """The paper's augmentation written out again; the picture is the solid's own shadow, so it must lie on it."""
    inset, shadow = (CANVAS - CROP_SIZE) // 2, np.zeros((CANVAS, CANVAS, 3), np.uint8)
    unmoved, _ = voxelize(*faces.model.close(faces.mesh(0)))
    shadow[inset:-inset, inset:-inset] = 255 * unmoved.any(0)[..., None]
    monkeypatch.setattr(faces, "image", lambda index: shadow)
    pairs, mirrors = VolumePairs(faces, augmentation=replace(Augmentation(), color=(1, 1)), seed=3, step=1), []
    for epoch in range(8):
        rng = np.random.default_rng([3, epoch, 0])
        angle, scale = np.deg2rad(rng.uniform(-45, 45)), rng.uniform(0.85, 1.15)
        mirrors.append(rng.random() < 0.2)
        x, y, z = (faces.mesh(0).astype(float) - [95.5, 95.5, 0]).T
        x = -x if mirrors[-1] else x
        turned = [np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y, z]
        moved = scale * np.stack(turned, axis=1) + [*(95.5 + rng.uniform(-15, 15, 2)), 0]
        wanted, _ = voxelize(*faces.model.close(moved.astype(np.float32)))
        image, solid = pairs[0, epoch]
        assert (solid.numpy() != wanted).sum() <= 1e-5 * wanted.sum(), "float32 may decide a voxel on the very surface"
        seen, below = image[0].numpy() > 127, solid.numpy().any(0)
        assert (seen & below).sum() > 0.99 * (seen | below).sum(), (epoch, (seen & below).sum() / (seen | below).sum())
    assert 0 < sum(mirrors) < 8


def test_lattice_target_is_the_same_solid_sampled_more_coarsely(faces):
    exact = VolumePairs(faces, augmentation=Augmentation.none(), seed=0, step=1)[0][1].numpy()
    coarse = VolumePairs(faces, augmentation=Augmentation.none(), seed=0, step=4)[0][1].numpy()
    around = exact[:, 1::4, 1::4] & exact[:, 2::4, 2::4]  # solid on both sides of the lattice point
    assert coarse.shape == (200, 48, 48)
    assert (coarse & around).sum() > 0.99 * around.sum()
    assert abs(coarse.mean() / exact.mean() - 1) < 0.03


def test_landmarks_move_with_the_picture_and_change_sides_in_the_mirror(faces):
    """A dot is painted where each of three landmarks is; after the augmentation the item's landmark is on it."""
    inset, truth = (CANVAS - CROP_SIZE) // 2, faces.landmarks(0)
    how = {"augmentation": replace(Augmentation(), color=(1, 1), flip=0.5), "seed": 3, "size": 128}
    pairs, mirrored = VolumePairs(faces, landmarks=0.0, **how), []
    for epoch in range(6):
        for index in (8, 36, 48):  # the chin, the outer corners of an eye and of the mouth
            dotted = np.zeros((CANVAS, CANVAS, 3), np.uint8)
            x, y = np.rint(truth[index, :2] + inset).astype(int)
            dotted[y - 3 : y + 4, x - 3 : x + 4] = 255
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(faces, "image", lambda _, dotted=dotted: dotted)
                image, _, points = pairs[0, epoch]
            weight = image[0].numpy().astype(float)
            rows, columns = np.indices(weight.shape)
            dot = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
            near = [name for name in (index, int(MIRRORED[index])) if np.abs(points[name].numpy() - dot).max() < 0.7]
            assert near
            mirrored.append(near[0] != index)
    assert 0 < sum(mirrored) < len(mirrored)
    off = VolumePairs(faces, landmarks=2.0, **how)[0][2] - pairs[0][2]
    assert 1 < off.std() * CROP_SIZE / 128 < 3
    assert len(VolumePairs(faces, **how)[0]) == 2


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
    original = faces.landmarks(0)
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


def test_what_the_cache_keeps_is_small_and_gives_the_mesh_back(faces):
    sample = render_pair(faces.seed, 0, model=faces.renderer, canvas=CANVAS).crop()
    assert np.array_equal(faces.mesh(0), faces.mesh(0)) and np.abs(faces.mesh(0) - sample.vertices).max() < 1e-3
    assert np.abs(faces.landmarks(0) - sample.landmarks).max() < 1e-3
    inset = (CANVAS - CROP_SIZE) // 2
    inner = faces.image(0)[inset:-inset, inset:-inset].astype(float)
    assert np.sqrt(np.mean((inner - sample.image) ** 2)) < 4 and np.abs(inner.mean() - sample.image.mean()) < 0.5
    files = list(faces.cache.folder.rglob("00000000.*"))
    assert len(files) == 2 and sum(path.stat().st_size for path in files) < 60_000


def test_a_cache_is_reused_and_grows(tmp_path, monkeypatch):
    first = RenderedFaces(tmp_path, seed=5, count=1)
    image = first.image(0)
    again = RenderedFaces(tmp_path, seed=5, count=2)
    monkeypatch.setattr("vrnlib.training.data.render_pair", lambda *a, **k: pytest.fail("rendered again"))
    assert np.array_equal(again.image(0), image)
    facts = again.cache.facts(0)
    nan = {**facts, "landmarks": [[float("nan")] * 3] * 68}
    for content in (b"{", b"[" * 100_000, b"[1]", b"{}", json.dumps({**facts, "camera": 3, "landmarks": [1]}).encode()):
        again.cache.path(0).write_bytes(content)
        for read in (again.landmarks, again.mesh):
            with pytest.raises(ValueError, match="00000000.json is damaged"):
                read(0)
    if hasattr(os, "mkfifo"):
        for path in (again.cache.path(0), again.cache.path(0).with_suffix(".jpg")):
            path.unlink()
            os.mkfifo(path)
        for read in (again.image, again.mesh):
            with pytest.raises(ValueError, match="damaged .*a device or a pipe"):
                read(0)
        again.cache.path(0).unlink()
    again.cache.path(0).write_bytes(json.dumps(nan).encode())
    with pytest.raises(ValueError, match="NaN or infinity"):
        again.landmarks(0)


def _fill(folder: Path, start) -> None:
    faces = RenderedFaces(folder, seed=6, count=4)
    start.wait()
    for index in range(4):
        faces.render(index)


def test_two_processes_share_a_cache(tmp_path):
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    both = [context.Process(target=_fill, args=(tmp_path / "both", start)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    shared, alone = RenderedFaces(tmp_path / "both", seed=6, count=4), RenderedFaces(tmp_path / "one", seed=6, count=4)
    for index in range(4):
        assert np.array_equal(shared.image(index), alone.image(index))
        assert shared.cache.facts(index) == alone.cache.facts(index)
    assert not list(tmp_path.rglob("*.part"))


def test_a_full_disk_is_told_in_a_sentence(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    faces = RenderedFaces(tmp_path, seed=5, count=1)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"00000000\.jpg, got: No space left on device; check the folder and free space"):
        faces.image(0)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
