"""Checks for 02_3ddfa_targets: the network's 62 numbers, and one triangle drawn into a depth buffer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vrnlib.checks import Exercise


def denormalize(output: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """The network's answer (62,) → the 62 parameters."""
    return output * std + mean


def draw_triangle(depth: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """A depth buffer (H, W) and three corners (x, y, z) → the buffer with the triangle where it is nearer."""
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = corners
    y, x = np.mgrid[0 : depth.shape[0], 0 : depth.shape[1]]
    area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
    a = ((bx - x) * (cy - y) - (cx - x) * (by - y)) / area
    b = ((cx - x) * (ay - y) - (ax - x) * (cy - y)) / area
    c = 1 - a - b
    z = a * az + b * bz + c * cz
    nearer = (a >= 0) & (b >= 0) & (c >= 0) & (z > depth)
    return np.where(nearer, z, depth)


def _scaling_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.normal(size=n), 3 * rng.normal(size=n), rng.uniform(0.2, 4, n)) for n in (7, 62)]


def _triangle_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Both orders of the corners, one triangle that leaves the buffer, before, through and behind what is there."""
    cases = []
    for height, width, turned in ((9, 12, False), (14, 11, True), (64, 80, bool(rng.integers(2)))):
        y, x = np.mgrid[0:height, 0:width]
        depth = 4 * np.sin(x / 3 + rng.uniform(0, 6)) * np.cos(y / 4) + rng.uniform(-1, 1, (height, width))
        spread = np.array([[0.1, 0.1], [0.95, 0.2], [0.45, 1.2 if turned else 0.9]]) + rng.uniform(-0.05, 0.05, (3, 2))
        corners = np.column_stack([spread * [width, height], rng.permutation([-6.0, 1.0, 7.0]) + rng.uniform(-1, 1, 3)])
        cases.append((depth, corners[::-1] if turned else corners))
    return cases


def _weights(depth: np.ndarray, corners: np.ndarray, shift: float = 0.0) -> np.ndarray:
    """(3, H, W): the barycentric coordinates of all pixels."""
    y, x = np.mgrid[0 : depth.shape[0], 0 : depth.shape[1]] + shift
    system = np.vstack([corners[:, :2].T, np.ones(3)])
    return np.einsum("ij,jhw->ihw", np.linalg.inv(system), np.stack([x, y, np.ones_like(x)]))


def _drawn(
    depth: np.ndarray,
    corners: np.ndarray,
    *,
    rule: Callable[..., Any] | None = None,
    inside: Callable[..., Any] | None = None,
    z: Callable[..., Any] | None = None,
    shift: float = 0.0,
) -> np.ndarray:
    """The triangle with another rule for what is nearer, inside, or how deep."""
    weights = _weights(depth, corners, shift)
    height = np.tensordot(corners[:, 2], weights, axes=1) if z is None else z(corners, weights)
    where = (weights >= -1e-9).all(axis=0) if inside is None else inside(corners, weights)
    nearer = height > depth if rule is None else rule(height, depth)
    return np.where(where & nearer, height, depth)


def _area(corners: np.ndarray) -> float:
    return float(np.linalg.det(np.column_stack([corners[:, :2], np.ones(3)])))


def _box(corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[0 : weights.shape[1], 0 : weights.shape[2]]
    low, high = corners.min(axis=0), corners.max(axis=0)
    return (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])


DENORMALIZE = Exercise(
    name="denormalize",
    solution=denormalize,
    cases=_scaling_cases,
    mistakes={
        "that is the way in, (output − mean) / std; the network was trained on such numbers, go back from them.": (
            lambda o, m, s: (o - m) / s
        ),
        "the mean is missing; add it.": lambda o, m, s: o * s,
        "the deviation is missing; multiply by it first.": lambda o, m, s: o + m,
        "the mean was scaled too; multiply first, then add.": lambda o, m, s: (o + m) * s,
        "mean and deviation changed their places.": lambda o, m, s: o * m + s,
        "the mean was subtracted; add it.": lambda o, m, s: o * s - m,
        "the answer was divided by the deviation; multiply.": lambda o, m, s: o / s + m,
        "the deviation was taken squared, as a variance.": lambda o, m, s: o * s**2 + m,
        "the root of the deviation was taken; it is a deviation already, no variance.": lambda o, m, s: (
            o * np.sqrt(s) + m
        ),
        "the network's own mean and deviation were used; take the given ones.": lambda o, m, s: (
            (o - o.mean()) / o.std() * s + m
        ),
    },
)
DRAW_TRIANGLE = Exercise(
    name="draw_triangle",
    solution=draw_triangle,
    cases=_triangle_cases,
    mistakes={
        "the triangle is drawn over what is nearer; write only where its z is larger than the buffer's.": (
            lambda d, c: _drawn(d, c, rule=lambda z, there: True)
        ),
        "the smaller z wins; z grows towards the camera, so the larger one is nearer.": lambda d, c: _drawn(
            d, c, rule=lambda z, there: z < there
        ),
        "all of the bounding box is drawn; a pixel is inside where all three weights are ≥ 0.": lambda d, c: _drawn(
            d, c, inside=_box
        ),
        "the whole picture is drawn; a pixel is inside where all three weights are ≥ 0.": lambda d, c: _drawn(
            d, c, inside=lambda c, w: True
        ),
        "one depth is used for the whole triangle, the mean of the corners; weigh them for each pixel.": (
            lambda d, c: _drawn(d, c, z=lambda c, w: c[:, 2].mean())
        ),
        "one depth is used for the whole triangle, the nearest corner's; weigh them for each pixel.": (
            lambda d, c: _drawn(d, c, z=lambda c, w: c[:, 2].max())
        ),
        "one depth is used for the whole triangle, the first corner's; weigh all three for each pixel.": (
            lambda d, c: _drawn(d, c, z=lambda c, w: c[0, 2])
        ),
        "a triangle whose corners run the other way is not drawn; divide by the signed area, then both orders work.": (
            lambda d, c: _drawn(d, c) if _area(c) > 0 else d
        ),
        "a triangle whose corners run this way is not drawn; divide by the signed area, then both orders work.": (
            lambda d, c: _drawn(d, c) if _area(c) < 0 else d
        ),
        "x and y are swapped; the buffer is indexed [y, x].": lambda d, c: _drawn(d, c[:, [1, 0, 2]]),
        "pixels are asked at their corners, half a pixel off; their centres lie at whole numbers.": lambda d, c: _drawn(
            d, c, shift=0.5
        ),
        "the weights belong to other corners; weight a is the area opposite to corner a.": lambda d, c: _drawn(
            d, c, z=lambda c, w: np.tensordot(c[[1, 2, 0], 2], w, axes=1)
        ),
        "the weights belong to other corners, in the other direction.": lambda d, c: _drawn(
            d, c, z=lambda c, w: np.tensordot(c[[2, 0, 1], 2], w, axes=1)
        ),
        "two of the weights changed their places.": lambda d, c: _drawn(
            d, c, z=lambda c, w: np.tensordot(c[[1, 0, 2], 2], w, axes=1)
        ),
        "the corners were rounded to whole pixels; they lie between them.": lambda d, c: _drawn(
            d, np.column_stack([np.round(c[:, :2]), c[:, 2]])
        ),
        "the corners were cut to whole pixels; they lie between them.": lambda d, c: _drawn(
            d, np.column_stack([np.trunc(c[:, :2]), c[:, 2]])
        ),
        "the buffer came back unchanged.": lambda d, c: d,
        "the inside is left out and the outside drawn.": lambda d, c: _drawn(
            d, c, inside=lambda c, w: (w < 0).any(axis=0)
        ),
        "the triangle alone came back, without what was in the buffer.": lambda d, c: np.where(
            (_weights(d, c) >= 0).all(axis=0), np.tensordot(c[:, 2], _weights(d, c), axes=1), -np.inf
        ),
        "where the triangle is not seen stands a zero; keep the buffer's depth there.": lambda d, c: np.where(
            _drawn(d, c) > d, _drawn(d, c), 0.0
        ),
        "that is a mask of where the triangle is seen; return the depths.": lambda d, c: _drawn(d, c) > d,
    },
)


def check_denormalize(function: Callable[..., Any], seed: int | None = None) -> None:
    """(output (62,), mean (62,), std (62,)) → parameters (62,)."""
    DENORMALIZE.judge(function, seed)


def check_draw_triangle(function: Callable[..., Any], seed: int | None = None) -> None:
    """(depth (H, W), corners (3, 3) as rows of x, y, z) → depth (H, W)."""
    DRAW_TRIANGLE.judge(function, seed)
