"""How tddfa is built: what it may import, how long its modules are, what its examples print."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
from pathlib import Path

import numpy as np
import pytest

import tddfa
from tddfa import TDDFA, FaceBoxes, MorphableModel, contract, ibug
from tddfa.boxes import box_overlaps
from tddfa.console import FAILED, INTERRUPTED, run_command
from tddfa.files import result_names
from tddfa.geometry import Pose
from tddfa.mesh import signed_volume, summed_normals, triangle_normals

FOLDER = Path(__file__).resolve().parent.parent / "3DDFA_V2_modified"
SOURCES = sorted(FOLDER.rglob("*.py"))


def imported(source: Path) -> set[str]:
    """Names of the top-level packages that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_nothing_here_imports_vrnlib():
    assert len(SOURCES) > 40
    assert [source.name for source in SOURCES if "vrnlib" in imported(source)] == []


def test_modules_stay_short():
    lengths = {source.name: len(source.read_text(encoding="utf-8").splitlines()) for source in SOURCES}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


@pytest.mark.parametrize("name", sorted(module.name for module in pkgutil.iter_modules(tddfa.__path__)))
def test_examples_of_the_docstrings_are_true(name):
    assert doctest.testmod(importlib.import_module(f"tddfa.{name}")).failed == 0


def raising(error: BaseException):
    def job() -> int:
        raise error

    return job


def test_a_command_tells_errors_in_one_sentence(capsys):
    assert run_command("demo", lambda: 0) == 0
    assert run_command("demo", raising(ValueError("Expected a photo,\n got none."))) == FAILED
    assert run_command("demo", raising(OSError("The disk is full."))) == FAILED
    assert run_command("demo", raising(KeyboardInterrupt())) == INTERRUPTED
    assert capsys.readouterr().err == "demo: Expected a photo, got none.\ndemo: The disk is full.\ndemo: stopped.\n"
    with pytest.raises(TypeError, match="fault"):
        run_command("demo", raising(TypeError("a fault of the program")))


def test_objects_of_arrays_show_themselves_in_one_line():
    model = MorphableModel.open()
    shown = [repr(one) for one in (model, model.context, TDDFA("open"), FaceBoxes(), Pose(2.0, np.eye(3), np.ones(3)))]
    assert all("\n" not in line and len(line) < 600 for line in shown)
    assert shown[0].startswith("MorphableModel(u=float32 (39036, 1), ")
    assert shown[0].endswith("name='open')") and "uv=float32 (13012, 2)" in shown[0]
    assert shown[2] == "TDDFA(mb05_open.safetensors, face model open, torch)"
    assert shown[4] == "Pose(scale=2.0, rotation=float64 (3, 3), translation=float64 (3,))"


def test_the_contract_says_what_the_design_says():
    assert contract.VOLUME_SHAPE == (200, 192, 192) and contract.PARAMETER_COUNT == 62
    assert (contract.CROP_MIDDLE, contract.MIDDLE_SLICE, contract.SLICES_PER_PIXEL) == (95.5, 99.5, 2)


def test_every_landmark_belongs_to_one_line_and_has_one_mirror_image():
    points = np.arange(68)
    lines = np.concatenate([points[group] for group in ibug.OPEN_LINES + ibug.CLOSED_LINES])
    assert lines.tolist() == points.tolist()
    assert ibug.MIRRORED[ibug.MIRRORED].tolist() == points.tolist()
    own = [point for point in points if ibug.MIRRORED[point] == point]
    assert own == [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]
    for right, left in ((ibug.RIGHT_EYE, ibug.LEFT_EYE), (ibug.RIGHT_BROW, ibug.LEFT_BROW)):
        assert set(ibug.MIRRORED[points[right]]) == set(points[left])


def test_mirrored_landmarks_lie_on_the_other_side_of_the_open_face():
    model = MorphableModel.open()
    points = model.landmarks(model.mean)
    np.testing.assert_allclose(points[ibug.MIRRORED] * (-1, 1, 1), points, atol=3.0)


def test_measures_of_a_tetrahedron():
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    outwards = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    assert signed_volume(corners, outwards) == pytest.approx(1 / 6)
    assert signed_volume(corners, outwards[:, ::-1]) == pytest.approx(-1 / 6)
    np.testing.assert_allclose(triangle_normals(corners, outwards).sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(summed_normals(corners, outwards)[0], [-1, -1, -1])


def test_overlap_of_boxes_is_symmetric_and_zero_for_empty_ones():
    one, other = np.array([0.0, 0, 4, 2]), np.array([2.0, 1, 6, 3])
    assert box_overlaps(one, other[None])[0] == box_overlaps(other, one[None])[0] == pytest.approx(2 / 14)
    assert box_overlaps(np.zeros(4), np.zeros((1, 4)))[0] == 0
    assert box_overlaps(one, np.zeros((0, 4))).shape == (0,)


def test_names_of_results_keep_an_ending_only_where_two_pictures_need_it(tmp_path):
    paths = [tmp_path / name for name in ("a.jpg", "A.png", "a.JPG", "b.jpg", "in/a.jpg", "in/b.tar.png")]
    assert result_names(paths, root=tmp_path) == ["a_jpg", "A_png", "a_jpg_jpg", "b", "in/a", "in/b.tar"]
    assert result_names([Path("x/a.jpg"), Path("y/a.jpg")]) == ["a_jpg", "a_jpg_jpg"]


def test_the_readme_names_every_module():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    modules = {module.name for module in pkgutil.iter_modules(tddfa.__path__)}
    assert {name for name in modules if f"`{name}`" not in text} == set()


def _unsafe(code: str) -> list[int]:
    """Lines that read a file in a way in which it can run something; Ruff's rules know others, but not these."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")
            words = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
            torch_load = name[::2] == ("torch", "load") and words.get("weights_only") is not True
            pickled = (
                name[2] in ("load", "read_array", "memmap", "open_memmap")
                and words.get("allow_pickle", False) is not False
            )
            named = name[0] in ("pickle", "dill", "joblib", "cloudpickle", "marshal") and name[2] in ("load", "loads")
            shell = words.get("shell", False) is not False or name[::2] in (("os", "system"), ("os", "popen"))
            if torch_load or pickled or named or shell or name in (("", "", "eval"), ("", "", "exec")):
                found.append(node.lineno)
    return found


def test_no_file_is_read_in_a_way_that_can_run_something():
    bad = ("torch.load(p)", "torch.load(p, weights_only=w)", "np.load(p, allow_pickle=True)", "pickle.loads(b)")
    for code in (*bad, "eval(s)", "exec(s)", "subprocess.run(s, shell=True)", "os.system(s)", "Popen(s, shell=yes)"):
        assert _unsafe(code) == [1], code
    assert not _unsafe("torch.load(p, weights_only=True); np.load(p, allow_pickle=False); json.load(f); model.eval()")
    root = FOLDER.parent
    folders = (FOLDER, root / "vrnlib", root / "notebooks/source", root / "tests/benchmarks", root / "tests/fuzz")
    sources = [root / "setup.py", *(path for folder in folders for path in folder.rglob("*.py"))]
    assert len(sources) > 60
    assert {str(path): lines for path in sources if (lines := _unsafe(path.read_text(encoding="utf-8")))} == {}
