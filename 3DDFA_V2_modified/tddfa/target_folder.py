"""The folder of targets: whose it is, and the tables in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from .console import sentence
from .files import read_file, write_bytes

__all__ = ["FAILURES", "FAILURE_COLUMNS", "check_folders", "claimed", "write_table"]

FAILURES, FAILURE_COLUMNS = "failures.csv", ("picture", "reason")
"""The table of what could not be done; it lies in every folder of targets."""


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


def write_table(path: Path, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Write a table as CSV, whole or not at all."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_bytes(path, text.getvalue().encode("utf-8"))
