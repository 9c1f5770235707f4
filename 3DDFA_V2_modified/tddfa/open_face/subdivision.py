"""Subdivision, welding and cutting of polygon meshes as sparse matrices that act on vertices.

Source of the rules: Catmull & Clark, "Recursively generated B-spline surfaces on arbitrary topological meshes",
Computer-Aided Design 10(6), 1978; on a boundary the cubic B-spline rule.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

__all__ = ["catmull_clark", "clip", "split_quads", "weld"]


def _selection(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> sp.csr_matrix:
    """Matrix that counts (row, column) pairs."""
    return sp.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)


def catmull_clark(faces: list[list[int]], vertex_count: int) -> tuple[sp.csr_matrix, np.ndarray]:
    """One Catmull-Clark step.

    Args:
        faces: polygons as vertex indices, consistently oriented.
        vertex_count: number V of vertices.

    Returns:
        (operator, quads): ``operator`` (V + E + F, V) sparse gives vertex, edge and face points in this order;
        ``quads`` (Q, 4) has one quadrilateral for each polygon corner.

    Raises:
        ValueError: an edge belongs to more than two polygons.
    """
    sizes = np.array([len(face) for face in faces])
    corner = np.concatenate([np.asarray(face, dtype=np.int64) for face in faces])
    face_of = np.repeat(np.arange(len(faces)), sizes)
    following = np.concatenate([np.roll(face, -1) for face in faces])
    ends = np.sort(np.stack([corner, following], axis=1), axis=1)
    edges, first, edge_of = np.unique(ends, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)  # edges in the order in which the polygons name them
    edges, edge_of = edges[order], np.argsort(order)[edge_of.ravel()]
    uses = np.bincount(edge_of, minlength=len(edges))
    if uses.max() > 2:
        raise ValueError(f"Expected edges with one or two polygons, got one with {uses.max()}; mend the mesh.")
    boundary = uses == 1
    count, edge_count, face_count = vertex_count, len(edges), len(faces)

    face_points = sp.diags(1.0 / sizes) @ _selection(face_of, corner, (face_count, count))
    rows = np.repeat(np.arange(edge_count), 2)
    middles = 0.5 * _selection(rows, edges.ravel(), (edge_count, count))
    edge_faces = _selection(edge_of, face_of, (edge_count, face_count))
    edge_points = (
        sp.diags(np.where(boundary, 1.0, 0.5)) @ middles
        + sp.diags(np.where(boundary, 0.0, 0.25)) @ edge_faces @ face_points
    )

    vertex_faces = _selection(corner, face_of, (count, face_count))
    vertex_edges = _selection(edges.ravel(), rows, (count, edge_count))
    valence = np.maximum(np.asarray(vertex_faces.sum(axis=1)).ravel(), 1.0)
    edge_valence = np.maximum(np.asarray(vertex_edges.sum(axis=1)).ravel(), 1.0)
    interior = (
        sp.diags(valence**-2) @ vertex_faces @ face_points
        + sp.diags(2.0 / (valence * edge_valence)) @ vertex_edges @ middles
        + sp.diags((valence - 3.0) / valence)
    )
    rim_edges = vertex_edges @ sp.diags(boundary.astype(float))
    rim_valence = np.asarray(rim_edges.sum(axis=1)).ravel()
    on_rim = (rim_valence > 0).astype(float)
    rim = sp.diags(np.full(count, 0.5)) + sp.diags(0.5 / np.maximum(rim_valence, 1.0)) @ rim_edges @ middles
    vertex_points = sp.diags(1.0 - on_rim) @ interior + sp.diags(on_rim) @ rim

    operator = sp.vstack([vertex_points, edge_points, face_points], format="csr")
    operator.sum_duplicates()
    operator.eliminate_zeros()
    previous = np.concatenate([np.roll(part, 1) for part in np.split(edge_of, np.cumsum(sizes)[:-1])])
    quads = np.stack(
        [corner, count + edge_of, count + edge_count + face_of, count + previous],
        axis=1,
    )
    return operator, quads


def weld(operator: sp.csr_matrix, faces: np.ndarray, vertices: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray]:
    """Join points that coincide (to 1e-5 mm) for the given cage vertices, and drop unused ones.

    Args:
        operator: (N, V) sparse.
        faces: (M, K) indices into its rows.
        vertices: (V, 3) cage.

    Returns:
        (operator, faces) with each place kept once, the first of the joined rows winning, order preserved.
    """
    places = np.round(operator @ vertices, 5)
    _, first, group = np.unique(places, axis=0, return_index=True, return_inverse=True)
    faces = first[group.ravel()][faces]
    used, packed = np.unique(faces, return_inverse=True)
    return operator[used], packed.reshape(faces.shape)


def split_quads(quads: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Triangles (2Q, 3) of quads (Q, 4), each cut along its shorter diagonal on the given (N, 3) vertices."""
    corner = vertices[quads]
    first = np.linalg.norm(corner[:, 0] - corner[:, 2], axis=1)
    second = np.linalg.norm(corner[:, 1] - corner[:, 3], axis=1)
    a, b = quads[first <= second], quads[first > second]
    return np.concatenate([a[:, [0, 1, 2]], a[:, [0, 2, 3]], b[:, [0, 1, 3]], b[:, [1, 2, 3]]])


def clip(triangles: np.ndarray, values: np.ndarray, *, snap: float = 0.0) -> tuple[sp.csr_matrix, np.ndarray]:
    """Keep the part of a triangle mesh where a piecewise linear function is positive.

    Args:
        triangles: (M, 3).
        values: (N,) the function at the vertices.
        snap: a vertex closer to the cut than this share of an edge slides along that edge onto the cut, which
            spares slivers.

    Returns:
        (operator, kept): ``operator`` (N + B, N) sparse, the first N rows the old vertices (slid ones changed), then
        the new vertices on cut edges (an edge is cut once for both its triangles); ``kept`` (K, 3) triangles,
        oriented as before.
    """
    values = np.array(values, dtype=np.float64)
    triangles = np.asarray(triangles)[(values[triangles] > 0).any(axis=1)]
    count = len(values)
    slides = _slides(triangles, values, snap)
    values[list(slides)] = 0.0
    cuts: dict[tuple[int, int], int] = {}
    kept: list[list[int]] = []
    signs = np.sign(values).astype(int)
    for triangle in triangles.tolist():
        corner_signs = [signs[v] for v in triangle]
        if max(corner_signs) <= 0:
            continue
        if min(corner_signs) >= 0:
            kept.append(triangle)
            continue
        polygon: list[int] = []
        for k in range(3):
            a, b = triangle[k], triangle[(k + 1) % 3]
            if signs[a] >= 0:
                polygon.append(a)
            if signs[a] * signs[b] < 0:
                polygon.append(cuts.setdefault((min(a, b), max(a, b)), count + len(cuts)))
        kept.extend([polygon[0], polygon[k], polygon[k + 1]] for k in range(1, len(polygon) - 1))
    old = sp.identity(count, format="lil")
    for vertex, (share, other) in slides.items():
        old[vertex, vertex], old[vertex, other] = 1.0 - share, share
    ends = np.array(list(cuts), dtype=np.int64).reshape(-1, 2)
    share = values[ends[:, 0]] / (values[ends[:, 0]] - values[ends[:, 1]])
    rows = np.repeat(np.arange(len(ends)), 2)
    data = np.stack([1.0 - share, share], axis=1).ravel()
    new = sp.csr_matrix((data, (rows, ends.ravel())), shape=(len(ends), count))
    return sp.vstack([old.tocsr(), new], format="csr"), np.array(kept, dtype=np.int64).reshape(-1, 3)


def _slides(triangles: np.ndarray, values: np.ndarray, snap: float) -> dict[int, tuple[float, int]]:
    """For vertices nearly on the cut: (share, other), the place on the edge to ``other`` that they slide to."""
    edges = np.unique(np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    crossing = edges[(values[edges[:, 0]] > 0) != (values[edges[:, 1]] > 0)]
    slides: dict[int, tuple[float, int]] = {}
    for a, b in crossing.tolist():
        share = values[a] / (values[a] - values[b])
        if share < snap:
            slides.setdefault(a, (share, b))
        elif share > 1.0 - snap:
            slides.setdefault(b, (1.0 - share, a))
    return slides
