"""Faces by their yaw, as in 3DDFA's papers: 0-30, 30-60 and 60-90 degrees, without sign.

The figure that papers print as "mean" is the mean of the three bins' means (Zhu et al., CVPR 2016; Guo et al., ECCV
2020). Other bins (of size, of roll) are cut in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tddfa.arrays import Floats

YAW_EDGES = (0.0, 30.0, 60.0, 90.0)
"""Degrees. As in the benchmark, what lies beyond 90 counts as 60-90."""


def bins(values: ArrayLike, edges: Sequence[float]) -> dict[str, NDArray[np.bool_]]:
    """Which values lie between which edges.

    Args:
        values: (N,), none below the first edge; NaN lies in no bin.
        edges: rising. A value on an edge belongs to the lower bin, what lies beyond the last edge to the last bin.

    Returns:
        The bins in order, "LOW-HIGH" or, up to infinity, "LOW and more": (N,) bool.

    >>> [(name, inside.tolist()) for name, inside in bins([0, 30, 31], (0, 30, 60)).items()]
    [('0-30', [True, True, False]), ('30-60', [False, False, True])]
    """
    rows = np.asarray(values, np.float64)
    which = np.digitize(rows, [-np.inf, *edges[1:-1], np.inf], right=True) - 1
    names = [f"{low:g}-{high:g}" if np.isfinite(high) else f"{low:g} and more" for low, high in pairwise(edges)]
    return {name: (which == number) & ~np.isnan(rows) for number, name in enumerate(names)}


def yaw_bins(yaws: ArrayLike) -> dict[str, NDArray[np.bool_]]:
    """`bins` of yaws (N,) in degrees, whatever their sign."""
    return bins(np.abs(np.asarray(yaws, np.float64)), YAW_EDGES)


def by_yaw(errors: ArrayLike, yaws: Sequence[float | None]) -> dict[str, Any]:
    """Errors over all faces and, where every yaw is known, per bin of yaw.

    Args:
        errors: (N,), one per face.
        yaws: N degrees; None where nobody knows.

    Returns:
        {"all"}, and with yaws {"0-30", "30-60", "60-90", "mean", "std" (of the three), "faces" (per bin)} too. A bin
        without faces is None, and so are the mean and the deviation then.

    >>> by_yaw([2.0, 4.0], [10, -80])["mean"] is None  # nobody between 30 and 60 degrees
    True
    """
    values = np.asarray(errors, np.float64)
    report: dict[str, Any] = {"all": float(values.mean())}
    known = [yaw for yaw in yaws if yaw is not None]
    if len(known) < len(yaws):
        return report
    inside = yaw_bins(known)
    means = [float(values[rows].mean()) for rows in inside.values() if rows.any()]
    report |= {name: float(values[rows].mean()) if rows.any() else None for name, rows in inside.items()}
    complete = len(means) == len(inside)
    report["mean"] = float(np.mean(means)) if complete else None
    report["std"] = float(np.std(means)) if complete else None
    report["faces"] = {name: int(rows.sum()) for name, rows in inside.items()}
    return report


def yaw_of(parameters: Floats) -> float:
    """Degrees between the face's looking direction and the camera, in the horizontal plane.

    Args:
        parameters: (62,), of which the first twelve are scale * R | t; the rows' y may run up or down.
    """
    facing = parameters[:12].reshape(3, 4)[:, 2]  # where the model's z axis (out of the nose) points
    return float(np.degrees(np.arctan2(facing[0], facing[2])))
