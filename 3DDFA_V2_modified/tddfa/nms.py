"""Non-maximum suppression: of boxes that overlap much, only the best one stays.

The rules are those of 3DDFA_V2's detector, so that the official weights give the official boxes: a box covers its last
pixel too (width = x1 - x0 + 1), areas and overlaps are float32, and the overlap suppresses when it is at least the
threshold, a double.
"""

import numpy as np
from numpy.typing import NDArray

from . import _nms
from .arrays import Floats, Integers
from .raster import as_numbers


def nms(boxes: Floats, threshold: float) -> list[int]:
    """Rows of the boxes that stay, best score first.

    Args:
        boxes: (N, 5) float32, rows x0, y0, x1, y1 (pixels, both corners inside) and score.
        threshold: intersection over union from which the weaker box is dropped, e.g. 0.3.

    Boxes of equal score come in the order of ``scores.argsort()[::-1]``, as in 3DDFA_V2.

    Raises:
        ValueError: boxes that are not (N, 5), or NaN among them.

    Example:
        >>> nms(np.array([[0, 0, 9, 9, 0.8], [1, 0, 9, 9, 0.9], [40, 40, 60, 60, 0.5]]), 0.3)
        [1, 2]
    """
    boxes = checked_boxes(boxes)
    order = by_score(boxes)
    x0, y0, x1, y1 = np.ascontiguousarray(boxes[order, :4].T)
    # A float32 is at least the double threshold when it is at least the next float32 from there on upwards.
    least = np.float32(threshold)
    if float(least) < threshold:
        least = np.nextafter(least, np.float32(np.inf))
    suppressed = np.zeros(len(boxes), np.intc)
    _nms.suppress(x0, y0, x1, y1, (x1 - x0 + 1) * (y1 - y0 + 1), least, suppressed)
    return [int(i) for i in order[suppressed == 0]]


SOFT_NMS_METHODS = ("hard", "linear", "gaussian")


def soft_nms(
    boxes: Floats, *, method: str = "hard", sigma: float = 0.5, threshold: float = 0.3, min_score: float = 0.001
) -> Floats:
    """The boxes (M, 5) float32 with the scores of overlapped ones lowered, best first, as 3DDFA_V2's soft-NMS.

    Again and again the box of the highest score is taken, and the scores of those that overlap it are multiplied by a
    weight: for "linear" 1 - overlap above the threshold, for "gaussian" exp(-overlap^2 / sigma), for "hard" 0 above
    the threshold. An overlapped box that falls below ``min_score`` is dropped. Source: N. Bodla et al., "Soft-NMS:
    Improving Object Detection With One Line of Code", ICCV 2017.

    Args:
        boxes: (N, 5) float32, rows x0, y0, x1, y1 (pixels, both corners inside) and score; they are not changed.
        method: "hard", "linear" or "gaussian".
        sigma: width of the gaussian.
        threshold: overlap from which "hard" and "linear" lower a score.
        min_score: below it an overlapped box is dropped.

    Raises:
        ValueError: an unknown method, boxes that are not (N, 5), or NaN among them.
    """
    if method not in SOFT_NMS_METHODS:
        raise ValueError(f"Expected one of the methods {SOFT_NMS_METHODS}, got {method!r}; choose one of these.")
    boxes = checked_boxes(boxes).copy()
    width, limit, least = np.float32(sigma), np.float32(threshold), np.float32(min_score)
    i, count = 0, len(boxes)
    while i < count:
        best = i + int(boxes[i:count, 4].argmax())
        boxes[[i, best]] = boxes[[best, i]]
        rest = boxes[i + 1 : count]
        overlap, meets = _overlaps(boxes[i], rest)
        if method == "gaussian":
            weight = np.exp(-(overlap * overlap / width).astype(np.float64)).astype(np.float32)
        else:
            lowered = 1 - overlap if method == "linear" else np.float32(0)
            weight = np.where(overlap > limit, lowered, np.float32(1))
        rest[:, 4] = np.where(meets, weight * rest[:, 4], rest[:, 4])
        count -= _drop(rest, meets & (rest[:, 4] < least))
        i += 1
    return boxes[:count]


def _overlaps(box: Floats, others: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Intersection over union (N,) float32 of a box with others, and whether they share a pixel at all."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:4], others[:, 2:4])
    width, height = (high - low + 1).T
    inter = width * height
    # The original's compiled code works out the areas in double precision and rounds them afterwards.
    area = np.prod((others[:, 2:4] - others[:, :2]).astype(np.float64) + 1, axis=1).astype(np.float32)
    own = np.prod((box[2:4] - box[:2]).astype(np.float64) + 1)
    return inter / (own + area - inter).astype(np.float32), (width > 0) & (height > 0)


def _drop(boxes: Floats, dropped: NDArray[np.bool_]) -> int:
    """Overwrite each dropped box by the last one left, which the original's order of equal scores rests on."""
    left = len(boxes)
    for k in np.flatnonzero(dropped):
        while k < left and dropped[left - 1]:
            left -= 1
        if k < left:
            left -= 1
            boxes[k] = boxes[left]
    return len(boxes) - left


def by_score(boxes: Floats) -> Integers:
    """(N,) int64 rows of the boxes, best score first."""
    return boxes[:, 4].argsort()[::-1]


def checked_boxes(boxes: Floats) -> Floats:
    """The boxes as a C-contiguous (N, 5) float32 array, or a ValueError that says what is wrong with them."""
    boxes = as_numbers(boxes, np.float32, what="boxes")
    if boxes.size == 0:
        return np.zeros((0, 5), np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 5:
        raise ValueError(f"Expected boxes of shape (N, 5), got {boxes.shape}; rows are x0, y0, x1, y1, score.")
    if np.isnan(boxes).any():
        raise ValueError("Expected boxes without NaN, got some; look at what the detector received.")
    return boxes
