"""``vrn targets``: a folder of pictures becomes a folder of volumes (see `tddfa.targets`)."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from tddfa.fitters import FitterChoice
from tddfa.targets import make_targets
from vrnlib.images import PHOTO_SUFFIXES, PhotoError, read_photo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="photos, also in subfolders; only read")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for volumes and crops")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--crops", action="store_true", help="the pictures are 192 x 192 crops of this project already")
    kind.add_argument(
        "--mat",
        action="store_true",
        help="300W-LP, 300W-3D or AFLW2000-3D: take the parameters of the .mat files beside the photos",
    )
    parser.add_argument("--checkpoint", metavar="NAME|FILE", help="official, mb1, mb05, resnet22, open or a file")
    parser.add_argument("--bfm", metavar="FILE", help="the face model, if not the one of the checkpoint")
    parser.add_argument("-j", "--workers", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--keep-pairs", action="store_true", help="list picture and volume of each target in pairs.csv")


def run(args: argparse.Namespace) -> int:
    if args.workers < 1:
        raise ValueError(f"Expected at least one worker, got {args.workers}; leave -j out for one.")
    if not args.folder.is_dir():
        raise NotADirectoryError(f"Expected a folder of pictures, {args.folder} is none; check the path.")
    pictures = list_pictures(args.folder)
    if not pictures:
        raise PhotoError(f"{args.folder} holds no photos (JPEG, PNG, TIFF, WebP, …); name another folder.")
    choice = FitterChoice(
        how="crop" if args.crops else "mat" if args.mat else "photo",
        weights=args.checkpoint,
        model=args.bfm,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system's stop ends as tidily as Ctrl-C
    summary = make_targets(
        pictures,
        args.out,
        root=args.folder,
        read=read_photo,
        choice=choice,
        workers=args.workers,
        keep_pairs=args.keep_pairs,
    )
    made, kept, failed = len(summary.made), len(summary.kept), len(summary.failures)
    print(f"{made} targets made, {kept} were there, {failed} failed: {args.out}")
    if failed:
        print(f"reasons: {args.out / 'failures.csv'}")
    return 0 if made or kept else 1


def list_pictures(folder: Path) -> list[Path]:
    """The photos of a folder and its subfolders, known by their endings; what is hidden is left out."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
