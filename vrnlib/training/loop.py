"""Training on rendered faces: one loop for all networks, with checkpoints that resume exactly.

Optimiser: RMSProp, as in the VRN paper; the rate follows half a cosine down to a hundredth. The weights that are
validated and written are an exponential moving average of those that are trained.

Several processes train one network when they are started by torchrun: each takes its part of every batch, and the
gradients are averaged. The first process validates and writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, Sampler
from tqdm import tqdm

from vrnlib.training.checkpoints import CHECKPOINT, WEIGHTS, Log, TrainingState, read_checkpoint, write_checkpoint
from vrnlib.weight_files import save_network

Trained = TypeVar("Trained", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How long and how fast; a run is determined by this, the data and the network.

    Attributes:
        steps: batches in all.
        batch: images per step, over all processes.
        rate: highest learning rate.
        warmup: steps until it is reached.
        report: steps between validations, each followed by a checkpoint.
        workers: loader processes.
        seed: of the order of the data.
        averaging: how much of the averaged weights stays at each step.
    """

    steps: int = 20_000
    batch: int = 16
    rate: float = 1e-3
    warmup: int = 200
    report: int = 500
    workers: int = 1
    seed: int = 0
    averaging: float = 0.998


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Task(Generic[Trained]):
    """What is trained.

    Attributes:
        network: with the weights to start from.
        train, held_out: data sets; an item's key is (index, epoch) for training and an index for validation.
        loss: of the network and a batch, to be made small.
        score: of the network and a batch, per item (B,), to be reported.
        score_name: the score's key in the log.
        notes: for the header of the weights.
        save: writes the averaged network to a path, with ``notes=``; another one for another package's layout.
    """

    network: Trained
    train: Dataset[Any]
    held_out: Dataset[Any]
    loss: Callable[[Trained, list[Tensor]], Tensor]
    score: Callable[[Trained, list[Tensor]], Tensor]
    score_name: str
    notes: dict[str, Any] = field(default_factory=dict)
    save: Callable[..., None] = save_network

    def __repr__(self) -> str:
        return f"Task({type(self.network).__name__} on {type(self.train).__name__}, {self.score_name})"


def process() -> int:
    """The number of this process, 0 when it is alone."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def processes() -> int:
    """How many processes train this network together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def average_gradients(network: nn.Module) -> None:
    """Make every process's gradients the mean over all processes."""
    if processes() == 1:
        return
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    for gradient, mean in zip(gradients, (flat / processes()).split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


class StepSampler(Sampler[list[tuple[int, int]]]):
    """Batches of (index, epoch) keys; a function of the seed, so a run can be resumed.

    Args:
        length: of the data set.
        config: of the run.
        start: the first step.

    Raises:
        ValueError: a batch is larger than the data set, or cannot be shared by the processes.
    """

    def __init__(self, length: int, config: TrainingConfig, start: int) -> None:
        self.length, self.config, self.start = length, config, start
        if config.batch % processes():
            raise ValueError(f"a batch of {config.batch} cannot be shared by {processes()} processes")
        if length < config.batch:
            raise ValueError(f"a batch of {config.batch} needs at least as many renders, got {length}")

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        per_epoch = self.length // self.config.batch
        order, current = list[int](), -1
        for step in range(self.start, self.config.steps):
            epoch, position = divmod(step, per_epoch)
            if epoch != current:
                generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + epoch)
                order, current = torch.randperm(self.length, generator=generator).tolist(), epoch
            chosen = order[position * self.config.batch : (position + 1) * self.config.batch]
            yield [(index, epoch) for index in chosen[process() :: processes()]]

    def __len__(self) -> int:
        return max(0, self.config.steps - self.start)


def learning_rate(step: int, config: TrainingConfig) -> float:
    """Linear warm-up, then half a cosine from the highest rate to a hundredth of it."""
    if step < config.warmup:
        return config.rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.rate * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)


@torch.no_grad()
def validate(network: nn.Module, task: Task[Any], config: TrainingConfig) -> float:
    """Mean score over the held-out data."""
    network.eval()
    loader = DataLoader(task.held_out, batch_size=config.batch, num_workers=min(config.workers, 1))
    return torch.cat([task.score(network, batch) for batch in loader]).mean().item()


def fit(
    task: Task[Any],
    config: TrainingConfig,
    folder: str | Path,
    *,
    resume: bool = False,
    on_report: Callable[[Log], None] | None = None,
    progress: bool = True,
) -> nn.Module:
    """Train a task's network.

    Args:
        task: what is trained; its network changes.
        config: for how long and how fast.
        folder: gets ``checkpoint.pt`` (everything needed to go on), ``log.jsonl`` (a line per report) and
            ``network.safetensors`` (the averaged weights). A file appears whole or not at all.
        resume: go on from the folder's checkpoint; the result equals that of an uninterrupted run.
        on_report: called with all log lines so far, for example to draw a live curve.
        progress: whether a bar is shown.

    Returns:
        The averaged network in evaluation mode.

    Raises:
        FileExistsError: the folder holds a run and ``resume`` is False.
        ValueError: a checkpoint is damaged or belongs to another configuration, or the loss is not finite.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    network = task.network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.RMSprop(network.parameters(), lr=config.rate, alpha=0.99)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.averaging), use_buffers=True)
    state = TrainingState(network=network, average=average, optimizer=optimizer)
    log: Log = []
    if (folder / CHECKPOINT).exists():
        if not resume:
            raise FileExistsError(f"{folder} holds a run already; give --resume to go on, or another folder")
        log = read_checkpoint(folder / CHECKPOINT, config, state)
    start = log[-1]["step"] if log else 0
    sampler = StepSampler(len(task.train), config, start)  # type: ignore[arg-type]  # our data sets have a length
    loader = DataLoader(task.train, batch_sampler=sampler, num_workers=config.workers)
    silent = not progress or process() > 0
    bar = tqdm(total=config.steps, initial=start, disable=silent, desc=type(network).__name__, unit="batch")
    window: list[float] = []
    for step, batch in enumerate(loader, start=start):
        network.train()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        loss = task.loss(network, batch)
        window.append(loss.item())
        if not math.isfinite(window[-1]):
            raise ValueError(f"the loss is {window[-1]} at step {step}; lower the rate and resume")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(network)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if step < config.warmup:  # the first weights are not worth averaging
            average.n_averaged.zero_()
        average.update_parameters(network)
        bar.update()
        done = step + 1
        if (done % config.report == 0 or done == config.steps) and process() == 0:
            score = validate(average.module, task, config)
            log.append({"step": done, "loss": sum(window) / len(window), task.score_name: score})
            bar.set_postfix(loss=f"{log[-1]['loss']:.4f}", **{task.score_name: f"{score:.4f}"})
            write_checkpoint(folder, config, state, log)
            task.save(folder / WEIGHTS, average.module, notes={**task.notes, "log": log})
            if on_report is not None:
                on_report(log)
        if done % config.report == 0:
            window.clear()
    bar.close()
    return average.module.eval()
