"""Faces with known landmarks: 300W-LP, 300W-3D and AFLW2000-3D as they are downloaded.

Each image of these data sets has a ``.mat`` file beside it (Zhu et al., CVPR 2016) with

- ``Pose_Para`` (1, 7): pitch, yaw, roll in radians, three shifts in pixels, a scale in pixels per micrometre;
- ``Shape_Para`` (199, 1) and ``Exp_Para`` (29, 1): coefficients of the Basel Face Model 2009's shape components and of
  FaceWarehouse's expression components;
- landmarks: ``pt3d_68`` (3, 68) in AFLW2000-3D, ``pt2d`` (2, 68) in 300W-LP and 300W-3D.

300W-LP has a second file for each image, ``landmarks/.../NAME_pts.mat``, of ``pts_2d`` and ``pts_3d`` (68, 2) alone.
A file that holds landmarks alone is enough where only these are asked for.

Their pixels count from 1, as MATLAB does; here they are moved to this project's convention (the first pixel's centre
is 0). A model vertex V (y up) lands at ``scale * R V + shift`` with R = Rx Ry Rz, and MATLAB's row is
``height + 1 - y`` (the data sets' own code). Here that is ``x - 1, height - y``, as in 3DDFA_V2's crop of 120 pixels.

``aflw2000_crops`` reads the benchmark as 3DDFA ships it: crops of 120 x 120 pixels, their boxes, points and yaws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .archives import read_npy
from .arrays import Floats
from .contract import LANDMARK_COUNT, NETWORK_SIZE
from .describe import short_repr
from .files import beside, read_file
from .geometry import axis_rotation, image_from_roi, pose_matrix
from .images import list_photos
from .mat_files import read_arrays
from .morphable import MorphableModel

__all__ = [
    "FaceLabels",
    "LabelledFace",
    "aflw2000_crops",
    "aflw2000_images",
    "find_label",
    "mat_vertices",
    "read_mat",
    "read_mat_landmarks",
    "read_mat_points",
]

CROP_SIDE = NETWORK_SIZE
"""Side of the crops that 3DDFA ships, in pixels."""

PARAMETERS = {"Pose_Para": 7, "Shape_Para": 1, "Exp_Para": 1}
"""Arrays of a ``.mat`` file and the fewest numbers that each must hold."""

LANDMARKS = ("pt3d_68", "pt2d", "pts_3d", "pts_2d")
"""Where its landmarks are looked for, in this order."""

CROP_LIST = "AFLW2000-3D_crop.list"
"""Names of those crops, one a line."""


@dataclass(frozen=True, repr=False)
class FaceLabels:
    """What one ``.mat`` file says.

    Attributes:
        pose: (7,) float64 as in ``Pose_Para``.
        shape: (S,) float64, 199 in the data sets.
        expression: (E,) float64, 29 in the data sets.
        landmarks: (68, 2|3) float64 image pixels, z towards the camera, or None.
    """

    pose: Floats
    shape: Floats
    expression: Floats
    landmarks: Floats | None

    __repr__ = short_repr

    @property
    def yaw(self) -> float:
        """Degrees; the sign tells left from right."""
        return float(np.degrees(self.pose[1]))


@dataclass(frozen=True, repr=False)
class LabelledFace:
    """An image and where its 68 landmarks are.

    Attributes:
        path: the image.
        truth: (68, 2) float64, photo pixels.
        yaw: degrees, or None where nobody knows it.
        scale: (2,) float64; a pixel p of the image is the photo's pixel ``scale * p + shift``. The identity unless the
            image was cut out of the photo.
        shift: (2,) float64.
        whole: whether the image is just what 3DDFA's network sees of the photo.
    """

    path: Path
    truth: Floats
    yaw: float | None = None
    scale: Floats = field(default_factory=lambda: np.ones(2))
    shift: Floats = field(default_factory=lambda: np.zeros(2))
    whole: bool = False

    __repr__ = short_repr

    def to_photo(self, points: Floats) -> Floats:
        """(68, 2|3) image pixels as (68, 2) photo pixels."""
        return np.asarray(points, np.float64)[:, :2] * self.scale + self.shift

    @property
    def truth_in_image(self) -> Floats:
        """(68, 2) float64: the true landmarks in pixels of the image."""
        return (self.truth - self.shift) / self.scale


def read_mat(path: str | Path) -> FaceLabels:
    """Read one ``.mat`` file of 300W-LP, 300W-3D or AFLW2000-3D (see ``mat_files``; nothing of it runs).

    Raises:
        FileNotFoundError: no such file.
        ValueError: damaged, or without finite Pose_Para, Shape_Para and Exp_Para.
    """
    content = read_arrays(path, (*PARAMETERS, *LANDMARKS))
    arrays = {}
    for name, least in PARAMETERS.items():
        values = content.get(name, np.zeros(0))
        if values.size < least or not np.isfinite(values).all():
            raise ValueError(f"Expected a finite {name} in {path}, got {values.shape}; is it a .mat of 300W-LP?")
        arrays[name] = values.astype(np.float64).ravel()
    return FaceLabels(arrays["Pose_Para"][:7], arrays["Shape_Para"], arrays["Exp_Para"], _landmarks(content))


def read_mat_landmarks(path: str | Path) -> Floats:
    """The 68 points (68, 2|3) float64 of a ``.mat`` file, which needs nothing else; pixels counted from 0.

    They are called ``pt3d_68``, ``pt2d``, or in the folder ``landmarks`` of 300W-LP ``pts_3d`` and ``pts_2d``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: damaged, or none of these with 68 finite points.
    """
    points = _landmarks(read_arrays(path, LANDMARKS))
    if points is None:
        raise ValueError(f"Expected 68 points as {', '.join(LANDMARKS)} in {path}, got none; is it a .mat of 300W-LP?")
    return points


def read_mat_points(path: str | Path) -> tuple[Floats | None, float | None]:
    """What a ``.mat`` file says of a face without its shape: the 68 points as in `FaceLabels`, and its yaw in degrees.

    Either is None where the file does not have it. Errors as of `read_mat_landmarks`.
    """
    content = read_arrays(path, ("Pose_Para", *LANDMARKS))
    pose = content.get("Pose_Para", np.zeros(0)).ravel()
    known = pose.size >= PARAMETERS["Pose_Para"] and np.isfinite(pose).all()
    return _landmarks(content), float(np.degrees(pose[1])) if known else None


def find_label(photo: Path, folder: Path, endings: Sequence[str] = (".mat",)) -> Path | None:
    """The file in a folder that tells where a photo's face is: NAME or NAME_pts with an ending, also in capitals.

    Args:
        photo: whose name counts.
        folder: where the file is looked for.
        endings: in small letters, the preferred one first.
    """
    for stem in (photo.stem, f"{photo.stem}_pts"):  # 300W-LP's folder landmarks has NAME_pts.mat
        for ending in endings:
            found = beside(folder / f"{stem}{photo.suffix}", ending)
            if found.is_file():
                return found
    return None


def mat_vertices(labels: FaceLabels, model: MorphableModel, *, image_height: int) -> Floats:
    """The face that a ``.mat`` file describes: vertices (N, 3) float32, image pixels, y down, z towards the camera.

    The coefficients multiply the model's components as they stand: the published files and BFM share one scaling (unit
    eigenvectors in micrometres for shape, FaceWarehouse's unscaled components for expression; 3DDFA's authors made
    their 40 + 10 components by cutting off the rest of 199 + 29, cleardusk/3DDFA issue 83). So a model file with all
    components uses all coefficients, and ``bfm_noneck_v3.pkl`` the first 40 and 10, which leaves fine shape out.

    Args:
        labels: what the file says.
        model: the Basel Face Model.
        image_height: height of the picture in pixels, from which y is counted.

    Raises:
        ValueError: the model is not BFM, whose components these coefficients belong to.
    """
    if model.expression_bank is not None:
        raise ValueError(
            f"Expected the Basel Face Model, whose coefficients a .mat file holds, got {model.name}; "
            "name bfm_noneck_v3.pkl, or fit the photos instead of using their .mat files."
        )
    face = model.reconstruct(labels.shape[: model.w_shp.shape[1]], labels.expression[: model.w_exp.shape[1]])
    matrix = pose_matrix(labels.pose[6], _mat_rotation(*labels.pose[:3]), labels.pose[3:6])
    placed = face.astype(np.float64) @ matrix[:, :3].T + matrix[:, 3]
    return image_from_roi(placed, (0, 0, image_height, image_height), size=image_height).astype(np.float32)


def aflw2000_images(root: str | Path) -> list[LabelledFace]:
    """The photos under a folder that have a ``.mat`` with 68 points beside them: AFLW2000-3D as it is downloaded.

    Raises:
        ValueError: there are none, or one of them is damaged.
    """
    faces = []
    for path in list_photos(root, recursive=True)[0]:
        label = find_label(path, path.parent)
        points, yaw = (None, None) if label is None else read_mat_points(label)
        if points is not None:
            faces.append(LabelledFace(path, points[:, :2], yaw))
    if not faces:
        raise ValueError(
            f"Expected images with .mat files beside them in {root}, got none with 68 points; "
            "name the folder of AFLW2000-3D, or of 3DDFA's crops and lists."
        )
    return faces


def aflw2000_crops(root: str | Path, *, points: str = "AFLW2000-3D.pts68.npy") -> list[LabelledFace]:
    """AFLW2000-3D as 3DDFA ships it: ``test.data`` (crops and their list) and ``test.configs`` (points, yaws, boxes).

    A point (x, y) of the crop, counted from 1, lies at ``x * (right - left) / 120 + left`` in the photo, and so for y:
    the rule of 3DDFA's own benchmark, which the published figures hold for.

    Args:
        root: the folder above these two; the files may also lie directly in it.
        points: name of the file of true points; the other one is ``AFLW2000-3D-Reannotated.pts68.npy``.

    Raises:
        FileNotFoundError: one of the files is missing.
        ValueError: the lists do not have one length, or wrong shapes.
    """
    root = Path(root)
    crops = _find(root, "AFLW2000-3D_crop")
    names = read_file(_find(root, CROP_LIST), largest=2**28, what="a list of crops").decode("utf-8", "replace").split()
    truth = _array(_find(root, points), 3)
    yaws = _array(_find(root, "AFLW2000-3D.pose.npy"), 1)
    boxes = _array(_find(root, "AFLW2000-3D_crop.roi_box.npy"), 2)
    if not len(names) == len(truth) == len(yaws) == len(boxes):
        raise ValueError(
            f"Expected as many points, yaws and boxes as names, got {len(names)} names, {len(truth)}, {len(yaws)} and "
            f"{len(boxes)} in {root}; get the lists again."
        )
    if truth.shape[1] not in (2, 3) or truth.shape[2] != LANDMARK_COUNT or boxes.shape[1] != 4:
        raise ValueError(
            f"Expected points (n, 2|3, 68) and boxes (n, 4), got {truth.shape} and {boxes.shape} in {root}."
        )
    faces = []
    for name, one, yaw, (left, top, right, bottom) in zip(names, truth, yaws, boxes, strict=True):
        scale = np.array([right - left, bottom - top]) / CROP_SIDE
        shift = scale + [left, top] - 1
        faces.append(LabelledFace(crops / name, one[:2].T - 1, float(yaw), scale, shift, whole=True))
    return faces


def _landmarks(content: dict[str, Any]) -> Floats | None:
    """The 68 points of a .mat file, counted from 0; AFLW's 21 points (with holes) are not taken."""
    for name in LANDMARKS:
        points = content.get(name, np.zeros(0))
        points = points if name.startswith("pts_") else points.T
        if points.shape in ((LANDMARK_COUNT, 2), (LANDMARK_COUNT, 3)) and np.isfinite(points).all():
            return points.astype(np.float64) - [1, 1, 0][: points.shape[1]]
    return None


def _mat_rotation(pitch: float, yaw: float, roll: float) -> Floats:
    """(3, 3) from radians: Rx Ry Rz, each the transpose of the usual one, as the fitting code of 300W-LP has it."""
    return axis_rotation(0, -pitch) @ axis_rotation(1, -yaw) @ axis_rotation(2, -roll)


def _find(root: Path, name: str) -> Path:
    """A file or folder of 3DDFA's release, in its own folder or directly in the root."""
    for folder in (root / "test.data", root / "test.configs", root):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(
        f"Expected {name} in {root} (or in its test.data or test.configs), found none; get 3DDFA's test data."
    )


def _array(path: Path, dimensions: int) -> Floats:
    array = read_npy(path)
    if array.ndim != dimensions or array.dtype.kind not in "fiu":
        raise ValueError(f"Expected {dimensions} axes of numbers in {path}, got {array.dtype} {array.shape}.")
    return array.astype(np.float64)
