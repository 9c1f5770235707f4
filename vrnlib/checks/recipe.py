"""Checks for 04_training: mirrored landmarks keep their order, and the paper's learning rate."""

from __future__ import annotations

from typing import Any

import numpy as np

from vrnlib.checks import Exercise
from vrnlib.checks.answers import Function


def mirror_landmarks(points: np.ndarray, order: np.ndarray, width: int) -> np.ndarray:
    """(N, 2) points in the mirror image of a picture so many pixels wide, in the same order of meanings."""
    mirrored = points[order]
    return np.column_stack([width - 1 - mirrored[:, 0], mirrored[:, 1]])


def paper_rate(step: int, steps_per_epoch: int) -> float:
    """The paper's learning rate at a step, counted from 0."""
    return 1e-4 if step < 40 * steps_per_epoch else 1e-5


def _mirror_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Points of pictures of several widths, in an order whose pairs change places and whose others stay."""
    cases = []
    for count, pairs, width in ((5, 2, 40), (9, 3, 101), (68, 30, 192)):
        order, chosen = np.arange(count), rng.permutation(count)[: 2 * pairs]
        order[chosen] = chosen.reshape(-1, 2)[:, ::-1].ravel()
        cases.append((rng.uniform(0, width - 1, (count, 2)), order, width))
    return cases


def _rate_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Before the drop, the last step before it, the first one after it, and long after."""
    cases = [(0, 3), (41, 1000), (39_999, 1000)]
    for count in map(int, rng.integers(20, 4000, 5)):
        epochs = (rng.uniform(1, 30), rng.uniform(39.1, 39.9), rng.uniform(40.1, 40.9), rng.uniform(90, 200))
        steps = [40 * count - 1, 40 * count, *(int(epoch * count) for epoch in epochs)]
        cases += [(step, count) for step in steps]
    return cases


def _x_only(points: np.ndarray, order: np.ndarray, width: int) -> np.ndarray:
    return np.column_stack([width - 1 - points[order, 0], points[:, 1]])


MIRROR = Exercise(
    name="mirror_landmarks",
    solution=mirror_landmarks,
    cases=_mirror_cases,
    mistakes={
        "the order is forgotten; the left eye's numbers now stand on the right eye.": lambda p, o, w: np.column_stack(
            [w - 1 - p[:, 0], p[:, 1]]
        ),
        "width − x is one pixel too far; pixels are 0 … width − 1, so x goes to width − 1 − x.": lambda p, o, w: (
            np.column_stack([w - p[o, 0], p[o, 1]])
        ),
        "x was only turned over, −x; it must stay inside of the picture, width − 1 − x.": lambda p, o, w: (
            np.column_stack([-p[o, 0], p[o, 1]])
        ),
        "the points are reordered, but x is not mirrored.": lambda p, o, w: p[o],
        "y was mirrored; left and right are x.": lambda p, o, w: np.column_stack([p[o, 0], w - 1 - p[o, 1]]),
        "y was mirrored too; left and right are x alone.": lambda p, o, w: w - 1 - p[o],
        "only the x column was reordered; a point's x and y belong together.": _x_only,
        "only the y column was reordered; a point's x and y belong together.": lambda p, o, w: np.column_stack(
            [w - 1 - p[:, 0], p[o, 1]]
        ),
        "x and y are swapped.": lambda p, o, w: mirror_landmarks(p, o, w)[:, ::-1],
        "all rows were reversed; take the given order, points[order].": lambda p, o, w: np.column_stack(
            [w - 1 - p[::-1, 0], p[::-1, 1]]
        ),
        "the mirror is about the points' own middle; it is about the picture's.": lambda p, o, w: np.column_stack(
            [p[:, 0].max() + p[:, 0].min() - p[o, 0], p[o, 1]]
        ),
        "the picture is taken for 192 pixels wide; use the argument.": lambda p, o, w: mirror_landmarks(p, o, 192),
        "the mirror is about (width + 1) / 2; pixels count from 0, so x goes to width − 1 − x.": lambda p, o, w: (
            np.column_stack([w + 1 - p[o, 0], p[o, 1]])
        ),
    },
)
PAPER_RATE = Exercise(
    name="paper_rate",
    solution=paper_rate,
    cases=_rate_cases,
    mistakes={
        "40 was taken for steps; it counts epochs, 40 · steps_per_epoch steps.": lambda s, n: 1e-4 if s < 40 else 1e-5,
        "the first step after 40 epochs still has the high rate; compare with <.": lambda s, n: (
            1e-4 if s <= 40 * n else 1e-5
        ),
        "the drop comes one step early; steps count from 0.": lambda s, n: 1e-4 if s < 40 * n - 1 else 1e-5,
        "the drop comes an epoch early.": lambda s, n: 1e-4 if s < 39 * n else 1e-5,
        "the drop comes an epoch late; epochs count from 0.": lambda s, n: 1e-4 if s < 41 * n else 1e-5,
        "the rate drops again every 40 epochs; the paper drops it once.": lambda s, n: 1e-4 / 10 ** (s // (40 * n)),
        "both rates changed places.": lambda s, n: 1e-5 if s < 40 * n else 1e-4,
        "the rate never drops; after 40 epochs it is 1e-5.": lambda s, n: 1e-4,
        "the drop is to a hundredth; 1e-5 is a tenth.": lambda s, n: 1e-4 if s < 40 * n else 1e-6,
        "the rates are ten times too large, 1e-3 and 1e-4.": lambda s, n: 1e-3 if s < 40 * n else 1e-4,
        "the rates are ten times too small.": lambda s, n: 1e-5 if s < 40 * n else 1e-6,
        "that is the epoch, not the rate.": lambda s, n: s // n,
        "that is a smooth fall; the paper's rate is constant, then a tenth.": lambda s, n: 1e-4 * 0.1 ** (s / (40 * n)),
    },
)


def check_mirror_landmarks(function: Function, seed: int | None = None) -> None:
    """(points (N, 2), order (N,), width) → points (N, 2)."""
    MIRROR.judge(function, seed)


def check_paper_rate(function: Function, seed: int | None = None) -> None:
    """(step, steps per epoch) → rate."""
    PAPER_RATE.judge(function, seed)
