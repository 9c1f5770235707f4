"""Training on rendered faces: one loop for VRN and FAN, with checkpoints that resume exactly.

Loss of VRN: the sigmoid cross-entropy over voxels, from logits (VRN paper, equation 1). Optimiser: RMSProp, as
in the paper; the rate follows half a cosine down to a hundredth. The weights that are validated and written
are an exponential moving average of those that are trained.

Several processes train one network when they are started by torchrun: each takes its part of every batch, and the
gradients are averaged. The first process validates and writes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, Sampler
from tqdm import tqdm

from tddfa.files import replacing, write_bytes
from vrnlib.weight_files import save_network

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How long and how fast; a run is determined by this, the data and the network.

    steps: batches in all. batch: images per step, over all processes. rate: highest learning rate. warmup: steps
    until it is reached. report: steps between validations, each followed by a checkpoint. workers: loader processes.
    """

    steps: int = 20_000
    batch: int = 16
    rate: float = 1e-3
    warmup: int = 200
    report: int = 500
    workers: int = 1
    seed: int = 0
    averaging: float = 0.998


@dataclass(frozen=True)
class Task:
    """What is trained: a network, its data, the loss of a batch, and the score of the held-out data.

    save: writes the averaged network and its notes to a path; another one for weights in another package's layout.
    """

    network: nn.Module
    train: Dataset
    held_out: Dataset
    loss: Callable[[nn.Module, list[Tensor]], Tensor]
    score: Callable[[nn.Module, list[Tensor]], Tensor]
    score_name: str
    notes: dict = field(default_factory=dict)
    save: Callable[..., None] = save_network


def process() -> int:
    """The number of this process, 0 when it is alone."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def processes() -> int:
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


class StepSampler(Sampler):
    """Batches of (index, epoch) keys from step ``start`` on; a function of the seed, so a run can be resumed."""

    def __init__(self, length: int, config: TrainingConfig, start: int) -> None:
        self.length, self.config, self.start = length, config, start
        if config.batch % processes():
            raise ValueError(f"a batch of {config.batch} cannot be shared by {processes()} processes")
        if length < config.batch:
            raise ValueError(f"a batch of {config.batch} needs at least as many renders, got {length}")

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        per_epoch = self.length // self.config.batch
        order, current = None, -1
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
def validate(network: nn.Module, task: Task, config: TrainingConfig) -> float:
    """Mean score over the held-out data."""
    network.eval()
    loader = DataLoader(task.held_out, batch_size=config.batch, num_workers=min(config.workers, 1))
    return torch.cat([task.score(network, batch) for batch in loader]).mean().item()


def fit(
    task: Task,
    config: TrainingConfig,
    folder: str | Path,
    *,
    resume: bool = False,
    on_report: Callable[[list[dict]], None] | None = None,
    progress: bool = True,
) -> nn.Module:
    """Train a task's network; return the averaged network in evaluation mode.

    folder gets ``checkpoint.pt`` (everything needed to go on), ``log.jsonl`` (a line per report) and
    ``network.safetensors`` (the averaged weights). A file appears whole or not at all.
    resume: go on from the folder's checkpoint; the result equals that of an uninterrupted run.
    on_report: called with all log lines so far, for example to draw a live curve.
    Raises FileExistsError when the folder holds a run and ``resume`` is False, ValueError when a checkpoint
    belongs to another configuration.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    network = task.network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.RMSprop(network.parameters(), lr=config.rate, alpha=0.99)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.averaging), use_buffers=True)
    start, log = 0, []
    if (folder / CHECKPOINT).exists():
        if not resume:
            raise FileExistsError(f"{folder} holds a run already; give --resume to go on, or another folder")
        start, log = restore(folder / CHECKPOINT, config, network, average, optimizer)
    loader = DataLoader(
        task.train, batch_sampler=StepSampler(len(task.train), config, start), num_workers=config.workers
    )
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
            write_checkpoint(folder, config, network, average, optimizer, log)
            task.save(folder / "network.safetensors", average.module, notes={**task.notes, "log": log})
            if on_report is not None:
                on_report(log)
        if done % config.report == 0:
            window.clear()
    bar.close()
    return average.module.eval()


def write_checkpoint(folder: Path, config: TrainingConfig, network, average, optimizer, log: list[dict]) -> None:
    with replacing(folder / CHECKPOINT) as temporary:
        torch.save(
            {
                "config": asdict(config),
                "network": network.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "log": log,
            },
            temporary,
        )
    write_bytes(folder / LOG, "".join(json.dumps(line) + "\n" for line in log).encode())


def restore(path: Path, config: TrainingConfig, network, average, optimizer) -> tuple[int, list[dict]]:
    """Fill network, average and optimiser from a checkpoint; the step to go on from, and the log so far."""
    try:
        state = torch.load(path, weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged files
        raise ValueError(f"{path} cannot be read ({error}); delete the folder and train again") from error
    movable = {"report", "workers"}
    changed = [key for key, value in asdict(config).items() if key not in movable and state["config"].get(key) != value]
    if changed:
        raise ValueError(f"{path} was made with other settings of {', '.join(changed)}; use those, or another folder")
    network.load_state_dict(state["network"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return state["log"][-1]["step"], state["log"]


def plot_log(log: list[dict], *, axes=None):
    """Draw loss and held-out score over steps; returns the matplotlib figure."""
    import matplotlib.pyplot as plt

    figure, axes = (None, axes) if axes is not None else plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    steps = [line["step"] for line in log]
    score_name = next((key for key in (log[-1] if log else {}) if key not in ("step", "loss")), "score")
    for axis, key in zip(axes, ("loss", score_name), strict=True):
        axis.clear()
        axis.plot(steps, [line.get(key) for line in log], marker=".")
        axis.set(xlabel="step", ylabel=key.replace("_", " "))
        axis.grid(alpha=0.3)
    return figure or axes[0].figure


def as_input(image: Tensor) -> Tensor:
    """uint8 (B, 3, H, W) → float32 in [0, 1], in the memory order in which convolutions run fastest."""
    return (image.float() / 255).contiguous(memory_format=torch.channels_last)
