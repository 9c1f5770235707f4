"""One Markdown page of what the benchmarks measured, with a figure of how cost grows."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .timing import Row, number

PACKAGES = (
    "numpy",
    "scipy",
    "torch",
    "onnxruntime",
    "opencv-python",
    "scikit-image",
    "trimesh",
    "face-alignment",
    "av",
)


def machine() -> list[str]:
    """Lines about processor, memory, system, load and versions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = [f"{_processor()}, {cores} cores"]
    if hasattr(os, "sysconf"):
        parts.append(f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB of memory")
    if hasattr(os, "getloadavg"):
        parts.append(f"load before the run {os.getloadavg()[0]:.2f} (a quiet machine's is below 0.3)")
    found = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    official = "the official files of $VRN_ASSETS" if os.environ.get("VRN_ASSETS") else "the open files"
    return [
        f"- Machine: {'; '.join(parts)}; {platform.system()} {platform.release()}.",
        f"- Versions: {', '.join(found)}; commit {_commit()}.",
        f"- Weights and face model: {official}.",
    ]


def section(name: str, command: str, doc: str, rows: Sequence[Row], failure: str = "") -> str:
    """A script's rows.

    Args:
        name: the script's.
        command: what was run.
        doc: its docstring: a line, how it is called, and what must be known.
        rows: what it measured.
        failure: why it did not end well; "" where it did.
    """
    first, _, rest = doc.strip().partition("\n")
    notes = " ".join(rest.split("\n\n", 1)[-1].split())  # what stands below the usage
    unit = rows[0].unit if rows else "ms"
    lines = [f"## {name}", "", first, "", f"`{command}`", ""]
    if rows:
        lines += [f"| job | here, {unit} | peer, {unit} | ratio | peer |", "|---|--:|--:|--:|---|"]
    for row in rows:
        here, theirs = (number(times.median) if times else "" for times in (row.here, row.theirs))
        ratio = f"{number(row.ratio)}×" if row.ratio else ""
        peer = f"could not be had here: {row.reason}" if row.reason else row.peer
        lines.append(f"| {_job(row)} | {here} | {theirs} | {ratio} | {peer} |")
    lines += ["", *([failure, ""] if failure else []), notes]
    return "\n".join(lines) + "\n"


def page(sections: Sequence[str], lines: Sequence[str], figure: str, minutes: float, *, quick: bool) -> str:
    """The whole page.

    Args:
        sections: from `section`.
        lines: from `machine`.
        figure: the picture's name, beside the page; "" where there is none.
        minutes: how long it took.
        quick: says that the numbers mean nothing.
    """
    warning = "**A quick run: it shows that the benchmarks work, its numbers mean nothing.**\n\n" if quick else ""
    kinds = "Figures are medians; a ratio says how many times as much the peer takes. One thread where none is named."
    parts = [f"# Benchmarks\n\n{warning}{kinds}\n", "\n".join(lines) + f"\n- The run took {minutes:.0f} minutes.\n"]
    parts += sections
    if figure:
        parts.append(f"## How cost grows\n\n![Curves of time over size]({figure})\n")
    parts.append(
        "Not on this page: how good the networks are (`open_family.py`, `turned.py`, `landmark_places.py`) and how "
        "much each of its means gains (`ablation.py`).\n"
    )
    return "\n".join(parts)


def draw(rows: Sequence[Row]) -> bytes:
    """Curves of all rows that have a place on an axis, a panel for each axis, as a PNG; empty where there is none."""
    import io

    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator

    curves: dict[str, dict[str, dict[float, float]]] = {}
    for row in rows:
        if row.at is None:
            continue
        job, panel = row.job.split(",")[0], curves.setdefault(row.axis, {})
        if row.here:
            panel.setdefault(job, {})[row.at] = row.here.median
        if row.theirs:
            panel.setdefault(f"{job}: {row.peer.split(',')[0]}", {})[row.at] = row.theirs.median
    if not curves:
        return b""
    figure, axes = pyplot.subplots(1, len(curves), figsize=(4.2 * len(curves), 3.6), squeeze=False)
    for panel, (axis, lines) in zip(axes[0], curves.items(), strict=True):
        for label, points in lines.items():
            panel.plot(*zip(*sorted(points.items()), strict=True), "o--" if ":" in label else "o-", label=label, ms=4)
        ticks = sorted({at for points in lines.values() for at in points})
        panel.set(xscale="log", xlabel=axis, ylabel="ms")
        panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        times = [time for points in lines.values() for time in points.values()]
        if max(times) > 10 * min(times):
            panel.set_yscale("log")
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        else:
            panel.set_ylim(0, 1.1 * max(times))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.minorticks_off()
        panel.grid(alpha=0.3)
        panel.legend(fontsize=6)
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110, format="png")
    pyplot.close(figure)
    return buffer.getvalue()


def _job(row: Row) -> str:
    return row.job if row.at is None else f"{row.job}; {row.axis.split(',')[0]}: {row.at:g}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _commit() -> str:
    """Its short name, "+" where files were changed; "unknown" outside a clone."""
    folder = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
