"""The landmarks of a face: where they come from, how they are refined, and the files that hold them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


class LandmarkError(ValueError):
    """Landmarks that cannot be had; the message is one sentence for the user."""


@dataclass(frozen=True, eq=False)  # arrays have no plain ==
class Landmarks:
    """The landmarks of one face.

    points: (68, 2) or (68, 3) float32 photo pixels, iBUG order, z towards the camera (its zero is free).
    box: (x0, y0, x1, y1), the bounding box of the points. score: 0 … 1, how sure the source is.
    source: one of DETECTORS.
    """

    points: np.ndarray
    box: tuple[float, float, float, float]
    score: float
    source: str

    @classmethod
    def from_points(cls, points: np.ndarray, *, score: float = 1.0, source: str = "points") -> Landmarks:
        """Landmarks with the box of their points. Raises LandmarkError unless (68, 2|3) and finite."""
        points = np.array(points, dtype=np.float32)
        if points.ndim != 2 or points.shape[0] != 68 or points.shape[1] not in (2, 3):
            raise LandmarkError(f"Expected landmarks as (68, 2) or (68, 3), got {points.shape}; check the points.")
        if not np.isfinite(points).all():
            raise LandmarkError("Expected finite landmarks, got NaN or infinity; check the points.")
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        return cls(points, (float(low[0]), float(low[1]), float(high[0]), float(high[1])), float(score), source)

    @property
    def size(self) -> float:
        """sqrt(width * height) of the box, the measure that errors and crops are relative to."""
        x0, y0, x1, y1 = self.box
        return float(np.sqrt(max(x1 - x0, 0.0) * max(y1 - y0, 0.0)))
