"""``3DDFA_V2_modified/demo.py``: the nine outputs from the command line, for both families of models."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import trimesh
from skimage import data

from tddfa import MorphableModel
from tddfa.geometry import compose, decompose, fit_pose, image_from_roi, official_angles, project, roi_from_box
from tddfa.images import list_photos, read_photo
from tddfa.outputs import MESHES, OUTPUTS

FOLDER = Path(__file__).parents[1] / "3DDFA_V2_modified"
BOX = np.array([[180.0, 70.0, 275.0, 180.0, 0.99]], np.float32)
"""The astronaut's face."""


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    """The script as a module; nothing of it runs yet."""
    spec = importlib.util.spec_from_file_location("tddfa_demo", FOLDER / "demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "astro.naut.png"
    cv2.imwrite(str(path), data.astronaut()[:, :, ::-1])
    return path


class FixedFit:
    """Stands for the regressor: the open model's mean face, turned a little, in the middle of every box."""

    def __init__(self) -> None:
        self.model = MorphableModel.open()
        target = self.model.landmarks(self.model.mean) * 0.35 + (60.0, 62.0, 30.0)
        matrix = fit_pose(self.model.landmarks(self.model.mean), target, y_down=False)
        self.row = compose(matrix, np.full(40, 0.2), np.zeros(10))

    def __call__(self, image, boxes):
        return np.repeat(self.row[None], len(boxes), axis=0), np.array([roi_from_box(box) for box in boxes])

    def reconstruct(self, params, rois, *, dense=True):
        faces = []
        for row, roi in zip(params, rois, strict=True):
            matrix, shape, expression = decompose(row)
            vertices = project(matrix, self.model.reconstruct(shape, expression))
            faces.append(image_from_roi(vertices if dense else self.model.landmarks(vertices), roi))
        return np.array(faces, np.float32)

    def pose(self, params):
        return np.array([official_angles(row[:12].reshape(3, 4)) for row in params])


@pytest.fixture
def fixed(demo, monkeypatch) -> ModuleType:
    """The script with a fixed detection and fit in the networks' place."""
    monkeypatch.setattr(demo, "open_models", lambda arguments: (lambda image: BOX, FixedFit()))
    return demo


@pytest.mark.parametrize("option", OUTPUTS)
def test_every_option_writes_its_file(fixed, photo, tmp_path, option, capsys):
    assert fixed.main(["-f", str(photo), "-o", option, "--out", str(tmp_path / "out"), "--show_flag", "false"]) == 0
    ending = option if option in MESHES else "jpg"
    path = tmp_path / "out" / f"astro.naut_{option}.{ending}"
    more = {"astro.naut_obj.mtl", "astro.naut_obj_texture.png"} if option == "obj" else set()
    assert {p.name for p in path.parent.iterdir()} == {path.name, *more}
    assert list_photos(path.parent)[0] == ([] if option in MESHES else [path])  # the texture is no photo
    words = capsys.readouterr().out
    assert "Detect 1 faces" in words and str(path) in words
    if option in MESHES:
        mesh = trimesh.load(path, process=False)
        colors = mesh.visual.vertex_colors if option == "ply" else mesh.visual.to_color().vertex_colors
        assert len(mesh.vertices) == 13_012 and np.ptp(colors[:, :3]) > 100
        return
    sizes = {"2d_sparse": (1800, 1800, 3), "2d_dense": (1800, 1800, 3), "uv_tex": (256, 256, 3)}
    picture = read_photo(path)
    assert picture.shape == sizes.get(option, (512, 512, 3))
    if option == "pose":
        assert "yaw: " in words and "pitch: " in words and "roll: " in words
    if picture.shape == (512, 512, 3):
        changed = np.argwhere(cv2.absdiff(picture, data.astronaut()).max(axis=-1) > 40)
        assert len(changed) > 500 and np.abs(changed.mean(axis=0) - (130, 228)).max() < 40


def test_arrays_have_the_original_s_names_and_shapes(fixed, photo, tmp_path):
    arrays = tmp_path / "numbers.npz"
    assert fixed.main(["-f", str(photo), "--arrays", str(arrays), "--out", str(tmp_path), "--show_flag", "no"]) == 0
    with np.load(arrays) as file:
        shapes = {key: file[key].shape for key in file.files}
        lowest = file["sparse"][:, 2].min(), file["dense"][:, 2].min()
    assert shapes == {
        "boxes": (1, 5),
        "roi": (1, 4),
        "params": (1, 62),
        "sparse": (1, 3, 68),
        "dense": (1, 3, 13_012),
        "pose_deg": (1, 3),
    }
    assert lowest == (0.0, 0.0)


@pytest.mark.parametrize("name", ["astro.naut.png", "other.jpg", "theirs.npz", "text.npz", "folder.npz", "arrays"])
def test_arrays_replace_no_file_of_others(fixed, photo, tmp_path, capsys, name):
    (tmp_path / "other.jpg").write_bytes(photo.read_bytes())
    np.savez(tmp_path / "theirs.npz", faces=np.zeros(3))
    (tmp_path / "text.npz").write_text("notes")
    (tmp_path / "folder.npz").mkdir()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    arguments = [
        "-f",
        str(photo),
        "--out",
        str(tmp_path / "out"),
        "--show_flag",
        "no",
        "--arrays",
        str(tmp_path / name),
    ]
    assert fixed.main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("demo: Expected") and said.count("\n") == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_results_replace_results_and_nothing_else(fixed, photo, tmp_path, capsys):
    arguments = ["--out", str(tmp_path), "--show_flag", "no", "--arrays", str(tmp_path / "a.npz")]
    for _ in range(2):
        assert fixed.main(["-f", str(photo), *arguments]) == 0
    first = tmp_path / "astro.naut_2d_sparse.jpg"
    (tmp_path / "astro.naut_obj.obj").write_text("a letter")
    assert fixed.main(["-f", str(photo), "-o", "obj", *arguments]) == 1
    assert (tmp_path / "astro.naut_obj.obj").read_text() == "a letter"
    (tmp_path / "astro.naut_obj.obj").unlink()
    for name in ("astro.naut_obj.mtl", "astro.naut_obj_texture.png"):
        shutil.copy(photo, tmp_path / name)
        assert fixed.main(["-f", str(photo), "-o", "obj", *arguments]) == 1
        assert (tmp_path / name).read_bytes() == photo.read_bytes() and not (tmp_path / "astro.naut_obj.obj").exists()
        (tmp_path / name).unlink()
    for _ in range(2):
        assert fixed.main(["-f", str(photo), "-o", "obj", *arguments]) == 0
    again = tmp_path / f"{first.stem}_3d.jpg"
    again.write_bytes(photo.read_bytes())  # a PNG under that name
    assert fixed.main(["-f", str(first), "-o", "3d", *arguments]) == 1
    again.unlink()
    again.symlink_to(first)  # the result would be the photo itself
    whole = first.read_bytes()
    capsys.readouterr()
    assert fixed.main(["-f", str(first), "-o", "3d", *arguments]) == 1
    assert "which was read" in capsys.readouterr().err and first.read_bytes() == whole


@pytest.mark.parametrize("option", ["2d_sparse", "ply", "obj"])
def test_replacing_another_photo_s_result_is_told(fixed, photo, tmp_path, capsys, option):
    other = tmp_path / "elsewhere" / photo.name
    other.parent.mkdir()
    cv2.imwrite(str(other), data.astronaut()[:, ::-1, ::-1])
    arguments = ["-o", option, "--out", str(tmp_path / "out"), "--show_flag", "no"]
    for path, told in ((photo, False), (photo, False), (other, True), (other, False), (photo, True)):
        assert fixed.main(["-f", str(path), *arguments]) == 0
        said = capsys.readouterr().err
        assert said.startswith("demo: note: the result of another photo, ") == told, said
        assert said.count("\n") == told and (str(path) in said) == told
    assert len(list((tmp_path / "out").iterdir())) == (3 if option == "obj" else 1)


def test_no_face_is_a_sentence_and_no_file(demo, monkeypatch, photo, tmp_path, capsys):
    monkeypatch.setattr(demo, "open_models", lambda arguments: (lambda image: BOX[:0], FixedFit()))
    out, arrays = tmp_path / "out", tmp_path / "numbers.npz"
    assert demo.main(["-f", str(photo), "-o", "ply", "--out", str(out), "--arrays", str(arrays)]) == 1
    said = capsys.readouterr()
    assert "No face was found" in said.err and said.err.count("\n") == 1 and not said.out
    assert not out.exists() and not arrays.exists()


def test_bad_input_is_a_sentence(demo, tmp_path, photo, capsys):
    nothing = tmp_path / "nothing"
    for arguments in (
        ["-f", str(nothing)],
        ["-f", str(photo), "-c", str(nothing)],
        ["-f", str(photo), "--bfm", str(nothing)],
        ["-f", str(photo), "--checkpoint", str(nothing)],
    ):
        assert demo.main([*arguments, "--out", str(tmp_path / "out"), "--show_flag", "false"]) == 1
        said = capsys.readouterr()
        assert said.err.startswith("demo: ") and str(nothing) in said.err and said.err.count("\n") == 1
    for arguments in (["-f", str(photo), "-o", "4d"], ["-f", str(photo), "--show_flag", "maybe"], []):
        with pytest.raises(SystemExit) as ended:
            demo.main(arguments)
        assert ended.value.code == 2
    assert not (tmp_path / "out").exists()


def test_without_a_screen_showing_says_so(fixed, photo, tmp_path, capsys):
    import matplotlib

    matplotlib.use("agg")
    assert fixed.main(["-f", str(photo), "-o", "depth", "--out", str(tmp_path)]) == 0
    assert "No window can be opened here" in capsys.readouterr().out


def test_open_family_from_the_command_line(photo, tmp_path):
    """The real command, without any official file."""
    weights = FOLDER / "tddfa" / "data"
    if not all((weights / name).is_file() for name in ("mb05_open.safetensors", "faceboxes_open.safetensors")):
        pytest.skip("the open weights are not trained yet")
    environment = {key: value for key, value in os.environ.items() if key != "VRN_ASSETS"}
    environment["VRN_CACHE"] = str(tmp_path / "cache")
    command = [sys.executable, "demo.py", "-f", str(photo), "-o", "3d", "--out", str(tmp_path), "--show_flag", "false"]
    done = subprocess.run(command, cwd=FOLDER, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "open weights" in done.stdout and (tmp_path / "astro.naut_3d.jpg").is_file()


def test_official_family_gives_the_original_s_numbers(demo, assets, reference, tmp_path):
    """As a 3DDFA_V2 user types it, with the stand-in for the face model; numbers as issue 3 asks for."""
    arrays, configs = tmp_path / "numbers.npz", assets / "official" / "configs"
    arguments = ["-f", str(assets / "photos" / "JianzhuGuo.jpg"), "-c", str(FOLDER / "configs" / "mb05_120x120.yml")]
    arguments += ["--bfm", str(configs / "bfm_noneck_v3.standin.pkl"), "--show_flag", "false"]
    assert demo.main([*arguments, "-o", "uv_tex", "--out", str(tmp_path), "--arrays", str(arrays)]) == 0
    with np.load(arrays) as ours, np.load(reference / "JianzhuGuo.npz") as theirs:
        for name, limit in {"boxes": 0.05, "roi": 1e-3, "sparse": 0.02, "dense": 0.02, "pose_deg": 0.01}.items():
            assert ours[name].shape == theirs[name].shape and ours[name].dtype == theirs[name].dtype, name
            assert np.abs(ours[name] - theirs[name]).max() <= limit, name
        texture = read_photo(tmp_path / "JianzhuGuo_uv_tex.jpg")
        assert np.abs(texture.astype(int) - theirs["uv_tex"][:, :, ::-1]).mean() < 4  # JPEG
