"""Draws one person, in order: a head is dressed, placed before the camera, lit, painted and photographed.

Head and worn things are one mesh, rasterised once: light and broad colors per vertex, fine patterns per pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tddfa import raster
from tddfa.arrays import Floats, Image
from tddfa.describe import short_repr
from vrnlib.synthetic.appearance import random_appearance
from vrnlib.synthetic.backgrounds import background
from vrnlib.synthetic.camera import Scene
from vrnlib.synthetic.damage import damage
from vrnlib.synthetic.dressing import DressedHead, Head, dress
from vrnlib.synthetic.head_maps import HeadMaps
from vrnlib.synthetic.lighting import Light, Lighting, MeshInView, VertexFinish, light_vertices, random_lighting
from vrnlib.synthetic.meshes import Material, joined_triangles
from vrnlib.synthetic.occluders import occlude
from vrnlib.synthetic.pixels import DrawnMesh, PixelPainter, glaze
from vrnlib.synthetic.textures import GRAIN, displayed, noise_tile

SUPERSAMPLING = 1.25
"""Fine pixels to a canvas pixel."""

FARTHEST = 5e4
"""Vertices are not placed further away than this many fine pixels; the renderer takes ten times as much."""

OCCLUDED = 0.12
"""The part of all pictures that has something in front of the face."""


@dataclass(frozen=True, repr=False)
class PlacedHead:
    """A dressed head before the camera as one mesh, the head's own vertices first; fine pixels, image axes."""

    view: MeshInView
    vertex_materials: NDArray[np.int8]
    triangle_materials: NDArray[np.integer]
    albedo: NDArray[np.float32]
    """(N, 3) own color, linear light."""
    coordinates: NDArray[np.float32]
    """(N, 2) place in the material's pattern, mm."""

    __repr__ = short_repr


@dataclass(frozen=True, repr=False)
class Layers:
    """What a picture is put together from, (C, C, ...) float32 in displayed values."""

    person: NDArray[np.float32]
    """(C, C, 3), times alpha already."""
    alpha: NDArray[np.float32]
    """(C, C, 1)."""
    behind: NDArray[np.float32]
    """(C, C, 3) the background, whose light falls on the person."""

    __repr__ = short_repr


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
        self.painter, self.grain = PixelPainter(self.maps, tile), np.ascontiguousarray(tile[..., GRAIN])
        self.offset = self.maps.mean[0] - model.u.reshape(-1, 3)[0]
        """From the model's axes to head axes, mm."""

    def draw(self, scene: Scene, rng: np.random.Generator, *, augment_damage: bool) -> Image:
        """The picture (canvas, canvas, 3).

        Args:
            scene: the face and the camera.
            rng: draws all that the scene leaves open.
            augment_damage: blur, noise, JPEG and so on over the clean picture.
        """
        layers = self._layers(scene, rng)
        image = layers.person + layers.behind * cv2.merge([1 - layers.alpha] * 3)
        if rng.random() < OCCLUDED:
            inside = np.clip(scene.vertices[::40, :2].astype(int), 0, scene.canvas - 1)
            skin = np.median(image[inside[:, 1], inside[:, 0]], axis=0)
            image = occlude(image, self.model.landmarks(scene.vertices), skin, rng)
        picture = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
        return damage(picture, rng, grain=self.grain) if augment_damage else picture

    def cutout(self, scene: Scene, rng: np.random.Generator) -> Image:
        """(canvas, canvas, 4): the person without a background; the colors are multiplied by alpha already."""
        layers = self._layers(scene, rng)
        return (np.clip(np.concatenate([layers.person, layers.alpha], axis=2), 0, 1) * 255 + 0.5).astype(np.uint8)

    def _layers(self, scene: Scene, rng: np.random.Generator) -> Layers:
        """From the scene to the picture's layers; each step's result is the next one's input."""
        dressed = dress(self._head(scene), self.maps, random_appearance(rng), scene.camera.angles, rng)
        placed = self._placed(dressed, scene)
        behind = background(rng, scene.canvas)
        lighting = random_lighting(rng, behind[::8, ::8].mean((0, 1)))
        light = self._lit(placed, dressed, lighting, rng)
        color, coverage = self._painted(placed, dressed, light, lighting, scene, rng)
        size = (scene.canvas, scene.canvas)
        person = np.asarray(cv2.resize(color, size, interpolation=cv2.INTER_AREA), np.float32)
        alpha = np.asarray(cv2.resize(coverage, size, interpolation=cv2.INTER_AREA), np.float32)
        return Layers(displayed(person), alpha[..., None], behind)

    def _head(self, scene: Scene) -> Head:
        """The bare head in head axes."""
        model, n = self.model, self.maps.face_count
        context = model.context.reconstruct(scene.shape, scene.expression)
        vertices = np.concatenate([scene.face, context]) + self.offset
        rows = model.landmarks(np.arange(n))
        neutral = model.u.reshape(-1, 3)[rows] + model.w_shp.reshape(n, 3, -1)[rows] @ scene.shape + self.offset
        return Head(vertices, vertices[:n][rows], neutral)

    def _fine_pixels(self, vertices: Floats, scene: Scene) -> NDArray[np.float32]:
        """(N, 3) head axes as fine pixels."""
        to_corner = np.array([scene.margin + 0.5, scene.margin + 0.5, 0], np.float32)
        q = (scene.camera.project(vertices - self.offset) + to_corner) * np.float32(SUPERSAMPLING)
        q -= np.array([0.5, 0.5, 0], np.float32)
        return np.ascontiguousarray(np.clip(q, -FARTHEST, FARTHEST), np.float32)

    def _placed(self, dressed: DressedHead, scene: Scene) -> PlacedHead:
        """All meshes as one, as the camera sees it; what is seen from behind is lit from behind, but for the head."""
        maps, n, worn = self.maps, len(dressed.vertices), dressed.worn
        materials = [Material.SKIN, *(mesh.material for mesh in worn)]
        vertices = self._fine_pixels(np.concatenate([dressed.vertices, *(mesh.vertices for mesh in worn)]), scene)
        triangles = joined_triangles([(n, maps.triangles), *((len(mesh.vertices), mesh.triangles) for mesh in worn)])
        normals = raster.vertex_normals(vertices, triangles)
        flip = np.flatnonzero(normals[n:, 2] < 0) + n
        normals[flip] *= -1
        start = n
        for mesh in worn:
            end = start + len(mesh.vertices)
            if mesh.normals is not None:
                normals[start:end] = scene.camera.turned(mesh.normals)
            start = end
        box = vertices[:n:7].min(0) - 9, vertices[:n:7].max(0) + 9
        return PlacedHead(
            view=MeshInView(vertices, normals, triangles, box),
            vertex_materials=np.repeat(materials, [n, *(len(mesh.vertices) for mesh in worn)]).astype(np.int8),
            triangle_materials=np.repeat(materials, [len(maps.triangles), *(len(mesh.triangles) for mesh in worn)]),
            albedo=np.concatenate([maps.skin(dressed.appearance), *(mesh.color for mesh in worn)]),
            coordinates=np.concatenate([maps.texture, *(mesh.coordinates for mesh in worn)]),
        )

    def _finish(self, placed: PlacedHead, dressed: DressedHead) -> VertexFinish:
        """How each vertex takes light; on the head it differs from place to place."""
        maps, appearance, scalp, n = self.maps, dressed.appearance, dressed.scalp, len(dressed.scalp)
        finish = VertexFinish.of(placed.vertex_materials, gloss=appearance.gloss, shine=appearance.shine)
        finish.occlusion[:n] = np.maximum(maps.occlusion, 0.9 * scalp)
        finish.shine[:n] *= (1 - 0.6 * scalp) * (1 - 0.85 * maps.eye) * (1 + 0.8 * maps.lips)
        finish.shine[:n] *= 1 - 0.7 * appearance.beard * maps.beards[:, appearance.beard_style]
        return finish

    def _lit(self, placed: PlacedHead, dressed: DressedHead, lighting: Lighting, rng: np.random.Generator) -> Light:
        """The vertices' light, exposed so that the front of the face is neither black nor white."""
        light = light_vertices(placed.view, self._finish(placed, dressed), lighting, rng)
        front = np.flatnonzero(placed.view.normals[: self.maps.face_count : 3, 2] > 0.2) * 3
        level = float(light.diffuse[front].mean()) if len(front) else 1.0
        brightest = 0.66 / float(dressed.appearance.skin.max())
        gain = np.float32(min(rng.uniform(0.5, 0.95), brightest) / max(level, 0.05))
        np.multiply(light.diffuse, gain, out=light.diffuse)
        np.multiply(light.highlight, gain, out=light.highlight)
        return light

    def _painted(
        self,
        placed: PlacedHead,
        dressed: DressedHead,
        light: Light,
        lighting: Lighting,
        scene: Scene,
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(linear light (F, F, 3), coverage (F, F)) in fine pixels."""
        fine, view = round(scene.canvas * SUPERSAMPLING), placed.view
        drawn = DrawnMesh(
            buffers=raster.rasterize(view.vertices, view.triangles, fine, fine),
            triangles=view.triangles,
            materials=placed.triangle_materials,
            albedo=placed.albedo,
            coordinates=placed.coordinates,
            light=light,
        )
        color, coverage = self.painter.paint(drawn, dressed, rng)
        for lens in dressed.lenses:
            glaze(color, lens, self._fine_pixels(lens.vertices, scene), drawn.buffers.depth, lighting)
        return color, coverage
