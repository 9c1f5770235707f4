"""The VRN paper's training, RMSProp at 1e-4 and a tenth of it after 40 epochs, against AdamW with a cosine.

Both learn the same small VRN from the same faces, in the same order, for the same number of steps:

    python tests/benchmarks/optimizers.py --cache runs/renders --renders 96 --epochs 48
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

from vrnlib.network import VRN, VRNConfig, count_parameters
from vrnlib.training.augment import Augmentation
from vrnlib.training.config import TrainingConfig
from vrnlib.training.data import TRAIN_SEED, VALIDATION_SEED, RenderedFaces
from vrnlib.training.loop import fit
from vrnlib.training.vrn import VolumePairs, vrn_task

SMALL = VRNConfig(stem=16, features=32, hourglasses=1, depth=3)
SIZE = 128

RIVALS = {
    "RMSProp, 1e-4, a tenth after 40 epochs (the paper)": {"optimizer": "rmsprop", "schedule": "paper", "rate": 1e-4},
    "AdamW, 1e-3, cosine": {"optimizer": "adamw", "schedule": "cosine", "rate": 1e-3},
    "RMSProp, 1e-3, cosine": {"optimizer": "rmsprop", "schedule": "cosine", "rate": 1e-3},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", default="runs/renders")
    parser.add_argument("--renders", type=int, default=96)
    parser.add_argument("--held-out", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=48)
    parser.add_argument("--batch", type=int, default=8)
    args = parser.parse_args()
    torch.set_num_threads(1)
    train = RenderedFaces(args.cache, seed=TRAIN_SEED, count=args.renders)
    held_out = RenderedFaces(args.cache, seed=VALIDATION_SEED, count=args.held_out)
    mild = Augmentation(rotation=10, translation=5, scale=(0.94, 1.06))
    steps = args.epochs * args.renders // args.batch
    print(f"{steps} steps of {args.batch}; {args.renders} faces, {args.held_out} others to judge", flush=True)
    for name, how in RIVALS.items():
        torch.manual_seed(0)
        network = VRN(SMALL)
        task = vrn_task(
            network,
            VolumePairs(train, augmentation=mild, seed=0, size=SIZE),
            VolumePairs(held_out, augmentation=Augmentation.none(), seed=0, size=SIZE),
            step=4,
        )
        config = TrainingConfig(
            steps=steps,
            batch=args.batch,
            warmup=50,
            averaging=0.99,
            report=steps // 4,
            workers=0,
            precision="auto",
            **how,
        )
        with tempfile.TemporaryDirectory() as folder:
            log, start = [], time.perf_counter()
            fit(task, config, Path(folder), progress=False, on_report=log.append)
        curve = ", ".join(f"{line['held_out_iou']:.3f}" for line in log[-1])
        images = steps * args.batch / (time.perf_counter() - start)
        print(f"{name}: IoU {curve}; loss {log[-1][-1]['loss']:.4f}; {images:.1f} images/s", flush=True)
    print(f"network: {count_parameters(network):,} parameters")


if __name__ == "__main__":
    main()
