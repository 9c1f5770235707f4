"""What the commands that find faces in photos have in common: arguments, photos one by one, what was skipped."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tddfa.console import sentence
from tddfa.files import result_names
from tddfa.target_folder import write_table

if TYPE_CHECKING:
    from vrnlib.landmarks import Landmarks
    from vrnlib.landmarks.detectors import Detector

DETECTORS = ("open", "fan", "tddfa", "points")
"""As in `vrnlib.landmarks.detectors`; written out, so that --help need not import it."""

FACE_DETECTORS = ("sfd", "blazeface", "yunet", "retinaface", "scrfd")
"""As in `vrnlib.landmarks.official`."""

SKIPPED, SKIPPED_HEADER = "skipped.csv", ("photo", "reason")
"""The list of files without a result: its name and its first row."""

ENDS_ALL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.EACCES, errno.EPERM)
"""Errors of the system that the next photo would meet, too."""


def add_photo_arguments(parser: argparse.ArgumentParser) -> None:
    """Photos or folders, a folder for the results, where the landmarks come from, and which faces are wanted."""
    parser.add_argument(
        "photos", type=Path, nargs="+", metavar="PHOTO|FOLDER", help="photos, or folders of photos; only read"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--recursive", action="store_true", help="the photos of a folder's subfolders, too")
    parser.add_argument("--resume", action="store_true", help="leave out photos whose results are there")
    parser.add_argument("--max-faces", type=int, metavar="N", help="only the N largest faces of a photo")
    parser.add_argument("--min-score", type=float, metavar="S", help="only faces with at least this score, 0 to 1")
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
        ValueError: points without --detector points or the other way round, one file of points for several photos, or
            a number out of its range.
        NotADirectoryError: the folder for the results is a file.
    """
    from vrnlib.landmarks import LandmarkError

    if arguments.points is not None and arguments.detector != "points":
        raise LandmarkError("--points needs --detector points; add it.")
    if arguments.points is None and arguments.detector == "points":
        raise LandmarkError("--detector points needs --points FILE or FOLDER; add it.")
    if arguments.points is not None and arguments.points.is_file() and not one_photo(arguments):
        raise LandmarkError(
            f"{arguments.points} holds the points of one photo; for several name a folder with a file for each of them."
        )
    if arguments.max_faces is not None and arguments.max_faces < 1:
        raise ValueError(f"--max-faces must be at least 1, got {arguments.max_faces}.")
    if arguments.min_score is not None and not 0 <= arguments.min_score <= 1:
        raise ValueError(f"--min-score must be between 0 and 1, got {arguments.min_score}.")
    if arguments.out.exists() and not arguments.out.is_dir():
        raise NotADirectoryError(f"{arguments.out} is a file where a folder was expected; name another one for --out.")


def one_photo(arguments: argparse.Namespace) -> bool:
    """Whether a single photo is named: its errors are the command's, and nothing is listed."""
    return len(arguments.photos) == 1 and not arguments.photos[0].is_dir()


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
        return lambda photo: _Wanted(make_detector(name, points=find_points(arguments.points, photo)), arguments)
    fan = arguments.fan if fan is None else fan
    detector = _Wanted(
        make_detector(name, fan=fan, face_detector=arguments.face_detector, min_score=arguments.min_score), arguments
    )
    return lambda photo: detector


class _Wanted:
    """A detector that gives only the faces that --max-faces and --min-score let through."""

    def __init__(self, detector: Detector, arguments: argparse.Namespace) -> None:
        self.detector, self.name = detector, detector.name
        self.most, self.least = arguments.max_faces, arguments.min_score or 0.0

    def __call__(self, image: NDArray[np.uint8], /) -> list[Landmarks]:
        return [face for face in self.detector(image) if face.score >= self.least][: self.most]


@dataclass(frozen=True)
class Chosen:
    """The photos that a command line names.

    Attributes:
        photos: their paths.
        names: what the results of each are called; with --recursive, the way from the folder included.
        left_out: files of the folders that are no photos, each with the reason.
    """

    photos: list[Path]
    names: list[str]
    left_out: list[tuple[Path, str]]


def choose_photos(arguments: argparse.Namespace) -> Chosen:
    """The photos and folders of the command line as photos; says on stderr what is left out.

    Raises:
        PhotoError: there is no photo.
    """
    from vrnlib.images import PhotoError, list_photos

    photos: list[Path] = []
    left_out: list[tuple[Path, str]] = []
    for path in arguments.photos:
        if path.is_dir():
            found, others = list_photos(path, recursive=arguments.recursive)
            photos += found
            left_out += [(other, reason) for other, reason in others if not _goes_with_a_result(other)]
        elif path not in photos:
            photos.append(path)
    if not photos:
        folders = " and ".join(str(path) for path in arguments.photos)
        more = f" ({len(left_out)} other files)" if left_out else ""
        raise PhotoError(f"{folders} holds no photos (JPEG, PNG, TIFF, WebP, …){more}; name another folder.")
    root = arguments.photos[0] if arguments.recursive and len(arguments.photos) == 1 else None
    if left_out:
        some = ", ".join(f"{path.name} ({reason})" for path, reason in left_out[:4])
        more = f" and {len(left_out) - 4} more" if len(left_out) > 4 else ""
        print(f"left out: {some}{more}", file=sys.stderr)
    return Chosen(photos, result_names(photos, root=root), left_out)


Job = Callable[[NDArray[np.uint8], Path, str], Sequence[Path]]
"""Is called with a photo's image (H, W, 3) uint8 RGB, its path, and the name of its results; gives their paths."""


def run_photos(arguments: argparse.Namespace, prepare: Callable[[], Job], *, software: str, made: str) -> int:
    """Do a job for each photo of the command line.

    Of a single photo an error is the command's. Of several, or a folder, each that fails is skipped, and a table of all
    that has no result (`SKIPPED`) is written.

    Args:
        arguments: see `add_photo_arguments`.
        prepare: loads the models and gives the job; is called when there is a photo.
        software: as in the results' .json.
        made: what becomes of a photo, for the summary.

    Returns:
        The exit code 0.

    Raises:
        ValueError: a photo or argument that is of no use, or no result at all; one sentence.
        OSError: something that the next photo would meet, too, such as a full disk; one sentence.
    """
    from tddfa.staging import finish_killed
    from vrnlib.crop import described_photo
    from vrnlib.images import PhotoError, read_photo

    check_photo_arguments(arguments)
    finish_killed(arguments.out)

    def done(path: Path, name: str) -> bool:
        return arguments.resume and described_photo(arguments.out / f"{name}_0.json", software) == path.name

    if one_photo(arguments):
        path = arguments.photos[0]
        if not done(path, path.stem):
            image = read_photo(path)  # before the models: a bad photo should be told at once
            for file in prepare()(image, path, path.stem):
                print(file)
        return 0
    chosen = choose_photos(arguments)
    listing = arguments.out / SKIPPED
    check_listing(listing)
    named = list(zip(chosen.photos, chosen.names, strict=True))
    todo = [(path, name) for path, name in named if not done(path, name)]
    skipped = _each_photo(todo, prepare(), title=made) if todo else []
    write_listing(listing, [*chosen.left_out, *skipped])
    count, kept = len(named), len(named) - len(todo)
    if len(skipped) == count:
        raise PhotoError(f"None of the {count} photos could be {made}; {listing} says why.")
    there = f", {kept} of them before" if kept else ""
    print(f"{count - len(skipped)} of {count} photos {made} into {arguments.out}{there}.")
    if skipped:
        print(f"reasons: {listing}")
    return 0


def _each_photo(photos: Sequence[tuple[Path, str]], job: Job, *, title: str) -> list[tuple[Path, str]]:
    """Do a job for each photo and name, with a bar; gives the photos that were skipped, each with the reason."""
    from tqdm import tqdm

    from vrnlib.images import read_photo

    skipped: list[tuple[Path, str]] = []
    with tqdm(photos, unit="photo", desc=title) as bar:
        for path, name in bar:
            try:
                job(read_photo(path), path, name)
            except (ValueError, OSError) as error:
                if _ends_all(error):
                    raise
                skipped.append((path, sentence(error)))
                bar.write(f"skipped: {skipped[-1][1]}", file=sys.stderr)
    return skipped


def check_listing(path: Path) -> None:
    """FileExistsError when somebody else's file has the listing's name."""
    if not path.exists():
        return
    header = ",".join(SKIPPED_HEADER).encode() + b"\n"
    if not path.is_file() or not path.read_bytes().startswith(header):
        raise FileExistsError(f"{path} exists and is no list of skipped photos; choose another --out folder.")


def write_listing(path: Path, skipped: Sequence[tuple[Path, str]]) -> None:
    """A table of files and the reasons why they have no result; a name that is no UTF-8 is written with \\x escapes."""
    rows = [(os.fsencode(photo.name).decode("utf-8", "backslashreplace"), reason) for photo, reason in skipped]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, SKIPPED_HEADER, rows)


def no_face(path: Path) -> ValueError:
    """The error of a photo in which nothing was found."""
    from vrnlib.images import PhotoError

    return PhotoError(
        f"No face was found in {path}, nor when it was mirrored, brighter, larger, smaller or turned; try a photo in "
        "which a face is larger or better lit, or a lower --min-score, such as 0.2."
    )


def _goes_with_a_result(path: Path) -> bool:
    """Whether a file without a picture is one of ours, too: nobody took it for a photo."""
    if path.name == SKIPPED:
        return True
    from vrnlib.crop import described_photo

    return path.suffix != ".png" and described_photo(path.with_suffix(".json")) is not None


def _ends_all(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is of the kind that the next photo would meet, too."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in ENDS_ALL:
            return True
        error = error.__cause__
    return False
