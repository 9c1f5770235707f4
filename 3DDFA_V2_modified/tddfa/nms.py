"""Non-maximum suppression: of boxes that overlap much, only the best one stays.

The rules are those of 3DDFA_V2's detector, so that the official weights give the official boxes: a box covers its last
pixel too (width = x1 - x0 + 1), areas and overlaps are float32, and the overlap suppresses when it is at least the
threshold, a double.
"""

import numpy as np

from . import _nms


def nms(boxes: np.ndarray, threshold: float) -> list[int]:
    """Rows of the boxes that stay, best score first.

    Args:
        boxes: (N, 5) float32, rows x0, y0, x1, y1 (pixels, both corners inside) and score.
        threshold: intersection over union from which the weaker box is dropped, e.g. 0.3.

    Boxes of equal score come in the order of ``scores.argsort()[::-1]``, as in 3DDFA_V2.

    Raises:
        ValueError: boxes that are not (N, 5), or NaN among them.
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


def by_score(boxes: np.ndarray) -> np.ndarray:
    """(N,) int64 rows of the boxes, best score first."""
    return boxes[:, 4].argsort()[::-1]


def checked_boxes(boxes: np.ndarray) -> np.ndarray:
    """The boxes as a C-contiguous (N, 5) float32 array, or a ValueError that says what is wrong with them."""
    boxes = np.ascontiguousarray(boxes, np.float32)
    if boxes.size == 0:
        return np.zeros((0, 5), np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 5:
        raise ValueError(f"expected boxes of shape (N, 5), got {boxes.shape}; rows are x0, y0, x1, y1, score")
    if np.isnan(boxes).any():
        raise ValueError("expected boxes without NaN, got some; look at what the detector received")
    return boxes
