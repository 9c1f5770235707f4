"""``vrn evaluate iou``: how well a VRN's volumes agree with rendered faces that its training never saw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from vrnlib.metrics import iou
from vrnlib.reconstruct import predict_volume
from vrnlib.synthetic.faces import render_pair
from vrnlib.training.data import TEST_SEED, TRAIN_SEED


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
    return {"iou": float(scores.mean()), "count": count, "by_yaw": bins, "mean_volume_iou": float(np.mean(baseline))}


def yaw_of(parameters: NDArray) -> float:
    """Degrees between the face's looking direction and the camera, in the horizontal plane."""
    facing = parameters[:12].reshape(3, 4)[:, 2]  # where the model's z axis (out of the nose) points
    return float(np.degrees(np.arctan2(facing[0], facing[2])))
