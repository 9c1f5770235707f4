"""TDDFA: from a photo and its face boxes to the 62 parameters, and from them to vertices.

Source: J. Guo et al., "Towards Fast, Accurate and Stable 3D Dense Face Alignment", ECCV 2020. The parameters of a
face are [12 pose, 40 shape, 10 expression]; the pose is the row-major 3x4 matrix ``scale * R | t`` into the 120-pixel
crop with y up (see ``tddfa.geometry``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
from torch import nn

from .arrays import Floats, Image, Integers
from .assets import AssetError, available, resolve
from .backbones import build_backbone
from .boxes import crop_roi, roi_from_box, roi_from_landmarks
from .checkpoints import read_checkpoint
from .contract import EXPRESSION_COUNT, NETWORK_SIZE, PARAMETER_COUNT, POSE_COUNT, SHAPE_COUNT
from .geometry import decompose, image_from_roi, official_angles, project
from .images import checked_image
from .morphable import MorphableModel
from .runtimes import make_runner
from .safe_pickle import load_pickle

__all__ = ["TDDFA"]

OPEN_WEIGHTS = Path(__file__).parent / "data" / "mb05_open.safetensors"
OFFICIAL_WEIGHTS = {"mb1": "mb1_120x120.pth", "mb05": "mb05_120x120.pth", "resnet22": "resnet22.pth"}
OFFICIAL_MODEL, OFFICIAL_SCALING = "bfm_noneck_v3.pkl", "param_mean_std_62d_120x120.pkl"

COMPONENTS = (SHAPE_COUNT, EXPRESSION_COUNT)
"""How many a face model must have."""

LARGEST_ROI = 20
"""A roi whose side is more than so many times the photo's is refused: its crop would not fit into memory."""


class TDDFA:
    """The regressor with its face model.

    Args:
        weights: "official" (mb1, else mb05), "mb1", "mb05", "resnet22", "open", or a checkpoint file (.pth or
            .safetensors). None: the official ones where they and the official face model are at hand, else the open
            ones. Official files that are named but not at hand are fetched.
        model: the face model that the weights were trained for. None: the open one for weights that carry the
            parameters' mean and deviation, as the open ones do, else the official one.
        runtime: "torch" or "onnx".
        threads: threads of the network, or None for the runtime's own choice.

    Attributes:
        model: the ``MorphableModel``.
        size: side of the network's crop, 120 px.
        mean: (62,) float32, added to the network's output.
        std: (62,) float32, which the output is multiplied by before.
        path: the checkpoint.
        runtime: what runs the network.

    Raises:
        AssetError: files that are missing, damaged or another network's.
        ValueError: an unknown runtime, or a face
        model with other than 40 and 10 components.
    """

    def __init__(
        self,
        weights: str | PathLike[str] | None = None,
        *,
        model: MorphableModel | None = None,
        runtime: str = "torch",
        threads: int | None = None,
    ) -> None:
        self.size, self.runtime = NETWORK_SIZE, runtime
        self.path = weights_path(weights)
        tensors = read_checkpoint(self.path)
        mean, std = tensors.pop("parameter_mean", None), tensors.pop("parameter_std", None)
        network = build_backbone(tensors, self.path.name)
        self.mean: Floats
        self.std: Floats
        if mean is not None and std is not None:
            self.mean, self.std, usual_model = mean.numpy(), std.numpy(), MorphableModel.open
        else:
            (self.mean, self.std), usual_model = official_scaling(), official_model
        self.model = _checked_model(usual_model() if model is None else model)
        self._check_lengths(network)
        name, example = f"regressor_{self.path.stem}", (3, self.size, self.size)
        self._run = make_runner(network, name=name, example=example, runtime=runtime, threads=threads)
        self._sparse = _basis(self.model, self.model.landmark_vertices)

    def __repr__(self) -> str:
        return f"TDDFA({self.path.name}, face model {self.model.name}, {self.runtime})"

    @cached_property
    def _dense(self) -> tuple[Floats, Floats]:
        """The basis of all vertices, copied into a quick order only when the dense face is first asked for."""
        return _basis(self.model, np.arange(self.model.vertex_count))

    def __call__(
        self, image: Image, boxes: Floats | Sequence[Floats], *, crop_policy: str = "box"
    ) -> tuple[Floats, Floats]:
        """The parameters of the faces in a photo.

        Args:
            image: (H, W, 3) uint8 RGB.
            boxes: (F, 4) or (F, 5) boxes x0, y0, x1, y1 (and a score) in pixels; with crop_policy "landmark" F arrays
                of landmarks (P, 2) or (P, 3), such as the rows of ``reconstruct(..., dense=False)``.
            crop_policy: "box" for a detector's boxes, "landmark" for tracking or a second, closer look.

        Returns:
            (F, 62) float32 parameters and (F, 4) float64 rois, which ``reconstruct`` needs.

        Raises:
            ValueError: another image or other boxes, boxes that are not finite, empty or outside the photo.
        """
        image = checked_image(image)
        if crop_policy not in ("box", "landmark"):
            raise ValueError(f"Expected the crop policy box or landmark, got {crop_policy!r}; choose one of the two.")
        roi_of = _roi_of_box if crop_policy == "box" else _roi_of_landmarks
        rois = [_checked_roi(roi_of(given), image, number) for number, given in enumerate(boxes)]
        if not rois:
            return np.zeros((0, PARAMETER_COUNT), np.float32), np.zeros((0, 4))
        batch = np.stack([network_input(self.crop(image, roi)) for roi in rois])
        output = self._run(batch)[0]
        return output * self.std + self.mean, np.array(rois, np.float64)

    def crop(self, image: Image, roi: Sequence[float]) -> Image:
        """The roi of a photo as the network sees it: (120, 120, 3) uint8 RGB, black outside the photo."""
        crop = cv2.resize(crop_roi(image, roi), (self.size, self.size), interpolation=cv2.INTER_LINEAR)
        return np.asarray(crop, np.uint8)

    def reconstruct(self, params: Floats, rois: Floats, *, dense: bool = True) -> Floats:
        """The faces' vertices (F, N, 3) float32 in the photo's pixels, or their 68 landmarks (F, 68, 3).

        x right, y down, z towards the camera with a zero common to landmarks and vertices. The original subtracts
        each array's smallest z; see ``geometry.image_from_roi``.

        Args:
            params: (F, 62), as the regressor returned them.
            rois: (F, 4), as the regressor returned them.
            dense: all N vertices or the landmarks.

        Raises:
            ValueError: other shapes, or numbers that are not finite.
        """
        params, rois = _checked_faces(params, rois)
        mean, basis = self._dense if dense else self._sparse
        faces = np.empty((len(params), len(mean) // 3, 3), np.float32)
        for face, row, roi in zip(faces, params, rois, strict=True):
            matrix = _image_matrix(decompose(row).matrix, roi, self.size)
            placed = matrix[:, :3] @ (mean + basis @ row[POSE_COUNT:]).reshape(3, -1)
            placed += matrix[:, 3:]
            face[:] = placed.T
        return faces

    def pose(self, params: Floats) -> Floats:
        """(F, 3) float64 yaw, pitch and roll in degrees as 3DDFA_V2 prints them, from (F, 62) parameters."""
        params, _ = _checked_faces(params, np.zeros((len(params), 4)))
        return np.array([official_angles(row[:POSE_COUNT].reshape(3, 4)) for row in params]).reshape(-1, 3)

    def _check_lengths(self, network: nn.Module) -> None:
        """AssetError unless the network and its scaling speak of 62 numbers."""
        outputs = len(list(network.parameters())[-1])  # the last layer's bias
        if {outputs, len(self.mean), len(self.std)} != {PARAMETER_COUNT}:
            raise AssetError(
                f"Expected a regressor of {PARAMETER_COUNT} parameters in {self.path.name}, got {outputs} outputs and "
                f"a scaling of {len(self.mean)} and {len(self.std)}; name another checkpoint."
            )


def weights_path(weights: str | PathLike[str] | None) -> Path:
    """The checkpoint file that a name, a path or None stands for (see ``TDDFA``); official ones may be fetched."""
    if weights is None:
        at_hand = [name for name in ("mb1", "mb05") if available(OFFICIAL_WEIGHTS[name])]
        weights = at_hand[0] if at_hand and available(OFFICIAL_MODEL) else "open"
    if weights == "official":
        weights = "mb1" if available(OFFICIAL_WEIGHTS["mb1"]) or not available(OFFICIAL_WEIGHTS["mb05"]) else "mb05"
    if weights in OFFICIAL_WEIGHTS:
        return resolve(OFFICIAL_WEIGHTS[weights])
    if weights == "open":
        if not OPEN_WEIGHTS.is_file():
            raise AssetError(
                f"Expected the open regressor's weights at {OPEN_WEIGHTS}, found no such file; get the repository "
                "again, or train them."
            )
        return OPEN_WEIGHTS
    return Path(weights)


def official_model() -> MorphableModel:
    """The official face model with its triangles; both may be fetched."""
    resolve("tri.pkl")
    return MorphableModel.load(resolve(OFFICIAL_MODEL))


def official_scaling() -> tuple[Floats, Floats]:
    """Mean and standard deviation (62,) float32 of the official regressors' parameters."""
    path = resolve(OFFICIAL_SCALING)
    content = load_pickle(path)
    try:
        mean, std = (np.asarray(content[key], np.float32).reshape(-1) for key in ("mean", "std"))
    except (KeyError, TypeError, ValueError) as error:
        raise AssetError(f"Expected the arrays mean and std in {path}, got other things; get it again.") from error
    return mean, std


def network_input(crop: Image) -> Floats:
    """(3, 120, 120) float32 BGR in about -1 to 1, the channels last in memory, from an RGB crop."""
    return ((crop[:, :, ::-1].astype(np.float32) - 127.5) / 128.0).transpose(2, 0, 1)


def _basis(model: MorphableModel, vertices: Integers) -> tuple[Floats, Floats]:
    """Mean (3N,) and components (3N, 50) of these N vertices: all x, then all y, then all z, which is fast to use."""
    rows = (3 * vertices + np.arange(3)[:, None]).ravel()
    return model.u[rows, 0], np.asfortranarray(np.concatenate([model.w_shp[rows], model.w_exp[rows]], axis=1))


def _image_matrix(matrix: Floats, roi: Floats, size: int) -> Floats:
    """The (3, 4) float32 matrix from model axes to the photo's pixels: the face's own, then ``image_from_roi``."""
    corners = np.eye(4, 3, k=-1)  # the origin and a unit step along each axis
    origin, *steps = image_from_roi(project(matrix, corners), roi, size=size)
    return np.column_stack([*(step - origin for step in steps), origin]).astype(np.float32)


def _checked_model(model: MorphableModel) -> MorphableModel:
    """The model, when it has the components that the parameters speak of."""
    counts = model.w_shp.shape[1], model.w_exp.shape[1]
    if counts != COMPONENTS:
        raise ValueError(f"Expected a face model of {COMPONENTS} components, {model.name} has {counts}; name another.")
    return model


def _roi_of_box(box: Floats) -> tuple[float, ...]:
    """The roi of one box, or NaN where the box is not finite."""
    box = np.asarray(box, np.float64)
    if box.shape not in ((4,), (5,)):
        raise ValueError(f"Expected boxes of shape (F, 4) or (F, 5), got a row of shape {box.shape}; check them.")
    return roi_from_box(box) if np.isfinite(box).all() else (np.nan,) * 4


def _roi_of_landmarks(landmarks: Floats) -> tuple[float, ...]:
    """The roi of one face's landmarks."""
    return roi_from_landmarks(landmarks)


def _checked_roi(roi: tuple[float, ...], image: Image, number: int) -> tuple[float, ...]:
    """The roi, when it is finite, not empty, and meets the photo."""
    height, width = image.shape[:2]
    left, top, right, bottom = roi
    fault = None
    if not np.isfinite(roi).all():
        fault = "is not finite"
    elif round(right) <= round(left) or round(bottom) <= round(top):
        fault = "has no area"
    elif right <= 0 or bottom <= 0 or left >= width or top >= height:
        fault = f"lies outside the photo of {width} x {height} pixels"
    elif max(right - left, bottom - top) > LARGEST_ROI * max(width, height):
        fault = f"is far larger than the photo of {width} x {height} pixels"
    if fault:
        raise ValueError(f"Expected a face box inside the photo, box {number} {fault}; leave it out or detect again.")
    return roi


def _checked_faces(params: Floats, rois: Floats) -> tuple[Floats, Floats]:
    """Parameters (F, 62) float32 and rois (F, 4) float64, finite, as many of one as of the other."""
    params, rois = np.asarray(params, np.float32), np.asarray(rois, np.float64)
    if params.size == 0 and rois.size == 0:
        return params.reshape(0, PARAMETER_COUNT), rois.reshape(0, 4)
    if params.ndim != 2 or params.shape[1] != PARAMETER_COUNT or rois.shape != (len(params), 4):
        raise ValueError(
            f"Expected parameters (F, {PARAMETER_COUNT}) and rois (F, 4), got {params.shape} and {rois.shape}; pass "
            "what the regressor returned."
        )
    if not np.isfinite(params).all() or not np.isfinite(rois).all():
        raise ValueError("Expected finite parameters and rois, got NaN or infinity; look at the face's crop.")
    return params, rois
