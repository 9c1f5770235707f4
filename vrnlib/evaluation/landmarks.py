"""``vrn evaluate landmarks``: how far 68 landmarks lie from the true ones, by yaw, as in 3DDFA's papers.

The error of a face (NME) is the mean distance of its 68 points in the picture / sqrt(w h), w x h being the bounding
box of the true points. Faces are sorted by their yaw, without sign, into 0-30, 30-60 and 60-90 degrees; the figure that
papers print as "mean" is the mean of the three bins' means (Zhu et al., CVPR 2016; Guo et al., ECCV 2020).

Every detector is told where the face is, by the true points' box, as in those papers; only ``fan`` looks for itself.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tddfa.boxes import box_around
from tddfa.datasets import CROP_LIST, CROP_SIDE, LabelledFace, aflw2000_crops, aflw2000_images, read_mat
from vrnlib.images import PHOTO_SUFFIXES, read_photo
from vrnlib.landmarks import LandmarkError, alignment
from vrnlib.landmarks.detectors import Detector, FaceAlignmentDetector
from vrnlib.landmarks.files import POINT_SUFFIXES, read_points

YAW_BINS = {"0-30": (-1.0, 30.0), "30-60": (30.0, 60.0), "60-90": (60.0, np.inf)}
"""Degrees: above the first number, up to the second. As in the benchmark, what lies beyond 90 counts as 60-90."""

DETECTORS = ("tddfa", "open", "fan")

Predictor = Callable[[np.ndarray, LabelledFace], "np.ndarray | None"]
"""From an image and its face to (68, 2|3) points in pixels of the image; None when no face is found."""


def landmark_error(points: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance of (68, 2) points from the true ones / sqrt(w h) of the true ones' box.

    Raises ValueError for other shapes, or true points without a box.
    """
    points, truth = np.asarray(points, np.float64), np.asarray(truth, np.float64)
    if points.shape != (68, 2) or truth.shape != (68, 2):
        raise ValueError(f"Expected points and truth as (68, 2), got {points.shape} and {truth.shape}.")
    area = float(np.prod(np.ptp(truth, axis=0)))
    if not area > 0:
        raise ValueError("Expected true points that span a box, got one without area; check the data set.")
    return float(np.linalg.norm(points - truth, axis=1).mean() / np.sqrt(area))


def by_yaw(errors: Sequence[float], yaws: Sequence[float | None]) -> dict[str, Any]:
    """Errors in per cent: over all faces, and, where every yaw is known, per bin with the bins' mean and deviation.

    A bin without faces is None, and so are the mean and the deviation then.
    """
    values = 100 * np.asarray(errors, np.float64)
    report: dict[str, Any] = {"all": float(values.mean())}
    if any(yaw is None for yaw in yaws):
        return report
    turned = np.abs(np.asarray(yaws, np.float64))
    inside = {name: (turned > low) & (turned <= high) for name, (low, high) in YAW_BINS.items()}
    means = [float(values[rows].mean()) if rows.any() else None for rows in inside.values()]
    complete = None not in means
    report |= dict(zip(inside, means, strict=True))
    report["mean"] = float(np.mean(means)) if complete else None
    report["std"] = float(np.std(means)) if complete else None
    report["faces"] = {name: int(rows.sum()) for name, rows in inside.items()}
    return report


def evaluate_landmarks(faces: Sequence[LabelledFace], predict: Predictor, *, progress: bool = True) -> dict[str, Any]:
    """The error of a detector on labelled faces: {"count", "missing", "nme_percent": see `by_yaw`}.

    Faces for which nothing is found are counted as missing and are in no mean. Raises ValueError when none is found.
    """
    errors, yaws = [], []
    for face in tqdm(faces, unit="face", disable=not progress):
        points = predict(read_photo(face.path), face)
        if points is not None:
            errors.append(landmark_error(face.to_photo(points), face.truth))
            yaws.append(face.yaw)
    if not errors:
        raise ValueError(f"Expected landmarks on at least one of {len(faces)} faces, got none; try another detector.")
    return {"count": len(faces), "missing": len(faces) - len(errors), "nme_percent": by_yaw(errors, yaws)}


def predictor(detector: str, *, weights: str | None = None, model: str | None = None, onnx: bool = False) -> Predictor:
    """A detector by its name: "tddfa" (weights and model as in `tddfa.TDDFA`), "open" (our FAN) or "fan"."""
    if detector == "tddfa":
        from tddfa import TDDFA, MorphableModel

        loaded = None if model is None else MorphableModel.load(model)
        regressor = TDDFA(weights, model=loaded, runtime="onnx" if onnx else "torch")
        return lambda image, face: _fit(regressor, image, face)
    if detector == "open":
        from vrnlib.weight_files import load_network

        fan = load_network(weights or "fan_open")
        return lambda image, face: _align(fan, image, face)
    if detector == "fan":
        official = FaceAlignmentDetector()
        return lambda image, face: _nearest(official, image, face)
    raise LandmarkError(f"Expected a detector out of {', '.join(DETECTORS)}, got {detector!r}.")


def labelled_folder(root: Path) -> list[LabelledFace]:
    """The photos under a folder with 68 points beside them, in NAME.pts, NAME.npy or NAME.mat.

    Raises ValueError when there are none, or a file of points holds something else.
    """
    faces = []
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() not in PHOTO_SUFFIXES:
            continue
        beside = [path.with_suffix(ending) for ending in POINT_SUFFIXES if path.with_suffix(ending).is_file()]
        if not beside:
            continue
        if beside[0].suffix == ".mat":
            labels = read_mat(beside[0])
            points, yaw = labels.landmarks, labels.yaw
        else:
            points, yaw = read_points(beside[0]), None
        if points is None or points.ndim != 2 or len(points) != 68 or points.shape[1] not in (2, 3):
            raise LandmarkError(f"Expected 68 points in {beside[0]}, got other data; take the file away or mend it.")
        faces.append(LabelledFace(path, points[:, :2].astype(np.float64), yaw))
    if not faces:
        raise LandmarkError(f"Expected photos with .pts, .npy or .mat files beside them in {root}, got none.")
    return faces


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dataset",
        choices=("aflw2000", "folder"),
        default="aflw2000",
        help="aflw2000: as 3DDFA ships it, or photos and .mat; folder: photos with .pts, .npy or .mat",
    )
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="where the data set lies")
    parser.add_argument("--detector", choices=DETECTORS, default="tddfa")
    parser.add_argument("--weights", help="tddfa: official, mb1, mb05, resnet22, open or a file; open: a FAN's weights")
    parser.add_argument("--bfm", metavar="FILE", help="tddfa: the face model, if not the one of the weights")
    parser.add_argument("--onnx", action="store_true", help="tddfa: run by ONNX Runtime")
    parser.add_argument("--photos", action="store_true", help="aflw2000: photos and .mat even where crops are there")


def run(args: argparse.Namespace) -> int:
    if not args.root.is_dir():
        raise NotADirectoryError(f"Expected the data set's folder, {args.root} is none; check the path.")
    predict = predictor(args.detector, weights=args.weights, model=args.bfm, onnx=args.onnx)
    report = {"dataset": args.dataset, "detector": args.detector, "weights": args.weights}
    for name, faces in data_sets(args.dataset, args.root, photos=args.photos).items():
        report[name] = evaluate_landmarks(faces, predict)
    print(json.dumps(report, indent=2))
    return 0


def data_sets(dataset: str, root: Path, *, photos: bool = False) -> dict[str, list[LabelledFace]]:
    """The faces of a data set by the name of their labels. 3DDFA's crops are taken where they are there."""
    if dataset == "folder":
        return {"folder": labelled_folder(root)}
    if photos or not any((folder / CROP_LIST).is_file() for folder in (root, root / "test.data")):
        return {"photos": aflw2000_images(root)}
    return {"crops": aflw2000_crops(root)}


def _fit(regressor, image: np.ndarray, face: LabelledFace) -> np.ndarray:
    """3DDFA's points. A shipped crop is the network's whole input; in a photo the truth says where to look."""
    where = face.truth_in_image
    if face.whole:
        where = CROP_SIDE / 2 + CROP_SIDE / np.sqrt(8) * np.array([[-1.0, -1.0], [1.0, 1.0]])
    parameters, rois = regressor(image, [where], crop_policy="landmark")
    return regressor.reconstruct(parameters, rois, dense=False)[0]


def _align(fan, image: np.ndarray, face: LabelledFace) -> np.ndarray:
    """Our FAN's points: its three passes, the first over the box of the truth."""
    first, _ = alignment.predict(image, alignment.box_squares(box_around(face.truth_in_image)), fan)
    return alignment.refine(image, first, fan)[0][0]


def _nearest(detector: Detector, image: np.ndarray, face: LabelledFace) -> np.ndarray | None:
    """The points of the package face-alignment whose middle is nearest to the truth's, when it lies in its box."""
    truth = face.truth_in_image
    low, high = truth.min(axis=0), truth.max(axis=0)
    found = [one.points[:, :2] for one in detector(image)]
    middles = [(points.min(axis=0) + points.max(axis=0)) / 2 for points in found]
    away = [float(np.linalg.norm(middle - (low + high) / 2)) for middle in middles]
    if not away:
        return None
    nearest = int(np.argmin(away))
    return found[nearest] if ((low < middles[nearest]) & (middles[nearest] < high)).all() else None
