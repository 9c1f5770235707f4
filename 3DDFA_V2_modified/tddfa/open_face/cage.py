"""The cage: the part of the head mesh that is face, with eye patches and a mouth pocket, linear in the head.

Every cage vertex is a fixed combination of head vertices plus a fixed shift, so the cage of any identity or
expression is one sparse product. Subdividing the cage once gives the fine mesh.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np
import scipy.sparse as sp
from scipy.interpolate import splev, splprep

from ..describe import short_repr
from ..mesh import cross_2d
from .source import Head
from .subdivision import catmull_clark, clip, split_quads, weld

__all__ = ["Cage", "build_cage", "crop_distance", "fine_mesh"]

CROP_CURVE = (
    (150, 1010), (122, 985), (96, 962), (64, 930), (32, 909), (24, 880),
    (28, 848), (46, 826), (72, 795), (98, 771), (124, 757), (150, 740),
)  # fmt: skip
"""Side view (z, y) in mm of the head: where the face ends, from the crown behind the ear to the throat."""

EYE_RINGS = 4
POCKET_RINGS = 3
POCKET_DEPTH = 12.0
"""Depth of the closed mouth behind the lips, in mm."""

SKIN, EYE, MOUTH = 0, 2, 3


@dataclass(frozen=True, repr=False)
class Cage:
    """Polygons over vertices ``operator @ head + shift``.

    Attributes:
        operator: (V, H) sparse.
        shift: (V, 3) mm.
        faces: polygons.
        label: (V,) 0 skin, 2 eye, 3 mouth interior.
        openings: cage vertices around "eye right", "eye left" and "mouth".
    """

    operator: sp.csr_matrix
    shift: np.ndarray
    faces: list[list[int]]
    label: np.ndarray
    openings: dict[str, np.ndarray]

    __repr__ = short_repr

    def vertices(self, head: np.ndarray) -> np.ndarray:
        """Cage vertices (V, 3) of one head (H, 3), or (B, V, 3) of several."""
        if head.ndim == 2:
            return self.operator @ head + self.shift
        return np.stack([self.operator @ one + self.shift for one in head])


def crop_distance(vertices: np.ndarray) -> np.ndarray:
    """Signed distance (N,) in mm to the face's end in the side view; positive inside the face."""
    spline, _ = splprep(np.array(CROP_CURVE, dtype=float).T, s=30)
    curve = np.array(splev(np.linspace(0, 1, 400), spline)).T
    outline = np.vstack([curve, [(260, 740), (260, 1010)]]).astype(np.float32)
    return np.array([cv2.pointPolygonTest(outline, (float(z), float(y)), True) for _, y, z in vertices])


def _openings(faces: list[list[int]]) -> list[list[int]]:
    """Boundary loops of polygons in face order, longest first."""
    directed = {(a, b): None for face in faces for a, b in zip(face, face[1:] + face[:1], strict=True)}
    following = {a: b for a, b in directed if (b, a) not in directed}
    loops, seen = [], set()
    for start in following:
        if start in seen:
            continue
        loop = [start]
        while following[loop[-1]] != start:
            loop.append(following[loop[-1]])
        seen.update(loop)
        loops.append(loop)
    return sorted(loops, key=len, reverse=True)


def _face_quads(head: Head) -> np.ndarray:
    """The head's quads that are face: inside the crop curve, in one piece, no dangling ones."""
    near = crop_distance(head.rest) > -14.0
    quads = head.part_quads("head")
    quads = quads[near[quads].all(axis=1)]

    def edge_keys() -> np.ndarray:
        ends = np.stack([quads, np.roll(quads, -1, axis=1)], axis=2)
        return np.sort(ends, axis=2) @ np.array([len(head.rest), 1])

    while True:
        keys = edge_keys()
        _, inverse, uses = np.unique(keys, return_inverse=True, return_counts=True)
        dangling = (uses[inverse].reshape(keys.shape) == 1).sum(axis=1) >= 3
        if not dangling.any():
            break
        quads = quads[~dangling]
    keys = edge_keys()
    _, inverse = np.unique(keys, return_inverse=True)
    links = sp.csr_matrix((np.ones(keys.size), (np.repeat(np.arange(len(quads)), 4), inverse.ravel())))
    piece = sp.csgraph.connected_components(links @ links.T, directed=False)[1]
    return quads[piece == Counter(piece.tolist()).most_common(1)[0][0]]


class _Rows:
    """Collects rows of the operator."""

    def __init__(self, columns: int) -> None:
        self.columns, self.count = columns, 0
        self.blocks: list[sp.csr_matrix] = []
        self.shifts: list[np.ndarray] = []
        self.labels: list[np.ndarray] = []

    def add(self, rows: sp.spmatrix, label: int, shift: np.ndarray | None = None) -> np.ndarray:
        """Append rows; returns their indices."""
        rows = sp.csr_matrix(rows)
        self.blocks.append(rows)
        self.shifts.append(np.zeros((rows.shape[0], 3)) if shift is None else shift)
        self.labels.append(np.full(rows.shape[0], label, dtype=np.uint8))
        self.count += rows.shape[0]
        return np.arange(self.count - rows.shape[0], self.count)


def _pick(columns: np.ndarray, total: int) -> sp.csr_matrix:
    """One row per column index."""
    return sp.csr_matrix((np.ones(len(columns)), (np.arange(len(columns)), columns)), shape=(len(columns), total))


def _ring(outer: np.ndarray, inner: np.ndarray) -> list[list[int]]:
    """Quads between two rings of equal length."""
    rows = np.stack([np.roll(outer, -1), outer, inner, np.roll(inner, -1)], axis=1)
    return rows.tolist()


def _eye_patch(rows: _Rows, head: Head, loop: list[int], part: str) -> list[list[int]]:
    """Rings from the lid's edge over the front of the eyeball to the middle of the opening."""
    quads = head.part_quads(part)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    edge = head.rest[loop]
    middle = edge[:, :2].mean(axis=0)
    outer = rows.add(_pick(np.array(loop), len(head.rest)), EYE)
    faces: list[list[int]] = []
    for k in range(1, EYE_RINGS + 1):
        share = k / (EYE_RINGS + 0.6)
        places = (1 - share) * edge[:, :2] + share * middle
        inner = rows.add(_on_surface(places, triangles, head.rest), EYE)
        faces += _ring(outer, inner)
        outer = inner
    tip = rows.add(_on_surface(middle[None], triangles, head.rest), EYE)[0]
    return faces + [[int(b), int(a), int(tip)] for a, b in zip(outer, np.roll(outer, -1), strict=True)]


def _on_surface(places: np.ndarray, triangles: np.ndarray, vertices: np.ndarray) -> sp.csr_matrix:
    """Barycentric rows of the front-most surface point over each place (x, y); the nearest vertex where none is."""
    a, b, c = (vertices[triangles[:, k], :2] for k in range(3))
    area = cross_2d(b - a, c - a)
    usable = np.abs(area) > 1e-9
    rows = sp.lil_matrix((len(places), len(vertices)))
    for i, place in enumerate(places):
        with np.errstate(divide="ignore", invalid="ignore"):
            second, third = cross_2d(place - a, c - a) / area, cross_2d(b - a, place - a) / area
        shares = np.stack([1 - second - third, second, third], axis=1)
        inside = np.flatnonzero(usable & (shares.min(axis=1) > -1e-6))
        if len(inside):
            depth = (shares[inside] * vertices[triangles[inside], 2]).sum(axis=1)
            best = inside[depth.argmax()]
            rows[i, triangles[best]] = shares[best]
        else:
            used = np.unique(triangles)
            rows[i, used[((vertices[used, :2] - place) ** 2).sum(axis=1).argmin()]] = 1.0
    return rows.tocsr()


def _mouth_pocket(rows: _Rows, loop: list[int], total: int) -> list[list[int]]:
    """A closed pocket behind the lips."""
    edge = _pick(np.array(loop), total)
    middle = sp.csr_matrix(np.full((len(loop), len(loop)), 1.0 / len(loop))) @ edge
    outer = rows.add(edge, MOUTH)
    faces: list[list[int]] = []
    for k in range(1, POCKET_RINGS + 1):
        share = 0.9 * (k / POCKET_RINGS) ** 1.5
        shift = np.tile([0.0, 0.0, -POCKET_DEPTH * np.sin(0.5 * np.pi * k / POCKET_RINGS)], (len(loop), 1))
        inner = rows.add((1 - share) * edge + share * middle, MOUTH, shift)
        faces += _ring(outer, inner)
        outer = inner
    tip = rows.add(middle[:1], MOUTH, np.array([[0.0, 0.0, -POCKET_DEPTH]]))[0]
    return faces + [[int(b), int(a), int(tip)] for a, b in zip(outer, np.roll(outer, -1), strict=True)]


def build_cage(head: Head) -> Cage:
    """Cut the face out of the head and close eyes and mouth."""
    quads = _face_quads(head)
    total = len(head.rest)
    _, *inner = _openings(quads.tolist())
    centre = {id(loop): head.rest[loop].mean(axis=0) for loop in inner}
    eye_height = max(centre[id(loop)][1] for loop in inner)
    eyes = [loop for loop in inner if abs(centre[id(loop)][1] - eye_height) < 15.0]
    right, left = sorted(eyes, key=lambda loop: centre[id(loop)][0])[:: len(eyes) - 1]
    mouth = min((loop for loop in inner if loop not in eyes), key=lambda loop: abs(centre[id(loop)][0]) - len(loop))
    used, packed = np.unique(quads, return_inverse=True)
    rows = _Rows(total)
    rows.add(_pick(used, total), SKIN)
    faces: list[list[int]] = [[int(corner) for corner in quad] for quad in packed.reshape(quads.shape)]
    r_front = head.rest[head.part_quads("eye_front.R").ravel(), 0].mean()
    names = ("eye_front.R", "eye_front.L") if r_front < 0 else ("eye_front.L", "eye_front.R")
    faces += _eye_patch(rows, head, right, names[0])
    faces += _eye_patch(rows, head, left, names[1])
    faces += _mouth_pocket(rows, mouth, total)
    openings = {
        key: np.searchsorted(used, loop) for key, loop in (("eye right", right), ("eye left", left), ("mouth", mouth))
    }
    operator = sp.vstack(rows.blocks, format="csr")
    return Cage(operator, np.concatenate(rows.shifts), faces, np.concatenate(rows.labels), openings)


def fine_mesh(cage: Cage, rest: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray]:
    """The fine mesh: (operator (N, V) from cage vertices, triangles (M, 3)), cut smoothly at the crop curve.

    The skin, the eyes and the pocket are subdivided apart, which keeps lids and lips sharp, and joined afterwards.
    """
    vertices = cage.vertices(rest)
    operator, quads = catmull_clark(cage.faces, len(vertices))
    operator, quads = weld(operator, quads, vertices)
    fine = operator @ vertices
    triangles = split_quads(quads, fine)
    cut, triangles = clip(triangles, crop_distance(fine), snap=0.22)
    used, packed = np.unique(triangles, return_inverse=True)
    operator = (cut[used] @ operator).tocsr()
    operator.eliminate_zeros()
    return operator, packed.reshape(-1, 3)
