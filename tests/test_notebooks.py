"""The notebooks: current with their sources, executed, within the contract. nbval runs them (bash build.sh test)."""

from __future__ import annotations

import ast
import html
import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from vrnlib import course

SOURCES = course.source_files()
EACH = pytest.mark.parametrize("source", SOURCES, ids=[source.stem for source in SOURCES])


def lecture(source: Path) -> nbformat.NotebookNode:
    return nbformat.read(course.lecture_path(source), as_version=4)


def student(source: Path) -> nbformat.NotebookNode:
    return nbformat.read(course.student_path(source), as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_seven_notebooks_are_there():
    assert [source.stem for source in SOURCES] == [
        "00_start_here",
        "01_fan_cropping",
        "02_3ddfa_targets",
        "03_vrn_architecture",
        "04_training",
        "05_visualisation",
        "06_evaluation",
    ]
    generated = {path.stem for path in course.NOTEBOOKS.glob("*.ipynb")}
    assert generated == {source.stem for source in SOURCES}


@EACH
def test_notebooks_are_current(source: Path):
    assert course.stale(source) == []


@EACH
def test_every_code_cell_was_executed_in_order_without_error(source: Path):
    cells = code_cells(lecture(source))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert not [o for cell in cells for o in cell.outputs if o.output_type == "stream" and o.name == "stderr"]


@EACH
def test_no_widget_state_and_a_stored_picture_beside_every_3d_view(source: Path):
    notebook = lecture(source)
    assert "widgets" not in notebook.metadata
    for cell in code_cells(notebook):
        assert not any(course.WIDGET in output.get("data", {}) for output in cell.outputs)
        if "view-3d" in cell.metadata.get("tags", []):
            assert any(picture_kind(output) for output in cell.outputs), f"{cell.id} shows no stored picture"


def picture_kind(output: nbformat.NotebookNode) -> str:
    return next((kind for kind in output.get("data", {}) if kind.startswith("image/")), "")


@EACH
def test_what_is_to_be_seen_stands_below_every_picture(source: Path):
    """As a caption on the page: an output's alt text reaches neither JupyterLab nor GitHub."""
    shown = 0
    for cell in code_cells(lecture(source)):
        for picture, caption in pairwise([*cell.outputs, {}]):
            if kind := picture_kind(picture):
                words = re.fullmatch(r"<figcaption[^>]*>(.{21,})</figcaption>", caption.data["text/html"])
                assert words and html.unescape(words[1]) == picture.metadata[kind]["alt"], cell.id
                assert not re.search(r"\b(red|green)\b", words[1]), "orange and blue are told apart by everyone"
                shown += 1
    assert shown >= 2


@EACH
def test_a_notebook_stays_below_two_megabytes(source: Path):
    assert course.lecture_path(source).stat().st_size < 2e6


@EACH
def test_outline_follows_the_contract(source: Path):
    notebook = lecture(source)
    first = notebook.cells[0].source
    assert first.startswith("[![Open in Colab]") and "\n# " in first
    assert "vrnlib" in code_cells(notebook)[0].source and "git+" in code_cells(notebook)[0].source
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for heading in ("You will be able to", "**Time**", "## What goes wrong", "## Summary"):
        assert heading in text, heading
    assert "{{" not in text
    assert text.count("### Your turn") >= 2
    helped = [cell for cell in notebook.cells if "workbook" in cell.metadata]
    assert 20 <= len(notebook.cells) - len(helped) <= 45


@EACH
def test_cells_are_short(source: Path):
    for cell in lecture(source).cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 20, cell.id
        elif "workbook" not in cell.metadata:
            prose = re.sub(r"(?m)^(>|\d\. |   \S).*$|\$\$[^$]*\$\$", " ", cell.source)  # no terms, sources, formulas
            words = re.sub(r"!\[.*?\]\(.*?\)|\(.*?\)|[#*`|·-]", " ", prose).split()
            assert len(words) <= 80, (cell.id, len(words))


@EACH
def test_a_lecture_names_the_open_networks(source: Path):
    """Left to their default they would be the official ones for whoever has these, and give other numbers."""
    text = source.read_text(encoding="utf-8")
    calls = re.findall(r"\bFaceBoxes\(([^()]*)|\bTDDFA\(([^()]*)", text)
    assert all("OPEN_WEIGHTS" in boxes or '"open"' in regressor for boxes, regressor in calls), calls
    detectors = re.findall(r"\bTDDFADetector\((.*)", text)
    assert all("face_detector=" in given and "regressor=" in given for given in detectors), detectors


@EACH
def test_exercises_are_complete(source: Path):
    cells = lecture(source).cells
    written = [i for i, cell in enumerate(cells) if cell.metadata.get("nbgrader", {}).get("solution")]
    assert len(written) >= 2
    for index in written:
        text, help_, cell, check = cells[index - 2 : index + 2]
        assert re.search(r"●[○●]{2}", text.source) and "min" in text.source, cell.id
        assert help_.metadata.workbook.help == check.metadata.workbook.check == cell.id
        assert check.metadata.nbgrader.locked and check.source.startswith("check_")


@EACH
def test_the_headers_minutes_hold_the_exercises_and_the_reading(source: Path):
    notebook = course.read_source(source)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    asked = [int(minutes) for minutes in re.findall(r"●[○●]{2} (\d+) min", text)]
    assert len(asked) == text.count("### Your turn") + text.count("### In your own words")
    assert sum(asked) + 10 <= notebook.metadata.workbook.minutes_cpu <= sum(asked) + 45


@EACH
def test_student_copy_has_stubs_and_no_solutions(source: Path):
    full, copy = lecture(source), student(source)
    assert not [cell for cell in copy.cells if cell.metadata.get("lecture")]
    text = nbformat.writes(copy)
    assert "BEGIN SOLUTION" not in text and "<summary>Solution" not in text
    assert all(cell.execution_count is None and not cell.outputs for cell in code_cells(copy))
    for cell in code_cells(copy):
        ast.parse(cell.source)
        grading = cell.metadata.get("nbgrader")
        if grading and grading["solution"]:
            assert "NotImplementedError" in cell.source
            original = next(other for other in full.cells if other.id == cell.id)
            assert re.search(r"def .*->|class ", cell.source, re.DOTALL), "a stub is typed"
            assert "NotImplementedError" not in original.source
    identities = [cell.metadata.nbgrader.grade_id for cell in code_cells(copy) if "nbgrader" in cell.metadata]
    assert len(identities) == len(set(identities))


def test_building_twice_gives_the_same_bytes():
    one, two = (nbformat.writes(course.read_source(SOURCES[0])) for _ in range(2))
    assert one == two


def test_solution_removal_keeps_the_rest():
    source = "def f(x: int) -> int:\n    a = 1\n    ### BEGIN SOLUTION\n    return a + x\n    ### END SOLUTION\n\nf"
    expected = 'def f(x: int) -> int:\n    a = 1\n    raise NotImplementedError("your turn")\n\nf'
    assert course.without_solution(source) == expected


def test_changed_notebook_is_noticed(tmp_path: Path):
    (tmp_path / "source").mkdir()
    source = tmp_path / "source" / "00_tiny.py"
    header = "# ---\n# jupyter:\n#   workbook: {minutes_cpu: 1, memory_gb: 1, download_mb: 0}\n# ---\n"
    source.write_text(header + '\n# %% [markdown]\n# # Tiny\n\n# %% tags=["setup"]\n\n# %%\n1 + 1\n', encoding="utf-8")
    course.build([source])
    assert course.stale(source) == []
    path = course.lecture_path(source)
    path.write_text(path.read_text(encoding="utf-8").replace("1 + 1", "1 + 2"), encoding="utf-8")
    assert "differs" in course.stale(source)[0]
    course.student_path(source).unlink()
    assert "missing" in course.stale(source)[1]


def test_a_source_without_numbers_is_refused(tmp_path: Path):
    (tmp_path / "source").mkdir()
    source = tmp_path / "source" / "00_tiny.py"
    source.write_text("# %% [markdown]\n# # Tiny\n", encoding="utf-8")
    with pytest.raises(course.CourseError, match="minutes_cpu"):
        course.read_source(source)
