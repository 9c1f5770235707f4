"""The package face-alignment of FAN's authors (Bulat and Tzimiropoulos, ICCV 2017), with its 2DFAN-4.

Its weights are no part of this project: the package fetches them itself into $TORCH_HOME/hub/checkpoints, or finds
them there.
"""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vrnlib.images import as_photo
from vrnlib.landmarks import LandmarkError, Landmarks, largest_first
from vrnlib.landmarks.retries import look_again

FAN_FILE = "2DFAN4-11f355bf06.pth.tar"
"""The weights of 2DFAN-4."""

FACE_DETECTORS = {
    "sfd": ("s3fd-619a316812.pth",),
    "blazeface": ("blazeface.pth", "anchors.npy"),
    "yunet": ("face_detection_yunet_2023mar.onnx",),
    "retinaface": ("retinaface_mobilenet0.25.pth",),
    "scrfd": ("scrfd_2.5g_bnkps.onnx",),
}
"""The package's face detectors and the files that each of them needs."""


class FaceAlignmentDetector:
    """The package's FAN on the faces that one of its face detectors finds. It is loaded once and shared.

    Args:
        face_detector: one of `FACE_DETECTORS`.

    Raises:
        LandmarkError: another face detector, or the package or one of its files cannot be had.
    """

    name = "fan"

    def __init__(self, face_detector: str = "sfd") -> None:
        self.face_detector = face_detector
        self.face_alignment = load_face_alignment(face_detector)

    def __repr__(self) -> str:
        return f"FaceAlignmentDetector({self.face_detector!r})"

    def __call__(self, image: NDArray[np.uint8], /) -> list[Landmarks]:
        """See `vrnlib.landmarks.detectors.Detector`. The points are (68, 2), the scores the face detector's."""
        image = as_photo(image)
        return self._look(image) or look_again(image, self._look)

    def _look(self, image: NDArray[np.uint8]) -> list[Landmarks]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of photos without a face
            found, scores, boxes = self.face_alignment.get_landmarks_from_image(
                image, return_bboxes=True, return_landmark_score=True
            )
        if found is None:
            return []
        sure = [box[4] if len(box) > 4 else np.mean(score) for box, score in zip(boxes, scores, strict=True)]
        return largest_first(
            Landmarks.from_points(points, score=min(max(float(score), 0.0), 1.0), source=self.name)
            for points, score in zip(found, sure, strict=True)
        )


def is_at_hand(face_detector: str = "sfd") -> bool:
    """Whether the package and its weights are here, so that nothing would have to be fetched."""
    import importlib.util

    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    files = (FAN_FILE, *FACE_DETECTORS[face_detector])
    return importlib.util.find_spec("face_alignment") is not None and all((folder / name).is_file() for name in files)


@cache
def load_face_alignment(face_detector: str) -> Any:
    """The package's FaceAlignment, loaded once. Its first compilation takes minutes and is left out."""
    if face_detector not in FACE_DETECTORS:
        raise LandmarkError(f"Expected a face detector out of {', '.join(FACE_DETECTORS)}, got {face_detector!r}.")
    try:
        import face_alignment
    except ImportError as error:
        raise LandmarkError(
            "The detector fan needs the package face-alignment, which is not installed; "
            "type pip install face-alignment, or use the detector open."
        ) from error
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    files = [FAN_FILE, *FACE_DETECTORS[face_detector]]
    try:
        return face_alignment.FaceAlignment(
            face_alignment.LandmarksType.TWO_D,
            device="cuda" if torch.cuda.is_available() else "cpu",
            flip_input=False,
            face_detector=face_detector,
            compile=False,
        )
    except Exception as error:  # of urllib, torch, ONNX Runtime or OpenCV
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        missing = [name for name in files if not (folder / name).is_file()]
        if missing:
            raise LandmarkError(
                f"The detector fan with {face_detector} needs {' and '.join(missing)}, which could not be fetched "
                f"({reason}); put {'it' if len(missing) == 1 else 'them'} into {folder} "
                "($TORCH_HOME/hub/checkpoints), or use the detector open."
            ) from error
        raise LandmarkError(
            f"The detector fan with {face_detector} could not be loaded from {' and '.join(files)} in {folder} "
            f"({reason}); delete what is damaged and get it again, or use the detector open."
        ) from error
