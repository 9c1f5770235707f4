"""Rendered faces: same bytes everywhere, truth that fits the picture, a wide spread, sentences for bad arguments."""

import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pytest
from scipy import ndimage

from vrnlib.synthetic import backgrounds
from vrnlib.synthetic.appearance import BEARD_STYLES, HAIR_STYLE_ODDS, random_appearance
from vrnlib.synthetic.camera import random_angles
from vrnlib.synthetic.faces import FaceRenderer, FaceStream, contact_sheet, render_pair
from vrnlib.synthetic.hair import HAIR_STYLES
from vrnlib.synthetic.lighting import MATERIALS, VertexFinish
from vrnlib.synthetic.meshes import Material


@pytest.fixture(scope="module")
def renderer():
    return FaceRenderer()


@pytest.fixture(scope="module")
def samples(renderer):
    return [render_pair(11, k, model=renderer) for k in range(6)]


def digest(sample) -> str:
    arrays = (sample.image, sample.landmarks, sample.parameters, sample.vertices)
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def test_same_bytes_twice_in_any_order_and_in_another_process(renderer, samples):
    again = [digest(render_pair(11, k, model=renderer)) for k in (3, 1)]
    assert again == [digest(samples[3]), digest(samples[1])]
    code = (
        "import hashlib, numpy as np; from vrnlib.synthetic.faces import render_pair; s = render_pair(11, 3);"
        "print(hashlib.sha256(b''.join(np.ascontiguousarray(a).tobytes() for a in"
        " (s.image, s.landmarks, s.parameters, s.vertices))).hexdigest())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split()[-1] == digest(samples[3])


def test_other_seeds_and_indices_are_other_faces(renderer, samples):
    digests = {digest(s) for s in samples} | {digest(render_pair(12, 3, model=renderer))}
    assert len(digests) == len(samples) + 1


def test_arrays_have_the_contracts_shapes_and_types(samples, renderer):
    for s in samples:
        assert s.image.shape == (192, 192, 3) and s.image.dtype == np.uint8
        assert s.landmarks.shape == (68, 3) and s.landmarks.dtype == np.float32
        assert s.parameters.shape == (62,) and s.parameters.dtype == np.float32
        assert s.vertices.shape == (len(renderer.model.u) // 3, 3) and s.vertices.dtype == np.float32


def test_landmarks_are_the_models_key_points(samples, renderer):
    rows = np.asarray(renderer.model.keypoints).reshape(68, 3)[:, 0] // 3
    for s in samples:
        np.testing.assert_array_equal(s.landmarks, s.vertices[rows])


def test_crop_has_the_contracts_scale_and_middle(samples):
    for s in samples:
        low, high = s.landmarks[:, :2].min(0), s.landmarks[:, :2].max(0)
        assert np.sqrt(np.prod(high - low)) == pytest.approx(90, abs=1e-3)
        np.testing.assert_allclose((low + high) / 2, [95.5, 95.5], atol=1e-3)


def test_parameters_give_the_vertices_back(samples, renderer):
    """The pose is the best fit without perspective, so a near camera leaves a few px; x, y, z must not be swapped."""
    for s in samples:
        matrix = s.parameters[:12].reshape(3, 4).astype(np.float64)
        face = renderer.model.reconstruct(s.parameters[12:52], s.parameters[52:])
        error = np.linalg.norm(face @ matrix[:, :3].T + matrix[:, 3] - s.vertices, axis=1)
        assert error.mean() < 5 and error.max() < 25
        left = matrix[:, :3]
        assert np.linalg.det(left) < 0, "y runs down in images, so the pose mirrors"
        np.testing.assert_allclose(left @ left.T, np.eye(3) * np.trace(left @ left.T) / 3, atol=1e-4)


def test_nose_points_to_the_camera_and_chin_is_below_when_frontal(renderer):
    for k in range(40):
        s = render_pair(5, k, model=renderer)
        if np.abs(s.pose).max() < 25:
            assert s.landmarks[30, 2] > s.landmarks[[0, 16], 2].max()
            assert s.landmarks[8, 1] > s.landmarks[27, 1]
            assert s.landmarks[36, 0] < s.landmarks[45, 0]
            return
    pytest.fail("expected a near-frontal head among 40")


def test_positive_yaw_turns_the_nose_right(renderer):
    seen = 0
    for k in range(12):
        s = render_pair(6, k, model=renderer)
        if 30 < abs(s.pose[0]) and np.abs(s.pose[1:]).max() < 25:
            middle = s.landmarks[[0, 16], 0].mean()
            assert np.sign(s.landmarks[30, 0] - middle) == np.sign(s.pose[0])
            seen += 1
    assert seen


def test_volume_is_one_solid_around_the_face(samples):
    for s in samples[:3]:
        volume = s.volume()
        assert volume.shape == (200, 192, 192) and volume.dtype == bool
        assert 0.03 < volume.mean() < 0.25
        labels, count = ndimage.label(volume)
        assert count == 1
        assert ndimage.binary_fill_holes(volume).sum() == volume.sum()
        outline = volume.any(0)
        x, y = np.rint(s.landmarks[17:, :2]).astype(int).T
        assert outline[np.clip(y, 0, 191), np.clip(x, 0, 191)].mean() > 0.9
    assert samples[0].volume(step=4).shape == (200, 48, 48)


def test_volume_fits_the_picture(renderer):
    """The nose, the lips and the chin, as drawn, lie inside the solid's outline."""
    s = render_pair(11, 1, model=renderer, augment_damage=False)
    outline = s.volume().any(0)
    x, y = np.rint(s.landmarks[[30, 33, 51, 8], :2]).astype(int).T
    assert cv2.dilate(outline.astype(np.uint8), np.ones((3, 3)))[y, x].all()


def test_canvas_is_the_same_truth_with_a_border(renderer):
    wide, crop = render_pair(11, 2, model=renderer, canvas=256), render_pair(11, 2, model=renderer)
    assert wide.image.shape == (256, 256, 3) and wide.margin == 32
    np.testing.assert_allclose(wide.vertices - [32, 32, 0], crop.vertices, atol=1e-4)
    cut = wide.crop()
    assert cut.image.shape == (192, 192, 3)
    np.testing.assert_array_equal(cut.image, wide.image[32:224, 32:224])
    np.testing.assert_allclose(cut.parameters, crop.parameters, atol=2e-3)
    np.testing.assert_array_equal(wide.volume(), crop.volume())


def test_poses_reach_far(samples):
    angles = np.array([random_angles(np.random.default_rng(k)) for k in range(600)])
    low, high = angles.min(0), angles.max(0)
    assert low[0] < -80 and high[0] > 80 and np.abs(angles[:, 0]).max() <= 90
    assert low[1] < -30 and high[1] > 30 and np.abs(angles[:, 1]).max() <= 40
    assert low[2] < -30 and high[2] > 30 and np.abs(angles[:, 2]).max() <= 45
    turned = np.abs(angles[:, 0])
    assert (turned < 20).mean() > 0.2 and (turned > 40).mean() > 0.35


def test_pictures_differ_in_tone_and_are_not_flat(renderer, samples):
    means = np.array([s.image.mean() for s in samples])
    assert means.std() > 5
    assert all(s.image.std() > 10 for s in samples)
    clean = render_pair(11, 0, model=renderer, augment_damage=False)
    assert (clean.image != samples[0].image).any()


def test_test_photo_is_no_background():
    assert not any("astronaut" in name for name in backgrounds.PICTURES)


def test_stream_is_indexed_and_endless(renderer):
    stream = FaceStream(11, model=renderer, length=5, transform=digest)
    assert len(stream) == 5 and stream[7] == stream[7] != stream[6]
    walk = iter(stream)
    assert [next(walk), next(walk)] == [stream[0], stream[1]]


def test_contact_sheet_is_made_of_the_streams_faces(renderer, samples):
    sheet = contact_sheet(11, 1, 2, model=renderer)
    np.testing.assert_array_equal(sheet, np.hstack([samples[0].image, samples[1].image]))


@pytest.mark.parametrize(
    ("arguments", "options"),
    [((-1, 0), {}), ((0, 1.5), {}), ((0, 0), {"size": 8}), ((0, 0), {"canvas": 100}), ((0, 0), {"canvas": 193})],
)
def test_wrong_arguments_are_named_in_a_sentence(arguments, options, renderer):
    with pytest.raises(ValueError, match=r"expected .*got .*"):
        render_pair(*arguments, model=renderer, **options)


def test_a_model_without_a_head_is_refused(renderer):
    class Bare:
        context = None
        region = renderer.model.region

    with pytest.raises(ValueError, match="expected a face model with scalp"):
        FaceRenderer(Bare())


def test_sheet_needs_a_row():
    with pytest.raises(ValueError, match="expected at least one row"):
        contact_sheet(0, 0, 3)


def test_a_hat_whose_rim_rounds_below_the_horizon_is_drawn():
    assert render_pair(1, 519, canvas=256).image.shape == (256, 256, 3)


def test_tables_agree_and_odds_add_up(renderer):
    assert set(HAIR_STYLE_ODDS) == set(HAIR_STYLES)
    np.testing.assert_allclose(np.sum(list(HAIR_STYLE_ODDS.values()), axis=0), 1)
    assert set(MATERIALS) == set(Material)
    assert renderer.portrait.maps.beards.shape[1] == len(BEARD_STYLES)


def test_materials_are_looked_up_by_name():
    finish = VertexFinish.of(np.array([Material.TOOTH, Material.SKIN]), gloss=10.0, shine=0.5)
    np.testing.assert_allclose(finish.occlusion, [0.55, 1.0])
    np.testing.assert_allclose(finish.gloss, [30, 14])
    np.testing.assert_allclose(finish.shine, [0.75, 0.5])


def test_reprs_are_one_short_line(renderer, samples):
    for one in (samples[0], random_appearance(np.random.default_rng(0))):
        assert "\n" not in repr(one) and len(repr(one)) < 1000


def test_all_hair_styles_occur_and_a_cut_leaves_the_person():
    people = [random_appearance(np.random.default_rng(k)) for k in range(300)]
    assert {person.style for person in people} == set(HAIR_STYLES)
    cut = people[0].with_style("buzz").without_fringe()
    assert (cut.style, cut.fringe) == ("buzz", 0.0) and cut.skin is people[0].skin
