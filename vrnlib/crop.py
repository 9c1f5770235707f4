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
    "CROP_SIZE",
    "FACE_SIZE",
    "Crop",
    "crop_face",
    "crop_matrix",
    "describe_crop",
    "invert_matrix",
    "similarity_scale",
    "transform_points",
    "warp_similarity",
]

LARGEST_FACE = 20
"""Landmarks whose box is more than so many times larger than their photo are none of its."""


@dataclass(frozen=True, eq=False)  # arrays have no plain ==
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
    Raises ValueError for landmarks without extent, or beside the photo, or far larger than it.
    """
    points = checked_points(getattr(landmarks, "points", landmarks))
    matrix = crop_matrix(points, size)
    height, width = image.shape[:2]
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    beside = (high < 0).any() or (low > [width - 1, height - 1]).any()
    if beside or max(high - low) > LARGEST_FACE * max(width, height):
        raise ValueError(
            f"Expected landmarks in the photo of {width} x {height} pixels, got some from {low.round().tolist()} to "
            f"{high.round().tolist()}; are they another photo's?"
        )
    return Crop(
        image=warp_similarity(image, matrix, size),
        matrix=matrix,
        landmarks=transform_points(points, matrix),
    )


def describe_crop(
    crop: Crop, face: Any, *, photo_name: str, photo_size: tuple[int, int], number: int
) -> dict[str, Any]:
    """What a .json says about a crop: all that is needed to put results back into the photo.

    face: its `Landmarks`. photo_size: width and height. number: which face of the photo, the largest is 0.
    """
    return {
        "photo": photo_name,
        "photo_size": list(photo_size),
        "face": number,
        "box": [round(value, 3) for value in face.box],
        "score": round(face.score, 4),
        "detector": face.source,
        "landmarks": _rounded(face.points),
        "crop_landmarks": _rounded(crop.landmarks),
        "crop_matrix": crop.matrix.tolist(),
        "crop_size": len(crop.image),
        "axes": "photo and crop pixels: x right, y down, z towards the camera, pixel centres at integers; "
        "crop_matrix (2 x 3) maps photo to crop",
    }


def _rounded(points: np.ndarray) -> list[list[float]]:
    """To thousandths of a pixel."""
    return np.round(points.astype(float), 3).tolist()
