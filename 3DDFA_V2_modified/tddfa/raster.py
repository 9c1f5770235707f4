"""A z-buffer renderer for triangle meshes: which triangle a pixel shows, attributes, colours, normals.

Image axes: x right, y down, z towards the camera; the vertex with the larger z hides the others. Pixel centres lie at
integers. Coverage is exact: two triangles with a common edge leave no gap between them and share no pixel. The work
is done in C++ (``raster_core.hpp``); ``tddfa.reference`` says the same in NumPy.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _raster
from .arrays import Floats, Image, Integers
from .contract import FARTHEST
from .describe import short_repr

LARGEST_SIDE = 2**21
"""Pixels of a frame's side: in 1/1024 pixel they must fit into 32 bits."""

MOST_THREADS = 64


class RasterBuffers(NamedTuple):
    """What :func:`rasterize` saw at each pixel of an (H, W) frame."""

    triangle: Integers
    """(H, W) int32: the visible triangle's row, -1 for the background."""
    barycentric: Floats
    """(H, W, 3) float32: the pixel centre's weights of that triangle's corners, zeros for the background."""
    depth: Floats
    """(H, W) float32: z of the surface there, -inf for the background."""

    def __repr__(self) -> str:
        return short_repr(self)


def rasterize(
    vertices: Floats,
    triangles: Integers,
    height: int,
    width: int,
    *,
    cull_backfaces: bool = False,
    threads: int = 1,
) -> RasterBuffers:
    """Draws a mesh into a z-buffer.

    Args:
        vertices: (N, 3) float32, image pixels, z towards the camera. Triangles with a NaN or infinite vertex are left
            out. Vertices may lie outside the frame.
        triangles: (M, 3) int32 rows of ``vertices``. Triangles without area in the image are left out.
        height: rows of the frame, in pixels.
        width: columns of the frame, in pixels.
        cull_backfaces: leave out triangles that face away from the camera; outside of a model's mesh its corners
            run counter-clockwise as seen (with y down: a negative signed area).
        threads: bands of rows drawn at once, where OpenMP was there at build time; the result is the same.

    Raises:
        ValueError: wrong shapes, an index without a vertex, or a vertex further than 524,288 pixels away.

    Example:
        >>> corners = np.array([[-1, -1, 0], [-1, 3, 0], [3, -1, 8]], np.float32)
        >>> buffers = rasterize(corners, np.array([[0, 1, 2]]), 3, 3)
        >>> buffers.triangle.tolist()
        [[0, 0, 0], [0, 0, -1], [0, -1, -1]]
        >>> buffers.depth[0].tolist()  # z rises by 2 with every pixel to the right
        [2.0, 4.0, 6.0]
    """
    points, corners = checked_mesh(vertices, triangles)
    depth = _far_depth(height, width)
    triangle = np.full((height, width), -1, np.int32)
    barycentric = np.zeros((height, width, 3), np.float32)
    _drawn(_raster.rasterize(points, corners, triangle, barycentric, depth, cull_backfaces, _thread_count(threads)))
    return RasterBuffers(triangle, barycentric, depth)


def interpolate(
    attributes: Floats,
    triangles: Integers,
    buffers: RasterBuffers,
    background: float | Floats = 0.0,
) -> Floats:
    """Spreads values given per vertex over the pixels: (H, W, K) float32.

    Args:
        attributes: (N, K) or (N,) float32, one row per vertex (colours, normals, UVs, ...; all at once is fastest).
        triangles: (M, 3) int32, as given to :func:`rasterize`.
        buffers: what :func:`rasterize` returned.
        background: value of the pixels without a triangle: a number, (K,), or an (H, W, K) picture (it is copied).

    Raises:
        ValueError: wrong shapes, an index without a row, or buffers of other triangles.
    """
    attributes = as_numbers(attributes, np.float32, what="attributes")
    if attributes.ndim == 1:
        attributes = attributes[:, None]
    if attributes.ndim != 2:
        raise ValueError(f"Expected attributes of shape (N, K), got {attributes.shape}; pass one row per vertex.")
    corners = checked_triangles(triangles, len(attributes))
    triangle = np.ascontiguousarray(buffers.triangle, np.int32)
    barycentric = np.ascontiguousarray(buffers.barycentric, np.float32)
    if triangle.ndim != 2 or barycentric.shape != (*triangle.shape, 3):
        raise ValueError(
            f"Expected buffers of shapes (H, W) and (H, W, 3), got {triangle.shape} and {barycentric.shape}; "
            "pass what rasterize returned."
        )
    if triangle.size and int(triangle.max()) >= len(corners):
        raise ValueError(
            f"Expected buffers of these {len(corners)} triangles, got triangle {int(triangle.max())}; "
            "pass the triangles that were rasterized."
        )
    out = np.empty((*triangle.shape, attributes.shape[1]), np.float32)
    _fill(out, background)
    _raster.interpolate(attributes, corners, triangle, barycentric, out)
    return out


def render_colors(
    vertices: Floats,
    triangles: Integers,
    colors: Floats,
    height: int,
    width: int,
    background: Floats | Image | float | None = None,
    *,
    cull_backfaces: bool = False,
    threads: int = 1,
) -> Floats:
    """Draws a mesh with a colour per vertex: (H, W, 3) float32.

    Args:
        vertices: (N, 3) float32, as in :func:`rasterize`.
        triangles: (M, 3) int32.
        colors: (N, 3) float32, of any range.
        height: rows of the frame, in pixels.
        width: columns of the frame, in pixels.
        background: (H, W, 3) picture of the same range behind the mesh; black without one.
        cull_backfaces: leave out triangles that face away, as in :func:`rasterize`.
        threads: bands of rows drawn at once; the result is the same.

    Raises:
        ValueError: as in :func:`rasterize`, or colours or a background of another shape.
    """
    points, corners = checked_mesh(vertices, triangles)
    colors = as_numbers(colors, np.float32, what="colours")
    if colors.shape != (len(points), 3):
        raise ValueError(f"Expected {len(points)} colours, one per vertex, got {colors.shape}; pass (N, 3).")
    depth = _far_depth(height, width)
    out = np.zeros((height, width, 3), np.float32)
    if background is not None:
        _fill(out, background)
    _drawn(_raster.render(points, corners, colors, depth, out, cull_backfaces, _thread_count(threads)))
    return out


def vertex_normals(vertices: Floats, triangles: Integers, *, axes: str = "image") -> Floats:
    """Unit normals per vertex, weighted by the triangles' areas: (N, 3) float32 in the vertices' own axes.

    Args:
        vertices: (N, 3) float32.
        triangles: (M, 3) int32, counter-clockwise from outside in the model's axes (y up), as all our meshes are.
        axes: ``"image"`` (y down, the default) or ``"model"`` (y up). Turning y over mirrors the mesh, so the sign of
            the cross product differs; with the right value normals point out of the face, in both.

    A vertex of no triangle gets (0, 0, 0).

    Raises:
        ValueError: wrong shapes, an index without a vertex, or another word for ``axes``.
    """
    if axes not in ("image", "model"):
        raise ValueError(f"Expected axes 'image' or 'model', got {axes!r}; say which way y runs.")
    points, corners = checked_mesh(vertices, triangles)
    out = np.zeros((len(points), 3), np.float32)
    _raster.vertex_normals(points, corners, -1.0 if axes == "image" else 1.0, out)
    return out


def _far_depth(height: int, width: int) -> Floats:
    """(height, width) float32 of -inf, or a ValueError for a frame that the core cannot count in 32 bits."""
    whole = all(isinstance(side, int | np.integer) for side in (height, width))
    if not whole or not (0 <= height <= LARGEST_SIDE and 0 <= width <= LARGEST_SIDE):
        raise ValueError(
            f"Expected a frame of 0 to {LARGEST_SIDE:,} whole pixels a side, got {height} x {width}; "
            "pass height, width."
        )
    return np.full((height, width), -np.inf, np.float32)


def _thread_count(threads: int) -> int:
    """At least one, and not so many that the system refuses them, which ends the process."""
    return min(max(1, int(threads)), MOST_THREADS)


def _drawn(too_far: int) -> None:
    """A ValueError when the core refused a vertex."""
    if too_far:
        raise ValueError(
            f"Expected vertices within {FARTHEST:,.0f} pixels of the frame, got one further away; check the scale "
            "of the pose."
        )


def _fill(out: Floats, background: float | Floats | Image) -> None:
    """Put a number, (K,) or a picture (H, W, K) behind what is drawn into ``out``, or a ValueError."""
    try:
        out[...] = background
    except ValueError:
        raise ValueError(
            f"Expected a background that fits {out.shape}, got {np.shape(background)}; pass a number, (K,), (H, W, K)."
        ) from None


def as_numbers(values: Floats, dtype: type[np.floating[Any]], *, what: str) -> NDArray[Any]:
    """The values as a C-contiguous array of this type, or a ValueError when they are no real numbers."""
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        array = np.zeros(0, object)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"Expected {what} of real numbers, got {array.dtype} {array.shape}; pass a float32 array.")
    return np.ascontiguousarray(array, dtype)


def checked_mesh(vertices: Floats, triangles: Integers) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The mesh as C-contiguous float32 and int32 arrays, or a ValueError that says what is wrong with it."""
    vertices = as_numbers(vertices, np.float32, what="vertices")
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise ValueError(f"Expected vertices of shape (N, 3), got {vertices.shape}; transpose or reshape them.")
    return vertices, checked_triangles(triangles, len(vertices))


def checked_triangles(triangles: Integers, count: int) -> NDArray[np.int32]:
    """The triangles as a C-contiguous int32 array whose indices are below ``count``."""
    triangles = np.asarray(triangles)
    if triangles.ndim != 2 or triangles.shape[1] != 3 or triangles.dtype.kind not in "iu":
        raise ValueError(
            f"Expected triangles of shape (M, 3) and an integer type, got {triangles.shape} {triangles.dtype}; "
            "pass three vertex numbers a row."
        )
    if triangles.size and (int(triangles.min()) < 0 or int(triangles.max()) >= count):
        raise ValueError(
            f"Expected triangle indices from 0 to {count - 1}, got {int(triangles.min())} to {int(triangles.max())}; "
            "pass the triangles of this mesh."
        )
    return np.ascontiguousarray(triangles, np.int32)
