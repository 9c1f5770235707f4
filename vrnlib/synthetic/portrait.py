"""Draws one person: dresses a head, lights it, rasterises it once and finishes the pixels.

The order is: head and worn things as one mesh -> light and broad colours per vertex -> one z-buffer -> colours and fine
patterns per pixel -> over a background -> camera damage.
"""

from typing import Any, Protocol

import cv2
import numpy as np

from tddfa import raster
from vrnlib.synthetic.appearance import HeadMaps, Look, noise_tile, random_look, smoothstep
from vrnlib.synthetic.backgrounds import background, damage, occlude
from vrnlib.synthetic.hair import strands
from vrnlib.synthetic.meshes import CLOTH, HEAD, STRAND, Part, Skull
from vrnlib.synthetic.shading import PixelPainter, light_vertices, random_lighting
from vrnlib.synthetic.wardrobe import clothes, glasses, hat, hood, neck, teeth

SUPERSAMPLING = 1.25
THICKNESS = {"bald": 0, "buzz": 1, "short": 4, "side": 5, "medium": 6, "long": 5, "tied": 3, "curly": 10}
"""Hair styles' height over the scalp, mm."""


class Camera(Protocol):
    """What a portrait needs to know of a pose (see ``vrnlib.synthetic.camera.Pose``)."""

    rotation: np.ndarray
    angles: np.ndarray

    def project(self, vertices: np.ndarray) -> np.ndarray:
        """(N, 3) model mm to (N, 3) crop px."""
        ...


class Portrait:
    """Draws heads of one morphable model.

    Args:
        model: a morphable model with its context.

    Raises:
        ValueError: the model has no context to render.
    """

    def __init__(self, model: Any) -> None:
        self.model, self.maps = model, HeadMaps(model)
        tile = noise_tile()
        self.painter, self.grain = PixelPainter(self.maps, tile), np.ascontiguousarray(tile[..., 0])
        self.offset = self.maps.mean[0] - model.u.reshape(-1, 3)[0]
        self.bearded = (self.maps.beards > 0.02)[self.maps.triangles].any(1)

    def draw(
        self,
        face: np.ndarray,
        shape: np.ndarray,
        expression: np.ndarray,
        camera: Camera,
        truth: np.ndarray,
        rng: np.random.Generator,
        *,
        canvas: int,
        margin: int,
        augment_damage: bool,
    ) -> np.ndarray:
        """(canvas, canvas, 3) uint8.

        Args:
            face: (N, 3) model mm; truth: the same vertices in canvas px; shape, expression: their coefficients.
            margin: canvas px before the crop's first.
        """
        colour, alpha, scene = self._layers(face, shape, expression, camera, rng, canvas=canvas, margin=margin)
        image = colour + scene * (1 - alpha)
        if rng.random() < 0.12:
            inside = np.clip(truth[::40, :2].astype(int), 0, canvas - 1)
            tone = np.median(image[inside[:, 1], inside[:, 0]], axis=0)
            image = occlude(image, self.model.landmarks(truth), tone, rng)
        image = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
        return damage(image, rng, grain=self.grain) if augment_damage else image

    def cutout(
        self,
        face: np.ndarray,
        shape: np.ndarray,
        expression: np.ndarray,
        camera: Camera,
        rng: np.random.Generator,
        *,
        canvas: int,
        margin: int,
    ) -> np.ndarray:
        """(canvas, canvas, 4) uint8: the person without a background; the colours are multiplied by alpha already."""
        colour, alpha, _ = self._layers(face, shape, expression, camera, rng, canvas=canvas, margin=margin)
        return (np.clip(np.concatenate([colour, alpha], axis=2), 0, 1) * 255 + 0.5).astype(np.uint8)

    def _layers(
        self,
        face: np.ndarray,
        shape: np.ndarray,
        expression: np.ndarray,
        camera: Camera,
        rng: np.random.Generator,
        *,
        canvas: int,
        margin: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The person (C, C, 3) times its alpha (C, C, 1), and the background (C, C, 3) whose light falls on it."""
        look, maps = random_look(rng), self.maps
        head = np.concatenate([face, self.model.context.reconstruct(shape, expression)]) + self.offset
        head, scalp, parts, lenses = self._dress(head, shape, look, camera, rng)
        n, k = len(head), np.float32(SUPERSAMPLING)
        counts = [len(p.vertices) for p in parts]
        starts = n + np.cumsum([0, *counts[:-1]])
        triangles = np.concatenate([maps.triangles] + [p.triangles + s for p, s in zip(parts, starts, strict=True)])
        triangles = triangles.astype(np.int32)
        kinds = np.repeat([HEAD] + [p.kind for p in parts], [n, *counts]).astype(np.int8)
        shift = np.float32([margin + 0.5, margin + 0.5, 0])

        def to_pixels(vertices: np.ndarray) -> np.ndarray:
            q = (camera.project(vertices - self.offset) + shift) * k - np.float32([0.5, 0.5, 0])
            return np.ascontiguousarray(np.clip(q, -5e4, 5e4), np.float32)

        pixels = to_pixels(np.concatenate([head] + [p.vertices for p in parts]))
        normals = raster.vertex_normals(pixels, triangles)
        flip = np.flatnonzero(normals[n:, 2] < 0) + n
        normals[flip] *= -1
        turn = (camera.rotation * [[1.0], [-1.0], [1.0]]).astype(np.float32)
        coordinates, albedo = np.zeros((len(pixels), 2), np.float32), np.empty((len(pixels), 3), np.float32)
        coordinates[:n], albedo[:n] = maps.texture, maps.skin(look)
        for part, start in zip(parts, starts, strict=True):
            rows = slice(start, start + len(part.vertices))
            coordinates[rows], albedo[rows] = part.coordinates, part.colour
            if part.normals is not None:
                normals[rows] = part.normals @ turn.T
        occlusion, gloss, strength = self._surface(kinds, scalp, look)

        scene = background(rng, canvas)
        lighting = random_lighting(rng, scene[::8, ::8].mean((0, 1)))
        box = pixels[:n:7].min(0) - 9, pixels[:n:7].max(0) + 9
        light, shine = light_vertices(pixels, normals, triangles, occlusion, gloss, strength, lighting, box, rng)
        front = np.flatnonzero(normals[: maps.faces : 3, 2] > 0.2) * 3
        level = float(light[front].mean()) if len(front) else 1.0
        gain = np.float32(min(rng.uniform(0.5, 0.95), 0.66 / float(look.skin.max())) / max(level, 0.05))
        light *= gain
        shine *= gain

        fine = int(round(canvas * SUPERSAMPLING))
        buffers = raster.rasterize(pixels, triangles, fine, fine)
        kind_of = np.repeat([HEAD] + [p.kind for p in parts], [len(maps.triangles)] + [len(p.triangles) for p in parts])
        colour, alpha = self._paint(buffers, triangles, kind_of, albedo, light, shine, coordinates, scalp, look, rng)
        for lens in lenses:
            self._glaze(colour, lens, to_pixels(lens.vertices), buffers, lighting)
        small = cv2.resize(colour, (canvas, canvas), interpolation=cv2.INTER_AREA)
        alpha = cv2.resize(alpha, (canvas, canvas), interpolation=cv2.INTER_AREA)[..., None]
        return _displayed(small), alpha, scene

    def _surface(self, kinds: np.ndarray, scalp: np.ndarray, look: Look) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(occlusion, gloss, highlight strength) per vertex."""
        maps, n = self.maps, len(scalp)
        occlusion = np.float32([1.0, 0.9, 0.9, 0.9, 0.55, 0.7])[kinds]
        gloss = np.float32([1.4, 0, 0, 0, 0, 1.4])[kinds] * look.gloss + np.float32([0, 22, 5, 40, 30, 0])[kinds]
        strength = np.float32([1.0, 0.6, 0.15, 2.0, 1.5, 0.8])[kinds] * look.shine
        occlusion[:n] = np.maximum(maps.occlusion, 0.9 * scalp)
        strength[:n] *= (1 - 0.6 * scalp) * (1 - 0.85 * maps.eye) * (1 + 0.8 * maps.lips)
        strength[:n] *= 1 - 0.7 * look.beard * maps.beards[:, look.beard_style]
        return occlusion, gloss, strength

    def _dress(
        self, head: np.ndarray, shape: np.ndarray, look: Look, camera: Camera, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, list[Part], list[Part]]:
        """The head with its hair's thickness, where hair grows, what it wears and its lenses; head axes."""
        maps, n = self.maps, self.maps.faces
        rows = self.model.landmarks(np.arange(n))
        neutral = self.model.u.reshape(-1, 3)[rows] + self.model.w_shp.reshape(n, 3, -1)[rows] @ shape + self.offset
        points = head[:n][rows]
        scalp = maps.scalp(look) if look.style != "bald" else np.zeros(len(head), np.float32)
        skull = Skull.of(head, maps)
        open_by = float((points[61:64, 1] - points[[67, 66, 65], 1]).max())
        parts, lenses = teeth(points, neutral, look, rng) if open_by > 0.7 else [], []
        normals = raster.vertex_normals(head, maps.triangles, axes="model")
        r = rng.random()
        lift = THICKNESS[look.style] * rng.uniform(0.5, 1.5) * (0.3 if r < 0.15 else 1.0) * smoothstep(0.3, 1.0, scalp)
        lift = lift * (1 + 0.25 * (maps.fields @ look.mix[1]))
        raised = head + normals * lift[:, None]
        if r < 0.15:
            parts += hat(skull, rng) if r < 0.11 else hood(points, skull, rng)
            if look.style in ("curly", "short", "side") or r >= 0.11:
                look.style = "buzz"
            look.fringe = 0.0
        parts += strands(raised, normals, maps, look, scalp, skull, rng)
        if rng.random() < 0.2:
            frame, lenses = glasses(points, rng)
            parts += frame
        yaw, pitch, roll = (float(a) for a in camera.angles)
        body = np.array([-rng.uniform(0, 0.8) * yaw, -0.7 * pitch, -rng.uniform(0.3, 1.0) * roll])
        parts.append(neck(look.skin, turn=_turn(*(0.5 * body))))
        parts += clothes(rng, turn=_turn(*body))
        return raised.astype(np.float32), scalp, parts, lenses

    def _paint(
        self,
        buffers,
        triangles: np.ndarray,
        kind_of: np.ndarray,
        albedo: np.ndarray,
        light: np.ndarray,
        shine: np.ndarray,
        coordinates: np.ndarray,
        scalp: np.ndarray,
        look: Look,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(linear colour (F, F, 3), coverage (F, F)) float32; colour is 0 where nothing covers."""
        maps, painter, n = self.maps, self.painter, len(scalp)
        shown, weights = buffers.triangle.ravel(), buffers.barycentric.reshape(-1, 3)
        kind = np.append(kind_of, -1).astype(np.int8).take(shown)

        def at(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
            some = raster.RasterBuffers(shown.take(rows)[None], weights.take(rows, axis=0)[None], None)
            return raster.interpolate(values, maps.triangles, some)[0]

        def subset(flags: np.ndarray) -> np.ndarray:
            return skin.compress(flags.take(skin_triangles))

        skin = np.flatnonzero(kind == HEAD)
        skin_triangles = shown.take(skin)
        colour = raster.interpolate(albedo * light + shine, triangles, buffers).reshape(-1, 3)
        where = raster.interpolate(coordinates, triangles, buffers).reshape(-1, 2)
        factor = np.ones((len(shown), 1), np.float32)
        uv = where.take(skin, axis=0) * np.float32(2.2) + (look.offset[:2] + np.float32(1e4))
        factor[skin, 0] = 1 + np.float32(look.texture * 0.7) * painter.noise(painter.skin, uv[:, 0], uv[:, 1])
        rows = np.flatnonzero(kind == STRAND)
        factor[rows] = painter.hair(where.take(rows, axis=0))
        rows = np.flatnonzero(kind == CLOTH)
        pattern = (
            rng.uniform(0.2, 0.7) * (rng.random() < 0.25),
            rng.uniform(0.15, 0.9),
            rng.uniform(-0.6, 0.8),
            rng.uniform(0.2, 0.7) * (rng.random() < 0.15),
        )
        factor[rows] = painter.cloth(where.take(rows, axis=0), pattern)
        colour *= factor
        if look.beard > 0:
            rows = subset(self.bearded[:, look.beard_style])
            tone = (0.8 * look.brow + 0.06 * look.skin) * light[:n]
            values = at(np.hstack([tone, maps.beards[:, look.beard_style, None]]), rows)
            colour[rows] = painter.over(colour[rows], values, where[rows], look, beard=True)
        rows = subset(painter.fine_triangles)
        if len(rows):
            values = at(np.hstack([maps.mean, light[:n], maps.eye[:, None]]), rows)
            colour[rows] = painter.features(colour[rows], values[:, :3], values[:, 3:6], values[:, 6], look)
        if look.style != "bald":
            rows = subset((scalp > 0.02).take(maps.triangles[:, 0]))
            values = at(np.hstack([look.hair * light[:n] + 0.3 * shine[:n], scalp[:, None]]), rows)
            colour[rows] = painter.over(colour[rows], values, where[rows], look, beard=False)
        np.minimum(colour, 1.6, out=colour)
        alpha = (shown >= 0).astype(np.float32)
        return colour.reshape(*buffers.triangle.shape, 3), alpha.reshape(buffers.triangle.shape)

    def _glaze(self, colour: np.ndarray, lens: Part, pixels: np.ndarray, buffers, lighting) -> None:
        """Blends a lens over what is behind it; dark ones mirror a little of the sky. ``pixels``: its vertices."""
        x0, y0 = np.maximum(np.floor(pixels[:, :2].min(0)).astype(int), 0)
        x1, y1 = np.maximum(np.minimum(np.ceil(pixels[:, :2].max(0)).astype(int) + 1, colour.shape[:2][::-1]), 0)
        if x1 <= x0 or y1 <= y0:
            return
        glass = raster.rasterize(pixels - np.float32([x0, y0, 0]), lens.triangles, int(y1 - y0), int(x1 - x0))
        window = (slice(y0, y1), slice(x0, x1))
        seen = np.isfinite(buffers.depth[window]) & (glass.triangle >= 0) & (glass.depth > buffers.depth[window])
        tone = lens.colour[0]
        if lens.alpha > 0.5:
            ramp = np.linspace(1, 0, int(y1 - y0), dtype=np.float32)[:, None, None]
            tone = tone + 0.15 * ramp * lighting.sky.mean()
        colour[window] += np.float32(lens.alpha) * seen[..., None] * (tone - colour[window])


def _displayed(light: np.ndarray) -> np.ndarray:
    """Linear light to displayed values, bright ones compressed."""
    out = np.sqrt(np.maximum(light, 0))
    bright = np.flatnonzero(out.ravel() > 0.8)
    flat = out.reshape(-1)
    flat[bright] = 0.8 + 0.2 * np.tanh((flat[bright] - 0.8) * 3.5)
    return flat.reshape(light.shape)


def _turn(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """(3, 3) float32: the body's turn against the head, degrees."""
    rotate = cv2.Rodrigues
    axes = np.radians([[pitch, 0, 0], [0, yaw, 0], [0, 0, roll]])
    a, b, c = (rotate(v)[0] for v in axes)
    return (b @ a @ c).astype(np.float32)
