"""The landmarks of a face: where they come from, how they are refined, and the files that hold them.

The words of this wing, as in 3DDFA_V2 and FAN: *face detection* gives boxes of faces, *face alignment* the 68 landmarks
in such a box. A *face detector* is what gives boxes (`tddfa.FaceBoxes`, S3FD); a *detector* goes the whole way from a
photo to landmarks (`vrnlib.landmarks.detectors`). The FAN *predicts* points in a *square* of the photo, one forward
pass; to *refine* points is to predict again in a square that is placed and turned by them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tddfa.boxes import box_around, box_sizes
from tddfa.contract import LANDMARK_COUNT


class LandmarkError(ValueError):
    """Landmarks that cannot be had; the message is one sentence for the user."""


@dataclass(frozen=True, eq=False, repr=False)  # arrays have no plain ==
class Landmarks:
    """The landmarks of one face.

    Attributes:
        points: (68, 2) or (68, 3) float32 photo pixels, iBUG order, z towards the camera (its zero is free).
        box: (x0, y0, x1, y1), the bounding box of the points.
        score: 0 … 1, how sure the source is.
        source: the name of the detector, one of `vrnlib.landmarks.detectors.DETECTORS`.
        turned: by how many quarter turns to the left the photo was turned, in whose pixels the points are
            (`vrnlib.landmarks.retries.upright`).
    """

    points: NDArray[np.float32]
    box: tuple[float, float, float, float]
    score: float
    source: str
    turned: int = 0

    @classmethod
    def from_points(cls, points: ArrayLike, *, score: float = 1.0, source: str = "points") -> Landmarks:
        """Landmarks with the box of their points.

        Args:
            points: (68, 2) or (68, 3) photo pixels.
            score: 0 … 1.
            source: the name of the detector.

        Raises:
            LandmarkError: another shape, NaN or infinity.

        >>> Landmarks.from_points(np.linspace([10, 20], [110, 65], 68))
        Landmarks(float32 (68, 2), box (10, 20, 110, 65), score 1.00, points)
        """
        points = np.array(points, dtype=np.float32)
        if points.ndim != 2 or points.shape[0] != LANDMARK_COUNT or points.shape[1] not in (2, 3):
            raise LandmarkError(f"Expected landmarks as (68, 2) or (68, 3), got {points.shape}; check the points.")
        if not np.isfinite(points).all():
            raise LandmarkError("Expected finite landmarks, got NaN or infinity; check the points.")
        x0, y0, x1, y1 = box_around(points).tolist()
        return cls(points, (x0, y0, x1, y1), float(score), source)

    def __repr__(self) -> str:
        box = ", ".join(f"{value:.0f}" for value in self.box)
        return f"Landmarks({self.points.dtype} {self.points.shape}, box ({box}), score {self.score:.2f}, {self.source})"

    @property
    def size(self) -> float:
        """sqrt(width * height) of the box, the measure that errors and crops are relative to."""
        return float(box_sizes(np.array(self.box)))


def largest_first(faces: Iterable[Landmarks]) -> list[Landmarks]:
    """The faces in the order in which every detector gives them."""
    return sorted(faces, key=lambda face: -face.size)
