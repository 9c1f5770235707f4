"""Readers of 300W-LP, 300W-3D and AFLW2000-3D: conventions checked by hand, damaged files told in a sentence."""

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from labelled_faces import CANVAS, render, save_image, save_mat
from scipy.io import loadmat, savemat

from tddfa.datasets import (
    FaceLabels,
    LabelledFace,
    aflw2000_crops,
    aflw2000_images,
    mat_vertices,
    read_mat,
    read_mat_landmarks,
)
from tddfa.geometry import project
from tddfa.mat_files import read_arrays
from tddfa.morphable import MorphableModel


@pytest.fixture(scope="module")
def samples():
    return render(3)


@pytest.fixture(scope="module")
def model():
    """The open model, dressed as a foreign one."""
    return replace(MorphableModel.open(), expression_bank=None, name="foreign.pkl")


def labels(pose, shape=(), expression=()) -> FaceLabels:
    return FaceLabels(*(np.array(part, np.float64) for part in (pose, shape, expression)), None)


def test_a_mat_file_gives_its_arrays(samples, tmp_path):
    found = read_mat(save_mat(tmp_path / "face.mat", samples[0]))
    assert found.shape.shape == (199,) and found.expression.shape == (29,) and found.pose.shape == (7,)
    assert np.allclose(found.landmarks, samples[0].landmarks, atol=1e-4)  # counted from 0 again
    assert found.yaw == pytest.approx(np.degrees(found.pose[1]))


def test_300w_lp_has_flat_points_and_aflw_has_21(samples, tmp_path):
    assert read_mat(save_mat(tmp_path / "lp.mat", samples[0], points="pt2d")).landmarks.shape == (68, 2)
    content = {"Pose_Para": np.ones((1, 7)), "Shape_Para": np.ones((199, 1)), "Exp_Para": np.ones((29, 1))}
    savemat(tmp_path / "aflw.mat", content | {"pt2d": np.full((2, 21), -1.0)})
    assert read_mat(tmp_path / "aflw.mat").landmarks is None


def test_vertices_follow_the_published_formula(model):
    """MATLAB: P = f * Rx * Ry * Rz * V + t; column P_x, row height + 1 - P_y, both from 1."""
    pose = np.array([0.2, -0.7, 0.1, 80.0, 120.0, 5.0, 0.6])
    shape, expression = np.zeros(199), np.zeros(29)
    shape[:3], expression[:2] = [1.0, -0.5, 2.0], [0.3, 1.0]
    found = mat_vertices(labels(pose, shape, expression), model, image_height=300)
    a, b, c = pose[:3]
    rx = np.array([[1, 0, 0], [0, np.cos(a), np.sin(a)], [0, -np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), np.sin(c), 0], [-np.sin(c), np.cos(c), 0], [0, 0, 1]])
    face = model.reconstruct(shape[:40].astype(np.float32), expression[:10].astype(np.float32)).astype(np.float64)
    placed = 0.6 * rx @ ry @ rz @ face.T + pose[3:6, None]
    column, row = placed[0], 300 + 1 - placed[1]
    assert np.allclose(found[:, 0], column - 1, atol=1e-3)
    assert np.allclose(found[:, 1], row - 1, atol=1e-3)
    assert np.allclose(np.diff(found[:, 2]), np.diff(placed[2]), atol=1e-3)


def test_positive_mat_yaw_turns_the_nose_to_the_left_of_the_picture(model):
    nose, chin, brow = 30, 8, 27
    points = model.landmarks(mat_vertices(labels([0, 0.6, 0, 100, 100, 0, 1]), model, image_height=200))
    assert points[nose, 0] < points[[chin, brow], 0].mean() - 5
    assert points[chin, 1] > points[brow, 1]  # y runs down
    frontal = model.landmarks(mat_vertices(labels([0, 0, 0, 100, 100, 0, 1]), model, image_height=200))
    assert frontal[nose, 2] == frontal[:, 2].max()


def test_a_rendered_face_comes_back(samples, model, tmp_path):
    for number, sample in enumerate(samples):
        path = save_mat(tmp_path / f"{number}.mat", sample)
        found = mat_vertices(read_mat(path), model, image_height=CANVAS)
        p = sample.parameters
        truth = project(p[:12].reshape(3, 4), model.reconstruct(p[12:52], p[52:]))
        assert np.abs(found[:, :2] - truth[:, :2]).max() < 0.01
        assert np.abs(np.ptp(found[:, 2]) - np.ptp(truth[:, 2])) < 0.01


def test_a_model_of_fewer_components_takes_the_first(samples, model, tmp_path):
    found = read_mat(save_mat(tmp_path / "face.mat", samples[0]))
    small = model.with_components(shape=5, expression=2)
    shape, expression = np.zeros(199), np.zeros(29)
    shape[:5], expression[:2] = found.shape[:5], found.expression[:2]
    truth = mat_vertices(replace(found, shape=shape, expression=expression), model, image_height=9)
    assert np.allclose(mat_vertices(found, small, image_height=9), truth, atol=1e-3)


def test_the_open_model_is_refused():
    with pytest.raises(ValueError, match="Basel Face Model"):
        mat_vertices(labels([0] * 6 + [1]), MorphableModel.open(), image_height=9)


def test_damaged_mat_files_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.mat"):
        read_mat(tmp_path / "none.mat")
    (tmp_path / "text.mat").write_text("no matlab" * 50)
    with pytest.raises(ValueError, match="damaged"):
        read_mat(tmp_path / "text.mat")
    good = {"Pose_Para": np.ones((1, 7)), "Shape_Para": np.ones((199, 1)), "Exp_Para": np.ones((29, 1))}
    for name, bad in (("Pose_Para", np.ones((1, 6))), ("Shape_Para", np.array([np.nan])), ("Exp_Para", "text")):
        savemat(tmp_path / "bad.mat", good | {name: bad})
        with pytest.raises(ValueError, match=name):
            read_mat(tmp_path / "bad.mat")


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_are_what_scipy_reads(tmp_path, compressed):
    rng = np.random.default_rng(3)
    types = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
    arrays = {f"of_{kind}": (100 * rng.random((3, 5))).astype(kind) for kind in types}
    arrays |= {
        "small": np.uint8([[7]]),
        "empty": np.zeros((0, 3)),
        "deep": rng.random((2, 3, 4)),
        "bits": np.eye(2) > 0,
    }
    others = {"text": "words", "cell": np.array([1, "a"], object), "record": {"a": 1}, "complex": np.ones(2) * 1j}
    savemat(tmp_path / "all.mat", arrays | others, do_compression=compressed)
    found, known = read_arrays(tmp_path / "all.mat", {*arrays, *others}), loadmat(tmp_path / "all.mat")
    assert found.keys() == arrays.keys()
    for name in arrays:
        np.testing.assert_array_equal(found[name], known[name])
        assert found[name].shape == known[name].shape
        assert found[name].dtype.kind == arrays[name].dtype.kind and found[name].itemsize == arrays[name].itemsize
    assert read_arrays(tmp_path / "all.mat", ["deep"]).keys() == {"deep"}


def test_no_changed_byte_ends_in_anything_but_a_sentence(samples, tmp_path):
    """SciPy's reader ends the process after one of these, with a segmentation fault."""
    whole = {}
    for compressed in (False, True):
        arrays = {k: v for k, v in loadmat(save_mat(tmp_path / "plain.mat", samples[0])).items() if k[0] != "_"}
        savemat(tmp_path / "face.mat", arrays, do_compression=compressed)
        whole[compressed] = (tmp_path / "face.mat").read_bytes()
    rng, refused = np.random.default_rng(0), 0
    for data in whole.values():
        places = [*range(128, 600), *rng.integers(600, len(data), 200)]
        for at in places:
            changed = bytearray(data)
            changed[at] ^= 1 << int(rng.integers(8))
            (tmp_path / "bad.mat").write_bytes(changed if at % 3 else changed[:at])
            try:
                read_mat(tmp_path / "bad.mat")
            except ValueError as error:
                assert str(error).startswith("Expected") and "\n" not in str(error)
                refused += 1
    assert refused > 300


def test_mat_bombs_and_other_versions_are_told(tmp_path):
    head = b"MATLAB 5.0".ljust(124) + b"\x00\x01IM"
    packed = zlib.compress(bytes(2**27))
    (tmp_path / "bomb.mat").write_bytes(head + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(ValueError, match="67,108,864 bytes"):
        read_mat(tmp_path / "bomb.mat")
    (tmp_path / "new.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n")
    with pytest.raises(ValueError, match="version 7.3"):
        read_mat(tmp_path / "new.mat")
    with pytest.raises(ValueError, match="a folder, a device or a pipe"):
        read_mat(tmp_path)


@pytest.mark.parametrize("name", ["pt2d", "pt3d_68", "pts_2d", "pts_3d"])
def test_landmarks_alone_are_enough_for_landmarks(tmp_path, name):
    points = np.arange(204.0).reshape(68, 3)[:, : 3 if name == "pt3d_68" else 2]
    savemat(tmp_path / "face_pts.mat", {name: points if name.startswith("pts") else points.T})
    expected = points - [1, 1, 0][: points.shape[1]]
    np.testing.assert_array_equal(read_mat_landmarks(tmp_path / "face_pts.mat"), expected)
    savemat(tmp_path / "face_pts.mat", {name: points[:21]})
    with pytest.raises(ValueError, match="68 points"):
        read_mat_landmarks(tmp_path / "face_pts.mat")


def test_endings_in_capitals(samples, tmp_path):
    save_image(tmp_path / "A.JPG", samples[0])
    save_mat(tmp_path / "b.mat", samples[0]).rename(tmp_path / "A.MAT")
    assert [face.path.name for face in aflw2000_images(tmp_path)] == ["A.JPG"]


def test_aflw2000_as_downloaded(samples, tmp_path):
    for number, sample in enumerate(samples):
        path = save_image(tmp_path / "AFLW2000" / f"image{number:05d}.jpg", sample)
        save_mat(path.with_suffix(".mat"), sample)
    save_image(tmp_path / "AFLW2000" / "without_labels.jpg", samples[0])
    faces = aflw2000_images(tmp_path)
    assert [face.path.name for face in faces] == [f"image{number:05d}.jpg" for number in range(3)]
    for face, sample in zip(faces, samples, strict=True):
        assert np.allclose(face.truth, sample.landmarks[:, :2], atol=1e-4)
        assert np.array_equal(face.to_photo(face.truth), face.truth) and not face.whole
    with pytest.raises(ValueError, match="none with 68 points"):
        aflw2000_images(tmp_path / "AFLW2000" / "nothing")


def shipped(root, *, count=4, flat=False):
    """The four lists and empty crops as 3DDFA ships them; points (n, 2, 68), from 1."""
    data, configs = (root, root) if flat else (root / "test.data", root / "test.configs")
    for folder in (data / "AFLW2000-3D_crop", configs):
        folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    points, boxes = rng.uniform(100, 300, (count, 2, 68)), np.tile([90, 80, 330, 350], (count, 1))
    (data / "AFLW2000-3D_crop.list").write_text("".join(f"image{k:05d}.jpg\n" for k in range(count)))
    np.save(configs / "AFLW2000-3D.pts68.npy", points.astype(np.float32))
    np.save(configs / "AFLW2000-3D.pose.npy", np.array([-351.2, 10, 45, 70][:count], np.float32))
    np.save(configs / "AFLW2000-3D_crop.roi_box.npy", boxes)
    return points


@pytest.mark.parametrize("flat", [False, True])
def test_aflw2000_as_3ddfa_ships_it(tmp_path, flat):
    points = shipped(tmp_path, flat=flat)
    faces = aflw2000_crops(tmp_path)
    assert len(faces) == 4 and faces[1].path.parts[-2:] == ("AFLW2000-3D_crop", "image00001.jpg")
    assert [round(face.yaw) for face in faces] == [-351, 10, 45, 70] and all(face.whole for face in faces)
    assert np.allclose(faces[2].truth, points[2].T - 1, atol=1e-3)
    # their rule, in their pixels from 1: x * (right - left) / 120 + left
    crop = np.array([[1.0, 1.0], [60.0, 30.0]])
    assert np.allclose(faces[0].to_photo(crop - 1), crop * [240 / 120, 270 / 120] + [90, 80] - 1)
    assert np.allclose(faces[0].to_photo(faces[0].truth_in_image), faces[0].truth)


def test_incomplete_releases_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="AFLW2000-3D_crop"):
        aflw2000_crops(tmp_path)
    shipped(tmp_path)
    np.save(tmp_path / "test.configs" / "AFLW2000-3D.pose.npy", np.zeros(3))
    with pytest.raises(ValueError, match="4 names, 4, 3 and 4"):
        aflw2000_crops(tmp_path)
    (tmp_path / "test.configs" / "AFLW2000-3D.pts68.npy").write_bytes(b"\x93NUMPY cut")
    with pytest.raises(ValueError, match="damaged"):
        aflw2000_crops(tmp_path)
    np.save(tmp_path / "test.configs" / "AFLW2000-3D.pts68.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="damaged or other"):
        aflw2000_crops(tmp_path)


def test_a_labelled_face_is_its_own_photo_by_default(tmp_path):
    face = LabelledFace(tmp_path, np.arange(136.0).reshape(68, 2))
    assert face.yaw is None and np.array_equal(face.truth_in_image, face.truth)
