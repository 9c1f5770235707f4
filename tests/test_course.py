"""The course: lecture and student's copy agree, solutions are the library's, an undone exercise stops nothing."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import vrnlib
from vrnlib import course
from vrnlib.checks import Exercise, Mistake, exercises, yours_or_ours
from vrnlib.checks.grading import grade
from vrnlib.course.assignments import CONFIGURATION, assignment
from vrnlib.course.sources import DETAILS, SETUP

SOURCES = course.source_files()
EACH = pytest.mark.parametrize("source", SOURCES, ids=[source.stem for source in SOURCES])
#: Whole notebooks are run for these only, for all with VRN_COURSE=all (bash build.sh test-course).
SOME = SOURCES if os.environ.get("VRN_COURSE") == "all" else SOURCES[:2]
EXERCISES = exercises()
#: Prints the largest memory that a kernel has had, GB; only Linux tells it without that of the process that started it.
PEAK = """
import re
from pathlib import Path
print(int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1e6)"""


def by_name(notebook: nbformat.NotebookNode, kind: str) -> dict[str, nbformat.NotebookNode]:
    """The cells of a kind (help, check, question), by the name of the exercise."""
    marked = [(cell.metadata.get("workbook", {}).get(kind), cell) for cell in notebook.cells]
    return {name: cell for name, cell in marked if name}


def solutions(notebook: nbformat.NotebookNode) -> dict[str, nbformat.NotebookNode]:
    return {c.id: c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("solution")}


def tree_of(source: str) -> str:
    """The code of a function or class without its name, docstrings and comments."""
    node = ast.parse(textwrap.dedent(source)).body[0]
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    node.name = "it"
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(part) is not None:
            part.body = part.body[1:]
    return ast.dump(node)


def named(path: str) -> Any:
    """What a dotted name such as vrnlib.crop.Crop.to_photo stands for."""
    parts = path.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(path)


@EACH
def test_the_solution_is_the_librarys_function_or_the_text_says_why_not(source: Path):
    lecture = course.read_source(source)
    for name, cell in by_name(lecture, "help").items():
        text = " ".join(dict(DETAILS.findall(cell.source))["Solution"].split())
        for path in re.findall(r"`((?:vrnlib|tddfa|torch)\.[\w.]+)`", text):
            named(path)
        same = re.match(r"The cell below is `([\w.]+)`", text)
        if same is None:
            assert "because" in text, (name, text)
            continue
        assert named(same[1]) is EXERCISES[name].solution
        assert tree_of(solutions(lecture)[name].source) == tree_of(inspect.getsource(named(same[1]))), name


@EACH
def test_the_student_sees_hint_and_typical_error_and_every_signature(source: Path):
    lecture = course.read_source(source)
    student = course.student_notebook(lecture)
    assert set(solutions(lecture)) == set(by_name(lecture, "help")) == set(by_name(lecture, "check"))
    for name, cell in by_name(student, "help").items():
        titles = [title for title, _ in DETAILS.findall(cell.source)]
        assert titles == [title for title, _ in DETAILS.findall(by_name(lecture, "help")[name].source)][:-1]
        place = student.cells.index(cell)
        assert [c.id for c in student.cells[place : place + 3]] == [f"help_{name}", name, f"check_{name}"]
        assert student.cells[place - 1].cell_type == "markdown" and "●" in student.cells[place - 1].source
    for name, cell in solutions(student).items():
        wanted = ast.walk(ast.parse(solutions(lecture)[name].source))
        signatures = {n.name: ast.dump(n.args) for n in wanted if isinstance(n, ast.FunctionDef)}
        given = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.FunctionDef)]
        assert {n.name: ast.dump(n.args) for n in given} == signatures
        assert "source_hidden" not in str(cell.metadata) and "source_hidden" in str(solutions(lecture)[name].metadata)
        for node in given:
            assert "NotImplementedError" in ast.unparse(node), "nothing of the solution is left"


@EACH
def test_the_teachers_plan_and_the_readme_have_the_notebooks_minutes(source: Path):
    minutes = course.read_source(source).metadata.workbook.minutes_cpu
    for text in (course.NOTEBOOKS / "TEACHING.md", course.NOTEBOOKS.parent / "README.md"):
        row = rf"\]\((notebooks/)?{source.stem}\.ipynb\) \|[^|]*\| {minutes} min \|"
        assert re.search(row, text.read_text(encoding="utf-8")), text.name


@EACH
def test_badges_open_the_copy_that_they_stand_in(source: Path):
    lecture = course.read_source(source)
    for notebook, folder in ((lecture, "notebooks"), (course.student_notebook(lecture), "notebooks/student")):
        links = re.findall(r"colab\.research\.google\.com/github/([^)]*)", notebook.cells[0].source)
        place = course.REPOSITORY.removeprefix("https://github.com/")
        assert links == [f"{place}/blob/main/{folder}/{source.stem}.ipynb"]


@pytest.mark.parametrize("released", [True, False])
def test_colab_installs_the_wheel_or_compiles_and_keeps_its_own(released: bool, monkeypatch):
    calls: list[list[str]] = []

    def run(command, check=False):
        calls.append([str(part) for part in command[1:]])
        return subprocess.CompletedProcess(command, 0 if released or "--no-index" not in command else 1)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(subprocess, "run", run)
    exec(SETUP, {})  # noqa: S102
    wheel, rest = calls
    assert wheel[-2:] == [f"{course.REPOSITORY}/releases/expanded_assets/v{vrnlib.__version__}", "vrn-workbook"]
    assert rest[-1] == ("vrn-workbook" if released else f"git+{course.REPOSITORY}")
    assert f"torch=={importlib.metadata.version('torch')}" in rest and "--no-deps" not in rest


@EACH
def test_cells_that_need_a_function_go_on_with_ours_where_it_is_not_right(source: Path):
    lecture = course.read_source(source)
    names, open_ones = set(solutions(lecture)), set()
    for cell in [cell for cell in lecture.cells if cell.cell_type == "code"]:
        tree = ast.parse(cell.source)
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "yours_or_ours"]
        open_ones |= {ast.literal_eval(call.args[0]) for call in calls}
        used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        own = {cell.id.removeprefix("check_")}
        assert used & names <= open_ones | own, f"{cell.id}: begin with name = yours_or_ours(...)"


@pytest.mark.parametrize("source", SOME, ids=[source.stem for source in SOME])
def test_undone_exercises_stop_nothing(source: Path, monkeypatch):
    """The student's copy as it is handed out, run as *Run All* does: its checks fail, every other cell runs, in the
    header's memory."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    student = course.student_notebook(course.read_source(source))
    resources = {"metadata": {"path": str(course.NOTEBOOKS)}}
    how = {"timeout": 300, "kernel_name": "python3", "resources": resources, "skip_cells_with_tag": "long"}
    student.cells.append(nbformat.v4.new_code_cell(PEAK))
    NotebookClient(student, **how).execute()
    peak = student.cells.pop()
    if sys.platform == "linux":
        assert 0.2 < float(peak.outputs[0].text) <= student.metadata.workbook.memory_gb
    failed = [c.id for c in student.cells if any(o.output_type == "error" for o in c.get("outputs", []))]
    assert failed == [cell.id for cell in by_name(student, "check").values()]
    for cell in by_name(student, "check").values():
        assert "still the stub" in str(cell.outputs)


@EACH
def test_no_exercise_needs_a_long_cell_and_grading_leaves_them_out(source: Path):
    lecture = course.read_source(source)
    made, needed = set(), set()
    for cell in [cell for cell in lecture.cells if cell.cell_type == "code"]:
        tree = ast.parse(cell.source)
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        plain = [part for part in tree.body if not isinstance(part, ast.FunctionDef | ast.ClassDef)]
        outside = [node for part in plain for node in ast.walk(part) if isinstance(node, ast.Name)]
        stored = {name.id for name in outside if isinstance(name.ctx, ast.Store)}
        stored |= {part.name for part in tree.body if isinstance(part, ast.FunctionDef | ast.ClassDef)}
        if "long" in cell.metadata.get("tags", []):
            made |= stored
        else:
            needed |= {name.id for name in names if isinstance(name.ctx, ast.Load)} & made
            made -= stored
    assert not needed
    assert ("long" in str([cell.metadata for cell in assignment(lecture).cells])) == ("04" in source.stem)
    assert 'c.Execute.skip_cells_with_tag = "long"' in CONFIGURATION


@EACH
def test_one_undone_exercise_costs_no_points_of_the_others(source: Path):
    lecture = course.read_source(source)
    student = course.student_notebook(lecture)
    code = [cell.source for cell in lecture.cells if cell.cell_type == "code"]
    imports = "\n".join(line for text in code for line in text.splitlines() if re.match(r"(from|import) \w", line))
    for undone in solutions(lecture):
        space: dict[str, Any] = {"__name__": "__main__"}
        exec(f"from __future__ import annotations\n{imports}", space)  # noqa: S102
        for name, cell in solutions(lecture).items():
            text = solutions(student)[name].source if name == undone else cell.source
            exec(compile(text, name, "exec", dont_inherit=True, flags=annotations()), space)  # noqa: S102
            assert grade(name, space, points=2) == (0 if name == undone else 2), (undone, name)
            space[name] = yours_or_ours(name, space)
            assert hasattr(space[name], "lent") == (name == undone)


def annotations() -> int:
    return __import__("__future__").annotations.compiler_flag


# --- grading ----------------------------------------------------------------------------------------------------------


def space_with(code: str) -> dict[str, Any]:
    """The names of a notebook in which this code was run."""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("import math, numpy as np, torch\nfrom torch import nn\n" + textwrap.dedent(code), space)  # noqa: S102
    return space


def test_points_are_shared_out_by_kinds_of_cases(capsys):
    naive = """
        def cross_entropy_from_logits(x, y):
            p = torch.sigmoid(x)
            return -(y * p.log() + (1 - y) * (1 - p).log()).mean()
    """
    assert grade("cross_entropy_from_logits", space_with(naive), points=3) == 1.5
    assert "infinity or NaN" in capsys.readouterr().out
    fixed = "def decode_heatmap(h): return (h.sum(0) * np.arange(32)).sum(), (h.sum(1) * np.arange(32)).sum()"
    assert grade("decode_heatmap", space_with(fixed), points=3) == 1
    assert grade("nose_tip", space_with("def nose_tip(p): raise NotImplementedError('your turn')"), points=3) == 0
    with pytest.raises(Mistake, match="not defined"):
        grade("nose_tip", {}, points=1)


def test_warnings_and_prints_cost_nothing(capsys):
    loud = """
        def nose_tip(p):
            import sys, warnings
            warnings.warn("careful")
            print("here", file=sys.stderr)
            np.float64(1) / np.float64(0)
            return p[:, 2].argmax()
    """
    assert grade("nose_tip", space_with(loud), points=1) == 1
    assert capsys.readouterr().err == ""


CHEATS = {
    "imported": "from vrnlib.checks.cropping import crop_matrix",
    "called": "import vrnlib.checks.cropping as k\ndef crop_matrix(p): return k.crop_matrix(p)",
    "the library's": "from vrnlib.crop import crop_matrix as ours\ndef crop_matrix(p): return ours(p)",
    "by another package": "def crop_matrix(p):\n from tddfa.crop import crop_matrix as c\n return c(p)",
    "partial": "from functools import partial\nfrom vrnlib.crop import crop_matrix as c\ncrop_matrix = partial(c)",
    "lent": "from vrnlib.checks import yours_or_ours\ncrop_matrix = yours_or_ours('crop_matrix', {})",
    "lent later": "from vrnlib.checks import yours_or_ours as y\ndef crop_matrix(p): return y('crop_matrix', {})(p)",
    "out of the list": "from vrnlib.checks import exercises as e\ncrop_matrix = e()['crop_matrix'].solution",
}


@pytest.mark.parametrize("code", CHEATS.values(), ids=CHEATS)
def test_borrowed_work_gets_no_points(code: str):
    with pytest.raises(Mistake, match=r"(is|calls) (vrnlib|tddfa)\.\S+, which is ours"):
        grade("crop_matrix", space_with(code), points=1)


BLOCKS = {
    "inherited": "from vrnlib.hourglass import Residual\nclass ResidualBlock(Residual): pass",
    "inside": """
        from vrnlib.hourglass import Residual
        class ResidualBlock(nn.Module):
            def __init__(self, a, b):
                super().__init__()
                self.it = Residual(a, b)
            def forward(self, x):
                return self.it(x)
    """,
}


@pytest.mark.parametrize("code", BLOCKS.values(), ids=BLOCKS)
def test_borrowed_classes_get_no_points(code: str):
    with pytest.raises(Mistake, match="which is ours"):
        grade("ResidualBlock", space_with(code), points=1)


def test_what_was_lent_may_be_used_in_the_next_exercise(capsys):
    code = """
        from vrnlib.checks import yours_or_ours
        def crop_scale(p): raise NotImplementedError("your turn")
        crop_scale = yours_or_ours("crop_scale", globals())
        def crop_matrix(p):
            s = crop_scale(p)
            return np.column_stack([s * np.eye(2), 95.5 - s * (p.max(0) + p.min(0)) / 2])
    """
    space = space_with(code)
    assert "go on with ours" in capsys.readouterr().out
    assert grade("crop_matrix", space, points=2) == 2
    with pytest.raises(Mistake, match="which is ours"):
        grade("crop_scale", space, points=2)
    with pytest.raises(Mistake, match="is ours, lent"):
        EXERCISES["crop_scale"].judge(space["crop_scale"])


def test_an_exercise_may_allow_a_module_of_ours(monkeypatch):
    space = space_with("def crop_scale(p):\n from vrnlib.crop import crop_matrix as c\n return float(c(p)[0, 0])")
    with pytest.raises(Mistake, match="which is ours"):
        grade("crop_scale", space, points=1)
    allowed = dataclasses.replace(EXERCISES["crop_scale"], may_call=("vrnlib.crop", "tddfa.crop"))
    monkeypatch.setattr("vrnlib.checks.cropping.CROP_SCALE", allowed)
    assert grade("crop_scale", space, points=1) == 1


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_what_is_lent_gives_the_same_answers(exercise: Exercise):
    lent = exercise.lent()
    assert all(exercise.right_cases(lent, seed=3))
    assert exercise.right_cases(lambda *_: None, seed=3) == [False] * len(exercise.right_cases(lent, seed=3))
