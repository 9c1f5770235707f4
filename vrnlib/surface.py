"""From a volume to a surface: marching cubes at the 0.5 level, in crop pixels, with a colour per vertex.

Axes of a `Surface` are the contract's: x right, y down, z towards the camera, all in crop pixels; two slices of the
volume are one pixel of depth. Faces are ordered so that (v1 - v0) x (v2 - v0), computed with these numbers, points out
of the solid: the signed volume is positive. (To the eye y runs down, so these axes are left-handed; `upright` turns
both y and the order of the faces around for viewers.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from tddfa.arrays import Floats, Image, Volume
from tddfa.contract import CROP_MIDDLE, MIDDLE_SLICE, SLICES_PER_PIXEL
from tddfa.describe import short_repr
from tddfa.mesh import signed_volume
from tddfa.raster import vertex_normals
from vrnlib.crop import transform_points


class SurfaceError(ValueError):
    """No surface can be made; the message is one sentence."""


@dataclass(frozen=True, repr=False)
class Surface:
    """A triangle mesh in crop pixels.

    >>> corner = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    >>> surface = Surface(corner, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32))
    >>> surface, round(surface.volume, 3)
    (Surface(vertices=float32 (4, 3), faces=int32 (4, 3)), 0.167)
    """

    vertices: NDArray[np.float32]
    """(V, 3): x right, y down, z towards the camera."""
    faces: NDArray[np.int32]
    """(F, 3), outward as the module says."""
    colors: NDArray[np.uint8] | None = None
    """(V, 3) RGB."""

    __repr__ = short_repr

    @property
    def volume(self) -> float:
        """Signed volume in cubic pixels; positive when the faces look outwards."""
        return signed_volume(self.vertices, self.faces)

    def normals(self) -> NDArray[np.float32]:
        """(V, 3) outward unit normals, weighted by the areas of the faces around a vertex."""
        return vertex_normals(self.vertices, self.faces, axes="model").astype(np.float32, copy=False)


def solid(probability: ArrayLike, *, level: float = 0.5) -> Volume:
    """The solid of a probability volume [z, y, x]: above `level`, largest 6-connected part, holes filled."""
    inside = _checked(probability) > level
    result = np.zeros(inside.shape, dtype=bool)
    where = ndimage.find_objects(inside.astype(np.uint8))
    if not where or where[0] is None:
        return result
    part, box = inside[where[0]], where[0]
    labels, count = ndimage.label(part)
    if count > 1:
        part = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    outside, count = ndimage.label(np.pad(~part, 1, constant_values=True))
    result[box] = (outside != outside[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return result


def extract_surface(
    probability: ArrayLike,
    *,
    level: float = 0.5,
    offset: float = MIDDLE_SLICE,
    largest: bool = True,
) -> Surface:
    """The surface of a volume by marching cubes (Lorensen and Cline 1987, in Lewiner's variant), sub-voxel.

    Args:
        probability: (200, 192, 192) float in 0 … 1 or bool, [z, y, x], slices growing towards the camera.
        level: the value on the surface.
        offset: the slice at z = 0; z in pixels = (slice - offset) / 2.
        largest: keep only the piece of surface that encloses most; specks and inner holes vanish.

    Returns:
        The surface, closed also where the solid touches the volume's border; without colors.

    Raises:
        SurfaceError: nothing in the volume is above `level`, or a wrong shape.
    """
    from skimage.measure import marching_cubes

    field = _checked(probability)
    where = ndimage.find_objects((field > level).astype(np.uint8))
    if not where or where[0] is None:
        raise SurfaceError(
            f"Nothing in the volume is above {level:g} (its largest value is {float(field.max(initial=0)):.3g}), "
            "so there is no surface; check that the crop shows a face."
        )
    low = np.array([max(part.start - 1, 0) for part in where[0]])
    high = np.array([part.stop + 1 for part in where[0]])
    field = np.pad(field[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(np.float32), 1)
    corners, faces, _, _ = marching_cubes(field, level, allow_degenerate=False)
    z, y, x = (corners + (low - 1)).T
    vertices = np.stack([x, y, (z - offset) / SLICES_PER_PIXEL], axis=1).astype(np.float32)
    surface = Surface(vertices, np.ascontiguousarray(faces, dtype=np.int32))
    if largest:
        surface = _largest_piece(surface)
    if surface.volume < 0:
        surface = replace(surface, faces=np.ascontiguousarray(surface.faces[:, ::-1]))
    return surface


def color_surface(surface: Surface, image: Image, *, matrix: Floats | None = None) -> Surface:
    """The surface with the colour of the picture at each vertex's x, y (bilinear), hidden vertices too, as VRN does.

    Args:
        surface: in crop pixels.
        image: (H, W, 3) RGB, the crop or another picture. Beyond its border the nearest pixel's colour is used.
        matrix: (2, 3) from crop pixels to the other picture's (for the photo: `invert_matrix(crop.matrix)`).

    Raises:
        SurfaceError: an image of another shape or type.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise SurfaceError(f"Expected a picture as (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}.")
    where = surface.vertices[:, :2]
    if matrix is not None:
        where = transform_points(where, matrix)
    x = np.clip(where[:, 0].astype(np.float64), 0, image.shape[1] - 1)
    y = np.clip(where[:, 1].astype(np.float64), 0, image.shape[0] - 1)
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    x1, y1 = np.minimum(x0 + 1, image.shape[1] - 1), np.minimum(y0 + 1, image.shape[0] - 1)
    u, v = (x - x0)[:, None], (y - y0)[:, None]
    top = (1 - u) * image[y0, x0] + u * image[y0, x1]
    bottom = (1 - u) * image[y1, x0] + u * image[y1, x1]
    return replace(surface, colors=np.rint((1 - v) * top + v * bottom).astype(np.uint8))


def upright(surface: Surface) -> Surface:
    """The surface for viewers: right-handed, x right, y UP, z towards the viewer, the crop's middle at the origin.

    One unit is still one crop pixel. The faces are turned over too, so that they are counter-clockwise from outside.
    """
    vertices = surface.vertices * np.array([1, -1, 1], dtype=np.float32)
    vertices = vertices + np.array([-CROP_MIDDLE, CROP_MIDDLE, 0], dtype=np.float32)
    return replace(surface, vertices=vertices, faces=np.ascontiguousarray(surface.faces[:, ::-1]))


def simplify(surface: Surface, *, max_faces: int) -> Surface:
    """A coarser surface with about `max_faces` faces at most, by merging the vertices of cubes of growing size.

    Colours are averaged. A surface that is small enough already comes back unchanged.
    """
    cell = 1.0
    result = surface
    while len(result.faces) > max_faces:
        cell *= 1.25
        keys = np.floor(surface.vertices / cell).astype(np.int64)
        _, group, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
        group = group.reshape(-1)

        def mean(values: NDArray[Any], group: NDArray[Any] = group, count: NDArray[Any] = count) -> NDArray[np.float64]:
            return np.stack([np.bincount(group, column) for column in values.T], axis=1) / count[:, None]

        faces = group[surface.faces]
        apart = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
        colors = None if surface.colors is None else np.rint(mean(surface.colors)).astype(np.uint8)
        result = Surface(mean(surface.vertices).astype(np.float32), faces[apart].astype(np.int32), colors)
    return result


def _checked(probability: ArrayLike) -> NDArray[Any]:
    """The volume as an array, or a SurfaceError."""
    field = np.asarray(probability)
    if field.ndim != 3 or 0 in field.shape:
        raise SurfaceError(f"Expected a volume [z, y, x] such as (200, 192, 192), got {field.shape}.")
    return field


def _largest_piece(surface: Surface) -> Surface:
    """The connected piece with the largest enclosed volume, its vertices renumbered."""
    count, faces = len(surface.vertices), surface.faces
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    graph = sparse.coo_matrix((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    pieces, label = csgraph.connected_components(graph, directed=False)
    if pieces <= 1:
        return surface
    a, b, c = (surface.vertices[faces[:, i]].astype(np.float64) for i in range(3))
    volumes = np.bincount(label[faces[:, 0]], np.einsum("ij,ij->i", a, np.cross(b, c)), minlength=pieces)
    keep = label == np.argmax(np.abs(volumes))
    number = np.cumsum(keep) - 1
    return Surface(surface.vertices[keep], number[faces[keep[faces[:, 0]]]].astype(np.int32))
