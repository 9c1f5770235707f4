"""Checks for 01_fan_cropping: from landmarks to the crop's matrix and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tddfa.ibug import NOSE_TIP
from vrnlib.checks import Exercise
from vrnlib.checks.answers import Function


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


def _matrix_with(scale_of: Function, centre_of: Function, target: float = 95.5) -> Function:
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


def _with_shift(landmarks: np.ndarray, shift: np.ndarray) -> np.ndarray:
    return np.column_stack([crop_scale(landmarks) * np.eye(2), shift])


def _shift_of_the_photo(landmarks: np.ndarray) -> np.ndarray:
    scale = crop_scale(landmarks)
    shift = scale * (95.5 - _middle(landmarks))
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])


def _heatmap_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    sides = rng.permutation([4, 5, 6, 7, 9])
    heatmaps = [rng.random(shape) ** 4 for shape in (sides[:2], sides[2:4], (32, 32))]
    return [(heatmap / heatmap.sum(),) for heatmap in heatmaps]


def _landmark_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Faces that are taller than wide, wider than tall, and turned."""
    spreads = rng.uniform(25, 60, (3, 2)) * [[1, 1.6], [1.6, 1], [0.7, 1.2]]
    return [(rng.gamma(2.0, spread, (68, 2)) + rng.uniform(100, 300, 2),) for spread in spreads]


def _point_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    matrices = [crop_matrix(*case) for case in _landmark_cases(rng)]
    return [(rng.uniform(0, 191, (count, 2)), matrix) for count, matrix in zip((3, 7, 68), matrices, strict=True)]


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
        "the means over rows and columns were taken; the weights need sums, heatmap.sum(axis=…).": lambda h: (
            decode_heatmap(h) / np.array([h.shape[0], h.shape[1]])
        ),
        "the place is in pixels already, 4 x + 1.5; cells were asked for.": lambda h: 4 * decode_heatmap(h) + 1.5,
        "the place is cut to whole cells; the fractions are the point of the mean.": lambda h: np.trunc(
            decode_heatmap(h)
        ),
        "the place runs from −1 to 1; it must be in cells.": lambda h: (
            2 * decode_heatmap(h) / np.array(h.shape[::-1]) - 1
        ),
        "the map was divided by its largest cell; it must keep the sum 1.": lambda h: decode_heatmap(h / h.max()),
        "each column's largest cell was taken in place of its sum.": lambda h: np.array(
            [h.max(axis=axis) @ np.arange(h.shape[1 - axis]) for axis in (0, 1)]
        ),
        "the weights were squared; take them as they are.": lambda h: decode_heatmap(h**2 / (h**2).sum()),
        "the place is divided by the last column and row; it must be in cells.": lambda h: (
            decode_heatmap(h) / (np.array(h.shape[::-1]) - 1)
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
        "the box's shorter side was used; the rule takes sqrt(w·h).": lambda p: 90 / float(_extent(p).min()),
        "only the box's width was used; the rule takes sqrt(w·h).": lambda p: 90 / float(_extent(p)[0]),
        "only the box's height was used; the rule takes sqrt(w·h).": lambda p: 90 / float(_extent(p)[1]),
        (
            "the mean of width and height was used; the rule takes sqrt(w·h), the side of a square of the same area."
        ): lambda p: 90 / float(_extent(p).mean()),
        "the root was multiplied, not divided by; a larger face needs a smaller scale.": lambda p: (
            90 * math.sqrt(np.prod(_extent(p)))
        ),
        "width and height got a scale each; there is one, 90 / sqrt(w·h).": lambda p: 90 / _extent(p),
        "the sum of width and height stands under the root; multiply them.": lambda p: 90 / math.sqrt(_extent(p).sum()),
        "width and height are one too large; a box of points is max − min wide, without + 1.": lambda p: (
            90 / math.sqrt(np.prod(_extent(p) + 1))
        ),
        "the box was rounded to whole pixels, as cv2.boundingRect does; max − min keeps the fractions.": lambda p: (
            90 / math.sqrt(np.prod(np.floor(p.max(axis=0)) - np.floor(p.min(axis=0)) + 1))
        ),
        "that is the points' spread (standard deviation), not the extent of their box.": lambda p: (
            90 / math.sqrt(np.prod(p.std(axis=0)))
        ),
        "x and y were thrown together, one max − min over both columns; take axis=0.": lambda p: 90 / float(np.ptp(p)),
        "the largest x and y were taken for width and height; subtract the smallest.": lambda p: (
            90 / math.sqrt(np.prod(p.max(axis=0)))
        ),
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
        "the face goes to (95, 95); the middle of the pixels 0 to 191 is 95.5.": _matrix_with(
            crop_scale, _middle, 95.0
        ),
        "the face goes to (90, 90); 90 is the box's size, the crop's middle is 95.5.": _matrix_with(
            crop_scale, _middle, 90.0
        ),
        "the tip of the nose is in the middle; take the middle of the landmarks' box.": _matrix_with(
            crop_scale, lambda p: p[NOSE_TIP]
        ),
        "the first landmark is in the middle; take the middle of the landmarks' box.": _matrix_with(
            crop_scale, lambda p: p[0]
        ),
        "the box's corner goes to (95.5, 95.5); its middle must.": _matrix_with(crop_scale, lambda p: p.min(axis=0)),
        "the box's corner goes to (0, 0); its middle must go to (95.5, 95.5).": _matrix_with(
            crop_scale, lambda p: p.min(axis=0), 0.0
        ),
        "the middle of the box goes to (0, 0); it must go to (95.5, 95.5).": _matrix_with(crop_scale, _middle, 0.0),
        "half of the box's size was taken for its middle; that is (min + max) / 2.": _matrix_with(
            crop_scale, lambda p: _extent(p) / 2
        ),
        "the middle was not scaled; the shift is 95.5 − scale · middle.": lambda p: _with_shift(p, 95.5 - _middle(p)),
        "tx and ty are swapped; x stands in the first row.": lambda p: _with_shift(p, crop_matrix(p)[::-1, 2]),
        "the sign of the shift is turned; it is 95.5 − scale · middle.": lambda p: _with_shift(
            p, -crop_matrix(p)[:, 2]
        ),
        "the scaled middle was added; the shift is 95.5 − scale · middle.": lambda p: _with_shift(
            p, 95.5 + crop_scale(p) * _middle(p)
        ),
        "that is the inverse, crop → photo; the matrix must lead from the photo to the crop.": lambda p: (
            np.column_stack([np.eye(2), -crop_matrix(p)[:, 2]]) / crop_scale(p)
        ),
        "there is a third row, (0, 0, 1); a similarity for images has two rows.": lambda p: np.vstack(
            [crop_matrix(p), [0, 0, 1]]
        ),
        "the scale stands beside the diagonal, so that x and y are swapped.": lambda p: crop_matrix(p)[:, [1, 0, 2]],
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
        "the scale was multiplied; the way back divides by it.": lambda p, m: (p - m[:, 2]) * m[0, 0],
        "the scale is missing; divide by it after the shift is undone.": lambda p, m: p - m[:, 2],
        "the shift's x and y are swapped; tx stands in the first row.": lambda p, m: (p - m[::-1, 2]) / m[0, 0],
        "x's shift was used for y too; ty stands in the second row.": lambda p, m: (p - m[0, 2]) / m[0, 0],
        "y's shift was used for x too; tx stands in the first row.": lambda p, m: (p - m[1, 2]) / m[0, 0],
        "the sign is turned; (p − shift) / scale, not (shift − p) / scale.": lambda p, m: (m[:, 2] - p) / m[0, 0],
        "the scale is undone, but then the shift was added; subtract it, and first.": lambda p, m: (
            p / m[0, 0] + m[:, 2]
        ),
        "95.5 was subtracted in place of the shift; that stands in the matrix.": lambda p, m: (p - 95.5) / m[0, 0],
        "the scale was multiplied, then the shift subtracted; the way back is (p − shift) / scale.": lambda p, m: (
            p * m[0, 0] - m[:, 2]
        ),
    },
)


def check_decode_heatmap(function: Function, seed: int | None = None) -> None:
    """(heat map (rows, columns)) → (x, y)."""
    DECODE_HEATMAP.judge(function, seed)


def check_crop_scale(function: Function, seed: int | None = None) -> None:
    """(landmarks (68, 2)) → scale."""
    CROP_SCALE.judge(function, seed)


def check_crop_matrix(function: Function, seed: int | None = None) -> None:
    """(landmarks (68, 2)) → (2, 3) matrix."""
    CROP_MATRIX.judge(function, seed)


def check_to_photo(function: Function, seed: int | None = None) -> None:
    """(points (N, 2), matrix (2, 3)) → points (N, 2)."""
    TO_PHOTO.judge(function, seed)
