"""Light on a head: lamps and sky, the shadow of the first lamp, and how each material takes it.

Light is worked out per vertex (a head has more vertices than a crop has pixels). Vectors are in image axes: x right,
y down, z towards the camera; only ``ambient_occlusion`` works in head axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tddfa import raster
from tddfa.arrays import Floats, Integers
from tddfa.describe import short_repr
from vrnlib.synthetic.meshes import Material

SHADOW_SIZE = 160
"""Side of the shadow map, pixels."""

SCATTER = np.array([0.30, 0.15, 0.11], np.float32)
"""How far red, green and blue light creep round the edge of a shadow, as under skin (cosine of the angle)."""


class Finish(NamedTuple):
    """How a material takes light."""

    sky: float
    """The part of the sky that it sees; the head itself has a map of it."""
    gloss: float
    """Sharpness of its highlights,"""
    skin_gloss: float
    """to which this many times the skin's is added."""
    shine: float
    """Strength of its highlights, times the skin's."""


MATERIALS = {
    Material.SKIN: Finish(sky=1.0, gloss=0, skin_gloss=1.4, shine=1.0),
    Material.HAIR: Finish(sky=0.9, gloss=22, skin_gloss=0, shine=0.6),
    Material.CLOTH: Finish(sky=0.9, gloss=5, skin_gloss=0, shine=0.15),
    Material.HARD: Finish(sky=0.9, gloss=40, skin_gloss=0, shine=2.0),
    Material.TOOTH: Finish(sky=0.55, gloss=30, skin_gloss=0, shine=1.5),
    Material.NECK: Finish(sky=0.7, gloss=0, skin_gloss=1.4, shine=0.8),
}


@dataclass(frozen=True, repr=False)
class VertexFinish:
    """``MATERIALS`` spread over a mesh: one number per vertex, (N,) float32."""

    occlusion: NDArray[np.float32]
    """The part of the sky that a vertex sees."""
    gloss: NDArray[np.float32]
    shine: NDArray[np.float32]

    __repr__ = short_repr

    @classmethod
    def of(cls, materials: Integers, *, gloss: float, shine: float) -> VertexFinish:
        """The finish of vertices of these materials (N,), where the skin has this gloss and shine."""
        sky, own, of_skin, strength = np.array([MATERIALS[material] for material in Material], np.float32).T
        return cls(sky[materials], of_skin[materials] * gloss + own[materials], strength[materials] * shine)


@dataclass(frozen=True, repr=False)
class Lamp:
    """A distant light."""

    direction: NDArray[np.float32]
    """(3,) unit vector towards it, image axes."""
    color: NDArray[np.float32]
    """(3,) strength in red, green and blue."""

    __repr__ = short_repr


@dataclass(frozen=True, repr=False)
class Lighting:
    """The sky's color from above and from below (3,), and one to three lamps, the first with a shadow."""

    sky: NDArray[np.float32]
    ground: NDArray[np.float32]
    lamps: list[Lamp]

    __repr__ = short_repr


class MeshInView(NamedTuple):
    """What light needs to know of a mesh, in pixels and image axes."""

    vertices: NDArray[np.float32]
    normals: NDArray[np.float32]
    triangles: NDArray[np.int32]
    box: tuple[Floats, Floats]
    """Low and high corner of the head, which the shadow map has to hold."""


class Light(NamedTuple):
    """Light that vertices send to the camera."""

    diffuse: NDArray[np.float32]
    """(N, 3) irradiance; times the color of the vertex."""
    highlight: NDArray[np.float32]
    """(N, 1); white, whatever the color."""


def random_lighting(rng: np.random.Generator, surroundings: Floats) -> Lighting:
    """Draws soft, hard, frontal or side light; ``surroundings`` (3,) is the background's mean color."""

    def tint(amount: float) -> NDArray[np.float32]:
        warm = rng.normal(0, amount)
        return np.array([1 + warm, 1 + 0.1 * warm + rng.normal(0, 0.015), 1 - warm], np.float32)

    around = surroundings / max(float(surroundings.mean()), 0.05)
    around = np.clip(0.85 + 0.15 * around, 0.6, 1.4)
    ambient = rng.uniform(0.15, 0.35) if rng.random() < 0.4 else rng.uniform(0.35, 0.8)
    sky = ambient * tint(0.05) * around
    ground = sky * rng.uniform(0.35, 0.9) * tint(0.04)
    lamps = []
    for k in range(int(rng.integers(1, 4))):
        side = rng.random() < 0.25
        d = rng.normal(0, 1, 3) * [1.0, 0.55, 0.35] + ([0, -0.35, 0.15] if side else [0, -0.5, 0.9])
        d /= np.linalg.norm(d)
        lamps.append(Lamp(d.astype(np.float32), (rng.uniform(0.5, 1.1) * (1.0 if k == 0 else 0.4)) * tint(0.06)))
    return Lighting(sky.astype(np.float32), ground.astype(np.float32), lamps)


def shadow(mesh: MeshInView, direction: NDArray[np.float32], *, softness: float, bias: float) -> NDArray[np.float32]:
    """(N,): 1 where a vertex sees the lamp, 0 in shadow, soft in between. Outside the mesh's box all is lit.

    Args:
        mesh: what throws the shadow and what it falls on.
        direction: (3,) unit vector towards the lamp.
        softness: half width of the soft edge, px.
        bias: px by which a surface must be behind another.
    """
    right = np.cross(direction, (0.1, 1.0, 0.2))
    right /= np.linalg.norm(right)
    frame = np.stack([right, np.cross(direction, right), direction], 1).astype(np.float32)
    corners = np.stack(np.meshgrid(*zip(*mesh.box, strict=True), indexing="ij"), -1).reshape(-1, 3) @ frame
    low, high = corners.min(0), corners.max(0)
    scale = (SHADOW_SIZE - 4) / float((high - low)[:2].max())
    q = mesh.vertices @ (frame * np.float32(scale))
    q -= (low * scale - [2, 2, 0]).astype(np.float32)
    depth = raster.rasterize(q, mesh.triangles, SHADOW_SIZE, SHADOW_SIZE).depth
    depth = np.pad(depth, 1, constant_values=-np.inf).ravel()
    lit, z = np.zeros(len(q), np.float32), q[:, 2] + np.float32(bias * scale)
    s, side, edge = softness * scale, SHADOW_SIZE + 2, np.float32(SHADOW_SIZE + 1)
    x, y = q[:, 0] + np.float32(1.5), q[:, 1] + np.float32(1.5)
    for ox, oy in ((-s, -0.4 * s), (0.4 * s, -s), (s, 0.4 * s), (-0.4 * s, s)):
        column = np.clip(x + np.float32(ox), 0, edge).astype(np.int32)
        row = np.clip(y + np.float32(oy), 0, edge).astype(np.int32)
        row *= side
        row += column
        lit += z > depth.take(row)
    return lit * np.float32(0.25)


def light_vertices(mesh: MeshInView, finish: VertexFinish, lighting: Lighting, rng: np.random.Generator) -> Light:
    """What the vertices send to the camera: sky, lamps that scatter a little under the surface, highlights."""
    normals, box = mesh.normals, mesh.box
    up = (0.5 - 0.5 * normals[:, 1])[:, None]
    light = (lighting.ground + (lighting.sky - lighting.ground) * up) * finish.occlusion[:, None]
    highlight = np.zeros(len(normals), np.float32)
    unit = float(np.linalg.norm(box[1] - box[0])) / 300
    open_sky = 0.45 + 0.55 * finish.occlusion
    for k, lamp in enumerate(lighting.lamps):
        cosine = normals @ lamp.direction
        seen = open_sky
        if k == 0:
            seen = shadow(mesh, lamp.direction, softness=rng.uniform(1.5, 6) * unit, bias=5 * unit)
            seen = (0.12 + 0.88 * seen) * open_sky
        for c in range(3):
            diffuse = cosine + SCATTER[c]
            np.maximum(diffuse, 0, out=diffuse)
            diffuse *= seen
            diffuse *= lamp.color[c] / (1 + SCATTER[c])
            light[:, c] += diffuse
        half = lamp.direction + np.array([0, 0, 1], np.float32)
        half /= np.linalg.norm(half)
        peak = normals @ half
        peak -= 1
        peak *= finish.gloss
        highlight += np.exp(peak) * seen * np.float32(lamp.color.mean())
    grazing = 1 - np.clip(normals[:, 2], 0, 1)
    grazing *= grazing
    highlight = highlight * finish.shine + np.float32(0.02 * lighting.sky.mean()) * grazing * grazing
    return Light(light, highlight[:, None])


def ambient_occlusion(
    vertices: NDArray[np.float32], triangles: Integers, *, directions: int = 64, size: int = 200
) -> NDArray[np.float32]:
    """(N,) in [0, 1]: the part of the sky that a vertex sees, from z-buffers of many directions.

    Args:
        vertices: (N, 3), head or model axes (y up).
        triangles: (M, 3).
        directions: from how many sides to look.
        size: side of a z-buffer, pixels.
    """
    normal = raster.vertex_normals(vertices, triangles, axes="model")
    i = np.arange(directions) + 0.5
    polar, turn = np.arccos(1 - 2 * i / directions), np.pi * (1 + 5**0.5) * i
    sky = np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], 1)
    seen, total = np.zeros(len(vertices)), np.full(len(vertices), 1e-6)
    scale = 0.95 * size / np.linalg.norm(np.ptp(vertices, axis=0))
    middle = (vertices.min(0) + vertices.max(0)) / 2
    for d in sky:
        right = np.cross(d, (0.3, 1.0, 0.1))
        right /= np.linalg.norm(right)
        frame = np.stack([right, np.cross(right, d), d], 1)
        q = np.ascontiguousarray((vertices - middle) @ frame * scale + [size / 2, size / 2, 0], np.float32)
        depth = raster.rasterize(q, triangles, size, size).depth
        x, y = (np.clip(np.rint(q[:, k]).astype(int), 0, size - 1) for k in range(2))
        weight = np.clip(normal @ d, 0, None)
        seen += weight * (q[:, 2] > depth[y, x] - 2.5 * scale)
        total += weight
    return (seen / total).astype(np.float32)
