"""Landmarks by 3DDFA_V2: FaceBoxes gives boxes, the regressor fits the face model, 68 points are read off it."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from tddfa.boxes import box_around
from tddfa.interfaces import Detector as FaceDetector
from tddfa.interfaces import Regressor
from vrnlib.images import as_photo
from vrnlib.landmarks import Landmarks, largest_first
from vrnlib.landmarks.alignment import plausible
from vrnlib.landmarks.open_detector import MIN_BOX_SCORE

MIN_SCORE = 0.7
"""Below it a face is left out. Of FaceBoxes' own false alarms 0.7 drops half, of the faces one in twenty."""


class TDDFADetector:
    """FaceBoxes and 3DDFA_V2's regressor. Loaded models are kept and shared.

    Args:
        face_detector: gives boxes as FaceBoxes does; default FaceBoxes.
        regressor: fits the face model; default `tddfa.TDDFA`. Both defaults are official where the files were at hand
            when the first such detector was made, else open.
        min_score: faces whose box has a lower score are left out.

    Raises:
        OSError: weights that are missing.
        ValueError: weights that are damaged or another network's.
    """

    name = "tddfa"

    def __init__(
        self,
        *,
        face_detector: FaceDetector | None = None,
        regressor: Regressor | None = None,
        min_score: float = MIN_SCORE,
    ) -> None:
        if face_detector is None or regressor is None:
            usual = tddfa_models()
            face_detector, regressor = face_detector or usual[0], regressor or usual[1]
        self.face_detector, self.regressor, self.min_score = face_detector, regressor, min_score

    def __repr__(self) -> str:
        return f"TDDFADetector({self.face_detector}, {self.regressor}, min_score={self.min_score})"

    def __call__(self, image: NDArray[np.uint8], /) -> list[Landmarks]:
        """See `vrnlib.landmarks.detectors.Detector`.

        The regressor passes twice: over the boxes, then over the points found there; the second pass makes the error a
        tenth smaller.
        """
        from tddfa.runtimes import limited_to

        image = as_photo(image)
        with limited_to(1):  # as in `OpenDetector`
            points, scores = self._fit(image)
        return largest_first(
            Landmarks.from_points(one, score=float(score), source=self.name)
            for one, score in zip(points, scores, strict=True)
        )

    def _fit(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Points (F, 68, 3) and the scores (F,) of their boxes."""
        boxes = np.asarray(self.face_detector(image), np.float64)
        if not len(boxes):
            return np.zeros((0, 68, 3), np.float32), np.zeros(0)
        scores = boxes[:, 4] if boxes.shape[1] > 4 else np.ones(len(boxes))
        rows = np.flatnonzero((scores >= self.min_score) & plausible(boxes, image))
        points = self.regressor.reconstruct(*self.regressor(image, boxes[rows]), dense=False)
        sane = plausible(box_around(points), image)
        rows, points = rows[sane], points[sane]
        again = self.regressor(image, list(points), crop_policy="landmark")
        return self.regressor.reconstruct(*again, dense=False), scores[rows]


@cache
def tddfa_models() -> tuple[FaceDetector, Regressor]:
    """FaceBoxes and the regressor, by ONNX Runtime."""
    import torch

    from tddfa import TDDFA, FaceBoxes

    threads = torch.get_num_threads()
    face_detector = FaceBoxes(runtime="onnx", threads=threads, min_score=MIN_BOX_SCORE)
    return face_detector, TDDFA(runtime="onnx", threads=threads)
