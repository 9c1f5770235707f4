"""Faces of any size in photos of any size: FaceBoxes looks at a large photo more than once.

FaceBoxes makes a photo smaller until it has 1080 x 720 pixels (`tddfa.faceboxes.LARGEST`), and a small face of a large
photo is lost by that. So it looks again at twice the size, and at four times. Of these looks only boxes count that the
look before shows small: larger faces were seen there already, as a whole.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from tddfa.faceboxes import LARGEST, OVERLAP, FaceBoxes
from tddfa.nms import nms
from vrnlib.landmarks.alignment import box_sizes

LOOKS = (1, 2, 4)
"""How many times as large as FaceBoxes' own size the photo may be in each look."""

ENOUGH = 0.7
"""After a look that shows the photo at this scale or a larger one there is no further one."""

SMALL = 96.0
"""Boxes of a closer look count up to this size (square root of the area) in pixels of the look before."""


def find_boxes(faceboxes: FaceBoxes, image: np.ndarray) -> np.ndarray:
    """The boxes (N, 5) float32 of the faces of an (H, W, 3) uint8 RGB photo, as `tddfa.FaceBoxes` gives them."""
    boxes = faceboxes(image)
    first_scale = min(LARGEST[0] / image.shape[0], LARGEST[1] / image.shape[1])
    for before, times in pairwise(LOOKS):
        scale = before * first_scale
        if scale >= ENOUGH:
            break
        closer = faceboxes(image, largest=(times * LARGEST[0], times * LARGEST[1]))
        boxes = np.concatenate([boxes, closer[scale * box_sizes(closer[:, :4]) <= SMALL]])
        boxes = boxes[nms(boxes, OVERLAP)]
    return boxes
