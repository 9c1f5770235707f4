"""Checks for 05_visualisation: from marching cubes' numbers to a mesh that stands upright in every viewer."""

from __future__ import annotations

from typing import Any

import numpy as np
import trimesh

from vrnlib.checks import Exercise
from vrnlib.checks.answers import Function, as_array


def to_crop_pixels(points: np.ndarray, offset: float) -> np.ndarray:
    """Marching cubes' (z, y, x) in voxels → (x, y, z) in crop pixels; z = (k − offset) / 2."""
    return np.column_stack([points[:, 2], points[:, 1], (points[:, 0] - offset) / 2])


def signed_volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Sum of the signed tetrahedra from the origin to each triangle."""
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def _tetrahedra(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    return np.linalg.det(vertices[faces]) / 6


def upright(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Crop axes (y down) → viewer axes (y up). The mirror turns triangles inside out, so their order is reversed."""
    return vertices * [1, -1, 1], faces[:, ::-1]


def _tetrahedron(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    vertices = np.array([[0, 0, 0], [4, 0, 0], [0, 3, 0], [0, 0, 5]]) * rng.uniform(0.7, 1.5, 3)
    return vertices + rng.uniform([5, 5, -3], [20, 20, -1]), np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


def _ball(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A dented ball of 1,280 triangles inside the crop."""
    ball = trimesh.creation.icosphere(subdivisions=3)
    radii = 50 * rng.uniform(0.95, 1.05, (len(ball.vertices), 1))
    return ball.vertices * radii + rng.uniform(85, 105, 3), np.array(ball.faces)


def _point_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (rng.uniform(0, 190, (rng.integers(3, 8), 3)), 99.5),
        (rng.uniform(0, 190, (5000, 3)), rng.uniform(80, 120)),
    ]


def surface_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """One mesh that looks outwards and one that looks inwards."""
    vertices, faces = _ball(rng)
    return [_tetrahedron(rng), (vertices, faces[:, ::-1])]


def _sorted_triangles(answer: Any) -> Any:
    """(vertices, faces) with each triangle's smallest corner first and the triangles sorted: the same surface."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return answer
    vertices, faces = answer[0], as_array(answer[1])
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype == object:
        return answer
    corners = (faces.argmin(axis=1)[:, None] + np.arange(3)) % 3
    turned = np.take_along_axis(faces, corners, axis=1)
    return vertices, turned[np.lexsort(turned.T[::-1])]


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
        "the columns are in order, but z is still in slices; z = (k − offset) / 2.": lambda p, o: p[:, ::-1],
        "the offset was added; z = (k − offset) / 2.": lambda p, o: np.column_stack(
            [p[:, 2], p[:, 1], (p[:, 0] + o) / 2]
        ),
        "the sign of z is turned; slices grow towards the camera, as z does.": lambda p, o: np.column_stack(
            [p[:, 2], p[:, 1], (o - p[:, 0]) / 2]
        ),
        "the last column was turned into depth, and that is x; the slices are column 0.": lambda p, o: np.column_stack(
            [p[:, 0], p[:, 1], (p[:, 2] - o) / 2]
        ),
        "y was turned over; it points down in both.": lambda p, o: np.column_stack(
            [p[:, 2], 191 - p[:, 1], (p[:, 0] - o) / 2]
        ),
        "z was doubled; two slices are one pixel, so halve it.": lambda p, o: np.column_stack(
            [p[:, 2], p[:, 1], 2 * (p[:, 0] - o)]
        ),
        "x and y were halved too; only depth has two slices per pixel.": lambda p, o: (p[:, ::-1] - [0, 0, o]) / 2,
        "the offset was taken from all three columns; only depth has one.": lambda p, o: (p[:, ::-1] - o) / [1, 1, 2],
        "x and y are swapped.": lambda p, o: np.column_stack([p[:, 1], p[:, 2], (p[:, 0] - o) / 2]),
        "the offset is missing; the face would float half a head in front of its place.": lambda p, o: np.column_stack(
            [p[:, 2], p[:, 1], p[:, 0] / 2]
        ),
    },
)
SIGNED_VOLUME = Exercise(
    name="signed_volume",
    solution=signed_volume,
    cases=surface_cases,
    mistakes={
        "that is six times the volume; a tetrahedron is a sixth of the box.": lambda v, f: 6 * signed_volume(v, f),
        "the sign is lost, and the sign was what we wanted to know.": lambda v, f: abs(signed_volume(v, f)),
        "the sign is turned; the product is a · (b × c).": lambda v, f: -signed_volume(v, f),
        "the volumes became positive one by one; with signs, those in front and behind cancel.": lambda v, f: float(
            np.abs(_tetrahedra(v, f)).sum()
        ),
        "that is the mean over the triangles; the volume is their sum.": lambda v, f: float(_tetrahedra(v, f).mean()),
        "there is one number per triangle; add them up.": _tetrahedra,
        "that is the volume of the box around the mesh.": lambda v, f: float(np.prod(np.ptp(v, axis=0))),
        "that is the first triangle alone; add up all of them.": lambda v, f: float(_tetrahedra(v, f)[0]),
        "the last triangle is missing.": lambda v, f: float(_tetrahedra(v, f)[:-1].sum()),
        ("the cross products' components were added up without a; the dot product with a is missing."): lambda v, f: (
            float(np.cross(v[f[:, 1]], v[f[:, 2]]).sum() / 6)
        ),
        "that is twice the volume; a tetrahedron is a sixth of the box.": lambda v, f: 2 * signed_volume(v, f),
        "that is the surface's area, not its volume.": lambda v, f: float(
            np.linalg.norm(np.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]]), axis=1).sum() / 2
        ),
    },
)
UPRIGHT = Exercise(
    name="upright",
    solution=upright,
    cases=surface_cases,
    canonical=_sorted_triangles,
    mistakes={
        (
            "the mesh is inside out; mirroring one axis turns each triangle, so reverse the order of its corners."
        ): lambda v, f: (
            v * [1, -1, 1],
            f,
        ),
        (
            "the rows of `faces` were reversed, which changes nothing; reverse the corners in each row, faces[:, ::-1]."
        ): lambda v, f: (v * [1, -1, 1], f[::-1]),
        "the corners were only rolled on, so the mesh is inside out; swap two of them.": lambda v, f: (
            v * [1, -1, 1],
            f[:, [1, 2, 0]],
        ),
        "the columns of `vertices` were reversed, x and z swapped; y must change its sign.": lambda v, f: (
            v[:, ::-1],
            f[:, ::-1],
        ),
        "x changed its sign, so that left and right are swapped; it must be y.": lambda v, f: (
            v * [-1, 1, 1],
            f[:, ::-1],
        ),
        "z changed its sign, so that the face looks away; it must be y.": lambda v, f: (v * [1, 1, -1], f[:, ::-1]),
        "y and z are swapped; y must change its sign and stay.": lambda v, f: (v[:, [0, 2, 1]], f[:, ::-1]),
        "y was turned over about 191 pixels; in the viewer's axes it only changes its sign.": lambda v, f: (
            v * [1, -1, 1] + [0, 191, 0],
            f[:, ::-1],
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


def check_to_crop_pixels(function: Function, seed: int | None = None) -> None:
    """(points (N, 3) as (z, y, x) voxels, offset) → (N, 3) crop pixels."""
    TO_CROP_PIXELS.judge(function, seed)


def check_signed_volume(function: Function, seed: int | None = None) -> None:
    """(vertices (V, 3), faces (F, 3)) → number, positive when the triangles are counter-clockwise from outside."""
    SIGNED_VOLUME.judge(function, seed)


def check_upright(function: Function, seed: int | None = None) -> None:
    """(vertices, faces) → (vertices, faces)."""
    UPRIGHT.judge(function, seed)
