"""A photo as a mesh's texture, and a face's skin unwrapped: its colours on the model's texture map (``uv_tex``)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .archives import read_npy
from .arrays import Floats, Image, Integers
from .canvas import Faces, each_face, sample_bilinear
from .describe import short_repr
from .images import checked_image
from .mat_files import read_arrays
from .morphable import MorphableModel
from .raster import RasterBuffers, checked_triangles, interpolate, rasterize

__all__ = ["Texture", "photo_texture", "texture_coordinates", "uv_texture"]

LARGEST_TEXTURE = 4096
"""Pixels on a side: what every graphics card takes. A face that is larger in its photo is reduced."""


@dataclass(frozen=True, eq=False, repr=False)
class Texture:
    """A picture, and where in it the vertices of a mesh lie.

    Attributes:
        picture: (h, w, 3) uint8 RGB.
        uv: (V, 2) float32 in 0..1, u to the right, v UP, as files and viewers have it.
    """

    picture: Image
    uv: Floats

    __repr__ = short_repr


def photo_texture(image: Image, points: Floats) -> Texture:
    """The photo as the texture of a mesh that lies over it: the part of it that the mesh covers, pixel by pixel.

    The photo is projected straight through the mesh, as the vertices' colours are: what it does not show (the back of
    a head, a cheek behind the nose) has the pixel that lies before it. Beyond the photo's border the nearest pixel is
    taken.

    Args:
        image: (H, W, 3) uint8 RGB, the photo.
        points: (V, 2|3) photo pixels.

    Raises:
        ValueError: arrays of another shape or type.
    """
    image = checked_image(image)
    if points.ndim != 2 or points.shape[1] < 2 or not len(points) or not np.isfinite(points).all():
        raise ValueError(f"Expected finite points of shape (V, 3), got {points.shape}.")
    size = np.array(image.shape[1::-1])
    inside = np.clip(points[:, :2].astype(np.float64), 0, size - 1)
    low = np.maximum(np.floor(inside.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(inside.max(axis=0)).astype(int) + 2, size)
    picture = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
    uv = (inside - low + 0.5) / (high - low)
    largest = max(picture.shape)
    if largest > LARGEST_TEXTURE:
        width, height = np.maximum((high - low) * LARGEST_TEXTURE // largest, 1).tolist()
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return Texture(picture, np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1).astype(np.float32))


def texture_coordinates(model: MorphableModel) -> Floats:
    """Where each vertex lies on the texture map: (N, 2) float32 in 0..1, u to the right, v up.

    The open model carries them. Those of BFM's face without neck are in 3DDFA_V2's ``BFM_UV.mat`` (of the whole head)
    and ``indices.npy`` (the head's vertices that the face keeps), which come from ``tddfa.assets``.

    Raises:
        ValueError: a model without coordinates that is not BFM's, or the files are not to be had.
    """
    if model.uv is not None:
        return model.uv
    from .assets import resolve

    whole_head = read_arrays(resolve("BFM_UV.mat"), ["UV"])["UV"]
    kept = read_npy(resolve("indices.npy"))
    if len(kept) != model.vertex_count:
        raise ValueError(
            f"Expected a model with {len(kept)} vertices, {model.name} has {model.vertex_count}; texture coordinates "
            "are at hand for the open model and for bfm_noneck_v3.pkl only."
        )
    return np.ascontiguousarray(whole_head[kept], np.float32)


def uv_texture(image: Image, vertices: Faces, triangles: Integers, uv: Floats, *, size: int = 256) -> Image:
    """The texture maps of all faces, side by side: (size, F * size, 3) uint8 RGB, black where there is no skin.

    Args:
        image: (H, W, 3) uint8 RGB photo.
        vertices: (F, N, 3), a list of (N, 3), or one (N, 3) float32 image pixels.
        triangles: (M, 3) int32.
        uv: (N, 2) float32, see :func:`texture_coordinates`.
        size: side of one map, in pixels.

    A vertex outside the photo takes the colour of the nearest pixel of its border. Hidden skin shows what hides it.

    Raises:
        ValueError: arrays of another shape or type.
    """
    image = checked_image(image)
    uv = np.asarray(uv, np.float32)
    if uv.ndim != 2 or uv.shape[1] != 2:
        raise ValueError(f"Expected texture coordinates of shape (N, 2), got {uv.shape}.")
    corners = checked_triangles(triangles, len(uv))
    flat = np.zeros((len(uv), 3), np.float32)
    flat[:, 0] = uv[:, 0] * (size - 1)
    flat[:, 1] = size - uv[:, 1] * (size - 1) - 1
    buffers = _with_rim(rasterize(flat, corners, size, size), flat, corners)
    textures = [
        interpolate(sample_bilinear(image, face[:, :2]), corners, buffers).clip(0, 255).astype(np.uint8)
        for face in each_face(vertices, count=len(uv))
    ]
    return np.concatenate([np.zeros((size, 0, 3), np.uint8), *textures], axis=1)


def _with_rim(buffers: RasterBuffers, flat: Floats, triangles: Integers) -> RasterBuffers:
    """The buffers with the map's outermost pixels decided as Sim3DR does.

    BFM's map ends exactly on the centres of these pixels. Which of them Sim3DR fills is a matter of its rounding: a
    pixel counts when three float32 weights, worked out in a certain order, are above zero.
    """
    triangle, barycentric, depth = buffers.triangle.copy(), buffers.barycentric.copy(), buffers.depth.copy()
    last = len(triangle) - 1
    rim = np.zeros(triangle.shape, bool)
    rim[[0, last]] = rim[:, [0, last]] = True
    triangle[rim], barycentric[rim], depth[rim] = -1, 0, -np.inf
    corners = flat[triangles, :2]
    low, high = np.ceil(corners.min(axis=1)), np.floor(corners.max(axis=1))
    for row in np.flatnonzero((low <= 0).any(axis=1) | (high >= last).any(axis=1)):
        first, after = np.maximum(low[row], 0).astype(int), np.minimum(high[row], last).astype(int) + 1
        x, y = np.mgrid[first[0] : after[0], first[1] : after[1]].reshape(2, -1)
        x, y = x[rim[y, x]], y[rim[y, x]]
        weights = _sim3dr_weights(np.stack([x, y], axis=1).astype(np.float32), corners[row])
        hit = (weights > 0).all(axis=1) & (triangle[y, x] < 0)
        triangle[y[hit], x[hit]], barycentric[y[hit], x[hit]], depth[y[hit], x[hit]] = row, weights[hit], 0
    return RasterBuffers(triangle, barycentric, depth)


def _sim3dr_weights(points: Floats, corners: Floats) -> Floats:
    """The weights (P, 3) of a triangle's corners (3, 2) at points (P, 2), all in float32, from dot products.

    The original's triangles run the other way round, so its first corner is our last.
    """
    c, b, a = corners
    to_c, to_b, to_p = c - a, b - a, points - a

    def dot(p: Floats, q: Floats) -> Floats:
        return p[..., 0] * q[..., 0] + p[..., 1] * q[..., 1]

    cc, cb, bb, cp, bp = dot(to_c, to_c), dot(to_c, to_b), dot(to_b, to_b), dot(to_c, to_p), dot(to_b, to_p)
    area = cc * bb - cb * cb
    if area == 0:
        return np.zeros((len(points), 3), np.float32)
    inverse = np.float32(1) / area
    u, v = (bb * cp - cb * bp) * inverse, (cc * bp - cb * cp) * inverse
    return np.stack([u, v, 1 - u - v], axis=1)
