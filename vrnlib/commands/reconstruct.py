"""``vrn reconstruct``: every face of a photo, or of a folder of photos, as a volume, a surface and pictures."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vrnlib.commands.photos import Job, add_photo_arguments, no_face, photo_detector, run_photos

if TYPE_CHECKING:
    from vrnlib.landmarks.detectors import Detector
    from vrnlib.reconstruct import Networks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to a parser."""
    add_photo_arguments(parser)
    text = "vrn_open (default), vrn_guided_open, vrn_multitask_open, or a file: ours, or the released VRN's .pth"
    parser.add_argument("--weights", default="vrn_open", metavar="FILE", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Reconstruct a photo, or the photos of a folder.

    Returns:
        The exit code 0.

    Raises:
        ValueError: a photo, argument or file of weights that is of no use; one sentence.
        OSError: something cannot be read or written; one sentence.
    """
    from vrnlib.export import MARK

    def prepare() -> Job:
        networks, detector_of = load_models(arguments)

        def job(image: NDArray[np.uint8], path: Path, name: str) -> list[Path]:
            return write_faces(image, path, name, networks, detector_of(path), arguments.out)

        return job

    return run_photos(arguments, prepare, software=MARK, made="reconstructed")


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
    from tqdm import tqdm

    from tddfa.files import file_sha256
    from vrnlib.export import save
    from vrnlib.landmarks.retries import upright
    from vrnlib.reconstruct import reconstruct_faces

    image, faces = upright(image, detector)
    if not faces:
        raise no_face(path)
    bar = tqdm(faces, unit="face", desc=path.name, leave=False, disable=len(faces) < 4)
    surfaces = reconstruct_faces(image, bar, networks=networks)
    return save(surfaces, out, name, photo_name=path.name, photo_sha256=file_sha256(path))
