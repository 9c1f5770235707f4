"""Light on a head and the colours of its pixels: shadow map, lamps, skin, brows, eyes, beard, hair, cloth.

Light is worked out per vertex (a head has more vertices than pixels in a crop), fine patterns per pixel. Vectors are in
image axes: x right, y down, z towards the camera.
"""

from dataclasses import dataclass

import numpy as np
from tddfa import raster

from .appearance import TILE, HeadMaps, Look, linear, smoothstep
from .wardrobe import CLOTH, HEAD, STRAND, TOOTH

SHADOW_SIZE = 176


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
    around = np.clip(0.8 + 0.2 * around, 0.6, 1.4)
    ambient = rng.choice([rng.uniform(0.15, 0.35), rng.uniform(0.35, 0.8)], p=[0.4, 0.6])
    sky = ambient * tint(0.05) * around
    ground = sky * rng.uniform(0.35, 0.9) * tint(0.04)
    lamps = []
    for k in range(rng.integers(1, 4)):
        side = rng.random() < 0.25
        d = rng.normal(0, 1, 3) * [1.0, 0.55, 0.35] + ([0, -0.35, 0.15] if side else [0, -0.5, 0.9])
        d /= np.linalg.norm(d)
        lamps.append(Lamp(d.astype(np.float32), (rng.uniform(0.5, 1.1) * (1.0 if k == 0 else 0.4)) * tint(0.06)))
    return Lighting(sky.astype(np.float32), ground.astype(np.float32), lamps)


def shadow(vertices: np.ndarray, triangles: np.ndarray, direction: np.ndarray, box: tuple[np.ndarray, np.ndarray],
           *, softness: float, bias: float) -> np.ndarray:
    """(N,) float32: 1 where a vertex sees the lamp, 0 in shadow, soft in between.

    Args:
        vertices: (N, 3) float32 px, image axes.
        box: (low, high) corners of the part that matters; vertices outside it count as lit.
        softness: half width of the soft edge, px; bias: px by which a surface must be behind another.
    """
    right = np.cross(direction, (0.1, 1.0, 0.2))
    right /= np.linalg.norm(right)
    frame = np.stack([right, np.cross(direction, right), direction], 1).astype(np.float32)
    q = vertices @ frame
    corners = np.stack(np.meshgrid(*zip(*box, strict=True), indexing="ij"), -1).reshape(-1, 3) @ frame
    low, high = corners.min(0), corners.max(0)
    scale = (SHADOW_SIZE - 2) / float((high - low)[:2].max())
    q = np.ascontiguousarray((q - low) * scale, np.float32)
    q[:, :2] += 1
    depth = raster.rasterize(q, triangles, SHADOW_SIZE, SHADOW_SIZE).depth
    lit, z = np.zeros(len(q), np.float32), q[:, 2] + np.float32(bias * scale)
    s = softness * scale
    for ox, oy in ((-s, -0.4 * s), (0.4 * s, -s), (s, 0.4 * s), (-0.4 * s, s), (0.0, 0.0)):
        x = (q[:, 0] + np.float32(ox + 0.5)).astype(np.int32)
        y = (q[:, 1] + np.float32(oy + 0.5)).astype(np.int32)
        inside = (x >= 0) & (y >= 0) & (x < SHADOW_SIZE) & (y < SHADOW_SIZE)
        lit += np.where(inside, z > depth[np.where(inside, y, 0), np.where(inside, x, 0)], True)
    return lit / 5


def light_vertices(vertices: np.ndarray, normals: np.ndarray, triangles: np.ndarray, occlusion: np.ndarray,
                   kinds: np.ndarray, look: Look, lighting: Lighting, box: tuple[np.ndarray, np.ndarray],
                   rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(irradiance (N, 3), highlight (N, 1)) float32."""
    up = (0.5 - 0.5 * normals[:, 1])[:, None]
    light = (lighting.ground + (lighting.sky - lighting.ground) * up) * occlusion[:, None]
    shine = np.zeros(len(vertices), np.float32)
    hair = kinds == STRAND
    unit = float(np.linalg.norm(box[1] - box[0])) / 300
    wrap = np.float32([0.30, 0.15, 0.11])
    for k, lamp in enumerate(lighting.lamps):
        cosine = normals @ lamp.direction
        seen = np.float32(1.0)
        if k == 0:
            seen = shadow(vertices, triangles, lamp.direction, box, softness=rng.uniform(1.5, 6) * unit, bias=5 * unit)
            seen = 0.12 + 0.88 * seen
        seen = seen * (0.45 + 0.55 * occlusion)
        diffuse = np.clip((cosine[:, None] + wrap) / (1 + wrap), 0, None)
        light += diffuse * (seen[:, None] * lamp.colour)
        half = lamp.direction + np.float32([0, 0, 1])
        half /= np.linalg.norm(half)
        facing = np.clip(normals @ half, 0, 1)
        peak = np.exp((look.gloss + 10 * hair) * (facing - 1) * 1.4)
        shine += peak * seen * float(lamp.colour.mean())
    grazing = 1 - np.clip(normals[:, 2], 0, 1)
    shine = shine * look.shine + 0.05 * grazing**4 * float(lighting.sky.mean())
    return light.astype(np.float32), shine[:, None].astype(np.float32)


class PixelPainter:
    """Fine patterns: from interpolated attributes of covered pixels to their colour."""

    def __init__(self, maps: HeadMaps, tile: np.ndarray) -> None:
        self.tile = tile
        p = maps.points
        left, right = p[17:22], p[22:27][::-1]
        brow = (left * [-1, 1, 1] + right) / 2
        order = np.argsort(brow[:, 0])
        self.brow_x, self.brow_y = brow[order, 0], brow[order, 1]
        eye = (p[36:42] * [-1, 1, 1] + p[[45, 44, 43, 42, 47, 46]]) / 2
        self.eye = np.float32([(eye[0, 0] + eye[3, 0]) / 2, eye[:, 1].mean() - 0.2])
        upper, lower = eye[[3, 2, 1, 0]], eye[[3, 4, 5, 0]]
        self.lid_x, self.upper_y, self.lower_x, self.lower_y = upper[:, 0], upper[:, 1], lower[:, 0], lower[:, 1]

    def noise(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """(n, 4) noise at texture coordinates; 512 repeats."""
        return self.tile[v.astype(np.int32) & (TILE - 1), u.astype(np.int32) & (TILE - 1)]

    def head(self, where: np.ndarray, colour: np.ndarray, lips: np.ndarray, eye: np.ndarray, scalp: np.ndarray,
             beard: np.ndarray, look: Look) -> tuple[np.ndarray, np.ndarray]:
        """(colour (n, 3), highlight factor (n,)) of skin pixels.

        Args:
            where: (n, 3) mean-head position in mm; colour: (n, 3); the rest (n,) weights in [0, 1].
        """
        x, y, z = where.T
        ax, o = np.abs(x), look.offset
        noise = self.noise(2.2 * (x + 0.7 * z) + o[0] + 1e4, 2.2 * (y + 0.3 * z) + o[1] + 1e4)
        grain, blotch = noise[:, 0], noise[:, 1]
        colour = colour * (1 + look.texture * (0.5 * grain + 0.5 * blotch) * (1 - 0.5 * lips))[:, None]
        gloss = 1 - 0.5 * scalp
        if look.beard > 0:
            stroke = self.noise(3.5 * (x + 0.7 * z) + o[2] + 1e4, 1.2 * y + o[3] + 1e4)[:, 0]
            amount = smoothstep(0.15, 0.75, beard + 0.16 * stroke + 0.05 * blotch) * look.beard
            amount = amount * np.clip(0.85 + 0.22 * stroke, 0.2, 1)
            tone = look.brow * 0.8 + 0.06 * look.skin
            colour += amount[:, None] * (tone * (1 + 0.25 * stroke[:, None]) - colour)
            gloss = gloss * (1 - 0.8 * amount)
        near = (np.abs(y - self.brow_y.mean()) < 14) & (z > -35)
        colour[near] = self._brows(colour[near], ax[near], x[near], y[near], look)
        k = eye > 0.4
        lash = (ax > self.lid_x[0] - 2) & (ax < self.lid_x[-1] + 4) & (np.abs(y - self.eye[1]) < 12) & (z > 5)
        if lash.any():
            a, b = ax[lash], y[lash]
            upper = np.interp(a, self.lid_x, self.upper_y).astype(np.float32)
            lower = np.interp(a, self.lower_x, self.lower_y).astype(np.float32)
            dark = look.lash * np.exp(-(((b - upper - 0.2) / 1.15) ** 2))
            dark += 0.35 * look.lash * np.exp(-(((b - lower + 0.3) / 0.8) ** 2))
            dark += 0.25 * np.exp(-(((b - upper - 5.0) / 0.9) ** 2)) * smoothstep(self.lid_x[0], self.lid_x[1], a)
            line = np.clip(dark, 0, 0.92)[:, None]
            shade = colour[lash]
        if k.any():
            colour[k] = self._eyes(x[k], y[k], look, grain[k])
            gloss[k] = 0.15
        if lash.any():
            mixed = np.where(k[lash][:, None], colour[lash], shade)
            colour[lash] = mixed + line * (0.25 * look.brow * np.float32(0.5) + 0.004 - mixed)
        if look.style != "bald":
            colour = self._scalp(colour, where, scalp, look)
        return colour, gloss

    def _brows(self, colour: np.ndarray, ax: np.ndarray, x: np.ndarray, y: np.ndarray, look: Look) -> np.ndarray:
        middle = np.interp(ax, self.brow_x, self.brow_y).astype(np.float32) + look.brow_shift - 0.4
        first, last = self.brow_x[0], self.brow_x[-1]
        t = (ax - first) / (last - first)
        half = look.brow_width * np.clip(np.interp(t, [-0.1, 0.15, 0.55, 1.05], [0.7, 1.1, 0.95, 0.3]), 0.2, 2)
        stroke = self.noise(3.0 * x + 1.6 * y * np.sign(x) + look.offset[1] + 1e4, 1.0 * y + look.offset[2] + 1e4)[:, 0]
        amount = smoothstep(1.5, 0.45, np.abs(y - middle) / half + 0.22 * stroke)
        amount *= smoothstep(-0.12, 0.06, t) * smoothstep(1.12, 0.95, t) * look.brow_strength
        return colour + amount[:, None].astype(np.float32) * (look.brow * (1 + 0.2 * stroke[:, None]) - colour)

    def _eyes(self, x: np.ndarray, y: np.ndarray, look: Look, grain: np.ndarray) -> np.ndarray:
        side = np.sign(x)
        dx = x - side * self.eye[0] - look.gaze[0]
        dy = y - self.eye[1] - look.gaze[1]
        r = np.sqrt(dx * dx + dy * dy)
        out = np.abs(np.abs(x) - self.eye[0])
        white = linear(205, 194, 186) * (1 - 0.35 * smoothstep(5, 12, out))[:, None]
        white[:, 1:] *= (1 - 0.10 * smoothstep(6, 12, out))[:, None]
        white *= (0.62 + 0.38 * np.clip((self.eye[1] + 5 - y) / 6, 0, 1))[:, None]
        iris = look.iris * (1 + 0.2 * grain)[:, None] * (1 - 0.55 * smoothstep(4.4, 5.9, r))[:, None]
        w = smoothstep(5.5, 6.4, r)[:, None]
        colour = iris * (1 - w) + white * w
        colour *= (0.05 + 0.95 * smoothstep(1.9, 2.7, r))[:, None]
        glint = 0.8 * np.exp(-((dx + 1.7) ** 2 + (dy - 1.9) ** 2) / 0.8)[:, None]
        return colour + glint * (0.8 - colour)

    def _scalp(self, colour: np.ndarray, where: np.ndarray, scalp: np.ndarray, look: Look) -> np.ndarray:
        k = scalp > 0.02
        x, y, z = where[k].T
        noise = self.noise(3 * (x + 0.5 * z) + look.offset[0] + 1e4, 2 * (y - 0.6 * z) + look.offset[3] + 1e4)
        streak = noise[:, 2] if look.style not in ("buzz", "curly") else 0.7 * noise[:, 0] + 0.5 * noise[:, 3]
        amount = smoothstep(0.25, 0.7, scalp[k] + 0.14 * noise[:, 0] + 0.10 * noise[:, 2])
        amount *= 0.72 if look.style == "buzz" else 0.97
        tone = look.hair * np.clip(0.7 + 0.25 * streak, 0.15, 2)[:, None]
        colour[k] += amount[:, None] * (tone - colour[k])
        return colour

    def parts(self, kind: np.ndarray, where: np.ndarray, colour: np.ndarray, look: Look, pattern: np.ndarray) -> np.ndarray:
        """Colour of pixels of worn things: streaks along hair, weave and stripes on cloth."""
        u, v = where[:, 0], where[:, 1]
        hair = kind == STRAND
        noise = self.noise(4.0 * u + 1e4, 1.5 * v + 1e4)
        factor = np.where(hair, np.clip(1 + 0.30 * noise[:, 2] + 0.10 * noise[:, 0], 0.25, 2), 1.0)
        cloth = kind == CLOTH
        weave = 1 + 0.07 * noise[:, 0] + 0.06 * noise[:, 1]
        if pattern[0] > 0:
            weave = weave * (1 - pattern[0] * (np.sin(v * pattern[1]) > pattern[2]))
        if pattern[3] > 0:
            weave = weave * (1 - pattern[3] * (np.sin(u * pattern[1]) > pattern[2]))
        factor = np.where(cloth, weave, factor)
        return colour * factor[:, None].astype(np.float32)


__all__ = ["HEAD", "TOOTH", "Lamp", "Lighting", "PixelPainter", "light_vertices", "random_lighting", "shadow"]
