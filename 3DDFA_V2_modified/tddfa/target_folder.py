"""The folder of targets: whose it is, how a run fills it, and the tables in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from .console import sentence
from .files import beside, clear_killed, read_file, write_bytes
from .images import PHOTO_SUFFIXES
from .workers import outcomes

__all__ = [
    "FAILURES",
    "FAILURE_COLUMNS",
    "PAIRS",
    "PAIR_COLUMNS",
    "Summary",
    "check_folders",
    "claimed",
    "fill_folder",
    "find_pairs",
    "write_table",
]

Task = TypeVar("Task")

FAILURES, FAILURE_COLUMNS = "failures.csv", ("picture", "reason")
"""The table of what could not be done; it lies in every folder of targets."""

PAIRS, PAIR_COLUMNS = "pairs.csv", ("picture", "volume")
"""The table of crops and their volumes, as paths from the folder."""


@dataclass
class Summary:
    """What a run did: pictures whose target is new, was there already, or failed (name → reason)."""

    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def fill_folder(
    out: Path,
    tasks: Sequence[Task],
    attempt: Callable[[Task], str],
    *,
    names: Callable[[Task], str],
    summary: Summary,
    workers: int = 1,
    dask: str | None = None,
    batch: int = 8,
    progress: bool = True,
) -> None:
    """Do tasks that leave files in a folder; what failed, now or in an earlier run, stands in its ``failures.csv``.

    Args:
        out: the folder, made when missing.
        tasks: see `outcomes`, as are ``workers``, ``dask`` and ``batch``.
        attempt: says "made", "kept", or the reason why there is nothing.
        names: what a task is called in the table.
        summary: filled in place, up to the moment at which a run is stopped.
        progress: show a bar.

    Raises:
        ValueError: the folder holds files of others.
        OSError: see `outcomes`.
    """
    out.mkdir(parents=True, exist_ok=True)
    pending, shown = claimed(out), [names(task) for task in tasks]
    clear_killed(out)
    done = outcomes(tasks, attempt, workers=workers, dask=dask, batch=batch)
    try:
        with closing(done), tqdm(total=len(tasks), unit="picture", disable=not progress) as bar:
            for task, reason in done:
                name = names(task)
                pending.pop(name, None)
                if reason in ("made", "kept"):
                    (summary.made if reason == "made" else summary.kept).append(name)
                else:
                    summary.failures[name] = reason
                    bar.set_postfix(failed=len(summary.failures), refresh=False)
                bar.update()
    finally:
        rest = {name: pending[name] for name in shown if name in pending}
        write_table(out / FAILURES, FAILURE_COLUMNS, sorted({**rest, **summary.failures}.items()))


def check_folders(root: Path, out: Path) -> None:
    """ValueError or NotADirectoryError unless pictures and targets are two folders, none in the other."""
    if not root.is_dir():
        raise NotADirectoryError(f"Expected a folder of pictures, {root} is none; check the path.")
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"Expected a folder for the targets, {out} is a file; name another one.")
    inner, outer = out.resolve(), root.resolve()
    if inner == outer or outer in inner.parents or inner in outer.parents:
        raise ValueError(f"Expected an output folder apart from {root}, which is never written to, got {out}.")


def claimed(out: Path) -> dict[str, str]:
    """Picture → reason of an earlier run. Its ``failures.csv`` tells that a folder is ours: old targets are replaced.

    Raises:
        ValueError: a folder with files and without such a table.
    """
    path = out / FAILURES
    if not path.exists():
        if any(not entry.name.startswith(".") for entry in out.iterdir()):
            raise ValueError(
                f"Expected an empty folder or one of an earlier run, which has a {FAILURES}, {out} holds other files; "
                "name another one."
            )
        write_table(path, FAILURE_COLUMNS, [])
        return {}
    try:
        text = read_file(path, largest=2**28, what=f"the {FAILURES} of an earlier run").decode("utf-8")
        header, *rows = csv.reader(io.StringIO(text, newline=""))
        if tuple(header) != FAILURE_COLUMNS:
            raise ValueError("another header")
        return dict((picture, reason) for picture, reason in rows)
    except (ValueError, csv.Error) as error:
        raise ValueError(
            f"Expected the {FAILURES} of an earlier run, {path} is damaged or another file ({sentence(error)}); "
            "move it away or name another folder."
        ) from None


def find_pairs(folder: str | Path) -> list[tuple[Path, Path]]:
    """The crops and volumes of a folder: those of its ``pairs.csv``, else every volume file with a picture beside it.

    Args:
        folder: of ``vrn targets`` or ``vrn render``.

    Returns:
        (picture, volume) of each, sorted; there is at least one.

    Raises:
        ValueError: there are none, or the table is damaged.
    """
    folder = Path(folder)
    if (folder / PAIRS).is_file():
        text = read_file(folder / PAIRS, largest=2**30, what="a table of pairs").decode("utf-8", "replace")
        try:
            header, *rows = csv.reader(io.StringIO(text, newline=""))
            if tuple(header) != PAIR_COLUMNS:
                raise ValueError("another header")
            pairs = [(folder / picture, folder / volume) for picture, volume in rows]
        except (ValueError, csv.Error) as error:
            raise ValueError(
                f"Expected a table of {' and '.join(PAIR_COLUMNS)}, {folder / PAIRS} is damaged or another file "
                f"({sentence(error)}); delete it."
            ) from None
    else:
        pairs = []
        for volume in sorted(folder.rglob("*.npz")):
            pictures = (beside(volume, ending) for ending in PHOTO_SUFFIXES)
            pairs += [(picture, volume) for picture in pictures if picture.is_file()][:1]
    if not pairs:
        raise ValueError(f"Expected crops with volumes beside them in {folder}, found none; make them by vrn targets.")
    return pairs


def write_table(path: Path, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Write a table as CSV, whole or not at all; of names that are no UTF-8 the odd bytes are escaped."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_bytes(path, text.getvalue().encode("utf-8", "backslashreplace"))
