"""The closed back: a face mesh becomes the boundary of a solid, linearly in its vertices.

The mesh is cut along a curved surface just in front of the ears and closed by a fan. Every new vertex is a fixed
affine combination of face vertices, so the solid follows identity, expression and pose without further work.

Why there: a crop's scale is 90 / sqrt(w * h) of the landmarks' box and a volume is 200 slices = 100 pixels deep.
Turned by 90 degrees, the head's width becomes its depth, and a solid that reached behind the ears would lose a
quarter of its far side. With this back 99.5 % of the volume of random poses fits (design, section 3).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from ..topology import boundary_loops, check_triangles, largest_piece
from .subdivision import clip

__all__ = ["BACK_DEPTH", "BACK_HEIGHT", "LOWER_RADIUS", "UPPER_RADIUS", "close_back", "distance_to_back"]

BACK_DEPTH = -43.0
"""Depth z of the back at its rearmost line, in mm of the mean face."""

BACK_HEIGHT = 5.0
"""Height y of that line, in mm."""

UPPER_RADIUS = 46.0
"""Radius of the back's curvature above that line in the side view, in mm: it comes forward to the forehead."""

LOWER_RADIUS = 110.0
"""The same below the line: the back comes forward along the mandible."""


def distance_to_back(vertices: np.ndarray) -> np.ndarray:
    """How far (N, 3) mean-face vertices lie in front of the back, along z in mm; negative behind it."""
    height = vertices[:, 1] - BACK_HEIGHT
    radius = np.where(height > 0, UPPER_RADIUS, LOWER_RADIUS)
    return vertices[:, 2] - BACK_DEPTH - height**2 / (2.0 * radius)


def close_back(vertices: np.ndarray, triangles: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray]:
    """Cut the mean face at the back and close it.

    Args:
        vertices: (N, 3) mean face in mm (x right, y up, z to the viewer).
        triangles: (M, 3) its triangles with one boundary loop.

    Returns:
        (weights, closed): ``weights`` (B, N) sparse, rows sum to 1, gives the B new vertices; ``closed``
        (K, 3) triangles over the N + B vertices, watertight and oriented like ``triangles``. Vertices behind
        the back stay in the list but belong to no triangle.

    Raises:
        ValueError: the cut mesh has more than one opening.
    """
    triangles = check_triangles(triangles)
    count = len(vertices)
    everything, kept = clip(triangles, distance_to_back(vertices))
    kept = largest_piece(kept)
    loops = boundary_loops(kept)
    if len(loops) != 1:
        raise ValueError(
            f"Expected one opening after the cut, got {len(loops)}; fill eyes and mouth of the mesh first."
        )
    rim = loops[0]
    rim_vertices = everything[rim] @ vertices
    # The fan's tip is the mean of the rim's rearmost stretch on both sides, weighted by length: the cap stays
    # on the back and bulges a little, so the solid is convex there.
    length = np.linalg.norm(np.roll(rim_vertices, -1, axis=0) - np.roll(rim_vertices, 1, axis=0), axis=1)
    share = length * (np.abs(rim_vertices[:, 1] - BACK_HEIGHT) < 15.0)
    for side in (rim_vertices[:, 0] < 0, rim_vertices[:, 0] >= 0):
        share[side] /= 2.0 * share[side].sum()
    selection = sp.csr_matrix((share, (np.zeros(len(rim), dtype=int), rim)), shape=(1, everything.shape[0]))
    weights = sp.vstack([everything[count:], selection @ everything], format="csr")
    weights.eliminate_zeros()
    tip = np.full(len(rim), everything.shape[0])
    closed = np.concatenate([kept, np.stack([np.roll(rim, -1), rim, tip], axis=1)])
    # New vertices that the largest piece does not use are dropped.
    used = np.zeros(count + weights.shape[0], dtype=bool)
    used[:count] = True
    used[closed] = True
    renumber = np.cumsum(used) - 1
    return weights[used[count:]], renumber[closed]
