"""Checks for 01_fan_cropping: from landmarks to the crop's matrix and back."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from vrnlib.checks import Exercise


def decode_heatmap(heatmap: np.ndarray) -> np.ndarray:
    """(rows, columns) weights that sum to 1 → (x, y) of their mean, in cells."""
    rows, columns = heatmap.shape
    x = (heatmap.sum(axis=0) * np.arange(columns)).sum()
    y = (heatmap.sum(axis=1) * np.arange(rows)).sum()
    return np.array([x, y])


def crop_scale(landmarks: np.ndarray) -> float:
    """Crop pixels per photo pixel: the landmarks' box shall have the area 90 × 90."""
    width, height = landmarks.max(axis=0) - landmarks.min(axis=0)
    return 90 / math.sqrt(width * height)


def crop_matrix(landmarks: np.ndarray) -> np.ndarray:
    """(68, 2) photo pixels → (2, 3) similarity that puts the box's middle at (95.5, 95.5)."""
    scale = crop_scale(landmarks)
    middle = (landmarks.min(axis=0) + landmarks.max(axis=0)) / 2
    shift = 95.5 - scale * middle
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])


def to_photo(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(N, 2) crop pixels → photo pixels: the way back."""
    scale, shift = matrix[0, 0], matrix[:, 2]
    return (points - shift) / scale


def _matrix_with(scale_of: Callable, centre_of: Callable, target: float = 95.5) -> Callable:
    def mistaken(landmarks: np.ndarray) -> np.ndarray:
        scale, middle = scale_of(landmarks), centre_of(landmarks)
        return np.array([[scale, 0, target - scale * middle[0]], [0, scale, target - scale * middle[1]]])

    return mistaken


def _extent(landmarks: np.ndarray) -> np.ndarray:
    return landmarks.max(axis=0) - landmarks.min(axis=0)


def _middle(landmarks: np.ndarray) -> np.ndarray:
    return (landmarks.min(axis=0) + landmarks.max(axis=0)) / 2


def _unshifted(landmarks: np.ndarray) -> np.ndarray:
    scale = crop_scale(landmarks)
    return np.array([[scale, 0, 0], [0, scale, 0]])


def _shift_of_the_photo(landmarks: np.ndarray) -> np.ndarray:
    scale = crop_scale(landmarks)
    shift = scale * (95.5 - _middle(landmarks))
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])


def _heatmap_cases() -> list[tuple]:
    rng = np.random.default_rng(0)
    heatmaps = rng.random((3, 6, 9)) ** 4
    return [(heatmap / heatmap.sum(),) for heatmap in heatmaps]


def _landmark_cases() -> list[tuple]:
    rng = np.random.default_rng(1)
    return [(rng.gamma(2.0, [30.0, 45.0], (68, 2)) + [200, 120],) for _ in range(3)]


def _point_cases() -> list[tuple]:
    rng = np.random.default_rng(2)
    return [(rng.uniform(0, 191, (7, 2)), crop_matrix(case[0])) for case in _landmark_cases()]


DECODE_HEATMAP = Exercise(
    name="decode_heatmap",
    solution=decode_heatmap,
    cases=_heatmap_cases,
    mistakes={
        "x and y are swapped; columns run along x, rows along y.": lambda h: decode_heatmap(h)[::-1],
        "that is the largest cell, a whole number; take the mean over all cells for sub-pixel points.": lambda h: (
            np.array(np.unravel_index(h.argmax(), h.shape))[::-1].astype(float)
        ),
        "that is the largest cell as (row, column); take the mean over all cells, x first.": lambda h: np.array(
            np.unravel_index(h.argmax(), h.shape)
        ).astype(float),
        "the sums became means; the weights already sum to 1.": lambda h: (
            decode_heatmap(h) / np.array([h.shape[1], h.shape[0]])
        ),
    },
)
CROP_SCALE = Exercise(
    name="crop_scale",
    solution=crop_scale,
    cases=_landmark_cases,
    mistakes={
        "the root is missing; the side of a square of the same area is sqrt(w·h).": lambda p: (
            90 / float(np.prod(_extent(p)))
        ),
        "that is the inverse, photo pixels per crop pixel.": lambda p: 1 / crop_scale(p),
        "the box's longer side was used; the rule takes sqrt(w·h).": lambda p: 90 / float(_extent(p).max()),
        "the whole crop's 192 pixels were used; the box gets 90 of them, the rest is margin.": lambda p: (
            192 / math.sqrt(np.prod(_extent(p)))
        ),
        "the box's diagonal was used; the rule takes sqrt(w·h).": lambda p: 90 / float(np.hypot(*_extent(p))),
    },
)
CROP_MATRIX = Exercise(
    name="crop_matrix",
    solution=crop_matrix,
    cases=_landmark_cases,
    mistakes={
        (
            "the centre is the landmarks' mean; take the middle of their box, which does not depend on "
            "where they crowd."
        ): _matrix_with(crop_scale, lambda p: p.mean(axis=0)),
        "the face goes to (96, 96); with pixel centres at integers the middle of 192 pixels is 95.5.": _matrix_with(
            crop_scale, _middle, 96.0
        ),
        "the face is scaled but not moved; the shift is 95.5 − scale · middle.": _unshifted,
        "the shift is scaled twice; 95.5 is already in crop pixels.": _shift_of_the_photo,
        "the box fills the whole crop; the network expects a box of 90 pixels with a margin around it.": _matrix_with(
            lambda p: 192 / math.sqrt(np.prod(_extent(p))), _middle
        ),
        "the scale comes from the longer side of the box; the rule takes sqrt(w·h).": _matrix_with(
            lambda p: 90 / _extent(p).max(), _middle
        ),
    },
)
TO_PHOTO = Exercise(
    name="to_photo",
    solution=to_photo,
    cases=_point_cases,
    mistakes={
        "the points went forward, photo → crop, once more; invert the matrix.": lambda p, m: p * m[0, 0] + m[:, 2],
        "the shift must be undone before the scale: (p − shift) / scale.": lambda p, m: p / m[0, 0] - m[:, 2],
        "the shift is missing; subtract it before you divide.": lambda p, m: p / m[0, 0],
        "the shift was added; the way back subtracts it.": lambda p, m: (p + m[:, 2]) / m[0, 0],
    },
)


def check_decode_heatmap(function: Callable) -> None:
    """(heat map (rows, columns)) → (x, y)."""
    DECODE_HEATMAP.judge(function)


def check_crop_scale(function: Callable) -> None:
    """(landmarks (68, 2)) → scale."""
    CROP_SCALE.judge(function)


def check_crop_matrix(function: Callable) -> None:
    """(landmarks (68, 2)) → (2, 3) matrix."""
    CROP_MATRIX.judge(function)


def check_to_photo(function: Callable) -> None:
    """(points (N, 2), matrix (2, 3)) → points (N, 2)."""
    TO_PHOTO.judge(function)
