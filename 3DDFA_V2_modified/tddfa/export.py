"""Faces as 3D files: OBJ with the photo as its texture, PLY with the photo's colour at every vertex.

All files have one frame, and say so in their first lines: x right, y UP, z towards the viewer, right-handed, one unit a
pixel; triangles run counter-clockwise from outside. Of a photo's faces y is the photo's height minus y, as in 3DDFA_V2,
and all of them go into one mesh. Vertices outside the photo keep their place; only their colour comes from the nearest
pixel of the border.
"""

from __future__ import annotations

import os
import re
from os import PathLike
from pathlib import Path

import numpy as np

from .arrays import Floats, Image, Integers
from .canvas import Faces, each_face, sample_nearest
from .files import write_bytes
from .images import checked_image, png_bytes
from .raster import checked_triangles
from .texture import Texture, photo_texture

__all__ = ["obj_files", "ply_bytes", "save_obj", "save_ply", "write_obj"]

AXES = "x right, y up, z towards the viewer (right-handed), one unit is one pixel"
"""Said in every file."""

SAVED_BY = "vrn tddfa"
"""Of the texture's picture, so that nobody takes it for a photo; see ``images.is_own_picture``."""

PLY_HEADER = """ply
format binary_little_endian 1.0
comment {about}
element vertex {vertices}
property float x
property float y
property float z
{colors}element face {triangles}
property list uchar int vertex_indices
end_header
"""

PLY_COLORS = "property uchar red\nproperty uchar green\nproperty uchar blue\n"

MATERIAL = """# tddfa: the photo as a texture, without gloss
newmtl photo
Ka 1 1 1
Kd 1 1 1
Ks 0 0 0
illum 1
map_Kd {picture}
"""


def save_obj(path: str | PathLike[str], image: Image, vertices: Faces, triangles: Integers, *, about: str = "") -> Path:
    """Write faces as OBJ with the photo as their texture, see :func:`write_obj`.

    What the photo does not show (a cheek behind the nose) has the pixel that lies before it.

    Args:
        path: the file; beside it appear ``NAME.mtl`` and ``NAME_texture.png``.
        image: (H, W, 3) uint8 RGB photo.
        vertices: (F, N, 3), a list of (N, 3), or one (N, 3) float32 image pixels. A face with a NaN is left out.
        triangles: (M, 3) int32, counter-clockwise from outside in model axes, as ``MorphableModel.tri``.
        about: more for the file's first lines.

    Raises:
        ValueError: arrays of another shape or type, or no face.
        OSError: a file cannot be written.
    """
    points, corners = _one_mesh(image, vertices, triangles)
    texture = photo_texture(image, points)
    colors = sample_nearest(image, points[:, :2])
    write_obj(path, _upright(points, image), corners, colors=colors, texture=texture, about=_about(image) + about)
    return Path(path)


def save_ply(path: str | PathLike[str], image: Image, vertices: Faces, triangles: Integers, *, about: str = "") -> Path:
    """Write faces as binary PLY with float32 coordinates and 8-bit colours.

    Arguments and errors as in :func:`save_obj`.
    """
    points, corners = _one_mesh(image, vertices, triangles)
    colors = sample_nearest(image, points[:, :2])
    return write_bytes(path, ply_bytes(_upright(points, image), corners, colors=colors, about=_about(image) + about))


def obj_files(path: str | PathLike[str]) -> list[Path]:
    """What :func:`write_obj` writes for a path: the .obj, and with a texture the .mtl and the picture."""
    path = Path(path)
    return [path, path.with_suffix(".mtl"), path.with_name(f"{path.stem}_texture.png")]


def write_obj(
    path: str | PathLike[str],
    points: Floats,
    triangles: Integers,
    *,
    colors: Image | None = None,
    texture: Texture | None = None,
    about: str = "",
    software: str = SAVED_BY,
) -> None:
    """Write a mesh as OBJ text: ``v x y z red green blue`` (colours 0..1), ``vt u v``, ``f a/a b/b c/c`` (from 1).

    Args:
        path: the file; each of :func:`obj_files` appears whole or not at all, the .obj last.
        points: (V, 3), in the axes of this module.
        triangles: (T, 3) from 0.
        colors: (V, 3) uint8 RGB, for programs that know no textures.
        texture: the picture, and where in it each vertex lies.
        about: what one unit and the origin are, in one line.
        software: the picture's mark.

    Raises:
        OSError: a file cannot be written.
    """
    mesh, material, picture = obj_files(path)
    head = f"# tddfa: {AXES}{about}\n".encode()
    rows = points if colors is None else np.column_stack([points, colors / 255.0])
    line = "v %.4f %.4f %.4f" + " %.4f %.4f %.4f" * (colors is not None) + "\n"
    text = (line * len(rows)) % tuple(rows.ravel().tolist())
    corner = "%d"
    indices = np.asarray(triangles, np.int64) + 1
    if texture is not None:
        write_bytes(picture, png_bytes(texture.picture, software=software))
        write_bytes(material, MATERIAL.encode().replace(b"{picture}", _named(picture)))
        head += b"mtllib " + _named(material) + b"\nusemtl photo\n"
        text += ("vt %.6f %.6f\n" * len(texture.uv)) % tuple(texture.uv.ravel().tolist())
        corner, indices = "%d/%d", indices.repeat(2, axis=1)
    text += (f"f {corner} {corner} {corner}\n" * len(indices)) % tuple(indices.ravel().tolist())
    write_bytes(mesh, head + text.encode("ascii"))


def ply_bytes(points: Floats, triangles: Integers, *, colors: Image | None = None, about: str = "") -> bytes:
    """A mesh as binary PLY; arguments as in :func:`write_obj`."""
    fields: list[tuple[str, str, int]] = [("place", "<f4", 3)] + [("color", "u1", 3)] * (colors is not None)
    vertex_rows = np.zeros(len(points), fields)
    vertex_rows["place"] = points
    if colors is not None:
        vertex_rows["color"] = colors
    triangle_rows = np.zeros(len(triangles), [("count", "u1"), ("corners", "<i4", 3)])
    triangle_rows["count"], triangle_rows["corners"] = 3, triangles
    colored = "" if colors is None else PLY_COLORS
    header = PLY_HEADER.format(
        about=f"tddfa: {AXES}{about}", vertices=len(points), colors=colored, triangles=len(triangles)
    )
    return header.encode("ascii") + vertex_rows.tobytes() + triangle_rows.tobytes()


def _one_mesh(image: Image, vertices: Faces, triangles: Integers) -> tuple[Floats, Integers]:
    """All faces together: (V, 3) float32 image pixels, (T, 3) int64 triangles."""
    checked_image(image)
    faces = each_face(vertices)
    if not faces:
        raise ValueError("Expected at least one face with finite vertices, got none; there is nothing to write.")
    corners, start = [], 0
    for face in faces:
        corners.append(checked_triangles(triangles, len(face)).astype(np.int64) + start)
        start += len(face)
    return np.concatenate(faces), np.concatenate(corners)


def _upright(points: Floats, image: Image) -> Floats:
    return points * np.array([1, -1, 1], np.float32) + np.array([0, image.shape[0], 0], np.float32)


def _about(image: Image) -> str:
    return f"; in the photo y is {image.shape[0]} - y"


def _named(path: Path) -> bytes:
    """A file's name for a line of another file: without what would end the line."""
    return re.sub(rb"[\x00-\x1f]", b"?", os.fsencode(path.name))
