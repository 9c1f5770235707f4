"""What is too fine for vertices: brows, eyes, lashes, beards, streaks of hair, the weave of cloth, lenses.

Everything here works on the pixels of one drawn head, from values that are interpolated between its vertices.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tddfa import raster
from tddfa.arrays import Floats
from tddfa.ibug import MIRRORED, RIGHT_EYE
from vrnlib.synthetic.appearance import Appearance
from vrnlib.synthetic.dressing import DressedHead
from vrnlib.synthetic.hair import HAIR_STYLES
from vrnlib.synthetic.head_maps import HeadMaps
from vrnlib.synthetic.lighting import Light, Lighting
from vrnlib.synthetic.meshes import Material, Mesh
from vrnlib.synthetic.textures import GRAIN, SKIN, STREAK, linear, noise_at, smoothstep

BROW = np.array([(13.1, 40.6), (25.8, 44.8), (34.4, 44.7), (45.9, 42.2), (53.3, 37.8)], np.float32)
"""A brow's middle line on the mean head: |x| and y in mm. The landmarks lie on the brow's upper edge."""

BROW_WIDTHS = [-0.1, 0.15, 0.55, 1.05], [0.7, 1.1, 0.95, 0.3]
"""How wide a brow is along its line (0 at the nose's side, 1 at the other end)."""

POSITIVE = 1e4
"""Added to texture coordinates, so that none is negative."""


class DrawnMesh(NamedTuple):
    """A dressed head after rasterising, its mesh's head first: what each pixel shows, and the vertices' values."""

    buffers: raster.RasterBuffers
    triangles: NDArray[np.int32]
    """(M, 3)."""
    materials: NDArray[np.integer]
    """(M,) of the triangles."""
    albedo: NDArray[np.float32]
    """(N, 3) the vertices' own color, linear light."""
    coordinates: NDArray[np.float32]
    """(N, 2) where in their material's pattern they lie, mm."""
    light: Light


class ClothPattern(NamedTuple):
    """Stripes; a strength of 0 leaves them out."""

    across: float
    frequency: float
    """Radians per mm."""
    threshold: float
    """A stripe is where the sine is above it."""
    along: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> ClothPattern:
        """One in four across, one in seven along."""
        return cls(
            across=rng.uniform(0.2, 0.7) * (rng.random() < 0.25),
            frequency=rng.uniform(0.15, 0.9),
            threshold=rng.uniform(-0.6, 0.8),
            along=rng.uniform(0.2, 0.7) * (rng.random() < 0.15),
        )


class PixelPainter:
    """Paints the pixels of heads of one face model.

    Args:
        maps: of the face model.
        tile: from :func:`textures.noise_tile`.
    """

    def __init__(self, maps: HeadMaps, tile: NDArray[np.float32]) -> None:
        self.maps = maps
        self.grain, self.streak, self.skin = (
            np.ascontiguousarray(tile[..., channel]).ravel() for channel in (GRAIN, STREAK, SKIN)
        )
        self.bearded = (maps.beards > 0.02)[maps.triangles].any(1)
        p = maps.points
        self.brow_x, self.brow_y = BROW[:, 0].copy(), BROW[:, 1].copy()
        eye = ((p[RIGHT_EYE] * [-1, 1, 1] + p[MIRRORED][RIGHT_EYE]) / 2).astype(np.float32)
        self.eye = (float(eye[0, 0] + eye[3, 0]) / 2, float(eye[:, 1].mean()) - 0.2)
        upper, lower = eye[[3, 2, 1, 0]], eye[[3, 4, 5, 0]]
        self.lid_x, self.upper_y, self.lower_x, self.lower_y = upper[:, 0], upper[:, 1], lower[:, 0], lower[:, 1]
        x, y, z = maps.mean.T
        fine = ((np.abs(y - self.brow_y.mean()) < 14) | (np.abs(y - self.eye[1]) < 12)) & (z > -30) & (maps.ear < 0.5)
        self.fine_triangles = fine[maps.triangles].any(1)

    def paint(
        self, mesh: DrawnMesh, dressed: DressedHead, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(linear light (F, F, 3), coverage (F, F)); black where nothing covers. ``rng`` draws the cloth's pattern."""
        maps, appearance, scalp, n = self.maps, dressed.appearance, dressed.scalp, len(dressed.vertices)
        diffuse, highlight = mesh.light.diffuse[:n], mesh.light.highlight[:n]
        buffers = mesh.buffers
        shown, weights = buffers.triangle.ravel(), buffers.barycentric.reshape(-1, 3)
        material = np.append(mesh.materials, -1).astype(np.int8).take(shown)
        skin = np.flatnonzero(material == Material.SKIN)
        skin_triangles = shown.take(skin)

        def pixels_of(triangles: NDArray[np.bool_]) -> NDArray[np.intp]:
            """The pixels that show these of the head's triangles."""
            return skin.compress(triangles.take(skin_triangles))

        def at(values: Floats, pixels: NDArray[np.intp]) -> Floats:
            """Values of the head's vertices, interpolated at pixels that show the head."""
            some = raster.RasterBuffers(shown.take(pixels)[None], weights.take(pixels, axis=0)[None], buffers.depth[:0])
            return raster.interpolate(values, maps.triangles, some)[0]

        color = raster.interpolate(mesh.albedo * mesh.light.diffuse + mesh.light.highlight, mesh.triangles, buffers)
        color = color.reshape(-1, 3)
        where = raster.interpolate(mesh.coordinates, mesh.triangles, buffers).reshape(-1, 2)

        pattern = np.ones((len(shown), 1), np.float32)
        uv = where.take(skin, axis=0) * np.float32(2.2) + (appearance.offset[:2] + np.float32(POSITIVE))
        pattern[skin, 0] = 1 + np.float32(appearance.texture * 0.7) * noise_at(self.skin, uv[:, 0], uv[:, 1])
        pixels = np.flatnonzero(material == Material.HAIR)
        pattern[pixels] = self.strands(where.take(pixels, axis=0))
        pixels = np.flatnonzero(material == Material.CLOTH)
        pattern[pixels] = self.cloth(where.take(pixels, axis=0), ClothPattern.random(rng))
        color *= cv2.merge([pattern] * 3)[:, 0]  # three equal columns: several times as fast as one that is spread

        if appearance.beard > 0:
            pixels = pixels_of(self.bearded[:, appearance.beard_style])
            tone = (0.8 * appearance.brow + 0.06 * appearance.skin) * diffuse
            values = at(np.hstack([tone, maps.beards[:, appearance.beard_style, None]]), pixels)
            color[pixels] = self.beard(color[pixels], values, where[pixels], appearance)
        pixels = pixels_of(self.fine_triangles)
        if len(pixels):
            values = at(np.hstack([maps.mean, diffuse, maps.eye[:, None]]), pixels)
            color[pixels] = self.features(color[pixels], values[:, :3], values[:, 3:6], values[:, 6], appearance)
        if appearance.style != "bald":
            pixels = pixels_of((scalp > 0.02).take(maps.triangles[:, 0]))
            values = at(np.hstack([appearance.hair * diffuse + 0.3 * highlight, scalp[:, None]]), pixels)
            color[pixels] = self.scalp_hair(color[pixels], values, where[pixels], appearance)
        np.minimum(color, 1.6, out=color)
        coverage = (shown >= 0).astype(np.float32)
        return color.reshape(*buffers.triangle.shape, 3), coverage.reshape(buffers.triangle.shape)

    def features(self, color: Floats, where: Floats, light: Floats, eye: Floats, appearance: Appearance) -> Floats:
        """Brows, eyes and lashes over lit skin.

        Args:
            color: (n, 3) lit skin.
            where: (n, 3) place on the mean head, mm.
            light: (n, 3) irradiance.
            eye: (n,) weight of the eye's own surface.
            appearance: the person's.
        """
        x, y = where[:, 0], where[:, 1]
        ax = np.abs(x)
        t = (ax - self.brow_x[0]) / (self.brow_x[-1] - self.brow_x[0])
        middle = np.interp(ax, self.brow_x, self.brow_y).astype(np.float32) + np.float32(appearance.brow_shift - 0.4)
        half = appearance.brow_width * np.interp(t, *BROW_WIDTHS).astype(np.float32)
        stroke = noise_at(
            self.grain,
            3 * x + 1.6 * y * np.sign(x) + appearance.offset[1] + POSITIVE,
            y + appearance.offset[2] + POSITIVE,
        )
        amount = smoothstep(1.5, 0.45, np.abs(y - middle) / half + 0.22 * stroke) * appearance.brow_strength
        amount *= smoothstep(-0.12, 0.06, t) * smoothstep(1.12, 0.95, t)
        color = color + amount[:, None] * (appearance.brow * (1 + 0.2 * stroke[:, None]) * light - color)

        k = np.flatnonzero(eye > 0.4)
        if len(k):
            color[k] = self._eyes(x[k], y[k], light[k], appearance)
        k = np.flatnonzero((ax > self.lid_x[0] - 2) & (ax < self.lid_x[-1] + 4) & (np.abs(y - self.eye[1]) < 12))
        if len(k):
            a, b = ax[k], y[k]
            upper = np.interp(a, self.lid_x, self.upper_y).astype(np.float32)
            lower = np.interp(a, self.lower_x, self.lower_y).astype(np.float32)
            dark = appearance.lash * np.exp(-(((b - upper - 0.2) / 1.15) ** 2))
            dark += 0.35 * appearance.lash * np.exp(-(((b - lower + 0.3) / 0.8) ** 2))
            dark += 0.22 * np.exp(-(((b - upper - 5.0) / 0.9) ** 2)) * smoothstep(self.lid_x[0], self.lid_x[1], a)
            dark = np.minimum(dark, 0.92)[:, None]
            color[k] += dark * (0.12 * appearance.brow * light[k] - color[k])
        return color

    def _eyes(self, x: Floats, y: Floats, light: Floats, appearance: Appearance) -> Floats:
        dx = x - np.sign(x) * np.float32(self.eye[0]) - appearance.gaze[0]
        dy = y - np.float32(self.eye[1]) - appearance.gaze[1]
        r = np.sqrt(dx * dx + dy * dy)
        out = np.abs(np.abs(x) - np.float32(self.eye[0]))
        white = linear(205, 194, 186) * (1 - 0.35 * smoothstep(5, 12, out))[:, None]
        white[:, 1:] *= (1 - 0.10 * smoothstep(6, 12, out))[:, None]
        white *= (0.62 + 0.38 * np.clip((self.eye[1] + 5 - y) / 6, 0, 1))[:, None]
        iris = appearance.iris * (1 - 0.55 * smoothstep(4.4, 5.9, r))[:, None]
        w = smoothstep(5.5, 6.4, r)[:, None]
        color = (iris + (white - iris) * w) * (0.05 + 0.95 * smoothstep(1.9, 2.7, r))[:, None] * light
        glint = 0.8 * np.exp(-((dx + 1.7) ** 2 + (dy - 1.9) ** 2) / 0.8)[:, None]
        return color + glint * (0.8 * light.max(1, keepdims=True) - color)

    def beard(self, color: Floats, values: Floats, where: Floats, appearance: Appearance) -> Floats:
        """A beard over lit skin.

        Args:
            color: (n, 3) lit skin.
            values: (n, 4) lit color of the beard, and its density.
            where: (n, 2) place in the pattern, mm.
            appearance: the person's.
        """
        u, v, density = where[:, 0], where[:, 1], values[:, 3]
        stroke = noise_at(
            self.grain, 3.5 * u + appearance.offset[2] + POSITIVE, 1.2 * v + appearance.offset[3] + POSITIVE
        )
        amount = smoothstep(0.15, 0.75, density + 0.16 * stroke) * appearance.beard
        amount *= np.clip(0.85 + 0.22 * stroke, 0.2, 1)
        tone = 1 + 0.25 * stroke
        return color + amount[:, None] * (values[:, :3] * tone[:, None] - color)

    def scalp_hair(self, color: Floats, values: Floats, where: Floats, appearance: Appearance) -> Floats:
        """Short hair on the scalp, over lit skin; the arguments are those of ``beard``."""
        u, v, density = where[:, 0], where[:, 1], values[:, 3]
        style = HAIR_STYLES[appearance.style]
        stroke = noise_at(
            self.grain if style.grainy else self.streak,
            3 * u + appearance.offset[0] + POSITIVE,
            2 * v + appearance.offset[3] + POSITIVE,
        )
        amount = smoothstep(0.25, 0.7, density + 0.16 * stroke) * style.cover
        tone = np.clip(0.75 + 0.25 * stroke, 0.15, 2)
        return color + amount[:, None] * (values[:, :3] * tone[:, None] - color)

    def strands(self, where: Floats) -> Floats:
        """(n, 1) factor of the strands' pixels: streaks along the hair."""
        noise = noise_at(self.streak, 4 * where[:, 0] + POSITIVE, 1.5 * where[:, 1] + POSITIVE)
        return np.clip(1 + 0.32 * noise, 0.25, 2)[:, None]

    def cloth(self, where: Floats, pattern: ClothPattern) -> Floats:
        """(n, 1) factor of the cloth's pixels: weave and stripes."""
        u, v = where[:, 0], where[:, 1]
        weave = 1 + 0.07 * noise_at(self.grain, 4 * u + POSITIVE, 4 * v + POSITIVE)
        for strength, t in ((pattern.across, v), (pattern.along, u)):
            if strength > 0:
                weave *= 1 - np.float32(strength) * (np.sin(t * np.float32(pattern.frequency)) > pattern.threshold)
        return weave[:, None]


def glaze(color: Floats, lens: Mesh, pixels: Floats, depth: Floats, lighting: Lighting) -> None:
    """Blends a lens over what is behind it, in place; dark ones mirror a little of the sky.

    Args:
        color: (F, F, 3) linear light, changed.
        lens: of one color.
        pixels: (N, 3) its vertices in the pixels of ``color``.
        depth: (F, F) of what is drawn already.
        lighting: whose sky is mirrored.
    """
    x0, y0 = np.maximum(np.floor(pixels[:, :2].min(0)).astype(int), 0)
    x1, y1 = np.maximum(np.minimum(np.ceil(pixels[:, :2].max(0)).astype(int) + 1, color.shape[:2][::-1]), 0)
    if x1 <= x0 or y1 <= y0:
        return
    corner = np.array([x0, y0, 0], np.float32)
    glass = raster.rasterize(pixels - corner, lens.triangles, int(y1 - y0), int(x1 - x0))
    window = (slice(y0, y1), slice(x0, x1))
    seen = np.isfinite(depth[window]) & (glass.triangle >= 0) & (glass.depth > depth[window])
    tone = lens.color[0]
    if lens.opacity > 0.5:
        ramp = np.linspace(1, 0, int(y1 - y0), dtype=np.float32)[:, None, None]
        tone = tone + 0.15 * ramp * lighting.sky.mean()
    color[window] += np.float32(lens.opacity) * seen[..., None] * (tone - color[window])
