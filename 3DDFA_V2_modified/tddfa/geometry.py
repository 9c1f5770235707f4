"""Poses, the 62 parameters, and the way from a model face to image pixels.

Two frames meet here. Model axes: x to the viewer's right, y up, z towards the viewer. Image axes: x right, y down, z
towards the camera, in pixels, pixel centres at integers. A 3x4 matrix ``scale * R | t`` maps one to the other under
weak perspective. 3DDFA_V2's network keeps y up inside its 120-pixel crop and turns it at the end
(``image_from_roi``); the rendered faces of this project carry matrices whose second row is turned already
(``flip_y``). A turned matrix has a negative determinant, and ``split_pose`` tells the two apart by that.

Angles are degrees in the order that they act: R = Rz(roll) Rx(pitch) Ry(yaw). Positive yaw turns the nose to the
viewer's right (x grows), positive pitch turns it down (y shrinks), positive roll turns the head counter-clockwise
in the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .arrays import Floats
from .boxes import crop_roi, roi_from_box, roi_from_landmarks
from .contract import EXPRESSION_COUNT, NETWORK_SIZE, POSE_COUNT, SHAPE_COUNT
from .describe import short_repr

__all__ = [
    "Parameters",
    "Pose",
    "axis_rotation",
    "best_rotation",
    "compose",
    "crop_roi",
    "decompose",
    "fit_pose",
    "fit_similarity",
    "flip_y",
    "image_from_roi",
    "official_angles",
    "pose_matrix",
    "project",
    "roi_from_box",
    "roi_from_landmarks",
    "rotation_angles",
    "rotation_matrix",
    "split_pose",
]


class Parameters(NamedTuple):
    """The 62 numbers by name: ``matrix`` (3, 4) scale*R | t, ``shape`` (40,), ``expression`` (10,)."""

    matrix: Floats
    shape: Floats
    expression: Floats

    def __repr__(self) -> str:
        return short_repr(self)


class Pose(NamedTuple):
    """A weak-perspective pose: ``scale`` (px per model unit), ``rotation`` (3, 3), ``translation`` (3,) px."""

    scale: float
    rotation: Floats
    translation: Floats

    def __repr__(self) -> str:
        return short_repr(self)


def _checked(name: str, value: Floats, shape: tuple[int | None, ...]) -> Floats:
    """The array as float; ValueError when its shape differs (None fits any length)."""
    array = np.asarray(value)
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    same_rank = array.ndim == len(shape)
    if not same_rank or any(b is not None and a != b for a, b in zip(array.shape, shape, strict=True)):
        wanted = tuple("N" if n is None else n for n in shape)
        raise ValueError(f"Expected {name} of shape {wanted}, got {array.shape}; check the argument's order.")
    return array


def rotation_matrix(yaw: float, pitch: float, roll: float) -> Floats:
    """Rotation (3, 3) float64 in model axes (y up) from degrees: Rz(roll) Rx(pitch) Ry(yaw).

    >>> nose = np.array([0, 0, 1])  # looks at the viewer
    >>> (rotation_matrix(90, 0, 0) @ nose).round(9).tolist()  # to the viewer's right
    [1.0, 0.0, 0.0]
    >>> (rotation_matrix(0, 90, 0) @ nose).round(9).tolist()  # down
    [0.0, -1.0, 0.0]
    """
    turn, nod, tilt = (axis_rotation(axis, np.radians(angle)) for axis, angle in ((1, yaw), (0, pitch), (2, roll)))
    return tilt @ nod @ turn


def axis_rotation(axis: int, angle: float) -> Floats:
    """Rotation (3, 3) float64 about axis 0, 1 or 2 by an angle in RADIANS, right-handed: from y to z, z to x, x to y.

    >>> axis_rotation(2, np.pi / 2).round().astype(int).tolist()  # x becomes y
    [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    """
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[second, first] = np.sin(angle)
    matrix[first, second] = -matrix[second, first]
    return matrix


def rotation_angles(rotation: Floats) -> tuple[float, float, float]:
    """(yaw, pitch, roll) in degrees of a model-axes rotation; the inverse of ``rotation_matrix``.

    Pitch lies in [-90, 90]. At a pitch of exactly 90 degrees yaw and roll turn about the same axis: roll is then 0.
    """
    r = _checked("a rotation", rotation, (3, 3))
    pitch = np.arcsin(np.clip(r[2, 1], -1.0, 1.0))
    if abs(r[2, 1]) < 1.0 - 1e-9:
        yaw, roll = np.arctan2(-r[2, 0], r[2, 2]), np.arctan2(-r[0, 1], r[1, 1])
    else:
        yaw, roll = np.arctan2(r[0, 2], r[0, 0]), 0.0
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


def official_angles(matrix: Floats) -> tuple[float, float, float]:
    """(yaw, pitch, roll) in degrees as 3DDFA_V2 prints them, from a (3, 4) or (3, 3) matrix with y up.

    Its order of axes is another one: R = Rz(roll) Ry(-yaw) Rx(pitch). Its rotation comes from the first two rows.
    Within 3.6 degrees of a profile it prints a yaw of exactly 90 degrees and no roll.
    """
    rows = _checked("a matrix", np.asarray(matrix)[:, :3], (3, 3)).astype(np.float64)
    first, second = (row / np.linalg.norm(row) for row in rows[:2])
    third = np.cross(first, second)
    if abs(third[0]) <= 0.998:
        yaw = np.arcsin(third[0])
        pitch, roll = np.arctan2(third[1], third[2]), np.arctan2(second[0], first[0])
    else:
        roll, yaw = 0.0, np.copysign(np.pi / 2, third[0])
        pitch = np.arctan2(third[0] * -first[1], third[0] * -first[2])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


def pose_matrix(scale: float, rotation: Floats, translation: Floats) -> Floats:
    """The (3, 4) matrix scale * R | t."""
    rotation = _checked("a rotation", rotation, (3, 3))
    translation = _checked("a translation", translation, (3,))
    return np.concatenate([scale * rotation, translation[:, None]], axis=1)


def flip_y(matrix: Floats, *, height: float = 0.0) -> Floats:
    """The (3, 4) matrix with y turned: y becomes ``height - y``. Twice is once back."""
    turned = np.array(_checked("a matrix", matrix, (3, 4)), copy=True)
    turned[1] *= -1.0
    turned[1, 3] += height
    return turned


def split_pose(matrix: Floats) -> Pose:
    """Scale, rotation and translation of a (3, 4) matrix.

    The rotation is always the one in model axes (y up, determinant 1): a matrix into image axes (negative
    determinant) is turned first. The translation stays as it stands in the matrix. For a left part that is no exact
    multiple of a rotation (a network's output) the nearest rotation is taken (Umeyama, 1991).

    Raises:
        ValueError: wrong shape, non-finite values, or a singular matrix.
    """
    matrix = _checked("a matrix", matrix, (3, 4))
    left = matrix[:, :3].astype(np.float64)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(left)) < 1e-300:
        raise ValueError("Expected a finite, regular scale * R | t, got a singular or non-finite matrix.")
    if np.linalg.det(left) < 0:
        left = left * [[1.0], [-1.0], [1.0]]
    u, singular, vt = np.linalg.svd(left)
    return Pose(float(singular.mean()), u @ vt, matrix[:, 3].copy())


def compose(
    matrix: Floats,
    shape: Floats,
    expression: Floats,
    *,
    shape_count: int = SHAPE_COUNT,
    expression_count: int = EXPRESSION_COUNT,
) -> Floats:
    """The parameter vector [12 pose, 40 shape, 10 expression] (62,) float32; shorter coefficients are padded."""
    parts = [_checked("a matrix", matrix, (3, 4)).ravel()]
    for name, given, count in (("shape", shape, shape_count), ("expression", expression, expression_count)):
        given = _checked(f"{name} coefficients", given, (None,))
        if len(given) > count:
            raise ValueError(f"Expected at most {count} {name} coefficients, got {len(given)}.")
        parts.append(np.pad(given, (0, count - len(given))))
    return np.concatenate(parts).astype(np.float32)


def decompose(parameters: Floats, *, shape_count: int = SHAPE_COUNT) -> Parameters:
    """The matrix (3, 4), shape and expression coefficients of one parameter vector, (62,) for the usual counts.

    Raises:
        ValueError: not one vector, or too short for a pose and ``shape_count`` coefficients.

    Example:
        >>> decompose(np.zeros(62, np.float32))
        Parameters(matrix=float32 (3, 4), shape=float32 (40,), expression=float32 (10,))
    """
    parameters = _checked("parameters", parameters, (None,))
    shape_end = POSE_COUNT + shape_count
    if len(parameters) < shape_end:
        raise ValueError(f"Expected at least {shape_end} parameters, got {len(parameters)}.")
    pose, shape = parameters[:POSE_COUNT].reshape(3, 4), parameters[POSE_COUNT:shape_end]
    return Parameters(pose, shape, parameters[shape_end:])


def project(matrix: Floats, vertices: Floats) -> Floats:
    """Vertices (N, 3) through a (3, 4) matrix, in the vertices' dtype."""
    vertices = _checked("vertices", vertices, (None, 3))
    matrix = _checked("a matrix", matrix, (3, 4)).astype(vertices.dtype)
    return vertices @ matrix[:, :3].T + matrix[:, 3]


def fit_pose(vertices: Floats, image_points: Floats, *, y_down: bool = True) -> Floats:
    """The (3, 4) matrix scale * R | t that best maps vertices to image points, least squares.

    Args:
        vertices: (N, 3) model axes.
        image_points: (N, 3) pixels.
        y_down: whether the points' y runs down (image axes).

    Raises:
        ValueError: fewer than three points, or points on one line.
    """
    vertices = _checked("vertices", vertices, (None, 3))
    points = _checked("image points", image_points, (len(vertices), 3)).astype(np.float64)
    scale, rotation, translation = fit_similarity(vertices, points * (1.0, -1.0 if y_down else 1.0, 1.0))
    matrix = pose_matrix(scale, rotation, translation)
    return flip_y(matrix) if y_down else matrix


def fit_similarity(source: Floats, target: Floats, *, scaled: bool = True) -> Pose:
    """Scale, rotation and translation that best map points to points, least squares (Umeyama, PAMI 1991).

    Args:
        source: (N, 3) points.
        target: (N, 3), where they should come to.
        scaled: False keeps the size: scale 1, a rigid motion (Kabsch, Acta Cryst. A 1976).

    Raises:
        ValueError: fewer than three points, or points on one line.

    Example:
        >>> square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
        >>> pose = fit_similarity(square, 3 * square + [5, 0, 0])
        >>> round(pose.scale, 6), pose.translation.round(6).tolist()
        (3.0, [5.0, 0.0, 0.0])
    """
    a, b = source.astype(np.float64), target.astype(np.float64)
    shares = np.full(len(a), 1.0 / max(len(a), 1))
    middle_a, middle_b = shares @ a, shares @ b  # ten times as fast as ``mean`` over tall, narrow arrays
    centred_a, centred_b = a - middle_a, b - middle_b
    rotation, singular = best_rotation(centred_b.T @ centred_a)
    if len(a) < 3 or singular[1] <= 1e-12 * max(singular[0], 1e-300):
        raise ValueError(f"Expected at least three points that do not lie on a line, got {len(a)} points.")
    scale = singular.sum() / np.vdot(centred_a, centred_a) if scaled else 1.0
    return Pose(float(scale), rotation, middle_b - scale * rotation @ middle_a)


def best_rotation(covariance: Floats) -> tuple[Floats, Floats]:
    """The rotation (3, 3), never a reflection, that best turns points onto others, from their covariance.

    Args:
        covariance: (3, 3), ``target.T @ source`` of centred points (N, 3).

    Returns:
        The rotation, and the singular values (3,), largest first, the last one negative where a reflection would
        have fitted better. Their sum over the source's sum of squares is the best scale (Umeyama, PAMI 1991).
    """
    u, singular, vt = np.linalg.svd(covariance)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    return (u * signs) @ vt, singular * signs


def image_from_roi(vertices: Floats, roi: Sequence[float] | Floats, *, size: int = NETWORK_SIZE) -> Floats:
    """Vertices (N, 3) in the network's crop (y up) as image pixels (y down), as 3DDFA_V2 does; a new array.

    x - 1, y = size - y and z - 1, scaled into the float roi; z by the mean of both scales. The original then shifts
    z so that its minimum is 0, apart for landmarks and for the dense face, which makes their depths differ by
    pixels. Here z keeps its common zero; subtract the minimum where the original's numbers are wanted.
    """
    vertices = _checked("vertices", vertices, (None, 3))
    left, top, right, bottom = roi
    scale_x, scale_y = (right - left) / size, (bottom - top) / size
    moved = (vertices - np.array([1.0, 0.0, 1.0], vertices.dtype)) * np.array([1.0, -1.0, 1.0], vertices.dtype)
    moved[:, 1] += size
    moved *= np.array([scale_x, scale_y, (scale_x + scale_y) / 2], vertices.dtype)
    return moved + np.array([left, top, 0.0], vertices.dtype)
