"""``vrn evaluate iou``: how well a VRN's volumes agree with rendered faces that its training never saw.

The other measure of ``vrn evaluate`` is in `vrnlib.evaluate_landmarks`.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from vrnlib import evaluate_landmarks
from vrnlib.dataset import TEST_SEED, TRAIN_SEED
from vrnlib.metrics import iou
from vrnlib.network import VRN, load_network
from vrnlib.reconstruct import predict_volume
from vrnlib.synthetic import FaceRenderer, render_pair


def mean_volume(*, count: int = 200, seed: int = TRAIN_SEED) -> NDArray[np.bool_]:
    """The voxels that more than half of ``count`` training solids fill: the best guess that ignores the photo."""
    renderer = FaceRenderer()
    total = np.zeros((200, 192, 192), np.uint16)
    for index in range(count):
        total += render_pair(seed, index, model=renderer).volume()
    return total > count / 2


def evaluate_iou(network: VRN, *, count: int = 500, seed: int = TEST_SEED, progress: bool = True) -> dict:
    """IoU of predicted and true solids, 192×192×200, on ``count`` renders of stream ``seed``.

    Returns {"iou", "count", "by_yaw": {"0-30", "30-60", "60-90"}, "mean_volume_iou"}.
    """
    renderer, guess = FaceRenderer(), mean_volume()
    scores, baseline, yaws = [], [], []
    for index in tqdm(range(count), desc="IoU", disable=not progress):
        sample = render_pair(seed, index, model=renderer)
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
    points = measures.add_parser("landmarks", help="68 landmarks against labelled photos, e.g. AFLW2000-3D")
    evaluate_landmarks.add_arguments(points)


def run(args: argparse.Namespace) -> int:
    if args.measure == "landmarks":
        return evaluate_landmarks.run(args)
    network = load_network(args.weights)
    print(json.dumps(evaluate_iou(network, count=args.count), indent=2))
    return 0
