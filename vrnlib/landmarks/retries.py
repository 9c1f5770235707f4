"""Another look at a photo: where no face was found, where a box was refused, and where heads may stand on their side.

A face detector misses what a small change of the photo shows it: the mirror image, brighter shadows, the photo larger
or smaller. And it is easily deceived by a photo that lies on its side or stands on its head: forehead and chin, upside
down, look like another face. There the score is low, or the head leans by a quarter turn, and the photo is looked at in
all four ways.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from tddfa.arrays import Floats
from tddfa.console import Note
from tddfa.faceboxes import LARGEST
from vrnlib.images import as_photo
from vrnlib.landmarks import Landmarks
from vrnlib.landmarks.alignment import head_tilts, mirrored_points

if TYPE_CHECKING:
    from vrnlib.landmarks.detectors import Detector

Photo = NDArray[np.uint8]
Look = Callable[[Photo], list[Landmarks]]

GAMMA = 0.7
"""Values to this power are brighter, most of all the dark ones."""

SIZES = (2.0, 0.7)
"""How much larger and smaller than a face detector saw the photo."""

SURE = 0.7
"""A face with this score stands upright: nearly all do that have it, and hardly any of those on their head."""

SURE_BY_DETECTOR = {"tddfa": 0.85, "points": 0.0}
"""Where it is another: FaceBoxes' own scores are higher (`tests/benchmarks/turned.py`), given points always right."""

GAIN = 0.1
"""By how much the best score must be better in a turned photo; upright photos are the rule."""

BELIEVED = 0.7
"""What a face detector is so sure of is looked at again, when the FAN finds no landmarks in it."""

NEARBY = ((-0.2, 0, 0), (0.2, 0, 0), (0, -0.2, 0), (0, 0.2, 0), (0, 0, -0.25), (0, 0, 0.3))
"""Other boxes for such a face: parts of its size, by which they lie to the right, further down, and are larger."""

LYING = 55.0
"""Degrees. Heads that lean more than that are turned upright; VRN and FAN learnt those up to 45."""


def look_again(image: Photo, look: Look) -> list[Landmarks]:
    """The faces of a photo in which a detector saw none: mirrored, brighter, larger, smaller, until it sees some.

    Args:
        image: (H, W, 3) uint8 RGB.
        look: the detector's one look at a photo.

    Returns:
        In pixels of this image; an empty list where no view shows a face.
    """
    for view, to_image in _views(image):
        faces = look(view)
        if faces:
            return [Landmarks.from_points(to_image(one.points), score=one.score, source=one.source) for one in faces]
    return []


def _views(image: Photo) -> Iterator[tuple[Photo, Callable[[Floats], Floats]]]:
    """Changed photos, and what leads their points (68, 2|3) back to the photo."""
    yield np.ascontiguousarray(image[:, ::-1]), lambda points: mirrored_points(points, image.shape[1])
    brighter = np.rint(255 * (np.arange(256) / 255) ** GAMMA).astype(np.uint8)
    yield brighter[image], lambda points: points
    height, width = image.shape[:2]
    seen = min(1.0, LARGEST[0] / height, LARGEST[1] / width)  # the scale at which a face detector sees the photo
    for factor in SIZES:
        if factor > 1 and seen < 1:
            continue  # larger than that it would not see it; the pyramid did
        side = max(1, round(width * seen * factor)), max(1, round(height * seen * factor))
        method = cv2.INTER_LINEAR if factor > 1 else cv2.INTER_AREA
        scale = np.array([side[0] / width, side[1] / height, (side[0] / width + side[1] / height) / 2])

        def back(points: Floats, scale: Floats = scale) -> Floats:
            moved = points / scale[: points.shape[1]]
            moved[:, :2] += 0.5 / scale[:2] - 0.5  # pixel centres lie at integers in both
            return moved

        yield cv2.resize(image, side, interpolation=method).astype(np.uint8, copy=False), back


def nearby_boxes(boxes: Floats) -> Floats:
    """Boxes about each of some boxes (N, 4|5): a part aside, larger, smaller; (N, len(NEARBY), 4|5)."""
    sizes = np.sqrt(np.prod(boxes[:, 2:4] - boxes[:, :2], axis=1))
    moved = np.repeat(boxes[:, None], len(NEARBY), axis=1)
    for column, (right, down, larger) in enumerate(NEARBY):
        grown = sizes[:, None] * larger / 2 * np.array([-1, -1, 1, 1])
        moved[:, column, :4] += sizes[:, None] * np.array([right, down, right, down]) + grown
    return moved


def upright(image: Photo, detector: Detector) -> tuple[Photo, list[Landmarks]]:
    """A photo, turned so that its faces stand upright, and these faces, the largest first.

    Nothing is turned where the faces are found at once, as in nearly all photos. When the photo is turned, a
    `tddfa.console.Note` says so.

    Args:
        image: (H, W, 3) uint8 RGB.
        detector: see `vrnlib.landmarks.detectors`; given points are taken as they are.

    Returns:
        The photo, (H, W, 3) or (W, H, 3), and its faces in its pixels; their ``turned`` says how it was turned.

    Raises:
        PhotoError: no photo, or one that is too small.
    """
    image = as_photo(image)
    faces = detector(image)
    if _upright_score(faces) >= SURE_BY_DETECTOR.get(detector.name, SURE):
        return image, faces
    ways = [(_upright_score(faces) + GAIN, 0, image, faces)]
    for turns in (1, 3, 2):
        view = np.ascontiguousarray(np.rot90(image, turns))
        found = detector(view)
        ways.append((_upright_score(found), turns, view, [replace(face, turned=turns) for face in found]))
    score, turns, view, found = max(ways, key=lambda way: way[0])
    if not turns:
        return image, [face for face in faces if not _lies(face)]
    if score <= 0:
        return image, []
    words = {1: "a quarter turn to the left", 2: "a half turn", 3: "a quarter turn to the right"}
    warnings.warn(Note(f"The photo was given {words[turns]}, so that its face stands upright."), stacklevel=2)
    return view, found


def _upright_score(faces: list[Landmarks]) -> float:
    """The best score of the faces that do not lie on their side; 0 where there are none."""
    return max((face.score for face in faces if not _lies(face)), default=0.0)


def _lies(face: Landmarks) -> bool:
    return bool(abs(head_tilts(face.points[None])[0]) > LYING)
