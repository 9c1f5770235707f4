"""``vrn reconstruct``: every face of a photo, or of a folder of photos, as a volume, a surface and pictures."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from vrnlib.commands.photos import add_photo_arguments, check_photo_arguments, each_photo, no_face, no_photos


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_photo_arguments(parser)
    parser.add_argument("--vrn", default="vrn_open", metavar="WEIGHTS", help="name or path of the VRN's weights")


def run(arguments: argparse.Namespace) -> int:
    from vrnlib.images import list_photos, read_photo

    check_photo_arguments(arguments)
    if not arguments.photo.is_dir():
        photo = read_photo(arguments.photo)  # before the networks: a bad photo should be told at once
        for path in reconstruct_photo(
            photo, arguments.photo, arguments.photo.stem, load_networks(arguments), arguments
        ):
            print(path)
        return 0

    photos = list_photos(arguments.photo)
    if not photos:
        raise no_photos(arguments.photo)
    networks = load_networks(arguments)
    job = partial(reconstruct_photo, networks=networks, arguments=arguments)
    skipped = each_photo(photos, job, title="reconstruct")
    print(f"{len(photos) - len(skipped)} of {len(photos)} photos reconstructed into {arguments.out}.")
    return 1 if len(skipped) == len(photos) else 0


def load_networks(arguments: argparse.Namespace) -> Any:
    from vrnlib.landmarks.detectors import prepare
    from vrnlib.reconstruct import open_networks

    networks = open_networks(vrn=arguments.vrn, fan=arguments.fan if arguments.detector == "open" else None)
    prepare(arguments.detector, fan=networks.fan, face_detector=arguments.face_detector)
    return networks


def reconstruct_photo(photo: Any, path: Path, name: str, networks: Any, arguments: argparse.Namespace) -> list[Path]:
    from vrnlib.landmarks.files import find_points
    from vrnlib.reconstruct import reconstruct, save

    points = None if arguments.points is None else find_points(arguments.points, path)
    found = reconstruct(
        photo, networks=networks, detector=arguments.detector, points=points, face_detector=arguments.face_detector
    )
    if not found:
        raise no_face(path)
    return save(found, arguments.out, name, photo_name=path.name)
