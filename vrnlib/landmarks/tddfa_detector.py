"""Landmarks by 3DDFA_V2: FaceBoxes gives boxes, the regressor fits the face model, 68 points are read off it."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from tddfa.arrays import Floats
from tddfa.boxes import box_around, box_sizes
from tddfa.interfaces import Detector as FaceDetector
from tddfa.interfaces import Regressor
from vrnlib.images import as_photo
from vrnlib.landmarks import Landmarks, largest_first
from vrnlib.landmarks.alignment import mean_distances, mirrored_points, plausible
from vrnlib.landmarks.open_detector import MIN_BOX_SCORE
from vrnlib.landmarks.pyramid import FaceBoxesPyramid
from vrnlib.landmarks.retries import look_again

MIN_SCORE = 0.7
"""Below it a face is left out. Of FaceBoxes' own false alarms 0.7 drops half, of the faces one in twenty."""

UNSTEADY = 0.25
"""A face whose three passes differ by this part of its size in all is none."""


class TDDFADetector:
    """FaceBoxes and 3DDFA_V2's regressor. Loaded models are kept and shared.

    Args:
        face_detector: gives boxes as FaceBoxes does; default FaceBoxes.
        regressor: fits the face model; default `tddfa.TDDFA`. Both defaults are official where the files were at hand
            when the first such detector was made, else open.
        min_score: faces with a lower score are left out, see `__call__`.

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

        The regressor passes three times: over the boxes, over the points found there, and over these on the mirror
        image. The mean of the last two is better than either. Where the passes differ there may be no face, so a
        score is the geometric mean of the box's and of how well they agree.
        """
        from tddfa.runtimes import limited_to

        image = as_photo(image)
        with limited_to(1):  # as in `OpenDetector`
            return self._look(image) or look_again(image, self._look)

    def _look(self, image: NDArray[np.uint8]) -> list[Landmarks]:
        points, scores = self._fit(image)
        return largest_first(
            Landmarks.from_points(one, score=float(score), source=self.name)
            for one, score in zip(points, scores, strict=True)
            if score >= self.min_score
        )

    def _fit(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Points (F, 68, 3) and scores (F,)."""
        boxes = np.asarray(self.face_detector(image), np.float64)
        if not len(boxes):
            return np.zeros((0, 68, 3), np.float32), np.zeros(0)
        scores = boxes[:, 4] if boxes.shape[1] > 4 else np.ones(len(boxes))
        rows = np.flatnonzero((scores >= self.min_score) & plausible(boxes, image))
        first = self.regressor.reconstruct(*self.regressor(image, boxes[rows]), dense=False)
        sane = plausible(box_around(first), image)
        rows, first = rows[sane], first[sane]
        second = self._again(image, first)
        width = image.shape[1]
        third = self._again(np.ascontiguousarray(image[:, ::-1]), mirrored_points(second, width))
        third = mirrored_points(third, width).astype(np.float32)
        sizes = np.maximum(box_sizes(box_around(second)), 1e-6)
        moved = mean_distances(first, second) / sizes + mean_distances(second, third) / sizes
        middle = ((second + third) / 2).astype(np.float32)
        return middle, np.sqrt(scores[rows] * np.clip(1 - moved / UNSTEADY, 0, 1))

    def _again(self, image: NDArray[np.uint8], points: Floats) -> NDArray[np.float32]:
        """The points (F, 68, 3) that the regressor finds where it is shown others (F, 68, 3)."""
        return self.regressor.reconstruct(*self.regressor(image, list(points), crop_policy="landmark"), dense=False)


@cache
def tddfa_models() -> tuple[FaceDetector, Regressor]:
    """FaceBoxes and the regressor, by ONNX Runtime."""
    import torch

    from tddfa import TDDFA, FaceBoxes

    threads = torch.get_num_threads()
    face_detector = FaceBoxes(runtime="onnx", threads=threads, min_score=MIN_BOX_SCORE)
    return FaceBoxesPyramid(face_detector), TDDFA(runtime="onnx", threads=threads)
