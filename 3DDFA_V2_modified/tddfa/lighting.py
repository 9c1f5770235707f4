"""Light on a face: one brightness per vertex, as the two renderers of 3DDFA_V2 work it out.

Both put one white lamp and the eye at the same place in front of the face. ``phong`` is what its Sim3DR does (the
picture of ``-o 3d``), ``lambert`` what its faster C renderer does. Image axes: x right, y down, z towards the camera.
"""

from __future__ import annotations

import numpy as np

from .arrays import Floats, Integers
from .mesh import summed_normals
from .raster import checked_mesh, vertex_normals

__all__ = ["LIGHTS", "lambert", "phong"]

AMBIENT, DIFFUSE, SPECULAR, SHININESS = 0.3, 0.6, 0.1, 5
LAMP = np.array([0.0, 0.0, 5.0], np.float32)
"""Place of the lamp and of the eye, in units of half the face's largest side."""


def phong(vertices: Floats, triangles: Integers) -> Floats:
    """Ambient, diffuse and specular light per vertex: (N,) float32 in 0..1.

    Args:
        vertices: (N, 3) float32 image axes, N at least 1. They are scaled to -1..1 before they meet the lamp.
        triangles: (M, 3) int32, counter-clockwise from outside in model axes.

    The specular part follows Sim3DR: the power is taken of each coordinate's product before they are added up, not of
    the sum as in Phong's formula (1975).

    Raises:
        ValueError: arrays of another shape (see ``tddfa.raster.vertex_normals``).
    """
    normals = vertex_normals(vertices, triangles)
    to_lamp = _unit(LAMP - _in_unit_box(np.asarray(vertices, np.float32)))
    cosine = (normals * to_lamp).sum(axis=1)
    mirrored = 2.0 * cosine[:, None] * normals - to_lamp
    shine = ((to_lamp * mirrored) ** SHININESS).sum(axis=1)
    shine = np.where(cosine != 0, shine, 0.0).clip(0.0, 1.0)
    return (AMBIENT + DIFFUSE * cosine.clip(0.0, 1.0) + SPECULAR * shine).clip(0.0, 1.0).astype(np.float32)


def lambert(vertices: Floats, triangles: Integers) -> Floats:
    """Ambient and diffuse light per vertex: (N,) float32 in 0..1. Arguments and errors as in :func:`phong`.

    The C renderer places the lamp by the mean and range of the *normals*, before they are made unit length, where those
    of the vertices were surely meant. Its pictures depend on that, so it is kept. z counts from its smallest value.
    """
    vertices, triangles = checked_mesh(vertices, triangles)
    sums = -summed_normals(vertices, triangles)  # y runs down, which mirrors the mesh
    placed = vertices - np.array([0.0, 0.0, vertices[:, 2].min()])
    to_lamp = _unit(LAMP - (placed - sums.mean(axis=0)) / np.maximum(np.ptp(sums, axis=0), 1e-6))
    cosine = (to_lamp * _unit(sums)).sum(axis=1)
    return (AMBIENT + DIFFUSE * cosine).clip(0.0, 1.0).astype(np.float32)


LIGHTS = {"phong": phong, "lambert": lambert}


def _unit(vectors: Floats) -> Floats:
    """Rows of length 1; rows of length 0 stay 0."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def _in_unit_box(vertices: Floats) -> Floats:
    """The vertices, centred, their largest side from -1 to 1."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    return (vertices - (low + high) / 2) * (2.0 / max(float((high - low).max()), 1e-6))
