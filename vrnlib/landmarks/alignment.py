"""From a face's box to its 68 landmarks: our face-alignment network passes three times, each time better placed.

Source: A. Bulat and G. Tzimiropoulos, "How far are we from solving the 2D & 3D Face Alignment problem?", ICCV 2017.
The first pass is over an upright square about the face detector's box. Its points tell where the face really is and how
the head is tilted, so the second pass sees the head upright and in the middle, as most heads were in the training. The
third pass does that again, on the mirror image: the errors of both are different, and their mean is better than either.
A mistake of the face detector gives itself away: the heat maps are not sharp, and the points do not stay where they
were.

No two processors add alike: the FAN's points differ by a hundred-thousandth of a pixel. A square moved by so little has
other bytes, and each pass would make more of that. So squares stand on a coarse grid, and points on a fine one.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tddfa.arrays import Floats
from tddfa.boxes import box_around, box_middles, box_sizes
from tddfa.ibug import CHIN_LINE, EYES, MIRRORED
from vrnlib.crop import invert_matrix, transform_points, warp_similarity

FAN_MARGIN = 1.4
"""The side of FAN's square / the larger side of the landmarks' box, as in its training."""

FOREHEAD_PART = 0.19
"""FaceBoxes' box reaches up the forehead (`vrnlib.landmarks.ibug`); the landmarks' box begins lower, by this part of
its height."""

UNSTEADY = 0.25
"""A face of which two passes differ by this part of its size is none."""

SMALLEST = 12
"""No face is smaller (square root of the area of the landmarks' box, photo pixels)."""

BATCH = 16

SIDE_STEPS, MIDDLE_STEP, TILT_STEP = 64, 1 / 256, 0.5
"""Squares stand on a grid: their sides are powers of 2 with this many steps to the next one, their middles lie a part
of the side apart, their tilts some degrees."""

POINT_STEP = 1 / 1024
"""Found points are multiples of a power of 2 pixels, which is this part of their face's size, or up to half of it."""


def align(
    image: NDArray[np.uint8], boxes: ArrayLike, fan: Any, *, min_score: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Find the landmarks of the face in each box, in three passes.

    Args:
        image: (H, W, 3) uint8 RGB.
        boxes: (N, 4) as FaceBoxes draws them, from the forehead to the chin, or (N, 5) with its score 0 … 1.
        fan: a `vrnlib.network.FAN` or `vrnlib.landmarks.onnx_fan.OnnxFAN`.
        min_score: the score that is asked for; a box that is below it after one pass gets no other.

    Returns:
        (N, 68, 3) float32 points, photo pixels, and (N,) scores 0 … 1: the geometric mean of the face detector's score
        and the FAN's, the latter lowered by how much the last two passes differ. 0 for a box that shows no face.
    """
    boxes = np.asarray(boxes, np.float64)
    if not len(boxes):
        return np.zeros((0, 68, 3), np.float32), np.zeros(0)
    sure = np.clip(boxes[:, 4], 0, 1) if boxes.shape[1] > 4 else np.ones(len(boxes))
    points, fan_scores = predict(image, box_squares(landmark_boxes(boxes)), fan)
    hopeful = plausible(box_around(points), image) & (np.sqrt(sure * fan_scores) >= min_score)
    rows, scores = np.flatnonzero(hopeful), np.zeros(len(boxes))
    if len(rows):
        points[rows], certain = refine(image, points[rows], fan)
        scores[rows] = np.sqrt(sure[rows] * certain * plausible(box_around(points[rows]), image))
    return points, scores


def refine(image: NDArray[np.uint8], points: Floats, fan: Any) -> tuple[Floats, Floats]:
    """The second and the third pass, in the squares of the points of the first.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: (N, 68, 2|3) photo pixels.
        fan: see `align`.

    Returns:
        (N, 68, 3) float32 points, photo pixels, and (N,) the FAN's scores 0 … 1, lowered by how much both differ.
    """
    second, second_scores = predict(image, head_squares(points), fan)
    third, third_scores = predict(image, head_squares(second), fan, mirrored=True)
    points = (second + third) / 2
    sizes = np.maximum(box_sizes(box_around(points)), 1e-6)
    steps = (POINT_STEP * 2.0 ** np.floor(np.log2(sizes)))[:, None, None]
    points = (np.rint(points / steps) * steps).astype(np.float32)
    moved = mean_distances(third, second) / sizes
    return points, np.clip(1 - moved / UNSTEADY, 0, 1) * (second_scores + third_scores) / 2


def predict(
    image: NDArray[np.uint8], squares: NDArray[np.float64], fan: Any, *, mirrored: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Run a FAN once in each square.

    Args:
        image: (H, W, 3) uint8 RGB.
        squares: (N, 4), see `box_squares` and `head_squares`; seen are those of `on_grid`.
        fan: see `align`.
        mirrored: the FAN sees mirror images; the points are those of the photo all the same.

    Returns:
        Points (N, 68, 3) float32, photo pixels, and scores (N,) in 0 … 1: the mean over the 68 heat maps of the
        probability around the maximum.
    """
    import torch

    size, squares = fan.config.size, on_grid(squares)
    points, scores = [np.zeros((0, 68, 3), np.float32)], [np.zeros(0, np.float32)]
    for start in range(0, len(squares), BATCH):
        some = squares[start : start + BATCH]
        pictures = np.stack([square_picture(image, square, size) for square in some])
        if mirrored:
            pictures = np.ascontiguousarray(pictures[:, :, ::-1])
        with torch.inference_mode():
            maps = fan(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255)
            found, sharp = maps.points.cpu().numpy(), maps.scores.mean(dim=1).cpu().numpy()
        if mirrored:
            found = mirrored_points(found.astype(np.float64), size)
        for one, square in zip(found, some, strict=True):
            points.append(transform_points(one, invert_matrix(square_matrix(square, size)))[None])
        scores.append(sharp)
    return np.concatenate(points), np.concatenate(scores)


def mirrored_points(points: Floats, width: int) -> Floats:
    """The landmarks (..., 68, 2|3) of faces in the mirror image of a photo that is so many pixels wide.

    >>> mirrored_points(np.zeros((68, 2)), 100)[0].tolist()
    [99.0, 0.0]
    """
    moved = points[..., MIRRORED, :]
    moved[..., 0] = width - 1 - moved[..., 0]
    return moved


def mean_distances(points: Floats, others: Floats) -> Floats:
    """How far landmarks (N, 68, 2|3) lie from others in the picture's plane, on average: (N,) pixels."""
    return np.linalg.norm((points - others)[:, :, :2], axis=2).mean(axis=1)


# --- boxes, squares and heads -----------------------------------------------------------------------------------------


def landmark_boxes(boxes: ArrayLike) -> NDArray[np.float64]:
    """The boxes (N, 4) of the landmarks that boxes (N, 4|5) as FaceBoxes draws them, with a forehead, promise.

    >>> landmark_boxes([[10, 0, 90, 100]]).tolist()
    [[10.0, 19.0, 90.0, 100.0]]
    """
    boxes = np.array(boxes, dtype=np.float64)[:, :4]
    boxes[:, 1] += FOREHEAD_PART * (boxes[:, 3] - boxes[:, 1])
    return boxes


def plausible(boxes: Floats, image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether boxes (N, 4|5) of landmarks may be faces of a photo: large enough, and their middle lies in it."""
    middles, sizes = box_middles(boxes), box_sizes(boxes)
    inside = (middles >= 0).all(axis=1) & (middles <= np.array(image.shape[1::-1]) - 1).all(axis=1)
    return inside & (sizes >= SMALLEST) & (sizes <= 4 * max(image.shape[:2]))


def head_tilts(points: Floats) -> Floats:
    """By how many degrees heads (N, 68, 2|3) lean to the right of the picture: (N,), from the chin to the eyes."""
    x, y = (points[:, EYES, :2].mean(axis=1) - points[:, CHIN_LINE, :2].mean(axis=1)).T
    return np.degrees(np.arctan2(x, -y))


def box_squares(boxes: ArrayLike, *, margin: float = FAN_MARGIN) -> NDArray[np.float64]:
    """Upright squares about boxes (N, 4): rows (middle x, middle y, side, tilt), photo pixels and 0 degrees.

    >>> box_squares([10, 20, 60, 120]).tolist()
    [[35.0, 70.0, 140.0, 0.0]]
    """
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    sides = margin * np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0), 1e-3)
    return np.column_stack([box_middles(boxes), sides, np.zeros(len(boxes))])


def head_squares(points: Floats, *, margin: float = FAN_MARGIN) -> NDArray[np.float64]:
    """Squares about the landmarks of heads (N, 68, 2|3), as tilted as these: rows (middle x, middle y, side, tilt)."""
    tilts = head_tilts(points)
    c, s = np.cos(np.radians(tilts)), np.sin(np.radians(tilts))
    upright = np.stack([np.stack([c, s], axis=-1), np.stack([-s, c], axis=-1)], axis=1)  # (N, 2, 2), photo to head
    squares = box_squares(box_around(points[:, :, :2] @ upright.transpose(0, 2, 1)), margin=margin)
    squares[:, :2] = np.einsum("nji,nj->ni", upright, squares[:, :2])
    squares[:, 3] = tilts
    return squares


def on_grid(squares: ArrayLike) -> NDArray[np.float64]:
    """The squares (N, 4) of the grid that are nearest to these: up to half a per cent larger or smaller.

    What differs by a computer's rounding becomes the same, but for one square in thousands.
    """
    x, y, sides, tilts = np.asarray(squares, np.float64).T
    sides = 2.0 ** (np.rint(SIDE_STEPS * np.log2(sides)) / SIDE_STEPS)
    steps = MIDDLE_STEP * sides
    x, y, tilts = (np.rint(values / step) * step for values, step in ((x, steps), (y, steps), (tilts, TILT_STEP)))
    return np.column_stack([x, y, sides, tilts])


def square_matrix(square: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The (2, 3) similarity from photo pixels to a picture of size x size pixels that shows the square upright."""
    x, y, side, tilt = (float(value) for value in square)
    c, s = size / side * np.cos(np.radians(tilt)), size / side * np.sin(np.radians(tilt))
    linear = np.array([[c, s], [-s, c]])
    return np.column_stack([linear, (size - 1) / 2 - linear @ [x, y]])


def square_picture(image: NDArray[np.uint8], square: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """What a square of a photo shows: (size, size, 3) uint8, area-correct, the photo mirrored at its borders."""
    matrix = square_matrix(square, size)
    if square[3] == 0:
        return warp_similarity(image, matrix, size)
    around = int(np.ceil(1.42 * size))  # the side of an upright square in which the tilted one lies
    upright = square_matrix(np.array([square[0], square[1], square[2] * around / size, 0]), around)
    turn = matrix @ np.vstack([invert_matrix(upright), [0, 0, 1]])
    picture = cv2.warpAffine(warp_similarity(image, upright, around), turn, (size, size), flags=cv2.INTER_LINEAR)
    return picture.astype(np.uint8, copy=False)
