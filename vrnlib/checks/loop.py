"""Checks for 04_training: one step of a training, and a training that can be stopped and resumed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from vrnlib.checks import Exercise
from vrnlib.checks.answers import Function

Batch = tuple[Tensor, Tensor]


def training_step(network: nn.Module, optimizer: Optimizer, images: Tensor, solids: Tensor) -> float:
    """One step; images (B, 3, H, W) uint8, solids (B, D, h, w) bool; → the loss before it."""
    network.train()
    logits = network(images.float() / 255)
    loss = F.binary_cross_entropy_with_logits(logits, solids.float())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def train(
    network: nn.Module,
    optimizer: Optimizer,
    batch_of: Callable[[int], tuple[Tensor, Tensor]],
    steps: int,
    checkpoint: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train until `steps` are done in all, from a checkpoint or from the start; → a checkpoint."""
    done = 0
    if checkpoint is not None:
        network.load_state_dict(checkpoint["network"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        done = checkpoint["step"]
    for step in range(done, steps):
        training_step(network, optimizer, *batch_of(step))
    states = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
    return copy.deepcopy({"step": steps, **states})


def _network(seed: int, slices: int) -> nn.Module:
    """A network of 2 convolutions, with a batch norm. Without one the bias before it has no gradient but noise."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first = nn.Conv2d(3, 6, 5, stride=4, padding=2, bias=False)
        return nn.Sequential(first, nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, slices, 1))


def _state(network: nn.Module) -> tuple[Tensor, Tensor]:
    """All weights in a row, and the batch norm's mean and variance."""
    weights = torch.cat([value.detach().flatten() for value in network.parameters()])
    kept = [value.flatten() for name, value in network.named_buffers() if "running" in name]
    return weights, torch.cat(kept)


def _optimizer(network: nn.Module, kind: int) -> Optimizer:
    if kind:
        # The usual eps of 1e-8 would make whole steps of gradients that are rounding alone.
        return torch.optim.RMSprop(network.parameters(), lr=1e-3, alpha=0.9, eps=1e-4)
    return torch.optim.SGD(network.parameters(), lr=0.1)


def _pairs(rng: np.random.Generator, count: int, side: int, slices: int) -> Batch:
    images = torch.from_numpy(rng.integers(0, 256, (count, 3, side, side), dtype=np.uint8))
    return images, torch.from_numpy(rng.random((count, slices, side // 4, side // 4)) < 0.3)


def _cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """For SGD and for RMSProp: a network's seed, and pairs for three steps."""
    sizes = [(0, 6, 16, 5), (1, 9, 20, 7), (0, 6, 64, 200)]
    return [(int(rng.integers(1000)), kind, *_pairs(rng, *size)) for kind, *size in sizes]


def _three_steps(function: Function, seed: int, kind: int, images: Tensor, solids: Tensor) -> tuple[Any, ...]:
    """Losses of three steps, then the weights and what batch norm has counted; it starts in evaluation mode."""
    network = _network(seed, solids.shape[1]).eval()
    optimizer, part = _optimizer(network, kind), len(images) // 3
    losses = []
    for start in range(0, 3 * part, part):
        rows = slice(start, start + part)
        losses.append(function(network, optimizer, images[rows], solids[rows]))
    if any(loss is None for loss in losses):
        return None  # type: ignore[return-value]
    return (torch.stack([torch.as_tensor(loss) for loss in losses]).double(), *_state(network))


def _stop_and_go(function: Function, seed: int, kind: int, images: Tensor, solids: Tensor) -> tuple[Any, ...]:
    """Two steps, a checkpoint, a third step, and once more from the checkpoint, in another network, up to five.

    Returns the last network's weights, and what its batch norm has counted.
    """
    part = len(images) // 3
    starts = [step % 3 * part for step in range(30)]
    batch_of = [(images[start : start + part], solids[start : start + part]) for start in starts].__getitem__
    one, other = _network(seed, solids.shape[1]), _network(seed + 1, solids.shape[1])
    optimizer = _optimizer(one, kind)
    kept = function(one, optimizer, batch_of, 2)
    if kept is None:
        return None  # type: ignore[return-value]
    function(one, optimizer, batch_of, 3, copy.deepcopy(kept))  # as if it had been read from a file
    function(other, _optimizer(other, kind), batch_of, 5, copy.deepcopy(kept))
    return _state(other)


def _step(
    network: nn.Module,
    optimizer: Optimizer,
    images: Tensor,
    solids: Tensor,
    *,
    mode: bool = True,
    scale: float = 255,
    zero: bool = True,
    step: bool = True,
    loss_of: Function = F.binary_cross_entropy_with_logits,
) -> float:
    """A step with one thing done otherwise."""
    network.train(mode)
    loss = loss_of(network(images.float() / scale), solids.float())
    if zero:
        optimizer.zero_grad()
    loss.backward()
    if step:
        optimizer.step()
    return loss.item()


def _with(**change: Any) -> Function:
    def mistaken(network: nn.Module, optimizer: Optimizer, images: Tensor, solids: Tensor) -> float:
        return _step(network, optimizer, images, solids, **change)

    return mistaken


def _loss_afterwards(network: nn.Module, optimizer: Optimizer, images: Tensor, solids: Tensor) -> float:
    training_step(network, optimizer, images, solids)
    with torch.no_grad():
        return F.binary_cross_entropy_with_logits(network(images.float() / 255), solids.float()).item()


def _twice(network: nn.Module, optimizer: Optimizer, images: Tensor, solids: Tensor) -> float:
    loss = training_step(network, optimizer, images, solids)
    training_step(network, optimizer, images, solids)
    return loss


def _by_item(network: nn.Module, optimizer: Optimizer, images: Tensor, solids: Tensor) -> float:
    """A step for each pair."""
    losses = [training_step(network, optimizer, images[i : i + 1], solids[i : i + 1]) for i in range(len(images))]
    return float(np.mean(losses))


def _trained(
    network: nn.Module,
    optimizer: Optimizer,
    batch_of: Callable[[int], Batch],
    steps: int,
    checkpoint: dict[str, Any] | None = None,
    *,
    weights: bool = True,
    memory: bool = True,
    counted: bool = True,
    more: bool = False,
    copied: bool = True,
    saved: int = 0,
    parameters_only: bool = False,
    step_of: Function = training_step,
) -> dict[str, Any]:
    """A training with one thing done otherwise."""
    done = 0
    if checkpoint is not None:
        if weights:
            network.load_state_dict(checkpoint["network"], strict=not parameters_only)
        if memory:
            optimizer.load_state_dict(checkpoint["optimizer"])
        done = checkpoint["step"] if counted else 0
    for step in range(done, done + steps if more else steps):
        step_of(network, optimizer, *batch_of(step))
    state = dict(network.named_parameters()) if parameters_only else network.state_dict()
    found = {"step": steps + saved, "network": state, "optimizer": optimizer.state_dict()}
    return copy.deepcopy(found) if copied else found


def _train_with(**change: Any) -> Function:
    def mistaken(*arguments: Any) -> dict[str, Any]:
        return _trained(*arguments, **change)

    return mistaken


def _always(*arguments: Any) -> dict[str, Any]:
    """Batches of the first step again and again."""
    network, optimizer, batch_of, steps, *rest = arguments
    return _trained(network, optimizer, lambda step: batch_of(0), steps, *rest)


TRAINING_STEP = Exercise(
    name="training_step",
    solution=training_step,
    cases=_cases,
    answer=_three_steps,
    names=("seed", "kind", "images", "solids"),
    tolerance=1e-3,
    advice=(
        (r"expected .*Byte|Byte but found Float|must have the same dtype", "turn images and solids into floats first"),
        (r"Boolean|bool", "turn images and solids into floats first"),
        (r"modified by an inplace operation", "backward comes first, then optimizer.step()"),
        (r"does not require grad|second time", "call backward once on the loss of this batch, not on a number"),
        (r"'float' object", "call backward on the tensor, and only then .item()"),
    ),
    mistakes={
        "optimizer.zero_grad() is missing; the gradients of all steps so far are added up.": _with(zero=False),
        (
            "the weights have not moved; is optimizer.step() there, behind backward, and zero_grad before backward?"
        ): _with(step=False),
        "it is in evaluation mode; begin with network.train(), or batch norm learns nothing.": _with(mode=False),
        "images are 0 to 255 here; divide them by 255, as the network is fed when it is used.": _with(scale=1),
        "the images were divided by 256; white is 255.": _with(scale=256),
        "the loss is the sum over voxels; take the mean.": _with(
            loss_of=lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="sum")
        ),
        "the logits' squared distance was taken; the loss is the cross-entropy from logits.": _with(loss_of=F.mse_loss),
        "the loss is taken of logits as if they were probabilities, cut to 0 … 1.": _with(
            loss_of=lambda x, y: F.binary_cross_entropy(x.clamp(0, 1), y)
        ),
        "a sigmoid stands before binary_cross_entropy_with_logits, which has one itself.": _with(
            loss_of=lambda x, y: F.binary_cross_entropy_with_logits(torch.sigmoid(x), y)
        ),
        "slices compete in a softmax over depth; each voxel has a sigmoid of its own.": _with(
            loss_of=lambda x, y: F.binary_cross_entropy(x.softmax(1), y)
        ),
        "the returned loss is that after the step; return the one that the step was taken for.": _loss_afterwards,
        "two steps were taken for one batch.": _twice,
        "a step was taken for each pair; take one for the whole batch.": _by_item,
        "the loss has the wrong sign; the network climbs.": _with(
            loss_of=lambda x, y: -F.binary_cross_entropy_with_logits(x, y)
        ),
    },
)
TRAIN = Exercise(
    name="train",
    solution=train,
    cases=_cases,
    answer=_stop_and_go,
    names=("seed", "kind", "images", "solids"),
    tolerance=1e-3,
    advice=(
        (r"KeyError", "the checkpoint must hold what your function looks for"),
        (
            r"Missing key|Unexpected key",
            "the checkpoint must hold all of network.state_dict(), counts of batch norm too",
        ),
    ),
    mistakes={
        (
            "the checkpoint went on changing with the training; state_dict() hands out the tensors themselves, so copy "
            "them (copy.deepcopy)."
        ): _train_with(copied=False),
        "the optimiser's memory is lost; RMSProp divides by what it remembers, so keep its state_dict too.": (
            _train_with(memory=False)
        ),
        "the weights do not come from the checkpoint; load_state_dict is missing.": _train_with(weights=False),
        "a resumed training begins at step 0 again; go on from the checkpoint's step.": _train_with(counted=False),
        "`steps` more were done; it says how many are done in all.": _train_with(more=True),
        "the checkpoint's step is one too small; a batch is seen twice.": _train_with(saved=-1),
        "the checkpoint's step is one too large; a batch is left out.": _train_with(saved=1),
        "what batch norm has counted is not in the checkpoint; keep state_dict(), not parameters().": _train_with(
            parameters_only=True
        ),
        "every step saw the batch of step 0; ask batch_of(step).": _always,
        "a resumed training sees the first batches again; steps are counted in all.": lambda n, o, b, s, c=None: (
            _trained(n, o, lambda step: b(step - (c["step"] if c else 0)), s, c)
        ),
        "the gradients are never set to 0.": _train_with(step_of=_with(zero=False)),
        "the checkpoint is not looked at at all.": _train_with(weights=False, memory=False, counted=False),
        "only weights are taken from the checkpoint; step and optimiser's memory belong to it.": _train_with(
            memory=False, counted=False
        ),
    },
)


def check_training_step(function: Function, seed: int | None = None) -> None:
    """(network, optimizer, images uint8, solids bool) → loss; the network has changed."""
    TRAINING_STEP.judge(function, seed)


def check_train(function: Function, seed: int | None = None) -> None:
    """(network, optimizer, batch_of, steps, checkpoint) → checkpoint."""
    TRAIN.judge(function, seed)
