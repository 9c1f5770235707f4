"""Landmarks that are known already: the files in which data sets bring them, and the detector that gives them."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tddfa.datasets import find_label, read_mat_landmarks
from tddfa.files import check_file
from vrnlib.images import as_photo
from vrnlib.landmarks import LandmarkError, Landmarks, largest_first

POINT_SUFFIXES = (".pts", ".npy", ".mat")
"""Where the 68 points of NAME.jpg are looked for: NAME.pts, else NAME.npy, else NAME.mat; see `find_label`."""


class GivenPoints:
    """The detector of whoever knows the points already: it gives them for whatever photo it is shown.

    Args:
        points: (68, 2|3) or (F, 68, 2|3) photo pixels, a `Landmarks`, or a file, see `read_points`. Of a folder of
            files, `find_points` gives the one of a photo.

    Raises:
        LandmarkError: no points, or wrong ones.

    >>> detector = GivenPoints(np.linspace([10, 20], [110, 65], 68))
    >>> detector(np.zeros((200, 200, 3), np.uint8))
    [Landmarks(float32 (68, 2), box (10, 20, 110, 65), score 1.00, points)]
    """

    name = "points"

    def __init__(self, points: Any) -> None:
        self.faces = largest_first(Landmarks.from_points(one, source=self.name) for one in _as_faces(points))

    def __repr__(self) -> str:
        return f"GivenPoints({len(self.faces)} faces)"

    def __call__(self, image: NDArray[np.uint8], /) -> list[Landmarks]:
        """See `vrnlib.landmarks.detectors.Detector`."""
        as_photo(image)
        return list(self.faces)


def read_points(path: str | PathLike[str]) -> NDArray[np.float32]:
    """Landmarks from a file. Nothing in it is run.

    Args:
        path: .npy: (68, 2|3) or (F, 68, 2|3), pixels counted from 0 already. .pts: iBUG's, counted from 1. .mat: of
            300W-LP, 300W-3D (pt2d; in 300W-LP's folder landmarks pts_3d or pts_2d) or AFLW2000-3D (pt3d_68), counted
            from 1: they were made in MATLAB, whose first pixel is 1, and the data sets' own MATLAB code draws them over
            the photos as they stand.

    Returns:
        (68, 2|3) or (F, 68, 2|3) float32 in this project's pixels (the first pixel's centre is 0).

    Raises:
        LandmarkError: another ending, or a file that holds something else.
    """
    path = Path(path)
    if path.suffix.lower() not in POINT_SUFFIXES:
        raise LandmarkError(f"Expected landmarks in a .pts, .npy or .mat file, got {path.name}.")
    read = {".pts": _read_pts, ".npy": _read_npy, ".mat": read_mat_landmarks}[path.suffix.lower()]
    try:
        points = read(check_file(path, largest=2**30, what="a file of landmarks"))
        if points.dtype.kind not in "fiu":
            raise ValueError(f"{points.dtype}, no numbers")
        if points.ndim not in (2, 3) or points.shape[-2] != 68 or points.shape[-1] not in (2, 3):
            raise ValueError(f"an array {points.shape}, neither (68, 2) nor (68, 3)")
        if len(points) == 0:
            raise ValueError("an array without a face")
        if not np.isfinite(points).all():
            raise ValueError("NaN or infinity")
    except Exception as error:  # a damaged or hostile file can fail in any way
        reason = " ".join(str(getattr(error, "strerror", None) or error).split()).rstrip(".") or type(error).__name__
        raise LandmarkError(
            f"Expected 68 points in {path}, got: {reason}; give a whole .pts, .npy or .mat file."
        ) from error
    return points.astype(np.float32)


def find_points(where: str | PathLike[str], photo: str | PathLike[str]) -> Path:
    """The file with a photo's landmarks.

    Args:
        where: the file itself, or a folder in which it has the photo's name.
        photo: the photo's path.

    Raises:
        LandmarkError: the folder has none.
    """
    where, photo = Path(where), Path(photo)
    if not where.is_dir():
        return where
    found = find_label(photo, where, POINT_SUFFIXES)
    if found is None:
        raise LandmarkError(
            f"Expected the landmarks of {photo.name} in {where} as {photo.stem}.pts, .npy or .mat, found none of them."
        )
    return found


def _as_faces(points: Any) -> NDArray[np.float32]:
    """Points given as an array or a file: (F, 68, 2|3), or what `Landmarks.from_points` will refuse with a sentence."""
    if points is None:
        raise LandmarkError("The detector points needs the points: an array (68, 2) or (68, 3), or a file of them.")
    if isinstance(points, (str, PathLike)):
        points = read_points(points)
    try:
        points = np.asarray(getattr(points, "points", points), dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise LandmarkError(
            f"Expected landmarks as (68, 2) or (68, 3) numbers, got {type(points).__name__}."
        ) from error
    return points if points.ndim == 3 else points[None]


def _read_pts(path: Path) -> NDArray[Any]:
    text = path.read_text(encoding="utf-8")
    if "{" not in text or "}" not in text:
        raise ValueError("a text without { and } about the points")
    body = text[text.index("{") + 1 : text.index("}")]
    return np.array([line.split() for line in body.strip().splitlines()], dtype=np.float64) - 1


def _read_npy(path: Path) -> NDArray[Any]:
    return np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: a header that promises terabytes costs nothing
