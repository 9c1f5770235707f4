"""Solid volumes from closed triangle meshes, exactly: what VRN learns to predict.

Coordinates (the contract of this project): vertices in crop pixels, x right, y down, z towards the camera. The volume
is indexed [z, y, x]; slice k grows towards the camera, with two slices per pixel of depth::

    k = 2 * z + offset        z = (k - offset) / 2

A voxel is solid where its centre lies inside the mesh: where the winding number is positive. The work is done in C++
(``voxelize_core.hpp``); ``tddfa.reference.voxelize`` says the same in NumPy and SciPy.
"""

import numpy as np
from numpy.typing import NDArray

from . import _voxelize
from .arrays import Floats, Integers, Volume
from .contract import CROP_SIZE, FARTHEST, SLICES_PER_PIXEL, VOLUME_DEPTH
from .raster import as_numbers, checked_triangles

MOST_COLUMNS = 2**31
"""The core counts columns, and twice the slices, in 32 bits."""


def voxelize(
    vertices: Floats,
    triangles: Integers,
    *,
    size: int = CROP_SIZE,
    depth: int = VOLUME_DEPTH,
    step: int = 1,
    offset: float | None = None,
) -> tuple[Volume, float]:
    """Fills a closed mesh with voxels: one 6-connected solid without enclosed holes.

    Args:
        vertices: (N, 3) float, crop pixels, x right, y down, z towards the camera.
        triangles: (M, 3) integers, of either orientation as long as it is the same everywhere (the sign is worked out
            from the signed volume). Parts that overlap are united.
        size: side of the crop in pixels.
        depth: number of slices.
        step: distance of neighbouring columns in pixels. Column (i, j) is sampled at x = (i + 0.5) * step - 0.5 and
            the same for y: integer pixels for 1, the 48 x 48 lattice of VRN's feature maps for 4.
        offset: slice of z = 0. By default the bounding box of the triangles is centred in depth; when it is deeper
            than the volume, its front is put at the last slice's front face and the back is cut off.

    Returns:
        ``(volume, offset)``: (depth, size // step, size // step) bool, and the offset that was used. Whatever lies
        outside the crop or in front of or behind the slices is cut off; of the rest the largest 6-connected component
        is kept, and background that cannot reach the volume's border is filled.

    Raises:
        ValueError: wrong shapes, an open or inconsistently oriented mesh, values that are not finite, or vertices
            further than 524,288 pixels away.

    Example:
        A tetrahedron 8 pixels wide and 4 pixels, so 8 slices, deep, in a small volume:

        >>> corners = np.array([[4, 4, 0], [12, 4, 0], [4, 12, 0], [4, 4, 4]])
        >>> triangles = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
        >>> volume, offset = voxelize(corners, triangles, size=16, depth=16)
        >>> volume.shape, offset  # z = 0 lies at slice 3.5, z = 4 at slice 11.5
        ((16, 16, 16), 3.5)
        >>> [int(slice.sum()) for slice in volume[3:12]]
        [0, 21, 15, 10, 6, 3, 1, 0, 0]
    """
    points, corners = _checked(vertices, triangles)
    if size < 1 or step < 1 or depth < 1 or size % step:
        raise ValueError(
            f"Expected positive numbers with size a multiple of step, got size={size} step={step} depth={depth}; "
            f"use {CROP_SIZE}, 1 or 4, and {VOLUME_DEPTH}."
        )
    if (size // step) ** 2 >= MOST_COLUMNS or depth >= MOST_COLUMNS // 4:
        raise ValueError(
            f"Expected a volume whose columns can be counted in 32 bits, got {size // step} x {size // step} of "
            f"{depth} slices; use a coarser step."
        )
    if offset is None:
        offset = _centred(points, corners, depth)
    elif not np.isfinite(offset):
        raise ValueError(f"Expected a finite depth offset, got {offset}; leave it out to centre the mesh.")
    scaled = np.empty_like(points)
    for axis in (0, 1):  # one at a time: numpy is slow over rows of two
        scaled[:, axis] = (points[:, axis] + 0.5) / step - 0.5
    scaled[:, 2] = SLICES_PER_PIXEL * points[:, 2] + offset
    volume = np.empty((depth, size // step, size // step), np.uint8)
    _voxelize.voxelize(scaled, corners, volume)
    return volume.view(bool), float(offset)


def depth_offset(vertices: Floats, triangles: Integers, *, depth: int = VOLUME_DEPTH) -> float:
    """The slice of z = 0 that centres a mesh in depth, or keeps its front when it is too deep.

    Only vertices that a triangle uses count. Slices are one unit thick around their centres 0 ... depth - 1. A mesh
    of up to ``depth`` units is centred on (depth - 1) / 2; a deeper one touches depth - 0.5 with its nearest point.

    Raises:
        ValueError: as in :func:`voxelize`; the mesh may be open.
    """
    if depth < 1:
        raise ValueError(f"Expected at least one slice, got depth={depth}; use {VOLUME_DEPTH}.")
    return _centred(*_checked_mesh(vertices, triangles), depth)


def slice_extent(vertices: Floats, triangles: Integers, offset: float) -> tuple[float, float]:
    """The slices from which to which a mesh reaches, beyond the volume's ends where it was cut off; 1/1000 slice.

    Args:
        vertices, triangles: as for :func:`voxelize`.
        offset: what that returned.
    """
    low, high = (SLICES_PER_PIXEL * z + offset for z in _voxelize.depth_range(*_checked_mesh(vertices, triangles)))
    return round(low, 3), round(high, 3)


def _centred(points: NDArray[np.float64], corners: NDArray[np.int32], depth: int) -> float:
    """The same for arrays that are known to fit."""
    low, high = (SLICES_PER_PIXEL * z for z in _voxelize.depth_range(points, corners))
    if high - low <= depth:
        return (depth - 1) / 2 - (low + high) / 2
    return depth - 0.5 - high


def open_edges(triangles: Integers) -> Integers:
    """(B, 2) the directed edges that no triangle walks the other way; none for a closed, oriented mesh."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]).astype(np.int64)
    edges = edges[edges[:, 0] != edges[:, 1]]
    base = int(edges.max(initial=0)) + 1
    one_way, count = np.unique(edges[:, 0] * base + edges[:, 1], return_counts=True)
    other_way = (one_way % base) * base + one_way // base
    place = np.minimum(np.searchsorted(one_way, other_way), len(one_way) - 1)
    partners = np.where(one_way[place] == other_way, count[place], 0)
    unmatched = one_way[count > partners]
    return np.stack([unmatched // base, unmatched % base], 1)


def _checked(vertices: Floats, triangles: Integers) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """A closed mesh as the core takes it, or a ValueError."""
    points, corners = _checked_mesh(vertices, triangles)
    if not _voxelize.closed(corners):
        raise ValueError(
            f"Expected a closed mesh of one orientation, got {len(open_edges(corners))} edges that only one triangle "
            "walks; close the surface first (MorphableModel.close)."
        )
    return points, corners


def _checked_mesh(vertices: Floats, triangles: Integers) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """The same, closed or not."""
    points = as_numbers(vertices, np.float64, what="vertices")
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise ValueError(f"Expected vertices of shape (N, 3), got {points.shape}; transpose or reshape them.")
    corners = checked_triangles(triangles, len(points))
    if not len(corners):
        raise ValueError("Expected a closed mesh, got no triangle; pass the model's triangles.")
    if not np.isfinite(points).all():
        bad = int((~np.isfinite(points).all(1)).sum())
        raise ValueError(
            f"Expected finite vertices, got {bad} with NaN or infinity; check the pose and the parameters."
        )
    if np.abs(points).max() > FARTHEST:
        raise ValueError(
            f"Expected vertices within {FARTHEST:,.0f} pixels of the crop, got one further away; check the scale "
            "of the pose."
        )
    return points, corners
