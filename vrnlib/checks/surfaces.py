"""Checks for 05_visualisation: vertices on the edges of a lattice, colours from a picture, normals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vrnlib.checks import Exercise
from vrnlib.checks.answers import as_array
from vrnlib.checks.visualisation import surface_cases


def edge_vertices(field: np.ndarray, level: float) -> np.ndarray:
    """Points (N, 3) as (z, y, x) where edges between neighbouring voxels cross the level."""
    found = []
    for axis in range(3):
        count = field.shape[axis] - 1
        start, end = field.take(range(count), axis), field.take(range(1, count + 1), axis)
        crossed = (start > level) != (end > level)
        points = np.argwhere(crossed).astype(float)
        points[:, axis] += (level - start[crossed]) / (end[crossed] - start[crossed])
        found.append(points)
    return np.concatenate(found)


def sample_bilinear(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Colours (N, 3) of an RGB picture at points (N, 2) as x, y, between four pixels."""
    height, width = image.shape[:2]
    x, y = np.clip(points[:, 0], 0, width - 1), np.clip(points[:, 1], 0, height - 1)
    x0, y0 = x.astype(int), y.astype(int)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    u, v = (x - x0)[:, None], (y - y0)[:, None]
    top = (1 - u) * image[y0, x0] + u * image[y0, x1]
    bottom = (1 - u) * image[y1, x0] + u * image[y1, x1]
    return (1 - v) * top + v * bottom


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) unit normals: the faces' cross products, summed around each vertex."""
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    normal = np.cross(b - a, c - a)
    total = np.zeros(vertices.shape)
    for corner in range(3):
        np.add.at(total, faces[:, corner], normal)
    return total / np.linalg.norm(total, axis=1, keepdims=True)


def _field_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Waves on small lattices of three different sides, and a larger one."""
    sizes = (((5, 6, 7), 0.5), ((7, 5, 6), float(rng.uniform(0.25, 0.45))), ((20, 24, 22), 0.6))
    return [(_waves(rng, sides, level), level) for sides, level in sizes]


def _waves(rng: np.random.Generator, sides: tuple[int, int, int], level: float) -> np.ndarray:
    """Values from 0 to 1 that cross the level along each axis, never so near to a voxel that rounding would decide."""
    z, y, x = np.mgrid[tuple(slice(0, side) for side in sides)]
    while True:
        shift = rng.uniform(0, 6, 3)
        wave = np.sin(z / 2 + shift[0]) + np.sin(y / 1.5 + shift[1]) * np.cos(x / 2.5 + shift[2])
        field = 1 / (1 + np.exp(-2 * wave)) + rng.uniform(-0.02, 0.02, sides)
        field = np.where(np.abs(field - level) < 0.02, level + np.copysign(0.02, field - level), field)
        if all(len(_crossings(field, level, axes=(axis,))) > 3 for axis in range(3)):
            return field


def _sample_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for height, width, count in ((6, 9, 7), (192, 160, 500)):
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        points = rng.uniform([0, 0], [width - 1.001, height - 1.001], (count, 2))
        points[:2] += [[-width, 0.0], [0.0, height]]  # one to the left of the picture, one below
        cases.append((image, points))
    return cases


def _sorted_points(answer: Any) -> Any:
    """Points in an order of their own, whatever order they came in."""
    points = as_array(answer)
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype == object:
        return answer
    cells = np.floor(points.astype(float) + 1e-3)
    along = np.abs(points - cells).argmax(axis=1)  # of one edge there is one point, and no point is near a voxel
    return points[np.lexsort([*np.round(points, 2).T, along, *cells.T])]


def _crossings(
    field: np.ndarray,
    level: float,
    *,
    place: Callable[..., Any] | None = None,
    axes: tuple[int, ...] = (0, 1, 2),
    which: Callable[..., Any] | None = None,
    short: int = 0,
) -> np.ndarray:
    """The crossings with another place on their edges, or another choice of edges."""
    found = []
    for axis in axes:
        count = field.shape[axis] - 1 - short
        a, b = field.take(range(count), axis), field.take(range(1, count + 1), axis)
        crossed = ((a > level) != (b > level)) if which is None else which(a, b)
        points = np.argwhere(crossed).astype(float)
        p, q = a[crossed], b[crossed]
        points[:, axis] += (level - p) / (q - p) if place is None else place(p, q)
        found.append(points)
    return np.concatenate(found)


def _sampled(image: np.ndarray, points: np.ndarray, u: Callable[..., Any], v: Callable[..., Any]) -> np.ndarray:
    """Bilinear colours with other weights of the fractions."""
    height, width = image.shape[:2]
    x, y = np.clip(points[:, 0], 0, width - 1), np.clip(points[:, 1], 0, height - 1)
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    s, t = (x - x0)[:, None], (y - y0)[:, None]
    s, t = u(s, t), v(s, t)
    rows, columns = (y0, np.minimum(y0 + 1, height - 1)), (x0, np.minimum(x0 + 1, width - 1))
    top = (1 - s) * image[rows[0], columns[0]] + s * image[rows[0], columns[1]]
    return (1 - t) * top + t * ((1 - s) * image[rows[1], columns[0]] + s * image[rows[1], columns[1]])


def _face_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = vertices[faces].transpose(1, 0, 2)
    return np.cross(b - a, c - a)


def _summed(vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray) -> np.ndarray:
    return np.stack(
        [
            sum(np.bincount(faces[:, corner], normals[:, axis], minlength=len(vertices)) for corner in range(3))
            for axis in range(3)
        ],
        axis=1,
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _last_wins(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    total, normals = np.zeros(vertices.shape), _face_normals(vertices, faces)
    for corner in range(3):
        total[faces[:, corner]] += normals
    return _unit(total)


def _weight(s: np.ndarray, t: np.ndarray) -> np.ndarray:
    return s


def _other(s: np.ndarray, t: np.ndarray) -> np.ndarray:
    return t


EDGE_VERTICES = Exercise(
    name="edge_vertices",
    solution=edge_vertices,
    cases=_field_cases,
    canonical=_sorted_points,
    mistakes={
        "the points lie in the middle of their edges; interpolate, so that the surface is finer than a voxel.": (
            lambda f, level: _crossings(f, level, place=lambda p, q: 0.5)
        ),
        "the points lie at the first voxel of their edges; add the fraction.": lambda f, level: _crossings(
            f, level, place=lambda p, q: 0.0
        ),
        "the fraction is counted from the edge's far end; it is (level − start) / (end − start).": (
            lambda f, level: _crossings(f, level, place=lambda p, q: (q - level) / (q - p))
        ),
        "only edges along z were looked at; voxels have neighbours along y and x, too.": lambda f, level: _crossings(
            f, level, axes=(0,)
        ),
        "edges along z are missing.": lambda f, level: _crossings(f, level, axes=(1, 2)),
        "edges along y are missing.": lambda f, level: _crossings(f, level, axes=(0, 2)),
        "edges along x are missing.": lambda f, level: _crossings(f, level, axes=(0, 1)),
        "only edges on which the field rises were taken; it crosses where it falls, too.": (
            lambda f, level: _crossings(f, level, which=lambda a, b: (a <= level) & (b > level))
        ),
        "only edges on which the field falls were taken; it crosses where it rises, too.": (
            lambda f, level: _crossings(f, level, which=lambda a, b: (a > level) & (b <= level))
        ),
        "the level is 0.5 whatever was asked; use the argument.": lambda f, level: edge_vertices(f, 0.5),
        "the level is 0 whatever was asked; use the argument.": lambda f, level: edge_vertices(f, 0.0),
        "the last edge along each axis is missing; n voxels have n − 1 edges.": lambda f, level: _crossings(
            f, level, short=1
        ),
        "the columns are (x, y, z); array indices are (z, y, x).": lambda f, level: edge_vertices(f, level)[:, ::-1],
        "the points are rounded to whole voxels; the fraction is what counts.": lambda f, level: np.round(
            edge_vertices(f, level)
        ),
        "all points are half a voxel too far; a voxel's value belongs to its centre, at whole numbers.": (
            lambda f, level: edge_vertices(f, level) + 0.5
        ),
        "all points are half a voxel too near; a voxel's value belongs to its centre, at whole numbers.": (
            lambda f, level: edge_vertices(f, level) - 0.5
        ),
        "all points are one voxel too far; the first voxel is at 0.": lambda f, level: edge_vertices(f, level) + 1,
        "all points are one voxel too near; the first voxel is at 0.": lambda f, level: edge_vertices(f, level) - 1,
        "the fraction is the level itself; divide its distance from the start by the edge's whole rise.": (
            lambda f, level: _crossings(f, level, place=lambda p, q: level + 0 * p)
        ),
        "the fraction is not divided by the rise along the edge, end − start.": lambda f, level: _crossings(
            f, level, place=lambda p, q: level - p
        ),
        "the fraction has the other sign: it is (level − start) / (end − start).": lambda f, level: _crossings(
            f, level, place=lambda p, q: (p - level) / (q - p)
        ),
        "those are the voxels above the level; wanted are the points between voxels.": lambda f, level: np.argwhere(
            f > level
        ),
    },
)
SAMPLE_BILINEAR = Exercise(
    name="sample_bilinear",
    solution=sample_bilinear,
    cases=_sample_cases,
    mistakes={
        "the nearest pixel's colour was taken; mix the four around the point.": lambda i, p: _sampled(
            i, p, lambda s, t: np.floor(s + 0.5), lambda s, t: np.floor(t + 0.5)
        ),
        "the upper left pixel's colour was taken; mix the four around the point.": lambda i, p: _sampled(
            i, p, lambda s, t: 0 * s, lambda s, t: 0 * t
        ),
        "only x is interpolated; the rows must be mixed, too.": lambda i, p: _sampled(
            i, p, _weight, lambda s, t: 0 * t
        ),
        "only y is interpolated; the columns must be mixed, too.": lambda i, p: _sampled(
            i, p, lambda s, t: 0 * s, _other
        ),
        "the weights are turned round: the nearer pixel counts more, 1 − fraction.": lambda i, p: _sampled(
            i, p, lambda s, t: 1 - s, lambda s, t: 1 - t
        ),
        "the fractions of x and y are swapped.": lambda i, p: _sampled(i, p, _other, _weight),
        "the four pixels are averaged, whatever the fractions are.": lambda i, p: _sampled(
            i, p, lambda s, t: 0 * s + 0.5, lambda s, t: 0 * t + 0.5
        ),
        "x and y are swapped; a picture is indexed [y, x].": lambda i, p: sample_bilinear(i, p[:, ::-1]),
        "the points are moved by half a pixel; pixel centres lie at whole numbers.": lambda i, p: sample_bilinear(
            i, p - 0.5
        ),
        "the points are moved by half a pixel to the right and down; centres lie at whole numbers.": lambda i, p: (
            sample_bilinear(i, p + 0.5)
        ),
        "beyond the border the colour of the other side was taken; clip the points first.": lambda i, p: (
            sample_bilinear(np.tile(i, (3, 3, 1)), p + [i.shape[1], i.shape[0]])
        ),
        "beyond the border stands black; the nearest pixel's colour is wanted.": lambda i, p: np.where(
            ((p >= 0) & (p <= [i.shape[1] - 1, i.shape[0] - 1])).all(axis=1)[:, None], sample_bilinear(i, p), 0
        ),
        "the colours run from 0 to 1; leave them from 0 to 255.": lambda i, p: sample_bilinear(i, p) / 255,
        "the colours are rounded to whole numbers; that is for the last step, before they are stored.": lambda i, p: (
            np.rint(sample_bilinear(i, p))
        ),
        "the colours are cut to whole numbers; that is for the last step, and then by rounding.": lambda i, p: np.floor(
            sample_bilinear(i, p)
        ),
        "the colours are in the order BGR; leave them in the picture's, RGB.": lambda i, p: sample_bilinear(i, p)[
            :, ::-1
        ],
        "that is grey, the mean of the three colours.": lambda i, p: sample_bilinear(i, p).mean(axis=1),
    },
)
VERTEX_NORMALS = Exercise(
    name="vertex_normals",
    solution=vertex_normals,
    cases=surface_cases,
    mistakes={
        "the normals look the other way; it is (b − a) × (c − a).": lambda v, f: -vertex_normals(v, f),
        "the normals are not made one long; divide each row by its own length.": lambda v, f: _summed(
            v, f, _face_normals(v, f)
        ),
        "each face counts the same; leave the cross products as long as they are, so that large faces count more.": (
            lambda v, f: _unit(_summed(v, f, _unit(_face_normals(v, f))))
        ),
        "`total[index] += …` adds once where an index comes several times; np.add.at adds each time.": _last_wins,
        "there is one normal per face; add up those around each vertex.": _face_normals,
        "there is one unit normal per face; add up those around each vertex.": lambda v, f: _unit(_face_normals(v, f)),
        "all were divided by one length, the whole array's; each row has its own.": lambda v, f: (
            _summed(v, f, _face_normals(v, f)) / np.linalg.norm(_summed(v, f, _face_normals(v, f)))
        ),
        "the columns were made one long; it is the rows, axis=1.": lambda v, f: (
            _summed(v, f, _face_normals(v, f)) / np.linalg.norm(_summed(v, f, _face_normals(v, f)), axis=0)
        ),
        "those are directions from the mesh's middle, right for a ball only; take the faces' cross products.": (
            lambda v, f: _unit(v - v.mean(axis=0))
        ),
        "the edges were multiplied from the origin, b × c; take the edges of the triangle, (b − a) × (c − a).": (
            lambda v, f: _unit(_summed(v, f, np.cross(v[f[:, 1]], v[f[:, 2]])))
        ),
        "the corners' cross product was taken, a × b; take the edges of the triangle, (b − a) × (c − a).": (
            lambda v, f: _unit(_summed(v, f, np.cross(v[f[:, 0]], v[f[:, 1]])))
        ),
        "only the first corner of each face gets its normal; all three do.": lambda v, f: _unit(_only_first(v, f)),
        "the sums were divided by the sum of their components, not by the length.": lambda v, f: (
            _summed(v, f, _face_normals(v, f)) / _summed(v, f, _face_normals(v, f)).sum(axis=1, keepdims=True)
        ),
        "the normals were multiplied by their length; divide.": lambda v, f: (
            _summed(v, f, _face_normals(v, f))
            * np.linalg.norm(_summed(v, f, _face_normals(v, f)), axis=1, keepdims=True)
        ),
    },
)


def _only_first(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    total = np.zeros(vertices.shape)
    np.add.at(total, faces[:, 0], _face_normals(vertices, faces))
    return total


def check_edge_vertices(function: Callable[..., Any], seed: int | None = None) -> None:
    """(field [z, y, x], level) → points (N, 3) as (z, y, x), in any order."""
    EDGE_VERTICES.judge(function, seed)


def check_sample_bilinear(function: Callable[..., Any], seed: int | None = None) -> None:
    """(image (H, W, 3), points (N, 2) as x, y) → colours (N, 3), not rounded."""
    SAMPLE_BILINEAR.judge(function, seed)


def check_vertex_normals(function: Callable[..., Any], seed: int | None = None) -> None:
    """(vertices (V, 3), faces (F, 3)) → unit normals (V, 3)."""
    VERTEX_NORMALS.judge(function, seed)
