"""The nbgrader course there and back: nothing leaks, points are as earned, feedback says why.

Two assignments only, all with VRN_COURSE=all (bash build.sh test-course). Needs the extra 'course'.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from vrnlib import course
from vrnlib.checks import exercises
from vrnlib.course.assignments import assignment, write_course
from vrnlib.course.sources import DETAILS, CourseError

pytest.importorskip("nbgrader", reason="needs nbgrader (extra 'course')")
pytestmark = pytest.mark.slow
SOURCES = course.source_files()
SOME = SOURCES if os.environ.get("VRN_COURSE") == "all" else [SOURCES[0], SOURCES[3]]
EACH = pytest.mark.parametrize("source", SOME, ids=[source.stem for source in SOME])
STUDENTS = ("right", "half", "empty", "borrowing")
ANSWER = "An answer of three lines."


def nbgrader(folder: Path, *arguments: str) -> str:
    """Run it as a teacher does, with the environment's programs in PATH."""
    private = {f"JUPYTER_{kind}_DIR": str(folder / ".jupyter" / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    private |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    private |= {"IPYTHONDIR": str(folder / ".ipython"), "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=folder, env=os.environ | private, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def borrowed(name: str) -> str:
    """Ours in place of one's own work: imported as it is, or called."""
    solution = exercises()[name].solution
    module, ours = solution.__module__, solution.__qualname__
    if isinstance(solution, type):
        return f"from {module} import {ours}\n\nclass {name}({ours}):\n    pass"
    return f"from {module} import {ours} as ours\n\ndef {name}(*arguments):\n    return ours(*arguments)"


def hand_in(folder: Path, source: Path) -> dict[str, float]:
    """The students' submissions, made of the release alone; → what each has earned."""
    lecture = course.read_source(source)
    right = {cell.id: cell.source for cell in lecture.cells if cell.metadata.get("nbgrader", {}).get("solution")}
    points = {c.metadata.workbook.check: c.metadata.workbook.points for c in lecture.cells if check_of(c)}
    earned = {}
    for student in students_of(source):
        notebook = read(folder / "release" / source.stem / f"{source.stem}.ipynb")
        earned[student] = 0.0
        for cell in notebook.cells:
            name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
            if name in right and (student == "right" or (student == "half" and list(right).index(name) % 2)):
                cell.source = right[name]
                earned[student] += points[name]
            elif name in right and student == "borrowing":
                cell.source = borrowed(name)
            elif cell.get("id", "").startswith("answer_") and student == "right":
                cell.source = ANSWER
        place = folder / "submitted" / student / source.stem / f"{source.stem}.ipynb"
        place.parent.mkdir(parents=True)
        nbformat.write(notebook, place)
    return earned


def students_of(source: Path) -> tuple[str, ...]:
    """All four hand in the first assignment, two the others, as each takes seconds; with VRN_COURSE=all they all do."""
    return STUDENTS if source == SOURCES[0] or SOME == SOURCES else (STUDENTS[1], STUDENTS[3])


def check_of(cell: nbformat.NotebookNode) -> str:
    return cell.metadata.get("workbook", {}).get("check", "")


@pytest.fixture(scope="module")
def graded(tmp_path_factory) -> Iterator[tuple[Path, dict[str, dict[str, float]]]]:
    """A course, released, handed in by four students, graded, with feedback; and what they have earned."""
    folder = tmp_path_factory.mktemp("nbgrader") / "course"
    write_course(folder)
    earned = {}
    for source in SOME:
        nbgrader(folder, "generate_assignment", source.stem)
        earned[source.stem] = hand_in(folder, source)
        nbgrader(folder, "autograde", source.stem)
        nbgrader(folder, "generate_feedback", source.stem)
    yield folder, earned


@EACH
def test_nothing_of_the_solutions_is_in_the_release(graded, source: Path):
    folder, _ = graded
    release = read(folder / "release" / source.stem / f"{source.stem}.ipynb")
    text = "\n".join(cell.source for cell in release.cells)
    lecture = course.read_source(source)
    parts = re.compile(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", re.DOTALL)
    sources = [cell.source for cell in lecture.cells if cell.cell_type == "code"]
    given = {line.strip() for source_ in sources for line in parts.sub("", source_).splitlines()}
    lines = {line.strip() for source_ in sources for part in parts.findall(source_) for line in part.splitlines()}
    secret = {line for line in lines - given if len(re.findall(r"\w", line)) > 8}
    assert secret and not [line for line in secret if line in text]
    folded = {title for cell in lecture.cells for title, _ in DETAILS.findall(cell.source)}
    assert "Solution" in folded and "What a good answer says" in folded
    for word in ("Solution</summary>", "What a good answer", "1 point:", "BEGIN ", "grade(", "source_hidden", "colab"):
        assert word not in text, word


@EACH
def test_the_release_is_the_students_copy_and_keeps_every_signature(graded, source: Path):
    folder, _ = graded
    release = read(folder / "release" / source.stem / f"{source.stem}.ipynb")
    copy = course.student_notebook(course.read_source(source))
    code = [cell for cell in release.cells if cell.cell_type == "code" and not cell.id.startswith("points_")]
    assert [cell.source for cell in code] == [cell.source for cell in copy.cells if cell.cell_type == "code"]
    for cell in release.cells:
        if cell.cell_type == "code":
            ast.parse(cell.source)
    stubs = [cell for cell in code if cell.metadata.get("nbgrader", {}).get("solution")]
    assert all(re.search(r"def .*->", cell.source, re.DOTALL) for cell in stubs)


@EACH
def test_students_get_the_points_that_they_have_earned(graded, source: Path):
    from nbgrader.api import Gradebook

    folder, earned = graded
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        for student, points in earned[source.stem].items():
            submission = book.find_submission(source.stem, student)
            assert submission.score == pytest.approx(points), student
            assert submission.needs_manual_grade, "the question in words"
            assert submission.max_score == sum_of_points(source)
    for student in set(STUDENTS) & set(earned[source.stem]):
        share = earned[source.stem][student] / sum_of_points(source)
        assert {"right": share > 0.3, "half": 0 < share < 0.6, "empty": share == 0, "borrowing": share == 0}[student]


def sum_of_points(source: Path) -> float:
    notebook = assignment(course.read_source(source))
    return sum(cell.metadata.get("nbgrader", {}).get("points", 0) for cell in notebook.cells)


@EACH
def test_feedback_says_why(graded, source: Path):
    folder, earned = graded
    for student in earned[source.stem]:
        page = (folder / "feedback" / student / source.stem / f"{source.stem}.html").read_text(encoding="utf-8")
        assert ("still the stub" in page) == (student in ("half", "empty"))
        assert ("which is ours" in page) == (student == "borrowing")
        assert (ANSWER in page) == (student == "right")
        assert "1 point" in page, "the rubric comes back"


def test_the_course_is_written_into_a_new_folder_only(tmp_path: Path):
    from vrnlib.course.__main__ import main

    (tmp_path / "mine.txt").write_text("kept", encoding="utf-8")
    assert main(["assignments", str(tmp_path)]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(CourseError, match="cannot be made"):
        write_course(tmp_path / "mine.txt" / "course")
    write_course(tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new" / "source").iterdir()) == [s.stem for s in SOURCES]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
