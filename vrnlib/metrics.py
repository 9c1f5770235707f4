"""How good is a result? Intersection over union, normalised mean errors, and distances to a surface.

Whole surfaces are compared in `vrnlib.evaluation.distances`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from tddfa.contract import SLICES_PER_PIXEL
from tddfa.ibug import OUTER_EYE_CORNERS


def iou(volume_a: ArrayLike, volume_b: ArrayLike, *, level: float = 0.5) -> float:
    """Intersection over union of two solids; two empty ones are equal: 1.

    Args:
        volume_a, volume_b: (D, H, W), indexed [z, y, x]; bool, or floats that count as inside above the level.
        level: the probability on the surface.

    Raises:
        ValueError: the shapes differ; volumes that met with swapped axes must not get a number.

    >>> iou([[[1, 1, 0]]], [[[0, 1, 1]]])
    0.3333333333333333
    """
    a, b = _inside(volume_a, level), _inside(volume_b, level)
    if a.shape != b.shape:
        raise ValueError(
            f"Expected two volumes of the same shape, got {a.shape} and {b.shape}; both must be indexed [z, y, x]."
        )
    union = np.count_nonzero(a | b)
    return 1.0 if union == 0 else float(np.count_nonzero(a & b) / union)


def front_depth_error(volume: ArrayLike, truth: ArrayLike, *, level: float = 0.5) -> float:
    """How far the front of a solid lies before or behind the true one: mean |dz| in crop pixels.

    The front is the last slice [z] that is filled in a column (y, x); two slices are one pixel. The mean is over the
    columns that both solids fill, so a wrong outline does not count here, and nothing is aligned.

    Args:
        volume, truth: (D, H, W), indexed [z, y, x]; bool, or floats that count as inside above the level.
        level: the probability on the surface.

    Returns:
        Pixels; NaN when no column is filled by both.

    Raises:
        ValueError: the shapes differ.

    >>> front_depth_error([[[1]], [[1]], [[0]], [[0]]], [[[1]], [[1]], [[1]], [[1]]])  # two slices too far back
    1.0
    """
    a, b = _inside(volume, level), _inside(truth, level)
    if a.shape != b.shape or a.ndim != 3:
        raise ValueError(f"Expected two volumes of the same shape [z, y, x], got {a.shape} and {b.shape}.")
    both = a.any(axis=0) & b.any(axis=0)
    if not both.any():
        return float("nan")
    slices = [one.shape[0] - 1 - np.argmax(one[::-1], axis=0)[both].astype(np.float64) for one in (a, b)]
    return float(np.abs(slices[0] - slices[1]).mean() / SLICES_PER_PIXEL)


def landmark_error_percent(points: ArrayLike, truth: ArrayLike) -> float:
    """How far landmarks lie from the true ones, as in 3DDFA's papers: mean distance / sqrt(w h), in per cent.

    `vrnlib.training.batches.landmark_error_percents` is the same for tensors.

    Args:
        points: (68, 2) pixels of a picture.
        truth: (68, 2) in the same pixels; their bounding box is w x h.

    Raises:
        ValueError: other shapes, or true points without a box.
    """
    points, truth = np.asarray(points, np.float64), np.asarray(truth, np.float64)
    if points.shape != (68, 2) or truth.shape != (68, 2):
        raise ValueError(f"Expected points and truth as (68, 2), got {points.shape} and {truth.shape}.")
    area = float(np.prod(np.ptp(truth, axis=0)))
    if not area > 0:
        raise ValueError("Expected true points that span a box, got one without area; check the data set.")
    return 100 * float(np.linalg.norm(points - truth, axis=1).mean() / np.sqrt(area))


def interocular_distance(landmarks: ArrayLike) -> float:
    """Distance of the outer eye corners, in the landmarks' own units.

    With 3D landmarks it does not shrink when the face turns; the paper's NME uses this one.

    Args:
        landmarks: (68, 2) or (68, 3), iBUG order.

    Raises:
        ValueError: another shape.
    """
    landmarks = np.asarray(landmarks, dtype=np.float64)
    if landmarks.ndim != 2 or landmarks.shape[0] != 68 or landmarks.shape[1] not in (2, 3):
        raise ValueError(f"Expected landmarks as (68, 2) or (68, 3), got {landmarks.shape}.")
    right, left = OUTER_EYE_CORNERS
    return float(np.linalg.norm(landmarks[right] - landmarks[left]))


def nme(points: ArrayLike, truth: ArrayLike, interocular: float) -> float:
    """Normalised mean error: mean distance of corresponding points / interocular distance (paper, equation 2).

    Args:
        points, truth: (N, 2) or (N, 3) in the same order and units.
        interocular: see `interocular_distance`, in these units.

    Raises:
        ValueError: the points do not match, or the distance is not positive.

    >>> nme([[3, 4, 0], [3, 4, 9]], [[0, 0, 0], [0, 0, 9]], interocular=50)
    0.1
    """
    points, truth = np.asarray(points, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if points.shape != truth.shape or points.ndim != 2 or len(points) == 0:
        raise ValueError(f"Expected points and truth of one shape (N, 3), got {points.shape} and {truth.shape}.")
    if not interocular > 0:
        raise ValueError(f"Expected a positive interocular distance, got {interocular}; check the landmarks.")
    return float(np.linalg.norm(points - truth, axis=1).mean() / interocular)


def surface_distance(
    points: ArrayLike, vertices: ArrayLike, faces: ArrayLike, *, neighbours: int = 16
) -> NDArray[np.float64]:
    """Distance from each point to a triangle mesh.

    Args:
        points: (N, 3). vertices: (V, 3) in the same units. faces: (F, 3) rows of vertices.
        neighbours: how many triangles, those with the nearest middles, are measured exactly per point; for meshes
            with even triangles (marching cubes) that finds the nearest one.

    Returns:
        (N,) in the mesh's units.

    Raises:
        ValueError: another shape of the points, or no faces.
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


def _inside(volume: ArrayLike, level: float) -> NDArray[Any]:
    volume = np.asarray(volume)
    return volume if volume.dtype == bool else volume > level


def _triangle_distance(points: NDArray[Any], corners: NDArray[Any]) -> NDArray[Any]:
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


def _segment_distance(points: NDArray[Any], start: NDArray[Any], end: NDArray[Any]) -> NDArray[Any]:
    """Distance of point i to segment i."""
    along = end - start
    length = np.maximum(_dot(along, along), 1e-30)
    t = np.clip(_dot(points - start, along) / length, 0, 1)
    return np.linalg.norm(points - start - t[:, None] * along, axis=1)


def _dot(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Product of row i with row i."""
    return np.einsum("ij,ij->i", a, b)
