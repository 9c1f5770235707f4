"""What a training leaves in its folder: a checkpoint to go on from, a log, and the log's curve."""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from tddfa.checkpoints import fill
from tddfa.console import sentence
from tddfa.files import check_file, write_bytes
from vrnlib.training.config import TrainingConfig, plain, write_config

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHECKPOINT, LOG, WEIGHTS, CONFIG = "checkpoint.pt", "log.jsonl", "network.safetensors", "config.yml"
"""Names of the files."""

MOVABLE = ("report", "workers", "device", "cache", "init")
"""Settings that a resumed run may change: they do not change the result, or only said where it began."""

LARGEST_CHECKPOINT = 2**34
"""Bytes; that of the released VRN's size has 230 million."""

Log = list[dict[str, Any]]
"""One line per report: "step", "loss" since the line before, the held-out score by its name, and "rate"."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TrainingState:
    """What changes while a network is trained.

    Attributes:
        network: the weights that are trained.
        average: their exponential moving average.
        optimizer: with what it remembers of the gradients.
    """

    network: nn.Module
    average: AveragedModel
    optimizer: Optimizer

    def __repr__(self) -> str:
        return f"TrainingState({type(self.network).__name__}, {type(self.optimizer).__name__})"


def open_run(folder: Path, config: TrainingConfig, state: TrainingState, *, resume: bool, write: bool = True) -> Log:
    """Make a run's folder, or go on with it.

    Args:
        folder: of the run.
        config: of the run.
        state: filled from the folder's checkpoint, where there is one.
        resume: whether there may be one.
        write: whether this process writes.

    Returns:
        The log so far; its last line names the step to go on from.

    Raises:
        FileExistsError: the folder holds a run and ``resume`` is False.
        ValueError: as `read_checkpoint`.
    """
    check_folder(folder, resume=resume)
    log: Log = []
    if (folder / CHECKPOINT).exists():
        log = read_checkpoint(folder / CHECKPOINT, config, state)
    if write:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (CHECKPOINT, LOG, WEIGHTS, CONFIG):
            for half in folder.glob(f".{name}.*.part"):  # of a run that was killed while it wrote
                half.unlink(missing_ok=True)
        write_config(folder / CONFIG, [config])
    return log


def check_folder(folder: Path, *, resume: bool) -> None:
    """Refuse a folder that holds another run.

    Raises:
        FileExistsError: the folder holds a run and ``resume`` is False.
    """
    if (folder / CHECKPOINT).exists() and not resume:
        raise FileExistsError(f"{folder} holds a run already; give --resume to go on, or another folder")


def check_same(old: dict[str, Any], config: TrainingConfig, what: object) -> None:
    """Refuse to go on with another configuration.

    Args:
        old: the configuration of the run so far, as `plain` gives it.
        config: of the run, which must be the same, save for MOVABLE.
        what: holds the old one, for the message.

    Raises:
        ValueError: names what differs.
    """
    changed = [key for key, value in plain(config).items() if key not in MOVABLE and old.get(key) != value]
    if changed:
        raise ValueError(f"{what} was made with other settings of {', '.join(changed)}; use those, or another folder")


def write_checkpoint(folder: Path, config: TrainingConfig, state: TrainingState, log: Log) -> None:
    """Write LOG and CHECKPOINT into a folder; each appears whole or not at all."""
    buffer = io.BytesIO()  # torch's own writer does not say that a disk is full
    content = {
        "config": plain(config),
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "log": log,
    }
    torch.save(content, buffer)
    write_bytes(folder / LOG, "".join(json.dumps(line) + "\n" for line in log).encode())
    write_bytes(folder / CHECKPOINT, buffer.getvalue())


def read_checkpoint(path: Path, config: TrainingConfig, state: TrainingState) -> Log:
    """Fill the state from a checkpoint.

    Args:
        path: of the checkpoint.
        config: of the run, which must be that of the checkpoint, save for MOVABLE.
        state: to be filled, in place.

    Returns:
        The log so far; its last line names the step to go on from.

    Raises:
        ValueError: the file is damaged, or belongs to another configuration or network.
    """
    try:
        whole = check_file(path, largest=LARGEST_CHECKPOINT, what="a checkpoint")
        saved = torch.load(whole, weights_only=True, map_location="cpu")
        old, network, average, optimizer, log = (
            saved[key] for key in ("config", "network", "average", "optimizer", "log")
        )
        named = all(isinstance(part, dict) for part in (old, network, average, optimizer))
        tensors = named and all(isinstance(one, Tensor) for one in (*network.values(), *average.values()))
        if not tensors or not isinstance(log, list) or not all(isinstance(line["step"], int) for line in log):
            raise ValueError("parts of other kinds")
    except Exception as error:  # torch raises many kinds for damaged files
        raise ValueError(f"{path} cannot be read ({sentence(error)}); delete the folder and train again") from error
    check_same(old, config, path)
    fill(state.network, network, str(path))
    fill(state.average, average, str(path))
    try:
        state.optimizer.load_state_dict(optimizer)
    except Exception as error:  # torch looks at its parts one by one
        raise ValueError(f"{path} holds no optimiser of this network ({error}); train in another folder") from error
    return log


class EventWriter:
    """Writes a run's log as TensorBoard's events, with images per second; a `fit`'s ``on_report``.

    Args:
        folder: of the run.
        config: of the run.

    Raises:
        ModuleNotFoundError: TensorBoard is not installed (``pip install "vrn-workbook[train]"``).
    """

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.open, self.folder, self.batch = SummaryWriter, folder, config.batch
        self.writer: Any = None
        self.before: tuple[int, float] | None = None

    def __call__(self, log: Log) -> None:
        """Write the log's last line."""
        line, now = log[-1], time.monotonic()
        step = line["step"]
        if self.writer is None:  # what a killed run wrote beyond its checkpoint is not shown
            self.writer = self.open(str(self.folder), purge_step=step)
        for name, value in line.items():
            if name != "step":
                self.writer.add_scalar(name, value, step)
        if self.before is not None:
            self.writer.add_scalar(
                "images_per_second", (step - self.before[0]) * self.batch / (now - self.before[1]), step
            )
        self.writer.flush()
        self.before = step, now


def plot_log(log: Log, *, axes: Any = None) -> Figure:
    """Draw loss and held-out score over steps.

    Args:
        log: of a run; an empty one gives empty axes.
        axes: two of matplotlib's to draw into; default: those of a new figure.
    """
    import matplotlib.pyplot as plt

    figure, axes = (None, axes) if axes is not None else plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    steps = [line["step"] for line in log]
    score_name = next((key for key in (log[-1] if log else {}) if key not in ("step", "loss", "rate")), "score")
    for axis, key in zip(axes, ("loss", score_name), strict=True):
        axis.clear()
        axis.plot(steps, [line.get(key) for line in log], marker=".")
        axis.set(xlabel="step", ylabel=key.replace("_", " "))
        axis.grid(alpha=0.3)
    return figure or axes[0].figure
