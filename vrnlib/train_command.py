"""``vrn train``: from a seed to a file of weights."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

import torch
from torch import distributed

from vrnlib.dataset import TRAIN_SEED, VALIDATION_SEED, Augmentation, LandmarkPairs, RenderedFaces, VolumePairs
from vrnlib.network import FAN, VRN, FANConfig, VRNConfig, load_network
from vrnlib.training import TrainingConfig, fan_task, fit, vrn_task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", choices=["vrn", "fan"], help="what to train")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--cache", type=Path, default=Path("runs/renders"), help="folder of rendered faces")
    parser.add_argument("--renders", type=int, default=16_000, help="different faces (0.3 MB each in the cache)")
    parser.add_argument("--held-out", type=int, default=128, help="faces of the validation stream")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--report", type=int, default=500, help="steps between validations and checkpoints")
    parser.add_argument("--workers", type=int, default=1, help="processes that render and voxelise")
    parser.add_argument("--size", type=int, default=192, choices=[128, 192], help="VRN: side the crop is resized to")
    parser.add_argument("--step", type=int, default=4, choices=[1, 4], help="VRN: 1 = loss at every voxel")
    parser.add_argument("--features", type=int, default=None, help="channels of the hourglasses")
    parser.add_argument("--reference", action="store_true", help="VRN: the released network's size")
    paper = Augmentation()
    parser.add_argument("--rotation", type=float, default=paper.rotation, help="VRN: augmentation, degrees")
    parser.add_argument("--translation", type=float, default=paper.translation, help="VRN: augmentation, pixels")
    parser.add_argument("--scale", type=float, nargs=2, default=paper.scale, help="VRN: augmentation, factors")
    parser.add_argument("--init", type=Path, default=None, help="start from these weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on from the folder's checkpoint")


def run(args: argparse.Namespace) -> int:
    if "WORLD_SIZE" in os.environ:  # started by torchrun
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    config = TrainingConfig(
        steps=args.steps, batch=args.batch, rate=args.rate, report=args.report, workers=args.workers, seed=args.seed
    )
    train = RenderedFaces(args.cache, seed=TRAIN_SEED, count=args.renders)
    held_out = RenderedFaces(args.cache, seed=VALIDATION_SEED, count=args.held_out)
    recipe = {key: str(value) for key, value in vars(args).items() if key not in ("func", "command")}
    if args.network == "vrn":
        augmentation = Augmentation(rotation=args.rotation, translation=args.translation, scale=tuple(args.scale))
        task = vrn_task(
            start_vrn(args),
            VolumePairs(train, augmentation=augmentation, seed=args.seed, step=args.step, size=args.size),
            VolumePairs(held_out, augmentation=Augmentation.none(), seed=0, step=args.step, size=args.size),
            step=args.step, notes={"recipe": recipe},
        )  # fmt: skip
    else:
        torch.manual_seed(args.seed)
        network = load_network(args.init) if args.init else FAN(FANConfig(features=args.features or 64))
        task = fan_task(
            network,
            LandmarkPairs(train, seed=args.seed, size=network.config.size),
            LandmarkPairs(held_out, seed=0, size=network.config.size, augment=False),
            notes={"recipe": recipe},
        )
    fit(task, config, args.out, resume=args.resume)
    print(f"weights: {args.out / 'network.safetensors'}")
    return 0


def start_vrn(args: argparse.Namespace) -> VRN:
    torch.manual_seed(args.seed)
    config = VRNConfig.reference() if args.reference else VRNConfig(features=args.features or VRNConfig.features)
    network = load_network(args.init) if args.init else VRN(config)
    network.config = replace(network.config, resize=None if args.size == 192 else args.size)
    return network
