"""How good is a reconstruction? Intersection over union, normalised mean error, and distances to a surface."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from tddfa.ibug import OUTER_EYE_CORNERS


def iou(volume_a: np.ndarray, volume_b: np.ndarray, *, level: float = 0.5) -> float:
    """Intersection over union of two solids of the same shape; floats count as inside above `level`.

    Two empty volumes are equal: 1. Raises ValueError when the shapes differ: volumes that met with swapped axes
    must not get a number.
    """
    a, b = _inside(volume_a, level), _inside(volume_b, level)
    if a.shape != b.shape:
        raise ValueError(
            f"Expected two volumes of the same shape, got {a.shape} and {b.shape}; both must be indexed [z, y, x]."
        )
    union = np.count_nonzero(a | b)
    return 1.0 if union == 0 else np.count_nonzero(a & b) / union


def interocular_distance(landmarks: np.ndarray) -> float:
    """Distance of the outer eye corners of (68, 2|3) landmarks, in their own units.

    With 3D landmarks it does not shrink when the face turns; the paper's NME uses this one.
    """
    landmarks = np.asarray(landmarks, dtype=np.float64)
    if landmarks.ndim != 2 or landmarks.shape[0] != 68 or landmarks.shape[1] not in (2, 3):
        raise ValueError(f"Expected landmarks as (68, 2) or (68, 3), got {landmarks.shape}.")
    right, left = OUTER_EYE_CORNERS
    return float(np.linalg.norm(landmarks[right] - landmarks[left]))


def nme(points: np.ndarray, truth: np.ndarray, interocular: float) -> float:
    """Normalised mean error: mean distance of corresponding points / interocular distance (paper, equation 2).

    points, truth: (N, 2) or (N, 3) in the same order and units. Raises ValueError when they do not match or when
    `interocular` is not positive.
    """
    points, truth = np.asarray(points, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if points.shape != truth.shape or points.ndim != 2 or len(points) == 0:
        raise ValueError(f"Expected points and truth of one shape (N, 3), got {points.shape} and {truth.shape}.")
    if not interocular > 0:
        raise ValueError(f"Expected a positive interocular distance, got {interocular}; check the landmarks.")
    return float(np.linalg.norm(points - truth, axis=1).mean() / interocular)


def surface_distance(
    points: np.ndarray, vertices: np.ndarray, faces: np.ndarray, *, neighbours: int = 16
) -> np.ndarray:
    """Distance from each point to a triangle mesh, (N,) float64, in the mesh's units.

    points: (N, 3). vertices: (V, 3). faces: (F, 3). Per point the `neighbours` triangles with the nearest middles
    are measured exactly; for meshes with even triangles (marching cubes) that finds the nearest one.
    """
    points = np.asarray(points, dtype=np.float64)
    corners = np.asarray(vertices, dtype=np.float64)[np.asarray(faces)]
    if points.ndim != 2 or points.shape[1] != 3 or len(corners) == 0:
        raise ValueError(f"Expected points (N, 3) and a mesh with faces, got {points.shape} and {len(corners)} faces.")
    neighbours = min(neighbours, len(corners))
    _, near = cKDTree(corners.mean(axis=1)).query(points, k=neighbours)
    near = near.reshape(len(points), neighbours)
    best = np.full(len(points), np.inf)
    for column in range(neighbours):
        best = np.minimum(best, _triangle_distance(points, corners[near[:, column]]))
    return best


def _inside(volume: np.ndarray, level: float) -> np.ndarray:
    volume = np.asarray(volume)
    return volume if volume.dtype == bool else volume > level


def _triangle_distance(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Distance of point i to triangle i. Inside the triangle's prism: to its plane; else to the nearest edge."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = _dot(ab, ab), _dot(ab, ac), _dot(ac, ac)
    d20, d21 = _dot(ap, ab), _dot(ap, ac)
    area = d00 * d11 - d01 * d01
    with np.errstate(divide="ignore", invalid="ignore"):
        v = (d11 * d20 - d01 * d21) / area
        w = (d00 * d21 - d01 * d20) / area
    inside = (area > 1e-18) & (v >= 0) & (w >= 0) & (v + w <= 1)
    foot = a + np.where(inside, v, 0)[:, None] * ab + np.where(inside, w, 0)[:, None] * ac
    plane = np.where(inside, np.linalg.norm(points - foot, axis=1), np.inf)
    edges = np.minimum.reduce([_segment_distance(points, *pair) for pair in ((a, b), (b, c), (c, a))])
    return np.minimum(plane, edges)


def _segment_distance(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    along = end - start
    length = np.maximum(_dot(along, along), 1e-30)
    t = np.clip(_dot(points - start, along) / length, 0, 1)
    return np.linalg.norm(points - start - t[:, None] * along, axis=1)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", a, b)
