"""What the commands that find faces in photos have in common: arguments, a folder's photos one by one, sentences."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tddfa.console import sentence

#: As in `vrnlib.landmarks` and `vrnlib.landmarks.official`; written out, so that --help need not import them.
DETECTORS = ("open", "fan", "tddfa", "points")

FACE_DETECTORS = ("sfd", "blazeface", "yunet", "retinaface", "scrfd")


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
    """Raises ValueError or OSError (sentences) for arguments that do not fit together."""
    from vrnlib.landmarks import LandmarkError

    if arguments.points is not None and arguments.detector != "points":
        raise LandmarkError("--points needs --detector points; add it.")
    if arguments.points is None and arguments.detector == "points":
        raise LandmarkError("--detector points needs --points FILE or FOLDER; add it.")
    if arguments.out.exists() and not arguments.out.is_dir():
        raise NotADirectoryError(f"{arguments.out} is a file where a folder was expected; name another one for --out.")


def result_names(photos: Sequence[Path]) -> list[str]:
    """A name for each photo's results: without its ending, unless two photos differ only by that (or by case)."""
    stems = Counter(path.stem.casefold() for path in photos)
    names: list[str] = []
    taken: set[str] = set()
    for path in photos:
        ending = f"_{path.suffix[1:].lower()}"
        name = path.stem + ending * (stems[path.stem.casefold()] > 1)
        while name.casefold() in taken:
            name += ending
        taken.add(name.casefold())
        names.append(name)
    return names


def each_photo(
    photos: Sequence[Path], job: Callable[[Any, Path, str], object], *, title: str
) -> list[tuple[Path, str]]:
    """Do a job for each photo of a folder, with a progress bar: job(image, path, name of the results).

    Gives the photos that were skipped with the reason, a ValueError's sentence. An OSError, such as a full disk, ends
    it all.
    """
    from tqdm import tqdm

    from vrnlib.images import read_photo

    skipped = []
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
