"""Faces of any size in photos of any size: FaceBoxes on an image pyramid.

FaceBoxes makes a photo smaller until it has 1080 x 720 pixels (`tddfa.faceboxes.LARGEST`), and a small face of a large
photo is lost by that. So it runs again at twice the size, and at four times. Of these levels only boxes count that the
level before shows small: larger faces were seen there already, as a whole.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tddfa.boxes import box_sizes
from tddfa.faceboxes import LARGEST, OVERLAP
from tddfa.nms import nms

LEVELS = (1, 2, 4)
"""How many times as large as FaceBoxes' own size the photo may be at each level."""

ENOUGH = 0.7
"""After a level that shows the photo at this scale or a larger one there is no further one."""

SMALL = 96.0
"""Boxes of a further level count up to this size (square root of the area) in pixels of the level before."""


class ScalableFaceDetector(Protocol):
    """A face detector that can be told how large it may see the photo, as `tddfa.FaceBoxes`."""

    def __call__(self, image: NDArray[np.uint8], *, largest: tuple[int, int] = LARGEST) -> NDArray[Any]:
        """Boxes (N, 5) of an (H, W, 3) photo, seen at no more than ``largest`` (height, width) pixels."""


class FaceBoxesPyramid:
    """FaceBoxes that finds small faces in large photos.

    Args:
        face_boxes: a `tddfa.FaceBoxes`.
    """

    def __init__(self, face_boxes: ScalableFaceDetector) -> None:
        self.face_boxes = face_boxes

    def __repr__(self) -> str:
        return f"FaceBoxesPyramid({self.face_boxes})"

    def __call__(self, image: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """The boxes (N, 5) float32 of the faces of an (H, W, 3) uint8 RGB photo, as `tddfa.FaceBoxes` gives them."""
        boxes = self.face_boxes(image)
        first_scale = min(LARGEST[0] / image.shape[0], LARGEST[1] / image.shape[1])
        for before, times in pairwise(LEVELS):
            scale = before * first_scale
            if scale >= ENOUGH:
                break
            closer = self.face_boxes(image, largest=(times * LARGEST[0], times * LARGEST[1]))
            boxes = np.concatenate([boxes, closer[scale * box_sizes(closer) <= SMALL]])
            boxes = boxes[nms(boxes, OVERLAP)]
        return boxes
