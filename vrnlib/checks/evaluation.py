"""Checks for 06_evaluation: overlap, distance, the best rotation, iterated closest points, an interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from vrnlib.checks import Exercise
from vrnlib.evaluation.registration import kabsch


def solid_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two solids (D, H, W) bool; two empty ones are equal: 1."""
    union = np.count_nonzero(a | b)
    return float(np.count_nonzero(a & b) / union) if union else 1.0


def mean_error(points: np.ndarray, truth: np.ndarray, corners: np.ndarray) -> float:
    """Mean distance of corresponding points (N, 3), in distances of the eye corners (2, 3)."""
    distances = np.linalg.norm(points - truth, axis=1)
    return float(distances.mean() / np.linalg.norm(corners[0] - corners[1]))


def best_motion(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3) and shift (3,) of source (N, 3) onto target (N, 3); never a mirror."""
    middle, aim = source.mean(axis=0), target.mean(axis=0)
    u, _, vt = np.linalg.svd((target - aim).T @ (source - middle))
    guard = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ guard @ vt
    return rotation, aim - rotation @ middle


def closest_points(points: np.ndarray, surface: np.ndarray, iterations: int) -> np.ndarray:
    """The points (N, 3) after so many rounds of ICP onto a surface's points (M, 3)."""
    tree = cKDTree(surface)
    moved = points
    for _ in range(iterations):
        partners = surface[tree.query(moved)[1]]
        moved = kabsch(moved, partners)(moved)
    return moved


def percentile_interval(values: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """The 2.5 and 97.5 per cent points of the means of resampled values; draws (B, N)."""
    return np.quantile(values[draws].mean(axis=1), [0.025, 0.975])


def _solid_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for shape in ((3, 4, 5), (6, 5, 4), (20, 24, 24)):
        a = rng.random(shape) < 0.4
        cases.append((a, a ^ (rng.random(shape) < 0.3)))
    return [*cases, (np.zeros((2, 3, 4), bool), np.zeros((2, 3, 4), bool))]


def _error_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for count in (5, 68, 2000):
        truth = 40 * rng.normal(size=(count, 3))
        cases.append((truth + 3 * rng.normal(size=(count, 3)), truth, truth[:2] + [[20, 0, 3], [-20, 4, 0]]))
    return cases


def _turn(rng: np.random.Generator, angle: float) -> np.ndarray:
    """A rotation by this angle about some axis."""
    axis = rng.normal(size=3)
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _motion_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Turned and shifted points, with noise; in one case their mirror image."""
    cases = []
    for count, mirrored in ((6, False), (40, False), (30, True)):
        source = rng.normal(size=(count, 3)) * [30, 20, 10] + rng.uniform(-50, 50, 3)
        target = source * [1, 1, -1 if mirrored else 1] @ _turn(rng, rng.uniform(0.3, 1.2)).T
        cases.append((source, target + rng.uniform(-20, 20, 3) + 0.3 * rng.normal(size=(count, 3))))
    return cases


def _closest_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """A wavy sheet, and some of its points turned a little away, so that more than one round is needed."""
    return [_sheet(rng, side, rounds) for side, rounds in ((8, 1), (12, 4), (20, 12))]


def _sheet(rng: np.random.Generator, side: int, rounds: int) -> tuple[np.ndarray, np.ndarray, int]:
    while True:
        y, x = np.mgrid[0:side, 0:side] / side * 60.0
        z = 8 * np.sin(x / 11 + rng.uniform(0, 3)) + 0.2 * y
        surface = np.column_stack([x.ravel(), y.ravel(), z.ravel()]) + 0.3 * rng.normal(size=(side**2, 3))
        points = surface[rng.permutation(len(surface))[: len(surface) // 2]] - 30
        points = points @ _turn(rng, 0.25).T + 30 + rng.uniform(-4, 4, 3)
        once, twice = closest_points(points, surface, 1), closest_points(points, surface, 2)
        if np.abs(once - twice).max() > 0.1:
            return points, surface, rounds


def _interval_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.gamma(4, 1.0, n), rng.integers(0, n, (b, n))) for n, b in ((6, 50), (40, 400), (100, 1000))]


def _kabsch(source: np.ndarray, target: np.ndarray, guarded: bool = True) -> tuple[np.ndarray, np.ndarray]:
    middle, aim = source.mean(axis=0), target.mean(axis=0)
    u, _, vt = np.linalg.svd((target - aim).T @ (source - middle))
    rotation = u @ np.diag([1, 1, np.linalg.det(u @ vt) if guarded else 1]) @ vt
    return rotation, aim - rotation @ middle


def _flipped_first(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    middle, aim = source.mean(axis=0), target.mean(axis=0)
    u, _, vt = np.linalg.svd((target - aim).T @ (source - middle))
    rotation = u @ np.diag([np.sign(np.linalg.det(u @ vt)), 1, 1]) @ vt
    return rotation, aim - rotation @ middle


def _uncentred(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    u, _, vt = np.linalg.svd(target.T @ source)
    rotation = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
    return rotation, target.mean(axis=0) - rotation @ source.mean(axis=0)


def _rounds(
    points: np.ndarray, surface: np.ndarray, iterations: int, *, always: bool = False, guarded: bool = True
) -> np.ndarray:
    """ICP with partners found once and for all, or without the guard."""
    tree = cKDTree(surface)
    partners = surface[tree.query(points)[1]]
    moved = points
    for _ in range(iterations):
        partners = partners if always else surface[tree.query(moved)[1]]
        rotation, shift = _kabsch(moved, partners, guarded)
        moved = moved @ rotation.T + shift
    return moved


def _shifts_only(points: np.ndarray, surface: np.ndarray, iterations: int) -> np.ndarray:
    tree, moved = cKDTree(surface), points
    for _ in range(iterations):
        moved = moved + (surface[tree.query(moved)[1]] - moved).mean(axis=0)
    return moved


def _from_the_start(points: np.ndarray, surface: np.ndarray, iterations: int) -> np.ndarray:
    """Each round's motion is applied to the first points."""
    tree, moved = cKDTree(surface), points
    for _ in range(iterations):
        rotation, shift = _kabsch(moved, surface[tree.query(moved)[1]])
        moved = points @ rotation.T + shift
    return moved


def _turned_the_other_way(points: np.ndarray, surface: np.ndarray, iterations: int) -> np.ndarray:
    tree, moved = cKDTree(surface), points
    for _ in range(iterations):
        rotation, shift = _kabsch(moved, surface[tree.query(moved)[1]])
        moved = moved @ rotation + shift
    return moved


def _ratio(top: float, bottom: float) -> float:
    return top / bottom if bottom else 1.0


SOLID_IOU = Exercise(
    name="solid_iou",
    solution=solid_iou,
    cases=_solid_cases,
    mistakes={
        "two empty solids give NaN; they are equal, so 1.": lambda a, b: (
            solid_iou(a, b) if (a | b).any() else float("nan")
        ),
        "two empty solids are equal; their overlap is 1, not 0.": lambda a, b: (a & b).sum() / max((a | b).sum(), 1),
        "that is the Dice coefficient, twice the intersection over the sum of both.": lambda a, b: _ratio(
            2 * (a & b).sum(), a.sum() + b.sum()
        ),
        "that is the share of voxels in which both agree; empty ones must not count.": lambda a, b: (a == b).mean(),
        "the intersection is divided by the first solid alone.": lambda a, b: _ratio((a & b).sum(), a.sum()),
        "the intersection is divided by the second solid alone.": lambda a, b: _ratio((a & b).sum(), b.sum()),
        "the union counts the intersection twice; it is a | b.": lambda a, b: _ratio((a & b).sum(), a.sum() + b.sum()),
        "that is 1 − IoU, a distance.": lambda a, b: 1 - solid_iou(a, b),
        "that is union over intersection.": lambda a, b: _ratio((a | b).sum(), (a & b).sum()),
        "that is the IoU in per cent; return a number in [0, 1].": lambda a, b: 100 * solid_iou(a, b),
        "the intersection is divided by all voxels; divide it by the union.": lambda a, b: (a & b).mean(),
        "the exclusive or was taken for the union; what both fill belongs to it.": lambda a, b: _ratio(
            (a & b).sum(), (a ^ b).sum()
        ),
    },
)
MEAN_ERROR = Exercise(
    name="mean_error",
    solution=mean_error,
    cases=_error_cases,
    mistakes={
        "the error is in pixels; divide it by the distance of the eye corners.": lambda p, t, c: np.linalg.norm(
            p - t, axis=1
        ).mean(),
        "the depth is left out of the distances; they are 3D.": lambda p, t, c: mean_error(
            p * [1, 1, 0], t * [1, 1, 0], c
        ),
        "the depth is left out of the eye corners' distance; it shrinks when the face turns.": lambda p, t, c: (
            mean_error(p, t, c * [1, 1, 0])
        ),
        "the root of the mean square was taken; the mean of the distances is wanted.": lambda p, t, c: (
            np.sqrt(((p - t) ** 2).sum(axis=1).mean()) / np.linalg.norm(c[0] - c[1])
        ),
        "the distances are squared; take their root before the mean.": lambda p, t, c: (
            ((p - t) ** 2).sum(axis=1).mean() / np.linalg.norm(c[0] - c[1])
        ),
        "the coordinates' differences were averaged one by one; each point has one distance.": lambda p, t, c: (
            np.abs(p - t).mean() / np.linalg.norm(c[0] - c[1])
        ),
        "that is the sum over the points; take their mean.": lambda p, t, c: len(p) * mean_error(p, t, c),
        "that is the largest error; take the mean.": lambda p, t, c: (
            np.linalg.norm(p - t, axis=1).max() / np.linalg.norm(c[0] - c[1])
        ),
        "that is the median; take the mean.": lambda p, t, c: (
            np.median(np.linalg.norm(p - t, axis=1)) / np.linalg.norm(c[0] - c[1])
        ),
        "the norm of the whole array was taken; each row has its own.": lambda p, t, c: (
            np.linalg.norm(p - t) / len(p) / np.linalg.norm(c[0] - c[1])
        ),
        "the error is in per cent; return the fraction.": lambda p, t, c: 100 * mean_error(p, t, c),
    },
)
BEST_MOTION = Exercise(
    name="best_motion",
    solution=best_motion,
    cases=_motion_cases,
    tolerance=1e-4,
    mistakes={
        "without the guard of the determinant a mirror image is called a rotation; flip the last column if it is −1.": (
            lambda s, t: _kabsch(s, t, guarded=False)
        ),
        "the guard turns the first direction over; the last one has the smallest singular value and costs least.": (
            _flipped_first
        ),
        "the points were not centred before the covariance.": _uncentred,
        "the rotation goes from target to source; turn the covariance or the result round.": lambda s, t: (
            best_motion(s, t)[0].T,
            t.mean(axis=0) - best_motion(s, t)[0].T @ s.mean(axis=0),
        ),
        "that is the motion from target to source.": lambda s, t: best_motion(t, s),
        "the shift is that of the middles; the source's middle is turned, too.": lambda s, t: (
            best_motion(s, t)[0],
            t.mean(axis=0) - s.mean(axis=0),
        ),
        "the shift has the wrong sign.": lambda s, t: (best_motion(s, t)[0], -best_motion(s, t)[1]),
        "the shift is the target's middle; the turned middle of the source must be taken off.": lambda s, t: (
            best_motion(s, t)[0],
            t.mean(axis=0),
        ),
        "nothing is turned; only the middles are moved.": lambda s, t: (np.eye(3), t.mean(axis=0) - s.mean(axis=0)),
        "the singular values are in the rotation; leave them out.": lambda s, t: (
            (t - t.mean(axis=0)).T @ (s - s.mean(axis=0)),
            best_motion(s, t)[1],
        ),
    },
)
CLOSEST_POINTS = Exercise(
    name="closest_points",
    solution=closest_points,
    cases=_closest_cases,
    may_call=("vrnlib.evaluation.registration", "tddfa.geometry"),
    tolerance=1e-4,
    mistakes={
        "only the first round moves anything; look for the nearest points anew in each of the `iterations`.": (
            lambda p, s, n: _rounds(p, s, n, always=True)
        ),
        "one round is missing.": lambda p, s, n: closest_points(p, s, n - 1),
        "there is one round too many.": lambda p, s, n: closest_points(p, s, n + 1),
        "ten rounds were made, whatever was asked.": lambda p, s, n: closest_points(p, s, 10),
        "nothing is turned; each round takes a rotation and a shift.": _shifts_only,
        "each round's motion was applied to the first points; apply it to the points as they are by then.": (
            _from_the_start
        ),
        "the points are turned the other way; rows of points are turned by `points @ R.T`.": _turned_the_other_way,
        "the partners came back; the moved points are wanted.": lambda p, s, n: s[
            cKDTree(s).query(closest_points(p, s, n))[1]
        ],
        "the points came back unchanged.": lambda p, s, n: p,
    },
)
PERCENTILE_INTERVAL = Exercise(
    name="percentile_interval",
    solution=percentile_interval,
    cases=_interval_cases,
    mistakes={
        "that is an interval of the values; take the quantiles of the resampled means.": lambda v, d: np.quantile(
            v, [0.025, 0.975]
        ),
        "that is an interval of all drawn values; take each draw's mean first.": lambda v, d: np.quantile(
            v[d], [0.025, 0.975]
        ),
        "the means run over the wrong axis; each row of `draws` is one resampled set.": lambda v, d: np.quantile(
            v[d].mean(axis=0), [0.025, 0.975]
        ),
        "that is the 90 per cent interval; leave 2.5 per cent on each side.": lambda v, d: np.quantile(
            v[d].mean(axis=1), [0.05, 0.95]
        ),
        "that is the smallest and the largest mean; leave 2.5 per cent on each side.": lambda v, d: np.quantile(
            v[d].mean(axis=1), [0, 1]
        ),
        "the medians were resampled; the mean is wanted.": lambda v, d: np.quantile(
            np.median(v[d], axis=1), [0.025, 0.975]
        ),
        "the upper end comes first.": lambda v, d: percentile_interval(v, d)[::-1],
        "the interval is drawn around 0; it belongs around the mean.": lambda v, d: (
            percentile_interval(v, d) - v.mean()
        ),
        "that is mean ± 1.96 deviations of the values; the mean's own deviation is √N times smaller.": lambda v, d: (
            v.mean() + np.array([-1.96, 1.96]) * v.std()
        ),
        "mean ± 1.96 standard errors is another interval, symmetric; take the resampled means' quantiles.": (
            lambda v, d: v.mean() + np.array([-1.96, 1.96]) * v.std() / np.sqrt(len(v))
        ),
        "mean ± 1.96 deviations of the resampled means is another interval; take their quantiles.": lambda v, d: (
            v.mean() + np.array([-1.96, 1.96]) * v[d].mean(axis=1).std()
        ),
        "np.quantile counts from 0 to 1, np.percentile from 0 to 100.": lambda v, d: np.percentile(
            v[d].mean(axis=1), [0.025, 0.975]
        ),
    },
)


def check_solid_iou(function: Callable[..., Any], seed: int | None = None) -> None:
    """(a (D, H, W) bool, b) → number."""
    SOLID_IOU.judge(function, seed)


def check_mean_error(function: Callable[..., Any], seed: int | None = None) -> None:
    """(points (N, 3), truth (N, 3), corners (2, 3)) → number."""
    MEAN_ERROR.judge(function, seed)


def check_best_motion(function: Callable[..., Any], seed: int | None = None) -> None:
    """(source (N, 3), target (N, 3)) → rotation (3, 3), shift (3,)."""
    BEST_MOTION.judge(function, seed)


def check_closest_points(function: Callable[..., Any], seed: int | None = None) -> None:
    """(points (N, 3), surface (M, 3), iterations) → points (N, 3)."""
    CLOSEST_POINTS.judge(function, seed)


def check_percentile_interval(function: Callable[..., Any], seed: int | None = None) -> None:
    """(values (N,), draws (B, N)) → (low, high)."""
    PERCENTILE_INTERVAL.judge(function, seed)
