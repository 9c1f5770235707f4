"""Checks for 01_fan_cropping: a heat map's target, its decoding by a quarter cell, and non-maximum suppression."""

from __future__ import annotations

from typing import Any

import numpy as np

from vrnlib.checks import Exercise
from vrnlib.checks.answers import Function


def gaussian_target(x: float, y: float, side: int, sigma: float) -> np.ndarray:
    """(side, side) weights around (x, y), in cells, that sum to 1."""
    columns, rows = np.arange(side) - x, np.arange(side)[:, None] - y
    weights = np.exp(-(columns**2 + rows**2) / (2 * sigma**2))
    return weights / weights.sum()


def quarter_shift(heatmap: np.ndarray) -> np.ndarray:
    """(rows, columns) → (x, y) of the largest cell, moved by a quarter to the larger neighbor."""
    y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
    if not (0 < x < heatmap.shape[1] - 1 and 0 < y < heatmap.shape[0] - 1):
        return np.array([x, y], float)
    slope_x = heatmap[y, x + 1] - heatmap[y, x - 1]
    slope_y = heatmap[y + 1, x] - heatmap[y - 1, x]
    return np.array([x + 0.25 * np.sign(slope_x), y + 0.25 * np.sign(slope_y)])


def suppress(boxes: np.ndarray, threshold: float) -> list[int]:
    """Rows of the boxes (N, 5: x0, y0, x1, y1, score) that stay, best first."""
    x0, y0, x1, y1, scores = boxes.T
    area = (x1 - x0 + 1) * (y1 - y0 + 1)
    order, kept = scores.argsort()[::-1], []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        width = np.minimum(x1[best], x1[rest]) - np.maximum(x0[best], x0[rest]) + 1
        height = np.minimum(y1[best], y1[rest]) - np.maximum(y0[best], y0[rest]) + 1
        shared = width.clip(min=0) * height.clip(min=0)
        overlap = shared / (area[best] + area[rest] - shared)
        order = rest[overlap < threshold]
    return kept


def _target_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Places between cells; one of them near the edge."""
    cases = []
    for side in (8, 11, 32):
        x, y = map(float, rng.uniform(0.3, 0.7, 2) * side)
        cases.append((x, y, side, float(rng.uniform(0.8, 1.7))))
    return [*cases, (0.4, 7.3, 9, 1.2)]


def _map_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Maps with the largest cell inside, its larger neighbors on drawn sides, never all the same; then at an edge."""
    cases = []
    sides = rng.permutation([(-1, 1), (1, -1), (-1, -1)])
    for shape, (across, down) in zip(((7, 9), (9, 6), (32, 32)), sides, strict=True):
        y, x = (int(rng.integers(1, size - 1)) for size in shape)
        cases.append((_peak(rng, shape, y, x, [(y, x + across), (y + down, x)]),))
    for shape, edge in (((8, 8), 0), ((6, 9), 1)):
        place = [int(rng.integers(1, size - 1)) for size in shape]
        place[edge] = int(rng.choice([0, shape[edge] - 1]))
        cases.append((_peak(rng, shape, place[0], place[1], []),))
    return cases


def _peak(
    rng: np.random.Generator, shape: tuple[int, int], y: int, x: int, larger: list[tuple[int, int]]
) -> np.ndarray:
    """Noise with its largest cell at (y, x), and cells that are larger than all others but this one; its sum is 1."""
    heatmap = rng.random(shape)
    for place in larger:
        heatmap[place] = 1.5
    heatmap[y, x] = 2.0
    return np.asarray(heatmap / heatmap.sum())


def _box_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Crowds of boxes on whole pixels, small ones among them; a chain; an overlap of exactly the threshold."""
    cases: list[tuple[Any, ...]] = []
    for count, faces in ((12, 3), (40, 5), (300, 12)):
        corner = rng.integers(0, 60 * faces, (faces, 2))[rng.integers(0, faces, count)]
        side = rng.integers(5, 30, faces)[rng.integers(0, faces, count)]
        low = corner + rng.integers(-3, 4, (count, 2))
        high = low + side[:, None] + rng.integers(-3, 4, (count, 2))
        scores = (rng.permutation(count) + 1) / (count + 1)
        cases.append((np.column_stack([low, high, scores]).astype(float), float(rng.choice([0.3, 0.4]))))
    left, top = rng.integers(0, 30, 2)
    chain = np.array([[0, 0, 19, 9, 0.9], [8, 0, 27, 9, 0.8], [16, 0, 35, 9, 0.7]]) + [left, top, left, top, 0]
    half = np.array([[0, 0, 9, 9, 0.6], [0, 0, 9, 4, 0.7], [50, 50, 52, 52, 0.9], [53, 50, 55, 52, 0.8]])
    return [*cases, (chain[rng.permutation(3)], 0.3), (half[rng.permutation(4)], 0.5)]


def _weights(x: float, y: float, side: int, exponent: Function) -> np.ndarray:
    columns, rows = np.arange(side) - x, np.arange(side)[:, None] - y
    weights = np.exp(exponent(columns, rows))
    return weights / weights.sum()


def _moved(heatmap: np.ndarray, shift: Function, *, guard: str = "both") -> np.ndarray:
    """The largest cell, moved by a function of its slopes; at an edge: not at all ("both"), along it, or wrapped."""
    y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
    inside = [0 < x < heatmap.shape[1] - 1, 0 < y < heatmap.shape[0] - 1]
    rows, columns = heatmap.shape
    slopes = [heatmap[y, (x + 1) % columns] - heatmap[y, x - 1], heatmap[(y + 1) % rows, x] - heatmap[y - 1, x]]
    if guard == "both":
        inside = [all(inside)] * 2
    elif guard == "none":
        inside = [True, True]
    return np.array([x, y]) + [shift(s) if ok else 0.0 for s, ok in zip(slopes, inside, strict=True)]


def _mean_place(heatmap: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(heatmap.shape)
    return np.array([(columns * heatmap).sum(), (rows * heatmap).sum()])


def _suppressed(
    boxes: np.ndarray,
    threshold: float,
    *,
    one: float = 1,
    area_one: float | None = None,
    by: str = "union",
    strict: bool = False,
    clip: bool = True,
    dropped_too: bool = False,
    first: Function | None = None,
) -> list[int]:
    """Suppression with one thing done otherwise."""
    x0, y0, x1, y1, scores = boxes.T
    extra = one if area_one is None else area_one
    area = (x1 - x0 + extra) * (y1 - y0 + extra)
    order = scores.argsort()[::-1] if first is None else first(boxes)
    kept: list[int] = []
    gone = np.zeros(len(boxes), bool)
    for place, best in enumerate(order):
        if not gone[best]:
            kept.append(int(best))
        elif not dropped_too:
            continue
        rest = order[place + 1 :]
        width = np.minimum(x1[best], x1[rest]) - np.maximum(x0[best], x0[rest]) + one
        height = np.minimum(y1[best], y1[rest]) - np.maximum(y0[best], y0[rest]) + one
        shared = width.clip(min=0) * height.clip(min=0) if clip else width * height
        whole = {
            "union": area[best] + area[rest] - shared,
            "smaller": np.minimum(area[best], area[rest]),
            "best": area[best],
            "other": area[rest],
            "sum": area[best] + area[rest],
        }[by]
        with np.errstate(all="ignore"):
            overlap = shared / whole
        gone[rest[overlap > threshold if strict else overlap >= threshold]] = True
    return kept


def _with(**change: Any) -> Function:
    def mistaken(boxes: np.ndarray, threshold: float) -> list[int]:
        return _suppressed(boxes, threshold, **change)

    return mistaken


def _pairs_only(boxes: np.ndarray, threshold: float) -> list[int]:
    """Each box is compared with the best one of all only."""
    x0, y0, x1, y1, scores = boxes.T
    order = scores.argsort()[::-1]
    return [int(row) for row in order if row == order[0] or len(suppress(boxes[[order[0], row]], threshold)) == 2]


TARGET = Exercise(
    name="gaussian_target",
    solution=gaussian_target,
    cases=_target_cases,
    mistakes={
        "x and y are swapped; columns run along x, rows along y.": lambda x, y, n, s: gaussian_target(y, x, n, s),
        "the weights do not sum to 1; divide them by their sum.": lambda x, y, n, s: np.exp(
            -((np.arange(n) - x) ** 2 + (np.arange(n)[:, None] - y) ** 2) / (2 * s**2)
        ),
        "the weights were divided by 2 π sigma², the sum over a plane; these cells have another sum.": (
            lambda x, y, n, s: (
                np.exp(-((np.arange(n) - x) ** 2 + (np.arange(n)[:, None] - y) ** 2) / (2 * s**2)) / (2 * np.pi * s**2)
            )
        ),
        "the weights were divided by their largest; divide them by their sum.": lambda x, y, n, s: (
            gaussian_target(x, y, n, s) / gaussian_target(x, y, n, s).max()
        ),
        "the 2 is missing in 2 sigma².": lambda x, y, n, s: _weights(x, y, n, lambda c, r: -(c**2 + r**2) / s**2),
        "sigma is not squared.": lambda x, y, n, s: _weights(x, y, n, lambda c, r: -(c**2 + r**2) / (2 * s)),
        "sigma is not used.": lambda x, y, n, s: _weights(x, y, n, lambda c, r: -(c**2 + r**2) / 2),
        "sigma is multiplied; divide by 2 sigma².": lambda x, y, n, s: _weights(
            x, y, n, lambda c, r: -(c**2 + r**2) * s**2 / 2
        ),
        "the distance is not squared.": lambda x, y, n, s: _weights(x, y, n, lambda c, r: -np.hypot(c, r) / (2 * s**2)),
        "|dx| + |dy| was taken; the distance's square is dx² + dy².": lambda x, y, n, s: _weights(
            x, y, n, lambda c, r: -(abs(c) + abs(r)) / (2 * s**2)
        ),
        "the minus is missing in the exponent; the target is darkest at its place.": lambda x, y, n, s: _weights(
            x, y, n, lambda c, r: (c**2 + r**2) / (2 * s**2)
        ),
        "the place was rounded to a whole cell; the fractions are what the network shall learn.": lambda x, y, n, s: (
            gaussian_target(round(x), round(y), n, s)
        ),
        "the place was cut to a whole cell; the fractions are what the network shall learn.": lambda x, y, n, s: (
            gaussian_target(int(x), int(y), n, s)
        ),
        "cells' centres are at whole numbers here, not at + 0.5.": lambda x, y, n, s: gaussian_target(
            x - 0.5, y - 0.5, n, s
        ),
        "each row was divided by its own sum; divide by the sum of all.": lambda x, y, n, s: (
            gaussian_target(x, y, n, s) / gaussian_target(x, y, n, s).sum(axis=1, keepdims=True)
        ),
        "only the columns count; y belongs into the distance too.": lambda x, y, n, s: _weights(
            x, y, n, lambda c, r: -(c**2 + 0 * r) / (2 * s**2)
        ),
        "only one cell holds anything; a target is a Gaussian around the place.": lambda x, y, n, s: (
            (np.arange(n) == round(x)) & (np.arange(n)[:, None] == round(y))
        ).astype(float),
    },
)
QUARTER = Exercise(
    name="quarter_shift",
    solution=quarter_shift,
    cases=_map_cases,
    mistakes={
        "x and y are swapped; unravel_index gives the row, y, first.": lambda h: quarter_shift(h)[::-1],
        "that is the largest cell itself; move it by a quarter.": lambda h: _moved(h, lambda s: 0.0),
        "the place was moved away from the larger neighbor; turn the sign.": lambda h: _moved(
            h, lambda s: -0.25 * np.sign(s)
        ),
        "the place was moved by half a cell; take a quarter.": lambda h: _moved(h, lambda s: 0.5 * np.sign(s)),
        "the place was moved by a whole cell; take a quarter.": lambda h: _moved(h, np.sign),
        "a quarter of the difference was taken; only its sign counts.": lambda h: _moved(h, lambda s: 0.25 * s),
        "it was always moved to larger x and y; look where the larger neighbor is.": lambda h: _moved(
            h, lambda s: 0.25
        ),
        "at an edge the other axis was still moved; FAN leaves such a place where it is.": lambda h: _moved(
            h, lambda s: 0.25 * np.sign(s), guard="along"
        ),
        "at an edge there is no neighbor (index −1 is the other side); leave such a place where it is.": lambda h: (
            _moved(h, lambda s: 0.25 * np.sign(s), guard="none")
        ),
        "that is the mean over all cells; start from the largest cell.": _mean_place,
        "0.5 was added; cells' centres are at whole numbers here.": lambda h: quarter_shift(h) + 0.5,
        "0.5 was subtracted, as the official code does for its numbers from 1.": lambda h: quarter_shift(h) - 0.5,
        "the numbers count from 1; cells count from 0.": lambda h: quarter_shift(h) + 1,
        "only x was moved.": lambda h: np.array([quarter_shift(h)[0], _moved(h, lambda s: 0.0)[1]]),
        "only y was moved.": lambda h: np.array([_moved(h, lambda s: 0.0)[0], quarter_shift(h)[1]]),
        "the place is in pixels already, 4 x + 1.5; cells were asked for.": lambda h: 4 * quarter_shift(h) + 1.5,
    },
)
SUPPRESS = Exercise(
    name="suppress",
    solution=suppress,
    cases=_box_cases,
    mistakes={
        "the + 1 is missing; a box covers its last pixel too, so it is x1 − x0 + 1 wide.": _with(one=0),
        "the + 1 is missing in the areas, though not in the overlap.": _with(area_one=0),
        "the + 1 is missing in the overlap, though not in the areas.": _with(one=0, area_one=1),
        "dropped boxes drop others; only a box that stays may do so.": _with(dropped_too=True),
        "an overlap of exactly the threshold must drop the box; keep those below it.": _with(strict=True),
        "the overlap is divided by the smaller area; divide by the union.": _with(by="smaller"),
        "the overlap is divided by the better box's area; divide by the union.": _with(by="best"),
        "the overlap is divided by the other box's area; divide by the union.": _with(by="other"),
        "the union counts the overlap twice; it is a + b − both.": _with(by="sum"),
        "a negative width times a negative height is positive; cut both at 0 first.": _with(clip=False),
        "the worst boxes were taken first; argsort is ascending.": _with(first=lambda b: b[:, 4].argsort()),
        "the boxes were taken in their rows' order; begin with the best score.": _with(
            first=lambda b: np.arange(len(b))
        ),
        "the largest boxes were taken first; begin with the best score.": _with(
            first=lambda b: np.argsort(-(b[:, 2] - b[:, 0] + 1) * (b[:, 3] - b[:, 1] + 1))
        ),
        "all boxes came back, best first; drop those that overlap a better one.": lambda b, t: np.argsort(-b[:, 4]),
        "the dropped rows came back; return those that stay.": lambda b, t: [
            int(row) for row in np.argsort(-b[:, 4]) if row not in suppress(b, t)
        ],
        "the right rows, but in their own order; best first.": lambda b, t: sorted(suppress(b, t)),
        "the right rows, but worst first.": lambda b, t: suppress(b, t)[::-1],
        "the boxes themselves came back; return their rows.": lambda b, t: b[suppress(b, t)],
        "a mask came back; return the rows, best first.": lambda b, t: np.isin(np.arange(len(b)), suppress(b, t)),
        "the best box alone came back; go on until none is left.": lambda b, t: [int(b[:, 4].argmax())],
        "all boxes were compared with the best one only; go on with the next that stays.": _pairs_only,
        "places in the sorted list came back; return rows of `boxes`.": lambda b, t: suppress(
            b[b[:, 4].argsort()[::-1]], t
        ),
    },
)


def check_gaussian_target(function: Function, seed: int | None = None) -> None:
    """(x, y, side, sigma) → (side, side) weights."""
    TARGET.judge(function, seed)


def check_quarter_shift(function: Function, seed: int | None = None) -> None:
    """(heat map (rows, columns)) → (x, y)."""
    QUARTER.judge(function, seed)


def check_suppress(function: Function, seed: int | None = None) -> None:
    """(boxes (N, 5), threshold) → rows."""
    SUPPRESS.judge(function, seed)
