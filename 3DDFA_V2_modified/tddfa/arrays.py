"""Names for the arrays that go in and out; shapes stand in the docstrings, since types cannot say them.

Functions take what NumPy can turn into these, and say in their docstrings what they return exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Image", "Integers", "Volume"]

Image = NDArray[np.uint8]
"""A photo or picture (H, W, 3), RGB; x right, y down."""

Floats = NDArray[np.floating[Any]]
"""Coordinates, matrices, coefficients, colours: float32 or float64."""

Integers = NDArray[np.integer[Any]]
"""Triangles (M, 3) and other indices, of any width."""

Volume = NDArray[np.bool_]
"""A solid (200, 192, 192), indexed [z, y, x]."""
