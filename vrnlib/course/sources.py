"""From a source in percent format to a lecture without outputs: marks filled in, ids and metadata fixed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

from vrnlib import __version__

#: Where the repository is published; badges and set-up cells are made of it.
REPOSITORY = "https://github.com/vrn-workbook/vrn-workbook"
NOTEBOOKS = Path(__file__).resolve().parent.parent.parent / "notebooks"

#: The first cell's beginning: the wheel of this release if there is one, else a compilation; what Colab brings stays.
SETUP = f"""\
# On Colab this installs what is missing; anywhere else it does nothing.
import importlib.util, subprocess, sys
from importlib.metadata import distributions

if importlib.util.find_spec("vrnlib") is None:
    address, pip = "{REPOSITORY}", [sys.executable, "-m", "pip", "install", "-q"]
    wheel = ["--no-index", "--no-deps", "-f", f"{{address}}/releases/expanded_assets/v{__version__}", "vrn-workbook"]
    source = "vrn-workbook" if subprocess.run([*pip, *wheel]).returncode == 0 else f"git+{{address}}"
    own = [f"{{d.name}}=={{d.version}}" for d in distributions() if d.name in "torch numpy protobuf ipywidgets".split()]
    subprocess.run([*pip, *own, source], check=True)"""

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
NUMBERS = ("minutes_cpu", "memory_gb", "download_mb")
#: A folded part of a text: its title and what is in it.
DETAILS = re.compile(r"<details><summary>(.*?)</summary>\n(.*?)</details>\n?", re.DOTALL)
#: Folds the code of a cell, in JupyterLab and in Colab.
FOLDED = {"jupyter": {"source_hidden": True}, "cellView": "form"}


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


def badge(name: str) -> str:
    """The Colab badge of a notebook, as markdown.

    Args:
        name: its path below ``notebooks``, without the ending.
    """
    place = REPOSITORY.removeprefix("https://github.com/")
    link = f"https://colab.research.google.com/github/{place}/blob/main/notebooks/{name}.ipynb"
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
        f"**Time** {numbers['minutes_cpu']} min on a CPU · "
        f"**Memory** {numbers['memory_gb']} GB · **Download** {download} · **Needs no GPU**"
    )


def read_source(path: Path) -> NotebookNode:
    """A source as a lecture notebook without outputs, marks filled in, ids and metadata fixed.

    Raises:
        CourseError: the header lacks a number, or a cell breaks a rule.
    """
    draft = jupytext.read(path, fmt="py:percent")
    numbers = dict(draft.metadata.get("workbook", {}))
    missing = [key for key in NUMBERS if key not in numbers]
    if missing:
        raise CourseError(f"{path.name} lacks {missing} under 'workbook' in its header")
    files = source_files(folder=path.parent.parent)
    marks = {"badge": badge(path.stem), "prerequisites": prerequisites(numbers), "links": links(path, files)}
    notebook = nbformat.v4.new_notebook()
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "workbook": {"title": title_of(path), **numbers},
        }
    )
    for index, cell in enumerate(draft.cells):
        if cell.cell_type == "markdown":
            new = _text_cell(cell, marks, path.name)
        else:
            new = _code_cell(cell, path.name)
        new.id = new.metadata.pop("identity", f"{path.stem[:2]}-{index:02d}")
        notebook.cells.append(new)
    return notebook


def _text_cell(cell: NotebookNode, marks: dict[str, str], where: str) -> NotebookNode:
    metadata: dict[str, Any] = {key: value for key, value in cell.metadata.items() if key in ("tags", "lecture")}
    source = cell.source
    for name, text in marks.items():
        source = source.replace("{{" + name + "}}", text)
    parts = [title for title, _ in DETAILS.findall(source)]
    name = cell.metadata.get("help")
    if name:
        metadata |= {"identity": f"help_{name}", "workbook": {"help": name}}
        if parts[-2:] != ["Typical error", "Solution"] or len(parts) < 3 or not all("int" in p for p in parts[:-2]):
            raise CourseError(f"{where}: the help of {name!r} needs Hint, Typical error, Solution, not {parts}")
    name = cell.metadata.get("question")
    if name:
        points = cell.metadata.get("points", 1)
        metadata |= {"identity": name, "workbook": {"question": name, "points": points}}
        if len(parts) != 1 or not source.rstrip().endswith("</details>"):
            raise CourseError(f"{where}: the question {name!r} needs one <details> at its end, the rubric")
    return nbformat.v4.new_markdown_cell(source, metadata=nbformat.from_dict(metadata))


def _code_cell(cell: NotebookNode, where: str) -> NotebookNode:
    metadata = {key: value for key, value in cell.metadata.items() if key in ("tags", "lecture")}
    tags, source = list(metadata.get("tags", [])), cell.source
    if "setup" in tags:
        source = f"{SETUP}\n\n{source}".rstrip()
    if {"view-3d", "live", "measured"} & set(tags):
        metadata["tags"] = [*tags, "nbval-ignore-output"]
    exercise, check = cell.metadata.get("exercise"), cell.metadata.get("check")
    if exercise:
        if not source.count(BEGIN) == source.count(END) > 0:
            raise CourseError(f"{where}: exercise {exercise!r} needs '{BEGIN}' and '{END}' in pairs")
        metadata |= {"identity": exercise, "nbgrader": nbgrader_marks(exercise, solution=True), **FOLDED}
    if check:
        if len(source.splitlines()) != 1 or not re.fullmatch(rf"check_\w+\({check}\)", source):
            raise CourseError(f"{where}: the check of {check!r} holds more than 'check_…({check})'; begin a new cell")
        points = cell.metadata.get("points", 1)
        identity = f"check_{check}"
        metadata |= {"identity": identity, "nbgrader": nbgrader_marks(identity, locked=True)}
        metadata["workbook"] = {"check": check, "points": points}
    return nbformat.v4.new_code_cell(source, metadata=nbformat.from_dict(metadata))


def nbgrader_marks(identity: str, **fields: Any) -> dict[str, Any]:
    """A cell's metadata for nbgrader: neither graded nor locked nor a solution nor a task unless said so."""
    plain = {"grade": False, "locked": False, "solution": False, "task": False}
    return {"grade_id": identity, "schema_version": 3, **plain, **fields}
