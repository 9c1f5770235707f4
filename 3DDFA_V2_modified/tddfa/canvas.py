"""What all pictures share: lists of faces, painting a surface, reading colours off a photo.

Images are (H, W, 3) uint8 RGB, pixel centres at integers; faces are (N, 3) float32 image pixels, x right, y down, z
towards the camera.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .arrays import Floats, Image, Integers
from .raster import render_colors

__all__ = ["Faces", "each_face", "list_faces", "paint", "sample_bilinear", "sample_nearest"]

Faces = Floats | Sequence[Floats]
"""(F, N, 3), a list of (N, 3), or one (N, 3)."""


def list_faces(vertices: Faces, *, count: int | None = None) -> list[Floats]:
    """The faces one by one, (N, 3) or (N, 2) float32.

    Raises:
        ValueError: another shape, or not ``count`` points each.
    """
    if isinstance(vertices, np.ndarray) and vertices.ndim == 2:
        vertices = [vertices]
    faces = [np.asarray(face, np.float32) for face in vertices]
    for face in faces:
        if face.ndim != 2 or face.shape[1] not in (2, 3) or (count is not None and len(face) != count):
            points = "N" if count is None else count
            raise ValueError(f"Expected faces of shape ({points}, 3), got {face.shape}; transpose them first.")
    return faces


def each_face(vertices: Faces, *, count: int | None = None) -> list[Floats]:
    """Like :func:`list_faces`, without the faces that hold a NaN or infinite number, or no point at all."""
    return [face for face in list_faces(vertices, count=count) if len(face) and np.isfinite(face).all()]


def paint(image: Image, vertices: Floats, triangles: Integers, colors: Floats) -> Image:
    """A copy of the image with one face drawn over it.

    Args:
        image: (H, W, 3) uint8.
        vertices: (N, 3) float32.
        triangles: (M, 3) int32.
        colors: (N, 3) float32 in 0..1 per vertex. Between vertices they are blended, then cut to whole grey levels, as
            Sim3DR does.

    Raises:
        ValueError: arrays of another shape or type.
    """
    drawn = image.copy()
    if len(colors) != len(vertices):
        raise ValueError(f"Expected {len(vertices)} colours, one per vertex, got {len(colors)}.")
    # Only the face's own rectangle is drawn; its corner is whole pixels, so that nothing moves against the pixels.
    left, top = (max(int(np.floor(low)), 0) for low in vertices[:, :2].min(axis=0))
    right, bottom = np.minimum(np.ceil(vertices[:, :2].max(axis=0)) + 1, image.shape[1::-1]).astype(int).tolist()
    if left >= right or top >= bottom:
        return drawn
    moved = vertices - np.array([left, top, 0], np.float32)
    part = drawn[top:bottom, left:right]
    painted = render_colors(moved, triangles, colors * np.float32(255), bottom - top, right - left, part)
    part[...] = painted.clip(0, 255).astype(np.uint8)
    return drawn


def sample_nearest(image: Image, points: Floats) -> Image:
    """(N, 3) uint8 colours of the pixels nearest to (N, 2) points; outside, of the nearest pixel of the border."""
    height, width = image.shape[:2]
    x, y = np.rint(np.clip(points, 0, (width - 1, height - 1))).astype(np.int64).T
    return image[y, x]


def sample_bilinear(image: Image, points: Floats) -> Floats:
    """(N, 3) float32 colours in 0..255 at (N, 2) points, bilinear; outside, of the nearest point of the border."""
    height, width = image.shape[:2]
    x, y = np.clip(points, 0, (width - 1, height - 1)).astype(np.float64).T
    x0, y0 = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    u, v = (x - x0)[:, None], (y - y0)[:, None]
    upper = (1 - u) * image[y0, x0] + u * image[y0, x1]
    lower = (1 - u) * image[y1, x0] + u * image[y1, x1]
    return ((1 - v) * upper + v * lower).astype(np.float32)
