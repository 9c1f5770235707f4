"""From a picture to the vertices of its face, for targets: three ways, one interface.

``photo``: FaceBoxes finds the largest face, 3DDFA fits it. ``crop``: the picture is this project's crop already; where
the face lies in it is known, so no detector is needed. ``mat``: the fit that 300W-LP, 300W-3D and AFLW2000-3D bring.

In a photo 3DDFA looks twice: at the detector's box, then at the square about the landmarks it found, as it does from
frame to frame of a video. The second look costs milliseconds and lowers the error of the landmarks by a tenth (measured
on rendered faces); in a crop, whose geometry is known, it gains nothing and is left out.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from .arrays import Floats, Image
from .boxes import box_around, box_middles, box_sizes
from .contract import CROP_MIDDLE, CROP_SIZE, FACE_SIZE
from .datasets import mat_vertices, read_mat
from .files import beside
from .geometry import decompose
from .interfaces import Detector
from .morphable import MorphableModel

if TYPE_CHECKING:
    from .regressor import TDDFA

__all__ = ["Fit", "Fitter", "FitterChoice", "NoFaceError"]

WAYS = ("photo", "crop", "mat")

FARTHEST_MIDDLE, LARGEST_RATIO = 20.0, 1.4
"""How far (px) and how much larger or smaller than the rule says a face may lie in a crop; beyond, it is none."""


class NoFaceError(ValueError):
    """There is no face where one was looked for; the message is one sentence."""


class Fit(NamedTuple):
    """A face that was found in a picture."""

    vertices: Floats
    """(N, 3) pixels of the image."""
    shape: Floats
    expression: Floats
    """The face model's coefficients; what they give is brought to the vertices by one affine map."""


class Fitter(Protocol):
    """Finds the vertices of a picture's face."""

    @property
    def model(self) -> MorphableModel:
        """Whose vertices they are."""

    @property
    def settings(self) -> dict[str, str]:
        """What the result depends on besides the files; JSON."""

    @property
    def companion(self) -> str | None:
        """Ending of a second file that is read beside each picture (".mat"), or None."""

    @property
    def cropped(self) -> bool:
        """Whether the pictures are crops already."""

    def __call__(self, image: Image, path: Path) -> Fit:
        """The face of the image (H, W, 3) uint8 RGB; ValueError when it has none."""


@dataclass(frozen=True, kw_only=True)
class FitterChoice:
    """Which fitter, and from which files. Small, hashable and picklable, so that worker processes can build their own.

    Attributes:
        how: "photo", "crop" or "mat".
        weights: as in :class:`tddfa.TDDFA`; None for the best at hand.
        model: a face model's file; None for the one that the weights were trained for.
        runtime: "torch" or "onnx".
    """

    how: str = "photo"
    weights: str | None = None
    model: str | None = None
    runtime: str = "onnx"

    def build(self) -> Fitter:
        """The fitter itself, its networks loaded.

        Raises:
            ValueError: an unknown way, or a file that is damaged or another one; one sentence.
            OSError: a file that is missing or cannot be read; one sentence.
        """
        if self.how not in WAYS:
            raise ValueError(f"Expected a way to fit out of {', '.join(WAYS)}, got {self.how!r}.")
        model = None if self.model is None else MorphableModel.load(self.model)
        if self.how == "mat":
            return MatFitter(model)
        from .regressor import TDDFA

        regressor = TDDFA(self.weights, model=model, runtime=self.runtime, threads=1)
        if self.how == "crop":
            return CropFitter(regressor)
        from .faceboxes import FaceBoxes

        return PhotoFitter(regressor, FaceBoxes(runtime=self.runtime, threads=1))


class PhotoFitter:
    """Detects, then fits the largest face."""

    companion, cropped = None, False

    def __init__(self, regressor: TDDFA, detector: Detector) -> None:
        self.regressor, self.detector, self.model = regressor, detector, regressor.model
        self.settings = _settings("photo", regressor)

    def __call__(self, image: Image, path: Path) -> Fit:
        boxes = np.asarray(self.detector(image))
        if not len(boxes):
            raise NoFaceError(f"Expected a face in {path.name}, found none; use a photo that shows one larger.")
        box = boxes[np.argmax(box_sizes(boxes))]
        parameters, rois = self.regressor(image, [box], crop_policy="box")
        landmarks = self.regressor.reconstruct(parameters, rois, dense=False)[0]
        fit = _fit(self.regressor, image, landmarks)
        middle = box_middles(box_around(self.model.landmarks(fit.vertices)))
        if not ((box[:2] < middle) & (middle < box[2:4])).all():
            raise NoFaceError(f"Expected the fit inside the box that was found in {path.name}, it slipped out of it.")
        return fit


class CropFitter:
    """Fits the face that the crop's rule puts into the middle: sqrt(w h) of its landmarks' box is 90 pixels."""

    companion, cropped = None, True

    def __init__(self, regressor: TDDFA) -> None:
        self.regressor, self.model = regressor, regressor.model
        self.settings = _settings("crop", regressor)

    def __call__(self, image: Image, path: Path) -> Fit:
        height, width = image.shape[:2]
        if (height, width) != (CROP_SIZE, CROP_SIZE):
            raise ValueError(
                f"Expected a crop of {CROP_SIZE} x {CROP_SIZE} pixels, {path.name} has {width} x {height}."
            )
        corners = np.array([[CROP_MIDDLE - FACE_SIZE / 2] * 2, [CROP_MIDDLE + FACE_SIZE / 2] * 2])
        fit = _fit(self.regressor, image, corners)
        box = box_around(self.model.landmarks(fit.vertices))
        ratio = box_sizes(box) / FACE_SIZE
        away = np.abs(box_middles(box) - CROP_MIDDLE).max()
        if away > FARTHEST_MIDDLE or not 1 / LARGEST_RATIO < ratio < LARGEST_RATIO:
            raise NoFaceError(
                f"Expected a face of {FACE_SIZE:.0f} pixels in the middle of {path.name}, found one of "
                f"{ratio * FACE_SIZE:.0f} pixels {away:.0f} pixels away; is it a crop of this project?"
            )
        return fit


class MatFitter:
    """Takes the parameters of the ``.mat`` file beside the picture.

    Args:
        model: the Basel Face Model; None for the official file.
    """

    companion, cropped = ".mat", False

    def __init__(self, model: MorphableModel | None) -> None:
        if model is None:
            from .regressor import official_model

            model = official_model()
        self.model = model
        self.settings = {"how": "mat", "model": _model_mark(model)}

    def __call__(self, image: Image, path: Path) -> Fit:
        labels = read_mat(beside(path, ".mat"))
        vertices = mat_vertices(labels, self.model, image_height=image.shape[0])
        counts = self.model.w_shp.shape[1], self.model.w_exp.shape[1]
        return Fit(vertices, labels.shape[: counts[0]], labels.expression[: counts[1]])


def _fit(regressor: TDDFA, image: Image, points: Floats) -> Fit:
    """The face whose landmarks' box is that of the points."""
    parameters, rois = regressor(image, [points], crop_policy="landmark")
    vertices = regressor.reconstruct(parameters, rois, dense=True)[0]
    _, shape, expression = decompose(parameters[0], shape_count=regressor.model.w_shp.shape[1])
    return Fit(vertices, shape, expression)


def _settings(how: str, regressor: TDDFA) -> dict[str, str]:
    """What a target depends on besides its picture: the way to fit, the face model, the weights."""
    return {"how": how, "model": _model_mark(regressor.model), "regressor": _mark(regressor.path.read_bytes())}


def _mark(data: bytes) -> str:
    """A short mark of a file's content: other content, other mark."""
    return hashlib.sha256(data).hexdigest()[:16]


def _model_mark(model: MorphableModel) -> str:
    """The model's name and a mark of its arrays."""
    arrays = (model.u, model.w_shp, model.w_exp, model.tri)
    return f"{model.name} {_mark(b''.join(array.tobytes() for array in arrays))}"
