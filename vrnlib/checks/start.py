"""Checks for 00_start_here: the coordinate contract in three small functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from vrnlib.checks import Exercise
from vrnlib.checks.answers import Function


def slice_of_depth(z: np.ndarray, offset: float) -> np.ndarray:
    """The slice k of a point at depth z crop pixels: two slices per pixel."""
    return 2 * z + offset


def volume_from_paper_order(array: np.ndarray) -> np.ndarray:
    """(192, 192, 200) read [x, y, z] → (200, 192, 192) read [z, y, x]."""
    return array.transpose(2, 1, 0)


def nose_tip(landmarks: np.ndarray) -> int:
    """Row of the landmark nearest to the camera: z grows towards it."""
    return int(np.argmax(landmarks[:, 2]))


def _depth_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.uniform(-50, 50, rng.integers(4, 9)), 99.5), (rng.uniform(-60, 60, 13012), rng.uniform(80, 120))]


def _volume_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    sides = rng.permutation([3, 4, 5, 6, 7])
    return [(rng.random(shape) > 0.5,) for shape in (sides[:3], sides[2:], (192, 192, 200))]


def _landmark_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Points around planes behind, at and before z = 0."""
    planes = rng.permutation([-70.0, -102.0, -140.0])
    return [((rng.permutation(68 * 3) + plane).reshape(68, 3).astype(np.float32),) for plane in planes]


SLICE_OF_DEPTH = Exercise(
    name="slice_of_depth",
    solution=slice_of_depth,
    cases=_depth_cases,
    mistakes={
        "the depth is not doubled; a pixel of depth is two slices.": lambda z, offset: z + offset,
        "the depth is halved; that is the way back, from slices to pixels.": lambda z, offset: z / 2 + offset,
        "the offset is subtracted; k = 2 z + offset.": lambda z, offset: 2 * z - offset,
        "the offset is doubled too; double z first, then add it.": lambda z, offset: 2 * (z + offset),
        "that is the way back, from slices to pixels; k = 2 z + offset.": lambda z, offset: (z - offset) / 2,
        "z was squared; it is doubled, 2 * z.": lambda z, offset: z**2 + offset,
        "the depth's sign is turned; slices grow towards the camera, as z does.": lambda z, offset: offset - 2 * z,
        "the positions are rounded to whole slices; surfaces lie between slices.": lambda z, offset: np.round(
            2 * z + offset
        ),
    },
)
VOLUME_FROM_PAPER_ORDER = Exercise(
    name="volume_from_paper_order",
    solution=volume_from_paper_order,
    cases=_volume_cases,
    mistakes={
        (
            "the numbers were reshaped, not transposed; reshape keeps the order in memory and tears the face apart."
        ): lambda a: a.reshape(a.shape[::-1]),
        "your volume equals ours upside down; y runs down in both orders.": lambda a: a.transpose(2, 1, 0)[:, ::-1],
        "your volume equals ours mirrored, left and right swapped.": lambda a: a.transpose(2, 1, 0)[:, :, ::-1],
        "your volume equals ours with x and y swapped; the face would lie on its side.": lambda a: a.transpose(2, 0, 1),
        "the axes are unchanged; [x, y, z] must become [z, y, x].": lambda a: a,
        "your volume equals ours upside down in depth; slices grow towards the camera.": lambda a: a.transpose(2, 1, 0)[
            ::-1
        ],
    },
)
NOSE_TIP = Exercise(
    name="nose_tip",
    solution=nose_tip,
    cases=_landmark_cases,
    tolerance=1e-9,
    mistakes={
        "that is the point farthest from the camera; z grows towards the camera.": lambda p: int(np.argmin(p[:, 2])),
        "that is the lowest point in the picture; the depth is column 2, not column 1.": lambda p: int(
            np.argmax(p[:, 1])
        ),
        "that is the value of z, not the row of the point; use argmax.": lambda p: float(p[:, 2].max()),
        ("argmax has counted through all numbers of the array; look for the largest in column 2 alone."): lambda p: int(
            np.argmax(p)
        ),
        "that looks along row 2, a single point; depth is column 2, landmarks[:, 2].": lambda p: int(np.argmax(p[2])),
        "that is the point farthest to the right; depth is column 2, not column 0.": lambda p: int(p[:, 0].argmax()),
        "that is the point itself; return its row, a number.": lambda p: p[p[:, 2].argmax()],
        "that is the largest absolute value; negative z lies behind.": lambda p: int(np.abs(p[:, 2]).argmax()),
        "that is the point with the largest distance from the origin; only z counts.": lambda p: int(
            (p.astype(float) ** 2).sum(axis=1).argmax()
        ),
        "those are the rows of the largest number in each column; only column 2 is depth.": lambda p: p.argmax(axis=0),
        "all rows came back in the order of their depth; return the first of them.": lambda p: np.argsort(-p[:, 2]),
        "all rows came back in the order of their depth; return the last of them.": lambda p: np.argsort(p[:, 2]),
    },
)


def check_slice_of_depth(function: Function, seed: int | None = None) -> None:
    """(z (N,), offset) → slices (N,)."""
    SLICE_OF_DEPTH.judge(function, seed)


def check_volume_from_paper_order(function: Function, seed: int | None = None) -> None:
    """(array [x, y, z]) → array [z, y, x]."""
    VOLUME_FROM_PAPER_ORDER.judge(function, seed)


def check_nose_tip(function: Function, seed: int | None = None) -> None:
    """(landmarks (68, 3)) → row number."""
    NOSE_TIP.judge(function, seed)
