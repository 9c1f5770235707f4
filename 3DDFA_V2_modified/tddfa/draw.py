"""The pictures of 3DDFA_V2: landmarks, dense dots, lit mesh, depth, PNCC, pose box.

Every function takes a photo (H, W, 3) uint8 RGB and one or more faces, and returns a new (H, W, 3) uint8 RGB picture;
nothing that goes in is changed. Faces are (F, N, 3), a list of (N, 3), or one (N, 3): float32 image pixels, x right,
y down, z towards the camera. A face with a NaN or infinite vertex is left out. Where faces overlap, the later one of
the list covers the earlier one, as in 3DDFA_V2. For a picture on black, pass ``np.zeros_like(image)`` as the photo.
"""

from __future__ import annotations

import cv2
import numpy as np

from .arrays import Floats, Image, Integers
from .boxes import box_around
from .canvas import Faces, each_face, list_faces, paint
from .contract import LANDMARK_COUNT, POSE_COUNT
from .ibug import BROWS, CLOSED_LINES, JAW, OPEN_LINES
from .images import checked_image
from .lighting import LIGHTS

__all__ = ["depth_map", "draw_dense", "draw_landmarks", "draw_mesh", "draw_pose", "pncc"]

FIGURE_WIDTH = 1800
"""Pixels across the landmark pictures that 3DDFA_V2's command line writes; sizes of lines and dots refer to it."""

_POSE_COLOR = (0, 255, 40)
_SHIFT = 4
"""OpenCV's drawing takes points in 1/16 pixel."""

DENSE_DOTS = 6400
"""About this many vertices of a face are drawn as dots: every sixth of BFM's."""


def draw_landmarks(image: Image, landmarks: Faces, *, width: int | None = None) -> Image:
    """The 68 landmarks as white lines with dots (``2d_sparse``).

    Args:
        image: (H, W, 3) uint8 RGB.
        landmarks: (F, 68, 3), a list of (68, 3), or one (68, 3); (68, 2) is enough.
        width: pixels across the picture; the photo's own without it. Lines and dots grow with it.

    Raises:
        ValueError: no such image or landmarks.
    """
    canvas, scale = _resized(image, width)
    unit = canvas.shape[1] / FIGURE_WIDTH
    lines = canvas.copy()
    points = [_to_canvas(face, scale) for face in each_face(landmarks, count=LANDMARK_COUNT)]
    thickness = max(1, round(2 * unit))  # OpenCV's smooth lines come out wider: 2 gives 3.4 pixels
    for face in points:
        for group in OPEN_LINES + CLOSED_LINES:
            path, closed = _fixed(face[group]), group in CLOSED_LINES
            cv2.polylines(lines, [path], closed, (255, 255, 255), thickness, cv2.LINE_AA, _SHIFT)
    lined = cv2.addWeighted(canvas, 0.3, lines, 0.7, 0)
    dots = lined.copy()
    for face in points:
        for x, y in _fixed(face).tolist():
            for radius, color in ((4.7, (0, 0, 0)), (2.6, (255, 255, 255))):
                size = max(1, round(radius * unit * (1 << _SHIFT)))
                cv2.circle(dots, (x, y), size, color, cv2.FILLED, cv2.LINE_AA, _SHIFT)
    return np.asarray(cv2.addWeighted(lined, 0.2, dots, 0.8, 0), np.uint8)


def draw_dense(image: Image, vertices: Faces, *, width: int | None = None) -> Image:
    """The dense face as small cyan dots (``2d_dense``). Arguments and errors as in :func:`draw_landmarks`."""
    canvas, scale = _resized(image, width)
    height, width = canvas.shape[:2]
    radius, opacity, color = 1.25 * width / FIGURE_WIDTH, 0.7, np.array([0.0, 191.0, 191.0])
    reach = int(np.ceil(radius))
    dot = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1).T
    covered = opacity * np.clip(radius + 0.5 - np.linalg.norm(dot, axis=1), 0.0, 1.0)
    for face in each_face(vertices):
        points = _to_canvas(face, scale)[:: max(1, round(len(face) / DENSE_DOTS))]
        pixels = np.rint(np.clip(points, -reach - 1, (width + reach, height + reach))).astype(np.int64)[:, None] + dot
        inside = ((pixels >= 0) & (pixels < (width, height))).all(axis=-1)
        where, dark = pixels[inside] @ (1, width), np.broadcast_to(covered, inside.shape)[inside]
        # Dots that lie on each other let light through one after the other.
        through = np.exp(np.bincount(where, np.log1p(-dark), minlength=height * width))
        touched = np.flatnonzero(through < 1)
        flat = canvas.reshape(-1, 3)
        mixed = color + (flat[touched] - color) * through[touched, None]
        flat[touched] = np.rint(mixed).astype(np.uint8)
    return canvas


def draw_mesh(
    image: Image, vertices: Faces, triangles: Integers, *, light: str = "phong", opacity: float = 0.6
) -> Image:
    """The faces as lit grey surfaces over the photo (``3d``).

    Args:
        image: (H, W, 3) uint8 RGB.
        vertices: the faces, see the module.
        triangles: (M, 3) int32, counter-clockwise from outside in model axes.
        light: ``"phong"`` or ``"lambert"``, see ``tddfa.lighting``.
        opacity: 0 shows the photo only, 1 the surfaces only.

    Raises:
        ValueError: arrays of another shape or type, or another word for ``light``.
    """
    if light not in LIGHTS:
        raise ValueError(f"Expected a light of {', '.join(LIGHTS)}, got {light!r}.")
    image = checked_image(image)
    drawn = image
    for face in each_face(vertices):
        drawn = paint(drawn, face, triangles, np.repeat(LIGHTS[light](face, triangles)[:, None], 3, axis=1))
    return np.asarray(cv2.addWeighted(image, 1.0 - opacity, drawn, opacity, 0), np.uint8)


def depth_map(image: Image, vertices: Faces, triangles: Integers) -> Image:
    """The faces' depth as grey over the photo (``depth``): per face 0 at its smallest z, 255 at its largest.

    Arguments and errors as in :func:`draw_mesh`.
    """
    drawn = checked_image(image).copy()
    for face in each_face(vertices):
        drawn = paint(drawn, face, triangles, np.repeat(_zero_to_one(face[:, 2:]), 3, axis=1))
    return drawn


def pncc(image: Image, vertices: Faces, triangles: Integers, mean: Floats) -> Image:
    """The faces in the projected normalized coordinate code (Zhu et al., CVPR 2016) over the photo (``pncc``).

    A vertex' colour is its place on the mean face, each coordinate from 0 to 255. 3DDFA_V2 writes x, y, z as blue,
    green, red; so it is here.

    Args:
        image: (H, W, 3) uint8 RGB.
        vertices: the faces, see the module.
        triangles: (M, 3) int32.
        mean: (N, 3) float32 the model's mean face, ``model.mean``.

    Raises:
        ValueError: arrays of another shape or type.
    """
    drawn = checked_image(image).copy()
    code = _zero_to_one(np.asarray(mean, np.float32))[:, ::-1]
    for face in each_face(vertices, count=len(code)):
        drawn = paint(drawn, face, triangles, code)
    return drawn


def draw_pose(image: Image, params: Floats, landmarks: Faces) -> Image:
    """A box around each head that shows how it is turned, its larger side in front (``pose``).

    Args:
        image: (H, W, 3) uint8 RGB.
        params: (F, 62) parameters (the first 12 numbers of a row are the (3, 4) matrix scale * R | t with y up).
        landmarks: (F, 68, 3) image pixels; they say where the box lies and how large it is.

    Raises:
        ValueError: arrays of another shape or type, or not one row of parameters per face.
    """
    drawn = checked_image(image).copy()
    params = np.atleast_2d(np.asarray(params))
    faces = [np.asarray(face, np.float64) for face in list_faces(landmarks)]
    if len(faces) != len(params):
        raise ValueError(f"Expected one row of parameters per face, got {len(params)} rows for {len(faces)} faces.")
    for row, face in zip(params, faces, strict=True):
        with np.errstate(invalid="ignore"):
            corners = _pose_box(row[:POSE_COUNT].reshape(3, 4), face)
        if not np.isfinite(corners).all():
            continue
        corners = corners.clip(-1e6, 1e6).astype(np.int32)
        cv2.polylines(drawn, [corners], True, _POSE_COLOR, 2, cv2.LINE_AA)
        for back, front in ((1, 6), (2, 7), (3, 8)):
            cv2.line(drawn, corners[back].tolist(), corners[front].tolist(), _POSE_COLOR, 2, cv2.LINE_AA)
    return drawn


def _resized(image: Image, width: int | None) -> tuple[Image, float]:
    """A copy of the image, ``width`` pixels across, and the factor."""
    image = checked_image(image)
    if width is None or width == image.shape[1]:
        return image.copy(), 1.0
    scale = width / image.shape[1]
    size = (width, max(1, int(image.shape[0] * scale)))
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8), scale


def _to_canvas(points: Floats, scale: float) -> Floats:
    """x, y (N, 2) float64 in the resized image; pixel centres are integers in both."""
    return (points[:, :2].astype(np.float64) + 0.5) * scale - 0.5


def _fixed(points: Floats) -> Integers:
    """Points as OpenCV's fixed-point integers (N, 2) int32; far outside they are moved to where these numbers end."""
    return np.rint(np.clip(points, -1e6, 1e6) * (1 << _SHIFT)).astype(np.int32)


def _zero_to_one(values: Floats) -> Floats:
    """Columns of (N, K), each from its smallest value (0) to its largest (1)."""
    low, high = values.min(axis=0), values.max(axis=0)
    return (values - low) / np.maximum(high - low, np.finfo(np.float32).tiny)


def _pose_box(matrix: Floats, landmarks: Floats) -> Floats:
    """(10, 2) image points: the rear square, its start again, the larger front square, its start again."""
    left, top, right, bottom = box_around(landmarks)
    rear = np.sqrt(2.0) * max(right - left, bottom - top) / 3
    front = np.floor(4 / 3 * rear)
    around = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1)], np.float64)
    corners = np.concatenate(
        [np.column_stack([around * rear, np.zeros(5)]), np.column_stack([around * front, np.full(5, front)])]
    )
    rows = matrix[:2, :3].astype(np.float64)
    axes = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    points = corners @ axes.T * (1.0, -1.0)
    return points - points[:4].mean(axis=0) + landmarks[JAW.start : BROWS.stop, :2].mean(axis=0)
