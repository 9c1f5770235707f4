"""The coordinate contract, and the numbers that every part of the project rests on.

Image. (H, W, 3) uint8 RGB; x runs right, y down, pixel centres lie at integers. z runs towards the camera.

Landmarks. 68 points in iBUG's order (``tddfa.ibug``), (68, 2) or (68, 3), image pixels.

Crop. 192 x 192 pixels. A face's landmarks span a box of w x h pixels; the photo is scaled by 90 / sqrt(w * h), and the
box's middle comes to the crop's middle, (95.5, 95.5). The way from photo to crop is a similarity, a (2, 3) matrix.

Vertices. (N, 3) float32, pixels of the crop (or of the photo); the nose has the largest z.

Volume. (200, 192, 192) bool, indexed [z, y, x]. Slices grow towards the camera, two to a pixel of depth:
k = 2 z + offset, z = (k - offset) / 2. The solid's bounding box is centred in depth, on slice 99.5.

A worked example: landmarks that span x from 210 to 330 and y from 100 to 280, so a box of 120 x 180 pixels.

>>> import numpy as np
>>> from tddfa.crop import crop_matrix, transform_points
>>> box = np.array([[210.0, 100.0], [330.0, 280.0]])
>>> matrix = crop_matrix(box)
>>> bool(np.isclose(matrix[0, 0], 90 / np.sqrt(120 * 180)))  # crop pixels per photo pixel
True
>>> transform_points(np.array([[270.0, 190.0]]), matrix)  # the middle of the box
array([[95.5, 95.5]], dtype=float32)

In the crop the face's z reaches from -20 to 44 pixels, 64 in all. Its middle, 12, belongs to the middle slice:

>>> offset = MIDDLE_SLICE - SLICES_PER_PIXEL * (-20 + 44) / 2
>>> offset
75.5
>>> [SLICES_PER_PIXEL * z + offset for z in (-20, 12, 44)]  # the back, the middle, the tip of the nose
[35.5, 99.5, 163.5]

A voxel of the volume therefore is half as deep as it is wide, and z is halved before anything is measured:

>>> (163.5 - offset) / SLICES_PER_PIXEL
44.0
"""

from __future__ import annotations

__all__ = [
    "ANGLE_LIMITS",
    "CROP_MIDDLE",
    "CROP_SIZE",
    "EXPRESSION_COUNT",
    "FACE_SIZE",
    "FARTHEST",
    "LANDMARK_COUNT",
    "MIDDLE_SLICE",
    "NETWORK_SIZE",
    "PARAMETER_COUNT",
    "POSE_COUNT",
    "ROI_LOWERED",
    "ROI_SIDE",
    "SHAPE_COUNT",
    "SLICES_PER_PIXEL",
    "VOLUME_DEPTH",
    "VOLUME_SHAPE",
]

LANDMARK_COUNT = 68
"""Points of a face, in iBUG's order."""

CROP_SIZE = 192
"""Side of the crop that a VRN sees, in pixels."""

CROP_MIDDLE = (CROP_SIZE - 1) / 2
"""x and y of the crop's middle, 95.5: pixel centres lie at 0 ... 191."""

FACE_SIZE = 90.0
"""sqrt(w * h) of the landmarks' box in the crop, in pixels (Jackson et al., ICCV 2017, section 3.2)."""

VOLUME_DEPTH = 200
"""Slices of a volume."""

VOLUME_SHAPE = (VOLUME_DEPTH, CROP_SIZE, CROP_SIZE)
"""[z, y, x]."""

SLICES_PER_PIXEL = 2.0
"""Slices of depth to a pixel of width."""

MIDDLE_SLICE = (VOLUME_DEPTH - 1) / 2
"""The middle of the depth, 99.5: slices lie at 0 ... 199."""

FARTHEST = 524288.0
"""Pixels from the origin beyond which the compiled code takes no vertex: its 1/1024 pixels stay exact below."""

ANGLE_LIMITS = (90.0, 40.0, 45.0)
"""Largest yaw, pitch and roll, in degrees to either side, of the heads that networks and volumes are made for."""

NETWORK_SIZE = 120
"""Side of the crop that 3DDFA_V2's network reads, in pixels."""

ROI_SIDE, ROI_LOWERED = 1.58, 0.14
"""The square about a detected box, in mean sides of the box: its side, and how far its centre lies lower."""

POSE_COUNT, SHAPE_COUNT, EXPRESSION_COUNT = 12, 40, 10
"""Numbers of a face: the 3 x 4 matrix ``scale * R | t``, and the coefficients of shape and expression."""

PARAMETER_COUNT = POSE_COUNT + SHAPE_COUNT + EXPRESSION_COUNT
"""The 62 numbers that 3DDFA_V2's network gives for a face."""
