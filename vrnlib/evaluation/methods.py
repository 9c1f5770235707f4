"""Who is judged: VRNs by their weights, and beside them always what needs no VRN.

- "mean solid": the mean of rendered solids, whatever the photo;
- "mean face at the found pose": the 3DMM regressor's pose, its shape and expression left out;
- "open 3DMM", and "official 3DMM" where its files are at hand: the regressor's face, as a mesh and as its solid.

A method sees a crop and, where it wants them, landmarks that were found in it; it never sees the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import trimesh
from numpy.typing import NDArray

from tddfa import TDDFA
from tddfa.arrays import Floats, Volume
from tddfa.assets import available
from tddfa.boxes import box_around
from tddfa.contract import CROP_MIDDLE, FACE_SIZE, POSE_COUNT, VOLUME_SHAPE
from tddfa.regressor import OFFICIAL_MODEL, OFFICIAL_WEIGHTS
from tddfa.voxelizer import voxelize
from vrnlib.ensemble import OnnxVRN
from vrnlib.evaluation.cases import closed_surface
from vrnlib.evaluation.distances import Shape
from vrnlib.landmarks import alignment
from vrnlib.landmarks.onnx_fan import open_fan
from vrnlib.reconstruct import predict_volume
from vrnlib.surface import Surface, extract_surface
from vrnlib.synthetic.faces import render_pair
from vrnlib.training.data import TRAIN_SEED
from vrnlib.weight_files import OPEN_VRNS, load_vrn

MEAN_SOLIDS = 200
"""So many rendered solids of the training's stream make the mean one."""

MEAN_SOLID, MEAN_FACE, OPEN_3DMM, OFFICIAL_3DMM = (
    "mean solid",
    "mean face at the found pose",
    "open 3DMM",
    "official 3DMM",
)


class Prediction(Protocol):
    """What a method makes of a crop, in the crop's frame."""

    @property
    def volume(self) -> Volume:
        """(200, 192, 192) bool, [z, y, x]."""

    @property
    def shape(self) -> Shape:
        """The closed surface. Raises SurfaceError where there is none."""


@dataclass(frozen=True, eq=False)
class PredictedVolume:
    """A volume of probabilities (200, 192, 192)."""

    probability: NDArray[np.float32]

    @cached_property
    def volume(self) -> Volume:
        return self.probability > 0.5

    @cached_property
    def shape(self) -> Shape:
        return Shape(extract_surface(self.probability))


@dataclass(frozen=True, eq=False)
class PredictedMesh:
    """A closed mesh of a face model in crop pixels: vertices (N, 3), triangles (M, 3), the model's name."""

    vertices: Floats
    triangles: NDArray[np.int32]
    model: str

    @cached_property
    def _solid(self) -> tuple[Volume, float]:
        return voxelize(self.vertices, self.triangles)

    @property
    def volume(self) -> Volume:
        return self._solid[0]

    @cached_property
    def shape(self) -> Shape:
        """With a vertex in the middle of each edge, so that nearest vertices are as near as those of a volume."""
        surface = closed_surface(self.vertices, self.triangles, self._solid[1])
        mesh = trimesh.Trimesh(surface.vertices, surface.faces, process=False).subdivide()
        fine = Surface(mesh.vertices.astype(np.float32), np.ascontiguousarray(mesh.faces, dtype=np.int32))
        return Shape(fine, model=self.model)


Method = Callable[[NDArray[np.uint8], "Floats | None"], Prediction]
"""From a crop (192, 192, 3) uint8 RGB, and its landmarks (68, 3) where they were found already, to a prediction."""


@dataclass(frozen=True)
class MethodChoice:
    """Which methods; small and hashable, so that worker processes can build their own.

    Attributes:
        weights: (name, file) of each VRN; see `vrnlib.weight_files.load_network`. Default: the package's own, unguided,
            guided and multitask.
        ensemble: whether a VRN that reduces its crop sees it four times.

    Raises:
        ValueError: two methods of one name.
    """

    weights: tuple[tuple[str, str], ...] = tuple((name, name) for name in OPEN_VRNS)
    ensemble: bool = True

    def __post_init__(self) -> None:
        names = [name for name, _ in self.weights]
        taken = {MEAN_SOLID, MEAN_FACE, OPEN_3DMM, OFFICIAL_3DMM}
        if len(set(names)) < len(names) or taken & set(names):
            raise ValueError(f"Expected another name for each network, got {', '.join(names)}; write NAME=FILE.")

    def names(self) -> list[str]:
        """Of all methods, VRNs first."""
        official = [OFFICIAL_3DMM] if official_at_hand() else []
        return [*(name for name, _ in self.weights), MEAN_SOLID, MEAN_FACE, OPEN_3DMM, *official]

    def build(self, mean_solid: Path | None = None) -> dict[str, Method]:
        """The methods by name, their networks loaded.

        Args:
            mean_solid: file of the mean solid's probabilities (200, 192, 192); without it that method is left out.

        Raises:
            ValueError: weights that are damaged or no VRN's. OSError: missing ones.
        """
        methods: dict[str, Method] = {name: VRNMethod(file, ensemble=self.ensemble) for name, file in self.weights}
        regressor = TDDFA("open", runtime="onnx", threads=1)
        if mean_solid is not None:
            methods[MEAN_SOLID] = MeanSolid(mean_solid)
        methods[MEAN_FACE] = RegressorMethod(regressor, mean_face=True)
        methods[OPEN_3DMM] = RegressorMethod(regressor)
        if official_at_hand():
            methods[OFFICIAL_3DMM] = RegressorMethod(TDDFA("official", runtime="onnx", threads=1))
        return methods


def official_at_hand() -> bool:
    """Whether the official 3DMM's files lie here; none is fetched."""
    weights = any(available(OFFICIAL_WEIGHTS[name]) for name in ("mb1", "mb05"))
    return weights and available(OFFICIAL_MODEL) and available("tri.pkl")


class VRNMethod:
    """A VRN, VRNGuided or VRNMultitask of a weights file, run by ONNX Runtime.

    What guides a `VRNGuided` is what our FAN finds in the crop, not the truth.
    """

    def __init__(self, file: str, *, ensemble: bool = True) -> None:
        self.vrn = OnnxVRN(load_vrn(file), threads=1, ensemble=ensemble)

    def __call__(self, image: NDArray[np.uint8], found: Floats | None) -> PredictedVolume:
        if self.vrn.guided and found is None:
            found = landmarks_in_crop(image)
        return PredictedVolume(predict_volume(self.vrn, image, found))


class MeanSolid:
    """The same volume whatever the crop shows. file: what `mean_solid` gave, as .npy."""

    def __init__(self, file: Path) -> None:
        self.prediction = PredictedVolume(np.load(file, allow_pickle=False))

    def __call__(self, image: NDArray[np.uint8], found: Floats | None) -> PredictedVolume:
        return self.prediction


class RegressorMethod:
    """3DDFA_V2's regressor in the crop, at the face's box that the crop's rule gives."""

    def __init__(self, regressor: TDDFA, *, mean_face: bool = False) -> None:
        self.regressor, self.mean_face = regressor, mean_face

    def __call__(self, image: NDArray[np.uint8], found: Floats | None) -> PredictedMesh:
        parameters, rois = self.regressor(image, [crop_corners()], crop_policy="landmark")
        if self.mean_face:
            parameters = parameters.copy()
            parameters[:, POSE_COUNT:] = 0
        vertices = self.regressor.reconstruct(parameters, rois, dense=True)[0]
        model = self.regressor.model
        closed, triangles = model.close(vertices)
        return PredictedMesh(closed, triangles, model.name)


def crop_corners() -> Floats:
    """(2, 2) two corners of the landmarks' box that a crop's rule puts into its middle, if it were a square."""
    return np.array([[CROP_MIDDLE - FACE_SIZE / 2] * 2, [CROP_MIDDLE + FACE_SIZE / 2] * 2])


def landmarks_in_crop(image: NDArray[np.uint8]) -> Floats:
    """(68, 3) what our FAN finds in a crop, told only where the crop's rule puts the face."""
    fan = open_fan("fan_open")
    first, _ = alignment.predict(image, alignment.box_squares(box_around(crop_corners())), fan)
    return alignment.refine(image, first, fan)[0][0]


def solids_sum(indices: Iterable[int], seed: int = TRAIN_SEED) -> NDArray[np.uint16]:
    """How many of these rendered solids fill each voxel: (200, 192, 192)."""
    total = np.zeros(VOLUME_SHAPE, np.uint16)
    for index in indices:
        total += render_pair(seed, index).volume()
    return total
