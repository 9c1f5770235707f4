"""Moving one surface onto another before both are compared: along the depth only, or rigidly by ICP.

Sources: W. Kabsch, Acta Crystallographica A 32, 1976 (the rotation; here `tddfa.geometry.fit_similarity`, whose guard
of the determinant never gives a reflection); P. Besl and N. McKay, "A method for registration of 3-D shapes", PAMI
1992 (ICP: iterated closest points).

Both know no true correspondence: a point's partner is the nearest one. An alignment takes a part of the error away, and
ICP more than it should: a face that is turned the wrong way, or stands in the wrong place, is put right before it is
judged. That is why errors are given without and with it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from tddfa.arrays import Floats
from tddfa.geometry import fit_similarity

SAMPLES = 800
"""So many points, evenly taken, are looked at while a motion is sought; errors are measured over all of them."""


class RigidMotion(NamedTuple):
    """x -> R x + t.

    Attributes:
        rotation: (3, 3), determinant 1.
        translation: (3,).
    """

    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]

    def __call__(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points (N, 3), moved."""
        return np.asarray(points, np.float64) @ self.rotation.T + self.translation

    @property
    def degrees(self) -> float:
        """By how much it turns."""
        return float(np.degrees(np.arccos(np.clip((np.trace(self.rotation) - 1) / 2, -1, 1))))


def kabsch(source: Floats, target: Floats) -> RigidMotion:
    """The motion that minimises sum_k |R x_k + t - y_k|^2 over rotations R, never reflections, and shifts t.

    With centred points and the covariance C = sum_k y_k x_k^T = U S V^T it is R = U diag(1, 1, det(U V^T)) V^T.

    Args:
        source: (N, 3) points x_k. target: (N, 3) points y_k.

    Raises:
        ValueError: fewer than three points, or points on one line.

    >>> corner = np.array([[1.0, 0, 0], [0, 2, 0], [0, 0, 3], [0, 0, 0]])
    >>> bool(np.linalg.det(kabsch(corner, corner * [-1, 1, 1]).rotation) > 0)  # a mirror image is no motion
    True
    """
    pose = fit_similarity(np.asarray(source), np.asarray(target), scaled=False)
    return RigidMotion(pose.rotation.astype(np.float64), pose.translation.astype(np.float64))


def align_depth(points: Floats, tree: cKDTree, *, iterations: int = 30, tolerance: float = 1e-2) -> RigidMotion:
    """The shift along z after which points and their nearest partners have the same mean depth.

    Args:
        points: (N, 3), to be moved.
        tree: of the (M, 3) points that stay.
        iterations: at most so many.
        tolerance: ends them: the last shift, in the points' unit.
    """
    points = evenly(points)
    shift = np.zeros(3)
    for _ in range(iterations):
        _, nearest = tree.query(points + shift)
        step = float((tree.data[nearest, 2] - points[:, 2]).mean() - shift[2])
        shift[2] += step
        if abs(step) < tolerance:
            break
    return RigidMotion(np.eye(3), shift)


def icp(
    points: Floats,
    tree: cKDTree,
    *,
    start: RigidMotion | None = None,
    iterations: int = 50,
    tolerance: float = 3e-3,
) -> RigidMotion:
    """The rigid motion that brings points onto a surface by iterated closest points, without a change of size.

    Each iteration pairs every point with the nearest one of the surface and takes the best motion for these pairs
    (`kabsch`). The mean distance falls until it is a local minimum, not always the right one.

    Args:
        points: (N, 3), to be moved.
        tree: of the (M, 3) points of the surface that stays.
        start: the first guess; default the points where they are.
        iterations: at most so many.
        tolerance: ends them: how far an iteration moves the points, root mean square, in their unit.

    Raises:
        ValueError: fewer than three points, or points on one line.
    """
    points = evenly(points)
    motion = RigidMotion(np.eye(3), np.zeros(3)) if start is None else start
    moved = motion(points)
    for _ in range(iterations):
        _, nearest = tree.query(moved)
        motion = kabsch(points, tree.data[nearest])
        before, moved = moved, motion(points)
        if np.sqrt(((moved - before) ** 2).sum(axis=1).mean()) < tolerance:
            break
    return motion


def evenly(points: Floats, count: int = SAMPLES) -> Floats:
    """At most so many of the points, spread evenly over their order."""
    points = np.asarray(points, np.float64)
    if len(points) <= count:
        return points
    return points[np.linspace(0, len(points) - 1, count).astype(np.int64)]
