"""What parts of tddfa ask of each other: a detector, a regressor. The networks fit, and so does a test's stand-in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats

__all__ = ["Detector", "Regressor"]


class Detector(Protocol):
    """Finds the faces of a photo, as ``tddfa.FaceBoxes`` does."""

    def __call__(self, image: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """(H, W, 3) uint8 RGB to boxes (F, 5): x0, y0, x1, y1 in pixels and a score, best first."""


class Regressor(Protocol):
    """Fits the face model to faces of a photo, as ``tddfa.TDDFA`` does."""

    def __call__(
        self, image: NDArray[np.uint8], boxes: Floats | Sequence[Floats], *, crop_policy: str = "box"
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Parameters (F, 62) and rois (F, 4) for boxes, or for landmarks with ``crop_policy="landmark"``."""

    def reconstruct(self, params: Floats, rois: Floats, *, dense: bool = True) -> NDArray[np.float32]:
        """Vertices (F, N, 3) float32 in image pixels; 68 landmarks when not dense."""
