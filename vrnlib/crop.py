"""The crop of a photo: the 192 x 192 picture that VRN sees, and the way back into the photo.

The rule and its arithmetic are in `tddfa.crop` (the volume targets need them too); here it meets a photo and its
landmarks. The matrix is kept with the crop, so that everything found in the crop can be put back into the photo.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tddfa.arrays import Floats
from tddfa.boxes import box_around
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
from tddfa.files import file_sha256, read_file
from tddfa.images import LARGEST_OWN, OWN
from vrnlib.landmarks import Landmarks

__all__ = [
    "CROP_SIZE",
    "FACE_SIZE",
    "Crop",
    "crop_face",
    "crop_matrix",
    "describe_crop",
    "described_photo",
    "invert_matrix",
    "of_more_faces",
    "similarity_scale",
    "tells_of",
    "transform_points",
    "warp_similarity",
]

LARGEST_FACE = 20
"""Landmarks whose box is more than so many times larger than their photo are none of its."""


@dataclass(frozen=True, eq=False, repr=False)  # arrays have no plain ==
class Crop:
    """A crop and the way back.

    Attributes:
        image: (size, size, 3) uint8 RGB.
        matrix: (2, 3) float64, photo pixels → crop pixels, a similarity.
        landmarks: (68, 2) or (68, 3) float32, crop pixels, z towards the camera.

    >>> crop = Crop(np.zeros((192, 192, 3), np.uint8), np.array([[0.5, 0, 3], [0, 0.5, 4]]), np.zeros((68, 2)))
    >>> crop
    Crop(192 x 192, scale 0.500, landmarks (68, 2))
    >>> crop.to_photo(np.array([[13.0, 4.0]])).tolist()
    [[20.0, 0.0]]
    """

    image: NDArray[np.uint8]
    matrix: Floats
    landmarks: NDArray[np.float32]

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        return f"Crop({width} x {height}, scale {self.scale:.3f}, landmarks {self.landmarks.shape})"

    @property
    def scale(self) -> float:
        """Crop pixels per photo pixel."""
        return similarity_scale(self.matrix)

    def to_photo(self, points: Floats) -> NDArray[np.float32]:
        """Move (N, 2) or (N, 3) points from crop pixels into photo pixels; z is divided by the scale."""
        return transform_points(points, invert_matrix(self.matrix))

    def to_crop(self, points: Floats) -> NDArray[np.float32]:
        """Move (N, 2) or (N, 3) points from photo pixels into crop pixels; z is multiplied by the scale."""
        return transform_points(points, self.matrix)


def crop_face(image: NDArray[np.uint8], landmarks: Landmarks | Floats, size: int = CROP_SIZE) -> Crop:
    """Cut the face with these landmarks out of a photo.

    Args:
        image: (H, W, 3) uint8 RGB.
        landmarks: a `Landmarks`, or (68, 2|3) photo pixels.
        size: side of the crop, pixels; the face grows with it.

    Raises:
        ValueError: landmarks without extent, or beside the photo, or far larger than it.
    """
    points = checked_points(landmarks.points if isinstance(landmarks, Landmarks) else landmarks)
    matrix = crop_matrix(points, size)
    height, width = image.shape[:2]
    low, high = box_around(points).reshape(2, 2)
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
    crop: Crop,
    face: Landmarks,
    *,
    photo_name: str,
    photo_size: tuple[int, int],
    number: int,
    photo_sha256: str | None = None,
) -> dict[str, Any]:
    """What a .json says about a crop: all that is needed to put results back into the photo.

    Args:
        crop: from `crop_face`.
        face: the landmarks that it was made by.
        photo_name: the photo's file.
        photo_size: width and height, of the turned photo where it was turned.
        number: which face of the photo, the largest is 0.
        photo_sha256: of the photo's file, which tells photos of one name apart.
    """
    return {
        "photo": photo_name,
        "photo_sha256": photo_sha256,
        "photo_size": list(photo_size),
        "photo_turned": 90 * face.turned,
        "face": number,
        "box": [round(value, 3) for value in face.box],
        "score": round(face.score, 4),
        "detector": face.source,
        "landmarks": _rounded(face.points),
        "crop_landmarks": _rounded(crop.landmarks),
        "crop_matrix": crop.matrix.tolist(),
        "crop_size": len(crop.image),
        "axes": "photo (turned to the left by so many degrees) and crop pixels: x right, y down, z towards the camera, "
        "pixel centres at integers; "
        "crop_matrix (2 x 3) maps photo to crop",
    }


def _rounded(points: NDArray[np.float32]) -> list[list[float]]:
    """To thousandths of a pixel."""
    return np.round(points.astype(float), 3).tolist()


def described_photo(about: str | PathLike[str], software: str = OWN) -> str | None:
    """The name of the photo that a .json of ours tells of; None for another program's, or none.

    Args:
        about: the .json.
        software: what its "software" begins with; default any of our commands.
    """
    told = _told(about, software)
    return None if told is None else str(told["photo"])


def tells_of(about: str | PathLike[str], photo: Path, software: str) -> bool:
    """Whether a .json of ours tells of this very photo, and not of another one of its name.

    Args:
        about: the .json; of those of older versions, which hold no checksum, the photo's name decides.
        photo: the file.
        software: see `described_photo`.
    """
    told = _told(about, software)
    if told is None or str(told["photo"]) != photo.name:
        return False
    digest = told.get("photo_sha256")
    return digest is None or (photo.is_file() and digest == file_sha256(photo))


def _told(about: str | PathLike[str], software: str) -> dict[str, Any] | None:
    """What a .json of ours says, with the name of its photo; None for another program's, or none."""
    try:
        told = json.loads(read_file(about, largest=LARGEST_OWN, what="a .json"))
        return told if told["software"].startswith(software) and "photo" in told else None
    except Exception:  # not there, not readable, no JSON, another one
        return None


def of_more_faces(folder: Path, name: str, photo_name: str, number: int, software: str) -> Iterator[str]:
    """NAME_K for the results of a photo's faces from this number on, which an earlier run found and this did not."""
    while described_photo(folder / f"{name}_{number}.json", software) == photo_name:
        yield f"{name}_{number}"
        number += 1
