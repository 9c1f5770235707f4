"""How well a VRN's volumes agree with rendered faces that its training never saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from vrnlib.evaluation.bins import yaw_bins, yaw_of
from vrnlib.metrics import iou
from vrnlib.reconstruct import predict_volume
from vrnlib.synthetic.faces import render_pair
from vrnlib.training.data import TEST_SEED, TRAIN_SEED


def mean_volume(*, count: int = 200, seed: int = TRAIN_SEED) -> NDArray[np.bool_]:
    """The voxels that more than half of the training solids fill: the best guess that ignores the photo.

    Args:
        count: solids. seed: their stream.

    Returns:
        (200, 192, 192), indexed [z, y, x].
    """
    total = np.zeros((200, 192, 192), np.uint16)
    for index in range(count):
        total += render_pair(seed, index).volume()
    return total > count / 2


def evaluate_volumes(
    vrn: Callable[[Tensor], Tensor], *, count: int = 500, seed: int = TEST_SEED, progress: bool = True
) -> dict[str, Any]:
    """Intersection over union of predicted and true solids, 192×192×200.

    Args:
        vrn: crop (1, 3, 192, 192) RGB in 0 … 1 → logits (1, 200, 192, 192).
        count: rendered faces. seed: their stream.
        progress: whether a bar is shown.

    Returns:
        {"iou", "count", "by_yaw": {"0-30", "30-60", "60-90"} as far as there are such faces, "mean_volume_iou": that
        of `mean_volume`}.
    """
    guess = mean_volume()
    scores, baseline, yaws = np.zeros(count), np.zeros(count), np.zeros(count)
    for index in tqdm(range(count), desc="IoU", disable=not progress):
        sample = render_pair(seed, index)
        solid = sample.volume()
        scores[index] = iou(predict_volume(vrn, sample.image) > 0.5, solid)
        baseline[index] = iou(guess, solid)
        yaws[index] = yaw_of(sample.parameters)
    by_yaw = {name: float(scores[rows].mean()) for name, rows in yaw_bins(yaws).items() if rows.any()}
    return {"iou": float(scores.mean()), "count": count, "by_yaw": by_yaw, "mean_volume_iou": float(baseline.mean())}
