"""What an evaluation says: one JSON, one Markdown table, one figure."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from tddfa.files import check_target, write_bytes
from vrnlib.evaluation.intervals import by_yaw_with_intervals

JSON_BEGINS, TABLE_BEGINS, PNG_BEGINS = b'{\n "evaluation":', b"# vrn evaluate ", b"\x89PNG"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How one number per face is shown.

    Attributes:
        title: of its column. definition: what it is, one clause. digits: behind the point. unit: "" where it has none.
        higher_is_better: or lower.
    """

    title: str
    definition: str
    digits: int = 4
    unit: str = ""
    higher_is_better: bool = False


METRICS = {
    "iou": Metric(
        title="IoU", definition="intersection over union of the solids; a missed face has 0", digits=3,
        higher_is_better=True,
    ),
    "depth": Metric(
        title="front depth", definition="mean |dz| of the front over columns that both solids fill", digits=2, unit="px"
    ),
    "nme": Metric(title="NME", definition="mean distance of true vertices to the surface / 3D interocular distance"),
    "nme_icp": Metric(title="NME, ICP", definition="the same after rigid alignment"),
    "landmarks": Metric(
        title="landmarks", definition="mean distance of the 51 inner true landmarks to the surface / interocular"
    ),
    "chamfer": Metric(title="Chamfer", definition="mean distance of both visible fronts, either way / interocular"),
    "normals": Metric(title="normals", definition="mean angle of true and predicted normals", digits=1, unit="°"),
    "error_percent": Metric(
        title="68 points", definition="mean distance of the landmarks / sqrt(w h) of their box", digits=2, unit="%"
    ),
    "found": Metric(title="found", definition="part of the faces", digits=3, higher_is_better=True),
    "cropped": Metric(
        title="cropped", definition="part of the faces, right in scale within 10 % and in place within 6 pixels",
        digits=3, higher_is_better=True,
    ),
}  # fmt: skip
"""By the names in the JSON."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A row of the paper's table (Jackson et al., ICCV 2017): NME without and with rigid ICP.

    Attributes:
        method, data: what was measured on what. nme: without ICP. nme_icp: with, None where the paper gives none.
    """

    method: str
    data: str
    nme: float
    nme_icp: float | None = None


PAPER = (
    Published(method="VRN", data="AFLW2000-3D", nme=0.0676, nme_icp=0.0605),
    Published(method="VRN Multitask", data="AFLW2000-3D", nme=0.0698, nme_icp=0.0625),
    Published(method="VRN Guided", data="AFLW2000-3D", nme=0.0637, nme_icp=0.0543),
    Published(method="3DDFA", data="AFLW2000-3D", nme=0.1012),
    Published(method="EOS", data="AFLW2000-3D", nme=0.0971, nme_icp=0.0890),
    Published(method="VRN", data="BU-4DFE", nme=0.0600),
    Published(method="VRN Multitask", data="BU-4DFE", nme=0.0625),
    Published(method="VRN Guided", data="BU-4DFE", nme=0.0555),
    Published(method="3DDFA", data="BU-4DFE", nme=0.1227),
    Published(method="EOS", data="BU-4DFE", nme=0.1560),
    Published(method="VRN", data="Florence", nme=0.0568),
    Published(method="VRN Multitask", data="Florence", nme=0.0542),
    Published(method="VRN Guided", data="Florence", nme=0.0509),
    Published(method="3DDFA", data="Florence", nme=0.0975),
    Published(method="EOS", data="Florence", nme=0.1253),
)


def comparable(row: Published, dataset: str, *, default_options: bool) -> str:
    """Whether a published number may stand beside measured ones: an honest clause.

    Args:
        row: the published one. dataset: "renders", "pairs" or "aflw2000". default_options: of the errors.
    """
    if dataset != "aflw2000" or row.data != "AFLW2000-3D":
        return "no: other faces" if dataset == "aflw2000" else "no: other faces, and photographs"
    if not default_options:
        return "no: another definition"
    return "nearly: the same photos; the paper's vertices of the face's region are not published"


def make_report(
    *,
    evaluation: str,
    data: str,
    names: Sequence[str],
    yaws: ArrayLike,
    errors: dict[str, dict[str, NDArray[np.float64]]],
    options: dict[str, Any],
    references: Sequence[dict[str, Any]] = (),
    details: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """All that an evaluation says, as JSON can hold it.

    Args:
        evaluation: "volumes", "surfaces", "landmarks" or "crops".
        data: what was measured on, a clause.
        names: of the N faces.
        yaws: (N,) degrees, NaN where nobody knows.
        errors: method → metric → (N,), NaN for missed faces.
        options: what the numbers depend on.
        references: published rows, see `paper_rows`.
        details: whatever else.
    """
    yaw = np.asarray(yaws, np.float64)
    metrics = list(next(iter(errors.values())))
    methods = {
        method: {
            metric: by_yaw_with_intervals(values, yaw, higher_is_better=METRICS[metric].higher_is_better)
            for metric, values in rows.items()
        }
        for method, rows in errors.items()
    }
    worst = _worst(errors, metrics[0], names)
    return {
        "evaluation": evaluation,
        "data": data,
        "options": options,
        "metrics": {metric: asdict(METRICS[metric]) for metric in metrics},
        "methods": methods,
        "worst": worst,
        "references": list(references),
        **({"details": details} if details else {}),
        "faces": [{"name": name, "yaw": _rounded(angle)} for name, angle in zip(names, yaw.tolist(), strict=True)],
        "values": {
            method: {metric: [_rounded(value) for value in values.tolist()] for metric, values in rows.items()}
            for method, rows in errors.items()
        },
    }


def paper_rows(dataset: str, *, default_options: bool) -> list[dict[str, Any]]:
    """The paper's table with the column "comparable"; see `comparable`."""
    return [asdict(row) | {"comparable": comparable(row, dataset, default_options=default_options)} for row in PAPER]


def markdown(report: dict[str, Any]) -> str:
    """The report as a table, with a line about what each column is."""
    metrics = {name: Metric(**about) for name, about in report["metrics"].items()}
    first = next(iter(metrics))
    groups = [group for group in _groups(report, first) if group != "all"]
    header = ["method", "missed", *(_title(metric) + " [95 %]" for metric in metrics.values())]
    header[3:3] = [f"yaw {group}°" for group in groups]
    lines = [header]
    for method, rows in report["methods"].items():
        # where a missed face has a worst value, none is NaN
        missed = max(row["all"]["missed"] for row in rows.values())
        line = [method, f"{missed} of {rows[first]['all']['faces']}"]
        for name, metric in metrics.items():
            line.append(_with_interval(rows[name]["all"], metric))
            if name == first:
                line += [_number(rows[name].get(group, {}).get("mean"), metric) for group in groups]
        lines.append(line)
    text = [f"{TABLE_BEGINS.decode()}{report['evaluation']}", "", f"{report['data'].capitalize()}.", "", _table(lines)]
    text += ["", *(f"- {metric.title}: {metric.definition}." for metric in metrics.values())]
    text.append("- Brackets: 95 % of the means of faces drawn anew (bootstrap). Means are of the faces not missed.")
    if report["options"]:
        text.append("- " + ", ".join(f"{name}: {value}" for name, value in report["options"].items()) + ".")
    if report["references"]:
        rows = [["published (Jackson et al. 2017)", "data", "NME", "NME, ICP", "comparable?"]]
        for one in report["references"]:
            icp = "" if one["nme_icp"] is None else f"{one['nme_icp']:.4f}"
            rows.append([one["method"], one["data"], f"{one['nme']:.4f}", icp, one["comparable"]])
        text += ["", _table(rows)]
    return "\n".join(text) + "\n"


def figure(report: dict[str, Any]) -> bytes:
    """A PNG: the first metric by yaw with its intervals, and which part of the faces is at least so good."""
    first = next(iter(report["metrics"]))
    metric, groups = Metric(**report["metrics"][first]), _groups(report, first)
    picture = Figure(figsize=(11, 4.2), layout="constrained")
    by_yaw, shares = picture.subplots(1, 2)
    for number, (method, rows) in enumerate(report["methods"].items()):
        present = [group for group in groups if rows[first].get(group, {}).get("mean") is not None]
        mean, low, high = (np.array([rows[first][group][key] for group in present]) for key in ("mean", "low", "high"))
        place = np.array([groups.index(group) for group in present]) + 0.12 * (
            number - (len(report["methods"]) - 1) / 2
        )
        by_yaw.errorbar(place, mean, [mean - low, high - mean], fmt="o", capsize=3, label=method, color=f"C{number}")
        values = report["values"][method][first]
        found = np.sort([value for value in values if value is not None])
        share = np.arange(1, len(found) + 1) / max(len(values), 1)
        if metric.higher_is_better:
            found, share = found[::-1], share
        shares.step(found, share, where="post", color=f"C{number}")
    by_yaw.set_xticks(range(len(groups)), [group if group == "all" else f"{group}°" for group in groups])
    by_yaw.set(title=f"{metric.title} by yaw, 95 % intervals", ylabel=_title(metric), xlabel="yaw")
    by_yaw.grid(axis="y", alpha=0.3)
    by_yaw.legend(fontsize=8)
    at_least = "at least" if metric.higher_is_better else "at most"
    shares.set(title=f"Part of the faces with {at_least} that {metric.title}", xlabel=_title(metric), ylim=(0, 1))
    shares.grid(alpha=0.3)
    data = io.BytesIO()
    picture.savefig(data, format="png", dpi=110)
    return data.getvalue()


def paths(folder: Path, evaluation: str) -> dict[str, tuple[Path, bytes]]:
    """Where JSON, table and figure are written, and what such files begin with."""
    begins = {".json": JSON_BEGINS, ".md": TABLE_BEGINS, ".png": PNG_BEGINS}
    return {ending: (folder / f"{evaluation}{ending}", start) for ending, start in begins.items()}


def check_folder(folder: Path, evaluation: str) -> None:
    """ValueError or NotADirectoryError where writing there would replace something else."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file where a folder was expected; name another one for --out.")
    for path, begins in paths(folder, evaluation).values():
        check_target(path, begins)


def write(report: dict[str, Any], folder: Path) -> list[Path]:
    """Write EVALUATION.json, .md and .png into a folder, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        ".json": (json.dumps(report, indent=1) + "\n").encode(),
        ".md": markdown(report).encode(),
        ".png": figure(report),
    }
    return [write_bytes(path, content[ending]) for ending, (path, _) in paths(folder, report["evaluation"]).items()]


def _worst(
    errors: dict[str, dict[str, NDArray[np.float64]]], metric: str, names: Sequence[str], count: int = 6
) -> list[str]:
    """The faces on which the first method is worst, the worst first; missed faces before all others."""
    values = next(iter(errors.values()))[metric]
    badness = -values if METRICS[metric].higher_is_better else values
    order = np.argsort(-np.where(np.isnan(badness), np.inf, badness), kind="stable")[:count]
    return [names[row] for row in order]


def _groups(report: dict[str, Any], metric: str) -> list[str]:
    """The bins of yaw that there are, "all" first."""
    return list(next(iter(report["methods"].values()))[metric])


def _title(metric: Metric) -> str:
    return f"{metric.title}, {metric.unit}" if metric.unit else metric.title


def _number(value: float | None, metric: Metric) -> str:
    return "–" if value is None else f"{value:.{metric.digits}f}"


def _with_interval(row: dict[str, Any], metric: Metric) -> str:
    if row["mean"] is None:
        return "–"
    return f"{_number(row['mean'], metric)} [{_number(row['low'], metric)}, {_number(row['high'], metric)}]"


def _table(rows: list[list[str]]) -> str:
    """Rows as Markdown, columns as wide as their widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([padded[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *padded[1:]])


def _rounded(value: float) -> float | None:
    """To six digits; None for NaN."""
    return float(f"{value:.6g}") if np.isfinite(value) else None
