"""What a rendered face looks like: tones of skin and hair, and the maps that say where on the head each thing goes.

Colours are linear light (the square of the picture's values / 255; one gamma of 2 is used throughout). Positions are
the mean head's, in millimetres (x viewer's right, y up, z to the viewer), moved so that the nose tip is at
(0, -13, 55). A map has one row per vertex of head = face mesh + context (scalp, neck).
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from tddfa import raster

NOSE_TIP = np.float32([0.0, -12.9, 54.9])
TILE = 256


def linear(red: float, green: float, blue: float) -> np.ndarray:
    """Picture values 0-255 to linear light."""
    return (np.float32([red, green, blue]) / 255.0) ** 2


SKIN_TONES = np.stack(
    [
        linear(*c)
        for c in (
            (240, 203, 184),
            (232, 190, 166),
            (222, 172, 143),
            (205, 151, 118),
            (176, 121, 88),
            (138, 91, 64),
            (98, 64, 46),
            (70, 46, 35),
        )
    ]
)
HAIR_TONES = np.stack(
    [
        linear(*c)
        for c in (
            (22, 19, 18),
            (38, 28, 22),
            (62, 43, 30),
            (92, 66, 44),
            (135, 100, 64),
            (186, 152, 104),
            (215, 188, 140),
            (122, 60, 34),
            (150, 147, 144),
            (205, 203, 200),
        )
    ]
)
IRIS_TONES = np.stack(
    [linear(*c) for c in ((46, 28, 17), (70, 46, 26), (98, 68, 38), (96, 100, 62), (88, 112, 130), (104, 124, 132))]
)
LIP_TONES = np.stack([linear(*c) for c in ((186, 110, 104), (176, 92, 88), (160, 88, 80), (150, 60, 66))])
MAKE_UP = np.stack([linear(*c) for c in ((170, 30, 50), (190, 60, 90), (120, 30, 50), (205, 90, 80))])
DARK_HAIR, ANY_HAIR = (0, 0, 0, 0, 1, 1, 1, 1, 2, 8), (0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 6, 7, 8, 9)
"""Rows of ``HAIR_TONES`` by how often they are drawn, for dark skin and for other skin."""
HAIR_STYLES = ("bald", "buzz", "short", "side", "medium", "long", "tied", "curly")
STYLE_WEIGHTS = {
    True: (0.14, 0.16, 0.30, 0.16, 0.06, 0.03, 0.03, 0.12),
    False: (0.02, 0.02, 0.07, 0.12, 0.22, 0.30, 0.16, 0.09),
}
"""How often each style is drawn, for heads with and without a beard's chance."""


def smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """0 at ``low``, 1 at ``high``, a smooth S between; ``high`` may be the smaller one."""
    t = np.clip((value - np.float32(low)) * np.float32(1.0 / (high - low)), 0.0, 1.0)
    return t * t * (3 - 2 * t)


@dataclass
class Look:
    """One person's colours and choices, drawn by :func:`random_look`."""

    skin: np.ndarray
    darkness: float
    hair: np.ndarray
    brow: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    lip_strength: float
    beard: float
    beard_style: int
    style: str
    hairline: float
    recession: float
    parting: float
    fringe: float
    brow_width: float
    brow_strength: float
    brow_shift: float
    lash: float
    gaze: np.ndarray
    shine: float
    gloss: float
    blotch: float
    texture: float
    flush: float
    age: float
    offset: np.ndarray
    teeth: np.ndarray
    mix: np.ndarray = field(repr=False)


def random_look(rng: np.random.Generator) -> Look:
    """Draws a person's colours, hair, beard, brows and eyes."""
    t = float(np.clip(rng.beta(0.85, 1.15), 0, 1)) * (len(SKIN_TONES) - 1)
    i = min(int(t), len(SKIN_TONES) - 2)
    skin = SKIN_TONES[i] * (1 - t + i) + SKIN_TONES[i + 1] * (t - i)
    warm = rng.normal(0, 0.045)
    skin = skin * np.float32([1 + 0.4 * warm, 1 - 0.3 * warm, 1 - 1.2 * warm]) * np.float32(rng.uniform(0.92, 1.06))
    darkness = t / (len(SKIN_TONES) - 1)
    male = rng.random() < 0.5
    tones = DARK_HAIR if darkness > 0.55 else ANY_HAIR
    hair = HAIR_TONES[tones[rng.integers(len(tones))]] * np.float32(rng.uniform(0.75, 1.2))
    brow = np.minimum(hair * np.float32(rng.uniform(0.45, 0.95)), 0.75 * skin)
    iris = IRIS_TONES[rng.integers(6) if darkness < 0.4 else rng.integers(2)] * np.float32(rng.uniform(0.8, 1.25))
    lips = LIP_TONES[rng.integers(len(LIP_TONES))] * (0.35 + 0.65 * skin / SKIN_TONES[1])
    strength = rng.uniform(0.3, 0.75)
    if not male and rng.random() < 0.3:
        lips, strength = MAKE_UP[rng.integers(len(MAKE_UP))] * (0.5 + 0.5 * skin / SKIN_TONES[1]), rng.uniform(0.5, 0.9)
    style = HAIR_STYLES[rng.choice(len(HAIR_STYLES), p=STYLE_WEIGHTS[male])]
    beard = 0.0
    if male:
        beard = float(rng.choice([0.0, rng.uniform(0.08, 0.35), rng.uniform(0.45, 0.95)], p=[0.42, 0.28, 0.30]))
    age = float(rng.beta(1.1, 1.6))
    return Look(
        skin=skin.astype(np.float32),
        darkness=darkness,
        hair=hair,
        brow=brow.astype(np.float32),
        iris=iris,
        lips=lips.astype(np.float32),
        lip_strength=float(strength),
        beard=beard,
        beard_style=int(rng.integers(5)),
        style=style,
        hairline=float(rng.normal(60, 7)),
        recession=float(rng.uniform(0, 22) if male else rng.uniform(-2, 6)),
        parting=float(rng.choice([0.0, rng.uniform(-38, 38)])),
        fringe=float(rng.random() < (0.15 if male else 0.3)),
        brow_width=float(rng.uniform(1.9, 3.4) * (1.2 if male else 0.9)),
        brow_strength=float(rng.uniform(0.5, 0.95)),
        brow_shift=float(rng.normal(0.3, 1.0)),
        lash=float(rng.uniform(0.35, 0.7) if male else rng.uniform(0.55, 0.95)),
        gaze=np.float32(rng.normal(0, [2.2, 0.8])),
        shine=float(rng.uniform(0.02, 0.16)),
        gloss=float(rng.uniform(6, 26)),
        blotch=float(rng.uniform(0.015, 0.05)),
        texture=float(rng.uniform(0.02, 0.08)),
        flush=float(rng.uniform(0.4, 1.3)),
        age=age,
        offset=rng.uniform(0, TILE, 4).astype(np.float32),
        teeth=linear(*(np.array([232, 222, 200]) * rng.uniform(0.78, 1.0) + [0, -4, rng.uniform(-26, 4)])),
        mix=rng.normal(0, 1, (4, HeadMaps.FIELDS)).astype(np.float32) / np.float32(np.sqrt(HeadMaps.FIELDS)),
    )


def noise_tile() -> np.ndarray:
    """(256, 256, 4) float32 that tiles: grain, blotches, strands along the first axis, skin; each of unit variance."""
    rng = np.random.default_rng(20)
    sigmas = (0.7, 2.6, (14.0, 0.7))
    white = rng.normal(0, 1, (len(sigmas), TILE, TILE)).astype(np.float32)
    out = np.stack([gaussian_filter(w, s, mode="wrap") for w, s in zip(white, sigmas, strict=True)], 2)
    out /= out.std((0, 1))
    return np.concatenate([out, (out[..., :1] + out[..., 1:2]) / np.float32(np.sqrt(2))], 2)


class HeadMaps:
    """Everything about a morphable model's head that does not change from render to render.

    Args:
        model: a morphable model with a context (see ``tddfa.morphable.MorphableModel``).

    Raises:
        ValueError: the model has no context or no region labels, so it cannot be rendered as a head.
    """

    FIELDS = 10

    def __init__(self, model) -> None:
        if getattr(model, "context", None) is None or getattr(model, "region", None) is None:
            raise ValueError(
                "expected a face model with scalp, neck and region labels, got one without; use MorphableModel.open()"
            )
        zero = np.zeros(model.w_shp.shape[1], np.float32), np.zeros(model.w_exp.shape[1], np.float32)
        face, context = model.reconstruct(*zero), model.context.reconstruct(*zero)
        self.faces = len(face)
        mean = np.concatenate([face, context]).astype(np.float32)
        points = model.landmarks(face)
        shift = NOSE_TIP - points[30]
        self.mean, self.points = mean + shift, points + shift
        self.triangles = np.concatenate([model.tri, model.context.tri + self.faces]).astype(np.int32)
        self.normal = raster.vertex_normals(self.mean, self.triangles, axes="model")
        names = [str(n) for n in model.region_names]
        region = np.asarray(model.region)

        def mask(*wanted: str) -> np.ndarray:
            out = np.zeros(len(mean), np.float32)
            for number, name in enumerate(names):
                if any(w in name.lower() for w in wanted):
                    out[: self.faces][region == number] = 1.0
            return out

        self.lips, self.lid, self.ear = mask("lip"), mask("lid"), mask("ear")
        self.mouth = mask("mouth", "pocket")
        self.eye = mask("eye") * (1 - self.lid) * (1 - mask("brow"))
        self.occlusion = ambient_occlusion(self.mean, self.triangles)
        self.fields = np.concatenate(
            [_smooth_noise(self.mean, 16.0, 5, seed=1), _smooth_noise(self.mean, 6.0, 5, seed=2)], 1
        )
        self._paint_maps()
        self._scalp_maps()

    def _paint_maps(self) -> None:
        x, y, z = self.mean.T
        ax, p = np.abs(x), self.points

        def spot(cx: float, cy: float, sx: float, sy: float) -> np.ndarray:
            return np.exp(-(((ax - cx) / sx) ** 2) - ((y - cy) / sy) ** 2) * smoothstep(-40, 0, z)

        eye = np.abs(p[36:48]).mean(0)
        cheek_y, mouth_y = p[33, 1] + 14, p[48:60, 1].mean()
        self.flush = 0.9 * spot(40, cheek_y, 17, 14) + 0.7 * spot(0, p[30, 1], 12, 9) + 0.4 * spot(0, -76, 15, 9)
        self.flush = self.flush + 0.6 * self.ear
        self.shade = 0.8 * spot(eye[0], eye[1] - 13, 13, 5) + 0.55 * self.lid + 0.6 * spot(17, eye[1] + 5, 5, 9)
        self.wrinkle = (
            np.exp(-(((ax - 24 - 0.5 * (p[33, 1] - y)) / 2.5) ** 2))
            * smoothstep(p[33, 1] + 8, p[33, 1], y)
            * smoothstep(mouth_y - 6, mouth_y + 6, y)
            * smoothstep(-10, 10, z)
        )
        self.nostril = np.exp(-(((ax - abs(p[32, 0]) - 0.4) / 3.0) ** 2) - ((y - p[32, 1] - 1.6) / 1.9) ** 2)
        self.nostril *= smoothstep(15, 30, z)
        upper = p[[0, 36, 48]][:, 1]
        jaw = smoothstep(-16, -34, y) * smoothstep(100, 70, ax) * smoothstep(-66, -50, z) * smoothstep(-112, -92, y)
        jaw *= 1 - 0.9 * np.exp(-(((ax - 31) / 14) ** 2) - ((y - p[48, 1] - 16) / 10) ** 2)
        moustache = np.exp(-(((y - (p[33, 1] + p[51, 1]) / 2 + 1) / 6.5) ** 4)) * smoothstep(34, 22, ax) * (z > 15)
        chin = np.exp(-((ax / 24) ** 4)) * smoothstep(p[57, 1] + 4, p[57, 1] - 4, y) * smoothstep(-100, -88, y)
        side = smoothstep(54, 62, ax) * smoothstep(-62, -52, z) * smoothstep(-14, -24, z) * (y > -30)
        clean = (1 - self.lips) * (1 - self.mouth) * (1 - self.ear)
        full = np.maximum.reduce([jaw, moustache, chin, 0.85 * side * smoothstep(upper[0] + 12, upper[0] - 10, y)])
        self.beards = (
            np.stack(
                [
                    full,
                    np.maximum(jaw, moustache),
                    np.maximum(moustache, chin),
                    moustache,
                    np.maximum.reduce([0.5 * jaw, moustache, chin]),
                ],
                1,
            )
            * clean[:, None]
        )
        self.beards = np.clip(self.beards, 0, 1).astype(np.float32)
        self.deep = smoothstep(10, 36, z)
        for name in ("flush", "shade", "wrinkle", "nostril", "deep"):
            setattr(self, name, getattr(self, name).astype(np.float32))
        self.texture = np.stack([x + 0.7 * z, y + 0.3 * z], 1).astype(np.float32)

    def _scalp_maps(self) -> None:
        x, y, z = self.mean.T
        self.height = 0.75 * y - 0.66 * z
        self.temple = np.exp(-(((np.abs(x) - 42) / 15) ** 2)) * smoothstep(-30, 5, z)
        self.nape = smoothstep(-62, -72, z) * smoothstep(-78, -62, y)
        self.upper = np.flatnonzero((y > 45) & (self.ear < 0.5))
        a, b, c = (self.mean[self.triangles[:, k]] for k in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
        self.area = np.zeros(len(x))
        for k in range(3):
            np.add.at(self.area, self.triangles[:, k], area / 6)

    def scalp(self, look: Look) -> np.ndarray:
        """(Na,) float32 in [0, 1]: where hair grows, with an irregular edge."""
        edge = self.height + 3.0 * (self.fields @ look.mix[0]) - look.recession * self.temple
        hair = np.maximum(smoothstep(look.hairline - 3, look.hairline + 4, edge), self.nape)
        return (hair * (1 - self.ear) * (1 - self.lid)).astype(np.float32)

    def skin(self, look: Look) -> np.ndarray:
        """(Na, 3) float32 linear colour of the bare skin, lips, mouth and nostrils; eyes and hair come per pixel."""
        noise = self.fields @ look.mix.T
        red = np.float32(look.flush * 0.24 * (1 - 0.65 * look.darkness)) * self.flush * (1 + 0.25 * noise[:, 3])
        dark = np.float32(0.10 + 0.22 * look.age) * self.shade + np.float32(0.30 * look.age) * self.wrinkle
        hole = 1 - 0.78 * self.nostril
        lips = np.float32(look.lip_strength) * self.lips
        out = np.empty((len(noise), 3), np.float32)
        inside = linear(158, 72, 68)
        for c in range(3):
            tint = 1 + np.float32(look.blotch) * (noise[:, 1] + np.float32((0.25, -0.25, -0.1)[c]) * noise[:, 2])
            tint *= hole * (1 - np.float32((0.12, 0.75, 0.7)[c]) * red) * (1 - np.float32((0.8, 1.0, 0.9)[c]) * dark)
            tint *= look.skin[c]
            tint += lips * (look.lips[c] * (1 + 0.08 * noise[:, 0]) - tint)
            out[:, c] = tint + self.mouth * (inside[c] * self.deep - tint)
        return np.clip(out, 0.002, 0.9, out=out)


def _smooth_noise(points: np.ndarray, scale: float, count: int, *, seed: int) -> np.ndarray:
    """(N, count) float32 unit-variance noise fields of the given grain (mm) at 3D points."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        grid = rng.normal(0, 1, (24, 24, 24)).astype(np.float32)
        out.append(map_coordinates(grid, (points / scale + rng.uniform(0, 24, 3)).T % 24, order=1, mode="grid-wrap"))
    out = np.stack(out, 1)
    return (out / out.std(0)).astype(np.float32)


def ambient_occlusion(
    vertices: np.ndarray, triangles: np.ndarray, *, directions: int = 64, size: int = 200
) -> np.ndarray:
    """(N,) float32 in [0, 1]: the part of the sky that a vertex sees, from z-buffers of many directions.

    Args:
        vertices: (N, 3) float32, model axes (y up).
        triangles: (M, 3) int32.
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
