"""Light on a head and the colours of its pixels: shadow map, lamps, brows, eyes, beard, hair, cloth.

Light and broad colours are worked out per vertex (a head has more vertices than a crop has pixels), fine patterns per
pixel. Vectors are in image axes: x right, y down, z towards the camera.
"""

from dataclasses import dataclass

import numpy as np

from tddfa import raster
from vrnlib.synthetic.appearance import TILE, HeadMaps, Look, linear, smoothstep

SHADOW_SIZE = 160

BROW = ((13.1, 40.6), (25.8, 44.8), (34.4, 44.7), (45.9, 42.2), (53.3, 37.8))
"""A brow's middle line on the mean head: |x| and y in mm. The landmarks lie on the brow's upper edge."""


@dataclass
class Lamp:
    """A distant light: unit direction towards it (image axes), RGB strength."""

    direction: np.ndarray
    colour: np.ndarray


@dataclass
class Lighting:
    """The sky's colour from above and from below, and one to three lamps, the first with a shadow."""

    sky: np.ndarray
    ground: np.ndarray
    lamps: list[Lamp]


def random_lighting(rng: np.random.Generator, surroundings: np.ndarray) -> Lighting:
    """Draws soft, hard, frontal or side light; ``surroundings`` (3,) is the background's mean colour."""

    def tint(amount: float) -> np.ndarray:
        warm = rng.normal(0, amount)
        return np.float32([1 + warm, 1 + 0.1 * warm + rng.normal(0, 0.015), 1 - warm])

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


def shadow(
    vertices: np.ndarray,
    triangles: np.ndarray,
    direction: np.ndarray,
    box: tuple[np.ndarray, np.ndarray],
    *,
    softness: float,
    bias: float,
) -> np.ndarray:
    """(N,) float32: 1 where a vertex sees the lamp, 0 in shadow, soft in between.

    Args:
        vertices: (N, 3) float32 px, image axes.
        direction: (3,) unit vector towards the lamp.
        box: (low, high) corners of the part that matters; vertices outside it count as lit.
        softness: half width of the soft edge, px; bias: px by which a surface must be behind another.
    """
    right = np.cross(direction, (0.1, 1.0, 0.2))
    right /= np.linalg.norm(right)
    frame = np.stack([right, np.cross(direction, right), direction], 1).astype(np.float32)
    corners = np.stack(np.meshgrid(*zip(*box, strict=True), indexing="ij"), -1).reshape(-1, 3) @ frame
    low, high = corners.min(0), corners.max(0)
    scale = (SHADOW_SIZE - 4) / float((high - low)[:2].max())
    q = vertices @ (frame * np.float32(scale))
    q -= (low * scale - [2, 2, 0]).astype(np.float32)
    depth = np.pad(raster.rasterize(q, triangles, SHADOW_SIZE, SHADOW_SIZE).depth, 1, constant_values=-np.inf).ravel()
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


def light_vertices(
    vertices: np.ndarray,
    normals: np.ndarray,
    triangles: np.ndarray,
    occlusion: np.ndarray,
    gloss: np.ndarray,
    strength: np.ndarray,
    lighting: Lighting,
    box: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """(irradiance (N, 3), highlight (N, 1)) float32.

    Args:
        occlusion: (N,) seen part of the sky; gloss, strength: (N,) sharpness and amount of highlights.
        box: corners of the head, px (for the shadow map).
    """
    up = (0.5 - 0.5 * normals[:, 1])[:, None]
    light = (lighting.ground + (lighting.sky - lighting.ground) * up) * occlusion[:, None]
    shine = np.zeros(len(vertices), np.float32)
    unit = float(np.linalg.norm(box[1] - box[0])) / 300
    wrap = np.float32([0.30, 0.15, 0.11])
    soft = 0.45 + 0.55 * occlusion
    for k, lamp in enumerate(lighting.lamps):
        cosine = normals @ lamp.direction
        seen = soft
        if k == 0:
            seen = shadow(vertices, triangles, lamp.direction, box, softness=rng.uniform(1.5, 6) * unit, bias=5 * unit)
            seen = (0.12 + 0.88 * seen) * soft
        for c in range(3):
            diffuse = cosine + wrap[c]
            np.maximum(diffuse, 0, out=diffuse)
            diffuse *= seen
            diffuse *= lamp.colour[c] / (1 + wrap[c])
            light[:, c] += diffuse
        half = lamp.direction + np.float32([0, 0, 1])
        half /= np.linalg.norm(half)
        peak = normals @ half
        peak -= 1
        peak *= gloss
        shine += np.exp(peak) * seen * np.float32(lamp.colour.mean())
    grazing = 1 - np.clip(normals[:, 2], 0, 1)
    grazing *= grazing
    shine = shine * strength + np.float32(0.02 * lighting.sky.mean()) * grazing * grazing
    return light, shine[:, None]


class PixelPainter:
    """Fine patterns, from interpolated attributes of pixels to colours. ``tile`` is :func:`~.appearance.noise_tile`."""

    def __init__(self, maps: HeadMaps, tile: np.ndarray) -> None:
        self.grain, self.blotch, self.streak, self.skin = (np.ascontiguousarray(tile[..., k]).ravel() for k in range(4))
        p = maps.points
        self.brow_x, self.brow_y = np.float32(BROW).T
        eye = ((p[36:42] * [-1, 1, 1] + p[[45, 44, 43, 42, 47, 46]]) / 2).astype(np.float32)
        self.eye = (float(eye[0, 0] + eye[3, 0]) / 2, float(eye[:, 1].mean()) - 0.2)
        upper, lower = eye[[3, 2, 1, 0]], eye[[3, 4, 5, 0]]
        self.lid_x, self.upper_y, self.lower_x, self.lower_y = upper[:, 0], upper[:, 1], lower[:, 0], lower[:, 1]
        x, y, z = maps.mean.T
        fine = ((np.abs(y - self.brow_y.mean()) < 14) | (np.abs(y - self.eye[1]) < 12)) & (z > -30) & (maps.ear < 0.5)
        self.fine_triangles = fine[maps.triangles].any(1)

    @staticmethod
    def noise(layer: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """(n,) noise at texture coordinates of which 256 repeat."""
        column, row = u.astype(np.int32), v.astype(np.int32)
        column &= TILE - 1
        row &= TILE - 1
        row *= TILE
        row += column
        return layer.take(row)

    def features(
        self, colour: np.ndarray, where: np.ndarray, light: np.ndarray, eye: np.ndarray, look: Look
    ) -> np.ndarray:
        """Brows, eyes and lashes over lit skin.

        Args:
            colour: (n, 3) lit; where: (n, 3) mean-head mm; light: (n, 3) irradiance; eye: (n,) weight.
        """
        x, y = where[:, 0], where[:, 1]
        ax = np.abs(x)
        t = (ax - self.brow_x[0]) / (self.brow_x[-1] - self.brow_x[0])
        middle = np.interp(ax, self.brow_x, self.brow_y).astype(np.float32) + np.float32(look.brow_shift - 0.4)
        half = look.brow_width * np.interp(t, [-0.1, 0.15, 0.55, 1.05], [0.7, 1.1, 0.95, 0.3]).astype(np.float32)
        stroke = self.noise(self.grain, 3 * x + 1.6 * y * np.sign(x) + look.offset[1] + 1e4, y + look.offset[2] + 1e4)
        amount = smoothstep(1.5, 0.45, np.abs(y - middle) / half + 0.22 * stroke) * look.brow_strength
        amount *= smoothstep(-0.12, 0.06, t) * smoothstep(1.12, 0.95, t)
        colour = colour + amount[:, None] * (look.brow * (1 + 0.2 * stroke[:, None]) * light - colour)

        k = np.flatnonzero(eye > 0.4)
        if len(k):
            colour[k] = self._eyes(x[k], y[k], light[k], look)
        k = np.flatnonzero((ax > self.lid_x[0] - 2) & (ax < self.lid_x[-1] + 4) & (np.abs(y - self.eye[1]) < 12))
        if len(k):
            a, b = ax[k], y[k]
            upper = np.interp(a, self.lid_x, self.upper_y).astype(np.float32)
            lower = np.interp(a, self.lower_x, self.lower_y).astype(np.float32)
            dark = look.lash * np.exp(-(((b - upper - 0.2) / 1.15) ** 2))
            dark += 0.35 * look.lash * np.exp(-(((b - lower + 0.3) / 0.8) ** 2))
            dark += 0.22 * np.exp(-(((b - upper - 5.0) / 0.9) ** 2)) * smoothstep(self.lid_x[0], self.lid_x[1], a)
            dark = np.minimum(dark, 0.92)[:, None]
            colour[k] += dark * (0.12 * look.brow * light[k] - colour[k])
        return colour

    def _eyes(self, x: np.ndarray, y: np.ndarray, light: np.ndarray, look: Look) -> np.ndarray:
        dx = x - np.sign(x) * np.float32(self.eye[0]) - look.gaze[0]
        dy = y - np.float32(self.eye[1]) - look.gaze[1]
        r = np.sqrt(dx * dx + dy * dy)
        out = np.abs(np.abs(x) - np.float32(self.eye[0]))
        white = linear(205, 194, 186) * (1 - 0.35 * smoothstep(5, 12, out))[:, None]
        white[:, 1:] *= (1 - 0.10 * smoothstep(6, 12, out))[:, None]
        white *= (0.62 + 0.38 * np.clip((self.eye[1] + 5 - y) / 6, 0, 1))[:, None]
        iris = look.iris * (1 - 0.55 * smoothstep(4.4, 5.9, r))[:, None]
        w = smoothstep(5.5, 6.4, r)[:, None]
        colour = (iris + (white - iris) * w) * (0.05 + 0.95 * smoothstep(1.9, 2.7, r))[:, None] * light
        glint = 0.8 * np.exp(-((dx + 1.7) ** 2 + (dy - 1.9) ** 2) / 0.8)[:, None]
        return colour + glint * (0.8 * light.max(1, keepdims=True) - colour)

    def over(
        self, colour: np.ndarray, values: np.ndarray, texture: np.ndarray, look: Look, *, beard: bool
    ) -> np.ndarray:
        """Beard or scalp hair over lit skin.

        Args:
            colour: (n, 3); values: (n, 4) lit hair colour and density; texture: (n, 2) mm.
        """
        u, v, density = texture[:, 0], texture[:, 1], values[:, 3]
        if beard:
            stroke = self.noise(self.grain, 3.5 * u + look.offset[2] + 1e4, 1.2 * v + look.offset[3] + 1e4)
            amount = smoothstep(0.15, 0.75, density + 0.16 * stroke) * look.beard
            amount *= np.clip(0.85 + 0.22 * stroke, 0.2, 1)
            tone = 1 + 0.25 * stroke
        else:
            stroke = self.noise(
                self.grain if look.style in ("buzz", "curly") else self.streak,
                3 * u + look.offset[0] + 1e4,
                2 * v + look.offset[3] + 1e4,
            )
            amount = smoothstep(0.25, 0.7, density + 0.16 * stroke) * (0.72 if look.style == "buzz" else 0.97)
            tone = np.clip(0.75 + 0.25 * stroke, 0.15, 2)
        return colour + amount[:, None] * (values[:, :3] * tone[:, None] - colour)

    def hair(self, where: np.ndarray) -> np.ndarray:
        """(n, 1) factor of the strands' pixels: streaks along the hair."""
        noise = self.noise(self.streak, 4 * where[:, 0] + 1e4, 1.5 * where[:, 1] + 1e4)
        return np.clip(1 + 0.32 * noise, 0.25, 2)[:, None]

    def cloth(self, where: np.ndarray, pattern: tuple[float, float, float, float]) -> np.ndarray:
        """(n, 1) factor of cloth: weave, and stripes across and along of strengths pattern[0] and pattern[3]."""
        u, v = where[:, 0], where[:, 1]
        weave = 1 + 0.07 * self.noise(self.grain, 4 * u + 1e4, 4 * v + 1e4)
        for strength, t in ((pattern[0], v), (pattern[3], u)):
            if strength > 0:
                weave *= 1 - np.float32(strength) * (np.sin(t * np.float32(pattern[1])) > pattern[2])
        return weave[:, None]
