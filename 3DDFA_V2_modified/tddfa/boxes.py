"""Boxes about faces: around points, their size and overlap, and the square that 3DDFA_V2's network sees.

A box is x0, y0, x1, y1 in image pixels (x right, y down); a detector's box has its score as a fifth number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import Floats, Image
from .contract import ROI_LOWERED, ROI_SIDE

__all__ = [
    "Roi",
    "box_around",
    "box_middles",
    "box_overlaps",
    "box_sizes",
    "crop_roi",
    "roi_from_box",
    "roi_from_landmarks",
]

Roi = tuple[float, float, float, float]
"""A square of a photo: left, top, right, bottom in pixels; it may reach out of the photo."""


def box_around(points: Floats) -> Floats:
    """The smallest boxes (..., 4) about (..., P, 2) or (..., P, 3) points, in the points' dtype.

    >>> box_around(np.array([[3.0, 1.0], [5.0, 9.0], [4.0, 2.0]])).tolist()
    [3.0, 1.0, 5.0, 9.0]
    """
    flat = points[..., :2]
    return np.concatenate([flat.min(axis=-2), flat.max(axis=-2)], axis=-1)


def box_middles(boxes: Floats) -> Floats:
    """The middles (..., 2) of boxes (..., 4), or of boxes with a score (..., 5)."""
    return (boxes[..., :2] + boxes[..., 2:4]) / 2


def box_sizes(boxes: Floats) -> Floats:
    """sqrt(width * height) of boxes (..., 4), or of boxes with a score (..., 5): (...,); 0 for a box turned over.

    >>> box_sizes(np.array([[0.0, 0.0, 20.0, 45.0], [0.0, 0.0, -1.0, 5.0]])).tolist()
    [30.0, 0.0]
    """
    return np.sqrt(np.prod(np.maximum(boxes[..., 2:4] - boxes[..., :2], 0), axis=-1))


def box_overlaps(box: Floats, boxes: Floats) -> NDArray[np.float64]:
    """Intersection over union (N,) of one box (4,) with others (N, 4).

    Boxes are areas of the plane here. A detector's suppression counts the last pixel, too: see ``tddfa.nms``.

    >>> box_overlaps(np.array([0, 0, 2, 2]), np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]])).round(3).tolist()
    [1.0, 0.333, 0.0]
    """
    box, boxes = np.asarray(box, np.float64), np.asarray(boxes, np.float64)
    sides = np.minimum(box[2:4], boxes[:, 2:4]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.prod(np.maximum(sides, 0.0), axis=1)
    areas = np.prod(boxes[:, 2:4] - boxes[:, :2], axis=1) + np.prod(box[2:4] - box[:2])
    return shared / np.maximum(areas - shared, 1e-9)


def roi_from_box(box: ArrayLike) -> Roi:
    """The square about a detected face box that 3DDFA_V2's network was trained on.

    Its side is 1.58 times the box's mean side, cut to whole pixels; its centre lies 0.14 mean sides lower.

    Args:
        box: x0, y0, x1, y1 and whatever follows, photo pixels.

    Example:
        >>> roi_from_box([100, 100, 200, 300])
        (31.5, 102.5, 268.5, 339.5)
    """
    left, top, right, bottom = (float(value) for value in np.asarray(box).ravel()[:4])
    mean_side = (right - left + bottom - top) / 2
    side = int(mean_side * ROI_SIDE)
    x = right - (right - left) / 2 - side / 2
    y = bottom - (bottom - top) / 2 + mean_side * ROI_LOWERED - side / 2
    return x, y, x + side, y + side


def roi_from_landmarks(landmarks: ArrayLike) -> Roi:
    """The square about landmarks, for tracking and a second pass; its side is the diagonal of their smallest square.

    Args:
        landmarks: (P, 2) or (P, 3), photo pixels.

    Raises:
        ValueError: another shape.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise ValueError(f"Expected landmarks of shape (P, 2) or (P, 3), got {points.shape}; transpose them first.")
    box = box_around(points)
    half = float((box[2:] - box[:2]).max()) / 2 * np.sqrt(2.0)
    x, y = box_middles(box)
    return float(x - half), float(y - half), float(x + half), float(y + half)


def crop_roi(image: Image, roi: Sequence[float] | Floats) -> Image:
    """A rectangle of an image, black where it leaves the image.

    Args:
        image: (H, W, ...) of any type.
        roi: left, top, right, bottom in pixels; they are rounded half to even, as 3DDFA_V2 does.

    Raises:
        ValueError: a rectangle without area.
    """
    left, top, right, bottom = (round(float(value)) for value in roi)
    if right <= left or bottom <= top:
        raise ValueError(f"Expected a roi with left < right and top < bottom, got {roi}.")
    crop = np.zeros((bottom - top, right - left, *image.shape[2:]), image.dtype)
    height, width = image.shape[:2]
    x0, x1, y0, y1 = max(left, 0), min(right, width), max(top, 0), min(bottom, height)
    if x0 < x1 and y0 < y1:
        crop[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    return crop
