"""Landmarks by this package alone: our FaceBoxes gives boxes, our FAN aligns the faces in them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tddfa.boxes import box_middles
from tddfa.interfaces import Detector as FaceDetector
from vrnlib.images import as_photo
from vrnlib.landmarks import Landmarks, largest_first
from vrnlib.landmarks.alignment import align
from vrnlib.landmarks.retries import BELIEVED, look_again, nearby_boxes

MIN_SCORE = 0.4
"""Below it a face is left out. On 300 pictures of rendered people 0.4 lets 5 false faces through, on scikit-image's
photos without people none."""

MIN_BOX_SCORE = 0.3
"""Boxes that our FaceBoxes hands to the FAN, which judges them: far less sure than FaceBoxes' usual 0.5."""


class OpenDetector:
    """Our FaceBoxes, trained on rendered faces, and our FAN. Loaded models are kept and shared.

    Args:
        fan: a name or path of the FAN's weights, or what `vrnlib.landmarks.alignment.align` takes for a FAN.
        face_detector: gives boxes as FaceBoxes draws them, from the forehead to the chin
            (`vrnlib.landmarks.ibug.face_box`); default our FaceBoxes, on large photos at several scales.
        min_score: faces with a lower score are left out.

    Raises:
        FileNotFoundError: there are no such weights.
        ValueError: they are damaged or another network's.
    """

    name = "open"

    def __init__(
        self, fan: Any = None, *, face_detector: FaceDetector | None = None, min_score: float = MIN_SCORE
    ) -> None:
        from vrnlib.landmarks.onnx_fan import open_fan

        self.fan = open_fan("fan_open" if fan is None else fan)
        self.face_detector = open_face_detector() if face_detector is None else face_detector
        self.min_score = min_score

    def __repr__(self) -> str:
        return f"OpenDetector({type(self.fan).__name__}, min_score={self.min_score})"

    def __call__(self, image: NDArray[np.uint8], /) -> list[Landmarks]:
        """See `vrnlib.landmarks.detectors.Detector`."""
        from tddfa.runtimes import limited_to

        image = as_photo(image)
        with limited_to(1):  # torch has little to do here, and on a busy machine waits for others ten times as long
            return self._look(image) or look_again(image, self._look)

    def _look(self, image: NDArray[np.uint8]) -> list[Landmarks]:
        boxes = np.asarray(self.face_detector(image), np.float64)
        points, scores = align(image, boxes, self.fan, min_score=self.min_score)
        if len(boxes) and boxes.shape[1] > 4:
            refused = (boxes[:, 4] >= BELIEVED) & (scores < self.min_score)
            nearby = nearby_boxes(boxes[refused]).reshape(-1, boxes.shape[1])
            more, their_scores = align(image, nearby, self.fan, min_score=self.min_score)
            points, scores = np.concatenate([points, more]), np.concatenate([scores, their_scores])
        faces = (
            Landmarks.from_points(one, score=float(score), source=self.name)
            for one, score in zip(points, scores, strict=True)
            if score >= max(self.min_score, 1e-9)
        )
        return largest_first(drop_doubles(faces))


@cache
def open_face_detector() -> FaceDetector:
    """Our FaceBoxes, by ONNX Runtime, at several scales."""
    import torch

    from tddfa.faceboxes import OPEN_WEIGHTS, FaceBoxes
    from vrnlib.landmarks.pyramid import FaceBoxesPyramid

    threads = torch.get_num_threads()
    return FaceBoxesPyramid(FaceBoxes(OPEN_WEIGHTS, runtime="onnx", threads=threads, min_score=MIN_BOX_SCORE))


def drop_doubles(faces: Iterable[Landmarks]) -> list[Landmarks]:
    """Of faces whose middles are nearer than half a face, keep the one with the best score."""
    kept: list[Landmarks] = []
    for face in sorted(faces, key=lambda face: -face.score):
        middle = box_middles(np.array(face.box))
        away = [float(np.linalg.norm(middle - box_middles(np.array(other.box)))) for other in kept]
        if all(far >= 0.5 * max(face.size, other.size) for far, other in zip(away, kept, strict=True)):
            kept.append(face)
    return kept
