"""The box of a face from its 68 landmarks in iBUG's order (`tddfa.ibug`).

3DDFA_V2's regressor reads a square around FaceBoxes' box (`tddfa.boxes.roi_from_box`). On photographs that box is as
wide as the landmarks' box, ends at the chin, and reaches above the brows by a third of the face's height. The same rule
makes the boxes that the open detector learns and the crops that the open regressor learns from.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tddfa.arrays import Floats
from tddfa.boxes import box_around
from tddfa.ibug import BRIDGE, BROWS, CHIN

FOREHEAD = 0.3
"""How far the box reaches above the brows, as a part of the way from the chin to the bridge of the nose."""


def face_box(landmarks: ArrayLike) -> Floats:
    """The box of a face, as FaceBoxes draws it: the smallest around the landmarks and the brows moved up the forehead.

    For a tilted head the forehead lies where the head's axis points; the box is upright all the same.

    Args:
        landmarks: (68, 2) or (68, 3), image pixels, y down.

    Returns:
        (x0, y0, x1, y1) float64, image pixels.

    Raises:
        ValueError: another shape.
    """
    points = np.asarray(landmarks, np.float64)[:, :2]
    if points.shape != (68, 2):
        raise ValueError(f"Expected landmarks of shape (68, 2) or (68, 3), got {np.shape(landmarks)}.")
    forehead = points[BROWS] + FOREHEAD * (points[BRIDGE] - points[CHIN])
    return box_around(np.concatenate([points, forehead]))
