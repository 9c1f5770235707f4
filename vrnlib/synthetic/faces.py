"""Rendered faces with exact truth: an endless, seeded stream of pictures, landmarks, parameters and solids.

Everything follows from (seed, index): the same numbers give the same bytes on any number of workers. The picture is
the contract's crop (design, section 3): 192 x 192 RGB, scale 90 / sqrt(w h) of the 68 landmarks' box, the box's middle
at (95.5, 95.5). ``canvas=256`` gives more of the same picture around that crop, so that a later rotation or shift of
the crop needs no invented border.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tddfa.arrays import Floats, Image, Volume
from tddfa.contract import CROP_SIZE, FACE_SIZE
from tddfa.describe import short_repr
from tddfa.geometry import compose, fit_pose, rotation_matrix
from tddfa.ibug import MOUTH_BOTTOM, MOUTH_CORNERS, MOUTH_TOP
from tddfa.morphable import MorphableModel
from tddfa.voxelizer import voxelize
from vrnlib.synthetic.camera import Camera, Scene, middle, random_angles
from vrnlib.synthetic.portrait import Portrait

FACE_SHARE = FACE_SIZE / CROP_SIZE
"""Part of the crop's side that sqrt(w h) of the landmarks' box takes."""


@dataclass(repr=False)
class Sample:
    """One rendered face. Coordinates are canvas pixels, image axes (y down, z to the camera)."""

    image: Image
    """(C, C, 3) uint8 RGB; C is the canvas, without one the crop's size."""
    landmarks: NDArray[np.float32]
    """(68, 3) float32."""
    parameters: NDArray[np.float32]
    """(62,) float32: 3x4 scaled rotation and shift (row-major, model mm to canvas px), 40 shape, 10 expression."""
    vertices: NDArray[np.float32]
    """(N, 3) float32: the face mesh, rows as in the model."""
    size: int
    """Side of the crop; it is the canvas's middle."""
    pose: NDArray[np.float32]
    """(3,) float32 degrees: yaw, pitch, roll."""
    camera: Camera
    """What the parameters, which know no perspective, leave out; it projects to crop pixels."""
    model: Any = field(repr=False)

    __repr__ = short_repr

    @property
    def margin(self) -> int:
        """Pixels of the canvas on each side of the crop."""
        return (self.image.shape[0] - self.size) // 2

    def crop(self) -> Sample:
        """The same sample without the margin around the crop."""
        m, shift = self.margin, np.array([self.margin, self.margin, 0], np.float32)
        parameters = self.parameters.copy()
        parameters[[3, 7]] -= m
        return replace(
            self,
            image=np.ascontiguousarray(self.image[m : m + self.size, m : m + self.size]),
            landmarks=self.landmarks - shift,
            parameters=parameters,
            vertices=self.vertices - shift,
        )

    def volume(self, step: int = 1) -> Volume:
        """The exact solid of the crop: (200, size/step, size/step), [z, y, x] (see ``tddfa.voxelizer``)."""
        shift = np.array([self.margin, self.margin, 0], np.float32)
        vertices, triangles = self.model.close(self.vertices - shift)
        return voxelize(vertices, triangles, size=self.size, step=step)[0]


def facts_of(sample: Sample) -> dict[str, Any]:
    """What is true of a rendered crop, as JSON can hold it.

    Args:
        sample: without a margin around the crop.

    Returns:
        ``landmarks``: (68, 3) crop pixels to 1/1000. ``parameters``: the 62 of ``Sample``. ``camera``: what is behind
        them, see `vertices_of`.
    """
    camera = sample.camera
    return {
        "landmarks": sample.landmarks.astype(float).round(3).tolist(),
        "parameters": [float(str(number)) for number in sample.parameters],  # the shortest that means this float32
        "camera": {
            "angles": camera.angles.tolist(),
            "distance": camera.distance,
            "center": camera.center.tolist(),
            "scale": camera.scale,
            "shift": camera.shift.tolist(),
        },
    }


def vertices_of(facts: dict[str, Any], model: MorphableModel) -> NDArray[np.float32]:
    """The mesh (N, 3) of a rendered crop, in its pixels, from what `facts_of` kept."""
    parameters, camera = np.array(facts["parameters"], np.float32), facts["camera"]
    shapes = model.w_shp.shape[1]
    face = model.reconstruct(parameters[12 : 12 + shapes], parameters[12 + shapes :])
    seen_by = Camera(
        rotation=rotation_matrix(*camera["angles"]),
        angles=np.array(camera["angles"]),
        distance=camera["distance"],
        center=np.array(camera["center"]),
        scale=camera["scale"],
        shift=np.array(camera["shift"]),
    )
    return np.asarray(seen_by.project(face), np.float32)


class FaceRenderer:
    """Draws faces of one morphable model. Building it takes a second; a face takes milliseconds.

    Args:
        model: a :class:`tddfa.morphable.MorphableModel` with its context; the open one without.

    Raises:
        ValueError: the model has no context to render.
    """

    def __init__(self, model: Any = None) -> None:
        if model is None:
            model = MorphableModel.open()
        self.model = model
        self.portrait = Portrait(model)
        bank, rows = np.asarray(model.expression_bank, np.float32), np.asarray(model.keypoints).reshape(68, 3)
        self.opening = bank @ (model.w_exp[rows[MOUTH_TOP, 1]] - model.w_exp[rows[MOUTH_BOTTOM, 1]])
        right, left = MOUTH_CORNERS
        self.width = bank @ (model.w_exp[rows[left, 0]] - model.w_exp[rows[right, 0]])

    def expression(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """(E,) float32 from the model's bank, with more broad smiles, open mouths and strong faces than it has."""
        bank = np.asarray(self.model.expression_bank, np.float32)
        r, pick = rng.random(), rng.integers(len(bank), size=10)
        if r < 0.18:
            return bank[pick[0]] * np.float32(rng.uniform(0, 0.35))
        if r < 0.45:
            return bank[pick[0]]
        if r < 0.63:
            return bank[pick[np.argmax(self.opening[pick])]] * np.float32(rng.uniform(0.7, 1.25))
        if r < 0.85:
            toothy = self.width[pick] + rng.uniform(0, 1.0) * np.maximum(self.opening[pick], 0)
            return bank[pick[np.argmax(toothy)]] * np.float32(rng.uniform(0.8, 1.5))
        return np.float32(rng.uniform(0.6, 1.0)) * (bank[pick[0]] + np.float32(rng.uniform(0, 0.8)) * bank[pick[1]])

    def camera(self, face: Floats, rng: np.random.Generator, size: int) -> Camera:
        """A random view at which the projected landmarks fill the crop as the contract says.

        Args:
            face: (N, 3) model mm.
            rng: draws angles and distance.
            size: side of the crop, px.
        """
        angles = random_angles(rng)
        rotation = rotation_matrix(*angles)
        distance = float(np.exp(rng.uniform(np.log(400.0), np.log(3000.0))))
        camera = Camera(rotation, angles, distance, center=middle(face), scale=1.0, shift=np.zeros(2))
        points = camera.project(self.model.landmarks(face))
        low, high = points[:, :2].min(0), points[:, :2].max(0)
        scale = FACE_SHARE * size / float(np.sqrt(np.prod(high - low)))
        return replace(camera, scale=scale, shift=(size - 1) / 2 - scale * (low + high) / 2)

    def sample(
        self, seed: int, index: int, *, size: int, canvas: int, augment_damage: bool, cutout: bool = False
    ) -> Sample:
        """See :func:`render_pair`. cutout: without a background, the image is (C, C, 4), see `Portrait.cutout`."""
        face_rng, look_rng = (np.random.default_rng(s) for s in np.random.SeedSequence((seed, index)).spawn(2))
        shape = np.asarray(self.model.sample_shape(face_rng), np.float32)
        expression = self.expression(face_rng)
        face = self.model.reconstruct(shape, expression)
        scene = Scene(face, shape, expression, self.camera(face, face_rng, size), size=size, canvas=canvas)
        if cutout:
            image = self.portrait.cutout(scene, look_rng)
        else:
            image = self.portrait.draw(scene, look_rng, augment_damage=augment_damage)
        return Sample(
            image=image,
            landmarks=np.ascontiguousarray(self.model.landmarks(scene.vertices), np.float32),
            parameters=compose(fit_pose(face, scene.vertices), shape, expression),
            vertices=scene.vertices,
            size=size,
            pose=scene.camera.angles.astype(np.float32),
            camera=scene.camera,
            model=self.model,
        )


@lru_cache(maxsize=1)
def _default_renderer() -> FaceRenderer:
    return FaceRenderer()


def render_pair(
    seed: int, index: int, *, model: Any = None, size: int = 192, canvas: int | None = None, augment_damage: bool = True
) -> Sample:
    """Renders face ``index`` of the stream ``seed``.

    Args:
        seed: of the stream, a whole number from 0.
        index: of the face in it, a whole number from 0.
        model: a morphable model or a :class:`FaceRenderer` of one (quicker); the open model without.
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
        raise ValueError(
            f"expected a canvas as large as the crop ({size}) plus an even number, got {canvas!r}; "
            f"pass for example canvas={size + 64}"
        )
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
        model: as in :func:`render_pair`, as are ``size``, ``canvas`` and ``augment_damage``.
    """

    def __init__(
        self,
        seed: int,
        *,
        length: int = 1_000_000,
        model: Any = None,
        size: int = 192,
        canvas: int | None = None,
        augment_damage: bool = True,
        transform: Callable[[Sample], Any] | None = None,
    ) -> None:
        if not isinstance(length, (int, np.integer)) or length < 1:
            raise ValueError(f"expected a length of at least 1, got {length!r}; pass the samples of one epoch")
        self.seed, self.length, self.transform = seed, int(length), transform
        self.size, self.canvas, self.augment_damage = size, canvas, augment_damage
        self.model = FaceRenderer(model) if model is not None and not isinstance(model, FaceRenderer) else model

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        sample = render_pair(
            self.seed,
            index,
            model=self.model,
            size=self.size,
            canvas=self.canvas,
            augment_damage=self.augment_damage,
        )
        return sample if self.transform is None else self.transform(sample)

    def __iter__(self) -> Iterator[Any]:
        index = 0
        while True:
            yield self[index]
            index += 1


def contact_sheet(
    seed: int,
    rows: int = 4,
    columns: int = 6,
    *,
    first: int = 0,
    model: Any = None,
    size: int = 192,
    augment_damage: bool = True,
) -> Image:
    """(rows * size, columns * size, 3) uint8: the first faces of a stream, side by side."""
    if rows < 1 or columns < 1:
        raise ValueError(f"expected at least one row and one column, got {rows} x {columns}; pass for example 4, 6")
    stream = FaceStream(seed, model=model, size=size, augment_damage=augment_damage)
    pictures = [stream[first + k].image for k in range(rows * columns)]
    return np.vstack([np.hstack(pictures[r * columns : (r + 1) * columns]) for r in range(rows)])
