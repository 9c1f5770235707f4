"""Where is the face? 68 landmarks in iBUG's order for every face of a photo, from one of several sources.

"open" (the default) needs nothing but this package: our FaceBoxes proposes boxes, our face-alignment network looks into
them (`vrnlib.landmarks.alignment`). "tddfa": FaceBoxes and 3DDFA_V2's regressor, 68 points in 3D. "fan": the package
face-alignment of FAN's authors (`vrnlib.landmarks.official`). "points": known already (`vrnlib.landmarks.files`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache, lru_cache, partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from vrnlib.images import as_photo
from vrnlib.landmarks import LandmarkError, Landmarks
from vrnlib.landmarks.alignment import points_boxes, possible, refine
from vrnlib.landmarks.files import given_points
from vrnlib.landmarks.official import official_faces, official_fan

DETECTORS = ("open", "fan", "tddfa", "points")
MIN_SCORE = {"open": 0.4, "tddfa": 0.7}
"""Below it a face is left out. On 300 pictures of rendered people 0.4 lets 5 false faces through, on scikit-image's
photos without people none. Of FaceBoxes' own false alarms 0.7 drops half, of the faces one in twenty."""

FINDER_FLOOR = 0.3
"""Boxes that our FaceBoxes proposes to the FAN, which judges them: far less sure than FaceBoxes' usual 0.5."""

#: A finder takes an (H, W, 3) uint8 RGB photo and gives (N, 4|5) boxes x0 y0 x1 y1 as FaceBoxes draws them, from the
#: forehead to the chin (`vrnlib.landmarks.ibug`), and their scores.
Finder = Callable[[np.ndarray], np.ndarray]


def detect(
    image: np.ndarray,
    *,
    detector: str = "open",
    fan: Any = None,
    finder: Finder | None = None,
    regressor: Any = None,
    points: Any = None,
    min_score: float | None = None,
    face_detector: str = "sfd",
) -> list[Landmarks]:
    """The 68 landmarks of every face in a photo, the largest face first; an empty list when there is none.

    Models are loaded once and kept. A network is exported for ONNX Runtime when it is used for the very first time,
    which takes seconds.

    Args:
        image: (H, W, 3) uint8 RGB.
        detector: "open", "tddfa", "fan" (the PyPI package face-alignment) or "points" (given by `points`).
        fan: "open" only: a `vrnlib.network.FAN`, or a path or name of its weights; default "fan_open".
        finder: "open" and "tddfa": proposes boxes; default: FaceBoxes, for "open" with our own weights, for "tddfa"
            with the official ones where they are at hand.
        regressor: "tddfa" only: a `tddfa.TDDFA`; default: official where at hand, else open.
        points: "points" only: (68, 2|3) or (F, 68, 2|3), or a .npy, .pts or .mat file, see `read_points`.
        min_score: "open" and "tddfa": faces with a lower score are left out; default MIN_SCORE.
        face_detector: "fan" only: which of that package's detectors finds the boxes, one of FACE_DETECTORS.

    Raises:
        LandmarkError: unknown names, wrong points, a missing package or download. OSError or another ValueError:
        weights that are missing or damaged. All are sentences.
    """
    image = as_photo(image)
    least = MIN_SCORE.get(detector) if min_score is None else min_score
    if detector == "open":
        finder, fan = finder or open_finder(), _open_fan(fan)
        with one_thread():
            faces = _by_fan(image, fan=fan, finder=finder, least=least)
    elif detector == "tddfa":
        if finder is None or regressor is None:
            usual = tddfa_models()
            finder, regressor = finder or usual[0], regressor or usual[1]
        with one_thread():
            faces = _by_regressor(image, finder=finder, regressor=regressor, least=least)
    elif detector == "fan":
        found = official_faces(image, face_detector=face_detector)
        faces = [Landmarks.from_points(one, score=score, source="fan") for one, score in found]
    elif detector == "points":
        faces = [Landmarks.from_points(one) for one in given_points(points)]
    else:
        raise _unknown(detector)
    return sorted(faces, key=lambda face: -face.size)


def prepare(detector: str, *, fan: Any = None, face_detector: str = "sfd") -> None:
    """Load a detector's models ahead of the first photo, so that what is missing is told at once; see `detect`."""
    if detector == "open":
        _open_fan(fan)
        open_finder()
    elif detector == "tddfa":
        tddfa_models()
    elif detector == "fan":
        official_fan(face_detector)
    elif detector != "points":
        raise _unknown(detector)


def one_thread() -> AbstractContextManager[None]:
    """Torch with one thread inside: it has little to do, and on a busy machine waits for others ten times as long."""
    from tddfa.runtimes import limited_to

    return limited_to(1)


def _unknown(detector: str) -> LandmarkError:
    return LandmarkError(f"Expected a detector out of {', '.join(DETECTORS)}, got {detector!r}.")


# --- open: our FaceBoxes and our FAN ----------------------------------------------------------------------------------


@cache
def open_finder() -> Finder:
    """Our FaceBoxes, trained on rendered faces."""
    import torch

    from tddfa.faceboxes import OPEN_WEIGHTS, FaceBoxes
    from vrnlib.landmarks.pyramid import find_boxes

    faceboxes = FaceBoxes(OPEN_WEIGHTS, runtime="onnx", threads=torch.get_num_threads(), min_score=FINDER_FLOOR)
    return partial(find_boxes, faceboxes)


def _open_fan(fan: Any) -> Any:
    if fan is not None and not isinstance(fan, (str, PathLike)):
        return fan
    from vrnlib.weight_files import weights_path

    path = weights_path("fan_open" if fan is None else fan)
    return _loaded_fan(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _loaded_fan(path: Path, changed: int) -> Any:
    """The FAN of a file; `changed` is when it was written, so that weights trained anew are loaded anew."""
    from vrnlib.landmarks.onnx_fan import QuickFAN
    from vrnlib.network import FAN
    from vrnlib.weight_files import load_network

    network = load_network(path)
    if not isinstance(network, FAN):
        raise LandmarkError(f"Expected the weights of a FAN, {path} holds a {type(network).__name__}; name others.")
    return QuickFAN(network)


def _by_fan(image: np.ndarray, *, fan: Any, finder: Finder, least: float) -> list[Landmarks]:
    points, scores = refine(image, finder(image), fan, least=least)
    found = [
        Landmarks.from_points(one, score=float(score), source="open")
        for one, score in zip(points, scores, strict=True)
        if score >= max(least, 1e-9)
    ]
    return _drop_doubles(found)


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


# --- tddfa: FaceBoxes and 3DDFA_V2's regressor ------------------------------------------------------------------------


@cache
def tddfa_models() -> tuple[Finder, Any]:
    """FaceBoxes and the regressor, official where their files are at hand when this is first asked for, else open."""
    import torch

    from tddfa import TDDFA, FaceBoxes

    threads = torch.get_num_threads()
    finder = FaceBoxes(runtime="onnx", threads=threads, min_score=FINDER_FLOOR)
    return finder, TDDFA(runtime="onnx", threads=threads)


def _by_regressor(image: np.ndarray, *, finder: Finder, regressor: Any, least: float) -> list[Landmarks]:
    """Two looks: at the finder's box, then at the points found there; the second makes the error a tenth smaller."""
    boxes = np.asarray(finder(image), np.float64)
    if not len(boxes):
        return []
    scores = boxes[:, 4] if boxes.shape[1] > 4 else np.ones(len(boxes))
    rows = np.flatnonzero((scores >= least) & possible(boxes, image))
    points = regressor.reconstruct(*regressor(image, boxes[rows]), dense=False)
    sane = possible(points_boxes(points), image)
    rows, points = rows[sane], points[sane]
    points = regressor.reconstruct(*regressor(image, list(points), crop_policy="landmark"), dense=False)
    return [
        Landmarks.from_points(one, score=float(scores[row]), source="tddfa")
        for one, row in zip(points, rows, strict=True)
    ]
