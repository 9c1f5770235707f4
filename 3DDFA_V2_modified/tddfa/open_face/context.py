"""What surrounds the face in a picture: scalp and neck from the head mesh, shoulders made by rule.

Scalp and neck are subdivided once and reach a few millimetres under the face's rim. The head mesh ends at the
throat, so the shoulders are rings from the neck's lower edge outwards to a fixed shape; like the closed back they
are linear in the vertices they start from.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from ..topology import boundary_loops
from .cage import crop_distance
from .source import Head
from .subdivision import catmull_clark

__all__ = ["context_cage", "context_mesh", "context_regions", "shoulder_rings"]

OVERLAP = 7.0
"""How far the context reaches under the face, in mm."""

NECK_TOP = -60.0
"""Height in mm of the mean face below which the context is neck."""

RINGS = (
    (0.35, 80.0, 60.0, -130.0),
    (0.70, 140.0, 75.0, -152.0),
    (1.00, 190.0, 85.0, -182.0),
    (1.00, 212.0, 95.0, -235.0),
    (1.00, 205.0, 100.0, -310.0),
)
"""Per ring: share of the fixed shape, half width and half depth in mm, height in mm."""

SHOULDER_DEPTH = -85.0
"""Depth z of the shoulders' middle in mm."""


def context_cage(head: Head) -> tuple[np.ndarray, np.ndarray]:
    """The head vertices (C,) around and outside the face, and the quads (Q, 4) over them."""
    quads = head.part_quads("head")
    quads = quads[(crop_distance(head.rest)[quads] < 2 * OVERLAP).any(axis=1)]
    used, packed = np.unique(quads, return_inverse=True)
    return used, packed.reshape(quads.shape)


def context_mesh(cage: np.ndarray, quads: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray]:
    """(operator (Nc, C), triangles (Mc, 3)) of the context, for its cage (C, 3) on the resting head."""
    operator, fine = catmull_clark(quads.tolist(), len(cage))
    triangles = np.concatenate([fine[:, [0, 1, 2]], fine[:, [0, 2, 3]]])
    inside = crop_distance(operator @ cage) < OVERLAP
    used, packed = np.unique(triangles[inside[triangles].all(axis=1)], return_inverse=True)
    return operator[used], packed.reshape(-1, 3)


def context_regions(vertices: np.ndarray) -> np.ndarray:
    """Labels (Nc,) uint8 of mean context vertices: 0 scalp, 1 neck."""
    return (vertices[:, 1] < NECK_TOP).astype(np.uint8)


def shoulder_rings(vertices: np.ndarray, triangles: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray, np.ndarray]:
    """Shoulders that hang on the neck's lower edge.

    Args:
        vertices: (Nc, 3) mean context.
        triangles: (Mc, 3).

    Returns:
        (operator (Ns, Nc), shift (Ns, 3) mm, triangles (K, 3) over the Ns shoulder vertices): the shoulders of any
        context are ``operator @ context + shift``; the first ring is the neck's edge itself.
    """
    loop = min(boundary_loops(triangles), key=lambda ring: vertices[ring, 1].mean())
    size, total = len(loop), len(vertices)
    edge = sp.csr_matrix((np.ones(size), (np.arange(size), loop)), shape=(size, total))
    middle = sp.csr_matrix(np.full((size, size), 1.0 / size)) @ edge
    centre = vertices[loop].mean(axis=0)
    angle = np.arctan2(vertices[loop, 2] - centre[2], vertices[loop, 0] - centre[0])
    blocks, shifts = [edge], [np.zeros((size, 3))]
    for share, width, depth, height in RINGS:
        shape = np.stack([width * np.cos(angle), np.full(size, height), SHOULDER_DEPTH + depth * np.sin(angle)], axis=1)
        blocks.append((1 - share) * edge + share * middle)
        shifts.append(share * (shape - centre))
    faces = []
    for ring in range(len(RINGS)):
        outer, inner = ring * size + np.arange(size), (ring + 1) * size + np.arange(size)
        following = np.roll(outer, -1), np.roll(inner, -1)
        faces.append(np.stack([following[0], outer, inner], axis=1))
        faces.append(np.stack([following[0], inner, following[1]], axis=1))
    return sp.vstack(blocks, format="csr"), np.concatenate(shifts), np.concatenate(faces)
