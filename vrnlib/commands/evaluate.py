"""``vrn evaluate``: the measures of `vrnlib.evaluation` on the command line."""

from __future__ import annotations

import argparse
import json

from vrnlib.ensemble import SeveralLooks
from vrnlib.evaluation import crops, landmarks
from vrnlib.evaluation.volumes import evaluate_iou
from vrnlib.reconstruct import open_networks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    measures = parser.add_subparsers(title="measures", metavar="MEASURE", dest="measure", required=True)
    volumes = measures.add_parser("iou", help="a VRN's volumes against rendered faces that training never saw")
    volumes.add_argument("--weights", default="vrn_open", help="a name or a .safetensors file")
    volumes.add_argument("--count", type=int, default=500, help="renders")
    volumes.add_argument("--one-look", action="store_true", help="without the four looks of vrnlib.ensemble")
    points = measures.add_parser("landmarks", help="68 landmarks against labelled photos, e.g. AFLW2000-3D")
    landmarks.add_arguments(points)
    faces = measures.add_parser("crops", help="which faces are found, and how well they are cropped")
    crops.add_arguments(faces)


def run(args: argparse.Namespace) -> int:
    if args.measure == "landmarks":
        return landmarks.run(args)
    if args.measure == "crops":
        return crops.run(args)
    network = open_networks(vrn=args.weights, fan=None).vrn
    if args.one_look and isinstance(network, SeveralLooks):
        network = network.vrn
    print(json.dumps(evaluate_iou(network, count=args.count), indent=2))
    return 0
