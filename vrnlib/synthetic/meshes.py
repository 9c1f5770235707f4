"""Meshes that are added to a head before it is rendered, and the ellipsoid that keeps them outside the skull.

All are in the head's own axes (millimetres, x viewer's right, y up, z to the viewer, nose tip near (0, -13, 55)).
"""

from dataclasses import dataclass

import numpy as np

from vrnlib.synthetic.appearance import HeadMaps

HEAD, STRAND, CLOTH, HARD, TOOTH, NECK = range(6)


@dataclass
class Part:
    """A mesh with a colour per vertex. ``kind`` says how its pixels are finished; ``coordinates`` (N, 2) are in mm."""

    vertices: np.ndarray
    triangles: np.ndarray
    colour: np.ndarray
    kind: int
    coordinates: np.ndarray
    normals: np.ndarray | None = None
    alpha: float = 1.0


@dataclass
class Skull:
    """The ellipsoid that fits a head above the ears: hair and hats keep outside it."""

    centre: np.ndarray
    radii: np.ndarray

    @classmethod
    def of(cls, head: np.ndarray, maps: HeadMaps) -> "Skull":
        upper = head[maps.upper]
        low, high = upper.min(0), upper.max(0)
        centre = np.float32([0, 42, (low[2] + high[2]) / 2 - 3])
        return cls(centre, np.float32([(high[0] - low[0]) / 2, high[1] - 42, (high[2] - low[2]) / 2 + 2]))

    def outside(self, points: np.ndarray, gap: float | np.ndarray) -> np.ndarray:
        """The points, those nearer than ``gap`` mm (about) pushed out."""
        d = points - self.centre
        rho = np.sqrt(((d / (self.radii + np.asarray(gap, np.float32)[..., None])) ** 2).sum(-1, keepdims=True)) + 1e-6
        return self.centre + d / np.minimum(rho, 1.0)


def grid(rows: int, columns: int, *, closed: bool) -> np.ndarray:
    """Triangles of a rows x columns lattice of vertices; ``closed`` joins the last column to the first."""
    r = np.arange(rows - 1)[:, None]
    c = np.arange(columns if closed else columns - 1)[None]
    a, b = r * columns + c, r * columns + (c + 1) % columns
    quads = np.stack([a, b, b + columns, a + columns], -1).reshape(-1, 4)
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)


def lattice_part(lattice: np.ndarray, colour, kind: int, *, closed: bool, alpha: float = 1.0) -> Part:
    """A (rows, columns, 3) lattice of points as a mesh; ``colour`` is (3,) or one row per point."""
    rows, columns, _ = lattice.shape
    along = np.concatenate([[0], np.linalg.norm(np.diff(lattice, axis=0), axis=2).mean(1).cumsum()])
    around = np.linalg.norm(np.diff(lattice, axis=1), axis=2).mean() * np.arange(columns)
    where = np.stack(np.broadcast_arrays(around[None], along[:, None]), -1).reshape(-1, 2)
    colour = np.broadcast_to(np.asarray(colour, np.float32), (rows * columns, 3))
    return Part(
        lattice.reshape(-1, 3).astype(np.float32),
        grid(rows, columns, closed=closed),
        colour,
        kind,
        where.astype(np.float32),
        alpha=alpha,
    )


def tube(path: np.ndarray, radius: float | np.ndarray, colour, kind: int = HARD, *, sides: int = 5) -> Part:
    """A round rod along a path (n, 3)."""
    d = np.gradient(path, axis=0)
    d /= np.linalg.norm(d, axis=1, keepdims=True) + 1e-9
    u = np.cross(d, np.where(np.abs(d[:, 1:2]) > 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]]))
    u /= np.linalg.norm(u, axis=1, keepdims=True) + 1e-9
    v = np.cross(d, u)
    a = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    r = np.broadcast_to(np.asarray(radius, np.float32), len(path))[:, None, None]
    ring = u[:, None] * np.cos(a)[:, None] + v[:, None] * np.sin(a)[:, None]
    return lattice_part(path[:, None] + r * ring, colour, kind, closed=True)
