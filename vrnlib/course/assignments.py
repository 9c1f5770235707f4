"""The nbgrader course: a folder with a configuration and one assignment per notebook, ready for generate_assignment.

An assignment is the student's copy with what nbgrader takes out itself: solutions between their marks, so that the
signatures stay, points in hidden tests, rubrics as mark schemes. What matters of nbgrader 0.9.6: without marks a whole
cell becomes the stub, signature and all; a cell whose last line is a number is worth that many points; a cell that
wrote to stderr is worth none.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from vrnlib.course.copies import ANSWER, STUB, goes_on, without_details, write
from vrnlib.course.sources import DETAILS, FOLDED, CourseError, nbgrader_marks, read_source, source_files

CONFIGURATION = f'''\
"""nbgrader's settings for this course. Run nbgrader in this folder."""

c = get_config()
c.CourseDirectory.course_id = "vrn"
c.ClearSolutions.code_stub = {{"python": {STUB!r}}}
c.OverwriteCells.add_missing_cells = True  # a deleted cell with points comes back when it is graded
c.Execute.timeout = 600  # seconds for a cell; a student's loop without an end is stopped then
c.Execute.skip_cells_with_tag = "long"  # trainings of minutes, which no points hang on
'''

POINTS = """\
# {points} for {name}, given when your notebook is graded, by cases that are drawn then.
### BEGIN HIDDEN TESTS
from vrnlib.checks.grading import grade
grade("{name}", globals(), points={number})
### END HIDDEN TESTS"""


def write_course(folder: Path) -> None:
    """Write the course, as a whole or not at all.

    Args:
        folder: does not exist, or is empty. Gets ``nbgrader_config.py`` and ``source/NN_name/NN_name.ipynb``.

    Raises:
        CourseError: the folder cannot be made.
    """
    folder = folder.absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    except OSError as error:
        raise CourseError(f"'{folder}' cannot be made ({error.strerror}); name one that you may write to") from error
    try:
        place.chmod(0o755)
        (place / "nbgrader_config.py").write_text(CONFIGURATION, encoding="utf-8")
        total = 0.0
        for source in source_files():
            notebook = assignment(read_source(source))
            write(notebook, place / "source" / source.stem / f"{source.stem}.ipynb")
            points = sum(cell.metadata.get("nbgrader", {}).get("points", 0) for cell in notebook.cells)
            total += points
            print(f"{source.stem}: {points:g} points")
        if folder.exists():
            folder.rmdir()
        place.rename(folder)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    print(f"{total:g} points in all. Next, in {folder}: nbgrader generate_assignment 00_start_here")


def assignment(lecture: NotebookNode) -> NotebookNode:
    """A lecture as nbgrader's source of an assignment: marks kept, hidden tests and mark schemes added, no outputs."""
    notebook = copy.deepcopy(lecture)
    cells, notebook.cells = notebook.cells, []
    for cell in cells:
        if cell.metadata.get("lecture"):
            continue
        workbook = cell.metadata.get("workbook", {})
        notebook.cells.append(cell)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            goes_on(cell)
            for key in FOLDED:
                cell.metadata.pop(key, None)
            if "check" in workbook:
                notebook.cells.append(_points(workbook["check"], workbook["points"]))
        elif "help" in workbook:
            cell.source = without_details(cell.source, "Solution")
        elif "question" in workbook:
            name, rubric = workbook["question"], DETAILS.findall(cell.source)[-1][1].strip()
            scheme = f"### BEGIN MARK SCHEME\n{rubric}\n### END MARK SCHEME"
            cell.source = f"{without_details(cell.source)}\n\n{workbook['points']:g} points.\n\n{scheme}"
            marks = nbgrader_marks(name, locked=True, task=True, points=workbook["points"])
            cell.metadata = nbformat.from_dict({"nbgrader": marks})
            notebook.cells.append(nbformat.v4.new_markdown_cell(ANSWER, id=f"answer_{name}"))
        else:
            cell.source = "\n".join(line for line in cell.source.splitlines() if not _leads_out(line)).strip()
    return notebook


def _points(name: str, number: float) -> NotebookNode:
    words = "1 point" if number == 1 else f"{number:g} points"
    marks = nbgrader_marks(f"points_{name}", grade=True, locked=True, points=number)
    source = POINTS.format(points=words, name=name, number=number)
    return nbformat.v4.new_code_cell(source, id=f"points_{name}", metadata=nbformat.from_dict({"nbgrader": marks}))


def _leads_out(line: str) -> bool:
    """Whether a line is the badge or the links to other notebooks, which are not there in a student's folder."""
    return line.startswith("[![Open in Colab]") or (".ipynb)" in line and line.lstrip("← ").startswith("["))
