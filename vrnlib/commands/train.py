"""``vrn train``: from a configuration to a file of weights."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.utils.data import Dataset

from tddfa.config import read_yaml
from vrnlib.crop import CROP_SIZE
from vrnlib.network import FAN, VRN, FANConfig, VRNConfig, VRNGuided, VRNMultitask
from vrnlib.training.augment import LANDMARK_NOISE, Augmentation
from vrnlib.training.checkpoints import CHECKPOINT, CONFIG, WEIGHTS, EventWriter, check_folder, check_same
from vrnlib.training.config import Recipe, read_recipes, write_config
from vrnlib.training.data import TRAIN_SEED, VALIDATION_SEED, RenderedFaces
from vrnlib.training.engine import check_shares, start_engine
from vrnlib.training.fan import LandmarkPairs, fan_task
from vrnlib.training.growth import grow
from vrnlib.training.loop import Task, fit
from vrnlib.training.pairs import FolderPairs, Mixture, PairMaker, ShardPairs, split_weight
from vrnlib.training.vrn import VolumePairs, vrn_task
from vrnlib.weight_files import AnyVRN, load_network

VRN_KINDS: dict[str, type[AnyVRN]] = {"unguided": VRN, "guided": VRNGuided, "multitask": VRNMultitask}
"""The paper's three, by the name that the configuration has for them."""

USUAL = {
    "rmsprop": {"schedule": "paper", "rate": 1e-4},
    "adamw": {"schedule": "cosine", "rate": 1e-3},
}
"""What goes with an optimiser that is named on the command line, unless it is named there too."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which network, for how long, and from where. What is not given comes from the configuration."""
    parser.argument_default = argparse.SUPPRESS
    parser.add_argument("network", choices=sorted(TASKS), help="what to train")
    parser.add_argument("--kind", choices=sorted(VRN_KINDS), help="VRN: the paper's three (default: unguided)")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--config", default=None, help="a preset, such as vrn_open, or a YAML file; default: NETWORK")
    parser.add_argument("--resume", action="store_true", default=False, help="go on from the folder's checkpoint")
    parser.add_argument("--cache", help="folder of rendered faces")
    parser.add_argument("--renders", type=int, help="different faces (30 kB each in the cache)")
    text = "VRN: renders, folders of pairs or shards (.tar, URL); mixed by weight (default: renders)"
    parser.add_argument("--data", nargs="+", metavar="SOURCE[=WEIGHT]", help=text)
    parser.add_argument("--held-out", type=int, help="faces of the validation stream")
    parser.add_argument("--steps", type=int, help="changes of the weights")
    parser.add_argument("--batch", type=int, help="images per step, over all processes")
    parser.add_argument("--accumulate", type=int, help="pieces in which a batch is computed, where memory is short")
    parser.add_argument("--optimizer", choices=sorted(USUAL), help="brings its usual rate and schedule")
    parser.add_argument("--schedule", choices=("paper", "cosine"), help="paper: a tenth of the rate after 40 epochs")
    parser.add_argument("--rate", type=float, help="highest learning rate")
    parser.add_argument("--report", type=int, help="steps between validations and checkpoints")
    parser.add_argument("--workers", type=int, help="processes that render and voxelise")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), help="auto: the GPU where there is one")
    parser.add_argument(
        "--precision", choices=("auto", "float32", "bf16"), help="auto: bf16 where the hardware is faster then"
    )
    parser.add_argument("--size", type=int, help="of the pictures; VRN 128 or 192, tddfa 80 or 120, faceboxes 384")
    parser.add_argument("--step", type=int, choices=(1, 4), help="VRN: 1 = loss at every voxel")
    parser.add_argument("--stem", type=int, help="VRN, FAN: channels after the first convolution")
    parser.add_argument("--features", type=int, help="VRN, FAN: channels of the hourglasses")
    parser.add_argument("--residuals", type=int, help="VRN, FAN: Residual modules per step of an hourglass")
    parser.add_argument("--reference", action="store_true", help="VRN: the released network's size")
    parser.add_argument("--rotation", type=float, help="VRN: augmentation, degrees")
    parser.add_argument("--translation", type=float, help="VRN: augmentation, pixels")
    parser.add_argument("--scale", type=float, nargs=2, help="VRN: augmentation, factors")
    parser.add_argument("--init", help="start from these weights; a larger network grows out of them")
    parser.add_argument("--seed", type=int)


def run(args: argparse.Namespace) -> int:
    """Train, alone or as one of several processes; several trainings go on one from the other."""
    given = {key: value for key, value in vars(args).items() if key not in ("func", "out", "config", "resume")}
    recipes = plan(given, args.out, config=args.config, resume=args.resume)
    folders = [args.out] if len(recipes) == 1 else [args.out / str(number + 1) for number in range(len(recipes))]
    engine = start_engine(recipes[0])
    try:
        if engine.is_main_process and len(recipes) > 1:
            args.out.mkdir(parents=True, exist_ok=True)
            write_config(args.out / CONFIG, recipes)
        for number, (recipe, folder) in enumerate(zip(recipes, folders, strict=True)):
            if number:
                recipe = replace(recipe, init=str(folders[number - 1] / WEIGHTS))
            torch.manual_seed(recipe.seed)
            fit(TASKS[recipe.network](recipe), recipe, folder, resume=args.resume, on_report=events(folder, recipe))
        if engine.is_main_process:
            print(f"weights: {folders[-1] / WEIGHTS}")
    except (OSError, ValueError) as error:
        told = without_traceback(str(error))
        if told == str(error):
            raise
        raise OSError(told) from error
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
    return 0


def without_traceback(message: str) -> str:
    r"""An error's own sentence, also where torch reports a loader process's error, traceback and all.

    >>> without_traceback("Caught OSError in DataLoader worker process 0.\nTraceback …\nOSError: [Errno 28] Full.")
    'Full.'
    >>> without_traceback("the loss is nan")
    'the loss is nan'
    """
    if "in DataLoader worker process" not in message:
        return message
    return re.sub(r"^\w+: (\[Errno \d+\] )?", "", message.strip().splitlines()[-1])


def plan(given: dict[str, Any], out: Path, *, config: str | None, resume: bool) -> list[Recipe]:
    """The trainings to do, checked against the folder before anything is spent.

    Args:
        given: settings of the command line, which override those of the configuration.
        out: folder of the run.
        config: a preset or a file; None: that of the run when it is resumed, else the network's own preset.
        resume: whether the folder may hold a run.

    Raises:
        FileExistsError: the folder holds a run and ``resume`` is False.
        OSError, ValueError: no such configuration, values that do not fit, or others than those of the run.
    """
    network, known = given["network"], (out / CONFIG).exists()
    begun = (out / CHECKPOINT).exists() or (out / "1" / CHECKPOINT).exists()
    check_folder(out, resume=resume)
    check_folder(out / "1", resume=resume)
    if "optimizer" in given:
        given = USUAL[given["optimizer"]] | given
    source = config or (out / CONFIG if resume and known else network)
    others = {recipe.network for recipe in read_recipes(source)} - {network}
    if others:
        raise ValueError(f"Expected a configuration for {network}, {source} is for {others.pop()}; name another.")
    recipes = read_recipes(source, given)
    for recipe in recipes:
        check_shares(recipe)
    if begun and known:
        old = read_yaml(out / CONFIG)
        runs = old if isinstance(old, list) else [old]
        if len(runs) != len(recipes) or not all(isinstance(was, dict) for was in runs):
            raise ValueError(f"Expected the {len(runs)} trainings of {out / CONFIG}, got {len(recipes)}.")
        for was, recipe in zip(runs, recipes, strict=True):
            check_same(was, recipe, out)
    return recipes


def events(folder: Path, recipe: Recipe) -> EventWriter | None:
    """The writer of TensorBoard's events, where TensorBoard is installed."""
    try:
        return EventWriter(folder, recipe)
    except ModuleNotFoundError:
        return None


def rendered_faces(recipe: Recipe) -> tuple[RenderedFaces, RenderedFaces]:
    """Faces to train with, and faces of a stream that training never sees."""
    train = RenderedFaces(recipe.cache, seed=TRAIN_SEED, count=recipe.renders)
    return train, RenderedFaces(recipe.cache, seed=VALIDATION_SEED, count=recipe.held_out)


def train_vrn(recipe: Recipe) -> Task[AnyVRN]:
    """Crops and solids, with landmarks where the kind of VRN needs them."""
    size = recipe.size or CROP_SIZE
    network = start_vrn(recipe, size)
    train, held_out = rendered_faces(recipe)
    landmarks = {"unguided": None, "guided": LANDMARK_NOISE, "multitask": 0.0}[recipe.kind]
    how: Any = {"step": recipe.step, "size": size, "landmarks": landmarks}
    return vrn_task(
        network,
        mixed_pairs(recipe, train, how),
        VolumePairs(held_out, augmentation=Augmentation.none(), seed=0, **how),
        step=recipe.step,
    )


def mixed_pairs(recipe: Recipe, faces: RenderedFaces, how: dict[str, Any]) -> Dataset[Any]:
    """What the recipe's ``data`` name, augmented as it says; ``how``: more of what `VolumePairs` takes.

    Raises:
        ValueError: a source that is none; one sentence.
    """
    how = {"augmentation": recipe.augmentation, "seed": recipe.seed, **how}
    sources: list[Dataset[Any]] = []
    weights: list[float] = []
    for name, weight in map(split_weight, recipe.data):
        weights.append(weight)
        if name == "renders":
            sources.append(VolumePairs(faces, **how))
        elif Path(name).is_dir() and not list(Path(name).glob("*.tar")):
            sources.append(FolderPairs(name, PairMaker(**how)))
        else:
            sources.append(ShardPairs(name, PairMaker(**how)))
    if recipe.data == ("renders",):
        return sources[0]
    return Mixture(sources, weights, count=recipe.renders, seed=recipe.seed)


def start_vrn(recipe: Recipe, size: int) -> AnyVRN:
    """The network to start from, set to pictures of this size."""
    network = start(recipe, VRN_KINDS[recipe.kind], VRNConfig.reference() if recipe.reference else VRNConfig.open())
    network.config = replace(network.config, resize=None if size == CROP_SIZE else size)
    return network


def start(recipe: Recipe, kind: type[Any], config: Any) -> Any:
    """A network of a kind: that of the recipe's ``init``, grown to the recipe's widths, or a new one of these.

    Guided and multitask VRNs may grow out of an unguided one.

    Raises:
        OSError, ValueError: no such weights, those of another kind, or of a width that cannot grow to these.
    """
    names = ("stem", "features", "residuals")
    widths = {name: getattr(recipe, name) for name in names if getattr(recipe, name) is not None}
    if recipe.init is None:
        return kind(replace(config, **widths))
    network = load_network(recipe.init)
    if not isinstance(network, kind) and (kind not in VRN_KINDS.values() or not isinstance(network, VRN)):
        raise ValueError(
            f"Expected the weights of a {kind.__name__}, {recipe.init} holds a {type(network).__name__}; name another."
        )
    wider = config if recipe.reference else replace(network.config, **widths)
    return network if isinstance(network, kind) and wider == network.config else grow(network, kind(wider))


def train_fan(recipe: Recipe) -> Task[FAN]:
    """Faces and their 68 landmarks."""
    network = start(recipe, FAN, FANConfig.open())
    train, held_out = rendered_faces(recipe)
    return fan_task(
        network,
        LandmarkPairs(train, seed=recipe.seed, size=network.config.size),
        LandmarkPairs(held_out, seed=0, size=network.config.size, augment=False),
    )


def train_tddfa(recipe: Recipe) -> Task[nn.Module]:
    """Faces and their vertices, for 3DDFA_V2's regressor."""
    from vrnlib.training.regressor import VertexPairs, regressor_task

    train, held_out = rendered_faces(recipe)
    size = recipe.size or 120
    return regressor_task(
        VertexPairs(train, seed=recipe.seed, size=size),
        VertexPairs(held_out, seed=0, size=size, augment=False),
        init=recipe.init,
    )


def train_faceboxes(recipe: Recipe) -> Task[nn.Module]:
    """Pictures of several people and the boxes of their faces."""
    from vrnlib.training.composites import Composites
    from vrnlib.training.cutouts import Cutouts
    from vrnlib.training.detector import detector_task

    train = Cutouts(recipe.cache, seed=TRAIN_SEED, count=recipe.renders)
    held_out = Cutouts(recipe.cache, seed=VALIDATION_SEED, count=recipe.held_out)
    size = recipe.size or 384
    return detector_task(
        Composites(train, seed=recipe.seed, size=size),
        Composites(held_out, seed=0, size=size),
        init=recipe.init,
    )


TASKS: dict[str, Callable[[Recipe], Task[Any]]] = {
    "vrn": train_vrn,
    "fan": train_fan,
    "tddfa": train_tddfa,
    "faceboxes": train_faceboxes,
}
