"""``vrn evaluate``: the measures of `vrnlib.evaluation` on the command line, printed as JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from vrnlib.evaluation import crops, landmarks, pictures, volumes

CROP_DETECTORS = ("open", "tddfa", "fan")
"""Those of `vrnlib.landmarks.detectors` that find faces by themselves."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One subcommand per measure."""
    measures = parser.add_subparsers(title="measures", metavar="MEASURE", dest="measure", required=True)

    text = "a VRN's volumes against rendered faces that training never saw"
    measure = measures.add_parser("volumes", aliases=["iou"], help=text)
    measure.set_defaults(evaluate=evaluate_volumes)
    measure.add_argument("--weights", default="vrn_open", help="a name or a .safetensors file")
    measure.add_argument("--count", type=int, default=500, help="renders")
    measure.add_argument("--no-ensemble", action="store_true", help="show each crop once, see vrnlib.ensemble")

    measure = measures.add_parser("landmarks", help="68 landmarks against labelled photos, e.g. AFLW2000-3D")
    measure.set_defaults(evaluate=evaluate_landmarks)
    text = "aflw2000: as 3DDFA ships it, or photos and .mat; folder: photos with .pts, .npy or .mat"
    measure.add_argument("--dataset", choices=pictures.DATA_SETS, default="aflw2000", help=text)
    measure.add_argument("--root", type=Path, required=True, metavar="DIR", help="where the data set lies")
    measure.add_argument("--detector", choices=landmarks.DETECTORS, default="tddfa")
    text = "tddfa: official, mb1, mb05, resnet22, open or a file; open: a FAN's weights"
    measure.add_argument("--weights", help=text)
    measure.add_argument("--bfm", metavar="FILE", help="tddfa: the face model, if not the one of the weights")
    measure.add_argument("--onnx", action="store_true", help="tddfa: run by ONNX Runtime")
    measure.add_argument("--photos", action="store_true", help="aflw2000: photos and .mat even where crops are there")

    measure = measures.add_parser("crops", help="which faces are found, and how well they are cropped")
    measure.set_defaults(evaluate=evaluate_crops)
    text = "rendered on the spot: portraits, composites, crowds; from --root: aflw2000, folder"
    choices = (*pictures.RENDERED, *pictures.DATA_SETS)
    measure.add_argument("--dataset", choices=choices, default="portraits", help=text)
    measure.add_argument("--count", type=int, default=400, help="rendered pictures")
    measure.add_argument("--root", type=Path, metavar="DIR", help="where the data set lies")
    measure.add_argument("--detector", choices=CROP_DETECTORS, default="open")
    measure.add_argument("--fan", metavar="FILE", help="open: other weights of the FAN")


def run(args: argparse.Namespace) -> int:
    """Print the report of a measure."""
    print(json.dumps(args.evaluate(args), indent=2))
    return 0


def evaluate_volumes(args: argparse.Namespace) -> dict[str, Any]:
    """The report of ``vrn evaluate volumes``."""
    from vrnlib.network import VRN
    from vrnlib.reconstruct import open_networks
    from vrnlib.weight_files import load_network

    network = load_network(args.weights, VRN) if args.no_ensemble else open_networks(vrn=args.weights, fan=None).vrn
    return volumes.evaluate_volumes(network, count=_at_least_one(args.count))


def evaluate_landmarks(args: argparse.Namespace) -> dict[str, Any]:
    """The report of ``vrn evaluate landmarks``."""
    root = _folder(args.root)
    predict = landmarks.predictor(args.detector, weights=args.weights, model=args.bfm, onnx=args.onnx)
    report = {"dataset": args.dataset, "detector": args.detector, "weights": args.weights}
    for name, faces in pictures.data_sets(args.dataset, root, photos=args.photos).items():
        report[name] = landmarks.evaluate_landmarks(faces, predict)
    return report


def evaluate_crops(args: argparse.Namespace) -> dict[str, Any]:
    """The report of ``vrn evaluate crops``."""
    from vrnlib.landmarks.detectors import make_detector

    if (args.dataset in pictures.DATA_SETS) != (args.root is not None):
        names = " or ".join(pictures.DATA_SETS)
        raise ValueError(f"Expected --root with --dataset {names}, and only there; give or leave it out.")
    root, count = args.root and _folder(args.root), _at_least_one(args.count)
    detector = make_detector(args.detector, fan=args.fan)
    if root is not None:
        labelled, expected = pictures.labelled_pictures(args.dataset, root), None
    else:
        labelled, expected = pictures.RENDERED[args.dataset](count), count
    report = crops.evaluate_crops(labelled, detector, count=expected)
    return {"dataset": args.dataset, "detector": args.detector, "fan": args.fan} | report


def _at_least_one(count: int) -> int:
    if count < 1:
        raise ValueError(f"Expected a --count of at least 1, got {count}.")
    return count


def _folder(root: Path) -> Path:
    if not root.is_dir():
        raise NotADirectoryError(f"Expected the data set's folder, {root} is none; check the path.")
    return root
