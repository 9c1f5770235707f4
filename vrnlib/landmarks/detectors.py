"""Where is the face? A detector is an object that takes a photo and gives the 68 landmarks of every face in it.

There are four. `OpenDetector` (the default) needs nothing but this package: our FaceBoxes gives boxes, our FAN aligns.
`TDDFADetector`: FaceBoxes and 3DDFA_V2's regressor, 68 points in 3D. `FaceAlignmentDetector`: the package
face-alignment of FAN's authors. `GivenPoints`: points that are known already. Whatever is called with a photo and gives
a list of `Landmarks` may stand in their place.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vrnlib.landmarks import LandmarkError, Landmarks, open_detector, tddfa_detector
from vrnlib.landmarks.files import GivenPoints
from vrnlib.landmarks.official import FaceAlignmentDetector
from vrnlib.landmarks.open_detector import OpenDetector
from vrnlib.landmarks.tddfa_detector import TDDFADetector

__all__ = [
    "DETECTORS",
    "Detector",
    "FaceAlignmentDetector",
    "GivenPoints",
    "OpenDetector",
    "TDDFADetector",
    "detect",
    "make_detector",
]

DETECTORS = (OpenDetector.name, FaceAlignmentDetector.name, TDDFADetector.name, GivenPoints.name)
"""The names that the command line knows: open, fan, tddfa, points."""


class Detector(Protocol):
    """From a photo to the landmarks of its faces. What its models lack is told when it is made, not when it is used."""

    @property
    def name(self) -> str:
        """One word; the `source` of its landmarks."""

    def __call__(self, image: NDArray[np.uint8], /) -> list[Landmarks]:
        """The faces of an (H, W, 3) uint8 RGB photo, the largest first; an empty list when there is none.

        Raises:
            PhotoError: no photo, or one that is too small.
        """


def detect(image: NDArray[np.uint8], detector: Detector | None = None) -> list[Landmarks]:
    """The 68 landmarks of every face in a photo, the largest face first; an empty list when there is none.

    Args:
        image: (H, W, 3) uint8 RGB.
        detector: default `OpenDetector`. Its models are loaded once and kept; for the very first time a network is
            exported for ONNX Runtime, in half a second.

    Raises:
        PhotoError: no photo, or one that is too small.

    Example:
        >>> from skimage.data import astronaut
        >>> faces = detect(astronaut())
        >>> len(faces), faces[0].source, faces[0].points.shape
        (1, 'open', (68, 3))
    """
    detector = OpenDetector() if detector is None else detector
    return detector(image)


def make_detector(
    name: str,
    *,
    points: Any = None,
    fan: Any = None,
    face_detector: str = "sfd",
    min_score: float | None = None,
) -> Detector:
    """The detector of that name, ready to be used. Detectors of one kind share their loaded models.

    Args:
        name: one of `DETECTORS`.
        points: for "points", see `GivenPoints`.
        fan: for "open", see `OpenDetector`.
        face_detector: for "fan", see `FaceAlignmentDetector`.
        min_score: for "open" and "tddfa", below which faces are left out; None for the usual one.

    Raises:
        LandmarkError: an unknown name, wrong points, a missing package or download.
        OSError: weights that are missing.
        ValueError: weights that are damaged or another network's.
    """
    if name == OpenDetector.name:
        return OpenDetector(fan, min_score=open_detector.MIN_SCORE if min_score is None else min_score)
    if name == FaceAlignmentDetector.name:
        return FaceAlignmentDetector(face_detector)
    if name == TDDFADetector.name:
        return TDDFADetector(min_score=tddfa_detector.MIN_SCORE if min_score is None else min_score)
    if name == GivenPoints.name:
        return GivenPoints(points)
    raise LandmarkError(f"Expected a detector out of {', '.join(DETECTORS)}, got {name!r}.")
