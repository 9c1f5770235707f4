"""Volumes and surfaces are judged: who is perfect, who ignores the photo, who is missed, and what is written."""

import json

import numpy as np
import pytest
from labelled_faces import render, save_image, save_mat, save_model

from tddfa import save_volume, voxelize
from vrnlib import cli
from vrnlib.evaluation import judging, methods
from vrnlib.evaluation.bins import yaw_of
from vrnlib.evaluation.cases import Case, Pairs, Renders, face_region
from vrnlib.evaluation.distances import Options
from vrnlib.evaluation.intervals import bootstrap_interval, by_yaw_with_intervals, summary
from vrnlib.evaluation.judging import METRICS, Job, errors_of, judge, look
from vrnlib.evaluation.methods import (
    MEAN_FACE,
    MEAN_SOLID,
    OPEN_3DMM,
    MethodChoice,
    PredictedMesh,
    PredictedVolume,
    solids_sum,
)
from vrnlib.synthetic.faces import FaceRenderer, render_pair
from vrnlib.weight_files import OPEN_VRNS


@pytest.fixture(autouse=True)
def few_solids(monkeypatch):
    monkeypatch.setattr(methods, "MEAN_SOLIDS", 4)


@pytest.fixture(scope="module")
def case() -> Case:
    return Renders(1)[0]


@pytest.fixture(scope="module")
def truth(case):
    return case.truth(np.eye(2, 3))


def test_the_mean_of_solids_is_a_head_in_the_middle():
    guess = solids_sum(range(4)) / 4
    assert guess.shape == (200, 192, 192) and 0.03 < (guess > 0.5).mean() < 0.2
    assert guess[100, 95, 95] > 0.5 and not guess[:, :, :10].any()


def test_the_truth_is_perfect(truth):
    """As a volume up to the voxels, as a mesh of the model up to nothing, by nearest vertices and by index."""
    exact = PredictedVolume(truth.volume.astype(np.float32))
    assert errors_of(exact, truth, "volumes", Options()) == {"iou": 1, "depth": 0}
    errors = errors_of(exact, truth, "surfaces", Options())
    assert errors["nme"] < 0.012 and errors["nme_icp"] <= errors["nme"] * 1.05 and errors["landmarks"] < 0.01
    model = FaceRenderer().model
    mesh = PredictedMesh(*model.close(render_pair(500, 0).vertices), model.name)
    for options in (Options(), Options(correspondence="index")):
        errors = errors_of(mesh, truth, "surfaces", options)
        assert max(errors[name] for name in ("nme", "nme_icp", "landmarks")) < 1e-5 and errors["normals"] < 4


def test_the_depth_of_truth_and_volume_is_the_same(truth):
    """Not aligned in depth the exact volume is as near as aligned, and one that is 10 slices off is 5 pixels off."""
    still = Options(depth="none")
    exact, moved = (PredictedVolume(np.roll(truth.volume, k, axis=0).astype(np.float32)) for k in (0, 10))
    assert errors_of(exact, truth, "surfaces", still)["nme"] < 0.012
    assert errors_of(moved, truth, "surfaces", still)["nme"] > 0.04
    assert errors_of(moved, truth, "surfaces", Options())["nme"] < 0.015
    assert errors_of(moved, truth, "volumes", still)["depth"] == pytest.approx(5, abs=0.1)


def test_the_face_region_is_in_front(truth):
    model = FaceRenderer().model
    region = face_region(model)
    assert len(region) == len(truth.shape.surface.vertices) and 7000 < region.sum() < 9000
    assert truth.shape.visible[region].mean() > 0.4 and not truth.shape.rows("visible")[~region].any()
    assert truth.shape.surface.volume > 0, "faces look outwards"


def test_an_empty_volume_is_missed(truth):
    nothing = PredictedVolume(np.zeros((200, 192, 192), np.float32))
    errors = errors_of(nothing, truth, "volumes", Options())
    assert errors["iou"] == 0 and np.isnan(errors["depth"])
    assert all(np.isnan(value) for value in errors_of(nothing, truth, "surfaces", Options()).values())


def test_missed_faces_stay_in_the_numbers():
    values, yaws = np.array([1.0, 2, np.nan, 3]), np.array([5.0, -10, 40, np.nan])
    report = by_yaw_with_intervals(values, yaws)
    assert list(report) == ["all", "0-30", "30-60"] and report["30-60"]["mean"] is None
    assert (report["30-60"]["faces"], report["30-60"]["missed"]) == (1, 1)
    assert report["all"]["mean"] == 2 and report["all"]["missed"] == 1 and report["all"]["median"] == 2.5
    assert summary([1.0, np.nan, np.nan])["median"] is None
    assert summary([3.0, 2, np.nan], higher_is_better=True)["median"] == 2


def test_the_interval_covers_the_true_mean_19_times_in_20():
    rng = np.random.default_rng(0)
    intervals = np.array([bootstrap_interval(rng.exponential(2, 60), seed=row) for row in range(200)])
    assert 0.88 < ((intervals[:, 0] < 2) & (intervals[:, 1] > 2)).mean() < 0.99
    assert bootstrap_interval([1.0, 2, 4]) == bootstrap_interval([1.0, 2, 4])
    assert np.isnan(bootstrap_interval([np.nan])).all()
    wide, narrow = bootstrap_interval(rng.normal(size=50)), bootstrap_interval(rng.normal(size=5000))
    assert 5 < np.ptp(wide) / np.ptp(narrow) < 20


def test_a_face_that_is_not_found_is_missed_by_all(monkeypatch):
    monkeypatch.setattr(judging, "_detector", lambda: lambda photo: [])
    for what, worst in (("volumes", 0.0), ("surfaces", np.nan)):
        verdict = judge(Job(cases=Renders(1, wide=True), choice=MethodChoice(), what=what, found=True), progress=False)
        assert verdict.missed.tolist() == [True] and set(verdict.errors) >= {"vrn_open", MEAN_SOLID, OPEN_3DMM}
        for rows in verdict.errors.values():
            assert np.array_equal(rows[METRICS[what][0]], [worst], equal_nan=True)


def test_found_faces_are_cropped_where_they_are_found():
    one = Renders(1, wide=True)[0]
    image, matrix, found = look(one, judging._detector())
    assert image.shape == (192, 192, 3) and found.shape == (68, 3)
    assert np.allclose(matrix, [[1, 0, -96], [0, 1, -96]], atol=12) and not np.allclose(matrix[0, 2], -96, atol=1e-6)
    moved = one.truth(matrix).landmarks[:, :2] - one.truth(np.array([[1.0, 0, -96], [0, 1, -96]])).landmarks[:, :2]
    assert 0 < np.abs(moved).max() < 12


def run(capsys, *arguments) -> str:
    assert cli.main(["evaluate", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_the_command_on_renders(tmp_path, capsys):
    """Ours beats who ignores the photo; two processes say the same as one; files are the table and more."""
    shown = run(capsys, "volumes", "--count", 3, "--workers", 1, "-o", tmp_path)
    report = json.loads((tmp_path / "volumes.json").read_text())
    ious = {name: rows["iou"]["all"]["mean"] for name, rows in report["methods"].items()}
    assert list(ious)[:3] == list(OPEN_VRNS) and ious[OPEN_3DMM] > 0.6
    assert all(max(0.7, ious[MEAN_SOLID] + 0.1) < ious[name] < 1 for name in OPEN_VRNS)
    assert ious[MEAN_FACE] > ious[MEAN_SOLID] and 0 < report["methods"]["vrn_open"]["depth"]["all"]["mean"] < 6
    table = (tmp_path / "volumes.md").read_text()
    assert table in shown and "| vrn_open" in table and (tmp_path / "volumes.png").read_bytes().startswith(b"\x89PNG")
    assert len(report["faces"]) == 3 and set(report["worst"]) == {one["name"] for one in report["faces"]}
    again = judge(Job(cases=Renders(3), choice=MethodChoice(), what="volumes"), workers=2, progress=False)
    assert again.errors["vrn_open"]["iou"] == pytest.approx(report["values"]["vrn_open"]["iou"], abs=1e-4)


def test_the_command_on_surfaces_with_published_rows(tmp_path, capsys):
    shown = run(capsys, "surfaces", "--count", 1, "--workers", 1, "--weights", "small=vrn_open", "-o", tmp_path)
    report = json.loads((tmp_path / "surfaces.json").read_text())
    rows = report["methods"]["small"]
    assert 0.005 < rows["nme_icp"]["all"]["mean"] <= rows["nme"]["all"]["mean"] < 0.06
    published = [line for line in shown.splitlines() if "AFLW2000-3D" in line]
    assert len(published) == 5 and all("no: other faces" in line for line in published)
    assert "| VRN Guided " in shown and "0.0543" in shown


def test_the_command_on_pairs(tmp_path, capsys):
    """A volume knows neither vertices nor a face's region; the yaw is read off its landmarks."""
    model = FaceRenderer().model
    samples = [render_pair(500, index) for index in (0, 3)]
    for number, sample in enumerate(samples):
        path = save_image(tmp_path / "pairs" / f"{number}.png", sample)
        volume, offset = voxelize(*model.close(sample.vertices))
        meta = {"landmarks": sample.landmarks.round(3).tolist()}
        save_volume(path.with_suffix(".npz"), volume, offset=offset, meta=meta)
    cases = Pairs(tmp_path / "pairs")
    for case, sample in zip((cases[0], cases[1]), samples, strict=True):
        assert abs(case.yaw - yaw_of(sample.parameters)) < 12
    (tmp_path / "listed").mkdir()
    (tmp_path / "listed" / "pairs.csv").write_text("picture,volume\n../pairs/1.png,../pairs/1.npz\n")
    listed = Pairs(tmp_path / "listed")
    assert len(listed) == 1 and abs(listed[0].yaw - yaw_of(samples[1].parameters)) < 12
    pairs = ["--dataset", "pairs", "--root", tmp_path / "pairs", "--workers", 1, "-o", tmp_path / "out"]
    run(capsys, "surfaces", *pairs)
    report = json.loads((tmp_path / "out" / "surfaces.json").read_text())
    assert report["options"]["vertices"] == "visible" and report["methods"]["vrn_open"]["nme"]["all"]["mean"] < 0.06
    assert cli.main(["evaluate", "surfaces", *map(str, pairs), "--vertices", "face"]) == 1
    assert "choose visible" in capsys.readouterr().err
    assert cli.main(["evaluate", "volumes", *map(str, pairs), "--found"]) == 1
    assert "--found" in capsys.readouterr().err


def test_the_command_on_aflw2000(tmp_path, capsys):
    """Photos with .mat files, whose coefficients are of a model in the official layout; its mesh is the truth."""
    for number, sample in enumerate(render(2)):
        save_mat(save_image(tmp_path / "data" / f"{number}.png", sample).with_suffix(".mat"), sample)
    data = ["--dataset", "aflw2000", "--root", tmp_path / "data", "--bfm", save_model(tmp_path / "bfm.pkl")]
    shown = run(capsys, "surfaces", *data, "--workers", 1, "-o", tmp_path / "out")
    report = json.loads((tmp_path / "out" / "surfaces.json").read_text())
    assert report["methods"][OPEN_3DMM]["nme"]["all"]["mean"] < 0.06 and len(report["faces"]) == 2
    assert shown.count("nearly: the same photos") == 5 and shown.count("no: other faces") == 10
    shown = run(capsys, "surfaces", *data, "--workers", 1, "--correspondence", "surface", "--count", 1)
    assert "nearly" not in shown and "no: another definition" in shown


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--count", "0"], "--count"),
        (["--workers", "0"], "--workers"),
        (["--weights", "fan_open"], "FAN"),
        (["--weights", "nowhere.safetensors"], "nowhere"),
        (["--weights", "vrn_open", "vrn_open"], "NAME=FILE"),
        (["--dataset", "pairs"], "--root"),
        (["--root", "."], "--root"),
        (["--dataset", "pairs", "--root", "."], "vrn targets"),
        (["--dataset", "aflw2000", "--root", "nowhere"], "nowhere"),
        (["--out", "pyproject.toml"], "file"),
    ],
)
def test_what_is_wrong_is_a_sentence(arguments, word, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("")
    assert cli.main(["evaluate", "volumes", *arguments]) == 1
    said = capsys.readouterr().err.strip()
    assert word in said and len(said.splitlines()) == 1


def test_files_of_others_are_not_replaced(tmp_path, capsys):
    (tmp_path / "volumes.json").write_text("{}")
    assert cli.main(["evaluate", "volumes", "--count", "1", "-o", str(tmp_path)]) == 1
    assert "another kind" in capsys.readouterr().err and (tmp_path / "volumes.json").read_text() == "{}"


def test_yaw_of_parameters_is_the_renders_yaw():
    renderer = FaceRenderer()
    samples = [render_pair(3, index, model=renderer) for index in range(6)]
    for sample in samples:
        if abs(sample.pose[1]) < 30 and abs(sample.pose[0]) < 80:
            assert abs(abs(yaw_of(sample.parameters)) - abs(sample.pose[0])) < 12  # perspective turns a face a little
