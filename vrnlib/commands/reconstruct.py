"""``vrn reconstruct``: every face of a photo, or of a folder of photos, as a volume, a surface and pictures."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vrnlib.commands.photos import (
    add_photo_arguments,
    check_photo_arguments,
    each_photo,
    no_face,
    no_photos,
    photo_detector,
)

if TYPE_CHECKING:
    from vrnlib.landmarks.detectors import Detector
    from vrnlib.reconstruct import Networks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to a parser."""
    add_photo_arguments(parser)
    text = "name or file of a VRN's weights: .safetensors of ours, or the released VRN as .pth (default: vrn_open)"
    parser.add_argument("--weights", default="vrn_open", metavar="FILE", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Reconstruct a photo, or the photos of a folder.

    Returns:
        The exit code: 0, or 1 when no photo of a folder could be reconstructed.

    Raises:
        ValueError: a photo, argument or file of weights that is of no use; one sentence.
        OSError: something cannot be read or written; one sentence.
    """
    from vrnlib.images import list_photos, read_photo

    check_photo_arguments(arguments)
    if not arguments.photo.is_dir():
        path = arguments.photo
        image = read_photo(path)  # before the networks: a bad photo should be told at once
        networks, detector_of = load_models(arguments)
        for file in write_faces(image, path, path.stem, networks, detector_of(path), arguments.out):
            print(file)
        return 0

    photos = list_photos(arguments.photo)
    if not photos:
        raise no_photos(arguments.photo)
    networks, detector_of = load_models(arguments)

    def job(image: NDArray[np.uint8], path: Path, name: str) -> None:
        write_faces(image, path, name, networks, detector_of(path), arguments.out)

    skipped = each_photo(photos, job, title="reconstruct")
    print(f"{len(photos) - len(skipped)} of {len(photos)} photos reconstructed into {arguments.out}.")
    return 1 if len(skipped) == len(photos) else 0


def load_models(arguments: argparse.Namespace) -> tuple[Networks, Callable[[Path], Detector]]:
    """The networks and the detector that the arguments name."""
    from vrnlib.reconstruct import open_networks

    networks = open_networks(vrn=arguments.weights, fan=arguments.fan if arguments.detector == "open" else None)
    return networks, photo_detector(arguments, fan=networks.fan)


def write_faces(
    image: NDArray[np.uint8], path: Path, name: str, networks: Networks, detector: Detector, out: Path
) -> list[Path]:
    """Write the results NAME_0.…, NAME_1.… of a photo's faces into a folder.

    Args:
        image: (H, W, 3) uint8 RGB.
        path: where the photo comes from.
        name: what the results are called.
        networks, detector: see `load_models`.
        out: the folder.

    Returns:
        The paths of the results.

    Raises:
        PhotoError: there is no face in it.
        SaveError: the results cannot be written.
    """
    from vrnlib.export import save
    from vrnlib.reconstruct import reconstruct

    found = reconstruct(image, networks=networks, detector=detector)
    if not found:
        raise no_face(path)
    return save(found, out, name, photo_name=path.name)
