"""The command `vrn`: reconstruct, targets, train, evaluate, doctor."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

#: Commands whose modules bring their own arguments (add_arguments, run); imported only when they are used.
LAZY_COMMANDS = {
    "targets": ("vrnlib.targets_command", "photos → volumes that a VRN learns from"),
    "train": ("vrnlib.train_command", "train a network on rendered faces"),
    "evaluate": ("vrnlib.evaluation", "measure a network, or landmarks"),
    "doctor": ("vrnlib.doctor", "say what is installed and which files are there"),
}


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


def _parser(command: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vrn", description="One photo of a face becomes a 3D face.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    one = commands.add_parser("reconstruct", help="photo → 3D face: volume, surface, pictures")
    one.add_argument("photo", type=Path, metavar="PHOTO|FOLDER", help="a photo, or a folder of photos")
    one.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    one.add_argument("--detector", default="open", choices=("open", "fan", "points"), help="source of the landmarks")
    one.add_argument("--points", type=Path, metavar="FILE", help="68 landmarks, .npy or .pts, for --detector points")
    one.add_argument("--vrn", default="vrn_open", metavar="WEIGHTS", help="name or path of the VRN's weights")
    one.add_argument("--fan", default="fan_open", metavar="WEIGHTS", help="name or path of the FAN's weights")
    one.set_defaults(func=_reconstruct)

    for name, (module, text) in LAZY_COMMANDS.items():
        sub = commands.add_parser(name, help=text)
        if command == name:
            loaded = import_module(module)
            loaded.add_arguments(sub)
            sub.set_defaults(func=loaded.run)
    return parser


def _reconstruct(arguments: argparse.Namespace) -> int:
    from vrnlib.images import PhotoError, list_photos, read_photo
    from vrnlib.landmarks import LandmarkError
    from vrnlib.reconstruct import open_networks

    if arguments.points is not None and arguments.detector != "points":
        raise LandmarkError("--points needs --detector points; add it.")
    _check_output(arguments.out)
    if not arguments.photo.is_dir():
        photo = read_photo(arguments.photo)  # before the networks: a bad photo should be told at once
        networks = open_networks(vrn=arguments.vrn, fan=arguments.fan if arguments.detector == "open" else None)
        for path in _one_photo(photo, arguments.photo, arguments.photo.stem, networks, arguments):
            print(path)
        return 0

    from tqdm import tqdm

    photos = list_photos(arguments.photo)
    if not photos:
        raise PhotoError(f"{arguments.photo} holds no photos (JPEG, PNG, TIFF, WebP, …); name another folder.")
    networks = open_networks(vrn=arguments.vrn, fan=arguments.fan if arguments.detector == "open" else None)
    stems = Counter(path.stem for path in photos)
    skipped = []
    with tqdm(photos, unit="photo", desc="reconstruct") as bar:
        for path in bar:
            # two photos that differ only in their ending must not overwrite each other's results
            name = path.stem if stems[path.stem] == 1 else f"{path.stem}_{path.suffix[1:].lower()}"
            try:
                _one_photo(read_photo(path), path, name, networks, arguments)
            except ValueError as error:
                skipped.append(sentence(error))
                bar.write(f"skipped: {skipped[-1]}", file=sys.stderr)
    print(f"{len(photos) - len(skipped)} of {len(photos)} photos reconstructed into {arguments.out}.")
    return 1 if len(skipped) == len(photos) else 0


def _one_photo(photo, path: Path, name: str, networks, arguments: argparse.Namespace) -> list[Path]:
    from vrnlib.images import PhotoError
    from vrnlib.reconstruct import reconstruct, save

    found = reconstruct(photo, networks=networks, detector=arguments.detector, points=arguments.points)
    if not found:
        raise PhotoError(f"No face was found in {path}; try a photo in which a face is larger and seen from the front.")
    return save(found, arguments.out, name, photo_name=path.name)


def _check_output(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file where a folder for the results was expected; name another one.")


def sentence(error: BaseException) -> str:
    """An error's message on one line, or its kind when it has none."""
    text = " ".join(str(error).split())
    return text or type(error).__name__


if __name__ == "__main__":
    raise SystemExit(main())
