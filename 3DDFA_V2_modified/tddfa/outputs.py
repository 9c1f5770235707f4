"""From a photo to what ``demo.py`` writes: the faces, their nine pictures and files, their numbers.

faces = find_faces(image, FaceBoxes(), tddfa)
picture = draw_output("pncc", image, faces, tddfa.model)
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import cv2
import numpy as np

from .archives import Archive
from .arrays import Floats, Image
from .console import Note
from .describe import short_repr
from .draw import FIGURE_WIDTH, depth_map, draw_dense, draw_landmarks, draw_mesh, draw_pose, pncc
from .export import obj_files, save_obj, save_ply
from .files import check_target, file_sha256, write_bytes
from .images import is_own_picture
from .interfaces import Detector
from .morphable import MorphableModel
from .regressor import TDDFA
from .texture import texture_coordinates, uv_texture

__all__ = [
    "MESHES",
    "OUTPUTS",
    "PICTURES",
    "FaceSet",
    "check_arrays_target",
    "draw_output",
    "find_faces",
    "from_zero",
    "save_arrays",
    "save_output",
]

PICTURES = ("2d_sparse", "2d_dense", "3d", "depth", "pncc", "uv_tex", "pose")
MESHES = ("ply", "obj")
OUTPUTS = PICTURES + MESHES
"""The nine words after ``-o``."""

JPEG_QUALITY = 95

ARRAYS = ("boxes", "roi", "params", "sparse", "dense", "pose_deg")
"""Names of what :func:`save_arrays` writes."""

BEGINNINGS: dict[str, bytes | tuple[bytes, ...]] = {
    ".ply": b"ply\n",
    ".obj": (b"# tddfa", b"v "),  # older versions wrote no header
    ".mtl": b"# tddfa",
    ".jpg": b"\xff\xd8\xff",
    ".jpeg": b"\xff\xd8\xff",
    ".png": b"\x89PNG",
}
"""What the files begin with, by their endings: only such a one is replaced."""

OF_PHOTO = re.compile(rb"sha256 ([0-9a-f]{64})")
"""In a result's first kilobyte: whose it is."""


@dataclass(frozen=True, repr=False)
class FaceSet:
    """The faces of one photo, F of them, in image pixels (x right, y down, z towards the camera).

    Attributes:
        boxes: (F, 5) float32 x0, y0, x1, y1, score.
        rois: (F, 4) float64 squares that the network saw.
        params: (F, 62) float32.
        sparse: (F, 68, 3) float32 landmarks; the smallest z of each face is 0, as in 3DDFA_V2.
        dense: (F, N, 3) float32 vertices; the smallest z of each face is 0, apart from that of its landmarks.
        pose_deg: (F, 3) float64 yaw, pitch, roll.
    """

    boxes: Floats
    rois: Floats
    params: Floats
    sparse: Floats
    dense: Floats
    pose_deg: Floats

    __repr__ = short_repr

    def __len__(self) -> int:
        return len(self.boxes)


def find_faces(image: Image, detector: Detector, tddfa: TDDFA) -> FaceSet:
    """The faces that the detector sees in a photo, fitted by the regressor.

    Args:
        image: (H, W, 3) uint8 RGB.
        detector: gives their boxes, best first.
        tddfa: the regressor with its face model.

    Raises:
        ValueError: no such image.
    """
    boxes = detector(image)
    params, rois = tddfa(image, boxes)
    sparse, dense = (from_zero(tddfa.reconstruct(params, rois, dense=dense)) for dense in (False, True))
    return FaceSet(boxes, rois, params, sparse, dense, tddfa.pose(params))


def draw_output(option: str, image: Image, faces: FaceSet, model: MorphableModel) -> Image:
    """One of the seven pictures as 3DDFA_V2's command line draws it.

    Args:
        option: one of ``PICTURES``.
        image: (H, W, 3) uint8 RGB, the photo.
        faces: what :func:`find_faces` found in it.
        model: the face model that they were fitted with.

    Returns:
        (H', W', 3) uint8 RGB. The two landmark pictures are 1800 pixels wide, ``uv_tex`` is 256 by F * 256, the others
        have the photo's size.

    Raises:
        ValueError: another option, or a model that has no texture coordinates (``uv_tex``).
    """
    if option == "2d_sparse":
        return draw_landmarks(image, faces.sparse, width=FIGURE_WIDTH)
    if option == "2d_dense":
        return draw_dense(image, faces.dense, width=FIGURE_WIDTH)
    if option == "3d":
        return draw_mesh(image, faces.dense, model.tri)
    if option == "depth":
        return depth_map(image, faces.dense, model.tri)
    if option == "pncc":
        return pncc(image, faces.dense, model.tri, model.mean)
    if option == "uv_tex":
        return uv_texture(image, faces.dense, model.tri, texture_coordinates(model))
    if option == "pose":
        return draw_pose(image, faces.params, faces.sparse)
    raise ValueError(f"Expected one of the pictures {', '.join(PICTURES)}, got {option!r}.")


def save_output(
    option: str,
    path: str | PathLike[str],
    image: Image,
    faces: FaceSet,
    model: MorphableModel,
    *,
    source: Path | None = None,
) -> Image | None:
    """Write one of the nine outputs.

    Args:
        option: one of ``OUTPUTS``.
        path: the file; its ending says which kind of picture (.jpg, .png, ...).
        image: (H, W, 3) uint8 RGB, the photo.
        faces: what :func:`find_faces` found in it.
        model: the face model that they were fitted with.
        source: the photo's file, which is never replaced. A .jpg, .ply or .obj says its checksum; where the result of
            another photo is replaced, a :class:`~tddfa.console.Note` tells.

    Returns:
        The picture, or None for a mesh.

    Raises:
        ValueError: another option or ending, or a file there that is of another kind.
        OSError: the file cannot be written.
    """
    ending = Path(path).suffix.lower()
    if option in MESHES and ending != f".{option}":
        raise ValueError(f"Expected a file that ends in .{option}, got {Path(path).name}; rename it.")
    for target in obj_files(path) if option == "obj" else [Path(path)]:
        check_target(target, BEGINNINGS.get(target.suffix.lower()), source=source)
        if option == "obj" and target.suffix == ".png" and target.exists() and not is_own_picture(target):
            raise ValueError(f"Expected to replace the texture of an earlier run only, {target} is another picture.")
    about = "" if source is None else f"; of the photo with sha256 {file_sha256(source)}"
    _tell_of_another(Path(path), about, source)
    if option in MESHES:
        save = save_ply if option == "ply" else save_obj
        save(path, image, faces.dense, model.tri, about=about)
        return None
    picture = draw_output(option, image, faces, model)
    try:
        done, data = cv2.imencode(ending, picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    except cv2.error:
        done = False
    if not done:
        raise ValueError(f"Expected a picture ending such as .jpg or .png, got {Path(path).name}; rename it.")
    content = data.tobytes()
    if about and content.startswith(BEGINNINGS[".jpg"]):  # as a comment, right after the mark of its beginning
        comment = f"tddfa{about}".encode()
        content = content[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + content[2:]
    write_bytes(path, content)
    return picture


def check_arrays_target(
    path: str | PathLike[str], *, source: Path | None = None, names: Collection[str] = ARRAYS
) -> Path:
    """The path for arrays, when it ends in .npz and no other file would be lost.

    Args:
        path: the file.
        source: what was read, which is never replaced.
        names: of all the arrays that are written; only a file with the same is replaced.

    Raises:
        ValueError: another ending, the source, or a file there with other arrays.
    """
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise ValueError(f"Expected a file that ends in .npz for the arrays, got {path.name}; name another one.")
    if check_target(path, b"PK", source=source).is_file() and path.stat().st_size:
        with Archive(path, largest=2**32, what="the arrays of an earlier run") as archive:
            if archive.names != set(names):
                raise ValueError(
                    f"Expected to replace the arrays of an earlier run only, {path} holds others; move it."
                )
    return path


def save_arrays(path: str | PathLike[str], faces: FaceSet) -> Path:
    """Write the numbers as .npz, named and shaped as 3DDFA_V2's own.

    They are boxes (F, 5), roi (F, 4), params (F, 62), sparse (F, 3, 68), dense (F, 3, N) and pose_deg (F, 3).

    Raises:
        ValueError: another ending, or a file there that was not written by this.
        OSError: the file cannot be written.
    """
    check_arrays_target(path)
    memory = io.BytesIO()
    np.savez_compressed(
        memory,
        boxes=faces.boxes,
        roi=faces.rois,
        params=faces.params,
        sparse=faces.sparse.transpose(0, 2, 1),
        dense=faces.dense.transpose(0, 2, 1),
        pose_deg=faces.pose_deg,
    )
    return write_bytes(path, memory.getvalue())


def _tell_of_another(path: Path, about: str, source: Path | None) -> None:
    """A note where a result is of another photo than what is said about the new one."""
    if not about or not path.is_file():
        return
    with open(path, "rb") as file:
        older = OF_PHOTO.search(file.read(1024))
    if older and older[0] not in about.encode():
        text = f"the result of another photo, {path}, will be replaced by that of {source}."
        warnings.warn(Note(text), stacklevel=3)


def from_zero(vertices: Floats) -> Floats:
    """Faces (F, N, 3), the smallest z of each moved to 0, as 3DDFA_V2 gives them."""
    if not len(vertices):
        return vertices
    return vertices - vertices.min(axis=1, keepdims=True) * np.array([0, 0, 1], np.float32)
