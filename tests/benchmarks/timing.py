"""How the benchmarks measure, print and keep one job. The standard library only: peers' environments import it, too."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple


class Times(NamedTuple):
    """Of several runs, in milliseconds, or in what a row's `unit` says."""

    best: float
    median: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """A job: what it takes here and what it takes a peer.

    Attributes:
        job: what is done, its size and its threads where there are several.
        here: None where only others are measured.
        peer: who else does it; "" where there is none.
        theirs: None where there is no peer, or none could be had.
        reason: why, then; one sentence.
        axis: what cost grows with: rows of one axis are drawn as curves.
        at: where on that axis.
        unit: of all times.
    """

    job: str
    here: Times | None = None
    peer: str = ""
    theirs: Times | None = None
    reason: str = ""
    axis: str = ""
    at: float | None = None
    unit: str = "ms"

    @property
    def ratio(self) -> float | None:
        """Of the medians: so many times as much the peer takes."""
        return self.theirs.median / self.here.median if self.here and self.theirs else None


def measured(function: Callable[[], object], runs: int, clock: Callable[[], float] = time.perf_counter) -> Times:
    """A function's times by a clock (``time.process_time``: the processor's); a single run is not warmed up."""
    if runs > 1:
        function()
    times = []
    for _ in range(runs):
        start = clock()
        function()
        times.append(1e3 * (clock() - start))
    return Times(min(times), statistics.median(times))


def number(value: float) -> str:
    """Three digits that say something, none beyond the point from 100 on.

    >>> [number(value) for value in (0.05678, 2.345, 45.67, 1234.5)]
    ['0.0568', '2.35', '45.7', '1,234']
    """
    if value >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{float(f'{value:.3g}'):.12g}"


def read_rows(path: Path) -> list[Row]:
    """What `run` kept."""
    rows = []
    for kept in json.loads(path.read_text(encoding="utf-8")):
        times = {name: Times(*kept[name]) for name in ("here", "theirs") if kept[name]}
        rows.append(Row(**{**kept, **times}))
    return rows


def run(doc: str, rows: Callable[..., Iterable[Row]], **options: Any) -> None:
    """A whole script: an option for each argument of ``rows``, a table on the screen, and the rows kept in a file.

    Args:
        doc: the script's docstring.
        rows: gives the rows one by one.
        options: default of each of its arguments; a tuple: the choices, of which the first is the default.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in options.items():
        choices = default if isinstance(default, tuple) else None
        first = default[0] if choices else default
        parser.add_argument(f"--{name}", type=type(first), default=first, choices=choices, help=f"default {first}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also keep the rows here")
    arguments = vars(parser.parse_args())
    path, done = arguments.pop("json"), []
    print(f"{'median (best)':<54}{'here':>18}{'peer':>20}{'ratio':>8}")
    for row in rows(**arguments):
        here, theirs = (f"{number(t.median)} ({number(t.best)})" if t else "" for t in (row.here, row.theirs))
        job = row.job if row.at is None else f"{row.job} {row.at:g}"
        ratio = f"{number(row.ratio)}x" if row.ratio else ""
        print(f"{job:<54}{here:>18}{theirs:>20}{ratio:>8}  {row.unit}  {row.peer} {row.reason}".rstrip(), flush=True)
        done.append(asdict(row))
        if path:  # after each row: what was measured stays
            path.write_text(json.dumps(done), encoding="utf-8")
