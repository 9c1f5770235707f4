"""From one number per face to means with intervals, by yaw, in which missed faces do not vanish.

A missed face has no error, so it cannot be in a mean; left out silently it would reward whoever finds the easy faces
only. So each mean stands beside the number of missed faces, and beside a median over all faces in which a missed one is
worse than any other. Where a missed face has a worst value (an IoU of 0), it has that value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vrnlib.evaluation.bins import yaw_bins

RESAMPLES, LEVEL = 2000, 0.95
"""How often faces are drawn anew, and what part of the means lies in the interval."""


def bootstrap_interval(values: ArrayLike, *, seed: int = 0) -> tuple[float, float]:
    """The percentile interval of a mean (Efron, Annals of Statistics 1979): faces are drawn anew, with replacement.

    Args:
        values: (N,), NaN for missed faces: these are drawn, too, but are in no mean.
        seed: of the draws.

    Returns:
        The 2.5 and 97.5 per cent points of the mean; NaN without values.

    >>> bootstrap_interval([3.0, 3.0, 3.0])
    (3.0, 3.0)
    """
    rows = np.asarray(values, np.float64)
    known = ~np.isnan(rows)
    if not known.any():
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(0, len(rows), (RESAMPLES, len(rows)))
    sums, counts = np.where(known, rows, 0)[drawn].sum(axis=1), known[drawn].sum(axis=1)
    means = sums[counts > 0] / counts[counts > 0]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def summary(values: ArrayLike, *, higher_is_better: bool = False) -> dict[str, Any]:
    """Numbers of some faces.

    Args:
        values: (N,), NaN for missed faces.
        higher_is_better: decides on which side of the median missed faces are.

    Returns:
        {"faces", "missed", "mean" (of the faces that were not missed), "low", "high" (its interval), "median" (of all,
        None when half of them are missed)}; None for what there is not.

    >>> found = summary([1.0, 2.0, 6.0, float("nan")])
    >>> found["faces"], found["missed"], found["mean"], found["median"]
    (4, 1, 3.0, 4.0)
    """
    rows = np.asarray(values, np.float64)
    missed = np.isnan(rows)
    low, high = bootstrap_interval(rows)
    mean = rows[~missed].mean() if not missed.all() else np.nan
    with np.errstate(invalid="ignore"):
        median = np.median(np.where(missed, -np.inf if higher_is_better else np.inf, rows)) if len(rows) else np.nan
    numbers = {"mean": mean, "low": low, "high": high, "median": median}
    finite = {name: float(value) if np.isfinite(value) else None for name, value in numbers.items()}
    return {"faces": len(rows), "missed": int(missed.sum())} | finite


def by_yaw_with_intervals(
    values: ArrayLike, yaws: NDArray[np.float64], *, higher_is_better: bool = False
) -> dict[str, dict[str, Any]]:
    """`summary` of all faces and of each bin of yaw in which there are any: {"all", "0-30", "30-60", "60-90"}.

    Args:
        values: (N,), NaN for missed faces. yaws: (N,) degrees, NaN where nobody knows.
        higher_is_better: see `summary`.
    """
    rows = np.asarray(values, np.float64)
    groups = {"all": np.ones(len(rows), bool)} | yaw_bins(yaws)
    return {
        name: summary(rows[inside], higher_is_better=higher_is_better)
        for name, inside in groups.items()
        if inside.any()
    }
