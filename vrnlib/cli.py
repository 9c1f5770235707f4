"""The command `vrn`: reconstruct, crop, targets, train, evaluate, doctor."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

#: Commands whose modules bring their own arguments (add_arguments, run); imported only when they are used.
LAZY_COMMANDS = {
    "crop": ("vrnlib.crop_command", "photos → the 192 x 192 crops that a VRN sees"),
    "targets": ("vrnlib.targets_command", "photos → volumes that a VRN learns from"),
    "train": ("vrnlib.train_command", "train a network on rendered faces"),
    "evaluate": ("vrnlib.evaluation", "measure a network, or landmarks"),
    "doctor": ("vrnlib.doctor", "say what is installed and which files are there"),
}
#: As in `vrnlib.landmarks` and `vrnlib.official_fan`; written out, so that --help need not import them.
DETECTORS = ("open", "fan", "tddfa", "points")
FACE_DETECTORS = ("sfd", "blazeface", "yunet", "retinaface", "scrfd")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Gives the exit code: 0, or 1 after one sentence on stderr (argparse exits with 2)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(argv[0] if argv else None)
    arguments = parser.parse_args(argv)
    return told("vrn", lambda: int(arguments.func(arguments) or 0))


def told(program: str, job: Callable[[], int]) -> int:
    """Run a command's job. Its exit code; for an error 1, for Ctrl-C 130, each after one sentence on stderr."""
    try:
        return job()
    except (ValueError, OSError) as error:
        print(f"{program}: {sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{program}: stopped.", file=sys.stderr)
        return 130


def sentence(error: BaseException) -> str:
    """An error's message on one line, or its kind when it has none."""
    text = " ".join(str(error).split())
    return text or type(error).__name__


# --- what commands that find faces in photos have in common -----------------------------------------------------------


def add_photo_arguments(parser: argparse.ArgumentParser) -> None:
    """A photo or a folder, a folder for the results, and where the landmarks come from."""
    parser.add_argument("photo", type=Path, metavar="PHOTO|FOLDER", help="a photo, or a folder of photos; only read")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--detector", default="open", choices=DETECTORS, help="source of the landmarks (default: open)")
    parser.add_argument("--face-detector", default="sfd", choices=FACE_DETECTORS,
                        help="fan: which detector of the package face-alignment finds the faces (default: sfd)")
    parser.add_argument("--points", type=Path, metavar="FILE|FOLDER",
                        help="points: 68 landmarks in a .pts, .npy or .mat file, or a folder with one for every photo")
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


# --- the commands -----------------------------------------------------------------------------------------------------


def _parser(command: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vrn", description="One photo of a face becomes a 3D face.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    one = commands.add_parser("reconstruct", help="photo → 3D face: volume, surface, pictures")
    add_photo_arguments(one)
    one.add_argument("--vrn", default="vrn_open", metavar="WEIGHTS", help="name or path of the VRN's weights")
    one.set_defaults(func=_reconstruct)

    for name, (module, text) in LAZY_COMMANDS.items():
        sub = commands.add_parser(name, help=text)
        if command == name:
            loaded = import_module(module)
            loaded.add_arguments(sub)
            sub.set_defaults(func=loaded.run)
    return parser


def _reconstruct(arguments: argparse.Namespace) -> int:
    from vrnlib.images import list_photos, read_photo

    check_photo_arguments(arguments)
    if not arguments.photo.is_dir():
        photo = read_photo(arguments.photo)  # before the networks: a bad photo should be told at once
        for path in _one_photo(photo, arguments.photo, arguments.photo.stem, _networks(arguments), arguments):
            print(path)
        return 0

    photos = list_photos(arguments.photo)
    if not photos:
        raise no_photos(arguments.photo)
    networks = _networks(arguments)
    job = partial(_one_photo, networks=networks, arguments=arguments)
    skipped = each_photo(photos, job, title="reconstruct")
    print(f"{len(photos) - len(skipped)} of {len(photos)} photos reconstructed into {arguments.out}.")
    return 1 if len(skipped) == len(photos) else 0


def _networks(arguments: argparse.Namespace) -> Any:
    from vrnlib.landmarks import prepare
    from vrnlib.reconstruct import open_networks

    networks = open_networks(vrn=arguments.vrn, fan=arguments.fan if arguments.detector == "open" else None)
    prepare(arguments.detector, fan=networks.fan, face_detector=arguments.face_detector)
    return networks


def _one_photo(photo: Any, path: Path, name: str, networks: Any, arguments: argparse.Namespace) -> list[Path]:
    from vrnlib.landmarks import find_points
    from vrnlib.reconstruct import reconstruct, save

    points = None if arguments.points is None else find_points(arguments.points, path)
    found = reconstruct(
        photo, networks=networks, detector=arguments.detector, points=points, face_detector=arguments.face_detector
    )
    if not found:
        raise no_face(path)
    return save(found, arguments.out, name, photo_name=path.name)


if __name__ == "__main__":
    raise SystemExit(main())
