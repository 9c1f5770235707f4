"""The box of a face, as a detector draws it, from the 68 landmarks.

3DDFA_V2's regressor reads a square around FaceBoxes' box (`tddfa.geometry.roi_from_box`). On photographs that box is as
wide as the landmarks' box, ends at the chin, and reaches above the brows by a third of the face's height. The same rule
makes the boxes that the open detector learns and the crops that the open regressor learns from.
"""

from __future__ import annotations

import numpy as np

CHIN, BRIDGE, BROWS = 8, 27, slice(17, 27)
FOREHEAD = 0.3
"""How far the box reaches above the brows, as a part of the way from the chin to the bridge of the nose."""


def face_box(landmarks: np.ndarray) -> np.ndarray:
    """(x0, y0, x1, y1) float64 of the face with these landmarks (68, 2) or (68, 3), image pixels, y down.

    The smallest upright box around the landmarks and the brows moved up the forehead. For a tilted head the forehead
    lies where the head's axis points.
    """
    points = np.asarray(landmarks, np.float64)[:, :2]
    if points.shape != (68, 2):
        raise ValueError(f"Expected landmarks of shape (68, 2) or (68, 3), got {np.shape(landmarks)}.")
    forehead = points[BROWS] + FOREHEAD * (points[BRIDGE] - points[CHIN])
    around = np.concatenate([points, forehead])
    return np.concatenate([around.min(0), around.max(0)])


#: Where each landmark goes in a mirrored face.
MIRRORED = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46]
    + [39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)
