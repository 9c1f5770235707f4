"""What the commands that find faces in photos have in common: arguments, a folder's photos one by one, sentences."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tddfa.console import sentence
from tddfa.files import result_names

if TYPE_CHECKING:
    from vrnlib.landmarks.detectors import Detector

DETECTORS = ("open", "fan", "tddfa", "points")
"""As in `vrnlib.landmarks.detectors`; written out, so that --help need not import it."""

FACE_DETECTORS = ("sfd", "blazeface", "yunet", "retinaface", "scrfd")
"""As in `vrnlib.landmarks.official`."""


def add_photo_arguments(parser: argparse.ArgumentParser) -> None:
    """A photo or a folder, a folder for the results, and where the landmarks come from."""
    parser.add_argument("photo", type=Path, metavar="PHOTO|FOLDER", help="a photo, or a folder of photos; only read")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--detector", default="open", choices=DETECTORS, help="source of the landmarks (default: open)")
    parser.add_argument(
        "--face-detector",
        default="sfd",
        choices=FACE_DETECTORS,
        help="fan: which detector of the package face-alignment finds the faces (default: sfd)",
    )
    parser.add_argument(
        "--points",
        type=Path,
        metavar="FILE|FOLDER",
        help="points: 68 landmarks in a .pts, .npy or .mat file, or a folder with one for every photo",
    )
    parser.add_argument("--fan", default="fan_open", metavar="WEIGHTS", help="open: name or path of the FAN's weights")


def check_photo_arguments(arguments: argparse.Namespace) -> None:
    """Refuse arguments that do not fit together.

    Raises:
        LandmarkError: points without --detector points, or the other way round.
        NotADirectoryError: the folder for the results is a file.
    """
    from vrnlib.landmarks import LandmarkError

    if arguments.points is not None and arguments.detector != "points":
        raise LandmarkError("--points needs --detector points; add it.")
    if arguments.points is None and arguments.detector == "points":
        raise LandmarkError("--detector points needs --points FILE or FOLDER; add it.")
    if arguments.out.exists() and not arguments.out.is_dir():
        raise NotADirectoryError(f"{arguments.out} is a file where a folder was expected; name another one for --out.")


def photo_detector(arguments: argparse.Namespace, *, fan: Any = None) -> Callable[[Path], Detector]:
    """The detector that the arguments name, with its models loaded, for each photo by its path.

    It is the same for all photos, unless their points are given.

    Args:
        arguments: see `add_photo_arguments`.
        fan: a loaded FAN for the detector "open"; default the weights that the arguments name.

    Raises:
        LandmarkError: a missing package or download; for a photo, its points are missing or wrong.
        OSError: weights that are missing.
        ValueError: weights that are damaged or another network's.
    """
    from vrnlib.landmarks.detectors import make_detector
    from vrnlib.landmarks.files import find_points

    name = arguments.detector
    if name == "points":
        return lambda photo: make_detector(name, points=find_points(arguments.points, photo))
    fan = arguments.fan if fan is None else fan
    detector = make_detector(name, fan=fan, face_detector=arguments.face_detector)
    return lambda photo: detector


def each_photo(
    photos: Sequence[Path], job: Callable[[NDArray[np.uint8], Path, str], object], *, title: str
) -> list[tuple[Path, str]]:
    """Do a job for each photo of a folder, with a progress bar.

    Args:
        photos: their paths.
        job: is called with the image (H, W, 3) uint8 RGB, its path, and the name of its results.
        title: stands before the bar.

    Returns:
        The photos that were skipped, each with the reason, a ValueError's sentence.

    Raises:
        OSError: such as a full disk; it ends it all.
    """
    from tqdm import tqdm

    from vrnlib.images import read_photo

    skipped: list[tuple[Path, str]] = []
    with tqdm(photos, unit="photo", desc=title) as bar:
        for path, name in zip(bar, result_names(photos), strict=True):
            try:
                job(read_photo(path), path, name)
            except ValueError as error:
                skipped.append((path, sentence(error)))
                bar.write(f"skipped: {skipped[-1][1]}", file=sys.stderr)
    return skipped


def no_face(path: Path) -> ValueError:
    """The error of a photo in which nothing was found."""
    from vrnlib.images import PhotoError

    return PhotoError(f"No face was found in {path}; try a photo in which a face is larger or better lit.")


def no_photos(folder: Path) -> ValueError:
    """The error of a folder without photos."""
    from vrnlib.images import PhotoError

    return PhotoError(f"{folder} holds no photos (JPEG, PNG, TIFF, WebP, …); name another folder.")
