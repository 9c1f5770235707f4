"""Checks for 00_start_here: the coordinate contract in three small functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vrnlib.checks import Exercise


def slice_of_depth(z: np.ndarray, offset: float) -> np.ndarray:
    """The slice k of a point at depth z crop pixels: two slices per pixel."""
    return 2 * z + offset


def volume_from_paper_order(array: np.ndarray) -> np.ndarray:
    """(192, 192, 200) read [x, y, z] → (200, 192, 192) read [z, y, x]."""
    return array.transpose(2, 1, 0)


def nose_tip(landmarks: np.ndarray) -> int:
    """Row of the landmark nearest to the camera: z grows towards it."""
    return int(np.argmax(landmarks[:, 2]))


def _depth_cases() -> list[tuple]:
    rng = np.random.default_rng(0)
    return [(rng.uniform(-50, 50, 5), 99.5), (np.array([3.0, -4.0]), 110.25)]


def _volume_cases() -> list[tuple]:
    rng = np.random.default_rng(1)
    return [(rng.random((4, 5, 6)) > 0.5,), (rng.random((4, 4, 7)) > 0.5,), (rng.random((3, 3, 3)) > 0.5,)]


def _landmark_cases() -> list[tuple]:
    rng = np.random.default_rng(2)
    cases = []
    for _ in range(3):
        points = rng.permutation(68 * 3).reshape(68, 3).astype(np.float32)
        cases.append((points,))
    return cases


SLICE_OF_DEPTH = Exercise(
    name="slice_of_depth",
    solution=slice_of_depth,
    cases=_depth_cases,
    mistakes={
        "the depth is not doubled; a pixel of depth is two slices.": lambda z, offset: z + offset,
        "the depth is halved; that is the way back, from slices to pixels.": lambda z, offset: z / 2 + offset,
        "the offset is subtracted; k = 2 z + offset.": lambda z, offset: 2 * z - offset,
        "the offset is doubled too; double z first, then add it.": lambda z, offset: 2 * (z + offset),
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
    mistakes={
        "that is the point farthest from the camera; z grows towards the camera.": lambda p: int(np.argmin(p[:, 2])),
        "that is the lowest point in the picture; the depth is column 2, not column 1.": lambda p: int(
            np.argmax(p[:, 1])
        ),
        "that is the value of z, not the row of the point; use argmax.": lambda p: float(p[:, 2].max()),
    },
)


def check_slice_of_depth(function: Callable) -> None:
    """(z (N,), offset) → slices (N,)."""
    SLICE_OF_DEPTH.judge(function)


def check_volume_from_paper_order(function: Callable) -> None:
    """(array [x, y, z]) → array [z, y, x]."""
    VOLUME_FROM_PAPER_ORDER.judge(function)


def check_nose_tip(function: Callable) -> None:
    """(landmarks (68, 3)) → row number."""
    NOSE_TIP.judge(function)
