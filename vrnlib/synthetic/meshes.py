"""Meshes with a material, which are added to a head before it is rendered; and the skull that they keep outside of.

All are in head axes (millimetres, x to the viewer's right, y up, z to the viewer).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tddfa.arrays import Floats, Integers
from tddfa.describe import short_repr


class Material(IntEnum):
    """What a thing is made of: how it shines (``lighting.MATERIALS``) and which fine pattern it gets (``pixels``)."""

    SKIN = 0
    HAIR = 1
    CLOTH = 2
    HARD = 3
    TOOTH = 4
    NECK = 5
    """Skin below the head, without the head's own patterns."""


@dataclass(frozen=True, repr=False)
class Mesh:
    """A mesh with a material."""

    vertices: NDArray[np.float32]
    """(N, 3) mm."""
    triangles: NDArray[np.int32]
    """(M, 3)."""
    color: NDArray[np.float32]
    """(N, 3) linear light."""
    material: Material
    coordinates: NDArray[np.float32]
    """(N, 2) mm: where in the material's pattern a vertex lies."""
    normals: NDArray[np.float32] | None = None
    """(N, 3) where light should fall otherwise than on the mesh itself."""
    opacity: float = 1.0

    __repr__ = short_repr


@dataclass(frozen=True, repr=False)
class Skull:
    """The ellipsoid that fits a head above the ears: hair and hats keep outside it."""

    center: NDArray[np.float32]
    radii: NDArray[np.float32]

    __repr__ = short_repr

    @classmethod
    def around(cls, scalp: Floats) -> Skull:
        """The skull below these points (N, 3) of the upper head."""
        low, high = scalp.min(0), scalp.max(0)
        center = np.array([0, 42, (low[2] + high[2]) / 2 - 3], np.float32)
        radii = np.array([(high[0] - low[0]) / 2, high[1] - 42, (high[2] - low[2]) / 2 + 2], np.float32)
        return cls(center, radii)

    def outside(self, points: Floats, gap: float | Floats) -> Floats:
        """The points (..., 3), those nearer than ``gap`` mm (about) pushed out.

        >>> skull = Skull(np.zeros(3, np.float32), np.array([60, 80, 90], np.float32))
        >>> skull.outside(np.array([[0, 100, 0], [40, 0, 0]], np.float32), 10.0).round(3).tolist()
        [[0.0, 100.0, 0.0], [70.0, 0.0, 0.0]]
        """
        d = points - self.center
        rho = np.sqrt(((d / (self.radii + np.asarray(gap, np.float32)[..., None])) ** 2).sum(-1, keepdims=True)) + 1e-6
        return self.center + d / np.minimum(rho, 1.0)


def grid(rows: int, columns: int, *, closed: bool) -> NDArray[np.int32]:
    """Triangles of a lattice of vertices; ``closed`` joins the last column to the first.

    >>> grid(2, 2, closed=False).tolist()
    [[0, 1, 3], [0, 3, 2]]
    """
    r = np.arange(rows - 1)[:, None]
    c = np.arange(columns if closed else columns - 1)[None]
    a, b = r * columns + c, r * columns + (c + 1) % columns
    quads = np.stack([a, b, b + columns, a + columns], -1).reshape(-1, 4)
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)


def lattice_mesh(lattice: Floats, color: ArrayLike, material: Material, *, closed: bool, opacity: float = 1.0) -> Mesh:
    """A lattice of points as a mesh.

    Args:
        lattice: (rows, columns, 3) mm.
        color: (3,) or one row per point, linear light.
        material: of the whole mesh.
        closed: joins the last column to the first.
        opacity: of the whole mesh; only lenses are not opaque.
    """
    rows, columns, _ = lattice.shape
    along = np.concatenate([[0], np.linalg.norm(np.diff(lattice, axis=0), axis=2).mean(1).cumsum()])
    around = np.linalg.norm(np.diff(lattice, axis=1), axis=2).mean() * np.arange(columns)
    where = np.stack(np.broadcast_arrays(around[None], along[:, None]), -1).reshape(-1, 2)
    return Mesh(
        vertices=lattice.reshape(-1, 3).astype(np.float32),
        triangles=grid(rows, columns, closed=closed),
        color=np.broadcast_to(np.asarray(color, np.float32), (rows * columns, 3)),
        material=material,
        coordinates=where.astype(np.float32),
        opacity=opacity,
    )


def tube(path: Floats, radius: float | Floats, color: ArrayLike, *, sides: int = 5) -> Mesh:
    """A round rod of hard stuff along a path (n, 3); ``radius`` in mm, one or one per point."""
    d = np.gradient(path, axis=0)
    d /= np.linalg.norm(d, axis=1, keepdims=True) + 1e-9
    u = np.cross(d, np.where(np.abs(d[:, 1:2]) > 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]]))
    u /= np.linalg.norm(u, axis=1, keepdims=True) + 1e-9
    v = np.cross(d, u)
    a = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    r = np.broadcast_to(np.asarray(radius, np.float32), len(path))[:, None, None]
    ring = u[:, None] * np.cos(a)[:, None] + v[:, None] * np.sin(a)[:, None]
    return lattice_mesh(path[:, None] + r * ring, color, Material.HARD, closed=True)


def joined_triangles(parts: list[tuple[int, Integers]]) -> NDArray[np.int32]:
    """The triangles of several meshes in a row as those of one, from each mesh's number of vertices and triangles.

    >>> joined_triangles([(3, np.array([[0, 1, 2]])), (4, np.array([[0, 2, 3]]))]).tolist()
    [[0, 1, 2], [3, 5, 6]]
    """
    starts = np.cumsum([0] + [count for count, _ in parts[:-1]])
    triangles = [one + start for (_, one), start in zip(parts, starts, strict=True)]
    return np.concatenate(triangles).astype(np.int32)
