"""Checks for 02_3ddfa_targets: pose, the step into the image, and a voxeliser of columns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vrnlib.checks import Exercise


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


def _pose_cases() -> list[tuple]:
    rng = np.random.default_rng(0)
    cases = []
    for _ in range(3):
        rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        cases.append((float(rng.uniform(0.5, 2)), rotation, rng.uniform(-20, 90, 3)))
    return cases


def _vertex_cases() -> list[tuple]:
    rng = np.random.default_rng(1)
    return [(rng.normal(size=(9, 3)) * 50, 0.6, np.array([95.5, 90.0])), (rng.normal(size=(4, 3)), 2.0, np.zeros(2))]


def _map_cases() -> list[tuple]:
    y, x = np.mgrid[0:9, 0:11]
    inside = 16.0 - (x - 5.2) ** 2 - (y - 3.9) ** 2
    half = np.sqrt(np.where(inside > 0, inside, np.nan))
    return [(-half, half + 0.3, 12.0, 26), (-0.5 * half, 1.2 * half, 10.5, 22)]


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
        "everything behind the front is solid; the columns end at the back.": lambda b, f, o, d: (
            np.arange(d)[:, None, None] <= 2 * f + o
        ),
    },
)


def check_compose_pose(function: Callable) -> None:
    """(scale, rotation (3, 3), translation (3,)) → 12 numbers."""
    COMPOSE_POSE.judge(function)


def check_to_image_axes(function: Callable) -> None:
    """(vertices (N, 3) mm, scale, middle (2,)) → (N, 3) crop pixels."""
    TO_IMAGE_AXES.judge(function)


def check_fill_columns(function: Callable) -> None:
    """(back (H, W), front (H, W), offset, depth) → (depth, H, W) bool."""
    FILL_COLUMNS.judge(function)
