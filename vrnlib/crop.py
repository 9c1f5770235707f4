"""The crop: a face, always of the same size and at the same place, in a 192 x 192 picture.

VRN sees nothing but this crop, so it decides everything after it. The rule (Jackson et al. 2017, section 3.2 and
their published cropping code; design section 3): take the bounding box of the 68 landmarks, w x h pixels. Scale the
photo by 90 / sqrt(w * h), move the middle of the box to the middle of the crop, (95.5, 95.5), and reflect the photo at
its borders. That is a similarity: a 2 x 3 matrix from photo pixels to crop pixels, kept with the crop, so that
everything found in the crop can be put back into the photo.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from vrnlib.images import PhotoError

#: Side of the crop, and sqrt(w * h) of the landmarks' box inside it, in pixels.
CROP_SIZE = 192
FACE_SIZE = 90.0


@dataclass(frozen=True)
class Crop:
    """A crop and the way back.

    image: (size, size, 3) uint8 RGB. matrix: (2, 3) float64, photo pixels → crop pixels, a similarity.
    landmarks: (68, 2) or (68, 3) float32, crop pixels, z towards the camera.
    """

    image: np.ndarray
    matrix: np.ndarray
    landmarks: np.ndarray

    @property
    def scale(self) -> float:
        """Crop pixels per photo pixel."""
        return similarity_scale(self.matrix)

    def to_photo(self, points: np.ndarray) -> np.ndarray:
        """Move (N, 2) or (N, 3) points from crop pixels into photo pixels; z is divided by the scale."""
        return transform_points(points, invert_matrix(self.matrix))

    def to_crop(self, points: np.ndarray) -> np.ndarray:
        """Move (N, 2) or (N, 3) points from photo pixels into crop pixels; z is multiplied by the scale."""
        return transform_points(points, self.matrix)


def crop_matrix(landmarks: Any, size: int = CROP_SIZE) -> np.ndarray:
    """The (2, 3) float64 similarity, photo → crop, for (N, 2|3) landmarks or a `Landmarks`.

    For another `size` than 192 everything is scaled by size / 192. Raises PhotoError when the box of the landmarks
    has no area or is not finite.
    """
    points = _points(landmarks)[:, :2].astype(np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    width, height = high - low
    if not np.isfinite(points).all() or width <= 0 or height <= 0:
        raise PhotoError(
            f"Expected landmarks that span a box, got one of {width:g} x {height:g} pixels; check the points."
        )
    scale = FACE_SIZE / math.sqrt(width * height) * (size / CROP_SIZE)
    middle = (low + high) / 2
    shift = (size - 1) / 2 - scale * middle
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])


def crop_face(image: np.ndarray, landmarks: Any, size: int = CROP_SIZE) -> Crop:
    """Cut the face with these landmarks out of a photo.

    image: (H, W, 3) uint8 RGB. landmarks: (68, 2|3) photo pixels, or a `Landmarks`.
    Raises PhotoError for landmarks without extent.
    """
    points = _points(landmarks)
    matrix = crop_matrix(points, size)
    return Crop(
        image=warp_similarity(image, matrix, size),
        matrix=matrix,
        landmarks=transform_points(points, matrix),
    )


def warp_similarity(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Resample an image (H, W, C) uint8 into (size, size, C) uint8 by a (2, 3) similarity image → result.

    Downsampling is area-correct: a result pixel is the mean over the square that it covers in the image, taken on a
    regular n x n grid of bilinear samples with n = ceil(1 / scale). Scales below 1/8 first reduce the image by whole
    blocks. Outside the image lies its mirror image (edge pixels repeated). Pixel centres are at integers, so a block
    of f pixels that starts at 0 has its centre at (f - 1) / 2; this is where crops and landmarks drift apart
    if the half pixels are forgotten.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    scale = similarity_scale(matrix)
    block = max(1, int(1 / (4 * scale)))  # 1 up to scale 1/8; afterwards 4 … 8 block pixels remain per result pixel
    if 1 / scale <= 8:
        block = 1
    samples = max(1, math.ceil(1 / (scale * block) - 1e-9))

    region, origin = _mirrored_region(image, matrix, size, block)
    if block > 1:
        height, width = region.shape[0] // block, region.shape[1] // block
        region = cv2.resize(region, (width, height), interpolation=cv2.INTER_AREA)

    # region pixel r ← image pixel p:  p = block * r + (block - 1) / 2 + origin
    to_image = np.array([[block, 0, (block - 1) / 2 + origin[0]], [0, block, (block - 1) / 2 + origin[1]], [0, 0, 1]])
    # sample pixel s ← result pixel q:  s = samples * q + (samples - 1) / 2
    to_samples = np.array([[samples, 0, (samples - 1) / 2], [0, samples, (samples - 1) / 2], [0, 0, 1]])
    full = to_samples @ np.vstack([matrix, [0, 0, 1]]) @ to_image
    fine = cv2.warpAffine(
        region,
        full[:2],
        (size * samples, size * samples),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if samples == 1:
        return fine
    return cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA)


def transform_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Apply a (2, 3) similarity to (N, 2) or (N, 3) points; z is scaled alike. Returns float32."""
    points = np.asarray(points, dtype=np.float64)
    moved = points.copy()
    moved[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    if points.shape[1] == 3:
        moved[:, 2] = points[:, 2] * similarity_scale(matrix)
    return moved.astype(np.float32)


def invert_matrix(matrix: np.ndarray) -> np.ndarray:
    """The inverse of a (2, 3) affine matrix, (2, 3) float64."""
    return np.linalg.inv(np.vstack([np.asarray(matrix, dtype=np.float64), [0, 0, 1]]))[:2]


def similarity_scale(matrix: np.ndarray) -> float:
    """The scale of a (2, 3) similarity: how many result pixels one source pixel becomes."""
    return float(math.sqrt(abs(np.linalg.det(np.asarray(matrix, dtype=np.float64)[:, :2]))))


def _points(landmarks: Any) -> np.ndarray:
    points = np.asarray(getattr(landmarks, "points", landmarks), dtype=np.float32)
    if points.ndim != 2 or points.shape[1] not in (2, 3) or len(points) < 2:
        raise PhotoError(f"Expected landmarks as (68, 2) or (68, 3), got {points.shape}; check the points.")
    return points


def _mirrored_region(image: np.ndarray, matrix: np.ndarray, size: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of the (endlessly mirrored) image that the result needs, and the image position of its pixel (0, 0).

    Its sides are multiples of `block`.
    """
    corners = np.array([[-0.5, -0.5], [size - 0.5, -0.5], [-0.5, size - 0.5], [size - 0.5, size - 0.5]])
    corners = transform_points(corners, invert_matrix(matrix)).astype(np.float64)
    margin = 2 * block
    low = np.floor(corners.min(axis=0)).astype(int) - margin
    high = np.ceil(corners.max(axis=0)).astype(int) + margin + 1
    high += -(high - low) % block
    rows = _mirror(np.arange(low[1], high[1]), image.shape[0])
    columns = _mirror(np.arange(low[0], high[0]), image.shape[1])
    if np.array_equal(rows, np.arange(low[1], high[1])) and np.array_equal(columns, np.arange(low[0], high[0])):
        return np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]]), low
    return np.ascontiguousarray(image[np.ix_(rows, columns)]), low


def _mirror(index: np.ndarray, length: int) -> np.ndarray:
    """Reflect indices into 0 … length - 1, the edge pixel repeated: -1 → 0, length → length - 1."""
    index = np.mod(index, 2 * length)
    return np.where(index < length, index, 2 * length - 1 - index)
