"""The crop's geometry: a face, always of the same size and at the same place, in a 192 x 192 picture.

VRN sees nothing but this crop, so it decides everything after it. The rule (Jackson et al. 2017, section 3.2 and
their published cropping code; design section 3): take the bounding box of the 68 landmarks, w x h pixels. Scale the
photo by 90 / sqrt(w * h), move the middle of the box to the middle of the crop, (95.5, 95.5), and reflect the photo at
its borders. That is a similarity: a 2 x 3 matrix from photo pixels to crop pixels.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import sparse

from .arrays import Floats, Image, Integers
from .boxes import box_around, box_middles
from .contract import CROP_SIZE, FACE_SIZE

__all__ = [
    "CROP_SIZE",
    "FACE_SIZE",
    "checked_points",
    "crop_matrix",
    "invert_matrix",
    "similarity_scale",
    "transform_points",
    "warp_similarity",
]


def crop_matrix(landmarks: Floats, size: int = CROP_SIZE) -> Floats:
    """The similarity from photo to crop, (2, 3) float64, for a face's landmarks.

    Args:
        landmarks: (N, 2) or (N, 3), photo pixels.
        size: side of the crop in pixels; for another one than 192 everything is scaled by size / 192.

    Raises:
        ValueError: another shape, or landmarks whose box has no area or is not finite.

    Example:
        >>> crop_matrix(np.array([[100, 200], [280, 380]])).tolist()
        [[0.5, 0.0, 0.5], [0.0, 0.5, -49.5]]
    """
    points = checked_points(landmarks)[:, :2].astype(np.float64)
    box = box_around(points)
    width, height = box[2:] - box[:2]
    if not np.isfinite(points).all() or width <= 0 or height <= 0:
        raise ValueError(
            f"Expected landmarks that span a box, got one of {width:g} x {height:g} pixels; check the points."
        )
    scale = FACE_SIZE / math.sqrt(width * height) * (size / CROP_SIZE)
    shift = (size - 1) / 2 - scale * box_middles(box)
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])


def warp_similarity(image: Image, matrix: Floats, size: int) -> Image:
    """Resample an image by an upright similarity.

    Area-correct: a result pixel is the exact mean over the square that it covers in the image, at least one image
    pixel wide; when enlarging, that is bilinear interpolation. The square's sides lie along the image's, so rows and
    columns are weighted one after the other. Beyond its borders the image is mirrored (edge pixels repeated).

    Args:
        image: (H, W, 3) uint8.
        matrix: (2, 3), from pixels of the image to pixels of the result.
        size: side of the result, in pixels.

    Returns:
        (size, size, 3) uint8.

    Raises:
        ValueError: a matrix that turns or shears the image.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    scale = float(matrix[0, 0])
    apart = np.abs(matrix[:, :2] - scale * np.eye(2)).max()
    if not (scale > 0 and apart < 1e-6 * scale):
        raise ValueError(f"Expected a similarity without rotation, got {matrix.tolist()}; turn the image first.")
    rows, top = _area_weights(scale, matrix[1, 2], size, image.shape[0])
    columns, left = _area_weights(scale, matrix[0, 2], size, image.shape[1])
    region = image[top : top + rows.shape[1], left : left + columns.shape[1]]
    height, width, channels = region.shape
    thin = np.empty((size, width, channels), dtype=np.float32)
    for start in range(0, width, 1024):  # strips: floats of a whole 100-megapixel photo would take a gigabyte
        strip = region[:, start : start + 1024].astype(np.float32)
        thin[:, start : start + 1024] = (rows @ strip.reshape(height, -1)).reshape(size, -1, channels)
    turned = thin.transpose(1, 0, 2).reshape(width, -1)
    result = (columns @ turned).reshape(size, size, channels).transpose(1, 0, 2)
    return np.clip(np.rint(result), 0, 255).astype(np.uint8)


def transform_points(points: Floats, matrix: Floats) -> Floats:
    """Points (N, 2) or (N, 3) moved by a (2, 3) similarity, float32; z is scaled alike."""
    rows = np.asarray(points, dtype=np.float64).T  # one row per axis: far quicker than a product of (N, 3) and (3, 3)
    moved = np.empty((rows.shape[1], len(rows)), np.float32)
    for axis, (to_x, to_y, shift) in enumerate(np.asarray(matrix, dtype=np.float64)):
        moved[:, axis] = to_x * rows[0] + to_y * rows[1] + shift
    if len(rows) == 3:
        moved[:, 2] = rows[2] * similarity_scale(matrix)
    return moved


def invert_matrix(matrix: Floats) -> Floats:
    """The inverse of a (2, 3) affine matrix, (2, 3) float64."""
    return np.linalg.inv(np.vstack([np.asarray(matrix, dtype=np.float64), [0, 0, 1]]))[:2]


def similarity_scale(matrix: Floats) -> float:
    """The scale of a (2, 3) similarity: how many result pixels one source pixel becomes."""
    return float(math.sqrt(abs(np.linalg.det(np.asarray(matrix, dtype=np.float64)[:, :2]))))


def checked_points(landmarks: Floats) -> Floats:
    """Landmarks as a float32 array.

    Raises:
        ValueError: neither (N, 2) nor (N, 3), or fewer than two points.
    """
    points = np.asarray(landmarks, dtype=np.float32)
    if points.ndim != 2 or points.shape[1] not in (2, 3) or len(points) < 2:
        raise ValueError(f"Expected landmarks as (68, 2) or (68, 3), got {points.shape}; check the points.")
    return points


def _area_weights(scale: float, shift: float, size: int, length: int) -> tuple[sparse.csr_matrix, int]:
    """Along one axis: the share of each image pixel in each result pixel, (size, used), and the first pixel used.

    Image pixel p covers p - 0.5 … p + 0.5. Result pixel q covers a length of max(1, 1 / scale) about (q - shift) /
    scale. A share is the overlap of both, so every row sums to 1.
    """
    reach = max(1.0, 1 / scale) / 2
    middle = (np.arange(size) - shift) / scale
    first = np.floor(middle - reach + 0.5).astype(np.int64)
    pixels = first[:, None] + np.arange(math.ceil(2 * reach) + 1)
    overlap = np.minimum(pixels + 0.5, (middle + reach)[:, None]) - np.maximum(pixels - 0.5, (middle - reach)[:, None])
    shares = np.maximum(overlap, 0) / (2 * reach)
    used = _mirror(pixels, length)
    start, stop = int(used.min()), int(used.max()) + 1
    entries = shares.ravel().astype(np.float32), (used - start).ravel(), np.arange(0, used.size + 1, used.shape[1])
    return sparse.csr_matrix(entries, shape=(size, stop - start)), start


def _mirror(index: Integers, length: int) -> Integers:
    """Reflect indices into 0 … length - 1, the edge pixel repeated: -1 → 0, length → length - 1."""
    index = np.mod(index, 2 * length)
    return np.where(index < length, index, 2 * length - 1 - index)
