"""Checks for 05_visualisation: from marching cubes' numbers to a mesh that stands upright in every viewer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vrnlib.checks import Exercise


def to_crop_pixels(points: np.ndarray, offset: float) -> np.ndarray:
    """Marching cubes' (z, y, x) in voxels → (x, y, z) in crop pixels; z = (k − offset) / 2."""
    return np.column_stack([points[:, 2], points[:, 1], (points[:, 0] - offset) / 2])


def signed_volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Sum of the signed tetrahedra from the origin to each triangle."""
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def upright(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Crop axes (y down) → viewer axes (y up). The mirror turns triangles inside out, so their order is reversed."""
    return vertices * [1, -1, 1], faces[:, ::-1]


def _surface() -> tuple[np.ndarray, np.ndarray]:
    vertices = np.array([[0, 0, 0], [4, 0, 0], [0, 3, 0], [0, 0, 5]], dtype=float) + [10, 20, 1]
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    return vertices, faces


def _point_cases() -> list[tuple]:
    rng = np.random.default_rng(0)
    return [(rng.uniform(0, 190, (6, 3)), 99.5), (rng.uniform(0, 190, (3, 3)), 120.0)]


def _surface_cases() -> list[tuple]:
    vertices, faces = _surface()
    return [(vertices, faces), (vertices * [2.0, 1.5, 0.5], faces[:, ::-1])]


TO_CROP_PIXELS = Exercise(
    name="to_crop_pixels",
    solution=to_crop_pixels,
    cases=_point_cases,
    mistakes={
        "z is still in slices; two slices are one pixel, so halve it, or the face is twice as deep.": lambda p, o: (
            np.column_stack([p[:, 2], p[:, 1], p[:, 0] - o])
        ),
        "the offset must go before z is halved: (k − offset) / 2.": lambda p, o: np.column_stack(
            [p[:, 2], p[:, 1], p[:, 0] / 2 - o]
        ),
        "the order is still (z, y, x); marching cubes speaks of array indices, a mesh wants (x, y, z).": lambda p, o: (
            np.column_stack([(p[:, 0] - o) / 2, p[:, 1], p[:, 2]])
        ),
        "x and y are swapped.": lambda p, o: np.column_stack([p[:, 1], p[:, 2], (p[:, 0] - o) / 2]),
        "the offset is missing; the face would float half a head in front of its place.": lambda p, o: np.column_stack(
            [p[:, 2], p[:, 1], p[:, 0] / 2]
        ),
    },
)
SIGNED_VOLUME = Exercise(
    name="signed_volume",
    solution=signed_volume,
    cases=_surface_cases,
    mistakes={
        "that is six times the volume; a tetrahedron is a sixth of the box.": lambda v, f: 6 * signed_volume(v, f),
        "the sign is lost, and the sign was what we wanted to know.": lambda v, f: abs(signed_volume(v, f)),
        "the sign is turned; the product is a · (b × c).": lambda v, f: -signed_volume(v, f),
        "that is the surface's area, not its volume.": lambda v, f: float(
            np.linalg.norm(np.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]]), axis=1).sum() / 2
        ),
    },
)
UPRIGHT = Exercise(
    name="upright",
    solution=upright,
    cases=_surface_cases,
    mistakes={
        (
            "the mesh is inside out; mirroring one axis turns each triangle, so reverse the order of its corners."
        ): lambda v, f: (
            v * [1, -1, 1],
            f,
        ),
        "the face is still upside down; y must change its sign.": lambda v, f: (v, f),
        "the triangles are reversed, but y still points down.": lambda v, f: (v, f[:, ::-1]),
        "y and z changed their signs; that is a half turn, and the face looks away from the viewer.": lambda v, f: (
            v * [1, -1, -1],
            f,
        ),
        "x and y changed their signs; that is a half turn in the picture, left and right are swapped.": lambda v, f: (
            v * [-1, -1, 1],
            f,
        ),
    },
)


def check_to_crop_pixels(function: Callable) -> None:
    """(points (N, 3) as (z, y, x) voxels, offset) → (N, 3) crop pixels."""
    TO_CROP_PIXELS.judge(function)


def check_signed_volume(function: Callable) -> None:
    """(vertices (V, 3), faces (F, 3)) → number, positive when the triangles are counter-clockwise from outside."""
    SIGNED_VOLUME.judge(function)


def check_upright(function: Callable) -> None:
    """(vertices, faces) → (vertices, faces)."""
    UPRIGHT.judge(function)
