"""What is made of a source: the lecture, executed, and the student's copy; writing them and telling stale ones."""

from __future__ import annotations

import copy
import os
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tddfa.files import write_bytes
from vrnlib.course.sources import BEGIN, DETAILS, END, FOLDED, read_source

STUB = 'raise NotImplementedError("your turn")'
ANSWER = "*Your answer:*"
WIDGET = "application/vnd.jupyter.widget-view+json"


def student_notebook(lecture: NotebookNode) -> NotebookNode:
    """The student's copy of a lecture: stubs, hints without solutions, places for answers in words, no outputs."""
    student = copy.deepcopy(lecture)
    cells, student.cells = student.cells, []
    for cell in cells:
        if cell.metadata.get("lecture"):
            continue
        student.cells.append(cell)
        workbook = cell.metadata.get("workbook", {})
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            goes_on(cell)
            if cell.metadata.get("nbgrader", {}).get("solution"):
                cell.source = without_solution(cell.source)
                for key in FOLDED:
                    cell.metadata.pop(key, None)
            continue
        cell.source = cell.source.replace("/blob/main/notebooks/", "/blob/main/notebooks/student/")  # the badge
        if "help" in workbook:
            cell.source = without_details(cell.source, "Solution")
        if "question" in workbook:
            cell.source = without_details(cell.source)
            name = workbook["question"]
            marks = nbformat.from_dict({"workbook": {"answer": name}})
            student.cells.append(nbformat.v4.new_markdown_cell(ANSWER, id=f"answer_{name}", metadata=marks))
    return student


def goes_on(cell: NotebookNode) -> None:
    """Let *Run All* of JupyterLab go on behind a check that fails."""
    if "check" in cell.metadata.get("workbook", {}):
        cell.metadata["tags"] = ["raises-exception"]


def without_details(source: str, title: str | None = None) -> str:
    """A text without its folded parts, or without those that have this title."""
    return DETAILS.sub(lambda found: "" if title in (None, found[1]) else found[0], source).rstrip()


def without_solution(source: str) -> str:
    """A cell's text with the lines from BEGIN to END replaced by one stub line, indented alike."""
    kept: list[str] = []
    inside = False
    for line in source.splitlines():
        if line.strip() == BEGIN:
            kept.append(line.replace(BEGIN, STUB))
            inside = True
        elif line.strip() == END:
            inside = False
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def lecture_path(source: Path) -> Path:
    return source.parent.parent / f"{source.stem}.ipynb"


def student_path(source: Path) -> Path:
    return source.parent.parent / "student" / f"{source.stem}.ipynb"


def keep_outputs(new: NotebookNode, old: NotebookNode) -> bool:
    """Carry outputs over to a rebuilt notebook when its code is unchanged; False when it is not."""
    fresh, known = ([cell for cell in nb.cells if cell.cell_type == "code"] for nb in (new, old))
    if [cell.source for cell in fresh] != [cell.source for cell in known]:
        return False
    for cell, before in zip(fresh, known, strict=True):
        cell.outputs, cell.execution_count = before.outputs, before.execution_count
    return True


def build(sources: list[Path]) -> None:
    """Write the lecture notebooks (outputs kept where the code is unchanged) and the student notebooks."""
    for source in sources:
        lecture, target = read_source(source), lecture_path(source)
        write(student_notebook(lecture), student_path(source))
        kept = target.exists() and keep_outputs(lecture, nbformat.read(target, as_version=4))
        write(lecture, target)
        print(f"built {target.name}" + ("" if kept else " (to be executed)"))


def execute(sources: list[Path]) -> None:
    """Run the lecture notebooks and store them with their outputs."""
    for source in sources:
        notebook, target = executed(source), lecture_path(source)
        write(notebook, target)
        print(f"executed {target.name}: {target.stat().st_size / 1e6:.2f} MB")


def executed(source: Path, *, timeout: int = 1800) -> NotebookNode:
    """The lecture of a source with its outputs, run on one thread and without official files, so that numbers repeat.

    Args:
        source: in percent format.
        timeout: seconds for a cell.
    """
    from nbclient import NotebookClient

    everybody = {name: value for name, value in os.environ.items() if name not in ("VRN_ASSETS", "VRN_REFERENCE")}
    everybody |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    notebook = read_source(source)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(lecture_path(source).parent)}},
        record_timing=False,
        store_widget_state=True,  # k3d needs it while it runs; tidy() drops it
        coalesce_streams=True,
    )
    client.execute(env=everybody)
    tidy(notebook)
    return notebook


def tidy(notebook: NotebookNode) -> None:
    """Drop from an executed notebook what only lives in a running kernel: widgets and machine details."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = nbformat.from_dict({"name": "python"})
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        kept = []
        for output in cell.outputs:
            if output.output_type in ("display_data", "execute_result") and WIDGET in output.data:
                continue
            kept.append(output)
        cell.outputs = kept


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook as a whole or not at all."""
    nbformat.validate(notebook)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, (nbformat.writes(notebook) + "\n").encode("utf-8"))


def stale(source: Path) -> list[str]:
    """Sentences about what a source's committed notebooks lack; empty when they are current."""
    lecture, problems = read_source(source), []
    for wanted, path in ((lecture, lecture_path(source)), (student_notebook(lecture), student_path(source))):
        if not path.exists():
            problems.append(f"{path.name} is missing; run 'bash build.sh notebooks'")
            continue
        found = nbformat.read(path, as_version=4)
        for cell in found.cells:
            if cell.cell_type == "code" and path == lecture_path(source):
                cell.outputs, cell.execution_count = [], None
        if found != wanted:
            problems.append(f"{path.parent.name}/{path.name} differs from its source; run 'bash build.sh notebooks'")
    return problems
