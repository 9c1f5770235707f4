"""The 68 iBUG landmarks as vertices of the mean face, by rule.

Brows, nose, eyes and mouth are the vertices nearest to named places of the mean face, the right half the left one's
mirror image. The jaw lies on a smooth curve of the surface, from in front of the ear (eye level) down along the
mandible to the bottom of the chin, as in the 300W-LP / 3DDFA annotation. There the nearest vertex slides within its
neighbouring triangles onto the curve, so the jaw is smooth to the last digit and not only to the mesh's spacing.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.interpolate import CubicSpline

__all__ = ["JAW_SIDE_VIEW", "closest_points", "jaw_curve", "landmark_vertices", "slide_to", "surface_from_side"]

LEFT_PLACES = {
    17: (-53.3, 37.8, 17.2), 18: (-45.9, 42.2, 26.0), 19: (-34.4, 44.7, 32.8), 20: (-25.8, 44.8, 35.4),
    21: (-13.1, 40.6, 36.1), 31: (-13.9, -18.6, 35.8), 32: (-6.9, -21.4, 40.8), 36: (-44.0, 26.4, 14.3),
    37: (-36.8, 30.8, 20.2), 38: (-27.2, 30.7, 22.0), 39: (-20.6, 25.0, 20.4), 40: (-28.0, 22.6, 21.1),
    41: (-37.1, 22.9, 19.1), 48: (-23.8, -44.7, 30.0), 49: (-14.5, -36.4, 40.4), 50: (-6.6, -34.4, 43.7),
    58: (-6.5, -55.8, 38.6), 59: (-15.8, -54.4, 34.9), 60: (-20.4, -44.0, 31.8), 61: (-8.2, -43.8, 36.6),
    67: (-8.4, -44.5, 37.1),
}  # fmt: skip
"""Places (x, y, z) in mm of the points on the viewer's left."""

MIDDLE_PLACES = {
    8: (0.0, -85.3, 23.1), 27: (0.0, 27.1, 34.3), 28: (0.0, 13.0, 39.5), 29: (0.0, -0.5, 47.8),
    30: (0.0, -12.9, 54.9), 33: (0.0, -23.2, 42.5), 51: (0.0, -34.8, 44.8), 57: (0.0, -56.2, 39.3),
    62: (0.0, -44.3, 36.3), 66: (0.0, -44.5, 37.4),
}  # fmt: skip
"""Places of the points on the midline, the chin (8) among them."""

MIRRORED = {
    17: 26, 18: 25, 19: 24, 20: 23, 21: 22, 31: 35, 32: 34, 36: 45, 37: 44, 38: 43, 39: 42, 40: 47, 41: 46,
    48: 54, 49: 53, 50: 52, 58: 56, 59: 55, 60: 64, 61: 63, 67: 65,
}  # fmt: skip
"""The point on the viewer's right for each on the left."""

JAW_SIDE_VIEW = (
    (-47.0, 20.0),
    (-47.0, 4.0),
    (-45.5, -12.0),
    (-42.0, -28.0),
    (-35.0, -44.0),
    (-22.0, -60.0),
    (-5.0, -73.0),
    (10.5, -81.0),
)
"""Points (z, y) of the mandible's outline on the mean face seen from the side, in mm, ear to chin."""


def landmark_vertices(
    operator: sp.csr_matrix, cage: np.ndarray, triangles: np.ndarray
) -> tuple[sp.csr_matrix, np.ndarray]:
    """The landmarks of the mean face.

    Args:
        operator: (N, V) sparse, ``operator @ cage`` the fine vertices. cage: (V, 3) mean. triangles: (M, 3).

    Returns:
        (operator, vertices (68,)): the operator with the jaw's vertices slid onto the jaw's curve.

    Raises:
        ValueError: two landmarks share a vertex.
    """
    mirror = np.array([-1.0, 1.0, 1.0])
    fine = operator @ cage
    vertices = np.full(68, -1)
    for places in (LEFT_PLACES, MIDDLE_PLACES):
        for point, place in places.items():
            vertices[point] = _nearest(fine, np.array(place))
    for left, right in MIRRORED.items():
        vertices[right] = _nearest(fine, fine[vertices[left]] * mirror)
    jaw = jaw_curve(fine, triangles, fine[vertices[8]])[:8]
    operator, slid = slide_to(np.concatenate([jaw, jaw * mirror]), operator, cage, triangles)
    vertices[:8], vertices[16:8:-1] = slid[:8], slid[8:]
    if len(set(vertices.tolist())) != 68:
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
    area = np.stack([_cross(b, c), _cross(c, a), _cross(a, b)], axis=1)
    whole = area.sum(axis=1)
    inside = ((area >= 0).all(axis=1) | (area <= 0).all(axis=1)) & (np.abs(whole) > 1e-12)
    if not inside.any():
        raise ValueError(f"Expected a face surface at z={z:.1f}, y={y:.1f} mm of the side view, found none.")
    share = area[inside] / whole[inside, None]
    points = (share[:, :, None] * corner[inside]).sum(axis=1)
    return points[points[:, 0].argmin()]


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """z of the cross product of rows of two (M, 2) arrays."""
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


def jaw_curve(vertices: np.ndarray, triangles: np.ndarray, chin: np.ndarray) -> np.ndarray:
    """Nine points of the jaw at equal distances along the curve, landmark 0 to landmark 8 (the chin), (9, 3) mm.

    The curve is a cubic spline through the side view's places and the chin, continued by its mirror image.
    """
    left = np.array([surface_from_side(vertices, triangles, z, y) for z, y in JAW_SIDE_VIEW])
    chin = np.asarray(chin, dtype=np.float64) * (0.0, 1.0, 1.0)
    knots = np.concatenate([left, chin[None], left[::-1] * (-1.0, 1.0, 1.0)])
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    spline = CubicSpline(along, knots)
    fine = spline(np.linspace(0.0, along[len(left)], 2001))
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))])
    places = np.linspace(0.0, length[-1], 9)
    return np.stack([np.interp(places, length, fine[:, k]) for k in range(3)], axis=1)


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
        points: (P, 3) on or near the surface. operator: (N, V) sparse, ``operator @ cage`` the vertices.
        cage: (V, 3). triangles: (M, 3).

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
    before, after = (_normals(v, triangles) for v in (vertices, moved @ cage))
    if ((before * after).sum(axis=1) <= 0).any():
        raise ValueError("Expected slides within a vertex's own triangles, but one turned around.")
    return moved, indices


def _normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Triangle normals (M, 3), length twice the area."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    return np.cross(b - a, c - a)
