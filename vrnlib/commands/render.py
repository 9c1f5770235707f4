"""``vrn render``: faces of the renderer's endless stream as pairs of crop and volume, single files or shards."""

from __future__ import annotations

import argparse
from pathlib import Path

from tddfa.target_folder import FAILURES
from tddfa.workers import add_worker_arguments, check_worker_arguments
from vrnlib.training.data import TRAIN_SEED
from vrnlib.training.rendering import PairFolder, render_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How many, of which stream, and where to."""
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the pairs")
    parser.add_argument("--count", type=int, default=1000, help="pairs (default 1000)")
    parser.add_argument("--seed", type=int, default=TRAIN_SEED, help="which stream of faces")
    parser.add_argument("--png", action="store_true", help="exact pictures, three times as large")
    text = "write WebDataset shards of so many pairs in place of single files (needs the extra 'train')"
    parser.add_argument("--shards", type=int, metavar="N", help=text)
    add_worker_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Render, or go on where a run was stopped."""
    check_worker_arguments(args)
    if args.seed < 0:
        raise ValueError(f"Expected --seed to be a whole number from 0, got {args.seed}.")
    folder = PairFolder(out=args.out, seed=args.seed, ending=".png" if args.png else ".jpg")
    summary = render_folder(folder, args.count, shards=args.shards, workers=args.workers, dask=args.dask)
    what = "pairs" if args.shards is None else "shards"
    made, kept, failed = len(summary.made), len(summary.kept), len(summary.failures)
    print(f"{made} {what} made, {kept} were there, {failed} failed: {args.out}")
    if failed:
        print(f"reasons: {args.out / FAILURES}")
    return 0 if made or kept else 1
