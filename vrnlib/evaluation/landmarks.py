"""How far 68 landmarks lie from the true ones, by yaw, as in 3DDFA's papers.

The error of a face (NME) is that of `vrnlib.metrics.landmark_error_percent`. Every detector is told where the face is,
by the true points' box, as in those papers; only ``fan`` looks for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tddfa.arrays import Floats
from tddfa.boxes import box_around, box_middles
from tddfa.datasets import CROP_SIDE, LabelledFace
from vrnlib.evaluation.bins import by_yaw
from vrnlib.images import read_photo
from vrnlib.landmarks import LandmarkError, alignment
from vrnlib.landmarks.detectors import Detector, FaceAlignmentDetector
from vrnlib.metrics import landmark_error_percent

DETECTORS = ("tddfa", "open", "fan")
"""What `predictor` knows."""

Predictor = Callable[[NDArray[np.uint8], LabelledFace], "Floats | None"]
"""From an image and its face to (68, 2|3) points in pixels of the image; None when no face is found."""


def evaluate_landmarks(faces: Sequence[LabelledFace], predict: Predictor, *, progress: bool = True) -> dict[str, Any]:
    """The error of a detector on labelled faces.

    Args:
        faces: see `vrnlib.evaluation.pictures.data_sets`.
        predict: see `predictor`.
        progress: whether a bar is shown.

    Returns:
        {"count", "missing", "nme_percent": see `by_yaw`, "each": {"yaw", "error_percent"}}. Faces for which nothing
        is found are counted as missing and are in no mean; among (N,) "each" they are NaN, as is a yaw that nobody
        knows.

    Raises:
        ValueError: no face is found at all.
    """
    errors = np.full(len(faces), np.nan)
    for row, face in enumerate(tqdm(faces, unit="face", disable=not progress)):
        points = predict(read_photo(face.path), face)
        if points is not None:
            errors[row] = landmark_error_percent(face.to_photo(points), face.truth)
    hit = ~np.isnan(errors)
    if not hit.any():
        raise ValueError(f"Expected landmarks on at least one of {len(faces)} faces, got none; try another detector.")
    yaws = [face.yaw for face in faces]
    return {
        "count": len(faces),
        "missing": int((~hit).sum()),
        "nme_percent": by_yaw(errors[hit], [yaw for yaw, found in zip(yaws, hit, strict=True) if found]),
        "each": {"yaw": np.array([np.nan if yaw is None else yaw for yaw in yaws]), "error_percent": errors},
    }


def predictor(detector: str, *, weights: str | None = None, model: str | None = None, onnx: bool = False) -> Predictor:
    """A detector by its name.

    Args:
        detector: "tddfa"; "open", our FAN; "fan", the package face-alignment.
        weights: of "tddfa" or "open".
        model: "tddfa" only: the face model's file, if not the one of the weights.
        onnx: "tddfa" only: run by ONNX Runtime.

    Raises:
        LandmarkError: another name. OSError or another ValueError: files that are missing or damaged.
    """
    if detector == "tddfa":
        from tddfa import TDDFA, MorphableModel

        loaded = None if model is None else MorphableModel.load(model)
        regressor = TDDFA(weights, model=loaded, runtime="onnx" if onnx else "torch")
        return lambda image, face: _by_regressor(regressor, image, face)
    if detector == "open":
        from vrnlib.network import FAN
        from vrnlib.weight_files import load_network

        fan = load_network(weights or "fan_open", FAN)
        return lambda image, face: _by_fan(fan, image, face)
    if detector == "fan":
        official = FaceAlignmentDetector()
        return lambda image, face: _nearest(official, image, face)
    raise LandmarkError(f"Expected a detector out of {', '.join(DETECTORS)}, got {detector!r}.")


def _by_regressor(regressor: Any, image: NDArray[np.uint8], face: LabelledFace) -> Floats:
    """3DDFA's points. A shipped crop is the network's whole input; in a photo the truth says where to look."""
    where = face.truth_in_image
    if face.whole:
        where = CROP_SIDE / 2 + CROP_SIDE / np.sqrt(8) * np.array([[-1.0, -1.0], [1.0, 1.0]])
    parameters, rois = regressor(image, [where], crop_policy="landmark")
    return regressor.reconstruct(parameters, rois, dense=False)[0]


def _by_fan(fan: Any, image: NDArray[np.uint8], face: LabelledFace) -> Floats:
    """Our FAN's points: its three passes, the first over the box of the truth."""
    first, _ = alignment.predict(image, alignment.box_squares(box_around(face.truth_in_image)), fan)
    return alignment.refine(image, first, fan)[0][0]


def _nearest(detector: Detector, image: NDArray[np.uint8], face: LabelledFace) -> Floats | None:
    """The points of the package face-alignment whose middle is nearest to the truth's, when it lies in its box."""
    box = box_around(face.truth_in_image)
    found = [one.points[:, :2] for one in detector(image)]
    if not found:
        return None
    middles = box_middles(box_around(np.stack(found)))
    nearest = int(np.argmin(np.linalg.norm(middles - box_middles(box), axis=1)))
    inside = (box[:2] < middles[nearest]) & (middles[nearest] < box[2:])
    return found[nearest] if inside.all() else None
