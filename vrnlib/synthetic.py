"""Rendered faces with exact truth: an endless, seeded stream of pictures, landmarks, parameters and solids.

Everything follows from (seed, index): the same numbers give the same bytes on any number of workers. The picture is
the contract's crop (design, section 3): 192 x 192 RGB, scale 90 / sqrt(w h) of the 68 landmarks' box, the box's middle
at (95.5, 95.5). ``canvas=256`` gives more of the same picture around that crop, so that a later rotation or shift of
the crop needs no invented border.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from tddfa import raster

from .appearance import HeadMaps, Look, noise_tile, random_look, smoothstep
from .backgrounds import background, damage, occlude
from .shading import PixelPainter, light_vertices, random_lighting
from .wardrobe import CLOTH, HARD, HEAD, STRAND, TOOTH, Part, Skull, clothes, glasses, hat, strands, teeth

SUPERSAMPLING = 1.5
BOX = 90.0 / 192.0
"""Part of the crop's side that sqrt(w h) of the landmarks' box takes."""


@dataclass
class Sample:
    """One rendered face. Coordinates are canvas pixels, image axes (y down, z to the camera)."""

    image: np.ndarray
    """(C, C, 3) uint8 RGB; C is the canvas, without one the crop's size."""
    landmarks: np.ndarray
    """(68, 3) float32."""
    parameters: np.ndarray
    """(62,) float32: 3x4 scaled rotation and shift (row-major, model mm to canvas px), 40 shape, 10 expression."""
    vertices: np.ndarray
    """(N, 3) float32: the face mesh, rows as in the model."""
    size: int
    """Side of the crop; it is the canvas's middle."""
    pose: np.ndarray
    """(3,) float32 degrees: yaw, pitch, roll."""
    model: Any = field(repr=False)

    @property
    def margin(self) -> int:
        """Pixels of the canvas on each side of the crop."""
        return (self.image.shape[0] - self.size) // 2

    def crop(self) -> "Sample":
        """The same sample without the margin around the crop."""
        m, t = self.margin, np.float32([self.margin, self.margin, 0])
        p = self.parameters.copy()
        p[[3, 7]] -= m
        image = np.ascontiguousarray(self.image[m : m + self.size, m : m + self.size])
        return Sample(image, self.landmarks - t, p, self.vertices - t, self.size, self.pose, self.model)

    def volume(self, step: int = 1) -> np.ndarray:
        """The exact solid of the crop: (200, size/step, size/step) bool, [z, y, x] (see ``tddfa.voxelize``)."""
        from tddfa.voxelizer import voxelize

        shift = np.float32([self.margin, self.margin, 0])
        vertices, triangles = self.model.close(self.vertices - shift)
        return voxelize(vertices, triangles, size=self.size, step=step)[0]


@dataclass(frozen=True)
class Pose:
    """Where the head is: the turned model's mm to crop px, seen by a real (perspective) camera."""

    rotation: np.ndarray
    angles: np.ndarray
    distance: float
    centre: np.ndarray
    scale: float
    shift: np.ndarray

    def project(self, vertices: np.ndarray) -> np.ndarray:
        """(N, 3) model mm to (N, 3) float32 px: x, y as the camera sees them, z affine (scale of the head's middle)."""
        p = (vertices - self.centre) @ self.rotation.T.astype(np.float32)
        near = self.scale * self.distance / np.maximum(self.distance - p[:, 2], 0.3 * self.distance)
        return np.stack([p[:, 0] * near + self.shift[0], -p[:, 1] * near + self.shift[1], p[:, 2] * self.scale], 1)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """(3, 3) float64 in model axes (y up), degrees: R = Rz(roll) Rx(pitch) Ry(yaw)."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(np.radians([yaw, pitch, roll])), np.sin(np.radians([yaw, pitch, roll]))
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return tilt @ nod @ turn


def random_angles(rng: np.random.Generator) -> np.ndarray:
    """(3,) yaw, pitch, roll in degrees: near-frontal and far-turned heads are both frequent."""
    r = rng.random()
    if r < 0.30:
        yaw = rng.normal(0, 12)
    elif r < 0.62:
        yaw = rng.uniform(-90, 90)
    else:
        yaw = rng.choice([-1, 1]) * rng.uniform(35, 90)
    pitch = rng.uniform(-40, 40) if rng.random() < 0.2 else rng.normal(0, 13)
    roll = rng.uniform(-45, 45) if rng.random() < 0.12 else rng.normal(0, 11)
    return np.clip([yaw, pitch, roll], [-90, -40, -45], [90, 40, 45])


class FaceRenderer:
    """Draws faces of one morphable model. Building it takes a second; a face takes milliseconds.

    Args:
        model: a :class:`tddfa.morphable.MorphableModel` with its context; the open one without.

    Raises:
        ValueError: the model has no context to render.
    """

    def __init__(self, model: Any = None) -> None:
        if model is None:
            from tddfa.morphable import MorphableModel

            model = MorphableModel.open()
        self.model = model
        self.maps = HeadMaps(model)
        self.painter = PixelPainter(self.maps, noise_tile())
        zero = np.zeros(model.w_shp.shape[1], np.float32), np.zeros(model.w_exp.shape[1], np.float32)
        self.offset = self.maps.mean[0] - model.reconstruct(*zero)[0]

    def expression(self, rng: np.random.Generator) -> np.ndarray:
        """(E,) float32 from the model's bank, with more broad smiles, open mouths and strong faces than it has."""
        bank = np.asarray(self.model.expression_bank, np.float32)
        r, pick = rng.random(), rng.integers(len(bank), size=8)
        if r < 0.18:
            return bank[pick[0]] * np.float32(rng.uniform(0, 0.35))
        if r < 0.45:
            return bank[pick[0]]
        if r < 0.63:
            return bank[pick[np.argmax(self.maps.opening[pick])]] * np.float32(rng.uniform(0.7, 1.25))
        if r < 0.85:
            return bank[pick[np.argmax(self.maps.width[pick])]] * np.float32(rng.uniform(0.8, 1.5))
        return np.float32(rng.uniform(0.6, 1.0)) * (bank[pick[0]] + np.float32(rng.uniform(0, 0.8)) * bank[pick[1]])

    def pose(self, face: np.ndarray, rng: np.random.Generator, size: int) -> Pose:
        """A random pose whose projected landmarks fill the crop as the contract says."""
        angles = random_angles(rng)
        r, distance = rotation(*angles), float(np.exp(rng.uniform(np.log(400.0), np.log(3000.0))))
        centre = face.mean(0)
        points = self.model.landmarks(Pose(r, angles, distance, centre, 1.0, np.zeros(2)).project(face))
        low, high = points[:, :2].min(0), points[:, :2].max(0)
        scale = BOX * size / float(np.sqrt(np.prod(high - low)))
        return Pose(r, angles, distance, centre, scale, (size - 1) / 2 - scale * (low + high) / 2)

    def sample(self, seed: int, index: int, *, size: int, canvas: int, augment_damage: bool) -> Sample:
        """See :func:`render_pair`."""
        shape_rng, look_rng = (np.random.default_rng(s) for s in np.random.SeedSequence((seed, index)).spawn(2))
        shape, expression = np.asarray(self.model.sample_shape(shape_rng), np.float32), self.expression(shape_rng)
        face = self.model.reconstruct(shape, expression)
        pose = self.pose(face, shape_rng, size)
        margin = (canvas - size) // 2
        vertices = (pose.project(face) + np.float32([margin, margin, 0])).astype(np.float32)
        matrix = fit_similarity(face, vertices)
        image = self._draw(face, shape, expression, pose, vertices, canvas, margin, look_rng, augment_damage)
        parameters = np.concatenate([matrix.ravel(), shape, expression]).astype(np.float32)
        landmarks = np.ascontiguousarray(self.model.landmarks(vertices), np.float32)
        return Sample(image, landmarks, parameters, vertices, size, pose.angles.astype(np.float32), self.model)

    def _draw(self, face, shape, expression, pose: Pose, truth: np.ndarray, canvas: int, margin: int,
              rng: np.random.Generator, augment_damage: bool) -> np.ndarray:
        """(canvas, canvas, 3) uint8."""
        look, maps = random_look(rng), self.maps
        head = np.concatenate([face, self.model.reconstruct_context(shape, expression)]) + self.offset
        head, scalp, parts, lenses = self._dress(head.astype(np.float32), shape, look, pose, rng)
        counts = [len(head)] + [len(p.vertices) for p in parts]
        starts = np.cumsum([0] + counts[:-1])
        triangles = np.concatenate([maps.triangles] + [p.triangles + s for p, s in zip(parts, starts[1:], strict=True)])
        kinds = np.repeat([HEAD] + [p.kind for p in parts], counts)
        kind_of = np.repeat([HEAD] + [p.kind for p in parts], [len(maps.triangles)] + [len(p.triangles) for p in parts])
        world = np.concatenate([head] + [p.vertices for p in parts]) - self.offset
        k = np.float32(SUPERSAMPLING)
        shift = np.float32([margin + 0.5, margin + 0.5, 0])
        pixels = np.ascontiguousarray((pose.project(world) + shift) * k - np.float32([0.5, 0.5, 0]), np.float32)
        pixels[:, :2] = np.clip(pixels[:, :2], -5e4, 5e4)

        normals = raster.vertex_normals(pixels, triangles)
        flip = (kinds != HEAD) & (normals[:, 2] < 0)
        normals[flip] *= -1
        turn = (pose.rotation * np.array([[1.0], [-1.0], [1.0]])).astype(np.float32)
        for part, start in zip(parts, starts[1:], strict=True):
            if part.normals is not None:
                normals[start : start + len(part.normals)] = part.normals @ turn.T
        occlusion = np.full(len(world), 0.9, np.float32)
        occlusion[: len(head)] = np.maximum(maps.occlusion, 0.9 * scalp)
        occlusion[kinds == TOOTH] = 0.55

        scene = background(rng, canvas)
        lighting = random_lighting(rng, scene.mean((0, 1)))
        box = pixels[: len(head)].min(0) - 6, pixels[: len(head)].max(0) + 6
        light, shine = light_vertices(pixels, normals, triangles, occlusion, kinds, look, lighting, box, rng)
        self._expose(light, shine, normals, rng)

        attributes = np.zeros((len(world), 14), np.float32)
        attributes[:, 3:6], attributes[:, 6:7] = light, shine
        n = len(head)
        attributes[:n, 0:3], attributes[:n, 7:10] = maps.mean, maps.skin(look)
        attributes[:n, 10], attributes[:n, 11], attributes[:n, 12] = maps.lips, maps.eye, scalp
        attributes[:n, 13] = maps.beards[:, look.beard_style]
        for part, start in zip(parts, starts[1:], strict=True):
            rows = slice(start, start + len(part.vertices))
            attributes[rows, 0:2], attributes[rows, 7:10] = part.coordinates, part.colour
        fine = int(round(canvas * SUPERSAMPLING))
        buffers = raster.rasterize(pixels, triangles, fine, fine)
        colour, alpha = self._paint(raster.interpolate(attributes, triangles, buffers), buffers, kind_of, look, rng)
        for lens in lenses:
            self._glaze(colour, lens, buffers, pose, shift, k, lighting, rng)
        small = cv2.resize(np.dstack([colour, alpha]), (canvas, canvas), interpolation=cv2.INTER_AREA)
        image = scene * (1 - small[..., 3:]) + small[..., :3]
        if rng.random() < 0.12:
            inside = np.clip(truth[:, :2].astype(int), 0, canvas - 1)
            tone = np.median(image[inside[::40, 1], inside[::40, 0]], axis=0)
            image = occlude(image, self.model.landmarks(truth), tone, rng).astype(np.float32)
        if augment_damage:
            return damage(image, rng)
        return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)

    def _dress(self, head: np.ndarray, shape: np.ndarray, look: Look, pose: Pose, rng: np.random.Generator
               ) -> tuple[np.ndarray, np.ndarray, list[Part], list[Part]]:
        """The head with its hair's thickness, where hair grows, and what it wears; head axes (offset added)."""
        maps, n = self.maps, self.maps.faces
        calm = self.model.reconstruct(shape, np.zeros(self.model.w_exp.shape[1], np.float32)) + self.offset
        points, neutral = self.model.landmarks(head[:n]), self.model.landmarks(calm)
        scalp = maps.scalp(look)
        if look.style == "bald":
            scalp = scalp * 0
        skull = Skull.of(head, maps)
        parts, lenses = teeth(points, neutral, look, rng), []
        normals = raster.vertex_normals(head, maps.triangles, axes="model")
        thick = {"bald": 0, "buzz": 1.0, "short": 4, "side": 5, "medium": 6, "long": 5, "tied": 3, "curly": 10}[look.style]
        lift = thick * rng.uniform(0.5, 1.5) * smoothstep(0.3, 1.0, scalp) * (1 + 0.25 * (maps.fields @ look.mix[1]))
        raised = head + normals * lift[:, None]
        covered = rng.random() < 0.12
        if covered:
            parts += hat(skull, rng)
            if look.style in ("curly", "short", "side"):
                look.style = "buzz"
        parts += strands(raised, normals, maps, look, scalp, skull, rng)
        if rng.random() < 0.2:
            frame, lenses = glasses(points, rng)
            parts += frame
        yaw, pitch, roll = pose.angles
        part = rng.uniform(0, 0.8)
        body = rotation(-part * yaw, 0, 0) @ rotation(0, -0.8 * pitch, -rng.uniform(0.3, 1.0) * roll)
        parts += clothes(head, np.float32([0, -82, -72]), rng, turn=body)
        return raised.astype(np.float32), scalp, parts, lenses

    def _expose(self, light: np.ndarray, shine: np.ndarray, normals: np.ndarray, rng: np.random.Generator) -> None:
        """Scales the light so that the face is neither black nor burnt out."""
        front = normals[: self.maps.faces, 2] > 0.2
        level = float(light[: self.maps.faces][front].mean()) if front.any() else 1.0
        gain = np.float32(rng.uniform(0.55, 1.0) / max(level, 0.05))
        light *= gain
        shine *= gain

    def _paint(self, values: np.ndarray, buffers, kind_of: np.ndarray, look: Look, rng: np.random.Generator
               ) -> tuple[np.ndarray, np.ndarray]:
        """(colour (F, F, 3), displayed, times coverage; coverage (F, F)) float32."""
        covered = buffers.triangle >= 0
        v = values[covered]
        kind = kind_of[buffers.triangle[covered]]
        pattern = np.array([rng.uniform(0.2, 0.7) * (rng.random() < 0.25), rng.uniform(0.15, 0.9), rng.uniform(-0.6, 0.8),
                            rng.uniform(0.2, 0.7) * (rng.random() < 0.15)])
        albedo, gloss = v[:, 7:10].copy(), np.full(len(v), 0.5, np.float32)
        skin = kind == HEAD
        w = v[skin]
        albedo[skin], gloss[skin] = self.painter.head(w[:, :3], w[:, 7:10], w[:, 10], w[:, 11], w[:, 12], w[:, 13], look)
        worn = (kind == STRAND) | (kind == CLOTH)
        albedo[worn] = self.painter.parts(kind[worn], v[worn, :2], albedo[worn], look, pattern)
        gloss[kind == CLOTH], gloss[kind == HARD] = 0.1, 2.0
        lit = albedo * v[:, 3:6] + gloss[:, None] * v[:, 6:7]
        lit = np.sqrt(np.clip(lit, 0, None))
        lit = np.where(lit > 0.8, 0.8 + 0.2 * np.tanh((lit - 0.8) * 3.5), lit)
        out = np.zeros((*covered.shape, 3), np.float32)
        out[covered] = lit
        return out, covered.astype(np.float32)

    def _glaze(self, colour: np.ndarray, lens: Part, buffers, pose: Pose, shift: np.ndarray, k: np.float32, lighting,
               rng: np.random.Generator) -> None:
        """Blends a lens over what is behind it, with a faint reflection."""
        q = (pose.project(lens.vertices - self.offset) + shift) * k - np.float32([0.5, 0.5, 0])
        glass = raster.rasterize(np.ascontiguousarray(q, np.float32), lens.triangles, *buffers.triangle.shape)
        seen = (glass.triangle >= 0) & (glass.depth > buffers.depth)
        tone = np.sqrt(lens.colour[0])
        if lens.alpha > 0.5:
            ramp = np.arange(buffers.triangle.shape[0], dtype=np.float32)[:, None, None] / buffers.triangle.shape[0]
            tone = tone + 0.25 * np.clip(0.8 - ramp, 0, 1) * float(lighting.sky.mean())
        a = np.float32(lens.alpha) * seen[..., None]
        colour += a * (tone - colour)


@lru_cache(maxsize=1)
def _default_renderer() -> FaceRenderer:
    return FaceRenderer()


def fit_similarity(model_vertices: np.ndarray, image_vertices: np.ndarray) -> np.ndarray:
    """The scaled rotation and shift (3, 4) that best maps model mm (y up) to image px (y down), least squares.

    The left 3x3 is scale * diag(1, -1, 1) * rotation, since the image's y runs down (Umeyama 1991).
    """
    a, b = model_vertices.astype(np.float64), image_vertices.astype(np.float64) * [1, -1, 1]
    ca, cb = a.mean(0), b.mean(0)
    u, s, vt = np.linalg.svd((b - cb).T @ (a - ca))
    fix = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    r = (u * fix) @ vt
    scale = float((s * fix).sum() / ((a - ca) ** 2).sum())
    flip = np.array([[1.0], [-1.0], [1.0]])
    return np.hstack([flip * scale * r, flip * (cb - scale * r @ ca)[:, None]])


def render_pair(seed: int, index: int, *, model: Any = None, size: int = 192, canvas: int | None = None,
                augment_damage: bool = True) -> Sample:
    """Renders face ``index`` of the stream ``seed``.

    Args:
        seed, index: whole numbers from 0.
        model: a morphable model or a :class:`FaceRenderer` of one (building one takes a second); the open model without.
        size: the crop's side in px.
        canvas: the picture's side; the crop is its middle. The crop itself without.
        augment_damage: blur, noise, JPEG and so on over the clean picture.

    Raises:
        ValueError: an argument out of range.
    """
    for name, value in (("seed", seed), ("index", index)):
        if not isinstance(value, (int, np.integer)) or value < 0:
            raise ValueError(f"expected {name} to be a whole number from 0, got {value!r}; pass for example {name}=0")
    if not isinstance(size, (int, np.integer)) or size < 32:
        raise ValueError(f"expected a crop of at least 32 px, got size={size!r}; the networks use 192")
    canvas = size if canvas is None else canvas
    if not isinstance(canvas, (int, np.integer)) or canvas < size or (canvas - size) % 2:
        raise ValueError(f"expected a canvas as large as the crop ({size}) plus an even number, got {canvas!r}; "
                         f"pass for example canvas={size + 64}")
    if model is None:
        renderer = _default_renderer()
    else:
        renderer = model if isinstance(model, FaceRenderer) else FaceRenderer(model)
    return renderer.sample(int(seed), int(index), size=int(size), canvas=int(canvas), augment_damage=augment_damage)


class FaceStream:
    """The stream of one seed, by index: a map-style data set for torch, or an endless iterator.

    Args:
        seed: which stream.
        length: what ``len`` says (a torch sampler needs one); any index from 0 works.
        transform: applied to each :class:`Sample`, in the worker.
        model, size, canvas, augment_damage: as in :func:`render_pair`.
    """

    def __init__(self, seed: int, *, length: int = 1_000_000, model: Any = None, size: int = 192,
                 canvas: int | None = None, augment_damage: bool = True,
                 transform: Callable[[Sample], Any] | None = None) -> None:
        if not isinstance(length, (int, np.integer)) or length < 1:
            raise ValueError(f"expected a length of at least 1, got {length!r}; pass the samples of one epoch")
        self.seed, self.length, self.transform = seed, int(length), transform
        self.options = {"size": size, "canvas": canvas, "augment_damage": augment_damage}
        self.model = FaceRenderer(model) if model is not None and not isinstance(model, FaceRenderer) else model

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        sample = render_pair(self.seed, index, model=self.model, **self.options)
        return sample if self.transform is None else self.transform(sample)

    def __iter__(self) -> Iterator[Any]:
        index = 0
        while True:
            yield self[index]
            index += 1


def contact_sheet(seed: int, rows: int = 4, columns: int = 6, *, first: int = 0, model: Any = None, size: int = 192,
                  augment_damage: bool = True) -> np.ndarray:
    """(rows * size, columns * size, 3) uint8: the first faces of a stream, side by side."""
    if rows < 1 or columns < 1:
        raise ValueError(f"expected at least one row and one column, got {rows} x {columns}; pass for example 4, 6")
    stream = FaceStream(seed, model=model, size=size, augment_damage=augment_damage)
    pictures = [stream[first + k].image for k in range(rows * columns)]
    return np.vstack([np.hstack(pictures[r * columns : (r + 1) * columns]) for r in range(rows)])
