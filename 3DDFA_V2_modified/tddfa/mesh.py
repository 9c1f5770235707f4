"""Plain measures of triangle meshes, in double precision: normals of triangles, their sums at vertices, the volume.

Unit normals for pictures come from ``tddfa.raster.vertex_normals``, which is compiled; this is what they are made of.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, Integers

__all__ = ["cross_2d", "signed_volume", "summed_normals", "triangle_normals"]


def cross_2d(first: Floats, second: Floats) -> Floats:
    """Cross product (...,) of vectors (..., 2) in the plane: twice the signed area of the triangle between them."""
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]


def triangle_normals(vertices: Floats, triangles: Integers) -> NDArray[np.float64]:
    """Normals (M, 3) of triangles (M, 3) over vertices (N, 3), twice as long as the triangle's area.

    Seen from where they point to, the corners run counter-clockwise, in axes that are right-handed (y up).

    >>> corners = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0]])
    >>> triangle_normals(corners, np.array([[0, 1, 2]])).tolist()
    [[0.0, 0.0, 4.0]]
    """
    a, b, c = (np.asarray(vertices, np.float64)[triangles[:, corner]] for corner in range(3))
    return np.cross(b - a, c - a)


def summed_normals(vertices: Floats, triangles: Integers) -> NDArray[np.float64]:
    """Sums (N, 3) of the normals of the triangles about each vertex; (0, 0, 0) for a vertex of none."""
    normals = np.repeat(triangle_normals(vertices, triangles), 3, axis=0)
    corners = np.ravel(triangles)
    return np.stack([np.bincount(corners, normals[:, axis], minlength=len(vertices)) for axis in range(3)], axis=1)


def signed_volume(vertices: Floats, triangles: Integers) -> float:
    """What a closed mesh encloses, in the vertices' units cubed; positive when its normals point outwards.

    An open mesh is closed through the mean of its vertices.
    """
    corners = (np.asarray(vertices, np.float64) - np.mean(vertices, axis=0, dtype=np.float64))[triangles]
    return float(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6.0)
