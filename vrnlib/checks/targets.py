"""Checks for 02_3ddfa_targets: pose, the step into the image, and a voxeliser of columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from vrnlib.checks import Exercise
from vrnlib.checks.answers import Function


def compose_pose(scale: float, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """The first 12 of the 62 parameters: the 3×4 matrix (scale · R | t), row by row."""
    matrix = np.column_stack([scale * rotation, translation])
    return matrix.reshape(-1)


def to_image_axes(vertices: np.ndarray, scale: float, middle: np.ndarray) -> np.ndarray:
    """(N, 3) model millimetres, y up → crop pixels, y down, z still towards the camera."""
    x = middle[0] + scale * vertices[:, 0]
    y = middle[1] - scale * vertices[:, 1]
    z = scale * vertices[:, 2]
    return np.column_stack([x, y, z])


def fill_columns(back: np.ndarray, front: np.ndarray, offset: float, depth: int) -> np.ndarray:
    """Two depth maps (H, W) in pixels → (depth, H, W) bool, solid from back to front (NaN: no surface)."""
    slices = np.arange(depth)[:, None, None]
    return (slices >= 2 * back + offset) & (slices <= 2 * front + offset)


def _shell(back: np.ndarray, front: np.ndarray, offset: float, depth: int) -> np.ndarray:
    slices = np.arange(depth)[:, None, None]
    near = np.round(2 * front + offset) == slices
    return near | (np.round(2 * back + offset) == slices)


def _pose_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for _ in range(3):
        rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        rotation *= np.sign(np.linalg.det(rotation))  # +1: a turn, no mirror
        cases.append((float(rng.uniform(0.5, 2)), rotation, rng.uniform(-20, 90, 3)))
    return cases


def _vertex_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (rng.normal(size=(count, 3)) * 50, rng.uniform(0.5, 2), rng.uniform(60, 130, 2))
        for count in (rng.integers(4, 9), 13012)
    ]


def _map_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    small = _maps(rng, int(rng.integers(7, 10)), int(rng.integers(11, 14)), 4.0)
    back, front, offset, depth = _maps(rng, 96, 80, 38.0)
    return [small, (back, front, offset + 0.5, depth)]


def _maps(rng: np.random.Generator, height: int, width: int, radius: float) -> tuple[Any, ...]:
    """An egg between two depth maps; no end of it lies near a slice or between two, where rounding would decide."""
    y, x = np.mgrid[0:height, 0:width]
    inside = radius**2 - (x - width / 2 + rng.uniform(0, 1)) ** 2 - (y - height / 2 + rng.uniform(0, 1)) ** 2
    half = np.sqrt(np.where(inside > 0, inside, np.nan)) + 0.6
    back, front = (np.round(side) + _eighths(rng, side.shape) for side in (-0.9 * half, 1.2 * half))
    return back, front, 2 * radius + 4, int(5 * radius) + 8


def _eighths(rng: np.random.Generator, shape: tuple[Any, ...]) -> np.ndarray:
    """Fractions of a pixel around −1/8, 1/8 and 3/8, in slices −1/4, 1/4 and 3/4."""
    return rng.uniform(-0.11, 0.11, shape) + rng.choice([-0.125, 0.125, 0.375], shape)


COMPOSE_POSE = Exercise(
    name="compose_pose",
    solution=compose_pose,
    cases=_pose_cases,
    mistakes={
        "the matrix was read column by column; the 12 numbers are row-major.": lambda s, r, t: np.column_stack(
            [s * r, t]
        ).reshape(-1, order="F"),
        "the translation was scaled too; only the rotation is.": lambda s, r, t: (s * np.column_stack([r, t])).reshape(
            -1
        ),
        "the rotation is transposed, which turns the head the other way.": lambda s, r, t: np.column_stack(
            [s * r.T, t]
        ).reshape(-1),
        "the scale is missing.": lambda s, r, t: np.column_stack([r, t]).reshape(-1),
        (
            "the translation stands behind the nine rotation numbers; it is the fourth column, so each row "
            "ends with it."
        ): lambda s, r, t: np.concatenate([(s * r).reshape(-1), t]),
        "the matrix is right, but it is still 3×4; make one row of 12 numbers of it.": lambda s, r, t: np.column_stack(
            [s * r, t]
        ),
        "the translation is the first column; it is the fourth.": lambda s, r, t: np.column_stack([t, s * r]).reshape(
            -1
        ),
        "the rotation was divided by the scale; multiply it.": lambda s, r, t: np.column_stack([r / s, t]).reshape(-1),
        "the translation's sign is turned.": lambda s, r, t: np.column_stack([s * r, -t]).reshape(-1),
        (
            "scale, rotation and translation stand one behind the other, 13 numbers; the scale is multiplied into R."
        ): lambda s, r, t: np.concatenate([[s], r.reshape(-1), t]),
        "the columns of the rotation came back in reversed order.": lambda s, r, t: np.column_stack(
            [s * r[:, ::-1], t]
        ).reshape(-1),
    },
)
TO_IMAGE_AXES = Exercise(
    name="to_image_axes",
    solution=to_image_axes,
    cases=_vertex_cases,
    mistakes={
        "the face is upside down; the model's y points up, the image's points down.": lambda v, s, m: np.column_stack(
            [m[0] + s * v[:, 0], m[1] + s * v[:, 1], s * v[:, 2]]
        ),
        "the depth changed its sign; z points towards the camera in both.": lambda v, s, m: np.column_stack(
            [m[0] + s * v[:, 0], m[1] - s * v[:, 1], -s * v[:, 2]]
        ),
        "the depth is not scaled; pixels in all three directions must be the same size.": lambda v, s, m: (
            np.column_stack([m[0] + s * v[:, 0], m[1] - s * v[:, 1], v[:, 2]])
        ),
        "x was mirrored too; only y changes its direction.": lambda v, s, m: np.column_stack(
            [m[0] - s * v[:, 0], m[1] - s * v[:, 1], s * v[:, 2]]
        ),
        "the vertices were moved before they were scaled; scale first, then move by `middle`.": lambda v, s, m: (
            s * (v * [1, -1, 1] + [m[0], -m[1], 0])
        ),
        "the sum was scaled, `middle` with it; scale the vertices alone, then add it.": lambda v, s, m: (
            s * (v * [1, -1, 1] + [*m, 0])
        ),
        "the array was turned over, its rows reversed; 'turn over' is a minus sign before y.": lambda v, s, m: (
            (v * s)[::-1] + [*m, 0]
        ),
        "the coordinates were reversed, z first; 'turn over' is a minus sign before y.": lambda v, s, m: (
            (v * s)[:, ::-1] + [*m, 0]
        ),
        "the depth was moved too; it stays where it is.": lambda v, s, m: to_image_axes(v, s, m) + [0, 0, m[0]],
        "the depth was moved by the middle's y; it stays where it is.": lambda v, s, m: (
            to_image_axes(v, s, m) + [0, 0, m[1]]
        ),
        "the depth is in slices, doubled; here all three are in pixels.": lambda v, s, m: (
            to_image_axes(v, s, m) * [1, 1, 2]
        ),
        "the depth was moved so that it begins at 0; it stays where it is.": lambda v, s, m: (
            to_image_axes(v, s, m) - [0, 0, s * v[:, 2].min()]
        ),
        "nothing is scaled; millimetres must become pixels.": lambda v, s, m: to_image_axes(v, 1.0, m),
        "the middle's x was used for y too.": lambda v, s, m: to_image_axes(v, s, m[[0, 0]]),
        "the middle's x and y are swapped.": lambda v, s, m: to_image_axes(v, s, m[::-1]),
        "y was taken from 191, after it was turned over; `middle` does that already.": lambda v, s, m: (
            to_image_axes(v, s, m) * [1, -1, 1] + [0, 191, 0]
        ),
        "y was turned over about the picture's 191 and not about `middle`.": lambda v, s, m: to_image_axes(
            v, s, np.array([m[0], 191 - m[1]])
        ),
    },
)
FILL_COLUMNS = Exercise(
    name="fill_columns",
    solution=fill_columns,
    cases=_map_cases,
    mistakes={
        "only the surface is set; that is a shell. Everything between back and front belongs to the solid.": _shell,
        "the axes are [y, x, z]; the volume is indexed [z, y, x].": lambda b, f, o, d: fill_columns(
            b, f, o, d
        ).transpose(1, 2, 0),
        "your volume equals ours with x and y swapped; the order is [z, y, x].": lambda b, f, o, d: fill_columns(
            b, f, o, d
        ).transpose(0, 2, 1),
        "the depth is not doubled; there are two slices per pixel.": lambda b, f, o, d: fill_columns(
            b / 2, f / 2, o, d
        ),
        "the volume is inside out; background is solid and the face is empty.": lambda b, f, o, d: (
            ~fill_columns(b, f, o, d)
        ),
        "the offset is missing; k = 2 z + offset.": lambda b, f, o, d: fill_columns(b, f, 0.0, d),
        "the offset is doubled too; k = 2 z + offset.": lambda b, f, o, d: fill_columns(b, f, 2 * o, d),
        "the volume is filled where NaN was made 0; columns without a surface stay empty.": lambda b, f, o, d: (
            fill_columns(np.nan_to_num(b), np.nan_to_num(f), o, d)
        ),
        "the offset was subtracted; k = 2 z + offset.": lambda b, f, o, d: fill_columns(b, f, -o, d),
        "the depth is doubled twice; there are two slices per pixel.": lambda b, f, o, d: fill_columns(
            2 * b, 2 * f, o, d
        ),
        "half of the depth was taken for the offset; use the argument.": lambda b, f, o, d: fill_columns(
            b, f, d / 2, d
        ),
        "`|` joins what `&` must: a voxel is solid in front of the back and behind the front.": lambda b, f, o, d: (
            (np.arange(d)[:, None, None] >= 2 * b + o) | (np.arange(d)[:, None, None] <= 2 * f + o)
        ),
        "the columns begin at depth 0 (slice = offset); they begin at the back.": lambda b, f, o, d: fill_columns(
            0 * b, f, o, d
        ),
        "the columns end at depth 0 (slice = offset); they end at the front.": lambda b, f, o, d: fill_columns(
            b, 0 * f, o, d
        ),
        "everything in front of the back is solid; the columns end at the front.": lambda b, f, o, d: (
            np.arange(d)[:, None, None] >= 2 * b + o
        ),
        "the volume is empty; are back and front swapped? The back has the smaller z.": lambda b, f, o, d: np.zeros(
            (d, *b.shape), bool
        ),
        (
            "the ends are rounded to the nearest slice; a slice is solid only if it lies between back and front."
        ): lambda b, f, o, d: fill_columns((np.round(2 * b + o) - o) / 2, (np.round(2 * f + o) - o) / 2, o, d),
        "that is only the mask of columns with a surface; the volume has a third axis, depth.": lambda b, f, o, d: (
            np.isfinite(b)
        ),
        "your volume equals ours turned over in depth; slices grow towards the camera.": lambda b, f, o, d: (
            fill_columns(b, f, o, d)[::-1]
        ),
        "your volume equals ours upside down, y reversed.": lambda b, f, o, d: fill_columns(b, f, o, d)[:, ::-1],
        "everything behind the front is solid; the columns end at the back.": lambda b, f, o, d: (
            np.arange(d)[:, None, None] <= 2 * f + o
        ),
    },
)


def check_compose_pose(function: Function, seed: int | None = None) -> None:
    """(scale, rotation (3, 3), translation (3,)) → 12 numbers."""
    COMPOSE_POSE.judge(function, seed)


def check_to_image_axes(function: Function, seed: int | None = None) -> None:
    """(vertices (N, 3) mm, scale, middle (2,)) → (N, 3) crop pixels."""
    TO_IMAGE_AXES.judge(function, seed)


def check_fill_columns(function: Function, seed: int | None = None) -> None:
    """(back (H, W), front (H, W), offset, depth) → (depth, H, W) bool."""
    FILL_COLUMNS.judge(function, seed)
