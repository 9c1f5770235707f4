"""The crop of a photo: the 192 x 192 picture that VRN sees, and the way back into the photo.

The rule and its arithmetic are in `tddfa.crop` (the volume targets need them too); here it meets a photo and its
landmarks. The matrix is kept with the crop, so that everything found in the crop can be put back into the photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tddfa.crop import (
    CROP_SIZE,
    FACE_SIZE,
    checked_points,
    crop_matrix,
    invert_matrix,
    similarity_scale,
    transform_points,
    warp_similarity,
)

__all__ = [
    "CROP_SIZE", "FACE_SIZE", "Crop", "crop_face", "crop_matrix", "invert_matrix", "similarity_scale",
    "transform_points", "warp_similarity",
]  # fmt: skip


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


def crop_face(image: np.ndarray, landmarks: Any, size: int = CROP_SIZE) -> Crop:
    """Cut the face with these landmarks out of a photo.

    image: (H, W, 3) uint8 RGB. landmarks: (68, 2|3) photo pixels, or a `Landmarks`.
    Raises ValueError for landmarks without extent.
    """
    points = checked_points(getattr(landmarks, "points", landmarks))
    matrix = crop_matrix(points, size)
    return Crop(
        image=warp_similarity(image, matrix, size),
        matrix=matrix,
        landmarks=transform_points(points, matrix),
    )
