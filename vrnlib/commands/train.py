"""``vrn train``: from a seed to a file of weights."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from vrnlib.crop import CROP_SIZE
from vrnlib.network import FAN, VRN, FANConfig, VRNConfig
from vrnlib.training.augment import Augmentation
from vrnlib.training.checkpoints import WEIGHTS
from vrnlib.training.data import TRAIN_SEED, VALIDATION_SEED, RenderedFaces
from vrnlib.training.fan import LandmarkPairs, fan_task
from vrnlib.training.loop import Task, TrainingConfig, fit
from vrnlib.training.vrn import VolumePairs, vrn_task
from vrnlib.weight_files import load_network


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which network, for how long, and from where."""
    parser.add_argument("network", choices=sorted(TASKS), help="what to train")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--cache", type=Path, default=Path("runs/renders"), help="folder of rendered faces")
    parser.add_argument("--renders", type=int, default=16_000, help="different faces (30 kB each in the cache)")
    parser.add_argument("--held-out", type=int, default=128, help="faces of the validation stream")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--report", type=int, default=500, help="steps between validations and checkpoints")
    parser.add_argument("--workers", type=int, default=1, help="processes that render and voxelise")
    parser.add_argument(
        "--size", type=int, default=None, help="of the pictures; VRN 128 or 192, tddfa 80 or 120, faceboxes 384"
    )
    parser.add_argument("--step", type=int, default=4, choices=(1, 4), help="VRN: 1 = loss at every voxel")
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
    """Train, alone or as one of several processes."""
    if "WORLD_SIZE" in os.environ:  # started by torchrun
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    config = TrainingConfig(
        steps=args.steps, batch=args.batch, rate=args.rate, report=args.report, workers=args.workers, seed=args.seed
    )
    recipe = {key: str(value) for key, value in vars(args).items() if key not in ("func", "command")}
    torch.manual_seed(args.seed)
    fit(TASKS[args.network](args, {"recipe": recipe}), config, args.out, resume=args.resume)
    print(f"weights: {args.out / WEIGHTS}")
    return 0


def rendered_faces(args: argparse.Namespace) -> tuple[RenderedFaces, RenderedFaces]:
    """Faces to train with, and faces of a stream that training never sees."""
    train = RenderedFaces(args.cache, seed=TRAIN_SEED, count=args.renders)
    return train, RenderedFaces(args.cache, seed=VALIDATION_SEED, count=args.held_out)


def train_vrn(args: argparse.Namespace, notes: dict[str, Any]) -> Task[VRN]:
    """Crops and solids. Raises ValueError for a size that is no crop's."""
    size = args.size or CROP_SIZE
    if size not in (128, CROP_SIZE):
        raise ValueError(f"Expected --size 128 or 192 for VRN, got {size}.")
    train, held_out = rendered_faces(args)
    augmentation = Augmentation(rotation=args.rotation, translation=args.translation, scale=tuple(args.scale))
    return vrn_task(
        start_vrn(args, size),
        VolumePairs(train, augmentation=augmentation, seed=args.seed, step=args.step, size=size),
        VolumePairs(held_out, augmentation=Augmentation.none(), seed=0, step=args.step, size=size),
        step=args.step,
        notes=notes,
    )


def start_vrn(args: argparse.Namespace, size: int) -> VRN:
    """The network to start from, set to pictures of this size."""
    if args.init:
        network = load_network(args.init, VRN)
    else:
        config = VRNConfig.reference() if args.reference else VRNConfig.open()
        network = VRN(config if args.features is None or args.reference else replace(config, features=args.features))
    network.config = replace(network.config, resize=None if size == CROP_SIZE else size)
    return network


def train_fan(args: argparse.Namespace, notes: dict[str, Any]) -> Task[FAN]:
    """Faces and their 68 landmarks."""
    train, held_out = rendered_faces(args)
    config = FANConfig.open()
    if args.features is not None:
        config = replace(config, features=args.features)
    network = load_network(args.init, FAN) if args.init else FAN(config)
    return fan_task(
        network,
        LandmarkPairs(train, seed=args.seed, size=network.config.size),
        LandmarkPairs(held_out, seed=0, size=network.config.size, augment=False),
        notes=notes,
    )


def train_tddfa(args: argparse.Namespace, notes: dict[str, Any]) -> Task[nn.Module]:
    """Faces and their vertices, for 3DDFA_V2's regressor."""
    from vrnlib.training.regressor import VertexPairs, regressor_task

    train, held_out = rendered_faces(args)
    size = args.size or 120
    return regressor_task(
        VertexPairs(train, seed=args.seed, size=size),
        VertexPairs(held_out, seed=0, size=size, augment=False),
        init=args.init,
        notes=notes,
    )


def train_faceboxes(args: argparse.Namespace, notes: dict[str, Any]) -> Task[nn.Module]:
    """Pictures of several people and the boxes of their faces."""
    from vrnlib.training.composites import Composites
    from vrnlib.training.cutouts import Cutouts
    from vrnlib.training.detector import detector_task

    train = Cutouts(args.cache, seed=TRAIN_SEED, count=args.renders)
    held_out = Cutouts(args.cache, seed=VALIDATION_SEED, count=args.held_out)
    size = args.size or 384
    return detector_task(
        Composites(train, seed=args.seed, size=size),
        Composites(held_out, seed=0, size=size),
        init=args.init,
        notes=notes,
    )


TASKS: dict[str, Callable[[argparse.Namespace, dict[str, Any]], Task[Any]]] = {
    "vrn": train_vrn,
    "fan": train_fan,
    "tddfa": train_tddfa,
    "faceboxes": train_faceboxes,
}
