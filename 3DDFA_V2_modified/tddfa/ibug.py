"""The 68 landmarks in iBUG's order (Sagonas et al., ICCV workshops 2013): which index is what.

Right and left are the person's own, so the right eye lies at the left of the picture of a face that looks at us. The
points of the jaw run from the right ear to the left one, brows and lips likewise.

>>> import numpy as np
>>> face = np.zeros((68, 2))
>>> face[RIGHT_EYE].shape, face[list(OUTER_EYE_CORNERS)].shape
((6, 2), (2, 2))
>>> [int(MIRRORED[point]) for point in (CHIN, NOSE_TIP, *OUTER_EYE_CORNERS)]
[8, 30, 45, 36]
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .contract import LANDMARK_COUNT

__all__ = [
    "BRIDGE",
    "BROWS",
    "CHIN",
    "CLOSED_LINES",
    "EYES",
    "INNER_LIPS",
    "JAW",
    "LEFT_BROW",
    "LEFT_EYE",
    "LIPS",
    "MIRRORED",
    "MOUTH_CORNERS",
    "NOSE",
    "NOSE_BOTTOM",
    "NOSE_RIDGE",
    "NOSE_TIP",
    "OPEN_LINES",
    "OUTER_EYE_CORNERS",
    "OUTER_LIPS",
    "RIGHT_BROW",
    "RIGHT_EYE",
]

JAW = slice(0, 17)
RIGHT_BROW, LEFT_BROW = slice(17, 22), slice(22, 27)
BROWS = slice(17, 27)
NOSE_RIDGE, NOSE_BOTTOM = slice(27, 31), slice(31, 36)
NOSE = slice(27, 36)
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)
EYES = slice(36, 48)
OUTER_LIPS, INNER_LIPS = slice(48, 60), slice(60, 68)
LIPS = slice(48, 68)

CHIN, BRIDGE, NOSE_TIP = 8, 27, 30
"""Single points: the lowest of the jaw, the nose's root between the eyes, its tip."""

OUTER_EYE_CORNERS = (36, 45)
"""Their distance is what errors are divided by (NME)."""

MOUTH_CORNERS = (48, 54)

OPEN_LINES = (JAW, RIGHT_BROW, LEFT_BROW, NOSE_RIDGE, NOSE_BOTTOM)
CLOSED_LINES = (RIGHT_EYE, LEFT_EYE, OUTER_LIPS, INNER_LIPS)
"""The groups that are drawn as lines and as rings; together every point once."""

_PAIRS = (
    *zip(range(0, 8), range(16, 8, -1), strict=True),  # jaw
    *zip(range(17, 22), range(26, 21, -1), strict=True),  # brows
    *((31, 35), (32, 34)),  # nostrils
    *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),  # eyes
    *((48, 54), (49, 53), (50, 52), (58, 56), (59, 55)),  # outer lips
    *((60, 64), (61, 63), (67, 65)),  # inner lips
)


def _mirrored() -> NDArray[np.int64]:
    order = np.arange(LANDMARK_COUNT)
    for right, left in _PAIRS:
        order[[right, left]] = left, right
    order.flags.writeable = False
    return order


MIRRORED = _mirrored()
"""(68,) the order of the points in a mirrored picture: ``points[MIRRORED]`` of mirrored points is in iBUG's order."""
