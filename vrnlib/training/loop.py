"""Training on rendered faces: one loop for all networks, with checkpoints that resume exactly.

Optimiser: RMSProp, as in the VRN paper, or AdamW. The weights that are validated and written are an exponential moving
average of those that are trained. Device, precision and several processes are the business of
`vrnlib.training.engine`; the first process writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, Sampler, Subset
from tqdm import tqdm

from vrnlib.training.checkpoints import WEIGHTS, Log, TrainingState, open_run, write_checkpoint
from vrnlib.training.config import TrainingConfig, plain
from vrnlib.training.engine import Objective, share_statistics, start_engine, use_bf16
from vrnlib.weight_files import save_network

BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}{postfix}]"
"""tqdm's own, with images per second also where they are few."""

Trained = TypeVar("Trained", bound=nn.Module)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Task(Generic[Trained]):
    """What is trained.

    Attributes:
        network: with the weights to start from.
        train, held_out: data sets; an item's key is (index, epoch) for training and an index for validation.
        loss: of the network and a batch, to be made small; the batch lies where the network does.
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


class StepSampler(Sampler[list[tuple[int, int]]]):
    """Batches of (index, epoch) keys; a function of the seed, so a run can be resumed.

    Args:
        length: of the data set.
        config: of the run.
        start: the first step.
        process, processes: the part of every batch that is given, in ``config.accumulate`` pieces.

    Raises:
        ValueError: a batch is larger than the data set.
    """

    def __init__(
        self, length: int, config: TrainingConfig, start: int, *, process: int = 0, processes: int = 1
    ) -> None:
        self.length, self.config, self.start = length, config, start
        self.process, self.processes = process, processes
        if length < config.batch:
            raise ValueError(f"a batch of {config.batch} needs at least as many renders, got {length}")

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        per_epoch, pieces = self.length // self.config.batch, self.config.accumulate
        order, current = list[int](), -1
        for step in range(self.start, self.config.steps):
            epoch, position = divmod(step, per_epoch)
            if epoch != current:
                generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + epoch)
                order, current = torch.randperm(self.length, generator=generator).tolist(), epoch
            chosen = order[position * self.config.batch : (position + 1) * self.config.batch]
            own = [(index, epoch) for index in chosen[self.process :: self.processes]]
            yield from (own[piece::pieces] for piece in range(pieces))

    def __len__(self) -> int:
        return max(0, self.config.steps - self.start) * self.config.accumulate


def learning_rate(step: int, config: TrainingConfig, per_epoch: int) -> float:
    """The rate of a step: a linear warm-up, then the configuration's schedule.

    Args:
        step: counted from 0.
        config: of the run.
        per_epoch: steps per epoch.

    >>> paper = TrainingConfig(schedule="paper", rate=1e-4, warmup=0)
    >>> learning_rate(399, paper, 10), learning_rate(400, paper, 10)
    (0.0001, 1e-05)
    """
    if step < config.warmup:
        return config.rate * (step + 1) / config.warmup
    if config.schedule == "paper":
        return config.rate / (1 if step < config.drop_after * per_epoch else 10)
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.rate * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)


def make_optimizer(network: nn.Module, config: TrainingConfig) -> Optimizer:
    """The configuration's optimiser of a network's weights."""
    if config.optimizer == "adamw":
        return torch.optim.AdamW(network.parameters(), lr=config.rate)
    return torch.optim.RMSprop(network.parameters(), lr=config.rate, alpha=0.99)


def on_device(batch: list[Tensor], engine: Accelerator) -> list[Tensor]:
    """A batch of the loader, where the network lies."""
    return [part.to(engine.device, non_blocking=True) for part in batch]


@torch.no_grad()
def validate(network: nn.Module, task: Task[Any], config: TrainingConfig, engine: Accelerator) -> float:
    """Mean score over the held-out data, of which every process looks at a part; in float32, as it will be used."""
    network.eval()
    count = len(task.held_out)  # type: ignore[arg-type]  # our data sets have a length
    own = Subset(task.held_out, range(engine.process_index, count, engine.num_processes))
    loader = DataLoader(own, batch_size=config.batch, num_workers=min(config.workers, 1))
    total = sum(task.score(network, on_device(batch, engine)).double().sum().item() for batch in loader)
    return engine.reduce(torch.tensor(total, dtype=torch.float64, device=engine.device)).item() / count


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
        folder: gets ``checkpoint.pt`` (everything needed to go on), ``log.jsonl`` (a line per report),
            ``network.safetensors`` (the averaged weights) and ``config.yml``. A file appears whole or not at all.
        resume: go on from the folder's checkpoint, if any; the result equals that of an uninterrupted run.
        on_report: called with all log lines so far, for example to draw a live curve.
        progress: whether a bar is shown, with images per second and the time left.

    Returns:
        The averaged network in evaluation mode, on the CPU.

    Raises:
        FileExistsError: the folder holds a run and ``resume`` is False.
        OSError: the disk is full, say; what was written before is whole.
        ValueError: a checkpoint is damaged or belongs to another configuration, the device is not there, or the loss
            is not finite.
    """
    folder, engine = Path(folder), start_engine(config)
    network = task.network.to(engine.device, memory_format=torch.channels_last)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.averaging), use_buffers=True)
    optimizer = make_optimizer(network, config)
    state = TrainingState(network=network, average=average, optimizer=optimizer)
    log = open_run(folder, config, state, resume=resume, write=engine.is_main_process)
    start, count = log[-1]["step"] if log else 0, len(task.train)  # type: ignore[arg-type]
    sampler = StepSampler(count, config, start, process=engine.process_index, processes=engine.num_processes)
    loader = DataLoader(
        task.train, batch_sampler=sampler, num_workers=config.workers, pin_memory=engine.device.type == "cuda"
    )
    if engine.num_processes > 1:
        network = share_statistics(network, engine.device)
    objective: nn.Module = Objective(network, task.loss, bf16=use_bf16(config, engine.device))
    objective, stepper = engine.prepare(objective, optimizer)
    bar = tqdm(
        total=config.steps * config.batch,
        initial=start * config.batch,
        disable=not progress or not engine.is_main_process,
        desc=type(network).__name__,
        unit=" images",
        bar_format=BAR,
    )
    done, window = start, torch.zeros(2, dtype=torch.float64, device=engine.device)  # losses added up, and their number
    with bar:  # an error stands below it, not behind it
        for batch in loader:
            network.train()
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(done, config, count // config.batch)
            with engine.accumulate(objective):
                loss = objective(on_device(batch, engine))
                engine.backward(loss)
                window += torch.stack([loss.detach().double(), torch.ones_like(window[0])])
                if engine.sync_gradients:
                    norm = engine.clip_grad_norm_(network.parameters(), 1.0).item()
                    if not math.isfinite(norm):
                        raise ValueError(
                            f"the loss or its gradient is {norm} at step {done}; lower the rate and resume"
                        )
                stepper.step()
                stepper.zero_grad()
            if not engine.sync_gradients:
                continue
            if done < config.warmup:  # the first weights are not worth averaging
                average.n_averaged.zero_()
            average.update_parameters(network)
            done += 1
            bar.update(config.batch)
            if done % config.report == 0 or done == config.steps:
                total, number = engine.reduce(window).tolist()
                rate, score = optimizer.param_groups[0]["lr"], validate(average.module, task, config, engine)
                log.append({"step": done, "loss": total / number, task.score_name: score, "rate": rate})
                bar.set_postfix(loss=f"{log[-1]['loss']:.4f}", **{task.score_name: f"{score:.4f}"})
                window.zero_()
                if engine.is_main_process:
                    notes = {**task.notes, "config": plain(config), "log": log}
                    task.save(folder / WEIGHTS, average.module, notes=notes)
                    # The checkpoint comes last: whoever is stopped before it goes on before.
                    write_checkpoint(folder, config, state, log)
                    if on_report is not None:
                        on_report(log)
    engine.wait_for_everyone()
    return average.module.cpu().eval()
