"""The command ``generator.py`` or ``vrn targets``: a folder of pictures becomes a folder of volumes.

The work is done in ``tddfa.targets``; here are the arguments and what is printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .console import run_command
from .fitters import FitterChoice
from .images import PhotoError, list_photos, read_photo, tell_left_out
from .target_folder import check_folders
from .targets import make_targets
from .workers import add_worker_arguments, check_worker_arguments

__all__ = ["add_arguments", "main", "run"]

LABELS = (".mat", ".pts", ".npy")
"""What data sets have beside each photo; nobody takes these for photos."""


def main(argv: Sequence[str] | None = None, *, program: str = "generator") -> int:
    """Run the command by itself.

    Args:
        argv: the arguments; None for the process's own.
        program: the name that help and errors begin with.

    Returns:
        The exit code: 0; after one sentence on stderr 1, or 130 for Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog=program, description="Photos become volumes that a VRN learns from.")
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    return run_command(program, lambda: run(arguments))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to a parser."""
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
    add_worker_arguments(parser)
    parser.add_argument("--keep-pairs", action="store_true", help="list picture and volume of each target in pairs.csv")
    text = "also pack the targets as WebDataset shards of so many pairs into DIR/shards (needs the extra 'train'); the "
    text += "single files stay, as a later run goes on from them"
    parser.add_argument("--shards", type=int, metavar="N", help=text)


def run(args: argparse.Namespace) -> int:
    """Make the targets that the arguments ask for.

    Returns:
        The exit code: 0, or 1 when there is not a single target.

    Raises:
        ValueError: no picture, or arguments that do not fit together; one sentence.
        OSError: a folder or file that cannot be used; one sentence.
    """
    check_worker_arguments(args)
    check_folders(args.folder, args.out)
    pictures, left_out = list_photos(args.folder, recursive=True)
    tell_left_out([(path, reason) for path, reason in left_out if path.suffix.lower() not in LABELS])
    if not pictures:
        raise PhotoError(f"{args.folder} holds no photos (JPEG, PNG, TIFF, WebP, …); name another folder.")
    how = "crop" if args.crops else "mat" if args.mat else "photo"
    choice = FitterChoice(how=how, weights=args.checkpoint, model=args.bfm)
    summary = make_targets(
        pictures,
        args.out,
        root=args.folder,
        read=read_photo,
        choice=choice,
        workers=args.workers,
        dask=args.dask,
        keep_pairs=args.keep_pairs,
        shards=args.shards,
    )
    made, kept, failed = len(summary.made), len(summary.kept), len(summary.failures)
    print(f"{made} targets made, {kept} were there, {failed} failed: {args.out}")
    if failed:
        print(f"reasons: {args.out / 'failures.csv'}")
    return 0 if made or kept else 1
