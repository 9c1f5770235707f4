"""``vrn evaluate iou``: how well a VRN's volumes agree with rendered faces that its training never saw.

The other measures of ``vrn evaluate`` are in `vrnlib.evaluate_landmarks` and `vrnlib.evaluate_crops`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from vrnlib import evaluate_crops, evaluate_landmarks
from vrnlib.dataset import TEST_SEED, TRAIN_SEED
from vrnlib.looks import SeveralLooks
from vrnlib.metrics import iou
from vrnlib.reconstruct import open_networks, predict_volume
from vrnlib.synthetic import render_pair


def mean_volume(*, count: int = 200, seed: int = TRAIN_SEED) -> NDArray[np.bool_]:
    """The voxels that more than half of ``count`` training solids fill: the best guess that ignores the photo."""
    total = np.zeros((200, 192, 192), np.uint16)
    for index in range(count):
        total += render_pair(seed, index).volume()
    return total > count / 2


def evaluate_iou(network: Callable, *, count: int = 500, seed: int = TEST_SEED, progress: bool = True) -> dict:
    """IoU of predicted and true solids, 192×192×200, on ``count`` renders of stream ``seed``.

    network: crop (1, 3, 192, 192) in 0 … 1 → logits (1, 200, 192, 192).
    Returns {"iou", "count", "by_yaw": {"0-30", "30-60", "60-90"}, "mean_volume_iou"}.
    """
    guess = mean_volume()
    scores, baseline, yaws = [], [], []
    for index in tqdm(range(count), desc="IoU", disable=not progress):
        sample = render_pair(seed, index)
        solid = sample.volume()
        scores.append(iou(predict_volume(network, sample.image) > 0.5, solid))
        baseline.append(iou(guess, solid))
        yaws.append(abs(yaw_of(sample.parameters)))
    scores, yaws = np.array(scores), np.array(yaws)
    bins = {
        f"{low}-{low + 30}": float(scores[(yaws >= low) & (yaws < low + 30)].mean())
        for low in (0, 30, 60)
        if ((yaws >= low) & (yaws < low + 30)).any()
    }
    return {
        "iou": float(scores.mean()), "count": count, "by_yaw": bins, "mean_volume_iou": float(np.mean(baseline))
    }  # fmt: skip


def yaw_of(parameters: NDArray) -> float:
    """Degrees between the face's looking direction and the camera, in the horizontal plane."""
    facing = parameters[:12].reshape(3, 4)[:, 2]  # where the model's z axis (out of the nose) points
    return float(np.degrees(np.arctan2(facing[0], facing[2])))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    measures = parser.add_subparsers(title="measures", metavar="MEASURE", dest="measure", required=True)
    volumes = measures.add_parser("iou", help="a VRN's volumes against rendered faces that training never saw")
    volumes.add_argument("--weights", default="vrn_open", help="a name or a .safetensors file")
    volumes.add_argument("--count", type=int, default=500, help="renders")
    volumes.add_argument("--one-look", action="store_true", help="without the four looks of vrnlib.looks")
    points = measures.add_parser("landmarks", help="68 landmarks against labelled photos, e.g. AFLW2000-3D")
    evaluate_landmarks.add_arguments(points)
    crops = measures.add_parser("crops", help="which faces are found, and how well they are cropped")
    evaluate_crops.add_arguments(crops)


def run(args: argparse.Namespace) -> int:
    if args.measure == "landmarks":
        return evaluate_landmarks.run(args)
    if args.measure == "crops":
        return evaluate_crops.run(args)
    network = open_networks(vrn=args.weights, fan=None).vrn
    if args.one_look and isinstance(network, SeveralLooks):
        network = network.vrn
    print(json.dumps(evaluate_iou(network, count=args.count), indent=2))
    return 0
