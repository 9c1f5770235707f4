"""The notebooks' builder: one source each, a lecture notebook and a student notebook from it.

``python -m vrnlib.course build | execute | check [NAME ...]``

A source is ``notebooks/source/NN_name.py`` in jupytext's percent format. Its header carries the numbers that readers
plan with (``workbook: {minutes_cpu, minutes_t4, memory_gb, download_mb}``). In its text these marks are filled in:
``{{badge}}``, ``{{prerequisites}}``, ``{{links}}``. Cells carry marks of their own:

- ``tags=["setup"]``: gets `SETUP` in front, so that the notebook also works on Colab.
- ``exercise="name"``: a solution cell. What stands between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` is taken
  out of the student's copy.
- ``check="name"``: the graded cell below it.
- ``lecture=true``: left out of the student's copy (hints, solutions).
- ``tags=["view-3d"]``: shows a widget; its output is stored without the widget and not compared by nbval.
- ``tags=["live"]``: its output changes while it runs; nbval does not compare it.
- ``tags=["measured"]``: its numbers hang on the processor; the cell asserts them with a tolerance, nbval does not
  compare them.

Notebooks are deterministic: cell ids come from the source, nothing in the metadata depends on a machine.
"""

from __future__ import annotations

import argparse
import copy
import os
import re
import sys
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

from tddfa.files import write_bytes

#: Where the repository is published; the badge and the set-up cell are made of it.
REPOSITORY = "https://github.com/vrn-workbook/vrn-workbook"
NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"

SETUP = f"""\
# On Colab this installs what is missing; anywhere else it does nothing.
import importlib.util, subprocess, sys

if importlib.util.find_spec("vrnlib") is None:
    address = "git+{REPOSITORY}"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", address], check=True)"""

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = 'raise NotImplementedError("your turn")'
WIDGET = "application/vnd.jupyter.widget-view+json"
NUMBERS = ("minutes_cpu", "minutes_t4", "memory_gb", "download_mb")


class CourseError(ValueError):
    """A source breaks a rule of the workbook; the sentence says which one and where."""


def source_files(names: list[str] | None = None, *, folder: Path = NOTEBOOKS) -> list[Path]:
    """The sources with these names ("01" or "01_fan_cropping"), or all of them, in order."""
    files = sorted((folder / "source").glob("[0-9][0-9]_*.py"))
    if not names:
        return files
    chosen = [file for file in files if any(file.stem == name or file.stem[:2] == name for name in names)]
    if not chosen:
        raise CourseError(f"no notebook is called {' or '.join(names)}; there are {[file.stem for file in files]}")
    return chosen


def title_of(path: Path) -> str:
    """The title of a source: its first level-1 heading."""
    match = re.search(r"^# # (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        raise CourseError(f"{path.name} has no title; a line '# # Title' in its first markdown cell makes one")
    return match.group(1).strip()


def badge(path: Path) -> str:
    """The Colab badge of a notebook, as markdown."""
    place = REPOSITORY.removeprefix("https://github.com/")
    link = f"https://colab.research.google.com/github/{place}/blob/main/notebooks/{path.stem}.ipynb"
    return f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({link})"


def links(path: Path, files: list[Path]) -> str:
    """Links to the notebook before and the notebook after, as markdown."""
    position, parts = files.index(path), []
    if position > 0:
        before = files[position - 1]
        parts.append(f"← [{title_of(before)}]({before.stem}.ipynb)")
    if position + 1 < len(files):
        after = files[position + 1]
        parts.append(f"[{title_of(after)}]({after.stem}.ipynb) →")
    return " · ".join(parts)


def prerequisites(numbers: dict[str, Any]) -> str:
    """The line of costs at the top of a notebook, from the source's header."""
    download = f"{numbers['download_mb']} MB" if numbers["download_mb"] else "none"
    return (
        f"**Time** {numbers['minutes_cpu']} min on a CPU, {numbers['minutes_t4']} min on a T4 · "
        f"**Memory** {numbers['memory_gb']} GB · **Download** {download} · **Needs no GPU**"
    )


def read_source(path: Path) -> NotebookNode:
    """A source as a lecture notebook without outputs, marks filled in, ids and metadata fixed."""
    draft = jupytext.read(path, fmt="py:percent")
    numbers = dict(draft.metadata.get("workbook", {}))
    missing = [key for key in NUMBERS if key not in numbers]
    if missing:
        raise CourseError(f"{path.name} lacks {missing} under 'workbook' in its header")
    files = source_files(folder=path.parent.parent)
    marks = {"badge": badge(path), "prerequisites": prerequisites(numbers), "links": links(path, files)}
    notebook = nbformat.v4.new_notebook()
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "workbook": {"title": title_of(path), **numbers},
        }
    )
    for index, cell in enumerate(draft.cells):
        notebook.cells.append(_lecture_cell(cell, f"{path.stem[:2]}-{index:02d}", marks, path.name))
    return notebook


def _lecture_cell(cell: NotebookNode, identity: str, marks: dict[str, str], where: str) -> NotebookNode:
    metadata = {key: value for key, value in cell.metadata.items() if key in ("tags", "lecture")}
    tags = list(metadata.get("tags", []))
    source = cell.source
    if cell.cell_type == "markdown":
        for name, text in marks.items():
            source = source.replace("{{" + name + "}}", text)
        new = nbformat.v4.new_markdown_cell(source)
    else:
        if "setup" in tags:
            source = f"{SETUP}\n\n{source}".rstrip()
        if {"view-3d", "live", "measured"} & set(tags):
            metadata["tags"] = [*tags, "nbval-ignore-output"]
        exercise, check = cell.metadata.get("exercise"), cell.metadata.get("check")
        if exercise or check:
            identity = exercise or f"check_{check}"
            metadata["nbgrader"] = _nbgrader(identity, graded=bool(check), points=cell.metadata.get("points", 1))
        if exercise and (source.count(BEGIN) != 1 or source.count(END) != 1):
            raise CourseError(f"{where}: exercise {exercise!r} needs one '{BEGIN}' and one '{END}'")
        new = nbformat.v4.new_code_cell(source)
    new.id = identity
    new.metadata = nbformat.from_dict(metadata)
    return new


def _nbgrader(identity: str, *, graded: bool, points: float) -> dict[str, Any]:
    fields = {"grade": graded, "grade_id": identity, "locked": graded, "schema_version": 3}
    fields |= {"solution": not graded, "task": False}
    return fields | ({"points": points} if graded else {})


def student_notebook(lecture: NotebookNode) -> NotebookNode:
    """The assignment made of a lecture: solutions become stubs, hints and outputs are left out."""
    student = copy.deepcopy(lecture)
    student.cells = [cell for cell in student.cells if not cell.metadata.get("lecture")]
    for cell in student.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs, cell.execution_count = [], None
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = without_solution(cell.source)
    return student


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


def execute(sources: list[Path], *, timeout: int = 300) -> None:
    """Run the lecture notebooks and store them with their outputs, on one thread so that numbers repeat."""
    from nbclient import NotebookClient

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    for source in sources:
        notebook, target = read_source(source), lecture_path(source)
        client = NotebookClient(
            notebook,
            timeout=timeout,
            kernel_name="python3",
            resources={"metadata": {"path": str(target.parent)}},
            record_timing=False,
            store_widget_state=True,  # k3d needs it while it runs; tidy() drops it
            coalesce_streams=True,
        )
        client.execute()
        tidy(notebook)
        write(notebook, target)
        print(f"executed {target.name}: {target.stat().st_size / 1e6:.2f} MB")


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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m vrnlib.course", description="Build the workbook's notebooks.")
    parser.add_argument("verb", choices=("build", "execute", "check"))
    parser.add_argument("names", nargs="*", help="notebooks such as 01 or 01_fan_cropping; none means all")
    options = parser.parse_args(arguments)
    try:
        sources = source_files(options.names)
        if options.verb == "check":
            problems = [problem for source in sources for problem in stale(source)]
            print("\n".join(problems) or f"{len(sources)} notebooks are current")
            return 1 if problems else 0
        (build if options.verb == "build" else execute)(sources)
    except CourseError as error:
        print(f"course: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
