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
    "CHIN_LINE",
    "CLOSED_LINES",
    "EYES",
    "INNER_LIPS",
    "JAW",
    "JAW_ENDS",
    "LEFT_BROW",
    "LEFT_EYE",
    "LEFT_JAW",
    "LIPS",
    "LIP_BOTTOM",
    "LIP_TOP",
    "MIRRORED",
    "MOUTH_BOTTOM",
    "MOUTH_CORNERS",
    "MOUTH_TOP",
    "NOSE",
    "NOSE_BASE",
    "NOSE_BOTTOM",
    "NOSE_RIDGE",
    "NOSE_TIP",
    "NOSTRILS",
    "OPEN_LINES",
    "OUTER_EYE_CORNERS",
    "OUTER_LIPS",
    "RIGHT_BROW",
    "RIGHT_EYE",
    "RIGHT_JAW",
]

JAW = slice(0, 17)
RIGHT_JAW, LEFT_JAW = slice(0, 8), slice(9, 17)
RIGHT_BROW, LEFT_BROW = slice(17, 22), slice(22, 27)
BROWS = slice(17, 27)
NOSE_RIDGE, NOSE_BOTTOM = slice(27, 31), slice(31, 36)
NOSE = slice(27, 36)
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)
EYES = slice(36, 48)
OUTER_LIPS, INNER_LIPS = slice(48, 60), slice(60, 68)
LIPS = slice(48, 68)

CHIN, BRIDGE, NOSE_TIP, NOSE_BASE = 8, 27, 30, 33
"""Single points: the lowest of the jaw, the nose's root between the eyes, its tip, its base above the lips."""

CHIN_LINE = slice(6, 11)
"""The chin and its two neighbours on either side; their middle is steadier than the chin alone."""

LIP_TOP, LIP_BOTTOM, MOUTH_TOP, MOUTH_BOTTOM = 51, 57, 62, 66
"""Single points in the mouth's middle: the lips' outer edges, and the two edges of its opening."""

OUTER_EYE_CORNERS = (36, 45)
"""Their distance is what errors are divided by (NME)."""

JAW_ENDS, NOSTRILS, MOUTH_CORNERS = (0, 16), (32, 34), (48, 54)
"""Pairs, the person's right one first; the jaw's ends lie before the ears."""

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
