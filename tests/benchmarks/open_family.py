"""How good the open networks are: regressor and detector on renders that training never saw, all on photographs.

    python tests/benchmarks/open_family.py [--regressor FILE] [--detector FILE] [--count 300]

Photographs are those of $VRN_ASSETS with the points of $VRN_REFERENCE, which 3DDFA_V2's own mb05 found and which are
not exact themselves. Nothing was trained on them or tuned to them.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from importlib.resources import files
from pathlib import Path

import numpy as np

from tddfa import TDDFA, FaceBoxes
from vrnlib.evaluation.bins import by_yaw, yaw_of
from vrnlib.evaluation.crops import evaluate_crops
from vrnlib.evaluation.pictures import LabelledPicture
from vrnlib.images import read_photo
from vrnlib.landmarks.detectors import detect
from vrnlib.landmarks.ibug import face_box
from vrnlib.metrics import landmark_error_percent
from vrnlib.synthetic.faces import FaceRenderer
from vrnlib.training.composites import Composites
from vrnlib.training.cutouts import Cutouts
from vrnlib.training.data import TEST_SEED
from vrnlib.training.detector import load_detector, recall_by_size

DATA = Path(str(files("tddfa"))) / "data"


def error_percents(points: np.ndarray, truth: np.ndarray) -> list[float]:
    """`landmark_error_percent` of faces (F, 68, 3)."""
    return [round(landmark_error_percent(*pair), 2) for pair in zip(points[..., :2], truth[..., :2], strict=True)]


def regressor_on_renders(regressor: TDDFA, count: int) -> dict:
    """68-point error on held-out renders, boxes from the true landmarks, by yaw."""
    renderer, errors, yaws = FaceRenderer(), [], []
    for index in range(count):
        sample = renderer.sample(TEST_SEED, index, size=192, canvas=320, augment_damage=True)
        parameters, rois = regressor(sample.image, face_box(sample.landmarks)[None])
        points = regressor.reconstruct(parameters, rois, dense=False)[0]
        errors.append(landmark_error_percent(points[:, :2], sample.landmarks[:, :2]))
        yaws.append(yaw_of(sample.parameters))
    return by_yaw(errors, yaws)


def photographs():
    """(name, photo, boxes (F, 5), points (F, 68, 3), yaws (F,) in degrees) of what is at hand."""
    import skimage.data

    reference, photos = Path(os.environ["VRN_REFERENCE"]), Path(os.environ["VRN_ASSETS"]) / "photos"
    for name in ("emma", "trump_hillary", "JianzhuGuo", "astronaut"):
        photo = skimage.data.astronaut() if name == "astronaut" else read_photo(photos / f"{name}.jpg")
        with np.load(reference / f"{name}.npz") as known:
            yield name, photo, known["boxes"], known["sparse"].transpose(0, 2, 1), known["pose_deg"][:, 0]


def on_photographs(regressor: TDDFA, detector: FaceBoxes | None) -> dict:
    """Per photo: the points' error with the official boxes, after a second pass, and what the open detector finds."""
    report = {}
    for name, photo, boxes, truth, _ in photographs():
        points = regressor.reconstruct(*regressor(photo, boxes), dense=False)
        again = regressor.reconstruct(*regressor(photo, list(points), crop_policy="landmark"), dense=False)
        report[name] = {
            "first": error_percents(points, truth),
            "second": error_percents(again, truth),
        }
        if detector is not None:
            found = detector(photo)
            middles = (found[:, :2] + found[:, 2:4]) / 2
            hits = [bool(((middles > box[:2]) & (middles < box[2:4])).all(1).any()) for box in boxes]
            report[name] |= {"faces": len(hits), "found": sum(hits), "boxes": len(found)}
    return report


def whole_way() -> dict:
    """The photographs from the photo to the points, by our detector and our FAN."""
    truths = (
        LabelledPicture(image=photo, faces=points[..., :2], required=np.ones(len(points), bool), yaws=np.abs(yaws))
        for _, photo, _, points, yaws in photographs()
    )
    return evaluate_crops(truths, detect, progress=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regressor", type=Path, default=DATA / "mb05_open.safetensors")
    parser.add_argument("--detector", type=Path, default=DATA / "faceboxes_open.safetensors")
    parser.add_argument("--count", type=int, default=300, help="renders and composites")
    args = parser.parse_args()
    regressor = TDDFA(args.regressor, threads=1)
    report = {"regressor on renders, %": regressor_on_renders(regressor, args.count)}
    detector = None
    if args.detector.is_file():
        detector = FaceBoxes(args.detector, threads=1)
        with tempfile.TemporaryDirectory() as folder:
            cutouts = Cutouts(folder, seed=TEST_SEED, count=min(args.count, 200))
            pictures = Composites(cutouts, seed=0, length=args.count)
            report["detector on composites"] = recall_by_size(load_detector(args.detector), pictures)
    if {"VRN_ASSETS", "VRN_REFERENCE"} <= os.environ.keys():
        report["photographs"] = on_photographs(regressor, detector)
        report["photographs, detector and FAN"] = whole_way()
    print(json.dumps(report, indent=2, default=lambda value: np.asarray(value).tolist()))


if __name__ == "__main__":
    main()
