"""``vrn calibrate``: put a VRN's 0.5 level where its solids overlap best with the true ones.

Cross-entropy (VRN paper, equation 1) makes 0.5 the level where a voxel is as often inside as outside. The overlap is
best a little further out: taking one more voxel of probability p into a solid of overlap J raises the expected overlap
while p > J / (1 + J), which is below 0.5 (the same argument as for the F1 score: Lipton et al., "Optimal Thresholding
of Classifiers to Maximize F1 Measure", ECML 2014). One number, added to the bias of the last layer, moves the level
there; it is found on rendered faces of the training stream.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from vrnlib.dataset import TRAIN_SEED
from vrnlib.looks import SeveralLooks
from vrnlib.network import VRN, load_network, read_header, save_network
from vrnlib.synthetic import render_pair

#: Logits that are tried as levels.
LEVELS = np.linspace(-1, 1, 41)


def best_level(network: Callable, *, count: int, seed: int = TRAIN_SEED, progress: bool = True) -> float:
    """The logit at which the predicted solids' mean IoU is largest, over ``count`` renders of stream ``seed``.

    network: crop (1, 3, 192, 192) in 0 … 1 → logits (1, 200, 192, 192).
    """
    total = np.zeros(len(LEVELS))
    for index in tqdm(range(count), desc="level", disable=not progress):
        sample = render_pair(seed, index)
        crop = torch.from_numpy(sample.image.transpose(2, 0, 1)[None] / np.float32(255))
        with torch.inference_mode():
            logits = network(crop)[0].numpy()
        total += overlaps(logits, sample.volume())
    return float(LEVELS[total.argmax()])


def overlaps(logits: np.ndarray, solid: np.ndarray) -> np.ndarray:
    """IoU of {logits > level} and the solid, both (D, H, W), for each of ``LEVELS``."""
    sure = logits > LEVELS[-1]
    open_to_doubt = ~sure & (logits > LEVELS[0])
    values, hits = logits[open_to_doubt], np.sort(logits[open_to_doubt & solid])
    taken = sure.sum() + len(values) - np.searchsorted(np.sort(values), LEVELS, side="right")
    shared = (sure & solid).sum() + len(hits) - np.searchsorted(hits, LEVELS, side="right")
    return shared / np.maximum(taken + solid.sum() - shared, 1)


def move_level(vrn: VRN, level: float) -> None:
    """Change the last layer's bias so that this logit becomes 0, probability 0.5."""
    with torch.no_grad():
        vrn.head[-1].bias -= level


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("weights", help="a name or a .safetensors file of a VRN")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="the calibrated weights")
    parser.add_argument("--count", type=int, default=200, help="renders")


def run(args: argparse.Namespace) -> int:
    vrn, notes = load_network(args.weights), read_header(args.weights)["notes"]
    if not isinstance(vrn, VRN):
        raise ValueError(f"Expected the weights of a VRN, {args.weights} holds a {type(vrn).__name__}; name others.")
    level = best_level(vrn if vrn.config.resize is None else SeveralLooks(vrn), count=args.count)
    move_level(vrn, level)
    save_network(args.out, vrn, notes={**notes, "level": notes.get("level", 0) + level})
    print(f"level {level:+.2f}, weights: {args.out}")
    return 0
