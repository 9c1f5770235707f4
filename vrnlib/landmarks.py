"""Where is the face? 68 landmarks in iBUG's order for every face of a photo, from one of several sources.

"open" (the default) works in two steps and needs nothing but this package: a finder proposes square boxes, and our
own face-alignment network (FAN, Bulat and Tzimiropoulos 2017) looks into each of them. It is run again on a box about
its own points, which both refines the points and tells faces from mistakes: on a real face the heat maps are sharp and
the points stay where they were. "fan" is the authors' own package. "points" takes points that are known already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vrnlib.crop import invert_matrix, transform_points, warp_similarity
from vrnlib.images import as_photo

DETECTORS = ("open", "fan", "points")
#: The side of FAN's square / the larger side of the landmarks' box, as in its training.
FAN_MARGIN = 1.4
#: A finder takes an (H, W, 3) uint8 RGB photo and gives (N, 4) boxes x0 y0 x1 y1 about the faces' 68 landmarks.
Finder = Callable[[np.ndarray], np.ndarray]


class LandmarkError(ValueError):
    """Landmarks that cannot be had; the message is one sentence for the user."""


@dataclass(frozen=True)
class Landmarks:
    """The landmarks of one face.

    points: (68, 2) or (68, 3) float32 photo pixels, iBUG order, z towards the camera (its zero is free).
    box: (x0, y0, x1, y1), the bounding box of the points. score: 0 … 1, how sure the source is.
    source: "open", "fan" or "points".
    """

    points: np.ndarray
    box: tuple[float, float, float, float]
    score: float
    source: str

    @classmethod
    def from_points(cls, points: np.ndarray, *, score: float = 1.0, source: str = "points") -> Landmarks:
        """Landmarks with the box of their points. Raises LandmarkError unless (68, 2|3) and finite."""
        points = np.array(points, dtype=np.float32)
        if points.ndim != 2 or points.shape[0] != 68 or points.shape[1] not in (2, 3):
            raise LandmarkError(f"Expected landmarks as (68, 2) or (68, 3), got {points.shape}; check the points.")
        if not np.isfinite(points).all():
            raise LandmarkError("Expected finite landmarks, got NaN or infinity; check the points.")
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        return cls(points, (float(low[0]), float(low[1]), float(high[0]), float(high[1])), float(score), source)

    @property
    def size(self) -> float:
        """sqrt(width * height) of the box, the measure that errors and crops are relative to."""
        x0, y0, x1, y1 = self.box
        return float(np.sqrt(max(x1 - x0, 0.0) * max(y1 - y0, 0.0)))


def detect(
    image: np.ndarray,
    *,
    detector: str = "open",
    fan: Any = None,
    finder: Finder | None = None,
    points: Any = None,
    min_score: float = 0.35,
    face_detector: str = "sfd",
) -> list[Landmarks]:
    """The 68 landmarks of every face in a photo, the largest face first; an empty list when there is none.

    Args:
        image: (H, W, 3) uint8 RGB.
        detector: "open", "fan" (the PyPI package face-alignment) or "points" (given by `points`).
        fan: "open" only: a `vrnlib.network.FAN`, or a path or name of its weights; default "fan_open".
        finder: "open" only: proposes boxes; default `find_frontal_faces`.
        points: "points" only: (68, 2|3) or (F, 68, 2|3), or a .npy or .pts file.
        min_score: "open" only: faces with a lower score are left out.
        face_detector: "fan" only: which of that package's detectors finds the boxes.

    Raises LandmarkError for an unknown detector, missing points, or a missing package or download.
    """
    image = as_photo(image)
    if detector == "open":
        faces = _detect_open(image, fan=fan, finder=finder or find_frontal_faces, min_score=min_score)
    elif detector == "fan":
        faces = _detect_official(image, face_detector=face_detector)
    elif detector == "points":
        faces = [Landmarks.from_points(one) for one in _given_points(points)]
    else:
        raise LandmarkError(f"Expected a detector out of {', '.join(DETECTORS)}, got {detector!r}.")
    return sorted(faces, key=lambda face: -face.size)


# --- open: a finder and our own FAN ---------------------------------------------------------------------------------


def find_frontal_faces(image: np.ndarray) -> np.ndarray:
    """Boxes, (N, 4) float64, where scikit-image's frontal-face cascade (local binary patterns) fires.

    Source: Viola and Jones 2001; Liao et al. 2007; the cascade file is OpenCV's, shipped by scikit-image.
    The photo is seen at two sizes, and little support is asked for: what is no face, the FAN rejects. The cascade's
    square reaches from brow to chin; the landmarks' box is 0.9 of it and lies lower by 0.16 of it.
    """
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    cascade = Cascade(lbp_frontal_face_cascade_filename())
    boxes = []
    for longest in (1000, 640):
        scale = min(1.0, longest / max(image.shape[:2]))
        if longest == 640 and scale == 1.0:
            continue  # the photo is small: it was seen at this size already
        small = image
        if scale < 1:
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found = cascade.detect_multi_scale(
            img=small,
            scale_factor=1.2,
            step_ratio=1,
            min_size=(28, 28),
            max_size=(max(small.shape[:2]),) * 2,
            min_neighbor_number=2,
        )
        for one in found:
            side = one["width"]
            x, y = one["c"] + 0.5 * side - 0.5, one["r"] + 0.66 * side - 0.5
            box = np.array([x - 0.45 * side, y - 0.45 * side, x + 0.45 * side, y + 0.45 * side])
            boxes.append((box + 0.5) / scale - 0.5)
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def align(
    image: np.ndarray, boxes: np.ndarray, fan: Any, *, margin: float = FAN_MARGIN
) -> tuple[np.ndarray, np.ndarray]:
    """Run a FAN once in each box: points (N, 68, 3) float32 in photo pixels, and scores (N,) in 0 … 1.

    image: (H, W, 3) uint8 RGB. boxes: (N, 4) about the landmarks; FAN sees the square of `margin` times the larger
    side. The score is the mean over the 68 heat maps of the probability around the maximum.
    """
    import torch

    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    size = fan.config.size
    points, scores = [np.zeros((0, 68, 3), np.float32)], [np.zeros(0, np.float32)]
    for start in range(0, len(boxes), 16):
        matrices = [box_matrix(box, size=size, margin=margin) for box in boxes[start : start + 16]]
        crops = np.stack([warp_similarity(image, matrix, size) for matrix in matrices])
        with torch.inference_mode():
            maps = fan(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255)
        found = maps.points.cpu().numpy()
        points.append(np.stack([transform_points(p, invert_matrix(m)) for p, m in zip(found, matrices, strict=True)]))
        scores.append(maps.scores.mean(dim=1).cpu().numpy())
    return np.concatenate(points), np.concatenate(scores)


def box_matrix(box: np.ndarray, *, size: int, margin: float = FAN_MARGIN) -> np.ndarray:
    """The (2, 3) similarity from photo pixels to a size x size square of `margin` times the box's larger side."""
    x0, y0, x1, y1 = (float(value) for value in box)
    scale = size / max(margin * max(x1 - x0, y1 - y0), 1e-3)
    middle = (size - 1) / 2
    return np.array([[scale, 0, middle - scale * (x0 + x1) / 2], [0, scale, middle - scale * (y0 + y1) / 2]])


def points_boxes(points: np.ndarray) -> np.ndarray:
    """Bounding boxes (N, 4) of (N, 68, 2|3) points."""
    return np.concatenate([points[:, :, :2].min(axis=1), points[:, :, :2].max(axis=1)], axis=1)


def _detect_open(image: np.ndarray, *, fan: Any, finder: Finder, min_score: float) -> list[Landmarks]:
    boxes = finder(image)
    if len(boxes) == 0:
        return []
    fan = _open_fan(fan)
    points, scores = align(image, boxes, fan)
    keep = (scores >= 0.5 * min_score) & _possible(points_boxes(points), image)
    for _ in range(2):
        before, boxes = points[keep], points_boxes(points[keep])
        points, scores = align(image, boxes, fan)
        after = points_boxes(points)
        moved = np.linalg.norm(points[:, :, :2] - before[:, :, :2], axis=2).mean(axis=1)
        keep = (scores >= 0.5 * min_score) & _possible(after, image) & (moved < 0.25 * _box_sizes(after))
    steady = np.clip(1 - moved / np.maximum(0.25 * _box_sizes(after), 1e-6), 0, 1)
    scores = scores * steady
    keep &= scores >= min_score
    faces = [
        Landmarks.from_points(p, score=float(s), source="open") for p, s in zip(points[keep], scores[keep], strict=True)
    ]
    return _drop_doubles(faces)


def _open_fan(fan: Any) -> Any:
    if fan is not None and not isinstance(fan, (str, PathLike)):
        return fan
    from vrnlib.network import FAN, load_network

    network = load_network("fan_open" if fan is None else fan)
    if not isinstance(network, FAN):
        raise LandmarkError(f"Expected the weights of a FAN, {fan} holds a {type(network).__name__}; name others.")
    return network


def _box_sizes(boxes: np.ndarray) -> np.ndarray:
    return np.sqrt(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1))


def _possible(boxes: np.ndarray, image: np.ndarray) -> np.ndarray:
    """A face has a size of at least 12 pixels, and the middle of its box lies in the photo."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = (middles >= 0).all(axis=1) & (middles <= np.array(image.shape[1::-1])).all(axis=1)
    return (_box_sizes(boxes) >= 12) & inside


def _drop_doubles(faces: list[Landmarks]) -> list[Landmarks]:
    """Of faces whose middles are nearer than half a face, keep the one with the best score."""
    kept: list[Landmarks] = []
    for face in sorted(faces, key=lambda face: -face.score):
        middle = np.array([face.box[0] + face.box[2], face.box[1] + face.box[3]]) / 2
        for other in kept:
            away = np.linalg.norm(middle - np.array([other.box[0] + other.box[2], other.box[1] + other.box[3]]) / 2)
            if away < 0.5 * max(face.size, other.size):
                break
        else:
            kept.append(face)
    return kept


# --- fan: the official package ----------------------------------------------------------------------------------------


def _detect_official(image: np.ndarray, *, face_detector: str) -> list[Landmarks]:
    try:
        import face_alignment
    except ImportError as error:
        raise LandmarkError(
            "The detector 'fan' needs the package face-alignment, which is not installed; "
            "type pip install face-alignment, or use the detector 'open'."
        ) from error
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    try:
        aligner = face_alignment.FaceAlignment(
            face_alignment.LandmarksType.TWO_D,
            device="cuda" if torch.cuda.is_available() else "cpu",
            flip_input=False,
            face_detector=face_detector,
            compile=False,
        )
    except OSError as error:  # urllib's errors are OSErrors
        raise LandmarkError(
            f"The weights of face-alignment could not be loaded or downloaded ({error}); put 2DFAN4-11f355bf06.pth.tar "
            f"and those of its detector (sfd: s3fd-619a316812.pth) into {folder}, or use the detector 'open'."
        ) from error
    found, scores, boxes = aligner.get_landmarks_from_image(image, return_bboxes=True, return_landmark_score=True)
    if found is None:
        return []
    sure = [float(box[4]) if len(box) > 4 else float(np.mean(score)) for box, score in zip(boxes, scores, strict=True)]
    return [
        Landmarks.from_points(p, score=min(max(s, 0.0), 1.0), source="fan") for p, s in zip(found, sure, strict=True)
    ]


# --- points: known already --------------------------------------------------------------------------------------------


def read_points(path: str | PathLike[str]) -> np.ndarray:
    """Landmarks from a file: .npy, (68, 2|3) or (F, 68, 2|3); or iBUG's .pts.

    .pts counts pixels from 1; they are moved to this project's convention (the first pixel's centre is 0).
    Raises LandmarkError for another ending or a file that holds something else.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".npy":
            return np.load(path, allow_pickle=False).astype(np.float32)
        if path.suffix.lower() == ".pts":
            text = path.read_text(encoding="utf-8")
            body = text[text.index("{") + 1 : text.index("}")]
            return np.array([line.split() for line in body.strip().splitlines()], dtype=np.float32) - 1
    except (OSError, ValueError) as error:
        raise LandmarkError(f"{path} cannot be read as landmarks ({error}); give a whole .npy or .pts.") from error
    raise LandmarkError(f"Expected landmarks in a .npy or .pts file, got {path.name}.")


def _given_points(points: Any) -> np.ndarray:
    if points is None:
        raise LandmarkError("The detector 'points' needs points=: an array (68, 2) or (68, 3), or a .npy or .pts file.")
    if isinstance(points, (str, PathLike)):
        points = read_points(points)
    points = np.asarray(getattr(points, "points", points), dtype=np.float32)
    return points[None] if points.ndim == 2 else points
