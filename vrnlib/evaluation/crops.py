"""How many faces a detector finds by itself, and how well it would crop them.

`vrnlib.evaluation.landmarks` tells a detector where to look; here it gets the whole picture. A true face counts as
found when the middle of a found one lies nearer to its own middle than half its size, and as well cropped when its crop
has the right scale within 10 % and, as the crop's 192 pixels go, the right middle within 6. A found face is false when
it is found twice or is no true one, and none that may or may not be found: tiny, covered, or cut off by the border.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tddfa.arrays import Floats
from tddfa.boxes import box_around, box_middles, box_sizes
from vrnlib.crop import FACE_SIZE
from vrnlib.evaluation.bins import YAW_EDGES, bins
from vrnlib.evaluation.pictures import SMALLEST, LabelledPicture
from vrnlib.landmarks import Landmarks
from vrnlib.landmarks.alignment import head_tilts
from vrnlib.metrics import landmark_error_percent

SCALE_WITHIN, MIDDLE_WITHIN = 0.1, 6.0
"""A good crop: part of the scale, and pixels of the 192."""

SIZE_EDGES = (SMALLEST, 64.0, 128.0, 256.0, np.inf)
"""Pixels: square root of the area of the landmarks' box."""

ROLL_EDGES = (0.0, 15.0, 30.0, np.inf)
"""Degrees, without sign."""


class Match(NamedTuple):
    """How a found face compares with the true one; all NaN where nothing was found.

    Attributes:
        error: of the landmarks, in per cent, see `landmark_error_percent`.
        scale: the crop's scale / the right one.
        away: how far its middle lies from the right one, crop pixels.
    """

    error: float
    scale: float
    away: float


def evaluate_crops(
    pictures: Iterable[LabelledPicture],
    find: Callable[[NDArray[np.uint8]], Sequence[Landmarks]],
    *,
    count: int | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """What a detector makes of pictures whose faces are known.

    Args:
        pictures: see `vrnlib.evaluation.pictures`.
        find: from an image (H, W, 3) uint8 RGB to the landmarks of its faces.
        count: how many pictures are expected, for the bar.
        progress: whether a bar is shown.

    Returns:
        The numbers of pictures and faces; of the faces the parts found and well cropped; of the found ones the part
        well cropped and the landmarks' errors in per cent; false faces a picture, where all are known; all but the
        last by the faces' size (pixels), yaw and roll (degrees); and "each": {"yaw", "found", "cropped",
        "error_percent"}, (F,) arrays of the faces, NaN where nobody knows or nothing was found.

    Raises:
        ValueError: there is no face.
    """
    sizes, yaws, tilts, matches = [], [], [], []
    false, seen, complete = 0, 0, True
    for picture in tqdm(pictures, total=count, unit="picture", disable=not progress):
        seen, complete = seen + 1, complete and picture.complete
        found = list(find(picture.image))
        taken = [nearest_face(face.points, picture.faces) for face in found]
        false += len(taken) - len(set(taken) - {None})
        for row in np.flatnonzero(picture.required):
            truth = picture.faces[row]
            sizes.append(float(box_sizes(box_around(truth))))
            yaws.append(picture.yaws[row])
            tilts.append(abs(head_tilts(truth[None])[0]))
            candidates = [compare(face.points, truth) for face, of in zip(found, taken, strict=True) if of == row]
            matches.append(min(candidates, default=Match(np.nan, np.nan, np.nan)))
    if not matches:
        raise ValueError(f"Expected a face in {seen} pictures, got none; take other pictures.")
    error, scale, away = np.array(matches, np.float64).T
    good = (np.abs(scale - 1) <= SCALE_WITHIN) & (away <= MIDDLE_WITHIN)
    hit = ~np.isnan(error)

    def by_group(groups: dict[str, NDArray[np.bool_]]) -> dict[str, Any]:
        return {name: _summary(error[rows], good[rows]) for name, rows in groups.items() if rows.any()}

    return {
        "pictures": seen,
        "faces": len(matches),
        "found": float(hit.mean()),
        "cropped": float(good.mean()),
        "cropped_of_found": float(good[hit].mean()) if hit.any() else None,
        "error_percent": {"mean": float(error[hit].mean()), "median": float(np.median(error[hit]))}
        if hit.any()
        else None,
        "false_per_picture": false / seen if complete else None,
        "size": by_group(bins(sizes, SIZE_EDGES)),
        "yaw": by_group(bins(yaws, YAW_EDGES)),
        "roll": by_group(bins(tilts, ROLL_EDGES)),
        "each": {"yaw": np.array(yaws), "found": hit * 1.0, "cropped": good * 1.0, "error_percent": error},
    }


def _summary(error: NDArray[np.float64], good: NDArray[np.bool_]) -> dict[str, Any]:
    """Numbers of some faces from their errors (F,), NaN where nothing was found, and whether they are well cropped."""
    hit = ~np.isnan(error)
    return {
        "faces": len(error),
        "found": float(hit.mean()),
        "cropped": float(good.mean()),
        "error_percent": float(error[hit].mean()) if hit.any() else None,
    }


def nearest_face(points: Floats, faces: Floats) -> int | None:
    """The row of the face whose middle is nearest to that of the points, when it is near enough: half its size.

    Args:
        points: (68, 2) or (68, 3). faces: (F, 68, 2) in the same pixels.
    """
    if not len(faces):
        return None
    boxes = box_around(faces)
    away = np.linalg.norm(box_middles(boxes) - box_middles(box_around(points)), axis=1)
    row = int(np.argmin(away))
    return row if away[row] < box_sizes(boxes)[row] / 2 else None


def compare(points: Floats, truth: Floats) -> Match:
    """How found points (68, 2|3) compare with the true ones (68, 2) in the same pixels."""
    box, true_box = box_around(points), box_around(truth)
    size = float(box_sizes(true_box))
    away = np.linalg.norm(box_middles(box) - box_middles(true_box)) * FACE_SIZE / size
    error = landmark_error_percent(points[:, :2], truth)
    return Match(error=error, scale=size / max(float(box_sizes(box)), 1e-9), away=float(away))
