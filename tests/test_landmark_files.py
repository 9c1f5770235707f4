"""Landmarks from files: every convention becomes this project's pixels, every damaged file a sentence."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from vrnlib.landmarks import LandmarkError, Landmarks
from vrnlib.landmarks.files import GivenPoints, find_points, read_points

POINTS = np.random.default_rng(5).uniform(20, 70, (68, 2)).astype(np.float32)
POINTS[:2] = (20, 20), (70, 70)


def pts_text(points) -> str:
    lines = "\n".join(f"{x + 1:.4f} {y + 1:.4f}" for x, y in points)
    return f"version: 1\nn_points: 68\n{{\n{lines}\n}}\n"


def save_mat(path, **arrays):
    usual = {"Pose_Para": np.ones((1, 7)), "Shape_Para": np.ones((199, 1)), "Exp_Para": np.ones((29, 1))}
    savemat(path, usual | arrays)


def test_given_points(tmp_path):
    image = np.zeros((100, 100, 3), np.uint8)
    points = POINTS
    np.save(tmp_path / "p.npy", points)
    (tmp_path / "p.pts").write_text(pts_text(points))
    save_mat(tmp_path / "p.mat", pt2d=(points + 1).T)  # MATLAB counts from 1
    files = [tmp_path / f"p.{ending}" for ending in ("npy", "pts", "mat")]
    for given in (points, points.tolist(), *files, str(files[0]), Landmarks.from_points(points)):
        (face,) = GivenPoints(given)(image)
        assert np.abs(face.points - points).max() < 1e-3
        assert face.source == "points"
        assert face.box == pytest.approx((20, 20, 70, 70), abs=1e-3)
    two = GivenPoints(np.stack([points * 0.5, points]))(image)
    assert [round(face.size) for face in two] == [50, 25]


def test_a_mat_with_depth_keeps_it(tmp_path):
    points = np.column_stack([POINTS, POINTS[:, 1] * 9])
    save_mat(tmp_path / "p.mat", pt3d_68=(points + [1, 1, 0]).T)
    assert np.allclose(read_points(tmp_path / "p.mat"), points, atol=1e-4)


def test_wrong_points_are_sentences(tmp_path):
    (tmp_path / "p.txt").write_text("1 2")
    (tmp_path / "p.pts").write_text("no braces")
    (tmp_path / "few.pts").write_text(pts_text(POINTS[:5]))
    (tmp_path / "uneven.pts").write_text("{\n1 2\n3\n}")
    (tmp_path / "binary.pts").write_bytes(bytes(range(256)))
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "empty.mat").write_bytes(b"")
    (tmp_path / "noise.mat").write_bytes(np.random.default_rng(0).bytes(500))
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "words.npy", np.full((68, 2), "x"))
    np.save(tmp_path / "nan.npy", np.full((68, 2), np.nan))
    np.save(tmp_path / "one.npy", np.float32(3))
    np.savez(tmp_path / "zipped.npz", np.zeros((68, 2)))
    (tmp_path / "zipped.npz").rename(tmp_path / "zipped.npy")
    np.save(tmp_path / "cut.npy", np.zeros((68, 2)))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-9])
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (99999999, 68, 2), }"
    (tmp_path / "huge.npy").write_bytes(header.ljust(127) + b"\n")  # 108 gigabytes, it says
    save_mat(tmp_path / "few.mat", pt2d=np.zeros((2, 21)))
    savemat(tmp_path / "other.mat", {"points": np.zeros((2, 68))})
    whole = (tmp_path / "few.mat").read_bytes()
    (tmp_path / "cut.mat").write_bytes(whole[: len(whole) // 2])
    files = sorted(tmp_path.iterdir())
    assert len(files) == 19
    arrays = [None, np.zeros((67, 2)), np.full((68, 2), np.nan), np.zeros((2, 2, 68, 2)), 3, "", ["a"] * 68, object()]
    for wrong in [*files, tmp_path / "missing.npy", tmp_path / "missing.mat", *arrays]:
        with pytest.raises(LandmarkError) as caught:
            GivenPoints(wrong)
        assert "\n" not in str(caught.value)
        if isinstance(wrong, Path):
            assert wrong.name in str(caught.value)


def test_what_is_wrong_with_a_file_is_said(tmp_path):
    (tmp_path / "a.pts").write_text("")
    for path, reason in ((tmp_path / "a.pts", "without { and }"), ("https://example.org/a.mat", "download it")):
        with pytest.raises(LandmarkError, match=reason):
            read_points(path)


def test_points_for_a_photo(tmp_path):
    for name in ("a.mat", "b.npy", "b.pts"):
        (tmp_path / name).touch()
    assert find_points(tmp_path, Path("elsewhere/a.jpg")) == tmp_path / "a.mat"
    assert find_points(tmp_path, "b.png") == tmp_path / "b.pts"
    assert find_points(tmp_path / "any.npy", "b.png") == tmp_path / "any.npy"
    with pytest.raises(LandmarkError, match=r"c\.pts, \.npy or \.mat"):
        find_points(tmp_path, "c.jpg")
