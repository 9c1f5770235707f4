"""Faces as 3D files: OBJ to read, PLY to measure, each with the photo's colour at every vertex.

Axes of the files as in 3DDFA_V2's: x right, y UP (the photo's height minus y), z towards the viewer, in pixels. All
faces of a photo go into one mesh. Its triangles run counter-clockwise from outside. Vertices outside the photo keep
their place; only their colour comes from the nearest pixel of the border.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from .arrays import Floats, Image, Integers
from .canvas import Faces, each_face, sample_nearest
from .files import write_bytes
from .images import checked_image
from .raster import checked_triangles

__all__ = ["save_obj", "save_ply"]

PLY_HEADER = """ply
format binary_little_endian 1.0
element vertex {vertices}
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
element face {triangles}
property list uchar int vertex_indices
end_header
"""


def save_obj(path: str | PathLike[str], image: Image, vertices: Faces, triangles: Integers) -> Path:
    """Write faces as OBJ text: lines ``v x y z red green blue`` (colours 0..1) and ``f a b c`` (from 1).

    Args:
        path: the file, which appears whole or not at all.
        image: (H, W, 3) uint8 RGB photo.
        vertices: (F, N, 3), a list of (N, 3), or one (N, 3) float32 image pixels. A face with a NaN is left out.
        triangles: (M, 3) int32, counter-clockwise from outside in model axes, as ``MorphableModel.tri``.

    Raises:
        ValueError: arrays of another shape or type, or no face.
        OSError: the file cannot be written.
    """
    points, colors, corners = _one_mesh(image, vertices, triangles)
    rows = np.column_stack([points, colors / 255.0]).ravel().tolist()
    text = ("v %.3f %.3f %.3f %.4f %.4f %.4f\n" * len(points)) % tuple(rows)
    text += ("f %d %d %d\n" * len(corners)) % tuple((corners + 1).ravel().tolist())
    return write_bytes(path, text.encode("ascii"))


def save_ply(path: str | PathLike[str], image: Image, vertices: Faces, triangles: Integers) -> Path:
    """Write faces as binary PLY with float32 coordinates and 8-bit colours.

    Arguments and errors as in :func:`save_obj`.
    """
    points, colors, corners = _one_mesh(image, vertices, triangles)
    vertex_rows = np.zeros(len(points), [("place", "<f4", 3), ("color", "u1", 3)])
    vertex_rows["place"], vertex_rows["color"] = points, colors
    triangle_rows = np.zeros(len(corners), [("count", "u1"), ("corners", "<i4", 3)])
    triangle_rows["count"], triangle_rows["corners"] = 3, corners
    header = PLY_HEADER.format(vertices=len(points), triangles=len(corners)).encode("ascii")
    return write_bytes(path, header + vertex_rows.tobytes() + triangle_rows.tobytes())


def _one_mesh(image: Image, vertices: Faces, triangles: Integers) -> tuple[Floats, Image, Integers]:
    """All faces together: (V, 3) float32 points with y up, (V, 3) uint8 colours, (T, 3) int64 triangles."""
    image = checked_image(image)
    faces = each_face(vertices)
    if not faces:
        raise ValueError("Expected at least one face with finite vertices, got none; there is nothing to write.")
    corners, start = [], 0
    for face in faces:
        corners.append(checked_triangles(triangles, len(face)).astype(np.int64) + start)
        start += len(face)
    points = np.concatenate(faces)
    colors = sample_nearest(image, points[:, :2])
    upright = points * np.array([1, -1, 1], np.float32) + np.array([0, image.shape[0], 0], np.float32)
    return upright, colors, np.concatenate(corners)
