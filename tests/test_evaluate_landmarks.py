"""The 68-point error by yaw, against figures worked out by hand, on folders in the published layouts."""

import json

import numpy as np
import pytest
from labelled_faces import render, save_image, save_mat
from PIL import Image
from scipy.io import savemat

from tddfa.crop import warp_similarity
from tddfa.datasets import LabelledFace, aflw2000_crops
from tddfa.geometry import roi_from_landmarks
from vrnlib import cli
from vrnlib.evaluation.bins import bins, by_yaw
from vrnlib.evaluation.landmarks import evaluate_landmarks, predictor
from vrnlib.evaluation.pictures import data_sets

COUNT = 3


@pytest.fixture(scope="module")
def samples():
    return render(COUNT)


@pytest.fixture(scope="module")
def photos(samples, tmp_path_factory):
    """AFLW2000-3D as it is downloaded."""
    root = tmp_path_factory.mktemp("downloaded")
    for number, sample in enumerate(samples):
        path = save_image(root / "AFLW2000" / f"image{number:05d}.png", sample)
        save_mat(path.with_suffix(".mat"), sample)
    return root


@pytest.fixture(scope="module")
def crops(samples, tmp_path_factory):
    """The same as 3DDFA ships it: crops of 120 x 120, made by its rule; points and boxes count from 1."""
    root = tmp_path_factory.mktemp("shipped")
    folder, configs = root / "test.data" / "AFLW2000-3D_crop", root / "test.configs"
    folder.mkdir(parents=True)
    configs.mkdir()
    names, points, boxes = [], [], []
    for number, sample in enumerate(samples):
        truth = sample.landmarks[:, :2] + 1
        left, top, right, bottom = (round(value) for value in roi_from_landmarks(truth))
        scale = 120 / (right - left + 1)
        # pixel centres: the box's first pixel, column `left` from 1, begins at left - 1.5 counted from 0
        matrix = np.array([[scale, 0, -0.5 - scale * (left - 1.5)], [0, scale, -0.5 - scale * (top - 1.5)]])
        Image.fromarray(warp_similarity(sample.image, matrix, 120)).save(folder / f"image{number:05d}.png")
        names.append(f"image{number:05d}.png")
        points.append(truth.T)
        boxes.append([left, top, right, bottom])
    (root / "test.data" / "AFLW2000-3D_crop.list").write_text("\n".join(names) + "\n")
    np.save(configs / "AFLW2000-3D.pts68.npy", np.array(points, np.float32))
    np.save(configs / "AFLW2000-3D.pose.npy", np.array([-20, 45, -351.2], np.float32))
    np.save(configs / "AFLW2000-3D_crop.roi_box.npy", np.array(boxes))
    return root


def test_bins_are_those_of_the_benchmark():
    """Up to 30 and up to 60 belong to the lower bin; wild angles (the shipped list has them) count as 60-90."""
    report = by_yaw([1, 2, 4, 6, 9, 12], [0, -30.0, 30.5, -60, 61, -351.2])
    assert report["0-30"] == pytest.approx(1.5) and report["30-60"] == pytest.approx(5)
    assert report["60-90"] == pytest.approx(10.5) and report["mean"] == pytest.approx(17 / 3)
    assert report["std"] == pytest.approx(np.std([1.5, 5, 10.5])) and report["all"] == pytest.approx(34 / 6)
    assert report["faces"] == {"0-30": 2, "30-60": 2, "60-90": 2}
    assert by_yaw([1], [10])["mean"] is None and by_yaw([1], [10])["0-30"] == pytest.approx(1)
    assert by_yaw([1, 3], [None, 20]) == {"all": pytest.approx(2)}


def test_other_bins_have_an_open_end_and_leave_out_what_nobody_knows():
    inside = bins([32, 64, 65, 1000, np.nan], (32, 64, 128, np.inf))
    assert {name: rows.tolist() for name, rows in inside.items()} == {
        "32-64": [True, True, False, False, False],
        "64-128": [False, False, True, False, False],
        "128 and more": [False, False, False, True, False],
    }


def test_a_known_mistake_gives_the_error_by_hand(crops):
    """Every point two crop pixels too far right: 2 * scale / sqrt(w h) of each face."""
    faces = aflw2000_crops(crops)
    report = evaluate_landmarks(faces, lambda image, face: face.truth_in_image + [2, 0], progress=False)
    errors = [100 * 2 * face.scale[0] / np.sqrt(np.prod(np.ptp(face.truth, axis=0))) for face in faces]
    assert report["nme_percent"]["all"] == pytest.approx(np.mean(errors))
    assert report["nme_percent"]["60-90"] == pytest.approx(errors[2]) and report["missing"] == 0


def test_faces_that_are_not_found_are_counted(crops):
    faces = aflw2000_crops(crops)
    report = evaluate_landmarks(
        faces, lambda image, face: None if face is faces[0] else face.truth_in_image, progress=False
    )
    assert (report["count"], report["missing"]) == (3, 1) and report["nme_percent"]["all"] == pytest.approx(0)
    assert np.isnan(report["each"]["error_percent"]).tolist() == [True, False, False]
    with pytest.raises(ValueError, match="none"):
        evaluate_landmarks(faces, lambda image, face: None, progress=False)


def test_3ddfa_sees_a_shipped_crop_whole(monkeypatch, tmp_path):
    """No resampling, no shift: its roi is the crop's own square."""
    seen = []

    class Regressor:
        def __init__(self, *args, **options):
            pass

        def __call__(self, image, boxes, *, crop_policy):
            seen.append(roi_from_landmarks(boxes[0]))
            return np.zeros((1, 62)), np.array(seen[-1:])

        def reconstruct(self, params, rois, *, dense):
            return np.zeros((1, 68, 3), np.float32)

    monkeypatch.setattr("tddfa.regressor.TDDFA", Regressor)
    truth = np.random.default_rng(0).uniform(20, 90, (68, 2))
    predict = predictor("tddfa")
    image = np.zeros((120, 120, 3), np.uint8)
    predict(image, LabelledFace(tmp_path, truth, whole=True))
    predict(image, LabelledFace(tmp_path, truth))
    assert np.allclose(seen[0], [0, 0, 120, 120]) and np.allclose(seen[1], roi_from_landmarks(truth))


def run(out, root, *arguments) -> dict:
    assert cli.main(["evaluate", "landmarks", "--root", str(root), "-o", str(out), *arguments]) == 0
    return json.loads((out / "landmarks.json").read_text())


def test_the_command_on_both_layouts(photos, crops, samples, tmp_path, capsys):
    """Our FAN on rendered faces: the same faces give nearly the same error, whichever layout they come in."""
    report = run(tmp_path, photos, "--detector", "open")
    row = report["methods"]["open"]["error_percent"]["all"]
    assert row["faces"] == COUNT and row["low"] <= row["mean"] <= row["high"]
    assert f"| 0 of {COUNT} " in capsys.readouterr().out and (tmp_path / "landmarks.png").is_file()
    downloaded = report["details"]
    assert row["mean"] == pytest.approx(downloaded["nme_percent"]["all"])
    shipped = run(tmp_path, crops, "--detector", "open")["details"]
    assert downloaded["count"] == shipped["count"] == COUNT and downloaded["missing"] == 0
    assert 0.3 < downloaded["nme_percent"]["all"] < 8
    assert abs(downloaded["nme_percent"]["all"] - shipped["nme_percent"]["all"]) < 2
    assert sum(downloaded["nme_percent"]["faces"].values()) == COUNT
    assert shipped["nme_percent"]["faces"] == {"0-30": 1, "30-60": 1, "60-90": 1}


def test_the_command_on_photos_with_points(samples, tmp_path):
    points = samples[0].landmarks[:, :2]
    for number, ending in enumerate((".pts", ".npy", ".mat")):
        path = save_image(tmp_path / f"{number}.jpg", samples[0]).with_suffix(ending)
        if ending == ".pts":
            lines = "\n".join(f"{x:.4f} {y:.4f}" for x, y in points + 1)
            path.write_text(f"version: 1\nn_points: 68\n{{\n{lines}\n}}\n")
        elif ending == ".npy":
            np.save(path, samples[0].landmarks)
        else:
            save_mat(path, samples[0])
    save_image(tmp_path / "without.jpg", samples[0])
    faces = data_sets("folder", tmp_path)["folder"]
    assert len(faces) == 3 and [face.yaw is None for face in faces] == [True, True, False]
    for face in faces:
        assert np.allclose(face.truth, points, atol=1e-3)


def test_a_folder_s_points_are_found_whatever_their_names(tmp_path, samples):
    """Endings in capitals, 300W-LP's NAME_pts.mat, .bmp, photos without a known ending, .mat of landmarks alone."""
    points = samples[0].landmarks[:, :2]
    labels = {"a.jpg": "a.MAT", "b.JPG": "b.PTS", "c.bmp": "c_pts.mat", "d.bmp": "d.mat", "e": "e.NPY"}
    for name, label in labels.items():
        Image.fromarray(samples[0].image).save(tmp_path / name, format="BMP")
        if label == "a.MAT":
            save_mat(tmp_path / "whole.mat", samples[0]).rename(tmp_path / label)
        elif label == "b.PTS":
            lines = "\n".join(f"{x:.4f} {y:.4f}" for x, y in points + 1)
            (tmp_path / label).write_text(f"version: 1\nn_points: 68\n{{\n{lines}\n}}\n")
        elif label == "e.NPY":
            np.save(tmp_path / "e.npy", points)
            (tmp_path / "e.npy").rename(tmp_path / label)
        else:
            savemat(tmp_path / label, {"pts_2d": points + 1} if "pts" in label else {"pt2d": (points + 1).T})
    faces = data_sets("folder", tmp_path)["folder"]
    assert [(face.path.name, face.yaw is None) for face in faces] == [(name, name != "a.jpg") for name in labels]
    for face in faces:
        assert np.allclose(face.truth, points, atol=1e-3)
    with_mat = data_sets("aflw2000", tmp_path)["photos"]
    assert [(face.path.name, face.yaw is None) for face in with_mat] == [
        (name, name != "a.jpg") for name in ("a.jpg", "c.bmp", "d.bmp")
    ]


def test_the_command_tells_what_is_wrong(tmp_path, samples, capsys):
    (tmp_path / "empty").mkdir()
    bad = save_image(tmp_path / "bad" / "a.jpg", samples[0])
    np.save(bad.with_suffix(".npy"), np.zeros((5, 2)))
    for arguments, word in (
        (["--root", str(tmp_path / "none")], "none"),
        (["--root", str(tmp_path / "empty")], ".mat files"),
        (["--root", str(tmp_path / "empty"), "--dataset", "folder"], "photos with"),
        (["--root", str(tmp_path / "bad"), "--dataset", "folder"], "68 points"),
    ):
        assert cli.main(["evaluate", "landmarks", "--detector", "open", *arguments]) == 1
        said = capsys.readouterr().err.strip()
        assert word in said and len(said.splitlines()) == 1


def test_official_networks_on_both_layouts(assets, photos, crops, tmp_path):
    weights, model = assets / "official/weights/mb05_120x120.pth", assets / "official/configs/bfm_noneck_v3.standin.pkl"
    arguments = ["--weights", str(weights), "--bfm", str(model)]
    downloaded, shipped = (run(tmp_path, data, *arguments)["details"] for data in (photos, crops))
    assert downloaded["nme_percent"]["all"] < 10
    assert abs(downloaded["nme_percent"]["all"] - shipped["nme_percent"]["all"]) < 2
