"""``vrn crop``: every face of a photo, or of a folder of photos, as the crop that a VRN sees.

Face k of NAME.jpg becomes NAME_k.png, without loss, and NAME_k.json: the landmarks in pixels of the photo and of the
crop, and the matrix that leads from one to the other (`vrnlib.crop.describe_crop`). For a folder ``skipped.csv`` lists
the photos that gave no crop, and why.

Only files that this command wrote itself are replaced or deleted: both kinds carry its mark. So the results may go into
the folder of the photos.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tddfa.files import file_sha256, read_file, write_bytes
from tddfa.images import LARGEST_OWN, png_bytes
from vrnlib.commands.photos import Job, add_photo_arguments, no_face, photo_detector, run_photos
from vrnlib.crop import CROP_SIZE, crop_face, describe_crop, of_more_faces
from vrnlib.landmarks.detectors import Detector
from vrnlib.landmarks.retries import upright

MARK = "vrn crop"
"""What a crop's text chunk "Software" and a .json's "software" say."""

SIZES = range(16, 4097)
"""Sides of crops, in pixels."""


class CropError(ValueError):
    """Crops that cannot be made; the message is one sentence."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to a parser."""
    add_photo_arguments(parser)
    parser.add_argument(
        "--size",
        type=int,
        default=CROP_SIZE,
        metavar="PIXELS",
        help="side of the crops; the face grows with it (default: 192)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Crop the faces of a photo, or of the photos of a folder.

    Returns:
        The exit code 0.

    Raises:
        ValueError: a photo, argument or file of weights that is of no use, or no crop at all; one sentence.
        OSError: something cannot be read or written; one sentence.
    """
    if arguments.size not in SIZES:
        raise CropError(f"Expected a --size of {SIZES[0]} to {SIZES[-1]} pixels, got {arguments.size}.")

    def prepare() -> Job:
        detector_of = photo_detector(arguments)

        def job(image: NDArray[np.uint8], path: Path, name: str) -> list[Path]:
            return crop_photo(image, path, name, detector=detector_of(path), out=arguments.out, size=arguments.size)

        return job

    return run_photos(arguments, prepare, software=MARK, made="cropped")


def crop_photo(
    photo: NDArray[np.uint8], path: Path, name: str, *, detector: Detector, out: Path, size: int = CROP_SIZE
) -> list[Path]:
    """Write NAME_0.png, NAME_0.json, NAME_1.png, … for the faces of a photo, the largest first.

    Args:
        photo: (H, W, 3) uint8 RGB.
        path: where the photo comes from.
        name: what the results are called.
        detector: finds the faces.
        out: the folder for the results.
        size: side of the crops, pixels.

    Returns:
        The paths of the crops.

    Raises:
        PhotoError: there is no face.
        CropError: a file of somebody else's is in the way.
        ValueError: landmarks that cannot be cropped.
        OSError: something cannot be written.
    """
    photo, faces = upright(photo, detector)
    if not faces:
        raise no_face(path)
    stems = [out / f"{name}_{number}" for number in range(len(faces))]
    for file in (stem.with_name(stem.name + ending) for stem in stems for ending in (".png", ".json")):
        if file.exists() and not is_ours(file):
            raise CropError(f"{file} exists and is no result of vrn crop; choose another --out folder.")
    crops, digest = [crop_face(photo, face, size) for face in faces], file_sha256(path)
    stems[0].parent.mkdir(parents=True, exist_ok=True)
    pictures = [stem.with_name(f"{stem.name}.png") for stem in stems]
    tables = [stem.with_name(f"{stem.name}.json") for stem in stems]
    _remove_older(out, name, path.name, len(faces))
    tables[0].unlink(missing_ok=True)  # written last, it says that all of the photo is there
    for number in reversed(range(len(faces))):
        about = {"software": MARK, "crop": pictures[number].name} | describe_crop(
            crops[number],
            faces[number],
            photo_name=path.name,
            photo_size=(photo.shape[1], photo.shape[0]),
            number=number,
            photo_sha256=digest,
        )
        write_bytes(pictures[number], png_bytes(crops[number].image, software=MARK))
        write_bytes(tables[number], (json.dumps(about, indent=1) + "\n").encode("utf-8"))
    return pictures


def is_ours(path: Path) -> bool:
    """Whether this command wrote a .png or .json file."""
    try:
        if path.suffix == ".json":
            return json.loads(read_file(path, largest=LARGEST_OWN, what="a .json"))["software"] == MARK
        if path.suffix != ".png":
            return False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures
            with Image.open(path, formats=["PNG"]) as picture:  # whatever else it is, no other reader is started
                return picture.info.get("Software") == MARK
    except Exception:  # no picture, no JSON, other JSON, not readable, …: in any case not ours
        return False


def _remove_older(out: Path, name: str, photo: str, number: int) -> None:
    """Crops that an earlier run made of more faces of the same photo go."""
    for stem in of_more_faces(out, name, photo, number, MARK):
        if not is_ours(out / f"{stem}.png"):
            return
        for ending in (".png", ".json"):
            (out / f"{stem}{ending}").unlink(missing_ok=True)
