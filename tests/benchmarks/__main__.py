"""All benchmarks of time and memory on one Markdown page: ``python -m tests.benchmarks [-o PAGE.md]``.

Each script beside this one that measures speed runs in a process of its own, one after the other; run them on a machine
that does nothing else. Packages to compare with that are not installed get environments of their own (`peers`), which
needs the network once.
"""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tddfa.files import write_bytes

from .page import draw, machine, page, section
from .timing import Row, read_rows

FOLDER = Path(__file__).resolve().parent
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

SCRIPTS: dict[str, tuple[str, str]] = {
    "detector": ("", "--runs 2"),
    "landmarks": ("--runs 10", "--runs 1"),
    "regressor": ("", "--runs 3"),
    "core": ("", "--runs 3"),
    "network": ("", "--runs 2"),
    "volumes": ("", "--runs 2 --largest 96"),
    "targets": ("--pictures 200 --rounds 3", "--pictures 8 --rounds 1 --how mat"),
    "renders": ("", "--pairs 3"),
    "video": ("", "--frames 4 --runs 1"),
    "growth": ("", "--runs 1 --largest 180 --pictures 16"),
    "memory": ("", "--first 1"),
    "app": ("", "--requests 6 --visitors 2"),
}
"""How each is called, in earnest and for a quick run."""


def run_script(name: str, *, quick: bool) -> tuple[list[Row], str, int]:
    """A script's rows, its section of the page, and its exit code."""
    script, arguments = FOLDER / f"{name}.py", SCRIPTS[name][quick].split()
    command = f"python tests/benchmarks/{' '.join([script.name, *arguments])}"
    print(command, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "rows.json")
        call = [sys.executable, str(script), *arguments, "--json", str(kept)]
        code = subprocess.run(call, env={**os.environ, **THREADS}).returncode
        rows = read_rows(kept) if kept.is_file() else []
    failure = f"**It ended with exit code {code}; rows are missing.**" if code else ""
    doc = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    return rows, section(name, command, doc, rows, failure), code


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/benchmarks.md"), help="default runs/benchmarks.md")
    parser.add_argument("--quick", action="store_true", help="see whether it works; the numbers mean nothing")
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=list(SCRIPTS), metavar="NAME", help="of scripts")
    arguments = parser.parse_args(argv)
    start, lines = time.monotonic(), machine()
    rows: list[Row] = []
    sections, failed = [], False
    for name in arguments.only:
        measured, text, code = run_script(name, quick=arguments.quick)
        rows += measured
        sections.append(text)
        failed |= code != 0
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figure, picture = arguments.out.with_suffix(".png"), draw(rows)
    if picture:
        write_bytes(figure, picture)
    minutes = (time.monotonic() - start) / 60
    text = page(sections, lines, figure.name if picture else "", minutes, quick=arguments.quick)
    write_bytes(arguments.out, text.encode("utf-8"))
    print(f"{arguments.out} has {len(rows)} rows; it took {minutes:.1f} minutes.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
