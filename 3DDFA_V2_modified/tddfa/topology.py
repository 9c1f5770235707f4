"""Triangle meshes as graphs: boundary loops, watertightness, connected pieces, and filling of openings.

All functions take integer triangles (M, 3) and never look at the positions of the vertices, so what they build
stays valid however the vertices move. A filling vertex is a fixed mean of vertices that exist already; closing a
mesh is therefore linear in its vertices and does not depend on pose, identity or expression.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from .arrays import Integers

__all__ = ["boundary_loops", "check_triangles", "fill_loops", "is_watertight", "largest_piece"]


def check_triangles(triangles: Integers) -> Integers:
    """Triangles as a contiguous int64 (M, 3) array.

    Raises:
        ValueError: the array is not (M, 3), or its values are not whole numbers from 0 on.
    """
    array = np.asarray(triangles)
    if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind not in "iu":
        raise ValueError(
            f"Expected integer triangles of shape (M, 3), got {array.dtype} {array.shape}; "
            "transpose a (3, M) array first."
        )
    if array.size and array.min() < 0:
        raise ValueError(f"Expected vertex indices from 0 on, got {array.min()}; check the triangle list.")
    return np.ascontiguousarray(array, dtype=np.int64)


def _directed_edges(triangles: Integers) -> Integers:
    """The 3M directed edges (from, to) of (M, 3) triangles."""
    return triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)


def _boundary_edges(triangles: Integers) -> Integers:
    """Directed edges (K, 2) that no other triangle runs through in the opposite direction."""
    edges = _directed_edges(triangles)
    count = int(edges.max(initial=-1)) + 1
    forward = edges[:, 0] * count + edges[:, 1]
    backward = edges[:, 1] * count + edges[:, 0]
    return edges[~np.isin(forward, backward)]


def boundary_loops(triangles: Integers) -> list[Integers]:
    """Closed loops of boundary edges, each an index array in the triangles' own edge direction, longest first.

    A loop that meets itself in a vertex is split there, so that every loop names a vertex once only.

    Raises:
        ValueError: the boundary does not consist of closed loops (a triangle is turned around).
    """
    edges = _boundary_edges(check_triangles(triangles))
    following: dict[int, list[int]] = {}
    for start, end in edges.tolist():
        following.setdefault(start, []).append(end)
    loops: list[Integers] = []
    for start in sorted(following):
        while following.get(start):
            path, place = [start], {start: 0}
            while path:
                choices = following.get(path[-1])
                if not choices:
                    if len(path) == 1:
                        break
                    raise ValueError(
                        f"Expected closed boundary loops, but vertex {path[-1]} has no way on; "
                        "orient all triangles alike."
                    )
                step = choices.pop()
                if step not in place:
                    place[step] = len(path)
                    path.append(step)
                    continue
                loops.append(np.array(path[place[step] :], dtype=np.int64))
                for vertex in path[place[step] + 1 :]:
                    del place[vertex]
                del path[place[step] + 1 :]
    return sorted(loops, key=lambda loop: (-len(loop), int(loop.min())))


def is_watertight(triangles: Integers) -> bool:
    """True when every edge belongs to exactly two triangles that run through it in opposite directions."""
    edges = _directed_edges(check_triangles(triangles))
    if not len(edges):
        return False
    count = int(edges.max()) + 1
    forward = np.sort(edges[:, 0] * count + edges[:, 1])
    backward = np.sort(edges[:, 1] * count + edges[:, 0])
    return bool(np.array_equal(forward, backward) and (np.diff(forward) > 0).all())


def largest_piece(triangles: Integers) -> Integers:
    """The triangles (K, 3) of the edge-connected piece with the most triangles, in their order."""
    triangles = check_triangles(triangles)
    edges = np.sort(_directed_edges(triangles), axis=1)
    owner = np.repeat(np.arange(len(triangles)), 3)
    key = edges[:, 0] * (int(triangles.max()) + 1) + edges[:, 1]
    order = np.argsort(key, kind="stable")
    same = key[order][1:] == key[order][:-1]
    first, second = owner[order][:-1][same], owner[order][1:][same]
    graph = sp.coo_matrix((np.ones(len(first)), (first, second)), shape=(len(triangles),) * 2)
    piece = sp.csgraph.connected_components(graph, directed=False)[1]
    return triangles[piece == np.bincount(piece).argmax()]


def fill_loops(triangles: Integers, vertex_count: int) -> tuple[sp.csr_matrix, Integers]:
    """Close every opening with a fan around the mean of its loop.

    Args:
        triangles: (M, 3) open mesh, all triangles oriented alike.
        vertex_count: N, the number of vertices the triangles refer to.

    Returns:
        (weights, closed): ``weights`` (B, N) sparse, row i the mean of loop i; the new vertices
        ``weights @ vertices`` get the indices N, N+1, ...; ``closed`` (M + sum of loop lengths, 3) triangles.
    """
    triangles = check_triangles(triangles)
    loops = boundary_loops(triangles)
    fans = [triangles]
    rows: list[Integers] = []
    for number, loop in enumerate(loops):
        apex = np.full(len(loop), vertex_count + number)
        fans.append(np.stack([np.roll(loop, -1), loop, apex], axis=1))
        rows.append(np.full(len(loop), number))
    if not loops:
        return sp.csr_matrix((0, vertex_count)), triangles
    columns = np.concatenate(loops)
    values = np.concatenate([np.full(len(loop), 1.0 / len(loop)) for loop in loops])
    weights = sp.csr_matrix((values, (np.concatenate(rows), columns)), shape=(len(loops), vertex_count))
    return weights, np.concatenate(fans)
