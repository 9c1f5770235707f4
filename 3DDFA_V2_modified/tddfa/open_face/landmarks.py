"""The 68 iBUG landmarks as vertices of the mean face, by rule.

Nose, eyes, mouth and chin are the vertices nearest to named places of the mean face, the right half the left one's
mirror image. On the jaw, from in front of the ear (eye level) down along the mandible, and on the brows' upper edge the
nearest vertex slides within its neighbouring triangles onto the place itself, so these curves are smooth to the last
digit and not only to the mesh's spacing.

Where jaw and brows run is a convention. It is that of 300W-LP and 3DDFA: their places are where 3DDFA_V2's regressor
sees them on 314 rendered faces of this model (mean difference from the render's own points, in the head's frame, both
halves averaged, put onto the surface). No photograph was used.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from ..contract import LANDMARK_COUNT
from ..ibug import MIRRORED, RIGHT_BROW
from ..mesh import cross_2d, triangle_normals

__all__ = ["JAW_SIDE_VIEW", "closest_points", "landmark_vertices", "slide_to", "surface_from_side"]

BROW_PLACES = (
    (-55.3, 41.4, 14.3), (-46.6, 46.9, 25.1), (-36.3, 48.0, 31.9), (-26.6, 47.0, 35.5), (-18.3, 44.7, 36.7),
)  # fmt: skip
"""Places (x, y, z) in mm of points 17 to 21, the brow on the viewer's left."""

LEFT_PLACES = {
    31: (-13.9, -18.6, 35.8), 32: (-6.9, -21.4, 40.8), 36: (-44.0, 26.4, 14.3),
    37: (-36.8, 30.8, 20.2), 38: (-27.2, 30.7, 22.0), 39: (-20.6, 25.0, 20.4), 40: (-28.0, 22.6, 21.1),
    41: (-37.1, 22.9, 19.1), 48: (-23.8, -44.7, 30.0), 49: (-14.5, -36.4, 40.4), 50: (-6.6, -34.4, 43.7),
    58: (-6.5, -55.8, 38.6), 59: (-15.8, -54.4, 34.9), 60: (-20.4, -44.0, 31.8), 61: (-8.2, -43.8, 36.6),
    67: (-8.4, -44.5, 37.1),
}  # fmt: skip
"""Places of the other points on the viewer's left."""

MIDDLE_PLACES = {
    8: (0.0, -85.3, 23.1), 27: (0.0, 27.1, 34.3), 28: (0.0, 13.0, 39.5), 29: (0.0, -0.5, 47.8),
    30: (0.0, -12.9, 54.9), 33: (0.0, -23.2, 42.5), 51: (0.0, -34.8, 44.8), 57: (0.0, -56.2, 39.3),
    62: (0.0, -44.3, 36.3), 66: (0.0, -44.5, 37.4),
}  # fmt: skip
"""Places of the points on the midline, the chin (8) among them."""

JAW_SIDE_VIEW = (
    (-48.2, 26.0),
    (-47.6, 5.5),
    (-47.0, -13.8),
    (-43.8, -31.8),
    (-35.7, -50.2),
    (-20.2, -65.4),
    (-1.0, -74.8),
    (15.3, -82.2),
)
"""Points 0 to 7, from the ear towards the chin: their places (z, y) in mm on the mean face seen from the left side."""


def landmark_vertices(
    operator: sp.csr_matrix, cage: np.ndarray, triangles: np.ndarray
) -> tuple[sp.csr_matrix, np.ndarray]:
    """The landmarks of the mean face.

    Args:
        operator: (N, V) sparse, ``operator @ cage`` the fine vertices.
        cage: (V, 3) mean.
        triangles: (M, 3).

    Returns:
        (operator, vertices (68,)): the operator with the jaw's and the brows' vertices slid onto their places.

    Raises:
        ValueError: two landmarks share a vertex.
    """
    mirror = np.array([-1.0, 1.0, 1.0])
    fine = operator @ cage
    vertices = np.full(LANDMARK_COUNT, -1)
    for point, place in (LEFT_PLACES | MIDDLE_PLACES).items():
        vertices[point] = _nearest(fine, np.array(place))
    for point in LEFT_PLACES:
        vertices[MIRRORED[point]] = _nearest(fine, fine[vertices[point]] * mirror)
    places = [surface_from_side(fine, triangles, z, y) for z, y in JAW_SIDE_VIEW] + [np.array(p) for p in BROW_PLACES]
    left = np.r_[0:8, RIGHT_BROW]  # on the viewer's left: the person's right
    operator, slid = slide_to(np.concatenate([places, places * mirror]), operator, cage, triangles)
    vertices[np.concatenate([left, MIRRORED[left]])] = slid
    if len(set(vertices.tolist())) != LANDMARK_COUNT:
        raise ValueError("Expected a vertex of its own for each landmark, but two share one; use a finer mesh.")
    return operator, vertices


def _nearest(vertices: np.ndarray, place: np.ndarray) -> int:
    """The vertex nearest to a place."""
    return int(((vertices - place) ** 2).sum(axis=1).argmin())


def surface_from_side(vertices: np.ndarray, triangles: np.ndarray, z: float, y: float) -> np.ndarray:
    """The leftmost surface point (smallest x) over a place (z, y) of the side view, (3,) mm.

    Raises:
        ValueError: no triangle covers the place.
    """
    corner = vertices[triangles]
    a, b, c = (corner[:, k][:, [2, 1]] - (z, y) for k in range(3))
    area = np.stack([cross_2d(b, c), cross_2d(c, a), cross_2d(a, b)], axis=1)
    whole = area.sum(axis=1)
    inside = ((area >= 0).all(axis=1) | (area <= 0).all(axis=1)) & (np.abs(whole) > 1e-12)
    if not inside.any():
        raise ValueError(f"Expected a face surface at z={z:.1f}, y={y:.1f} mm of the side view, found none.")
    share = area[inside] / whole[inside, None]
    points = (share[:, :, None] * corner[inside]).sum(axis=1)
    return points[points[:, 0].argmin()]


def closest_points(
    points: np.ndarray, vertices: np.ndarray, triangles: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Closest surface points: (triangle index (P,), barycentric weights (P, 3), distance (P,) mm)."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    index, weights, distance = [], [], []
    for point in points:
        share = _closest_barycentric(point, a, b, c)
        gap = np.linalg.norm(share[:, :1] * a + share[:, 1:2] * b + share[:, 2:] * c - point, axis=1)
        best = int(gap.argmin())
        index.append(best)
        weights.append(share[best])
        distance.append(gap[best])
    return np.array(index), np.array(weights), np.array(distance)


def _closest_barycentric(point: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Barycentric weights (M, 3) of the point of each triangle that is closest to one point (3,)."""
    ab, ac, ap = b - a, c - a, point - a
    d00, d01, d11 = (ab * ab).sum(1), (ab * ac).sum(1), (ac * ac).sum(1)
    d20, d21 = (ap * ab).sum(1), (ap * ac).sum(1)
    whole = np.maximum(d00 * d11 - d01 * d01, 1e-20)
    v, w = (d11 * d20 - d01 * d21) / whole, (d00 * d21 - d01 * d20) / whole
    best = np.stack([1.0 - v - w, v, w], axis=1)
    outside = (best < 0).any(axis=1)
    choices = np.zeros((3, len(a), 3))
    for k, (p, q) in enumerate(((a, b), (b, c), (c, a))):
        edge = q - p
        t = np.clip(((point - p) * edge).sum(1) / np.maximum((edge * edge).sum(1), 1e-20), 0.0, 1.0)
        choices[k, :, k], choices[k, :, (k + 1) % 3] = 1.0 - t, t
    places = choices[:, :, 0, None] * a + choices[:, :, 1, None] * b + choices[:, :, 2, None] * c
    nearest = np.linalg.norm(places - point, axis=2).argmin(axis=0)
    best[outside] = choices[nearest, np.arange(len(a))][outside]
    return best


def slide_to(
    points: np.ndarray, operator: sp.csr_matrix, cage: np.ndarray, triangles: np.ndarray
) -> tuple[sp.csr_matrix, np.ndarray]:
    """Let the nearest vertices slide along the surface onto points of it.

    Args:
        points: (P, 3) on or near the surface.
        operator: (N, V) sparse, ``operator @ cage`` the vertices.
        cage: (V, 3).
        triangles: (M, 3).

    Returns:
        (operator, indices): the operator with P rows replaced by barycentric mixtures of its own rows, and the
        vertices (P,) that now lie at the points.

    Raises:
        ValueError: two points want the same vertex, or a slide turns a triangle around.
    """
    vertices = operator @ cage
    index, weights, _ = closest_points(points, vertices, triangles)
    corners = triangles[index]
    targets = (weights[:, :, None] * vertices[corners]).sum(axis=1)
    indices = np.linalg.norm(vertices[None] - targets[:, None], axis=2).argmin(axis=1)
    if len(set(indices.tolist())) != len(indices):
        raise ValueError("Expected a vertex of its own for each point, but two share one; use a finer mesh.")
    count = operator.shape[0]
    keep = np.ones(count)
    keep[indices] = 0.0
    rows = np.repeat(indices, 3)
    mixture = sp.csr_matrix((weights.ravel(), (rows, corners.ravel())), shape=(count, count))
    moved = ((sp.diags(keep) + mixture) @ operator).tocsr()
    moved.eliminate_zeros()
    before, after = (triangle_normals(v, triangles) for v in (vertices, moved @ cage))
    if ((before * after).sum(axis=1) <= 0).any():
        raise ValueError("Expected slides within a vertex's own triangles, but one turned around.")
    return moved, indices
