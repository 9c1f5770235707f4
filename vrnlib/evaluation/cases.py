"""What volumes and surfaces are judged on: photos whose faces are known in 3D, and the crops that a VRN sees of them.

`Renders` are drawn on the spot, of a stream that no training saw. `Pairs` is a folder of ``vrn targets``. `AFLW2000`
are photos with .mat files, whose coefficients need the Basel Face Model. Each is a list that can be sent to another
process and makes its cases one by one.

The truth is made for a crop: the closed mesh is moved into its pixels and filled with voxels, and its depth is that of
the volume, z = (slice - 99.5) / 2, so that a volume and a mesh can be compared as they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tddfa.arrays import Floats, Integers, Volume
from tddfa.contract import MIDDLE_SLICE, SLICES_PER_PIXEL, VOLUME_SHAPE
from tddfa.datasets import aflw2000_images, mat_vertices, read_mat
from tddfa.describe import short_repr
from tddfa.files import beside
from tddfa.geometry import fit_pose
from tddfa.ibug import NOSE_TIP
from tddfa.morphable import MorphableModel
from tddfa.target_folder import find_pairs
from tddfa.volume_file import load_volume
from tddfa.voxelizer import voxelize
from vrnlib.crop import CROP_SIZE, transform_points
from vrnlib.evaluation.bins import yaw_of
from vrnlib.evaluation.distances import Shape
from vrnlib.images import read_photo
from vrnlib.metrics import interocular_distance
from vrnlib.surface import Surface, extract_surface
from vrnlib.synthetic.faces import FaceRenderer
from vrnlib.training.data import TEST_SEED

WIDE = 384
"""Side of the rendered pictures in which a face is to be found first, in pixels."""

HIDDEN = ("ear", "mouth interior")
"""Regions of a face model that are no part of the face's region."""

FACE_RADIUS = 95 / 90
"""Of the face about the nose's tip, in outer interocular distances, where a model names no regions."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Truth:
    """What is true in a crop.

    Attributes:
        volume: (200, 192, 192), [z, y, x].
        shape: the closed surface, in the volume's frame.
        landmarks: (68, 3), in that frame.
    """

    volume: Volume
    shape: Shape
    landmarks: Floats

    __repr__ = short_repr


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Case:
    """One face.

    Attributes:
        name: of the face, unique among its cases.
        photo: (H, W, 3) uint8 RGB.
        landmarks: (68, 2) or (68, 3), true, photo pixels.
        yaw: degrees, NaN where nobody knows it.
        truth: from a crop's (2, 3) matrix, photo to crop, to the `Truth` there.
        cropped: whether the photo is the crop already.
    """

    name: str
    photo: NDArray[np.uint8]
    landmarks: Floats
    yaw: float
    truth: Callable[[Floats], Truth]
    cropped: bool = False

    __repr__ = short_repr


class Cases(Protocol):
    """Faces in order, to be made one by one in any process."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Case:
        """ValueError, one sentence, where a file is damaged."""


@dataclass(frozen=True)
class Renders:
    """The first faces of a rendered stream.

    Attributes:
        count: faces. seed: of the stream. wide: with a margin, as pictures in which the face has to be found.
    """

    count: int
    seed: int = TEST_SEED
    wide: bool = False

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int, /) -> Case:
        canvas = WIDE if self.wide else CROP_SIZE
        sample = _renderer().sample(self.seed, index, size=CROP_SIZE, canvas=canvas, augment_damage=True)
        return Case(
            name=f"render {index}",
            photo=sample.image,
            landmarks=sample.landmarks,
            yaw=yaw_of(sample.parameters),
            truth=lambda matrix: mesh_truth(sample.vertices, sample.model, matrix),
            cropped=not self.wide,
        )


@dataclass(frozen=True)
class Pairs:
    """The crops of a folder that ``vrn targets`` made, each with its volume beside it.

    Attributes:
        root: the folder. limit: at most so many, the first ones.

    Raises:
        ValueError: no crop there has a volume.
    """

    root: Path
    limit: int | None = None

    def __post_init__(self) -> None:
        self.pairs()

    def pairs(self) -> list[tuple[Path, Path]]:
        """Crops and volumes, in order."""
        return _pairs_of(self.root)[: self.limit]

    def __len__(self) -> int:
        return len(self.pairs())

    def __getitem__(self, index: int, /) -> Case:
        path, filled = self.pairs()[index]
        volume, offset, meta = load_volume(filled)
        photo = read_photo(path)
        landmarks = np.asarray(meta.get("landmarks", ()), np.float64)
        if volume.shape != VOLUME_SHAPE or photo.shape[:2] != (CROP_SIZE, CROP_SIZE) or landmarks.shape != (68, 3):
            raise ValueError(
                f"Expected a crop of {CROP_SIZE} pixels, its volume and its 68 landmarks in 3D at {path}, got "
                f"{photo.shape[:2]}, {volume.shape} and {landmarks.shape}; make the folder by vrn targets."
            )
        model = _open_model()
        pose = fit_pose(model.landmarks(model.mean), landmarks)
        return Case(
            name=Path(os.path.relpath(path, self.root)).as_posix(),
            photo=photo,
            landmarks=landmarks,
            yaw=yaw_of(pose.ravel()),
            truth=lambda matrix: Truth(
                volume=volume, shape=Shape(extract_surface(volume)), landmarks=_in_volume(landmarks, offset)
            ),
            cropped=True,
        )


@dataclass(frozen=True)
class AFLW2000:
    """Photos of AFLW2000-3D (or 300W-LP, 300W-3D) with their .mat files.

    Attributes:
        root: the folder.
        bfm: file of the Basel Face Model, to which the coefficients belong; None for the official one at hand.
        limit: at most so many, the first ones.

    Raises:
        ValueError: there are no photos, or the file holds another model. OSError: a missing file.
    """

    root: Path
    bfm: Path | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        self.pictures()
        mat_model(self.bfm)

    def pictures(self) -> list[Path]:
        """The photos, in order."""
        return _aflw2000_of(self.root)[: self.limit]

    def __len__(self) -> int:
        return len(self.pictures())

    def __getitem__(self, index: int, /) -> Case:
        path, model = self.pictures()[index], mat_model(self.bfm)
        photo, labels = read_photo(path), read_mat(beside(path, ".mat"))
        vertices = mat_vertices(labels, model, image_height=photo.shape[0])
        return Case(
            name=path.relative_to(self.root).as_posix(),
            photo=photo,
            landmarks=model.landmarks(vertices) if labels.landmarks is None else labels.landmarks,
            yaw=labels.yaw,
            truth=lambda matrix: mesh_truth(vertices, model, matrix),
        )


def mesh_truth(vertices: Floats, model: MorphableModel, matrix: Floats) -> Truth:
    """The truth in a crop, from a face model's vertices (N, 3) in photo pixels.

    Args:
        vertices: of the face. model: whose they are. matrix: (2, 3) from photo to crop pixels.
    """
    placed = transform_points(vertices, matrix)
    closed, triangles = model.close(placed)
    volume, offset = voxelize(closed, triangles)
    shape = Shape(closed_surface(closed, triangles, offset), face_region(model), model.name)
    return Truth(volume=volume, shape=shape, landmarks=_in_volume(model.landmarks(placed), offset))


def closed_surface(vertices: Floats, triangles: Integers, offset: float) -> Surface:
    """A model's closed mesh in crop pixels as a `Surface` in the frame of its volume, of which the offset is given.

    Vertices of no triangle (a head's behind the solid's back) are left out.
    """
    used, rows = np.unique(triangles, return_inverse=True)
    faces = rows.reshape(triangles.shape)[:, ::-1].astype(np.int32)
    return Surface(_in_volume(vertices[used], offset).astype(np.float32), np.ascontiguousarray(faces))


def face_region(model: MorphableModel) -> NDArray[np.bool_]:
    """Which vertices of a model's `closed_surface` are its face: not the back, the ears, the inside of the mouth.

    The Basel Face Model comes without regions. There it is what lies within 95 mm of the nose's tip, as in the
    benchmark on MICC Florence, where 90 mm are the mean face's outer interocular distance.
    """
    used = np.unique(model.closed_tri)
    region = used < model.vertex_count
    if model.region is not None:
        hidden = [row for row, name in enumerate(model.region_names) if name in HIDDEN]
        region[region] = ~np.isin(model.region[used[region]], hidden)
    else:
        landmarks = model.landmarks(model.mean)
        away = np.linalg.norm(model.mean[used[region]] - landmarks[NOSE_TIP], axis=1)
        region[region] = away < FACE_RADIUS * interocular_distance(landmarks)
    return region


def _in_volume(points: Floats, offset: float) -> NDArray[np.float64]:
    """Points (N, 3) whose z = 0 is slice ``offset``, in the frame of a volume, where it is slice 99.5."""
    return np.asarray(points, np.float64) + [0, 0, (offset - MIDDLE_SLICE) / SLICES_PER_PIXEL]


@lru_cache(maxsize=1)
def _renderer() -> FaceRenderer:
    return FaceRenderer()


@lru_cache(maxsize=1)
def _open_model() -> MorphableModel:
    return MorphableModel.open()


@lru_cache(maxsize=2)
def mat_model(path: Path | None) -> MorphableModel:
    """The Basel Face Model of a file, or the official one at hand. Raises ValueError for a model that is none."""
    from tddfa.regressor import official_model

    model = official_model() if path is None else MorphableModel.load(path)
    if model.expression_bank is not None:
        raise ValueError(f"Expected the Basel Face Model, which .mat files need, got {model.name}; name another file.")
    return model


@lru_cache(maxsize=2)
def _aflw2000_of(root: Path) -> list[Path]:
    return [face.path for face in aflw2000_images(root)]


@lru_cache(maxsize=2)
def _pairs_of(root: Path) -> list[tuple[Path, Path]]:
    return find_pairs(root)
