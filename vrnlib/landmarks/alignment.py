"""From a face's box to its 68 landmarks: our face-alignment network looks three times, each time better placed.

Source: A. Bulat and G. Tzimiropoulos, "How far are we from solving the 2D & 3D Face Alignment problem?", ICCV 2017.
The first look is at an upright square about the finder's box. Its points tell where the face really is and how the
head is tilted, so the second look sees the head upright and in the middle, as most heads were in the training. The
third look does that again, in a mirror: the errors of both are different, and their mean is better than either. A
mistake of the finder gives itself away: the heat maps are not sharp, and the points do not stay where they were.

No two processors add alike: the FAN's points differ by a hundred-thousandth of a pixel. A square moved by so little has
other bytes, and each look would make more of that. So squares stand on a coarse grid, and points on a fine one.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from vrnlib.crop import invert_matrix, transform_points, warp_similarity
from vrnlib.landmarks.ibug import MIRRORED

#: The side of FAN's square / the larger side of the landmarks' box, as in its training.
FAN_MARGIN = 1.4
#: FaceBoxes' box reaches up the forehead (`vrnlib.landmarks.ibug`); the landmarks' box begins lower, by this part of
#: its height.
FOREHEAD_PART = 0.19
#: A face of which two looks differ by this part of its size is none.
UNSTEADY = 0.25
#: No face is smaller (square root of the area of the landmarks' box, photo pixels).
SMALLEST = 12
BATCH = 16
#: Squares stand on a grid: their sides are powers of 2 with this many steps to the next one, their middles lie a part
#: of the side apart, their tilts some degrees.
SIDE_STEPS, MIDDLE_STEP, TILT_STEP = 64, 1 / 256, 0.5
#: Found points are multiples of a power of 2 pixels, which is this part of their face's size, or up to half of it.
POINT_STEP = 1 / 1024
CHIN, EYES = slice(6, 11), slice(36, 48)


def refine(image: np.ndarray, boxes: np.ndarray, fan: Any, *, least: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Look three times for the face of each box.

    Args:
        image: (H, W, 3) uint8 RGB. fan: a `vrnlib.network.FAN` or `vrnlib.landmarks.onnx_fan.QuickFAN`.
        boxes: (N, 4) as FaceBoxes draws them, from the forehead to the chin, or (N, 5) with its score 0 … 1.
        least: the score that is asked for; a box that is below it after one look gets no other.

    Returns:
        (N, 68, 3) float32 points, photo pixels, and (N,) scores 0 … 1: the geometric mean of the finder's score and
        the FAN's, the latter lowered by how much the last two looks differ. 0 for a box that shows no face.
    """
    boxes = np.asarray(boxes, np.float64)
    if not len(boxes):
        return np.zeros((0, 68, 3), np.float32), np.zeros(0)
    sure = np.clip(boxes[:, 4], 0, 1) if boxes.shape[1] > 4 else np.ones(len(boxes))
    points, scores = look(image, box_squares(landmark_boxes(boxes)), fan)
    hopeful = possible(points_boxes(points), image) & (np.sqrt(sure * scores) >= least)
    rows, scores = np.flatnonzero(hopeful), np.zeros(len(boxes))
    if len(rows):
        points[rows], certain = look_closer(image, points[rows], fan)
        scores[rows] = np.sqrt(sure[rows] * certain * possible(points_boxes(points[rows]), image))
    return points, scores


def look_closer(image: np.ndarray, points: np.ndarray, fan: Any) -> tuple[np.ndarray, np.ndarray]:
    """The second and the third look, from the points (N, 68, 2|3) of the first.

    Returns (N, 68, 3) float32 points, photo pixels, and (N,) the FAN's scores 0 … 1, lowered by how much both differ.
    """
    second, second_scores = look(image, head_squares(points), fan)
    third, third_scores = look(image, head_squares(second), fan, mirrored=True)
    points = (second + third) / 2
    sizes = np.maximum(box_sizes(points_boxes(points)), 1e-6)
    steps = (POINT_STEP * 2.0 ** np.floor(np.log2(sizes)))[:, None, None]
    points = (np.rint(points / steps) * steps).astype(np.float32)
    moved = np.linalg.norm((third - second)[:, :, :2], axis=2).mean(axis=1) / sizes
    return points, np.clip(1 - moved / UNSTEADY, 0, 1) * (second_scores + third_scores) / 2


def align(
    image: np.ndarray, boxes: np.ndarray, fan: Any, *, margin: float = FAN_MARGIN
) -> tuple[np.ndarray, np.ndarray]:
    """`look` once, at upright squares about boxes (N, 4) of the landmarks; `margin` times the larger side is seen."""
    return look(image, box_squares(boxes, margin=margin), fan)


def look(image: np.ndarray, squares: np.ndarray, fan: Any, *, mirrored: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Run a FAN once in each square: points (N, 68, 3) float32 in photo pixels, and scores (N,) in 0 … 1.

    image: (H, W, 3) uint8 RGB. squares: (N, 4), see `box_squares`; seen are those of `on_grid`. mirrored: the FAN sees
    mirror images; the points are those of the photo all the same. The score is the mean over the 68 heat maps of the
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
            found = found[:, MIRRORED] * [-1, 1, 1] + [size - 1, 0, 0]
        for one, square in zip(found, some, strict=True):
            points.append(transform_points(one, invert_matrix(square_matrix(square, size)))[None])
        scores.append(sharp)
    return np.concatenate(points), np.concatenate(scores)


# --- boxes, squares and heads -----------------------------------------------------------------------------------------


def landmark_boxes(boxes: np.ndarray) -> np.ndarray:
    """The boxes (N, 4) of the landmarks that boxes (N, 4|5) as FaceBoxes draws them, with a forehead, promise."""
    boxes = np.array(boxes, dtype=np.float64)[:, :4]
    boxes[:, 1] += FOREHEAD_PART * (boxes[:, 3] - boxes[:, 1])
    return boxes


def points_boxes(points: np.ndarray) -> np.ndarray:
    """Bounding boxes (N, 4) of (N, 68, 2|3) points."""
    return np.concatenate([points[:, :, :2].min(axis=1), points[:, :, :2].max(axis=1)], axis=1)


def box_sizes(boxes: np.ndarray) -> np.ndarray:
    """sqrt(width * height) of boxes (N, 4): (N,)."""
    return np.sqrt(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1))


def possible(boxes: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Whether boxes (N, 4) of landmarks may be faces of a photo: large enough, and their middle lies in it."""
    middles = (boxes[:, :2] + boxes[:, 2:4]) / 2
    inside = (middles >= 0).all(axis=1) & (middles <= np.array(image.shape[1::-1]) - 1).all(axis=1)
    sizes = box_sizes(boxes[:, :4])
    return inside & (sizes >= SMALLEST) & (sizes <= 4 * max(image.shape[:2]))


def head_tilts(points: np.ndarray) -> np.ndarray:
    """By how many degrees heads (N, 68, 2|3) lean to the right of the picture: (N,), from the chin to the eyes."""
    x, y = (points[:, EYES, :2].mean(axis=1) - points[:, CHIN, :2].mean(axis=1)).T
    return np.degrees(np.arctan2(x, -y))


def box_squares(boxes: np.ndarray, *, margin: float = FAN_MARGIN) -> np.ndarray:
    """Upright squares about boxes (N, 4): rows (middle x, middle y, side, tilt), photo pixels and 0 degrees."""
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    sides = margin * np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0), 1e-3)
    return np.column_stack([(boxes[:, :2] + boxes[:, 2:]) / 2, sides, np.zeros(len(boxes))])


def head_squares(points: np.ndarray, *, margin: float = FAN_MARGIN) -> np.ndarray:
    """Squares about the landmarks of heads (N, 68, 2|3), as tilted as these: rows (middle x, middle y, side, tilt)."""
    tilts = head_tilts(points)
    c, s = np.cos(np.radians(tilts)), np.sin(np.radians(tilts))
    upright = np.stack([np.stack([c, s], axis=-1), np.stack([-s, c], axis=-1)], axis=1)  # (N, 2, 2), photo to head
    squares = box_squares(points_boxes(points[:, :, :2] @ upright.transpose(0, 2, 1)), margin=margin)
    squares[:, :2] = np.einsum("nji,nj->ni", upright, squares[:, :2])
    squares[:, 3] = tilts
    return squares


def on_grid(squares: np.ndarray) -> np.ndarray:
    """The squares (N, 4) of the grid that are nearest to these: up to half a per cent larger or smaller.

    What differs by a computer's rounding becomes the same, but for one square in thousands.
    """
    x, y, sides, tilts = np.asarray(squares, np.float64).T
    sides = 2.0 ** (np.rint(SIDE_STEPS * np.log2(sides)) / SIDE_STEPS)
    steps = MIDDLE_STEP * sides
    x, y, tilts = (np.rint(values / step) * step for values, step in ((x, steps), (y, steps), (tilts, TILT_STEP)))
    return np.column_stack([x, y, sides, tilts])


def square_matrix(square: np.ndarray, size: int) -> np.ndarray:
    """The (2, 3) similarity from photo pixels to a picture of size x size pixels that shows the square upright."""
    x, y, side, tilt = (float(value) for value in square)
    c, s = size / side * np.cos(np.radians(tilt)), size / side * np.sin(np.radians(tilt))
    linear = np.array([[c, s], [-s, c]])
    return np.column_stack([linear, (size - 1) / 2 - linear @ [x, y]])


def square_picture(image: np.ndarray, square: np.ndarray, size: int) -> np.ndarray:
    """What a square of a photo shows: (size, size, 3) uint8, area-correct, the photo mirrored at its borders."""
    matrix = square_matrix(square, size)
    if square[3] == 0:
        return warp_similarity(image, matrix, size)
    around = int(np.ceil(1.42 * size))  # the side of an upright square in which the tilted one lies
    upright = square_matrix(np.array([square[0], square[1], square[2] * around / size, 0]), around)
    turn = matrix @ np.vstack([invert_matrix(upright), [0, 0, 1]])
    return cv2.warpAffine(warp_similarity(image, upright, around), turn, (size, size), flags=cv2.INTER_LINEAR)
